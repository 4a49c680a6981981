/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_pcidev_test.c - what sysfs says of a PCI device, on a built tree */
/* wraps: syscall */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk open_memstream */

#include "tree.h"

#include <sys/syscall.h>

#include "lib/pcidev.h"
#include "nomem.h"

#define DEVICES "sys/bus/pci/devices/"
#define GPU_DIR "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/"

static const struct pciaddr gpu = { 0, 1, 0, 0 };
static const struct pciaddr port = { 0, 0, 1, 0 };
static const struct pciaddr nobody = { 0, 9, 0, 0 };

/* What openat2(2) says behind the next @opens_left calls; 0: the truth */
static int open_errno, opens_left;

long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);

long __wrap_syscall(long nr, ...)
{
	long arg[4];
	va_list args;

	va_start(args, nr);
	for (size_t i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (nr == SYS_openat2 && open_errno && opens_left-- <= 0) {
		errno = open_errno;
		return -1;
	}
	return __real_syscall(nr, arg[0], arg[1], arg[2], arg[3]);
}

/* A GPU with its audio function behind a root port, as sysfs has it: links into sys/devices */
static int setup(void **state)
{
	struct tree *t;

	open_errno = opens_left = 0;
	if (tree_setup(state) < 0)
		return -1;
	t = *state;
	tree_file(t, GPU_DIR "vendor", "0x10de\n");
	tree_file(t, GPU_DIR "device", "0x1b80\n");
	tree_file(t, GPU_DIR "class", "0x030000\n");
	tree_link(t, GPU_DIR "driver", "../../../../bus/pci/drivers/nvidia");
	tree_link(t, GPU_DIR "iommu_group", "../../../../kernel/iommu_groups/14");
	tree_link(t, DEVICES "0000:01:00.0",
		  "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	tree_file(t, DEVICES "0000:00:01.0/class", "0x060400\n");
	tree_file(t, "sys/kernel/iommu_groups/14/devices/0000:01:00.1", "");
	tree_file(t, "sys/kernel/iommu_groups/14/devices/0000:01:00.0", "");
	tree_file(t, "sys/kernel/iommu_groups/14/devices/10000:01:00.0", "");
	tree_file(t, "sys/kernel/iommu_groups/14/devices/0000:00:01.0", "");
	tree_file(t, "sys/kernel/iommu_groups/14/devices/ffff:01:00.0", "");
	tree_file(t, "sys/kernel/iommu_groups/14/devices/arm-smmu-v3.1.auto", "");
	return 0;
}

static int teardown(void **state)
{
	open_errno = 0;
	return tree_teardown(state);
}

/* --- Lists of addresses ----------------------------------------------------------------------- */
static void list_finds_what_was_added(void **state)
{
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };

	(void)state;
	assert_false(pciaddr_list_has(&list, &gpu));
	assert_int_equal(pciaddr_list_add(&list, &gpu), 0);
	assert_int_equal(pciaddr_list_add(&list, &port), 0);
	assert_int_equal(list.nr, 2);
	assert_true(pciaddr_list_has(&list, &gpu));
	assert_true(pciaddr_list_has(&list, &port));
	assert_false(pciaddr_list_has(&list, &nobody));
	pciaddr_list_free(&list);
	assert_int_equal(list.nr, 0);
	assert_null(list.addrs);
}

/* --- Devices ---------------------------------------------------------------------------------- */
static void exists_tells_yes_from_no_and_from_an_error(void **state)
{
	struct tree *t = *state;

	assert_int_equal(pcidev_exists(t->rootfd, &gpu), 1);
	assert_int_equal(pcidev_exists(t->rootfd, &nobody), 0);
	open_errno = EACCES;
	assert_int_equal(pcidev_exists(t->rootfd, &gpu), -EACCES);
}

static void id_is_vendor_and_device(void **state)
{
	struct tree *t = *state;
	struct pciid id;

	assert_int_equal(pcidev_id(t->rootfd, &gpu, &id), 0);
	assert_int_equal(id.vendor, 0x10de);
	assert_int_equal(id.device, 0x1b80);
}

static void id_of_a_device_that_is_not_there_is_enodev(void **state)
{
	struct tree *t = *state;
	struct pciid id = { 1, 2 };

	assert_int_equal(pcidev_id(t->rootfd, &nobody, &id), -ENODEV);
	assert_int_equal(id.vendor, 1);
}

static void id_hands_on_what_attr_read_says(void **state)
{
	struct tree *t = *state;
	struct pciid id = { 1, 2 };

	/* There is a device, but not that file */
	assert_int_equal(pcidev_id(t->rootfd, &port, &id), -ENOENT);
	tree_file(t, GPU_DIR "device", "0x11b80\n");
	assert_int_equal(pcidev_id(t->rootfd, &gpu, &id), -EBADMSG);
	tree_file(t, GPU_DIR "device", "nvidia\n");
	assert_int_equal(pcidev_id(t->rootfd, &gpu, &id), -EBADMSG);
	open_errno = EACCES;
	assert_int_equal(pcidev_id(t->rootfd, &gpu, &id), -EACCES);
	assert_int_equal(id.vendor, 1);
}

static void driver_is_the_name_the_link_ends_with(void **state)
{
	struct tree *t = *state;
	char buf[32];

	assert_int_equal(pcidev_driver(t->rootfd, &gpu, buf, sizeof(buf)), 1);
	assert_string_equal(buf, "nvidia");
}

static void device_without_a_driver_is_no_error(void **state)
{
	struct tree *t = *state;
	char buf[32] = "old";

	assert_int_equal(pcidev_driver(t->rootfd, &port, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
}

static void driver_of_a_device_that_is_not_there_is_enodev(void **state)
{
	struct tree *t = *state;
	char buf[32] = "old";

	assert_int_equal(pcidev_driver(t->rootfd, &nobody, buf, sizeof(buf)), -ENODEV);
	assert_string_equal(buf, "");
}

static void device_that_cannot_be_looked_at_is_not_called_driverless(void **state)
{
	struct tree *t = *state;
	char buf[32] = "old";

	/* No link, and then no answer to whether there is a device */
	open_errno = EACCES;
	opens_left = 1;
	assert_int_equal(pcidev_driver(t->rootfd, &port, buf, sizeof(buf)), -EACCES);
}

static void driver_hands_on_other_errors(void **state)
{
	struct tree *t = *state;
	char buf[32] = "old";

	assert_int_equal(pcidev_driver(t->rootfd, &gpu, buf, 3), -ENAMETOOLONG);
	open_errno = EACCES;
	assert_int_equal(pcidev_driver(t->rootfd, &gpu, buf, sizeof(buf)), -EACCES);
	assert_string_equal(buf, "");
}

static void bridges_are_told_by_their_class(void **state)
{
	static const struct {
		const char *class;
		int bridge, forwards;
	} rows[] = {
		{ "0x060400\n", 1, 1 }, { "0x060401\n", 1, 1 }, { "0x060700\n", 1, 1 },
		{ "0x060980\n", 1, 1 }, { "0x060000\n", 1, 0 }, { "0x060100\n", 1, 0 },
		{ "0x030000\n", 0, 0 }, { "0x040300\n", 0, 0 }, { "0x0c0330\n", 0, 0 },
	};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(t, GPU_DIR "class", rows[i].class);
		assert_int_equal(pcidev_is_bridge(t->rootfd, &gpu), rows[i].bridge);
		assert_int_equal(pcidev_forwards(t->rootfd, &gpu), rows[i].forwards);
	}
}

static void bridge_or_not_cannot_be_said_of_what_cannot_be_read(void **state)
{
	struct tree *t = *state;

	assert_int_equal(pcidev_is_bridge(t->rootfd, &nobody), -ENODEV);
	assert_int_equal(pcidev_forwards(t->rootfd, &nobody), -ENODEV);
	tree_file(t, GPU_DIR "class", "0x1060400\n");
	assert_int_equal(pcidev_is_bridge(t->rootfd, &gpu), -EBADMSG);
	open_errno = EACCES;
	assert_int_equal(pcidev_is_bridge(t->rootfd, &gpu), -EACCES);
}

/* --- IOMMU groups ----------------------------------------------------------------------------- */
static void group_is_the_number_the_link_ends_with(void **state)
{
	struct tree *t = *state;

	assert_int_equal(pcidev_group(t->rootfd, &gpu), 14);
}

static void device_without_iommu_is_enxio_and_no_device_is_enodev(void **state)
{
	struct tree *t = *state;

	assert_int_equal(pcidev_group(t->rootfd, &port), -ENXIO);
	assert_int_equal(pcidev_group(t->rootfd, &nobody), -ENODEV);
}

static void group_that_is_no_number_is_refused(void **state)
{
	static const char *const targets[] = { "../groups/fourteen", "../groups/2147483648", "-1" };
	struct tree *t = *state;
	char path[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++) {
		const struct pciaddr addr = { 0, 2, i, 0 };

		(void)snprintf(path, sizeof(path), DEVICES "0000:02:%02x.0/iommu_group", i & 31);
		tree_link(t, path, targets[i]);
		assert_int_equal(pcidev_group(t->rootfd, &addr), -EBADMSG);
	}
	open_errno = EACCES;
	assert_int_equal(pcidev_group(t->rootfd, &gpu), -EACCES);
}

static void members_are_the_sorted_pci_functions_of_the_group(void **state)
{
	static const struct pciaddr sorted[] = {
		{ 0, 0, 1, 0 },	     { 0, 1, 0, 0 },	   { 0, 1, 0, 1 },
		{ 0xffff, 1, 0, 0 }, { 0x10000, 1, 0, 0 },
	};
	struct tree *t = *state;
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };

	assert_int_equal(pcidev_group_members(t->rootfd, 14, &list), 0);
	assert_int_equal(list.nr, ARRAY_SIZE(sorted));
	for (size_t i = 0; i < list.nr; i++)
		assert_int_equal(pciaddr_cmp(&list.addrs[i], &sorted[i]), 0);
}

static void members_of_no_group_is_enoent(void **state)
{
	struct tree *t = *state;
	struct pciaddr_list list = { 0 };

	assert_int_equal(pcidev_group_members(t->rootfd, 15, &list), -ENOENT);
	assert_int_equal(pcidev_group_members(t->rootfd, -1, &list), -ENOENT);
	open_errno = EACCES;
	assert_int_equal(pcidev_group_members(t->rootfd, 14, &list), -EACCES);
	assert_null(list.addrs);
}

static int members_and_free(int rootfd)
{
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };

	return pcidev_group_members(rootfd, 14, &list);
}

