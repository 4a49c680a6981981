/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/failing.h - the Nth call of one of several functions fails
 *
 * The test numbers them, from 1, and names what the linker wraps in its line behind "wraps:".
 */
#pragma once

#include <errno.h>
#include <stdbool.h>

static struct {
	int call, nth, error; /* call 0: none fails */
} failing;

static inline bool fails(int call)
{
	if (call != failing.call || --failing.nth != 0)
		return false;
	errno = failing.error;
	return true;
}

static inline void let_fail(int call, int nth, int error)
{
	failing.call = call;
	failing.nth = nth;
	failing.error = error;
}

#define FAILING_WRAP(type, failed, call, name, params, args)                                       \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails(call) ? (failed) : __real_##name args;                                \
	}
