/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/capture.h - run one of our programs and take what it says, whole */
#pragma once

#include <stddef.h>

#include "../../lib/cleanup.h"

struct capture {
	int status; /* exit code, 128 + N when killed by signal N */
	char *out, *err;
	size_t out_len; /* with NUL bytes in it */
};

void capture_free(struct capture *capture);
#define _cleanup_capture_ _cleanup_(capture_free)

/** capture_memfd() - a text as a file that can be read from its start. Return: the fd, -errno */
int capture_memfd(const char *text, size_t len) _must_check_;

/**
 * capture_run() - to its end, or until the deadline, when it is killed
 * @argv:	absolute path first
 * @stdinfd:	read from its start; -1 for /dev/null
 *
 * One that hangs in the kernel when it is killed is left behind.
 *
 * Return: 0, -ETIMEDOUT, -ENOMEM, else -errno of fork(2) or execve(2)
 */
int capture_run(const char *const *argv, int stdinfd, int timeout_ms, struct capture *ret)
	_must_check_;

/**
 * capture_call() - capture_run() of a function of ours, for what may not return
 * @call:	prints what it finds out, and returns its exit code
 *
 * Return: as capture_run()
 */
int capture_call(int (*call)(const void *arg), const void *arg, int timeout_ms, struct capture *ret)
	_must_check_;
