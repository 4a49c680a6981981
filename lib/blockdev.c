/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/blockdev.c - block devices by the names the kernel has for them */
#include "blockdev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attr.h"

/* The last component of where an O_PATH descriptor stands */
static int fd_basename(int fd, char *buf, size_t size)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	return path_format(buf, size, "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
}

static int is_blockdev(int rootfd, const char *name)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/block/%s", name);

	return r < 0 ? r : attr_exists(rootfd, path);
}

int blockdev_name(int rootfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_PATH);
	char link[64];
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode)) {
		(void)snprintf(link, sizeof(link), "sys/dev/block/%u:%u", major(st.st_rdev),
			       minor(st.st_rdev));
		r = attr_link(rootfd, link, buf, size);
		return r < 0 ? r : 0;
	}
	/* A recorded tree has no nodes, but names and links */
	r = fd_basename(fd, buf, size);
	if (r == 0)
		r = is_blockdev(rootfd, buf);
	return r < 0 ? r : r > 0 ? 0 : -ENOTBLK;
}

int blockdev_disk(int rootfd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/block/%s/partition", name);

	if (r == 0)
		r = attr_exists(rootfd, path);
	if (r <= 0)
		return r;
	(void)snprintf(path, sizeof(path), "sys/class/block/%s/..", name);
	fd = attr_open(rootfd, path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd;
	r = fd_basename(fd, buf, size);
	return r < 0 ? r : 1;
}

int blockdev_partitions(int rootfd, const char *name, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/block/%s", name);

	if (r == 0)
		r = attr_list(rootfd, path, &names);
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		if (strncmp(names.names[i], name, strlen(name)) != 0)
			continue;
		r = path_format(path, sizeof(path), "sys/class/block/%s/%s/partition", name,
				names.names[i]);
		if (r == 0 && attr_exists(rootfd, path) > 0)
			r = strlist_add(ret, names.names[i]);
	}
	return r;
}

/* "/dev/sdb (deleted)": udev has made the node anew, or none */
static void cut_deleted(char *path)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(path);

	if (len > strlen(deleted) && strcmp(path + len - strlen(deleted), deleted) == 0)
		path[len - strlen(deleted)] = '\0';
}

/*
 * Only what is in /dev is followed: to look at any other path could wait for a server. A node that
 * is gone still tells by its name.
 */
static bool is_backed_by(int rootfd, const char *loop, const char *name)
{
	char path[PATH_MAX], backing[PATH_MAX], target[64];

	if (path_format(path, sizeof(path), "sys/class/block/%s/loop/backing_file", loop) < 0 ||
	    attr_read(rootfd, path, backing, sizeof(backing)) < 0 ||
	    strncmp(backing, "/dev/", 5) != 0)
		return false;
	cut_deleted(backing);
	if (blockdev_name(rootfd, backing, target, sizeof(target)) == 0)
		return strcmp(target, name) == 0;
	return strcmp(backing + 5, name) == 0;
}

int blockdev_loops(int rootfd, const char *name, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(rootfd, "sys/class/block", &names);

	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (strncmp(names.names[i], "loop", 4) == 0 &&
		    is_backed_by(rootfd, names.names[i], name))
			r = strlist_add(ret, names.names[i]);
	return r == -ENOENT ? 0 : r;
}

int blockdev_claimed(int rootfd, const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "dev/%s", name);

	/* The kernel has '!' where a name below /dev has '/' */
	for (char *c = path + 4; r == 0 && *c; c++)
		if (*c == '!')
			*c = '/';
	if (r < 0)
		return r;
	fd = attr_open(rootfd, path, O_RDONLY | O_EXCL | O_NONBLOCK);
	return fd == -EBUSY;
}
