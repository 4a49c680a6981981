/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/fanout.c - do something that may hang in the kernel, for several buses at once */
#include "fanout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "../../lib/deadline.h"
#include "../../lib/spawn.h"

/* What a job has on its stack is small, and there may be a job for each of thirty buses */
#define STACK_BYTES (256UL * 1024)

/* Not longer than PIPE_BUF: it crosses the pipe whole, between those of the others */
struct message {
	size_t index;
	char result[FANOUT_RESULT_MAX];
};

/* The child's side */
struct crew {
	const struct fanout_job *jobs;
	size_t size;
	int rootfd, fd;
	void (*work)(int rootfd, const void *arg, void *result);
};

struct task {
	const struct crew *crew;
	size_t index;
	pthread_t thread;
	bool started;
};

static size_t message_len(size_t size)
{
	return offsetof(struct message, result) + size;
}

static void *task_do(void *arg)
{
	const struct task *task = arg;
	const struct crew *crew = task->crew;
	struct message message __attribute__((aligned(16))) = { .index = task->index };

	crew->work(crew->rootfd, crew->jobs[task->index].arg, message.result);
	/* One that is not written is as one that was not done */
	if (write(crew->fd, &message, message_len(crew->size)) < 0)
		return NULL;
	return NULL;
}

/* A thread for each but the first, which is ours */
static _Noreturn void crew_main(const struct crew *crew, size_t nr)
{
	struct task *tasks = calloc(nr, sizeof(*tasks));
	pthread_attr_t attr;

	if (!tasks || pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK_BYTES) != 0)
		_exit(1);
	for (size_t i = 0; i < nr; i++)
		tasks[i] = (struct task){ .crew = crew, .index = i };
	for (size_t i = 1; i < nr; i++)
		tasks[i].started = pthread_create(&tasks[i].thread, &attr, task_do, &tasks[i]) == 0;
	(void)task_do(&tasks[0]);
	for (size_t i = 1; i < nr; i++)
		if (tasks[i].started)
			(void)pthread_join(tasks[i].thread, NULL);
	_exit(0);
}

/* Return: the child, with the pipe's reading end in @ret_fd, else -errno */
static pid_t crew_start(const struct crew *crew, size_t nr, int *ret_fd)
{
	struct crew there = *crew;
	int fds[2], keep[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	there.fd = fds[1];
	keep[0] = crew->rootfd;
	keep[1] = fds[1];
	pid = spawn_detached(keep, ARRAY_SIZE(keep));
	if (pid == 0)
		crew_main(&there, nr);
	(void)close(fds[1]);
	if (pid < 0)
		(void)close(fds[0]);
	else
		*ret_fd = fds[0];
	return pid;
}

static bool is_open(const struct fanout_job *job)
{
	return job->error == -EINPROGRESS;
}

static bool any_open(const struct fanout_job *jobs, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (is_open(&jobs[i]))
			return true;
	return false;
}

/* Return: 0, -EIO when the child has ended, -EBADMSG, else -errno of read(2) */
static int take_result(int fd, struct fanout_job *jobs, size_t nr, size_t size)
{
	struct message message;
	ssize_t n = read(fd, &message, message_len(size));

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	if ((size_t)n != message_len(size) || message.index >= nr || !is_open(&jobs[message.index]))
		return -EBADMSG;
	memcpy(jobs[message.index].result, message.result, size);
	jobs[message.index].error = 0;
	return 0;
}

/* Return: 0 to go on, -ETIMEDOUT, else as take_result() or -errno of poll(2) */
static int wait_some(int fd, struct fanout_job *jobs, size_t nr, size_t size, long long deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r = poll(&p, 1, deadline_left(deadline));

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 ? -ETIMEDOUT : take_result(fd, jobs, nr, size);
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

static void end_jobs(struct fanout_job *jobs, size_t nr, int error)
{
	for (size_t i = 0; i < nr; i++)
		if (is_open(&jobs[i]))
			jobs[i].error = error;
}

void fanout_run(struct fanout_job *jobs, size_t nr, size_t size, int rootfd,
		void (*work)(int rootfd, const void *arg, void *result), int timeout_ms,
		const struct fanout_patience *patience)
{
	const struct crew crew = { .jobs = jobs, .size = size, .rootfd = rootfd, .work = work };
	long long deadline = deadline_in(timeout_ms);
	int fd = -1, r = 0;
	pid_t pid;

	if (nr == 0)
		return;
	for (size_t i = 0; i < nr; i++)
		jobs[i].error = -EINPROGRESS;
	pid = crew_start(&crew, nr, &fd);
	if (pid < 0) {
		end_jobs(jobs, nr, pid);
		return;
	}
	while (r == 0 && any_open(jobs, nr)) {
		r = wait_some(fd, jobs, nr, size, deadline);
		deadline = shorten(patience, jobs, nr, deadline);
	}
	end_jobs(jobs, nr, r);
	(void)close(fd);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	/* One that hangs is left to whoever adopts it; any other is about to end */
	(void)waitpid(pid, NULL, r == 0 || r == -EIO ? 0 : WNOHANG);
}
