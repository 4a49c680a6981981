/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/job.c - what apply, undo and check work with */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/hostcpus.h"
#include "../../lib/state.h"
#include "cpuset.h"

static void shares_free(struct shares *shares)
{
	for (size_t i = 0; i < shares->nr; i++) {
		free(shares->list[i].verb);
		free(shares->list[i].object);
		free(shares->list[i].value);
	}
	free(shares->list);
	*shares = (struct shares){ 0 };
}

void job_close(struct cpuset_job *job)
{
	pins_free(&job->pins);
	claims_free(&job->claims);
	shares_free(&job->others);
	journal_close(&job->journal);
	baseline_close(&job->baseline);
}

int job_why(struct cpuset_job *job, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(job->why, sizeof(job->why), fmt, args);
	va_end(args);
	job->cured = false;
	return error;
}

int job_why_state(struct cpuset_job *job, int error, const char *dir, const char *file)
{
	const char *cure = state_cure(error, NULL);

	(void)job_why(job, error, "cannot use /run/usher/%s/%s: %s%s%s", dir, file,
		      strerror(-error), cure ? ": " : "", cure ?: "");
	job->cured = cure != NULL;
	return error;
}

int job_left(const struct cpuset_job *job)
{
	return deadline_left(job->ctx->deadline);
}

const char *job_cpus_text(const struct cpulist *cpus, char *buf, size_t size)
{
	if (cpulist_format(cpus, buf, size) < 0)
		return "?";
	return buf;
}

int job_host_cpus(const struct cpuset_job *job, const char *which, struct cpulist *ret)
{
	return hostcpus_read(job->ctx->rootfd, which, ret);
}

int job_exists(struct cpuset_job *job, const char *path)
{
	int r = attr_exists(job->ctx->rootfd, path);

	return r < 0 ? job_why(job, r, "cannot look for /%s: %s", path, strerror(-r)) : r;
}

static int share_add(struct shares *shares, const struct journal_record *record, bool alive)
{
	struct share share = { .alive = alive };
	struct share *grown;

	if (record->undone)
		return 0;
	/* Some records name a value that is none: "guest", "governor" */
	if (cpulist_parse(record->new_value, &share.cpus) < 0)
		share.cpus = (struct cpulist){ 0 };
	grown = reallocarray(shares->list, shares->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	shares->list = grown;
	share.verb = strdup(record->verb);
	share.object = strdup(record->object);
	share.value = strdup(record->new_value);
	grown[shares->nr++] = share;
	return share.verb && share.object && share.value ? 0 : -ENOMEM;
}

/*
 * @claim: NULL when it cannot be read. A guest's directory may vanish while we look: then it has no
 * share.
 */
static int shares_of(struct cpuset_job *job, const char *uuid, const struct claim *claim)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int dirfd = state_dir(job->ctx->statefd, uuid, false);
	int alive = 1;
	int r = dirfd < 0 ? dirfd : journal_open(dirfd, job->ctx->helper->name, false, &journal);

	if (r < 0 || journal.nr == 0)
		return r == -ENOENT ? 0 : r;
	if (claim)
		alive = registry_alive(job->ctx->rootfd, claim);
	else
		job->unread = uuid;
	for (size_t i = 0; r == 0 && i < journal.nr; i++)
		/* Not known to be dead counts as alive: its CPUs are left to it */
		r = share_add(&job->others, &journal.records[i], alive != 0);
	return r;
}

/* To compute without them would give away what they hold */
static int shares_add(struct cpuset_job *job, const char *uuid, const struct claim *claim)
{
	int r = strcmp(uuid, job->ctx->claim.uuid) == 0 ? 0 : shares_of(job, uuid, claim);

	if (r >= 0)
		return 0;
	(void)job_why(job, r,
		      "cannot read what the guest of /run/usher/%s holds (%s.journal: %s): %s",
		      uuid, job->ctx->helper->name, strerror(-r),
		      state_cure(r, "install the usher that wrote it, or reboot the host"));
	job->cured = true;
	return r;
}

int job_load_claims(struct cpuset_job *job)
{
	int r = job->ctx->statefd < 0 ? 0 : registry_load(job->ctx->statefd, &job->claims);

	return r < 0 ? job_why(job, r, "cannot read the other guests' claims: %s", strerror(-r))
		     : 0;
}

static int shares_load(struct cpuset_job *job)
{
	int r = job_load_claims(job);

	for (size_t i = 0; r == 0 && i < job->claims.nr; i++)
		r = shares_add(job, job->claims.claims[i].uuid, &job->claims.claims[i]);
	for (size_t i = 0; r == 0 && i < job->claims.unreadable.nr; i++)
		r = shares_add(job, job->claims.unreadable.names[i], NULL);
	return r;
}

