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

#define ARC_STATS "proc/spl/kstat/zfs/arcstats"
#define ARC_MAX	  "sys/module/zfs/parameters/zfs_arc_max"
#define STATS_MAX 65536
#define ARC_FILE  "hugepages-arc"
#define ARC_LOCK  "hugepages-arc.lock"

/*
 * How it works
 *
 * zfs_arc_max is lowered, memory is reclaimed so that the ARC feels it, and the limit is set back
 * when it is small enough, or has not become smaller for a while. 0 in the parameter is "ZFS's own
 * default", and takes no effect after the module has begun: so the limit that arcstats shows is set
 * first, which brings it back, and then the parameter to what it read before.
 *
 * ABI: zfs(4), zfs_arc_max: "cannot be set back to 0 while running, and reducing it below the
 * current ARC size will not cause the ARC to shrink without memory pressure to induce shrinking"
 * Source: OpenZFS 2.1 to 2.3, arc_tuning_update(): no limit is taken below 64 MiB, nor one that is
 * not above c_min
 */
#define ARC_LEAST (64ULL << 20)
#define MIB	  (1ULL << 20)

/* Asked for in one go */
#define PRESS_KIB (256ULL * 1024)
#define LOOK_MS	  50
/* An ARC that has lost nothing for as long gives no more: what it has is in use */
#define STILL_MS 1000

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
		r = stat_value(text, "c_max", &arc.most);
	if (r < 0)
		return r;
	arc.least = arc.least + MIB < ARC_LEAST ? ARC_LEAST : arc.least + MIB;
	*ret = arc;
	return 0;
}

/* Return: 1 when it has become smaller, 0 */
static int press(struct growth *growth, struct arc_size arc, unsigned long long target)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	unsigned long long before = arc.size, last = arc.size;
	/* Some of what is reclaimed is page cache: no more of it than the ARC is to lose */
	unsigned long long left = arc.size > target ? 2 * ((arc.size - target) / 1024) : 0;
	long long still = deadline_in(STILL_MS);

	while (arc.size > target && deadline_left(still) && deadline_left(growth->deadline)) {
		unsigned long long kib = (arc.size - target) / 1024;

		kib = kib < PRESS_KIB ? kib : PRESS_KIB;
		kib = kib < left ? kib : left;
		if (kib)
			(void)lever_reclaim(growth, kib, -1ULL);
		left -= kib;
		(void)nanosleep(&pause, NULL);
		if (arc_read(growth->ctx->rootfd, &arc) < 0)
			break;
		if (arc.size + MIB > last)
			continue;
		last = arc.size;
		still = deadline_in(STILL_MS);
	}
	return arc.size + MIB <= before;
}

static int set_number(const struct helper_ctx *ctx, unsigned long long bytes)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%llu", bytes);
	return helper_write(ctx, ARC_MAX, value);
}

/* What is to be set back, and to what */
struct arc_note {
	unsigned long long param; /* zfs_arc_max as it read */
	unsigned long long most;  /* the limit that was in effect */
	unsigned long long target;
};

/* On disk before anything is set */
static int note_write(int dirfd, const struct arc_note *note)
{
	char text[96];
	int len = snprintf(text, sizeof(text), "%llu %llu %llu\n", note->param, note->most,
			   note->target);

	return state_write(dirfd, ARC_FILE, text, (size_t)len);
}

static int note_read(int dirfd, struct arc_note *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = state_read(dirfd, ARC_FILE, &text, &len);

	if (r == 0)
		r = text_split(text, " \n", &words);
	if (r < 0)
		return r;
	return words.nr != 3 || parse_ull(words.names[0], 10, ULLONG_MAX, &ret->param) < 0 ||
			       parse_ull(words.names[1], 10, ULLONG_MAX, &ret->most) < 0 ||
			       parse_ull(words.names[2], 10, ULLONG_MAX, &ret->target) < 0
		       ? -EBADMSG
		       : 0;
}

