/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/units.c - the one number parser; sizes in KiB, durations in ms */

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "units.h"

#define DIGITS	   "0123456789"
#define BLANKS	   " \t"
#define MS_PER_DAY 86400000U

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return INT_MAX;
}

static int parse_digits(const char *text, size_t len, int base, unsigned long long max,
			unsigned long long *ret)
{
	unsigned long long value = 0;
	int past_range = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int digit = digit_value(text[i]);

		if (digit >= base)
			return -EINVAL;
		past_range |= __builtin_mul_overflow(value, (unsigned int)base, &value);
		past_range |= __builtin_add_overflow(value, (unsigned int)digit, &value);
	}
	if (past_range || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_ull(const char *text, int base, unsigned long long max, unsigned long long *ret)
{
	if (base == 0) {
		base = text[0] == '0' ? 8 : 10;
		if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
			base = 16;
			text += 2;
		}
	}
	return parse_digits(text, strlen(text), base, max, ret);
}

int parse_uint(const char *text, int base, unsigned int max, unsigned int *ret)
{
	unsigned long long value;
	int r = parse_ull(text, base, max, &value);

	if (r < 0)
		return r;
	*ret = (unsigned int)value;
	return 0;
}

/* Bytes of one unit. Return: 0, -EINVAL for an unknown one. ABI: libvirt's virScaleInteger() */
static int unit_bytes(const char *unit, unsigned long long *ret)
{
	static const char prefixes[] = "kKmMgGtTpPeE";
	unsigned int base = 1024;
	const char *prefix;

	*ret = 1;
	if (!strcasecmp(unit, "b") || !strcasecmp(unit, "byte") || !strcasecmp(unit, "bytes"))
		return 0;
	prefix = *unit ? strchr(prefixes, *unit) : NULL;
	if (!prefix)
		return -EINVAL;
	if (!strcasecmp(unit + 1, "b"))
		base = 1000;
	else if (unit[1] && strcasecmp(unit + 1, "ib") != 0)
		return -EINVAL;
	for (ptrdiff_t power = (prefix - prefixes) / 2; power >= 0; power--)
		*ret *= base;
	return 0;
}

static int scale_kib(const char *number, size_t len, const char *unit, unsigned long long *ret_kib)
{
	unsigned long long value, scale, bytes;
	int r;

	r = unit_bytes(unit && *unit ? unit : "KiB", &scale);
	if (r < 0)
		return r;
	r = parse_digits(number, len, 10, ULLONG_MAX, &value);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(value, scale, &bytes))
		return -ERANGE;
	*ret_kib = bytes / 1024 + (bytes % 1024 != 0);
	return 0;
}

int parse_memory_kib(const char *number, const char *unit, unsigned long long *ret_kib)
{
	return scale_kib(number, strlen(number), unit, ret_kib);
}

int parse_size_kib(const char *text, unsigned long long *ret_kib)
{
	size_t len = strspn(text, DIGITS);
	const char *unit = text + len + strspn(text + len, BLANKS);

	/* "512 ": a blank belongs to a unit */
	if (text[len] && !*unit)
		return -EINVAL;
	return scale_kib(text, len, unit, ret_kib);
}

static unsigned int duration_unit_ms(const char *unit)
{
	static const struct {
		const char *name;
		unsigned int ms;
	} units[] = {
		{ "", 1000 },
		{ "ms", 1 },
		{ "s", 1000 },
		{ "min", 60 * 1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].name) == 0)
			return units[i].ms;
	}
	return 0;
}

/* ".5" of a unit, rounded up to whole ms: a wait that was asked for does not become none */
static int parse_fraction_ms(const char *digits, size_t len, unsigned int unit_ms,
			     unsigned long long *ret)
{
	unsigned long long value = 0, scale = 1;

	/* Nine digits are finer than a ms of any unit */
	if (len == 0 || len > 9)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		value = value * 10 + (unsigned int)digit_value(digits[i]);
		scale *= 10;
	}
	*ret = (value * unit_ms + scale - 1) / scale;
	return 0;
}

int parse_duration_ms(const char *text, int *ret_ms)
{
	size_t len = strspn(text, DIGITS), fraction_len = 0;
	const char *fraction = NULL, *unit = text + len;
	unsigned long long whole, part = 0;
	unsigned int unit_ms;
	int r;

	if (*unit == '.') {
		fraction = unit + 1;
		fraction_len = strspn(fraction, DIGITS);
		unit = fraction + fraction_len;
	}
	if (unit[strspn(unit, BLANKS)])
		unit += strspn(unit, BLANKS);
	unit_ms = duration_unit_ms(unit);
	if (!unit_ms)
		return -EINVAL;
	if (fraction) {
		r = parse_fraction_ms(fraction, fraction_len, unit_ms, &part);
		if (r < 0)
			return r;
	}
	r = parse_digits(text, len, 10, MS_PER_DAY / unit_ms, &whole);
	if (r < 0)
		return r;
	if (whole * unit_ms + part > MS_PER_DAY)
		return -ERANGE;
	*ret_ms = (int)(whole * unit_ms + part);
	return 0;
}

int parse_bool(const char *text)
{
	static const struct {
		const char *word;
		int value;
	} words[] = {
		{ "yes", 1 }, { "on", 1 },  { "true", 1 },  { "1", 1 },
		{ "no", 0 },  { "off", 0 }, { "false", 0 }, { "0", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i].word) == 0)
			return words[i].value;
	}
	return -EINVAL;
}
