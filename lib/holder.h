/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/holder.h - nosleep.holder: who holds a guest's sleep inhibitor, or why nobody does */
#pragma once

#include "cleanup.h"
#include "process.h"

#define HOLDER_FILE "nosleep.holder"

/* What nosleep.holder says */
struct holder {
	int error;		/* 0 held, -EINPROGRESS not yet, else why not, -errno */
	struct process process; /* who holds it, or tries to */
	struct process qemu;	/* as long as this one lives */
};

/**
 * holder_store() - tell apply and undo who holds the inhibitor, or why nobody does
 *
 * Return: as state_write()
 */
int holder_store(int dirfd, const struct holder *holder) _must_check_;

/**
 * holder_load() - read it
 *
 * Return: 0, -ENOENT when there is none yet, -EBADMSG when it does not parse, else as state_read()
 */
int holder_load(int dirfd, struct holder *ret) _must_check_;

/**
 * holder_holds() - is there a process that holds the inhibitor for this very QEMU
 *
 * Return: 1, 0, else as holder_load() or process_alive()
 */
int holder_holds(int rootfd, int dirfd, const struct process *qemu) _must_check_;
