/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/step.c - what is done to a seat step by step, and taken back in reverse */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/desktop.h"
#include "../../lib/pciaddr.h"
#include "../../lib/state.h"
#include "../../lib/sysbus.h"
#include "seat.h"

#define STEP_REMOVE   "remove"
#define STEP_UNIT     "unit"
#define STEP_VTCON    "vtcon"
#define STEP_FIRMWARE "firmware"

/* How long a compositor may take to drop a card it was asked to drop */
#define DROP_MS	      3000
#define LOOK_AGAIN_MS 50
/* How long a console may take to be bound */
#define BOUND_MS 500
/* What is left of the time for the steps that come after a wait */
#define RESERVE_MS 1000

/* --- One change ------------------------------------------------------------------------------- */

int step_announce(const struct seat_way *way, const char *verb, const char *object,
		  const char *old_value)
{
	int r = 0;

	if (!way->ctx->dry_run)
		r = journal_add(way->journal, verb, object, old_value, "");
	if (r >= 0)
		return 0;
	helper_say(way->ctx,
		   "cannot note in /run/usher what the host's screen was: %s: see df /run",
		   strerror(-r));
	return r;
}

/* --- Nobody has it open ----------------------------------------------------------------------- */

/* Return: 0 nobody any more, the pid > 0 of who still has it, else -errno */
static pid_t wait_free(const struct seat_way *way, int ms)
{
	long long until = deadline_in(ms);

	for (;;) {
		pid_t pid = screen_holder(way->ctx->rootfd, way->screen);

		if (pid <= 0 || deadline_left(until) == 0)
			return pid;
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

static int time_for_users(const struct seat_way *way)
{
	int left = deadline_left(way->ctx->deadline);

	return left > 2 * RESERVE_MS ? left - RESERVE_MS : left / 2;
}

static size_t return_since(const struct helper_ctx *ctx, struct journal *journal, size_t first);

static int remove_cards(const struct seat_way *way)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < way->screen->cards.nr; i++) {
		const char *card = strrchr(way->screen->cards.names[i], '/') + 1;
		char path[PATH_MAX], object[PATH_MAX];

		r = path_format(path, sizeof(path), "sys/class/drm/%s/uevent", card);
		if (r == 0)
			r = path_format(object, sizeof(object), "%s/%s", way->addr, card);
		if (r == 0)
			r = step_announce(way, STEP_REMOVE, object, "there");
		if (r == 0)
			r = kernel_write(way->ctx, path, "remove");
	}
	return r;
}

/*
 * ask_to_drop() - compositors drop a card that is not their first when udev says it has gone
 *
 * Where one has kept another node of it by then usher-vfio would refuse the card.
 *
 * Return: 0 dropped, 1 not
 * Seen on: KWin 5.24 and later, mutter 3.38 and later, wlroots 0.15 and later
 * ABI: Documentation/ABI/testing/sysfs-uevent
 */
static int ask_to_drop(const struct seat_way *way)
{
	size_t first = way->journal->nr;
	int ms = time_for_users(way);

	if (way->screen->boot_vga || way->screen->cards.nr == 0)
		return 1;
	if (way->ctx->dry_run)
		ms = 0;
	if (screen_widen(way->ctx, way->addr, way->screen) == 0 && remove_cards(way) == 0 &&
	    wait_free(way, ms < DROP_MS ? ms : DROP_MS) == 0)
		return 0;
	/* It does not know how to: as if nothing had been. What cannot be taken back now is later */
	(void)return_since(way->ctx, way->journal, first);
	return 1;
}

static int say_not_stopped(const struct seat_way *way, int error, int ms)
{
	if (error == -ETIMEDOUT)
		helper_say(
			way->ctx,
			"%s did not stop within %d ms: see systemctl status %s, stop it by hand, "
			"then start the guest again",
			DISPLAY_MANAGER, ms, DISPLAY_MANAGER);
	else
		helper_say(way->ctx, "%s does not stop: %s: see systemctl status %s",
			   DISPLAY_MANAGER, strerror(-error), DISPLAY_MANAGER);
	return error;
}

