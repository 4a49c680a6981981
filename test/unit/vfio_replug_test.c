/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_replug_test.c - what does not go home is taken off the bus and found again */
/* wraps: attr_write module_load process_identify process_alive */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

#define PAIR GPU_LINE AUDIO_LINE

static int replug(void)
{
	return helper_run(NULL, "replug");
}

/* The guest is gone, and the card's driver does not take it back */
static void apply_and_fail_to_undo(void)
{
	assert_int_equal(apply(), HELPER_DONE);
	kernel->dirty = true;
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_non_null(strstr(said, "did not take 0000:01:00.0, though the kernel reported no "
				     "error: see dmesg, then try usher recover --force\n"));
	assert_string_equal(driver_of(GPU), "");
	assert_string_equal(driver_of(AUDIO), "snd_hda_intel");
	kernel->writes = 0;
}

static void card_that_its_driver_refuses_is_found_anew_and_goes_home(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	apply_and_fail_to_undo();
	assert_int_equal(replug(), HELPER_DONE);
	assert_string_equal(said, "");
	/* Off, on, aimed home; its sound function is home already */
	assert_int_equal(kernel->writes, 3);
	assert_string_equal(driver_of(GPU), "nvidia");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio.journal"));
	assert_false(claim_has("vfio.worker"));
}

/* As new the kernel gives it to what fits, which is not what it had */
static void override_and_driver_that_the_admin_chose_come_back(void **state)
{
	char before[512];

	(void)state;
	tree_file(host, DEVICES GPU "/driver_override", "nouveau");
	set_driver(GPU, "nouveau");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	apply_and_fail_to_undo();
	assert_int_equal(replug(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "");
	assert_string_equal(override_of(GPU), "nouveau");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

static void device_that_had_no_driver_has_none_then(void **state)
{
	const char *before;

	(void)state;
	set_driver(GPU, "");
	before = snapshot();
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(replug(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

static void device_that_is_not_found_again_is_told(void **state)
{
	(void)state;
	write_claim(UUID, PAIR);
	apply_and_fail_to_undo();
	kernel->lost = true;
	assert_int_equal(replug(), HELPER_DIRTY);
	assert_string_equal(said, "usher: win11: 0000:01:00.0 was taken off the bus and is not "
				  "found again: No such device: power the host off and on\n");
	/* When it does come back all the same, that is seen to */
	kernel->lost = false;
	assert_int_equal(replug(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "nvidia");
}

static void what_is_home_or_somebody_elses_by_now_is_left_alone(void **state)
{
	(void)state;
	write_claim(UUID, PAIR NIC_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	set_driver(GPU, "nvidia");
	set_driver(AUDIO, "snd_hda_intel");
	set_driver(NIC, "nouveau");
	kernel->writes = 0;
	assert_int_equal(replug(), HELPER_DONE);
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(driver_of(NIC), "nouveau");
}

/* Taking it off the bus would sleep until that one lets go */
static void device_that_a_process_has_through_vfio_is_left_on_the_bus(void **state)
{
	(void)state;
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	tree_file(host, "proc/900/comm", "qemu-system-x86\n");
	tree_link(host, "proc/900/fd/7", "/dev/vfio/14");
	kernel->writes = 0;
	vfio_helper.apply_timeout_ms = 300;
	assert_int_equal(replug(), HELPER_DIRTY);
	vfio_helper.apply_timeout_ms = 3000;
	assert_non_null(strstr(said, "qemu-system-x86 (pid 900) still uses it: end that process"));
	assert_int_equal(kernel->writes, 0);
}

static void nothing_is_done_without_a_journal_or_outside_of_run_usher(void **state)
{
	(void)state;
	assert_int_equal(replug(), HELPER_DONE);
	assert_int_equal(kernel->writes, 0);
	assert_int_equal(renameat(host->rootfd, CLAIM_DIR, host->rootfd, "run/usher/" OTHER_UUID),
			 0);
	assert_int_equal(symlinkat(OTHER_UUID, openat(host->rootfd, "run/usher", O_PATH), UUID), 0);
	assert_int_equal(replug(), HELPER_USAGE);
}

static void each_single_failing_write_is_told_and_another_go_does_it(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	for (int n = 1; n <= 3; n++) {
		apply_and_fail_to_undo();
		kernel->fail_at = kernel->fail_to = n;
		assert_int_equal(replug(), HELPER_DIRTY);
		assert_non_null(strstr(said, "0000:01:00.0"));
		assert_non_null(strstr(said, "Input/output error"));
		kernel->fail_at = kernel->fail_to = 0;
		assert_int_equal(replug(), HELPER_DONE);
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
	}
}

static void removal_that_hangs_is_left_behind_and_done_when_the_kernel_returns(void **state)
{
	char before[512];
	long long start;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 500\n" PAIR);
	apply_and_fail_to_undo();
	kernel->hang_at = 1;
	start = now_ms();
	assert_int_equal(replug(), HELPER_DIRTY);
	assert_true(now_ms() - start < 2000);
	assert_non_null(strstr(said, "0000:01:00.0 is stuck: it has not been taken off "
				     "the bus for 0 s (process "));
	kernel->hang_at = 0;
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(!claim_has("vfio.worker"));
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio.journal"));
}

static void journal_that_cannot_be_read_is_told_and_nothing_taken_off(void **state)
{
	const char *before = snapshot();

	(void)state;
	tree_file(host, CLAIM_DIR "/vfio.journal", "garbage\n");
	assert_int_equal(replug(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: cannot read /run/usher/" UUID "/vfio.journal: Bad "
				  "message: look at lspci -k\n");
	assert_int_equal(kernel->writes, 0);
	assert_string_equal(snapshot(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(card_that_its_driver_refuses_is_found_anew_and_goes_home),
		host_test(override_and_driver_that_the_admin_chose_come_back),
		host_test(device_that_had_no_driver_has_none_then),
		host_test(device_that_is_not_found_again_is_told),
		host_test(what_is_home_or_somebody_elses_by_now_is_left_alone),
		host_test(device_that_a_process_has_through_vfio_is_left_on_the_bus),
		host_test(nothing_is_done_without_a_journal_or_outside_of_run_usher),
		host_test(each_single_failing_write_is_told_and_another_go_does_it),
		host_test(journal_that_cannot_be_read_is_told_and_nothing_taken_off),
		host_test(removal_that_hangs_is_left_behind_and_done_when_the_kernel_returns),
	};

	return cmocka_run_group_tests_name("vfio/replug", tests, NULL, NULL);
}
