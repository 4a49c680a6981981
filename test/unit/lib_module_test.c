/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/lib_module_test.c - what modprobe says, and what delete_module(2)
 *
 * wraps: spawn_run syscall
 */
#include "test/unit/tree.h"

#include <stdarg.h>
#include <sys/syscall.h>

#include "lib/module.h"
#include "lib/spawn.h"

#define TIMEOUT_MS 1234

/* What the next modprobe comes to, and what was asked */
static struct {
	struct spawn_job result;
	const char *output;
	int returns;
	char name[64];
	int calls;
} modprobe;

/* And the next delete_module(2) */
static struct {
	int error;
	char name[64];
	long flags;
	int calls;
} unload;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_spawn_run(struct spawn_job *jobs, size_t nr);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

int __wrap_spawn_run(struct spawn_job *jobs, size_t nr)
{
	assert_int_equal(nr, 1);
	assert_string_equal(jobs->argv[0], "/sbin/modprobe");
	assert_string_equal(jobs->argv[1], "--");
	assert_null(jobs->argv[3]);
	assert_int_equal(jobs->timeout_ms, TIMEOUT_MS);
	(void)snprintf(modprobe.name, sizeof(modprobe.name), "%s", jobs->argv[2]);
	modprobe.calls++;
	jobs->status = modprobe.result.status;
	jobs->timed_out = modprobe.result.timed_out;
	jobs->error = modprobe.result.error;
	jobs->output = strdup(modprobe.output ?: "");
	return modprobe.returns;
}

long __wrap_syscall(long number, ...)
{
	long args[5];
	va_list list;

	va_start(list, number);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number != SYS_delete_module)
		return __real_syscall(number, args[0], args[1], args[2], args[3], args[4]);
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): syscall(2) carries pointers as long */
	(void)snprintf(unload.name, sizeof(unload.name), "%s", (const char *)args[0]);
	unload.flags = args[1];
	unload.calls++;
	errno = unload.error;
	return unload.error ? -1 : 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void what_modprobe_says_is_an_errno(void **state)
{
	static const struct {
		const char *output;
		struct spawn_job job;
		int returns, error;
	} rows[] = {
		{ NULL, { .status = 0 }, 0, 0 },
		{ "modprobe: FATAL: Module x not found in directory /lib",
		  { .status = 1 },
		  1,
		  -ENOENT },
		{ "could not insert 'x': Operation not permitted", { .status = 1 }, 1, -EPERM },
		{ "could not insert 'x': Key was rejected by service", { .status = 1 }, 1, -EPERM },
		{ "could not insert 'x': No such device", { .status = 1 }, 1, -EIO },
		{ NULL, { .status = 139 }, 1, -EIO },
		{ "not found in directory", { .status = 137, .timed_out = true }, 1, -ETIMEDOUT },
		/* There is no modprobe */
		{ NULL, { .error = -ENOENT }, 1, -ENOENT },
		{ NULL, { .error = -EAGAIN }, 1, -EAGAIN },
		{ NULL, { 0 }, -ENOMEM, -ENOMEM },
	};
	struct tree *tree = *state;

	tree_dir(tree, "sys/module");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		modprobe.result = rows[i].job;
		modprobe.output = rows[i].output;
		modprobe.returns = rows[i].returns;
		assert_int_equal(module_load(tree->rootfd, "vfio-pci", TIMEOUT_MS), rows[i].error);
		assert_string_equal(modprobe.name, "vfio-pci");
	}
}

static void module_that_is_there_is_not_loaded_again(void **state)
{
	struct tree *tree = *state;

	tree_dir(tree, "sys/module/vfio_pci");
	modprobe.calls = 0;
	assert_int_equal(module_load(tree->rootfd, "vfio-pci", TIMEOUT_MS), 0);
	assert_int_equal(modprobe.calls, 0);
}

static void unloading_waits_for_no_user_and_says_so(void **state)
{
	static const struct {
		int error, result;
	} rows[] = {
		{ 0, 0 },
		{ EAGAIN, -EBUSY },
		{ EBUSY, -EBUSY },
		{ EPERM, -EPERM },
		/* Somebody else was faster */
		{ ENOENT, 0 },
	};
	struct tree *tree = *state;

	tree_dir(tree, "sys/module/snd_hda_intel");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unload.error = rows[i].error;
		assert_int_equal(module_unload(tree->rootfd, "snd-hda-intel"), rows[i].result);
		assert_string_equal(unload.name, "snd_hda_intel");
		/* O_TRUNC would take it from under its users */
		assert_int_equal(unload.flags, O_NONBLOCK);
	}
	unload.calls = 0;
	assert_int_equal(module_unload(tree->rootfd, "nouveau"), 0);
	assert_int_equal(unload.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(what_modprobe_says_is_an_errno),
		tree_test(module_that_is_there_is_not_loaded_again),
		tree_test(unloading_waits_for_no_user_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
