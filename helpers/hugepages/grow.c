/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/grow.c - get the pages a guest needs, or none */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "hugepages.h"

/*
 * How it works
 *
 * Step by step, each under the ledger's lock with everything read anew: the first need that lacks
 * pages, the node of it that has been given least so far, at most a GiB. A node that gives less than
 * it was asked for is left out until memory has been compacted, without the lock. It ends when all
 * is there; when memory runs into what is kept for the host; when compacting brought nothing, or
 * has been done ROUNDS_MAX times; or early enough before the deadline to give everything back.
 *
 * The kernel's own attempts reclaim memory as hard as any allocation. They do not call the OOM
 * killer, but they leave others so little that it comes: so little is asked for again, and never
 * more than MemAvailable less the reserve.
 * Seen on: Linux 6.12, 3 GiB, half of it in fragments: a loop of writes and compaction ended a
 * process of 750 MB, although the first writes had got all there was
 */

#define GROW_LOCK   "hugepages-grow.lock"
#define STEP_KIB    (1024ULL * 1024)
#define ROUNDS_MAX  4
#define ROLLBACK_MS 2000
#define HOST_DIR    "host"

struct growth {
	struct helper_ctx *ctx;
	const struct needs *needs;
	unsigned long long reserve_kib;
	long long deadline;
	bool compact;
	size_t current;		   /* the need that lacks pages */
	struct cpulist spent;	   /* its pools, by index, that gave less than asked for */
	unsigned int rounds;	   /* compactions for it */
	unsigned long long gained; /* pages since the last one */
	struct shortage shortage;
};

/* What one step came to; below 0 an -errno */
enum step_result {
	STEP_ALL_THERE,
	STEP_GO_ON,
	STEP_SPENT,	/* every pool that would do has given less than it was asked for */
	STEP_NO_MEMORY, /* more would touch what is kept for the host */
};

/* What one step looks at, all of one moment */
struct view {
	struct ledger ledger;
	struct promises promises;
	struct pools *sizes; /* of every page size needed */
	size_t nr_sizes;
};

static void view_close(struct view *view)
{
	for (size_t i = 0; i < view->nr_sizes; i++)
		pools_free(&view->sizes[i]);
	free(view->sizes);
	ledger_close(&view->ledger);
	promises_free(&view->promises);
}

static struct pools *view_find(const struct view *view, unsigned long long size_kib)
{
	for (size_t i = 0; i < view->nr_sizes; i++)
		if (view->sizes[i].size_kib == size_kib)
			return &view->sizes[i];
	return NULL;
}

static int view_read(const struct growth *growth, struct view *view)
{
	const struct needs *needs = growth->needs;

	view->sizes = calloc(needs->nr ?: 1, sizeof(*view->sizes));
	if (!view->sizes)
		return -ENOMEM;
	for (size_t i = 0; i < needs->nr; i++) {
		int r;

		if (view_find(view, needs->needs[i].size_kib))
			continue;
		r = pools_read(growth->ctx->rootfd, needs->needs[i].size_kib,
			       &view->sizes[view->nr_sizes]);
		if (r < 0)
			return r;
		view->nr_sizes++;
	}
	return 0;
}

unsigned long long needs_missing(const struct needs *needs, size_t index, const struct pools *pools,
				 const struct promises *promises)
{
	const struct need *need = &needs->needs[index];
	unsigned long long there = promises_available(promises, pools, need);

	for (size_t i = 0; i < index; i++) {
		unsigned long long taken = needs->needs[i].nr_pages;

		if (need_meets(&needs->needs[i], need))
			there -= taken < there ? taken : there;
	}
	return need->nr_pages > there ? need->nr_pages - there : 0;
}

static unsigned long long missing(const struct growth *growth, const struct view *view,
				  size_t index)
{
	const struct pools *pools = view_find(view, growth->needs->needs[index].size_kib);

	return needs_missing(growth->needs, index, pools, &view->promises);
}

/* Return: 1 when all that is missing does not fit beside what the host keeps, 0, else -errno */
static int memory_short(const struct growth *growth, const struct view *view)
{
	unsigned long long available, wanted = growth->reserve_kib;
	int r = memory_available(growth->ctx->rootfd, &available);

	for (size_t i = growth->current; i < growth->needs->nr; i++)
		wanted += missing(growth, view, i) * growth->needs->needs[i].size_kib;
	return r < 0 ? r : wanted > available;
}

