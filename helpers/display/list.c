/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/list.c - who answers, and what to paste into a policy */
#include <errno.h>
#include <string.h>

#include "../../lib/input.h"
#include "../../lib/text.h"
#include "ddc.h"
#include "display.h"

#define MODULE_MS 5000
/* 100 ms for each 32 bytes of a string that has up to 700, and all its retries */
#define OFFERS_MS 5000

/* As a policy has them: "dp1 hdmi1 0x90" */
static void format_offers(const struct caps_inputs *offers, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < offers->nr && len < size; i++) {
		const char *name = input_name(offers->inputs[i]);
		int n = name ? snprintf(buf + len, size - len, " %s", name)
			     : snprintf(buf + len, size - len, " 0x%02x", offers->inputs[i]);

		len += (size_t)n;
	}
}

static int print_monitor(const struct bus *bus, const struct probe *probe)
{
	_cleanup_free_ char *name = NULL;
	char identity[EDID_IDENTITY], input[64], offers[CAPS_INPUTS_MAX * 8];
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
	format_offers(&probe->offers, offers, sizeof(offers));
	(void)printf("i2c-%-4u %-16s %-26s %-14s %s%s%s\n", bus->number, bus->connector, identity,
		     name, input, *offers ? "; offers" : "", offers);
	return 0;
}

/* Not what a bus answers when nobody is there */
static bool was_not_asked(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENOMEM || error == -EAGAIN ||
	       error == -EMFILE || error == -ENFILE;
}

/*
 * A bus with nobody on it is no news; one that hangs, or may not be opened, is. What a driver has for
 * itself (-EBUSY) is no monitor of ours.
 *
 * Return: true when it may have a monitor
 */
static bool tell_silent(const struct bus *bus, const struct probe *probe)
{
	bool lost = was_not_asked(probe->error);

	if (bus->hung)
		(void)fprintf(stderr, "usher: i2c-%u did not return within %d ms\n", bus->number,
			      PROBE_MS);
	else if (lost || probe->error == -EBUSY)
		(void)fprintf(stderr, "usher: cannot read i2c-%u: %s\n", bus->number,
			      strerror(-probe->error));
	return lost || bus->hung;
}

/* Return: how many there are, else -errno */
static int print_survey(const struct survey *survey, bool *ret_lost)
{
	int found = 0, r = 0;

	for (size_t i = 0; r == 0 && i < survey->list.nr; i++) {
		if (survey->probes[i].error < 0) {
			*ret_lost |= tell_silent(&survey->list.buses[i], &survey->probes[i]);
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
						      .offers = survey->probes[i].error == 0,
						      .source_address = DDC_SOURCE };
	return monitors_ask(ctx->rootfd, &survey->list, survey->asks, OFFERS_MS, survey->probes);
}

int display_list(struct helper_ctx *ctx, int argc, char **argv)
{
	_cleanup_(survey_free) struct survey survey = { 0 };
	bool lost = false;
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
	r = survey_take(ctx, false, PROBE_MS, &survey);
	if (r == 0)
		r = ask_all_inputs(ctx, &survey);
	if (r == 0)
		r = print_survey(&survey, &lost);
	if (r > 0 && !lost)
		return HELPER_DONE;
	if (r >= 0 && lost)
		(void)fputs("usher: not all monitors are shown: see the lines above, and ulimit "
			    "-u\n",
			    stderr);
	else if (r < 0)
		(void)fprintf(
			stderr,
			"usher: cannot look for monitors: %s: see i2cdetect -l, and free -m\n",
			strerror(-r));
	else
		(void)fprintf(stderr, "usher: no monitor answers on any of %zu buses\n",
			      survey.list.nr);
	return HELPER_FAILED;
}
