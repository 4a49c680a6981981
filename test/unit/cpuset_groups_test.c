/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_groups_test.c - where the hierarchy and the guest's groups are
 *
 * wraps: hierarchy_is_ours hierarchy_find
 */
#include "test/unit/tree.h"

#include "helpers/cpuset/cpuset.h"

static const char *libcgroup_says; /* NULL: another root than "/" */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx);
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx)
{
	(void)ctx;
	return libcgroup_says != NULL;
}

int __wrap_hierarchy_find(char *buf, size_t size);
int __wrap_hierarchy_find(char *buf, size_t size)
{
	return *libcgroup_says ? path_format(buf, size, "%s", libcgroup_says) : -ENOENT;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void the_mount_is_where_everybody_has_it(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);

	libcgroup_says = NULL;
	tree_file(tree, "sys/fs/cgroup/cgroup.controllers", "cpu cpuset io\n");
	assert_int_equal(groups_mount(&job), 0);
	assert_string_equal(job.mount, "sys/fs/cgroup");
	assert_int_equal(groups_mount(&job), 0);
}

static void a_mount_elsewhere_is_known_by_libcgroup(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);

	tree_file(tree, "sys/fs/cgroup/cgroup.controllers", "cpu io\n");
	tree_file(tree, "cgroup2/cgroup.controllers", "cpuset\n");
	libcgroup_says = NULL;
	assert_int_equal(groups_mount(&job), -EOPNOTSUPP);
	assert_string_equal(job.why,
			    "no cgroup v2 with a cpuset controller is mounted on /sys/fs/cgroup");
	libcgroup_says = "";
	assert_int_equal(groups_mount(&job), -EOPNOTSUPP);
	libcgroup_says = "cgroup2";
	assert_int_equal(groups_mount(&job), 0);
	assert_string_equal(job.mount, "cgroup2");
}

static void a_v2_beside_systemds_own_v1_is_nobodys(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);

	tree_dir(tree, "run/systemd/system");
	tree_file(tree, "sys/fs/cgroup/unified/cgroup.controllers", "cpuset memory\n");
	libcgroup_says = "sys/fs/cgroup/unified";
	assert_int_equal(groups_mount(&job), -EOPNOTSUPP);
	assert_non_null(strstr(job.why, "the cpuset controller is on cgroup v1: boot with"));
}

static void a_v1_hierarchy_is_told_from_none(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);

	libcgroup_says = "cgroup1";
	tree_file(tree, "cgroup1/cpuset.cpus", "0-3\n");
	assert_int_equal(groups_mount(&job), -EOPNOTSUPP);
	assert_non_null(strstr(job.why, "the cpuset controller is on cgroup v1"));
	libcgroup_says = NULL;
	assert_int_equal(groups_mount(&job), -EOPNOTSUPP);
	assert_non_null(strstr(job.why, "no cgroup v2"));
	tree_dir(tree, "sys/fs/cgroup/cpuset");
	assert_int_equal(groups_mount(&job), -EOPNOTSUPP);
	assert_non_null(strstr(job.why, "the cpuset controller is on cgroup v1"));
}

static void a_mount_that_cannot_be_read_is_an_error(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);

	libcgroup_says = NULL;
	tree_dir(tree, "sys/fs/cgroup/cgroup.controllers");
	assert_int_equal(groups_mount(&job), -EISDIR);
	assert_string_equal(job.why, "cannot look for the cpuset controller: Is a directory");
	assert_string_equal(job.mount, "");
}

static void the_guests_topmost_group_is_above_libvirts_level(void **state)
{
	static const struct {
		const char *base, *guest;
	} cases[] = {
		{ "machine.slice/a.scope/libvirt", "machine.slice/a.scope" },
		{ "machine.slice/machine-foo.slice/a.scope/libvirt",
		  "machine.slice/machine-foo.slice/a.scope" },
		{ "machine.slice/a.scope", "machine.slice/a.scope" },
		{ "a.scope", "a.scope" },
		{ "a.scope/libvirt", "a.scope" },
	};
	static const char *const bad[] = { "",	 "/a",	 "a/",	 "a//b",  ".",
					   "..", "a/..", "../a", "a/./b", "libvirt" };
	struct guest_groups groups = { .base = "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(groups_of_base(cases[i].base, &groups), 0);
		assert_string_equal(groups.base, cases[i].base);
		assert_string_equal(groups.guest, cases[i].guest);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(groups_of_base(bad[i], &groups), -EBADMSG);
}

static void the_groups_above_come_from_the_top_down(void **state)
{
	static const char *const want[] = { "a", "a/b.slice", "a/b.slice/c" };
	char buf[PATH_MAX];
	size_t len = 0, nr = 0;

	(void)state;
	while ((len = groups_next_ancestor("a/b.slice/c/d", len, buf)) > 0) {
		assert_true(nr < ARRAY_SIZE(want));
		assert_string_equal(buf, want[nr++]);
	}
	assert_int_equal(nr, ARRAY_SIZE(want));
	assert_int_equal(groups_next_ancestor("a", 0, buf), 0);
}

static void a_cpu_list_that_is_none_is_refused(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);
	struct cpulist cpus;

	assert_int_equal(path_format(job.mount, sizeof(job.mount), "cg"), 0);
	tree_file(tree, "cg/a/cpuset.cpus", "0-1 and more\n");
	assert_int_equal(groups_read_cpus(&job, "a", "cpuset.cpus", &cpus), -EBADMSG);
	assert_int_equal(groups_read_cpus(&job, "b", "cpuset.cpus", &cpus), -ENOENT);
	tree_file(tree, "cg/cpuset.cpus", "0-1\n");
	assert_int_equal(groups_read_cpus(&job, "", "cpuset.cpus", &cpus), 0);
	assert_int_equal(cpulist_count(&cpus), 2);
}

static void a_write_that_fails_is_told_with_value_path_and_reason(void **state)
{
	struct tree *tree = *state;
	struct helper_ctx ctx = { .rootfd = tree->rootfd };
	struct cpuset_job job = JOB_INIT(&ctx);
	struct cpulist cpus = { 0 };

	assert_int_equal(path_format(job.mount, sizeof(job.mount), "cg"), 0);
	cpulist_add(&cpus, 5);
	assert_int_equal(groups_write_cpus(&job, "a", "cpuset.cpus", &cpus), -ENOENT);
	assert_string_equal(job.why,
			    "cannot write '5' to /cg/a/cpuset.cpus: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(the_mount_is_where_everybody_has_it),
		tree_test(a_mount_elsewhere_is_known_by_libcgroup),
		tree_test(a_v2_beside_systemds_own_v1_is_nobodys),
		tree_test(a_v1_hierarchy_is_told_from_none),
		tree_test(a_mount_that_cannot_be_read_is_an_error),
		cmocka_unit_test(the_guests_topmost_group_is_above_libvirts_level),
		cmocka_unit_test(the_groups_above_come_from_the_top_down),
		tree_test(a_cpu_list_that_is_none_is_refused),
		tree_test(a_write_that_fails_is_told_with_value_path_and_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
