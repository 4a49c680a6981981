/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/giveback.c - take off the pools what usher added to them */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "../../lib/deadline.h"
#include "../../lib/state.h"
#include "hugepages.h"

/*
 * How it works
 *
 * The kernel does not mark pages as surplus, it counts them: whichever page of the node is freed
 * first goes in their place. Where only guests use the pool that comes to the same. Where others
 * use it beside a guest, a database that restarts would lose its pages to the guest's surplus and
 * not find them again. There nothing becomes surplus: as long as guests have pages, what is owed is
 * paid in free pages that nobody may have reserved, and the rest when they have ended. So it is where
 * the admin lets others take pages beyond the pool, which the kernel counts as surplus, too; and
 * where a guest may give pages back and take others later, by a balloon, virtio-mem or postcopy,
 * until that one has ended: a page that it does not find then is SIGBUS.
 * Seen on: Linux 6.12 (mm/hugetlb.c free_huge_folio(), surplus_huge_pages_node)
 */

#define WRITER_RETRY_MS 20

/* One page size at work */
struct payment {
	const struct helper_ctx *ctx;
	struct ledger *ledger;
	const struct view *view; /* what a dry run goes on from; NULL: what is there now */
	struct pools pools;
	struct promises promises;
	struct others *others; /* by pool, as they were at first */
	size_t nr_others;
	unsigned long long reserved; /* by others than guests, on whichever nodes */
};

/* The view's own, which a dry run brings forward. Return: NULL when they are to be read */
static const struct pools *pretended(const struct payment *payment, unsigned long long size_kib)
{
	return payment->view ? view_find(payment->view, size_kib) : NULL;
}

static void payment_free(struct payment *payment)
{
	if (!pretended(payment, payment->pools.size_kib))
		pools_free(&payment->pools);
	promises_free(&payment->promises);
	free(payment->others);
}

static int payment_load(struct payment *payment, unsigned long long size_kib)
{
	const struct pools *pools = pretended(payment, size_kib);
	const struct helper_ctx *ctx = payment->ctx;
	int r = promises_load(ctx, payment->ledger, NULL, &payment->promises);

	if (pools)
		payment->pools = *pools;
	else if (r == 0)
		r = pools_read(ctx->rootfd, size_kib, &payment->pools);
	if (r < 0)
		return r;
	payment->nr_others = payment->pools.nr;
	payment->others = calloc(payment->nr_others ?: 1, sizeof(*payment->others));
	return payment->others
		       ? others_read(ctx, &payment->pools, payment->others, &payment->reserved)
		       : -ENOMEM;
}

static const struct ledger_pool *account(const struct payment *payment, size_t index)
{
	return ledger_find(payment->ledger, payment->pools.size_kib,
			   payment->pools.pools[index].node);
}

static unsigned long long owed(const struct payment *payment, size_t index)
{
	const struct ledger_pool *pool = account(payment, index);

	return pool ? pool->owed : 0;
}

/* Pages of a pool that others have reserved, if it is this one; no more than they would find there
 * without any guest */
static unsigned long long kept(const struct payment *payment, size_t index)
{
	unsigned long long reserved = promises_elsewhere(&payment->promises, &payment->pools);
	unsigned long long used = payment->others[index].nr_pages;
	const struct ledger_pool *pool = account(payment, index);
	unsigned long long theirs = pool && pool->own > used ? pool->own - used : 0;

	return reserved < theirs ? reserved : theirs;
}

/* Guests on other nodes count as well: they may have taken what others will look for here. So do
 * those that are starting: what they will take has been reserved for them, or promised */
static bool guests_have_pages(const struct payment *payment)
{
	if (promises_open(&payment->promises, payment->pools.size_kib))
		return true;
	for (size_t i = 0; i < payment->nr_others; i++)
		if (payment->others[i].guests || payment->others[i].unknown)
			return true;
	return false;
}

/* Do others use the pool beside guests, or may they take pages beyond it; or is there a guest that
 * may give some back and take others */
static bool is_shared(const struct payment *payment, size_t index)
{
	/* A node that has come since is nobody's */
	if (index >= payment->nr_others)
		return false;
	if (promises_last(&payment->promises, &payment->pools, index))
		return true;
	return guests_have_pages(payment) &&
	       (payment->pools.overcommit || payment->reserved || payment->others[index].nr_pages ||
		kept(payment, index));
}

