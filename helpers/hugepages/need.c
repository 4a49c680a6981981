/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/need.c - what a claim asks for */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "hugepages.h"

/* 1 PiB: no overflow in bytes below it */
#define SIZE_MAX_KIB (1ULL << 40)

void needs_free(struct needs *needs)
{
	free(needs->needs);
	*needs = (struct needs){ 0 };
}

bool need_same_place(const struct need *a, const struct need *b)
{
	return a->size_kib == b->size_kib && a->any == b->any &&
	       cpulist_equal(&a->nodes, &b->nodes);
}

int needs_add(struct needs *needs, const struct need *need)
{
	struct need *grown;

	for (size_t i = 0; i < needs->nr; i++)
		if (need_same_place(&needs->needs[i], need))
			return __builtin_add_overflow(needs->needs[i].nr_pages, need->nr_pages,
						      &needs->needs[i].nr_pages)
				       ? -ERANGE
				       : 0;
	grown = reallocarray(needs->needs, needs->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	needs->needs = grown;
	grown[needs->nr++] = *need;
	return 0;
}

static int nodes_parse(const char *text, struct need *need)
{
	need->any = strcmp(text, "any") == 0;
	if (need->any)
		return 0;
	if (cpulist_parse(text, &need->nodes) < 0 || cpulist_empty(&need->nodes))
		return -EBADMSG;
	return 0;
}

/* "2048 0-1 512": page size in KiB, host nodes, pages */
static int need_parse(const char *value, struct need *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned long long bytes;
	int r = text_split(value, " ", &words);

	if (r < 0)
		return r;
	if (words.nr != 3 || parse_ull(words.names[0], 10, SIZE_MAX_KIB, &ret->size_kib) < 0 ||
	    nodes_parse(words.names[1], ret) < 0 ||
	    parse_ull(words.names[2], 10, ULLONG_MAX, &ret->nr_pages) < 0)
		return -EBADMSG;
	if (ret->size_kib == 0 || (ret->size_kib & (ret->size_kib - 1)) ||
	    __builtin_mul_overflow(ret->size_kib * 1024, ret->nr_pages, &bytes))
		return -EBADMSG;
	return 0;
}

/* Part of what any node may meet goes to some of them, if they have it */
static int needs_prefer(struct needs *needs, const struct need *part)
{
	struct need preferred = *part;

	if (part->any || part->nr_pages == 0)
		return -EBADMSG;
	preferred.any = true;
	for (size_t i = 0; i < needs->nr; i++) {
		struct need *need = &needs->needs[i];

		if (!need->any || !cpulist_empty(&need->nodes) ||
		    need->size_kib != part->size_kib || need->nr_pages < part->nr_pages)
			continue;
		need->nr_pages -= part->nr_pages;
		if (need->nr_pages)
			return needs_add(needs, &preferred);
		*need = preferred;
		return 0;
	}
	return -EBADMSG;
}

/* "prefer" stands beside "need", which says all that a version before it has to know */
static int load(const struct claim *claim, const char *key,
		int (*put)(struct needs *needs, const struct need *need), struct needs *needs)
{
	const struct inidoc_entry *entry = NULL;
	int r = 0;

	while (r == 0 && (entry = inidoc_next(&claim->doc, entry, HUGEPAGES_SECTION, key))) {
		struct need need = { 0 };

		r = need_parse(entry->value, &need);
		if (r == 0)
			r = put(needs, &need);
	}
	return r;
}

int needs_load(const struct claim *claim, struct needs *ret)
{
	_cleanup_needs_ struct needs needs = { 0 };
	int r = load(claim, "need", needs_add, &needs);

	if (r == 0)
		r = load(claim, "prefer", needs_prefer, &needs);
	if (r < 0)
		return r == -ERANGE ? -EBADMSG : r;
	*ret = needs;
	needs = (struct needs){ 0 };
	return 0;
}

size_t need_width(const struct need *need)
{
	if (need->any)
		return cpulist_empty(&need->nodes) ? SIZE_MAX : SIZE_MAX - 1;
	return cpulist_count(&need->nodes);
}

static int need_compare(const void *a, const void *b)
{
	size_t left = need_width(a), right = need_width(b);

	return (left > right) - (left < right);
}

void needs_sort(struct needs *needs)
{
	if (needs->nr)
		qsort(needs->needs, needs->nr, sizeof(*needs->needs), need_compare);
}

bool needs_seen(const struct needs *needs, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (needs->needs[i].size_kib == needs->needs[index].size_kib)
			return true;
	return false;
}

bool need_covers(const struct need *need, int node)
{
	return need->any || node == POOL_NO_NODE || cpulist_has(&need->nodes, (unsigned int)node);
}

int need_nodes(int rootfd, const struct need *need, struct cpulist *ret, struct cpulist *ret_all)
{
	char list[ATTR_MAX];
	int r = attr_read(rootfd, "sys/devices/system/node/has_memory", list, sizeof(list));

	if (r < 0)
		return r;
	r = cpulist_parse(list, ret_all);
	if (r < 0)
		return r;
	*ret = *ret_all;
	if (!need->any)
		cpulist_intersect(ret, &need->nodes);
	return 0;
}

bool need_meets(const struct need *a, const struct need *b)
{
	return a->size_kib == b->size_kib &&
	       (a->any || b->any || cpulist_intersects(&a->nodes, &b->nodes));
}

void need_where(const struct need *need, char *buf, size_t size)
{
	char list[NEED_WHERE_MAX];
	bool one = cpulist_count(&need->nodes) == 1;

	if (need->any)
		(void)snprintf(buf, size, "on this host");
	else if (cpulist_format(&need->nodes, list, sizeof(list) / 2) < 0)
		(void)snprintf(buf, size, "on its nodes");
	else
		(void)snprintf(buf, size, "on node%s %s", one ? "" : "s", list);
}

void pool_where(int node, char *buf, size_t size)
{
	if (node == POOL_NO_NODE)
		(void)snprintf(buf, size, "the host");
	else
		(void)snprintf(buf, size, "node %d", node);
}

void size_name(unsigned long long size_kib, char *buf, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;

	while (unit + 1 < ARRAY_SIZE(units) && size_kib >= 1024 && size_kib % 1024 == 0) {
		size_kib /= 1024;
		unit++;
	}
	(void)snprintf(buf, size, "%llu %s", size_kib, units[unit]);
}
