/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_partition_test.c - the guest's own groups as cpuset partitions
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: attr_list
 */
#include "test/unit/cpuset_kernel.h"

#define PARTITION "method = partition\ntimeout_ms = 500\n"
#define PINS_A	  "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 0-1\n"
#define PINS_B	  "cpus = 5\nvcpu = 0 5\n"
#define FLOATING  "cpus = 2-3\nvcpu = 0 2-3\nvcpu = 1 2-3\n"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };
static const char *const vcpus_floating[] = { "2-3", "2-3", NULL };

static void guest_a(void)
{
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", PARTITION PINS_A);
}

static void guest_b(void)
{
	make_guest(SCOPE_B, PID_B, vcpus_b, "");
	make_claim(UUID_B, PID_B, "running", PARTITION PINS_B);
}

static void host_with_a(void **state)
{
	make_host(*state, true);
	guest_a();
}

static void assert_isolated(const char *cpus, const char *rest)
{
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), cpus);
	assert_string_equal(get(CG "/cpuset.cpus.effective"), rest);
	assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), rest);
}

static void pins_one_to_one_become_isolated_partitions(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2-3", "0-1,4-7");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.partition"), "isolated");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.partition"), "isolated");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.effective"), "3");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus.effective"), "0-1");
	assert_string_equal(get(CG "/" SCOPE_A "/cpuset.cpus.partition"), "member");
}

/* Those of the guest alone: what lies above is the host's */
static void an_isolated_guests_groups_count_no_pressure(void **state)
{
	static const char *const quiet[] = { SCOPE_A "/libvirt/vcpu0", SCOPE_A "/libvirt/vcpu1",
					     SCOPE_A "/libvirt", SCOPE_A };

	host_with_a(state);
	put("1", CG "/" MACHINE "/cgroup.pressure");
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
		put("1", CG "/%s/cgroup.pressure", quiet[i]);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
		assert_string_equal(get(CG "/%s/cgroup.pressure", quiet[i]), "1");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	make_claim(UUID_A, PID_A, "running", PARTITION PINS_A "pressure = no\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
		assert_string_equal(get(CG "/%s/cgroup.pressure", quiet[i]), "0");
	assert_string_equal(get(CG "/" MACHINE "/cgroup.pressure"), "1");
	assert_isolated("2-3", "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
		assert_string_equal(get(CG "/%s/cgroup.pressure", quiet[i]), "1");
}

static void pins_that_share_cpus_become_one_balanced_partition(void **state)
{
	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus_floating, "");
	make_claim(UUID_A, PID_A, "running", PARTITION FLOATING);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("", "0-1,4-7");
	assert_string_equal(get(CG "/" SCOPE_A "/cpuset.cpus.partition"), "root");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.partition"), "member");
}

/* The kernel does so for isolated CPUs alone: partition_xcpus_newstate() in kernel/cgroup/cpuset.c */
static void unbound_work_keeps_off_a_balanced_partition(void **state)
{
	make_host(*state, true);
	put("ff", WORKQUEUE_MASK);
	make_guest(SCOPE_A, PID_A, vcpus_floating, "");
	make_claim(UUID_A, PID_A, "running", PARTITION FLOATING);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(WORKQUEUE_MASK), "f3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(WORKQUEUE_MASK), "ff");
}

/* Of four vCPUs two are pinned; the kernel lets the others run where no partition is */
static void vcpus_without_a_pin_are_not_shut_in_with_the_pinned_ones(void **state)
{
	static const char *const one_to_one[] = { "2", "3", "", "", NULL };
	static const char *const shared[] = { "2-3", "2-3", "", "", NULL };
	char *before;

	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, one_to_one, "");
	make_claim(UUID_A, PID_A, "running", PARTITION PINS_A);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2-3", "0-1,4-7");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu2/cpuset.cpus.effective"), "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	remove_tree(CG "/" SCOPE_A);
	make_guest(SCOPE_A, PID_A, shared, "");
	make_claim(UUID_A, PID_A, "running", PARTITION FLOATING);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said(
		"the vCPUs share 2-3 and vcpu2 has no pin: pin each vCPU to one CPU of its own");
	assert_same(before);
	free(before);
}

