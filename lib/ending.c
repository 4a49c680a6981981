/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/ending.c - who of a card's users is gone when the desktop on it has been ended */
#include "ending.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "desktop.h"
#include "process.h"

/*
 * How it works
 *
 * usher-seat stops the display manager, ends the desktops on the card's seat, and the session of
 * whoever shows something on the card. A service of the host's, a container, another guest, a login
 * by ssh or on another seat, and the services of a user who has no session that ends: these go on.
 * Of whom nothing is known it is taken that he goes; apply looks again.
 */

void ending_free(struct ending *ending)
{
	session_list_free(&ending->sessions);
	strlist_free(&ending->shown);
}

bool ending_shows(int rootfd, const struct strlist *nodes, pid_t pid)
{
	if (desktop_is_x_server(rootfd, pid))
		return true;
	for (size_t i = 0; i < nodes->nr; i++) {
		const char *const path[] = { nodes->names[i] };

		if ((strncmp(path[0], "/dev/dri/card", 13) == 0 ||
		     strncmp(path[0], "/dev/fb", 7) == 0) &&
		    process_find_open_after(rootfd, path, 1, pid - 1) == pid)
			return true;
	}
	return false;
}

static bool session_ends(const struct ending *ending, const struct session *session)
{
	if (strlist_has(&ending->shown, session->id))
		return true;
	return strcmp(session->seat, ending->seat) == 0 && (session->graphical || session->greeter);
}

/* What is known of a process when the desktop has ended */
enum fate { UNKNOWN, GOES, STAYS };

static enum fate session_fate(int rootfd, const struct ending *ending, pid_t pid)
{
	const struct session *session = NULL;
	char id[SESSION_STRLEN];

	if (session_of(rootfd, pid, id) > 0)
		session = session_find(&ending->sessions, id);
	if (!session)
		return UNKNOWN;
	return session_ends(ending, session) ? GOES : STAYS;
}

/* A session that would not end, did nothing of it show on the card */
static int add_shown(int rootfd, struct ending *ending, pid_t pid)
{
	char id[SESSION_STRLEN];

	if (session_fate(rootfd, ending, pid) != STAYS || session_of(rootfd, pid, id) <= 0)
		return 0;
	return strlist_add(&ending->shown, id);
}

int ending_load(int rootfd, const char *seat, const struct strlist *nodes, struct ending *ret)
{
	pid_t pid = 0;
	int r = session_list(rootfd, &ret->sessions);

	(void)snprintf(ret->seat, sizeof(ret->seat), "%s", seat);
	while (r == 0 && nodes->nr > 0 &&
	       (pid = process_find_open_after(rootfd, (const char *const *)nodes->names, nodes->nr,
					      pid)) > 0)
		if (ending_shows(rootfd, nodes, pid))
			r = add_shown(rootfd, ret, pid);
	return r < 0 ? r : pid < 0 ? (int)pid : 0;
}

static bool user_stays(const struct ending *ending, const char *uid)
{
	for (size_t i = 0; i < ending->sessions.nr; i++) {
		const struct session *session = &ending->sessions.sessions[i];

		if (strcmp(session->uid, uid) == 0 && session_ends(ending, session))
			return false;
	}
	return true;
}

/*
 * The group that systemd keeps a process in, "/system.slice/ollama.service"; NULL for none.
 * ABI: cgroups(7), /proc/PID/cgroup: "0::" with version 2, "1:name=systemd:" with version 1
 */
static const char *find_group(const char *cgroup)
{
	static const char *const starts[] = { ":name=systemd:", "0::" };
	const char *at = NULL;

	for (size_t i = 0; !at && i < ARRAY_SIZE(starts); i++) {
		at = strstr(cgroup, starts[i]);
		at = at ? at + strlen(starts[i]) : NULL;
	}
	return at;
}

/*
 * Users' sessions and services apart, everything goes on that is in a group: "/system.slice/...",
 * "/machine.slice/...", but also "/lxc.payload.x/...", "/docker/..." or "/kubepods.slice/...".
 * In "/init.scope" is systemd itself, with what it keeps for logind. Under another init the groups
 * of services and of sessions look alike.
 */
bool ending_is_service(int rootfd, pid_t pid)
{
	static const char *const others[] = { "/user.slice/", "/init.scope" };
	char path[64], cgroup[ATTR_MAX];
	const char *group;

	(void)snprintf(path, sizeof(path), "proc/%d/cgroup", (int)pid);
	if (attr_exists(rootfd, "run/systemd/system") <= 0 ||
	    attr_read(rootfd, path, cgroup, sizeof(cgroup)) <= 0)
		return false;
	group = find_group(cgroup);
	for (size_t i = 0; group && i < ARRAY_SIZE(others); i++)
		if (strncmp(group, others[i], strlen(others[i])) == 0)
			return false;
	return group && strcspn(group, "\n") > strlen("/");
}

static enum fate fate_of(int rootfd, const struct ending *ending, pid_t pid)
{
	char uid[SESSION_STRLEN];

	if (ending_is_service(rootfd, pid))
		return desktop_is_managed(rootfd, pid) ? GOES : STAYS;
	if (session_user_of(rootfd, pid, uid) > 0)
		return user_stays(ending, uid) ? STAYS : GOES;
	return session_fate(rootfd, ending, pid);
}

bool ending_goes(int rootfd, const struct ending *ending, pid_t pid)
{
	return fate_of(rootfd, ending, pid) == GOES;
}

bool ending_outlived(int rootfd, const struct ending *ending, pid_t pid)
{
	return fate_of(rootfd, ending, pid) == STAYS;
}
