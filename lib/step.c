/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/step.c - the steps of a guest's life, each done by one helper program */
#include "step.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "deadline.h"
#include "log.h"
#include "spawn.h"
#include "text.h"

/* A helper keeps its own deadline; this much later it is killed */
#define OVERTIME_MS 1000

/* Within a phase; in a release, STEP_PREPARE's stay between those that come first and last */
#define PHASE_RANKS 3
#define LAST_RANK   (-1)
#define MAX_RANK    PHASE_RANKS

#define VFIO_APPLY_MS 10000

const struct step steps[] = {
	{ "hugepages", STEP_PREPARE, 0, 0, 30000, 10000, false, false, false },
	{ "vfio", STEP_PREPARE, 0, 2, VFIO_APPLY_MS, 60000, false, false, true },
	{ "seat", STEP_PREPARE, 1, 1, 15000, 30000, false, false, false },
	{ "cpuset", STEP_STARTED, 0, 0, 2000, 2000, false, false, false },
	/* A check may wait twice for a bus that hangs; apply leaves the monitors to others */
	{ "display", STEP_STARTED, 0, 0, 4000, 2000, true, true, false },
	{ "nosleep", STEP_STARTED, 0, 0, 5000, 2000, false, false, false },
};
const size_t nr_steps = ARRAY_SIZE(steps);
_Static_assert(ARRAY_SIZE(steps) <= STEPS_MAX, "steps_order() would overflow");

void step_result_free(struct step_result *result)
{
	free(result->failures);
	free(result->warnings);
	*result = (struct step_result){ 0 };
}

const struct step *step_find(const char *name)
{
	for (size_t i = 0; i < nr_steps; i++)
		if (strcmp(steps[i].name, name) == 0)
			return &steps[i];
	return NULL;
}

/* "display" has sections "display" and "display left" */
bool step_wanted(const struct step *step, const struct claim *claim)
{
	size_t len = strlen(step->name);

	for (size_t i = 0; i < claim->doc.nr; i++) {
		const char *section = claim->doc.entries[i].section;

		if (strncmp(section, step->name, len) == 0 &&
		    (section[len] == '\0' || section[len] == ' '))
			return true;
	}
	return false;
}

bool step_required(const struct step *step, const struct claim *claim)
{
	const char *required = inidoc_get(&claim->doc, "claim", "required");

	return required && text_has_word(required, " ", step->name, strlen(step->name));
}

/* Undo goes from the highest rank to LAST_RANK */
static int step_rank(const struct step *step, const struct claim *claim, int phase)
{
	if (phase == STEP_RELEASE && step->undo_last)
		return LAST_RANK;
	if (phase == STEP_RELEASE && step->phase == STEP_STARTED)
		return MAX_RANK;
	return step_wanted(step_find("seat"), claim) ? step->rank_with_seat : step->rank;
}

/* What a step that said nothing itself came to, as one line */
static int describe_silent(const struct step *step, const struct claim *claim,
			   const struct spawn_job *job, const char *verb, char **ret)
{
	_cleanup_free_ char *guest = NULL;
	int r = text_printable(claim->guest, &guest);

	if (r < 0)
		return r;
	if (job->error < 0)
		r = asprintf(ret,
			     "usher: %s: cannot run %s: %s: reinstall usher, and see that AppArmor "
			     "or SELinux allow it\n",
			     guest, job->argv[0], strerror(-job->error));
	else if (job->timed_out)
		r = asprintf(ret,
			     "usher: %s: usher-%s %s did not end within %d ms and was killed: see "
			     "journalctl -t usher, then run usher recover\n",
			     guest, step->name, verb, job->timeout_ms);
	else
		r = asprintf(
			ret,
			"usher: %s: usher-%s %s failed with status %d: see journalctl -t usher\n",
			guest, step->name, verb, job->status);
	return r < 0 ? -ENOMEM : 0;
}

static void log_lines(const struct host *host, int priority, const struct log_about *about,
		      char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_event(host->rootfd, priority, about, "%s",
			  strncmp(line, "usher: ", 7) == 0 ? line + 7 : line);
}

