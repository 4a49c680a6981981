/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/noise_count.c - from events of the trace to what disturbed a guest, ranked */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/units.h"
#include "noise.h"

/*
 * How it works
 *
 * Each CPU is followed: who runs there since when. What is neither a vCPU nor nobody is noise from
 * the moment it is switched to until the moment it is switched away from. A kworker is named by the
 * work it does. Interrupts are timed from entry to exit. What ran already when the recording began
 * is known from the first event: each line names who was interrupted.
 *
 * The longest interruption is the vCPUs', whoever has run meanwhile: a vCPU that could run waits from
 * the switch away from it, or from its wakeup, until it runs again. A wakeup is recorded on the CPU
 * that has put it into the queue: when that is none of the guest's, nobody knows since when it
 * waits, and it counts for nothing. An interrupt in a running vCPU is one by itself.
 */

void noise_free(struct noise *noise)
{
	free(noise->sources);
	free(noise->cpus);
	free(noise->threads);
	*noise = (struct noise){ 0 };
}

int noise_init(struct noise *noise, const struct cpulist *cpus)
{
	noise->set = *cpus;
	noise->cpus = calloc(cpulist_count(cpus) + 1, sizeof(*noise->cpus));
	return noise->cpus ? 0 : -ENOMEM;
}

int noise_add_thread(struct noise *noise, unsigned int tid, enum noise_role role)
{
	struct noise_thread *grown =
		reallocarray(noise->threads, noise->nr_threads + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	noise->threads = grown;
	grown[noise->nr_threads++] = (struct noise_thread){ .tid = tid, .role = role };
	return 0;
}

static struct noise_cpu *find_cpu(struct noise *noise, unsigned int number)
{
	size_t i = 0;

	if (!cpulist_has(&noise->set, number))
		return NULL;
	for (int cpu = cpulist_next(&noise->set, 0); cpu >= 0 && (unsigned int)cpu != number;
	     cpu = cpulist_next(&noise->set, (unsigned int)cpu + 1))
		i++;
	return &noise->cpus[i];
}

/* Return: its index >= 0, -ENOMEM */
static long source_find(struct noise *noise, enum noise_kind kind, const char *name,
			unsigned int number)
{
	struct noise_source *grown;

	for (size_t i = 0; i < noise->nr_sources; i++) {
		struct noise_source *source = &noise->sources[i];

		if (source->kind == kind && strcmp(source->name, name) == 0 &&
		    (kind != NOISE_IRQ || source->number == number)) {
			source->number = number;
			return (long)i;
		}
	}
	grown = reallocarray(noise->sources, noise->nr_sources + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	noise->sources = grown;
	grown[noise->nr_sources] = (struct noise_source){ .kind = kind, .number = number };
	(void)snprintf(grown[noise->nr_sources].name, TRACE_NAME_MAX, "%s", name);
	return (long)noise->nr_sources++;
}

static void source_time(struct noise_source *source, unsigned long long from, unsigned long long to)
{
	unsigned long long ns = to > from ? to - from : 0;

	source->total_ns += ns;
	if (ns > source->worst_ns)
		source->worst_ns = ns;
}

/* --- Who runs --------------------------------------------------------------------------------- */

/* "kworker/2:1" and "ksoftirqd/2" are one for all CPUs */
static void common_name(const char *comm, char name[static TRACE_NAME_MAX])
{
	static const char *const kernel[] = { "kworker/", "ksoftirqd/",	  "migration/",
					      "cpuhp/",	  "rcuc/",	  "rcuop/",
					      "rcuos/",	  "idle_inject/", "irq/" };
	size_t len = strlen(comm);

	for (size_t i = 0; i < ARRAY_SIZE(kernel); i++)
		if (strncmp(comm, kernel[i], strlen(kernel[i])) == 0)
			len = strlen(kernel[i]) - 1;
	/* The name of a threaded interrupt is what tells it from others */
	if (strncmp(comm, "irq/", 4) == 0)
		len = strlen(comm);
	(void)snprintf(name, TRACE_NAME_MAX, "%.*s", (int)len, comm);
}

static struct noise_thread *own_thread(const struct noise *noise, unsigned int tid)
{
	for (size_t i = 0; i < noise->nr_threads; i++)
		if (noise->threads[i].tid == tid)
			return &noise->threads[i];
	return NULL;
}

static bool is_vcpu(const struct noise_thread *own)
{
	return own && own->role != ROLE_OTHER;
}

/* @by: the interrupt, NULL when the vCPU has waited */
static void note_longest(struct noise *noise, unsigned long long from, unsigned long long to,
			 const struct noise_source *by)
{
	if (to <= from || to - from <= noise->longest_ns)
		return;
	noise->longest_ns = to - from;
	if (by)
		(void)snprintf(noise->longest, sizeof(noise->longest), "%s %s",
			       noise_kind_name(by->kind), by->name);
	else
		noise->longest[0] = '\0';
}

static void end_wait(struct noise *noise, struct noise_thread *thread, unsigned long long ns)
{
	if (thread->waits)
		note_longest(noise, thread->since_ns, ns, NULL);
	thread->waits = false;
}

static void begin_wait(struct noise_thread *thread, unsigned long long ns)
{
	thread->waits = true;
	thread->since_ns = ns;
}

/* What has been lost may have been its return */
static void forget_waits(struct noise *noise)
{
	for (size_t i = 0; i < noise->nr_threads; i++)
		noise->threads[i].waits = false;
}

static void vcpu_out(struct noise *noise, const struct trace_event *event)
{
	struct noise_thread *own = own_thread(noise, event->pid);

	if (!own || own->role != ROLE_VCPU)
		return;
	own->runs = false;
	own->waits = false;
	if (event->runnable)
		begin_wait(own, event->ns);
}

static void on_wakeup(struct noise *noise, const struct trace_event *event)
{
	struct noise_thread *own = own_thread(noise, event->number);

	if (own && own->role == ROLE_VCPU && !own->runs && !own->waits)
		begin_wait(own, event->ns);
}

static void task_in(struct noise *noise, struct noise_cpu *cpu, unsigned int pid, const char *comm,
		    unsigned long long ns)
{
	struct noise_thread *own = own_thread(noise, pid);

	if (own) {
		own->runs = true;
		end_wait(noise, own, ns);
	}
	cpu->known = true;
	cpu->noisy = pid != 0 && !is_vcpu(own);
	cpu->kind = own ? NOISE_QEMU : NOISE_TASK;
	cpu->pid = pid;
	cpu->since_ns = ns;
	common_name(comm, cpu->name);
}

static int task_out(struct noise *noise, struct noise_cpu *cpu, unsigned long long ns)
{
	long at;

	if (!cpu->noisy)
		return 0;
	at = source_find(noise, cpu->kind, cpu->name, cpu->pid);
	if (at < 0)
		return (int)at;
	noise->sources[at].count++;
	source_time(&noise->sources[at], cpu->since_ns, ns);
	cpu->noisy = false;
	return 0;
}

static int on_switch(struct noise *noise, struct noise_cpu *cpu, const struct trace_event *event)
{
	int r = task_out(noise, cpu, event->ns);

	vcpu_out(noise, event);
	task_in(noise, cpu, event->number, event->name, event->ns);
	return r;
}

/* The first work that it does names this run of a kworker */
static void on_work(struct noise_cpu *cpu, const struct trace_event *event)
{
	if (!cpu->noisy || cpu->kind != NOISE_TASK || strcmp(cpu->name, "kworker") != 0)
		return;
	cpu->kind = NOISE_WORK;
	(void)snprintf(cpu->name, sizeof(cpu->name), "%s", event->name);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static int on_entry(struct noise *noise, struct noise_cpu *cpu, enum noise_kind kind,
		    const struct trace_event *event)
{
	const char *name = *event->name ? event->name : noise_kind_name(kind);
	long at = source_find(noise, kind, name, event->number);

	if (at < 0)
		return (int)at;
	noise->sources[at].count++;
	cpu->open[kind] = true;
	cpu->entry_ns[kind] = event->ns;
	cpu->entry_source[kind] = (size_t)at;
	return 0;
}

static void on_leave(struct noise *noise, struct noise_cpu *cpu, enum noise_kind kind,
		     const struct trace_event *event)
{
	const struct noise_thread *own = own_thread(noise, cpu->pid);
	struct noise_source *source;

	if (!cpu->open[kind])
		return;
	cpu->open[kind] = false;
	source = &noise->sources[cpu->entry_source[kind]];
	source_time(source, cpu->entry_ns[kind], event->ns);
	if (is_vcpu(own))
		note_longest(noise, cpu->entry_ns[kind], event->ns, source);
}

static int on_event(struct noise *noise, struct noise_cpu *cpu, const struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_SWITCH:
		return on_switch(noise, cpu, event);
	case TRACE_WAKEUP:
		on_wakeup(noise, event);
		return 0;
	case TRACE_WORK:
		on_work(cpu, event);
		return 0;
	case TRACE_IRQ:
		return on_entry(noise, cpu, NOISE_IRQ, event);
	case TRACE_SOFT:
		return on_entry(noise, cpu, NOISE_SOFT, event);
	case TRACE_TICK:
		return on_entry(noise, cpu, NOISE_TICK, event);
	case TRACE_CALL:
		return on_entry(noise, cpu, NOISE_CALL, event);
	case TRACE_IRQ_END:
		on_leave(noise, cpu, NOISE_IRQ, event);
		return 0;
	case TRACE_SOFT_END:
		on_leave(noise, cpu, NOISE_SOFT, event);
		return 0;
	case TRACE_TICK_END:
		on_leave(noise, cpu, NOISE_TICK, event);
		return 0;
	case TRACE_CALL_END:
		on_leave(noise, cpu, NOISE_CALL, event);
		return 0;
	}
	return 0;
}

/* "CPU:2 [LOST 12 EVENTS]" */
static unsigned long long lost_events(const char *line)
{
	const char *mark = strstr(line, " [LOST ");
	unsigned long long lost;
	char digits[24];
	size_t len;

	if (strncmp(line, "CPU:", 4) != 0 || !mark)
		return 0;
	mark += strlen(" [LOST ");
	len = strspn(mark, "0123456789");
	if (len == 0 || len >= sizeof(digits))
		return 0;
	memcpy(digits, mark, len);
	digits[len] = '\0';
	return parse_ull(digits, 10, ULLONG_MAX / 2, &lost) < 0 ? 0 : lost;
}

int noise_line(struct noise *noise, const char *line)
{
	struct trace_event event;
	struct noise_cpu *cpu;

	if (trace_parse(line, &event) <= 0) {
		unsigned long long lost = lost_events(line);

		if (lost)
			forget_waits(noise);
		noise->lost += lost;
		return 0;
	}
	cpu = find_cpu(noise, event.cpu);
	if (!cpu)
		return 0;
	if (noise->first_ns == 0)
		noise->first_ns = event.ns;
	if (event.ns > noise->last_ns)
		noise->last_ns = event.ns;
	if (!cpu->known)
		task_in(noise, cpu, event.pid, event.comm, noise->first_ns);
	return on_event(noise, cpu, &event);
}

/* --- The result ------------------------------------------------------------------------------- */

static int cmp_sources(const void *one, const void *other)
{
	const struct noise_source *a = one, *b = other;

	if (a->total_ns != b->total_ns)
		return a->total_ns < b->total_ns ? 1 : -1;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->name, b->name);
}

int noise_end(struct noise *noise)
{
	size_t nr = cpulist_count(&noise->set);
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i++)
		r = task_out(noise, &noise->cpus[i], noise->last_ns);
	for (size_t i = 0; i < noise->nr_threads; i++)
		end_wait(noise, &noise->threads[i], noise->last_ns);
	if (r == 0 && noise->nr_sources > 0)
		qsort(noise->sources, noise->nr_sources, sizeof(*noise->sources), cmp_sources);
	return r;
}

