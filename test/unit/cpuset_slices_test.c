/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_slices_test.c - systemd's AllowedCPUs on everything but the guests
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 */
#include "test/unit/cpuset_kernel.h"

#define SLICES	"method = slices\ntimeout_ms = 1000\n"
#define PINS_A	"cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\nemulator = 0-1\n"
#define PINS_B	"cpus = 5\nvcpu = 0 5\n"
#define DROP_IN "50-AllowedCPUs.conf"

static const char *const units[] = { "system.slice", "user.slice", "init.scope" };
static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

static void host_with_two(void **state)
{
	make_host(*state, false);
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", SLICES PINS_A);
	make_guest(SCOPE_B, PID_B, vcpus_b, "");
	make_claim(UUID_B, PID_B, "running", SLICES PINS_B);
}

static void assert_allowed(const char *cpus, const char *effective)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		assert_string_equal(get("systemd/%s", units[i]), cpus);
		assert_string_equal(get(CG "/%s/cpuset.cpus.effective", units[i]), effective);
	}
}

/* The kernel does not empty the cpuset.cpus of a group with processes in it: all CPUs it is then */
static void assert_free(void)
{
	assert_allowed("", "0-7");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const char *cpus = get(CG "/%s/cpuset.cpus", units[i]);

		assert_true(!*cpus || strcmp(cpus, "0-7") == 0);
		assert_false(has_state("run/systemd/system.control"));
		assert_false(has_state("run/systemd/transient/init.scope.d"));
	}
	assert_true(has_state("run/systemd/transient"));
}

static void the_slices_lose_the_guests_cpus_and_get_them_back(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_allowed("0-1,4-7", "0-1,4-7");
	assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.effective"), "0-7");
	assert_true(has_state("run/systemd/system.control/user.slice.d/" DROP_IN));
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_free();
	assert_no_state();
}

static void two_guests_end_exact_in_any_order(void **state)
{
	static const char *const order[][2] = { { UUID_A, UUID_B }, { UUID_B, UUID_A } };

	host_with_two(state);
	for (int start = 0; start < 2; start++) {
		for (int end = 0; end < 2; end++) {
			assert_int_equal(apply(order[start][0]), HELPER_DONE);
			assert_int_equal(apply(order[start][1]), HELPER_DONE);
			assert_allowed("0-1,4,6-7", "0-1,4,6-7");
			assert_int_equal(undo(order[end][0]), HELPER_DONE);
			if (end == 0)
				assert_allowed("0-4,6-7", "0-4,6-7");
			else
				assert_allowed("0-1,4-7", "0-1,4-7");
			assert_int_equal(undo(order[end][1]), HELPER_DONE);
			assert_silent();
			assert_free();
			assert_no_state();
		}
	}
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

static void a_kill_at_any_step_is_repaired(void **state)
{
	int at;

	host_with_two(state);
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_free();
		assert_no_state();
	}
	/* per unit: drop-in kept, announced, baseline kept, write noted, written */
	assert_int_equal(at - 1, 3 * 5);
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_silent();
		assert_allowed("0-1,4-7", "0-1,4-7");
		assert_int_equal(undo(UUID_A), HELPER_DONE);
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
		assert_no_state();
	} while (killed);
	assert_true(at > 12);
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
			assert_no_state();
		}
	} while (r != HELPER_DONE);
	assert_int_equal(nr - 1, 3 * 5);
}

static void what_cannot_be_taken_back_is_undone_later(void **state)
{
	int nr = 0, r;

	host_with_two(state);
	do {
		host.fail_from = ++nr;
		r = apply(UUID_A);
		host.fail_from = 0;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_free();
		assert_no_state();
	} while (r != HELPER_DONE);
	assert_true(nr > 10);
}

