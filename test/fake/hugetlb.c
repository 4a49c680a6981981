/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/hugetlb.c - huge page pools per node: mm/hugetlb.c, Linux 6.12 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/text.h"
#include "../../lib/units.h"
#include "fake.h"

/*
 * How it works
 *
 * nr_hugepages counts surplus pages too; what an admin sets is the persistent part, nr - surplus.
 * Growing first takes pages out of surplus, then allocates; shrinking first frees pages nobody
 * uses, then makes used ones surplus, which the kernel frees when their user ends.
 *
 * Pages come from .fake/memory/nodeN/contiguous_kib. Compaction turns fragmented_kib into it,
 * dropping caches turns cache_kib into fragmented_kib.
 *
 * .fake/kernel/hugetlb_miscounts, when there: the per-node write counts as older kernels do, with
 * all surplus pages as persistent ones.
 */

#define NODES_MAX HUGE_NODES_MAX
#define NODE_DIR  "sys/devices/system/node"
#define MM_DIR	  "sys/kernel/mm/hugepages"
#define ANY_NODE  (-1)
#define ALL_NODES 0xffffU

/* The writer's memory policy: set_mempolicy(2) of this process */
static unsigned int policy_nodes = ALL_NODES;

struct node {
	unsigned long long nr, free, surplus;
	unsigned long long contiguous_kib;
	bool there;
};

struct pool {
	unsigned long long size_kib, resv;
	struct node nodes[NODES_MAX];
};

static void node_path(char *buf, size_t size, int node, unsigned long long size_kib,
		      const char *name)
{
	tree_format(buf, size, NODE_DIR "/node%d/hugepages/hugepages-%llukB/%s", node, size_kib,
		    name);
}

static unsigned long long node_num(int node, unsigned long long size_kib, const char *name)
{
	char path[PATH_MAX];

	node_path(path, sizeof(path), node, size_kib, name);
	return tree_num(path);
}

static unsigned long long global_num(unsigned long long size_kib, const char *name)
{
	char path[PATH_MAX];

	tree_path(path, MM_DIR "/hugepages-%llukB/%s", size_kib, name);
	return tree_num(path);
}

static void memory_path(char *buf, size_t size, int node, const char *name)
{
	tree_format(buf, size, ".fake/memory/node%d/%s_kib", node, name);
}

static void pool_load(struct pool *pool, unsigned long long size_kib)
{
	char path[PATH_MAX];

	*pool = (struct pool){ .size_kib = size_kib,
			       .resv = global_num(size_kib, "resv_hugepages") };
	for (int i = 0; i < NODES_MAX; i++) {
		struct node *node = &pool->nodes[i];

		node_path(path, sizeof(path), i, size_kib, "nr_hugepages");
		node->there = tree_has(path);
		if (!node->there)
			continue;
		node->nr = tree_num(path);
		node->free = node_num(i, size_kib, "free_hugepages");
		node->surplus = node_num(i, size_kib, "surplus_hugepages");
		memory_path(path, sizeof(path), i, "contiguous");
		node->contiguous_kib = tree_num(path);
	}
}

static struct node pool_sum(const struct pool *pool)
{
	struct node sum = { 0 };

	for (int i = 0; i < NODES_MAX; i++) {
		sum.nr += pool->nodes[i].nr;
		sum.free += pool->nodes[i].free;
		sum.surplus += pool->nodes[i].surplus;
	}
	return sum;
}

static unsigned long long persistent(const struct pool *pool)
{
	struct node sum = pool_sum(pool);

	return sum.nr - sum.surplus;
}

/* --- Memory behind the pages ----------------------------------------------------------------- */

static void memory_move(int node, const char *from, const char *to)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];

	memory_path(from_path, sizeof(from_path), node, from);
	memory_path(to_path, sizeof(to_path), node, to);
	if (!tree_has(from_path))
		return;
	(void)tree_put_num(to_path, tree_num(to_path) + tree_num(from_path));
	(void)tree_put_num(from_path, 0);
}

/* --- meminfo follows ---------------------------------------------------------------------------- */

