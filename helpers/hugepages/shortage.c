/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage.c - the line the user reads when there are not enough pages */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/registry.h"
#include "hugepages.h"

#define TEXT_MAX 512

/* Of those who hold memory, in a line of text */
#define HOLDERS_SAID 3

/* For a line of text */
#define LOCK_MS 1000

/* Once all is given back */
struct scene {
	const struct helper_ctx *ctx;
	const struct needs *needs;
	struct ledger ledger;	     /* not locked any more */
	unsigned long long *lacking; /* pages of each need, beside the free ones */
};

static void scene_end(struct scene *scene)
{
	ledger_close(&scene->ledger);
	free(scene->lacking);
}

/* Without ledger or claims, free pages count as they are */
static int scene_read(struct scene *scene)
{
	const struct helper_ctx *ctx = scene->ctx;
	_cleanup_promises_ struct promises promises = { 0 };

	scene->lacking = calloc(scene->needs->nr ?: 1, sizeof(*scene->lacking));
	if (!scene->lacking)
		return -ENOMEM;
	if (ledger_open(ctx, LOCK_MS, true, &scene->ledger) == 0 &&
	    promises_load(ctx, &scene->ledger, ctx->claim.uuid, &promises) < 0)
		promises = (struct promises){ 0 };
	for (size_t i = 0; i < scene->needs->nr; i++) {
		_cleanup_pools_ struct pools pools = { 0 };

		scene->lacking[i] = scene->needs->needs[i].nr_pages;
		if (pools_read(ctx->rootfd, scene->needs->needs[i].size_kib, &pools) == 0)
			scene->lacking[i] = needs_missing(scene->needs, i, &pools, &promises);
	}
	cleanup_close(&scene->ledger.lockfd);
	return 0;
}

/* What is short */
struct figures {
	size_t index;			/* the need at which it ended */
	struct need need;		/* that one, or all of its page size as one */
	bool whole;			/* all of it */
	unsigned long long lacking;	/* pages, beside the free ones */
	unsigned long long missing;	/* of these could not be made */
	unsigned long long missing_kib; /* of all page sizes */
	bool nodes_full;		/* the nodes have too little, the host has not */
	unsigned long long spare;	/* KiB to be had on them beside the host's part */
};

/* --- Who could end --------------------------------------------------------------------------- */

/* Who holds most of what this need could be met from */
struct largest {
	const char *guest;
	unsigned long long nr_pages;
};

/* Pages on the need's nodes that its QEMU has, or that lie ready for it */
static unsigned long long held_by(const struct scene *scene, const struct need *need,
				  const struct claim *claim)
{
	pid_t qemu = process_find_qemu(scene->ctx->rootfd, claim->uuid);
	_cleanup_needs_ struct needs needs = { 0 };
	struct cpulist nodes = { 0 }, all = { 0 };
	unsigned long long nr_pages = 0;
	struct placement placement;
	struct usage usage;

	if (qemu > 0) {
		if (need_nodes(scene->ctx->rootfd, need, &nodes, &all) == 0 &&
		    placement_read(scene->ctx->rootfd, qemu, &nodes, need->size_kib, &placement) ==
			    0)
			return placement.pooled_kib / need->size_kib;
		return usage_read(scene->ctx->rootfd, qemu, need->size_kib, &usage) < 0
			       ? 0
			       : usage.mapped;
	}
	if (!strlist_has(&scene->ledger.promised, claim->uuid) || needs_load(claim, &needs) < 0)
		return 0;
	for (size_t i = 0; i < needs.nr; i++)
		if (need_meets(&needs.needs[i], need))
			nr_pages += needs.needs[i].nr_pages;
	return nr_pages;
}

static void look_at(const struct scene *scene, const struct need *need, const struct claim *claim,
		    struct largest *best)
{
	unsigned long long nr_pages;

	if (strcmp(claim->uuid, scene->ctx->claim.uuid) == 0)
		return;
	nr_pages = held_by(scene, need, claim);
	if (nr_pages > best->nr_pages && registry_alive(scene->ctx->rootfd, claim) != 0)
		*best = (struct largest){ .guest = claim->guest, .nr_pages = nr_pages };
}

/* One whose end is enough */
static void stop_guest(const struct scene *scene, const struct figures *figures, char *buf,
		       size_t size)
{
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_free_ char *guest = NULL;
	struct largest best = { 0 };

	*buf = '\0';
	if (registry_load(scene->ctx->statefd, &claims) < 0)
		return;
	for (size_t i = 0; i < claims.nr; i++)
		look_at(scene, &figures->need, &claims.claims[i], &best);
	if (best.guest && best.nr_pages >= figures->missing &&
	    text_printable(best.guest, &guest) == 0)
		(void)snprintf(buf, size, "stop guest %s, which holds %llu, ", guest,
			       best.nr_pages);
}

/* --- How many are missing -------------------------------------------------------------------- */

