/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/trace.h - lines of the kernel's tracer: who ran on a CPU, and for how long */
#pragma once

#include <stdbool.h>

#include "cleanup.h"

enum trace_kind {
	TRACE_SWITCH,	/* sched_switch: name and pid of who runs next */
	TRACE_WAKEUP,	/* sched_wakeup: the pid that may run from now on */
	TRACE_IRQ,	/* irq_handler_entry: the action's name, number the IRQ */
	TRACE_IRQ_END,	/* irq_handler_exit */
	TRACE_TICK,	/* local_timer_entry */
	TRACE_TICK_END, /* local_timer_exit */
	TRACE_CALL,	/* call_function_entry and its like: another CPU asks for something */
	TRACE_CALL_END,
	TRACE_SOFT, /* softirq_entry: its name, "NET_RX" */
	TRACE_SOFT_END,
	TRACE_WORK, /* workqueue_execute_start: the work's function */
};

#define TRACE_NAME_MAX 64

struct trace_event {
	enum trace_kind kind;
	unsigned int cpu;
	unsigned long long ns; /* of the trace's own clock */
	unsigned int pid;      /* who runs at that moment; of a switch: who has run until then */
	char comm[17];
	unsigned int number; /* the pid that runs next or was woken, the IRQ */
	bool runnable;	     /* of a switch: who has run until then would go on */
	char name[TRACE_NAME_MAX];
};

/**
 * trace_parse() - one line of trace_pipe, without its newline
 *
 * "          <idle>-0       [002] d..2.  1234.567890: sched_switch: prev_comm=swapper/2 ..."
 *
 * A command's name may hold anything: the kernel pads it to 16 columns, which is how its end is
 * found. Control bytes in names become '?'.
 *
 * Return: 1 with @ret, 0 for a line of another event or none ("CPU:2 [LOST 12 EVENTS]"), -EBADMSG
 * for one of these events that is not as it must be
 * ABI: kernel/trace/trace_output.c, trace_print_context(); include/trace/events/{sched,irq,
 * workqueue}.h and arch/x86/include/asm/trace/irq_vectors.h
 * Seen on: Linux 6.12.107
 */
int trace_parse(const char *line, struct trace_event *ret) _must_check_;
