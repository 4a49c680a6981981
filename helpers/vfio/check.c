/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/check.c - look at every claimed device before one is touched */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/module.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/* Longest modules.dep or modules.builtin that is searched */
#define MODULES_MAX ((size_t)16 * 1024 * 1024)

/* This part of the time may be spent on programs that are about to go */
#define GOING_PART    3
#define LOOK_AGAIN_MS 100

/* All looks: 0, or 1 after saying why the device cannot be passed */

static int say_errno(const struct helper_ctx *ctx, const struct vfio_device *device, int error)
{
	helper_say(ctx, "cannot look at %s: %s: see lspci -vs %s", device->name, strerror(-error),
		   device->name);
	return 1;
}

/* First of all: while a driver hangs in it, every further look could hang too */
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
		return say_errno(ctx, device, r);
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
		return say_errno(ctx, device, r);
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
		return say_errno(ctx, device, r);
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
		return say_errno(ctx, device, r);
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
		return say_errno(ctx, device, r);
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
		return say_errno(ctx, device, r);
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
	return r < 0 ? say_errno(ctx, device, r) : 0;
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
	return strcmp(claim->reset, "none") == 0 || strlist_has(&methods, claim->reset);
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
			return say_errno(ctx, device, r);
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

static int look_group(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		      struct vfio_device *device)
{
	return group_look(ctx, claim, device);
}

/* Return: 1, for look_use() to go on, -errno */
static int look_driver_nodes(const struct helper_ctx *ctx, struct vfio_device *device)
{
	const struct driver_rule *rule = rule_find(device->driver);
	int r = rule ? rule_alone(ctx, device->driver) : 0;

	if (rule && r >= 0)
		r = rule_nodes(ctx->rootfd, rule, device->name, r > 0, &device->nodes);
	return r < 0 ? r : 1;
}

/* What the device itself says; who has its nodes open is asked once for all devices */
static int look_use(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		    struct vfio_device *device)
{
	char name[320], use[400];
	int r = pcidev_driver(ctx->rootfd, &device->addr, device->driver, sizeof(device->driver));

	strlist_free(&device->nodes);
	if (r > 0)
		device->on_vfio = device_on_vfio(ctx->rootfd, device->name, device->driver) > 0;
	if (r > 0 && device->on_vfio)
		r = pcidev_vfio_nodes(ctx->rootfd, &device->addr, &device->nodes);
	else if (r > 0)
		r = look_driver_nodes(ctx, device);
	if (r > 0 && !device->on_vfio)
		r = holders_find(ctx->rootfd, device->name, claim->in_use == IN_USE_FORCE, use,
				 sizeof(use), &device->nodes);
	if (r < 0)
		return say_errno(ctx, device, r);
	if (r == 0)
		return 0;
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	helper_say(ctx, "%s %s", name, use);
	return 1;
}

static void say_opened(const struct helper_ctx *ctx, const struct vfio_device *device, pid_t pid)
{
	const char *what = device->nodes.names[0];
	char name[320], who[64];

	for (size_t i = 1; i < device->nodes.nr; i++) {
		const char *const path[] = { device->nodes.names[i] };

		if (process_find_open(ctx->rootfd, path, 1) == pid)
			what = device->nodes.names[i];
	}
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	process_describe(ctx->rootfd, pid, who, sizeof(who));
	helper_say(ctx, "%s is in use by %s, which has %s open: %s first", name, who, what,
		   device->on_vfio ? "end that guest" : rule_cure(device->driver));
}

/* A user that is none of the services which go before the driver does */
static pid_t nodes_stranger(int rootfd, const struct vfio_device *device)
{
	const char *const *nodes = (const char *const *)device->nodes.names;
	pid_t pid = nodes_user(rootfd, &device->nodes);
	char comm[32];

	while (pid > 0 && process_name(rootfd, pid, comm, sizeof(comm)) == 0 &&
	       rule_ignores(device->driver, comm))
		pid = process_find_open_after(rootfd, nodes, device->nodes.nr, pid);
	return pid;
}

/* Of a device with vfio already, this guest's own QEMU is no stranger: apply runs in `reconnect` */
static int look_opener(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       const struct vfio_device *device)
{
	pid_t pid = 0;

	if (device->on_vfio || claim->in_use != IN_USE_FORCE)
		pid = nodes_stranger(ctx->rootfd, device);
	if (pid < 0)
		return say_errno(ctx, device, (int)pid);
	if (pid == 0)
		return 0;
	if (device->on_vfio && process_find_qemu(ctx->rootfd, ctx->claim.uuid) == pid)
		return 0;
	say_opened(ctx, device, pid);
	return 1;
}

