/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/fanout.c - do something that may hang in the kernel, for several buses at once */
#include "fanout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

#include "../../lib/deadline.h"
#include "../../lib/spawn.h"

struct child {
	pid_t pid;
	int fd; /* -1 when done with */
};

static _Noreturn void child_main(const struct fanout_job *job, size_t size, int rootfd, int fd,
				 void (*work)(int rootfd, const void *arg, void *result))
{
	char result[FANOUT_RESULT_MAX] __attribute__((aligned(16))) = { 0 };

	work(rootfd, job->arg, result);
	_exit(write(fd, result, size) == (ssize_t)size ? 0 : 1);
}

static int child_start(struct child *child, const struct fanout_job *job, size_t size, int rootfd,
		       void (*work)(int rootfd, const void *arg, void *result))
{
	int fds[2], keep[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	keep[0] = rootfd;
	keep[1] = fds[1];
	pid = spawn_detached(keep, ARRAY_SIZE(keep));
	if (pid == 0)
		child_main(job, size, rootfd, fds[1], work);
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return pid;
	}
	*child = (struct child){ .pid = pid, .fd = fds[0] };
	return 0;
}

static void child_end(struct child *child, struct fanout_job *job, int error)
{
	job->error = error;
	(void)close(child->fd);
	child->fd = -1;
	if (error)
		(void)kill(child->pid, SIGKILL);
	/* One that hangs is left to whoever adopts it; one whose pipe is closed is about to end */
	(void)waitpid(child->pid, NULL, error == 0 || error == -EIO ? 0 : WNOHANG);
}

static void child_read(struct child *child, struct fanout_job *job, size_t size)
{
	char result[FANOUT_RESULT_MAX];
	bool whole = read(child->fd, result, sizeof(result)) == (ssize_t)size;

	if (whole)
		memcpy(job->result, result, size);
	child_end(child, job, whole ? 0 : -EIO);
}

/* Return: 0 to go on, -ETIMEDOUT, else -errno of poll(2) */
static int wait_some(struct pollfd *polls, struct child *children, struct fanout_job *jobs,
		     size_t nr, size_t size, long long deadline)
{
	int r;

	for (size_t i = 0; i < nr; i++)
		polls[i] = (struct pollfd){ .fd = children[i].fd, .events = POLLIN };
	r = poll(polls, nr, deadline_left(deadline));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	for (size_t i = 0; i < nr; i++)
		if (polls[i].revents)
			child_read(&children[i], &jobs[i], size);
	return 0;
}

static size_t still_open(const struct child *children, size_t nr)
{
	size_t open = 0;

	for (size_t i = 0; i < nr; i++)
		open += children[i].fd >= 0;
	return open;
}

/* Return: the deadline, nearer when what there is will do */
static long long shorten(const struct fanout_patience *patience, const struct fanout_job *jobs,
			 size_t nr, long long deadline)
{
	long long sooner;

	if (!patience || !patience->enough(jobs, nr, patience->arg))
		return deadline;
	sooner = deadline_in(patience->grace_ms);
	return sooner < deadline ? sooner : deadline;
}

void fanout_run(struct fanout_job *jobs, size_t nr, size_t size, int rootfd,
		void (*work)(int rootfd, const void *arg, void *result), int timeout_ms,
		const struct fanout_patience *patience)
{
	_cleanup_free_ struct child *children = calloc(nr, sizeof(*children));
	_cleanup_free_ struct pollfd *polls = calloc(nr, sizeof(*polls));
	long long deadline = deadline_in(timeout_ms);
	int r = children && polls ? 0 : -ENOMEM;

	for (size_t i = 0; i < nr; i++) {
		jobs[i].error = r;
		if (r < 0)
			continue;
		children[i].fd = -1;
		jobs[i].error = child_start(&children[i], &jobs[i], size, rootfd, work);
		if (jobs[i].error == 0)
			jobs[i].error = -EINPROGRESS;
	}
	while (r == 0 && still_open(children, nr) > 0) {
		r = wait_some(polls, children, jobs, nr, size, deadline);
		deadline = shorten(patience, jobs, nr, deadline);
	}
	for (size_t i = 0; children && i < nr; i++)
		if (children[i].fd >= 0)
			child_end(&children[i], &jobs[i], r);
}
