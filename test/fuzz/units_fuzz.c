/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/units_fuzz.c - numbers against strtoull(), sizes and durations against their bounds */

#include "fuzz.h"

#include <ctype.h>
#include <limits.h>

#include "lib/units.h"

static void check_number(const char *text, int base, unsigned long long max)
{
	unsigned long long value = 0, expected;
	unsigned int small = 0;
	char *end;
	int r = parse_ull(text, base, max, &value);

	CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	errno = 0;
	expected = strtoull(text, &end, base);
	if (r == 0)
		CHECK(isxdigit((unsigned char)*text) && !*end && errno == 0 && value == expected &&
		      value <= max);
	/* strtoull() takes signs, blanks and, in base 16, a prefix, which we do not */
	else if (isxdigit((unsigned char)*text) && !*end && !(base == 16 && strpbrk(text, "xX")))
		CHECK(r == -ERANGE && (errno == ERANGE || expected > max));
	r = parse_uint(text, base, UINT_MAX, &small);
	CHECK((r == 0) == (parse_ull(text, base, UINT_MAX, &value) == 0));
	CHECK(r != 0 || small == value);
}

/* "2M" is what "2" and "M" are; and as many bytes as those KiB give as many KiB */
static void check_size(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	_cleanup_free_ char *number = strndup(text, digits);
	unsigned long long whole = 0, parts = 0, back = 0;
	char kib[32];
	int r = parse_size_kib(text, &whole);

	CHECK(number);
	CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	CHECK(r != 0 || whole <= ULLONG_MAX / 1024 + 1);
	if (text[digits] && !strchr(" \t", text[digits])) {
		CHECK(parse_memory_kib(number, text + digits, &parts) == r);
		CHECK(parts == whole);
	}
	if (r == 0 && whole <= ULLONG_MAX / 1024) {
		(void)snprintf(kib, sizeof(kib), "%lluKiB", whole);
		CHECK(parse_size_kib(kib, &back) == 0 && back == whole);
	}
}

static void check_duration(const char *text)
{
	char ms_text[32];
	int ms = -1, back = -1;
	int r = parse_duration_ms(text, &ms);

	CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0) {
		CHECK(ms == -1);
		return;
	}
	CHECK(ms >= 0 && ms <= 24 * 60 * 60 * 1000);
	(void)snprintf(ms_text, sizeof(ms_text), "%dms", ms);
	CHECK(parse_duration_ms(ms_text, &back) == 0 && back == ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	int r = parse_bool(text);

	CHECK(r == 0 || r == 1 || r == -EINVAL);
	check_number(text, 10, ULLONG_MAX);
	check_number(text, 16, 0xffff);
	check_number(text, 0, ULLONG_MAX);
	check_size(text);
	check_duration(text);
	return 0;
}
