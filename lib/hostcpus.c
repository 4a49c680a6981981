/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hostcpus.c - the CPUs that this host has, and its cores */
#include "hostcpus.h"

#include <errno.h>

#include "attr.h"

int hostcpus_read(int rootfd, const char *which, struct cpulist *ret)
{
	char path[64], buf[ATTR_MAX];
	int r = path_format(path, sizeof(path), "sys/devices/system/cpu/%s", which);

	if (r == 0)
		r = attr_read(rootfd, path, buf, sizeof(buf));
	if (r < 0)
		return r;
	return cpulist_parse(buf, ret) < 0 ? -EBADMSG : 0;
}

/* All threads of the core that @cpu is of; the CPU alone where the kernel does not say */
static struct cpulist core_of(int rootfd, unsigned int cpu)
{
	struct cpulist core = { 0 };
	char which[64];

	if (path_format(which, sizeof(which), "cpu%u/topology/thread_siblings_list", cpu) < 0 ||
	    hostcpus_read(rootfd, which, &core) < 0 || !cpulist_has(&core, cpu)) {
		core = (struct cpulist){ 0 };
		cpulist_add(&core, cpu);
	}
	return core;
}

bool hostcpus_has_core(int rootfd, const struct cpulist *cpus, const struct cpulist *online)
{
	int cpu = -1;

	while ((cpu = cpulist_next(cpus, (unsigned int)(cpu + 1))) >= 0) {
		struct cpulist core = core_of(rootfd, (unsigned int)cpu);

		cpulist_intersect(&core, online);
		if (cpulist_contains(cpus, &core))
			return true;
	}
	return false;
}
