/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/log.h - one line to syslog: on success libvirt throws stderr away */
#pragma once

#include <syslog.h>

#include "cleanup.h"

/**
 * log_line() - send one line, tag "usher"
 * @priority:	LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG
 *
 * Never blocks for long and never fails the caller: without a log daemon the line is lost.
 */
void log_line(int priority, const char *fmt, ...) _printf_(2, 3);
