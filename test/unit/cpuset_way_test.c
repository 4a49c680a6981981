/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_way_test.c - method = auto: the best way that works, and why not a better one
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 */
#include "test/unit/cpuset_kernel.h"

#define PINS_A "timeout_ms = 500\ncpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define ON_2   "timeout_ms = 500\ncpus = 2\nvcpu = 0 2\n"
#define ON_3   "timeout_ms = 500\ncpus = 3\nvcpu = 0 3\n"
#define PINS_B "timeout_ms = 500\ncpus = 5\nvcpu = 0 5\n"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

static void guest_a(const char *section, const char *emulator)
{
	make_guest(SCOPE_A, PID_A, vcpus_a, emulator);
	make_claim(UUID_A, PID_A, "running", section);
}

static void the_partition_is_taken_where_the_kernel_has_it(void **state)
{
	make_host(*state, true);
	guest_a(PINS_A, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3");
	assert_string_equal(get("systemd/system.slice"), "");
}

/* What a start wrote, with the scope's name as it is before */
static void put_stand_in(const char *text, char *buf, size_t size)
{
	const char *scope = strstr(SCOPE_A, "machine-qemu"), *at;

	buf[0] = '\0';
	while ((at = strstr(text, scope))) {
		size_t len = strlen(buf);

		assert_int_equal(
			path_format(buf + len, size - len, "%.*s<scope>", (int)(at - text), text),
			0);
		text = at + strlen(scope);
	}
	assert_int_equal(path_format(buf + strlen(buf), size - strlen(buf), "%s", text), 0);
}

/* As the claim of usher plan: state preparing, its owner gone, and no guest in sight */
static void assert_foretold(const char *section, const char *vcpu0, const char *vcpu1)
{
	const char *const vcpus[] = { vcpu0, vcpu1, NULL };
	char before[sizeof(host.printed)], now[sizeof(host.printed)];

	make_claim(UUID_A, 4711, "preparing", section);
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.writes, 0);
	fmt(before, "%s", host.printed);
	make_guest(SCOPE_A, PID_A, vcpus, "");
	put("1", CG "/" SCOPE_A "/cgroup.pressure");
	put("1", CG "/" SCOPE_A "/libvirt/cgroup.pressure");
	put("1", CG "/" SCOPE_A "/libvirt/vcpu0/cgroup.pressure");
	put("1", CG "/" SCOPE_A "/libvirt/vcpu1/cgroup.pressure");
	make_claim(UUID_A, PID_A, "running", section);
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	put_stand_in(host.printed, now, sizeof(now));
	assert_string_equal(before, now);
	assert_non_null(strstr(before, "write /" CG "/" MACHINE "/cpuset.cpus.exclusive 2-3\n"));
	end_guest(PID_A, SCOPE_A);
}

static void a_dry_run_before_the_start_names_the_writes_of_it_in_their_order(void **state)
{
	make_host(*state, true);
	put("1", CG "/cgroup.pressure");
	put("1", "proc/sys/vm/stat_interval");
	assert_foretold(PINS_A "pressure = no\nstat_interval = 60\n", "2", "3");
	assert_non_null(strstr(host.printed, "/libvirt/vcpu1/cpuset.cpus.partition isolated\n"));
	assert_non_null(strstr(host.printed, "/libvirt/vcpu1/cgroup.pressure 0\n"));
	assert_non_null(strstr(host.printed, "write /proc/sys/vm/stat_interval 60\n"));
	/* vCPUs that share their CPUs, and those that were chosen for it */
	assert_foretold("timeout_ms = 500\ncpus = 2-3\nvcpu = 0 2-3\nvcpu = 1 2-3\n", "2-3", "2-3");
	assert_non_null(strstr(host.printed, ".scope/cpuset.cpus.partition root\n"));
	assert_foretold(PINS_A "pin = auto\n", "", "");
	assert_non_null(strstr(host.printed, "/libvirt/vcpu0/cpuset.cpus 2\nbind the threads of "));
}

