/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/hugepages.h - what the files of usher-hugepages share */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/claim.h"
#include "../../lib/cleanup.h"
#include "../../lib/cpulist.h"
#include "../../lib/text.h"
#include "../helper.h"

/*
 * How it works
 *
 * The kernel keeps a pool for each page size and node. Its pages are persistent, or surplus: those
 * it frees as soon as they are not in use. nr_hugepages reads as both together and sets the
 * persistent ones, so that is the number all accounting is done in. Mapping, faulting and ending
 * never change it; only a write to nr_hugepages does (and demote). It follows that
 *
 *  - what usher added to a pool is one number, and taking it off again in any order, at any time,
 *    ends at the number the pool had;
 *  - pages that are in use when the number goes down become surplus, and the kernel frees them when
 *    QEMU dies, whoever killed it. That is done in `started`;
 *  - growing takes all surplus pages back first: for M more free pages the target is nr + M. M of
 *    the difference to the old number are the guest's, the surplus is owed at once.
 *
 * But the kernel frees free pages before it makes used ones surplus. A pool written down while
 * another guest's pages lie ready there loses those. So a guest's part of a pool is not written
 * down by that guest alone: `settle` and `undo` only make it owed, in the ledger (ledger.c), and
 * what is owed is paid as far as no free page that is promised to somebody goes (giveback.c).
 * Every later settle, undo and failed apply pays on. Where others use the pool beside guests it is
 * paid in free pages alone, until no guest has any there; and where a guest may give pages back and
 * take others (a balloon), until that one has ended (giveback.c). A promise is what a guest's QEMU
 * has not yet faulted of its need, from its apply to its `started` (promise.c).
 *
 * Locks in run/usher/host: hugepages.lock, held while the ledger is read or one pool is written, but
 * not while a page is made that takes long (longwrite.c), hugepages-queue.lock by who waits for it;
 * hugepages-sync.lock, held by a child that writes page cache to disk (writeback.c);
 * hugepages-pull-WHAT.lock, by one that a lever has left behind (pull.c); hugepages-grow-N.lock, held
 * by one apply at a time for each node, also while it compacts: of two guests that start together on
 * one node and lack pages, one gets all it needs before the other begins (turn.c).
 *
 * ABI: Documentation/admin-guide/mm/hugetlbpage.rst, mm/hugetlb.c set_max_huge_pages()
 * Seen on: Linux 6.1, 6.12, 6.18
 */

#define HUGEPAGES_SECTION "hugepages"

/* In run/usher */
#define HOST_DIR "host"

/* A kernel without NUMA has one pool a page size */
#define POOL_NO_NODE (-1)

/* --- need.c: what a claim asks for ---------------------------------------------------------- */

struct need {
	unsigned long long size_kib;
	bool any;	      /* pages of any node will do */
	struct cpulist nodes; /* with any: those that are preferred, or none */
	unsigned long long nr_pages;
};

struct needs {
	struct need *needs;
	size_t nr;
};

void needs_free(struct needs *needs);
#define _cleanup_needs_ _cleanup_(needs_free)

/** needs_add() - more pages; joined with an equal need. Return: 0, -ERANGE past 2^64, -ENOMEM */
int needs_add(struct needs *needs, const struct need *need) _must_check_;

/**
 * needs_load() - the need lines of a claim, in its order; of those for any node, what its prefer
 * lines say has preferred nodes
 *
 * Return: 0, -EBADMSG for a line that is no need or no part of one, -ENOMEM
 */
int needs_load(const struct claim *claim, struct needs *ret) _must_check_;

/** needs_sort() - those bound to few nodes first, so that `any` takes what they leave */
void needs_sort(struct needs *needs);

/** needs_seen() - is one before it of the same page size */
bool needs_seen(const struct needs *needs, size_t index);

/** need_width() - on how many nodes it may be met */
size_t need_width(const struct need *need);

/** need_covers() - may it be met from this node */
bool need_covers(const struct need *need, int node);

/**
 * need_nodes() - the nodes with memory it may be met from
 * @ret_all:	all nodes with memory
 *
 * Return: 0, -ENOENT on a kernel without NUMA, else as attr_read()
 */
int need_nodes(int rootfd, const struct need *need, struct cpulist *ret, struct cpulist *ret_all)
	_must_check_;

/** need_same_place() - the same page size and nodes */
bool need_same_place(const struct need *a, const struct need *b);

/** need_meets() - is there a node that both may be met from, and the same page size */
bool need_meets(const struct need *a, const struct need *b);

/* "on node 0", "on nodes 0-1", "on this host" */
#define NEED_WHERE_MAX 64
void need_where(const struct need *need, char *buf, size_t size);

/* "node 0", "the host" */
void pool_where(int node, char *buf, size_t size);

/* "2 MiB", "1 GiB" */
#define SIZE_NAME_MAX 24
void size_name(unsigned long long size_kib, char *buf, size_t size);

/* --- pool.c: the kernel's pools of one page size -------------------------------------------- */

#define POOL_DIR_MAX 128

struct pool {
	int node;		 /* or POOL_NO_NODE */
	char dir[POOL_DIR_MAX];	 /* where its nr_hugepages is, below the root */
	unsigned long long nr;	 /* persistent and surplus */
	unsigned long long free; /* not faulted in; may be reserved by a mapping */
	unsigned long long surplus;
	unsigned long long taken; /* in a dry run, of those in use: by a QEMU that is to come */
};

