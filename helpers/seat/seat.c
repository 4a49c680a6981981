/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/seat.c - never take the GPU the host shows its own screen on from under the user */
#include "seat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/desktop.h"
#include "../../lib/pciaddr.h"
#include "../../lib/sysbus.h"

static int say_errno(const struct helper_ctx *ctx, const char *addr, int error)
{
	helper_say(ctx, "cannot look at what GPU %s shows: %s: see /sys/class/graphics", addr,
		   strerror(-error));
	return 1;
}

/* Who is not a desktop that a display manager runs is not ended unasked */
static int look_unasked(const struct seat_people *people)
{
	const struct helper_ctx *ctx = people->ctx;
	const struct session *desktop = people_desktop(people);
	char who[256];

	screen_holder_names(ctx->rootfd, people->screen, who, sizeof(who));
	if (desktop) {
		helper_say(ctx,
			   "GPU %s shows the desktop of user %s, in use by %s: log out there, or "
			   "set release = yes in [seat] of the policy to end it at the guest's "
			   "start",
			   people->addr, desktop->user, who);
		return 1;
	}
	if (people_elsewhere(people) != 0)
		return 1;
	if (sysbus_unit_active(DISPLAY_MANAGER, deadline_left(ctx->deadline)) > 0)
		return 0;
	helper_say(ctx,
		   "GPU %s shows the host's own screen, in use by %s: %s, or set release = yes in "
		   "[seat] of the policy to end its session at the guest's start",
		   people->addr, who, screen_cure(ctx->rootfd, people->screen));
	return 1;
}

static int look_users(const struct helper_ctx *ctx, const char *addr, const struct screen *screen,
		      bool users)
{
	_cleanup_seat_people_ struct seat_people people = { 0 };
	pid_t pid = screen_holder(ctx->rootfd, screen);
	int r = pid > 0 ? people_load(ctx, addr, screen, &people) : (int)pid;

	if (r < 0)
		return say_errno(ctx, addr, r);
	if (pid == 0)
		return 0;
	if (!users)
		return look_unasked(&people);
	/* A card that is not the host's first may be dropped, and nobody has to end */
	return screen->boot_vga || screen->cards.nr == 0 ? people_elsewhere(&people) : 0;
}

