/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/files.c - side effects of libc: state files, groups of cgroupfs, new processes */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fake.h"

/*
 * How it works
 *
 * Each is counted and can fail like a write to the kernel. What happens outside the tree, or
 * before root_open(), is passed on as it is.
 */

#define CGROUP "sys/fs/cgroup/"
#define STATE  "run/usher/"

/* As many as come in registers, whatever the call has: behind them lies the caller's frame */
#define SYSCALL_ARGS 5

/* Where "name in dirfd" lies below the root. Return: 0, -ENOENT when it is outside */
static int path_at(int dirfd, const char *name, char *buf, size_t size)
{
	char dir[PATH_MAX];
	int r;

	if (name[0] == '/' || dirfd == AT_FDCWD)
		return -ENOENT;
	r = fake_path_of(dirfd, dir, sizeof(dir));
	if (r < 0)
		return r;
	if (strncmp(dir, ".fake", 5) == 0)
		return -ENOENT;
	return path_format(buf, size, "%s%s%s", dir, dir[0] ? "/" : "", name);
}

static int result(int r)
{
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

struct at {
	int dirfd, newdirfd;
	const char *name, *newname;
	int flags;
	mode_t mode;
	bool cgroup;
};

static int do_rename(const struct fake_effect *effect, const char *value)
{
	const struct at *at = effect->arg;

	(void)value;
	return __real_renameat(at->dirfd, at->name, at->newdirfd, at->newname) < 0 ? -errno : 0;
}

static int do_unlink(const struct fake_effect *effect, const char *value)
{
	const struct at *at = effect->arg;

	(void)value;
	if (at->cgroup && (at->flags & AT_REMOVEDIR))
		return cgroup_remove(effect->path);
	return __real_unlinkat(at->dirfd, at->name, at->flags) < 0 ? -errno : 0;
}

static int do_mkdir(const struct fake_effect *effect, const char *value)
{
	const struct at *at = effect->arg;

	(void)value;
	if (__real_mkdirat(at->dirfd, at->name, at->mode) < 0)
		return -errno;
	return at->cgroup ? cgroup_created(effect->path) : 0;
}

struct data {
	int fd;
	size_t written;
};

static int do_append(const struct fake_effect *effect, const char *value)
{
	struct data *data = effect->arg;
	ssize_t n = __real_write(data->fd, value, strlen(value));

	if (n < 0)
		return -errno;
	data->written = (size_t)n;
	return 0;
}

static int do_nothing(const struct fake_effect *effect, const char *value)
{
	(void)effect;
	(void)value;
	return 0;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_renameat(int olddirfd, const char *old, int newdirfd, const char *new);
int __wrap_unlinkat(int dirfd, const char *name, int flags);
int __wrap_mkdirat(int dirfd, const char *name, mode_t mode);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
long __wrap_syscall(long number, ...);
pid_t __wrap_fork(void);
int __wrap_ftruncate(int fd, off_t length);
int __real_ftruncate(int fd, off_t length);
int __wrap_pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned int flags);
int __real_pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned int flags);
int __wrap_posix_spawn(pid_t *pid, const char *program, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
int __real_posix_spawn(pid_t *pid, const char *program, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
long __real_syscall(long number, ...);

int __wrap_renameat(int olddirfd, const char *old, int newdirfd, const char *new)
{
	char path[PATH_MAX];
	struct at at = { .dirfd = olddirfd, .name = old, .newdirfd = newdirfd, .newname = new };
	const struct fake_effect effect = {
		.verb = "rename", .path = path, .new_value = old, .run = do_rename, .arg = &at
	};

	if (path_at(newdirfd, new, path, sizeof(path)) < 0)
		return __real_renameat(olddirfd, old, newdirfd, new);
	return result(fake_effect(&effect));
}

int __wrap_unlinkat(int dirfd, const char *name, int flags)
{
	char path[PATH_MAX];
	struct at at = { .dirfd = dirfd, .name = name, .flags = flags };
	const struct fake_effect effect = {
		.verb = "unlink", .path = path, .run = do_unlink, .arg = &at
	};

	if (path_at(dirfd, name, path, sizeof(path)) < 0)
		return __real_unlinkat(dirfd, name, flags);
	at.cgroup = strncmp(path, CGROUP, strlen(CGROUP)) == 0;
	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return result(fake_effect(&effect));
}

int __wrap_mkdirat(int dirfd, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	struct at at = { .dirfd = dirfd, .name = name, .mode = mode };
	const struct fake_effect effect = {
		.verb = "mkdir", .path = path, .run = do_mkdir, .arg = &at
	};

	if (path_at(dirfd, name, path, sizeof(path)) < 0)
		return __real_mkdirat(dirfd, name, mode);
	at.cgroup = strncmp(path, CGROUP, strlen(CGROUP)) == 0;
	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return result(fake_effect(&effect));
}

/* Text into a file of run/usher; pipes and terminals are none of it */
ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	struct data data = { .fd = fd };
	struct fake_effect effect = {
		.verb = "append", .path = path, .run = do_append, .arg = &data
	};
	int r;

	if (fake_path_of(fd, path, sizeof(path)) < 0 || strncmp(path, "run/", 4) != 0 ||
	    memchr(buf, '\0', len))
		return __real_write(fd, buf, len);
	text = strndup(buf, len);
	if (!text) {
		errno = ENOMEM;
		return -1;
	}
	effect.new_value = text;
	r = fake_effect(&effect);
	if (r == 0)
		return (ssize_t)len;
	/* A short write is no error for who called */
	return data.written ? (ssize_t)data.written : result(r);
}

struct creation {
	long args[SYSCALL_ARGS];
	long fd;
};

static int do_create(const struct fake_effect *effect, const char *value)
{
	struct creation *creation = effect->arg;
	const long *args = creation->args;

	(void)value;
	creation->fd = __real_syscall(SYS_openat2, args[0], args[1], args[2], args[3]);
	return creation->fd < 0 ? -errno : 0;
}

/* openat2(2). Return: 1 it is to make a file that is not there, 0 not, else -errno of a read fault */
static int look_at_open(const long *args, char *path, size_t size)
{
	/* NOLINTBEGIN(performance-no-int-to-ptr): syscall(2) carries pointers as long */
	const char *name = (const char *)args[1];
	const struct open_how *how = (const struct open_how *)args[2];
	/* NOLINTEND(performance-no-int-to-ptr) */

	if (path_at((int)args[0], name, path, size) < 0)
		return 0;
	if (how->flags & O_CREAT)
		return faccessat((int)args[0], name, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	/* The kernel's own files are read through lib/attr, where theirs strike */
	return strncmp(path, STATE, strlen(STATE)) == 0 ? fake_read_fault(path) : 0;
}

/* set_mempolicy(2): the first word of its mask is enough for the nodes of a tree */
static int set_mempolicy_nodes(const long *args)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	const unsigned long *mask = (const unsigned long *)args[1];

	return hugetlb_set_mempolicy(mask ? (unsigned int)*mask : 0);
}

long __wrap_syscall(long number, ...)
{
	struct creation creation = { .fd = -1 };
	char path[PATH_MAX];
	const struct fake_effect effect = {
		.verb = "create", .path = path, .run = do_create, .arg = &creation
	};
	long *args = creation.args;
	va_list list;
	int r;

	va_start(list, number);
	for (size_t i = 0; i < ARRAY_SIZE(creation.args); i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_set_mempolicy && fake_root() >= 0)
		return result(set_mempolicy_nodes(args));
	r = number == SYS_openat2 ? look_at_open(args, path, sizeof(path)) : 0;
	if (r < 0)
		return result(r);
	if (r == 0)
		return __real_syscall(number, args[0], args[1], args[2], args[3], args[4]);
	r = fake_effect(&effect);
	/* A lie about a descriptor cannot be told */
	if (r == 0 && creation.fd < 0)
		r = -EIO;
	return r < 0 ? result(r) : creation.fd;
}

static int do_truncate(const struct fake_effect *effect, const char *value)
{
	const struct data *data = effect->arg;

	(void)value;
	return __real_ftruncate(data->fd, (off_t)data->written) < 0 ? -errno : 0;
}

int __wrap_ftruncate(int fd, off_t length)
{
	char path[PATH_MAX];
	struct data data = { .fd = fd, .written = (size_t)length };
	const struct fake_effect effect = {
		.verb = "truncate", .path = path, .run = do_truncate, .arg = &data
	};

	if (fake_path_of(fd, path, sizeof(path)) < 0 || strncmp(path, STATE, strlen(STATE)) != 0)
		return __real_ftruncate(fd, length);
	return result(fake_effect(&effect));
}

struct signal {
	int pidfd, number;
	siginfo_t *info;
	unsigned int flags;
};

static int do_signal(const struct fake_effect *effect, const char *value)
{
	const struct signal *to = effect->arg;

	(void)value;
	return __real_pidfd_send_signal(to->pidfd, to->number, to->info, to->flags) < 0 ? -errno
											: 0;
}

/* To a process that is none of the sender's: what its end gives back is the host's */
int __wrap_pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned int flags)
{
	struct signal to = { .pidfd = pidfd, .number = number, .info = info, .flags = flags };
	const struct fake_effect effect = {
		.verb = "signal", .path = "", .run = do_signal, .arg = &to
	};

	return fake_root() < 0 ? __real_pidfd_send_signal(pidfd, number, info, flags)
			       : result(fake_effect(&effect));
}

pid_t __wrap_fork(void)
{
	const struct fake_effect effect = { .verb = "fork", .path = "", .run = do_nothing };
	int r = fake_root() < 0 ? 0 : fake_effect(&effect);

	return r < 0 ? result(r) : __real_fork();
}

static void join(char *const *words, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 1; words[i] && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i > 1 ? " " : "", words[i]);
}

int __wrap_posix_spawn(pid_t *pid, const char *program, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	char words[ATTR_MAX];
	const struct fake_effect effect = {
		.verb = "spawn", .path = program, .new_value = words, .run = do_nothing
	};
	int r;

	join(argv, words, sizeof(words));
	r = fake_root() < 0 ? 0 : fake_effect(&effect);
	return r < 0 ? -r : __real_posix_spawn(pid, program, actions, attr, argv, env);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
