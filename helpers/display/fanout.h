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

/**
 * fanout_run() - run @work once for each job, all side by side
 * @size:	of each result, at most FANOUT_RESULT_MAX
 * @work:	fills a zeroed result, in a thread of its own; gets the root and nothing else of ours
 * @patience:	NULL to wait for all until the deadline
 *
 * A transfer on a broken bus sleeps in the kernel, where no signal ends it. A thread of ours that
 * does would keep our own process from ever ending. So the threads are those of another process,
 * with a session of its own and none of our descriptors, which is killed at the deadline and left
 * behind. One for all: a fork costs more than all that a bus in order is asked.
 */
void fanout_run(struct fanout_job *jobs, size_t nr, size_t size, int rootfd,
		void (*work)(int rootfd, const void *arg, void *result), int timeout_ms,
		const struct fanout_patience *patience);
