/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sysbus.c - what usher asks of systemd and logind over D-Bus, each call with a deadline */

#include "sysbus.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "deadline.h"
#include "text.h"

/*
 * How it works
 *
 * sd_bus_call() waits without a limit while the connection is being made, so every call here is
 * asynchronous and one loop, bus_turn(), waits for whatever comes next until the deadline.
 * JobRemoved is subscribed to before the job is asked for: a job may end before its reply is
 * read. Signals of other jobs are kept with ours and looked up by the job's path.
 */

#define SYSTEMD	     "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MGR  SYSTEMD ".Manager"
#define LOGIND	     "org.freedesktop.login1"
#define LOGIND_PATH  "/org/freedesktop/login1"
#define LOGIND_MGR   LOGIND ".Manager"
#define DBUS_PROPS   "org.freedesktop.DBus.Properties"

static void cleanup_bus(sd_bus **bus)
{
	/* Not flushed: that would wait without a limit on a bus that does not read */
	if (*bus)
		(void)sd_bus_close_unref(*bus);
}

static void cleanup_message(sd_bus_message **message)
{
	(void)sd_bus_message_unref(*message);
}

static void cleanup_slot(sd_bus_slot **slot)
{
	(void)sd_bus_slot_unref(*slot);
}

#define _cleanup_bus_	  _cleanup_(cleanup_bus)
#define _cleanup_message_ _cleanup_(cleanup_message)
#define _cleanup_slot_	  _cleanup_(cleanup_slot)

struct name_errno {
	const char *name;
	int error;
};

static const struct name_errno bus_errors[] = {
	{ SD_BUS_ERROR_SERVICE_UNKNOWN, EHOSTUNREACH },
	{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, EHOSTUNREACH },
	{ "org.freedesktop.DBus.Error.Spawn.ServiceNotFound", EHOSTUNREACH },
	{ "org.freedesktop.DBus.Error.Spawn.ExecFailed", EHOSTUNREACH },
	{ SD_BUS_ERROR_NO_REPLY, ETIMEDOUT },
	{ SD_BUS_ERROR_TIMEOUT, ETIMEDOUT },
	{ SD_BUS_ERROR_UNKNOWN_METHOD, EOPNOTSUPP },
	{ SD_BUS_ERROR_UNKNOWN_OBJECT, EOPNOTSUPP },
	{ SD_BUS_ERROR_UNKNOWN_INTERFACE, EOPNOTSUPP },
	{ SD_BUS_ERROR_UNKNOWN_PROPERTY, EOPNOTSUPP },
	{ SD_BUS_ERROR_PROPERTY_READ_ONLY, EOPNOTSUPP },
	/* What systemd says of a service that the bus asks it to start */
	{ SYSTEMD ".UnitMasked", EHOSTUNREACH },
	{ SYSTEMD ".UnitExists", EEXIST },
	{ SYSTEMD ".NoSuchUnit", ENOENT },
	{ SYSTEMD ".TransactionIsDestructive", ESHUTDOWN },
	{ SYSTEMD ".ShuttingDown", ESHUTDOWN },
	{ LOGIND ".NoSuchSession", ENOENT },
};

static const struct name_errno job_results[] = {
	{ "done", 0 },
	{ "canceled", ECANCELED },
	{ "timeout", ETIMEDOUT },
};

static int name_to_errno(const struct name_errno *table, size_t nr, const char *name, int fallback)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(table[i].name, name))
			return -table[i].error;
	return -fallback;
}

/* A reply that is an error, as -errno */
static int reply_errno(sd_bus_message *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	int fallback;

	if (!error)
		return 0;
	fallback = sd_bus_error_get_errno(error);
	return name_to_errno(bus_errors, ARRAY_SIZE(bus_errors), error->name,
			     fallback > 0 ? fallback : EIO);
}

static int bus_open(sd_bus **ret)
{
	int r = sd_bus_open_system(ret);

	return r < 0 ? r : 0;
}

