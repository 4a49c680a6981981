/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/seat.h - what the files of usher-seat share */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../lib/cleanup.h"
#include "../../lib/ending.h"
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
 *		  uevent that the kernel sends for us; another one, "add", takes that back. One that
 *		  drops the card and keeps another node of it has not been enough
 *	unit	  the display manager is stopped
 *	session	  sessions that did not end with it, on this seat only
 *	sound	  the sound server leaves the card's sound function, by such an uevent, too
 *	vtcon	  the text console leaves the frame buffer
 *	firmware  the firmware's frame buffer (efifb, simpledrm) leaves the card's memory
 *
 * Undo goes back through the journal: frame buffer, console, display manager, card. Sessions do not
 * come back. It is the same whether the guest has run or a later step has failed: nobody is left before
 * a black screen.
 *
 * A card that usher-vfio could not give back shows nothing: a display manager that is started without
 * it fails, and is not started again when the card comes. So what is shown on it waits in the journal
 * for the undo that comes behind the card: usher recover, which the process that hung with the card
 * runs when it returns. Only the display manager does not wait where its seat has another card.
 *
 * release = auto ends no user's session: a greeter or a text console, yes. release = no looks at
 * nothing.
 */

/* --- screen.c ----------------------------------------------------------------------------- */

#define FIRMWARE_DRIVERS "sys/bus/platform/drivers"
#define FIRMWARE_DEVICES "sys/bus/platform/devices"

