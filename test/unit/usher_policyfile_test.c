/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_policyfile_test.c - one draft of a policy at a time, and none that is left */
/* wraps: mkdirat fchmodat fchownat unlinkat openat renameat */

#include "printed.h"

#include <signal.h>
#include <sys/wait.h>

#include "helpers/usher/leftover.h"
#include "helpers/usher/policyfile.h"

#define CONF_D "etc/usher/conf.d"

/* What the kernel refuses, by the path it is asked with */
static enum call { NONE, MKDIRAT, FCHMODAT, FCHOWNAT, UNLINKAT, OPENAT, RENAMEAT } refused;
static const char *refused_path;

static bool refuses(enum call call, const char *path)
{
	if (call != refused || strcmp(path, refused_path) != 0)
		return false;
	errno = EROFS;
	return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
#define WRAP(call, path, name, params, args)                                                       \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		return refuses(call, path) ? -1 : __real_##name args;                              \
	}

WRAP(MKDIRAT, path, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRAP(FCHMODAT, path, fchmodat, (int fd, const char *path, mode_t mode, int flags),
     (fd, path, mode, flags))
WRAP(FCHOWNAT, path, fchownat, (int fd, const char *path, uid_t uid, gid_t gid, int flags),
     (fd, path, uid, gid, flags))
WRAP(UNLINKAT, path, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
WRAP(OPENAT, path, openat, (int fd, const char *path, int flags, mode_t mode),
     (fd, path, flags, mode))
WRAP(RENAMEAT, from, renameat, (int fromfd, const char *from, int tofd, const char *to),
     (fromfd, from, tofd, to))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

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

/* Opens a draft, and installs it when it could be opened. Return: what came of it */
static int try_to_write(const struct tree *tree, const char *guest, char *text, size_t size)
{
	const struct request request = { .root = tree->dir };
	struct draft draft = DRAFT_INIT;
	struct printed printed;
	int fd, r;

	printed_begin(&printed, STDERR_FILENO);
	fd = draft_open(&request, guest, &draft);
	r = fd < 0 ? fd : draft_install(&draft);
	refused = NONE;
	draft_close(&draft);
	(void)printed_end(&printed, text, size);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static void what_the_kernel_refuses_is_told_and_nothing_is_left(void **state)
{
	static const struct {
		enum call call;
		const char *path;
		bool in_a_new_tree;
	} cases[] = {
		{ MKDIRAT, "etc/usher", true },	     { MKDIRAT, CONF_D, true },
		{ FCHMODAT, CONF_D, true },	     { UNLINKAT, ".win11.draft", false },
		{ OPENAT, ".win11.draft", false },   { FCHMODAT, ".win11.draft", false },
		{ FCHOWNAT, ".win11.draft", false }, { RENAMEAT, ".win11.draft", false },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *policy = CONF_D "/win11.ini";
		char text[512], want[512];

		if (!cases[i].in_a_new_tree) {
			tree_file(tree, policy, "enabled = no\n");
			assert_int_equal(fchmodat(tree->rootfd, policy, 0640, 0), 0);
		}
		refused = cases[i].call;
		refused_path = cases[i].path;
		assert_int_equal(try_to_write(tree, "win11", text, sizeof(text)), -EROFS);
		if (cases[i].call == FCHOWNAT || cases[i].call == RENAMEAT ||
		    (cases[i].call == FCHMODAT && !cases[i].in_a_new_tree))
			(void)snprintf(want, sizeof(want),
				       "usher: cannot write %s/" CONF_D
				       "/win11.ini: Read-only file system\n",
				       tree->dir);
		else
			(void)snprintf(want, sizeof(want), "%s",
				       "usher: cannot write in /" CONF_D
				       ": Read-only file system: it is root's to write\n");
		assert_string_equal(text, want);
		if (cases[i].in_a_new_tree) {
			(void)unlinkat(tree->rootfd, CONF_D, AT_REMOVEDIR);
			(void)unlinkat(tree->rootfd, "etc/usher", AT_REMOVEDIR);
			continue;
		}
		assert_string_equal(tree_read(tree, policy), "enabled = no\n");
		assert_int_equal(mode_of(tree, policy), 0640);
		assert_int_equal(nr_files(tree, CONF_D), 1);
	}
}

static void a_name_that_is_no_files_has_no_draft(void **state)
{
	static const char *const names[] = { "", "../win11", "a/b" };
	const struct tree *tree = *state;
	char text[512], want[512];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(try_to_write(tree, names[i], text, sizeof(text)), -EINVAL);
		(void)snprintf(want, sizeof(want),
			       "usher: %s: no file can have that guest's name: Invalid argument\n",
			       names[i]);
		assert_string_equal(text, want);
	}
	assert_int_equal(attr_exists(tree->rootfd, CONF_D), 0);
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
		draft_test(what_the_kernel_refuses_is_told_and_nothing_is_left),
		draft_test(a_name_that_is_no_files_has_no_draft),
	};

	return cmocka_run_group_tests_name("usher policyfile", tests, NULL, NULL);
}
