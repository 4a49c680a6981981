/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/sysbus.c - lib/sysbus.h on the tree: logind's inhibitors, systemd's services and CPUs */
#include "../../lib/sysbus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#include "../../lib/deadline.h"
#include "fake.h"

/*
 * How it works
 *
 * A service is a process that runs the program, waits for its end, runs what ExecStopPost names
 * and removes .fake/units/UNIT. An inhibitor lasts as long as somebody holds the flock() on its
 * file: it ends with its process, as logind's does.
 */

#define UNITS	   ".fake/units"
#define INSTALLED  ".fake/installed"
#define INHIBITORS ".fake/inhibitors"
#define CGROUP	   "sys/fs/cgroup"
#define ARGS_MAX   32
#define NAP_MS	   10

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = NAP_MS * 1000000L };

	(void)nanosleep(&ts, NULL);
}

/* --- Inhibitors -------------------------------------------------------------------------------- */

struct inhibit {
	char file[NAME_MAX];
	int fd;
};

static int do_inhibit(const struct fake_effect *effect, const char *value)
{
	struct inhibit *inhibit = effect->arg;
	_cleanup_close_ int dirfd = -1;
	int r = tree_mkdirs(INHIBITORS);

	if (r == 0) {
		dirfd = __real_attr_open(fake_root(), INHIBITORS, O_RDONLY | O_DIRECTORY);
		r = dirfd < 0 ? dirfd : 0;
	}
	if (r < 0)
		return r;
	(void)snprintf(inhibit->file, sizeof(inhibit->file), "%d", (int)getpid());
	for (int i = 1; faccessat(dirfd, inhibit->file, F_OK, 0) == 0; i++)
		(void)snprintf(inhibit->file, sizeof(inhibit->file), "%d.%d", (int)getpid(), i);
	inhibit->fd = openat(dirfd, inhibit->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (inhibit->fd < 0)
		return -errno;
	(void)dprintf(inhibit->fd, "%s\n", value);
	return flock(inhibit->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

void inhibitors_sweep(void)
{
	_cleanup_close_ int dirfd =
		__real_attr_open(fake_root(), INHIBITORS, O_RDONLY | O_DIRECTORY);
	_cleanup_strlist_ struct strlist names = { 0 };

	if (dirfd < 0 || tree_list(INHIBITORS, &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		_cleanup_close_ int fd = openat(dirfd, names.names[i], O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)__real_unlinkat(dirfd, names.names[i], 0);
	}
}

/* --- Services ------------------------------------------------------------------------------------ */

struct service {
	const char *unit;
	const char *const *argv, *const *stop_argv;
};

static void unit_path(char *buf, size_t size, const char *unit, const char *file)
{
	tree_format(buf, size, UNITS "/%s%s%s", unit, file[0] ? "/" : "", file);
}

static _Noreturn void exec_service(const char *const *argv, int report)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin";
	static char *const env[] = { path, NULL };
	char *args[ARGS_MAX + 1] = { NULL };
	char error;

	for (size_t i = 0; i < ARGS_MAX && argv[i]; i++)
		args[i] = strdup(argv[i]);
	if (args[0])
		(void)execve(args[0], args, env);
	error = (char)errno;
	if (report >= 0)
		(void)!__real_write(report, &error, 1);
	_exit(127);
}

static void run_and_wait(const char *const *argv)
{
	pid_t pid = __real_fork();

	if (pid == 0)
		exec_service(argv, -1);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

/* A manager's process: nothing of the caller's but the pipe, to report a failed exec */
static _Noreturn void supervise(const struct service *service, int report)
{
	char path[PATH_MAX];
	int null = open("/dev/null", O_RDWR);
	pid_t pid;

	(void)setsid();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	(void)dup2(report, 3);
	(void)close_range(4, ~0U, 0);
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	pid = __real_fork();
	if (pid == 0)
		exec_service(service->argv, 3);
	unit_path(path, sizeof(path), service->unit, "pid");
	(void)tree_put_num(path, (unsigned long long)pid);
	(void)close(3);
	(void)waitpid(pid, NULL, 0);
	if (service->stop_argv)
		run_and_wait(service->stop_argv);
	unit_path(path, sizeof(path), service->unit, "");
	(void)tree_remove(path);
	_exit(0);
}

/* Return: 0 the program was executed, -EIO */
static int start(const struct service *service)
{
	char error;
	int fds[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = __real_fork();
	if (pid == 0) {
		if (__real_fork() == 0)
			supervise(service, fds[1]);
		_exit(0);
	}
	(void)close(fds[1]);
	(void)waitpid(pid, NULL, 0);
	n = read(fds[0], &error, 1);
	(void)close(fds[0]);
	return n == 0 ? 0 : -EIO;
}

static int do_start(const struct fake_effect *effect, const char *value)
{
	const struct service *service = effect->arg;
	char path[PATH_MAX];
	int r;

	(void)value;
	unit_path(path, sizeof(path), service->unit, "");
	if (tree_has(path))
		return -EEXIST;
	r = tree_mkdirs(path);
	return r < 0 ? r : start(service);
}

static int do_stop(const struct fake_effect *effect, const char *value)
{
	char path[PATH_MAX];
	unsigned long long pid;

	(void)value;
	unit_path(path, sizeof(path), effect->arg, "pid");
	pid = tree_num(path);
	if (pid)
		(void)kill((pid_t)pid, SIGTERM);
	return 0;
}

static bool any_service(void)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (tree_list(UNITS, &names) < 0)
		return false;
	for (size_t i = 0; i < names.nr; i++)
		if (strstr(names.names[i], ".service"))
			return true;
	return false;
}

int services_settle(int timeout_ms)
{
	long long deadline = deadline_in(timeout_ms);

	while (any_service()) {
		if (deadline_left(deadline) == 0)
			return -ETIMEDOUT;
		nap();
	}
	inhibitors_sweep();
	return 0;
}

/* --- AllowedCPUs --------------------------------------------------------------------------------- */

/* "machine-foo.slice" lies in machine.slice; a scope or service of the tree's is looked for */
static int unit_cgroup(const char *unit, char *buf, size_t size)
{
	int r = path_format(buf, size, CGROUP "/%s", unit);

	if (r < 0)
		return r;
	return tree_is_dir(buf) ? 0 : -ENOENT;
}

static void property_path(char *buf, size_t size, const char *unit)
{
	tree_format(buf, size, ".fake/properties/%s/AllowedCPUs", unit);
}

/* systemd switches cpuset on for a unit's siblings when one of them needs it */
static int do_set_cpus(const struct fake_effect *effect, const char *value)
{
	const char *unit = effect->arg;
	char group[PATH_MAX], path[PATH_MAX];
	int r = unit_cgroup(unit, group, sizeof(group));

	if (r < 0)
		return r;
	property_path(path, sizeof(path), unit);
	if (value[0])
		r = tree_put(path, value);
	else
		r = tree_remove(path);
	if (r == 0)
		r = cgroup_enable_cpuset(CGROUP);
	tree_path(path, "%s/cpuset.cpus", group);
	if (r == 0)
		r = cpuset_store_cpus(path, value);
	if (!value[0])
		cgroup_release_cpuset();
	return r;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_sysbus_inhibit(const char *what, const char *who, const char *why, const char *mode,
			  int timeout_ms);
int __wrap_sysbus_sleep_open(int timeout_ms, struct sysbus_sleep **ret);
int __wrap_sysbus_sleep_fd(const struct sysbus_sleep *sleep);
int __wrap_sysbus_sleep_next(struct sysbus_sleep *sleep);
void __wrap_sysbus_sleep_close(struct sysbus_sleep *sleep);
int __wrap_sysbus_logind_answers(int timeout_ms);
int __wrap_sysbus_systemd_version(int timeout_ms);
int __wrap_sysbus_start_service(const char *unit, const char *description, const char *const *argv,
				const char *const *stop_argv, int timeout_ms);
int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms);
int __wrap_sysbus_start_unit(const char *unit, int timeout_ms);
int __wrap_sysbus_unit_active(const char *unit, int timeout_ms);
int __wrap_sysbus_end_session(const char *session, int timeout_ms);
int __wrap_sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms);
int __wrap_sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms);

static int bus_fault(void)
{
	return tree_has("run/dbus/system_bus_socket") ? 0 : -ENOENT;
}

int __wrap_sysbus_inhibit(const char *what, const char *who, const char *why, const char *mode,
			  int timeout_ms)
{
	char text[ATTR_MAX];
	struct inhibit inhibit = { .fd = -1 };
	const struct fake_effect effect = { .verb = "bus",
					    .path = "login1/Inhibit",
					    .new_value = text,
					    .run = do_inhibit,
					    .arg = &inhibit };
	int r = bus_fault();

	(void)timeout_ms;
	if (r == 0)
		r = path_format(text, sizeof(text), "%s %s %s: %s", mode, what, who, why);
	if (r == 0)
		r = fake_effect(&effect);
	if (r == 0 && inhibit.fd < 0)
		r = -EIO;
	return r < 0 ? r : inhibit.fd;
}

/* This host never sleeps: nobody tells */
int __wrap_sysbus_sleep_open(int timeout_ms, struct sysbus_sleep **ret)
{
	(void)timeout_ms, (void)ret;
	return -EOPNOTSUPP;
}

int __wrap_sysbus_sleep_fd(const struct sysbus_sleep *sleep)
{
	(void)sleep;
	return -1;
}

int __wrap_sysbus_sleep_next(struct sysbus_sleep *sleep)
{
	(void)sleep;
	return SYSBUS_SLEEP_NONE;
}

void __wrap_sysbus_sleep_close(struct sysbus_sleep *sleep)
{
	(void)sleep;
}

int __wrap_sysbus_logind_answers(int timeout_ms)
{
	(void)timeout_ms;
	return bus_fault();
}

int __wrap_sysbus_systemd_version(int timeout_ms)
{
	int r = bus_fault();

	(void)timeout_ms;
	return r < 0 ? r : 257;
}

int __wrap_sysbus_start_service(const char *unit, const char *description, const char *const *argv,
				const char *const *stop_argv, int timeout_ms)
{
	struct service service = { .unit = unit, .argv = argv, .stop_argv = stop_argv };
	char path[PATH_MAX];
	const struct fake_effect effect = { .verb = "bus",
					    .path = path,
					    .new_value = description,
					    .run = do_start,
					    .arg = &service };
	int r = bus_fault();

	(void)timeout_ms;
	if (r == 0)
		r = path_format(path, sizeof(path), "systemd1/StartTransientUnit/%s", unit);
	return r < 0 ? r : fake_effect(&effect);
}

/* Units that are not ours: .fake/installed/UNIT says whether they are active */
static int set_active(const struct fake_effect *effect, const char *value)
{
	char owner[PATH_MAX];

	tree_path(owner, "unit.%s", strrchr(effect->arg, '/') + 1);
	children_move(owner, strcmp(value, "active") != 0);
	return tree_put(effect->arg, value);
}

static int switch_unit(const char *method, const char *unit, const char *state)
{
	char installed[PATH_MAX], path[PATH_MAX];
	const struct fake_effect effect = {
		.verb = "bus", .path = path, .new_value = state, .run = set_active, .arg = installed
	};
	int r = path_format(path, sizeof(path), "systemd1/%s/%s", method, unit);

	tree_format(installed, sizeof(installed), INSTALLED "/%s", unit);
	if (r == 0 && !tree_has(installed))
		return -ENOENT;
	return r < 0 ? r : fake_effect(&effect);
}

int __wrap_sysbus_start_unit(const char *unit, int timeout_ms)
{
	int r = bus_fault();

	(void)timeout_ms;
	return r < 0 ? r : switch_unit("StartUnit", unit, "active");
}

int __wrap_sysbus_unit_active(const char *unit, int timeout_ms)
{
	char path[PATH_MAX], state[32];
	int r = bus_fault();

	(void)timeout_ms;
	tree_format(path, sizeof(path), INSTALLED "/%s", unit);
	if (r < 0)
		return r;
	return tree_get(path, state, sizeof(state)) >= 0 && strcmp(state, "active") == 0;
}

static int do_end_session(const struct fake_effect *effect, const char *value)
{
	char owner[PATH_MAX];

	(void)value;
	tree_path(owner, "session.%s", (const char *)effect->arg);
	children_move(owner, true);
	return 0;
}

int __wrap_sysbus_end_session(const char *session, int timeout_ms)
{
	_cleanup_free_ char *id = strdup(session);
	char path[PATH_MAX];
	const struct fake_effect effect = {
		.verb = "bus", .path = path, .run = do_end_session, .arg = id
	};
	int r = id ? bus_fault() : -ENOMEM;

	(void)timeout_ms;
	if (r == 0)
		r = path_format(path, sizeof(path), "login1/TerminateSession/%s", session);
	return r < 0 ? r : fake_effect(&effect);
}

int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms)
{
	_cleanup_free_ char *name = strdup(unit);
	char path[PATH_MAX], dir[PATH_MAX];
	const struct fake_effect effect = {
		.verb = "bus", .path = path, .run = do_stop, .arg = name
	};
	long long deadline = deadline_in(timeout_ms);
	int r = name ? bus_fault() : -ENOMEM;

	if (r == 0)
		r = path_format(path, sizeof(path), "systemd1/StopUnit/%s", unit);
	unit_path(dir, sizeof(dir), unit, "");
	if (r == 0 && !tree_has(dir)) {
		r = switch_unit("StopUnit", unit, "inactive");
		return r == -ENOENT ? 0 : r;
	}
	if (r < 0)
		return r;
	r = fake_effect(&effect);
	while (r == 0 && tree_has(dir)) {
		if (deadline_left(deadline) == 0)
			return -ETIMEDOUT;
		nap();
	}
	return r;
}

int __wrap_sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms)
{
	char path[PATH_MAX], text[ATTR_MAX];
	int r = bus_fault();

	(void)timeout_ms;
	property_path(path, sizeof(path), unit);
	if (r < 0)
		return r;
	(void)!tree_get(path, text, sizeof(text));
	return cpulist_parse(text, ret);
}

int __wrap_sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms)
{
	_cleanup_free_ char *name = strdup(unit);
	char path[PATH_MAX], list[ATTR_MAX];
	const struct fake_effect effect = {
		.verb = "bus", .path = path, .new_value = list, .run = do_set_cpus, .arg = name
	};
	int r = name ? bus_fault() : -ENOMEM;

	(void)timeout_ms;
	if (r == 0)
		r = cpulist_format(cpus, list, sizeof(list));
	if (r == 0)
		r = path_format(path, sizeof(path), "systemd1/SetUnitProperties/%s/AllowedCPUs",
				unit);
	return r < 0 ? r : fake_effect(&effect);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
