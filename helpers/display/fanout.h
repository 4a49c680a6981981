/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/fanout.h - do something that may hang in the kernel, for several buses at once */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/cleanup.h"

/* A result crosses a pipe in one write(2), with its number before it */
#define FANOUT_RESULT_MAX (4096 - sizeof(size_t))

struct fanout_job {
	const void *arg;
	void *result; /* filled when error is 0, else untouched */
	/* 0, -ETIMEDOUT, -EIO when the process died, else -errno of pipe(2) or fork(2); -EINPROGRESS */
	int error;
};

/* When the answers there are will do, those that are missing get a little more time, not all */
struct fanout_patience {
	bool (*enough)(const struct fanout_job *jobs, size_t nr, const void *arg);
	const void *arg;
	int grace_ms;
};

struct fanout {
	size_t arg_size,
		size; /* of each argument and result, the latter at most FANOUT_RESULT_MAX */
	int rootfd;
	/* Fills a zeroed result, in a thread of its own; gets the root and nothing else of ours */
	void (*work)(int rootfd, const void *arg, void *result);
	const struct fanout_patience *patience; /* NULL to wait for all until the deadline */
	bool here;				/* in our own process, see below */
};

/**
 * fanout_run() - do the work once for each job, all side by side
 *
 * A transfer on a broken bus sleeps in the kernel, where no signal ends it. A thread of ours that
 * does would keep our own process from ever ending. So the threads are those of another process,
 * with a session of its own and none of our descriptors, which is killed at the deadline and left
 * behind. One for all: a fork costs more than all that a bus in order is asked.
 *
 * Who can leave its own process behind says @here and saves that fork. When a job then ends with
 * -ETIMEDOUT, its thread is still there: the caller goes on in a child. SIGPIPE has to be ignored.
 */
void fanout_run(const struct fanout *fanout, struct fanout_job *jobs, size_t nr, int timeout_ms);
