/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_sysbus_test.c - D-Bus calls against a private bus with a systemd and logind of ours */
/* wraps: sd_bus_message_new_method_call sd_bus_message_append sd_bus_message_read */
/* wraps: sd_bus_message_open_container sd_bus_message_close_container sd_bus_message_enter_container */
/* wraps: sd_bus_message_append_array sd_bus_message_read_array */
/* wraps: sd_bus_call_async sd_bus_match_signal_async sd_bus_process sd_bus_wait */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "failing.h"
#include "lib/deadline.h"
#include "lib/sysbus.h"

#define MANAGER "org.freedesktop.systemd1.Manager"
#define JOB	"/org/freedesktop/systemd1/job/7"

/* Long enough for a loaded machine; a call that must time out gets SHORT_MS */
#define LONG_MS	 20000
#define SHORT_MS 150

static char dir[] = "/tmp/usher-sysbus-XXXXXX";
static pid_t daemon_pid, service_pid;

static bool unread; /* no message can be */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_message_new_method_call,
	     (sd_bus * bus, sd_bus_message **m, const char *destination, const char *path,
	      const char *interface, const char *member),
	     (bus, m, destination, path, interface, member))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_message_open_container,
	     (sd_bus_message * m, char type, const char *contents), (m, type, contents))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_message_close_container, (sd_bus_message * m), (m))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_message_enter_container,
	     (sd_bus_message * m, char type, const char *contents), (m, type, contents))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_message_append_array,
	     (sd_bus_message * m, char type, const void *ptr, size_t size), (m, type, ptr, size))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_message_read_array,
	     (sd_bus_message * m, char type, const void **ptr, size_t *size), (m, type, ptr, size))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_call_async,
	     (sd_bus * bus, sd_bus_slot **slot, sd_bus_message *m,
	      sd_bus_message_handler_t callback, void *userdata, uint64_t usec),
	     (bus, slot, m, callback, userdata, usec))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_match_signal_async,
	     (sd_bus * bus, sd_bus_slot **ret, const char *sender, const char *path,
	      const char *interface, const char *member, sd_bus_message_handler_t match_callback,
	      sd_bus_message_handler_t add_callback, void *userdata),
	     (bus, ret, sender, path, interface, member, match_callback, add_callback, userdata))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_process, (sd_bus * bus, sd_bus_message **ret), (bus, ret))
FAILING_WRAP(int, -ENOMEM, 1, sd_bus_wait, (sd_bus * bus, uint64_t usec), (bus, usec))

int __wrap_sd_bus_message_append(sd_bus_message *m, const char *types, ...);
int __wrap_sd_bus_message_append(sd_bus_message *m, const char *types, ...)
{
	va_list args;
	int r;

	if (fails(1))
		return -ENOMEM;
	va_start(args, types);
	r = sd_bus_message_appendv(m, types, args);
	va_end(args);
	return r;
}

int __wrap_sd_bus_message_read(sd_bus_message *m, const char *types, ...);
int __wrap_sd_bus_message_read(sd_bus_message *m, const char *types, ...)
{
	va_list args;
	int r;

	if (unread || fails(1))
		return -ENOMEM;
	va_start(args, types);
	r = sd_bus_message_readv(m, types, args);
	va_end(args);
	return r;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- The other side: what was asked goes, line by line, to DIR/asked ------------------------- */

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	char path[sizeof(dir) + 16];
	va_list ap;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/asked", dir);
	f = fopen(path, "ae");
	if (!f)
		_exit(2);
	va_start(ap, fmt);
	(void)vfprintf(f, fmt, ap);
	va_end(ap);
	(void)fclose(f);
}

static int send_removed(sd_bus *bus, const char *job, const char *unit, const char *result)
{
	return sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", MANAGER, "JobRemoved", "uoss",
				  7, job, unit, result);
}

/* The unit's name says how its job goes */
static int answer_job(sd_bus_message *call, const char *unit, sd_bus_error *error)
{
	sd_bus *bus = sd_bus_message_get_bus(call);
	int r;

	if (!strncmp(unit, "exists", 6))
		return sd_bus_error_set(error, "org.freedesktop.systemd1.UnitExists", "there");
	if (!strncmp(unit, "missing", 7))
		return sd_bus_error_set(error, "org.freedesktop.systemd1.NoSuchUnit", "gone");
	if (!strncmp(unit, "shutdown", 8))
		return sd_bus_error_set(error, "org.freedesktop.systemd1.TransactionIsDestructive",
					"it has a stop job");
	if (!strncmp(unit, "denied", 6))
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "no");
	if (!strncmp(unit, "early", 5)) {
		r = send_removed(bus, JOB, unit, "done");
		return r < 0 ? r : sd_bus_reply_method_return(call, "o", JOB);
	}
	r = sd_bus_reply_method_return(call, "o", JOB);
	if (r < 0 || !strncmp(unit, "never", 5))
		return r;
	/* Somebody else's job, which went well */
	r = send_removed(bus, "/org/freedesktop/systemd1/job/6", "other.service", "done");
	if (r < 0)
		return r;
	if (!strncmp(unit, "fails", 5))
		return send_removed(bus, JOB, unit, "failed");
	if (!strncmp(unit, "cancel", 6))
		return send_removed(bus, JOB, unit, "canceled");
	if (!strncmp(unit, "jobtimeout", 10))
		return send_removed(bus, JOB, unit, "timeout");
	return send_removed(bus, JOB, unit, "done");
}

