/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_plain_test.c - cpuset.cpus of the top-level groups but the guests'
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: hierarchy_is_ours hierarchy_store
 */
#include "test/unit/cpuset_kernel.h"

#define PLAIN  "method = plain\ntimeout_ms = 500\n"
#define PINS_A "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define PINS_B "cpus = 5\nvcpu = 0 5\n"
#define ETC    "openrc.sshd"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

static bool real_root; /* as if it were: then libcgroup writes */
static int nr_stored;
static bool no_library; /* libcgroup is only recommended */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx);
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx)
{
	(void)ctx;
	return real_root;
}

int __wrap_hierarchy_store(const char *group, const char *file, const char *value);
int __wrap_hierarchy_store(const char *group, const char *file, const char *value)
{
	char path[PATH_MAX];

	if (no_library)
		return -EOPNOTSUPP;
	nr_stored++;
	assert_string_not_equal(value, "");
	fmt(path, CG "/%s/%s", group, file);
	return __wrap_attr_write(host.tree->rootfd, path, value);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* An init without systemd: each service a group at the top, libvirt's guests in /machine */
static void host_with_two(void **state)
{
	static const char *const tops[] = { "init.scope", "system.slice", "user.slice", MACHINE };

	real_root = false;
	make_host(*state, false);
	remove_tree("run/systemd");
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		char path[64];

		fmt(path, CG "/%s", tops[i]);
		remove_tree(path);
	}
	make_group(ETC, "", false);
	make_group("elogind", "0-3", false);
	make_group("machine", "", false);
	make_guest("machine/qemu-1-a.libvirt-qemu", PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", PLAIN PINS_A);
	make_guest("machine/qemu-2-b.libvirt-qemu", PID_B, vcpus_b, "");
	make_claim(UUID_B, PID_B, "running", PLAIN PINS_B);
}

/* What the kernel does not let us empty has all CPUs */
static void assert_free(void)
{
	const char *cpus = get(CG "/" ETC "/cpuset.cpus");

	assert_true(!*cpus || strcmp(cpus, "0-7") == 0);
	assert_string_equal(get(CG "/elogind/cpuset.cpus"), "0-3");
	assert_string_equal(get(CG "/" ETC "/cpuset.cpus.effective"), "0-7");
	assert_string_equal(get(CG "/machine/cpuset.cpus"), "");
	assert_no_state();
}

static void all_groups_but_the_guests_lose_the_cpus_and_get_them_back(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" ETC "/cpuset.cpus"), "0-1,4-7");
	assert_string_equal(get(CG "/elogind/cpuset.cpus"), "0-1");
	assert_string_equal(get(CG "/machine/cpuset.cpus"), "");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_free();
}

static void a_group_without_processes_is_emptied_again(void **state)
{
	host_with_two(state);
	put("", CG "/" ETC "/cgroup.procs");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/" ETC "/cpuset.cpus"), "");
	assert_free();
}

static void two_guests_end_exact_in_any_order(void **state)
{
	static const char *const order[][2] = { { UUID_A, UUID_B }, { UUID_B, UUID_A } };

	host_with_two(state);
	for (int start = 0; start < 2; start++) {
		for (int end = 0; end < 2; end++) {
			assert_int_equal(apply(order[start][0]), HELPER_DONE);
			assert_int_equal(apply(order[start][1]), HELPER_DONE);
			assert_string_equal(get(CG "/" ETC "/cpuset.cpus"), "0-1,4,6-7");
			assert_int_equal(undo(order[end][0]), HELPER_DONE);
			assert_string_equal(get(CG "/" ETC "/cpuset.cpus"),
					    end == 0 ? "0-4,6-7" : "0-1,4-7");
			assert_int_equal(undo(order[end][1]), HELPER_DONE);
			assert_silent();
			assert_free();
		}
	}
}

static void a_kill_at_any_step_is_repaired(void **state)
{
	int at;

	host_with_two(state);
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_free();
	}
	assert_true(at > 8);
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_free();
	}
}

