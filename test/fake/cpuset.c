/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/cpuset.c - cpuset partitions of cgroup v2: kernel/cgroup/cpuset.c, Linux 6.12 */
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
 * After every change all of it is computed anew from what was written: cpuset.cpus,
 * cpuset.cpus.exclusive and the first word of cpuset.cpus.partition. Parents come before their
 * children in the list. A tree whose root has no cpuset.cpus.isolated is a kernel without
 * cpuset.cpus.exclusive and remote partitions (before 6.7).
 */

#define CGROUP	   "sys/fs/cgroup"
#define GROUPS_MAX 128
#define ONLINE	   "sys/devices/system/cpu/online"
#define POSSIBLE   "sys/devices/system/cpu/possible"
#define WORKQUEUE  "sys/devices/virtual/workqueue/cpumask"
/* Since Linux 6.9: what was asked for, before isolated CPUs are taken out */
#define WQ_WANTED "sys/devices/virtual/workqueue/cpumask_requested"

enum want {
	WANT_MEMBER,
	WANT_ROOT,
	WANT_ISOLATED,
};

static const char *const want_names[] = {
	[WANT_MEMBER] = "member",
	[WANT_ROOT] = "root",
	[WANT_ISOLATED] = "isolated",
};

#define PERR_CPUSEMPTY "cpuset.cpus and cpuset.cpus.exclusive are empty"
#define PERR_NOTEXCL   "Cpu list in cpuset.cpus not exclusive"
#define PERR_INVCPUS   "Invalid cpu list in cpuset.cpus.exclusive"
#define PERR_NOTPART   "Parent is not a partition root"
#define PERR_NOCPUS    "Parent unable to distribute cpu downstream"

struct group {
	char *path;
	int parent;			/* index, -1 for the root */
	struct cpulist cpus, exclusive; /* as written */
	struct cpulist may_take;	/* cpuset.cpus.exclusive.effective */
	struct cpulist effective;
	enum want want;
	const char *invalid; /* why the partition is none */
};

struct groups {
	struct group *list;
	size_t nr;
	bool remote; /* the kernel knows remote partitions */
};

static void groups_free(struct groups *groups)
{
	for (size_t i = 0; i < groups->nr; i++)
		free(groups->list[i].path);
	free(groups->list);
}

static void file_path(char *buf, size_t size, const char *dir, const char *name)
{
	tree_format(buf, size, "%s/%s", dir, name);
}

static void read_list(const char *dir, const char *name, struct cpulist *ret)
{
	char path[PATH_MAX], text[ATTR_MAX];

	*ret = (struct cpulist){ 0 };
	file_path(path, sizeof(path), dir, name);
	if (tree_get(path, text, sizeof(text)) >= 0)
		(void)!cpulist_parse(text, ret);
}

static void write_if_changed(const char *path, const char *text)
{
	char old[ATTR_MAX];

	if (tree_get(path, old, sizeof(old)) >= 0 && strcmp(old, text) != 0)
		(void)tree_put(path, text);
}

static void write_list(const char *dir, const char *name, const struct cpulist *set)
{
	char path[PATH_MAX], text[ATTR_MAX];

	file_path(path, sizeof(path), dir, name);
	if (cpulist_format(set, text, sizeof(text)) == 0)
		write_if_changed(path, text);
}

static enum want read_want(const char *dir)
{
	char path[PATH_MAX], text[ATTR_MAX];

	file_path(path, sizeof(path), dir, "cpuset.cpus.partition");
	if (tree_get(path, text, sizeof(text)) < 0)
		return WANT_MEMBER;
	for (size_t i = 0; i < ARRAY_SIZE(want_names); i++)
		if (strncmp(text, want_names[i], strlen(want_names[i])) == 0)
			return (enum want)i;
	return WANT_MEMBER;
}

/* A group without the cpuset controller is none, and neither is anything below it */
static void load_below(struct groups *groups, const char *dir, int parent)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	struct group *group;
	int self = (int)groups->nr;

	file_path(path, sizeof(path), dir, "cpuset.cpus.effective");
	if (groups->nr == GROUPS_MAX || !tree_has(path) || tree_list(dir, &names) < 0)
		return;
	group = &groups->list[groups->nr++];
	*group = (struct group){ .path = strdup(dir), .parent = parent, .want = read_want(dir) };
	read_list(dir, "cpuset.cpus", &group->cpus);
	read_list(dir, "cpuset.cpus.exclusive", &group->exclusive);
	for (size_t i = 0; i < names.nr; i++) {
		file_path(path, sizeof(path), dir, names.names[i]);
		if (tree_is_dir(path))
			load_below(groups, path, self);
	}
}

