/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_monitor_test.c - who is on which bus, and switching one monitor */
/* wraps: i2c_open i2c_write_at i2c_read_at */
#include "tree.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "fake_i2c.h"
#include "helpers/display/monitor.h"
#include "lib/deadline.h"

#define LONG_MS 20000

static struct bus buses[4];
static struct bus_list list = { .buses = buses, .nr = ARRAY_SIZE(buses) };

static int setup(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < list.nr; i++)
		buses[i] = (struct bus){ .number = 4 + i };
	return fake_i2c_setup();
}

static int teardown(void **state)
{
	(void)state;
	return fake_i2c_teardown();
}

static int find(const char *monitor, int timeout_ms)
{
	_cleanup_free_ struct probe *probes = NULL;

	assert_int_equal(monitors_identify(-1, &list, timeout_ms, &probes), 0);
	return monitor_find(&list, probes, monitor);
}

static void a_monitor_is_found_among_empty_buses(void **state)
{
	(void)state;
	(void)fake_monitor_add(6, "DEL", 0xa0c4, "JK9X");
	assert_int_equal(find("DEL:a0c4:JK9X", LONG_MS), 2);
	assert_int_equal(find("DEL", LONG_MS), 2);
	assert_int_equal(find("GSM", LONG_MS), -ENOENT);
}

static void two_of_a_model_are_told_apart_by_serial_only(void **state)
{
	(void)state;
	(void)fake_monitor_add(5, "DEL", 0xa0c4, "LEFT1");
	(void)fake_monitor_add(7, "DEL", 0xa0c4, "RIGHT1");
	assert_int_equal(find("DEL:a0c4:LEFT1", LONG_MS), 1);
	assert_int_equal(find("DEL:a0c4:RIGHT1", LONG_MS), 3);
	assert_int_equal(find("DEL:a0c4", LONG_MS), -ENOTUNIQ);
}

static void two_without_serials_are_told_apart_by_connector(void **state)
{
	(void)state;
	(void)fake_monitor_add(5, "DEL", 0xa0c4, "");
	(void)fake_monitor_add(7, "DEL", 0xa0c4, "");
	(void)snprintf(buses[3].connector, CONNECTOR_LEN, "card0-DP-2");
	assert_int_equal(find("DEL:a0c4", LONG_MS), -ENOTUNIQ);
	assert_int_equal(find("card0-DP-2", LONG_MS), 3);
	assert_int_equal(find("card0-DP-1", LONG_MS), -ENOENT);
}

static void one_that_does_not_answer_at_first_is_asked_again(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(4, "DEL", 0xa0c4, "JK9X");

	(void)state;
	monitor->naks = 4;
	assert_int_equal(find("DEL:a0c4:JK9X", LONG_MS), 0);
	monitor->naks = 100;
	assert_int_equal(find("DEL:a0c4:JK9X", LONG_MS), -ENOENT);
}

static void an_edid_that_is_broken_is_nobodys(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(4, "DEL", 0xa0c4, "JK9X");

	(void)state;
	monitor->edid[30] ^= 1;
	assert_int_equal(find("DEL", LONG_MS), -ENOENT);
}

static void a_bus_that_hangs_delays_nobody_twice(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(4, "GSM", 1, "HUNG");
	long long start = now_ms();

	(void)state;
	monitor->hangs = true;
	(void)fake_monitor_add(6, "DEL", 0xa0c4, "JK9X");
	assert_int_equal(find("DEL:a0c4:JK9X", 500), 2);
	assert_true(now_ms() - start < 5000);
	assert_true(buses[0].hung);
	assert_false(buses[2].hung);
	start = now_ms();
	assert_int_equal(find("DEL:a0c4:JK9X", 15000), 2);
	assert_true(now_ms() - start < 10000);
	assert_int_equal(find("GSM", 500), -ENOENT);
	(void)waitpid(-1, NULL, 0);
}

static struct probe ask_input(size_t index, uint8_t source)
{
	struct probe_ask asks[ARRAY_SIZE(buses)] = { 0 };
	struct probe probes[ARRAY_SIZE(buses)] = { 0 };

