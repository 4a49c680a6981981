/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/verbs.c - apply and undo: which way, and back */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/state.h"
#include "choose.h"

/* The best first */
static const struct way {
	const char *name;
	int (*apply)(struct cpuset_job *job);
	const char *how;
} ways[] = {
	{ "partition", partition_apply, "a cpuset partition" },
	{ "slices", slices_apply, "AllowedCPUs of the system's slices" },
	{ "plain", plain_apply, "cpuset.cpus of the other top-level cgroups" },
};

/*
 * In the order in which they are undone: the guest's own groups before what lies above them, what
 * new interrupts get before those there are, a governor before what came with it
 */
static const struct {
	const char *verb;
	int (*undo)(struct cpuset_job *job, const char *object);
} records[] = {
	{ "guest", partition_undo },
	{ "exclusive", exclusive_undo },
	{ "slice", slices_undo },
	{ "plain", plain_undo },
	{ "workqueue", workqueue_undo },
	{ "mask", mask_undo },
	{ "irq", irqs_undo },
	{ "governor", governor_undo },
	{ "energy", energy_undo },
	{ "latency", latency_undo },
	{ "vmstat", vmstat_undo },
	{ "cursor", cursor_undo },
	{ "watchdog", watchdog_undo },
	{ "rcu", rcu_undo },
	{ "sched", sched_undo },
	{ "pin", automatic_undo },
};

/* The first error, with its why */
struct failure {
	int error;
	char why[WHY_MAX];
	bool cured;
};

static void note_failure(const struct cpuset_job *job, int error, struct failure *first)
{
	if (error >= 0 || first->error < 0)
		return;
	first->error = error;
	first->cured = job->cured;
	memcpy(first->why, job->why, WHY_MAX);
}

/* All records of one verb, the last first */
static void undo_verb(struct cpuset_job *job, size_t verb, struct failure *first)
{
	for (size_t i = job->journal.nr; i-- > 0;) {
		const struct journal_record *record = &job->journal.records[i];

		if (!record->undone && strcmp(record->verb, records[verb].verb) == 0)
			note_failure(job, records[verb].undo(job, record->object), first);
	}
}

static int say_unknown(struct cpuset_job *job, const char *verb)
{
	(void)job_why(job, -EBADMSG, "the journal has the unknown record '%s': %s", verb,
		      state_cure(-EBADMSG, ""));
	job->cured = true;
	return -EBADMSG;
}

static int check_records(struct cpuset_job *job)
{
	for (size_t i = 0; i < job->journal.nr; i++) {
		size_t verb = 0;

		while (verb < ARRAY_SIZE(records) &&
		       strcmp(records[verb].verb, job->journal.records[i].verb) != 0)
			verb++;
		if (verb == ARRAY_SIZE(records))
			return say_unknown(job, job->journal.records[i].verb);
	}
	return 0;
}

/* What can be undone is, also after an error; the journal stays then */
static int undo_all(struct cpuset_job *job)
{
	struct failure first = { 0 };
	int r;

	note_failure(job, check_records(job), &first);
	for (size_t verb = 0; verb < ARRAY_SIZE(records); verb++)
		undo_verb(job, verb, &first);
	if (first.error < 0) {
		(void)job_why(job, first.error, "%s", first.why);
		job->cured = first.cured;
		return first.error;
	}
	if (job->ctx->dry_run)
		return 0;
	journal_close(&job->journal);
	r = journal_remove(job->ctx->dirfd, job->ctx->helper->name);
	return r < 0 ? job_why(job, r, "cannot remove the journal: %s", strerror(-r)) : 0;
}

/* Return: 0 and no records for the next way, else -errno */
static int take_back(struct cpuset_job *job)
{
	bool untouched = job->journal.nr == 0 && job->journal.fd < 0;

	return untouched || job->ctx->dry_run ? 0 : undo_all(job);
}

static enum helper_exit say_dirty(struct cpuset_job *job)
{
	helper_say(job->ctx, "the CPU settings are not all back: %s%s", job->why,
		   job->cured ? "" : ": try usher-cpuset undo again");
	return HELPER_DIRTY;
}

