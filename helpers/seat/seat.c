/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/seat.c - never take the GPU the host shows its own screen on from under the user */
#include "seat.h"

#include <errno.h>
#include <string.h>

#include "../../lib/pciaddr.h"

/*
 * How it works
 *
 * The claim names the devices the host may show its screen on, and what the policy says. This
 * form releases nothing: while such a device is in use the start is refused, in `check` and once
 * more in `apply`, so that a user never sits before a black screen. With release = no the seat is
 * none of our business. There is nothing to undo.
 */

/* Return: 0 it may go, 1 refused and said so */
static int look(const struct helper_ctx *ctx, const char *addr)
{
	char who[128];
	int r = screen_use(ctx->rootfd, addr, who, sizeof(who));

	/* A device that is not there is usher-vfio's to refuse */
	if (r == 0 || r == -ENODEV)
		return 0;
	if (r < 0)
		helper_say(ctx, "cannot look at what GPU %s shows: %s: see /sys/class/graphics",
			   addr, strerror(-r));
	else if (r == 1)
		helper_say(
			ctx,
			"GPU %s shows the host's own screen, in use by %s: boot the host on "
			"another GPU; or end that session, and set release = no in [seat] of the "
			"policy to take the text console's screen as well",
			addr, who);
	else
		helper_say(ctx,
			   "GPU %s shows the host's own screen, %s: boot the host on another GPU, "
			   "or set release = no in [seat] of the policy to take it all the same",
			   addr, who);
	return 1;
}

/* Return: 0 the device's line is a PCI address */
static int parse_device(const struct helper_ctx *ctx, const char *value, char *addr)
{
	struct pciaddr parsed;

	if (pciaddr_parse(value, &parsed) < 0) {
		helper_say(ctx,
			   "the claim's line 'device = %s' in [seat] is no PCI address: "
			   "nothing was touched; start the guest anew",
			   value);
		return -EBADMSG;
	}
	pciaddr_format(&parsed, addr);
	return 0;
}

enum helper_exit seat_check(struct helper_ctx *ctx)
{
	const char *release = inidoc_get(&ctx->claim.doc, "seat", "release") ?: "auto";
	const struct inidoc_entry *entry = NULL;
	char addr[PCIADDR_STRLEN];

	if (strcmp(release, "no") == 0)
		return HELPER_DONE;
	if (strcmp(release, "auto") != 0 && strcmp(release, "yes") != 0) {
		helper_say(ctx,
			   "the claim's release = %s in [seat] is none of auto, yes, no: "
			   "nothing was touched; start the guest anew",
			   release);
		return HELPER_USAGE;
	}
	while ((entry = inidoc_next(&ctx->claim.doc, entry, "seat", "device"))) {
		if (parse_device(ctx, entry->value, addr) < 0)
			return HELPER_USAGE;
		if (look(ctx, addr) != 0)
			return HELPER_FAILED;
	}
	return HELPER_DONE;
}

enum helper_exit seat_apply(struct helper_ctx *ctx)
{
	return seat_check(ctx);
}

enum helper_exit seat_undo(struct helper_ctx *ctx)
{
	(void)ctx;
	return HELPER_DONE;
}
