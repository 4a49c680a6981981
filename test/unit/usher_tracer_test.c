/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/usher_tracer_test.c - an instance of the kernel's tracer, made and taken away
 *
 * wraps: mkdirat unlinkat
 */
#include "test/unit/tree.h"

#include <ftw.h>

#include "helpers/usher/noise.h"

#define INSTANCES "sys/kernel/tracing/instances"
#define HOG_LINES                                                                                  \
	"       CPU 0/KVM-1412    [002] d..2. 10.000000: sched_switch: prev_comm=x prev_pid=1 "    \
	"prev_prio=120 prev_state=S ==> next_comm=hog next_pid=900 next_prio=120\n"                \
	"             hog-900     [002] d..2. 10.000500: sched_switch: prev_comm=x prev_pid=1 "    \
	"prev_prio=120 prev_state=S ==> next_comm=CPU 0/KVM next_pid=1412 next_prio=120\n"         \
	"CPU:2 [LOST 3 EVENTS]\n"

/* tracefs makes an instance's files with its directory, and takes them away with it */
static struct {
	struct tree *tree;
	char name[64];		      /* of the instance that was made, "" when it is gone */
	const char *missing;	      /* a file that this kernel does not have */
	int make_error, remove_error; /* why no instance is made, or taken away */
} kernel;

static void put(const char *file, const char *text)
{
	char path[256];

	if (kernel.missing && strcmp(kernel.missing, file) == 0)
		return;
	(void)snprintf(path, sizeof(path), INSTANCES "/%s/%s", kernel.name, file);
	tree_file(kernel.tree, path, text);
}

static const char *value(const char *file)
{
	char path[256];

	(void)snprintf(path, sizeof(path), INSTANCES "/%s/%s", kernel.name, file);
	return tree_read(kernel.tree, path);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	char own[32];
	int r;

	(void)snprintf(own, sizeof(own), "usher-noise-%d-77", (int)getpid());
	if (strcmp(path, own) == 0 && kernel.make_error) {
		errno = kernel.make_error;
		return -1;
	}
	r = __real_mkdirat(dirfd, path, mode);
	if (r < 0 || strcmp(path, own) != 0)
		return r;
	(void)snprintf(kernel.name, sizeof(kernel.name), "%s", path);
	put("trace_pipe", HOG_LINES);
	put("tracing_on", "1");
	put("tracing_cpumask", "f");
	put("per_cpu/cpu2/buffer_size_kb", "1408");
	put("events/sched/sched_switch/enable", "0");
	put("events/irq_vectors/local_timer_entry/enable", "0");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	char full[PATH_MAX];

	if (flags != AT_REMOVEDIR || strcmp(path, kernel.name) != 0)
		return __real_unlinkat(dirfd, path, flags);
	if (kernel.remove_error) {
		errno = kernel.remove_error;
		return -1;
	}
	(void)snprintf(full, sizeof(full), "%s/" INSTANCES "/%s", kernel.tree->dir, path);
	kernel.name[0] = '\0';
	return nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void make_process(int pid, int start)
{
	char path[64], text[256];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	(void)snprintf(text, sizeof(text),
		       "%d (usher) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 %d 0", pid, start);
	tree_file(kernel.tree, path, text);
}

static int setup(void **state)
{
	int r = tree_setup(state);

	memset(&kernel, 0, sizeof(kernel));
	kernel.tree = *state;
	make_process((int)getpid(), 77);
	return r;
}

static struct cpulist guest_cpus(void)
{
	struct cpulist cpus = { 0 };

	cpulist_add(&cpus, 2);
	cpulist_add(&cpus, 35);
	return cpus;
}

static bool there(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), INSTANCES "/%s", name);
	return faccessat(kernel.tree->rootfd, path, F_OK, 0) == 0;
}

static void what_the_kernel_records_is_counted_and_the_instance_goes(void **state)
{
	struct tracer tracer = TRACER_INIT(kernel.tree->rootfd);
	_cleanup_noise_ struct noise noise = { 0 };
	struct cpulist cpus = guest_cpus();

	(void)state;
	tree_dir(kernel.tree, INSTANCES);
	assert_int_equal(noise_init(&noise, &cpus), 0);
	assert_int_equal(noise_add_thread(&noise, 1412, true), 0);
	assert_int_equal(tracer_open(&tracer, &cpus), 0);
	assert_string_equal(value("tracing_cpumask"), "00000008,00000004");
	assert_string_equal(value("events/sched/sched_switch/enable"), "1");
	assert_string_equal(value("events/irq_vectors/local_timer_entry/enable"), "1");
	assert_int_equal(tracer_drain(&tracer, &noise), 0);
	assert_int_equal(tracer_stop(&tracer), 0);
	assert_string_equal(value("tracing_on"), "0");
	assert_int_equal(noise_end(&noise), 0);
	assert_int_equal(noise.nr_sources, 1);
	assert_string_equal(noise.sources[0].name, "hog");
	assert_int_equal(noise.lost, 3);
	assert_int_equal(tracer_close(&tracer), 0);
	assert_string_equal(kernel.name, "");
}

