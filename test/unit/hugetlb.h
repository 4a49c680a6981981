/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/hugetlb.h - a kernel's pools of huge pages, for the tests of usher-hugepages
 *
 * The test's head says, in one line:
 * wraps: attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive
 * (this file names them for the reader: only the head of the test itself counts)
 *
 * Follows mm/hugetlb.c set_max_huge_pages(), free_huge_folio() and hugetlb_acct_memory(). The
 * kernel lives in shared memory, so that it goes on when a process of the test is killed; what is
 * read lies in the tree.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "helpers/hugepages/hugepages.h"
#include "lib/state.h"
#include "tree.h"

#define NODES_MAX 3
#define SIZE_2M	  2048ULL
#define SIZE_1G	  1048576ULL

enum kernel_version {
	LINUX_6_1,  /* a node's file counts other nodes' surplus, min_count counts it twice */
	LINUX_6_12, /* only the latter */
	LINUX_6_18, /* neither */
	NR_KERNELS,
};

struct fake_node {
	unsigned long long nr, free, surplus;
	unsigned long long room;      /* pages the buddy allocator still has in one piece */
	unsigned long long scattered; /* and that compaction makes */
	unsigned long long cached;    /* and that are free once page cache is reclaimed */
};

struct fake_size {
	unsigned long long size_kib;
	unsigned long long resv;
	struct fake_node nodes[NODES_MAX];
};

struct fake_kernel {
	enum kernel_version version;
	struct fake_size sizes[2];
	size_t nr_nodes;
	int policy;		    /* preferred node of the process, -1 */
	bool no_policy;		    /* set_mempolicy() fails */
	unsigned long long ops;	    /* side effects so far */
	unsigned long long fail_at; /* this one fails, 0: none */
	int error;		    /* with that, 0: -EIO */
	unsigned long long kill_at; /* the process dies before this one */
	pid_t kill_main;	    /* and this one with it, 0: none */
	bool spare;		    /* that one alone: whoever it has for this writes on */
	bool half;		    /* the one that fails or kills is half done by the kernel */
	bool deaf;		    /* writes succeed and do nothing */
	unsigned long long late; /* surplus that comes to another node just before a write, once */
	int leaves;		 /* a write to this node's pool is its last, 0: node 0's, -1 */
	unsigned long long behind; /* an admin sets node 0 to it just after a write, once */
	unsigned long long compactions;
	unsigned long long per_compaction;  /* pages that one makes at most, 0: all */
	const char *meminfo;		    /* what proc/meminfo says after the next one */
	int compact_ms, pool_ms;	    /* what one takes, and a write to a pool */
	int page_ms;			    /* and each page more */
	unsigned long long most_made;	    /* of those by one write */
	unsigned long long reclaimed;	    /* pages of 2 MiB asked for */
	unsigned long long largest_reclaim; /* in one write */
	int reclaim_ms;			    /* what one takes */
	unsigned long long drops;
	unsigned long long dirty; /* pages of 2 MiB of node 0's page cache: cached once written */
	unsigned long long syncs;
	bool reclaim_nodes;	       /* nodes have a file for it: Linux 6.17 */
	int reclaim_errors[NODES_MAX]; /* what these return */
	bool reclaim_group;	       /* the root cgroup has: Linux 5.19 */
	bool no_swappiness;	       /* and takes nothing but a number: before Linux 6.9 */
	/* Bytes; arc_limit is in effect, arc_max what the parameter reads */
	unsigned long long arc, arc_min, arc_max, arc_limit;
	bool arc_stuck;		    /* all of it is in use */
	unsigned long long movable; /* pages of 2 MiB that mempolicy_move() frees on node 0 */
	int moved;		    /* pid, the last one */
	unsigned long long moves;
	int huge_ms;	  /* what a page of 1 GiB takes */
	bool held_up;	  /* until this is false */
	bool resizing;	  /* somebody is at one: whoever writes a pool of these waits */
	size_t met;	  /* and did */
	char made_on[16]; /* the nodes of such pages, "01" */
	char hangs[32];	  /* what has this in its path never returns; "migrate_pages" */
	pid_t hung[8];	  /* who waits for it, in state D */
	pid_t waits[8];	  /* the process that is it to others */
	size_t nr_hung;
	bool busy;	/* it does not wait, it works on */
	bool boot_only; /* no pages are made at run time */
	bool by_node;	/* the nodes' meminfo says what room there is */
	char said[4096];
	char written[4096];	      /* to pools, as a dry run prints it */
	struct fake_size rendered[2]; /* what the files say */
	bool in_files;
};