static int note_exec(sd_bus_message *call)
{
	const char *path;
	char **argv = NULL;
	int r, ignore;

	r = sd_bus_message_enter_container(call, 'v', "a(sasb)");
	if (r >= 0)
		r = sd_bus_message_enter_container(call, 'a', "(sasb)");
	if (r >= 0)
		r = sd_bus_message_enter_container(call, 'r', "sasb");
	if (r >= 0)
		r = sd_bus_message_read(call, "s", &path);
	if (r >= 0)
		r = sd_bus_message_read_strv(call, &argv);
	if (r >= 0)
		r = sd_bus_message_read(call, "b", &ignore);
	if (r < 0)
		return r;
	note(" %s:", path);
	for (char **arg = argv; arg && *arg; arg++) {
		note(" <%s>", *arg);
		free(*arg);
	}
	free(argv);
	note(" %s\n", ignore ? "ignored" : "counted");
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_exit_container(call);
	return r;
}

static int note_properties(sd_bus_message *call)
{
	const char *name, *value;
	int r = sd_bus_message_enter_container(call, 'a', "(sv)");

	while (r >= 0 && (r = sd_bus_message_enter_container(call, 'r', "sv")) > 0) {
		r = sd_bus_message_read(call, "s", &name);
		if (r < 0)
			return r;
		note("%s", name);
		if (!strncmp(name, "Exec", 4)) {
			r = note_exec(call);
		} else {
			r = sd_bus_message_read(call, "v", "s", &value);
			if (r >= 0)
				note(" %s\n", value);
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(call);
	}
	return r;
}

static int on_start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *unit, *mode;
	int r = sd_bus_message_read(call, "ss", &unit, &mode);

	(void)userdata;
	if (r < 0)
		return r;
	note("start %s %s\n", unit, mode);
	r = note_properties(call);
	return r < 0 ? r : answer_job(call, unit, error);
}

static int on_stop(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *unit, *mode;
	int r = sd_bus_message_read(call, "ss", &unit, &mode);

	(void)userdata;
	if (r < 0)
		return r;
	note("stop %s %s\n", unit, mode);
	return answer_job(call, unit, error);
}

static int on_start_unit(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *unit, *mode;
	int r = sd_bus_message_read(call, "ss", &unit, &mode);

	(void)userdata;
	if (r < 0)
		return r;
	note("start unit %s %s\n", unit, mode);
	return answer_job(call, unit, error);
}

static int on_reset_failed(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *unit;
	int r = sd_bus_message_read(call, "s", &unit);

	(void)userdata;
	if (r < 0)
		return r;
	note("reset failed %s\n", unit);
	/* systemd's answer for a unit that is not loaded */
	if (strncmp(unit, "ok", 2) != 0)
		return sd_bus_error_set(error, "org.freedesktop.systemd1.NoSuchUnit", "gone");
	return sd_bus_reply_method_return(call, "");
}

static int on_get_unit(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	char path[128];
	const char *unit;
	int r = sd_bus_message_read(call, "s", &unit);

	(void)userdata;
	if (r < 0)
		return r;
	if (!strncmp(unit, "missing", 7))
		return sd_bus_error_set(error, "org.freedesktop.systemd1.NoSuchUnit", "gone");
	/* "active.service" is found at unit/active */
	(void)snprintf(path, sizeof(path), "/org/freedesktop/systemd1/unit/%.*s",
		       (int)strcspn(unit, "."), unit);
	return sd_bus_reply_method_return(call, "o", path);
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", strrchr(path, '/') + 1);
}

static int on_terminate(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *session;
	int r = sd_bus_message_read(call, "s", &session);

	(void)userdata;
	if (r < 0)
		return r;
	note("terminate %s\n", session);
	if (!strcmp(session, "gone"))
		return sd_bus_error_set(error, "org.freedesktop.login1.NoSuchSession", "gone");
	return sd_bus_reply_method_return(call, "");
}

