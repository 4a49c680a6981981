/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/check.c - look at every claimed device before one is touched */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/* All looks: 0, or 1 after saying why the device cannot be passed */

int look_failed(const struct helper_ctx *ctx, const struct vfio_device *device, int error)
{
	helper_say(ctx, "cannot look at %s: %s: see lspci -vs %s", device->name, strerror(-error),
		   device->name);
	return 1;
}

/* First of all, and answers_look(): while a driver hangs in it, every further look could hang too */
static int look_stuck(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		      struct vfio_device *device)
{
	struct mark mark;
	char why[160];
	int r = mark_find(ctx->rootfd, device->name, &mark);

	(void)claim;
	if (r == 0)
		return 0;
	if (r < 0)
		return look_failed(ctx, device, r);
	mark_describe(&mark, why, sizeof(why));
	helper_say(ctx,
		   "%s is stuck since an earlier start: %s: start again when it has come back; if "
		   "it never does, only a reboot of the host frees it",
		   device->name, why);
	return 1;
}

static int look_exists(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       struct vfio_device *device)
{
	int r = pcidev_exists(ctx->rootfd, &device->addr);

	(void)claim;
	if (r < 0)
		return look_failed(ctx, device, r);
	if (r > 0)
		return 0;
	helper_say(ctx,
		   "%s is not there: this host has no PCI device of that address (lspci -D lists "
		   "them): correct it in the domain or the policy",
		   device->name);
	return 1;
}

/* Firmware renumbers: the wrong card is never passed */
static int look_ids(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		    struct vfio_device *device)
{
	char name[320], wanted[260];
	struct pciid id;
	int r = pcidev_id(ctx->rootfd, &device->addr, &id);

	(void)claim;
	if (r < 0)
		return look_failed(ctx, device, r);
	if (id.vendor == device->id.vendor && id.device == device->id.device)
		return 0;
	device_describe(ctx->rootfd, &device->addr, &id, name, sizeof(name));
	pci_describe(&device->id, wanted, sizeof(wanted));
	helper_say(ctx,
		   "%s [%04x:%04x] is not the expected %s [%04x:%04x]: the firmware has "
		   "renumbered the devices; correct the address in the domain or the policy",
		   name, id.vendor, id.device, wanted, device->id.vendor, device->id.device);
	return 1;
}

/* The blanks NVMe pads its serial with are no part of it */
static void trim(char *text)
{
	size_t len = strlen(text), lead = strspn(text, " ");

	while (len > lead && text[len - 1] == ' ')
		len--;
	memmove(text, text + lead, len - lead);
	text[len - lead] = '\0';
}

/*
 * read_serial() - of the NVMe controller behind a device
 *
 * Return: 1 read, 0 there is none to read (on another driver, or no NVMe), else -errno
 * ABI: drivers/nvme/host/sysfs.c, serial; Linux 6.12
 */
static int read_serial(int rootfd, const char *name, char *buf, size_t size)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/nvme", name);

	if (r == 0)
		r = attr_list(rootfd, path, &names);
	if (r < 0 || names.nr == 0)
		return r == -ENOENT ? 0 : r;
	r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/nvme/%s/serial", name,
			names.names[0]);
	if (r == 0)
		r = attr_read(rootfd, path, buf, size);
	if (r < 0)
		return r;
	trim(buf);
	return 1;
}

static int look_serial(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       struct vfio_device *device)
{
	char name[320], serial[128];
	int r = device->serial ? read_serial(ctx->rootfd, device->name, serial, sizeof(serial)) : 0;

	(void)claim;
	if (r < 0)
		return look_failed(ctx, device, r);
	if (r == 0)
		return 0;
	trim(device->serial);
	if (strcmp(serial, device->serial) == 0)
		return 0;
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx,
		   "%s has serial %s, not the expected %s: it is another disk of the same kind; "
		   "correct the address or expect in the policy",
		   name, serial, device->serial);
	return 1;
}

/*
 * One that cannot be read may be any disk's. Only before a start: later the disk is the guest's,
 * and its driver gone.
 */
