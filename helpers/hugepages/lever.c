/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/lever.c - what can be done when the kernel gives fewer pages than asked for */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "hugepages.h"

/*
 * How it works
 *
 * The levers are a table, the gentlest first. One is pulled, then pages are asked for again; one
 * that brought pages is followed by the first of the table, one that brought none by the next.
 * After the last it is waited for others (wait.c), with compaction in between: when something
 * changes all begins anew, when nothing does for a while it ends.
 *
 * Before the first page of a need is asked for there is one look at the free memory. When it is
 * too little, or in pieces too small, as much as is missing is reclaimed in one go, and the nodes
 * compacted: the kernel's own attempts do the same for each page anew, which takes several times
 * as long. Where most of what could be reclaimed must go, all caches are dropped instead, if they
 * may be: that does not look who uses which page.
 * Seen on: Linux 6.12, page cache in all of the memory
 */

/* Reclaimed beyond what is missing: compaction moves things into free pages */
#define MARGIN_SHARE 8

/* Of what could be reclaimed, in percent: from here on the caches are not worth the time */
#define MOST_PERCENT 75

bool growth_policy(const struct growth *growth, const char *key, const char *word)
{
	const char *value = inidoc_get(&growth->ctx->claim.doc, HUGEPAGES_SECTION, key);

	return value && strcmp(value, word) == 0;
}

const struct need *growth_need(const struct growth *growth)
{
	return &growth->needs->needs[growth->current];
}

static int compact_node(struct growth *growth, int node)
{
	char path[POOL_DIR_MAX];
	int r;

	if (node == POOL_NO_NODE)
		return pull_write(growth, "proc/sys/vm/compact_memory", "1");
	r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/compact", node);
	return r < 0 ? r : pull_write(growth, path, "1");
}

static bool may_compact(const struct growth *growth)
{
	return !growth_policy(growth, "compact", "no") && !growth->zfs_guard;
}

/* The nodes of the current need that @where may be met from, too */
static int compact_where(struct growth *growth, const struct need *where)
{
	_cleanup_pools_ struct pools pools = { 0 };
	const struct need *need = growth_need(growth);
	int done = 0;

	if (!may_compact(growth) || pools_read(growth->ctx->rootfd, need->size_kib, &pools) < 0)
		return 0;
	for (size_t i = 0; i < pools.nr && deadline_left(growth->deadline) > 0; i++)
		if (need_covers(need, pools.pools[i].node) &&
		    need_covers(where, pools.pools[i].node))
			done |= compact_node(growth, pools.pools[i].node) == 0;
	return done;
}

static int compact(struct growth *growth)
{
	return compact_where(growth, growth_need(growth));
}

static unsigned long long missing_kib(const struct growth *growth)
{
	return growth->shortage.missing * growth_need(growth)->size_kib;
}

/*
 * What may go in all. Reclaim that is to find more than there is scans all memory over and over:
 * what the host keeps is left where it is, be it free or page cache. Not known is no bound.
 */
static unsigned long long reclaimable(const struct growth *growth)
{
	unsigned long long available, nr_free, reserve;

	/* All of it, also of a guest that may go on with a part */
	if (memory_available(growth->ctx->rootfd, &available) < 0 ||
	    memory_field(growth->ctx->rootfd, "MemFree:", &nr_free) < 0 ||
	    memory_reserve(growth->ctx, &reserve) < 0)
		return -1ULL;
	nr_free += reserve;
	return available > nr_free ? available - nr_free : 0;
}

/* Missing, and room for compaction */
static unsigned long long wanted_kib(const struct growth *growth)
{
	return missing_kib(growth) + missing_kib(growth) / MARGIN_SHARE;
}

/* Return: as lever_reclaim(), -ENODATA when nothing may go */
static int reclaim_once(struct growth *growth)
{
	unsigned long long kib = wanted_kib(growth), most = reclaimable(growth);

	kib = kib < most ? kib : most;
	if (kib == 0)
		return -ENODATA;
	(void)writeback_until(growth, kib);
	return lever_reclaim(growth, kib, most);
}

static int reclaim(struct growth *growth)
{
	int r = reclaim_once(growth);

	/* Not all that is clean can go, so some of what is dirty must */
	if (r == -EAGAIN && writeback_until(growth, writeback_clean(growth) + wanted_kib(growth)))
		r = reclaim_once(growth);
	if (r < 0 && r != -EAGAIN)
		return 0;
	(void)compact(growth);
	return 1;
}

/* All of the page cache, and what dentries and inodes can go: it costs the host its caches */
static int drop(struct growth *growth)
{
	return growth_policy(growth, "reclaim", "caches") && !growth->zfs_guard &&
	       pull_write(growth, "proc/sys/vm/drop_caches", "3") == 0;
}

