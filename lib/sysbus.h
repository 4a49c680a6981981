/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sysbus.h - what usher asks of systemd and logind over D-Bus, each call with a deadline */
#pragma once

#include <stdint.h>

#include "cleanup.h"
#include "cpulist.h"

/* All calls: -ECONNREFUSED or -ENOENT when there is no bus, -EHOSTUNREACH when nobody on it
 * answers to the service's name and none can be started, -ETIMEDOUT, -EOPNOTSUPP when the other
 * side lacks the method or property, else the D-Bus error as -errno. The connection is opened and
 * closed within the call. */

/* A set of CPUs as systemd carries it: bit N%8 of byte N/8 */
#define SYSBUS_CPUS_MAX (CPULIST_MAX / 8)

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
 * sysbus_logind_answers() - is there a logind, or one that the bus can start
 *
 * Return: 0, -EHOSTUNREACH when it cannot be started, its unit being masked or broken, -ETIMEDOUT,
 * else -errno of the way to the bus
 * ABI: D-Bus specification, org.freedesktop.DBus.Peer.Ping
 */
int sysbus_logind_answers(int timeout_ms) _must_check_;

/* Whether the host goes to sleep: a connection of its own, kept */
struct sysbus_sleep;

enum sysbus_sleep_event {
	SYSBUS_SLEEP_NONE = 0,
	SYSBUS_SLEEP_BEGINS, /* logind is about to suspend or hibernate the host */
	SYSBUS_SLEEP_ENDED,  /* it is awake again, or could not be put to sleep */
};

/**
 * sysbus_sleep_open() - subscribe to logind's PrepareForSleep
 *
 * A logind that is not there yet, or comes back, is heard as soon as it is.
 *
 * Return: 0, else -errno
 * ABI: org.freedesktop.login1(5), signals
 */
int sysbus_sleep_open(int timeout_ms, struct sysbus_sleep **ret) _must_check_;

/** sysbus_sleep_fd() - becomes readable when there is something for sysbus_sleep_next() */
int sysbus_sleep_fd(const struct sysbus_sleep *sleep);

/**
 * sysbus_sleep_next() - the next event there is already; never waits
 *
 * Return: a sysbus_sleep_event, else -errno when the bus has gone: to be opened anew
 */
int sysbus_sleep_next(struct sysbus_sleep *sleep) _must_check_;

/** sysbus_sleep_close() - NULL is fine */
void sysbus_sleep_close(struct sysbus_sleep *sleep);

/** sysbus_systemd_version() - 257. Return: that, -EBADMSG when it is no number, else -errno */
int sysbus_systemd_version(int timeout_ms) _must_check_;

/**
 * sysbus_start_service() - run a program as a transient service of its own
 * @unit:	"usher-nosleep-UUID.service"
 * @argv:	absolute path first
 * @stop_argv:	run when the service has ended (ExecStopPost), NULL for none
 *
 * Returns when systemd says the job is done. The service is collected when it ends. One that is
 * killed, but not by SIGTERM, is started again when @stop_argv has been run. Processes that
 * @stop_argv leaves behind are left alone.
 *
 * It has systemd's default dependencies, so it is stopped when the host shuts down.
 *
 * Return: 0, -EEXIST when such a unit is there already, -EIO when the program could not be
 * executed, -ECANCELED when somebody else stopped it meanwhile, else -errno
 * ABI: systemd.service(5), Restart=on-abnormal; systemd.kill(5), KillMode=process
 */
int sysbus_start_service(const char *unit, const char *description, const char *const *argv,
			 const char *const *stop_argv, int timeout_ms) _must_check_;

/**
 * sysbus_stop_unit() - stop it and wait for the job, which ends after ExecStopPost has
 *
 * Return: 0 (also when it is not loaded), else -errno
 */
int sysbus_stop_unit(const char *unit, int timeout_ms) _must_check_;

/**
 * sysbus_start_unit() - start an installed unit and wait for the job
 *
 * A unit that has failed too often of late is started all the same.
 *
 * Return: 0 (also when it is active already), -ENOENT when there is no such unit, -EIO when it
 * failed, -ESHUTDOWN when the host is about to go down and nothing is started any more, else -errno
 * ABI: systemctl(1), --job-mode=replace-irreversibly, which shutdown.target is started with
 */
int sysbus_start_unit(const char *unit, int timeout_ms) _must_check_;

/**
 * sysbus_unit_active() - is a unit active, or about to be; an alias is as good as the unit's name
 *
 * Return: 1, 0 (also when there is no such unit), else -errno
 */
int sysbus_unit_active(const char *unit, int timeout_ms) _must_check_;

/**
 * sysbus_end_session() - logind's TerminateSession: the session's processes are ended
 * @session:	logind's id, "c2"
 *
 * Returns when logind has begun with it.
 *
 * Return: 0 (also when there is none), else -errno
 */
int sysbus_end_session(const char *session, int timeout_ms) _must_check_;

/**
 * sysbus_get_allowed_cpus() - a unit's AllowedCPUs as systemd has it, empty when unset
 * @unit:	a .slice, .scope or .service
 *
 * Return: 0, -EINVAL for another kind of unit, -ERANGE past CPULIST_MAX, else -errno
 */
int sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms) _must_check_;

/**
 * sysbus_set_allowed_cpus() - SetUnitProperties(AllowedCPUs), runtime only; empty clears it
 *
 * Return: 0, -ENOENT when there is no such unit, else -errno
 * Seen on: an empty value does not clear it on some systemd versions (systemd issue 43846)
 */
int sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms)
	_must_check_;

/** sysbus_cpus_to_bytes() - systemd's byte form. Return: the bytes used, 0 for the empty set */
size_t sysbus_cpus_to_bytes(const struct cpulist *cpus, uint8_t bytes[static SYSBUS_CPUS_MAX]);

/**
 * sysbus_cpus_from_bytes() - the inverse, any length
 *
 * Return: 0, -ERANGE for a CPU >= CPULIST_MAX
 */
int sysbus_cpus_from_bytes(const uint8_t *bytes, size_t size, struct cpulist *ret) _must_check_;
