/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_check_test.c - rows of usher check, on hosts that the lab cannot be */
/* wraps: guest_autostarted guest_claim fgetxattr attr_ask statx */

#include "usher_host.h"

#include "helpers/usher/check.h"

static struct check check;
static struct request request;
static const char *autostarted; /* another guest's XML; NULL: libvirt does not answer */

static const char *label; /* of each file */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_guest_autostarted(struct strlist *ret);
int __wrap_guest_claim(const struct request *of, const struct guest *guest,
		       const struct guest_ask *ask, struct claim *ret);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size);
int __wrap_attr_ask(int rootfd, const char *path, const char *question, char *buf, size_t size);
int __wrap_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret);
int __real_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* Of each guest: has it a claim, and with what words it is refused beside the other's */
static struct {
	const char *guest, *refused;
	bool managed;
} hooks[2];

int __wrap_guest_claim(const struct request *of, const struct guest *guest,
		       const struct guest_ask *ask, struct claim *ret)
{
	assert_ptr_equal(of, check.request);
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (!hooks[i].guest || strcmp(hooks[i].guest, guest->name) != 0)
			continue;
		if (hooks[i].refused && strcmp(ask->beside, GUEST_ASK_EMPTY) != 0) {
			*ask->why = strdup(hooks[i].refused);
			return -EINVAL;
		}
		if (hooks[i].managed)
			ret->guest = strdup(guest->name);
		return !hooks[i].managed;
	}
	return -ENOENT;
}

int __wrap_guest_autostarted(struct strlist *ret)
{
	return autostarted ? strlist_add(ret, autostarted) : -ETIMEDOUT;
}

ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	assert_true(fd >= 0);
	assert_string_equal(name, "security.selinux");
	if (!label) {
		errno = ENODATA;
		return -1;
	}
	/* With its NUL byte, as the kernel has it */
	assert_true(strlen(label) < size);
	memcpy(value, label, strlen(label) + 1);
	return (ssize_t)strlen(label) + 1;
}

/* What SELinux has loaded: who may write, and who is only reported */
static struct {
	const char *hook; /* the domain that a hook changes to; NULL: none */
	bool permissive;
	int error;
} policy;

int __wrap_attr_ask(int rootfd, const char *path, const char *question, char *buf, size_t size)
{
	char source[256], target[256], class[8];

	assert_true(rootfd >= 0);
	assert_int_equal(sscanf(question, "%255s %255s %7s", source, target, class), 3);
	if (policy.error)
		return policy.error;
	if (strcmp(path, "sys/fs/selinux/create") == 0) {
		assert_string_equal(class, "2");
		return snprintf(buf, size, "%s", policy.hook ? policy.hook : source);
	}
	assert_string_equal(path, "sys/fs/selinux/access");
	assert_string_equal(class, "6");
	/* May read, and write or not. ABI: security/selinux/selinuxfs.c, sel_write_access() */
	return snprintf(buf, size, "%x ffffffff 0 ffffffff 12 %x",
			strstr(source, ":unconfined") || strstr(source, ":virtd_t") ? 6 : 2,
			policy.permissive);
}

/* When libvirt's hook was made, written and changed; 0: never was any */
static struct {
	long long born, written, changed;
	unsigned int lacks;
} hook_times;

int __wrap_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret)
{
	if (!hook_times.changed)
		return __real_statx(dirfd, path, flags, mask, ret);
	assert_int_equal(flags, AT_SYMLINK_NOFOLLOW);
	*ret = (struct statx){ .stx_mask = mask & ~hook_times.lacks };
	ret->stx_btime.tv_sec = hook_times.born;
	ret->stx_mtime.tv_sec = hook_times.written;
	ret->stx_ctime.tv_sec = hook_times.changed;
	return 0;
}

static void forget(void)
{
	for (size_t i = 0; i < check.nr; i++)
		free(check.findings[i].text);
	free(check.findings);
	check.findings = NULL;
	check.nr = 0;
}

static const struct check_row *find_row(const char *name)
{
	for (size_t i = 0; i < check_nr_host_rows; i++)
		if (strcmp(check_host_rows[i].name, name) == 0)
			return &check_host_rows[i];
	for (size_t i = 0; i < check_nr_guest_rows; i++)
		if (strcmp(check_guest_rows[i].name, name) == 0)
			return &check_guest_rows[i];
	return NULL;
}

/* Where usher's own programs are */
static const char *programs = "/usr/sbin";

/* One row's findings. Return: their number */
static size_t row(const struct tree *tree, const char *name)
{
	const struct check_row *this = find_row(name);

	if (!this) {
		fail_msg("there is no row %s", name);
		return 0;
	}
	forget();
	request = (struct request){ .root = tree->dir, .dir = programs };
	check.request = &request;
	check.rootfd = tree->rootfd;
	check.name = name;
	this->run(&check);
	return check.nr;
}

static void assert_found(const struct tree *tree, const char *name, enum level level,
			 const char *text)
{
	assert_int_equal(row(tree, name), 1);
	assert_int_equal(check.findings[0].level, level);
	if (!strstr(check.findings[0].text, text))
		fail_msg("'%s' is not in '%s'", text, check.findings[0].text);
}

static void an_iommu_is_missing_in_the_firmware_or_in_the_kernel(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "proc/cmdline", "ro quiet\n");
	assert_found(tree, "iommu", LEVEL_ERROR, "the firmware offers no IOMMU");
	tree_file(tree, "sys/firmware/acpi/tables/IVRS", "");
	assert_found(tree, "iommu", LEVEL_ERROR,
		     "the kernel does not use it: see journalctl -k -b");
	tree_file(tree, "sys/firmware/acpi/tables/DMAR", "");
	assert_found(tree, "iommu", LEVEL_ERROR, "the kernel does not use it: add intel_iommu=on");
	tree_file(tree, "proc/cmdline", "ro amd_iommu=off quiet\n");
	assert_found(tree, "iommu", LEVEL_ERROR, "the kernel was told amd_iommu=off");
	tree_file(tree, "proc/cmdline", "ro intel_iommu=sm_on,off quiet\n");
	assert_found(tree, "iommu", LEVEL_ERROR, "the kernel was told intel_iommu=sm_on,off, so");
	tree_file(tree, "proc/cmdline", "ro intel_iommu=sm_off my_iommu=off\n");
	assert_found(tree, "iommu", LEVEL_ERROR, "the kernel does not use it");
	tree_file(tree, "sys/kernel/iommu_groups/0/devices/x", "");
	assert_int_equal(row(tree, "iommu"), 0);
}

