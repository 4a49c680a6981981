/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_lever_test.c - what is done, and what not, when pages do not come */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"

#include "lib/attr.h"

static void set(struct guest *guest, const char *key, const char *value)
{
	assert_int_equal(inidoc_set(&guest->ctx.claim.doc, HUGEPAGES_SECTION, key, value), 0);
}

/* 40 pages at once, 10 by compaction, 10 by reclaim; 64 wanted */
static void short_host(struct guest *guest, const char *reclaim)
{
	boot(LINUX_6_12, 0, 0);
	kernel->reclaim_group = true;
	node2m(0)->room = 40;
	node2m(0)->scattered = 10;
	node2m(0)->cached = 20;
	guest_make(guest, UUID_A, "a", "started", "2048 0 64");
	set(guest, "reclaim", reclaim);
}

static void reclaim_brings_what_compaction_could_not(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "memory");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	/* 14 were missing when it was asked for, an eighth more, of both nodes alike */
	assert_int_equal(kernel->reclaimed, 31);
	assert_int_equal(kernel->drops, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
}

static void a_kernel_that_cannot_swappiness_is_asked_plainly(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "memory");
	kernel->no_swappiness = true;
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->reclaimed, 31);
}

static void a_node_that_can_reclaim_is_asked_itself(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "memory");
	kernel->reclaim_nodes = true;
	node2m(1)->cached = 20;
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->reclaimed, 15);
	assert_int_equal(node2m(1)->cached, 20);
}

/* Whichever of them comes last */
static void what_one_node_does_not_give_is_not_forgotten_for_another(void **state)
{
	static const struct {
		int errors[2], all;
	} rows[] = {
		{ { 0, 0 }, 0 },
		{ { -EAGAIN, 0 }, -EAGAIN },
		{ { 0, -EAGAIN }, -EAGAIN },
		{ { -EIO, 0 }, -EAGAIN },
		{ { 0, -EIO }, -EAGAIN },
		{ { -EAGAIN, -EIO }, -EAGAIN },
		{ { -EIO, -EAGAIN }, -EAGAIN },
		{ { -EPERM, -EIO }, -EPERM },
		{ { -EIO, -ENOENT }, -EIO },
		{ { 0, -ENOENT }, -EAGAIN },
	};
	const struct need need = { .size_kib = SIZE_2M, .any = true, .nr_pages = 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_guest_ struct guest a;
		_cleanup_needs_ struct needs needs = { 0 };
		_cleanup_(growth_end) struct growth growth = { .ctx = &a.ctx, .needs = &needs };

		short_host(&a, "memory");
		kernel->reclaim_nodes = true;
		kernel->reclaim_group = false;
		memcpy(kernel->reclaim_errors, rows[i].errors, sizeof(rows[i].errors));
		assert_int_equal(needs_add(&needs, &need), 0);
		growth.deadline = deadline_in(4000);
		for (int again = 0; again < 2; again++)
			assert_int_equal(lever_reclaim(&growth, 65536, -1ULL), rows[i].all);
		guest_remove(&a);
	}
}

/* Once, whatever a start tries */
static void a_node_that_refuses_to_reclaim_is_named_once(void **state)
{
	static const char line[] = "memory of node 1 cannot be reclaimed: Permission denied, ";
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "memory");
	kernel->reclaim_nodes = true;
	kernel->reclaim_errors[1] = -EACCES;
	*node2m(1) = (struct fake_node){ .room = 10, .cached = 20 };
	set(&a, "need", "2048 any 90");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said(line);
	assert_null(strstr(strstr(kernel->said, line) + 1, line));
}

static void nothing_is_reclaimed_against_the_policy(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "none");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->reclaimed, 0);
	assert_int_equal(kernel->drops, 0);
	/* It brought 10, and was done again; and after a moment's wait */
	assert_int_equal(kernel->compactions, 3);
	assert_said("set reclaim = caches, ");
	assert_pool(0, 0, 0, 0);
}

static void caches_are_dropped_last_and_only_if_they_may(void **state)
{
	static const char *const policies[] = { "memory", "caches" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		_cleanup_guest_ struct guest a;

		short_host(&a, policies[i]);
		kernel->reclaim_group = false;
		assert_int_equal(apply(&a), i ? HELPER_DONE : HELPER_FAILED);
		assert_int_equal(kernel->drops, i);
		guest_remove(&a);
	}
}

static void put_buddyinfo(unsigned long long small, unsigned long long large)
{
	char text[512];

	/* Pieces of 4 KiB and of 2 MiB */
	(void)snprintf(text, sizeof(text),
		       "Node 0, zone      DMA      0 0 0 0 0 0 0 0 0 0 0\n"
		       "Node 0, zone   Normal   %llu 0 0 0 0 0 0 0 0 %llu 0\n"
		       "Node 1, zone   Normal      0 0 0 0 0 0 0 0 0 1000 0\n",
		       small, large);
	put(text, "proc/buddyinfo");
}

static void room_is_made_in_one_go_before_the_first_page(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "memory");
	/* 40 pages of 2 MiB in one piece, as much in pieces of 4 KiB */
	put_buddyinfo(5 * 512, 40);
	assert_int_equal(apply(&a), HELPER_DONE);
	/* 64 and an eighth, less the 45 that are free; twice, for it takes from two nodes alike */
	assert_int_equal(kernel->reclaimed, 54);
	assert_int_equal(kernel->compactions, 1);
	/* Promised, reclaimed (by node: no such file), compacted; announced, written, noted */
	assert_int_equal(kernel->ops, 1 + 2 + 1 + 3);
}