static struct fake_kernel *kernel;
static struct tree *host;
static bool kernel_works; /* what is read and written meanwhile is the kernel's own */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_attr_write(int rootfd, const char *path, const char *val);
int __real_state_write(int dirfd, const char *name, const char *data, size_t len);
int __wrap_state_write(int dirfd, const char *name, const char *data, size_t len);
int __real_state_remove(int dirfd, const char *name);
int __wrap_state_remove(int dirfd, const char *name);
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);
int __real_process_identify(int rootfd, pid_t pid, struct process *ret);
int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret);
int __real_process_alive(int rootfd, const struct process *process);
int __wrap_process_alive(int rootfd, const struct process *process);
int __wrap_mempolicy_prefer(int node);
void __wrap_mempolicy_default(void);
int __wrap_mempolicy_move(pid_t pid, const struct cpulist *from, const struct cpulist *to);
void __wrap_helper_say(const struct helper_ctx *ctx, const char *fmt, ...) _printf_(2, 3);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- The files ------------------------------------------------------------------------------ */

_printf_(2, 3) static inline void put(const char *value, const char *fmt, ...)
{
	char path[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	tree_file(host, path, value);
}

/* As put(), while somebody may be reading */
static inline void put_at_once(const char *value, const char *path)
{
	char new[256];

	(void)snprintf(new, sizeof(new), "%s.new", path);
	put(value, "%s", new);
	assert_int_equal(renameat(host->rootfd, new, host->rootfd, path), 0);
}

/* As put(); most are there already */
static inline void put_number(unsigned long long number, const char *dir, const char *name)
{
	char value[32], path[256];
	int fd;

	(void)snprintf(value, sizeof(value), "%llu\n", number);
	(void)snprintf(path, sizeof(path), "%s/%s_hugepages", dir, name);
	fd = openat(host->rootfd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0) {
		put(value, "%s", path);
		return;
	}
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	assert_int_equal(close(fd), 0);
}

static inline void render_node(const char *dir, const struct fake_node *now,
			       const struct fake_node *then)
{
	if (!kernel->in_files || now->nr != then->nr)
		put_number(now->nr, dir, "nr");
	if (!kernel->in_files || now->free != then->free)
		put_number(now->free, dir, "free");
	if (!kernel->in_files || now->surplus != then->surplus)
		put_number(now->surplus, dir, "surplus");
}

static inline struct fake_node totals(const struct fake_size *size)
{
	struct fake_node all = { 0 };

	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		all.nr += size->nodes[i].nr;
		all.free += size->nodes[i].free;
		all.surplus += size->nodes[i].surplus;
	}
	return all;
}

static inline void render_size(const struct fake_size *size, const struct fake_size *old)
{
	struct fake_node all = totals(size), all_old = totals(old);
	char dir[128];

	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		(void)snprintf(dir, sizeof(dir),
			       "sys/devices/system/node/node%zu/hugepages/hugepages-%llukB", i,
			       size->size_kib);
		render_node(dir, &size->nodes[i], &old->nodes[i]);
	}
	(void)snprintf(dir, sizeof(dir), "sys/kernel/mm/hugepages/hugepages-%llukB",
		       size->size_kib);
	render_node(dir, &all, &all_old);
	if (!kernel->in_files || size->resv != old->resv)
		put_number(size->resv, dir, "resv");
	if (!kernel->in_files)
		put("0\n", "%s/nr_hugepages_mempolicy", dir);
}

static inline void render_meminfo(size_t node)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "Node N MemTotal: 4194304 kB\nNode N MemFree: %llu kB\n"
		       "Node N Active(file): 0 kB\nNode N Inactive(file): 0 kB\n"
		       "Node N SReclaimable: 0 kB\n",
		       kernel->sizes[0].nodes[node].room * 2048);
	put(text, "sys/devices/system/node/node%zu/meminfo", node);
}

static inline void render(void)
{
	for (size_t i = 0; kernel->by_node && i < kernel->nr_nodes; i++)
		render_meminfo(i);
	for (size_t i = 0; i < ARRAY_SIZE(kernel->sizes); i++) {
		render_size(&kernel->sizes[i], &kernel->rendered[i]);
		kernel->rendered[i] = kernel->sizes[i];
	}
	kernel->in_files = true;
}

static inline struct fake_size *size_of(unsigned long long size_kib)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernel->sizes); i++)
		if (kernel->sizes[i].size_kib == size_kib)
			return &kernel->sizes[i];
	return NULL;
}

static inline struct fake_size *size2m(void)
{
	return &kernel->sizes[0];
}

