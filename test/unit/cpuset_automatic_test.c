/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_automatic_test.c - pin = auto, from the claim to the guest's groups and back
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: renameat
 */
#include "test/unit/cpuset_kernel.h"
#include "test/unit/machine.h"

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
/* The claim and the baseline are there as a whole with this, or not at all */
int __real_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	int r = step();

	if (r == 0)
		return __real_renameat(from_dirfd, from, to_dirfd, to);
	errno = -r;
	return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

#define WANTED "pin = auto\nvcpus = 2\n"

/* The host's eight CPUs as eight cores of one thread, in two caches of four */
static const struct machine plain = { .name = "eight cores",
				      .packages = 1,
				      .nodes = 1,
				      .l3s = 2,
				      .cores = 8,
				      .threads = 1,
				      .l3_kib = 8192 };

static const char *const vcpus[] = { "", "", NULL };
static const char *const vcpus_b[] = { "4", "5", NULL };

static void make_eight(struct tree *tree)
{
	make_host(tree, true);
	machine_make(tree, &plain);
	settle();
}

static void claim_a(const char *state, const char *section)
{
	make_claim(UUID_A, PID_A, state, section);
}

static const char *claim_text(void)
{
	return get("run/usher/" UUID_A "/claim.ini");
}

/* As the hook does it: choose, and then the guest runs */
static void start_a(const char *wanted)
{
	char text[2048], *state;

	claim_a("preparing", wanted);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_silent();
	fmt(text, "%s", claim_text());
	state = strstr(text, "preparing");
	assert_non_null(state);
	memcpy(state, "running  ", strlen("running  "));
	put(text, "run/usher/" UUID_A "/claim.ini");
	make_guest(SCOPE_A, PID_A, vcpus, "");
}

static void the_choice_is_written_into_the_claim(void **state)
{
	make_eight(*state);
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_silent();
	assert_non_null(strstr(claim_text(), "cpus = 6-7\nvcpu = 0 6\nvcpu = 1 7"));
}

