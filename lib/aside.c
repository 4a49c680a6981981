/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/aside.c - what can sleep in the kernel for ever, done by a child that is left behind then */
#include "aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deadline.h"
#include "spawn.h"

void *aside_alloc(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

void aside_free(void *shared, size_t size)
{
	if (shared)
		(void)munmap(shared, size);
}

void aside_step(void *shared)
{
	struct aside *aside = shared;

	__atomic_store_n(&aside->since, now_ms(), __ATOMIC_RELAXED);
}

/*
 * So long one may wait for a CPU that it does not get, beside what it may take for a step: a host
 * under load is no kernel that hangs
 */
#define STARVED_MS 5000

/* Between two questions whether it is to give way */
#define ASK_MS 100

/*
 * The child's whole life. In a process group of its own, which no terminal's ^C goes to, but not in a
 * session: the kernel would schedule it apart from us, and on a host under load let it wait.
 * ABI: sched(7), "The autogroup feature"
 * Seen on: Linux 6.18, four tasks on two CPUs: half a second without a CPU behind setsid(2)
 */
static void live(int rootfd, int null, int (*run)(int rootfd, void *shared), void *shared)
{
	struct aside *aside = shared;
	const int keep[] = { rootfd, aside->keep };

	(void)setpgid(0, 0);
	if (spawn_leave(null, keep, ARRAY_SIZE(keep)) < 0)
		_exit(1);
	/* What a host under load took until it came to run is none of its time */
	aside_step(shared);
	aside->result = run(rootfd, shared);
	aside->done = true;
	_exit(0);
}

/* Of whoever waits in the kernel it stands still. In ns; 0: not known */
static long long cpu_time(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* It waits for nothing but a CPU. Of the real kernel, whatever root we look at */
static bool is_runnable(pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[64], stat[64];
	const char *end;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, stat, sizeof(stat) - 1);
	stat[n > 0 ? n : 0] = '\0';
	/* "4711 (usher-cpuset) R ...": the name is ours, and short */
	end = strrchr(stat, ')');
	return end && strncmp(end, ") R", strlen(") R")) == 0;
}

/* It uses the CPU, and has time for that */
static bool may_go_on(const struct aside *aside, long long most)
{
	return aside->busy && deadline_left(most) > 0;
}

static bool ends_by(int pidfd, long long until)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	while (poll(&fd, 1, deadline_left(until)) < 0 && errno == EINTR)
		;
	return fd.revents != 0;
}

/* Return: has it ended */
static bool ends_or_gives_way(int pidfd, struct aside *aside, long long until, bool *ret_gives_way)
{
	while (aside->gives_way && deadline_left(until) > ASK_MS) {
		long long before = cpu_time(aside->pid);

		if (ends_by(pidfd, deadline_in(ASK_MS)))
			return true;
		aside->busy = cpu_time(aside->pid) > before || is_runnable(aside->pid);
		*ret_gives_way = aside->gives_way(aside);
		if (*ret_gives_way)
			return false;
	}
	return ends_by(pidfd, until);
}

static long long step_began(const struct aside *aside)
{
	return __atomic_load_n(&aside->since, __ATOMIC_RELAXED);
}

/* Until the child has ended, or was too long at one step. Return: has it ended */
static bool await(int pidfd, struct aside *aside, int step_ms)
{
	long long most = deadline_in(aside->busy_ms), since = 0, until = 0, before = 0;
	long long starved_most = deadline_in(step_ms + STARVED_MS);
	bool starved = false, gives_way = false;

	do {
		bool again = since == step_began(aside);

		if (!again)
			until = since = step_began(aside);
		until += step_ms;
		if (again && !starved && until > most)
			until = most;
		/* What it does in the second half tells: one that hangs has begun its step, too. A
		 * step that begins late has seen that half begin already */
		if (deadline_left(until - step_ms / 2) > 0) {
			if (ends_or_gives_way(pidfd, aside, until - step_ms / 2, &gives_way))
				return true;
			before = cpu_time(aside->pid);
		}
		if (!gives_way && ends_or_gives_way(pidfd, aside, until, &gives_way))
			return true;
		if (gives_way)
			return false;
		aside->busy = cpu_time(aside->pid) > before;
		starved = !aside->busy && is_runnable(aside->pid);
	} while (since != step_began(aside) || may_go_on(aside, most) ||
		 (starved && deadline_left(starved_most) > 0));
	return false;
}

int aside_begin(int rootfd, int (*run)(int rootfd, void *shared), void *shared)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct aside *aside = shared;
	pid_t pid;

	if (null < 0)
		return -errno;
	aside->done = aside->busy = false;
	aside_step(shared);
	/* Without what libraries do at a fork: the child reads some files and ends */
	pid = _Fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		live(rootfd, null, run, shared);
	aside->pid = pid;
	aside->pidfd = pidfd_open(pid, 0);
	return 0;
}

int aside_end(void *shared, int step_ms)
{
	struct aside *aside = shared;
	_cleanup_close_ int pidfd = aside->pidfd;
	bool ended = pidfd >= 0 && await(pidfd, aside, step_ms);

	if (!ended)
		(void)kill(aside->pid, SIGKILL);
	(void)waitpid(aside->pid, NULL, ended ? 0 : WNOHANG);
	if (ended)
		return aside->done ? aside->result : -ECHILD;
	return -ETIMEDOUT;
}

int aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	int r = aside_begin(rootfd, run, shared);

	return r < 0 ? r : aside_end(shared, step_ms);
}
