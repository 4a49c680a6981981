/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/undo.c - give back what the journal says, to the drivers it had */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "../../lib/pcidev.h"
#include "../../lib/process.h"
#include "../../lib/state.h"
#include "vfio.h"

/* While somebody holds a device: how often we look whether only the file was closed */
#define LOOK_AGAIN_MS 50

/*
 * A worker whose helper was killed may be at it still. One that was given up has had its time,
 * which the policy sets: a start that is refused in time must not wait for it here once more.
 */
#define WORKER_PATIENCE_MS   5000
#define WORKER_PATIENCE_PART 2

/* What keeps devices from being given back now */
struct blocker {
	pid_t pid;	 /* 0 when nothing does */
	long long until; /* how long it is worth waiting for */
};

static int worker_patience_ms(const struct helper_ctx *ctx)
{
	int ms = claim_int(&ctx->claim, "vfio", "timeout_ms", ctx->helper->apply_timeout_ms) /
		 WORKER_PATIENCE_PART;

	return ms < WORKER_PATIENCE_MS ? ms : WORKER_PATIENCE_MS;
}

/* As mark_find(), to which a claim that cannot be read is another guest's; this one is ours */
static int find_worker(const struct helper_ctx *ctx, const struct vfio_job *job, struct mark *ret)
{
	struct mark own;
	int r = mark_find(ctx->rootfd, job->name, ret);

	if (r != 0)
		return r;
	r = mark_read(ctx->dirfd, job->name, &own);
	if (r == 0)
		r = process_alive(ctx->rootfd, &own.worker);
	if (r > 0)
		*ret = own;
	/* Nor is one ours that is no state of ours */
	return r == -ENOENT || (r < 0 && state_cure(r, NULL)) ? 0 : r;
}

/* A worker of an earlier run that has not come back from the kernel */
static struct blocker blocked_by_worker(const struct helper_ctx *ctx, struct vfio_job *job)
{
	struct mark mark;
	char why[160];
	int r = find_worker(ctx, job, &mark);

	/* A second one in the same driver could be left behind there, too */
	if (r < 0) {
		(void)snprintf(job->text, sizeof(job->text),
			       "%s cannot be given back: whether a process is at work on it cannot "
			       "be read in /run/usher: %s: run usher recover",
			       job->name, strerror(-r));
		return (struct blocker){ getpid(), 0 };
	}
	if (r == 0 || strcmp(mark.step, MARK_RETURNED) == 0)
		return (struct blocker){ 0 };
	mark_describe(&mark, why, sizeof(why));
	(void)snprintf(job->text, sizeof(job->text),
		       "%s cannot be given back: %s: it does so itself when the kernel returns; if "
		       "it never does, only a reboot of the host frees it",
		       job->name, why);
	return (struct blocker){ mark.worker.pid, mark.since_ms + worker_patience_ms(ctx) };
}

/* Of a dry run the guest's own QEMU is no obstacle: it tells what is done once that one is gone */
static pid_t user_in_the_way(const struct helper_ctx *ctx, const struct strlist *nodes)
{
	pid_t pid = nodes_user(ctx->rootfd, nodes);

	if (pid <= 0 || !ctx->dry_run || process_find_qemu(ctx->rootfd, ctx->claim.uuid) != pid)
		return pid;
	return process_find_open_after(ctx->rootfd, (const char *const *)nodes->names, nodes->nr,
				       pid);
}

/*
 * A process that still has the device through vfio, as QEMU may at `release`. Unbinding it from
 * vfio-pci would sleep in the kernel until that one lets go.
 *
 * ABI: vfio_unregister_group_dev() waits for the last user; Linux 6.12
 */
static struct blocker blocked_by_user(const struct helper_ctx *ctx, struct vfio_job *job)
{
	_cleanup_strlist_ struct strlist nodes = { 0 };
	char who[64];
	pid_t pid;

	if (pcidev_vfio_nodes(ctx->rootfd, &job->addr, &nodes) < 0)
		return (struct blocker){ 0 };
	pid = user_in_the_way(ctx, &nodes);
	if (pid <= 0)
		return (struct blocker){ 0 };
	process_describe(ctx->rootfd, pid, who, sizeof(who));
	(void)snprintf(job->text, sizeof(job->text),
		       "%s cannot be given back: %s still uses it: end that process, then run "
		       "usher recover",
		       job->name, who);
	return (struct blocker){ pid, ctx->deadline };
}

/*
 * A mark that blocks nobody is that of a dead worker, or of one that waits for the lock we hold: we
 * take over. For some devices the mark is all there is to be seen to.
 */
static void unblocked(const struct helper_ctx *ctx, struct vfio_job *job)
{
	job->text[0] = '\0';
	job->state = job->journaled ? JOB_WAITING : JOB_DONE;
	if (!ctx->dry_run)
		(void)mark_remove(ctx->dirfd, job->name);
}

