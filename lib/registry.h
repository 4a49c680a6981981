/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/registry.h - all claims of this host: the lock, the list, who is alive */
#pragma once

#include <stdbool.h>

#include "claim.h"
#include "cleanup.h"
#include "text.h"

struct claims {
	struct claim *claims;
	size_t nr;
	struct strlist unreadable; /* uuids of claims that are there but cannot be read */
	char why[256];		   /* of the first of these, printable */
};

void claims_free(struct claims *claims);
#define _cleanup_claims_ _cleanup_(claims_free)

/**
 * registry_lock() - the lock under which claims are derived, and only that
 *
 * Return: the fd that holds it, -ETIMEDOUT, else -errno
 */
int registry_lock(int statefd, int timeout_ms) _must_check_;

/**
 * registry_load() - every claim in run/usher, sorted by uuid
 * @statefd:	< 0: there is no such directory yet, and no claim
 *
 * A claim that is not ours alone, does not parse, or is of a later format is left out and told in
 * @ret->unreadable: what its guest holds is not known. A directory without a claim is none (the
 * moment before it is written, or what a killed hook left).
 *
 * Return: the number of unreadable claims >= 0, -ENOMEM, else -errno
 */
int registry_load(int statefd, struct claims *ret) _must_check_;

/**
 * registry_leftovers() - is there more in a claim's directory than the claim and its locks
 *
 * Journals and marks of what an earlier run could not give back yet.
 *
 * Return: true also when it cannot be looked at
 */
bool registry_leftovers(int statefd, const char *uuid);

/**
 * registry_sweep() - remove directories that a killed hook made for a claim it did not write
 *
 * What killed writers left among the baselines goes, too.
 * The caller holds registry_lock(), under which claims are made.
 */
void registry_sweep(int statefd);

/**
 * registry_alive() - does anybody keep this claim alive
 *
 * Dead is a claim whose owner is gone AND whose uuid is on no command line AND whose vfio nodes
 * nobody holds open. Between `prepare` and QEMU's exec there is neither hook nor QEMU: the
 * daemon owns the claim then. A guest libvirt still has on its books is alive as long as a daemon
 * runs: its `release` will come.
 *
 * Return: 1 alive, 0 dead, else -errno
 */
int registry_alive(int rootfd, const struct claim *claim) _must_check_;
