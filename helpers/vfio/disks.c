/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/disks.c - what the host does with a disk */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/blockdev.h"
#include "../../lib/process.h"
#include "uses.h"

/* md on LVM on dm-crypt ... */
#define STACK_MAX 8

/*
 * To open a disk may take so long: one that is spun down has to start. While errors of its are
 * handled it waits, for ever where they are not to be mended.
 * Source: scsi_block_when_processing_errors(), drivers/scsi/scsi_error.c, from sd_open(); Linux 6.12
 */
#define OPEN_MS 3000

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
static bool match_mount(const struct strlist *words, struct use_wanted *wanted)
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
static bool match_swap(const struct strlist *words, struct use_wanted *wanted)
{
	return words->nr >= 5 && is_dev(words->names[0], wanted->name);
}

static int disk_mounted(const struct use_look *look, struct use_wanted *disk)
{
	char path[PATH_MAX], number[32];
	int r = path_format(path, sizeof(path), "sys/class/block/%s/dev", disk->name);

	if (r < 0)
		return r;
	if (attr_read(look->rootfd, path, number, sizeof(number)) < 0)
		(void)snprintf(number, sizeof(number), "?");
	disk->number = number;
	r = use_table_find(look->tables->mounts, match_mount, disk);
	disk->number = NULL;
	return r;
}

/* The mount names one of its devices only */
static int btrfs_mounted(const struct use_look *look, const struct strlist *members,
			 struct use_wanted *disk)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < members->nr; i++) {
		struct use_wanted member = { .name = members->names[i] };

		r = disk_mounted(look, &member);
		memcpy(disk->use, member.use, sizeof(disk->use));
	}
	return r;
}

/*
 * disk_in_btrfs() - is it a member of a mounted btrfs
 *
 * ABI: fs/btrfs/sysfs.c, sys/fs/btrfs/UUID/devices, there while it is mounted; Linux 6.1
 */
static int disk_in_btrfs(const struct use_look *look, struct use_wanted *disk)
{
	_cleanup_strlist_ struct strlist uuids = { 0 };
	int r = attr_list(look->rootfd, "sys/fs/btrfs", &uuids);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; r == 0 && i < uuids.nr; i++) {
		_cleanup_strlist_ struct strlist members = { 0 };
		char path[PATH_MAX];

		r = path_format(path, sizeof(path), "sys/fs/btrfs/%s/devices", uuids.names[i]);
		if (r < 0 || attr_list(look->rootfd, path, &members) < 0 ||
		    !strlist_has(&members, disk->name))
			continue;
		r = btrfs_mounted(look, &members, disk);
		if (r == 0)
			(void)snprintf(disk->use, sizeof(disk->use), "%s", uuids.names[i]);
		return r < 0 ? r : 1;
	}
	return r;
}

/* --- What is stacked on it -------------------------------------------------------------------- */

/* "vg0-my--data" -> "vg0": a single '-' ends the volume group's name */
static void volume_group(const char *name, char *buf, size_t size)
{
	size_t len = 0;

	while (*name && len + 1 < size) {
		if (name[0] == '-' && name[1] != '-')
			break;
		if (name[0] == '-')
			name++;
		buf[len++] = *name++;
	}
	buf[len] = '\0';
}

static int read_word(int rootfd, const char *name, const char *attr, char *buf, size_t size)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/block/%s/%s", name, attr);

	return r < 0 ? r : attr_read(rootfd, path, buf, size);
}

/*
 * How to take apart what device-mapper has stacked, by who made it
 * ABI: the prefixes of dm/uuid are LVM's, cryptsetup's and multipath-tools' own
 */
static void dm_cure(int rootfd, const char *name, char *buf, size_t size)
{
	char uuid[160] = "", title[160] = "", group[160];

	if (read_word(rootfd, name, "dm/uuid", uuid, sizeof(uuid)) < 0 ||
	    read_word(rootfd, name, "dm/name", title, sizeof(title)) < 0)
		(void)snprintf(title, sizeof(title), "/dev/%s", name);
	volume_group(title, group, sizeof(group));
	if (strncmp(uuid, "LVM-", 4) == 0)
		(void)snprintf(buf, size, "LVM's %s: vgchange -an %s first", title, group);
	else if (strncmp(uuid, "CRYPT-", 6) == 0)
		(void)snprintf(buf, size, "the encrypted %s: cryptsetup close %s first", title,
			       title);
	else if (strncmp(uuid, "mpath-", 6) == 0)
		(void)snprintf(buf, size, "multipath's %s: multipath -f %s first", title, title);
	else
		(void)snprintf(buf, size, "device-mapper's %s: dmsetup remove %s first", title,
			       title);
}

static bool is_loop(const char *name)
{
	return strncmp(name, "loop", 4) == 0;
}

