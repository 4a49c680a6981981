/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_leftover_test.c - what a command has made for itself is gone when a signal ends it */

#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

#include "helpers/usher/leftover.h"
#include "helpers/usher/scratch.h"

static const char claim_text[] = "[claim]\nformat = 1\nguest = win11\n"
				 "uuid = 1b4e28ba-2fa1-11d2-883f-0016d3cca427\n"
				 "state = preparing\nowner = 1 1\n";

/* In a process of its own, which the signal ends. Says the folder that it had on @to */
__attribute__((noreturn)) static void die_with_scratch(int sig, int to)
{
	struct scratch scratch = { .dir = "" };
	struct claim claim = { 0 };
	struct ini_error err;
	char *text = NULL;

	leftover_init();
	if (claim_parse(claim_text, strlen(claim_text), &claim, &err) < 0 ||
	    scratch_write(&scratch, &claim, &text) < 0 || access(scratch.file, F_OK) < 0 ||
	    write(to, scratch.dir, sizeof(scratch.dir)) < 0)
		_exit(1);
	(void)raise(sig);
	_exit(2);
}

static void a_scratch_claim_goes_with_whatever_signal_ends_the_program(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		char dir[sizeof(((struct scratch *)NULL)->dir)] = "";
		int ends[2], status;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0)
			die_with_scratch(signals[i], ends[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		assert_int_equal(read(ends[0], dir, sizeof(dir)), sizeof(dir));
		assert_int_equal(strncmp(dir, "/tmp/usher.", 11), 0);
		assert_int_equal(access(dir, F_OK), -1);
		(void)close(ends[0]);
		(void)close(ends[1]);
	}
}

static void who_was_told_to_go_on_goes_on(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		(void)signal(SIGHUP, SIG_IGN);
		leftover_init();
		(void)raise(SIGHUP);
		(void)raise(SIGPIPE);
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void what_is_forgotten_stays(void **state)
{
	const struct tree *tree = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		static const char gone[] = "gone", kept[] = "kept";

		leftover_init();
		leftover_add(tree->rootfd, kept, 0);
		leftover_add(tree->rootfd, gone, 0);
		tree_file(tree, kept, "");
		tree_file(tree, gone, "");
		leftover_forget(kept);
		(void)raise(SIGTERM);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(attr_exists(tree->rootfd, "kept"), 1);
	assert_int_equal(attr_exists(tree->rootfd, "gone"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_scratch_claim_goes_with_whatever_signal_ends_the_program),
		tree_test(who_was_told_to_go_on_goes_on),
		tree_test(what_is_forgotten_stays),
	};

	return cmocka_run_group_tests_name("usher leftovers", tests, NULL, NULL);
}
