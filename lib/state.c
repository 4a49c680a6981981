/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/state.c - files below /run/usher: atomic, root's alone, never through a symlink */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "attr.h"
#include "deadline.h"
#include "openat.h"
#include "units.h"

#define STATE_DIR     "run/usher"
#define RESOLVE_STATE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

/* While waiting for a lock: how often the wait is broken off to look at the deadline */
#define LOCK_TICK_US 10000

/* Only a file or directory of ours that nobody else may write is believed */
static int state_check(int fd, mode_t type)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != type || st.st_uid != geteuid() ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return 0;
}

const char *state_cure(int error, const char *usual)
{
	switch (-error) {
	case EPERM:
	case ELOOP:
	case ENOTDIR:
	case EISDIR:
	case EACCES:
		return "it must be a plain file in a directory, both root's, that nobody else may "
		       "write: find out who has changed it, then reboot the host";
	case EBADMSG:
		return "install the usher that wrote it, or reboot the host";
	default:
		return usual;
	}
}

static int dir_make(int dirfd, const char *name)
{
	if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* "run" may be a symlink inside a recorded tree, run/usher never */
static int run_open(int rootfd, bool create)
{
	int r = attr_open(rootfd, "run", O_RDONLY | O_DIRECTORY);

	if (r != -ENOENT || !create)
		return r;
	if (mkdirat(rootfd, "run", 0755) < 0 && errno != EEXIST)
		return -errno;
	return attr_open(rootfd, "run", O_RDONLY | O_DIRECTORY);
}

int state_dir(int statefd, const char *name, bool create)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (create) {
		r = dir_make(statefd, name);
		if (r < 0)
			return r;
	}
	fd = openat_resolve(statefd, name, O_RDONLY | O_DIRECTORY, 0, RESOLVE_STATE);
	if (fd < 0)
		return fd;
	r = state_check(fd, S_IFDIR);
	return r < 0 ? r : TAKE_FD(fd);
}

int state_open(int rootfd, bool create)
{
	_cleanup_close_ int run = run_open(rootfd, create);

	if (run < 0)
		return run;
	return state_dir(run, "usher", create);
}

static int read_whole(int fd, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int state_read(int dirfd, const char *name, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t len = 0;
	int r;

	fd = openat_resolve(dirfd, name, O_RDONLY | O_NONBLOCK, 0, RESOLVE_STATE);
	if (fd < 0)
		return fd;
	r = state_check(fd, S_IFREG);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > STATE_FILE_MAX)
		return -E2BIG;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	r = read_whole(fd, buf, (size_t)st.st_size, &len);
	if (r < 0)
		return r;
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}

static int write_whole(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ".NAME.PID" with nobody of that pid: state_write() was killed over it. @name: NULL for any. */
static bool is_abandoned(const char *entry, const char *name)
{
	const char *dot = strrchr(entry, '.');
	unsigned int pid;

	if (entry[0] != '.' || dot == entry)
		return false;
	if (name && (strlen(name) != (size_t)(dot - entry - 1) ||
		     strncmp(entry + 1, name, strlen(name)) != 0))
		return false;
	return parse_uint(dot + 1, 10, INT_MAX, &pid) == 0 && pid > 0 && kill((pid_t)pid, 0) < 0 &&
	       errno == ESRCH;
}

/* A pid that is somebody else's by now keeps its file until the next look */
static void sweep(int dirfd, const char *name)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (attr_list(dirfd, ".", &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++)
		if (is_abandoned(names.names[i], name))
			(void)unlinkat(dirfd, names.names[i], 0);
}

void state_sweep(int dirfd)
{
	sweep(dirfd, NULL);
}

/* Of our own: what somebody has put there, or a writer of the same pid has left, makes room */
static int new_file(int dirfd, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL;
	int fd = openat_resolve(dirfd, name, flags, 0600, RESOLVE_STATE);

	if (fd != -EEXIST && fd != -ELOOP)
		return fd;
	if (unlinkat(dirfd, name, 0) < 0)
		return -errno;
	return openat_resolve(dirfd, name, flags, 0600, RESOLVE_STATE);
}

int state_write(int dirfd, const char *name, const char *data, size_t len)
{
	_cleanup_close_ int fd = -1;
	char tmp[NAME_MAX + 1];
	int r;

	/* The pid keeps two writers apart */
	sweep(dirfd, name);
	r = path_format(tmp, sizeof(tmp), ".%s.%d", name, (int)getpid());
	if (r < 0)
		return r;
	fd = new_file(dirfd, tmp);
	if (fd < 0)
		return fd;
	r = write_whole(fd, data, len);
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0);
	return r;
}