static int on_set(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *unit, *name;
	const uint8_t *bytes;
	size_t size;
	int runtime, r;

	(void)userdata;
	r = sd_bus_message_read(call, "sb", &unit, &runtime);
	if (r >= 0 && !strncmp(unit, "missing", 7))
		return sd_bus_error_set(error, "org.freedesktop.systemd1.NoSuchUnit", "gone");
	if (r >= 0 && !strncmp(unit, "old", 3))
		return sd_bus_error_set(error, SD_BUS_ERROR_PROPERTY_READ_ONLY, "unknown property");
	if (r >= 0)
		r = sd_bus_message_enter_container(call, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_enter_container(call, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_read(call, "s", &name);
	if (r >= 0)
		r = sd_bus_message_enter_container(call, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_read_array(call, 'y', (const void **)&bytes, &size);
	if (r < 0)
		return r;
	note("set %s %s %s", unit, runtime ? "runtime" : "persistent", name);
	for (size_t i = 0; i < size; i++)
		note(" %02x", bytes[i]);
	note("\n");
	return sd_bus_reply_method_return(call, "");
}

static int on_subscribe(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	(void)userdata, (void)error;
	return sd_bus_reply_method_return(call, "");
}

static int on_inhibit(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *what, *who, *why, *mode;
	int r = sd_bus_message_read(call, "ssss", &what, &who, &why, &mode);
	int fds[2];

	(void)userdata;
	if (r < 0)
		return r;
	note("inhibit %s|%s|%s|%s\n", what, who, why, mode);
	if (!strcmp(what, "denied"))
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "no");
	if (!strcmp(what, "silent"))
		return 1;
	/* Who asks for it is told that the host sleeps and wakes */
	if (!strcmp(what, "nap")) {
		for (int begins = 1; r >= 0 && begins >= 0; begins--)
			r = sd_bus_emit_signal(
				sd_bus_message_get_bus(call), "/org/freedesktop/login1",
				"org.freedesktop.login1.Manager", "PrepareForSleep", "b", begins);
		if (r < 0)
			return r;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = sd_bus_reply_method_return(call, "h", fds[1]);
	/* fds[0] stays open: a holder sees POLLERR when this process goes */
	(void)close(fds[1]);
	return r;
}

static int get_cpus(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	static const uint8_t bytes[] = { 0x05, 0x80 };

	(void)bus, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append_array(reply, 'y', bytes,
					   strstr(path, "empty") ? 0 : sizeof(bytes));
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", "257.13-1~deb13u1");
}

static const sd_bus_vtable systemd_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, 0),
	SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", on_start,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StopUnit", "ss", "o", on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StartUnit", "ss", "o", on_start_unit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ResetFailedUnit", "s", "", on_reset_failed, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("GetUnit", "s", "o", on_get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetUnitProperties", "sba(sv)", "", on_set, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

static const sd_bus_vtable unit_vtable[] = { SD_BUS_VTABLE_START(0),
					     SD_BUS_PROPERTY("AllowedCPUs", "ay", get_cpus, 0, 0),
					     SD_BUS_VTABLE_END };

/* A systemd from before AllowedCPUs */
static const sd_bus_vtable old_vtable[] = { SD_BUS_VTABLE_START(0), SD_BUS_VTABLE_END };

static const sd_bus_vtable state_vtable[] = { SD_BUS_VTABLE_START(0),
					      SD_BUS_PROPERTY("ActiveState", "s", get_state, 0, 0),
					      SD_BUS_VTABLE_END };

static const sd_bus_vtable logind_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Inhibit", "ssss", "h", on_inhibit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("TerminateSession", "s", "", on_terminate, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

static const struct {
	const char *path, *interface;
	const sd_bus_vtable *vtable;
} objects[] = {
	{ "/org/freedesktop/systemd1", MANAGER, systemd_vtable },
	{ "/org/freedesktop/systemd1/unit/system_2eslice", "org.freedesktop.systemd1.Slice",
	  unit_vtable },
	{ "/org/freedesktop/systemd1/unit/init_2escope", "org.freedesktop.systemd1.Scope",
	  unit_vtable },
	{ "/org/freedesktop/systemd1/unit/empty_2eslice", "org.freedesktop.systemd1.Slice",
	  unit_vtable },
	{ "/org/freedesktop/systemd1/unit/old_2eslice", "org.freedesktop.systemd1.Slice",
	  old_vtable },
	{ "/org/freedesktop/systemd1/unit/active", "org.freedesktop.systemd1.Unit", state_vtable },
	{ "/org/freedesktop/systemd1/unit/activating", "org.freedesktop.systemd1.Unit",
	  state_vtable },
	{ "/org/freedesktop/systemd1/unit/reloading", "org.freedesktop.systemd1.Unit",
	  state_vtable },
	{ "/org/freedesktop/systemd1/unit/inactive", "org.freedesktop.systemd1.Unit",
	  state_vtable },
	{ "/org/freedesktop/systemd1/unit/failed", "org.freedesktop.systemd1.Unit", state_vtable },
	{ "/org/freedesktop/login1", "org.freedesktop.login1.Manager", logind_vtable },
};

static void serve(int ready)
{
	sd_bus *bus;
	int r = sd_bus_open_system(&bus);

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(objects); i++)
		r = sd_bus_add_object_vtable(bus, NULL, objects[i].path, objects[i].interface,
					     objects[i].vtable, NULL);
	if (r >= 0)
		r = sd_bus_request_name(bus, "org.freedesktop.systemd1", 0);
	if (r >= 0)
		r = sd_bus_request_name(bus, "org.freedesktop.login1", 0);
	if (r < 0 || write(ready, "1", 1) != 1)
		_exit(3);
	(void)close(ready);
	while (r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	_exit(4);
}

/* --- The private bus ------------------------------------------------------------------------- */

static const char bus_config[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><type>session</type><listen>unix:path=%s/bus</listen>\n"
	"<auth>EXTERNAL</auth><policy context='default'><allow send_destination='*'/>\n"
	"<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>\n";

static void write_config(const char *path)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fprintf(f, bus_config, dir) > 0);
	assert_int_equal(fclose(f), 0);
}

static void die_with_parent(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(5);
}

static void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[256];

	assert_int_equal(poll(&p, 1, LONG_MS), 1);
	assert_true(read(fd, buf, sizeof(buf)) > 0);
	(void)close(fd);
}

static pid_t start_daemon(void)
{
	char path[sizeof(dir) + 16], config[sizeof(dir) + 32];
	pid_t pid, parent = getpid();
	int fds[2];

	(void)snprintf(path, sizeof(path), "%s/config", dir);
	write_config(path);
	(void)snprintf(config, sizeof(config), "--config-file=%s", path);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char print[32];

		die_with_parent(parent);
		/* It complains that it may not raise its fd limit */
		if (!freopen("/dev/null", "we", stderr))
			_exit(126);
		(void)snprintf(print, sizeof(print), "--print-address=%d", fds[1]);
		(void)execl("/usr/bin/dbus-daemon", "dbus-daemon", config, "--nofork", print,
			    (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	await(fds[0]);
	return pid;
}

static pid_t start_service(void)
{
	pid_t pid, parent = getpid();
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		die_with_parent(parent);
		(void)close(fds[0]);
		serve(fds[1]);
	}
	(void)close(fds[1]);
	await(fds[0]);
	return pid;
}

static void stop(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void use_socket(const char *name)
{
	char address[sizeof(dir) + 32];

	(void)snprintf(address, sizeof(address), "unix:path=%s/%s", dir, name);
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1), 0);
}

static int setup_all(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	use_socket("bus");
	daemon_pid = start_daemon();
	service_pid = start_service();
	return 0;
}

static int teardown_all(void **state)
{
	static const char *const names[] = { "asked", "config", "bus", "dead", "mute" };
	char path[sizeof(dir) + 16];

	(void)state;
	stop(service_pid);
	stop(daemon_pid);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

static int setup(void **state)
{
	char path[sizeof(dir) + 16];

	(void)state;
	use_socket("bus");
	(void)snprintf(path, sizeof(path), "%s/asked", dir);
	return unlink(path) < 0 && errno != ENOENT ? -1 : 0;
}

static void assert_asked(const char *expected)
{
	char path[sizeof(dir) + 16], text[2048] = "";
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/asked", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static const char *const argv_hold[] = { "/usr/sbin/usher-nosleep", "hold", "a b", NULL };
static const char *const argv_stop[] = { "/usr/sbin/usher", "recover", NULL };

static void a_cpu_set_becomes_little_endian_bytes_and_comes_back(void **state)
{
	struct cpulist cpus, back;
	uint8_t bytes[SYSBUS_CPUS_MAX];

	(void)state;
	assert_int_equal(cpulist_parse("0,2,15", &cpus), 0);
	assert_int_equal(sysbus_cpus_to_bytes(&cpus, bytes), 2);
	assert_int_equal(bytes[0], 0x05);
	assert_int_equal(bytes[1], 0x80);
	assert_int_equal(sysbus_cpus_from_bytes(bytes, 2, &back), 0);
	assert_true(cpulist_equal(&cpus, &back));
	assert_int_equal(cpulist_parse("16383", &cpus), 0);
	assert_int_equal(sysbus_cpus_to_bytes(&cpus, bytes), SYSBUS_CPUS_MAX);
	assert_int_equal(sysbus_cpus_from_bytes(bytes, SYSBUS_CPUS_MAX, &back), 0);
	assert_true(cpulist_equal(&cpus, &back));
}

static void an_empty_cpu_set_is_no_bytes(void **state)
{
	struct cpulist cpus = { 0 };
	uint8_t bytes[SYSBUS_CPUS_MAX];

	(void)state;
	assert_int_equal(sysbus_cpus_to_bytes(&cpus, bytes), 0);
	cpulist_add(&cpus, 3);
	assert_int_equal(sysbus_cpus_from_bytes(bytes, 0, &cpus), 0);
	assert_true(cpulist_empty(&cpus));
}

static void a_cpu_past_the_limit_is_refused_and_trailing_zeroes_are_not(void **state)
{
	uint8_t bytes[SYSBUS_CPUS_MAX + 2] = { 1 };
	struct cpulist cpus;

	(void)state;
	assert_int_equal(sysbus_cpus_from_bytes(bytes, sizeof(bytes), &cpus), 0);
	assert_int_equal(cpulist_count(&cpus), 1);
	bytes[SYSBUS_CPUS_MAX] = 1;
	assert_int_equal(sysbus_cpus_from_bytes(bytes, sizeof(bytes), &cpus), -ERANGE);
	assert_int_equal(cpulist_count(&cpus), 1);
}

static void an_inhibitor_is_a_descriptor_that_survives_the_call(void **state)
{
	_cleanup_close_ int fd = -1;

	(void)state;
	fd = sysbus_inhibit("sleep:idle", "usher", "guest win11 is running", "block", LONG_MS);
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_asked("inhibit sleep:idle|usher|guest win11 is running|block\n");
}

static void a_refused_inhibitor_is_eacces(void **state)
{
	(void)state;
	assert_int_equal(sysbus_inhibit("denied", "usher", "why", "block", LONG_MS), -EACCES);
}

static void a_logind_that_never_answers_ends_at_the_deadline(void **state)
{
	long long start = now_ms();

	(void)state;
	assert_int_equal(sysbus_inhibit("silent", "usher", "why", "block", SHORT_MS), -ETIMEDOUT);
	assert_true(now_ms() - start >= SHORT_MS);
	assert_true(now_ms() - start < LONG_MS);
}

static enum sysbus_sleep_event await_sleep_event(struct sysbus_sleep *sleep)
{
	struct pollfd p = { .fd = sysbus_sleep_fd(sleep), .events = POLLIN };
	int r;

	while ((r = sysbus_sleep_next(sleep)) == SYSBUS_SLEEP_NONE)
		assert_int_equal(poll(&p, 1, LONG_MS), 1);
	return (enum sysbus_sleep_event)r;
}

static void the_hosts_sleep_is_heard_begin_and_end(void **state)
{
	struct sysbus_sleep *sleep = NULL;
	int fd;

	(void)state;
	assert_int_equal(sysbus_sleep_open(LONG_MS, &sleep), 0);
	assert_int_equal(sysbus_sleep_next(sleep), SYSBUS_SLEEP_NONE);
	fd = sysbus_inhibit("nap", "usher", "why", "block", LONG_MS);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(await_sleep_event(sleep), SYSBUS_SLEEP_BEGINS);
	assert_int_equal(await_sleep_event(sleep), SYSBUS_SLEEP_ENDED);
	assert_int_equal(sysbus_sleep_next(sleep), SYSBUS_SLEEP_NONE);
	sysbus_sleep_close(sleep);
	sysbus_sleep_close(NULL);
}

static void a_bus_that_goes_is_no_longer_listened_to(void **state)
{
	struct sysbus_sleep *sleep = NULL;
	struct pollfd p;
	int r;

	(void)state;
	assert_int_equal(sysbus_sleep_open(LONG_MS, &sleep), 0);
	stop(service_pid);
	stop(daemon_pid);
	p = (struct pollfd){ .fd = sysbus_sleep_fd(sleep), .events = POLLIN };
	while ((r = sysbus_sleep_next(sleep)) == SYSBUS_SLEEP_NONE)
		assert_int_equal(poll(&p, 1, LONG_MS), 1);
	assert_true(r < 0);
	sysbus_sleep_close(sleep);
	daemon_pid = start_daemon();
	service_pid = start_service();
}

static void a_logind_that_is_there_answers(void **state)
{
	(void)state;
	assert_int_equal(sysbus_logind_answers(LONG_MS), 0);
	stop(service_pid);
	assert_int_equal(sysbus_logind_answers(LONG_MS), -EHOSTUNREACH);
	service_pid = start_service();
}

static void systemds_version_is_a_number(void **state)
{
	(void)state;
	assert_int_equal(sysbus_systemd_version(LONG_MS), 257);
}

static void a_missing_bus_is_enoent_for_every_call(void **state)
{
	struct sysbus_sleep *sleep = NULL;
	struct cpulist cpus = { 0 };

	(void)state;
	use_socket("missing");
	assert_int_equal(sysbus_inhibit("sleep", "usher", "why", "block", LONG_MS), -ENOENT);
	assert_int_equal(sysbus_start_service("a.service", "a", argv_hold, NULL, LONG_MS), -ENOENT);
	assert_int_equal(sysbus_sleep_open(LONG_MS, &sleep), -ENOENT);
	assert_int_equal(sysbus_systemd_version(LONG_MS), -ENOENT);
	assert_int_equal(sysbus_logind_answers(LONG_MS), -ENOENT);
	assert_int_equal(sysbus_stop_unit("a.service", LONG_MS), -ENOENT);
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &cpus, LONG_MS), -ENOENT);
	assert_int_equal(sysbus_set_allowed_cpus("system.slice", &cpus, LONG_MS), -ENOENT);
}

static int listener(const char *name, int backlog)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog > 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void a_socket_nobody_listens_on_is_econnrefused(void **state)
{
	_cleanup_close_ int fd = listener("dead", 0);

	(void)state;
	assert_true(fd >= 0);
	use_socket("dead");
	assert_int_equal(sysbus_stop_unit("a.service", LONG_MS), -ECONNREFUSED);
}

static void a_bus_that_accepts_and_stays_silent_ends_at_the_deadline(void **state)
{
	_cleanup_close_ int fd = listener("mute", 5);
	long long start = now_ms();
	struct cpulist cpus;

	(void)state;
	assert_true(fd >= 0);
	use_socket("mute");
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &cpus, SHORT_MS), -ETIMEDOUT);
	assert_true(now_ms() - start < LONG_MS);
}

