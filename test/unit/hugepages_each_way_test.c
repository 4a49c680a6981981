/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_each_way_test.c - whatever cannot be read, written or had, all pages come back */
/*
 * wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive
 * wraps: syscall read write fstat fdopendir readdir unlinkat mkdirat renameat readlinkat ftruncate flock
 * wraps: malloc calloc realloc reallocarray strdup strndup
 * wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream
 */
#include "hugetlb.h"

#define WAYS_PAUSED kernel_works
#include "each_way.h"

static void set(struct guest *guest, const char *key, const char *value)
{
	assert_int_equal(inidoc_set(&guest->ctx.claim.doc, HUGEPAGES_SECTION, key, value), 0);
}

/* --- Hosts on which the guest B starts --------------------------------------------------------- */

static void beside_another(struct guest *b)
{
	struct guest a;

	boot(LINUX_6_12, 10, 3);
	guest_make(&a, UUID_A, "a", "started", "2048 1 50");
	assert_int_equal(apply(&a), HELPER_DONE);
	put_qemu(200, UUID_A, 50, 20);
	fault(1, 20);
	guest_free(&a);
	guest_make(b, UUID_B, "b", "started", "2048 0 80;2048 any 30");
}

static void with_little_memory(struct guest *b)
{
	boot(LINUX_6_12, 0, 0);
	kernel->reclaim_group = true;
	node2m(0)->room = 40;
	node2m(0)->scattered = 10;
	node2m(0)->cached = 20;
	put("Node 0, zone   Normal   5120 0 0 0 0 0 0 0 0 40 0\n"
	    "Node 1, zone   Normal      0 0 0 0 0 0 0 0 0 1000 0\n",
	    "proc/buddyinfo");
	guest_make(b, UUID_B, "b", "started", "2048 0 64");
	set(b, "reclaim", "caches");
}

/* Nearly all of the memory is the ARC's */
static void with_zfs(struct guest *b)
{
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	kernel->arc = 4ULL << 30;
	kernel->arc_min = 1ULL << 30;
	kernel->arc_limit = 6ULL << 30;
	kernel->reclaim_group = true;
	put_arc();
	put("MemTotal: 8388608 kB\nMemFree: 290000 kB\nMemAvailable: 300000 kB\n", "proc/meminfo");
	guest_make(b, UUID_B, "b", "started", "2048 0 64");
	set(b, "arc", "shrink");
}

/* Node 0 is full of another process's memory */
static void with_a_full_node(struct guest *b)
{
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 10;
	kernel->movable = 200;
	for (size_t node = 0; node < 2; node++)
		put(node ? "Node 1 MemTotal: 4194304 kB\nNode 1 MemFree: 4000000 kB\n"
			 : "Node 0 MemTotal: 4194304 kB\nNode 0 MemFree: 500000 kB\n",
		    "sys/devices/system/node/node%zu/meminfo", node);
	put_process(301);
	put("240000 204800 0 0 0 0 0\n", "proc/301/statm");
	put("java\n", "proc/301/comm");
	put("Name:\tx\nVmLck:\t       0 kB\nMems_allowed_list:\t0-1\n", "proc/301/status");
	put("0::/system.slice/java.service\n", "proc/301/cgroup");
	put("7f00 default anon=204800 dirty=204800 N0=204800 kernelpagesize_kB=4\n",
	    "proc/301/numa_maps");
	guest_make(b, UUID_B, "b", "started", "2048 0 200");
	set(b, "move", "yes");
	set(b, "reserve_kib", "262144");
}

/* Not enough, whatever is tried, and the message names who has it */
static void with_too_little_memory(struct guest *b)
{
	boot(LINUX_6_12, 20, 0);
	put_qemu(200, UUID_A, 20, 20);
	fault(0, 20);
	node2m(0)->room = 10;
	put("MemTotal: 8388608 kB\nMemFree: 290000 kB\nMemAvailable: 300000 kB\n", "proc/meminfo");
	guest_make(b, UUID_B, "b", "started", "2048 0 64;2048 any 900");
}

/* --- Each way ---------------------------------------------------------------------------------- */

static void forget_host(void)
{
	static const char *const dirs[] = { "run", "proc", "sys" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", host->dir, dirs[i]);
		if (nftw(path, tree_remove, 16, FTW_DEPTH | FTW_PHYS) < 0)
			assert_int_equal(errno, ENOENT);
	}
}

struct counts {
	struct fake_node nodes[NODES_MAX];
	unsigned long long nr;
};

static struct counts counts_now(void)
{
	struct counts now = { 0 };

	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		now.nodes[i] = *node2m(i);
		now.nr += now.nodes[i].nr;
	}
	return now;
}

static void assert_as_before(const struct counts *before)
{
	for (size_t i = 0; i < kernel->nr_nodes; i++)
		assert_pool(i, before->nodes[i].nr, before->nodes[i].free,
			    before->nodes[i].surplus);
	assert_int_equal(kernel->arc_max, 0);
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/hugepages-arc"), 0);
}

