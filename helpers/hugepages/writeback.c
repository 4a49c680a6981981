/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/writeback.c - page cache that must be written to disk before it can go */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/spawn.h"
#include "../../lib/state.h"
#include "hugepages.h"

/*
 * How it works
 *
 * MemAvailable counts page cache that is dirty, but nobody gets it before it is written: dropped
 * caches leave it out, and reclaim passes it over. By itself the kernel writes what is 30 s old, or
 * more than a tenth of its memory. So where what is clean would not do, all of it is told to be
 * written, and it is waited until enough has been, as long as some is.
 *
 * sync(2) begins on all disks at once. Then it waits for each file system, also for one whose
 * server is dead, and no signal ends that. So a child calls it, which holds nothing of ours and is left
 * behind; but for a lock, so that of those that hang there is one, however many guests are started.
 * ABI: Documentation/admin-guide/sysctl/vm.rst, drop_caches, dirty_expire_centisecs,
 * dirty_background_ratio; Source: Linux 6.12, fs/sync.c ksys_sync()
 */

#define SYNC_LOCK "hugepages-sync.lock"
#define LOOK_MS	  100

/* There is always some */
#define DIRTY_MIN 4096ULL

/* In KiB */
struct cache {
	unsigned long long clean, dirty;
};

/* @node: POOL_NO_NODE for the host. What is not there counts as none */
static unsigned long long field_of(int rootfd, int node, const char *name)
{
	unsigned long long kib;
	int r = node == POOL_NO_NODE ? memory_field(rootfd, name, &kib)
				     : memory_field_of(rootfd, node, name, &kib);

	return r < 0 ? 0 : kib;
}

static void add_cache(int rootfd, int node, struct cache *sum)
{
	unsigned long long dirty =
		field_of(rootfd, node, "Dirty:") + field_of(rootfd, node, "Writeback:");
	unsigned long long all =
		field_of(rootfd, node, "Active(file):") + field_of(rootfd, node, "Inactive(file):");

	sum->dirty += dirty;
	sum->clean += all > dirty ? all - dirty : 0;
}

static struct cache cache_read(const struct growth *growth)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	int rootfd = growth->ctx->rootfd;
	struct cache sum = { 0 };

	if (need_nodes(rootfd, growth_need(growth), &nodes, &all) < 0) {
		add_cache(rootfd, POOL_NO_NODE, &sum);
		return sum;
	}
	for (int node = cpulist_next(&nodes, 0); node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1))
		add_cache(rootfd, node, &sum);
	return sum;
}

unsigned long long writeback_clean(const struct growth *growth)
{
	return cache_read(growth).clean;
}

/* Return: 0 also when one is at it still, else -errno */
static int begin(const struct helper_ctx *ctx)
{
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, HOST_DIR, true), lockfd = -1;
	pid_t pid;

	if (dirfd < 0)
		return dirfd;
	lockfd = state_lock(dirfd, SYNC_LOCK, 0);
	if (lockfd < 0)
		return lockfd == -ETIMEDOUT ? 0 : lockfd;
	pid = spawn_detached(&lockfd, 1);
	if (pid != 0)
		return pid < 0 ? pid : 0;
	sync();
	_exit(0);
}

/* Return: 1 when less is dirty than before, 0 */
static int wait_until(struct growth *growth, unsigned long long clean_kib)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	struct cache now = cache_read(growth);
	unsigned long long first = now.dirty, least = now.dirty;
	long long still = deadline_in(growth->patience_ms);

	while (now.clean < clean_kib && now.dirty >= DIRTY_MIN && deadline_left(still) &&
	       deadline_left(growth->deadline) && !turn_is_over(growth)) {
		(void)nanosleep(&pause, NULL);
		now = cache_read(growth);
		if (now.dirty >= least)
			continue;
		least = now.dirty;
		still = deadline_in(growth->patience_ms);
	}
	growth->stays_dirty = deadline_left(still) == 0;
	return least < first;
}

int writeback_until(struct growth *growth, unsigned long long clean_kib)
{
	struct cache now = cache_read(growth);

	if (growth_policy(growth, "reclaim", "none") || growth->stays_dirty ||
	    now.clean >= clean_kib || now.dirty < DIRTY_MIN)
		return 0;
	if (helper_would(growth->ctx, "sync"))
		return 1;
	return begin(growth->ctx) == 0 && wait_until(growth, clean_kib);
}
