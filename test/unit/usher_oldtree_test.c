/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_oldtree_test.c - what is read from the scripts that the guides hand round */

#include "tree.h"

#include "helpers/usher/oldtree.h"

#define TREE "etc/libvirt/hooks/qemu.d/win11"

static struct oldtree old;
static char text[4096];

static const char *read_tree(const struct tree *tree)
{
	FILE *to = fmemopen(text, sizeof(text), "w");

	assert_non_null(to);
	oldtree_free(&old);
	assert_int_equal(oldtree_read(tree->rootfd, "win11", &old), 0);
	assert_int_equal(oldtree_put(to, tree->rootfd, "win11", &old), 0);
	(void)fputc('\0', to);
	(void)fclose(to);
	return text;
}

static void script(const struct tree *tree, const char *path, const char *body)
{
	tree_file(tree, path, body);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

static void a_guest_without_scripts_has_no_section(void **state)
{
	assert_string_equal(read_tree(*state), "");
	assert_int_equal(old.paths.nr, 0);
}

static void a_name_of_dots_leads_to_no_other_hooks(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "etc/libvirt/hooks/qemu", "");
	tree_file(tree, TREE "/prepare/begin/tv.sh", "");
	assert_int_equal(oldtree_read(tree->rootfd, "..", &old), 0);
	assert_int_equal(oldtree_read(tree->rootfd, ".", &old), 0);
	assert_int_equal(old.paths.nr, 0);
}

static void each_script_is_named_with_what_usher_does_too(void **state)
{
	const struct tree *tree = *state;

	script(tree, TREE "/prepare/begin/10-pages.sh", "echo 64 >/proc/sys/vm/nr_hugepages\n");
	script(tree, TREE "/prepare/begin/20-tv.sh", "curl http://tv/on\n");
	script(tree, TREE "/release/end/10-dm.sh", "systemctl start display-manager\n");
	assert_string_equal(read_tree(tree),
			    "\n[scripts]\n# /" TREE "/prepare/begin/10-pages.sh: it does huge "
			    "pages, as usher does: take that out\n# /" TREE
			    "/prepare/begin/20-tv.sh\n# /" TREE "/release/end/10-dm.sh: it does "
			    "the host's screen, as usher does: take that out\nrun = yes\n");
	assert_null(old.display_manager);
}

static void scripts_that_another_hook_may_run_are_not_run_a_second_time(void **state)
{
	const struct tree *tree = *state;

	script(tree, TREE "/prepare/begin/tv.sh", "curl http://tv/on\n");
	tree_file(tree, "etc/libvirt/hooks/qemu", "#!/bin/bash\n");
	assert_string_equal(read_tree(tree),
			    "\n[scripts]\n# /" TREE "/prepare/begin/tv.sh\n"
			    "# /etc/libvirt/hooks/qemu is another hook, and may run them itself: "
			    "with yes they would run twice\n#run = yes\n");
	tree_file(tree, "etc/libvirt/hooks/qemu",
		  "\177ELF usher: this is libvirt's hook for QEMU guests; ...");
	assert_non_null(strstr(read_tree(tree), "tv.sh\nrun = yes\n"));
}

static void devices_are_read_from_the_scripts_and_from_the_variables_they_take(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "etc/libvirt/hooks/kvm.conf",
		  "VIRSH_GPU_VIDEO=pci_0000_0a_00_0\nVIRSH_GPU_AUDIO=\"pci_0000_0a_00_1\"\n"
		  "#VIRSH_USB=pci_0000_0b_00_3\n");
	tree_file(tree, TREE "/prepare/begin/bind.sh", "virsh nodedev-detach pci_0000_03_00_0\n");
	(void)read_tree(tree);
	assert_int_equal(old.devices.nr, 1);
	tree_file(tree, TREE "/prepare/begin/bind.sh",
		  "source \"/etc/libvirt/hooks/kvm.conf\"\nvirsh nodedev-detach pci_0000_03_00_0\n"
		  "virsh nodedev-detach $VIRSH_GPU_VIDEO\nvirsh nodedev-detach pci_0000_03_00_0\n"
		  "virsh nodedev-detach pci_zz_03_00_0 pci_ pci_0000_03_00_0_and_much_more\n");
	(void)read_tree(tree);
	assert_int_equal(old.devices.nr, 3);
	assert_true(strlist_has(&old.devices, "0000:03:00.0"));
	assert_true(strlist_has(&old.devices, "0000:0a:00.0"));
	assert_true(strlist_has(&old.devices, "0000:0a:00.1"));
}

static void devices_are_read_where_sysfs_is_written(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, TREE "/prepare/begin/bind.sh",
		  "GPU=\"0000:0a:00.0\"\n"
		  "echo $GPU >/sys/bus/pci/devices/0000:0A:00.1/driver/unbind\n"
		  "# echo 0000:0b:00.0 >/sys/bus/pci/drivers_probe\n"
		  "sleep 10000:0c:00.0 0000:0d:00.01 0000:0e:00 00:0f:00.0 0000:10:00.0\n");
	(void)read_tree(tree);
	assert_int_equal(old.devices.nr, 3);
	assert_true(strlist_has(&old.devices, "0000:0a:00.0"));
	assert_true(strlist_has(&old.devices, "0000:0a:00.1"));
	assert_true(strlist_has(&old.devices, "0000:10:00.0"));
}

