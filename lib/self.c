/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/self.c - where our own programs are */
#include "self.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int self_dir(char *buf, size_t size)
{
	/* Our own process, so not below any root fd */
	ssize_t n = readlink("/proc/self/exe", buf, size);

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	*strrchr(buf, '/') = '\0';
	return 0;
}
