/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/alloc.c - memory that is not there: one allocation of a program fails */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc_wraps.h"
#include "fake.h"

/*
 * How it works
 *
 * While .fake/allocs is there, each program counts its allocations in .fake/allocs/PROGRAM, which all
 * its processes have mapped: two numbers, so many as there were, and which one fails, 0 for none.
 * What the fake kernel allocates for an effect is not the program's.
 */

enum { COUNT, FAILS, NR_NUMBERS };

static unsigned long long *numbers;
static __thread unsigned int exempt;

void fake_alloc_exempt(bool on)
{
	exempt += on ? 1 : -1U;
}

void fake_alloc_open(void)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	void *map;

	tree_path(path, ".fake/allocs/%s", program_invocation_short_name);
	fd = openat(fake_root(), path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, NR_NUMBERS * sizeof(*numbers)) != 0)
		return;
	map = mmap(NULL, NR_NUMBERS * sizeof(*numbers), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		numbers = map;
}

static bool alloc_fails(void)
{
	if (!numbers || exempt ||
	    __atomic_add_fetch(&numbers[COUNT], 1, __ATOMIC_RELAXED) != numbers[FAILS])
		return false;
	fake_note("alloc", "nomem");
	errno = ENOMEM;
	return true;
}
