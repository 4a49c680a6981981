/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/render.c - a card that comes back to the host, but to no desktop */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/desktop.h"
#include "../../lib/pcidev.h"
#include "../../lib/spawn.h"
#include "../../lib/state.h"
#include "../../lib/sysbus.h"
#include "vfio.h"

/*
 * How it works
 *
 * A card that comes back is offered to the seat, and a compositor or Xorg opens it and keeps it:
 * the next start is refused. A rule in run/udev takes the card out of the seat before it comes
 * back: its tags, by which logind offers it; its seat's name, by which wlroots, KWin and Xorg
 * choose; mutter's own tag; and its sound function out of PipeWire's and PulseAudio's sight. The
 * render node is not named: whoever may compute on the card still may.
 *
 * It stays when the guest has run, until a start whose policy wants it no more, or the next boot.
 * A start that fails leaves no trace of it: what is changed is in a journal of its own, since the
 * device's does not begin before a worker has looked at the device.
 *
 * The number sorts it behind systemd's 71-seat.rules, which set the tags, and before
 * 73-seat-late.rules, which act on them.
 *
 * ABI: udev(7) TAG-=, since systemd 217; src/login/71-seat.rules.in, 73-seat-late.rules.in,
 * systemd 252 to 257; mutter's mutter-device-ignore, since 3.36
 */

#define RULES_DIR "run/udev/rules.d"
#define SEAT	  "seat-usher"

#define CLASS_DISPLAY 0x03

#define UDEVADM_MS 5000
#define MANAGER_MS 2000

static const char rule_text[] =
	"# Written by usher: give_back = render\n"
	"SUBSYSTEM==\"drm\", KERNEL==\"card*\", KERNELS==\"%s\", TAG-=\"seat\", "
	"TAG-=\"master-of-seat\", TAG-=\"uaccess\", TAG+=\"mutter-device-ignore\", "
	"ENV{ID_SEAT}=\"" SEAT "\"\n"
	"SUBSYSTEM==\"graphics\", KERNELS==\"%s\", TAG-=\"seat\", TAG-=\"master-of-seat\", "
	"ENV{ID_SEAT}=\"" SEAT "\"\n"
	"SUBSYSTEM==\"sound\", KERNELS==\"%.*s*\", ENV{ACP_IGNORE}=\"1\", "
	"ENV{PULSE_IGNORE}=\"1\"\n";

static void rule_file(const char *name, char buf[static NAME_MAX + 1])
{
	(void)snprintf(buf, NAME_MAX + 1, "72-usher-%s.rules", name);
}

/* Return: a directory fd, else -errno */
static int rules_open(int rootfd, bool create)
{
	int fd = attr_open(rootfd, RULES_DIR, O_RDONLY | O_DIRECTORY);
	_cleanup_close_ int udev = -1;

	if (fd != -ENOENT || !create)
		return fd;
	udev = attr_open(rootfd, "run/udev", O_RDONLY | O_DIRECTORY);
	if (udev < 0)
		return udev;
	if (mkdirat(udev, "rules.d", 0755) < 0 && errno != EEXIST)
		return -errno;
	return attr_open(rootfd, RULES_DIR, O_RDONLY | O_DIRECTORY);
}

static bool is_display(int rootfd, const char *name)
{
	unsigned long long class;
	char path[PATH_MAX];

	return path_format(path, sizeof(path), "sys/bus/pci/devices/%s/class", name) == 0 &&
	       attr_read_ull(rootfd, path, &class) == 0 && class >> 16 == CLASS_DISPLAY;
}

/* --- Who is left without a screen -------------------------------------------------------------- */

static bool card_stays(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       const char *seat)
{
	_cleanup_strlist_ struct strlist claimed = { 0 };

	for (size_t i = 0; i < claim->nr; i++)
		if (strlist_add(&claimed, claim->devices[i].name) < 0)
			return false;
	return desktop_has_card(ctx->rootfd, seat, &claimed);
}