/* "HugePages_Free:     512": keeps the line's name, width and unit, replaces the number */
static int meminfo_line(const char *line, const char *key, unsigned long long value, char **ret)
{
	const char *hit = strstr(line, key), *number, *unit;

	if (!hit || hit[strlen(key)] != ':' || (hit > line && hit[-1] != ' '))
		return 0;
	number = hit + strlen(key) + 1;
	unit = number + strspn(number, " ");
	unit += strspn(unit, "0123456789");
	return asprintf(ret, "%.*s%*llu%s", (int)(number - line), line, (int)(unit - number), value,
			unit) < 0
		       ? -ENOMEM
		       : 1;
}

struct meminfo {
	const char *key;
	unsigned long long value;
};

static int meminfo_append(char **text, const char *line)
{
	char *grown;
	int r = asprintf(&grown, "%s%s%s", *text ? *text : "", *text ? "\n" : "", line);

	free(*text);
	*text = r < 0 ? NULL : grown;
	return r < 0 ? -ENOMEM : 0;
}

static void meminfo_put(const char *path, const struct meminfo *values, size_t nr)
{
	_cleanup_strlist_ struct strlist lines = { 0 };
	_cleanup_free_ char *text = NULL, *out = NULL;
	size_t len;
	int r = 0;

	if (__real_attr_read_all(fake_root(), path, 65536, &text, &len) < 0 ||
	    text_split(text, "\n", &lines) < 0)
		return;
	for (size_t i = 0; r == 0 && i < lines.nr; i++) {
		_cleanup_free_ char *changed = NULL;

		for (size_t k = 0; k < nr && !changed; k++)
			(void)meminfo_line(lines.names[i], values[k].key, values[k].value,
					   &changed);
		r = meminfo_append(&out, changed ? changed : lines.names[i]);
	}
	if (r == 0 && out)
		(void)tree_put(path, out);
}

static unsigned long long default_size(void)
{
	char text[65536];
	const char *hit;

	if (tree_get("proc/meminfo", text, sizeof(text)) < 0)
		return 2048;
	hit = strstr(text, "Hugepagesize:");
	return hit ? strtoull(hit + strlen("Hugepagesize:"), NULL, 10) : 2048;
}

static unsigned long long memory_free(int node)
{
	char contiguous[PATH_MAX], fragmented[PATH_MAX];

	memory_path(contiguous, sizeof(contiguous), node, "contiguous");
	memory_path(fragmented, sizeof(fragmented), node, "fragmented");
	return tree_num(contiguous) + tree_num(fragmented);
}

static void meminfo_update(void)
{
	unsigned long long all_free = 0, available = 0, hugetlb;
	struct pool pool;
	struct node sum;
	char path[PATH_MAX];

	pool_load(&pool, default_size());
	for (int i = 0; i < NODES_MAX; i++) {
		const struct node *node = &pool.nodes[i];
		const struct meminfo values[] = {
			{ "MemFree", memory_free(i) },
			{ "HugePages_Total", node->nr },
			{ "HugePages_Free", node->free },
			{ "HugePages_Surp", node->surplus },
		};

		if (!node->there)
			continue;
		all_free += memory_free(i);
		memory_path(path, sizeof(path), i, "cache");
		available += tree_num(path);
		tree_path(path, NODE_DIR "/node%d/meminfo", i);
		meminfo_put(path, values, ARRAY_SIZE(values));
	}
	sum = pool_sum(&pool);
	hugetlb = sum.nr * pool.size_kib;
	if (pool.size_kib != 1048576)
		hugetlb += global_num(1048576, "nr_hugepages") * 1048576;
	meminfo_put("proc/meminfo",
		    (const struct meminfo[]){ { "MemFree", all_free },
					      { "MemAvailable", all_free + available },
					      { "HugePages_Total", sum.nr },
					      { "HugePages_Free", sum.free },
					      { "HugePages_Rsvd", pool.resv },
					      { "HugePages_Surp", sum.surplus },
					      { "Hugetlb", hugetlb } },
		    7);
}

