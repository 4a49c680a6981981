/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/missing.c - what a listing could not find out, and why */
#include "missing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "usher.h"

bool missing_add(struct missing *missing, int error, const char *fmt, ...)
{
	va_list args;

	if (error >= 0 || error == -ENOENT || error == -ENODEV || error == -ENXIO)
		return false;
	if (missing->nr++ > 0)
		return true;
	missing->error = error;
	va_start(args, fmt);
	(void)vsnprintf(missing->what, sizeof(missing->what), fmt, args);
	va_end(args);
	return true;
}

void missing_join(struct missing *missing, const struct missing *more)
{
	if (more->nr == 0)
		return;
	(void)missing_add(missing, more->error, "%s", more->what);
	missing->nr += more->nr - 1;
}

bool missing_say(const struct missing *missing)
{
	const char *cure = missing->error == -ENOMEM ? "see free -m"
			   : missing->error == -EBADMSG
				   ? "install the usher that wrote it, or reboot the host"
				   : "see dmesg";
	char more[32] = "";

	if (missing->nr == 0)
		return false;
	if (missing->nr > 1)
		(void)snprintf(more, sizeof(more), " (and %u more)", missing->nr - 1);
	usher_say("not all is shown: cannot find out %s%s: %s: %s, then run this again",
		  missing->what, more, strerror(-missing->error), cure);
	return true;
}