static void no_more_is_reclaimed_than_may_go(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "memory");
	put_buddyinfo(0, 40);
	node2m(0)->scattered = 20;
	/* 20 MiB beyond what is free and what the host keeps, also where all nodes give alike */
	put("MemTotal: 8388608 kB\nMemFree: 135168 kB\nMemAvailable: 417792 kB\n", "proc/meminfo");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->reclaimed, 10);
}

/* 2 GiB are missing, an eighth more, twice for it takes from two nodes alike: in 256 MiB */
static void much_is_reclaimed_in_pieces_and_none_after_the_deadline(void **state)
{
	static const int reclaim_ms[] = { 0, 600 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reclaim_ms); i++) {
		_cleanup_guest_ struct guest a;
		long long before;

		short_host(&a, "memory");
		guest_remove(&a);
		guest_free(&a);
		guest_make(&a, UUID_A, "a", "started", "2048 0 1024");
		set(&a, "reclaim", "memory");
		node2m(0)->room = 0;
		node2m(0)->cached = 2400;
		put_buddyinfo(0, 0);
		kernel->reclaim_ms = reclaim_ms[i];
		before = now_ms();
		assert_int_equal(apply(&a), i ? HELPER_FAILED : HELPER_DONE);
		assert_in_range(now_ms() - before, 0, 4000);
		assert_in_range(kernel->largest_reclaim, 1, 128);
		if (i)
			assert_said("the time for it ran out");
		guest_remove(&a);
	}
}

/* MemAvailable goes up and down by itself */
static void memory_that_has_come_while_a_refusal_is_written_makes_no_page_impossible(void **state)
{
	struct shortage shortage = { .reason = SHORT_MEMORY, .missing = 64 };
	_cleanup_needs_ struct needs needs = { 0 };
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(needs_read(&a.ctx, &needs), HELPER_DONE);
	shortage_say(&a.ctx, &needs, &shortage);
	assert_non_null(strstr(kernel->said, "1 are missing beside 0 free ones and 63 more that"));
}

/* Of 72 MiB that are missing with an eighth, @mib could be reclaimed beyond what the host keeps */
static void ahead_host(struct guest *guest, const char *reclaim, unsigned int mib)
{
	char meminfo[128];

	short_host(guest, reclaim);
	node2m(0)->cached = 40;
	put_buddyinfo(0, 36);
	(void)snprintf(meminfo, sizeof(meminfo),
		       "MemTotal: 8388608 kB\nMemFree: 135168 kB\nMemAvailable: %u kB\n",
		       135168 + 262144 + mib * 1024);
	put(meminfo, "proc/meminfo");
}

static void apply_ahead(const char *reclaim, unsigned int mib)
{
	_cleanup_guest_ struct guest a;

	ahead_host(&a, reclaim, mib);
	assert_int_equal(apply(&a), HELPER_DONE);
}

static void caches_of_which_most_must_go_are_dropped_at_once(void **state)
{
	(void)state;
	apply_ahead("caches", 90);
	assert_int_equal(kernel->drops, 1);
	assert_int_equal(kernel->reclaimed, 0);
	apply_ahead("memory", 90);
	assert_int_equal(kernel->drops, 0);
	assert_true(kernel->reclaimed > 0);
	apply_ahead("caches", 100);
	assert_int_equal(kernel->drops, 0);
	assert_true(kernel->reclaimed > 0);
}

/* 180 pages beside the 256 MiB kept for the host; then there is memory for so many less */
static enum helper_exit apply_while_memory_goes(const char *meminfo)
{
	_cleanup_guest_ struct guest a;
	enum helper_exit e;

	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 100;
	node2m(0)->scattered = 100;
	put_buddyinfo(200 * 512, 100);
	put("MemTotal: 8388608 kB\nMemFree: 630784 kB\nMemAvailable: 630784 kB\n", "proc/meminfo");
	kernel->meminfo = meminfo;
	guest_make(&a, UUID_A, "a", "started", "2048 0 180");
	e = apply(&a);
	assert_pool(0, e == HELPER_DONE ? 180 : 0, e == HELPER_DONE ? 180 : 0, 0);
	return e;
}

static void half_of_the_reserve_may_go_once_a_guest_has_fitted_beside_it(void **state)
{
	(void)state;
	/* 130 MiB of the 256 are left beside it, then 126 */
	assert_int_equal(apply_while_memory_goes("MemTotal: 8388608 kB\nMemFree: 501760 kB\n"
						 "MemAvailable: 501760 kB\n"),
			 HELPER_DONE);
	assert_int_equal(apply_while_memory_goes("MemTotal: 8388608 kB\nMemFree: 497664 kB\n"
						 "MemAvailable: 497664 kB\n"),
			 HELPER_FAILED);
	assert_said("kept for the host");
}

static void memory_that_lies_ready_is_left_alone(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	short_host(&a, "caches");
	node2m(0)->room = 64;
	put_buddyinfo(0, 64);
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->reclaimed, 0);
	assert_int_equal(kernel->compactions, 0);
	assert_int_equal(kernel->drops, 0);
}