static inline struct fake_size *size1g(void)
{
	return &kernel->sizes[1];
}

static inline struct fake_node *node2m(size_t node)
{
	return &size2m()->nodes[node];
}

/* --- What the kernel does ------------------------------------------------------------------- */

static inline unsigned long long persistent(const struct fake_size *size)
{
	struct fake_node all = totals(size);

	return all.nr - all.surplus;
}

/* One page of surplus taken back or made on an allowed node. Return: 1 when there was one */
static inline int move_surplus(struct fake_size *size, unsigned int allowed, int delta)
{
	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		struct fake_node *node = &size->nodes[i];

		if (!(allowed & (1U << i)))
			continue;
		if (delta < 0 ? node->surplus == 0 : node->surplus >= node->nr)
			continue;
		node->surplus += (unsigned long long)(long long)delta;
		return 1;
	}
	return 0;
}

static inline int allocate(struct fake_size *size, unsigned int allowed)
{
	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		struct fake_node *node = &size->nodes[i];

		if (!(allowed & (1U << i)) || node->room == 0)
			continue;
		node->room--;
		node->nr++;
		node->free++;
		return 1;
	}
	return 0;
}

static inline int discard(struct fake_size *size, unsigned int allowed)
{
	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		struct fake_node *node = &size->nodes[i];

		if (!(allowed & (1U << i)) || node->free == 0)
			continue;
		node->room++;
		node->nr--;
		node->free--;
		return 1;
	}
	return 0;
}

/* Persistent pages that stay: those in use and those reserved */
static inline unsigned long long least(const struct fake_size *size)
{
	struct fake_node all = totals(size);
	unsigned long long persistent_free = all.free;

	if (kernel->version < LINUX_6_18)
		return size->resv + all.nr - all.free;
	if (all.free > all.nr - all.surplus)
		persistent_free = all.free > all.surplus ? all.free - all.surplus : 0;
	return size->resv + (all.nr - all.surplus) - persistent_free;
}

static inline void set_max(struct fake_size *size, unsigned long long count, int node,
			   unsigned int allowed)
{
	unsigned long long stay;

	if (node >= 0 && kernel->version == LINUX_6_1)
		count += totals(size).nr - size->nodes[node].nr;
	else if (node >= 0)
		count += persistent(size) - (size->nodes[node].nr - size->nodes[node].surplus);
	while (count > persistent(size) && move_surplus(size, allowed, -1))
		;
	while (count > persistent(size))
		if (!allocate(size, allowed))
			return;
	stay = least(size) > count ? least(size) : count;
	while (stay < persistent(size) && discard(size, allowed))
		;
	while (count < persistent(size) && move_surplus(size, allowed, 1))
		;
}

/* Half of what was asked for: the write was interrupted by a signal */
static inline void set_half(struct fake_size *size, unsigned long long count, int node,
			    unsigned int allowed)
{
	unsigned long long now =
		node < 0 ? persistent(size) : size->nodes[node].nr - size->nodes[node].surplus;

	set_max(size, count > now ? now + (count - now) / 2 : now - (now - count) / 2, node,
		allowed);
}

/* A database takes pages beyond its pool. After whoever writes has looked */
static inline void come_late(struct fake_size *size, size_t written)
{
	struct fake_node *node = &size->nodes[written == 0];

	node->nr += kernel->late;
	node->surplus += kernel->late;
	node->room -= kernel->late;
	kernel->late = 0;
}

/* Whatever signals there are */
static inline void take(int ms)
{
	long long end = deadline_in(ms);

	while (deadline_left(end))
		(void)poll(NULL, 0, deadline_left(end));
}

/* A signal ends it between two pages. Return: as many as it comes to */
static inline unsigned long long make_slowly(unsigned long long nr_pages)
{
	unsigned long long made = 0;

	while (made < nr_pages && poll(NULL, 0, kernel->page_ms) == 0)
		made++;
	if (made > kernel->most_made)
		kernel->most_made = made;
	return made;
}

/* set_max_huge_pages() holds resize_lock meanwhile, one for each page size */
static inline void make_huge(int node, unsigned long long nr_pages)
{
	size_t len = strlen(kernel->made_on);

	if (nr_pages && len < sizeof(kernel->made_on) - 1)
		kernel->made_on[len] = (char)('0' + node);
	kernel->met += kernel->resizing;
	kernel->resizing = true;
	(void)poll(NULL, 0, kernel->huge_ms * (int)nr_pages);
	/* A test that fails holds none up for good */
	for (int i = 0; nr_pages && kernel->held_up && i < 6000; i++)
		(void)poll(NULL, 0, 5);
	kernel->resizing = false;
}