static void an_emulator_on_a_vcpus_cpu_is_partitioned_along_with_a_warning(void **state)
{
	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus_a, "3");
	make_claim(UUID_A, PID_A, "running",
		   PARTITION "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 3\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(
		host.said,
		"usher: a: its CPUs are kept free as a whole, not each by itself: emulator "
		"is pinned to 3, where a vCPU is: pin it to other CPUs\n");
	assert_string_equal(get(CG "/" SCOPE_A "/cpuset.cpus.partition"), "root");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus.effective"), "3");
}

static void the_emulators_pins_are_those_of_its_group_not_the_claims(void **state)
{
	make_host(*state, true);
	/* <vcpu cpuset='2-3'> */
	make_guest(SCOPE_A, PID_A, vcpus_a, "2-3");
	make_group(SCOPE_A "/libvirt/iothread1", "2", true);
	make_claim(UUID_A, PID_A, "running", PARTITION "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("emulator is pinned to 2-3, where a vCPU is");
	assert_string_equal(get(CG "/" SCOPE_A "/cpuset.cpus.partition"), "root");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	/* And one that the claim still has */
	put("", CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus");
	put("0", CG "/" SCOPE_A "/libvirt/iothread1/cpuset.cpus");
	settle();
	make_claim(UUID_A, PID_A, "running",
		   PARTITION "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 3\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2-3", "0-1,4-7");
}

static void a_libvirt_older_than_7_1_has_no_level_of_its_own(void **state)
{
	char *before;

	make_host(*state, true);
	make_group(SCOPE_A, "", true);
	make_group(SCOPE_A "/emulator", "", true);
	make_group(SCOPE_A "/vcpu0", "2", true);
	make_process(PID_A, SCOPE_A "/emulator");
	make_claim(UUID_A, PID_A, "running", PARTITION "cpus = 2\nvcpu = 0 2\n");
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_isolated("2", "0-1,3-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_same(before);
	free(before);
}

static void a_guest_in_a_partition_of_its_own_has_more_groups_above_it(void **state)
{
	char *before;

	make_host(*state, true);
	make_group(MACHINE "/machine-foo.slice", "", true);
	make_guest(MACHINE "/machine-foo.slice/x.scope", PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", PARTITION PINS_A);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_isolated("2-3", "0-1,4-7");
	assert_string_equal(get(CG "/" MACHINE "/machine-foo.slice/cpuset.cpus.exclusive"), "2-3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_vcpu_that_is_not_plugged_in_has_no_group(void **state)
{
	host_with_a(state);
	make_claim(UUID_A, PID_A, "running",
		   PARTITION "cpus = 2-4\nvcpu = 0 2\nvcpu = 1 3\nvcpu = 2 4\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_isolated("2-3", "0-1,4-7");
}

static void a_guest_without_any_vcpu_group_is_an_error(void **state)
{
	char *before;

	host_with_a(state);
	make_claim(UUID_A, PID_A, "running", PARTITION "cpus = 4\nvcpu = 7 4\n");
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("no vCPU of the guest has a group in /" CG "/" SCOPE_A "/libvirt");
	assert_same(before);
	free(before);
}

static void undo_gives_everything_back_and_leaves_no_state(void **state)
{
	char *before;

	host_with_a(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_true(has_state("run/usher/" UUID_A "/cpuset.journal"));
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_no_state();
	free(before);
}

static void undo_twice_does_nothing_the_second_time(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.writes, 0);
}

static void undo_without_apply_does_nothing(void **state)
{
	host_with_a(state);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.writes, 0);
}

static void apply_twice_changes_nothing_the_second_time(void **state)
{
	char *after;

	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	after = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.writes, 0);
	assert_same(after);
	free(after);
}

static void the_scope_takes_its_partition_with_it(void **state)
{
	char *before;

	make_host(*state, true);
	before = snapshot();
	guest_a();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	assert_isolated("", "0-7");
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "2-3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_no_state();
	free(before);
}

static void the_controller_may_be_gone_from_machine_slice(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	remove_tree(CG "/" MACHINE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_no_state();
}

static void each_write_that_fails_leaves_the_host_as_before(void **state)
{
	char *before;
	int nr = 0, r;

	host_with_a(state);
	before = snapshot();
	do {
		host.fail_at = ++nr;
		r = apply(UUID_A);
		if (r != HELPER_DONE) {
			assert_int_equal(r, HELPER_FAILED);
			assert_said(
				"usher: a: its CPUs 2-3 cannot be kept free of others: cannot ");
			assert_same(before);
		}
	} while (r != HELPER_DONE);
	/* two announced, one kept, seven written */
	assert_int_equal(nr - 1, 2 + 1 + 7);
	free(before);
}

static void what_cannot_be_taken_back_is_said_and_undone_later(void **state)
{
	char *before;
	int nr = 0, dirty = 0, r;

	host_with_a(state);
	before = snapshot();
	do {
		host.fail_from = ++nr;
		r = apply(UUID_A);
		if (r == HELPER_DIRTY) {
			dirty++;
			assert_said("usher: a: the CPU settings are not all back: cannot ");
		}
		host.fail_from = 0;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
		assert_no_state();
	} while (r != HELPER_DONE);
	assert_true(dirty > 5);
	free(before);
}

static void an_undo_that_fails_can_be_repeated(void **state)
{
	char *before;
	int nr = 0, r;

	host_with_a(state);
	before = snapshot();
	do {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		host.fail_at = ++nr;
		r = undo(UUID_A);
		host.fail_at = 0;
		if (r != HELPER_DONE) {
			assert_int_equal(r, HELPER_DIRTY);
			assert_int_equal(undo(UUID_A), HELPER_DONE);
		}
		assert_same(before);
		assert_no_state();
	} while (r != HELPER_DONE);
	assert_true(nr > 8);
	free(before);
}

/* What cannot be listed; NULL: all can */
static const char *unlisted;

int __real_attr_list(int rootfd, const char *path, struct strlist *ret);
int __wrap_attr_list(int rootfd, const char *path, struct strlist *ret);
int __wrap_attr_list(int rootfd, const char *path, struct strlist *ret)
{
	if (unlisted && !host.storing && strcmp(path, unlisted) == 0)
		return -EIO;
	return __real_attr_list(rootfd, path, ret);
}

static void groups_that_cannot_be_listed_have_not_gone(void **state)
{
	char *before;

	host_with_a(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	unlisted = CG "/" SCOPE_A "/libvirt";
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	unlisted = NULL;
	assert_said("usher: a: the CPU settings are not all back: cannot list the groups in /" CG
		    "/" SCOPE_A "/libvirt: Input/output error: ");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_kill_at_any_step_is_repaired_by_undo(void **state)
{
	host_with_a(state);
	assert_undo_repairs_a_kill_of_apply(UUID_A);
}

static void a_kill_at_any_step_is_repaired_by_the_next_apply(void **state)
{
	char *before;

	host_with_a(state);
	before = snapshot();
	for (int at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_silent();
		assert_isolated("2-3", "0-1,4-7");
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
		assert_no_state();
	}
	free(before);
}

static void a_kill_of_undo_at_any_step_is_repaired_by_the_next(void **state)
{
	host_with_a(state);
	assert_undo_repairs_a_kill_of_undo(UUID_A);
}

/* The kernel says yes to every write and reads back otherwise */
static void an_invalid_partition_is_a_failure_with_the_kernels_reason(void **state)
{
	char *before;

	make_host(*state, true);
	guest_a();
	make_group(SCOPE_A "/libvirt/foreign", "1-2", true);
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said(
		"its CPUs 2-3 cannot be kept free of others: the kernel has the partition " SCOPE_A
		"/libvirt/vcpu0 as 'isolated invalid (Cpu list in cpuset.cpus not exclusive)'");
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_write_without_effect_is_noticed(void **state)
{
	static const char *const lies[] = { "vcpu1/cpuset.cpus.partition",
					    "vcpu0/cpuset.cpus.exclusive",
					    "libvirt/cpuset.cpus.exclusive",
					    "scope/cpuset.cpus.exclusive",
					    "machine.slice/cpuset.cpus.exclusive" };
	char *before;

	host_with_a(state);
	before = snapshot();
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		host.lie = lies[i];
		assert_int_equal(apply(UUID_A), HELPER_FAILED);
		assert_said("the kernel has the partition");
		host.lie = NULL;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
	}
	free(before);
}

static void a_partition_of_fewer_cpus_than_asked_for_is_noticed(void **state)
{
	char *before;

	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus_floating, "");
	make_claim(UUID_A, PID_A, "running", PARTITION FLOATING);
	before = snapshot();
	host.grants_less = true;
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("the kernel grants " SCOPE_A " only the CPUs 2 of 2-3");
	assert_same(before);
	free(before);
}

static void a_partition_that_became_invalid_is_made_anew(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	/* virsh emulatorpin to a vCPU's CPU, and back */
	put("0-2", CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus");
	settle();
	assert_isolated("3", "0-2,4-7");
	put("0-1", CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus");
	settle();
	assert_isolated("3", "0-2,4-7");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2-3", "0-1,4-7");
}

static void a_cpu_that_goes_offline_is_said_and_isolated_again_when_it_is_back(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0-2,4-7", "sys/devices/system/cpu/online");
	settle();
	assert_isolated("2", "0-1,4-7");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: CPU 3 is offline and not isolated: run usher recover "
			    "when it is back\n");
	assert_int_equal(host.writes, 0);
	put("0-7", "sys/devices/system/cpu/online");
	settle();
	assert_isolated("2", "0-1,3-7");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2-3", "0-1,4-7");
}

static void an_offline_cpu_is_refused_before_anything_is_touched(void **state)
{
	host_with_a(state);
	put("0-2,4-7", "sys/devices/system/cpu/online");
	settle();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("its CPUs 2-3 cannot be kept free of others: CPU 3 is not online");
	assert_int_equal(host.writes, 0);
	assert_no_state();
}

static void an_undo_while_a_cpu_is_offline_is_no_failure(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0-2,4-7", "sys/devices/system/cpu/online");
	settle();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("", "0-2,4-7");
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "");
	assert_no_state();
}

static void a_pinned_slice_in_the_way_is_named(void **state)
{
	char *before;

	host_with_a(state);
	make_group("other.slice", "2-3", true);
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("other.slice is pinned to 2-3: pin one of the two to other CPUs");
	assert_int_equal(host.writes, 0);
	assert_same(before);
	free(before);
}

/* An apply that makes it true again: who has come meanwhile is in the kernel's way alone */
static void a_slice_pinned_since_is_named_with_the_kernels_refusal(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("", CG "/" MACHINE "/cpuset.cpus.exclusive");
	make_group("other.slice", "2-3", true);
	settle();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("cannot write '2-3' to /" CG "/" MACHINE
		    "/cpuset.cpus.exclusive: Invalid argument: "
		    "other.slice is pinned to 2-3");
}

static void two_guests_end_exact_in_any_order(void **state)
{
	static const char *const order[][2] = { { UUID_A, UUID_B }, { UUID_B, UUID_A } };
	char *before;

	host_with_a(state);
	guest_b();
	before = snapshot();
	for (int start = 0; start < 2; start++) {
		for (int end = 0; end < 2; end++) {
			assert_int_equal(apply(order[start][0]), HELPER_DONE);
			assert_int_equal(apply(order[start][1]), HELPER_DONE);
			assert_isolated("2-3,5", "0-1,4,6-7");
			assert_int_equal(undo(order[end][0]), HELPER_DONE);
			assert_string_equal(get(CG "/cpuset.cpus.isolated"),
					    end == 0 ? "5" : "2-3");
			assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"),
					    end == 0 ? "5" : "2-3");
			assert_int_equal(undo(order[end][1]), HELPER_DONE);
			assert_same(before);
			assert_no_state();
		}
	}
	free(before);
}

static void a_dead_guests_share_does_not_count(void **state)
{
	char *before;

	make_host(*state, true);
	before = snapshot();
	guest_a();
	guest_b();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "5");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "5");
	end_guest(PID_B, SCOPE_B);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_dead_guest_does_not_keep_the_baseline(void **state)
{
	char *before;

	make_host(*state, true);
	before = snapshot();
	guest_a();
	guest_b();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	end_guest(PID_B, SCOPE_B);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_same(before);
	assert_false(has_state("run/usher/host/cpuset.ini"));
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_guest_that_may_be_alive_keeps_its_share(void **state)
{
	host_with_a(state);
	guest_b();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("what the kernel never writes", "proc/%d/stat", PID_A);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "2-3,5");
}

static void the_admins_own_exclusive_cpus_stay(void **state)
{
	char *before;

	host_with_a(state);
	guest_b();
	put("7", CG "/" MACHINE "/cpuset.cpus.exclusive");
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "2-3,7");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "5,7");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_same(before);
	free(before);
}

static void what_somebody_else_has_set_meanwhile_stays_and_is_said(void **state)
{
	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("2-3,6", CG "/" MACHINE "/cpuset.cpus.exclusive");
	settle();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: the CPUs of " MACHINE " (exclusive) have been changed to "
			    "2-3,6 meanwhile: left so\n");
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "6");
	assert_no_state();
}

static void what_somebody_else_has_set_between_two_guests_is_the_new_baseline(void **state)
{
	host_with_a(state);
	guest_b();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("2-3,6", CG "/" MACHINE "/cpuset.cpus.exclusive");
	settle();
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "2-3,5-6");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "6");
	assert_no_state();
}

