/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_long_test.c - a page of 1 GiB takes the kernel long, or for ever; the others meanwhile */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"

#include "lib/attr.h"

#define LEDGER "run/usher/host/hugepages.ini"

/* More than any of them needs, on whatever machine */
#define TIME_MS 60000

/* Of that a write may take half, when it does nothing */
#define HANG_MS 6000

static void pools_of_1_gib(unsigned long long node0, unsigned long long node1)
{
	boot(LINUX_6_12, 0, 0);
	size1g()->nodes[0] = (struct fake_node){ .nr = node0, .free = node0, .room = 3 };
	size1g()->nodes[1] = (struct fake_node){ .nr = node1, .free = node1, .room = 3 };
	render();
}

static pid_t apply_begin(struct guest *guest, int time_ms)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	guest->ctx.deadline = deadline_in(time_ms);
	if (pid == 0)
		_exit((int)hugepages_apply(&guest->ctx));
	return pid;
}

static int apply_end(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void await_write(void)
{
	long long deadline = deadline_in(TIME_MS);

	while (!kernel->resizing && !kernel->nr_hung && deadline_left(deadline))
		(void)poll(NULL, 0, 5);
	assert_true(kernel->resizing || kernel->nr_hung);
}

static void assert_huge(size_t node, unsigned long long nr, unsigned long long nr_free)
{
	assert_int_equal(size1g()->nodes[node].nr, nr);
	assert_int_equal(size1g()->nodes[node].free, nr_free);
}

static void other_guests_come_and_go_while_a_page_is_made(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pid;

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->held_up = true;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	guest_make(&b, UUID_B, "b", "started", "2048 1 64");
	pid = apply_begin(&a, TIME_MS);
	await_write();
	b.ctx.deadline = deadline_in(HANG_MS);
	assert_int_equal(hugepages_apply(&b.ctx), HELPER_DONE);
	assert_pool(1, 64, 64, 0);
	assert_non_null(strstr(tree_read(host, LEDGER), "writing = 1048576 0 " UUID_A " 0 1 "));
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(1, 0, 0, 0);
	assert_true(kernel->resizing);
	kernel->held_up = false;
	assert_int_equal(apply_end(pid), HELPER_DONE);
	assert_huge(0, 2, 2);
	assert_null(strstr(tree_read(host, LEDGER), "writing"));
	assert_non_null(strstr(tree_read(host, LEDGER), "held = 1048576 0 " UUID_A " 2"));
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_huge(0, 0, 0);
	assert_no_ledger();
}

/* The kernel would have it wait, with the ledger */
static void pages_given_back_meanwhile_stay_owed_until_it_is_made(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pid;

	(void)state;
	pools_of_1_gib(1, 1);
	guest_make(&a, UUID_A, "a", "started", "1048576 1 2");
	guest_make(&b, UUID_B, "b", "started", "1048576 0 2");
	a.ctx.deadline = deadline_in(TIME_MS);
	assert_int_equal(hugepages_apply(&a.ctx), HELPER_DONE);
	kernel->held_up = true;
	pid = apply_begin(&b, TIME_MS);
	await_write();
	assert_int_equal(undo(&a), HELPER_DONE);
	guest_remove(&a);
	assert_true(kernel->resizing);
	assert_huge(1, 2, 2);
	kernel->held_up = false;
	assert_int_equal(apply_end(pid), HELPER_DONE);
	assert_int_equal(kernel->met, 0);
	size1g()->nodes[0].free -= 2;
	render();
	assert_int_equal(settle(&b), HELPER_DONE);
	assert_huge(1, 1, 1);
	assert_int_equal(size1g()->nodes[0].surplus, 1);
	size1g()->nodes[0] = (struct fake_node){ .nr = 1, .free = 1 };
	render();
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_huge(0, 1, 1);
	assert_no_ledger();
}

static void guests_on_two_nodes_get_their_pages_one_after_the_other(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pids[2];

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 2500;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 1");
	guest_make(&b, UUID_B, "b", "started", "1048576 1 1");
	pids[0] = apply_begin(&a, TIME_MS);
	await_write();
	/* Longer than it would wait for one that was left behind */
	pids[1] = apply_begin(&b, 20000);
	assert_int_equal(apply_end(pids[0]), HELPER_DONE);
	assert_int_equal(apply_end(pids[1]), HELPER_DONE);
	assert_int_equal(kernel->met, 0);
	assert_huge(0, 1, 1);
	assert_huge(1, 1, 1);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_huge(0, 0, 0);
	assert_huge(1, 0, 0);
	assert_no_ledger();
}

/* What @nr guests come to that all start at one moment, with so much room as all of them need */
static void all_get_theirs_at_once(struct guest *guests, size_t nr)
{
	pid_t pids[3];

	for (size_t i = 0; i < nr; i++)
		pids[i] = apply_begin(&guests[i], TIME_MS);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(apply_end(pids[i]), HELPER_DONE);
	assert_string_equal(kernel->said, "");
	assert_int_equal(kernel->met, 0);
}

static void all_end(struct guest *guests, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(undo(&guests[i]), HELPER_DONE);
		guest_remove(&guests[i]);
		guest_free(&guests[i]);
	}
	assert_no_ledger();
}