static inline int store_pages(const char *path, unsigned long long count, bool half)
{
	unsigned long long size_kib;
	struct fake_size *size;
	int node = -1, end = 0;

	if (sscanf(path, "sys/devices/system/node/node%d/hugepages/hugepages-%llukB/nr_hugepages%n",
		   &node, &size_kib, &end) != 2 &&
	    sscanf(path, "sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages%n", &size_kib,
		   &end) != 1)
		return -ENOENT;
	size = size_of(size_kib);
	if (!size || !end)
		return -ENOENT;
	if (kernel->boot_only)
		return -EINVAL;
	take(kernel->pool_ms);
	if (node >= 0)
		come_late(size, (size_t)node);
	if (size_kib == SIZE_1G)
		make_huge(node, node >= 0 && count > size->nodes[node].nr
					? count - size->nodes[node].nr
					: 0);
	if (kernel->page_ms && node >= 0 && count > node2m((size_t)node)->nr)
		count = node2m((size_t)node)->nr + make_slowly(count - node2m((size_t)node)->nr);
	if (node < 0 && strcmp(path + end, "_mempolicy") == 0) {
		assert_true(kernel->policy >= 0);
		(half ? set_half : set_max)(size, count, -1, 1U << kernel->policy);
	} else {
		assert_string_equal(path + end, "");
		(half ? set_half : set_max)(size, count, node, node < 0 ? ~0U : 1U << node);
	}
	if (node >= 0 && kernel->leaves == node)
		put(node ? "0\n" : "1\n", "sys/devices/system/node/has_memory");
	if (kernel->behind && node == 0) {
		set_max(size, kernel->behind, node, 1);
		kernel->behind = 0;
	}
	return 0;
}

static inline int store_compact(const char *path)
{
	unsigned long long made;
	size_t node;

	if (sscanf(path, "sys/devices/system/node/node%zu/compact", &node) != 1)
		return -ENOENT;
	(void)poll(NULL, 0, kernel->compact_ms);
	made = node2m(node)->scattered;
	if (kernel->per_compaction && made > kernel->per_compaction)
		made = kernel->per_compaction;
	node2m(node)->room += made;
	node2m(node)->scattered -= made;
	kernel->compactions++;
	if (kernel->meminfo)
		put(kernel->meminfo, "proc/meminfo");
	kernel->meminfo = NULL;
	return 0;
}

static inline void uncache(struct fake_node *node, unsigned long long nr_pages)
{
	nr_pages = nr_pages < node->cached ? nr_pages : node->cached;
	node->cached -= nr_pages;
	node->room += nr_pages;
}

/* proc/meminfo and node 0's, of page cache alone */
static inline void put_cache(void)
{
	unsigned long long cached = node2m(0)->cached, dirty = kernel->dirty;
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "Node 0 MemTotal: 4194304 kB\nNode 0 MemFree: 2097152 kB\n"
		       "Node 0 Active(file): 0 kB\nNode 0 Inactive(file): %llu kB\n"
		       "Node 0 SReclaimable: 0 kB\nNode 0 Dirty: %llu kB\n"
		       "Node 0 Writeback: 0 kB\n",
		       (cached + dirty) * 2048, dirty * 2048);
	put_at_once(text, "sys/devices/system/node/node0/meminfo");
	(void)snprintf(text, sizeof(text),
		       "MemTotal: 8388608 kB\nMemFree: 2097152 kB\nMemAvailable: 6291456 kB\n"
		       "Dirty: %llu kB\nWriteback: 0 kB\n",
		       dirty * 2048);
	put_at_once(text, "proc/meminfo");
}

/* Whoever waits for it sees what is written on disk */
static inline void write_back(unsigned long long nr_pages)
{
	nr_pages = nr_pages < kernel->dirty ? nr_pages : kernel->dirty;
	kernel->dirty -= nr_pages;
	node2m(0)->cached += nr_pages;
	put_cache();
}

static inline void put_arc(void)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "9 1 0x01 147 39984 4821 38232\nname type data\nhits 4 12\n"
		       "c_min                           4    %llu\n"
		       "c_max                           4    %llu\n"
		       "size                            4    %llu\n",
		       kernel->arc_min, kernel->arc_limit, kernel->arc);
	put(text, "proc/spl/kstat/zfs/arcstats");
	(void)snprintf(text, sizeof(text), "%llu\n", kernel->arc_max);
	put(text, "sys/module/zfs/parameters/zfs_arc_max");
}

