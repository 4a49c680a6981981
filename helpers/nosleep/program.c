/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/program.c - where we are installed */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "nosleep.h"

/* What the kernel says of a program that was replaced by rename while it ran */
#define DELETED " (deleted)"

int program_paths(char *ret_self, char *ret_usher, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", ret_self, size);
	const char *slash;
	char *end;
	int r;

	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	ret_self[n] = '\0';
	end = ret_self + n - (n > (ssize_t)strlen(DELETED) ? (ssize_t)strlen(DELETED) : 0);
	if (strcmp(end, DELETED) == 0)
		*end = '\0';
	slash = strrchr(ret_self, '/');
	r = path_format(ret_usher, size, "%.*s/usher", (int)(slash - ret_self), ret_self);
	if (r == 0 && access(ret_usher, X_OK) < 0)
		ret_usher[0] = '\0';
	return r;
}
