/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/turn.c - who may grow the pools of a node */
#include <errno.h>
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
 * each node, all of a guest's taken at once or none: who waits holds up nobody else. Who waits is
 * seen by a second lock, and one that is short of pages gives up then, at half of the time it had
 * when its turn began: so the other has some of its own left.
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

static int try_all(int dirfd, const char *what, const struct cpulist *nodes, struct turn *ret)
{
	ret->fds = calloc(cpulist_count(nodes), sizeof(*ret->fds));
	if (!ret->fds)
		return -ENOMEM;
	for (int node = cpulist_next(nodes, 0); node >= 0;
	     node = cpulist_next(nodes, (unsigned int)node + 1)) {
		char name[sizeof(TURN_LOCK) + 16];
		int fd;

		(void)snprintf(name, sizeof(name), TURN_LOCK, what, node);
		fd = state_lock(dirfd, name, 0);
		if (fd < 0) {
			turn_end(ret);
			return fd;
		}
		ret->fds[ret->nr++] = fd;
	}
	return 0;
}

int turn_take(const struct helper_ctx *ctx, const struct needs *needs, long long deadline,
	      struct turn *ret)
{
	const struct timespec pause = { .tv_nsec = TURN_RETRY_MS * 1000000L };
	_cleanup_(turn_end) struct turn waiting = { 0 };
	_cleanup_close_ int dirfd = -1;
	struct cpulist nodes;
	int r = nodes_of(ctx->rootfd, needs, &nodes);

	if (r < 0 || ctx->dry_run)
		return r;
	dirfd = state_dir(ctx->statefd, HOST_DIR, true);
	if (dirfd < 0)
		return dirfd;
	r = try_all(dirfd, GROW, &nodes, ret);
	while (r == -ETIMEDOUT && deadline_left(deadline) > 0) {
		/* Where another one is seen waiting already, that will do */
		if (waiting.nr == 0)
			(void)!try_all(dirfd, WAIT, &nodes, &waiting);
		(void)nanosleep(&pause, NULL);
		r = try_all(dirfd, GROW, &nodes, ret);
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
	return dirfd >= 0 && try_all(dirfd, GROW, &one, &turn) == -ETIMEDOUT;
}

static bool somebody_waits(const struct helper_ctx *ctx, const struct needs *needs)
{
	_cleanup_(turn_end) struct turn turn = { 0 };
	_cleanup_close_ int dirfd = -1;
	struct cpulist nodes;

	if (ctx->dry_run || nodes_of(ctx->rootfd, needs, &nodes) < 0)
		return false;
	dirfd = state_dir(ctx->statefd, HOST_DIR, false);
	return dirfd >= 0 && try_all(dirfd, WAIT, &nodes, &turn) == -ETIMEDOUT;
}

bool turn_is_over(struct growth *growth)
{
	growth->cut_short |= deadline_left(growth->deadline) <= growth->time_ms / 2 &&
			     somebody_waits(growth->ctx, growth->needs);
	return growth->cut_short;
}