bool job_claim_holds(const struct cpuset_job *job, const struct claim *claim, struct cpulist *ret)
{
	const char *value = inidoc_get(&claim->doc, "cpuset", "cpus");

	return value && strcmp(claim->uuid, job->ctx->claim.uuid) != 0 &&
	       cpulist_parse(value, ret) == 0 && registry_alive(job->ctx->rootfd, claim) != 0;
}

/* A dry run makes no file: without a baseline there it works without one */
static int open_baseline(struct cpuset_job *job)
{
	const struct helper_ctx *ctx = job->ctx;
	int there = 1;

	if (ctx->dry_run)
		there = ctx->statefd < 0 ? 0 : attr_exists(ctx->statefd, "host/cpuset.ini");
	return there <= 0 ? there
			  : baseline_open(ctx->statefd, "cpuset",
					  ctx->dry_run ? BASELINE_READ : job_left(job),
					  &job->baseline);
}

int job_open(struct cpuset_job *job)
{
	const struct helper_ctx *ctx = job->ctx;
	int r = open_baseline(job);

	if (r == -ETIMEDOUT)
		return job_why(job, r, "cannot take the lock of the shared CPU settings: %s",
			       strerror(-r));
	if (r < 0)
		return job_why_state(job, r, "host", "cpuset.ini");
	r = journal_open(ctx->dirfd, ctx->helper->name, false, &job->journal);
	if (r < 0)
		return job_why_state(job, r, ctx->claim.uuid, "cpuset.journal");
	return shares_load(job);
}

/* The file is made with its first record */
static int journal_write(struct cpuset_job *job, const char *verb, const char *object,
			 const char *old_value, const char *value)
{
	int r = 0;

	if (job->journal.fd < 0) {
		journal_close(&job->journal);
		r = journal_open(job->ctx->dirfd, job->ctx->helper->name, true, &job->journal);
	}
	return r < 0 ? r : journal_add(&job->journal, verb, object, old_value, value);
}

int job_announce(struct cpuset_job *job, const char *verb, const char *object, const char *value)
{
	return job_announce_old(job, verb, object, "", value);
}

int job_announce_old(struct cpuset_job *job, const char *verb, const char *object,
		     const char *old_value, const char *value)
{
	int r;

	if (job->ctx->dry_run)
		return 1;
	if (journal_find(&job->journal, verb, object))
		return 0;
	r = journal_write(job, verb, object, old_value, value);
	return r < 0 ? job_why(job, r, "cannot write the journal: %s", strerror(-r)) : 1;
}

/* What a child is to do: write, read, or both */
struct letter {
	struct aside aside;
	const char *path, *value; /* value NULL: nothing is written */
	bool answers;
	char answer[ATTR_MAX];
};

static int deliver(int rootfd, void *shared)
{
	struct letter *letter = shared;
	int r = letter->value ? attr_write(rootfd, letter->path, letter->value) : 0;

	if (r < 0 || !letter->answers)
		return r;
	aside_step(shared);
	return attr_read(rootfd, letter->path, letter->answer, sizeof(letter->answer));
}

/* @buf: NULL for no answer */
static int send(const struct cpuset_job *job, const char *path, const char *value, char *buf,
		size_t size, int ms)
{
	struct letter *letter = aside_alloc(sizeof(*letter));
	int r;

	if (!letter)
		return -ENOMEM;
	letter->path = path;
	letter->value = value;
	letter->answers = buf;
	r = aside_run(job->ctx->rootfd, deliver, letter, ms);
	if (r >= 0 && buf)
		r = path_format(buf, size, "%s", letter->answer);
	aside_free(letter, sizeof(*letter));
	return r;
}

int job_write_aside(const struct cpuset_job *job, const char *path, const char *value, int ms)
{
	return job->ctx->dry_run ? helper_write(job->ctx, path, value)
				 : send(job, path, value, NULL, 0, ms);
}

int job_read_aside(const struct cpuset_job *job, const char *path, char *buf, size_t size, int ms)
{
	return send(job, path, NULL, buf, size, ms);
}

int job_ask_aside(const struct cpuset_job *job, const char *path, const char *value, char *buf,
		  size_t size, int ms)
{
	int r;

	if (!job->ctx->dry_run)
		return send(job, path, value, buf, size, ms);
	r = helper_write(job->ctx, path, value);
	return r < 0 ? r : path_format(buf, size, "%s", value);
}
