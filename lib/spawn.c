/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/spawn.c - run programs side by side, each with a deadline, none left holding our pipes */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadline.h"

/* How long a killed child may take to be gone before it counts as one that hangs in the kernel */
#define KILL_GRACE_MS 200

struct running {
	struct spawn_job *job;
	long long start, deadline;
	int pidfd, pipefd; /* -1 when done with */
	size_t len;
	bool killed;
};

void spawn_job_free(struct spawn_job *job)
{
	free(job->output);
	job->output = NULL;
}

static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int r;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
							   POSIX_SPAWN_SETSIGMASK);
	return -r;
}

/* @input is opened anew: a child has its own place in the file */
static int set_descriptors(posix_spawn_file_actions_t *actions, int input, int outfd)
{
	char path[32] = "/dev/null";
	int r;

	if (input > 0)
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", input);
	r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, path, O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, outfd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, outfd, STDERR_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return -r;
}

static int start_child(const struct spawn_job *job, int outfd, pid_t *ret)
{
	static char locale[] = "LC_ALL=C";
	char *const env[] = { locale, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r;

	r = -posix_spawn_file_actions_init(&actions);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r == 0) {
		r = set_attributes(&attr);
		if (r == 0)
			r = set_descriptors(&actions, job->input, outfd);
		/* posix_spawn(3) takes char *const * but changes nothing */
		if (r == 0)
			r = -posix_spawn(ret, job->argv[0], &actions, &attr,
					 (char *const *)(const void *)job->argv, env);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int job_start(struct running *run)
{
	struct spawn_job *job = run->job;
	int fds[2];
	int r;

	job->output = calloc(1, SPAWN_OUTPUT_MAX + 1);
	if (!job->output)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* The reading end alone is to be non-blocking: a full pipe must not fail the child's write */
	(void)fcntl(fds[1], F_SETFL, 0);
	r = start_child(job, fds[1], &job->pid);
	(void)close(fds[1]);
	if (r < 0) {
		(void)close(fds[0]);
		return r;
	}
	run->pipefd = fds[0];
	run->pidfd = pidfd_open(job->pid, 0);
	if (run->pidfd < 0) {
		r = -errno;
		(void)kill(-job->pid, SIGKILL);
	}
	return r;
}

static void job_read(struct running *run)
{
	char dropped[512] = "";

	for (;;) {
		size_t room = SPAWN_OUTPUT_MAX - run->len;
		char *to = room ? run->job->output + run->len : dropped;
		ssize_t n = read(run->pipefd, to, room ? room : sizeof(dropped));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
		if (room)
			run->len += (size_t)n;
	}
	(void)close(run->pipefd);
	run->pipefd = -1;
}

static void job_end(struct running *run)
{
	if (run->pipefd >= 0)
		job_read(run);
	if (run->pipefd >= 0)
		(void)close(run->pipefd);
	if (run->pidfd >= 0)
		(void)close(run->pidfd);
	run->pipefd = run->pidfd = -1;
	run->job->elapsed_ms = (int)(now_ms() - run->start);
}

static void job_reap(struct running *run)
{
	int status = 0;

	if (waitpid(run->job->pid, &status, WNOHANG) != run->job->pid)
		return;
	run->job->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	job_end(run);
}

/* At the deadline: kill; a moment later: leave it behind */
static void job_overdue(struct running *run)
{
	if (run->killed) {
		run->job->status = 128 + SIGKILL;
		job_end(run);
		return;
	}
	run->killed = true;
	run->job->timed_out = true;
	(void)kill(-run->job->pid, SIGKILL);
	run->deadline = deadline_in(KILL_GRACE_MS);
}

/* Return: false when no job is left */
static bool jobs_wait(struct running *runs, size_t nr, struct pollfd *fds)
{
	int timeout = -1;

	for (size_t i = 0; i < nr; i++) {
		fds[2 * i] = (struct pollfd){ .fd = runs[i].pidfd, .events = POLLIN };
		fds[2 * i + 1] = (struct pollfd){ .fd = runs[i].pipefd, .events = POLLIN };
		if (runs[i].pidfd < 0)
			continue;
		if (timeout < 0 || deadline_left(runs[i].deadline) < timeout)
			timeout = deadline_left(runs[i].deadline);
	}
	if (timeout < 0)
		return false;
	(void)poll(fds, 2 * nr, timeout);
	return true;
}

static void jobs_serve(struct running *runs, size_t nr, const struct pollfd *fds)
{
	for (size_t i = 0; i < nr; i++) {
		if (runs[i].pipefd >= 0 && fds[2 * i + 1].revents)
			job_read(&runs[i]);
		if (runs[i].pidfd >= 0 && fds[2 * i].revents)
			job_reap(&runs[i]);
		if (runs[i].pidfd >= 0 && deadline_left(runs[i].deadline) == 0)
			job_overdue(&runs[i]);
	}
}

int spawn_run(struct spawn_job *jobs, size_t nr)
{
	_cleanup_free_ struct running *runs = calloc(nr + 1, sizeof(*runs));
	_cleanup_free_ struct pollfd *fds = calloc(2 * nr + 1, sizeof(*fds));
	int failed = 0;

	if (!runs || !fds)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		runs[i] = (struct running){ .job = &jobs[i], .pidfd = -1, .pipefd = -1 };
		runs[i].start = now_ms();
		runs[i].deadline = runs[i].start + jobs[i].timeout_ms;
		jobs[i].error = job_start(&runs[i]);
		if (jobs[i].error < 0)
			job_end(&runs[i]);
	}
	while (jobs_wait(runs, nr, fds))
		jobs_serve(runs, nr, fds);
	for (size_t i = 0; i < nr; i++)
		failed |= jobs[i].error < 0 || jobs[i].timed_out || jobs[i].status != 0;
	return failed;
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Room for those that a process without any of its parent's needs */
#define KEEP_MAX 16

int spawn_keep_only(const int *keep, size_t nr)
{
	unsigned int first = STDERR_FILENO + 1;
	int sorted[KEEP_MAX];

	if (nr > KEEP_MAX)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++)
		sorted[i] = keep[i];
	qsort(sorted, nr, sizeof(*sorted), compare_ints);
	for (size_t i = 0; i < nr; i++) {
		if (sorted[i] < (int)first)
			continue;
		if (sorted[i] > (int)first)
			(void)close_range(first, (unsigned int)sorted[i] - 1, 0);
		first = (unsigned int)sorted[i] + 1;
	}
	(void)close_range(first, ~0U, 0);
	return 0;
}

int spawn_leave(int null, const int *keep, size_t nr)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	return spawn_keep_only(keep, nr);
}

pid_t spawn_detached(const int *keep, size_t nr_keep)
{
	pid_t pid;
	int null;

	if (nr_keep > KEEP_MAX)
		return -EINVAL;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	pid = fork();
	if (pid != 0) {
		int error = errno;

		(void)close(null);
		return pid < 0 ? -error : pid;
	}
	(void)setsid();
	return spawn_leave(null, keep, nr_keep);
}

int spawn_fill_std(void)
{
	int fd;

	/* The lowest number that is free, each time */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}
