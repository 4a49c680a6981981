/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/check.c - what can be known before the guest runs */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/hostcpus.h"
#include "../../lib/units.h"
#include "choose.h"

/*
 * A failure after the start would kill a running guest, so what the kernel will refuse is looked
 * for here. Missing in the host (-EOPNOTSUPP) is not the admin's doing: the next way is taken and
 * said. What pins or other groups stand in the way of (-EBUSY) refuses the start when the policy
 * requires this helper, and else is said too.
 */

static bool is_required(const struct claim *claim)
{
	const char *steps = inidoc_get(&claim->doc, "claim", "required") ?: "";

	return text_has_word(steps, " ", "cpuset", strlen("cpuset"));
}

static int check_online(struct cpuset_job *job, const struct cpulist *online)
{
	struct cpulist missing = job->pins.cpus;
	char list[256], all[256];

	cpulist_subtract(&missing, online);
	if (cpulist_empty(&missing))
		return 0;
	return job_why(job, -ENODEV, "CPU %s is not online, only %s are: change <vcpupin>",
		       job_cpus_text(&missing, list, sizeof(list)),
		       job_cpus_text(online, all, sizeof(all)));
}

/* What the other live guests hold for themselves alone */
static void add_held(const struct cpuset_job *job, struct cpulist *held)
{
	struct cpulist cpus;

	for (size_t i = 0; i < job->claims.nr; i++)
		if (job_claim_holds(job, &job->claims.claims[i], &cpus))
			cpulist_union(held, &cpus);
}

/* What a partition of somebody else has; the guest's own takes no more than its pins do */
static void add_isolated(struct cpuset_job *job, const struct cpulist *online, struct cpulist *held)
{
	struct cpulist away = *online, rest;

	if (groups_mount(job) < 0 ||
	    groups_read_cpus(job, "", "cpuset.cpus.effective", &rest) < 0 || cpulist_empty(&rest))
		return;
	cpulist_subtract(&away, &rest);
	cpulist_subtract(&away, &job->pins.cpus);
	cpulist_union(held, &away);
}

/*
 * The host needs one core at least to run the guests' own QEMU threads on; half a core would share
 * its caches and units with a vCPU
 */
int housekeeping_check(struct cpuset_job *job, const struct cpulist *online)
{
	struct cpulist held = { 0 }, left = *online, unheld = *online, isolated;
	char list[256], text[256];

	add_held(job, &held);
	/* Nothing of the host's runs on what isolcpus= took at boot */
	if (job_host_cpus(job, "isolated", &isolated) == 0)
		cpulist_union(&held, &isolated);
	add_isolated(job, online, &held);
	cpulist_subtract(&unheld, &held);
	cpulist_subtract(&left, &held);
	cpulist_subtract(&left, &job->pins.cpus);
	if (hostcpus_has_core(job->ctx->rootfd, &left, online))
		return 0;
	return job_why(job, -ENOSPC,
		       "with CPUs %s for this guest no whole core would be left to the host: of %s "
		       "at least one core must stay free: pin fewer, or set isolate = no in "
		       "[cpuset] of its policy",
		       job_cpus_text(&job->pins.cpus, list, sizeof(list)),
		       cpulist_empty(&unheld) ? "those no guest holds (none)"
					      : job_cpus_text(&unheld, text, sizeof(text)));
}

static int check_cpus(struct cpuset_job *job)
{
	struct cpulist online;
	int r = job_host_cpus(job, "online", &online);

	if (r < 0)
		return job_why(job, r, "cannot read which CPUs are online: %s", strerror(-r));
	r = check_online(job, &online);
	return r < 0 ? r : housekeeping_check(job, &online);
}

