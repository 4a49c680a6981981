/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_watchdog_test.c - the watchdog of soft lockups keeps off all guests' CPUs
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: aside_run
 */
#include "test/unit/cpuset_kernel.h"

#define TMO	  "timeout_ms = 2000\n"
#define SECTION_A TMO "watchdog = no\ncpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define SECTION_B TMO "watchdog = no\nmethod = slices\ncpus = 5\nvcpu = 0 5\n"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

/* 1: as it is; else this is said of a child that does nothing, but of those that go before it */
static int aside_result = 1;
static int asides_before;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	if (aside_result == 1 || asides_before-- > 0)
		return __real_aside_run(rootfd, run, shared, step_ms);
	return aside_result;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void host_with_two(void **state)
{
	make_host(*state, true);
	put("0-7", WATCHDOG);
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
	make_claim(UUID_B, PID_B, "running", SECTION_B);
}

static void it_leaves_a_guests_cpus_and_comes_back(void **state)
{
	char *before;

	host_with_two(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(WATCHDOG), "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
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
		assert_string_equal(get(WATCHDOG), "0-1,4,6-7");
		assert_int_equal(undo(uuids[first]), HELPER_DONE);
		assert_string_equal(get(WATCHDOG), left[first]);
		assert_int_equal(undo(uuids[1 - first]), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(WATCHDOG), "0-7");
		assert_no_state();
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	make_host(*state, true);
}

static void an_admins_mask_stays_and_is_said(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0", WATCHDOG);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("usher: a: the CPUs of " WATCHDOG
		    " (watchdog) have been changed to 0 meanwhile: left so\n");
	assert_string_equal(get(WATCHDOG), "0");
	assert_no_state();
}

static void where_there_is_nothing_to_take_nothing_is_written(void **state)
{
	static const char *const sees_to[] = { "", "0-1", "2-3" };

	for (size_t i = 0; i < ARRAY_SIZE(sees_to); i++) {
		host_with_two(state);
		put(sees_to[i], WATCHDOG);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(WATCHDOG), sees_to[i]);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(WATCHDOG), sees_to[i]);
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	/* Not asked for; and a kernel that has none */
	host_with_two(state);
	make_claim(UUID_A, PID_A, "running", TMO "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(WATCHDOG), "0-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	remove_tree(WATCHDOG);
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
}

static void a_check_tells_that_it_sees_to_them_again(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	put("0-7", WATCHDOG);
	assert_int_not_equal(check(UUID_A), HELPER_DONE);
	assert_said("the kernel's watchdog of lockups may run on 2-3 again: run usher recover");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
}

/* The guest has its CPUs all the same */
static void a_mask_that_cannot_be_written_in_time_is_said(void **state)
{
	static const char *const why[] = {
		"cannot write 0-1,4-7 to /" WATCHDOG ": Input/output error: see dmesg\n",
		"/" WATCHDOG
		" does not answer: a write to it waits for a CPU that a realtime task, "
		"perhaps a vCPU (<vcpusched>), does not leave: when it does, run usher recover\n"
	};
	char *before;

	for (size_t i = 0; i < ARRAY_SIZE(why); i++) {
		host_with_two(state);
		before = snapshot();
		aside_result = i == 0 ? 0 : -ETIMEDOUT;
		/* It is read before */
		asides_before = 1;
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		aside_result = 1;
		assert_said("usher: a: the watchdog of lockups runs on its CPUs: ");
		assert_said(why[i]);
		assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3");
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
		assert_no_state();
		free(before);
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	make_host(*state, true);
}

/* A write hangs in the kernel, and has its lock: so would who reads */
static void nobody_answers(void)
{
	assert_int_equal(unlinkat(host.tree->rootfd, WATCHDOG, 0), 0);
	assert_int_equal(mkfifoat(host.tree->rootfd, WATCHDOG, 0600), 0);
}

static void answers(const char *mask)
{
	assert_int_equal(unlinkat(host.tree->rootfd, WATCHDOG, 0), 0);
	put(mask, WATCHDOG);
}

static void a_mask_that_cannot_be_read_in_time_holds_nobody_up(void **state)
{
	host_with_two(state);
	nobody_answers();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("usher: a: the watchdog of lockups runs on its CPUs: /" WATCHDOG
		    " does not answer: ");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3");
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	answers("0-7");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	nobody_answers();
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("/" WATCHDOG " does not answer: ");
	/* It stays owed */
	answers("0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(WATCHDOG), "0-7");
	assert_no_state();
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

static void a_record_of_another_file_is_none_of_ours(void **state)
{
	struct cpuset_job job = { 0 };

	(void)state;
	assert_int_equal(watchdog_undo(&job, "etc/passwd"), -EBADMSG);
	assert_string_equal(job.why, "the journal's watchdog 'etc/passwd' is none of ours");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(it_leaves_a_guests_cpus_and_comes_back),
		tree_test(of_two_guests_each_keeps_it_off_whoever_ends_first),
		tree_test(an_admins_mask_stays_and_is_said),
		tree_test(where_there_is_nothing_to_take_nothing_is_written),
		tree_test(a_check_tells_that_it_sees_to_them_again),
		tree_test(a_mask_that_cannot_be_written_in_time_is_said),
		tree_test(a_mask_that_cannot_be_read_in_time_holds_nobody_up),
		tree_test(a_kill_at_any_step_is_repaired_by_undo),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		cmocka_unit_test(a_record_of_another_file_is_none_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
