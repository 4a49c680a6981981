/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_kernel.h - a host with cpuset groups, guests and a systemd, in a tree
 *
 * The head of a test that includes this names what the linker wraps, behind "wraps:":
 * attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * journal_add journal_remove baseline_keep baseline_renew baseline_forget
 *
 * Every effect on the host and on usher's own state is a numbered step, which can fail, lie, or be
 * the one before which the helper is killed. What the kernel would make of a write is worked out
 * anew from the groups' files after each: see settle(). Its rules are those seen on Linux 6.12.107.
 */
#pragma once

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#include "helpers/cpuset/cpuset.h"
#include "lib/state.h"
#include "lib/sysbus.h"
#include "test/unit/tree.h"

#define CONSOLE	 "sys/class/graphics"
#define WATCHDOG "proc/sys/kernel/watchdog_cpumask"
#define RCU_DIR	 "proc/17"
#define CG	 "sys/fs/cgroup"
#define MACHINE	 "machine.slice"

#define UUID_A	"11111111-1111-4111-8111-111111111111"
#define UUID_B	"22222222-2222-4222-8222-222222222222"
#define SCOPE_A MACHINE "/machine-qemu\\x2d1\\x2da.scope"
#define SCOPE_B MACHINE "/machine-qemu\\x2d2\\x2db.scope"
#define PID_A	100
#define PID_B	200

#define KILLED 99

/* Text that must fit */
#define fmt(buf, ...) assert_int_equal(path_format(buf, sizeof(buf), __VA_ARGS__), 0)

/* What goes wrong */
static struct {
	struct tree *tree;
	int steps;     /* so far */
	int writes;    /* those of them that change the host */
	bool running;  /* the helper is */
	bool storing;  /* what is read meanwhile the kernel reads itself */
	int fail_at;   /* this step fails with fail_error, 0 for none */
	int fail_from; /* and so does every one from here on */
	int fail_error;
	int kill_at;	    /* the helper is killed before this step */
	const char *lie;    /* writes to paths that end so succeed and do nothing */
	bool lie_once;	    /* but the next one does */
	bool grants_less;   /* only the first CPU of a partition is granted, as Linux 7 may */
	bool no_bus;	    /* systemd does not answer */
	bool idle;	    /* systemd accepts a value and does not write it */
	bool narrows;	    /* systemd makes one CPU of an empty value */
	char said[8192];    /* stderr of the last run */
	char printed[8192]; /* stdout of the last run */
} host;

/* Return: 0 go on, else -errno */
static inline int step(void)
{
	host.steps++;
	if (host.steps == host.kill_at)
		_exit(KILLED);
	if (host.steps == host.fail_at || (host.fail_from && host.steps >= host.fail_from))
		return -host.fail_error;
	return 0;
}

/* --- Files ------------------------------------------------------------------------------------- */

static inline void put(const char *text, const char *fmt, ...) _printf_(2, 3);
static inline void put(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	tree_file(host.tree, path, text);
}

/* "" also when there is no such file */
static inline const char *get(const char *fmt, ...) _printf_(1, 2);
static inline const char *get(const char *fmt, ...)
{
	static char text[8][ATTR_MAX];
	static int next;
	char path[PATH_MAX], *buf = text[next++ % 8];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	(void)!attr_read(host.tree->rootfd, path, buf, ATTR_MAX);
	return buf;
}

static inline struct cpulist cpus_of(const char *text)
{
	struct cpulist set;

	assert_int_equal(cpulist_parse(text, &set), 0);
	return set;
}

static inline void put_cpus(const struct cpulist *set, const char *group, const char *file)
{
	char text[ATTR_MAX];

	assert_int_equal(cpulist_format(set, text, sizeof(text)), 0);
	put(text, CG "/%s%s%s", group, *group ? "/" : "", file);
}

/* --- The kernel -------------------------------------------------------------------------------- */

struct group {
	struct cpulist cpus, exclusive, granted, effective;
	char path[256]; /* "" is the root group */
	int parent;
	bool partition, isolated, invalid;
};

static struct group groups[64];
static int nr_groups;

