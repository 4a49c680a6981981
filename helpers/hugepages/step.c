/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/step.c - one step of growing: look at everything, add to one pool */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "../../lib/deadline.h"
#include "hugepages.h"

/*
 * What one write may ask for, STEP_KIB at most: others wait for the ledger meanwhile, undo and settle
 * of guests on other nodes among them. Pages that lie ready take no time; those that memory must be
 * reclaimed or compacted for can take a hundred times as long. So the next one is as large as the last
 * one was quick. A page is never split, however large: see longwrite.c.
 */
#define STEP_FIRST_KIB (128ULL * 1024)
#define STEP_MS	       400
#define STEP_MORE      4

/* A write that is at it so long is ended, with what it has got: a signal does that between two pages.
 * Source: Linux 6.1, 6.12, mm/hugetlb.c set_max_huge_pages(), signal_pending() */
#define STEP_MOST_MS 1000
/* Until it has been seen: it may come before the write has begun */
#define STEP_TICK_MS 100

/*
 * Memory for all of a guest beside the whole reserve is what its first page takes. From then on this
 * part of the reserve may go: to others that grow meanwhile, and to MemAvailable, which counts page
 * cache and free memory differently.
 * Seen on: Linux 6.12, 4 GiB: 30 MiB less of it after 3 GiB of page cache had been reclaimed
 */
#define RESERVE_YIELDS 2

/* Who has been sent SIGKILL and does not hang is gone by then, whatever the time there is */
#define GONE_MS 1000

/* Between two looks whether a guest that is starting has got its pages */
#define WAIT_MS 100

void view_close(struct view *view)
{
	for (size_t i = 0; i < view->nr_sizes; i++)
		pools_free(&view->sizes[i]);
	free(view->sizes);
	ledger_close(&view->ledger);
	promises_free(&view->promises);
}

struct pools *view_find(const struct view *view, unsigned long long size_kib)
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

static const struct pools *pools_of(const struct growth *growth, const struct view *view,
				    size_t index)
{
	return view_find(view, growth->needs->needs[index].size_kib);
}

static struct lack lack_of(const struct growth *growth, const struct view *view, size_t index)
{
	return needs_lack(growth->needs, index, pools_of(growth, view, index), &view->promises,
			  &growth->plain);
}

/* Without wishes, and no more than all of it */
static unsigned long long missing(const struct growth *growth, const struct view *view,
				  size_t index)
{
	unsigned long long most = lack_of(growth, view, index).most;
	unsigned long long plain =
		needs_missing(growth->needs, index, pools_of(growth, view, index), &view->promises);

	return most < plain ? most : plain;
}

/* What the host keeps in any case */
static unsigned long long kept_kib(const struct growth *growth)
{
	return growth->accepted ? growth->reserve_kib - growth->reserve_kib / RESERVE_YIELDS
				: growth->reserve_kib;
}

/* Return: 1 when what is missing does not fit on its nodes, 0 (also when that is not known) */
static int nodes_short(const struct growth *growth, const struct lack *lack)
{
	unsigned long long wanted = lack->nr_pages * lack->need.size_kib, sum = 0, kib;
	struct cpulist nodes, all;

	/* The host's own number is the better one where all nodes will do */
	if (lack->need.any || need_nodes(growth->ctx->rootfd, &lack->need, &nodes, &all) < 0)
		return 0;
	for (int node = cpulist_next(&nodes, 0); node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1)) {
		if (memory_spare(growth->ctx, node, kept_kib(growth), &kib) < 0)
			return 0;
		sum += kib;
	}
	return wanted > sum + growth->pretended_kib;
}

