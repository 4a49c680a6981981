/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/state.h - files below /run/usher: atomic, root's alone, never through a symlink */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

/* Longest claim, journal or baseline that is read */
#define STATE_FILE_MAX (4L * 1024 * 1024)

/**
 * state_cure() - what to do about state that is not used
 * @error:	of a function below
 * @usual:	the cure for what is nobody's doing
 *
 * Return: @usual, or what to do where somebody has changed it: -EPERM, -ELOOP, -ENOTDIR, -EISDIR,
 * -EACCES; where it does not read as this usher wrote it: -EBADMSG
 */
const char *state_cure(int error, const char *usual);

/**
 * state_open() - open run/usher below the root
 * @create:	make it (0700) when it is missing
 *
 * Return: a directory fd, -ENOENT when missing and not @create, -EPERM when it is not ours alone
 * (owner is not the effective user, or group or others may write), else -errno
 */
int state_open(int rootfd, bool create) _must_check_;

/**
 * state_dir() - open, or make, a directory in run/usher ("host", a guest's uuid)
 *
 * Return: a directory fd, else as state_open(); -ELOOP for a symlink
 */
int state_dir(int statefd, const char *name, bool create) _must_check_;

/**
 * state_read() - read one file whole, NUL-terminated
 *
 * Return: 0, -ENOENT, -ELOOP for a symlink, -EPERM when it is no regular file of ours or others
 * may write it, -E2BIG past STATE_FILE_MAX, -ENOMEM, else -errno
 */
int state_read(int dirfd, const char *name, char **ret, size_t *ret_len) _must_check_;

/**
 * state_write() - replace one file by write to a temporary name and rename, mode 0600
 *
 * Return: 0, else -errno of open(2), write(2) or rename(2); the old file is whole then
 */
int state_write(int dirfd, const char *name, const char *data, size_t len) _must_check_;

/**
 * state_append() - open a file for whole-line appends, made when missing, mode 0600
 *
 * Return: an O_APPEND fd, else as state_read(); -EPERM also for a file that has another name
 */
int state_append(int dirfd, const char *name) _must_check_;

/** state_remove() - unlink a file. Return: 0 (also when missing), else -errno */
int state_remove(int dirfd, const char *name);

/**
 * state_sweep() - remove what killed writers left in a directory: ".NAME.PID" of state_write()
 *
 * state_write() and state_remove() do so for their own file; this is for files nobody needs again.
 */
void state_sweep(int dirfd);

/**
 * state_remove_dir() - remove a directory and the plain files in it
 *
 * Return: 0 (also when missing), -ENOTEMPTY when it holds a directory, else -errno
 */
int state_remove_dir(int statefd, const char *name);

/**
 * state_lock() - take an exclusive flock(2) on a lock file, made when missing
 * @timeout_ms:	0 to try once
 *
 * The lock ends when the fd is closed, also by death. A lock file that was unlinked while we
 * waited is noticed and taken anew.
 *
 * Return: the fd that holds the lock, -ETIMEDOUT, else -errno
 */
int state_lock(int dirfd, const char *name, int timeout_ms) _must_check_;

/**
 * state_unlock() - and close, without waiting for a child of ours to close its copy
 *
 * A lock is shared by fork(2), and a child that has not come to run yet, on a host under load, or
 * was killed before it did, has it still.
 */
void state_unlock(int *lock);

/** state_lock_shared() - likewise, beside others that share it. Return: as state_lock() */
int state_lock_shared(int dirfd, const char *name, int timeout_ms) _must_check_;
