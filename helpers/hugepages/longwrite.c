/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/longwrite.c - a page that takes long, made without the ledger */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../../lib/aside.h"
#include "../../lib/deadline.h"
#include "hugepages.h"

/*
 * How it works
 *
 * A page of 1 GiB is put together by moving away all that lies in a range of that size, for one range
 * after the other: tens of seconds on a large host, and for ever where a page waits for a disk that
 * is dead. So a child makes that write, and the ledger is free meanwhile. What it says then is who
 * writes: as long as that one lives, nobody resolves the change, takes the moving number for somebody
 * else's, or writes a pool of that page size. When it is dead, whoever looks next resolves it like any
 * other that was cut off. Nobody has to come back for it.
 *
 * In this order: the child is born and waits; it is announced by its name; it is let go. One whose
 * parent is killed before sees its pipe end; later it is sent SIGKILL, as when it is late: that ends
 * one that is slow, not one that hangs. That one is left behind, with nothing of ours, and other pools
 * of its page size with it: the kernel lets one at a time write them, and whoever came would hang, too.
 * Source: Linux 6.12, mm/hugetlb.c set_max_huge_pages(), resize_lock (since 5.13); mm/page_alloc.c
 * alloc_contig_pages(), __alloc_contig_migrate_range()
 */

/* One that is not let go ends at once */
#define RECALL_MS 1000

struct long_write {
	struct aside aside;
	const struct helper_ctx *ctx;
	struct pools *pools;
	size_t index;
	unsigned long long target;
	struct growth *growth; /* that waits for it */
	bool gave_way;
};

bool long_write_is(const struct helper_ctx *ctx, unsigned long long size_kib)
{
	return !ctx->dry_run && size_kib > STEP_KIB;
}

/* The child's part */
static int write_pool(int rootfd, void *shared)
{
	const struct long_write *job = shared;
	char go;
	int after, r;

	(void)rootfd;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(job->aside.keep, &go, 1) != 1)
		return -ECANCELED;
	aside_step(shared);
	r = pool_bring(job->ctx, job->pools, job->index, job->target, &after);
	return r < 0 ? r : after;
}

/* The child is there. Return: as long_write_begin() */
static int announce(const struct helper_ctx *ctx, struct ledger *ledger,
		    const struct long_write *job, const char *uuid)
{
	struct ledger_change *writing = &ledger->writing;
	struct process writer;
	int r = process_identify(ctx->rootfd, job->aside.pid, &writer);

	if (r == 0)
		r = change_open(ledger, writing, job->pools, job->index, job->target, uuid);
	if (r < 0)
		return r;
	writing->writer = writer;
	r = ledger_store(ledger);
	writing->open = r == 0;
	return r;
}

/* @go: closed, it is not let go */
static int announce_and_go(const struct helper_ctx *ctx, struct ledger *ledger,
			   struct long_write *job, const char *uuid, int *go)
{
	int r = announce(ctx, ledger, job, uuid);

	if (r < 0) {
		cleanup_close(go);
		*go = -1;
		(void)!aside_end(job, RECALL_MS);
		return r;
	}
	/* One that is dead by now is found so */
	(void)!write(*go, "", 1);
	return 0;
}

int long_write_begin(const struct helper_ctx *ctx, struct ledger *ledger, struct pools *pools,
		     size_t index, unsigned long long target, const char *uuid,
		     struct long_write **ret)
{
	_cleanup_close_ int come = -1, go = -1;
	struct long_write *job = aside_alloc(sizeof(*job));
	int pipes[2], r;

	if (!job)
		return -ENOMEM;
	r = pipe2(pipes, O_CLOEXEC) < 0 ? -errno : 0;
	if (r == 0) {
		come = pipes[0];
		go = pipes[1];
		job->ctx = ctx;
		job->pools = pools;
		job->index = index;
		job->target = target;
		job->aside.keep = come;
		r = aside_begin(ctx->rootfd, write_pool, job);
	}
	if (r == 0)
		r = announce_and_go(ctx, ledger, job, uuid, &go);
	if (r < 0) {
		aside_free(job, sizeof(*job));
		return r;
	}
	*ret = job;
	return 0;
}

/* As any other that is short: turn.c */
static bool gives_way(void *shared)
{
	struct long_write *job = shared;

	job->gave_way = turn_is_over(job->growth);
	return job->gave_way;
}

int long_write_end(struct long_write *job, struct growth *growth)
{
	int left = deadline_left(growth->deadline), r;

	job->growth = growth;
	job->aside.gives_way = gives_way;
	job->aside.busy_ms = left;
	r = aside_end(job, left / 2);
	if (r == -ETIMEDOUT && job->gave_way)
		r = 1;
	aside_free(job, sizeof(*job));
	/* Whoever it was that killed it, the pool says how far it came */
	return r == -ECHILD || r == -ETIMEDOUT ? 0 : r;
}
