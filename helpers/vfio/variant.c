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
 * Return: 1 it fits, 0, -ENOMEM
 */
static int match_line(const char *line, const char *modalias, char *module, size_t size,
		      size_t *ret_stars)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *copy = strndup(line, strcspn(line, "\n"));
	int r = copy ? text_split(copy, " ", &words) : -ENOMEM;

	if (r < 0)
		return r;
	if (words.nr != 2 || fnmatch(words.names[0], modalias, 0) != 0 ||
	    !driver_name_valid(words.names[1]))
		return 0;
	*ret_stars = stars(words.names[0]);
	return path_format(module, size, "%s", words.names[1]) == 0;
}

/* The fewer stars a pattern has, the more it is about this model */
static int best_match(const char *aliases, const char *modalias, char *buf, size_t size)
{
	size_t best = SIZE_MAX;

	for (const char *line = aliases; (line = strstr(line, VFIO_PREFIX)); line++) {
		char module[DRIVER_NAME_MAX];
		size_t nr = 0;
		int r = match_line(line + strlen(ALIAS VFIO), modalias, module, sizeof(module),
				   &nr);

		if (r < 0)
			return r;
		if (r > 0 && nr < best) {
			best = nr;
			(void)snprintf(buf, size, "%s", module);
		}
	}
	return 0;
}

/* Return: 0, without aliases when there are none; -ENOMEM, else -errno */
static int read_aliases(int rootfd, const char *name, char *modalias, size_t size,
			char **ret_aliases)
{
	char path[PATH_MAX], release[128];
	size_t len;
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/modalias", name);

	if (r < 0)
		return r;
	if (attr_read(rootfd, path, modalias, size) < 0 ||
	    attr_read(rootfd, "proc/sys/kernel/osrelease", release, sizeof(release)) < 0)
		return 0;
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
	r = best_match(aliases, modalias, buf, size);
	/* The common one is a variant, too; its driver has another name than its module */
	if (r == 0 && strcmp(buf, "vfio_pci") == 0)
		r = path_format(buf, size, DEFAULT);
	return r;
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

		r = match_line(line + strlen(ALIAS), modalias, module, sizeof(module), &nr);
		if (r < 0)
			return r;
		if (r > 0 && module_loaded(rootfd, module) > 0)
			return 0;
		any |= r > 0;
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