/* Return: 1 when all that is missing does not fit beside what the host keeps, 0, else -errno */
static int memory_short(const struct growth *growth, const struct view *view,
			const struct lack *lack)
{
	unsigned long long size_kib = growth->needs->needs[growth->current].size_kib;
	unsigned long long available, wanted = kept_kib(growth);
	int r = memory_available(growth->ctx->rootfd, &available);

	/* What another guest is about to get is not there any more */
	if (view->ledger.writing.open)
		wanted += view->ledger.writing.size_kib;
	for (size_t i = growth->current + 1; i < growth->needs->nr; i++)
		wanted += missing(growth, view, i) * growth->needs->needs[i].size_kib;
	wanted += lack->most * size_kib;
	if (r < 0 || wanted > available + growth->pretended_kib)
		return r < 0 ? r : 1;
	return nodes_short(growth, lack);
}

static struct pools *begin(struct growth *growth, const struct view *view, size_t index)
{
	if (index != growth->current) {
		growth->current = index;
		growth->spent = (struct cpulist){ 0 };
		growth->ahead = false;
		growth->lever = 0;
		growth->pulls = 0;
		growth->gained = growth->made = 0;
	}
	return view_find(view, growth->needs->needs[index].size_kib);
}

/* Return: the pools of the first need that lacks pages, growth->current set; NULL for none */
static struct pools *first_missing(struct growth *growth, const struct view *view)
{
	for (size_t i = 0; i < growth->needs->nr; i++)
		if (lack_of(growth, view, i).nr_pages)
			return begin(growth, view, i);
	return NULL;
}

/* Return: 1 when a guest that is starting may find its pages taken, growth->current set; 0 */
static int robs(struct growth *growth, const struct view *view)
{
	for (size_t i = 0; i < growth->needs->nr; i++) {
		unsigned long long nr = needs_robbed(growth->needs, i, pools_of(growth, view, i),
						     &view->promises, &growth->plain);

		if (nr == 0)
			continue;
		(void)begin(growth, view, i);
		growth->shortage.missing = nr;
		return 1;
	}
	return 0;
}

/* Return: STEP_GO_ON with the need that lacks pages, and how many; STEP_WAIT, STEP_ALL_THERE */
static int what_lacks(struct growth *growth, const struct view *view)
{
	if (!first_missing(growth, view))
		return robs(growth, view) ? STEP_WAIT : STEP_ALL_THERE;
	growth->shortage.missing = missing(growth, view, growth->current);
	return STEP_GO_ON;
}

static unsigned long long held(const struct growth *growth, const struct view *view,
			       const struct pools *pools, size_t index)
{
	return ledger_held(&view->ledger, pools->size_kib, pools->pools[index].node,
			   growth->ctx->claim.uuid);
}

static bool usable(const struct growth *growth, const struct pools *pools, size_t index,
		   const struct need *where)
{
	int node = pools->pools[index].node;

	return need_covers(&growth->needs->needs[growth->current], node) &&
	       need_covers(where, node) && !cpulist_has(&growth->spent, (unsigned int)index);
}

/* Pages that fit on the pool's node beside its part of the whole reserve; not known is no bound */
static unsigned long long room_of(const struct growth *growth, const struct view *view,
				  const struct pools *pools, size_t index)
{
	const struct helper_ctx *ctx = growth->ctx;
	unsigned long long reserve, kib, nr, pretended;

	if (memory_reserve(ctx, &reserve) < 0 ||
	    memory_spare(ctx, pools->pools[index].node, reserve, &kib) < 0)
		return -1ULL;
	nr = kib / pools->size_kib;
	pretended = ctx->dry_run ? held(growth, view, pools, index) : 0;
	return nr > pretended ? nr - pretended : 0;
}

/* A dry run takes none of the others' time */
static unsigned long long step_kib(const struct growth *growth)
{
	if (growth->ctx->dry_run)
		return STEP_KIB;
	return growth->step_kib ?: STEP_FIRST_KIB;
}

/* Whole pages, one at least */
static unsigned long long step_pages(const struct growth *growth, unsigned long long size_kib)
{
	return step_kib(growth) / size_kib ?: 1;
}