/* One that is out of the seat, or on vfio, since an earlier start, has been the first one's */
void device_seat(int rootfd, const char *name, char *buf, size_t size)
{
	_cleanup_strlist_ struct strlist nodes = { 0 };
	char path[PATH_MAX];

	(void)snprintf(buf, size, "seat0");
	if (path_format(path, sizeof(path), "sys/bus/pci/devices/%s/drm", name) < 0 ||
	    attr_list(rootfd, path, &nodes) < 0)
		return;
	for (size_t i = 0; i < nodes.nr; i++)
		if (desktop_is_card(nodes.names[i]))
			desktop_card_seat(rootfd, nodes.names[i], buf, size);
	if (strcmp(buf, SEAT) == 0)
		(void)snprintf(buf, size, "seat0");
}

static bool is_boot_vga(int rootfd, const char *name)
{
	unsigned long long boot;
	char path[PATH_MAX];

	return path_format(path, sizeof(path), "sys/bus/pci/devices/%s/boot_vga", name) == 0 &&
	       attr_read_ull(rootfd, path, &boot) == 0 && boot == 1;
}

/* A host without one shows its text console, for which the card need be nobody's */
static bool has_manager(const struct helper_ctx *ctx)
{
	int left = deadline_left(ctx->deadline);

	return desktop_has_manager(ctx->rootfd) ||
	       sysbus_unit_active(DISPLAY_MANAGER, left < MANAGER_MS ? left : MANAGER_MS) > 0;
}

/* One that is with a vfio driver before the start shows nothing that could be missed after it */
static bool is_kept(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		    const struct vfio_device *device)
{
	char driver[DRIVER_NAME_MAX];

	if (claim->give_back != GIVE_BACK_VFIO)
		return claim->give_back == GIVE_BACK_RENDER;
	return pcidev_driver(ctx->rootfd, &device->addr, driver, sizeof(driver)) <= 0 ||
	       device_on_vfio(ctx->rootfd, device->name, driver) <= 0;
}

int render_look(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		struct vfio_device *device)
{
	char name[320], seat[64];

	if (!is_kept(ctx, claim, device) || !is_display(ctx->rootfd, device->name) ||
	    !(device->seat || is_boot_vga(ctx->rootfd, device->name)))
		return 0;
	device_seat(ctx->rootfd, device->name, seat, sizeof(seat));
	if (card_stays(ctx, claim, seat) || !has_manager(ctx))
		return 0;
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx,
		   "%s is the only card that the desktop of %s has, and with give_back = %s "
		   "none may take it after the guest, the screen would stay black: set give_back = "
		   "host in [vfio] of the policy, or show the desktop on another card",
		   name, seat, claim->give_back == GIVE_BACK_VFIO ? "vfio" : "render");
	return 1;
}

/* --- The rule ---------------------------------------------------------------------------------- */

#define RENDER_JOURNAL "render"

/* The journal's words: what it was before */
#define RECORD_RULE "rule"
#define RULE_THERE  "there"
#define RULE_NONE   "none"

static int rule_exists(int rootfd, const char *name)
{
	char file[NAME_MAX + 1], path[PATH_MAX];

	rule_file(name, file);
	(void)snprintf(path, sizeof(path), RULES_DIR "/%s", file);
	return attr_exists(rootfd, path);
}

/* Return: 1 written, 0 it would be, else -errno */
static int rule_write(const struct helper_ctx *ctx, const char *name)
{
	_cleanup_close_ int dirfd = -1;
	_cleanup_free_ char *text = NULL;
	char file[NAME_MAX + 1];
	int r;

	rule_file(name, file);
	if (helper_would(ctx, "write /" RULES_DIR "/%s", file))
		return 0;
	dirfd = rules_open(ctx->rootfd, true);
	if (dirfd < 0)
		return dirfd;
	r = asprintf(&text, rule_text, name, name, (int)strcspn(name, "."), name);
	if (r < 0) {
		text = NULL;
		return -ENOMEM;
	}
	r = state_write(dirfd, file, text, (size_t)r);
	return r < 0 ? r : 1;
}

