/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage.c - the line the user reads when there are not enough pages */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/deadline.h"
#include "shortage.h"

/* For the ledger, at most */
#define LOCK_MS 1000

/* Of those who hold memory, in a line of text */
#define HOLDERS_SAID 3

/* Pages of one node that could be made, as far as its memory goes */
static int could_be_made(const struct helper_ctx *ctx, int node, unsigned long long size_kib,
			 unsigned long long *ret)
{
	unsigned long long reserve, kib;

	if (node == POOL_NO_NODE || memory_reserve(ctx, &reserve) < 0 ||
	    memory_spare(ctx, node, reserve, &kib) < 0)
		return -ENOENT;
	*ret = kib / size_kib;
	return 0;
}

int text_wait_ms(const struct helper_ctx *ctx)
{
	int left = deadline_left(ctx->deadline) / 4;

	return left < LOCK_MS ? left : LOCK_MS;
}

void shortage_look(struct growth *growth)
{
	const struct need *need = &growth->needs->needs[growth->shortage.need];
	const struct helper_ctx *ctx = growth->ctx;
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_pools_ struct pools pools = { 0 };
	char *buf = growth->shortage.by_node;
	size_t size = sizeof(growth->shortage.by_node), used = 0;

	if ((!need->any && cpulist_count(&need->nodes) < 2) ||
	    pools_read(ctx->rootfd, need->size_kib, &pools) < 0 || pools.nr < 2)
		return;
	(void)!ledger_open(ctx, text_wait_ms(ctx), true, &ledger);
	for (size_t i = 0; i < pools.nr && used < size; i++) {
		const struct pool *pool = &pools.pools[i];
		unsigned long long made =
			ledger_held(&ledger, need->size_kib, pool->node, ctx->claim.uuid);
		unsigned long long nr_free = less(pool->free, made);

		if (!need_covers(need, pool->node))
			continue;
		if (growth->shortage.reason == SHORT_MEMORY)
			(void)could_be_made(ctx, pool->node, need->size_kib, &made);
		used += (size_t)snprintf(buf + used, size - used, "node %d: %llu free, %llu more; ",
					 pool->node, nr_free, made);
	}
}

/*
 * Needs on other nodes that were not come to: what lies ready of them, where that is known to be
 * too little.
 */
static void others_text(const struct scene *scene, const struct figures *figures, char *buf,
			size_t size)
{
	const struct helper_ctx *ctx = scene->ctx;
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < scene->needs->nr && used < size; i++) {
		const struct need *need = &scene->needs->needs[i];
		struct cpulist nodes = { 0 }, all = { 0 };
		char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
		unsigned long long ready;
		struct room room;

		if (scene->lacking[i] == 0 || need == &scene->needs->needs[figures->index] ||
		    (figures->whole && need->size_kib == figures->need.size_kib) ||
		    need_nodes(ctx->rootfd, need, &nodes, &all) < 0 ||
		    room_read(ctx->rootfd, &nodes, &room) < 0 || !room_has_size(need->size_kib))
			continue;
		ready = room_pieces(&room, need->size_kib) / need->size_kib;
		if (ready >= scene->lacking[i])
			continue;
		need_where(need, where, sizeof(where));
		size_name(need->size_kib, name, sizeof(name));
		used += (size_t)snprintf(
			buf + used, size - used,
			", and %s, where %llu more of %s are needed, %llu lie ready", where,
			scene->lacking[i], name, ready);
	}
}

static void memory_text(const struct helper_ctx *ctx, const struct need *need,
			const struct figures *figures, char *buf, size_t size)
{
	unsigned long long available, reserve, swap;
	char where[NEED_WHERE_MAX];
	int used = 0;

	need_where(need, where, sizeof(where));
	if (figures->nodes_full)
		(void)snprintf(buf, size, "%s %llu MiB could be had beside the host's part", where,
			       figures->spare / 1024);
	else if (memory_available(ctx->rootfd, &available) < 0 || memory_reserve(ctx, &reserve) < 0)
		(void)snprintf(buf, size, "memory is short");
	else
		used = snprintf(
			buf, size,
			"%llu MiB of memory are available, %llu MiB of it kept for the host",
			available / 1024, reserve / 1024);
	/* Somebody who sees it free may think that it would do */
	if (used > 0 && (size_t)used < size && memory_field(ctx->rootfd, "SwapFree:", &swap) == 0 &&
	    swap >= 1024)
		(void)snprintf(buf + used, size - (size_t)used,
			       "; %llu MiB of free swap do not count", swap / 1024);
}

/* Why there are no more */
static void reason_text(const struct helper_ctx *ctx, const struct need *need,
			const struct shortage *shortage, const struct figures *figures, char *buf,
			size_t size)
{
	switch (shortage->reason) {
	case SHORT_MEMORY:
		memory_text(ctx, need, figures, buf, size);
		break;
	case SHORT_TIME:
		(void)snprintf(buf, size, "the time for it ran out");
		break;
	case SHORT_TURN:
		(void)snprintf(buf, size,
			       "another guest waits for pages there, whose time would run out");
		break;
	default:
		(void)snprintf(buf, size, "the kernel finds no more memory in one piece");
		break;
	}
}

