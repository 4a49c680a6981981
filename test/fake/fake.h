/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/fake.h - a kernel, a systemd and monitors for programs that run on a plain tree */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../lib/attr.h"
#include "../../lib/cleanup.h"
#include "../../lib/cpulist.h"
#include "../../lib/process.h"

/*
 * How it works
 *
 * The hook and the helpers are linked a second time with -Wl,--wrap for each name in test/fake/wraps.
 * They are given --root DIR, a tree that test/trees/unpack made. Reads go to the tree as they
 * are; what the kernel would do on a write is done to the tree by the wrapped functions. All
 * state lies in the tree, because several processes use it side by side:
 *
 *	.fake/lock		held while one side effect is carried out
 *	.fake/count[.PROGRAM]	side effects so far, in all and of one program; .host: on the host
 *	.fake/trace		one line each: NUMBER PROGRAM VERB PATH OLD NEW RESULT
 *	.fake/faults		what goes wrong: see core.c
 *	.fake/match/ADDR	drivers that match this PCI device, in order
 *	.fake/children/ADDR.DRIVER	paths that are there only while DRIVER is bound to it
 *	.fake/children/unit.UNIT	and while that unit is active, session.ID: that session lasts,
 *				platform.DEVICE: that device has its driver; uevent.CLASS.NAME:
 *				until a uevent "remove" was sent for it
 *	.fake/stash/		where those are kept meanwhile
 *	.fake/modules/NAME/	what loading that module adds to the tree
 *	.fake/memory/nodeN/	contiguous_kib fragmented_kib cache_kib: where huge pages come from
 *	.fake/monitors/BUS/	what answers on that I2C bus: see i2c.c
 *	.fake/allocs/PROGRAM	its allocations, and which one fails: see alloc.c
 *	.fake/inhibitors/	logind's locks: each file is flock()ed by the process that holds it
 *	.fake/units/NAME/	transient services that run, and units' properties
 *	.fake/guests/NAME/	what appears when that guest's QEMU is executed: see guest.c
 *
 * A root without .fake is refused, so these programs cannot touch a real host.
 */

/* From a store function: the kernel would sleep here; the lock is let go and it is called again */
#define FAKE_SLEEPS (-100000)

/* --- core.c: the root, one effect at a time, faults ---------------------------------------- */

/** fake_root() - the tree's root. Return: an fd that stays ours, -1 before root_open() */
int fake_root(void);

/** fake_root_path() - its absolute path, "" before root_open() */
const char *fake_root_path(void);

/** fake_is_root() - is this fd the tree's root */
bool fake_is_root(int rootfd);

/** fake_path_of() - where below the root an fd points. Return: 0, -ENOENT for outside */
int fake_path_of(int fd, char *buf, size_t size);

struct fake_effect {
	/* write module bus i2c rename unlink mkdir create append truncate signal spawn fork */
	const char *verb;
	const char *path;
	const char *old_value;
	const char *new_value;
	/* Do it. @value is new_value, or half of it. Return: 0 or more, -errno, FAKE_SLEEPS */
	int (*run)(const struct fake_effect *effect, const char *value);
	void *arg;
};

/**
 * fake_effect() - number, trace and carry out one side effect, or let it go wrong
 *
 * Return: what run() returned, or what the fault says
 */
int fake_effect(const struct fake_effect *effect);

/** fake_read_fault() - a fault planted on reading @path. Return: 0 none, else -errno */
int fake_read_fault(const char *path);

/** fake_lock(), fake_unlock() - for what is no numbered effect (the guest's own doings) */
int fake_lock(void);
void fake_unlock(int fd);

/** errno_name() - "EIO" */
const char *errno_name(int error);

/** fake_note() - a line of the trace about what is no effect: PROGRAM @verb ... @result */
void fake_note(const char *verb, const char *result);

/* --- alloc.c ---------------------------------------------------------------------------------- */

/** fake_alloc_open() - the root is known: from here on this program's allocations are counted */
void fake_alloc_open(void);
/** fake_alloc_exempt() - what is allocated until it is switched off again is not the program's */
void fake_alloc_exempt(bool on);

/* --- tree.c: the tree's files; every path is relative to the root ----------------------------- */

/** tree_get() - a file's text without the last newline. Return: its length, -errno with "" */
int tree_get(const char *path, char *buf, size_t size);
/** tree_put() - replace a file as a whole, made with its directories when missing */
int tree_put(const char *path, const char *value);
/** tree_num() - tree_get() as a number, 0 when it is none */
unsigned long long tree_num(const char *path);
int tree_put_num(const char *path, unsigned long long value);
bool tree_has(const char *path);
bool tree_is_dir(const char *path);
/** tree_canonical() - all symlinks but the last component resolved */
int tree_canonical(const char *path, char *buf, size_t size);
/** tree_resolve() - what it leads to, every symlink resolved. Return: 0, -errno of openat2(2) */
int tree_resolve(const char *path, char *buf, size_t size);
int tree_list(const char *path, struct strlist *ret);
int tree_mkdirs(const char *path);
/** tree_symlink() - a relative symlink at @path to @target, both paths in the tree */
int tree_symlink(const char *path, const char *target);
/** tree_remove() - a file, or a directory and all below it. Return: 0 also when missing */
int tree_remove(const char *path);
/** tree_move() - rename, directories made */
int tree_move(const char *from, const char *to);
/**
 * tree_overlay() - copy everything below @from to the root
 * @pid:	stands for "@PID@" in names and texts, NULL when there is none
 * @made:	gets the paths that were not there before, parents first; NULL when not wanted
 */
