/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/log.h - one line to syslog: on success libvirt throws stderr away */
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