static void a_service_nobody_provides_is_ehostunreach(void **state)
{
	(void)state;
	stop(service_pid);
	assert_int_equal(sysbus_inhibit("sleep", "usher", "why", "block", LONG_MS), -EHOSTUNREACH);
	service_pid = start_service();
}

static void a_transient_service_carries_its_programs(void **state)
{
	(void)state;
	assert_int_equal(
		sysbus_start_service("ok.service", "what it is", argv_hold, argv_stop, LONG_MS), 0);
	assert_asked("start ok.service fail\n"
		     "Description what it is\n"
		     "Type exec\n"
		     "CollectMode inactive-or-failed\n"
		     "Restart on-abnormal\n"
		     "KillMode process\n"
		     "ExecStart /usr/sbin/usher-nosleep: </usr/sbin/usher-nosleep> <hold> <a b>"
		     " counted\n"
		     "ExecStopPost /usr/sbin/usher: </usr/sbin/usher> <recover> counted\n");
}

static void a_service_without_stop_program_has_no_execstoppost(void **state)
{
	(void)state;
	assert_int_equal(sysbus_start_service("ok.service", "d", argv_hold, NULL, LONG_MS), 0);
	assert_asked("start ok.service fail\n"
		     "Description d\n"
		     "Type exec\n"
		     "CollectMode inactive-or-failed\n"
		     "Restart on-abnormal\n"
		     "KillMode process\n"
		     "ExecStart /usr/sbin/usher-nosleep: </usr/sbin/usher-nosleep> <hold> <a b>"
		     " counted\n");
}

