/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/holder.c - wait for what the holder says */
#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>

#include "../../lib/watch.h"
#include "nosleep.h"

int fd_path(int fd, char *ret, size_t size)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	ret[n] = '\0';
	return 0;
}

/* The events themselves say nothing the file does not. Return: 0, -ETIMEDOUT, else -errno */
static int next_event(int fd, int holder, long long deadline)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = holder, .events = POLLIN } };
	char events[4096];
	int r = poll(p, ARRAY_SIZE(p), deadline_left(deadline));

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	return p[0].revents && read(fd, events, sizeof(events)) < 0 ? -errno : 0;
}

/* Return: 0 there is more to read, -ECHILD the holder has ended, -ETIMEDOUT, else -errno */
static int wait_for_holder(int fd, int rootfd, int dirfd, struct holder *holder, long long deadline)
{
	_cleanup_close_ int process = watch_open(rootfd, &holder->process);

	if (process >= 0)
		return next_event(fd, process, deadline);
	if (process != -ESRCH)
		return process;
	/* Its last words */
	return holder_load(dirfd, holder) == 0 && holder->error != -EINPROGRESS ? 0 : -ECHILD;
}

int holder_wait(int rootfd, int dirfd, long long deadline, struct holder *ret)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);
	char dir[64];
	int r;

	if (fd < 0)
		return -errno;
	(void)snprintf(dir, sizeof(dir), "/proc/self/fd/%d", dirfd);
	/* state_write() ends with a rename */
	if (inotify_add_watch(fd, dir, IN_MOVED_TO) < 0)
		return -errno;
	while ((r = holder_load(dirfd, ret)) == -ENOENT || (r == 0 && ret->error == -EINPROGRESS)) {
		if (r == 0)
			r = wait_for_holder(fd, rootfd, dirfd, ret, deadline);
		else
			r = next_event(fd, -1, deadline);
		if (r < 0)
			return r;
	}
	return r;
}
