/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_desktop_test.c - display manager, seats and who keeps nodes, by the host's files */
#include "tree.h"

#include "lib/desktop.h"

static void add_process(const struct tree *tree, const char *comm, const char *cgroup)
{
	tree_file(tree, "proc/812/comm", comm);
	tree_file(tree, "proc/812/cgroup", cgroup);
}

static void display_managers_unit_is_found_by_its_alias(void **state)
{
	const struct tree *tree = *state;

	add_process(tree, "Xorg\n", "0::/system.slice/lightdm.service\n");
	assert_false(desktop_has_manager(tree->rootfd));
	assert_false(desktop_is_managed(tree->rootfd, 812));
	tree_link(tree, "run/systemd/system/" DISPLAY_MANAGER, "lightdm.service");
	assert_true(desktop_has_manager(tree->rootfd));
	assert_true(desktop_is_managed(tree->rootfd, 812));
	assert_true(desktop_is_x_server(tree->rootfd, 812));
	add_process(tree, "Xorg\n", "0::/system.slice/lightdm.service/x\n");
	assert_true(desktop_is_managed(tree->rootfd, 812));
	add_process(tree, "Xorg\n", "0::/system.slice/lightdm.service2\n");
	assert_false(desktop_is_managed(tree->rootfd, 812));
	assert_false(desktop_is_x_server(tree->rootfd, 812));
	assert_false(desktop_is_managed(tree->rootfd, 813));
	/* One that is masked, whatever else there is */
	add_process(tree, "Xorg\n", "0::/system.slice/lightdm.service\n");
	tree_link(tree, "etc/systemd/system/" DISPLAY_MANAGER, "/dev/null");
	assert_false(desktop_has_manager(tree->rootfd));
	assert_false(desktop_is_managed(tree->rootfd, 812));
}

static void x_server_of_a_session_is_one_and_a_services_is_not(void **state)
{
	const struct tree *tree = *state;

	add_process(tree, "Xorg\n", "0::/user.slice/user-1000.slice/session-2.scope\n");
	assert_true(desktop_is_x_server(tree->rootfd, 812));
	add_process(tree, "python3\n", "0::/user.slice/user-1000.slice/session-2.scope\n");
	assert_false(desktop_is_x_server(tree->rootfd, 812));
	add_process(tree, "Xorg\n", "0::/system.slice/xorg-headless.service\n");
	assert_false(desktop_is_x_server(tree->rootfd, 812));
	assert_false(desktop_is_x_server(tree->rootfd, 813));
}

static void brokers_are_known_by_name(void **state)
{
	const struct tree *tree = *state;

	add_process(tree, "systemd-logind\n", "0::/\n");
	assert_true(desktop_is_broker(tree->rootfd, 812));
	add_process(tree, "gnome-shell\n", "0::/\n");
	assert_false(desktop_is_broker(tree->rootfd, 812));
	assert_false(desktop_is_broker(tree->rootfd, 813));
}

static void seat_of_a_card_is_udevs(void **state)
{
	const struct tree *tree = *state;
	char seat[64];

	desktop_card_seat(tree->rootfd, "card0", seat, sizeof(seat));
	assert_string_equal(seat, "seat0");
	tree_file(tree, "sys/class/drm/card0/dev", "226:0\n");
	tree_file(tree, "run/udev/data/c226:0", "I:1\nE:ID_SEAT=\n");
	desktop_card_seat(tree->rootfd, "card0", seat, sizeof(seat));
	assert_string_equal(seat, "seat0");
	tree_file(tree, "run/udev/data/c226:0", "I:1\nE:ID_SEAT=seat1\nG:seat\n");
	desktop_card_seat(tree->rootfd, "card0", seat, sizeof(seat));
	assert_string_equal(seat, "seat1");
}

static int node_of(const struct tree *tree, const char *driver, char node[static 64])
{
	return desktop_card_node(tree->rootfd, driver, "0000:01:00.0", node, 64);
}

static void node_of_an_nvidia_card_is_its_minors(void **state)
{
	static const char *const texts[] = { "Model: x\n", "Device Minor:\n",
					     "Device Minor: one\n" };
	static const char info[] = "proc/driver/nvidia/gpus/0000:01:00.0/information";
	const struct tree *tree = *state;
	char node[64];

	assert_int_equal(node_of(tree, "amdgpu", node), 0);
	assert_int_equal(node_of(tree, "nvidia", node), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		tree_file(tree, info, texts[i]);
		assert_int_equal(node_of(tree, "nvidia", node), -ENOENT);
	}
	tree_file(tree, info, "Model: \t\t NVIDIA\nDevice Minor: \t 2\n");
	assert_int_equal(node_of(tree, "nvidia", node), 1);
	assert_string_equal(node, "/dev/nvidia2");
}

#define desktop_test(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		desktop_test(display_managers_unit_is_found_by_its_alias),
		desktop_test(x_server_of_a_session_is_one_and_a_services_is_not),
		desktop_test(brokers_are_known_by_name),
		desktop_test(seat_of_a_card_is_udevs),
		desktop_test(node_of_an_nvidia_card_is_its_minors),
	};

	return cmocka_run_group_tests_name("lib/desktop", tests, NULL, NULL);
}
