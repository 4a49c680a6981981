/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/attr.c - kernel attributes below a root fd: /sys, /proc, cgroupfs and /dev */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attr.h"
#include "units.h"

/* RESOLVE_IN_ROOT gives EAGAIN when a rename or mount anywhere races with a ".." of the path */
#define OPEN_TRIES 128

/* glibc 2.36 has no wrapper */
static int openat2_in_root(int rootfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)flags,
		.resolve = RESOLVE_IN_ROOT,
	};
	int tries = 0;
	long fd;

	do
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < OPEN_TRIES)));

	return fd < 0 ? -errno : (int)fd;
}

/* Reads until end of file or @size: files made of records return short reads */
static ssize_t read_full(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)len;
}

int root_open(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int path_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);

	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

int attr_open(int rootfd, const char *path, int flags)
{
	if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
		return -EINVAL;

	/* openat2() refuses what O_PATH would ignore */
	if (!(flags & O_PATH))
		flags |= O_NOCTTY;
	return openat2_in_root(rootfd, path, flags | O_CLOEXEC);
}

/* One byte past a full buffer. Return: 1 there is more, 0 end of file, else -errno */
static ssize_t read_more(int fd)
{
	char c;

	return read_full(fd, &c, 1);
}

static int attr_read_fd(int fd, char *buf, size_t size)
{
	ssize_t len = read_full(fd, buf, size);

	if (len < 0)
		return (int)len;
	if ((size_t)len == size) {
		ssize_t r = read_more(fd);

		if (r != 0)
			return r < 0 ? (int)r : -E2BIG;
	}
	if (memchr(buf, '\0', (size_t)len))
		return -EBADMSG;
	if (len > 0 && buf[len - 1] == '\n')
		len--;
	if ((size_t)len == size)
		return -E2BIG;
	buf[len] = '\0';
	return (int)len;
}

int attr_read(int rootfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY);
	int r = fd < 0 ? fd : attr_read_fd(fd, buf, size);

	if (r < 0 && size > 0)
		buf[0] = '\0';
	return r;
}

int attr_read_ull(int rootfd, const char *path, unsigned long long *ret)
{
	char buf[64];
	int r;

	r = attr_read(rootfd, path, buf, sizeof(buf));
	if (r < 0)
		return r == -E2BIG ? -EBADMSG : r;

	/* Not C's prefixes: the kernel pads decimal numbers with zeros, "0010" is ten */
	if (buf[0] == '0' && buf[1] == 'x')
		r = parse_ull(buf + 2, 16, ~0ULL, ret);
	else
		r = parse_ull(buf, 10, ~0ULL, ret);
	return r < 0 ? -EBADMSG : 0;
}

static int read_all_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, size = 0;

	/* procfs says 0 for the size of every file: grow until it ends */
	do {
		size_t want = size ? size * 2 : ATTR_MAX;
		ssize_t n;
		char *p;

		if (want > max)
			want = max + 1;
		p = realloc(buf, want + 1);
		if (!p)
			return -ENOMEM;
		buf = p;
		size = want;
		n = read_full(fd, buf + len, size - len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
	} while (len == size && len <= max);

	if (len > max)
		return -E2BIG;
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}

int attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY);

	return fd < 0 ? fd : read_all_fd(fd, max, ret, ret_len);
}

int attr_read_regular(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? read_all_fd(fd, max, ret, ret_len) : -EINVAL;
}

int attr_write(int rootfd, const char *path, const char *val)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_WRONLY);
	size_t len;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (!*val)
		val = "\n";
	len = strlen(val);
	n = write(fd, val, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int ask(int fd, const char *question, char *buf, size_t size)
{
	size_t len = strlen(question);
	ssize_t n = write(fd, question, len);

	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -EIO;
	n = read_full(fd, buf, size);
	if (n < 0)
		return (int)n;
	if ((size_t)n == size)
		return -E2BIG;
	buf[n] = '\0';
	return (int)strlen(buf);
}

int attr_ask(int rootfd, const char *path, const char *question, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDWR);
	int r = fd < 0 ? fd : ask(fd, question, buf, size);

	if (r < 0 && size > 0)
		buf[0] = '\0';
	return r;
}

static int link_name(int fd, char *buf, size_t size)
{
	char target[ATTR_MAX];
	const char *name;
	ssize_t n;
	int r;

	n = readlinkat(fd, "", target, sizeof(target));
	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	r = path_format(buf, size, "%s", name);
	return r < 0 ? r : (int)strlen(name);
}

int attr_link(int rootfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_PATH | O_NOFOLLOW);
	int r = fd < 0 ? fd : link_name(fd, buf, size);

	if (r < 0 && size > 0)
		buf[0] = '\0';
	return r;
}

int attr_exists(int rootfd, const char *path)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_PATH);

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	return fd < 0 ? fd : 1;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What does not tell what it is may be a directory */
static bool is_listed(const struct dirent *de, bool dirs)
{
	if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
		return false;
	return !dirs || de->d_type == DT_DIR || de->d_type == DT_UNKNOWN;
}

static int read_names(DIR *dir, bool dirs, struct strlist *list)
{
	struct dirent *de;
	int r;

	while (errno = 0, (de = readdir(dir))) {
		if (!is_listed(de, dirs))
			continue;
		r = strlist_add(list, de->d_name);
		if (r < 0)
			return r;
	}
	return -errno;
}

static int list_names(int rootfd, const char *path, bool dirs, struct strlist *ret)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY | O_DIRECTORY);
	_cleanup_strlist_ struct strlist list = { 0 };
	_cleanup_closedir_ DIR *dir = NULL;
	int r;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd);
	r = read_names(dir, dirs, &list);
	if (r < 0)
		return r;
	if (list.nr > 0)
		qsort(list.names, list.nr, sizeof(*list.names), name_cmp);
	*ret = list;
	list = (struct strlist){ 0 };
	return 0;
}

int attr_list(int rootfd, const char *path, struct strlist *ret)
{
	return list_names(rootfd, path, false, ret);
}

int attr_list_dirs(int rootfd, const char *path, struct strlist *ret)
{
	return list_names(rootfd, path, true, ret);
}
