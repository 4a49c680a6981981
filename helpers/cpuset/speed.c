/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/speed.c - how fast the guest's CPUs run and wake, as the policy wants it */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "cpuset.h"

/*
 * How it works
 *
 * Nothing of this is done unless the policy says so, but for two that keep the kernel's own work off:
 * its statistics of memory, which it folds by work on each CPU every vm.stat_interval seconds, were
 * two thirds of what ran on an isolated CPU beside the guest; for the other see cursor.c. A cpufreq
 * policy can be that of several CPUs, and so of several guests, and these two are everybody's: each
 * value is a shared setting. Its baseline is what it was before the
 * first guest; a guest's share stands in its journal as VERB OBJECT "" VALUE; while another guest
 * has one the value is that guest's, and after the last the baseline. A value that nobody of us
 * has written stays, and is said; where another guest takes the setting it is the new baseline.
 *
 * A governor "performance" makes intel_pstate and amd_pstate set the energy preference to
 * "performance" too, and only the first of them sets it back: what the preference was is kept
 * before the governor is written, and given back after it.
 *
 * The values of a CPU that is offline cannot be read or written, and are back with it: a share in
 * them is kept until then.
 *
 * ABI: show() in drivers/cpufreq/cpufreq.c, -EBUSY; Documentation/admin-guide/pm/cpufreq.rst, intel_pstate.rst, amd-pstate.rst;
 * Documentation/ABI/testing/sysfs-devices-power, pm_qos_resume_latency_us;
 * Documentation/admin-guide/sysctl/vm.rst, stat_interval
 */

#define WHOLE_HOST "vm"
#define CONSOLE	   "fbcon"

/* Where a value lies: one row each; in this order they are set, and given back */
static const struct speed {
	const char *verb;
	const char *key; /* of the claim's section */
	const char *dir, *file;
	const char *prefix; /* of the object's name: "policy2", "cpu2"; or all of it */
} speeds[] = {
	{ "governor", "governor", "sys/devices/system/cpu/cpufreq", "scaling_governor", "policy" },
	{ "energy", "energy_preference", "sys/devices/system/cpu/cpufreq",
	  "energy_performance_preference", "policy" },
	{ "latency", "wake_latency_us", "sys/devices/system/cpu", "power/pm_qos_resume_latency_us",
	  "cpu" },
	{ "vmstat", "stat_interval", "proc/sys", "stat_interval", WHOLE_HOST },
	{ "cursor", "cursor_blink", "sys/class/graphics", "cursor_blink", CONSOLE },
};

static bool is_console(const struct speed *speed)
{
	return strcmp(speed->prefix, CONSOLE) == 0;
}

static bool is_of_host(const struct speed *speed)
{
	return strcmp(speed->prefix, WHOLE_HOST) == 0 || is_console(speed);
}

/* The governor that brings an energy preference of the same name with it */
#define PERFORMANCE "performance"

static int speed_path(const struct speed *speed, const char *object, char *buf, size_t size)
{
	return path_format(buf, size, "%s/%s/%s", speed->dir, object, speed->file);
}

/* @before: it is to be written */
static int speed_read(const struct cpuset_job *job, const struct speed *speed, const char *path,
		      bool before, char *buf, size_t size)
{
	return is_console(speed) ? cursor_read(job, path, before, buf, size)
				 : attr_read(job->ctx->rootfd, path, buf, size);
}

