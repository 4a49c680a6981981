/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/bus.h - the I2C buses a monitor can be on */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/claim.h"
#include "../../lib/cleanup.h"

/* "card0-DP-1" and a NUL; a DRM connector's name is shorter */
#define CONNECTOR_LEN 64

struct bus {
	unsigned int number;
	char connector[CONNECTOR_LEN]; /* "" when the driver does not tell */
	bool hung;		       /* a transfer did not return: not to be asked again */
};

struct bus_list {
	struct bus *buses;
	size_t nr;
};

void bus_list_free(struct bus_list *list);
#define _cleanup_bus_list_ _cleanup_(bus_list_free)

/**
 * buses_find() - every bus of a display adapter, sorted by number
 * @claim:	buses of the devices it takes for vfio are left out, they vanish; may be NULL
 *
 * A bus counts when its PCI device is a display controller or a docking station, or when a DRM
 * connector names it. The others, memory and sensors of the mainboard among them, are never
 * written to; nor are those of a GPU's own that no monitor is on, which hang or hold its firmware.
 *
 * Return: 0, -ENOMEM, else -errno of reading sys/bus/i2c/devices; no I2C at all is an empty list
 */
int buses_find(int rootfd, const struct claim *claim, struct bus_list *ret) _must_check_;

/**
 * buses_find_claimed() - those that buses_find() leaves out: of the devices that @claim takes
 *
 * They are there before the devices are handed over and after they are back. Whoever has one open
 * in between keeps the driver from letting go: never in a start.
 *
 * Return: as buses_find()
 */
int buses_find_claimed(int rootfd, const struct claim *claim, struct bus_list *ret) _must_check_;

/**
 * bus_look() - buses_find() for one, or buses_find_claimed() when @claimed: numbers are reused
 *
 * Return: 1 with @ret filled, 0 there is none of this number among those, else -errno
 */
int bus_look(int rootfd, const struct claim *claim, bool claimed, unsigned int number,
	     struct bus *ret) _must_check_;

/**
 * buses_ready() - make dev/i2c-N appear: load i2c-dev unless it is there
 *
 * It stays loaded: it does nothing but offer the nodes.
 *
 * Return: 0, else as module_load()
 */
int buses_ready(int rootfd, int timeout_ms) _must_check_;

/** buses_are_ready() - are the nodes there already. Return: 1 or 0 */
int buses_are_ready(int rootfd);
