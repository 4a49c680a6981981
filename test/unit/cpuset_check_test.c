/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_check_test.c - what is found before the guest runs
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 */
#include "test/unit/cpuset_kernel.h"

#define PINS "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"

static const char *const vcpus_b[] = { "4", "5", NULL };

static void claim_a(const char *section)
{
	make_claim(UUID_A, 1, "preparing", section);
}

/* The policy says that the guest must have it */
static void require(void)
{
	char text[2048];
	char *list;

	fmt(text, "%s", get("run/usher/" UUID_A "/claim.ini"));
	list = strstr(text, "hugepages vfio seat");
	assert_non_null(list);
	memcpy(list, "cpuset    vfio seat", strlen("cpuset    vfio seat"));
	put(text, "run/usher/" UUID_A "/claim.ini");
}

static int check_required(const char *section)
{
	claim_a(section);
	require();
	return check(UUID_A);
}

static int check_wanted(const char *section)
{
	claim_a(section);
	return check(UUID_A);
}

static void a_host_that_can_do_it_says_nothing(void **state)
{
	char *before;

	make_host(*state, true);
	before = snapshot();
	assert_int_equal(check_wanted(PINS "emulator = 0-1\n"), HELPER_DONE);
	assert_silent();
	assert_int_equal(check_required(PINS "emulator = 0-1\n"), HELPER_DONE);
	assert_silent();
	assert_int_equal(check_required("cpus = 2-3\nvcpu = 0 2-3\nvcpu = 1 2-3\n"), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.steps, 0);
	assert_same(before);
	free(before);
}

static void a_cpu_that_is_not_online_is_refused(void **state)
{
	make_host(*state, true);
	put("0-2,4-7", "sys/devices/system/cpu/online");
	assert_int_equal(check_wanted(PINS), HELPER_FAILED);
	assert_string_equal(host.said,
			    "usher: a: CPUs 2-3 cannot be kept for it alone: CPU 3 is not "
			    "online, only 0-2,4-7 are: change <vcpupin>\n");
}

static void the_host_keeps_at_least_one_cpu(void **state)
{
	make_host(*state, true);
	assert_int_equal(check_wanted("cpus = 0-7\nvcpu = 0 0-7\n"), HELPER_FAILED);
	assert_said("with CPUs 0-7 for this guest no whole core would be left to the host: of 0-7 "
		    "at least one core must stay free");
	assert_int_equal(check_wanted("cpus = 1-7\nvcpu = 0 1-7\n"), HELPER_DONE);
	make_guest(SCOPE_B, PID_B, vcpus_b, "");
	make_claim(UUID_B, PID_B, "running", "cpus = 4-7\nvcpu = 0 4\n");
	assert_int_equal(check_wanted("cpus = 0-3\nvcpu = 0 0-3\n"), HELPER_FAILED);
	assert_said("no whole core would be left to the host: of 0-3 at least one core must stay "
		    "free");
	/* A dead guest holds nothing */
	end_guest(PID_B, SCOPE_B);
	assert_int_equal(check_wanted("cpus = 0-3\nvcpu = 0 0-3\n"), HELPER_DONE);
}

static void the_host_keeps_at_least_one_whole_core(void **state)
{
	make_host(*state, true);
	for (int cpu = 0; cpu < 8; cpu++) {
		char threads[16];

		fmt(threads, "%d,%d", cpu % 4, cpu % 4 + 4);
		put(threads, "sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
	}
	assert_int_equal(check_wanted("cpus = 1-3,5-7\nvcpu = 0 1-3,5-7\n"), HELPER_DONE);
	assert_int_equal(check_wanted("cpus = 1-4\nvcpu = 0 1-4\n"), HELPER_FAILED);
	assert_said("no whole core would be left to the host");
	/* A thread that is off counts for nothing */
	put("0-3,5-7", "sys/devices/system/cpu/online");
	assert_int_equal(check_wanted("cpus = 1-3,5-7\nvcpu = 0 1-3,5-7\n"), HELPER_DONE);
}

static void a_guest_whose_policy_isolates_nothing_keeps_its_cpus(void **state)
{
	make_host(*state, true);
	make_guest(SCOPE_B, PID_B, vcpus_b, "");
	make_claim(UUID_B, PID_B, "running", "");
	put("[claim]\nformat = 1\nguest = b\nuuid = " UUID_B "\nstate = running\nowner = 200 2000\n"
	    "[nosleep]\ninhibit = sleep\n",
	    "run/usher/" UUID_B "/claim.ini");
	assert_int_equal(check_required("cpus = 4\nvcpu = 0 4\n"), HELPER_FAILED);
	assert_said("libvirt/vcpu0 is pinned to 4: pin one of the two to other CPUs");
}

static void a_running_guest_that_has_lost_its_partition_is_noticed_and_mended(void **state)
{
	static const char *const vcpus[] = { "2", "3", NULL };

	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus, "0-1");
	make_claim(UUID_A, PID_A, "running", PINS);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	put("0-2,4-7", "sys/devices/system/cpu/online");
	settle();
	put("0-7", "sys/devices/system/cpu/online");
	settle();
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_said("its CPUs are not isolated any more: the kernel has the partition");
	assert_said("run usher recover");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
}

