/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/pool.c - the kernel's pools of one page size */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define NODE_DIR   "sys/devices/system/node"
#define GLOBAL_DIR "sys/kernel/mm/hugepages/hugepages-%llukB"

/* Readings of a pool until two agree: its files cannot be read at one moment */
#define READ_TRIES 20

void pools_free(struct pools *pools)
{
	free(pools->pools);
	*pools = (struct pools){ 0 };
}

static int pool_value(int rootfd, const char *dir, const char *name, unsigned long long *ret)
{
	char path[POOL_DIR_MAX + 32];
	int r = path_format(path, sizeof(path), "%s/%s_hugepages", dir, name);

	return r < 0 ? r : attr_read_ull(rootfd, path, ret);
}

static int pool_read_once(int rootfd, struct pool *pool)
{
	int r = pool_value(rootfd, pool->dir, "nr", &pool->nr);

	if (r == 0)
		r = pool_value(rootfd, pool->dir, "surplus", &pool->surplus);
	if (r == 0)
		r = pool_value(rootfd, pool->dir, "free", &pool->free);
	return r;
}

/* A guest that ends takes pages off nr and surplus between our reads */
static int pool_read(int rootfd, struct pool *pool)
{
	int r = pool_read_once(rootfd, pool);

	for (int i = 0; r == 0 && i < READ_TRIES; i++) {
		struct pool last = *pool;

		r = pool_read_once(rootfd, pool);
		if (pool->nr == last.nr && pool->surplus == last.surplus)
			break;
	}
	return r;
}

static int pools_push(struct pools *pools, int node, const char *dir)
{
	struct pool *grown = reallocarray(pools->pools, pools->nr + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	pools->pools = grown;
	grown[pools->nr] = (struct pool){ .node = node };
	(void)snprintf(grown[pools->nr].dir, POOL_DIR_MAX, "%s", dir);
	pools->nr++;
	return 0;
}

/* Nodes with CPUs but no memory have a pool as well, which nothing can be got from */
static int memory_nodes(int rootfd, struct cpulist *ret)
{
	char list[ATTR_MAX];
	int r = attr_read(rootfd, NODE_DIR "/has_memory", list, sizeof(list));

	return r < 0 ? r : cpulist_parse(list, ret);
}

static int pools_of_nodes(int rootfd, struct pools *pools)
{
	struct cpulist nodes = { 0 };
	int r = memory_nodes(rootfd, &nodes);

	for (int node = cpulist_next(&nodes, 0); r == 0 && node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1)) {
		char dir[POOL_DIR_MAX];

		r = path_format(dir, sizeof(dir), NODE_DIR "/node%d/hugepages/hugepages-%llukB",
				node, pools->size_kib);
		if (r == 0)
			r = attr_exists(rootfd, dir);
		if (r > 0)
			r = pools_push(pools, node, dir);
	}
	return r == -ENOENT ? 0 : r;
}

static int pools_list(int rootfd, struct pools *pools)
{
	char dir[POOL_DIR_MAX];
	int r;

	r = path_format(dir, sizeof(dir), GLOBAL_DIR, pools->size_kib);
	if (r == 0)
		r = pool_value(rootfd, dir, "resv", &pools->reserved);
	/* Pages of 1 GiB have it, too, and refuse a number there */
	if (r == 0 && pool_value(rootfd, dir, "nr_overcommit", &pools->overcommit) < 0)
		pools->overcommit = 0;
	if (r == 0)
		r = pools_of_nodes(rootfd, pools);
	if (r == 0 && pools->nr == 0)
		r = pools_push(pools, POOL_NO_NODE, dir);
	return r;
}

int pools_read(int rootfd, unsigned long long size_kib, struct pools *ret)
{
	_cleanup_pools_ struct pools pools = { .size_kib = size_kib };
	int r = pools_list(rootfd, &pools);

	for (size_t i = 0; r == 0 && i < pools.nr; i++)
		r = pool_read(rootfd, &pools.pools[i]);
	if (r < 0)
		return r;
	pools_free(ret);
	*ret = pools;
	pools = (struct pools){ 0 };
	return 0;
}

int pools_find(const struct pools *pools, int node)
{
	for (size_t i = 0; i < pools->nr; i++)
		if (pools->pools[i].node == node)
			return (int)i;
	return -ENOENT;
}

unsigned long long pools_free_of(const struct pools *pools, const struct need *need)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < pools->nr; i++)
		if (need_covers(need, pools->pools[i].node))
			sum += pools->pools[i].free;
	return sum;
}

unsigned long long pools_surplus(const struct pools *pools, int except)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < pools->nr; i++)
		if ((int)i != except)
			sum += pools->pools[i].surplus;
	return sum;
}

static int write_number(const struct helper_ctx *ctx, const char *path, unsigned long long number)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%llu", number);
	return helper_write(ctx, path, value);
}

static int set_by_policy(const struct helper_ctx *ctx, const char *path, int node,
			 unsigned long long all)
{
	int r = ctx->dry_run ? 0 : mempolicy_prefer(node);

	/* Told apart from what the attribute itself may say */
	if (r < 0)
		return r == -EINVAL ? -EACCES : r;
	r = write_number(ctx, path, all);
	if (!ctx->dry_run)
		mempolicy_default();
	return r;
}

int pool_set(const struct helper_ctx *ctx, const struct pools *pools, size_t index,
	     unsigned long long persistent)
{
	const struct pool *pool = &pools->pools[index];
	unsigned long long all = persistent;
	char path[POOL_DIR_MAX + 32];
	int r;

	for (size_t i = 0; i < pools->nr; i++)
		if (i != index)
			all += pool_persistent(&pools->pools[i]);
	r = path_format(path, sizeof(path), GLOBAL_DIR "/nr_hugepages_mempolicy", pools->size_kib);
	if (r < 0)
		return r;
	if (pools_surplus(pools, (int)index) && attr_exists(ctx->rootfd, path) > 0)
		return set_by_policy(ctx, path, pool->node, all);
	r = path_format(path, sizeof(path), "%s/nr_hugepages", pool->dir);
	return r < 0 ? r : write_number(ctx, path, persistent);
}
