/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/holders.c - what the host itself does with a PCI device */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "vfio.h"

/*
 * Looked at so far, all below the device at any depth:
 *	disks and partitions	mounted, or swap; also through md, LVM and dm-crypt on top of them
 *	network interfaces	that carry a default route; also through a bridge, bond or VLAN
 *	DRM and sound nodes	their paths, for who looks through the processes
 */

/* Longest of proc's tables: mounts of a host full of containers */
#define TABLE_MAX ((size_t)16 * 1024 * 1024)

/* md on LVM on dm-crypt ...; VLAN on bond on bridge ... */
#define STACK_MAX 8

/* The three tables a look needs, each read once */
struct tables {
	char *mounts, *swaps, *route, *route6;
};

static void tables_free(struct tables *tables)
{
	free(tables->mounts);
	free(tables->swaps);
	free(tables->route);
	free(tables->route6);
}

/* A kernel without IPv6, or without swap, has no such table */
static int table_read(int rootfd, const char *path, char **ret)
{
	size_t len;
	int r = attr_read_all(rootfd, path, TABLE_MAX, ret, &len);

	if (r != -ENOENT)
		return r;
	*ret = strdup("");
	return *ret ? 0 : -ENOMEM;
}

static int tables_read(int rootfd, struct tables *tables)
{
	int r = table_read(rootfd, "proc/self/mountinfo", &tables->mounts);

	if (r == 0)
		r = table_read(rootfd, "proc/swaps", &tables->swaps);
	if (r == 0)
		r = table_read(rootfd, "proc/net/route", &tables->route);
	if (r == 0)
		r = table_read(rootfd, "proc/net/ipv6_route", &tables->route6);
	return r;
}

/* What a line is looked for by, and what it says of it */
struct wanted {
	const char *name;   /* kernel name: "nvme0n1p2", "eth0" */
	const char *number; /* of a disk: "259:2" */
	char use[256];	    /* "mounted on /home" */
};

/*
 * table_find() - the first line of a table that a match accepts
 * @match:	gets the line's words, and fills in the use
 *
 * Return: 1, 0 no line, -ENOMEM
 */
static int table_find(const char *table,
		      bool (*match)(const struct strlist *words, struct wanted *wanted),
		      struct wanted *wanted)
{
	for (const char *line = table; *line;) {
		size_t len = strcspn(line, "\n");
		_cleanup_strlist_ struct strlist words = { 0 };
		_cleanup_free_ char *copy = strndup(line, len);

		if (!copy || text_split(copy, " \t", &words) < 0)
			return -ENOMEM;
		if (match(&words, wanted))
			return 1;
		line += len + (line[len] == '\n');
	}
	return 0;
}

/* A block device by what the tables call it: "/dev/nvme0n1p2" */
static bool is_dev(const char *path, const char *name)
{
	return strncmp(path, "/dev/", 5) == 0 && strcmp(path + 5, name) == 0;
}

/*
 * proc/self/mountinfo: ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAG...] - TYPE SOURCE SUPER
 * The source counts too: btrfs shows numbers of its own.
 * ABI: Documentation/filesystems/proc.rst 3.5
 */
static bool match_mount(const struct strlist *words, struct wanted *wanted)
{
	size_t dash = 6;

	while (dash < words->nr && strcmp(words->names[dash], "-") != 0)
		dash++;
	if (dash + 2 >= words->nr)
		return false;
	if (strcmp(words->names[2], wanted->number) != 0 &&
	    !is_dev(words->names[dash + 2], wanted->name))
		return false;
	(void)snprintf(wanted->use, sizeof(wanted->use), "%s", words->names[4]);
	return true;
}

/* proc/swaps: FILENAME TYPE SIZE USED PRIORITY */
static bool match_swap(const struct strlist *words, struct wanted *wanted)
{
	return words->nr >= 5 && is_dev(words->names[0], wanted->name);
}

/* proc/net/route: IFACE DESTINATION GATEWAY FLAGS REFCNT USE METRIC MASK ... */
static bool match_route(const struct strlist *words, struct wanted *wanted)
{
	return words->nr >= 8 && strcmp(words->names[0], wanted->name) == 0 &&
	       strcmp(words->names[1], "00000000") == 0 && strcmp(words->names[7], "00000000") == 0;
}

/* proc/net/ipv6_route: DESTINATION LENGTH SOURCE LENGTH NEXTHOP METRIC REF USE FLAGS IFACE */
static bool match_route6(const struct strlist *words, struct wanted *wanted)
{
	return words->nr >= 10 && strcmp(words->names[9], wanted->name) == 0 &&
	       strcmp(words->names[0], "00000000000000000000000000000000") == 0 &&
	       strcmp(words->names[1], "00") == 0;
}