static void a_dry_run_prints_every_write_in_order_and_makes_none(void **state)
{
	char *before;

	host_with_a(state);
	before = snapshot();
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_string_equal(
		host.printed,
		"write /" CG "/" MACHINE "/cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/" SCOPE_A "/cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/" SCOPE_A "/libvirt/cpuset.cpus.exclusive 2-3\n"
		"write /" CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.exclusive 2\n"
		"write /" CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.partition isolated\n"
		"write /" CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.exclusive 3\n"
		"write /" CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.partition isolated\n");
	assert_silent();
	assert_int_equal(host.writes, 0);
	assert_same(before);
	assert_no_state();
	assert_false(has_state("run/usher/host"));
	free(before);
}

static void a_dry_run_of_undo_prints_the_way_back(void **state)
{
	char *after;

	host_with_a(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	after = snapshot();
	assert_int_equal(run_helper("--dry-run", "undo", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed,
			    "write /" CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.partition member\n"
			    "write /" CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.exclusive \"\"\n"
			    "write /" CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.partition member\n"
			    "write /" CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.exclusive \"\"\n"
			    "write /" CG "/" SCOPE_A "/libvirt/cpuset.cpus.exclusive \"\"\n"
			    "write /" CG "/" SCOPE_A "/cpuset.cpus.exclusive \"\"\n"
			    "write /" CG "/" MACHINE "/cpuset.cpus.exclusive \"\"\n");
	assert_int_equal(host.writes, 0);
	assert_same(after);
	assert_true(has_state("run/usher/" UUID_A "/cpuset.journal"));
	free(after);
}

static void a_guest_that_does_not_run_has_no_groups(void **state)
{
	host_with_a(state);
	make_claim(UUID_A, PID_A, "handed", PARTITION PINS_A);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("cannot be kept free of others: the guest does not run (its claim is in state "
		    "handed)");
	make_claim(UUID_A, PID_A, "running", PARTITION PINS_A);
	end_guest(PID_A, NULL);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("its QEMU (pid 100) is gone");
	/* Somebody else has got its pid */
	make_process(PID_A, SCOPE_B "/libvirt/emulator");
	put("100 (sh) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 77 0", "proc/100/stat");
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("its QEMU (pid 100) is gone");
	assert_int_equal(host.writes, 0);
}

static void groups_that_are_not_libvirts_are_left_alone(void **state)
{
	static const char *const places[] = { "0::/user.slice/session-1.scope", "0::/",
					      "0::/emulator", "0::/../x/emulator",
					      "1:cpuset:/machine/emulator" };

	host_with_a(state);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		put(places[i], "proc/100/cgroup");
		assert_int_equal(apply(UUID_A), HELPER_FAILED);
		assert_said("and not in one that libvirt made");
		assert_int_equal(host.writes, 0);
	}
}

static void without_partitions_in_the_kernel_the_method_is_refused(void **state)
{
	make_host(*state, false);
	guest_a();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("this kernel has no cpuset.cpus.exclusive (it came with Linux 6.7)");
	assert_int_equal(host.writes, 0);
}

static void a_balanced_partition_of_cpus_isolated_at_boot_is_refused(void **state)
{
	make_host(*state, true);
	put("3", "sys/devices/system/cpu/isolated");
	make_guest(SCOPE_A, PID_A, vcpus_floating, "");
	make_claim(UUID_A, PID_A, "running", PARTITION FLOATING);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("CPUs 3 are isolated by isolcpus= at boot");
	assert_int_equal(host.writes, 0);
}

/* The kernel would count them out of its list of isolated CPUs at the end, for good */
static void of_cpus_isolated_at_boot_no_isolated_partition_is_made(void **state)
{
	char *before;

	make_host(*state, true);
	put("3", "sys/devices/system/cpu/isolated");
	guest_a();
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2", "0-1,3-7");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus.partition"), "isolated");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.partition"), "member");
	/* It is as it is to be */
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_isolated("2", "0-1,3-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_same(before);
	free(before);
}

static void another_helper_at_work_is_waited_for_until_the_deadline(void **state)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	_cleanup_close_ int statefd = -1;

	host_with_a(state);
	statefd = state_open(host.tree->rootfd, false);
	assert_true(statefd >= 0);
	assert_int_equal(baseline_open(statefd, "cpuset", 0, &baseline), 0);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("cannot take the lock of the shared CPU settings: Connection timed out");
	assert_int_equal(host.writes, 0);
}

