/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/devices.c - PCI devices with their groups, drivers, names and holders */
#include <errno.h>
#include <limits.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/state.h"
#include "host.h"

/* The list alone: no cache in a home directory, no udev, no question to the network */
#define LOOKUP_FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)

void host_devices_free(struct host_devices *list)
{
	free(list->devices);
	*list = (struct host_devices){ 0 };
}

/* --- names ---------------------------------------------------------------------------------------- */

/* libpci calls this for a list that is damaged, and must not be returned to */
static jmp_buf damaged;

/* NOLINTBEGIN(readability-non-const-parameter): libpci's prototypes */

_printf_(1, 2) __attribute__((noreturn)) static void list_damaged(char *fmt, ...)
{
	(void)fmt;
	longjmp(damaged, 1);
}

_printf_(1, 2) static void be_quiet(char *fmt, ...)
{
	(void)fmt;
}
/* NOLINTEND(readability-non-const-parameter) */

/* Without pci_init() and a scan: they would look at the real /sys below any root */
static struct pci_access *names_open(void)
{
	struct pci_access *names = pci_alloc();

	names->error = list_damaged;
	names->warning = be_quiet;
	names->debug = be_quiet;
	names->id_lookup_mode = 0;
	return names;
}

static void name_device(struct pci_access *names, struct host_device *device)
{
	char vendor[128], text[128];
	const char *v, *d, *c;

	(void)snprintf(device->name, sizeof(device->name), "%04x:%04x", device->id.vendor,
		       device->id.device);
	(void)snprintf(device->class_name, sizeof(device->class_name), "class %04x", device->class);
	if (setjmp(damaged))
		return;
	v = pci_lookup_name(names, vendor, sizeof(vendor), LOOKUP_FLAGS | PCI_LOOKUP_VENDOR,
			    device->id.vendor);
	d = pci_lookup_name(names, text, sizeof(text), LOOKUP_FLAGS | PCI_LOOKUP_DEVICE,
			    device->id.vendor, device->id.device);
	if (v && d)
		(void)snprintf(device->name, sizeof(device->name), "%s %s", v, d);
	else if (v)
		(void)snprintf(device->name, sizeof(device->name), "%s %04x:%04x", v,
			       device->id.vendor, device->id.device);
	c = pci_lookup_name(names, text, sizeof(text), LOOKUP_FLAGS | PCI_LOOKUP_CLASS,
			    device->class);
	if (c)
		(void)snprintf(device->class_name, sizeof(device->class_name), "%.63s", c);
}

/* --- sysfs ---------------------------------------------------------------------------------------- */

static void read_text(int rootfd, const char *addr, const char *what, char *buf, size_t size,
		      struct missing *missing)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/%s", addr, what);

	*buf = '\0';
	if (r == 0)
		r = attr_read(rootfd, path, buf, size);
	(void)missing_add(missing, r, "%s of %s", what, addr);
}

static unsigned long long read_number(int rootfd, const char *addr, const char *what,
				      struct missing *missing)
{
	unsigned long long number = 0;
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/%s", addr, what);

	if (r == 0)
		r = attr_read_ull(rootfd, path, &number);
	return missing_add(missing, r, "%s of %s", what, addr) ? 0 : number;
}

/* Return: true, false it has gone meanwhile, or nothing can be told of it */
static bool read_device(int rootfd, const char *name, struct host_device *ret,
			struct missing *missing)
{
	int r;

	if (pciaddr_parse(name, &ret->addr) < 0)
		return false;
	r = pcidev_id(rootfd, &ret->addr, &ret->id);
	(void)missing_add(missing, r, "the device %s", name);
	if (r < 0)
		return false;
	ret->group = pcidev_group(rootfd, &ret->addr);
	(void)missing_add(missing, ret->group, "the IOMMU group of %s", name);
	if (ret->group < 0)
		ret->group = -1;
	ret->class = (unsigned int)(read_number(rootfd, name, "class", missing) >> 8);
	ret->bridge = ret->class >> 8 == 0x06;
	ret->boot_vga = read_number(rootfd, name, "boot_vga", missing) == 1;
	r = pcidev_driver(rootfd, &ret->addr, ret->driver, sizeof(ret->driver));
	(void)missing_add(missing, r, "the driver of %s", name);
	if (r < 0)
		*ret->driver = '\0';
	read_text(rootfd, name, "reset_method", ret->reset, sizeof(ret->reset), missing);
	return true;
}