/* One that asked for less than it might have says nothing of a larger one */
static void step_took(struct growth *growth, unsigned long long nr_pages,
		      unsigned long long size_kib, long long ms)
{
	unsigned long long now = step_pages(growth, size_kib) * size_kib, kib = nr_pages * size_kib;
	unsigned long long next = kib * STEP_MS / (unsigned long long)(ms > 0 ? ms : 1);

	if (next > now && kib < now)
		return;
	next = next < now * STEP_MORE ? next : now * STEP_MORE;
	growth->step_kib = next < STEP_KIB ? next ?: 1 : STEP_KIB;
}

/*
 * Spread evenly over the nodes that will do: every pool is filled up to the same level of pages
 * held, the emptiest first.
 *
 * Return: the pages to add to pool *@ret_index, 0 when no pool will do
 */
static unsigned long long level(const struct growth *growth, const struct view *view,
				const struct pools *pools, const struct lack *lack, bool bounded,
				size_t *ret_index)
{
	unsigned long long most = step_pages(growth, pools->size_kib), fits = 0;
	unsigned long long sum = lack->nr_pages, least = -1ULL, share;
	size_t nr = 0;

	for (size_t i = 0; i < pools->nr; i++) {
		unsigned long long has = held(growth, view, pools, i), room = -1ULL;

		if (!usable(growth, pools, i, &lack->need))
			continue;
		if (bounded)
			room = room_of(growth, view, pools, i);
		if (room == 0)
			continue;
		nr++;
		sum += has;
		if (has < least) {
			least = has;
			fits = room;
			*ret_index = i;
		}
	}
	if (nr == 0)
		return 0;
	share = (sum + nr - 1) / nr - least;
	share = share < lack->nr_pages ? share : lack->nr_pages;
	share = share < fits ? share : fits;
	return share < most ? share : most;
}

/* A node's own numbers can be too low (check.c, memory_of()): when none has room by them, that all
 * fits on the host, or on its nodes together, decides */
static unsigned long long pick(const struct growth *growth, const struct view *view,
			       const struct pools *pools, const struct lack *lack,
			       size_t *ret_index)
{
	unsigned long long nr = level(growth, view, pools, lack, true, ret_index);

	if (nr || !cpulist_empty(&growth->spent))
		return nr;
	return level(growth, view, pools, lack, false, ret_index);
}

/*
 * Surplus taken back along the way is in use, by guests that have settled: it goes back to being
 * surplus as soon as may be, not with this guest. @surplus: of the pool, before
 */
static int owe_surplus(const struct growth *growth, struct view *view, const struct pools *pools,
		       size_t index, unsigned long long surplus)
{
	const struct pool *now = &pools->pools[index];
	unsigned long long absorbed = surplus > now->surplus ? surplus - now->surplus : 0;
	struct ledger_pool *pool = ledger_find(&view->ledger, pools->size_kib, now->node);

	if (!pool || ledger_owe(pool, growth->ctx->claim.uuid, absorbed) == 0 ||
	    growth->ctx->dry_run)
		return 0;
	return ledger_store(&view->ledger);
}

/* The write that was asked for has been made, and its pools read again: what came late came, too */
static int stepped(struct growth *growth, struct view *view, struct pools *pools, size_t index)
{
	const struct asked *asked = &growth->asked;
	unsigned long long after = pools->pools[index].nr;
	unsigned long long came = after > asked->nr ? after - asked->nr : 0;
	int r = owe_surplus(growth, view, pools, index, asked->surplus);

	if (r < 0)
		return r;
	if (growth->made == 0)
		growth->first_asked = asked->begun;
	if (came)
		growth->last_came = now_ms();
	growth->gained += came;
	growth->made += came;
	if (after < asked->nr + asked->nr_pages && !(asked->cut_short && after > asked->nr))
		cpulist_add(&growth->spent, (unsigned int)index);
	return what_lacks(growth, view);
}

/*
 * Somebody is at a pool of that page size, though it is our turn: left behind by a start that is over,
 * or by an earlier write of ours. He may never come to his end, but SIGKILL needs a moment, too.
 *
 * Return: STEP_WAIT, -EBUSY
 */
