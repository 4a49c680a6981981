/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/promise.c - pages that are spoken for */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "../../lib/process.h"
#include "../../lib/registry.h"
#include "hugepages.h"

/* Of open: none is left out */
#define NO_NEED SIZE_MAX

void promises_free(struct promises *promises)
{
	free(promises->open);
	needs_free(&promises->mapped);
	needs_free(&promises->lasting);
}

static bool is_incoming(int rootfd, pid_t qemu)
{
	return qemu > 0 && process_has_arg(rootfd, qemu, "-incoming") > 0;
}

static bool goes_at_start(const struct claim *claim, bool incoming)
{
	const char *value = inidoc_get(&claim->doc, HUGEPAGES_SECTION, "give_back");

	return value && strcmp(value, "started") == 0 && !incoming;
}

bool gives_back_at_start(int rootfd, const struct claim *claim)
{
	return goes_at_start(claim, is_incoming(rootfd, process_find_qemu(rootfd, claim->uuid)));
}

static bool keeps(const struct claim *claim, bool incoming)
{
	return goes_at_start(claim, incoming) || (claim->state != CLAIM_RUNNING && !incoming);
}

bool keeps_reserved(int rootfd, const struct claim *claim, pid_t qemu)
{
	return keeps(claim, is_incoming(rootfd, qemu));
}

/* A claim that is promised pages. Its processes are looked through once: that takes a child each */
struct taker {
	const struct claim *claim;
	pid_t qemu;    /* 0: none, < 0: not known */
	bool at_start; /* as gives_back_at_start() */
	bool keeps;    /* as keeps_reserved() */
};

/*
 * taker_look() - does it still take pages
 *
 * A guest that has settled is no longer promised; one that may grow is until its QEMU ends, even if
 * libvirt has not come to its `release` yet
 */
static bool taker_look(const struct helper_ctx *ctx, const struct claim *claim, struct taker *ret)
{
	bool incoming;

	if (claim->state == CLAIM_ENDING || claim->state == CLAIM_RETURNING)
		return false;
	ret->claim = claim;
	ret->qemu = process_find_qemu(ctx->rootfd, claim->uuid);
	incoming = is_incoming(ctx->rootfd, ret->qemu);
	ret->at_start = goes_at_start(claim, incoming);
	ret->keeps = keeps(claim, incoming);
	if (claim->state == CLAIM_RUNNING && (ret->at_start || ret->qemu == 0))
		return false;
	/* Not known is not dead */
	return ret->qemu > 0 || registry_alive(ctx->rootfd, claim) != 0;
}

/*
 * Of what QEMU has mapped, the part not yet faulted is in the kernel's own count of reserved
 * pages, unless it has been given back. Where that is not known, and without a look at it, a process
 * that may not be looked at, all counts as unmapped: pages are then counted twice for a while, never
 * shared.
 */
static int usage_of(const struct helper_ctx *ctx, const struct taker *taker,
		    unsigned long long size_kib, struct promises *promises,
		    unsigned long long *ret_faulted)
{
	struct need mapped = { .size_kib = size_kib, .any = true };
	struct usage usage = { 0 };

	*ret_faulted = 0;
	if (taker->qemu <= 0 || usage_read(ctx->rootfd, taker->qemu, size_kib, &usage) < 0)
		return 0;
	*ret_faulted = usage.faulted;
	if (taker->keeps)
		mapped.nr_pages = usage_reserved(&usage);
	return needs_add(&promises->mapped, &mapped);
}

static unsigned long long needed(const struct needs *needs, unsigned long long size_kib)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < needs->nr; i++)
		if (needs->needs[i].size_kib == size_kib &&
		    __builtin_add_overflow(sum, needs->needs[i].nr_pages, &sum))
			return -1ULL;
	return sum;
}

