/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage.c - the line the user reads when there are not enough pages */
#include <stdio.h>
#include <string.h>

#include "../../lib/registry.h"
#include "hugepages.h"

#define TEXT_MAX 512

/* For a line of text */
#define LOCK_MS 1000

/* Who holds most of what this need could be met from, by the claims */
struct holder {
	const char *guest;
	unsigned long long nr_pages;
};

static void look_at(const struct helper_ctx *ctx, const struct need *need,
		    const struct claim *claim, struct holder *best)
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
	*best = (struct holder){ .guest = claim->guest, .nr_pages = nr_pages };
}

static void stop_guest(const struct helper_ctx *ctx, const struct need *need, char *buf,
		       size_t size)
{
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_free_ char *guest = NULL;
	struct holder best = { 0 };

	*buf = '\0';
	if (registry_load(ctx->statefd, &claims) < 0)
		return;
	for (size_t i = 0; i < claims.nr; i++)
		look_at(ctx, need, &claims.claims[i], &best);
	if (best.guest && text_printable(best.guest, &guest) == 0)
		(void)snprintf(buf, size, "stop guest %s, which holds %llu, ", guest,
			       best.nr_pages);
}

/* Why there are no more */
static void reason_text(const struct helper_ctx *ctx, const struct shortage *shortage, char *buf,
			size_t size)
{
	unsigned long long available = 0, reserve = 0;

	switch (shortage->reason) {
	case SHORT_MEMORY:
		if (memory_available(ctx->rootfd, &available) == 0 &&
		    memory_reserve(ctx, &reserve) == 0)
			(void)snprintf(buf, size,
				       "%llu MiB of memory are available, %llu MiB of it kept for "
				       "the host",
				       available / 1024, reserve / 1024);
		else
			(void)snprintf(buf, size, "memory is short");
		break;
	case SHORT_TIME:
		(void)snprintf(buf, size, "the time for it ran out");
		break;
	default:
		(void)snprintf(buf, size, "the kernel finds no more memory in one piece");
		break;
	}
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

void shortage_say(const struct helper_ctx *ctx, const struct needs *needs,
		  const struct shortage *shortage)
{
	const struct need *need = &needs->needs[shortage->need];
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX], reason[TEXT_MAX], stop[TEXT_MAX];
	_cleanup_pools_ struct pools pools = { 0 };
	unsigned long long lacking = need->nr_pages;

	if (pools_read(ctx->rootfd, need->size_kib, &pools) == 0)
		lacking = missing_now(ctx, needs, shortage->need, &pools);
	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	reason_text(ctx, shortage, reason, sizeof(reason));
	stop_guest(ctx, need, stop, sizeof(stop));
	helper_say(
		ctx,
		"cannot get %llu huge pages of %s %s: %llu are missing beside %llu free ones and "
		"%llu more that could be made (%s): %slower the guest's memory, or boot with "
		"hugepagesz=%lluK hugepages=%llu",
		need->nr_pages, name, where, shortage->missing, need->nr_pages - lacking,
		lacking > shortage->missing ? lacking - shortage->missing : 0, reason, stop,
		need->size_kib, boot_pages(&pools, lacking));
}