/* Return: 0, -ENOENT when this CPU has no such thing, else -errno */
static int object_of(struct cpuset_job *job, const struct speed *speed, unsigned int cpu, char *buf,
		     size_t size)
{
	char path[64];
	int r;

	if (is_of_host(speed))
		return path_format(buf, size, "%s", speed->prefix);
	if (strcmp(speed->prefix, "cpu") == 0)
		return path_format(buf, size, "cpu%u", cpu);
	r = path_format(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cpufreq", cpu);
	if (r == 0)
		r = attr_link(job->ctx->rootfd, path, buf, size);
	return r < 0 ? r : 0;
}

static bool is_object(const struct speed *speed, const char *object)
{
	size_t len = strlen(speed->prefix);
	unsigned int number;

	if (is_of_host(speed))
		return strcmp(object, speed->prefix) == 0;
	return strncmp(object, speed->prefix, len) == 0 &&
	       parse_uint(object + len, 10, CPULIST_MAX, &number) == 0;
}

static int key_of(const struct speed *speed, const char *object, char *buf, size_t size)
{
	return path_format(buf, size, "%s %s", speed->verb, object);
}

static bool is_of(const char *verb, const char *object, const struct speed *speed, const char *of)
{
	return strcmp(verb, speed->verb) == 0 && strcmp(object, of) == 0;
}

/* Has a guest of ours written @value there; dead ones count, too */
static bool is_written(const struct cpuset_job *job, const struct speed *speed, const char *object,
		       const char *value)
{
	const struct journal_record *mine = journal_find(&job->journal, speed->verb, object);

	if (mine && strcmp(mine->new_value, value) == 0)
		return true;
	for (size_t i = 0; i < job->others.nr; i++) {
		const struct share *share = &job->others.list[i];

		if (is_of(share->verb, share->object, speed, object) &&
		    strcmp(share->value, value) == 0)
			return true;
	}
	return false;
}

/* Written by us, or come with a governor that we have written */
static bool is_ours(const struct cpuset_job *job, const struct speed *speed, const char *object,
		    const char *value)
{
	return is_written(job, speed, object, value) ||
	       (speed == &speeds[1] && strcmp(value, PERFORMANCE) == 0 &&
		is_written(job, &speeds[0], object, value));
}

/* What somebody else has made of it since the first guest is the baseline from now on */
static int renew_base(struct cpuset_job *job, const struct speed *speed, const char *object,
		      const char *key, const char *now)
{
	_cleanup_free_ char *base = NULL;
	int r = baseline_get(&job->baseline, key, &base);

	if (r <= 0 || strcmp(base, now) == 0 || is_ours(job, speed, object, now))
		return r;
	return baseline_renew(&job->baseline, key, now);
}

static int keep_base(struct cpuset_job *job, const struct speed *speed, const char *object,
		     const char *now)
{
	char key[PATH_MAX];
	int r = key_of(speed, object, key, sizeof(key));

	if (r == 0 && !job->ctx->dry_run)
		r = baseline_keep(&job->baseline, key, now);
	if (r == 0 && !job->ctx->dry_run)
		r = renew_base(job, speed, object, key, now);
	return r < 0 ? job_why(job, r, "cannot keep what %s was: %s", object, strerror(-r)) : 0;
}

/*
 * A cursor that has blinked a moment ago and rests now, as it does while others have the console's
 * lock: that is not what it was
 */
static bool rests(const struct cpuset_job *job, const struct speed *speed, const char *object,
		  const char *now)
{
	return is_console(speed) && strcmp(now, CURSOR_BLINKS) != 0 &&
	       !is_ours(job, speed, object, now);
}

/* @write: false when the kernel does it by itself. Return: 0, else -errno with why */
static int take(struct cpuset_job *job, const struct speed *speed, const char *object,
		const char *want, bool write)
{
	char path[PATH_MAX], now[ATTR_MAX];
	int r = speed_path(speed, object, path, sizeof(path));

	if (r == 0)
		r = speed_read(job, speed, path, true, now, sizeof(now));
	if (r < 0)
		return job_why(job, r, "cannot read /%s: %s", path, strerror(-r));
	if (rests(job, speed, object, now))
		return 0;
	r = job_announce(job, speed->verb, object, want);
	if (r >= 0)
		r = keep_base(job, speed, object, now);
	if (r < 0 || !write || strcmp(now, want) == 0)
		return r;
	r = is_console(speed) ? cursor_write(job, path, want) : helper_write(job->ctx, path, want);
	return r < 0 ? job_why(job, r, "cannot write %s to /%s: %s", want, path, strerror(-r)) : 0;
}

static const char *want_of(const struct cpuset_job *job, const struct speed *speed)
{
	return inidoc_get(&job->ctx->claim.doc, "cpuset", speed->key);
}

/* What comes with the governor, where the kernel has it; what the policy says of it comes later */
static int take_with_governor(struct cpuset_job *job, const char *object)
{
	const struct speed *governor = &speeds[0], *energy = &speeds[1];
	const char *want = want_of(job, governor);
	char path[PATH_MAX];
	int r = speed_path(energy, object, path, sizeof(path));

	if (r < 0 || !want || strcmp(want, PERFORMANCE) != 0)
		return r;
	r = job_exists(job, path);
	return r <= 0 ? r : take(job, energy, object, want_of(job, energy) ?: PERFORMANCE, false);
}

/* What another live guest wants there. Return: NULL for none */
static const char *others_want(const struct cpuset_job *job, const struct speed *speed,
			       const char *object)
{
	for (size_t i = job->others.nr; i-- > 0;) {
		const struct share *share = &job->others.list[i];

		if (share->alive && is_of(share->verb, share->object, speed, object))
			return share->value;
	}
	return NULL;
}

static bool is_no_less(const char *now, const char *want)
{
	unsigned long long is, least;

	return parse_ull(now, 10, ULLONG_MAX, &is) == 0 &&
	       parse_ull(want, 10, ULLONG_MAX, &least) == 0 && is >= least;
}

/* Does the kernel do so as seldom already, or has it nothing of the kind */
static bool is_rare(const struct cpuset_job *job, const struct speed *speed, const char *want)
{
	char path[PATH_MAX], now[ATTR_MAX];
	int r;

	if (!is_of_host(speed) || speed_path(speed, speed->prefix, path, sizeof(path)) < 0)
		return false;
	r = speed_read(job, speed, path, true, now, sizeof(now));
	if (r < 0)
		return r == -ENOENT || is_console(speed);
	/* What another guest has made it is ours to keep */
	if (is_ours(job, speed, speed->prefix, now))
		return false;
	return is_console(speed) ? strcmp(now, CURSOR_BLINKS) != 0 : is_no_less(now, want);
}

/* @done: CPUs that share an object take it once */
static int take_cpu(struct cpuset_job *job, const struct speed *speed, unsigned int cpu,
		    const char *want, struct strlist *done)
{
	char object[64];
	int r = object_of(job, speed, cpu, object, sizeof(object));

	if (r < 0)
		return job_why(job, r, "CPU %u has no %s", cpu, speed->file);
	if (strlist_has(done, object))
		return 0;
	if (speed == &speeds[0])
		r = take_with_governor(job, object);
	if (r >= 0 && !is_rare(job, speed, want))
		r = take(job, speed, object, want, true);
	if (r < 0)
		return r;
	r = strlist_add(done, object);
	return r < 0 ? job_why(job, r, "%s", strerror(-r)) : 0;
}

/* The kernel's word for no latency at all is not 0, which is no bound */
static const char *kernel_word(const struct speed *speed, const char *want)
{
	return strcmp(speed->verb, "latency") == 0 && strcmp(want, "0") == 0 ? "n/a" : want;
}

static void say_without(struct cpuset_job *job, const struct speed *speed, const char *want,
			const struct cpulist *without, const char *why)
{
	char list[256];

	if (cpulist_equal(without, &job->pins.cpus))
		helper_say(job->ctx, "%s = %s has no effect: %s", speed->key, want, why);
	else
		helper_say(job->ctx, "%s = %s has no effect on CPU %s: %s", speed->key, want,
			   job_cpus_text(without, list, sizeof(list)), why);
}

/* On each CPU that has it; one may be offline, or have no such file */
static void take_all(struct cpuset_job *job, const struct speed *speed, const char *want)
{
	_cleanup_strlist_ struct strlist done = { 0 };
	struct cpulist without = { 0 };
	char why[WHY_MAX];

	for (int cpu = cpulist_next(&job->pins.cpus, 0); cpu >= 0;
	     cpu = cpulist_next(&job->pins.cpus, (unsigned int)cpu + 1)) {
		if (take_cpu(job, speed, (unsigned int)cpu, kernel_word(speed, want), &done) >= 0)
			continue;
		if (cpulist_empty(&without))
			memcpy(why, job->why, sizeof(why));
		cpulist_add(&without, (unsigned int)cpu);
	}
	if (!cpulist_empty(&without))
		say_without(job, speed, want, &without, why);
}

void speed_take(struct cpuset_job *job)
{
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
		const char *want = want_of(job, &speeds[i]);

		if (want)
			take_all(job, &speeds[i], want);
	}
}

