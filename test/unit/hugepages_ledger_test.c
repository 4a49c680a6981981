/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_ledger_test.c - the ledger's file, its accounts, the pools it speaks of */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"

#define LEDGER "run/usher/host/hugepages.ini"

static int open_text(struct guest *guest, const char *text, struct ledger *ret)
{
	_cleanup_close_ int dirfd = state_dir(guest->ctx.statefd, "host", true);

	assert_int_equal(state_write(dirfd, "hugepages.ini", text, strlen(text)), 0);
	return ledger_open(&guest->ctx, 100, false, ret);
}

static void what_is_stored_is_loaded(void **state)
{
	static const char text[] = "[ledger]\n"
				   "own = 2048 0 100\n"
				   "held = 2048 0 " UUID_A " 64\n"
				   "held = 2048 0 " UUID_B " 1\n"
				   "owed = 2048 0 32\n"
				   "own = 1048576 none 3\n"
				   "owed = 1048576 none 1\n"
				   "promised = " UUID_C "\n"
				   "change = 2048 0 owed 197 165\n"
				   "writing = 1048576 none " UUID_A " 4 5 812 77712\n";
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(open_text(&a, text, &ledger), 0);
	assert_int_equal(ledger_held(&ledger, 2048, 0, UUID_A), 64);
	assert_int_equal(ledger_held(&ledger, 2048, 0, UUID_C), 0);
	assert_int_equal(ledger_held(&ledger, 2048, 1, UUID_A), 0);
	assert_int_equal(ledger_expected(ledger_find(&ledger, 2048, 0)), 197);
	assert_int_equal(ledger_expected(ledger_find(&ledger, 1048576, POOL_NO_NODE)), 4);
	assert_true(ledger.change.open);
	assert_int_equal(ledger.change.target, 165);
	assert_string_equal(ledger.change.uuid, "");
	assert_true(ledger_writing(&ledger, 1048576) && !ledger_writing(&ledger, 2048));
	assert_int_equal(ledger.writing.writer.pid, 812);
	assert_int_equal(ledger.writing.writer.start_time, 77712);
	assert_int_equal(ledger_store(&ledger), 0);
	assert_string_equal(tree_read(host, LEDGER), text);
}

static void a_damaged_ledger_is_ebadmsg(void **state)
{
	static const char *const bad[] = {
		"[ledger]\nown = 2048 0\n",
		"[ledger]\nown = 2048 zero 1\n",
		"[ledger]\nown = 2048 16384 1\n",
		"[ledger]\nown = 2048 0 -1\n",
		"[ledger]\nheld = 2048 0 nobody 1\n",
		"[ledger]\nheld = 2048 0 " UUID_A " x\n",
		"[ledger]\nowed = 2048 0 9223372036854775808\n",
		"[ledger]\npromised = me\n",
		"[ledger]\nchange = 2048 0 " UUID_A " 1\n",
		"[ledger]\nchange = 2048 0 nobody 1 2\n",
		"[ledger]\nwriting = 1048576 0 " UUID_A " 1 2\n",
		"[ledger]\nwriting = 1048576 0 " UUID_A " 1 2 0 77712\n",
		"[ledger]\nwriting = 1048576 0 " UUID_A " 1 2 812 then\n",
		"[ledger]\nbought = 2048 0 1\n",
		"[book]\nown = 2048 0 1\n",
		"own = 2048 0 1\n",
	};
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;

		assert_int_equal(open_text(&a, bad[i], &ledger), -EBADMSG);
	}
}

static void one_at_a_time_holds_the_ledger(void **state)
{
	_cleanup_ledger_ struct ledger first = LEDGER_CLOSED, second = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(ledger_open(&a.ctx, 100, false, &first), -ENOENT);
	assert_int_equal(ledger_open(&a.ctx, 100, true, &first), 0);
	assert_int_equal(ledger_open(&a.ctx, 50, true, &second), -ETIMEDOUT);
	ledger_close(&first);
	assert_int_equal(ledger_open(&a.ctx, 50, true, &second), 0);
}

/* On a host under load a child may be left behind before it has come to close what it was born with */
static void a_child_that_was_left_behind_does_not_hold_the_ledger(void **state)
{
	_cleanup_ledger_ struct ledger first = LEDGER_CLOSED, second = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;
	pid_t pid;
	int r;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(ledger_open(&a.ctx, 100, true, &first), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	ledger_close(&first);
	r = ledger_open(&a.ctx, 50, true, &second);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(r, 0);
}

static void a_ledger_others_may_write_is_not_believed(void **state)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(open_text(&a, "[ledger]\nowed = 2048 0 1\n", &ledger), 0);
	ledger_close(&ledger);
	assert_int_equal(fchmodat(host->rootfd, LEDGER, 0622, 0), 0);
	assert_int_equal(ledger_open(&a.ctx, 50, false, &ledger), -EPERM);
}

