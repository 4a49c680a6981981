/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/qemu.c - libvirt's hook for QEMU guests: usher-hook, linked from /etc/libvirt/hooks/qemu */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/attr.h"
#include "../lib/deadline.h"
#include "../lib/spawn.h"
#include "event.h"
#include "phase.h"

/*
 * How it works
 *
 *	event   <- argv				event.c
 *	policy  <- conf.d/GUEST.ini		policy.c
 *	domain  <- stdin			domain.c
 *	claim   <- domain + policy + host	plan.c, conflict.c
 *	steps   <- phase			prepare.c, life.c, lib/step.c
 *
 * Nothing is ever written to stdout (but by --plan): on restore and migrate it would replace the
 * domain. stderr is read by the user when the hook fails, and dropped by libvirt when it does not:
 * all of it goes to the log too.
 */

static int (*const phases[])(const struct event *event, struct host *host) = {
	[EVENT_IGNORE] = NULL,
	[EVENT_PREPARE] = phase_prepare,
	[EVENT_START] = phase_start,
	[EVENT_STARTED] = phase_started,
	[EVENT_STOPPED] = phase_stopped,
	[EVENT_RELEASE] = phase_release,
	[EVENT_RECONNECT] = phase_reconnect,
};

/* A session daemon of an unprivileged user runs the same hook */
static bool has_business(const struct event *event)
{
	if (event->plan || event->check)
		return true;
	if (event->op == EVENT_IGNORE || !*event->guest || strchr(event->guest, '/'))
		return false;
	return event->by_hand || geteuid() == 0;
}

static int run_phase(const struct event *event, struct host *host)
{
	long long start = now_ms();
	int status;

	host->phase = event->op_name;
	status = phases[event->op](event, host);
	phase_log(host, event->guest, status, (int)(now_ms() - start));
	return status;
}

int main(int argc, char **argv)
{
	struct event event;
	struct host host = { .rootfd = -1, .statefd = -1 };

	if (event_parse(argc, argv, &event) < 0) {
		(void)fputs(event_usage(), stderr);
		return 64;
	}
	if (!has_business(&event))
		return 0;
	(void)spawn_fill_std();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	host.root = event.root;
	host.helpers = event.helpers;
	host.rootfd = root_open(event.root);
	if (host.rootfd < 0) {
		(void)fprintf(stderr, "usher: cannot open the root directory %s: %s\n", event.root,
			      strerror(-host.rootfd));
		return event.op == EVENT_RECONNECT ? 0 : 1;
	}
	if (event.check)
		return phase_check(&event, &host);
	return event.plan ? phase_plan(&event, &host) : run_phase(&event, &host);
}
