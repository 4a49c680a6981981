/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/others.c - who uses a pool beside our guests: a database, DPDK */
#include <errno.h>

#include "../../lib/process.h"
#include "../../lib/registry.h"
#include "hugepages.h"

/* Not known is none, and noted where it hangs */
static unsigned long long used_by(int rootfd, pid_t qemu, unsigned long long size_kib, int node,
				  bool *unknown)
{
	struct placement placement;
	struct cpulist nodes = { 0 };
	struct usage usage;
	int r;

	if (node == POOL_NO_NODE) {
		r = usage_read(rootfd, qemu, size_kib, &usage);
		*unknown |= r == -ETIMEDOUT;
		return r < 0 ? 0 : usage.faulted;
	}
	cpulist_add(&nodes, (unsigned int)node);
	r = placement_read(rootfd, qemu, &nodes, size_kib, &placement);
	*unknown |= r == -ETIMEDOUT;
	return r < 0 ? 0 : placement.pooled_kib / size_kib;
}

/* The QEMUs of guests with a claim: each is looked for among all processes, so once */
struct qemu {
	pid_t pid;
	bool keeps; /* as keeps_reserved() */
};

struct qemus {
	struct qemu *qemus;
	size_t nr;
	bool deaf; /* one that hangs may be of any of them: no more are looked for */
};

static void qemus_free(struct qemus *qemus)
{
	free(qemus->qemus);
}

static int qemus_find(const struct helper_ctx *ctx, struct qemus *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(ctx->statefd, &claims);

	if (r < 0)
		return r;
	ret->qemus = calloc(claims.nr + 1, sizeof(*ret->qemus));
	if (!ret->qemus)
		return -ENOMEM;
	for (size_t i = 0; i < claims.nr && !ret->deaf; i++) {
		const struct claim *claim = &claims.claims[i];
		struct qemu qemu = { .pid = process_find_qemu(ctx->rootfd, claim->uuid) };

		ret->deaf = qemu.pid == -ETIMEDOUT;
		if (qemu.pid <= 0)
			continue;
		qemu.keeps = keeps_reserved(ctx->rootfd, claim, qemu.pid);
		ret->qemus[ret->nr++] = qemu;
	}
	return 0;
}

static unsigned long long used_by_guests(const struct helper_ctx *ctx, const struct qemus *qemus,
					 unsigned long long size_kib, int node, bool *unknown)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < qemus->nr; i++)
		sum += used_by(ctx->rootfd, qemus->qemus[i].pid, size_kib, node, unknown);
	return sum;
}

/* Not known is none, as above */
static unsigned long long reserved_by(int rootfd, const struct qemu *qemu,
				      unsigned long long size_kib)
{
	struct usage usage;

	if (!qemu->keeps || usage_read(rootfd, qemu->pid, size_kib, &usage) < 0)
		return 0;
	return usage_reserved(&usage);
}

static unsigned long long reserved_by_others(const struct helper_ctx *ctx,
					     const struct pools *pools, const struct qemus *qemus)
{
	unsigned long long left = pools->reserved;

	for (size_t i = 0; left && i < qemus->nr; i++) {
		unsigned long long own =
			reserved_by(ctx->rootfd, &qemus->qemus[i], pools->size_kib);

		left -= own < left ? own : left;
	}
	return left;
}

int others_read(const struct helper_ctx *ctx, const struct pools *pools, struct others *ret,
		unsigned long long *ret_reserved)
{
	_cleanup_(qemus_free) struct qemus qemus = { 0 };
	int r = qemus_find(ctx, &qemus);

	if (r < 0)
		return r;
	for (size_t i = 0; i < pools->nr; i++) {
		const struct pool *pool = &pools->pools[i];
		unsigned long long used = pool->nr > pool->free ? pool->nr - pool->free : 0;

		ret[i] = (struct others){ .unknown = qemus.deaf };
		if (used == 0)
			continue;
		ret[i].guests = pool->taken + used_by_guests(ctx, &qemus, pools->size_kib,
							     pool->node, &ret[i].unknown);
		ret[i].nr_pages = used > ret[i].guests ? used - ret[i].guests : 0;
	}
	*ret_reserved = reserved_by_others(ctx, pools, &qemus);
	return 0;
}