static void an_empty_ledger_is_no_file(void **state)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(
		open_text(&a, "[ledger]\nown = 2048 0 5\npromised = " UUID_A "\n", &ledger), 0);
	ledger_release(&ledger, UUID_A);
	assert_int_equal(ledger_store(&ledger), 0);
	assert_no_ledger();
	assert_int_equal(ledger_store(&ledger), 0);
}

static void what_somebody_else_has_set_is_the_pools_number(void **state)
{
	static const unsigned long long numbers[] = { 50, 20, 4, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct ledger_pool pool = { .size_kib = 2048, .own = 10, .owed = 5 };

		assert_int_equal(ledger_credit(&pool, UUID_A, 20), 0);
		assert_int_equal(ledger_credit(&pool, UUID_A, 10), 0);
		assert_int_equal(ledger_expected(&pool), 45);
		ledger_adapt(&pool, numbers[i]);
		assert_int_equal(pool.own, numbers[i]);
		assert_int_equal(pool.shares[0].nr_pages, 0);
		assert_int_equal(ledger_expected(&pool), numbers[i]);
		free(pool.shares);
	}
}

/* How far a write came that nobody lived to note: @now pages, 40 of them c's, from @before */
static void assert_resolved(unsigned long long before, unsigned long long target,
			    unsigned long long now, const char *whose, unsigned long long held,
			    unsigned long long owed)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a, c;
	char text[512];

	boot(LINUX_6_12, now, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&c, UUID_C, "c", "started", "2048 0 64");
	(void)snprintf(text, sizeof(text),
		       "[ledger]\nown = 2048 0 10\nheld = 2048 0 " UUID_C " 40\n"
		       "owed = 2048 0 30\nchange = 2048 0 %s %llu %llu\n",
		       whose, before, target);
	assert_int_equal(open_text(&a, text, &ledger), 0);
	assert_int_equal(ledger_sync(&a.ctx, &ledger), 0);
	assert_false(ledger.change.open);
	assert_int_equal(ledger_held(&ledger, 2048, 0, UUID_A), held);
	assert_int_equal(ledger_find(&ledger, 2048, 0)->owed, owed);
	assert_int_equal(ledger_expected(ledger_find(&ledger, 2048, 0)), now);
	/* Beyond either end somebody else has set it, and nothing is noted */
	if (held || owed) {
		assert_int_equal(ledger_held(&ledger, 2048, 0, UUID_C), 40);
		assert_null(strstr(tree_read(host, LEDGER), "change"));
	} else {
		assert_no_ledger();
	}
	guest_remove(&a);
	guest_remove(&c);
}

static void a_write_cut_off_is_put_on_its_account_as_far_as_it_came(void **state)
{
	(void)state;
	assert_resolved(80, 100, 80, UUID_A, 0, 30);
	assert_resolved(80, 100, 93, UUID_A, 13, 30);
	assert_resolved(80, 100, 100, UUID_A, 20, 30);
	assert_resolved(80, 100, 130, UUID_A, 0, 0);
	assert_resolved(80, 100, 93, "owed", 0, 43);
	assert_resolved(80, 60, 80, "owed", 0, 30);
	assert_resolved(80, 60, 65, "owed", 0, 15);
	assert_resolved(80, 60, 60, "owed", 0, 10);
	assert_resolved(80, 60, 85, "owed", 0, 0);
}

/*
 * A write from 80 to 100 pages for a, cut off, and 7 surplus pages on node 1
 * @surplus: that was announced, "" for an older usher
 */
static void assert_miscounted(const char *surplus, unsigned long long now, unsigned long long held,
			      unsigned long long owed)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;
	char text[512];

	boot(LINUX_6_1, now, 7);
	node2m(1)->surplus = 7;
	render();
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	(void)snprintf(text, sizeof(text),
		       "[ledger]\nown = 2048 0 80\nchange = 2048 0 " UUID_A " 80 100%s\n", surplus);
	assert_int_equal(open_text(&a, text, &ledger), 0);
	assert_int_equal(ledger_sync(&a.ctx, &ledger), 0);
	assert_int_equal(ledger_held(&ledger, 2048, 0, UUID_A), held);
	assert_int_equal(ledger_find(&ledger, 2048, 0)->owed, owed);
	assert_int_equal(ledger_expected(ledger_find(&ledger, 2048, 0)), now);
	guest_remove(&a);
}

