/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/log.h - one line to the journal or syslog: on success libvirt throws stderr away */
#pragma once

#include <syslog.h>

#include "cleanup.h"

/**
 * log_line() - send one line, tag "usher"
 * @rootfd:	the socket is dev/log below it; a recorded tree has none
 * @priority:	LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG
 *
 * Never waits and never fails the caller: without a log daemon, or with one that does not read,
 * the line is lost.
 */
void log_line(int rootfd, int priority, const char *fmt, ...) _printf_(3, 4);

/* What a line is about: fields of the journal's entry. NULL or "" (ms: -1) for what does not apply. */
struct log_about {
	const char *guest;  /* USHER_GUEST, printable */
	const char *uuid;   /* USHER_UUID */
	const char *phase;  /* USHER_PHASE: "prepare", "recover" */
	const char *step;   /* USHER_STEP: "vfio"; the line of a whole phase has none */
	const char *verb;   /* USHER_VERB: "apply" */
	const char *result; /* USHER_RESULT: "done", "failed"; NULL for what was said meanwhile */
	int ms;		    /* USHER_MSEC */
};

/**
 * log_event() - send one line with its fields to the journal
 * @rootfd:	the socket is run/systemd/journal/socket below it
 *
 * Without a journal it is a line of log_line(). Never waits and never fails the caller.
 * ABI: systemd's "Native Journal Protocol"
 */
void log_event(int rootfd, int priority, const struct log_about *about, const char *fmt, ...)
	_printf_(4, 5);