static void three_guests_at_once_on_one_node_all_get_their_pages(void **state)
{
	struct guest guests[3];

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 100;
	guest_make(&guests[0], UUID_A, "a", "started", "1048576 0 1");
	guest_make(&guests[1], UUID_B, "b", "started", "1048576 0 1");
	guest_make(&guests[2], UUID_C, "c", "started", "1048576 0 1");
	all_get_theirs_at_once(guests, 3);
	assert_huge(0, 3, 3);
	all_end(guests, 3);
	assert_huge(0, 0, 0);
}

static void three_guests_at_once_with_small_pages_all_get_theirs(void **state)
{
	struct guest guests[3];

	(void)state;
	boot(LINUX_6_12, 0, 0);
	kernel->pool_ms = 50;
	node2m(0)->room = 300;
	guest_make(&guests[0], UUID_A, "a", "started", "2048 0 100");
	guest_make(&guests[1], UUID_B, "b", "started", "2048 0 100");
	guest_make(&guests[2], UUID_C, "c", "started", "2048 0 100");
	all_get_theirs_at_once(guests, 3);
	assert_pool(0, 300, 300, 0);
	all_end(guests, 3);
	assert_pool(0, 0, 0, 0);
}

/* The pages of both are made in turns, whoever's comes first */
static void guests_with_several_pages_on_two_nodes_at_once_both_get_theirs(void **state)
{
	struct guest guests[2];

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 100;
	guest_make(&guests[0], UUID_A, "a", "started", "1048576 0 3");
	guest_make(&guests[1], UUID_B, "b", "started", "1048576 1 3");
	all_get_theirs_at_once(guests, 2);
	assert_huge(0, 3, 3);
	assert_huge(1, 3, 3);
	all_end(guests, 2);
	assert_huge(0, 0, 0);
	assert_huge(1, 0, 0);
}

/* Each has pages on both nodes */
static void guests_that_each_need_pages_of_two_nodes_both_get_theirs(void **state)
{
	struct guest guests[2];

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 50;
	size1g()->nodes[0].room = size1g()->nodes[1].room = 4;
	guest_make(&guests[0], UUID_A, "a", "started", "1048576 0 2;1048576 1 2");
	guest_make(&guests[1], UUID_B, "b", "started", "1048576 1 2;1048576 0 2");
	all_get_theirs_at_once(guests, 2);
	assert_huge(0, 4, 4);
	assert_huge(1, 4, 4);
	all_end(guests, 2);
	assert_huge(0, 0, 0);
	assert_huge(1, 0, 0);
}

/* There is room for one: the other is refused, in whichever order, and never both */
static void of_guests_that_do_not_all_fit_as_many_start_as_do(void **state)
{
	struct guest guests[3];
	pid_t pids[3];
	int done = 0;

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 50;
	size1g()->nodes[0].room = 3;
	guest_make(&guests[0], UUID_A, "a", "started", "1048576 0 2");
	guest_make(&guests[1], UUID_B, "b", "started", "1048576 0 2");
	guest_make(&guests[2], UUID_C, "c", "started", "1048576 0 2");
	for (size_t i = 0; i < 3; i++)
		pids[i] = apply_begin(&guests[i], HANG_MS);
	for (size_t i = 0; i < 3; i++) {
		int e = apply_end(pids[i]);

		assert_true(e == HELPER_DONE || e == HELPER_FAILED);
		done += e == HELPER_DONE;
	}
	assert_int_equal(done, 1);
	assert_huge(0, 2, 2);
	assert_int_equal(kernel->met, 0);
	all_end(guests, 3);
	assert_huge(0, 0, 0);
}

