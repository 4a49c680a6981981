/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/noise.h - who ran on a guest's CPUs beside its vCPUs */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/cpulist.h"
#include "../../lib/trace.h"

/* --- noise_count.c: from events to sources ------------------------------------------------------ */

enum noise_kind {
	NOISE_TASK, /* another process or a thread of the kernel */
	NOISE_QEMU, /* a thread of the guest's QEMU that is no vCPU */
	NOISE_WORK, /* work of the kernel, by its function */
	NOISE_IRQ,
	NOISE_SOFT, /* what an interrupt has left to be done after it, by its kind */
	NOISE_TICK,
	NOISE_CALL, /* another CPU has asked for something */
	NR_NOISE_KINDS,
};

struct noise_source {
	enum noise_kind kind;
	char name[TRACE_NAME_MAX];
	unsigned int number; /* the IRQ; of a task the last pid */
	unsigned long long count, total_ns, worst_ns;
};

/* What one CPU is at, seen from the last event */
struct noise_cpu {
	bool known;		   /* who runs there */
	bool noisy;		   /* that is neither a vCPU nor nobody */
	bool open[NR_NOISE_KINDS]; /* an interrupt's entry without its exit */
	enum noise_kind kind;
	char name[TRACE_NAME_MAX];
	unsigned int pid;
	unsigned long long since_ns;
	unsigned long long entry_ns[NR_NOISE_KINDS];
	size_t entry_source[NR_NOISE_KINDS];
};

enum noise_role {
	ROLE_OTHER,
	ROLE_VCPU,
	ROLE_FLOATING, /* a vCPU that may run on other CPUs, too: when it waits is not to be seen */
};

/* A thread of the guest's QEMU */
struct noise_thread {
	unsigned int tid;
	enum noise_role role;
	bool runs;
	bool waits; /* it could run, since then, and does not */
	unsigned long long since_ns;
};

struct noise {
	struct noise_source *sources;
	size_t nr_sources;
	struct noise_cpu *cpus; /* of @set, in ascending order */
	struct cpulist set;
	struct noise_thread *threads;
	size_t nr_threads;
	unsigned long long first_ns, last_ns;
	unsigned long long lost;	  /* events that the kernel had no room for */
	unsigned long long longest_ns;	  /* that a vCPU was kept from running in one piece */
	char longest[TRACE_NAME_MAX + 8]; /* by whom: "irq ahci", "" when it waited for its CPU */
};

void noise_free(struct noise *noise);
#define _cleanup_noise_ _cleanup_(noise_free)

/** noise_init() - Return: 0, -ENOMEM */
int noise_init(struct noise *noise, const struct cpulist *cpus) _must_check_;

/** noise_add_thread() - a thread of the guest's own. Return: 0, -ENOMEM */
int noise_add_thread(struct noise *noise, unsigned int tid, enum noise_role role) _must_check_;

/** noise_line() - count one line of the trace; what is no event of ours is passed over. Return: 0, -ENOMEM */
int noise_line(struct noise *noise, const char *line) _must_check_;

/** noise_end() - close what is still open, and rank: the longest first. Return: 0, -ENOMEM */
int noise_end(struct noise *noise) _must_check_;

/** noise_sum() - how often all sources of one kind came */
unsigned long long noise_sum(const struct noise *noise, enum noise_kind kind);

/** noise_kind_name() - "task" */
const char *noise_kind_name(enum noise_kind kind);

/* How the kernel keeps the guest's CPUs apart from the others */
enum noise_apart {
	APART_NOT,
	APART_WHOLE, /* one balanced partition: QEMU's other threads and helpers are in it */
	APART_ISOLATED,
	NR_NOISE_APARTS,
};

/**
 * noise_cure() - the policy key, XML element or boot option that takes a source away
 * @cpus:	the guest's, as text
 * @others:	the host's
 */
void noise_cure(const struct noise_source *source, const char *cpus, const char *others,
		enum noise_apart apart, char *buf, size_t size);

/* --- noise_trace.c: the kernel's tracer --------------------------------------------------------- */

/* An instance of our own: other users of the tracer are not disturbed */
struct tracer {
	int rootfd;	 /* not ours to close */
	int instancesfd; /* where the instances are */
	int pipefd;
	char name[64];	 /* "usher-noise-PID-STARTTIME", "" when it is not made */
	char path[128];	 /* below the root */
	char line[1024]; /* the beginning of one that is not whole yet */
	size_t len;
	char why[256];
};

#define TRACER_INIT(fd)                                                                            \
	{                                                                                          \
		.rootfd = (fd), .instancesfd = -1, .pipefd = -1                                    \
	}

/**
 * tracer_close() - stop, and take the instance away with all it has recorded
 *
 * Return: 0, else -errno with why: it is still there
 */
int tracer_close(struct tracer *tracer);

/**
 * tracer_open() - sweep the instances of killed ones, and record on these CPUs from now on
 *
 * Return: 0, -ENOENT without tracefs, else -errno; why is filled
 */
int tracer_open(struct tracer *tracer, const struct cpulist *cpus) _must_check_;

/** tracer_drain() - count all that is recorded so far. Return: 0, else -errno with why */
int tracer_drain(struct tracer *tracer, struct noise *noise) _must_check_;

/**
 * tracer_sweep() - take away what a `usher noise` has left that was killed
 *
 * Return: 0 (also without tracefs), else -errno after a line for each that stays
 */
int tracer_sweep(int rootfd) _must_check_;

/** tracer_stop() - record no more. Return: 0, else -errno with why */
int tracer_stop(struct tracer *tracer) _must_check_;
