/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_mempolicy_test.c - what the kernel is asked about nodes, and what it answers */
/* wraps: syscall */
#include "tree.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "helpers/hugepages/hugepages.h"

static struct {
	long nr, arg[4];
	int error;
	long left; /* pages that could not be moved */
} kernel;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
long __wrap_syscall(long nr, ...);
long __wrap_syscall(long nr, ...)
{
	va_list args;

	va_start(args, nr);
	for (size_t i = 0; i < ARRAY_SIZE(kernel.arg); i++)
		kernel.arg[i] = va_arg(args, long);
	va_end(args);
	kernel.nr = nr;
	if (!kernel.error)
		return kernel.left;
	errno = kernel.error;
	return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void a_node_is_preferred_or_the_kernel_says_why_not(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(mempolicy_prefer(1), 0);
	assert_int_equal(kernel.nr, SYS_set_mempolicy);
	assert_int_equal(kernel.arg[0], MPOL_PREFERRED);
	assert_int_equal(kernel.arg[2], CPULIST_MAX);
	kernel.error = EINVAL;
	assert_int_equal(mempolicy_prefer(1), -EINVAL);
}

static void pages_that_stay_where_they_are_are_no_failure(void **state)
{
	const struct cpulist none = { 0 };

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.left = 12;
	assert_int_equal(mempolicy_move(4711, &none, &none), 0);
	assert_int_equal(kernel.nr, SYS_migrate_pages);
	assert_int_equal((pid_t)kernel.arg[0], 4711);
	kernel.error = ESRCH;
	assert_int_equal(mempolicy_move(4711, &none, &none), -ESRCH);
}

static void the_default_has_no_nodes(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	mempolicy_default();
	assert_int_equal(kernel.nr, SYS_set_mempolicy);
	assert_int_equal(kernel.arg[0], MPOL_DEFAULT);
	assert_int_equal(kernel.arg[1], 0);
	assert_int_equal(kernel.arg[2], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_preferred_or_the_kernel_says_why_not),
		cmocka_unit_test(pages_that_stay_where_they_are_are_no_failure),
		cmocka_unit_test(the_default_has_no_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