static int stop_display_manager(const struct seat_way *way)
{
	int left = time_for_users(way);
	int r = sysbus_unit_active(DISPLAY_MANAGER, left);

	/* A host without systemd has no such unit */
	if (r == 0 || r == -ENOENT || r == -ECONNREFUSED || r == -EHOSTUNREACH)
		return 0;
	if (r < 0) {
		helper_say(way->ctx,
			   "systemd does not say whether %s runs: %s: GPU %s stays with the host; "
			   "see systemctl status %s",
			   DISPLAY_MANAGER, strerror(-r), way->addr, DISPLAY_MANAGER);
		return r;
	}
	if (helper_would(way->ctx, "stop unit %s", DISPLAY_MANAGER))
		return 0;
	r = step_announce(way, STEP_UNIT, DISPLAY_MANAGER, "active");
	if (r < 0)
		return r;
	r = sysbus_stop_unit(DISPLAY_MANAGER, left);
	return r < 0 ? say_not_stopped(way, r, left) : 0;
}

/* Whether its programs have gone is looked at in any case */
static void say_session(const struct seat_way *way, const char *id, int error)
{
	if (error < 0)
		helper_say(way->ctx, "session %s cannot be ended: %s: see loginctl", id,
			   strerror(-error));
}

/* The sessions of this seat that did not end with the display manager, or have none */
static void end_sessions(const struct seat_way *way, const struct session_list *sessions,
			 const char *seat)
{
	for (size_t i = 0; i < sessions->nr; i++) {
		const struct session *session = &sessions->sessions[i];

		if (!session->graphical || strcmp(session->seat, seat) != 0 ||
		    helper_would(way->ctx, "end session %s of %s", session->id, session->user))
			continue;
		say_session(way, session->id, sysbus_end_session(session->id, time_for_users(way)));
	}
}

/*
 * A compositor that was started from a text login has that login's session. Those of the seat's
 * desktops have been ended.
 */
static void end_holders_sessions(const struct seat_way *way, const struct session_list *sessions,
				 const char *seat)
{
	char id[SESSION_STRLEN], last[SESSION_STRLEN] = "";
	pid_t pid = 0;

	while ((pid = screen_next_holder(way->ctx->rootfd, way->screen, pid)) > 0) {
		const struct session *session;

		if (session_of(way->ctx->rootfd, pid, id) <= 0 || strcmp(id, last) == 0)
			continue;
		memcpy(last, id, sizeof(last));
		session = session_find(sessions, id);
		if (session && session->graphical && strcmp(session->seat, seat) == 0)
			continue;
		if (!helper_would(way->ctx, "end session %s", id))
			say_session(way, id, sysbus_end_session(id, time_for_users(way)));
	}
}

static int say_held(const struct seat_way *way, pid_t pid)
{
	char who[256];

	if (pid < 0) {
		helper_say(way->ctx, "cannot look at who uses GPU %s: %s: see fuser -v /dev/dri/*",
			   way->addr, strerror((int)-pid));
		return 1;
	}
	screen_holder_names(way->ctx->rootfd, way->screen, who, sizeof(who));
	helper_say(way->ctx,
		   "GPU %s is still in use by %s after the desktop was told to end: %s, then "
		   "start the guest again",
		   way->addr, who, screen_cure(way->ctx->rootfd, way->screen));
	return 1;
}

static int end_users(const struct seat_way *way)
{
	_cleanup_seat_people_ struct seat_people people = { 0 };
	pid_t pid;

	if (ask_to_drop(way) == 0)
		return 0;
	if (people_load(way->ctx, way->addr, way->screen, &people) < 0)
		return say_held(way, -EIO);
	if (people_elsewhere(&people) != 0)
		return 1;
	if (!session_elsewhere(&people.sessions, people.seat) && stop_display_manager(way) < 0)
		return 1;
	if (way->ctx->dry_run)
		return 0;
	if (way->users) {
		end_sessions(way, &people.sessions, people.seat);
		end_holders_sessions(way, &people.sessions, people.seat);
	}
	pid = wait_free(way, time_for_users(way));
	return pid == 0 ? 0 : say_held(way, pid);
}

/* --- No text on it, and no frame buffer of the firmware's ------------------------------------------- */

static int say_write(const struct seat_way *way, const char *path, int error)
{
	helper_say(way->ctx, "cannot take the text console from GPU %s: /%s: %s: see dmesg",
		   way->addr, path, strerror(-error));
	return 1;
}