static void how_a_start_ends_is_told_apart(void **state)
{
	static const struct {
		const char *unit;
		int expected;
	} cases[] = {
		{ "early.service", 0 },	       { "exists.service", -EEXIST },
		{ "fails.service", -EIO },     { "cancel.service", -ECANCELED },
		{ "denied.service", -EACCES }, { "jobtimeout.service", -ETIMEDOUT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(sysbus_start_service(cases[i].unit, "d", argv_hold, NULL, LONG_MS),
				 cases[i].expected);
}

static void a_job_that_never_ends_is_given_up_at_the_deadline(void **state)
{
	(void)state;
	assert_int_equal(sysbus_start_service("never.service", "d", argv_hold, NULL, SHORT_MS),
			 -ETIMEDOUT);
	assert_int_equal(sysbus_stop_unit("never.service", SHORT_MS), -ETIMEDOUT);
}

static void stopping_waits_for_the_job_and_a_missing_unit_is_fine(void **state)
{
	(void)state;
	assert_int_equal(sysbus_stop_unit("ok.service", LONG_MS), 0);
	assert_int_equal(sysbus_stop_unit("missing.service", LONG_MS), 0);
	assert_int_equal(sysbus_stop_unit("fails.service", LONG_MS), -EIO);
	assert_asked("stop ok.service replace\n"
		     "stop missing.service replace\n"
		     "stop fails.service replace\n");
}

static void starting_forgets_earlier_failures_first(void **state)
{
	(void)state;
	assert_int_equal(sysbus_start_unit("ok.service", LONG_MS), 0);
	assert_int_equal(sysbus_start_unit("early.service", LONG_MS), 0);
	assert_int_equal(sysbus_start_unit("missing.service", LONG_MS), -ENOENT);
	assert_int_equal(sysbus_start_unit("fails.service", LONG_MS), -EIO);
	assert_int_equal(sysbus_start_unit("shutdown.service", LONG_MS), -ESHUTDOWN);
	assert_int_equal(sysbus_start_unit("never.service", SHORT_MS), -ETIMEDOUT);
	assert_asked("reset failed ok.service\nstart unit ok.service replace\n"
		     "reset failed early.service\nstart unit early.service replace\n"
		     "reset failed missing.service\nstart unit missing.service replace\n"
		     "reset failed fails.service\nstart unit fails.service replace\n"
		     "reset failed shutdown.service\nstart unit shutdown.service replace\n"
		     "reset failed never.service\nstart unit never.service replace\n");
}

static void a_unit_is_active_also_while_it_comes_up(void **state)
{
	(void)state;
	assert_int_equal(sysbus_unit_active("active.service", LONG_MS), 1);
	assert_int_equal(sysbus_unit_active("activating.service", LONG_MS), 1);
	assert_int_equal(sysbus_unit_active("reloading.service", LONG_MS), 1);
	assert_int_equal(sysbus_unit_active("inactive.service", LONG_MS), 0);
	assert_int_equal(sysbus_unit_active("failed.service", LONG_MS), 0);
	assert_int_equal(sysbus_unit_active("missing.service", LONG_MS), 0);
}

static void a_session_that_has_gone_is_as_good_as_ended(void **state)
{
	(void)state;
	assert_int_equal(sysbus_end_session("c2", LONG_MS), 0);
	assert_int_equal(sysbus_end_session("gone", LONG_MS), 0);
	assert_asked("terminate c2\nterminate gone\n");
}

static void allowed_cpus_are_read_from_slices_and_scopes(void **state)
{
	struct cpulist cpus, expected;

	(void)state;
	assert_int_equal(cpulist_parse("0,2,15", &expected), 0);
	assert_int_equal(sysbus_get_allowed_cpus("system.slice", &cpus, LONG_MS), 0);
	assert_true(cpulist_equal(&cpus, &expected));
	assert_int_equal(sysbus_get_allowed_cpus("init.scope", &cpus, LONG_MS), 0);
	assert_true(cpulist_equal(&cpus, &expected));
	assert_int_equal(sysbus_get_allowed_cpus("empty.slice", &cpus, LONG_MS), 0);
	assert_true(cpulist_empty(&cpus));
}

static void a_unit_that_has_no_cpus_is_refused(void **state)
{
	struct cpulist cpus;

	(void)state;
	assert_int_equal(sysbus_get_allowed_cpus("a.socket", &cpus, LONG_MS), -EINVAL);
	assert_int_equal(sysbus_get_allowed_cpus("nosuffix", &cpus, LONG_MS), -EINVAL);
}

static void an_old_systemd_without_the_property_is_eopnotsupp(void **state)
{
	struct cpulist cpus = { 0 };

	(void)state;
	assert_int_equal(sysbus_get_allowed_cpus("old.slice", &cpus, LONG_MS), -EOPNOTSUPP);
	assert_int_equal(sysbus_set_allowed_cpus("old.slice", &cpus, LONG_MS), -EOPNOTSUPP);
}

static void allowed_cpus_are_set_until_the_next_boot(void **state)
{
	struct cpulist cpus;

	(void)state;
	assert_int_equal(cpulist_parse("1,9", &cpus), 0);
	assert_int_equal(sysbus_set_allowed_cpus("system.slice", &cpus, LONG_MS), 0);
	assert_int_equal(cpulist_parse("", &cpus), 0);
	assert_int_equal(sysbus_set_allowed_cpus("user.slice", &cpus, LONG_MS), 0);
	assert_int_equal(sysbus_set_allowed_cpus("missing.slice", &cpus, LONG_MS), -ENOENT);
	assert_asked("set system.slice runtime AllowedCPUs 02 02\n"
		     "set user.slice runtime AllowedCPUs\n");
}

/* --- What of the library fails ------------------------------------------------------------------- */

static int ask_inhibit(void)
{
	_cleanup_close_ int fd = sysbus_inhibit("sleep", "usher", "why", "block", LONG_MS);

	return fd < 0 ? fd : 0;
}

static int ask_logind(void)
{
	return sysbus_logind_answers(LONG_MS);
}

static int ask_sleep(void)
{
	struct sysbus_sleep *sleep = NULL;
	int r = sysbus_sleep_open(LONG_MS, &sleep);

	if (r == 0)
		r = sysbus_sleep_next(sleep);
	sysbus_sleep_close(sleep);
	return r;
}

static int ask_version(void)
{
	return sysbus_systemd_version(LONG_MS);
}

static int ask_service(void)
{
	return sysbus_start_service("early.service", "d", argv_hold, argv_stop, LONG_MS);
}

static int ask_stop(void)
{
	return sysbus_stop_unit("ok.service", LONG_MS);
}

static int ask_start(void)
{
	return sysbus_start_unit("ok.service", LONG_MS);
}

static int ask_active(void)
{
	return sysbus_unit_active("active.service", LONG_MS);
}

static int ask_session(void)
{
	return sysbus_end_session("c2", LONG_MS);
}

static int ask_cpus(void)
{
	struct cpulist cpus;

	return sysbus_get_allowed_cpus("system.slice", &cpus, LONG_MS);
}

static int tell_cpus(void)
{
	struct cpulist cpus;

	assert_int_equal(cpulist_parse("1,9", &cpus), 0);
	return sysbus_set_allowed_cpus("system.slice", &cpus, LONG_MS);
}

/* It is not taken for none: who listens begins anew */
static void a_sleep_that_cannot_be_read_is_an_error(void **state)
{
	struct sysbus_sleep *sleep = NULL;
	struct pollfd p;
	int fd, r = 0;

	(void)state;
	assert_int_equal(sysbus_sleep_open(LONG_MS, &sleep), 0);
	fd = sysbus_inhibit("nap", "usher", "why", "block", LONG_MS);
	assert_true(fd >= 0);
	(void)close(fd);
	p = (struct pollfd){ .fd = sysbus_sleep_fd(sleep), .events = POLLIN };
	unread = true;
	while (r == 0) {
		assert_int_equal(poll(&p, 1, LONG_MS), 1);
		r = sysbus_sleep_next(sleep);
	}
	unread = false;
	assert_int_equal(r, -ENOMEM);
	sysbus_sleep_close(sleep);
}

/* As when memory is short: each call of the library, one after the other */
static void what_the_library_cannot_do_is_an_error(void **state)
{
	static int (*const calls[])(void) = { ask_inhibit, ask_logind, ask_sleep, ask_version,
					      ask_service, ask_stop,   ask_start, ask_active,
					      ask_session, ask_cpus,   tell_cpus };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int good = calls[i](), nr = 0, r;

		assert_true(good >= 0);
		for (int n = 1; n == 1 || failing.nth <= 0; n++) {
			let_fail(1, n, ENOMEM);
			r = calls[i]();
			/* What comes before, and is only to make sure, may fail: nothing is lost by it */
			if (r != good)
				assert_true(r == -ENOMEM || r == -EHOSTUNREACH);
			nr += r != good;
		}
		let_fail(0, 0, 0);
		assert_true(nr > 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cpu_set_becomes_little_endian_bytes_and_comes_back),
		cmocka_unit_test(an_empty_cpu_set_is_no_bytes),
		cmocka_unit_test(a_cpu_past_the_limit_is_refused_and_trailing_zeroes_are_not),
		cmocka_unit_test_setup(a_sleep_that_cannot_be_read_is_an_error, setup),
		cmocka_unit_test_setup(what_the_library_cannot_do_is_an_error, setup),
		cmocka_unit_test_setup(an_inhibitor_is_a_descriptor_that_survives_the_call, setup),
		cmocka_unit_test_setup(a_refused_inhibitor_is_eacces, setup),
		cmocka_unit_test_setup(a_logind_that_never_answers_ends_at_the_deadline, setup),
		cmocka_unit_test_setup(the_hosts_sleep_is_heard_begin_and_end, setup),
		cmocka_unit_test_setup(a_bus_that_goes_is_no_longer_listened_to, setup),
		cmocka_unit_test_setup(a_logind_that_is_there_answers, setup),
		cmocka_unit_test_setup(systemds_version_is_a_number, setup),
		cmocka_unit_test_setup(a_missing_bus_is_enoent_for_every_call, setup),
		cmocka_unit_test_setup(a_socket_nobody_listens_on_is_econnrefused, setup),
		cmocka_unit_test_setup(a_bus_that_accepts_and_stays_silent_ends_at_the_deadline,
				       setup),
		cmocka_unit_test_setup(a_service_nobody_provides_is_ehostunreach, setup),
		cmocka_unit_test_setup(a_transient_service_carries_its_programs, setup),
		cmocka_unit_test_setup(a_service_without_stop_program_has_no_execstoppost, setup),
		cmocka_unit_test_setup(how_a_start_ends_is_told_apart, setup),
		cmocka_unit_test_setup(a_job_that_never_ends_is_given_up_at_the_deadline, setup),
		cmocka_unit_test_setup(stopping_waits_for_the_job_and_a_missing_unit_is_fine,
				       setup),
		cmocka_unit_test_setup(starting_forgets_earlier_failures_first, setup),
		cmocka_unit_test_setup(a_unit_is_active_also_while_it_comes_up, setup),
		cmocka_unit_test_setup(a_session_that_has_gone_is_as_good_as_ended, setup),
		cmocka_unit_test_setup(allowed_cpus_are_read_from_slices_and_scopes, setup),
		cmocka_unit_test_setup(a_unit_that_has_no_cpus_is_refused, setup),
		cmocka_unit_test_setup(an_old_systemd_without_the_property_is_eopnotsupp, setup),
		cmocka_unit_test_setup(allowed_cpus_are_set_until_the_next_boot, setup),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
