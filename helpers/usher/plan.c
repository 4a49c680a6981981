/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/plan.c - usher plan: what a start would do; asks the hook, which knows */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "usher.h"

#define ARGS_MAX 16

/* The hook's by-hand form: options, then the four arguments of libvirt's */
static void arguments(const struct request *request, const char *hook, const char **argv)
{
	size_t n = 0;

	argv[n++] = hook;
	argv[n++] = "--plan";
	argv[n++] = "--root";
	argv[n++] = request->root;
	argv[n++] = "--xml";
	argv[n++] = request->xml;
	if (request->policy) {
		argv[n++] = "--policy";
		argv[n++] = request->policy;
	}
	argv[n++] = "--";
	argv[n++] = request->guest ?: "";
	argv[n++] = "prepare";
	argv[n++] = "begin";
	argv[n++] = "-";
	argv[n] = NULL;
}

static int run(const struct request *request)
{
	const char *argv[ARGS_MAX];
	char *const env[] = { NULL };
	char hook[PATH_MAX];

	if (!request->xml) {
		(void)fputs("usher: plan needs --xml FILE (virsh dumpxml GUEST > FILE)\n", stderr);
		return USHER_USAGE;
	}
	if (path_format(hook, sizeof(hook), "%s/usher-hook", request->dir) < 0)
		return 1;
	arguments(request, hook, argv);
	(void)execve(hook, (char *const *)(void *)argv, env);
	(void)fprintf(stderr, "usher: cannot run %s: %s: reinstall usher\n", hook, strerror(errno));
	return 1;
}

const struct command command_plan = {
	.name = "plan",
	.args = "--xml FILE [--policy FILE] [GUEST]",
	.help = "print the claim and the steps of a start; changes nothing",
	.run = run,
};
