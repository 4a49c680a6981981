/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_giveback_test.c - the pool's exact old value, whoever ends first */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive attr_read_all */
#include "hugetlb.h"

#include "lib/attr.h"
#include "lib/deadline.h"

/* A QEMU that faults its pages while another guest settles: just before its own smaps is read */
static struct {
	int pid; /* 0: none */
	const char *uuid;
	size_t node;
	unsigned long long nr_pages;
} meanwhile;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len);
int __wrap_attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

int __wrap_attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	char smaps[32];

	(void)snprintf(smaps, sizeof(smaps), "proc/%d/smaps", meanwhile.pid);
	if (meanwhile.pid && strcmp(path, smaps) == 0) {
		fault(meanwhile.node, meanwhile.nr_pages);
		put_qemu(meanwhile.pid, meanwhile.uuid, meanwhile.nr_pages, meanwhile.nr_pages);
		meanwhile.pid = 0;
	}
	return __real_attr_read_all(rootfd, path, max, ret, ret_len);
}

static void started(struct guest *guest)
{
	assert_int_equal(settle(guest), HELPER_DONE);
	guest_state(guest, CLAIM_RUNNING, DAEMON_PID);
}

static void released(struct guest *guest)
{
	guest_state(guest, CLAIM_ENDING, DAEMON_PID);
	assert_int_equal(undo(guest), HELPER_DONE);
	guest_remove(guest);
}

static void after_started_the_kernel_frees_the_pages_itself(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	started(&a);
	assert_pool(0, 64, 0, 54);
	assert_no_ledger();
	exit_with(0, 64);
	assert_pool(0, 10, 10, 0);
	released(&a);
	assert_pool(0, 10, 10, 0);
}

static void settling_and_undoing_twice_is_as_once(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	started(&a);
	started(&a);
	assert_pool(0, 64, 0, 64);
	exit_with(0, 64);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
}

static void a_guest_that_never_ran_gives_back_free_pages(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 7);
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	released(&a);
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 7, 7, 0);
	assert_no_ledger();
}

static void undo_without_apply_does_nothing(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_int_equal(kernel->ops, 0);
	/* Nor on a host without any state of usher's */
	cleanup_close(&a.ctx.statefd);
	a.ctx.statefd = -1;
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_int_equal(undo(&a), HELPER_DONE);
}

static void a_guest_that_may_grow_keeps_its_pool_until_it_is_released(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 50);
	started(&a);
	assert_pool(0, 64, 14, 0);
	exit_with(0, 50);
	released(&a);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

static void assert_kept(const char *why)
{
	static const char line[] = "its huge pages go back to the host only when it is released";

	if (!why) {
		assert_string_equal(kernel->said, "");
		return;
	}
	assert_ptr_equal(strstr(kernel->said, line), kernel->said);
	assert_said(why);
	assert_null(strstr(kernel->said + 1, line));
	assert_null(strchr(kernel->said, '\n'));
}

/* @pool: pages that the admin has for it. @why: NULL when nothing is said */
static void settle_is_said(unsigned long long pool, const char *give_back, bool incoming,
			   const char *why)
{
	_cleanup_guest_ struct guest a;

	boot(LINUX_6_12, pool, 0);
	guest_make(&a, UUID_A, "a", give_back, "2048 0 32;2048 0,1 32");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, node2m(0)->free);
	fault(1, node2m(1)->free);
	(incoming ? put_incoming_qemu : put_qemu)(200, UUID_A, 64, 64);
	started(&a);
	assert_kept(why);
	remove_process(200);
	guest_remove(&a);
	assert_int_equal(state_remove_dir(host->rootfd, "run/usher/host"), 0);
}

static void a_guest_that_keeps_its_pages_until_its_release_is_told_so_once(void **state)
{
	(void)state;
	settle_is_said(0, "release", false, "(a balloon, virtio-mem)");
	settle_is_said(0, "started", true, "migration");
	settle_is_said(0, "started", false, NULL);
	/* There is nothing of usher's to go back */
	settle_is_said(64, "release", false, NULL);
}

