/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_noise_test.c - what disturbed a guest, counted from lines of a trace */
#include "test/unit/tree.h"

#include "helpers/usher/noise.h"

#define VCPU	"       CPU 0/KVM-1412    [002] d..2. "
#define IDLE	"          <idle>-0       [002] d..2. "
#define HOG	"             hog-900     [002] d..2. "
#define KWORKER "     kworker/2:1-77      [002] d..2. "
#define IDLE_3	"          <idle>-0       [003] d..2. "
#define FROM	"sched_switch: prev_comm=x prev_pid=1 prev_prio=120 prev_state=S ==> "
#define TO_VCPU FROM "next_comm=CPU 0/KVM next_pid=1412 next_prio=120"
#define TO_IDLE FROM "next_comm=swapper/2 next_pid=0 next_prio=120"
#define TO_HOG	FROM "next_comm=hog next_pid=900 next_prio=120"
#define TO_QEMU FROM "next_comm=qemu-system-x86 next_pid=1400 next_prio=120"
#define TO_WORK FROM "next_comm=kworker/2:1 next_pid=77 next_prio=120"
/* As FROM, of one that would have gone on */
#define CUT	 "sched_switch: prev_comm=x prev_pid=1 prev_prio=120 prev_state=R+ ==> "
#define CUT_HOG	 CUT "next_comm=hog next_pid=900 next_prio=120"
#define CUT_VCPU CUT "next_comm=CPU 1/KVM next_pid=1413 next_prio=120"
#define WAKE	 "sched_wakeup: comm=CPU 0/KVM pid=1412 prio=120 target_cpu=002"
#define WORK(fn) "workqueue_execute_start: work struct 00000000c5b0f2a1: function " fn
#define IRQ_IN	 "irq_handler_entry: irq=24 name=ahci[0000:00:1f.2]"
#define IRQ_OUT	 "irq_handler_exit: irq=24 ret=handled"

static struct noise noise;

static void count(const char *const *lines)
{
	struct cpulist cpus;

	noise_free(&noise);
	assert_int_equal(cpulist_parse("2-3", &cpus), 0);
	assert_int_equal(noise_init(&noise, &cpus), 0);
	assert_int_equal(noise_add_thread(&noise, 1400, ROLE_OTHER), 0);
	assert_int_equal(noise_add_thread(&noise, 1412, ROLE_VCPU), 0);
	assert_int_equal(noise_add_thread(&noise, 1413, ROLE_VCPU), 0);
	assert_int_equal(noise_add_thread(&noise, 1414, ROLE_FLOATING), 0);
	for (size_t i = 0; lines[i]; i++)
		assert_int_equal(noise_line(&noise, lines[i]), 0);
	assert_int_equal(noise_end(&noise), 0);
}

static void assert_source(size_t i, enum noise_kind kind, const char *name, unsigned int times,
			  unsigned int total_us, unsigned int worst_us)
{
	assert_true(i < noise.nr_sources);
	assert_string_equal(noise.sources[i].name, name);
	assert_int_equal(noise.sources[i].kind, kind);
	assert_int_equal(noise.sources[i].count, times);
	assert_int_equal(noise.sources[i].total_ns / 1000, total_us);
	assert_int_equal(noise.sources[i].worst_ns / 1000, worst_us);
}

static void a_vcpu_and_an_idle_cpu_are_no_noise(void **state)
{
	static const char *const lines[] = { VCPU "10.000000: " TO_IDLE, IDLE "10.000100: " TO_VCPU,
					     VCPU "10.000200: " TO_IDLE, NULL };

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 0);
	assert_int_equal(noise.longest_ns, 0);
}

static void what_runs_in_between_is_counted_and_the_longest_comes_first(void **state)
{
	static const char *const lines[] = {
		VCPU "10.000000: " TO_QEMU,
		VCPU "10.000010: " TO_VCPU,
		VCPU "10.000100: " TO_HOG,
		HOG "10.001100: " TO_VCPU,
		VCPU "10.002000: " TO_HOG,
		HOG "10.002500: " TO_IDLE,
		NULL,
	};

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 2);
	assert_source(0, NOISE_TASK, "hog", 2, 1500, 1000);
	assert_source(1, NOISE_QEMU, "qemu-system-x86", 1, 10, 10);
	assert_int_equal(noise_sum(&noise, NOISE_TASK), 2);
}

