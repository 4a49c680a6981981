/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/cpuset_speed_test.c - governor, energy preference, wake latency, class of the threads
 *
 * wraps: attr_write sysbus_get_allowed_cpus sysbus_set_allowed_cpus
 * wraps: journal_add journal_remove baseline_keep baseline_renew baseline_forget
 * wraps: hierarchy_is_ours sched_of sched_set aside_run
 */
#include "lib/sched.h"

#include <sched.h>

#include "test/unit/cpuset_kernel.h"

#define SECTION_A "method = partition\ncpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n"
#define SECTION_B "method = partition\ncpus = 5\nvcpu = 0 5\n"
#define WISHES	  "governor = performance\nenergy_preference = performance\nwake_latency_us = 50\n"
#define CPU	  "sys/devices/system/cpu"

static const char *const vcpus_a[] = { "2", "3", NULL };
static const char *const vcpus_b[] = { "5", NULL };

/* Two threads of the emulator's group */
static struct sched classes[2];
static bool real_root;
static int sched_error;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx);
int __wrap_hierarchy_is_ours(const struct helper_ctx *ctx)
{
	(void)ctx;
	return real_root;
}

static int nr_asides;
/* Before this one the console says something else, 0: never */
static int changes_at;
static void console_says(const char *text);

int __real_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	if (++nr_asides == changes_at)
		console_says("0");
	return __real_aside_run(rootfd, run, shared, step_ms);
}

int __wrap_sched_of(pid_t tid, struct sched *ret);
int __wrap_sched_of(pid_t tid, struct sched *ret)
{
	assert_in_range(tid, PID_A, PID_A + 1);
	*ret = classes[tid - PID_A];
	return 0;
}

