/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/given.c - a copy of what libvirt gives the hook on stdin, for scripts that read it too */
#include "given.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/deadline.h"
#include "../lib/scripts.h"
#include "domain.h"

/* libvirt has written it before anybody asks, or does so at once */
#define GIVEN_MS 500

static int copy; /* 0: nothing was read yet, -1: there is none */

void given_keep(const char *buf, size_t len)
{
	if (copy == 0)
		copy = memfd_create("usher-given", MFD_CLOEXEC);
	if (copy > 0 && write(copy, buf, len) != (ssize_t)len) {
		(void)close(copy);
		copy = -1;
	}
}

static ssize_t read_some(char *buf, size_t size, long long deadline)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	int n = poll(&fd, 1, deadline_left(deadline));

	if (n < 0 && errno == EINTR)
		return read_some(buf, size, deadline);
	return n > 0 ? read(STDIN_FILENO, buf, size) : 0;
}

int given_take(void)
{
	long long deadline = deadline_in(GIVEN_MS);
	size_t total = 0;
	char buf[16384];
	ssize_t n;

	if (copy == 0)
		while (total < DOMAIN_XML_MAX && (n = read_some(buf, sizeof(buf), deadline)) > 0) {
			given_keep(buf, (size_t)n);
			total += (size_t)n;
		}
	if (copy == 0)
		copy = -1;
	return copy > 0 ? copy : 0;
}

int given_scripts(const struct event *event, const struct host *host, const struct claim *claim,
		  char **ret_why)
{
	*ret_why = NULL;
	if (!scripts_wanted(claim))
		return 0;
	return scripts_run(host, claim, event->op_name, event->extra, given_take(), ret_why);
}

void given_scripts_after(const struct event *event, const struct host *host,
			 const struct claim *claim)
{
	if (scripts_wanted(claim))
		scripts_after(host, claim, event->op_name, event->extra, given_take());
}
