/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/foretell.c - what settle will write, told before the guest runs */
#include <string.h>

#include "hugepages.h"

/*
 * How it works
 *
 * A dry run of apply says what pools and ledger will have come to (step.c). From there QEMU is taken
 * to have its pages, and settle's own code goes on.
 *
 * On which nodes it takes them is the kernel's choice where a need names several or none: those that
 * have been added for it are the likely ones, and then those that lay ready.
 */

/*
 * take() - free pages become pages in use, *@left at most
 * @added:	only as many as have been added for the guest
 */
static void take(const struct helper_ctx *ctx, const struct view *view, const struct need *need,
		 bool added, unsigned long long *left)
{
	struct pools *pools = view_find(view, need->size_kib);

	for (size_t i = 0; pools && i < pools->nr; i++) {
		struct pool *pool = &pools->pools[i];
		unsigned long long held =
			ledger_held(&view->ledger, need->size_kib, pool->node, ctx->claim.uuid);
		unsigned long long nr = pool->free < *left ? pool->free : *left;

		if (!need_covers(need, pool->node))
			continue;
		held -= pool->taken < held ? pool->taken : held;
		if (added && nr > held)
			nr = held;
		pool->free -= nr;
		pool->taken += nr;
		*left -= nr;
	}
}

static void take_need(const struct helper_ctx *ctx, const struct view *view,
		      const struct need *need)
{
	unsigned long long left = need->nr_pages;
	struct need first = *need;

	first.any = need->any && cpulist_empty(&need->nodes);
	take(ctx, view, &first, true, &left);
	take(ctx, view, &first, false, &left);
	take(ctx, view, need, true, &left);
	take(ctx, view, need, false, &left);
}

/* Of an apply that will fail nothing is told: it says so itself */
static int foretell(const struct helper_ctx *ctx, const struct needs *needs)
{
	_cleanup_view_ struct view view = VIEW_CLOSED;
	int r = needs_foretell(ctx, needs, &view);

	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < needs->nr; i++)
		take_need(ctx, &view, &needs->needs[i]);
	return give_back_foretell(ctx, &view);
}

enum helper_exit settle_foretell(const struct helper_ctx *ctx)
{
	_cleanup_needs_ struct needs needs = { 0 };
	enum helper_exit e = needs_read(ctx, &needs);
	int r;

	if (e != HELPER_DONE || needs.nr == 0)
		return e;
	if (!gives_back_at_start(ctx->rootfd, &ctx->claim)) {
		keeps_say(ctx);
		return HELPER_DONE;
	}
	r = foretell(ctx, &needs);
	if (r == 0)
		return HELPER_DONE;
	helper_say(ctx,
		   "cannot tell what is done with its huge pages when it has started: %s: see "
		   "usher-hugepages check, and then apply",
		   strerror(-r));
	return HELPER_FAILED;
}