struct pools {
	unsigned long long size_kib;
	unsigned long long reserved;   /* free pages that mappings will fault in: no node known */
	unsigned long long overcommit; /* surplus pages that mappings may take beyond the pools */
	struct pool *pools;	       /* by node */
	size_t nr;
};

void pools_free(struct pools *pools);
#define _cleanup_pools_ _cleanup_(pools_free)

/** pool_persistent() - the number that a write to nr_hugepages sets */
static inline unsigned long long pool_persistent(const struct pool *pool)
{
	return pool->nr > pool->surplus ? pool->nr - pool->surplus : 0;
}

/**
 * pools_read() - the pools of one page size on every node with memory
 *
 * Return: 0, -ENOENT when the kernel has no pages of that size, -ENOMEM, else as attr_read_ull()
 */
int pools_read(int rootfd, unsigned long long size_kib, struct pools *ret) _must_check_;

/** pools_find() - the pool of one node. Return: its index, -ENOENT */
int pools_find(const struct pools *pools, int node);

/** pools_free_of() - free pages in all pools that @need may be met from */
unsigned long long pools_free_of(const struct pools *pools, const struct need *need);

/** pools_surplus() - surplus pages in all pools, one left out. @except: index, -1 for none */
unsigned long long pools_surplus(const struct pools *pools, int except);

/**
 * pool_set() - write one pool's number of persistent pages
 * @pools:	as last read
 *
 * Until Linux 6.6 a write to a node's file counts the surplus pages of other nodes as missing on
 * this one, and allocates them. When there are any, the write goes to nr_hugepages_mempolicy,
 * which takes the number for the whole host, with a memory policy of this process that names the
 * node.
 *
 * Return: 0 when the kernel took it, which says nothing about how many pages there are now;
 * -EACCES when this process may not use memory of that node; else as attr_write() (-EINVAL: pages
 * of that size come at boot only)
 * ABI: Documentation/admin-guide/mm/hugetlbpage.rst, "Interaction of Task Memory Policy with Huge
 * Page Allocation/Freeing"
 * Seen on: Linux 6.1 (mm/hugetlb.c, nid != NUMA_NO_NODE), right since 6.7
 */
int pool_set(const struct helper_ctx *ctx, const struct pools *pools, size_t index,
	     unsigned long long persistent) _must_check_;

/* --- mempolicy.c: which node this process allocates from ------------------------------------ */

/** mempolicy_prefer() - Return: 0, -errno of set_mempolicy(2) (-EINVAL: not in our cpuset) */
int mempolicy_prefer(int node) _must_check_;

void mempolicy_default(void);

/** mempolicy_move() - migrate_pages(2) of all it can. Return: 0, -errno (-ESRCH, -EPERM) */
int mempolicy_move(pid_t pid, const struct cpulist *from, const struct cpulist *to) _must_check_;

/* --- memory.c: how much there is ------------------------------------------------------------- */

/**
 * memory_available() - MemAvailable in KiB
 *
 * Return: 0, -EBADMSG when meminfo has no such line, else as attr_read_all()
 */
int memory_available(int rootfd, unsigned long long *ret_kib) _must_check_;

/** memory_total() - memory of one node, or of the host for POOL_NO_NODE. Return: as above */
int memory_total(int rootfd, int node, unsigned long long *ret_kib) _must_check_;

/** memory_field() - "Shmem:" of meminfo, in KiB. Return: as memory_available() */
int memory_field(int rootfd, const char *name, unsigned long long *ret_kib) _must_check_;

/** memory_field_of() - the same of one node. Return: as memory_available() */
int memory_field_of(int rootfd, int node, const char *name, unsigned long long *ret_kib)
	_must_check_;

/** memory_dirty() - of the host, in KiB, what is being written included; not known is none */
unsigned long long memory_dirty(int rootfd);

/**
 * memory_spare() - about as much as one node could give
 * @reserve_kib:	of the host; the node keeps its part of it, by its size
 *
 * Return: 0, else as memory_total()
 */
int memory_spare(const struct helper_ctx *ctx, int node, unsigned long long reserve_kib,
		 unsigned long long *ret_kib) _must_check_;

/**
 * memory_reserve() - what growing must leave to the host: reserve_kib of the claim, else a 32nd of
 * its memory, at least 128 MiB and at most 1 GiB
 *
 * Return: 0, else as memory_total()
 */
int memory_reserve(const struct helper_ctx *ctx, unsigned long long *ret_kib) _must_check_;

/* --- room.c: the pieces that free memory lies in ---------------------------------------------- */

#define ROOM_ORDERS 12
/* "3 MiB of 4 KiB, ..." */
#define ROOM_SAY_MAX 512

struct room {
	unsigned long long kib[ROOM_ORDERS]; /* free, in pieces of 1, 2, 4, ... base pages */
	unsigned long long blocks;	     /* all there are; 0: not known */
	unsigned long long unmovable; /* of these the kernel's own, that stay where they are */
};

/**
 * room_read() - the free memory of some nodes
 *
 * Return: 0, -ENOENT, -EBADMSG, -ENOMEM, else as attr_read_all()
 * ABI: Documentation/filesystems/proc.rst, buddyinfo and pagetypeinfo
 */
int room_read(int rootfd, const struct cpulist *nodes, struct room *ret) _must_check_;

/** room_free() - all of it, in KiB */
unsigned long long room_free(const struct room *room);

/** room_pieces() - what of it lies in pieces of @size_kib or more, in KiB */
unsigned long long room_pieces(const struct room *room, unsigned long long size_kib);

