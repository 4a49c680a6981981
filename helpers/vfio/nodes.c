/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/nodes.c - devices that the host can use, anywhere below a PCI device */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../../lib/attr.h"
#include "vfio.h"

/* pci, usb1, 1-1, 1-1.2, 1-1.2:1.0, host6, target6:0:0, 6:0:0:0, block, sdb, sdb1; twice that */
#define DEPTH_MAX 24

/* Directories of plain attributes: many, and never a device in them */
static const char *const barren[] = { "power", "statistics", "queues",	    "msi_irqs",
				      "mq",    "widgets",    "capabilities" };

void node_list_free(struct node_list *list)
{
	free(list->nodes);
	*list = (struct node_list){ 0 };
}

static bool is_barren(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(barren); i++)
		if (strcmp(name, barren[i]) == 0)
			return true;
	return false;
}

/*
 * What is of interest beside having a node. The kernel's drivers wait in their remove():
 *
 *	i2c-dev			until the adapter is nobody's: i2c_del_adapter(), of any driver; who has
 *				/dev/i2c-N open holds it, i2cdev_open()
 *	dvb			dvb_dmxdev_release(), wait_event()
 *	sound			snd_card_free(), until all files of the card are closed; those of USB
 *				leave that to the last who closes, snd_card_free_when_closed()
 *	firewire		fw_core_remove_card(), until the last fw_device is released, which
 *				fw_device_op_open() holds
 *	infiniband_verbs	ib_uverbs_remove_one(), of drivers without disassociate_ucontext()
 *
 * Others leave their files to who has them open, and let him fail.
 * Source: drivers/i2c/i2c-core-base.c, drivers/media/dvb-core/dmxdev.c, sound/core/init.c,
 * drivers/firewire/core-card.c, drivers/infiniband/core/uverbs_main.c; Linux 6.12
 */
static const struct kind {
	const char *subsystem;
	bool waits;
	bool usb_goes; /* but not when it is behind USB */
} kinds[] = {
	{ "block", false, false }, { "net", false, false },	{ "usb", false, false },
	{ "input", false, false }, { "sound", true, true },	{ "i2c-dev", true, false },
	{ "dvb", true, false },	   { "firewire", true, false }, { "infiniband_verbs", true, false },
};

static const struct kind *kind_of(int rootfd, const char *dir)
{
	char path[PATH_MAX], name[32];

	if (path_format(path, sizeof(path), "%s/subsystem", dir) < 0 ||
	    attr_link(rootfd, path, name, sizeof(name)) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].subsystem, name) == 0)
			return &kinds[i];
	return NULL;
}

/* ABI: kernfs_fop_read_iter() in fs/kernfs/file.c: -ENODEV when it goes while it is open */
static bool has_gone(int error)
{
	return error == -ENOENT || error == -ENODEV;
}

/*
 * Names in sysfs do not tell: dsp is /dev/dsp, controlC0 is /dev/snd/controlC0
 *
 * Return: 0, else -errno
 */
static int read_path(int rootfd, const char *dir, struct node *node)
{
	static const char key[] = "\nDEVNAME=";
	char path[PATH_MAX], text[ATTR_MAX] = "\n";
	const char *at;
	int r = path_format(path, sizeof(path), "%s/uevent", dir);

	if (r == 0)
		r = attr_read(rootfd, path, text + 1, sizeof(text) - 1);
	if (r < 0)
		return has_gone(r) || r == -ENAMETOOLONG ? 0 : r;
	at = strstr(text, key);
	if (at && path_format(node->path, sizeof(node->path), "/dev/%.*s",
			      (int)strcspn(at + strlen(key), "\n"), at + strlen(key)) < 0)
		memcpy(node->path, node->number, sizeof(node->number));
	return 0;
}

/*
 * A USB device has a driver, so its uevent may wait for its lock.
 * Source: uevent_show(), drivers/base/core.c, device_lock(); Linux 6.10 to 6.14
 * ABI: Documentation/ABI/stable/sysfs-bus-usb, busnum, devnum; an interface has none
 */
static void read_usb_path(int rootfd, const char *dir, struct node *node)
{
	static const char *const attrs[] = { "busnum", "devnum" };
	unsigned long long numbers[ARRAY_SIZE(attrs)];
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++)
		if (path_format(path, sizeof(path), "%s/%s", dir, attrs[i]) < 0 ||
		    attr_read_ull(rootfd, path, &numbers[i]) < 0)
			return;
	(void)snprintf(node->path, sizeof(node->path), "/dev/bus/usb/%03llu/%03llu", numbers[0],
		       numbers[1]);
}

/* Return: 1 it has a file below /dev, 0 it has none, else -errno */
static int read_number(int rootfd, const char *dir, bool block, struct node *node)
{
	char path[PATH_MAX], number[24];
	int r = path_format(path, sizeof(path), "%s/dev", dir);

	if (r == 0)
		r = attr_read(rootfd, path, number, sizeof(number));
	if (r <= 0)
		return has_gone(r) || r == -EISDIR ? 0 : r;
	r = path_format(node->number, sizeof(node->number), "/dev/%s/%s", block ? "block" : "char",
			number);
	return r < 0 ? r : 1;
}