/* virsh emulatorpin while it runs: what is made then is another partition than the first */
static void a_running_guest_whose_emulator_was_pinned_anew_is_mended_and_well(void **state)
{
	static const char *const vcpus[] = { "2", "3", NULL };
	static const char *const emulators[] = { "0-1", "0-2", "0-1", "0-2" };

	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus, "0-1");
	make_claim(UUID_A, PID_A, "running", PINS);
	for (size_t first = 0; first < 2; first++) {
		for (size_t i = first; i < ARRAY_SIZE(emulators); i++) {
			put(emulators[i], CG "/" SCOPE_A "/libvirt/emulator/cpuset.cpus");
			settle();
			if (i > first && i % 2 == 1) {
				assert_int_equal(check(UUID_A), HELPER_FAILED);
				assert_said("its CPUs are not isolated any more: ");
			}
			assert_int_equal(apply(UUID_A), HELPER_DONE);
			assert_int_equal(check(UUID_A), HELPER_DONE);
			assert_silent();
		}
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_no_state();
	}
}

/* As after an apply that a kernel without partitions, or somebody else's pins, had fail */
static void a_running_guest_that_nothing_keeps_free_is_noticed_and_mended(void **state)
{
	static const char *const vcpus[] = { "2", "3", NULL };

	make_host(*state, true);
	make_guest(SCOPE_A, PID_A, vcpus, "0-1");
	make_claim(UUID_A, PID_A, "running", PINS);
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_said("usher: a: its CPUs are not kept free: neither a partition nor anything else "
		    "keeps others off 2-3: run usher recover, which says what is in the way\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
}

/* What apply is content with, it would be content with again: recover is no cure */
static void expect_pinned_only(const char *why)
{
	char line[512];

	fmt(line, "usher: a: %s\n", why);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_string_equal(host.said, line);
		assert_int_equal(check(UUID_A), HELPER_FAILED);
		assert_string_equal(host.said, line);
	}
}

static void a_running_guest_that_cannot_be_kept_free_is_told_why(void **state)
{
	static const char *const all[] = { "1-7", NULL };

	make_host(*state, true);
	put("0-1", "sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
	make_guest(SCOPE_A, PID_A, all, "");
	make_claim(UUID_A, PID_A, "running", "cpus = 1-7\nvcpu = 0 1-7\n");
	expect_pinned_only("its vCPUs are pinned to 1-7, but others may run there: with CPUs 1-7 "
			   "for this guest no whole core would be left to the host: of 0-7 at "
			   "least one core must stay free: pin fewer, or set isolate = no in "
			   "[cpuset] of its policy");
}

static void a_running_guest_on_a_host_with_cgroup_v1_is_told_so(void **state)
{
	static const char *const vcpus[] = { "2", "3", NULL };

	make_host(*state, false);
	make_guest(SCOPE_A, PID_A, vcpus, "0-1");
	make_claim(UUID_A, PID_A, "running", PINS);
	put("", CG "/cpuset/cpuset.cpus");
	put("cpu io", CG "/cgroup.controllers");
	expect_pinned_only("its vCPUs are pinned to 2-3, but others may run there: the cpuset "
			   "controller is on cgroup v1: boot with "
			   "systemd.unified_cgroup_hierarchy=1");
}

static void running_guest(void **state, const char *section)
{
	static const char *const vcpus[] = { "2", "3", NULL };

	make_host(*state, true);
	put("ff", IRQ_DEFAULT);
	put("0-7", "proc/irq/1/smp_affinity_list");
	tree_dir(host.tree, "proc/irq/1/i8042");
	put("2", "proc/irq/26/smp_affinity_list");
	put("", "managed/proc/irq/26/smp_affinity_list");
	tree_dir(host.tree, "proc/irq/26/nvme0q3");
	put("ff", WORKQUEUE_MASK);
	make_guest(SCOPE_A, PID_A, vcpus, "0-1");
	make_claim(UUID_A, PID_A, "running", section);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(host.steps, 0);
}

/* @line: what check says of a change, which the next apply mends */
static void expect_mended(const char *line)
{
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said, line);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
}

