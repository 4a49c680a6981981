/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/show.c - what there is now, for a person */
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "hugepages.h"

static int show_need(const struct helper_ctx *ctx, const struct needs *needs, size_t index,
		     const struct promises *promises)
{
	const struct need *need = &needs->needs[index];
	_cleanup_pools_ struct pools pools = { 0 };
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
	int r = pools_read(ctx->rootfd, need->size_kib, &pools);

	if (r < 0)
		return r;
	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	(void)printf("%s %s: need %llu, free %llu, missing %llu\n", name, where, need->nr_pages,
		     pools_free_of(&pools, need), needs_missing(needs, index, &pools, promises));
	return 0;
}

int hugepages_show(struct helper_ctx *ctx, int argc, char **argv)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_promises_ struct promises promises = { 0 };
	_cleanup_needs_ struct needs needs = { 0 };
	enum helper_exit e = needs_read(ctx, &needs);
	int r;

	(void)argc, (void)argv;
	if (e == HELPER_DONE)
		e = needs_check(ctx, &needs);
	if (e != HELPER_DONE)
		return (int)e;
	/* It only looks, so it does not wait for the lock either */
	ctx->dry_run = true;
	r = ledger_open(ctx, 0, true, &ledger);
	if (r == 0)
		r = promises_load(ctx, &ledger, ctx->claim.uuid, &promises);
	for (size_t i = 0; r == 0 && i < needs.nr; i++)
		r = show_need(ctx, &needs, i, &promises);
	if (r < 0)
		helper_say(ctx, "cannot read the pools of huge pages: %s", strerror(-r));
	return r < 0 ? HELPER_FAILED : HELPER_DONE;
}
