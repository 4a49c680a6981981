/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/fake_kernel_test.c - the fake kernel does what kernels were seen to do */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/journal.h"
#include "lib/module.h"
#include "lib/state.h"
#include "lib/sysbus.h"
#include "recorded.h"
#include "test/fake/fake.h"

#define GPU	 "sys/bus/pci/devices/0000:01:00.0/"
#define GPU_NAME "0000:01:00.0"
#define PROBE	 "sys/bus/pci/drivers_probe"
#define POOL	 "sys/devices/system/node/node0/hugepages/hugepages-2048kB/"
#define SCOPE	 "sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2dwin11.scope"
#define GUEST	 "win11"
#define QEMU_PID 4300001

static char dir[128];
static int rootfd = -1;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/tree", base);
	sh("cp -a %s/host %s", base, dir);
	rootfd = root_open(dir);
	return rootfd < 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)close(rootfd);
	sh("rm -rf %s", dir);
	return 0;
}

static void assert_attr(const char *path, const char *expected)
{
	char text[ATTR_MAX];

	assert_true(attr_read(rootfd, path, text, sizeof(text)) >= 0);
	assert_string_equal(text, expected);
}

static void assert_driver(const char *expected)
{
	char text[64];

	(void)!attr_link(rootfd, GPU "driver", text, sizeof(text));
	assert_string_equal(text, expected);
}

static void faults(const char *lines)
{
	assert_int_equal(tree_put(".fake/faults", lines), 0);
}

static void gpu_to_vfio(void)
{
	assert_int_equal(attr_write(rootfd, GPU "driver_override", "vfio-pci"), 0);
	assert_int_equal(attr_write(rootfd, GPU "driver/unbind", GPU_NAME), 0);
	assert_int_equal(attr_write(rootfd, PROBE, GPU_NAME), 0);
}

/* --- the tree ----------------------------------------------------------------------------------- */

static void a_root_without_fake_is_refused(void **state)
{
	(void)state;
	assert_int_equal(root_open("/"), -ENOENT);
	assert_int_equal(root_open("/nonexistent"), -ENOENT);
}

static void writes_to_another_root_are_refused(void **state)
{
	_cleanup_close_ int other = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(attr_write(other, "proc/sys/vm/stat_interval", "2"), -EPERM);
}

static void attributes_keep_no_bytes_of_the_last_write(void **state)
{
	(void)state;
	assert_int_equal(attr_write(rootfd, "proc/sys/vm/stat_interval", "1000"), 0);
	assert_int_equal(attr_write(rootfd, "proc/sys/vm/stat_interval", "1"), 0);
	assert_attr("proc/sys/vm/stat_interval", "1");
}

static void what_cannot_be_written_is_refused(void **state)
{
	(void)state;
	assert_int_equal(attr_write(rootfd, "proc/sys/vm/none", "1"), -ENOENT);
	assert_int_equal(attr_write(rootfd, "proc/sys/vm", "1"), -EISDIR);
	assert_int_equal(attr_write(rootfd, GPU "vendor", "1"), -EACCES);
}

/* --- PCI ---------------------------------------------------------------------------------------- */

static void a_gpu_goes_to_vfio_and_comes_back_with_all_its_nodes(void **state)
{
	(void)state;
	sh("test/trees/record %s > %s/before", dir, base);
	gpu_to_vfio();
	assert_driver("vfio-pci");
	assert_int_equal(attr_exists(rootfd, "dev/vfio/2"), 1);
	assert_int_equal(attr_exists(rootfd, "dev/dri/card1"), 0);
	assert_int_equal(attr_exists(rootfd, GPU "drm"), 0);
	assert_int_equal(attr_write(rootfd, GPU "driver_override", ""), 0);
	assert_attr(GPU "driver_override", "(null)");
	assert_int_equal(attr_write(rootfd, GPU "driver/unbind", GPU_NAME), 0);
	assert_driver("");
	assert_int_equal(attr_exists(rootfd, "dev/vfio/2"), 0);
	assert_int_equal(attr_write(rootfd, PROBE, GPU_NAME), 0);
	assert_driver("nouveau");
	sh("test/trees/record %s | diff %s/before -", dir, base);
}

