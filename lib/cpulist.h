/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/cpulist.h - sets of CPUs or NUMA nodes and their list form ("0-3,8") */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

/* libvirt's own limit for a cpuset (virBitmapParse): N < 16384 */
#define CPULIST_MAX 16384

struct cpulist {
	unsigned long bits[CPULIST_MAX / (8 * sizeof(unsigned long))];
};

/**
 * cpulist_parse() - the kernel's and libvirt's list form
 *
 * N, N-M, ^N (leave out, libvirt), commas, blanks around items. "" is the empty set. As libvirt, it
 * lets a last comma and a ^N of what is not in pass: what starts a guest must not stop its planner.
 *
 * Return: 0, -EINVAL (syntax, N > M), -ERANGE for N >= CPULIST_MAX
 * ABI: virBitmapParseInternal() in libvirt's util/virbitmap.c, 9.0.0 to 11.3.0
 */
int cpulist_parse(const char *text, struct cpulist *ret) _must_check_;

/**
 * cpulist_format() - the kernel's list form, ranges joined, "" for the empty set
 *
 * Return: 0, -ENAMETOOLONG when @buf is too small
 */
int cpulist_format(const struct cpulist *set, char *buf, size_t size) _must_check_;

void cpulist_add(struct cpulist *set, unsigned int cpu);
void cpulist_remove(struct cpulist *set, unsigned int cpu);
bool cpulist_has(const struct cpulist *set, unsigned int cpu);
bool cpulist_empty(const struct cpulist *set);
bool cpulist_equal(const struct cpulist *a, const struct cpulist *b);
bool cpulist_intersects(const struct cpulist *a, const struct cpulist *b);
bool cpulist_contains(const struct cpulist *set, const struct cpulist *subset);
size_t cpulist_count(const struct cpulist *set);
/** cpulist_next() - the first CPU >= @from in the set. Return: the CPU, -1 when there is none */
int cpulist_next(const struct cpulist *set, unsigned int from);
/** cpulist_union(), _subtract(), _intersect() - @set becomes the result */
void cpulist_union(struct cpulist *set, const struct cpulist *other);
void cpulist_subtract(struct cpulist *set, const struct cpulist *other);
void cpulist_intersect(struct cpulist *set, const struct cpulist *other);