/** room_has_size() - can a page of that size be one of the allocator's pieces */
bool room_has_size(unsigned long long size_kib);

void room_say(const struct room *room, char *buf, size_t size);

/* --- ask.c: what of a process can be read only while it does not hang -------------------------- */

/** ask_until() - of what is left until then, each process may take a quarter. 0: no bound */
void ask_until(long long deadline);

/**
 * ask_process() - have a child read what is read under the process's mmap lock
 * @run, @shared:	as for aside_run()
 *
 * Return: what @run returned, -ETIMEDOUT when the process did not answer, else as aside_run()
 */
int ask_process(int rootfd, pid_t pid, int (*run)(int rootfd, void *shared), void *shared)
	_must_check_;

/* --- placement.c: on which nodes a process has its memory --------------------------------------- */

struct placement {
	bool chosen;		       /* there is a memory policy that names nodes */
	unsigned long long kib;	       /* on the nodes asked for */
	unsigned long long freed_kib;  /* of these, what is free when it ends: no file's pages */
	unsigned long long pooled_kib; /* huge pages of a pool, beside that */
};

/**
 * placement_read() - what a process has on some nodes
 * @size_kib:	of the huge pages that count, 0: all
 *
 * Return: 0, -ENOENT (also on a kernel without NUMA), -EBADMSG, -ENOMEM, else as attr_read_all()
 * and ask_process()
 * ABI: numa(7), /proc/PID/numa_maps; Source: fs/proc/task_mmu.c show_numa_map()
 */
int placement_read(int rootfd, pid_t pid, const struct cpulist *nodes, unsigned long long size_kib,
		   struct placement *ret) _must_check_;

/* --- holders.c: who has the memory ------------------------------------------------------------ */

/* Those found on the whole host are asked what they have on a node: the largest there may be one of
 * the smaller ones */
#define HOLDERS_MAX   64
#define HOLDERS_SHOWN 16

struct holder {
	char name[96];
	pid_t pid;   /* 0: not a process */
	bool pooled; /* its huge pages of a pool, else all but these */
	unsigned long long kib;
};

struct holders {
	struct holder holders[HOLDERS_MAX]; /* the largest first */
	size_t nr;
};

/**
 * holders_read() - processes, pools, tmpfs, the kernel's objects, ZFS's ARC: what can be read of them
 * @nodes:	what they have on these, as far as that is known; NULL: on all
 */
void holders_read(int rootfd, const struct cpulist *nodes, struct holders *ret);

/** freed_kib() - what of a process's memory is free when it ends, on all nodes; huge pages are not */
unsigned long long freed_kib(int rootfd, pid_t pid);

/** holders_say() - "java (pid 812) 4096 MiB, tmpfs and shared memory 512 MiB" */
void holders_say(const struct holders *holders, size_t most, char *buf, size_t size);

/* --- numa.c ----------------------------------------------------------------------------------- */

/**
 * uneven_say() - one line when the guest's memory is no whole number of its pages
 *
 * Seen on: QEMU 10.0.2 refuses such a guest, 7.2 rounds up: which one will run is not ours to know
 */
void uneven_say(const struct helper_ctx *ctx);

/**
 * numad_check() - refuse a guest whose node numad chooses, where it may choose one with too few pages
 *
 * It is asked after `prepare`, so what is made goes to all nodes alike.
 *
 * Return: HELPER_DONE, HELPER_FAILED
 */
enum helper_exit numad_check(const struct helper_ctx *ctx, const struct needs *needs) _must_check_;

/** numa_say() - one line when CPUs or devices of the guest are not where its memory is bound to */
void numa_say(const struct helper_ctx *ctx);

/* --- usage.c: what a process has of the pools ------------------------------------------------- */

struct usage {
	unsigned long long mapped;  /* pages: faulted, or reserved by a mapping */
	unsigned long long faulted; /* pages in use */
};

/** usage_reserved() - pages that its mappings have reserved: see keeps_reserved() */
static inline unsigned long long usage_reserved(const struct usage *usage)
{
	return usage->mapped > usage->faulted ? usage->mapped - usage->faulted : 0;
}

/**
 * usage_read() - huge pages of one size in a process's address space
 *
 * Return: 0, -ESRCH when it is gone, -EBADMSG, -ENOMEM, else as attr_read_all() (-EACCES) and
 * ask_process()
 * ABI: Documentation/filesystems/proc.rst, proc/PID/smaps, VmFlags "ht" (huge pages) and "nr" (no
 * reservation); since Linux 3.8
 */
int usage_read(int rootfd, pid_t pid, unsigned long long size_kib, struct usage *ret) _must_check_;

/* --- ledger.c: what usher has added to the pools, and for whom ------------------------------ */

struct ledger_share {
	char uuid[UUID_STRLEN];
	unsigned long long nr_pages;
};

struct ledger_pool {
	unsigned long long size_kib;
	int node;
	unsigned long long own;	     /* not ours: what it had, and what others did since */
	unsigned long long owed;     /* to be taken off again, for no guest in particular */
	struct ledger_share *shares; /* held by guests that have not settled */
	size_t nr_shares;
};

/* One write to a pool, announced before it is made */
struct ledger_change {
	bool open;
	struct process writer; /* who makes it without the ledger; pid 0: whoever holds that */
	unsigned long long size_kib;
	int node;
	char uuid[UUID_STRLEN];	   /* whose account, "" for owed */
	unsigned long long before; /* persistent pages */
	unsigned long long target;
	unsigned long long surplus; /* on other nodes, before; SURPLUS_UNKNOWN */
};