static void what_the_kernel_has_miscounted_is_owed_and_nothing_else(void **state)
{
	(void)state;
	assert_miscounted(" 0", 100, 20, 0);
	assert_miscounted(" 0", 107, 20, 7);
	assert_miscounted(" 0", 106, 0, 0);
	assert_miscounted(" 0", 108, 0, 0);
	assert_miscounted(" 7", 100, 20, 0);
	assert_miscounted(" 7", 107, 0, 0);
	assert_miscounted("", 100, 20, 0);
	assert_miscounted("", 107, 0, 0);
}

/* By @pid, which began at @start; it has made its page. Is it put on its account */
static bool is_resolved(int pid, int start)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_guest_ struct guest a;
	char text[256];
	bool resolved;

	boot(LINUX_6_12, 0, 0);
	size1g()->nodes[0] = (struct fake_node){ .nr = 2, .free = 2 };
	render();
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	(void)snprintf(text, sizeof(text),
		       "[ledger]\nown = 1048576 0 1\nwriting = 1048576 0 " UUID_A " 1 2 %d %d\n",
		       pid, start);
	assert_int_equal(open_text(&a, text, &ledger), 0);
	assert_int_equal(ledger_sync(&a.ctx, &ledger), 0);
	resolved = !ledger.writing.open;
	assert_int_equal(ledger_find(&ledger, 1048576, 0)->own, 1);
	assert_int_equal(ledger_held(&ledger, 1048576, 0, UUID_A), resolved);
	assert_int_equal(strcmp(tree_read(host, LEDGER), text) != 0, resolved);
	guest_remove(&a);
	return resolved;
}

static void a_write_without_the_ledger_is_its_writers_as_long_as_he_lives(void **state)
{
	(void)state;
	assert_false(is_resolved(DAEMON_PID, 777));
	assert_true(is_resolved(DEAD_PID, 777));
	assert_true(is_resolved(DAEMON_PID, 778));
}

static void pools_are_read_node_by_node(void **state)
{
	_cleanup_pools_ struct pools pools = { 0 };
	const struct need any = { .size_kib = 2048, .any = true };
	struct need one = { .size_kib = 2048 };

	(void)state;
	boot(LINUX_6_12, 10, 20);
	reserve(4);
	node2m(1)->surplus = 3;
	render();
	cpulist_add(&one.nodes, 1);
	assert_int_equal(pools_read(host->rootfd, 2048, &pools), 0);
	assert_int_equal(pools.nr, 2);
	assert_int_equal(pools.reserved, 4);
	assert_int_equal(pool_persistent(&pools.pools[1]), 17);
	assert_int_equal(pools_find(&pools, 1), 1);
	assert_int_equal(pools_find(&pools, 2), -ENOENT);
	assert_int_equal(pools_free_of(&pools, &any), 30);
	assert_int_equal(pools_free_of(&pools, &one), 20);
	assert_int_equal(pools_surplus(&pools, -1), 3);
	assert_int_equal(pools_surplus(&pools, 1), 0);
	assert_int_equal(pools_read(host->rootfd, 64, &pools), -ENOENT);
	put("many\n", "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	assert_int_equal(pools_read(host->rootfd, 2048, &pools), -EBADMSG);
	assert_int_equal(pools.nr, 2);
}

static void a_node_without_memory_has_no_pool(void **state)
{
	_cleanup_pools_ struct pools pools = { 0 };

	(void)state;
	boot(LINUX_6_12, 10, 20);
	put("1\n", "sys/devices/system/node/has_memory");
	assert_int_equal(pools_read(host->rootfd, 2048, &pools), 0);
	assert_int_equal(pools.nr, 1);
	assert_int_equal(pools.pools[0].node, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(what_is_stored_is_loaded),
		kernel_test(a_damaged_ledger_is_ebadmsg),
		kernel_test(one_at_a_time_holds_the_ledger),
		kernel_test(a_child_that_was_left_behind_does_not_hold_the_ledger),
		kernel_test(a_ledger_others_may_write_is_not_believed),
		kernel_test(an_empty_ledger_is_no_file),
		cmocka_unit_test(what_somebody_else_has_set_is_the_pools_number),
		kernel_test(a_write_cut_off_is_put_on_its_account_as_far_as_it_came),
		kernel_test(what_the_kernel_has_miscounted_is_owed_and_nothing_else),
		kernel_test(a_write_without_the_ledger_is_its_writers_as_long_as_he_lives),
		kernel_test(pools_are_read_node_by_node),
		kernel_test(a_node_without_memory_has_no_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
