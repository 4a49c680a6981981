/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/topology.c - a host's CPUs with their cores, caches and nodes, by hwloc */
#include "topology.h"

#include <errno.h>
#include <hwloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

/*
 * CPUs of an isolated partition are outside of our own cgroup's, so they are asked for by name.
 * hwloc reads a recorded tree when HWLOC_FSROOT names it.
 *
 * hwloc is loaded when it is asked: a start without `pin = auto` does not wait for it. Its inline
 * functions call others, so that only the plain ones are used here.
 */

/* The same interface since 2.4 */
static struct library libhwloc = { .sonames = { "libhwloc.so.15", NULL } };

/* hwloc's functions that are used here, by their own names */
static struct {
	__typeof__(hwloc_topology_init) *topology_init;
	__typeof__(hwloc_topology_destroy) *topology_destroy;
	__typeof__(hwloc_topology_set_flags) *topology_set_flags;
	__typeof__(hwloc_topology_load) *topology_load;
	__typeof__(hwloc_get_type_depth) *get_type_depth;
	__typeof__(hwloc_get_nbobjs_by_depth) *get_nbobjs_by_depth;
	__typeof__(hwloc_get_obj_by_depth) *get_obj_by_depth;
	__typeof__(hwloc_bitmap_isset) *bitmap_isset;
	__typeof__(hwloc_cpukinds_get_by_cpuset) *cpukinds_get_by_cpuset;
	__typeof__(hwloc_cpukinds_get_info) *cpukinds_get_info;
} hw;

#define SYMBOL(name) (hw.name = (__typeof__(hw.name))library_symbol(&libhwloc, "hwloc_" #name))

static bool load_library(void)
{
	return SYMBOL(topology_init) && SYMBOL(topology_destroy) && SYMBOL(topology_set_flags) &&
	       SYMBOL(topology_load) && SYMBOL(get_type_depth) && SYMBOL(get_nbobjs_by_depth) &&
	       SYMBOL(get_obj_by_depth) && SYMBOL(bitmap_isset) && SYMBOL(cpukinds_get_by_cpuset) &&
	       SYMBOL(cpukinds_get_info);
}

void topology_free(struct topology *topology)
{
	free(topology->cpus);
	*topology = (struct topology){ 0 };
}

static void topology_close(hwloc_topology_t *topology)
{
	if (*topology)
		hw.topology_destroy(*topology);
}

static hwloc_obj_t object_above(hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t obj = pu->parent;

	while (obj && obj->type != type)
		obj = obj->parent;
	return obj;
}

static int index_above(hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t obj = object_above(pu, type);

	return obj ? (int)obj->logical_index : -1;
}

/* Memory is a side branch of the tree of CPUs */
static void find_node(hwloc_topology_t topology, hwloc_obj_t pu, struct host_cpu *ret)
{
	unsigned int nr = hw.get_nbobjs_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE);

	ret->node = ret->os_node = -1;
	for (unsigned int i = 0; i < nr; i++) {
		hwloc_obj_t node = hw.get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i);

		if (!hw.bitmap_isset(node->cpuset, pu->os_index))
			continue;
		ret->node = (int)node->logical_index;
		ret->os_node = (int)node->os_index;
		ret->node_mib = node->attr->numanode.local_memory >> 20;
		return;
	}
}

/* P-cores and E-cores. Where hwloc cannot rank them they count as alike */
static int kind_of(hwloc_topology_t topology, hwloc_obj_t pu)
{
	int kind = hw.cpukinds_get_by_cpuset(topology, pu->cpuset, 0), efficiency = 0;

	if (kind < 0 || hw.cpukinds_get_info(topology, (unsigned int)kind, NULL, &efficiency, NULL,
					     NULL, 0) < 0)
		return 0;
	return efficiency < 0 ? 0 : efficiency;
}

static void describe(hwloc_topology_t topology, hwloc_obj_t pu, struct host_cpu *ret)
{
	hwloc_obj_t l3 = object_above(pu, HWLOC_OBJ_L3CACHE);

	ret->cpu = pu->os_index;
	ret->core = index_above(pu, HWLOC_OBJ_CORE);
	ret->package = index_above(pu, HWLOC_OBJ_PACKAGE);
	ret->l3 = l3 ? (int)l3->logical_index : -1;
	ret->l3_kib = l3 ? l3->attr->cache.size >> 10 : 0;
	ret->kind = kind_of(topology, pu);
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
	if (!load_library())
		return -EOPNOTSUPP;
	if (hw.topology_init(ret) < 0)
		return -ENOMEM;
	if (hw.topology_set_flags(*ret, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) < 0 ||
	    hw.topology_load(*ret) < 0)
		return -EIO;
	return 0;
}

int topology_read(const char *root, struct topology *ret)
{
	_cleanup_(topology_close) hwloc_topology_t topology = NULL;
	struct topology picture = { 0 };
	int depth, r = load(root, &topology);
	unsigned int nr;

	if (r < 0)
		return r;
	depth = hw.get_type_depth(topology, HWLOC_OBJ_PU);
	nr = hw.get_nbobjs_by_depth(topology, depth);
	if (nr < 1)
		return -EIO;
	picture.cpus = calloc(nr, sizeof(*picture.cpus));
	if (!picture.cpus)
		return -ENOMEM;
	for (; picture.nr < nr; picture.nr++)
		describe(topology, hw.get_obj_by_depth(topology, depth, (unsigned int)picture.nr),
			 &picture.cpus[picture.nr]);
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

size_t topology_core_end(const struct topology *topology, size_t i)
{
	int core = topology->cpus[i++].core;

	while (core >= 0 && i < topology->nr && topology->cpus[i].core == core)
		i++;
	return i;
}

/* --- The picture ------------------------------------------------------------------------------ */

static void draw_place(FILE *to, const struct host_cpu *cpu, const struct host_cpu *last)
{
	if (!last || cpu->package != last->package)
		(void)fprintf(to, "  package %d\n", cpu->package);
	if (!last || cpu->node != last->node)
		(void)fprintf(to, "    node %d, %llu MiB\n", cpu->os_node, cpu->node_mib);
	if (cpu->l3 >= 0 && (!last || cpu->l3 != last->l3))
		(void)fprintf(to, "      L3 cache %d, %llu KiB\n", cpu->l3, cpu->l3_kib);
}

void topology_draw(const struct topology *topology, FILE *to,
		   const char *(*holder)(const void *data, unsigned int cpu), const void *data)
{
	const struct host_cpu *last = NULL;

	for (size_t i = 0, end; i < topology->nr; i = end) {
		const struct host_cpu *cpu = &topology->cpus[i];
		const char *shown = NULL;
		struct cpulist siblings;
		char list[256];

		end = topology_core_end(topology, i);
		draw_place(to, cpu, last);
		last = cpu;
		topology_siblings(topology, cpu, &siblings);
		if (cpulist_format(&siblings, list, sizeof(list)) < 0)
			list[0] = '\0';
		(void)fprintf(to, "        core %-3d CPU %-8s", cpu->core, list);
		for (size_t j = i; j < end; j++) {
			const char *who = holder(data, topology->cpus[j].cpu);

			if (!shown || strcmp(who, shown) != 0)
				(void)fprintf(to, " %s", who);
			shown = who;
		}
		(void)fputc('\n', to);
	}
}
