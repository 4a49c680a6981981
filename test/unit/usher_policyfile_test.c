/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_policyfile_test.c - one draft of a policy at a time, and none that is left */

#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

#include "helpers/usher/leftover.h"
#include "helpers/usher/policyfile.h"

#define CONF_D "etc/usher/conf.d"

static int setup(void **state)
{
	int r = tree_setup(state);

	if (r == 0)
		tree_dir(*state, "etc");
	return r;
}

static size_t nr_files(const struct tree *tree, const char *dir)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	assert_int_equal(attr_list(tree->rootfd, dir, &names), 0);
	return names.nr;
}

__attribute__((noreturn)) static void die_with_draft(const struct tree *tree)
{
	const struct request request = { .root = tree->dir };
	struct draft draft = DRAFT_INIT;

	leftover_init();
	if (draft_open(&request, "win11", &draft) < 0 || nr_files(tree, CONF_D) != 2)
		_exit(1);
	(void)raise(SIGINT);
	_exit(2);
}

static void a_draft_and_its_lock_go_with_the_signal_that_ends_the_program(void **state)
{
	const struct tree *tree = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		die_with_draft(tree);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(nr_files(tree, CONF_D), 0);
}

static void a_policy_has_one_draft_at_a_time_and_leaves_nothing(void **state)
{
	const struct tree *tree = *state;
	const struct request request = { .root = tree->dir };
	struct draft first = DRAFT_INIT, second = DRAFT_INIT, other = DRAFT_INIT;
	int fd = draft_open(&request, "win11", &first), other_fd;

	assert_true(fd >= 0);
	assert_int_equal(draft_open(&request, "win11", &second), -ETIMEDOUT);
	draft_close(&second);
	other_fd = draft_open(&request, "linux", &other);
	assert_true(other_fd >= 0);
	assert_int_equal(nr_files(tree, CONF_D), 4);
	draft_close(&first);
	draft_close(&other);
	(void)close(fd);
	(void)close(other_fd);
	assert_int_equal(nr_files(tree, CONF_D), 0);
}

static void what_a_killed_one_has_left_is_replaced(void **state)
{
	const struct tree *tree = *state;
	const struct request request = { .root = tree->dir };
	struct draft draft = DRAFT_INIT;
	int fd;

	tree_file(tree, CONF_D "/.win11.lock", "");
	tree_file(tree, CONF_D "/.win11.draft", "half a pol");
	fd = draft_open(&request, "win11", &draft);
	assert_true(fd >= 0);
	assert_string_equal(tree_read(tree, CONF_D "/.win11.draft"), "");
	draft_close(&draft);
	(void)close(fd);
	assert_int_equal(nr_files(tree, CONF_D), 0);
}

static void the_longest_name_of_a_policy_has_a_draft(void **state)
{
	const struct tree *tree = *state;
	const struct request request = { .root = tree->dir };
	struct draft draft = DRAFT_INIT;
	char name[NAME_MAX + 1] = "";
	int fd;

	memset(name, 'x', NAME_MAX - 4);
	fd = draft_open(&request, name, &draft);
	assert_true(fd >= 0);
	assert_int_equal(draft_install(&draft), 0);
	draft_close(&draft);
	(void)close(fd);
	assert_int_equal(nr_files(tree, CONF_D), 1);
}

static unsigned int mode_of(const struct tree *tree, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(tree->rootfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 0777;
}

static void replace_policy(const struct tree *tree)
{
	const struct request request = { .root = tree->dir };
	struct draft draft = DRAFT_INIT;
	int fd = draft_open(&request, "win11", &draft);

	assert_true(fd >= 0);
	assert_int_equal(draft_install(&draft), 0);
	draft_close(&draft);
	(void)close(fd);
}

static void who_may_read_a_policy_stays_but_nobody_else_may_write_it(void **state)
{
	const struct tree *tree = *state;
	const char *policy = CONF_D "/win11.ini";

	replace_policy(tree);
	assert_int_equal(mode_of(tree, policy), 0644);
	assert_int_equal(fchmodat(tree->rootfd, policy, 0640, 0), 0);
	replace_policy(tree);
	assert_int_equal(mode_of(tree, policy), 0640);
	assert_int_equal(fchmodat(tree->rootfd, policy, 0666, 0), 0);
	replace_policy(tree);
	assert_int_equal(mode_of(tree, policy), 0644);
}

#define draft_test(fn) cmocka_unit_test_setup_teardown(fn, setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		draft_test(a_draft_and_its_lock_go_with_the_signal_that_ends_the_program),
		draft_test(a_policy_has_one_draft_at_a_time_and_leaves_nothing),
		draft_test(what_a_killed_one_has_left_is_replaced),
		draft_test(the_longest_name_of_a_policy_has_a_draft),
		draft_test(who_may_read_a_policy_stays_but_nobody_else_may_write_it),
	};

	return cmocka_run_group_tests_name("usher policyfile", tests, NULL, NULL);
}