/* Of a desktop that usher-seat has just ended, sound and helper programs go a little later */
static pid_t wait_for_openers(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			      const struct strlist *nodes)
{
	long long until = deadline_in(deadline_left(ctx->deadline) / GOING_PART);
	pid_t pid = nodes_user(ctx->rootfd, nodes);
	bool seat = false;

	for (size_t i = 0; i < claim->nr; i++)
		seat |= claim->devices[i].seat;
	while (pid > 0 && seat && deadline_left(until) > 0) {
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
		pid = nodes_user(ctx->rootfd, nodes);
	}
	return pid;
}

/* One go through the processes is dear enough: device by device only when somebody is found */
static int look_openers(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			bool before_seat)
{
	_cleanup_strlist_ struct strlist all = { 0 };
	pid_t pid;
	int r = 0;

	for (size_t i = 0; i < claim->nr; i++)
		for (size_t j = 0; r == 0 && j < claim->devices[i].nodes.nr; j++)
			r = strlist_add(&all, claim->devices[i].nodes.names[j]);
	pid = before_seat ? nodes_user(ctx->rootfd, &all) : wait_for_openers(ctx, claim, &all);
	if (r == 0 && pid == 0)
		return 0;
	for (size_t i = 0; i < claim->nr; i++)
		if (look_opener(ctx, claim, &claim->devices[i]) != 0)
			return 1;
	return 0;
}

/* In this order, each for all devices: what is wrong with the claim before who is in the way */
static int (*const looks[])(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			    struct vfio_device *device) = {
	look_stuck,	     look_exists, look_ids,   look_serial,
	look_serial_unknown, look_bridge, look_iommu, look_group,
	look_variant,	     look_reset,  look_use,
};

int vfio_look(const struct helper_ctx *ctx, struct vfio_claim *claim, bool before_seat)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		for (size_t j = 0; j < claim->nr; j++) {
			if (looks[i] == look_use && before_seat && claim->devices[j].seat)
				continue;
			if (looks[i] == look_serial_unknown && !before_seat)
				continue;
			if (looks[i](ctx, claim, &claim->devices[j]) != 0)
				return 1;
		}
	}
	if (look_openers(ctx, claim, before_seat) != 0)
		return 1;
	return guest_disks_look(ctx, claim);
}

/* "/vfio-pci.ko" or "/vfio_pci.ko": files are named either way */
static void module_file(const char *driver, char from, char to, char *buf, size_t size)
{
	(void)snprintf(buf, size, "/%s.ko", driver);
	for (char *c = buf; *c; c++)
		if (*c == from)
			*c = to;
}

/* Is a module in one of the running kernel's lists. Return: 1, 0, -ENOENT there is no list */
static int list_has_module(int rootfd, const char *release, const char *list, const char *driver)
{
	char path[PATH_MAX], dashes[DRIVER_NAME_MAX + 8], lines[DRIVER_NAME_MAX + 8];
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = path_format(path, sizeof(path), "lib/modules/%s/%s", release, list);
	if (r == 0)
		r = attr_read_all(rootfd, path, MODULES_MAX, &text, &len);
	if (r < 0 || !text)
		return r;
	module_file(driver, '_', '-', dashes, sizeof(dashes));
	module_file(driver, '-', '_', lines, sizeof(lines));
	return strstr(text, dashes) || strstr(text, lines);
}

/* Only what is certain counts: where there is no list of modules, loading it will tell */
static int look_driver(const struct helper_ctx *ctx, const char *driver)
{
	char path[PATH_MAX], release[128];
	int r = path_format(path, sizeof(path), "sys/bus/pci/drivers/%s", driver);

	if (r < 0 || attr_exists(ctx->rootfd, path) > 0)
		return r < 0;
	if (attr_read(ctx->rootfd, "proc/sys/kernel/osrelease", release, sizeof(release)) < 0)
		return 0;
	r = list_has_module(ctx->rootfd, release, "modules.dep", driver);
	if (r == 0)
		r = list_has_module(ctx->rootfd, release, "modules.builtin", driver);
	if (r != 0)
		return 0;
	helper_say(ctx,
		   "kernel %s has no driver %s: install the distribution's full set of modules for "
		   "it, or boot the kernel that is installed",
		   release, driver);
	return 1;
}

enum helper_exit vfio_check(struct helper_ctx *ctx)
{
	_cleanup_vfio_claim_ struct vfio_claim claim = { 0 };

	if (vfio_claim_load(ctx, &claim) < 0)
		return HELPER_USAGE;
	if (vfio_look(ctx, &claim, true) != 0)
		return HELPER_FAILED;
	for (size_t i = 0; i < claim.nr; i++)
		if (look_driver(ctx, claim.devices[i].module) != 0)
			return HELPER_FAILED;
	return HELPER_DONE;
}