/* virsh vcpupin a 0 6 --live */
static void a_vcpu_that_is_pinned_elsewhere_is_noticed_and_said_by_apply(void **state)
{
	static const char *const methods[] = { "method = slices\n" PINS,
					       "method = partition\n" PINS };
	static const char line[] = "usher: a: vCPU 0 is pinned to 6 by now, and CPU 2 is kept free "
				   "for it: virsh vcpupin a 0 2 --live\n";

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		running_guest(state, methods[i]);
		put("6", CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus");
		assert_int_equal(check(UUID_A), HELPER_FAILED);
		assert_string_equal(host.said, line);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_string_equal(host.said, line);
		put("2", CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus");
		assert_int_equal(check(UUID_A), HELPER_DONE);
		assert_silent();
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		remove_tree(CG);
	}
}

static void a_vcpu_off_its_chosen_core_is_noticed_and_mended(void **state)
{
	running_guest(state, "pin = auto\n" PINS);
	put("6", CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus");
	expect_mended("usher: a: vCPU 0 is pinned to 6 by now, not to 2: run usher recover\n");
	assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu0/cpuset.cpus"), "2");
}

static void a_slice_that_got_its_cpus_back_is_noticed_and_mended(void **state)
{
	running_guest(state, "method = slices\ntimeout_ms = 500\n" PINS);
	put("0-7", "systemd/system.slice");
	put("0-7", CG "/system.slice/cpuset.cpus");
	settle();
	expect_mended("usher: a: its CPUs are not kept free any more: system.slice may run on 2-3 "
		      "again: run usher recover\n");
	/* Without systemd's knowledge */
	put("0-3", CG "/user.slice/cpuset.cpus");
	settle();
	expect_mended("usher: a: its CPUs are not kept free any more: user.slice may run on 2-3 "
		      "again: run usher recover\n");
	put("ff", WORKQUEUE_MASK);
	expect_mended(
		"usher: a: its CPUs are not kept free any more: the kernel's unbound work may "
		"run on 2-3 again: run usher recover\n");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get("systemd/system.slice"), "");
}

static void an_interrupt_that_came_back_is_noticed_and_mended(void **state)
{
	running_guest(state, PINS);
	put("0-7", "proc/irq/1/smp_affinity_list");
	expect_mended(
		"usher: a: interrupts are not kept off its CPUs any more: interrupt 1 (i8042) "
		"may come to 2-3: run usher recover\n");
	put("ff", IRQ_DEFAULT);
	expect_mended("usher: a: interrupts are not kept off its CPUs any more: /" IRQ_DEFAULT
		      " lets new interrupts come to 2-3: run usher recover\n");
	/* One that the kernel keeps there is no news, once apply has tried */
	put("3", "proc/irq/27/smp_affinity_list");
	put("", "managed/proc/irq/27/smp_affinity_list");
	tree_dir(host.tree, "proc/irq/27/nvme1q3");
	expect_mended("usher: a: interrupts are not kept off its CPUs any more: interrupt 27 "
		      "(nvme1q3) may come to 3: run usher recover\n");
}

/* Each: why the best is not to be had; said when it is merely wanted, refused when required */
static void expect_downgrade(const char *section, const char *why)
{
	assert_int_equal(check_wanted(section), HELPER_DONE);
	assert_said("usher: a: CPUs 2-3 will not be isolated one by one: ");
	assert_said(why);
	assert_int_equal(check_required(section), HELPER_FAILED);
	assert_said("usher: a: CPUs 2-3 cannot be kept for it alone: ");
	assert_said(why);
}

static void expect_nothing(const char *section)
{
	assert_int_equal(check_wanted(section), HELPER_DONE);
	assert_silent();
}

static void pins_that_no_partition_suits_are_found(void **state)
{
	make_host(*state, true);
	expect_downgrade("cpus = 2-3\nvcpu = 0 2-3\nemulator = 0\n",
			 "the vCPUs share 2-3 and emulator is pinned outside, to 0");
	expect_downgrade(PINS "emulator = 2\niothread = 1 0\n",
			 "emulator is pinned to 2, where a vCPU is");
	assert_int_equal(
		check_wanted("method = partition\ncpus = 2-3\nvcpu = 0 2-3\nemulator = 0\n"),
		HELPER_FAILED);
}

static void an_emulator_on_a_vcpus_cpu_is_found(void **state)
{
	make_host(*state, true);
	expect_downgrade(PINS "emulator = 3\n",
			 "emulator is pinned to 3, where a vCPU is: pin it to other "
			 "CPUs");
	/* As one partition it still works */
	assert_int_equal(check_wanted("method = partition\n" PINS "emulator = 3\n"), HELPER_DONE);
}

static void cpus_isolated_at_boot_are_found_where_the_vcpus_share_them(void **state)
{
	make_host(*state, true);
	put("2-3", "sys/devices/system/cpu/isolated");
	expect_nothing(PINS);
	expect_downgrade("cpus = 2-3\nvcpu = 0 2-3\n",
			 "CPUs 2-3 are isolated by isolcpus= at boot");
}

static void a_slice_pinned_to_the_guests_cpus_is_found(void **state)
{
	make_host(*state, true);
	make_group("other.slice", "1-3", true);
	expect_nothing(PINS);
	put("2-3", CG "/other.slice/cpuset.cpus");
	expect_downgrade(PINS, "other.slice is pinned to 2-3: pin one of the two to other CPUs");
}

static void a_guest_without_a_policy_pinned_there_is_found(void **state)
{
	static const char *const vcpus[] = { "3-4", "6", NULL };

	make_host(*state, true);
	make_guest(MACHINE "/machine-qemu\\x2d7\\x2dfoe.scope", 700, vcpus, "");
	expect_downgrade(PINS, "machine-qemu\\x2d7\\x2dfoe.scope/libvirt/vcpu0 is pinned to 3-4");
}

/* The kernel refuses the exclusive CPUs of a sibling, whatever its cpuset.cpus are */
static void a_slice_with_the_cpus_exclusively_is_found(void **state)
{
	static const char *const vcpus[] = { "2", "3", NULL };
	static const char why[] =
		"rt.slice has 3-4 in cpuset.cpus.exclusive: pin one of the two to "
		"other CPUs";

	make_host(*state, true);
	make_group("rt.slice", "", true);
	put("4-5", CG "/rt.slice/cpuset.cpus.exclusive");
	expect_nothing(PINS);
	put("3-4", CG "/rt.slice/cpuset.cpus.exclusive");
	settle();
	expect_downgrade(PINS, why);
	make_guest(SCOPE_A, PID_A, vcpus, "0-1");
	make_claim(UUID_A, PID_A, "running", "method = partition\n" PINS);
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said(why);
	put("", CG "/rt.slice/cpuset.cpus.exclusive");
	/* Without its parent's it counts for nothing */
	make_group("rt.slice/deep.scope", "", true);
	put("3", CG "/rt.slice/deep.scope/cpuset.cpus.exclusive");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
}

static void a_vcpu_plugged_in_later_has_no_core_and_that_is_said(void **state)
{
	static const char line[] =
		"usher: a: vCPU 2 was plugged in after the cores were chosen and "
		"has none: shut the guest down and start it with that many "
		"vCPUs, or pin it: virsh vcpupin a 2 CPUS --live\n";

	running_guest(state, "pin = auto\nvcpus = 2\nallowed = 0-6\n" PINS);
	make_group(SCOPE_A "/libvirt/vcpu2", "", true);
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said, line);
	/* As libvirt has it from <vcpu cpuset='0-6'> */
	put("0-6", CG "/" SCOPE_A "/libvirt/vcpu2/cpuset.cpus");
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said, line);
	put("6", CG "/" SCOPE_A "/libvirt/vcpu2/cpuset.cpus");
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
}

