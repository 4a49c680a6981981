/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/replug.c - a device that does not go home is taken off the bus and found again */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/*
 * How it works
 *
 * A card that comes back dirty is refused by its driver as long as the kernel keeps what it knows
 * of it. Off the bus and on again it is a new device: reset, its BARs laid out anew. But it is also
 * one whose override is gone, that any driver may take, or that does not come back at all. So it is
 * done only when somebody says `usher recover --force`, for devices that an undo has failed to give
 * back, that nobody uses, and that no process hangs in.
 *
 * Then the device is aimed home, by its override, and the undo that follows does the rest.
 *
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, remove and rescan
 */

#define RESCAN_FILE "sys/bus/pci/rescan"

/* Return: 0 it is off the bus, else as struct vfio_verb */
static int take_off(struct worker *worker, struct vfio_job *job)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/remove", job->name);

	if (r == 0)
		r = worker_step(worker, job, MARK_REMOVE, path, "1");
	if (r < 0)
		return job_fail(job, r, "%s cannot be taken off the bus: %s: see dmesg", job->name,
				strerror(-r));
	return 0;
}

/* Return: 0 it is there, else as struct vfio_verb */
static int find_again(struct worker *worker, struct vfio_job *job)
{
	int r = worker_step(worker, job, MARK_RESCAN, RESCAN_FILE, "1");

	if (r == 0 && !worker->ctx->dry_run) {
		r = pcidev_exists(worker->ctx->rootfd, &job->addr);
		r = r > 0 ? 0 : r < 0 ? r : -ENODEV;
	}
	if (r < 0)
		return job_fail(job, r,
				"%s was taken off the bus and is not found again: %s: power the "
				"host off and on",
				job->name, strerror(-r));
	return 0;
}

/* The kernel has given it to whichever driver it found first */
static int aim_home(struct worker *worker, struct vfio_job *job)
{
	char now[DRIVER_NAME_MAX] = "";
	int r = 0;

	if (!worker->ctx->dry_run)
		r = pcidev_driver(worker->ctx->rootfd, &job->addr, now, sizeof(now));
	if (r < 0)
		return job_fail(job, r, "cannot read which driver %s has: %s: see lspci -ks %s",
				job->name, strerror(-r), job->name);
	if (*job->old_driver)
		r = write_override(worker, job, job->old_driver);
	if (r >= 0 && *now && strcmp(now, job->old_driver) != 0)
		r = unbind(worker, job, now);
	return r < 0 ? r : 0;
}

/* Return: as struct vfio_verb */
static int replug_act(struct worker *worker, struct vfio_job *job)
{
	const char *driver = worker->mark.driver;
	int r = worker_begin_said(worker, job);
	bool gone = r == -ENODEV;

	if (r < 0 && !gone)
		return r;
	job->text[0] = '\0';
	/* Back already, or somebody else's by now: the undo says so */
	if (!gone && *driver && strcmp(driver, job->target) != 0)
		return 0;
	if (!gone)
		r = take_off(worker, job);
	if (gone || r == 0)
		r = find_again(worker, job);
	return r < 0 ? r : aim_home(worker, job);
}

const struct vfio_verb verb_replug = { .act = replug_act };

enum helper_exit vfio_replug(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs jobs = { 0 };
	int r = journal_open(ctx->dirfd, "vfio", !ctx->dry_run, &journal);

	if (r == 0)
		r = jobs_from_journal(&journal, &jobs);
	if (r < 0) {
		helper_say(ctx, "cannot read /run/usher/%s/vfio.journal: %s: look at lspci -k",
			   ctx->claim.uuid, strerror(-r));
		return HELPER_FAILED;
	}
	return undo_jobs(ctx, &journal, &jobs, &verb_replug) > 0 ? HELPER_DIRTY : HELPER_DONE;
}
