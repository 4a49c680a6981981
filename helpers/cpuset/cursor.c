/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/cursor.c - does the text console's cursor blink */
#include <errno.h>
#include <fcntl.h>
#include <linux/kd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "cpuset.h"

/*
 * A cursor that blinks is work of the kernel's five times a second, and as often for the screen
 * that shows it. Its timer goes to a CPU that does not sleep, which a guest's does not, and stays
 * there, in a partition too: on a host with a text console it was two thirds of all that ran on the
 * guest's CPUs beside the guest.
 *
 * Who asks or writes waits for the console's lock, and that a driver can hold for ever: so it is a
 * child that does. Until Linux 6.16 the kernel does not tell the setting, but whether the next blink
 * is due: "0" also for the moment in which one is made, and from when the console's lock was taken
 * by others until the cursor is drawn again; "-1" without a text console. Later ones tell the setting. Where a desktop is shown nothing blinks, and the setting is left alone: who sets
 * it back there starts a blink that nobody sees.
 *
 * Source: fb_flashcursor(), show_cursor_blink(), store_cursor_blink(), drivers/video/fbdev/core/
 * fbcon.c; Linux 6.12
 * Seen on: Linux 6.12: 117 blinks in 15 s on one isolated CPU, of 173 switches to anything else
 */
#define ANSWER_MS 400
#define BLINK_MS  10

struct question {
	struct aside aside;
	const char *path;
	bool before; /* it is written: is there anything to be written for */
	char now[ATTR_MAX];
};

/* ABI: ioctl_console(2), KDGETMODE of the console in front, by any descriptor of a console's */
static bool desktop_is_shown(int rootfd)
{
	_cleanup_close_ int fd = attr_open(rootfd, "dev/tty0", O_RDONLY | O_NONBLOCK);
	int mode;

	return fd >= 0 && ioctl(fd, KDGETMODE, &mode) == 0 && mode == KD_GRAPHICS;
}

static int look(int rootfd, void *shared)
{
	struct question *question = shared;
	int r;

	if (question->before && desktop_is_shown(rootfd))
		return path_format(question->now, sizeof(question->now), CURSOR_STILL);
	r = attr_read(rootfd, question->path, question->now, sizeof(question->now));
	if (r < 0 || strcmp(question->now, CURSOR_STILL) != 0)
		return r;
	(void)poll(NULL, 0, BLINK_MS);
	return attr_read(rootfd, question->path, question->now, sizeof(question->now));
}

int cursor_read(const struct cpuset_job *job, const char *path, bool before, char *buf, size_t size)
{
	struct question *question = aside_alloc(sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	question->path = path;
	question->before = before;
	r = aside_run(job->ctx->rootfd, look, question, ANSWER_MS);
	if (r >= 0)
		r = path_format(buf, size, "%s", question->now);
	aside_free(question, sizeof(*question));
	return r;
}

int cursor_write(const struct cpuset_job *job, const char *path, const char *value)
{
	return job_write_aside(job, path, value, ANSWER_MS);
}