static void before_any_guest_the_groups_to_come_are_told_all_the_same(void **state)
{
	make_host(*state, true);
	/* No slice yet, and the controller nowhere: libvirt sees to both */
	remove_tree(CG "/" MACHINE);
	make_claim(UUID_A, 4711, "preparing", PINS_A "partition = /machine/gpu\n");
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(
		host.printed,
		"write /" CG "/machine.slice/cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/machine.slice/machine-gpu.slice/cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/machine.slice/machine-gpu.slice/<scope>/cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/machine.slice/machine-gpu.slice/<scope>/libvirt/"
		"cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/machine.slice/machine-gpu.slice/<scope>/libvirt/vcpu0/"
		"cpuset.cpus.exclusive 2\n"
		"write /" CG "/machine.slice/machine-gpu.slice/<scope>/libvirt/vcpu0/"
		"cpuset.cpus.partition isolated\n"
		"write /" CG "/machine.slice/machine-gpu.slice/<scope>/libvirt/vcpu1/"
		"cpuset.cpus.exclusive 3\n"
		"write /" CG "/machine.slice/machine-gpu.slice/<scope>/libvirt/vcpu1/"
		"cpuset.cpus.partition isolated\n");
	/* Threads are QEMU's to make */
	make_claim(UUID_A, 4711, "handed", PINS_A "emulator_sched = fifo:1\n");
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_non_null(strstr(host.printed, "give each thread in /" CG "/machine.slice/<scope>/"
					     "libvirt/{emulator,iothread*} the class fifo:1\n"));
	/* It is not done for that, and a guest that ends has none */
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	make_claim(UUID_A, 4711, "ending", PINS_A);
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_FAILED);
	assert_said("the guest does not run (its claim is in state ending)");
}

static void the_lesser_ways_are_told_before_the_start_too(void **state)
{
	make_host(*state, false);
	make_claim(UUID_A, 4711, "preparing", PINS_A);
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_said("are kept free by AllowedCPUs of the system's slices only: this kernel has no");
	assert_non_null(strstr(host.printed, "set AllowedCPUs=0-1,4-7 of system.slice"));
	make_claim(UUID_A, 4711, "preparing", PINS_A "method = plain\n");
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed, "write /" CG "/init.scope/cpuset.cpus 0-1,4-7\n"
					  "write /" CG "/system.slice/cpuset.cpus 0-1,4-7\n"
					  "write /" CG "/user.slice/cpuset.cpus 0-1,4-7\n");
	/* Whoever makes the groups there has names of his own for them */
	remove_tree("run/systemd");
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed, "");
	assert_string_equal(host.said,
			    "usher: a: what is written for its CPUs can be told while it runs: "
			    "without systemd nothing tells ahead where its groups will be\n");
}

