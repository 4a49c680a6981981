/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/vfio_modules.h - nvidia's modules and services on the host of vfio_host.h
 *
 * The head of a test that includes this names what the linker wraps, in a line behind "wraps:":
 * module_unload spawn_detached spawn_run sysbus_unit_active sysbus_start_unit sysbus_stop_unit
 */
#pragma once

#include "vfio_host.h"

#include "lib/spawn.h"
#include "lib/sysbus.h"

/* --- The modules, as lsmod shows those of nvidia 550: who needs whom ----------------------------- */

static const struct {
	const char *name, *needs[3];
} modules[] = {
	{ "nvidia", { NULL } },
	{ "nvidia_uvm", { "nvidia", NULL } },
	{ "nvidia_modeset", { "nvidia", NULL } },
	{ "nvidia_drm", { "nvidia_modeset", "nvidia", NULL } },
};

#define SECOND	    "0000:05:00.0"
#define SECOND_LINE "device = " SECOND " 10de:1b80 hostdev unmanaged\n"

#define PAIR GPU_LINE AUDIO_LINE

static const char *const cards[] = { GPU, SECOND };

/* What happened, in order; shared with the workers */
static struct {
	char log[2048];
	int busy; /* one module at a time, as in the kernel */
	bool no_process;
	bool deaf_service; /* a unit does not stop */
	int failing_start; /* what the start of a unit comes to */
	int failing_tool;  /* what nvidia-smi exits with */
	int hang_in_unload;
	bool deaf_keeper;	  /* nvidia-persistenced does not do what it is asked to */
	const char *hang_in_load; /* this module's */
} * events;

static inline void event(const char *fmt, const char *arg)
{
	size_t len = strlen(events->log);

/* The callers' own literals, each with one %s */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(events->log + len, sizeof(events->log) - len, fmt, arg);
#pragma GCC diagnostic pop
}

static inline void modules_lock(void)
{
	while (__atomic_exchange_n(&events->busy, 1, __ATOMIC_SEQ_CST))
		(void)poll(NULL, 0, 1);
}

static inline void modules_unlock(void)
{
	__atomic_store_n(&events->busy, 0, __ATOMIC_SEQ_CST);
}

static inline void module_path(const char *name, const char *file, char buf[static 128])
{
	(void)snprintf(buf, 128, "sys/module/%s/%s", name, file);
}

static inline unsigned int use_count(const char *name)
{
	unsigned long long count = 0;
	char path[128];

	module_path(name, "refcnt", path);
	return attr_read_ull(host->rootfd, path, &count) < 0 ? 0 : (unsigned int)count;
}

static inline void use(const char *name, int by)
{
	char path[128], text[16];

	module_path(name, "refcnt", path);
	(void)snprintf(text, sizeof(text), "%u", use_count(name) + (unsigned int)by);
	tree_file(host, path, text);
}

static inline void module_in(const char *name)
{
	char path[128];

	module_path(name, "", path);
	if (attr_exists(host->rootfd, path) > 0)
		return;
	use(name, 0);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		for (size_t j = 0; strcmp(modules[i].name, name) == 0 && modules[i].needs[j]; j++)
			use(modules[i].needs[j], 1);
}

static inline bool is_in(const char *name)
{
	char path[128];

	module_path(name, "refcnt", path);
	return attr_exists(host->rootfd, path) == 1;
}

static inline void module_out(const char *name)
{
	char path[128];

	module_path(name, "refcnt", path);
	(void)unlinkat(host->rootfd, path, 0);
	module_path(name, "", path);
	(void)unlinkat(host->rootfd, path, AT_REMOVEDIR);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_module_unload(int rootfd, const char *name);
int __wrap_sysbus_unit_active(const char *unit, int timeout_ms);
int __wrap_sysbus_start_unit(const char *unit, int timeout_ms);
int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms);
pid_t __wrap_spawn_detached(const int *keep, size_t nr_keep);
pid_t __real_spawn_detached(const int *keep, size_t nr_keep);
int __wrap_spawn_run(struct spawn_job *jobs, size_t nr);

