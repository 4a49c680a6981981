/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/deadline.h - one time unit: milliseconds of CLOCK_MONOTONIC */
#pragma once

#include <limits.h>
#include <time.h>

static inline long long now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** deadline_in() - the point in time @ms from now */
static inline long long deadline_in(int ms)
{
	return now_ms() + ms;
}

/** deadline_left() - ms until @deadline, 0 when it has passed; fit for poll(2) */
static inline int deadline_left(long long deadline)
{
	long long left = deadline - now_ms();

	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
