/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_need_test.c - what a claim asks for, and what a process has */
#include <errno.h>
#include <stdio.h>

#include "helpers/hugepages/hugepages.h"
#include "lib/attr.h"
#include "tree.h"

#define UUID "aaaaaaaa-0000-4000-8000-000000000001"

static int load(const char *const *lines, size_t nr, struct needs *ret)
{
	struct process owner = { .pid = 1, .start_time = 1 };
	_cleanup_claim_ struct claim claim = { 0 };

	assert_int_equal(claim_init(&claim, UUID, "a", &owner), 0);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(inidoc_add(&claim.doc, HUGEPAGES_SECTION, "need", lines[i]), 0);
	return needs_load(&claim, ret);
}

static void needs_are_read_in_order_and_equal_ones_joined(void **state)
{
	static const char *const lines[] = { "2048 any 5", "2048 0 3",	 "1048576 any 1",
					     "2048 any 7", "2048 1,0 2", "2048 0-1 1" };
	_cleanup_needs_ struct needs needs = { 0 };

	(void)state;
	assert_int_equal(load(lines, ARRAY_SIZE(lines), &needs), 0);
	assert_int_equal(needs.nr, 4);
	assert_int_equal(needs.needs[0].nr_pages, 12);
	assert_true(needs.needs[0].any);
	assert_int_equal(needs.needs[1].nr_pages, 3);
	assert_int_equal(needs.needs[2].size_kib, 1048576);
	assert_int_equal(needs.needs[3].nr_pages, 3);
	needs_sort(&needs);
	assert_int_equal(needs.needs[0].nr_pages, 3);
	assert_true(need_covers(&needs.needs[0], 0));
	assert_false(need_covers(&needs.needs[0], 1));
	assert_true(need_covers(&needs.needs[1], 1));
	assert_true(needs.needs[2].any && needs.needs[3].any);
}

static int load_with_prefer(const char *prefer, struct needs *ret)
{
	struct process owner = { .pid = 1, .start_time = 1 };
	_cleanup_claim_ struct claim claim = { 0 };

	assert_int_equal(claim_init(&claim, UUID, "a", &owner), 0);
	assert_int_equal(inidoc_add(&claim.doc, HUGEPAGES_SECTION, "prefer", prefer), 0);
	assert_int_equal(inidoc_add(&claim.doc, HUGEPAGES_SECTION, "need", "2048 any 7"), 0);
	assert_int_equal(inidoc_add(&claim.doc, HUGEPAGES_SECTION, "need", "2048 0 3"), 0);
	return needs_load(&claim, ret);
}

static void preferred_nodes_are_of_a_part_of_what_any_may_meet(void **state)
{
	static const char *const bad[] = { "2048 1 8", "2048 any 2", "1048576 1 2", "2048 1 0",
					   "2048 1" };
	_cleanup_needs_ struct needs part = { 0 }, all = { 0 };

	(void)state;
	assert_int_equal(load_with_prefer("2048 1 5", &part), 0);
	needs_sort(&part);
	assert_int_equal(part.nr, 3);
	assert_false(part.needs[0].any);
	assert_true(part.needs[1].any && cpulist_has(&part.needs[1].nodes, 1));
	assert_int_equal(part.needs[1].nr_pages, 5);
	assert_true(part.needs[2].any && cpulist_empty(&part.needs[2].nodes));
	assert_int_equal(part.needs[2].nr_pages, 2);
	assert_int_equal(load_with_prefer("2048 1 7", &all), 0);
	assert_int_equal(all.nr, 2);
	assert_true(all.needs[0].any && cpulist_has(&all.needs[0].nodes, 1));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_needs_ struct needs needs = { 0 };

		assert_int_equal(load_with_prefer(bad[i], &needs), -EBADMSG);
	}
}

static void no_need_at_all_is_none(void **state)
{
	_cleanup_needs_ struct needs needs = { 0 };

	(void)state;
	assert_int_equal(load(NULL, 0, &needs), 0);
	assert_int_equal(needs.nr, 0);
	needs_sort(&needs);
}

