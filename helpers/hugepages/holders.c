/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/holders.c - what has the memory that pages could be made of */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define STATUS_MAX 65536

/* For a line of text: processes that are not come to by then count with all they have */
#define ASK_ALL_MS 700

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

/* @name: "\nHugetlbPages:". ABI: Documentation/filesystems/proc.rst, proc/PID/status; that one since
 * Linux 4.4, Rss since 4.5. Not known is none */
static unsigned long long status_kib(int rootfd, pid_t pid, const char *name)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	char path[64];
	size_t len;

	if (path_format(path, sizeof(path), "proc/%d/status", (int)pid) < 0 ||
	    attr_read_all(rootfd, path, STATUS_MAX, &text, &len) < 0)
		return 0;
	line = strstr(text, name);
	return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

unsigned long long freed_kib(int rootfd, pid_t pid)
{
	return status_kib(rootfd, pid, "\nRssAnon:") + status_kib(rootfd, pid, "\nRssShmem:");
}

static void add_process(int rootfd, pid_t pid, struct holders *holders)
{
	struct holder holder = { .pid = pid };
	struct holder pooled = { .pid = pid,
				 .pooled = true,
				 .kib = status_kib(rootfd, pid, "\nHugetlbPages:") };

	if (resident_kib(rootfd, pid, &holder.kib) < 0 || holder.kib + pooled.kib == 0)
		return;
	if (process_name(rootfd, pid, holder.name, sizeof(holder.name)) < 0)
		(void)snprintf(holder.name, sizeof(holder.name), "a process");
	memcpy(pooled.name, holder.name, sizeof(pooled.name));
	insert(holders, &holder);
	if (pooled.kib)
		insert(holders, &pooled);
}

static void add_processes(int rootfd, struct holders *holders)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (attr_list(rootfd, "proc", &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		unsigned int pid;

		if (parse_uint(names.names[i], 10, INT_MAX, &pid) == 0)
			add_process(rootfd, (pid_t)pid, holders);
	}
}

/* Only of the largest: the kernel walks all of a process's memory for it */
static void keep_on_nodes(int rootfd, const struct cpulist *nodes, struct holders *holders)
{
	long long until = deadline_in(ASK_ALL_MS);
	struct holders all = *holders;

	*holders = (struct holders){ 0 };
	for (size_t i = 0; i < all.nr; i++) {
		struct holder holder = all.holders[i];
		struct placement placement;

		if (deadline_left(until) &&
		    placement_read(rootfd, holder.pid, nodes, 0, &placement) == 0)
			holder.kib = holder.pooled ? placement.pooled_kib : placement.kib;
		if (holder.kib)
			insert(holders, &holder);
	}
}

/* @nodes: NULL for the host's own number */
static unsigned long long kernel_kib(int rootfd, const struct cpulist *nodes, const char *field)
{
	unsigned long long sum = 0, kib;

	if (!nodes)
		return memory_field(rootfd, field, &sum) < 0 ? 0 : sum;
	for (int node = cpulist_next(nodes, 0); node >= 0;
	     node = cpulist_next(nodes, (unsigned int)node + 1))
		if (memory_field_of(rootfd, node, field, &kib) == 0)
			sum += kib;
	return sum;
}

static void add_kernel(int rootfd, const struct cpulist *nodes, const char *name, const char *field,
		       struct holders *holders)
{
	struct holder holder = { .kib = kernel_kib(rootfd, nodes, field) };

	if (holder.kib == 0)
		return;
	(void)snprintf(holder.name, sizeof(holder.name), "%s", name);
	insert(holders, &holder);
}

/* Pages of a pool that nobody has faulted in: an administrator's, or a database's still to come */
static void add_pool(const struct pools *pools, const struct pool *pool, struct holders *holders)
{
	struct holder holder = { .kib = pool->free * pools->size_kib };
	char name[SIZE_NAME_MAX], where[32];

	if (holder.kib == 0)
		return;
	size_name(pools->size_kib, name, sizeof(name));
	pool_where(pool->node, where, sizeof(where));
	(void)snprintf(holder.name, sizeof(holder.name), "free huge pages of %s of %.20s", name,
		       where);
	insert(holders, &holder);
}

static void add_pools(int rootfd, const struct cpulist *nodes, struct holders *holders)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (attr_list(rootfd, "sys/kernel/mm/hugepages", &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		_cleanup_pools_ struct pools pools = { 0 };
		unsigned long long size_kib;

		if (size_of_dir(names.names[i], &size_kib) < 0 ||
		    pools_read(rootfd, size_kib, &pools) < 0)
			continue;
		for (size_t j = 0; j < pools.nr; j++)
			if (!nodes || pools.pools[j].node == POOL_NO_NODE ||
			    cpulist_has(nodes, (unsigned int)pools.pools[j].node))
				add_pool(&pools, &pools.pools[j], holders);
	}
}

void holders_read(int rootfd, const struct cpulist *nodes, struct holders *ret)
{
	struct holder arc = { .name = "ZFS's ARC" };
	struct arc_size size;

	*ret = (struct holders){ 0 };
	add_processes(rootfd, ret);
	if (nodes)
		keep_on_nodes(rootfd, nodes, ret);
	add_pools(rootfd, nodes, ret);
	add_kernel(rootfd, nodes, "tmpfs and shared memory", "Shmem:", ret);
	add_kernel(rootfd, nodes, "kernel objects", "SUnreclaim:", ret);
	/* On which nodes it lies is not known */
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
			used += (size_t)snprintf(buf + used, size - used, "%llu MiB%s",
						 holder->kib / 1024,
						 holder->pooled ? " in huge pages" : "");
	}
}