static void what_was_there_wherever_qemu_would_take_it_goes_once_it_has(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 any 60;2048 0 40;2048 1 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DAEMON_PID);
	assert_pool(0, 100, 100, 0);
	assert_pool(1, 100, 100, 0);
	fault(0, 95);
	fault(1, 40);
	put_qemu(201, UUID_A, 140, 135);
	started(&a);
	/* 5 are still to be taken, for whichever need */
	assert_int_equal(node2m(0)->free, 5);
	assert_in_range(node2m(1)->free, 5, 10);
	fault(1, 5);
	put_qemu(201, UUID_A, 140, 140);
	started(&a);
	assert_pool(0, 95, 0, 0);
	assert_pool(1, 45, 0, 0);
	exit_with(0, 95);
	exit_with(1, 45);
	remove_process(201);
	released(&a);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 0, 0, 0);
	assert_no_ledger();
}

/* What two guests do, in every order in which that can happen */
enum act { GET, TAKE, START, END, RELEASE, NR_ACTS };

struct player {
	struct guest guest;
	size_t node;
	unsigned long long nr_pages;
	bool dies_early; /* QEMU never runs */
	int next;
};

static int qemu_pid(const struct player *player)
{
	return 200 + player->guest.ctx.claim.uuid[0];
}

static void put_qemu_on(int pid, const char *uuid, size_t node, unsigned long long nr_pages)
{
	char maps[128];

	put_qemu(pid, uuid, nr_pages, nr_pages);
	(void)snprintf(maps, sizeof(maps),
		       "7f00 default file=/dev/hugepages/ram huge dirty=%llu N%zu=%llu "
		       "kernelpagesize_kB=2048\n",
		       nr_pages, node, nr_pages);
	put(maps, "proc/%d/numa_maps", pid);
}

static void runs(struct player *player)
{
	fault(player->node, player->nr_pages);
	put_qemu_on(qemu_pid(player), player->guest.ctx.claim.uuid, player->node, player->nr_pages);
}

static void dies(struct player *player)
{
	exit_with(player->node, player->nr_pages);
	remove_process(qemu_pid(player));
}

static void play(struct player *player)
{
	switch (player->next++) {
	case GET:
		/* Whatever else the machine is doing: there is one of these a thousand times */
		player->guest.ctx.deadline = deadline_in(60000);
		if (hugepages_apply(&player->guest.ctx) != HELPER_DONE)
			fail_msg("refused: %s", kernel->said);
		guest_state(&player->guest, CLAIM_HANDED, DAEMON_PID);
		break;
	case TAKE:
		if (!player->dies_early)
			runs(player);
		break;
	case START:
		if (!player->dies_early)
			started(&player->guest);
		break;
	case END:
		if (!player->dies_early)
			dies(player);
		break;
	case RELEASE:
		released(&player->guest);
		break;
	default:
		fail();
	}
}

/* @order: bit N says who acts in step N */
static bool order_is_whole(unsigned int order)
{
	return (unsigned int)__builtin_popcount(order) == NR_ACTS;
}

/* It ends, and begins again with as many pages: fault() asserts that they are there */
static void database_restarts(unsigned long long nr_pages)
{
	exit_with(0, nr_pages);
	fault(0, nr_pages);
}

/* Pages promised to one guest must be there when its QEMU takes them: fault() asserts it */
static void play_order(enum kernel_version version, unsigned int order, const char *give_back,
		       size_t node_b, int early, unsigned long long database)
{
	struct player players[2] = { { .node = 0, .nr_pages = 64, .dies_early = early & 1 },
				     { .node = node_b, .nr_pages = 40, .dies_early = early & 2 } };
	char need[32];

	boot(version, 10, 3);
	guest_make(&players[0].guest, UUID_A, "a", give_back, "2048 0 64");
	(void)snprintf(need, sizeof(need), "2048 %zu 40", node_b);
	guest_make(&players[1].guest, UUID_B, "b", "started", need);
	fault(0, database);
	for (int i = 0; i < 2 * NR_ACTS; i++) {
		play(&players[(order >> i) & 1]);
		database_restarts(database);
	}
	exit_with(0, database);
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 3, 3, 0);
	assert_no_ledger();
	guest_free(&players[0].guest);
	guest_free(&players[1].guest);
}

static void two_guests_in_any_order_end_at_the_exact_old_value(void **state)
{
	unsigned int orders = 0;

	(void)state;
	for (unsigned int order = 0; order < 1U << (2 * NR_ACTS); order++) {
		if (!order_is_whole(order))
			continue;
		play_order((enum kernel_version)(orders % NR_KERNELS), order, "started", 0, 0, 0);
		play_order(LINUX_6_1, order, "started", 1, 0, 0);
		play_order(LINUX_6_12, order, "started", 1, 0, 0);
		orders++;
	}
	assert_int_equal(orders, 252);
}

