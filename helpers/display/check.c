/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/check.c - does each configured monitor answer, and will it when the guest runs */
#include <errno.h>
#include <string.h>

#include "../../lib/spawn.h"
#include "../../lib/text.h"
#include "display.h"

static bool is_required(const struct claim *claim)
{
	const char *required = inidoc_get(&claim->doc, "claim", "required");

	return required && text_has_word(required, " ", DISPLAY_NAME, strlen(DISPLAY_NAME));
}

/* What check looks at */
struct look {
	const struct helper_ctx *ctx;
	struct survey host, guest; /* the host's buses, and those of the guest's devices */
	struct journal journal;
};

static void look_close(struct look *look)
{
	survey_free(&look->host);
	survey_free(&look->guest);
	journal_close(&look->journal);
}

/*
 * Have we switched the monitor on this bus in this run of the guest. On some monitors, on their
 * active input alone, nobody listens then.
 */
static bool is_switched(const struct look *look, unsigned int bus)
{
	struct switch_record record;

	for (size_t i = 0; i < look->journal.nr; i++)
		if (record_is_open(&look->journal.records[i], VERB_SWITCH, &record) &&
		    record.bus == bus)
			return true;
	return false;
}

/* The guest's cable to the same monitor. Return: its index, -1 when there is none to be seen */
static int find_twin(const struct look *look, const struct display *display, size_t index)
{
	const struct probe *probe = &look->host.probes[index];
	const struct survey *guest = &look->guest;
	char identity[EDID_IDENTITY];

	if (probe->error < 0 || edid_identity(&probe->edid, identity) < 0)
		return -1;
	for (size_t i = 0; i < guest->list.nr; i++) {
		const struct bus *bus = &guest->list.buses[i];

		if (monitor_is_on(bus, &guest->probes[i], identity) ||
		    (!monitor_is_connector(display->monitor) &&
		     monitor_is_on(bus, &guest->probes[i], display->monitor)))
			return (int)i;
	}
	return -1;
}

static int tell_deaf(const struct look *look, const struct display *display, unsigned int heard,
		     unsigned int deaf)
{
	helper_say(look->ctx,
		   "[%s] monitor %s answers on its active input only (i2c-%u, not i2c-%u): once it "
		   "shows the guest, it hears the host no more; usher switches it back when the "
		   "guest's GPU is back, until then there are its own buttons",
		   display->section, display->monitor, heard, deaf);
	return -EIO;
}

/* Return: 0, -EIO (said) when only one of a monitor's two cables is listened to */
static int check_twin(const struct look *look, const struct display *display, size_t index)
{
	const struct probe *probe = &look->host.probes[index];
	unsigned int bus = look->host.list.buses[index].number;
	int twin = find_twin(look, display, index);
	const struct probe *other;

	if (twin < 0)
		return 0;
	other = &look->guest.probes[twin];
	if (probe_is_heard(other) && probe_is_deaf(probe))
		return tell_deaf(look, display, look->guest.list.buses[twin].number, bus);
	if (probe_is_heard(probe) && probe_is_deaf(other))
		return tell_deaf(look, display, bus, look->guest.list.buses[twin].number);
	return 0;
}

static int tell_silent_found(const struct look *look, const struct display *display, size_t index)
{
	const struct probe *probe = &look->host.probes[index];
	const struct helper_ctx *ctx = look->ctx;
	unsigned int bus = look->host.list.buses[index].number;

	if (probe->input_error == -EBUSY)
		helper_say(ctx,
			   "[%s] monitor %s on i2c-%u: a kernel driver holds its DDC address: "
			   "unload ddcci",
			   display->section, display->monitor, bus);
	else if (probe_is_deaf(probe) && is_switched(look, bus))
		helper_say(ctx,
			   "[%s] monitor %s answers on its active input only: since it shows the "
			   "guest, i2c-%u is deaf; usher switches it back when the guest's GPU is "
			   "back, until then there are its own buttons",
			   display->section, display->monitor, bus);
	else if (display->host_input < 0)
		helper_say(ctx,
			   "[%s] monitor %s on i2c-%u does not say which input the host is on: %s: "
			   "set host_input",
			   display->section, display->monitor, bus, strerror(-probe->input_error));
	else
		helper_say(ctx,
			   "[%s] monitor %s on i2c-%u has an EDID but does not answer to DDC/CI: "
			   "%s: switch DDC/CI on in its menu; if it answers only on its active "
			   "input, switching back may be impossible",
			   display->section, display->monitor, bus, strerror(-probe->input_error));
	return -EIO;
}