/* One step: a message dealt with, or a wait for the next. Return: 0, -ETIMEDOUT, else -errno */
static int bus_turn(sd_bus *bus, long long deadline)
{
	int left, r = sd_bus_process(bus, NULL);

	if (r != 0)
		return r < 0 ? r : 0;
	left = deadline_left(deadline);
	if (left == 0)
		return -ETIMEDOUT;
	r = sd_bus_wait(bus, (uint64_t)left * 1000);
	return r < 0 && r != -EINTR ? r : 0;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	sd_bus_message **ret = userdata;

	(void)error;
	*ret = sd_bus_message_ref(reply);
	return 1;
}

static int bus_call(sd_bus *bus, sd_bus_message *call, long long deadline, sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_slot_ sd_bus_slot *slot = NULL;
	/* Ours is the deadline that counts; 0 would mean sd-bus's default */
	uint64_t usec = (uint64_t)deadline_left(deadline) * 1000 + 1000;
	int r = sd_bus_call_async(bus, &slot, call, on_reply, &reply, usec);

	if (r < 0)
		return r;
	while (!reply) {
		r = bus_turn(bus, deadline);
		if (r < 0)
			return r;
	}
	r = reply_errno(reply);
	if (r == 0 && ret)
		*ret = TAKE_PTR(reply);
	return r;
}

int sysbus_inhibit(const char *what, const char *who, const char *why, const char *mode,
		   int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int fd, r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, LOGIND, LOGIND_PATH, LOGIND_MGR, "Inhibit");
	if (r >= 0)
		r = sd_bus_message_append(call, "ssss", what, who, why, mode);
	if (r >= 0)
		r = bus_call(bus, call, deadline, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "h", &fd);
	if (r < 0)
		return r;
	/* The message closes its own copy */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

int sysbus_logind_answers(int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, LOGIND, LOGIND_PATH,
					   "org.freedesktop.DBus.Peer", "Ping");
	if (r >= 0)
		r = bus_call(bus, call, deadline, NULL);
	/* Any other answer than its own is systemd's, which could not start it: of a masked one "the
	 * file exists", an errno of no meaning (Seen on: systemd 257) */
	return r < 0 && r != -ETIMEDOUT ? -EHOSTUNREACH : r;
}

/* --- The host's sleep ---------------------------------------------------------------------------- */

struct sysbus_sleep {
	sd_bus *bus;
	enum sysbus_sleep_event event; /* the last one that has come, not yet handed out */
	int error;		       /* one that has come is lost */
};

static int on_prepare_for_sleep(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct sysbus_sleep *sleep = userdata;
	int begins, r = sd_bus_message_read(signal, "b", &begins);

	(void)error;
	/* What is returned here goes no further */
	if (r < 0)
		sleep->error = r;
	else
		sleep->event = begins ? SYSBUS_SLEEP_BEGINS : SYSBUS_SLEEP_ENDED;
	return 1;
}

void sysbus_sleep_close(struct sysbus_sleep *sleep)
{
	if (!sleep)
		return;
	cleanup_bus(&sleep->bus);
	free(sleep);
}

static void cleanup_sleep(struct sysbus_sleep **sleep)
{
	sysbus_sleep_close(*sleep);
}

int sysbus_sleep_open(int timeout_ms, struct sysbus_sleep **ret)
{
	_cleanup_(cleanup_sleep) struct sysbus_sleep *sleep = calloc(1, sizeof(*sleep));
	_cleanup_message_ sd_bus_message *call = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = sleep ? bus_open(&sleep->bus) : -ENOMEM;

	if (r < 0)
		return r;
	r = sd_bus_match_signal_async(sleep->bus, NULL, LOGIND, LOGIND_PATH, LOGIND_MGR,
				      "PrepareForSleep", on_prepare_for_sleep, NULL, sleep);
	/* The bus answers in order: after this one the match is in force */
	if (r >= 0)
		r = sd_bus_message_new_method_call(sleep->bus, &call, "org.freedesktop.DBus",
						   "/org/freedesktop/DBus", "org.freedesktop.DBus",
						   "GetId");
	if (r >= 0)
		r = bus_call(sleep->bus, call, deadline, NULL);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(sleep);
	return 0;
}