/* Under its lock */
static int set_back(const struct helper_ctx *ctx, int dirfd)
{
	struct arc_note note;
	unsigned long long now;
	int r = note_read(dirfd, &note);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = attr_read_ull(ctx->rootfd, ARC_MAX, &now);
	/* Somebody else has set another one since, or the module is gone: that stays */
	if (r == 0 && now == note.target) {
		r = set_number(ctx, note.most);
		now = note.most;
	}
	if (r == 0 && now == note.most && note.param != note.most)
		r = set_number(ctx, note.param);
	if (r < 0 && r != -ENOENT)
		return r;
	return state_remove(dirfd, ARC_FILE);
}

static int restore(const struct helper_ctx *ctx)
{
	_cleanup_close_ int dirfd = -1, lockfd = -1;

	if (ctx->dry_run || ctx->statefd < 0)
		return 0;
	dirfd = state_dir(ctx->statefd, HOST_DIR, false);
	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	lockfd = state_lock(dirfd, ARC_LOCK, 0);
	/* Whoever is at it sets it back */
	if (lockfd < 0)
		return lockfd == -ETIMEDOUT ? 0 : lockfd;
	return set_back(ctx, dirfd);
}

int arc_restore(const struct helper_ctx *ctx)
{
	int r = restore(ctx);

	if (r < 0)
		helper_say(ctx,
			   "cannot set ZFS's ARC back to what /run/usher/host/" ARC_FILE
			   " says: %s: set zfs_arc_max yourself and remove that file",
			   r == -EBADMSG ? "it is damaged"
			   : r == -EPERM ? "it is not root's alone"
					 : strerror(-r));
	return r;
}

/* The smallest limit that @bytes less come to, and no larger one than it has */
static unsigned long long target_of(const struct arc_size *arc, unsigned long long bytes)
{
	unsigned long long target = arc->size > bytes ? arc->size - bytes : 0;

	target = target < arc->least ? arc->least : target;
	return target < arc->most ? target : arc->most;
}

static int shrink(struct growth *growth, unsigned long long bytes)
{
	const struct helper_ctx *ctx = growth->ctx;
	_cleanup_close_ int dirfd = state_dir(ctx->statefd, HOST_DIR, true);
	_cleanup_close_ int lockfd = -1;
	struct arc_size arc = { 0 };
	struct arc_note note = { 0 };
	int r, back;

	if (dirfd < 0)
		return dirfd;
	lockfd = state_lock(dirfd, ARC_LOCK, deadline_left(growth->deadline));
	r = lockfd < 0 ? lockfd : set_back(ctx, dirfd);
	if (r == 0)
		r = arc_read(ctx->rootfd, &arc);
	if (r == 0)
		r = attr_read_ull(ctx->rootfd, ARC_MAX, &note.param);
	if (r < 0)
		return r;
	note.most = arc.most;
	note.target = target_of(&arc, bytes);
	r = note_write(dirfd, &note);
	if (r < 0)
		return r;
	r = set_number(ctx, note.target);
	if (r == 0)
		r = press(growth, arc, note.target);
	back = set_back(ctx, dirfd);
	return back < 0 ? back : r;
}

/* A dry run takes the ARC for as small as it would be told to be */
static int pretend(struct growth *growth, const struct arc_size *arc, unsigned long long bytes)
{
	unsigned long long param, target = target_of(arc, bytes);
	int r = attr_read_ull(growth->ctx->rootfd, ARC_MAX, &param);

	if (r == 0)
		r = set_number(growth->ctx, target);
	if (r == 0)
		r = set_number(growth->ctx, arc->most);
	if (r == 0 && param != arc->most)
		r = set_number(growth->ctx, param);
	if (r == 0 && arc->size > target)
		growth->pretended_kib += (arc->size - target) / 1024;
	return r < 0 ? r : 1;
}

int arc_shrink(struct growth *growth, unsigned long long kib)
{
	struct arc_size arc;
	int r;

	if (arc_read(growth->ctx->rootfd, &arc) < 0 || arc.size < arc.least + MIB)
		return 0;
	r = growth->ctx->dry_run ? pretend(growth, &arc, kib * 1024) : shrink(growth, kib * 1024);
	return r > 0;
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