static void our_other_guests_beside_it_are_no_conflict(void **state)
{
	make_host(*state, true);
	make_guest(SCOPE_B, PID_B, vcpus_b, "1-2");
	make_claim(UUID_B, PID_B, "running",
		   "cpus = 4-5\nvcpu = 0 4\nvcpu = 1 5\nemulator = 1-2\niothread = 1 0\n");
	expect_nothing(PINS);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	expect_nothing(PINS);
}

static void the_emulator_of_another_guest_is_found(void **state)
{
	make_host(*state, true);
	make_claim(UUID_B, 1, "handed", "cpus = 4-5\nvcpu = 0 4\nvcpu = 1 5\nemulator = 2, 2\n");
	make_process(1, "init.scope");
	expect_downgrade(PINS, "guest b/emulator is pinned to 2: pin one of the two to other CPUs");
	make_claim(UUID_B, 1, "handed", "cpus = 4-5\nvcpu = 0 4\nvcpu = 1 5\niothread = 1 2, 3\n");
	expect_downgrade(PINS, "guest b/iothread1 is pinned to 2-3");
	/* As libvirt has it by now */
	make_guest(SCOPE_B, PID_B, vcpus_b, "3");
	make_claim(UUID_B, PID_B, "running", "cpus = 4-5\nvcpu = 0 4\nvcpu = 1 5\n");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	expect_downgrade(PINS, SCOPE_B "/libvirt/emulator is pinned to 3");
	end_guest(PID_B, SCOPE_B);
	make_claim(UUID_B, PID_B, "running", "cpus = 4-5\nvcpu = 0 4\nvcpu = 1 5\nemulator = 2\n");
	expect_nothing(PINS);
}

