/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_steps.c - usher check: each helper's own check, before a start and after it */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/step.h"
#include "capture.h"
#include "check.h"
#include "scratch.h"

#define STEP_MS 60000

/* What a helper says, each line a finding without its "usher: GUEST: " */
static void report_lines(struct check *check, enum level level, char *text)
{
	char *save = NULL;
	size_t len = strlen(check->guest.name);

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "usher: ", 7) == 0)
			line += 7;
		if (strncmp(line, check->guest.name, len) == 0 && strncmp(line + len, ": ", 2) == 0)
			line += len + 2;
		found(check, level, "%s", line);
	}
}

/* What a helper says while it is content is what it will do, or cannot promise */
static enum level level_of(const struct check *check, const struct step *step, int status,
			   bool live)
{
	if (!status)
		return LEVEL_NOTE;
	/* A guest that runs is not refused any more */
	return !live && step_required(step, &check->claim) ? LEVEL_ERROR : LEVEL_WARNING;
}

static void check_step(struct check *check, const struct step *step, const char *file, bool live)
{
	const char *argv[] = { NULL, "--root", check->request->root, "check", file, NULL };
	_cleanup_capture_ struct capture capture = { 0 };
	_cleanup_free_ char *program = NULL;
	enum level level;
	int r;

	if (asprintf(&program, "%s/usher-%s", check->request->dir, step->name) < 0) {
		program = NULL;
		(void)check_lacks(check, -ENOMEM, step->name);
		return;
	}
	argv[0] = program;
	r = capture_run(argv, -1, STEP_MS, &capture);
	if (r < 0) {
		found(check, LEVEL_ERROR, "%s: %s: see journalctl -t usher", program, strerror(-r));
		return;
	}
	level = level_of(check, step, capture.status, live);
	if (capture.status && !*capture.err)
		found(check, level, "%s check ended with status %d", program, capture.status);
	report_lines(check, level, capture.err);
}

static void check_phase(struct check *check, const struct claim *claim, int phase, const char *file,
			bool live)
{
	const struct step *order[STEPS_MAX];
	size_t nr = steps_order(claim, phase, false, order);

	for (size_t i = 0; i < nr; i++)
		check_step(check, order[i], file, live);
}

/*
 * check_running() - what has come of what a running guest was given
 *
 * On its own claim, and with its journals beside it, the helpers of `started` look whether it still
 * is as they made it: nobody tells usher of a vCPU that is pinned elsewhere, or of an inhibitor
 * that is lost.
 *
 * Return: true when it runs
 */
static bool check_running(struct check *check)
{
	_cleanup_claim_ struct claim live = { 0 };
	_cleanup_free_ char *file = NULL;
	int r = host_claim_of(check->request, check->guest.name, &live, &file);

	if (r > 0)
		r = live.state == CLAIM_RUNNING ? process_alive(check->rootfd, &live.owner) : 0;
	/* To others the row "left" says it */
	if (r == -EACCES || check_lacks(check, r, "whether the guest runs") || r <= 0)
		return false;
	check_phase(check, &live, STEP_STARTED, file, true);
	return true;
}

void check_steps(struct check *check)
{
	_cleanup_scratch_ struct scratch scratch = { .dir = "" };
	_cleanup_free_ char *text = NULL;
	size_t before = check->nr;
	bool running = check_running(check);
	int r;

	if (!check->claim.guest) {
		found(check, LEVEL_NOTE, "not looked at: %s: see policy",
		      check->refused ? "no start gets that far"
				     : "usher does nothing for the guest");
		return;
	}
	r = scratch_write(&scratch, &check->claim, &text);
	if (r < 0) {
		found(check, LEVEL_ERROR, "cannot write a claim below /tmp: %s", strerror(-r));
		return;
	}
	check_phase(check, &check->claim, running ? STEP_PREPARE : STEP_BOTH, scratch.file, false);
	if (running && check->nr == before)
		found(check, LEVEL_OK, "what the running guest was given is as it was given");
}
