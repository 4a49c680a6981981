/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_grow_test.c - getting the pages, or none */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include <signal.h>
#include <sys/prctl.h>

#include "lib/deadline.h"

#include "hugetlb.h"
#include "lib/registry.h"

static void the_pool_grows_by_exactly_what_is_missing(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_pool(1, 0, 0, 0);
	assert_string_equal(kernel->said, "");
}

static void applying_again_changes_nothing(void **state)
{
	_cleanup_guest_ struct guest a;
	unsigned long long ops;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	ops = kernel->ops;
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(kernel->ops, ops);
	assert_pool(0, 32, 32, 0);
}

static void free_pages_of_the_admin_that_suffice_leave_the_pool_alone(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 100, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 100, 100, 0);
	fault(0, 64);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 100, 36, 0);
	exit_with(0, 64);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 100, 100, 0);
	assert_no_ledger();
}

static void pages_of_any_node_are_spread_over_all(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 65");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(node2m(0)->nr + node2m(1)->nr, 65);
	assert_in_range(node2m(0)->nr, 32, 33);
}

static void a_node_that_cannot_give_its_part_is_made_up_for_by_the_other(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 10;
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 54, 54, 0);
	assert_int_equal(kernel->compactions, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 0, 0, 0);
}

static void large_needs_are_taken_in_steps(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 600");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 600, 600, 0);
	/* The promise; then 64, 256, 256 and 24 pages: announced, written, noted. Fewer where that
	 * takes its time */
	assert_in_range(kernel->ops, 1 + 3 * 4, 1 + 3 * 20);
}

static void several_needs_and_sizes_are_met_each_on_its_node(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started",
		   "2048 any 20;2048 1 30;1048576 0 1;2048 1 5;2048 0 10");
	assert_int_equal(apply(&a), HELPER_DONE);
	/* On whichever node QEMU takes the 20 that may come from any */
	assert_pool(0, 30, 30, 0);
	assert_pool(1, 55, 55, 0);
	assert_int_equal(size1g()->nodes[0].nr, 1);
	assert_int_equal(size1g()->nodes[1].nr, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(totals(size2m()).nr, 0);
	assert_int_equal(totals(size1g()).nr, 0);
	assert_no_ledger();
}

static void compaction_brings_what_one_write_could_not(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	node2m(0)->scattered = 40;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_int_equal(kernel->compactions, 1);
}

static void compaction_is_left_out_when_the_policy_says_so(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	node2m(0)->scattered = 40;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(inidoc_set(&a.ctx.claim.doc, HUGEPAGES_SECTION, "compact", "no"), 0);
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->compactions, 0);
	assert_pool(0, 0, 0, 0);
}

static void it_stops_when_compaction_brings_nothing(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_FAILED);
	/* At once, and after a moment's wait */
	assert_int_equal(kernel->compactions, 2);
}

static void a_shortage_is_rolled_back_exactly_and_told_in_one_line(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 10, 5);
	guest_make(&b, UUID_B, "web", "started", "2048 0-1 7");
	node2m(0)->room = 42;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 5, 5, 0);
	assert_no_ledger();
	assert_string_equal(
		kernel->said,
		"cannot get 64 huge pages of 2 MiB on node 0: 12 are missing beside 10 free ones "
		"and 42 more that could be made (the kernel finds no more memory in one piece; "
		"most memory is held by free huge pages of 2 MiB of node 0 20 MiB): lower the "
		"guest's memory by 24 MiB, or boot with hugepagesz=2048K hugepages=0:64,1:5");
}

static void nothing_is_begun_that_would_take_what_is_kept_for_the_host(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("MemTotal: 8388608 kB\nMemAvailable: 500000 kB\n", "proc/meminfo");
	guest_make(&a, UUID_A, "a", "started", "2048 0 150");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_pool(0, 0, 0, 0);
	assert_said("34 are missing beside 0 free ones and 116 more that could be made");
	assert_said("lower the reserve, lower the guest's memory by 68 MiB, ");
	assert_said("488 MiB of memory are available, 256 MiB of it kept for the host)");
	put("MemTotal: 8388608 kB\nMemAvailable: 500000 kB\nSwapFree: 4194304 kB\n",
	    "proc/meminfo");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("256 MiB of it kept for the host; 4096 MiB of free swap do not count)");
	assert_int_equal(inidoc_set(&a.ctx.claim.doc, HUGEPAGES_SECTION, "reserve_kib", "1024"), 0);
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 150, 150, 0);
}

static void pages_reserved_by_a_database_are_not_counted_as_free(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 50, 0);
	reserve(40);
	guest_make(&a, UUID_A, "a", "started", "2048 0 30");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 70, 70, 0);
	fault(0, 30);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 70, 40, 20);
	unreserve(40);
	exit_with(0, 30);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 50, 50, 0);
}

static void two_guests_never_count_the_same_free_page(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 50, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 50, 50, 0);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 80, 80, 0);
}

static void what_a_starting_qemu_has_mapped_is_counted_once(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 100, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 60");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	put_qemu(200, UUID_A, 40, 15);
	fault(0, 15);
	reserve(25);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 100, 85, 0);
}

static void any_of_its_needs_may_be_the_one_not_yet_faulted(void **state)
{
	_cleanup_guest_ struct guest a, b, c;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 40;2048 1 40");
	guest_make(&b, UUID_B, "b", "started", "2048 1 20");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	/* The second of them is filled first */
	put_qemu(200, UUID_A, 80, 30);
	fault(1, 30);
	reserve(50);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_true(node2m(1)->free >= 10 + 20);
	guest_make(&c, UUID_C, "c", "started", "2048 0 20");
	assert_int_equal(apply(&c), HELPER_DONE);
	assert_true(node2m(0)->free >= 40 + 20);
}

