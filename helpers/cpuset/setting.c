/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/setting.c - settings that several guests share: baseline and union */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/*
 * How it works
 *
 * A setting's value follows from its baseline and the shares of the live guests alone: put in
 * (exclusive) or taken out (slice, plain). In the baseline stand, per setting:
 *
 *	VERB OBJECT		the value before the first guest, "" when it was not set
 *	VERB OBJECT written	what was written last and what stood there before: "NEW OLD"
 *	VERB OBJECT left	what the last guest could not take out, while its CPU was offline
 *
 * A value that is neither the baseline nor of our making is somebody else's: it stays. What we
 * put in is known by the shares. What we took out is not, because CPUs come and go: there
 * "written" tells, noted before the write, so that a kill between the two leaves one of both.
 */

#define WRITTEN " written"
#define LEFT	" left"

static int setting_key(char *buf, size_t size, const struct setting_kind *kind, const char *object,
		       const char *what)
{
	return path_format(buf, size, "%s %s%s", kind->verb, object, what);
}

static bool is_share_of(const struct share *share, const char *verb, const char *object)
{
	return strcmp(share->verb, verb) == 0 && strcmp(share->object, object) == 0;
}

bool setting_shared(const struct cpuset_job *job, const struct setting_kind *kind,
		    const char *object)
{
	for (size_t i = 0; i < job->others.nr; i++)
		if (job->others.list[i].alive &&
		    is_share_of(&job->others.list[i], kind->verb, object))
			return true;
	return false;
}

int setting_refuse_beside(struct cpuset_job *job, const char *verb, const char *method)
{
	for (size_t i = 0; i < job->others.nr; i++)
		if (job->others.list[i].alive && strcmp(job->others.list[i].verb, verb) == 0)
			return job_why(job, -EOPNOTSUPP,
				       "another guest has its CPUs by method = %s, which sets the "
				       "same cgroups: set the same method in both policies",
				       method);
	return 0;
}

void setting_add_shares(const struct cpuset_job *job, const char *verb, const char *object,
			bool dead, struct cpulist *set)
{
	for (size_t i = 0; i < job->others.nr; i++) {
		const struct share *share = &job->others.list[i];

		if ((share->alive || dead) && is_share_of(share, verb, object))
			cpulist_union(set, &share->cpus);
	}
}

/* What must not be in a value over @base beside this guest's own */
static void add_others(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		       const struct cpulist *base, struct cpulist *held)
{
	setting_add_shares(job, kind->verb, object, false, held);
	if (kind->add_foreign)
		kind->add_foreign(job, base, held);
}

/* What the setting must be: @held by guests over the baseline @base */
static int compute(const struct cpuset_job *job, const struct setting_kind *kind,
		   const struct cpulist *base, const struct cpulist *held, struct cpulist *ret)
{
	int r = 0;

	*ret = *base;
	if (!kind->takes) {
		cpulist_union(ret, held);
		return 0;
	}
	/* "Not set" is every CPU, also one that comes online later */
	if (cpulist_empty(base))
		r = job_host_cpus(job, "possible", ret);
	cpulist_subtract(ret, held);
	return r;
}

static bool have_baseline(const struct cpuset_job *job)
{
	return job->baseline.dirfd >= 0;
}

/* Return: 1 with the set kept under @key, 0 when none is, else -errno */
static int kept(const struct cpuset_job *job, const char *key, struct cpulist *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = have_baseline(job) ? baseline_get(&job->baseline, key, &text) : 0;

	return r > 0 && cpulist_parse(text, ret) < 0 ? -EBADMSG : r;
}

/* Return: 1 with both sets, 0 when nothing was written yet, else -errno */
static int written_get(const struct cpuset_job *job, const char *key, struct cpulist *ret_new,
		       struct cpulist *ret_old)
{
	_cleanup_free_ char *text = NULL;
	int r = have_baseline(job) ? baseline_get(&job->baseline, key, &text) : 0;
	char *blank = r > 0 ? strchr(text, ' ') : NULL;

	if (r <= 0)
		return r;
	if (!blank)
		return -EBADMSG;
	*blank = '\0';
	if (cpulist_parse(text, ret_new) < 0 || cpulist_parse(blank + 1, ret_old) < 0)
		return -EBADMSG;
	return 1;
}

/* Replace what is kept under @key, "TEXT" or "TEXT OLD" */
static int keep(struct cpuset_job *job, const char *key, const struct cpulist *value,
		const struct cpulist *old)
{
	char text[2 * ATTR_MAX], value_text[ATTR_MAX], old_text[ATTR_MAX] = "";
	int r = cpulist_format(value, value_text, sizeof(value_text));

	if (job->ctx->dry_run)
		return 0;
	if (r == 0 && old)
		r = cpulist_format(old, old_text, sizeof(old_text));
	if (r == 0)
		r = path_format(text, sizeof(text), old ? "%s %s" : "%s%s", value_text, old_text);
	return r < 0 ? r : baseline_renew(&job->baseline, key, text);
}