static void bind_tells_apart_busy_and_no_match(void **state)
{
	(void)state;
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/drivers/nouveau/bind", GPU_NAME), -EBUSY);
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/drivers/igb/bind", GPU_NAME), -ENODEV);
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/drivers/igb/unbind", GPU_NAME), -ENODEV);
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/drivers/nouveau/bind", "0000:09:00.0"),
			 -ENODEV);
	assert_int_equal(attr_write(rootfd, GPU "driver/unbind", GPU_NAME), 0);
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/drivers/nouveau/bind", GPU_NAME), 0);
	assert_driver("nouveau");
}

static void an_override_shuts_other_drivers_out(void **state)
{
	(void)state;
	assert_int_equal(attr_write(rootfd, GPU "driver_override", "no-such"), 0);
	assert_int_equal(attr_write(rootfd, GPU "driver/unbind", GPU_NAME), 0);
	assert_int_equal(attr_write(rootfd, PROBE, GPU_NAME), 0);
	assert_driver("");
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/drivers/nouveau/bind", GPU_NAME), -ENODEV);
}

static void a_bridge_is_not_taken_by_vfio(void **state)
{
	(void)state;
	assert_int_equal(
		attr_write(rootfd, "sys/bus/pci/devices/0000:00:01.0/driver_override", "vfio-pci"),
		0);
	assert_int_equal(attr_write(rootfd, "sys/bus/pci/devices/0000:00:01.0/driver/unbind",
				    "0000:00:01.0"),
			 0);
	assert_int_equal(attr_write(rootfd, PROBE, "0000:00:01.0"), 0);
	assert_int_equal(attr_exists(rootfd, "sys/bus/pci/devices/0000:00:01.0/driver"), 0);
}

static void unbind_waits_for_who_has_the_group_open(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	gpu_to_vfio();
	assert_int_equal(tree_mkdirs("proc/4300009/fd"), 0);
	sh("ln -s /dev/vfio/2 %s/proc/4300009/fd/5", dir);
	pid = fork();
	if (pid == 0)
		_exit(attr_write(rootfd, GPU "driver/unbind", GPU_NAME) != 0);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_driver("vfio-pci");
	assert_int_equal(tree_remove("proc/4300009"), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_driver("");
}

static void loading_a_module_adds_its_driver_and_probes(void **state)
{
	(void)state;
	sh("mkdir -p %s/.fake/modules/my_gpu/sys/bus/pci/drivers/my-gpu "
	   "%s/.fake/modules/my_gpu/sys/module/my_gpu && echo nouveau my-gpu > "
	   "%s/.fake/match/" GPU_NAME,
	   dir, dir, dir);
	assert_int_equal(module_load(rootfd, "no-such", 1000), -ENOENT);
	assert_int_equal(attr_write(rootfd, GPU "driver/unbind", GPU_NAME), 0);
	sh("rm -r %s/sys/bus/pci/drivers/nouveau", dir);
	assert_int_equal(module_load(rootfd, "my-gpu", 1000), 0);
	assert_int_equal(module_loaded(rootfd, "my-gpu"), 1);
	assert_driver("my-gpu");
}

/* --- huge pages ------------------------------------------------------------------------------------ */

static void a_pool_grows_as_far_as_memory_is_contiguous_then_by_compaction(void **state)
{
	(void)state;
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "4096"), 0);
	assert_attr(POOL "nr_hugepages", "3584");
	assert_int_equal(attr_write(rootfd, "sys/devices/system/node/node0/compact", "1"), 0);
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "4096"), 0);
	assert_attr(POOL "nr_hugepages", "4096");
	assert_attr("proc/sys/vm/nr_hugepages", "4096");
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "512"), 0);
	assert_attr(POOL "free_hugepages", "512");
	assert_int_equal(tree_num(".fake/memory/node0/contiguous_kib"), 6291456 + 4194304);
}

/* Debian 13: 32 pages in use, 0 written: Total 32, Surp 32; gone with their user */
static void pages_in_use_become_surplus_and_end_with_their_user(void **state)
{
	struct huge_use use;

	(void)state;
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "32"), 0);
	assert_int_equal(hugetlb_take(-1, 2048, 33, &use), -ENOMEM);
	assert_attr(POOL "free_hugepages", "32");
	assert_int_equal(hugetlb_take(-1, 2048, 32, &use), 0);
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "0"), 0);
	assert_attr(POOL "nr_hugepages", "32");
	assert_attr(POOL "surplus_hugepages", "32");
	assert_int_equal(hugetlb_give(&use), 0);
	assert_attr(POOL "nr_hugepages", "0");
	assert_attr(POOL "surplus_hugepages", "0");
}