/* Return: 0 it may go, 1 refused and said so */
static int look(const struct helper_ctx *ctx, const char *addr, bool users)
{
	_cleanup_screen_ struct screen screen = { 0 };
	int r = screen_load(ctx->rootfd, addr, &screen);

	/* A device that is not there is usher-vfio's to refuse */
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return say_errno(ctx, addr, r);
	r = users ? 0 : screen_vga_text(ctx->rootfd, &screen);
	if (r < 0)
		return say_errno(ctx, addr, r);
	if (r > 0) {
		helper_say(
			ctx,
			"GPU %s shows the host's own screen, the text console in VGA mode, which "
			"cannot be taken off it: boot the host on another GPU, or set release = "
			"yes in [seat] of the policy to take it all the same",
			addr);
		return 1;
	}
	return look_users(ctx, addr, &screen, users);
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

/* What the claim says to do about users: Return: 0 leave alone, 1 no desktop of theirs, 2 all */
static int release_of(const struct helper_ctx *ctx)
{
	static const char *const words[] = { "no", "auto", "yes" };
	const char *release = inidoc_get(&ctx->claim.doc, "seat", "release") ?: "auto";

	for (int i = 0; i < (int)ARRAY_SIZE(words); i++)
		if (strcmp(release, words[i]) == 0)
			return i;
	helper_say(ctx,
		   "the claim's release = %s in [seat] is none of auto, yes, no: nothing was "
		   "touched; start the guest anew",
		   release);
	return -EBADMSG;
}

static enum helper_exit look_all(const struct helper_ctx *ctx)
{
	const struct inidoc_entry *entry = NULL;
	char addr[PCIADDR_STRLEN];
	int release = release_of(ctx);

	if (release <= 0)
		return release < 0 ? HELPER_USAGE : HELPER_DONE;
	if (writes_left(ctx) > 0)
		return HELPER_FAILED;
	while ((entry = inidoc_next(&ctx->claim.doc, entry, "seat", "device"))) {
		if (parse_device(ctx, entry->value, addr) < 0)
			return HELPER_USAGE;
		if (look(ctx, addr, release == 2) != 0)
			return HELPER_FAILED;
	}
	return HELPER_DONE;
}

/* No reason to refuse. What cannot be looked at has been refused, or is usher-vfio's affair */
static void say_firmwares_only(const struct helper_ctx *ctx, const char *addr)
{
	_cleanup_screen_ struct screen screen = { 0 };

	if (screen_load(ctx->rootfd, addr, &screen) == 0 &&
	    screen_firmwares_only(ctx->rootfd, addr, &screen) > 0)
		helper_say(
			ctx,
			"the host's only frame buffer is the firmware's, %s on GPU %s, which the "
			"kernel takes away for vfio-pci: after this guest the host has no text "
			"console until it is rebooted; " FIRMWARE_CURE,
			strchr(screen.firmware.names[0], '/') + 1, addr);
}

enum helper_exit seat_check(struct helper_ctx *ctx)
{
	const struct inidoc_entry *entry = NULL;
	enum helper_exit looked = look_all(ctx);
	char addr[PCIADDR_STRLEN];

	/* By hand alone: it is no news at each start */
	if (looked != HELPER_DONE || release_of(ctx) <= 0 || helper_in_start(ctx))
		return looked;
	while ((entry = inidoc_next(&ctx->claim.doc, entry, "seat", "device")))
		if (parse_device(ctx, entry->value, addr) == 0)
			say_firmwares_only(ctx, addr);
	return HELPER_DONE;
}

/* Return: 0 the device is free of the host's screen, 1 not, and said so */
static int release_device(const struct helper_ctx *ctx, struct journal *journal, const char *addr,
			  bool users)
{
	_cleanup_screen_ struct screen screen = { 0 };
	const struct seat_way way = {
		.ctx = ctx, .journal = journal, .addr = addr, .screen = &screen, .users = users
	};
	int r = screen_load(ctx->rootfd, addr, &screen);

	if (r == -ENODEV)
		return 0;
	return r < 0 ? say_errno(ctx, addr, r) : seat_release(&way);
}

static int release_all(const struct helper_ctx *ctx, struct journal *journal)
{
	const struct inidoc_entry *entry = NULL;
	bool users = release_of(ctx) == 2;
	char addr[PCIADDR_STRLEN];
	int r = 0;

	while (r == 0 && (entry = inidoc_next(&ctx->claim.doc, entry, "seat", "device"))) {
		r = parse_device(ctx, entry->value, addr);
		if (r == 0)
			r = release_device(ctx, journal, addr, users);
	}
	return r;
}

static int say_journal(const struct helper_ctx *ctx, int error)
{
	return helper_say_state(ctx, "seat.journal", error, "see df /run");
}

/* All back, and no journal any more. Return: what of it is not, each said */
static size_t take_back(const struct helper_ctx *ctx, struct journal *journal)
{
	size_t left = seat_return(ctx, journal);
	int r = left || ctx->dry_run ? 0 : journal_remove(ctx->dirfd, "seat");

	if (r < 0)
		helper_say(ctx,
			   "all is back, but /run/usher/%s/seat.journal cannot be removed: %s: see "
			   "df /run",
			   ctx->claim.uuid, strerror(-r));
	return left;
}

enum helper_exit seat_apply(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	enum helper_exit looked = look_all(ctx);
	int r;

	if (looked != HELPER_DONE || release_of(ctx) <= 0)
		return looked;
	r = journal_open(ctx->dirfd, "seat", !ctx->dry_run, &journal);
	if (r < 0) {
		(void)say_journal(ctx, r);
		return HELPER_FAILED;
	}
	if (release_all(ctx, &journal) == 0)
		return HELPER_DONE;
	/* The time for this was not counted on before: the desktop comes back all the same */
	ctx->deadline = deadline_in(ctx->helper->undo_timeout_ms);
	return take_back(ctx, &journal) > 0 ? HELPER_DIRTY : HELPER_FAILED;
}

enum helper_exit seat_undo(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int r = journal_open(ctx->dirfd, "seat", !ctx->dry_run, &journal);

	if (r < 0) {
		(void)say_journal(ctx, r);
		return HELPER_DIRTY;
	}
	return take_back(ctx, &journal) > 0 ? HELPER_DIRTY : HELPER_DONE;
}
