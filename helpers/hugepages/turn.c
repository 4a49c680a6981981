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
 * Guests on different nodes do not meet, and one whose pages lie ready waits for none. A lock for
 * each node, all of a guest's taken at once or none: who waits holds up nobody else.
 *
 * One that is short of pages gives up for one that waits, so that this one has time left. When is for
 * their deadlines to say, which may be far from each other: who waits makes its own known when half of
 * its time is over, as long as an eighth is left, and who works gives up when it has itself had as long
 * as the other has left: since its last page, or since its turn began when at that pace it will not have
 * all by its own deadline. It is known by where a second file is locked, at the byte of that millisecond:
 * any number may wait, and of one that is killed nothing is left.
 * ABI: fcntl(2), "Open file description locks"
 */

#define TURN_LOCK     "hugepages-%s-%d.lock"
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

/* A kernel without NUMA has node 0 */
static int nodes_of(int rootfd, const struct needs *needs, struct cpulist *ret)
{
	int r = 0;

	*ret = (struct cpulist){ 0 };
	for (size_t i = 0; r == 0 && i < needs->nr; i++) {
		struct cpulist nodes = { 0 }, all = { 0 };

		r = need_nodes(rootfd, &needs->needs[i], &nodes, &all);
		cpulist_union(ret, &nodes);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	if (cpulist_empty(ret))
		cpulist_add(ret, 0);
	return 0;
}

/* @lock: state_lock() or state_lock_shared() */
static int lock_all(int dirfd, const char *what, const struct cpulist *nodes,
		    int (*lock)(int dirfd, const char *name, int timeout_ms), struct turn *ret)
{
	ret->fds = calloc(cpulist_count(nodes), sizeof(*ret->fds));
	if (!ret->fds)
		return -ENOMEM;
	for (int node = cpulist_next(nodes, 0); node >= 0;
	     node = cpulist_next(nodes, (unsigned int)node + 1)) {
		char name[sizeof(TURN_LOCK) + 16];
		int fd;

		(void)snprintf(name, sizeof(name), TURN_LOCK, what, node);
		fd = lock(dirfd, name, 0);
		if (fd < 0) {
			turn_end(ret);
			return fd;
		}
		ret->fds[ret->nr++] = fd;
	}
	return 0;
}

/* Known as one that waits until then, as long as @ret is held */
static int call(int dirfd, const struct cpulist *nodes, long long deadline, struct turn *ret)
{
	struct flock place = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = deadline, .l_len = 1
	};
	int r = lock_all(dirfd, WAIT, nodes, state_lock_shared, ret);

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
	struct cpulist nodes;
	int r = nodes_of(ctx->rootfd, needs, &nodes), time_ms = deadline_left(deadline);

	if (r < 0 || ctx->dry_run)
		return r;
	dirfd = state_dir(ctx->statefd, HOST_DIR, true);
	if (dirfd < 0)
		return dirfd;
	r = lock_all(dirfd, GROW, &nodes, state_lock, ret);
	while (r == -ETIMEDOUT && deadline_left(deadline) > 0) {
		bool calls = may_call(deadline, time_ms);

		if (!calls)
			turn_end(&waiting);
		/* What fails may not do so the next time */
		if (calls && waiting.nr == 0)
			(void)!call(dirfd, &nodes, deadline, &waiting);
		(void)nanosleep(&pause, NULL);
		r = lock_all(dirfd, GROW, &nodes, state_lock, ret);
	}
	return r;
}

bool turn_is_others(const struct helper_ctx *ctx, const struct needs *needs, int node)
{
	_cleanup_(turn_end) struct turn turn = { 0 };
	_cleanup_close_ int dirfd = -1;
	struct cpulist ours, one = { 0 };

	cpulist_add(&one, node == POOL_NO_NODE ? 0 : (unsigned int)node);
	if (nodes_of(ctx->rootfd, needs, &ours) < 0 || cpulist_intersects(&ours, &one))
		return false;
	dirfd = state_dir(ctx->statefd, HOST_DIR, false);
	return dirfd >= 0 && lock_all(dirfd, GROW, &one, state_lock, &turn) == -ETIMEDOUT;
}

/* Is there one, at any of these nodes, that waits until @until or less long */
static bool somebody_waits(const struct helper_ctx *ctx, const struct cpulist *nodes,
			   long long until)
{
	_cleanup_(turn_end) struct turn looking = { 0 };
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, HOST_DIR, false);

	if (dirfd < 0 || lock_all(dirfd, WAIT, nodes, state_lock_shared, &looking) < 0)
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
	struct cpulist nodes;

	return growth->turn_began && !ctx->dry_run &&
	       nodes_of(ctx->rootfd, growth->needs, &nodes) == 0 &&
	       somebody_waits(ctx, &nodes, now + (now - since) + 1);
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
