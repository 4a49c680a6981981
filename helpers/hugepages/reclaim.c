/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/reclaim.c - memory that others can do without, from the guest's nodes */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "hugepages.h"

/*
 * A write ends when all of it is there or no more is to be had, which takes many seconds where a
 * large guest's memory is asked for: between the pieces there is a look at the clock.
 * Source: Linux 6.12, mm/memcontrol.c memory_reclaim(): signals alone end it before
 */
#define PIECE_KIB (256ULL * 1024)

/* A kernel without the keyword takes the bare number, and may swap then as in any shortage */
static int write_reclaim(struct growth *growth, const char *path, unsigned long long kib)
{
	char value[64];
	int r;

	(void)snprintf(value, sizeof(value), "%lluK swappiness=0", kib);
	r = pull_write(growth, path, value);
	if (r != -EINVAL)
		return r;
	(void)snprintf(value, sizeof(value), "%lluK", kib);
	return pull_write(growth, path, value);
}

/* A dry run tells the sum. Return: as pull_write(); -EAGAIN also when the deadline came first */
static int write_pieces(struct growth *growth, const char *path, unsigned long long kib)
{
	int r = 0;

	while (r == 0 && kib > PIECE_KIB && !growth->ctx->dry_run) {
		r = deadline_left(growth->deadline) ? write_reclaim(growth, path, PIECE_KIB)
						    : -EAGAIN;
		kib -= PIECE_KIB;
	}
	return r < 0 ? r : write_reclaim(growth, path, kib);
}

/* Once for each node. That less is there than was asked for is no error, nor that somebody else is
 * at it; one that hangs has been said: pull.c */
static void refused_say(struct growth *growth, int node, const char *path, int error)
{
	if (error == -EAGAIN || error == -EBUSY || error == -ETIMEDOUT || error == -ENOENT ||
	    strlist_has(&growth->stuck, path) || strlist_add(&growth->stuck, path) < 0)
		return;
	helper_say(growth->ctx,
		   "memory of node %d cannot be reclaimed: %s, and pages are got without it: see "
		   "journalctl -k",
		   node, strerror(-error));
}

/* Return: as pull_write() */
static int reclaim_node(struct growth *growth, int node, unsigned long long kib)
{
	char path[POOL_DIR_MAX];
	int r;

	r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/reclaim", node);
	/* A dry run is not told by the kernel */
	if (r == 0 && growth->ctx->dry_run && attr_exists(growth->ctx->rootfd, path) == 0)
		r = -ENOENT;
	if (r == 0)
		r = write_pieces(growth, path, kib);
	if (r < 0)
		refused_say(growth, node, path, r);
	return r;
}

/*
 * reclaim_nodes() - so much of each
 *
 * Return: 0 when all have given it; -EAGAIN when some memory has come; else the first error, -ENOENT
 * when the first node has no such file
 */
static int reclaim_nodes(struct growth *growth, const struct cpulist *nodes, unsigned long long kib)
{
	int failed = 0;
	bool some = false;

	for (int node = cpulist_next(nodes, 0); node >= 0;
	     node = cpulist_next(nodes, (unsigned int)node + 1)) {
		int r = reclaim_node(growth, node, kib);

		some |= r == 0 || r == -EAGAIN;
		if (r < 0 && failed == 0)
			failed = r;
		if (failed == -ENOENT)
			break;
	}
	return failed && some ? -EAGAIN : failed;
}

/*
 * ABI: Documentation/admin-guide/cgroup-v2.rst, memory.reclaim, since Linux 5.19; swappiness= since
 * 6.9; Documentation/ABI/stable/sysfs-devices-node, reclaim, since 6.17
 */
int lever_reclaim(struct growth *growth, unsigned long long kib, unsigned long long most)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	unsigned long long of;
	int r;

	if (growth_policy(growth, "reclaim", "none"))
		return -EPERM;
	r = need_nodes(growth->ctx->rootfd, growth_need(growth), &nodes, &all);
	of = cpulist_count(&nodes);
	if (r < 0 || of == 0)
		return write_pieces(growth, "sys/fs/cgroup/memory.reclaim", kib);
	r = reclaim_nodes(growth, &nodes, kib / of);
	if (r != -ENOENT)
		return r;
	/* It takes from all nodes alike */
	kib = kib * cpulist_count(&all) / of;
	return write_pieces(growth, "sys/fs/cgroup/memory.reclaim", kib < most ? kib : most);
}