int sysbus_sleep_fd(const struct sysbus_sleep *sleep)
{
	return sd_bus_get_fd(sleep->bus);
}

int sysbus_sleep_next(struct sysbus_sleep *sleep)
{
	enum sysbus_sleep_event event;
	int r = 1;

	while (r > 0 && !sleep->event && sleep->error == 0)
		r = sd_bus_process(sleep->bus, NULL);
	if (r < 0 || sleep->error < 0)
		return r < 0 ? r : sleep->error;
	/* sd-bus deals with the end of the connection as with any other message */
	if (sd_bus_is_open(sleep->bus) <= 0)
		return -ENOTCONN;
	event = sleep->event;
	sleep->event = SYSBUS_SLEEP_NONE;
	return event;
}

/* "257.13-1~deb13u1" */
int sysbus_systemd_version(int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	const char *version;
	unsigned int number = 0;
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, DBUS_PROPS, "Get");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", SYSTEMD_MGR, "Version");
	if (r >= 0)
		r = bus_call(bus, call, deadline, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "v", "s", &version);
	if (r < 0)
		return r;
	while (*version >= '0' && *version <= '9' && number < 100000)
		number = number * 10 + (unsigned int)(*version++ - '0');
	return number ? (int)number : -EBADMSG;
}

/* --- Services ------------------------------------------------------------------------------------ */

/* The jobs that have ended: path, result, path, result, ... */
/* Those that have ended meanwhile, path and result by turns */
struct jobs {
	struct strlist ended;
	int error; /* one of them is lost */
};

/* What is returned here goes no further: sd-bus drops it */
static int on_job_removed(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct jobs *jobs = userdata;
	const char *path, *unit, *result;
	uint32_t id;
	int r = sd_bus_message_read(signal, "uoss", &id, &path, &unit, &result);

	(void)error;
	if (r >= 0)
		r = strlist_add(&jobs->ended, path);
	if (r >= 0)
		r = strlist_add(&jobs->ended, result);
	if (r < 0)
		jobs->error = r;
	return 0;
}

/* Return: 1 with the result, 0 it has not ended, else why that is not known */
static int job_result(const struct jobs *jobs, const char *path, const char **ret)
{
	if (jobs->error < 0)
		return jobs->error;
	for (size_t i = 0; i < jobs->ended.nr; i += 2)
		if (!strcmp(jobs->ended.names[i], path)) {
			*ret = jobs->ended.names[i + 1];
			return 1;
		}
	return 0;
}

static void jobs_free(struct jobs *jobs)
{
	strlist_free(&jobs->ended);
}

/* systemd sends job signals only when somebody has subscribed to them */
static int jobs_subscribe(sd_bus *bus, struct jobs *jobs, long long deadline)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r = sd_bus_match_signal_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
					  "JobRemoved", on_job_removed, NULL, jobs);

	if (r >= 0)
		r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
						   "Subscribe");
	return r < 0 ? r : bus_call(bus, call, deadline, NULL);
}

