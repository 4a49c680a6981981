/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/tree.c - files of the tree, replaced as a whole so that no reader sees half of one */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/text.h"

#define TEXT_MAX (1024UL * 1024)

void tree_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= size)
		abort();
}

int tree_get(const char *path, char *buf, size_t size)
{
	return __real_attr_read(fake_root(), path, buf, size);
}

unsigned long long tree_num(const char *path)
{
	unsigned long long value;

	return __real_attr_read_ull(fake_root(), path, &value) < 0 ? 0 : value;
}

bool tree_has(const char *path)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), path, O_PATH | O_NOFOLLOW);

	return fd >= 0;
}

bool tree_is_dir(const char *path)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), path, O_PATH | O_DIRECTORY);

	return fd >= 0;
}

int tree_list(const char *path, struct strlist *ret)
{
	return __real_attr_list(fake_root(), path, ret);
}

/* "a/b/c" -> fd of "a/b", @ret_name "c" */
static int parent_open(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (!slash) {
		*ret_name = path;
		return __real_attr_open(fake_root(), ".", O_RDONLY | O_DIRECTORY);
	}
	*ret_name = slash + 1;
	tree_path(dir, "%.*s", (int)(slash - path), path);
	return __real_attr_open(fake_root(), dir, O_RDONLY | O_DIRECTORY);
}

int tree_canonical(const char *path, char *buf, size_t size)
{
	const char *name;
	_cleanup_close_ int fd = parent_open(path, &name);
	char dir[PATH_MAX];
	int r;

	if (fd < 0)
		return fd;
	r = fake_path_of(fd, dir, sizeof(dir));
	if (r < 0)
		return r;
	return path_format(buf, size, "%s%s%s", dir, dir[0] ? "/" : "", name);
}

int tree_resolve(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), path, O_PATH);

	return fd < 0 ? fd : fake_path_of(fd, buf, size);
}

static int mkdir_one(const char *path)
{
	const char *name;
	_cleanup_close_ int fd = parent_open(path, &name);

	if (fd < 0)
		return fd;
	if (__real_mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int tree_mkdirs(const char *path)
{
	char part[PATH_MAX];
	int r = 0;

	for (const char *slash = path; r == 0 && *slash; slash++) {
		slash = strchrnul(slash, '/');
		tree_path(part, "%.*s", (int)(slash - path), path);
		if (!tree_is_dir(part))
			r = mkdir_one(part);
		if (!*slash)
			break;
	}
	return r;
}

static int parents_make(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (!slash)
		return 0;
	tree_path(dir, "%.*s", (int)(slash - path), path);
	return tree_mkdirs(dir);
}

static int replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	char tmp[64];

	tree_path(tmp, ".fake/new.%d", (int)getpid());
	fd = openat(fake_root(), tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (__real_write(fd, data, len) != (ssize_t)len || fchmod(fd, mode) < 0)
		return -EIO;
	return __real_renameat(fake_root(), tmp, dirfd, name) < 0 ? -errno : 0;
}

static int put_bytes(const char *path, const void *data, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	const char *name;
	struct stat st;
	int r;

	r = parents_make(path);
	if (r < 0)
		return r;
	fd = parent_open(path, &name);
	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		mode = st.st_mode & 07777;
	return replace(fd, name, data, len, mode);
}

int tree_put(const char *path, const char *value)
{
	_cleanup_free_ char *line = NULL;
	int len = asprintf(&line, "%s\n", value);

	return len < 0 ? -ENOMEM : put_bytes(path, line, (size_t)len, 0644);
}

int tree_put_num(const char *path, unsigned long long value)
{
	char text[32];

	tree_path(text, "%llu", value);
	return tree_put(path, text);
}

/* From sys/a/b to sys/c/d: ../../c/d, seen from the directory that holds @from */
static void relative(const char *from, const char *to, char *buf, size_t size)
{
	size_t common = 0, len = 0;

	for (size_t i = 0; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			common = i + 1;
	buf[0] = '\0';
	for (const char *c = strchr(from + common, '/'); c; c = strchr(c + 1, '/'))
		len += (size_t)snprintf(buf + len, size - len, "../");
	(void)snprintf(buf + len, size - len, "%s", to + common);
}

int tree_symlink(const char *path, const char *target)
{
	_cleanup_close_ int fd = -1;
	char from[PATH_MAX] = "", to[PATH_MAX] = "", text[PATH_MAX];
	const char *name;
	int r;

	r = parents_make(path);
	if (r == 0)
		r = tree_canonical(path, from, sizeof(from));
	if (r == 0)
		r = tree_resolve(target, to, sizeof(to));
	if (r < 0)
		return r;
	relative(from, to, text, sizeof(text));
	fd = parent_open(from, &name);
	if (fd < 0)
		return fd;
	return symlinkat(text, fd, name) < 0 ? -errno : 0;
}

static int remove_at(int dirfd, const char *name)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	int fd;

	if (__real_unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -ENOMEM;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)remove_at(fd, entry->d_name);
	return __real_unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int tree_remove(const char *path)
{
	const char *name;
	_cleanup_close_ int fd = parent_open(path, &name);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return remove_at(fd, name);
}

int tree_move(const char *from, const char *to)
{
	_cleanup_close_ int from_fd = -1, to_fd = -1;
	const char *from_name, *to_name;
	int r;

	r = parents_make(to);
	if (r < 0)
		return r;
	from_fd = parent_open(from, &from_name);
	to_fd = parent_open(to, &to_name);
	if (from_fd < 0 || to_fd < 0)
		return from_fd < 0 ? from_fd : to_fd;
	return __real_renameat(from_fd, from_name, to_fd, to_name) < 0 ? -errno : 0;
}

/* --- Overlays -------------------------------------------------------------------------------- */

/* Every "@PID@" in @text becomes @pid */
static int substitute(const char *text, const char *pid, char **ret)
{
	static const char mark[] = "@PID@";
	char *out = NULL, *grown;
	const char *hit;

	if (asprintf(&out, "%s", "") < 0)
		return -ENOMEM;
	while ((hit = pid ? strstr(text, mark) : NULL)) {
		int r = asprintf(&grown, "%s%.*s%s", out, (int)(hit - text), text, pid);

		free(out);
		if (r < 0)
			return -ENOMEM;
		out = grown;
		text = hit + strlen(mark);
	}
	if (asprintf(&grown, "%s%s", out, text) < 0)
		grown = NULL;
	free(out);
	*ret = grown;
	return grown ? 0 : -ENOMEM;
}

static int lay_file(const char *from, const char *to, const char *pid)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), from, O_RDONLY);
	_cleanup_free_ char *text = NULL, *done = NULL;
	struct stat st;
	size_t len;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	r = __real_attr_read_all(fake_root(), from, TEXT_MAX, &text, &len);
	if (r < 0)
		return r;
	if (!pid || strlen(text) != len)
		return put_bytes(to, text, len, st.st_mode & 07777);
	r = substitute(text, pid, &done);
	return r < 0 ? r : put_bytes(to, done, strlen(done), st.st_mode & 07777);
}

