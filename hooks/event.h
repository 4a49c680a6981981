/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/event.h - what libvirt, or a person, calls the hook for */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * libvirt always gives exactly four arguments: NAME OPERATION SUBOPERATION EXTRA (virhook.c). NAME
 * may look like anything, an option too. More than four come from a person, a test or usher(8):
 * options first, then the same four.
 */

enum event_op {
	EVENT_IGNORE, /* restore, migrate, attach, and what a later libvirt may add */
	EVENT_PREPARE,
	EVENT_START,
	EVENT_STARTED,
	EVENT_STOPPED,
	EVENT_RELEASE,
	EVENT_RECONNECT,
};

struct event {
	enum event_op op;
	const char *guest;
	const char *op_name;
	const char *extra;
	pid_t parent; /* at our start: the libvirt daemon */
	/* by hand only */
	bool by_hand;
	bool plan;	     /* say what prepare would do, and do nothing */
	bool check;	     /* say what is wrong with the policy, and do nothing */
	const char *root;    /* "/" */
	const char *helpers; /* directory of the helper programs */
	const char *xml;     /* read instead of stdin; NULL: stdin */
	const char *policy;  /* read instead of the guest's file; NULL: that */
	const char *beside; /* with plan: a claim file instead of all that there are; NULL: those */
};

/**
 * event_parse() - from the command line
 *
 * Return: 0, -EINVAL for a by-hand command line that is wrong or too few arguments
 */
int event_parse(int argc, char **argv, struct event *ret);

/** event_usage() - the text for a wrong command line */
const char *event_usage(void);
