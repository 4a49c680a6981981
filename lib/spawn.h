/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/spawn.h - run programs side by side, each with a deadline, none left holding our pipes */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cleanup.h"

/* What is kept of a child's stderr; the rest is read and dropped */
#define SPAWN_OUTPUT_MAX 16384

struct spawn_job {
	const char *const *argv; /* argv[0] is the absolute path; no PATH, no shell */
	int timeout_ms;
	int input; /* a file that stdin is to be, from its begin; 0 for /dev/null */
	/* results */
	int status;	/* exit code 0..255, 128 + N when killed by signal N */
	bool timed_out; /* killed at the deadline; may still hang in the kernel */
	int error;	/* -errno when it could not be started, else 0 */
	int elapsed_ms;
	pid_t pid;
	char *output; /* what it wrote to stderr (and stdout), up to SPAWN_OUTPUT_MAX */
};

void spawn_job_free(struct spawn_job *job);

/**
 * spawn_run() - start all jobs, wait for all, each until its own deadline
 *
 * A child gets /dev/null or a file on stdin, a pipe of ours on stdout and stderr, no other descriptor, an
 * environment of PATH-less "LC_ALL=C" only, default signals, and a session of its own. At its
 * deadline it is sent SIGKILL; one that cannot die (state D) is left behind, and its pipe
 * is closed: it holds nothing of ours.
 *
 * Return: 0 when every job ended by itself with status 0, 1 when one did not, -ENOMEM
 */
int spawn_run(struct spawn_job *jobs, size_t nr) _must_check_;

/**
 * spawn_detached() - go on in a process nobody waits for
 *
 * Forks; the child gets a new session, /dev/null on 0-2, every other descriptor but those in @keep
 * closed, and no locks.
 *
 * Return: in the parent the child's pid > 0, in the child 0, else -errno of fork(2)
 */
pid_t spawn_detached(const int *keep, size_t nr_keep) _must_check_;

/** spawn_keep_only() - close all above stderr but @keep, at most 16. Return: 0, -EINVAL for more */
int spawn_keep_only(const int *keep, size_t nr) _must_check_;

/**
 * spawn_leave() - in a new child: hold nothing of the parent's
 * @null:	/dev/null, for 0-2
 *
 * Return: as spawn_keep_only()
 */
int spawn_leave(int null, const int *keep, size_t nr) _must_check_;

/**
 * spawn_fill_std() - open /dev/null for each of stdin, stdout and stderr that is closed
 *
 * For the begin of main(): else the next file opened is a program's stdin or stderr, is written
 * messages into, and is lost in spawn_detached().
 *
 * Return: 0, else -errno of open(2)
 */
int spawn_fill_std(void);