static void so_do_guests_of_which_one_never_runs_or_may_grow(void **state)
{
	(void)state;
	for (unsigned int order = 0; order < 1U << (2 * NR_ACTS); order++) {
		if (!order_is_whole(order))
			continue;
		play_order(LINUX_6_1, order, "started", order / 2 % 2, 1, 0);
		play_order(LINUX_6_12, order, "started", order / 4 % 2, 2, 0);
		play_order(LINUX_6_12, order, "release", order / 8 % 2, 0, 0);
		play_order(LINUX_6_18, order, "started", order / 16 % 2, 3, 0);
	}
}

static void a_database_may_restart_at_any_time(void **state)
{
	unsigned int orders = 0;

	(void)state;
	for (unsigned int order = 0; order < 1U << (2 * NR_ACTS); order++) {
		if (!order_is_whole(order))
			continue;
		play_order((enum kernel_version)(orders % NR_KERNELS), order, "started",
			   order / 2 % 2, (int)(order / 4 % 3), 10);
		play_order(LINUX_6_12, order, order / 8 % 2 ? "started" : "release", order / 4 % 2,
			   0, 7);
		orders++;
	}
}

static void settling_does_not_take_the_pages_another_guest_was_promised(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&b, UUID_B, "b", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	put_qemu(200, UUID_A, 64, 64);
	assert_int_equal(apply(&b), HELPER_DONE);
	started(&a);
	/* Nothing can be written down while b's pages lie ready */
	assert_pool(0, 128, 64, 0);
	fault(0, 64);
	started(&b);
	assert_pool(0, 128, 0, 128);
	assert_no_ledger();
}

/* One QEMU faults its pages under the eyes of settle; those of the third guest still lie ready */
static void settling_takes_no_promised_page_while_another_qemu_faults_its_own(void **state)
{
	_cleanup_guest_ struct guest a, b, c;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 16");
	guest_make(&b, UUID_B, "b", "started", "2048 0 16");
	guest_make(&c, UUID_C, "c", "started", "2048 0 16");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_int_equal(apply(&c), HELPER_DONE);
	put_qemu(200, UUID_A, 16, 16);
	fault(0, 16);
	put_qemu(300, UUID_B, 0, 0);
	meanwhile.pid = 300, meanwhile.uuid = UUID_B, meanwhile.nr_pages = 16;
	started(&a);
	assert_int_equal(meanwhile.pid, 0);
	assert_int_equal(node2m(0)->free, 16);
	put_qemu(400, UUID_C, 16, 16);
	fault(0, 16);
	started(&b);
	started(&c);
	assert_pool(0, 48, 0, 48);
	assert_no_ledger();
}

static void what_could_not_be_paid_is_paid_by_the_next_that_ends(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&b, UUID_B, "b", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	put_qemu(200, UUID_A, 64, 64);
	assert_int_equal(apply(&b), HELPER_DONE);
	started(&a);
	exit_with(0, 64);
	remove_process(200);
	released(&a);
	/* a's pages go, b's stay */
	assert_pool(0, 64, 64, 0);
	released(&b);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

static void pages_of_one_that_ended_are_taken_over_by_one_that_starts(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&b, UUID_B, "b", "started", "2048 0 60");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DEAD_PID);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	released(&a);
	assert_pool(0, 60, 60, 0);
	fault(0, 60);
	started(&b);
	assert_pool(0, 60, 0, 60);
	exit_with(0, 60);
	released(&b);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

static void what_the_admin_sets_meanwhile_is_what_is_left(void **state)
{
	static const unsigned long long numbers[] = { 100, 64, 40, 20, 10, 3 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		_cleanup_guest_ struct guest a;
		/* To set what is there already is no change that anybody could see */
		unsigned long long left = numbers[i] == 64 ? 10 : numbers[i];

		boot(LINUX_6_12, 10, 0);
		guest_make(&a, UUID_A, "a", "release", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		admin_sets(0, 84);
		admin_sets(0, numbers[i]);
		released(&a);
		assert_pool(0, left, left, 0);
		assert_no_ledger();
	}
}

static void a_pool_the_admin_lowers_is_not_lowered_again(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 0 64");
	guest_make(&b, UUID_B, "b", "release", "2048 0 30");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 94, 94, 0);
	admin_sets(0, 10);
	released(&b);
	released(&a);
	assert_pool(0, 10, 10, 0);
	assert_no_ledger();
}