static inline int group_index(const char *path)
{
	for (int i = 0; i < nr_groups; i++)
		if (strcmp(groups[i].path, path) == 0)
			return i;
	return -1;
}

/* Parents come before their children. Without cpuset.cpus a group has no controller */
static inline void load_groups(const char *path, int parent)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	struct group *group = &groups[nr_groups];
	int index = nr_groups++;
	const char *state;
	char full[PATH_MAX];

	assert_true(nr_groups < (int)ARRAY_SIZE(groups));
	*group = (struct group){ .parent = parent };
	fmt(group->path, "%s", path);
	group->cpus = cpus_of(get(CG "/%s/cpuset.cpus", path));
	group->exclusive = cpus_of(get(CG "/%s/cpuset.cpus.exclusive", path));
	state = get(CG "/%s/cpuset.cpus.partition", path);
	group->partition = *state && strcmp(state, "member") != 0;
	group->isolated = strncmp(state, "isolated", 8) == 0;
	group->invalid = strstr(state, "invalid") != NULL;
	fmt(full, CG "/%s", path);
	assert_int_equal(attr_list(host.tree->rootfd, full, &names), 0);
	for (size_t i = 0; i < names.nr; i++) {
		fmt(full, CG "/%s/%s/cpuset.cpus", path, names.names[i]);
		if (attr_exists(host.tree->rootfd, full) <= 0)
			continue;
		fmt(full, "%s%s%s", path, *path ? "/" : "", names.names[i]);
		load_groups(full, index);
	}
}

static inline const struct cpulist *asked(const struct group *group)
{
	return cpulist_empty(&group->exclusive) ? &group->cpus : &group->exclusive;
}

static inline bool overlaps_sibling(int self)
{
	for (int i = 1; i < nr_groups; i++)
		if (i != self && groups[i].parent == groups[self].parent &&
		    cpulist_intersects(asked(&groups[i]), asked(&groups[self])))
			return true;
	return false;
}

static inline const char *why_invalid(int self)
{
	struct group *group = &groups[self];
	struct cpulist cpus;

	if (overlaps_sibling(self))
		return "Cpu list in cpuset.cpus not exclusive";
	group->granted = group->exclusive;
	for (int up = group->parent; up > 0; up = groups[up].parent)
		cpulist_intersect(&group->granted, &groups[up].exclusive);
	if (host.grants_less && !cpulist_empty(&group->granted)) {
		unsigned int first = (unsigned int)cpulist_next(&group->granted, 0);

		group->granted = (struct cpulist){ 0 };
		cpulist_add(&group->granted, first);
	}
	cpus = cpus_of(get("sys/devices/system/cpu/online"));
	if (!cpulist_empty(&group->granted) && !cpulist_intersects(&group->granted, &cpus))
		return "No cpu available due to hotplug";
	/* A partition that has become invalid is one again only by way of "member" */
	if (cpulist_empty(&group->granted) || group->invalid)
		return "Invalid cpu list in cpuset.cpus.exclusive";
	return NULL;
}

static inline void settle_partition(int self, struct cpulist *isolated)
{
	struct group *group = &groups[self];
	const char *kind = group->isolated ? "isolated" : "root", *why;
	char state[256];

	if (!group->partition)
		return;
	why = why_invalid(self);
	group->invalid = why != NULL;
	fmt(state, why ? "%s invalid (%s)" : "%s", kind, why);
	put(state, CG "/%s/cpuset.cpus.partition", group->path);
	if (why)
		return;
	cpulist_subtract(&groups[0].effective, &group->granted);
	put_cpus(&group->granted, group->path, "cpuset.cpus.exclusive.effective");
	if (group->isolated)
		cpulist_union(isolated, &group->granted);
}

static inline void settle_effective(struct group *group)
{
	const struct group *parent = &groups[group->parent];

	if (group->partition && !group->invalid) {
		group->effective = group->granted;
	} else {
		group->effective = group->cpus;
		cpulist_intersect(&group->effective, &parent->effective);
		if (cpulist_empty(&group->effective))
			group->effective = parent->effective;
	}
	put_cpus(&group->effective, group->path, "cpuset.cpus.effective");
}

