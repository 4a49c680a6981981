/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/aside.c - what can sleep in the kernel for ever, done by a child that is left behind then */
#include "aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
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

	__atomic_add_fetch(&aside->steps, 1, __ATOMIC_RELAXED);
}

/* The child's whole life */
static void live(int rootfd, int null, int (*run)(int rootfd, void *shared), void *shared)
{
	struct aside *aside = shared;
	const int keep[] = { rootfd, aside->keep };

	if (spawn_leave(null, keep, ARRAY_SIZE(keep)) < 0)
		_exit(1);
	aside->result = run(rootfd, shared);
	aside->done = true;
	_exit(0);
}

/* Until the child has ended, or was too long at one step. Return: has it ended */
static bool await(int pidfd, const struct aside *aside, int step_ms)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	unsigned int before;

	do {
		long long until = deadline_in(step_ms);

		before = __atomic_load_n(&aside->steps, __ATOMIC_RELAXED);
		while (poll(&fd, 1, deadline_left(until)) < 0 && errno == EINTR)
			;
		if (fd.revents)
			return true;
	} while (before != __atomic_load_n(&aside->steps, __ATOMIC_RELAXED));
	return false;
}

int aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int pidfd = -1;
	struct aside *aside = shared;
	bool ended;
	pid_t pid;

	if (null < 0)
		return -errno;
	aside->done = false;
	/* Without what libraries do at a fork: the child reads some files and ends */
	pid = _Fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		live(rootfd, null, run, shared);
	pidfd = pidfd_open(pid, 0);
	ended = pidfd >= 0 && await(pidfd, aside, step_ms);
	if (!ended)
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, ended ? 0 : WNOHANG);
	if (ended)
		return aside->done ? aside->result : -ECHILD;
	return -ETIMEDOUT;
}
