/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/partition.c - the guest's own groups as cpuset partitions */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/*
 * How it works
 *
 * A partition whose parent is none (a remote one) gets its CPUs through cpuset.cpus.exclusive of
 * every group above it. So from the top down: the shared groups (machine.slice), the guest's
 * scope, "libvirt" in it; then each vCPU's group its own CPU and "isolated". When the vCPUs
 * share CPUs, the scope itself becomes one partition, balanced inside, "root".
 *
 * Off the CPUs of a balanced partition the kernel keeps tasks, but not unbound work; off isolated
 * ones until somebody writes the mask.
 *
 * A write of "isolated" succeeds and reads back "isolated invalid (why)" when the kernel will not
 * have it: all are read back after the last write.
 *
 * ABI: Documentation/admin-guide/cgroup-v2.rst, "Cpuset Interface Files", since Linux 6.7
 * Seen on: Linux 6.12.107 and 7.2.12, 2026-11. A partition that has become invalid is a valid one
 * again only by way of "member": one whose CPU went offline and came back, too. Not after a sleep of
 * the host: partitions, vCPUs' affinities and interrupts were as before (Linux 6.12; of others it is
 * not known).
 */

#define EXCLUSIVE "cpuset.cpus.exclusive"
#define PARTITION "cpuset.cpus.partition"
#define PRESSURE  "cgroup.pressure"

static int exclusive_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = groups_mount(job);

	if (r == 0)
		r = groups_read_set(job, object, EXCLUSIVE, ret);
	return r < 0 ? job_why(job, r, "cannot read " EXCLUSIVE " of %s: %s", object, strerror(-r))
		     : 0;
}

static int exclusive_write(struct cpuset_job *job, const char *object, const struct cpulist *value)
{
	return groups_write_cpus(job, object, EXCLUSIVE, value);
}

/* As in reset_group(): the kernel does not take an offline CPU out */
static int exclusive_reset(struct cpuset_job *job, const char *object)
{
	struct cpulist now, online;
	char list[256];
	int r = groups_write(job, object, EXCLUSIVE, "");

	if (r != -EBUSY || groups_read_cpus(job, object, EXCLUSIVE, &now) < 0 ||
	    job_host_cpus(job, "online", &online) < 0)
		return r;
	cpulist_subtract(&now, &online);
	if (cpulist_empty(&now))
		return r;
	helper_say(job->ctx,
		   "CPU %s is offline and stays in " EXCLUSIVE " of %s, where it isolates nothing: "
		   "the next guest takes it out when it is back",
		   job_cpus_text(&now, list, sizeof(list)), object);
	return 1;
}

const struct setting_kind setting_exclusive = {
	.verb = "exclusive",
	.read = exclusive_read,
	.write = exclusive_write,
	.reset = exclusive_reset,
};

int exclusive_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (!groups_is_name(object))
		return job_why(job, -EBADMSG, "the journal's group '%s' is none", object);
	r = setting_give_back(job, &setting_exclusive, object);
	return r < 0 ? r : 0;
}

static int group_exists(const struct cpuset_job *job, const char *group)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", job->mount, group);

	return r < 0 ? r : attr_exists(job->ctx->rootfd, path);
}

/*
 * Do @fn for each vCPU's group. One that is pinned but not plugged in has no group.
 *
 * Return: 0, -ENOENT when no vCPU has one, else what @fn returned
 */
static int each_vcpu(struct cpuset_job *job, const struct guest_groups *groups,
		     int (*fn)(struct cpuset_job *job, const char *group,
			       const struct cpulist *cpus))
{
	char group[PATH_MAX];
	int nr = 0;

	for (size_t i = 0; i < job->pins.nr_vcpus; i++) {
		const struct vcpu_pin *pin = &job->pins.vcpus[i];
		int r = path_format(group, sizeof(group), "%s/vcpu%u", groups->base, pin->vcpu);

		if (r == 0)
			r = fn(job, group, &pin->cpus);
		if (r == 0)
			nr++;
		else if (r != -ENOENT || group_exists(job, group) != 0)
			return r;
	}
	return nr > 0 ? 0
		      : job_why(job, -ENOENT, "no vCPU of the guest has a group in /%s/%s",
				job->mount, groups->base);
}

