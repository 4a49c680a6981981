/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/rival.c - other guests with the same monitor */
#include <errno.h>
#include <string.h>

#include "../../lib/registry.h"
#include "../../lib/state.h"
#include "display.h"

/* Return: 1 this claim's guest has switched the bus, 0 not, else -errno */
static int has_switched(const struct helper_ctx *ctx, const struct claim *claim, unsigned int bus,
			struct rival *ret)
{
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, claim->uuid, false);
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	struct switch_record record;
	int r = dirfd < 0 ? dirfd : journal_open(dirfd, DISPLAY_NAME, false, &journal);

	if (r < 0)
		return r;
	for (size_t i = 0; i < journal.nr; i++) {
		const struct journal_record *line = &journal.records[i];

		if (line->undone || strcmp(line->verb, VERB_SWITCH) != 0 ||
		    record_parse_switch(line, &record) < 0 || record.bus != bus)
			continue;
		ret->host_input = record.host_input;
		ret->guest_input = record.guest_input;
		return 1;
	}
	return 0;
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
		if (strcmp(claim->uuid, ctx->claim.uuid) == 0 || claim->state != CLAIM_RUNNING ||
		    claim->owner.start_time < last ||
		    process_alive(ctx->rootfd, &claim->owner) <= 0 ||
		    has_switched(ctx, claim, bus, &rival) <= 0)
			continue;
		last = claim->owner.start_time;
		*ret = rival;
		ret->later = last > qemu_start;
		found = 1;
	}
	return found;
}
