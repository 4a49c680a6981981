/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/live.c - what nobody tells usher of while the guest runs */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "cpuset.h"

/*
 * An admin may pin a vCPU elsewhere (virsh vcpupin) or give a slice its CPUs back, and there is no
 * hook for either. Here that is looked for; what is written again is apply's business.
 */

/* Return: 0, also for a vCPU without pins or group, -EINVAL when it may run elsewhere, with why */
static int verify_pin(struct cpuset_job *job, const struct guest_groups *groups,
		      const struct vcpu_pin *pin)
{
	char group[PATH_MAX], now_text[256], text[256];
	struct cpulist now;

	if (path_format(group, sizeof(group), "%s/vcpu%u", groups->base, pin->vcpu) < 0 ||
	    groups_read_cpus(job, group, "cpuset.cpus", &now) < 0 || cpulist_empty(&now) ||
	    cpulist_contains(&pin->cpus, &now))
		return 0;
	(void)job_cpus_text(&now, now_text, sizeof(now_text));
	(void)job_cpus_text(&pin->cpus, text, sizeof(text));
	/* The XML's pins are libvirt's to write: it shows them */
	return job->pins.automatic
		       ? job_why(job, -EINVAL,
				 "vCPU %u is pinned to %s by now, not to %s: run usher recover",
				 pin->vcpu, now_text, text)
		       : job_why(job, -EINVAL,
				 "vCPU %u is pinned to %s by now, and CPU %s is kept free for it: "
				 "virsh vcpupin %s %u %s --live",
				 pin->vcpu, now_text, text, job->ctx->claim.guest, pin->vcpu, text);
}

int live_verify_pins(struct cpuset_job *job)
{
	struct guest_groups groups;
	int r = groups_mount(job);

	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, &groups);
	/* Without groups there are no pins to compare */
	if (r < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < job->pins.nr_vcpus; i++)
		r = verify_pin(job, &groups, &job->pins.vcpus[i]);
	return r;
}

/* May it run wherever libvirt lets it by itself: then nobody has pinned it */
static bool is_unpinned(const struct cpuset_job *job, const char *group)
{
	const char *allowed = inidoc_get(&job->ctx->claim.doc, "cpuset", "allowed");
	struct cpulist now, most;

	if (groups_read_cpus(job, group, "cpuset.cpus", &now) < 0)
		return false;
	return cpulist_empty(&now) ||
	       (allowed && cpulist_parse(allowed, &most) == 0 && cpulist_equal(&now, &most));
}

static bool is_placed(const struct pins *pins, unsigned int vcpu)
{
	for (size_t i = 0; i < pins->nr_vcpus; i++)
		if (pins->vcpus[i].vcpu == vcpu)
			return true;
	return false;
}

static int verify_core(struct cpuset_job *job, const struct guest_groups *groups, const char *name)
{
	char group[PATH_MAX];
	unsigned int vcpu;

	if (strncmp(name, "vcpu", strlen("vcpu")) != 0 ||
	    parse_uint(name + strlen("vcpu"), 10, CPULIST_MAX, &vcpu) < 0 ||
	    is_placed(&job->pins, vcpu) ||
	    path_format(group, sizeof(group), "%s/%s", groups->base, name) < 0 ||
	    !is_unpinned(job, group))
		return 0;
	return job_why(job, -EINVAL,
		       "vCPU %u was plugged in after the cores were chosen and has none: shut the "
		       "guest down and start it with that many vCPUs, or pin it: virsh vcpupin %s "
		       "%u CPUS --live",
		       vcpu, job->ctx->claim.guest, vcpu);
}

