/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/daemon.c - a process that calls the hook as libvirtd does, and can be killed in it */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/cleanup.h"
#include "../../lib/deadline.h"
#include "../fake/fake.h"
#include "sim.h"

/*
 * How it works
 *
 * The daemon is a process of its own, the hook's parent. It is asked through a socket and answers
 * when the hook's stdout and stderr have ended and it was reaped, as virCommandRun() does. When it
 * is killed the hook goes on alone (KillMode=process), its pipes without a reader.
 */

/* No hook of ours may take longer, whatever goes wrong; libvirt itself would wait for ever */
#define CALL_MS 120000

struct request {
	size_t id;
	char guest, op[16], sub[8], extra[24];
};

struct answer {
	size_t id;
	int status, elapsed_ms;
};

/* What a thread of the daemon works on */
struct work {
	const struct sim *sim;
	int fd;
	struct request request;
};

static void exec_hook(const struct work *work, const int *out)
{
	const struct request *request = &work->request;
	char hook[PATH_MAX], xml[PATH_MAX], name[] = { request->guest, '\0' };
	static char locale[] = "LC_ALL=C", path[] = "PATH=/usr/sbin:/usr/bin";
	char *const env[] = { locale, path, NULL };
	const char *const argv[] = { hook,	  "--root",	   work->sim->root,
				     "--helpers", work->sim->fake, name,
				     request->op, request->sub,	   request->extra,
				     NULL };
	int in;

	tree_path(hook, "%s/usher-hook", work->sim->fake);
	tree_path(xml, "%s/.fake/xml/%c", work->sim->root, request->guest);
	in = open(xml, O_RDONLY);
	if (in < 0 || dup2(in, 0) < 0 || dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0)
		_exit(126);
	(void)close_range(3, ~0U, 0);
	(void)execve(hook, (char *const *)(const void *)argv, env);
	_exit(127);
}

/* What it says goes to the run's own files */
static void keep_output(const struct sim *sim, int fd)
{
	_cleanup_close_ int to = -1;
	char path[PATH_MAX], buf[4096];
	ssize_t n;

	tree_path(path, "%s/stderr", sim->dir);
	to = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		(void)!__real_write(to, buf, (size_t)n);
}

static void *serve(void *arg)
{
	_cleanup_free_ struct work *work = arg;
	struct answer answer = { .id = work->request.id, .status = -1 };
	long long start = now_ms();
	int out[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		_exit(1);
	pid = __real_fork();
	if (pid == 0)
		exec_hook(work, out);
	(void)close(out[1]);
	keep_output(work->sim, out[0]);
	(void)close(out[0]);
	(void)waitpid(pid, &answer.status, 0);
	answer.elapsed_ms = (int)(now_ms() - start);
	(void)send(work->fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	return NULL;
}

static _Noreturn void be_daemon(const struct sim *sim, int fd)
{
	struct request request;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
		struct work *work = malloc(sizeof(*work));
		pthread_t thread;

		if (!work)
			_exit(1);
		*work = (struct work){ .sim = sim, .fd = fd, .request = request };
		if (pthread_create(&thread, NULL, serve, work) != 0)
			_exit(1);
		(void)pthread_detach(thread);
	}
	_exit(0);
}

int daemon_start(struct sim *sim)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	sim->daemon.pid = __real_fork();
	if (sim->daemon.pid == 0) {
		(void)close(fds[0]);
		be_daemon(sim, fds[1]);
	}
	(void)close(fds[1]);
	sim->daemon.fd = fds[0];
	return tree_put_num("run/libvirtd.pid", (unsigned long long)sim->daemon.pid);
}

static void reap(struct sim *sim, int flags)
{
	if (waitpid(sim->daemon.pid, NULL, flags) != sim->daemon.pid)
		return;
	(void)close(sim->daemon.fd);
	sim->daemon = (struct daemon){ .fd = -1 };
}

void daemon_kill(struct sim *sim)
{
	if (!sim->daemon.pid)
		return;
	(void)kill(sim->daemon.pid, SIGKILL);
	reap(sim, 0);
}

bool daemon_alive(struct sim *sim)
{
	if (sim->daemon.pid)
		reap(sim, WNOHANG);
	return sim->daemon.pid != 0;
}

/* Return: false when the daemon is dead */
static bool take_answer(struct sim *sim, struct hook_call *calls, long long deadline)
{
	struct pollfd fd = { .fd = sim->daemon.fd, .events = POLLIN };
	struct answer answer;

	if (poll(&fd, 1, deadline_left(deadline)) <= 0) {
		(void)fprintf(sim->report, "a hook did not return in %d ms\n", CALL_MS);
		sim->late = true;
		daemon_kill(sim);
		return false;
	}
	if (recv(sim->daemon.fd, &answer, sizeof(answer), 0) != (ssize_t)sizeof(answer)) {
		reap(sim, 0);
		return false;
	}
	calls[answer.id].status = answer.status;
	calls[answer.id].elapsed_ms = answer.elapsed_ms;
	return true;
}

void daemon_call(struct sim *sim, struct hook_call *calls, size_t nr)
{
	long long deadline = deadline_in(CALL_MS);

	for (size_t i = 0; i < nr; i++) {
		struct request request = { .id = i, .guest = calls[i].guest };

		calls[i].status = -1;
		tree_path(request.op, "%s", calls[i].op);
		tree_path(request.sub, "%s", calls[i].sub);
		tree_path(request.extra, "%s", calls[i].extra);
		(void)send(sim->daemon.fd, &request, sizeof(request), MSG_NOSIGNAL);
	}
	for (size_t i = 0; i < nr; i++)
		if (!take_answer(sim, calls, deadline))
			return;
}

int program_run(const struct sim *sim, const char *const *argv)
{
	char path[PATH_MAX], program[PATH_MAX];
	int status = -1, fd;
	pid_t pid;

	tree_path(path, "%s/stderr", sim->dir);
	tree_path(program, "%s/%s", sim->fake, argv[0]);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid = __real_fork();
	if (pid == 0) {
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)close_range(3, ~0U, 0);
		(void)execv(program, (char *const *)(const void *)argv);
		_exit(127);
	}
	(void)close(fd);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status;
}