/* The line of one step; then @about is of what the step said */
static void log_step(const struct host *host, const struct claim *claim, bool failed,
		     struct log_about *about)
{
	about->result = failed ? "failed" : "done";
	log_event(host->rootfd, failed ? LOG_ERR : LOG_INFO, about, "%s: %s %s: %s in %d ms",
		  claim->guest, about->step, about->verb, about->result, about->ms);
	about->result = NULL;
	about->ms = -1;
}

static int report(const struct host *host, const struct claim *claim, const struct step *step,
		  const struct spawn_job *job, const char *verb, struct step_result *result)
{
	bool failed = job->error < 0 || job->timed_out || job->status != 0;
	bool counts = failed &&
		      (host->all_count || step_required(step, claim) || strcmp(verb, "undo") == 0);
	struct log_about about = { .guest = claim->guest,
				   .uuid = claim->uuid,
				   .phase = host->phase,
				   .step = step->name,
				   .verb = verb,
				   .ms = job->elapsed_ms };
	_cleanup_free_ char *text = NULL;
	int r = 0;

	if (job->output && *job->output) {
		text = strdup(job->output);
		r = text ? 0 : -ENOMEM;
	} else if (failed) {
		r = describe_silent(step, claim, job, verb, &text);
	}
	if (r < 0)
		return r;
	log_step(host, claim, failed, &about);
	result->dirty |= failed && (job->status == 2 || job->timed_out);
	if (!text)
		return counts;
	r = text_append(counts ? &result->failures : &result->warnings, text);
	log_lines(host, counts ? LOG_ERR : LOG_WARNING, &about, text);
	return r < 0 ? r : counts;
}

struct command {
	char program[PATH_MAX];
	char claim[PATH_MAX];
	char timeout[16];
	const char *argv[8];
};

static int command_make(struct command *command, const struct host *host, const struct claim *claim,
			const struct step *step, const char *verb, int timeout_ms)
{
	const char *slash = strcmp(host->root, "/") == 0 ? "" : "/";
	int i = 0, r;

	r = path_format(command->program, PATH_MAX, "%s/usher-%s", host->helpers, step->name);
	if (r == 0)
		r = path_format(command->claim, PATH_MAX, "%s%srun/usher/%s/" CLAIM_FILE,
				host->root, slash, claim->uuid);
	command->argv[i++] = command->program;
	if (*slash) {
		command->argv[i++] = "--root";
		command->argv[i++] = host->root;
	}
	if (r == 0 && timeout_ms) {
		r = path_format(command->timeout, sizeof(command->timeout), "%d", timeout_ms);
		command->argv[i++] = "--timeout";
		command->argv[i++] = command->timeout;
	}
	command->argv[i++] = verb;
	command->argv[i++] = command->claim;
	command->argv[i] = NULL;
	return r;
}

long long step_start_until(const struct claim *claim)
{
	return deadline_in(claim_int(claim, "vfio", "timeout_ms", VFIO_APPLY_MS));
}

/* What is told to an undo that must end earlier than by itself; 0 for nothing */
static int told_timeout(const struct host *host, const struct step *step, const char *verb)
{
	int left;

	if (!host->undo_until || !step->goes_on || strcmp(verb, "undo") != 0)
		return 0;
	left = deadline_left(host->undo_until);
	if (left < STEP_UNDO_FLOOR_MS)
		left = STEP_UNDO_FLOOR_MS;
	return left < step->undo_ms ? left : 0;
}

static int step_timeout(const struct step *step, const struct claim *claim, const char *verb,
			int budget_ms)
{
	int ms = step->undo_ms;

	if (strcmp(verb, "undo") != 0)
		ms = step->fixed ? step->apply_ms
				 : claim_int(claim, step->name, "timeout_ms", step->apply_ms);
	ms += OVERTIME_MS;
	return budget_ms && budget_ms < ms ? budget_ms : ms;
}

/* One helper's run among those side by side */
struct lane {
	const struct step *step;
	struct command command;
};