/* Free pages of one pool that the kernel will let go: it keeps as many as are reserved anywhere */
static unsigned long long loose(const struct payment *payment, size_t index)
{
	const struct need anywhere = { .any = true };
	unsigned long long nr_free = pools_free_of(&payment->pools, &anywhere);
	unsigned long long reserved = payment->pools.reserved;
	unsigned long long left = nr_free > reserved ? nr_free - reserved : 0;

	return payment->pools.pools[index].free < left ? payment->pools.pools[index].free : left;
}

/* Free pages that may go where nothing is to become surplus */
static unsigned long long removable_beside(const struct payment *payment, size_t index)
{
	unsigned long long nr_free = payment->pools.pools[index].free;
	unsigned long long most = loose(payment, index), keep = kept(payment, index);
	unsigned long long left = nr_free > keep ? nr_free - keep : 0;

	return left < most ? left : most;
}

/*
 * Pages that may go, as free ones or as surplus in the place of used ones
 *
 * No more than there are used ones: surplus goes when a page of its node is freed, and the kernel
 * frees none that is free already, not even when whoever had reserved it takes one of another node.
 * Source: mm/hugetlb.c dequeue_hugetlb_folio(), free_huge_folio(), return_unused_surplus_pages()
 */
static unsigned long long leaving(const struct payment *payment, size_t index)
{
	const struct pool *pool = &payment->pools.pools[index];
	unsigned long long staying = pool->free - loose(payment, index);
	unsigned long long persistent = pool_persistent(pool);

	return persistent > staying ? persistent - staying : 0;
}

/*
 * The kernel frees free pages first and makes used ones surplus then. So all that leave can be paid
 * when all loose pages may go, else only as many as may.
 */
static unsigned long long payable(const struct payment *payment, size_t index)
{
	unsigned long long removable =
		promises_removable(&payment->promises, &payment->pools, index);
	unsigned long long due = owed(payment, index), most = leaving(payment, index);
	bool shared = is_shared(payment, index);

	if (shared && removable > removable_beside(payment, index))
		removable = removable_beside(payment, index);
	if (!shared && removable >= loose(payment, index))
		removable = most;
	return due < removable ? due : removable;
}

/* Pools with loose pages first: see absorb(). Return: the index, -ENOENT: nothing can be paid */
static int next_due(const struct payment *payment)
{
	int found = -ENOENT;

	for (size_t i = 0; i < payment->pools.nr; i++) {
		if (payable(payment, i) == 0)
			continue;
		if (loose(payment, i))
			return (int)i;
		found = (int)i;
	}
	return found;
}

/*
 * While there are surplus pages on any node, the kernel counts them twice when it looks how many
 * pages it must keep, and makes free pages surplus instead of freeing them: they would stay for
 * good. So surplus is taken back first, on the account of what is owed, and paid again.
 * Seen on: Linux 6.1, 6.12 (mm/hugetlb.c set_max_huge_pages, min_count), right since 6.15
 */
static int absorb(struct payment *payment)
{
	unsigned long long before = pools_surplus(&payment->pools, -1);
	int r = 0;

	for (size_t i = 0; r == 0 && i < payment->pools.nr; i++)
		if (payment->pools.pools[i].surplus)
			r = ledger_change(payment->ctx, payment->ledger, &payment->pools, i,
					  payment->pools.pools[i].nr, "");
	return r == 0 && pools_surplus(&payment->pools, -1) >= before ? -EIO : r;
}

/*
 * One write: loose pages alone, as long as there are any, so that no surplus comes before them
 *
 * Return: 0 when it has become less, -EIO when the kernel did not do what it said
 */
static int pay(struct payment *payment, size_t index)
{
	unsigned long long before = owed(payment, index);
	unsigned long long persistent = pool_persistent(&payment->pools.pools[index]);
	unsigned long long amount = payable(payment, index);
	unsigned long long first = loose(payment, index);
	int r;

	if (first && pools_surplus(&payment->pools, -1))
		return absorb(payment);
	if (first && amount > first)
		amount = first;
	if (amount > persistent)
		return -ERANGE;
	r = ledger_change(payment->ctx, payment->ledger, &payment->pools, index,
			  persistent - amount, "");
	return r == 0 && owed(payment, index) >= before ? -EIO : r;
}

static int pay_size(struct payment *payment)
{
	/* Surplus absorbed, loose pages of each pool, the rest of each pool. More is for those that
	 * a QEMU frees meanwhile that is dying, as long as there is time */
	size_t steps = 1 + 2 * payment->pools.nr;
	int r = 0;

	for (int i = next_due(payment); r == 0 && i >= 0; i = next_due(payment)) {
		if (steps == 0 && deadline_left(payment->ctx->deadline) == 0)
			return -ETIME;
		steps -= steps > 0;
		r = pay(payment, (size_t)i);
	}
	return r;
}