static int check_shared(const struct look *look, const struct display *display, unsigned int bus)
{
	struct rival rival;

	if (display->shared || rival_find(look->ctx, bus, 0, &rival) <= 0)
		return 0;
	helper_say(
		look->ctx,
		"[%s] monitor %s shows guest %s: shut that guest down first, or set shared = yes",
		display->section, display->monitor, rival.guest);
	return -EBUSY;
}

/* Return: 0, -EALREADY (said) when apply could not tell which input the host is on */
static int check_host_known(const struct look *look, const struct display *display, size_t index)
{
	const struct probe *probe = &look->host.probes[index];
	unsigned int bus = look->host.list.buses[index].number;
	int input;

	if (display->host_input >= 0 || probe->input_error < 0 ||
	    probe->input != display->guest_input || rival_host_input(look->ctx, bus, &input) > 0)
		return 0;
	helper_say(look->ctx,
		   "[%s] monitor %s on i2c-%u shows guest_input %d already, so nobody knows which "
		   "input the host is on: set host_input",
		   display->section, display->monitor, bus, display->guest_input);
	return -EALREADY;
}

static int check_found(const struct look *look, const struct display *display, size_t index)
{
	const struct probe *probe = &look->host.probes[index];
	int r = check_shared(look, display, look->host.list.buses[index].number);

	if (r == 0)
		r = check_twin(look, display, index);
	if (r == 0)
		r = check_host_known(look, display, index);
	/* -ENODATA: not asked, or a connector whose monitor was not there for EDID */
	if (r < 0 || probe->input_error == 0 || probe->input_error == -ENODATA)
		return r;
	return tell_silent_found(look, display, index);
}

/* The first bus that did not return. Return: its index, -1 when there is none */
static int find_hung(const struct survey *survey)
{
	for (size_t i = 0; i < survey->list.nr; i++)
		if (survey->list.buses[i].hung)
			return (int)i;
	return -1;
}

static void tell_missing(const struct look *look, const struct display *display)
{
	int twin = monitor_find(&look->guest.list, look->guest.probes, display->monitor);
	int hung = find_hung(&look->host);

	if (twin >= 0)
		helper_say(look->ctx,
			   "[%s] only i2c-%u leads to monitor %s, and the guest takes that device: "
			   "usher cannot switch it to the guest, and back only when the device is "
			   "back, to host_input",
			   display->section, look->guest.list.buses[twin].number, display->monitor);
	else if (hung >= 0)
		helper_say(look->ctx,
			   "[%s] monitor %s is on no bus that answers, and i2c-%u did not return "
			   "within %d ms: unplug the monitor there and plug it in again",
			   display->section, display->monitor, look->host.list.buses[hung].number,
			   PROBE_MS);
	else
		helper_say(
			look->ctx,
			"[%s] no monitor %s on any of %zu buses: plug it in and switch it on, or "
			"set monitor to what usher-display list prints",
			display->section, display->monitor, look->host.list.nr);
}

static int check_one(const struct look *look, const struct display *display)
{
	int index = monitor_find(&look->host.list, look->host.probes, display->monitor);

	if (index >= 0)
		return check_found(look, display, (size_t)index);
	if (index == -ENOTUNIQ)
		helper_say(look->ctx,
			   "[%s] several monitors answer to %s: add the serial, or name the "
			   "connector (usher-display list prints both)",
			   display->section, display->monitor);
	else
		tell_missing(look, display);
	return index;
}

