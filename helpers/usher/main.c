/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/main.c - usher: the admin's command */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/self.h"
#include "../../lib/spawn.h"
#include "leftover.h"
#include "usher.h"

static const struct command *const commands[] = {
	&command_init,	  &command_edit,   &command_check, &command_plan, &command_status,
	&command_recover, &command_groups, &command_noise, &command_log,
};

static const struct {
	const char *name, *arg, *help;
	size_t offset;	  /* of its field in struct request: a text, or for no argument a bool */
	unsigned int bit; /* 0: every command takes it */
} options[] = {
	{ "xml", "FILE", "the guest's domain XML; for groups: what to compare with",
	  offsetof(struct request, xml), OPTION_XML },
	{ "policy", "FILE", "instead of /etc/usher/conf.d/GUEST.ini",
	  offsetof(struct request, policy), OPTION_POLICY },
	{ "json", NULL, "for programs: the form is told in usher(8)",
	  offsetof(struct request, json), OPTION_JSON },
	{ "save", "FILE", "write the groups as XML", offsetof(struct request, save), OPTION_SAVE },
	{ "force", NULL, "init: do not ask; recover: replug what does not come back",
	  offsetof(struct request, force), OPTION_FORCE },
	{ "root", "DIR", "the host's root directory (/)", offsetof(struct request, root), 0 },
};

/* What getopt_long() returns for an option of the table */
#define OPTION_BASE 256

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
		(void)fprintf(to, "  --%-6s %-4s  %s\n", options[i].name, options[i].arg ?: "",
			      options[i].help);
	(void)fputs("  --help         this text\n"
		    "  --version      the version\n",
		    to);
	return to == stdout ? 0 : USHER_USAGE;
}

static void long_options(struct option *ret)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		ret[i] = (struct option){ .name = options[i].name,
					  .has_arg =
						  options[i].arg ? required_argument : no_argument,
					  .val = OPTION_BASE + (int)i };
	ret[i++] = (struct option){ .name = "help", .val = 'h' };
	ret[i] = (struct option){ .name = "version", .val = 'V' };
}

static void take_option(struct request *request, size_t index, unsigned int *bits)
{
	char *field = (char *)request + options[index].offset;

	if (options[index].arg)
		*(const char **)(void *)field = optarg;
	else
		*(bool *)field = true;
	*bits |= options[index].bit;
}

/* Return: -1 to go on, else the exit code */
static int parse(int argc, char **argv, struct request *request, unsigned int *bits)
{
	struct option table[ARRAY_SIZE(options) + 3] = { 0 };
	int c;

	long_options(table);
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'V') {
			(void)puts("usher " USHER_VERSION);
			return 0;
		}
		if (c < OPTION_BASE)
			return USHER_USAGE;
		take_option(request, (size_t)(c - OPTION_BASE), bits);
	}
	return -1;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	usher_say("no command '%s': see usher --help", name);
	return NULL;
}

/* Return: the first option of the table that is in @bits, NULL when there is none */
static const char *option_in(unsigned int bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].bit & bits)
			return options[i].name;
	return NULL;
}

/* Return: 0, USHER_USAGE (said) */
static int options_fit(const struct command *command, unsigned int bits)
{
	const char *wrong = option_in(bits & ~command->options);
	const char *alone = option_in(bits & command->alone);
	const char *other = option_in(bits & ~command->alone);

	if (wrong)
		usher_say("%s takes no --%s: see usher --help", command->name, wrong);
	else if (alone && other)
		usher_say("%s takes --%s or --%s, not both", command->name, alone, other);
	else
		return 0;
	return USHER_USAGE;
}

/* Return: 0, USHER_USAGE (said) */
static int args_fit(const struct command *command, unsigned int nr_args, unsigned int bits)
{
	bool guest = nr_args > 0 || bits & OPTION_XML;
	const char *of_guest = option_in(bits & command->of_guest);

	if (nr_args < command->min_args || nr_args > command->max_args ||
	    (command->guest && !guest))
		usher_say("it is: usher %s %s", command->name, command->args);
	else if (of_guest && !guest)
		usher_say("%s --%s wants a GUEST, or --xml FILE", command->name, of_guest);
	else
		return 0;
	return USHER_USAGE;
}

/* Return: the exit code */
static int run(int argc, char **argv)
{
	struct request request = { .root = "/" };
	const struct command *command;
	unsigned int bits = 0;
	char dir[PATH_MAX];
	int r = parse(argc, argv, &request, &bits);

	if (r >= 0)
		return r;
	if (optind >= argc)
		return usage(stderr);
	command = find(argv[optind]);
	if (!command || options_fit(command, bits) != 0 ||
	    args_fit(command, (unsigned int)(argc - optind - 1), bits) != 0)
		return USHER_USAGE;
	request.guest = argv[optind + 1];
	request.phase = request.guest ? argv[optind + 2] : NULL;
	r = self_dir(dir, sizeof(dir));
	if (r < 0) {
		usher_say("cannot find its own directory: %s", strerror(-r));
		return 1;
	}
	request.dir = dir;
	return command->run(&request);
}

/* No command looks by itself whether its output arrives. A reader that has had enough is no news */
static int close_output(void)
{
	bool failed = ferror(stdout) != 0;
	int error;

	errno = 0;
	failed |= fclose(stdout) != 0;
	error = errno ?: EIO;
	if (failed && error != EPIPE)
		usher_say("cannot write its output: %s: what was printed is not whole",
			  strerror(error));
	return failed ? USHER_OUTPUT : 0;
}

int main(int argc, char **argv)
{
	int status, output;

	(void)spawn_fill_std();
	leftover_init();
	(void)umask(077);
	status = run(argc, argv);
	output = close_output();
	return status ?: output;
}
