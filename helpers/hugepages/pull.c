/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/pull.c - what a lever asks of the kernel, which may never answer */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/state.h"
#include "hugepages.h"

/*
 * How it works
 *
 * Compaction, reclaim, dropped caches and a move of memory may wait for a page that is being
 * written to disk, or for a file system: on a server that is dead, for ever, and no signal ends
 * that. So a child does it, which holds nothing of ours, for half of the time that is left at most,
 * and no longer than the turn lasts; then it is left behind, and the guest has to do without.
 *
 * Of those that hang there is one, however many guests are started: the child has a file open that
 * nobody has locked as long as all goes well, for guests on several nodes may do this side by side.
 * When it is late, we lock that file: the lock is the child's, too, and ends with it.
 * Source: Linux 6.12, mm/compaction.c compact_node() and mm/mempolicy.c migrate_to_node(),
 * MIGRATE_SYNC; mm/migrate.c migrate_folio_unmap(), folio_wait_writeback()
 */

#define PULL_LOCK "hugepages-pull-%s.lock"

/* A moment: others only look */
#define LOOK_MS 200

/* Who was only slow is gone by then */
#define GONE_MS 1000

struct pull {
	struct aside aside;
	const char *path, *value; /* what is written */
	pid_t pid;		  /* whose memory is moved */
	struct cpulist from, to;
	struct growth *growth; /* that waits for it */
};

void growth_end(struct growth *growth)
{
	strlist_free(&growth->stuck);
}

/* Once for each: it is tried again and again */
static void stuck_say(struct growth *growth, const char *what, const struct aside *aside)
{
	const char *slash = strchr(what, '/') ? "/" : "";

	if (strlist_has(&growth->stuck, what) || strlist_add(&growth->stuck, what) < 0)
		return;
	if (aside->busy)
		helper_say(growth->ctx,
			   "%s%s takes longer than there is time, and pages are got without it: "
			   "process %d is at work on it still, and ends by itself: raise the "
			   "timeout",
			   slash, what, (int)aside->pid);
	else if (aside->pid)
		helper_say(growth->ctx,
			   "%s%s does not return, and pages are got without it: process %d waits "
			   "in the kernel, as a rule for a disk or network file system that does "
			   "not answer: see cat /proc/%d/stack and journalctl -k, and have that "
			   "one answer again",
			   slash, what, (int)aside->pid, (int)aside->pid);
	else
		helper_say(growth->ctx,
			   "%s%s does not return since an earlier start, and pages are got "
			   "without it: see ps -C usher-hugepages -o pid,stat,wchan and "
			   "journalctl -k for what it waits for, and have that one answer again",
			   slash, what);
}

/* @what: "sys/devices/system/node/node0/compact", "migrate_pages" */
static void lock_name(const char *what, char *buf, size_t size)
{
	(void)snprintf(buf, size, PULL_LOCK, what);
	for (char *slash = buf; (slash = strchr(slash, '/'));)
		*slash = '-';
}

/* Return: 0 for one that was only slow, and has ended, -ETIMEDOUT. Takes @fd */
static int leave_behind(int dirfd, const char *lock, int fd)
{
	_cleanup_close_ int again = -1;

	(void)flock(fd, LOCK_EX | LOCK_NB);
	(void)close(fd);
	again = state_lock(dirfd, lock, GONE_MS);
	return again < 0 ? again : 0;
}

/* As any other that is short: turn.c */
static bool gives_way(void *shared)
{
	const struct pull *pull = shared;

	return turn_is_over(pull->growth);
}

static int pull_once(struct growth *growth, const char *what, int (*run)(int rootfd, void *shared),
		     struct pull *pull)
{
	_cleanup_close_ int dirfd = state_dir(growth->ctx->statefd, HOST_DIR, true), fd = -1;
	int r, ms = deadline_left(growth->deadline) / 2;
	char lock[NAME_MAX + 1];

	if (dirfd < 0)
		return dirfd;
	lock_name(what, lock, sizeof(lock));
	fd = state_lock(dirfd, lock, LOOK_MS);
	if (fd < 0)
		return fd;
	(void)flock(fd, LOCK_UN);
	pull->aside.keep = fd;
	pull->aside.gives_way = gives_way;
	pull->growth = growth;
	r = aside_run(growth->ctx->rootfd, run, pull, ms);
	return r == -ETIMEDOUT ? leave_behind(dirfd, lock, TAKE_FD(fd)) : r;
}

static int pull_aside(struct growth *growth, const char *what, int (*run)(int rootfd, void *shared),
		      const struct pull *question)
{
	struct pull *pull = aside_alloc(sizeof(*pull));
	int r;

	if (!pull)
		return -ENOMEM;
	*pull = *question;
	r = pull_once(growth, what, run, pull);
	if (r == -ETIMEDOUT)
		stuck_say(growth, what, &pull->aside);
	aside_free(pull, sizeof(*pull));
	return r;
}

static int write_one(int rootfd, void *shared)
{
	const struct pull *pull = shared;

	return attr_write(rootfd, pull->path, pull->value);
}

int pull_write(struct growth *growth, const char *path, const char *value)
{
	const struct pull pull = { .path = path, .value = value };

	if (growth->ctx->dry_run)
		return helper_write(growth->ctx, path, value);
	return pull_aside(growth, path, write_one, &pull);
}

static int move_one(int rootfd, void *shared)
{
	const struct pull *pull = shared;

	(void)rootfd;
	return mempolicy_move(pull->pid, &pull->from, &pull->to);
}

int pull_move(struct growth *growth, pid_t pid, const struct cpulist *from,
	      const struct cpulist *to)
{
	const struct pull pull = { .pid = pid, .from = *from, .to = *to };

	return pull_aside(growth, "migrate_pages", move_one, &pull);
}
