/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/openers.c - which processes have a device's nodes open */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/desktop.h"
#include "../../lib/drivernodes.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/* This part of the time may be spent on programs that are about to go */
#define GOING_PART    3
#define LOOK_AGAIN_MS 100
/* And no more of it than this on what udev runs for a device that has just come back */
#define UDEV_MS 2000

#define CLASS_SOUND 0x0403

/* Those of the driver that sysfs does not have below the device */
static int driver_nodes(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			struct vfio_device *device)
{
	const struct driver_rule *rule = rule_find(device->driver);
	int r = drivernodes_alone(ctx->rootfd, &ctx->claim, device->driver);

	device->delicate = rule && rule->modules && r == 0;
	device->forced = claim->in_use == IN_USE_FORCE && !device->delicate;
	if (r >= 0)
		r = drivernodes_add(ctx->rootfd, device->driver, device->name, r > 0,
				    &device->nodes);
	device->node_unknown = r > 0;
	if (device->forced)
		strlist_free(&device->nodes);
	return r < 0 ? r : 0;
}

int openers_nodes(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		  struct vfio_device *device)
{
	int r = driver_nodes(ctx, claim, device);

	node_list_free(&device->below);
	if (r == 0)
		r = nodes_find(ctx->rootfd, device->name, &device->below);
	return r < 0 ? r : nodes_paths(ctx->rootfd, &device->below, device->forced, &device->nodes);
}

/* Is it what usher-seat ends: the display manager's, or a login session's */
static bool is_desktop(int rootfd, const struct vfio_device *device, pid_t pid)
{
	return ending_shows(rootfd, &device->nodes, pid) &&
	       (desktop_is_managed(rootfd, pid) || !ending_is_service(rootfd, pid));
}

/* Who has a device's nodes open and is not to */
struct users {
	pid_t first;  /* 0 for nobody */
	bool broker;  /* only logind or the like, for somebody */
	bool desktop; /* one of them shows something, and stop-seat would end it */
	bool asking;  /* one of them is usher's own, which asks another guest's monitors */
	bool lasting; /* one of them is neither that nor udev's, which go by themselves */
	struct process_names others;
};

/* A service of the driver's own, which goes before the driver does */
static bool goes_first(int rootfd, const struct vfio_device *device, pid_t pid)
{
	char comm[PROCESS_NAME_MAX + 1];

	if (process_name(rootfd, pid, comm, sizeof(comm)) < 0)
		return false;
	return device->delicate ? rule_can_ask(rootfd, device->driver, comm)
				: rule_ignores(device->driver, comm);
}

static pid_t next_user(int rootfd, const struct vfio_device *device, pid_t pid)
{
	if (device->nodes.nr == 0)
		return 0;
	return process_find_open_after(rootfd, (const char *const *)device->nodes.names,
				       device->nodes.nr, pid);
}

/*
 * Monitors of another guest's are looked for on every bus of the host's, be it one of a card that
 * this guest is to have: some 100 ms, also behind the start of that guest.
 */
static bool asks_monitors(int rootfd, pid_t pid)
{
	char comm[PROCESS_NAME_MAX + 1];

	return process_name(rootfd, pid, comm, sizeof(comm)) == 0 &&
	       strcmp(comm, "usher-display") == 0;
}

static void users_add(int rootfd, const struct vfio_device *device, struct users *users, pid_t pid)
{
	bool asks = asks_monitors(rootfd, pid);

	users->desktop |= is_desktop(rootfd, device, pid);
	users->asking |= asks;
	users->lasting |= !asks && !opener_is_udevs(rootfd, pid);
	if (users->first) {
		process_names_add(&users->others, rootfd, pid);
		return;
	}
	users->first = pid;
	users->others.nr = 1;
}

/*
 * users_find() - of a device with vfio already, this guest's own QEMU is no stranger: apply runs
 * in `reconnect`
 *
 * Return: 0, else -errno
 */
static int users_find(const struct helper_ctx *ctx, const struct vfio_device *device,
		      bool (*counts)(int rootfd, const struct vfio_device *device, pid_t pid,
				     const struct ending *ending),
		      const struct ending *ending, struct users *users)
{
	pid_t pid = 0, broker = 0;

	*users = (struct users){ 0 };
	while ((pid = next_user(ctx->rootfd, device, pid)) > 0) {
		if (desktop_is_broker(ctx->rootfd, pid))
			broker = pid;
		else if (!goes_first(ctx->rootfd, device, pid) &&
			 (!counts || counts(ctx->rootfd, device, pid, ending)) &&
			 !(device->on_vfio &&
			   process_find_qemu(ctx->rootfd, ctx->claim.uuid) == pid))
			users_add(ctx->rootfd, device, users, pid);
	}
	users->broker = pid == 0 && !users->first && broker && !counts;
	users->lasting |= users->broker;
	if (users->broker)
		users->first = broker;
	return pid;
}

