/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/faults.h - let the Nth allocation, or the Nth read of kernel or state, fail in whatever process
 *
 * The head of a test that includes this, before its host, names what the linker wraps, in lines
 * behind "wraps:":
 * malloc calloc realloc reallocarray strdup strndup
 * vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream
 * attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists
 * state_open state_dir state_read state_lock journal_open
 */
#pragma once

#include <errno.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/attr.h"
#include "lib/journal.h"
#include "lib/state.h"
#include "test/fake/alloc_wraps.h"

enum fault { FAULT_MEMORY, FAULT_READ };

/* Shared with the processes that are started meanwhile */
static struct {
	enum fault kind;
	int left; /* calls that still succeed; -1: all do */
	int error;
	void *frames[12]; /* who met the one that failed */
	int nr_frames;
} * faults;

static void faults_begin(enum fault kind, int nth, int error)
{
	if (!faults)
		faults = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (faults == MAP_FAILED)
		abort();
	faults->kind = kind;
	faults->error = error;
	__atomic_store_n(&faults->left, nth, __ATOMIC_SEQ_CST);
}

/* Return: has one failed */
static bool faults_end(void)
{
	return __atomic_exchange_n(&faults->left, -1, __ATOMIC_SEQ_CST) < 0;
}

/*
 * From one fault to the next. All of them take minutes: FAULTS_EVERY=1 has them, as the coverage does
 */
static inline int faults_every(void)
{
	const char *every = getenv("FAULTS_EVERY");

	return every && *every ? (int)strtol(every, NULL, 10) : 7;
}

/* None fails in this process */
static bool faults_off;

/* test/coverage/exit.c: what counts lines allocates as well, when a process ends */
extern bool coverage_ends __attribute__((weak));

static bool fault_now(enum fault kind)
{
	if (faults_off || (&coverage_ends && coverage_ends) || !faults || faults->kind != kind ||
	    __atomic_load_n(&faults->left, __ATOMIC_SEQ_CST) < 0 ||
	    __atomic_fetch_sub(&faults->left, 1, __ATOMIC_SEQ_CST) != 0)
		return false;
	faults->nr_frames = backtrace(faults->frames, 12);
	return true;
}

/* For addr2line -f: where the last one was met */
static void faults_where(void)
{
	backtrace_symbols_fd(faults->frames, faults->nr_frames, STDERR_FILENO);
}

static bool alloc_fails(void)
{
	if (!fault_now(FAULT_MEMORY))
		return false;
	errno = ENOMEM;
	return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
ALLOC_WRAP(FILE *, NULL, open_memstream, (char **buf, size_t *len), (buf, len))

#define READ_WRAP(name, params, args)                                                              \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		return fault_now(FAULT_READ) ? -faults->error : __real_##name args;                \
	}

READ_WRAP(attr_open, (int rootfd, const char *path, int flags), (rootfd, path, flags))
READ_WRAP(attr_read, (int rootfd, const char *path, char *buf, size_t size),
	  (rootfd, path, buf, size))
READ_WRAP(attr_read_ull, (int rootfd, const char *path, unsigned long long *ret),
	  (rootfd, path, ret))
READ_WRAP(attr_read_all, (int rootfd, const char *path, size_t max, char **ret, size_t *ret_len),
	  (rootfd, path, max, ret, ret_len))
READ_WRAP(attr_list, (int rootfd, const char *path, struct strlist *ret), (rootfd, path, ret))
READ_WRAP(attr_link, (int rootfd, const char *path, char *buf, size_t size),
	  (rootfd, path, buf, size))
READ_WRAP(attr_exists, (int rootfd, const char *path), (rootfd, path))
READ_WRAP(state_open, (int rootfd, bool create), (rootfd, create))
READ_WRAP(state_dir, (int statefd, const char *name, bool create), (statefd, name, create))
READ_WRAP(state_read, (int dirfd, const char *name, char **ret, size_t *ret_len),
	  (dirfd, name, ret, ret_len))
READ_WRAP(state_lock, (int dirfd, const char *name, int timeout_ms), (dirfd, name, timeout_ms))
READ_WRAP(journal_open, (int dirfd, const char *name, bool write, struct journal *ret),
	  (dirfd, name, write, ret))

/* What the test's own host looks at never fails */
#define attr_open     __real_attr_open
#define attr_read     __real_attr_read
#define attr_read_ull __real_attr_read_ull
#define attr_read_all __real_attr_read_all
#define attr_list     __real_attr_list
#define attr_link     __real_attr_link
#define attr_exists   __real_attr_exists
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
