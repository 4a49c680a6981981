/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/baseline.h - what settings shared by several guests were before the first claim */
#pragma once

#include "cleanup.h"
#include "ini.h"

/*
 * How it works
 *
 * run/usher/host/NAME.ini holds, per setting, the value before usher first changed it. Under the
 * lock of that name a helper keeps the old value (once), computes the new one from baseline and
 * the union of the live claims, and writes it. When no live claim needs the setting any more it
 * is set back to its baseline and forgotten.
 */

#define BASELINE_DIR "host"

struct baseline {
	int lockfd; /* held from open to close, but where it is only read */
	int dirfd;  /* -1: not open */
	char *file; /* NAME.ini */
	struct inidoc doc;
};

void baseline_close(struct baseline *baseline);
#define _cleanup_baseline_ _cleanup_(baseline_close)

/* In the place of a time: a dry run makes no file and holds nobody up */
#define BASELINE_READ (-1)

/**
 * baseline_open() - lock and load
 * @statefd:	from state_open()
 * @name:	"cpuset", "hugepages"
 * @timeout_ms:	for the lock; BASELINE_READ: to be read alone, without it
 *
 * Return: 0, -ETIMEDOUT when the lock is held longer, -ENOENT where it is only read and usher has
 * never run, -EBADMSG when the file does not parse,
 * -EPERM when it is not ours alone, -ENAMETOOLONG, -ENOMEM, else -errno
 */
int baseline_open(int statefd, const char *name, int timeout_ms, struct baseline *ret) _must_check_;

/**
 * baseline_get() - the kept value
 * @setting:	any text, a path below the root by custom
 * @ret:	allocated; "" is a value like any other
 *
 * Return: 1 with @ret set, 0 when nothing is kept, -ENOMEM, -EBADMSG
 */
int baseline_get(const struct baseline *baseline, const char *setting, char **ret) _must_check_;

/**
 * baseline_keep() - remember @value unless one is kept already; on disk before it returns
 *
 * Return: 1 kept now, 0 one was kept already, else -errno
 */
int baseline_keep(struct baseline *baseline, const char *setting, const char *value) _must_check_;

/**
 * baseline_renew() - @value instead of the one that is kept, or none, in one step
 *
 * Return: 0, else -errno with the old one kept
 */
int baseline_renew(struct baseline *baseline, const char *setting, const char *value) _must_check_;

/**
 * baseline_forget() - the setting is back; the file goes with its last setting
 *
 * Return: 0 (also when nothing was kept), else -errno
 */
int baseline_forget(struct baseline *baseline, const char *setting) _must_check_;