static int await_writer(struct growth *growth, const struct ledger_change *writing)
{
	int gone_ms = growth->patience_ms > GONE_MS ? growth->patience_ms : GONE_MS;

	growth->writer = writing->writer.pid;
	if (growth->left_since == 0)
		growth->left_since = now_ms();
	if (now_ms() - growth->left_since >= gone_ms)
		return -EBUSY;
	return STEP_WAIT;
}

static void step_tick(int sig)
{
	(void)sig;
}

/* ledger_change(), and no longer than it may take. Return: likewise, growth->asked.cut_short set */
static int change_in_time(struct growth *growth, struct view *view, struct pools *pools,
			  size_t index, unsigned long long target)
{
	const struct itimerval timer = { .it_interval.tv_usec = STEP_TICK_MS * 1000L,
					 .it_value.tv_sec = STEP_MOST_MS / 1000 };
	struct sigaction act = { .sa_handler = step_tick }, old_act;
	struct itimerval old_timer;
	int r;

	if (sigaction(SIGALRM, &act, &old_act) < 0)
		return -errno;
	(void)setitimer(ITIMER_REAL, &timer, &old_timer);
	r = ledger_change(growth->ctx, &view->ledger, pools, index, target,
			  growth->ctx->claim.uuid);
	(void)setitimer(ITIMER_REAL, &old_timer, NULL);
	(void)sigaction(SIGALRM, &old_act, NULL);
	growth->asked.cut_short = now_ms() - growth->asked.begun >= STEP_MOST_MS;
	return r;
}

/* Free pages come on top of what is there: surplus in use is taken back along the way */
static int step(struct growth *growth, struct view *view, struct pools *pools, size_t index,
		unsigned long long nr)
{
	const struct pool *pool = &pools->pools[index];
	const struct helper_ctx *ctx = growth->ctx;
	unsigned long long before = pool->nr;
	int r;

	if (!ctx->dry_run && ledger_writing(&view->ledger, pools->size_kib))
		return await_writer(growth, &view->ledger.writing);
	growth->left_since = 0;
	growth->asked = (struct asked){ .node = pool->node,
					.nr_pages = nr,
					.nr = before,
					.surplus = pool->surplus,
					.begun = now_ms() };
	if (long_write_is(ctx, pools->size_kib)) {
		r = long_write_begin(ctx, &view->ledger, pools, index, before + nr, ctx->claim.uuid,
				     &growth->write);
		return r < 0 ? r : STEP_WRITING;
	}
	r = change_in_time(growth, view, pools, index, before + nr);
	if (growth->asked.cut_short && pools->pools[index].nr > before)
		nr = pools->pools[index].nr - before;
	step_took(growth, nr, pools->size_kib, now_ms() - growth->asked.begun);
	return r < 0 ? r : stepped(growth, view, pools, index);
}

/*
 * What a need has no more than wished for is given up when it does not come. Not at the first short
 * write: memory in pieces is what a node that has run for a while looks like.
 *
 * @r: a step_result. Return: another one, when there is more to be done first, or without the wish
 */
static int yield(struct growth *growth, const struct lack *lack, int r)
{
	if (!lack->wish || (r != STEP_SPENT && r != STEP_NO_MEMORY))
		return r;
	growth->spent = (struct cpulist){ 0 };
	if (r == STEP_SPENT && lever_may_wish(growth, &lack->need))
		return STEP_WISH;
	cpulist_add(&growth->plain, (unsigned int)growth->current);
	return STEP_GO_ON;
}

static int grow_need(struct growth *growth, struct view *view, struct pools *pools,
		     const struct lack *lack)
{
	unsigned long long nr;
	size_t index = 0;
	int r = memory_short(growth, view, lack);

	if (r != 0)
		return r < 0 ? r : STEP_NO_MEMORY;
	growth->accepted = true;
	if (!growth->ahead) {
		growth->ahead = true;
		return STEP_AHEAD;
	}
	nr = pick(growth, view, pools, lack, &index);
	return nr ? step(growth, view, pools, index, nr) : STEP_SPENT;
}

