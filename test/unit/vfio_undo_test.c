/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_undo_test.c - devices back to the drivers they had, whatever has happened since */
/* wraps: attr_write module_load process_identify process_alive */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

#define JOURNAL CLAIM_DIR "/vfio.journal"

/* Back from vfio-pci: override, unbind, probe, override, for GPU and audio function */
#define WRITES 8
#define BOTH   GPU_LINE AUDIO_LINE

static void undo_twice_writes_once(void **state)
{
	const char *before = snapshot();
	int writes;

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	writes = kernel->writes;
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(kernel->writes, writes);
	assert_string_equal(snapshot(), before);
}

static void undo_of_nothing_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(kernel->writes, 0);
}

static void each_single_failing_write_is_said_and_the_next_undo_repairs(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, BOTH);
	for (int n = 1; n <= WRITES; n++) {
		kernel->fail_at = kernel->fail_to = 0;
		assert_int_equal(apply(), HELPER_DONE);
		kernel->writes = 0;
		kernel->fail_at = kernel->fail_to = n;
		assert_int_equal(undo(), HELPER_DIRTY);
		assert_non_null(strstr(said, n <= 4 ? AUDIO : GPU));
		assert_non_null(strstr(said, "Input/output error"));
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		assert_false(claim_has("vfio.journal"));
	}
}

static void each_write_that_the_kernel_does_not_keep_is_said_and_the_next_undo_repairs(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, BOTH);
	for (int n = 1; n <= WRITES; n++) {
		kernel->lie_at = 0;
		assert_int_equal(apply(), HELPER_DONE);
		kernel->writes = 0;
		kernel->lie_at = n;
		/* A probe that was left out may have been made good at once */
		if (undo() != HELPER_DONE) {
			assert_non_null(strstr(said, n <= 4 ? AUDIO : GPU));
			assert_int_equal(undo(), HELPER_DONE);
		}
		assert_string_equal(snapshot(), before);
		assert_false(claim_has("vfio.journal"));
	}
}

static void undo_repairs_what_kill_9_of_an_undo_left_at_any_point(void **state)
{
	char before[512];
	int killed = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, BOTH);
	for (int n = 1;; n++) {
		kernel->kill_both = true;
		kernel->kill_at = 0;
		assert_int_equal(apply(), HELPER_DONE);
		kernel->points = 0;
		kernel->kill_at = n;
		(void)helper_process("undo");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		killed++;
	}
	/* A mark before each write at least, and the writes */
	assert_true(killed > 2 * WRITES);
}

static void worker_whose_helper_was_killed_finishes_the_undo(void **state)
{
	char before[512];
	int killed = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, BOTH);
	for (int n = 1;; n++) {
		int status;

		kernel->kill_at = 0;
		kernel->kill_starter_only = true;
		assert_int_equal(apply(), HELPER_DONE);
		kernel->points = 0;
		kernel->kill_at = n;
		status = helper_process("undo");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		if (WIFSIGNALED(status)) {
			wait_until(strcmp(snapshot(), before) == 0);
			wait_until(!claim_has("vfio.worker"));
			assert_false(claim_has("vfio.journal"));
			killed++;
		}
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
	}
	assert_true(killed > WRITES);
}

static void device_that_somebody_has_taken_is_left_alone_and_said(void **state)
{
	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	set_driver(NIC, "igb");
	tree_file(host, DEVICES NIC "/driver_override", "igb");
	kernel->writes = 0;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "usher: win11: 0000:02:00.0 has been taken by driver igb "
				  "meanwhile: left to it\n");
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(driver_of(NIC), "igb");
	assert_string_equal(override_of(NIC), "igb");
	assert_false(claim_has("vfio.journal"));
}

/* libvirt's own reattach of a managed device: driver back, override cleared */
static void device_that_is_back_already_needs_no_write(void **state)
{
	const char *before = snapshot();

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	set_driver(NIC, "e1000e");
	tree_file(host, DEVICES NIC "/driver_override", "(null)");
	kernel->writes = 0;
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(kernel->writes, WRITES);
	assert_string_equal(snapshot(), before);
}

static void device_that_was_unplugged_is_said_and_done(void **state)
{
	char from[256], to[256];

	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	(void)snprintf(from, sizeof(from), "%s/" DEVICES NIC, host->dir);
	(void)snprintf(to, sizeof(to), "%s/gone", host->dir);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said,
			    "usher: win11: 0000:02:00.0 is not there any more: nothing to give "
			    "back\n");
	assert_false(claim_has("vfio.journal"));
}

static void driver_that_was_unloaded_meanwhile_is_loaded_again(void **state)
{
	const char *before = snapshot();

	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/e1000e", AT_REMOVEDIR), 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(kernel->modules, "e1000e");
	assert_string_equal(snapshot(), before);
}

#define XHCI "sys/bus/pci/drivers/xhci_hcd"