static int drop_caches(struct growth *growth)
{
	if (growth_policy(growth, "reclaim", "caches") && !growth->zfs_guard)
		(void)writeback_until(growth, wanted_kib(growth));
	if (!drop(growth))
		return 0;
	(void)compact(growth);
	return 1;
}

static int shrink_arc(struct growth *growth)
{
	if (!growth_policy(growth, "arc", "shrink") ||
	    arc_shrink(growth, missing_kib(growth) + growth->reserve_kib) == 0)
		return 0;
	(void)compact(growth);
	return 1;
}

/* A host that is short as a whole has nowhere to move things to */
static int move(struct growth *growth)
{
	unsigned long long available;

	if (!growth_policy(growth, "move", "yes") || growth_need(growth)->any ||
	    memory_available(growth->ctx->rootfd, &available) < 0 ||
	    available < missing_kib(growth) + growth->reserve_kib ||
	    move_away(growth, missing_kib(growth)) == 0)
		return 0;
	(void)compact(growth);
	return 1;
}

static const struct lever {
	int (*pull)(struct growth *growth); /* Return: 1 pulled, 0 not allowed, or not there */
	bool fragmented;		    /* when the kernel gave less than asked for */
	bool no_memory;			    /* when there is too little memory */
} levers[] = {
	{ compact, true, false }, { reclaim, true, false },   { drop_caches, true, false },
	{ move, true, true },	  { shrink_arc, true, true },
};

/* Return: 1 one was pulled, 0 none is left */
static int pull_next(struct growth *growth, int what)
{
	while (growth->lever < ARRAY_SIZE(levers) && deadline_left(growth->deadline) > 0) {
		const struct lever *lever = &levers[growth->lever++];

		if ((what == STEP_NO_MEMORY ? lever->no_memory : lever->fragmented) &&
		    lever->pull(growth)) {
			growth->pulls++;
			return 1;
		}
	}
	return 0;
}

int lever_pull(struct growth *growth, int what)
{
	int r = WAIT_NOTHING;

	/* One that still gets some has not had its turn for nothing */
	if (turn_is_over(growth))
		return 0;
	if (growth->gained)
		growth->lever = 0;
	if (growth->gained || growth->pulls == 0)
		growth->still_since = 0;
	growth->gained = 0;
	growth->spent = (struct cpulist){ 0 };
	if (pull_next(growth, what))
		return 1;
	while (r == WAIT_NOTHING) {
		r = wait_for_more(growth);
		if (r == WAIT_NOTHING && what == STEP_SPENT && compact(growth))
			return 1;
	}
	if (r == WAIT_CHANGED)
		growth->lever = 0;
	return r == WAIT_CHANGED;
}

static void reclaim_ahead(struct growth *growth, unsigned long long kib)
{
	unsigned long long most = reclaimable(growth);

	kib = kib < most ? kib : most;
	(void)writeback_until(growth, kib);
	if (kib && (kib < most / 100 * MOST_PERCENT || !drop(growth)))
		(void)lever_reclaim(growth, kib, most);
}

void lever_ahead(struct growth *growth)
{
	unsigned long long wanted = missing_kib(growth), has;
	const struct need *need = growth_need(growth);
	struct cpulist nodes = { 0 }, all = { 0 };
	struct room room;

	if (!room_has_size(need->size_kib) ||
	    need_nodes(growth->ctx->rootfd, need, &nodes, &all) < 0 ||
	    room_read(growth->ctx->rootfd, &nodes, &room) < 0 ||
	    room_pieces(&room, need->size_kib) >= wanted)
		return;
	wanted += wanted / MARGIN_SHARE;
	has = room_free(&room);
	if (has < wanted)
		reclaim_ahead(growth, wanted - has);
	(void)compact(growth);
}

/* Has free memory of @nodes to be put together at all; a node that is full has not */
static bool lies_in_pieces(int rootfd, const struct cpulist *nodes, unsigned long long size_kib)
{
	struct room room;

	return room_read(rootfd, nodes, &room) < 0 ||
	       room_free(&room) - room_pieces(&room, size_kib) >= size_kib;
}

bool lever_may_wish(struct growth *growth, const struct need *wish)
{
	struct cpulist nodes = { 0 }, all = { 0 };

	if (!may_compact(growth) || deadline_left(growth->deadline) == 0 ||
	    need_nodes(growth->ctx->rootfd, wish, &nodes, &all) < 0)
		return false;
	cpulist_subtract(&nodes, &growth->wished);
	if (cpulist_empty(&nodes) ||
	    !lies_in_pieces(growth->ctx->rootfd, &nodes, growth_need(growth)->size_kib))
		return false;
	cpulist_union(&growth->wished, &nodes);
	growth->wish = *wish;
	return true;
}

bool lever_between(struct growth *growth, int what)
{
	if (what == STEP_AHEAD)
		lever_ahead(growth);
	if (what == STEP_WISH)
		(void)compact_where(growth, &growth->wish);
	return what == STEP_AHEAD || what == STEP_WISH;
}