static int open_add(struct promises *promises, const struct promised *open)
{
	struct promised *grown;

	grown = reallocarray(promises->open, promises->nr_open + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	promises->open = grown;
	grown[promises->nr_open++] = *open;
	return 0;
}

/* Has the guest that open[@index] is of no other need of that size */
static bool is_single(const struct promises *promises, size_t index)
{
	const struct promised *open = &promises->open[index];

	return open->first == index &&
	       (index + 1 == promises->nr_open || open[1].first != open->first);
}

/* Joined, so that what a third one takes from them shows as a whole. @first: the guest's own */
static int open_join(struct promises *promises, size_t first)
{
	struct promised *own = &promises->open[first];

	for (size_t i = 0; i < first && first + 1 == promises->nr_open; i++) {
		struct promised *open = &promises->open[i];

		if (!is_single(promises, i) || !need_same_place(&open->need, &own->need))
			continue;
		promises->nr_open--;
		open->left += own->left;
		return __builtin_add_overflow(open->need.nr_pages, own->need.nr_pages,
					      &open->need.nr_pages)
			       ? -ERANGE
			       : 0;
	}
	return 0;
}

/*
 * Which of its needs a QEMU has yet to fault is not known: each may be the one.
 * ABI: QEMU 9.0 on, util/oslib-posix.c qemu_prealloc_mem(), fills bound objects side by side
 */
static int open_of_size(const struct needs *needs, size_t first, unsigned long long faulted,
			struct promises *promises)
{
	struct promised open = { .first = promises->nr_open };

	open.left = needed(needs, needs->needs[first].size_kib);
	open.left -= faulted < open.left ? faulted : open.left;
	for (size_t i = first; i < needs->nr; i++) {
		int r;

		open.need = needs->needs[i];
		if (open.need.size_kib != needs->needs[first].size_kib)
			continue;
		if (open.need.nr_pages > open.left)
			open.need.nr_pages = open.left;
		r = open_add(promises, &open);
		if (r < 0)
			return r;
	}
	return open_join(promises, open.first);
}

static int lasting_of(const struct needs *needs, struct promises *promises)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < needs->nr; i++)
		r = needs_add(&promises->lasting, &needs->needs[i]);
	return r;
}

static int promises_of(const struct helper_ctx *ctx, const struct taker *taker,
		       struct promises *promises)
{
	_cleanup_needs_ struct needs needs = { 0 };
	int r = needs_load(taker->claim, &needs);

	if (r == 0 && !taker->at_start)
		r = lasting_of(&needs, promises);
	for (size_t i = 0; r == 0 && i < needs.nr; i++) {
		unsigned long long faulted;

		if (needs_seen(&needs, i))
			continue;
		r = usage_of(ctx, taker, needs.needs[i].size_kib, promises, &faulted);
		if (r == 0)
			r = open_of_size(&needs, i, faulted, promises);
	}
	return r;
}

int promises_load(const struct helper_ctx *ctx, const struct ledger *ledger, const char *except,
		  struct promises *ret)
{
	_cleanup_promises_ struct promises promises = { 0 };
	_cleanup_claims_ struct claims claims = { 0 };
	int r = ledger->promised.nr ? registry_load(ctx->statefd, &claims) : 0;

	for (size_t i = 0; r >= 0 && i < claims.nr; i++) {
		const struct claim *claim = &claims.claims[i];
		struct taker taker;

		if (!strlist_has(&ledger->promised, claim->uuid) ||
		    (except && strcmp(except, claim->uuid) == 0) || !taker_look(ctx, claim, &taker))
			continue;
		r = promises_of(ctx, &taker, &promises);
	}
	if (r < 0)
		return r;
	*ret = promises;
	promises = (struct promises){ 0 };
	return 0;
}

unsigned long long promises_elsewhere(const struct promises *promises, const struct pools *pools)
{
	unsigned long long ours = 0;

	for (size_t i = 0; i < promises->mapped.nr; i++)
		if (promises->mapped.needs[i].size_kib == pools->size_kib)
			ours += promises->mapped.needs[i].nr_pages;
	return pools->reserved > ours ? pools->reserved - ours : 0;
}

/* As it counts. @bound: indices of those that stay on the nodes they prefer */
static struct need open_need(const struct promises *promises, size_t index,
			     const struct cpulist *bound)
{
	struct need need = promises->open[index].need;

	if (cpulist_has(bound, (unsigned int)index))
		need.any = false;
	return need;
}

/* What the needs of one guest from open[*@index] on may take, all it has left at most; moves past
 * them */
static unsigned long long taken_by_one(const struct promises *promises, size_t *index,
				       const struct need *need, size_t except,
				       const struct cpulist *bound)
{
	unsigned long long left = promises->open[*index].left, taken = 0;
	size_t first = promises->open[*index].first;

	for (; *index < promises->nr_open && promises->open[*index].first == first; ++*index) {
		const struct need open = open_need(promises, *index, bound);

		if (*index == except)
			left -= open.nr_pages;
		else if (need_meets(&open, need))
			taken += open.nr_pages;
	}
	return taken < left ? taken : left;
}

/* Whatever could be taken from these pools counts in full. @except: an index, NO_NEED */
static unsigned long long taken_by_open(const struct promises *promises, const struct need *need,
					size_t except, const struct cpulist *bound)
{
	unsigned long long taken = 0;

	for (size_t i = 0; i < promises->nr_open;)
		taken += taken_by_one(promises, &i, need, except, bound);
	return taken;
}

