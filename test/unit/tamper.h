/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/tamper.h - ways in which state in run/usher is not root's alone any more */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/attr.h"

/* Any user but the one the test runs as */
#define SOMEBODY 65534

/* Beside run/usher, where what was moved away lies */
#define ASIDE "run/aside"

struct tamper {
	const char *what;
	/* @path: the file, below the root; its directory and that one's are tampered with as well */
	void (*make)(int rootfd, const char *path);
	unsigned int up;  /* levels above the file: 0 itself, 1 its directory, 2 run/usher */
	bool writing;	  /* it matters only where the file is written to */
	bool with_device; /* a device is made, which not every machine lets root do */
};

static void tamper_owner(int rootfd, const char *path)
{
	assert_int_equal(fchownat(rootfd, path, SOMEBODY, SOMEBODY, AT_SYMLINK_NOFOLLOW), 0);
}

static void tamper_mode(int rootfd, const char *path, mode_t more)
{
	struct stat st;

	assert_int_equal(fstatat(rootfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fchmodat(rootfd, path, (st.st_mode & 07777) | more, 0), 0);
}

static void tamper_group(int rootfd, const char *path)
{
	tamper_mode(rootfd, path, S_IWGRP);
}

static void tamper_others(int rootfd, const char *path)
{
	tamper_mode(rootfd, path, S_IWOTH);
}

/* The same bytes, one step away */
static void tamper_symlink(int rootfd, const char *path)
{
	char target[PATH_MAX], *to = target;

	assert_int_equal(renameat(rootfd, path, rootfd, ASIDE), 0);
	for (const char *c = path; *c; c++)
		if (*c == '/' && to - target < (int)sizeof(target) - 4)
			to = stpcpy(to, "../");
	(void)snprintf(to, sizeof(target) - (size_t)(to - target), ASIDE);
	assert_int_equal(symlinkat(target, rootfd, path), 0);
}

static void tamper_fifo(int rootfd, const char *path)
{
	assert_int_equal(unlinkat(rootfd, path, 0), 0);
	assert_int_equal(mkfifoat(rootfd, path, 0600), 0);
}

/* /dev/null */
static void tamper_device(int rootfd, const char *path)
{
	assert_int_equal(unlinkat(rootfd, path, 0), 0);
	assert_int_equal(mknodat(rootfd, path, S_IFCHR | 0600, 1 << 8 | 3), 0);
}

static void tamper_directory(int rootfd, const char *path)
{
	assert_int_equal(unlinkat(rootfd, path, 0), 0);
	assert_int_equal(mkdirat(rootfd, path, 0700), 0);
}

static void tamper_hard_link(int rootfd, const char *path)
{
	assert_int_equal(linkat(rootfd, path, rootfd, ASIDE, 0), 0);
}

static const struct tamper tampers[] = {
	{ "another user's", tamper_owner, 0, false, false },
	{ "writable for its group", tamper_group, 0, false, false },
	{ "writable for others", tamper_others, 0, false, false },
	{ "a symbolic link", tamper_symlink, 0, false, false },
	{ "a FIFO", tamper_fifo, 0, false, false },
	{ "a device", tamper_device, 0, false, true },
	{ "a directory", tamper_directory, 0, false, false },
	{ "a file with two names", tamper_hard_link, 0, true, false },
	{ "in another user's directory", tamper_owner, 1, false, false },
	{ "in a directory its group may write", tamper_group, 1, false, false },
	{ "in a directory others may write", tamper_others, 1, false, false },
	{ "in a directory that is a symbolic link", tamper_symlink, 1, false, false },
	{ "in another user's run/usher", tamper_owner, 2, false, false },
	{ "in a run/usher that others may write", tamper_others, 2, false, false },
	{ "in a run/usher that is a symbolic link", tamper_symlink, 2, false, false },
};

/* The path that is tampered with */
static inline void tamper_target(const struct tamper *tamper, const char *path,
				 char buf[static PATH_MAX])
{
	assert_int_equal(path_format(buf, PATH_MAX, "%s", path), 0);
	for (unsigned int i = 0; i < tamper->up; i++)
		*strrchr(buf, '/') = '\0';
}

static inline void tamper_with(const struct tamper *tamper, int rootfd, const char *path)
{
	char target[PATH_MAX];

	tamper_target(tamper, path, target);
	tamper->make(rootfd, target);
}

/* Can root make devices here, and change owners */
static inline bool tamper_able(int rootfd, const struct tamper *tamper)
{
	bool able = geteuid() == 0;

	if (able && tamper->with_device) {
		able = mknodat(rootfd, "device", S_IFCHR | 0600, 1 << 8 | 3) == 0;
		(void)unlinkat(rootfd, "device", 0);
	}
	return able;
}