static void selinux_enforces(const struct tree *tree)
{
	tree_file(tree, "sys/fs/selinux/enforce", "1");
	tree_file(tree, "sys/fs/selinux/class/process/index", "2");
	tree_file(tree, "sys/fs/selinux/class/file/index", "6");
	tree_file(tree, "sys/fs/selinux/class/file/perms/write", "3");
	tree_dir(tree, "sys/bus/pci");
	tree_file(tree, "usr/sbin/usher-hook", "");
	tree_link(tree, "etc/libvirt/hooks/qemu", "/usr/sbin/usher-hook");
	label = "system_u:object_r:bin_t:s0";
	policy.hook = NULL;
	policy.permissive = false;
	policy.error = 0;
}

static void daemon_runs(const struct tree *tree, const char *name, const char *domain)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "run/%s.pid", name);
	tree_file(tree, path, "300\n");
	tree_file(tree, "proc/300/stat",
		  "300 (rpc-virtqemud) S 1 300 300 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 3000 0 0\n");
	/* With its NUL byte, as the kernel has it */
	tree_bytes(tree, "proc/300/attr/current", text,
		   (size_t)snprintf(text, sizeof(text), "system_u:system_r:%s:s0", domain) + 1);
}

/*
 * The boolean is virtnetworkd's alone: virtqemud may execute bin_t, without a change of domain
 * Source: selinux-policy fd1d996, virt.te: tunable_policy(`virt_hooks_unconfined') has
 * domtrans_pattern(virtnetworkd_t, virt_hook_t, virt_hook_unconfined_t); corecmd_exec_bin(virtqemud_t)
 */
static void the_boolean_does_not_free_virtqemuds_hook(void **state)
{
	const struct tree *tree = *state;

	assert_int_equal(row(tree, "selinux"), 0);
	selinux_enforces(tree);
	tree_file(tree, "sys/fs/selinux/booleans/virt_hooks_unconfined", "1 1");
	assert_found(
		tree, "selinux", LEVEL_WARNING,
		"SELinux runs virtqemud's hook as virtqemud_t, which may not write to /sys: where");
	daemon_runs(tree, "virtqemud", "virtqemud_t");
	assert_found(
		tree, "selinux", LEVEL_ERROR,
		"SELinux runs virtqemud's hook as virtqemud_t, which may not write to /sys, so "
		"usher can change nothing: semanage permissive -a virtqemud_t");
	policy.permissive = true;
	assert_int_equal(row(tree, "selinux"), 0);
	policy.permissive = false;
	tree_file(tree, "sys/fs/selinux/enforce", "0");
	assert_int_equal(row(tree, "selinux"), 0);
}

/* A module of the host's own, and the monolithic daemon */
static void an_unconfined_hook_is_free_without_the_boolean(void **state)
{
	const struct tree *tree = *state;

	selinux_enforces(tree);
	tree_file(tree, "sys/fs/selinux/booleans/virt_hooks_unconfined", "0 0");
	daemon_runs(tree, "virtqemud", "virtqemud_t");
	policy.hook = "system_u:system_r:unconfined_t:s0";
	assert_int_equal(row(tree, "selinux"), 0);
	policy.hook = NULL;
	assert_int_equal(unlinkat(tree->rootfd, "run/virtqemud.pid", 0), 0);
	daemon_runs(tree, "libvirtd", "virtd_t");
	assert_int_equal(row(tree, "selinux"), 0);
}

static void a_policy_that_cannot_be_asked_is_no_ok(void **state)
{
	const struct tree *tree = *state;

	selinux_enforces(tree);
	policy.error = -EACCES;
	assert_found(tree, "selinux", LEVEL_WARNING,
		     "its policy cannot be asked (Permission denied): if guests do not start under "
		     "virtqemud: semanage permissive -a virtqemud_t");
	policy.error = 0;
	policy.hook = "unlabeled";
	daemon_runs(tree, "virtqemud", "unconfined_t");
	policy.permissive = true;
	assert_int_equal(row(tree, "selinux"), 0);
	policy.permissive = false;
	assert_found(tree, "selinux", LEVEL_WARNING, "its policy cannot be asked (Bad message)");
	label = NULL;
	assert_found(tree, "selinux", LEVEL_WARNING,
		     "its policy cannot be asked (No data available)");
}

/* As after mv from a home directory, which keeps the label */
static void a_label_that_libvirt_may_not_run_is_told(void **state)
{
	const struct tree *tree = *state;

	selinux_enforces(tree);
	daemon_runs(tree, "libvirtd", "virtd_t");
	assert_int_equal(row(tree, "selinux"), 0);
	label = "system_u:object_r:virt_hook_t:s0";
	assert_int_equal(row(tree, "selinux"), 0);
	label = "unconfined_u:object_r:user_home_t:s0";
	assert_found(tree, "selinux", LEVEL_WARNING,
		     "/etc/libvirt/hooks/qemu is of type user_home_t, so libvirt may be kept from "
		     "running it: restorecon -Rv /etc/libvirt/hooks /usr/sbin/usher*");
	assert_int_equal(unlinkat(tree->rootfd, "etc/libvirt/hooks/qemu", 0), 0);
	assert_int_equal(row(tree, "selinux"), 0);
	tree_file(tree, "usr/sbin/usher-vfio", "");
	assert_found(tree, "selinux", LEVEL_WARNING, "/usr/sbin/usher-vfio is of type user_home_t");
}

