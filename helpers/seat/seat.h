/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/seat.h - what the files of usher-seat share */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../lib/cleanup.h"
#include "../../lib/journal.h"
#include "../../lib/text.h"
#include "../helper.h"

/*
 * How it works
 *
 * The claim names the devices the host may show its screen on. In the order of regret, each step
 * only when the one before was not enough, and in the journal before it is done:
 *
 *	remove	  a card that is not the host's first: the compositor is asked to drop it, by a
 *		  uevent that the kernel sends for us
 *	unit	  the display manager is stopped
 *	session	  sessions that did not end with it, on this seat only
 *	vtcon	  the text console leaves the frame buffer
 *	firmware  the firmware's frame buffer (efifb, simpledrm) leaves the card's memory
 *
 * Undo goes back through the journal: frame buffer, console, display manager. Sessions do not come
 * back. It is the same whether the guest has run or a later step has failed: nobody is left before
 * a black screen.
 *
 * release = auto ends no user's session: a greeter or a text console, yes. release = no looks at
 * nothing.
 */

/* --- screen.c ----------------------------------------------------------------------------- */

#define FIRMWARE_DRIVERS "sys/bus/platform/drivers"

/* What a GPU shows its screen through */
struct screen {
	struct strlist cards;	 /* /dev/dri/card0 */
	struct strlist fbs;	 /* /dev/fb0 */
	struct strlist firmware; /* "efi-framebuffer/efi-framebuffer.0": driver and device */
	bool boot_vga;
};

void screen_free(struct screen *screen);
#define _cleanup_screen_ _cleanup_(screen_free)

/**
 * screen_load() - the nodes of a GPU; of the boot GPU also the firmware's
 * @addr:	"0000:01:00.0"
 * @ret:	empty on error
 *
 * Return: 0, -ENODEV when there is no such device, -ENOMEM, else -errno
 * ABI: Documentation/ABI/testing/sysfs-class-vtconsole, sysfs-bus-pci boot_vga
 */
int screen_load(int rootfd, const char *addr, struct screen *ret) _must_check_;

/** screen_holder() - a process that shows something on it. Return: pid > 0, 0 none, else -errno */
pid_t screen_holder(int rootfd, const struct screen *screen) _must_check_;

/** screen_holder_name() - "gnome-shell (pid 812)" */
void screen_holder_name(int rootfd, pid_t pid, char *text, size_t size);

/**
 * screen_console() - is the text console on one of its frame buffers
 * @text:	"the text console on fb0"
 *
 * Return: 1, 0, else -errno
 */
int screen_console(int rootfd, const struct screen *screen, char *text, size_t size) _must_check_;

/** screen_vga_text() - is the text console on it in VGA mode. Return: 1, 0, else -errno */
int screen_vga_text(int rootfd, const struct screen *screen) _must_check_;

/** screen_fb_consoles() - bound frame buffer consoles, "vtcon1". Return: 0, -ENOMEM, -errno */
int screen_fb_consoles(int rootfd, struct strlist *ret) _must_check_;

/** screen_other_fbs() - has the host a frame buffer elsewhere. Return: 1, 0, else -errno */
int screen_other_fbs(int rootfd, const struct screen *screen) _must_check_;

/* --- session.c ---------------------------------------------------------------------------- */

#define SESSION_STRLEN 64

/* What logind knows of a session */
struct session {
	char id[SESSION_STRLEN];
	char user[64];
	char seat[64];
	bool graphical; /* a user's own desktop: no greeter, no text login */
};

struct session_list {
	struct session *sessions;
	size_t nr;
};

void session_list_free(struct session_list *list);
#define _cleanup_session_list_ _cleanup_(session_list_free)

/**
 * session_list() - all sessions of all seats
 *
 * Return: 0 (also without logind: none), -ENOMEM, else -errno
 * Seen on: systemd 252 to 257, run/systemd/sessions; what sd_session_get_seat(3) reads
 */
int session_list(int rootfd, struct session_list *ret) _must_check_;

/**
 * session_of() - the session a process belongs to, by its control group
 *
 * Return: 1 with its id, 0 none (a service, a user's manager), else -errno
 */
int session_of(int rootfd, pid_t pid, char id[static SESSION_STRLEN]) _must_check_;

/** card_seat() - the seat that udev has given a card, "/dev/dri/card0"; "seat0" by default */
void card_seat(int rootfd, const char *card, char *buf, size_t size);

/* --- step.c ------------------------------------------------------------------------------- */

/* One device on its way out of the seat */
struct seat_way {
	const struct helper_ctx *ctx;
	struct journal *journal;
	const char *addr;
	const struct screen *screen;
	bool users; /* users' sessions may be ended */
};

/**
 * seat_release() - make the host show nothing on the device
 *
 * Return: 0 it is free, 1 it is not, and said so
 */
int seat_release(const struct seat_way *way) _must_check_;

/**
 * seat_return() - take back every step in the journal that is not undone
 *
 * Return: the number of steps that could not be taken back, each said
 */
size_t seat_return(const struct helper_ctx *ctx, struct journal *journal) _must_check_;

/* --- seat.c ------------------------------------------------------------------------------- */

enum helper_exit seat_check(struct helper_ctx *ctx);
enum helper_exit seat_apply(struct helper_ctx *ctx);
enum helper_exit seat_undo(struct helper_ctx *ctx);
