/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/daemon.c - the libvirt daemon that runs this host's QEMU guests */
#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "attr.h"

/* Return: 1, 0 when it does not run, else -errno. A pid file that is being written is none yet */
static int find_one(int rootfd, const char *name, struct process *ret)
{
	char path[64];
	unsigned long long pid;
	int r;

	(void)snprintf(path, sizeof(path), "run/%s.pid", name);
	r = attr_read_ull(rootfd, path, &pid);
	if (r == 0)
		r = pid > INT_MAX ? -ESRCH : process_identify(rootfd, (pid_t)pid, ret);
	return r == -ENOENT || r == -ESRCH || r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

int daemon_find(int rootfd, const char **ret_name, struct process *ret)
{
	static const char *const names[] = { "virtqemud", "libvirtd" };
	struct process process;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		r = find_one(rootfd, names[i], &process);
		if (r > 0 && ret_name)
			*ret_name = names[i];
		if (r > 0 && ret)
			*ret = process;
	}
	return r;
}

const char *daemon_name(int rootfd)
{
	const char *name = "libvirtd";

	(void)!daemon_find(rootfd, &name, NULL);
	return name;
}