/* Return: 1 removed, 0 there was none, else -errno */
static int rule_remove(const struct helper_ctx *ctx, const char *name)
{
	_cleanup_close_ int dirfd = rules_open(ctx->rootfd, false);
	char file[NAME_MAX + 1];

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	rule_file(name, file);
	if (faccessat(dirfd, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	    helper_would(ctx, "remove /" RULES_DIR "/%s", file))
		return 0;
	return unlinkat(dirfd, file, 0) < 0 ? -errno : 1;
}

/* udev looks by itself, but only every few seconds; without it nobody reads rules */
static void udev_reload(const struct helper_ctx *ctx)
{
	static const char *const argv[] = { "/usr/bin/udevadm", "control", "--reload", NULL };
	int left = deadline_left(ctx->deadline);
	struct spawn_job job = { .argv = argv,
				 .timeout_ms = left < UDEVADM_MS ? left : UDEVADM_MS };

	(void)(spawn_run(&job, 1) < 0);
	spawn_job_free(&job);
}

/* Return: 1 done, 0 it was so, or would be done, else -errno */
static int rule_set(const struct helper_ctx *ctx, const char *name, bool there)
{
	int is = rule_exists(ctx->rootfd, name);

	if (is < 0 || is == there)
		return is < 0 ? is : 0;
	return there ? rule_write(ctx, name) : rule_remove(ctx, name);
}

/* In the journal before it is done. Return: as rule_set() */
static int rule_change(const struct helper_ctx *ctx, struct journal *journal, const char *name,
		       bool there)
{
	int r = rule_exists(ctx->rootfd, name);

	if (r < 0 || r == there)
		return r < 0 ? r : 0;
	r = 0;
	if (!ctx->dry_run && journal->fd < 0)
		r = journal_open(ctx->dirfd, RENDER_JOURNAL, true, journal);
	if (r == 0 && !ctx->dry_run)
		r = journal_add(journal, RECORD_RULE, name, there ? RULE_NONE : RULE_THERE, "");
	return r < 0 ? r : rule_set(ctx, name, there);
}

int render_rules(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	bool changed = false;

	for (size_t i = 0; i < claim->nr; i++) {
		const char *name = claim->devices[i].name;
		bool render = claim->give_back == GIVE_BACK_RENDER && is_display(ctx->rootfd, name);
		int r = rule_change(ctx, &journal, name, render);

		if (r < 0) {
			helper_say(ctx,
				   "cannot keep %s from the desktop in " RULES_DIR ": %s: see df "
				   "/run, or set give_back = host in [vfio]",
				   name, strerror(-r));
			return 1;
		}
		changed |= r > 0;
	}
	if (changed)
		udev_reload(ctx);
	return 0;
}

/* A file is named after the record: nothing but an address in the one form there is. As rule_set() */
static int rule_return(const struct helper_ctx *ctx, const struct journal_record *record)
{
	bool there = strcmp(record->old_value, RULE_THERE) == 0;
	char name[PCIADDR_STRLEN];
	struct pciaddr addr;

	if (strcmp(record->verb, RECORD_RULE) != 0 || pciaddr_parse(record->object, &addr) < 0 ||
	    (!there && strcmp(record->old_value, RULE_NONE) != 0))
		return -EBADMSG;
	pciaddr_format(&addr, name);
	return strcmp(name, record->object) == 0 ? rule_set(ctx, name, there) : -EBADMSG;
}

int render_return(const struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int r = journal_open(ctx->dirfd, RENDER_JOURNAL, false, &journal);
	size_t left = claim_has_run(&ctx->claim) ? 0 : journal.nr;
	bool changed = false;
	const char *cure;

	/* The oldest last: it has what was there before the start */
	for (; r >= 0 && left > 0; left--) {
		r = rule_return(ctx, &journal.records[left - 1]);
		changed |= r > 0;
	}
	if (changed)
		udev_reload(ctx);
	if (r >= 0 && !ctx->dry_run)
		r = journal_remove(ctx->dirfd, RENDER_JOURNAL);
	if (r >= 0)
		return 0;
	cure = state_cure(r, NULL);
	helper_say(ctx,
		   "cannot take back from /run/usher/%s/" RENDER_JOURNAL ".journal which cards are "
		   "kept from the desktop: %s: remove what you do not want of /" RULES_DIR
		   "/72-usher-*, then udevadm control --reload%s%s",
		   ctx->claim.uuid, strerror(-r), cure ? "; " : "", cure ?: "");
	return 1;
}
