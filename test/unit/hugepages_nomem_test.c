/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_nomem_test.c - no allocation that fails costs the host a page */
/* wraps: attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive malloc calloc realloc reallocarray strdup strndup vasprintf __vasprintf_chk open_memstream */
#include "nomem.h"

#include "hugetlb.h"

static void scene(struct guest *a, struct guest *b)
{
	boot(LINUX_6_12, 10, 3);
	guest_make(a, UUID_A, "a", "started", "2048 1 50");
	guest_make(b, UUID_B, "b", "started", "2048 0 80;2048 any 30");
	assert_int_equal(apply(a), HELPER_DONE);
	put_qemu(200, UUID_A, 50, 20);
	fault(1, 20);
}

static void in_apply_it_is_a_failure_with_all_as_before(void **state)
{
	int r = HELPER_FAILED;

	(void)state;
	for (int n = 0; r != HELPER_DONE; n++) {
		_cleanup_guest_ struct guest a, b;

		scene(&a, &b);
		nomem_after = n;
		r = apply(&b);
		nomem_after = -1;
		/* What could not be made sure of then is made so by undo */
		assert_true(r == HELPER_FAILED || r == HELPER_DIRTY ||
			    (r == HELPER_DONE && n > 50));
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_pool(0, 10, 10, 0);
		assert_pool(1, 50, 30, 0);
		guest_remove(&a);
		guest_remove(&b);
		assert_int_equal(state_remove_dir(host->rootfd, "run/usher/host"), 0);
		remove_process(200);
	}
}

static void in_undo_it_is_done_by_the_next_undo(void **state)
{
	int r = HELPER_DIRTY;

	(void)state;
	for (int n = 0; r != HELPER_DONE; n++) {
		_cleanup_guest_ struct guest a, b;

		scene(&a, &b);
		assert_int_equal(apply(&b), HELPER_DONE);
		nomem_after = n;
		r = undo(&b);
		nomem_after = -1;
		assert_true(r == HELPER_DIRTY || (r == HELPER_DONE && n > 50));
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_pool(0, 10, 10, 0);
		assert_pool(1, 50, 30, 0);
		guest_remove(&a);
		guest_remove(&b);
		assert_int_equal(state_remove_dir(host->rootfd, "run/usher/host"), 0);
		remove_process(200);
	}
}

static void in_check_and_show_it_is_a_failure(void **state)
{
	FILE *out = tmpfile(), *old = stdout;
	int r = HELPER_FAILED;

	(void)state;
	for (int n = 0; r != HELPER_DONE; n++) {
		_cleanup_guest_ struct guest a, b;

		scene(&a, &b);
		stdout = out;
		nomem_after = n;
		r = hugepages_show(&b.ctx, 0, NULL);
		nomem_after = -1;
		stdout = old;
		assert_true(r == HELPER_FAILED || (r == HELPER_DONE && n > 10));
		guest_remove(&a);
		guest_remove(&b);
		assert_int_equal(state_remove_dir(host->rootfd, "run/usher/host"), 0);
		remove_process(200);
	}
	assert_int_equal(fclose(out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(in_apply_it_is_a_failure_with_all_as_before),
		kernel_test(in_undo_it_is_done_by_the_next_undo),
		kernel_test(in_check_and_show_it_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