static void a_qemu_that_may_not_be_looked_at_counts_in_full(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 100, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 60");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	put_qemu(200, UUID_A, 40, 15);
	put("nonsense\nSize: many kB\n", "proc/200/smaps");
	fault(0, 15);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 115, 100, 0);
}

static void a_dead_claim_counts_for_nothing(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 50, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DEAD_PID);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 50, 50, 0);
}

static void a_refused_guest_counts_for_nothing_while_its_claim_still_stands(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 50, 0);
	node2m(0)->room = 0;
	guest_make(&a, UUID_A, "a", "started", "2048 0 90");
	guest_make(&b, UUID_B, "b", "started", "2048 0 50");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 50, 50, 0);
}

static void a_guest_that_may_grow_keeps_its_free_pages_to_itself(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	put_qemu(200, UUID_A, 40, 10);
	guest_state(&a, CLAIM_RUNNING, 200);
	fault(0, 10);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 40, 30, 0);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 80, 70, 0);
	/* b ends without having run: only its part goes */
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 40, 30, 0);
	exit_with(0, 10);
	remove_process(200);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

/* Its balloon has given more back than is free on b's node, and may take it from there or not */
static void a_balloon_of_any_node_does_not_open_a_bound_guests_pages_to_a_third(void **state)
{
	_cleanup_guest_ struct guest a, b, c;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 any 60");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 30);
	fault(1, 30);
	put_qemu(200, UUID_A, 60, 60);
	assert_int_equal(settle(&a), HELPER_DONE);
	guest_state(&a, CLAIM_RUNNING, 200);
	guest_make(&b, UUID_B, "b", "started", "2048 0 20");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	exit_with(1, 25);
	put_qemu(200, UUID_A, 60, 35);
	guest_make(&c, UUID_C, "c", "started", "2048 any 10");
	assert_int_equal(apply(&c), HELPER_DONE);
	assert_true(node2m(0)->free >= 20 + 10);
	assert_int_equal(undo(&c), HELPER_DONE);
	assert_true(node2m(0)->free >= 20);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 30, 0, 0);
	exit_with(0, 30);
	exit_with(1, 5);
	remove_process(200);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 0, 0, 0);
	assert_no_ledger();
}

/* Of 20 pages that it has mapped QEMU has given 8 back; a database has reserved 5 */
static void beside_a_database(struct guest *a, const char *give_back)
{
	boot(LINUX_6_12, 30, 0);
	guest_make(a, UUID_A, "a", give_back, "2048 0 20");
	assert_int_equal(apply(a), HELPER_DONE);
	guest_state(a, CLAIM_HANDED, DAEMON_PID);
	fault(0, 12);
	reserve(5);
}

static void all_find_their_pages_beside(struct guest *b)
{
	guest_make(b, UUID_B, "b", "started", "2048 0 10");
	assert_int_equal(apply(b), HELPER_DONE);
	assert_int_equal(node2m(0)->free, 5 + 8 + 10);
}

/* hugetlbfs takes the reservation away with the page: what is reserved is the database's */
static void what_a_balloon_has_given_back_is_reserved_by_nobody(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	beside_a_database(&a, "release");
	put_qemu(200, UUID_A, 20, 12);
	assert_int_equal(settle(&a), HELPER_DONE);
	guest_state(&a, CLAIM_RUNNING, 200);
	all_find_their_pages_beside(&b);
}

static void nor_is_what_postcopy_has_given_back(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	beside_a_database(&a, "started");
	put_incoming_qemu(200, UUID_A, 20, 12);
	all_find_their_pages_beside(&b);
}

static void one_that_reserves_nothing_keeps_them_as_well(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	/* virtio-mem: no reservation, so as if only the faulted part were mapped */
	put_qemu(200, UUID_A, 10, 10);
	guest_state(&a, CLAIM_RUNNING, 200);
	fault(0, 10);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 80, 70, 0);
}

static void surplus_on_the_same_node_is_taken_back_in_the_one_write(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	assert_int_equal(settle(&a), HELPER_DONE);
	guest_state(&a, CLAIM_RUNNING, DAEMON_PID);
	assert_pool(0, 64, 0, 54);
	guest_make(&b, UUID_B, "b", "started", "2048 0 30");
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 94, 30, 0);
	/* Promised, announced, written, noted; and noted whose the surplus is not */
	assert_int_equal(kernel->ops, 5);
	assert_non_null(strstr(tree_read(host, "run/usher/host/hugepages.ini"),
			       "held = 2048 0 " UUID_B " 30"));
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 64, 0, 54);
}

static void each_side_effect_that_fails_leaves_the_pools_as_before(void **state)
{
	(void)state;
	for (int half = 0; half < 2; half++) {
		for (unsigned long long n = 1;; n++) {
			_cleanup_guest_ struct guest a;
			int r;

			boot(LINUX_6_12, 10, 3);
			node2m(0)->room = 30;
			node2m(0)->scattered = 10;
			guest_make(&a, UUID_A, "a", "started", "2048 any 80;2048 0 20");
			kernel->fail_at = n;
			kernel->half = half;
			r = apply(&a);
			kernel->fail_at = 0;
			if (r == HELPER_DONE && kernel->ops < n) {
				assert_true(n > 8);
				assert_int_equal(undo(&a), HELPER_DONE);
				guest_remove(&a);
				break;
			}
			/* It may do without a compaction that was for a wish */
			if (r == HELPER_DONE)
				assert_int_equal(undo(&a), HELPER_DONE);
			if (r != HELPER_DONE)
				assert_int_equal(r, HELPER_FAILED);
			assert_pool(0, 10, 10, 0);
			assert_pool(1, 3, 3, 0);
			assert_true(r == HELPER_DONE || *kernel->said);
			assert_int_equal(undo(&a), HELPER_DONE);
			assert_no_ledger();
			guest_remove(&a);
		}
	}
}

