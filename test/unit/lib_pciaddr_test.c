/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_pciaddr_test.c - PCI addresses and ids as text */

#include "tree.h"

#include "lib/pciaddr.h"

static void parse_reads_what_lspci_and_sysfs_print(void **state)
{
	static const struct {
		const char *text;
		struct pciaddr addr;
		const char *formatted;
	} rows[] = {
		{ "0000:01:00.0", { 0, 1, 0, 0 }, "0000:01:00.0" },
		{ "01:00.1", { 0, 1, 0, 1 }, "0000:01:00.1" },
		{ "0000:FF:1f.7", { 0, 0xff, 0x1f, 7 }, "0000:ff:1f.7" },
		{ "10000:e1:00.0", { 0x10000, 0xe1, 0, 0 }, "10000:e1:00.0" },
		{ "ffffffff:ff:1f.7", { 0xffffffff, 0xff, 0x1f, 7 }, "ffffffff:ff:1f.7" },
		{ "0:1:2.3", { 0, 1, 2, 3 }, "0000:01:02.3" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pciaddr addr;
		char buf[PCIADDR_STRLEN];

		assert_int_equal(pciaddr_parse(rows[i].text, &addr), 0);
		assert_int_equal(pciaddr_cmp(&addr, &rows[i].addr), 0);
		pciaddr_format(&addr, buf);
		assert_string_equal(buf, rows[i].formatted);
	}
}

static void parse_refuses_what_is_no_address(void **state)
{
	static const char *const texts[] = {
		"",
		"0000:01:00",
		"01:00",
		"01.00.0",
		"0000:01:00.0 ",
		" 0000:01:00.0",
		"0000:01:00.x",
		"0000:01:00.",
		"0000:01:.0",
		"0000::00.0",
		":01:00.0",
		"0x0:01:00.0",
		"0:0:01:00.0",
		"0000:01:00.0.0",
		"0000:01:00:0",
		"-1:00.0",
		"0000-01-00.0",
		"pci_0000_01_00_0",
		"0000:01:00.0\n",
	};
	struct pciaddr addr = { 1, 2, 3, 4 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(pciaddr_parse(texts[i], &addr), -EINVAL);
	assert_int_equal(pciaddr_cmp(&addr, &(struct pciaddr){ 1, 2, 3, 4 }), 0);
}

static void parse_refuses_fields_past_their_range(void **state)
{
	static const char *const texts[] = {
		"100000000:01:00.0", "0000:100:00.0", "0000:01:20.0",
		"0000:01:00.8",	     "01:00.10",      "00000000000000000000001:01:00.0",
	};
	struct pciaddr addr = { 1, 2, 3, 4 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(pciaddr_parse(texts[i], &addr), -ERANGE);
	assert_int_equal(pciaddr_cmp(&addr, &(struct pciaddr){ 1, 2, 3, 4 }), 0);
}

static void addresses_sort_by_domain_bus_slot_and_function(void **state)
{
	static const struct pciaddr sorted[] = {
		{ 0, 0, 0, 0 }, { 0, 0, 0, 1 },		 { 0, 0, 1, 0 },
		{ 0, 1, 0, 0 }, { 0xffffffff, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int order = pciaddr_cmp(&sorted[i], &sorted[j]);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void functions_of_one_device_share_a_slot(void **state)
{
	const struct pciaddr gpu = { 0, 1, 0, 0 };

	(void)state;
	assert_true(pciaddr_same_slot(&gpu, &(struct pciaddr){ 0, 1, 0, 1 }));
	assert_false(pciaddr_same_slot(&gpu, &(struct pciaddr){ 0, 1, 1, 0 }));
	assert_false(pciaddr_same_slot(&gpu, &(struct pciaddr){ 0, 2, 0, 0 }));
	assert_false(pciaddr_same_slot(&gpu, &(struct pciaddr){ 1, 1, 0, 0 }));
}

static void id_reads_vendor_and_device(void **state)
{
	struct pciid id;

	(void)state;
	assert_int_equal(pciid_parse("10de:1B80", &id), 0);
	assert_int_equal(id.vendor, 0x10de);
	assert_int_equal(id.device, 0x1b80);
	assert_int_equal(pciid_parse("ffff:0000", &id), 0);
	assert_int_equal(id.vendor, 0xffff);
	assert_int_equal(id.device, 0);
}

static void id_refuses_all_else(void **state)
{
	static const char *const texts[] = {
		"",	     "10de",	  "10de:",     "10de:1b8",  "10de:1b800", "0x10de:1b80",
		"10de:1b8g", "10dg:1b80", "10de 1b80", "10de-1b80", ":10de1b80",  "10de:1b80 ",
		"10de:1b:0",
	};
	struct pciid id = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(pciid_parse(texts[i], &id), -EINVAL);
	assert_int_equal(id.vendor, 1);
	assert_int_equal(id.device, 2);
}

static void bar_reads_its_number_and_a_size(void **state)
{
	static const struct {
		const char *text;
		struct pcibar bar;
	} bars[] = {
		{ "0:1M", { 0, 0 } },	{ "0:256M", { 0, 8 } },	  { "2:8M", { 2, 3 } },
		{ "5:16G", { 5, 14 } }, { "1:1024", { 1, 0 } },	  { "0:1TiB", { 0, 20 } },
		{ "4:1g", { 4, 10 } },	{ "3:2048T", { 3, 31 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
		struct pcibar bar = { 0 };

		assert_int_equal(pcibar_parse(bars[i].text, &bar), 0);
		assert_int_equal(bar.bar, bars[i].bar.bar);
		assert_int_equal(bar.size, bars[i].bar.size);
	}
}

static void bar_refuses_what_no_bar_can_be(void **state)
{
	static const char *const texts[] = { "",       "0",	  "0:",	    ":1M",    "6:1M",
					     "00:1M",  "0:0",	  "0:3M",   "0:512K", "0:1",
					     "0=256M", "a:1M",	  "0:256X", "0: 1M",  "-1:256M",
					     "0:-1",   "0:1025K", "0:1M " };
	struct pcibar bar = { 9, 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(pcibar_parse(texts[i], &bar), -EINVAL);
	assert_int_equal(bar.bar, 9);
	assert_int_equal(bar.size, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_reads_what_lspci_and_sysfs_print),
		cmocka_unit_test(parse_refuses_what_is_no_address),
		cmocka_unit_test(parse_refuses_fields_past_their_range),
		cmocka_unit_test(addresses_sort_by_domain_bus_slot_and_function),
		cmocka_unit_test(functions_of_one_device_share_a_slot),
		cmocka_unit_test(id_reads_vendor_and_device),
		cmocka_unit_test(id_refuses_all_else),
		cmocka_unit_test(bar_reads_its_number_and_a_size),
		cmocka_unit_test(bar_refuses_what_no_bar_can_be),
	};

	return cmocka_run_group_tests_name("lib/pciaddr", tests, NULL, NULL);
}
