/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/thp.c - transparent huge pages: what the guest's own request for them needs */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/baseline.h"
#include "../../lib/registry.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "hugepages.h"

/*
 * How it works
 *
 * QEMU asks for them for all of the guest's memory (madvise); the kernel hears it unless `enabled`
 * is never, and makes room when a page is touched unless `defrag` is never or defer. Both are the
 * host's, so there is one baseline for all guests; it is written back with the last of them. What
 * somebody else has set meanwhile stays.
 *
 * That is for memory of QEMU's own. Of a memfd, which it can share with others, shmem_enabled
 * decides alone; a file of another filesystem has huge pages only on a tmpfs mounted with huge=.
 *
 * Room is made before the start as for pages of the pool (lever_ahead()): that is faster than page by
 * page, and what cannot be made is no reason to refuse the guest.
 * ABI: Documentation/admin-guide/mm/transhuge.rst; QEMU softmmu/physmem.c ram_block_add(),
 * QEMU_MADV_HUGEPAGE for every kind of memory
 */

#define THP_DIR	     "sys/kernel/mm/transparent_hugepage"
#define THP_STATE    "thp"
#define THP_KIB	     2048ULL
#define THP_SIZE_DIR THP_DIR "/hugepages-2048kB"

/* How long another guest may hold the baseline */
#define LOCK_MS 2000

static const struct thp_setting {
	const char *path;
	const char *deaf[2]; /* values with which QEMU's request comes to nothing */
	const char *instead[2];
	bool memfd; /* for such memory alone */
} settings[] = {
	{ THP_DIR "/enabled", { "never" }, { "madvise" }, false },
	{ THP_DIR "/defrag", { "never", "defer" }, { "madvise", "defer+madvise" }, false },
	{ THP_DIR "/shmem_enabled", { "never", "deny" }, { "advise", "advise" }, true },
};

static bool backed_by(const struct helper_ctx *ctx, const char *what)
{
	const char *value = inidoc_get(&ctx->claim.doc, HUGEPAGES_SECTION, "thp_backing");

	return value && strcmp(value, what) == 0;
}

static const char *wanted(const struct thp_setting *setting, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(setting->deaf); i++)
		if (setting->deaf[i] && strcmp(setting->deaf[i], value) == 0)
			return setting->instead[i];
	return value;
}

/* "always [madvise] never" */
static int chosen(int rootfd, const char *path, char *buf, size_t size)
{
	char text[ATTR_MAX];
	char *start, *end;
	int r = attr_read(rootfd, path, text, sizeof(text));

	if (r < 0)
		return r;
	start = strchr(text, '[');
	end = start ? strchr(start, ']') : NULL;
	if (!end || (size_t)(end - start) > size)
		return -EBADMSG;
	memcpy(buf, start + 1, (size_t)(end - start) - 1);
	buf[end - start - 1] = '\0';
	return 0;
}

/* Return: -EIO when the kernel says yes and does no */
static int choose(const struct helper_ctx *ctx, const char *path, const char *value)
{
	char now[64];
	int r = helper_write(ctx, path, value);

	if (r < 0 || ctx->dry_run)
		return r;
	r = chosen(ctx->rootfd, path, now, sizeof(now));
	return r < 0 ? r : strcmp(now, value) == 0 ? 0 : -EIO;
}

static int set_one(const struct helper_ctx *ctx, struct baseline *baseline,
		   const struct thp_setting *setting)
{
	const char *value;
	char now[64];
	int r = chosen(ctx->rootfd, setting->path, now, sizeof(now));

	if (r < 0)
		return r;
	value = wanted(setting, now);
	if (strcmp(value, now) == 0)
		return 0;
	r = ctx->dry_run ? 0 : baseline_keep(baseline, setting->path, now);
	return r < 0 ? r : choose(ctx, setting->path, value);
}

static int restore_one(const struct helper_ctx *ctx, struct baseline *baseline,
		       const struct thp_setting *setting)
{
	_cleanup_free_ char *kept = NULL;
	char now[64];
	int r = baseline_get(baseline, setting->path, &kept);

	if (r <= 0)
		return r;
	r = chosen(ctx->rootfd, setting->path, now, sizeof(now));
	/* Neither as usher set it nor as it was: somebody else's by now */
	if (r == 0 && strcmp(now, kept) != 0 && strcmp(now, wanted(setting, kept)) == 0)
		r = choose(ctx, setting->path, kept);
	return r < 0 || ctx->dry_run ? r : baseline_forget(baseline, setting->path);
}

/* Return: 1 when another living guest goes by these settings, 0, -ENOMEM */
static int others_need(const struct helper_ctx *ctx)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(ctx->statefd, &claims);

	for (size_t i = 0; r >= 0 && i < claims.nr; i++) {
		const struct claim *claim = &claims.claims[i];

		if (strcmp(claim->uuid, ctx->claim.uuid) != 0 && claim->state != CLAIM_RETURNING &&
		    inidoc_get(&claim->doc, HUGEPAGES_SECTION, "thp_kib") &&
		    registry_alive(ctx->rootfd, claim) != 0)
			return 1;
	}
	return r < 0 ? r : 0;
}

static int open_baseline(const struct helper_ctx *ctx, struct baseline *ret)
{
	return ctx->dry_run ? 0 : baseline_open(ctx->statefd, THP_STATE, LOCK_MS, ret);
}

