/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_apply_test.c - devices to vfio-pci, with a kernel that fails, lies or kills */
/* wraps: attr_write module_load process_identify process_alive */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

/*
 * Where a kill can hit while GPU and audio function are handed over. For each: a mark, two lines in
 * the journal, a mark before each of three writes, the mark's removal.
 */
#define POINTS 20

/* Writes that handing over GPU, audio function and NIC takes: override, unbind, probe for each */
#define WRITES 9

static void all_devices_go_to_vfio_pci_and_come_back(void **state)
{
	const char *before = snapshot();

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_string_equal(driver_of(AUDIO), "vfio-pci");
	assert_string_equal(driver_of(NIC), "vfio-pci");
	assert_string_equal(override_of(NIC), "vfio-pci");
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(kernel->writes, WRITES);
	assert_false(claim_has("vfio.worker"));
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio.journal"));
}

static void applied_twice_writes_once(void **state)
{
	const char *before = snapshot();

	(void)state;
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(kernel->writes, WRITES);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

static void device_that_was_on_vfio_pci_before_stays_there(void **state)
{
	char before[512];

	(void)state;
	set_driver(NIC, "vfio-pci");
	tree_file(host, DEVICES NIC "/driver_override", "vfio-pci");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(kernel->writes, 6);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

static void device_on_a_vfio_driver_of_its_own_is_left_on_it(void **state)
{
	(void)state;
	set_driver(NIC, "mlx5_vfio_pci");
	tree_dir(host, DEVICES NIC "/vfio-dev/vfio0");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(driver_of(NIC), "mlx5_vfio_pci");
}

static void device_without_a_driver_gets_none_again(void **state)
{
	const char *before = snapshot();

	(void)state;
	write_claim(UUID, USB_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(driver_of(USB), "vfio-pci");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	assert_string_equal(driver_of(USB), "");
}

static void override_of_the_admin_comes_back(void **state)
{
	char before[512];

	(void)state;
	tree_file(host, DEVICES GPU "/driver_override", "nouveau");
	set_driver(GPU, "nouveau");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

/* The kernel would choose nvidia: what was there counts, not what fits */
static void device_goes_back_to_the_driver_it_had_not_to_one_that_fits(void **state)
{
	char before[512];

	(void)state;
	set_driver(GPU, "nouveau");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

static void each_single_failing_write_leaves_the_host_as_before(void **state)
{
	char before[512];
	int failures = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	for (int n = 1; n <= WRITES; n++) {
		kernel->writes = 0;
		kernel->fail_at = kernel->fail_to = n;
		assert_int_equal(apply(), HELPER_FAILED);
		assert_non_null(strstr(said, "Input/output error"));
		assert_string_equal(snapshot(), before);
		kernel->fail_at = kernel->fail_to = 0;
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		failures++;
	}
	assert_int_equal(failures, WRITES);
}

static void kernel_that_fails_for_good_is_named_and_a_later_undo_repairs(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	for (int n = 2; n <= WRITES; n++) {
		kernel->writes = 0;
		kernel->fail_at = n;
		kernel->fail_to = INT_MAX;
		assert_int_equal(apply(), HELPER_DIRTY);
		assert_non_null(strstr(said, "Input/output error"));
		kernel->fail_at = kernel->fail_to = 0;
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
	}
}

static void probe_that_says_yes_and_binds_nothing_is_noticed(void **state)
{
	(void)state;
	kernel->lazy = true;
	assert_int_equal(apply(), HELPER_DIRTY);
	assert_non_null(strstr(said, "driver vfio-pci did not take 0000:01:00.0, though the kernel "
				     "reported no error"));
	/* It lies on the way back too */
	assert_non_null(strstr(said, "driver nvidia did not take 0000:01:00.0"));
	kernel->lazy = false;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "nvidia");
}

static void rebind_notices_when_another_driver_won(void **state)
{
	const char *before = snapshot();

	(void)state;
	kernel->thief = "nouveau";
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(
		strstr(said, "0000:01:00.0 was to have driver vfio-pci, but it has nouveau"));
	/* The thief has them now: somebody else's driver is left alone, our override is not */
	assert_string_equal(driver_of(GPU), "nouveau");
	assert_string_equal(override_of(GPU), "(null)");
	assert_non_null(strstr(said, "has been taken by driver nouveau meanwhile: left to it"));
	assert_string_not_equal(snapshot(), before);
}

static void unbind_that_does_nothing_is_noticed(void **state)
{
	const char *before = snapshot();

	(void)state;
	kernel->deaf = true;
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, "but it has nvidia"));
	assert_string_equal(snapshot(), before);
}

static void driver_is_loaded_before_an_override_names_it(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/vfio-pci", AT_REMOVEDIR), 0);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(kernel->modules, "vfio-pci");
}

static void driver_goes_again(const char *name)
{
	(void)name;
	assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/vfio-pci", AT_REMOVEDIR), 0);
}

/* modprobe has said yes */
static void driver_that_is_not_there_after_its_load_is_noticed(void **state)
{
	const char *before = snapshot();

	(void)state;
	driver_goes_again("");
	kernel->on_module_load = driver_goes_again;
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: cannot load driver vfio-pci: No such device or "
				  "address: see modprobe -v vfio-pci, and dmesg\n");
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(snapshot(), before);
}

static void without_the_driver_nothing_is_touched(void **state)
{
	const char *before = snapshot();

	(void)state;
	assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/vfio-pci", AT_REMOVEDIR), 0);
	kernel->module_error = -ETIMEDOUT;
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said,
			    "usher: win11: cannot load driver vfio-pci: Connection timed out: "
			    "see modprobe -v vfio-pci, and dmesg\n");
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(snapshot(), before);
}

