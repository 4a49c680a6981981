/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/lib_library_test.c - libraries that are loaded when they are first needed
 *
 * wraps: dlopen
 */
#include "test/unit/tree.h"

#include <dlfcn.h>
#include <link.h>

#include "lib/cpulist.h"
#include "lib/library.h"
#include "lib/sysbus.h"
#include "lib/topology.h"

static bool no_library;
static int nr_opened;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__real_dlopen(const char *file, int mode);
void *__wrap_dlopen(const char *file, int mode);
void *__wrap_dlopen(const char *file, int mode)
{
	nr_opened++;
	return no_library ? NULL : __real_dlopen(file, mode);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int is_systemd(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	if (strstr(info->dlpi_name, "libsystemd.so"))
		*(bool *)found = true;
	return 0;
}

static bool systemd_loaded(void)
{
	bool found = false;

	(void)dl_iterate_phdr(is_systemd, &found);
	return found;
}

static void the_first_name_that_can_be_loaded_is_taken(void **state)
{
	struct library library = { .sonames = { "libnone.so.1", "libc.so.6", "libnone.so.2",
						NULL } };

	(void)state;
	no_library = false;
	nr_opened = 0;
	assert_non_null(library_symbol(&library, "strlen"));
	assert_int_equal(nr_opened, 2);
	assert_null(library_symbol(&library, "no_such_function"));
	assert_int_equal(nr_opened, 2);
}

static void without_a_library_there_is_no_function(void **state)
{
	struct library library = { .sonames = { "libnone.so.1", NULL } };

	(void)state;
	no_library = false;
	assert_null(library_symbol(&library, "strlen"));
}

/* In this order: the second loads it for good */
static void without_libsystemd_nobody_can_be_asked(void **state)
{
	struct cpulist cpus = { 0 };

	(void)state;
	no_library = true;
	assert_false(systemd_loaded());
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &cpus, 100), -EOPNOTSUPP);
	assert_int_equal(sysbus_set_allowed_cpus("system.slice", &cpus, 100), -EOPNOTSUPP);
}

static void libsystemd_is_loaded_when_somebody_is_asked(void **state)
{
	struct cpulist cpus = { 0 };

	(void)state;
	no_library = false;
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &cpus, 100), -ENOENT);
	assert_int_equal(sysbus_set_allowed_cpus("system.slice", &cpus, 100), -ENOENT);
	assert_true(systemd_loaded());
}

static void without_hwloc_there_is_no_picture_of_the_host(void **state)
{
	_cleanup_topology_ struct topology topology = { 0 };

	(void)state;
	no_library = true;
	assert_int_equal(topology_read("/", &topology), -EOPNOTSUPP);
	no_library = false;
	assert_int_equal(topology_read("/", &topology), 0);
	assert_true(topology.nr > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_name_that_can_be_loaded_is_taken),
		cmocka_unit_test(without_a_library_there_is_no_function),
		cmocka_unit_test(without_libsystemd_nobody_can_be_asked),
		cmocka_unit_test(libsystemd_is_loaded_when_somebody_is_asked),
		cmocka_unit_test(without_hwloc_there_is_no_picture_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