	asks[index] = (struct probe_ask){ .input = true, .source_address = source };
	assert_int_equal(monitors_ask(-1, &list, asks, LONG_MS, probes), 0);
	return probes[index];
}

static void a_monitor_that_is_found_does_not_wait_for_a_bus_that_hangs(void **state)
{
	_cleanup_free_ struct probe *probes = NULL, *again = NULL;
	struct fake_monitor *hung = fake_monitor_add(4, "GSM", 1, "HUNG");
	long long start = now_ms();

	(void)state;
	hung->hangs = true;
	(void)fake_monitor_add(6, "DEL", 0xa0c4, "JK9X");
	assert_int_equal(monitors_look_for(-1, &list, "DEL:a0c4:JK9X", false, LONG_MS, &probes), 0);
	assert_true(now_ms() - start < LONG_MS / 2);
	assert_int_equal(monitor_find(&list, probes, "DEL:a0c4:JK9X"), 2);
	assert_true(list.buses[0].hung);
	/* A connector is known without asking anybody */
	hung->edids = 0;
	(void)snprintf(buses[1].connector, sizeof(buses[1].connector), "card0-DP-1");
	assert_int_equal(monitors_look_for(-1, &list, "card0-DP-1", false, LONG_MS, &again), 0);
	assert_int_equal(monitor_find(&list, again, "card0-DP-1"), 1);
}

static void another_of_the_model_is_waited_for_however_slow(void **state)
{
	static const char *const names[] = { "DEL:a0c4", "DEL" };
	struct fake_monitor *slow = fake_monitor_add(4, "DEL", 0xa0c4, "SLOW");

	(void)state;
	slow->slow_ms = 150;
	(void)fake_monitor_add(6, "DEL", 0xa0c4, "JK9X");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ struct probe *probes = NULL;

		assert_int_equal(monitors_look_for(-1, &list, names[i], false, LONG_MS, &probes),
				 0);
		assert_int_equal(monitor_find(&list, probes, names[i]), -ENOTUNIQ);
	}
}

static void the_input_is_the_low_byte_of_what_a_monitor_says(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");
	struct probe probe;

	(void)state;
	probe = ask_input(1, DDC_SOURCE);
	assert_int_equal(probe.input_error, 0);
	assert_int_equal(probe.input, 15);
	monitor->garbled = 4;
	probe = ask_input(1, DDC_SOURCE);
	assert_int_equal(probe.input_error, 0);
	assert_int_equal(probe.input, 15);
	assert_int_equal(monitor->edids, 0);
}

static void a_monitor_that_does_not_say_its_input_is_told_why(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");

	(void)state;
	monitor->garbled = 100;
	assert_int_equal(ask_input(1, DDC_SOURCE).input_error, -EBADMSG);
	monitor->silent = true;
	assert_int_equal(ask_input(1, DDC_SOURCE).input_error, -ENXIO);
	monitor->busy = true;
	assert_int_equal(ask_input(1, DDC_SOURCE).input_error, -EBUSY);
}

static void only_the_monitor_that_is_meant_is_spoken_to(void **state)
{
	struct fake_monitor *other = fake_monitor_add(4, "GSM", 1, "");
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");

	(void)state;
	(void)ask_input(1, DDC_SOURCE);
	assert_int_equal(monitor->gets, 1);
	assert_int_equal(other->gets, 0);
	assert_int_equal(find("DEL", LONG_MS), 1);
	assert_int_equal(other->gets, 0);
	assert_int_equal(other->edids, 1);
}

static void an_input_is_set_in_one_write(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");

	(void)state;
	assert_int_equal(monitor_set_input(-1, 5, 0x51, 17, now_ms(), -1), 0);
	assert_int_equal(monitor->input, 17);
	assert_int_equal(monitor->sets, 1);
	assert_int_equal(monitor->edids, 0);
}

