/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/vfio_host.h - a host with PCI devices on a tree, and a kernel that binds their drivers
 *
 * The head of a test that includes this names what the linker wraps, in lines behind "wraps:":
 * attr_write module_load process_identify process_alive
 * journal_add journal_undone state_write state_remove
 */
#pragma once

#include "tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "helpers/vfio/vfio.h"
#include "lib/deadline.h"
#include "lib/module.h"
#include "lib/process.h"
#include "lib/state.h"

#define UUID	   "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define OTHER_UUID "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define CLAIM_DIR  "run/usher/" UUID
#define DEVICES	   "sys/bus/pci/devices/"

#define GPU   "0000:01:00.0"
#define AUDIO "0000:01:00.1"
#define NIC   "0000:02:00.0"
#define NVME  "0000:03:00.0"
#define USB   "0000:04:00.0"

#define GPU_LINE   "device = " GPU " 10de:1b80 hostdev unmanaged\n"
#define AUDIO_LINE "device = " AUDIO " 10de:10f0 slot unmanaged\n"
#define NIC_LINE   "device = " NIC " 8086:10d3 hostdev managed\n"
#define NVME_LINE  "device = " NVME " 144d:a808 nvme unmanaged\n"
#define USB_LINE   "device = " USB " 1033:0194 policy unmanaged\n"

/* --- The kernel: its state is the tree, its faults are shared by all processes ------------------ */

struct kernel {
	int writes;	   /* attribute writes so far */
	int points;	   /* things done so far between which a process can be killed */
	int fail_at;	   /* this write fails, 0 for none */
	int fail_to;	   /* and all up to this one */
	int lie_at;	   /* this write says that it was made, and is not */
	int hang_at;	   /* this write does not return before release is 1 */
	int hang_again_at; /* nor this one before it is 2 */
	int release;
	int kill_at;	/* at this point who is there dies */
	bool kill_both; /* and the process that started it */
	bool kill_starter_only;
	const char *thief; /* a driver that takes what is probed for vfio-pci */
	bool lazy;	   /* probe says yes and binds nothing */
	bool deaf;	   /* unbind says yes and does nothing */
	bool no_room;	   /* no BAR can be given another size */
	bool dirty;	   /* the GPU's own driver fails on it until it is found anew */
	bool lost;	   /* what is taken off the bus is not found again */
	bool sets_power;   /* a driver that comes or goes sets its runtime power management */
	bool lazy_bars;	   /* resourceN_resize says yes and does nothing */
	bool reset_in_use; /* reset_method was written while the host's driver had the device */
	int module_error;  /* what modprobe comes to */
	char modules[64];  /* what was loaded */
	void (*on_module_load)(const char *name);
	pid_t starter; /* the helper, where it is a process of its own */
};

static struct kernel *kernel;
static struct tree *host;

/* What a driver finds when it is probed without an override */
static inline const char *natural_driver(const char *addr)
{
	static const char *const drivers[][2] = {
		{ GPU, "nvidia" },
		{ AUDIO, "snd_hda_intel" },
		{ NIC, "e1000e" },
		{ NVME, "nvme" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i][0], addr) == 0)
			return drivers[i][1];
	return "";
}

static inline void device_path(char *buf, size_t size, const char *addr, const char *file)
{
	assert_int_equal(path_format(buf, size, DEVICES "%s/%s", addr, file), 0);
}

/* The driver's own link to the device, where the driver is loaded */
static inline void set_device_of(const char *driver, const char *addr, bool there)
{
	char path[256], target[128];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/%s", driver, addr);
	(void)unlinkat(host->rootfd, path, 0);
	(void)snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", addr);
	if (there && symlinkat(target, host->rootfd, path) < 0 && errno != ENOENT &&
	    errno != EEXIST)
		abort();
}