/* 64 are preferred on node 1, which has 10 in one piece and @scattered to be compacted */
static void prefer_node_1(struct guest *guest, unsigned long long scattered, const char *compact)
{
	boot(LINUX_6_12, 0, 0);
	node2m(1)->room = 10;
	node2m(1)->scattered = scattered;
	put(scattered ? "Node 0, zone Normal 0 0 0 0 0 0 0 0 0 1000 0\n"
			"Node 1, zone Normal 256000 0 0 0 0 0 0 0 0 10 0\n"
		      : "Node 0, zone Normal 0 0 0 0 0 0 0 0 0 1000 0\n"
			"Node 1, zone Normal 100 0 0 0 0 0 0 0 0 10 0\n",
	    "proc/buddyinfo");
	guest_make(guest, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(inidoc_add(&guest->ctx.claim.doc, HUGEPAGES_SECTION, "prefer", "2048 1 64"),
			 0);
	set(guest, "compact", compact);
}

static void preferred_nodes_are_compacted_once_before_others_must_do(void **state)
{
	static const struct {
		unsigned long long scattered;
		const char *compact;
		unsigned long long on_node1, compactions;
	} cases[] = {
		{ 500, "yes", 64, 1 },
		{ 30, "yes", 40, 1 },
		{ 500, "no", 10, 0 },
		/* Nothing of it lies in pieces */
		{ 0, "yes", 10, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		prefer_node_1(&a, cases[i].scattered, cases[i].compact);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_int_equal(node2m(1)->nr, cases[i].on_node1);
		assert_int_equal(node2m(0)->nr, 64 - cases[i].on_node1);
		assert_int_equal(kernel->compactions, cases[i].compactions);
		guest_remove(&a);
	}
}

static void zfs_on_some_kernels_is_neither_compacted_nor_dropped(void **state)
{
	static const struct {
		const char *release;
		bool guarded;
	} cases[] = {
		{ "6.3.0-1\n", false },	      { "6.3.1-1\n", true },
		{ "6.5.13-5-pve\n", true },   { "6.7.4-generic\n", true },
		{ "6.7.5-generic\n", false }, { "6.12.107\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;
		bool guarded = cases[i].guarded;

		short_host(&a, "caches");
		kernel->reclaim_group = false;
		put("2.2.2-1\n", "sys/module/zfs/version");
		put(cases[i].release, "proc/sys/kernel/osrelease");
		assert_int_equal(apply(&a), guarded ? HELPER_FAILED : HELPER_DONE);
		assert_int_equal(kernel->compactions == 0, guarded);
		assert_int_equal(kernel->drops, guarded ? 0 : 1);
		if (guarded)
			assert_said("update kernel or ZFS (this pair dies of compaction");
		guest_remove(&a);
	}
	/* Without ZFS such a kernel is one like any other */
	assert_int_equal(unlinkat(host->rootfd, "sys/module/zfs/version", 0), 0);
	assert_int_equal(unlinkat(host->rootfd, "sys/module/zfs", AT_REMOVEDIR), 0);
	put("6.5.0\n", "proc/sys/kernel/osrelease");
	assert_false(zfs_forbids_compaction(host->rootfd));
}

/* Nearly all of the memory is the ARC's, which MemAvailable does not count */
static void zfs_host(struct guest *guest, const char *arc)
{
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	kernel->arc = 4ULL << 30;
	kernel->arc_min = 1ULL << 30;
	kernel->arc_max = 0;
	kernel->arc_limit = 6ULL << 30;
	kernel->reclaim_group = true;
	put_arc();
	/* The ARC counts as neither free nor available */
	put("MemTotal: 8388608 kB\nMemFree: 290000 kB\nMemAvailable: 300000 kB\n", "proc/meminfo");
	guest_make(guest, UUID_A, "a", "started", "2048 0 64");
	set(guest, "arc", arc);
}

static void the_arc_makes_room_and_keeps_its_limit(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	zfs_host(&a, "shrink");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	/* 128 MiB of pages and 256 MiB for the host */
	assert_int_equal(kernel->arc >> 20, 4096 - 128 - 256);
	assert_int_equal(kernel->arc_max, 0);
	assert_int_equal(kernel->arc_limit, 6ULL << 30);
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/hugepages-arc"), 0);
}

static void the_arc_is_given_no_limit_that_zfs_does_not_take(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	zfs_host(&a, "shrink");
	kernel->arc_min = kernel->arc - (200ULL << 20);
	kernel->arc_max = kernel->arc_limit = 5ULL << 30;
	put_arc();
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->arc, kernel->arc_min + (1ULL << 20));
	assert_int_equal(kernel->arc_max, 5ULL << 30);
	assert_int_equal(kernel->arc_limit, 5ULL << 30);
}

static void an_arc_that_gives_nothing_is_not_waited_for_until_the_deadline(void **state)
{
	_cleanup_guest_ struct guest a;
	long long before;

	(void)state;
	zfs_host(&a, "shrink");
	kernel->arc_stuck = true;
	before = now_ms();
	a.ctx.deadline = deadline_in(30000);
	assert_int_equal(hugepages_apply(&a.ctx), HELPER_FAILED);
	assert_in_range(now_ms() - before, 0, 8000);
	assert_int_equal(kernel->arc_max, 0);
	assert_int_equal(kernel->arc_limit, 6ULL << 30);
}

/* What a start would print; nothing is done */
static void dry_apply(struct guest *guest, char *text, size_t size)
{
	FILE *out = tmpfile(), *old = stdout;
	size_t len;

	kernel->ops = 0;
	guest->ctx.dry_run = true;
	stdout = out;
	assert_int_equal(apply(guest), HELPER_DONE);
	stdout = old;
	guest->ctx.dry_run = false;
	rewind(out);
	len = fread(text, 1, size - 1, out);
	text[len] = '\0';
	assert_int_equal(fclose(out), 0);
	assert_int_equal(kernel->ops, 0);
}

static void a_dry_run_prints_what_is_reclaimed_before_the_first_page(void **state)
{
	_cleanup_guest_ struct guest a, b;
	char text[2048];
	const char *drop, *compact, *pages;

	(void)state;
	ahead_host(&a, "caches", 90);
	dry_apply(&a, text, sizeof(text));
	drop = strstr(text, "write /proc/sys/vm/drop_caches 3\n");
	compact = strstr(text, "write /sys/devices/system/node/node0/compact 1\n");
	pages = strstr(text, "nr_hugepages");
	assert_true(drop && compact && pages && drop < compact && compact < pages);
	/* A kernel without a file for each node */
	ahead_host(&b, "memory", 90);
	dry_apply(&b, text, sizeof(text));
	assert_non_null(strstr(text, "write /sys/fs/cgroup/memory.reclaim "));
	assert_null(strstr(text, "node0/reclaim"));
}

static void a_dry_run_takes_the_arc_for_shrunk(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[2048];

	(void)state;
	zfs_host(&a, "shrink");
	dry_apply(&a, text, sizeof(text));
	assert_non_null(strstr(text, "write /sys/module/zfs/parameters/zfs_arc_max 3892314112\n"
				     "write /sys/module/zfs/parameters/zfs_arc_max 6442450944\n"
				     "write /sys/module/zfs/parameters/zfs_arc_max 0\n"));
	assert_non_null(strstr(text, "hugepages-2048kB/nr_hugepages 64\n"));
	assert_int_equal(kernel->arc, 4ULL << 30);
}

static void the_arc_is_named_where_it_may_not_be_touched(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	zfs_host(&a, "keep");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->arc, 4ULL << 30);
	assert_said("most memory is held by ZFS's ARC 4096 MiB");
	assert_said("set arc = shrink, ");
}

static void a_note_of_the_arc_that_is_damaged_is_the_file_that_is_named(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	zfs_host(&a, "keep");
	put("what is this\n", "run/usher/host/hugepages-arc");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("/run/usher/host/hugepages-arc says: it is damaged: set zfs_arc_max yourself "
		    "and remove that file");
	assert_null(strstr(kernel->said, "hugepages.ini"));
	*kernel->said = '\0';
	assert_int_equal(undo(&a), HELPER_DIRTY);
	assert_said("hugepages-arc says: it is damaged");
	assert_null(strstr(kernel->said, "hugepages.ini"));
	assert_int_equal(kernel->arc_max, 0);
	assert_pool(0, 0, 0, 0);
}

static void a_kill_while_the_arc_is_limited_is_made_good(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		_cleanup_guest_ struct guest a;
		int status = 0;
		pid_t pid;

		zfs_host(&a, "shrink");
		kernel->kill_at = n;
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(apply(&a));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		kernel->kill_at = 0;
		more = WEXITSTATUS(status) == 99;
		assert_true(more || n > 6);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_int_equal(kernel->arc_max, 0);
		assert_int_equal(kernel->arc_limit, 6ULL << 30);
		assert_int_equal(attr_exists(host->rootfd, "run/usher/host/hugepages-arc"), 0);
		assert_pool(0, 0, 0, 0);
		assert_no_ledger();
		guest_remove(&a);
	}
}