int live_verify_cores(struct cpuset_job *job)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	struct guest_groups groups;
	char path[PATH_MAX];

	/* With pins in the XML one without is the admin's wish, and was said at the start */
	if (!job->pins.automatic || job->pins.nr_vcpus == 0 || groups_mount(job) < 0 ||
	    groups_of_claim(job, &job->ctx->claim, &groups) < 0 ||
	    path_format(path, sizeof(path), "%s/%s", job->mount, groups.base) < 0 ||
	    attr_list(job->ctx->rootfd, path, &names) < 0)
		return 0;
	for (size_t i = 0; i < names.nr; i++) {
		int r = verify_core(job, &groups, names.names[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_group(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = groups_mount(job);

	return r < 0 ? r : groups_read_cpus(job, object, "cpuset.cpus.effective", ret);
}

static int read_watchdog(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	return watchdog_cpus(job, object, ret);
}

static int read_rcu(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	return rcu_cpus(job, object, ret);
}

static int read_mask(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	char text[ATTR_MAX];
	int r = attr_read(job->ctx->rootfd, object, text, sizeof(text));

	return r < 0 ? r : job_parse_mask(text, ret);
}

/* What the guest's CPUs have been taken out of */
static const struct {
	const char *verb;
	int (*read)(struct cpuset_job *job, const char *object, struct cpulist *ret);
	const char *who; /* NULL: the object's name */
} kinds[] = {
	{ "slice", read_group, NULL },
	{ "plain", read_group, NULL },
	{ "workqueue", read_mask, "the kernel's unbound work" },
	{ "watchdog", read_watchdog, "the kernel's watchdog of lockups" },
	{ "rcu", read_rcu, NULL },
};

static int verify_share(struct cpuset_job *job, const struct journal_record *record)
{
	char list[256];
	struct cpulist now;
	size_t i = 0;

	while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].verb, record->verb) != 0)
		i++;
	/* A group that has gone has nobody in it */
	if (i == ARRAY_SIZE(kinds) || record->undone ||
	    kinds[i].read(job, record->object, &now) < 0)
		return 0;
	cpulist_intersect(&now, &job->pins.cpus);
	return cpulist_empty(&now) ? 0
				   : job_why(job, -EINVAL, "%s may run on %s again",
					     kinds[i].who ?: record->object,
					     job_cpus_text(&now, list, sizeof(list)));
}

/* What keeps others off a guest's CPUs, one of them for each way */
static bool is_kept_by(const struct journal_record *record)
{
	return !record->undone &&
	       (strcmp(record->verb, "guest") == 0 || strcmp(record->verb, "slice") == 0 ||
		strcmp(record->verb, "plain") == 0);
}

bool live_is_kept(const struct cpuset_job *job)
{
	for (size_t i = 0; i < job->journal.nr; i++)
		if (is_kept_by(&job->journal.records[i]))
			return true;
	return false;
}

/* Would apply leave it with its pins again. Return: 0, else -errno with why, as apply says it */
static int find_obstacle(struct cpuset_job *job)
{
	struct guest_groups groups;
	struct cpulist online;
	int r;

	if (job_host_cpus(job, "online", &online) == 0 && housekeeping_check(job, &online) < 0)
		return -ENOSPC;
	r = groups_mount(job);
	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, &groups);
	return r == -EOPNOTSUPP ? r : 0;
}

int live_verify_any(struct cpuset_job *job)
{
	char list[256], why[WHY_MAX];

	/* Without vCPUs no cores were chosen for it, and that was said */
	if (live_is_kept(job) || job->pins.nr_vcpus == 0)
		return 0;
	(void)job_cpus_text(&job->pins.cpus, list, sizeof(list));
	if (find_obstacle(job) == 0)
		return job_why(job, -EINVAL,
			       "its CPUs are not kept free: neither a partition nor anything else "
			       "keeps others off %s: run usher recover, which says what is in the "
			       "way",
			       list);
	memcpy(why, job->why, sizeof(why));
	return job_why(job, -EINVAL, PINNED_ONLY, list, why);
}

int live_verify_shares(struct cpuset_job *job)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < job->journal.nr; i++)
		r = verify_share(job, &job->journal.records[i]);
	return r;
}