static void a_kernel_that_says_yes_and_does_nothing_is_a_shortage(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	kernel->deaf = true;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_pool(0, 10, 10, 0);
	assert_no_ledger();
}

static void pages_too_many_are_given_back_at_once(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_1, 0, 0);
	kernel->late = 7;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_pool(1, 7, 0, 7);
}

/* He has waited for the kernel to be done with ours */
static void what_an_admin_sets_behind_our_write_is_no_error_of_the_kernels(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	kernel->behind = 500;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 500, 500, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 500, 500, 0);
	assert_no_ledger();
}

static void surplus_on_another_node_does_not_mislead_any_kernel(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a, b;

		boot((enum kernel_version)version, 0, 0);
		guest_make(&a, UUID_A, "a", "started", "2048 1 100");
		guest_make(&b, UUID_B, "b", "started", "2048 0 30");
		assert_int_equal(apply(&a), HELPER_DONE);
		fault(1, 100);
		assert_int_equal(settle(&a), HELPER_DONE);
		guest_state(&a, CLAIM_RUNNING, DAEMON_PID);
		assert_pool(1, 100, 0, 100);
		assert_int_equal(apply(&b), HELPER_DONE);
		assert_pool(0, 30, 30, 0);
		assert_pool(1, 100, 0, 100);
		/* b's start fails */
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_pool(0, 0, 0, 0);
		assert_pool(1, 100, 0, 100);
		exit_with(1, 100);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_pool(1, 0, 0, 0);
		assert_no_ledger();
		guest_remove(&a);
		guest_remove(&b);
	}
}

/* Its memory is taken out while pages are made there: the next node's pool stands in its place then */
static void a_node_that_is_taken_out_meanwhile_costs_the_next_one_no_page(void **state)
{
	(void)state;
	for (int node = 0; node < 2; node++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, node ? 100 : 0, node ? 0 : 100);
		guest_make(&a, UUID_A, "a", "started", node ? "2048 1 64" : "2048 0 64");
		kernel->leaves = node;
		assert_int_equal(apply(&a), HELPER_FAILED);
		assert_said("the memory of a node was taken out meanwhile");
		assert_pool(!node, 100, 100, 0);
		kernel->leaves = -1;
		*node2m(node) = (struct fake_node){ .room = 1000 };
		put("0-1\n", "sys/devices/system/node/has_memory");
		render();
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_pool(node, 0, 0, 0);
		assert_pool(!node, 100, 100, 0);
		assert_no_ledger();
		guest_remove(&a);
	}
}

static void a_process_kept_off_a_node_is_told_so_and_changes_nothing(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_1, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 1 100");
	guest_make(&b, UUID_B, "b", "started", "2048 0 30");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(1, 100);
	assert_int_equal(settle(&a), HELPER_DONE);
	kernel->no_policy = true;
	assert_int_equal(apply(&b), HELPER_FAILED);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 100, 0, 100);
	assert_said("memory there is closed to usher");
}

static void a_kernel_without_numa_has_one_pool(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	kernel->nr_nodes = 1;
	render();
	assert_int_equal(unlinkat(host->rootfd, "sys/devices/system/node/has_memory", 0), 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_non_null(strstr(tree_read(host, "run/usher/host/hugepages.ini"),
			       "held = 2048 none " UUID_A " 64"));
	fault(0, 64);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 64, 0, 64);
}

static void a_dry_run_prints_the_writes_and_makes_none(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[1024] = "";
	FILE *out = tmpfile(), *old = stdout;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 1200;1048576 1 1");
	a.ctx.dry_run = true;
	stdout = out;
	assert_int_equal(apply(&a), HELPER_DONE);
	stdout = old;
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(kernel->ops, 0);
	assert_pool(0, 10, 10, 0);
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host"), 0);
	assert_string_equal(
		text,
		"write /sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages "
		"1\n"
		"write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages 266\n"
		"write /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages 256\n"
		"write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages 522\n"
		"write /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages 512\n"
		"write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages 605\n"
		"write /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages "
		"595\n");
}

static void a_guest_waits_for_its_turn_no_longer_than_its_deadline(void **state)
{
	_cleanup_guest_ struct guest a;
	_cleanup_close_ int dirfd = -1, turn = -1;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	dirfd = state_dir(a.ctx.statefd, "host", true);
	turn = state_lock(dirfd, "hugepages-grow-0.lock", 0);
	assert_true(turn >= 0);
	a.ctx.deadline = deadline_in(200);
	assert_int_equal(hugepages_apply(&a.ctx), HELPER_FAILED);
	assert_pool(0, 0, 0, 0);
	assert_said(
		"cannot get huge pages of 2 MiB on node 0: the time for it ran out: another guest "
		"is being given pages there: start this one when that has ended");
}

/* A guest that grows for as long as this one lives */
static pid_t grow_for_ever(struct guest *guest, int ready[2])
{
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct needs needs = { 0 };
		struct turn turn = { 0 };

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (needs_load(&guest->ctx.claim, &needs) < 0 ||
		    turn_take(&guest->ctx, &needs, deadline_in(0), &turn) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		(void)pause();
	}
	return pid;
}

