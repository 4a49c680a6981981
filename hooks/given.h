/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/given.h - a copy of what libvirt gives the hook on stdin, for scripts that read it too */
#pragma once

#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "../lib/step.h"
#include "event.h"

/** given_keep() - more of it has been read. What cannot be kept is lost: a script finds less */
void given_keep(const char *buf, size_t len);

/**
 * given_take() - all of it, read now unless it has been
 *
 * stdin can be read once: when the XML was parsed, that is what has been kept.
 *
 * Return: a file, ours, to be read from its begin; 0 when there is none
 */
int given_take(void);

/**
 * given_scripts() - the guest's own scripts of the event, given all of it
 *
 * Return: as scripts_run()
 */
int given_scripts(const struct event *event, const struct host *host, const struct claim *claim,
		  char **ret_why) _must_check_;

/** given_scripts_after() - given_scripts() when there is nobody to tell: what fails is in the log */
void given_scripts_after(const struct event *event, const struct host *host,
			 const struct claim *claim);