static void vfio_nodes_are_those_of_the_group_and_of_the_device(void **state)
{
	_cleanup_strlist_ struct strlist paths = { 0 };
	struct tree *t = *state;

	tree_dir(t, GPU_DIR "vfio-dev/vfio3");
	assert_int_equal(pcidev_vfio_nodes(t->rootfd, &gpu, &paths), 0);
	assert_int_equal(paths.nr, 2);
	assert_string_equal(paths.names[0], "/dev/vfio/14");
	assert_string_equal(paths.names[1], "/dev/vfio/devices/vfio3");
	/* Neither a device without a group nor one that is not there has any */
	assert_int_equal(pcidev_vfio_nodes(t->rootfd, &port, &paths), 0);
	assert_int_equal(pcidev_vfio_nodes(t->rootfd, &nobody, &paths), 0);
	assert_int_equal(paths.nr, 2);
}

static int nodes_and_free(int rootfd)
{
	_cleanup_strlist_ struct strlist paths = { 0 };

	return pcidev_vfio_nodes(rootfd, &gpu, &paths);
}

static void vfio_nodes_survive_without_memory(void **state)
{
	struct tree *t = *state;

	tree_dir(t, GPU_DIR "vfio-dev/vfio3");
	/* Two nodes and one name in the directory, each a copy and a place in its list */
	assert_nomem(nodes_and_free(t->rootfd), 6);
}

