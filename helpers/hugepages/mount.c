/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/mount.c - the hugetlbfs through which QEMU takes its pages */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/daemon.h"
#include "../../lib/hugetlbfs.h"
#include "../../lib/units.h"
#include "hugepages.h"

/*
 * How it works
 *
 * libvirt looks for mounts of hugetlbfs once, when its daemon starts, and makes MOUNT/libvirt/qemu
 * in each. So a mount without that directory is one that it has not seen.
 * ABI: libvirt 9.0.0 to 12.0.0, qemu_driver.c qemuStateInitialize()
 */

#define MOUNTS_MAX 4194304
#define SEEN_DIR   "libvirt/qemu"

enum mount_state {
	MOUNT_NONE,
	MOUNT_UNSEEN,
	MOUNT_SEEN,
};

static int find(int rootfd, unsigned long long size_kib, char *where, size_t size,
		enum mount_state *ret)
{
	enum mount_state state = MOUNT_NONE;
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *dir;
	unsigned long long kib;
	size_t len;
	int r = attr_read_all(rootfd, "proc/self/mounts", MOUNTS_MAX, &text, &len);

	if (r < 0)
		return r;
	for (r = hugetlbfs_next(text, &save, &dir, &kib); r > 0 && state != MOUNT_SEEN;
	     r = hugetlbfs_next(NULL, &save, &dir, &kib)) {
		char path[PATH_MAX];

		if (kib != size_kib)
			continue;
		(void)snprintf(where, size, "%s", dir);
		r = path_format(path, sizeof(path), "%s/" SEEN_DIR, dir + 1);
		state = r == 0 && attr_exists(rootfd, path) > 0 ? MOUNT_SEEN : MOUNT_UNSEEN;
	}
	if (r < 0)
		return r;
	*ret = state;
	return 0;
}

/*
 * QEMU may not size a memfd of huge pages where AppArmor confines it.
 * Seen on: Debian 13, libvirt 11.3: apparmor="DENIED" operation="truncate" name="/", "failed to
 * resize memfd"
 */
static void memfd_cure(const struct helper_ctx *ctx, unsigned long long size_kib, char *buf,
		       size_t size)
{
	char enabled[ATTR_MAX];

	if (attr_read(ctx->rootfd, "sys/module/apparmor/parameters/enabled", enabled,
		      sizeof(enabled)) >= 0 &&
	    *enabled == 'Y')
		return;
	/* Without a size libvirt looks for that of a mount all the same */
	(void)snprintf(buf, size,
		       ", or put <source type='memfd'/> into the guest's <memoryBacking> and <page "
		       "size='%llu'/> into its <hugepages>",
		       size_kib);
}

static enum helper_exit check(const struct helper_ctx *ctx, unsigned long long size_kib)
{
	char name[SIZE_NAME_MAX], where[PATH_MAX] = "", memfd[192] = "";
	enum mount_state state = MOUNT_NONE;
	int r = find(ctx->rootfd, size_kib, where, sizeof(where), &state);

	size_name(size_kib, name, sizeof(name));
	memfd_cure(ctx, size_kib, memfd, sizeof(memfd));
	if (r < 0)
		helper_say(ctx, "cannot read /proc/self/mounts: %s: is /proc mounted?",
			   strerror(-r));
	else if (state == MOUNT_NONE)
		helper_say(ctx,
			   "QEMU could not take huge pages of %s: no hugetlbfs of that size is "
			   "mounted: mount -t hugetlbfs -o pagesize=%lluK DIR and restart %s "
			   "(guests live on)%s",
			   name, size_kib, daemon_name(ctx->rootfd), memfd);
	else if (state == MOUNT_UNSEEN)
		helper_say(ctx,
			   "QEMU could not take huge pages of %s: libvirt has not seen %s, which "
			   "was mounted after it started: restart %s (guests live on)%s",
			   name, where, daemon_name(ctx->rootfd), memfd);
	return r == 0 && state == MOUNT_SEEN ? HELPER_DONE : HELPER_FAILED;
}

enum helper_exit mounts_check(const struct helper_ctx *ctx)
{
	const struct inidoc_entry *entry = NULL;
	enum helper_exit e = HELPER_DONE;

	while (e == HELPER_DONE &&
	       (entry = inidoc_next(&ctx->claim.doc, entry, HUGEPAGES_SECTION, "mount"))) {
		unsigned long long size_kib;

		if (parse_ull(entry->value, 10, ULLONG_MAX, &size_kib) < 0) {
			helper_say(ctx, "cannot read the claim's huge pages: a 'mount' in "
					"[hugepages] is no number: start the guest again");
			return HELPER_USAGE;
		}
		e = check(ctx, size_kib);
	}
	return e;
}
