/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_watch_test.c - pidfds of real children */
/* wraps: pidfd_send_signal poll */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/attr.h"
#include "lib/deadline.h"
#include "lib/watch.h"

#define LONG_MS 20000

static int rootfd;
static bool swallow;
static int swallowed;

int __real_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags);
int __wrap_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags);
int __wrap_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags)
{
	if (!swallow)
		return __real_pidfd_send_signal(pidfd, sig, info, flags);
	swallowed++;
	return 0;
}

static int poll_errno;

int __real_poll(struct pollfd *fds, nfds_t nr, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout_ms)
{
	if (!poll_errno)
		return __real_poll(fds, nr, timeout_ms);
	errno = poll_errno;
	return -1;
}

/* A child that sleeps until it is killed; @deaf ignores SIGTERM */
static struct process start_child(bool deaf)
{
	struct process process;
	pid_t parent = getpid(), pid;
	int fds[2];
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)signal(SIGTERM, deaf ? SIG_IGN : SIG_DFL);
		if (getppid() != parent || write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(process_identify(rootfd, pid, &process), 0);
	return process;
}

static int reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_living_process_is_watched_until_it_ends(void **state)
{
	struct process child = start_child(false);
	_cleanup_close_ int fd = watch_open(rootfd, &child);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(watch_wait(fd, 0), 0);
	assert_int_equal(watch_wait(fd, 20), 0);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	assert_int_equal(watch_wait(fd, LONG_MS), 1);
	assert_int_equal(watch_wait(fd, -1), 1);
	(void)reap(child.pid);
	assert_int_equal(watch_open(rootfd, &child), -ESRCH);
}

static void a_reused_pid_is_another_process(void **state)
{
	struct process child = start_child(false);
	struct process older = child;

	(void)state;
	older.start_time--;
	assert_int_equal(watch_open(rootfd, &older), -ESRCH);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	(void)reap(child.pid);
}

static void no_process_at_all_is_esrch(void **state)
{
	struct process none = { 0 };

	(void)state;
	assert_int_equal(watch_open(rootfd, &none), -ESRCH);
}

static void a_process_is_asked_to_end_first(void **state)
{
	struct process child = start_child(false);
	_cleanup_close_ int fd = watch_open(rootfd, &child);

	(void)state;
	assert_int_equal(watch_end(fd, LONG_MS), 0);
	assert_int_equal(WTERMSIG(reap(child.pid)), SIGTERM);
	assert_int_equal(watch_end(fd, LONG_MS), 0);
}

static void one_that_does_not_listen_is_killed(void **state)
{
	struct process child = start_child(true);
	_cleanup_close_ int fd = watch_open(rootfd, &child);
	long long start = now_ms();

	(void)state;
	/* Half of it is spent on SIGTERM */
	assert_int_equal(watch_end(fd, 2000), 0);
	assert_true(now_ms() - start >= 1000);
	assert_int_equal(WTERMSIG(reap(child.pid)), SIGKILL);
}

static void several_are_killed_in_the_time_of_one(void **state)
{
	struct process children[4];
	int fds[ARRAY_SIZE(children) + 1] = { -1 };
	long long start;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		children[i] = start_child(true);
		fds[i + 1] = watch_open(rootfd, &children[i]);
	}
	start = now_ms();
	assert_int_equal(watch_end_all(fds, ARRAY_SIZE(fds), 2000), 0);
	assert_true(now_ms() - start >= 1000);
	assert_true(now_ms() - start < 2000);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		assert_int_equal(WTERMSIG(reap(children[i].pid)), SIGKILL);
		(void)close(fds[i + 1]);
	}
	assert_int_equal(watch_end_all(fds, 1, 0), 0);
}

/* As for a process that hangs in the kernel, no signal has an effect */
static void one_that_cannot_die_is_given_up_at_the_deadline(void **state)
{
	struct process child = start_child(false);
	_cleanup_close_ int fd = watch_open(rootfd, &child);

	(void)state;
	swallow = true;
	assert_int_equal(watch_end(fd, 40), -ETIMEDOUT);
	swallow = false;
	assert_int_equal(swallowed, 2);
	assert_int_equal(watch_end(fd, LONG_MS), 0);
	(void)reap(child.pid);
}

static void what_is_no_process_cannot_be_ended(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(watch_end(fds[0], LONG_MS), -EBADF);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void a_wait_that_fails_is_no_end(void **state)
{
	struct process child = start_child(false);
	int fd = watch_open(rootfd, &child), waited, ended;

	(void)state;
	assert_true(fd >= 0);
	poll_errno = ENOMEM;
	waited = watch_wait(fd, LONG_MS);
	ended = watch_end(fd, LONG_MS);
	poll_errno = 0;
	assert_int_equal(waited, -ENOMEM);
	assert_int_equal(ended, -ENOMEM);
	(void)close(fd);
	(void)reap(child.pid);
}

static int open_root(void **state)
{
	(void)state;
	rootfd = root_open("/");
	return rootfd < 0 ? -1 : 0;
}

static int close_root(void **state)
{
	(void)state;
	return close(rootfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_living_process_is_watched_until_it_ends),
		cmocka_unit_test(a_reused_pid_is_another_process),
		cmocka_unit_test(no_process_at_all_is_esrch),
		cmocka_unit_test(a_process_is_asked_to_end_first),
		cmocka_unit_test(one_that_does_not_listen_is_killed),
		cmocka_unit_test(several_are_killed_in_the_time_of_one),
		cmocka_unit_test(one_that_cannot_die_is_given_up_at_the_deadline),
		cmocka_unit_test(what_is_no_process_cannot_be_ended),
		cmocka_unit_test(a_wait_that_fails_is_no_end),
	};

	return cmocka_run_group_tests(tests, open_root, close_root);
}
