/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/kernel.c - has the running kernel the vfio driver that is asked for */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "vfio.h"

/* Longest modules.dep or modules.builtin that is searched */
#define MODULES_MAX ((size_t)16 * 1024 * 1024)

/* "/vfio-pci.ko" or "/vfio_pci.ko": files are named either way */
static void module_file(const char *driver, char from, char to, char *buf, size_t size)
{
	(void)snprintf(buf, size, "/%s.ko", driver);
	for (char *c = buf; *c; c++)
		if (*c == from)
			*c = to;
}

/* Is a module in one of the running kernel's lists. Return: 1, 0, -ENOENT there is no list */
static int list_has_module(int rootfd, const char *release, const char *list, const char *driver)
{
	char path[PATH_MAX], dashes[DRIVER_NAME_MAX + 8], lines[DRIVER_NAME_MAX + 8];
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = path_format(path, sizeof(path), "lib/modules/%s/%s", release, list);
	if (r == 0)
		r = attr_read_all(rootfd, path, MODULES_MAX, &text, &len);
	if (r < 0 || !text)
		return r;
	module_file(driver, '_', '-', dashes, sizeof(dashes));
	module_file(driver, '-', '_', lines, sizeof(lines));
	return strstr(text, dashes) || strstr(text, lines);
}

int module_look(const struct helper_ctx *ctx, const char *driver)
{
	char path[PATH_MAX], release[128];
	int r = path_format(path, sizeof(path), "sys/bus/pci/drivers/%s", driver);

	if (r < 0 || attr_exists(ctx->rootfd, path) > 0)
		return r < 0;
	if (attr_read(ctx->rootfd, "proc/sys/kernel/osrelease", release, sizeof(release)) < 0)
		return 0;
	r = list_has_module(ctx->rootfd, release, "modules.dep", driver);
	if (r == 0)
		r = list_has_module(ctx->rootfd, release, "modules.builtin", driver);
	if (r != 0)
		return 0;
	helper_say(ctx,
		   "kernel %s has no driver %s: install the distribution's full set of modules for "
		   "it, or boot the kernel that is installed",
		   release, driver);
	return 1;
}