static void an_older_kernel_gets_the_slices_and_one_line_why(void **state)
{
	make_host(*state, false);
	guest_a(PINS_A, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: its CPUs 2-3 are kept free by AllowedCPUs of the system's "
			    "slices only: this kernel has no cpuset.cpus.exclusive (it came "
			    "with Linux 6.7)\n");
	assert_string_equal(get("systemd/system.slice"), "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "");
	assert_no_state();
}

static void without_systemd_it_is_the_plain_groups(void **state)
{
	make_host(*state, false);
	remove_tree("run/systemd");
	guest_a(PINS_A, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: its CPUs 2-3 are kept free by cpuset.cpus of the other "
			    "top-level cgroups only: this kernel has no cpuset.cpus.exclusive "
			    "(it came with Linux 6.7)\n");
	assert_string_equal(get(CG "/system.slice/cpuset.cpus"), "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "0-7");
	assert_no_state();
}

static void cgroup_v1_leaves_the_guest_with_its_pins(void **state)
{
	make_host(*state, false);
	guest_a(PINS_A, "");
	put("", CG "/cpuset/cpuset.cpus");
	put("cpu io memory pids", CG "/cgroup.controllers");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: its vCPUs are pinned to 2-3, but others may run there: "
			    "the cpuset controller is on cgroup v1: boot with "
			    "systemd.unified_cgroup_hierarchy=1\n");
	assert_int_equal(host.writes, 0);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_no_state();
}

static void a_host_without_cpuset_too(void **state)
{
	make_host(*state, false);
	guest_a(PINS_A, "");
	remove_tree(CG);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said(
		"others may run there: no cgroup v2 with a cpuset controller is mounted on /" CG);
}

static void a_partition_that_the_kernel_refuses_gives_way_to_the_slices(void **state)
{
	char *before;

	make_host(*state, true);
	guest_a(PINS_A, "");
	make_group(SCOPE_A "/libvirt/foreign", "3", true);
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said(
		"are kept free by AllowedCPUs of the system's slices only: cannot write '3' to /" CG
		"/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.exclusive: Invalid argument");
	assert_string_equal(get("systemd/system.slice"), "0-1,4-7");
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.partition"), "member");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get("systemd/system.slice"), "");
	assert_no_state();
	free(before);
}

/* The kernel would let us, and they would run on other CPUs than they are pinned to */
static void who_is_pinned_to_its_cpus_is_not_robbed_of_them(void **state)
{
	static const char plain[] = MACHINE "/machine-qemu\\x2d7\\x2dplain.scope";
	static const char *const vcpus[] = { "3", NULL };

	make_host(*state, true);
	guest_a(PINS_A, "");
	make_guest(plain, 700, vcpus, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: its CPUs 2-3 are kept free by AllowedCPUs of the system's "
			    "slices only: machine.slice/machine-qemu\\x2d7\\x2dplain.scope/libvirt/"
			    "vcpu0 is pinned to 3: pin one of the two to other CPUs\n");
	assert_string_equal(get(CG "/%s/libvirt/vcpu0/cpuset.cpus.effective", plain), "3");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	end_guest(700, plain);
	make_group("box.slice", "", true);
	make_group("box.slice/box.service", "3", true);
	settle();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("slices only: box.slice/box.service is pinned to 3");
	assert_string_equal(get(CG "/box.slice/box.service/cpuset.cpus.effective"), "3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_no_state();
}

static const char *const vcpu_2[] = { "2", NULL };
static const char *const vcpu_3[] = { "3", NULL };

/* Two guests with a CPU each; B stands before its start, and must have its own when @required */
static void host_with_one_each(void **state)
{
	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpu_2, "0-1");
	make_claim(UUID_A, PID_A, "running", ON_2);
}

static void require(const char *uuid)
{
	char text[2048];
	char *list;

	fmt(text, "%s", get("run/usher/%s/claim.ini", uuid));
	list = strstr(text, "hugepages vfio seat");
	assert_non_null(list);
	memcpy(list, "cpuset    vfio seat", strlen("cpuset    vfio seat"));
	put(text, "run/usher/%s/claim.ini", uuid);
}

/* @why: what stands in the way of B after A, before the start */
static void expect_refused(const char *section, const char *why)
{
	make_claim(UUID_B, 1, "preparing", section);
	require(UUID_B);
	make_process(1, "init.scope");
	assert_int_equal(check(UUID_B), HELPER_FAILED);
	assert_string_equal(host.said, why);
	make_guest(SCOPE_B, PID_B, vcpu_3, "0-1");
	make_claim(UUID_B, PID_B, "running", section);
}

/* Each takes one of two: the second would take the last */
static void two_guests_together_do_not_rob_a_third(void **state)
{
	static const char plain[] = MACHINE "/machine-qemu\\x2d7\\x2dplain.scope";
	static const char *const vcpus[] = { "6", NULL };

	host_with_one_each(state);
	make_guest(plain, 700, vcpus, "2-3");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	expect_refused(
		ON_3, "usher: b: CPUs 3 cannot be kept for it alone: "
		      "machine.slice/machine-qemu\\x2d7\\x2dplain.scope/libvirt/emulator is pinned "
		      "to 2-3, and other guests have the rest: pin one of the two to other CPUs\n");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_said(
		"slices only: machine.slice/machine-qemu\\x2d7\\x2dplain.scope/libvirt/emulator "
		"is pinned to 2-3, and other guests have the rest");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2");
	assert_string_equal(get(CG "/%s/libvirt/emulator/cpuset.cpus.effective", plain), "3");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_no_state();
}

/* It runs inside its own guest's partition */
static void a_guests_own_cpus_are_not_taken_from_its_emulator(void **state)
{
	static const char *const vcpus[] = { "4-5", NULL };

	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus, "3-5");
	make_claim(UUID_A, PID_A, "running",
		   "timeout_ms = 500\ncpus = 4-5\nvcpu = 0 4-5\nemulator = 3-5\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	make_claim(UUID_B, 1, "preparing", ON_3);
	make_process(1, "init.scope");
	assert_int_equal(check(UUID_B), HELPER_DONE);
	assert_silent();
}

static void host_with_a_narrow_slice(void **state)
{
	host_with_one_each(state);
	put("2-3", "systemd/system.slice");
	put("2-3", CG "/system.slice/cpuset.cpus");
	settle();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "3");
}