/* Debian 13: with Total 32 / Surp 32, 32 gives Surp 0, 64 gives 32 new pages */
static void growing_absorbs_surplus_first(void **state)
{
	struct huge_use use;

	(void)state;
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "32"), 0);
	assert_int_equal(hugetlb_take(0, 2048, 32, &use), 0);
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "0"), 0);
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "32"), 0);
	assert_attr(POOL "nr_hugepages", "32");
	assert_attr(POOL "surplus_hugepages", "0");
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "64"), 0);
	assert_attr(POOL "nr_hugepages", "64");
	assert_attr(POOL "free_hugepages", "32");
}

static void second_node(void)
{
	sh("cd %s && cp -a sys/devices/system/node/node0 sys/devices/system/node/node1 && "
	   "cp -a .fake/memory/node0 .fake/memory/node1 && "
	   "for s in 2048 1048576; do for f in nr free surplus; do "
	   "echo 0 > sys/devices/system/node/node1/hugepages/hugepages-${s}kB/${f}_hugepages; "
	   "done; done",
	   dir);
}

static void a_node_gets_only_its_own_pages(void **state)
{
	(void)state;
	second_node();
	assert_int_equal(attr_write(rootfd,
				    "sys/devices/system/node/node1/hugepages/hugepages-2048kB/"
				    "nr_hugepages",
				    "10000"),
			 0);
	assert_attr("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages",
		    "3072");
	assert_attr(POOL "nr_hugepages", "512");
	assert_attr("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "3584");
}

static void a_global_write_takes_turns_between_nodes(void **state)
{
	(void)state;
	second_node();
	assert_int_equal(attr_write(rootfd, "proc/sys/vm/nr_hugepages", "612"), 0);
	assert_attr(POOL "nr_hugepages", "562");
}

static void meminfo_follows_the_pool(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	(void)state;
	assert_int_equal(attr_write(rootfd, POOL "nr_hugepages", "612"), 0);
	assert_int_equal(attr_read_all(rootfd, "proc/meminfo", 65536, &text, &len), 0);
	assert_non_null(strstr(text, "HugePages_Total:     612\n"));
	assert_non_null(strstr(text, "MemFree:        10280960 kB\n"));
}

/* --- cpusets ---------------------------------------------------------------------------------------- */

static void start_guest(void)
{
	const char *why = "";

	sh("rm %s/.fake/guests/win11/pages %s/.fake/guests/win11/devices", dir, dir);
	assert_int_equal(guest_exec(GUEST, QEMU_PID, &why), 0);
}

static void exclusive_down_to(const char *leaf, const char *cpus)
{
	char path[PATH_MAX];

	assert_int_equal(attr_write(rootfd, "sys/fs/cgroup/machine.slice/cpuset.cpus.exclusive",
				    "4-7,12-15"),
			 0);
	assert_int_equal(attr_write(rootfd, SCOPE "/cpuset.cpus.exclusive", "4-7,12-15"), 0);
	assert_int_equal(attr_write(rootfd, SCOPE "/libvirt/cpuset.cpus.exclusive", "4-7,12-15"),
			 0);
	tree_path(path, SCOPE "/libvirt/%s/cpuset.cpus.exclusive", leaf);
	assert_int_equal(attr_write(rootfd, path, cpus), 0);
	tree_path(path, SCOPE "/libvirt/%s/cpuset.cpus.partition", leaf);
	assert_int_equal(attr_write(rootfd, path, "isolated"), 0);
}

static void an_isolated_partition_takes_its_cpu_from_everybody(void **state)
{
	(void)state;
	start_guest();
	exclusive_down_to("vcpu0", "4");
	assert_attr(SCOPE "/libvirt/vcpu0/cpuset.cpus.partition", "isolated");
	assert_attr(SCOPE "/libvirt/vcpu0/cpuset.cpus.effective", "4");
	assert_attr("sys/fs/cgroup/cpuset.cpus.isolated", "4");
	assert_attr("sys/fs/cgroup/cpuset.cpus.effective", "0-3,5-15");
	assert_attr("sys/fs/cgroup/system.slice/cpuset.cpus.effective", "0-3,5-15");
	assert_attr("sys/devices/virtual/workqueue/cpumask", "ffef");
}

static void the_partition_goes_with_the_scope_and_systemd_drops_the_controller(void **state)
{
	(void)state;
	sh("test/trees/record %s > %s/before", dir, base);
	start_guest();
	exclusive_down_to("vcpu0", "4");
	assert_int_equal(guest_gone(GUEST), 0);
	assert_attr("sys/fs/cgroup/cpuset.cpus.isolated", "4");
	assert_int_equal(guest_cleanup(GUEST), 0);
	sh("test/trees/record %s | diff %s/before -", dir, base);
}

/* Debian 13: emulatorpin on a vCPU's CPU */
static void a_sibling_with_the_same_cpu_makes_the_partition_invalid(void **state)
{
	(void)state;
	start_guest();
	assert_int_equal(attr_write(rootfd, SCOPE "/libvirt/emulator/cpuset.cpus", "4"), 0);
	assert_int_equal(
		attr_write(rootfd, "sys/fs/cgroup/machine.slice/cpuset.cpus.exclusive", "4"), 0);
	assert_int_equal(attr_write(rootfd, SCOPE "/libvirt/vcpu0/cpuset.cpus.exclusive", "4"),
			 -EINVAL);
	assert_int_equal(
		attr_write(rootfd, SCOPE "/libvirt/vcpu0/cpuset.cpus.partition", "isolated"), 0);
	assert_attr(SCOPE "/libvirt/vcpu0/cpuset.cpus.partition",
		    "isolated invalid (Cpu list in cpuset.cpus not exclusive)");
	assert_attr("sys/fs/cgroup/cpuset.cpus.isolated", "");
}

static void the_last_cpu_of_the_host_cannot_be_taken(void **state)
{
	(void)state;
	start_guest();
	assert_int_equal(
		attr_write(rootfd, "sys/fs/cgroup/machine.slice/cpuset.cpus.exclusive", "0-15"), 0);
	assert_int_equal(
		attr_write(rootfd, "sys/fs/cgroup/machine.slice/cpuset.cpus.partition", "root"), 0);
	assert_attr("sys/fs/cgroup/machine.slice/cpuset.cpus.partition",
		    "root invalid (Parent unable to distribute cpu downstream)");
}

static void an_old_kernel_knows_no_remote_partitions(void **state)
{
	(void)state;
	sh("rm %s/sys/fs/cgroup/cpuset.cpus.isolated", dir);
	start_guest();
	assert_int_equal(
		attr_write(rootfd, SCOPE "/libvirt/vcpu0/cpuset.cpus.partition", "isolated"), 0);
	assert_attr(SCOPE "/libvirt/vcpu0/cpuset.cpus.partition",
		    "isolated invalid (Parent is not a partition root)");
}

static void cpu_lists_are_checked(void **state)
{
	(void)state;
	start_guest();
	assert_int_equal(attr_write(rootfd, SCOPE "/cpuset.cpus", "x"), -EINVAL);
	assert_int_equal(attr_write(rootfd, SCOPE "/cpuset.cpus", "16"), -ERANGE);
	assert_int_equal(attr_write(rootfd, SCOPE "/cpuset.cpus.partition", "maybe"), -EINVAL);
	assert_int_equal(attr_write(rootfd, SCOPE "/cpuset.cpus", "0-1"), 0);
	assert_int_equal(attr_write(rootfd, SCOPE "/cpuset.cpus", ""), 0);
	assert_attr(SCOPE "/cpuset.cpus", "");
	assert_attr(SCOPE "/cpuset.cpus.effective", "0-15");
}

static void allowed_cpus_reach_the_slice(void **state)
{
	struct cpulist cpus = { 0 }, now;

	(void)state;
	cpulist_add(&cpus, 0);
	assert_int_equal(sysbus_set_allowed_cpus("system.slice", &cpus, 1000), 0);
	assert_attr("sys/fs/cgroup/system.slice/cpuset.cpus.effective", "0");
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &now, 1000), 0);
	assert_true(cpulist_equal(&now, &cpus));
	assert_int_equal(sysbus_set_allowed_cpus("no.slice", &cpus, 1000), -ENOENT);
	assert_int_equal(sysbus_set_allowed_cpus("system.slice", &(struct cpulist){ 0 }, 1000), 0);
	assert_int_equal(attr_exists(rootfd, "sys/fs/cgroup/system.slice/cpuset.cpus"), 0);
}

