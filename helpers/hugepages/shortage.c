/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage.c - the line the user reads when there are not enough pages */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/registry.h"
#include "hugepages.h"

#define TEXT_MAX 512

/* Of those who hold memory, in a line of text */
#define HOLDERS_SAID 3

/* For a line of text */
#define LOCK_MS 1000

/* Who holds most of what this need could be met from, by the claims */
struct largest {
	const char *guest;
	unsigned long long nr_pages;
};

static void look_at(const struct helper_ctx *ctx, const struct need *need,
		    const struct claim *claim, struct largest *best)
{
	_cleanup_needs_ struct needs needs = { 0 };
	unsigned long long nr_pages = 0;

	if (strcmp(claim->uuid, ctx->claim.uuid) == 0 || needs_load(claim, &needs) < 0)
		return;
	for (size_t i = 0; i < needs.nr; i++)
		if (need_meets(&needs.needs[i], need))
			nr_pages += needs.needs[i].nr_pages;
	if (nr_pages <= best->nr_pages || registry_alive(ctx->rootfd, claim) == 0)
		return;
	*best = (struct largest){ .guest = claim->guest, .nr_pages = nr_pages };
}

static void stop_guest(const struct helper_ctx *ctx, const struct need *need, char *buf,
		       size_t size)
{
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_free_ char *guest = NULL;
	struct largest best = { 0 };

	*buf = '\0';
	if (registry_load(ctx->statefd, &claims) < 0)
		return;
	for (size_t i = 0; i < claims.nr; i++)
		look_at(ctx, need, &claims.claims[i], &best);
	if (best.guest && text_printable(best.guest, &guest) == 0)
		(void)snprintf(buf, size, "stop guest %s, which holds %llu, ", guest,
			       best.nr_pages);
}

/* What it comes to when all is given back */
struct figures {
	unsigned long long lacking; /* pages, beside the free ones */
	unsigned long long missing; /* of these could not be made */
	bool nodes_full;	    /* the nodes have too little, the host has not */
	unsigned long long spare;   /* KiB to be had on them beside the host's part */
};

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

/* Nothing was tried, for there is too little memory: pages for which there is enough count as ones
 * that could be made */
static void count_memory(const struct helper_ctx *ctx, const struct need *need,
			 struct figures *figures)
{
	unsigned long long available, reserve, spare, pages;

	if (memory_available(ctx->rootfd, &available) < 0 || memory_reserve(ctx, &reserve) < 0)
		return;
	spare = available > reserve ? available - reserve : 0;
	if (nodes_spare(ctx, need, reserve, &figures->spare) == 0 && figures->spare < spare) {
		spare = figures->spare;
		figures->nodes_full = available >= reserve + figures->lacking * need->size_kib;
	}
	pages = spare / need->size_kib;
	if (pages < figures->lacking)
		figures->missing = figures->lacking - pages;
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
	if (room.blocks && used < size)
		(void)snprintf(buf + used, size - used,
			       "; %llu of %llu blocks are the kernel's own and cannot be moved",
			       room.unmovable, room.blocks);
}

static void holders_text(const struct helper_ctx *ctx, char *buf, size_t size)
{
	struct holders holders;
	size_t used;

	*buf = '\0';
	holders_read(ctx->rootfd, &holders);
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
static bool reserve_in_the_way(const struct helper_ctx *ctx, unsigned long long lacking_kib)
{
	unsigned long long available;

	return memory_available(ctx->rootfd, &available) == 0 && available >= lacking_kib;
}

static bool arc_would_do(const struct helper_ctx *ctx, unsigned long long kib)
{
	struct arc_size arc;

	return claim_says(ctx, "arc", "keep") && arc_read(ctx->rootfd, &arc) == 0 &&
	       arc.size > arc.least && (arc.size - arc.least) / 1024 >= kib;
}

/* "set move = yes, " for what the policy forbids and would help, in usher's own words */
static void policy_text(const struct helper_ctx *ctx, const struct need *need,
			const struct shortage *shortage, const struct figures *figures, char *buf,
			size_t size)
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
		{ arc_would_do(ctx, figures->missing * need->size_kib), "set arc = shrink, " },
		{ memory && figures->nodes_full && claim_says(ctx, "move", "no"),
		  "set move = yes, " },
		{ memory && !figures->nodes_full &&
			  reserve_in_the_way(ctx, figures->lacking * need->size_kib),
		  "lower the reserve, " },
		{ shortage->reason == SHORT_TIME, "raise the timeout, " },
	};
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rows) && used < size; i++)
		if (rows[i].helps)
			used += (size_t)snprintf(buf + used, size - used, "%s", rows[i].text);
}

