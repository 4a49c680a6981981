/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hookdir.c - libvirt's folder of hooks: where usher-hook lies, and older trees of scripts */
#include "hookdir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"
#include "owner.h"

#define PROGRAM	    "usher-hook"
#define ELF_MAGIC   "\177ELF"
#define PROGRAM_MAX ((size_t)64 << 20)
#define SCRIPT_MAX  ((size_t)1 << 20)

int hookdir_scripts(const char *guest, char *buf, size_t size)
{
	if (!*guest || strchr(guest, '/') || strcmp(guest, ".") == 0 || strcmp(guest, "..") == 0)
		return -EINVAL;
	return path_format(buf, size, HOOKDIR_SCRIPTS "/%s", guest);
}

bool hookdir_is_place(const char *guest, const char *path)
{
	static const char *const places[] = {
		"/prepare/begin", "/start/begin", "/started/begin",
		"/stopped/end",	  "/release/end", "/reconnect/begin"
	};
	char dir[PATH_MAX];
	size_t len;

	if (hookdir_scripts(guest, dir, sizeof(dir)) < 0)
		return false;
	len = strlen(dir);
	if (strncmp(path, dir, len) != 0)
		return false;
	path += len;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		len = strlen(places[i]);
		if (strncmp(path, places[i], len) == 0 &&
		    (path[len] == '\0' || (path[len] == '/' && !strchr(path + len + 1, '/'))))
			return true;
	}
	return false;
}

/* In a line that is no comment. install.sh and the package's preinst look the same way */
static bool names_usher(char *text)
{
	char *save, *line = strtok_r(text, "\n", &save);

	for (; line; line = strtok_r(NULL, "\n", &save))
		if (line[strspn(line, " \t")] != '#' && strstr(line, PROGRAM))
			return true;
	return false;
}

/* A program that only looks for the mark has a NUL behind it */
static bool has_mark(const char *text, size_t len)
{
	const size_t mark_len = strlen(HOOKDIR_MARK);
	const char *end = text + len, *at = text;

	if (len < strlen(ELF_MAGIC) || memcmp(text, ELF_MAGIC, strlen(ELF_MAGIC)) != 0)
		return false;
	while ((at = memmem(at, (size_t)(end - at), HOOKDIR_MARK, mark_len))) {
		at += mark_len;
		if (at < end && *at == ';')
			return true;
	}
	return false;
}

static bool is_link(int rootfd, const char *path)
{
	char target[NAME_MAX + 1];

	return attr_link(rootfd, path, target, sizeof(target)) > 0 && strcmp(target, PROGRAM) == 0;
}

/* What is no file to be read is none of usher's: a folder, one that is too large */
static int read_program(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	int r = attr_read_regular(rootfd, path, max, ret, ret_len);

	return r == 0 ? 1 : r == -EINVAL || r == -E2BIG ? 0 : r;
}

int hookdir_is_usher(int rootfd, const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (is_link(rootfd, path))
		return 1;
	r = attr_exists(rootfd, path);
	if (r <= 0)
		return r == 0 || r == -ELOOP ? -ENOENT : r;
	r = read_program(rootfd, path, PROGRAM_MAX, &text, &len);
	return r > 0 ? has_mark(text, len) : r;
}

bool hookdir_is_other(int rootfd, const char *path, const char *dir)
{
	_cleanup_close_ int dirfd = root_open(dir);
	_cleanup_free_ char *copy = NULL, *program = NULL;
	size_t copy_len, len;

	if (dirfd < 0 || is_link(rootfd, path) ||
	    attr_read_regular(dirfd, PROGRAM, PROGRAM_MAX, &program, &len) < 0 ||
	    attr_read_regular(rootfd, path, PROGRAM_MAX, &copy, &copy_len) < 0)
		return false;
	return copy_len != len || memcmp(copy, program, len) != 0;
}

bool hookdir_can_run(int rootfd, const char *path)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_PATH);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

/* Return: -EPERM */
static int refuse(enum owner owner, const struct owner_way *way, const char *path, char **ret_why)
{
	bool itself = strcmp(way->at, path) == 0;
	_cleanup_free_ char *at = NULL;
	int n;

	if (text_printable(way->at, &at) < 0)
		return -EPERM;
	if (owner == OWNER_OTHER)
		n = asprintf(ret_why, "%s%s belongs to user %u, not to root: chown root /%s",
			     itself ? "it" : "/", itself ? "" : at, way->st.st_uid, at);
	else
		n = asprintf(ret_why, "others may write %s%s: chmod go-w /%s", itself ? "it" : "/",
			     itself ? "" : at, at);
	if (n < 0)
		*ret_why = NULL;
	return -EPERM;
}

int hookdir_runs_script(int rootfd, const char *path, char **ret_why)
{
	struct owner_way way;
	int r = owner_walk(rootfd, path, &way);

	*ret_why = NULL;
	if (r == 0 && (!S_ISREG(way.st.st_mode) || !(way.st.st_mode & S_IXUSR)))
		return 0;
	if (r == 0)
		r = (int)owner_look(rootfd, &way.st);
	if (r == 0)
		return 1;
	if (r > 0)
		return refuse((enum owner)r, &way, path, ret_why);
	/* It leads nowhere, or round */
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -ENAMETOOLONG)
		return 0;
	if (asprintf(ret_why, "it cannot be looked at: %s: see dmesg", strerror(-r)) < 0)
		*ret_why = NULL;
	return r;
}

/* A copy that somebody has put aside is none. Return: 1, 0, else -errno */
static int is_hook(int rootfd, const char *path)
{
	int r = hookdir_is_usher(rootfd, path);

	if (r <= 0 || strcmp(path, HOOKDIR_HOOK) == 0 || strcmp(path, HOOKDIR_BESIDE) == 0)
		return r == -ENOENT ? 0 : r;
	return hookdir_can_run(rootfd, path);
}

/* Return: 1, 0, else -errno */
static int is_caller(int rootfd, const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = hookdir_is_usher(rootfd, path);

	if (r != 0)
		return r > 0 || r == -ENOENT ? 0 : r;
	if (!hookdir_can_run(rootfd, path))
		return 0;
	r = read_program(rootfd, path, SCRIPT_MAX, &text, &len);
	return r > 0 ? strncmp(text, "#!", 2) == 0 && names_usher(text) : r;
}

static int add_match(int rootfd, const char *path, int (*match)(int rootfd, const char *path),
		     struct strlist *ret)
{
	int r = match(rootfd, path);

	return r > 0 ? strlist_add(ret, path) : r;
}

/* In the order in which libvirt runs them. Return: 0, else -errno */
static int find(int rootfd, int (*match)(int rootfd, const char *path), struct strlist *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = add_match(rootfd, HOOKDIR_HOOK, match, ret);

	if (r == 0)
		r = attr_list(rootfd, HOOKDIR_SCRIPTS, &names);
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		char path[PATH_MAX];

		if (path_format(path, sizeof(path), HOOKDIR_SCRIPTS "/%s", names.names[i]) == 0)
			r = add_match(rootfd, path, match, ret);
	}
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

int hookdir_ushers(int rootfd, struct strlist *ret)
{
	return find(rootfd, is_hook, ret);
}

int hookdir_callers(int rootfd, struct strlist *ret)
{
	return find(rootfd, is_caller, ret);
}
