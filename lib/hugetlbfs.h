/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hugetlbfs.h - the filesystems through which QEMU takes huge pages */
#pragma once

#include <stddef.h>

#include "cleanup.h"

/**
 * hugetlbfs_next() - the next mount of hugetlbfs
 * @mounts:	text of /proc/self/mounts, which is cut up; NULL to go on
 * @save:	as of strtok_r()
 * @ret_dir:	where it is mounted, in that text, "\\040" for a blank
 *
 * Return: 1, 0 when there is no more, -ENOMEM
 * ABI: fs/hugetlbfs/inode.c hugetlbfs_show_options(), pagesize=2M, since Linux 4.2
 */
int hugetlbfs_next(char *mounts, char **save, char **ret_dir, unsigned long long *ret_kib)
	_must_check_;
