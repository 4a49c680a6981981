/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/tree.h - a fresh directory tree per test, opened as the root of all kernel access */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/attr.h"

struct tree {
	char dir[64];
	int rootfd;
};

/* cmocka_unit_test_setup_teardown()'s setup: *state is the tree */
static inline int tree_setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -1;
	(void)snprintf(tree->dir, sizeof(tree->dir), "/tmp/usher_unit_XXXXXX");
	if (!mkdtemp(tree->dir))
		return -1;
	tree->rootfd = root_open(tree->dir);
	*state = tree;
	return tree->rootfd < 0 ? -1 : 0;
}

/* The same for one whose thousands of small files are replaced: in memory where that is to be had */
static inline int tree_setup_in_memory(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -1;
	(void)snprintf(tree->dir, sizeof(tree->dir), "/dev/shm/usher_unit_XXXXXX");
	if (!mkdtemp(tree->dir)) {
		free(tree);
		return tree_setup(state);
	}
	tree->rootfd = root_open(tree->dir);
	*state = tree;
	return tree->rootfd < 0 ? -1 : 0;
}

static inline int tree_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int tree_teardown(void **state)
{
	struct tree *tree = *state;
	int r = nftw(tree->dir, tree_remove, 16, FTW_DEPTH | FTW_PHYS);

	(void)close(tree->rootfd);
	free(tree);
	return r;
}

/* Every directory above the last component */
static inline void tree_parents(const struct tree *tree, const char *path)
{
	char full[512];

	assert_int_equal(path_format(full, sizeof(full), "%s/%s", tree->dir, path), 0);
	for (char *p = full + strlen(tree->dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(full, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*p = '/';
	}
}

static inline void tree_dir(const struct tree *tree, const char *path)
{
	char with_slash[512];

	assert_int_equal(path_format(with_slash, sizeof(with_slash), "%s/", path), 0);
	tree_parents(tree, with_slash);
}

static inline void tree_bytes(const struct tree *tree, const char *path, const void *bytes,
			      size_t len)
{
	int fd;

	tree_parents(tree, path);
	fd = openat(tree->rootfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(close(fd), 0);
}

static inline void tree_file(const struct tree *tree, const char *path, const char *text)
{
	tree_bytes(tree, path, text, strlen(text));
}

static inline void tree_link(const struct tree *tree, const char *path, const char *target)
{
	tree_parents(tree, path);
	assert_int_equal(symlinkat(target, tree->rootfd, path), 0);
}

/* The whole of a small file, into a buffer that the next call overwrites */
static inline const char *tree_read(const struct tree *tree, const char *path)
{
	static char text[4096];
	int fd = openat(tree->rootfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(close(fd), 0);
	return text;
}

#define tree_test(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, tree_teardown)
