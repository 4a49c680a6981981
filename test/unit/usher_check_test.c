/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_check_test.c - the host's rows, on hosts that the lab cannot be */

#include "usher_host.h"

#include "helpers/usher/check.h"

static struct check check;
static struct request request;

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
	fail_msg("there is no row %s", name);
	abort();
}

/* One row's findings. Return: their number */
static size_t row(const struct tree *tree, const char *name)
{
	forget();
	request = (struct request){ .root = tree->dir, .dir = tree->dir };
	check.request = &request;
	check.rootfd = tree->rootfd;
	check.name = name;
	find_row(name)->run(&check);
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
	assert_found(tree, "iommu", LEVEL_ERROR, "the kernel does not use it: add intel_iommu=on");
	tree_file(tree, "proc/cmdline", "ro amd_iommu=off quiet\n");
	assert_found(tree, "iommu", LEVEL_ERROR, "the kernel was told amd_iommu=off");
	tree_file(tree, "sys/kernel/iommu_groups/0/devices/x", "");
	assert_int_equal(row(tree, "iommu"), 0);
}

static void selinux_confines_hooks_unless_told_otherwise(void **state)
{
	const struct tree *tree = *state;

	assert_int_equal(row(tree, "selinux"), 0);
	tree_file(tree, "sys/fs/selinux/enforce", "1");
	assert_found(tree, "selinux", LEVEL_WARNING, "ausearch");
	tree_file(tree, "sys/fs/selinux/booleans/virt_hooks_unconfined", "0 0");
	assert_found(tree, "selinux", LEVEL_ERROR, "setsebool -P virt_hooks_unconfined on");
	tree_file(tree, "sys/fs/selinux/booleans/virt_hooks_unconfined", "1 1");
	assert_int_equal(row(tree, "selinux"), 0);
	tree_file(tree, "sys/fs/selinux/booleans/virt_hooks_unconfined", "0 0");
	tree_file(tree, "sys/fs/selinux/enforce", "0");
	assert_int_equal(row(tree, "selinux"), 0);
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
	tree_file(tree, hook, "#!/bin/sh\n");
	assert_found(tree, "hook", LEVEL_ERROR, "is another hook, and usher is not beside it");
	assert_int_equal(unlinkat(tree->rootfd, "etc/libvirt/hooks/qemu.d/usher", 0), 0);
	tree_file(tree, "etc/libvirt/hooks/qemu.d/my-usher", copy);
	assert_int_equal(fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/my-usher", 0755, 0), 0);
	assert_found(tree, "hook", LEVEL_WARNING, "is another hook, which libvirt runs first");
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
	check.guest.name = dots;
	assert_int_equal(row(tree, "scripts"), 0);
	check.guest.name = dot;
	assert_int_equal(row(tree, "scripts"), 0);
	check.guest.name = NULL;
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
	return tree_teardown(state);
}

#define check_test(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		check_test(an_iommu_is_missing_in_the_firmware_or_in_the_kernel),
		check_test(selinux_confines_hooks_unless_told_otherwise),
		check_test(rivals_are_told_by_process_or_by_what_they_leave),
		check_test(a_hook_that_leads_nowhere_is_told),
		check_test(a_copy_of_the_hook_is_no_other_hook),
		check_test(lockdown_and_old_cgroups_are_told),
		check_test(a_guests_scripts_are_told_and_a_name_of_dots_has_none),
		check_test(each_row_has_a_name_of_its_own_and_says_what_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
