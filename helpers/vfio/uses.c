/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/uses.c - proc's tables of mounts, swap and routes */
#include "uses.h"

#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"

/* Longest of proc's tables: mounts of a host full of containers */
#define TABLE_MAX ((size_t)16 * 1024 * 1024)

void use_tables_free(struct use_tables *tables)
{
	free(tables->mounts);
	free(tables->swaps);
	free(tables->route);
	free(tables->route6);
	free(tables->inet6);
	free(tables->pppoe);
}

/* A kernel without IPv6, or without swap, has no such table */
static int table_read(int rootfd, const char *path, char **ret)
{
	size_t len;
	int r = attr_read_all(rootfd, path, TABLE_MAX, ret, &len);

	if (r != -ENOENT)
		return r;
	*ret = strdup("");
	return *ret ? 0 : -ENOMEM;
}

int use_tables_read(int rootfd, struct use_tables *tables)
{
	const struct {
		const char *path;
		char **ret;
	} rows[] = {
		{ "proc/self/mountinfo", &tables->mounts },
		{ "proc/swaps", &tables->swaps },
		{ "proc/net/route", &tables->route },
		{ "proc/net/ipv6_route", &tables->route6 },
		{ "proc/net/if_inet6", &tables->inet6 },
		{ "proc/net/pppoe", &tables->pppoe },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
		r = table_read(rootfd, rows[i].path, rows[i].ret);
	return r;
}

int use_table_find(const char *table,
		   bool (*match)(const struct strlist *words, struct use_wanted *wanted),
		   struct use_wanted *wanted)
{
	for (const char *line = table; *line;) {
		size_t len = strcspn(line, "\n");
		_cleanup_strlist_ struct strlist words = { 0 };
		_cleanup_free_ char *copy = strndup(line, len);

		if (!copy || text_split(copy, " \t", &words) < 0)
			return -ENOMEM;
		if (match(&words, wanted))
			return 1;
		line += len + (line[len] == '\n');
	}
	return 0;
}
