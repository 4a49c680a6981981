/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/owner.c - who but root could write what is read or run as root */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"

/* As the kernel's own look-up: path_resolution(7) */
#define LINKS_MAX 40

/* Root's, or below a root that is not the host's our own. Return: true when it is neither */
static bool is_foreign(int rootfd, uid_t owner)
{
	struct stat here, host;

	if (owner == 0)
		return false;
	if (owner != geteuid() || fstat(rootfd, &here) < 0 || stat("/", &host) < 0)
		return true;
	return here.st_dev == host.st_dev && here.st_ino == host.st_ino;
}

enum owner owner_look(int rootfd, const struct stat *st)
{
	if (is_foreign(rootfd, st->st_uid))
		return OWNER_OTHER;
	return (st->st_mode & (S_IWGRP | S_IWOTH)) ? OWNER_WRITABLE : OWNER_ROOT;
}

struct walk {
	int rootfd;
	struct owner_way *way; /* how far it has come: never a link */
	char path[PATH_MAX];
	char *left; /* of the path, NULL at its end */
	unsigned int links;
};

static void go_up(char *at)
{
	char *slash = strrchr(at, '/');

	*(slash ?: at) = '\0';
}

/* The link lies in the folder that the walk has come to */
static int follow(struct walk *walk, int fd)
{
	char target[PATH_MAX], path[PATH_MAX];
	ssize_t len = readlinkat(fd, "", target, sizeof(target) - 1);
	int r;

	if (len < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	target[len] = '\0';
	r = path_format(path, sizeof(path), "%s/%s", target, walk->left ?: "");
	if (r < 0)
		return r;
	if (*target == '/')
		*walk->way->at = '\0';
	walk->left = memcpy(walk->path, path, sizeof(path));
	return 0;
}

/* What of the way has been looked at can be looked up again: it is the same, and no link */
static int enter(struct walk *walk, const char *name)
{
	char *at = walk->way->at;
	size_t len = strlen(at);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = path_format(at + len, sizeof(walk->way->at) - len, "%s%s", len ? "/" : "", name);

	if (r < 0)
		return r;
	fd = attr_open(walk->rootfd, at, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		at[len] = '\0';
		return follow(walk, fd);
	}
	walk->way->st = st;
	return 0;
}

static int step(struct walk *walk, const char *name)
{
	enum owner owner;

	if (!*name || strcmp(name, ".") == 0)
		return 0;
	if (!S_ISDIR(walk->way->st.st_mode))
		return -ENOTDIR;
	owner = owner_look(walk->rootfd, &walk->way->st);
	if (owner != OWNER_ROOT)
		return (int)owner;
	if (strcmp(name, "..") != 0)
		return enter(walk, name);
	go_up(walk->way->at);
	return 0;
}

int owner_walk(int rootfd, const char *path, struct owner_way *ret)
{
	struct walk walk = { .rootfd = rootfd, .way = ret };
	int r = path_format(walk.path, sizeof(walk.path), "%s", path);

	/* The root itself is whoever's it is */
	*ret = (struct owner_way){ .st = { .st_mode = S_IFDIR } };
	walk.left = walk.path;
	while (r == 0 && walk.left)
		r = step(&walk, strsep(&walk.left, "/"));
	return r;
}
