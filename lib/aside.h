/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/aside.h - what can sleep in the kernel for ever, done by a child that is left behind then */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cleanup.h"

/*
 * The head of what parent and child share. All that the child finds out it leaves in there: of one
 * that is left behind, too, it can be read.
 */
struct aside {
	long long since; /* the child notes when its step began: each has its own time */
	int keep;	 /* a descriptor that the child keeps open, 0: none */
	int busy_ms;	 /* so long in all it may take while it uses the CPU, 0: no longer */
	bool busy;	 /* when it was late, or gave way, it did */
	/* Asked by the parent all the while: is it to end now, as if it were late. NULL: no */
	bool (*gives_way)(void *shared);
	pid_t pid; /* of the child */
	int pidfd; /* its, the parent's alone */
	bool done;
	int result;
};

/**
 * aside_alloc() - memory that we share with our children, zeroed
 * @size:	of a struct that begins with a struct aside
 *
 * Return: NULL without memory; to be given back by aside_free()
 */
void *aside_alloc(size_t size);

void aside_free(void *shared, size_t size);

/**
 * aside_run() - have a child call a function, and wait for its result
 * @rootfd:	the child keeps this descriptor, and the one that @shared names
 * @run:	whether it comes to its end, nobody may depend on
 * @shared:	from aside_alloc()
 * @step_ms:	so long it may be at one step
 *
 * A child that is late is sent SIGKILL and left behind; it holds nothing of ours. One that is slow,
 * by its CPU time, does not hang: see busy_ms.
 *
 * Return: what @run returned, -ETIMEDOUT, -ECHILD when the child was killed, else -errno of fork(2)
 */
int aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
	_must_check_;

/**
 * aside_begin() - the first half of aside_run(): the child is there, and @run called
 *
 * Return: 0, else -errno of fork(2)
 */
int aside_begin(int rootfd, int (*run)(int rootfd, void *shared), void *shared) _must_check_;

/** aside_end() - the second half, once for each child. Return: as aside_run() */
int aside_end(void *shared, int step_ms) _must_check_;

/** aside_step() - in the child: what comes next has its time anew */
void aside_step(void *shared);
