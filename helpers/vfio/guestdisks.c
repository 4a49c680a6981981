/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/guestdisks.c - disks of the host that a guest gets without PCI: is anyone on them */
#include <errno.h>
#include <string.h>

#include "../../lib/blockdev.h"
#include "vfio.h"

/*
 * libvirt does not look: two that write to one file system destroy it. A disk that the guest only
 * reads is no danger to the host, and one that is not there is libvirt's to refuse.
 */

static int say_errno(const struct helper_ctx *ctx, const struct vfio_disk *disk, int error)
{
	helper_say(ctx, "cannot look at what is on disk %s: %s: see lsblk", disk->of.path,
		   strerror(-error));
	return 1;
}

/* Return: 0, 1 refused and said so */
static int look_host(const struct helper_ctx *ctx, struct vfio_disk *disk)
{
	char name[64], use[600];
	int r = blockdev_name(ctx->rootfd, disk->of.path, name, sizeof(name));

	strlist_free(&disk->nodes);
	if (r == -ENOENT || r == -ENOTBLK)
		return 0;
	if (r == 0)
		r = holders_find_disk(ctx->rootfd, name, use, sizeof(use), &disk->nodes);
	if (r < 0)
		return say_errno(ctx, disk, r);
	if (r == 0)
		return 0;
	helper_say(ctx, "disk %s of the guest's XML %s: both would write to it", disk->of.path,
		   use);
	return 1;
}

/* What udev runs for a disk that has just come gets a moment to go. Return: as process_find_writer() */
static pid_t find_writer(const struct helper_ctx *ctx, const struct vfio_disk *disk)
{
	const char *const *nodes = (const char *const *)disk->nodes.names;
	long long until = openers_udev_until(ctx);
	pid_t pid;

	do {
		pid = process_find_writer(ctx->rootfd, nodes, disk->nodes.nr);
	} while (pid > 0 && opener_is_udevs(ctx->rootfd, pid) && openers_again(until));
	return pid;
}

/* This guest's own QEMU is no stranger: apply runs in `reconnect` */
static int look_writer(const struct helper_ctx *ctx, const struct vfio_disk *disk)
{
	char who[64];
	pid_t pid;

	if (disk->of.shareable || disk->nodes.nr == 0)
		return 0;
	pid = find_writer(ctx, disk);
	if (pid < 0)
		return say_errno(ctx, disk, (int)pid);
	if (pid == 0 || process_find_qemu(ctx->rootfd, ctx->claim.uuid) == pid)
		return 0;
	process_describe(ctx->rootfd, pid, who, sizeof(who));
	helper_say(ctx,
		   "disk %s of the guest's XML is written by %s: both would write to it; end that "
		   "guest or program first",
		   disk->of.path, who);
	return 1;
}

int guest_disks_look(const struct helper_ctx *ctx, struct vfio_claim *claim)
{
	for (size_t i = 0; i < claim->nr_disks; i++) {
		struct vfio_disk *disk = &claim->disks[i];

		if (disk->of.writes && (look_host(ctx, disk) != 0 || look_writer(ctx, disk) != 0))
			return 1;
	}
	return 0;
}
