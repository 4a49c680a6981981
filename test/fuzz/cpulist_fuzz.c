/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/cpulist_fuzz.c - two CPU lists, one a line: form and set arithmetic */

#include "fuzz.h"

#include "lib/cpulist.h"

static void check_form(const struct cpulist *set)
{
	static char text[CPULIST_MAX * 6], again[CPULIST_MAX * 6];
	struct cpulist back;
	size_t count = 0;

	CHECK(cpulist_format(set, text, sizeof(text)) == 0);
	CHECK(cpulist_parse(text, &back) == 0);
	CHECK(cpulist_equal(set, &back));
	CHECK(cpulist_format(&back, again, sizeof(again)) == 0);
	CHECK(strcmp(text, again) == 0);
	/* The exact size, and one byte less */
	CHECK(cpulist_format(set, again, strlen(text) + 1) == 0);
	CHECK(cpulist_format(set, again, strlen(text)) == -ENAMETOOLONG);
	for (int cpu = cpulist_next(set, 0); cpu >= 0;
	     cpu = cpulist_next(set, (unsigned int)cpu + 1)) {
		CHECK(cpulist_has(set, (unsigned int)cpu));
		count++;
	}
	CHECK(count == cpulist_count(set));
	CHECK((count == 0) == cpulist_empty(set));
}

static void check_arithmetic(const struct cpulist *a, const struct cpulist *b)
{
	struct cpulist all = *a, both = *a, rest = *a;

	cpulist_union(&all, b);
	cpulist_intersect(&both, b);
	cpulist_subtract(&rest, b);
	CHECK(cpulist_count(&all) + cpulist_count(&both) == cpulist_count(a) + cpulist_count(b));
	CHECK(cpulist_count(&rest) + cpulist_count(&both) == cpulist_count(a));
	CHECK(cpulist_contains(&all, a) && cpulist_contains(&all, b));
	CHECK(cpulist_contains(a, &both) && cpulist_contains(b, &both));
	CHECK(cpulist_intersects(a, b) == !cpulist_empty(&both));
	CHECK(!cpulist_intersects(&rest, b));
	cpulist_union(&rest, &both);
	CHECK(cpulist_equal(&rest, a));
	check_form(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	struct cpulist a = { 0 }, b = { 0 };
	char *second = strchr(text, '\n');
	int r;

	if (second)
		*second++ = '\0';
	r = cpulist_parse(text, &a);
	CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	CHECK(r == 0 || cpulist_empty(&a));
	check_form(&a);
	if (second && cpulist_parse(second, &b) == 0)
		check_arithmetic(&a, &b);
	return 0;
}