/* Return: 0, -ENOENT when the need is met from any node, or it is not known what they have */
static int nodes_spare(const struct helper_ctx *ctx, const struct need *need,
		       unsigned long long reserve, unsigned long long *ret_kib)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	unsigned long long sum = 0, kib;

	if (need->any || need_nodes(ctx->rootfd, need, &nodes, &all) < 0 ||
	    cpulist_equal(&nodes, &all))
		return -ENOENT;
	for (int node = cpulist_next(&nodes, 0); node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1)) {
		if (memory_spare(ctx, node, reserve, &kib) < 0)
			return -ENOENT;
		sum += kib;
	}
	*ret_kib = sum;
	return 0;
}

/* The host is short: no need of this page size is so more than another */
static void take_whole(const struct scene *scene, struct figures *figures)
{
	struct need *whole = &figures->need;

	whole->nr_pages = 0;
	figures->lacking = 0;
	figures->whole = true;
	for (size_t i = 0; i < scene->needs->nr; i++) {
		const struct need *need = &scene->needs->needs[i];

		if (need->size_kib != whole->size_kib)
			continue;
		whole->nr_pages += need->nr_pages;
		whole->any |= need->any;
		cpulist_union(&whole->nodes, &need->nodes);
		figures->lacking += scene->lacking[i];
	}
}

static unsigned long long less(unsigned long long a, unsigned long long b)
{
	return a > b ? a - b : 0;
}

/* Nothing was tried, for there is too little memory: pages for which there is enough count as ones
 * that could be made */
static void count_memory(const struct scene *scene, struct figures *figures)
{
	unsigned long long available, reserve, on_nodes = 0, on_host = 0, pages;
	unsigned long long size_kib = figures->need.size_kib;

	if (memory_available(scene->ctx->rootfd, &available) < 0 ||
	    memory_reserve(scene->ctx, &reserve) < 0)
		return;
	for (size_t i = 0; i < scene->needs->nr; i++)
		on_host += scene->lacking[i] * scene->needs->needs[i].size_kib;
	on_host = less(on_host, less(available, reserve));
	if (nodes_spare(scene->ctx, &figures->need, reserve, &figures->spare) == 0)
		on_nodes = less(figures->lacking * size_kib, figures->spare);
	figures->nodes_full = on_nodes && !on_host;
	if (on_host)
		take_whole(scene, figures);
	on_nodes = on_nodes > on_host ? on_nodes : on_host;
	if (on_nodes == 0)
		return;
	pages = (on_nodes + size_kib - 1) / size_kib;
	figures->missing = pages < figures->lacking ? pages : figures->lacking;
	figures->missing_kib = (on_nodes + 1023) / 1024 * 1024;
	if (figures->missing_kib < figures->missing * size_kib)
		figures->missing_kib = figures->missing * size_kib;
}

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
	(void)!ledger_open(ctx, LOCK_MS, true, &ledger);
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
	unsigned long long available, reserve;
	char where[NEED_WHERE_MAX];

	need_where(need, where, sizeof(where));
	if (figures->nodes_full)
		(void)snprintf(buf, size, "%s %llu MiB could be had beside the host's part", where,
			       figures->spare / 1024);
	else if (memory_available(ctx->rootfd, &available) < 0 || memory_reserve(ctx, &reserve) < 0)
		(void)snprintf(buf, size, "memory is short");
	else
		(void)snprintf(buf, size,
			       "%llu MiB of memory are available, %llu MiB of it kept for the host",
			       available / 1024, reserve / 1024);
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

/* --- The levers that are not pulled --------------------------------------------------------- */

static bool claim_says(const struct helper_ctx *ctx, const char *key, const char *word)
{
	const char *value = inidoc_get(&ctx->claim.doc, HUGEPAGES_SECTION, key);

	return value && strcmp(value, word) == 0;
}

/* Would all fit if nothing were kept for the host */
static bool reserve_in_the_way(const struct helper_ctx *ctx, unsigned long long missing_kib)
{
	unsigned long long reserve;

	return memory_reserve(ctx, &reserve) == 0 && reserve >= missing_kib;
}

static bool arc_would_do(const struct helper_ctx *ctx, unsigned long long kib)
{
	struct arc_size arc;

	return claim_says(ctx, "arc", "keep") && arc_read(ctx->rootfd, &arc) == 0 &&
	       arc.size > arc.least && (arc.size - arc.least) / 1024 >= kib;
}

/* "set move = yes, " for what the policy forbids and would help, in usher's own words */
static void policy_text(const struct helper_ctx *ctx, const struct shortage *shortage,
			const struct figures *figures, char *buf, size_t size)
{
	bool fragmented = shortage->reason == SHORT_FRAGMENTED;
	bool memory = shortage->reason == SHORT_MEMORY;
	const struct {
		bool helps;
		const char *text;
	} rows[] = {
		{ fragmented && zfs_forbids_compaction(ctx->rootfd),
		  "update kernel or ZFS (this pair dies of compaction, so memory was not "
		  "compacted), " },
		{ fragmented && claim_says(ctx, "compact", "no"), "set compact = yes, " },
		{ fragmented && (claim_says(ctx, "reclaim", "none") ||
				 claim_says(ctx, "reclaim", "memory")),
		  "set reclaim = caches, " },
		{ arc_would_do(ctx, figures->missing_kib), "set arc = shrink, " },
		{ memory && figures->nodes_full && claim_says(ctx, "move", "no"),
		  "set move = yes, " },
		{ memory && !figures->nodes_full && reserve_in_the_way(ctx, figures->missing_kib),
		  "lower the reserve, " },
		{ shortage->reason == SHORT_TIME, "raise the timeout, " },
	};
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rows) && used < size; i++)
		if (rows[i].helps)
			used += (size_t)snprintf(buf + used, size - used, "%s", rows[i].text);
}

