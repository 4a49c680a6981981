/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/grow.c - get the pages a guest needs, or none */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "hugepages.h"

/*
 * How it works
 *
 * Step by step, each under the ledger's lock with everything read anew: the first need that lacks
 * pages, the node of it that has been given least so far, about as many as take two fifths of a second
 * and at most 512 MiB. A node that gives less than it was asked for is left out until something has
 * been done about it (lever.c), without the lock. It ends when all is there; when memory runs into
 * what is kept for the host; when nothing that may be done brings more; or early enough before the
 * deadline to give everything back.
 *
 * The kernel's own attempts reclaim memory as hard as any allocation. They do not call the OOM
 * killer, but they leave others so little that it comes: so little is asked for again, and never
 * more than MemAvailable less the reserve.
 * Seen on: Linux 6.12, 3 GiB, half of it in fragments: a loop of writes and compaction ended a
 * process of 750 MB, although the first writes had got all there was
 */

#define ROLLBACK_MS 2000

/* Return: 0 all is there, 1 shortage, else -errno */
static int grow(struct growth *growth)
{
	enum shortage_reason reason = SHORT_NONE;
	int r = STEP_GO_ON;

	while (r == STEP_GO_ON && reason == SHORT_NONE) {
		r = grow_step(growth);
		if (lever_between(growth, r) ||
		    ((r == STEP_SPENT || r == STEP_NO_MEMORY) && lever_pull(growth, r)))
			r = STEP_GO_ON;
		if (r == STEP_GO_ON && deadline_left(growth->deadline) == 0)
			reason = SHORT_TIME;
	}
	if (r == STEP_SPENT)
		reason = SHORT_FRAGMENTED;
	if (r == STEP_NO_MEMORY)
		reason = SHORT_MEMORY;
	if (reason != SHORT_NONE && growth->cut_short)
		reason = SHORT_TURN;
	growth->shortage.reason = reason;
	growth->shortage.need = growth->current;
	return r < 0 ? r : reason != SHORT_NONE;
}

static const char *error_cure(int error)
{
	static const struct {
		int error;
		const char *cure;
	} cures[] = {
		{ -ETIMEDOUT, "another guest is being given pages there: start this one when that "
			      "has ended" },
		{ -EBADMSG, "/run/usher/host/hugepages.ini is damaged: remove it when no guest "
			    "with huge pages runs" },
		{ -EPERM, "/run/usher/host/hugepages.ini is not root's alone: see who wrote it" },
		{ -ENOSPC,
		  "/run is full, where usher notes what it does: see what fills it, by du -x "
		  "/run" },
		{ -EINVAL, "this kernel gives pages of that size only at boot: add hugepagesz= and "
			   "hugepages= to its command line" },
		{ -ENODEV, "the memory of a node was taken out meanwhile: start the guest again" },
		{ -EACCES, "memory there is closed to usher: see AllowedMemoryNodes= of libvirt's "
			   "unit, and journalctl -k" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cures); i++)
		if (cures[i].error == error)
			return cures[i].cure;
	return "see journalctl -k";
}

/* The ones it was at; before it was looked all that it needs are meant by the first */
static void error_say(const struct growth *growth, int error)
{
	const struct need *need = &growth->needs->needs[growth->current];
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];

	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	helper_say(growth->ctx, "cannot get huge pages of %s %s: %s: %s", name, where,
		   error == -ETIMEDOUT ? "the time for it ran out" : strerror(-error),
		   error_cure(error));
}

/* @error: of hugepages_give_back() */
static enum helper_exit failed(const struct helper_ctx *ctx, int error, int wait_ms)
{
	char why[GIVE_BACK_WHY_MAX];

	if (error == 0)
		return HELPER_FAILED;
	give_back_why(error, wait_ms, why, sizeof(why));
	helper_say(ctx,
		   "and not all pages got so far could be given back: %s: run usher recover when "
		   "the cause is gone",
		   why);
	return HELPER_DIRTY;
}

/* @back: of hugepages_give_back() */
static enum helper_exit hangs(const struct growth *growth, int back, int wait_ms)
{
	const struct need *need = &growth->needs->needs[growth->current];
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
	int pid = (int)growth->writer;

	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	helper_say(growth->ctx,
		   "cannot get huge pages of %s %s: the kernel does not come back from making one: "
		   "process %d waits in the kernel, as a rule for a disk or network file system "
		   "that does not answer: see cat /proc/%d/stack and journalctl -k, and have that "
		   "one answer again%s",
		   name, where, pid, pid, back == -EBUSY ? ", then run usher recover" : "");
	return back == -EBUSY ? HELPER_DIRTY : failed(growth->ctx, back, wait_ms);
}

