/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/ending.h - who of a card's users is gone when the desktop on it has been ended */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cleanup.h"
#include "session.h"
#include "text.h"

/* What ends with the desktop on a card */
struct ending {
	char seat[64]; /* the card's */
	struct session_list sessions;
	struct strlist shown; /* ids of those in which a program shows something on the card */
};

void ending_free(struct ending *ending);
#define _cleanup_ending_ _cleanup_(ending_free)

/**
 * ending_load() - before it ends
 * @seat:	the card's, "seat0"
 * @nodes:	the card's
 *
 * Return: 0, -ENOMEM, else -errno
 */
int ending_load(int rootfd, const char *seat, const struct strlist *nodes, struct ending *ret)
	_must_check_;

/** ending_goes() - does a process end with it; false also for one of which nothing is known */
bool ending_goes(int rootfd, const struct ending *ending, pid_t pid);

/** ending_outlived() - is a process there afterwards; false likewise */
bool ending_outlived(int rootfd, const struct ending *ending, pid_t pid);

/** ending_shows() - has a process a node open by which something is shown, not computed */
bool ending_shows(int rootfd, const struct strlist *nodes, pid_t pid);

/** ending_is_service() - is it one of the host's services, a container, or another guest */
bool ending_is_service(int rootfd, pid_t pid);
