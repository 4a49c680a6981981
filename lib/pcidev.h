/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/pcidev.h - what sysfs says of a PCI device; read only */
#pragma once

#include "cleanup.h"
#include "pciaddr.h"
#include "text.h"

struct pciaddr_list {
	struct pciaddr *addrs;
	size_t nr;
};

void pciaddr_list_free(struct pciaddr_list *list);
#define _cleanup_pciaddr_list_ _cleanup_(pciaddr_list_free)
/** pciaddr_list_add() - append. Return: 0, -ENOMEM */
int pciaddr_list_add(struct pciaddr_list *list, const struct pciaddr *addr) _must_check_;
bool pciaddr_list_has(const struct pciaddr_list *list, const struct pciaddr *addr);

/** pcidev_exists() - Return: 1 yes, 0 no, else -errno */
int pcidev_exists(int rootfd, const struct pciaddr *addr) _must_check_;

/**
 * pcidev_id() - vendor and device
 *
 * Return: 0, -ENODEV when there is no such device, else as attr_read_ull()
 */
int pcidev_id(int rootfd, const struct pciaddr *addr, struct pciid *ret) _must_check_;

/**
 * pcidev_driver() - name of the driver bound now, "" when there is none
 *
 * Return: 1 a driver is bound, 0 none, -ENODEV when there is no such device, else -errno
 */
int pcidev_driver(int rootfd, const struct pciaddr *addr, char *buf, size_t size) _must_check_;

/**
 * pcidev_is_bridge() - host, ISA and PCI bridges stay with the host
 *
 * Return: 1 yes (base class 0x06), 0 no, else -errno
 */
int pcidev_is_bridge(int rootfd, const struct pciaddr *addr) _must_check_;

/**
 * pcidev_forwards() - a bridge to another bus
 *
 * A host or LPC bridge is a device like any other.
 *
 * Return: 1 yes (PCI, CardBus and semi-transparent bridges), 0 no, else -errno
 */
int pcidev_forwards(int rootfd, const struct pciaddr *addr) _must_check_;

/**
 * pcidev_group() - number of the device's IOMMU group
 *
 * Return: the number >= 0, -ENODEV when there is no such device, -ENXIO when the device has no
 * group (no IOMMU, or it is off)
 */
int pcidev_group(int rootfd, const struct pciaddr *addr) _must_check_;

/**
 * pcidev_group_members() - every PCI function in an IOMMU group, sorted
 *
 * Members that are no PCI devices are left out.
 *
 * Return: 0, -ENOENT when there is no such group, -ENOMEM, else -errno
 */
int pcidev_group_members(int rootfd, int group, struct pciaddr_list *ret) _must_check_;

/**
 * pcidev_vfio_nodes() - the nodes a user of the device through vfio has open
 * @paths:	"/dev/vfio/12", and iommufd's "/dev/vfio/devices/vfio0" are added
 *
 * A device without a group, or without vfio, has none.
 *
 * Return: 0, -ENOMEM
 * ABI: Documentation/driver-api/vfio.rst; the per-device nodes since Linux 6.6
 */
int pcidev_vfio_nodes(int rootfd, const struct pciaddr *addr, struct strlist *paths) _must_check_;