static void what_ran_already_is_known_from_who_was_interrupted(void **state)
{
	static const char *const lines[] = {
		IDLE_3 "10.000000: local_timer_entry: vector=236",
		HOG "10.004000: local_timer_entry: vector=236",
		HOG "10.004003: local_timer_exit: vector=236",
		NULL,
	};

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 2);
	assert_source(0, NOISE_TASK, "hog", 1, 4003, 4003);
	assert_source(1, NOISE_TICK, "tick", 2, 3, 3);
}

static void a_kworker_is_named_by_its_work(void **state)
{
	static const char *const lines[] = {
		VCPU "10.000000: " TO_WORK,    KWORKER "10.000001: " WORK("vmstat_update"),
		KWORKER "10.000005: " TO_VCPU, VCPU "10.000100: " TO_WORK,
		KWORKER "10.000101: " TO_VCPU, NULL,
	};

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 2);
	assert_source(0, NOISE_WORK, "vmstat_update", 1, 5, 5);
	assert_source(1, NOISE_TASK, "kworker", 1, 1, 1);
}

static void interrupts_are_timed_from_entry_to_exit(void **state)
{
	static const char *const lines[] = {
		VCPU "10.000000: " IRQ_IN, VCPU "10.000007: " IRQ_OUT, VCPU "10.000100: " IRQ_IN,
		VCPU "10.000102: " IRQ_OUT,
		/* An exit without its entry: the recording began in between */
		IDLE_3 "10.000103: " IRQ_OUT, NULL
	};

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 1);
	assert_source(0, NOISE_IRQ, "ahci[0000:00:1f.2]", 2, 9, 7);
	assert_int_equal(noise.sources[0].number, 24);
}

static void other_cpus_are_none_of_the_guests(void **state)
{
	static const char *const lines[] = {
		"             hog-900     [001] d..2. 10.000000: " TO_HOG,
		"             hog-900     [001] d..2. 10.100000: " TO_IDLE, NULL
	};

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 0);
}

static void lost_events_are_told(void **state)
{
	static const char *const lines[] = { "CPU:2 [LOST 12 EVENTS]", "CPU:3 [LOST 30 EVENTS]",
					     "CPU:3 [LOST EVENTS]", "hog [LOST 9 EVENTS]", NULL };

	(void)state;
	count(lines);
	assert_int_equal(noise.lost, 42);
}

static void assert_longest(unsigned int us, const char *by)
{
	assert_int_equal(noise.longest_ns / 1000, us);
	assert_string_equal(noise.longest, by);
}

/* 6 ms in one piece: 3 of the hog and 3 of QEMU */
static void the_longest_is_from_the_vcpus_end_to_its_return(void **state)
{
	static const char *const lines[] = {
		VCPU "10.000000: " TO_VCPU, VCPU "10.001000: " CUT_HOG, HOG "10.004000: " TO_QEMU,
		" qemu-system-x86-1400    [002] d..2. 10.007000: " TO_VCPU, NULL
	};

	(void)state;
	count(lines);
	assert_source(0, NOISE_TASK, "hog", 1, 3000, 3000);
	assert_source(1, NOISE_QEMU, "qemu-system-x86", 1, 3000, 3000);
	assert_longest(6000, "");
}

/* Whoever ran while it had nothing to do has not interrupted it */
static void a_vcpu_that_sleeps_waits_from_its_wakeup_on(void **state)
{
	static const char *const woken[] = { VCPU "10.000000: " TO_HOG, HOG "10.004000: " WAKE,
					     HOG "10.005000: " TO_QEMU, HOG "10.005500: " WAKE,
					     HOG "10.006000: " TO_VCPU,
					     /* Awake: it goes to sleep after all */
					     VCPU "10.006500: " WAKE, VCPU "10.007000: " TO_HOG,
					     HOG "10.020000: " TO_VCPU, NULL };

	(void)state;
	count(woken);
	assert_longest(2000, "");
}

static void another_vcpu_in_its_place_makes_it_wait_too(void **state)
{
	static const char *const lines[] = {
		VCPU "10.000000: " CUT_VCPU,
		"       CPU 1/KVM-1413    [002] d..2. 10.004000: " TO_VCPU, NULL
	};

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 0);
	assert_longest(4000, "");
}

static void a_vcpu_that_has_not_come_back_waits_until_the_end(void **state)
{
	static const char *const lines[] = { VCPU "10.000000: " CUT_HOG,
					     HOG "10.050000: local_timer_entry: vector=236", NULL };

	(void)state;
	count(lines);
	assert_longest(50000, "");
}