/* Announced by an usher that did not note it */
#define SURPLUS_UNKNOWN (-1ULL)

struct ledger {
	int dirfd;
	int lockfd; /* held from open to close; -1 in a dry run */
	struct ledger_pool *pools;
	size_t nr;
	struct strlist promised; /* guests whose QEMU has not taken all it needs */
	struct ledger_change change;
	struct ledger_change writing; /* the one that takes long: longwrite.c */
};

#define LEDGER_CLOSED ((struct ledger){ .dirfd = -1, .lockfd = -1 })

void ledger_close(struct ledger *ledger);
#define _cleanup_ledger_ _cleanup_(ledger_close)

/**
 * ledger_open() - lock and load run/usher/host/hugepages.ini
 * @create:	make what is missing; else a host without ledger is -ENOENT
 *
 * A dry run reads without the lock.
 *
 * Return: 0, -ENOENT, -ETIMEDOUT when the lock is held longer, -EBADMSG when it does not parse,
 * -EPERM when it is not ours alone, -ENOMEM, else -errno
 */
int ledger_open(const struct helper_ctx *ctx, int timeout_ms, bool create, struct ledger *ret)
	_must_check_;

/** ledger_store() - write it, or remove it when nothing is in it. Return: 0, else -errno */
int ledger_store(struct ledger *ledger) _must_check_;

/** ledger_find() - Return: NULL when nothing is noted of that pool */
struct ledger_pool *ledger_find(const struct ledger *ledger, unsigned long long size_kib, int node);

/** ledger_pool() - ledger_find(), or a new one that has @own pages. Return: NULL for -ENOMEM */
struct ledger_pool *ledger_pool(struct ledger *ledger, unsigned long long size_kib, int node,
				unsigned long long own);

/** ledger_held() - pages of a pool on a guest's account */
unsigned long long ledger_held(const struct ledger *ledger, unsigned long long size_kib, int node,
			       const char *uuid);

/** ledger_expected() - persistent pages the pool has if nobody else touched it */
unsigned long long ledger_expected(const struct ledger_pool *pool);

/** ledger_credit() - put pages on an account, "" for owed. Return: 0, -ENOMEM */
int ledger_credit(struct ledger_pool *pool, const char *uuid, unsigned long long nr_pages)
	_must_check_;

/** ledger_adapt() - somebody else set the pool to @persistent pages: nothing goes off it any more */
void ledger_adapt(struct ledger_pool *pool, unsigned long long persistent);

/** ledger_lose() - pages are gone that nobody took: from what we had added first */
void ledger_lose(struct ledger_pool *pool, unsigned long long nr_pages);

/** ledger_writing() - is somebody at a pool of that page size without the ledger */
bool ledger_writing(const struct ledger *ledger, unsigned long long size_kib);

/** ledger_promise(), ledger_unpromise() - note that a guest will take pages, and that it has */
int ledger_promise(struct ledger *ledger, const char *uuid) _must_check_;
void ledger_unpromise(struct ledger *ledger, const char *uuid);

/** ledger_release() - a guest's parts of all pools become owed, its promise ends */
void ledger_release(struct ledger *ledger, const char *uuid);

/* --- change.c: pools and ledger together ----------------------------------------------------- */

/**
 * ledger_sync() - bring the ledger up to what has happened since
 *
 * Ends changes that a kill left open, but for one whose writer lives, makes owed what guests without
 * a claim still held, and takes note of what others did to the pools. Stores what it learnt.
 *
 * Return: 0, else -errno
 */
int ledger_sync(const struct helper_ctx *ctx, struct ledger *ledger) _must_check_;

/**
 * ledger_change() - bring one pool to @target persistent pages
 * @uuid:	whose account, "" for owed
 * @pools:	as last read; read again afterwards
 *
 * Announced in the ledger, written, read back, noted. A pool that the kernel has made larger than
 * @target is corrected: what is beyond is owed first. In a dry run the write is printed and taken
 * for done.
 *
 * Return: 0 when the kernel took the write, however many pages there are now; -ENODEV when a node was
 * taken out meanwhile, and @pools has others in its place; else -errno
 */
int ledger_change(const struct helper_ctx *ctx, struct ledger *ledger, struct pools *pools,
		  size_t index, unsigned long long target, const char *uuid) _must_check_;

/**
 * change_open() - what is to be written, and for whom; not yet in the file
 * @change:	one of the ledger's
 *
 * Return: 0, -ENOMEM
 */
int change_open(struct ledger *ledger, struct ledger_change *change, const struct pools *pools,
		size_t index, unsigned long long target, const char *uuid) _must_check_;

/**
 * pool_bring() - write a pool, and correct it when the kernel has made it larger than @target
 * @pools:	as last read; read again afterwards
 * @ret_read:	0 when they were, else -errno
 *
 * Return: as pool_set()
 */
int pool_bring(const struct helper_ctx *ctx, struct pools *pools, size_t index,
	       unsigned long long target, int *ret_read) _must_check_;

/* --- longwrite.c: a page that takes long ------------------------------------------------------ */

/* The largest page that is made with the ledger held, and the most of smaller ones */
#define STEP_KIB (512ULL * 1024)

struct growth;
struct long_write;

/** long_write_is() - may a write that adds pages of that size take long */
bool long_write_is(const struct helper_ctx *ctx, unsigned long long size_kib);

