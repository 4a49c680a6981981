/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/capture.c - run one of our programs and take what it says, whole */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../lib/process.h"
#include "../../lib/watch.h"

/* It writes into memory, not into a pipe: nobody has to read while it runs */

#define CHILD_CANNOT_EXEC 127

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
static int read_back(int fd, char **ret)
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
	return 0;
}

__attribute__((noreturn)) static void child(const char *const *argv, int in, int out, int err)
{
	static char locale[] = "LC_ALL=C";
	char *const env[] = { locale, NULL };

	(void)signal(SIGPIPE, SIG_DFL);
	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0)
		_exit(CHILD_CANNOT_EXEC);
	(void)execve(argv[0], (char *const *)(const void *)argv, env);
	dprintf(STDERR_FILENO, "usher: cannot run %s: %s: reinstall usher\n", argv[0],
		strerror(errno));
	_exit(CHILD_CANNOT_EXEC);
}

static int wait_for(pid_t pid, int timeout_ms, int *ret_status)
{
	_cleanup_close_ int pidfd = -1;
	struct process self = { .pid = pid };
	_cleanup_close_ int rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool late = false;
	int status;

	if (process_identify(rootfd, pid, &self) == 0)
		pidfd = watch_open(rootfd, &self);
	if (pidfd >= 0 && watch_wait(pidfd, timeout_ms) == 0) {
		late = true;
		(void)kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return late ? -ETIMEDOUT : 0;
}

int capture_run(const char *const *argv, int stdinfd, int timeout_ms, struct capture *ret)
{
	_cleanup_close_ int out = memfd_create("usher-out", MFD_CLOEXEC);
	_cleanup_close_ int err = memfd_create("usher-err", MFD_CLOEXEC);
	struct capture capture = { 0 };
	pid_t pid;
	int r;

	if (out < 0 || err < 0)
		return -errno;
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(argv, stdinfd, out, err);
	r = wait_for(pid, timeout_ms, &capture.status);
	if (r == 0)
		r = read_back(out, &capture.out);
	if (r == 0)
		r = read_back(err, &capture.err);
	if (r < 0)
		capture_free(&capture);
	else
		*ret = capture;
	return r;
}
