/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_groups_test.c - groups that were saved, compared with a host that has changed */

#include "usher_host.h"

#define CARD  "0000:01:00.0"
#define AUDIO "0000:01:00.1"
#define NIC   "0000:02:00.0"

static void make_host(const struct tree *tree)
{
	host_device(tree, CARD, "10de:1f02", "0x030000\n", 5);
	host_device(tree, AUDIO, "10de:10f9", "0x040300\n", 5);
	host_device(tree, NIC, "8086:1533", "0x020000\n", 7);
	tree_file(tree, "sys/bus/pci/devices/" CARD "/reset_method", "flr bus\n");
	tree_file(tree, "sys/bus/pci/devices/" CARD "/boot_vga", "1\n");
}

static void save(const struct tree *tree, char *file, size_t size)
{
	struct request request = { .root = tree->dir };
	int status;

	(void)snprintf(file, size, "%s/saved.xml", tree->dir);
	request.save = file;
	(void)said(&command_groups, &request, &status);
	assert_int_equal(status, 0);
}

static const char *compare(const struct tree *tree, const char *file, int want)
{
	const struct request request = { .root = tree->dir, .xml = file };
	int status;
	const char *text = said(&command_groups, &request, &status);

	assert_int_equal(status, want);
	return text;
}

static void drop(const struct tree *tree, const char *addr, int group)
{
	char path[256];
	static const char *const files[] = { "vendor", "device", "class", "iommu_group" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/%s", addr, files[i]);
		assert_int_equal(unlinkat(tree->rootfd, path, 0), 0);
	}
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", addr);
	assert_int_equal(unlinkat(tree->rootfd, path, AT_REMOVEDIR), 0);
	(void)snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", group, addr);
	assert_int_equal(unlinkat(tree->rootfd, path, 0), 0);
}

static void groups_are_told_with_drivers_resets_and_the_firmwares_screen(void **state)
{
	const struct tree *tree = *state;
	const struct request request = { .root = tree->dir };
	int status;
	const char *text;

	make_host(tree);
	text = said(&command_groups, &request, &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "group 5\n  " CARD " "));
	assert_non_null(strstr(text, "[10de:1f02] (the firmware's screen)\n"));
	assert_non_null(strstr(text, "driver none, reset flr bus\n"));
	assert_non_null(strstr(text, "group 7\n  " NIC " "));
}

static void a_host_that_has_not_changed_says_so(void **state)
{
	const struct tree *tree = *state;
	char file[128];

	make_host(tree);
	save(tree, file, sizeof(file));
	assert_string_equal(compare(tree, file, 0), "no device has changed\n");
}

static void groups_of_another_format_are_not_compared(void **state)
{
	const struct tree *tree = *state;
	char file[128];

	make_host(tree);
	save(tree, file, sizeof(file));
	assert_non_null(strstr(tree_read(tree, "saved.xml"), "<usher-groups format=\"1\">"));
	tree_file(tree, "saved.xml", "<usher-groups format=\"99\"/>\n");
	assert_string_equal(compare(tree, file, 2), "");
	tree_file(tree, "saved.xml", "<usher-groups/>\n");
	assert_string_equal(compare(tree, file, 2), "");
}

static void a_device_that_moved_is_told_with_its_new_address(void **state)
{
	const struct tree *tree = *state;
	const char *text;
	char file[128];

	make_host(tree);
	save(tree, file, sizeof(file));
	drop(tree, NIC, 7);
	host_device(tree, "0000:03:00.0", "8086:1533", "0x020000\n", 7);
	text = compare(tree, file, 1);
	assert_non_null(strstr(text, NIC " "));
	assert_non_null(strstr(text, ": is now at 0000:03:00.0: correct the address"));
	assert_null(strstr(text, "is new"));
}

static void gone_new_and_another_in_its_place(void **state)
{
	const struct tree *tree = *state;
	const char *text;
	char file[128];

	make_host(tree);
	save(tree, file, sizeof(file));
	drop(tree, NIC, 7);
	host_device(tree, NIC, "1b21:2142", "0x0c0330\n", 7);
	text = compare(tree, file, 1);
	assert_non_null(strstr(text, ": is gone\n"));
	assert_non_null(strstr(text, ": is new\n"));
}

static void group_mates_and_ways_to_be_reset_are_compared_not_numbers(void **state)
{
	const struct tree *tree = *state;
	const char *text;
	char file[128];

	make_host(tree);
	save(tree, file, sizeof(file));
	tree_file(tree, "sys/bus/pci/devices/" CARD "/reset_method", "bus\n");
	drop(tree, NIC, 7);
	host_device(tree, NIC, "8086:1533", "0x020000\n", 5);
	text = compare(tree, file, 1);
	assert_non_null(strstr(text, "shares its IOMMU group with " AUDIO " " NIC
				     ", not with " AUDIO " any more"));
	assert_non_null(strstr(text, "is reset by bus, not by flr bus any more"));

	drop(tree, NIC, 5);
	host_device(tree, NIC, "8086:1533", "0x020000\n", 9);
	tree_file(tree, "sys/bus/pci/devices/" CARD "/reset_method", "flr bus\n");
	assert_string_equal(compare(tree, file, 0), "no device has changed\n");
}

static void what_is_no_saved_picture_is_refused(void **state)
{
	const struct tree *tree = *state;
	static const char *const texts[] = {
		"",
		"<domain/>",
		"<usher-groups><group number='x'/></usher-groups>",
		"<usher-groups><group number='1'><device address='1'/></group></usher-groups>",
		"<usher-groups><group number='1'>",
	};
	char file[128];

	make_host(tree);
	(void)snprintf(file, sizeof(file), "%s/bad.xml", tree->dir);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		tree_file(tree, "bad.xml", texts[i]);
		(void)compare(tree, file, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(groups_are_told_with_drivers_resets_and_the_firmwares_screen),
		tree_test(a_host_that_has_not_changed_says_so),
		tree_test(groups_of_another_format_are_not_compared),
		tree_test(a_device_that_moved_is_told_with_its_new_address),
		tree_test(gone_new_and_another_in_its_place),
		tree_test(group_mates_and_ways_to_be_reset_are_compared_not_numbers),
		tree_test(what_is_no_saved_picture_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
