/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/seat_host.h - a host with a seat on a tree: GPU, consoles, sessions, display manager
 *
 * The head of a test that includes this names what the linker wraps, in a line behind "wraps:":
 * attr_write sysbus_unit_active sysbus_start_unit sysbus_stop_unit sysbus_end_session
 * process_identify process_alive
 */
#pragma once

#include "tree.h"

#include <getopt.h>
#include <poll.h>
#include <sys/mman.h>

#include "helpers/seat/seat.h"
#include "lib/deadline.h"
#include "lib/process.h"
#include "lib/sysbus.h"

#define UUID	"1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define GPU	"0000:01:00.0"
#define GPU_DIR "sys/bus/pci/devices/" GPU "/"
#define CLAIM	"run/usher/" UUID "/claim.ini"
#define SEAT	"device = " GPU "\n"

#define VTCON_BIND(n) "sys/class/vtconsole/vtcon" #n "/bind"

/* What happened, in order; writes are made by processes of their own */
static struct events {
	char log[4096];
	int write_error; /* every write to an attribute comes to that */
	int hang;	 /* this write does not return before release */
	int writes, release;
	bool lies;	      /* writes are taken, and nothing comes of them */
	bool no_system;	      /* console: vtcon0 is a dummy of a module's, as vtcon1 is */
	bool drops;	      /* a compositor goes when its card's uevent says remove */
	bool stays;	      /* a process that outlives the display manager */
	bool session_ends_it; /* but not its session */
	int start_error, stop_error, active_error, end_error;
} * events;

static struct helper seat_helper = {
	.name = "seat",
	.help = "test",
	.apply_timeout_ms = 1000,
	.undo_timeout_ms = 1000,
	.apply = seat_apply,
	.undo = seat_undo,
	.check = seat_check,
};

static struct tree *host;

static char said[4096];

static inline void write_claim_of(const struct process *owner, const char *seat)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = preparing\n"
		       "owner = %d %llu\nrequired = seat\n[seat]\n%s",
		       (int)owner->pid, owner->start_time, seat);
	tree_file(host, CLAIM, text);
}

static inline void write_claim(const char *seat)
{
	write_claim_of(&(const struct process){ .pid = 812, .start_time = 53321 }, seat);
}

/* Its hook is this process */
static inline void write_claim_of_a_start(const char *seat)
{
	struct process self;

	assert_int_equal(process_identify(-1, getpid(), &self), 0);
	write_claim_of(&self, seat);
}

static inline void event(const char *verb, const char *what, const char *value)
{
	size_t len = strlen(events->log);

	(void)snprintf(events->log + len, sizeof(events->log) - len, "%s %s%s%s\n", verb, what,
		       *value ? " " : "", value);
}

static inline void holder_drops(void)
{
	(void)unlinkat(host->rootfd, "proc/812/fd/9", 0);
}

static inline void holder_goes(void)
{
	holder_drops();
	(void)unlinkat(host->rootfd, "proc/812/fd/10", 0);
	(void)unlinkat(host->rootfd, "proc/900/fd/9", 0);
}

/* Workers close what they do not know, our way into the tree too */
static inline void host_reopen(void)
{
	static pid_t opened_by;

	if (opened_by && opened_by != getpid())
		host->rootfd = root_open(host->dir);
	opened_by = getpid();
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_attr_write(int rootfd, const char *path, const char *val);
int __wrap_sysbus_unit_active(const char *unit, int timeout_ms);
int __wrap_sysbus_start_unit(const char *unit, int timeout_ms);
int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms);
int __wrap_sysbus_end_session(const char *session, int timeout_ms);

int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret);
int __wrap_process_alive(int rootfd, const struct process *process);
int __real_process_identify(int rootfd, pid_t pid, struct process *ret);
int __real_process_alive(int rootfd, const struct process *process);

/* Who writes is a real process: the tree's proc has none of them */
int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret)
{
	_cleanup_close_ int real = root_open("/");

	(void)rootfd;
	return __real_process_identify(real, pid, ret);
}

int __wrap_process_alive(int rootfd, const struct process *process)
{
	_cleanup_close_ int real = root_open("/");

	(void)rootfd;
	return __real_process_alive(real, process);
}

int __wrap_attr_write(int rootfd, const char *path, const char *val)
{
	int nr = __atomic_add_fetch(&events->writes, 1, __ATOMIC_SEQ_CST);

	(void)rootfd;
	host_reopen();
	if (events->write_error)
		return events->write_error;
	if (attr_exists(host->rootfd, path) != 1)
		return -ENOENT;
	while (nr == events->hang && !__atomic_load_n(&events->release, __ATOMIC_SEQ_CST))
		(void)poll(NULL, 0, 2);
	event("write", path, val);
	if (events->lies || (events->no_system && strcmp(path, VTCON_BIND(1)) == 0 && *val == '1'))
		return 0;
	tree_file(host, path, val);
	if (events->no_system && strcmp(path, VTCON_BIND(0)) == 0)
		tree_file(host, VTCON_BIND(1), *val == '0' ? "1" : "0");
	if (strstr(path, "platform/drivers") && strstr(path, "/bind")) {
		char device[256];

		(void)snprintf(device, sizeof(device), "%.*s/%s/uevent",
			       (int)(strrchr(path, '/') - path), path, val);
		tree_file(host, device, "");
	}
	if (events->drops && strstr(path, "/uevent") && strcmp(val, "remove") == 0)
		holder_drops();
	return 0;
}