static void only_a_guest_on_the_same_node_is_waited_for(void **state)
{
	static const struct {
		const char *growing, *starting;
		bool meet;
	} cases[] = {
		{ "2048 0 64", "2048 1 64", false },  { "2048 0 64", "1048576 0 1", true },
		{ "2048 0 64", "2048 0-1 64", true }, { "2048 1 64", "2048 any 64", true },
		{ "2048 any 64", "2048 1 64", true }, { "2048 0 64;2048 1 64", "2048 1 64", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a, b;
		int ready[2], status;
		char byte;
		pid_t pid;

		boot(LINUX_6_12, 0, 0);
		guest_make(&a, UUID_A, "a", "started", cases[i].growing);
		guest_make(&b, UUID_B, "b", "started", cases[i].starting);
		pid = grow_for_ever(&a, ready);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		b.ctx.deadline = deadline_in(400);
		assert_int_equal(hugepages_apply(&b.ctx),
				 cases[i].meet ? HELPER_FAILED : HELPER_DONE);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(apply(&b), HELPER_DONE);
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_int_equal(close(ready[0]) + close(ready[1]), 0);
		guest_remove(&a);
		guest_remove(&b);
	}
}

static void who_waits_for_one_node_holds_up_nobody_on_another(void **state)
{
	_cleanup_guest_ struct guest a, b, c;
	int ready[2], status;
	pid_t growing, waiting;
	char byte;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 1 64");
	guest_make(&b, UUID_B, "b", "started", "2048 any 64");
	guest_make(&c, UUID_C, "c", "started", "2048 0 64");
	growing = grow_for_ever(&a, ready);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	waiting = fork();
	assert_true(waiting >= 0);
	if (waiting == 0)
		_exit(apply(&b));
	assert_int_equal(apply(&c), HELPER_DONE);
	assert_int_equal(kill(growing, SIGKILL), 0);
	assert_int_equal(waitpid(growing, &status, 0), growing);
	assert_int_equal(waitpid(waiting, &status, 0), waiting);
	assert_int_equal(status, 0);
	assert_int_equal(totals(size2m()).nr, 128);
	assert_int_equal(close(ready[0]) + close(ready[1]), 0);
}

/* Its pages are there, and others are being made on its node for as long as the deadline */
static void a_guest_whose_pages_lie_ready_waits_for_no_turn(void **state)
{
	_cleanup_guest_ struct guest a, b;
	_cleanup_close_ int dirfd = -1;
	int turn;

	(void)state;
	boot(LINUX_6_12, 5, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 5");
	guest_make(&b, UUID_B, "b", "started", "2048 0 3");
	dirfd = state_dir(a.ctx.statefd, HOST_DIR, true);
	turn = state_lock(dirfd, "hugepages-grow-0.lock", 0);
	assert_true(turn >= 0);
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	assert_pool(0, 5, 5, 0);
	/* They are a's from then on, and others must be made */
	b.ctx.deadline = deadline_in(200);
	assert_int_equal(hugepages_apply(&b.ctx), HELPER_FAILED);
	state_unlock(&turn);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 8, 8, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 5, 5, 0);
	assert_no_ledger();
}

static void one_that_is_refused_with_its_pages_ready_is_promised_none(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 5, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 5");
	put("what is this\n", "run/usher/host/hugepages-arc");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("/run/usher/host/hugepages-arc says: it is damaged");
	assert_pool(0, 5, 5, 0);
	assert_no_ledger();
}

/* a never gets its pages, but a guest is ending, so it would go on for all of its time */
static void leave_time(int time_ms)
{
	const struct timespec moment = { .tv_nsec = 300000000L };
	_cleanup_guest_ struct guest a, b, c;
	int status;
	pid_t pid;

	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 40;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&b, UUID_B, "b", "started", "2048 0 30");
	guest_make(&c, UUID_C, "c", "started", "2048 1 10");
	assert_int_equal(apply(&c), HELPER_DONE);
	put_process(200);
	put("", "proc/200/cmdline");
	guest_state(&c, CLAIM_RUNNING, 200);
	a.ctx.deadline = deadline_in(time_ms);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit((int)hugepages_apply(&a.ctx));
	(void)nanosleep(&moment, NULL);
	b.ctx.deadline = deadline_in(6000);
	assert_int_equal(hugepages_apply(&b.ctx), HELPER_DONE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), HELPER_FAILED);
	assert_pool(0, 30, 30, 0);
	assert_said("(another guest waits for pages there, whose time would run out");
	assert_said("start it again when the other has started, lower the guest's memory by 48 "
		    "MiB, or");
	remove_process(200);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_int_equal(undo(&c), HELPER_DONE);
	assert_no_ledger();
}

static void a_guest_that_is_short_leaves_time_to_one_that_waits(void **state)
{
	(void)state;
	leave_time(9000);
	/* Half of its own comes after the other's end */
	leave_time(60000);
}