/* Pages of @need that are left by those that may take some before open[@except], or before all */
static unsigned long long left_for(const struct promises *promises, const struct pools *pools,
				   const struct need *need, size_t except,
				   const struct cpulist *bound)
{
	unsigned long long nr_free = pools_free_of(pools, need);
	unsigned long long taken =
		promises_elsewhere(promises, pools) + taken_by_open(promises, need, except, bound);

	return nr_free > taken ? nr_free - taken : 0;
}

/* Return: true when it would not find all its pages there, with the others as they are bound */
static bool must_leave(const struct promises *promises, const struct pools *pools, size_t index,
		       const struct cpulist *bound)
{
	const struct need need = open_need(promises, index, bound);

	return left_for(promises, pools, &need, index, bound) < need.nr_pages;
}

/*
 * The kernel takes pages of other nodes than the preferred ones only when these have none. So they
 * bind a guest that finds all of its pages there, whatever the others take that may: all of them
 * together, for the first that did not would need another one before it.
 */
static struct cpulist bound_of(const struct promises *promises, const struct pools *pools)
{
	struct cpulist bound = { 0 };
	bool again = true;

	for (size_t i = 0; i < promises->nr_open; i++)
		if (promises->open[i].need.any && !cpulist_empty(&promises->open[i].need.nodes) &&
		    promises->open[i].need.size_kib == pools->size_kib)
			cpulist_add(&bound, (unsigned int)i);
	while (again) {
		again = false;
		for (int i = cpulist_next(&bound, 0); i >= 0;
		     i = cpulist_next(&bound, (unsigned int)i + 1)) {
			if (!must_leave(promises, pools, (size_t)i, &bound))
				continue;
			cpulist_remove(&bound, (unsigned int)i);
			again = true;
		}
	}
	return bound;
}

unsigned long long promises_available(const struct promises *promises, const struct pools *pools,
				      const struct need *need)
{
	const struct cpulist bound = bound_of(promises, pools);

	return left_for(promises, pools, need, NO_NEED, &bound);
}

/* As it counts: preferred nodes bind, as long as they can give all */
static struct need counted(const struct needs *needs, size_t index, const struct cpulist *plain)
{
	struct need need = needs->needs[index];

	if (need.any && !cpulist_empty(&need.nodes) && plain &&
	    !cpulist_has(plain, (unsigned int)index))
		need.any = false;
	return need;
}

/* What the guest may take from the nodes of @need, up to its own need @index */
static unsigned long long taken_by_own(const struct need *need, const struct needs *needs,
				       size_t index, const struct cpulist *plain)
{
	unsigned long long taken = 0;

	for (size_t i = 0; i <= index; i++) {
		const struct need own = counted(needs, i, plain);

		if (need_meets(&own, need))
			taken += own.nr_pages;
	}
	return taken;
}

/* Pages that a need of the guest finds too few when all have taken theirs where they could */
static unsigned long long lack_of(const struct need *own, const struct needs *needs, size_t index,
				  const struct pools *pools, const struct promises *promises,
				  const struct cpulist *plain)
{
	unsigned long long there = promises_available(promises, pools, own);
	unsigned long long taken = taken_by_own(own, needs, index, plain);

	return taken > there ? taken - there : 0;
}

/*
 * Of the pages that another guest's need would find, those that the guest may take from it
 *
 * @others:	what still others may take there before it, and need not: what counts is how many of
 *		them do when it hurts most
 */
static unsigned long long robbed_of(const struct need *open, unsigned long long others,
				    const struct needs *needs, size_t index,
				    const struct pools *pools, const struct cpulist *plain)
{
	unsigned long long own = taken_by_own(open, needs, index, plain);
	unsigned long long worst = own < open->nr_pages ? own : open->nr_pages;
	unsigned long long there = pools_free_of(pools, open), found;
	unsigned long long least = there > others ? there - others : 0;

	there = worst < least ? least : worst < there ? worst : there;
	found = open->nr_pages < there ? open->nr_pages : there;
	there -= own < there ? own : there;
	return found > there ? found - there : 0;
}

/* The narrowest first: its pages serve the wider ones too */
static void lack_add(struct lack *lack, const struct need *need, unsigned long long nr_pages,
		     bool wish)
{
	if (nr_pages > lack->most)
		lack->most = nr_pages;
	if (nr_pages == 0 || (lack->nr_pages && need_width(need) >= need_width(&lack->need)))
		return;
	lack->need = *need;
	lack->nr_pages = nr_pages;
	lack->wish = wish;
}

static void lack_add_others(struct lack *lack, const struct needs *needs, size_t index,
			    const struct pools *pools, const struct promises *promises,
			    const struct cpulist *plain)
{
	const struct cpulist bound = bound_of(promises, pools);
	const struct need mine = counted(needs, index, plain);

	for (size_t i = 0; mine.nr_pages && i < promises->nr_open; i++) {
		const struct need open = open_need(promises, i, &bound);
		unsigned long long others = taken_by_open(promises, &open, i, &bound);

		if (open.nr_pages && need_meets(&open, &mine))
			lack_add(lack, &open, robbed_of(&open, others, needs, index, pools, plain),
				 true);
	}
}