/* What a GPU shows its screen through */
struct screen {
	struct strlist cards;  /* /dev/dri/card0 */
	struct strlist fbs;    /* /dev/fb0 */
	struct strlist nodes;  /* these, and what the card's driver has of its own: /dev/nvidia0 */
	struct ending desktop; /* on it, from screen_widen() on; with any of the nodes a holder */
	bool wide;
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

/** screen_is_firmware() - does the name have the form of those in screen.firmware */
bool screen_is_firmware(const char *name);

/**
 * screen_widen() - from now on all of the desktop on it that usher-vfio would refuse counts as a holder
 * @screen:	unchanged on error
 *
 * Compositors that drop a card may keep its render node, or the nodes of its driver, for as long as
 * they run.
 *
 * Return: 0, -ENOMEM, else -errno
 * Seen on: NVIDIA with niri (niri-wm/niri issue 3993) and KWin (Bensikrac/VFIO-Nvidia-dynamic-unbind
 * issue 7)
 */
int screen_widen(const struct helper_ctx *ctx, const char *addr, struct screen *screen)
	_must_check_;

/** screen_seat() - that udev has given its card, "seat0" by default */
void screen_seat(int rootfd, const struct screen *screen, char *buf, size_t size);

/**
 * screen_holder() - a process that shows something on it
 *
 * logind, which has cards open for compositors, only where nobody else has.
 *
 * Return: pid > 0, 0 none, else -errno
 */
pid_t screen_holder(int rootfd, const struct screen *screen) _must_check_;

/** screen_next_holder() - among those with a pid above @after, without logind */
pid_t screen_next_holder(int rootfd, const struct screen *screen, pid_t after) _must_check_;

/** screen_holder_names() - "gnome-shell (pid 812), Xwayland (pid 900)" */
void screen_holder_names(int rootfd, const struct screen *screen, char *text, size_t size);

/** screen_cure() - how they are best made to go: "stop that program" */
const char *screen_cure(int rootfd, const struct screen *screen);

/**
 * screen_console() - is the text console on one of its frame buffers
 * @text:	"the text console on fb0"
 *
 * Return: 1, 0, else -errno
 */
int screen_console(int rootfd, const struct screen *screen, char *text, size_t size) _must_check_;

/** screen_vga_text() - is the text console on it in VGA mode. Return: 1, 0, else -errno */
int screen_vga_text(int rootfd, const struct screen *screen) _must_check_;

/* vtconN/bind and vtconN/name */
#define CLASS_VTCONSOLE "sys/class/vtconsole"

/* Console drivers, as their names have them; "(M)": a module's, not the system's */
#define CONSOLE_FB    "frame buffer device"
#define CONSOLE_DUMMY "(M) dummy device"

/** screen_consoles() - bound consoles of a driver, "vtcon1". Return: 0, -ENOMEM, -errno */
int screen_consoles(int rootfd, const char *driver, struct strlist *ret) _must_check_;

/** screen_other_fbs() - has the host a frame buffer elsewhere. Return: 1, 0, else -errno */
int screen_other_fbs(int rootfd, const struct screen *screen) _must_check_;

/**
 * screen_firmwares_only() - is the host's only frame buffer the firmware's, on this GPU
 *
 * Return: 1, 0, else -errno
 */
int screen_firmwares_only(int rootfd, const char *addr, const struct screen *screen) _must_check_;

/*
 * What is best done about it. When vfio-pci is bound the kernel takes the firmware's device away for
 * good; what has unbound its driver before that changes nothing.
 * Source: vfio_pci_vga_init(), drivers/vfio/pci/vfio_pci_core.c, since Linux 6.0;
 * aperture_remove_conflicting_pci_devices(), drivers/video/aperture.c; sysfb_disable(),
 * drivers/firmware/sysfb.c: platform_device_unregister()
 */
#define FIRMWARE_CURE                                                                              \
	"to keep one give the GPU a driver that has its own (for nvidia: nvidia-drm.fbdev=1 on "   \
	"the kernel's command line)"

/* --- people.c ----------------------------------------------------------------------------- */

/* What is to be known before somebody is told to end */
struct seat_people {
	const struct helper_ctx *ctx;
	const char *addr;
	const struct screen *screen;
	struct session_list sessions;
	char seat[64]; /* that udev has given the screen's card, "seat0" by default */
};

void seat_people_free(struct seat_people *people);
#define _cleanup_seat_people_ _cleanup_(seat_people_free)

/** people_load() - Return: 0, else as session_list() */
int people_load(const struct helper_ctx *ctx, const char *addr, const struct screen *screen,
		struct seat_people *ret) _must_check_;

/** people_desktop() - a user's desktop on the seat, or a remote one that has the card open. NULL */
const struct session *people_desktop(const struct seat_people *people);

/**
 * people_elsewhere() - would a display manager that has to stay bring back what is ended
 *
 * It is not stopped under the users of another seat, or of a remote desktop, and starts its greeter
 * anew where its greeter or a desktop of its has ended: somebody's work would be lost for nothing.
 *
 * Return: 0, 1 refused and said so
 */
int people_elsewhere(const struct seat_people *people) _must_check_;

/* --- write.c ------------------------------------------------------------------------------ */

/**
 * kernel_write() - a write that may never return, by a process that can be left behind
 *
 * One that is left behind has a mark, "seat.left.PID" in the claim's directory, and runs usher
 * recover when it has returned. Until then nothing else is written to the same device: what the
 * two of them left would be anybody's guess.
 *
 * Return: 0, -ETIMEDOUT left behind, -EINPROGRESS one is there still, and said so; else as
 * attr_write()
 */
int kernel_write(const struct helper_ctx *ctx, const char *path, const char *value) _must_check_;

/** writes_left() - say which writes of an earlier run have not returned. Return: their number */
size_t writes_left(const struct helper_ctx *ctx);

/* --- away.c ------------------------------------------------------------------------------- */

/**
 * cards_away() - the claim's cards that usher-vfio has begun with and not given back
 * @ret:	addresses are added
 *
 * Return: 0, -ENOMEM
 */
int cards_away(const struct helper_ctx *ctx, struct strlist *ret) _must_check_;

/* --- step.c ------------------------------------------------------------------------------- */

/* One device on its way out of the seat */
struct seat_way {
	const struct helper_ctx *ctx;
	struct journal *journal;
	const char *addr;
	struct screen *screen;
	bool users; /* users' sessions may be ended */
};

#define STEP_SOUND "sound"

/** step_announce() - into the journal, before it is done. Return: 0, else -errno, and said so */
int step_announce(const struct seat_way *way, const char *verb, const char *object,
		  const char *old_value) _must_check_;

/**
 * sound_leave() - sound.c: have the sound server leave the claimed sound functions beside the card
 *
 * It outlives the session, by 10 s or with any other session of that user: a user's own manager
 * runs it. Without the udev access that goes with the seat PipeWire leaves a card by itself, but
 * not where the user is in group audio.
 *
 * Return: 0, also when it does not; 1 it cannot be taken back, and said so
 * Seen on: PipeWire 1.2 (alsa-udev.c), PulseAudio 16 (module-udev-detect.c): "remove" takes a card
 * from them, "change" brings it
 */
int sound_leave(const struct seat_way *way) _must_check_;

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
