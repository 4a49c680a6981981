/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/caps.c - capabilities that a process of root's can do without */
#include "caps.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* The bounding set: what root's exec(3) would bring back. The kernel says where its list ends. */
static int drop_bounding(unsigned long long keep)
{
	int error = 0;

	for (unsigned int cap = 0; cap < 64; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (has < 0)
			break;
		if (has && !(keep & CAP_BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			error = -errno;
	}
	return error;
}

/* ABI: capget(2); glibc has no wrapper, libcap would be a library for two calls */
static int drop_sets(unsigned long long keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		sets[i].permitted &= (unsigned int)(keep >> 32 * i);
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

int caps_keep(unsigned long long keep)
{
	int bounding, r;

	if (keep == CAPS_ALL)
		return 0;
	bounding = drop_bounding(keep);
	r = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = drop_sets(keep);
	return r < 0 ? r : bounding;
}