/* Return: the folder its mark is in */
static int arc_limited_by_one_that_was_killed(struct guest *guest)
{
	int dirfd;

	zfs_host(guest, "shrink");
	dirfd = state_dir(guest->ctx.statefd, "host", true);
	assert_int_equal(state_write(dirfd, "hugepages-arc", "0 9000000 5000000\n", 18), 0);
	return dirfd;
}

static void a_limit_that_an_admin_has_set_meanwhile_stays(void **state)
{
	_cleanup_guest_ struct guest a;
	_cleanup_close_ int dirfd = -1;

	(void)state;
	dirfd = arc_limited_by_one_that_was_killed(&a);
	kernel->arc_max = 7000000;
	put_arc();
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(kernel->arc_max, 7000000);
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/hugepages-arc"), 0);
}

static void the_arc_gets_its_limit_back_also_where_pages_cannot_be_given_back(void **state)
{
	_cleanup_guest_ struct guest a;
	_cleanup_close_ int dirfd = -1;

	(void)state;
	dirfd = arc_limited_by_one_that_was_killed(&a);
	assert_int_equal(state_write(dirfd, "hugepages.ini", "[ledger]\nwhat = is this\n", 24), 0);
	assert_int_equal(undo(&a), HELPER_DIRTY);
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/hugepages-arc"), 0);
	assert_int_equal(state_remove(dirfd, "hugepages.ini"), 0);
}

#define MUCH_MEMORY   "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n"
#define LITTLE_MEMORY "MemTotal: 8388608 kB\nMemAvailable: 300000 kB\n"

/* What somebody else gives back @ms from now: pages of node 0, or the host's memory */
static pid_t later(int ms, unsigned long long pages, const char *meminfo)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)nanosleep(&pause, NULL);
	__atomic_fetch_add(&node2m(0)->room, pages, __ATOMIC_SEQ_CST);
	if (meminfo)
		put_at_once(meminfo, "proc/meminfo");
	_exit(0);
}

/* Return: how long it took, in ms */
static long long apply_within(struct guest *guest, int timeout_ms, enum helper_exit expected,
			      pid_t other)
{
	long long before = now_ms(), took;
	int status;

	guest->ctx.deadline = deadline_in(timeout_ms);
	assert_int_equal(hugepages_apply(&guest->ctx), expected);
	took = now_ms() - before;
	if (other > 0) {
		assert_int_equal(waitpid(other, &status, 0), other);
		assert_int_equal(status, 0);
	}
	return took;
}

static void pages_that_come_a_second_later_are_waited_for(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	(void)apply_within(&a, 30000, HELPER_DONE, later(1000, 24, NULL));
	assert_pool(0, 64, 64, 0);
}

static void memory_that_comes_a_second_later_is_waited_for(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put(LITTLE_MEMORY, "proc/meminfo");
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	(void)apply_within(&a, 30000, HELPER_DONE, later(1000, 0, MUCH_MEMORY));
	assert_pool(0, 64, 64, 0);
}

static void it_goes_on_as_long_as_each_compaction_brings_some(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 0;
	node2m(0)->scattered = 64;
	kernel->per_compaction = 2;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_int_equal(kernel->compactions, 32);
}

