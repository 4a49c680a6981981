/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_trace_test.c - lines of the kernel's tracer, as Linux 6.12 writes them */
#include "test/unit/tree.h"

#include "lib/trace.h"

static struct trace_event parsed(const char *line)
{
	struct trace_event event = { .number = 99 };

	assert_int_equal(trace_parse(line, &event), 1);
	return event;
}

static void a_switch_tells_who_runs_next_and_when(void **state)
{
	struct trace_event event = parsed(
		"       CPU 0/KVM-1412    [002] d..2.  1234.567890: sched_switch: prev_comm=CPU "
		"0/KVM "
		"prev_pid=1412 prev_prio=120 prev_state=S ==> next_comm=kworker/2:1 next_pid=77 "
		"next_prio=120");

	(void)state;
	assert_int_equal(event.kind, TRACE_SWITCH);
	assert_int_equal(event.cpu, 2);
	assert_true(event.ns == 1234567890000ULL);
	assert_int_equal(event.pid, 1412);
	assert_string_equal(event.comm, "CPU 0/KVM");
	assert_int_equal(event.number, 77);
	assert_string_equal(event.name, "kworker/2:1");
	assert_false(event.runnable);
}

static void who_would_have_gone_on_is_told_from_who_sleeps(void **state)
{
	static const struct {
		const char *prev_state;
		bool runnable;
	} cases[] = {
		{ "R", true }, { "R+", true }, { "S", false }, { "S+", false }, { "D", false }
	};
	char line[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(line, sizeof(line),
			       "       CPU 0/KVM-1412    [002] d..2.  1234.567890: sched_switch: "
			       "prev_comm==R+ prev_pid=1412 prev_prio=120 prev_state=%s ==> "
			       "next_comm=hog next_pid=77 next_prio=120",
			       cases[i].prev_state);
		assert_int_equal(parsed(line).runnable, cases[i].runnable);
	}
}

static void a_wakeup_tells_who_may_run(void **state)
{
	struct trace_event event = parsed(
		"          <idle>-0       [002] dNh3.   12.500001: sched_wakeup: comm= pid=7 x "
		"pid=1412 prio=120 target_cpu=002");

	(void)state;
	assert_int_equal(event.kind, TRACE_WAKEUP);
	assert_int_equal(event.number, 1412);
	/* As before Linux 6.1 */
	assert_int_equal(parsed("          <idle>-0       [002] dNh3.   12.500001: sched_wakeup: "
				"comm=a pid=7 prio=120 success=1 target_cpu=002")
				 .number,
			 7);
}

static void softirqs_have_their_name(void **state)
{
	struct trace_event event =
		parsed("          <idle>-0       [002] ..s1.   12.500001: softirq_entry: vec=3 "
		       "[action=NET_RX]");

	(void)state;
	assert_int_equal(event.kind, TRACE_SOFT);
	assert_string_equal(event.name, "NET_RX");
	event = parsed("          <idle>-0       [002] ..s1.   12.500001: softirq_exit: vec=3 "
		       "[action=NET_RX]");
	assert_int_equal(event.kind, TRACE_SOFT_END);
}

static void names_may_hold_what_looks_like_the_line_itself(void **state)
{
	struct trace_event event =
		parsed(" a-1 [003] b: c -812     [001] d..2.    10.000001: sched_switch: "
		       "prev_comm=a-1 [003] b: c "
		       "prev_pid=812 prev_prio=120 prev_state=R ==> next_comm= next_pid=1 x "
		       "next_pid=815 next_prio=120");

	(void)state;
	assert_int_equal(event.cpu, 1);
	assert_int_equal(event.number, 815);
	assert_string_equal(event.name, " next_pid=1 x");
}

static void control_bytes_do_not_reach_the_terminal(void **state)
{
	struct trace_event event = parsed(
		"          <idle>-0       [001] d..2.    10.000001: sched_switch: "
		"prev_comm=swapper/1 "
		"prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=a\033[2J\303\244 next_pid=815 "
		"next_prio=120");

	(void)state;
	assert_string_equal(event.name, "a?[2J??");
}

static void interrupts_have_their_number_and_name(void **state)
{
	struct trace_event event = parsed(
		"          <idle>-0       [003] d.h1.   611.213437: irq_handler_entry: irq=24 "
		"name=ahci[0000:00:1f.2]");

	(void)state;
	assert_int_equal(event.kind, TRACE_IRQ);
	assert_int_equal(event.number, 24);
	assert_string_equal(event.name, "ahci[0000:00:1f.2]");
	event = parsed(
		"          <idle>-0       [003] d.h1.   611.213447: irq_handler_exit: irq=24 "
		"ret=handled");
	assert_int_equal(event.kind, TRACE_IRQ_END);
	assert_int_equal(event.number, 24);
	assert_true(event.ns == 611213447000ULL);
}