int __wrap_sysbus_unit_active(const char *unit, int timeout_ms)
{
	assert_true(timeout_ms >= 0);
	return events->active_error ? events->active_error : attr_exists(host->rootfd, unit);
}

int __wrap_sysbus_start_unit(const char *unit, int timeout_ms)
{
	assert_true(timeout_ms >= 0);
	event("start", unit, "");
	if (events->start_error)
		return events->start_error;
	tree_file(host, unit, "");
	return 0;
}

int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms)
{
	assert_true(timeout_ms >= 0);
	event("stop", unit, "");
	if (events->stop_error)
		return events->stop_error;
	(void)unlinkat(host->rootfd, unit, 0);
	if (!events->stays)
		holder_goes();
	return 0;
}

int __wrap_sysbus_end_session(const char *session, int timeout_ms)
{
	assert_true(timeout_ms >= 0);
	event("end", session, "");
	if (events->end_error)
		return events->end_error;
	if (events->session_ends_it)
		holder_goes();
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* A host with a GPU that nothing is shown on */
static inline int setup(void **state)
{
	events = mmap(NULL, sizeof(*events), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (events == MAP_FAILED)
		return -1;
	if (tree_setup(state) < 0)
		return -1;
	host = *state;
	host_reopen();
	(void)umask(022);
	tree_dir(host, "proc");
	tree_file(host, GPU_DIR "class", "0x030000\n");
	tree_file(host, GPU_DIR "boot_vga", "0\n");
	tree_dir(host, GPU_DIR "drm/card0");
	tree_dir(host, GPU_DIR "drm/renderD128");
	tree_file(host, "sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
	tree_file(host, "sys/class/vtconsole/vtcon0/bind", "1\n");
	tree_file(host, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
	tree_file(host, "sys/class/vtconsole/vtcon1/bind", "0\n");
	write_claim("release = auto\n" SEAT);
	return 0;
}

static inline int teardown(void **state)
{
	__atomic_store_n(&events->release, 1, __ATOMIC_SEQ_CST);
	(void)poll(NULL, 0, 10);
	(void)munmap(events, sizeof(*events));
	return tree_teardown(state);
}

#define seat_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#define MANAGER "display-manager.service"

/* @service: by which the user was let in, as PAM calls it */
static inline void add_session_of(const char *service, const char *id, const char *seat,
				  const char *class, const char *type)
{
	char path[128], text[256];

	(void)snprintf(path, sizeof(path), "run/systemd/sessions/%s", id);
	(void)snprintf(text, sizeof(text),
		       "# This is private data. Do not parse.\nUID=1000\nUSER=alice\nACTIVE=1\n"
		       "STATE=active\nTYPE=%s\nCLASS=%s\n%s%s%sSERVICE=%s\n",
		       type, class, *seat ? "SEAT=" : "", seat, *seat ? "\n" : "", service);
	tree_file(host, path, text);
	(void)snprintf(path, sizeof(path), "run/systemd/sessions/%s.ref", id);
	tree_file(host, path, "");
}

static inline void add_session(const char *id, const char *seat, const char *class,
			       const char *type)
{
	add_session_of("gdm-password", id, seat, class, type);
}

/* Return: the exit code; what was written to stderr is in said */
static inline int run(const char *verb)
{
	char claim[256];
	const char *argv[] = { "usher-seat", "--root", host->dir, verb, claim, NULL };
	int err = dup(STDERR_FILENO), r;
	FILE *file = tmpfile();
	size_t len;

	assert_non_null(file);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, host->dir);
	(void)dup2(fileno(file), STDERR_FILENO);
	optind = 0;
	r = helper_dispatch(5, (char **)(uintptr_t)argv, &seat_helper);
	(void)dup2(err, STDERR_FILENO);
	(void)close(err);
	rewind(file);
	len = fread(said, 1, sizeof(said) - 1, file);
	said[len] = '\0';
	(void)fclose(file);
	return r;
}

static inline void assert_refused(const char *line)
{
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_string_equal(said, line);
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_string_equal(said, line);
}

static inline void add_process(const char *open_file)
{
	tree_file(host, "proc/812/comm", "gnome-shell\n");
	tree_link(host, "proc/812/fd/9", open_file);
}

/* With that control group, "/system.slice/lightdm.service" */
static inline void add_named_process(const char *pid, const char *comm, const char *cgroup,
				     const char *open_file)
{
	char path[128], text[256];

	(void)snprintf(path, sizeof(path), "proc/%s/comm", pid);
	(void)snprintf(text, sizeof(text), "%s\n", comm);
	tree_file(host, path, text);
	(void)snprintf(path, sizeof(path), "proc/%s/cgroup", pid);
	(void)snprintf(text, sizeof(text), "0::%s\n", cgroup);
	tree_file(host, path, text);
	(void)snprintf(path, sizeof(path), "proc/%s/fd/9", pid);
	tree_link(host, path, open_file);
}
