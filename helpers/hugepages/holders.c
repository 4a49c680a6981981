/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/holders.c - what has the memory that pages could be made of */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "hugepages.h"

static void insert(struct holders *holders, const struct holder *holder)
{
	size_t at = holders->nr;

	while (at > 0 && holders->holders[at - 1].kib < holder->kib)
		at--;
	if (at == HOLDERS_MAX)
		return;
	if (holders->nr < HOLDERS_MAX)
		holders->nr++;
	memmove(&holders->holders[at + 1], &holders->holders[at],
		(holders->nr - at - 1) * sizeof(*holder));
	holders->holders[at] = *holder;
}

/* proc/PID/statm: "size resident shared ...", in pages; huge pages are in none of them */
static int resident_kib(int rootfd, pid_t pid, unsigned long long *ret_kib)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	char path[64], text[ATTR_MAX];
	unsigned long long pages;
	int r = path_format(path, sizeof(path), "proc/%d/statm", (int)pid);

	if (r == 0)
		r = attr_read(rootfd, path, text, sizeof(text));
	if (r >= 0)
		r = text_split(text, " ", &words);
	if (r < 0)
		return r;
	if (words.nr < 2 || parse_ull(words.names[1], 10, LLONG_MAX, &pages) < 0)
		return -EBADMSG;
	*ret_kib = pages * ((unsigned long long)sysconf(_SC_PAGESIZE) / 1024);
	return 0;
}

static void add_process(int rootfd, pid_t pid, struct holders *holders)
{
	struct holder holder = { .pid = pid };

	if (resident_kib(rootfd, pid, &holder.kib) < 0 || holder.kib == 0)
		return;
	if (process_name(rootfd, pid, holder.name, sizeof(holder.name)) < 0)
		(void)snprintf(holder.name, sizeof(holder.name), "a process");
	insert(holders, &holder);
}

static void add_kernel(int rootfd, const char *name, const char *field, struct holders *holders)
{
	struct holder holder = { 0 };

	if (memory_field(rootfd, field, &holder.kib) < 0 || holder.kib == 0)
		return;
	(void)snprintf(holder.name, sizeof(holder.name), "%s", name);
	insert(holders, &holder);
}

void holders_read(int rootfd, struct holders *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	struct holder arc = { .name = "ZFS's ARC" };
	struct arc_size size;

	*ret = (struct holders){ 0 };
	if (attr_list(rootfd, "proc", &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		unsigned int pid;

		if (parse_uint(names.names[i], 10, INT_MAX, &pid) == 0)
			add_process(rootfd, (pid_t)pid, ret);
	}
	add_kernel(rootfd, "tmpfs and shared memory", "Shmem:", ret);
	add_kernel(rootfd, "kernel objects", "SUnreclaim:", ret);
	if (arc_read(rootfd, &size) == 0) {
		arc.kib = size.size / 1024;
		insert(ret, &arc);
	}
}

void holders_say(const struct holders *holders, size_t most, char *buf, size_t size)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < holders->nr && i < most && used < size; i++) {
		const struct holder *holder = &holders->holders[i];
		_cleanup_free_ char *name = NULL;

		if (text_printable(holder->name, &name) < 0)
			return;
		used += (size_t)snprintf(buf + used, size - used, "%s%s ", used ? ", " : "", name);
		if (holder->pid > 0 && used < size)
			used += (size_t)snprintf(buf + used, size - used, "(pid %d) ",
						 (int)holder->pid);
		if (used < size)
			used += (size_t)snprintf(buf + used, size - used, "%llu MiB",
						 holder->kib / 1024);
	}
}
