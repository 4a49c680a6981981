/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/scratch.h - a claim in a folder of its own, for check and --dry-run */
#pragma once

#include "../../lib/claim.h"
#include "../../lib/cleanup.h"

struct scratch {
	char dir[64], file[96];
};

/** scratch_remove() - the folder with all that is in it */
void scratch_remove(struct scratch *scratch);
#define _cleanup_scratch_ _cleanup_(scratch_remove)

/**
 * scratch_write() - below /tmp, for us alone
 * @ret_text:	what was written, allocated
 *
 * Return: 0, -ENOMEM, else -errno of mkdtemp(3) or as state_write()
 */
int scratch_write(struct scratch *scratch, const struct claim *claim, char **ret_text) _must_check_;