/* The driver is xhci_pci's; module xhci_hcd there is, too, and has none */
static void driver_of_another_name_than_its_module_is_loaded_again(void **state)
{
	char before[512];

	(void)state;
	write_claim(UUID, USB_LINE);
	set_driver(USB, "xhci_hcd");
	tree_link(host, XHCI "/module", "../../../../module/xhci_pci");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, XHCI "/module", 0), 0);
	assert_int_equal(unlinkat(host->rootfd, XHCI, AT_REMOVEDIR), 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(kernel->modules, "xhci_pci");
	assert_string_equal(snapshot(), before);
}

static void module_that_an_older_journal_does_not_know_is_asked_of_the_device(void **state)
{
	(void)state;
	tree_file(host, DEVICES USB "/modalias",
		  "pci:v00001033d00000194sv00001AF4sd0bc0Csc03i30\n");
	tree_file(host, JOURNAL,
		  "1 override 0000:04:00.0 % vfio-pci\n"
		  "2 driver 0000:04:00.0 xhci_hcd vfio-pci\n");
	set_driver(USB, "vfio-pci");
	tree_file(host, DEVICES USB "/driver_override", "vfio-pci");
	assert_int_equal(unlinkat(host->rootfd, XHCI, AT_REMOVEDIR), 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(USB), "xhci_hcd");
	assert_string_equal(override_of(USB), "(null)");
}

static void driver_that_cannot_be_loaded_again_is_said(void **state)
{
	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/e1000e", AT_REMOVEDIR), 0);
	kernel->module_error = -ENOENT;
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_non_null(strstr(said, "0000:02:00.0 cannot go back to driver e1000e, which is not "
				     "loaded: No such file or directory: see modprobe -v e1000e, "
				     "and dmesg, then run usher recover\n"));
	kernel->module_error = 0;
	assert_int_equal(undo(), HELPER_DONE);
}

/* libvirt calls release although QEMU could not be killed: unbind would sleep in the kernel */
static void device_that_qemu_still_holds_is_waited_for_and_then_said(void **state)
{
	long long start = now_ms();

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	add_process("4242", "qemu-system-x86", "/dev/vfio/14");
	kernel->writes = 0;
	start = now_ms();
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_in_range(now_ms() - start, 1400, 2500);
	assert_non_null(strstr(said, "usher: win11: 0000:01:00.0 cannot be given back: "
				     "qemu-system-x86 (pid 4242) still uses it: end that process, "
				     "then run usher recover\n"));
	assert_non_null(strstr(said, "0000:01:00.1 cannot be given back"));
	/* The NIC's group nobody holds */
	assert_string_equal(driver_of(NIC), "e1000e");
	assert_int_equal(kernel->writes, 4);
	remove_process_fd("4242");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "nvidia");
}

static void device_is_given_back_as_soon_as_qemu_lets_go(void **state)
{
	const char *before = snapshot();
	pid_t pid;

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	add_process("4242", "qemu-system-x86", "/dev/vfio/14");
	pid = fork();
	if (pid == 0) {
		(void)poll(NULL, 0, 300);
		remove_process_fd("4242");
		_exit(0);
	}
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(snapshot(), before);
}

static void iommufd_user_counts_as_a_holder(void **state)
{
	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	tree_dir(host, DEVICES NIC "/vfio-dev/vfio0");
	add_process("4242", "qemu-system-x86", "/dev/vfio/devices/vfio0");
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_non_null(strstr(said, "qemu-system-x86 (pid 4242) still uses it"));
}

static void journal_that_is_none_of_ours_is_refused_whole(void **state)
{
	static const char *const journals[] = {
		"1 driver ../../../etc e1000e vfio-pci\n", "1 driver 02:00.0 e1000e vfio-pci\n",
		"1 driver 0000:02:00.0 ../x vfio-pci\n",   "1 driver 0000:02:00.0 e1000e a/b\n",
		"1 pages 0000:02:00.0 e1000e vfio-pci\n",  "1 override 0000:02:00.0 .. vfio-pci\n",
		"1 module 0000:02:00.0 /tmp/x.ko %\n",	   "garbage\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(journals); i++) {
		tree_file(host, JOURNAL, journals[i]);
		assert_int_equal(undo(), HELPER_DIRTY);
		assert_non_null(strstr(said, "cannot read /run/usher/" UUID "/vfio.journal: Bad "
					     "message"));
		assert_int_equal(apply(), HELPER_FAILED);
	}
	assert_int_equal(kernel->writes, 0);
}

static void first_record_of_a_device_has_its_true_old_driver(void **state)
{
	(void)state;
	set_driver(NIC, "vfio-pci");
	tree_file(host, DEVICES NIC "/driver_override", "vfio-pci");
	tree_file(host, JOURNAL,
		  "1 override 0000:02:00.0 % vfio-pci\n"
		  "2 driver 0000:02:00.0 e1000e vfio-pci\n"
		  "3 override 0000:02:00.0 vfio-pci vfio-pci\n"
		  "4 driver 0000:02:00.0 % vfio-pci\n");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(NIC), "e1000e");
	assert_string_equal(override_of(NIC), "(null)");
}