static void dry_run_prints_every_write_in_order_and_makes_none(void **state)
{
	const char *before = snapshot();

	(void)state;
	assert_int_equal(helper_run("--dry-run", "apply"), HELPER_DONE);
	assert_string_equal(said,
			    "write /sys/bus/pci/devices/0000:01:00.0/driver_override vfio-pci\n"
			    "write /sys/bus/pci/devices/0000:01:00.0/driver/unbind "
			    "0000:01:00.0\n"
			    "write /sys/bus/pci/drivers_probe 0000:01:00.0\n"
			    "write /sys/bus/pci/devices/0000:01:00.1/driver_override vfio-pci\n"
			    "write /sys/bus/pci/devices/0000:01:00.1/driver/unbind "
			    "0000:01:00.1\n"
			    "write /sys/bus/pci/drivers_probe 0000:01:00.1\n"
			    "write /sys/bus/pci/devices/0000:02:00.0/driver_override vfio-pci\n"
			    "write /sys/bus/pci/devices/0000:02:00.0/driver/unbind "
			    "0000:02:00.0\n"
			    "write /sys/bus/pci/drivers_probe 0000:02:00.0\n");
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio"));
}

static void killed_worker_is_noticed_and_its_work_taken_back(void **state)
{
	char before[512];
	int killed = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, GPU_LINE AUDIO_LINE);
	for (int n = 1;; n++) {
		int status;

		kernel->points = 0;
		kernel->kill_at = n;
		status = helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		/* The helper itself may have been the one that was hit */
		if (WEXITSTATUS(status) != 9)
			assert_int_equal(WEXITSTATUS(status), HELPER_FAILED);
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		assert_false(claim_has("vfio.worker"));
		killed++;
	}
	assert_true(killed >= POINTS);
	kernel->kill_at = 0;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

static void undo_repairs_what_kill_9_of_all_left_at_any_point(void **state)
{
	char before[512];
	int killed = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, GPU_LINE AUDIO_LINE);
	kernel->kill_both = true;
	for (int n = 1;; n++) {
		kernel->points = 0;
		kernel->kill_at = n;
		(void)helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		killed++;
	}
	assert_int_equal(killed, POINTS);
}

