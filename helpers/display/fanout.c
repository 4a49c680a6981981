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

#include "../../lib/caps.h"
#include "../../lib/deadline.h"
#include "../../lib/spawn.h"

/* What a job has on its stack is small, and there may be a job for each of thirty buses */
#define STACK_BYTES (256UL * 1024)

/* Not longer than PIPE_BUF: it crosses the pipe whole, between those of the others */
struct message {
	size_t index;
	char result[FANOUT_RESULT_MAX];
};

struct task {
	const struct fanout *fanout;
	int fd;
	size_t index;
	const void *arg;
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
	const struct fanout *fanout = task->fanout;
	struct message message __attribute__((aligned(16))) = { .index = task->index };

	fanout->work(fanout->rootfd, task->arg, message.result);
	/* One that is not written is as one that was not done */
	if (write(task->fd, &message, message_len(fanout->size)) < 0)
		return NULL;
	return NULL;
}

static void tasks_begin(struct task *tasks, size_t first, size_t nr)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0)
		return;
	if (pthread_attr_setstacksize(&attr, STACK_BYTES) == 0)
		for (size_t i = first; i < nr; i++)
			tasks[i].started =
				pthread_create(&tasks[i].thread, &attr, task_do, &tasks[i]) == 0;
	(void)pthread_attr_destroy(&attr);
}

static void tasks_fill(struct task *tasks, const struct fanout *fanout,
		       const struct fanout_job *jobs, size_t nr, int fd)
{
	for (size_t i = 0; i < nr; i++)
		tasks[i] =
			(struct task){ .fanout = fanout, .fd = fd, .index = i, .arg = jobs[i].arg };
}

/* The child's side: a thread for each but the first, which is ours */
static _Noreturn void child_main(const struct fanout *fanout, const struct fanout_job *jobs,
				 size_t nr, int fd)
{
	struct task *tasks = calloc(nr, sizeof(*tasks));

	if (!tasks)
		_exit(1);
	tasks_fill(tasks, fanout, jobs, nr, fd);
	/* What a monitor says is not to be trusted */
	(void)caps_keep(CAPS_NONE);
	tasks_begin(tasks, 1, nr);
	(void)task_do(&tasks[0]);
	for (size_t i = 1; i < nr; i++)
		if (tasks[i].started)
			(void)pthread_join(tasks[i].thread, NULL);
	_exit(0);
}

/* Return: the child, else -errno */
static pid_t child_start(const struct fanout *fanout, const struct fanout_job *jobs, size_t nr,
			 int fd)
{
	const int keep[] = { fanout->rootfd, fd };
	pid_t pid = spawn_detached(keep, ARRAY_SIZE(keep));

	if (pid == 0)
		child_main(fanout, jobs, nr, fd);
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

/* Return: 0 when all jobs have ended, else as wait_some() */
static int collect(const struct fanout *fanout, int fd, struct fanout_job *jobs, size_t nr,
		   int timeout_ms)
{
	long long deadline = deadline_in(timeout_ms);
	int r = 0;

	while (r == 0 && any_open(jobs, nr)) {
		r = wait_some(fd, jobs, nr, fanout->size, deadline);
		deadline = shorten(fanout->patience, jobs, nr, deadline);
	}
	end_jobs(jobs, nr, r);
	return r;
}

static void run_in_child(const struct fanout *fanout, struct fanout_job *jobs, size_t nr,
			 int timeout_ms, int fds[2])
{
	pid_t pid = child_start(fanout, jobs, nr, fds[1]);
	int r;

	(void)close(TAKE_FD(fds[1]));
	if (pid < 0) {
		end_jobs(jobs, nr, pid);
		return;
	}
	r = collect(fanout, fds[0], jobs, nr, timeout_ms);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	/* One that hangs is left to whoever adopts it; any other is about to end */
	(void)waitpid(pid, NULL, r == 0 || r == -EIO ? 0 : WNOHANG);
}

/* What threads of ours use, which may still be at it when we have given up on them */
struct crew {
	struct fanout fanout;
	struct task *tasks;
	char *args;
	int fd;
};

static void crew_free(struct crew *crew)
{
	cleanup_close(&crew->fd);
	free(crew->args);
	free(crew->tasks);
	free(crew);
}

/* Takes @fd over. Return: NULL without memory */
static struct crew *crew_new(const struct fanout *fanout, const struct fanout_job *jobs, size_t nr,
			     int fd)
{
	struct crew *crew = calloc(1, sizeof(*crew));

	if (!crew) {
		(void)close(fd);
		return NULL;
	}
	crew->fanout = *fanout;
	crew->tasks = calloc(nr, sizeof(*crew->tasks));
	crew->args = calloc(nr, fanout->arg_size);
	crew->fd = fd;
	if (!crew->tasks || !crew->args) {
		crew_free(crew);
		return NULL;
	}
	tasks_fill(crew->tasks, &crew->fanout, jobs, nr, crew->fd);
	for (size_t i = 0; i < nr; i++) {
		char *arg = crew->args + i * fanout->arg_size;

		memcpy(arg, jobs[i].arg, fanout->arg_size);
		crew->tasks[i].arg = arg;
	}
	return crew;
}

/* Those that have answered are about to end. With one that hangs the crew stays for ever */
static void crew_end(struct crew *crew, const struct fanout_job *jobs, size_t nr)
{
	bool hangs = false;

	for (size_t i = 0; i < nr; i++) {
		if (!crew->tasks[i].started)
			continue;
		if (jobs[i].error == 0)
			(void)pthread_join(crew->tasks[i].thread, NULL);
		else
			hangs = true;
	}
	if (!hangs)
		crew_free(crew);
}

static void run_here(const struct fanout *fanout, struct fanout_job *jobs, size_t nr,
		     int timeout_ms, int fds[2])
{
	struct crew *crew = crew_new(fanout, jobs, nr, TAKE_FD(fds[1]));

	if (!crew) {
		end_jobs(jobs, nr, -ENOMEM);
		return;
	}
	tasks_begin(crew->tasks, 0, nr);
	for (size_t i = 0; i < nr; i++)
		if (!crew->tasks[i].started)
			jobs[i].error = -EAGAIN;
	(void)collect(fanout, fds[0], jobs, nr, timeout_ms);
	crew_end(crew, jobs, nr);
}

void fanout_run(const struct fanout *fanout, struct fanout_job *jobs, size_t nr, int timeout_ms)
{
	int fds[2];

	if (nr == 0)
		return;
	for (size_t i = 0; i < nr; i++)
		jobs[i].error = -EINPROGRESS;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		end_jobs(jobs, nr, -errno);
		return;
	}
	(fanout->here ? run_here : run_in_child)(fanout, jobs, nr, timeout_ms, fds);
	cleanup_close(&fds[0]);
	cleanup_close(&fds[1]);
}
