/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/scratch.c - a claim in a folder of its own, for check and --dry-run */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "../../lib/state.h"
#include "leftover.h"

void scratch_remove(struct scratch *scratch)
{
	if (!*scratch->dir)
		return;
	(void)unlink(scratch->file);
	(void)rmdir(scratch->dir);
	leftover_forget(scratch->file);
	leftover_forget(scratch->dir);
}

int scratch_write(struct scratch *scratch, const struct claim *claim, char **ret_text)
{
	_cleanup_held_ sigset_t old = leftover_hold();
	_cleanup_close_ int dirfd = -1;
	size_t len;
	int r = inidoc_format(&claim->doc, ret_text, &len);

	if (r < 0)
		return r;
	(void)snprintf(scratch->dir, sizeof(scratch->dir), "/tmp/usher.XXXXXX");
	if (!mkdtemp(scratch->dir)) {
		*scratch->dir = '\0';
		return -errno;
	}
	(void)snprintf(scratch->file, sizeof(scratch->file), "%s/" CLAIM_FILE, scratch->dir);
	leftover_add(AT_FDCWD, scratch->dir, AT_REMOVEDIR);
	leftover_add(AT_FDCWD, scratch->file, 0);
	dirfd = open(scratch->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd < 0 ? -errno : state_write(dirfd, CLAIM_FILE, *ret_text, len);
}
