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
}

const char *shown(const char *text)
{
	static char texts[4][512];
	static unsigned int at;
	_cleanup_free_ char *printable = NULL;

	at = (at + 1) % 4;
	if (text_printable(text, &printable) < 0)
		return "?";
	(void)snprintf(texts[at], sizeof(texts[at]), "%s", printable);
	return texts[at];
}

int usher_root(const struct request *request)
{
	int fd = root_open(request->root);

	if (fd < 0)
		usher_say("cannot open the root directory %s: %s", request->root, strerror(-fd));
	return fd;
}
