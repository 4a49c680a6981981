/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/change.c - pools and ledger together: each write announced and resolved */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/log.h"
#include "hugepages.h"

/*
 * How it works
 *
 * Until Linux 6.6 a write to a node's file brings as many pages too many as there are surplus ones
 * on other nodes. pool_set() sees to that, but not of those that come between its look and the
 * write: somebody takes pages beyond a pool. So each write is read back, and what the kernel has
 * miscounted is noted as owed, and taken off again by a write of its own, announced like any other.
 *
 * Whoever finds a pool beyond the target of a change that was cut off must tell that from what an
 * admin has set since, which stays. Miscounted it is where no surplus was on other nodes when the
 * change was announced, now some is, and there are exactly that many pages too many; with surplus
 * before, the write has gone where it does not count. It cannot be told of a write that was killed
 * amid what it brought beyond its target, nor when that surplus has come or gone since: then the
 * pages count as somebody else's, and stay. An admin's number counts as ours when it happens to be
 * that very one, or lies between the pool's number before and the target.
 * Seen on: Linux 6.1, mm/hugetlb.c set_max_huge_pages(), nid != NUMA_NO_NODE
 */

/* A pool that is not as expected is read again after this, before it is believed */
#define SECOND_LOOK_MS 20

static unsigned long long clamp(unsigned long long value, unsigned long long low,
				unsigned long long high)
{
	return value < low ? low : value > high ? high : value;
}

/* A dry run leaves the file as it is */
static int store(const struct helper_ctx *ctx, struct ledger *ledger)
{
	return ctx->dry_run ? 0 : ledger_store(ledger);
}

static unsigned long long least_of(const struct ledger_change *change)
{
	return change->before < change->target ? change->before : change->target;
}

static unsigned long long most_of(const struct ledger_change *change)
{
	return change->before < change->target ? change->target : change->before;
}

/*
 * Put on the account what the write moved
 *
 * @now: the pool's persistent pages after it; beyond either end only what it was that moved them
 */
static int conclude(struct ledger *ledger, struct ledger_change *change, unsigned long long now)
{
	struct ledger_pool *pool =
		ledger_pool(ledger, change->size_kib, change->node, change->before);
	int r = 0;

	if (!pool)
		return -ENOMEM;
	if (now > most_of(change)) {
		pool->owed += now - most_of(change);
		now = most_of(change);
	}
	if (change->target > change->before && now > change->before)
		r = ledger_credit(pool, change->uuid, now - change->before);
	else if (change->target < change->before && now < change->before)
		pool->owed -= clamp(change->before - now, 0, pool->owed);
	if (r == 0)
		change->open = false;
	return r;
}

/* Whoever made this change is dead: its write has reached the kernel, or never will */
static int resolve(const struct helper_ctx *ctx, struct ledger *ledger,
		   struct ledger_change *change)
{
	_cleanup_pools_ struct pools pools = { 0 };
	unsigned long long now;
	int r, i;

	r = pools_read(ctx->rootfd, change->size_kib, &pools);
	i = r < 0 ? r : pools_find(&pools, change->node);
	if (i == -ENOENT) {
		/* A node that was taken out, and its pages with it */
		change->open = false;
		return 0;
	}
	if (i < 0)
		return i;
	now = pool_persistent(&pools.pools[i]);
	if (change->surplus == 0 && now > change->target &&
	    now - change->target == pools_surplus(&pools, i))
		return conclude(ledger, change, now);
	/* Beyond either end somebody else was at work, too */
	return conclude(ledger, change, clamp(now, least_of(change), most_of(change)));
}

static bool is_left_open(const struct helper_ctx *ctx, const struct ledger_change *change)
{
	return change->open &&
	       (change->writer.pid == 0 || process_alive(ctx->rootfd, &change->writer) == 0);
}

/* Return: 1 when there was one, 0, else -errno */
static int resolve_all(const struct helper_ctx *ctx, struct ledger *ledger)
{
	struct ledger_change *changes[] = { &ledger->change, &ledger->writing };
	int news = 0, r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(changes); i++) {
		if (!is_left_open(ctx, changes[i]))
			continue;
		r = resolve(ctx, ledger, changes[i]);
		news = 1;
	}
	return r < 0 ? r : news;
}

