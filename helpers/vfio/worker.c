/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/worker.c - the process that writes to the kernel, and can be left behind in it */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/log.h"
#include "../../lib/pcidev.h"
#include "../../lib/state.h"
#include "vfio.h"

/* To tell the crew of a wait that was in vain, and of what is taken back */
#define REPORT_MS 200

/* The crew says nothing before it is asked: anything to see on the socket is its end */
static bool given_up(const struct worker *worker)
{
	struct pollfd fd = { .fd = worker->peer, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

/* Return: 0 go on, -EIO the crew could not do its part, -ECANCELED nobody is there any more */
static int ask(struct worker *worker, const struct worker_msg *msg)
{
	int result;

	if (worker->peer < 0)
		return 0;
	if (send(worker->peer, msg, sizeof(*msg), MSG_NOSIGNAL) != sizeof(*msg))
		return -ECANCELED;
	if (recv(worker->peer, &result, sizeof(result), 0) != sizeof(result))
		return -ECANCELED;
	return result < 0 ? -EIO : 0;
}

static int set_mark(struct worker *worker, const struct vfio_job *job, const char *step)
{
	(void)snprintf(worker->mark.step, sizeof(worker->mark.step), "%s", step);
	worker->mark.since_ms = now_ms();
	if (worker->ctx->dry_run)
		return 0;
	return mark_write(worker->ctx->dirfd, job->name, &worker->mark);
}

int worker_begin(struct worker *worker, const struct vfio_job *job)
{
	int r = pcidev_driver(worker->ctx->rootfd, &job->addr, worker->mark.driver,
			      sizeof(worker->mark.driver));

	return r < 0 ? r : set_mark(worker, job, MARK_LOOK);
}

int worker_begin_said(struct worker *worker, struct vfio_job *job)
{
	int r = worker_begin(worker, job);

	if (r < 0)
		return job_fail(job, r, "cannot begin with %s: %s: see lspci -vs %s, and df /run",
				job->name, strerror(-r), job->name);
	return 0;
}

int worker_left(const struct worker *worker, int alone_ms)
{
	return worker->peer < 0 ? alone_ms : deadline_left(worker->deadline - REPORT_MS);
}

int worker_announce(struct worker *worker, struct vfio_job *job)
{
	struct worker_msg msg = { .kind = MSG_ANNOUNCE };

	memcpy(msg.name, job->name, sizeof(msg.name));
	memcpy(msg.driver, job->old_driver, sizeof(msg.driver));
	memcpy(msg.override, job->old_override, sizeof(msg.override));
	memcpy(msg.saved, job->saved, sizeof(msg.saved));
	return ask(worker, &msg);
}

int worker_mark(struct worker *worker, const struct vfio_job *job, const char *step)
{
	if (worker->peer >= 0 && worker->verb->stops && given_up(worker))
		return -ECANCELED;
	/* Without it the mark only says less: the device is ours since worker_begin() */
	(void)set_mark(worker, job, step);
	return 0;
}

int worker_mark_named(struct worker *worker, const struct vfio_job *job, const char *step,
		      const char *name)
{
	char named[sizeof(worker->mark.step)];

	(void)snprintf(named, sizeof(named), "%s:%s", step, name);
	return worker_mark(worker, job, named);
}

int worker_step(struct worker *worker, struct vfio_job *job, const char *step, const char *path,
		const char *val)
{
	int r = worker_mark(worker, job, step);

	return r < 0 ? r : helper_write(worker->ctx, path, val);
}

int job_fail(struct vfio_job *job, int error, const char *fmt, ...)
{
	va_list args;

	if (error == -ECANCELED)
		return error;
	va_start(args, fmt);
	(void)vsnprintf(job->text, sizeof(job->text), fmt, args);
	va_end(args);
	return error;
}

/* Return: as struct vfio_verb */
static int act(struct worker *worker, struct vfio_job *job)
{
	int r;

	if (worker->verb->ends)
		saved_meanwhile(worker, job);
	r = worker->verb->act(worker, job);
	family_release(worker);
	if (r == 0 && worker->verb == &verb_bind && !worker->ctx->dry_run)
		saved_handed(worker, job);
	return r;
}

/* Return: 0, -ECANCELED when nobody takes the result */
static int report(struct worker *worker, const struct vfio_job *job, int result)
{
	struct worker_msg msg = { .kind = MSG_END, .result = result };

	memcpy(msg.name, job->name, sizeof(msg.name));
	memcpy(msg.saved, job->saved, sizeof(msg.saved));
	memcpy(msg.text, job->text, sizeof(msg.text));
	return ask(worker, &msg) == -ECANCELED ? -ECANCELED : 0;
}

/* --- Given up: give back and finish alone ------------------------------------------------- */

/* Return: 1 when the journal still has the device as handed over, 0 not, else -errno */
static int still_open(const struct worker *worker, const struct vfio_job *job)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs open = { 0 };
	int r = journal_open(worker->ctx->dirfd, "vfio", false, &journal);

	if (r == 0)
		r = jobs_from_journal(&journal, &open);
	return r < 0 ? r : jobs_find(&open, job->name) != NULL;
}

static bool mark_is_mine(const struct worker *worker, const struct vfio_job *job)
{
	struct mark mark;

	return mark_read(worker->ctx->dirfd, job->name, &mark) == 0 &&
	       mark.worker.pid == worker->mark.worker.pid;
}

/* Under the lock. The journal goes with its last open record. */
static int note_undone(const struct worker *worker, const struct vfio_job *job)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs open = { 0 };
	int r = journal_open(worker->ctx->dirfd, "vfio", true, &journal);

	if (r == 0)
		r = job_undone(&journal, job);
	if (r == 0)
		r = jobs_from_journal(&journal, &open);
	if (r == 0 && open.nr == 0)
		r = journal_remove(worker->ctx->dirfd, "vfio");
	return r;
}