static void rivals_are_told_by_process_or_by_what_they_leave(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "proc/1/comm", "systemd\n");
	assert_int_equal(row(tree, "rivals"), 0);
	tree_file(tree, "proc/77/comm", "power-profiles-\n");
	assert_found(tree, "rivals", LEVEL_WARNING, "power-profiles-daemon runs and");
	tree_file(tree, "proc/77/comm", "tuned\n");
	assert_found(tree, "rivals", LEVEL_WARNING, "tuned runs and sets governors");
	tree_file(tree, "proc/77/comm", "irqbalance\n");
	tree_dir(tree, "run/irqbalance");
	assert_found(tree, "rivals", LEVEL_WARNING, "irqbalance runs and moves interrupts");
	tree_file(tree, "run/irqbalance/irqbalance77.sock", "");
	assert_int_equal(row(tree, "rivals"), 0);
	tree_file(tree, "proc/77/comm", "cat\n");
	tree_file(tree, "run/tlp/last_pwr", "0\n");
	assert_found(tree, "rivals", LEVEL_WARNING, "TLP is on and sets governors");
}

static void a_hook_that_leads_nowhere_is_told(void **state)
{
	const struct tree *tree = *state;

	tree_link(tree, "etc/libvirt/hooks/qemu", "/usr/sbin/usher-hook");
	assert_found(tree, "hook", LEVEL_ERROR, "/etc/libvirt/hooks/qemu leads to nothing");
	tree_file(tree, "usr/sbin/usher-hook", "");
	assert_found(tree, "hook", LEVEL_ERROR, "cannot be executed");
	assert_int_equal(fchmodat(tree->rootfd, "usr/sbin/usher-hook", 0755, 0), 0);
	assert_int_equal(row(tree, "hook"), 0);
}

static void a_copy_of_the_hook_is_no_other_hook(void **state)
{
	const struct tree *tree = *state;
	static const char *const hook = "etc/libvirt/hooks/qemu";
	static const char copy[] = "\177ELF usher: this is libvirt's hook for QEMU guests; ...";

	programs = tree->dir;
	tree_file(tree, hook, copy);
	assert_found(tree, "hook", LEVEL_ERROR, "cannot be executed");
	assert_int_equal(fchmodat(tree->rootfd, hook, 0755, 0), 0);
	assert_int_equal(row(tree, "hook"), 0);
	tree_file(tree, "usher-hook", "another build");
	assert_found(tree, "hook", LEVEL_WARNING, "is a copy of usher-hook, of another build");
	assert_int_equal(unlinkat(tree->rootfd, "usher-hook", 0), 0);
	tree_link(tree, "etc/libvirt/hooks/qemu.d/usher", "/etc/libvirt/hooks/qemu");
	assert_found(tree, "hook", LEVEL_ERROR,
		     "/etc/libvirt/hooks/qemu and /etc/libvirt/hooks/qemu.d/usher both are usher");
	assert_int_equal(unlinkat(tree->rootfd, "etc/libvirt/hooks/qemu.d/usher", 0), 0);
	tree_file(tree, hook, "#!/bin/sh\n");
	assert_found(tree, "hook", LEVEL_ERROR, "is another hook, and usher is not beside it");
	tree_file(tree, "etc/libvirt/hooks/qemu.d/my-usher", copy);
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/my-usher", 0755, 0), 0);
	assert_found(tree, "hook", LEVEL_WARNING, "is another hook, which libvirt runs first");
}

static void hooks_of_others_are_named(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "usr/sbin/usher-hook", "");
	assert_int_equal(fchmodat(tree->rootfd, "usr/sbin/usher-hook", 0755, 0), 0);
	tree_link(tree, "etc/libvirt/hooks/qemu.d/usher", "/usr/sbin/usher-hook");
	tree_file(tree, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/10-x.sh", "");
	tree_file(tree, "etc/libvirt/hooks/qemu.d/10-foreign", "#!/bin/sh\n");
	assert_int_equal(row(tree, "hook"), 0);
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/10-foreign", 0755, 0), 0);
	assert_found(tree, "hook", LEVEL_NOTE,
		     "/etc/libvirt/hooks/qemu.d/10-foreign is another hook, which libvirt runs "
		     "besides usher");
}

static void a_hook_of_ones_own_that_calls_usher_is_usher(void **state)
{
	const struct tree *tree = *state;
	static const char *const hook = "etc/libvirt/hooks/qemu";
	static const char *const calls = "#!/bin/sh\nexec /usr/sbin/usher-hook \"$@\"\n";

	tree_file(tree, hook, calls);
	assert_int_equal(fchmodat(tree->rootfd, hook, 0755, 0), 0);
	assert_found(tree, "hook", LEVEL_NOTE, "is a hook of your own that calls usher-hook");
	assert_found(tree, "reload", LEVEL_NOTE, "no libvirt daemon runs");
	tree_file(tree, "usr/sbin/usher-hook", "");
	assert_int_equal(fchmodat(tree->rootfd, "usr/sbin/usher-hook", 0755, 0), 0);
	tree_link(tree, "etc/libvirt/hooks/qemu.d/usher", "/usr/sbin/usher-hook");
	assert_found(
		tree, "hook", LEVEL_ERROR,
		"/etc/libvirt/hooks/qemu.d/usher and /etc/libvirt/hooks/qemu both are usher, or "
		"call it, so every step runs twice: remove one of them");
	/* Beside the link that is usher's own place */
	assert_int_equal(
		renameat(tree->rootfd, "etc/libvirt/hooks/qemu.d/usher", tree->rootfd, hook), 0);
	tree_file(tree, "etc/libvirt/hooks/qemu.d/10-mine", calls);
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/10-mine", 0755, 0), 0);
	assert_found(
		tree, "hook", LEVEL_ERROR,
		"/etc/libvirt/hooks/qemu and /etc/libvirt/hooks/qemu.d/10-mine both are usher, or");
}

