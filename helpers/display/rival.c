/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/rival.c - other guests with the same monitor */
#include <errno.h>
#include <string.h>

#include "../../lib/registry.h"
#include "../../lib/state.h"
#include "../../lib/text.h"
#include "display.h"

/* The first open record of a bus. Return: 1 with @ret filled, 0 there is none */
static int find_record(const struct journal *journal, const char *verb, unsigned int bus,
		       struct switch_record *ret)
{
	for (size_t i = 0; i < journal->nr; i++)
		if (record_is_open(&journal->records[i], verb, ret) && ret->bus == bus)
			return 1;
	return 0;
}

/* Return: 1 this claim's guest has switched the bus, or is about to, 0 not, else -errno */
static int has_switched(const struct helper_ctx *ctx, const struct claim *claim, unsigned int bus,
			struct rival *ret)
{
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, claim->uuid, false);
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	struct switch_record record, shown;
	int r = dirfd < 0 ? dirfd : journal_open(dirfd, DISPLAY_NAME, false, &journal);

	if (r < 0 || !find_record(&journal, VERB_SWITCH, bus, &record))
		return r;
	ret->host_input = record.host_input;
	ret->guest_input = record.guest_input;
	ret->source_address = record.source_address;
	ret->shown = find_record(&journal, VERB_SHOWN, bus, &shown);
	return 1;
}

static bool is_other_running(const struct helper_ctx *ctx, const struct claim *claim)
{
	return strcmp(claim->uuid, ctx->claim.uuid) != 0 && claim->state == CLAIM_RUNNING &&
	       process_alive(ctx->rootfd, &claim->owner) > 0;
}

static void name_guest(const struct claim *claim, struct rival *rival)
{
	_cleanup_free_ char *name = NULL;

	if (text_printable(claim->guest, &name) < 0)
		name = NULL;
	(void)snprintf(rival->guest, sizeof(rival->guest), "%s", name ?: "?");
}

int rival_find(const struct helper_ctx *ctx, unsigned int bus, unsigned long long qemu_start,
	       struct rival *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	unsigned long long last = 0;
	struct rival rival = { 0 };
	int found = 0, r = registry_load(ctx->statefd, &claims);

	if (r < 0)
		return r;
	for (size_t i = 0; i < claims.nr; i++) {
		const struct claim *claim = &claims.claims[i];

		/* One whose journal cannot be read has no say */
		if (claim->owner.start_time < last || !is_other_running(ctx, claim) ||
		    has_switched(ctx, claim, bus, &rival) <= 0)
			continue;
		last = claim->owner.start_time;
		*ret = rival;
		name_guest(claim, ret);
		ret->later = last > qemu_start;
		found = 1;
	}
	return found;
}

int rival_host_input(const struct helper_ctx *ctx, unsigned int bus, int *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	struct rival rival;
	int r = registry_load(ctx->statefd, &claims);

	if (r < 0)
		return r;
	for (size_t i = 0; i < claims.nr; i++) {
		if (has_switched(ctx, &claims.claims[i], bus, &rival) <= 0)
			continue;
		*ret = rival.host_input;
		return 1;
	}
	return 0;
}

static bool claim_names(const struct claim *claim, const struct edid *edid)
{
	_cleanup_display_list_ struct display_list list = { 0 };
	struct display_error err;

	if (displays_read(claim, &list, &err) < 0)
		return false;
	for (size_t i = 0; i < list.nr; i++)
		if (edid_matches(edid, list.displays[i].monitor))
			return true;
	return false;
}

int rival_wants(const struct helper_ctx *ctx, const struct edid *edid)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(ctx->statefd, &claims);

	if (r < 0)
		return r;
	for (size_t i = 0; i < claims.nr; i++)
		if (is_other_running(ctx, &claims.claims[i]) &&
		    claim_names(&claims.claims[i], edid))
			return 1;
	return 0;
}
