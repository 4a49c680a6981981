/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/i2c.c - the three calls that touch an I2C bus; a fake stands in for them alone */
#include "i2c.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <sys/ioctl.h>

#include "../../lib/attr.h"

int i2c_open(int rootfd, unsigned int bus)
{
	_cleanup_close_ int fd = -1;
	unsigned long functions = 0;
	char path[32];
	int r = path_format(path, sizeof(path), "dev/i2c-%u", bus);

	if (r < 0)
		return r;
	fd = attr_open(rootfd, path, O_RDWR);
	if (fd < 0)
		return fd;
	if (ioctl(fd, I2C_FUNCS, &functions) < 0)
		return -errno;
	return functions & I2C_FUNC_I2C ? TAKE_FD(fd) : -EOPNOTSUPP;
}

int i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len)
{
	ssize_t n;

	if (ioctl(fd, I2C_SLAVE, (unsigned long)addr) < 0)
		return -errno;
	n = write(fd, data, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len)
{
	ssize_t n;

	if (ioctl(fd, I2C_SLAVE, (unsigned long)addr) < 0)
		return -errno;
	n = read(fd, data, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}