/* A page of a file on a dead server is in its way. @made: in the end it comes all the same */
static void refuse_and_return(bool made)
{
	_cleanup_guest_ struct guest a, b, c;
	char who[64];

	pools_of_1_gib(1, 0);
	(void)snprintf(kernel->hangs, sizeof(kernel->hangs), "hugepages-1048576kB");
	guest_make(&a, UUID_A, "a", "started", "2048 0 20;1048576 0 3");
	guest_make(&b, UUID_B, "b", "started", "2048 1 64");
	guest_make(&c, UUID_C, "c", "started", "1048576 1 1");
	assert_int_equal(apply_end(apply_begin(&a, HANG_MS)), HELPER_DIRTY);
	(void)snprintf(who, sizeof(who), "process %d waits in the kernel", (int)kernel->waits[0]);
	assert_said("cannot get huge pages of 1 GiB on node 0: ");
	assert_said(who);
	assert_said("run usher recover");
	assert_null(strstr(kernel->said, "could be given back"));
	assert_pool(0, 0, 0, 0);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_int_equal(undo(&b), HELPER_DONE);
	*kernel->said = '\0';
	assert_int_equal(undo(&a), HELPER_DIRTY);
	assert_said("not all huge pages could be given back");
	*kernel->said = '\0';
	assert_int_equal(apply(&c), HELPER_FAILED);
	assert_said("cannot get huge pages of 1 GiB on node 1: ");
	assert_said(who);
	assert_int_equal(kernel->nr_hung, 1);
	unhang();
	size1g()->nodes[0].nr += made;
	size1g()->nodes[0].free += made;
	render();
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_huge(0, 1, 1);
	assert_int_equal(undo(&c), HELPER_DONE);
	assert_huge(1, 0, 0);
	assert_no_ledger();
}

static void a_start_whose_page_never_comes_is_refused_and_made_good_later(void **state)
{
	(void)state;
	refuse_and_return(false);
	refuse_and_return(true);
}

/* SIGKILL ends it: nothing is left that somebody would have to look after */
static void one_that_only_sleeps_is_ended_and_all_is_back(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	pools_of_1_gib(1, 0);
	kernel->huge_ms = TIME_MS;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	assert_int_equal(apply_end(apply_begin(&a, HANG_MS)), HELPER_FAILED);
	assert_said("cannot get 2 huge pages of 1 GiB on node 0: 1 are missing");
	assert_null(strstr(kernel->said, "waits in the kernel"));
	assert_huge(0, 1, 1);
	assert_no_ledger();
}

/* It has all the time there is */
static void one_that_works_on_is_too_slow_and_not_said_to_hang(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	pools_of_1_gib(1, 0);
	(void)snprintf(kernel->hangs, sizeof(kernel->hangs), "hugepages-1048576kB");
	kernel->busy = true;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	assert_int_equal(apply_end(apply_begin(&a, HANG_MS)), HELPER_DIRTY);
	assert_said("the time for it ran out");
	assert_null(strstr(kernel->said, "waits in the kernel"));
	unhang();
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_huge(0, 1, 1);
	assert_no_ledger();
}

/* a's page works on, for all of a's time; b is to have some of its own left */
static void leave_time(int time_ms)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pids[2];

	pools_of_1_gib(1, 0);
	(void)snprintf(kernel->hangs, sizeof(kernel->hangs), "hugepages-1048576kB");
	kernel->busy = true;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	guest_make(&b, UUID_B, "b", "started", "2048 0 30");
	pids[0] = apply_begin(&a, time_ms);
	await_write();
	pids[1] = apply_begin(&b, HANG_MS);
	assert_int_equal(apply_end(pids[1]), HELPER_DONE);
	assert_int_equal(apply_end(pids[0]), HELPER_DIRTY);
	assert_said("another guest waits for pages there, whose time would run out");
	unhang();
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_huge(0, 1, 1);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_no_ledger();
}

static void one_that_works_on_leaves_time_to_one_that_waits(void **state)
{
	(void)state;
	leave_time(HANG_MS);
	/* Half of its own comes after the other's end */
	leave_time(TIME_MS);
}

/* a gets one after the other, but not all of them by its deadline, which is b's, too */
static void one_that_will_not_have_all_in_time_leaves_some_to_one_that_waits(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pid;

	(void)state;
	pools_of_1_gib(0, 0);
	size1g()->nodes[0].room = 40;
	kernel->huge_ms = 500;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 30");
	guest_make(&b, UUID_B, "b", "started", "1048576 0 1");
	put("Node 0 MemTotal: 41943040 kB\n", "sys/devices/system/node/node0/meminfo");
	put("MemTotal: 83886080 kB\nMemAvailable: 62914560 kB\n", "proc/meminfo");
	pid = apply_begin(&a, 12000);
	await_write();
	assert_int_equal(apply_end(apply_begin(&b, 12000)), HELPER_DONE);
	assert_int_equal(apply_end(pid), HELPER_FAILED);
	assert_said("another guest waits for pages there, whose time would run out");
	assert_huge(0, 1, 1);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_huge(0, 0, 0);
	assert_no_ledger();
}