static void the_slices_above_it_are_no_conflict(void **state)
{
	static const char *const vcpus[] = { "2", "3", NULL };
	static const char gpu[] = MACHINE "/machine-gpu\\x2d1.slice";

	make_host(*state, true);
	put("2-3", CG "/" MACHINE "/cpuset.cpus");
	make_group(gpu, "2-3", true);
	settle();
	expect_downgrade(PINS, "machine-gpu\\x2d1.slice is pinned to 2-3");
	expect_nothing(PINS "partition = /machine/gpu-1\n");
	make_guest(MACHINE "/machine-gpu\\x2d1.slice/x.scope", PID_A, vcpus, "");
	make_claim(UUID_A, PID_A, "running", PINS);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3");
}

static void without_systemd_the_groups_above_it_are_not_known(void **state)
{
	make_host(*state, true);
	remove_tree("run/systemd");
	put("2-3", CG "/" MACHINE "/cpuset.cpus");
	settle();
	expect_downgrade(PINS, "machine.slice is pinned to 2-3");
}

/* The list that was empty before cannot always be emptied again */
static void who_is_pinned_to_all_cpus_is_pinned_to_none(void **state)
{
	static const char *const vcpus[] = { "0-7", NULL };

	make_host(*state, true);
	make_guest(MACHINE "/machine-qemu\\x2d7\\x2dfoe.scope", 700, vcpus, "0-7");
	expect_nothing(PINS);
}

/* The kernel would move it: it is the admin who must want that */
static void a_container_in_the_systems_slices_gives_way_unless_required(void **state)
{
	make_host(*state, true);
	make_group("user.slice/wide.scope", "0-7", true);
	make_group("user.slice/beside.scope", "4-5", true);
	expect_nothing(PINS);
	make_group("system.slice/docker-1.scope", "2-3", true);
	assert_int_equal(check_wanted(PINS), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: system.slice/docker-1.scope is pinned to 2-3 and will be "
			    "kept off the guest's CPUs meanwhile\n");
	assert_int_equal(check_required(PINS), HELPER_FAILED);
	assert_string_equal(host.said,
			    "usher: a: CPUs 2-3 cannot be kept for it alone: "
			    "system.slice/docker-1.scope is pinned to 2-3: pin one of the two to "
			    "other CPUs\n");
	put("3-4", CG "/system.slice/docker-1.scope/cpuset.cpus");
	assert_int_equal(check_wanted(PINS), HELPER_DONE);
	assert_said(
		"docker-1.scope is pinned to 3-4 and will be kept off the guest's CPUs meanwhile");
	assert_int_equal(check_required(PINS), HELPER_FAILED);
	assert_said("docker-1.scope is pinned to 3-4: pin one of the two to other CPUs");
}

static void an_older_kernel_is_said_and_no_reason_to_refuse(void **state)
{
	make_host(*state, false);
	assert_int_equal(check_wanted(PINS), HELPER_DONE);
	assert_said("will not be isolated one by one: this kernel has no cpuset.cpus.exclusive");
	assert_int_equal(check_required(PINS), HELPER_DONE);
	assert_int_equal(check_required("method = slices\n" PINS), HELPER_DONE);
	assert_silent();
	assert_int_equal(check_wanted("method = partition\n" PINS), HELPER_FAILED);
	assert_said("cannot be kept for it alone: this kernel has no cpuset.cpus.exclusive");
}