/* One go through the processes for all devices: as a rule it finds nobody */
static bool any_user(const struct helper_ctx *ctx, const struct vfio_jobs *jobs)
{
	_cleanup_strlist_ struct strlist nodes = { 0 };

	for (size_t i = 0; i < jobs->nr; i++)
		if (pcidev_vfio_nodes(ctx->rootfd, &jobs->jobs[i].addr, &nodes) < 0)
			return true;
	return nodes_user(ctx->rootfd, &nodes) != 0;
}

/*
 * A blocked job is JOB_LEFT for this round.
 *
 * Return: who is worth waiting for longest
 */
static struct blocker sort_out(const struct helper_ctx *ctx, struct vfio_jobs *jobs)
{
	bool used = any_user(ctx, jobs);
	struct blocker longest = { 0 };

	for (size_t i = 0; i < jobs->nr; i++) {
		struct vfio_job *job = &jobs->jobs[i];
		struct blocker blocker;

		if (job->state != JOB_WAITING && job->state != JOB_LEFT)
			continue;
		blocker = blocked_by_worker(ctx, job);
		if (!blocker.pid && used)
			blocker = blocked_by_user(ctx, job);
		if (!blocker.pid) {
			unblocked(ctx, job);
			continue;
		}
		job->state = JOB_LEFT;
		if (!longest.pid || blocker.until > longest.until)
			longest = blocker;
	}
	return longest;
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
			helper_say(ctx, "%s",
				   *job->text ? job->text
					      : "there was no time to give all back: "
						"run usher recover");
	}
	return nr;
}

size_t undo_jobs(const struct helper_ctx *ctx, struct journal *journal, struct vfio_jobs *jobs,
		 const struct vfio_verb *verb)
{
	for (;;) {
		struct blocker blocker = sort_out(ctx, jobs);
		long long until = blocker.until < ctx->deadline ? blocker.until : ctx->deadline;

		crew_run(ctx, journal, jobs, verb, ctx->deadline);
		if (!blocker.pid || ctx->dry_run || deadline_left(until) == 0)
			return count_left(ctx, jobs);
		wait_for(blocker.pid, until);
	}
}

/* A worker may hang before the journal knows of its device: the claim cannot go then either */
static int add_marked(const struct helper_ctx *ctx, struct vfio_jobs *jobs)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = mark_devices(ctx->dirfd, &names);

	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		struct pciaddr addr;

		if (jobs_find(jobs, names.names[i]) || pciaddr_parse(names.names[i], &addr) < 0)
			continue;
		if (!jobs_add(jobs, &addr))
			r = -ENOMEM;
	}
	return r;
}

/*
 * keep_act() - leave with the vfio driver what the policy wants left there
 *
 * Only what has come there whole: a device on no driver, or on another, goes home as usual.
 *
 * Return: as struct vfio_verb
 */
static int keep_act(struct worker *worker, struct vfio_job *job)
{
	int r = worker_begin(worker, job);

	if (r < 0 || strcmp(worker->mark.driver, job->target) != 0)
		return verb_give_back.act(worker, job);
	(void)helper_would(worker->ctx, "leave %s with %s", job->name, job->target);
	r = family_recall(worker, job);
	if (r == 0)
		r = saved_keep(worker, job);
	return r < 0 ? r : family_settle(worker, job, false);
}

const struct vfio_verb verb_keep = { .act = keep_act, .ends = true };

/* A start that has failed leaves the host as it was, whatever is to be after the guest */
static const struct vfio_verb *verb_of(const struct helper_ctx *ctx)
{
	const char *give_back = inidoc_get(&ctx->claim.doc, "vfio", "give_back") ?: "host";

	return strcmp(give_back, "vfio") == 0 && claim_has_run(&ctx->claim) ? &verb_keep
									    : &verb_give_back;
}

enum helper_exit vfio_undo(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs jobs = { 0 };
	bool rules_left = render_return(ctx) != 0;
	int r = journal_open(ctx->dirfd, "vfio", !ctx->dry_run, &journal);

	if (r == 0)
		r = jobs_from_journal(&journal, &jobs);
	if (r == 0)
		r = add_marked(ctx, &jobs);
	if (r < 0) {
		helper_say(ctx,
			   "cannot read /run/usher/%s/vfio.journal: %s: what had been handed over "
			   "is left as it is; %s",
			   ctx->claim.uuid, strerror(-r), state_cure(r, "look at lspci -k"));
		return HELPER_DIRTY;
	}
	if (undo_jobs(ctx, &journal, &jobs, verb_of(ctx)) > 0)
		return HELPER_DIRTY;
	r = ctx->dry_run ? 0 : journal_remove(ctx->dirfd, "vfio");
	if (r < 0)
		helper_say(ctx,
			   "all is back, but /run/usher/%s/vfio.journal cannot be removed: %s: see "
			   "df /run",
			   ctx->claim.uuid, strerror(-r));
	return rules_left ? HELPER_DIRTY : HELPER_DONE;
}