/* The need's part of one pool */
static unsigned long long part_of(const struct need *need, const struct pools *pools, size_t index,
				  unsigned long long nr_pages)
{
	size_t nr = 1, before = 0;

	if (!need_covers(need, pools->pools[index].node))
		return 0;
	for (size_t i = 0; i < pools->nr; i++) {
		if (i == index || !need_covers(need, pools->pools[i].node))
			continue;
		before += i < index;
		nr++;
	}
	return nr_pages / nr + (before < nr_pages % nr);
}

static bool binds(const struct need *need, const struct pools *pools)
{
	for (size_t i = 0; i < pools->nr; i++)
		if (!need_covers(need, pools->pools[i].node))
			return true;
	return false;
}

/*
 * All persistent pages of that size there would have to be, for the kernel's command line: "512"
 * are spread over all nodes, "0:512,1:5" are not.
 * @each, @unit:	number of what is counted in a page, and its letter
 * ABI: Documentation/admin-guide/kernel-parameters.txt, hugepages= and hugetlb_cma=, by node since
 * Linux 5.16
 */
static void boot_pages(const struct scene *scene, const struct pools *pools,
		       unsigned long long each, const char *unit, char *buf, size_t size)
{
	unsigned long long sum = 0;
	bool by_node = false;
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < pools->nr && used < size; i++) {
		unsigned long long pages = pool_persistent(&pools->pools[i]);

		for (size_t j = 0; j < scene->needs->nr; j++) {
			const struct need *need = &scene->needs->needs[j];

			if (need->size_kib != pools->size_kib || scene->lacking[j] == 0)
				continue;
			pages += part_of(need, pools, i, scene->lacking[j]);
			by_node |= binds(need, pools);
		}
		sum += pages;
		if (pages)
			used += (size_t)snprintf(buf + used, size - used, "%s%d:%llu%s",
						 used ? "," : "", pools->pools[i].node,
						 pages * each, unit);
	}
	if (!by_node)
		(void)snprintf(buf, size, "%llu%s", sum * each, unit);
}

/* What only a boot can give: CMA keeps the memory usable for others until then */
static void boot_text(const struct scene *scene, unsigned long long size_kib, char *buf,
		      size_t size)
{
	_cleanup_pools_ struct pools pools = { 0 };
	char pages[128], cma[128];

	*buf = '\0';
	if (pools_read(scene->ctx->rootfd, size_kib, &pools) < 0)
		return;
	boot_pages(scene, &pools, 1, "", pages, sizeof(pages));
	boot_pages(scene, &pools, size_kib / 1024, "M", cma, sizeof(cma));
	if (room_has_size(size_kib))
		(void)snprintf(buf, size, ", or boot with hugepagesz=%lluK hugepages=%s", size_kib,
			       pages);
	else
		(void)snprintf(buf, size,
			       ", or boot with hugetlb_cma=%s or hugepagesz=%lluK hugepages=%s (a "
			       "running host has pages of that size by luck only), or take smaller "
			       "ones",
			       cma, size_kib, pages);
}

static void say(const struct scene *scene, const struct shortage *shortage,
		const struct figures *figures)
{
	const struct helper_ctx *ctx = scene->ctx;
	const struct need *need = &figures->need;
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
	char others[TEXT_MAX], reason[TEXT_MAX], room[TEXT_MAX], holders[TEXT_MAX];
	char stop[TEXT_MAX], policy[TEXT_MAX], boot[TEXT_MAX];

	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	others_text(scene, figures, others, sizeof(others));
	reason_text(ctx, need, shortage, figures, reason, sizeof(reason));
	room_text(ctx, need, room, sizeof(room));
	holders_text(ctx, need, holders, sizeof(holders));
	stop_guest(scene, figures, stop, sizeof(stop));
	policy_text(ctx, shortage, figures, policy, sizeof(policy));
	boot_text(scene, need->size_kib, boot, sizeof(boot));
	helper_say(
		ctx,
		"cannot get %llu huge pages of %s %s: %llu are missing beside %llu free ones and "
		"%llu more that could be made%s (%s%s%s%s): %s%slower the guest's memory by %llu "
		"MiB%s",
		need->nr_pages, name, where, figures->missing,
		less(need->nr_pages, figures->lacking), less(figures->lacking, figures->missing),
		others, shortage->by_node, reason, room, holders, stop, policy,
		figures->missing_kib / 1024 ?: 1, boot);
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
		count_memory(&scene, &figures);
	say(&scene, shortage, &figures);
}
