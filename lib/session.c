/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/session.c - who is logged in on which seat, from logind's and udev's own files */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "text.h"

#define SESSIONS "run/systemd/sessions"

/* Longest state file or control group that is read */
#define FILE_MAX ((size_t)64 * 1024)

void session_list_free(struct session_list *list)
{
	free(list->sessions);
	*list = (struct session_list){ 0 };
}

/* "KEY=value" of a file of such lines; "" when it has none */
static void read_key(const char *text, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key);

	buf[0] = '\0';
	for (const char *line = text; *line;) {
		size_t end = strcspn(line, "\n");

		if (strncmp(line, key, len) == 0)
			(void)snprintf(buf, size, "%.*s", (int)(end - len), line + len);
		line += end + (line[end] == '\n');
	}
}

static bool is_word(const char *text, const char *const *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

/*
 * Who is let in by these is no display manager's. Any other may be: GDM's remote logins
 * (gnome-remote-desktop) have no seat and come by the same services as those at the machine.
 * Source: the pam.d files of OpenSSH, xrdp, TigerVNC, Chrome Remote Desktop; GDM 46,
 * gdm-remote-display.c
 * ABI: org.freedesktop.login1(5), Service: PAM's; src/login/logind-session.c, session_save()
 */
static bool is_foreign(const char *service)
{
	static const char *const services[] = { "sshd", "xrdp-sesman", "tigervnc",
						"chrome-remote-desktop" };

	return is_word(service, services, ARRAY_SIZE(services));
}

/* ABI: pam_systemd(8), class=: "user", since systemd 256 also "user-early", "user-light", ... */
static bool is_user_class(const char *class)
{
	return strcmp(class, "user") == 0 || strncmp(class, "user-", strlen("user-")) == 0;
}

static int read_session(int rootfd, const char *id, struct session *ret)
{
	static const char *const types[] = { "x11", "wayland", "mir" };
	char path[PATH_MAX], class[32], type[32], service[64];
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = path_format(path, sizeof(path), SESSIONS "/%s", id);

	if (r == 0)
		r = attr_read_all(rootfd, path, FILE_MAX, &text, &len);
	if (r == 0)
		r = path_format(ret->id, sizeof(ret->id), "%s", id);
	if (r < 0 || !text)
		return r < 0 ? r : -ENODATA;
	read_key(text, "UID=", ret->uid, sizeof(ret->uid));
	read_key(text, "USER=", ret->user, sizeof(ret->user));
	read_key(text, "SEAT=", ret->seat, sizeof(ret->seat));
	read_key(text, "CLASS=", class, sizeof(class));
	read_key(text, "TYPE=", type, sizeof(type));
	read_key(text, "SERVICE=", service, sizeof(service));
	ret->greeter = strcmp(class, "greeter") == 0;
	ret->graphical = is_user_class(class) && is_word(type, types, ARRAY_SIZE(types));
	ret->foreign = is_foreign(service);
	return 0;
}

int session_list(int rootfd, struct session_list *ret)
{
	_cleanup_strlist_ struct strlist ids = { 0 };
	struct session_list list = { 0 };
	int r = attr_list(rootfd, SESSIONS, &ids);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	list.sessions = calloc(ids.nr + 1, sizeof(*list.sessions));
	if (!list.sessions)
		return -ENOMEM;
	for (size_t i = 0; i < ids.nr; i++) {
		/* "c2.ref" is the pipe that keeps session c2 alive; one may end while we look */
		if (strchr(ids.names[i], '.'))
			continue;
		r = read_session(rootfd, ids.names[i], &list.sessions[list.nr]);
		list.nr += r == 0;
		/* One that cannot be looked at may be anybody's, and end unasked */
		if (r < 0 && r != -ENOENT && r != -ENODATA) {
			session_list_free(&list);
			return r;
		}
	}
	*ret = list;
	return 0;
}

/* What is between two parts of the name of a process's control group. Return: as session_of() */
static int cgroup_part(int rootfd, pid_t pid, const char *before, const char *behind,
		       char buf[static SESSION_STRLEN])
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	const char *at, *end;
	size_t len;
	int r = path_format(path, sizeof(path), "proc/%d/cgroup", (int)pid);

	if (r == 0)
		r = attr_read_all(rootfd, path, FILE_MAX, &text, &len);
	if (r < 0 || !text)
		return r == -ENOENT || r == -ESRCH ? 0 : r;
	at = strstr(text, before);
	end = at ? strstr(at, behind) : NULL;
	if (!end)
		return 0;
	at += strlen(before);
	r = path_format(buf, SESSION_STRLEN, "%.*s", (int)(end - at), at);
	return r < 0 ? r : 1;
}

/* ".../session-c2.scope/..." */
int session_of(int rootfd, pid_t pid, char id[static SESSION_STRLEN])
{
	return cgroup_part(rootfd, pid, "/session-", ".scope", id);
}

/* ".../user@1000.service/..." */
int session_user_of(int rootfd, pid_t pid, char uid[static SESSION_STRLEN])
{
	return cgroup_part(rootfd, pid, "/user@", ".service", uid);
}

const struct session *session_elsewhere(const struct session_list *list, const char *seat)
{
	for (size_t i = 0; i < list->nr; i++) {
		const struct session *session = &list->sessions[i];

		if (session->graphical && strcmp(session->seat, seat) != 0 &&
		    (*session->seat || !session->foreign))
			return session;
	}
	return NULL;
}

const struct session *session_on(const struct session_list *list, const char *seat)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->sessions[i].graphical && strcmp(list->sessions[i].seat, seat) == 0)
			return &list->sessions[i];
	return NULL;
}

const struct session *session_find(const struct session_list *list, const char *id)
{
	for (size_t i = 0; i < list->nr; i++)
		if (strcmp(list->sessions[i].id, id) == 0)
			return &list->sessions[i];
	return NULL;
}