static void a_kill_of_undo_at_any_step_is_repaired_by_the_next(void **state)
{
	bool killed;
	int at = 0;

	host_with_two(state);
	do {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		killed = killed_at(++at, "undo", UUID_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_free();
	} while (killed);
	assert_true(at > 8);
}

static void each_write_that_fails_leaves_the_host_as_before(void **state)
{
	int nr = 0, r;

	host_with_two(state);
	do {
		host.fail_at = ++nr;
		r = apply(UUID_A);
		host.fail_at = 0;
		if (r != HELPER_DONE) {
			assert_int_equal(r, HELPER_FAILED);
			assert_said("cannot be kept free of others: cannot ");
			assert_free();
		}
	} while (r != HELPER_DONE);
	assert_true(nr > 8);
}

static void apply_and_undo_twice_do_nothing_the_second_time(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(host.writes, 0);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(host.writes, 0);
	assert_free();
}

static void a_group_that_is_gone_has_nothing_to_get_back(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	remove_tree(CG "/" ETC);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/elogind/cpuset.cpus"), "0-3");
	assert_no_state();
}

static void where_all_runs_in_the_root_group_nothing_can_be_done(void **state)
{
	host_with_two(state);
	remove_tree(CG "/" ETC);
	remove_tree(CG "/elogind");
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said(
		"no cgroup beside /machine has cpuset.cpus: what runs on this host is in the root "
		"group, which cannot be confined");
	assert_no_state();
}

static void the_guests_own_group_is_known_by_its_process_only(void **state)
{
	host_with_two(state);
	make_claim(UUID_A, PID_A, "handed", PLAIN PINS_A);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("the guest does not run");
	assert_int_equal(host.writes, 0);
}

static void on_the_real_root_libcgroup_writes(void **state)
{
	host_with_two(state);
	real_root = true;
	nr_stored = 0;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(nr_stored, 2);
	assert_string_equal(get(CG "/" ETC "/cpuset.cpus"), "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(nr_stored, 4);
	assert_silent();
	assert_free();
	host.fail_at = 4;
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("cannot set cpuset.cpus of elogind to 0-1: Input/output error");
	host.fail_at = 0;
	assert_free();
}

static void a_group_that_keeps_the_cpus_all_the_same_is_a_failure(void **state)
{
	host_with_two(state);
	host.lie = "elogind/cpuset.cpus";
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said,
			    "usher: a: its CPUs 2-3 cannot be kept free of others: elogind still "
			    "runs on 2-3 although its cpuset.cpus have been set: give it CPUs that "
			    "no guest has\n");
	assert_free();
}

static void without_libcgroup_the_files_are_written(void **state)
{
	host_with_two(state);
	real_root = no_library = true;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/elogind/cpuset.cpus"), "0-1");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	no_library = false;
	assert_free();
}

static void a_dry_run_prints_every_write(void **state)
{
	char *before;

	host_with_two(state);
	before = snapshot();
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed, "write /" CG "/elogind/cpuset.cpus 0-1\n"
					  "write /" CG "/" ETC "/cpuset.cpus 0-1,4-7\n");
	assert_same(before);
	assert_no_state();
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(all_groups_but_the_guests_lose_the_cpus_and_get_them_back),
		tree_test(without_libcgroup_the_files_are_written),
		tree_test(a_group_without_processes_is_emptied_again),
		tree_test(two_guests_end_exact_in_any_order),
		tree_test(a_kill_at_any_step_is_repaired),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		tree_test(each_write_that_fails_leaves_the_host_as_before),
		tree_test(apply_and_undo_twice_do_nothing_the_second_time),
		tree_test(a_group_that_is_gone_has_nothing_to_get_back),
		tree_test(where_all_runs_in_the_root_group_nothing_can_be_done),
		tree_test(the_guests_own_group_is_known_by_its_process_only),
		tree_test(on_the_real_root_libcgroup_writes),
		tree_test(a_group_that_keeps_the_cpus_all_the_same_is_a_failure),
		tree_test(a_dry_run_prints_every_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
