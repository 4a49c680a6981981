/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/fanout.h - do something that may hang in the kernel, for several buses at once */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/cleanup.h"

/* A result crosses a pipe in one write(2) */
#define FANOUT_RESULT_MAX 4096

struct fanout_job {
	const void *arg;
	void *result; /* filled when error is 0, else untouched */
	/* 0, -ETIMEDOUT, -EIO when the child died, else -errno of pipe(2) or fork(2); -EINPROGRESS */
	int error;
};

/* When the answers there are will do, those that are missing get a little more time, not all */
struct fanout_patience {
	bool (*enough)(const struct fanout_job *jobs, size_t nr, const void *arg);
	const void *arg;
	int grace_ms;
};

/**
 * fanout_run() - run @work once for each job, each in a process of its own, all side by side
 * @size:	of each result, at most FANOUT_RESULT_MAX
 * @work:	fills a zeroed result; gets the root and nothing else of ours
 * @patience:	NULL to wait for all until the deadline
 *
 * A transfer on a broken bus sleeps in the kernel, where no signal ends it. A thread that does
 * would keep our own process from ever ending; a process of its own session, with none of our
 * descriptors, is killed at the deadline and left behind.
 */
void fanout_run(struct fanout_job *jobs, size_t nr, size_t size, int rootfd,
		void (*work)(int rootfd, const void *arg, void *result), int timeout_ms,
		const struct fanout_patience *patience);