/* A host that has to put each page together: undo and settle of others wait for the ledger */
static void a_write_ends_with_the_pages_it_has_when_it_takes_long(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	kernel->page_ms = 100;
	guest_make(&a, UUID_A, "a", "started", "2048 0 40");
	a.ctx.deadline = deadline_in(60000);
	assert_int_equal(hugepages_apply(&a.ctx), HELPER_DONE);
	assert_pool(0, 40, 40, 0);
	assert_in_range(kernel->most_made, 1, 20);
	assert_int_equal(kernel->compactions, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

/* b waits for a for more than half of its time, then c waits for b, which compaction would help */
static void the_time_a_guest_has_waited_is_not_of_its_turn(void **state)
{
	_cleanup_guest_ struct guest a, b, c;
	int ready[2], status, got;
	pid_t growing, waiting;
	char byte;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 0;
	node2m(0)->scattered = 70;
	kernel->pool_ms = 200;
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&b, UUID_B, "b", "started", "2048 0 64");
	guest_make(&c, UUID_C, "c", "started", "2048 0 6");
	growing = grow_for_ever(&a, ready);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	waiting = fork();
	assert_true(waiting >= 0);
	if (waiting == 0)
		_exit(apply(&b));
	/* Of 3 s before it gives all back */
	(void)poll(NULL, 0, 1800);
	assert_int_equal(kill(growing, SIGKILL), 0);
	assert_int_equal(waitpid(growing, &status, 0), growing);
	(void)poll(NULL, 0, 60);
	got = apply(&c);
	assert_int_equal(waitpid(waiting, &status, 0), waiting);
	assert_int_equal(WEXITSTATUS(status), HELPER_DONE);
	assert_int_equal(got, HELPER_DONE);
	assert_int_equal(node2m(0)->nr, 70);
	assert_int_equal(close(ready[0]) + close(ready[1]), 0);
}

/* a fits alone and gets some with each compaction, b could never fit: b is refused, not both */
static void a_guest_that_still_gets_pages_is_not_cut_short_by_one_that_waits(void **state)
{
	const struct timespec moment = { .tv_nsec = 100000000L };
	_cleanup_guest_ struct guest a, b;
	int status;
	pid_t pid;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 0;
	node2m(0)->scattered = 400;
	kernel->per_compaction = 2;
	kernel->compact_ms = 10;
	guest_make(&a, UUID_A, "a", "started", "2048 0 360");
	guest_make(&b, UUID_B, "b", "started", "2048 0 1500");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		a.ctx.deadline = deadline_in(9000);
		_exit((int)hugepages_apply(&a.ctx));
	}
	(void)nanosleep(&moment, NULL);
	assert_int_equal(apply(&b), HELPER_FAILED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), HELPER_DONE);
	assert_pool(0, 360, 360, 0);
}

/* a's pages come one by one, and not all by its deadline, which is b's, too */
static void a_guest_that_will_not_have_all_in_time_leaves_some_to_one_that_waits(void **state)
{
	_cleanup_guest_ struct guest a, b;
	int status;
	pid_t pid;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	kernel->page_ms = 20;
	guest_make(&a, UUID_A, "a", "started", "2048 0 900");
	guest_make(&b, UUID_B, "b", "started", "2048 0 10");
	a.ctx.deadline = b.ctx.deadline = deadline_in(12000);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit((int)hugepages_apply(&a.ctx));
	(void)poll(NULL, 0, 100);
	assert_int_equal(hugepages_apply(&b.ctx), HELPER_DONE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), HELPER_FAILED);
	assert_said("another guest waits for pages there, whose time would run out");
	assert_pool(0, 10, 10, 0);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_no_ledger();
}

/* Step follows step on node 0 for a minute; each takes the ledger and lets go of it */
static void who_wants_the_ledger_for_another_node_comes_after_one_step(void **state)
{
	const struct timespec moment = { .tv_nsec = 300000000L };
	_cleanup_guest_ struct guest a, b;
	int status;
	pid_t pid;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 200000;
	put("Node 0 MemTotal: 419430400 kB\n", "sys/devices/system/node/node0/meminfo");
	put("MemTotal: 838860800 kB\nMemAvailable: 629145600 kB\n", "proc/meminfo");
	guest_make(&a, UUID_A, "a", "started", "2048 0 65536");
	guest_make(&b, UUID_B, "b", "started", "2048 1 10");
	assert_int_equal(apply(&b), HELPER_DONE);
	kernel->pool_ms = 200;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		a.ctx.deadline = deadline_in(90000);
		_exit((int)hugepages_apply(&a.ctx));
	}
	(void)nanosleep(&moment, NULL);
	assert_int_equal(undo(&b), HELPER_DONE);
	/* a was still at work */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	kernel->pool_ms = 0;
}

/* Memory that must be reclaimed for each page: 256 take 2.5 s, a guest's end waits for 1 s */
static void a_guest_on_another_node_can_end_while_one_is_given_pages(void **state)
{
	_cleanup_guest_ struct guest a, b;
	int status;
	pid_t pid;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_ENDING, DAEMON_PID);
	guest_make(&b, UUID_B, "b", "started", "2048 1 256");
	kernel->page_ms = 10;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		b.ctx.deadline = deadline_in(30000);
		_exit(hugepages_apply(&b.ctx));
	}
	/* It is at its second write, or third */
	(void)poll(NULL, 0, 1000);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(node2m(1)->nr, 256);
	/* In turns of 40: 64 at first, and 5 more */
	assert_true(kernel->ops >= 3 * 6);
}

/* Memory that must be reclaimed for the first 64 pages, and lies ready from then on */
static void one_slow_step_does_not_keep_those_after_it_small(void **state)
{
	_cleanup_guest_ struct guest a;
	int status;
	pid_t pid;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 600");
	kernel->page_ms = 15;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		a.ctx.deadline = deadline_in(30000);
		_exit((int)hugepages_apply(&a.ctx));
	}
	for (int i = 0; node2m(0)->nr < 64 && i < 3000; i++)
		(void)poll(NULL, 0, 5);
	kernel->page_ms = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_pool(0, 600, 600, 0);
	/* 64, 26, 104, 256 and 150 pages, not 26 over and over */
	assert_in_range(kernel->ops, 1 + 3 * 4, 1 + 3 * 12);
}

static void a_deadline_that_has_passed_is_a_shortage_of_time(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	a.ctx.deadline = deadline_in(0);
	assert_int_equal(hugepages_apply(&a.ctx), HELPER_FAILED);
	assert_pool(0, 0, 0, 0);
	assert_said("the time for it ran out");
	assert_no_ledger();
}

/* Of 4 s one is kept for giving back: the last write ends after three */
static void a_last_step_that_comes_late_refuses_no_guest_that_has_all(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	kernel->pool_ms = 3200;
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	assert_pool(0, 64, 64, 0);
}

/* The first need has all by then */
static void a_shortage_of_time_names_the_need_that_lacks_pages(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64;2048 1 32");
	kernel->pool_ms = 3200;
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("cannot get 32 huge pages of 2 MiB on node 1: 32 are missing");
	assert_pool(0, 0, 0, 0);
}