static void a_slice_that_would_have_no_cpu_left_is_refused_where_required(void **state)
{
	make_host(*state, false);
	put("2-3", "systemd/system.slice");
	expect_downgrade(PINS,
			 "(it came with Linux 6.7); system.slice would have no CPU left: give "
			 "the guests fewer");
	assert_int_equal(check_wanted("method = slices\n" PINS), HELPER_FAILED);
	assert_said("system.slice would have no CPU left");
}

static void a_guest_pinned_there_is_found_on_an_older_kernel_too(void **state)
{
	static const char *const vcpus[] = { "3", NULL };

	make_host(*state, false);
	make_guest(MACHINE "/foe.scope", 700, vcpus, "");
	expect_downgrade(PINS, "foe.scope/libvirt/vcpu0 is pinned to 3: pin one of the two");
	expect_downgrade("method = slices\n" PINS, "foe.scope/libvirt/vcpu0 is pinned to 3");
	expect_downgrade("method = plain\n" PINS, "foe.scope/libvirt/vcpu0 is pinned to 3");
}

static void cpus_isolated_at_boot_are_no_core_of_the_hosts(void **state)
{
	make_host(*state, true);
	put("0-1", "sys/devices/system/cpu/isolated");
	assert_int_equal(check_wanted("cpus = 2-7\nvcpu = 0 2-7\n"), HELPER_FAILED);
	assert_said("no whole core would be left to the host: of 2-7");
}

/* A container runtime's: nothing of the host's, nor of the guest's, runs there */
static void cpus_that_somebody_else_isolates_are_no_core_of_the_hosts(void **state)
{
	make_host(*state, true);
	make_group("rt.slice", "", true);
	put("0-1", CG "/rt.slice/cpuset.cpus.exclusive");
	put("isolated", CG "/rt.slice/cpuset.cpus.partition");
	settle();
	assert_int_equal(check_wanted("cpus = 2-7\nvcpu = 0 2-7\n"), HELPER_FAILED);
	assert_said("no whole core would be left to the host: of 2-7 at least one core must stay "
		    "free");
	assert_int_equal(check_wanted("cpus = 3-7\nvcpu = 0 3-7\n"), HELPER_DONE);
}

static void a_vcpu_without_a_pin_beside_pinned_ones_is_said(void **state)
{
	make_host(*state, true);
	assert_int_equal(check_required(PINS "float = 2\nfloat = 5 0-1\n"), HELPER_DONE);
	assert_string_equal(host.said,
			    "usher: a: no <vcpupin> for vCPU 2,5, unlike for the others: it runs "
			    "beside the host until there is one\n");
	assert_int_equal(check_required(PINS "float = 2 0-3\n"), HELPER_FAILED);
	assert_said("CPUs 2-3 cannot be kept for it alone: vcpu2 has no pin and may run on 0-3, "
		    "where a pinned one is: pin it, too");
}

/* Without cpuset among the steps that are required the start goes on all the same */
static void what_the_host_cannot_spare_is_not_taken_either(void **state)
{
	static const char *const all[] = { "0-7", NULL };
	char *before;

	make_host(*state, true);
	put("0-1", "sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
	make_guest(SCOPE_A, PID_A, all, "");
	make_claim(UUID_A, PID_A, "running", "cpus = 1-7\nvcpu = 0 1-7\n");
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("its vCPUs are pinned to 1-7, but others may run there: with CPUs 1-7 for this "
		    "guest no whole core would be left to the host");
	assert_same(before);
	make_claim(UUID_A, PID_A, "running", "method = slices\ncpus = 1-7\nvcpu = 0 1-7\n");
	free(before);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_FAILED);
	assert_said("its CPUs 1-7 cannot be kept free of others: with CPUs 1-7 for this guest no "
		    "whole");
	assert_same(before);
	free(before);
}

static void cgroup_v1_is_said_and_refused_where_required(void **state)
{
	make_host(*state, false);
	put("", CG "/cpuset/cpuset.cpus");
	put("cpu io", CG "/cgroup.controllers");
	expect_downgrade(PINS, "the cpuset controller is on cgroup v1: boot with "
			       "systemd.unified_cgroup_hierarchy=1");
	assert_int_equal(check_wanted("method = plain\n" PINS), HELPER_FAILED);
}