static void a_pool_the_admin_empties_stays_empty(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	admin_sets(0, 0);
	assert_pool(0, 64, 0, 64);
	exit_with(0, 64);
	released(&a);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

static void pages_the_guest_did_not_take_are_freed_on_every_node(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a;

		boot((enum kernel_version)version, 0, 0);
		kernel->nr_nodes = 3;
		node2m(2)->room = 1000;
		kernel->in_files = false;
		render();
		put("0-2\n", "sys/devices/system/node/has_memory");
		put("Node 2 MemTotal: 4194304 kB\n", "sys/devices/system/node/node2/meminfo");
		guest_make(&a, UUID_A, "a", "started", "2048 any 150");
		assert_int_equal(apply(&a), HELPER_DONE);
		fault(0, 45);
		fault(1, 48);
		fault(2, 41);
		started(&a);
		assert_pool(0, 45, 0, 45);
		assert_pool(1, 48, 0, 48);
		assert_pool(2, 41, 0, 41);
		assert_no_ledger();
		guest_remove(&a);
	}
}

static void a_database_keeps_the_pages_it_has_reserved(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a;

		boot((enum kernel_version)version, 20, 0);
		reserve(20);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_pool(0, 84, 84, 0);
		fault(0, 64);
		started(&a);
		assert_pool(0, 84, 20, 64);
		exit_with(0, 64);
		released(&a);
		assert_pool(0, 20, 20, 0);
		assert_int_equal(size2m()->resv, 20);
	}
}

static void runs_on(struct guest *guest, int pid, size_t node, unsigned long long nr_pages)
{
	fault(node, nr_pages);
	put_qemu_on(pid, guest->ctx.claim.uuid, node, nr_pages);
	assert_int_equal(settle(guest), HELPER_DONE);
	guest_state(guest, CLAIM_RUNNING, pid);
}

static void ends_on(struct guest *guest, int pid, size_t node, unsigned long long nr_pages)
{
	exit_with(node, nr_pages);
	remove_process(pid);
	released(guest);
}

/* What its balloon gives back the kernel would take for a page of a guest that has settled */
static void a_balloon_finds_its_pages_again_beside_a_guest_that_has_settled(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a, b;

		boot((enum kernel_version)version, 10, 0);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		runs_on(&a, 200, 0, 64);
		assert_pool(0, 64, 0, 54);
		guest_make(&b, UUID_B, "b", "release", "2048 0 30");
		assert_int_equal(apply(&b), HELPER_DONE);
		runs_on(&b, 201, 0, 30);
		assert_pool(0, 94, 0, 0);
		exit_with(0, 20);
		put_qemu_on(201, UUID_B, 0, 10);
		assert_pool(0, 94, 20, 0);
		fault(0, 20);
		put_qemu_on(201, UUID_B, 0, 30);
		ends_on(&a, 200, 0, 64);
		assert_pool(0, 40, 10, 0);
		ends_on(&b, 201, 0, 30);
		assert_pool(0, 10, 10, 0);
		assert_no_ledger();
	}
}

static void so_does_one_that_was_there_before(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&b, UUID_B, "b", "release", "2048 0 30");
	assert_int_equal(apply(&b), HELPER_DONE);
	runs_on(&b, 201, 0, 30);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 200, 0, 64);
	assert_pool(0, 94, 0, 0);
	ends_on(&b, 201, 0, 30);
	assert_pool(0, 64, 0, 64);
	ends_on(&a, 200, 0, 64);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

static void on_a_node_where_none_may_grow_pages_go_with_their_guest(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&b, UUID_B, "b", "release", "2048 1 30");
	assert_int_equal(apply(&b), HELPER_DONE);
	runs_on(&b, 201, 1, 30);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 200, 0, 64);
	assert_pool(0, 64, 0, 64);
	assert_pool(1, 30, 0, 0);
	ends_on(&a, 200, 0, 64);
	ends_on(&b, 201, 1, 30);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 0, 0, 0);
	assert_no_ledger();
}

static void a_database_that_restarts_beside_a_guest_finds_its_pages_again(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a;

		boot((enum kernel_version)version, 100, 0);
		fault(0, 90);
		guest_make(&a, UUID_A, "a", "started", "2048 0 32");
		assert_int_equal(apply(&a), HELPER_DONE);
		runs_on(&a, 201, 0, 32);
		assert_pool(0, 122, 0, 0);
		exit_with(0, 90);
		assert_pool(0, 122, 90, 0);
		fault(0, 90);
		ends_on(&a, 201, 0, 32);
		assert_pool(0, 100, 10, 0);
		assert_no_ledger();
	}
}

