/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/move.c - memory of other processes, from the guest's node to another */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define STATUS_MAX 65536

/* "\nMems_allowed_list:	0-1": from a line's begin: a process chooses its own name */
static int status_line(const char *text, const char *name, char *buf, size_t size)
{
	const char *line = strstr(text, name);

	if (!line)
		return -EBADMSG;
	line += strlen(name);
	line += strspn(line, " \t");
	(void)snprintf(buf, size, "%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}

/* Not there is 0: a kernel without locked memory, or without huge pages */
static unsigned long long status_kib(const char *text, const char *name)
{
	char value[ATTR_MAX];

	return status_line(text, name, value, sizeof(value)) < 0 ? 0 : strtoull(value, NULL, 10);
}

/*
 * One that may use any node, has asked for none (numactl --membind), and has locked none of its
 * memory, does not care where it is. mbind(2) and set_mempolicy(2) leave Mems_allowed as it is.
 *
 * Its huge pages would go along, and the pools with them: the pages that replace them are made
 * surplus on one node and taken off the other, so an administrator's pool, or a guest's, is no
 * longer what it was. So whoever has any stays where it is.
 * Source: Linux 6.12, mm/mempolicy.c queue_folios_hugetlb(), mm/hugetlb.c
 * move_hugetlb_state()
 */
static bool may_move(int rootfd, pid_t pid, const struct cpulist *all)
{
	_cleanup_free_ char *text = NULL;
	struct placement placement;
	char path[64], value[ATTR_MAX];
	struct cpulist allowed;
	size_t len;

	if (path_format(path, sizeof(path), "proc/%d/status", (int)pid) < 0 ||
	    attr_read_all(rootfd, path, STATUS_MAX, &text, &len) < 0 ||
	    status_line(text, "\nMems_allowed_list:", value, sizeof(value)) < 0 ||
	    cpulist_parse(value, &allowed) < 0 || !cpulist_contains(&allowed, all))
		return false;
	return status_line(text, "\nVmLck:", value, sizeof(value)) == 0 &&
	       status_kib(text, "\nVmLck:") == 0 && status_kib(text, "\nHugetlbPages:") == 0 &&
	       placement_read(rootfd, pid, all, 0, &placement) == 0 && !placement.chosen;
}

/* In whatever <resource><partition>; without systemd: "/machine/qemu-1-win11.libvirt-qemu" */
static bool has_guests_group(int rootfd, pid_t pid)
{
	static const char *const groups[] = { "/machine.slice/", "/machine-qemu",
					      "/machine/qemu-" };
	char path[64], group[ATTR_MAX];

	if (path_format(path, sizeof(path), "proc/%d/cgroup", (int)pid) < 0 ||
	    attr_read(rootfd, path, group, sizeof(group)) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (strstr(group, groups[i]))
			return true;
	return false;
}

/*
 * libvirt gives a guest's memory a place: a QEMU is never moved, nor one of a user's own session,
 * whose cgroup says nothing. One with a name of its own has words that only a QEMU has.
 */
static bool is_guest(int rootfd, pid_t pid)
{
	int r;

	if (has_guests_group(rootfd, pid) || process_named_qemu(rootfd, pid))
		return true;
	/* One that hangs in the kernel cannot be asked */
	r = process_has_arg(rootfd, pid, "-uuid");
	return r > 0 || r == -ETIMEDOUT;
}

/* What the other nodes can take beyond what each keeps */
static unsigned long long room_elsewhere(const struct growth *growth, const struct cpulist *others)
{
	unsigned long long sum = 0;

	for (int node = cpulist_next(others, 0); node >= 0;
	     node = cpulist_next(others, (unsigned int)node + 1)) {
		unsigned long long kib;

		if (memory_spare(growth->ctx, node, growth->reserve_kib, &kib) == 0)
			sum += kib;
	}
	return sum;
}

static int move_one(struct growth *growth, const struct holder *holder, const struct cpulist *from,
		    const struct cpulist *to)
{
	if (!helper_would(growth->ctx, "move process %d from its nodes", holder->pid))
		return pull_move(growth, holder->pid, from, to);
	growth->pretended_kib += holder->kib;
	return 0;
}

int move_away(struct growth *growth, unsigned long long kib)
{
	const struct need *need = &growth->needs->needs[growth->current];
	struct cpulist nodes = { 0 }, all = { 0 }, others;
	int rootfd = growth->ctx->rootfd, moved = 0;
	unsigned long long left, room;
	struct holders holders;

	if (need_nodes(rootfd, need, &nodes, &all) < 0)
		return 0;
	others = all;
	cpulist_subtract(&others, &nodes);
	room = room_elsewhere(growth, &others);
	left = kib;
	holders_read(rootfd, &nodes, &holders);
	for (size_t i = 0; i < holders.nr && left > 0; i++) {
		const struct holder *holder = &holders.holders[i];

		if (holder->pid <= 1 || holder->pooled || holder->kib > room ||
		    deadline_left(growth->deadline) == 0 || is_guest(rootfd, holder->pid) ||
		    !may_move(rootfd, holder->pid, &all) ||
		    move_one(growth, holder, &nodes, &others) < 0)
			continue;
		room -= holder->kib;
		left -= holder->kib < left ? holder->kib : left;
		moved = 1;
	}
	return moved;
}