/* libvirt looks at its start for one that it could run, and reads it at each call */
static void a_hook_that_was_edited_under_the_daemon_needs_no_reload(void **state)
{
	static const char newer[] = "/etc/libvirt/hooks/qemu is newer than the start of virtqemud";
	const struct tree *tree = *state;

	tree_file(tree, "etc/libvirt/hooks/qemu", "#!/bin/sh\nexec /usr/sbin/usher-hook \"$@\"\n");
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu", 0755, 0), 0);
	tree_file(tree, "proc/stat", "cpu 0\nbtime 1000\n");
	daemon_runs(tree, "virtqemud", "virtqemud_t"); /* since 1030 */
	hook_times = (typeof(hook_times)){ .born = 900, .written = 5000, .changed = 5000 };
	assert_int_equal(row(tree, "reload"), 0);
	/* It may not have been executable before, or lain elsewhere */
	hook_times.written = 950;
	assert_found(tree, "reload", LEVEL_WARNING, newer);
	hook_times = (typeof(hook_times)){ .born = 5000, .written = 5000, .changed = 5000 };
	assert_found(tree, "reload", LEVEL_WARNING, newer);
	/* A file system that does not know */
	hook_times = (typeof(hook_times)){ .written = 5000, .changed = 5000, .lacks = STATX_BTIME };
	assert_found(tree, "reload", LEVEL_WARNING, newer);
	hook_times = (typeof(hook_times)){ .born = 900, .written = 900, .changed = 900 };
	assert_int_equal(row(tree, "reload"), 0);
	hook_times.changed = 0;
}

/* Which is so on Fedora, where /etc/libvirt is 0700, for anybody but root: as the rows apparmor, left */
static void a_folder_of_hooks_that_is_roots_to_read_is_no_missing_hook(void **state)
{
	const struct tree *tree = *state;
	static const char *const rows[] = { "hook", "reload", "scripts" };
	static const char *const texts[] = {
		"cannot look at libvirt's hooks: Permission denied: run it as root",
		"not looked at: see hook",
		"cannot look at /etc/libvirt/hooks/qemu.d: Permission denied: run it as root",
	};

	if (geteuid() != 0)
		skip();
	assert_int_equal(fchmodat(tree->rootfd, ".", 0755, 0), 0);
	tree_file(tree, "usr/sbin/usher-hook", "");
	tree_link(tree, "etc/libvirt/hooks/qemu", "/usr/sbin/usher-hook");
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt", 0700, 0), 0);
	check.guest.name = strdup("win11");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(seteuid(65534), 0);
		(void)row(tree, rows[i]);
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(check.nr, 1);
		assert_int_equal(check.findings[0].level, LEVEL_NOTE);
		assert_string_equal(check.findings[0].text, texts[i]);
	}
	free(check.guest.name);
	check.guest.name = NULL;
}

static void what_cannot_be_looked_at_is_no_ok(void **state)
{
	const struct tree *tree = *state;

	assert_found(tree, "reload", LEVEL_NOTE, "there is no hook of usher's");
	tree_link(tree, "etc/libvirt/hooks/qemu", "/usr/sbin/usher-hook");
	assert_found(tree, "reload", LEVEL_NOTE, "no libvirt daemon runs");
	tree_dir(tree, "run/usher");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0777, 0), 0);
	assert_found(tree, "left", geteuid() == 0 ? LEVEL_ERROR : LEVEL_NOTE,
		     "cannot read /run/usher: Operation not permitted");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	assert_int_equal(row(tree, "left"), 0);
	assert_found(tree, "steps", LEVEL_NOTE, "usher does nothing for the guest: see policy");
	check.nr_pins = 1;
	cpulist_add(&check.pinned, 2);
	assert_found(tree, "siblings", LEVEL_NOTE, "hwloc cannot tell");
	assert_found(tree, "topology", LEVEL_NOTE, "hwloc cannot tell");
	assert_found(tree, "nodes", LEVEL_NOTE, "hwloc cannot tell");
	check.nr_pins = 0;
	check.pinned = (struct cpulist){ 0 };
}

static void lockdown_and_old_cgroups_are_told(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	assert_int_equal(row(tree, "lockdown"), 0);
	tree_file(tree, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	assert_found(tree, "lockdown", LEVEL_WARNING, "sign");
	assert_found(tree, "partitions", LEVEL_WARNING, "cgroup v2 is not mounted");
	tree_file(tree, "sys/fs/cgroup/cgroup.controllers", "cpuset\n");
	tree_file(tree, "proc/sys/kernel/osrelease", "6.1.0-30-amd64\n");
	assert_found(tree, "partitions", LEVEL_WARNING,
		     "Linux 6.1.0-30-amd64 has no remote cpuset");
	tree_file(tree, "sys/fs/cgroup/cpuset.cpus.isolated", "\n");
	assert_int_equal(row(tree, "partitions"), 0);
}

static void the_tick_is_told_where_a_guest_has_cpus_for_itself(void **state)
{
	static char name[] = "win11";
	const struct tree *tree = *state;

	assert_int_equal(row(tree, "tick"), 0);
	check.claim = (struct claim){ .guest = name };
	assert_found(tree, "tick", LEVEL_NOTE, "no CPU is the guest's alone: see pins");
	/* They are chosen when it starts */
	assert_int_equal(inidoc_add(&check.claim.doc, "cpuset", "pin", "auto"), 0);
	assert_found(tree, "tick", LEVEL_NOTE,
		     "interrupts the CPUs that are chosen for it, and cannot be taken away at run "
		     "time: boot with nohz_full=CPUS");
	tree_file(tree, "sys/devices/system/cpu/nohz_full", "2-7");
	assert_int_equal(row(tree, "tick"), 0);
	tree_file(tree, "sys/devices/system/cpu/nohz_full", "(null)");
	assert_int_equal(inidoc_add(&check.claim.doc, "cpuset", "cpus", "2-3"), 0);
	assert_found(tree, "tick", LEVEL_NOTE, "boot with nohz_full=2-3");
	tree_file(tree, "sys/devices/system/cpu/nohz_full", "(null)\n");
	assert_found(tree, "tick", LEVEL_NOTE, "boot with nohz_full=2-3");
	tree_file(tree, "sys/devices/system/cpu/nohz_full", "2-7\n");
	assert_int_equal(row(tree, "tick"), 0);
	inidoc_free(&check.claim.doc);
	check.claim = (struct claim){ 0 };
}

static void a_guests_scripts_are_told_and_a_name_of_dots_has_none(void **state)
{
	const struct tree *tree = *state;
	static char dots[] = "..", dot[] = ".", name[] = "win11";

	tree_dir(tree, "etc/libvirt/hooks/qemu.d/win11");
	check.guest.name = name;
	assert_found(tree, "scripts", LEVEL_WARNING, "/etc/libvirt/hooks/qemu.d/win11 has scripts");
	tree_file(tree, "etc/libvirt/hooks/qemu", "#!/bin/sh\n");
	assert_found(tree, "scripts", LEVEL_NOTE, "which /etc/libvirt/hooks/qemu is left to run");
	assert_int_equal(unlinkat(tree->rootfd, "etc/libvirt/hooks/qemu", 0), 0);
	/* The policy has them run: what cannot be */
	assert_int_equal(inidoc_add(&check.claim.doc, "scripts", "run", "yes"), 0);
	assert_int_equal(row(tree, "scripts"), 0);
	tree_file(tree, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/a.sh", "#!/bin/sh\n");
	assert_found(tree, "scripts", LEVEL_WARNING,
		     "/etc/libvirt/hooks/qemu.d/win11/prepare/begin/a.sh is not run, it cannot be "
		     "executed: chmod +x it");
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/a.sh",
				  0755, 0),
			 0);
	assert_int_equal(row(tree, "scripts"), 0);
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/a.sh",
				  0777, 0),
			 0);
	assert_found(tree, "scripts", LEVEL_ERROR,
		     "a.sh is not run, others may write it: chmod go-w");
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/a.sh",
				  0755, 0),
			 0);
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/win11", 0777, 0), 0);
	assert_found(tree, "scripts", LEVEL_ERROR,
		     "a.sh is not run, others may write /etc/libvirt/hooks/qemu.d/win11: chmod "
		     "go-w /etc/libvirt/hooks/qemu.d/win11");
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/win11", 0755, 0), 0);
	tree_file(tree, "etc/libvirt/hooks/qemu.d/win11/prepare/begn/b.sh", "#!/bin/sh\n");
	assert_found(tree, "scripts", LEVEL_WARNING, "prepare/begn/b.sh lies where nothing is run");
	inidoc_free(&check.claim.doc);
	check.claim = (struct claim){ 0 };
	check.guest.name = dots;
	assert_int_equal(row(tree, "scripts"), 0);
	check.guest.name = dot;
	assert_int_equal(row(tree, "scripts"), 0);
	check.guest.name = NULL;
}