static void pages_that_come_at_boot_only_are_said_to_be_so(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	kernel->boot_only = true;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 1");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("cannot get huge pages of 1 GiB on node 0: Invalid argument: this kernel gives "
		    "pages of that size only at boot: add");
	assert_no_ledger();
}

static void a_damaged_ledger_refuses_the_start_and_is_named(void **state)
{
	_cleanup_guest_ struct guest a;
	_cleanup_close_ int dirfd = -1;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	dirfd = state_dir(a.ctx.statefd, "host", true);
	assert_int_equal(state_write(dirfd, "hugepages.ini", "[ledger]\nheld = 2048 0 x 3\n", 27),
			 0);
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_pool(0, 0, 0, 0);
	assert_said("/run/usher/host/hugepages.ini is damaged");
	assert_int_equal(undo(&a), HELPER_DIRTY);
}

/* --- Guests and cells that may take from the same nodes --------------------------------------- */

static void a_guest_of_any_node_leaves_a_bound_one_its_pages(void **state)
{
	(void)state;
	for (int bound_first = 0; bound_first < 2; bound_first++) {
		_cleanup_guest_ struct guest a, b;

		boot(LINUX_6_12, 0, 0);
		guest_make(&a, UUID_A, "a", "started", "2048 any 40");
		guest_make(&b, UUID_B, "b", "started", "2048 0 40");
		assert_int_equal(apply(bound_first ? &b : &a), HELPER_DONE);
		guest_state(bound_first ? &b : &a, CLAIM_HANDED, DAEMON_PID);
		assert_int_equal(apply(bound_first ? &a : &b), HELPER_DONE);
		guest_state(bound_first ? &a : &b, CLAIM_HANDED, DAEMON_PID);
		/* The one takes all of its pages where the other must */
		assert_true(node2m(0)->free >= 80);
		put_qemu(200, UUID_A, 40, 40);
		guest_state(&a, CLAIM_RUNNING, 200);
		fault(0, 40);
		assert_int_equal(settle(&a), HELPER_DONE);
		assert_int_equal(node2m(0)->free, 40);
		put_qemu(201, UUID_B, 40, 40);
		guest_state(&b, CLAIM_RUNNING, 201);
		fault(0, 40);
		assert_int_equal(settle(&b), HELPER_DONE);
		assert_pool(0, 80, 0, 80);
		assert_pool(1, 0, 0, 0);
		exit_with(0, 80);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_pool(0, 0, 0, 0);
		assert_no_ledger();
		remove_process(200);
		remove_process(201);
		guest_remove(&a);
		guest_remove(&b);
	}
}

static void what_a_bound_guest_has_lost_before_is_not_made_up_for(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 100);
	guest_make(&a, UUID_A, "a", "started", "2048 any 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	/* The admin takes away what the guest was given: not for the next one to make up for */
	admin_sets(0, 0);
	node2m(0)->room = 0;
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
}

static void cells_of_one_guest_find_their_pages_whichever_is_filled_first(void **state)
{
	static const struct {
		const char *needs;
		size_t node;
	} cases[] = { { "2048 any 60;2048 0 40", 0 }, { "2048 0-1 60;2048 1 40", 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		guest_make(&a, UUID_A, "a", "started", cases[i].needs);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_pool(cases[i].node, 100, 100, 0);
		assert_pool(1 - cases[i].node, 0, 0, 0);
		assert_int_equal(undo(&a), HELPER_DONE);
		/* There is room for each, but not wherever: QEMU may still do it right */
		boot(LINUX_6_12, 0, 0);
		node2m(cases[i].node)->room = 50;
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_pool(cases[i].node, 50, 50, 0);
		assert_pool(1 - cases[i].node, 50, 50, 0);
		assert_int_equal(undo(&a), HELPER_DONE);
		guest_remove(&a);
	}
}

static void where_both_do_not_fit_it_waits_until_the_bound_guest_has_its_pages(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(0)->room = 60;
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	guest_make(&a, UUID_A, "a", "started", "2048 any 40");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	a.ctx.deadline = deadline_in(400);
	assert_int_equal(hugepages_apply(&a.ctx), HELPER_FAILED);
	assert_said("20 are missing");
	assert_said("the time for it ran out");
	assert_said("stop guest b, which holds 40");
	assert_pool(0, 40, 40, 0);
	assert_pool(1, 0, 0, 0);
	assert_int_equal(kernel->drops, 0);
	put_qemu(200, UUID_B, 40, 40);
	fault(0, 40);
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(node2m(0)->free + node2m(1)->free, 40);
}

/* --- The spread --------------------------------------------------------------------------------- */

static void surplus_on_one_node_leaves_the_spread_even(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 400");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 400);
	put_qemu(200, UUID_A, 400, 400);
	guest_state(&a, CLAIM_RUNNING, 200);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 400, 0, 400);
	guest_make(&b, UUID_B, "b", "started", "2048 any 1000");
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_int_equal(node2m(0)->free, 500);
	assert_int_equal(node2m(1)->free, 500);
}

static void the_spread_leaves_each_node_its_part_of_the_reserve(void **state)
{
	static const char *const needs[] = { "2048 any 190", "2048 0-1 190" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		/* Of 256 MiB each keeps half */
		kernel->by_node = true;
		node2m(0)->room = 100;
		render();
		guest_make(&a, UUID_A, "a", "started", needs[i]);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_pool(0, 36, 36, 0);
		assert_pool(1, 154, 154, 0);
		assert_int_equal(undo(&a), HELPER_DONE);
		guest_remove(&a);
	}
}

