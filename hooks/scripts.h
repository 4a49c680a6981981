/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/scripts.h - an older tree of scripts goes on working: qemu.d/GUEST/OPERATION/SUBOPERATION */
#pragma once

#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "../lib/step.h"

/*
 * How it works
 *
 * The tree is that of VFIO-Tools: below etc/libvirt/hooks/qemu.d/GUEST lies a folder for each
 * operation, in it one for the suboperation, in it executable files (or one such file in the
 * folder's place). With [scripts] run = yes in the policy they are run one after the other, sorted
 * by name, with the hook's four arguments, what libvirt gave it on stdin, and a deadline each. What
 * they say goes to the log. Around them usher's own steps are the outer ones: applied before, undone after.
 */

/** scripts_wanted() - does the claim say so */
bool scripts_wanted(const struct claim *claim);

/**
 * scripts_run() - those of one operation
 * @stop:	the first that fails ends it
 *
 * A script, and each folder on the way to it, must be root's and not writable by others. Below
 * another root than "/" it is run from there.
 *
 * Return: 0 (also when there are none), 1 one has failed (@ret_why is the line, allocated), -ENOMEM
 */
int scripts_run(const struct host *host, const struct claim *claim, const char *operation,
		const char *suboperation, const char *extra, bool stop, char **ret_why)
	_must_check_;
