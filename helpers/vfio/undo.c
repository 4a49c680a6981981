/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/undo.c - give back what the journal says, to the drivers it had */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>

#include "vfio.h"

/* While somebody holds a device: how often we look whether only the file was closed */
#define LOOK_AGAIN_MS 50

/*
 * Who keeps us from giving the device back now: a worker of an earlier run that has not come back
 * from the kernel, or a process that still has the device through vfio. Unbinding it from vfio-pci
 * would sleep in the kernel until that one lets go.
 *
 * Return: the pid > 0 with the job's text filled, 0 for nobody
 * ABI: vfio_unregister_group_dev() waits for the last user; Linux 6.12
 */
static pid_t blocker(const struct helper_ctx *ctx, struct vfio_job *job)
{
	char who[64], why[160];
	struct mark mark;
	pid_t pid;

	if (mark_find(ctx->rootfd, job->name, &mark) > 0 &&
	    strcmp(mark.step, MARK_RETURNED) != 0) {
		mark_describe(&mark, why, sizeof(why));
		(void)snprintf(job->text, sizeof(job->text),
			       "%s cannot be given back: %s: it does so itself when the kernel "
			       "returns; if it never does, only a reboot of the host frees it",
			       job->name, why);
		return mark.worker.pid;
	}
	pid = vfio_user(ctx->rootfd, &job->addr);
	if (pid <= 0)
		return 0;
	process_describe(ctx->rootfd, pid, who, sizeof(who));
	(void)snprintf(job->text, sizeof(job->text),
		       "%s cannot be given back: %s still uses it: end that process, then run "
		       "usher recover",
		       job->name, who);
	return pid;
}

/*
 * Sort out who can go now: a blocked job is JOB_LEFT for this round. A mark that blocks nobody is
 * that of a dead worker, or of one that waits for the lock we hold: we take over.
 *
 * Return: a pid to wait for, 0 when none is blocked
 */
static pid_t sort_out(const struct helper_ctx *ctx, struct vfio_jobs *jobs)
{
	pid_t waits_for = 0;

	for (size_t i = 0; i < jobs->nr; i++) {
		struct vfio_job *job = &jobs->jobs[i];
		pid_t pid;

		if (job->state != JOB_WAITING && job->state != JOB_LEFT)
			continue;
		pid = blocker(ctx, job);
		job->state = pid ? JOB_LEFT : JOB_WAITING;
		if (pid) {
			waits_for = pid;
			continue;
		}
		job->text[0] = '\0';
		if (!ctx->dry_run)
			(void)mark_remove(ctx->dirfd, job->name);
	}
	return waits_for;
}

/* Until the process has ended, or it is time to look again */
static void wait_for(pid_t pid, long long deadline)
{
	int pidfd = pidfd_open(pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int left = deadline_left(deadline);

	(void)poll(&fd, 1, left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS);
	cleanup_close(&pidfd);
}

static size_t count_left(const struct helper_ctx *ctx, const struct vfio_jobs *jobs)
{
	size_t nr = 0;

	for (size_t i = 0; i < jobs->nr; i++) {
		const struct vfio_job *job = &jobs->jobs[i];

		nr += job->state != JOB_DONE;
		/* The other states have said their text */
		if (job->state == JOB_LEFT)
			helper_say(ctx, "%s", *job->text ? job->text :
							   "there was no time to give all back: "
							   "run usher recover");
	}
	return nr;
}

size_t undo_jobs(const struct helper_ctx *ctx, struct journal *journal, struct vfio_jobs *jobs)
{
	for (;;) {
		pid_t pid = sort_out(ctx, jobs);

		crew_run(ctx, journal, jobs, &verb_give_back, ctx->deadline);
		if (!pid || ctx->dry_run || deadline_left(ctx->deadline) == 0)
			return count_left(ctx, jobs);
		wait_for(pid, ctx->deadline);
	}
}

enum helper_exit vfio_undo(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs jobs = { 0 };
	int r = journal_open(ctx->dirfd, "vfio", !ctx->dry_run, &journal);

	if (r == 0)
		r = jobs_from_journal(&journal, &jobs);
	if (r < 0) {
		helper_say(ctx,
			   "cannot read run/usher/%s/vfio.journal: %s: what had been handed over "
			   "is left as it is; look at lspci -k",
			   ctx->claim.uuid, strerror(-r));
		return HELPER_DIRTY;
	}
	if (undo_jobs(ctx, &journal, &jobs) > 0)
		return HELPER_DIRTY;
	if (!ctx->dry_run && journal_remove(ctx->dirfd, "vfio") < 0)
		helper_say(ctx, "all is back, but run/usher/%s/vfio.journal cannot be removed",
			   ctx->claim.uuid);
	return HELPER_DONE;
}