static void malformed_needs_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2048 any",
		"2048 any 5 6",
		"2047 any 5",
		"0 any 5",
		"2048 some 5",
		"2048 ^1 5",
		"2048 16384 5",
		"2048 any -5",
		"2048 any 5.5",
		"2 MiB 5",
		"2048 any 18446744073709551615",
		"4503599627370496 any 1",
	};
	static const char *const sum[] = { "2048 any 8796093022207", "2048 any 1",
					   "1024 any 17592186044415" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_needs_ struct needs needs = { 0 };

		assert_int_equal(load(&bad[i], 1, &needs), -EBADMSG);
		assert_int_equal(needs.nr, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sum); i++) {
		_cleanup_needs_ struct needs needs = { 0 };

		assert_int_equal(load(&sum[i], 1, &needs), 0);
	}
}

static void joining_past_the_largest_number_is_erange(void **state)
{
	_cleanup_needs_ struct needs needs = { 0 };
	struct need need = { .size_kib = 2048, .any = true, .nr_pages = -1ULL };

	(void)state;
	assert_int_equal(needs_add(&needs, &need), 0);
	need.nr_pages = 1;
	assert_int_equal(needs_add(&needs, &need), -ERANGE);
}

static void places_and_sizes_have_names(void **state)
{
	struct need one = { .size_kib = 2048 }, two = { .size_kib = 2048 },
		    any = { .size_kib = 2048, .any = true }, wide = { .size_kib = 2048 };
	char text[NEED_WHERE_MAX];

	(void)state;
	cpulist_add(&one.nodes, 3);
	cpulist_add(&two.nodes, 0);
	cpulist_add(&two.nodes, 1);
	for (unsigned int i = 0; i < 100; i += 2)
		cpulist_add(&wide.nodes, i);
	need_where(&one, text, sizeof(text));
	assert_string_equal(text, "on node 3");
	need_where(&two, text, sizeof(text));
	assert_string_equal(text, "on nodes 0-1");
	need_where(&any, text, sizeof(text));
	assert_string_equal(text, "on this host");
	need_where(&wide, text, sizeof(text));
	assert_string_equal(text, "on its nodes");
	pool_where(1, text, sizeof(text));
	assert_string_equal(text, "node 1");
	pool_where(POOL_NO_NODE, text, sizeof(text));
	assert_string_equal(text, "the host");
	size_name(2048, text, sizeof(text));
	assert_string_equal(text, "2 MiB");
	size_name(1048576, text, sizeof(text));
	assert_string_equal(text, "1 GiB");
	size_name(64, text, sizeof(text));
	assert_string_equal(text, "64 KiB");
	assert_true(need_meets(&two, &any));
	assert_false(need_meets(&one, &two));
	any.size_kib = 1048576;
	assert_false(need_meets(&two, &any));
}

#define SMAPS_QEMU                                                                                 \
	"5581 r-xp 00000000 08:01 42 /usr/bin/qemu\n"                                              \
	"Size:               4096 kB\nKernelPageSize:     2048 kB\nMMUPageSize:        2048 kB\n"  \
	"Shared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\nVmFlags: rd ex mr mw me hg\n"   \
	"7f00 rw-s 00000000 00:0f 9 /memfd:ram\n"                                                  \
	"Size:              20480 kB\nKernelPageSize:     2048 kB\nMMUPageSize:        2048 kB\n"  \
	"Rss:                   0 kB\n"                                                            \
	"Shared_Hugetlb:     4096 kB\nPrivate_Hugetlb:    2048 kB\nVmFlags: rd wr sh de ht sd\n"   \
	"7f10 rw-s 00000000 00:0f 9 /dev/hugepages1G/ram\n"                                        \
	"Size:            2097152 kB\nKernelPageSize:  1048576 kB\nMMUPageSize:     1048576 kB\n"  \
	"Shared_Hugetlb:  1048576 kB\nPrivate_Hugetlb:       0 kB\nVmFlags: rd wr sh de ht sd\n"   \
	"7f20 rw-p 00000000 00:0f 9 /anon_hugepage\n"                                              \
	"Size:               2048 kB\nKernelPageSize:     2048 kB\n"                               \
	"Shared_Hugetlb:        0 kB\nPrivate_Hugetlb:    2048 kB\nVmFlags: rd wr ht\n"            \
	"7f30 rw-s 00000000 00:0f 9 /memfd:virtio-mem\n"                                           \
	"Size:             409600 kB\nKernelPageSize:     2048 kB\n"                               \
	"Shared_Hugetlb:     6144 kB\nPrivate_Hugetlb:       0 kB\nVmFlags: rd wr sh nr ht\n"