int __wrap_sched_set(pid_t tid, const struct sched *sched);
int __wrap_sched_set(pid_t tid, const struct sched *sched)
{
	if (sched_error)
		return -sched_error;
	classes[tid - PID_A] = *sched;
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* CPUs 2 and 5 run by one cpufreq policy, each other by its own */
static void make_cpufreq(struct tree *tree)
{
	for (int cpu = 0; cpu < 8; cpu++) {
		char from[64], to[64];

		fmt(from, CPU "/cpu%d/cpufreq", cpu);
		fmt(to, "../cpufreq/policy%d", cpu == 5 ? 2 : cpu);
		put("0", CPU "/cpu%d/power/pm_qos_resume_latency_us", cpu);
		tree_link(tree, from, to);
		if (cpu == 5)
			continue;
		put("powersave", CPU "/cpufreq/policy%d/scaling_governor", cpu);
		put("balance_performance", CPU "/cpufreq/policy%d/energy_performance_preference",
		    cpu);
	}
}

static void host_with_speeds(void **state)
{
	real_root = false;
	sched_error = 0;
	make_host(*state, true);
	make_cpufreq(*state);
	make_guest(SCOPE_A, PID_A, vcpus_a, "0-1");
	make_claim(UUID_A, PID_A, "running", SECTION_A WISHES);
	make_guest(SCOPE_B, PID_B, vcpus_b, "0-1");
	make_claim(UUID_B, PID_B, "running", SECTION_B "governor = schedutil\n");
}

static const char *governor(int cpu)
{
	return get(CPU "/cpu%d/cpufreq/scaling_governor", cpu);
}

static const char *energy(int cpu)
{
	return get(CPU "/cpu%d/cpufreq/energy_performance_preference", cpu);
}

static const char *latency(int cpu)
{
	return get(CPU "/cpu%d/power/pm_qos_resume_latency_us", cpu);
}

static void assert_speeds(int cpu, const char *want_governor, const char *want_energy,
			  const char *want_latency)
{
	assert_string_equal(governor(cpu), want_governor);
	assert_string_equal(energy(cpu), want_energy);
	assert_string_equal(latency(cpu), want_latency);
}

static void assert_back(void)
{
	for (int cpu = 0; cpu < 8; cpu++)
		assert_speeds(cpu, "powersave", "balance_performance", "0");
	assert_no_state();
}

static void the_guests_cpus_run_as_the_policy_wants_and_then_as_before(void **state)
{
	host_with_speeds(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_speeds(2, "performance", "performance", "50");
	assert_speeds(3, "performance", "performance", "50");
	assert_speeds(1, "powersave", "balance_performance", "0");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

static void a_guest_with_nothing_but_its_pins_has_its_speed_too(void **state)
{
	host_with_speeds(state);
	put("", CG "/cpuset/cpuset.cpus");
	put("cpu io", CG "/cgroup.controllers");
	make_claim(UUID_A, PID_A, "running", "cpus = 2-3\nvcpu = 0 2\nvcpu = 1 3\n" WISHES);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("others may run there: the cpuset controller is on cgroup v1");
	assert_speeds(2, "performance", "performance", "50");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

/* The speed in the journal does not make the next apply forget the host */
static void a_guest_that_would_leave_no_core_has_its_speed_and_no_more(void **state)
{
	host_with_speeds(state);
	put("0-1", "sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
	make_claim(UUID_A, PID_A, "running", "cpus = 1-7\nvcpu = 0 1-7\n" WISHES);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_said("others may run there: with CPUs 1-7 for this guest no whole core");
		assert_speeds(2, "performance", "performance", "50");
	}
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

static void without_wishes_nothing_is_touched(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	for (int cpu = 0; cpu < 8; cpu++)
		assert_speeds(cpu, "powersave", "balance_performance", "0");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_back();
}

#define STAT "proc/sys/vm/stat_interval"
#define RARE "stat_interval = 60\n"

/* "1" before the first guest and after the last, @meanwhile from then to then */
static void assert_lasts_as_long_as_any_guest(const char *file, const char *meanwhile,
					      const char *section_a, const char *section_b)
{
	put("1", "%s", file);
	make_claim(UUID_A, PID_A, "running", section_a);
	make_claim(UUID_B, PID_B, "running", section_b);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get("%s", file), meanwhile);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get("%s", file), meanwhile);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_silent();
	assert_string_equal(get("%s", file), "1");
	assert_back();
}

static void the_kernel_counts_memory_rarely_as_long_as_any_guest_is_there(void **state)
{
	host_with_speeds(state);
	assert_lasts_as_long_as_any_guest(STAT, "60", SECTION_A RARE, SECTION_B RARE);
}

static void a_kernel_that_says_yes_once_and_does_no_is_asked_again(void **state)
{
	host_with_speeds(state);
	put("1", STAT);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	host.lie = STAT;
	host.lie_once = true;
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	host.lie_once = false;
	assert_null(host.lie);
	assert_silent();
	assert_string_equal(get(STAT), "1");
	assert_back();
}

#define CURSOR "sys/class/graphics/fbcon/cursor_blink"
#define STILL  "cursor_blink = 0\n"

static void console_says(const char *text)
{
	put(text, CURSOR);
}

static void the_cursor_is_still_as_long_as_any_guest_is_there(void **state)
{
	host_with_speeds(state);
	assert_lasts_as_long_as_any_guest(CURSOR, "0", SECTION_A STILL, SECTION_B STILL);
}

/* A desktop on the screen, none at all, and a kernel without */
static void a_console_without_a_cursor_that_blinks_is_left_alone(void **state)
{
	static const char *const says[] = { "0", "-1", NULL };

	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A STILL);
	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		if (says[i])
			put(says[i], CURSOR);
		else
			assert_int_equal(unlinkat(host.tree->rootfd, CURSOR, 0), 0);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(CURSOR), says[i] ?: "");
		assert_back();
	}
}

/* Somebody has the console's lock, and the next blink is not due: that is not what it was */
static void a_cursor_that_rests_for_a_moment_blinks_after_the_guest(void **state)
{
	int looks;

	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A STILL);
	put("1", CURSOR);
	nr_asides = 0;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	looks = nr_asides;
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	for (int at = 1; at <= looks; at++) {
		put("1", CURSOR);
		nr_asides = 0;
		changes_at = at;
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		changes_at = 0;
		/* It is drawn again, unless it has been told not to blink */
		if (!strstr(tree_read(host.tree, "run/usher/" UUID_A "/cpuset.journal"), "cursor"))
			put("1", CURSOR);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(CURSOR), "1");
		assert_back();
	}
}