static int groups_load(struct groups *groups)
{
	*groups = (struct groups){ .list = calloc(GROUPS_MAX, sizeof(*groups->list)) };
	if (!groups->list)
		return -ENOMEM;
	groups->remote = tree_has(CGROUP "/cpuset.cpus.isolated");
	load_below(groups, CGROUP, -1);
	return 0;
}

/* user_xcpus(): what a group asks to have alone */
static const struct cpulist *asked(const struct group *group)
{
	return cpulist_empty(&group->exclusive) ? &group->cpus : &group->exclusive;
}

static bool is_valid(const struct group *group)
{
	return group->parent < 0 || (group->want != WANT_MEMBER && !group->invalid);
}

static bool overlaps_sibling(const struct groups *groups, size_t self)
{
	const struct group *group = &groups->list[self];

	if (!cpulist_empty(&group->exclusive))
		return false;
	for (size_t i = 1; i < groups->nr; i++)
		if (i != self && groups->list[i].parent == group->parent &&
		    cpulist_intersects(&groups->list[i].cpus, &group->cpus))
			return true;
	return false;
}

/* Is it as good as taken: would the group that gives be left without a CPU */
static bool takes_all(const struct group *from, const struct cpulist *cpus)
{
	return cpulist_contains(cpus, &from->effective);
}

static const char *why_invalid(const struct groups *groups, size_t self)
{
	const struct group *group = &groups->list[self];
	const struct group *parent = &groups->list[group->parent];
	const struct group *top = &groups->list[0];

	if (cpulist_empty(asked(group)))
		return PERR_CPUSEMPTY;
	if (overlaps_sibling(groups, self))
		return PERR_NOTEXCL;
	if (is_valid(parent))
		return takes_all(parent, &group->may_take) ? PERR_NOCPUS : NULL;
	if (!groups->remote)
		return PERR_NOTPART;
	if (cpulist_empty(&group->may_take) || takes_all(top, &group->may_take) ||
	    !cpulist_contains(&top->effective, &group->may_take))
		return PERR_INVCPUS;
	return NULL;
}

/* Partitions first: they take from the root, or from the partition they lie in */
static void settle_partitions(struct groups *groups)
{
	for (size_t i = 1; i < groups->nr; i++) {
		struct group *group = &groups->list[i];
		struct group *parent = &groups->list[group->parent];
		struct group *giver = is_valid(parent) ? parent : &groups->list[0];

		group->may_take = *asked(group);
		if (cpulist_empty(&group->exclusive) && group->want == WANT_MEMBER)
			group->may_take = (struct cpulist){ 0 };
		/* Without its own list a partition takes from cpuset.cpus, unless it is remote */
		cpulist_intersect(&group->may_take, &parent->may_take);
		if (group->want == WANT_MEMBER)
			continue;
		group->invalid = why_invalid(groups, i);
		if (group->invalid)
			continue;
		group->effective = group->may_take;
		cpulist_subtract(&giver->effective, &group->may_take);
	}
}

static void settle_members(struct groups *groups)
{
	for (size_t i = 1; i < groups->nr; i++) {
		struct group *group = &groups->list[i];
		const struct group *parent = &groups->list[group->parent];

		if (is_valid(group))
			continue;
		group->effective = group->cpus;
		cpulist_intersect(&group->effective, &parent->effective);
		if (cpulist_empty(&group->effective))
			group->effective = parent->effective;
	}
}

static void store_partition(const struct group *group)
{
	char path[PATH_MAX], text[ATTR_MAX];

	file_path(path, sizeof(path), group->path, "cpuset.cpus.partition");
	tree_path(text, "%s%s%s%s", want_names[group->want], group->invalid ? " invalid (" : "",
		  group->invalid ? group->invalid : "", group->invalid ? ")" : "");
	write_if_changed(path, text);
}

/* Unbound workqueues keep off isolated CPUs, unless nothing would be left */
static void store_workqueues(const struct cpulist *isolated)
{
	struct cpulist mask, left;
	char text[ATTR_MAX];

	if (!tree_has(WQ_WANTED)) {
		if (tree_get(WORKQUEUE, text, sizeof(text)) < 0)
			return;
		(void)tree_put(WQ_WANTED, text);
	}
	if (tree_get(WQ_WANTED, text, sizeof(text)) < 0 || mask_parse(text, &mask) < 0)
		return;
	left = mask;
	cpulist_subtract(&left, isolated);
	mask_format(cpulist_empty(&left) ? &mask : &left, text, sizeof(text));
	write_if_changed(WORKQUEUE, text);
}