static int pool_store(const struct pool *pool)
{
	const struct node sum = pool_sum(pool);
	char path[PATH_MAX];

	for (int i = 0; i < NODES_MAX; i++) {
		const struct node *node = &pool->nodes[i];

		if (!node->there)
			continue;
		node_path(path, sizeof(path), i, pool->size_kib, "nr_hugepages");
		(void)tree_put_num(path, node->nr);
		node_path(path, sizeof(path), i, pool->size_kib, "free_hugepages");
		(void)tree_put_num(path, node->free);
		node_path(path, sizeof(path), i, pool->size_kib, "surplus_hugepages");
		(void)tree_put_num(path, node->surplus);
		memory_path(path, sizeof(path), i, "contiguous");
		(void)tree_put_num(path, node->contiguous_kib);
	}
	tree_path(path, MM_DIR "/hugepages-%llukB/nr_hugepages", pool->size_kib);
	(void)tree_put_num(path, sum.nr);
	tree_path(path, MM_DIR "/hugepages-%llukB/free_hugepages", pool->size_kib);
	(void)tree_put_num(path, sum.free);
	tree_path(path, MM_DIR "/hugepages-%llukB/surplus_hugepages", pool->size_kib);
	(void)tree_put_num(path, sum.surplus);
	tree_path(path, MM_DIR "/hugepages-%llukB/nr_hugepages_mempolicy", pool->size_kib);
	if (tree_has(path))
		(void)tree_put_num(path, sum.nr);
	if (pool->size_kib == default_size())
		(void)tree_put_num("proc/sys/vm/nr_hugepages", sum.nr);
	meminfo_update();
	return 0;
}

static bool fits(int node, unsigned int allowed)
{
	return allowed >> node & 1;
}

/* --- set_max_huge_pages() --------------------------------------------------------------------- */

/* Nodes take turns, among those in the mask */
static int next_node(const struct pool *pool, int after, unsigned int allowed)
{
	for (int i = 1; i <= NODES_MAX; i++) {
		int node = (after + i) % NODES_MAX;

		if (pool->nodes[node].there && fits(node, allowed))
			return node;
	}
	return -1;
}

static bool surplus_to_persistent(struct pool *pool, unsigned int allowed)
{
	for (int i = 0; i < NODES_MAX; i++)
		if (fits(i, allowed) && pool->nodes[i].surplus) {
			pool->nodes[i].surplus--;
			return true;
		}
	return false;
}

static bool persistent_to_surplus(struct pool *pool, unsigned int allowed)
{
	for (int i = 0; i < NODES_MAX; i++)
		if (fits(i, allowed) && pool->nodes[i].surplus < pool->nodes[i].nr) {
			pool->nodes[i].surplus++;
			return true;
		}
	return false;
}

static bool node_alloc(struct node *node, unsigned long long size_kib)
{
	if (node->contiguous_kib < size_kib)
		return false;
	node->contiguous_kib -= size_kib;
	node->nr++;
	node->free++;
	return true;
}

static bool page_alloc(struct pool *pool, unsigned int allowed, int *turn)
{
	for (int i = 0; i < NODES_MAX; i++) {
		*turn = next_node(pool, *turn, allowed);
		if (*turn < 0)
			return false;
		if (node_alloc(&pool->nodes[*turn], pool->size_kib))
			return true;
	}
	return false;
}

static bool page_free(struct pool *pool, unsigned int allowed)
{
	for (int i = 0; i < NODES_MAX; i++) {
		struct node *node = &pool->nodes[i];

		/* A surplus page is in use, so only nr - surplus can be meant */
		if (!fits(i, allowed) || !node->free || node->nr == node->surplus)
			continue;
		node->nr--;
		node->free--;
		node->contiguous_kib += pool->size_kib;
		return true;
	}
	return false;
}

static void grow(struct pool *pool, unsigned long long count, unsigned int allowed)
{
	int turn = -1;

	while (count > persistent(pool) && surplus_to_persistent(pool, allowed))
		;
	while (count > persistent(pool) && page_alloc(pool, allowed, &turn))
		;
}

static void shrink(struct pool *pool, unsigned long long count, unsigned int allowed)
{
	const struct node sum = pool_sum(pool);
	unsigned long long min = pool->resv + sum.nr - sum.free;

	if (min < count)
		min = count;
	while (min < persistent(pool) && page_free(pool, allowed))
		;
	while (count < persistent(pool) && persistent_to_surplus(pool, allowed))
		;
}

static int pool_set(unsigned long long size_kib, unsigned long long count, int node,
		    unsigned int allowed)
{
	struct pool pool;

	pool_load(&pool, size_kib);
	if (node != ANY_NODE) {
		const struct node *own = &pool.nodes[node];

		if (tree_has(".fake/kernel/hugetlb_miscounts"))
			count += pool_sum(&pool).nr - own->nr;
		else
			count += persistent(&pool) - (own->nr - own->surplus);
	}
	grow(&pool, count, allowed);
	shrink(&pool, count, allowed);
	return pool_store(&pool);
}

