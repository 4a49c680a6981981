/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/noise_trace.c - a trace of the guest's CPUs, in an instance of its own */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "../../lib/units.h"
#include "noise.h"
#include "usher.h"

/*
 * osnoise and timerlat are left alone: each keeps a thread of its own busy on every CPU that it looks
 * at, and the guest would have to share with it. Since Linux 6.2 they can do without, but their
 * options and CPUs lie beside the instances, and are everybody's who traces.
 *
 * ABI: Documentation/trace/osnoise-tracer.rst, "Running osnoise tracer without workload"
 * ABI: Documentation/trace/ftrace.rst, "Instances"; Documentation/trace/events.rst
 */

#define INSTANCES "sys/kernel/tracing/instances"
#define PREFIX	  "usher-noise-"
/* For each of the guest's CPUs. It is read ten times a second */
#define BUFFER_KIB "4096"

/* Those that the kernel has are switched on */
static const char *const trace_events[] = {
	"sched/sched_switch",
	"sched/sched_wakeup",
	"irq/irq_handler_entry",
	"irq/irq_handler_exit",
	"irq/softirq_entry",
	"irq/softirq_exit",
	"workqueue/workqueue_execute_start",
	"irq_vectors/local_timer_entry",
	"irq_vectors/local_timer_exit",
	"irq_vectors/call_function_entry",
	"irq_vectors/call_function_exit",
	"irq_vectors/call_function_single_entry",
	"irq_vectors/call_function_single_exit",
	"irq_vectors/irq_work_entry",
	"irq_vectors/irq_work_exit",
};

_printf_(3, 4) static int say_why(struct tracer *tracer, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(tracer->why, sizeof(tracer->why), fmt, args);
	va_end(args);
	return error;
}

static int write_file(struct tracer *tracer, const char *file, const char *value)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", tracer->path, file);

	if (r == 0)
		r = attr_write(tracer->rootfd, path, value);
	return r < 0 ? say_why(tracer, r, "cannot write %s to /%s: %s", value, path, strerror(-r))
		     : 0;
}

/* --- Instances -------------------------------------------------------------------------------- */

/* "usher-noise-812-53321". Return: 1 when whoever made it is gone */
static int is_left_over(int rootfd, const char *name)
{
	const char *words, *dash;
	struct process owner;
	unsigned int pid;
	char digits[16];

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	words = name + strlen(PREFIX);
	dash = strchr(words, '-');
	if (!dash || path_format(digits, sizeof(digits), "%.*s", (int)(dash - words), words) < 0 ||
	    parse_uint(digits, 10, INT_MAX, &pid) < 0 ||
	    parse_ull(dash + 1, 10, ULLONG_MAX, &owner.start_time) < 0)
		return 0;
	owner.pid = (pid_t)pid;
	return process_alive(rootfd, &owner) == 0;
}

int tracer_sweep(int rootfd)
{
	_cleanup_close_ int dirfd = attr_open(rootfd, INSTANCES, O_RDONLY | O_DIRECTORY);
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = dirfd < 0 ? dirfd : attr_list(rootfd, INSTANCES, &names), failed = 0;

	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		if (!is_left_over(rootfd, names.names[i]) ||
		    unlinkat(dirfd, names.names[i], AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		failed = -errno;
		usher_say("cannot remove /" INSTANCES "/%s, the trace of a usher noise that was "
			  "killed: %s: see who has it open, by fuser /" INSTANCES "/%s/*, and run "
			  "usher recover when he has ended",
			  names.names[i], strerror(-failed), names.names[i]);
	}
	/* Nobody has traced here */
	if (r == 0 || r == -ENOENT)
		return failed;
	usher_say("cannot look for traces of a usher noise that was killed: %s: see "
		  "ls -l /" INSTANCES,
		  strerror(-r));
	return r;
}

static int make_instance(struct tracer *tracer)
{
	struct process self;
	char name[sizeof(tracer->name)];
	int r = process_identify(tracer->rootfd, getpid(), &self);

	if (r == 0)
		r = path_format(name, sizeof(name), PREFIX "%d-%llu", (int)self.pid,
				self.start_time);
	if (r == 0)
		r = path_format(tracer->path, sizeof(tracer->path), INSTANCES "/%s", name);
	if (r == 0 && mkdirat(tracer->instancesfd, name, 0700) < 0)
		r = -errno;
	if (r < 0)
		return say_why(tracer, r, "cannot make a tracing instance in /" INSTANCES ": %s",
			       strerror(-r));
	memcpy(tracer->name, name, sizeof(name));
	return 0;
}

/* --- What is recorded ------------------------------------------------------------------------- */

/* Hexadecimal words of 32 bits, the highest first: "c" for CPUs 2-3 */
static int mask_format(const struct cpulist *cpus, char *buf, size_t size)
{
	unsigned int last = 0, nr_words;
	size_t len = 0;

	for (int cpu = cpulist_next(cpus, 0); cpu >= 0; cpu = cpulist_next(cpus, last + 1))
		last = (unsigned int)cpu;
	nr_words = last / 32 + 1;
	for (unsigned int word = nr_words; word-- > 0;) {
		unsigned int bits = 0;
		int n;

		for (unsigned int bit = 0; bit < 32; bit++)
			bits |= (unsigned int)cpulist_has(cpus, word * 32 + bit) << bit;
		n = snprintf(buf + len, size - len, "%08x%s", bits, word ? "," : "");
		if (n < 0 || (size_t)n >= size - len)
			return -ENAMETOOLONG;
		len += (size_t)n;
	}
	return 0;
}

/* Less will do where there is no room for more; lost events are counted */
static void set_buffers(struct tracer *tracer, const struct cpulist *cpus)
{
	for (int cpu = cpulist_next(cpus, 0); cpu >= 0;
	     cpu = cpulist_next(cpus, (unsigned int)cpu + 1)) {
		char file[64];

		if (path_format(file, sizeof(file), "per_cpu/cpu%d/buffer_size_kb", cpu) == 0 &&
		    write_file(tracer, file, BUFFER_KIB) < 0)
			return;
	}
}

static int switch_on(struct tracer *tracer, const struct cpulist *cpus)
{
	char mask[CPULIST_MAX / 32 * 9 + 1], file[128];
	int r = mask_format(cpus, mask, sizeof(mask));

	if (r == 0)
		r = write_file(tracer, "tracing_cpumask", mask);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(trace_events); i++) {
		r = path_format(file, sizeof(file), "events/%s/enable", trace_events[i]);
		if (r == 0)
			r = write_file(tracer, file, "1");
		/* Not on every processor */
		r = r == -ENOENT && i > 0 ? 0 : r;
	}
	return r;
}