static void say_done(struct cpuset_job *job, const struct way *way, const char *why)
{
	char list[256];

	if (*why)
		helper_say(job->ctx, "its CPUs %s are kept free by %s only: %s",
			   job_cpus_text(&job->pins.cpus, list, sizeof(list)), way->how, why);
}

static enum helper_exit say_none(struct cpuset_job *job, bool fatal, const char *why)
{
	char list[256];

	(void)job_cpus_text(&job->pins.cpus, list, sizeof(list));
	if (fatal)
		helper_say(job->ctx, "its CPUs %s cannot be kept free of others: %s", list, why);
	else
		helper_say(job->ctx, PINNED_ONLY, list, why);
	return fatal ? HELPER_FAILED : HELPER_DONE;
}

/* A guest whose CPUs are kept free but for interrupts is better off than one without */
static enum helper_exit apply_rest(struct cpuset_job *job)
{
	if (irqs_take(job) < 0)
		helper_say(job->ctx, "interrupts may come to its CPUs: %s", job->why);
	speed_take(job);
	threads_take(job);
	/* Chosen ones have been written again */
	if (!job->pins.automatic && live_verify_pins(job) < 0)
		helper_say(job->ctx, "%s", job->why);
	/* It may take its time */
	watchdog_take(job);
	return HELPER_DONE;
}

/* That the host has no such thing is said of the best way only */
static void add_why(char *whys, size_t size, const char *why, bool missing)
{
	size_t len = strlen(whys);

	if (len == 0 || (!missing && !strstr(whys, why)))
		(void)snprintf(whys + len, size - len, "%s%s", len ? "; " : "", why);
}

/* One line says why the ways before were not taken, or all were not */
static enum helper_exit apply_ways(struct cpuset_job *job, const char *method)
{
	bool any = strcmp(method, "auto") == 0, failed = !any;
	char whys[2 * WHY_MAX] = "";

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		size_t nr;
		int r;

		if (!any && strcmp(method, ways[i].name) != 0)
			continue;
		/* Anew for each: a way that failed has taken the pins back with the rest */
		r = automatic_place(job);
		nr = job->journal.nr;
		if (r == 0)
			r = ways[i].apply(job);
		if (r == 0) {
			say_done(job, &ways[i], whys);
			return apply_rest(job);
		}
		add_why(whys, sizeof(whys), job->why, r == -EOPNOTSUPP);
		if ((r != -EOPNOTSUPP || job->journal.nr > nr) && take_back(job) < 0)
			return say_dirty(job);
		failed = failed || r != -EOPNOTSUPP;
		/* Without a guest there is nobody to keep CPUs free for */
		if (r == -ESRCH)
			break;
	}
	/* Pinned, at least */
	failed = failed || automatic_place(job) < 0;
	if (failed && take_back(job) < 0)
		return say_dirty(job);
	/* Others may run there, but how fast these CPUs are is the policy's all the same */
	if (!failed) {
		speed_take(job);
		threads_take(job);
	}
	return say_none(job, failed, whys);
}

