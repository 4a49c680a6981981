/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/check.c - what can never work, and what is there now */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define SIZES_DIR "sys/kernel/mm/hugepages"

enum helper_exit needs_read(const struct helper_ctx *ctx, struct needs *ret)
{
	int r = needs_load(&ctx->claim, ret);

	if (r == 0) {
		needs_sort(ret);
		return HELPER_DONE;
	}
	helper_say(ctx, "cannot read the claim's huge pages: %s: start the guest again",
		   r == -EBADMSG ? "a 'need' in [hugepages] is malformed" : strerror(-r));
	return r == -EBADMSG ? HELPER_USAGE : HELPER_FAILED;
}

void uneven_say(const struct helper_ctx *ctx)
{
	int size_kib = claim_int(&ctx->claim, HUGEPAGES_SECTION, "uneven", 0);
	char name[SIZE_NAME_MAX];

	if (size_kib <= 0)
		return;
	size_name((unsigned long long)size_kib, name, sizeof(name));
	helper_say(
		ctx,
		"the guest's memory is no whole number of pages of %s, which QEMU refuses from "
		"version 9.1 on: make <memory> (or each <cell>) in the guest's XML a multiple of "
		"%s",
		name, name);
}

int size_of_dir(const char *dir, unsigned long long *ret_kib)
{
	static const char prefix[] = "hugepages-";
	size_t len = strlen(dir);
	char number[32];

	if (strncmp(dir, prefix, strlen(prefix)) != 0 || len < strlen(prefix) + 3)
		return -EINVAL;
	len -= strlen(prefix) + strlen("kB");
	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, dir + strlen(prefix), len);
	number[len] = '\0';
	return parse_ull(number, 10, ULLONG_MAX, ret_kib);
}

/* "1 GiB, 2 MiB" */
static void known_sizes(int rootfd, char *buf, size_t size)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	size_t used = 0;

	*buf = '\0';
	if (attr_list(rootfd, SIZES_DIR, &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		char name[SIZE_NAME_MAX];
		unsigned long long size_kib;

		if (size_of_dir(names.names[i], &size_kib) < 0)
			continue;
		size_name(size_kib, name, sizeof(name));
		if (used + strlen(name) + 3 > size)
			return;
		used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", name);
	}
}

static enum helper_exit refuse_size(const struct helper_ctx *ctx, const struct need *need)
{
	char sizes[128], name[SIZE_NAME_MAX];

	size_name(need->size_kib, name, sizeof(name));
	known_sizes(ctx->rootfd, sizes, sizeof(sizes));
	helper_say(ctx,
		   "cannot get huge pages of %s: this kernel has none of that size (%s): set "
		   "another <page size=> in the guest's <hugepages>",
		   name, *sizes ? sizes : "it has none at all");
	return HELPER_FAILED;
}

static enum helper_exit check_nodes(const struct helper_ctx *ctx, const struct need *need,
				    const struct pools *pools)
{
	for (int node = need->any ? -1 : cpulist_next(&need->nodes, 0); node >= 0;
	     node = cpulist_next(&need->nodes, (unsigned int)node + 1)) {
		if (pools_find(pools, node) >= 0 ||
		    (node == 0 && pools_find(pools, POOL_NO_NODE) >= 0))
			continue;
		helper_say(ctx,
			   "cannot get huge pages on node %d: this host has no such node with "
			   "memory: correct <numatune> in the guest's XML",
			   node);
		return HELPER_FAILED;
	}
	return HELPER_DONE;
}

/*
 * Memory, in KiB, of the nodes that a need may be met from. That of all nodes is asked for as a
 * whole: where memory was plugged in later the nodes' own numbers can be too low.
 * Seen on: Linux 6.18 in a virtual machine with hot-added memory, 12 GiB by node, 24 GiB in all
 */
static int memory_of(const struct helper_ctx *ctx, const struct need *need,
		     const struct pools *pools, unsigned long long *ret_kib)
{
	unsigned long long sum = 0, kib;
	bool all = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < pools->nr; i++) {
		if (!need_covers(need, pools->pools[i].node)) {
			all = false;
			continue;
		}
		r = memory_total(ctx->rootfd, pools->pools[i].node, &kib);
		sum += kib;
	}
	if (r == 0 && all)
		r = memory_total(ctx->rootfd, POOL_NO_NODE, &sum);
	*ret_kib = sum;
	return r;
}