/* Where the host has another frame buffer the console moves there by itself */
static int leave_consoles(const struct seat_way *way)
{
	_cleanup_strlist_ struct strlist consoles = { 0 };
	char path[PATH_MAX] = CLASS_VTCONSOLE;
	int others = way->screen->fbs.nr > 0 ? screen_other_fbs(way->ctx->rootfd, way->screen) : 1;
	int r = others < 0 ? others : 0;

	if (others == 0)
		r = screen_consoles(way->ctx->rootfd, CONSOLE_FB, &consoles);
	for (size_t i = 0; r == 0 && i < consoles.nr; i++) {
		r = path_format(path, sizeof(path), CLASS_VTCONSOLE "/%s/bind", consoles.names[i]);
		if (r == 0)
			r = step_announce(way, STEP_VTCON, consoles.names[i], "1");
		if (r == 0)
			r = kernel_write(way->ctx, path, "0");
	}
	return r < 0 ? say_write(way, path, r) : 0;
}

static int leave_firmware(const struct seat_way *way)
{
	for (size_t i = 0; i < way->screen->firmware.nr; i++) {
		const char *name = way->screen->firmware.names[i];
		const char *device = strrchr(name, '/') + 1;
		char path[PATH_MAX];
		int r = path_format(path, sizeof(path), FIRMWARE_DRIVERS "/%.*s/unbind",
				    (int)(device - name - 1), name);

		if (r == 0)
			r = step_announce(way, STEP_FIRMWARE, name, "bound");
		if (r == 0)
			r = kernel_write(way->ctx, path, device);
		if (r < 0)
			return say_write(way, path, r);
	}
	return 0;
}

int seat_release(const struct seat_way *way)
{
	pid_t pid = screen_holder(way->ctx->rootfd, way->screen);

	if (pid < 0)
		return say_held(way, pid);
	if (pid > 0 && (end_users(way) != 0 || sound_leave(way) != 0))
		return 1;
	if (leave_consoles(way) != 0)
		return 1;
	return leave_firmware(way);
}

/* --- And back --------------------------------------------------------------------------------- */

static int return_unit(const struct helper_ctx *ctx, const char *unit)
{
	int r;

	if (strcmp(unit, DISPLAY_MANAGER) != 0)
		return -EBADMSG;
	if (helper_would(ctx, "start unit %s", unit))
		return 0;
	r = sysbus_start_unit(unit, deadline_left(ctx->deadline));
	/* It was uninstalled meanwhile, or the host goes down */
	return r == -ENOENT || r == -ESHUTDOWN ? 0 : r;
}

