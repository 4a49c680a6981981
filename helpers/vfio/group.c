/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/group.c - is the rest of an IOMMU group out of the way */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/*
 * They do no DMA for the host: the group stays viable beside them. It is the driver that counts, of
 * bridges the one for PCI Express ports only: neither shpchp nor yenta_cardbus.
 * ABI: driver_managed_dma of drivers/pci/pcie/portdrv.c, drivers/pci/pci-stub.c, drivers/vfio/pci,
 * and of no other PCI driver; since Linux 5.19. vfio_dev_driver_allowed() let every bridge pass
 */
static const char *const harmless[] = { "", "vfio-pci", "pci-stub", "pcieport" };

static bool is_harmless(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strcmp(name, harmless[i]) == 0)
			return true;
	return false;
}

int device_on_vfio(int rootfd, const char *name, const char *driver)
{
	char path[PATH_MAX];
	int r;

	if (strcmp(driver, "vfio-pci") == 0)
		return 1;
	r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/vfio-dev", name);
	return r < 0 ? r : attr_exists(rootfd, path);
}

static bool is_claimed(const struct vfio_claim *claim, const struct pciaddr *addr)
{
	for (size_t i = 0; i < claim->nr; i++)
		if (pciaddr_cmp(&claim->devices[i].addr, addr) == 0)
			return true;
	return false;
}

/* Nothing of the host's hangs on it but the hotplug of its slots, so it can be without a driver */
static void say_bridge_in_the_way(const struct helper_ctx *ctx, const struct vfio_device *device,
				  const struct pciaddr *member, const char *driver)
{
	char name[320], addr[PCIADDR_STRLEN];

	pciaddr_format(member, addr);
	device_describe(ctx->rootfd, member, NULL, name, sizeof(name));
	helper_say(ctx,
		   "%s shares IOMMU group %d with %s and is on driver %s, beside which the kernel "
		   "gives nobody the group: take it from that driver (echo %s > /sys/bus/pci/"
		   "drivers/%s/unbind: its slots are without hotplug then), put %s into another "
		   "slot, or switch on ACS in the firmware",
		   name, device->group, device->name, driver, addr, driver, device->name);
}

static void say_in_the_way(const struct helper_ctx *ctx, const struct vfio_device *device,
			   const struct pciaddr *member, const char *driver)
{
	char name[320];

	device_describe(ctx->rootfd, member, NULL, name, sizeof(name));
	if (pcidev_forwards(ctx->rootfd, member) > 0)
		say_bridge_in_the_way(ctx, device, member, driver);
	else if (pcidev_is_bridge(ctx->rootfd, member) > 0)
		helper_say(ctx,
			   "%s shares IOMMU group %d with %s and is on the host's driver %s, and a "
			   "bridge must stay with the host: put %s into another slot, or switch on "
			   "ACS in the firmware",
			   name, device->group, device->name, driver, device->name);
	else if (pciaddr_same_slot(&device->addr, member))
		helper_say(ctx,
			   "%s shares IOMMU group %d with %s, of the same slot, and is on the "
			   "host's driver %s: pass it to the guest as well",
			   name, device->group, device->name, driver);
	else
		helper_say(ctx,
			   "%s shares IOMMU group %d with %s, sits in another slot and is on the "
			   "host's driver %s, so it cannot simply be passed along: put one of the "
			   "two into another slot, switch on ACS in the firmware, or pass both to "
			   "the guest",
			   name, device->group, device->name, driver);
}

/* Return: 0 it is out of the way, 1 it is not, < 0 -errno */
static int look_member(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       const struct vfio_device *device, const struct pciaddr *member)
{
	char driver[DRIVER_NAME_MAX], name[PCIADDR_STRLEN];
	int r;

	if (is_claimed(claim, member))
		return 0;
	r = pcidev_driver(ctx->rootfd, member, driver, sizeof(driver));
	if (r < 0)
		return r;
	pciaddr_format(member, name);
	if (is_harmless(driver) || device_on_vfio(ctx->rootfd, name, driver) > 0)
		return 0;
	say_in_the_way(ctx, device, member, driver);
	return 1;
}

int group_look(const struct helper_ctx *ctx, const struct vfio_claim *claim,
	       const struct vfio_device *device)
{
	_cleanup_pciaddr_list_ struct pciaddr_list members = { 0 };
	int r = pcidev_group_members(ctx->rootfd, device->group, &members);

	for (size_t i = 0; r == 0 && i < members.nr; i++) {
		r = look_member(ctx, claim, device, &members.addrs[i]);
		/* Unplugged while we looked */
		if (r == -ENODEV)
			r = 0;
	}
	if (r < 0)
		helper_say(ctx,
			   "cannot look at IOMMU group %d of %s: %s: see /sys/kernel/"
			   "iommu_groups",
			   device->group, device->name, strerror(-r));
	return r != 0;
}