/* By order, the small pieces first: " (MiB in 4K: 160, 8K: 12, 2M: 20)". Return: its length */
static size_t orders_text(const struct room *room, char *buf, size_t size)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t order = 0; order < ROOM_ORDERS && used < size; order++) {
		unsigned long long piece = (unsigned long long)sysconf(_SC_PAGESIZE) / 1024
					   << order;

		if (room->kib[order] >= 1024)
			used += (size_t)snprintf(buf + used, size - used, "%s%llu%s: %llu",
						 used ? ", " : " (MiB in ",
						 piece < 1024 ? piece : piece / 1024,
						 piece < 1024 ? "K" : "M", room->kib[order] / 1024);
	}
	if (used && used < size)
		used += (size_t)snprintf(buf + used, size - used, ")");
	return used < size ? used : size - 1;
}

/* What the memory of these nodes looks like: ", 612 MiB free, of that 4 MiB in pieces of 2 MiB" */
static void room_text(const struct helper_ctx *ctx, const struct need *need, char *buf, size_t size)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	char name[SIZE_NAME_MAX];
	struct room room;
	size_t used;

	*buf = '\0';
	if (need_nodes(ctx->rootfd, need, &nodes, &all) < 0 ||
	    room_read(ctx->rootfd, &nodes, &room) < 0)
		return;
	size_name(need->size_kib, name, sizeof(name));
	used = (size_t)snprintf(buf, size, "; %llu MiB free", room_free(&room) / 1024);
	if (room_has_size(need->size_kib))
		used += (size_t)snprintf(buf + used, size - used,
					 ", of that %llu MiB in pieces of %s",
					 room_pieces(&room, need->size_kib) / 1024, name);
	used += orders_text(&room, buf + used, size - used);
	if (room.blocks && used < size)
		(void)snprintf(buf + used, size - used,
			       "; %llu of %llu blocks are the kernel's own and cannot be moved",
			       room.unmovable, room.blocks);
}

static void holders_text(const struct helper_ctx *ctx, const struct need *need, char *buf,
			 size_t size)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	struct holders holders;
	size_t used;

	*buf = '\0';
	if (need_nodes(ctx->rootfd, need, &nodes, &all) < 0 || cpulist_equal(&nodes, &all))
		holders_read(ctx->rootfd, NULL, &holders);
	else
		holders_read(ctx->rootfd, &nodes, &holders);
	if (holders.nr == 0)
		return;
	used = (size_t)snprintf(buf, size, "; most memory is held by ");
	holders_say(&holders, HOLDERS_SAID, buf + used, size - used);
}

/* A guest of which nothing can be had is not helped by having less */
static void lower_text(const struct figures *figures, char *buf, size_t size)
{
	*buf = '\0';
	if (figures->missing < figures->need.nr_pages)
		(void)snprintf(buf, size, "lower the guest's memory by %llu MiB, or ",
			       figures->missing_kib / 1024 ?: 1);
}

static void say(const struct scene *scene, const struct shortage *shortage,
		const struct figures *figures)
{
	const struct helper_ctx *ctx = scene->ctx;
	const struct need *need = &figures->need;
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
	char others[TEXT_MAX], reason[TEXT_MAX], room[TEXT_MAX], holders[TEXT_MAX];
	char stop[TEXT_MAX], policy[TEXT_MAX], lower[TEXT_MAX], boot[TEXT_MAX];

	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	others_text(scene, figures, others, sizeof(others));
	reason_text(ctx, need, shortage, figures, reason, sizeof(reason));
	room_text(ctx, need, room, sizeof(room));
	holders_text(ctx, need, holders, sizeof(holders));
	stop_text(scene, shortage, figures, stop, sizeof(stop));
	policy_text(ctx, shortage, figures, policy, sizeof(policy));
	lower_text(figures, lower, sizeof(lower));
	boot_text(scene, need->size_kib, boot, sizeof(boot));
	helper_say(
		ctx,
		"cannot get %llu huge pages of %s %s: %llu are missing beside %llu free ones and "
		"%llu more that could be made%s (%s%s%s%s): %s%s%s%s",
		need->nr_pages, name, where, figures->missing,
		less(need->nr_pages, figures->lacking), less(figures->lacking, figures->missing),
		others, shortage->by_node, reason, room, holders, stop, policy, lower, boot);
}

void shortage_say(const struct helper_ctx *ctx, const struct needs *needs,
		  const struct shortage *shortage)
{
	_cleanup_(scene_end) struct scene scene = { .ctx = ctx,
						    .needs = needs,
						    .ledger = LEDGER_CLOSED };
	struct figures figures = { .index = shortage->need,
				   .need = needs->needs[shortage->need],
				   .missing = shortage->missing };

	if (scene_read(&scene) < 0) {
		helper_say(ctx, "cannot get huge pages: out of memory: stop what takes it");
		return;
	}
	figures.lacking = scene.lacking[shortage->need];
	figures.missing_kib = figures.missing * figures.need.size_kib;
	if (shortage->reason == SHORT_MEMORY)
		figures_of_memory(&scene, &figures);
	say(&scene, shortage, &figures);
}