unsigned long long ledger_owe(struct ledger_pool *pool, const char *uuid, unsigned long long most)
{
	for (size_t i = 0; most && i < pool->nr_shares; i++) {
		struct ledger_share *share = &pool->shares[i];

		if (strcmp(share->uuid, uuid) != 0)
			continue;
		most = most < share->nr_pages ? most : share->nr_pages;
		share->nr_pages -= most;
		pool->owed += most;
		return most;
	}
	return 0;
}

/* Pages of one size that a guest was given and its needs do not ask for */
static unsigned long long excess(const struct payment *payment, const struct needs *needs)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < payment->pools.nr; i++)
		sum += ledger_held(payment->ledger, payment->pools.size_kib,
				   payment->pools.pools[i].node, payment->ctx->claim.uuid);
	for (size_t i = 0; i < needs->nr; i++)
		if (needs->needs[i].size_kib == payment->pools.size_kib)
			sum -= needs->needs[i].nr_pages < sum ? needs->needs[i].nr_pages : sum;
	return sum;
}

/* There were enough pages for its needs wherever others would take theirs: needs_lack() */
static void owe_excess(struct payment *payment, const struct needs *needs)
{
	unsigned long long left = excess(payment, needs);

	for (size_t i = 0; left && i < payment->pools.nr; i++) {
		struct ledger_pool *pool = ledger_find(payment->ledger, payment->pools.size_kib,
						       payment->pools.pools[i].node);
		unsigned long long nr = promises_removable(&payment->promises, &payment->pools, i);

		nr = pool ? ledger_owe(pool, payment->ctx->claim.uuid, nr < left ? nr : left) : 0;
		payment->pools.pools[i].free -= nr;
		left -= nr;
	}
}

static int owe_all_excess(const struct helper_ctx *ctx, struct ledger *ledger)
{
	_cleanup_needs_ struct needs needs = { 0 };
	int r = needs_load(&ctx->claim, &needs);

	for (size_t i = 0; r == 0 && i < needs.nr; i++) {
		_cleanup_(payment_free) struct payment payment = { .ctx = ctx, .ledger = ledger };

		if (needs_seen(&needs, i))
			continue;
		r = payment_load(&payment, needs.needs[i].size_kib);
		if (r == 0)
			owe_excess(&payment, &needs);
	}
	return r;
}

/* @view: as of a payment */
static int pay_all(const struct helper_ctx *ctx, struct ledger *ledger, const struct view *view)
{
	unsigned long long done = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ledger->nr; i++) {
		_cleanup_(payment_free) struct payment payment = { .ctx = ctx,
								   .ledger = ledger,
								   .view = view };

		if (ledger->pools[i].size_kib == done || !ledger->pools[i].owed)
			continue;
		/* The kernel would have us wait for that one, on whichever node he is at work */
		if (!ctx->dry_run && ledger_writing(ledger, ledger->pools[i].size_kib))
			continue;
		done = ledger->pools[i].size_kib;
		r = payment_load(&payment, done);
		if (r == 0)
			r = pay_size(&payment);
	}
	return r;
}

/* Is the kernel at a page still that was to be the guest's */
static bool is_written_for(const struct helper_ctx *ctx, const struct ledger *ledger)
{
	return !ctx->dry_run && ledger->writing.open &&
	       strcmp(ledger->writing.uuid, ctx->claim.uuid) == 0;
}

/* Who makes a page for the guest has been sent SIGKILL, and is waited for. Return: as ledger_sync() */
static int open_synced(const struct helper_ctx *ctx, int wait_ms, struct ledger *ledger)
{
	const struct timespec pause = { .tv_nsec = WRITER_RETRY_MS * 1000000L };
	long long deadline = deadline_in(wait_ms);
	int r;

	for (;;) {
		r = ledger_open(ctx, deadline_left(deadline), false, ledger);
		if (r == 0)
			r = ledger_sync(ctx, ledger);
		if (r < 0 || !is_written_for(ctx, ledger) || deadline_left(deadline) == 0)
			return r;
		ledger_close(ledger);
		(void)nanosleep(&pause, NULL);
	}
}

int hugepages_give_back(const struct helper_ctx *ctx, bool own, int wait_ms)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	int r;

	r = open_synced(ctx, wait_ms, &ledger);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (own)
		ledger_release(&ledger, ctx->claim.uuid);
	else
		r = owe_all_excess(ctx, &ledger);
	if (r == 0 && !ctx->dry_run)
		r = ledger_store(&ledger);
	if (r == 0)
		r = pay_all(ctx, &ledger, NULL);
	return r == 0 && is_written_for(ctx, &ledger) ? -EBUSY : r;
}

