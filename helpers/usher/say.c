/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/say.c - what all commands say and open */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/text.h"
#include "usher.h"

void usher_say(const char *fmt, ...)
{
	_cleanup_free_ char *line = NULL, *printable = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&line, fmt, args) < 0)
		line = NULL;
	va_end(args);
	if (line && text_printable(line, &printable) == 0)
		(void)fprintf(stderr, "usher: %s\n", printable);
	else
		(void)fputs("usher: there is no memory left on the host to say why: see free -m\n",
			    stderr);
}

/* A few at a time, for one message each */
#define TEXT_SIZE 1024

static char *next_text(void)
{
	static char texts[4][TEXT_SIZE];
	static unsigned int at;

	at = (at + 1) % 4;
	return texts[at];
}

const char *shown(const char *text)
{
	char *buf = next_text();

	text_show(text, buf, TEXT_SIZE);
	return buf;
}

static bool is_plain(const char *name)
{
	return *name && *name != '-' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "-_.,:+@%/") == strlen(name);
}

/* In single quotes all but a single quote is itself */
const char *quoted(const char *name)
{
	char printable[TEXT_SIZE], *buf, *to;

	if (is_plain(name))
		return shown(name);
	text_show(name, printable, sizeof(printable));
	buf = to = next_text();
	if (*name == '-')
		to = stpcpy(to, "-- ");
	*to++ = '\'';
	for (const char *p = printable; *p && to < buf + TEXT_SIZE - 8; p++) {
		if (*p == '\'')
			to = stpcpy(to, "'\\'");
		*to++ = *p;
	}
	(void)stpcpy(to, "'");
	return buf;
}

int usher_root(const struct request *request)
{
	int fd = root_open(request->root);

	if (fd < 0)
		usher_say("cannot open the root directory %s: %s", request->root, strerror(-fd));
	return fd;
}