/* Send a call that answers with a job, and wait until that job is done */
static int job_run(sd_bus *bus, sd_bus_message *call, long long deadline)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_(jobs_free) struct jobs jobs = { 0 };
	const char *path, *result = "";
	int r = jobs_subscribe(bus, &jobs, deadline);

	if (r >= 0)
		r = bus_call(bus, call, deadline, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return r;
	while ((r = job_result(&jobs, path, &result)) == 0) {
		r = bus_turn(bus, deadline);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	return name_to_errno(job_results, ARRAY_SIZE(job_results), result, EIO);
}

static int append_string(sd_bus_message *call, const char *name, const char *value)
{
	return sd_bus_message_append(call, "(sv)", name, "s", value);
}

/* ExecStart and its kin: a(sasb), one command */
static int append_exec(sd_bus_message *call, const char *name, const char *const *argv)
{
	int r = sd_bus_message_open_container(call, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(call, "s", name);
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "a(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'r', "sasb");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "s");
	for (; r >= 0 && *argv; argv++)
		r = sd_bus_message_append(call, "s", *argv);
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	if (r >= 0)
		r = sd_bus_message_append(call, "b", 0);
	for (int depth = 4; r >= 0 && depth > 0; depth--)
		r = sd_bus_message_close_container(call);
	return r;
}

static int append_service(sd_bus_message *call, const char *description, const char *const *argv,
			  const char *const *stop_argv)
{
	int r = sd_bus_message_open_container(call, 'a', "(sv)");

	if (r >= 0)
		r = append_string(call, "Description", description);
	/* The start job is done when execve(2) has worked, not when fork(2) has */
	if (r >= 0)
		r = append_string(call, "Type", "exec");
	if (r >= 0)
		r = append_string(call, "CollectMode", "inactive-or-failed");
	/* SIGTERM is a regular end, and an exit code is an answer */
	if (r >= 0)
		r = append_string(call, "Restart", "on-abnormal");
	/*
	 * What the stop program leaves behind in the kernel finishes by itself: only the two
	 * programs are killed. ABI: systemd.kill(5); by default all of the control group is, when
	 * ExecStopPost has ended
	 */
	if (r >= 0)
		r = append_string(call, "KillMode", "process");
	if (r >= 0)
		r = append_exec(call, "ExecStart", argv);
	if (r >= 0 && stop_argv)
		r = append_exec(call, "ExecStopPost", stop_argv);
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	return r;
}

int sysbus_start_service(const char *unit, const char *description, const char *const *argv,
			 const char *const *stop_argv, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
					   "StartTransientUnit");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", unit, "fail");
	if (r >= 0)
		r = append_service(call, description, argv, stop_argv);
	/* No auxiliary units */
	if (r >= 0)
		r = sd_bus_message_append(call, "a(sa(sv))", 0);
	return r < 0 ? r : job_run(bus, call, deadline);
}

int sysbus_stop_unit(const char *unit, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
					   "StopUnit");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", unit, "replace");
	if (r < 0)
		return r;
	r = job_run(bus, call, deadline);
	/* bus_open() is past, so this is systemd's NoSuchUnit */
	return r == -ENOENT ? 0 : r;
}

/* A unit that is not there, or has not failed, is none of our business here */
static int reset_failed(sd_bus *bus, const char *unit, long long deadline)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
					       "ResetFailedUnit");

	if (r >= 0)
		r = sd_bus_message_append(call, "s", unit);
	if (r >= 0)
		r = bus_call(bus, call, deadline, NULL);
	return r == -ETIMEDOUT ? r : 0;
}

int sysbus_start_unit(const char *unit, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = bus_open(&bus);

	if (r >= 0)
		r = reset_failed(bus, unit, deadline);
	if (r >= 0)
		r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
						   "StartUnit");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", unit, "replace");
	return r < 0 ? r : job_run(bus, call, deadline);
}

static int read_active(sd_bus_message *reply)
{
	const char *state;
	int r = sd_bus_message_enter_container(reply, 'v', "s");

	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &state);
	if (r < 0)
		return r == -ENXIO ? -EOPNOTSUPP : r;
	return strcmp(state, "active") == 0 || strcmp(state, "activating") == 0 ||
	       strcmp(state, "reloading") == 0;
}

/* GetUnit finds what is loaded, by any of its names */
int sysbus_unit_active(const char *unit, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *find = NULL, *found = NULL, *call = NULL, *reply = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	const char *path;
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &find, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
					   "GetUnit");
	if (r >= 0)
		r = sd_bus_message_append(find, "s", unit);
	if (r >= 0)
		r = bus_call(bus, find, deadline, &found);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = sd_bus_message_read(found, "o", &path);
	if (r >= 0)
		r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, path, DBUS_PROPS, "Get");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", SYSTEMD ".Unit", "ActiveState");
	if (r >= 0)
		r = bus_call(bus, call, deadline, &reply);
	return r < 0 ? r : read_active(reply);
}