static void groups_are_made_and_removed_with_their_files(void **state)
{
	_cleanup_close_ int fd = attr_open(rootfd, "sys/fs/cgroup", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(attr_write(rootfd, "sys/fs/cgroup/cgroup.subtree_control", "+cpuset"), 0);
	assert_int_equal(mkdirat(fd, "mine", 0755), 0);
	assert_attr("sys/fs/cgroup/mine/cpuset.cpus.effective", "0-15");
	assert_int_equal(attr_write(rootfd, "sys/fs/cgroup/mine/cgroup.procs", "4201204"), 0);
	assert_attr("sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope/cgroup.procs", "");
	assert_int_equal(unlinkat(fd, "mine", AT_REMOVEDIR), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(attr_write(rootfd, "sys/fs/cgroup/init.scope/cgroup.procs", "4201204"), 0);
	assert_int_equal(unlinkat(fd, "mine", AT_REMOVEDIR), 0);
	assert_int_equal(attr_exists(rootfd, "sys/fs/cgroup/mine"), 0);
}

/* --- IRQs, governors ---------------------------------------------------------------------------------- */

static void irq_lists_and_masks_follow_each_other(void **state)
{
	(void)state;
	assert_int_equal(attr_write(rootfd, "proc/irq/129/smp_affinity_list", "0-3,8"), 0);
	assert_attr("proc/irq/129/smp_affinity", "010f");
	assert_int_equal(attr_write(rootfd, "proc/irq/129/smp_affinity", "c000"), 0);
	assert_attr("proc/irq/129/smp_affinity_list", "14-15");
	assert_int_equal(attr_write(rootfd, "proc/irq/129/smp_affinity_list", "16"), -EINVAL);
	assert_int_equal(attr_write(rootfd, "proc/irq/155/smp_affinity_list", "0"), -EIO);
	assert_int_equal(attr_write(rootfd, "proc/irq/default_smp_affinity", "f"), 0);
	assert_attr("proc/irq/default_smp_affinity", "000f");
}

static void an_unknown_governor_is_refused(void **state)
{
	static const char path[] = "sys/devices/system/cpu/cpu4/cpufreq/scaling_governor";

	(void)state;
	assert_int_equal(attr_write(rootfd, path, "turbo"), -EINVAL);
	assert_int_equal(attr_write(rootfd, path, "performance"), 0);
	assert_attr(path, "performance");
}

/* --- guest ---------------------------------------------------------------------------------------------- */

static void qemu_needs_its_pages_and_its_devices(void **state)
{
	const char *why = "";

	(void)state;
	assert_int_equal(guest_exec(GUEST, QEMU_PID, &why), -ENOMEM);
	assert_string_equal(why,
			    "unable to map backing store for guest RAM: Cannot allocate memory");
	assert_int_equal(guest_gone(GUEST), 0);
	assert_int_equal(guest_cleanup(GUEST), 0);
	sh("echo any 2048 512 > %s/.fake/guests/win11/pages", dir);
	assert_int_equal(guest_exec(GUEST, QEMU_PID, &why), -ENODEV);
	assert_attr(POOL "free_hugepages", "0");
	assert_int_equal(guest_gone(GUEST), 0);
	assert_attr(POOL "free_hugepages", "512");
	assert_int_equal(guest_cleanup(GUEST), 0);
	gpu_to_vfio();
	assert_int_equal(guest_exec(GUEST, QEMU_PID, &why), -EPERM);
	assert_string_equal(why,
			    "group is not viable: not all of its devices are bound to vfio-pci");
}

static void the_trees_processes_come_before_the_machines(void **state)
{
	struct process self, daemon;
	char name[32];

	(void)state;
	assert_int_equal(process_identify(rootfd, getpid(), &self), 0);
	assert_int_equal(process_alive(rootfd, &self), 1);
	assert_int_equal(process_identify(rootfd, 4200612, &daemon), 0);
	assert_int_equal(daemon.start_time, 655);
	assert_int_equal(process_name(rootfd, 4200612, name, sizeof(name)), 0);
	assert_string_equal(name, "libvirtd");
	assert_int_equal(process_identify(rootfd, 4299999, &daemon), -ESRCH);
}

/* --- monitors ----------------------------------------------------------------------------------------------- */

/* The display helper's functions, under the names the linker gives their calls */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_i2c_open(int fd, unsigned int bus);
int __wrap_i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len);
int __wrap_i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len);