static bool is_all(const struct cpuset_job *job, const struct cpulist *cpus)
{
	struct cpulist all;

	return job_host_cpus(job, "possible", &all) == 0 && cpulist_equal(cpus, &all);
}

/* Return: 1 when neither one of us nor the baseline has made it @now, 0 else, or -errno */
static int is_foreign(const struct cpuset_job *job, const struct setting_kind *kind,
		      const char *object, const struct cpulist *base, const struct cpulist *now)
{
	struct cpulist most = *base, written, before;
	char key[PATH_MAX];
	int r;

	if (cpulist_equal(now, base))
		return 0;
	if (!kind->takes) {
		cpulist_union(&most, &job->pins.cpus);
		setting_add_shares(job, kind->verb, object, true, &most);
		return !cpulist_contains(&most, now) || !cpulist_contains(now, base);
	}
	/* On the way back to "not set" */
	if (cpulist_empty(base) && is_all(job, now))
		return 0;
	r = setting_key(key, sizeof(key), kind, object, WRITTEN);
	if (r == 0)
		r = written_get(job, key, &written, &before);
	/* Without a note we have written nothing: it needed no change, or it is given back already */
	if (r <= 0)
		return r < 0 ? r : 1;
	return !cpulist_equal(now, &written) && !cpulist_equal(now, &before);
}

/* Of @base, take out what the last guest has left and what can be by now */
static int drop_left(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		     struct cpulist *base)
{
	struct cpulist left, online;
	char key[PATH_MAX];
	int r = setting_key(key, sizeof(key), kind, object, LEFT);

	if (r == 0)
		r = kept(job, key, &left);
	if (r <= 0 || job_host_cpus(job, "online", &online) < 0 ||
	    !cpulist_contains(&online, &left))
		return r < 0 ? r : 0;
	cpulist_subtract(base, &left);
	return job->ctx->dry_run ? 0 : baseline_forget(&job->baseline, key);
}

/* The baseline: @now for the first guest, and when somebody else has set it meanwhile */
static int base_take(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		     const struct cpulist *now, struct cpulist *ret)
{
	struct cpulist ours = { 0 };
	char key[PATH_MAX];
	bool foreign;
	int r = setting_key(key, sizeof(key), kind, object, "");

	if (r == 0)
		r = kept(job, key, ret);
	foreign = r > 0;
	if (foreign) {
		r = is_foreign(job, kind, object, ret, now);
		if (r == 0)
			return 0;
		/* Before the new baseline, which makes it ours */
		if (r > 0 && kind->adopt)
			r = kind->adopt(job, object);
	}
	if (r < 0)
		return r;
	*ret = *now;
	if (foreign && !kind->takes) {
		ours = job->pins.cpus;
		setting_add_shares(job, kind->verb, object, true, &ours);
		cpulist_subtract(ret, &ours);
	}
	r = drop_left(job, kind, object, ret);
	if (r >= 0)
		r = keep(job, key, ret, NULL);
	return r < 0 ? r : 0;
}

/* Return: 0, also when it cannot be for now, else -errno with why */
static int reset(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		 const struct cpulist *now)
{
	char key[PATH_MAX];
	int r = kind->reset(job, object);

	if (r <= 0)
		return r;
	r = setting_key(key, sizeof(key), kind, object, LEFT);
	if (r == 0)
		r = keep(job, key, now, NULL);
	return r < 0 ? job_why(job, r, "cannot note what %s has left: %s", object, strerror(-r))
		     : 0;
}

/* An empty @target is "not set" */
static int change(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		  const struct cpulist *now, const struct cpulist *target)
{
	char key[PATH_MAX];
	int r = setting_key(key, sizeof(key), kind, object, WRITTEN);

	if (r == 0 && kind->takes)
		r = keep(job, key, target, now);
	if (r < 0)
		return job_why(job, r, "cannot note what %s is set to: %s", object, strerror(-r));
	return cpulist_empty(target) ? reset(job, kind, object, now)
				     : kind->write(job, object, target);
}

/* Would anybody in it still have a CPU to run on. Return: 1 or 0, else -errno */
static int leaves_cpu(const struct cpuset_job *job, const struct setting_kind *kind,
		      const struct cpulist *target)
{
	struct cpulist most;
	int r = 0;

	if (!kind->takes)
		return 1;
	/* Partitions of other guests have no share in it */
	if (!kind->top || groups_read_cpus(job, "", "cpuset.cpus.effective", &most) < 0)
		r = job_host_cpus(job, "online", &most);
	return r < 0 ? r : cpulist_intersects(target, &most);
}