/* OpenZFS arc_tuning_update(): what it does not take it does not refuse either */
static inline int store_arc(const char *val)
{
	kernel->arc_max = strtoull(val, NULL, 10);
	if (kernel->arc_max >= 64ULL << 20 && kernel->arc_max > kernel->arc_min)
		kernel->arc_limit = kernel->arc_max;
	put_arc();
	return 0;
}

/* Somebody wants memory: what is beyond its limit goes. It lies in one piece on node 0 */
static inline void press_arc(unsigned long long kib)
{
	unsigned long long bytes = kib * 1024;

	if (kernel->arc <= kernel->arc_limit || kernel->arc_stuck)
		return;
	if (bytes > kernel->arc - kernel->arc_limit)
		bytes = kernel->arc - kernel->arc_limit;
	kernel->arc -= bytes;
	node2m(0)->room += bytes / 2097152;
	put("MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n", "proc/meminfo");
	put_arc();
}

/* "65536K swappiness=0" */
static inline int store_reclaim(const char *path, const char *val)
{
	size_t node, first = 0, last = kernel->nr_nodes - 1;
	unsigned long long kib;
	int end = 0;

	if (sscanf(path, "sys/devices/system/node/node%zu/reclaim", &node) == 1) {
		if (!kernel->reclaim_nodes)
			return -ENOENT;
		if (kernel->reclaim_errors[node])
			return kernel->reclaim_errors[node];
		first = last = node;
	} else if (!kernel->reclaim_group) {
		return -ENOENT;
	}
	assert_int_equal(sscanf(val, "%lluK%n", &kib, &end), 1);
	assert_true(end > 0);
	if (val[end] && kernel->no_swappiness)
		return -EINVAL;
	assert_true(!val[end] || strcmp(val + end, " swappiness=0") == 0);
	(void)poll(NULL, 0, kernel->reclaim_ms);
	kernel->reclaimed += kib / 2048;
	if (kib / 2048 > kernel->largest_reclaim)
		kernel->largest_reclaim = kib / 2048;
	press_arc(kib);
	for (size_t i = first; i <= last; i++)
		uncache(node2m(i), kib / 2048 / (last - first + 1));
	return 0;
}

static inline int store_drop(const char *val)
{
	assert_string_equal(val, "3");
	kernel->drops++;
	for (size_t i = 0; i < kernel->nr_nodes; i++)
		uncache(node2m(i), node2m(i)->cached);
	return 0;
}

#define THP "sys/kernel/mm/transparent_hugepage/"

static inline void put_thp(const char *name, const char *chosen)
{
	static const char *const enabled[] = { "always", "madvise", "never", NULL };
	static const char *const defrag[] = { "always",	 "defer", "defer+madvise",
					      "madvise", "never", NULL };
	static const char *const shmem[] = { "always", "within_size", "advise", "never",
					     "deny",   "force",	      NULL };
	const char *const *words = strcmp(name, "enabled") == 0		? enabled
				   : strcmp(name, "shmem_enabled") == 0 ? shmem
									: defrag;
	char text[128] = "";

	for (; *words; words++) {
		bool is = strcmp(*words, chosen) == 0;

		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s%s%s",
			       *text ? " " : "", is ? "[" : "", *words, is ? "]" : "");
	}
	put(text, THP "%s", name);
}

/* SIGKILL does nothing, and what is open stays open: that is left to a child of whoever hangs */
static inline void hang(const char *path)
{
	pid_t pid;

	if (!*kernel->hangs || !strstr(path, kernel->hangs))
		return;
	pid = fork();
	assert_true(pid >= 0 && kernel->nr_hung < ARRAY_SIZE(kernel->hung));
	if (pid > 0) {
		kernel->waits[kernel->nr_hung] = getpid();
		kernel->hung[kernel->nr_hung++] = pid;
	}
	while (pid > 0 && kernel->busy)
		;
	/* A test that fails leaves none behind */
	(void)poll(NULL, 0, 30000);
	_exit(1);
}

/* The server answers again */
static inline void unhang(void)
{
	while (kernel->nr_hung)
		(void)kill(kernel->hung[--kernel->nr_hung], SIGKILL);
	*kernel->hangs = '\0';
}

static inline int store(const char *path, const char *val, bool half)
{
	hang(path);
	if (strncmp(path, THP, strlen(THP)) == 0) {
		put_thp(path + strlen(THP), val);
		return 0;
	}
	if (strstr(path, "/compact"))
		return store_compact(path);
	if (strstr(path, "reclaim"))
		return store_reclaim(path, val);
	if (strcmp(path, "proc/sys/vm/drop_caches") == 0)
		return store_drop(val);
	if (strcmp(path, "sys/module/zfs/parameters/zfs_arc_max") == 0)
		return store_arc(val);
	return store_pages(path, strtoull(val, NULL, 10), half);
}

