/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/conflict.c - groups of others that have cpuset.cpus on the guest's CPUs */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/* Deep enough for a container in a user's session */
#define DEPTH_MAX 12

/* Before the name of a guest whose groups are not there yet */
#define TO_COME "guest "

/* The system's own groups: what is pinned in them gives way whichever way is taken */
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

/* What a walk through the groups needs */
struct search {
	struct cpuset_job *job;
	struct guest_groups own; /* "" before it runs */
	char above[PATH_MAX];	 /* the group that holds it, or will; "" when not known */
	struct cpulist online;
	struct conflict worst;
};

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* As groups_of_claim(), and why stays. Return: false when the guest has none */
static bool find_groups(struct cpuset_job *job, const struct claim *claim, struct guest_groups *ret)
{
	char why[WHY_MAX];
	int r;

	memcpy(why, job->why, sizeof(why));
	r = groups_of_claim(job, claim, ret);
	memcpy(job->why, why, sizeof(why));
	return r == 0;
}

/* Is @group a running guest's, or one to come as note_side() names it */
static bool is_guests(struct cpuset_job *job, const struct claim *claim, const char *group)
{
	struct guest_groups groups;
	char to_come[PATH_MAX];

	if (path_format(to_come, sizeof(to_come), TO_COME "%s", claim->guest) == 0 &&
	    is_below(group, to_come))
		return true;
	return find_groups(job, claim, &groups) && is_below(group, groups.guest);
}

/* What all guests together take from @group: of a guest's own CPUs its threads lose none */
static struct cpulist taken_from(const struct search *search, const char *group)
{
	struct cpuset_job *job = search->job;
	struct cpulist taken = job->pins.cpus, cpus;

	for (size_t i = 0; i < job->claims.nr; i++)
		if (job_claim_holds(job, &job->claims.claims[i], &cpus) &&
		    !is_guests(job, &job->claims.claims[i], group))
			cpulist_union(&taken, &cpus);
	return taken;
}

/*
 * A top-level group would have to lose all its CPUs to be in the way, and so would the emulator and
 * the I/O threads of another guest: its vCPUs are another matter. Whatever else is pinned is a guest
 * or a container.
 */
static bool needs_one(const char *group)
{
	return !strchr(group, '/') || groups_is_side(last_component(group));
}

static enum conflict_kind judge_last(const struct search *search, const char *group,
				     const struct cpulist *cpus)
{
	struct cpulist taken = taken_from(search, group);

	return cpulist_contains(&taken, cpus) ? CONFLICT_REFUSED : CONFLICT_NONE;
}

static enum conflict_kind judge(const struct search *search, const char *group,
				const struct cpulist *cpus)
{
	const struct cpulist *own = &search->job->pins.cpus;

	if (cpulist_empty(cpus) || !cpulist_intersects(own, cpus))
		return CONFLICT_NONE;
	/* Pinned to all CPUs is to none: the kernel does not always take an empty list back */
	if (!cpulist_empty(&search->online) && cpulist_contains(cpus, &search->online))
		return CONFLICT_NONE;
	if (needs_one(group))
		return judge_last(search, group, cpus);
	return is_system(group) ? CONFLICT_MOVED : CONFLICT_REFUSED;
}

static int note(struct search *search, const char *group, const struct cpulist *cpus)
{
	struct conflict *worst = &search->worst;
	enum conflict_kind kind = judge(search, group, cpus);

	if (kind <= worst->kind)
		return 0;
	worst->kind = kind;
	worst->cpus = *cpus;
	worst->shared = needs_one(group) && !cpulist_contains(&search->job->pins.cpus, cpus);
	return path_format(worst->group, sizeof(worst->group), "%s", group);
}

static bool is_own(const struct search *search, const char *group)
{
	return *search->own.guest && is_below(group, search->own.guest);
}

/* Its cpuset.cpus are CPUs that the guest may have, and take none from it */
static bool is_above(const struct search *search, const char *group)
{
	return *search->above && is_below(search->above, group);
}

/*
 * Beside the guest's group or one above it: the kernel lets no CPU be exclusive in two of them.
 * Source: kernel/cgroup/cpuset.c, validate_change(), Linux 6.12
 */
static bool is_sibling(const struct search *search, const char *group)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(group, '/');

	return !slash ||
	       (path_format(parent, sizeof(parent), "%.*s", (int)(slash - group), group) == 0 &&
		is_above(search, parent));
}

static int note_exclusive(struct search *search, const char *group)
{
	struct conflict *worst = &search->worst;
	struct cpulist cpus;

	if (worst->kind == CONFLICT_REFUSED || !is_sibling(search, group) ||
	    groups_read_cpus(search->job, group, "cpuset.cpus.exclusive", &cpus) < 0 ||
	    !cpulist_intersects(&cpus, &search->job->pins.cpus))
		return 0;
	*worst = (struct conflict){ .kind = CONFLICT_REFUSED, .exclusive = true, .cpus = cpus };
	return path_format(worst->group, sizeof(worst->group), "%s", group);
}

