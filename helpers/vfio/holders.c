/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/holders.c - what the host itself does with a PCI device */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/blockdev.h"
#include "uses.h"
#include "vfio.h"

/*
 * Looked at, all below the device at any depth, and through what is stacked on it:
 *	disks and partitions	disks.c
 *	network interfaces	nics.c
 *	virtual functions	that go with their physical one
 *	nodes below /dev	their paths, for who looks through the processes
 *
 * What would cost the host data or its network is refused always, the rest unless the policy says
 * in_use = force.
 */

/* One row a class of devices: asked for by name, or for who has its node open, or both */
static const struct look {
	const char *subsystem;
	int (*find)(const struct use_look *look, const char *name);
	const char *dev; /* where its nodes are; a name that has none matches nothing there */
} looks[] = {
	{ "block", disk_use, "/dev" },	  { "net", net_use, NULL },
	{ "drm", NULL, "/dev/dri" },	  { "graphics", NULL, "/dev" },
	{ "sound", NULL, "/dev/snd" },	  { "nvme", NULL, "/dev" },
	{ "nvme-generic", NULL, "/dev" }, { "hidraw", NULL, "/dev" },
	{ "tty", NULL, "/dev" },	  { "video4linux", NULL, "/dev" },
	{ "kfd", NULL, "/dev" },
};

const char *holders_subsystem(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (strcmp(looks[i].subsystem, name) == 0)
			return looks[i].subsystem;
	/* Not held by opening it, but to be told: keyboards */
	return strcmp(name, "input") == 0 ? "input" : NULL;
}

static const struct look *look_for(const struct node *node)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (strcmp(looks[i].subsystem, node->subsystem) == 0)
			return &looks[i];
	return NULL;
}

static int add_path(const char *dev, const char *name, struct strlist *paths)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", dev, name);

	/* "cciss!c0d0" of block is cciss/c0d0 there */
	for (char *c = path; r == 0 && *c; c++)
		if (*c == '!')
			*c = '/';
	return r < 0 ? r : strlist_add(paths, path);
}

/* Every one says its own; then, partitions before their disks, what only the kernel knows */
static int nodes_use(const struct use_look *use, const struct node_list *found,
		     struct strlist *paths)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < found->nr; i++) {
		const struct node *node = &found->nodes[i];
		const struct look *look = look_for(node);

		if (look && look->find)
			r = look->find(use, node->name);
		if (r == 0 && look && look->dev)
			r = add_path(look->dev, node->name, paths);
	}
	for (size_t i = found->nr; r == 0 && i > 0; i--)
		if (strcmp(found->nodes[i - 1].subsystem, "block") == 0)
			r = disk_use_by_kernel(use, found->nodes[i - 1].name);
	return r;
}

/*
 * functions_use() - virtual functions: a driver that lets go of the card takes them along
 *
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, sriov_numvfs; since Linux 3.8
 */
static int functions_use(const struct use_look *use, const char *name)
{
	unsigned long long nr;
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/sriov_numvfs", name);

	if (r < 0)
		return r;
	if (attr_read_ull(use->rootfd, path, &nr) < 0 || nr == 0)
		return 0;
	(void)snprintf(use->text, use->size,
		       "has %llu virtual functions, which would go with it: echo 0 >/%s first", nr,
		       path);
	return 1;
}

/* NOLINTBEGIN(readability-non-const-parameter): filled by those who get the look */
int holders_find(int rootfd, const char *name, const struct node_list *below, bool force,
		 char *text, size_t size, struct strlist *nodes)
/* NOLINTEND(readability-non-const-parameter) */
{
	_cleanup_use_tables_ struct use_tables tables = { 0 };
	const struct use_look use = {
		.rootfd = rootfd, .tables = &tables, .force = force, .text = text, .size = size
	};
	int r = functions_use(&use, name);

	if (r == 0 && (nodes_have(below, "block") || nodes_have(below, "net")))
		r = use_tables_read(rootfd, &tables);
	return r == 0 ? nodes_use(&use, below, nodes) : r;
}

/* Itself, its partitions, and the disk it is a part of */
struct disk_family {
	const char *name;
	char disk[NAME_MAX + 1]; /* "" when it is no partition */
	struct strlist partitions;
};

static void disk_family_free(struct disk_family *family)
{
	strlist_free(&family->partitions);
}

static int family_use(const struct use_look *use, const struct disk_family *family)
{
	int r = disk_use(use, family->name);

	for (size_t i = 0; r == 0 && i < family->partitions.nr; i++)
		r = disk_use(use, family->partitions.names[i]);
	if (r == 0 && *family->disk)
		r = disk_use(use, family->disk);
	for (size_t i = 0; r == 0 && i < family->partitions.nr; i++)
		r = disk_use_by_kernel(use, family->partitions.names[i]);
	return r == 0 ? disk_use_by_kernel(use, family->name) : r;
}

static int family_paths(const struct disk_family *family, struct strlist *nodes)
{
	int r = add_path("/dev", family->name, nodes);

	for (size_t i = 0; r == 0 && i < family->partitions.nr; i++)
		r = add_path("/dev", family->partitions.names[i], nodes);
	return r == 0 && *family->disk ? add_path("/dev", family->disk, nodes) : r;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as above */
int holders_find_disk(int rootfd, const char *name, char *text, size_t size, struct strlist *nodes)
{
	_cleanup_use_tables_ struct use_tables tables = { 0 };
	_cleanup_(disk_family_free) struct disk_family family = { .name = name };
	const struct use_look use = {
		.rootfd = rootfd, .tables = &tables, .text = text, .size = size
	};
	int r = use_tables_read(rootfd, &tables);

	if (r == 0)
		r = blockdev_disk(rootfd, name, family.disk, sizeof(family.disk));
	if (r >= 0)
		r = blockdev_partitions(rootfd, name, &family.partitions);
	if (r == 0)
		r = family_use(&use, &family);
	return r == 0 ? family_paths(&family, nodes) : r;
}
