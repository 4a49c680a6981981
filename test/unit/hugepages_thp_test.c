/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_thp_test.c - transparent huge pages for the life of a guest */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"

#include "lib/attr.h"

static void assert_thp(const char *enabled, const char *defrag)
{
	char want[64];

	(void)snprintf(want, sizeof(want), "[%s]", enabled);
	assert_non_null(strstr(tree_read(host, THP "enabled"), want));
	(void)snprintf(want, sizeof(want), "[%s]", defrag);
	assert_non_null(strstr(tree_read(host, THP "defrag"), want));
}

static void assert_no_state(void)
{
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/thp.ini"), 0);
}

static void thp_guest(struct guest *guest, const char *uuid, const char *name)
{
	guest_make(guest, uuid, name, "started", "");
	assert_int_equal(inidoc_add(&guest->ctx.claim.doc, HUGEPAGES_SECTION, "thp_kib", "131072"),
			 0);
	assert_int_equal(claim_store(guest->ctx.statefd, &guest->ctx.claim), 0);
	kernel->ops = 0;
}

static void thp_boot(const char *enabled, const char *defrag)
{
	boot(LINUX_6_12, 0, 0);
	put_thp("enabled", enabled);
	put_thp("defrag", defrag);
}

static void what_makes_the_guests_request_come_to_nothing_is_changed_for_its_life(void **state)
{
	static const struct {
		const char *enabled, *defrag, *enabled_then, *defrag_then;
	} cases[] = {
		{ "never", "never", "madvise", "madvise" },
		{ "madvise", "defer", "madvise", "defer+madvise" },
		{ "never", "madvise", "madvise", "madvise" },
		{ "always", "always", "always", "always" },
		{ "madvise", "defer+madvise", "madvise", "defer+madvise" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		thp_boot(cases[i].enabled, cases[i].defrag);
		thp_guest(&a, UUID_A, "a");
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_thp(cases[i].enabled_then, cases[i].defrag_then);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_int_equal(settle(&a), HELPER_DONE);
		assert_thp(cases[i].enabled_then, cases[i].defrag_then);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_thp(cases[i].enabled, cases[i].defrag);
		assert_no_state();
		assert_no_ledger();
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_thp(cases[i].enabled, cases[i].defrag);
		guest_remove(&a);
	}
}

static void assert_shmem(const char *value)
{
	char want[64];

	(void)snprintf(want, sizeof(want), "[%s]", value);
	assert_non_null(strstr(tree_read(host, THP "shmem_enabled"), want));
}

static void back_by(struct guest *guest, const char *what)
{
	assert_int_equal(inidoc_add(&guest->ctx.claim.doc, HUGEPAGES_SECTION, "thp_backing", what),
			 0);
	assert_int_equal(claim_store(guest->ctx.statefd, &guest->ctx.claim), 0);
}

static void for_memory_that_is_a_memfd_another_setting_decides(void **state)
{
	static const struct {
		const char *before, *then;
	} cases[] = {
		{ "never", "advise" },	{ "deny", "advise" },
		{ "advise", "advise" }, { "within_size", "within_size" },
		{ "force", "force" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a, b;

		thp_boot("never", "madvise");
		put_thp("shmem_enabled", cases[i].before);
		thp_guest(&b, UUID_B, "b");
		assert_int_equal(apply(&b), HELPER_DONE);
		assert_shmem(cases[i].before);
		thp_guest(&a, UUID_A, "a");
		back_by(&a, "memfd");
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_string_equal(kernel->said, "");
		assert_shmem(cases[i].then);
		assert_int_equal(undo(&b), HELPER_DONE);
		guest_remove(&b);
		assert_shmem(cases[i].then);
		assert_int_equal(undo(&a), HELPER_DONE);
		guest_remove(&a);
		assert_shmem(cases[i].before);
		assert_thp("never", "madvise");
		assert_no_state();
	}
}

static void a_kernel_that_has_none_for_a_memfd_is_refused(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	thp_boot("madvise", "madvise");
	thp_guest(&a, UUID_A, "a");
	assert_int_equal(hugepages_check(&a.ctx), HELPER_DONE);
	back_by(&a, "memfd");
	assert_int_equal(hugepages_check(&a.ctx), HELPER_FAILED);
	assert_said("this kernel has no transparent huge pages for shared memory: ");
}

static void memory_in_a_file_has_none_and_that_is_said(void **state)
{
	static const char line[] =
		"the guest's memory is in a file, which has no transparent huge pages (but on a "
		"tmpfs mounted with huge=): put <source type='memfd'/> into <memoryBacking> in the "
		"guest's XML";
	_cleanup_guest_ struct guest a;

	(void)state;
	thp_boot("madvise", "madvise");
	thp_guest(&a, UUID_A, "a");
	back_by(&a, "file");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_string_equal(kernel->said, line);
	/* Asked by hand: who made the claim is gone */
	kernel->said[0] = '\0';
	guest_state(&a, CLAIM_PREPARING, DEAD_PID);
	assert_int_equal(hugepages_check(&a.ctx), HELPER_DONE);
	assert_string_equal(kernel->said, line);
}

/* Linux 6.8 has a setting for each size; of memory that is shared since 6.11 */
static void a_size_that_is_off_is_said_with_the_cure(void **state)
{
	static const struct {
		const char *backing, *name, *value, *shmem, *said;
	} cases[] = {
		{ NULL, "enabled", "always inherit madvise [never]", "never",
		  "the guest gets no transparent huge pages: those of 2 MiB are off on this host: "
		  "write inherit to "
		  "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled" },
		{ NULL, "enabled", "always [inherit] madvise never", "never", "" },
		{ NULL, "shmem_enabled", "always inherit within_size advise [never]", "never", "" },
		{ "memfd", "shmem_enabled", "always inherit within_size advise [never]", "advise",
		  "the guest gets no transparent huge pages: those of 2 MiB are off on this host: "
		  "write inherit to "
		  "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled" },
		{ "memfd", "shmem_enabled", "always inherit within_size advise [never]", "force",
		  "" },
		{ "memfd", "enabled", "always inherit madvise [never]", "advise", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;

		thp_boot("madvise", "madvise");
		put_thp("shmem_enabled", cases[i].shmem);
		put("[inherit]", THP "hugepages-2048kB/enabled");
		put("[inherit]", THP "hugepages-2048kB/shmem_enabled");
		put(cases[i].value, THP "hugepages-2048kB/%s", cases[i].name);
		thp_guest(&a, UUID_A, "a");
		if (cases[i].backing)
			back_by(&a, cases[i].backing);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_string_equal(kernel->said, cases[i].said);
		guest_remove(&a);
	}
}

static void the_last_of_two_guests_sets_it_back(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	thp_boot("never", "never");
	thp_guest(&a, UUID_A, "a");
	assert_int_equal(apply(&a), HELPER_DONE);
	thp_guest(&b, UUID_B, "b");
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_int_equal(undo(&a), HELPER_DONE);
	guest_remove(&a);
	assert_thp("madvise", "madvise");
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_thp("never", "never");
	assert_no_state();
}

static void a_dead_guest_does_not_hold_it(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	thp_boot("never", "never");
	thp_guest(&a, UUID_A, "a");
	thp_guest(&b, UUID_B, "b");
	assert_int_equal(apply(&a), HELPER_DONE);
	assert_int_equal(apply(&b), HELPER_DONE);
	guest_state(&a, CLAIM_HANDED, DEAD_PID);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_thp("never", "never");
}

/* a's start is refused by a later step; b ends while a's devices are still being given back */
static void one_that_is_given_back_does_not_hold_it(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	thp_boot("never", "never");
	thp_guest(&a, UUID_A, "a");
	thp_guest(&b, UUID_B, "b");
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_int_equal(apply(&a), HELPER_DONE);
	guest_state(&a, CLAIM_RETURNING, DAEMON_PID);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_thp("madvise", "madvise");
	guest_state(&b, CLAIM_RETURNING, DAEMON_PID);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_thp("never", "never");
	assert_no_state();
}

static void what_an_admin_has_set_meanwhile_stays(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	thp_boot("never", "never");
	thp_guest(&a, UUID_A, "a");
	assert_int_equal(apply(&a), HELPER_DONE);
	put_thp("enabled", "always");
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_thp("always", "never");
	assert_no_state();
}

static void room_is_made_before_the_start_as_far_as_the_policy_goes(void **state)
{
	static const char *const reclaim[] = { "none", "memory" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		_cleanup_guest_ struct guest a;

		thp_boot("madvise", "madvise");
		kernel->reclaim_group = true;
		/* 40 pieces of 2 MiB where 64 would do */
		put("Node 0, zone Normal 0 0 0 0 0 0 0 0 0 40 0\n", "proc/buddyinfo");
		thp_guest(&a, UUID_A, "a");
		assert_int_equal(
			inidoc_set(&a.ctx.claim.doc, HUGEPAGES_SECTION, "reclaim", reclaim[i]), 0);
		assert_int_equal(apply(&a), HELPER_DONE);
		/* One for each node */
		assert_int_equal(kernel->compactions, 2);
		assert_int_equal(kernel->reclaimed, i ? 64 + 8 - 40 : 0);
		assert_int_equal(inidoc_set(&a.ctx.claim.doc, HUGEPAGES_SECTION, "compact", "no"),
				 0);
		assert_int_equal(apply(&a), HELPER_DONE);
		assert_int_equal(kernel->compactions, 2);
		guest_remove(&a);
	}
}

static void a_kernel_without_them_is_refused(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	thp_guest(&a, UUID_A, "a");
	assert_int_equal(hugepages_check(&a.ctx), HELPER_FAILED);
	assert_said("this kernel has no transparent huge pages");
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_int_equal(kernel->ops, 0);
}

static void a_kernel_that_says_yes_and_does_no_is_noticed(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	thp_boot("never", "never");
	thp_guest(&a, UUID_A, "a");
	kernel->deaf = true;
	assert_int_equal(apply(&a), HELPER_FAILED);
	assert_said("cannot set how transparent huge pages are made: Input/output error");
	assert_thp("never", "never");
	assert_no_state();
}

static void each_side_effect_that_fails_leaves_the_settings_as_before(void **state)
{
	bool failed = true;

	(void)state;
	for (unsigned long long n = 1; failed; n++) {
		_cleanup_guest_ struct guest a;

		thp_boot("never", "defer");
		thp_guest(&a, UUID_A, "a");
		kernel->fail_at = n;
		failed = apply(&a) != HELPER_DONE;
		kernel->fail_at = 0;
		assert_true(failed || n > 4);
		if (failed)
			assert_thp("never", "defer");
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_thp("never", "defer");
		assert_no_state();
		guest_remove(&a);
	}
}

static void a_kill_at_any_point_is_undone(void **state)
{
	int (*const verbs[])(struct guest *) = { apply, undo };

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
		bool more = true;

		for (unsigned long long n = 1; more; n++) {
			_cleanup_guest_ struct guest a;
			int status = 0;
			pid_t pid;

			thp_boot("never", "defer");
			thp_guest(&a, UUID_A, "a");
			if (verbs[v] == undo)
				assert_int_equal(apply(&a), HELPER_DONE);
			kernel->ops = 0;
			kernel->kill_at = n;
			pid = fork();
			assert_true(pid >= 0);
			if (pid == 0)
				_exit(verbs[v](&a));
			assert_int_equal(waitpid(pid, &status, 0), pid);
			kernel->kill_at = 0;
			more = WEXITSTATUS(status) == 99;
			assert_true(more || n > 4);
			assert_int_equal(undo(&a), HELPER_DONE);
			assert_thp("never", "defer");
			assert_no_state();
			guest_remove(&a);
		}
	}
}

/* A claim by hand: the policy has but one of them */
static void pages_got_before_are_given_back_when_that_fails(void **state)
{
	unsigned long long ops = 0;

	(void)state;
	for (unsigned long long n = 0; n <= ops; n++) {
		_cleanup_guest_ struct guest a;
		int e;

		thp_boot("never", "never");
		thp_guest(&a, UUID_A, "a");
		assert_int_equal(
			inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "need", "2048 0 64"), 0);
		assert_int_equal(claim_store(a.ctx.statefd, &a.ctx.claim), 0);
		kernel->ops = 0;
		kernel->fail_at = n;
		e = apply(&a);
		if (n == 0)
			ops = kernel->ops;
		/* Room that could not be made is no failure */
		if (e == HELPER_FAILED) {
			assert_pool(0, 0, 0, 0);
			assert_thp("never", "never");
			assert_no_ledger();
			assert_no_state();
		}
		assert_true(n ? e != HELPER_DONE || node2m(0)->nr == 64 : e == HELPER_DONE);
		kernel->fail_at = 0;
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_pool(0, 0, 0, 0);
		assert_thp("never", "never");
		guest_remove(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(what_makes_the_guests_request_come_to_nothing_is_changed_for_its_life),
		kernel_test(pages_got_before_are_given_back_when_that_fails),
		kernel_test(for_memory_that_is_a_memfd_another_setting_decides),
		kernel_test(a_kernel_that_has_none_for_a_memfd_is_refused),
		kernel_test(memory_in_a_file_has_none_and_that_is_said),
		kernel_test(a_size_that_is_off_is_said_with_the_cure),
		kernel_test(the_last_of_two_guests_sets_it_back),
		kernel_test(a_dead_guest_does_not_hold_it),
		kernel_test(one_that_is_given_back_does_not_hold_it),
		kernel_test(what_an_admin_has_set_meanwhile_stays),
		kernel_test(room_is_made_before_the_start_as_far_as_the_policy_goes),
		kernel_test(a_kernel_without_them_is_refused),
		kernel_test(a_kernel_that_says_yes_and_does_no_is_noticed),
		kernel_test(each_side_effect_that_fails_leaves_the_settings_as_before),
		kernel_test(a_kill_at_any_point_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
