/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/openat.h - openat2(2), which glibc 2.36 does not wrap */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename beside us makes a confined look-up fail with EAGAIN: tried again this often */
#define OPENAT_TRIES 128

/**
 * openat_resolve() - openat2(2) with O_CLOEXEC and O_NOCTTY
 * @resolve:	RESOLVE_IN_ROOT, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS
 *
 * Return: a descriptor, else -errno; -EAGAIN only when renames never stop
 * ABI: openat2(2), since Linux 5.6
 */
static inline int openat_resolve(int dirfd, const char *path, int flags, mode_t mode,
				 unsigned long long resolve)
{
	struct open_how how = {
		.flags = (unsigned int)flags | O_CLOEXEC | O_NOCTTY,
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = resolve,
	};

	for (int i = 0; i < OPENAT_TRIES; i++) {
		long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}