static int note_group(struct search *search, const char *group, const struct cpulist *cpus)
{
	int r = note(search, group, cpus);

	return r < 0 ? r : note_exclusive(search, group);
}

/* Without cpuset.cpus it is no group, or one whose parent has not enabled the controller */
static int walk(struct search *search, const char *group, int depth)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	const struct cpuset_job *job = search->job;
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
		    groups_read_cpus(job, path, "cpuset.cpus", &cpus) < 0 || is_own(search, path))
			continue;
		r = is_above(search, path) ? 0 : note_group(search, path, &cpus);
		if (r == 0)
			r = walk(search, path, depth - 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* @value: "0-1, 4"; of an I/O thread "1 0-1, 4", its id first */
static int note_side(struct search *search, const struct claim *claim, const char *key,
		     const char *value)
{
	size_t id = strcmp(key, "iothread") == 0 ? strcspn(value, " ") : 0;
	char name[PATH_MAX];
	struct cpulist cpus;

	if (cpulist_parse(value + id, &cpus) < 0 ||
	    path_format(name, sizeof(name), TO_COME "%s/%s%.*s", claim->guest, key, (int)id,
			value) < 0)
		return 0;
	return note(search, name, &cpus);
}

/* Also of one that does not run yet and has no groups. No two have a vCPU's CPU: see the hook */
static int note_sides(struct search *search, const struct claim *claim)
{
	static const char *const keys[] = { "emulator", "iothread" };
	const struct cpuset_job *job = search->job;

	if (strcmp(claim->uuid, job->ctx->claim.uuid) == 0 ||
	    registry_alive(job->ctx->rootfd, claim) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct inidoc_entry *entry = NULL;

		while ((entry = inidoc_next(&claim->doc, entry, "cpuset", keys[i]))) {
			int r = note_side(search, claim, keys[i], entry->value);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/*
 * Before the guest runs it has no groups. Not known for a moment, they would be taken for somebody
 * else's. Return: 0, else -errno with why
 */
static int find_own(struct search *search)
{
	struct cpuset_job *job = search->job;
	char why[WHY_MAX];
	int r;

	memcpy(why, job->why, sizeof(why));
	r = groups_of_claim(job, &job->ctx->claim, &search->own);
	if (r < 0 && r != -ESRCH && r != -EOPNOTSUPP)
		return r;
	memcpy(job->why, why, sizeof(why));
	if (r < 0)
		search->own = (struct guest_groups){ 0 };
	groups_above(job, search->above);
	return 0;
}

int conflict_find(struct cpuset_job *job, struct conflict *ret)
{
	struct search search = { .job = job };
	int r = groups_mount(job);

	if (r == 0)
		r = find_own(&search);
	if (r == 0 && job_host_cpus(job, "online", &search.online) < 0)
		search.online = (struct cpulist){ 0 };
	for (size_t i = 0; r == 0 && i < job->claims.nr; i++)
		r = note_sides(&search, &job->claims.claims[i]);
	if (r == 0)
		r = walk(&search, "", DEPTH_MAX);
	if (r == 0)
		*ret = search.worst;
	return r == -ENOMEM ? job_why(job, r, "%s", strerror(ENOMEM)) : r;
}

static const char *has_them(const struct conflict *conflict)
{
	return conflict->exclusive ? "has" : "is pinned to";
}

static const char *rest_of(const struct conflict *conflict)
{
	if (conflict->exclusive)
		return " in cpuset.cpus.exclusive";
	return conflict->shared ? ", and other guests have the rest" : "";
}

int conflict_why(struct cpuset_job *job, int error, const struct conflict *conflict)
{
	char list[ATTR_MAX];

	return job_why(job, error, "%s %s %s%s: pin one of the two to other CPUs", conflict->group,
		       has_them(conflict), job_cpus_text(&conflict->cpus, list, sizeof(list)),
		       rest_of(conflict));
}

void conflict_name(struct cpuset_job *job)
{
	struct conflict conflict = { .kind = CONFLICT_NONE };
	char list[ATTR_MAX], why[WHY_MAX];
	int r;

	memcpy(why, job->why, sizeof(why));
	r = conflict_find(job, &conflict);
	memcpy(job->why, why, sizeof(why));
	if (r < 0 || conflict.kind != CONFLICT_REFUSED)
		return;
	(void)job_why(job, 0, "%s: %s %s %s%s", why, conflict.group, has_them(&conflict),
		      job_cpus_text(&conflict.cpus, list, sizeof(list)), rest_of(&conflict));
}
