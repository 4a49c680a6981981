/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_hierarchy_test.c - what is asked of libcgroup, and what its answers mean
 *
 * wraps: library_symbol
 */
#include "test/unit/tree.h"

#include <libcgroup.h>

#include "helpers/cpuset/cpuset.h"
#include "lib/library.h"

static struct {
	int init, find, modify, last_errno; /* what libcgroup returns */
	const char *mount;
	bool no_memory;
	const char *missing; /* a function it does not have */
	char name[PATH_MAX];
	char *file, *value; /* what it was asked to write */
} lib;

static int fake_init(void)
{
	return lib.init;
}

static int fake_get_last_errno(void)
{
	return lib.last_errno;
}

static int fake_get_subsys_mount_point(const char *controller, char **mount_point)
{
	assert_string_equal(controller, "cpuset");
	if (lib.find)
		return lib.find;
	*mount_point = strdup(lib.mount);
	return 0;
}

static __typeof__(cgroup_new_cgroup) *real_new_cgroup;
static __typeof__(cgroup_get_controller) *get_controller;
static __typeof__(cgroup_get_value_name_count) *get_value_name_count;
static __typeof__(cgroup_get_value_name) *get_value_name;
static __typeof__(cgroup_get_value_string) *get_value_string;

static struct cgroup *fake_new_cgroup(const char *name)
{
	assert_int_equal(path_format(lib.name, sizeof(lib.name), "%s", name), 0);
	return lib.no_memory ? NULL : real_new_cgroup(name);
}

static int fake_modify_cgroup(struct cgroup *cgroup)
{
	struct cgroup_controller *cpuset = get_controller(cgroup, "cpuset");

	assert_non_null(cpuset);
	assert_int_equal(get_value_name_count(cpuset), 1);
	lib.file = strdup(get_value_name(cpuset, 0));
	assert_int_equal(get_value_string(cpuset, lib.file, &lib.value), 0);
	return lib.modify;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__real_library_symbol(struct library *library, const char *name);
void *__wrap_library_symbol(struct library *library, const char *name);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* The real library, but for what reads and writes the host's own hierarchy */
void *__wrap_library_symbol(struct library *library, const char *name)
{
	static const struct {
		const char *name;
		void *fake;
	} fakes[] = {
		{ "cgroup_init", (void *)fake_init },
		{ "cgroup_get_last_errno", (void *)fake_get_last_errno },
		{ "cgroup_get_subsys_mount_point", (void *)fake_get_subsys_mount_point },
		{ "cgroup_new_cgroup", (void *)fake_new_cgroup },
		{ "cgroup_modify_cgroup", (void *)fake_modify_cgroup },
	};
	void *real = __real_library_symbol(library, name);

	if (lib.missing && strcmp(name, lib.missing) == 0)
		return NULL;
	assert_non_null(real);
	real_new_cgroup = __real_library_symbol(library, "cgroup_new_cgroup");
	get_controller = __real_library_symbol(library, "cgroup_get_controller");
	get_value_name_count = __real_library_symbol(library, "cgroup_get_value_name_count");
	get_value_name = __real_library_symbol(library, "cgroup_get_value_name");
	get_value_string = __real_library_symbol(library, "cgroup_get_value_string");
	for (size_t i = 0; i < ARRAY_SIZE(fakes); i++)
		if (strcmp(fakes[i].name, name) == 0)
			return fakes[i].fake;
	return real;
}

static int setup(void **state)
{
	(void)state;
	memset(&lib, 0, sizeof(lib));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(lib.file);
	free(lib.value);
	return 0;
}

/* First of all, for once it is started it stays so */
static void without_the_library_there_is_no_hierarchy(void **state)
{
	char buf[64];

	(void)state;
	lib.missing = "cgroup_modify_cgroup";
	assert_int_equal(hierarchy_find(buf, sizeof(buf)), -EOPNOTSUPP);
	assert_int_equal(hierarchy_store("a", "cpuset.cpus", "1"), -EOPNOTSUPP);
}

static void without_a_mount_table_there_is_no_hierarchy(void **state)
{
	char buf[64] = "untouched";

	(void)state;
	lib.init = ECGROUPNOTMOUNTED;
	assert_int_equal(hierarchy_find(buf, sizeof(buf)), -ENOENT);
	assert_int_equal(hierarchy_store("a", "cpuset.cpus", "1"), -ENOENT);
	assert_string_equal(buf, "untouched");
}

static void the_mount_point_is_below_the_root(void **state)
{
	char buf[64];

	(void)state;
	lib.mount = "/sys/fs/cgroup/unified";
	assert_int_equal(hierarchy_find(buf, sizeof(buf)), 0);
	assert_string_equal(buf, "sys/fs/cgroup/unified");
	assert_int_equal(hierarchy_find(buf, 10), -ENAMETOOLONG);
	lib.find = ECGROUPNOTEXIST;
	assert_int_equal(hierarchy_find(buf, sizeof(buf)), -ENOENT);
}

static void one_value_of_one_group_is_written(void **state)
{
	(void)state;
	assert_int_equal(hierarchy_store("openrc.sshd", "cpuset.cpus", "0-1,4"), 0);
	assert_string_equal(lib.name, "/openrc.sshd");
	assert_string_equal(lib.file, "cpuset.cpus");
	assert_string_equal(lib.value, "0-1,4");
}

static void its_errors_are_the_systems(void **state)
{
	static const struct {
		int error, last_errno, want;
	} cases[] = {
		{ ECGOTHER, EINVAL, -EINVAL },	      { ECGOTHER, 0, -EIO },
		{ ECGROUPVALUENOTEXIST, 0, -ENOENT }, { ECGROUPNOTEXIST, 0, -ENOENT },
		{ ECGROUPNOTMOUNTED, 0, -ENOENT },    { ECGROUPSUBSYSNOTMOUNTED, 0, -ENOENT },
		{ ECGROUPNOTALLOWED, 0, -EPERM },     { ECGFAIL, EINVAL, -EIO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		lib.modify = cases[i].error;
		lib.last_errno = cases[i].last_errno;
		assert_int_equal(hierarchy_store("a", "cpuset.cpus", "1"), cases[i].want);
		(void)teardown(NULL);
		lib.file = lib.value = NULL;
	}
	lib.no_memory = true;
	assert_int_equal(hierarchy_store("a", "cpuset.cpus", "1"), -ENOMEM);
}

static void a_name_that_does_not_fit_is_refused(void **state)
{
	char name[2 * PATH_MAX];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(hierarchy_store(name, "cpuset.cpus", "1"), -ENAMETOOLONG);
}

static void only_the_real_root_is_libcgroups(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };

	assert_int_equal(hierarchy_is_ours(&ctx), 0);
	ctx.rootfd = root_open("/");
	assert_int_equal(hierarchy_is_ours(&ctx), 1);
	assert_int_equal(close(ctx.rootfd), 0);
	assert_int_equal(hierarchy_is_ours(&ctx), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_the_library_there_is_no_hierarchy, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_a_mount_table_there_is_no_hierarchy, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_mount_point_is_below_the_root, setup, teardown),
		cmocka_unit_test_setup_teardown(one_value_of_one_group_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(its_errors_are_the_systems, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_that_does_not_fit_is_refused, setup,
						teardown),
		tree_test(only_the_real_root_is_libcgroups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
