/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_pins_test.c - the claim's CPUs and pins, and how they can be partitioned
 *
 * wraps: malloc calloc realloc reallocarray strdup strndup
 * wraps: vasprintf __vasprintf_chk open_memstream
 */
#include "test/unit/tree.h"

#include "helpers/cpuset/cpuset.h"
#include "test/unit/nomem.h"

static int parse(const char *section, struct pins *ret, char *why)
{
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err;
	char text[1024];

	(void)snprintf(text, sizeof(text), "[cpuset]\n%s", section);
	assert_int_equal(inidoc_parse(text, strlen(text), &claim.doc, &err), 0);
	return pins_parse(&claim, ret, why);
}

static struct cpulist set_of(const char *text)
{
	struct cpulist set;

	assert_int_equal(cpulist_parse(text, &set), 0);
	return set;
}

static void assert_cpus(const struct cpulist *set, const char *text)
{
	struct cpulist want = set_of(text);

	assert_true(cpulist_equal(set, &want));
}

static void the_section_is_read_whole(void **state)
{
	_cleanup_pins_ struct pins pins = { 0 };
	char why[WHY_MAX];

	(void)state;
	assert_int_equal(parse("method = auto\n"
			       "iothread = 2 1,3\n"
			       "vcpu = 0 4\n"
			       "vcpu = 10 5-6\n"
			       "emulator = 0-1\n"
			       "float = 3\n"
			       "float = 11 2-3\n"
			       "cpus = 4-7\n"
			       "timeout_ms = 2000\n",
			       &pins, why),
			 0);
	assert_cpus(&pins.cpus, "4-7");
	assert_int_equal(pins.nr_vcpus, 2);
	assert_int_equal(pins.vcpus[0].vcpu, 0);
	assert_cpus(&pins.vcpus[0].cpus, "4");
	assert_int_equal(pins.vcpus[1].vcpu, 10);
	assert_cpus(&pins.vcpus[1].cpus, "5-6");
	assert_int_equal(pins.nr_sides, 4);
	assert_string_equal(pins.sides[0].group, "emulator");
	assert_cpus(&pins.sides[0].cpus, "0-1");
	assert_string_equal(pins.sides[1].group, "iothread2");
	assert_cpus(&pins.sides[1].cpus, "1,3");
	assert_false(pins.sides[1].floats);
	assert_string_equal(pins.sides[2].group, "vcpu3");
	assert_cpus(&pins.sides[2].cpus, "");
	assert_true(pins.sides[2].floats);
	assert_string_equal(pins.sides[3].group, "vcpu11");
	assert_cpus(&pins.sides[3].cpus, "2-3");
}