static void one_is_refused_soon_when_nothing_moves(void **state)
{
	(void)state;
	for (int memory = 0; memory < 2; memory++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		node2m(0)->room = 40;
		if (memory)
			put(LITTLE_MEMORY, "proc/meminfo");
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_in_range(apply_within(&a, 12000, HELPER_FAILED, 0), 1000, 3000);
		assert_said(memory ? "kept for the host" : "no more memory in one piece");
		guest_remove(&a);
		kernel->said[0] = '\0';
	}
}

/* QEMU of b has been killed, and the kernel still tears down what it had */
static void a_guest_that_is_ending_is_waited_for(void **state)
{
	(void)state;
	for (int ends = 0; ends < 2; ends++) {
		_cleanup_guest_ struct guest a, b;

		boot(LINUX_6_12, 0, 0);
		guest_make(&b, UUID_B, "b", "started", "2048 0 30");
		assert_int_equal(apply(&b), HELPER_DONE);
		put_process(200);
		put(ends ? "" : "qemu", "proc/200/cmdline");
		guest_state(&b, CLAIM_RUNNING, 200);
		put(LITTLE_MEMORY, "proc/meminfo");
		guest_make(&a, UUID_A, "a", "started", "2048 1 64");
		(void)apply_within(&a, 4000, ends ? HELPER_DONE : HELPER_FAILED,
				   later(1200, 0, MUCH_MEMORY));
		assert_pool(1, ends ? 64 : 0, ends ? 64 : 0, 0);
		remove_process(200);
		guest_remove(&a);
		guest_remove(&b);
	}
}

/* Its `release` is still to come, and with it what it held */
static void what_a_guest_holds_that_has_ended_is_waited_for(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t other;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 80;
	guest_make(&b, UUID_B, "b", "release", "2048 0 60");
	assert_int_equal(apply(&b), HELPER_DONE);
	fault(0, 60);
	guest_state(&b, CLAIM_ENDING, DAEMON_PID);
	put("", "run/libvirt/qemu/b.xml");
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	other = fork();
	assert_true(other >= 0);
	if (other == 0) {
		const struct timespec pause = { .tv_sec = 1 };

		(void)nanosleep(&pause, NULL);
		exit_with(0, 60);
		_exit(undo(&b));
	}
	(void)apply_within(&a, 4000, HELPER_DONE, other);
	assert_int_equal(node2m(0)->free, 64);
}

/* All on node 0 but a page of 4 KiB */
static void put_maps(int pid, const char *policy, unsigned long long mib)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "55d0 default file=/usr/bin/x mapped=2 N0=1 N1=1 kernelpagesize_kB=4\n"
		       "7f00 %s anon=%llu dirty=%llu N0=%llu kernelpagesize_kB=4\n",
		       policy, mib * 256, mib * 256, mib * 256 - 1);
	put(text, "proc/%d/numa_maps", pid);
}

static void put_user(int pid, const char *name, unsigned long long mib, const char *group,
		     const char *mems, int locked)
{
	char text[256];

	put_process(pid);
	(void)snprintf(text, sizeof(text), "%llu %llu 0 0 0 0 0\n", mib * 300, mib * 256);
	put(text, "proc/%d/statm", pid);
	put(name, "proc/%d/comm", pid);
	(void)snprintf(text, sizeof(text), "Name:\tx\nVmLck:\t%8d kB\nMems_allowed_list:\t%s\n",
		       locked, mems);
	put(text, "proc/%d/status", pid);
	(void)snprintf(text, sizeof(text), "0::%s\n", group);
	put(text, "proc/%d/cgroup", pid);
	put_maps(pid, "default", mib);
}

static void put_node(size_t node, unsigned long long free_kib)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "Node %zu MemTotal:       4194304 kB\nNode %zu MemFree:        %llu kB\n"
		       "Node %zu Active(file):   1024 kB\nNode %zu Inactive(file): 1024 kB\n"
		       "Node %zu SReclaimable:   2048 kB\n",
		       node, node, free_kib, node, node, node);
	put(text, "sys/devices/system/node/node%zu/meminfo", node);
}

/* Node 0 is full of other processes' memory, node 1 is empty */
static void full_node(struct guest *guest, const char *move)
{
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 10;
	kernel->movable = 200;
	put_node(0, 500000);
	put_node(1, 4000000);
	put_user(301, "java\n", 800, "/system.slice/java.service", "0-1", 0);
	put_user(302, "qemu\n", 900, "/prod.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt", "0-1",
		 0);
	put_user(303, "bound\n", 850, "/system.slice/bound.service", "0", 0);
	put_user(304, "dpdk\n", 870, "/system.slice/dpdk.service", "0-1", 4096);
	put_user(305, "bash\n", 9, "/user.slice", "0-1", 0);
	guest_make(guest, UUID_A, "a", "started", "2048 0 200");
	set(guest, "move", move);
	set(guest, "reserve_kib", "262144");
}

static void remove_users(void)
{
	for (int pid = 301; pid <= 305; pid++)
		remove_process(pid);
}

static void what_may_be_anywhere_is_moved_off_the_node(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	full_node(&a, "yes");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 200, 200, 0);
	assert_int_equal(kernel->moves, 1);
	assert_int_equal(kernel->moved, 301);
	remove_users();
}

static void what_has_chosen_its_node_is_left_there(void **state)
{
	static const char *const policies[] = { "bind:0",	   "prefer:0",
						"bind=static:0",   "interleave:0-1",
						"prefer (many):0", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		_cleanup_guest_ struct guest a;

		full_node(&a, "yes");
		kernel->movable = 0;
		if (policies[i])
			put_maps(301, policies[i], 800);
		else
			assert_int_equal(unlinkat(host->rootfd, "proc/301/numa_maps", 0), 0);
		assert_int_equal(apply(&a), HELPER_FAILED);
		/* bash, which is all that may be moved */
		assert_int_equal(kernel->moved, 305);
		guest_remove(&a);
	}
	remove_users();
}