unsigned long long noise_sum(const struct noise *noise, enum noise_kind kind)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < noise->nr_sources; i++)
		if (noise->sources[i].kind == kind)
			sum += noise->sources[i].count;
	return sum;
}

const char *noise_kind_name(enum noise_kind kind)
{
	static const char *const names[] = {
		[NOISE_TASK] = "task",	  [NOISE_QEMU] = "qemu", [NOISE_WORK] = "work",
		[NOISE_IRQ] = "irq",	  [NOISE_TICK] = "tick", [NOISE_CALL] = "call",
		[NOISE_SOFT] = "softirq",
	};

	return names[kind];
}

/* --- Cures ------------------------------------------------------------------------------------ */

/* In a balanced partition all of the guest is, whatever its pins: only vCPUs one to one leave it out */
#define ONE_TO_ONE "<vcpupin> of each vCPU to one CPU of its own"

/*
 * The first row that fits; "" fits every name. %1$s: the guest's CPUs, %2$s: the others, %3$u: IRQ, pid.
 * What a row does not have is as the one before it.
 */
static const struct {
	enum noise_kind kind;
	const char *name; /* its beginning */
	const char *cures[NR_NOISE_APARTS];
} rows[] = {
	{ NOISE_TICK, "", { "boot with nohz_full=%1$s" } },
	{ NOISE_QEMU,
	  "",
	  { "<emulatorpin cpuset='%2$s'/> and <iothreadpin> in the guest's XML",
	    ONE_TO_ONE " and <emulatorpin cpuset='%2$s'/> in the guest's XML",
	    "<emulatorpin cpuset='%2$s'/> and <iothreadpin> in the guest's XML" } },
	{ NOISE_IRQ,
	  "",
	  { "[cpuset] isolate = yes", "the kernel or its driver keeps IRQ %3$u there: boot with "
				      "isolcpus=domain,managed_irq,%1$s irqaffinity=%2$s" } },
	{ NOISE_SOFT, "TIMER", { "it goes with the tick: boot with nohz_full=%1$s" } },
	{ NOISE_SOFT, "HRTIMER", { "it goes with the tick: boot with nohz_full=%1$s" } },
	{ NOISE_SOFT, "SCHED", { "it goes with the tick: boot with nohz_full=%1$s" } },
	{ NOISE_SOFT, "RCU", { "boot with rcu_nocbs=%1$s" } },
	{ NOISE_SOFT,
	  "",
	  { "it goes with the interrupts: [cpuset] isolate = yes",
	    "no key: it goes with the interrupts and threads that stay" } },
	{ NOISE_CALL,
	  "",
	  { "the host's CPUs ask for it: boot with nohz_full=%1$s rcu_nocbs=%1$s" } },
	{ NOISE_WORK, "vmstat_", { "[cpuset] quiet = yes" } },
	{ NOISE_WORK,
	  "psi_avgs_",
	  { "[cpuset] quiet = yes",
	    "[cpuset] quiet = yes; of the host and its slices it stays: boot with psi=0" } },
	{ NOISE_WORK, "fb_flashcursor", { "[cpuset] quiet = yes" } },
	{ NOISE_WORK, "drm_fb_helper_damage", { "[cpuset] quiet = yes" } },
	{ NOISE_WORK,
	  "",
	  { "[cpuset] isolate = yes, method = partition",
	    "bound to its CPU: boot with nohz_full=%1$s" } },
	{ NOISE_TASK,
	  "vhost-",
	  { "<emulatorpin cpuset='%2$s'/> in the guest's XML",
	    ONE_TO_ONE " and <emulatorpin cpuset='%2$s'/> in the guest's XML",
	    "<emulatorpin cpuset='%2$s'/> in the guest's XML" } },
	{ NOISE_TASK, "rcu_preempt", { "[cpuset] isolate = yes", "usher recover" } },
	{ NOISE_TASK, "rcu_sched", { "[cpuset] isolate = yes", "usher recover" } },
	{ NOISE_TASK, "rcu", { "boot with rcu_nocbs=%1$s" } },
	{ NOISE_TASK, "ksoftirqd", { "it goes with the interrupts" } },
	{ NOISE_TASK, "irq/", { "it goes with its interrupt: boot with irqaffinity=%2$s" } },
	{ NOISE_TASK,
	  "migration",
	  { "[cpuset] quiet = yes", ONE_TO_ONE ": vCPUs that share CPUs are moved between them",
	    "[cpuset] quiet = yes; else none: the kernel's own, when CPUs or tasks are moved" } },
	{ NOISE_TASK, "cpuhp", { "none: the kernel's own, when CPUs come or go" } },
	{ NOISE_TASK,
	  "kworker",
	  { "[cpuset] isolate = yes, method = partition",
	    "bound to its CPU: boot with nohz_full=%1$s" } },
	{ NOISE_TASK,
	  "",
	  { "[cpuset] isolate = yes, method = partition",
	    "it is in the guest's own partition: " ONE_TO_ONE,
	    "somebody has put it there: taskset -cp %2$s %3$u" } },
};

