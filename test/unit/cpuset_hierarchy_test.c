/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_hierarchy_test.c - what is asked of libcgroup, and what its answers mean
 *
 * wraps: cgroup_init cgroup_get_subsys_mount_point cgroup_modify_cgroup cgroup_get_last_errno
 * wraps: cgroup_new_cgroup
 */
#include "test/unit/tree.h"

#include <libcgroup.h>

#include "helpers/cpuset/cpuset.h"

static struct {
	int init, find, modify, last_errno; /* what libcgroup returns */
	const char *mount;
	bool no_memory;
	char name[PATH_MAX];
	char *file, *value; /* what it was asked to write */
} lib;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_cgroup_init(void);
int __wrap_cgroup_init(void)
{
	return lib.init;
}

int __wrap_cgroup_get_last_errno(void);
int __wrap_cgroup_get_last_errno(void)
{
	return lib.last_errno;
}

int __wrap_cgroup_get_subsys_mount_point(const char *controller, char **mount_point);
int __wrap_cgroup_get_subsys_mount_point(const char *controller, char **mount_point)
{
	assert_string_equal(controller, "cpuset");
	if (lib.find)
		return lib.find;
	*mount_point = strdup(lib.mount);
	return 0;
}

struct cgroup *__real_cgroup_new_cgroup(const char *name);
struct cgroup *__wrap_cgroup_new_cgroup(const char *name);
struct cgroup *__wrap_cgroup_new_cgroup(const char *name)
{
	assert_int_equal(path_format(lib.name, sizeof(lib.name), "%s", name), 0);
	return lib.no_memory ? NULL : __real_cgroup_new_cgroup(name);
}

int __wrap_cgroup_modify_cgroup(struct cgroup *cgroup);
int __wrap_cgroup_modify_cgroup(struct cgroup *cgroup)
{
	struct cgroup_controller *cpuset = cgroup_get_controller(cgroup, "cpuset");

	assert_non_null(cpuset);
	assert_int_equal(cgroup_get_value_name_count(cpuset), 1);
	lib.file = strdup(cgroup_get_value_name(cpuset, 0));
	assert_int_equal(cgroup_get_value_string(cpuset, lib.file, &lib.value), 0);
	return lib.modify;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

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

/* First of all: afterwards libcgroup is not started again */
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