/* Return: 0, 1 not, and said, else -errno */
static int restore(const struct helper_ctx *ctx)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	int r = open_baseline(ctx, &baseline);

	if (r < 0) {
		helper_say(ctx,
			   "cannot use /run/usher/host/" THP_STATE
			   ".ini, which has how transparent "
			   "huge pages were made: %s: %s",
			   strerror(-r), state_cure(r, "run usher recover"));
		return 1;
	}
	r = others_need(ctx);
	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		int one = restore_one(ctx, &baseline, &settings[i]);

		r = r < 0 ? r : one;
	}
	return r;
}

static int set_all(const struct helper_ctx *ctx)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	int r = open_baseline(ctx, &baseline);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(settings); i++)
		if (!settings[i].memfd || backed_by(ctx, "memfd"))
			r = set_one(ctx, &baseline, &settings[i]);
	return r;
}

/* Return: 1 with the memory that is to have them, 0 when the guest asks for none */
static int asked(const struct helper_ctx *ctx, unsigned long long *ret_kib)
{
	const char *value = inidoc_get(&ctx->claim.doc, HUGEPAGES_SECTION, "thp_kib");

	return value && parse_ull(value, 10, LLONG_MAX, ret_kib) == 0;
}

static void make_room(struct helper_ctx *ctx, unsigned long long kib)
{
	const char *nodes = inidoc_get(&ctx->claim.doc, HUGEPAGES_SECTION, "nodes");
	struct need need = { .size_kib = THP_KIB, .any = !nodes, .nr_pages = kib / THP_KIB };
	struct needs needs = { .needs = &need, .nr = 1 };
	_cleanup_(growth_end) struct growth growth = { .ctx = ctx,
						       .needs = &needs,
						       .deadline = ctx->deadline };
	unsigned long long available;

	if ((nodes && cpulist_parse(nodes, &need.nodes) < 0) ||
	    memory_reserve(ctx, &growth.reserve_kib) < 0 ||
	    memory_available(ctx->rootfd, &available) < 0 || available < growth.reserve_kib + kib)
		return;
	growth.zfs_guard = zfs_forbids_compaction(ctx->rootfd);
	growth.patience_ms = patience(&growth);
	growth.shortage.missing = need.nr_pages;
	lever_ahead(&growth);
}

enum helper_exit thp_check(const struct helper_ctx *ctx)
{
	unsigned long long kib;

	if (!asked(ctx, &kib))
		return HELPER_DONE;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if ((settings[i].memfd && !backed_by(ctx, "memfd")) ||
		    attr_exists(ctx->rootfd, settings[i].path) > 0)
			continue;
		helper_say(ctx,
			   "this kernel has no transparent huge pages%s: set [hugepages] pages = "
			   "auto, with <hugepages/> in the guest's XML",
			   settings[i].memfd ? " for shared memory" : "");
		return HELPER_FAILED;
	}
	return HELPER_DONE;
}

/* Is this size off, whatever the setting for all of them says. Not there is an older kernel */
static bool size_is_off(const struct helper_ctx *ctx, const char *path)
{
	char now[64];

	if (chosen(ctx->rootfd, path, now, sizeof(now)) < 0 || strcmp(now, "never") != 0)
		return false;
	return !backed_by(ctx, "memfd") ||
	       chosen(ctx->rootfd, THP_DIR "/shmem_enabled", now, sizeof(now)) < 0 ||
	       strcmp(now, "force") != 0;
}

/*
 * ABI: Documentation/admin-guide/mm/transhuge.rst, hugepages-<size>kB/enabled, since Linux 6.8;
 * shmem_enabled beside it, since 6.11
 */
static void size_say(const struct helper_ctx *ctx)
{
	const char *path =
		backed_by(ctx, "memfd") ? THP_SIZE_DIR "/shmem_enabled" : THP_SIZE_DIR "/enabled";

	if (size_is_off(ctx, path))
		helper_say(ctx,
			   "the guest gets no transparent huge pages: those of 2 MiB are off on "
			   "this host: write inherit to /%s",
			   path);
}

void thp_say(const struct helper_ctx *ctx)
{
	unsigned long long kib;

	if (!asked(ctx, &kib))
		return;
	if (!backed_by(ctx, "file")) {
		size_say(ctx);
		return;
	}
	helper_say(ctx, "the guest's memory is in a file, which has no transparent huge "
			"pages (but on a tmpfs mounted with huge=): put <source "
			"type='memfd'/> into <memoryBacking> in the guest's XML");
}

enum helper_exit thp_apply(struct helper_ctx *ctx)
{
	unsigned long long kib;
	int r;

	if (!asked(ctx, &kib))
		return HELPER_DONE;
	r = set_all(ctx);
	if (r == 0) {
		thp_say(ctx);
		make_room(ctx, kib);
		return HELPER_DONE;
	}
	helper_say(ctx, "cannot set how transparent huge pages are made: %s: see " THP_DIR,
		   strerror(-r));
	return thp_undo(ctx) == HELPER_DONE ? HELPER_FAILED : HELPER_DIRTY;
}

enum helper_exit thp_undo(struct helper_ctx *ctx)
{
	unsigned long long kib;
	int r = asked(ctx, &kib) ? restore(ctx) : 0;

	if (r >= 0)
		return r > 0 ? HELPER_DIRTY : HELPER_DONE;
	helper_say(ctx,
		   "cannot set back how transparent huge pages are made: %s: what they were stands "
		   "in /run/usher/host/" THP_STATE ".ini; run usher recover",
		   strerror(-r));
	return HELPER_DIRTY;
}
