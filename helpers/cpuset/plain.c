/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/plain.c - cpuset.cpus of the top-level groups but the guests' */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

#define CPUS "cpuset.cpus"

static int plain_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = groups_mount(job);

	if (r == 0)
		r = groups_read_set(job, object, CPUS, ret);
	return r < 0 ? job_why(job, r, "cannot read " CPUS " of %s: %s", object, strerror(-r)) : 0;
}

/* Below another root than "/" libcgroup cannot help */
static int plain_write(struct cpuset_job *job, const char *object, const struct cpulist *value)
{
	char list[ATTR_MAX];
	int r = cpulist_format(value, list, sizeof(list));

	if (r < 0 || job->ctx->dry_run || !hierarchy_is_ours(job->ctx))
		return groups_write_cpus(job, object, CPUS, value);
	r = hierarchy_store(object, CPUS, list);
	/* Without libcgroup */
	if (r == -EOPNOTSUPP)
		return groups_write_cpus(job, object, CPUS, value);
	return r < 0 ? job_why(job, r, "cannot set " CPUS " of %s to %s: %s", object, list,
			       strerror(-r))
		     : 0;
}

/* The kernel may refuse to empty it while there are processes in the group: then all CPUs */
static int plain_reset(struct cpuset_job *job, const char *object)
{
	struct cpulist all;
	int r = groups_write(job, object, CPUS, "");

	if (r != -ENOSPC)
		return r;
	r = job_host_cpus(job, "possible", &all);
	return r < 0 ? job_why(job, r, "cannot read which CPUs there are: %s", strerror(-r))
		     : plain_write(job, object, &all);
}

const struct setting_kind setting_plain = {
	.verb = "plain",
	.takes = true,
	.top = true,
	.read = plain_read,
	.write = plain_write,
	.reset = plain_reset,
};

/*
 * A group whose cpuset.cpus have all been taken by partitions runs on what its parent has.
 * ABI: Documentation/admin-guide/cgroup-v2.rst, cpuset.cpus.effective
 *
 * Return: 0, -EINVAL when it runs on the guest's CPUs, with why
 */
static int verify(struct cpuset_job *job, const char *name)
{
	struct cpulist now;
	char list[256];

	if (job->ctx->dry_run || groups_read_cpus(job, name, CPUS ".effective", &now) < 0)
		return 0;
	cpulist_intersect(&now, &job->pins.cpus);
	return cpulist_empty(&now) ? 0
				   : job_why(job, -EINVAL,
					     "%s still runs on %s although its " CPUS
					     " have been set: give it CPUs that no guest has",
					     name, job_cpus_text(&now, list, sizeof(list)));
}

/* Return: 1 taken, 0 no group or one without the controller, else -errno */
static int take_group(struct cpuset_job *job, const char *name, const char *guests)
{
	struct cpulist cpus;
	int r;

	if (strcmp(name, guests) == 0 || groups_read_set(job, name, CPUS, &cpus) < 0)
		return 0;
	r = setting_take(job, &setting_plain, name);
	if (r == 0)
		r = verify(job, name);
	return r < 0 ? r : 1;
}

static int take_groups(struct cpuset_job *job, const char *guests)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int nr = 0, r = attr_list(job->ctx->rootfd, job->mount, &names);

	if (r < 0)
		return job_why(job, r, "cannot list the groups in /%s: %s", job->mount,
			       strerror(-r));
	for (size_t i = 0; i < names.nr; i++) {
		r = take_group(job, names.names[i], guests);
		if (r < 0)
			return r;
		nr += r;
	}
	return nr > 0 ? 0
		      : job_why(job, -EOPNOTSUPP,
				"no cgroup beside /%s has " CPUS ": what runs on this host is in "
				"the root group, which cannot be confined",
				guests);
}

int plain_apply(struct cpuset_job *job)
{
	struct guest_groups groups;
	int r = groups_mount(job);

	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, &groups);
	if (r == 0)
		r = setting_refuse_beside(job, "slice", "slices");
	if (r < 0)
		return r;
	groups.guest[strcspn(groups.guest, "/")] = '\0';
	r = take_groups(job, groups.guest);
	if (r == 0)
		r = workqueue_take(job);
	if (r == 0)
		rcu_take(job);
	return r;
}

int plain_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (!groups_is_name(object) || strchr(object, '/'))
		return job_why(job, -EBADMSG, "the journal's group '%s' is none of ours", object);
	r = setting_give_back(job, &setting_plain, object);
	return r < 0 ? r : 0;
}