static int i2c_wrap_open(unsigned int bus)
{
	int fd = __wrap_i2c_open(rootfd, bus);

	assert_true(fd >= 0);
	return fd;
}

/* From facts: set 0x60 is 51 84 03 60 HI LO CHK */
static void a_monitor_changes_its_input_and_tells_it(void **state)
{
	static const uint8_t set[] = { 0x51, 0x84, 0x03, 0x60, 0x00, 0x11, 0xc9 };
	static const uint8_t get[] = { 0x51, 0x82, 0x01, 0x60, 0xdc };
	_cleanup_close_ int fd = i2c_wrap_open(3);
	uint8_t reply[11];

	(void)state;
	assert_int_equal(__wrap_i2c_write_at(fd, 0x37, set, sizeof(set)), 0);
	assert_attr(".fake/monitor/left/input", "17");
	assert_int_equal(__wrap_i2c_write_at(fd, 0x37, get, sizeof(get)), 0);
	assert_int_equal(__wrap_i2c_read_at(fd, 0x37, reply, sizeof(reply)), 0);
	assert_int_equal(reply[9], 0x11);
	reply[0] ^= 0x50;
	for (size_t i = 1; i < sizeof(reply); i++)
		reply[0] ^= reply[i];
	assert_int_equal(reply[0], 0);
}

