/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/variant.c - modules for a device's model: vfio drivers, and the host's own */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/module.h"
#include "vfio.h"

/* Longest modules.alias that is searched */
#define ALIAS_MAX ((size_t)16 * 1024 * 1024)

#define ALIAS	     "alias "
#define VFIO	     "vfio_"
#define VFIO_PREFIX  ALIAS VFIO "pci:"
#define HOSTS_PREFIX ALIAS "pci:"
#define DEFAULT	     "vfio-pci"

static size_t stars(const char *pattern)
{
	size_t nr = 0;

	for (; *pattern; pattern++)
		nr += *pattern == '*';
	return nr;
}

/*
 * match_line() - "alias vfio_pci:v000015B3d0000101Esv*... mlx5_vfio_pci"
 * @line:	from the pattern on that is to be compared, "pci:..."
 *
 * Return: true when it fits; one that is longer than any module's is none
 */
static bool match_line(const char *line, const char *modalias, char *module, size_t size,
		       size_t *ret_stars)
{
	char copy[1024], *save = NULL, *pattern, *name;
	size_t len = strcspn(line, "\n");

	if (len >= sizeof(copy))
		return false;
	(void)snprintf(copy, sizeof(copy), "%.*s", (int)len, line);
	pattern = strtok_r(copy, " ", &save);
	name = strtok_r(NULL, " ", &save);
	if (!pattern || !name || strtok_r(NULL, " ", &save) || fnmatch(pattern, modalias, 0) != 0 ||
	    !driver_name_valid(name))
		return false;
	*ret_stars = stars(pattern);
	return path_format(module, size, "%s", name) == 0;
}

/* The fewer stars a pattern has, the more it is about this model */
static void best_match(const char *aliases, const char *modalias, char *buf, size_t size)
{
	size_t best = SIZE_MAX;

	for (const char *line = aliases; (line = strstr(line, VFIO_PREFIX)); line++) {
		char module[DRIVER_NAME_MAX];
		size_t nr = 0;

		if (match_line(line + strlen(ALIAS VFIO), modalias, module, sizeof(module), &nr) &&
		    nr < best) {
			best = nr;
			(void)snprintf(buf, size, "%s", module);
		}
	}
}

/* Return: 0, without aliases when there are none; -ENOMEM, else -errno */
static int read_aliases(int rootfd, const char *name, char *modalias, size_t size,
			char **ret_aliases)
{
	char path[PATH_MAX], release[128];
	size_t len;
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/modalias", name);

	if (r == 0)
		r = attr_read(rootfd, path, modalias, size);
	if (r >= 0)
		r = attr_read(rootfd, "proc/sys/kernel/osrelease", release, sizeof(release));
	if (r >= 0)
		r = path_format(path, sizeof(path), "lib/modules/%s/modules.alias", release);
	if (r == 0)
		r = attr_read_all(rootfd, path, ALIAS_MAX, ret_aliases, &len);
	return r == -ENOENT ? 0 : r;
}

int variant_module(int rootfd, const char *name, char *buf, size_t size)
{
	_cleanup_free_ char *aliases = NULL;
	char modalias[256];
	int r = path_format(buf, size, DEFAULT);

	if (r == 0)
		r = read_aliases(rootfd, name, modalias, sizeof(modalias), &aliases);
	if (r < 0 || !aliases)
		return r;
	best_match(aliases, modalias, buf, size);
	/* The common one is a variant, too; its driver has another name than its module */
	return strcmp(buf, "vfio_pci") == 0 ? path_format(buf, size, DEFAULT) : 0;
}

int variant_awaits_driver(int rootfd, const char *name)
{
	_cleanup_free_ char *aliases = NULL;
	char modalias[256];
	bool any = false;
	int r = read_aliases(rootfd, name, modalias, sizeof(modalias), &aliases);

	if (r < 0 || !aliases)
		return r;
	for (const char *line = aliases; (line = strstr(line, HOSTS_PREFIX)); line++) {
		char module[DRIVER_NAME_MAX];
		size_t nr;

		if (!match_line(line + strlen(ALIAS), modalias, module, sizeof(module), &nr))
			continue;
		if (module_loaded(rootfd, module) > 0)
			return 0;
		any = true;
	}
	return any;
}

void variant_driver(int rootfd, const char *module, char *buf, size_t size)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/module/%s/drivers", module);

	(void)snprintf(buf, size, "%s", module);
	for (char *c = path + strlen("sys/module/"); r == 0 && *c; c++)
		if (*c == '-')
			*c = '_';
	if (r < 0 || attr_list(rootfd, path, &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++)
		if (strncmp(names.names[i], "pci:", 4) == 0)
			(void)snprintf(buf, size, "%s", names.names[i] + 4);
}
