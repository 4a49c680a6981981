/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/i2c.h - the three calls that touch an I2C bus; a fake stands in for them alone */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../../lib/cleanup.h"

/**
 * i2c_open() - open dev/i2c-N below the root
 *
 * Return: a descriptor, -ENOENT when there is no such bus (or i2c-dev is not loaded), -EOPNOTSUPP
 * for an adapter that speaks SMBus only, else -errno of openat2(2) or ioctl(2)
 * ABI: Documentation/i2c/dev-interface.rst
 */
int i2c_open(int rootfd, unsigned int bus) _must_check_;

/**
 * i2c_write_at() - one write transaction
 * @addr:	7 bits
 *
 * ddcutil asks for the address in the same way (I2C_SLAVE) and may be told to take it from a
 * kernel driver with I2C_SLAVE_FORCE; this never does, because the driver's own dialogue with the
 * monitor would break.
 *
 * Return: 0, -EBUSY when a kernel driver owns the address (ddcci at 0x37), -ENXIO, -EREMOTEIO or
 * -EIO (by driver) when nobody acknowledges, -EIO on a short write, -ETIMEDOUT, else -errno
 */
int i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len) _must_check_;

/** i2c_read_at() - one read transaction of exactly @len bytes. Return: as i2c_write_at() */
int i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len) _must_check_;
