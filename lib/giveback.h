/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/giveback.h - give back all that a claim holds, and find claims nobody keeps alive */
#pragma once

#include "claim.h"
#include "cleanup.h"
#include "step.h"

/**
 * giveback_lock() - the lock of whoever runs steps of a claim: one phase at a time
 *
 * Return: the fd that holds it, -ENOENT when the claim is gone, -ETIMEDOUT, else -errno
 */
int giveback_lock(const struct host *host, const char *uuid, int timeout_ms) _must_check_;

/**
 * giveback_claim() - undo every step (STEP_RELEASE), and forget the claim when all is back
 *
 * Before that the guest's own scripts are run, those that are owed: scripts_give_back().
 *
 * The caller holds giveback_lock() or has just made the claim. What could not be undone stays in
 * the claim's directory for the next try.
 *
 * Return: 0 all is back, 1 something is not (result->failures), else -errno, said there and in the
 * log, as all that is not back
 */
int giveback_claim(const struct host *host, const struct claim *claim, struct step_result *result)
	_must_check_;

/**
 * giveback_forget() - a claim that holds nothing: remove its directory, or say why it stays
 *
 * Return: 0, else -errno, said in result->failures and in the log
 */
int giveback_forget(const struct host *host, const struct claim *claim, struct step_result *result);

/**
 * giveback_dead() - give back what dead claims hold
 * @uuid:	also this guest's claim, whatever its state; NULL for none. Its QEMU must be gone.
 * @timeout_ms:	how long a claim that somebody else gives back right now is waited for
 *
 * A claim is taken over (state returning, owner ourselves) under the registry lock, so that
 * two callers never undo one claim.
 *
 * Return: the number of claims that could not be given back whole >= 0, else -errno
 */
int giveback_dead(const struct host *host, const char *uuid, int timeout_ms,
		  struct step_result *result);