/**
 * long_write_begin() - announce one, and have a child make it
 * @pools:	as last read
 *
 * From here on the ledger may be closed. It is noted who writes, so that nobody else does.
 *
 * Return: 0, -ENOMEM, else -errno of fork(2), process_identify() or ledger_store()
 */
int long_write_begin(const struct helper_ctx *ctx, struct ledger *ledger, struct pools *pools,
		     size_t index, unsigned long long target, const char *uuid,
		     struct long_write **ret) _must_check_;

/**
 * long_write_end() - wait for it, without the ledger, and free it
 *
 * Until the deadline when it uses the CPU; half of that when it waits, or has brought nothing and
 * another guest waits for its turn; then it is sent SIGKILL. What it came to is put on its account by
 * the first ledger_sync() after its end, whoever's that is.
 *
 * Return: 0 also when it was late, 1 when it gave way, else as pool_set()
 */
int long_write_end(struct long_write *job, struct growth *growth) _must_check_;

/* --- promise.c: pages that are spoken for ----------------------------------------------------- */

/* Of one need of a guest; equal ones of guests that have but one are one */
struct promised {
	struct need need;	 /* needed and not faulted, at most */
	unsigned long long left; /* of all needs of its page size together */
	size_t first;		 /* which of open is the first of these */
};

struct promises {
	struct promised *open; /* of all guests; those of one size of one guest side by side */
	size_t nr_open;
	struct needs mapped;  /* the part of it that the kernel has reserved; per page size */
	struct needs lasting; /* all needs of guests that may give pages back, and take others */
};

void promises_free(struct promises *promises);
#define _cleanup_promises_ _cleanup_(promises_free)

/**
 * promises_load() - what live guests still have to get
 * @except:	uuid of a guest that is left out, NULL
 *
 * To be read before the pools: what a QEMU faults between the two is then counted twice. The other
 * way round it is counted not at all, and another guest's page looks like one to spare.
 *
 * Return: 0, -ENOMEM, else -errno of the registry
 */
int promises_load(const struct helper_ctx *ctx, const struct ledger *ledger, const char *except,
		  struct promises *ret) _must_check_;

/**
 * gives_back_at_start() - does the pool go back down in `started` (give_back = started)
 *
 * Not of a QEMU that waits for a migration: in postcopy it gives pages back and faults them in anew
 * while the guest runs, and a page that was surplus would be missing then. A guest restored from a
 * file looks the same.
 * ABI: QEMU 7.2 to 10.0, migration/postcopy-ram.c; libvirt passes -incoming for both
 */
bool gives_back_at_start(int rootfd, const struct claim *claim);

/**
 * keeps_reserved() - is what QEMU has mapped and not faulted reserved for it
 *
 * A page that a balloon or postcopy gives back takes its reservation with it, and the mapping looks
 * as if it had never been faulted. A private one gets it back since Linux 6.9, unless there is
 * surplus at that moment. So it is not known of a QEMU that may have given pages back: false.
 * Source: fs/hugetlbfs/inode.c remove_inode_single_folio(), mm/hugetlb.c __unmap_hugepage_range()
 */
bool keeps_reserved(int rootfd, const struct claim *claim, pid_t qemu);

/** promises_elsewhere() - pages that mappings of others than our guests have reserved, on any node */
unsigned long long promises_elsewhere(const struct promises *promises, const struct pools *pools);

/** promises_available() - free pages for @need that nobody else counts on */
unsigned long long promises_available(const struct promises *promises, const struct pools *pools,
				      const struct need *need);

/* What must be added for a need */
struct lack {
	struct need need;	     /* on its nodes first */
	unsigned long long nr_pages; /* there; 0: nothing is missing */
	unsigned long long most;     /* of all that lack some */
	bool wish;		     /* the need can be met without them */
};

/**
 * needs_lack() - what is missing for need @index of a guest
 * @plain:	indices of the needs whose wishes have come to nothing
 *
 * Where QEMU takes its pages from is the kernel's choice, or that of the thread that touches them
 * first. So a need must find its pages after those before it and those of other guests have taken
 * all of theirs where they could. What others prefer binds them as long as they find all of it there.
 * Beside that there are wishes: that others, and narrower needs of
 * the guest's own, find theirs after this one, as they can do with no other nodes; and that
 * preferred nodes give all. Of those that lack pages the narrowest comes first.
 */
struct lack needs_lack(const struct needs *needs, size_t index, const struct pools *pools,
		       const struct promises *promises, const struct cpulist *plain);

/** needs_robbed() - pages that another guest would find too few, the worst off one */
unsigned long long needs_robbed(const struct needs *needs, size_t index, const struct pools *pools,
				const struct promises *promises, const struct cpulist *plain);

/** needs_missing() - pages missing for need @index and for whom it robs, at most all of it */
unsigned long long needs_missing(const struct needs *needs, size_t index, const struct pools *pools,
				 const struct promises *promises);

/** promises_last() - may a guest give back pages of this pool and take others */
bool promises_last(const struct promises *promises, const struct pools *pools, size_t index);

/** promises_open() - is there a guest that has pages of that size still to take */
bool promises_open(const struct promises *promises, unsigned long long size_kib);

/** promises_removable() - free pages that may go from one pool */
unsigned long long promises_removable(const struct promises *promises, const struct pools *pools,
				      size_t index);

/* --- others.c: who uses a pool beside our guests ------------------------------------------------ */

