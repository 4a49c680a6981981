/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/blockdev.h - block devices by the names the kernel has for them */
#pragma once

#include <stddef.h>

#include "cleanup.h"
#include "text.h"

/**
 * blockdev_name() - the kernel's name of the device that a path leads to
 * @path:	"/dev/disk/by-id/ata-...", "/dev/vg0/guest": links are followed below the root
 * @buf:	"sdb", "dm-3": a directory of sys/class/block
 *
 * Return: 0, -ENOENT when nothing is there, -ENOTBLK when it is no block device, -ENAMETOOLONG,
 * else -errno
 */
int blockdev_name(int rootfd, const char *path, char *buf, size_t size) _must_check_;

/**
 * blockdev_disk() - the disk that a partition is on
 * @name:	"sdb2"
 * @buf:	"sdb"
 *
 * Return: 1, 0 when it is no partition, else -errno
 */
int blockdev_disk(int rootfd, const char *name, char *buf, size_t size) _must_check_;

/**
 * blockdev_partitions() - the partitions on a disk, by the kernel's names
 *
 * Return: 0, -ENOENT when there is no such device, -ENOMEM, else -errno
 */
int blockdev_partitions(int rootfd, const char *name, struct strlist *ret) _must_check_;

/**
 * blockdev_loops() - the loop devices that a disk or partition is the backing store of
 *
 * A loop device does not keep the disk for itself: it is none of its holders in sysfs, and no
 * process has the disk open for it.
 *
 * Return: 0, -ENOMEM, else -errno
 * ABI: drivers/block/loop.c, sys/block/loopN/loop/backing_file, there while it is set up; Linux 6.12
 */
int blockdev_loops(int rootfd, const char *name, struct strlist *ret) _must_check_;

/**
 * blockdev_claimed() - does the kernel keep a device for one user: mounted, swap, md, ZFS, ...
 *
 * Opens it for reading, exclusively, and closes it at once.
 *
 * Return: 1 yes, 0 no (also when it cannot be opened: no medium), else -errno
 * ABI: open(2), O_EXCL of block devices, since Linux 2.6
 */
int blockdev_claimed(int rootfd, const char *name) _must_check_;
