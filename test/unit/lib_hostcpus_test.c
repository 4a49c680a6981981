/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_hostcpus_test.c - the host's CPUs and its whole cores */

#include "tree.h"

#include "lib/hostcpus.h"

static struct cpulist cpus(const char *text)
{
	struct cpulist set = { 0 };

	assert_int_equal(cpulist_parse(text, &set), 0);
	return set;
}

static void the_kernels_lists_are_read(void **state)
{
	const struct tree *tree = *state;
	struct cpulist online, want = cpus("0-3");

	assert_int_equal(hostcpus_read(tree->rootfd, "online", &online), -ENOENT);
	tree_file(tree, "sys/devices/system/cpu/online", "0-x\n");
	assert_int_equal(hostcpus_read(tree->rootfd, "online", &online), -EBADMSG);
	tree_file(tree, "sys/devices/system/cpu/online", "0-3\n");
	assert_int_equal(hostcpus_read(tree->rootfd, "online", &online), 0);
	assert_true(cpulist_equal(&online, &want));
}

static bool has_core(const struct tree *tree, const char *list, const char *online)
{
	struct cpulist set = cpus(list), all = cpus(online);

	return hostcpus_has_core(tree->rootfd, &set, &all);
}

static void a_core_is_whole_with_all_its_threads_that_are_online(void **state)
{
	const struct tree *tree = *state;

	assert_false(has_core(tree, "", "0-3"));
	/* The kernel does not say */
	assert_true(has_core(tree, "1", "0-3"));
	tree_file(tree, "sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2\n");
	tree_file(tree, "sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,3\n");
	assert_false(has_core(tree, "0-1", "0-3"));
	assert_true(has_core(tree, "0-2", "0-3"));
	assert_true(has_core(tree, "1", "0-2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(the_kernels_lists_are_read),
		tree_test(a_core_is_whole_with_all_its_threads_that_are_online),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
