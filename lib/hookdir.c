/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hookdir.c - libvirt's folder of hooks: where usher-hook lies, and older trees of scripts */
#include "hookdir.h"

#include <errno.h>
#include <string.h>

#include "attr.h"

int hookdir_scripts(const char *guest, char *buf, size_t size)
{
	if (!*guest || strchr(guest, '/') || strcmp(guest, ".") == 0 || strcmp(guest, "..") == 0)
		return -EINVAL;
	return path_format(buf, size, HOOKDIR_SCRIPTS "/%s", guest);
}