static int look_serial_unknown(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			       struct vfio_device *device)
{
	char name[320], serial[128], driver[DRIVER_NAME_MAX] = "";

	(void)claim;
	if (!device->serial ||
	    read_serial(ctx->rootfd, device->name, serial, sizeof(serial)) != 0 ||
	    process_find_qemu(ctx->rootfd, ctx->claim.uuid) > 0)
		return 0;
	if (pcidev_driver(ctx->rootfd, &device->addr, driver, sizeof(driver)) < 0)
		*driver = '\0';
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx,
		   "%s cannot be asked for its serial, which shall be %s: it is on %s, and only an "
		   "NVMe disk on nvme tells: bind it to nvme, or take the serial out of expect in "
		   "the policy",
		   name, device->serial, *driver ? driver : "no driver");
	return 1;
}

static int look_bridge(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       struct vfio_device *device)
{
	char name[320];
	int r = pcidev_is_bridge(ctx->rootfd, &device->addr);

	(void)claim;
	if (r < 0)
		return look_failed(ctx, device, r);
	if (r == 0)
		return 0;
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx,
		   "%s is a bridge, which no guest can have: take it out of the domain or the "
		   "policy; the device behind it is what to pass",
		   name);
	return 1;
}

static int look_iommu(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		      struct vfio_device *device)
{
	_cleanup_strlist_ struct strlist groups = { 0 };
	int r = pcidev_group(ctx->rootfd, &device->addr);

	(void)claim;
	if (r >= 0) {
		device->group = r;
		return 0;
	}
	if (r != -ENXIO)
		return look_failed(ctx, device, r);
	if (attr_list(ctx->rootfd, "sys/kernel/iommu_groups", &groups) == 0 && groups.nr > 0)
		helper_say(ctx,
			   "%s has no IOMMU group though the IOMMU is on: this device cannot be "
			   "isolated; use another slot, or another device",
			   device->name);
	else
		helper_say(ctx,
			   "%s has no IOMMU group, the IOMMU is off: switch on VT-d (Intel) or "
			   "IOMMU (AMD) in the firmware and boot the host with intel_iommu=on "
			   "(AMD needs no option)",
			   device->name);
	return 1;
}

/* The vfio driver that takes it: the policy's, or the best there is for its model */
static int look_variant(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			struct vfio_device *device)
{
	int r = 0;

	if (strcmp(claim->driver, "auto") == 0)
		r = variant_module(ctx->rootfd, device->name, device->module,
				   sizeof(device->module));
	else
		memcpy(device->module, claim->driver, sizeof(device->module));
	return r < 0 ? look_failed(ctx, device, r) : 0;
}

/* Return: 1 the method is among the device's, 0 not, -ENOENT the kernel gives no choice, -errno */
static int has_reset(int rootfd, const struct vfio_claim *claim, const struct vfio_device *device)
{
	_cleanup_strlist_ struct strlist methods = { 0 };
	char path[PATH_MAX], text[256];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/reset_method",
			    device->name);

	if (r == 0)
		r = attr_read(rootfd, path, text, sizeof(text));
	if (r >= 0)
		r = text_split(text, " ", &methods);
	if (r < 0)
		return r;
	return strcmp(claim->reset, "none") == 0 || strlist_has(&methods, claim->reset) ||
	       (strcmp(claim->reset, "device_specific") == 0 &&
		vendor_resets(rootfd, &device->addr));
}

/* One function of a slot that has it is enough: a sound function's list is not its card's */
static int look_reset(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		      struct vfio_device *device)
{
	for (size_t i = 0; *claim->reset && i < claim->nr; i++) {
		int r = has_reset(ctx->rootfd, claim, &claim->devices[i]);

		if (r > 0)
			return 0;
		if (r < 0 && r != -ENOENT)
			return look_failed(ctx, device, r);
	}
	if (!*claim->reset)
		return 0;
	helper_say(ctx,
		   "no device of the guest can be reset by '%s': cat /sys/bus/pci/devices/%s/"
		   "reset_method for what it offers, and set reset in [vfio] of the policy to one "
		   "of these or to auto",
		   claim->reset, device->name);
	return 1;
}

