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

/* "Node 0, zone   Normal   3   1 ...": words before the numbers */
#define ZONE_WORDS 4

/* Return: 1 with the words of a line about a zone of @nodes, 0 for another line, -ENOMEM */
static int zone_line(const char *line, const struct cpulist *nodes, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned int node;
	int r = text_split(line, " ,", &words);

	if (r < 0)
		return r;
	if (words.nr < ZONE_WORDS || strcmp(words.names[0], "Node") != 0 ||
	    strcmp(words.names[2], "zone") != 0 ||
	    parse_uint(words.names[1], 10, CPULIST_MAX - 1, &node) < 0 || !cpulist_has(nodes, node))
		return 0;
	*ret = words;
	words = (struct strlist){ 0 };
	return 1;
}

/* Numbers of pieces, by order: "    3      1      0 ..." */
static int add_orders(const struct strlist *words, struct room *room)
{
	for (size_t order = 0; order < ROOM_ORDERS && ZONE_WORDS + order < words->nr; order++) {
		unsigned long long pieces;

		if (parse_ull(words->names[ZONE_WORDS + order], 10, LLONG_MAX, &pieces) < 0)
			return -EBADMSG;
		room->kib[order] += pieces * (base_kib() << order);
	}
	return 0;
}

/* "        67          945           12 ..." below the line of names */
static int add_blocks(const struct strlist *words, const struct strlist *types, struct room *room)
{
	for (size_t i = 0; i < types->nr && ZONE_WORDS + i < words->nr; i++) {
		unsigned long long blocks;

		if (parse_ull(words->names[ZONE_WORDS + i], 10, LLONG_MAX, &blocks) < 0)
			return -EBADMSG;
		room->blocks += blocks;
		if (strcmp(types->names[i], "Unmovable") == 0)
			room->unmovable += blocks;
	}
	return 0;
}

/* @types: NULL for the table of pieces, else the names above the table of blocks */
static int read_zones(char *text, const struct cpulist *nodes, const struct strlist *types,
		      struct room *room)
{
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &save); r >= 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		_cleanup_strlist_ struct strlist words = { 0 };

		r = zone_line(line, nodes, &words);
		if (r > 0 && !strlist_has(&words, "type"))
			r = types ? add_blocks(&words, types, room) : add_orders(&words, room);
	}
	return r < 0 ? r : 0;
}

static int read_orders(int rootfd, const struct cpulist *nodes, struct room *room)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = attr_read_all(rootfd, "proc/buddyinfo", TABLE_MAX, &text, &len);

	return r < 0 ? r : read_zones(text, nodes, NULL, room);
}

/* Each node has a table of pieces by type, whose lines have the word type, then one of blocks */
static int read_blocks(int rootfd, const struct cpulist *nodes, struct room *room)
{
	static const char head[] = "Number of blocks type";
	_cleanup_strlist_ struct strlist types = { 0 };
	_cleanup_free_ char *text = NULL;
	char *line, *end;
	size_t len;
	int r = attr_read_all(rootfd, "proc/pagetypeinfo", TABLE_MAX, &text, &len);

	if (r < 0)
		return r;
	line = strstr(text, head);
	end = line ? strchr(line, '\n') : NULL;
	if (!end)
		return -EBADMSG;
	*end = '\0';
	r = text_split(line + strlen(head), " ", &types);
	return r < 0 ? r : read_zones(end + 1, nodes, &types, room);
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