static void nodes_that_say_too_little_do_not_refuse_what_fits_on_the_host(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_18, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		size_t room = node2m(i)->room;

		node2m(i)->room = 50;
		render_meminfo(i);
		node2m(i)->room = room;
	}
	guest_make(&a, UUID_A, "a", "started", "2048 any 190");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 95, 95, 0);
}

/* --- Preferred nodes ---------------------------------------------------------------------------- */

static void guest_preferring(struct guest *guest, const char *uuid, const char *nodes)
{
	char prefer[64];

	(void)snprintf(prefer, sizeof(prefer), "2048 %s 64", nodes);
	guest_make(guest, uuid, "a", "started", "2048 any 64");
	assert_int_equal(inidoc_add(&guest->ctx.claim.doc, HUGEPAGES_SECTION, "prefer", prefer), 0);
}

static void preferred_nodes_give_all_as_far_as_they_have_it(void **state)
{
	static const struct {
		const char *nodes;
		unsigned long long room1, on_node0, on_node1;
	} cases[] = {
		{ "1", 1000, 0, 64 },
		{ "1", 40, 24, 40 },
		{ "1", 0, 64, 0 },
		{ "0-1", 1000, 32, 32 },
		/* A node that is not there */
		{ "2", 1000, 32, 32 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		node2m(1)->room = cases[i].room1;
		guest_preferring(&a, UUID_A, cases[i].nodes);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_pool(0, cases[i].on_node0, cases[i].on_node0, 0);
		assert_pool(1, cases[i].on_node1, cases[i].on_node1, 0);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_pool(0, 0, 0, 0);
		assert_pool(1, 0, 0, 0);
		guest_remove(&a);
	}
}

static void a_guest_bound_elsewhere_is_no_reason_to_leave_them(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	guest_preferring(&a, UUID_A, "1");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_pool(0, 40, 40, 0);
	assert_pool(1, 64, 64, 0);
}

/* It is on the nodes it prefers for those that come later, too: else all that is promised on others
 * would look as if it might be lost to it */
static void one_that_prefers_a_node_hides_no_guest_bound_to_another(void **state)
{
	_cleanup_guest_ struct guest a, b, c;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&b, UUID_B, "b", "started", "2048 0 45");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	guest_preferring(&a, UUID_A, "1");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	guest_make(&c, UUID_C, "c", "started", "2048 any 20");
	assert_int_equal(apply(&c), HELPER_DONE);
	guest_state(&c, CLAIM_HANDED, DAEMON_PID);
	/* Wherever c takes its pages, the others find theirs */
	assert_pool(0, 65, 65, 0);
	assert_pool(1, 84, 84, 0);
	fault(1, 64);
	fault(0, 20);
	put_qemu(200, UUID_A, 64, 64);
	put_qemu(202, UUID_C, 20, 20);
	guest_state(&a, CLAIM_RUNNING, 200);
	guest_state(&c, CLAIM_RUNNING, 202);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_int_equal(settle(&c), HELPER_DONE);
	assert_int_equal(node2m(0)->free, 45);
	assert_int_equal(node2m(1)->free, 0);
}

/* Where its nodes do not have all it may take any, and the bound guest is to find its pages then */
static void one_that_prefers_a_node_without_enough_counts_for_all(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	node2m(1)->room = 40;
	guest_preferring(&a, UUID_A, "1");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	assert_pool(0, 24, 24, 0);
	assert_pool(1, 40, 40, 0);
	guest_make(&b, UUID_B, "b", "started", "2048 0 45");
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_true(node2m(0)->free >= 45 + 64);
}

static void pages_that_any_need_of_a_guest_may_be_short_of_are_counted_once(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 1 40;2048 any 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	assert_pool(1, 80, 80, 0);
	fault(1, 70);
	put_qemu(200, UUID_A, 80, 70);
	reserve(10);
	guest_make(&b, UUID_B, "b", "started", "2048 0 60;2048 any 50");
	assert_int_equal(apply(&b), HELPER_DONE);
	/* All of b's second need may come from where a has 10 to get, bound or not */
	assert_pool(1, 130, 60, 0);
}

/* libvirt has not come to its release yet, so its claim is alive */
static void a_guest_whose_qemu_has_died_takes_nothing(void **state)
{
	_cleanup_guest_ struct guest a, b, c;

	(void)state;
	boot(LINUX_6_12, 0, 48);
	guest_make(&c, UUID_C, "c", "release", "2048 any 45");
	assert_int_equal(apply(&c), HELPER_DONE);
	fault(1, 45);
	put_qemu(202, UUID_C, 45, 45);
	guest_state(&c, CLAIM_RUNNING, 202);
	guest_make(&a, UUID_A, "a", "started", "2048 0 3");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	put("", "run/libvirt/qemu/c.xml");
	put("100\n", "run/libvirtd.pid");
	remove_process(202);
	exit_with(1, 45);
	assert_int_equal(registry_alive(host->rootfd, &c.ctx.claim), 1);
	guest_make(&b, UUID_B, "b", "started", "2048 any 12");
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_true(node2m(0)->free >= 15);
	assert_pool(1, 48, 48, 0);
}

/* QEMU has them: as many again would be for nobody */
static void a_guest_that_runs_is_given_no_more(void **state)
{
	static const char *const give_back[] = { "started", "release" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(give_back); i++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 0, 0);
		guest_make(&a, UUID_A, "a", give_back[i], "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		guest_state(&a, CLAIM_HANDED, DAEMON_PID);
		fault(0, 64);
		put_qemu(201, UUID_A, 64, 64);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_pool(0, 64, 0, 0);
		assert_int_equal(settle(&a), HELPER_DONE);
		guest_state(&a, CLAIM_RUNNING, 201);
		kernel->ops = 0;
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_int_equal(kernel->ops, 0);
		assert_int_equal(node2m(0)->nr, 64);
		remove_process(201);
		guest_remove(&a);
	}
}

