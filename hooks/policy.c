/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/policy.c - read the files of a policy */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/attr.h"
#include "../lib/owner.h"
#include "policy_check.h"

void policy_free(struct policy *policy)
{
	free(policy->file);
	inidoc_free(&policy->guest);
	inidoc_free(&policy->host);
	*policy = (struct policy){ 0 };
}

static int fail(struct policy_error *err, int error, const char *fmt, ...) _printf_(3, 4);

static int fail(struct policy_error *err, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(err->what, sizeof(err->what), fmt, args);
	va_end(args);
	return error;
}

static int check_owner(int rootfd, const struct stat *st, const char *name,
		       struct policy_error *err)
{
	switch (owner_look(rootfd, st)) {
	case OWNER_OTHER:
		return fail(err, -EPERM, "%s: belongs to user %u, not to root: chown root %s", name,
			    st->st_uid, name);
	case OWNER_WRITABLE:
		return fail(err, -EPERM, "%s: group or others may write it: chmod go-w %s", name,
			    name);
	case OWNER_ROOT:
		break;
	}
	return 0;
}

static int check_file(int rootfd, int fd, const char *name, struct policy_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(err, -errno, "%s: cannot be looked at: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(err, -EBADMSG, "%s: is no regular file", name);
	return check_owner(rootfd, &st, name, err);
}

/* Who may write the folder may put a file of root's there, by a hard link. /etc is root's. */
static int check_folder(int rootfd, const char *path, struct policy_error *err)
{
	char folder[PATH_MAX], name[PATH_MAX + 1];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = path_format(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);

	if (r == 0)
		r = path_format(name, sizeof(name), "/%s", folder);
	if (r < 0)
		return fail(err, r, "%s: %s", path, strerror(-r));
	fd = attr_open(rootfd, folder, O_PATH | O_DIRECTORY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = fd < 0 ? fd : -errno;
		return fail(err, r, "%s: cannot be looked at: %s", name, strerror(-r));
	}
	return check_owner(rootfd, &st, name, err);
}

static int read_all(int fd, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0 && len < size);
	*ret_len = len;
	return 0;
}

static int parse_fd(int fd, const char *name, struct inidoc *ret, struct policy_error *err)
{
	/* One more byte than inidoc_parse() takes: it says what is wrong with a longer file */
	const size_t size = INI_FILE_MAX + 1;
	_cleanup_free_ char *text = malloc(size);
	struct ini_error ini = { 0 };
	size_t len = 0;
	int r;

	if (!text)
		return fail(err, -ENOMEM, "%s: out of memory", name);
	r = read_all(fd, text, size, &len);
	if (r < 0)
		return fail(err, r, "%s: cannot be read: %s", name, strerror(-r));
	r = inidoc_parse(text, len, ret, &ini);
	if (r == -EBADMSG && ini.line > 0)
		return fail(err, r, "%s:%u: %s", name, ini.line, ini.what);
	if (r == -EBADMSG)
		return fail(err, r, "%s: %s", name, ini.what);
	return r < 0 ? fail(err, r, "%s: out of memory", name) : 0;
}

/* A file below the root. Return: 0, 1 when there is none, else -errno with @err filled */
static int load_below(int rootfd, const char *path, const char *name, struct inidoc *ret,
		      struct policy_error *err)
{
	char target[NAME_MAX + 1];
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY | O_NONBLOCK);
	int r;

	/* A broken link is a policy that somebody wants, not one that nobody wrote */
	if (fd == -ENOENT && attr_link(rootfd, path, target, sizeof(target)) != -ENOENT)
		return fail(err, -EBADMSG, "%s: is a symbolic link to nothing", name);
	if (fd == -ENOENT)
		return 1;
	if (fd < 0)
		return fail(err, fd, "%s: cannot be opened: %s", name, strerror(-fd));
	r = check_file(rootfd, fd, name, err);
	if (r == 0)
		r = check_folder(rootfd, path, err);
	return r < 0 ? r : parse_fd(fd, name, ret, err);
}

/* Not an error, but what usher plan and check tell. Return: 1 */
static int switched_off(const struct policy *policy, struct policy_error *err)
{
	char where[sizeof(err->what) / 2];

	policy_where(policy, "guest", "enabled", where, sizeof(where));
	return fail(err, 1, "has enabled = no (%s)", where);
}

/* The host's file and the checks that need both */
static int complete(int rootfd, struct policy *policy, struct policy *ret, struct policy_error *err)
{
	int r = load_below(rootfd, POLICY_HOST_FILE, "/" POLICY_HOST_FILE, &policy->host, err);

	if (r < 0)
		return r;
	r = policy_check(policy, err);
	if (r < 0)
		return r == -ENOMEM ? fail(err, r, "%s: out of memory", policy->file) : r;
	if (policy_bool(policy, "guest", "enabled") == 0)
		return switched_off(policy, err);
	*ret = *policy;
	*policy = (struct policy){ 0 };
	return 0;
}

/* Return: 0, 1 when no file can have the guest's name, -ENOMEM */
static int guest_file(const char *guest, char path[static PATH_MAX], char **ret_name)
{
	_cleanup_free_ char *printable = NULL;

	if (!*guest || strchr(guest, '/') || strlen(guest) > NAME_MAX - strlen(".ini"))
		return 1;
	(void)snprintf(path, PATH_MAX, "%s/%s.ini", POLICY_GUEST_DIR, guest);
	if (text_printable(guest, &printable) < 0)
		return -ENOMEM;
	if (asprintf(ret_name, "/%s/%s.ini", POLICY_GUEST_DIR, printable) < 0) {
		*ret_name = NULL;
		return -ENOMEM;
	}
	return 0;
}

int policy_load(int rootfd, const char *guest, struct policy *ret, struct policy_error *err)
{
	_cleanup_policy_ struct policy policy = { 0 };
	char path[PATH_MAX];
	int r;

	err->what[0] = '\0';
	r = guest_file(guest, path, &policy.file);
	if (r < 0)
		return fail(err, r, "out of memory");
	if (r == 0)
		r = load_below(rootfd, path, policy.file, &policy.guest, err);
	return r != 0 ? r : complete(rootfd, &policy, ret, err);
}

int policy_load_file(int rootfd, const char *file, struct policy *ret, struct policy_error *err)
{
	_cleanup_policy_ struct policy policy = { 0 };
	_cleanup_close_ int fd = -1;
	int r;

	err->what[0] = '\0';
	if (text_printable(file, &policy.file) < 0)
		return fail(err, -ENOMEM, "out of memory");
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail(err, -errno, "%s: cannot be opened: %s", policy.file, strerror(errno));
	r = parse_fd(fd, policy.file, &policy.guest, err);
	return r < 0 ? r : complete(rootfd, &policy, ret, err);
}