static void so_does_one_that_had_only_reserved_them(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 20, 0);
	reserve(20);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 201, 0, 64);
	unreserve(20);
	fault(0, 20);
	exit_with(0, 20);
	assert_pool(0, 84, 20, 0);
	ends_on(&a, 201, 0, 64);
	assert_pool(0, 20, 20, 0);
	assert_no_ledger();
}

/* The last one leaves nothing behind, whatever the database has taken */
static void beside_a_database_pages_go_as_they_become_free(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a, b;

		boot((enum kernel_version)version, 30, 0);
		fault(0, 30);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		runs_on(&a, 201, 0, 64);
		guest_make(&b, UUID_B, "b", "started", "2048 0 32");
		assert_int_equal(apply(&b), HELPER_DONE);
		runs_on(&b, 202, 0, 32);
		assert_pool(0, 126, 0, 0);
		ends_on(&a, 201, 0, 64);
		assert_pool(0, 62, 0, 0);
		exit_with(0, 30);
		fault(0, 30);
		exit_with(0, 32);
		fault(0, 8);
		remove_process(202);
		released(&b);
		assert_pool(0, 38, 0, 8);
		assert_no_ledger();
	}
}

static void a_database_on_another_node_keeps_no_pages_there(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 40);
	fault(1, 30);
	reserve(10);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(1, 10);
	size2m()->resv = 0;
	runs_on(&a, 201, 0, 64);
	assert_int_equal(node2m(0)->surplus, 64);
	assert_no_ledger();
	ends_on(&a, 201, 0, 64);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 40, 0, 0);
}

static void one_that_has_room_on_a_node_keeps_it_while_the_guest_is_on_another(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 40, 40);
	fault(0, 20);
	fault(1, 20);
	reserve(40);
	guest_make(&a, UUID_A, "a", "started", "2048 any 16");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 201, 0, 16);
	assert_int_equal(node2m(0)->surplus + node2m(1)->surplus, 0);
	assert_int_equal(node2m(0)->nr + node2m(1)->nr, 96);
	ends_on(&a, 201, 0, 16);
	assert_pool(0, 40, 20, 0);
	assert_pool(1, 40, 20, 0);
	assert_no_ledger();
}

static void a_guest_takes_nothing_of_what_may_be_overcommitted(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	put("20\n", "sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages");
	guest_make(&a, UUID_A, "a", "started", "2048 0 32");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 201, 0, 32);
	assert_pool(0, 32, 0, 0);
	ends_on(&a, 201, 0, 32);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

/* A mapping needs as many free pages that nobody has reserved, on whichever nodes */
static void what_is_promised_on_one_node_can_be_mapped_after_pages_went_on_another(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 20);
	guest_make(&b, UUID_B, "b", "started", "2048 1 40");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	reserve(20);
	released(&a);
	assert_pool(0, 20, 20, 0);
	assert_pool(1, 40, 40, 0);
	reserve(40);
	fault(1, 40);
	size2m()->resv -= 40;
	put_qemu_on(201, UUID_B, 1, 40);
	assert_int_equal(settle(&b), HELPER_DONE);
	guest_state(&b, CLAIM_RUNNING, 201);
	unreserve(20);
	ends_on(&b, 201, 1, 40);
	assert_pool(0, 0, 0, 0);
	assert_pool(1, 20, 20, 0);
	assert_no_ledger();
}

/* Which node it will take them from nobody knows */
static void one_that_has_only_reserved_pages_counts_on_every_node(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 20, 0);
	reserve(20);
	guest_make(&a, UUID_A, "a", "started", "2048 1 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 201, 1, 64);
	assert_pool(0, 20, 20, 0);
	assert_pool(1, 64, 0, 0);
	ends_on(&a, 201, 1, 64);
	assert_pool(0, 20, 20, 0);
	assert_pool(1, 0, 0, 0);
	assert_no_ledger();
}

/* Pages that it has not taken when it has settled are no database's */
static void what_a_guest_has_itself_reserved_stops_nothing(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 50);
	reserve(14);
	put_qemu_on(201, UUID_A, 0, 50);
	put_qemu(201, UUID_A, 64, 50);
	guest_state(&a, CLAIM_RUNNING, 201);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 64, 14, 50);
	unreserve(14);
	ends_on(&a, 201, 0, 50);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