static void two_guests_together_leave_a_slice_its_last_cpu(void **state)
{
	static const char *const methods[] = { "method = slices\n" ON_3, "method = plain\n" ON_3,
					       "method = partition\n" ON_3 };
	char line[512];

	host_with_a_narrow_slice(state);
	expect_refused(ON_3, "usher: b: CPUs 3 cannot be kept for it alone: system.slice is pinned "
			     "to 2-3, and other guests have the rest: pin one of the two to other "
			     "CPUs\n");
	assert_int_equal(apply(UUID_B), HELPER_FAILED);
	assert_said("system.slice would have no CPU left: give the guests fewer");
	assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "3");
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		make_claim(UUID_B, PID_B, "running", methods[i]);
		assert_int_equal(apply(UUID_B), HELPER_FAILED);
		fmt(line, "usher: b: its CPUs 3 cannot be kept free of others: system.slice %s\n",
		    i < 2 ? "would have no CPU left: give the guests fewer"
			  : "is pinned to 2-3, and other guests have the rest: pin one of the two "
			    "to other CPUs");
		assert_string_equal(host.said, line);
		assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "3");
		assert_string_equal(get("systemd/user.slice"), "");
	}
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_no_state();
}

/* The hook refuses a guest that would; a container nobody can */
static void who_is_pinned_to_its_cpus_later_changes_nothing(void **state)
{
	make_host(*state, true);
	guest_a(PINS_A, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	make_group("box.slice", "", true);
	make_group("box.slice/box.service", "3", true);
	settle();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.writes, 0);
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3");
}

static void pins_that_no_partition_suits_get_the_slices(void **state)
{
	make_host(*state, true);
	guest_a("timeout_ms = 500\ncpus = 2-3\nvcpu = 0 2-3\nvcpu = 1 2-3\nemulator = 0-1\n",
		"0-1");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("slices only: the vCPUs share 2-3 and emulator is pinned outside, to 0-1");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus.effective"), "0-1");
}

static void when_every_way_fails_the_host_is_as_before(void **state)
{
	char *before;

	make_host(*state, true);
	guest_a(PINS_A, "");
	/* Nobody on this host would have a CPU left */
	put("2-3", "systemd/user.slice");
	put("2-3", CG "/user.slice/cpuset.cpus");
	/* A group with all CPUs is as good as one with none */
	put("0-7", CG "/system.slice/cpuset.cpus");
	put("0-7", CG "/init.scope/cpuset.cpus");
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("its CPUs 2-3 cannot be kept free of others: user.slice is pinned to 2-3");
	assert_said("; user.slice would have no CPU left");
	assert_same(before);
	assert_no_state();
	free(before);
}

static void each_write_that_fails_ends_in_a_way_that_can_be_undone(void **state)
{
	int nr = 0, r;

	make_host(*state, true);
	guest_a(PINS_A, "");
	do {
		host.fail_at = ++nr;
		r = apply(UUID_A);
		host.fail_at = 0;
		assert_int_equal(r, HELPER_DONE);
		assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "0-1,4-7");
		r = *host.said ? 1 : 0;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "0-7");
		assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "");
		assert_string_equal(get("systemd/system.slice"), "");
		assert_no_state();
	} while (r);
	assert_int_equal(nr - 1, 2 + 1 + 7);
}

static void guests_of_different_ways_do_not_disturb_each_other(void **state)
{
	static const char *const order[][2] = { { UUID_A, UUID_B }, { UUID_B, UUID_A } };

	make_host(*state, true);
	guest_a("method = slices\n" PINS_A, "");
	make_guest(SCOPE_B, PID_B, vcpus_b, "");
	make_claim(UUID_B, PID_B, "running", PINS_B);
	for (int start = 0; start < 2; start++) {
		for (int end = 0; end < 2; end++) {
			assert_int_equal(apply(order[start][0]), HELPER_DONE);
			assert_int_equal(apply(order[start][1]), HELPER_DONE);
			assert_silent();
			assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"),
					    "0-1,4,6-7");
			assert_string_equal(get(CG "/cpuset.cpus.isolated"), "5");
			assert_int_equal(undo(order[end][0]), HELPER_DONE);
			assert_int_equal(undo(order[end][1]), HELPER_DONE);
			assert_silent();
			assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "0-7");
			assert_string_equal(get("systemd/system.slice"), "");
			assert_no_state();
		}
	}
}

