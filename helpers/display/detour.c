/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/detour.c - the way back over the guest's devices, when they are the host's again */
#include <errno.h>
#include <string.h>

#include "../../lib/log.h"
#include "display.h"

/* A monitor on a bus of the guest's devices, and what was to be given back there */
struct detour {
	struct giveback_list list; /* one for each bus, its record that of the entry it is for */
	size_t *entries;
};

static void detour_free(struct detour *detour)
{
	giveback_list_free(&detour->list);
	free(detour->entries);
}

static const struct display *display_of(const struct display_list *displays, const char *section)
{
	for (size_t i = 0; i < displays->nr; i++)
		if (strcmp(displays->displays[i].section, section) == 0)
			return &displays->displays[i];
	return NULL;
}

static void detour_add(struct detour *detour, const struct display *display,
		       const struct giveback *entry, size_t index, unsigned int bus)
{
	struct giveback *way = &detour->list.entries[detour->list.nr];

	*way = (struct giveback){ .record = entry->record, .input = entry->input };
	way->record.bus = bus;
	way->record.source_address = display->source_address;
	detour->entries[detour->list.nr++] = index;
}

/* Every bus a monitor is on: of two cables, a deaf one listens on one */
static int detour_plan(const struct helper_ctx *ctx, const struct giveback_list *list,
		       const struct bus_list *buses, const struct probe *probes, struct detour *ret)
{
	_cleanup_display_list_ struct display_list displays = { 0 };
	struct display_error err;
	int r = displays_read(&ctx->claim, &displays, &err);

	ret->list.entries = calloc(list->nr * buses->nr + 1, sizeof(*ret->list.entries));
	ret->entries = calloc(list->nr * buses->nr + 1, sizeof(*ret->entries));
	if (!ret->list.entries || !ret->entries)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < list->nr; i++) {
		const struct giveback *entry = &list->entries[i];
		const struct display *display = display_of(&displays, entry->record.section);

		for (size_t j = 0; display && entry->error < 0 && j < buses->nr; j++) {
			if (!monitor_is_on(&buses->buses[j], &probes[j], display->monitor))
				continue;
			/* Those with a bus have been asked for by bus: decide() */
			if (entry->late && probes[j].error == 0 &&
			    rival_wants(ctx, &probes[j].edid) > 0)
				continue;
			detour_add(ret, display, entry, i, buses->buses[j].number);
		}
	}
	return r;
}

static void detour_settle(const struct helper_ctx *ctx, const struct detour *detour,
			  struct giveback_list *list)
{
	for (size_t i = 0; i < detour->list.nr; i++) {
		const struct giveback *way = &detour->list.entries[i];

		if (way->error < 0)
			continue;
		list->entries[detour->entries[i]].error = 0;
		log_line(ctx->rootfd, LOG_INFO,
			 "%s: [%s] input %u written back on i2c-%u, of the guest's device",
			 ctx->claim.guest, way->record.section, way->input, way->record.bus);
	}
}

int detour_write(const struct helper_ctx *ctx, struct giveback_list *list, int timeout_ms)
{
	_cleanup_bus_list_ struct bus_list buses = { 0 };
	_cleanup_free_ struct probe *probes = NULL;
	_cleanup_(detour_free) struct detour detour = { 0 };
	long long deadline = deadline_in(timeout_ms);
	int r = buses_find_claimed(ctx->rootfd, &ctx->claim, &buses);

	if (r < 0 || buses.nr == 0)
		return r;
	r = monitors_identify(ctx->rootfd, &buses, timeout_ms / 2, &probes);
	if (r == 0)
		r = detour_plan(ctx, list, &buses, probes, &detour);
	if (r == 0 && detour.list.nr > 0)
		r = giveback_write(ctx, &detour.list, deadline_left(deadline));
	if (r == 0)
		detour_settle(ctx, &detour, list);
	return r;
}