static void a_wrong_checksum_is_not_obeyed(void **state)
{
	static const uint8_t set[] = { 0x51, 0x84, 0x03, 0x60, 0x00, 0x11, 0x00 };
	_cleanup_close_ int fd = i2c_wrap_open(3);

	(void)state;
	assert_int_equal(__wrap_i2c_write_at(fd, 0x37, set, sizeof(set)), 0);
	assert_attr(".fake/monitor/left/input", "15");
}

static void both_cables_lead_to_the_same_monitor(void **state)
{
	static const uint8_t offset;
	_cleanup_close_ int host = i2c_wrap_open(3), guest = i2c_wrap_open(4);
	uint8_t a[128], b[128];

	(void)state;
	assert_int_equal(__wrap_i2c_write_at(host, 0x50, &offset, 1), 0);
	assert_int_equal(__wrap_i2c_read_at(host, 0x50, a, sizeof(a)), 0);
	assert_int_equal(__wrap_i2c_write_at(guest, 0x50, &offset, 1), 0);
	assert_int_equal(__wrap_i2c_read_at(guest, 0x50, b, sizeof(b)), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(a[1], 0xff);
}

static void a_deaf_monitor_answers_on_its_active_cable_only(void **state)
{
	static const uint8_t set[] = { 0x51, 0x84, 0x03, 0x60, 0x00, 0x11, 0xc9 };
	_cleanup_close_ int host = i2c_wrap_open(3), guest = i2c_wrap_open(4),
			    none = i2c_wrap_open(0);

	(void)state;
	assert_int_equal(tree_put(".fake/monitor/left/character", "deaf"), 0);
	assert_int_equal(__wrap_i2c_write_at(guest, 0x37, set, sizeof(set)), -ENXIO);
	assert_int_equal(__wrap_i2c_write_at(host, 0x37, set, sizeof(set)), 0);
	assert_int_equal(__wrap_i2c_write_at(host, 0x37, set, sizeof(set)), -ENXIO);
	assert_int_equal(__wrap_i2c_write_at(guest, 0x37, set, sizeof(set)), 0);
	assert_int_equal(__wrap_i2c_write_at(none, 0x37, set, sizeof(set)), -ENXIO);
	assert_int_equal(__wrap_i2c_open(rootfd, 99), -ENOENT);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- services and inhibitors ---------------------------------------------------------------------------------- */

static int count_names(const char *path)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	return tree_list(path, &names) < 0 ? 0 : (int)names.nr;
}

static void an_inhibitor_ends_with_its_fd(void **state)
{
	int fd = sysbus_inhibit("sleep", "usher", "guest win11 is running", "block", 1000);

	(void)state;
	assert_true(fd >= 0);
	inhibitors_sweep();
	assert_int_equal(count_names(".fake/inhibitors"), 1);
	(void)close(fd);
	inhibitors_sweep();
	assert_int_equal(count_names(".fake/inhibitors"), 0);
}

static void a_service_runs_and_what_follows_it_too(void **state)
{
	const char *const argv[] = { "/bin/sleep", "60", NULL };
	const char *stop_argv[] = { "/usr/bin/touch", NULL, NULL };
	char done[PATH_MAX];

	(void)state;
	tree_path(done, "%s/done", dir);
	stop_argv[1] = done;
	assert_int_equal(sysbus_start_service("a.service", "A", argv, stop_argv, 1000), 0);
	assert_int_equal(sysbus_start_service("a.service", "A", argv, stop_argv, 1000), -EEXIST);
	assert_int_equal(services_settle(50), -ETIMEDOUT);
	assert_int_equal(sysbus_stop_unit("a.service", 5000), 0);
	assert_int_equal(attr_exists(rootfd, "done"), 1);
	assert_int_equal(services_settle(1000), 0);
	assert_int_equal(sysbus_stop_unit("a.service", 1000), 0);
}

static void a_service_that_cannot_be_executed_is_an_error(void **state)
{
	const char *const argv[] = { "/nonexistent", NULL };

	(void)state;
	assert_int_equal(sysbus_start_service("b.service", "B", argv, NULL, 1000), -EIO);
	assert_int_equal(services_settle(1000), 0);
}

static void without_a_bus_nothing_is_answered(void **state)
{
	struct cpulist cpus;

	(void)state;
	assert_int_equal(tree_remove("run/dbus/system_bus_socket"), 0);
	assert_int_equal(sysbus_inhibit("sleep", "usher", "why", "block", 1000), -ENOENT);
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &cpus, 1000), -ENOENT);
}