/*
 * The averages of a group's pressure are computed by work on one of its CPUs, every 2 s as long as
 * anything happens in it, and in those below it. Nobody reads those of a vCPU, or of the groups that
 * are the guest's alone, and without them it is no worse off: neither a kernel that has no such
 * switch (before 6.1, or without PSI) nor a failure matters.
 * Source: psi_task_switch(), psi_avgs_work(), kernel/sched/psi.c; Linux 6.12
 * ABI: Documentation/admin-guide/cgroup-v2.rst, cgroup.pressure
 */
static void count_pressure(struct cpuset_job *job, const char *group, bool on)
{
	char now[ATTR_MAX];

	/* One to come begins with it on, where the kernel has it in the root group */
	if (groups_read(job, job->ahead ? "" : group, PRESSURE, now, sizeof(now)) >= 0 &&
	    (job->ahead || strcmp(now, on ? "0" : "1") == 0))
		(void)!groups_write(job, group, PRESSURE, on ? "1" : "0");
}

static bool is_to_count_none(const struct cpuset_job *job)
{
	const char *value = inidoc_get(&job->ctx->claim.doc, "cpuset", "pressure");

	return value && strcmp(value, "no") == 0;
}

/* By isolcpus=, where the kernel tells */
static struct cpulist isolated_at_boot(const struct cpuset_job *job)
{
	struct cpulist boot;

	if (job_host_cpus(job, "isolated", &boot) < 0)
		boot = (struct cpulist){ 0 };
	return boot;
}

/*
 * Such CPUs are kept free without us: a partition of them keeps nothing away but who asks for one of
 * them by its number, and when it ends the kernel counts them out of the root's
 * cpuset.cpus.isolated, into which nothing puts them again.
 * Source: isolated_cpus_update(), kernel/cgroup/cpuset.c. Seen on: Linux 6.12
 */
static bool needs_none(const struct cpuset_job *job, const struct cpulist *cpus)
{
	struct cpulist boot = isolated_at_boot(job);

	return cpulist_contains(&boot, cpus);
}

static int isolate_vcpu(struct cpuset_job *job, const char *group, const struct cpulist *cpus)
{
	int r = 0;

	if (is_to_count_none(job))
		count_pressure(job, group, false);
	if (needs_none(job, cpus))
		return 0;
	r = groups_write_cpus(job, group, EXCLUSIVE, cpus);
	return r < 0 ? r : groups_write(job, group, PARTITION, layout_name(LAYOUT_ISOLATED));
}

/* Return: 0 valid, -ENOENT no such group, -EINVAL when the kernel does not have it so */
static int verify_group(struct cpuset_job *job, const char *group, enum layout layout)
{
	char state[ATTR_MAX];
	int r = groups_read(job, group, PARTITION, state, sizeof(state));

	if (r < 0)
		return job_why(job, r, "cannot read " PARTITION " of %s: %s", group, strerror(-r));
	if (strcmp(state, layout_name(layout)) == 0)
		return 0;
	return job_why(job, -EINVAL, "the kernel has the partition %s as '%s'", group, state);
}

static int verify_vcpu(struct cpuset_job *job, const char *group, const struct cpulist *cpus)
{
	return needs_none(job, cpus) ? 0 : verify_group(job, group, LAYOUT_ISOLATED);
}

/* The kernel may grant less than was asked for: see exclusive.effective, since Linux 7 */
static int verify_root(struct cpuset_job *job, const struct guest_groups *groups)
{
	struct cpulist granted;
	char want[ATTR_MAX], got[ATTR_MAX];
	int r = verify_group(job, groups->guest, LAYOUT_ROOT);

	if (r == 0)
		r = groups_read_cpus(job, groups->guest, EXCLUSIVE ".effective", &granted);
	if (r < 0)
		return r;
	if (cpulist_contains(&granted, &job->pins.cpus))
		return 0;
	return job_why(job, -EINVAL, "the kernel grants %s only the CPUs %s of %s", groups->guest,
		       job_cpus_text(&granted, got, sizeof(got)),
		       job_cpus_text(&job->pins.cpus, want, sizeof(want)));
}