static void the_admins_own_value_is_narrowed_and_comes_back(void **state)
{
	char *before;

	host_with_two(state);
	put("0-5", "systemd/system.slice");
	put("0-5", CG "/system.slice/cpuset.cpus");
	put("1,5", "systemd/user.slice");
	put("1,5", CG "/user.slice/cpuset.cpus");
	put("1,5", "run/systemd/system.control/user.slice.d/" DROP_IN);
	put("0-7", "systemd/init.scope");
	put("0-7", CG "/init.scope/cpuset.cpus");
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "0-1,4-5");
	assert_string_equal(get("systemd/user.slice"), "1,5");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_string_equal(get("systemd/user.slice"), "1");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_slice_that_would_have_no_cpu_left_is_refused_with_all_of_it_back(void **state)
{
	char *before;

	host_with_two(state);
	put("2-3", "systemd/user.slice");
	put("2-3", CG "/user.slice/cpuset.cpus");
	put("0-7", CG "/system.slice/cpuset.cpus");
	settle();
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("user.slice would have no CPU left: give the guests fewer");
	assert_same(before);
	assert_no_state();
	free(before);
}

static void cpus_that_are_not_online_do_not_count_as_left(void **state)
{
	host_with_two(state);
	put("0-3", "sys/devices/system/cpu/online");
	put("2-5", "systemd/system.slice");
	put("2-5", CG "/system.slice/cpuset.cpus");
	settle();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("system.slice would have no CPU left");
}

static void cpus_that_come_online_later_are_not_lost_to_the_host(void **state)
{
	host_with_two(state);
	put("0-5", "sys/devices/system/cpu/online");
	settle();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0-7", "sys/devices/system/cpu/online");
	settle();
	assert_allowed("0-1,4-7", "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_free();
}

static void a_value_that_somebody_else_has_set_meanwhile_stays(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0", "systemd/user.slice");
	put("0", CG "/user.slice/cpuset.cpus");
	settle();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: the CPUs of user.slice (slice) have been changed to 0 "
			    "meanwhile: left so\n");
	assert_string_equal(get("systemd/user.slice"), "0");
	assert_string_equal(get("systemd/system.slice"), "");
	/* The drop-in is theirs now */
	assert_true(has_state("run/systemd/system.control/user.slice.d/" DROP_IN));
	assert_false(has_state("run/systemd/system.control/system.slice.d"));
	assert_no_state();
}

static void a_value_that_somebody_else_has_set_between_two_guests_is_the_new_baseline(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0,4-5", "systemd/user.slice");
	put("0,4-5", CG "/user.slice/cpuset.cpus");
	settle();
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_string_equal(get("systemd/user.slice"), "0,4");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/user.slice"), "0,4-5");
	assert_string_equal(get("systemd/system.slice"), "");
	assert_no_state();
}

static void a_dead_guests_share_does_not_count(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_allowed("0-4,6-7", "0-4,6-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_allowed("0-4,6-7", "0-4,6-7");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_free();
	assert_no_state();
}

static void a_value_that_systemd_accepts_and_does_not_write_is_noticed(void **state)
{
	host_with_two(state);
	host.idle = true;
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("systemd accepted AllowedCPUs=0-1,4-7 for system.slice, but "
		    "cpuset.cpus.effective does not say so");
	assert_free();
	assert_no_state();
}

static void what_an_empty_value_leaves_is_looked_at(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	host.narrows = true;
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("systemd has cleared AllowedCPUs of init.scope, but cpuset.cpus.effective is "
		    "not 0-7");
	host.narrows = false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		put("0-7", CG "/%s/cpuset.cpus", units[i]);
	settle();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_free();
	assert_no_state();
}

/* The guest's CPUs were never in it: nothing is written, and nothing noted, for it */
static void host_with_a_value_that_needs_no_change(void **state)
{
	host_with_two(state);
	put("0-1", "systemd/system.slice");
	put("0-1", CG "/system.slice/cpuset.cpus");
	settle();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "0-1");
	put("0-4,7", "systemd/system.slice");
	put("0-4,7", CG "/system.slice/cpuset.cpus");
	settle();
}

static void a_value_that_needed_no_change_and_was_set_meanwhile_stays(void **state)
{
	host_with_a_value_that_needs_no_change(state);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: the CPUs of system.slice (slice) have been changed to 0-4,7 "
			    "meanwhile: left so\n");
	assert_string_equal(get("systemd/system.slice"), "0-4,7");
	assert_no_state();
}

static void a_value_that_needed_no_change_and_was_set_between_two_guests_comes_back(void **state)
{
	static const char *const uuids[] = { UUID_A, UUID_B };

	for (int end = 0; end < 2; end++) {
		host_with_a_value_that_needs_no_change(state);
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		assert_string_equal(get("systemd/system.slice"), "0-1,4,7");
		assert_int_equal(undo(uuids[end]), HELPER_DONE);
		assert_int_equal(undo(uuids[!end]), HELPER_DONE);
		assert_silent();
		assert_string_equal(get("systemd/system.slice"), "0-4,7");
		assert_no_state();
	}
}

