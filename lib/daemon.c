/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/daemon.c - the libvirt daemon that runs this host's QEMU guests */
#include "daemon.h"

#include <limits.h>
#include <stdio.h>

#include "attr.h"

const char *daemon_find(int rootfd, struct process *ret)
{
	static const char *const names[] = { "virtqemud", "libvirtd" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];
		unsigned long long pid;
		struct process process;

		(void)snprintf(path, sizeof(path), "run/%s.pid", names[i]);
		if (attr_read_ull(rootfd, path, &pid) < 0 || pid > INT_MAX ||
		    process_identify(rootfd, (pid_t)pid, &process) < 0)
			continue;
		if (ret)
			*ret = process;
		return names[i];
	}
	return NULL;
}

const char *daemon_name(int rootfd)
{
	const char *name = daemon_find(rootfd, NULL);

	return name ? name : "libvirtd";
}
