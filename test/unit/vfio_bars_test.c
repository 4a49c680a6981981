/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_bars_test.c - resizable BARs, which the kernel resizes while no driver has the card */
/* wraps: attr_write module_load process_identify process_alive */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

#define PAIR GPU_LINE AUDIO_LINE

/* 16 GiB and 256 MiB as the kernel counts; the bitmap has 256 MiB to 16 GiB */
#define LARGE	 14
#define SMALL	 8
#define SIZES	 "0000000000007f00\n"
#define RESIZE_0 DEVICES GPU "/resource0_resize"

static int bars_setup(void **state)
{
	int r = host_setup(state);

	set_bar0(GPU, LARGE);
	tree_file(host, RESIZE_0, SIZES);
	return r;
}

#define bars_test(fn) cmocka_unit_test_setup_teardown(fn, bars_setup, host_teardown)

static int bar0(void)
{
	unsigned long long start, end;
	int size = 0;

	assert_int_equal(
		sscanf(tree_read(host, DEVICES GPU "/resource"), "%llx %llx", &start, &end), 2);
	while (end - start + 1 > 1ULL << (size + 20))
		size++;
	return size;
}

static void policys_sizes_are_set_between_drivers_and_taken_back(void **state)
{
	const char *before = snapshot();

	(void)state;
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(bar0(), LARGE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(bar0(), SMALL);
	assert_string_equal(driver_of(GPU), "vfio-pci");
	/* Three for each of the two, and the size */
	assert_int_equal(kernel->writes, 7);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(bar0(), LARGE);
	assert_string_equal(snapshot(), before);
}

static void size_that_a_bar_has_already_is_not_written(void **state)
{
	(void)state;
	set_bar0(GPU, SMALL);
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(kernel->writes, 6);
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(bar0(), SMALL);
}

static void without_the_key_no_bar_is_touched(void **state)
{
	(void)state;
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(kernel->writes, 6);
	assert_int_equal(bar0(), LARGE);
}

static void size_that_no_device_has_is_refused_before_anything_is_touched(void **state)
{
	static const char text[] =
		"usher: win11: no device of the guest has a BAR 0 that can be 64 MiB large: see "
		"lspci -vvs 0000:01:00.0, Resizable BAR (Linux 6.1 or later), and correct bars in "
		"[vfio] of the policy\n";

	(void)state;
	write_claim(UUID, PAIR "bars = 0:64M\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(said, text);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_int_equal(kernel->writes, 0);
	/* A kernel, or a card, that can resize none */
	assert_int_equal(unlinkat(host->rootfd, RESIZE_0, 0), 0);
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "BAR 0 that can be 256 MiB large"));
}

static void bar_that_finds_no_room_is_refused_and_all_is_as_before(void **state)
{
	const char *before = snapshot();

	(void)state;
	kernel->no_room = true;
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: BAR 0 of 0000:01:00.0 cannot be made 256 MiB "
				  "large: No space left on device: see dmesg, or take bars out of "
				  "[vfio] in the policy\n");
	assert_string_equal(snapshot(), before);
	assert_int_equal(bar0(), LARGE);
}

static void kernel_that_says_yes_and_resizes_nothing_is_found_out(void **state)
{
	const char *before = snapshot();

	(void)state;
	kernel->lazy_bars = true;
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, "cannot be made 256 MiB large: Input/output error"));
	assert_string_equal(snapshot(), before);
}

/* It would be the card that is lost else */
static void card_goes_back_though_its_bar_stays_small_and_that_is_told(void **state)
{
	const char *before = snapshot();

	(void)state;
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(apply(), HELPER_DONE);
	kernel->no_room = true;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "usher: win11: 0000:01:00.0 is back, but its BAR 0 is not 16384 "
				  "MiB large as it was: No space left on device: see dmesg; a "
				  "reboot of the host restores it\n");
	assert_string_equal(snapshot(), before);
}

static void each_single_failing_write_leaves_card_and_bar_as_before(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR "bars = 0:256M\n");
	for (int n = 1; n <= 7; n++) {
		kernel->writes = 0;
		kernel->fail_at = kernel->fail_to = n;
		assert_int_equal(apply(), HELPER_FAILED);
		assert_non_null(strstr(said, "Input/output error"));
		assert_string_equal(snapshot(), before);
		assert_int_equal(bar0(), LARGE);
	}
}

static void kill_9_at_any_point_leaves_what_undo_repairs(void **state)
{
	char before[512];
	int killed = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR "bars = 0:256M\n");
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
		assert_int_equal(bar0(), LARGE);
		killed++;
	}
	/* With the mark, the record and the write there are three more than without */
	assert_int_equal(killed, 23);
}

static void malformed_sizes_of_a_claim_touch_nothing(void **state)
{
	static const char *const values[] = {
		"0:300M",	 "6:256M", "0",	    "0:",
		"0:256M 0:512M", "0:512K", ":256M", "0:1M 1:1M 2:1M 3:1M 4:1M 5:1M 5:2M"
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		(void)snprintf(text, sizeof(text), PAIR "bars = %s\n", values[i]);
		write_claim(UUID, text);
		assert_int_equal(apply(), HELPER_USAGE);
		assert_non_null(strstr(said, "is malformed or names a BAR twice"));
		assert_int_equal(kernel->writes, 0);
	}
}

static void a_dry_run_prints_the_size_and_writes_nothing(void **state)
{
	(void)state;
	write_claim(UUID, PAIR "bars = 0:256M\n");
	assert_int_equal(helper_run("--dry-run", "apply"), HELPER_DONE);
	assert_non_null(strstr(said, "write /" RESIZE_0 " 8\n"));
	assert_int_equal(kernel->writes, 0);
}

/* The policy wants it smaller: to start without a word would be no answer */
static void card_whose_ranges_do_not_tell_a_size_is_refused(void **state)
{
	static const char *const ranges[] = { "", "garbage\n", "0x0 0x0 0x0\n",
					      "e0000000 efffffff 0\n" };
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR "bars = 0:256M\n");
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		tree_file(host, DEVICES GPU "/resource", ranges[i]);
		assert_int_equal(apply(), HELPER_FAILED);
		assert_string_equal(said,
				    "usher: win11: cannot look at 0000:01:00.0: No such device "
				    "or address: see lspci -vs 0000:01:00.0\n");
		assert_string_equal(snapshot(), before);
		assert_int_equal(undo(), HELPER_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bars_test(policys_sizes_are_set_between_drivers_and_taken_back),
		bars_test(size_that_a_bar_has_already_is_not_written),
		bars_test(without_the_key_no_bar_is_touched),
		bars_test(size_that_no_device_has_is_refused_before_anything_is_touched),
		bars_test(bar_that_finds_no_room_is_refused_and_all_is_as_before),
		bars_test(kernel_that_says_yes_and_resizes_nothing_is_found_out),
		bars_test(card_goes_back_though_its_bar_stays_small_and_that_is_told),
		bars_test(each_single_failing_write_leaves_card_and_bar_as_before),
		bars_test(kill_9_at_any_point_leaves_what_undo_repairs),
		bars_test(card_whose_ranges_do_not_tell_a_size_is_refused),
		bars_test(malformed_sizes_of_a_claim_touch_nothing),
		bars_test(a_dry_run_prints_the_size_and_writes_nothing),
	};

	return cmocka_run_group_tests_name("vfio/bars", tests, NULL, NULL);
}
