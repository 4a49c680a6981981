/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/conflict.c - groups of others that have cpuset.cpus on the guest's CPUs */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/* Deep enough for a container in a user's session */
#define DEPTH_MAX 12

/* The system's own groups: what is pinned in them gives way, and loses no more than that */
static bool is_system(const char *group)
{
	static const char *const tops[] = { "system.slice", "user.slice", "init.scope" };
	size_t len = strcspn(group, "/");

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
		if (strlen(tops[i]) == len && strncmp(group, tops[i], len) == 0)
			return true;
	return false;
}

/* Is @group the one at @base or below it */
static bool is_below(const char *group, const char *base)
{
	size_t len = strlen(base);

	return strncmp(group, base, len) == 0 && (group[len] == '\0' || group[len] == '/');
}

/*
 * A guest whose vCPUs are ours to arrange: the hook has seen to it that no two want one CPU. One
 * whose policy isolates nothing has its pins as any other, and loses them as any other
 */
static bool is_known(const struct strlist *known, const char *group)
{
	for (size_t i = 0; i < known->nr; i++)
		if (is_below(group, known->names[i]))
			return true;
	return false;
}

static int load_known(struct cpuset_job *job, struct strlist *known)
{
	char why[WHY_MAX];
	int r = 0;

	memcpy(why, job->why, sizeof(why));
	for (size_t i = 0; r == 0 && i < job->claims.nr; i++) {
		const struct claim *claim = &job->claims.claims[i];
		struct guest_groups groups;

		if (inidoc_has_section(&claim->doc, "cpuset") &&
		    groups_of_claim(job, claim, &groups) == 0)
			r = strlist_add(known, groups.guest);
	}
	memcpy(job->why, why, sizeof(why));
	return r;
}

/*
 * A top-level group would have to lose all its CPUs to be in the way, and so would what is pinned
 * inside the system's own groups. Whatever else is pinned is a guest or a container.
 */
static enum conflict_kind judge(const struct cpuset_job *job, const char *group,
				const struct cpulist *cpus)
{
	bool top = !strchr(group, '/'), all = cpulist_contains(&job->pins.cpus, cpus);

	if (cpulist_empty(cpus) || !cpulist_intersects(&job->pins.cpus, cpus))
		return CONFLICT_NONE;
	if (top)
		return all ? CONFLICT_REFUSED : CONFLICT_NONE;
	if (is_system(group))
		return all ? CONFLICT_MOVED : CONFLICT_NONE;
	return CONFLICT_REFUSED;
}

static int note(struct cpuset_job *job, const char *group, const struct cpulist *cpus,
		struct conflict *worst)
{
	enum conflict_kind kind = judge(job, group, cpus);

	if (kind <= worst->kind)
		return 0;
	worst->kind = kind;
	worst->cpus = *cpus;
	return path_format(worst->group, sizeof(worst->group), "%s", group);
}

/* Without cpuset.cpus it is no group, or one whose parent has not enabled the controller */
static int walk(struct cpuset_job *job, const struct strlist *known, const char *group, int depth,
		struct conflict *worst)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", job->mount, group);

	if (r == 0)
		r = attr_list(job->ctx->rootfd, path, &names);
	/* It may go while we look */
	if (r < 0 || depth == 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < names.nr; i++) {
		struct cpulist cpus;

		if (path_format(path, sizeof(path), "%s%s%s", group, *group ? "/" : "",
				names.names[i]) < 0 ||
		    groups_read_cpus(job, path, "cpuset.cpus", &cpus) < 0 || is_known(known, path))
			continue;
		r = note(job, path, &cpus, worst);
		if (r == 0)
			r = walk(job, known, path, depth - 1, worst);
		if (r < 0)
			return r;
	}
	return 0;
}

int conflict_find(struct cpuset_job *job, struct conflict *ret)
{
	_cleanup_strlist_ struct strlist known = { 0 };
	struct conflict worst = { .kind = CONFLICT_NONE };
	int r = groups_mount(job);

	if (r == 0)
		r = load_known(job, &known);
	if (r == 0)
		r = walk(job, &known, "", DEPTH_MAX, &worst);
	if (r == 0)
		*ret = worst;
	return r;
}

int conflict_why(struct cpuset_job *job, int error, const struct conflict *conflict)
{
	char list[ATTR_MAX];

	return job_why(job, error, "%s is pinned to %s: pin one of the two to other CPUs",
		       conflict->group, job_cpus_text(&conflict->cpus, list, sizeof(list)));
}

void conflict_name(struct cpuset_job *job)
{
	size_t len = strlen(job->why);
	char list[ATTR_MAX];
	struct conflict conflict = { .kind = CONFLICT_NONE };

	if (conflict_find(job, &conflict) < 0 || conflict.kind != CONFLICT_REFUSED)
		return;
	(void)snprintf(job->why + len, sizeof(job->why) - len, ": %s is pinned to %s",
		       conflict.group, job_cpus_text(&conflict.cpus, list, sizeof(list)));
}
