/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/whole.h - what a command of usher's prints is whole, or it fails and says what is missing */
#pragma once

#include "faults.h"
#include "usher_host.h"

/* What a command wrote to stdout and stderr, and its exit code */
struct answer {
	char out[32768], err[4096];
	int status;
};

static inline void answer(const struct command *command, const struct request *request,
			  struct answer *ret)
{
	struct printed out, err;

	printed_begin(&out, STDOUT_FILENO);
	printed_begin(&err, STDERR_FILENO);
	ret->status = command->run(request);
	(void)printed_end(&err, ret->err, sizeof(ret->err));
	(void)printed_end(&out, ret->out, sizeof(ret->out));
}

/* How long something hangs goes on meanwhile */
static inline void drop_seconds(char *text)
{
	static const char *const heads[] = { " for ", "\"seconds\": ", "\"elapsed_ms\": " };

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		for (char *at = text; (at = strstr(at, heads[i]));)
			for (at += strlen(heads[i]); *at >= '0' && *at <= '9'; at++)
				*at = '0';
}

/* With each @every-th fault after the other: what is printed is the whole, or the command fails and says why */
static inline void assert_whole(const struct command *command, const struct request *request,
				enum fault kind, int error, int every)
{
	static struct answer whole, now;
	bool hit = true;
	int n, short_of = 0;

	answer(command, request, &whole);
	drop_seconds(whole.out);
	for (n = 0; hit; n += every) {
		faults_begin(kind, n, error);
		answer(command, request, &now);
		hit = faults_end();
		drop_seconds(now.out);
		if (strcmp(now.out, whole.out) == 0 && now.status == whole.status)
			continue;
		short_of++;
		/* A finding of check's is said as well */
		if (now.status == 2 && strstr(now.out, strerror(error)))
			continue;
		if (now.status != 0 && strncmp(now.err, "usher: ", 7) == 0 &&
		    strchr(now.err, '\n') == now.err + strlen(now.err) - 1)
			continue;
		faults_where();
		fail_msg("%s: fault %d of kind %d: exit %d, says '%s', prints\n%s", command->name,
			 n, (int)kind, now.status, now.err, now.out);
	}
	assert_true(short_of > 0);
}
