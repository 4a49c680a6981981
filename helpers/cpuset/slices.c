/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/slices.c - systemd's AllowedCPUs on everything but the guests */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "../../lib/attr.h"
#include "../../lib/sysbus.h"
#include "cpuset.h"

/*
 * How it works
 *
 * systemd writes a unit's AllowedCPUs to its cgroup some time after it has answered, so the
 * effect is read back from cpuset.cpus.effective. On the way back an empty value would leave the
 * cgroup as it is, because the kernel does not empty the cpuset.cpus of a group with processes in
 * it: first the full list, then the empty value.
 *
 * What systemd keeps of a runtime setting, the drop-in 50-AllowedCPUs.conf, says nothing any more
 * when the value is back, and is removed. No daemon-reload for that: it would put systemd's own
 * values over what libvirt has set on running guests. Until the next one somebody else asks for,
 * systemctl status of these units says that they changed on disk.
 *
 * Seen on: systemd 257, 2026-11 (the drop-ins and their place, what an empty value leaves)
 */

#define DROP_IN "50-AllowedCPUs.conf"

/* How long systemd may take to write what it has accepted */
#define EFFECT_TIMEOUT_MS 500
#define EFFECT_POLL_NS	  1000000

/* Where systemd puts runtime settings: init.scope has no unit file, which makes it transient */
static const struct unit {
	const char *name;
	const char *control;
} units[] = {
	{ "system.slice", "run/systemd/system.control" },
	{ "user.slice", "run/systemd/system.control" },
	{ "init.scope", "run/systemd/transient" },
};

static int slice_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = sysbus_get_allowed_cpus(object, ret, job_left(job));

	return r < 0 ? job_why(job, r == -ENOENT ? -EIO : r,
			       "cannot ask systemd for AllowedCPUs of %s: %s", object, strerror(-r))
		     : 0;
}

/* Return: 1 when the unit's processes may run on exactly @cpus, as far as anybody may, else 0 */
static int in_effect(const struct cpuset_job *job, const char *unit, const struct cpulist *cpus)
{
	struct cpulist now, most;
	int r;

	if (groups_read_cpus(job, "", "cpuset.cpus.effective", &most) < 0)
		return 0;
	r = groups_read_cpus(job, unit, "cpuset.cpus.effective", &now);
	/* Without the controller it has all that there are */
	if (r == -ENOENT)
		now = most;
	else if (r < 0)
		return 0;
	cpulist_intersect(&most, cpus);
	return cpulist_equal(&now, &most);
}