static bool within(const struct need *inner, const struct need *outer)
{
	return outer->any || (!inner->any && cpulist_contains(&outer->nodes, &inner->nodes));
}

/* All that must come from those nodes, of any page size */
static unsigned long long needed_kib(const struct needs *needs, const struct need *outer)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < needs->nr; i++)
		if (within(&needs->needs[i], outer) &&
		    __builtin_add_overflow(sum, needs->needs[i].size_kib * needs->needs[i].nr_pages,
					   &sum))
			return -1ULL;
	return sum;
}

static enum helper_exit check_memory(const struct helper_ctx *ctx, const struct needs *needs,
				     const struct need *need, const struct pools *pools)
{
	unsigned long long kib, needed = needed_kib(needs, need);
	char where[NEED_WHERE_MAX];
	int r = memory_of(ctx, need, pools, &kib);

	need_where(need, where, sizeof(where));
	if (r < 0) {
		helper_say(ctx, "cannot read how much memory there is %s: %s: is /sys mounted?",
			   where, strerror(-r));
		return HELPER_FAILED;
	}
	if (needed <= kib)
		return HELPER_DONE;
	helper_say(ctx,
		   "cannot get %llu MiB of huge pages %s, which has %llu MiB of memory in all: "
		   "lower the guest's memory",
		   needed / 1024, where, kib / 1024);
	return HELPER_FAILED;
}

static enum helper_exit check_need(const struct helper_ctx *ctx, const struct needs *needs,
				   const struct need *need)
{
	_cleanup_pools_ struct pools pools = { 0 };
	enum helper_exit e;
	int r = pools_read(ctx->rootfd, need->size_kib, &pools);

	if (r == -ENOENT)
		return refuse_size(ctx, need);
	if (r < 0) {
		helper_say(ctx, "cannot read the pools of huge pages: %s: is /sys mounted?",
			   strerror(-r));
		return HELPER_FAILED;
	}
	e = check_nodes(ctx, need, &pools);
	return e == HELPER_DONE ? check_memory(ctx, needs, need, &pools) : e;
}

enum helper_exit needs_check(const struct helper_ctx *ctx, const struct needs *needs)
{
	enum helper_exit e = HELPER_DONE;

	for (size_t i = 0; e == HELPER_DONE && i < needs->nr; i++)
		e = check_need(ctx, needs, &needs->needs[i]);
	if (e == HELPER_DONE)
		e = numad_check(ctx, needs);
	if (e == HELPER_DONE)
		e = mounts_check(ctx);
	return e == HELPER_DONE ? thp_check(ctx) : e;
}

/*
 * What apply would come to now, by its own dry run. A start, and the plan of one, sees that when it
 * applies: until then another guest may have ended. A guest that runs has its pages.
 */
static enum helper_exit check_now(const struct helper_ctx *ctx, const struct needs *needs)
{
	struct helper_ctx dry = *ctx;

	if (needs->nr == 0 || ctx->dry_run || helper_in_start(ctx) ||
	    process_find_qemu(ctx->rootfd, ctx->claim.uuid) > 0)
		return HELPER_DONE;
	dry.dry_run = true;
	dry.quiet = true;
	return needs_get(&dry, needs);
}

enum helper_exit hugepages_check(struct helper_ctx *ctx)
{
	_cleanup_needs_ struct needs needs = { 0 };
	enum helper_exit e = needs_read(ctx, &needs);

	if (e == HELPER_DONE)
		e = needs_check(ctx, &needs);
	/* In a start that is said when it applies */
	if (e == HELPER_DONE && !helper_in_start(ctx))
		thp_say(ctx);
	if (e == HELPER_DONE)
		e = check_now(ctx, &needs);
	/* A start says it in `started`, and so does the plan of one */
	if (e == HELPER_DONE && needs.nr && !helper_in_start(ctx) && !ctx->dry_run)
		keeps_say(ctx);
	return e;
}