/* Is the CPU that gives @object its number offline: then that comes back with it */
static bool is_offline(const struct cpuset_job *job, const struct speed *speed, const char *object)
{
	struct cpulist online;
	unsigned int cpu;

	return !is_of_host(speed) &&
	       parse_uint(object + strlen(speed->prefix), 10, CPULIST_MAX, &cpu) == 0 &&
	       job_host_cpus(job, "online", &online) == 0 && !cpulist_has(&online, cpu);
}

/* Return: -ETIMEDOUT with why */
static int console_hangs(struct cpuset_job *job, const char *path)
{
	return job_why(
		job, -ETIMEDOUT,
		"/%s does not answer, a graphics driver holds the console (see dmesg): when it "
		"answers again, run usher recover",
		path);
}

/* Return: 0 when it has gone for good, else @error with why */
static int cannot_read(struct cpuset_job *job, const struct speed *speed, const char *object,
		       const char *path, int error)
{
	if (is_offline(job, speed, object))
		return job_why(job, error,
			       "/%s is not there while %s is offline: when it is online again, run "
			       "usher recover",
			       path, object);
	if (is_console(speed) && error == -ETIMEDOUT)
		return console_hangs(job, path);
	return error == -ENOENT
		       ? 0
		       : job_why(job, error, "cannot read /%s: %s", path, strerror(-error));
}

