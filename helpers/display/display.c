/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/display.c - note what is wanted, and leave the rest to the switchers */
#include "display.h"

#include <errno.h>
#include <string.h>

/* Below the hook's own limits for the step, so that it is we who say what went wrong */
#define APPLY_MS 1000
#define UNDO_MS	 1800

static void print_one(const struct helper_ctx *ctx, const struct display *display)
{
	if (display->host_input < 0)
		(void)helper_would(ctx,
				   "write input %d to monitor %s after %d ms, and back to what "
				   "it was when the guest ends",
				   display->guest_input, display->monitor, display->delay_ms);
	else
		(void)helper_would(ctx,
				   "write input %d to monitor %s after %d ms, and %d when the "
				   "guest ends",
				   display->guest_input, display->monitor, display->delay_ms,
				   display->host_input);
}

static int apply_one(struct helper_ctx *ctx, struct journal *journal, const struct display *display)
{
	unsigned long long start = ctx->claim.owner.start_time;
	int r;

	/* Once for each run of QEMU: what the user has chosen since is left alone */
	if (record_wanted(journal, display->section, start))
		return 0;
	r = record_want(journal, display, start);
	return r < 0 ? r : switcher_start(ctx, display);
}

static int apply_all(struct helper_ctx *ctx, const struct display_list *list)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int r = journal_open(ctx->dirfd, DISPLAY_NAME, true, &journal);

	for (size_t i = 0; r == 0 && i < list->nr; i++)
		r = apply_one(ctx, &journal, &list->displays[i]);
	return r;
}

static enum helper_exit apply(struct helper_ctx *ctx)
{
	_cleanup_display_list_ struct display_list list = { 0 };
	struct display_error err;
	int r = displays_read(&ctx->claim, &list, &err);

	if (r < 0) {
		helper_say(ctx, "%s", r == -EINVAL ? err.what : strerror(-r));
		return r == -EINVAL ? HELPER_USAGE : HELPER_FAILED;
	}
	if (ctx->dry_run) {
		for (size_t i = 0; i < list.nr; i++)
			print_one(ctx, &list.displays[i]);
		return HELPER_DONE;
	}
	if (ctx->claim.state != CLAIM_RUNNING) {
		helper_say(ctx, "no monitor is switched: the claim is %s, not running",
			   claim_state_name(ctx->claim.state));
		return HELPER_FAILED;
	}
	r = apply_all(ctx, &list);
	if (r == 0)
		return HELPER_DONE;
	helper_say(ctx, "cannot begin to switch the monitors: %s", strerror(-r));
	/* Some may have been begun */
	return display_undo(ctx) == HELPER_DONE ? HELPER_FAILED : HELPER_DIRTY;
}

static const struct helper_command commands[] = {
	{ "list", "", "monitors: bus, connector, name in a policy, input", false, display_list },
};

const struct helper display_helper = {
	.name = DISPLAY_NAME,
	.help = "monitors that follow the guest",
	.apply_timeout_ms = APPLY_MS,
	.undo_timeout_ms = UNDO_MS,
	.fixed_timeout = true,
	/* For i2c-dev; who hears what monitors say has none at all */
	.caps = CAPS_LOOK | CAP_BIT(CAP_SYS_MODULE),
	.apply = apply,
	.undo = display_undo,
	.check = display_check,
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
};
