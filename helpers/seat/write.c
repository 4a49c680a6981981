/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/write.c - the process that writes to the kernel, and can be left behind in it */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/spawn.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "seat.h"

#define LEFT_PREFIX "seat.left."

/* A kernel write that takes longer is left behind */
#define WRITE_MS 5000
/* Also when there is no time: one that returns at once has hung nowhere */
#define WRITE_MIN_MS 100

/* A mark: "PID START SINCE PATH\n" */
struct left {
	struct process process;
	long long since_ms;
	char path[PATH_MAX];
};

static int left_parse(const char *line, struct left *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned long long since;
	unsigned int pid;
	int r = text_split(line, " \n", &words);

	if (r < 0)
		return r;
	if (words.nr != 4 || parse_uint(words.names[0], 10, INT_MAX, &pid) < 0 ||
	    parse_ull(words.names[1], 10, ULLONG_MAX, &ret->process.start_time) < 0 ||
	    parse_ull(words.names[2], 10, LLONG_MAX, &since) < 0 ||
	    path_format(ret->path, sizeof(ret->path), "%s", words.names[3]) < 0 ||
	    !strchr(ret->path, '/'))
		return -EBADMSG;
	ret->process.pid = (pid_t)pid;
	ret->since_ms = (long long)since;
	return 0;
}

/* Return: 1 it lives, 0 it does not, or there is no such mark; else -errno */
static int left_alive(const struct helper_ctx *ctx, const char *file, struct left *ret)
{
	_cleanup_free_ char *line = NULL;
	size_t len;
	int r = state_read(ctx->dirfd, file, &line, &len);

	if (r == 0)
		r = left_parse(line, ret);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return process_alive(ctx->rootfd, &ret->process);
}

/* sys/class/vtconsole/vtcon1/bind: what one write left and another would change */
static bool same_device(const char *a, const char *b)
{
	size_t len = (size_t)(strrchr(a, '/') - a);

	return strncmp(a, b, len + 1) == 0 && !strchr(b + len + 1, '/');
}

static void say_left(const struct helper_ctx *ctx, const struct left *left)
{
	helper_say(ctx,
		   "the kernel has not returned from a write to /%s for %lld s (process %d): when "
		   "it does, that process runs usher recover; if it never does, only a reboot of "
		   "the host brings its screen back",
		   left->path, (now_ms() - left->since_ms) / 1000, (int)left->process.pid);
}

/* Those at the device of @path, or any for NULL. Return: how many, each said */
static size_t say_all_left(const struct helper_ctx *ctx, const char *path)
{
	_cleanup_strlist_ struct strlist files = { 0 };
	size_t nr = 0;

	if (attr_list(ctx->dirfd, ".", &files) < 0)
		return 0;
	for (size_t i = 0; i < files.nr; i++) {
		struct left left = { 0 };
		int r;

		if (strncmp(files.names[i], LEFT_PREFIX, strlen(LEFT_PREFIX)) != 0)
			continue;
		r = left_alive(ctx, files.names[i], &left);
		if (r > 0 && (!path || same_device(left.path, path))) {
			say_left(ctx, &left);
			nr++;
		}
		/* A check changes nothing */
		if (r == 0 && path)
			(void)state_remove(ctx->dirfd, files.names[i]);
	}
	return nr;
}

size_t writes_left(const struct helper_ctx *ctx)
{
	return say_all_left(ctx, NULL);
}

static void mark_file(pid_t pid, char buf[static NAME_MAX + 1])
{
	(void)snprintf(buf, NAME_MAX + 1, LEFT_PREFIX "%d", (int)pid);
}

/* Return: 0, -ESRCH it has just ended, else -errno */
static int mark_left(const struct helper_ctx *ctx, pid_t pid, const char *path)
{
	char file[NAME_MAX + 1], line[PATH_MAX + 80];
	struct process process;
	int r = process_identify(ctx->rootfd, pid, &process);

	if (r < 0)
		return r;
	mark_file(pid, file);
	r = snprintf(line, sizeof(line), "%d %llu %lld %s\n", (int)pid, process.start_time,
		     now_ms(), path);
	return state_write(ctx->dirfd, file, line, (size_t)r);
}

/* Until the child has ended. Return: its exit code, -ETIMEDOUT */
static int child_wait(pid_t pid, long long deadline)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (deadline_left(deadline) == 0)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 2);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* The child's whole life */
__attribute__((noreturn)) static void child_write(const struct helper_ctx *ctx, const char *path,
						  const char *value)
{
	int r = attr_write(ctx->rootfd, path, value);
	char file[NAME_MAX + 1];

	mark_file(getpid(), file);
	/* Without its mark, or recover would wait for us */
	if (faccessat(ctx->dirfd, file, F_OK, 0) == 0 && state_remove(ctx->dirfd, file) == 0)
		helper_recover(ctx);
	_exit(-r);
}

int kernel_write(const struct helper_ctx *ctx, const char *path, const char *value)
{
	const int keep[] = { ctx->rootfd, ctx->dirfd };
	int ms = deadline_left(ctx->deadline), r;
	pid_t pid;

	if (helper_would(ctx, "write /%s %s", path, value))
		return 0;
	if (say_all_left(ctx, path) > 0)
		return -EINPROGRESS;
	pid = spawn_detached(keep, ARRAY_SIZE(keep));
	if (pid < 0)
		return (int)pid;
	if (pid == 0)
		child_write(ctx, path, value);
	ms = ms < WRITE_MIN_MS ? WRITE_MIN_MS : ms < WRITE_MS ? ms : WRITE_MS;
	r = child_wait(pid, deadline_in(ms));
	if (r == -ETIMEDOUT && mark_left(ctx, pid, path) == -ESRCH)
		r = child_wait(pid, deadline_in(0));
	return r > 0 ? -r : r;
}