static bool comes_into_effect(const struct cpuset_job *job, const char *unit,
			      const struct cpulist *cpus)
{
	const struct timespec pause = { .tv_nsec = EFFECT_POLL_NS };
	long long deadline = deadline_in(EFFECT_TIMEOUT_MS);

	while (!in_effect(job, unit, cpus)) {
		if (deadline_left(deadline) == 0 || job_left(job) == 0)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

static int set(struct cpuset_job *job, const char *unit, const struct cpulist *cpus)
{
	char list[ATTR_MAX];
	int r;

	(void)job_cpus_text(cpus, list, sizeof(list));
	if (helper_would(job->ctx, "set AllowedCPUs=%s of %s until the next boot", list, unit))
		return 0;
	r = sysbus_set_allowed_cpus(unit, cpus, job_left(job));
	return r < 0 ? job_why(job, r == -ENOENT ? -EIO : r, "cannot set AllowedCPUs=%s of %s: %s",
			       list, unit, strerror(-r))
		     : 0;
}

static int slice_write(struct cpuset_job *job, const char *object, const struct cpulist *value)
{
	char list[ATTR_MAX];
	int r = set(job, object, value);

	if (r < 0 || job->ctx->dry_run || comes_into_effect(job, object, value))
		return r;
	return job_why(job, -ETIMEDOUT,
		       "systemd accepted AllowedCPUs=%s for %s, but cpuset.cpus.effective does not "
		       "say so",
		       job_cpus_text(value, list, sizeof(list)), object);
}

static int slice_reset(struct cpuset_job *job, const char *object)
{
	const struct cpulist unset = { 0 };
	struct cpulist all;
	char list[ATTR_MAX];
	int r = job_host_cpus(job, "possible", &all);

	if (r < 0)
		return job_why(job, r, "cannot read which CPUs there are: %s", strerror(-r));
	r = slice_write(job, object, &all);
	if (r == 0)
		r = set(job, object, &unset);
	if (r < 0 || job->ctx->dry_run || comes_into_effect(job, object, &all))
		return r;
	return job_why(job, -ETIMEDOUT,
		       "systemd has cleared AllowedCPUs of %s, but cpuset.cpus.effective is not %s",
		       object, job_cpus_text(&all, list, sizeof(list)));
}

/* Somebody may have written to the cgroup itself since: systemd does not look */
static bool slice_holds(const struct cpuset_job *job, const char *object,
			const struct cpulist *value)
{
	struct cpulist now;

	if (cpulist_empty(value))
		return job_host_cpus(job, "possible", &now) < 0 || in_effect(job, object, &now);
	return groups_read_cpus(job, object, "cpuset.cpus.effective", &now) < 0 ||
	       cpulist_contains(value, &now);
}

static const struct unit *find_unit(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

static int drop_in_key(const struct unit *unit, char *buf, size_t size)
{
	return path_format(buf, size, "%s/%s.d/" DROP_IN, unit->control, unit->name);
}

/* Is there a runtime drop-in that is not ours: then it is the admin's, and stays */
static int drop_in_note(struct cpuset_job *job, const struct unit *unit,
			int (*note)(struct baseline *baseline, const char *setting,
				    const char *value))
{
	char path[PATH_MAX];
	int r = drop_in_key(unit, path, sizeof(path));

	if (r < 0 || job->ctx->dry_run)
		return r;
	r = attr_exists(job->ctx->rootfd, path);
	if (r >= 0)
		r = note(&job->baseline, path, r > 0 ? "there" : "none");
	return r < 0 ? job_why(job, r, "cannot keep the baseline of /%s: %s", path, strerror(-r))
		     : 0;
}

/*
 * A runtime value that somebody else sets is in the place of ours, and its drop-in is the admin's. A
 * lasting one has its own in /etc, which hides ours: that goes at the end all the same.
 *
 * Return: 1 when there is a lasting one, 0, else -errno
 */
static int has_lasting(const struct cpuset_job *job, const struct unit *unit)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "etc/systemd/system.control/%s.d/" DROP_IN,
			    unit->name);

	return r < 0 ? r : attr_exists(job->ctx->rootfd, path);
}

static int slice_adopt(struct cpuset_job *job, const char *object)
{
	const struct unit *unit = find_unit(object);
	int r = unit ? has_lasting(job, unit) : -EBADMSG;

	if (r != 0)
		return r < 0 ? r : 0;
	return drop_in_note(job, unit, baseline_renew);
}

const struct setting_kind setting_slice = {
	.verb = "slice",
	.takes = true,
	.top = true,
	.holds = slice_holds,
	.read = slice_read,
	.write = slice_write,
	.adopt = slice_adopt,
	.reset = slice_reset,
};

/* One that holds something else stays */
static int remove_empty(int dirfd, const char *path)
{
	if (unlinkat(dirfd, path, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENOTEMPTY ||
	    errno == EEXIST)
		return 0;
	return -errno;
}

static int drop_in_unlink(const struct cpuset_job *job, const struct unit *unit)
{
	_cleanup_close_ int control =
		attr_open(job->ctx->rootfd, unit->control, O_RDONLY | O_DIRECTORY);
	_cleanup_close_ int run =
		attr_open(job->ctx->rootfd, "run/systemd", O_RDONLY | O_DIRECTORY);
	char path[NAME_MAX + 1];
	int r = path_format(path, sizeof(path), "%s.d/" DROP_IN, unit->name);

	if (r == 0)
		r = control < 0 ? control : run < 0 ? run : 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (unlinkat(control, path, 0) < 0 && errno != ENOENT)
		return -errno;
	r = path_format(path, sizeof(path), "%s.d", unit->name);
	if (r == 0)
		r = remove_empty(control, path);
	return r < 0 ? r : remove_empty(run, "system.control");
}

static int drop_in_give_back(struct cpuset_job *job, const struct unit *unit, bool ours)
{
	_cleanup_free_ char *before = NULL;
	char path[PATH_MAX];
	int r = drop_in_key(unit, path, sizeof(path));

	if (r == 0 && job->baseline.dirfd >= 0)
		r = baseline_get(&job->baseline, path, &before);
	if (r < 0)
		return job_why(job, r, "cannot read the baseline of /%s: %s", path, strerror(-r));
	if (!before)
		return 0;
	if (ours && strcmp(before, "none") == 0) {
		if (helper_would(job->ctx, "remove /%s", path))
			return 0;
		r = drop_in_unlink(job, unit);
	}
	if (r >= 0 && !job->ctx->dry_run)
		r = baseline_forget(&job->baseline, path);
	return r < 0 ? job_why(job, r, "cannot remove /%s: %s", path, strerror(-r)) : 0;
}

/* No cgroup, no processes in it. Return: 1 or 0, else -errno with why */
static int has_group(struct cpuset_job *job, const char *unit)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", job->mount, unit);

	return r < 0 ? r : job_exists(job, path);
}

static int take_unit(struct cpuset_job *job, const struct unit *unit)
{
	int r = setting_announce(job, &setting_slice, unit->name);

	if (r == 0)
		r = drop_in_note(job, unit, baseline_keep);
	return r < 0 ? r : setting_take(job, &setting_slice, unit->name);
}

int slices_able(struct cpuset_job *job)
{
	int r = job_exists(job, "run/systemd/system");

	if (r != 0)
		return r < 0 ? r : 0;
	return job_why(job, -EOPNOTSUPP, "this host does not run systemd");
}

int slices_check(struct cpuset_job *job, const struct cpulist *held)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(units); i++) {
		r = has_group(job, units[i].name);
		if (r > 0)
			r = setting_check(job, &setting_slice, units[i].name, held);
	}
	return r;
}

int slices_apply(struct cpuset_job *job)
{
	int r = groups_mount(job);

	if (r == 0)
		r = slices_able(job);
	/* systemd would write over it */
	if (r == 0)
		r = setting_refuse_beside(job, "plain", "plain");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(units); i++) {
		r = has_group(job, units[i].name);
		if (r > 0)
			r = take_unit(job, &units[i]);
	}
	if (r == 0)
		r = workqueue_take(job);
	if (r == 0)
		rcu_take(job);
	return r;
}

int slices_undo(struct cpuset_job *job, const char *object)
{
	const struct unit *unit = find_unit(object);
	int r, ours;

	if (!unit)
		return job_why(job, -EBADMSG, "the journal's unit '%s' is none of ours", object);
	r = groups_mount(job);
	if (r == 0)
		r = setting_give_back(job, &setting_slice, object);
	if (r < 0 || setting_shared(job, &setting_slice, object))
		return r;
	ours = r == 0 ? 1 : has_lasting(job, unit);
	if (ours < 0)
		return job_why(job, ours, "cannot look for what an admin has set for %s: %s",
			       object, strerror(-ours));
	return drop_in_give_back(job, unit, ours);
}