/* Its huge pages would go along, and with them the pools: 100 pages of node 0 are an admin's */
static void what_has_pages_of_a_pool_is_left_there_and_the_pools_are_as_before(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	full_node(&a, "yes");
	node2m(0)->nr = 100;
	render();
	put("Name:\tHugetlbPages: 0\nVmLck:\t0 kB\nMems_allowed_list:\t0-1\nHugetlbPages:\t  204800 "
	    "kB\n",
	    "proc/301/status");
	(void)apply(&a);
	/* bash */
	assert_int_equal(kernel->moved, 305);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 100, 0, 0);
	remove_users();
}

/* Their memory is on node 1, where there is more of it */
static void who_has_the_node_is_found_among_many_that_are_larger(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	full_node(&a, "yes");
	for (int pid = 400; pid < 430; pid++) {
		put_user(pid, "java\n", 1000, "/system.slice/java.service", "0-1", 0);
		put("7f00 default anon=256000 dirty=256000 N1=256000 kernelpagesize_kB=4\n",
		    "proc/%d/numa_maps", pid);
	}
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->moves, 1);
	assert_int_equal(kernel->moved, 301);
	remove_users();
	for (int pid = 400; pid < 430; pid++)
		remove_process(pid);
}

static void no_qemu_is_moved_whoever_started_it(void **state)
{
	static const struct {
		const char *name, *group, *cmdline;
	} cases[] = {
		{ "qemu-system-x86\n", "/user.slice/user-1000.slice/session-2.scope", "qemu" },
		{ "kvm\n", "/user.slice/user-1000.slice/session-2.scope", "kvm" },
		{ "win11\n", "/machine/qemu-1-win11.libvirt-qemu", "x" },
		{ "win11\n", "/user.slice/user-1000.slice/session-2.scope", "x\0-uuid\0y" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		full_node(&a, "yes");
		put_user(301, cases[i].name, 800, cases[i].group, "0-1", 0);
		tree_bytes(host, "proc/301/cmdline", cases[i].cmdline, i == 3 ? 10 : 1);
		(void)apply(&a);
		assert_int_equal(kernel->moved, 305);
		guest_remove(&a);
		remove_users();
	}
}

static void a_dry_run_takes_processes_for_moved(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[2048];

	(void)state;
	full_node(&a, "yes");
	dry_apply(&a, text, sizeof(text));
	assert_non_null(strstr(text, "move process 301 from its nodes\n"));
	assert_null(strstr(text, "move process 305"));
	assert_non_null(strstr(text, "hugepages-2048kB/nr_hugepages 200\n"));
	assert_int_equal(kernel->moves, 0);
	remove_users();
}

static void nothing_is_moved_where_the_whole_host_is_short(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	full_node(&a, "yes");
	put("MemTotal: 8388608 kB\nMemAvailable: 400000 kB\n", "proc/meminfo");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->moves, 0);
	assert_said("390 MiB of memory are available, 256 MiB of it kept for the host");
	remove_users();
}

static void nothing_is_moved_unasked_and_the_message_says_that_it_would_help(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	full_node(&a, "no");
	put_node(0, 200000);
	put("Page block order: 9\n\n"
	    "Number of blocks type     Unmovable      Movable  Reclaimable\n"
	    "Node 0, zone      DMA            3            5            0\n"
	    "Node 0, zone   Normal           60          900           32\n"
	    "Node 1, zone   Normal            7          993            0\n",
	    "proc/pagetypeinfo");
	put_buddyinfo(512ULL * 80, 10);
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->moves, 0);
	assert_string_equal(
		kernel->said,
		"cannot get 200 huge pages of 2 MiB on node 0: 165 are "
		"missing beside 0 free ones and 35 "
		"more that could be made (on node 0 71 MiB could be had "
		"beside the host's part; 180 MiB "
		"free, of that 20 MiB in pieces of 2 MiB (MiB in 4K: 160, 2M: 20); 63 of 1000 "
		"blocks are the kernel's own and "
		"cannot be moved; most memory is held by qemu (pid 302) "
		"900 MiB, dpdk (pid 304) 870 "
		"MiB, bound (pid 303) 850 MiB): set move = yes, lower "
		"the guest's memory by 330 MiB, or "
		"boot with hugepagesz=2048K hugepages=0:200");
	remove_users();
	assert_int_equal(unlinkat(host->rootfd, "proc/pagetypeinfo", 0), 0);
}

static void every_node_that_is_short_is_named(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 10;
	node2m(1)->room = 20;
	put("Node 0, zone   Normal   0 0 0 0 0 0 0 0 0 10 0\n"
	    "Node 1, zone   Normal   0 0 0 0 0 0 0 0 0 20 0\n",
	    "proc/buddyinfo");
	guest_make(&a, UUID_A, "a", "started", "2048 0 64;2048 1 64");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said(
		"cannot get 64 huge pages of 2 MiB on node 0: 54 are missing beside 0 free ones "
		"and 10 more that could be made, and on node 1, where 64 more of 2 MiB are "
		"needed, 20 lie ready (");
	assert_said("or boot with hugepagesz=2048K hugepages=0:64,1:64");
}

static void what_each_node_gave_is_said_of_pages_from_any(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 5, 0);
	node2m(0)->room = 10;
	node2m(1)->room = 20;
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("29 are missing beside 5 free ones and 30 more that could be made (node 0: 5 "
		    "free, 10 more; node 1: 0 free, 20 more; the kernel finds");
	assert_said("or boot with hugepagesz=2048K hugepages=64");
}

