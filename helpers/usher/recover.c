/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/recover.c - usher recover: give back what nobody keeps alive, mend what runs */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/giveback.h"
#include "../../lib/registry.h"
#include "../../lib/state.h"
#include "json.h"
#include "noise.h"
#include "usher.h"

/* All is back, but a guest that runs has not what it was given */
#define EXIT_UNMENDED 2

/* How long a claim that somebody gives back at this moment is waited for */
#define WAIT_MS 30000

static void host_close(struct host *host)
{
	cleanup_close(&host->statefd);
	cleanup_close(&host->rootfd);
}

enum found {
	FOUND_GONE,    /* its claim is to be given back */
	FOUND_RUNS,    /* it is to be mended */
	FOUND_REFUSED, /* said */
};

static enum found found_qemu(const struct claim *claim, pid_t pid)
{
	if (claim->state == CLAIM_RUNNING)
		return FOUND_RUNS;
	usher_say("%s: the guest runs (QEMU is pid %d), though its claim is in state %s: shut it "
		  "down first",
		  claim->guest, (int)pid, claim_state_name(claim->state));
	return FOUND_REFUSED;
}

/* Return: an enum found with the uuid, -ENOENT no such claim, else -errno */
static int find_guest(const struct host *host, const char *guest, char ret[static UUID_STRLEN])
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(host->statefd, &claims);

	for (size_t i = 0; r >= 0 && i < claims.nr; i++) {
		pid_t pid;

		if (strcmp(claims.claims[i].guest, guest) != 0)
			continue;
		memcpy(ret, claims.claims[i].uuid, UUID_STRLEN);
		pid = process_find_qemu(host->rootfd, claims.claims[i].uuid);
		if (pid > 0)
			return found_qemu(&claims.claims[i], pid);
		if (pid == -ETIMEDOUT) {
			usher_say(
				"%s: a process that may be its QEMU hangs in the kernel and cannot "
				"be asked: see ps -eo pid,stat,args (state D), and run this again "
				"when that has ended",
				guest);
			return FOUND_REFUSED;
		}
		return FOUND_GONE;
	}
	return r < 0 ? r : -ENOENT;
}

static void print_json(const struct step_result *result, bool back, bool mended)
{
	struct json json;

	json_begin(&json, stdout, "recover");
	json_bool(&json, "back", back);
	json_bool(&json, "mended", mended);
	json_list(&json, "messages");
	json_lines(&json, result->failures ?: "");
	json_lines(&json, result->warnings ?: "");
	json_close(&json, ']');
	json_end(&json);
}

/*
 * What the host has lost since without anybody telling. A guest whose hook is at work has it now;
 * the one that was asked for is waited for.
 *
 * @uuid: this one alone, NULL for all
 *
 * Return: 0, 1 when one is not mended, else -errno
 */
static int mend_running(const struct host *host, const char *uuid, struct step_result *result)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = host->statefd < 0 ? 0 : registry_load(host->statefd, &claims), failed = 0;

	for (size_t i = 0; r >= 0 && i < claims.nr; i++) {
		const struct claim *claim = &claims.claims[i];
		_cleanup_close_ int lock = -1;

		if (claim->state != CLAIM_RUNNING || registry_alive(host->rootfd, claim) <= 0 ||
		    (uuid && strcmp(claim->uuid, uuid) != 0))
			continue;
		lock = giveback_lock(host, claim->uuid, uuid ? WAIT_MS : 0);
		if (lock < 0) {
			r = uuid && lock != -ENOENT ? lock : 0;
			continue;
		}
		r = step_mend(host, claim, result);
		failed |= r > 0;
	}
	return r < 0 ? r : failed;
}

static void say_error(const char *guest, int error)
{
	if (guest && error == -ETIMEDOUT)
		usher_say(
			"%s: its hook, or another usher recover, is at work on it still: run this "
			"again when that has ended",
			guest);
	else
		usher_say("cannot look through the claims in /run/usher: %s: see ls -l /run/usher, "
			  "then run this again",
			  strerror(-error));
}

static int recover(const struct request *request, const struct host *host)
{
	const char *guest = request->guest;
	_cleanup_step_result_ struct step_result result = { 0 };
	char uuid[UUID_STRLEN];
	int found = guest ? find_guest(host, guest, uuid) : FOUND_RUNS, r = 0, unmended = 0;
	int traces = guest ? 0 : tracer_sweep(host->rootfd);

	if (found == -ENOENT)
		usher_say("%s holds nothing", guest);
	else if (found < 0 || found == FOUND_REFUSED)
		r = found;
	else
		r = giveback_dead(host, found == FOUND_GONE ? uuid : NULL, WAIT_MS, &result);
	/* What hangs of one guest is no reason to leave another one without its CPUs */
	if (r >= 0 && found == FOUND_RUNS)
		unmended = mend_running(host, guest ? uuid : NULL, &result);
	if (request->json)
		print_json(&result, r == 0, r >= 0 && unmended == 0);
	else
		(void)fprintf(stderr, "%s%s", result.failures ?: "", result.warnings ?: "");
	if ((r > 0 || unmended > 0) && !result.failures && !result.warnings)
		usher_say("there is no memory left on the host to say what is not back: see "
			  "free -m, then run this again");
	if (r < 0)
		say_error(guest, r);
	if (unmended < 0)
		say_error(guest, unmended);
	if (r != 0 || traces < 0)
		return 1;
	return unmended == 0 ? 0 : EXIT_UNMENDED;
}

static int run(const struct request *request)
{
	_cleanup_(host_close) struct host host = {
		.rootfd = usher_root(request),
		.statefd = -1,
		.root = request->root,
		.helpers = request->dir,
		.phase = "recover",
		.replug = request->force,
		.all_count = true,
	};

	if (host.rootfd < 0)
		return 1;
	host.statefd = state_open(host.rootfd, false);
	/* Where usher has never run there is no claim */
	if (host.statefd < 0 && host.statefd != -ENOENT) {
		usher_say("cannot use /run/usher: %s: %s", strerror(-host.statefd),
			  geteuid() == 0 ? state_cure(host.statefd, "see ls -ld /run/usher")
					 : "recover is root's to run");
		return 1;
	}
	return recover(request, &host);
}

const struct command command_recover = {
	.name = "recover",
	.args = "[--json] [--force] [GUEST]",
	.options = OPTION_JSON | OPTION_FORCE,
	.max_args = 1,
	.help = "give back what dead claims hold, mend guests that run; or GUEST's alone",
	.run = run,
};
