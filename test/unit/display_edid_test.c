/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_edid_test.c - who a monitor is */
/* wraps: i2c_open i2c_write_at i2c_read_at */
#include "tree.h"

#include "fake_i2c.h"

static void a_base_block_is_read(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 0xa0c4, 0x12345678, "JK9X123", "DELL U2720Q");
	assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
	assert_string_equal(edid.manufacturer, "DEL");
	assert_int_equal(edid.product, 0xa0c4);
	assert_int_equal(edid.number, 0x12345678);
	assert_string_equal(edid.serial, "JK9X123");
	assert_string_equal(edid.name, "DELL U2720Q");
}

static void a_longer_edid_is_read_by_its_first_block(void **state)
{
	uint8_t data[2 * EDID_LEN] = { 0 };
	struct edid edid;

	(void)state;
	fake_edid(data, "GSM", 0x5bd3, 0, "", "");
	assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
	assert_string_equal(edid.manufacturer, "GSM");
	assert_string_equal(edid.serial, "");
	assert_string_equal(edid.name, "");
}

static void a_text_of_thirteen_bytes_has_no_end_mark(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 1, 0, "1234567890123", "");
	assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
	assert_string_equal(edid.serial, "1234567890123");
}

static void every_wrong_byte_is_noticed_by_the_checksum(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid = { .product = 7 };

	(void)state;
	for (size_t i = 0; i < EDID_LEN; i++) {
		fake_edid(data, "DEL", 0xa0c4, 0, "JK9X", "");
		data[i] ^= 0x10;
		assert_int_equal(edid_parse(data, sizeof(data), &edid), -EBADMSG);
	}
	assert_int_equal(edid.product, 7);
}

static void a_wrong_header_is_noticed_although_the_sum_is_right(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 0xa0c4, 0, "JK9X", "");
	data[1] = 0xfe;
	fake_edid_seal(data);
	assert_int_equal(edid_parse(data, sizeof(data), &edid), -EBADMSG);
	memset(data, 0, sizeof(data));
	assert_int_equal(edid_parse(data, sizeof(data), &edid), -EBADMSG);
}

static void a_short_block_is_refused(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 0xa0c4, 0, "JK9X", "");
	assert_int_equal(edid_parse(data, EDID_LEN - 1, &edid), -EBADMSG);
	assert_int_equal(edid_parse(data, 0, &edid), -EBADMSG);
}

static void letters_that_are_none_are_question_marks(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 0xa0c4, 0, "", "");
	data[8] = 0x7c;
	data[9] = 0x00;
	fake_edid_seal(data);
	assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
	assert_string_equal(edid.manufacturer, "???");
}

static void an_identity_is_as_long_as_the_monitor_has_one(void **state)
{
	static const struct {
		unsigned int number;
		const char *serial, *expected;
	} cases[] = {
		{ 0, "JK9X", "DEL:00c4:JK9X" },
		{ 77, "JK9X", "DEL:00c4:JK9X" },
		{ 77, "", "DEL:00c4:77" },
		{ 0, "", "DEL:00c4" },
		{ 0, "A B;#", "DEL:00c4:A%20B%3B%23" },
		{ 0, "\x01\xff=[]%\"'`$!*?", "DEL:00c4:%01%FF%3D%5B%5D%25%22%27%60%24%21%2A%3F" },
	};
	char identity[EDID_IDENTITY];
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_edid(data, "DEL", 0xc4, cases[i].number, cases[i].serial, "");
		assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
		assert_int_equal(edid_identity(&edid, identity), 0);
		assert_string_equal(identity, cases[i].expected);
		assert_int_equal(edid_matches(&edid, identity), 1);
	}
}

static void later_parts_of_an_identity_may_be_left_out(void **state)
{
	static const struct {
		const char *identity;
		int expected;
	} cases[] = {
		{ "DEL", 1 },
		{ "DEL:a0c4", 1 },
		{ "DEL:a0c4:JK9 X", 1 },
		{ "del:A0C4", 1 },
		{ "DEL:a0c4:JK9%20X", 1 },
		{ "DEL:a0c4:77", 1 },
		{ "DEL:a0c4:jk9 x", 0 },
		{ "DEL:a0c4:JK9", 0 },
		{ "DEL:a0c4:78", 0 },
		{ "DEL:a0c5", 0 },
		{ "GSM", 0 },
		{ "DELL", 0 },
		{ "DEL:a0c", 0 },
		{ "DEL:a0c44", 0 },
		{ "DE", 0 },
		{ "", 0 },
		{ "DEL:a0c4:", 0 },
		{ "DEL:", 0 },
	};
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 0xa0c4, 77, "JK9 X", "");
	assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(edid_matches(&edid, cases[i].identity), cases[i].expected);
}

static void a_monitor_without_a_serial_does_not_match_one(void **state)
{
	uint8_t data[EDID_LEN];
	struct edid edid;

	(void)state;
	fake_edid(data, "DEL", 0xa0c4, 0, "", "");
	assert_int_equal(edid_parse(data, sizeof(data), &edid), 0);
	assert_int_equal(edid_matches(&edid, "DEL:a0c4:0"), 0);
	assert_int_equal(edid_matches(&edid, "DEL:a0c4:"), 0);
	assert_int_equal(edid_matches(&edid, "DEL:a0c4"), 1);
}

static void it_is_read_from_the_bus(void **state)
{
	struct fake_monitor *monitor;
	struct edid edid;
	int fd;

	(void)state;
	assert_int_equal(fake_i2c_setup(), 0);
	monitor = fake_monitor_add(4, "DEL", 0xa0c4, "JK9X");
	fd = i2c_open(-1, 4);
	assert_int_equal(edid_read(fd, &edid), 0);
	assert_string_equal(edid.serial, "JK9X");
	monitor->edid[20] ^= 1;
	assert_int_equal(edid_read(fd, &edid), -EBADMSG);
	monitor->naks = 1;
	assert_int_equal(edid_read(fd, &edid), -EREMOTEIO);
	(void)close(fd);
	assert_int_equal(fake_i2c_teardown(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_base_block_is_read),
		cmocka_unit_test(a_longer_edid_is_read_by_its_first_block),
		cmocka_unit_test(a_text_of_thirteen_bytes_has_no_end_mark),
		cmocka_unit_test(every_wrong_byte_is_noticed_by_the_checksum),
		cmocka_unit_test(a_wrong_header_is_noticed_although_the_sum_is_right),
		cmocka_unit_test(a_short_block_is_refused),
		cmocka_unit_test(letters_that_are_none_are_question_marks),
		cmocka_unit_test(an_identity_is_as_long_as_the_monitor_has_one),
		cmocka_unit_test(later_parts_of_an_identity_may_be_left_out),
		cmocka_unit_test(a_monitor_without_a_serial_does_not_match_one),
		cmocka_unit_test(it_is_read_from_the_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
