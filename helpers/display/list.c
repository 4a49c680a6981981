/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/list.c - list and check: who answers, and what to paste into a policy */
#include <errno.h>
#include <string.h>

#include "../../lib/text.h"
#include "ddc.h"
#include "display.h"

/*
 * In prepare the start waits for check: an EDID that is read in the normal time (13 ms at 100 kHz)
 * is in by then; a bus that hangs is not waited for, and DDC/CI with its pauses not tried.
 */
#define PREPARE_MS 80
#define MODULE_MS  5000

/* A look at all buses */
struct survey {
	struct bus_list list;
	struct probe *probes;
	struct probe_ask *asks; /* of the second round: inputs */
};

static void survey_free(struct survey *survey)
{
	bus_list_free(&survey->list);
	free(survey->probes);
	free(survey->asks);
}

static int survey_take(const struct helper_ctx *ctx, int timeout_ms, struct survey *ret)
{
	int r = buses_find(ctx->rootfd, &ctx->claim, &ret->list);

	if (r == 0)
		ret->asks = calloc(ret->list.nr + 1, sizeof(*ret->asks));
	if (r == 0 && !ret->asks)
		r = -ENOMEM;
	return r < 0 ? r : monitors_identify(ctx->rootfd, &ret->list, timeout_ms, &ret->probes);
}

/* --- list ----------------------------------------------------------------------------------------- */

static int print_monitor(const struct bus *bus, const struct probe *probe)
{
	_cleanup_free_ char *name = NULL;
	char identity[EDID_IDENTITY], input[64];
	int r = edid_identity(&probe->edid, identity);

	if (r == 0)
		r = text_printable(probe->edid.name, &name);
	if (r < 0)
		return r;
	if (probe->input_error == 0)
		(void)snprintf(input, sizeof(input), "%u (0x%02x)", probe->input, probe->input);
	else
		(void)snprintf(input, sizeof(input), "no DDC/CI: %s",
			       strerror(-probe->input_error));
	(void)printf("i2c-%-4u %-16s %-26s %-14s %s\n", bus->number, bus->connector, identity, name,
		     input);
	return 0;
}

/* A bus with nobody on it is no news; one that hangs, or may not be opened, is */
static void tell_silent(const struct bus *bus, const struct probe *probe)
{
	if (bus->hung)
		(void)fprintf(stderr, "usher: i2c-%u did not return within %d ms\n", bus->number,
			      PROBE_MS);
	else if (probe->error == -EACCES || probe->error == -EPERM || probe->error == -EBUSY)
		(void)fprintf(stderr, "usher: cannot read i2c-%u: %s\n", bus->number,
			      strerror(-probe->error));
}

static int print_survey(const struct survey *survey)
{
	int found = 0, r = 0;

	for (size_t i = 0; r == 0 && i < survey->list.nr; i++) {
		if (survey->probes[i].error < 0) {
			tell_silent(&survey->list.buses[i], &survey->probes[i]);
			continue;
		}
		if (found++ == 0)
			(void)printf("%-8s %-16s %-26s %-14s %s\n", "BUS", "CONNECTOR", "MONITOR",
				     "NAME", "INPUT");
		r = print_monitor(&survey->list.buses[i], &survey->probes[i]);
	}
	return r < 0 ? r : found;
}

static int ask_all_inputs(const struct helper_ctx *ctx, struct survey *survey)
{
	for (size_t i = 0; i < survey->list.nr; i++)
		survey->asks[i] = (struct probe_ask){ .input = survey->probes[i].error == 0,
						      .source_address = DDC_SOURCE };
	return monitors_ask(ctx->rootfd, &survey->list, survey->asks, PROBE_MS, survey->probes);
}

int display_list(struct helper_ctx *ctx, int argc, char **argv)
{
	_cleanup_(survey_free) struct survey survey = { 0 };
	int r;

	(void)argc, (void)argv;
	r = ctx->dry_run ? 0 : buses_ready(ctx->rootfd, MODULE_MS);
	if (r < 0) {
		(void)fprintf(
			stderr,
			"usher: cannot load i2c-dev: %s: modprobe i2c-dev, as root, says more\n",
			r == -ENOENT ? "this kernel has no such module" : strerror(-r));
		return HELPER_FAILED;
	}
	r = survey_take(ctx, PROBE_MS, &survey);
	if (r == 0)
		r = ask_all_inputs(ctx, &survey);
	if (r == 0)
		r = print_survey(&survey);
	if (r > 0)
		return HELPER_DONE;
	if (r < 0)
		(void)fprintf(stderr, "usher: cannot look for monitors: %s\n", strerror(-r));
	else
		(void)fprintf(stderr, "usher: no monitor answers on any of %zu buses\n",
			      survey.list.nr);
	return HELPER_FAILED;
}