/* Return: 0 go on, -EIO this one fails; a killed process does not return */
static inline int side_effect(void)
{
	unsigned long long op = ++kernel->ops;

	if (op == kernel->kill_at && kernel->kill_main && kernel->kill_main != getpid()) {
		/* In the kernel it does not hear of it */
		assert_int_equal(prctl(PR_SET_PDEATHSIG, 0), 0);
		assert_int_equal(kill(kernel->kill_main, SIGKILL), 0);
		kernel->kill_at = kernel->spare ? 0 : kernel->kill_at;
	}
	if (op == kernel->kill_at && !kernel->half)
		_exit(99);
	if (op != kernel->fail_at)
		return 0;
	return kernel->error ? kernel->error : -EIO;
}

static inline void note_write(const char *path, const char *val)
{
	size_t len = strlen(kernel->written);

	if (strstr(path, "/nr_hugepages"))
		(void)snprintf(kernel->written + len, sizeof(kernel->written) - len,
			       "write /%s %s\n", path, val);
}

int __wrap_attr_write(int rootfd, const char *path, const char *val)
{
	int failed = side_effect();
	bool last = kernel->ops == kernel->kill_at;
	int r = -ENOENT;

	assert_int_equal(rootfd, host->rootfd);
	note_write(path, val);
	kernel_works = true;
	if (failed == 0 || kernel->half)
		r = kernel->deaf ? 0 : store(path, val, last || failed);
	render();
	kernel_works = false;
	if (last)
		_exit(99);
	return failed ? failed : r;
}

int __wrap_state_write(int dirfd, const char *name, const char *data, size_t len)
{
	int r = side_effect();

	if (kernel->ops == kernel->kill_at)
		_exit(99);
	return r < 0 ? r : __real_state_write(dirfd, name, data, len);
}

int __wrap_state_remove(int dirfd, const char *name)
{
	int r = side_effect();

	if (kernel->ops == kernel->kill_at)
		_exit(99);
	return r < 0 ? r : __real_state_remove(dirfd, name);
}

#ifndef KERNEL_HANGS
/* Nothing of this kernel's hangs, and a fork with AddressSanitizer takes long */
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	(void)step_ms;
	return run(rootfd, shared);
}
#endif