/* Somebody has the console's lock: his driver hangs, and so would who asks */
static void a_console_that_hangs_costs_a_start_a_moment(void **state)
{
	host_with_speeds(state);
	put("1", CURSOR);
	assert_int_equal(unlinkat(host.tree->rootfd, CURSOR, 0), 0);
	assert_int_equal(mkfifoat(host.tree->rootfd, CURSOR, 0600), 0);
	make_claim(UUID_A, PID_A, "running", SECTION_A STILL);
	nr_asides = 0;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	/* Once, however many CPUs it has: each time it is a good part of a second */
	assert_int_equal(nr_asides, 1);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

/* Who wrote the setting must not forget it when it cannot be given back */
static void a_cursor_that_cannot_be_given_back_yet_stays_owed(void **state)
{
	host_with_speeds(state);
	put("1", CURSOR);
	make_claim(UUID_A, PID_A, "running", SECTION_A STILL);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(unlinkat(host.tree->rootfd, CURSOR, 0), 0);
	assert_int_equal(mkfifoat(host.tree->rootfd, CURSOR, 0600), 0);
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("/" CURSOR " does not answer, a graphics driver holds the console");
	assert_int_equal(unlinkat(host.tree->rootfd, CURSOR, 0), 0);
	put("0", CURSOR);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(get(CURSOR), "1");
	/* Its text console is away: written, and said */
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("-1", CURSOR);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said(
		"no text console is shown, and the cursor of the next one may not blink: echo 1");
	/* Over the first of two characters: this is no kernel */
	assert_int_equal(get(CURSOR)[0], '1');
	assert_back();
}

/* It has gone while two run: what is said at the first end must not ask for what the last undoes */
static void a_console_that_goes_while_two_run_is_said_at_the_last_end_only(void **state)
{
	host_with_speeds(state);
	put("1", CURSOR);
	make_claim(UUID_A, PID_A, "running", SECTION_A STILL);
	make_claim(UUID_B, PID_B, "running", SECTION_B STILL);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	put("-1", CURSOR);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	put("-1", CURSOR);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_said("may not blink: echo 1");
	assert_back();
}

/* Both of its CPUs are for the same whole host */
static void a_dry_run_names_what_cpus_share_once(void **state)
{
	const char *first;

	host_with_speeds(state);
	put("1", STAT);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	assert_int_equal(run_helper("--dry-run", "apply", UUID_A), HELPER_DONE);
	assert_string_equal(get(STAT), "1");
	first = strstr(host.printed, STAT " 60\n");
	assert_non_null(first);
	assert_null(strstr(first + 1, STAT));
}

static void a_kernel_that_counts_more_rarely_is_left_alone(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	/* Nor is one missed that has no such setting */
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	put("3600", STAT);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(get(STAT), "3600");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_string_equal(get(STAT), "3600");
	assert_back();
}

static void what_an_admin_says_of_it_meanwhile_stays(void **state)
{
	host_with_speeds(state);
	put("1", STAT);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("5", STAT);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("/" STAT " has been changed to 5 meanwhile: left so");
	assert_string_equal(get(STAT), "5");
	assert_back();
}

static void what_an_admin_says_of_it_between_two_guests_is_what_comes_back(void **state)
{
	static const char *const uuids[] = { UUID_A, UUID_B };

	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	make_claim(UUID_B, PID_B, "running", SECTION_B RARE);
	for (int end = 0; end < 2; end++) {
		put("1", STAT);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		put("5", STAT);
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		assert_string_equal(get(STAT), "60");
		assert_int_equal(undo(uuids[end]), HELPER_DONE);
		assert_string_equal(get(STAT), "60");
		assert_int_equal(undo(uuids[!end]), HELPER_DONE);
		assert_silent();
		assert_string_equal(get(STAT), "5");
		assert_back();
	}
}

static void what_an_admin_says_of_it_while_two_run_stays(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	make_claim(UUID_B, PID_B, "running", SECTION_B RARE);
	put("1", STAT);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	put("5", STAT);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("has been changed to 5 meanwhile: left so");
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_string_equal(get(STAT), "5");
	assert_back();
}

/* The guest that is there has made it 60: an hour is nobody's of us */
static void a_kernel_told_to_count_still_more_rarely_is_left_alone(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A RARE);
	make_claim(UUID_B, PID_B, "running", SECTION_B RARE);
	put("1", STAT);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("3600", STAT);
	assert_int_equal(apply(UUID_B), HELPER_DONE);
	assert_string_equal(get(STAT), "3600");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_B), HELPER_DONE);
	assert_string_equal(get(STAT), "3600");
	assert_back();
}