static void all_needs_are_counted_where_the_host_is_short(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	/* 150 pages beside the 256 MiB of the host */
	put("MemTotal: 8388608 kB\nMemAvailable: 569344 kB\n", "proc/meminfo");
	guest_make(&a, UUID_A, "a", "started", "2048 0 100;2048 1 100");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("cannot get 200 huge pages of 2 MiB on nodes 0-1: 50 are missing beside 0 free "
		    "ones and 150 more that could be made (");
	assert_said("lower the guest's memory by 100 MiB");
}

static void pools_and_their_users_are_named_by_node(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	full_node(&a, "no");
	size1g()->nodes[0] = (struct fake_node){ .nr = 3, .free = 2 };
	size1g()->nodes[1] = (struct fake_node){ .nr = 9, .free = 9 };
	render();
	put("Name:\tqemu\nHugetlbPages:\t 3145728 kB\nVmLck:\t0 kB\n", "proc/302/status");
	put("7f00 default file=/dev/hugepages/x huge dirty=3 N0=1 N1=2 kernelpagesize_kB=1048576\n"
	    "7f90 default anon=10 N1=25600 kernelpagesize_kB=4\n",
	    "proc/302/numa_maps");
	put_node(0, 200000);
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("most memory is held by free huge pages of 1 GiB of node 0 2048 MiB, qemu (pid "
		    "302) 1024 MiB in huge pages, dpdk (pid 304) 870 MiB)");
	remove_users();
}

static void a_guest_is_named_only_when_its_end_would_be_enough(void **state)
{
	static const struct {
		unsigned long long node0, node1;
		bool enough;
	} cases[] = { { 12, 0, true }, { 60, 4, true }, { 11, 80, false }, { 0, 64, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a, b;
		char maps[128], said[64];

		boot(LINUX_6_12, 0, 0);
		node2m(0)->room = 52;
		guest_make(&b, UUID_B, "web", "started", "2048 any 80");
		put_qemu(200, UUID_B, 80, 80);
		(void)snprintf(maps, sizeof(maps),
			       "7f00 default huge N0=%llu N1=%llu kernelpagesize_kB=2048\n",
			       cases[i].node0, cases[i].node1);
		put(maps, "proc/200/numa_maps");
		guest_state(&b, CLAIM_RUNNING, 200);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_FAILED);
		(void)snprintf(said, sizeof(said), "stop guest web, which holds %llu, ",
			       cases[i].node0);
		assert_int_equal(strstr(kernel->said, said) != NULL, cases[i].enough);
		assert_int_equal(strstr(kernel->said, "stop guest") != NULL, cases[i].enough);
		remove_process(200);
		guest_remove(&a);
		guest_remove(&b);
	}
}

/* 18 pages are missing on node 0, 36 MiB. @maps: of the guest that could end */
static void assert_lever(const char *maps, const char *said)
{
	_cleanup_guest_ struct guest a, b;

	full_node(&a, "no");
	guest_make(&b, UUID_B, "web", "release", "");
	put_qemu(200, UUID_B, 0, 0);
	put("5000 200 10 0 0 0 0\n", "proc/200/statm");
	put(maps, "proc/200/numa_maps");
	guest_state(&b, CLAIM_RUNNING, 200);
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("18 are missing");
	if (said)
		assert_said(said);
	else
		assert_null(strstr(kernel->said, "stop guest"));
	assert_null(strchr(kernel->said, '\n'));
	remove_process(200);
	remove_users();
	guest_remove(&a);
	guest_remove(&b);
}

/* Also of one without huge pages, where memory is what is missing */
static void a_guest_whose_plain_memory_would_be_enough_is_named(void **state)
{
	(void)state;
	assert_lever("7f00 default anon=9216 dirty=9216 N0=9216 N1=50000 kernelpagesize_kB=4\n",
		     "stop guest web, which holds 36 MiB there, ");
	assert_lever("7f00 default file=/memfd:pc.ram\\040(deleted) dirty=9300 N0=9300 "
		     "kernelpagesize_kB=4\n",
		     "stop guest web, which holds 36 MiB there, ");
	assert_lever("7f00 default file=/dev/shm/ram\\040(deleted) dirty=9300 N0=9300 "
		     "kernelpagesize_kB=4\n",
		     "stop guest web, which holds 36 MiB there, ");
	assert_lever("7f00 default anon=4608 N0=4608 kernelpagesize_kB=4\n"
		     "7f10 default huge anon=9 N0=9 kernelpagesize_kB=2048\n",
		     "stop guest web, which holds 36 MiB there, ");
	assert_lever("7f10 default huge anon=18 N0=18 kernelpagesize_kB=2048\n",
		     "stop guest web, which holds 18, ");
	assert_lever("7f00 default anon=9215 N0=9215 N1=50000 kernelpagesize_kB=4\n", NULL);
	/* That is available already, or stays */
	assert_lever("7f00 default file=/usr/bin/qemu anon=9 mapped=90000 N0=90000 "
		     "kernelpagesize_kB=4\n",
		     NULL);
}

/* In one piece none may be the better for it */
static void plain_memory_is_no_lever_where_it_is_fragmented(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 52;
	guest_make(&b, UUID_B, "web", "release", "");
	put_qemu(200, UUID_B, 0, 0);
	put("7f00 default anon=90000 N0=90000 kernelpagesize_kB=4\n", "proc/200/numa_maps");
	guest_state(&b, CLAIM_RUNNING, 200);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_null(strstr(kernel->said, "stop guest"));
}

