/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_each_way_test.c - whatever cannot be read, written or had, the host comes back
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: syscall read write fstat fdopendir readdir unlinkat mkdirat renameat readlinkat ftruncate flock
 * wraps: malloc calloc realloc reallocarray strdup strndup
 * wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream
 */
#include "test/unit/cpuset_kernel.h"

/* The kernel reads by itself */
#define WAYS_PAUSED (!host.running || host.storing)
#include "test/unit/each_way.h"
#include "test/unit/machine.h"

#define CPU    "sys/devices/system/cpu"
#define PINS_A "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 0-1\n"
#define WISHES                                                                                     \
	"governor = performance\nenergy_preference = performance\nwake_latency_us = 50\n"          \
	"stat_interval = 60\n"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

/* All that any of the ways may touch */
static char *whole(void)
{
	(void)snapshot();
	snapshot_dir(CPU);
	snapshot_dir("proc/sys");
	return snapshot_text;
}

/* The first line of each that differs is said */
static void assert_alike(const char *now, const char *before)
{
	size_t same = 0;

	while (now[same] && now[same] == before[same])
		same++;
	if (now[same] == before[same])
		return;
	while (same > 0 && now[same - 1] != '\n')
		same--;
	fail_msg("is '%.*s', was '%.*s'; said: %s", (int)strcspn(now + same, "\n"), now + same,
		 (int)strcspn(before + same, "\n"), before + same, host.said);
}

static void assert_whole(const char *before)
{
	char *now = whole();

	assert_alike(now, before);
	free(now);
}

static void make_speeds(void)
{
	put("1", "proc/sys/vm/stat_interval");
	for (int cpu = 2; cpu < 6; cpu++) {
		char from[64], to[64];

		fmt(from, CPU "/cpu%d/cpufreq", cpu);
		fmt(to, "../cpufreq/policy%d", cpu);
		tree_link(host.tree, from, to);
		put("0", CPU "/cpu%d/power/pm_qos_resume_latency_us", cpu);
		put("powersave", CPU "/cpufreq/policy%d/scaling_governor", cpu);
		put("balance_performance", CPU "/cpufreq/policy%d/energy_performance_preference",
		    cpu);
	}
}

/* With another guest that runs on */
static void make_scene(struct tree *tree, const char *section)
{
	make_host(tree, true);
	put("ff", IRQ_DEFAULT);
	put("ff", WORKQUEUE_MASK);
	make_irq(24, "xhci_hcd", "2-3");
	make_irq(25, "eth0-rx-0", "1-2");
	make_speeds();
	make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
	make_claim(UUID_B, PID_B, "running", "cpus = 5\nvcpu = 0 5\n" WISHES);
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", section);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	/* What cannot be "not set" again is all CPUs from the first end on */
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
}

static bool undone(const char *before)
{
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_whole(before);
	assert_false(has_state("run/usher/" UUID_A "/cpuset.journal"));
	return true;
}

/* In each line why, too */
static void assert_told(void)
{
	assert_string_not_equal(host.said, "");
	assert_null(strstr(host.said, ": \n"));
	assert_null(strstr(host.said, ": :"));
}

/* What is not as it would be is said, and what has failed is as it was */
static void each_start(enum way_kind kind)
{
	char *before = whole(), *after, *full;
	bool failed;
	int r;

	assert_int_equal(apply(UUID_A), HELPER_DONE);
	full = whole();
	undone(before);
	do {
		way_begin(kind);
		r = apply(UUID_A);
		failed = way_end();
		after = whole();
		if (r == HELPER_FAILED)
			assert_alike(after, before);
		if (r == HELPER_DONE && !*host.said)
			assert_alike(after, full);
		else
			assert_told();
		free(after);
		undone(before);
	} while (failed);
	free(full);
	free(before);
}

static void each_end(enum way_kind kind)
{
	char *before = whole();
	bool failed;

	do {
		int r;

		assert_int_equal(apply(UUID_A), HELPER_DONE);
		way_begin(kind);
		r = undo(UUID_A);
		failed = way_end();
		if (r == HELPER_DONE)
			assert_whole(before);
		else
			assert_told();
		undone(before);
	} while (failed);
	free(before);
}

static void each_check(enum way_kind kind)
{
	char *before;
	bool failed;

	assert_int_equal(apply(UUID_A), HELPER_DONE);
	before = whole();
	do {
		int r;

		way_begin(kind);
		r = check(UUID_A);
		failed = way_end();
		assert_whole(before);
		if (r != HELPER_DONE)
			assert_told();
	} while (failed);
	free(before);
}

