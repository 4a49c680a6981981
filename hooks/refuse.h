/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/refuse.h - why a guest is not started, in one line; all of them return 1 */
#pragma once

#include "../lib/registry.h"
#include "conflict.h"
#include "event.h"
#include "phase.h"

int refuse(const struct event *event, const struct host *host, const char *what);

/** refuse_errno() - "cannot WHAT: ..." */
int refuse_errno(const struct event *event, const struct host *host, const char *what, int r);

/** refuse_conflict() - another guest holds what this one's claim wants */
int refuse_conflict(const struct event *event, const struct host *host,
		    const struct conflict *conflict);

/** refuse_unmanaged() - the same of a guest without a policy */
int refuse_unmanaged(const struct event *event, const struct host *host,
		     const struct conflict *conflict);

/** refuse_unreadable() - what a guest holds is not known, so nothing can be taken safely */
int refuse_unreadable(const struct event *event, const struct host *host,
		      const struct claims *claims);

/**
 * refuse_is_passing() - is what the claim holds being given back by somebody else at this moment
 *
 * What we ourselves could not give back is not.
 */
bool refuse_is_passing(const struct host *host, const struct claim *claim);
