/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/people.c - who would have to go from a GPU, and who would be hit beside */
#include <stdio.h>
#include <string.h>

#include "../../lib/desktop.h"
#include "../../lib/sysbus.h"
#include "seat.h"

void seat_people_free(struct seat_people *people)
{
	session_list_free(&people->sessions);
}

int people_load(const struct helper_ctx *ctx, const char *addr, const struct screen *screen,
		struct seat_people *ret)
{
	*ret = (struct seat_people){ .ctx = ctx, .addr = addr, .screen = screen };
	screen_seat(ctx->rootfd, screen, ret->seat, sizeof(ret->seat));
	return session_list(ctx->rootfd, &ret->sessions);
}

const struct session *people_desktop(const struct seat_people *people)
{
	const struct session *desktop = session_on(&people->sessions, people->seat);
	pid_t pid = 0;

	while (!desktop &&
	       (pid = screen_next_holder(people->ctx->rootfd, people->screen, pid)) > 0) {
		char id[SESSION_STRLEN];

		if (session_of(people->ctx->rootfd, pid, id) > 0)
			desktop = session_find(&people->sessions, id);
		if (desktop && (!desktop->graphical || *desktop->seat))
			desktop = NULL;
	}
	return desktop;
}

/* Is it the display manager itself that shows something there */
static bool is_greeter(const struct seat_people *people)
{
	int rootfd = people->ctx->rootfd;
	pid_t pid = 0;

	while ((pid = screen_next_holder(rootfd, people->screen, pid)) > 0) {
		const struct session *session = NULL;
		char id[SESSION_STRLEN];

		if (session_of(rootfd, pid, id) > 0)
			session = session_find(&people->sessions, id);
		if (session ? session->greeter : desktop_is_managed(rootfd, pid))
			return true;
	}
	return false;
}

/* A desktop there is as a rule the display manager's */
static bool is_managed(const struct seat_people *people)
{
	return session_on(&people->sessions, people->seat) &&
	       sysbus_unit_active(DISPLAY_MANAGER, deadline_left(people->ctx->deadline)) > 0;
}

int people_elsewhere(const struct seat_people *people)
{
	const struct session *other = session_elsewhere(&people->sessions, people->seat);
	char who[256];

	if (!other || (!is_greeter(people) && !is_managed(people)))
		return 0;
	screen_holder_names(people->ctx->rootfd, people->screen, who, sizeof(who));
	helper_say(people->ctx,
		   "GPU %s shows the screen of %s, in use by %s, and the display manager, which "
		   "would start its login screen there anew, is not stopped under user %s%s%s: "
		   "have that user log out before the guest's start",
		   people->addr, people->seat, who, other->user,
		   *other->seat ? " on " : "'s remote desktop", other->seat);
	return 1;
}
