/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/threads.c - the scheduling class of QEMU's threads that are no vCPUs */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/sched.h"
#include "../../lib/units.h"
#include "cpuset.h"

/*
 * How it works
 *
 * A class is a thread's own and ends with it. Threads that QEMU makes later have that of the
 * thread that made them. The journal has, as a pid alone is reused:
 *
 *	sched "TID STARTTIME" OLD NEW
 */

static int announce(struct cpuset_job *job, const struct process *thread, const char *old,
		    const char *new)
{
	char object[64];
	int r = path_format(object, sizeof(object), "%d %llu", (int)thread->pid,
			    thread->start_time);

	return r < 0 ? r : job_announce_old(job, "sched", object, old, new);
}

static bool same(const struct sched *a, const struct sched *b)
{
	return a->policy == b->policy && a->nice == b->nice && a->priority == b->priority;
}

/* Return: 0, also when it has ended, else -errno with why */
static int set_thread(struct cpuset_job *job, pid_t tid, const struct sched *want)
{
	char old[SCHED_TEXT_MAX], new[SCHED_TEXT_MAX];
	struct process thread;
	struct sched now = { 0 };
	int r = process_identify(job->ctx->rootfd, tid, &thread);

	if (r == 0)
		r = sched_of(tid, &now);
	if (r < 0 || same(&now, want))
		return r == -ESRCH ? 0 : r;
	r = sched_format(&now, old);
	if (r == 0)
		r = sched_format(want, new);
	if (r == 0)
		r = announce(job, &thread, old, new);
	if (r < 0 || helper_would(job->ctx, "give thread %d the class %s", (int)tid, new))
		return r < 0 ? r : 0;
	r = sched_set(tid, want);
	return r < 0 && r != -ESRCH ? job_why(job, r, "thread %d cannot have the class %s: %s",
					      (int)tid, new, strerror(-r))
				    : 0;
}

static int set_group(struct cpuset_job *job, const struct guest_groups *groups, const char *name,
		     const struct sched *want)
{
	_cleanup_strlist_ struct strlist tids = { 0 };
	char group[PATH_MAX], text[ATTR_MAX];
	int r = path_format(group, sizeof(group), "%s/%s", groups->base, name);

	if (r == 0)
		r = groups_read(job, group, "cgroup.threads", text, sizeof(text));
	if (r >= 0)
		r = text_split(text, "\n", &tids);
	for (size_t i = 0; r == 0 && i < tids.nr; i++) {
		unsigned int tid;

		if (parse_uint(tids.names[i], 10, INT_MAX, &tid) == 0)
			r = set_thread(job, (pid_t)tid, want);
	}
	/* It may have gone */
	return r == -ENOENT ? 0 : r;
}

/* Which threads there will be is QEMU's to say */
static int foretell(const struct cpuset_job *job, const struct guest_groups *groups,
		    const struct sched *want)
{
	char new[SCHED_TEXT_MAX];
	int r = sched_format(want, new);

	if (r == 0)
		(void)helper_would(job->ctx,
				   "give each thread in /%s/%s/{emulator,iothread*} the class %s",
				   job->mount, groups->base, new);
	return r;
}

static int set_groups(struct cpuset_job *job, const struct sched *want)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	struct guest_groups groups;
	char path[PATH_MAX];
	int r = groups_mount(job);

	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, &groups);
	if (r == 0 && job->ahead)
		return foretell(job, &groups, want);
	if (r == 0)
		r = path_format(path, sizeof(path), "%s/%s", job->mount, groups.base);
	if (r == 0)
		r = attr_list(job->ctx->rootfd, path, &names);
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (groups_is_side(names.names[i]))
			r = set_group(job, &groups, names.names[i], want);
	return r;
}

void threads_take(struct cpuset_job *job)
{
	const char *text = inidoc_get(&job->ctx->claim.doc, "cpuset", "emulator_sched");
	struct sched want;
	int r;

	/* A tree's threads are not those of the host we run on */
	if (!text || (!job->ahead && !hierarchy_is_ours(job->ctx)))
		return;
	job->why[0] = '\0';
	r = sched_parse(text, &want);
	if (r == 0)
		r = set_groups(job, &want);
	if (r < 0)
		helper_say(job->ctx, "emulator_sched = %s has no effect: %s", text,
			   *job->why ? job->why : strerror(-r));
}

/* "TID STARTTIME". Return: 0, -EBADMSG */
static int parse_thread(const char *object, struct process *ret)
{
	const char *blank = strchr(object, ' ');
	char digits[16];
	unsigned int tid;

	if (!blank ||
	    path_format(digits, sizeof(digits), "%.*s", (int)(blank - object), object) < 0 ||
	    parse_uint(digits, 10, INT_MAX, &tid) < 0 ||
	    parse_ull(blank + 1, 10, ULLONG_MAX, &ret->start_time) < 0)
		return -EBADMSG;
	ret->pid = (pid_t)tid;
	return 0;
}

int sched_undo(struct cpuset_job *job, const char *object)
{
	const struct journal_record *record = journal_find(&job->journal, "sched", object);
	struct sched old, new, now;
	struct process thread;
	int r = parse_thread(object, &thread);

	if (!record || r < 0 || sched_parse(record->old_value, &old) < 0 ||
	    sched_parse(record->new_value, &new) < 0)
		return job_why(job, -EBADMSG, "the journal's thread '%s' is none", object);
	if (!hierarchy_is_ours(job->ctx) || process_alive(job->ctx->rootfd, &thread) <= 0 ||
	    sched_of(thread.pid, &now) < 0)
		return 0;
	/* Somebody else's by now, or never set */
	if (!same(&now, &new) || helper_would(job->ctx, "give thread %d the class %s",
					      (int)thread.pid, record->old_value))
		return 0;
	r = sched_set(thread.pid, &old);
	return r < 0 && r != -ESRCH ? job_why(job, r, "thread %d cannot have its class back: %s",
					      (int)thread.pid, strerror(-r))
				    : 0;
}
