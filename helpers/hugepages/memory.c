/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/memory.c - how much memory there is, and what the host keeps of it */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "hugepages.h"

#define MEMINFO_MAX 65536

/*
 * Of this QEMU takes its own memory when it starts, which nobody knows beforehand: it depends on
 * devices and display. A part set aside for it would refuse guests that do start on small hosts;
 * who has a large guest on one says a larger reserve.
 */
#define RESERVE_SHARE	32
#define RESERVE_MIN_KIB (128ULL * 1024)
#define RESERVE_MAX_KIB (1024ULL * 1024)

/* "MemTotal:  24684096 kB", on nodes "Node 0 MemTotal:  24684096 kB" */
static int meminfo_value(const char *text, const char *name, unsigned long long *ret_kib)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	const char *line = strstr(text, name);
	int r;

	if (!line)
		return -EBADMSG;
	r = text_split(line + strlen(name), " \n", &words);
	if (r < 0)
		return r;
	if (words.nr == 0 || parse_ull(words.names[0], 10, ULLONG_MAX, ret_kib) < 0)
		return -EBADMSG;
	return 0;
}

static int meminfo_read(int rootfd, const char *path, const char *name, unsigned long long *ret_kib)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = attr_read_all(rootfd, path, MEMINFO_MAX, &text, &len);

	return r < 0 ? r : meminfo_value(text, name, ret_kib);
}

int memory_available(int rootfd, unsigned long long *ret_kib)
{
	return meminfo_read(rootfd, "proc/meminfo", "MemAvailable:", ret_kib);
}

int memory_field(int rootfd, const char *name, unsigned long long *ret_kib)
{
	return meminfo_read(rootfd, "proc/meminfo", name, ret_kib);
}

int memory_field_of(int rootfd, int node, const char *name, unsigned long long *ret_kib)
{
	char path[POOL_DIR_MAX];
	int r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", node);

	return r < 0 ? r : meminfo_read(rootfd, path, name, ret_kib);
}

unsigned long long memory_dirty(int rootfd)
{
	unsigned long long dirty, writeback;

	return memory_field(rootfd, "Dirty:", &dirty) < 0 ||
			       memory_field(rootfd, "Writeback:", &writeback) < 0
		       ? 0
		       : dirty + writeback;
}

/*
 * Free memory and all that holds a file's pages or could be shrunk. The kernel has no number of
 * what is available on one node; this one is never too low but for dirty corners of the slab.
 */
static int node_available(int rootfd, int node, unsigned long long *ret_kib)
{
	static const char *const fields[] = { "MemFree:", "Active(file):", "Inactive(file):",
					      "SReclaimable:" };
	_cleanup_free_ char *text = NULL;
	unsigned long long sum = 0, kib = 0;
	char path[POOL_DIR_MAX];
	size_t len;
	int r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", node);

	if (r == 0)
		r = attr_read_all(rootfd, path, MEMINFO_MAX, &text, &len);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++) {
		r = meminfo_value(text, fields[i], &kib);
		sum += kib;
	}
	if (r == 0)
		*ret_kib = sum;
	return r;
}

int memory_spare(const struct helper_ctx *ctx, int node, unsigned long long reserve_kib,
		 unsigned long long *ret_kib)
{
	unsigned long long available = 0, total = 0, all = 0;
	int r = node_available(ctx->rootfd, node, &available);

	if (r == 0)
		r = memory_total(ctx->rootfd, node, &total);
	if (r == 0)
		r = memory_total(ctx->rootfd, POOL_NO_NODE, &all);
	if (r < 0)
		return r;
	/* The node's part of the reserve: of KiB no product of two overflows */
	reserve_kib = all ? reserve_kib * total / all : 0;
	*ret_kib = available > reserve_kib ? available - reserve_kib : 0;
	return 0;
}

int memory_total(int rootfd, int node, unsigned long long *ret_kib)
{
	char path[POOL_DIR_MAX];
	int r;

	if (node == POOL_NO_NODE)
		return meminfo_read(rootfd, "proc/meminfo", "MemTotal:", ret_kib);
	r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", node);
	return r < 0 ? r : meminfo_read(rootfd, path, "MemTotal:", ret_kib);
}

int memory_reserve(const struct helper_ctx *ctx, unsigned long long *ret_kib)
{
	int wanted = claim_int(&ctx->claim, HUGEPAGES_SECTION, "reserve_kib", -1);
	unsigned long long total;
	int r;

	if (wanted >= 0) {
		*ret_kib = (unsigned long long)wanted;
		return 0;
	}
	r = memory_total(ctx->rootfd, POOL_NO_NODE, &total);
	if (r < 0)
		return r;
	total /= RESERVE_SHARE;
	if (total < RESERVE_MIN_KIB)
		total = RESERVE_MIN_KIB;
	*ret_kib = total > RESERVE_MAX_KIB ? RESERVE_MAX_KIB : total;
	return 0;
}