/* --- Disks --------------------------------------------------------------------------------- */

static int disk_mounted(int rootfd, const struct tables *tables, struct wanted *disk)
{
	char path[PATH_MAX], number[32];
	int r = path_format(path, sizeof(path), "sys/class/block/%s/dev", disk->name);

	if (r < 0)
		return r;
	if (attr_read(rootfd, path, number, sizeof(number)) < 0)
		(void)snprintf(number, sizeof(number), "?");
	disk->number = number;
	r = table_find(tables->mounts, match_mount, disk);
	disk->number = NULL;
	return r;
}

static int disk_find(int rootfd, const struct tables *tables, const char *name, int depth,
		     char *text, size_t size);

/* What is stacked on a disk: dm-0, md0 */
static int disk_stack(int rootfd, const struct tables *tables, const char *name, int depth,
		      char *text, size_t size)
{
	_cleanup_strlist_ struct strlist above = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/block/%s/holders", name);

	if (r == 0 && attr_list(rootfd, path, &above) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < above.nr; i++)
		r = disk_find(rootfd, tables, above.names[i], depth + 1, text, size);
	return r;
}

static int disk_find(int rootfd, const struct tables *tables, const char *name, int depth,
		     char *text, size_t size)
{
	struct wanted disk = { .name = name };
	int r = disk_mounted(rootfd, tables, &disk);

	if (depth > STACK_MAX)
		return -ELOOP;
	if (r > 0)
		(void)snprintf(text, size, "holds %s, mounted on %s: unmount it first", name,
			       disk.use);
	if (r == 0) {
		r = table_find(tables->swaps, match_swap, &disk);
		if (r > 0)
			(void)snprintf(text, size,
				       "holds %s, swap of the host: swapoff /dev/%s first", name,
				       name);
	}
	return r ? r : disk_stack(rootfd, tables, name, depth, text, size);
}

/* --- Network ------------------------------------------------------------------------------- */

static int net_find(int rootfd, const struct tables *tables, const char *name, int depth,
		    char *text, size_t size);

/* What is stacked on an interface: links "upper_br0" */
static int net_stack(int rootfd, const struct tables *tables, const char *name, int depth,
		     char *text, size_t size)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/net/%s", name);

	if (r == 0 && attr_list(rootfd, path, &names) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (strncmp(names.names[i], "upper_", 6) == 0)
			r = net_find(rootfd, tables, names.names[i] + 6, depth + 1, text, size);
	return r;
}

static int net_find(int rootfd, const struct tables *tables, const char *name, int depth,
		    char *text, size_t size)
{
	struct wanted iface = { .name = name };
	int r = table_find(tables->route, match_route, &iface);

	if (depth > STACK_MAX)
		return -ELOOP;
	if (r == 0)
		r = table_find(tables->route6, match_route6, &iface);
	if (r > 0)
		(void)snprintf(text, size,
			       "carries the host's default route on %s: the host would lose its "
			       "network; give the host another way out first",
			       name);
	return r ? r : net_stack(rootfd, tables, name, depth, text, size);
}

/* --- All ------------------------------------------------------------------------------------ */

static int add_path(const struct node *node, const char *dev, struct strlist *paths)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dev, node->name);
	return strlist_add(paths, path);
}

/* One row a class of devices: either asked for by name, or for who has its node open */
static const struct look {
	const char *subsystem;
	int (*find)(int rootfd, const struct tables *tables, const char *name, int depth,
		    char *text, size_t size);
	const char *dev; /* where its nodes are; a name that has none matches nothing there */
} looks[] = {
	{ "block", disk_find, NULL },
	{ "net", net_find, NULL },
	{ "drm", NULL, "/dev/dri" },
	{ "sound", NULL, "/dev/snd" },
};

static const struct look *look_for(const struct node *node)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (strcmp(looks[i].subsystem, node->subsystem) == 0)
			return &looks[i];
	return NULL;
}

int holders_find(int rootfd, const char *name, char *text, size_t size, struct strlist *nodes)
{
	_cleanup_(tables_free) struct tables tables = { 0 };
	_cleanup_node_list_ struct node_list found = { 0 };
	int r = nodes_find(rootfd, name, &found);

	if (r == 0 && found.nr > 0)
		r = tables_read(rootfd, &tables);
	for (size_t i = 0; r == 0 && i < found.nr; i++) {
		const struct look *look = look_for(&found.nodes[i]);

		if (look && look->find)
			r = look->find(rootfd, &tables, found.nodes[i].name, 0, text, size);
		else if (look)
			r = add_path(&found.nodes[i], look->dev, nodes);
	}
	return r;
}
