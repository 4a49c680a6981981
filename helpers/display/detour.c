/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/detour.c - the way back over other buses than the one that was recorded */
#include <errno.h>
#include <string.h>

#include "../../lib/log.h"
#include "display.h"

/* The buses that are searched, and on them the monitors to which something is to be given back */
struct detour {
	bool claimed;
	struct survey survey;
	struct giveback_list list; /* one for each bus, its record that of the entry it is for */
	size_t *entries;
};

static void detour_free(struct detour *detour)
{
	survey_free(&detour->survey);
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

/* On the host's own buses only what is gone from where it was */
static bool is_sought(const struct detour *detour, const struct giveback *entry)
{
	return detour->claimed ? entry->error < 0 : entry->error == -ENODEV && !entry->late;
}

/* A connector is the host's, and does not name a cable to the guest's devices */
static bool leads_to(const struct detour *detour, size_t bus, const struct giveback *entry,
		     const struct display *display)
{
	const struct probe *probe = &detour->survey.probes[bus];

	if (*entry->monitor.identity &&
	    (detour->claimed || !monitor_is_connector(display->monitor)))
		return probe->error == 0 && edid_is(&probe->edid, entry->monitor.identity);
	return monitor_is_on(&detour->survey.list.buses[bus], probe, display->monitor);
}

/*
 * Where no bus was known, nor was another guest asked for by bus: decide()
 *
 * Return: 1 with @ret the input to be written, 0 the monitor is another guest's already
 */
static int late_input(const struct helper_ctx *ctx, const struct edid *edid,
		      unsigned long long qemu_start, uint8_t *ret)
{
	struct rival rival;
	int r = rival_find_named(ctx, edid, qemu_start, &rival);

	if (r > 0 && rival.later && rival.shown)
		return 0;
	if (r > 0)
		*ret = rival.guest_input;
	return 1;
}

static void detour_add(struct detour *detour, const struct display *display,
		       const struct giveback *entry, size_t index, size_t bus)
{
	struct giveback *way = &detour->list.entries[detour->list.nr];

	*way = (struct giveback){ .record = entry->record,
				  .monitor = { .identity = "", .connector = "" },
				  .claimed = detour->claimed,
				  .input = entry->input };
	way->record.bus = detour->survey.list.buses[bus].number;
	way->record.source_address = display->source_address;
	detour->entries[detour->list.nr++] = index;
}

/*
 * Every bus the monitor is on: of two cables, a deaf one listens on one. Two that may as well be
 * two monitors are both left alone.
 */
static void detour_plan_one(const struct helper_ctx *ctx, struct giveback_list *list, size_t index,
			    const struct display *display, struct detour *detour)
{
	const struct probe *probes = detour->survey.probes;
	struct giveback *entry = &list->entries[index];
	size_t first = detour->list.nr;
	int found = -1;

	for (size_t i = 0; i < detour->survey.list.nr; i++) {
		if (!leads_to(detour, i, entry, display))
			continue;
		if (found >= 0 && !edid_same(&probes[found].edid, &probes[i].edid)) {
			detour->list.nr = first;
			entry->error = -ENOTUNIQ;
			return;
		}
		found = (int)i;
		detour_add(detour, display, entry, index, i);
	}
	if (found < 0 || !entry->late || probes[found].error < 0)
		return;
	if (late_input(ctx, &probes[found].edid, list->qemu_start, &entry->input) == 0) {
		detour->list.nr = first;
		entry->error = 0;
	}
	for (size_t i = first; i < detour->list.nr; i++)
		detour->list.entries[i].input = entry->input;
}

static int detour_plan(const struct helper_ctx *ctx, struct giveback_list *list,
		       struct detour *detour)
{
	_cleanup_display_list_ struct display_list displays = { 0 };
	size_t room = list->nr * detour->survey.list.nr + 1;
	struct display_error err;
	int r = displays_read(&ctx->claim, &displays, &err);

	detour->list.entries = calloc(room, sizeof(*detour->list.entries));
	detour->entries = calloc(room, sizeof(*detour->entries));
	if (!detour->list.entries || !detour->entries)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < list->nr; i++) {
		const struct display *display =
			display_of(&displays, list->entries[i].record.section);

		if (display && is_sought(detour, &list->entries[i]))
			detour_plan_one(ctx, list, i, display, detour);
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
		log_line(ctx->rootfd, LOG_INFO, "%s: [%s] input %u written back on i2c-%u, %s",
			 ctx->claim.guest, way->record.section, way->input, way->record.bus,
			 detour->claimed ? "of the guest's device" : "where the monitor is now");
	}
}

int detour_write(const struct helper_ctx *ctx, struct giveback_list *list, bool claimed,
		 int timeout_ms)
{
	_cleanup_(detour_free) struct detour detour = { .claimed = claimed };
	long long deadline = deadline_in(timeout_ms);
	int r = survey_take(ctx, claimed, timeout_ms / 2, &detour.survey);

	if (r == 0)
		r = detour_plan(ctx, list, &detour);
	if (r == 0 && detour.list.nr > 0)
		r = giveback_write(ctx, &detour.list, deadline_left(deadline));
	if (r == 0)
		detour_settle(ctx, &detour, list);
	return r;
}
