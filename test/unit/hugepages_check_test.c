/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_check_test.c - what can never work is refused in one line */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"

static int check(struct guest *guest)
{
	kernel->said[0] = '\0';
	return (int)hugepages_check(&guest->ctx);
}

/* The check, and apply just as well, before anything is touched */
static void assert_refused(const char *needs, const char *line)
{
	_cleanup_guest_ struct guest a;

	guest_make(&a, UUID_A, "a", "started", needs);
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_string_equal(kernel->said, line);
	kernel->said[0] = '\0';
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_string_equal(kernel->said, line);
	assert_int_equal(kernel->ops, 0);
	assert_pool(0, 0, 0, 0);
}

static void what_can_work_is_silent_and_changes_nothing(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	/* Pages there are too few of now, but other guests may end: that is for apply to see */
	node2m(0)->room = 0;
	guest_make(&a, UUID_A, "a", "started", "2048 0 2048;1048576 1 4");
	assert_int_equal(check(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	assert_int_equal(kernel->ops, 0);
}

/* As usher check asks: who made the claim is gone */
static void guest_by_hand(struct guest *guest, const char *needs)
{
	guest_make(guest, UUID_A, "a", "started", needs);
	guest_state(guest, CLAIM_PREPARING, DEAD_PID);
	kernel->ops = 0;
}

/* A hook that waits has it said in `started`; a plan has what is to come then */
static void by_hand_it_is_said_when_pages_go_back_at_release_alone(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_by_hand(&a, "2048 any 600");
	assert_int_equal(check(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	assert_int_equal(inidoc_set(&a.ctx.claim.doc, HUGEPAGES_SECTION, "give_back", "release"),
			 0);
	assert_int_equal(check(&a), HELPER_DONE);
	assert_said("its huge pages go back to the host only when it is released");
	a.ctx.dry_run = true;
	assert_int_equal(check(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	a.ctx.dry_run = false;
	guest_state(&a, CLAIM_PREPARING, DAEMON_PID);
	assert_int_equal(check(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
}

static void by_hand_too_little_memory_is_said_as_apply_says_it(void **state)
{
	_cleanup_guest_ struct guest a;
	char now[sizeof(kernel->said)];

	(void)state;
	boot(LINUX_6_12, 0, 0);
	/* 1024 of 1300 MiB: the host keeps 256 MiB */
	put("MemTotal: 8388608 kB\nMemAvailable: 1331200 kB\n", "proc/meminfo");
	guest_by_hand(&a, "2048 any 600");
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_int_equal(kernel->ops, 0);
	assert_said("cannot get 600 huge pages of 2 MiB on this host: 78 are missing");
	memcpy(now, kernel->said, sizeof(now));
	/* Of a plan that is apply's to say */
	a.ctx.dry_run = true;
	assert_int_equal(check(&a), HELPER_DONE);
	a.ctx.dry_run = false;
	kernel->said[0] = '\0';
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_string_equal(kernel->said, now);
}

static void by_hand_what_fits_is_silent_and_changes_nothing(void **state)
{
	_cleanup_guest_ struct guest a;
	FILE *out = tmpfile(), *old = stdout;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("MemTotal: 8388608 kB\nMemAvailable: 1331200 kB\n", "proc/meminfo");
	guest_by_hand(&a, "2048 any 520");
	stdout = out;
	assert_int_equal(check(&a), HELPER_DONE);
	stdout = old;
	assert_int_equal(ftell(out), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(kernel->said, "");
	assert_int_equal(kernel->ops, 0);
	assert_no_ledger();
}

/* Their memory is what is missing from the available one */
static void a_guest_that_runs_has_its_pages(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("MemTotal: 8388608 kB\nMemAvailable: 300000 kB\n", "proc/meminfo");
	guest_by_hand(&a, "2048 any 600");
	put_qemu(200, UUID_A, 600, 600);
	assert_int_equal(check(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	remove_process(200);
}

static void a_page_size_the_kernel_has_not_is_refused(void **state)
{
	(void)state;
	boot(LINUX_6_12, 0, 0);
	assert_refused("16384 any 5",
		       "cannot get huge pages of 16 MiB: this kernel has none of that size (1 GiB, "
		       "2 MiB): set another <page size=> in the guest's <hugepages>");
}

static void a_node_that_is_not_there_is_refused(void **state)
{
	(void)state;
	boot(LINUX_6_12, 0, 0);
	assert_refused("2048 0-2 5",
		       "cannot get huge pages on node 2: this host has no such node with memory: "
		       "correct <numatune> in the guest's XML");
}

static void more_than_the_memory_of_the_node_is_refused(void **state)
{
	(void)state;
	boot(LINUX_6_12, 0, 0);
	assert_refused("2048 1 2049",
		       "cannot get 4098 MiB of huge pages on node 1, which has 4096 MiB of memory "
		       "in all: lower the guest's memory");
}

static void needs_of_one_node_are_added_up(void **state)
{
	(void)state;
	boot(LINUX_6_12, 0, 0);
	assert_refused("2048 1 1024;1048576 1 3",
		       "cannot get 5120 MiB of huge pages on node 1, which has 4096 MiB of memory "
		       "in all: lower the guest's memory");
	assert_refused("2048 1 2000;2048 0 2000;2048 any 200",
		       "cannot get 8400 MiB of huge pages on this host, which has 8192 MiB of "
		       "memory in all: lower the guest's memory");
}

static void needs_that_all_nodes_may_meet_go_by_the_memory_of_the_host(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_18, 0, 0);
	put("Node 0 MemTotal: 1048576 kB\n", "sys/devices/system/node/node0/meminfo");
	put("Node 1 MemTotal: 1048576 kB\n", "sys/devices/system/node/node1/meminfo");
	guest_make(&a, UUID_A, "a", "started", "2048 any 2048");
	guest_make(&b, UUID_B, "b", "started", "2048 0-1 2048");
	assert_int_equal(check(&a), HELPER_DONE);
	assert_int_equal(check(&b), HELPER_DONE);
}

static void a_host_without_huge_pages_is_refused(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 5");
	assert_int_equal(renameat(host->rootfd, "sys/kernel", host->rootfd, "sys/gone"), 0);
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_said("this kernel has none of that size (it has none at all)");
}

static void a_claim_that_does_not_parse_is_wrong_usage(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any five");
	assert_int_equal(check(&a), HELPER_USAGE);
	assert_int_equal(apply(&a), HELPER_USAGE);
	assert_said("malformed");
	assert_int_equal(kernel->ops, 0);
}

static void unreadable_memory_is_said(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("nothing here\n", "sys/devices/system/node/node0/meminfo");
	guest_make(&a, UUID_A, "a", "started", "2048 0 5");
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_said("cannot read how much memory there is on node 0");
}

static void show_tells_need_free_and_missing(void **state)
{
	_cleanup_guest_ struct guest a, b;
	char text[1024] = "";
	FILE *out = tmpfile(), *old = stdout;

	(void)state;
	boot(LINUX_6_12, 100, 0);
	put("Node 0, zone Normal 512 0 3 0 0 0 0 0 0 40 2\nNode 1, zone Normal 256 0 0\n",
	    "proc/buddyinfo");
	put("Page block order: 9\nPages per block:  512\n\n"
	    "Free pages count per migrate type at order       0      1\n"
	    "Node    0, zone   Normal, type    Unmovable     17      7\n\n"
	    "Number of blocks type     Unmovable      Movable\n"
	    "Node 0, zone   Normal           60          900\n"
	    "Page block order: 9\nPages per block:  512\n\n"
	    "Free pages count per migrate type at order       0      1\n"
	    "Node    1, zone   Normal, type    Unmovable     17      7\n\n"
	    "Number of blocks type     Unmovable      Movable\n"
	    "Node 1, zone   Normal            7          993\n",
	    "proc/pagetypeinfo");
	put("900 262144 0 0 0 0 0\n", "proc/%d/statm", DAEMON_PID);
	put("libvirtd\n", "proc/%d/comm", DAEMON_PID);
	guest_make(&b, UUID_B, "b", "started", "2048 0 30");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_make(&a, UUID_A, "a", "started", "2048 any 100;2048 0 64");
	stdout = out;
	assert_int_equal(hugepages_show(&a.ctx, 0, NULL), HELPER_DONE);
	stdout = old;
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(
		text, "2 MiB on node 0: need 64, free 100, missing 0\n"
		      "2 MiB on this host: need 100, free 100, missing 94\n"
		      "node 0: 90 MiB free: 2 MiB of 4 KiB, 0 MiB of 16 KiB, 80 MiB of 2 MiB, "
		      "8 MiB of 4 MiB\n"
		      "node 0: 60 of 960 blocks are the kernel's own and cannot be moved\n"
		      "node 1: 1 MiB free: 1 MiB of 4 KiB\n"
		      "node 1: 7 of 1000 blocks are the kernel's own and cannot be moved\n"
		      "held by: libvirtd (pid 100) 1024 MiB, free huge pages of 2 MiB of node 0 "
		      "200 MiB\n");
	assert_int_equal(kernel->ops, 0);
}

/* --- The mount -------------------------------------------------------------------------------- */

static void guest_with_mount(struct guest *guest, const char *needs, const char *size_kib)
{
	guest_make(guest, UUID_A, "a", "started", needs);
	assert_int_equal(inidoc_add(&guest->ctx.claim.doc, HUGEPAGES_SECTION, "mount", size_kib),
			 0);
}

#define MOUNTS                                                                                     \
	"/dev/vda / ext4 rw,relatime 0 0\n"                                                        \
	"hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n"

static void a_size_without_a_mount_is_refused_with_both_cures(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put(MOUNTS, "proc/self/mounts");
	put("", "dev/hugepages/libvirt/qemu/x");
	guest_with_mount(&a, "1048576 0 1", "1048576");
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_string_equal(kernel->said,
			    "QEMU could not take huge pages of 1 GiB: no hugetlbfs of that size is "
			    "mounted: mount -t hugetlbfs -o pagesize=1048576K DIR and restart "
			    "libvirtd (guests live on), or put <source type='memfd'/> into the "
			    "guest's <memoryBacking> and <page size='1048576'/> into its "
			    "<hugepages>");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->ops, 0);
}

static void a_mount_that_libvirt_has_not_seen_is_refused_by_name(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put(MOUNTS "none /mnt/huge hugetlbfs rw,relatime,pagesize=1024M 0 0\n", "proc/self/mounts");
	put("", "dev/hugepages/libvirt/qemu/x");
	guest_with_mount(&a, "1048576 0 1", "1048576");
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_string_equal(kernel->said,
			    "QEMU could not take huge pages of 1 GiB: libvirt has not seen "
			    "/mnt/huge, which was mounted after it started: restart libvirtd "
			    "(guests live on), or put <source type='memfd'/> into the guest's "
			    "<memoryBacking> and <page size='1048576'/> into its <hugepages>");
	/* Another mount of that size that it has seen will do */
	put(MOUNTS "none /mnt/huge hugetlbfs rw,relatime,pagesize=1024M 0 0\n"
		   "none /mnt/seen hugetlbfs rw,relatime,pagesize=1024M 0 0\n",
	    "proc/self/mounts");
	put("", "mnt/seen/libvirt/qemu/x");
	assert_int_equal(check(&a), HELPER_DONE);
}

static void a_memfd_is_no_cure_where_apparmor_forbids_it(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put(MOUNTS, "proc/self/mounts");
	put("Y\n", "sys/module/apparmor/parameters/enabled");
	guest_with_mount(&a, "1048576 0 1", "1048576");
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_string_equal(kernel->said,
			    "QEMU could not take huge pages of 1 GiB: no hugetlbfs of that size is "
			    "mounted: mount -t hugetlbfs -o pagesize=1048576K DIR and restart "
			    "libvirtd (guests live on)");
}

static void a_mount_that_libvirt_has_seen_is_enough(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put(MOUNTS, "proc/self/mounts");
	put("", "dev/hugepages/libvirt/qemu/x");
	guest_with_mount(&a, "2048 0 10", "2048");
	assert_int_equal(check(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
}

static void mounts_that_cannot_be_read_are_no_start(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_with_mount(&a, "2048 0 10", "2048");
	assert_int_equal(check(&a), HELPER_FAILED);
	assert_said("cannot read /proc/self/mounts");
	guest_with_mount(&b, "2048 0 10", "two");
	assert_int_equal(check(&b), HELPER_USAGE);
}

/* --- What is on another node ------------------------------------------------------------------ */

static void devices_and_cpus_on_another_node_are_told(void **state)
{
	static const struct {
		const char *nodes, *cpus, *device_node, *said;
	} cases[] = {
		{ "0", "2-3", "1\n",
		  "the guest's memory is on node 0, but not device 0000:01:00.0 (node 1), CPUs "
		  "2-3: "
		  "access to memory is slower from there: change <numatune>, or what is not on the "
		  "node, in the guest's XML" },
		{ "0", "1-2", "0\n",
		  "the guest's memory is on node 0, but not CPUs 2: access to memory is slower "
		  "from "
		  "there: change <numatune>, or what is not on the node, in the guest's XML" },
		{ "0", "0-1", "-1\n", "" },
		{ "0-1", "0-3", "1\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		put("0-1\n", "sys/devices/system/node/node0/cpulist");
		put("2-3\n", "sys/devices/system/node/node1/cpulist");
		put(cases[i].device_node, "sys/bus/pci/devices/0000:01:00.0/numa_node");
		guest_make(&a, UUID_A, "a", "started", "2048 0 10");
		assert_int_equal(
			inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "nodes", cases[i].nodes),
			0);
		assert_int_equal(
			inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "cpus", cases[i].cpus), 0);
		assert_int_equal(
			inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "device", "0000:01:00.0"),
			0);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_string_equal(kernel->said, cases[i].said);
		assert_int_equal(undo(&a), HELPER_DONE);
		guest_remove(&a);
	}
}

/* --- numad ------------------------------------------------------------------------------------ */

static void a_node_that_numad_has_yet_to_choose_is_refused_unless_each_would_do(void **state)
{
	static const struct {
		const char *needs;
		unsigned long long on_node0, on_node1;
		int is;
	} cases[] = {
		{ "2048 any 64", 64, 63, HELPER_FAILED },
		{ "2048 any 64", 64, 64, HELPER_DONE },
		{ "2048 0 64", 0, 0, HELPER_DONE },
		/* Larger than a node: it takes both */
		{ "2048 any 2049", 0, 0, HELPER_DONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, cases[i].on_node0, cases[i].on_node1);
		guest_make(&a, UUID_A, "a", "started", cases[i].needs);
		assert_int_equal(check(&a), HELPER_DONE);
		assert_int_equal(inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "numad", "yes"),
				 0);
		assert_int_equal(check(&a), cases[i].is);
		if (cases[i].is == HELPER_DONE)
			continue;
		assert_string_equal(
			kernel->said,
			"cannot tell on which node the guest's 64 huge pages of 2 MiB must be: "
			"numad chooses it when they are there, and node 1 has too few: put "
			"<numatune><memory mode='strict' nodeset='1'/></numatune>, or another "
			"node, in place of placement='auto' into the guest's XML");
		put_qemu(200, UUID_A, 64, 64);
		assert_int_equal(check(&a), HELPER_DONE);
		remove_process(200);
	}
}

static void on_a_host_of_one_node_numad_has_no_choice(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("0\n", "sys/devices/system/node/has_memory");
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "numad", "yes"), 0);
	assert_int_equal(check(&a), HELPER_DONE);
}

static void cpus_that_were_chosen_on_another_node_are_told(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("0-1\n", "sys/devices/system/node/node0/cpulist");
	put("2-3\n", "sys/devices/system/node/node1/cpulist");
	guest_make(&a, UUID_A, "a", "started", "2048 0 10");
	assert_int_equal(inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "nodes", "0"), 0);
	assert_int_equal(inidoc_add(&a.ctx.claim.doc, "cpuset", "cpus", "1-2"), 0);
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_said("the guest's memory is on node 0, but not CPUs 2: ");
	assert_int_equal(undo(&a), HELPER_DONE);
}

static void memory_that_is_no_whole_number_of_pages_is_told(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 10");
	assert_int_equal(inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "uneven", "2048"), 0);
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_string_equal(kernel->said,
			    "the guest's memory is no whole number of pages of 2 MiB, which QEMU "
			    "refuses from version 9.1 on: make <memory> (or each <cell>) in the "
			    "guest's XML a multiple of 2 MiB");
	assert_int_equal(undo(&a), HELPER_DONE);
	guest_remove(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(what_can_work_is_silent_and_changes_nothing),
		kernel_test(by_hand_it_is_said_when_pages_go_back_at_release_alone),
		kernel_test(by_hand_too_little_memory_is_said_as_apply_says_it),
		kernel_test(by_hand_what_fits_is_silent_and_changes_nothing),
		kernel_test(a_guest_that_runs_has_its_pages),
		kernel_test(a_page_size_the_kernel_has_not_is_refused),
		kernel_test(a_node_that_is_not_there_is_refused),
		kernel_test(more_than_the_memory_of_the_node_is_refused),
		kernel_test(needs_of_one_node_are_added_up),
		kernel_test(needs_that_all_nodes_may_meet_go_by_the_memory_of_the_host),
		kernel_test(a_host_without_huge_pages_is_refused),
		kernel_test(a_claim_that_does_not_parse_is_wrong_usage),
		kernel_test(unreadable_memory_is_said),
		kernel_test(show_tells_need_free_and_missing),
		kernel_test(a_size_without_a_mount_is_refused_with_both_cures),
		kernel_test(a_mount_that_libvirt_has_not_seen_is_refused_by_name),
		kernel_test(a_memfd_is_no_cure_where_apparmor_forbids_it),
		kernel_test(a_mount_that_libvirt_has_seen_is_enough),
		kernel_test(mounts_that_cannot_be_read_are_no_start),
		kernel_test(devices_and_cpus_on_another_node_are_told),
		kernel_test(cpus_that_were_chosen_on_another_node_are_told),
		kernel_test(a_node_that_numad_has_yet_to_choose_is_refused_unless_each_would_do),
		kernel_test(on_a_host_of_one_node_numad_has_no_choice),
		kernel_test(memory_that_is_no_whole_number_of_pages_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