/* Only those that are configured, each with its own source address */
static int ask_inputs(const struct helper_ctx *ctx, const struct display_list *list,
		      struct survey *survey)
{
	for (size_t i = 0; i < list->nr; i++)
		for (size_t j = 0; j < survey->list.nr; j++)
			if (monitor_is_on(&survey->list.buses[j], &survey->probes[j],
					  list->displays[i].monitor))
				survey->asks[j] = (struct probe_ask){
					.input = true,
					.source_address = list->displays[i].source_address,
				};
	return monitors_ask(ctx->rootfd, &survey->list, survey->asks, PROBE_MS, survey->probes);
}

/* Whoever is on the guest's devices, while they are the host's: a connector does not tell */
static int ask_guest_inputs(const struct helper_ctx *ctx, const struct display_list *list,
			    struct survey *survey)
{
	for (size_t i = 0; i < survey->list.nr; i++)
		survey->asks[i] = (struct probe_ask){
			.input = survey->probes[i].error == 0,
			.source_address = list->displays[0].source_address,
		};
	return monitors_ask(ctx->rootfd, &survey->list, survey->asks, PROBE_MS, survey->probes);
}

static int look_around(const struct helper_ctx *ctx, const struct display_list *list,
		       struct look *look)
{
	int r = survey_take(ctx, false, PROBE_MS, &look->host);

	if (r == 0)
		r = ask_inputs(ctx, list, &look->host);
	/* In a start, required or not, whoever has them open is in the way of their drivers */
	if (r == 0 && !helper_in_start(ctx))
		r = survey_take(ctx, true, PROBE_MS, &look->guest);
	if (r == 0 && look->guest.list.nr > 0)
		r = ask_guest_inputs(ctx, list, &look->guest);
	if (r == 0)
		r = journal_open(ctx->dirfd, DISPLAY_NAME, false, &look->journal);
	return r;
}

static enum helper_exit check_all(const struct helper_ctx *ctx, const struct display_list *list)
{
	_cleanup_(look_close) struct look look = { .ctx = ctx, .journal = { .fd = -1 } };
	int failed = 0, r = look_around(ctx, list, &look);

	if (r < 0) {
		helper_say(ctx, "cannot look for monitors: %s: see usher-display list",
			   strerror(-r));
		return HELPER_FAILED;
	}
	for (size_t i = 0; i < list->nr; i++)
		failed += check_one(&look, &list->displays[i]) < 0;
	return failed ? HELPER_FAILED : HELPER_DONE;
}

/*
 * A start does not wait for what a monitor has to say, however long it takes; the log has it. Nor
 * is it to be held up by a bus that hangs.
 */
static enum helper_exit check_aside(struct helper_ctx *ctx, const struct display_list *list)
{
	const int keep[] = { ctx->rootfd, ctx->dirfd, ctx->statefd };
	/* A claim may lie elsewhere, where there is no run/usher */
	pid_t pid = spawn_detached(keep, ARRAY_SIZE(keep) - (ctx->statefd < 0));

	if (pid < 0) {
		helper_say(ctx, "cannot look for monitors: %s: see ulimit -u", strerror(-pid));
		return HELPER_FAILED;
	}
	if (pid > 0)
		return HELPER_DONE;
	ctx->detached = true;
	(void)check_all(ctx, list);
	_exit(0);
}

enum helper_exit display_check(struct helper_ctx *ctx)
{
	_cleanup_display_list_ struct display_list list = { 0 };
	struct display_error err;
	int r = displays_read(&ctx->claim, &list, &err);

	if (r < 0) {
		helper_say(ctx, "%s", r == -EINVAL ? err.what : strerror(-r));
		return r == -EINVAL ? HELPER_USAGE : HELPER_FAILED;
	}
	if (buses_are_ready(ctx->rootfd))
		return helper_in_start(ctx) && !is_required(&ctx->claim) ? check_aside(ctx, &list)
									 : check_all(ctx, &list);
	/* apply loads it; check changes nothing */
	if (!helper_in_start(ctx))
		helper_say(ctx,
			   "the monitors cannot be looked at before i2c-dev is loaded: modprobe "
			   "i2c-dev");
	return HELPER_DONE;
}