/* systemd writes the same files: of two ways through them the second would undo the first */
static void a_guest_takes_no_way_that_undoes_anothers(void **state)
{
	static const struct {
		const char *first, *second;
		int result;
		const char *says;
	} cases[] = {
		{ "method = plain\n", "", HELPER_DONE,
		  "usher: b: its CPUs 5 are kept free by cpuset.cpus of the other top-level "
		  "cgroups "
		  "only: this kernel has no cpuset.cpus.exclusive (it came with Linux 6.7)\n" },
		{ "method = plain\n", "method = slices\n", HELPER_FAILED,
		  "usher: b: its CPUs 5 cannot be kept free of others: another guest has its CPUs "
		  "by "
		  "method = plain, which sets the same cgroups: set the same method in both "
		  "policies\n" },
		{ "method = slices\n", "method = plain\n", HELPER_FAILED,
		  "usher: b: its CPUs 5 cannot be kept free of others: another guest has its CPUs "
		  "by "
		  "method = slices, which sets the same cgroups: set the same method in both "
		  "policies\n" },
	};
	char section[256], *before;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make_host(*state, false);
		/* As systemd leaves them when they have been confined once */
		put("0-7", CG "/init.scope/cpuset.cpus");
		put("0-7", CG "/system.slice/cpuset.cpus");
		put("0-7", CG "/user.slice/cpuset.cpus");
		fmt(section, "%s" PINS_A, cases[i].first);
		guest_a(section, "");
		make_guest(SCOPE_B, PID_B, vcpus_b, "");
		fmt(section, "%s" PINS_B, cases[i].second);
		make_claim(UUID_B, PID_B, "running", section);
		before = snapshot();
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(apply(UUID_B), cases[i].result);
		assert_string_equal(host.said, cases[i].says);
		assert_int_equal(check(UUID_A), HELPER_DONE);
		assert_int_equal(undo(UUID_B), HELPER_DONE);
		assert_int_equal(check(UUID_A), HELPER_DONE);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
		free(before);
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	make_host(*state, false);
}

static void for_a_guest_that_does_not_run_nothing_is_done(void **state)
{
	make_host(*state, true);
	guest_a(PINS_A, "");
	make_claim(UUID_A, PID_A, "handed", PINS_A);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said,
			    "usher: a: its CPUs 2-3 cannot be kept free of others: the guest "
			    "does not run (its claim is in state handed)\n");
	assert_int_equal(host.writes, 0);
}

static void a_later_apply_finds_the_way_again(void **state)
{
	make_host(*state, false);
	guest_a(PINS_A, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("by AllowedCPUs of the system's slices only");
	assert_int_equal(host.writes, 0);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_no_state();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(the_partition_is_taken_where_the_kernel_has_it),
		tree_test(a_dry_run_before_the_start_names_the_writes_of_it_in_their_order),
		tree_test(before_any_guest_the_groups_to_come_are_told_all_the_same),
		tree_test(the_lesser_ways_are_told_before_the_start_too),
		tree_test(an_older_kernel_gets_the_slices_and_one_line_why),
		tree_test(without_systemd_it_is_the_plain_groups),
		tree_test(cgroup_v1_leaves_the_guest_with_its_pins),
		tree_test(a_host_without_cpuset_too),
		tree_test(a_partition_that_the_kernel_refuses_gives_way_to_the_slices),
		tree_test(who_is_pinned_to_its_cpus_is_not_robbed_of_them),
		tree_test(two_guests_together_do_not_rob_a_third),
		tree_test(a_guests_own_cpus_are_not_taken_from_its_emulator),
		tree_test(two_guests_together_leave_a_slice_its_last_cpu),
		tree_test(who_is_pinned_to_its_cpus_later_changes_nothing),
		tree_test(pins_that_no_partition_suits_get_the_slices),
		tree_test(when_every_way_fails_the_host_is_as_before),
		tree_test(each_write_that_fails_ends_in_a_way_that_can_be_undone),
		tree_test(guests_of_different_ways_do_not_disturb_each_other),
		tree_test(a_guest_takes_no_way_that_undoes_anothers),
		tree_test(for_a_guest_that_does_not_run_nothing_is_done),
		tree_test(a_later_apply_finds_the_way_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
