/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/watch.c - a pidfd of one very process: told when it ends, never fooled by a reused pid */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>

#include "deadline.h"

int watch_open(int rootfd, const struct process *process)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (process->pid <= 0)
		return -ESRCH;
	fd = pidfd_open(process->pid, 0);
	if (fd < 0)
		return -errno;
	/* After the fd: from now on the pid cannot become another process's behind our back */
	r = process_alive(rootfd, process);
	if (r <= 0)
		return r < 0 ? r : -ESRCH;
	return TAKE_FD(fd);
}

int watch_open_ours(int rootfd, const struct process *process)
{
	_cleanup_close_ int fd = watch_open(rootfd, process);
	char ours[16] = "", name[PROCESS_NAME_MAX + 1];
	int r;

	if (fd < 0)
		return fd;
	(void)prctl(PR_GET_NAME, ours, 0, 0, 0);
	r = process_name(rootfd, process->pid, name, sizeof(name));
	if (r < 0)
		return r;
	return strcmp(name, ours) == 0 ? TAKE_FD(fd) : -ESRCH;
}

int watch_wait(int pidfd, int timeout_ms)
{
	long long deadline = deadline_in(timeout_ms);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	while ((r = poll(&p, 1, timeout_ms < 0 ? -1 : deadline_left(deadline))) < 0)
		if (errno != EINTR)
			return -errno;
	return r;
}

static int send(int pidfd, int sig)
{
	if (pidfd_send_signal(pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	return 0;
}

/* Return: 0, else the first -errno: the others get it all the same */
static int send_all(const int *pidfds, size_t nr, int sig)
{
	int first = 0;

	for (size_t i = 0; i < nr; i++) {
		int r = pidfds[i] < 0 ? 0 : send(pidfds[i], sig);

		if (first == 0)
			first = r;
	}
	return first;
}

/* Return: 1 all have ended, 0 some are still there, else -errno of poll(2) */
static int wait_all(const int *pidfds, size_t nr, int timeout_ms)
{
	long long deadline = deadline_in(timeout_ms);
	int all = 1;

	for (size_t i = 0; i < nr; i++) {
		int r = pidfds[i] < 0 ? 1 : watch_wait(pidfds[i], deadline_left(deadline));

		if (r < 0)
			return r;
		all &= r;
	}
	return all;
}

int watch_end_all(const int *pidfds, size_t nr, int timeout_ms)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		r = send_all(pidfds, nr, signals[i]);
		if (r == 0)
			r = wait_all(pidfds, nr, timeout_ms / 2);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return -ETIMEDOUT;
}

int watch_end(int pidfd, int timeout_ms)
{
	return watch_end_all(&pidfd, 1, timeout_ms);
}