int state_append(int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	fd = openat_resolve(dirfd, name, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, 0600,
			    RESOLVE_STATE);
	if (fd < 0)
		return fd;
	r = state_check(fd, S_IFREG);
	if (r < 0)
		return r;
	/* What is written is that other file's, too; a lock that has just gone has no name */
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_nlink > 1 ? -EPERM : TAKE_FD(fd);
}

int state_remove(int dirfd, const char *name)
{
	sweep(dirfd, name);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int state_remove_dir(int statefd, const char *name)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	_cleanup_close_ int fd = state_dir(statefd, name, false);
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = attr_list(fd, ".", &names);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.nr; i++)
		if (unlinkat(fd, names.names[i], 0) < 0 && errno != ENOENT)
			return errno == EISDIR ? -ENOTEMPTY : -errno;
	if (unlinkat(statefd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static void lock_tick(int sig)
{
	(void)sig;
}

/*
 * flock(2) with a deadline: a timer that keeps firing breaks the wait off. (Once would not do: it
 * could fire before flock() sleeps.)
 */
static int flock_until(int fd, int how, long long deadline)
{
	const struct itimerval tick = { .it_interval.tv_usec = LOCK_TICK_US,
					.it_value.tv_usec = LOCK_TICK_US };
	struct sigaction act = { .sa_handler = lock_tick }, old_act;
	struct itimerval old_timer;
	int r = 0;

	if (flock(fd, how | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	if (deadline_left(deadline) == 0)
		return -ETIMEDOUT;
	(void)sigaction(SIGALRM, &act, &old_act);
	(void)setitimer(ITIMER_REAL, &tick, &old_timer);
	while (flock(fd, how) < 0) {
		r = errno == EINTR ? 0 : -errno;
		if (r == 0 && deadline_left(deadline) == 0)
			r = -ETIMEDOUT;
		if (r < 0)
			break;
	}
	(void)setitimer(ITIMER_REAL, &old_timer, NULL);
	(void)sigaction(SIGALRM, &old_act, NULL);
	return r;
}

/* Return: 1 when @name is still the file we hold open */
static int still_linked(int dirfd, const char *name, int fd)
{
	struct stat held, now;

	if (fstat(fd, &held) < 0)
		return -errno;
	if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return held.st_ino == now.st_ino && held.st_dev == now.st_dev;
}

static int lock_file(int dirfd, const char *name, int how, int timeout_ms)
{
	long long deadline = deadline_in(timeout_ms);

	for (;;) {
		_cleanup_close_ int fd = state_append(dirfd, name);
		int r;

		if (fd < 0)
			return fd;
		r = flock_until(fd, how, deadline);
		if (r < 0)
			return r;
		r = still_linked(dirfd, name, fd);
		if (r < 0)
			return r;
		if (r > 0)
			return TAKE_FD(fd);
	}
}

int state_lock(int dirfd, const char *name, int timeout_ms)
{
	return lock_file(dirfd, name, LOCK_EX, timeout_ms);
}

void state_unlock(int *lock)
{
	if (*lock >= 0)
		(void)flock(*lock, LOCK_UN);
	cleanup_close(lock);
	*lock = -1;
}

int state_lock_shared(int dirfd, const char *name, int timeout_ms)
{
	return lock_file(dirfd, name, LOCK_SH, timeout_ms);
}
