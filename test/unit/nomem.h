/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/nomem.h - let one allocation fail
 *
 * The head of a test that includes this names what the linker wraps, in two lines behind "wraps:":
 * malloc calloc realloc reallocarray strdup strndup
 * vasprintf __vasprintf_chk open_memstream
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Allocations that still succeed; -1: all do */
static int nomem_after = -1;

static inline bool nomem_now(void)
{
	if (nomem_after < 0 || nomem_after-- > 0)
		return false;
	errno = ENOMEM;
	return true;
}

/* What the linker's --wrap makes of a call to name() */
#define NOMEM_WRAP(type, failed, name, params, args)                                               \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return nomem_now() ? failed : __real_##name args;                                  \
	}

NOMEM_WRAP(void *, NULL, malloc, (size_t size), (size))
NOMEM_WRAP(void *, NULL, calloc, (size_t nr, size_t size), (nr, size))
NOMEM_WRAP(void *, NULL, realloc, (void *p, size_t size), (p, size))
NOMEM_WRAP(void *, NULL, reallocarray, (void *p, size_t nr, size_t size), (p, nr, size))
NOMEM_WRAP(char *, NULL, strdup, (const char *s), (s))
NOMEM_WRAP(char *, NULL, strndup, (const char *s, size_t len), (s, len))
NOMEM_WRAP(FILE *, NULL, open_memstream, (char **buf, size_t *len), (buf, len))
NOMEM_WRAP(int, -1, vasprintf, (char **buf, const char *fmt, va_list args), (buf, fmt, args))
NOMEM_WRAP(int, -1, __vasprintf_chk, (char **buf, int flag, const char *fmt, va_list args),
	   (buf, flag, fmt, args))

/* Runs @call with its first, second, ... allocation failing until none does: each failure must be
 * -ENOMEM, and there must be at least @at_least of them */
#define assert_nomem(call, at_least)                                                               \
	do {                                                                                       \
		int nr_ = 0, r_;                                                                   \
		do {                                                                               \
			nomem_after = nr_++;                                                       \
			r_ = (call);                                                               \
			if (nomem_after < 0)                                                       \
				assert_int_equal(r_, -ENOMEM);                                     \
		} while (r_ == -ENOMEM);                                                           \
		nomem_after = -1;                                                                  \
		assert_true(r_ >= 0);                                                              \
		assert_true(nr_ - 1 >= (at_least));                                                \
	} while (0)
