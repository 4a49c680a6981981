/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/owner.h - who but root could write what is read or run as root */
#pragma once

#include <limits.h>
#include <sys/stat.h>

#include "cleanup.h"

enum owner {
	OWNER_ROOT,	/* nobody but root may write it */
	OWNER_OTHER,	/* it belongs to another user */
	OWNER_WRITABLE, /* group or others may write it */
};

/**
 * owner_look() - who may write a file or a folder
 *
 * Below a root that is not the host's, what is our own counts as root's.
 */
enum owner owner_look(int rootfd, const struct stat *st);

struct owner_way {
	char at[PATH_MAX]; /* relative to the root, without links: the end, or where it was left */
	struct stat st;	   /* of what lies there; the end's own writers are not looked at */
};

/**
 * owner_walk() - go to a file folder by folder and link by link, and look who may write each folder
 *
 * When root alone may write them all, nobody else can have the same path lead to another file
 * afterwards. Links are resolved inside the root; who owns a link is of no matter, as it can only
 * be replaced in its folder.
 *
 * Return: OWNER_ROOT with the end; OWNER_OTHER or OWNER_WRITABLE with the folder that is so; -ELOOP
 * for too many links, -ENAMETOOLONG, else -errno of openat2(2)
 */
int owner_walk(int rootfd, const char *path, struct owner_way *ret) _must_check_;