static void a_claim_that_is_not_understood_is_wrong_usage(void **state)
{
	host_with_a(state);
	make_claim(UUID_A, PID_A, "running", "cpus = 2\nvcpu = 0 2\nmethod = magic\n");
	assert_int_equal(apply(UUID_A), HELPER_USAGE);
	assert_said("the claim is not understood: [cpuset] method = magic");
	make_claim(UUID_A, PID_A, "running", "cpus = 2\nvcpu = 0 3\n");
	assert_int_equal(apply(UUID_A), HELPER_USAGE);
	assert_said("the claim is not understood: [cpuset] vcpu = 0 3");
	assert_int_equal(host.writes, 0);
}

static void a_journal_that_names_what_is_no_group_is_not_followed(void **state)
{
	static const char *const journals[] = {
		"1 guest ../../etc % isolated\n", "1 guest a//b % isolated\n",
		"1 guest libvirt % isolated\n",	  "1 magic a % 2\n",
		"1 slice sshd.service % 2\n",
	};

	host_with_a(state);
	for (size_t i = 0; i < ARRAY_SIZE(journals); i++) {
		put(journals[i], "run/usher/" UUID_A "/cpuset.journal");
		assert_int_equal(
			fchmodat(host.tree->rootfd, "run/usher/" UUID_A "/cpuset.journal", 0600, 0),
			0);
		assert_int_equal(undo(UUID_A), HELPER_DIRTY);
		assert_said("the CPU settings are not all back: the journal");
		assert_int_equal(host.writes, 0);
	}
}

