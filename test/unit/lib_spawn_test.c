/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_spawn_test.c - a program that cannot be started is told, and leaves nothing behind */
/* wraps: pipe2 pidfd_open open fork calloc */
#include "tree.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "failing.h"
#include "lib/spawn.h"

enum call { NONE, PIPE2, PIDFD_OPEN, OPEN, FORK, CALLOC };

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
FAILING_WRAP(int, -1, PIPE2, pipe2, (int fds[2], int flags), (fds, flags))
FAILING_WRAP(int, -1, PIDFD_OPEN, pidfd_open, (pid_t pid, unsigned int flags), (pid, flags))
FAILING_WRAP(int, -1, OPEN, open, (const char *path, int flags, mode_t mode), (path, flags, mode))
FAILING_WRAP(pid_t, -1, FORK, fork, (void), ())
FAILING_WRAP(void *, NULL, CALLOC, calloc, (size_t nr, size_t size), (nr, size))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int nr_open(void)
{
	_cleanup_close_ int root = root_open("/");
	_cleanup_strlist_ struct strlist names = { 0 };

	assert_int_equal(attr_list(root, "proc/self/fd", &names), 0);
	return (int)names.nr;
}

static void one_program_that_cannot_be_started_does_not_hold_up_the_other(void **state)
{
	static const struct {
		enum call call;
		int nth, error;
	} cases[] = {
		{ PIPE2, 1, EMFILE },
		{ PIDFD_OPEN, 1, EMFILE },
		/* The first two are for the list of those that run */
		{ CALLOC, 3, ENOMEM },
	};
	static const char *const argv[] = { "/bin/echo", "done", NULL };
	int before = nr_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spawn_job jobs[] = { { .argv = argv, .timeout_ms = 20000 },
					    { .argv = argv, .timeout_ms = 20000 } };

		let_fail(cases[i].call, cases[i].nth, cases[i].error);
		assert_int_equal(spawn_run(jobs, ARRAY_SIZE(jobs)), 1);
		let_fail(NONE, 0, 0);
		assert_int_equal(jobs[0].error, -cases[i].error);
		assert_int_equal(jobs[1].error, 0);
		assert_int_equal(jobs[1].status, 0);
		assert_string_equal(jobs[1].output, "done\n");
		spawn_job_free(&jobs[0]);
		spawn_job_free(&jobs[1]);
		/* It may have been started, and was killed then */
		while (waitpid(-1, NULL, 0) > 0)
			;
		assert_int_equal(nr_open(), before);
	}
}

static void without_memory_nothing_is_started(void **state)
{
	static const char *const argv[] = { "/bin/false", NULL };

	(void)state;
	for (int nth = 1; nth <= 2; nth++) {
		struct spawn_job job = { .argv = argv, .timeout_ms = 20000 };

		let_fail(CALLOC, nth, ENOMEM);
		assert_int_equal(spawn_run(&job, 1), -ENOMEM);
		let_fail(NONE, 0, 0);
		assert_null(job.output);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void who_cannot_leave_stays_as_he_is(void **state)
{
	static const int many[17];
	int before = nr_open();

	(void)state;
	assert_int_equal(spawn_detached(many, ARRAY_SIZE(many)), -EINVAL);
	assert_int_equal(spawn_keep_only(many, ARRAY_SIZE(many)), -EINVAL);
	let_fail(OPEN, 1, ENFILE);
	assert_int_equal(spawn_detached(NULL, 0), -ENFILE);
	let_fail(FORK, 1, EAGAIN);
	assert_int_equal(spawn_detached(NULL, 0), -EAGAIN);
	let_fail(OPEN, 1, ENFILE);
	assert_int_equal(spawn_fill_std(), -ENFILE);
	let_fail(NONE, 0, 0);
	assert_int_equal(nr_open(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_program_that_cannot_be_started_does_not_hold_up_the_other),
		cmocka_unit_test(without_memory_nothing_is_started),
		cmocka_unit_test(who_cannot_leave_stays_as_he_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