#define HOSTDEV(address)                                                                           \
	"<domain><devices><hostdev mode='subsystem' type='pci'><source>" address                   \
	"</source><address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>"     \
	"</hostdev></devices></domain>"

static void assert_passed(const char *xml, const char *wanted)
{
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };
	char addr[PCIADDR_STRLEN] = "";

	assert_int_equal(guest_devices(xml, &list), 0);
	assert_int_equal(list.nr, *wanted ? 1 : 0);
	if (list.nr > 0)
		pciaddr_format(&list.addrs[0], addr);
	assert_string_equal(addr, wanted);
}

static void devices_are_passed_by_their_addresses_however_written(void **state)
{
	(void)state;
	assert_passed(HOSTDEV("<address domain='0x0000' bus='0x3b' slot='0x1f' function='0x7'/>"),
		      "0000:3b:1f.7");
	assert_passed(HOSTDEV("<address function='0' bus='59' slot='0'/>"), "0000:3b:00.0");
	assert_passed(HOSTDEV("<address type='pci' domain='0x10000' bus='0x1' slot='0x0' "
			      "function='0x0'/>"),
		      "10000:01:00.0");
	assert_passed(HOSTDEV("<address domain='0x0000' bus='0x100'/>"), "");
	assert_passed("<domain><devices><interface type='network'><source network='default'/>"
		      "<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>"
		      "</interface></devices></domain>",
		      "");
	assert_passed("<domain><devices><disk type='nvme' device='disk'><source type='pci' "
		      "managed='yes' namespace='1'><address domain='0x0000' bus='0x02' slot='0x00' "
		      "function='0x0'/></source></disk></devices></domain>",
		      "0000:02:00.0");
	assert_passed("no XML", "");
}

static void a_card_that_another_guest_of_the_hosts_start_has_is_told(void **state)
{
	static const char ours[] = HOSTDEV("<address domain='0x0000' bus='0x04' slot='0x00' "
					   "function='0x0'/>");

	/* As libvirt prints it: the address of an interface's source has a type */
	autostarted = "<domain><name>b</name><devices>"
		      "<interface type='hostdev' managed='yes'><source>"
		      "<address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>"
		      "</source></interface></devices></domain>";
	check.guest = (struct guest){ .name = (char *)(uintptr_t) "a",
				      .xml = (char *)(uintptr_t)ours,
				      .autostart = true };
	assert_int_equal(guest_devices(ours, &check.passed), 0);
	assert_found(*state, "autostart", LEVEL_ERROR,
		     "guest b starts with the host and has 0000:04:00.0 too");
	autostarted = HOSTDEV("<address domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>");
	assert_int_equal(row(*state, "autostart"), 0);
	autostarted = NULL;
	assert_found(*state, "autostart", LEVEL_NOTE,
		     "not looked at: libvirt does not tell what starts with the host: Connection "
		     "timed out: try again");
	pciaddr_list_free(&check.passed);
	check.guest = (struct guest){ 0 };
}

/* As read_guest() leaves it */
static void is_guest(const char *xml)
{
	check.guest.name = (char *)(uintptr_t) "a";
	check.guest.xml = (char *)(uintptr_t)xml;
	assert_int_equal(check_read_xml(&check), 0);
}

static void is_no_guest(void)
{
	xmlXPathFreeContext(check.xpath);
	xmlFreeDoc(check.doc);
	free(check.pins);
	check.xpath = NULL;
	check.doc = NULL;
	check.pins = NULL;
	check.nr_pins = 0;
	check.pinned = (struct cpulist){ 0 };
	check.guest = (struct guest){ 0 };
	inidoc_free(&check.claim.doc);
	check.claim = (struct claim){ 0 };
}