int give_back_foretell(const struct helper_ctx *ctx, struct view *view)
{
	ledger_release(&view->ledger, ctx->claim.uuid);
	return pay_all(ctx, &view->ledger, view);
}

void give_back_why(int error, int wait_ms, char *buf, size_t size)
{
	if (error == -ETIMEDOUT)
		(void)snprintf(buf, size,
			       "usher's ledger was busy for %d ms, another usher-hugepages is at "
			       "work (fuser /run/usher/host/hugepages.lock)",
			       wait_ms);
	else
		(void)snprintf(buf, size, "%s",
			       error == -EIO	  ? "the kernel did not take them"
			       : error == -ETIME  ? "more and more became free, until the time "
						    "for it ran out"
			       : error == -EBUSY  ? "the kernel does not come back from making "
						    "one, for the process in writing= of "
						    "/run/usher/host/hugepages.ini"
			       : error == -ENOSPC ? "there is no room in /run to note it"
						  : strerror(-error));
}

int give_back_wait_ms(const struct helper_ctx *ctx)
{
	int left = deadline_left(ctx->deadline) / 2, most = ctx->helper->undo_timeout_ms / 2;

	return left < most ? left : most;
}

/* @error: perhaps that of the ledger itself */
static const char *cure_of(const struct helper_ctx *ctx, int error, const char *usual)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;

	return ledger_open(ctx, 0, false, &ledger) == error ? state_cure(error, usual) : usual;
}

enum helper_exit hugepages_undo(struct helper_ctx *ctx)
{
	enum helper_exit thp = thp_undo(ctx);
	int wait_ms = give_back_wait_ms(ctx), r;
	char why[GIVE_BACK_WHY_MAX];
	int arc;

	ask_until(ctx->deadline);
	r = hugepages_give_back(ctx, true, wait_ms);
	/* Neither waits for the other */
	arc = arc_restore(ctx);
	if (r == 0)
		return arc < 0 ? HELPER_DIRTY : thp;
	give_back_why(r, wait_ms, why, sizeof(why));
	helper_say(ctx,
		   "not all huge pages could be given back: %s: what is left stands in "
		   "/run/usher/host/hugepages.ini; %s",
		   why,
		   cure_of(ctx, r, "run usher recover, or the next start of any guest does it"));
	return HELPER_DIRTY;
}

void keeps_say(const struct helper_ctx *ctx)
{
	const char *value = inidoc_get(&ctx->claim.doc, HUGEPAGES_SECTION, "give_back");
	bool comes = value && strcmp(value, "started") == 0;

	if (gives_back_at_start(ctx->rootfd, &ctx->claim))
		return;
	helper_say(ctx,
		   "its huge pages go back to the host only when it is released, not by themselves "
		   "with QEMU: it may give some back and take others %s",
		   comes ? "while it comes by migration, as a guest that is restored looks, too"
			 : "while it runs (a balloon, virtio-mem): a balloon that is of no use "
			   "goes with <memballoon model='none'/> in its XML");
}

/* Has it pages that usher added; not known is yes */
static bool has_share(const struct helper_ctx *ctx)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	int r = ledger_open(ctx, give_back_wait_ms(ctx), false, &ledger);

	for (size_t i = 0; r == 0 && i < ledger.nr; i++)
		if (ledger_held(&ledger, ledger.pools[i].size_kib, ledger.pools[i].node,
				ctx->claim.uuid))
			return true;
	return r < 0 && r != -ENOENT;
}

int hugepages_settle(struct helper_ctx *ctx, int argc, char **argv)
{
	int wait_ms = give_back_wait_ms(ctx), r;
	char why[GIVE_BACK_WHY_MAX];

	(void)argc, (void)argv;
	ask_until(ctx->deadline);
	if (helper_is_ahead(ctx) && !has_its_pages(ctx))
		return settle_foretell(ctx);
	r = hugepages_give_back(ctx, gives_back_at_start(ctx->rootfd, &ctx->claim), wait_ms);
	if (r == 0) {
		if (has_share(ctx))
			keeps_say(ctx);
		return HELPER_DONE;
	}
	give_back_why(r, wait_ms, why, sizeof(why));
	helper_say(ctx,
		   "the huge pages of the running guest could not be made to go with it: %s: they "
		   "are given back when it is released",
		   why);
	return HELPER_FAILED;
}