/* It may have run meanwhile, on a CPU that nobody looks at */
static void a_vcpu_that_floats_is_not_known_to_wait(void **state)
{
	static const char *const lines[] = {
		"       CPU 2/KVM-1414    [002] d..2. 10.000000: " CUT_HOG,
		HOG "10.050000: " CUT "next_comm=CPU 2/KVM next_pid=1414 next_prio=120", NULL
	};

	(void)state;
	count(lines);
	assert_source(0, NOISE_TASK, "hog", 1, 50000, 50000);
	assert_longest(0, "");
}

static void where_events_are_lost_nobody_is_known_to_wait(void **state)
{
	static const char *const lines[] = { VCPU "10.000000: " CUT_HOG, "CPU:2 [LOST 12 EVENTS]",
					     HOG "10.050000: " TO_VCPU, NULL };

	(void)state;
	count(lines);
	assert_longest(0, "");
}

static void an_interrupt_of_a_vcpu_that_runs_is_one_by_itself(void **state)
{
	static const char *const lines[] = { VCPU "10.000000: " IRQ_IN, VCPU "10.000007: " IRQ_OUT,
					     /* Not of one that sleeps */
					     IDLE_3 "10.000100: " IRQ_IN,
					     IDLE_3 "10.000200: " IRQ_OUT, NULL };

	(void)state;
	count(lines);
	assert_longest(7, "irq ahci[0000:00:1f.2]");
}

static void what_an_interrupt_leaves_to_do_is_named_by_its_kind(void **state)
{
	static const char *const lines[] = { VCPU "10.000000: softirq_entry: vec=3 [action=NET_RX]",
					     VCPU "10.000040: softirq_exit: vec=3 [action=NET_RX]",
					     VCPU "10.000100: softirq_entry: vec=1 [action=TIMER]",
					     VCPU "10.000101: softirq_exit: vec=1 [action=TIMER]",
					     NULL };

	(void)state;
	count(lines);
	assert_int_equal(noise.nr_sources, 2);
	assert_source(0, NOISE_SOFT, "NET_RX", 1, 40, 40);
	assert_source(1, NOISE_SOFT, "TIMER", 1, 1, 1);
	assert_longest(40, "softirq NET_RX");
}