static int no_cpu_left(struct cpuset_job *job, const char *object)
{
	return job_why(job, -ENOSPC, "%s would have no CPU left: give the guests fewer", object);
}

int setting_check(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		  const struct cpulist *held)
{
	struct cpulist now, target;
	int r = kind->read(job, object, &now);

	if (r < 0)
		return r;
	r = compute(job, kind, &now, held, &target);
	if (r == 0)
		r = leaves_cpu(job, kind, &target);
	if (r < 0)
		return job_why(job, r, "cannot read which CPUs there are: %s", strerror(-r));
	return r == 0 ? no_cpu_left(job, object) : 0;
}

int setting_announce(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
{
	char list[ATTR_MAX];
	int r = job_announce(job, kind->verb, object,
			     job_cpus_text(&job->pins.cpus, list, sizeof(list)));

	return r < 0 ? r : 0;
}

int setting_take_from(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		      const struct cpulist *now)
{
	struct cpulist base, target, held = job->pins.cpus;
	int r = setting_announce(job, kind, object);

	if (r < 0)
		return r;
	r = base_take(job, kind, object, now, &base);
	if (r < 0)
		return job_why(job, r, "cannot keep the baseline of %s: %s", object, strerror(-r));
	add_others(job, kind, object, &base, &held);
	r = compute(job, kind, &base, &held, &target);
	if (r == 0)
		r = leaves_cpu(job, kind, &target);
	if (r < 0)
		return job_why(job, r, "cannot read which CPUs there are: %s", strerror(-r));
	if (r == 0)
		return no_cpu_left(job, object);
	if (cpulist_equal(now, &target) && (!kind->holds || kind->holds(job, object, &target)))
		return 0;
	return change(job, kind, object, now, &target);
}

int setting_take(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
{
	struct cpulist now;
	int r = kind->read(job, object, &now);

	return r < 0 ? r : setting_take_from(job, kind, object, &now);
}

/* Somebody else's value stays, but for what only this guest has put in */
static int leave(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		 const struct cpulist *now, const struct cpulist *target)
{
	struct cpulist mine = job->pins.cpus, rest = *now;
	char list[ATTR_MAX];

	helper_say(job->ctx, "the CPUs of %s (%s) have been changed to %s meanwhile: left so",
		   object, kind->verb, job_cpus_text(now, list, sizeof(list)));
	cpulist_subtract(&mine, target);
	if (kind->takes || !cpulist_intersects(now, &mine))
		return 1;
	cpulist_subtract(&rest, &mine);
	return change(job, kind, object, now, &rest) ?: 1;
}

/* The value without our share. Return: as setting_give_back() */
static int recompute(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		     const struct cpulist *base)
{
	struct cpulist now, target = *base, held = { 0 };
	int r = kind->read(job, object, &now);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	add_others(job, kind, object, base, &held);
	/* Without shares it is the baseline, also where that is "not set" */
	if (!cpulist_empty(&held))
		r = compute(job, kind, base, &held, &target);
	/* What an admin has cleared may be in force all the same */
	if (r == 0 && cpulist_equal(&now, &target) &&
	    (!kind->holds || kind->holds(job, object, &target)))
		return 0;
	if (r == 0)
		r = is_foreign(job, kind, object, base, &now);
	if (r < 0)
		return job_why(job, r, "cannot compute what %s must be: %s", object, strerror(-r));
	return r > 0 ? leave(job, kind, object, &now, &target)
		     : change(job, kind, object, &now, &target);
}

static int forget(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
{
	static const char *const whats[] = { WRITTEN, "" };
	char key[PATH_MAX];
	int r = 0;

	if (job->ctx->dry_run)
		return 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(whats); i++) {
		r = setting_key(key, sizeof(key), kind, object, whats[i]);
		if (r == 0)
			r = baseline_forget(&job->baseline, key);
	}
	return r < 0 ? job_why(job, r, "cannot forget the baseline of %s: %s", object, strerror(-r))
		     : 0;
}

int setting_give_back(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
{
	struct cpulist base;
	char key[PATH_MAX];
	int r = setting_key(key, sizeof(key), kind, object, ""), forgotten = 0;

	if (r == 0)
		r = kept(job, key, &base);
	/* Nothing kept: announced and never touched, or given back already */
	if (r == 0)
		return 0;
	if (r < 0)
		return job_why(job, r, "cannot read the baseline of %s: %s", object, strerror(-r));
	r = recompute(job, kind, object, &base);
	if (r >= 0 && !setting_shared(job, kind, object))
		forgotten = forget(job, kind, object);
	return forgotten < 0 ? forgotten : r;
}
