/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_rcu_test.c - the kernel's RCU thread keeps off all guests' CPUs by slices
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: hierarchy_is_ours sched_bind
 */
#include "test/unit/cpuset_kernel.h"

#define TMO	  "timeout_ms = 2000\nmethod = slices\n"
#define SECTION_A TMO "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define SECTION_B TMO "cpus = 5\nvcpu = 0 5\n"
#define RCU	  17 /* RCU_DIR */
#define ONLINE	  "sys/devices/system/cpu/online"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

static bool ours;
static int bind_error;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx);
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx)
{
	(void)ctx;
	return ours;
}

static void bound_to(pid_t tid, const char *list)
{
	char text[256];

	fmt(text, "Name:\trcu_preempt\nCpus_allowed:\t0\nCpus_allowed_list:\t%s\nMems_allowed:\t1",
	    list);
	put(text, "proc/%d/status", (int)tid);
}

/* As Linux 6.1: what is offline is lost */
int __wrap_sched_bind(pid_t tid, const struct cpulist *cpus);
int __wrap_sched_bind(pid_t tid, const struct cpulist *cpus)
{
	struct cpulist online = cpus_of(get("sys/devices/system/cpu/online"));
	char list[256];
	int r = step();

	if (r < 0 || bind_error < 0)
		return r < 0 ? r : bind_error;
	cpulist_intersect(&online, cpus);
	assert_int_equal(cpulist_format(&online, list, sizeof(list)), 0);
	bound_to(tid, list);
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void assert_rcu(const char *list)
{
	char text[64];

	fmt(text, "Cpus_allowed_list:\t%s\n", list);
	if (!strstr(get("proc/%d/status", RCU), text))
		fail_msg("not bound to %s, but: %s", list, get("proc/%d/status", RCU));
}

static void make_two(void **state, bool partitions, const char *section_b)
{
	make_host(*state, partitions);
	put("0-7", "sys/devices/system/cpu/present");
	ours = true;
	bind_error = 0;
	/* Beside it a program of the same name, as early as that */
	put("rcu_preempt", "proc/16/comm");
	tree_link(host.tree, "proc/16/exe", "/usr/bin/rcu_preempt");
	put("rcu_preempt", "proc/%d/comm", RCU);
	bound_to(RCU, "0-7");
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
	make_claim(UUID_B, PID_B, "running", section_b);
	/* As systemd leaves them when they have been confined once */
	put("0-7", CG "/init.scope/cpuset.cpus");
	put("0-7", CG "/system.slice/cpuset.cpus");
	put("0-7", CG "/user.slice/cpuset.cpus");
	settle();
}

static void host_with_two(void **state)
{
	make_two(state, false, SECTION_B);
}

/* B's, while A has its CPUs by slices */
static void host_with_a_partition(void **state)
{
	make_two(state, true, "timeout_ms = 2000\nmethod = partition\ncpus = 5\nvcpu = 0 5\n");
}

static void it_leaves_a_guests_cpus_and_comes_back(void **state)
{
	char *before;

	host_with_two(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_rcu("0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_rcu("0-7");
	assert_no_state();
	free(before);
}

static void of_two_guests_each_keeps_it_off_whoever_ends_first(void **state)
{
	static const char *const uuids[] = { UUID_A, UUID_B };
	static const char *const left[] = { "0-4,6-7", "0-1,4-7" };

	for (size_t first = 0; first < ARRAY_SIZE(uuids); first++) {
		host_with_two(state);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		assert_rcu("0-1,4,6-7");
		assert_int_equal(undo(uuids[first]), HELPER_DONE);
		assert_rcu(left[first]);
		assert_int_equal(undo(uuids[1 - first]), HELPER_DONE);
		assert_silent();
		assert_rcu("0-7");
		assert_no_state();
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	make_host(*state, false);
}

static void beside_another_guest_a_kill_at_any_step_is_repaired(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	for (int at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_rcu("0-4,6-7");
	}
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_rcu("0-7");
	assert_no_state();
}

static void an_admins_choice_stays(void **state)
{
	host_with_two(state);
	bound_to(RCU, "0");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_rcu("0");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_rcu("0");
	bound_to(RCU, "0-7");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	bound_to(RCU, "1");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("usher: a: the CPUs of rcu_preempt (rcu) have been changed to 1 meanwhile: "
		    "left so\n");
	assert_rcu("1");
	assert_no_state();
}

/* The kernel would forget it */
static void while_a_cpu_is_offline_it_is_left_alone(void **state)
{
	host_with_two(state);
	put("0-6", ONLINE);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("the kernel's thread rcu_preempt may run on its CPUs, for it would lose CPU 7, "
		    "which is offline: start the guest when that one is online");
	assert_rcu("0-7");
	put("0-7", ONLINE);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_rcu("0-1,4-7");
	put("0-6", ONLINE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_rcu("0-1,4-7");
	put("0-7", ONLINE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_rcu("0-7");
	assert_no_state();
}

/* Bound meanwhile, it would never run there again */
static void what_is_offline_at_the_end_is_not_lost(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	put("0-6", ONLINE);
	settle();
	assert_int_equal(undo(UUID_B), HELPER_DIRTY);
	assert_string_equal(host.said,
			    "usher: b: the CPU settings are not all back: the kernel's thread "
			    "rcu_preempt would lose CPU 7, which is offline: when it is online "
			    "again, run usher recover\n");
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_rcu("0-1,4,6-7");
	put("0-7", ONLINE);
	settle();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_rcu("0-7");
	assert_no_state();
}

/* The kernel takes 5 from it while that is a partition's, and gives it back */
static void a_partition_of_another_guest_is_nobodys_change(void **state)
{
	for (int since = 0; since < 2; since++) {
		host_with_a_partition(state);
		assert_int_equal(apply(since ? UUID_A : UUID_B), HELPER_DONE);
		bound_to(RCU, since ? "0-1,4-7" : "0-4,6-7");
		assert_int_equal(apply(since ? UUID_B : UUID_A), HELPER_DONE);
		bound_to(RCU, "0-1,4,6-7");
		/* As usher recover does */
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(undo(since ? UUID_A : UUID_B), HELPER_DONE);
		assert_silent();
		bound_to(RCU, since ? "0-4,6-7" : "0-1,4-7");
		assert_int_equal(undo(since ? UUID_B : UUID_A), HELPER_DONE);
		assert_silent();
		if (since)
			bound_to(RCU, "0-7");
		assert_rcu("0-7");
		assert_no_state();
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	make_host(*state, false);
}

static void a_check_tells_that_it_may_run_there_again(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	bound_to(RCU, "0-2");
	assert_int_not_equal(check(UUID_A), HELPER_DONE);
	assert_said("rcu_preempt may run on 2 again: run usher recover");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
}

static void where_there_is_none_of_ours_nothing_is_done(void **state)
{
	host_with_two(state);
	ours = false;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_rcu("0-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	ours = true;
	remove_tree("proc/17");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_no_state();
}

static void one_that_cannot_be_bound_is_said(void **state)
{
	char *before;

	host_with_two(state);
	before = snapshot();
	bind_error = -EPERM;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said(
		"usher: a: the kernel's thread rcu_preempt may run on its CPUs: cannot bind the "
		"kernel's thread rcu_preempt to CPUs 0-1,4-7: Operation not permitted: see "
		"taskset -p\n");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_kill_at_any_step_is_repaired_by_undo(void **state)
{
	host_with_two(state);
	assert_undo_repairs_a_kill_of_apply(UUID_A);
}

static void a_kill_of_undo_at_any_step_is_repaired_by_the_next(void **state)
{
	host_with_two(state);
	assert_undo_repairs_a_kill_of_undo(UUID_A);
}

static void a_record_of_another_thread_is_none_of_ours(void **state)
{
	struct cpuset_job job = { 0 };

	(void)state;
	assert_int_equal(rcu_undo(&job, "kthreadd"), -EBADMSG);
	assert_string_equal(job.why, "the journal's thread 'kthreadd' is none of ours");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(it_leaves_a_guests_cpus_and_comes_back),
		tree_test(of_two_guests_each_keeps_it_off_whoever_ends_first),
		tree_test(beside_another_guest_a_kill_at_any_step_is_repaired),
		tree_test(an_admins_choice_stays),
		tree_test(while_a_cpu_is_offline_it_is_left_alone),
		tree_test(what_is_offline_at_the_end_is_not_lost),
		tree_test(a_partition_of_another_guest_is_nobodys_change),
		tree_test(a_check_tells_that_it_may_run_there_again),
		tree_test(where_there_is_none_of_ours_nothing_is_done),
		tree_test(one_that_cannot_be_bound_is_said),
		tree_test(a_kill_at_any_step_is_repaired_by_undo),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		cmocka_unit_test(a_record_of_another_thread_is_none_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