/* On node 1, where the database has none */
static void a_balloons_pages_are_not_taken_for_those_a_database_has_reserved(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 5, 0);
	reserve(5);
	guest_make(&a, UUID_A, "a", "release", "2048 1 20");
	assert_int_equal(apply(&a), HELPER_DONE);
	runs_on(&a, 200, 1, 20);
	exit_with(1, 8);
	put_qemu_on(200, UUID_A, 1, 12);
	put_qemu(200, UUID_A, 20, 12);
	guest_make(&b, UUID_B, "b", "started", "2048 0 10");
	assert_int_equal(apply(&b), HELPER_DONE);
	runs_on(&b, 201, 0, 10);
	assert_int_equal(node2m(0)->surplus, 0);
	ends_on(&b, 201, 0, 10);
	ends_on(&a, 200, 1, 12);
	assert_pool(0, 5, 5, 0);
	assert_pool(1, 0, 0, 0);
	assert_no_ledger();
}

static void put_qemu_on_both(int pid, const char *uuid, unsigned long long mapped,
			     unsigned long long on_node0, unsigned long long on_node1)
{
	char maps[128];

	put_qemu(pid, uuid, mapped, on_node0 + on_node1);
	(void)snprintf(maps, sizeof(maps),
		       "7f00 default file=/dev/hugepages/ram huge N0=%llu N1=%llu "
		       "kernelpagesize_kB=2048\n",
		       on_node0, on_node1);
	put(maps, "proc/%d/numa_maps", pid);
}

/* b runs on pages of the admin's on node 0, a on its own on node 1; a ends, c starts on its pages */
static void starts_on_the_pages_of_another(struct guest *a, struct guest *b, struct guest *c)
{
	guest_make(b, UUID_B, "b", "started", "2048 0 6");
	assert_int_equal(apply(b), HELPER_DONE);
	runs_on(b, 202, 0, 6);
	guest_make(a, UUID_A, "a", "release", "2048 1 10");
	assert_int_equal(apply(a), HELPER_DONE);
	runs_on(a, 201, 1, 10);
	exit_with(1, 10);
	remove_process(201);
	guest_state(a, CLAIM_ENDING, DAEMON_PID);
	guest_make(c, UUID_C, "c", "started", "2048 any 5");
	assert_int_equal(apply(c), HELPER_DONE);
	guest_state(c, CLAIM_HANDED, DAEMON_PID);
	assert_pool(1, 10, 10, 0);
}

/* A free page that is surplus is freed by nobody when whoever has reserved it takes another one */
static void what_is_reserved_and_then_taken_elsewhere_does_not_stay(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a, b, c;

		boot((enum kernel_version)version, 6, 0);
		node2m(0)->room = 0;
		starts_on_the_pages_of_another(&a, &b, &c);
		reserve(3);
		fault(1, 2);
		put_qemu_on_both(203, UUID_C, 5, 0, 2);
		released(&a);
		assert_pool(1, 5, 3, 2);
		/* b ends: c takes the rest from node 0 */
		ends_on(&b, 202, 0, 6);
		size2m()->resv -= 3;
		fault(0, 3);
		put_qemu_on_both(203, UUID_C, 5, 3, 2);
		assert_int_equal(settle(&c), HELPER_DONE);
		guest_state(&c, CLAIM_RUNNING, 203);
		exit_with(0, 3);
		ends_on(&c, 203, 1, 2);
		assert_pool(0, 6, 6, 0);
		assert_pool(1, 0, 0, 0);
		assert_no_ledger();
	}
}

/* It holds none yet, and those it finds are the database's when that one is gone for a moment */
static void a_guest_that_has_its_pages_still_to_take_is_one_beside_a_database(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 30, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_make(&b, UUID_B, "b", "started", "2048 1 32");
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&b, CLAIM_HANDED, DAEMON_PID);
	fault(0, 64);
	released(&a);
	/* All of what is there is a database's, and b has mapped its own and touched none */
	reserve(32);
	put_qemu(201, UUID_B, 32, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 64, 0, 0);
	exit_with(0, 64);
	assert_pool(0, 64, 64, 0);
	unreserve(32);
	remove_process(201);
	released(&b);
	assert_pool(0, 30, 30, 0);
	assert_pool(1, 0, 0, 0);
	assert_no_ledger();
}