static inline struct cpulist mask_of(const char *path)
{
	struct cpulist set = { 0 };

	assert_int_equal(job_parse_mask(get("%s", path), &set), 0);
	return set;
}

static inline void put_mask(const struct cpulist *set, const char *path)
{
	char text[ATTR_MAX];

	assert_int_equal(job_format_mask(set, text, sizeof(text)), 0);
	put(text, "%s", path);
}

/* workqueue_unbound_exclude_cpumask(), when the isolated CPUs have changed */
static inline void settle_workqueue(const struct cpulist *isolated)
{
	struct cpulist before = cpus_of(get(CG "/cpuset.cpus.isolated")), mask;

	if (cpulist_equal(&before, isolated) ||
	    attr_exists(host.tree->rootfd, WORKQUEUE_WANTED) <= 0)
		return;
	mask = mask_of(WORKQUEUE_WANTED);
	cpulist_subtract(&mask, isolated);
	put_mask(&mask, WORKQUEUE_MASK);
}

static inline void settle(void)
{
	struct cpulist isolated = { 0 };

	nr_groups = 0;
	load_groups("", -1);
	groups[0].effective = cpus_of(get("sys/devices/system/cpu/online"));
	for (int i = 1; i < nr_groups; i++)
		settle_partition(i, &isolated);
	for (int i = 1; i < nr_groups; i++)
		settle_effective(&groups[i]);
	put_cpus(&groups[0].effective, "", "cpuset.cpus.effective");
	settle_workqueue(&isolated);
	if (*get(CG "/cpuset.cpus.isolated") || !cpulist_empty(&isolated))
		put_cpus(&isolated, "", "cpuset.cpus.isolated");
}

/* The sibling rules of validate_change() */
static inline int store_exclusive(int self, const struct cpulist *want)
{
	struct cpulist online = cpus_of(get("sys/devices/system/cpu/online"));

	for (int i = 1; i < nr_groups; i++) {
		const struct group *other = &groups[i];

		if (i == self || other->parent != groups[self].parent)
			continue;
		if (cpulist_intersects(&other->exclusive, want))
			return -EINVAL;
		if (!cpulist_empty(&other->cpus) && cpulist_contains(want, &other->cpus))
			return -EINVAL;
	}
	if (cpulist_empty(want) && !cpulist_empty(&groups[self].exclusive) &&
	    !cpulist_intersects(&groups[self].exclusive, &online))
		return -EBUSY;
	put_cpus(want, groups[self].path, "cpuset.cpus.exclusive");
	return 0;
}

static inline int store_cpus(int self, const struct cpulist *want)
{
	/* Not while there are processes in the group */
	if (cpulist_empty(want) && !cpulist_empty(&groups[self].cpus) &&
	    *get(CG "/%s/cgroup.procs", groups[self].path))
		return -ENOSPC;
	put_cpus(want, groups[self].path, "cpuset.cpus");
	return 0;
}

static inline int store_partition(int self, const char *want)
{
	bool same = groups[self].partition &&
		    strncmp(get(CG "/%s/cpuset.cpus.partition", groups[self].path), want,
			    strlen(want)) == 0;

	/* Writing what it is already changes nothing */
	if (!same)
		put(want, CG "/%s/cpuset.cpus.partition", groups[self].path);
	if (strcmp(want, "member") == 0)
		put("", CG "/%s/cpuset.cpus.exclusive.effective", groups[self].path);
	return 0;
}

#define GOVERNOR   "/scaling_governor"
#define PREFERENCE "/energy_performance_preference"

/* As amd_pstate does it: the preference follows the governor, and does not come back by itself */
static inline int store_cpufreq(const char *path, const char *val)
{
	const char *file = strrchr(path, '/');
	char other[PATH_MAX];
	bool performance;

	fmt(other, "%.*s%s", (int)(file - path), path,
	    strcmp(file, GOVERNOR) == 0 ? PREFERENCE : GOVERNOR);
	performance = strcmp(val, "performance") == 0;
	if (strcmp(file, PREFERENCE) == 0 && !performance &&
	    strcmp(get("%s", other), "performance") == 0)
		return -EBUSY;
	if (strcmp(file, GOVERNOR) == 0 && performance && attr_exists(host.tree->rootfd, other) > 0)
		put("performance", "%s", other);
	put(val, "%s", path);
	return 0;
}