static void a_journal_that_does_not_parse_is_not_followed(void **state)
{
	host_with_a(state);
	put("1 guest\n", "run/usher/" UUID_A "/cpuset.journal");
	assert_int_equal(
		fchmodat(host.tree->rootfd, "run/usher/" UUID_A "/cpuset.journal", 0600, 0), 0);
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("the CPU settings are not all back: cannot use /run/usher/" UUID_A
		    "/cpuset.journal: Bad message: install the usher that wrote it, or reboot the "
		    "host\n");
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_int_equal(host.writes, 0);
}

static void host_with_the_only_cpu_offline(void **state)
{
	static const char *const vcpus[] = { "5", NULL };

	make_host(*state, true);
	make_guest(SCOPE_B, PID_B, vcpus, "0-1");
	make_claim(UUID_B, PID_B, "running", PARTITION "cpus = 5\nvcpu = 0 5\n");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	put("0-4,6-7", "sys/devices/system/cpu/online");
	settle();
	end_guest(PID_B, SCOPE_B);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: b: CPU 5 is offline and stays in cpuset.cpus.exclusive of "
			    "machine.slice, where it isolates nothing: the next guest takes it out "
			    "when it is back\n");
	assert_false(has_state("run/usher/" UUID_B "/cpuset.journal"));
}