/* Children of the test are no files in the tree */
static inline int real_root(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret)
{
	int r = __real_process_identify(rootfd, pid, ret);
	siginfo_t info;

	if (r == -ESRCH && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		return __real_process_identify(real_root(), pid, ret);
	return r;
}

int __wrap_process_alive(int rootfd, const struct process *process)
{
	int r = __real_process_alive(rootfd, process);

	for (size_t i = 0; i < kernel->nr_hung; i++)
		if (kernel->waits[i] == process->pid)
			return 1;
	return r == 0 ? __real_process_alive(real_root(), process) : r;
}

int __wrap_mempolicy_prefer(int node)
{
	if (kernel->no_policy)
		return -EINVAL;
	kernel->policy = node;
	return 0;
}

void __wrap_mempolicy_default(void)
{
	kernel->policy = -1;
}

int __wrap_mempolicy_move(pid_t pid, const struct cpulist *from, const struct cpulist *to)
{
	hang("migrate_pages");
	assert_true(cpulist_has(from, 0) && !cpulist_has(from, 1));
	assert_true(cpulist_has(to, 1) && !cpulist_has(to, 0));
	kernel->moved = pid;
	kernel->moves++;
	node2m(0)->room += kernel->movable;
	kernel->movable = 0;
	kernel_works = true;
	put("Node 0 MemTotal: 4194304 kB\nNode 0 MemFree: 1000000 kB\nNode 0 Active(file): 0 kB\n"
	    "Node 0 Inactive(file): 0 kB\nNode 0 SReclaimable: 0 kB\n",
	    "sys/devices/system/node/node0/meminfo");
	kernel_works = false;
	return 0;
}

void __wrap_helper_say(const struct helper_ctx *ctx, const char *fmt, ...)
{
	size_t len = strlen(kernel->said);
	va_list args;

	(void)ctx;
	va_start(args, fmt);
	(void)vsnprintf(kernel->said + len, sizeof(kernel->said) - len, fmt, args);
	va_end(args);
}

/* --- What processes do ---------------------------------------------------------------------- */

static inline void fault(size_t node, unsigned long long nr_pages)
{
	assert_true(node2m(node)->free >= nr_pages);
	node2m(node)->free -= nr_pages;
	render();
}

static inline void exit_with(size_t node, unsigned long long nr_pages)
{
	struct fake_node *n = node2m(node);

	assert_true(n->nr - n->free >= nr_pages);
	while (nr_pages-- > 0) {
		if (n->surplus) {
			n->surplus--;
			n->nr--;
			n->room++;
		} else {
			n->free++;
		}
	}
	render();
}

/* A mapping without a fault: a database that has started and not yet worked */
static inline void reserve(unsigned long long nr_pages)
{
	size2m()->resv += nr_pages;
	render();
}

/* It ends: surplus pages that are free go */
static inline void unreserve(unsigned long long nr_pages)
{
	struct fake_size *size = size2m();

	size->resv -= nr_pages;
	for (size_t i = 0; i < kernel->nr_nodes; i++)
		for (; nr_pages && size->nodes[i].surplus && size->nodes[i].free; nr_pages--) {
			size->nodes[i].surplus--;
			size->nodes[i].nr--;
			size->nodes[i].free--;
			size->nodes[i].room++;
		}
	render();
}

/* The admin writes a pool by hand */
static inline void admin_sets(size_t node, unsigned long long count)
{
	set_max(size2m(), count, (int)node, 1U << node);
	render();
}

/* --- Guests --------------------------------------------------------------------------------- */

#define UUID_A "aaaaaaaa-0000-4000-8000-000000000001"
#define UUID_B "bbbbbbbb-0000-4000-8000-000000000002"
#define UUID_C "cccccccc-0000-4000-8000-000000000003"

#define DAEMON_PID 100
#define DEAD_PID   99

static inline void put_process(int pid)
{
	char stat[256];

	(void)snprintf(stat, sizeof(stat),
		       "%d (libvirtd) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0\n", pid);
	put(stat, "proc/%d/stat", pid);
}

/* QEMU of a guest, with @mapped pages of 2 MiB of which @faulted are faulted in */
static inline void put_qemu(int pid, const char *uuid, unsigned long long mapped,
			    unsigned long long faulted)
{
	char cmdline[256], smaps[1024], path[64];
	int len = snprintf(cmdline, sizeof(cmdline), "qemu%c-uuid%c%s", 0, 0, uuid) + 1;

	put_process(pid);
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	tree_bytes(host, path, cmdline, (size_t)len);
	(void)snprintf(smaps, sizeof(smaps),
		       "55d0 r-xp 00000000 08:01 42 /usr/bin/qemu-system-x86_64\n"
		       "Size:               6144 kB\nKernelPageSize:        4 kB\n"
		       "Shared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
		       "VmFlags: rd ex mr mw me\n"
		       "7f00 rw-s 00000000 00:0f 9 /dev/hugepages/libvirt/qemu/1-a/ram\n"
		       "Size:           %8llu kB\nKernelPageSize:     2048 kB\n"
		       "Shared_Hugetlb: %8llu kB\nPrivate_Hugetlb:       0 kB\n"
		       "VmFlags: rd wr sh mr mw me ms de ht\n",
		       mapped * 2048, faulted * 2048);
	put(smaps, "proc/%d/smaps", pid);
}

/* As put_qemu(), waiting for a migration */
static inline void put_incoming_qemu(int pid, const char *uuid, unsigned long long mapped,
				     unsigned long long faulted)
{
	char cmdline[256], path[64];
	int len = snprintf(cmdline, sizeof(cmdline), "qemu%c-uuid%c%s%c-incoming%cdefer", 0, 0,
			   uuid, 0, 0) +
		  1;

	put_qemu(pid, uuid, mapped, faulted);
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	tree_bytes(host, path, cmdline, (size_t)len);
}

static inline void remove_process(int pid)
{
	char dir[128];

	(void)snprintf(dir, sizeof(dir), "%s/proc/%d", host->dir, pid);
	assert_int_equal(nftw(dir, tree_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static const struct helper test_helper = {
	.name = HUGEPAGES_SECTION,
	.apply_timeout_ms = 4000,
	.undo_timeout_ms = 2000,
};

struct guest {
	struct helper_ctx ctx;
};

static inline void guest_state(struct guest *guest, enum claim_state state, int owner)
{
	struct process process = { .pid = owner, .start_time = 777 };

	assert_int_equal(claim_set_state(guest->ctx.statefd, &guest->ctx.claim, state, &process),
			 0);
}

/* @needs: lines as in the claim, separated by ';' */
static inline void guest_make(struct guest *guest, const char *uuid, const char *name,
			      const char *give_back, const char *needs)
{
	struct process daemon = { .pid = DAEMON_PID, .start_time = 777 };
	_cleanup_strlist_ struct strlist lines = { 0 };
	struct claim *claim = &guest->ctx.claim;

	*guest = (struct guest){ .ctx = { .helper = &test_helper,
					  .rootfd = host->rootfd,
					  .dirfd = -1,
					  .deadline = deadline_in(4000) } };
	guest->ctx.statefd = state_open(host->rootfd, true);
	assert_true(guest->ctx.statefd >= 0);
	assert_int_equal(claim_init(claim, uuid, name, &daemon), 0);
	assert_int_equal(inidoc_add(&claim->doc, HUGEPAGES_SECTION, "compact", "yes"), 0);
	assert_int_equal(inidoc_add(&claim->doc, HUGEPAGES_SECTION, "give_back", give_back), 0);
	assert_int_equal(text_split(needs, ";", &lines), 0);
	for (size_t i = 0; i < lines.nr; i++)
		assert_int_equal(inidoc_add(&claim->doc, HUGEPAGES_SECTION, "need", lines.names[i]),
				 0);
	assert_int_equal(claim_store(guest->ctx.statefd, claim), 0);
	kernel->ops = 0;
}

static inline void guest_free(struct guest *guest)
{
	claim_free(&guest->ctx.claim);
	cleanup_close(&guest->ctx.statefd);
}
#define _cleanup_guest_ _cleanup_(guest_free)

static inline int apply(struct guest *guest)
{
	guest->ctx.deadline = deadline_in(4000);
	return (int)hugepages_apply(&guest->ctx);
}

static inline int undo(struct guest *guest)
{
	return (int)hugepages_undo(&guest->ctx);
}

static inline int settle(struct guest *guest)
{
	return hugepages_settle(&guest->ctx, 0, NULL);
}

/* Its claim is removed, as after `release` */
static inline void guest_remove(struct guest *guest)
{
	assert_int_equal(state_remove_dir(guest->ctx.statefd, guest->ctx.claim.uuid), 0);
}

/* --- Looking -------------------------------------------------------------------------------- */

#define assert_pool(node, nr_, free_, surplus_)                                                    \
	do {                                                                                       \
		assert_int_equal(node2m(node)->nr, nr_);                                           \
		assert_int_equal(node2m(node)->free, free_);                                       \
		assert_int_equal(node2m(node)->surplus, surplus_);                                 \
	} while (0)

/* Nothing is noted, so nothing is left of any guest */
static inline void assert_no_ledger(void)
{
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/hugepages.ini"), 0);
}

#define assert_said(text) assert_non_null(strstr(kernel->said, text))

/* --- Set-up --------------------------------------------------------------------------------- */

/* Two nodes of 4 GiB; the pools of 2 MiB as given, 1000 pages to be got on each node */
static inline void boot(enum kernel_version version, unsigned long long on_node0,
			unsigned long long on_node1)
{
	*kernel = (struct fake_kernel){
		.version = version, .nr_nodes = 2, .policy = -1, .leaves = -1
	};
	kernel->sizes[0].size_kib = SIZE_2M;
	kernel->sizes[1].size_kib = SIZE_1G;
	for (size_t i = 0; i < kernel->nr_nodes; i++) {
		kernel->sizes[0].nodes[i].room = 1000;
		kernel->sizes[1].nodes[i].room = 1;
		put("Node N MemTotal:        4194304 kB\n",
		    "sys/devices/system/node/node%zu/meminfo", i);
	}
	*node2m(0) = (struct fake_node){ .nr = on_node0, .free = on_node0, .room = 1000 };
	*node2m(1) = (struct fake_node){ .nr = on_node1, .free = on_node1, .room = 1000 };
	put("0-1\n", "sys/devices/system/node/has_memory");
	put("MemTotal:        8388608 kB\nMemAvailable:    6291456 kB\n", "proc/meminfo");
	put_process(DAEMON_PID);
	render();
}

static inline int kernel_setup(void **state)
{
	int r = tree_setup_in_memory(state);

	host = *state;
	kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (r < 0 || kernel == MAP_FAILED)
		return -1;
	return 0;
}

static inline int kernel_teardown(void **state)
{
	(void)munmap(kernel, sizeof(*kernel));
	return tree_teardown(state);
}

#define kernel_test(name) cmocka_unit_test_setup_teardown(name, kernel_setup, kernel_teardown)