static int verify(struct cpuset_job *job, const struct guest_groups *groups, enum layout layout)
{
	if (job->ctx->dry_run)
		return 0;
	return layout == LAYOUT_ROOT ? verify_root(job, groups)
				     : each_vcpu(job, groups, verify_vcpu);
}

/* Of what lies above the vCPUs' groups, and is nobody else's */
static void count_pressure_above(struct cpuset_job *job, const struct guest_groups *groups, bool on)
{
	if (!is_to_count_none(job))
		return;
	count_pressure(job, groups->guest, on);
	if (strcmp(groups->guest, groups->base) != 0)
		count_pressure(job, groups->base, on);
}

static int make_isolated(struct cpuset_job *job, const struct guest_groups *groups)
{
	int r;

	count_pressure_above(job, groups, false);
	r = groups_write_cpus(job, groups->guest, EXCLUSIVE, &job->pins.cpus);
	if (r == 0 && strcmp(groups->guest, groups->base) != 0)
		r = groups_write_cpus(job, groups->base, EXCLUSIVE, &job->pins.cpus);
	return r < 0 ? r : each_vcpu(job, groups, isolate_vcpu);
}

static int make_root(struct cpuset_job *job, const struct guest_groups *groups)
{
	int r = groups_write_cpus(job, groups->guest, EXCLUSIVE, &job->pins.cpus);

	return r < 0 ? r : groups_write(job, groups->guest, PARTITION, layout_name(LAYOUT_ROOT));
}

/*
 * A plain member's exclusive CPUs isolate nothing and go with the group: while its CPU is offline
 * the kernel does not take them out (-EBUSY), and that is no failure.
 * Seen on: Linux 7.2.12
 *
 * Return: 0, -ENOENT or -ENODEV when the group is gone, else -errno with why
 */
static int reset_group(struct cpuset_job *job, const char *group)
{
	char state[ATTR_MAX];
	int r = groups_read(job, group, PARTITION, state, sizeof(state));

	if (r < 0)
		return job_why(job, r, "cannot read " PARTITION " of %s: %s", group, strerror(-r));
	r = strcmp(state, layout_name(LAYOUT_NONE)) == 0
		    ? 0
		    : groups_write(job, group, PARTITION, layout_name(LAYOUT_NONE));
	if (r < 0)
		return r;
	r = groups_write(job, group, EXCLUSIVE, "");
	return r == -EBUSY ? 0 : r;
}

/* The first error counts, and the rest is done all the same */
static void reset_or_note(struct cpuset_job *job, const char *group, int *error, char *why)
{
	int r = reset_group(job, group);

	if (r >= 0 || r == -ENOENT || r == -ENODEV || *error < 0)
		return;
	*error = r;
	memcpy(why, job->why, WHY_MAX);
}

/* The vCPUs' groups, then what is above them */
static int reset_groups(struct cpuset_job *job, const struct guest_groups *groups,
			const struct strlist *names)
{
	char group[PATH_MAX], why[WHY_MAX];
	int error = 0;

	for (size_t i = 0; i < names->nr; i++) {
		if (strncmp(names->names[i], "vcpu", strlen("vcpu")) != 0 ||
		    path_format(group, sizeof(group), "%s/%s", groups->base, names->names[i]) < 0)
			continue;
		reset_or_note(job, group, &error, why);
		if (is_to_count_none(job))
			count_pressure(job, group, true);
	}
	if (strcmp(groups->guest, groups->base) != 0)
		reset_or_note(job, groups->base, &error, why);
	reset_or_note(job, groups->guest, &error, why);
	count_pressure_above(job, groups, true);
	return error < 0 ? job_why(job, error, "%s", why) : 0;
}

int partition_undo(struct cpuset_job *job, const char *base)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	struct guest_groups groups;
	char path[PATH_MAX];
	int r = groups_mount(job);

	if (r < 0)
		return r;
	if (groups_of_base(base, &groups) < 0 ||
	    path_format(path, sizeof(path), "%s/%s", job->mount, base) < 0)
		return job_why(job, -EBADMSG, "the journal's group '%s' is none", base);
	r = attr_list(job->ctx->rootfd, path, &names);
	/* Gone already, or going: then there is nothing to do */
	if (r == -ENOENT || r == -ENODEV)
		return 0;
	if (r < 0)
		return job_why(job, r, "cannot list the groups in /%s: %s", path, strerror(-r));
	return reset_groups(job, &groups, &names);
}

