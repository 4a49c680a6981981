/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/room.c - in which pieces the free memory of the nodes lies */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define TABLE_MAX 1048576

static unsigned long long base_kib(void)
{
	return (unsigned long long)sysconf(_SC_PAGESIZE) / 1024;
}

/* "Node 0, zone   Normal": is it one that @nodes has. Return: what follows, NULL */
static char *zone_line(char *line, const struct cpulist *nodes)
{
	unsigned int node;
	int end = 0;

	if (sscanf(line, "Node %u, zone %*s%n", &node, &end) != 1 || end == 0)
		return NULL;
	return cpulist_has(nodes, node) ? line + end : NULL;
}

/* Numbers of pieces, by order: "    3      1      0 ..." */
static int add_orders(const char *text, struct room *room)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(text, " ", &words);

	for (size_t order = 0; r == 0 && order < words.nr && order < ROOM_ORDERS; order++) {
		unsigned long long pieces;

		if (parse_ull(words.names[order], 10, LLONG_MAX, &pieces) < 0)
			return -EBADMSG;
		room->kib[order] += pieces * (base_kib() << order);
	}
	return r;
}

/* "Node 0, zone   Normal          67          945           12 ..." below the line of names */
static int add_blocks(const char *text, const struct strlist *types, struct room *room)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(text, " ", &words);

	for (size_t i = 0; r == 0 && i < words.nr && i < types->nr; i++) {
		unsigned long long blocks;

		if (parse_ull(words.names[i], 10, LLONG_MAX, &blocks) < 0)
			return -EBADMSG;
		room->blocks += blocks;
		if (strcmp(types->names[i], "Unmovable") == 0)
			room->unmovable += blocks;
	}
	return r;
}

static int read_orders(int rootfd, const struct cpulist *nodes, struct room *room)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	size_t len;
	int r = attr_read_all(rootfd, "proc/buddyinfo", TABLE_MAX, &text, &len);

	for (char *line = r < 0 ? NULL : strtok_r(text, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *orders = zone_line(line, nodes);

		if (orders)
			r = add_orders(orders, room);
	}
	return r;
}

/* The table of blocks is the file's second one; what comes before goes by without a look */
static int read_blocks(int rootfd, const struct cpulist *nodes, struct room *room)
{
	static const char head[] = "Number of blocks type";
	_cleanup_strlist_ struct strlist types = { 0 };
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *line;
	size_t len;
	int r = attr_read_all(rootfd, "proc/pagetypeinfo", TABLE_MAX, &text, &len);

	if (r < 0)
		return r;
	line = strstr(text, head);
	line = line ? strtok_r(line, "\n", &save) : NULL;
	if (!line)
		return -EBADMSG;
	r = text_split(line + strlen(head), " ", &types);
	while (r == 0 && (line = strtok_r(NULL, "\n", &save))) {
		const char *blocks = zone_line(line, nodes);

		if (blocks)
			r = add_blocks(blocks, &types, room);
	}
	return r;
}

int room_read(int rootfd, const struct cpulist *nodes, struct room *ret)
{
	struct room room = { 0 };
	int r = read_orders(rootfd, nodes, &room);

	if (r < 0)
		return r;
	/* Only root may read it, and a line of a message can do without */
	if (read_blocks(rootfd, nodes, &room) < 0)
		room.blocks = 0;
	*ret = room;
	return 0;
}

unsigned long long room_free(const struct room *room)
{
	return room_pieces(room, base_kib());
}

unsigned long long room_pieces(const struct room *room, unsigned long long size_kib)
{
	unsigned long long sum = 0;

	for (size_t order = 0; order < ROOM_ORDERS; order++)
		if (base_kib() << order >= size_kib)
			sum += room->kib[order];
	return sum;
}

bool room_has_size(unsigned long long size_kib)
{
	/* ABI: MAX_PAGE_ORDER is 10 on x86 with 4 KiB pages */
	return size_kib <= base_kib() << 10;
}

void room_say(const struct room *room, char *buf, size_t size)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t order = 0; order < ROOM_ORDERS && used < size; order++) {
		char name[SIZE_NAME_MAX];

		if (!room->kib[order])
			continue;
		size_name(base_kib() << order, name, sizeof(name));
		used += (size_t)snprintf(buf + used, size - used, "%s%llu MiB of %s",
					 used ? ", " : "", room->kib[order] / 1024, name);
	}
}
