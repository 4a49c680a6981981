/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_hookdir_test.c - whose folder of scripts, and which program is usher-hook */

#include "tree.h"

#include "lib/hookdir.h"

static void a_guests_scripts_are_in_a_folder_of_its_name(void **state)
{
	static const char *const none[] = { "", ".", "..", "a/b", "/", "../x" };
	char path[64];

	(void)state;
	assert_int_equal(hookdir_scripts("win 11", path, sizeof(path)), 0);
	assert_string_equal(path, "etc/libvirt/hooks/qemu.d/win 11");
	assert_int_equal(hookdir_scripts("...", path, sizeof(path)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(hookdir_scripts(none[i], path, sizeof(path)), -EINVAL);
	assert_int_equal(hookdir_scripts("win11", path, 8), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_guests_scripts_are_in_a_folder_of_its_name),
	};

	return cmocka_run_group_tests_name("lib/hookdir", tests, NULL, NULL);
}