/* As with the reset: of the card and its sound function one is enough */
static int look_bars(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		     struct vfio_device *device)
{
	for (size_t i = 0; i < claim->nr_bars; i++) {
		const struct pcibar *bar = &claim->bars[i];
		int r = bars_can_be(ctx->rootfd, claim, bar);

		if (r > 0)
			continue;
		if (r < 0)
			return look_failed(ctx, device, r);
		helper_say(ctx,
			   "no device of the guest has a BAR %u that can be %llu MiB large: see "
			   "lspci -vvs %s, Resizable BAR (Linux 6.1 or later), and correct bars in "
			   "[vfio] of the policy",
			   bar->bar, 1ULL << bar->size, device->name);
		return 1;
	}
	return 0;
}

static int look_group(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		      struct vfio_device *device)
{
	return group_look(ctx, claim, device);
}

/* What the device itself says; who has its nodes open is asked once for all devices */
static int look_use(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		    struct vfio_device *device)
{
	char name[320], use[400];
	int r = pcidev_driver(ctx->rootfd, &device->addr, device->driver, sizeof(device->driver));

	strlist_free(&device->nodes);
	node_list_free(&device->below);
	device->delicate = device->node_unknown = device->forced = false;
	if (r > 0)
		device->on_vfio = device_on_vfio(ctx->rootfd, device->name, device->driver) > 0;
	if (r > 0 && device->on_vfio)
		r = pcidev_vfio_nodes(ctx->rootfd, &device->addr, &device->nodes);
	else if (r > 0)
		r = openers_nodes(ctx, claim, device);
	if (r == 0 && !device->on_vfio)
		r = holders_find(ctx->rootfd, device->name, &device->below,
				 claim->in_use == IN_USE_FORCE, use, sizeof(use));
	if (r < 0)
		return look_failed(ctx, device, r);
	if (r == 0)
		return 0;
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx, "%s %s", name, use);
	return 1;
}

/* In this order, each for all devices: what is wrong with the claim before who is in the way */
static int (*const looks[])(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			    struct vfio_device *device) = {
	look_stuck,  look_exists, look_ids,   look_serial,  look_serial_unknown,
	look_bridge, look_iommu,  look_group, look_variant, look_reset,
	look_bars,   render_look, look_use,
};

int vfio_look(const struct helper_ctx *ctx, struct vfio_claim *claim, bool before_seat)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		for (size_t j = 0; j < claim->nr; j++) {
			struct vfio_device *device = &claim->devices[j];

			if (looks[i] == look_serial_unknown && !before_seat)
				continue;
			if (looks[i](ctx, claim, device) != 0)
				return 1;
			if (looks[i] == look_use && before_seat &&
			    openers_end_with_seat(ctx, claim, device) &&
			    openers_staying(ctx, claim, device) != 0)
				return 1;
		}
		if (looks[i] == look_stuck && answers_look(ctx, claim) != 0)
			return 1;
	}
	if (openers_look(ctx, claim, before_seat) != 0)
		return 1;
	return guest_disks_look(ctx, claim);
}

enum helper_exit vfio_check(struct helper_ctx *ctx)
{
	_cleanup_vfio_claim_ struct vfio_claim claim = { 0 };
	enum helper_exit r = vfio_claim_load(ctx, &claim);

	if (r != HELPER_DONE)
		return r;
	if (vfio_look(ctx, &claim, true) != 0)
		return HELPER_FAILED;
	for (size_t i = 0; i < claim.nr; i++)
		if (module_look(ctx, claim.devices[i].module) != 0)
			return HELPER_FAILED;
	/* By hand alone: it is no news at each start */
	if (helper_in_start(ctx))
		return HELPER_DONE;
	vendor_say(ctx, &claim);
	/* A plan has it from apply, as the start's log has */
	if (!ctx->dry_run)
		keyboards_say(ctx, &claim);
	return HELPER_DONE;
}