/* --- check ---------------------------------------------------------------------------------------- */

static bool is_required(const struct claim *claim)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	const char *required = inidoc_get(&claim->doc, "claim", "required");

	return required && text_split(required, " ", &words) == 0 &&
	       strlist_has(&words, DISPLAY_NAME);
}

/* A bus that did not answer in the short time of prepare is no reason to complain */
static bool any_hung(const struct survey *survey)
{
	for (size_t i = 0; i < survey->list.nr; i++)
		if (survey->list.buses[i].hung)
			return true;
	return false;
}

static int check_found(const struct helper_ctx *ctx, const struct display *display,
		       const struct survey *survey, size_t index)
{
	const struct probe *probe = &survey->probes[index];
	unsigned int bus = survey->list.buses[index].number;

	/* -ENODATA: not asked, or a connector whose monitor was not there for EDID */
	if (probe->input_error == 0 || probe->input_error == -ENODATA)
		return 0;
	if (probe->input_error == -EBUSY)
		helper_say(ctx,
			   "[%s] monitor %s on i2c-%u: a kernel driver holds its DDC address: "
			   "unload ddcci",
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

static int check_one(const struct helper_ctx *ctx, const struct display *display,
		     const struct survey *survey, bool hurried)
{
	int index = monitor_find(&survey->list, survey->probes, display->monitor);

	if (index >= 0)
		return check_found(ctx, display, survey, (size_t)index);
	if (index == -ENOTUNIQ)
		helper_say(ctx,
			   "[%s] several monitors answer to %s: add the serial, or name the "
			   "connector (usher-display list prints both)",
			   display->section, display->monitor);
	else if (hurried && any_hung(survey))
		return 0;
	else
		helper_say(
			ctx,
			"[%s] no monitor %s on any of %zu buses: plug it in and switch it on, or "
			"set monitor to what usher-display list prints",
			display->section, display->monitor, survey->list.nr);
	return index;
}

/* Only those that are configured, each with its own source address */
static int ask_inputs(const struct helper_ctx *ctx, const struct display_list *list,
		      struct survey *survey)
{
	for (size_t i = 0; i < list->nr; i++) {
		int index = monitor_find(&survey->list, survey->probes, list->displays[i].monitor);

		if (index >= 0)
			survey->asks[index] = (struct probe_ask){
				.input = true,
				.source_address = list->displays[i].source_address,
			};
	}
	return monitors_ask(ctx->rootfd, &survey->list, survey->asks, PROBE_MS, survey->probes);
}

static enum helper_exit check_all(const struct helper_ctx *ctx, const struct display_list *list)
{
	bool hurried = ctx->claim.state == CLAIM_PREPARING && !is_required(&ctx->claim);
	_cleanup_(survey_free) struct survey survey = { 0 };
	int failed = 0, r = survey_take(ctx, hurried ? PREPARE_MS : PROBE_MS, &survey);

	if (r == 0 && !hurried)
		r = ask_inputs(ctx, list, &survey);
	if (r < 0) {
		helper_say(ctx, "cannot look for monitors: %s", strerror(-r));
		return HELPER_FAILED;
	}
	for (size_t i = 0; i < list->nr; i++)
		failed += check_one(ctx, &list->displays[i], &survey, hurried) < 0;
	return failed ? HELPER_FAILED : HELPER_DONE;
}

enum helper_exit display_check(struct helper_ctx *ctx)
{
	_cleanup_display_list_ struct display_list list = { 0 };
	struct display_error err;
	int r = displays_read(&ctx->claim, &list, &err);

	if (r < 0) {
		helper_say(ctx, "%s", r == -EINVAL ? err.what : strerror(-r));
		return HELPER_FAILED;
	}
	if (buses_are_ready(ctx->rootfd))
		return check_all(ctx, &list);
	/* apply loads it; check changes nothing */
	if (ctx->claim.state != CLAIM_PREPARING)
		helper_say(ctx,
			   "the monitors cannot be looked at before i2c-dev is loaded: modprobe "
			   "i2c-dev");
	return HELPER_DONE;
}
