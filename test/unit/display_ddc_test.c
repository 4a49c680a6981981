/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_ddc_test.c - DDC/CI packets, and a dialogue with a monitor */
/* wraps: i2c_open i2c_write_at i2c_read_at */
#include "tree.h"

#include "fake_i2c.h"
#include "lib/deadline.h"

static struct fake_monitor *monitor;
static int fd;

static int setup(void **state)
{
	(void)state;
	if (fake_i2c_setup() < 0)
		return -1;
	monitor = fake_monitor_add(4, "DEL", 0xa0c4, "JK9X");
	fd = i2c_open(-1, 4);
	return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)close(fd);
	return fake_i2c_teardown();
}

static void a_set_is_the_seven_bytes_of_the_standard(void **state)
{
	static const uint8_t expected[] = { 0x51, 0x84, 0x03, 0x60, 0x00, 0x11, 0xc9 };
	uint8_t packet[DDC_SET_LEN];

	(void)state;
	ddc_encode_set(0x51, 0x60, 0x11, packet);
	assert_memory_equal(packet, expected, sizeof(expected));
}

static void a_set_carries_both_bytes_and_a_vendors_source_address(void **state)
{
	static const uint8_t expected[] = { 0x50, 0x84, 0x03, 0xf4, 0x01, 0xd0, 0x9c };
	uint8_t packet[DDC_SET_LEN];

	(void)state;
	ddc_encode_set(0x50, 0xf4, 0x1d0, packet);
	assert_memory_equal(packet, expected, sizeof(expected));
}

static void a_get_is_the_five_bytes_of_the_standard(void **state)
{
	static const uint8_t expected[] = { 0x51, 0x82, 0x01, 0x60, 0xdc };
	uint8_t packet[DDC_GET_LEN];

	(void)state;
	ddc_encode_get(0x51, 0x60, packet);
	assert_memory_equal(packet, expected, sizeof(expected));
}

static const uint8_t good_reply[] = { 0x6e, 0x88, 0x02, 0x00, 0x60, 0x00,
				      0x00, 0x12, 0x00, 0x0f, 0xc9 };

static void a_reply_is_read(void **state)
{
	struct ddc_value value;

	(void)state;
	assert_int_equal(ddc_decode_get(good_reply, sizeof(good_reply), 0x60, &value), 0);
	assert_int_equal(value.current, 0x0f);
	assert_int_equal(value.max, 0x12);
}

/* Change one byte, and mend the checksum */
static int decode_changed(size_t index, uint8_t byte)
{
	uint8_t reply[sizeof(good_reply)], sum = 0x50;
	struct ddc_value value;

	memcpy(reply, good_reply, sizeof(reply));
	reply[index] = byte;
	for (size_t i = 0; i < sizeof(reply) - 1; i++)
		sum ^= reply[i];
	reply[10] = sum;
	return ddc_decode_get(reply, sizeof(reply), 0x60, &value);
}

static void what_is_no_reply_is_told_from_what_is(void **state)
{
	struct ddc_value value;

	(void)state;
	assert_int_equal(decode_changed(9, 0x11), 0);
	assert_int_equal(decode_changed(0, 0x51), -EBADMSG);
	assert_int_equal(decode_changed(1, 0x87), -EBADMSG);
	assert_int_equal(decode_changed(2, 0x03), -EBADMSG);
	assert_int_equal(decode_changed(3, 0x01), -EOPNOTSUPP);
	assert_int_equal(decode_changed(3, 0x02), -EBADMSG);
	assert_int_equal(decode_changed(4, 0x10), -EBADMSG);
	assert_int_equal(ddc_decode_get(good_reply, 10, 0x60, &value), -EBADMSG);
	assert_int_equal(ddc_decode_get(good_reply, 2, 0x60, &value), -EBADMSG);
	assert_int_equal(ddc_decode_get(good_reply, 0, 0x60, &value), -EBADMSG);
}

static void every_single_flipped_bit_is_noticed(void **state)
{
	uint8_t reply[sizeof(good_reply)];
	struct ddc_value value;

	(void)state;
	for (size_t bit = 0; bit < sizeof(reply) * 8; bit++) {
		memcpy(reply, good_reply, sizeof(reply));
		reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ddc_decode_get(reply, sizeof(reply), 0x60, &value), -EBADMSG);
	}
}

static void the_null_message_is_enomsg(void **state)
{
	uint8_t reply[DDC_REPLY_LEN] = { 0x6e, 0x80, 0xbe };
	struct ddc_value value;

	(void)state;
	assert_int_equal(ddc_decode_get(reply, sizeof(reply), 0x60, &value), -ENOMSG);
	reply[2] = 0xbf;
	assert_int_equal(ddc_decode_get(reply, sizeof(reply), 0x60, &value), -EBADMSG);
}

static void a_feature_is_set_and_the_monitor_left_in_peace(void **state)
{
	long long start = now_ms();

	(void)state;
	assert_int_equal(ddc_set(fd, 0x51, 0x60, 0x11), 0);
	assert_true(now_ms() - start >= 50);
	assert_int_equal(monitor->input, 0x11);
	assert_int_equal(monitor->gets, 0);
}