int tree_overlay(const char *from, const char *pid, struct strlist *made);
/** tree_format() - text that always fits: paths made of names the tree holds already */
void tree_format(char *buf, size_t size, const char *fmt, ...) _printf_(3, 4);
#define tree_path(buf, ...) tree_format(buf, sizeof(buf), __VA_ARGS__)

/* --- pci.c ------------------------------------------------------------------------------------ */
/** children_move() - what is in .fake/children/OWNER goes, or comes back */
void children_move(const char *owner, bool away);
int pci_store_override(const char *path, const char *value);
int pci_store_bind(const char *path, const char *value);
int pci_store_unbind(const char *path, const char *value);
int pci_store_probe(const char *path, const char *value);
/** pci_probe_unbound() - a driver came: every device without one is offered */
void pci_probe_unbound(void);
/** pci_driver_gone() - a driver's module was unloaded: its devices have none */
void pci_driver_gone(const char *driver);

/* --- hugetlb.c -------------------------------------------------------------------------------- */
int hugetlb_store_node(const char *path, const char *value);
int hugetlb_store_global(const char *path, const char *value);
int hugetlb_store_mempolicy(const char *path, const char *value);
/** hugetlb_set_mempolicy() - set_mempolicy(2) for this process. Return: 0, -EINVAL for no node */
int hugetlb_set_mempolicy(unsigned int nodes);
int hugetlb_store_sysctl(const char *path, const char *value);
int memory_store_compact_node(const char *path, const char *value);
int memory_store_compact(const char *path, const char *value);
int memory_store_drop_caches(const char *path, const char *value);
#define HUGE_NODES_MAX 16

/* Pages of one size that a process has faulted in, per node */
struct huge_use {
	unsigned long long size_kib;
	unsigned long long pages[HUGE_NODES_MAX];
};

/** hugetlb_take() - a process faults pages in. @node: -1 for any. Return: 0, -ENOMEM: none taken */
int hugetlb_take(int node, unsigned long long size_kib, unsigned long long pages,
		 struct huge_use *ret);
/** hugetlb_give() - and ends */
int hugetlb_give(const struct huge_use *use);

/* --- cpuset.c --------------------------------------------------------------------------------- */
int cpuset_store_cpus(const char *path, const char *value);
int cpuset_store_exclusive(const char *path, const char *value);
int cpuset_store_partition(const char *path, const char *value);
int workqueue_store_cpumask(const char *path, const char *value);
/** cpuset_update() - recompute every effective set, partition state and the isolated CPUs */
int cpuset_update(void);

/* --- cgroup.c --------------------------------------------------------------------------------- */
int cgroup_store_subtree_control(const char *path, const char *value);
int cgroup_store_procs(const char *path, const char *value);
/** cgroup_created(), cgroup_remove() - mkdir(2) and rmdir(2) below sys/fs/cgroup */
int cgroup_created(const char *path);
int cgroup_remove(const char *path);
/** cgroup_enable_cpuset() - "+cpuset" for a group's children unless it is on */
int cgroup_enable_cpuset(const char *dir);
/** cgroup_release_cpuset() - systemd drops the controller again when no unit needs it */
void cgroup_release_cpuset(void);

/* --- misc.c: IRQs, sysctls, governors, modules, uevents, platform devices ------------------------- */
int uevent_store(const char *path, const char *value);
int platform_store_bind(const char *path, const char *value);
int platform_store_unbind(const char *path, const char *value);
int irq_store_list(const char *path, const char *value);
int irq_store_mask(const char *path, const char *value);
int irq_store_default(const char *path, const char *value);
int governor_store(const char *path, const char *value);
int plain_store(const char *path, const char *value);
/** mask_parse(), mask_format() - "ff,0000000f" */
int mask_parse(const char *text, struct cpulist *ret);
void mask_format(const struct cpulist *set, char *buf, size_t size);

/* --- guest.c: what QEMU and libvirt do to the host --------------------------------------------- */

/** guest_exec() - QEMU runs: its process, cgroups, huge pages, open vfio groups. Return: 0, -errno */
int guest_exec(const char *name, pid_t pid, const char **ret_why);
/** guest_gone() - QEMU has ended: pages and groups are free, the cgroups still there */
int guest_gone(const char *name);
/** guest_cleanup() - libvirt removes the scope and the status files */
int guest_cleanup(const char *name);
/** services_settle() - wait until no transient service runs. Return: 0, -ETIMEDOUT */
int services_settle(int timeout_ms);
/** inhibitors_sweep() - forget those whose holder has ended */
void inhibitors_sweep(void);

/* --- what is wrapped: the linker's names ------------------------------------------------------------ */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_root_open(const char *dir);
int __real_attr_open(int rootfd, const char *path, int flags);
int __real_attr_read(int rootfd, const char *path, char *buf, size_t size);
int __real_attr_read_ull(int rootfd, const char *path, unsigned long long *ret);
int __real_attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len);
int __real_attr_write(int rootfd, const char *path, const char *val);
int __real_attr_link(int rootfd, const char *path, char *buf, size_t size);
int __real_attr_exists(int rootfd, const char *path);
int __real_attr_list(int rootfd, const char *path, struct strlist *ret);
int __real_attr_list_dirs(int rootfd, const char *path, struct strlist *ret);
int __real_process_identify(int rootfd, pid_t pid, struct process *ret);
int __real_process_alive(int rootfd, const struct process *process);
int __real_process_name(int rootfd, pid_t pid, char *buf, size_t size);
ssize_t __real_write(int fd, const void *buf, size_t len);
int __real_renameat(int olddirfd, const char *old, int newdirfd, const char *new);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
pid_t __real_fork(void);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