/* Nobody calls undo: the worker that is left finds itself alone */
static void worker_whose_helper_was_killed_gives_back_by_itself(void **state)
{
	char before[512];
	int killed = 0;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, NIC_LINE);
	kernel->kill_starter_only = true;
	for (int n = 1;; n++) {
		int status;

		kernel->points = 0;
		kernel->kill_at = n;
		status = helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		/* Only then was the worker there, and alone */
		if (!WIFSIGNALED(status)) {
			assert_int_equal(undo(), HELPER_DONE);
			continue;
		}
		/* It is ours now. One that is killed before its mark is there must not meet the
		 * next one */
		while (waitpid(-1, NULL, 0) > 0)
			;
		assert_false(claim_has("vfio.worker"));
		assert_string_equal(snapshot(), before);
		killed++;
	}
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
	/* How often depends on who of the two is the first at a point */
	assert_true(killed >= 3);
}

static void half_done_state_is_carried_on_from(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, GPU_LINE AUDIO_LINE);
	kernel->kill_both = true;
	for (int n = 1;; n++) {
		kernel->points = 0;
		kernel->kill_at = n;
		(void)helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		/* Refused while a worker that outlived its helper gives back by itself */
		wait_until(apply() == HELPER_DONE);
		assert_string_equal(driver_of(GPU), "vfio-pci");
		assert_string_equal(driver_of(AUDIO), "vfio-pci");
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
	}
}

static void malformed_claims_are_refused_before_anything_is_touched(void **state)
{
	static const char *const claims[] = {
		"device = 0000:01:00.0\n",
		"device = 0000:01:00.0 10de:1b80 hostdev\n",
		"device = 0000:01:00.8 10de:1b80 hostdev managed\n",
		"device = 0000:01:00.0 10de:1b80 hostdev perhaps\n",
		"device = 0000:01:00.0 10de:1b80 hostdev managed colour=red\n",
		"device = 0000:01:00.0 10de:1b80 hostdev managed serial=a%2f\n",
		GPU_LINE GPU_LINE,
		"driver = ../../etc\n" GPU_LINE,
		"driver = vfio pci\n" GPU_LINE,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		write_claim(UUID, claims[i]);
		assert_int_equal(apply(), HELPER_USAGE);
		assert_non_null(strstr(said, "nothing was touched"));
		assert_int_equal(check(), HELPER_USAGE);
	}
	assert_int_equal(kernel->writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(all_devices_go_to_vfio_pci_and_come_back),
		host_test(applied_twice_writes_once),
		host_test(device_that_was_on_vfio_pci_before_stays_there),
		host_test(device_on_a_vfio_driver_of_its_own_is_left_on_it),
		host_test(device_without_a_driver_gets_none_again),
		host_test(override_of_the_admin_comes_back),
		host_test(device_goes_back_to_the_driver_it_had_not_to_one_that_fits),
		host_test(each_single_failing_write_leaves_the_host_as_before),
		host_test(kernel_that_fails_for_good_is_named_and_a_later_undo_repairs),
		host_test(probe_that_says_yes_and_binds_nothing_is_noticed),
		host_test(rebind_notices_when_another_driver_won),
		host_test(unbind_that_does_nothing_is_noticed),
		host_test(driver_is_loaded_before_an_override_names_it),
		host_test(driver_that_is_not_there_after_its_load_is_noticed),
		host_test(without_the_driver_nothing_is_touched),
		host_test(dry_run_prints_every_write_in_order_and_makes_none),
		host_test(killed_worker_is_noticed_and_its_work_taken_back),
		host_test(undo_repairs_what_kill_9_of_all_left_at_any_point),
		host_test(worker_whose_helper_was_killed_gives_back_by_itself),
		host_test(half_done_state_is_carried_on_from),
		host_test(malformed_claims_are_refused_before_anything_is_touched),
	};

	return cmocka_run_group_tests_name("vfio/apply", tests, NULL, NULL);
}