static void a_process_has_what_its_mappings_of_that_size_say(void **state)
{
	const struct tree *tree = *state;
	struct usage usage;

	tree_file(tree, "proc/200/smaps", SMAPS_QEMU);
	assert_int_equal(usage_read(tree->rootfd, 200, 2048, &usage), 0);
	assert_int_equal(usage.mapped, 11 + 3);
	assert_int_equal(usage.faulted, 4 + 3);
	assert_int_equal(usage_read(tree->rootfd, 200, 1048576, &usage), 0);
	assert_int_equal(usage.mapped, 2);
	assert_int_equal(usage.faulted, 1);
	assert_int_equal(usage_read(tree->rootfd, 200, 64, &usage), 0);
	assert_int_equal(usage.mapped, 0);
}

static void unreadable_usage_is_an_error(void **state)
{
	const struct tree *tree = *state;
	struct usage usage = { .mapped = 77 };

	assert_int_equal(usage_read(tree->rootfd, 200, 2048, &usage), -ESRCH);
	tree_file(tree, "proc/201/smaps", "Size: a lot\n");
	assert_int_equal(usage_read(tree->rootfd, 201, 2048, &usage), -EBADMSG);
	tree_file(tree, "proc/202/smaps", "Size:\n");
	assert_int_equal(usage_read(tree->rootfd, 202, 2048, &usage), -EBADMSG);
	assert_int_equal(usage.mapped, 77);
}

static void memory_is_read_from_meminfo(void **state)
{
	struct helper_ctx ctx = { .rootfd = ((const struct tree *)*state)->rootfd };
	const struct tree *tree = *state;
	unsigned long long kib = 77;

	assert_int_equal(memory_available(tree->rootfd, &kib), -ENOENT);
	assert_int_equal(memory_reserve(&ctx, &kib), -ENOENT);
	tree_file(tree, "proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 9 kB\n");
	assert_int_equal(memory_available(tree->rootfd, &kib), -EBADMSG);
	assert_int_equal(kib, 77);
	assert_int_equal(memory_total(tree->rootfd, POOL_NO_NODE, &kib), 0);
	assert_int_equal(kib, 16777216);
	assert_int_equal(memory_reserve(&ctx, &kib), 0);
	assert_int_equal(kib, 524288);
	tree_file(tree, "proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 1000 kB\n");
	assert_int_equal(memory_reserve(&ctx, &kib), 0);
	assert_int_equal(kib, 131072);
	assert_int_equal(memory_available(tree->rootfd, &kib), 0);
	assert_int_equal(kib, 1000);
	tree_file(tree, "proc/meminfo", "MemTotal: 268435456 kB\nMemAvailable: x kB\n");
	assert_int_equal(memory_reserve(&ctx, &kib), 0);
	assert_int_equal(kib, 1048576);
	assert_int_equal(memory_available(tree->rootfd, &kib), -EBADMSG);
	tree_file(tree, "sys/devices/system/node/node1/meminfo",
		  "Node 1 MemTotal:        4194304 kB\nNode 1 MemFree: 5 kB\n");
	assert_int_equal(memory_total(tree->rootfd, 1, &kib), 0);
	assert_int_equal(kib, 4194304);
}

static void the_reserve_of_the_policy_counts(void **state)
{
	struct helper_ctx ctx = { .rootfd = ((const struct tree *)*state)->rootfd };
	unsigned long long kib;

	assert_int_equal(inidoc_add(&ctx.claim.doc, HUGEPAGES_SECTION, "reserve_kib", "4096"), 0);
	assert_int_equal(memory_reserve(&ctx, &kib), 0);
	assert_int_equal(kib, 4096);
	inidoc_free(&ctx.claim.doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_are_read_in_order_and_equal_ones_joined),
		cmocka_unit_test(preferred_nodes_are_of_a_part_of_what_any_may_meet),
		cmocka_unit_test(no_need_at_all_is_none),
		cmocka_unit_test(malformed_needs_are_refused),
		cmocka_unit_test(joining_past_the_largest_number_is_erange),
		cmocka_unit_test(places_and_sizes_have_names),
		tree_test(a_process_has_what_its_mappings_of_that_size_say),
		tree_test(unreadable_usage_is_an_error),
		tree_test(memory_is_read_from_meminfo),
		tree_test(the_reserve_of_the_policy_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
