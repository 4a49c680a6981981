/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/policyfile.c - write etc/usher/conf.d/GUEST.ini, never one that does not parse */
#include "policyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/attr.h"
#include "../../lib/state.h"
#include "capture.h"
#include "json.h"
#include "leftover.h"

#define CONF_D	 "etc/usher/conf.d"
#define CHECK_MS 10000

void draft_close(struct draft *draft)
{
	if (draft->lockfd >= 0) {
		if (*draft->tmp)
			(void)unlinkat(draft->dirfd, draft->tmp, 0);
		(void)unlinkat(draft->dirfd, draft->lock, 0);
		leftover_forget(draft->tmp);
		leftover_forget(draft->lock);
	}
	cleanup_close(&draft->lockfd);
	cleanup_close(&draft->dirfd);
}

/* Return: the directory's fd, else -errno */
static int make_dirs(int rootfd)
{
	static const char *const dirs[] = { "etc/usher", CONF_D };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (mkdirat(rootfd, dirs[i], 0755) < 0) {
			if (errno != EEXIST)
				return -errno;
			continue;
		}
		/* The umask is for state files */
		if (fchmodat(rootfd, dirs[i], 0755, 0) < 0)
			return -errno;
	}
	return attr_open(rootfd, CONF_D, O_RDONLY | O_DIRECTORY);
}

static int make_names(const struct request *request, const char *guest, struct draft *ret)
{
	const char *slash = strcmp(request->root, "/") == 0 ? "" : request->root;
	int r;

	if (!*guest || strchr(guest, '/'))
		return -EINVAL;
	r = path_format(ret->name, sizeof(ret->name), "%s.ini", guest);
	/* Two of the longest names may share a draft and its lock */
	if (r == 0)
		r = path_format(ret->lock, sizeof(ret->lock), ".%.200s.lock", guest);
	if (r == 0)
		r = path_format(ret->tmp, sizeof(ret->tmp), ".%.200s.draft", guest);
	if (r == 0)
		r = path_format(ret->path, sizeof(ret->path), "%s/" CONF_D "/%s", slash, ret->tmp);
	if (r == 0)
		r = path_format(ret->real, sizeof(ret->real), "%s/" CONF_D "/%s", slash, ret->name);
	return r;
}

/* Return: the draft's fd, -ETIMEDOUT somebody else is at work, else -errno */
static int make_draft(struct draft *draft)
{
	_cleanup_held_ sigset_t old = leftover_hold();
	int fd;

	draft->lockfd = state_lock(draft->dirfd, draft->lock, 0);
	if (draft->lockfd < 0)
		return draft->lockfd;
	leftover_add(draft->dirfd, draft->lock, 0);
	if (unlinkat(draft->dirfd, draft->tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(draft->dirfd, draft->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return -errno;
	leftover_add(draft->dirfd, draft->tmp, 0);
	return fd;
}

int draft_open(const struct request *request, const char *guest, struct draft *ret)
{
	_cleanup_close_ int rootfd = usher_root(request);
	int r = make_names(request, guest, ret), fd;

	if (rootfd < 0)
		return rootfd;
	if (r < 0) {
		usher_say("%s: no file can have that guest's name: %s", guest, strerror(-r));
		return r;
	}
	ret->dirfd = make_dirs(rootfd);
	fd = ret->dirfd < 0 ? ret->dirfd : make_draft(ret);
	if (fd == -ETIMEDOUT)
		usher_say("%s is being written by another usher edit or init: end that first",
			  ret->real);
	else if (fd < 0)
		usher_say("cannot write in /" CONF_D ": %s: it is root's to write", strerror(-fd));
	return fd;
}

int draft_old(const struct draft *draft, char **ret)
{
	size_t len;
	int r = state_read(draft->dirfd, draft->name, ret, &len);

	if (r != -ENOENT)
		return r < 0 ? r : 1;
	*ret = strdup("");
	return *ret ? 0 : -ENOMEM;
}

/* "usher: GUEST: DRAFT:3: ..." with the file's own name */
static void say_wrong(const struct draft *draft, const char *text)
{
	const char *at = strstr(text, draft->path);
	size_t before = at ? (size_t)(at - text) : 0;

	if (at)
		(void)fprintf(stderr, "%.*s%s%s", (int)before, text, draft->real,
			      at + strlen(draft->path));
	else
		(void)fputs(text, stderr);
}

/* @argv: the hook's name is put first. Return: 0, else -errno (said) */
static int ask_hook(const struct request *request, const char **argv, struct capture *ret)
{
	_cleanup_free_ char *hook = NULL;
	int r;

	if (asprintf(&hook, "%s/usher-hook", request->dir) < 0) {
		hook = NULL;
		usher_say("the host has no memory left to ask usher-hook: see free -m");
		return -ENOMEM;
	}
	argv[0] = hook;
	r = capture_run(argv, -1, CHECK_MS, ret);
	if (r < 0)
		usher_say("cannot run %s: %s: reinstall usher", hook, strerror(-r));
	return r;
}

int draft_check(const struct request *request, const char *guest, const struct draft *draft)
{
	_cleanup_capture_ struct capture capture = { 0 };
	const char *argv[] = { NULL, "--check", "--root",  request->root, "--policy", draft->path,
			       "--", guest,	"prepare", "begin",	  "-",	      NULL };
	int r = ask_hook(request, argv, &capture);

	if (r < 0 || capture.status == 0)
		return r;
	say_wrong(draft, capture.err);
	return -EBADMSG;
}

void draft_say_old(const struct request *request, const char *guest, const struct draft *draft,
		   int error)
{
	_cleanup_capture_ struct capture capture = { 0 };
	const char *argv[] = { NULL,  "--check", "--root", request->root, "--",
			       guest, "prepare", "begin",  "-",		  NULL };

	/* Who else may write it is the hook's to judge */
	if (error == -EPERM && ask_hook(request, argv, &capture) == 0 && capture.status)
		(void)fputs(capture.err, stderr);
	else
		usher_say("cannot read %s: %s", draft->real,
			  error == -ELOOP ? "it is a symbolic link: edit what it leads to"
					  : strerror(-error));
}

/* Who may read the policy there is may read the new one; none that others could write is a pattern */
static int keep_access(const struct draft *draft)
{
	mode_t mode = 0644;
	struct stat st = { 0 };

	if (fstatat(draft->dirfd, draft->name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
		mode = st.st_mode & 0777;
		if (fchownat(draft->dirfd, draft->tmp, (uid_t)-1, st.st_gid, AT_SYMLINK_NOFOLLOW) <
		    0)
			return -errno;
	}
	return fchmodat(draft->dirfd, draft->tmp, mode, 0) < 0 ? -errno : 0;
}

int draft_install(struct draft *draft)
{
	int r = keep_access(draft);

	if (r == 0 && renameat(draft->dirfd, draft->tmp, draft->dirfd, draft->name) < 0)
		r = -errno;
	if (r < 0) {
		usher_say("cannot write %s: %s", draft->real, strerror(-r));
		return r;
	}
	*draft->tmp = '\0';
	return 0;
}

void draft_json(const struct draft *draft, const char *command, const char *guest, bool changed)
{
	struct json json;

	json_begin(&json, stdout, command);
	json_string(&json, "guest", guest);
	json_string(&json, "file", draft->real);
	json_bool(&json, "changed", changed);
	json_end(&json);
}

char ask(const char *question)
{
	char line[64];

	if (!isatty(STDIN_FILENO))
		return '\0';
	(void)fprintf(stderr, "%s ", question);
	if (!fgets(line, sizeof(line), stdin))
		return '\0';
	return *line;
}