/* Return: 1 as expected, or not there; 0 changed by somebody else; else -errno */
static int as_expected(const struct helper_ctx *ctx, const struct ledger_pool *pool,
		       unsigned long long *ret_persistent)
{
	_cleanup_pools_ struct pools pools = { 0 };
	int r, i;

	r = pools_read(ctx->rootfd, pool->size_kib, &pools);
	i = r < 0 ? r : pools_find(&pools, pool->node);
	if (i < 0)
		return i == -ENOENT ? 1 : i;
	*ret_persistent = pool_persistent(&pools.pools[i]);
	return *ret_persistent == ledger_expected(pool);
}

/*
 * Pages in which memory has failed leave the pool, too.
 * ABI: Documentation/filesystems/proc.rst, HardwareCorrupted; Source: mm/memory-failure.c counts
 * base pages, at least one for each huge page
 */
static bool gone_bad(const struct helper_ctx *ctx, unsigned long long nr_pages)
{
	unsigned long long kib;

	return memory_field(ctx->rootfd, "HardwareCorrupted:", &kib) == 0 &&
	       nr_pages <= kib * 1024 / (unsigned long long)sysconf(_SC_PAGESIZE);
}

static int adapt(const struct helper_ctx *ctx, struct ledger_pool *pool)
{
	const struct timespec pause = { .tv_nsec = SECOND_LOOK_MS * 1000000L };
	unsigned long long persistent = 0, first, expected;
	char where[32];
	int r = as_expected(ctx, pool, &persistent);

	first = persistent;
	if (r == 0) {
		(void)nanosleep(&pause, NULL);
		r = as_expected(ctx, pool, &persistent);
	}
	if (r != 0)
		return r < 0 ? r : 0;
	/* Still on its way: whoever looks next sees where it ends */
	if (persistent != first)
		return 0;
	expected = ledger_expected(pool);
	if (persistent < expected && gone_bad(ctx, expected - persistent)) {
		ledger_lose(pool, expected - persistent);
		return 1;
	}
	pool_where(pool->node, where, sizeof(where));
	log_line(ctx->rootfd, LOG_NOTICE,
		 "%s has %llu pages of %llu KiB where usher expected %llu: somebody else has "
		 "changed the pool, and that stays",
		 where, persistent, pool->size_kib, expected);
	ledger_adapt(pool, persistent);
	return 1;
}

/* Return: 1 when its claim is gone, and nobody will give its pages back but us */
static int claim_gone(const struct helper_ctx *ctx, const char *uuid)
{
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err;

	return claim_load(ctx->statefd, uuid, &claim, &err) == -ENOENT;
}

static int release_gone(const struct helper_ctx *ctx, struct ledger *ledger)
{
	int released = 0;

	for (size_t i = ledger->promised.nr; i-- > 0;) {
		if (!claim_gone(ctx, ledger->promised.names[i]))
			continue;
		ledger_unpromise(ledger, ledger->promised.names[i]);
		released = 1;
	}
	for (size_t i = 0; i < ledger->nr; i++) {
		struct ledger_pool *pool = &ledger->pools[i];

		for (size_t j = 0; j < pool->nr_shares; j++) {
			if (!pool->shares[j].nr_pages || !claim_gone(ctx, pool->shares[j].uuid))
				continue;
			pool->owed += pool->shares[j].nr_pages;
			pool->shares[j].nr_pages = 0;
			released = 1;
		}
	}
	return released;
}

int ledger_sync(const struct helper_ctx *ctx, struct ledger *ledger)
{
	int r = resolve_all(ctx, ledger), news = r > 0;

	for (size_t i = 0; r >= 0 && i < ledger->nr; i++) {
		/* Its number is on its way */
		if (ledger_writing(ledger, ledger->pools[i].size_kib))
			continue;
		r = adapt(ctx, &ledger->pools[i]);
		news |= r > 0;
	}
	if (r < 0)
		return r;
	news |= release_gone(ctx, ledger);
	return news ? store(ctx, ledger) : 0;
}

/* As if the kernel had done it: a dry run goes on planning from there */
static void pretend(struct pool *pool, unsigned long long target)
{
	unsigned long long persistent = pool_persistent(pool), removed = 0;

	if (target < persistent)
		removed = clamp(persistent - target, 0, pool->free);
	else if (target > pool->nr)
		pool->free += target - pool->nr;
	pool->nr = (target > pool->nr ? target : pool->nr) - removed;
	pool->free -= removed;
	pool->surplus = pool->nr - target;
}

