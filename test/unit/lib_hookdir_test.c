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

#define HOOK	  HOOKDIR_HOOK
#define COPY	  "\177ELF...usher: this is libvirt's hook for QEMU guests; people want usher(8)\n"
#define LOOKS_FOR "\177ELF...usher: this is libvirt's hook for QEMU guests"

static void program(const struct tree *tree, const char *path, const char *text)
{
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

static void usher_hook_is_known_as_a_link_and_as_a_copy(void **state)
{
	const struct tree *tree = *state;
	static const char two[] = LOOKS_FOR "\0" COPY;

	assert_int_equal(hookdir_is_usher(tree->rootfd, HOOK), -ENOENT);
	program(tree, HOOK, COPY);
	assert_int_equal(hookdir_is_usher(tree->rootfd, HOOK), 1);
	tree_bytes(tree, HOOK, two, sizeof(two));
	assert_int_equal(hookdir_is_usher(tree->rootfd, HOOK), 1);
	tree_link(tree, "link", "usr/sbin/usher-hook");
	assert_int_equal(hookdir_is_usher(tree->rootfd, "link"), 1);
	tree_link(tree, "named", HOOK);
	assert_int_equal(hookdir_is_usher(tree->rootfd, "named"), 1);
}

static void what_only_speaks_of_usher_hook_is_not_it(void **state)
{
	const struct tree *tree = *state;
	static const char *const texts[] = { "", "\177EL", LOOKS_FOR, &COPY[1],
					     "#!/bin/sh\nexec /usr/sbin/usher-hook \"$@\"\n" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		program(tree, HOOK, texts[i]);
		assert_int_equal(hookdir_is_usher(tree->rootfd, HOOK), 0);
	}
	assert_int_equal(unlinkat(tree->rootfd, HOOK, 0), 0);
	assert_int_equal(mkfifoat(tree->rootfd, HOOK, 0755), 0);
	assert_int_equal(hookdir_is_usher(tree->rootfd, HOOK), 0);
}

static void every_place_it_is_run_from_is_found(void **state)
{
	const struct tree *tree = *state;
	_cleanup_strlist_ struct strlist places = { 0 };

	assert_int_equal(hookdir_ushers(tree->rootfd, &places), 0);
	assert_int_equal(places.nr, 0);
	program(tree, HOOK, COPY);
	program(tree, HOOKDIR_SCRIPTS "/10-hook", COPY);
	program(tree, HOOKDIR_SCRIPTS "/other", "#!/bin/sh\n");
	tree_file(tree, HOOKDIR_SCRIPTS "/put-aside", COPY);
	tree_file(tree, HOOKDIR_SCRIPTS "/win11/prepare/begin/x", COPY);
	tree_link(tree, HOOKDIR_BESIDE, "/nowhere/usher-hook");
	assert_int_equal(hookdir_ushers(tree->rootfd, &places), 0);
	assert_int_equal(places.nr, 3);
	assert_string_equal(places.names[0], HOOK);
	assert_string_equal(places.names[1], HOOKDIR_SCRIPTS "/10-hook");
	assert_string_equal(places.names[2], HOOKDIR_BESIDE);
}

static void a_hook_of_ones_own_that_calls_usher_hook_is_found(void **state)
{
	const struct tree *tree = *state;
	_cleanup_strlist_ struct strlist callers = { 0 };

	program(tree, HOOKDIR_SCRIPTS "/10-mine", "#!/bin/sh\nusher-hook \"$@\"\n");
	program(tree, HOOKDIR_SCRIPTS "/20-speaks", "#!/bin/sh\n \t# as usher-hook\nexit 0\n");
	program(tree, HOOKDIR_SCRIPTS "/30-program", "\177ELF usher-hook");
	program(tree, HOOKDIR_SCRIPTS "/usher", COPY);
	tree_file(tree, HOOKDIR_SCRIPTS "/put-aside", "#!/bin/sh\nusher-hook\n");
	program(tree, HOOK, "#!/bin/sh\n# all of it\nexec /usr/sbin/usher-hook \"$@\"\n");
	assert_int_equal(hookdir_callers(tree->rootfd, &callers), 0);
	assert_int_equal(callers.nr, 2);
	assert_string_equal(callers.names[0], HOOK);
	assert_string_equal(callers.names[1], HOOKDIR_SCRIPTS "/10-mine");
}

/* Return: what a user who may not read it is told */
static int ushers_of_nobody(const struct tree *tree, const char *path, mode_t mode)
{
	_cleanup_strlist_ struct strlist places = { 0 };
	int r;

	assert_int_equal(fchmodat(tree->rootfd, ".", 0755, 0), 0);
	assert_int_equal(fchmodat(tree->rootfd, path, mode, 0), 0);
	assert_int_equal(seteuid(65534), 0);
	r = hookdir_ushers(tree->rootfd, &places);
	assert_int_equal(seteuid(0), 0);
	return r;
}

static void what_is_roots_to_read_is_no_missing_hook(void **state)
{
	const struct tree *tree = *state;

	if (geteuid() != 0)
		skip();
	program(tree, HOOK, COPY);
	assert_int_equal(ushers_of_nobody(tree, HOOK, 0700), -EACCES);
	assert_int_equal(ushers_of_nobody(tree, "etc/libvirt", 0700), -EACCES);
	assert_int_equal(ushers_of_nobody(tree, "etc/libvirt", 0755), -EACCES);
	assert_int_equal(ushers_of_nobody(tree, HOOK, 0755), 0);
}

static void a_copy_of_another_build_is_told_from_one_of_this(void **state)
{
	const struct tree *tree = *state;

	program(tree, HOOK, COPY);
	assert_false(hookdir_is_other(tree->rootfd, HOOK, tree->dir));
	program(tree, "usher-hook", COPY);
	assert_false(hookdir_is_other(tree->rootfd, HOOK, tree->dir));
	program(tree, "usher-hook", COPY "newer");
	assert_true(hookdir_is_other(tree->rootfd, HOOK, tree->dir));
	tree_link(tree, "link", "/usr/sbin/usher-hook");
	assert_false(hookdir_is_other(tree->rootfd, "link", tree->dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_guests_scripts_are_in_a_folder_of_its_name),
		tree_test(usher_hook_is_known_as_a_link_and_as_a_copy),
		tree_test(what_only_speaks_of_usher_hook_is_not_it),
		tree_test(every_place_it_is_run_from_is_found),
		tree_test(a_hook_of_ones_own_that_calls_usher_hook_is_found),
		tree_test(what_is_roots_to_read_is_no_missing_hook),
		tree_test(a_copy_of_another_build_is_told_from_one_of_this),
	};

	return cmocka_run_group_tests_name("lib/hookdir", tests, NULL, NULL);
}