static void put_text(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);

	(void)snprintf(buf + len, size - len, "%s", text);
}

/* A format from a table is no format to the compiler: the three words are put in here */
static void fill_in(const char *format, const char *cpus, const char *others, unsigned int number,
		    char *buf, size_t size)
{
	char digits[16];

	(void)snprintf(digits, sizeof(digits), "%u", number);
	buf[0] = '\0';
	while (*format) {
		char one[2] = { *format, '\0' };

		if (strncmp(format, "%1$s", 4) == 0)
			put_text(buf, size, cpus);
		else if (strncmp(format, "%2$s", 4) == 0)
			put_text(buf, size, others);
		else if (strncmp(format, "%3$u", 4) == 0)
			put_text(buf, size, digits);
		else
			put_text(buf, size, one);
		format += *format == '%' ? 4 : 1;
	}
}

void noise_cure(const struct noise_source *source, const char *cpus, const char *others,
		enum noise_apart apart, char *buf, size_t size)
{
	int have = (int)apart;
	size_t i = 0;

	/* Every kind has a row for any name */
	while (i + 1 < ARRAY_SIZE(rows) &&
	       (rows[i].kind != source->kind ||
		strncmp(source->name, rows[i].name, strlen(rows[i].name)) != 0))
		i++;
	while (!rows[i].cures[have])
		have--;
	fill_in(rows[i].cures[have], cpus, others, source->number, buf, size);
}