static int take_ancestors(struct cpuset_job *job, const struct guest_groups *groups)
{
	char group[PATH_MAX];
	size_t len = 0;

	while ((len = groups_next_ancestor(groups->guest, len, group)) > 0) {
		int r = setting_take(job, &setting_exclusive, group);

		if (r < 0)
			return r;
	}
	return 0;
}

int partition_check_boot(struct cpuset_job *job)
{
	struct cpulist isolated = isolated_at_boot(job);
	char list[ATTR_MAX];

	if (!cpulist_intersects(&isolated, &job->pins.cpus))
		return 0;
	return job_why(job, -EOPNOTSUPP,
		       "CPUs %s are isolated by isolcpus= at boot, and the vCPUs share theirs: pin "
		       "each vCPU to one CPU of its own",
		       job_cpus_text(&isolated, list, sizeof(list)));
}

/* @file: below the mount */
static int check_file(struct cpuset_job *job, const char *file)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", job->mount, file);

	if (r == 0)
		r = attr_exists(job->ctx->rootfd, path);
	if (r < 0)
		return job_why(job, r, "cannot look for /%s: %s", path, strerror(-r));
	if (r > 0)
		return 0;
	return job_why(job, -EOPNOTSUPP,
		       "this kernel has no " EXCLUSIVE " (it came with Linux 6.7)");
}

int partition_check_kernel(struct cpuset_job *job)
{
	return check_file(job, "cpuset.cpus.isolated");
}

static int check_kernel(struct cpuset_job *job, const struct guest_groups *groups)
{
	char file[PATH_MAX];

	if (job->ahead)
		return partition_check_kernel(job);
	return path_format(file, sizeof(file), "%s/" EXCLUSIVE, groups->guest)
		       ?: check_file(job, file);
}

/* Return: 1 when an earlier apply has done it all, 0 when it is to be done, else -errno */
static int announce(struct cpuset_job *job, const struct guest_groups *groups, enum layout layout)
{
	int r = job_announce(job, "guest", groups->base, layout_name(layout));

	if (r != 0)
		return r < 0 ? r : 0;
	if (verify(job, groups, layout) == 0)
		return 1;
	return partition_undo(job, groups->base);
}

static int make(struct cpuset_job *job, const struct guest_groups *groups, enum layout layout)
{
	int made = announce(job, groups, layout);
	int r = made < 0 ? made : take_ancestors(job, groups);

	if (r == 0 && made == 0)
		r = layout == LAYOUT_ROOT ? make_root(job, groups) : make_isolated(job, groups);
	if (r == 0)
		r = verify(job, groups, layout);
	if (r == -EINVAL)
		conflict_name(job);
	return r;
}

static bool has_pin(const struct pins *pins, const char *group)
{
	char name[24];

	for (size_t i = 0; i < pins->nr_vcpus; i++)
		if (path_format(name, sizeof(name), "vcpu%u", pins->vcpus[i].vcpu) == 0 &&
		    strcmp(name, group) == 0)
			return true;
	return false;
}

/* Return: 0, also for a group that has gone, -ENOMEM */
static int load_side(struct cpuset_job *job, const struct guest_groups *groups, const char *name)
{
	char group[PATH_MAX];
	struct side_pin side = { .floats = strncmp(name, "vcpu", strlen("vcpu")) == 0 };

	if (path_format(side.group, sizeof(side.group), "%s", name) < 0 ||
	    path_format(group, sizeof(group), "%s/%s", groups->base, name) < 0 ||
	    groups_read_cpus(job, group, "cpuset.cpus", &side.cpus) < 0 ||
	    (cpulist_empty(&side.cpus) && !side.floats))
		return 0;
	return pins_add_side(&job->pins, &side);
}

/* Beside the pinned vCPUs, which have theirs from the claim */
static bool is_side(const struct cpuset_job *job, const char *name)
{
	return groups_is_side(name) ||
	       (strncmp(name, "vcpu", strlen("vcpu")) == 0 && !has_pin(&job->pins, name));
}

