/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage_cure.c - what would help where pages are missing */
#include <stdio.h>
#include <string.h>

#include "../../lib/process.h"
#include "../../lib/registry.h"
#include "shortage.h"

/* --- Who could end --------------------------------------------------------------------------- */

/* What is there for this need once a guest has ended */
struct gain {
	unsigned long long nr_pages;  /* of the pools */
	unsigned long long plain_kib; /* and other memory, that pages can be made of */
};

struct largest {
	const char *guest;
	struct gain gain;
};

static unsigned long long gain_pages(const struct gain *gain, const struct need *need)
{
	return gain->nr_pages + gain->plain_kib / need->size_kib;
}

/* What its QEMU has on the need's nodes; without nodes, in all */
static struct gain held_by_qemu(int rootfd, pid_t qemu, const struct need *need)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	struct placement placement;
	struct usage usage;

	if (need_nodes(rootfd, need, &nodes, &all) == 0 &&
	    placement_read(rootfd, qemu, &nodes, need->size_kib, &placement) == 0)
		return (struct gain){ placement.pooled_kib / need->size_kib, placement.freed_kib };
	if (usage_read(rootfd, qemu, need->size_kib, &usage) < 0)
		return (struct gain){ 0 };
	return (struct gain){ usage.mapped, cpulist_empty(&all) ? freed_kib(rootfd, qemu) : 0 };
}

/* That, or what lies ready for it */
static struct gain held_by(const struct scene *scene, const struct need *need,
			   const struct claim *claim)
{
	pid_t qemu = process_find_qemu(scene->ctx->rootfd, claim->uuid);
	_cleanup_needs_ struct needs needs = { 0 };
	struct gain gain = { 0 };

	if (qemu > 0)
		return held_by_qemu(scene->ctx->rootfd, qemu, need);
	if (!strlist_has(&scene->ledger.promised, claim->uuid) || needs_load(claim, &needs) < 0)
		return gain;
	for (size_t i = 0; i < needs.nr; i++)
		if (need_meets(&needs.needs[i], need))
			gain.nr_pages += needs.needs[i].nr_pages;
	return gain;
}

/* @plain: does other memory help */
static void look_at(const struct scene *scene, const struct need *need, const struct claim *claim,
		    bool plain, struct largest *best)
{
	struct gain gain;

	if (strcmp(claim->uuid, scene->ctx->claim.uuid) == 0)
		return;
	gain = held_by(scene, need, claim);
	if (!plain)
		gain.plain_kib = 0;
	if (gain_pages(&gain, need) > gain_pages(&best->gain, need) &&
	    registry_alive(scene->ctx->rootfd, claim) != 0)
		*best = (struct largest){ .guest = claim->guest, .gain = gain };
}

/*
 * In pieces, memory that is free does not make a page, and what a guest has could have been moved:
 * its end brings none for sure.
 */
void stop_text(const struct scene *scene, const struct shortage *shortage,
	       const struct figures *figures, char *buf, size_t size)
{
	const struct need *need = &figures->need;
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_free_ char *guest = NULL;
	struct largest best = { 0 };

	*buf = '\0';
	if (registry_load(scene->ctx->statefd, &claims) < 0)
		return;
	for (size_t i = 0; i < claims.nr; i++)
		look_at(scene, need, &claims.claims[i], shortage->reason == SHORT_MEMORY, &best);
	if (!best.guest || gain_pages(&best.gain, need) < figures->missing ||
	    text_printable(best.guest, &guest) < 0)
		return;
	if (best.gain.nr_pages >= figures->missing)
		(void)snprintf(buf, size, "stop guest %s, which holds %llu, ", guest,
			       best.gain.nr_pages);
	else
		(void)snprintf(buf, size, "stop guest %s, which holds %llu MiB there, ", guest,
			       (best.gain.nr_pages * need->size_kib + best.gain.plain_kib) / 1024);
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
void policy_text(const struct helper_ctx *ctx, const struct shortage *shortage,
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
		{ fragmented && memory_dirty(ctx->rootfd) >= figures->missing_kib,
		  "have dirty page cache written to disk first (sync), " },
		{ arc_would_do(ctx, figures->missing_kib), "set arc = shrink, " },
		{ memory && figures->nodes_full && claim_says(ctx, "move", "no"),
		  "set move = yes, " },
		{ memory && !figures->nodes_full && reserve_in_the_way(ctx, figures->missing_kib),
		  "lower the reserve, " },
		{ shortage->reason == SHORT_TIME, "raise the timeout, " },
		{ shortage->reason == SHORT_TURN, "start it again when the other has started, " },
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

/* ABI: fs/proc/meminfo.c has the line with CONFIG_CMA alone. Seen on: Linux 6.12 of Debian 13, which
 * has none and takes hugetlb_cma= for a word it does not know */
static bool has_cma(int rootfd)
{
	unsigned long long kib;

	return memory_field(rootfd, "CmaTotal:", &kib) == 0;
}

/* What only a boot can give: CMA keeps the memory usable for others until then */
void boot_text(const struct scene *scene, unsigned long long size_kib, char *buf, size_t size)
{
	_cleanup_pools_ struct pools pools = { 0 };
	bool with_cma = has_cma(scene->ctx->rootfd);
	char pages[128], cma[128];

	(void)snprintf(buf, size, "remove <hugepages/> from the guest's XML");
	if (pools_read(scene->ctx->rootfd, size_kib, &pools) < 0)
		return;
	boot_pages(scene, &pools, 1, "", pages, sizeof(pages));
	boot_pages(scene, &pools, size_kib / 1024, "M", cma, sizeof(cma));
	if (room_has_size(size_kib))
		(void)snprintf(buf, size, "boot with hugepagesz=%lluK hugepages=%s", size_kib,
			       pages);
	else
		(void)snprintf(buf, size,
			       "boot with %s%s%shugepagesz=%lluK hugepages=%s (a running host "
			       "has pages of that size by luck only), or take smaller ones",
			       with_cma ? "hugetlb_cma=" : "", with_cma ? cma : "",
			       with_cma ? " or " : "", size_kib, pages);
}