static int push(struct node_list *list, const struct node *node)
{
	struct node *grown = reallocarray(list->nodes, list->nr + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->nodes = grown;
	grown[list->nr++] = *node;
	return 0;
}

/* ".../usb1/1-4/..." */
static bool behind_usb(const char *dir)
{
	static const char bus[] = "/usb";

	for (const char *at = dir; (at = strstr(at, bus)); at++)
		if (at[strlen(bus)] >= '0' && at[strlen(bus)] <= '9')
			return true;
	return false;
}

static int add_node(int rootfd, const char *dir, const struct kind *kind, struct node_list *list)
{
	struct node node = { .subsystem = kind ? kind->subsystem : NODE_OTHER };
	int has_node = read_number(rootfd, dir, strcmp(node.subsystem, "block") == 0, &node);
	int r = 0;

	if (has_node < 0 || (!kind && !has_node))
		return has_node;
	(void)snprintf(node.name, sizeof(node.name), "%s", strrchr(dir, '/') + 1);
	node.waits = kind && kind->waits && !(kind->usb_goes && behind_usb(dir));
	if (has_node && strcmp(node.subsystem, "usb") == 0)
		read_usb_path(rootfd, dir, &node);
	else if (has_node)
		r = read_path(rootfd, dir, &node);
	return r < 0 ? r : push(list, &node);
}

static int walk(int rootfd, const char *path, int depth, struct node_list *list);

static int walk_children(int rootfd, const char *path, DIR *dir, int depth, struct node_list *list)
{
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(dir))) {
		char child[PATH_MAX];

		/* Symlinks lead out of the device; sysfs knows every entry's type */
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || is_barren(entry->d_name))
			continue;
		r = path_format(child, sizeof(child), "%s/%s", path, entry->d_name);
		if (r == 0)
			r = walk(rootfd, child, depth + 1, list);
		/* It may go while we look */
		if (r == -ENOENT || r == -ENODEV)
			r = 0;
	}
	return r;
}

/*
 * With multipath an NVMe namespace's disk is no child of the controller, only a hidden path is:
 * nvme0c1n2 under the controller is nvme0n2 elsewhere.
 * ABI: drivers/nvme/host/multipath.c nvme_mpath_set_disk_name(); Linux 6.12
 */
static int walk_multipath(int rootfd, const char *name, int depth, struct node_list *list)
{
	static const char digits[] = "0123456789";
	const char *controller, *namespace;
	char head[PATH_MAX];
	int r;

	if (strncmp(name, "nvme", 4) != 0)
		return 0;
	controller = name + 4 + strspn(name + 4, digits);
	if (*controller != 'c')
		return 0;
	namespace = controller + 1 + strspn(controller + 1, digits);
	r = path_format(head, sizeof(head), "sys/class/block/%.*s%s", (int)(controller - name),
			name, namespace);
	if (r == 0)
		r = walk(rootfd, head, depth + 1, list);
	return r == -ENOENT ? 0 : r;
}

/*
 * add_hidden() - an interface that is in another network namespace
 *
 * Its class's directory stays where it is, and has nothing in it for the eyes of this one.
 * Source: __dev_change_net_namespace(), device_rename(); kernfs_fop_readdir(); Linux 6.12
 */
static int add_hidden(const char *dir, struct node_list *list)
{
	const struct node hidden = { .subsystem = "net" };

	return strcmp(strrchr(dir, '/') + 1, "net") == 0 ? push(list, &hidden) : 0;
}

static int walk(int rootfd, const char *path, int depth, struct node_list *list)
{
	const struct kind *kind = kind_of(rootfd, path);
	_cleanup_closedir_ DIR *dir = NULL;
	size_t nr;
	int fd, r = 0;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	r = add_node(rootfd, path, kind, list);
	if (r == 0 && kind && strcmp(kind->subsystem, "block") == 0)
		r = walk_multipath(rootfd, strrchr(path, '/') + 1, depth, list);
	if (r < 0)
		return r;
	fd = attr_open(rootfd, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	nr = list->nr;
	r = walk_children(rootfd, path, dir, depth, list);
	return r == 0 && !kind && list->nr == nr ? add_hidden(path, list) : r;
}

int nodes_find(int rootfd, const char *name, struct node_list *ret)
{
	_cleanup_node_list_ struct node_list list = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s", name);

	if (r == 0)
		r = walk(rootfd, path, 0, &list);
	if (r < 0)
		return r;
	*ret = list;
	list = (struct node_list){ 0 };
	return 0;
}

bool nodes_have(const struct node_list *list, const char *subsystem)
{
	for (size_t i = 0; i < list->nr; i++)
		if (strcmp(list->nodes[i].subsystem, subsystem) == 0)
			return true;
	return false;
}

/* Return: 1 it does, 0 it names another device, -ENOENT none: in a recorded tree, or renamed */
static int path_names(int rootfd, const struct node *node)
{
	_cleanup_close_ int fd = attr_open(rootfd, node->path, O_PATH);
	char number[sizeof(node->number)];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
		return -ENOENT;
	return path_format(number, sizeof(number), "/dev/%s/%u:%u",
			   S_ISBLK(st.st_mode) ? "block" : "char", major(st.st_rdev),
			   minor(st.st_rdev)) == 0 &&
	       strcmp(number, node->number) == 0;
}

int node_paths(int rootfd, const struct node *node, struct strlist *paths)
{
	int names = *node->path ? path_names(rootfd, node) : 0, r = 0;

	if (!*node->number)
		return 0;
	if (names != 0)
		r = strlist_add(paths, node->path);
	return r == 0 && names <= 0 ? strlist_add(paths, node->number) : r;
}

int nodes_paths(int rootfd, const struct node_list *list, bool waiting, struct strlist *paths)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->nr; i++) {
		const struct node *node = &list->nodes[i];

		/* A desktop has all keyboards and mice open, and loses them as when one is unplugged */
		if (strcmp(node->subsystem, "input") != 0 && (node->waits || !waiting))
			r = node_paths(rootfd, node, paths);
	}
	return r;
}