/* Return: the pools of the first need that lacks pages, growth->current set; NULL for none */
static struct pools *first_missing(struct growth *growth, const struct view *view)
{
	for (size_t i = 0; i < growth->needs->nr; i++) {
		if (missing(growth, view, i) == 0)
			continue;
		if (i != growth->current) {
			growth->current = i;
			growth->spent = (struct cpulist){ 0 };
			growth->rounds = 0;
			growth->gained = 0;
		}
		return view_find(view, growth->needs->needs[i].size_kib);
	}
	return NULL;
}

static unsigned long long held(const struct growth *growth, const struct view *view,
			       const struct pools *pools, size_t index)
{
	return ledger_held(&view->ledger, pools->size_kib, pools->pools[index].node,
			   growth->ctx->claim.uuid);
}

static bool usable(const struct growth *growth, const struct pools *pools, size_t index)
{
	return need_covers(&growth->needs->needs[growth->current], pools->pools[index].node) &&
	       !cpulist_has(&growth->spent, (unsigned int)index);
}

/*
 * Spread evenly over the nodes that will do: every pool is filled up to the same level of pages
 * held, the emptiest first.
 *
 * Return: the pages to add to pool *@ret_index, 0 when all pools are spent
 */
static unsigned long long pick(const struct growth *growth, const struct view *view,
			       const struct pools *pools, size_t *ret_index)
{
	unsigned long long most = STEP_KIB / pools->size_kib ?: 1;
	unsigned long long lacking = missing(growth, view, growth->current);
	unsigned long long sum = lacking, least = -1ULL, share;
	size_t nr = 0;

	for (size_t i = 0; i < pools->nr; i++) {
		unsigned long long has = held(growth, view, pools, i);

		if (!usable(growth, pools, i))
			continue;
		nr++;
		sum += has;
		if (has < least) {
			least = has;
			*ret_index = i;
		}
	}
	if (nr == 0)
		return 0;
	share = (sum + nr - 1) / nr - least;
	share = share < lacking ? share : lacking;
	return share < most ? share : most;
}

/* Free pages come on top of what is there: surplus in use is taken back along the way */
static int step(struct growth *growth, struct view *view, struct pools *pools, size_t index,
		unsigned long long nr)
{
	unsigned long long before = pools->pools[index].nr;
	unsigned long long after;
	int r = ledger_change(growth->ctx, &view->ledger, pools, index, before + nr,
			      growth->ctx->claim.uuid);

	if (r < 0)
		return r;
	after = pools->pools[index].nr;
	growth->shortage.missing = missing(growth, view, growth->current);
	growth->gained += after > before ? after - before : 0;
	if (after < before + nr)
		cpulist_add(&growth->spent, (unsigned int)index);
	return STEP_GO_ON;
}

static int grow_once(struct growth *growth, struct view *view)
{
	struct pools *pools = first_missing(growth, view);
	unsigned long long nr;
	size_t index = 0;
	int r;

	if (!pools)
		return STEP_ALL_THERE;
	growth->shortage.missing = missing(growth, view, growth->current);
	r = memory_short(growth, view);
	if (r != 0)
		return r < 0 ? r : STEP_NO_MEMORY;
	nr = pick(growth, view, pools, &index);
	return nr ? step(growth, view, pools, index, nr) : STEP_SPENT;
}

/* From here on others leave the guest's pages alone */
static int promise(const struct growth *growth, struct ledger *ledger)
{
	const char *uuid = growth->ctx->claim.uuid;
	int r;

	if (strlist_has(&ledger->promised, uuid))
		return 0;
	r = ledger_promise(ledger, uuid);
	return r < 0 || growth->ctx->dry_run ? r : ledger_store(ledger);
}

static int view_open(const struct growth *growth, struct view *view)
{
	const struct helper_ctx *ctx = growth->ctx;
	int r = ledger_open(ctx, deadline_left(growth->deadline), true, &view->ledger);

	if (r == 0)
		r = ledger_sync(ctx, &view->ledger);
	if (r == 0)
		r = promise(growth, &view->ledger);
	if (r == 0)
		r = promises_load(ctx, &view->ledger, ctx->claim.uuid, &view->promises);
	return r < 0 ? r : view_read(growth, view);
}

static int grow_locked(struct growth *growth)
{
	_cleanup_(view_close) struct view view = { .ledger = LEDGER_CLOSED };
	int r = view_open(growth, &view);

	if (r == 0)
		r = grow_once(growth, &view);
	/* What a dry run pretends is in this view only */
	while (r == STEP_GO_ON && growth->ctx->dry_run)
		r = grow_once(growth, &view);
	return r;
}