static void a_guest_without_pins_is_told_unless_its_cpus_are_kept_all_the_same(void **state)
{
	is_guest("<domain><name>a</name><vcpu>2</vcpu></domain>");
	check.has_pci = true;
	assert_found(*state, "pins", LEVEL_WARNING, "or set pin = auto in [cpuset] of the policy");
	assert_int_equal(inidoc_add(&check.claim.doc, "cpuset", "pin", "auto"), 0);
	assert_found(*state, "pins", LEVEL_NOTE, "usher pins the vCPUs when the guest starts");
	inidoc_free(&check.claim.doc);
	/* <vcpu cpuset='2-3'> */
	assert_int_equal(inidoc_add(&check.claim.doc, "cpuset", "cpus", "2-3"), 0);
	assert_int_equal(row(*state, "pins"), 0);
	inidoc_free(&check.claim.doc);
	check.claim = (struct claim){ 0 };
	check.has_pci = false;
	is_no_guest();
}

#define NIC(attributes, model)                                                                     \
	"<domain><devices><interface " attributes ">" model "</interface></devices></domain>"

static void an_emulated_network_card_is_told_and_no_kind_of_virtio(void **state)
{
	static const char *const good[] = {
		NIC("type='network'", "<model type='virtio'/>"),
		NIC("type='network'", "<model type='virtio-non-transitional'/>"),
		NIC("type='vdpa'", ""),
		NIC("type='hostdev'", ""),
	};

	is_guest(NIC("type='network'", "<model type='e1000e'/>"));
	assert_found(*state, "virtio", LEVEL_WARNING, "a network card is emulated");
	is_no_guest();
	is_guest(NIC("type='network'", ""));
	assert_found(*state, "virtio", LEVEL_WARNING, "a network card is emulated");
	is_no_guest();
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		is_guest(good[i]);
		assert_int_equal(row(*state, "virtio"), 0);
		is_no_guest();
	}
}

#define DISK(bus, controller)                                                                      \
	"<domain><devices><disk type='file' device='disk'><target dev='sda' bus='" bus             \
	"'/></disk>" controller "</devices></domain>"