static void a_kernel_that_cannot_do_it_is_told_and_nothing_is_left(void **state)
{
	static const char *const missing[] = { "trace_pipe", "tracing_cpumask",
					       "events/sched/sched_switch/enable" };

	(void)state;
	tree_dir(kernel.tree, INSTANCES);
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		struct tracer tracer = TRACER_INIT(kernel.tree->rootfd);
		struct cpulist cpus = guest_cpus();

		kernel.missing = missing[i];
		assert_int_equal(tracer_open(&tracer, &cpus), -ENOENT);
		assert_non_null(strstr(tracer.why, missing[i]));
		assert_int_equal(tracer_close(&tracer), 0);
		assert_string_equal(kernel.name, "");
	}
}

static void an_instance_that_cannot_be_made_or_removed_is_named(void **state)
{
	struct tracer tracer = TRACER_INIT(kernel.tree->rootfd);
	struct cpulist cpus = guest_cpus();
	char want[256];

	(void)state;
	tree_dir(kernel.tree, INSTANCES);
	kernel.make_error = ENOMEM;
	assert_int_equal(tracer_open(&tracer, &cpus), -ENOMEM);
	assert_string_equal(tracer.why, "cannot make a tracing instance in /" INSTANCES
					": Cannot allocate memory");
	assert_int_equal(tracer_close(&tracer), 0);
	kernel.make_error = 0;
	assert_int_equal(tracer_open(&tracer, &cpus), 0);
	kernel.remove_error = EBUSY;
	(void)snprintf(want, sizeof(want),
		       "cannot remove /" INSTANCES "/%s: Device or resource busy", kernel.name);
	assert_int_equal(tracer_close(&tracer), -EBUSY);
	assert_string_equal(tracer.why, want);
}

/* In the place of the directory lies a file; and of the pipe a directory */
static void a_tracefs_that_cannot_be_read_is_named(void **state)
{
	struct tracer tracer = TRACER_INIT(kernel.tree->rootfd);
	_cleanup_noise_ struct noise noise = { 0 };
	struct cpulist cpus = guest_cpus();

	(void)state;
	tree_file(kernel.tree, INSTANCES, "");
	assert_int_equal(tracer_open(&tracer, &cpus), -ENOTDIR);
	assert_string_equal(tracer.why,
			    "cannot open /" INSTANCES ": Not a directory: it is root's to use");
	assert_int_equal(unlinkat(kernel.tree->rootfd, INSTANCES, 0), 0);
	tree_dir(kernel.tree, INSTANCES "/trace_pipe");
	tracer.pipefd = openat(kernel.tree->rootfd, INSTANCES "/trace_pipe",
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(noise_init(&noise, &cpus), 0);
	assert_int_equal(tracer_drain(&tracer, &noise), -EISDIR);
	assert_string_equal(tracer.why, "cannot read the trace: Is a directory");
	assert_int_equal(tracer_close(&tracer), 0);
}

static void without_tracefs_its_mount_is_named(void **state)
{
	struct tracer tracer = TRACER_INIT(kernel.tree->rootfd);
	struct cpulist cpus = guest_cpus();

	(void)state;
	assert_int_equal(tracer_open(&tracer, &cpus), -ENOENT);
	assert_string_equal(tracer.why, "tracefs is not mounted: mount -t tracefs tracefs "
					"/sys/kernel/tracing");
	assert_int_equal(tracer_close(&tracer), 0);
}

static void what_killed_ones_left_is_swept_and_nobody_elses(void **state)
{
	static const char *const kept[] = { "usher-noise-500-1000", "mine", "usher-noise-x",
					    "usher-noise-600" };
	static const char *const swept[] = { "usher-noise-500-999", "usher-noise-600-1" };
	struct tracer tracer = TRACER_INIT(kernel.tree->rootfd);
	struct cpulist cpus = guest_cpus();
	char path[256];

	(void)state;
	make_process(500, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		(void)snprintf(path, sizeof(path), INSTANCES "/%s", kept[i]);
		tree_dir(kernel.tree, path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(swept); i++) {
		(void)snprintf(path, sizeof(path), INSTANCES "/%s", swept[i]);
		tree_dir(kernel.tree, path);
	}
	assert_int_equal(tracer_open(&tracer, &cpus), 0);
	assert_int_equal(tracer_close(&tracer), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_true(there(kept[i]));
	for (size_t i = 0; i < ARRAY_SIZE(swept); i++)
		assert_false(there(swept[i]));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(what_the_kernel_records_is_counted_and_the_instance_goes),
		T(a_kernel_that_cannot_do_it_is_told_and_nothing_is_left),
		T(an_instance_that_cannot_be_made_or_removed_is_named),
		T(a_tracefs_that_cannot_be_read_is_named),
		T(without_tracefs_its_mount_is_named),
		T(what_killed_ones_left_is_swept_and_nobody_elses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
