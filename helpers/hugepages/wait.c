/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/wait.c - for what others are about to give back */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/registry.h"
#include "hugepages.h"

/*
 * How it works
 *
 * As long as something changes it pays to wait: fewer pages are missing than ever, there is more
 * memory than ever, more of it need not be written to disk first, or a guest is ending. The most
 * that was seen counts, so memory that comes and goes is one change. When nothing changes for a
 * tenth of the time there is, it ends: of 30 s that is 3 s, so somebody who sits before a guest
 * that will not start is told soon, and a process that ends or a disk that is written to has had
 * its time.
 */

#define PATIENCE_SHARE 10

/* Of a QEMU, more than it ever has */
#define CMDLINE_MAX 4194304

/* Between two looks */
#define LOOK_MS 100
/* The first pause; each one is twice as long as all before it */
#define PAUSE_MS 300

/* More memory than that is a change: a part of what is missing */
#define CHANGE_SHARE 64
#define CHANGE_MIN   2048ULL

static unsigned long long missing_kib(const struct growth *growth)
{
	return growth->shortage.missing * growth->needs->needs[growth->current].size_kib;
}

static void look(const struct growth *growth, struct sight *ret)
{
	const struct need *need = &growth->needs->needs[growth->current];
	struct cpulist nodes = { 0 }, all = { 0 };
	int rootfd = growth->ctx->rootfd;
	unsigned long long dirty;
	struct room room;

	*ret = (struct sight){ 0 };
	if (memory_available(rootfd, &ret->available) < 0)
		ret->available = 0;
	dirty = memory_dirty(rootfd);
	ret->clean = ret->available > dirty ? ret->available - dirty : 0;
	if (need_nodes(rootfd, need, &nodes, &all) < 0 || room_read(rootfd, &nodes, &room) < 0)
		return;
	ret->free = room_free(&room);
	ret->pieces = room_has_size(need->size_kib) ? room_pieces(&room, need->size_kib) : 0;
}

/* Return: 1 when it is more than ever by more than noise is, and noted */
static int more(unsigned long long now, unsigned long long *most, unsigned long long step)
{
	if (now < *most + step)
		return 0;
	*most = now;
	return 1;
}

static int changed(struct growth *growth)
{
	unsigned long long step = missing_kib(growth) / CHANGE_SHARE;
	struct sight now, *most = &growth->most;

	step = step < CHANGE_MIN ? CHANGE_MIN : step;
	look(growth, &now);
	/* What is dirty counts as available: who lacks that gains nothing when it is written */
	return more(now.available, &most->available, step) |
	       (growth->accepted && more(now.clean, &most->clean, step)) |
	       more(now.free, &most->free, step) | more(now.pieces, &most->pieces, step);
}

struct question {
	struct aside aside;
	pid_t pid;
};

static int has_no_cmdline(int rootfd, void *shared)
{
	const struct question *question = shared;
	_cleanup_free_ char *cmdline = NULL;
	char path[64];
	size_t len = 1;
	int r = path_format(path, sizeof(path), "proc/%d/cmdline", (int)question->pid);

	if (r == 0)
		r = attr_read_all(rootfd, path, CMDLINE_MAX, &cmdline, &len);
	return r < 0 ? r : len == 0;
}

/* A process that is ending has lost its memory map first, and its command line was in it */
static bool is_exiting(int rootfd, const struct process *process)
{
	struct question *question = aside_alloc(sizeof(*question));
	int r;

	if (!question)
		return false;
	question->pid = process->pid;
	r = ask_process(rootfd, process->pid, has_no_cmdline, question);
	aside_free(question, sizeof(*question));
	return r > 0 && process_alive(rootfd, process) > 0;
}

static bool holds_pages(const struct ledger *ledger, const char *uuid)
{
	for (size_t i = 0; i < ledger->nr; i++)
		if (ledger_held(ledger, ledger->pools[i].size_kib, ledger->pools[i].node, uuid))
			return true;
	return false;
}

/* Its QEMU is giving its memory back, or its end its part of the pools */
static bool is_ending(const struct helper_ctx *ctx, const struct ledger *ledger,
		      const struct claim *claim)
{
	if (strcmp(claim->uuid, ctx->claim.uuid) == 0)
		return false;
	if (claim->state == CLAIM_RUNNING)
		return is_exiting(ctx->rootfd, &claim->owner);
	return (claim->state == CLAIM_ENDING || claim->state == CLAIM_RETURNING) &&
	       holds_pages(ledger, claim->uuid) && registry_alive(ctx->rootfd, claim) > 0;
}

static bool somebody_ends(const struct helper_ctx *ctx)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_claims_ struct claims claims = { 0 };

	if (registry_load(ctx->statefd, &claims) < 0 ||
	    ledger_open(ctx, LOOK_MS, false, &ledger) < 0)
		return false;
	for (size_t i = 0; i < claims.nr; i++)
		if (is_ending(ctx, &ledger, &claims.claims[i]))
			return true;
	return false;
}

int patience(const struct growth *growth)
{
	return deadline_left(growth->deadline) / PATIENCE_SHARE;
}

static void start_over(struct growth *growth)
{
	growth->still_since = now_ms();
	growth->fewest = growth->shortage.missing;
}

/* Return: ms of the next pause, 0 when it has been waited long enough */
static int pause_ms(const struct growth *growth)
{
	long long elapsed = now_ms() - growth->still_since;
	long long left = growth->patience_ms - elapsed;
	long long next = 2 * elapsed > PAUSE_MS ? 2 * elapsed : PAUSE_MS;

	next = next < left ? next : left;
	return next > 0 ? (int)next : 0;
}

static void sleep_until(long long end)
{
	int ms = deadline_left(end) < LOOK_MS ? deadline_left(end) : LOOK_MS;
	const struct timespec pause = { .tv_nsec = ms * 1000000L };

	(void)nanosleep(&pause, NULL);
}

int wait_for_more(struct growth *growth)
{
	long long end;
	int ms;

	if (growth->ctx->dry_run)
		return WAIT_OVER;
	growth->pulls++;
	if (growth->still_since == 0)
		look(growth, &growth->most);
	if (growth->still_since == 0 || growth->shortage.missing < growth->fewest)
		start_over(growth);
	ms = pause_ms(growth);
	if (ms == 0)
		return WAIT_OVER;
	end = deadline_in(ms);
	while (deadline_left(end)) {
		sleep_until(end < growth->deadline ? end : growth->deadline);
		/* To be told by whoever looks at the clock next */
		if (deadline_left(growth->deadline) == 0)
			return WAIT_CHANGED;
		if (turn_is_over(growth))
			return WAIT_OVER;
		if (changed(growth)) {
			start_over(growth);
			return WAIT_CHANGED;
		}
		if (somebody_ends(growth->ctx)) {
			start_over(growth);
			end = deadline_in(PAUSE_MS);
		}
	}
	return WAIT_NOTHING;
}
