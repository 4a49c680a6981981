/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/event.c - what libvirt, or a person, calls the hook for */
#include "event.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/hookdir.h"

#define LIBVIRT_ARGC 5

/* Those that are not here have nothing to do: on restore and migrate a single byte on stdout
 * would replace the domain, and nothing acquired there would ever be given back */
static const struct {
	const char *name, *sub;
	enum event_op op;
} operations[] = {
	{ "prepare", "begin", EVENT_PREPARE }, { "start", "begin", EVENT_START },
	{ "started", "begin", EVENT_STARTED }, { "stopped", "end", EVENT_STOPPED },
	{ "release", "end", EVENT_RELEASE },   { "reconnect", "begin", EVENT_RECONNECT },
};

static enum event_op operation(const char *name, const char *sub)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		if (strcmp(name, operations[i].name) == 0 && strcmp(sub, operations[i].sub) == 0)
			return operations[i].op;
	return EVENT_IGNORE;
}

static int parse_options(int argc, char **argv, struct event *event)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "helpers", required_argument, NULL, 'H' },
		{ "xml", required_argument, NULL, 'x' },
		{ "policy", required_argument, NULL, 'p' },
		{ "beside", required_argument, NULL, 'b' },
		{ "plan", no_argument, NULL, 'n' },
		{ "check", no_argument, NULL, 'c' },
		{ 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			event->root = optarg;
			break;
		case 'H':
			event->helpers = optarg;
			break;
		case 'x':
			event->xml = optarg;
			break;
		case 'p':
			event->policy = optarg;
			break;
		case 'b':
			event->beside = optarg;
			break;
		case 'n':
			event->plan = true;
			break;
		case 'c':
			event->check = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return argc - optind == LIBVIRT_ARGC - 1 ? optind : -EINVAL;
}

int event_parse(int argc, char **argv, struct event *ret)
{
	struct event event = { .parent = getppid(), .root = "/", .helpers = USHER_SBINDIR };
	int first = 1;

	if (argc < LIBVIRT_ARGC)
		return -EINVAL;
	if (argc > LIBVIRT_ARGC) {
		event.by_hand = true;
		first = parse_options(argc, argv, &event);
		if (first < 0)
			return first;
	}
	event.guest = argv[first];
	event.op_name = argv[first + 1];
	event.op = operation(argv[first + 1], argv[first + 2]);
	event.extra = argv[first + 3];
	*ret = event;
	return 0;
}

const char *event_usage(void)
{
	return HOOKDIR_MARK
		"; people want usher(8); by hand:\n"
		"usher-hook [--root DIR] [--helpers DIR] [--plan | --check] [--xml FILE]\n"
		"\t[--policy FILE] [--beside CLAIM] GUEST OPERATION SUBOPERATION EXTRA\n";
}