/* What libvirt has made of the XML: <vcpu cpuset=> pins the emulator, too, where nothing else does */
static int load_sides(struct cpuset_job *job, const struct guest_groups *groups)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", job->mount, groups->base);

	/* Those of the claim, then */
	if (job->ahead)
		return 0;
	if (r == 0)
		r = attr_list(job->ctx->rootfd, path, &names);
	job->pins.nr_sides = 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (is_side(job, names.names[i]))
			r = load_side(job, groups, names.names[i]);
	return r < 0 ? job_why(job, r, "cannot list the guest's groups in /%s: %s", path,
			       strerror(-r))
		     : 0;
}

static int find_groups(struct cpuset_job *job, struct guest_groups *groups)
{
	int r = groups_mount(job);

	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, groups);
	if (r == 0)
		r = check_kernel(job, groups);
	return r < 0 ? r : load_sides(job, groups);
}

/* Return: 1 when a CPU is offline and what there is of the partitions is left, 0, else -errno */
static int check_online(struct cpuset_job *job, const struct guest_groups *groups)
{
	struct cpulist online, missing = job->pins.cpus;
	char list[256];

	if (job_host_cpus(job, "online", &online) < 0)
		return 0;
	cpulist_subtract(&missing, &online);
	if (cpulist_empty(&missing))
		return 0;
	(void)job_cpus_text(&missing, list, sizeof(list));
	if (!journal_find(&job->journal, "guest", groups->base))
		return job_why(job, -ENODEV, "CPU %s is not online", list);
	helper_say(job->ctx,
		   "CPU %s is offline and not isolated: run usher recover when it is back", list);
	return 1;
}

/* The journal has what was made first: pins of the emulator that have changed since make it another */
static int verify_either(struct cpuset_job *job, const struct guest_groups *groups,
			 const char *first)
{
	bool root = strcmp(first, layout_name(LAYOUT_ROOT)) == 0;
	char why[WHY_MAX];
	int r = verify(job, groups, root ? LAYOUT_ROOT : LAYOUT_ISOLATED);

	if (r >= 0)
		return r;
	memcpy(why, job->why, sizeof(why));
	if (verify(job, groups, root ? LAYOUT_ISOLATED : LAYOUT_ROOT) == 0)
		return 0;
	return job_why(job, r, "%s", why);
}

int partition_verify(struct cpuset_job *job)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	const struct journal_record *record = NULL;
	struct guest_groups groups;
	int r = journal_open(job->ctx->dirfd, job->ctx->helper->name, false, &journal);

	if (r == 0)
		r = groups_mount(job);
	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, &groups);
	if (r == 0)
		record = journal_find(&journal, "guest", groups.base);
	if (!record)
		return 0;
	return verify_either(job, &groups, record->new_value);
}

/*
 * The kernel would take the CPUs of a guest without policy or of a container without a word. Who
 * came after the partition was made has found it so.
 */
static int check_others(struct cpuset_job *job, const struct guest_groups *groups)
{
	struct conflict conflict = { .kind = CONFLICT_NONE };
	int r = journal_find(&job->journal, "guest", groups->base) ? 0
								   : conflict_find(job, &conflict);

	if (r < 0 || conflict.kind != CONFLICT_REFUSED)
		return r;
	return conflict_why(job, -EOPNOTSUPP, &conflict);
}

int partition_apply(struct cpuset_job *job)
{
	struct guest_groups groups;
	char note[WHY_MAX];
	enum layout layout;
	int r = find_groups(job, &groups);

	if (r == 0)
		r = check_online(job, &groups);
	if (r != 0)
		return r < 0 ? r : 0;
	layout = pins_layout(&job->pins, note);
	if (layout == LAYOUT_NONE)
		return job_why(job, -EOPNOTSUPP, "%s", note);
	if (layout == LAYOUT_ROOT)
		r = partition_check_boot(job);
	if (r == 0)
		r = check_others(job, &groups);
	if (r == 0 && layout == LAYOUT_ISOLATED)
		r = workqueue_announce(job);
	if (r == 0)
		r = make(job, &groups, layout);
	if (r == 0)
		r = layout == LAYOUT_ROOT ? workqueue_take(job) : workqueue_take_isolated(job);
	if (r == 0 && *note)
		helper_say(job->ctx, "its CPUs are kept free as a whole, not each by itself: %s",
			   note);
	return r;
}
