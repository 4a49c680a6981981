/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_writeback_test.c - page cache that must be written to disk before it can go */
/* wraps: attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive sync */
#include "hugetlb.h"

#include "lib/attr.h"

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void __wrap_sync(void);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* What sync(2) does, in whoever calls it */
static enum { DISK, SLOW_DISK, DEAD_SERVER } disk;

void __wrap_sync(void)
{
	kernel->syncs++;
	/* Nothing of its parent's is open in this child */
	host->rootfd = root_open(host->dir);
	for (int i = 0; i < 5 && disk != DEAD_SERVER; i++) {
		(void)poll(NULL, 0, disk == SLOW_DISK ? 900 : 50);
		write_back(5);
	}
	if (disk == DEAD_SERVER)
		(void)poll(NULL, 0, 3000);
}

/* 40 pages at once, 24 lie in page cache, of which @clean need not be written */
static void dirty_host(struct guest *guest, const char *reclaim, unsigned long long clean)
{
	boot(LINUX_6_12, 0, 0);
	kernel->reclaim_group = true;
	node2m(0)->room = 40;
	node2m(0)->cached = clean;
	kernel->dirty = 25 - clean;
	put_cache();
	guest_make(guest, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(inidoc_set(&guest->ctx.claim.doc, HUGEPAGES_SECTION, "reclaim", reclaim),
			 0);
}

static enum helper_exit apply_in(struct guest *guest, int ms)
{
	guest->ctx.deadline = deadline_in(ms);
	return hugepages_apply(&guest->ctx);
}

static void what_is_dirty_is_written_first_however_it_is_got(void **state)
{
	static const char *const policies[] = { "memory", "caches" };

	(void)state;
	disk = DISK;
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		_cleanup_guest_ struct guest a;

		dirty_host(&a, policies[i], 0);
		kernel->reclaim_group = i == 0;
		assert_int_equal(apply_in(&a, 8000), HELPER_DONE);
		assert_pool(0, 64, 64, 0);
		assert_int_equal(kernel->syncs, 1);
		assert_int_equal(kernel->drops, i);
		guest_remove(&a);
	}
}

static void it_is_written_before_the_first_page_where_that_is_seen_to_be_needed(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	disk = DISK;
	dirty_host(&a, "memory", 0);
	put("Node 0, zone   Normal   0 0 0 0 0 0 0 0 0 40 0\n"
	    "Node 1, zone   Normal   0 0 0 0 0 0 0 0 0 1000 0\n",
	    "proc/buddyinfo");
	assert_int_equal(apply_in(&a, 8000), HELPER_DONE);
	/* One write to the pool: promised, reclaimed (by node: no such file), compacted; announced,
	 * written, noted */
	assert_int_equal(kernel->ops, 1 + 2 + 1 + 3);
}

static void a_slow_disk_is_waited_for_as_long_as_it_writes(void **state)
{
	_cleanup_guest_ struct guest a;
	long long before = now_ms();

	(void)state;
	disk = SLOW_DISK;
	dirty_host(&a, "memory", 0);
	/* Nothing may change for 1 s of these */
	assert_int_equal(apply_in(&a, 12000), HELPER_DONE);
	assert_in_range(now_ms() - before, 4000, 9000);
	assert_pool(0, 64, 64, 0);
}

static void a_dead_server_holds_nobody_up_and_one_waits_for_it(void **state)
{
	_cleanup_guest_ struct guest a;
	long long before = now_ms();

	(void)state;
	disk = DEAD_SERVER;
	dirty_host(&a, "caches", 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(apply_in(&a, 4000), HELPER_FAILED);
	assert_in_range(now_ms() - before, 0, 3000);
	assert_int_equal(kernel->syncs, 1);
	assert_said("have dirty page cache written to disk first (sync), ");
	assert_pool(0, 0, 0, 0);
}

static void nothing_is_written_that_need_not_go_or_may_not(void **state)
{
	static const struct {
		const char *reclaim;
		unsigned long long clean;
		enum helper_exit e;
	} cases[] = {
		{ "memory", 25, HELPER_DONE },
		{ "none", 0, HELPER_FAILED },
	};

	(void)state;
	disk = DISK;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		dirty_host(&a, cases[i].reclaim, cases[i].clean);
		kernel->dirty = 20;
		put_cache();
		/* Of both nodes alike */
		if (i == 0)
			node2m(0)->cached = 60;
		put_cache();
		assert_int_equal(apply_in(&a, 4000), cases[i].e);
		assert_int_equal(kernel->syncs, 0);
		guest_remove(&a);
	}
}

/* Somebody else's writing, that ends a second later */
static void what_has_been_written_meanwhile_is_a_change(void **state)
{
	_cleanup_guest_ struct guest a;
	int status;
	pid_t pid;

	(void)state;
	disk = DEAD_SERVER;
	dirty_host(&a, "memory", 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)poll(NULL, 0, 4500);
		write_back(25);
		_exit(0);
	}
	/* Given up after 3 s, and waited for as long again */
	assert_int_equal(apply_in(&a, 32000), HELPER_DONE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void a_dry_run_says_that_it_would_be_written(void **state)
{
	_cleanup_guest_ struct guest a;
	FILE *out = tmpfile(), *old = stdout;
	char text[2048] = "";

	(void)state;
	disk = DISK;
	dirty_host(&a, "memory", 0);
	put("Node 0, zone   Normal   0 0 0 0 0 0 0 0 0 40 0\n", "proc/buddyinfo");
	a.ctx.dry_run = true;
	stdout = out;
	assert_int_equal(apply_in(&a, 4000), HELPER_DONE);
	stdout = old;
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 5);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strncmp(text, "sync\n", 5), 0);
	assert_int_equal(kernel->syncs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(what_is_dirty_is_written_first_however_it_is_got),
		kernel_test(it_is_written_before_the_first_page_where_that_is_seen_to_be_needed),
		kernel_test(a_slow_disk_is_waited_for_as_long_as_it_writes),
		kernel_test(a_dead_server_holds_nobody_up_and_one_waits_for_it),
		kernel_test(nothing_is_written_that_need_not_go_or_may_not),
		kernel_test(what_has_been_written_meanwhile_is_a_change),
		kernel_test(a_dry_run_says_that_it_would_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