/* --- faults ------------------------------------------------------------------------------------------------- */

static const char setting[] = "proc/sys/vm/stat_interval";

static void the_nth_effect_fails_with_the_errno_it_is_told(void **state)
{
	(void)state;
	faults("host#2 fail ENOSPC");
	assert_int_equal(attr_write(rootfd, setting, "2"), 0);
	assert_int_equal(attr_write(rootfd, setting, "3"), -ENOSPC);
	assert_int_equal(attr_write(rootfd, setting, "4"), 0);
	assert_attr(setting, "4");
	assert_attr(".fake/count", "3");
}

static void a_programs_own_nth_effect_can_be_meant(void **state)
{
	(void)state;
	faults("another#1 fail EIO\nfake_kernel_test#2 fail EBUSY");
	assert_int_equal(attr_write(rootfd, setting, "2"), 0);
	assert_int_equal(attr_write(rootfd, setting, "3"), -EBUSY);
}

static void a_pattern_strikes_as_often_as_it_is_told(void **state)
{
	(void)state;
	faults("*:write:*/stat_interval fail EBUSY x2");
	assert_int_equal(attr_write(rootfd, setting, "2"), -EBUSY);
	assert_int_equal(attr_write(rootfd, "proc/sys/kernel/watchdog", "0"), 0);
	assert_int_equal(attr_write(rootfd, setting, "2"), -EBUSY);
	assert_int_equal(attr_write(rootfd, setting, "2"), 0);
}

static void a_lie_says_yes_and_does_nothing(void **state)
{
	(void)state;
	faults("1 lie");
	assert_int_equal(attr_write(rootfd, setting, "2"), 0);
	assert_attr(setting, "1");
}

static void a_short_write_of_an_attribute_is_stored_and_fails(void **state)
{
	(void)state;
	faults("1 short");
	assert_int_equal(attr_write(rootfd, setting, "2000"), -EIO);
	assert_attr(setting, "2000");
}

static void reading_fails_by_pattern(void **state)
{
	char text[16];

	(void)state;
	faults("*:read:*stat_interval fail EIO");
	assert_int_equal(attr_read(rootfd, setting, text, sizeof(text)), -EIO);
	assert_int_equal(attr_read(rootfd, "proc/sys/kernel/watchdog", text, sizeof(text)), 1);
}

