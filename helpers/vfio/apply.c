/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/apply.c - hand the claimed devices over to the vfio driver */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/module.h"
#include "vfio.h"

/* Of the time there is, this much is kept to take back what was done */
#define RESERVE_MS   2000
#define RESERVE_PART 4

/*
 * load_module() - have the vfio driver there before any override names it
 *
 * Return: 0, -1 after saying why not
 */
static int load_module(const struct helper_ctx *ctx, const char *driver)
{
	char path[PATH_MAX], name[DRIVER_NAME_MAX];
	int r;

	variant_driver(ctx->rootfd, driver, name, sizeof(name));
	r = path_format(path, sizeof(path), "sys/bus/pci/drivers/%s", name);
	if (r == 0 && attr_exists(ctx->rootfd, path) > 0)
		return 0;
	if (helper_would(ctx, "modprobe %s", driver))
		return 0;
	if (r == 0)
		r = module_load(ctx->rootfd, driver, deadline_left(ctx->deadline));
	if (r == 0) {
		variant_driver(ctx->rootfd, driver, name, sizeof(name));
		r = path_format(path, sizeof(path), "sys/bus/pci/drivers/%s", name);
	}
	if (r == 0 && attr_exists(ctx->rootfd, path) <= 0)
		r = -ENXIO;
	if (r == 0)
		return 0;
	helper_say(ctx, "cannot load driver %s: %s: see modprobe -v %s, and dmesg", driver,
		   strerror(-r), driver);
	return -1;
}

/* Those that are with a vfio driver already need none */
static int load_modules(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	for (size_t i = 0; i < claim->nr; i++)
		if (!claim->devices[i].on_vfio && load_module(ctx, claim->devices[i].module) < 0)
			return -1;
	return 0;
}

/* A job for each device that is not with a vfio driver yet */
static int make_jobs(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		     const struct vfio_jobs *open, struct vfio_jobs *jobs)
{
	for (size_t i = 0; i < claim->nr; i++) {
		const struct vfio_device *device = &claim->devices[i];
		const struct vfio_job *begun = jobs_find(open, device->name);
		struct vfio_job *job;

		if (device->on_vfio)
			continue;
		job = jobs_add(jobs, &device->addr);
		if (!job)
			return -ENOMEM;
		if (begun)
			*job = *begun;
		variant_driver(ctx->rootfd, device->module, job->target, sizeof(job->target));
		memcpy(job->reset, claim->reset, sizeof(job->reset));
		job->has_interface = nodes_have(&device->below, "net");
		memcpy(job->bars, claim->bars, sizeof(job->bars));
		job->nr_bars = claim->nr_bars;
	}
	return 0;
}

static size_t jobs_count(const struct vfio_jobs *jobs, enum job_state state)
{
	size_t nr = 0;

	for (size_t i = 0; i < jobs->nr; i++)
		nr += jobs->jobs[i].state == state;
	return nr;
}

/* Whoever hangs there gives the others of the unit back, too */
static bool unit_stuck(const struct vfio_jobs *jobs, size_t unit)
{
	for (size_t i = 0; i < jobs->nr; i++)
		if (jobs->jobs[i].unit == unit && jobs->jobs[i].state == JOB_STUCK)
			return true;
	return false;
}

/* One that has not had its turn may have lost its driver with another's */
static bool is_to_go_back(const struct vfio_jobs *jobs, const struct vfio_job *job)
{
	if (job->state == JOB_LEFT)
		return job->journaled && !unit_stuck(jobs, job->unit);
	return job->journaled && (job->state == JOB_DONE || job->state == JOB_FAILED);
}

/* What this run has touched, the last first; devices it found handed over already stay */
static int jobs_to_take_back(const struct vfio_jobs *jobs, struct vfio_jobs *ret)
{
	for (size_t i = jobs->nr; i > 0; i--) {
		const struct vfio_job *job = &jobs->jobs[i - 1];
		struct vfio_job *back;

		if (!is_to_go_back(jobs, job))
			continue;
		back = jobs_add(ret, &job->addr);
		if (!back)
			return -ENOMEM;
		*back = *job;
		back->state = JOB_WAITING;
		back->text[0] = '\0';
	}
	return 0;
}

static enum helper_exit take_back(const struct helper_ctx *ctx, struct journal *journal,
				  const struct vfio_jobs *jobs)
{
	_cleanup_vfio_jobs_ struct vfio_jobs back = { 0 };
	size_t left = jobs_count(jobs, JOB_STUCK);

	left += render_return(ctx) != 0;
	if (jobs_to_take_back(jobs, &back) < 0) {
		helper_say(ctx, "there is no memory left on the host to take back what was handed "
				"over: run usher recover");
		return HELPER_DIRTY;
	}
	left += undo_jobs(ctx, journal, &back, &verb_give_back);
	return left ? HELPER_DIRTY : HELPER_FAILED;
}

static enum helper_exit hand_over(const struct helper_ctx *ctx, struct journal *journal,
				  struct vfio_jobs *jobs)
{
	int left = deadline_left(ctx->deadline);
	int reserve = left / RESERVE_PART < RESERVE_MS ? left / RESERVE_PART : RESERVE_MS;

	if (left == 0) {
		helper_say(ctx, "no time is left to hand devices over: see timeout of [vfio]");
		return HELPER_FAILED;
	}
	crew_run(ctx, journal, jobs, &verb_bind, ctx->deadline - reserve);
	if (jobs_count(jobs, JOB_DONE) == jobs->nr)
		return HELPER_DONE;
	if (jobs_count(jobs, JOB_FAILED) == 0 && jobs_count(jobs, JOB_STUCK) == 0)
		helper_say(ctx, "not all devices could be handed over in time: see timeout of "
				"[vfio]");
	return take_back(ctx, journal, jobs);
}

/* The journal is opened for writing only when there is something to be done */
static enum helper_exit apply_jobs(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs open = { 0 };
	_cleanup_vfio_jobs_ struct vfio_jobs jobs = { 0 };
	int r = journal_open(ctx->dirfd, "vfio", !ctx->dry_run, &journal);

	if (r == 0)
		r = jobs_from_journal(&journal, &open);
	if (r == 0)
		r = make_jobs(ctx, claim, &open, &jobs);
	if (r < 0) {
		helper_say(ctx, "cannot keep the journal in /run/usher/%s: %s: see df /run",
			   ctx->claim.uuid, strerror(-r));
		return HELPER_FAILED;
	}
	return jobs.nr ? hand_over(ctx, &journal, &jobs) : HELPER_DONE;
}

enum helper_exit vfio_apply(struct helper_ctx *ctx)
{
	_cleanup_vfio_claim_ struct vfio_claim claim = { 0 };
	enum helper_exit r = vfio_claim_load(ctx, &claim);

	if (r != HELPER_DONE)
		return r;
	if (vfio_look(ctx, &claim, false) != 0)
		return HELPER_FAILED;
	if (claim.nr == 0)
		return HELPER_DONE;
	if (load_modules(ctx, &claim) < 0)
		return HELPER_FAILED;
	r = HELPER_FAILED;
	if (render_rules(ctx, &claim) == 0) {
		keyboards_say(ctx, &claim);
		r = apply_jobs(ctx, &claim);
	}
	/* Also where it has not come to the devices */
	return r != HELPER_DONE && render_return(ctx) != 0 ? HELPER_DIRTY : r;
}
