/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/blockdev.c - block devices by the names the kernel has for them */
#include "blockdev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
