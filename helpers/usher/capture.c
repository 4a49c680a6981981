/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/capture.c - run one of our programs and take what it says, whole */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "../../lib/watch.h"

/* It writes into memory, not into a pipe: nobody has to read while it runs */

#define CHILD_CANNOT_EXEC 127
/* A process that is killed ends at once, or hangs in the kernel */
#define KILLED_MS 1000

/* What a child does */
struct task {
	int (*call)(const void *arg);
	const void *arg;
	int stdinfd;
};

void capture_free(struct capture *capture)
{
	free(capture->out);
	free(capture->err);
	*capture = (struct capture){ 0 };
}

int capture_memfd(const char *text, size_t len)
{
	_cleanup_close_ int fd = memfd_create("usher", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* As much as there is, NUL-terminated */
static int read_back(int fd, char **ret, size_t *ret_len)
{
	off_t size = lseek(fd, 0, SEEK_END);
	_cleanup_free_ char *text = size < 0 ? NULL : malloc((size_t)size + 1);
	ssize_t n;

	if (size < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, (size_t)size, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

/* @arg: the argv. Return: only when it cannot be run */
static int run_program(const void *arg)
{
	const char *const *argv = arg;
	static char locale[] = "LC_ALL=C";
	char *const env[] = { locale, NULL };

	(void)signal(SIGPIPE, SIG_DFL);
	(void)execve(argv[0], (char *const *)(const void *)argv, env);
	dprintf(STDERR_FILENO, "usher: cannot run %s: %s: reinstall usher\n", argv[0],
		strerror(errno));
	return CHILD_CANNOT_EXEC;
}

__attribute__((noreturn)) static void child(const struct task *task, int out, int err)
{
	int in = task->stdinfd, status = CHILD_CANNOT_EXEC;

	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0)
		_exit(status);
	status = task->call(task->arg);
	_exit(fflush(stdout) == 0 ? status : CHILD_CANNOT_EXEC);
}

static int wait_for(pid_t pid, int timeout_ms, int *ret_status)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	int r = pidfd < 0 ? -errno : watch_wait(pidfd, timeout_ms), status;

	if (r <= 0) {
		(void)kill(pid, SIGKILL);
		if (watch_wait(pidfd, KILLED_MS) > 0)
			(void)waitpid(pid, NULL, 0);
		return r < 0 ? r : -ETIMEDOUT;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

static int run(const struct task *task, int timeout_ms, struct capture *ret)
{
	_cleanup_close_ int out = memfd_create("usher-out", MFD_CLOEXEC);
	_cleanup_close_ int err = memfd_create("usher-err", MFD_CLOEXEC);
	struct capture capture = { 0 };
	size_t err_len;
	pid_t pid;
	int r;

	if (out < 0 || err < 0)
		return -errno;
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(task, out, err);
	r = wait_for(pid, timeout_ms, &capture.status);
	if (r == 0)
		r = read_back(out, &capture.out, &capture.out_len);
	if (r == 0)
		r = read_back(err, &capture.err, &err_len);
	if (r < 0)
		capture_free(&capture);
	else
		*ret = capture;
	return r;
}

int capture_run(const char *const *argv, int stdinfd, int timeout_ms, struct capture *ret)
{
	return run(&(struct task){ .call = run_program, .arg = argv, .stdinfd = stdinfd },
		   timeout_ms, ret);
}

int capture_call(int (*call)(const void *arg), const void *arg, int timeout_ms, struct capture *ret)
{
	return run(&(struct task){ .call = call, .arg = arg, .stdinfd = -1 }, timeout_ms, ret);
}