/* kernel/irq/proc.c: a managed interrupt refuses. A mask is kept as it was written */
static inline int store_plain(const char *path, const char *val)
{
	char managed[PATH_MAX];

	fmt(managed, "managed/%s", path);
	if (attr_exists(host.tree->rootfd, managed) > 0)
		return -EIO;
	if (strstr(path, "/cpufreq/"))
		return store_cpufreq(path, val);
	put(val, "%s", path);
	/* "Not excluding isolated cpus on purpose" */
	if (strcmp(path, WORKQUEUE_MASK) == 0 &&
	    attr_exists(host.tree->rootfd, WORKQUEUE_WANTED) > 0)
		put(val, WORKQUEUE_WANTED);
	return 0;
}

static inline int store(const char *path, const char *val)
{
	char group[PATH_MAX];
	const char *file = strrchr(path, '/') + 1;
	struct cpulist want;
	int self, r;

	if (strncmp(path, CG, strlen(CG)) != 0 || strcmp(file, "cgroup.pressure") == 0)
		return store_plain(path, val);
	fmt(group, "%.*s", (int)(file - 1 - path), path);
	nr_groups = 0;
	load_groups("", -1);
	self = group_index(strcmp(group, CG) == 0 ? "" : group + strlen(CG "/"));
	assert_true(self > 0);
	if (strcmp(file, "cpuset.cpus.partition") == 0) {
		r = store_partition(self, val);
	} else {
		assert_int_equal(cpulist_parse(val, &want), 0);
		r = strcmp(file, "cpuset.cpus.exclusive") == 0 ? store_exclusive(self, &want)
							       : store_cpus(self, &want);
	}
	settle();
	return r;
}

/* What a child writes, which has no other descriptor than its root's */
static inline bool is_childs(const char *path)
{
	return strncmp(path, CONSOLE, strlen(CONSOLE)) == 0 || strcmp(path, WATCHDOG) == 0;
}

/* A kernel's attribute has nothing left of what was longer */
static inline int write_anew(int rootfd, const char *path, const char *val)
{
	int fd = attr_open(rootfd, path, O_WRONLY | O_TRUNC);
	bool all;

	if (fd < 0)
		return fd;
	all = dprintf(fd, "%s\n", val) == (int)strlen(val) + 1;
	return close(fd) == 0 && all ? 0 : -EIO;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_attr_write(int rootfd, const char *path, const char *val);
int __wrap_attr_write(int rootfd, const char *path, const char *val);
int __wrap_attr_write(int rootfd, const char *path, const char *val)
{
	size_t len = strlen(path), tail = host.lie ? strlen(host.lie) : 0;
	int r;

	if (is_childs(path))
		return write_anew(rootfd, path, val);
	r = step();
	host.writes++;
	if (r < 0)
		return r;
	host.storing = true;
	r = attr_exists(rootfd, path) > 0 ? 0 : -ENOENT;
	if (r == 0 && tail && len >= tail && strcmp(path + len - tail, host.lie) == 0)
		host.lie = host.lie_once ? NULL : host.lie;
	else if (r == 0)
		r = store(path, val);
	host.storing = false;
	return r;
}

int __real_journal_add(struct journal *journal, const char *verb, const char *object,
		       const char *old_value, const char *new_value);
int __wrap_journal_add(struct journal *journal, const char *verb, const char *object,
		       const char *old_value, const char *new_value);
int __wrap_journal_add(struct journal *journal, const char *verb, const char *object,
		       const char *old_value, const char *new_value)
{
	int r = step();

	return r < 0 ? r : __real_journal_add(journal, verb, object, old_value, new_value);
}

int __real_journal_remove(int dirfd, const char *name);
int __wrap_journal_remove(int dirfd, const char *name);
int __wrap_journal_remove(int dirfd, const char *name)
{
	int r = step();

	return r < 0 ? r : __real_journal_remove(dirfd, name);
}

int __real_baseline_keep(struct baseline *baseline, const char *setting, const char *value);
int __wrap_baseline_keep(struct baseline *baseline, const char *setting, const char *value);
int __wrap_baseline_keep(struct baseline *baseline, const char *setting, const char *value)
{
	int r = step();

	return r < 0 ? r : __real_baseline_keep(baseline, setting, value);
}

int __real_baseline_renew(struct baseline *baseline, const char *setting, const char *value);
int __wrap_baseline_renew(struct baseline *baseline, const char *setting, const char *value);
int __wrap_baseline_renew(struct baseline *baseline, const char *setting, const char *value)
{
	int r = step();

	return r < 0 ? r : __real_baseline_renew(baseline, setting, value);
}

int __real_baseline_forget(struct baseline *baseline, const char *setting);
int __wrap_baseline_forget(struct baseline *baseline, const char *setting);
int __wrap_baseline_forget(struct baseline *baseline, const char *setting)
{
	int r = step();

	return r < 0 ? r : __real_baseline_forget(baseline, setting);
}

/* --- systemd: a unit's AllowedCPUs lies in systemd/UNIT --------------------------------------- */

int __wrap_sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms);
int __wrap_sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms)
{
	(void)timeout_ms;
	if (host.no_bus)
		return -ECONNREFUSED;
	host.storing = true;
	*ret = cpus_of(get("systemd/%s", unit));
	host.storing = false;
	return 0;
}