static int grow_once(struct growth *growth, struct view *view)
{
	struct lack lack;
	int r = what_lacks(growth, view);

	if (r != STEP_GO_ON)
		return r;
	lack = lack_of(growth, view, growth->current);
	r = grow_need(growth, view, view_find(view, lack.need.size_kib), &lack);
	return yield(growth, &lack, r);
}

/* From here on others leave the guest's pages alone */
static int promise(struct growth *growth, struct ledger *ledger)
{
	const char *uuid = growth->ctx->claim.uuid;
	int r;

	growth->begun = !growth->ctx->dry_run;
	if (strlist_has(&ledger->promised, uuid))
		return 0;
	r = ledger_promise(ledger, uuid);
	return r < 0 || growth->ctx->dry_run ? r : ledger_store(ledger);
}

/* @will_take: what it needs is promised to it */
static int view_open(struct growth *growth, struct view *view, bool will_take)
{
	const struct helper_ctx *ctx = growth->ctx;
	int r = ledger_open(ctx, deadline_left(growth->deadline), true, &view->ledger);

	if (r == 0)
		r = ledger_sync(ctx, &view->ledger);
	if (r == 0 && will_take)
		r = promise(growth, &view->ledger);
	if (r == 0)
		r = promises_load(ctx, &view->ledger, ctx->claim.uuid, &view->promises);
	return r < 0 ? r : view_read(growth, view);
}

static int look_and_grow(struct growth *growth)
{
	_cleanup_view_ struct view view = VIEW_CLOSED;
	int r = view_open(growth, &view, true);

	if (r == 0)
		r = grow_once(growth, &view);
	/* What a dry run pretends is in this view only */
	while (growth->ctx->dry_run && (lever_between(growth, r) || r == STEP_GO_ON))
		r = grow_once(growth, &view);
	if (r == STEP_ALL_THERE && growth->ret_view) {
		*growth->ret_view = view;
		view = VIEW_CLOSED;
	}
	return r;
}

/* Return: as grow_step() */
static int await_write(struct growth *growth)
{
	_cleanup_view_ struct view view = VIEW_CLOSED;
	struct pools *pools;
	int r = long_write_end(growth->write, growth), index;

	growth->write = NULL;
	if (r > 0)
		return STEP_SPENT;
	/* Whoever looks at the clock next says so */
	if (r == 0 && deadline_left(growth->deadline) == 0)
		return STEP_GO_ON;
	if (r == 0)
		r = view_open(growth, &view, true);
	/* SIGKILL has not ended it, or not yet */
	if (r == 0 && ledger_writing(&view.ledger, growth_need(growth)->size_kib))
		return STEP_GO_ON;
	if (r < 0)
		return r;
	pools = view_find(&view, growth_need(growth)->size_kib);
	index = pools_find(pools, growth->asked.node);
	/* A node that was taken out meanwhile */
	if (index < 0)
		return STEP_GO_ON;
	step_took(growth, growth->asked.nr_pages, pools->size_kib, now_ms() - growth->asked.begun);
	return stepped(growth, &view, pools, (size_t)index);
}

int grow_look(struct growth *growth)
{
	_cleanup_view_ struct view view = VIEW_CLOSED;
	int r = view_open(growth, &view, false);

	if (r == 0)
		r = what_lacks(growth, &view);
	return r == STEP_ALL_THERE ? promise(growth, &view.ledger) : r;
}

int grow_step(struct growth *growth)
{
	const struct timespec pause = { .tv_nsec = WAIT_MS * 1000000L };
	int r = look_and_grow(growth);

	if (r == STEP_WRITING)
		r = await_write(growth);
	/* It comes, but slowly: there is no lever between */
	if (r == STEP_GO_ON && growth->gained && turn_is_over(growth))
		return STEP_SPENT;
	if (r != STEP_WAIT)
		return r;
	if (growth->ctx->dry_run)
		return STEP_SPENT;
	if (turn_is_over(growth))
		return STEP_SPENT;
	(void)nanosleep(&pause, NULL);
	return STEP_GO_ON;
}
