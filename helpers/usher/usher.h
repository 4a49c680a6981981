/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/usher.h - the admin's command: one file a subcommand */
#pragma once

#include "../../lib/cleanup.h"

/* What the command line said */
struct request {
	const char *root;   /* "/" */
	const char *xml;    /* NULL when not given */
	const char *policy; /* NULL when not given */
	const char *guest;  /* NULL when not given */
	const char *dir;    /* of our programs */
};

struct command {
	const char *name;
	const char *args; /* what --help shows behind the name */
	const char *help;
	int (*run)(const struct request *request); /* Return: the exit code */
};

#define USHER_USAGE 64

extern const struct command command_plan;
extern const struct command command_recover;
