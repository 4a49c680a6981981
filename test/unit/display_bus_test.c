/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_bus_test.c - which I2C buses are asked at all */
/* wraps: module_load */
#include "i2c_tree.h"

#include "helpers/display/bus.h"
#include "lib/module.h"

static int module_result, module_calls;

int __wrap_module_load(int rootfd, const char *name, int timeout_ms);
int __wrap_module_load(int rootfd, const char *name, int timeout_ms)
{
	(void)rootfd;
	assert_string_equal(name, "i2c-dev");
	assert_int_equal(timeout_ms, 123);
	module_calls++;
	return module_result;
}

static void assert_buses(const struct tree *tree, const struct claim *claim, const char *expected)
{
	_cleanup_bus_list_ struct bus_list list = { 0 };
	char text[512] = "";
	size_t len = 0;

	assert_int_equal(buses_find(tree->rootfd, claim, &list), 0);
	for (size_t i = 0; i < list.nr; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u%s%s", i ? " " : "",
					list.buses[i].number, list.buses[i].connector[0] ? "=" : "",
					list.buses[i].connector);
	assert_string_equal(text, expected);
}

static void buses_of_display_controllers_and_docks_count(void **state)
{
	struct tree *tree = *state;
	struct bus bus;

	i2c_tree_pci(tree, I2C_GPU, "0x030000\n");
	i2c_tree_pci(tree, "0000:00:03.0", "0x038000\n");
	i2c_tree_pci(tree, "0000:00:04.0", "0x0a0000\n");
	i2c_tree_pci(tree, "0000:00:1f.4", "0x0c0500\n");
	i2c_tree_bus(tree, "pci0000:00/" I2C_GPU, 10, "i915 gmbus dpb\n");
	i2c_tree_bus(tree, "pci0000:00/0000:00:03.0", 2, "usher fake\n");
	i2c_tree_bus(tree, "pci0000:00/0000:00:04.0", 3, "dock\n");
	i2c_tree_bus(tree, "pci0000:00/0000:00:1f.4", 0, "SMBus I801 adapter at efa0\n");
	i2c_tree_bus(tree, "platform/soc/fe804000.i2c", 1, "bcm2835\n");
	tree_file(tree, "sys/bus/i2c/devices/0-0050/name", "spd5118\n");
	assert_buses(tree, NULL, "2 3 10");
	assert_int_equal(bus_look(tree->rootfd, NULL, false, 10, &bus), 1);
	assert_int_equal(bus_look(tree->rootfd, NULL, false, 0, &bus), 0);
	assert_int_equal(bus_look(tree->rootfd, NULL, false, 77, &bus), 0);
}

static void a_gpus_bus_that_is_for_no_monitor_is_left_alone(void **state)
{
	static const char *const names[] = { "AMDGPU SMU 0\n", "AMDGPU DM i2c OEM bus\n",
					     "SMBus PIIX4\n", "Synopsys DesignWare I2C adapter\n" };
	struct tree *tree = *state;

	i2c_tree_gpu(tree, 1, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		i2c_tree_bus(tree, "pci0000:00/" I2C_GPU, 2 + i, names[i]);
	assert_buses(tree, NULL, "1");
}

static void a_bus_knows_its_connector(void **state)
{
	struct tree *tree = *state;

	i2c_tree_gpu(tree, 4, 2);
	i2c_tree_connector(tree, "card0-HDMI-A-1", 5);
	i2c_tree_connector(tree, "card0-DP-1", 0);
	/* DisplayPort: the bus is the connector's child */
	i2c_tree_bus(tree, "pci0000:00/" I2C_GPU "/drm/card0/card0-DP-1", 7, "DPDDC-B\n");
	assert_buses(tree, NULL, "4 5=card0-HDMI-A-1 7=card0-DP-1");
}

static void a_connector_is_enough_where_there_is_no_pci(void **state)
{
	struct tree *tree = *state;

	i2c_tree_bus(tree, "platform/soc/ef805000.i2c", 3, "bcm2835 (i2c@7ef05000)\n");
	i2c_tree_connector(tree, "card0-HDMI-A-1", 3);
	assert_buses(tree, NULL, "3=card0-HDMI-A-1");
}

static void buses_of_claimed_devices_are_left_out(void **state)
{
	_cleanup_claim_ struct claim claim = { 0 };
	const struct process owner = { .pid = 1, .start_time = 1 };
	_cleanup_bus_list_ struct bus_list list = { 0 };
	struct tree *tree = *state;

	i2c_tree_gpu(tree, 4, 1);
	i2c_tree_pci(tree, "0000:00:03.0", "0x030000\n");
	i2c_tree_bus(tree, "pci0000:00/0000:00:03.0", 6, "nvkm-0000:00:03.0-bus-0000\n");
	assert_int_equal(
		claim_init(&claim, "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "win11", &owner), 0);
	assert_int_equal(inidoc_add(&claim.doc, "vfio", "device",
				    "0000:00:03.0 10de:1b80 hostdev unmanaged"),
			 0);
	assert_buses(tree, &claim, "4");
	assert_buses(tree, NULL, "4 6");
	assert_int_equal(buses_find_claimed(tree->rootfd, &claim, &list), 0);
	assert_int_equal(list.nr, 1);
	assert_int_equal(list.buses[0].number, 6);
	bus_list_free(&list);
	assert_int_equal(buses_find_claimed(tree->rootfd, NULL, &list), 0);
	assert_int_equal(list.nr, 0);
}

static void no_i2c_at_all_is_an_empty_list(void **state)
{
	assert_buses(*state, NULL, "");
}

static void i2c_dev_is_loaded_only_when_it_is_missing(void **state)
{
	struct tree *tree = *state;

	module_calls = 0;
	module_result = -ENOENT;
	assert_int_equal(buses_are_ready(tree->rootfd), 0);
	assert_int_equal(buses_ready(tree->rootfd, 123), -ENOENT);
	module_result = 0;
	assert_int_equal(buses_ready(tree->rootfd, 123), 0);
	assert_int_equal(module_calls, 2);
	tree_dir(tree, "sys/class/i2c-dev");
	assert_int_equal(buses_are_ready(tree->rootfd), 1);
	assert_int_equal(buses_ready(tree->rootfd, 123), 0);
	assert_int_equal(module_calls, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(buses_of_display_controllers_and_docks_count),
		tree_test(a_gpus_bus_that_is_for_no_monitor_is_left_alone),
		tree_test(a_bus_knows_its_connector),
		tree_test(a_connector_is_enough_where_there_is_no_pci),
		tree_test(buses_of_claimed_devices_are_left_out),
		tree_test(no_i2c_at_all_is_an_empty_list),
		tree_test(i2c_dev_is_loaded_only_when_it_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