static void each_vcpu_that_is_there_has_a_core_whatever_its_number(void **state)
{
	make_eight(*state);
	claim_a("preparing", WANTED "online = 0,2\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_silent();
	assert_non_null(strstr(claim_text(), "cpus = 6-7\nvcpu = 0 6\nvcpu = 2 7"));
}

static void a_choice_is_made_once(void **state)
{
	char before[2048];

	make_eight(*state);
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	fmt(before, "%s", claim_text());
	/* Somebody has taken what would be chosen now */
	make_claim(UUID_B, PID_B, "running", "cpus = 4\nvcpu = 0 4\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_string_equal(claim_text(), before);
}

static void cpus_of_another_guest_are_not_chosen_be_it_dead_or_alive(void **state)
{
	make_eight(*state);
	make_claim(UUID_B, PID_B, "running", "cpus = 6\nvcpu = 0 6\n");
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 5,7\n"));
}

static void cpus_of_another_guests_emulator_are_not_chosen(void **state)
{
	make_eight(*state);
	make_claim(UUID_B, 1, "handed", "cpus = 6\nvcpu = 0 6\nemulator = 5\niothread = 1 4,7\n");
	make_process(1, "init.scope");
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 2-3\n"));
}

/* Its own isolated partitions would fail by them: one of the whole guest would be left */
static void cpus_of_its_own_emulator_are_not_chosen_while_others_are_free(void **state)
{
	make_eight(*state);
	claim_a("preparing", WANTED "emulator = 6-7\niothread = 1 3,4\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_silent();
	assert_non_null(strstr(claim_text(), "\ncpus = 1-2\n"));
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	/* A container gives way before that */
	make_group("system.slice/docker-1.scope", "1-2,5", true);
	settle();
	claim_a("preparing", WANTED "emulator = 6-7\niothread = 1 3,4\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "\ncpus = 1-2\n"));
}

static void cpus_of_its_own_emulator_are_chosen_before_none_and_that_is_said(void **state)
{
	static const char said[] =
		"a: no whole cores are free for its vCPUs but those that its own emulator is "
		"pinned to (5-7), so CPUs 6-7 are not for its vCPUs alone: pin it to other CPUs "
		"(<emulatorpin>)\n";

	make_eight(*state);
	make_claim(UUID_B, PID_B, "running", "cpus = 1-4\nvcpu = 0 1-4\n");
	claim_a("preparing", WANTED "emulator = 5-7\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_said(said);
	assert_non_null(strstr(claim_text(), "\ncpus = 6-7\n"));
	claim_a("preparing", WANTED "iothread = 12 5-7\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_said("but those that its own iothread12 is pinned to (5-7)");
	assert_said("(<iothreadpin>)\n");
}

/* Before it is started, too */
static void check_tells_what_comes_of_a_choice_on_its_own_emulators_cpus(void **state)
{
	make_eight(*state);
	make_claim(UUID_B, PID_B, "running", "cpus = 1-4\nvcpu = 0 1-4\n");
	claim_a("preparing", WANTED "emulator = 5-7\n");
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_said("CPUs 6-7 will not be isolated one by one: emulator is pinned to 5-7, where a "
		    "vCPU is: pin it to other CPUs");
}

static void cpus_that_the_slices_above_do_not_have_are_not_chosen(void **state)
{
	make_eight(*state);
	put("1-4", CG "/" MACHINE "/cpuset.cpus");
	settle();
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 2-3\n"));
	claim_a("preparing", WANTED "allowed = 0-1,4-7\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 1,4\n"));
	claim_a("preparing", WANTED "allowed = 0,5-7\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_FAILED);
	assert_said("a: no cores can be chosen for it: its XML allows CPUs 0,5-7, and the slices "
		    "above it have 1-4: change one of the two");
	/* A slice that is not there yet will have those of the one above it, one that is its own */
	claim_a("preparing", WANTED "partition = /machine/gpu\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 2-3\n"));
	make_group(MACHINE "/machine-gpu.slice", "3-4", true);
	settle();
	claim_a("preparing", WANTED "partition = /machine/gpu\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 3-4\n"));
}

/* Nobody would be pinned to them, and no other guest could have them */
static void without_cgroup_v2_none_are_chosen_and_the_cure_is_said(void **state)
{
	make_eight(*state);
	tree_dir(host.tree, CG "/cpuset");
	put("cpu io", CG "/cgroup.controllers");
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_FAILED);
	assert_string_equal(
		host.said,
		"usher: a: no cores can be chosen for it: the cpuset controller is on cgroup v1: "
		"boot with systemd.unified_cgroup_hierarchy=1, or pin its vCPUs in its XML "
		"(<vcpupin>)\n");
	assert_null(strstr(claim_text(), "\ncpus = "));
}

static void what_a_container_is_pinned_to_is_not_chosen(void **state)
{
	make_eight(*state);
	make_group(MACHINE "/container.scope", "7", true);
	settle();
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 5-6\n"));
	make_group("system.slice/docker-1.scope", "6", true);
	settle();
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 4-5\n"));
	/* One that gives way does, when there is nothing else */
	put("0-6", CG "/system.slice/docker-1.scope/cpuset.cpus");
	claim_a("preparing", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_DONE);
	assert_non_null(strstr(claim_text(), "cpus = 5-6\n"));
}

static void a_guest_that_is_too_large_is_told_what_is_free(void **state)
{
	make_eight(*state);
	make_claim(UUID_B, PID_B, "running", "cpus = 4-7\nvcpu = 0 4-7\n");
	claim_a("preparing", "pin = auto\nvcpus = 4\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_FAILED);
	assert_said("a: no cores can be chosen for it: its 4 vCPUs need whole cores that nobody "
		    "else is pinned to, and one more for the host; free are 4 cores, CPUs 0-3: ");
	assert_null(strstr(claim_text(), "\ncpus ="));
}

static void a_guest_that_runs_is_not_moved(void **state)
{
	make_eight(*state);
	claim_a("running", WANTED);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_USAGE);
	assert_said("cores are chosen when it starts: its claim is in state running");
}

static void a_dry_run_writes_nothing(void **state)
{
	char before[2048];

	make_eight(*state);
	claim_a("preparing", WANTED);
	fmt(before, "%s", claim_text());
	assert_int_equal(run_helper("--dry-run", "choose", UUID_A), HELPER_DONE);
	assert_string_equal(host.printed, "choose CPUs 6-7\n");
	assert_string_equal(claim_text(), before);
}

static void a_claim_without_vcpus_is_not_understood(void **state)
{
	make_eight(*state);
	claim_a("preparing", "pin = auto\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_FAILED);
	claim_a("preparing", "pin = some\nvcpus = 2\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_USAGE);
}

static void a_claim_that_is_malformed_or_anothers_that_cannot_be_read_is_named(void **state)
{
	make_eight(*state);
	claim_a("preparing", WANTED "allowed = x\n");
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_FAILED);
	assert_said("no cores can be chosen for it: [cpuset] allowed = x");
	claim_a("preparing", WANTED);
	make_claim(UUID_B, PID_B, "running", "cpus = 4\nvcpu = 0 4\n");
	spoil_claim(UUID_B);
	assert_int_equal(run_helper("--", "choose", UUID_A), HELPER_FAILED);
	assert_said("the claim /run/usher/" UUID_B "/claim.ini cannot be read");
}

static void check_shows_the_choice_as_a_picture(void **state)
{
	make_eight(*state);
	claim_a("preparing", WANTED);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	assert_non_null(strstr(host.printed, "2 vCPUs on CPUs 6-7\n"));
	assert_non_null(strstr(host.printed, "      L3 cache 1, 8192 KiB\n"
					     "        core 4   CPU 4        host\n"));
	assert_non_null(strstr(host.printed, "core 6   CPU 6        vCPU 0\n"));
	assert_non_null(strstr(host.printed, "core 7   CPU 7        vCPU 1\n"));
}

static void the_vcpus_are_pinned_and_isolated_and_the_host_is_as_before(void **state)
{
	char *before, *started;

	make_eight(*state);
	before = snapshot();
	start_a(WANTED);
	started = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "6");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus.partition"), "isolated");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "6-7");
	/* Again: it is so already */
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(host.writes, 0);
	/* By hand, while it runs. The kernel has no empty list for a group with threads */
	remove_tree(CG "/" SCOPE_A "/libvirt/vcpu0/cgroup.procs");
	remove_tree(CG "/" SCOPE_A "/libvirt/vcpu1/cgroup.procs");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "");
	assert_no_state();
	end_guest(PID_A, SCOPE_A);
	assert_same(before);
	free(before);
	free(started);
}

static void a_list_that_cannot_be_emptied_becomes_all_cpus(void **state)
{
	make_eight(*state);
	start_a(WANTED);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "0-7");
	assert_no_state();
}

static void what_somebody_else_has_pinned_since_stays(void **state)
{
	make_eight(*state);
	start_a(WANTED);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("1", CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("somebody else has pinned ");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "1");
	assert_no_state();
}

/* Whatever write fails, what is said or left over is undone by the next undo */
static void each_step_that_fails_leaves_no_state_after_undo(void **state)
{
	int steps;

	make_eight(*state);
	start_a(WANTED);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	steps = host.steps;
	assert_in_range(steps, 10, 100);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	for (int i = 1; i <= steps; i++) {
		host.fail_at = i;
		(void)apply(UUID_A);
		host.fail_at = 0;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_string_equal(get(CG "/cpuset.cpus.isolated"), "");
		assert_string_equal(get(CG "/" MACHINE "/cpuset.cpus.exclusive"), "");
		assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "0-7");
		assert_no_state();
	}
}