static inline void set_driver(const char *addr, const char *driver)
{
	char path[256], target[128], old[64];

	device_path(path, sizeof(path), addr, "driver");
	if (attr_link(host->rootfd, path, old, sizeof(old)) > 0)
		set_device_of(old, addr, false);
	(void)unlinkat(host->rootfd, path, 0);
	if (!*driver)
		return;
	set_device_of(driver, addr, true);
	(void)snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	/* A probe and the loading of a driver may both come to it */
	if (symlinkat(target, host->rootfd, path) < 0 && errno != EEXIST)
		abort();
}

static inline const char *driver_of(const char *addr)
{
	static char name[64];
	char path[256];

	device_path(path, sizeof(path), addr, "driver");
	(void)(attr_link(host->rootfd, path, name, sizeof(name)) < 0);
	return name;
}

static inline const char *override_of(const char *addr)
{
	static char text[64];
	char path[256];

	device_path(path, sizeof(path), addr, "driver_override");
	(void)(attr_read(host->rootfd, path, text, sizeof(text)) < 0);
	return text;
}

static inline bool driver_exists(const char *driver)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s", driver);
	return attr_exists(host->rootfd, path) == 1;
}

/* ABI: vfio_pci_core_register_device(), vfio_pci_core_unregister_device(), Linux 6.1 */
static inline void kernel_power(const char *addr, const char *control)
{
	char path[256];

	device_path(path, sizeof(path), addr, "power/control");
	if (kernel->sets_power && attr_exists(host->rootfd, path) == 1)
		tree_file(host, path, control);
}

static inline int kernel_probe(const char *addr)
{
	const char *wants = override_of(addr);

	if (strcmp(wants, "(null)") == 0)
		wants = natural_driver(addr);
	if (*driver_of(addr) || kernel->lazy)
		return 0;
	if (kernel->dirty && strcmp(addr, GPU) == 0 && strcmp(wants, "vfio-pci") != 0)
		return 0;
	if (kernel->thief && strcmp(wants, "vfio-pci") == 0)
		wants = kernel->thief;
	if (*wants && driver_exists(wants))
		set_driver(addr, wants);
	if (strcmp(driver_of(addr), "vfio-pci") == 0)
		kernel_power(addr, "auto");
	return 0;
}

/* The range of BAR 0, whose start nobody looks at. ABI: drivers/pci/pci-sysfs.c, resource_show() */
static inline void set_bar0(const char *addr, unsigned int size)
{
	char path[256], text[256];

	device_path(path, sizeof(path), addr, "resource");
	(void)snprintf(text, sizeof(text),
		       "0x000000e000000000 0x%016llx 0x000000000014220c\n"
		       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		       "0x00000000fcc00000 0x00000000fcc3ffff 0x0000000000040200\n",
		       0xe000000000ULL + (1ULL << (size + 20)) - 1);
	tree_file(host, path, text);
}