struct others {
	unsigned long long guests;   /* pages in use by QEMUs of guests with a claim */
	unsigned long long nr_pages; /* and by anybody else */
	bool unknown;		     /* a guest's QEMU cannot be asked: some may be its */
};

/**
 * others_read() - of each pool
 * @ret:	as many as there are pools
 * @ret_reserved: free pages that mappings of others than QEMUs of guests with a claim will take, of
 *		which node is not known; promises_elsewhere() counts those of guests that have settled,
 *		too
 *
 * A QEMU that cannot be looked at counts among the others.
 *
 * Return: 0, -ENOMEM, else -errno of the registry
 */
int others_read(const struct helper_ctx *ctx, const struct pools *pools, struct others *ret,
		unsigned long long *ret_reserved) _must_check_;

/* --- check.c ---------------------------------------------------------------------------------- */

/** needs_read() - needs_load() and needs_sort(), or the message. Return: 0, HELPER_USAGE, ... */
enum helper_exit needs_read(const struct helper_ctx *ctx, struct needs *ret) _must_check_;

/** size_of_dir() - of "hugepages-2048kB". Return: 0, -EINVAL, -ERANGE */
int size_of_dir(const char *dir, unsigned long long *ret_kib) _must_check_;

/** needs_check() - what can never work is refused by name. Return: HELPER_DONE, HELPER_FAILED */
enum helper_exit needs_check(const struct helper_ctx *ctx, const struct needs *needs) _must_check_;

enum helper_exit hugepages_check(struct helper_ctx *ctx);

/* --- mount.c ---------------------------------------------------------------------------------- */

/**
 * mounts_check() - is there a hugetlbfs, seen by libvirt, for each `mount` of the claim
 *
 * Return: HELPER_DONE, HELPER_FAILED after one line, HELPER_USAGE
 */
enum helper_exit mounts_check(const struct helper_ctx *ctx) _must_check_;

/* --- show.c ----------------------------------------------------------------------------------- */

/** hugepages_show() - "show CLAIM": needed, free and missing pages. Return: exit code */
int hugepages_show(struct helper_ctx *ctx, int argc, char **argv);

/* --- shortage.c ------------------------------------------------------------------------------- */

enum shortage_reason {
	SHORT_NONE,
	SHORT_MEMORY,	  /* growing would take what is kept for the host */
	SHORT_FRAGMENTED, /* the kernel found no more */
	SHORT_TIME,	  /* the deadline came first */
	SHORT_TURN, /* another guest waited, and had no more time left than this one had had */
};

struct shortage {
	enum shortage_reason reason;
	size_t need;		    /* index of the need that was not met */
	unsigned long long missing; /* pages it lacked when no more were to be had */
	char by_node[256];	    /* "node 0: 5 free, 40 more; " where there is more than one */
};

/** shortage_say() - one line: how many are missing where, why, and the cure */
void shortage_say(const struct helper_ctx *ctx, const struct needs *needs,
		  const struct shortage *shortage);

/* --- step.c ----------------------------------------------------------------------------------- */

/* What one step looks at, all of one moment */
struct view {
	struct ledger ledger;
	struct promises promises;
	struct pools *sizes; /* of every page size needed */
	size_t nr_sizes;
};

#define VIEW_CLOSED ((struct view){ .ledger = LEDGER_CLOSED })

void view_close(struct view *view);
#define _cleanup_view_ _cleanup_(view_close)

/** view_find() - Return: the pools of one page size, NULL when it is not of it */
struct pools *view_find(const struct view *view, unsigned long long size_kib);

/* Memory in KiB: of the host, what of it is not dirty; free on the current need's nodes, what of that
 * is in pieces as large as its pages */
struct sight {
	unsigned long long available, clean, free, pieces;
};

/* One write, and the pool before it */
struct asked {
	int node;
	unsigned long long nr_pages, nr, surplus;
	long long begun;
	bool cut_short; /* and what came by then is all it brought */
};

struct growth {
	struct helper_ctx *ctx;
	const struct needs *needs;
	unsigned long long reserve_kib;
	long long deadline;
	bool zfs_guard;		     /* neither compact nor drop caches */
	size_t current;		     /* the need that lacks pages */
	struct cpulist spent;	     /* its pools, by index, that gave less than asked for */
	struct cpulist plain;	     /* needs, by index, whose wishes are given up: promise.c */
	bool ahead;		     /* memory has been looked at before its first page */
	unsigned long long step_kib; /* what the next write may ask for, 0: not known: step.c */
	struct need wish;	     /* preferred nodes of it: STEP_WISH */
	struct cpulist wished;	     /* nodes that have been compacted for such */
	struct strlist stuck;	     /* what does not return, or is refused, and has been said */
	struct asked asked;	     /* last */
	struct long_write *write;    /* that is it, and is under way */
	pid_t writer;		   /* who is at the pools, left behind by us or an earlier start */
	long long left_since;	   /* he has been seen there, 0: he is not */
	size_t lever;		   /* the next one to pull for it */
	unsigned int pulls;	   /* so far */
	unsigned long long gained; /* pages since the last one */
	unsigned long long made;   /* of the current need */
	long long first_asked;	   /* ms, as of now_ms(): for one of these */
	long long last_came;	   /* some page did, 0: none yet */
	long long turn_began;	   /* 0: it has none */
	int patience_ms;	   /* so long nothing may change: wait.c */
	long long still_since;	   /* nothing has, 0: it was not waited yet */
	struct sight most;	   /* that was seen meanwhile */
	unsigned long long fewest; /* pages missing meanwhile */
	struct shortage shortage;
	bool begun;			  /* there may be something to give back */
	bool accepted;			  /* all that is missing has fitted beside the reserve */
	bool stays_dirty;		  /* page cache, whatever is done: writeback.c */
	bool cut_short;			  /* its turn is over, for one that waits */
	unsigned long long pretended_kib; /* that a dry run takes for freed */
	struct view *ret_view;		  /* gets what a dry run has come to, all there; NULL */
};

