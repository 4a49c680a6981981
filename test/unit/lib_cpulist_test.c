/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_cpulist_test.c - sets of CPUs and their list form */

#include "tree.h"

#include "lib/cpulist.h"

static struct cpulist cpus(const char *text)
{
	struct cpulist set = { 0 };

	assert_int_equal(cpulist_parse(text, &set), 0);
	return set;
}

static void assert_cpus(const struct cpulist *set, const char *text)
{
	char buf[256];

	assert_int_equal(cpulist_format(set, buf, sizeof(buf)), 0);
	assert_string_equal(buf, text);
}

static void parse_reads_the_kernels_and_libvirts_form(void **state)
{
	static const struct {
		const char *text, *formatted;
	} rows[] = {
		{ "", "" },
		{ "  ", "" },
		{ "0", "0" },
		{ "0-3,8", "0-3,8" },
		{ "8,0-3", "0-3,8" },
		{ "0,1,2,3", "0-3" },
		{ " 0 - 3 , 8 ", "0-3,8" },
		{ "0-3,2-5", "0-5" },
		{ "5-5", "5" },
		{ "0-7,^3", "0-2,4-7" },
		{ "0-7,^0,^7", "1-6" },
		{ "1,^1", "" },
		{ "1,^1,1", "1" },
		{ "007", "7" },
		{ "62-65,127-128", "62-65,127-128" },
		{ "0-3,", "0-3" },
		{ "0-3 , ", "0-3" },
		{ "^1", "" },
		{ "1,^2", "1" },
		{ "16383", "16383" },
		{ "0-16383", "0-16383" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpulist set = cpus(rows[i].text);

		assert_cpus(&set, rows[i].formatted);
	}
}

static void parse_refuses_bad_syntax(void **state)
{
	static const char *const texts[] = {
		",",	",1",  "1,,2", "1,,",  "-1",   "1-",	   "3-1", "a", "1a", "1 2",
		"1-2-3", "1-3,^1-2", "^",    "1,^",  "0x1",  "1;2",	   "+1",  "1-^2", "0-31:1/2",
		"1\n",
	};
	struct cpulist set = cpus("4");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(cpulist_parse(texts[i], &set), -EINVAL);
	assert_cpus(&set, "4");
}

static void parse_refuses_cpus_past_the_limit(void **state)
{
	static const char *const texts[] = {
		"16384", "0-16384", "16384-16385", "4294967296", "99999999999999999999", "1,^16384",
	};
	struct cpulist set = cpus("4");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(cpulist_parse(texts[i], &set), -ERANGE);
	assert_cpus(&set, "4");
}

static void format_refuses_a_buffer_that_is_too_small(void **state)
{
	struct cpulist set = cpus("0-3,8");
	char buf[6] = "old";

	(void)state;
	assert_int_equal(cpulist_format(&set, buf, 6), 0);
	assert_string_equal(buf, "0-3,8");
	for (size_t size = 1; size < 6; size++) {
		assert_int_equal(cpulist_format(&set, buf, size), -ENAMETOOLONG);
		assert_string_equal(buf, "");
	}
	assert_int_equal(cpulist_format(&set, buf, 0), -ENAMETOOLONG);
}

static void every_second_cpu_comes_back(void **state)
{
	static char buf[CPULIST_MAX * 6];
	struct cpulist set = { 0 }, back;

	(void)state;
	for (unsigned int cpu = 0; cpu < CPULIST_MAX; cpu += 2)
		cpulist_add(&set, cpu);
	assert_int_equal(cpulist_format(&set, buf, sizeof(buf)), 0);
	assert_int_equal(cpulist_parse(buf, &back), 0);
	assert_true(cpulist_equal(&set, &back));
	assert_int_equal(cpulist_count(&back), CPULIST_MAX / 2);
}

static void add_and_remove_touch_one_cpu(void **state)
{
	struct cpulist set = { 0 };

	(void)state;
	cpulist_add(&set, 64);
	cpulist_add(&set, 16383);
	assert_true(cpulist_has(&set, 64));
	assert_false(cpulist_has(&set, 63));
	assert_false(cpulist_has(&set, 65));
	cpulist_remove(&set, 64);
	assert_cpus(&set, "16383");
	cpulist_remove(&set, 1);
	assert_cpus(&set, "16383");
}

static void cpus_past_the_limit_are_in_no_set(void **state)
{
	struct cpulist set = cpus("0-16383");

	(void)state;
	cpulist_remove(&set, CPULIST_MAX);
	cpulist_add(&set, CPULIST_MAX);
	cpulist_add(&set, 4294967295U);
	assert_false(cpulist_has(&set, CPULIST_MAX));
	assert_false(cpulist_has(&set, 4294967295U));
	assert_int_equal(cpulist_count(&set), CPULIST_MAX);
	assert_int_equal(cpulist_next(&set, CPULIST_MAX), -1);
	assert_int_equal(cpulist_next(&set, 4294967295U), -1);
}

static void next_walks_the_set_in_order(void **state)
{
	static const int walk[] = { 0, 3, 63, 64, 128, 16383, -1 };
	struct cpulist set = cpus("0,3,63-64,128,16383"), none = { 0 };
	int cpu = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(walk); i++) {
		cpu = cpulist_next(&set, (unsigned int)(cpu + 1));
		assert_int_equal(cpu, walk[i]);
	}
	assert_int_equal(cpulist_next(&none, 0), -1);
}

static void questions_are_answered(void **state)
{
	struct cpulist none = { 0 }, a = cpus("0-3,100"), b = cpus("3-5"), part = cpus("1,100");

	(void)state;
	assert_true(cpulist_empty(&none));
	assert_false(cpulist_empty(&a));
	assert_true(cpulist_equal(&a, &a));
	assert_false(cpulist_equal(&a, &b));
	assert_true(cpulist_intersects(&a, &b));
	assert_false(cpulist_intersects(&part, &b));
	assert_false(cpulist_intersects(&a, &none));
	assert_true(cpulist_contains(&a, &part));
	assert_false(cpulist_contains(&part, &a));
	assert_false(cpulist_contains(&a, &b));
	assert_true(cpulist_contains(&none, &none));
	assert_int_equal(cpulist_count(&a), 5);
	assert_int_equal(cpulist_count(&none), 0);
}

static void union_subtract_and_intersect_are_set_arithmetic(void **state)
{
	const struct cpulist a = cpus("0-3,100"), b = cpus("2-5,200");
	struct cpulist set = a;

	(void)state;
	cpulist_union(&set, &b);
	assert_cpus(&set, "0-5,100,200");
	set = a;
	cpulist_subtract(&set, &b);
	assert_cpus(&set, "0-1,100");
	set = a;
	cpulist_intersect(&set, &b);
	assert_cpus(&set, "2-3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_reads_the_kernels_and_libvirts_form),
		cmocka_unit_test(parse_refuses_bad_syntax),
		cmocka_unit_test(parse_refuses_cpus_past_the_limit),
		cmocka_unit_test(format_refuses_a_buffer_that_is_too_small),
		cmocka_unit_test(every_second_cpu_comes_back),
		cmocka_unit_test(add_and_remove_touch_one_cpu),
		cmocka_unit_test(cpus_past_the_limit_are_in_no_set),
		cmocka_unit_test(next_walks_the_set_in_order),
		cmocka_unit_test(questions_are_answered),
		cmocka_unit_test(union_subtract_and_intersect_are_set_arithmetic),
	};

	return cmocka_run_group_tests_name("lib/cpulist", tests, NULL, NULL);
}
