/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/session.h - who is logged in on which seat, from logind's and udev's own files */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cleanup.h"

#define SESSION_STRLEN 64

/* What logind knows of a session */
struct session {
	char id[SESSION_STRLEN];
	char user[64];
	char seat[64];	/* "" for none: a remote login */
	bool graphical; /* a user's own desktop: no greeter, no text login */
	bool foreign;	/* let in by what is no display manager: xrdp, ssh */
	bool greeter;	/* the display manager's, before anybody is logged in */
	char uid[16];	/* "1000" */
};

struct session_list {
	struct session *sessions;
	size_t nr;
};

void session_list_free(struct session_list *list);
#define _cleanup_session_list_ _cleanup_(session_list_free)

/**
 * session_list() - all sessions of all seats
 *
 * Return: 0 (also without logind: none), -ENOMEM, else -errno
 * Seen on: systemd 252 to 257, run/systemd/sessions; what sd_session_get_seat(3) reads
 */
int session_list(int rootfd, struct session_list *ret) _must_check_;

/**
 * session_of() - the session a process belongs to, by its control group
 *
 * Return: 1 with its id, 0 none (a service, a user's manager), else -errno
 */
int session_of(int rootfd, pid_t pid, char id[static SESSION_STRLEN]) _must_check_;

/**
 * session_user_of() - the user whose own manager a process belongs to: "1000"
 *
 * Return: as session_of(), 0 also for one of a session
 * ABI: user@.service(5)
 */
int session_user_of(int rootfd, pid_t pid, char uid[static SESSION_STRLEN]) _must_check_;

/**
 * session_elsewhere() - a desktop on another seat, or on none that a display manager may have begun
 *
 * Its users are none of our business: the display manager is theirs, too.
 *
 * Return: NULL for none
 */
const struct session *session_elsewhere(const struct session_list *list, const char *seat);

/** session_find() - by id. Return: NULL for none */
const struct session *session_find(const struct session_list *list, const char *id);

/** session_on() - a user's desktop on a seat. Return: NULL for none */
const struct session *session_on(const struct session_list *list, const char *seat);