static int cmp_devices(const void *a, const void *b)
{
	const struct host_device *left = a, *right = b;
	unsigned int l = (unsigned int)left->group, r = (unsigned int)right->group;

	if (l != r)
		return l < r ? -1 : 1;
	return pciaddr_cmp(&left->addr, &right->addr);
}

int host_devices_read(int rootfd, struct host_devices *ret)
{
	struct host_devices list = { 0 };
	_cleanup_strlist_ struct strlist names = { 0 };
	struct pci_access *ids;
	int r = attr_list(rootfd, "sys/bus/pci/devices", &names);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	list.devices = calloc(names.nr + 1, sizeof(*list.devices));
	if (!list.devices)
		return -ENOMEM;
	ids = names_open();
	for (size_t i = 0; i < names.nr; i++) {
		struct host_device *device = &list.devices[list.nr];

		if (!read_device(rootfd, names.names[i], device, &list.missing))
			continue;
		name_device(ids, device);
		list.nr++;
	}
	pci_cleanup(ids);
	if (list.nr > 0)
		qsort(list.devices, list.nr, sizeof(*list.devices), cmp_devices);
	*ret = list;
	return 0;
}

const struct host_device *host_device_find(const struct host_devices *list,
					   const struct pciaddr *addr)
{
	for (size_t i = 0; i < list->nr; i++)
		if (pciaddr_cmp(&list->devices[i].addr, addr) == 0)
			return &list->devices[i];
	return NULL;
}

/* --- claims --------------------------------------------------------------------------------------- */

const char *host_device_holder(const struct claims *claims, const struct pciaddr *addr)
{
	for (size_t i = 0; i < claims->nr; i++) {
		const struct inidoc *doc = &claims->claims[i].doc;
		const struct inidoc_entry *entry = NULL;

		while ((entry = inidoc_next(doc, entry, "vfio", "device"))) {
			struct claim_device device;

			if (claim_device_parse(entry->value, &device) == 0 &&
			    pciaddr_cmp(&device.addr, addr) == 0)
				return claims->claims[i].guest;
		}
	}
	return NULL;
}

int host_claims(int rootfd, struct claims *ret)
{
	_cleanup_close_ int statefd = state_open(rootfd, false);

	if (statefd < 0)
		return statefd == -ENOENT ? 0 : statefd;
	return registry_load(statefd, ret);
}

void host_claims_missing(const struct claims *claims, struct missing *missing)
{
	for (size_t i = 0; i < claims->unreadable.nr; i++)
		(void)missing_add(missing, -EBADMSG, "what /run/usher/%s/" CLAIM_FILE " holds (%s)",
				  claims->unreadable.names[i], claims->why);
}

char *host_claim_file(const struct request *request, const struct claim *claim)
{
	const char *slash = strcmp(request->root, "/") == 0 ? "" : "/";
	char *file;

	return asprintf(&file, "%s%srun/usher/%s/" CLAIM_FILE, request->root, slash, claim->uuid) <
			       0
		       ? NULL
		       : file;
}

int host_claim_of(const struct request *request, const char *guest, struct claim *ret,
		  char **ret_file)
{
	_cleanup_close_ int rootfd = usher_root(request);
	_cleanup_claims_ struct claims claims = { 0 };

	int r = rootfd < 0 ? rootfd : host_claims(rootfd, &claims);

	if (r < 0)
		return r;
	for (size_t i = 0; i < claims.nr; i++) {
		struct claim *claim = &claims.claims[i];

		if (strcmp(claim->guest, guest) != 0)
			continue;
		*ret_file = host_claim_file(request, claim);
		if (!*ret_file)
			return -ENOMEM;
		*ret = *claim;
		*claim = (struct claim){ 0 };
		return 1;
	}
	return 0;
}

int host_cpus(int rootfd, struct cpulist *ret)
{
	char text[ATTR_MAX];
	int r = attr_read(rootfd, "sys/devices/system/cpu/online", text, sizeof(text));

	return r < 0 ? r : cpulist_parse(text, ret);
}

void claim_cpus(const struct claim *claim, struct cpulist *ret)
{
	const char *cpus = inidoc_get(&claim->doc, "cpuset", "cpus");

	*ret = (struct cpulist){ 0 };
	if (cpus && cpulist_parse(cpus, ret) < 0)
		*ret = (struct cpulist){ 0 };
}