/* A kernel without NUMA says it by process */
static void plain_memory_is_a_lever_without_nodes_too(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	assert_int_equal(unlinkat(host->rootfd, "sys/devices/system/node/has_memory", 0), 0);
	put("MemTotal: 8388608 kB\nMemAvailable: 569344 kB\n", "proc/meminfo");
	guest_make(&b, UUID_B, "web", "release", "");
	put_qemu(200, UUID_B, 0, 0);
	put("Name:\tqemu\nRssAnon:\t   60000 kB\nRssFile:\t  90000 kB\nRssShmem:\t   50000 kB\n",
	    "proc/200/status");
	guest_state(&b, CLAIM_RUNNING, 200);
	guest_make(&a, UUID_A, "a", "started", "2048 any 200");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("50 are missing");
	assert_said("stop guest web, which holds 107 MiB there, ");
}

static void a_gibibyte_page_is_said_to_be_a_matter_of_boot(void **state)
{
	static const struct {
		const char *meminfo, *cure;
	} cases[] = {
		{ "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\nCmaTotal: 0 kB\n",
		  "boot with hugetlb_cma=0:2048M or hugepagesz=1048576K hugepages=0:2 (a running "
		  "host has pages of that size by luck only), or take smaller ones" },
		{ "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n",
		  "lower the guest's memory by 1024 MiB, or boot with hugepagesz=1048576K "
		  "hugepages=0:2 (a running host has pages" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		put(cases[i].meminfo, "proc/meminfo");
		guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
		assert_int_equal(apply(&a), HELPER_FAILED);
		assert_said("1 are missing beside 0 free ones and 1 more that could be made");
		assert_said(cases[i].cure);
		assert_int_equal(size1g()->nodes[0].nr, 0);
		guest_remove(&a);
	}
}

static void less_memory_is_no_cure_where_there_is_not_one_page(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	size1g()->nodes[0].room = 0;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("2 are missing beside 0 free ones and 0 more that could be made");
	assert_said("): boot with hugepagesz=1048576K hugepages=0:2 (a running host has");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(reclaim_brings_what_compaction_could_not),
		kernel_test(a_kernel_that_cannot_swappiness_is_asked_plainly),
		kernel_test(a_node_that_can_reclaim_is_asked_itself),
		kernel_test(what_one_node_does_not_give_is_not_forgotten_for_another),
		kernel_test(a_node_that_refuses_to_reclaim_is_named_once),
		kernel_test(nothing_is_reclaimed_against_the_policy),
		kernel_test(caches_are_dropped_last_and_only_if_they_may),
		kernel_test(room_is_made_in_one_go_before_the_first_page),
		kernel_test(no_more_is_reclaimed_than_may_go),
		kernel_test(much_is_reclaimed_in_pieces_and_none_after_the_deadline),
		kernel_test(
			memory_that_has_come_while_a_refusal_is_written_makes_no_page_impossible),
		kernel_test(caches_of_which_most_must_go_are_dropped_at_once),
		kernel_test(half_of_the_reserve_may_go_once_a_guest_has_fitted_beside_it),
		kernel_test(memory_that_lies_ready_is_left_alone),
		kernel_test(preferred_nodes_are_compacted_once_before_others_must_do),
		kernel_test(zfs_on_some_kernels_is_neither_compacted_nor_dropped),
		kernel_test(the_arc_makes_room_and_keeps_its_limit),
		kernel_test(the_arc_is_given_no_limit_that_zfs_does_not_take),
		kernel_test(an_arc_that_gives_nothing_is_not_waited_for_until_the_deadline),
		kernel_test(a_dry_run_prints_what_is_reclaimed_before_the_first_page),
		kernel_test(a_dry_run_takes_the_arc_for_shrunk),
		kernel_test(the_arc_is_named_where_it_may_not_be_touched),
		kernel_test(a_note_of_the_arc_that_is_damaged_is_the_file_that_is_named),
		kernel_test(a_kill_while_the_arc_is_limited_is_made_good),
		kernel_test(a_limit_that_an_admin_has_set_meanwhile_stays),
		kernel_test(the_arc_gets_its_limit_back_also_where_pages_cannot_be_given_back),
		kernel_test(pages_that_come_a_second_later_are_waited_for),
		kernel_test(memory_that_comes_a_second_later_is_waited_for),
		kernel_test(it_goes_on_as_long_as_each_compaction_brings_some),
		kernel_test(one_is_refused_soon_when_nothing_moves),
		kernel_test(a_guest_that_is_ending_is_waited_for),
		kernel_test(what_a_guest_holds_that_has_ended_is_waited_for),
		kernel_test(what_may_be_anywhere_is_moved_off_the_node),
		kernel_test(what_has_chosen_its_node_is_left_there),
		kernel_test(what_has_pages_of_a_pool_is_left_there_and_the_pools_are_as_before),
		kernel_test(who_has_the_node_is_found_among_many_that_are_larger),
		kernel_test(no_qemu_is_moved_whoever_started_it),
		kernel_test(a_dry_run_takes_processes_for_moved),
		kernel_test(nothing_is_moved_where_the_whole_host_is_short),
		kernel_test(nothing_is_moved_unasked_and_the_message_says_that_it_would_help),
		kernel_test(every_node_that_is_short_is_named),
		kernel_test(what_each_node_gave_is_said_of_pages_from_any),
		kernel_test(all_needs_are_counted_where_the_host_is_short),
		kernel_test(pools_and_their_users_are_named_by_node),
		kernel_test(a_guest_is_named_only_when_its_end_would_be_enough),
		kernel_test(a_guest_whose_plain_memory_would_be_enough_is_named),
		kernel_test(plain_memory_is_no_lever_where_it_is_fragmented),
		kernel_test(plain_memory_is_a_lever_without_nodes_too),
		kernel_test(a_gibibyte_page_is_said_to_be_a_matter_of_boot),
		kernel_test(less_memory_is_no_cure_where_there_is_not_one_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
