/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/crew.c - a worker for each unit of devices, side by side, until the deadline */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/spawn.h"
#include "vfio.h"

/* One worker, seen from the crew */
struct hand {
	size_t unit;
	pid_t pid;
	int sock; /* -1 when it has ended, or was never started */
};

struct crew {
	const struct helper_ctx *ctx;
	struct journal *journal;
	struct vfio_jobs *jobs;
	const struct vfio_verb *verb;
	long long deadline;
	struct hand *hands;
	size_t nr;
	bool without_process; /* said already that none can be started */
};

static bool unit_waits(const struct vfio_jobs *jobs, size_t unit)
{
	for (size_t i = 0; i < jobs->nr; i++)
		if (jobs->jobs[i].unit == unit && jobs->jobs[i].state == JOB_WAITING)
			return true;
	return false;
}

/* The child's whole life */
static void hand_live(struct crew *crew, size_t unit, int sock)
{
	struct worker worker = {
		.ctx = crew->ctx,
		.verb = crew->verb,
		.jobs = crew->jobs,
		.peer = sock,
		.deadline = crew->deadline,
		.family_lock = -1,
	};

	if (process_identify(crew->ctx->rootfd, getpid(), &worker.mark.worker) < 0)
		worker.mark.worker.pid = getpid();
	worker_run(&worker, crew->jobs, unit);
	_exit(0);
}