static void a_value_left_so_stays_when_undo_is_killed_at_any_step(void **state)
{
	bool killed = true;

	for (int at = 1; killed; at++) {
		host_with_two(state);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		put("0", "systemd/user.slice");
		put("0", CG "/user.slice/cpuset.cpus");
		settle();
		killed = killed_at(at, "undo", UUID_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_string_equal(get("systemd/user.slice"), "0");
		assert_no_state();
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
}

/* As `systemctl revert` does it: systemd has no value any more, and the group still has ours */
static void a_value_that_the_admin_has_cleared_meanwhile_is_cleared_in_the_group_too(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("", "systemd/system.slice");
	assert_string_equal(get(CG "/system.slice/cpuset.cpus.effective"), "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_free();
	assert_no_state();
}

/* As `systemctl set-property --runtime` does it; @where: the drop-in's directory */
static void set_property(const char *where, const char *cpus)
{
	put(cpus, "systemd/system.slice");
	put(cpus, "%s/system.slice.d/" DROP_IN, where);
	put(cpus, CG "/system.slice/cpuset.cpus");
	settle();
}

static void a_runtime_value_of_the_admins_meanwhile_keeps_its_drop_in(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	set_property("run/systemd/system.control", "0-5");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "0-1,4-5");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get("systemd/system.slice"), "0-5");
	assert_true(has_state("run/systemd/system.control/system.slice.d/" DROP_IN));
	assert_false(has_state("run/systemd/system.control/user.slice.d"));
	assert_no_state();
}

/* Theirs lies elsewhere, and ours goes */
static void a_lasting_value_of_the_admins_meanwhile_leaves_no_drop_in_of_ours(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	set_property("etc/systemd/system.control", "0-5");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_string_equal(get("systemd/system.slice"), "0-5");
	assert_true(has_state("etc/systemd/system.control/system.slice.d/" DROP_IN));
	assert_false(has_state("run/systemd/system.control"));
	assert_no_state();
}

/* No second guest has looked at it: the end of the only one does */
static void a_lasting_value_under_a_lone_guest_leaves_no_drop_in_of_ours(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	set_property("etc/systemd/system.control", "0-5");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("the CPUs of system.slice (slice) have been changed to 0-5 meanwhile: left so");
	assert_string_equal(get("systemd/system.slice"), "0-5");
	assert_true(has_state("etc/systemd/system.control/system.slice.d/" DROP_IN));
	assert_false(has_state("run/systemd/system.control"));
	assert_no_state();
}

static void a_runtime_value_under_a_lone_guest_keeps_its_drop_in(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	set_property("run/systemd/system.control", "0-5");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "0-5");
	assert_true(has_state("run/systemd/system.control/system.slice.d/" DROP_IN));
	assert_no_state();
}