static void lists_survive_without_memory(void **state)
{
	struct tree *t = *state;

	/* Six names, each a copy and a place in the list, and five addresses */
	assert_nomem(members_and_free(t->rootfd), 17);
}

#define pcidev_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pcidev_test(list_finds_what_was_added),
		pcidev_test(exists_tells_yes_from_no_and_from_an_error),
		pcidev_test(id_is_vendor_and_device),
		pcidev_test(id_of_a_device_that_is_not_there_is_enodev),
		pcidev_test(id_hands_on_what_attr_read_says),
		pcidev_test(driver_is_the_name_the_link_ends_with),
		pcidev_test(device_without_a_driver_is_no_error),
		pcidev_test(driver_of_a_device_that_is_not_there_is_enodev),
		pcidev_test(device_that_cannot_be_looked_at_is_not_called_driverless),
		pcidev_test(driver_hands_on_other_errors),
		pcidev_test(bridges_are_told_by_their_class),
		pcidev_test(bridge_or_not_cannot_be_said_of_what_cannot_be_read),
		pcidev_test(group_is_the_number_the_link_ends_with),
		pcidev_test(device_without_iommu_is_enxio_and_no_device_is_enodev),
		pcidev_test(group_that_is_no_number_is_refused),
		pcidev_test(members_are_the_sorted_pci_functions_of_the_group),
		pcidev_test(members_of_no_group_is_enoent),
		pcidev_test(vfio_nodes_are_those_of_the_group_and_of_the_device),
		pcidev_test(vfio_nodes_survive_without_memory),
		pcidev_test(lists_survive_without_memory),
	};

	return cmocka_run_group_tests_name("lib/pcidev", tests, NULL, NULL);
}
