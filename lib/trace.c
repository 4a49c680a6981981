/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/trace.c - lines of the kernel's tracer: who ran on a CPU, and for how long */
#include "trace.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cpulist.h"

/* Width of the field with the command's name */
#define COMM_WIDTH 16

/* Digits at *@p, which moves past them. Return: 0, -EBADMSG for none or too many */
static int take_number(const char **p, unsigned long long max, unsigned long long *ret)
{
	const char *digit = *p;
	unsigned long long value = 0;

	for (; *digit >= '0' && *digit <= '9'; digit++) {
		value = value * 10 + (unsigned int)(*digit - '0');
		if (value > max)
			return -EBADMSG;
	}
	if (digit == *p)
		return -EBADMSG;
	*p = digit;
	*ret = value;
	return 0;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " ");
}

/* Return: 0 with *@p after it, -EBADMSG */
static int take_text(const char **p, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*p, text, len) != 0)
		return -EBADMSG;
	*p += len;
	return 0;
}

/* "1234.567890:", six digits of a second, or nine */
static int take_time(const char **p, unsigned long long *ret_ns)
{
	unsigned long long seconds, fraction, scale = 1000000000;
	const char *begin;

	if (take_number(p, ULLONG_MAX / 2000000000, &seconds) < 0 || take_text(p, ".") < 0)
		return -EBADMSG;
	begin = *p;
	if (take_number(p, 999999999, &fraction) < 0 || take_text(p, ":") < 0)
		return -EBADMSG;
	for (const char *digit = begin; digit < *p - 1; digit++)
		scale /= 10;
	if (scale == 0)
		return -EBADMSG;
	*ret_ns = seconds * 1000000000 + fraction * scale;
	return 0;
}

/* @ret has room for @len bytes and the NUL */
static void copy_printable(char *ret, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)from[i];

		ret[i] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
	}
	ret[len] = '\0';
}

/* It stands at the right of its field */
static void set_comm(struct trace_event *event, const char *line)
{
	size_t blanks = strspn(line, " ");

	if (blanks < COMM_WIDTH)
		copy_printable(event->comm, line + blanks, COMM_WIDTH - blanks);
}

/* "COMM-PID [CPU] FLAGS TIME: ". Return: what follows it, NULL when the line is none of an event */
static const char *take_head(const char *line, struct trace_event *event)
{
	unsigned long long pid, cpu;
	const char *p = line + COMM_WIDTH;

	if (strnlen(line, COMM_WIDTH) < COMM_WIDTH || take_text(&p, "-") < 0 ||
	    take_number(&p, INT_MAX, &pid) < 0)
		return NULL;
	p = skip_blanks(p);
	if (take_text(&p, "[") < 0 || take_number(&p, CPULIST_MAX - 1, &cpu) < 0 ||
	    take_text(&p, "]") < 0)
		return NULL;
	p = skip_blanks(p);
	p = skip_blanks(p + strcspn(p, " "));
	if (take_time(&p, &event->ns) < 0)
		return NULL;
	event->cpu = (unsigned int)cpu;
	event->pid = (unsigned int)pid;
	set_comm(event, line);
	return skip_blanks(p);
}

static void set_name(struct trace_event *event, const char *from, size_t len)
{
	copy_printable(event->name, from, len < TRACE_NAME_MAX ? len : TRACE_NAME_MAX - 1);
}

/* The last place in @text where @what stands */
static const char *find_last(const char *text, const char *what)
{
	const char *found = NULL;

	for (const char *p = text; (p = strstr(p, what)); p++)
		found = p;
	return found;
}

static bool ends_in(const char *text, const char *end, const char *what)
{
	size_t len = strlen(what);

	return (size_t)(end - text) >= len && memcmp(end - len, what, len) == 0;
}

/* "prev_comm=... ==> next_comm=CPU 0/KVM next_pid=812 next_prio=120" */
static int parse_switch(const char *text, struct trace_event *event)
{
	const char *name = strstr(text, " ==> next_comm="), *pid = find_last(text, " next_pid=");
	unsigned long long number;

	if (!name || !pid)
		return -EBADMSG;
	/* "prev_state=R+" of one that was preempted */
	event->runnable = ends_in(text, name, "=R") || ends_in(text, name, "=R+");
	name += strlen(" ==> next_comm=");
	if (pid < name)
		return -EBADMSG;
	set_name(event, name, (size_t)(pid - name));
	pid += strlen(" next_pid=");
	if (take_number(&pid, INT_MAX, &number) < 0 || take_text(&pid, " next_prio=") < 0)
		return -EBADMSG;
	event->number = (unsigned int)number;
	return 0;
}

