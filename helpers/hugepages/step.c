/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/step.c - one step of growing: look at everything, add to one pool */
#include <errno.h>

#include "../../lib/deadline.h"
#include "hugepages.h"

/* What one write may ask for: others wait for the ledger meanwhile */
#define STEP_KIB (512ULL * 1024)

/*
 * Memory for all of a guest beside the whole reserve is what its first page takes. From then on this
 * part of the reserve may go: to others that grow meanwhile, and to MemAvailable, which counts page
 * cache and free memory differently.
 * Seen on: Linux 6.12, 4 GiB: 30 MiB less of it after 3 GiB of page cache had been reclaimed
 */
#define RESERVE_YIELDS 2

/* What one step looks at, all of one moment */
struct view {
	struct ledger ledger;
	struct promises promises;
	struct pools *sizes; /* of every page size needed */
	size_t nr_sizes;
};

static void view_close(struct view *view)
{
	for (size_t i = 0; i < view->nr_sizes; i++)
		pools_free(&view->sizes[i]);
	free(view->sizes);
	ledger_close(&view->ledger);
	promises_free(&view->promises);
}

static struct pools *view_find(const struct view *view, unsigned long long size_kib)
{
	for (size_t i = 0; i < view->nr_sizes; i++)
		if (view->sizes[i].size_kib == size_kib)
			return &view->sizes[i];
	return NULL;
}

static int view_read(const struct growth *growth, struct view *view)
{
	const struct needs *needs = growth->needs;

	view->sizes = calloc(needs->nr ?: 1, sizeof(*view->sizes));
	if (!view->sizes)
		return -ENOMEM;
	for (size_t i = 0; i < needs->nr; i++) {
		int r;

		if (view_find(view, needs->needs[i].size_kib))
			continue;
		r = pools_read(growth->ctx->rootfd, needs->needs[i].size_kib,
			       &view->sizes[view->nr_sizes]);
		if (r < 0)
			return r;
		view->nr_sizes++;
	}
	return 0;
}

unsigned long long needs_missing(const struct needs *needs, size_t index, const struct pools *pools,
				 const struct promises *promises)
{
	const struct need *need = &needs->needs[index];
	unsigned long long there = promises_available(promises, pools, need);

	for (size_t i = 0; i < index; i++) {
		unsigned long long taken = needs->needs[i].nr_pages;

		if (need_meets(&needs->needs[i], need))
			there -= taken < there ? taken : there;
	}
	return need->nr_pages > there ? need->nr_pages - there : 0;
}

static unsigned long long missing(const struct growth *growth, const struct view *view,
				  size_t index)
{
	const struct pools *pools = view_find(view, growth->needs->needs[index].size_kib);

	return needs_missing(growth->needs, index, pools, &view->promises);
}

/* What the host keeps in any case */
static unsigned long long kept_kib(const struct growth *growth)
{
	return growth->accepted ? growth->reserve_kib - growth->reserve_kib / RESERVE_YIELDS
				: growth->reserve_kib;
}

/* Return: 1 when what the need lacks does not fit on its nodes, 0 (also when that is not known) */
static int nodes_short(const struct growth *growth, const struct view *view)
{
	const struct need *need = &growth->needs->needs[growth->current];
	unsigned long long wanted = missing(growth, view, growth->current) * need->size_kib;
	unsigned long long sum = 0, kib;
	struct cpulist nodes, all;

	/* The host's own number is the better one where all nodes will do */
	if (need->any || need_nodes(growth->ctx->rootfd, need, &nodes, &all) < 0)
		return 0;
	for (int node = cpulist_next(&nodes, 0); node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1)) {
		if (memory_spare(growth->ctx, node, kept_kib(growth), &kib) < 0)
			return 0;
		sum += kib;
	}
	return wanted > sum + growth->pretended_kib;
}

/* Return: 1 when all that is missing does not fit beside what the host keeps, 0, else -errno */
static int memory_short(const struct growth *growth, const struct view *view)
{
	unsigned long long available, wanted = kept_kib(growth);
	int r = memory_available(growth->ctx->rootfd, &available);

	for (size_t i = growth->current; i < growth->needs->nr; i++)
		wanted += missing(growth, view, i) * growth->needs->needs[i].size_kib;
	if (r < 0 || wanted > available + growth->pretended_kib)
		return r < 0 ? r : 1;
	return nodes_short(growth, view);
}