static void a_kill_while_the_admins_value_is_adopted_keeps_its_drop_in(void **state)
{
	bool killed = true;
	int at;

	for (at = 1; killed; at++) {
		host_with_two(state);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		set_property("run/systemd/system.control", "0-5");
		killed = killed_at(at, "apply", UUID_A);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_string_equal(get("systemd/system.slice"), "0-5");
		assert_true(has_state("run/systemd/system.control/system.slice.d/" DROP_IN));
		assert_no_state();
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
	/* each unit's drop-in looked at; of this one noted anew, baseline, write noted, written */
	assert_true(at > 3 + 4);
}

static void what_a_guest_with_an_unreadable_claim_holds_stays_taken(void **state)
{
	host_with_two(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	spoil_claim(UUID_B);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("what the guest of /run/usher/" UUID_B " holds stays taken");
	assert_allowed("0-4,6-7", "0-4,6-7");
	make_claim(UUID_B, PID_B, "running", SLICES PINS_B);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_free();
	assert_no_state();
}

static void a_systemd_that_does_not_answer_is_said(void **state)
{
	host_with_two(state);
	host.no_bus = true;
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("cannot ask systemd for AllowedCPUs of system.slice: Connection refused");
	host.no_bus = false;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	host.no_bus = true;
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("the CPU settings are not all back: cannot ask systemd");
	host.no_bus = false;
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_free();
	assert_no_state();
}

static void a_host_without_systemd_cannot_do_it(void **state)
{
	host_with_two(state);
	remove_tree("run/systemd");
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("this host does not run systemd");
	assert_int_equal(host.writes, 0);
}

static void a_unit_without_a_group_is_left_out(void **state)
{
	host_with_two(state);
	remove_tree(CG "/user.slice");
	settle();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "0-1,4-7");
	assert_string_equal(get("systemd/user.slice"), "");
}

static void a_dry_run_prints_what_would_be_set(void **state)
{
	char *before;

	host_with_two(state);
	before = snapshot();
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed,
			    "set AllowedCPUs=0-1,4-7 of system.slice until the next boot\n"
			    "set AllowedCPUs=0-1,4-7 of user.slice until the next boot\n"
			    "set AllowedCPUs=0-1,4-7 of init.scope until the next boot\n");
	assert_same(before);
	assert_no_state();
	free(before);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	before = snapshot();
	assert_int_equal(run_helper("--dry-run", "undo", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed,
			    "set AllowedCPUs=0-7 of init.scope until the next boot\n"
			    "set AllowedCPUs= of init.scope until the next boot\n"
			    "remove /run/systemd/transient/init.scope.d/" DROP_IN "\n"
			    "set AllowedCPUs=0-7 of user.slice until the next boot\n"
			    "set AllowedCPUs= of user.slice until the next boot\n"
			    "remove /run/systemd/system.control/user.slice.d/" DROP_IN "\n"
			    "set AllowedCPUs=0-7 of system.slice until the next boot\n"
			    "set AllowedCPUs= of system.slice until the next boot\n"
			    "remove /run/systemd/system.control/system.slice.d/" DROP_IN "\n");
	assert_same(before);
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(the_slices_lose_the_guests_cpus_and_get_them_back),
		tree_test(two_guests_end_exact_in_any_order),
		tree_test(apply_and_undo_twice_do_nothing_the_second_time),
		tree_test(a_kill_at_any_step_is_repaired),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		tree_test(each_write_that_fails_leaves_the_host_as_before),
		tree_test(what_cannot_be_taken_back_is_undone_later),
		tree_test(the_admins_own_value_is_narrowed_and_comes_back),
		tree_test(a_slice_that_would_have_no_cpu_left_is_refused_with_all_of_it_back),
		tree_test(cpus_that_are_not_online_do_not_count_as_left),
		tree_test(cpus_that_come_online_later_are_not_lost_to_the_host),
		tree_test(a_value_that_somebody_else_has_set_meanwhile_stays),
		tree_test(
			a_value_that_somebody_else_has_set_between_two_guests_is_the_new_baseline),
		tree_test(a_value_that_needed_no_change_and_was_set_meanwhile_stays),
		tree_test(a_value_that_needed_no_change_and_was_set_between_two_guests_comes_back),
		tree_test(a_value_left_so_stays_when_undo_is_killed_at_any_step),
		tree_test(a_value_that_the_admin_has_cleared_meanwhile_is_cleared_in_the_group_too),
		tree_test(a_dead_guests_share_does_not_count),
		tree_test(a_value_that_systemd_accepts_and_does_not_write_is_noticed),
		tree_test(what_an_empty_value_leaves_is_looked_at),
		tree_test(a_runtime_value_of_the_admins_meanwhile_keeps_its_drop_in),
		tree_test(a_lasting_value_of_the_admins_meanwhile_leaves_no_drop_in_of_ours),
		tree_test(a_lasting_value_under_a_lone_guest_leaves_no_drop_in_of_ours),
		tree_test(a_runtime_value_under_a_lone_guest_keeps_its_drop_in),
		tree_test(a_kill_while_the_admins_value_is_adopted_keeps_its_drop_in),
		tree_test(what_a_guest_with_an_unreadable_claim_holds_stays_taken),
		tree_test(a_systemd_that_does_not_answer_is_said),
		tree_test(a_host_without_systemd_cannot_do_it),
		tree_test(a_unit_without_a_group_is_left_out),
		tree_test(a_dry_run_prints_what_would_be_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