/*
 * Without a text console the kernel forgets what is written, until Linux 6.17
 *
 * Return: as put_back()
 */
static int put_cursor_back(struct cpuset_job *job, const char *path, const char *now,
			   const char *target)
{
	int r = cursor_write(job, path, target);

	if (r == -ETIMEDOUT)
		return console_hangs(job, path);
	if (r < 0)
		return job_why(job, r, "cannot write %s to /%s: %s", target, path, strerror(-r));
	/* While another guest wants it still, still it may be */
	if (strcmp(now, CURSOR_NONE) == 0 && strcmp(target, CURSOR_STILL) != 0)
		helper_say(job->ctx,
			   "no text console is shown, and the cursor of the next one may not "
			   "blink: echo %s >/%s there",
			   target, path);
	return 0;
}

/* Return: 0, also when it is gone or somebody else's by now (said), else -errno with why */
static int put_back(struct cpuset_job *job, const struct speed *speed, const char *object,
		    const char *target)
{
	const struct journal_record *mine = journal_find(&job->journal, speed->verb, object);
	char path[PATH_MAX], now[ATTR_MAX];
	int r = speed_path(speed, object, path, sizeof(path));

	if (r == 0)
		r = speed_read(job, speed, path, false, now, sizeof(now));
	if (r < 0)
		return cannot_read(job, speed, object, path, r);
	if (strcmp(now, target) == 0)
		return 0;
	if (is_console(speed))
		return put_cursor_back(job, path, now, target);
	if (mine && !is_ours(job, speed, object, now)) {
		helper_say(job->ctx, "/%s has been changed to %s meanwhile: left so", path, now);
		return 0;
	}
	r = helper_write_sure(job->ctx, path, target);
	return r < 0 ? job_why(job, r, "cannot write %s to /%s: %s", target, path, strerror(-r))
		     : 0;
}

static int give_back(struct cpuset_job *job, const struct speed *speed, const char *object)
{
	const char *other = others_want(job, speed, object);
	_cleanup_free_ char *base = NULL;
	char key[PATH_MAX];
	int r = key_of(speed, object, key, sizeof(key));

	if (!is_object(speed, object))
		return job_why(job, -EBADMSG, "the journal's %s '%s' is none", speed->verb, object);
	if (r == 0 && job->baseline.dirfd >= 0)
		r = baseline_get(&job->baseline, key, &base);
	if (r < 0)
		return job_why(job, r, "cannot read what %s was: %s", object, strerror(-r));
	/* Announced and never touched, or given back already */
	if (!base)
		return 0;
	r = put_back(job, speed, object, other ?: base);
	if (r < 0 || other || job->ctx->dry_run)
		return r;
	r = baseline_forget(&job->baseline, key);
	return r < 0 ? job_why(job, r, "cannot forget what %s was: %s", object, strerror(-r)) : 0;
}

int governor_undo(struct cpuset_job *job, const char *object)
{
	return give_back(job, &speeds[0], object);
}

int energy_undo(struct cpuset_job *job, const char *object)
{
	return give_back(job, &speeds[1], object);
}

int latency_undo(struct cpuset_job *job, const char *object)
{
	return give_back(job, &speeds[2], object);
}

int vmstat_undo(struct cpuset_job *job, const char *object)
{
	return give_back(job, &speeds[3], object);
}

int cursor_undo(struct cpuset_job *job, const char *object)
{
	return give_back(job, &speeds[4], object);
}