/* --- The attributes ------------------------------------------------------------------------------ */

static int count_parse(const char *value, unsigned long long *ret)
{
	char text[32];

	if (path_format(text, sizeof(text), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	return parse_ull(text, 10, ~0ULL, ret);
}

static unsigned long long size_in_path(const char *path)
{
	const char *hit = strstr(path, "hugepages-");

	return hit ? strtoull(hit + strlen("hugepages-"), NULL, 10) : 0;
}

static int node_in_path(const char *path)
{
	return (int)strtoul(path + strlen(NODE_DIR "/node"), NULL, 10);
}

int hugetlb_store_node(const char *path, const char *value)
{
	unsigned long long count;
	int node = node_in_path(path), r = count_parse(value, &count);

	return r < 0 ? r : pool_set(size_in_path(path), count, node, 1U << node);
}

int hugetlb_store_global(const char *path, const char *value)
{
	unsigned long long count;
	int r = count_parse(value, &count);

	return r < 0 ? r : pool_set(size_in_path(path), count, ANY_NODE, ALL_NODES);
}

/* nr_hugepages_mempolicy: only on the nodes of the writer's memory policy */
int hugetlb_store_mempolicy(const char *path, const char *value)
{
	unsigned long long count;
	int r = count_parse(value, &count);

	return r < 0 ? r : pool_set(size_in_path(path), count, ANY_NODE, policy_nodes);
}

int hugetlb_store_sysctl(const char *path, const char *value)
{
	unsigned long long count;
	int r = count_parse(value, &count);

	(void)path;
	return r < 0 ? r : pool_set(default_size(), count, ANY_NODE, ALL_NODES);
}

int hugetlb_set_mempolicy(unsigned int nodes)
{
	char path[PATH_MAX];

	for (int i = 0; i < NODES_MAX; i++) {
		tree_path(path, NODE_DIR "/node%d", i);
		if ((nodes >> i & 1) && !tree_is_dir(path))
			return -EINVAL;
	}
	policy_nodes = nodes ? nodes : ALL_NODES;
	return 0;
}

int memory_store_compact_node(const char *path, const char *value)
{
	(void)value;
	memory_move(node_in_path(path), "fragmented", "contiguous");
	return 0;
}

int memory_store_compact(const char *path, const char *value)
{
	(void)path;
	(void)value;
	for (int i = 0; i < NODES_MAX; i++)
		memory_move(i, "fragmented", "contiguous");
	return 0;
}

/* 1 page cache, 2 slab, 3 both */
int memory_store_drop_caches(const char *path, const char *value)
{
	unsigned long long what;

	(void)path;
	if (count_parse(value, &what) < 0 || what < 1 || what > 4)
		return -EINVAL;
	for (int i = 0; i < NODES_MAX && (what & 1); i++)
		memory_move(i, "cache", "fragmented");
	meminfo_update();
	return 0;
}

/* --- Users of the pages --------------------------------------------------------------------------- */

static unsigned long long take_from(struct node *node, unsigned long long pages)
{
	unsigned long long got = node->free < pages ? node->free : pages;

	node->free -= got;
	return got;
}

int hugetlb_take(int node, unsigned long long size_kib, unsigned long long pages,
		 struct huge_use *ret)
{
	struct pool pool;

	pool_load(&pool, size_kib);
	*ret = (struct huge_use){ .size_kib = size_kib };
	for (int i = 0; i < NODES_MAX && pages; i++) {
		if (node != ANY_NODE && i != node)
			continue;
		ret->pages[i] = take_from(&pool.nodes[i], pages);
		pages -= ret->pages[i];
	}
	return pages ? -ENOMEM : pool_store(&pool);
}

/* free_huge_folio(): a surplus page is freed, any other goes back to the pool */
int hugetlb_give(const struct huge_use *use)
{
	struct pool pool;

	pool_load(&pool, use->size_kib);
	for (int i = 0; i < NODES_MAX; i++) {
		struct node *node = &pool.nodes[i];
		unsigned long long freed =
			use->pages[i] < node->surplus ? use->pages[i] : node->surplus;

		node->surplus -= freed;
		node->nr -= freed;
		node->free += use->pages[i] - freed;
		node->contiguous_kib += freed * use->size_kib;
	}
	return pool_store(&pool);
}