int change_open(struct ledger *ledger, struct ledger_change *change, const struct pools *pools,
		size_t index, unsigned long long target, const char *uuid)
{
	const struct pool *pool = &pools->pools[index];
	unsigned long long before = pool_persistent(pool);

	if (!ledger_pool(ledger, pools->size_kib, pool->node, before))
		return -ENOMEM;
	*change = (struct ledger_change){ .open = true,
					  .size_kib = pools->size_kib,
					  .node = pool->node,
					  .before = before,
					  .target = target,
					  .surplus = pools_surplus(pools, (int)index) };
	(void)strncpy(change->uuid, uuid, UUID_STRLEN - 1);
	return 0;
}

/* All but one pool */
struct elsewhere {
	unsigned long long persistent, surplus;
};

static struct elsewhere elsewhere_of(const struct pools *pools, size_t index)
{
	struct elsewhere sum = { .surplus = pools_surplus(pools, (int)index) };

	for (size_t i = 0; i < pools->nr; i++)
		if (i != index)
			sum.persistent += pool_persistent(&pools->pools[i]);
	return sum;
}

/*
 * Pages that a write which is just made may have brought beyond its target, at most. With a number
 * for the whole host, these are what has left the other nodes meanwhile: pool_set()
 */
static unsigned long long miscounted(const struct elsewhere *before, const struct pools *pools,
				     size_t index)
{
	const struct elsewhere after = elsewhere_of(pools, index);
	unsigned long long most = before->surplus > after.surplus ? before->surplus : after.surplus;

	return most +
	       (before->persistent > after.persistent ? before->persistent - after.persistent : 0);
}

/* A node that is taken out has the next one's pool in its place. Return: 0, -ENODEV, -errno */
static int read_again(const struct helper_ctx *ctx, struct pools *pools, size_t index)
{
	int node = pools->pools[index].node;
	int r = pools_read(ctx->rootfd, pools->size_kib, pools);

	return r < 0 ? r : pools_find(pools, node) == (int)index ? 0 : -ENODEV;
}

/*
 * @ret_read: 0 when @pools is fresh and has that one where it was, else -errno
 *
 * Return: 1 when the kernel has brought pages beyond the target, else as pool_set()
 */
static int set_and_read(const struct helper_ctx *ctx, struct pools *pools, size_t index,
			unsigned long long target, int *ret_read)
{
	const struct elsewhere before = elsewhere_of(pools, index);
	int r = pool_set(ctx, pools, index, target);
	unsigned long long now;

	*ret_read = 0;
	if (ctx->dry_run)
		pretend(&pools->pools[index], target);
	else
		*ret_read = read_again(ctx, pools, index);
	if (r < 0 || *ret_read < 0)
		return r;
	now = pool_persistent(&pools->pools[index]);
	return now > target && now - target <= miscounted(&before, pools, index);
}

int pool_bring(const struct helper_ctx *ctx, struct pools *pools, size_t index,
	       unsigned long long target, int *ret_read)
{
	int r = set_and_read(ctx, pools, index, target, ret_read);

	if (r > 0)
		r = set_and_read(ctx, pools, index, target, ret_read);
	return r < 0 ? r : 0;
}

/* Return: as set_and_read(), also -errno of the ledger */
static int change_once(const struct helper_ctx *ctx, struct ledger *ledger, struct pools *pools,
		       size_t index, unsigned long long target, const char *uuid)
{
	struct ledger_change *change = &ledger->change;
	unsigned long long now;
	int r, after;

	r = change_open(ledger, change, pools, index, target, uuid);
	if (r == 0)
		r = store(ctx, ledger);
	if (r < 0) {
		change->open = false;
		return r;
	}
	r = set_and_read(ctx, pools, index, target, &after);
	/* Unread, it stays announced: who comes next looks what became of it */
	if (after == 0) {
		now = pool_persistent(&pools->pools[index]);
		after = conclude(ledger, change,
				 r > 0 ? now : clamp(now, least_of(change), most_of(change)));
	}
	if (after == 0)
		after = store(ctx, ledger);
	return after < 0 && r >= 0 ? after : r;
}

int ledger_change(const struct helper_ctx *ctx, struct ledger *ledger, struct pools *pools,
		  size_t index, unsigned long long target, const char *uuid)
{
	int r = change_once(ctx, ledger, pools, index, target, uuid);

	if (r > 0)
		r = change_once(ctx, ledger, pools, index, target, "");
	return r < 0 ? r : 0;
}
