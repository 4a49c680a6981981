/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/each_way.h - each way that an error of the system, or of memory, can take
 *
 * The head of a test that includes this names what the linker wraps, in lines behind "wraps:":
 * syscall read write fstat fdopendir readdir unlinkat mkdirat renameat readlinkat ftruncate flock
 * malloc calloc realloc reallocarray strdup strndup
 * vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream
 *
 * That is, a call fails when one of its callers, up to main(), has not seen one fail yet: of each
 * place in the source that an error comes by it is tried once. Only one call of a run fails, and none in children, whose memory is their own. WAYS_PAUSED may be defined: what
 * is true while the test itself is at work.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/fake/alloc_wraps.h"

#ifndef WAYS_PAUSED
#define WAYS_PAUSED false
#endif

#define WAY_DEPTH 24
#define WAYS_MAX  4096

enum way_kind { WAY_NONE, WAY_SYSTEM, WAY_MEMORY };

static struct {
	enum way_kind kind; /* what fails in this run */
	pid_t pid;
	bool failed; /* it has */
	bool paused;
	size_t nr;
	void *tried[WAYS_MAX]; /* callers below which a call has failed */
} ways;

static inline bool is_tried(const void *caller)
{
	for (size_t i = 0; i < ways.nr; i++)
		if (ways.tried[i] == caller)
			return true;
	return false;
}

/* Return: true when one of them is new */
static inline bool way_is_new(void)
{
	void *callers[WAY_DEPTH];
	size_t before = ways.nr;
	int nr = backtrace(callers, WAY_DEPTH);

	for (int i = 0; i < nr; i++) {
		assert_true(ways.nr < WAYS_MAX);
		if (!is_tried(callers[i]))
			ways.tried[ways.nr++] = callers[i];
	}
	return ways.nr > before;
}

static inline bool way_fails(enum way_kind kind, int error)
{
	if (ways.kind != kind || ways.failed || ways.paused || WAYS_PAUSED || getpid() != ways.pid)
		return false;
	ways.paused = true;
	ways.failed = way_is_new();
	ways.paused = false;
	if (ways.failed)
		errno = error;
	return ways.failed;
}

static inline void way_begin(enum way_kind kind)
{
	ways.pid = getpid();
	ways.failed = false;
	ways.kind = kind;
}

/* Return: true when a call has failed: there may be more */
static inline bool way_end(void)
{
	ways.kind = WAY_NONE;
	return ways.failed;
}

static bool alloc_fails(void)
{
	return way_fails(WAY_MEMORY, ENOMEM);
}

ALLOC_WRAP(FILE *, NULL, open_memstream, (char **buf, size_t *len), (buf, len))

#define WAY_WRAP(type, failed, name, params, args)                                                 \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return way_fails(WAY_SYSTEM, EIO) ? (failed) : __real_##name args;                 \
	}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
WAY_WRAP(ssize_t, -1, read, (int fd, void *buf, size_t len), (fd, buf, len))
WAY_WRAP(ssize_t, -1, write, (int fd, const void *buf, size_t len), (fd, buf, len))
WAY_WRAP(int, -1, fstat, (int fd, struct stat *st), (fd, st))
WAY_WRAP(DIR *, NULL, fdopendir, (int fd), (fd))
WAY_WRAP(struct dirent *, NULL, readdir, (DIR * dir), (dir))
WAY_WRAP(int, -1, unlinkat, (int dirfd, const char *path, int flags), (dirfd, path, flags))
WAY_WRAP(int, -1, mkdirat, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WAY_WRAP(int, -1, renameat, (int from, const char *old, int to, const char *path),
	 (from, old, to, path))
WAY_WRAP(ssize_t, -1, readlinkat, (int dirfd, const char *path, char *buf, size_t size),
	 (dirfd, path, buf, size))
WAY_WRAP(int, -1, ftruncate, (int fd, off_t len), (fd, len))
WAY_WRAP(int, -1, flock, (int fd, int how), (fd, how))

/* How many there are only the call's number tells: all six are handed on, as syscall(2) itself does */
long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);
__attribute__((no_sanitize("address"))) long __wrap_syscall(long nr, ...)
{
	long arg[6];
	va_list args;

	va_start(args, nr);
	for (size_t i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	return way_fails(WAY_SYSTEM, EIO)
		       ? -1
		       : __real_syscall(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