static inline const char *control_of(const char *unit)
{
	return strcmp(unit, "init.scope") == 0 ? "run/systemd/transient"
					       : "run/systemd/system.control";
}

int __wrap_sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms);
int __wrap_sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms)
{
	char text[ATTR_MAX];
	int r = step();

	(void)timeout_ms;
	host.writes++;
	if (host.no_bus)
		return -ECONNREFUSED;
	if (r < 0)
		return r;
	host.storing = true;
	assert_int_equal(cpulist_format(cpus, text, sizeof(text)), 0);
	put(text, "systemd/%s", unit);
	put(text, "%s/%s.d/50-AllowedCPUs.conf", control_of(unit), unit);
	/* An empty value is not written to the group: systemd issue 43846 */
	if (!cpulist_empty(cpus) && !host.idle)
		put(text, CG "/%s/cpuset.cpus", unit);
	if (cpulist_empty(cpus) && host.narrows)
		put("0", CG "/%s/cpuset.cpus", unit);
	settle();
	host.storing = false;
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- The host ---------------------------------------------------------------------------------- */

/* @remote: a kernel with cpuset.cpus.exclusive */
static inline void make_group(const char *group, const char *cpus, bool remote)
{
	put(cpus, CG "/%s/cpuset.cpus", group);
	put("", CG "/%s/cpuset.cpus.effective", group);
	put("member", CG "/%s/cpuset.cpus.partition", group);
	put("1", CG "/%s/cgroup.procs", group);
	if (!remote)
		return;
	put("", CG "/%s/cpuset.cpus.exclusive", group);
	put("", CG "/%s/cpuset.cpus.exclusive.effective", group);
}

/* Eight CPUs, Linux 6.12 or 6.1, systemd */
static inline void make_host(struct tree *tree, bool remote)
{
	static const char *const tops[] = { "init.scope", "system.slice", "user.slice", MACHINE };

	memset(&host, 0, sizeof(host));
	host.tree = tree;
	host.fail_error = EIO;
	put("0-7", "sys/devices/system/cpu/online");
	put("0-7", "sys/devices/system/cpu/possible");
	put("", "sys/devices/system/cpu/isolated");
	put("cpuset cpu io memory pids", CG "/cgroup.controllers");
	put("", CG "/cpuset.cpus.effective");
	if (remote)
		put("", CG "/cpuset.cpus.isolated");
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		make_group(tops[i], "", remote);
		put("", "systemd/%s", tops[i]);
	}
	tree_dir(tree, "run/systemd/system");
	tree_dir(tree, "run/systemd/transient");
	tree_dir(tree, "run/usher");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	settle();
}

