/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/topology.c - CPUs, cores, caches and nodes, by hwloc */
#include <errno.h>
#include <hwloc.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/*
 * CPUs of an isolated partition are outside of our own cgroup's, so they are asked for by name.
 * hwloc reads a recorded tree when HWLOC_FSROOT names it.
 */

void topology_free(struct topology *topology)
{
	free(topology->cpus);
	*topology = (struct topology){ 0 };
}

static void topology_close(hwloc_topology_t *topology)
{
	if (*topology)
		hwloc_topology_destroy(*topology);
}

static int index_above(hwloc_topology_t topology, hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t obj = hwloc_get_ancestor_obj_by_type(topology, type, pu);

	return obj ? (int)obj->logical_index : -1;
}

/* Memory is a side branch of the tree of CPUs */
static void find_node(hwloc_topology_t topology, hwloc_obj_t pu, struct host_cpu *ret)
{
	hwloc_obj_t node = NULL;

	ret->node = ret->os_node = -1;
	while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node))) {
		if (!hwloc_bitmap_isset(node->cpuset, pu->os_index))
			continue;
		ret->node = (int)node->logical_index;
		ret->os_node = (int)node->os_index;
		ret->node_mib = node->attr->numanode.local_memory >> 20;
		return;
	}
}

static void describe(hwloc_topology_t topology, hwloc_obj_t pu, struct host_cpu *ret)
{
	hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_L3CACHE, pu);

	ret->cpu = pu->os_index;
	ret->core = index_above(topology, pu, HWLOC_OBJ_CORE);
	ret->package = index_above(topology, pu, HWLOC_OBJ_PACKAGE);
	ret->l3 = l3 ? (int)l3->logical_index : -1;
	ret->l3_kib = l3 ? l3->attr->cache.size >> 10 : 0;
	find_node(topology, pu, ret);
}

static int load(const char *root, hwloc_topology_t *ret)
{
	(void)setenv("HWLOC_HIDE_ERRORS", "2", 1);
	if (strcmp(root, "/") != 0) {
		(void)setenv("HWLOC_FSROOT", root, 1);
		(void)setenv("HWLOC_THISSYSTEM", "0", 1);
		(void)setenv("HWLOC_COMPONENTS", "linux,stop", 1);
	}
	if (hwloc_topology_init(ret) < 0)
		return -ENOMEM;
	if (hwloc_topology_set_flags(*ret, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) < 0 ||
	    hwloc_topology_load(*ret) < 0)
		return -EIO;
	return 0;
}

int topology_read(const char *root, struct topology *ret)
{
	_cleanup_(topology_close) hwloc_topology_t topology = NULL;
	struct topology picture = { 0 };
	int nr;
	hwloc_obj_t pu = NULL;
	int r = load(root, &topology);

	if (r < 0)
		return r;
	nr = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
	if (nr < 1)
		return -EIO;
	picture.cpus = calloc((size_t)nr, sizeof(*picture.cpus));
	if (!picture.cpus)
		return -ENOMEM;
	while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)))
		describe(topology, pu, &picture.cpus[picture.nr++]);
	*ret = picture;
	return 0;
}

const struct host_cpu *topology_cpu(const struct topology *topology, unsigned int cpu)
{
	for (size_t i = 0; i < topology->nr; i++)
		if (topology->cpus[i].cpu == cpu)
			return &topology->cpus[i];
	return NULL;
}

void topology_siblings(const struct topology *topology, const struct host_cpu *cpu,
		       struct cpulist *ret)
{
	*ret = (struct cpulist){ 0 };
	cpulist_add(ret, cpu->cpu);
	for (size_t i = 0; i < topology->nr; i++)
		if (cpu->core >= 0 && topology->cpus[i].core == cpu->core)
			cpulist_add(ret, topology->cpus[i].cpu);
}
