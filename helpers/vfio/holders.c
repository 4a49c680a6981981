/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/holders.c - what the host itself does with a PCI device */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/blockdev.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "uses.h"
#include "vfio.h"

/*
 * Looked at, all below the device at any depth, and through what is stacked on it:
 *	disks and partitions	disks.c
 *	network interfaces	nics.c
 *	virtual functions	that go with their physical one
 *	mediated devices	likewise
 *	nodes below /dev	nodes.c, for who looks through the processes
 *
 * What would cost the host data or its network, or another guest its data, is refused always, the
 * rest unless the policy says in_use = force.
 */

/* One row a class of devices of which more is to be known than who has its node open */
static const struct look {
	const char *subsystem;
	int (*find)(const struct use_look *look, const char *name);
	bool precious; /* never taken from a guest that has it open */
} looks[] = {
	{ "block", disk_use, true },
	{ "net", net_use, false },
	{ "usb", NULL, true },
};

static const struct look *look_for(const struct node *node)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (strcmp(looks[i].subsystem, node->subsystem) == 0)
			return &looks[i];
	return NULL;
}

/* A virtual machine, or a tool of its kind that exports a disk; also one that libvirt has not begun */
static bool is_guest(int rootfd, pid_t pid)
{
	int r = process_named_qemu(rootfd, pid) ? 1 : process_has_arg(rootfd, pid, "-uuid");

	/* In doubt it is, unless it has ended. Of one that hangs the name has told */
	return r != 0 && r != -ENOENT && r != -ESRCH && r != -ETIMEDOUT;
}

/* What costs a guest its data costs no less than what costs the host its own */
static int guests_use(const struct use_look *use, const struct strlist *paths)
{
	const char *const *names = (const char *const *)paths->names;
	char who[64];
	pid_t pid = 0;

	while (paths->nr > 0 &&
	       (pid = process_find_open_after(use->rootfd, names, paths->nr, pid)) > 0)
		if (is_guest(use->rootfd, pid))
			break;
	if (pid <= 0)
		return (int)pid;
	process_describe(use->rootfd, pid, who, sizeof(who));
	(void)snprintf(use->text, use->size,
		       "has a disk or USB device that %s has open: shut that guest down first; its "
		       "data would be lost, so in_use = force does not take it",
		       who);
	return 1;
}

/* Every one says its own; then, partitions before their disks, what only the kernel knows */
static int nodes_use(const struct use_look *use, const struct node_list *found)
{
	_cleanup_strlist_ struct strlist precious = { 0 };
	_cleanup_strlist_ struct strlist disks = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < found->nr; i++) {
		const struct node *node = &found->nodes[i];
		const struct look *look = look_for(node);

		if (look && look->find)
			r = look->find(use, node->name);
		if (r == 0 && look && look->precious && use->force)
			r = node_paths(use->rootfd, node, &precious);
	}
	if (r == 0)
		r = guests_use(use, &precious);
	for (size_t i = found->nr; r == 0 && i > 0; i--)
		if (strcmp(found->nodes[i - 1].subsystem, "block") == 0)
			r = strlist_add(&disks, found->nodes[i - 1].name);
	return r == 0 ? disks_use_by_kernel(use, &disks) : r;
}

static bool is_function(const char *name)
{
	static const char link[] = "virtfn";
	unsigned int number;

	return strncmp(name, link, strlen(link)) == 0 &&
	       parse_uint(name + strlen(link), 10, INT_MAX, &number) == 0;
}

/*
 * functions_use() - virtual functions: a driver that lets go of the card takes them along
 *
 * Their links are counted. sriov_numvfs has the number too, but who reads it waits for the device's
 * lock, and somebody else's unbind may hang with that.
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, virtfnN, since Linux 2.6.30
 * Source: sriov_numvfs_show(), drivers/pci/iov.c, device_lock(); since Linux 5.5
 */
static int functions_use(const struct use_look *use, const char *path, const struct strlist *names)
{
	size_t nr = 0;

	for (size_t i = 0; i < names->nr; i++)
		nr += is_function(names->names[i]);
	if (nr == 0)
		return 0;
	(void)snprintf(use->text, use->size,
		       "has %zu virtual functions, which would go with it: echo 0 >/%s/"
		       "sriov_numvfs first",
		       nr, path);
	return 1;
}

