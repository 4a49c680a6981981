/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/log.c - one line to syslog: on success libvirt throws stderr away */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* journald cuts longer lines anyway */
#define LINE_MAX_BYTES 4096

/* syslog(3) would wait for ever on a log daemon that does not read */
static void send_line(int rootfd, const char *line, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/dev/log", rootfd);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return;
	(void)send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void log_line(int rootfd, int priority, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len < 0)
		return;
	len = snprintf(line, sizeof(line), "<%d>usher[%d]: %s", LOG_DAEMON | priority,
		       (int)getpid(), text);
	send_line(rootfd, line, (size_t)len);
}