static int hand_start(struct crew *crew, struct hand *hand)
{
	int keep[3], socks[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
		return -errno;
	keep[0] = crew->ctx->rootfd;
	keep[1] = crew->ctx->dirfd;
	keep[2] = socks[1];
	hand->pid = spawn_detached(keep, ARRAY_SIZE(keep));
	if (hand->pid == 0)
		hand_live(crew, hand->unit, socks[1]);
	(void)close(socks[1]);
	if (hand->pid < 0) {
		(void)close(socks[0]);
		return (int)hand->pid;
	}
	hand->sock = socks[0];
	return 0;
}

static void job_end(const struct crew *crew, struct vfio_job *job, enum job_state state,
		    const char *text)
{
	job->state = state;
	if (text != job->text)
		(void)snprintf(job->text, sizeof(job->text), "%s", text);
	if (*job->text)
		helper_say(crew->ctx, "%s", job->text);
}

/* A worker has read what the host had: into the journal, before it writes */
static int take_announcement(const struct crew *crew, struct vfio_job *job,
			     const struct worker_msg *msg)
{
	memcpy(job->old_driver, msg->driver, sizeof(job->old_driver));
	memcpy(job->old_override, msg->override, sizeof(job->old_override));
	memcpy(job->saved, msg->saved, sizeof(job->saved));
	job->journaled = true;
	return job_announce(crew->journal, job);
}

/* The jobs of a unit that have not been begun */
static void unit_end(const struct crew *crew, size_t unit, enum job_state state, const char *text)
{
	for (size_t i = 0; i < crew->jobs->nr; i++) {
		struct vfio_job *job = &crew->jobs->jobs[i];

		if (job->unit == unit && job->state == JOB_WAITING)
			job_end(crew, job, state, text);
	}
}

static int take_end(const struct crew *crew, struct vfio_job *job, const struct worker_msg *msg)
{
	int r = 0;

	if (msg->result == 0 && crew->verb->ends)
		r = job_undone(crew->journal, job);
	memcpy(job->saved, msg->saved, sizeof(job->saved));
	/* Without these an undo gives back what was there before the start */
	if (msg->result == 0 && crew->verb == &verb_bind && job->journaled)
		(void)(job_handed(crew->journal, job) < 0);
	job_end(crew, job, msg->result < 0 || r < 0 ? JOB_FAILED : JOB_DONE, msg->text);
	if (r < 0)
		helper_say(crew->ctx,
			   "%s is back, but /run/usher cannot be written: %s: see df /run",
			   job->name, strerror(-r));
	(void)mark_remove(crew->ctx->dirfd, job->name);
	if (msg->result < 0 && crew->verb->stops)
		unit_end(crew, job->unit, JOB_LEFT, "");
	return 0;
}

/* Return: 1 answered, 0 the worker has ended */
static int hand_serve(const struct crew *crew, struct hand *hand)
{
	struct worker_msg msg;
	struct vfio_job *job;
	int result;

	if (recv(hand->sock, &msg, sizeof(msg), 0) != sizeof(msg))
		return 0;
	job = jobs_find(crew->jobs, msg.name);
	if (!job)
		return 0;
	result = msg.kind == MSG_ANNOUNCE ? take_announcement(crew, job, &msg)
					  : take_end(crew, job, &msg);
	return send(hand->sock, &result, sizeof(result), MSG_NOSIGNAL) == sizeof(result);
}

static void hand_close(struct hand *hand)
{
	(void)close(hand->sock);
	hand->sock = -1;
	(void)waitpid(hand->pid, NULL, WNOHANG);
}

/* Mostly because it has done all; what it has not ended then was cut short by its death */
static void hand_ended(const struct crew *crew, struct hand *hand)
{
	hand_close(hand);
	for (size_t i = 0; i < crew->jobs->nr; i++) {
		struct vfio_job *job = &crew->jobs->jobs[i];
		char text[96];

		if (job->unit != hand->unit || job->state != JOB_WAITING)
			continue;
		(void)snprintf(text, sizeof(text),
			       "the process that had %s in hand was killed: see dmesg", job->name);
		job_end(crew, job, JOB_FAILED, text);
		(void)mark_remove(crew->ctx->dirfd, job->name);
	}
}

static void job_stuck(const struct crew *crew, struct vfio_job *job, const struct mark *mark)
{
	char why[160];

	mark_describe(mark, why, sizeof(why));
	(void)snprintf(job->text, sizeof(job->text),
		       "%s is stuck: %s: it is given back when the kernel returns; if it never "
		       "does, only a reboot of the host frees it",
		       job->name, why);
	job_end(crew, job, JOB_STUCK, job->text);
}

/* At the deadline. From here on the worker is on its own. */
static void hand_give_up(const struct crew *crew, struct hand *hand)
{
	hand_close(hand);
	for (size_t i = 0; i < crew->jobs->nr; i++) {
		struct vfio_job *job = &crew->jobs->jobs[i];
		struct mark mark;

		if (job->unit != hand->unit || job->state != JOB_WAITING)
			continue;
		if (mark_read(crew->ctx->dirfd, job->name, &mark) == 0 &&
		    mark.worker.pid == hand->pid)
			job_stuck(crew, job, &mark);
		else
			job_end(crew, job, JOB_LEFT, "");
	}
}

/* Return: false when no worker is left */
static bool crew_wait(const struct crew *crew, struct pollfd *fds)
{
	bool any = false;

	for (size_t i = 0; i < crew->nr; i++) {
		fds[i] = (struct pollfd){ .fd = crew->hands[i].sock, .events = POLLIN };
		any |= crew->hands[i].sock >= 0;
	}
	if (any)
		(void)poll(fds, crew->nr, deadline_left(crew->deadline));
	return any;
}

static void crew_serve(struct crew *crew, const struct pollfd *fds)
{
	bool late = deadline_left(crew->deadline) == 0;

	for (size_t i = 0; i < crew->nr; i++) {
		struct hand *hand = &crew->hands[i];

		if (hand->sock < 0)
			continue;
		if (fds[i].revents && !hand_serve(crew, hand))
			hand_ended(crew, hand);
		else if (!fds[i].revents && late)
			hand_give_up(crew, hand);
	}
}

/* Said once, for whatever it keeps from being done */
static void crew_cannot_start(struct crew *crew, size_t unit, int error)
{
	const char *text = "";
	char why[160];

	if (!crew->without_process) {
		(void)snprintf(
			why, sizeof(why),
			"no process can be started for the host's drivers: %s: see ulimit -u",
			strerror(-error));
		text = why;
	}
	crew->without_process = true;
	for (size_t i = 0; i < crew->jobs->nr; i++) {
		struct vfio_job *job = &crew->jobs->jobs[i];

		if (job->unit != unit || job->state != JOB_WAITING)
			continue;
		job_end(crew, job, JOB_FAILED, text);
		text = "";
	}
}

static void crew_start(struct crew *crew)
{
	int r;

	for (size_t unit = 0; unit < crew->jobs->nr; unit++) {
		struct hand *hand = &crew->hands[crew->nr];

		if (!unit_waits(crew->jobs, unit))
			continue;
		*hand = (struct hand){ .unit = unit, .sock = -1 };
		crew->nr++;
		r = hand_start(crew, hand);
		if (r < 0)
			crew_cannot_start(crew, unit, r);
	}
}

static void crew_dry(struct crew *crew)
{
	for (size_t unit = 0; unit < crew->jobs->nr; unit++) {
		struct worker worker = {
			.ctx = crew->ctx,
			.verb = crew->verb,
			.jobs = crew->jobs,
			.peer = -1,
			.family_lock = -1,
		};

		worker_run(&worker, crew->jobs, unit);
	}
	for (size_t i = 0; i < crew->jobs->nr; i++) {
		const struct vfio_job *job = &crew->jobs->jobs[i];

		/* What was not begun is the caller's to tell */
		if (job->state != JOB_LEFT && *job->text)
			helper_say(crew->ctx, "%s", job->text);
	}
}

void crew_run(const struct helper_ctx *ctx, struct journal *journal, struct vfio_jobs *jobs,
	      const struct vfio_verb *verb, long long deadline)
{
	_cleanup_free_ struct hand *hands = calloc(jobs->nr + 1, sizeof(*hands));
	_cleanup_free_ struct pollfd *fds = calloc(jobs->nr + 1, sizeof(*fds));
	struct crew crew = { .ctx = ctx,
			     .journal = journal,
			     .jobs = jobs,
			     .verb = verb,
			     .deadline = deadline,
			     .hands = hands };

	if (!hands || !fds) {
		helper_say(ctx, "there is no memory left on the host: nothing was touched");
		return;
	}
	jobs_group(ctx->rootfd, jobs);
	if (ctx->dry_run) {
		crew_dry(&crew);
		return;
	}
	crew_start(&crew);
	while (crew_wait(&crew, fds))
		crew_serve(&crew, fds);
}
