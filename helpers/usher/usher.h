/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/usher.h - the admin's command: one file a subcommand */
#pragma once

#include <stdbool.h>

#include "../../lib/cleanup.h"

/* What the command line said */
struct request {
	const char *root;   /* "/" */
	const char *xml;    /* NULL when not given */
	const char *policy; /* NULL when not given */
	const char *save;   /* NULL when not given */
	bool json;
	bool force;
	const char *guest; /* NULL when not given */
	const char *phase; /* the word behind it: for noise its seconds; NULL when not given */
	const char *dir;   /* of our programs */
};

enum option_bit {
	OPTION_XML = 1 << 0,
	OPTION_POLICY = 1 << 1,
	OPTION_JSON = 1 << 2,
	OPTION_SAVE = 1 << 3,
	OPTION_FORCE = 1 << 4,
};

struct command {
	const char *name;
	const char *args; /* what --help shows behind the name */
	const char *help;
	unsigned int options;  /* those it takes beside --root, --help, --version */
	unsigned int alone;    /* of these, those that go with none of the others */
	unsigned int of_guest; /* of these, those that say nothing without a guest */
	bool guest;	       /* it wants one: GUEST, or the XML */
	unsigned int min_args, max_args;
	int (*run)(const struct request *request); /* Return: the exit code */
};

/* As sysexits.h has them */
#define USHER_USAGE  64
#define USHER_OUTPUT 74

extern const struct command command_check;
extern const struct command command_edit;
extern const struct command command_groups;
extern const struct command command_init;
extern const struct command command_log;
extern const struct command command_noise;
extern const struct command command_plan;
extern const struct command command_recover;
extern const struct command command_status;

/** usher_say() - one line on stderr, "usher: ..." */
void usher_say(const char *fmt, ...) _printf_(1, 2);

/**
 * shown() - a text of others, as a guest's name, as far as a terminal may have it
 *
 * Return: as text_printable(), cut to 511 bytes; valid until the fourth call from now
 */
const char *shown(const char *text);

/**
 * quoted() - a guest's name in a command that is to be pasted into a shell
 *
 * Return: as shown()
 */
const char *quoted(const char *name);

/** usher_root() - the host's root directory, opened. Return: the fd, else -errno (said) */
int usher_root(const struct request *request);
