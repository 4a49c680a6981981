/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/suspend.c - what the clocks tell of the host's sleep, whoever put it to sleep */
#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

#include "../../lib/deadline.h"
#include "nosleep.h"

/* The latest point in time there is: it never comes */
#define NEVER ((time_t)INT64_MAX)

static long long boot_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Not to run between two readings looks like sleep: the tightest of a few tries is taken */
#define TRIES 20

long long suspended_ms(void)
{
	long long gap = 0, ret = 0;

	for (int i = 0; i < TRIES && (i == 0 || gap > 1); i++) {
		long long before = now_ms(), boot = boot_ms(), after = now_ms();

		if (i > 0 && after - before >= gap)
			continue;
		gap = after - before;
		ret = boot - after;
	}
	return ret;
}

int wakeup_open(void)
{
	const struct itimerspec never = { .it_value = { .tv_sec = NEVER } };
	_cleanup_close_ int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int wakeup_clear(int fd)
{
	uint64_t times;

	/* The read arms it again, since the clock's offset of now is the one it compares with */
	if (read(fd, &times, sizeof(times)) < 0 && errno != ECANCELED && errno != EAGAIN)
		return -errno;
	return 0;
}