void growth_end(struct growth *growth);

/* What one step came to; below 0 an -errno */
enum step_result {
	STEP_ALL_THERE,
	STEP_GO_ON,
	STEP_AHEAD,	/* nothing yet: a need is begun, lever_between() comes first */
	STEP_WISH,	/* preferred pools gave less than they were asked for: likewise */
	STEP_SPENT,	/* every pool that would do has given less than it was asked for */
	STEP_NO_MEMORY, /* more would touch what is kept for the host */
	STEP_WAIT,	/* all is there once another guest has taken its pages: step.c alone */
	STEP_WRITING,	/* a long write is begun: likewise */
};

/**
 * grow_look() - is all there, with nothing done; then it is the guest's from here on
 *
 * Under the ledger's lock, and without a turn: what guests that grow meanwhile need is promised to
 * them.
 *
 * Return: STEP_ALL_THERE, another step_result when pages are to be made or waited for, else -errno
 */
int grow_look(struct growth *growth) _must_check_;

/**
 * grow_step() - add pages for the first need that lacks some to one pool, as many as take no
 * time to speak of, at most 512 MiB
 *
 * Under the ledger's lock, with all read anew, but for a page that takes long. A dry run makes all
 * its steps in one.
 *
 * Return: a step_result, -EBUSY when a long write of ours or an earlier start does not return,
 * growth->writer set, else -errno
 */
int grow_step(struct growth *growth) _must_check_;

/** shortage_look() - what each node gave, before it is given back; to growth->shortage */
void shortage_look(struct growth *growth);

/* --- lever.c ---------------------------------------------------------------------------------- */

/** lever_ahead() - before the first page of a need: room for all that is missing in one go */
void lever_ahead(struct growth *growth);

/** lever_may_wish() - are these nodes worth a compaction, before others must do. It is noted */
bool lever_may_wish(struct growth *growth, const struct need *wish);

/**
 * lever_between() - what comes before the next step
 * @what:	any step_result
 *
 * Return: true after STEP_AHEAD and STEP_WISH
 */
bool lever_between(struct growth *growth, int what);

/**
 * lever_pull() - do the next thing that could bring pages
 * @what:	STEP_SPENT or STEP_NO_MEMORY
 *
 * Return: 1 when it is worth another try, 0 when nothing is left to do
 */
int lever_pull(struct growth *growth, int what);

/** growth_policy() - does the claim say @word for @key */
bool growth_policy(const struct growth *growth, const char *key, const char *word);

/** growth_need() - the one that lacks pages */
const struct need *growth_need(const struct growth *growth);

/* --- pull.c ----------------------------------------------------------------------------------- */

/**
 * pull_write() - helper_write() that may never return: by a child that is left behind then
 *
 * At half of the time there is; a line is said then. So it is while another one's hangs there.
 *
 * Return: as helper_write(), 0 also when it was too slow and has been ended; -ETIMEDOUT when it
 * hangs, -ENOMEM, else -errno
 */
int pull_write(struct growth *growth, const char *path, const char *value) _must_check_;

/** pull_move() - mempolicy_move() likewise */
int pull_move(struct growth *growth, pid_t pid, const struct cpulist *from,
	      const struct cpulist *to) _must_check_;

/* --- reclaim.c -------------------------------------------------------------------------------- */

/**
 * lever_reclaim() - as much memory of the current need's nodes, if the policy lets it
 * @most:	KiB of all nodes together, where a kernel can be asked for these alone
 *
 * In pieces, and no more of them at the deadline. A node that refuses it is said, once.
 *
 * Return: 0, -EAGAIN when less was reclaimed, be it that one node of several gave nothing; none at
 * all: -EPERM against the policy, else as pull_write()
 */
int lever_reclaim(struct growth *growth, unsigned long long kib, unsigned long long most);

/* --- writeback.c ------------------------------------------------------------------------------ */

/** writeback_clean() - KiB of page cache on the current need's nodes that need not be written */
unsigned long long writeback_clean(const struct growth *growth);

/**
 * writeback_until() - have dirty page cache written until so much is clean, or nothing moves
 *
 * Nothing is done where that much is clean, and against the policy.
 *
 * Return: 1 when some has been written, 0
 */
int writeback_until(struct growth *growth, unsigned long long clean_kib);

/* --- turn.c ----------------------------------------------------------------------------------- */

struct turn {
	int *fds;
	size_t nr;
};

/** turn_end() - the next one may begin */
void turn_end(struct turn *turn);

/**
 * turn_take() - wait until nobody else grows the pools that the needs may be met from
 *
 * Return: 0 (at once in a dry run), -ETIMEDOUT, -ENOMEM, else -errno
 */
int turn_take(const struct helper_ctx *ctx, const struct needs *needs, long long deadline,
	      struct turn *ret) _must_check_;

/**
 * turn_is_over() - does somebody wait at one of the nodes that has no more time left than this one
 * has had without a page, or in all when those that are missing would come too late
 *
 * Without a turn, and as long as pages come since the last lever was pulled, it is not. It is noted.
 */