int sysbus_end_session(const char *session, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, LOGIND, LOGIND_PATH, LOGIND_MGR,
					   "TerminateSession");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", session);
	if (r >= 0)
		r = bus_call(bus, call, deadline, NULL);
	return r == -ENOENT ? 0 : r;
}

static const char *unit_interface(const char *unit)
{
	static const struct {
		const char *suffix, *interface;
	} kinds[] = {
		{ ".slice", SYSTEMD ".Slice" },
		{ ".scope", SYSTEMD ".Scope" },
		{ ".service", SYSTEMD ".Service" },
	};
	const char *dot = strrchr(unit, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(dot, kinds[i].suffix))
			return kinds[i].interface;
	return NULL;
}

static int read_cpus(sd_bus_message *reply, struct cpulist *ret)
{
	const void *bytes;
	size_t size;
	int r = sd_bus_message_enter_container(reply, 'v', "ay");

	if (r >= 0)
		r = sd_bus_message_read_array(reply, 'y', &bytes, &size);
	/* Another type is another systemd than the one whose ABI this is */
	if (r < 0)
		return r == -ENXIO ? -EOPNOTSUPP : r;
	return sysbus_cpus_from_bytes(bytes, size, ret);
}

int sysbus_get_allowed_cpus(const char *unit, struct cpulist *ret, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	const char *interface = unit_interface(unit);
	long long deadline = deadline_in(timeout_ms);
	int r;

	if (!interface)
		return -EINVAL;
	r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
	if (r >= 0)
		r = bus_open(&bus);
	if (r >= 0)
		r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, path, DBUS_PROPS, "Get");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", interface, "AllowedCPUs");
	if (r >= 0)
		r = bus_call(bus, call, deadline, &reply);
	return r < 0 ? r : read_cpus(reply, ret);
}

static int append_cpus(sd_bus_message *call, const struct cpulist *cpus)
{
	uint8_t bytes[SYSBUS_CPUS_MAX];
	size_t size = sysbus_cpus_to_bytes(cpus, bytes);
	int r = sd_bus_message_open_container(call, 'a', "(sv)");

	if (r >= 0)
		r = sd_bus_message_open_container(call, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", "AllowedCPUs");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_append_array(call, 'y', bytes, size);
	for (int depth = 3; r >= 0 && depth > 0; depth--)
		r = sd_bus_message_close_container(call);
	return r;
}

int sysbus_set_allowed_cpus(const char *unit, const struct cpulist *cpus, int timeout_ms)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	long long deadline = deadline_in(timeout_ms);
	int r = bus_open(&bus);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MGR,
					   "SetUnitProperties");
	/* true: until the next boot */
	if (r >= 0)
		r = sd_bus_message_append(call, "sb", unit, 1);
	if (r >= 0)
		r = append_cpus(call, cpus);
	return r < 0 ? r : bus_call(bus, call, deadline, NULL);
}

size_t sysbus_cpus_to_bytes(const struct cpulist *cpus, uint8_t bytes[static SYSBUS_CPUS_MAX])
{
	size_t used = 0;
	int cpu = -1;

	memset(bytes, 0, SYSBUS_CPUS_MAX);
	while ((cpu = cpulist_next(cpus, (unsigned int)(cpu + 1))) >= 0) {
		bytes[cpu / 8] |= (uint8_t)(1U << (cpu % 8));
		used = (size_t)cpu / 8 + 1;
	}
	return used;
}

int sysbus_cpus_from_bytes(const uint8_t *bytes, size_t size, struct cpulist *ret)
{
	struct cpulist cpus = { 0 };

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] && i >= SYSBUS_CPUS_MAX)
			return -ERANGE;
		for (unsigned int bit = 0; bit < 8; bit++)
			if (bytes[i] & (1U << bit))
				cpulist_add(&cpus, (unsigned int)i * 8 + bit);
	}
	*ret = cpus;
	return 0;
}