static inline void make_process(int pid, const char *group)
{
	char text[PATH_MAX];

	fmt(text, "%d (qemu) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 %d 0", pid, pid * 10);
	put(text, "proc/%d/stat", pid);
	fmt(text, "0::/%s", group);
	put(text, "proc/%d/cgroup", pid);
	put("", "proc/%d/cmdline", pid);
}

/* libvirt's groups as they are in `started`: each vCPU with its pins */
static inline void make_guest(const char *scope, int pid, const char *const vcpus[],
			      const char *emulator)
{
	bool remote = attr_exists(host.tree->rootfd, CG "/cpuset.cpus.isolated") == 1;
	char group[PATH_MAX];

	make_group(scope, "", remote);
	fmt(group, "%s/libvirt", scope);
	make_group(group, "", remote);
	for (int i = 0; vcpus[i]; i++) {
		fmt(group, "%s/libvirt/vcpu%d", scope, i);
		make_group(group, vcpus[i], remote);
	}
	fmt(group, "%s/libvirt/emulator", scope);
	make_group(group, emulator, remote);
	make_process(pid, group);
	settle();
}

/* @section: what stands in [cpuset] */
static inline void make_claim(const char *uuid, int pid, const char *state, const char *section)
{
	char text[2048], path[128];

	fmt(text,
	    "[claim]\nformat = 1\nguest = %s\nuuid = %s\nstate = %s\nowner = %d %d\n"
	    "required = hugepages vfio seat\n[cpuset]\n%s",
	    strcmp(uuid, UUID_A) == 0 ? "a" : "b", uuid, state, pid, pid * 10, section);
	fmt(path, "run/usher/%s", uuid);
	tree_dir(host.tree, path);
	assert_int_equal(fchmodat(host.tree->rootfd, path, 0700, 0), 0);
	fmt(path, "run/usher/%s/claim.ini", uuid);
	put(text, "%s", path);
	assert_int_equal(fchmodat(host.tree->rootfd, path, 0600, 0), 0);
}

