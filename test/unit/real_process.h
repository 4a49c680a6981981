/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/real_process.h - in a tree, processes are those of the host the test runs on
 *
 * wraps: process_alive process_identify process_name
 */
#pragma once

#include "lib/process.h"
#include "tree.h"

/* The root is opened afresh: a detached process has closed the test's */
#define REAL_PROCESS_WRAP(name, params, args)                                                      \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		_cleanup_close_ int fd = root_open("/");                                           \
                                                                                                   \
		(void)rootfd;                                                                      \
		return __real_##name args;                                                         \
	}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
REAL_PROCESS_WRAP(process_alive, (int rootfd, const struct process *process), (fd, process))
REAL_PROCESS_WRAP(process_name, (int rootfd, pid_t pid, char *buf, size_t size),
		  (fd, pid, buf, size))
REAL_PROCESS_WRAP(process_identify, (int rootfd, pid_t pid, struct process *ret), (fd, pid, ret))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
