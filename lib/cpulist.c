/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/cpulist.c - sets of CPUs or NUMA nodes and their list form ("0-3,8") */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cpulist.h"

#define WORD_BITS (8 * sizeof(unsigned long))
#define NR_WORDS  (CPULIST_MAX / WORD_BITS)

static unsigned long cpu_bit(unsigned int cpu)
{
	return 1UL << (cpu % WORD_BITS);
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* One number. Return: 0, -EINVAL, -ERANGE; *p is moved behind it and the blanks that follow */
static int parse_cpu(const char **p, unsigned int *ret)
{
	size_t len = strspn(*p, "0123456789");
	unsigned int cpu = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		cpu = cpu * 10 + (unsigned int)((*p)[i] - '0');
		if (cpu >= CPULIST_MAX)
			return -ERANGE;
	}
	*p = skip_blanks(*p + len);
	*ret = cpu;
	return 0;
}

/* ^N */
static int parse_leave_out(const char **p, struct cpulist *set)
{
	unsigned int cpu;
	int r;

	(*p)++;
	r = parse_cpu(p, &cpu);
	if (r == 0)
		cpulist_remove(set, cpu);
	return r;
}

/* N or N-M */
static int parse_range(const char **p, struct cpulist *set)
{
	unsigned int first, last;
	int r;

	r = parse_cpu(p, &first);
	if (r < 0)
		return r;
	last = first;
	if (**p == '-') {
		*p = skip_blanks(*p + 1);
		r = parse_cpu(p, &last);
		if (r < 0)
			return r;
		if (last < first)
			return -EINVAL;
	}
	for (unsigned int cpu = first; cpu <= last; cpu++)
		cpulist_add(set, cpu);
	return 0;
}

int cpulist_parse(const char *text, struct cpulist *ret)
{
	struct cpulist set = { 0 };
	const char *p = skip_blanks(text);

	while (*p) {
		int r = *p == '^' ? parse_leave_out(&p, &set) : parse_range(&p, &set);

		if (r < 0)
			return r;
		if (!*p)
			break;
		if (*p != ',')
			return -EINVAL;
		p = skip_blanks(p + 1);
	}
	*ret = set;
	return 0;
}

int cpulist_format(const struct cpulist *set, char *buf, size_t size)
{
	size_t len = 0;
	int first, last;

	if (size == 0)
		return -ENAMETOOLONG;
	buf[0] = '\0';
	for (first = cpulist_next(set, 0); first >= 0;
	     first = cpulist_next(set, (unsigned int)last + 1)) {
		const char *comma = len ? "," : "";
		int n;

		for (last = first; cpulist_has(set, (unsigned int)last + 1);)
			last++;
		if (first == last)
			n = snprintf(buf + len, size - len, "%s%d", comma, first);
		else
			n = snprintf(buf + len, size - len, "%s%d-%d", comma, first, last);
		if (n < 0 || (size_t)n >= size - len) {
			buf[0] = '\0';
			return -ENAMETOOLONG;
		}
		len += (size_t)n;
	}
	return 0;
}

void cpulist_add(struct cpulist *set, unsigned int cpu)
{
	if (cpu < CPULIST_MAX)
		set->bits[cpu / WORD_BITS] |= cpu_bit(cpu);
}

void cpulist_remove(struct cpulist *set, unsigned int cpu)
{
	if (cpu < CPULIST_MAX)
		set->bits[cpu / WORD_BITS] &= ~cpu_bit(cpu);
}

bool cpulist_has(const struct cpulist *set, unsigned int cpu)
{
	return cpu < CPULIST_MAX && (set->bits[cpu / WORD_BITS] & cpu_bit(cpu));
}

bool cpulist_empty(const struct cpulist *set)
{
	return cpulist_next(set, 0) < 0;
}

bool cpulist_equal(const struct cpulist *a, const struct cpulist *b)
{
	return memcmp(a->bits, b->bits, sizeof(a->bits)) == 0;
}

bool cpulist_intersects(const struct cpulist *a, const struct cpulist *b)
{
	for (size_t i = 0; i < NR_WORDS; i++) {
		if (a->bits[i] & b->bits[i])
			return true;
	}
	return false;
}

bool cpulist_contains(const struct cpulist *set, const struct cpulist *subset)
{
	for (size_t i = 0; i < NR_WORDS; i++) {
		if (subset->bits[i] & ~set->bits[i])
			return false;
	}
	return true;
}

size_t cpulist_count(const struct cpulist *set)
{
	size_t count = 0;

	for (size_t i = 0; i < NR_WORDS; i++)
		count += (size_t)__builtin_popcountl(set->bits[i]);
	return count;
}

int cpulist_next(const struct cpulist *set, unsigned int from)
{
	size_t i = from / WORD_BITS;
	unsigned long word;

	if (from >= CPULIST_MAX)
		return -1;
	word = set->bits[i] & (ULONG_MAX << (from % WORD_BITS));
	while (!word) {
		if (++i == NR_WORDS)
			return -1;
		word = set->bits[i];
	}
	return (int)(i * WORD_BITS) + __builtin_ctzl(word);
}

void cpulist_union(struct cpulist *set, const struct cpulist *other)
{
	for (size_t i = 0; i < NR_WORDS; i++)
		set->bits[i] |= other->bits[i];
}

void cpulist_subtract(struct cpulist *set, const struct cpulist *other)
{
	for (size_t i = 0; i < NR_WORDS; i++)
		set->bits[i] &= ~other->bits[i];
}

void cpulist_intersect(struct cpulist *set, const struct cpulist *other)
{
	for (size_t i = 0; i < NR_WORDS; i++)
		set->bits[i] &= other->bits[i];
}