/* Return: what waitpid() says of a child that writes once */
static int write_in_child(void)
{
	pid_t pid = __real_fork();
	int status;

	if (pid == 0)
		_exit(attr_write(rootfd, setting, "9") != 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void kill_comes_before_the_effect_and_kill_after_behind_it(void **state)
{
	(void)state;
	faults("1 kill\n2 kill-after");
	assert_int_equal(write_in_child(), SIGKILL);
	assert_attr(setting, "1");
	assert_int_equal(write_in_child(), SIGKILL);
	assert_attr(setting, "9");
	assert_int_equal(write_in_child(), 0);
}

static void a_hang_lasts_until_it_is_released(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	faults("1 hang-before");
	pid = __real_fork();
	if (pid == 0)
		_exit(attr_write(rootfd, setting, "9") != 0);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(attr_write(rootfd, "proc/sys/kernel/watchdog", "0"), 0);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_attr(setting, "1");
	assert_int_equal(tree_put(".fake/release", ""), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_attr(setting, "9");
}

static void state_files_are_effects_too(void **state)
{
	_cleanup_close_ int statefd = state_open(rootfd, true);
	char *text;
	size_t len;

	(void)state;
	assert_true(statefd >= 0);
	assert_int_equal(state_write(statefd, "a", "one\n", 4), 0);
	/* mkdir, create, append, rename */
	assert_attr(".fake/count", "4");
	for (const char *const *fault =
		     (const char *const[]){ "5 fail EROFS", "7 fail ENOSPC", "11 fail EIO", NULL };
	     *fault; fault++) {
		faults(*fault);
		assert_true(state_write(statefd, "a", "two\n", 4) < 0);
		assert_int_equal(state_read(statefd, "a", &text, &len), 0);
		assert_string_equal(text, "one\n");
		free(text);
	}
}

static void a_journal_line_can_be_cut_off(void **state)
{
	_cleanup_close_ int statefd = state_open(rootfd, true);
	_cleanup_close_ int fd = state_append(statefd, "vfio.journal");

	(void)state;
	faults("*:append:* short");
	assert_int_equal(write(fd, "1 driver x a b\n", 15), 7);
	assert_attr("run/usher/vfio.journal", "1 drive");
}

static void every_effect_is_traced(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	(void)state;
	faults("2 fail EIO");
	assert_int_equal(attr_write(rootfd, setting, "2"), 0);
	assert_int_equal(attr_write(rootfd, GPU "driver_override", ""), -EIO);
	assert_int_equal(attr_read_all(rootfd, ".fake/trace", 65536, &text, &len), 0);
	assert_string_equal(text, "1 fake_kernel_test write proc/sys/vm/stat_interval 1 2 0\n"
				  "2 fake_kernel_test write " GPU "driver_override %28null%29 % "
				  "EIO\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_root_without_fake_is_refused),
		T(writes_to_another_root_are_refused),
		T(attributes_keep_no_bytes_of_the_last_write),
		T(what_cannot_be_written_is_refused),
		T(a_gpu_goes_to_vfio_and_comes_back_with_all_its_nodes),
		T(bind_tells_apart_busy_and_no_match),
		T(an_override_shuts_other_drivers_out),
		T(a_bridge_is_not_taken_by_vfio),
		T(unbind_waits_for_who_has_the_group_open),
		T(loading_a_module_adds_its_driver_and_probes),
		T(a_pool_grows_as_far_as_memory_is_contiguous_then_by_compaction),
		T(pages_in_use_become_surplus_and_end_with_their_user),
		T(growing_absorbs_surplus_first),
		T(a_node_gets_only_its_own_pages),
		T(a_global_write_takes_turns_between_nodes),
		T(meminfo_follows_the_pool),
		T(an_isolated_partition_takes_its_cpu_from_everybody),
		T(the_partition_goes_with_the_scope_and_systemd_drops_the_controller),
		T(a_sibling_with_the_same_cpu_makes_the_partition_invalid),
		T(the_last_cpu_of_the_host_cannot_be_taken),
		T(an_old_kernel_knows_no_remote_partitions),
		T(cpu_lists_are_checked),
		T(allowed_cpus_reach_the_slice),
		T(groups_are_made_and_removed_with_their_files),
		T(irq_lists_and_masks_follow_each_other),
		T(an_unknown_governor_is_refused),
		T(qemu_needs_its_pages_and_its_devices),
		T(the_trees_processes_come_before_the_machines),
		T(a_monitor_changes_its_input_and_tells_it),
		T(a_wrong_checksum_is_not_obeyed),
		T(both_cables_lead_to_the_same_monitor),
		T(a_deaf_monitor_answers_on_its_active_cable_only),
		T(an_inhibitor_ends_with_its_fd),
		T(a_service_runs_and_what_follows_it_too),
		T(a_service_that_cannot_be_executed_is_an_error),
		T(without_a_bus_nothing_is_answered),
		T(the_nth_effect_fails_with_the_errno_it_is_told),
		T(a_programs_own_nth_effect_can_be_meant),
		T(a_pattern_strikes_as_often_as_it_is_told),
		T(a_lie_says_yes_and_does_nothing),
		T(a_short_write_of_an_attribute_is_stored_and_fails),
		T(reading_fails_by_pattern),
		T(kill_comes_before_the_effect_and_kill_after_behind_it),
		T(a_hang_lasts_until_it_is_released),
		T(state_files_are_effects_too),
		T(a_journal_line_can_be_cut_off),
		T(every_effect_is_traced),
	};

	return cmocka_run_group_tests(tests, recorded_setup, recorded_teardown);
}
