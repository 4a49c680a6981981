/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/answers.c - does the kernel let a device be looked at */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/*
 * A bind or unbind of somebody else's (driverctl, a script, rmmod) has no mark of ours. It holds the
 * device's lock until the driver returns, and some attributes wait for that when they are read. So
 * a child asks first for one of these: whoever reads another later does not wait for long.
 *
 * Source: driver_override_show(), drivers/pci/pci-sysfs.c, device_lock(); Linux 4.14 to 6.12
 */

/* Of the time there is, the kernel may take this part: what binds it now may be quick enough */
#define ANSWER_PART   2
#define ANSWER_MIN_MS 100

#define DRIVERS "sys/bus/pci/drivers"

struct question {
	struct aside aside;
	const struct vfio_claim *claim;
	size_t at; /* the device that is being asked */
};

static int read_overrides(int rootfd, void *shared)
{
	struct question *question = shared;
	const struct vfio_claim *claim = question->claim;
	char path[PATH_MAX], text[ATTR_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < claim->nr; i++) {
		question->at = i;
		r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override",
				claim->devices[i].name);
		/* Whether there is one, and what is in it, is nothing to us */
		if (r == 0)
			(void)(attr_read(rootfd, path, text, sizeof(text)) < 0);
	}
	return r;
}

/* One child for all: each costs as much as all its questions. Return: as aside_run() */
static int ask(const struct helper_ctx *ctx, struct question *question)
{
	int ms = deadline_left(ctx->deadline) / ANSWER_PART;

	return aside_run(ctx->rootfd, read_overrides, question,
			 ms < ANSWER_MIN_MS ? ANSWER_MIN_MS : ms);
}

static int add_files(const char *driver, struct strlist *files)
{
	static const char *const names[] = { "bind", "unbind", "new_id" };
	char path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		r = path_format(path, sizeof(path), "/" DRIVERS "/%s/%s", driver, names[i]);
		if (r == 0)
			r = strlist_add(files, path);
	}
	return r;
}

/* A program that wrote into sysfs has the file open until it is back. Return: its pid, 0, -errno */
static pid_t find_writer(int rootfd)
{
	_cleanup_strlist_ struct strlist drivers = { 0 };
	_cleanup_strlist_ struct strlist files = { 0 };
	int r = attr_list(rootfd, DRIVERS, &drivers);

	if (r == 0)
		r = strlist_add(&files, "/" DRIVERS "_probe");
	for (size_t i = 0; r == 0 && i < drivers.nr; i++)
		r = add_files(drivers.names[i], &files);
	return r < 0 ? r : process_find_writer(rootfd, (const char *const *)files.names, files.nr);
}

static void describe_writer(int rootfd, char *buf, size_t size)
{
	pid_t pid = find_writer(rootfd);
	char who[64];

	if (pid <= 0) {
		(void)snprintf(buf, size,
			       "somebody else binds or unbinds it (ps -eo pid,stat,args: state D)");
		return;
	}
	process_describe(rootfd, pid, who, sizeof(who));
	(void)snprintf(buf, size, "%s binds or unbinds", who);
}

static void say_stuck(const struct helper_ctx *ctx, const struct vfio_device *device)
{
	char driver[DRIVER_NAME_MAX] = "", why[160];

	/* A link: the driver that is let go of has lost it by now */
	if (pcidev_driver(ctx->rootfd, &device->addr, driver, sizeof(driver)) < 0)
		*driver = '\0';
	describe_writer(ctx->rootfd, why, sizeof(why));
	helper_say(ctx,
		   "%s is stuck: %s%s has let nobody look at it, %s: start again when that has "
		   "come back; if it never does, only a reboot of the host frees it",
		   device->name, *driver ? "driver " : "the kernel", driver, why);
}

int answers_look(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	const struct vfio_device *device = claim->devices;
	struct question *question;
	int r;

	if (claim->nr == 0)
		return 0;
	question = aside_alloc(sizeof(*question));
	if (!question)
		return look_failed(ctx, device, -ENOMEM);
	question->claim = claim;
	r = ask(ctx, question);
	device += question->at;
	aside_free(question, sizeof(*question));
	if (r == 0)
		return 0;
	if (r != -ETIMEDOUT)
		return look_failed(ctx, device, r);
	say_stuck(ctx, device);
	return 1;
}
