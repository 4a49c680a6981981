/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sysbus.h - what usher asks of systemd and logind over D-Bus, each call with a deadline */
#pragma once

#include "cleanup.h"
#include "cpulist.h"

/* All calls: -ECONNREFUSED or -ENOENT when there is no bus, -ETIMEDOUT, -EOPNOTSUPP when the
 * other side lacks the method or property, else the D-Bus error as -errno. The connection is
 * opened and closed within the call. */

/**
 * sysbus_inhibit() - take a logind inhibitor lock; it lasts as long as the fd is open
 * @what:	"sleep:idle"
 * @mode:	"block" or "delay"
 *
 * Return: the fd, else -errno
 */
int sysbus_inhibit(const char *what, const char *who, const char *why, const char *mode,
		   int timeout_ms) _must_check_;

/**
 * sysbus_start_service() - run a program as a transient service of its own
 * @unit:	"usher-nosleep-UUID.service"
 * @argv:	absolute path first
 * @stop_argv:	run when the service has ended (ExecStopPost), NULL for none
 *
 * Returns when systemd says the job is done. The service is collected when it ends.
 *
 * Return: 0, -EEXIST when such a unit is there already, else -errno
 */
int sysbus_start_service(const char *unit, const char *description, const char *const *argv,
			 const char *const *stop_argv, int timeout_ms) _must_check_;

/** sysbus_stop_unit() - stop it and wait for the job. Return: 0 (also when it is not loaded) */
int sysbus_stop_unit(const char *unit, int timeout_ms) _must_check_;

/** sysbus_get_allowed_cpus() - a unit's AllowedCPUs as systemd has it, empty when unset */
int sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms) _must_check_;

/** sysbus_set_allowed_cpus() - SetUnitProperties(AllowedCPUs), runtime only; empty clears it */
int sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms)
	_must_check_;
