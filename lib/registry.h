/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/registry.h - all claims of this host: the lock, the list, who is alive */
#pragma once

#include "claim.h"
#include "cleanup.h"

struct claims {
	struct claim *claims;
	size_t nr;
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
 * A directory whose claim is missing, not ours or does not parse is left out and counted: it must
 * not stop other guests. (-ENOENT is the moment before the claim is written.)
 *
 * Return: the number of directories left out >= 0, -ENOMEM, else -errno
 */
int registry_load(int statefd, struct claims *ret) _must_check_;

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