static bool method_valid(const char *method)
{
	if (strcmp(method, "auto") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (strcmp(method, ways[i].name) == 0)
			return true;
	return false;
}

int job_parse(struct cpuset_job *job, const char **ret_method)
{
	const struct claim *claim = &job->ctx->claim;
	const char *method = inidoc_get(&claim->doc, "cpuset", "method") ?: "auto";
	int r = pins_parse(claim, &job->pins, job->why);

	if (r == 0 && !method_valid(method))
		r = job_why(job, -EBADMSG, "[cpuset] method = %s", method);
	if (r == -EBADMSG)
		helper_say(job->ctx, "the claim is not understood: %s", job->why);
	else if (r < 0)
		helper_say(job->ctx, "cannot read the claim: %s", strerror(-r));
	*ret_method = method;
	return r;
}

/* Said when they were to be chosen. A dry run before the start shows what would be */
static enum helper_exit apply_unchosen(struct cpuset_job *job, const char *method)
{
	int r;

	if (!job->ctx->dry_run)
		return HELPER_DONE;
	r = automatic_choose(job);
	return r < 0 ? say_none(job, true, job->why) : apply_ways(job, method);
}

/*
 * The check has said so at the start, which goes on when the policy does not require its CPUs. What
 * is taken already stays: a CPU may be offline by now.
 */
static bool leaves_none(struct cpuset_job *job)
{
	struct cpulist online;

	return !live_is_kept(job) && job_host_cpus(job, "online", &online) == 0 &&
	       housekeeping_check(job, &online) < 0;
}

static enum helper_exit apply_none(struct cpuset_job *job, const char *method)
{
	char why[WHY_MAX];
	bool fatal = strcmp(method, "auto") != 0;

	memcpy(why, job->why, sizeof(why));
	if (!fatal) {
		speed_take(job);
		threads_take(job);
	}
	return say_none(job, fatal, why);
}

static enum helper_exit cpuset_apply(struct helper_ctx *ctx)
{
	_cleanup_job_ struct cpuset_job job = JOB_INIT(ctx);
	const char *method;
	int r = job_parse(&job, &method);

	if (r < 0)
		return r == -EBADMSG ? HELPER_USAGE : HELPER_FAILED;
	if (helper_is_ahead(ctx) && groups_foretell(&job) < 0) {
		helper_say(ctx, "what is written for its CPUs can be told while it runs: without "
				"systemd nothing tells ahead where its groups will be");
		return HELPER_DONE;
	}
	r = job_open(&job);
	if (r < 0)
		return say_none(&job, true, job.why);
	if (job.pins.nr_vcpus == 0)
		return apply_unchosen(&job, method);
	return leaves_none(&job) ? apply_none(&job, method) : apply_ways(&job, method);
}

/* Return: 1 when this guest has announced anything, 0 when not, else -errno */
static int has_journal(const struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int r = journal_open(ctx->dirfd, ctx->helper->name, false, &journal);

	return r < 0 ? r : journal.nr > 0;
}

/* An apply that was killed before its first record may have left an empty file */
static int undo_nothing(struct cpuset_job *job)
{
	const struct helper_ctx *ctx = job->ctx;
	int r = ctx->dry_run ? 0 : journal_remove(ctx->dirfd, ctx->helper->name);

	return r < 0 ? job_why(job, r, "cannot remove the journal: %s", strerror(-r)) : 0;
}

static void say_unread(const struct cpuset_job *job)
{
	if (job->unread)
		helper_say(job->ctx,
			   "what the guest of /run/usher/%s holds stays taken, for its claim.ini "
			   "cannot be read: install the usher that wrote it, or reboot",
			   job->unread);
}

static enum helper_exit cpuset_undo(struct helper_ctx *ctx)
{
	_cleanup_job_ struct cpuset_job job = JOB_INIT(ctx);
	const char *method;
	int r = has_journal(ctx);

	/* Nothing was touched: the shared settings' lock is not waited for */
	if (r == 0)
		return undo_nothing(&job) < 0 ? say_dirty(&job) : HELPER_DONE;
	r = job_parse(&job, &method);
	if (r < 0)
		return r == -EBADMSG ? HELPER_USAGE : HELPER_DIRTY;
	r = job_open(&job);
	if (r == 0) {
		say_unread(&job);
		r = undo_all(&job);
	}
	return r < 0 ? say_dirty(&job) : HELPER_DONE;
}

static const struct helper_command commands[] = {
	{ "choose", "CLAIM", "with pin = auto: choose its cores, and write them into the claim",
	  true, cpuset_choose },
};

const struct helper cpuset_helper = {
	.name = "cpuset",
	.help = "keep the CPUs of a guest's vCPUs free of everybody else",
	.apply_timeout_ms = 2000,
	.undo_timeout_ms = 2000,
	/*
	 * To place and schedule any process; groups below a user's own are that user's files.
	 * ABI: kernel/cgroup/cpuset.c, remote_partition_enable(): -EACCES ("Enable partition not
	 * permitted") without CAP_SYS_ADMIN. Seen on: Linux 6.12
	 */
	.caps = CAPS_LOOK | CAP_BIT(CAP_SYS_NICE) | CAP_BIT(CAP_DAC_OVERRIDE) |
		CAP_BIT(CAP_SYS_ADMIN),
	.apply = cpuset_apply,
	.undo = cpuset_undo,
	.check = cpuset_check,
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
};
