/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage_count.c - how many pages are missing when all is given back */
#include <errno.h>

#include "../../lib/state.h"
#include "shortage.h"

void scene_end(struct scene *scene)
{
	ledger_close(&scene->ledger);
	free(scene->lacking);
}

/* Without ledger or claims, free pages count as they are */
int scene_read(struct scene *scene)
{
	const struct helper_ctx *ctx = scene->ctx;
	_cleanup_promises_ struct promises promises = { 0 };

	scene->lacking = calloc(scene->needs->nr ?: 1, sizeof(*scene->lacking));
	if (!scene->lacking)
		return -ENOMEM;
	if (ledger_open(ctx, text_wait_ms(ctx), true, &scene->ledger) == 0 &&
	    promises_load(ctx, &scene->ledger, ctx->claim.uuid, &promises) < 0)
		promises = (struct promises){ 0 };
	for (size_t i = 0; i < scene->needs->nr; i++) {
		_cleanup_pools_ struct pools pools = { 0 };

		scene->lacking[i] = scene->needs->needs[i].nr_pages;
		if (pools_read(ctx->rootfd, scene->needs->needs[i].size_kib, &pools) == 0)
			scene->lacking[i] = needs_missing(scene->needs, i, &pools, &promises);
	}
	state_unlock(&scene->ledger.lockfd);
	return 0;
}

/* Return: 0, -ENOENT when the need is met from any node, or it is not known what they have */
static int nodes_spare(const struct helper_ctx *ctx, const struct need *need,
		       unsigned long long reserve, unsigned long long *ret_kib)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	unsigned long long sum = 0, kib;

	if (need->any || need_nodes(ctx->rootfd, need, &nodes, &all) < 0 ||
	    cpulist_equal(&nodes, &all))
		return -ENOENT;
	for (int node = cpulist_next(&nodes, 0); node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1)) {
		if (memory_spare(ctx, node, reserve, &kib) < 0)
			return -ENOENT;
		sum += kib;
	}
	*ret_kib = sum;
	return 0;
}

/* The host is short: no need of this page size is so more than another */
static void take_whole(const struct scene *scene, struct figures *figures)
{
	struct need *whole = &figures->need;

	whole->nr_pages = 0;
	figures->lacking = 0;
	figures->whole = true;
	for (size_t i = 0; i < scene->needs->nr; i++) {
		const struct need *need = &scene->needs->needs[i];

		if (need->size_kib != whole->size_kib)
			continue;
		whole->nr_pages += need->nr_pages;
		whole->any |= need->any;
		cpulist_union(&whole->nodes, &need->nodes);
		figures->lacking += scene->lacking[i];
	}
}

/* Nothing was tried, for there is too little memory: pages for which there is enough count as ones
 * that could be made */
void figures_of_memory(const struct scene *scene, struct figures *figures)
{
	unsigned long long available, reserve, on_nodes = 0, on_host = 0, pages;
	unsigned long long size_kib = figures->need.size_kib;

	if (memory_available(scene->ctx->rootfd, &available) < 0 ||
	    memory_reserve(scene->ctx, &reserve) < 0)
		return;
	for (size_t i = 0; i < scene->needs->nr; i++)
		on_host += scene->lacking[i] * scene->needs->needs[i].size_kib;
	on_host = less(on_host, less(available, reserve));
	if (nodes_spare(scene->ctx, &figures->need, reserve, &figures->spare) == 0)
		on_nodes = less(figures->lacking * size_kib, figures->spare);
	figures->nodes_full = on_nodes && !on_host;
	if (on_host)
		take_whole(scene, figures);
	on_nodes = on_nodes > on_host ? on_nodes : on_host;
	/* It has come to be enough while this was looked at: then next to nothing was missing */
	if (on_nodes == 0)
		on_nodes = 1;
	pages = (on_nodes + size_kib - 1) / size_kib;
	figures->missing = pages < figures->lacking ? pages : figures->lacking;
	figures->missing_kib = (on_nodes + 1023) / 1024 * 1024;
	if (figures->missing_kib < figures->missing * size_kib)
		figures->missing_kib = figures->missing * size_kib;
}
