/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_i2c_test.c - the bus functions, on files that are no buses, and on a bus that answers */
/* wraps: ioctl read write */
#include "tree.h"

#include <linux/i2c-dev.h>
#include <linux/i2c.h>

#include "helpers/display/i2c.h"

/* /dev/null as a bus */
static struct {
	bool there;
	unsigned long functions;
	unsigned long addr;
	int error;   /* of a transfer */
	size_t most; /* bytes of it that are taken or given */
} bus;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_ioctl(int fd, unsigned long request, unsigned long arg);
int __wrap_ioctl(int fd, unsigned long request, unsigned long arg);
int __wrap_ioctl(int fd, unsigned long request, unsigned long arg)
{
	if (!bus.there)
		return __real_ioctl(fd, request, arg);
	if (request == I2C_FUNCS)
		*(unsigned long *)arg = bus.functions;
	else
		bus.addr = arg;
	return 0;
}

static ssize_t transfer(size_t len)
{
	if (!bus.error)
		return (ssize_t)(len < bus.most ? len : bus.most);
	errno = bus.error;
	return -1;
}

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	return bus.there ? transfer(size) : __real_read(fd, buf, size);
}

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	return bus.there ? transfer(size) : __real_write(fd, buf, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void a_bus_that_is_not_there_is_enoent(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(i2c_open(tree->rootfd, 4), -ENOENT);
}

static void a_file_that_is_no_i2c_bus_is_refused(void **state)
{
	struct tree *tree = *state;

	tree_file(tree, "dev/i2c-4", "");
	assert_int_equal(i2c_open(tree->rootfd, 4), -ENOTTY);
}

static void the_node_is_looked_for_below_the_root_only(void **state)
{
	struct tree *tree = *state;

	tree_link(tree, "dev/i2c-4", "/dev/null");
	assert_int_equal(i2c_open(tree->rootfd, 4), -ENOENT);
}

static void transfers_on_something_else_fail(void **state)
{
	uint8_t byte = 0;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(i2c_write_at(fd, 0x37, &byte, 1), -ENOTTY);
	assert_int_equal(i2c_read_at(fd, 0x37, &byte, 1), -ENOTTY);
	assert_int_equal(close(fd), 0);
	assert_int_equal(i2c_write_at(fd, 0x37, &byte, 1), -EBADF);
	assert_int_equal(i2c_read_at(fd, 0x37, &byte, 1), -EBADF);
}

static void a_bus_for_registers_only_cannot_carry_ddc(void **state)
{
	struct tree *tree = *state;
	int fd;

	tree_file(tree, "dev/i2c-4", "");
	memset(&bus, 0, sizeof(bus));
	bus.there = true;
	bus.functions = I2C_FUNC_SMBUS_BYTE;
	assert_int_equal(i2c_open(tree->rootfd, 4), -EOPNOTSUPP);
	bus.functions = I2C_FUNC_I2C;
	fd = i2c_open(tree->rootfd, 4);
	bus.there = false;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void a_transfer_is_whole_or_failed(void **state)
{
	static const struct {
		int error;
		size_t most;
		int want;
	} cases[] = {
		{ 0, 4, 0 }, { 0, 3, -EIO }, { ENXIO, 4, -ENXIO }, { EREMOTEIO, 4, -EREMOTEIO }
	};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t bytes[4] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r[2];

		memset(&bus, 0, sizeof(bus));
		bus.there = true;
		bus.error = cases[i].error;
		bus.most = cases[i].most;
		r[0] = i2c_write_at(fd, 0x37, bytes, sizeof(bytes));
		r[1] = i2c_read_at(fd, 0x50, bytes, sizeof(bytes));
		bus.there = false;
		assert_int_equal(r[0], cases[i].want);
		assert_int_equal(r[1], cases[i].want);
		assert_int_equal(bus.addr, 0x50);
	}
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_bus_that_is_not_there_is_enoent),
		tree_test(a_file_that_is_no_i2c_bus_is_refused),
		tree_test(the_node_is_looked_for_below_the_root_only),
		cmocka_unit_test(transfers_on_something_else_fail),
		tree_test(a_bus_for_registers_only_cannot_carry_ddc),
		cmocka_unit_test(a_transfer_is_whole_or_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