static void slices_need_systemd(void **state)
{
	make_host(*state, true);
	assert_int_equal(check_wanted("method = slices\n" PINS), HELPER_DONE);
	remove_tree("run/systemd");
	assert_int_equal(check_wanted("method = slices\n" PINS), HELPER_FAILED);
	assert_said("this host does not run systemd");
	assert_int_equal(check_wanted("method = plain\n" PINS), HELPER_DONE);
	assert_silent();
}

static void a_claim_that_is_not_understood_is_wrong_usage(void **state)
{
	make_host(*state, true);
	assert_int_equal(check_wanted("cpus = 2\nvcpu = 0 3\n"), HELPER_USAGE);
	assert_int_equal(check_wanted(PINS "method = magic\n"), HELPER_USAGE);
}

static void a_claim_by_hand_needs_no_state_directory(void **state)
{
	make_host(*state, true);
	claim_a(PINS);
	assert_int_equal(
		renameat(host.tree->rootfd, "run/usher/" UUID_A, host.tree->rootfd, "run/" UUID_A),
		0);
	remove_tree("run/usher");
	assert_int_equal(check("../" UUID_A), HELPER_USAGE);
	tree_dir(host.tree, "run/usher");
	assert_int_equal(check("../" UUID_A), HELPER_DONE);
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_host_that_can_do_it_says_nothing),
		tree_test(a_cpu_that_is_not_online_is_refused),
		tree_test(the_host_keeps_at_least_one_cpu),
		tree_test(the_host_keeps_at_least_one_whole_core),
		tree_test(a_guest_whose_policy_isolates_nothing_keeps_its_cpus),
		tree_test(a_running_guest_that_has_lost_its_partition_is_noticed_and_mended),
		tree_test(a_running_guest_whose_emulator_was_pinned_anew_is_mended_and_well),
		tree_test(a_running_guest_that_nothing_keeps_free_is_noticed_and_mended),
		tree_test(a_running_guest_that_cannot_be_kept_free_is_told_why),
		tree_test(a_running_guest_on_a_host_with_cgroup_v1_is_told_so),
		tree_test(a_vcpu_that_is_pinned_elsewhere_is_noticed_and_said_by_apply),
		tree_test(a_vcpu_off_its_chosen_core_is_noticed_and_mended),
		tree_test(a_slice_that_got_its_cpus_back_is_noticed_and_mended),
		tree_test(an_interrupt_that_came_back_is_noticed_and_mended),
		tree_test(pins_that_no_partition_suits_are_found),
		tree_test(an_emulator_on_a_vcpus_cpu_is_found),
		tree_test(cpus_isolated_at_boot_are_found_where_the_vcpus_share_them),
		tree_test(a_slice_pinned_to_the_guests_cpus_is_found),
		tree_test(a_guest_without_a_policy_pinned_there_is_found),
		tree_test(a_slice_with_the_cpus_exclusively_is_found),
		tree_test(a_vcpu_plugged_in_later_has_no_core_and_that_is_said),
		tree_test(our_other_guests_beside_it_are_no_conflict),
		tree_test(the_emulator_of_another_guest_is_found),
		tree_test(the_slices_above_it_are_no_conflict),
		tree_test(without_systemd_the_groups_above_it_are_not_known),
		tree_test(who_is_pinned_to_all_cpus_is_pinned_to_none),
		tree_test(a_container_in_the_systems_slices_gives_way_unless_required),
		tree_test(an_older_kernel_is_said_and_no_reason_to_refuse),
		tree_test(a_slice_that_would_have_no_cpu_left_is_refused_where_required),
		tree_test(a_guest_pinned_there_is_found_on_an_older_kernel_too),
		tree_test(cpus_isolated_at_boot_are_no_core_of_the_hosts),
		tree_test(cpus_that_somebody_else_isolates_are_no_core_of_the_hosts),
		tree_test(a_vcpu_without_a_pin_beside_pinned_ones_is_said),
		tree_test(what_the_host_cannot_spare_is_not_taken_either),
		tree_test(cgroup_v1_is_said_and_refused_where_required),
		tree_test(slices_need_systemd),
		tree_test(a_claim_that_is_not_understood_is_wrong_usage),
		tree_test(a_claim_by_hand_needs_no_state_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