/* ABI: drivers/pci/pci-sysfs.c, __resource_resize_store(); Linux 6.12 */
static inline int kernel_resize(const char *addr, const char *path, const char *val)
{
	unsigned long long sizes = 0;
	unsigned int size;
	char text[64];

	if (*driver_of(addr))
		return -EBUSY;
	if (attr_read(host->rootfd, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%llx", &sizes) != 1 || sscanf(val, "%u", &size) != 1)
		return -ENOENT;
	if (kernel->no_room)
		return -ENOSPC;
	if (!(sizes >> size & 1))
		return -EINVAL;
	if (!kernel->lazy_bars)
		set_bar0(addr, size);
	return 0;
}

/* What is off the bus lies here */
#define OFF_BUS "off-bus"

/* ABI: drivers/pci/pci-sysfs.c, remove_store(): its driver lets go first */
static inline int kernel_remove(const char *addr)
{
	char from[256], to[256];

	device_path(from, sizeof(from), addr, "");
	from[strlen(from) - 1] = '\0';
	(void)snprintf(to, sizeof(to), OFF_BUS "/%s", addr);
	tree_dir(host, OFF_BUS);
	set_driver(addr, "");
	return renameat(host->rootfd, from, host->rootfd, to) < 0 ? -errno : 0;
}

/* A new device: nobody's override, and a driver from what fits */
static inline int kernel_rescan(void)
{
	static const char *const addrs[] = { GPU, AUDIO, NIC, NVME, USB };

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		char from[256], to[256];

		(void)snprintf(from, sizeof(from), OFF_BUS "/%s", addrs[i]);
		device_path(to, sizeof(to), addrs[i], "");
		to[strlen(to) - 1] = '\0';
		if (kernel->lost || renameat(host->rootfd, from, host->rootfd, to) < 0)
			continue;
		kernel->dirty &= strcmp(addrs[i], GPU) != 0;
		device_path(to, sizeof(to), addrs[i], "driver_override");
		tree_file(host, to, "(null)");
		(void)kernel_probe(addrs[i]);
	}
	return 0;
}

static inline int kernel_store(const char *path, const char *val)
{
	char addr[32] = "", file[256];

	if (strcmp(path, "sys/bus/pci/drivers_probe") == 0)
		return kernel_probe(val);
	if (strcmp(path, "sys/bus/pci/rescan") == 0)
		return kernel_rescan();
	if (sscanf(path, DEVICES "%31[^/]", addr) != 1)
		return -ENOENT;
	if (strstr(path, "/remove"))
		return kernel_remove(addr);
	if (strstr(path, "/driver/unbind")) {
		if (!*driver_of(addr))
			return -ENOENT;
		if (strcmp(addr, val) != 0)
			return -ENODEV;
		if (!kernel->deaf)
			set_driver(addr, "");
		kernel_power(addr, "on");
		return 0;
	}
	if (strstr(path, "_resize"))
		return kernel_resize(addr, path, val);
	if (strstr(path, "/reset_method") && *driver_of(addr) &&
	    strcmp(driver_of(addr), "vfio-pci") != 0)
		kernel->reset_in_use = true;
	device_path(file, sizeof(file), addr, "driver_override");
	if (strcmp(file, path) != 0 && attr_exists(host->rootfd, path) == 1) {
		tree_file(host, path, val);
		return 0;
	}
	if (strcmp(file, path) != 0 || attr_exists(host->rootfd, path) != 1)
		return -ENOENT;
	tree_file(host, path, *val ? val : "(null)");
	return 0;
}

/* A worker closes what it does not know, our way into the tree too */
static inline void host_reopen(void)
{
	static pid_t opened_by;

	if (opened_by && opened_by != getpid())
		host->rootfd = root_open(host->dir);
	opened_by = getpid();
}

/* A place where a kill -9 can hit */
static inline void kernel_point(void)
{
	int nr = __atomic_add_fetch(&kernel->points, 1, __ATOMIC_SEQ_CST);

	if (nr != kernel->kill_at)
		return;
	if ((kernel->kill_both || kernel->kill_starter_only) && kernel->starter != getpid())
		(void)kill(kernel->starter, SIGKILL);
	if (kernel->kill_starter_only && kernel->starter != getpid()) {
		/* It is not gone before its descriptors are */
		(void)poll(NULL, 0, 20);
		return;
	}
	_exit(9);
}

/* As in the kernel: the driver link goes first, then the driver's remove() sleeps */
static inline int kernel_hang(const char *path, const char *val, int until)
{
	bool unbind = strstr(path, "/driver/unbind");

	if (unbind)
		set_driver(val, "");
	while (__atomic_load_n(&kernel->release, __ATOMIC_SEQ_CST) < until)
		(void)poll(NULL, 0, 2);
	return unbind ? 0 : kernel_store(path, val);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_attr_write(int rootfd, const char *path, const char *val);
int __wrap_module_load(int rootfd, const char *name, int timeout_ms);
int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret);
int __wrap_process_alive(int rootfd, const struct process *process);
int __wrap_journal_add(struct journal *journal, const char *verb, const char *object,
		       const char *old_value, const char *new_value);
int __wrap_journal_undone(struct journal *journal, size_t index);
int __wrap_state_write(int dirfd, const char *name, const char *data, size_t len);
int __wrap_state_remove(int dirfd, const char *name);
int __real_process_identify(int rootfd, pid_t pid, struct process *ret);
int __real_process_alive(int rootfd, const struct process *process);
int __real_journal_add(struct journal *journal, const char *verb, const char *object,
		       const char *old_value, const char *new_value);
int __real_journal_undone(struct journal *journal, size_t index);
int __real_state_write(int dirfd, const char *name, const char *data, size_t len);
int __real_state_remove(int dirfd, const char *name);

int __wrap_attr_write(int rootfd, const char *path, const char *val)
{
	int nr = __atomic_add_fetch(&kernel->writes, 1, __ATOMIC_SEQ_CST);

	(void)rootfd;
	host_reopen();
	kernel_point();
	if (nr >= kernel->fail_at && nr <= kernel->fail_to)
		return -EIO;
	if (nr == kernel->lie_at)
		return 0;
	if (nr == kernel->hang_at)
		return kernel_hang(path, val, 1);
	if (nr == kernel->hang_again_at)
		return kernel_hang(path, val, 2);
	return kernel_store(path, val);
}

/* What a module registers: mostly a driver of its name; the core of xHCI's registers none */
static inline const char *driver_of_module(const char *name)
{
	static const char *const drivers[][2] = {
		{ "xhci_hcd", "" },
		{ "xhci_pci", "xhci_hcd" },
		{ "pci:v00001033d00000194sv00001AF4sd0bc0Csc03i30", "xhci_hcd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i][0], name) == 0)
			return drivers[i][1];
	return name;
}

int __wrap_module_load(int rootfd, const char *name, int timeout_ms)
{
	char path[256];

	(void)rootfd;
	host_reopen();
	assert_true(timeout_ms > 0);
	(void)snprintf(kernel->modules, sizeof(kernel->modules), "%s", name);
	if (kernel->module_error)
		return kernel->module_error;
	(void)snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s", driver_of_module(name));
	tree_dir(host, path);
	if (kernel->on_module_load)
		kernel->on_module_load(name);
	return 0;
}

/* Workers are real processes: the tree's proc has none of them */
int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret)
{
	_cleanup_close_ int real = root_open("/");

	(void)rootfd;
	return __real_process_identify(real, pid, ret);
}

int __wrap_process_alive(int rootfd, const struct process *process)
{
	_cleanup_close_ int real = root_open("/");

	(void)rootfd;
	return __real_process_alive(real, process);
}

int __wrap_journal_add(struct journal *journal, const char *verb, const char *object,
		       const char *old_value, const char *new_value)
{
	kernel_point();
	return __real_journal_add(journal, verb, object, old_value, new_value);
}

int __wrap_journal_undone(struct journal *journal, size_t index)
{
	kernel_point();
	return __real_journal_undone(journal, index);
}

int __wrap_state_write(int dirfd, const char *name, const char *data, size_t len)
{
	kernel_point();
	return __real_state_write(dirfd, name, data, len);
}

int __wrap_state_remove(int dirfd, const char *name)
{
	kernel_point();
	return __real_state_remove(dirfd, name);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static const struct helper_verb vfio_verbs[] = {
	{ "replug", "test", vfio_replug },
};

static struct helper vfio_helper = {
	.name = "vfio",
	.help = "test",
	.apply_timeout_ms = 3000,
	.apply = vfio_apply,
	.undo = vfio_undo,
	.check = vfio_check,
	.verbs = vfio_verbs,
	.nr_verbs = ARRAY_SIZE(vfio_verbs),
};

/* --- The host ------------------------------------------------------------------------------------ */

static inline void add_device(const char *addr, const char *ids, const char *class, int group)
{
	char path[256], text[128];

	device_path(path, sizeof(path), addr, "vendor");
	(void)snprintf(text, sizeof(text), "0x%.4s\n", ids);
	tree_file(host, path, text);
	device_path(path, sizeof(path), addr, "device");
	(void)snprintf(text, sizeof(text), "0x%s\n", ids + 5);
	tree_file(host, path, text);
	device_path(path, sizeof(path), addr, "class");
	tree_file(host, path, class);
	device_path(path, sizeof(path), addr, "driver_override");
	tree_file(host, path, "(null)");
	set_driver(addr, natural_driver(addr));
	if (group < 0)
		return;
	device_path(path, sizeof(path), addr, "iommu_group");
	(void)snprintf(text, sizeof(text), "../../../kernel/iommu_groups/%d", group);
	tree_link(host, path, text);
	(void)snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", group, addr);
	tree_file(host, path, "");
}

static inline void add_driver(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s", name);
	tree_dir(host, path);
}

static inline void write_claim(const char *uuid, const char *vfio)
{
	char path[256], text[4096];

	(void)snprintf(path, sizeof(path), "run/usher/%s/claim.ini", uuid);
	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = %s\nstate = preparing\n"
		       "owner = 812 53321\nrequired = vfio\n[vfio]\n%s",
		       uuid, vfio);
	tree_file(host, path, text);
}

/* And its guest has run */
static inline void write_claim_that_ran(const char *vfio)
{
	char text[1024];

	assert_int_equal(path_format(text, sizeof(text), "%s[claim]\nran = yes\n", vfio), 0);
	write_claim(UUID, text);
}

static inline int host_setup(void **state)
{
	static const char *const drivers[] = { "vfio-pci", "nvidia",   "nouveau", "snd_hda_intel",
					       "e1000e",   "pcieport", "nvme",	  "xhci_hcd" };

	if (tree_setup(state) < 0)
		return -1;
	host = *state;
	kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (kernel == MAP_FAILED)
		return -1;
	host_reopen();
	vfio_helper.undo_timeout_ms = 1500;
	(void)umask(022);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		add_driver(drivers[i]);
	tree_dir(host, "proc");
	tree_dir(host, "run/systemd/system");
	tree_file(host, "sys/bus/pci/drivers_probe", "");
	add_device("0000:00:01.0", "8086:1901", "0x060400", 14);
	set_driver("0000:00:01.0", "pcieport");
	add_device(GPU, "10de:1b80", "0x030000", 14);
	add_device(AUDIO, "10de:10f0", "0x040300", 14);
	add_device(NIC, "8086:10d3", "0x020000", 15);
	add_device(NVME, "144d:a808", "0x010802", 16);
	add_device(USB, "1033:0194", "0x0c0330", 17);
	write_claim(UUID, GPU_LINE AUDIO_LINE NIC_LINE);
	return 0;
}

static inline int host_teardown(void **state)
{
	/* A worker that is left behind must not outlive its tree */
	__atomic_store_n(&kernel->release, 2, __ATOMIC_SEQ_CST);
	for (int i = 0; waitpid(-1, NULL, WNOHANG) >= 0; i++) {
		if (i > 2500)
			abort();
		(void)poll(NULL, 0, 2);
	}
	(void)munmap(kernel, sizeof(*kernel));
	return tree_teardown(state);
}

#define host_test(fn) cmocka_unit_test_setup_teardown(fn, host_setup, host_teardown)

/* Driver and override of every device, in a buffer that the next but one call overwrites */
static inline const char *snapshot(void)
{
	static const char *const addrs[] = { GPU, AUDIO, NIC, NVME, USB };
	static char texts[2][512];
	static int turn;
	char *text = texts[turn++ % 2];
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++)
		len += (size_t)snprintf(text + len, sizeof(texts[0]) - len, "%s %s %s\n", addrs[i],
					driver_of(addrs[i]), override_of(addrs[i]));
	return text;
}

/* --- The helper ------------------------------------------------------------------------------------ */

/* The guest's for whom it runs */
static const char *claim_dir = CLAIM_DIR;

/* What the last helper_run() wrote to stdout and stderr */
static char said[8192];

static inline int helper_start(const char *option, const char *verb)
{
	char claim[256];
	const char *argv[] = { "usher-vfio", "--root", host->dir, verb, claim, option, NULL };
	int argc = 5;

	(void)snprintf(claim, sizeof(claim), "%s/%s/claim.ini", host->dir, claim_dir);
	if (option) {
		argv[3] = option;
		argv[4] = verb;
		argv[5] = claim;
		argc = 6;
	}
	optind = 0;
	return helper_dispatch(argc, (char **)(uintptr_t)argv, &vfio_helper);
}

/* Return: the exit code */
static inline int helper_run(const char *option, const char *verb)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), r;
	FILE *file = tmpfile();
	size_t len;

	assert_non_null(file);
	(void)fflush(stdout);
	(void)dup2(fileno(file), STDOUT_FILENO);
	(void)dup2(fileno(file), STDERR_FILENO);
	r = helper_start(option, verb);
	(void)fflush(stdout);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)close(out);
	(void)close(err);
	rewind(file);
	len = fread(said, 1, sizeof(said) - 1, file);
	said[len] = '\0';
	(void)fclose(file);
	return r;
}