static int compact_node(const struct helper_ctx *ctx, int node)
{
	char path[POOL_DIR_MAX];
	int r;

	if (node == POOL_NO_NODE)
		return helper_write(ctx, "proc/sys/vm/compact_memory", "1");
	r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/compact", node);
	return r < 0 ? r : helper_write(ctx, path, "1");
}

/* Return: 1 when it is worth another try, 0 */
static int compact(struct growth *growth)
{
	const struct need *need = &growth->needs->needs[growth->current];
	_cleanup_pools_ struct pools pools = { 0 };
	bool stuck = growth->rounds > 0 && growth->gained == 0;

	if (!growth->compact || growth->rounds == ROUNDS_MAX || stuck ||
	    pools_read(growth->ctx->rootfd, need->size_kib, &pools) < 0)
		return 0;
	for (size_t i = 0; i < pools.nr; i++)
		if (need_covers(need, pools.pools[i].node) &&
		    compact_node(growth->ctx, pools.pools[i].node) < 0)
			return 0;
	growth->rounds++;
	growth->gained = 0;
	growth->spent = (struct cpulist){ 0 };
	return 1;
}

/* Return: 0 all is there, 1 shortage, else -errno */
static int grow(struct growth *growth)
{
	enum shortage_reason reason = SHORT_NONE;
	int r = STEP_GO_ON;

	while (r == STEP_GO_ON && reason == SHORT_NONE) {
		r = grow_locked(growth);
		if (r == STEP_SPENT && compact(growth))
			r = STEP_GO_ON;
		if (r == STEP_GO_ON && deadline_left(growth->deadline) == 0)
			reason = SHORT_TIME;
	}
	if (r == STEP_SPENT)
		reason = SHORT_FRAGMENTED;
	if (r == STEP_NO_MEMORY)
		reason = SHORT_MEMORY;
	growth->shortage.reason = reason;
	growth->shortage.need = growth->current;
	return r < 0 ? r : reason != SHORT_NONE;
}

/* One guest at a time, from its first page to its last or to the end of its rollback */
static int take_turn(const struct helper_ctx *ctx, long long deadline)
{
	_cleanup_close_ int dirfd = -1;

	if (ctx->dry_run)
		return -1;
	dirfd = state_dir(ctx->statefd, HOST_DIR, true);
	return dirfd < 0 ? dirfd : state_lock(dirfd, GROW_LOCK, deadline_left(deadline));
}

static const char *error_cure(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "another guest is being given its pages; start this one when that has ended";
	case -EBADMSG:
		return "/run/usher/host/hugepages.ini is damaged; remove it when no guest with "
		       "huge "
		       "pages runs";
	case -EINVAL:
		return "this kernel gives pages of that size only at boot; add hugepagesz= and "
		       "hugepages= to its command line";
	default:
		return "see journalctl -k";
	}
}

static enum helper_exit fail(const struct growth *growth, int error)
{
	const struct helper_ctx *ctx = growth->ctx;
	int back = ctx->dry_run ? 0 : hugepages_give_back(ctx, true);

	if (error < 0)
		helper_say(ctx, "cannot get huge pages: %s: %s", strerror(-error),
			   error_cure(error));
	else
		shortage_say(ctx, growth->needs, &growth->shortage);
	if (back == 0)
		return HELPER_FAILED;
	helper_say(ctx,
		   "and not all pages got so far could be given back: %s: run usher recover when "
		   "the cause is gone",
		   strerror(-back));
	return HELPER_DIRTY;
}

static int growth_init(struct growth *growth)
{
	const char *value = inidoc_get(&growth->ctx->claim.doc, HUGEPAGES_SECTION, "compact");
	long long margin = deadline_left(growth->ctx->deadline) / 4;

	growth->compact = !value || parse_bool(value) != 0;
	growth->deadline = growth->ctx->deadline - (margin < ROLLBACK_MS ? margin : ROLLBACK_MS);
	return memory_reserve(growth->ctx, &growth->reserve_kib);
}

enum helper_exit hugepages_apply(struct helper_ctx *ctx)
{
	_cleanup_needs_ struct needs needs = { 0 };
	struct growth growth = { .ctx = ctx, .needs = &needs };
	_cleanup_close_ int turn = -1;
	enum helper_exit e = needs_read(ctx, &needs);
	int r;

	if (e == HELPER_DONE)
		e = needs_check(ctx, &needs);
	if (e != HELPER_DONE)
		return e;
	r = growth_init(&growth);
	if (r == 0) {
		turn = take_turn(ctx, growth.deadline);
		r = turn < 0 && !ctx->dry_run ? turn : 0;
	}
	if (r == 0)
		r = grow(&growth);
	return r == 0 ? HELPER_DONE : fail(&growth, r);
}
