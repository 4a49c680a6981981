/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/nosleep.h - a logind inhibitor that lives exactly as long as QEMU */
#pragma once

#include "../../lib/holder.h"
#include "../helper.h"

/*
 * How it works
 *
 * apply, in `started`, starts the transient service usher-nosleep-UUID.service, which runs
 * `usher-nosleep hold CLAIM`. The holder takes the inhibitor, says so in the claim's directory
 * (nosleep.holder, for which apply waits), and watches two descriptors: QEMU's pidfd, whose end
 * is its own end and with it the inhibitor's, and the inhibitor, whose error means that logind
 * has gone and that it must be taken again. When the service ends, systemd runs `usher recover`,
 * and starts it again if it was killed: it finds the claim, and the same QEMU.
 * A third and a fourth are for sleep that comes all the same, as root can have it: logind tells when
 * it puts the host to sleep, and a timer that the kernel cancels on every resume when somebody else
 * has. What counts is by how much the clocks say the host has slept: logind tells of an attempt that
 * failed in the same way. Sleep is logged, and noted in the claim's directory (nosleep.slept), for
 * check to say.
 *
 * Nothing has to be given back but in `undo`, and only because QEMU may outlive `stopped`.
 * Where systemd is not PID 1, the holder is a detached process instead.
 */

#define NOSLEEP_NAME "nosleep"
#define SLEPT_FILE   "nosleep.slept"

extern const struct helper nosleep_helper;

struct nosleep_wish {
	const char *what; /* "sleep:idle", logind's words */
	const char *mode; /* "block", "delay", "block-weak" */
};

/**
 * wish_read() - what the claim's [nosleep] asks for, checked
 * @ret:	points into @claim; defaults are sleep and block
 *
 * Return: 0, -EINVAL for a word logind does not know, or one that cannot be delayed, with @err
 * filled
 */
int wish_read(const struct claim *claim, struct nosleep_wish *ret, char *err, size_t size)
	_must_check_;

/** wish_load() - wish_read(), said when it fails. Return: HELPER_DONE, HELPER_USAGE or HELPER_FAILED */
enum helper_exit wish_load(const struct helper_ctx *ctx, struct nosleep_wish *ret) _must_check_;

/**
 * holder_wait() - wait until it says how the attempt ended
 * @deadline:	as deadline_in()
 *
 * Return: 0 with @ret filled, -ETIMEDOUT, -ECHILD when the holder has ended without saying so, else
 * as holder_load(), watch_open() or -errno of inotify_add_watch(2)
 */
int holder_wait(int rootfd, int dirfd, long long deadline, struct holder *ret) _must_check_;

/* What nosleep.slept says: "TIMES SECONDS SINCE" */
struct slept {
	unsigned int times;
	unsigned int seconds; /* the last time */
	long long since;      /* the last time: seconds since the epoch */
};

/** slept_store() - Return: as state_write() */
int slept_store(int dirfd, const struct slept *slept) _must_check_;

/** slept_load() - Return: 0, -ENOENT when the host has not slept, -EBADMSG, else as state_read() */
int slept_load(int dirfd, struct slept *ret) _must_check_;

/**
 * slept_describe() - what the last sleep has done to the guest, as one line
 * @ret:	allocated
 *
 * Return: 0, -ENOMEM
 */
int slept_describe(const struct claim *claim, const struct slept *slept, char **ret) _must_check_;

/**
 * suspended_ms() - for how long the host has slept since it was booted, to the ms
 *
 * ABI: clock_gettime(2): CLOCK_BOOTTIME goes on while the host is suspended, CLOCK_MONOTONIC does not
 */
long long suspended_ms(void);

/**
 * wakeup_open() - a descriptor that becomes readable when the host wakes, or its clock is set
 *
 * Return: the fd, else -errno of timerfd_create(2)
 * ABI: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET; timerfd_resume(), fs/timerfd.c: the kernel's
 * timekeeping counts a resume as a clock that was set
 */
int wakeup_open(void) _must_check_;

/** wakeup_clear() - until the next time. Return: 0, else -errno of read(2) */
int wakeup_clear(int fd) _must_check_;

/** claim_has_devices() - does the guest hold devices of the host. Return: 1 or 0 */
int claim_has_devices(const struct claim *claim);

/**
 * hold() - take the inhibitor and keep it until QEMU ends
 * @ctx:	the claim is in state running; ctx->deadline bounds the first attempts
 * @caps:	capabilities to be kept meanwhile
 *
 * Return: HELPER_DONE when QEMU has ended, HELPER_FAILED when the inhibitor could not be taken
 */
int hold(struct helper_ctx *ctx, unsigned long long caps);

/** fd_path() - the path of a descriptor. Return: 0, -ENAMETOOLONG, else -errno of readlink(2) */
int fd_path(int fd, char *ret, size_t size) _must_check_;