static int check_conflicts(struct cpuset_job *job)
{
	struct conflict conflict = { .kind = CONFLICT_NONE };
	char list[256];
	int r = conflict_find(job, &conflict);

	if (r < 0 || conflict.kind == CONFLICT_NONE)
		return r;
	if (conflict.kind == CONFLICT_REFUSED || is_required(&job->ctx->claim))
		return conflict_why(job, -EBUSY, &conflict);
	helper_say(job->ctx, "%s is pinned to %s and will be kept off the guest's CPUs meanwhile",
		   conflict.group, job_cpus_text(&conflict.cpus, list, sizeof(list)));
	return 0;
}

/* Lesser results than the best, in positive numbers; why is filled */
enum {
	CHECK_WHOLE = 1, /* one partition of the whole guest, because of its pins */
	CHECK_OTHER_WAY, /* the host has no partitions, but another way */
	CHECK_SHARED,	 /* somebody else is pinned to its CPUs */
};

/* Return: 0, CHECK_WHOLE, -EOPNOTSUPP, -EBUSY, else -errno */
static int check_partition(struct cpuset_job *job)
{
	char note[WHY_MAX];
	enum layout layout = pins_layout(&job->pins, note);
	int r = groups_mount(job);

	if (r == 0)
		r = partition_check_kernel(job);
	if (r == 0 && layout == LAYOUT_NONE)
		return job_why(job, -EBUSY, "%s", note);
	if (r == 0 && layout == LAYOUT_ROOT)
		r = partition_check_boot(job) < 0 ? -EBUSY : 0;
	if (r == 0)
		r = check_conflicts(job);
	return r == 0 && *note ? job_why(job, CHECK_WHOLE, "%s", note) : r;
}

/* The way works, with somebody else on the CPUs: whether that is enough the policy says */
static int check_others(struct cpuset_job *job)
{
	int r = check_conflicts(job);

	return r == -EBUSY ? CHECK_SHARED : r;
}

static int check_slices(struct cpuset_job *job)
{
	struct cpulist held = job->pins.cpus;
	int r = groups_mount(job);

	add_held(job, &held);
	if (r == 0)
		r = slices_able(job);
	if (r == 0)
		r = slices_check(job, &held);
	return r < 0 ? r : check_others(job);
}

static int check_plain(struct cpuset_job *job)
{
	int r = groups_mount(job);

	return r < 0 ? r : check_others(job);
}

/* Nothing works without cgroup v2; with it there is a lesser way, unless the slices stand in it */
static int check_lesser(struct cpuset_job *job)
{
	char why[WHY_MAX], both[2 * WHY_MAX + 2];
	int r;

	memcpy(why, job->why, sizeof(why));
	if (groups_mount(job) < 0)
		return -EOPNOTSUPP;
	r = slices_able(job) == 0 ? check_slices(job) : check_plain(job);
	if (r == 0)
		return job_why(job, CHECK_OTHER_WAY, "%s", why);
	(void)snprintf(both, sizeof(both), "%s; %s", why, job->why);
	return job_why(job, r, "%s", both);
}

static int check_auto(struct cpuset_job *job)
{
	int r = check_partition(job);

	return r == -EOPNOTSUPP ? check_lesser(job) : r;
}

static const struct {
	const char *name;
	int (*check)(struct cpuset_job *job);
} methods[] = {
	{ "auto", check_auto },
	{ "partition", check_partition },
	{ "slices", check_slices },
	{ "plain", check_plain },
};

static int check_method(struct cpuset_job *job, const char *method)
{
	size_t i = 0;

	/* job_parse() lets no other method pass */
	while (i + 1 < ARRAY_SIZE(methods) && strcmp(methods[i].name, method) != 0)
		i++;
	return methods[i].check(job);
}

static enum helper_exit say(struct cpuset_job *job, bool refuse)
{
	char list[256];

	(void)job_cpus_text(&job->pins.cpus, list, sizeof(list));
	if (refuse)
		helper_say(job->ctx, "CPUs %s cannot be kept for it alone: %s", list, job->why);
	else
		helper_say(job->ctx, "CPUs %s will not be isolated one by one: %s", list, job->why);
	return refuse ? HELPER_FAILED : HELPER_DONE;
}

