/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/main.c - usher: the admin's command */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/self.h"
#include "usher.h"

static const struct command *const commands[] = { &command_plan, &command_recover };

static const struct {
	const char *name, *arg, *help;
	char key;
} options[] = {
	{ "root", "DIR", "the host's root directory (/)", 'r' },
	{ "xml", "FILE", "the guest's domain XML", 'x' },
	{ "policy", "FILE", "instead of /etc/usher/conf.d/GUEST.ini", 'p' },
	{ "help", NULL, "this text", 'h' },
	{ "version", NULL, "the version", 'V' },
};

static int usage(FILE *to)
{
	(void)fputs("usher: gets this host ready for libvirt guests and gives it back\n\n"
		    "Usage: usher COMMAND [OPTION...]\n\n",
		    to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)fprintf(to, "  %s %s\n%*s%s\n", commands[i]->name, commands[i]->args, 8, "",
			      commands[i]->help);
	(void)fputc('\n', to);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)fprintf(to, "  --%-8s %-5s %s\n", options[i].name, options[i].arg ?: "",
			      options[i].help);
	return to == stdout ? 0 : USHER_USAGE;
}

static void long_options(struct option *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		ret[i] = (struct option){ .name = options[i].name,
					  .has_arg =
						  options[i].arg ? required_argument : no_argument,
					  .val = options[i].key };
}

/* Return: -1 to go on, else the exit code */
static int parse(int argc, char **argv, struct request *request)
{
	struct option table[ARRAY_SIZE(options) + 1] = { 0 };
	int c;

	long_options(table);
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'r':
			request->root = optarg;
			break;
		case 'x':
			request->xml = optarg;
			break;
		case 'p':
			request->policy = optarg;
			break;
		case 'h':
			return usage(stdout);
		case 'V':
			(void)puts("usher " USHER_VERSION);
			return 0;
		default:
			return USHER_USAGE;
		}
	}
	return -1;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct request request = { .root = "/" };
	const struct command *command;
	char dir[PATH_MAX];
	int r;

	(void)umask(077);
	r = parse(argc, argv, &request);
	if (r >= 0)
		return r;
	if (optind >= argc || optind + 2 < argc)
		return usage(stderr);
	command = find(argv[optind]);
	if (!command) {
		(void)fprintf(stderr, "usher: no command '%s': see usher --help\n", argv[optind]);
		return USHER_USAGE;
	}
	request.guest = argv[optind + 1];
	r = self_dir(dir, sizeof(dir));
	if (r < 0) {
		(void)fprintf(stderr, "usher: cannot find its own directory: %s\n", strerror(-r));
		return 1;
	}
	request.dir = dir;
	return command->run(&request);
}
