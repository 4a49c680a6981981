/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/leftover.h - files that nobody is to find when a signal has ended the program */
#pragma once

#include <signal.h>

#include "../../lib/cleanup.h"

/**
 * leftover_init() - SIGINT, SIGTERM and SIGHUP take the files away before they end the program
 *
 * A closed pipe does not end it: the write fails instead.
 */
void leftover_init(void);

/** leftover_hold() - no signal comes between a file's making and leftover_add(), until it is let */
sigset_t leftover_hold(void);
void leftover_let(const sigset_t *old);
/* clang wants a variable read that only its cleanup needs */
#define _cleanup_held_ _cleanup_(leftover_let) __attribute__((unused))

/**
 * leftover_add() - one file, or with AT_REMOVEDIR a folder, while signals are held
 * @name:	below @dirfd, as unlinkat(2) has them; both stay until leftover_forget()
 *
 * What was added last is removed first.
 */
void leftover_add(int dirfd, const char *name, int flags);

/** leftover_forget() - it is gone, or meant to stay */
void leftover_forget(const char *name);
