/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/rcu.c - the kernel's RCU thread, where no partition keeps it away */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/sched.h"
#include "cpuset.h"

/*
 * How it works
 *
 * What confines slices leaves the kernel's threads where they are, in the root group: they come to
 * whatever CPU is idle, and a guest's is when the guest is. One of them runs several times for each
 * grace period of RCU. A partition takes its CPUs from all threads of the kernel that are bound to
 * none.
 *
 * Its CPUs are a shared setting. Those that are not in the root group's effective ones, offline or a
 * partition's, always count as its: the kernel takes them away and, since Linux 6.2, gives them back
 * by itself. Before, whenever it is bound, it forgets what is offline for good, so it is left alone
 * while a CPU is, and what it had stays owed until then.
 *
 * Seen on: Linux 6.1, 94 of 100 foreign switches on a guest's CPUs with AllowedCPUs alone
 * ABI: Documentation/RCU/, rcu_spawn_gp_kthread() in kernel/rcu/tree.c; update_tasks_cpumask() in
 * kernel/cgroup/cpuset.c; __sched_setaffinity(), user_cpus_ptr in kernel/sched/core.c
 */

/* By the kernel's preemption */
static const char *const names[] = { "rcu_preempt", "rcu_sched" };

/* The kernel gives no lower one a second time (RESERVED_PIDS): nobody else's thread is there */
#define PIDS_OF_BOOT 300

static bool is_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* A thread of the kernel has no program. Return: its pid, 0 when there is none */
static pid_t find_rcu(const struct cpuset_job *job, char *name, size_t size)
{
	char path[PATH_MAX], exe[PATH_MAX];

	for (int pid = 2; pid < PIDS_OF_BOOT; pid++)
		if (path_format(path, sizeof(path), "proc/%d/comm", pid) == 0 &&
		    attr_read(job->ctx->rootfd, path, name, size) > 0 && is_name(name) &&
		    path_format(path, sizeof(path), "proc/%d/exe", pid) == 0 &&
		    attr_link(job->ctx->rootfd, path, exe, sizeof(exe)) < 0)
			return pid;
	return 0;
}

static int add_away(struct cpuset_job *job, struct cpulist *cpus)
{
	struct cpulist away, there;
	int r = job_host_cpus(job, "possible", &away);

	if (r == 0 && (groups_mount(job) < 0 ||
		       groups_read_cpus(job, "", "cpuset.cpus.effective", &there) < 0))
		r = job_host_cpus(job, "online", &there);
	if (r < 0)
		return r;
	cpulist_subtract(&away, &there);
	cpulist_union(cpus, &away);
	return 0;
}

int rcu_cpus(const struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	char name[64], dir[64];
	pid_t pid = find_rcu(job, name, sizeof(name));
	int r;

	if (pid == 0 || strcmp(name, object) != 0)
		return -ENOENT;
	r = path_format(dir, sizeof(dir), "proc/%d", (int)pid);
	return r < 0 ? r : sched_cpus(job->ctx->rootfd, dir, ret);
}

static int rcu_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = rcu_cpus(job, object, ret);

	if (r == 0)
		r = add_away(job, ret);
	return r < 0 ? job_why(job, r, "cannot read which CPUs %s may run on: %s", object,
			       strerror(-r))
		     : 0;
}

/* Those that are there and not online. Return: 0, else as job_host_cpus() */
static int read_offline(const struct cpuset_job *job, struct cpulist *ret)
{
	struct cpulist online;
	int r = job_host_cpus(job, "present", ret);

	if (r == 0)
		r = job_host_cpus(job, "online", &online);
	if (r == 0)
		cpulist_subtract(ret, &online);
	return r;
}

static int would_lose(struct cpuset_job *job, const char *object, const struct cpulist *offline)
{
	char list[256];

	(void)job_why(job, -EBUSY,
		      "the kernel's thread %s would lose CPU %s, which is offline: when it is "
		      "online again, run usher recover",
		      object, job_cpus_text(offline, list, sizeof(list)));
	job->cured = true;
	return -EBUSY;
}

static int rcu_write(struct cpuset_job *job, const char *object, const struct cpulist *value)
{
	char name[64], list[ATTR_MAX];
	struct cpulist offline;
	pid_t pid;
	int r;

	if (read_offline(job, &offline) == 0 && !cpulist_empty(&offline))
		return would_lose(job, object, &offline);
	(void)job_cpus_text(value, list, sizeof(list));
	if (helper_would(job->ctx, "bind the kernel's thread %s to CPUs %s", object, list))
		return 0;
	pid = find_rcu(job, name, sizeof(name));
	if (pid == 0 || strcmp(name, object) != 0)
		return job_why(job, -ENOENT, "the kernel has no thread %s", object);
	r = sched_bind(pid, value);
	return r < 0 ? job_why(job, r, "cannot bind the kernel's thread %s to CPUs %s: %s", object,
			       list, strerror(-r))
		     : 0;
}

static int rcu_reset(struct cpuset_job *job, const char *object)
{
	return job_why(job, -EBADMSG, "%s cannot be without a CPU", object);
}

static const struct setting_kind setting_rcu = {
	.verb = "rcu",
	.takes = true,
	.read = rcu_read,
	.write = rcu_write,
	.reset = rcu_reset,
};

void rcu_take(struct cpuset_job *job)
{
	char name[64], list[256];
	struct cpulist offline;

	/* A tree's threads are not those of the host we run on */
	if ((!job->ahead && !hierarchy_is_ours(job->ctx)) || find_rcu(job, name, sizeof(name)) == 0)
		return;
	if (read_offline(job, &offline) == 0 && !cpulist_empty(&offline)) {
		helper_say(job->ctx,
			   "the kernel's thread %s may run on its CPUs, for it would lose CPU %s, "
			   "which is offline: start the guest when that one is online",
			   name, job_cpus_text(&offline, list, sizeof(list)));
		return;
	}
	if (setting_take(job, &setting_rcu, name) < 0)
		helper_say(job->ctx,
			   "the kernel's thread %s may run on its CPUs: %s: see taskset -p", name,
			   job->why);
}

int rcu_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (!is_name(object))
		return job_why(job, -EBADMSG, "the journal's thread '%s' is none of ours", object);
	if (!hierarchy_is_ours(job->ctx))
		return 0;
	r = setting_give_back(job, &setting_rcu, object);
	return r < 0 ? r : 0;
}