static enum helper_exit fail(struct growth *growth, int error)
{
	const struct helper_ctx *ctx = growth->ctx;
	int back, wait_ms;

	if (error > 0)
		shortage_look(growth);
	wait_ms = give_back_wait_ms(ctx);
	back = growth->begun ? hugepages_give_back(ctx, true, wait_ms) : 0;
	if (error == -EBUSY)
		return hangs(growth, back, wait_ms);
	if (error < 0)
		error_say(growth, error);
	else
		shortage_say(ctx, growth->needs, &growth->shortage);
	return failed(ctx, back, wait_ms);
}

static int growth_init(struct growth *growth)
{
	long long margin = deadline_left(growth->ctx->deadline) / 4;

	growth->zfs_guard = zfs_forbids_compaction(growth->ctx->rootfd);
	growth->deadline = growth->ctx->deadline - (margin < ROLLBACK_MS ? margin : ROLLBACK_MS);
	growth->patience_ms = patience(growth);
	return memory_reserve(growth->ctx, &growth->reserve_kib);
}

/* What has failed beside the pages: these go back with it. @e: what it came to */
static enum helper_exit without_pages(const struct helper_ctx *ctx, enum helper_exit e)
{
	int wait_ms = give_back_wait_ms(ctx);
	enum helper_exit back = failed(ctx, hugepages_give_back(ctx, true, wait_ms), wait_ms);

	return back == HELPER_FAILED ? e : back;
}

enum helper_exit needs_get(struct helper_ctx *ctx, const struct needs *needs)
{
	_cleanup_(growth_end) struct growth growth = { .ctx = ctx, .needs = needs };
	_cleanup_(turn_end) struct turn turn = { 0 };
	enum helper_exit e;
	int r = growth_init(&growth);
	bool ready;

	if (r == 0)
		r = ctx->dry_run ? STEP_GO_ON : grow_look(&growth);
	ready = r == STEP_ALL_THERE;
	if (r > 0)
		r = turn_take(ctx, needs, growth.deadline, &turn);
	/* What it has waited is not of its turn */
	growth.turn_began = now_ms();
	if (r == 0 && arc_restore(ctx) < 0)
		return growth.begun ? without_pages(ctx, HELPER_FAILED) : HELPER_FAILED;
	if (r == 0 && !ready)
		r = grow(&growth);
	e = r == 0 ? HELPER_DONE : fail(&growth, r);
	/* That it could not be set back at once may have been for a moment */
	return arc_restore(ctx) < 0 && e == HELPER_FAILED ? HELPER_DIRTY : e;
}

int needs_foretell(const struct helper_ctx *ctx, const struct needs *needs, struct view *ret)
{
	struct helper_ctx dry = *ctx;
	_cleanup_(growth_end) struct growth growth = { .ctx = &dry, .needs = needs };
	int r;

	dry.dry_run = true;
	dry.quiet = true;
	growth.ret_view = ret;
	r = growth_init(&growth);
	growth.turn_began = now_ms();
	return r < 0 ? r : grow(&growth);
}

bool has_its_pages(const struct helper_ctx *ctx)
{
	return ctx->claim.state != CLAIM_PREPARING &&
	       process_find_qemu(ctx->rootfd, ctx->claim.uuid) > 0;
}

enum helper_exit hugepages_apply(struct helper_ctx *ctx)
{
	_cleanup_needs_ struct needs needs = { 0 };
	enum helper_exit e = needs_read(ctx, &needs);
	bool pools = needs.nr && !has_its_pages(ctx);

	ask_until(ctx->deadline);
	if (e == HELPER_DONE)
		e = needs_check(ctx, &needs);
	if (e == HELPER_DONE)
		uneven_say(ctx);
	if (e == HELPER_DONE && pools)
		e = needs_get(ctx, &needs);
	if (e != HELPER_DONE)
		return e;
	e = thp_apply(ctx);
	if (e != HELPER_DONE && pools && !ctx->dry_run)
		e = without_pages(ctx, e);
	if (e == HELPER_DONE)
		numa_say(ctx);
	return e;
}