static void stack_cure(int rootfd, const char *name, char *buf, size_t size)
{
	if (strncmp(name, "dm-", 3) == 0)
		dm_cure(rootfd, name, buf, size);
	else if (strncmp(name, "md", 2) == 0)
		(void)snprintf(buf, size, "%s: mdadm --stop /dev/%s first", name, name);
	else if (is_loop(name))
		(void)snprintf(buf, size, "%s: losetup -d /dev/%s first", name, name);
	else
		(void)snprintf(buf, size, "%s: stop that first", name);
}

static int disk_find(const struct use_look *look, const char *name, int depth);

/* The devices right above one: its holders, and loop devices, which are none */
static int disks_above(int rootfd, const char *name, struct strlist *ret)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/block/%s/holders", name);

	/* It may go while we look */
	if (r == 0 && attr_list(rootfd, path, ret) == -ENOMEM)
		r = -ENOMEM;
	return r == 0 ? blockdev_loops(rootfd, name, ret) : r;
}

/* Of an array or a loop device it may be a partition that is mounted */
static int disk_above_find(const struct use_look *look, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist partitions = { 0 };
	int r = disk_find(look, name, depth);

	if (r == 0)
		r = blockdev_partitions(look->rootfd, name, &partitions);
	if (r == -ENOENT)
		r = 0;
	for (size_t i = 0; r == 0 && i < partitions.nr; i++)
		r = disk_find(look, partitions.names[i], depth);
	return r;
}

/* What is mounted on top says more than what it is stacked on */
static int disk_stack(const struct use_look *look, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist above = { 0 };
	char cure[400];
	int r = disks_above(look->rootfd, name, &above);

	for (size_t i = 0; r == 0 && i < above.nr; i++)
		r = disk_above_find(look, above.names[i], depth + 1);
	if (r != 0 || above.nr == 0)
		return r;
	stack_cure(look->rootfd, above.names[0], cure, sizeof(cure));
	(void)snprintf(look->text, look->size, "holds %s, %s %s%s", name,
		       is_loop(above.names[0]) ? "the backing store of" : "part of", cure,
		       look->keeps);
	return 1;
}

static int disk_find(const struct use_look *look, const char *name, int depth)
{
	struct use_wanted disk = { .name = name };
	int r;

	if (depth > STACK_MAX)
		return -ELOOP;
	r = disk_mounted(look, &disk);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "holds %s, mounted on %s: unmount it first%s", name, disk.use,
			       look->keeps);
	if (r != 0)
		return r;
	r = use_table_find(look->tables->swaps, match_swap, &disk);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "holds %s, swap of the host: swapoff /dev/%s first%s", name, name,
			       look->keeps);
	if (r != 0)
		return r;
	r = disk_in_btrfs(look, &disk);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "holds %s, a member of the btrfs mounted on %s: unmount it first%s",
			       name, disk.use, look->keeps);
	return r ? r : disk_stack(look, name, depth);
}

int disk_use(const struct use_look *look, const char *name)
{
	return disk_find(look, name, 0);
}

/* A program can hold a disk like that, too: who asks for open files says more */
static bool is_opened(const struct use_look *look, const char *name)
{
	char path[PATH_MAX];
	const char *const paths[] = { path };

	return path_format(path, sizeof(path), "/dev/%s", name) == 0 &&
	       process_find_open(look->rootfd, paths, 1) > 0;
}

/* Who keeps which, asked by a child: see disks_use_by_kernel() */
struct claim_search {
	struct aside aside;
	const struct strlist *names;
	size_t at;
};

static int find_claimed(int rootfd, void *shared)
{
	struct claim_search *search = shared;

	for (; search->at < search->names->nr; search->at++) {
		aside_step(search);
		if (blockdev_claimed(rootfd, search->names->names[search->at]) > 0)
			return 1;
	}
	return 0;
}

static int say_kept(const struct use_look *look, const char *name)
{
	(void)snprintf(look->text, look->size,
		       "holds %s, which the kernel keeps for another use, ZFS perhaps: "
		       "export the pool or stop what has it first (lsblk -f /dev/%s)%s",
		       name, name, look->keeps);
	return 1;
}

static int say_silent(const struct use_look *look, const char *name)
{
	(void)snprintf(look->text, look->size,
		       "holds %s, which does not answer (it was opened to see whether the kernel "
		       "keeps it): see dmesg, and start the guest when it answers again",
		       name);
	return 1;
}

static int search_claimed(const struct use_look *look, struct claim_search *search)
{
	int r;

	while ((r = aside_run(look->rootfd, find_claimed, search, OPEN_MS)) > 0) {
		const char *name = search->names->names[search->at];

		if (look->force || !is_opened(look, name))
			return say_kept(look, name);
		search->at++;
	}
	return r == -ETIMEDOUT ? say_silent(look, search->names->names[search->at]) : r;
}

int disks_use_by_kernel(const struct use_look *look, const struct strlist *names)
{
	struct claim_search *search;
	int r;

	if (names->nr == 0)
		return 0;
	search = aside_alloc(sizeof(*search));
	if (!search)
		return -ENOMEM;
	search->names = names;
	r = search_claimed(look, search);
	aside_free(search, sizeof(*search));
	return r;
}