static void a_claim_removed_by_hand_leaves_its_pages_to_the_next(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	guest_make(&b, UUID_B, "b", "started", "2048 0 30");
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_remove(&a);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

static void a_write_that_fails_leaves_the_debt_to_the_next_try(void **state)
{
	(void)state;
	for (unsigned long long n = 1; n <= 4; n++) {
		_cleanup_guest_ struct guest a;

		boot(LINUX_6_12, 10, 0);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		kernel->ops = 0;
		kernel->fail_at = n;
		assert_int_equal(undo(&a), HELPER_DIRTY);
		assert_said("run usher recover");
		kernel->fail_at = 0;
		released(&a);
		assert_pool(0, 10, 10, 0);
		assert_no_ledger();
	}
}

static void a_kernel_that_takes_nothing_back_is_told(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	kernel->deaf = true;
	assert_int_equal(undo(&a), HELPER_DIRTY);
	assert_said("the kernel did not take them");
	fault(0, 64);
	assert_int_equal(settle(&a), HELPER_FAILED);
	exit_with(0, 64);
	kernel->deaf = false;
	released(&a);
	assert_pool(0, 10, 10, 0);
}

static void a_page_that_goes_bad_is_not_owed(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	/* The kernel takes a page with a memory error out of the pool */
	put("MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\nHardwareCorrupted: 4 kB\n",
	    "proc/meminfo");
	node2m(0)->nr--;
	node2m(0)->free--;
	render();
	released(&a);
	assert_pool(0, 10, 10, 0);
	assert_no_ledger();
}

/* Holds the ledger, as one does that is being given pages */
static int hold_ledger(const struct guest *guest)
{
	_cleanup_close_ int dirfd = state_dir(guest->ctx.statefd, "host", true);
	int lockfd = state_lock(dirfd, "hugepages.lock", 0);

	assert_true(lockfd >= 0);
	return lockfd;
}

static void a_busy_ledger_is_told_as_such_and_waited_for_no_longer_than_there_is_time(void **state)
{
	_cleanup_close_ int lock = -1;
	_cleanup_guest_ struct guest a;
	long long begun;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	fault(0, 64);
	lock = hold_ledger(&a);
	a.ctx.deadline = deadline_in(200);
	begun = now_ms();
	assert_int_equal(settle(&a), HELPER_FAILED);
	assert_in_range(now_ms() - begun, 50, 600);
	assert_said("usher's ledger was busy for ");
	assert_said(
		" ms, another usher-hugepages is at work (fuser /run/usher/host/hugepages.lock): "
		"they are given back when it is");
	assert_null(strstr(kernel->said, "timed out"));
	exit_with(0, 64);
	kernel->said[0] = '\0';
	a.ctx.deadline = deadline_in(200);
	assert_int_equal(undo(&a), HELPER_DIRTY);
	assert_said("usher's ledger was busy for ");
	assert_said("run usher recover, or the next start of any guest does it");
	assert_null(strstr(kernel->said, "timed out"));
	cleanup_close(&lock);
	released(&a);
	assert_pool(0, 10, 10, 0);
	assert_no_ledger();
}

/* In a process of its own: it gives up what it may do. Return: its exit code */
static int settle_by_hand(const struct guest *guest)
{
	static const struct helper_command settling = { "settle", "CLAIM", "", true,
							hugepages_settle };
	struct helper helper = test_helper;
	char name[] = "usher-hugepages", root[] = "--root", timeout[] = "--timeout=200";
	char verb[] = "settle", path[PATH_MAX];
	char *argv[] = { name, root, host->dir, timeout, verb, path, NULL };
	int status;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/run/usher/%s/claim.ini", host->dir,
		       guest->ctx.claim.uuid);
	helper.commands = &settling;
	helper.nr_commands = 1;
	helper.undo_timeout_ms = 60000;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(helper_main(6, argv, &helper));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void settle_ends_within_the_time_it_is_given(void **state)
{
	_cleanup_close_ int lock = -1;
	_cleanup_guest_ struct guest a;
	long long begun;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	lock = hold_ledger(&a);
	begun = now_ms();
	assert_int_equal(settle_by_hand(&a), HELPER_FAILED);
	assert_in_range(now_ms() - begun, 50, 1000);
	assert_said("usher's ledger was busy for ");
}

static void a_node_that_is_taken_out_does_not_stop_the_others(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(apply(&a), HELPER_DONE);
	put("0\n", "sys/devices/system/node/has_memory");
	released(&a);
	assert_pool(0, 0, 0, 0);
}

static void an_undo_in_a_dry_run_prints_what_it_would_write(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[512] = "";
	FILE *out = tmpfile(), *old = stdout;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64;2048 1 5");
	assert_int_equal(apply(&a), HELPER_DONE);
	kernel->ops = 0;
	a.ctx.dry_run = true;
	stdout = out;
	assert_int_equal(undo(&a), HELPER_DONE);
	stdout = old;
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(kernel->ops, 0);
	assert_pool(0, 64, 64, 0);
	assert_string_equal(
		text,
		"write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages 10\n"
		"write /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages 0\n");
}

static void a_guest_that_comes_by_migration_keeps_its_pages_until_its_end(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 40");
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	assert_int_equal(apply(&a), HELPER_DONE);
	put_incoming_qemu(200, UUID_A, 40, 40);
	guest_state(&a, CLAIM_RUNNING, 200);
	fault(0, 40);
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_pool(0, 40, 0, 0);
	/* Postcopy: it gives 10 back for a while, and nobody may count on them */
	node2m(0)->free += 10;
	put_incoming_qemu(200, UUID_A, 30, 30);
	render();
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 80, 50, 0);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 40, 10, 0);
	fault(0, 10);
	exit_with(0, 40);
	remove_process(200);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_pool(0, 0, 0, 0);
	assert_no_ledger();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(after_started_the_kernel_frees_the_pages_itself),
		kernel_test(settling_and_undoing_twice_is_as_once),
		kernel_test(a_guest_that_never_ran_gives_back_free_pages),
		kernel_test(undo_without_apply_does_nothing),
		kernel_test(a_guest_that_may_grow_keeps_its_pool_until_it_is_released),
		kernel_test(a_guest_that_keeps_its_pages_until_its_release_is_told_so_once),
		kernel_test(what_was_there_wherever_qemu_would_take_it_goes_once_it_has),
		kernel_test(two_guests_in_any_order_end_at_the_exact_old_value),
		kernel_test(so_do_guests_of_which_one_never_runs_or_may_grow),
		kernel_test(a_database_may_restart_at_any_time),
		kernel_test(settling_does_not_take_the_pages_another_guest_was_promised),
		kernel_test(settling_takes_no_promised_page_while_another_qemu_faults_its_own),
		kernel_test(what_could_not_be_paid_is_paid_by_the_next_that_ends),
		kernel_test(pages_of_one_that_ended_are_taken_over_by_one_that_starts),
		kernel_test(what_the_admin_sets_meanwhile_is_what_is_left),
		kernel_test(a_pool_the_admin_lowers_is_not_lowered_again),
		kernel_test(a_pool_the_admin_empties_stays_empty),
		kernel_test(pages_the_guest_did_not_take_are_freed_on_every_node),
		kernel_test(a_database_keeps_the_pages_it_has_reserved),
		kernel_test(a_balloon_finds_its_pages_again_beside_a_guest_that_has_settled),
		kernel_test(so_does_one_that_was_there_before),
		kernel_test(on_a_node_where_none_may_grow_pages_go_with_their_guest),
		kernel_test(a_database_that_restarts_beside_a_guest_finds_its_pages_again),
		kernel_test(so_does_one_that_had_only_reserved_them),
		kernel_test(beside_a_database_pages_go_as_they_become_free),
		kernel_test(a_database_on_another_node_keeps_no_pages_there),
		kernel_test(one_that_has_room_on_a_node_keeps_it_while_the_guest_is_on_another),
		kernel_test(a_guest_takes_nothing_of_what_may_be_overcommitted),
		kernel_test(what_is_promised_on_one_node_can_be_mapped_after_pages_went_on_another),
		kernel_test(one_that_has_only_reserved_pages_counts_on_every_node),
		kernel_test(what_a_guest_has_itself_reserved_stops_nothing),
		kernel_test(a_balloons_pages_are_not_taken_for_those_a_database_has_reserved),
		kernel_test(what_is_reserved_and_then_taken_elsewhere_does_not_stay),
		kernel_test(a_guest_that_has_its_pages_still_to_take_is_one_beside_a_database),
		kernel_test(a_claim_removed_by_hand_leaves_its_pages_to_the_next),
		kernel_test(a_write_that_fails_leaves_the_debt_to_the_next_try),
		kernel_test(a_kernel_that_takes_nothing_back_is_told),
		kernel_test(a_page_that_goes_bad_is_not_owed),
		kernel_test(
			a_busy_ledger_is_told_as_such_and_waited_for_no_longer_than_there_is_time),
		kernel_test(settle_ends_within_the_time_it_is_given),
		kernel_test(a_node_that_is_taken_out_does_not_stop_the_others),
		kernel_test(an_undo_in_a_dry_run_prints_what_it_would_write),
		kernel_test(a_guest_that_comes_by_migration_keeps_its_pages_until_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
