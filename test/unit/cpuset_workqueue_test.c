/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_workqueue_test.c - unbound work keeps off all guests' CPUs, whatever their way
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 */
#include "test/unit/cpuset_kernel.h"

#define TMO	   "timeout_ms = 2000\n"
#define SECTION_A  TMO "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define SLICES_B   "method = slices\n" TMO "cpus = 5\nvcpu = 0 5\n"
#define PLAIN_B	   "method = plain\n" TMO "cpus = 5\nvcpu = 0 5\n"
#define BALANCED_B "method = partition\n" TMO "cpus = 4-5\nvcpu = 0 4-5\n"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };
static const char *const vcpus_balanced[] = { "4-5", NULL };

/* B's ways, and what is left of "ff" with B alone */
static const struct way_b {
	const char *section;
	const char *const *vcpus;
	const char *left;
} ways_b[] = {
	{ SLICES_B, vcpus_b, "df" },
	{ PLAIN_B, vcpus_b, "df" },
	{ BALANCED_B, vcpus_balanced, "cf" },
};

static void host_with_two(void **state, const struct way_b *way)
{
	make_host(*state, true);
	put("ff", WORKQUEUE_MASK);
	put("ff", WORKQUEUE_WANTED);
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	make_guest(SCOPE_B, PID_B, way->vcpus, way == &ways_b[2] ? "" : "0-1");
	make_claim(UUID_B, PID_B, "running", way->section);
}

/* Each test is one host */
static void next_host(void **state)
{
	assert_int_equal(tree_teardown(state), 0);
	assert_int_equal(tree_setup(state), 0);
}

static void assert_keeps_off(const char *cpus)
{
	struct cpulist mask = mask_of(WORKQUEUE_MASK), none = cpus_of(cpus);

	if (cpulist_intersects(&mask, &none))
		fail_msg("unbound work has %s, and with it some of %s", get(WORKQUEUE_MASK), cpus);
}

static void assert_mask(const char *text)
{
	assert_string_equal(get(WORKQUEUE_MASK), text);
	assert_string_equal(get(WORKQUEUE_WANTED), text);
}

static void another_guests_start_and_end_keep_it_off_an_isolated_one(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways_b); i++) {
		host_with_two(state, &ways_b[i]);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_string_equal(get(WORKQUEUE_MASK), "f3");
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		assert_silent();
		assert_keeps_off("2-3,5");
		assert_int_equal(check(UUID_A), HELPER_DONE);
		assert_silent();
		assert_int_equal(undo(UUID_B), HELPER_DONE);
		assert_silent();
		assert_keeps_off("2-3");
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_mask("ff");
		assert_no_state();
		next_host(state);
	}
	make_host(*state, true);
}

static void an_isolated_one_that_ends_first_gives_its_cpus_back(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways_b); i++) {
		host_with_two(state, &ways_b[i]);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_mask(ways_b[i].left);
		/* It starts again, the second by now */
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_keeps_off("2-3,5");
		assert_int_equal(undo(UUID_B), HELPER_DONE);
		assert_keeps_off("2-3");
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_mask("ff");
		assert_no_state();
		next_host(state);
	}
	make_host(*state, true);
}

/* The other ends before it is known what the one that was killed has isolated */
static void one_killed_at_any_step_loses_no_cpu_by_the_others_end(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways_b); i++) {
		host_with_two(state, &ways_b[i]);
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		for (int at = 1; killed_at(at, "apply", UUID_A); at++) {
			assert_int_equal(undo(UUID_B), HELPER_DONE);
			assert_silent();
			assert_int_equal(undo(UUID_A), HELPER_DONE);
			assert_silent();
			assert_mask("ff");
			assert_no_state();
			assert_int_equal(apply(UUID_B), HELPER_DONE);
		}
		next_host(state);
	}
	make_host(*state, true);
}

/* Both QEMUs are gone at once, and the isolated one's groups go later than the other is undone */
static void of_two_that_die_together_neither_keeps_a_cpu(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways_b); i++) {
		host_with_two(state, &ways_b[i]);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		end_guest(PID_A, NULL);
		end_guest(PID_B, NULL);
		assert_int_equal(undo(UUID_B), HELPER_DONE);
		assert_silent();
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_mask("ff");
		assert_no_state();
		next_host(state);
	}
	make_host(*state, true);
}

static void alone_an_isolated_one_leaves_it_to_the_kernel(void **state)
{
	host_with_two(state, &ways_b[0]);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(WORKQUEUE_MASK), "f3");
	assert_string_equal(get(WORKQUEUE_WANTED), "ff");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_mask("ff");
	assert_no_state();
}

static void work_that_came_back_to_isolated_cpus_is_noticed_and_mended(void **state)
{
	host_with_two(state, &ways_b[0]);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("ff", WORKQUEUE_MASK);
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said,
			    "usher: a: its CPUs are not kept free any more: the kernel's unbound "
			    "work may run on 2-3 again: run usher recover\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_keeps_off("2-3");
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_mask("ff");
}

/* A container runtime's, or one made by hand; @cpus "": it has gone */
static void foreign_partition(const char *cpus)
{
	make_group("rt.slice", "", true);
	put(cpus, CG "/rt.slice/cpuset.cpus.exclusive");
	put(*cpus ? "isolated" : "member", CG "/rt.slice/cpuset.cpus.partition");
	settle();
}

static void somebody_elses_isolated_cpus_are_kept_off_too(void **state)
{
	host_with_two(state, &ways_b[2]);
	foreign_partition("6");
	assert_string_equal(get(WORKQUEUE_MASK), "bf");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_keeps_off("4-6");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_keeps_off("6");
	assert_string_equal(host.said,
			    "usher: b: unbound work is kept off CPUs 6, which another partition "
			    "isolates: when it ends, write ff to /" WORKQUEUE_MASK "\n");
	assert_no_state();
}

/* It is no baseline: when the partition has gone before the guest, all is as it was */
static void somebody_elses_isolated_cpus_come_back_with_the_last_guest(void **state)
{
	host_with_two(state, &ways_b[2]);
	foreign_partition("6");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	foreign_partition("");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_mask("ff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(another_guests_start_and_end_keep_it_off_an_isolated_one),
		tree_test(an_isolated_one_that_ends_first_gives_its_cpus_back),
		tree_test(one_killed_at_any_step_loses_no_cpu_by_the_others_end),
		tree_test(of_two_that_die_together_neither_keeps_a_cpu),
		tree_test(alone_an_isolated_one_leaves_it_to_the_kernel),
		tree_test(work_that_came_back_to_isolated_cpus_is_noticed_and_mended),
		tree_test(somebody_elses_isolated_cpus_are_kept_off_too),
		tree_test(somebody_elses_isolated_cpus_come_back_with_the_last_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