static void a_full_run_is_named(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	kernel->fail_at = 1;
	kernel->error = -ENOSPC;
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("/run is full");
	assert_null(strstr(kernel->said, "journalctl"));
	assert_pool(0, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(the_pool_grows_by_exactly_what_is_missing),
		kernel_test(applying_again_changes_nothing),
		kernel_test(free_pages_of_the_admin_that_suffice_leave_the_pool_alone),
		kernel_test(pages_of_any_node_are_spread_over_all),
		kernel_test(a_node_that_cannot_give_its_part_is_made_up_for_by_the_other),
		kernel_test(large_needs_are_taken_in_steps),
		kernel_test(several_needs_and_sizes_are_met_each_on_its_node),
		kernel_test(compaction_brings_what_one_write_could_not),
		kernel_test(compaction_is_left_out_when_the_policy_says_so),
		kernel_test(it_stops_when_compaction_brings_nothing),
		kernel_test(a_shortage_is_rolled_back_exactly_and_told_in_one_line),
		kernel_test(nothing_is_begun_that_would_take_what_is_kept_for_the_host),
		kernel_test(pages_reserved_by_a_database_are_not_counted_as_free),
		kernel_test(two_guests_never_count_the_same_free_page),
		kernel_test(what_a_starting_qemu_has_mapped_is_counted_once),
		kernel_test(any_of_its_needs_may_be_the_one_not_yet_faulted),
		kernel_test(a_qemu_that_may_not_be_looked_at_counts_in_full),
		kernel_test(a_dead_claim_counts_for_nothing),
		kernel_test(a_refused_guest_counts_for_nothing_while_its_claim_still_stands),
		kernel_test(a_guest_that_may_grow_keeps_its_free_pages_to_itself),
		kernel_test(a_balloon_of_any_node_does_not_open_a_bound_guests_pages_to_a_third),
		kernel_test(what_a_balloon_has_given_back_is_reserved_by_nobody),
		kernel_test(nor_is_what_postcopy_has_given_back),
		kernel_test(one_that_reserves_nothing_keeps_them_as_well),
		kernel_test(surplus_on_the_same_node_is_taken_back_in_the_one_write),
		kernel_test(each_side_effect_that_fails_leaves_the_pools_as_before),
		kernel_test(a_kernel_that_says_yes_and_does_nothing_is_a_shortage),
		kernel_test(pages_too_many_are_given_back_at_once),
		kernel_test(what_an_admin_sets_behind_our_write_is_no_error_of_the_kernels),
		kernel_test(surplus_on_another_node_does_not_mislead_any_kernel),
		kernel_test(a_node_that_is_taken_out_meanwhile_costs_the_next_one_no_page),
		kernel_test(a_process_kept_off_a_node_is_told_so_and_changes_nothing),
		kernel_test(a_kernel_without_numa_has_one_pool),
		kernel_test(a_dry_run_prints_the_writes_and_makes_none),
		kernel_test(a_guest_waits_for_its_turn_no_longer_than_its_deadline),
		kernel_test(only_a_guest_on_the_same_node_is_waited_for),
		kernel_test(who_waits_for_one_node_holds_up_nobody_on_another),
		kernel_test(a_guest_whose_pages_lie_ready_waits_for_no_turn),
		kernel_test(one_that_is_refused_with_its_pages_ready_is_promised_none),
		kernel_test(a_guest_that_is_short_leaves_time_to_one_that_waits),
		kernel_test(a_write_ends_with_the_pages_it_has_when_it_takes_long),
		kernel_test(the_time_a_guest_has_waited_is_not_of_its_turn),
		kernel_test(a_guest_that_still_gets_pages_is_not_cut_short_by_one_that_waits),
		kernel_test(a_guest_that_will_not_have_all_in_time_leaves_some_to_one_that_waits),
		kernel_test(who_wants_the_ledger_for_another_node_comes_after_one_step),
		kernel_test(a_guest_on_another_node_can_end_while_one_is_given_pages),
		kernel_test(one_slow_step_does_not_keep_those_after_it_small),
		kernel_test(a_deadline_that_has_passed_is_a_shortage_of_time),
		kernel_test(a_last_step_that_comes_late_refuses_no_guest_that_has_all),
		kernel_test(a_shortage_of_time_names_the_need_that_lacks_pages),
		kernel_test(pages_that_come_at_boot_only_are_said_to_be_so),
		kernel_test(a_damaged_ledger_refuses_the_start_and_is_named),
		kernel_test(a_guest_of_any_node_leaves_a_bound_one_its_pages),
		kernel_test(what_a_bound_guest_has_lost_before_is_not_made_up_for),
		kernel_test(cells_of_one_guest_find_their_pages_whichever_is_filled_first),
		kernel_test(where_both_do_not_fit_it_waits_until_the_bound_guest_has_its_pages),
		kernel_test(surplus_on_one_node_leaves_the_spread_even),
		kernel_test(the_spread_leaves_each_node_its_part_of_the_reserve),
		kernel_test(nodes_that_say_too_little_do_not_refuse_what_fits_on_the_host),
		kernel_test(preferred_nodes_give_all_as_far_as_they_have_it),
		kernel_test(a_guest_bound_elsewhere_is_no_reason_to_leave_them),
		kernel_test(a_guest_that_runs_is_given_no_more),
		kernel_test(a_full_run_is_named),
		kernel_test(one_that_prefers_a_node_hides_no_guest_bound_to_another),
		kernel_test(one_that_prefers_a_node_without_enough_counts_for_all),
		kernel_test(pages_that_any_need_of_a_guest_may_be_short_of_are_counted_once),
		kernel_test(a_guest_whose_qemu_has_died_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