/* Forgotten as a rule, and not to be seen from inside: the slowest vCPU is the guest's speed */
static void say_floating(struct cpuset_job *job)
{
	struct cpulist floating = { 0 };
	char list[256];

	for (size_t i = 0; i < job->pins.nr_sides; i++) {
		unsigned int vcpu;

		if (job->pins.sides[i].floats &&
		    parse_uint(job->pins.sides[i].group + strlen("vcpu"), 10, CPULIST_MAX, &vcpu) ==
			    0)
			cpulist_add(&floating, vcpu);
	}
	if (!cpulist_empty(&floating))
		helper_say(job->ctx,
			   "no <vcpupin> for vCPU %s, unlike for the others: it runs beside the "
			   "host until there is one",
			   job_cpus_text(&floating, list, sizeof(list)));
}

/* Of what was chosen, for who looks; usher plan has a dry run's lines for writes */
static bool wants_picture(const struct cpuset_job *job)
{
	return job->pins.automatic && !job->ctx->dry_run && !helper_in_start(job->ctx);
}

/* Each has its own line; without a "what", why is all of it, its cure too */
static const struct {
	int (*verify)(struct cpuset_job *job);
	const char *what;
} lives[] = {
	{ live_verify_any, NULL },
	{ partition_verify, "its CPUs are not isolated any more: " },
	{ live_verify_shares, "its CPUs are not kept free any more: " },
	{ irqs_verify, "interrupts are not kept off its CPUs any more: " },
	{ live_verify_pins, NULL },
	{ live_verify_cores, NULL },
};

/* What nobody tells usher of: a CPU that went offline and came back, a vCPU pinned elsewhere */
static enum helper_exit check_live(struct cpuset_job *job)
{
	enum helper_exit result = HELPER_DONE;
	int r = journal_open(job->ctx->dirfd, job->ctx->helper->name, false, &job->journal);

	if (r < 0) {
		helper_say(job->ctx, "cannot open the journal: %s", strerror(-r));
		return HELPER_FAILED;
	}
	if (job_load_claims(job) < 0) {
		helper_say(job->ctx, "%s", job->why);
		return HELPER_FAILED;
	}
	if (wants_picture(job))
		automatic_show(job);
	for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
		if (lives[i].verify(job) >= 0)
			continue;
		if (lives[i].what)
			helper_say(job->ctx, "%s%s: run usher recover", lives[i].what, job->why);
		else
			helper_say(job->ctx, "%s", job->why);
		result = HELPER_FAILED;
	}
	return result;
}

static enum helper_exit say_unchosen(struct cpuset_job *job)
{
	helper_say(job->ctx, "no cores can be chosen for it: %s", job->why);
	return HELPER_FAILED;
}

enum helper_exit cpuset_check(struct helper_ctx *ctx)
{
	_cleanup_job_ struct cpuset_job job = JOB_INIT(ctx);
	const char *method;
	int r = job_parse(&job, &method);

	if (r < 0)
		return r == -EBADMSG ? HELPER_USAGE : HELPER_FAILED;
	if (ctx->claim.state == CLAIM_RUNNING)
		return check_live(&job);
	r = job_load_claims(&job);
	if (r == 0 && job.pins.nr_vcpus == 0) {
		/* In a start it was to be chosen before, and what was in the way has been said */
		if (helper_in_start(ctx))
			return HELPER_DONE;
		r = automatic_choose(&job);
		if (r < 0)
			return say_unchosen(&job);
	}
	if (wants_picture(&job))
		automatic_show(&job);
	if (r >= 0)
		r = check_cpus(&job);
	if (r < 0)
		return say(&job, true);
	say_floating(&job);
	r = check_method(&job, method);
	if (r == 0)
		return HELPER_DONE;
	if (is_required(&ctx->claim))
		return say(&job, r != CHECK_OTHER_WAY);
	return say(&job, r < 0 && strcmp(method, "auto") != 0);
}