static inline int apply(void)
{
	return helper_run(NULL, "apply");
}

static inline int undo(void)
{
	return helper_run(NULL, "undo");
}

static inline int check(void)
{
	return helper_run(NULL, "check");
}

/* As a process of its own, which can be killed. Return: wait status */
static inline int helper_process(const char *verb)
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		kernel->starter = getpid();
		(void)close(STDERR_FILENO);
		assert_int_equal(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		_exit(helper_start(NULL, verb));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Is there anything in the claim's directory whose name begins so */
static inline bool claim_has(const char *prefix)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	assert_int_equal(attr_list(host->rootfd, CLAIM_DIR, &names), 0);
	for (size_t i = 0; i < names.nr; i++)
		if (strncmp(names.names[i], prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

/* Until a condition holds; a test that waits longer has failed */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		long long until_ = deadline_in(5000);                                              \
		while (!(condition) && deadline_left(until_) > 0)                                  \
			(void)poll(NULL, 0, 2);                                                    \
		assert_true(condition);                                                            \
	} while (0)

/*
 * A device of a subsystem below a PCI device
 * @node:	its file below /dev, "dri/card0"; NULL when it has none
 */
static inline void add_below(const char *addr, const char *below, const char *subsystem,
			     const char *node)
{
	char path[256], text[128];

	(void)snprintf(path, sizeof(path), DEVICES "%s/%s/subsystem", addr, below);
	(void)snprintf(text, sizeof(text), "../../../../class/%s", subsystem);
	tree_link(host, path, text);
	if (!node)
		return;
	(void)snprintf(path, sizeof(path), DEVICES "%s/%s/dev", addr, below);
	tree_file(host, path, "511:7\n");
	(void)snprintf(path, sizeof(path), DEVICES "%s/%s/uevent", addr, below);
	(void)snprintf(text, sizeof(text), "MAJOR=511\nMINOR=7\nDEVNAME=%s\nDEVTYPE=x\n", node);
	tree_file(host, path, text);
}

/* A process of the tree that has a file open; the file is named as proc shows it */
static inline void add_process(const char *pid, const char *comm, const char *open_file)
{
	char path[128], text[128];

	(void)snprintf(path, sizeof(path), "proc/%s/comm", pid);
	(void)snprintf(text, sizeof(text), "%s\n", comm);
	tree_file(host, path, text);
	(void)snprintf(path, sizeof(path), "proc/%s/fd/7", pid);
	tree_link(host, path, open_file);
}

static inline void remove_process_fd(const char *pid)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "proc/%s/fd/7", pid);
	(void)unlinkat(host->rootfd, path, 0);
}