static void an_end_while_its_only_cpu_is_offline_is_no_failure(void **state)
{
	host_with_the_only_cpu_offline(state);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
}

/* The admin's value becomes the baseline with the second guest, or not yet; never none */
static void a_kill_while_a_baseline_is_renewed_loses_nothing(void **state)
{
	bool killed = true;

	for (int at = 1; killed; at++) {
		(void)tree_teardown(state);
		(void)tree_setup(state);
		host_with_a(state);
		make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
		make_claim(UUID_B, PID_B, "running", "cpus = 5\nvcpu = 0 5\n");
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		put("2-3,7", CG "/" MACHINE "/cpuset.cpus.exclusive");
		killed = killed_at(at, "apply", UUID_B);
		(void)undo(UUID_B);
		(void)undo(UUID_A);
		assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "7");
	}
}

static void what_an_offline_cpu_has_left_goes_with_the_next_guest(void **state)
{
	host_with_the_only_cpu_offline(state);
	put("0-7", "sys/devices/system/cpu/online");
	settle();
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", PARTITION "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "2-3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "");
	assert_no_state();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(an_end_while_its_only_cpu_is_offline_is_no_failure),
		tree_test(a_kill_while_a_baseline_is_renewed_loses_nothing),
		tree_test(what_an_offline_cpu_has_left_goes_with_the_next_guest),
		tree_test(pins_one_to_one_become_isolated_partitions),
		tree_test(an_isolated_guests_groups_count_no_pressure),
		tree_test(pins_that_share_cpus_become_one_balanced_partition),
		tree_test(unbound_work_keeps_off_a_balanced_partition),
		tree_test(vcpus_without_a_pin_are_not_shut_in_with_the_pinned_ones),
		tree_test(an_emulator_on_a_vcpus_cpu_is_partitioned_along_with_a_warning),
		tree_test(the_emulators_pins_are_those_of_its_group_not_the_claims),
		tree_test(a_libvirt_older_than_7_1_has_no_level_of_its_own),
		tree_test(a_guest_in_a_partition_of_its_own_has_more_groups_above_it),
		tree_test(a_vcpu_that_is_not_plugged_in_has_no_group),
		tree_test(a_guest_without_any_vcpu_group_is_an_error),
		tree_test(undo_gives_everything_back_and_leaves_no_state),
		tree_test(undo_twice_does_nothing_the_second_time),
		tree_test(undo_without_apply_does_nothing),
		tree_test(apply_twice_changes_nothing_the_second_time),
		tree_test(the_scope_takes_its_partition_with_it),
		tree_test(the_controller_may_be_gone_from_machine_slice),
		tree_test(each_write_that_fails_leaves_the_host_as_before),
		tree_test(what_cannot_be_taken_back_is_said_and_undone_later),
		tree_test(an_undo_that_fails_can_be_repeated),
		tree_test(groups_that_cannot_be_listed_have_not_gone),
		tree_test(a_kill_at_any_step_is_repaired_by_undo),
		tree_test(a_kill_at_any_step_is_repaired_by_the_next_apply),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		tree_test(an_invalid_partition_is_a_failure_with_the_kernels_reason),
		tree_test(a_write_without_effect_is_noticed),
		tree_test(a_partition_of_fewer_cpus_than_asked_for_is_noticed),
		tree_test(a_partition_that_became_invalid_is_made_anew),
		tree_test(a_cpu_that_goes_offline_is_said_and_isolated_again_when_it_is_back),
		tree_test(an_offline_cpu_is_refused_before_anything_is_touched),
		tree_test(an_undo_while_a_cpu_is_offline_is_no_failure),
		tree_test(a_pinned_slice_in_the_way_is_named),
		tree_test(a_slice_pinned_since_is_named_with_the_kernels_refusal),
		tree_test(two_guests_end_exact_in_any_order),
		tree_test(a_dead_guests_share_does_not_count),
		tree_test(a_dead_guest_does_not_keep_the_baseline),
		tree_test(a_guest_that_may_be_alive_keeps_its_share),
		tree_test(the_admins_own_exclusive_cpus_stay),
		tree_test(what_somebody_else_has_set_meanwhile_stays_and_is_said),
		tree_test(what_somebody_else_has_set_between_two_guests_is_the_new_baseline),
		tree_test(a_dry_run_prints_every_write_in_order_and_makes_none),
		tree_test(a_dry_run_of_undo_prints_the_way_back),
		tree_test(a_guest_that_does_not_run_has_no_groups),
		tree_test(groups_that_are_not_libvirts_are_left_alone),
		tree_test(without_partitions_in_the_kernel_the_method_is_refused),
		tree_test(a_balanced_partition_of_cpus_isolated_at_boot_is_refused),
		tree_test(of_cpus_isolated_at_boot_no_isolated_partition_is_made),
		tree_test(another_helper_at_work_is_waited_for_until_the_deadline),
		tree_test(a_claim_that_is_not_understood_is_wrong_usage),
		tree_test(a_journal_that_names_what_is_no_group_is_not_followed),
		tree_test(a_journal_that_does_not_parse_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
