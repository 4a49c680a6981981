/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/watch.h - a pidfd of one very process: told when it ends, never fooled by a reused pid */
#pragma once

#include "cleanup.h"
#include "process.h"

/**
 * watch_open() - a pidfd that becomes readable when the process ends
 * @process:	pid + start time; the pid is believed only while its start time is this one
 *
 * Return: the fd, -ESRCH when that process is gone, else -errno of pidfd_open(2) or process_alive()
 * ABI: pidfd_open(2), since Linux 5.3
 */
int watch_open(int rootfd, const struct process *process) _must_check_;

/**
 * watch_open_ours() - the same of a process that is to be ended, and runs the program that we are
 *
 * Who has become another program since, as a holder that ends as `usher recover`, is not ours any more.
 *
 * Return: as watch_open(), -ESRCH also for another program
 */
int watch_open_ours(int rootfd, const struct process *process) _must_check_;

/**
 * watch_wait() - wait for the end
 * @timeout_ms:	0 to look once, -1 for ever
 *
 * Return: 1 it has ended, 0 it is still there, else -errno of poll(2)
 */
int watch_wait(int pidfd, int timeout_ms) _must_check_;

/**
 * watch_end() - SIGTERM, half of the time later SIGKILL
 *
 * A process that hangs in the kernel is still there afterwards: it ends as soon as the kernel
 * returns, and runs no more of its own code.
 *
 * Return: 0 it has ended, -ETIMEDOUT it is still there, else -errno of pidfd_send_signal(2)
 */
int watch_end(int pidfd, int timeout_ms) _must_check_;

/**
 * watch_end_all() - watch_end() for several at once, in the time of one
 * @pidfds:	negative ones are passed over
 *
 * Return: 0 all have ended, -ETIMEDOUT some are still there, else -errno of pidfd_send_signal(2)
 */
int watch_end_all(const int *pidfds, size_t nr, int timeout_ms) _must_check_;