static void ticks_calls_and_work_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(
		parsed("       CPU 0/KVM-1412    [002] d.h..  12.5: local_timer_entry: vector=236")
			.kind,
		TRACE_TICK);
	assert_int_equal(
		parsed("       CPU 0/KVM-1412    [002] d.h..  12.6: local_timer_exit: vector=236")
			.kind,
		TRACE_TICK_END);
	assert_int_equal(parsed("       CPU 0/KVM-1412    [002] d.h..  12.7: "
				"call_function_single_entry: vector=251")
				 .kind,
			 TRACE_CALL);
	assert_int_equal(
		parsed("       CPU 0/KVM-1412    [002] d.h..  12.8: irq_work_exit: vector=246")
			.kind,
		TRACE_CALL_END);
	assert_string_equal(
		parsed("     kworker/2:1-77      [002] ...1.  12.9: workqueue_execute_start: work "
		       "struct 00000000c5b0f2a1: function vmstat_update")
			.name,
		"vmstat_update");
}

static void fractions_of_a_second_have_six_digits_or_nine(void **state)
{
	(void)state;
	assert_true(parsed("       CPU 0/KVM-1412    [002] d.h..  12.000000007: local_timer_entry: "
			   "vector=236")
			    .ns == 12000000007ULL);
	assert_true(
		parsed("       CPU 0/KVM-1412    [002] d.h..  12.5: local_timer_entry: vector=236")
			.ns == 12500000000ULL);
}

static void other_lines_are_passed_over(void **state)
{
	static const char *const lines[] = {
		"",
		"# tracer: nop",
		"CPU:2 [LOST 12 EVENTS]",
		"##### CPU 3 buffer started ####",
		"          <idle>-0       [003] d.h1.   611.213437: softirq_raise: vec=1 "
		"[action=TIMER]",
		"          <idle>-0       [99999999] d.h1.   611.213437: local_timer_entry: "
		"vector=236",
		"          <idle>-0       [003] d.h1.   611: local_timer_entry: vector=236",
		"          <idle>-0       [003] d.h1.   611.2134379999: local_timer_entry: "
		"vector=236",
	};
	struct trace_event event;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(trace_parse(lines[i], &event), 0);
}

static void a_known_event_that_is_cut_off_is_no_event(void **state)
{
	static const char *const lines[] = {
		"          <idle>-0       [003] d.h1.   611.213437: sched_switch: prev_comm=a",
		"          <idle>-0       [003] d.h1.   611.213437: sched_switch: x ==> "
		"next_comm=b",
		"          <idle>-0       [003] d.h1.   611.213437: sched_switch:  next_pid=1 ==> "
		"next_comm=b",
		"          <idle>-0       [003] d.h1.   611.213437: sched_switch: x ==> "
		"next_comm=b next_pid=1",
		"          <idle>-0       [003] d.h1.   611.213437: irq_handler_entry: name=x",
		"          <idle>-0       [003] d.h1.   611.213437: local_timer_entry: vector=",
		"          <idle>-0       [003] d.h1.   611.213437: sched_wakeup: comm=a",
		"          <idle>-0       [003] d.h1.   611.213437: sched_wakeup: comm=a pid=7",
		"          <idle>-0       [003] d.h1.   611.213437: softirq_exit: vec=3",
		"          <idle>-0       [003] d.h1.   611.213437: workqueue_execute_start: work "
		"struct 1: function ",
	};
	struct trace_event event;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(trace_parse(lines[i], &event), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switch_tells_who_runs_next_and_when),
		cmocka_unit_test(who_would_have_gone_on_is_told_from_who_sleeps),
		cmocka_unit_test(a_wakeup_tells_who_may_run),
		cmocka_unit_test(softirqs_have_their_name),
		cmocka_unit_test(names_may_hold_what_looks_like_the_line_itself),
		cmocka_unit_test(control_bytes_do_not_reach_the_terminal),
		cmocka_unit_test(interrupts_have_their_number_and_name),
		cmocka_unit_test(ticks_calls_and_work_are_told_apart),
		cmocka_unit_test(fractions_of_a_second_have_six_digits_or_nine),
		cmocka_unit_test(other_lines_are_passed_over),
		cmocka_unit_test(a_known_event_that_is_cut_off_is_no_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
