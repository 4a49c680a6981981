/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/giveback.c - give back all that a claim holds, and find claims nobody keeps alive */
#include "giveback.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deadline.h"
#include "log.h"
#include "registry.h"
#include "scripts.h"
#include "state.h"
#include "text.h"

#define LOCK_FILE     "claim.lock"
#define SWEEP_LOCK_MS 500

int giveback_lock(const struct host *host, const char *uuid, int timeout_ms)
{
	_cleanup_close_ int dirfd = state_dir(host->statefd, uuid, false);

	return dirfd < 0 ? dirfd : state_lock(dirfd, LOCK_FILE, timeout_ms);
}

/* One line, to the log and to whoever asked. Return: 0, -ENOMEM: it is in the log all the same */
_printf_(3, 4) static int say(const struct host *host, struct step_result *result, const char *fmt,
			      ...)
{
	char text[4096], line[sizeof(text) + sizeof("usher: \n")];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_line(host->rootfd, LOG_ERR, "%s", text);
	(void)snprintf(line, sizeof(line), "usher: %s\n", text);
	return text_append(&result->failures, line);
}

static int say_of(const struct host *host, const struct claim *claim, struct step_result *result,
		  const char *what, int error, const char *cure)
{
	_cleanup_free_ char *guest = NULL;

	if (text_printable(claim->guest, &guest) < 0)
		guest = NULL;
	(void)say(host, result, "%s: cannot %s /run/usher/%s: %s: %s", guest ?: "?", what,
		  claim->uuid, strerror(-error), cure);
	return error;
}

int giveback_forget(const struct host *host, const struct claim *claim, struct step_result *result)
{
	int r = state_remove_dir(host->statefd, claim->uuid);

	return r == 0 ? 0
		      : say_of(host, claim, result, "remove the claim", r,
			       "all it held is given back: see that /run can be written, then run "
			       "usher recover");
}

/* @why: of scripts_give_back() */
static void say_owed(const struct host *host, const struct claim *claim, int r, const char *why,
		     struct step_result *result)
{
	if (r < 0)
		(void)say_of(host, claim, result, "run the scripts that give back", r,
			     "usher recover tries again");
	else if (r > 0)
		(void)say(host, result, "%s: %s", claim->guest, why);
}

/* What is said of the first undo is in the log, and need not be true any more */
static int undo_by_force(const struct host *host, const struct claim *claim,
			 struct step_result *result)
{
	int failed, r;

	step_result_free(result);
	failed = step_replug(host, claim, result);
	if (failed < 0)
		return failed;
	r = steps_run(host, claim, "undo", STEP_RELEASE, 0, result);
	/* To the undo a device that was not found again is one that has been unplugged */
	return r < 0 ? r : r || failed;
}

int giveback_claim(const struct host *host, const struct claim *claim, struct step_result *result)
{
	_cleanup_free_ char *why = NULL;
	int owed = scripts_give_back(host, claim, &why);
	int r = steps_run(host, claim, "undo", STEP_RELEASE, 0, result);

	if (r > 0 && host->replug)
		r = undo_by_force(host, claim, result);
	say_owed(host, claim, owed, why, result);
	if (r < 0)
		return say_of(host, claim, result, "give back the claim", r,
			      "usher recover tries again");
	if (r > 0) {
		log_line(host->rootfd, LOG_ERR,
			 "%s: not everything could be given back: see the lines above; usher "
			 "recover tries again",
			 claim->guest);
		return 1;
	}
	return owed ?: giveback_forget(host, claim, result);
}

/* Return: 1 it is ours to give back now, 0 somebody keeps it, else -errno */
static int take_over(const struct host *host, const struct claim *claim, const char *uuid)
{
	_cleanup_claim_ struct claim now = { 0 };
	_cleanup_close_ int lock = -1;
	struct ini_error err;
	struct process self;
	int r;

	lock = registry_lock(host->statefd, 5000);
	if (lock < 0)
		return lock;
	/* It may have changed, or gone, since it was listed */
	r = claim_load(host->statefd, claim->uuid, &now, &err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!uuid || strcmp(uuid, claim->uuid) != 0 || now.state == CLAIM_RETURNING) {
		r = registry_alive(host->rootfd, &now);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = process_identify(host->rootfd, getpid(), &self);
	if (r == 0)
		r = claim_set_state(host->statefd, &now, CLAIM_RETURNING, &self);
	return r < 0 ? r : 1;
}

/* Return: 1, -ENOMEM */
static int say_busy(const struct host *host, const struct claim *claim, struct step_result *result)
{
	_cleanup_free_ char *guest = NULL;

	if (text_printable(claim->guest, &guest) < 0)
		return -ENOMEM;
	return say(host, result,
		   "%s: not given back: another process, or a script of the guest's own, is still "
		   "at work on it: run usher recover %s when that has ended",
		   guest, guest)
		       ?: 1;
}

/* Return: 0 given back, or kept by somebody; 1 not given back whole, else -errno */
static int giveback_one(const struct host *host, const struct claim *claim, const char *uuid,
			int timeout_ms, struct step_result *result)
{
	bool mine = uuid && strcmp(uuid, claim->uuid) == 0;
	_cleanup_close_ int lock = -1;
	int r;

	/* Only our own guest's claim is worth waiting for */
	lock = giveback_lock(host, claim->uuid, mine ? timeout_ms : 0);
	if (lock == -ENOENT)
		return 0;
	if (lock == -ETIMEDOUT)
		return mine ? say_busy(host, claim, result) : 0;
	if (lock < 0)
		return say_of(host, claim, result, "lock the claim", lock,
			      "usher recover tries again");
	if (host->leaves_scripts) {
		r = scripts_owed(host, claim);
		if (r != 0)
			return r > 0 ? 0
				     : say_of(host, claim, result, "read scripts.owed of", r,
					      state_cure(r, "usher recover tries again"));
	}
	r = take_over(host, claim, uuid);
	if (r < 0)
		return say_of(host, claim, result, "take over the claim", r,
			      "usher recover tries again");
	if (r == 0)
		return 0;
	log_line(host->rootfd, LOG_INFO, "%s: giving back what is left of an earlier run",
		 claim->guest);
	return giveback_claim(host, claim, result);
}

/* A claim is made under the lock: without it, or after a moment's wait, they stay */
static void sweep(const struct host *host)
{
	_cleanup_close_ int lock = registry_lock(host->statefd, SWEEP_LOCK_MS);

	if (lock >= 0)
		registry_sweep(host->statefd);
}

/* Return: 0, -ENOMEM */
static int say_unreadable(const struct host *host, const struct claims *claims,
			  struct step_result *result)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < claims->unreadable.nr; i++)
		r = say(host, result,
			"the claim /run/usher/%s/claim.ini cannot be read%s%s%s: what it holds "
			"stays "
			"taken: install the usher that wrote it, or reboot",
			claims->unreadable.names[i], i == 0 ? " (" : "", i == 0 ? claims->why : "",
			i == 0 ? ")" : "");
	return r;
}

int giveback_dead(const struct host *host, const char *uuid, int timeout_ms,
		  struct step_result *result)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int not_back, r;

	sweep(host);
	not_back = registry_load(host->statefd, &claims);
	if (not_back < 0)
		return not_back;
	r = say_unreadable(host, &claims, result);
	if (r < 0)
		return r;
	for (size_t i = 0; i < claims.nr; i++) {
		r = giveback_one(host, &claims.claims[i], uuid, timeout_ms, result);
		if (r == -ENOMEM)
			return r;
		not_back += r != 0;
	}
	return not_back;
}