/* A cure for everything, with the CPUs in it, and others where the CPUs are apart already */
static void each_source_has_its_cure(void **state)
{
	static const struct {
		struct noise_source source;
		enum noise_apart apart;
		const char *cure;
	} cases[] = {
		{ { .kind = NOISE_TICK, .name = "tick" },
		  APART_ISOLATED,
		  "boot with nohz_full=2-3" },
		{ { .kind = NOISE_QEMU, .name = "qemu" },
		  APART_NOT,
		  "<emulatorpin cpuset='0-1'/> and <iothreadpin> in the guest's XML" },
		{ { .kind = NOISE_WORK, .name = "vmstat_update" },
		  APART_ISOLATED,
		  "[cpuset] quiet = yes" },
		{ { .kind = NOISE_WORK, .name = "psi_avgs_work" },
		  APART_ISOLATED,
		  "[cpuset] quiet = yes; of the host and its slices it stays: boot with psi=0" },
		{ { .kind = NOISE_WORK, .name = "psi_avgs_work" },
		  APART_NOT,
		  "[cpuset] quiet = yes" },
		{ { .kind = NOISE_WORK, .name = "fb_flashcursor" },
		  APART_ISOLATED,
		  "[cpuset] quiet = yes" },
		{ { .kind = NOISE_WORK, .name = "drm_fb_helper_damage_work" },
		  APART_ISOLATED,
		  "[cpuset] quiet = yes" },
		{ { .kind = NOISE_WORK, .name = "do_x" },
		  APART_NOT,
		  "[cpuset] isolate = yes, method = partition" },
		{ { .kind = NOISE_WORK, .name = "do_x" },
		  APART_ISOLATED,
		  "bound to its CPU: boot with nohz_full=2-3" },
		{ { .kind = NOISE_TASK, .name = "hog", .number = 900 },
		  APART_NOT,
		  "[cpuset] isolate = yes, method = partition" },
		{ { .kind = NOISE_TASK, .name = "hog", .number = 900 },
		  APART_ISOLATED,
		  "somebody has put it there: taskset -cp 0-1 900" },
		{ { .kind = NOISE_TICK, .name = "tick" }, APART_WHOLE, "boot with nohz_full=2-3" },
		{ { .kind = NOISE_IRQ, .name = "ahci", .number = 24 },
		  APART_WHOLE,
		  "the kernel or its driver keeps IRQ 24 there: boot with "
		  "isolcpus=domain,managed_irq,2-3 irqaffinity=0-1" },
		{ { .kind = NOISE_WORK, .name = "do_x" },
		  APART_WHOLE,
		  "bound to its CPU: boot with nohz_full=2-3" },
		/* These an isolated partition leaves out, and that is what pins one to one get */
		{ { .kind = NOISE_QEMU, .name = "qemu" },
		  APART_WHOLE,
		  "<vcpupin> of each vCPU to one CPU of its own and <emulatorpin cpuset='0-1'/> in "
		  "the guest's XML" },
		{ { .kind = NOISE_QEMU, .name = "qemu" },
		  APART_ISOLATED,
		  "<emulatorpin cpuset='0-1'/> and <iothreadpin> in the guest's XML" },
		{ { .kind = NOISE_TASK, .name = "vhost-1400" },
		  APART_WHOLE,
		  "<vcpupin> of each vCPU to one CPU of its own and <emulatorpin cpuset='0-1'/> in "
		  "the guest's XML" },
		{ { .kind = NOISE_TASK, .name = "virtiofsd", .number = 900 },
		  APART_WHOLE,
		  "it is in the guest's own partition: <vcpupin> of each vCPU to one CPU of its "
		  "own" },
		{ { .kind = NOISE_TASK, .name = "migration" },
		  APART_WHOLE,
		  "<vcpupin> of each vCPU to one CPU of its own: vCPUs that share CPUs are moved "
		  "between them" },
		{ { .kind = NOISE_SOFT, .name = "SCHED" },
		  APART_NOT,
		  "it goes with the tick: boot with nohz_full=2-3" },
		{ { .kind = NOISE_SOFT, .name = "NET_RX" },
		  APART_NOT,
		  "it goes with the interrupts: [cpuset] isolate = yes" },
		{ { .kind = NOISE_SOFT, .name = "NET_RX" },
		  APART_ISOLATED,
		  "no key: it goes with the interrupts and threads that stay" },
		{ { .kind = NOISE_TASK, .name = "rcu_preempt" },
		  APART_ISOLATED,
		  "usher recover" },
		{ { .kind = NOISE_TASK, .name = "rcu_sched" },
		  APART_NOT,
		  "[cpuset] isolate = yes" },
		{ { .kind = NOISE_TASK, .name = "rcuc/2" },
		  APART_ISOLATED,
		  "boot with rcu_nocbs=2-3" },
	};
	char cure[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		noise_cure(&cases[i].source, "2-3", "0-1", cases[i].apart, cure, sizeof(cure));
		assert_string_equal(cure, cases[i].cure);
	}
	for (int kind = 0; kind < NR_NOISE_KINDS; kind++) {
		struct noise_source source = { .kind = (enum noise_kind)kind, .name = "%1$s%" };

		for (int apart = 0; apart < NR_NOISE_APARTS; apart++) {
			noise_cure(&source, "2-3", "0-1", (enum noise_apart)apart, cure,
				   sizeof(cure));
			assert_true(strlen(cure) > 4);
			assert_null(strchr(cure, '%'));
		}
	}
}

static int end(void **state)
{
	(void)state;
	noise_free(&noise);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vcpu_and_an_idle_cpu_are_no_noise),
		cmocka_unit_test(what_runs_in_between_is_counted_and_the_longest_comes_first),
		cmocka_unit_test(what_ran_already_is_known_from_who_was_interrupted),
		cmocka_unit_test(a_kworker_is_named_by_its_work),
		cmocka_unit_test(interrupts_are_timed_from_entry_to_exit),
		cmocka_unit_test(other_cpus_are_none_of_the_guests),
		cmocka_unit_test(lost_events_are_told),
		cmocka_unit_test(the_longest_is_from_the_vcpus_end_to_its_return),
		cmocka_unit_test(a_vcpu_that_sleeps_waits_from_its_wakeup_on),
		cmocka_unit_test(another_vcpu_in_its_place_makes_it_wait_too),
		cmocka_unit_test(a_vcpu_that_has_not_come_back_waits_until_the_end),
		cmocka_unit_test(a_vcpu_that_floats_is_not_known_to_wait),
		cmocka_unit_test(where_events_are_lost_nobody_is_known_to_wait),
		cmocka_unit_test(an_interrupt_of_a_vcpu_that_runs_is_one_by_itself),
		cmocka_unit_test(what_an_interrupt_leaves_to_do_is_named_by_its_kind),
		cmocka_unit_test(each_source_has_its_cure),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
