/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_recover_test.c - what usher recover takes away that is no guest's */
#include "usher_host.h"

#define INSTANCES "sys/kernel/tracing/instances"

/* One at work, one whose pid is another's by now, one whose process is gone; and what others made */
static void make_traces(const struct tree *tree)
{
	host_process(tree, 200);
	host_process(tree, 300);
	tree_dir(tree, INSTANCES "/usher-noise-200-2000");
	tree_dir(tree, INSTANCES "/usher-noise-300-2999");
	tree_dir(tree, INSTANCES "/usher-noise-400-4000");
	tree_dir(tree, INSTANCES "/usher-noise-400");
	tree_dir(tree, INSTANCES "/trace-cmd");
}

static bool has(const struct tree *tree, const char *path)
{
	return faccessat(tree->rootfd, path, F_OK, 0) == 0;
}

static void assert_others_stay(const struct tree *tree)
{
	assert_true(has(tree, INSTANCES "/usher-noise-200-2000"));
	assert_true(has(tree, INSTANCES "/usher-noise-400"));
	assert_true(has(tree, INSTANCES "/trace-cmd"));
}

static int recover(const struct tree *tree, const char *guest, char *buf, size_t size)
{
	struct request request = { .root = tree->dir, .guest = guest };
	struct printed err;
	int status;

	printed_begin(&err, STDERR_FILENO);
	status = command_recover.run(&request);
	(void)printed_end(&err, buf, size);
	return status;
}

static void the_traces_of_killed_noise_go_and_no_others(void **state)
{
	const struct tree *tree = *state;
	char said[1024];

	make_traces(tree);
	assert_int_equal(recover(tree, NULL, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	assert_false(has(tree, INSTANCES "/usher-noise-300-2999"));
	assert_false(has(tree, INSTANCES "/usher-noise-400-4000"));
	assert_others_stay(tree);
}

/* As where somebody has its pipe open */
static void a_trace_that_stays_is_named_and_the_others_go(void **state)
{
	const struct tree *tree = *state;
	char said[1024];

	make_traces(tree);
	tree_file(tree, INSTANCES "/usher-noise-300-2999/trace_pipe", "");
	assert_int_equal(recover(tree, NULL, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "cannot remove /" INSTANCES "/usher-noise-300-2999, "));
	assert_non_null(strstr(said, "run usher recover when he has ended"));
	assert_false(has(tree, INSTANCES "/usher-noise-400-4000"));
	assert_others_stay(tree);
}

static void recovering_one_guest_leaves_traces_alone(void **state)
{
	const struct tree *tree = *state;
	char said[1024];

	make_traces(tree);
	assert_int_equal(recover(tree, "win11", said, sizeof(said)), 0);
	assert_true(has(tree, INSTANCES "/usher-noise-400-4000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(the_traces_of_killed_noise_go_and_no_others),
		tree_test(a_trace_that_stays_is_named_and_the_others_go),
		tree_test(recovering_one_guest_leaves_traces_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
