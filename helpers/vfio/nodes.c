/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/nodes.c - devices that the host can use, anywhere below a PCI device */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

/* Return: the subsystem when it is one we look for, else NULL */
static const char *subsystem_of(int rootfd, const char *dir)
{
	char path[PATH_MAX], name[32];

	if (path_format(path, sizeof(path), "%s/subsystem", dir) < 0 ||
	    attr_link(rootfd, path, name, sizeof(name)) < 0)
		return NULL;
	return holders_subsystem(name);
}

static int add_node(const char *dir, const char *subsystem, struct node_list *list)
{
	struct node *grown = reallocarray(list->nodes, list->nr + 1, sizeof(*grown));
	struct node *node;

	if (!grown)
		return -ENOMEM;
	list->nodes = grown;
	node = &grown[list->nr++];
	*node = (struct node){ .subsystem = subsystem };
	(void)snprintf(node->name, sizeof(node->name), "%s", strrchr(dir, '/') + 1);
	return 0;
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

static int walk(int rootfd, const char *path, int depth, struct node_list *list)
{
	const char *subsystem = subsystem_of(rootfd, path);
	_cleanup_closedir_ DIR *dir = NULL;
	int fd, r = 0;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	if (subsystem)
		r = add_node(path, subsystem, list);
	if (r == 0 && subsystem && strcmp(subsystem, "block") == 0)
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
	return walk_children(rootfd, path, dir, depth, list);
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