static void no_latency_at_all_is_the_kernels_own_word(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A "wake_latency_us = 0\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_string_equal(latency(2), "n/a");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_back();
}

/* As amd_pstate does: the preference follows the governor and does not come back by itself */
static void what_comes_with_the_governor_is_given_back_too(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running", SECTION_A "governor = performance\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_speeds(2, "performance", "performance", "0");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

/* The kernel refuses it, and the old one comes back all the same */
static void a_preference_that_the_governor_does_not_allow_is_said(void **state)
{
	host_with_speeds(state);
	make_claim(UUID_A, PID_A, "running",
		   SECTION_A "governor = performance\nenergy_preference = power\n");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("energy_preference = power has no effect: cannot write power to");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

static void what_a_cpu_had_comes_back_when_it_is_online_again(void **state)
{
	host_with_speeds(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	end_guest(PID_A, SCOPE_A);
	put("0-2,4-7", CPU "/online");
	assert_int_equal(
		renameat(host.tree->rootfd, CPU "/cpufreq/policy3", host.tree->rootfd, "policy3"),
		0);
	assert_int_equal(undo(UUID_A), HELPER_DIRTY);
	assert_said("policy3/scaling_governor is not there while policy3 is offline: when it is "
		    "online again, run usher recover");
	assert_speeds(2, "powersave", "balance_performance", "0");
	put("0-7", CPU "/online");
	assert_int_equal(
		renameat(host.tree->rootfd, "policy3", host.tree->rootfd, CPU "/cpufreq/policy3"),
		0);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

/* Another driver has none: it will never come back */
static void what_an_online_cpu_does_not_have_any_more_is_forgotten(void **state)
{
	host_with_speeds(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	remove_tree(CPU "/cpufreq/policy3");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_no_state();
}

static void guests_that_share_a_cpufreq_policy_end_exact_in_any_order(void **state)
{
	static const char *const uuids[] = { UUID_A, UUID_B };

	host_with_speeds(state);
	for (int start = 0; start < 2; start++) {
		for (int end = 0; end < 2; end++) {
			assert_int_equal(apply(uuids[start]), HELPER_DONE);
			assert_int_equal(apply(uuids[!start]), HELPER_DONE);
			assert_string_equal(governor(2), start ? "performance" : "schedutil");
			assert_int_equal(undo(uuids[end]), HELPER_DONE);
			/* The one that goes may have been the last to write, or not */
			if (start == end)
				assert_string_equal(governor(2), end ? "performance" : "schedutil");
			host.said[0] = '\0';
			put(end ? "performance" : "schedutil",
			    CPU "/cpufreq/policy2/scaling_governor");
			assert_int_equal(undo(uuids[!end]), HELPER_DONE);
			assert_silent();
			assert_back();
		}
	}
}

static void a_value_that_somebody_else_has_set_stays_and_is_said(void **state)
{
	host_with_speeds(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	put("conservative", CPU "/cpufreq/policy3/scaling_governor");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_said("policy3/scaling_governor has been changed to conservative meanwhile: left so");
	assert_string_equal(governor(3), "conservative");
	assert_string_equal(governor(2), "powersave");
	assert_no_state();
}

static void a_host_without_cpufreq_is_said_and_the_guest_is_isolated(void **state)
{
	host_with_speeds(state);
	remove_tree(CPU "/cpufreq");
	for (int cpu = 0; cpu < 8; cpu++) {
		char path[64];

		fmt(path, CPU "/cpu%d/cpufreq", cpu);
		remove_tree(path);
	}
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("governor = performance has no effect: CPU 2 has no scaling_governor");
	assert_string_equal(get(CG "/cpuset.cpus.isolated"), "2-3");
	assert_string_equal(latency(2), "50");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_string_equal(latency(2), "0");
	assert_no_state();
}

static void a_cpu_without_cpufreq_does_not_keep_it_from_the_others(void **state)
{
	host_with_speeds(state);
	remove_tree(CPU "/cpu2/cpufreq");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("governor = performance has no effect on CPU 2: CPU 2 has no scaling_governor");
	assert_string_equal(governor(3), "performance");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_speeds(3, "powersave", "balance_performance", "0");
	assert_no_state();
}

static void a_value_the_kernel_refuses_is_said(void **state)
{
	host_with_speeds(state);
	put("", "managed/" CPU "/cpufreq/policy2/scaling_governor");
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said(
		"governor = performance has no effect on CPU 2: cannot write performance to /" CPU
		"/cpufreq/policy2/scaling_governor");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_back();
}

#define QUIET RARE "pressure = no\n"

static void host_to_be_quiet(void **state)
{
	host_with_speeds(state);
	put("1", STAT);
	for (int vcpu = 0; vcpu < 2; vcpu++)
		put("1", CG "/" SCOPE_A "/libvirt/vcpu%d/cgroup.pressure", vcpu);
	make_claim(UUID_A, PID_A, "running", SECTION_A WISHES QUIET);
}

static void assert_not_quiet(void)
{
	assert_back();
	assert_string_equal(get(STAT), "1");
	for (int vcpu = 0; vcpu < 2; vcpu++)
		assert_string_equal(get(CG "/" SCOPE_A "/libvirt/vcpu%d/cgroup.pressure", vcpu),
				    "1");
}

static void a_kill_at_any_step_is_repaired(void **state)
{
	int at;

	host_to_be_quiet(state);
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_not_quiet();
	}
	assert_true(at > 30);
}

/* Before its next apply, and beside another guest */
static void a_kill_at_any_step_is_repaired_by_the_next_apply(void **state)
{
	int at;

	host_to_be_quiet(state);
	make_claim(UUID_B, PID_B, "running", SECTION_B RARE "governor = schedutil\n");
	for (at = 1; killed_at(at, "apply", UUID_A); at++) {
		assert_int_equal(apply(UUID_B), HELPER_DONE);
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		assert_speeds(3, "performance", "performance", "50");
		assert_string_equal(get(STAT), "60");
		assert_int_equal(undo(at % 2 ? UUID_A : UUID_B), HELPER_DONE);
		assert_string_equal(get(STAT), "60");
		assert_int_equal(undo(at % 2 ? UUID_B : UUID_A), HELPER_DONE);
		assert_silent();
		assert_not_quiet();
	}
	assert_true(at > 30);
}

static void a_kill_of_undo_at_any_step_is_repaired_by_the_next(void **state)
{
	bool killed;
	int at = 0;

	host_to_be_quiet(state);
	do {
		assert_int_equal(apply(UUID_A), HELPER_DONE);
		killed = killed_at(++at, "undo", UUID_A);
		assert_int_equal(undo(UUID_A), HELPER_DONE);
		assert_silent();
		assert_not_quiet();
	} while (killed);
	assert_true(at > 15);
}

static void a_journal_that_names_another_file_is_refused(void **state)
{
	static const char *const rows[] = { "1 governor ../../x % performance\n",
					    "1 latency cpu2/../.. % 50\n", "1 sched 1 % %\n" };

	host_with_speeds(state);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put(rows[i], "run/usher/" UUID_A "/cpuset.journal");
		assert_int_equal(
			fchmodat(host.tree->rootfd, "run/usher/" UUID_A "/cpuset.journal", 0600, 0),
			0);
		assert_int_equal(undo(UUID_A), HELPER_DIRTY);
		assert_said("the journal's");
	}
}

/* --- Threads ----------------------------------------------------------------------------------- */

static void host_with_threads(void **state)
{
	host_with_speeds(state);
	real_root = true;
	classes[0] = (struct sched){ .policy = SCHED_OTHER, .nice = 3 };
	classes[1] = (struct sched){ .policy = SCHED_BATCH };
	put("100\n101\n", CG "/" SCOPE_A "/libvirt/emulator/cgroup.threads");
	put("101 (worker) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 1010 0", "proc/101/stat");
	make_claim(UUID_A, PID_A, "running", SECTION_A "emulator_sched = fifo:1\n");
}

static void the_emulators_threads_get_their_class_and_then_their_old_one(void **state)
{
	host_with_threads(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(classes[0].policy, SCHED_FIFO);
	assert_int_equal(classes[1].priority, 1);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_silent();
	assert_int_equal(classes[0].policy, SCHED_OTHER);
	assert_int_equal(classes[0].nice, 3);
	assert_int_equal(classes[1].policy, SCHED_BATCH);
	assert_no_state();
}

static void a_thread_that_has_ended_or_was_given_another_class_is_left_alone(void **state)
{
	host_with_threads(state);
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	/* Its number is another thread's by now */
	put("101 (other) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 7777 0", "proc/101/stat");
	classes[0] = (struct sched){ .policy = SCHED_RR, .priority = 5 };
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_int_equal(classes[0].policy, SCHED_RR);
	assert_int_equal(classes[1].policy, SCHED_FIFO);
	assert_no_state();
}

static void a_class_the_kernel_refuses_is_said(void **state)
{
	host_with_threads(state);
	sched_error = EPERM;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_said("emulator_sched = fifo:1 has no effect: thread 100 cannot have the class "
		    "fifo:1: Operation not permitted");
	assert_int_equal(undo(UUID_A), HELPER_DONE);
	assert_no_state();
}

static void threads_of_a_recorded_host_are_never_touched(void **state)
{
	host_with_threads(state);
	real_root = false;
	assert_int_equal(apply(UUID_A), HELPER_DONE);
	assert_int_equal(classes[0].policy, SCHED_OTHER);
	assert_int_equal(undo(UUID_A), HELPER_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(the_guests_cpus_run_as_the_policy_wants_and_then_as_before),
		tree_test(a_guest_with_nothing_but_its_pins_has_its_speed_too),
		tree_test(a_guest_that_would_leave_no_core_has_its_speed_and_no_more),
		tree_test(without_wishes_nothing_is_touched),
		tree_test(the_kernel_counts_memory_rarely_as_long_as_any_guest_is_there),
		tree_test(the_cursor_is_still_as_long_as_any_guest_is_there),
		tree_test(a_console_without_a_cursor_that_blinks_is_left_alone),
		tree_test(a_cursor_that_rests_for_a_moment_blinks_after_the_guest),
		tree_test(a_console_that_hangs_costs_a_start_a_moment),
		tree_test(a_cursor_that_cannot_be_given_back_yet_stays_owed),
		tree_test(a_console_that_goes_while_two_run_is_said_at_the_last_end_only),
		tree_test(a_kernel_that_says_yes_once_and_does_no_is_asked_again),
		tree_test(a_dry_run_names_what_cpus_share_once),
		tree_test(a_kernel_that_counts_more_rarely_is_left_alone),
		tree_test(what_an_admin_says_of_it_meanwhile_stays),
		tree_test(what_an_admin_says_of_it_between_two_guests_is_what_comes_back),
		tree_test(what_an_admin_says_of_it_while_two_run_stays),
		tree_test(a_kernel_told_to_count_still_more_rarely_is_left_alone),
		tree_test(no_latency_at_all_is_the_kernels_own_word),
		tree_test(what_comes_with_the_governor_is_given_back_too),
		tree_test(a_preference_that_the_governor_does_not_allow_is_said),
		tree_test(what_a_cpu_had_comes_back_when_it_is_online_again),
		tree_test(what_an_online_cpu_does_not_have_any_more_is_forgotten),
		tree_test(guests_that_share_a_cpufreq_policy_end_exact_in_any_order),
		tree_test(a_value_that_somebody_else_has_set_stays_and_is_said),
		tree_test(a_host_without_cpufreq_is_said_and_the_guest_is_isolated),
		tree_test(a_cpu_without_cpufreq_does_not_keep_it_from_the_others),
		tree_test(a_value_the_kernel_refuses_is_said),
		tree_test(a_kill_at_any_step_is_repaired),
		tree_test(a_kill_at_any_step_is_repaired_by_the_next_apply),
		tree_test(a_kill_of_undo_at_any_step_is_repaired_by_the_next),
		tree_test(a_journal_that_names_another_file_is_refused),
		tree_test(the_emulators_threads_get_their_class_and_then_their_old_one),
		tree_test(a_thread_that_has_ended_or_was_given_another_class_is_left_alone),
		tree_test(a_class_the_kernel_refuses_is_said),
		tree_test(threads_of_a_recorded_host_are_never_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