/*
 * A start right behind an end finds udev at work: blkid reads partitions in a worker, alsactl sets
 * the volume of a sound function. They have the device for some 100 ms, each as udev's own child.
 * ABI: udev(7), RUN: "can only be used for very short-running tasks"
 */
bool opener_is_udevs(int rootfd, pid_t pid)
{
	char comm[PROCESS_NAME_MAX + 1];

	/* Or of nobody any more: it has ended since it was found */
	return process_in_unit(rootfd, pid, "systemd-udevd.service") ||
	       process_name(rootfd, pid, comm, sizeof(comm)) == -ESRCH;
}

long long openers_udev_until(const struct helper_ctx *ctx)
{
	int part = deadline_left(ctx->deadline) / GOING_PART;

	return deadline_in(part < UDEV_MS ? part : UDEV_MS);
}

bool openers_again(long long until)
{
	int left = deadline_left(until);

	(void)poll(NULL, 0, left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS);
	return left > 0;
}

/* Is it worth another look, a little later */
static bool all_go(const struct users *users, long long until)
{
	return users->first && !users->lasting && openers_again(until);
}

static const char *cure_of(const struct vfio_device *device, const struct users *users)
{
	if (users->broker)
		return "end the login session that it keeps that for (loginctl)";
	if (users->desktop)
		return "set in_use = stop-seat in [vfio] of the policy, which ends that desktop, "
		       "or end it yourself";
	if (!users->lasting && users->asking)
		return "start the guest again in a moment; if that process stays, its monitor does "
		       "not answer: unplug it and plug it in again";
	if (!users->lasting)
		return "wait until udev is done with it (udevadm settle), or stop it";
	return device->on_vfio ? "end that guest" : rule_cure(device->driver);
}

static void say_opened(const struct helper_ctx *ctx, const struct vfio_device *device,
		       struct users *users)
{
	const char *what = device->nodes.names[0];
	const char *others = process_names_end(&users->others);
	char name[320], who[64], more[160] = "";

	for (size_t i = 1; i < device->nodes.nr; i++) {
		const char *const path[] = { device->nodes.names[i] };

		if (process_find_open_after(ctx->rootfd, path, 1, users->first - 1) == users->first)
			what = device->nodes.names[i];
	}
	if (device->delicate)
		(void)snprintf(more, sizeof(more), ", or " BOOT_CURE, device->id.vendor,
			       device->id.device);
	if (device->forced)
		(void)snprintf(more, sizeof(more),
			       "; its driver would wait for that for ever, so in_use = force does "
			       "not take it");
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	process_describe(ctx->rootfd, users->first, who, sizeof(who));
	helper_say(ctx, "%s is in use by %s, which has %s open%s%s: %s first%s", name, who, what,
		   *others ? ", and by " : "", others, cure_of(device, users), more);
}

static int look_opener(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       const struct vfio_device *device, long long until)
{
	struct users users;
	int r;

	do {
		r = users_find(ctx, device, NULL, NULL, &users);
	} while (r == 0 && all_go(&users, until));
	if (r < 0)
		return look_failed(ctx, device, r);
	if (users.first == 0)
		return 0;
	/* Whose seat is stopped as it is has outlived that */
	users.desktop &= claim->in_use != IN_USE_STOP_SEAT && !device->seat;
	say_opened(ctx, device, &users);
	return 1;
}

static int look_unknown(const struct helper_ctx *ctx, const struct vfio_device *device)
{
	char name[320];

	if (!device->delicate || !device->node_unknown)
		return 0;
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx,
		   "%s has driver %s, which hangs when it is taken from a device in use, and does "
		   "not say which node is this one's (/proc/driver/%s): " BOOT_CURE,
		   name, device->driver, device->driver, device->id.vendor, device->id.device);
	return 1;
}

static bool all_free(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	for (size_t i = 0; i < claim->nr; i++) {
		struct users users;

		if (users_find(ctx, &claim->devices[i], NULL, NULL, &users) < 0 || users.first)
			return false;
	}
	return true;
}

/* Of a desktop that usher-seat has just ended, sound and helper programs go a little later */
static void wait_for_openers(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	long long until = deadline_in(deadline_left(ctx->deadline) / GOING_PART);
	bool seat = false;

	for (size_t i = 0; i < claim->nr; i++)
		seat |= claim->devices[i].seat;
	while (seat && deadline_left(until) > 0 && !all_free(ctx, claim))
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
}

