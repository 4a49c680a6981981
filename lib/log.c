/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/log.c - one line to the journal or syslog: on success libvirt throws stderr away */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* journald cuts longer lines anyway */
#define LINE_MAX_BYTES 4096

/* syslog(3) would wait for ever on a log daemon that does not read. Return: was it taken */
static bool send_to(int rootfd, const char *socket_path, const char *data, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", rootfd,
		       socket_path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return false;
	return send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static void send_line(int rootfd, int priority, const char *text)
{
	char line[LINE_MAX_BYTES + 64];
	int len = snprintf(line, sizeof(line), "<%d>usher[%d]: %s", LOG_DAEMON | priority,
			   (int)getpid(), text);

	(void)send_to(rootfd, "dev/log", line, (size_t)len);
}

void log_line(int rootfd, int priority, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= 0)
		send_line(rootfd, priority, text);
}

/* A value ends at a newline, which none of ours may have; "" says as little as NULL */
static void put_field(FILE *to, const char *name, const char *value)
{
	if (value && *value && !strchr(value, '\n'))
		(void)fprintf(to, "%s=%s\n", name, value);
}

static bool send_entry(int rootfd, int priority, const struct log_about *about, const char *text)
{
	char entry[2 * LINE_MAX_BYTES];
	_cleanup_fclose_ FILE *to = fmemopen(entry, sizeof(entry), "w");

	if (!to)
		return false;
	(void)fprintf(to, "PRIORITY=%d\nSYSLOG_IDENTIFIER=usher\nSYSLOG_FACILITY=%d\n", priority,
		      LOG_FAC(LOG_DAEMON));
	put_field(to, "MESSAGE", text);
	put_field(to, "USHER_GUEST", about->guest);
	put_field(to, "USHER_UUID", about->uuid);
	put_field(to, "USHER_PHASE", about->phase);
	put_field(to, "USHER_STEP", about->step);
	put_field(to, "USHER_VERB", about->verb);
	put_field(to, "USHER_RESULT", about->result);
	if (about->ms >= 0)
		(void)fprintf(to, "USHER_MSEC=%d\n", about->ms);
	if (fflush(to) != 0)
		return false;
	return send_to(rootfd, "run/systemd/journal/socket", entry, (size_t)ftell(to));
}

void log_event(int rootfd, int priority, const struct log_about *about, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= 0 && !send_entry(rootfd, priority, about, text))
		send_line(rootfd, priority, text);
}
