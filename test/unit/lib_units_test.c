/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_units_test.c - numbers, sizes, durations, yes and no */

#include "tree.h"

#include "lib/units.h"

#define MAX_U64 18446744073709551615ULL

/* --- parse_ull(), parse_uint() ---------------------------------------------------------------- */
static void ull_reads_each_base(void **state)
{
	static const struct {
		const char *text;
		int base;
		unsigned long long value;
	} rows[] = {
		{ "0", 10, 0 },
		{ "007", 10, 7 },
		{ "18446744073709551615", 10, MAX_U64 },
		{ "10de", 16, 0x10de },
		{ "FFFFFFFFFFFFFFFF", 16, MAX_U64 },
		{ "0", 0, 0 },
		{ "42", 0, 42 },
		{ "0x1F", 0, 0x1f },
		{ "0X1f", 0, 0x1f },
		{ "017", 0, 15 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned long long value = 99;

		assert_int_equal(parse_ull(rows[i].text, rows[i].base, MAX_U64, &value), 0);
		assert_true(value == rows[i].value);
	}
}

static void ull_refuses_what_is_not_one_number(void **state)
{
	static const struct {
		const char *text;
		int base;
	} rows[] = {
		{ "", 10 },   { " 1", 10 },  { "1 ", 10 },  { "+1", 10 }, { "-1", 10 },
		{ "1a", 10 }, { "0x1", 10 }, { "0x1", 16 }, { "g", 16 },  { "", 16 },
		{ "", 0 },    { "0x", 0 },   { "08", 0 },   { "0xg", 0 }, { "1\n", 10 },
		{ "1,", 10 }, { "1.0", 10 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned long long value = 99;

		assert_int_equal(parse_ull(rows[i].text, rows[i].base, MAX_U64, &value), -EINVAL);
		assert_true(value == 99);
	}
}

static void ull_refuses_more_than_the_limit(void **state)
{
	unsigned long long value = 99;

	(void)state;
	assert_int_equal(parse_ull("8", 10, 7, &value), -ERANGE);
	assert_int_equal(parse_ull("18446744073709551616", 10, MAX_U64, &value), -ERANGE);
	assert_int_equal(parse_ull("10000000000000000", 16, MAX_U64, &value), -ERANGE);
	/* 2^65 + 1: wraps around to a small number */
	assert_int_equal(parse_ull("36893488147419103233", 10, MAX_U64, &value), -ERANGE);
	/* No number at all is told apart from one too large */
	assert_int_equal(parse_ull("99999999999999999999999x", 10, MAX_U64, &value), -EINVAL);
	assert_true(value == 99);
	assert_int_equal(parse_ull("7", 10, 7, &value), 0);
}

static void uint_is_ull_in_a_smaller_box(void **state)
{
	unsigned int value = 99;

	(void)state;
	assert_int_equal(parse_uint("4294967296", 10, 4294967295U, &value), -ERANGE);
	assert_int_equal(parse_uint("x", 10, 4294967295U, &value), -EINVAL);
	assert_int_equal(value, 99);
	assert_int_equal(parse_uint("4294967295", 10, 4294967295U, &value), 0);
	assert_true(value == 4294967295U);
}

/* --- parse_memory_kib(), parse_size_kib() ----------------------------------------------------- */
static void memory_knows_libvirts_units(void **state)
{
	static const struct {
		const char *number, *unit;
		unsigned long long kib;
	} rows[] = {
		{ "8388608", NULL, 8388608 },
		{ "8", "", 8 },
		{ "1", "b", 1 },
		{ "1024", "bytes", 1 },
		{ "1025", "byte", 2 },
		{ "0", "b", 0 },
		{ "3", "k", 3 },
		{ "3", "K", 3 },
		{ "3", "KiB", 3 },
		{ "3", "kib", 3 },
		{ "1", "KB", 1 },
		{ "1024", "KB", 1000 },
		{ "2", "M", 2048 },
		{ "2", "MiB", 2048 },
		{ "1", "MB", 977 },
		{ "1", "G", 1048576 },
		{ "1", "GB", 976563 },
		{ "1", "T", 1073741824 },
		{ "1", "TiB", 1073741824 },
		{ "1", "PiB", 1099511627776 },
		{ "15", "E", 16888498602639360 },
		{ "18", "EB", 17578125000000000 },
		{ "18446744073709551615", "b", 18014398509481984 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned long long kib = 99;

		assert_int_equal(parse_memory_kib(rows[i].number, rows[i].unit, &kib), 0);
		assert_true(kib == rows[i].kib);
	}
}

static void memory_refuses_unknown_units_and_numbers(void **state)
{
	static const struct {
		const char *number, *unit;
	} rows[] = {
		{ "1", "x" },  { "1", "KiBs" }, { "1", "Ki" },	 { "1", "bb" }, { "1", "Z" },
		{ "1", " k" }, { "1", "k " },	{ "", "k" },	 { "-1", "k" }, { "1.5", "G" },
		{ "x", NULL }, { "1", "i" },	{ "1", "\xeb" },
	};
	unsigned long long kib = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(parse_memory_kib(rows[i].number, rows[i].unit, &kib), -EINVAL);
	assert_true(kib == 99);
}

static void memory_refuses_what_no_64_bits_of_bytes_can_hold(void **state)
{
	unsigned long long kib = 99;

	(void)state;
	assert_int_equal(parse_memory_kib("16", "E", &kib), -ERANGE);
	assert_int_equal(parse_memory_kib("18014398509481984", "KiB", &kib), -ERANGE);
	assert_int_equal(parse_memory_kib("18446744073709551616", "b", &kib), -ERANGE);
	assert_true(kib == 99);
}

static void size_is_number_and_unit_in_one(void **state)
{
	static const struct {
		const char *text;
		unsigned long long kib;
	} rows[] = {
		{ "512", 512 },	       { "2M", 2048 }, { "2MiB", 2048 }, { "1 GiB", 1048576 },
		{ "1 \t G", 1048576 }, { "4096b", 4 }, { "0", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned long long kib = 99;

		assert_int_equal(parse_size_kib(rows[i].text, &kib), 0);
		assert_true(kib == rows[i].kib);
	}
}

static void size_refuses_what_it_cannot_read(void **state)
{
	static const char *const texts[] = {
		"", "M", " 2M", "2M ", "512 ", "2 M B", "2MM", "1.5G", "-1", "0x10", "2,M",
	};
	unsigned long long kib = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse_size_kib(texts[i], &kib), -EINVAL);
	assert_int_equal(parse_size_kib("16E", &kib), -ERANGE);
	assert_true(kib == 99);
}

/* --- parse_duration_ms() ---------------------------------------------------------------------- */
static void duration_knows_its_units(void **state)
{
	static const struct {
		const char *text;
		int ms;
	} rows[] = {
		{ "0", 0 },
		{ "2", 2000 },
		{ "2s", 2000 },
		{ "1500ms", 1500 },
		{ "1.5s", 1500 },
		{ "0.25", 250 },
		{ "2min", 120000 },
		{ "0.5min", 30000 },
		{ "2 s", 2000 },
		{ "1.0004s", 1001 },
		{ "0.0001s", 1 },
		{ "1.5ms", 2 },
		{ "24000s", 24000000 },
		{ "1440min", 86400000 },
		{ "86400", 86400000 },
		{ "86400000ms", 86400000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int ms = -1;

		assert_int_equal(parse_duration_ms(rows[i].text, &ms), 0);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void duration_refuses_what_it_cannot_read(void **state)
{
	static const char *const texts[] = {
		"",    "s",    "-1s",	"+1", " 1", "1 ",   "1.",     ".5",
		"1.s", "1,5s", "1.5.5", "2m", "2S", "2sec", "1s 2ms", "1.1234567890s",
		"inf", "0x10",
	};
	int ms = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse_duration_ms(texts[i], &ms), -EINVAL);
	assert_int_equal(ms, 99);
}

static void duration_refuses_more_than_a_day(void **state)
{
	static const char *const texts[] = {
		"86401", "86400.001", "1441min", "86400001ms", "1440.1min", "99999999999999999999s",
	};
	int ms = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse_duration_ms(texts[i], &ms), -ERANGE);
	assert_int_equal(ms, 99);
}

/* --- parse_bool() ----------------------------------------------------------------------------- */
static void bool_knows_four_words_for_each(void **state)
{
	static const char *const yes[] = { "yes", "YES", "on", "On", "true", "True", "1" };
	static const char *const no[] = { "no", "No", "off", "OFF", "false", "False", "0" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		assert_int_equal(parse_bool(yes[i]), 1);
		assert_int_equal(parse_bool(no[i]), 0);
	}
}

static void bool_refuses_other_words(void **state)
{
	static const char *const texts[] = {
		"", "y", "n", "2", "yes ", " no", "auto", "10", "tru"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse_bool(texts[i]), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ull_reads_each_base),
		cmocka_unit_test(ull_refuses_what_is_not_one_number),
		cmocka_unit_test(ull_refuses_more_than_the_limit),
		cmocka_unit_test(uint_is_ull_in_a_smaller_box),
		cmocka_unit_test(memory_knows_libvirts_units),
		cmocka_unit_test(memory_refuses_unknown_units_and_numbers),
		cmocka_unit_test(memory_refuses_what_no_64_bits_of_bytes_can_hold),
		cmocka_unit_test(size_is_number_and_unit_in_one),
		cmocka_unit_test(size_refuses_what_it_cannot_read),
		cmocka_unit_test(duration_knows_its_units),
		cmocka_unit_test(duration_refuses_what_it_cannot_read),
		cmocka_unit_test(duration_refuses_more_than_a_day),
		cmocka_unit_test(bool_knows_four_words_for_each),
		cmocka_unit_test(bool_refuses_other_words),
	};

	return cmocka_run_group_tests_name("lib/units", tests, NULL, NULL);
}