/* A symlink's text is kept as it is: an overlay lies as deep as it says from its own top */
static int lay_link(const char *from, const char *to)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), from, O_PATH | O_NOFOLLOW);
	_cleanup_close_ int dirfd = -1;
	char target[PATH_MAX];
	const char *name;
	ssize_t n;
	int r;

	n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	r = parents_make(to);
	if (r < 0)
		return r;
	dirfd = parent_open(to, &name);
	if (dirfd < 0)
		return dirfd;
	return symlinkat(target, dirfd, name) < 0 && errno != EEXIST ? -errno : 0;
}

static bool is_link(const char *path)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), path, O_PATH | O_NOFOLLOW);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* What an overlay made, NULL when nobody wants to know */
struct walk {
	const char *pid;
	struct strlist *made;
};

static int walk_one(const struct walk *walk, const char *from, const char *to);

static int walk_dir(const struct walk *walk, const char *from, const char *to)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char below[PATH_MAX], target[PATH_MAX];
	int r;

	r = tree_list(from, &names);
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		_cleanup_free_ char *name = NULL;

		r = substitute(names.names[i], walk->pid, &name);
		if (r < 0)
			return r;
		tree_path(below, "%s/%s", from, names.names[i]);
		tree_path(target, "%s%s%s", to, to[0] ? "/" : "", name);
		r = walk_one(walk, below, target);
	}
	return r;
}

static int walk_one(const struct walk *walk, const char *from, const char *to)
{
	bool new = to[0] && walk->made && !tree_has(to);
	int r;

	if (new) {
		r = strlist_add(walk->made, to);
		if (r < 0)
			return r;
	}
	if (is_link(from))
		return lay_link(from, to);
	if (!tree_is_dir(from))
		return lay_file(from, to, walk->pid);
	r = to[0] ? tree_mkdirs(to) : 0;
	return r < 0 ? r : walk_dir(walk, from, to);
}

int tree_overlay(const char *from, const char *pid, struct strlist *made)
{
	const struct walk walk = { .pid = pid, .made = made };

	return walk_one(&walk, from, "");
}