/* "comm=CPU 0/KVM pid=812 prio=120 target_cpu=002" */
static int parse_wakeup(const char *text, struct trace_event *event)
{
	const char *pid = find_last(text, " pid=");
	unsigned long long number;

	if (!pid)
		return -EBADMSG;
	pid += strlen(" pid=");
	if (take_number(&pid, INT_MAX, &number) < 0 || take_text(&pid, " prio=") < 0)
		return -EBADMSG;
	event->number = (unsigned int)number;
	return 0;
}

/* "irq=24 name=ahci[0000:00:1f.2]"; the exit has the number alone */
static int parse_irq(const char *text, struct trace_event *event)
{
	unsigned long long number;

	if (take_text(&text, "irq=") < 0 || take_number(&text, INT_MAX, &number) < 0)
		return -EBADMSG;
	event->number = (unsigned int)number;
	if (take_text(&text, " name=") == 0)
		set_name(event, text, strlen(text));
	return 0;
}

/* "vec=3 [action=NET_RX]" */
static int parse_softirq(const char *text, struct trace_event *event)
{
	unsigned long long number;

	if (take_text(&text, "vec=") < 0 || take_number(&text, INT_MAX, &number) < 0 ||
	    take_text(&text, " [action=") < 0)
		return -EBADMSG;
	event->number = (unsigned int)number;
	set_name(event, text, strcspn(text, "]"));
	return 0;
}

/* "vector=236" */
static int parse_vector(const char *text, struct trace_event *event)
{
	unsigned long long number;

	if (take_text(&text, "vector=") < 0 || take_number(&text, INT_MAX, &number) < 0)
		return -EBADMSG;
	event->number = (unsigned int)number;
	return 0;
}

/* "work struct 00000000c5b0f2a1: function vmstat_update" */
static int parse_work(const char *text, struct trace_event *event)
{
	const char *name = strstr(text, ": function ");

	if (!name || !name[strlen(": function ")])
		return -EBADMSG;
	name += strlen(": function ");
	set_name(event, name, strcspn(name, " "));
	return 0;
}

static const struct {
	const char *name;
	enum trace_kind kind;
	int (*parse)(const char *text, struct trace_event *event);
} events[] = {
	{ "sched_switch: ", TRACE_SWITCH, parse_switch },
	{ "sched_wakeup: ", TRACE_WAKEUP, parse_wakeup },
	{ "softirq_entry: ", TRACE_SOFT, parse_softirq },
	{ "softirq_exit: ", TRACE_SOFT_END, parse_softirq },
	{ "irq_handler_entry: ", TRACE_IRQ, parse_irq },
	{ "irq_handler_exit: ", TRACE_IRQ_END, parse_irq },
	{ "local_timer_entry: ", TRACE_TICK, parse_vector },
	{ "local_timer_exit: ", TRACE_TICK_END, parse_vector },
	{ "call_function_entry: ", TRACE_CALL, parse_vector },
	{ "call_function_exit: ", TRACE_CALL_END, parse_vector },
	{ "call_function_single_entry: ", TRACE_CALL, parse_vector },
	{ "call_function_single_exit: ", TRACE_CALL_END, parse_vector },
	{ "irq_work_entry: ", TRACE_CALL, parse_vector },
	{ "irq_work_exit: ", TRACE_CALL_END, parse_vector },
	{ "workqueue_execute_start: ", TRACE_WORK, parse_work },
};

int trace_parse(const char *line, struct trace_event *ret)
{
	struct trace_event event = { 0 };
	const char *text = take_head(line, &event);

	if (!text)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		const char *rest = text;
		int r;

		if (take_text(&rest, events[i].name) < 0)
			continue;
		event.kind = events[i].kind;
		r = events[i].parse(rest, &event);
		if (r < 0)
			return r;
		*ret = event;
		return 1;
	}
	return 0;
}
