/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/leftover.c - files that nobody is to find when a signal has ended the program */
#include "leftover.h"

#include <stddef.h>
#include <unistd.h>

/* A command has a scratch claim, or a draft and its lock */
#define LEFTOVERS_MAX 8

static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

/* Read by the handler: changed only while signals are held */
static struct leftover {
	const char *name; /* NULL: forgotten */
	int dirfd;
	int flags;
} leftovers[LEFTOVERS_MAX];
static size_t nr_leftovers;

/* The signal itself ends the program, when the handler returns */
static void end(int sig)
{
	for (size_t i = nr_leftovers; i-- > 0;)
		if (leftovers[i].name)
			(void)unlinkat(leftovers[i].dirfd, leftovers[i].name, leftovers[i].flags);
	(void)raise(sig);
}

void leftover_init(void)
{
	struct sigaction act = { .sa_handler = end, .sa_flags = SA_RESETHAND }, old;

	(void)sigfillset(&act.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		/* Whoever started it with nohup wants it to go on */
		if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(ends[i], &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

sigset_t leftover_hold(void)
{
	sigset_t set, old;

	(void)sigemptyset(&set);
	(void)sigemptyset(&old);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		(void)sigaddset(&set, ends[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	return old;
}

void leftover_let(const sigset_t *old)
{
	(void)sigprocmask(SIG_SETMASK, old, NULL);
}

void leftover_add(int dirfd, const char *name, int flags)
{
	if (nr_leftovers < ARRAY_SIZE(leftovers))
		leftovers[nr_leftovers++] =
			(struct leftover){ .dirfd = dirfd, .name = name, .flags = flags };
}

void leftover_forget(const char *name)
{
	_cleanup_held_ sigset_t old = leftover_hold();

	for (size_t i = 0; i < nr_leftovers; i++)
		if (leftovers[i].name == name)
			leftovers[i].name = NULL;
	while (nr_leftovers > 0 && !leftovers[nr_leftovers - 1].name)
		nr_leftovers--;
}
