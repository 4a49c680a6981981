/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/away.c - which of the seat's cards usher-vfio has not given back yet */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "seat.h"

/*
 * How it works
 *
 * Undo comes here when usher-vfio's has ended, also without success: a driver hangs, or does not
 * take its card again. Then the claim's directory has usher-vfio's journal still, with the driver
 * that the card had and the one it was handed to, or the mark of a process that is at work on it
 * (helpers/vfio/job.c, mark.c). A card that is on a driver of the host's, its own or another, is
 * not away, whatever else of it is not back; nor is one that has been unplugged, or had no driver.
 */
#define VFIO_JOURNAL "vfio"
#define VFIO_RECORD  "driver"
#define VFIO_MARK    "vfio.worker."

static bool has_mark(const struct helper_ctx *ctx, const char *addr)
{
	char file[NAME_MAX + 1];

	return path_format(file, sizeof(file), VFIO_MARK "%s", addr) == 0 &&
	       attr_exists(ctx->dirfd, file) > 0;
}

static bool is_away(const struct helper_ctx *ctx, const struct journal *vfio, const char *addr)
{
	const struct journal_record *record = journal_find(vfio, VFIO_RECORD, addr);
	char driver[NAME_MAX + 1];
	struct pciaddr parsed;
	int r;

	if (has_mark(ctx, addr))
		return true;
	if (!record || pciaddr_parse(addr, &parsed) < 0)
		return false;
	r = pcidev_driver(ctx->rootfd, &parsed, driver, sizeof(driver));
	if (r == 0)
		return *record->old_value;
	return r > 0 && strcmp(driver, record->new_value) == 0;
}

int cards_away(const struct helper_ctx *ctx, struct strlist *ret)
{
	_cleanup_journal_ struct journal vfio = { .fd = -1 };
	const struct inidoc_entry *entry = NULL;
	/* One that cannot be read keeps usher-vfio from all, and it has said so */
	int r = journal_open(ctx->dirfd, VFIO_JOURNAL, false, &vfio);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	while (r == 0 && (entry = inidoc_next(&ctx->claim.doc, entry, "seat", "device"))) {
		struct pciaddr parsed;
		char addr[PCIADDR_STRLEN];

		if (pciaddr_parse(entry->value, &parsed) < 0)
			continue;
		pciaddr_format(&parsed, addr);
		if (is_away(ctx, &vfio, addr))
			r = strlist_add(ret, addr);
	}
	return r;
}