static void a_kill_of_choose_leaves_all_of_the_choice_in_the_claim_or_none(void **state)
{
	char *host_before, before[2048];
	int at;

	make_eight(*state);
	claim_a("preparing", WANTED);
	fmt(before, "%s", claim_text());
	host_before = snapshot();
	for (at = 1; killed_at(at, "choose", UUID_A); at++) {
		assert_string_equal(claim_text(), before);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
	}
	assert_in_range(at, 2, 10);
	assert_non_null(strstr(claim_text(), "cpus = 6-7\nvcpu = 0 6\nvcpu = 1 7"));
	/* The start ends here: no group is there, and nothing was written but the claim */
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(host_before);
	assert_no_state();
	free(host_before);
}

/* Without threads the kernel takes an empty list back: all is seen to be as before */
static char *pinned_host(void **state)
{
	make_eight(*state);
	start_a(WANTED);
	remove_tree(CG "/" SCOPE_A "/libvirt/vcpu0/cgroup.procs");
	remove_tree(CG "/" SCOPE_A "/libvirt/vcpu1/cgroup.procs");
	return snapshot();
}

static void a_kill_at_any_step_is_repaired_by_undo(void **state)
{
	char *before = pinned_host(state);
	int at;

	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
	}
	assert_in_range(at, 10, 100);
	free(before);
}

static void a_kill_at_any_step_is_repaired_by_the_next_apply(void **state)
{
	char *before = pinned_host(state);

	for (int at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu1/cpuset.cpus"), "7");
		assert_string_equal(get(CG "/cpuset.cpus.isolated"), "6-7");
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
		assert_no_state();
	}
	free(before);
}

