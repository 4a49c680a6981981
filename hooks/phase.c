/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/phase.c - what all phases say and ask */
#include "phase.h"

#include <stdarg.h>
#include <stdio.h>

#include "../lib/log.h"
#include "../lib/text.h"

void phase_say(const struct host *host, int priority, const char *guest, const char *fmt, ...)
{
	_cleanup_free_ char *name = NULL;
	char text[4096];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (text_printable(guest, &name) < 0)
		name = NULL;
	(void)fprintf(stderr, "usher: %s: %s\n", name ?: "?", text);
	log_line(host->rootfd, priority, "%s: %s", name ?: "?", text);
}

int phase_owner(const struct host *host, pid_t pid, struct process *ret)
{
	return process_identify(host->rootfd, pid, ret);
}
