/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_self_test.c - where our own programs are */
/* wraps: readlink */
#include "tree.h"

#include <limits.h>

#include "lib/self.h"

static int readlink_errno;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
ssize_t __real_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size)
{
	if (!readlink_errno)
		return __real_readlink(path, buf, size);
	errno = readlink_errno;
	return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void it_is_the_folder_of_this_program(void **state)
{
	char dir[PATH_MAX];

	(void)state;
	assert_int_equal(self_dir(dir, sizeof(dir)), 0);
	assert_int_equal(*dir, '/');
	assert_string_equal(strrchr(dir, '/'), "/unit");
}

static void one_that_does_not_fit_is_not_cut_short(void **state)
{
	char dir[8];

	(void)state;
	assert_int_equal(self_dir(dir, sizeof(dir)), -ENAMETOOLONG);
}

static void without_proc_it_is_not_known(void **state)
{
	char dir[PATH_MAX];

	(void)state;
	readlink_errno = ENOENT;
	assert_int_equal(self_dir(dir, sizeof(dir)), -ENOENT);
	readlink_errno = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_folder_of_this_program),
		cmocka_unit_test(one_that_does_not_fit_is_not_cut_short),
		cmocka_unit_test(without_proc_it_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
