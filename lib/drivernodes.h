/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/drivernodes.h - nodes of a PCI driver that sysfs does not have below its devices */
#pragma once

#include <stdbool.h>

#include "claim.h"
#include "cleanup.h"
#include "text.h"

/**
 * drivernodes_add() - those of a device
 * @addr:	"0000:01:00.0"
 * @alone:	no other device of the driver stays with the host: those of all its devices, too
 *
 * Return: 0, 1 the driver does not say which node is the device's own, -ENOMEM
 */
int drivernodes_add(int rootfd, const char *driver, const char *addr, bool alone,
		    struct strlist *nodes) _must_check_;

/**
 * drivernodes_devices() - the addresses of a driver's devices
 *
 * Return: 0, -ENOENT when it is not loaded, -ENOMEM, else -errno
 */
int drivernodes_devices(int rootfd, const char *driver, struct strlist *ret) _must_check_;

/**
 * drivernodes_alone() - are all devices that a driver has in a claim's [vfio]
 *
 * Return: 1, 0, else -errno
 */
int drivernodes_alone(int rootfd, const struct claim *claim, const char *driver) _must_check_;