static void begin(struct guest *guest, void (*make)(struct guest *guest), struct counts *before)
{
	make(guest);
	*before = counts_now();
	kernel->said[0] = '\0';
}

static void assert_told(void)
{
	assert_string_not_equal(kernel->said, "");
	assert_null(strstr(kernel->said, "(null)"));
}

static enum helper_exit start(struct guest *guest)
{
	guest->ctx.deadline = deadline_in(300);
	return hugepages_apply(&guest->ctx);
}

/* A start that goes well without all pages has said so */
static void each_start(void (*make)(struct guest *guest), enum way_kind kind)
{
	bool failed;

	do {
		_cleanup_guest_ struct guest b;
		struct counts before;
		enum helper_exit r;

		begin(&b, make, &before);
		way_begin(kind);
		r = start(&b);
		failed = way_end();
		if (r != HELPER_DONE)
			assert_told();
		if (r == HELPER_FAILED)
			assert_as_before(&before);
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_as_before(&before);
		forget_host();
	} while (failed);
}

static void each_end(void (*make)(struct guest *guest), enum way_kind kind)
{
	bool failed;

	do {
		_cleanup_guest_ struct guest b;
		struct counts before;
		enum helper_exit r;

		begin(&b, make, &before);
		(void)start(&b);
		kernel->said[0] = '\0';
		way_begin(kind);
		r = hugepages_undo(&b.ctx);
		failed = way_end();
		if (r != HELPER_DONE)
			assert_told();
		else
			assert_as_before(&before);
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_as_before(&before);
		forget_host();
	} while (failed);
}

static void each_look(void (*make)(struct guest *guest), enum way_kind kind)
{
	FILE *out = tmpfile(), *old = stdout;
	bool failed;

	do {
		_cleanup_guest_ struct guest b;
		struct counts before;
		int r;

		begin(&b, make, &before);
		way_begin(kind);
		r = (int)hugepages_check(&b.ctx);
		failed = way_end();
		if (r != HELPER_DONE)
			assert_told();
		stdout = out;
		if (!failed) {
			way_begin(kind);
			r = hugepages_show(&b.ctx, 0, NULL);
			failed = way_end();
			assert_true(r == HELPER_DONE || r == HELPER_FAILED);
		}
		stdout = old;
		assert_as_before(&before);
		forget_host();
	} while (failed);
	assert_int_equal(fclose(out), 0);
}

/* What another kernel, or a module of it, may say: nothing comes of it that is not taken back */
static void each_text(void (*make)(struct guest *guest), const char *file)
{
	static const char *const texts[] = { "",
					     "x\n",
					     "Node 0, zone Normal x x x x x x x x x x x\n",
					     "Node 0\n",
					     "size 4 x\nc_min 4\n",
					     "7f00 N0=x\n" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_guest_ struct guest b;
		struct counts before;

		begin(&b, make, &before);
		put(texts[i], "%s", file);
		if (start(&b) != HELPER_DONE)
			assert_told();
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_as_before(&before);
		forget_host();
	}
}

static void a_file_that_is_not_understood_costs_the_host_no_page(void **state)
{
	(void)state;
	each_text(with_little_memory, "proc/buddyinfo");
	each_text(with_zfs, "proc/spl/kstat/zfs/arcstats");
	each_text(with_a_full_node, "proc/301/numa_maps");
	each_text(with_a_full_node, "proc/301/statm");
}

static void each_of(void (*make)(struct guest *guest))
{
	each_start(make, WAY_SYSTEM);
	each_start(make, WAY_MEMORY);
	each_end(make, WAY_SYSTEM);
	each_end(make, WAY_MEMORY);
	each_look(make, WAY_SYSTEM);
	each_look(make, WAY_MEMORY);
}

static void beside_another_guest_all_pages_come_back(void **state)
{
	(void)state;
	each_of(beside_another);
}

static void where_memory_is_reclaimed_all_pages_come_back(void **state)
{
	(void)state;
	each_of(with_little_memory);
}

static void where_zfs_gives_way_all_pages_and_its_limit_come_back(void **state)
{
	(void)state;
	each_of(with_zfs);
}

static void where_others_are_moved_all_pages_come_back(void **state)
{
	(void)state;
	each_of(with_a_full_node);
}

static void where_there_are_not_enough_all_pages_come_back(void **state)
{
	(void)state;
	each_of(with_too_little_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(beside_another_guest_all_pages_come_back),
		kernel_test(where_memory_is_reclaimed_all_pages_come_back),
		kernel_test(where_zfs_gives_way_all_pages_and_its_limit_come_back),
		kernel_test(where_others_are_moved_all_pages_come_back),
		kernel_test(a_file_that_is_not_understood_costs_the_host_no_page),
		kernel_test(where_there_are_not_enough_all_pages_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
