/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/refuse.c - why a guest is not started, in one line */
#include "refuse.h"

#include <string.h>
#include <syslog.h>
#include <unistd.h>

int refuse(const struct event *event, const struct host *host, const char *what)
{
	phase_say(host, LOG_ERR, event->guest, "%s", what);
	return 1;
}

int refuse_errno(const struct event *event, const struct host *host, const char *what, int r)
{
	phase_say(host, LOG_ERR, event->guest, "cannot %s: %s", what, strerror(-r));
	return 1;
}

bool refuse_is_passing(const struct host *host, const struct claim *claim)
{
	return claim->state == CLAIM_RETURNING && claim->owner.pid != getpid() &&
	       registry_alive(host->rootfd, claim) > 0;
}

int refuse_conflict(const struct event *event, const struct host *host,
		    const struct conflict *conflict)
{
	const char *guest = conflict->with->guest;

	if (conflict->with->state == CLAIM_RETURNING && !refuse_is_passing(host, conflict->with))
		phase_say(host, LOG_ERR, event->guest,
			  "%s could not be given back after guest %s: run usher recover, and see "
			  "journalctl -t usher for what is in its way",
			  conflict->what, guest);
	else if (conflict->with->state == CLAIM_RETURNING)
		phase_say(host, LOG_ERR, event->guest,
			  "%s is still being given back by guest %s: try again in a moment; if it "
			  "stays so, run usher recover",
			  conflict->what, guest);
	else
		phase_say(host, LOG_ERR, event->guest,
			  "%s is held by guest %s: shut that guest down first, %s", conflict->what,
			  guest,
			  conflict->cpus ? "pin one of the two to other CPUs, or have them share "
					   "with isolate = no in [cpuset] of both policies"
					 : "or take it out of this guest's XML");
	return 1;
}

int refuse_unmanaged(const struct event *event, const struct host *host,
		     const struct conflict *conflict)
{
	if (conflict->with->state == CLAIM_RETURNING)
		return refuse_conflict(event, host, conflict);
	phase_say(host, LOG_ERR, event->guest,
		  "%s belongs to guest %s alone while it runs: shut that guest down first, %s",
		  conflict->what, conflict->with->guest,
		  conflict->cpus ? "pin this one to other CPUs, or have them share with isolate = "
				   "no in [cpuset] of that one's policy"
				 : "or take it out of this guest's XML");
	return 1;
}

int refuse_unreadable(const struct event *event, const struct host *host,
		      const struct claims *claims)
{
	phase_say(host, LOG_ERR, event->guest,
		  "the claim /run/usher/%s/claim.ini cannot be read (%s), so what that guest holds "
		  "is not known: install the usher that wrote it, or, with that guest shut down, "
		  "remove its directory or reboot",
		  claims->unreadable.names[0], claims->why);
	return 1;
}