struct lack needs_lack(const struct needs *needs, size_t index, const struct pools *pools,
		       const struct promises *promises, const struct cpulist *plain)
{
	const struct need mine = counted(needs, index, plain);
	struct lack lack = { 0 };

	if (mine.nr_pages == 0)
		return lack;
	lack_add(&lack, &mine, lack_of(&mine, needs, index, pools, promises, plain),
		 mine.any != needs->needs[index].any);
	if (cpulist_has(plain, (unsigned int)index))
		return lack;
	for (size_t i = 0; i < index; i++) {
		const struct need own = counted(needs, i, plain);

		if (own.nr_pages && need_meets(&own, &mine))
			lack_add(&lack, &own, lack_of(&own, needs, index, pools, promises, plain),
				 true);
	}
	lack_add_others(&lack, needs, index, pools, promises, plain);
	return lack;
}

unsigned long long needs_robbed(const struct needs *needs, size_t index, const struct pools *pools,
				const struct promises *promises, const struct cpulist *plain)
{
	struct lack lack = { 0 };

	lack_add_others(&lack, needs, index, pools, promises, plain);
	return lack.most;
}

unsigned long long needs_missing(const struct needs *needs, size_t index, const struct pools *pools,
				 const struct promises *promises)
{
	const struct need *need = &needs->needs[index];
	unsigned long long lack = lack_of(need, needs, index, pools, promises, NULL);
	unsigned long long robbed = needs_robbed(needs, index, pools, promises, NULL);

	lack = robbed > lack ? robbed : lack;
	return lack < need->nr_pages ? lack : need->nr_pages;
}

bool promises_last(const struct promises *promises, const struct pools *pools, size_t index)
{
	for (size_t i = 0; i < promises->lasting.nr; i++) {
		const struct need *need = &promises->lasting.needs[i];

		if (need->nr_pages && need->size_kib == pools->size_kib &&
		    need_covers(need, pools->pools[index].node))
			return true;
	}
	return false;
}

bool promises_open(const struct promises *promises, unsigned long long size_kib)
{
	for (size_t i = 0; i < promises->nr_open; i++)
		if (promises->open[i].left && promises->open[i].need.size_kib == size_kib)
			return true;
	return false;
}

/* What the guest of open[*@index] will map of the pages that are there. Moves *@index behind it */
static unsigned long long mapped_by_one(const struct promises *promises, const struct pools *pools,
					size_t *index, const struct cpulist *bound)
{
	unsigned long long left = promises->open[*index].left, mapped = 0;
	size_t first = promises->open[*index].first;

	for (; *index < promises->nr_open && promises->open[*index].first == first; ++*index) {
		const struct need open = open_need(promises, *index, bound);
		unsigned long long there = pools_free_of(pools, &open);

		if (open.size_kib == pools->size_kib)
			mapped += open.nr_pages < there ? open.nr_pages : there;
	}
	return mapped < left ? mapped : left;
}

/*
 * spare_on_host() - free pages of all nodes together that no mapping will want
 *
 * A mapping takes no page yet, but there must be as many free ones that nobody has reserved. Those
 * that a guest is still being given are there by then.
 * Source: mm/hugetlb.c hugetlb_acct_memory(), free_huge_pages less resv_huge_pages of the host
 */
static unsigned long long spare_on_host(const struct promises *promises, const struct pools *pools,
					const struct cpulist *bound)
{
	const struct need anywhere = { .size_kib = pools->size_kib, .any = true };
	unsigned long long nr_free = pools_free_of(pools, &anywhere);
	unsigned long long kept = promises_elsewhere(promises, pools);

	for (size_t i = 0; i < promises->nr_open;)
		kept += mapped_by_one(promises, pools, &i, bound);
	return nr_free > kept ? nr_free - kept : 0;
}

unsigned long long promises_removable(const struct promises *promises, const struct pools *pools,
				      size_t index)
{
	const struct cpulist bound = bound_of(promises, pools);
	unsigned long long limit = spare_on_host(promises, pools, &bound);

	if (limit > pools->pools[index].free)
		limit = pools->pools[index].free;
	for (size_t i = 0; i < promises->nr_open; i++) {
		const struct need open = open_need(promises, i, &bound);
		unsigned long long spare;

		if (open.nr_pages == 0 || open.size_kib != pools->size_kib ||
		    !need_covers(&open, pools->pools[index].node))
			continue;
		spare = left_for(promises, pools, &open, NO_NEED, &bound);
		limit = spare < limit ? spare : limit;
	}
	return limit;
}
