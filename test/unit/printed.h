/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/printed.h - what is written to stdout or stderr meanwhile */
#pragma once

#include "tree.h"

struct printed {
	FILE *file;
	int fd, old;
};

static inline void printed_begin(struct printed *printed, int fd)
{
	*printed = (struct printed){ .file = tmpfile(), .fd = fd, .old = dup(fd) };
	assert_non_null(printed->file);
	(void)fflush(stdout);
	assert_true(dup2(fileno(printed->file), fd) >= 0);
}

static inline const char *printed_end(struct printed *printed, char *buf, size_t size)
{
	size_t len;

	(void)fflush(stdout);
	assert_true(dup2(printed->old, printed->fd) >= 0);
	(void)close(printed->old);
	rewind(printed->file);
	len = fread(buf, 1, size - 1, printed->file);
	buf[len] = '\0';
	(void)fclose(printed->file);
	return buf;
}