static void groups_store(const struct groups *groups)
{
	struct cpulist isolated = { 0 };

	for (size_t i = 0; i < groups->nr; i++) {
		const struct group *group = &groups->list[i];

		write_list(group->path, "cpuset.cpus.effective", &group->effective);
		if (group->parent < 0)
			continue;
		write_list(group->path, "cpuset.cpus.exclusive.effective", &group->may_take);
		store_partition(group);
		if (group->want == WANT_ISOLATED && !group->invalid)
			cpulist_union(&isolated, &group->may_take);
	}
	if (groups->remote) {
		write_list(CGROUP, "cpuset.cpus.isolated", &isolated);
		store_workqueues(&isolated);
	}
}

int cpuset_update(void)
{
	_cleanup_(groups_free) struct groups groups;
	char text[ATTR_MAX];
	int r = groups_load(&groups);

	if (r < 0 || groups.nr == 0)
		return r;
	if (tree_get(ONLINE, text, sizeof(text)) < 0 ||
	    cpulist_parse(text, &groups.list[0].effective) < 0)
		return -EINVAL;
	groups.list[0].may_take = groups.list[0].effective;
	settle_partitions(&groups);
	settle_members(&groups);
	groups_store(&groups);
	return 0;
}

/* --- The attributes ---------------------------------------------------------------------------- */

/* What a CPU list may hold. Return: 0, -EINVAL, -ERANGE as the kernel's cpulist_parse() */
static int parse_cpus(const char *value, struct cpulist *ret)
{
	struct cpulist possible = { 0 };
	char text[ATTR_MAX];
	int r;

	if (tree_get(POSSIBLE, text, sizeof(text)) < 0 || cpulist_parse(text, &possible) < 0)
		return -EINVAL;
	if (path_format(text, sizeof(text), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	r = cpulist_parse(text, ret);
	if (r < 0)
		return r;
	return cpulist_contains(&possible, ret) ? 0 : -ERANGE;
}

static void dir_of(const char *path, char *buf, size_t size)
{
	tree_format(buf, size, "%.*s", (int)(strrchr(path, '/') - path), path);
}

int cpuset_store_cpus(const char *path, const char *value)
{
	struct cpulist cpus;
	char text[ATTR_MAX];
	int r = parse_cpus(value, &cpus);

	if (r == 0)
		r = cpulist_format(&cpus, text, sizeof(text));
	if (r == 0)
		r = tree_put(path, text);
	return r < 0 ? r : cpuset_update();
}

/*
 * validate_change(): no sibling has them exclusively, and no sibling's cpuset.cpus lies within
 * them, for then it would be left without a CPU
 */
static int check_exclusive(const struct groups *groups, const char *dir, const struct cpulist *cpus)
{
	int parent = -2;

	for (size_t i = 0; i < groups->nr; i++)
		if (strcmp(groups->list[i].path, dir) == 0)
			parent = groups->list[i].parent;
	for (size_t i = 1; i < groups->nr; i++) {
		const struct group *group = &groups->list[i];

		if (group->parent != parent || strcmp(group->path, dir) == 0)
			continue;
		if (cpulist_intersects(&group->exclusive, cpus))
			return -EINVAL;
		if (!cpulist_empty(&group->cpus) && cpulist_contains(cpus, &group->cpus))
			return -EINVAL;
	}
	return 0;
}

int cpuset_store_exclusive(const char *path, const char *value)
{
	_cleanup_(groups_free) struct groups groups = { 0 };
	struct cpulist cpus;
	char dir[PATH_MAX], text[ATTR_MAX];
	int r = parse_cpus(value, &cpus);

	if (r == 0)
		r = groups_load(&groups);
	if (r < 0)
		return r;
	dir_of(path, dir, sizeof(dir));
	if (!cpulist_empty(&cpus))
		r = check_exclusive(&groups, dir, &cpus);
	if (r == 0)
		r = cpulist_format(&cpus, text, sizeof(text));
	if (r == 0)
		r = tree_put(path, text);
	return r < 0 ? r : cpuset_update();
}

/* The write succeeds even when the partition is invalid: only reading back tells */
int cpuset_store_partition(const char *path, const char *value)
{
	char word[32];

	if (path_format(word, sizeof(word), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(want_names); i++)
		if (strcmp(word, want_names[i]) == 0) {
			int r = tree_put(path, word);

			return r < 0 ? r : cpuset_update();
		}
	return -EINVAL;
}

int workqueue_store_cpumask(const char *path, const char *value)
{
	struct cpulist mask;
	char text[ATTR_MAX];

	(void)path;
	if (mask_parse(value, &mask) < 0 || cpulist_empty(&mask))
		return -EINVAL;
	mask_format(&mask, text, sizeof(text));
	(void)tree_put(WQ_WANTED, text);
	return cpuset_update();
}
