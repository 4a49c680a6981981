/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/scripts.h - an older tree of scripts goes on working: qemu.d/GUEST/OPERATION/SUBOPERATION */
#pragma once

#include <stdbool.h>

#include "claim.h"
#include "cleanup.h"
#include "step.h"

/*
 * How it works
 *
 * The tree is that of VFIO-Tools: below etc/libvirt/hooks/qemu.d/GUEST lies a folder for each
 * operation, in it one for the suboperation, in it executable files (or one such file in the
 * folder's place). With [scripts] run = yes in the policy they are run one after the other, sorted
 * by name, with the hook's four arguments, what libvirt gave it on stdin, and a deadline each. What
 * they say goes to the log. Around them usher's own steps are the outer ones: applied before, undone after.
 *
 * What they have done to the host only the tree itself can take back. So run/usher/UUID/scripts.owed
 * says which operations still have to be run for that: written before the scripts of a start are
 * run, and again after those of a stop have been. "" says that all have been. Whoever gives the
 * claim back runs what is owed; killed in the midst of it he leaves it owed, and the next runs the
 * same scripts again: twice is better than never. One that fails is not run again. While the file,
 * or the tree, cannot be read, the claim stays: usher recover tries again.
 */

/** scripts_wanted() - does the claim say so */
bool scripts_wanted(const struct claim *claim);

/**
 * scripts_run() - those of one operation, and for "release" first those of "stopped" if still owed
 * @operation:	"prepare"; nothing is done for one that the tree has not
 * @input:	what they are given on stdin, as in struct spawn_job
 *
 * In a start the first that fails ends it. In a stop, and in "reconnect", the others are run all the
 * same; nothing is run when all has been, or when what is owed cannot be read. A script, and each
 * folder on the way to it, must be root's and not writable by others. Below another root than "/" it
 * is run from there.
 *
 * The caller holds giveback_lock().
 *
 * Return: 0 (also when there are none), 1 one has failed, or it is not known which are to be run
 * (@ret_why is the line, allocated), -ENOMEM
 */
int scripts_run(const struct host *host, const struct claim *claim, const char *operation,
		const char *extra, int input, char **ret_why) _must_check_;

/** scripts_after() - scripts_run() when there is nobody to tell: what fails is in the log */
void scripts_after(const struct host *host, const struct claim *claim, const char *operation,
		   const char *extra, int input);

/** scripts_owed() - does whoever gives the claim back have to run any. Return: 1, 0, else -errno */
int scripts_owed(const struct host *host, const struct claim *claim) _must_check_;

/**
 * scripts_owes() - are those of @operation among what scripts_give_back() would run; runs nothing
 *
 * Return: 1, 0, else -errno
 */
int scripts_owes(const struct host *host, const struct claim *claim, const char *operation)
	_must_check_;

/**
 * scripts_give_back() - run what is owed, in libvirt's stead
 * @ret_why:	of 1: the line, allocated
 *
 * As libvirt does after a start that failed, or a QEMU that crashed. It gives the domain's XML; here
 * it is the one that `prepare` was given. What a script fails over is in the log, and not owed any more.
 *
 * Return: 0, 1 what is owed, or may be, could not be found out and is owed still, -ENOMEM the same
 */
int scripts_give_back(const struct host *host, const struct claim *claim, char **ret_why)
	_must_check_;
