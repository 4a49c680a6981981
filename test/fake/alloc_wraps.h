/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/fake/alloc_wraps.h - what allocates memory, as the linker's --wrap has it
 *
 * For one file of a program, which has before it: static bool alloc_fails(void), asked each time.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

static bool alloc_fails(void);

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
/* What --wrap makes of a call to name() */
#define ALLOC_WRAP(type, failed, name, params, args)                                               \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return alloc_fails() ? (failed) : __real_##name args;                              \
	}

ALLOC_WRAP(void *, NULL, malloc, (size_t size), (size))
ALLOC_WRAP(void *, NULL, calloc, (size_t nr, size_t size), (nr, size))
ALLOC_WRAP(void *, NULL, realloc, (void *p, size_t size), (p, size))
ALLOC_WRAP(void *, NULL, reallocarray, (void *p, size_t nr, size_t size), (p, nr, size))
ALLOC_WRAP(char *, NULL, strdup, (const char *s), (s))
ALLOC_WRAP(char *, NULL, strndup, (const char *s, size_t len), (s, len))
ALLOC_WRAP(int, -1, vasprintf, (char **buf, const char *fmt, va_list args), (buf, fmt, args))
ALLOC_WRAP(int, -1, __vasprintf_chk, (char **buf, int flag, const char *fmt, va_list args),
	   (buf, flag, fmt, args))

int __wrap_asprintf(char **buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **buf, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = __wrap_vasprintf(buf, fmt, args);
	va_end(args);
	return r;
}

int __wrap___asprintf_chk(char **buf, int flag, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **buf, int flag, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = __wrap___vasprintf_chk(buf, flag, fmt, args);
	va_end(args);
	return r;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