/* As a later usher would have written it */
static inline void spoil_claim(const char *uuid)
{
	char path[128];

	fmt(path, "run/usher/%s/claim.ini", uuid);
	put("[claim]\nformat = 99\n", "%s", path);
	assert_int_equal(fchmodat(host.tree->rootfd, path, 0600, 0), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void make_irq(int number, const char *who, const char *cpus)
{
	char path[64];

	put(cpus, "proc/irq/%d/smp_affinity_list", number);
	put("-1", "proc/irq/%d/node", number);
	fmt(path, "proc/irq/%d/%s", number, who);
	tree_dir(host.tree, path);
}

static inline void remove_tree(const char *path)
{
	char full[PATH_MAX];

	fmt(full, "%s/%s", host.tree->dir, path);
	assert_int_equal(nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* QEMU has ended; with @scope also libvirt has cleaned up, and the partitions are gone with it */
static inline void end_guest(int pid, const char *scope)
{
	char path[PATH_MAX];

	fmt(path, "proc/%d", pid);
	remove_tree(path);
	if (scope) {
		fmt(path, CG "/%s", scope);
		remove_tree(path);
	}
	settle();
}

/* --- What the host looks like ------------------------------------------------------------------ */

static char *snapshot_text;
static size_t snapshot_len;

static inline void snapshot_dir(const char *path)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (attr_list(host.tree->rootfd, path, &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		char below[PATH_MAX], line[2 * PATH_MAX];
		struct stat st;

		fmt(below, "%s/%s", path, names.names[i]);
		assert_int_equal(fstatat(host.tree->rootfd, below, &st, AT_SYMLINK_NOFOLLOW), 0);
		fmt(line, "%s %s\n", below, S_ISDIR(st.st_mode) ? "" : get("%s", below));
		snapshot_text = realloc(snapshot_text, snapshot_len + strlen(line) + 1);
		assert_non_null(snapshot_text);
		memcpy(snapshot_text + snapshot_len, line, strlen(line) + 1);
		snapshot_len += strlen(line);
		if (S_ISDIR(st.st_mode))
			snapshot_dir(below);
	}
}

/* All of the host that a helper may change; free() it */
static inline char *snapshot(void)
{
	snapshot_text = strdup("");
	snapshot_len = 0;
	snapshot_dir(CG);
	snapshot_dir("systemd");
	snapshot_dir("run/systemd");
	snapshot_dir("proc/irq");
	snapshot_dir("proc/sys");
	snapshot_dir(RCU_DIR);
	snapshot_dir("sys/devices/virtual");
	return snapshot_text;
}

static inline void assert_same(const char *before)
{
	char *after = snapshot();

	assert_string_equal(after, before);
	free(after);
}

static inline bool has_state(const char *path)
{
	return attr_exists(host.tree->rootfd, path) == 1;
}

/* Nothing of usher's is left but locks and the claims */
static inline void assert_no_state(void)
{
	assert_false(has_state("run/usher/" UUID_A "/cpuset.journal"));
	assert_false(has_state("run/usher/" UUID_B "/cpuset.journal"));
	assert_false(has_state("run/usher/host/cpuset.ini"));
	assert_false(has_state("run/usher/host/irq.ini"));
}

/* --- Running the helper ------------------------------------------------------------------------ */

static inline int redirect(const char *name, int fd)
{
	int saved = dup(fd), to;
	char path[128];

	fmt(path, "%s/%s", host.tree->dir, name);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(saved >= 0 && to >= 0 && dup2(to, fd) == fd);
	assert_int_equal(close(to), 0);
	return saved;
}

static inline void restore(int saved, int fd)
{
	assert_int_equal(dup2(saved, fd), fd);
	assert_int_equal(close(saved), 0);
}

static inline int run_helper(const char *option, const char *verb, const char *uuid)
{
	char claim[256], root[128], name[] = "usher-cpuset", dash_root[] = "--root", opt[16], v[16];
	char *argv[] = { name, dash_root, root, opt, v, claim, NULL };
	int out, err, r;

	fmt(root, "%s", host.tree->dir);
	fmt(claim, "%s/run/usher/%s/claim.ini", host.tree->dir, uuid);
	fmt(opt, "%s", option);
	fmt(v, "%s", verb);
	host.steps = 0;
	host.writes = 0;
	optind = 0;
	(void)fflush(stdout);
	out = redirect("stdout", STDOUT_FILENO);
	err = redirect("stderr", STDERR_FILENO);
	host.running = true;
	r = helper_dispatch((int)ARRAY_SIZE(argv) - 1, argv, &cpuset_helper);
	host.running = false;
	(void)fflush(stdout);
	restore(out, STDOUT_FILENO);
	restore(err, STDERR_FILENO);
	fmt(host.printed, "%s", tree_read(host.tree, "stdout"));
	fmt(host.said, "%s", tree_read(host.tree, "stderr"));
	return r;
}

static inline int apply(const char *uuid)
{
	return run_helper("--", "apply", uuid);
}

static inline int undo(const char *uuid)
{
	return run_helper("--", "undo", uuid);
}

static inline int check(const char *uuid)
{
	return run_helper("--", "check", uuid);
}

/* Return: true when the helper was killed before that step, false when it ended before */
static inline bool killed_at(int kill_at, const char *verb, const char *uuid)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		host.kill_at = kill_at;
		(void)run_helper("--", verb, uuid);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == KILLED;
}

#define assert_said(text)                                                                          \
	do {                                                                                       \
		if (!strstr(host.said, text))                                                      \
			fail_msg("not said: '%s', but: %s", text, host.said);                      \
	} while (0)
#define assert_silent() assert_string_equal(host.said, "")

static inline void assert_undo_repairs_a_kill_of_apply(const char *uuid)
{
	char *before = snapshot();

	for (int at = 1; killed_at(at, "apply", uuid); at++) {
		assert_int_equal(undo(uuid), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
	}
	free(before);
}

static inline void assert_undo_repairs_a_kill_of_undo(const char *uuid)
{
	char *before = snapshot();
	int at = 0;
	bool killed;

	do {
		assert_int_equal(apply(uuid), HELPER_DONE);
		killed = killed_at(++at, "undo", uuid);
		assert_int_equal(undo(uuid), HELPER_DONE);
		assert_same(before);
		assert_no_state();
	} while (killed);
	free(before);
}