static void what_cannot_be_read_is_said_with_its_cure(void **state)
{
	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	tree_dir(host, CLAIM_DIR "/vfio.worker." NIC);
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_string_equal(said, "usher: win11: cannot begin with 0000:02:00.0: Is a directory: "
				  "see lspci -vs 0000:02:00.0, and df /run\n");
	assert_int_equal(unlinkat(host->rootfd, CLAIM_DIR "/vfio.worker." NIC, AT_REMOVEDIR), 0);
	set_driver(NIC, "e1000e");
	assert_int_equal(unlinkat(host->rootfd, DEVICES NIC "/driver_override", 0), 0);
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_string_equal(said, "usher: win11: cannot read driver_override of 0000:02:00.0: No "
				  "such file or directory: see lspci -vs 0000:02:00.0, then run "
				  "usher recover\n");
}

static void override_that_somebody_has_set_meanwhile_is_left(void **state)
{
	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	set_driver(NIC, "e1000e");
	tree_file(host, DEVICES NIC "/driver_override", "pci-stub");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(override_of(NIC), "pci-stub");
}

static void dry_run_prints_the_way_back_and_changes_nothing(void **state)
{
	char before[512];

	(void)state;
	write_claim(UUID, NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	kernel->writes = 0;
	assert_int_equal(helper_run("--dry-run", "undo"), HELPER_DONE);
	assert_string_equal(said, "write /sys/bus/pci/devices/0000:02:00.0/driver_override e1000e\n"
				  "write /sys/bus/pci/devices/0000:02:00.0/driver/unbind "
				  "0000:02:00.0\n"
				  "write /sys/bus/pci/drivers_probe 0000:02:00.0\n"
				  "write /sys/bus/pci/devices/0000:02:00.0/driver_override \"\"\n");
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(snapshot(), before);
	assert_true(claim_has("vfio.journal"));
}

/* usher plan GUEST release, while it runs */
static void dry_run_prints_what_follows_the_end_of_the_guests_own_qemu(void **state)
{
	static const char words[] = "qemu-system-x86_64\0-uuid\0" UUID;

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	add_process("4242", "qemu-system-x86", "/dev/vfio/14");
	tree_bytes(host, "proc/4242/cmdline", words, sizeof(words));
	assert_int_equal(helper_run("--dry-run", "undo"), HELPER_DONE);
	assert_non_null(strstr(said, "write /sys/bus/pci/devices/" GPU "/driver/unbind " GPU "\n"));
	assert_null(strstr(said, "still uses it"));
	/* Anybody else is in the way, and said to be once */
	add_process("4243", "dpdk-testpmd", "/dev/vfio/14");
	assert_int_equal(helper_run("--dry-run", "undo"), HELPER_DIRTY);
	assert_non_null(
		strstr(said, GPU " cannot be given back: dpdk-testpmd (pid 4243) still uses it"));
	assert_null(strstr(strstr(said, GPU " cannot") + 1, GPU " cannot"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(undo_twice_writes_once),
		host_test(undo_of_nothing_does_nothing),
		host_test(each_single_failing_write_is_said_and_the_next_undo_repairs),
		host_test(
			each_write_that_the_kernel_does_not_keep_is_said_and_the_next_undo_repairs),
		host_test(undo_repairs_what_kill_9_of_an_undo_left_at_any_point),
		host_test(worker_whose_helper_was_killed_finishes_the_undo),
		host_test(device_that_somebody_has_taken_is_left_alone_and_said),
		host_test(device_that_is_back_already_needs_no_write),
		host_test(device_that_was_unplugged_is_said_and_done),
		host_test(driver_that_was_unloaded_meanwhile_is_loaded_again),
		host_test(driver_of_another_name_than_its_module_is_loaded_again),
		host_test(module_that_an_older_journal_does_not_know_is_asked_of_the_device),
		host_test(driver_that_cannot_be_loaded_again_is_said),
		host_test(device_that_qemu_still_holds_is_waited_for_and_then_said),
		host_test(device_is_given_back_as_soon_as_qemu_lets_go),
		host_test(iommufd_user_counts_as_a_holder),
		host_test(journal_that_is_none_of_ours_is_refused_whole),
		host_test(first_record_of_a_device_has_its_true_old_driver),
		host_test(what_cannot_be_read_is_said_with_its_cure),
		host_test(override_that_somebody_has_set_meanwhile_is_left),
		host_test(dry_run_prints_the_way_back_and_changes_nothing),
		host_test(dry_run_prints_what_follows_the_end_of_the_guests_own_qemu),
	};

	return cmocka_run_group_tests_name("vfio/undo", tests, NULL, NULL);
}