static void an_emulated_disk_is_told_whatever_its_bus(void **state)
{
	static const struct {
		const char *xml;
		bool emulated;
	} cases[] = {
		{ DISK("sata", ""), true },
		{ DISK("usb", ""), true },
		{ DISK("scsi", "<controller type='scsi' model='lsilogic'/>"), true },
		{ DISK("scsi", "<controller type='scsi'/>"), true },
		{ DISK("scsi", "<controller type='scsi' model='virtio-scsi'/>"), false },
		{ DISK("virtio", "<controller type='scsi' model='lsilogic'/>"), false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		is_guest(cases[i].xml);
		if (cases[i].emulated)
			assert_found(*state, "virtio", LEVEL_WARNING, "a disk is on an emulated");
		else
			assert_int_equal(row(*state, "virtio"), 0);
		is_no_guest();
	}
}

static void a_disk_by_a_name_that_the_next_boot_may_change_is_told(void **state)
{
	static const char *const names[][2] = {
		{ "sdb", "mapper/vg-win" }, { "dm-0", "md/home" },     { "md127", "zvol/tank/win" },
		{ "zd0", "disk/by-id/x" },  { "loop1", "vg/windows" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t stable = 0; stable < 2; stable++) {
			_cleanup_free_ char *xml = NULL;

			assert_true(asprintf(&xml,
					     "<domain><devices><disk type='block'><source "
					     "dev='/dev/%s'/></disk></devices></domain>",
					     names[i][stable]) > 0);
			is_guest(xml);
			if (stable)
				assert_int_equal(row(*state, "disks"), 0);
			else
				assert_found(*state, "disks", LEVEL_WARNING, names[i][0]);
			is_no_guest();
		}
}

static void where_vcpus_without_a_pin_run_is_told(void **state)
{
	const struct tree *tree = *state;

	cpulist_add(&check.online, 4);
	cpulist_add(&check.online, 5);
	is_guest("<domain><vcpu cpuset='4-5'>2</vcpu></domain>");
	check.has_pci = true;
	assert_found(tree, "pins", LEVEL_WARNING,
		     "all of them move between CPUs 4-5, which the host uses too");
	assert_int_equal(inidoc_add(&check.claim.doc, "cpuset", "cpus", "4-5"), 0);
	assert_int_equal(row(tree, "pins"), 0);
	check.has_pci = false;
	is_no_guest();
	is_guest("<domain><vcpu cpuset='4,40'>2</vcpu></domain>");
	assert_found(tree, "pins", LEVEL_WARNING, "pinned to CPU 40, not online");
	is_no_guest();
	is_guest("<domain><vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='4'/><vcpupin vcpu='1' "
		 "cpuset='40'/></cputune></domain>");
	assert_found(tree, "pins", LEVEL_ERROR, "pinned to CPU 40, not online");
	is_no_guest();
	check.online = (struct cpulist){ 0 };
}

/* Either may be the one that comes second: with a policy, or without one */
static void what_one_of_two_guests_of_the_hosts_start_is_refused_for_is_told(void **state)
{
	autostarted = "<domain><name>b</name></domain>";
	is_guest("<domain><name>a</name></domain>");
	check.claim.guest = check.guest.name;
	hooks[0].guest = "a";
	hooks[1].guest = "b";
	hooks[1].refused = "b: CPU 3 belongs to guest a alone while it runs: shut that guest down";
	assert_int_equal(row(*state, "autostart"), 0);
	check.guest.autostart = true;
	assert_found(*state, "autostart", LEVEL_ERROR,
		     "guest b starts with the host and wants CPU 3 too, and which of the two gets "
		     "it is chance, the other is refused: pin one of them to other CPUs, set "
		     "isolate = no in [cpuset] of both policies, or virsh autostart");
	/* It can come first as well */
	hooks[1].refused = NULL;
	assert_int_equal(row(*state, "autostart"), 0);
	hooks[1].managed = true;
	hooks[0].refused = "a: disk /dev/sdb is held by guest b: shut that guest down first";
	assert_found(*state, "autostart", LEVEL_ERROR,
		     "wants disk /dev/sdb too, and which of the two gets it is chance, the other "
		     "is refused: virsh autostart --disable one of them");
	/* A refusal that has nothing to do with the other */
	hooks[0].refused = "a: cannot read the guest's XML";
	assert_int_equal(row(*state, "autostart"), 0);
	check.claim.guest = NULL;
	memset(hooks, 0, sizeof(hooks));
	is_no_guest();
}

static void memory_that_guests_of_the_hosts_start_lack_is_told(void **state)
{
	static const char ours[] =
		"<domain><name>a</name><memory unit='KiB'>6291456</memory><memoryBacking>"
		"<hugepages/></memoryBacking></domain>";

	autostarted = "<domain><name>b</name><memory unit='KiB'>4194304</memory><devices>"
		      "<hostdev mode='subsystem' type='pci'/></devices></domain>";
	tree_file(*state, "proc/meminfo", "MemTotal:        8000000 kB\nMemFree:  1 kB\n");
	is_guest(ours);
	check.guest.autostart = true;
	assert_found(*state, "autostart", LEVEL_ERROR,
		     "the guests that start with the host take 10240 MiB for themselves alone "
		     "(huge pages, or locked for devices), and it has 7812 MiB");
	/* Memory that can be swapped out */
	autostarted = "<domain><name>b</name><memory unit='KiB'>4194304</memory></domain>";
	assert_int_equal(row(*state, "autostart"), 0);
	is_no_guest();
}

#define WINDOWS(id, cpu)                                                                           \
	"<domain><metadata><libosinfo:libosinfo "                                                  \
	"xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"                         \
	"<libosinfo:os id='http://microsoft.com/win/" id "'/></libosinfo:libosinfo></metadata>"    \
	"<vcpu placement='static'>8</vcpu>" cpu "</domain>"

static void sockets_that_windows_leaves_idle_are_told(void **state)
{
	static const struct {
		const char *xml;
		enum level level; /* ok: nothing */
		const char *text;
	} cases[] = {
		{ WINDOWS("11", ""), LEVEL_WARNING,
		  "the guest has 8 sockets, of which Windows uses two at most, and its Home "
		  "edition "
		  "one: other vCPUs stay idle: set <topology sockets='1' dies='1' cores='8' "
		  "threads='1'/> in <cpu>" },
		{ WINDOWS("10",
			  "<cpu><topology sockets='4' dies='1' cores='1' threads='2'/></cpu>"),
		  LEVEL_WARNING, "cores='4' threads='2'" },
		{ WINDOWS("10",
			  "<cpu><topology sockets='2' dies='1' cores='4' threads='1'/></cpu>"),
		  LEVEL_NOTE, "the guest has 2 sockets" },
		{ WINDOWS("11",
			  "<cpu><topology sockets='1' dies='1' cores='8' threads='1'/></cpu>"),
		  LEVEL_OK, NULL },
		{ WINDOWS("2k22", ""), LEVEL_OK, NULL },
		{ "<domain><vcpu>8</vcpu></domain>", LEVEL_OK, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		is_guest(cases[i].xml);
		if (cases[i].text)
			assert_found(*state, "topology", cases[i].level, cases[i].text);
		else
			assert_int_equal(row(*state, "topology"), 0);
		is_no_guest();
	}
}

static void threads_that_an_amd_cpu_hides_are_told(void **state)
{
#define THREADS(mode, feature)                                                                     \
	"<domain><vcpu>4</vcpu><cpu mode='" mode                                                   \
	"'><topology sockets='1' cores='2' threads='2'/>" feature "</cpu></domain>"
	static const char topoext[] =
		THREADS("host-passthrough", "<feature policy='require' name='topoext'/>");

	is_guest(THREADS("host-passthrough", ""));
	tree_file(*state, "proc/cpuinfo", "vendor_id\t: GenuineIntel\n");
	assert_int_equal(row(*state, "topology"), 0);
	tree_file(*state, "proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
	assert_found(*state, "topology", LEVEL_WARNING,
		     "add <feature policy='require' name='topoext'/> to <cpu>");
	is_no_guest();
	is_guest(THREADS("host-passthrough", "<feature policy='disable' name='topoext'/>"));
	assert_int_equal(row(*state, "topology"), 1);
	is_no_guest();
	is_guest(topoext);
	assert_int_equal(row(*state, "topology"), 0);
	is_no_guest();
	/* A model of QEMU's has it, or is no AMD CPU */
	is_guest(THREADS("custom", ""));
	assert_int_equal(row(*state, "topology"), 0);
	is_no_guest();
}

static void a_gpus_guest_that_boots_by_bios_is_told(void **state)
{
	static const char *const good[] = {
		"<domain><os firmware='efi'/></domain>",
		"<domain><os><loader readonly='yes' type='pflash'>/OVMF.fd</loader></os></domain>",
	};

	is_guest("<domain><os><type machine='q35'>hvm</type></os></domain>");
	assert_int_equal(row(*state, "machine"), 0);
	check.has_gpu = true;
	assert_found(*state, "machine", LEVEL_NOTE, "the guest boots by BIOS");
	is_no_guest();
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		is_guest(good[i]);
		assert_int_equal(row(*state, "machine"), 0);
		is_no_guest();
	}
	check.has_gpu = false;
}

/* As virt-install leaves it to libvirt, which adds one */
static void a_balloon_that_the_xml_does_not_speak_of_is_told(void **state)
{
	is_guest("<domain><devices/></domain>");
	assert_int_equal(row(*state, "balloon"), 0);
	check.has_pci = true;
	assert_found(*state, "balloon", LEVEL_WARNING, "set <memballoon model='none'/>");
	is_no_guest();
	is_guest("<domain><devices><memballoon model='none'/></devices></domain>");
	assert_int_equal(row(*state, "balloon"), 0);
	is_no_guest();
	check.has_pci = false;
}

/* A helper that names the claim it looks at, and has a fault to tell */
static void make_helper(const struct tree *tree, const char *name, int status)
{
	char path[64], text[128];

	(void)snprintf(path, sizeof(path), "usher-%s", name);
	(void)snprintf(text, sizeof(text),
		       "#!/bin/sh\necho \"usher: win11: %s: $4\" >&2\nexit %d\n", name, status);
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

static bool finds(enum level level, const char *step, const char *file)
{
	for (size_t i = 0; i < check.nr; i++)
		if (check.findings[i].level == level &&
		    strncmp(check.findings[i].text, step, strlen(step)) == 0 &&
		    strstr(check.findings[i].text, file))
			return true;
	return false;
}

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define LIVE "run/usher/" UUID "/claim.ini"

/* win11 runs with this claim: QEMU's pid is 200 */
static void make_running(const struct tree *tree, const char *claim)
{
	static const char proc[] = "200 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 2000 0 0\n";
	static char name[] = "win11";
	struct ini_error err;

	programs = tree->dir;
	check.guest.name = name;
	assert_int_equal(claim_parse(claim, strlen(claim), &check.claim, &err), 0);
	tree_file(tree, LIVE, claim);
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	tree_file(tree, "proc/200/stat", proc);
}

static void forget_running(void)
{
	claim_free(&check.claim);
	check.claim = (struct claim){ 0 };
	check.guest.name = NULL;
}

/* Its pins, its inhibitor: what was done for it may have been undone by somebody else since */
static void a_running_guest_is_looked_at_by_its_own_claim(void **state)
{
	static const char claim[] = "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
				    "\nstate = running\nowner = 200 2000\n"
				    "required = vfio cpuset\n[vfio]\ndriver = auto\n"
				    "[cpuset]\ncpus = 2\nvcpu = 0 2\n";
	const struct tree *tree = *state;

	make_running(tree, claim);
	make_helper(tree, "vfio", 0);
	make_helper(tree, "cpuset", 1);
	assert_int_equal(row(tree, "steps"), 2);
	assert_true(finds(LEVEL_WARNING, "cpuset: ", "/" LIVE));
	assert_true(finds(LEVEL_NOTE, "vfio: ", "/tmp/usher."));
	/* Its QEMU has gone: the next start is what counts */
	assert_int_equal(unlinkat(tree->rootfd, "proc/200/stat", 0), 0);
	assert_int_equal(row(tree, "steps"), 2);
	assert_true(finds(LEVEL_ERROR, "cpuset: ", "/tmp/usher."));
	forget_running();
}

static void a_running_guest_without_a_fault_is_said_to_be_well(void **state)
{
	static const char claim[] = "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
				    "\nstate = running\nowner = 200 2000\nrequired =\n"
				    "[nosleep]\ninhibit = sleep\nmode = block\n";
	const struct tree *tree = *state;

	make_running(tree, claim);
	tree_file(tree, "usher-nosleep", "#!/bin/sh\n");
	assert_int_equal(fchmodat(tree->rootfd, "usher-nosleep", 0755, 0), 0);
	assert_found(tree, "steps", LEVEL_OK, "what the running guest was given");
	forget_running();
}

static void each_row_has_a_name_of_its_own_and_says_what_is_good(void **state)
{
	const struct check_row *rows[] = { check_host_rows, check_guest_rows };
	const size_t nr[] = { check_nr_host_rows, check_nr_guest_rows };
	char page[32768];
	int fd = open("helpers/usher/usher.8", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, page, sizeof(page) - 1);

	(void)state;
	assert_true(n > 0);
	page[n] = '\0';
	(void)close(fd);
	for (size_t t = 0; t < ARRAY_SIZE(rows); t++)
		for (size_t i = 0; i < nr[t]; i++) {
			char item[64];

			assert_true(strlen(rows[t][i].good) > 0);
			assert_int_equal(rows[t][i].guest, t == 1);
			(void)snprintf(item, sizeof(item), "\n.It Sy %s\n", rows[t][i].name);
			if (!strstr(page, item))
				fail_msg("usher(8) lacks the check %s", rows[t][i].name);
		}
}

static int teardown(void **state)
{
	forget();
	programs = "/usr/sbin";
	return tree_teardown(state);
}

#define check_test(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		check_test(the_tick_is_told_where_a_guest_has_cpus_for_itself),
		check_test(an_iommu_is_missing_in_the_firmware_or_in_the_kernel),
		check_test(the_boolean_does_not_free_virtqemuds_hook),
		check_test(an_unconfined_hook_is_free_without_the_boolean),
		check_test(a_policy_that_cannot_be_asked_is_no_ok),
		check_test(a_label_that_libvirt_may_not_run_is_told),
		check_test(rivals_are_told_by_process_or_by_what_they_leave),
		check_test(a_hook_that_leads_nowhere_is_told),
		check_test(a_copy_of_the_hook_is_no_other_hook),
		check_test(hooks_of_others_are_named),
		check_test(a_hook_of_ones_own_that_calls_usher_is_usher),
		check_test(a_folder_of_hooks_that_is_roots_to_read_is_no_missing_hook),
		check_test(a_hook_that_was_edited_under_the_daemon_needs_no_reload),
		check_test(what_cannot_be_looked_at_is_no_ok),
		check_test(lockdown_and_old_cgroups_are_told),
		check_test(a_guests_scripts_are_told_and_a_name_of_dots_has_none),
		check_test(an_emulated_network_card_is_told_and_no_kind_of_virtio),
		check_test(an_emulated_disk_is_told_whatever_its_bus),
		check_test(a_disk_by_a_name_that_the_next_boot_may_change_is_told),
		check_test(where_vcpus_without_a_pin_run_is_told),
		check_test(a_guest_without_pins_is_told_unless_its_cpus_are_kept_all_the_same),
		check_test(devices_are_passed_by_their_addresses_however_written),
		check_test(a_card_that_another_guest_of_the_hosts_start_has_is_told),
		check_test(what_one_of_two_guests_of_the_hosts_start_is_refused_for_is_told),
		check_test(memory_that_guests_of_the_hosts_start_lack_is_told),
		check_test(sockets_that_windows_leaves_idle_are_told),
		check_test(threads_that_an_amd_cpu_hides_are_told),
		check_test(a_gpus_guest_that_boots_by_bios_is_told),
		check_test(a_balloon_that_the_xml_does_not_speak_of_is_told),
		check_test(a_running_guest_is_looked_at_by_its_own_claim),
		check_test(a_running_guest_without_a_fault_is_said_to_be_well),
		check_test(each_row_has_a_name_of_its_own_and_says_what_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
