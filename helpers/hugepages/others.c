/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/others.c - who uses a pool beside our guests: a database, DPDK */
#include "../../lib/process.h"
#include "../../lib/registry.h"
#include "hugepages.h"

/* Not known is none */
static unsigned long long used_by(int rootfd, pid_t qemu, unsigned long long size_kib, int node)
{
	struct placement placement;
	struct cpulist nodes = { 0 };
	struct usage usage;

	if (node == POOL_NO_NODE)
		return usage_read(rootfd, qemu, size_kib, &usage) < 0 ? 0 : usage.faulted;
	cpulist_add(&nodes, (unsigned int)node);
	if (placement_read(rootfd, qemu, &nodes, size_kib, &placement) < 0)
		return 0;
	return placement.pooled_kib / size_kib;
}

static unsigned long long used_by_guests(const struct helper_ctx *ctx, const struct claims *claims,
					 unsigned long long size_kib, int node)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < claims->nr; i++) {
		pid_t qemu = process_find_qemu(ctx->rootfd, claims->claims[i].uuid);

		if (qemu > 0)
			sum += used_by(ctx->rootfd, qemu, size_kib, node);
	}
	return sum;
}

int others_read(const struct helper_ctx *ctx, const struct pools *pools, struct others *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(ctx->statefd, &claims);

	for (size_t i = 0; r >= 0 && i < pools->nr; i++) {
		const struct pool *pool = &pools->pools[i];
		unsigned long long used = pool->nr > pool->free ? pool->nr - pool->free : 0;

		ret[i] = (struct others){ 0 };
		if (used == 0)
			continue;
		ret[i].guests = used_by_guests(ctx, &claims, pools->size_kib, pool->node);
		ret[i].nr_pages = used > ret[i].guests ? used - ret[i].guests : 0;
	}
	return r < 0 ? r : 0;
}

/* Not known is none, as above */
static unsigned long long reserved_by(int rootfd, const struct claim *claim,
				      unsigned long long size_kib)
{
	pid_t qemu = process_find_qemu(rootfd, claim->uuid);
	struct usage usage;

	if (qemu <= 0 || usage_read(rootfd, qemu, size_kib, &usage) < 0)
		return 0;
	return usage.mapped > usage.faulted ? usage.mapped - usage.faulted : 0;
}

int others_reserved(const struct helper_ctx *ctx, const struct pools *pools,
		    unsigned long long *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	unsigned long long left = pools->reserved;
	int r = left ? registry_load(ctx->statefd, &claims) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; left && i < claims.nr; i++) {
		unsigned long long own =
			reserved_by(ctx->rootfd, &claims.claims[i], pools->size_kib);

		left -= own < left ? own : left;
	}
	*ret = left;
	return 0;
}