static void a_kill_of_undo_at_any_step_is_repaired_by_the_next(void **state)
{
	char *before = pinned_host(state);
	int at = 0;
	bool killed;

	do {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		killed = killed_at(++at, "undo", UUID_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
		assert_no_state();
	} while (killed);
	assert_in_range(at, 8, 100);
	free(before);
}

/* With threads there the list has become all CPUs, which the next undo must not take for others' */
static void a_kill_of_undo_while_the_guest_runs_is_repaired_silently(void **state)
{
	bool killed;
	int at = 0;

	make_eight(*state);
	do {
		start_a(WANTED);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		killed = killed_at(++at, "undo", UUID_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		for (int vcpu = 0; vcpu < 2; vcpu++)
			assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu%d/cpuset.cpus", vcpu),
					    "0-7");
		assert_string_equal(get(CG "/cpuset.cpus.isolated"), "");
		assert_no_state();
	} while (killed);
	assert_in_range(at, 8, 100);
}

/* libvirt's groups go with the guest, whatever has been made of them */
static void a_kill_at_any_step_is_repaired_when_the_guest_has_ended(void **state)
{
	char *before;
	bool killed;
	int at = 0;

	make_eight(*state);
	before = snapshot();
	do {
		start_a(WANTED);
		killed = killed_at(++at, "apply", UUID_A);
		end_guest(PID_A, SCOPE_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
	} while (killed);
	free(before);
}

/* The other guest's choice is made around one that was killed and not yet taken back */
static void cpus_of_a_guest_that_was_killed_are_not_chosen(void **state)
{
	make_eight(*state);
	start_a(WANTED);
	for (int at = 1; killed_at(at, "apply", UUID_A); at++) {
		make_claim(UUID_B, PID_B, "preparing", WANTED);
		assert_int_equal(run_helper("--", "choose", UUID_B), HELPER_DONE);
		assert_non_null(strstr(get("run/usher/" UUID_B "/claim.ini"), "\ncpus = 4-5\n"));
		assert_int_equal(undo(UUID_A), HELPER_DONE);
	}
}

static void a_guest_with_two_cpus_a_vcpu_is_isolated_all_the_same(void **state)
{
	make_host(*state, true);
	machine_make(*state, &(const struct machine){ .packages = 1,
						      .nodes = 1,
						      .l3s = 1,
						      .cores = 4,
						      .threads = 2,
						      .l3_kib = 8192 });
	settle();
	start_a(WANTED);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "2,6");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3,6-7");
}

static void without_a_choice_the_guest_just_runs(void **state)
{
	char *before;

	make_eight(*state);
	claim_a("running", WANTED);
	make_guest(SCOPE_A, PID_A, vcpus, "");
	make_guest(SCOPE_B, PID_B, vcpus_b, "");
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
	free(before);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(the_choice_is_written_into_the_claim),
		T(each_vcpu_that_is_there_has_a_core_whatever_its_number),
		T(a_choice_is_made_once),
		T(cpus_of_another_guest_are_not_chosen_be_it_dead_or_alive),
		T(cpus_of_another_guests_emulator_are_not_chosen),
		T(cpus_of_its_own_emulator_are_not_chosen_while_others_are_free),
		T(cpus_of_its_own_emulator_are_chosen_before_none_and_that_is_said),
		T(check_tells_what_comes_of_a_choice_on_its_own_emulators_cpus),
		T(cpus_that_the_slices_above_do_not_have_are_not_chosen),
		T(without_cgroup_v2_none_are_chosen_and_the_cure_is_said),
		T(what_a_container_is_pinned_to_is_not_chosen),
		T(a_guest_that_is_too_large_is_told_what_is_free),
		T(a_guest_that_runs_is_not_moved),
		T(a_dry_run_writes_nothing),
		T(a_claim_that_is_malformed_or_anothers_that_cannot_be_read_is_named),
		T(a_claim_without_vcpus_is_not_understood),
		T(check_shows_the_choice_as_a_picture),
		T(the_vcpus_are_pinned_and_isolated_and_the_host_is_as_before),
		T(a_list_that_cannot_be_emptied_becomes_all_cpus),
		T(what_somebody_else_has_pinned_since_stays),
		T(each_step_that_fails_leaves_no_state_after_undo),
		T(a_kill_of_choose_leaves_all_of_the_choice_in_the_claim_or_none),
		T(a_kill_at_any_step_is_repaired_by_undo),
		T(a_kill_at_any_step_is_repaired_by_the_next_apply),
		T(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		T(a_kill_of_undo_while_the_guest_runs_is_repaired_silently),
		T(a_kill_at_any_step_is_repaired_when_the_guest_has_ended),
		T(cpus_of_a_guest_that_was_killed_are_not_chosen),
		T(a_guest_with_two_cpus_a_vcpu_is_isolated_all_the_same),
		T(without_a_choice_the_guest_just_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
