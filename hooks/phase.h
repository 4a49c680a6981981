/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/phase.h - one hook call: what is done in each phase of a guest's life */
#pragma once

#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "../lib/step.h"
#include "event.h"

/*
 * Every phase_*() returns the hook's exit code: 0, or 1 when the start is refused or something
 * could not be given back. host->statefd is -1 when they are called.
 */

/**
 * phase_prepare() - derive the claim, check everything, apply the steps of prepare
 *
 * A guest without a policy is refused only when it would run into what another guest holds. What a
 * dead one has left of it is given back first, whoever's scripts that takes.
 */
int phase_prepare(const struct event *event, struct host *host);

/** phase_plan() - by hand: print what prepare would do, and change nothing */
int phase_plan(const struct event *event, struct host *host);

/** phase_check() - by hand: does the policy parse; reads nothing else */
int phase_check(const struct event *event, struct host *host);

/**
 * phase_start() - has another guest what libvirt has chosen from a pool; the guest's own scripts
 *
 * As in prepare, a guest without a policy is looked at while others hold something.
 */
int phase_start(const struct event *event, struct host *host);

/** phase_started() - QEMU owns the claim now; steps that need its cgroups */
int phase_started(const struct event *event, struct host *host);

/** phase_stopped() - undo those; 2 s at most. Always 0. */
int phase_stopped(const struct event *event, struct host *host);

/**
 * phase_release() - give everything back
 *
 * Done by a process of its own, which goes on alone when it needs more than 5 s: libvirt ends all
 * guests in one worker.
 */
int phase_release(const struct event *event, struct host *host);

/**
 * phase_reconnect() - make true again what the claim says; 2 s at most
 *
 * Always 0: libvirt kills a healthy guest for anything else.
 */
int phase_reconnect(const struct event *event, struct host *host);

/** phase_say() - one line on stderr and in the log: "usher: GUEST: ..." */
void phase_say(const struct host *host, int priority, const char *guest, const char *fmt, ...)
	_printf_(4, 5);

/**
 * phase_log() - the line that ends a phase of a guest that is ours, with its time
 * @status:	the hook's exit code
 */
void phase_log(const struct host *host, const char *guest, int status, int elapsed_ms);

/** phase_owner() - identify a process for a claim. Return: 0, else -errno */
int phase_owner(const struct host *host, pid_t pid, struct process *ret) _must_check_;

/**
 * phase_daemon() - the libvirt daemon that called us
 *
 * Return: 0, -ESRCH when it has died since: then no operation of this guest follows, and our
 * parent is init, which would keep a claim alive for ever; else -errno
 */
int phase_daemon(const struct event *event, const struct host *host, struct process *ret)
	_must_check_;
