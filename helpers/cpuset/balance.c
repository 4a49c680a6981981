/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/balance.c - tell irqbalance which CPUs to leave alone */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "irq.h"

/*
 * Its socket is run/irqbalance/irqbalancePID.sock. One command a connection, by root:
 *
 *	setup			answers "SLEEP N IRQ ... BANNED MASK"
 *	settings cpus LIST	from its next look on, in place of its environment's list
 *	settings cpus NULL	its environment's again
 *
 * ABI: sock_handle() and setup_banned_cpus() in irqbalance 1.9.4
 */

#define DIR		  "run/irqbalance"
#define PREFIX		  "irqbalance"
#define SUFFIX		  ".sock"
#define ANSWER_TIMEOUT_MS 300

/* Return: the pid > 0, 0 for another name */
static pid_t socket_pid(const char *name)
{
	char digits[16];
	unsigned int pid;
	size_t len = strlen(name);

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || len <= strlen(PREFIX SUFFIX) ||
	    strcmp(name + len - strlen(SUFFIX), SUFFIX) != 0 ||
	    path_format(digits, sizeof(digits), "%.*s", (int)(len - strlen(PREFIX SUFFIX)),
			name + strlen(PREFIX)) < 0 ||
	    parse_uint(digits, 10, INT_MAX, &pid) < 0)
		return 0;
	return (pid_t)pid;
}

/*
 * A socket that was left behind has no process.
 *
 * Return: the pid, 0 when it does not run, else -errno with a reason
 */
static pid_t find(struct cpuset_job *job)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(job->ctx->rootfd, DIR, &names);

	if (r == -ENOENT)
		return 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		pid_t pid = socket_pid(names.names[i]);
		char comm[64];

		r = pid > 0 ? process_name(job->ctx->rootfd, pid, comm, sizeof(comm)) : -ESRCH;
		if (r == 0 && strcmp(comm, "irqbalance") == 0)
			return pid;
		if (r == -ESRCH)
			r = 0;
	}
	return r < 0 ? job_why(job, r, "cannot find out in /" DIR " whether irqbalance runs: %s",
			       strerror(-r))
		     : 0;
}

/* Return: a socket, else -errno */
static int call(const struct cpuset_job *job, pid_t pid)
{
	const struct timeval patience = { .tv_usec = ANSWER_TIMEOUT_MS * 1000L };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int dirfd = attr_open(job->ctx->rootfd, DIR, O_PATH | O_DIRECTORY);
	_cleanup_close_ int fd = -1;
	int r;

	if (dirfd < 0)
		return dirfd;
	/* By the directory's descriptor: below the root, and short enough for sun_path */
	r = path_format(addr.sun_path, sizeof(addr.sun_path),
			"/proc/self/fd/%d/" PREFIX "%d" SUFFIX, dirfd, (int)pid);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Return: 0, else -errno */
static int send_command(int fd, const char *command)
{
	ssize_t n = send(fd, command, strlen(command), MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return (size_t)n == strlen(command) ? 0 : -EIO;
}

/* All it has to say. Return: 0, -EBADMSG, else -errno */
static int receive(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = recv(fd, buf + len, size - 1 - len, 0)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return len > 0 && strlen(buf) == len ? 0 : -EBADMSG;
}

static int get_banned(const struct cpuset_job *job, pid_t pid, struct cpulist *ret)
{
	_cleanup_close_ int fd = call(job, pid);
	char answer[16384], *banned;
	int r = fd < 0 ? fd : send_command(fd, "setup");

	if (r == 0)
		r = receive(fd, answer, sizeof(answer));
	if (r < 0)
		return r;
	banned = strstr(answer, "BANNED ");
	return banned ? job_parse_mask(banned + strlen("BANNED "), ret) : -EBADMSG;
}

int balance_note(struct cpuset_job *job, struct irqs *irqs)
{
	struct cpulist banned;
	pid_t pid = find(job);
	int r;

	if (pid < 0)
		return (int)pid;
	/* The one that was told already: what it says now is what it was told */
	if (pid == 0 || pid == irqs->balancer) {
		irqs->balancer = pid;
		return pid > 0;
	}
	r = get_banned(job, pid, &banned);
	irqs->balancer = r < 0 ? 0 : pid;
	if (r < 0)
		return job_why(job, r,
			       "irqbalance (pid %d) does not answer: %s: stop it, or set "
			       "IRQBALANCE_BANNED_CPULIST in /etc/default/irqbalance",
			       (int)pid, strerror(-r));
	irqs->banned = banned;
	return 1;
}

int balance_verify(struct cpuset_job *job, const struct irqs *irqs)
{
	pid_t pid = find(job);

	if (pid <= 0 || pid == irqs->balancer)
		return (int)(pid < 0 ? pid : 0);
	return job_why(job, -EINVAL,
		       "irqbalance (pid %d) has not been told to leave its CPUs alone", (int)pid);
}

int balance_tell(struct cpuset_job *job, const struct irqs *irqs)
{
	_cleanup_close_ int fd = -1;
	struct cpulist banned = irqs->held[0];
	char command[ATTR_MAX + 32], list[ATTR_MAX];
	pid_t pid;
	int r;

	pid = find(job);
	/* It has ended, and with it what it was told */
	if (pid != irqs->balancer)
		return (int)(pid < 0 ? pid : 0);
	cpulist_union(&banned, &irqs->banned);
	r = cpulist_format(&banned, list, sizeof(list));
	if (r == 0)
		r = path_format(command, sizeof(command), "settings cpus %s",
				*list ? list : "NULL");
	if (r == 0 && helper_would(job->ctx, "tell irqbalance: %s", command))
		return 0;
	fd = r < 0 ? r : call(job, irqs->balancer);
	if (r == 0)
		r = fd < 0 ? fd : send_command(fd, command);
	return r < 0 ? job_why(job, r, "irqbalance (pid %d) cannot be told '%s': %s",
			       (int)irqs->balancer, command, strerror(-r))
		     : 0;
}
