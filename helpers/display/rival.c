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

	if (r < 0)
		return r;
	if (!find_record(&journal, VERB_SWITCH, bus, &record))
		return 0;
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

/* @has: has this claim's guest the monitor. Return: 1 with @ret filled, 0 not, else -errno */
struct asked {
	int (*has)(const struct helper_ctx *ctx, const struct claim *claim, const void *what,
		   struct rival *ret);
	const void *what;
};

static int find(const struct helper_ctx *ctx, const struct asked *asked,
		unsigned long long qemu_start, struct rival *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	unsigned long long last = 0;
	int found = 0, r = registry_load(ctx->statefd, &claims);

	if (r < 0)
		return r;
	for (size_t i = 0; i < claims.nr; i++) {
		const struct claim *claim = &claims.claims[i];
		struct rival rival = { 0 };

		/* One whose journal cannot be read has no say */
		if (claim->owner.start_time < last || !is_other_running(ctx, claim) ||
		    asked->has(ctx, claim, asked->what, &rival) <= 0)
			continue;
		last = claim->owner.start_time;
		*ret = rival;
		name_guest(claim, ret);
		ret->later = last > qemu_start;
		found = 1;
	}
	return found;
}

static int has_bus(const struct helper_ctx *ctx, const struct claim *claim, const void *what,
		   struct rival *ret)
{
	const unsigned int *bus = what;

	return has_switched(ctx, claim, *bus, ret);
}

int rival_find(const struct helper_ctx *ctx, unsigned int bus, unsigned long long qemu_start,
	       struct rival *ret)
{
	const struct asked asked = { has_bus, &bus };

	return find(ctx, &asked, qemu_start, ret);
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

/* Return: 1 the monitor has taken the input of this section, whatever bus it was on; 0 */
static int is_shown(const struct helper_ctx *ctx, const struct claim *claim, const char *section)
{
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, claim->uuid, false);
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	struct switch_record record;

	if (dirfd < 0 || journal_open(dirfd, DISPLAY_NAME, false, &journal) < 0)
		return 0;
	for (size_t i = 0; i < journal.nr; i++)
		if (record_is_open(&journal.records[i], VERB_SHOWN, &record) &&
		    strcmp(record.section, section) == 0)
			return 1;
	return 0;
}

static int names(const struct helper_ctx *ctx, const struct claim *claim, const void *what,
		 struct rival *ret)
{
	_cleanup_display_list_ struct display_list list = { 0 };
	const struct edid *edid = what;
	struct display_error err;

	if (displays_read(claim, &list, &err) < 0)
		return 0;
	for (size_t i = 0; i < list.nr; i++) {
		const struct display *display = &list.displays[i];

		if (!edid_matches(edid, display->monitor))
			continue;
		ret->guest_input = (uint8_t)display->guest_input;
		ret->source_address = display->source_address;
		ret->shown = is_shown(ctx, claim, display->section);
		return 1;
	}
	return 0;
}

int rival_find_named(const struct helper_ctx *ctx, const struct edid *edid,
		     unsigned long long qemu_start, struct rival *ret)
{
	const struct asked asked = { names, edid };

	return find(ctx, &asked, qemu_start, ret);
}