#define SCENE_TESTS(name, section)                                                                 \
	static void by_##name##_a_start_says_what_it_cannot_read_and_is_taken_back(void **state)   \
	{                                                                                          \
		make_scene(*state, section);                                                       \
		each_start(WAY_SYSTEM);                                                            \
	}                                                                                          \
	static void by_##name##_a_start_without_memory_is_taken_back(void **state)                 \
	{                                                                                          \
		make_scene(*state, section);                                                       \
		each_start(WAY_MEMORY);                                                            \
	}                                                                                          \
	static void by_##name##_an_end_that_cannot_read_is_done_by_the_next(void **state)          \
	{                                                                                          \
		make_scene(*state, section);                                                       \
		each_end(WAY_SYSTEM);                                                              \
	}                                                                                          \
	static void by_##name##_an_end_without_memory_is_done_by_the_next(void **state)            \
	{                                                                                          \
		make_scene(*state, section);                                                       \
		each_end(WAY_MEMORY);                                                              \
	}                                                                                          \
	static void by_##name##_a_check_that_fails_says_why(void **state)                          \
	{                                                                                          \
		make_scene(*state, section);                                                       \
		each_check(WAY_SYSTEM);                                                            \
		each_check(WAY_MEMORY);                                                            \
	}

/* As the hook has it before the start */
static void make_choice(struct tree *tree)
{
	static const struct machine eight = { .name = "eight cores",
					      .packages = 1,
					      .nodes = 1,
					      .l3s = 2,
					      .cores = 8,
					      .threads = 1,
					      .l3_kib = 8192 };

	make_host(tree, true);
	machine_make(tree, &eight);
	settle();
	make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
	make_claim(UUID_B, PID_B, "running", "cpus = 5\nvcpu = 0 5\n");
}

static void prepare_choice(void)
{
	make_claim(UUID_A, PID_A, "preparing",
		   "method = partition\npin = auto\nvcpus = 2\nallowed = 0-7\nnodes = 0\nemulator "
		   "= 0\n");
}

static void a_choice_is_in_the_claim_or_it_is_said_that_there_is_none(void **state)
{
	make_choice(*state);
	for (enum way_kind kind = WAY_SYSTEM; kind <= WAY_MEMORY; kind++) {
		bool failed;

		do {
			bool chosen;
			int r;

			prepare_choice();
			way_begin(kind);
			r = run_helper("--", "choose", UUID_A);
			failed = way_end();
			chosen = strstr(get("run/usher/" UUID_A "/claim.ini"), "\nvcpu = ");
			assert_int_equal(chosen, r == HELPER_DONE);
			if (r != HELPER_DONE)
				assert_told();
		} while (failed);
	}
}

static void make_chosen(struct tree *tree)
{
	static const char *const unpinned[] = { "", "", NULL };
	char text[2048], *state;

	make_choice(tree);
	prepare_choice();
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	fmt(text, "%s", get("run/usher/" UUID_A "/claim.ini"));
	state = strstr(text, "preparing");
	assert_non_null(state);
	memcpy(state, "running  ", strlen("running  "));
	put(text, "run/usher/" UUID_A "/claim.ini");
	make_guest(SCOPE_A, PID_A, unpinned, "");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
}

static void a_start_on_chosen_cores_is_taken_back(void **state)
{
	make_chosen(*state);
	each_start(WAY_SYSTEM);
	each_start(WAY_MEMORY);
}

static void an_end_on_chosen_cores_is_done_by_the_next(void **state)
{
	make_chosen(*state);
	each_end(WAY_SYSTEM);
	each_end(WAY_MEMORY);
}

SCENE_TESTS(partition, "method = partition\n" PINS_A WISHES)
SCENE_TESTS(slices, "method = slices\n" PINS_A WISHES)
SCENE_TESTS(plain, "method = plain\n" PINS_A WISHES)

#define SCENE(name)                                                                                \
	memory_test(by_##name##_a_start_says_what_it_cannot_read_and_is_taken_back),               \
		memory_test(by_##name##_a_start_without_memory_is_taken_back),                     \
		memory_test(by_##name##_an_end_that_cannot_read_is_done_by_the_next),              \
		memory_test(by_##name##_an_end_without_memory_is_done_by_the_next),                \
		memory_test(by_##name##_a_check_that_fails_says_why)

#define memory_test(name) cmocka_unit_test_setup_teardown(name, tree_setup_in_memory, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(partition),
		SCENE(slices),
		SCENE(plain),
		memory_test(a_choice_is_in_the_claim_or_it_is_said_that_there_is_none),
		memory_test(a_start_on_chosen_cores_is_taken_back),
		memory_test(an_end_on_chosen_cores_is_done_by_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
