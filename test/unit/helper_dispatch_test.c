/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/helper_dispatch_test.c - what a helper says to a claim, a lock or a root that is not right */
#include "printed.h"

#include <getopt.h>

#include "helpers/helper.h"
#include "lib/state.h"

#define UUID  "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define CLAIM "run/usher/" UUID "/claim.ini"
#define HEAD                                                                                       \
	"[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = running\n"                   \
	"owner = 812 53321\nrequired =\n"

static int nr_runs;

static enum helper_exit run_it(struct helper_ctx *ctx)
{
	(void)ctx;
	nr_runs++;
	return HELPER_DONE;
}

static int command(struct helper_ctx *ctx, int argc, char **argv)
{
	(void)ctx, (void)argc, (void)argv;
	nr_runs++;
	return HELPER_DONE;
}

static const struct helper_command commands[] = {
	{ "look", "CLAIM", "test", true, command },
};

static const struct helper test_helper = {
	.name = "test",
	.help = "test",
	.apply_timeout_ms = 100,
	.undo_timeout_ms = 100,
	.caps = CAPS_ALL,
	.apply = run_it,
	.undo = run_it,
	.check = run_it,
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
};

static char said[4096];

/* With "%s" for the tree's own directory in what is said */
static void assert_says(const char *root, const char *verb, const char *claim, int status,
			const char *line)
{
	const char *argv[] = { "usher-test", "--root", root, verb, claim, NULL };
	int argc = claim ? 5 : 4;
	struct printed printed;
	int r;

	nr_runs = 0;
	optind = 0;
	printed_begin(&printed, STDERR_FILENO);
	r = helper_dispatch(argc, (char **)(uintptr_t)argv, &test_helper);
	(void)printed_end(&printed, said, sizeof(said));
	assert_string_equal(said, line);
	assert_int_equal(r, status);
	assert_int_equal(nr_runs, status == HELPER_DONE);
}

/* Behind "usher-test: CLAIM" */
static void assert_refuses(const struct tree *tree, const char *text, const char *verb,
			   const char *what)
{
	char claim[128], line[512];

	if (text)
		tree_file(tree, CLAIM, text);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	(void)snprintf(line, sizeof(line), "usher-test: %s%s\n", claim, what);
	assert_says(tree->dir, verb, claim, HELPER_USAGE, line);
}

static int setup(void **state)
{
	int r = tree_setup(state);

	(void)umask(022);
	tree_file(*state, CLAIM, HEAD "[test]\nkey = value\n");
	return r;
}

static void a_claim_that_cannot_be_used_is_refused_with_its_line(void **state)
{
	static const char *const verbs[] = { "apply", "undo", "check", "look" };
	static const struct {
		const char *text, *what;
	} cases[] = {
		{ "[claim]\nno line\n", ":2: expected 'key = value' or '[section]'" },
		{ "[claim]\nformat = 1\n", ": 'uuid' in [claim] is missing or malformed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(verbs); j++)
			assert_refuses(*state, cases[i].text, verbs[j], cases[i].what);
}

static void a_claim_that_is_not_there_is_told_with_where_to_look(void **state)
{
	const struct tree *tree = *state;

	assert_says(tree->dir, "check", "/nowhere/claim.ini", HELPER_USAGE,
		    "usher-test: cannot read the claim /nowhere/claim.ini: No such file or "
		    "directory: usher status lists those there are\n");
}

static void a_claim_elsewhere_is_only_looked_at(void **state)
{
	const struct tree *tree = *state;
	char claim[128];

	tree_file(tree, "elsewhere/claim.ini", HEAD "[test]\nkey = value\n");
	(void)snprintf(claim, sizeof(claim), "%s/elsewhere/claim.ini", tree->dir);
	assert_says(tree->dir, "check", claim, HELPER_DONE, "");
	assert_says(tree->dir, "apply", claim, HELPER_USAGE,
		    "usher-test: the claim does not lie in /run/usher/" UUID
		    ": only check and --dry-run work on it\n");
}

static void a_state_directory_that_others_may_write_is_refused_with_the_cure(void **state)
{
	const struct tree *tree = *state;
	char claim[128];

	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0777, 0), 0);
	assert_says(tree->dir, "apply", claim, HELPER_USAGE,
		    "usher-test: cannot use /run/usher/" UUID ": Operation not permitted: it must "
		    "be a plain file in a directory, both root's, that nobody else may write: find "
		    "out who has changed it, then reboot the host\n");
}

static void a_claim_at_which_another_is_at_work_is_waited_for_until_the_deadline(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int dir = openat(tree->rootfd, "run/usher/" UUID, O_RDONLY | O_DIRECTORY);
	_cleanup_close_ int lock = state_lock(dir, "test.lock", 0);
	char claim[128];

	assert_true(lock >= 0);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	assert_says(tree->dir, "undo", claim, HELPER_FAILED,
		    "usher: win11: cannot take the test lock: it is held: another usher-test still "
		    "works on this guest; try again when it has ended\n");
	state_unlock(&lock);
	assert_says(tree->dir, "undo", claim, HELPER_DONE, "");
}

static void a_root_that_is_not_there_and_wrong_words_are_wrong_usage(void **state)
{
	const struct tree *tree = *state;

	assert_says("/nowhere", "check", "claim.ini", HELPER_USAGE,
		    "usher-test: cannot open the root directory /nowhere: No such file or "
		    "directory\n");
	assert_says(tree->dir, "look", NULL, HELPER_USAGE,
		    "usher-test: wrong usage: see usher-test --help\n");
	assert_says(tree->dir, "dance", "claim.ini", HELPER_USAGE,
		    "usher-test: wrong usage: see usher-test --help\n");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_claim_that_cannot_be_used_is_refused_with_its_line),
		TEST(a_claim_that_is_not_there_is_told_with_where_to_look),
		TEST(a_claim_elsewhere_is_only_looked_at),
		TEST(a_state_directory_that_others_may_write_is_refused_with_the_cure),
		TEST(a_claim_at_which_another_is_at_work_is_waited_for_until_the_deadline),
		TEST(a_root_that_is_not_there_and_wrong_words_are_wrong_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