bool turn_is_over(struct growth *growth);

/* --- wait.c ----------------------------------------------------------------------------------- */

enum wait_result {
	WAIT_OVER,    /* it has been waited long enough */
	WAIT_CHANGED, /* memory has come, or the deadline */
	WAIT_NOTHING, /* a pause has gone by without */
};

/** patience() - ms that nothing may change of the time there is */
int patience(const struct growth *growth);

/** wait_for_more() - one pause, cut short when something changes. Return: a wait_result */
int wait_for_more(struct growth *growth);

/* --- thp.c: transparent huge pages, for a claim with thp_kib ------------------------------------ */

/** thp_check() - Return: HELPER_DONE, HELPER_FAILED when the kernel has none */
enum helper_exit thp_check(const struct helper_ctx *ctx) _must_check_;

/** thp_say() - one line when the guest's memory is of a kind that has none, or they are off */
void thp_say(const struct helper_ctx *ctx);

/** thp_apply() - let the kernel hear QEMU's request, and make room. Return: exit code */
enum helper_exit thp_apply(struct helper_ctx *ctx) _must_check_;

/** thp_undo() - the settings are what they were, with the last guest. Return: exit code */
enum helper_exit thp_undo(struct helper_ctx *ctx) _must_check_;

/* --- move.c ----------------------------------------------------------------------------------- */

/** move_away() - of @kib on the current need's nodes. Return: 1 something was moved, 0 */
int move_away(struct growth *growth, unsigned long long kib);

/* --- zfs.c ------------------------------------------------------------------------------------ */

struct arc_size {
	unsigned long long size;  /* bytes */
	unsigned long long least; /* the smallest limit that ZFS takes */
	unsigned long long most;  /* the limit in effect */
};

/** arc_read() - Return: 0, -ENOENT without ZFS, -EBADMSG, else as attr_read_all() */
int arc_read(int rootfd, struct arc_size *ret) _must_check_;

/**
 * arc_shrink() - lower zfs_arc_max until the ARC has become smaller by @kib, and set it back
 *
 * Ends when it becomes no smaller, and at the deadline.
 *
 * Return: 1 when it has become smaller, 0
 */
int arc_shrink(struct growth *growth, unsigned long long kib);

/**
 * arc_restore() - set zfs_arc_max back that a killed arc_shrink() left; not one that is at work
 *
 * Return: 0 (also when there is nothing to do), else -errno after one line
 */
int arc_restore(const struct helper_ctx *ctx) _must_check_;

/**
 * zfs_forbids_compaction() - is this a kernel that dies of compaction or dropped caches
 *
 * Seen on: Linux 6.3.1 to 6.7.4 with the zfs module: openzfs issue 15140
 */
bool zfs_forbids_compaction(int rootfd);

/* --- grow.c ----------------------------------------------------------------------------------- */

/** needs_get() - all pages, or none after one line. Return: exit code */
enum helper_exit needs_get(struct helper_ctx *ctx, const struct needs *needs) _must_check_;

/**
 * needs_foretell() - the same in a dry run of which nothing is printed
 * @ret:	what pools and ledger would come to
 *
 * Return: 0, 1 when the pages are not to be had, else -errno
 */
int needs_foretell(const struct helper_ctx *ctx, const struct needs *needs, struct view *ret)
	_must_check_;

/** has_its_pages() - does its QEMU run; not in a start, nor the plan of one: it is not its yet */
bool has_its_pages(const struct helper_ctx *ctx);

enum helper_exit hugepages_apply(struct helper_ctx *ctx);

/* --- giveback.c ------------------------------------------------------------------------------- */

/** ledger_owe() - make owed up to @most pages of a guest's part of a pool. Return: how many */
unsigned long long ledger_owe(struct ledger_pool *pool, const char *uuid, unsigned long long most);

/**
 * hugepages_give_back() - make the guest's parts owed, and pay what is owed
 * @own:	false: of its own only what it has beyond its needs
 * @wait_ms:	for the ledger
 *
 * Return: 0 (also when there is nothing, or part must wait for another guest), -EIO when the kernel
 * did not take them, -ETIME when pages went on becoming free until the deadline, -EBUSY when the
 * kernel is at a write still that was made for the guest, else -errno
 */
int hugepages_give_back(const struct helper_ctx *ctx, bool own, int wait_ms) _must_check_;

/** give_back_foretell() - the guest's own, in a dry run that goes on from @view. Return: likewise */
int give_back_foretell(const struct helper_ctx *ctx, struct view *view) _must_check_;

/** give_back_why() - what kept hugepages_give_back() from it. @wait_ms: as it was given */
#define GIVE_BACK_WHY_MAX 160
void give_back_why(int error, int wait_ms, char *buf, size_t size);

/** give_back_wait_ms() - for the ledger, of the time there is: paying takes its own, too */
int give_back_wait_ms(const struct helper_ctx *ctx);

/** keeps_say() - one line when the guest's pages go back with its release alone, and why */
void keeps_say(const struct helper_ctx *ctx);

enum helper_exit hugepages_undo(struct helper_ctx *ctx);

/** hugepages_settle() - "settle CLAIM", in `started`. Return: exit code */
int hugepages_settle(struct helper_ctx *ctx, int argc, char **argv);

/* --- foretell.c --------------------------------------------------------------------------------- */

/** settle_foretell() - print what settle will write once the guest runs. Return: exit code */
enum helper_exit settle_foretell(const struct helper_ctx *ctx) _must_check_;
