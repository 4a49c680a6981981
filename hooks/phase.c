/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/phase.c - what all phases say and ask */
#include "phase.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

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
	/* Who plans from a file may not know the name yet */
	if (text_printable(*guest ? guest : "the guest", &name) < 0)
		name = NULL;
	(void)fprintf(stderr, "usher: %s: %s\n", name ?: "?", text);
	/* By hand (plan, check) nothing is done that the log should tell */
	if (!host->phase)
		return;
	log_event(host->rootfd, priority,
		  &(struct log_about){
			  .guest = name, .uuid = host->uuid, .phase = host->phase, .ms = -1 },
		  "%s: %s", name ?: "?", text);
}

void phase_log(const struct host *host, const char *guest, int status, int elapsed_ms)
{
	_cleanup_free_ char *name = NULL;
	const char *result = status ? "failed" : "done";

	if (!host->ours || text_printable(guest, &name) < 0)
		return;
	log_event(host->rootfd, status ? LOG_ERR : LOG_INFO,
		  &(struct log_about){ .guest = name,
				       .uuid = host->uuid,
				       .phase = host->phase,
				       .result = result,
				       .ms = elapsed_ms },
		  "%s: %s: %s in %d ms", name, host->phase, result, elapsed_ms);
}

int phase_owner(const struct host *host, pid_t pid, struct process *ret)
{
	return process_identify(host->rootfd, pid, ret);
}

int phase_daemon(const struct event *event, const struct host *host, struct process *ret)
{
	int r = phase_owner(host, event->parent, ret);

	/* Asked last: its number may be somebody else's by now */
	return r == 0 && getppid() != event->parent ? -ESRCH : r;
}