static void what_does_not_parse_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *section, *why;
	} cases[] = {
		{ "cpus = 2-\nvcpu = 0 2\n", "[cpuset] cpus = 2-" },
		{ "cpus =\nvcpu = 0 2\n", "[cpuset] cpus = " },
		{ "cpus = 99999\nvcpu = 0 2\n", "[cpuset] cpus = 99999" },
		{ "cpus = 2\nvcpu = 0\n", "[cpuset] vcpu = 0" },
		{ "cpus = 2\nvcpu = x 2\n", "[cpuset] vcpu = x 2" },
		{ "cpus = 2\nvcpu = -1 2\n", "[cpuset] vcpu = -1 2" },
		{ "cpus = 2\nvcpu = 99999999999999999999 2\n",
		  "[cpuset] vcpu = 99999999999999999999 2" },
		{ "cpus = 2\nvcpu = 0 2-\n", "[cpuset] vcpu = 0 2-" },
		{ "cpus = 2\nvcpu = 0 3\n", "[cpuset] vcpu = 0 3" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 0 3\n", "[cpuset] vcpu = 0 3" },
		{ "cpus = 2\nvcpu = 0 2\nemulator = a\n", "[cpuset] emulator = a" },
		{ "cpus = 2\nvcpu = 0 2\nemulator =\n", "[cpuset] emulator = " },
		{ "cpus = 2\nvcpu = 0 2\niothread = 1\n", "[cpuset] iothread = 1" },
		{ "cpus = 2\nvcpu = 0 2\niothread = 1 ^3\n", "[cpuset] iothread = 1 ^3" },
		{ "cpus = 2\nvcpu = 0 2\nfloat = x\n", "[cpuset] float = x" },
		{ "cpus = 2\nvcpu = 0 2\nfloat = 1 3-\n", "[cpuset] float = 1 3-" },
		{ "cpus = 2\n", "[cpuset] names no CPUs or no vCPU" },
		{ "method = auto\n", "[cpuset] names no CPUs or no vCPU" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pins pins = { .nr_vcpus = 77 };
		char why[WHY_MAX] = "";

		assert_int_equal(parse(cases[i].section, &pins, why), -EBADMSG);
		assert_string_equal(why, cases[i].why);
		assert_int_equal(pins.nr_vcpus, 77);
	}
}

static int parse_all(const struct claim *claim)
{
	_cleanup_pins_ struct pins pins = { 0 };
	char why[WHY_MAX];

	return pins_parse(claim, &pins, why);
}

static void running_out_of_memory_is_enomem(void **state)
{
	static const char text[] =
		"[cpuset]\ncpus = 2\nvcpu = 0 2\nemulator = 0\niothread = 1 0\nfloat = 1\n";
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err;

	(void)state;
	assert_int_equal(inidoc_parse(text, strlen(text), &claim.doc, &err), 0);
	assert_nomem(parse_all(&claim), 4);
}

static void the_layout_follows_from_the_pins(void **state)
{
	static const struct {
		const char *section;
		enum layout layout;
		const char *why;
	} cases[] = {
		/* Each vCPU a CPU of its own */
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n", LAYOUT_ISOLATED, "" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 0-1\niothread = 1 0\n",
		  LAYOUT_ISOLATED, "" },
		{ "cpus = 2-5\nvcpu = 0 2\n", LAYOUT_ISOLATED, "" },
		/* CPUs shared among the vCPUs */
		{ "cpus = 2-3\nvcpu = 0 2-3\nvcpu = 1 2-3\n", LAYOUT_ROOT, "" },
		{ "cpus = 2\nvcpu = 0 2\nvcpu = 1 2\n", LAYOUT_ROOT, "" },
		{ "cpus = 2-4\nvcpu = 0 2\nvcpu = 1 3-4\nemulator = 2-4\n", LAYOUT_ROOT, "" },
		{ "cpus = 2-3\nvcpu = 0 2-3\nemulator = 1-2\n", LAYOUT_ROOT, "" },
		/* The emulator on a vCPU's CPU */
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 3\n", LAYOUT_ROOT,
		  "emulator is pinned to 3, where a vCPU is: pin it to other CPUs" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 0-2\n", LAYOUT_ROOT,
		  "emulator is pinned to 0-2, where a vCPU is: pin it to other CPUs" },
		/* Some beside the vCPUs and some not: no partition suits both */
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 0\niothread = 1 2\n", LAYOUT_NONE,
		  "iothread1 is pinned to 2, where a vCPU is: pin it to other CPUs" },
		{ "cpus = 2-3\nvcpu = 0 2-3\nemulator = 0-1\n", LAYOUT_NONE,
		  "the vCPUs share 2-3 and emulator is pinned outside, to 0-1: pin each vCPU to "
		  "one CPU of its own" },
		/* Some vCPUs have a pin and others none: those must not be shut in with them */
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nfloat = 2\n", LAYOUT_ISOLATED, "" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nfloat = 2 0-1\n", LAYOUT_ISOLATED, "" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nfloat = 2 0-3\n", LAYOUT_NONE,
		  "vcpu2 has no pin and may run on 0-3, where a pinned one is: pin it, too" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nfloat = 2 2-3\n", LAYOUT_ROOT,
		  "vcpu2 has no pin and may run on 2-3, where a pinned one is: pin it, too" },
		{ "cpus = 2-3\nvcpu = 0 2-3\nvcpu = 1 2-3\nfloat = 2\n", LAYOUT_NONE,
		  "the vCPUs share 2-3 and vcpu2 has no pin: pin each vCPU to one CPU of its own" },
		{ "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 3\nfloat = 2\n", LAYOUT_NONE,
		  "emulator is pinned to 3, where a vCPU is: pin it to other CPUs" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_pins_ struct pins pins = { 0 };
		char why[WHY_MAX];

		assert_int_equal(parse(cases[i].section, &pins, why), 0);
		assert_int_equal(pins_layout(&pins, why), cases[i].layout);
		assert_string_equal(why, cases[i].why);
	}
}

static void layouts_have_the_kernels_names(void **state)
{
	(void)state;
	assert_string_equal(layout_name(LAYOUT_NONE), "member");
	assert_string_equal(layout_name(LAYOUT_ISOLATED), "isolated");
	assert_string_equal(layout_name(LAYOUT_ROOT), "root");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_section_is_read_whole),
		cmocka_unit_test(what_does_not_parse_is_refused_with_its_line),
		cmocka_unit_test(running_out_of_memory_is_enomem),
		cmocka_unit_test(the_layout_follows_from_the_pins),
		cmocka_unit_test(layouts_have_the_kernels_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
