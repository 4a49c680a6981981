/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sched.h - a thread's CPUs, and its scheduling class with priority or nice value: "fifo:1", "other:-5" */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "cleanup.h"
#include "cpulist.h"

#define SCHED_TEXT_MAX 16

struct sched {
	int policy;	       /* SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR */
	int nice;	       /* -20 to 19; 0 for a class without */
	unsigned int priority; /* 1 to 99; 0 for a class without */
};

/**
 * sched_parse() - "other:NICE" and "batch:NICE" with -20 to 19, "idle", "fifo:PRIORITY" and
 * "rr:PRIORITY" with 1 to 99
 *
 * Return: 0, -EINVAL, -ERANGE
 */
int sched_parse(const char *text, struct sched *ret) _must_check_;

/** sched_format() - the inverse. Return: 0, -EINVAL for another class (deadline) */
int sched_format(const struct sched *sched, char buf[static SCHED_TEXT_MAX]) _must_check_;

/**
 * sched_of() - of a thread of the real host
 *
 * Return: 0, else -errno of sched_getattr(2)
 */
int sched_of(pid_t tid, struct sched *ret) _must_check_;

/** sched_set() - give a thread of the real host this one. Return: 0, else -errno of sched_setattr(2) */
int sched_set(pid_t tid, const struct sched *sched) _must_check_;

/**
 * sched_cpus() - those that a thread may run on, offline ones too
 * @dir:	"proc/812" or "proc/812/task/813"
 *
 * Return: 0, -EBADMSG, else as attr_read()
 * ABI: proc_pid_status(5), Cpus_allowed_list
 */
int sched_cpus(int rootfd, const char *dir, struct cpulist *ret) _must_check_;

/** sched_bind() - of the real host. Return: 0, else -errno of sched_setaffinity(2); offline CPUs are lost */
int sched_bind(pid_t tid, const struct cpulist *cpus) _must_check_;