/* Return: the pools of the first need that lacks pages, growth->current set; NULL for none */
static struct pools *first_missing(struct growth *growth, const struct view *view)
{
	for (size_t i = 0; i < growth->needs->nr; i++) {
		if (missing(growth, view, i) == 0)
			continue;
		if (i != growth->current) {
			growth->current = i;
			growth->spent = (struct cpulist){ 0 };
			growth->ahead = false;
			growth->lever = 0;
			growth->pulls = 0;
			growth->gained = 0;
		}
		return view_find(view, growth->needs->needs[i].size_kib);
	}
	return NULL;
}

static unsigned long long held(const struct growth *growth, const struct view *view,
			       const struct pools *pools, size_t index)
{
	return ledger_held(&view->ledger, pools->size_kib, pools->pools[index].node,
			   growth->ctx->claim.uuid);
}

static bool usable(const struct growth *growth, const struct pools *pools, size_t index)
{
	return need_covers(&growth->needs->needs[growth->current], pools->pools[index].node) &&
	       !cpulist_has(&growth->spent, (unsigned int)index);
}

/*
 * Spread evenly over the nodes that will do: every pool is filled up to the same level of pages
 * held, the emptiest first.
 *
 * Return: the pages to add to pool *@ret_index, 0 when all pools are spent
 */
static unsigned long long pick(const struct growth *growth, const struct view *view,
			       const struct pools *pools, size_t *ret_index)
{
	unsigned long long most = STEP_KIB / pools->size_kib ?: 1;
	unsigned long long lacking = missing(growth, view, growth->current);
	unsigned long long sum = lacking, least = -1ULL, share;
	size_t nr = 0;

	for (size_t i = 0; i < pools->nr; i++) {
		unsigned long long has = held(growth, view, pools, i);

		if (!usable(growth, pools, i))
			continue;
		nr++;
		sum += has;
		if (has < least) {
			least = has;
			*ret_index = i;
		}
	}
	if (nr == 0)
		return 0;
	share = (sum + nr - 1) / nr - least;
	share = share < lacking ? share : lacking;
	return share < most ? share : most;
}

/* Free pages come on top of what is there: surplus in use is taken back along the way */
static int step(struct growth *growth, struct view *view, struct pools *pools, size_t index,
		unsigned long long nr)
{
	unsigned long long before = pools->pools[index].nr;
	unsigned long long after;
	int r = ledger_change(growth->ctx, &view->ledger, pools, index, before + nr,
			      growth->ctx->claim.uuid);

	if (r < 0)
		return r;
	after = pools->pools[index].nr;
	growth->shortage.missing = missing(growth, view, growth->current);
	growth->gained += after > before ? after - before : 0;
	if (after < before + nr)
		cpulist_add(&growth->spent, (unsigned int)index);
	return STEP_GO_ON;
}

static int grow_once(struct growth *growth, struct view *view)
{
	struct pools *pools = first_missing(growth, view);
	unsigned long long nr;
	size_t index = 0;
	int r;

	if (!pools)
		return STEP_ALL_THERE;
	growth->shortage.missing = missing(growth, view, growth->current);
	r = memory_short(growth, view);
	if (r != 0)
		return r < 0 ? r : STEP_NO_MEMORY;
	growth->accepted = true;
	if (!growth->ahead) {
		growth->ahead = true;
		return STEP_AHEAD;
	}
	nr = pick(growth, view, pools, &index);
	return nr ? step(growth, view, pools, index, nr) : STEP_SPENT;
}

/* From here on others leave the guest's pages alone */
static int promise(struct growth *growth, struct ledger *ledger)
{
	const char *uuid = growth->ctx->claim.uuid;
	int r;

	growth->begun = !growth->ctx->dry_run;
	if (strlist_has(&ledger->promised, uuid))
		return 0;
	r = ledger_promise(ledger, uuid);
	return r < 0 || growth->ctx->dry_run ? r : ledger_store(ledger);
}

static int view_open(struct growth *growth, struct view *view)
{
	const struct helper_ctx *ctx = growth->ctx;
	int r = ledger_open(ctx, deadline_left(growth->deadline), true, &view->ledger);

	if (r == 0)
		r = ledger_sync(ctx, &view->ledger);
	if (r == 0)
		r = promise(growth, &view->ledger);
	if (r == 0)
		r = promises_load(ctx, &view->ledger, ctx->claim.uuid, &view->promises);
	return r < 0 ? r : view_read(growth, view);
}

int grow_step(struct growth *growth)
{
	_cleanup_(view_close) struct view view = { .ledger = LEDGER_CLOSED };
	int r = view_open(growth, &view);

	if (r == 0)
		r = grow_once(growth, &view);
	/* What a dry run pretends is in this view only */
	while ((r == STEP_GO_ON || r == STEP_AHEAD) && growth->ctx->dry_run)
		r = grow_once(growth, &view);
	return r;
}
