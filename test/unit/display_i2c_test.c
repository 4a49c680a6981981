/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_i2c_test.c - the bus functions, on files that are no buses */
#include "tree.h"

#include "helpers/display/i2c.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_bus_that_is_not_there_is_enoent),
		tree_test(a_file_that_is_no_i2c_bus_is_refused),
		tree_test(the_node_is_looked_for_below_the_root_only),
		cmocka_unit_test(transfers_on_something_else_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