/* b waits for a's page on another node, which may be for long; c needs none of that size */
static void who_waits_for_a_page_of_another_node_holds_up_nobody_on_its_own(void **state)
{
	_cleanup_guest_ struct guest a, b, c;
	pid_t pids[2];

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->held_up = true;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 1");
	guest_make(&b, UUID_B, "b", "started", "1048576 1 1");
	guest_make(&c, UUID_C, "c", "started", "2048 1 10");
	pids[0] = apply_begin(&a, TIME_MS);
	await_write();
	pids[1] = apply_begin(&b, TIME_MS);
	(void)poll(NULL, 0, 500);
	assert_int_equal(apply_end(apply_begin(&c, HANG_MS)), HELPER_DONE);
	assert_true(kernel->resizing);
	kernel->held_up = false;
	assert_int_equal(apply_end(pids[0]), HELPER_DONE);
	assert_int_equal(apply_end(pids[1]), HELPER_DONE);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_int_equal(undo(&c), HELPER_DONE);
	assert_no_ledger();
}

/* a has got a page already, so it goes on */
static void one_that_pages_of_another_node_keep_waiting_is_told_so(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pid;

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 300;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 2");
	guest_make(&b, UUID_B, "b", "started", "1048576 1 1");
	pid = apply_begin(&a, TIME_MS);
	while (!kernel->made_on[1])
		(void)poll(NULL, 0, 5);
	kernel->held_up = true;
	assert_int_equal(apply_end(apply_begin(&b, HANG_MS / 3)), HELPER_FAILED);
	assert_said("cannot get huge pages of 1 GiB on node 1: the time for it ran out: another "
		    "guest is being given pages there: start this one when that has ended");
	kernel->held_up = false;
	assert_int_equal(apply_end(pid), HELPER_DONE);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_no_ledger();
}

/* By turns each would get two of three. Of the time a quarter is for giving back */
static void of_guests_on_two_nodes_with_time_for_one_of_them_one_starts(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pids[2];
	int ends[2];

	(void)state;
	pools_of_1_gib(0, 0);
	kernel->huge_ms = 1000;
	guest_make(&a, UUID_A, "a", "started", "1048576 0 3");
	guest_make(&b, UUID_B, "b", "started", "1048576 1 3");
	pids[0] = apply_begin(&a, 7000);
	pids[1] = apply_begin(&b, 7000);
	ends[0] = apply_end(pids[0]);
	ends[1] = apply_end(pids[1]);
	assert_int_equal((ends[0] == HELPER_DONE) + (ends[1] == HELPER_DONE), 1);
	assert_true(strncmp(kernel->made_on, "000", 3) == 0 ||
		    strncmp(kernel->made_on, "111", 3) == 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_no_ledger();
}

static void a_single_side_effect_that_fails_leaves_the_host_as_before(void **state)
{
	bool more = true;
	unsigned long long n;

	(void)state;
	for (n = 1; more; n++) {
		_cleanup_guest_ struct guest a;
		int e;

		pools_of_1_gib(1, 0);
		guest_make(&a, UUID_A, "a", "started", "1048576 0 3");
		kernel->fail_at = n;
		kernel->half = n % 2;
		a.ctx.deadline = deadline_in(TIME_MS);
		e = (int)hugepages_apply(&a.ctx);
		more = kernel->ops >= n;
		kernel->fail_at = 0;
		assert_true(more || e == HELPER_DONE);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_huge(0, 1, 1);
		assert_no_ledger();
		guest_remove(&a);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(other_guests_come_and_go_while_a_page_is_made),
		kernel_test(pages_given_back_meanwhile_stay_owed_until_it_is_made),
		kernel_test(guests_on_two_nodes_get_their_pages_one_after_the_other),
		kernel_test(three_guests_at_once_on_one_node_all_get_their_pages),
		kernel_test(three_guests_at_once_with_small_pages_all_get_theirs),
		kernel_test(guests_with_several_pages_on_two_nodes_at_once_both_get_theirs),
		kernel_test(guests_that_each_need_pages_of_two_nodes_both_get_theirs),
		kernel_test(of_guests_that_do_not_all_fit_as_many_start_as_do),
		kernel_test(a_start_whose_page_never_comes_is_refused_and_made_good_later),
		kernel_test(one_that_only_sleeps_is_ended_and_all_is_back),
		kernel_test(one_that_works_on_is_too_slow_and_not_said_to_hang),
		kernel_test(one_that_works_on_leaves_time_to_one_that_waits),
		kernel_test(one_that_will_not_have_all_in_time_leaves_some_to_one_that_waits),
		kernel_test(who_waits_for_a_page_of_another_node_holds_up_nobody_on_its_own),
		kernel_test(one_that_pages_of_another_node_keep_waiting_is_told_so),
		kernel_test(of_guests_on_two_nodes_with_time_for_one_of_them_one_starts),
		kernel_test(a_single_side_effect_that_fails_leaves_the_host_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