static void the_scripts_of_vfio_tools_itself_are_understood(void **state)
{
	static const char displays[] =
		"VM_DISPLAY=\"0\"    # The display shown in `ddcutil detect`\n"
		"VM_INPUT=\"12\"     # without 0x\nHOST_INPUT=\"0f\"\n"
		"    INPUT=\"$VM_INPUT\"\n    INPUT=\"$HOST_INPUT\"\n"
		"    ddcutil -d \"$VM_DISPLAY\" setvcp 60 \"0x$INPUT\"\n";
	const struct tree *tree = *state;

	script(tree, TREE "/started/begin/switch_displays.sh", displays);
	script(tree, TREE "/stopped/end/switch_displays.sh", displays);
	script(tree, TREE "/prepare/begin/cset.sh", "cset -m shield --kthread on --cpu $CORES\n");
	assert_non_null(strstr(read_tree(tree), "cset.sh: it does CPUs, as usher does"));
	assert_string_equal(old.guest_input, "0x12");
	assert_string_equal(old.host_input, "0x0f");
}

static void one_that_cannot_be_executed_is_said_not_to_run(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, TREE "/prepare/begin/pages.sh", "echo 64 >/proc/sys/vm/nr_hugepages\n");
	assert_string_equal(read_tree(tree), "\n[scripts]\n# /" TREE "/prepare/begin/pages.sh: is "
					     "not run: it cannot be executed: chmod +x it\n"
					     "run = yes\n");
	assert_int_equal(fchmodat(tree->rootfd, TREE "/prepare/begin/pages.sh", 0755, 0), 0);
	assert_int_equal(fchmodat(tree->rootfd, TREE, 0777, 0), 0);
	assert_string_equal(read_tree(tree), "\n[scripts]\n# /" TREE "/prepare/begin/pages.sh: is "
					     "not run: others may write /" TREE
					     ": chmod go-w /" TREE "\nrun = yes\n");
}

static void the_monitors_inputs_are_read_by_phase(void **state)
{
	const struct tree *tree = *state;
	static const struct {
		const char *command, *want;
	} rows[] = {
		{ "ddcutil setvcp 60 0x0f --display 1\n", "0x0f" },
		{ "ddcutil --bus 4 setvcp 0x60 17 || true\n", "0x11" },
		{ "(ddcutil setvcp x60 18)\n", "0x12" },
		{ "ddcutil setvcp 10 50\n", "" },
		{ "ddcutil setvcp 60 $INPUT\n", "" },
		{ "ddcutil setvcp 60 400\n", "" },
		{ "# ddcutil setvcp 60 0x0f\n", "" },
		{ "ddcutil setvcp 60\n", "" },
		{ "ddcutil setvcp\n", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(tree, TREE "/started/begin/tv.sh", rows[i].command);
		(void)read_tree(tree);
		assert_string_equal(old.guest_input, rows[i].want);
		assert_string_equal(old.host_input, "");
	}
	tree_file(tree, TREE "/stopped/end/tv.sh", "ddcutil setvcp 60 0x10\n");
	(void)read_tree(tree);
	assert_string_equal(old.guest_input, "");
	assert_string_equal(old.host_input, "0x10");
}

static void who_ends_the_hosts_desktop_is_told(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, TREE "/prepare/begin/start.sh", "systemctl stop display-manager.service\n");
	(void)read_tree(tree);
	assert_string_equal(old.display_manager, TREE "/prepare/begin/start.sh");
	tree_file(tree, TREE "/prepare/begin/start.sh", "systemctl isolate multi-user.target\n");
	(void)read_tree(tree);
	assert_non_null(old.display_manager);
	tree_file(tree, TREE "/prepare/begin/start.sh", "sudo systemctl stop sddm\n");
	(void)read_tree(tree);
	assert_non_null(old.display_manager);
	tree_file(tree, TREE "/prepare/begin/start.sh", "systemctl stop nginx; echo sddm.log\n");
	(void)read_tree(tree);
	assert_null(old.display_manager);
	tree_file(tree, TREE "/prepare/begin/start.sh", "systemctl start display-manager\n");
	(void)read_tree(tree);
	assert_null(old.display_manager);
}

static void a_fifo_in_the_tree_is_not_waited_for(void **state)
{
	const struct tree *tree = *state;

	tree_dir(tree, TREE "/prepare/begin");
	assert_int_equal(mkfifoat(tree->rootfd, TREE "/prepare/begin/pipe", 0600), 0);
	tree_file(tree, TREE "/prepare/begin/tv.sh", "source kvm.conf\n");
	assert_int_equal(mkfifoat(tree->rootfd, "etc/libvirt/hooks/kvm.conf", 0600), 0);
	(void)alarm(10);
	(void)read_tree(tree);
	(void)alarm(0);
	assert_int_equal(old.paths.nr, 2);
}

static int teardown(void **state)
{
	oldtree_free(&old);
	return tree_teardown(state);
}

#define old_test(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		old_test(a_guest_without_scripts_has_no_section),
		old_test(a_name_of_dots_leads_to_no_other_hooks),
		old_test(each_script_is_named_with_what_usher_does_too),
		old_test(scripts_that_another_hook_may_run_are_not_run_a_second_time),
		old_test(devices_are_read_from_the_scripts_and_from_the_variables_they_take),
		old_test(devices_are_read_where_sysfs_is_written),
		old_test(the_scripts_of_vfio_tools_itself_are_understood),
		old_test(one_that_cannot_be_executed_is_said_not_to_run),
		old_test(the_monitors_inputs_are_read_by_phase),
		old_test(who_ends_the_hosts_desktop_is_told),
		old_test(a_fifo_in_the_tree_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