static void finish(struct worker *worker, struct vfio_job *job, int result)
{
	const struct helper_ctx *ctx = worker->ctx;

	job->state = result < 0 ? JOB_FAILED : JOB_DONE;
	if (result == 0)
		result = note_undone(worker, job);
	(void)mark_remove(ctx->dirfd, job->name);
	if (result == 0)
		log_line(ctx->rootfd, LOG_NOTICE, "%s: %s has been given back at last%s%s",
			 ctx->claim.guest, job->name, *job->text ? ": " : "", job->text);
	else
		log_line(ctx->rootfd, LOG_ERR,
			 "%s: %s is not given back: %s: usher recover tries again",
			 ctx->claim.guest, job->name, *job->text ? job->text : strerror(-result));
}

/* Only the journal of the system has ears for it by now */
static void say_left(const struct worker *worker, const struct vfio_job *job, int error)
{
	log_line(worker->ctx->rootfd, LOG_ERR,
		 "%s: %s is left as it is: %s: see df /run, usher recover tries again",
		 worker->ctx->claim.guest, job->name, strerror(-error));
}

/* Who waits for us, or holds the lock we wait for, may take over: also what we have looked at only */
static void mark_returned(struct worker *worker, const struct vfio_jobs *jobs, size_t unit)
{
	for (size_t i = 0; i < jobs->nr; i++)
		if (jobs->jobs[i].unit == unit && mark_is_mine(worker, &jobs->jobs[i]))
			(void)set_mark(worker, &jobs->jobs[i], MARK_RETURNED);
}

/* Under the lock: the next device of the unit that nobody else sees to; it is marked as ours */
static struct vfio_job *take_next(struct worker *worker, struct vfio_jobs *jobs, size_t unit,
				  const struct vfio_job *finished)
{
	for (size_t i = 0; i < jobs->nr; i++) {
		struct vfio_job *job = &jobs->jobs[i];
		struct mark mark;
		int r;

		if (job->unit != unit || job == finished || job->state == JOB_FAILED)
			continue;
		r = still_open(worker, job);
		if (r < 0)
			say_left(worker, job, r);
		if (r <= 0)
			continue;
		/* Unless it is ours, from when we looked at it */
		if (mark_find(worker->ctx->rootfd, job->name, &mark) != 0 &&
		    !mark_is_mine(worker, job))
			continue;
		job->journaled = true;
		job->state = JOB_FAILED;
		r = worker_begin(worker, job);
		if (r == 0)
			return job;
		say_left(worker, job, r);
	}
	return NULL;
}

/*
 * finish_alone() - nobody waits any more: see vfio.h, "How it works"
 *
 * The mark is what keeps others off while the kernel works; the lock is held for state files only,
 * so that a driver that hangs a second time holds nobody up.
 */
static void finish_alone(struct worker *worker, struct vfio_jobs *jobs, size_t unit,
			 struct vfio_job *job)
{
	const struct vfio_verb *verb = worker->verb;
	int dirfd = worker->ctx->dirfd;

	/* The crew had taken the result, and was killed before it could say so */
	if (!mark_is_mine(worker, job))
		return;
	worker->verb = verb->ends ? verb : &verb_give_back;
	worker->peer = -1;
	while (job) {
		_cleanup_close_ int lock = -1;
		int r = 0;

		/* Without old values nothing has been written yet */
		if (job->journaled && (!verb->ends || job->state != JOB_DONE))
			r = act(worker, job);
		mark_returned(worker, jobs, unit);
		lock = state_lock(dirfd, VFIO_LOCK, INT_MAX);
		if (lock < 0)
			return say_left(worker, job, lock);
		if (!mark_is_mine(worker, job))
			return;
		finish(worker, job, r);
		job = take_next(worker, jobs, unit, job);
	}
	helper_recover(worker->ctx);
}

/* Return: true to go on with the next */
static bool job_ended(struct worker *worker, struct vfio_jobs *jobs, size_t unit,
		      struct vfio_job *job, int result)
{
	job->state = result == 0 ? JOB_DONE : JOB_FAILED;
	if (result < 0 && !*job->text)
		(void)job_fail(job, result, "cannot go on with %s: %s: see dmesg, and free -m",
			       job->name, strerror(-result));
	if (result == -ECANCELED || report(worker, job, result) < 0) {
		finish_alone(worker, jobs, unit, job);
		return false;
	}
	return result == 0 || !worker->verb->stops;
}

static bool is_due(const struct vfio_job *job, size_t unit)
{
	return job->unit == unit && job->state == JOB_WAITING;
}

/* Return: true when all of the unit may be begun */
static bool look_ahead(struct worker *worker, struct vfio_jobs *jobs, size_t unit)
{
	for (size_t i = 0; worker->verb->look && i < jobs->nr; i++) {
		struct vfio_job *job = &jobs->jobs[i];
		int r = is_due(job, unit) ? worker->verb->look(worker, jobs, job) : 0;

		if (r < 0)
			return job_ended(worker, jobs, unit, job, r);
	}
	return true;
}

void worker_run(struct worker *worker, struct vfio_jobs *jobs, size_t unit)
{
	if (!look_ahead(worker, jobs, unit))
		return;
	for (size_t i = 0; i < jobs->nr; i++) {
		struct vfio_job *job = &jobs->jobs[i];

		if (is_due(job, unit) && !job_ended(worker, jobs, unit, job, act(worker, job)))
			return;
	}
}
