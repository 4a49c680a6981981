/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/turn.c - who may grow the pools of a node */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "../../lib/attr.h"
#include "../../lib/state.h"
#include "hugepages.h"

/*
 * How it works
 *
 * Of two guests that take pages from the same node, one gets all it needs, or is refused and gives
 * all back, before the other begins: taking by turns each could have a part, and both be refused.
 * Guests on different nodes do not meet, but for those whose pages are made by long writes
 * (longwrite.c): the kernel makes one of these after the other, on whichever nodes. One whose pages
 * lie ready waits for none. A lock for each node, and one for long writes, all of a guest's taken at
 * once or none: who waits holds up nobody else.
 *
 * One that is short of pages gives up for one that waits, so that this one has time left. When is for
 * their deadlines to say, which may be far from each other: who waits makes its own known when half of
 * its time is over, as long as an eighth is left, and who works gives up when it has itself had as long
 * as the other has left: since its last page, or since its turn began when at that pace it will not have
 * all by its own deadline. It is known by where a second file is locked, at the byte of that millisecond:
 * any number may wait, and of one that is killed nothing is left.
 * ABI: fcntl(2), "Open file description locks"
 */

#define TURN_LOCK     "hugepages-%s-%s.lock"
#define LONG	      "long"
#define GROW	      "grow"
#define WAIT	      "wait"
#define TURN_RETRY_MS 20

void turn_end(struct turn *turn)
{
	for (size_t i = 0; i < turn->nr; i++)
		state_unlock(&turn->fds[i]);
	free(turn->fds);
	*turn = (struct turn){ 0 };
}

/* What a turn is about */
struct scope {
	struct cpulist nodes;
	bool is_long;
};

/* A kernel without NUMA has node 0 */
static int scope_of(const struct helper_ctx *ctx, const struct needs *needs, struct scope *ret)
{
	int r = 0;

	*ret = (struct scope){ 0 };
	for (size_t i = 0; r == 0 && i < needs->nr; i++) {
		struct cpulist nodes = { 0 }, all = { 0 };

		ret->is_long |= long_write_is(ctx, needs->needs[i].size_kib);
		r = need_nodes(ctx->rootfd, &needs->needs[i], &nodes, &all);
		cpulist_union(&ret->nodes, &nodes);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	if (cpulist_empty(&ret->nodes))
		cpulist_add(&ret->nodes, 0);
	return 0;
}

/* @lock: state_lock() or state_lock_shared() */
typedef int lock_fn(int dirfd, const char *name, int timeout_ms);

static int lock_one(int dirfd, const char *what, const char *of, lock_fn *lock, struct turn *turn)
{
	char name[sizeof(TURN_LOCK) + 32];
	int fd;

	(void)snprintf(name, sizeof(name), TURN_LOCK, what, of);
	fd = lock(dirfd, name, 0);
	if (fd < 0)
		return fd;
	turn->fds[turn->nr++] = fd;
	return 0;
}

/* All, or none */
static int lock_all(int dirfd, const char *what, const struct scope *scope, lock_fn *lock,
		    struct turn *ret)
{
	int r = 0;

	ret->fds = calloc(cpulist_count(&scope->nodes) + 1, sizeof(*ret->fds));
	if (!ret->fds)
		return -ENOMEM;
	for (int node = cpulist_next(&scope->nodes, 0); r == 0 && node >= 0;
	     node = cpulist_next(&scope->nodes, (unsigned int)node + 1)) {
		char of[16];

		(void)snprintf(of, sizeof(of), "%d", node);
		r = lock_one(dirfd, what, of, lock, ret);
	}
	if (r == 0 && scope->is_long)
		r = lock_one(dirfd, what, LONG, lock, ret);
	if (r < 0)
		turn_end(ret);
	return r;
}

/* Known as one that waits until then, as long as @ret is held */
static int call(int dirfd, const struct scope *scope, long long deadline, struct turn *ret)
{
	struct flock place = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = deadline, .l_len = 1
	};
	int r = lock_all(dirfd, WAIT, scope, state_lock_shared, ret);

	for (size_t i = 0; r == 0 && i < ret->nr; i++)
		r = fcntl(ret->fds[i], F_OFD_SETLK, &place) < 0 ? -errno : 0;
	if (r < 0)
		turn_end(ret);
	return r;
}

/* With less time left than that no other is to give up for it */
static bool may_call(long long deadline, int time_ms)
{
	int left = deadline_left(deadline);

	return left <= time_ms / 2 && left > time_ms / 8;
}

int turn_take(const struct helper_ctx *ctx, const struct needs *needs, long long deadline,
	      struct turn *ret)
{
	const struct timespec pause = { .tv_nsec = TURN_RETRY_MS * 1000000L };
	_cleanup_(turn_end) struct turn waiting = { 0 };
	_cleanup_close_ int dirfd = -1;
	struct scope scope;
	int r = scope_of(ctx, needs, &scope), time_ms = deadline_left(deadline);

	if (r < 0 || ctx->dry_run)
		return r;
	dirfd = state_dir(ctx->statefd, HOST_DIR, true);
	if (dirfd < 0)
		return dirfd;
	r = lock_all(dirfd, GROW, &scope, state_lock, ret);
	while (r == -ETIMEDOUT && deadline_left(deadline) > 0) {
		bool calls = may_call(deadline, time_ms);

		if (!calls)
			turn_end(&waiting);
		/* What fails may not do so the next time */
		if (calls && waiting.nr == 0)
			(void)!call(dirfd, &scope, deadline, &waiting);
		(void)nanosleep(&pause, NULL);
		r = lock_all(dirfd, GROW, &scope, state_lock, ret);
	}
	return r;
}

/* Is there one, for any of this, that waits until @until or less long */
static bool somebody_waits(const struct helper_ctx *ctx, const struct scope *scope, long long until)
{
	_cleanup_(turn_end) struct turn looking = { 0 };
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, HOST_DIR, false);

	if (dirfd < 0 || lock_all(dirfd, WAIT, scope, state_lock_shared, &looking) < 0)
		return false;
	for (size_t i = 0; i < looking.nr; i++) {
		struct flock place = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = until };

		if (fcntl(looking.fds[i], F_OFD_GETLK, &place) == 0 && place.l_type != F_UNLCK)
			return true;
	}
	return false;
}

/* Will those that are missing be there too late, at the pace of the others: one may come any moment */
static bool comes_too_late(const struct growth *growth)
{
	unsigned long long took = (unsigned long long)(now_ms() - growth->first_asked);
	unsigned long long left = (unsigned long long)deadline_left(growth->deadline);
	unsigned long long missing = growth->shortage.missing;

	return growth->made && missing > 1 && (missing - 1) * took > (growth->made + 1) * left;
}

/*
 * Does somebody wait for this one's turn who has no more time left than has gone by since. Whoever has
 * none keeps nobody waiting
 */
static bool is_over(const struct growth *growth, long long since)
{
	const struct helper_ctx *ctx = growth->ctx;
	long long now = now_ms();
	struct scope scope;

	return growth->turn_began && !ctx->dry_run && scope_of(ctx, growth->needs, &scope) == 0 &&
	       somebody_waits(ctx, &scope, now + (now - since) + 1);
}

bool turn_is_over(struct growth *growth)
{
	bool late = comes_too_late(growth);
	long long since = late || !growth->last_came ? growth->turn_began : growth->last_came;

	/* Who has begun to give up does so, but for a page that comes meanwhile */
	growth->cut_short =
		(late || !growth->gained) && (growth->cut_short || is_over(growth, since));
	return growth->cut_short;
}
