/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_irq_test.c - interrupts leave the guests' CPUs and come back
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget state_write
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test/unit/cpuset_kernel.h"

#define SECTION_A "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define SECTION_B "cpus = 5\nvcpu = 0 5\n"
#define SECTION_C "cpus = 6\nvcpu = 0 6\n"
#define UUID_C	  "33333333-3333-4333-8333-333333333333"
#define PID_C	  301
#define BALANCER  300

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

/* An interrupt that comes when those there are have been looked at, 0 for none */
static int born;

/* kernel/irq/manage.c, irq_setup_affinity() */
static void be_born(void)
{
	struct cpulist dflt;
	char list[64];

	assert_int_equal(job_parse_mask(get(IRQ_DEFAULT), &dflt), 0);
	assert_int_equal(cpulist_format(&dflt, list, sizeof(list)), 0);
	make_irq(born, "vfio-msi[0](0000:01:00.0)", list);
	born = 0;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_state_write(int dirfd, const char *name, const char *data, size_t len);
int __wrap_state_write(int dirfd, const char *name, const char *data, size_t len);
int __wrap_state_write(int dirfd, const char *name, const char *data, size_t len)
{
	int r = strcmp(name, "irq.ini") == 0 ? step() : 0;

	if (born && strcmp(name, "irq.ini") == 0)
		be_born();
	return r < 0 ? r : __real_state_write(dirfd, name, data, len);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void assert_irq(int number, const char *cpus)
{
	assert_string_equal(get("proc/irq/%d/smp_affinity_list", number), cpus);
}

static void host_with_irqs(void **state)
{
	make_host(*state, true);
	put("ff", IRQ_DEFAULT);
	make_irq(1, "i8042", "0-7");
	make_irq(24, "xhci_hcd", "2-3");
	make_irq(25, "eth0-rx-0", "1-2");
	make_irq(26, "nvme0q3", "2");
	put("", "managed/proc/irq/26/smp_affinity_list");
	make_irq(27, "ahci", "0-1");
	/* Nobody handles it */
	put("0-7", "proc/irq/30/smp_affinity_list");
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
	make_claim(UUID_B, PID_B, "running", SECTION_B);
}

static void irqs_leave_the_cpus_and_come_back(void **state)
{
	char *before;

	host_with_irqs(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(IRQ_DEFAULT), "f3");
	assert_irq(1, "0-1,4-7");
	assert_irq(25, "1");
	assert_irq(27, "0-1");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(1, "0-7");
	assert_string_equal(get(IRQ_DEFAULT), "ff");
	assert_same(before);
	assert_no_state();
	free(before);
}

static void an_irq_of_the_guests_cpus_alone_goes_to_those_nobody_holds(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(24, "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(24, "2-3");
}

static void a_managed_irq_stays_and_nothing_is_said(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(26, "2");
	assert_silent();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
}

static void an_irq_without_a_handler_is_left_alone(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(30, "0-7");
}

static void two_guests_end_exact_in_any_order(void **state)
{
	static const char *const uuids[] = { UUID_A, UUID_B };
	char *before;

	host_with_irqs(state);
	before = snapshot();
	for (int first = 0; first < 2; first++) {
		for (int start = 0; start < 2; start++) {
			assert_int_equal(apply(uuids[start]), HELPER_DONE);
			assert_int_equal(apply(uuids[!start]), HELPER_DONE);
			assert_irq(1, "0-1,4,6-7");
			assert_string_equal(get(IRQ_DEFAULT), "d3");
			assert_int_equal(undo(uuids[first]), HELPER_DONE);
			assert_irq(1, first == 0 ? "0-4,6-7" : "0-1,4-7");
			assert_irq(24, first == 0 ? "2-3" : "0-1,4-7");
			assert_int_equal(undo(uuids[!first]), HELPER_DONE);
			assert_silent();
			assert_same(before);
			assert_no_state();
		}
	}
	free(before);
}

/* Given back by the other guest's end: with one that was killed, too */
static void a_dead_guests_cpus_count_for_nothing(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_irq(1, "0-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(24, "2-3");
	assert_no_state();
}

static void a_kill_at_any_step_is_repaired(void **state)
{
	char *before;
	int at;

	host_with_irqs(state);
	before = snapshot();
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
	}
	assert_true(at > 15);
	free(before);
}

static void a_kill_of_undo_at_any_step_is_repaired_by_the_next(void **state)
{
	bool killed;
	char *before;
	int at = 0;

	host_with_irqs(state);
	before = snapshot();
	do {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		killed = killed_at(++at, "undo", UUID_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
	} while (killed);
	assert_true(at > 8);
	free(before);
}

/* With the second guest's helper killed, both in both orders */
static void a_kill_beside_another_guest_is_repaired(void **state)
{
	char *before;
	int at;

	host_with_irqs(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	for (at = 1; killed_at(at, "apply", UUID_B); at++) {
		assert_int_equal(undo(at % 2 ? UUID_A : UUID_B), HELPER_DONE);
		assert_int_equal(undo(at % 2 ? UUID_B : UUID_A), HELPER_DONE);
		assert_silent();
		assert_same(before);
		assert_no_state();
		assert_int_equal(apply(UUID_A), HELPER_DONE);
	}
	assert_true(at > 10);
	free(before);
}

/* A write that fails leaves that interrupt as it is, and the guest goes on */
/* As one that is killed, tried again, and killed again; @uuids: whose apply */
static bool killed_twice(int first, int second, const char *const uuids[2], bool *ret_first)
{
	*ret_first = killed_at(first, "apply", uuids[0]);
	return killed_at(second, "apply", uuids[1]);
}

static void host_with_three(void **state)
{
	static const char scope[] = MACHINE "/machine-qemu\\x2d3\\x2dc.scope";
	static const char *const vcpus[] = { "6", NULL };

	host_with_irqs(state);
	make_irq(24, "xhci_hcd", "1-6");
	make_guest(scope, PID_C, vcpus, "0-1");
	make_claim(UUID_C, PID_C, "running", SECTION_C);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
}

/*
 * @uuids: whose helpers are killed, at pairs of steps, beside a guest that runs. From the table's
 * write to the last interrupt's there are more than three.
 */
static void expect_mended(void **state, const char *const uuids[2])
{
	bool first = true;
	int nr = 0;

	for (int at = 1; first; at += 3) {
		bool second = true;

		for (int then = 1; second; then += 3) {
			host_with_three(state);
			second = killed_twice(at, then, uuids, &first);
			assert_int_equal(undo(UUID_C), HELPER_DONE);
			assert_int_equal(undo(UUID_B), HELPER_DONE);
			assert_int_equal(undo(UUID_A), HELPER_DONE);
			assert_irq(1, "0-7");
			assert_irq(24, "1-6");
			assert_string_equal(get(IRQ_DEFAULT), "ff");
			assert_no_state();
			nr++;
			assert_int_equal(tree_teardown(state), 0);
			assert_int_equal(tree_setup(state), 0);
		}
	}
	assert_true(nr > 30);
	host_with_irqs(state);
}

static void an_apply_killed_twice_beside_another_guest_is_repaired(void **state)
{
	static const char *const uuids[] = { UUID_B, UUID_B };

	expect_mended(state, uuids);
}

/* What the first guest has moved has been moved by none of them since */
static void two_applies_killed_beside_a_third_guest_are_repaired(void **state)
{
	static const char *const uuids[] = { UUID_B, UUID_C };

	expect_mended(state, uuids);
}

static void each_failing_write_is_no_failure_of_the_guest(void **state)
{
	char *before;

	host_with_irqs(state);
	make_claim(UUID_A, PID_A, "running", "method = partition\n" SECTION_A);
	before = snapshot();
	for (int at = 1;; at++) {
		int steps;

		host.fail_at = at;
		assert_int_not_equal(apply(UUID_A), HELPER_DIRTY);
		steps = host.steps;
		host.fail_at = 0;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_same(before);
		assert_no_state();
		if (steps < at)
			break;
	}
	free(before);
}

static void a_kernel_that_says_yes_and_does_no_is_asked_again(void **state)
{
	static const char *const lies[] = { "irq/1/smp_affinity_list", IRQ_DEFAULT };
	char *before;

	host_with_irqs(state);
	before = snapshot();
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		host.lie = lies[i];
		host.lie_once = true;
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_null(host.lie);
		assert_same(before);
		assert_no_state();
	}
	host.lie_once = false;
	free(before);
}

static void an_irq_that_does_not_come_back_is_said_and_owed(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	host.lie = "irq/1/smp_affinity_list";
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	host.lie = NULL;
	assert_said(
		"interrupt 1 (i8042) does not take its old CPUs back: Input/output error: write "
		"0-7 to /proc/irq/1/smp_affinity_list");
	assert_said("1 interrupts do not take their old CPUs back");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(1, "0-7");
	assert_no_state();
}

static void an_affinity_that_somebody_else_has_set_stays_and_is_said(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("7", "proc/irq/1/smp_affinity_list");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("1 interrupts have been moved by somebody else meanwhile: left so");
	assert_irq(1, "7");
	assert_irq(24, "2-3");
	assert_no_state();
}

static void an_affinity_moved_onto_the_cpus_is_moved_off_by_the_next_apply(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0-3", "proc/irq/1/smp_affinity_list");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(1, "0-1");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(1, "0-3");
}

/* The kernel gave it what default_smp_affinity was then */
static void an_irq_that_came_while_guests_ran_ends_with_what_it_would_have_had(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	make_irq(40, "vfio-msi[0](0000:01:00.0)", "0-1,4-7");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_irq(40, "0-1,4,6-7");
	make_irq(41, "vfio-msi[1](0000:01:00.0)", "0-1,4,6-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(40, "0-4,6-7");
	assert_irq(41, "0-4,6-7");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_irq(40, "0-7");
	assert_irq(41, "0-7");
	assert_no_state();
}

static void an_irq_that_comes_while_they_are_moved_leaves_too(void **state)
{
	host_with_irqs(state);
	born = 40;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(born, 0);
	assert_irq(40, "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(40, "0-7");
	assert_no_state();
}

static void an_irq_that_comes_while_they_are_given_back_has_what_it_would_have_had(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	born = 40;
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(born, 0);
	assert_silent();
	assert_irq(40, "0-7");
	assert_no_state();
}

static void an_irq_near_a_node_keeps_to_its_node(void **state)
{
	host_with_irqs(state);
	put("0-3", "sys/devices/system/node/node0/cpulist");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	make_irq(40, "vfio-msi[0](0000:01:00.0)", "0-1");
	put("0", "proc/irq/40/node");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(40, "0-3");
}

static void a_number_that_another_device_has_got_is_another_irq(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	remove_tree("proc/irq/24");
	make_irq(24, "snd_hda_intel:card1", "6-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(24, "6-7");
	assert_no_state();
}

static void a_dry_run_writes_nothing_and_names_each_write(void **state)
{
	char *before;

	host_with_irqs(state);
	before = snapshot();
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_non_null(
		strstr(host.printed, "write /proc/irq/1/smp_affinity_list 0-1,4-7")
			?: strstr(host.printed, "write proc/irq/1/smp_affinity_list 0-1,4-7"));
	assert_non_null(strstr(host.printed, "default_smp_affinity f3"));
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_dry_run_before_the_start_leaves_out_what_goes_with_the_guests_devices(void **state)
{
	host_with_irqs(state);
	make_claim(UUID_A, 4711, "preparing",
		   SECTION_A "[vfio]\ndevice = 0000:01:00.0 8086:1533 interface managed\n");
	put("msix", "sys/bus/pci/devices/0000:01:00.0/msi_irqs/25");
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_non_null(strstr(host.printed, "write /proc/irq/24/smp_affinity_list"));
	assert_null(strstr(host.printed, "write /proc/irq/25/smp_affinity_list"));
	/* Of a guest that runs, what there is is told */
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_non_null(strstr(host.printed, "write /proc/irq/25/smp_affinity_list"));
}

static void a_table_that_does_not_parse_is_said_and_nothing_is_moved(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("[irq]\nirq = 24 x y\n", "run/usher/host/irq.ini");
	assert_int_equal(fchmodat(host.tree->rootfd, "run/usher/host/irq.ini", 0600, 0), 0);
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("the CPU settings are not all back: cannot use /run/usher/host/irq.ini: Bad "
		    "message: "
		    "install the usher that wrote it, or reboot the host\n");
	assert_irq(1, "0-1,4-7");
}

/* `ip link set eth0 down`: its vectors and their affinity stay */
static void lose_handler(int number, const char *who)
{
	char path[64];

	fmt(path, "proc/irq/%d/%s", number, who);
	remove_tree(path);
}

static void get_handler(int number, const char *who)
{
	char path[64];

	fmt(path, "proc/irq/%d/%s", number, who);
	tree_dir(host.tree, path);
}

static void an_irq_without_its_handler_at_the_guests_end_comes_back(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(25, "1");
	lose_handler(25, "eth0-rx-0");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(25, "1-2");
	assert_irq(30, "0-7");
	assert_no_state();
}

static void an_irq_without_its_handler_at_anothers_start_leaves_and_comes_back(void **state)
{
	char *before;

	host_with_irqs(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	lose_handler(1, "i8042");
	lose_handler(25, "eth0-rx-0");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_irq(1, "0-1,4,6-7");
	assert_irq(25, "1");
	get_handler(1, "i8042");
	get_handler(25, "eth0-rx-0");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_no_state();
	free(before);
}

static void a_number_of_another_device_is_another_irq_though_nobody_handled_it_between(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	lose_handler(25, "eth0-rx-0");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	get_handler(25, "snd_hda_intel:card1");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(25, "1");
	assert_no_state();
}

/* As a driver that is loaded anew does it: the same name, and often the same number */
static void an_irq_that_was_made_anew_ends_with_what_it_would_have_had(void **state)
{
	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	remove_tree("proc/irq/25");
	make_irq(25, "eth0-rx-0", "0-1,4-7");
	remove_tree("proc/irq/27");
	put("0-1,4-7", "proc/irq/27/smp_affinity_list");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(25, "0-7");
	assert_irq(27, "0-7");
	assert_no_state();
}

static void a_line_that_another_handler_joins_or_leaves_comes_back(void **state)
{
	host_with_irqs(state);
	make_irq(28, "ehci_hcd:usb1", "1-2");
	get_handler(28, "i801_smbus");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(25, "1");
	assert_irq(28, "1");
	get_handler(25, "vfio-intx(0000:01:00.1)");
	lose_handler(28, "ehci_hcd:usb1");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(25, "1-2");
	assert_irq(28, "1-2");
	assert_no_state();
}

/* kernel/irq/cpuhotplug.c, migrate_one_irq(): to all that are online when it has none left */
static void an_irq_that_the_kernel_has_moved_off_an_offline_cpu_comes_back(void **state)
{
	for (int again = 0; again < 2; again++) {
		host_with_irqs(state);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_irq(25, "1");
		put("0,2-7", "sys/devices/system/cpu/online");
		put("0,2-7", "proc/irq/25/smp_affinity_list");
		if (again) {
			assert_int_equal(apply(UUID_A), HELPER_DONE);
			assert_irq(25, "0-1,4-7");
		}
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_irq(25, "1-2");
		assert_no_state();
	}
}

/* Without us it would have been moved, too */
static void an_irq_that_had_only_a_cpu_that_is_offline_stays_where_the_kernel_moved_it(void **state)
{
	host_with_irqs(state);
	make_irq(28, "rtc0", "1");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("0,2-7", "sys/devices/system/cpu/online");
	put("0,2-7", "proc/irq/28/smp_affinity_list");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(28, "0,2-7");
}

static void what_a_guest_with_an_unreadable_claim_holds_stays_taken(void **state)
{
	char *before;

	host_with_irqs(state);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	spoil_claim(UUID_B);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_irq(1, "0-1,4,6-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(host.said, "usher: a: what the guest of /run/usher/" UUID_B
				       " holds stays taken, for its claim.ini cannot be read: "
				       "install the usher that wrote it, or reboot\n");
	assert_irq(1, "0-4,6-7");
	assert_string_equal(get(IRQ_DEFAULT), "df");
	make_claim(UUID_B, PID_B, "running", SECTION_B);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_same(before);
	assert_no_state();
	free(before);
}

static void what_a_guest_with_an_unreadable_journal_holds_stays_taken(void **state)
{
	char *before;

	host_with_irqs(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	before = snapshot();
	put("no record\n", "run/usher/" UUID_B "/cpuset.journal");
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("the CPU settings are not all back: cannot read what the guest of "
		    "/run/usher/" UUID_B " holds (cpuset.journal: Bad message): install the usher "
		    "that wrote it, or reboot");
	assert_same(before);
	assert_true(has_state("run/usher/host/irq.ini"));
	free(before);
}

/* --- Masks --------------------------------------------------------------------------------------- */

static void masks_are_read_and_written_as_the_kernel_does(void **state)
{
	static const struct {
		const char *mask, *list, *out;
	} rows[] = {
		{ "0000000f", "0-3", "f" },
		{ "1", "0", "1" },
		{ "00000001,80000000", "31-32", "1,80000000" },
		{ "80000000,00000000,00000001", "0,95", "80000000,00000000,00000001" },
		{ "00000000", "", "0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpulist set;
		char text[64];

		assert_int_equal(job_parse_mask(rows[i].mask, &set), 0);
		assert_int_equal(cpulist_format(&set, text, sizeof(text)), 0);
		assert_string_equal(text, rows[i].list);
		assert_int_equal(job_format_mask(&set, text, sizeof(text)), 0);
		assert_string_equal(text, rows[i].out);
	}
}

static void what_is_no_mask_is_refused(void **state)
{
	static const char *const rows[] = { "", ",", "g", "100000000", "1,,x", "-1", "0x1" };
	struct cpulist set;
	char text[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(job_parse_mask(rows[i], &set), -EBADMSG);
	set = cpus_of("40");
	assert_int_equal(job_format_mask(&set, text, sizeof(text)), -ENAMETOOLONG);
}

/* --- irqbalance ---------------------------------------------------------------------------------- */

/* One that answers as 1.9.4 does, but at once, and notes what it is told in "told" */
static void balancer_serve(int listener, const char *banned)
{
	char command[256], answer[256], log[PATH_MAX];

	fmt(log, "%s/told", host.tree->dir);
	for (;;) {
		int fd = accept(listener, NULL, NULL), out;
		ssize_t n = recv(fd, command, sizeof(command) - 1, 0);

		command[n > 0 ? n : 0] = '\0';
		if (strcmp(command, "setup") == 0) {
			fmt(answer, "SLEEP 10 IRQ 9 LOAD 0 DIFF 0 CLASS 0 BANNED %s", banned);
			(void)!send(fd, answer, strlen(answer), 0);
		} else {
			out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
			(void)!write(out, command, strlen(command));
			(void)!write(out, "\n", 1);
			(void)close(out);
		}
		(void)close(fd);
	}
}

/* @banned: NULL for one that never answers */
static pid_t balancer_start(int number, const char *banned)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[64];
	pid_t pid;

	fmt(path, "proc/%d/comm", number);
	put("irqbalance", "%s", path);
	tree_dir(host.tree, "run/irqbalance");
	fmt(addr.sun_path, "%s/run/irqbalance/irqbalance%d.sock", host.tree->dir, number);
	assert_int_equal(bind(listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (banned)
			balancer_serve(listener, banned);
		for (;;)
			(void)pause();
	}
	(void)close(listener);
	return pid;
}

static void balancer_stop(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* It notes a command after the helper has gone on */
static void assert_told(const char *all)
{
	for (int i = 0; i < 200 && strcmp(get("told"), all) != 0; i++)
		(void)usleep(10000);
	assert_string_equal(get("told"), all);
}

static void irqbalance_is_told_and_untold(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, "00000000");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_told("settings cpus 2-3");
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_told("settings cpus 2-3\nsettings cpus 2-3,5");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_told("settings cpus 2-3\nsettings cpus 2-3,5\nsettings cpus 5\nsettings cpus NULL");
	assert_no_state();
	balancer_stop(pid);
}

static void what_irqbalance_left_alone_before_it_leaves_alone_after(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, "00000081");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_told("settings cpus 0,2-3,7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_told("settings cpus 0,2-3,7\nsettings cpus 0,7");
	balancer_stop(pid);
}

static void an_irqbalance_started_anew_is_told_by_the_next_apply(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, "00000000");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_told("settings cpus 2-3");
	balancer_stop(pid);
	remove_tree("proc/300");
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	pid = balancer_start(BALANCER + 1, "00000001");
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_string_equal(host.said,
			    "usher: a: interrupts are not kept off its CPUs any more: irqbalance "
			    "(pid 301) has not been told to leave its CPUs alone: run usher "
			    "recover\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(check(UUID_A), HELPER_DONE);
	assert_silent();
	assert_told("settings cpus 2-3\nsettings cpus 0,2-3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_told("settings cpus 2-3\nsettings cpus 0,2-3\nsettings cpus 0");
	balancer_stop(pid);
}

static void an_irqbalance_that_is_deaf_is_said_and_not_waited_for(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, NULL);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("interrupts may come back to its CPUs: irqbalance (pid 300) does not answer");
	assert_irq(1, "0-1,4-7");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(1, "0-7");
	balancer_stop(pid);
}

static void whether_irqbalance_runs_is_known_or_said(void **state)
{
	host_with_irqs(state);
	put("", "run/irqbalance");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("interrupts may come back to its CPUs: cannot find out in /run/irqbalance "
		    "whether irqbalance runs: Not a directory");
	assert_int_equal(check(UUID_A), HELPER_FAILED);
	assert_said("cannot find out in /run/irqbalance whether irqbalance runs");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_irq(1, "0-7");
	assert_int_equal(unlinkat(host.tree->rootfd, "run/irqbalance", 0), 0);
}

static void an_irqbalance_that_talks_nonsense_is_said(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, "no mask");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("irqbalance (pid 300) does not answer: Bad message");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	balancer_stop(pid);
	/* Its socket is there, and nobody listens */
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("irqbalance (pid 300) does not answer: Connection refused");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
}

static void an_irqbalance_that_cannot_be_told_so_is_said(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, "00000000");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_told("settings cpus 2-3");
	balancer_stop(pid);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("irqbalance (pid 300) cannot be told 'settings cpus NULL': Connection refused");
	assert_irq(1, "0-7");
}

static void what_irqbalance_has_moved_is_its_own(void **state)
{
	pid_t pid;

	host_with_irqs(state);
	pid = balancer_start(BALANCER, "00000000");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("4", "proc/irq/1/smp_affinity_list");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_irq(1, "4");
	assert_irq(24, "2-3");
	balancer_stop(pid);
}

/* --- Work that is bound to no CPU ------------------------------------------------------------------ */

static void without_partitions_unbound_work_leaves_the_cpus_and_comes_back(void **state)
{
	char *before;

	host_with_irqs(state);
	put("ff", WORKQUEUE_MASK);
	put("ff", WORKQUEUE_WANTED);
	put("elsewhere", "sys/devices/virtual/workqueue/writeback/name");
	make_claim(UUID_A, PID_A, "running", "method = slices\n" SECTION_A);
	before = snapshot();
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(WORKQUEUE_MASK), "f3");
	assert_string_equal(get(WORKQUEUE_WANTED), "f3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(WORKQUEUE_MASK), "ff");
	assert_no_state();
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(irqs_leave_the_cpus_and_come_back),
		tree_test(an_irq_of_the_guests_cpus_alone_goes_to_those_nobody_holds),
		tree_test(a_managed_irq_stays_and_nothing_is_said),
		tree_test(an_irq_without_a_handler_is_left_alone),
		tree_test(two_guests_end_exact_in_any_order),
		tree_test(a_dead_guests_cpus_count_for_nothing),
		tree_test(a_kill_at_any_step_is_repaired),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		tree_test(a_kill_beside_another_guest_is_repaired),
		tree_test(an_apply_killed_twice_beside_another_guest_is_repaired),
		tree_test(two_applies_killed_beside_a_third_guest_are_repaired),
		tree_test(each_failing_write_is_no_failure_of_the_guest),
		tree_test(a_kernel_that_says_yes_and_does_no_is_asked_again),
		tree_test(an_irq_that_does_not_come_back_is_said_and_owed),
		tree_test(an_affinity_that_somebody_else_has_set_stays_and_is_said),
		tree_test(an_affinity_moved_onto_the_cpus_is_moved_off_by_the_next_apply),
		tree_test(an_irq_that_came_while_guests_ran_ends_with_what_it_would_have_had),
		tree_test(an_irq_that_comes_while_they_are_moved_leaves_too),
		tree_test(an_irq_that_comes_while_they_are_given_back_has_what_it_would_have_had),
		tree_test(an_irq_near_a_node_keeps_to_its_node),
		tree_test(a_number_that_another_device_has_got_is_another_irq),
		tree_test(a_dry_run_before_the_start_leaves_out_what_goes_with_the_guests_devices),
		tree_test(a_dry_run_writes_nothing_and_names_each_write),
		tree_test(a_table_that_does_not_parse_is_said_and_nothing_is_moved),
		tree_test(an_irq_without_its_handler_at_the_guests_end_comes_back),
		tree_test(an_irq_without_its_handler_at_anothers_start_leaves_and_comes_back),
		tree_test(
			a_number_of_another_device_is_another_irq_though_nobody_handled_it_between),
		tree_test(an_irq_that_was_made_anew_ends_with_what_it_would_have_had),
		tree_test(a_line_that_another_handler_joins_or_leaves_comes_back),
		tree_test(an_irq_that_the_kernel_has_moved_off_an_offline_cpu_comes_back),
		tree_test(
			an_irq_that_had_only_a_cpu_that_is_offline_stays_where_the_kernel_moved_it),
		tree_test(what_a_guest_with_an_unreadable_claim_holds_stays_taken),
		tree_test(what_a_guest_with_an_unreadable_journal_holds_stays_taken),
		tree_test(masks_are_read_and_written_as_the_kernel_does),
		tree_test(what_is_no_mask_is_refused),
		tree_test(irqbalance_is_told_and_untold),
		tree_test(what_irqbalance_left_alone_before_it_leaves_alone_after),
		tree_test(an_irqbalance_started_anew_is_told_by_the_next_apply),
		tree_test(an_irqbalance_that_is_deaf_is_said_and_not_waited_for),
		tree_test(whether_irqbalance_runs_is_known_or_said),
		tree_test(an_irqbalance_that_talks_nonsense_is_said),
		tree_test(an_irqbalance_that_cannot_be_told_so_is_said),
		tree_test(what_irqbalance_has_moved_is_its_own),
		tree_test(without_partitions_unbound_work_leaves_the_cpus_and_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