static inline int unload_module(const char *name)
{
	char driver[128];

	if (!is_in(name))
		return 0;
	if (use_count(name) > 0)
		return -EBUSY;
	if (events->hang_in_unload)
		while (__atomic_load_n(&kernel->release, __ATOMIC_SEQ_CST) < 1)
			(void)poll(NULL, 0, 2);
	event("-%s ", name);
	module_out(name);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		for (size_t j = 0; strcmp(modules[i].name, name) == 0 && modules[i].needs[j]; j++)
			use(modules[i].needs[j], -1);
	for (size_t i = 0; strcmp(name, "nvidia") == 0 && i < ARRAY_SIZE(cards); i++)
		if (strcmp(driver_of(cards[i]), "nvidia") == 0)
			set_driver(cards[i], "");
	(void)snprintf(driver, sizeof(driver), "sys/bus/pci/drivers/%s", name);
	(void)unlinkat(host->rootfd, driver, AT_REMOVEDIR);
	return 0;
}

int __wrap_module_unload(int rootfd, const char *name)
{
	int r;

	(void)rootfd;
	host_reopen();
	kernel_point();
	modules_lock();
	r = unload_module(name);
	modules_unlock();
	return r;
}

int __wrap_sysbus_unit_active(const char *unit, int timeout_ms)
{
	(void)timeout_ms;
	host_reopen();
	return attr_exists(host->rootfd, unit);
}

int __wrap_sysbus_start_unit(const char *unit, int timeout_ms)
{
	(void)timeout_ms;
	host_reopen();
	event("start:%s ", unit);
	if (events->failing_start)
		return events->failing_start;
	tree_file(host, unit, "");
	return 0;
}

int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms)
{
	host_reopen();
	event("stop:%s ", unit);
	if (events->deaf_service) {
		(void)poll(NULL, 0, timeout_ms);
		return -ETIMEDOUT;
	}
	(void)unlinkat(host->rootfd, unit, 0);
	(void)unlinkat(host->rootfd, "proc/700/fd/7", 0);
	return 0;
}

pid_t __wrap_spawn_detached(const int *keep, size_t nr_keep)
{
	return events->no_process ? -EAGAIN : __real_spawn_detached(keep, nr_keep);
}

int __wrap_spawn_run(struct spawn_job *jobs, size_t nr)
{
	host_reopen();
	for (size_t i = 0; i < nr; i++) {
		event("run:%s ", jobs[i].argv[0]);
		if (strcmp(jobs[i].argv[0], "/usr/bin/nvidia-smi") == 0)
			event("-pm:%s ", jobs[i].argv[4]);
		if (strcmp(jobs[i].argv[0], "/usr/bin/nvidia-smi") == 0 && !events->deaf_keeper)
			(void)unlinkat(host->rootfd, "proc/700/fd/7", 0);
	}
	return events->failing_tool;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* The driver that registers takes what its name is in the override of: which must not be gone yet */
static inline void load(const char *name)
{
	if (is_in(name))
		return;
	module_in(name);
	event("+%s", name);
	event("(%s) ", override_of(GPU));
	for (size_t i = 0; strcmp(name, "nvidia") == 0 && i < ARRAY_SIZE(cards); i++)
		if (strcmp(override_of(cards[i]), "nvidia") == 0 && !*driver_of(cards[i]))
			set_driver(cards[i], "nvidia");
}

static inline void on_load(const char *name)
{
	while (events->hang_in_load && strcmp(events->hang_in_load, name) == 0 &&
	       __atomic_load_n(&kernel->release, __ATOMIC_SEQ_CST) < 1)
		(void)poll(NULL, 0, 2);
	modules_lock();
	load(name);
	modules_unlock();
}

static inline int rules_setup(void **state)
{
	int r = host_setup(state);

	kernel->on_module_load = on_load;

	events = mmap(NULL, sizeof(*events), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return events == MAP_FAILED ? -1 : r;
}

static inline int rules_teardown(void **state)
{
	int r = host_teardown(state);

	(void)munmap(events, sizeof(*events));
	return r;
}

#define rules_test(fn) cmocka_unit_test_setup_teardown(fn, rules_setup, rules_teardown)

/* The driver with all its modules, and the card's own files */
static inline void add_nvidia(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		module_in(modules[i].name);
	tree_file(host, "proc/driver/nvidia/gpus/" GPU "/information",
		  "Model: \t\t NVIDIA GeForce GTX 1080\nDevice Minor: \t 0\n");
}
