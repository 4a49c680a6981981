/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/numa.c - tell a guest bound to some nodes what of it is on others */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define FAR_MAX 512

static int claim_list(const struct claim *claim, const char *section, const char *key,
		      struct cpulist *ret)
{
	const char *value = inidoc_get(&claim->doc, section, key);

	*ret = (struct cpulist){ 0 };
	if (!value)
		return -ENOENT;
	return cpulist_parse(value, ret) < 0 ? -EBADMSG : 0;
}

/* CPUs of these nodes. Return: 0, -ENOENT on a kernel without NUMA */
static int node_cpus(int rootfd, const struct cpulist *nodes, struct cpulist *ret)
{
	for (int node = cpulist_next(nodes, 0); node >= 0;
	     node = cpulist_next(nodes, (unsigned int)node + 1)) {
		char path[POOL_DIR_MAX], text[ATTR_MAX];
		struct cpulist cpus;
		int r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/cpulist",
				    node);

		if (r == 0)
			r = attr_read(rootfd, path, text, sizeof(text));
		if (r >= 0)
			r = cpulist_parse(text, &cpus);
		if (r < 0)
			return r;
		cpulist_union(ret, &cpus);
	}
	return 0;
}

static void far_cpus(const struct helper_ctx *ctx, const struct cpulist *nodes, char *buf,
		     size_t size)
{
	struct cpulist cpus, chosen, near = { 0 };
	char list[FAR_MAX / 2];

	/* The second are those that pin = auto has chosen meanwhile */
	(void)claim_list(&ctx->claim, HUGEPAGES_SECTION, "cpus", &cpus);
	(void)claim_list(&ctx->claim, "cpuset", "cpus", &chosen);
	if (node_cpus(ctx->rootfd, nodes, &near) < 0)
		return;
	cpulist_union(&cpus, &chosen);
	cpulist_subtract(&cpus, &near);
	if (!cpulist_empty(&cpus) && cpulist_format(&cpus, list, sizeof(list)) == 0)
		(void)snprintf(buf, size, "CPUs %s", list);
}

/* -1: the firmware does not say. Return: the node, -errno */
static int device_node(int rootfd, const char *addr)
{
	char path[POOL_DIR_MAX], text[32];
	unsigned int node;
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/numa_node", addr);

	if (r == 0)
		r = attr_read(rootfd, path, text, sizeof(text));
	if (r < 0)
		return r;
	return parse_uint(text, 10, CPULIST_MAX - 1, &node) < 0 ? -EBADMSG : (int)node;
}

static void far_devices(const struct helper_ctx *ctx, const struct cpulist *nodes, char *buf,
			size_t size)
{
	const struct inidoc_entry *entry = NULL;
	size_t used = 0;

	while (used < size &&
	       (entry = inidoc_next(&ctx->claim.doc, entry, HUGEPAGES_SECTION, "device"))) {
		int node = device_node(ctx->rootfd, entry->value);

		if (node < 0 || cpulist_has(nodes, (unsigned int)node))
			continue;
		used += (size_t)snprintf(buf + used, size - used, "%sdevice %s (node %d)",
					 used ? ", " : "", entry->value, node);
	}
}

void numa_say(const struct helper_ctx *ctx)
{
	char devices[FAR_MAX] = "", cpus[FAR_MAX] = "", list[NEED_WHERE_MAX];
	struct cpulist nodes;

	if (claim_list(&ctx->claim, HUGEPAGES_SECTION, "nodes", &nodes) < 0 ||
	    cpulist_format(&nodes, list, sizeof(list)) < 0)
		return;
	far_devices(ctx, &nodes, devices, sizeof(devices));
	far_cpus(ctx, &nodes, cpus, sizeof(cpus));
	if (!*devices && !*cpus)
		return;
	helper_say(ctx,
		   "the guest's memory is on node%s %s, but not %s%s%s: access to memory "
		   "is slower from there: change <numatune>, or what is not on the node, in the "
		   "guest's XML",
		   cpulist_count(&nodes) == 1 ? "" : "s", list, devices,
		   *devices && *cpus ? ", " : "", cpus);
}

/* A node that has less memory is never chosen alone. Return: one that has too few pages, -ENOENT */
static int node_short(const struct helper_ctx *ctx, const struct need *need,
		      const struct pools *pools)
{
	unsigned long long kib;

	for (size_t i = 0; i < pools->nr; i++) {
		const struct pool *pool = &pools->pools[i];

		if (pools->nr > 1 && pool->free < need->nr_pages &&
		    (memory_total(ctx->rootfd, pool->node, &kib) < 0 ||
		     kib / need->size_kib >= need->nr_pages))
			return pool->node;
	}
	return -ENOENT;
}

static enum helper_exit numad_refuse(const struct helper_ctx *ctx, const struct need *need,
				     int node)
{
	char name[SIZE_NAME_MAX];

	size_name(need->size_kib, name, sizeof(name));
	helper_say(ctx,
		   "cannot tell on which node the guest's %llu huge pages of %s must be: numad "
		   "chooses it when they are there, and node %d has too few: put <numatune><memory "
		   "mode='strict' nodeset='%d'/></numatune>, or another node, in place of "
		   "placement='auto' into the guest's XML",
		   need->nr_pages, name, node, node);
	return HELPER_FAILED;
}

enum helper_exit numad_check(const struct helper_ctx *ctx, const struct needs *needs)
{
	/* A guest that runs has its pages */
	if (!inidoc_get(&ctx->claim.doc, HUGEPAGES_SECTION, "numad") ||
	    process_find_qemu(ctx->rootfd, ctx->claim.uuid) > 0)
		return HELPER_DONE;
	for (size_t i = 0; i < needs->nr; i++) {
		_cleanup_pools_ struct pools pools = { 0 };
		int node = -ENOENT;

		if (needs->needs[i].any &&
		    pools_read(ctx->rootfd, needs->needs[i].size_kib, &pools) == 0)
			node = node_short(ctx, &needs->needs[i], &pools);
		if (node >= 0)
			return numad_refuse(ctx, &needs->needs[i], node);
	}
	return HELPER_DONE;
}
