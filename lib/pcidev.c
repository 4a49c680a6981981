/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/pcidev.c - what sysfs says of a PCI device; read only */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "attr.h"
#include "pcidev.h"
#include "units.h"

#define PATH_LEN	  128
#define BASE_CLASS_BRIDGE 0x06

void pciaddr_list_free(struct pciaddr_list *list)
{
	free(list->addrs);
	*list = (struct pciaddr_list){ 0 };
}

int pciaddr_list_add(struct pciaddr_list *list, const struct pciaddr *addr)
{
	struct pciaddr *addrs = reallocarray(list->addrs, list->nr + 1, sizeof(*addrs));

	if (!addrs)
		return -ENOMEM;
	list->addrs = addrs;
	list->addrs[list->nr++] = *addr;
	return 0;
}

bool pciaddr_list_has(const struct pciaddr_list *list, const struct pciaddr *addr)
{
	for (size_t i = 0; i < list->nr; i++) {
		if (pciaddr_cmp(&list->addrs[i], addr) == 0)
			return true;
	}
	return false;
}

static void device_path(const struct pciaddr *addr, const char *file, char buf[static PATH_LEN])
{
	char name[PCIADDR_STRLEN];

	pciaddr_format(addr, name);
	(void)snprintf(buf, PATH_LEN, "sys/bus/pci/devices/%s/%s", name, file);
}

int pcidev_exists(int rootfd, const struct pciaddr *addr)
{
	char path[PATH_LEN];

	device_path(addr, "", path);
	return attr_exists(rootfd, path);
}

/* Why a device's file or link is missing. Return: -ENODEV with the device, else @r */
static int missing(int rootfd, const struct pciaddr *addr, int r)
{
	int exists = pcidev_exists(rootfd, addr);

	if (exists < 0)
		return exists;
	return exists ? r : -ENODEV;
}

static int read_number(int rootfd, const struct pciaddr *addr, const char *file,
		       unsigned long long max, unsigned int *ret)
{
	unsigned long long value;
	char path[PATH_LEN];
	int r;

	device_path(addr, file, path);
	r = attr_read_ull(rootfd, path, &value);
	if (r == -ENOENT)
		return missing(rootfd, addr, r);
	if (r < 0)
		return r;
	if (value > max)
		return -EBADMSG;
	*ret = (unsigned int)value;
	return 0;
}

int pcidev_id(int rootfd, const struct pciaddr *addr, struct pciid *ret)
{
	struct pciid id;
	int r;

	r = read_number(rootfd, addr, "vendor", 0xffff, &id.vendor);
	if (r < 0)
		return r;
	r = read_number(rootfd, addr, "device", 0xffff, &id.device);
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}

int pcidev_driver(int rootfd, const struct pciaddr *addr, char *buf, size_t size)
{
	char path[PATH_LEN];
	int r;

	device_path(addr, "driver", path);
	r = attr_link(rootfd, path, buf, size);
	if (r == -ENOENT)
		return missing(rootfd, addr, 0);
	return r < 0 ? r : 1;
}

int pcidev_is_bridge(int rootfd, const struct pciaddr *addr)
{
	unsigned int class;
	int r;

	r = read_number(rootfd, addr, "class", 0xffffff, &class);
	if (r < 0)
		return r;
	return class >> 16 == BASE_CLASS_BRIDGE;
}

int pcidev_forwards(int rootfd, const struct pciaddr *addr)
{
	static const unsigned int classes[] = { 0x0604, 0x0607, 0x0609 };
	unsigned int class;
	int r = read_number(rootfd, addr, "class", 0xffffff, &class);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(classes); i++)
		if (class >> 8 == classes[i])
			return 1;
	return r;
}

int pcidev_group(int rootfd, const struct pciaddr *addr)
{
	char path[PATH_LEN], name[16];
	unsigned int group;
	int r;

	device_path(addr, "iommu_group", path);
	r = attr_link(rootfd, path, name, sizeof(name));
	if (r == -ENOENT)
		return missing(rootfd, addr, -ENXIO);
	if (r < 0)
		return r;
	r = parse_uint(name, 10, INT_MAX, &group);
	return r < 0 ? -EBADMSG : (int)group;
}

static int cmp_addrs(const void *a, const void *b)
{
	return pciaddr_cmp(a, b);
}

int pcidev_group_members(int rootfd, int group, struct pciaddr_list *ret)
{
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_LEN];
	int r;

	r = path_format(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices", group);
	if (r < 0)
		return r;
	r = attr_list(rootfd, path, &names);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.nr; i++) {
		struct pciaddr addr;

		if (pciaddr_parse(names.names[i], &addr) < 0)
			continue;
		r = pciaddr_list_add(&list, &addr);
		if (r < 0)
			return r;
	}
	if (list.nr > 0)
		qsort(list.addrs, list.nr, sizeof(*list.addrs), cmp_addrs);
	*ret = list;
	list = (struct pciaddr_list){ 0 };
	return 0;
}

static int add_node(struct strlist *paths, const char *dir, const char *name)
{
	char path[PATH_LEN];
	int r = path_format(path, sizeof(path), "%s/%s", dir, name);

	return r < 0 ? r : strlist_add(paths, path);
}

int pcidev_vfio_nodes(int rootfd, const struct pciaddr *addr, struct strlist *paths)
{
	_cleanup_strlist_ struct strlist cdevs = { 0 };
	char dir[PATH_LEN], number[16];
	int group = pcidev_group(rootfd, addr);
	int r = 0;

	if (group >= 0) {
		r = path_format(number, sizeof(number), "%d", group);
		if (r == 0)
			r = add_node(paths, "/dev/vfio", number);
	}
	if (r < 0)
		return r;
	device_path(addr, "vfio-dev", dir);
	r = attr_list(rootfd, dir, &cdevs);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; r == 0 && i < cdevs.nr; i++)
		r = add_node(paths, "/dev/vfio/devices", cdevs.names[i]);
	return r;
}
