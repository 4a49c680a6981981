/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/policyfile.h - write etc/usher/conf.d/GUEST.ini, never one that does not parse */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "usher.h"

/* A new text beside the file that it may replace */
struct draft {
	int dirfd;		 /* etc/usher/conf.d */
	int lockfd;		 /* who has it may write the guest's policy; -1: we may not */
	char name[NAME_MAX + 1]; /* GUEST.ini */
	char lock[NAME_MAX + 1];
	char tmp[NAME_MAX + 1]; /* "" when there is none */
	char path[PATH_MAX];	/* of tmp, for programs */
	char real[PATH_MAX];	/* of name, for messages */
};

#define DRAFT_INIT                                                                                 \
	{                                                                                          \
		.dirfd = -1, .lockfd = -1                                                          \
	}

/** draft_close() - a draft that was not installed is removed, as when a signal ends the program */
void draft_close(struct draft *draft);
#define _cleanup_draft_ _cleanup_(draft_close)

/**
 * draft_open() - conf.d is made when missing
 *
 * There is one draft of a guest's policy at a time. One that a killed program has left is replaced.
 *
 * Return: the draft's fd, open for writing; else -errno (said)
 */
int draft_open(const struct request *request, const char *guest, struct draft *ret) _must_check_;

/** draft_old() - the file as it is, "" when there is none. Return: 1 there is one, 0 none, -errno */
int draft_old(const struct draft *draft, char **ret) _must_check_;

/** draft_say_old() - why draft_old() could not read it, with the cure that a start would name */
void draft_say_old(const struct request *request, const char *guest, const struct draft *draft,
		   int error);

/**
 * draft_check() - does it parse; what is wrong is said with the real file's name
 *
 * Return: 0, -EBADMSG (said), else -errno (said)
 */
int draft_check(const struct request *request, const char *guest, const struct draft *draft)
	_must_check_;

/** draft_install() - rename it over the file. Return: 0, else -errno (said) */
int draft_install(struct draft *draft) _must_check_;

/** draft_json() - print what has become of it, for programs */
void draft_json(const struct draft *draft, const char *command, const char *guest, bool changed);

/** ask() - one key on the terminal. Return: it, '\0' when there is nobody to ask */
char ask(const char *question);