static int lanes_run(const struct host *host, const struct claim *claim, struct lane *lanes,
		     size_t nr, const char *verb, int budget_ms, struct step_result *result)
{
	struct spawn_job jobs[STEPS_MAX] = { 0 };
	int failed = 0, r = 0;

	for (size_t i = 0; r == 0 && i < nr; i++) {
		int told = told_timeout(host, lanes[i].step, verb);

		r = command_make(&lanes[i].command, host, claim, lanes[i].step, verb, told);
		jobs[i].argv = lanes[i].command.argv;
		jobs[i].timeout_ms = told ? told + OVERTIME_MS
					  : step_timeout(lanes[i].step, claim, verb, budget_ms);
	}
	if (r == 0)
		r = spawn_run(jobs, nr);
	for (size_t i = 0; r >= 0 && i < nr; i++) {
		r = report(host, claim, lanes[i].step, &jobs[i], verb, result);
		failed |= r > 0;
	}
	for (size_t i = 0; i < nr; i++)
		spawn_job_free(&jobs[i]);
	return r < 0 ? r : failed;
}

size_t steps_order(const struct claim *claim, int phase, bool backwards,
		   const struct step *ret[static STEPS_MAX])
{
	size_t nr = 0;

	for (int i = LAST_RANK; i <= MAX_RANK; i++) {
		int rank = backwards ? MAX_RANK + LAST_RANK - i : i;

		for (size_t j = 0; j < nr_steps; j++)
			if ((phase < 0 || (int)steps[j].phase == phase) &&
			    step_wanted(&steps[j], claim) &&
			    step_rank(&steps[j], claim, phase) == rank)
				ret[nr++] = &steps[j];
	}
	return nr;
}

bool steps_beside(const struct claim *claim, int phase, const struct step *a, const struct step *b)
{
	return step_rank(a, claim, phase) == step_rank(b, claim, phase);
}

/* How many steps from the first one on run side by side */
static size_t same_rank(const struct claim *claim, int phase, const struct step *const *order,
			size_t nr)
{
	size_t n = 0;

	while (n < nr && steps_beside(claim, phase, order[n], order[0]))
		n++;
	return n;
}

static int rank_run(const struct host *host, const struct claim *claim, const char *verb,
		    const struct step *const *order, size_t nr, int budget_ms,
		    struct step_result *result)
{
	_cleanup_free_ struct lane *lanes = calloc(nr + 1, sizeof(*lanes));

	if (!lanes)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		lanes[i].step = order[i];
	return lanes_run(host, claim, lanes, nr, verb, budget_ms, result);
}

int steps_run(const struct host *host, const struct claim *claim, const char *verb, int phase,
	      int budget_ms, struct step_result *result)
{
	bool check = strcmp(verb, "check") == 0, undo = strcmp(verb, "undo") == 0;
	const struct step *order[STEPS_MAX];
	size_t nr = steps_order(claim, phase, undo, order);
	int failed = 0;

	for (size_t i = 0, n; i < nr && (!failed || undo); i += n) {
		int r;

		/* A check changes nothing: all at once */
		n = check ? nr : same_rank(claim, phase, order + i, nr - i);
		r = rank_run(host, claim, verb, order + i, n, budget_ms, result);
		if (r < 0)
			return r;
		failed |= r;
	}
	return failed;
}

static int one_run(const struct host *host, const struct claim *claim, const char *name,
		   const char *verb, struct step_result *result)
{
	const struct step *step = step_find(name);

	return step_wanted(step, claim) ? rank_run(host, claim, verb, &step, 1, 0, result) : 0;
}

int step_settle(const struct host *host, const struct claim *claim, struct step_result *result)
{
	return one_run(host, claim, "hugepages", "settle", result);
}

int step_replug(const struct host *host, const struct claim *claim, struct step_result *result)
{
	return one_run(host, claim, "vfio", "replug", result);
}

int step_mend(const struct host *host, const struct claim *claim, struct step_result *result)
{
	return one_run(host, claim, "cpuset", "apply", result);
}

int step_choose(const struct host *host, const struct claim *claim, struct step_result *result)
{
	const struct step *step = step_find("cpuset");

	if (!inidoc_get(&claim->doc, "cpuset", "pin"))
		return 0;
	return rank_run(host, claim, "choose", &step, 1, 0, result);
}