static int open_pipe(struct tracer *tracer)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/trace_pipe", tracer->path);

	if (r == 0)
		r = attr_open(tracer->rootfd, path, O_RDONLY | O_NONBLOCK);
	if (r < 0)
		return say_why(tracer, r, "cannot open /%s: %s", path, strerror(-r));
	tracer->pipefd = r;
	return 0;
}

int tracer_open(struct tracer *tracer, const struct cpulist *cpus)
{
	int r = attr_open(tracer->rootfd, INSTANCES, O_RDONLY | O_DIRECTORY);

	if (r == -ENOENT)
		return say_why(tracer, r,
			       "tracefs is not mounted: mount -t tracefs "
			       "tracefs /sys/kernel/tracing");
	if (r < 0)
		return say_why(tracer, r, "cannot open /" INSTANCES ": %s: it is root's to use",
			       strerror(-r));
	tracer->instancesfd = r;
	/* What stays of another one, and is said, is none of this one's */
	(void)!tracer_sweep(tracer->rootfd);
	r = make_instance(tracer);
	if (r < 0)
		return r;
	set_buffers(tracer, cpus);
	r = open_pipe(tracer);
	return r < 0 ? r : switch_on(tracer, cpus);
}

int tracer_stop(struct tracer *tracer)
{
	return write_file(tracer, "tracing_on", "0");
}

int tracer_close(struct tracer *tracer)
{
	int r = 0;

	cleanup_close(&tracer->pipefd);
	tracer->pipefd = -1;
	if (*tracer->name && unlinkat(tracer->instancesfd, tracer->name, AT_REMOVEDIR) < 0)
		r = say_why(tracer, -errno, "cannot remove /%s: %s", tracer->path, strerror(errno));
	cleanup_close(&tracer->instancesfd);
	tracer->instancesfd = -1;
	tracer->name[0] = '\0';
	return r;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* What is longer than any line of ours is cut, and so is what holds a NUL: no event then */
static int take_bytes(struct tracer *tracer, const char *bytes, size_t nr, struct noise *noise)
{
	for (size_t i = 0; i < nr; i++) {
		int r;

		if (bytes[i] != '\n') {
			if (tracer->len + 1 < sizeof(tracer->line))
				tracer->line[tracer->len++] = bytes[i];
			continue;
		}
		tracer->line[tracer->len] = '\0';
		tracer->len = 0;
		r = noise_line(noise, tracer->line);
		if (r < 0)
			return say_why(tracer, r, "%s", strerror(-r));
	}
	return 0;
}

/* A trace that grows faster than it is read must not hold us for ever */
#define READS_MAX 4096

int tracer_drain(struct tracer *tracer, struct noise *noise)
{
	char buf[16384];

	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t n = read(tracer->pipefd, buf, sizeof(buf));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == EAGAIN))
			return 0;
		if (n < 0)
			return say_why(tracer, -errno, "cannot read the trace: %s",
				       strerror(errno));
		r = take_bytes(tracer, buf, (size_t)n, noise);
		if (r < 0)
			return r;
	}
	return 0;
}
