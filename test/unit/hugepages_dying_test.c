/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_dying_test.c - pages are given back while another QEMU is dying */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive attr_read_ull */
#include "hugetlb.h"

#include "lib/attr.h"
#include "lib/deadline.h"

/* Pages of node 0 that it has still in use, and how many go each time that is looked at them */
static unsigned long long dying, at_once;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_attr_read_ull(int rootfd, const char *path, unsigned long long *ret);
int __wrap_attr_read_ull(int rootfd, const char *path, unsigned long long *ret);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

int __wrap_attr_read_ull(int rootfd, const char *path, unsigned long long *ret)
{
	unsigned long long part = at_once < dying ? at_once : dying;

	if (part && strstr(path, "hugepages-2048kB/resv_hugepages")) {
		dying -= part;
		exit_with(0, part);
	}
	return __real_attr_read_ull(rootfd, path, ret);
}

static void started(struct guest *guest, int pid, unsigned long long nr_pages)
{
	assert_int_equal(apply(guest), HELPER_DONE);
	fault(0, nr_pages);
	put_qemu(pid, guest->ctx.claim.uuid, nr_pages, nr_pages);
	assert_int_equal(settle(guest), HELPER_DONE);
	guest_state(guest, CLAIM_RUNNING, pid);
}

/* Both are destroyed; a is gone, which may have grown, so b's pages were left in the pool, too */
static void two_are_destroyed(struct guest *a, struct guest *b)
{
	boot(LINUX_6_12, 10, 0);
	guest_make(a, UUID_A, "a", "release", "2048 0 64");
	guest_make(b, UUID_B, "b", "started", "2048 0 100");
	started(a, 200, 64);
	started(b, 201, 100);
	assert_pool(0, 164, 0, 0);
	exit_with(0, 64);
	remove_process(200);
	remove_process(201);
	guest_state(a, CLAIM_ENDING, DAEMON_PID);
	guest_state(b, CLAIM_ENDING, DAEMON_PID);
	kernel->said[0] = '\0';
	dying = 100;
}

static void its_pages_are_paid_as_they_come(void **state)
{
	(void)state;
	for (at_once = 1; at_once < 60; at_once *= 7) {
		_cleanup_guest_ struct guest a, b;

		two_are_destroyed(&a, &b);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_string_equal(kernel->said, "");
		exit_with(0, dying);
		dying = 0;
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_pool(0, 10, 10, 0);
		assert_no_ledger();
	}
}

static void but_not_past_the_deadline(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	at_once = 1;
	two_are_destroyed(&a, &b);
	a.ctx.deadline = now_ms();
	assert_int_equal(undo(&a), HELPER_DIRTY);
	assert_said("until the time for it ran out");
	assert_true(dying > 0);
	exit_with(0, dying);
	dying = 0;
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_pool(0, 10, 10, 0);
	assert_no_ledger();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(its_pages_are_paid_as_they_come),
		kernel_test(but_not_past_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