static bool is_plain(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

/* Has the host any frame buffer that a console could be on */
static bool any_fb(int rootfd)
{
	const struct screen none = { 0 };

	return screen_other_fbs(rootfd, &none) == 1;
}

static bool is_bound(const struct helper_ctx *ctx, const char *path)
{
	unsigned long long bound = 0;

	return attr_read_ull(ctx->rootfd, path, &bound) < 0 || bound == 1;
}

/*
 * The kernel says yes whether the console could be bound or not. Without a frame buffer it cannot: a
 * driver that is still at work on its own brings the console with it.
 * Seen on: Linux 6.12, drivers/tty/vt/vt.c, store_bind()
 */
static int console_returned(const struct helper_ctx *ctx, const char *path)
{
	long long until = deadline_in(BOUND_MS);

	for (;;) {
		if (is_bound(ctx, path) || !any_fb(ctx->rootfd))
			return 0;
		if (deadline_left(until) == 0)
			return -EIO;
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

/*
 * A console is bound in the place of the system's own. Where a GPU driver has ended the firmware's
 * text mode there is none: a dummy, which is a module's like the other, holds the place, and hands
 * it over when it is unbound itself.
 * Seen on: Linux 6.12, started by a BIOS; vt_bind() and vt_unbind() in drivers/tty/vt/vt.c
 */
static int end_dummies(const struct helper_ctx *ctx)
{
	_cleanup_strlist_ struct strlist dummies = { 0 };
	int r = screen_consoles(ctx->rootfd, CONSOLE_DUMMY, &dummies);

	for (size_t i = 0; r == 0 && i < dummies.nr; i++) {
		char path[PATH_MAX];

		r = path_format(path, sizeof(path), CLASS_VTCONSOLE "/%s/bind", dummies.names[i]);
		if (r == 0)
			r = kernel_write(ctx, path, "0");
	}
	return r;
}

static int return_console(const struct helper_ctx *ctx, const char *console)
{
	char path[PATH_MAX];
	int r;

	if (!is_plain(console) ||
	    path_format(path, sizeof(path), CLASS_VTCONSOLE "/%s/bind", console) < 0)
		return -EBADMSG;
	r = kernel_write(ctx, path, "1");
	if (r < 0 || ctx->dry_run)
		return r;
	if (!is_bound(ctx, path) && any_fb(ctx->rootfd))
		r = end_dummies(ctx);
	return r == 0 ? console_returned(ctx, path) : r;
}

/* There is nothing to be done about it any more */
static void say_firmware_gone(const struct helper_ctx *ctx, const char *device)
{
	if (!any_fb(ctx->rootfd))
		helper_say(ctx,
			   "the host has no text console until it is rebooted: its only frame "
			   "buffer was the firmware's, %s, which the kernel has taken away for "
			   "vfio-pci; " FIRMWARE_CURE,
			   device);
}

/*
 * Where the memory is a GPU driver's since, the kernel has taken the device away with it, or says
 * that it is busy: as before. @r: what bind said
 */
static int firmware_returned(const struct helper_ctx *ctx, const char *name, int r)
{
	const char *device = strrchr(name, '/') + 1;
	char path[PATH_MAX];

	if (r == -EBUSY)
		return 0;
	if (r == -ENODEV || r == -ENOENT) {
		int there = path_format(path, sizeof(path), FIRMWARE_DEVICES "/%s", device);

		if (there == 0)
			there = attr_exists(ctx->rootfd, path);
		if (there == 0)
			say_firmware_gone(ctx, device);
		return there == 0 ? 0 : r;
	}
	if (r < 0 || ctx->dry_run || path_format(path, sizeof(path), FIRMWARE_DRIVERS "/%s", name))
		return r;
	return attr_exists(ctx->rootfd, path) == 0 ? -EIO : 0;
}

static int return_firmware(const struct helper_ctx *ctx, const char *name)
{
	const char *device = strchr(name, '/');
	char path[PATH_MAX];

	if (!screen_is_firmware(name) ||
	    path_format(path, sizeof(path), FIRMWARE_DRIVERS "/%.*s/bind", (int)(device - name),
			name) < 0)
		return -EBADMSG;
	return firmware_returned(ctx, name, kernel_write(ctx, path, device + 1));
}

/*
 * return_node() - "0000:01:00.0/card0" of a class: udev, and who listens to it, is told of it
 *
 * One that has gone with its driver is told by the kernel when it comes back.
 */
static int return_node(const struct helper_ctx *ctx, const char *class, const char *object,
		       const char *action)
{
	const char *card = strchr(object, '/');
	char name[PCIADDR_STRLEN], node[PATH_MAX], path[PATH_MAX];
	struct pciaddr addr;
	int r;

	if (!card || !is_plain(card + 1) ||
	    path_format(name, sizeof(name), "%.*s", (int)(card - object), object) < 0 ||
	    pciaddr_parse(name, &addr) < 0 ||
	    path_format(node, sizeof(node), "sys/bus/pci/devices/%s/%s%s", name, class, card) < 0)
		return -EBADMSG;
	r = attr_exists(ctx->rootfd, node);
	if (r <= 0)
		return r;
	r = path_format(path, sizeof(path), "sys/class/%s%s/uevent", class, card);
	if (r == 0)
		r = kernel_write(ctx, path, action);
	/* It may go at any time */
	return r < 0 && attr_exists(ctx->rootfd, node) == 0 ? 0 : r;
}

static int return_card(const struct helper_ctx *ctx, const char *object)
{
	return return_node(ctx, "drm", object, "add");
}

static int return_sound(const struct helper_ctx *ctx, const char *object)
{
	return return_node(ctx, "sound", object, "change");
}

/* The display manager shows itself where there is another card */
static bool unit_waits(const struct helper_ctx *ctx, const struct strlist *away)
{
	return !desktop_has_card(ctx->rootfd, "seat0", away);
}

/* Console and firmware have left a card that was the host's only one */
static bool screen_waits(const struct helper_ctx *ctx, const struct strlist *away)
{
	(void)ctx;
	(void)away;
	return true;
}

static const struct {
	const char *verb;
	int (*undo)(const struct helper_ctx *ctx, const char *object);
	/* Does it wait for cards that are away; NULL for one that never does */
	bool (*waits)(const struct helper_ctx *ctx, const struct strlist *away);
	const char *text; /* with what and why */
} returns[] = {
	{ STEP_REMOVE, return_card, NULL,
	  "the desktop cannot be told to use card %s again: %s: see dmesg (%s)" },
	{ STEP_SOUND, return_sound, NULL,
	  "the sound server cannot be told to use card %s again: %s: see dmesg (%s)" },
	{ STEP_UNIT, return_unit, unit_waits,
	  "%s cannot be started again: %s: systemctl start %s brings the "
	  "desktop back" },
	{ STEP_VTCON, return_console, screen_waits,
	  "the text console %s cannot be bound again: %s: see /" CLASS_VTCONSOLE "/%s" },
	{ STEP_FIRMWARE, return_firmware, screen_waits,
	  "the firmware's frame buffer %s cannot be bound again: %s: see dmesg (%s)" },
};

/* What is not to be taken back before a card is */
struct waiting {
	struct strlist away;
	char objects[256]; /* "vtcon1, display-manager.service" */
};

static void waiting_free(struct waiting *waiting)
{
	strlist_free(&waiting->away);
}

#define _cleanup_waiting_ _cleanup_(waiting_free)

static void waiting_add(struct waiting *waiting, const char *object)
{
	size_t len = strlen(waiting->objects);

	(void)snprintf(waiting->objects + len, sizeof(waiting->objects) - len, "%s%s",
		       len ? ", " : "", object);
}

static void say_waiting(const struct helper_ctx *ctx, const struct waiting *waiting)
{
	if (*waiting->objects)
		helper_say(ctx,
			   "the host's screen waits for GPU %s, which is not back (%s): usher "
			   "recover brings it back with the GPU, by itself when a driver that "
			   "hangs returns",
			   waiting->away.names[0], waiting->objects);
}

/* Return: 0, -EAGAIN it waits, else -errno, and said so */
static int return_one(const struct helper_ctx *ctx, const struct journal_record *record,
		      struct waiting *waiting)
{
	for (size_t i = 0; i < ARRAY_SIZE(returns); i++) {
		int r;

		if (strcmp(returns[i].verb, record->verb) != 0)
			continue;
		if (waiting->away.nr > 0 && returns[i].waits &&
		    returns[i].waits(ctx, &waiting->away)) {
			waiting_add(waiting, record->object);
			return -EAGAIN;
		}
		r = returns[i].undo(ctx, record->object);
/* The rows' own literals, each with three %s */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (r < 0 && r != -EINPROGRESS)
			helper_say(ctx, returns[i].text, record->object, strerror(-r),
				   record->object);
#pragma GCC diagnostic pop
		return r;
	}
	helper_say(ctx, "/run/usher/%s/seat.journal has a record '%s' that is none of ours: %s",
		   ctx->claim.uuid, record->verb, state_cure(-EBADMSG, ""));
	return -EBADMSG;
}

/* What is not noted is given back once more. Return: 0, else -errno (said) */
static int note_undone(const struct helper_ctx *ctx, struct journal *journal, size_t nr)
{
	int r = ctx->dry_run ? 0 : journal_undone(journal, nr);

	if (r < 0)
		helper_say(
			ctx,
			"%s is back, but that cannot be noted in /run/usher/%s/seat.journal: %s: "
			"see df /run, then run usher recover",
			journal->records[nr].object, ctx->claim.uuid, strerror(-r));
	return r;
}

/* The records from @first on. Return: as seat_return() */
static size_t return_since(const struct helper_ctx *ctx, struct journal *journal, size_t first)
{
	_cleanup_waiting_ struct waiting waiting = { 0 };
	size_t left = 0;

	/* A dry run tells what is done once all is back. Without memory nothing waits */
	if (!ctx->dry_run)
		(void)(cards_away(ctx, &waiting.away) < 0);
	for (size_t i = journal->nr; i > first; i--) {
		const struct journal_record *record = &journal->records[i - 1];

		if (record->undone)
			continue;
		if (return_one(ctx, record, &waiting) < 0 || note_undone(ctx, journal, i - 1) < 0)
			left++;
	}
	say_waiting(ctx, &waiting);
	return left;
}

size_t seat_return(const struct helper_ctx *ctx, struct journal *journal)
{
	return return_since(ctx, journal, 0);
}