static void a_feature_is_read_after_the_pause(void **state)
{
	struct ddc_value value;
	long long start = now_ms();

	(void)state;
	assert_int_equal(ddc_get(fd, 0x51, 0x60, &value), 0);
	assert_true(now_ms() - start >= 40);
	assert_int_equal(value.current & 0xff, 15);
	assert_int_equal(monitor->asked, 0x60);
}

static void what_goes_wrong_on_the_wire_is_told(void **state)
{
	struct ddc_value value;

	(void)state;
	monitor->garbled = 1;
	assert_int_equal(ddc_get(fd, 0x51, 0x60, &value), -EBADMSG);
	assert_int_equal(ddc_get(fd, 0x51, 0x60, &value), 0);
	monitor->null_reply = true;
	assert_int_equal(ddc_get(fd, 0x51, 0x60, &value), -ENOMSG);
	monitor->null_reply = false;
	monitor->unsupported = true;
	assert_int_equal(ddc_get(fd, 0x51, 0x60, &value), -EOPNOTSUPP);
	monitor->silent = true;
	assert_int_equal(ddc_get(fd, 0x51, 0x60, &value), -ENXIO);
	assert_int_equal(ddc_set(fd, 0x51, 0x60, 0x11), -ENXIO);
	monitor->busy = true;
	assert_int_equal(ddc_set(fd, 0x51, 0x60, 0x11), -EBUSY);
	assert_int_equal(monitor->input, 15);
}

static void a_capabilities_request_is_the_six_bytes_of_the_standard(void **state)
{
	static const uint8_t expected[] = { 0x51, 0x83, 0xf3, 0x01, 0x20, 0x6e ^ 0x51 ^ 0x83 ^ 0xf3 ^ 0x21 };
	uint8_t packet[DDC_ASK_CAPS_LEN];

	(void)state;
	ddc_encode_ask_caps(0x51, 0x120, packet);
	assert_memory_equal(packet, expected, sizeof(expected));
}

static void a_part_of_the_capabilities_is_told_from_what_is_none(void **state)
{
	uint8_t reply[] = { 0x6e, 0x85, 0xe3, 0x00, 0x20, 'a', 'b', 0 };
	const char *text = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(reply) - 1; i++)
		reply[7] ^= reply[i];
	reply[7] ^= 0x50;
	assert_int_equal(ddc_decode_caps(reply, sizeof(reply), 0x20, &text), 2);
	assert_memory_equal(text, "ab", 2);
	assert_int_equal(ddc_decode_caps(reply, sizeof(reply), 0x40, &text), -EBADMSG);
	for (size_t len = 0; len < sizeof(reply); len++)
		assert_int_equal(ddc_decode_caps(reply, len, 0x20, &text), -EBADMSG);
	for (size_t bit = 0; bit < sizeof(reply) * 8; bit++) {
		uint8_t flipped[sizeof(reply)];

		memcpy(flipped, reply, sizeof(flipped));
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ddc_decode_caps(flipped, sizeof(flipped), 0x20, &text), -EBADMSG);
	}
	assert_int_equal(ddc_decode_caps((const uint8_t *)"\x6e\x80\xbe", 3, 0, &text), -ENOMSG);
}

static void the_capabilities_are_read_part_by_part(void **state)
{
	static const char caps[] = "(prot(monitor)type(lcd)model(A long name)cmds(01 02 03 07 0C E3 F3)"
				   "vcp(10 60(0F 11 12) D6(01 04) DF)mccs_ver(2.2))";
	char text[DDC_CAPS_MAX];

	(void)state;
	monitor->caps = caps;
	monitor->naks = 1;
	assert_int_equal(ddc_get_caps(fd, 0x51, text), sizeof(caps) - 1);
	assert_memory_equal(text, caps, sizeof(caps) - 1);
	monitor->silent = true;
	assert_int_equal(ddc_get_caps(fd, 0x51, text), -ENXIO);
	monitor->silent = false;
	monitor->caps = NULL;
	monitor->null_reply = true;
	assert_int_equal(ddc_get_caps(fd, 0x51, text), -ENOMSG);
}

#define monitor_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_the_seven_bytes_of_the_standard),
		cmocka_unit_test(a_set_carries_both_bytes_and_a_vendors_source_address),
		cmocka_unit_test(a_get_is_the_five_bytes_of_the_standard),
		cmocka_unit_test(a_reply_is_read),
		cmocka_unit_test(what_is_no_reply_is_told_from_what_is),
		cmocka_unit_test(every_single_flipped_bit_is_noticed),
		cmocka_unit_test(the_null_message_is_enomsg),
		monitor_test(a_feature_is_set_and_the_monitor_left_in_peace),
		monitor_test(a_feature_is_read_after_the_pause),
		monitor_test(what_goes_wrong_on_the_wire_is_told),
		cmocka_unit_test(a_capabilities_request_is_the_six_bytes_of_the_standard),
		cmocka_unit_test(a_part_of_the_capabilities_is_told_from_what_is_none),
		monitor_test(the_capabilities_are_read_part_by_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