/*
 * mediated_use() - slices of a card for several guests (Intel's GVT-g, NVIDIA's vGPU)
 *
 * A driver that lets go of the card takes them along too, and waits for who has one open.
 * ABI: Documentation/ABI/testing/sysfs-bus-vfio-mdev, <uuid>/remove, since Linux 4.10
 * Source: mdev_unregister_parent(), drivers/vfio/mdev/mdev_core.c; vfio_unregister_group_dev(),
 * drivers/vfio/vfio_main.c; Linux 6.12
 */
static int mediated_use(const struct use_look *use, const char *path, const struct strlist *names)
{
	for (size_t i = 0; i < names->nr; i++) {
		if (!uuid_valid(names->names[i]))
			continue;
		(void)snprintf(use->text, use->size,
			       "has the mediated device %s, which would go with it: end the guest "
			       "that has it, and echo 1 >/%s/%s/remove first",
			       names->names[i], path, names->names[i]);
		return 1;
	}
	return 0;
}

/* What of it others have been given */
static int parts_use(const struct use_look *use, const char *name)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s", name);

	if (r == 0)
		r = attr_list(use->rootfd, path, &names);
	if (r == 0)
		r = functions_use(use, path, &names);
	return r == 0 ? mediated_use(use, path, &names) : r;
}

/* Who mounts, swaps to or assembles a disk by itself (udisks, systemd, LVM, md) does so again */
#define KEEPS "; give_back = vfio in [vfio] keeps the host from taking it again"

/* NOLINTBEGIN(readability-non-const-parameter): filled by those who get the look */
int holders_find(int rootfd, const char *name, const struct node_list *below, bool force,
		 char *text, size_t size)
/* NOLINTEND(readability-non-const-parameter) */
{
	_cleanup_use_tables_ struct use_tables tables = { 0 };
	const struct use_look use = { .rootfd = rootfd,
				      .tables = &tables,
				      .force = force,
				      .keeps = KEEPS,
				      .text = text,
				      .size = size };
	int r = parts_use(&use, name);

	if (r == 0 && (nodes_have(below, "block") || nodes_have(below, "net")))
		r = use_tables_read(rootfd, &tables);
	return r == 0 ? nodes_use(&use, below) : r;
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
	_cleanup_strlist_ struct strlist disks = { 0 };
	int r = disk_use(use, family->name);

	for (size_t i = 0; r == 0 && i < family->partitions.nr; i++)
		r = disk_use(use, family->partitions.names[i]);
	if (r == 0 && *family->disk)
		r = disk_use(use, family->disk);
	for (size_t i = 0; r == 0 && i < family->partitions.nr; i++)
		r = strlist_add(&disks, family->partitions.names[i]);
	if (r == 0)
		r = strlist_add(&disks, family->name);
	return r == 0 ? disks_use_by_kernel(use, &disks) : r;
}

static int add_path(const char *name, struct strlist *paths)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "/dev/%s", name);

	/* "cciss!c0d0" of block is cciss/c0d0 there */
	for (char *c = path; r == 0 && *c; c++)
		if (*c == '!')
			*c = '/';
	return r < 0 ? r : strlist_add(paths, path);
}

static int family_paths(const struct disk_family *family, struct strlist *nodes)
{
	int r = add_path(family->name, nodes);

	for (size_t i = 0; r == 0 && i < family->partitions.nr; i++)
		r = add_path(family->partitions.names[i], nodes);
	return r == 0 && *family->disk ? add_path(family->disk, nodes) : r;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as above */
int holders_find_disk(int rootfd, const char *name, char *text, size_t size, struct strlist *nodes)
{
	_cleanup_use_tables_ struct use_tables tables = { 0 };
	_cleanup_(disk_family_free) struct disk_family family = { .name = name };
	const struct use_look use = {
		.rootfd = rootfd, .tables = &tables, .keeps = "", .text = text, .size = size
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