/* One go through the processes is dear enough: device by device only when somebody is found */
int openers_look(const struct helper_ctx *ctx, const struct vfio_claim *claim, bool before_seat)
{
	_cleanup_strlist_ struct strlist all = { 0 };
	long long until;
	int r = 0;

	for (size_t i = 0; i < claim->nr; i++)
		if (look_unknown(ctx, &claim->devices[i]) != 0)
			return 1;
	for (size_t i = 0; i < claim->nr; i++)
		for (size_t j = 0; r == 0 && j < claim->devices[i].nodes.nr; j++)
			r = strlist_add(&all, claim->devices[i].nodes.names[j]);
	if (r == 0 && nodes_user(ctx->rootfd, &all) == 0)
		return 0;
	if (!before_seat)
		wait_for_openers(ctx, claim);
	until = openers_udev_until(ctx);
	for (size_t i = 0; i < claim->nr; i++)
		if (look_opener(ctx, claim, &claim->devices[i], until) != 0)
			return 1;
	return 0;
}

static bool shows(int rootfd, const struct vfio_device *device, pid_t pid,
		  const struct ending *ending)
{
	(void)ending;
	return ending_shows(rootfd, &device->nodes, pid);
}

static bool stays(int rootfd, const struct vfio_device *device, pid_t pid,
		  const struct ending *ending)
{
	return ending_outlived(rootfd, ending, pid) && !ending_shows(rootfd, &device->nodes, pid);
}

static void card_free(struct vfio_device *card)
{
	node_list_free(&card->below);
	strlist_free(&card->nodes);
}

#define _cleanup_card_ _cleanup_(card_free)

/* A device of the claim beside the one that is looked at, with its nodes. Return: 0, else -errno */
static int card_load(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		     const struct vfio_device *device, struct vfio_device *ret)
{
	int r;

	*ret = (struct vfio_device){ .addr = device->addr, .seat = device->seat };
	memcpy(ret->name, device->name, sizeof(ret->name));
	r = pcidev_driver(ctx->rootfd, &ret->addr, ret->driver, sizeof(ret->driver));
	return r > 0 ? openers_nodes(ctx, claim, ret) : r;
}

static bool is_sound(int rootfd, const char *name)
{
	unsigned long long class;
	char path[PATH_MAX];

	return path_format(path, sizeof(path), "sys/bus/pci/devices/%s/class", name) == 0 &&
	       attr_read_ull(rootfd, path, &class) == 0 && class >> 8 == CLASS_SOUND;
}

/* Is there a desktop on a card, which usher-seat is about to end */
static bool is_shown(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		     const struct vfio_device *card)
{
	_cleanup_card_ struct vfio_device now = { 0 };
	struct users users = { 0 };

	if (card_load(ctx, claim, card, &now) == 0)
		(void)(users_find(ctx, &now, shows, NULL, &users) < 0);
	return users.first > 0;
}

/* The card of that slot whose desktop usher-seat ends. Return: NULL for none */
static const struct vfio_device *seat_card(const struct vfio_claim *claim,
					   const struct vfio_device *device)
{
	for (size_t i = 0; i < claim->nr; i++)
		if (claim->devices[i].seat &&
		    pciaddr_same_slot(&claim->devices[i].addr, &device->addr))
			return &claim->devices[i];
	return NULL;
}

bool openers_end_with_seat(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			   const struct vfio_device *device)
{
	const struct vfio_device *card = device->seat ? NULL : seat_card(claim, device);

	if (!card)
		return device->seat;
	return is_sound(ctx->rootfd, device->name) && is_shown(ctx, claim, card);
}

/* Return: 0, else -errno */
static int load_ending(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       const struct vfio_device *device, struct ending *ret)
{
	_cleanup_card_ struct vfio_device card = { 0 };
	char seat[64];
	int r;

	if (!device->seat) {
		r = card_load(ctx, claim, seat_card(claim, device) ?: device, &card);
		if (r < 0)
			return r;
	}
	device_seat(ctx->rootfd, *card.name ? card.name : device->name, seat, sizeof(seat));
	return ending_load(ctx->rootfd, seat, *card.name ? &card.nodes : &device->nodes, ret);
}

int openers_staying(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		    struct vfio_device *device)
{
	_cleanup_ending_ struct ending ending = { 0 };
	long long until = openers_udev_until(ctx);
	struct users users;
	int r;

	/* What has it through vfio is no desktop */
	if (device->on_vfio)
		return 0;
	r = load_ending(ctx, claim, device, &ending);
	if (r < 0)
		return look_failed(ctx, device, r);
	do {
		r = users_find(ctx, device, stays, &ending, &users);
	} while (r == 0 && all_go(&users, until));
	if (r < 0)
		return look_failed(ctx, device, r);
	if (users.first)
		say_opened(ctx, device, &users);
	/* Who shows something on it is usher-seat's affair now */
	strlist_free(&device->nodes);
	return users.first > 0;
}
