/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/zfs.c - ZFS's own cache, and the kernels on which it must not be disturbed */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define ARC_STATS   "proc/spl/kstat/zfs/arcstats"
#define ARC_MAX	    "sys/module/zfs/parameters/zfs_arc_max"
#define STATS_MAX   65536
#define ARC_LOOK_MS 50
#define ARC_FILE    "hugepages-arc"

/* "size                            4    8589934592" */
static int stat_value(const char *text, const char *name, unsigned long long *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	char start[32];
	const char *line;
	int r;

	(void)snprintf(start, sizeof(start), "\n%s ", name);
	line = strstr(text, start);
	if (!line)
		return -EBADMSG;
	r = text_split(line + 1, " \n", &words);
	if (r < 0)
		return r;
	return words.nr < 3 || parse_ull(words.names[2], 10, ULLONG_MAX, ret) < 0 ? -EBADMSG : 0;
}

int arc_read(int rootfd, struct arc_size *ret)
{
	_cleanup_free_ char *text = NULL;
	struct arc_size arc = { 0 };
	size_t len;
	int r = attr_read_all(rootfd, ARC_STATS, STATS_MAX, &text, &len);

	if (r == 0)
		r = stat_value(text, "size", &arc.size);
	if (r == 0)
		r = stat_value(text, "c_min", &arc.least);
	if (r == 0)
		*ret = arc;
	return r;
}

/* Return: 1 when it became as small as @target, 0 when it did not until the deadline */
static int wait_for_arc(const struct growth *growth, unsigned long long target)
{
	const struct timespec pause = { .tv_nsec = ARC_LOOK_MS * 1000000L };
	struct arc_size arc;

	while (arc_read(growth->ctx->rootfd, &arc) == 0 && arc.size > target) {
		if (deadline_left(growth->deadline) == 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return 1;
}

static int set_number(const struct helper_ctx *ctx, unsigned long long bytes)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%llu", bytes);
	return helper_write(ctx, ARC_MAX, value);
}

/* What the limit was, and what it is set to; on disk before it is */
static int note(const struct helper_ctx *ctx, unsigned long long before, unsigned long long target)
{
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, HOST_DIR, true);
	char text[64];
	int len = snprintf(text, sizeof(text), "%llu %llu\n", before, target);

	return dirfd < 0 ? dirfd : state_write(dirfd, ARC_FILE, text, (size_t)len);
}

static int note_read(int dirfd, unsigned long long *ret_before, unsigned long long *ret_target)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = state_read(dirfd, ARC_FILE, &text, &len);

	if (r == 0)
		r = text_split(text, " \n", &words);
	if (r < 0)
		return r;
	return words.nr != 2 || parse_ull(words.names[0], 10, ULLONG_MAX, ret_before) < 0 ||
			       parse_ull(words.names[1], 10, ULLONG_MAX, ret_target) < 0
		       ? -EBADMSG
		       : 0;
}

int arc_restore(const struct helper_ctx *ctx)
{
	_cleanup_close_ int dirfd = -1;
	unsigned long long before, target, now;
	int r;

	if (ctx->dry_run || ctx->statefd < 0)
		return 0;
	dirfd = state_dir(ctx->statefd, HOST_DIR, false);
	r = dirfd < 0 ? dirfd : note_read(dirfd, &before, &target);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = attr_read_ull(ctx->rootfd, ARC_MAX, &now);
	/* Somebody else has set another one since, or the module is gone: that stays */
	if (r == 0 && now == target)
		r = set_number(ctx, before);
	if (r < 0 && r != -ENOENT)
		return r;
	return state_remove(dirfd, ARC_FILE);
}

/* The limit is what it was again as soon as the ARC is small enough */
static int shrink(const struct growth *growth, unsigned long long target)
{
	const struct helper_ctx *ctx = growth->ctx;
	unsigned long long before;
	int r = attr_read_ull(ctx->rootfd, ARC_MAX, &before), back;

	if (r == 0)
		r = note(ctx, before, target);
	if (r < 0)
		return r;
	r = set_number(ctx, target);
	if (r == 0)
		r = wait_for_arc(growth, target);
	back = arc_restore(ctx);
	return back < 0 ? back : r;
}

/* A dry run takes the ARC for as small as it would be told to be */
static int pretend(struct growth *growth, unsigned long long target, unsigned long long bytes)
{
	unsigned long long before;
	int r = attr_read_ull(growth->ctx->rootfd, ARC_MAX, &before);

	if (r == 0)
		r = set_number(growth->ctx, target);
	if (r == 0)
		r = set_number(growth->ctx, before);
	if (r == 0)
		growth->pretended_kib += bytes / 1024;
	return r;
}

int arc_shrink(struct growth *growth, unsigned long long kib)
{
	unsigned long long bytes = kib * 1024;
	struct arc_size arc = { 0 };

	if (arc_read(growth->ctx->rootfd, &arc) < 0 || arc.size <= arc.least)
		return 0;
	if (bytes > arc.size - arc.least)
		bytes = arc.size - arc.least;
	if (growth->ctx->dry_run)
		return pretend(growth, arc.size - bytes, bytes) == 0;
	return shrink(growth, arc.size - bytes) < 0 ? 0 : 1;
}

/* "6.5.13-1-pve" as 6005013 */
static unsigned long long kernel_version(const char *release)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned int parts[3] = { 0 };

	if (text_split(release, ".-+_~", &words) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts) && i < words.nr; i++)
		if (parse_uint(words.names[i], 10, 999, &parts[i]) < 0)
			break;
	return parts[0] * 1000000ULL + parts[1] * 1000ULL + parts[2];
}

bool zfs_forbids_compaction(int rootfd)
{
	char release[ATTR_MAX];
	unsigned long long version;

	if (attr_exists(rootfd, "sys/module/zfs") <= 0 ||
	    attr_read(rootfd, "proc/sys/kernel/osrelease", release, sizeof(release)) < 0)
		return false;
	version = kernel_version(release);
	return version >= 6003001 && version <= 6007004;
}