/* All persistent pages of that size there would have to be, for the kernel's command line */
static unsigned long long boot_pages(const struct pools *pools, unsigned long long missing)
{
	for (size_t i = 0; i < pools->nr; i++)
		missing += pool_persistent(&pools->pools[i]);
	return missing;
}

/* What is there once all is given back. Without ledger or claims, free pages as they are */
static unsigned long long missing_now(const struct helper_ctx *ctx, const struct needs *needs,
				      size_t index, const struct pools *pools)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_promises_ struct promises promises = { 0 };

	if (ledger_open(ctx, LOCK_MS, true, &ledger) == 0 &&
	    promises_load(ctx, &ledger, ctx->claim.uuid, &promises) < 0)
		promises = (struct promises){ 0 };
	return needs_missing(needs, index, pools, &promises);
}

/* What only a boot can give: CMA keeps the memory usable for others until then */
static void boot_text(const struct need *need, unsigned long long pages, char *buf, size_t size)
{
	if (room_has_size(need->size_kib))
		(void)snprintf(buf, size, "boot with hugepagesz=%lluK hugepages=%llu",
			       need->size_kib, pages);
	else
		(void)snprintf(buf, size,
			       "boot with hugetlb_cma=%lluM or hugepagesz=%lluK hugepages=%llu (a "
			       "running host has pages of that size by luck only), or take smaller "
			       "ones",
			       pages * (need->size_kib / 1024), need->size_kib, pages);
}

void shortage_say(const struct helper_ctx *ctx, const struct needs *needs,
		  const struct shortage *shortage)
{
	const struct need *need = &needs->needs[shortage->need];
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
	char reason[TEXT_MAX], room[TEXT_MAX], holders[TEXT_MAX];
	char stop[TEXT_MAX], policy[TEXT_MAX], boot[TEXT_MAX];
	struct figures figures = { .lacking = need->nr_pages, .missing = shortage->missing };
	_cleanup_pools_ struct pools pools = { 0 };

	if (pools_read(ctx->rootfd, need->size_kib, &pools) == 0)
		figures.lacking = missing_now(ctx, needs, shortage->need, &pools);
	if (shortage->reason == SHORT_MEMORY)
		count_memory(ctx, need, &figures);
	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	reason_text(ctx, need, shortage, &figures, reason, sizeof(reason));
	room_text(ctx, need, room, sizeof(room));
	holders_text(ctx, holders, sizeof(holders));
	stop_guest(ctx, need, stop, sizeof(stop));
	policy_text(ctx, need, shortage, &figures, policy, sizeof(policy));
	boot_text(need, boot_pages(&pools, figures.lacking), boot, sizeof(boot));
	helper_say(
		ctx,
		"cannot get %llu huge pages of %s %s: %llu are missing beside %llu free ones and "
		"%llu more that could be made (%s%s%s): %s%slower the guest's memory by %llu MiB, "
		"or %s",
		need->nr_pages, name, where, figures.missing, need->nr_pages - figures.lacking,
		figures.lacking > figures.missing ? figures.lacking - figures.missing : 0, reason,
		room, holders, stop, policy, figures.missing * (need->size_kib / 1024 ?: 1), boot);
}
