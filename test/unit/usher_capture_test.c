/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_capture_test.c - what a program of ours says is taken whole, or why it was not */
/* wraps: memfd_create lseek pread write fork waitpid pidfd_open malloc */
#include "tree.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "failing.h"
#include "helpers/usher/capture.h"

enum call { NONE, MEMFD, LSEEK, PREAD, WRITE, FORK, WAITPID, PIDFD, MALLOC };

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
FAILING_WRAP(int, -1, MEMFD, memfd_create, (const char *name, unsigned int flags), (name, flags))
FAILING_WRAP(off_t, -1, LSEEK, lseek, (int fd, off_t offset, int whence), (fd, offset, whence))
FAILING_WRAP(ssize_t, -1, PREAD, pread, (int fd, void *buf, size_t size, off_t offset),
	     (fd, buf, size, offset))
FAILING_WRAP(ssize_t, -1, WRITE, write, (int fd, const void *buf, size_t size), (fd, buf, size))
FAILING_WRAP(pid_t, -1, FORK, fork, (void), ())
FAILING_WRAP(pid_t, -1, WAITPID, waitpid, (pid_t pid, int *status, int options),
	     (pid, status, options))
FAILING_WRAP(int, -1, PIDFD, pidfd_open, (pid_t pid, unsigned int flags), (pid, flags))
FAILING_WRAP(void *, NULL, MALLOC, malloc, (size_t size), (size))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int speak(const void *arg)
{
	(void)arg;
	(void)fputs("out", stdout);
	(void)fputs("err", stderr);
	return 3;
}

static int sleep_on(const void *arg)
{
	(void)arg;
	return pause();
}

static void all_that_is_said_and_the_status_are_taken(void **state)
{
	_cleanup_capture_ struct capture capture = { 0 };

	(void)state;
	let_fail(NONE, 0, 0);
	assert_int_equal(capture_call(speak, NULL, 10000, &capture), 0);
	assert_int_equal(capture.status, 3);
	assert_string_equal(capture.out, "out");
	assert_int_equal(capture.out_len, 3);
	assert_string_equal(capture.err, "err");
}

static void a_failure_is_told_and_nothing_is_returned(void **state)
{
	static const struct {
		enum call call;
		int nth, error;
	} cases[] = {
		{ MEMFD, 1, EMFILE },	{ FORK, 1, EAGAIN }, { PIDFD, 1, EMFILE },
		{ WAITPID, 1, EINVAL }, { LSEEK, 1, EIO },   { MALLOC, 1, ENOMEM },
		{ PREAD, 1, EIO },	{ PREAD, 2, EIO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct capture capture = { 0 };
		int r;

		let_fail(cases[i].call, cases[i].nth, cases[i].error);
		r = capture_call(speak, NULL, 10000, &capture);
		let_fail(NONE, 0, 0);
		while (waitpid(-1, NULL, 0) > 0)
			;
		assert_int_equal(r, -cases[i].error);
		assert_null(capture.out);
		assert_null(capture.err);
	}
}

static void one_that_does_not_end_is_killed(void **state)
{
	struct capture capture = { 0 };

	(void)state;
	assert_int_equal(capture_call(sleep_on, NULL, 50, &capture), -ETIMEDOUT);
	assert_null(capture.out);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void a_program_that_is_not_there_is_told_of(void **state)
{
	const char *const argv[] = { "/nowhere/usher-hook", NULL };
	_cleanup_capture_ struct capture capture = { 0 };

	(void)state;
	assert_int_equal(capture_run(argv, -1, 10000, &capture), 0);
	assert_int_equal(capture.status, 127);
	assert_string_equal(capture.err, "usher: cannot run /nowhere/usher-hook: No such file or "
					 "directory: reinstall usher\n");
}

static void a_text_is_a_file_from_its_start_or_none(void **state)
{
	static const struct {
		enum call call;
		int error;
	} cases[] = { { MEMFD, EMFILE }, { WRITE, ENOSPC }, { LSEEK, EIO } };
	_cleanup_close_ int fd = capture_memfd("text", 4);
	char buf[8] = "";

	(void)state;
	assert_int_equal(read(fd, buf, sizeof(buf)), 4);
	assert_string_equal(buf, "text");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		let_fail(cases[i].call, 1, cases[i].error);
		assert_int_equal(capture_memfd("text", 4), -cases[i].error);
	}
	let_fail(NONE, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_said_and_the_status_are_taken),
		cmocka_unit_test(a_failure_is_told_and_nothing_is_returned),
		cmocka_unit_test(one_that_does_not_end_is_killed),
		cmocka_unit_test(a_program_that_is_not_there_is_told_of),
		cmocka_unit_test(a_text_is_a_file_from_its_start_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
