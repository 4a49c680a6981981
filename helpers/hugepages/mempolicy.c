/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/mempolicy.c - which node this process allocates from */
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "hugepages.h"

int mempolicy_prefer(int node)
{
	struct cpulist nodes = { 0 };

	cpulist_add(&nodes, (unsigned int)node);
	/* The kernel takes one bit less than it is told */
	if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes.bits, (unsigned long)CPULIST_MAX) < 0)
		return -errno;
	return 0;
}

int mempolicy_move(pid_t pid, const struct cpulist *from, const struct cpulist *to)
{
	long left =
		syscall(SYS_migrate_pages, pid, (unsigned long)CPULIST_MAX, from->bits, to->bits);

	return left < 0 ? -errno : 0;
}

void mempolicy_default(void)
{
	(void)syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL);
}