static void a_vendors_source_address_is_used(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "GSM", 1, "");

	(void)state;
	monitor->source = 0x50;
	assert_int_equal(monitor_set_input(-1, 5, 0x50, 0x90, now_ms(), -1), 0);
	assert_int_equal(monitor->input, 0x90);
	assert_int_equal(monitor->last_set[0], 0x50);
}

static void a_set_that_is_not_acknowledged_is_tried_again_until_the_deadline(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");
	long long start = now_ms();

	(void)state;
	monitor->naks = 3;
	assert_int_equal(monitor_set_input(-1, 5, 0x51, 17, deadline_in(LONG_MS), -1), 0);
	assert_int_equal(monitor->input, 17);
	monitor->naks = 1000;
	start = now_ms();
	assert_int_equal(monitor_set_input(-1, 5, 0x51, 15, deadline_in(300), -1), -EREMOTEIO);
	assert_true(now_ms() - start >= 300);
	assert_true(now_ms() - start < 5000);
	assert_true(monitor->naks < 998);
}

static void an_address_a_kernel_driver_holds_is_not_tried_again(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");
	long long start = now_ms();

	(void)state;
	monitor->busy = true;
	assert_int_equal(monitor_set_input(-1, 5, 0x51, 17, deadline_in(LONG_MS), -1), -EBUSY);
	assert_true(now_ms() - start < 10000);
}

static void the_guests_end_ends_the_attempts(void **state)
{
	struct fake_monitor *monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");
	long long start = now_ms();
	pid_t pid = fork();
	int qemu;

	(void)state;
	if (pid == 0)
		_exit(0);
	qemu = pidfd_open(pid, 0);
	monitor->naks = 1000;
	assert_int_equal(monitor_set_input(-1, 5, 0x51, 17, deadline_in(LONG_MS), qemu),
			 -ECANCELED);
	assert_true(now_ms() - start < 10000);
	(void)close(qemu);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_names_a_monitor_is_known(void **state)
{
	static const char *const good[] = { "DEL",	    "DEL:a0c4",	     "del:A0C4:x",
					    "DEL:a0c4:a b", "card0-DP-1",    "card12-HDMI-A-1",
					    "???:0000",	    "DEL:a0c4:a:b:c" };
	static const char *const bad[] = { "",	      "D",	   "DE",	"DELL",	    "DEL:",
					   "DEL:a0c", "DEL:a0c4:", "DEL:a0c44", "DEL:xyzw", "DP-1",
					   "card0",   "i2c-4",	   "1EL",	"auto" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(monitor_valid(good[i]), 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(monitor_valid(bad[i]), 0);
	assert_int_equal(monitor_is_connector("card0-DP-1"), 1);
	assert_int_equal(monitor_is_connector("car:a0c4"), 0);
}

#define monitor_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		monitor_test(a_monitor_is_found_among_empty_buses),
		monitor_test(two_of_a_model_are_told_apart_by_serial_only),
		monitor_test(two_without_serials_are_told_apart_by_connector),
		monitor_test(one_that_does_not_answer_at_first_is_asked_again),
		monitor_test(an_edid_that_is_broken_is_nobodys),
		monitor_test(a_bus_that_hangs_delays_nobody_twice),
		monitor_test(a_monitor_that_is_found_does_not_wait_for_a_bus_that_hangs),
		monitor_test(another_of_the_model_is_waited_for_however_slow),
		monitor_test(the_input_is_the_low_byte_of_what_a_monitor_says),
		monitor_test(a_monitor_that_does_not_say_its_input_is_told_why),
		monitor_test(only_the_monitor_that_is_meant_is_spoken_to),
		monitor_test(an_input_is_set_in_one_write),
		monitor_test(a_vendors_source_address_is_used),
		monitor_test(a_set_that_is_not_acknowledged_is_tried_again_until_the_deadline),
		monitor_test(an_address_a_kernel_driver_holds_is_not_tried_again),
		monitor_test(the_guests_end_ends_the_attempts),
		cmocka_unit_test(what_names_a_monitor_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
