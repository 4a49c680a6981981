/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/attr.h - kernel attributes below a root fd: /sys, /proc, cgroupfs and /dev */
#pragma once

#include <stddef.h>

#include "cleanup.h"
#include "text.h"

/* Longest attribute value that is read whole: the kernel's own limit is one page */
#define ATTR_MAX 4096

/**
 * root_open() - open the directory all kernel access goes below
 * @dir:	"/", or the root of a recorded tree
 *
 * Return: an O_PATH descriptor, -ENOTDIR, else -errno of open(2)
 */
int root_open(const char *dir);

/**
 * path_format() - build a relative path without truncation
 *
 * Return: 0, -ENAMETOOLONG when @buf is too small
 */
int path_format(char *buf, size_t size, const char *fmt, ...) _printf_(3, 4) _must_check_;

/**
 * attr_open() - open one file below the root; symlinks are resolved inside the root
 * @flags:	as open(2); O_CLOEXEC and O_NOCTTY are added, O_CREAT is refused
 *
 * Return: a descriptor, -EINVAL for O_CREAT, else -errno of openat2(2)
 * ABI: openat2(2) RESOLVE_IN_ROOT, since Linux 5.6
 */
int attr_open(int rootfd, const char *path, int flags) _must_check_;

/**
 * attr_read() - read one kernel attribute whole, the trailing newline cut off
 * @size:	of @buf; ATTR_MAX is enough for any one-value attribute
 *
 * Return: the length >= 0, -E2BIG when it does not fit, -EBADMSG when it holds a NUL byte,
 * else -errno of openat2(2) or read(2). @buf is "" on error.
 */
int attr_read(int rootfd, const char *path, char *buf, size_t size) _must_check_;

/**
 * attr_read_ull() - read an attribute that is one unsigned number, decimal or 0x hex
 *
 * Return: 0, -EBADMSG when it is not a number, else as attr_read()
 */
int attr_read_ull(int rootfd, const char *path, unsigned long long *ret) _must_check_;

/**
 * attr_read_all() - read a file of any length (proc/mounts, proc/buddyinfo), NUL-terminated
 * @max:	bytes that are read at most
 *
 * Return: 0, -E2BIG past @max, -ENOMEM, else -errno of openat2(2) or read(2)
 */
int attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
	_must_check_;

/**
 * attr_read_regular() - as attr_read_all(), of a file that anybody may have put there
 *
 * Never waits for anybody: a FIFO would have to be written to.
 *
 * Return: 0, -EINVAL when it is no regular file, else as attr_read_all()
 */
int attr_read_regular(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
	_must_check_;

/**
 * attr_write() - store one value in one kernel attribute
 * @rootfd:	from root_open()
 * @path:	relative to that root, "sys/bus/pci/drivers_probe"
 * @val:	the whole value, no newline
 *
 * One write(2) only: the kernel calls store() once per write.
 * No O_CREAT: a missing attribute is -ENOENT. "" is written as one newline, because a write of
 * zero bytes never reaches store() (clearing driver_override, cpuset.cpus).
 *
 * Return: 0, -EIO on a short write, else -errno of openat2(2) or write(2)
 * ABI: Documentation/filesystems/sysfs.rst, "Reading/Writing Attribute Data"
 */
int attr_write(int rootfd, const char *path, const char *val) _must_check_;

/**
 * attr_ask() - write a question to a file of the kernel's, and read its answer from the same file
 * @size:	of @buf; the answer ends before its first NUL byte
 *
 * Return: the answer's length, -EIO when not the whole question was taken, -E2BIG, else -errno of
 * openat2(2), write(2) or read(2). @buf is "" on error.
 * ABI: fs/libfs.c, simple_transaction_get(): one question for each time it is opened
 */
int attr_ask(int rootfd, const char *path, const char *question, char *buf, size_t size)
	_must_check_;

/**
 * attr_link() - last component of what a symlink points to ("driver" -> "nvidia")
 *
 * Return: the length > 0, -ENOENT when there is no such link, -ENAMETOOLONG, else -errno of
 * readlinkat(2). @buf is "" on error.
 */
int attr_link(int rootfd, const char *path, char *buf, size_t size) _must_check_;

/**
 * attr_exists() - is there something at this path
 *
 * Return: 1 yes, 0 no, else -errno of openat2(2) (-EACCES, -ELOOP)
 */
int attr_exists(int rootfd, const char *path) _must_check_;

/**
 * attr_list() - names in a directory, "." and ".." left out, sorted bytewise
 *
 * Return: 0, -ENOENT, -ENOTDIR, -ENOMEM, else -errno of openat2(2) or getdents(2)
 */
int attr_list(int rootfd, const char *path, struct strlist *ret) _must_check_;

/** attr_list_dirs() - those of them that are directories, symlinks left out. Return: as attr_list() */
int attr_list_dirs(int rootfd, const char *path, struct strlist *ret) _must_check_;
