/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hugetlbfs.c - the filesystems through which QEMU takes huge pages */
#include "hugetlbfs.h"

#include <errno.h>
#include <string.h>

#include "text.h"
#include "units.h"

/* "rw,relatime,pagesize=1024M" */
static int option_kib(const char *options, unsigned long long *ret_kib)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(options, ",", &words);

	for (size_t i = 0; r == 0 && i < words.nr; i++)
		if (strncmp(words.names[i], "pagesize=", 9) == 0)
			return parse_size_kib(words.names[i] + 9, ret_kib);
	return r < 0 ? r : -ENOENT;
}

/* "hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0" */
static int look_at(char *line, char **ret_dir, unsigned long long *ret_kib)
{
	static const char *const blank = " ";
	char *save = NULL;
	const char *type, *options;
	int r;

	(void)strtok_r(line, blank, &save);
	*ret_dir = strtok_r(NULL, blank, &save);
	type = strtok_r(NULL, blank, &save);
	options = strtok_r(NULL, blank, &save);
	if (!options || strcmp(type, "hugetlbfs") != 0)
		return 0;
	r = option_kib(options, ret_kib);
	return r == -ENOMEM ? r : r == 0;
}

int hugetlbfs_next(char *mounts, char **save, char **ret_dir, unsigned long long *ret_kib)
{
	char *line;
	int r = 0;

	while (r == 0 && (line = strtok_r(mounts, "\n", save))) {
		mounts = NULL;
		r = look_at(line, ret_dir, ret_kib);
	}
	return r;
}
