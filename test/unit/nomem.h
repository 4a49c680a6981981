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
#include <stdio.h>

#include "test/fake/alloc_wraps.h"

/* Allocations that still succeed; -1: all do */
static int nomem_after = -1;

static bool alloc_fails(void)
{
	if (nomem_after < 0 || nomem_after-- > 0)
		return false;
	errno = ENOMEM;
	return true;
}

ALLOC_WRAP(FILE *, NULL, open_memstream, (char **buf, size_t *len), (buf, len))

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
