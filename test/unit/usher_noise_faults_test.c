/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_noise_faults_test.c - usher noise tells the whole, or what it could not find out */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
/* wraps: tracer_open tracer_drain tracer_stop tracer_close */
#include "faults.h"

#include <signal.h>

#include "helpers/usher/noise.h"
#include "usher_host.h"
#include "whole.h"

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define HOME "run/usher/" UUID

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_tracer_open(struct tracer *tracer, const struct cpulist *cpus);
int __wrap_tracer_drain(struct tracer *tracer, struct noise *noise);
int __wrap_tracer_stop(struct tracer *tracer);
int __wrap_tracer_close(struct tracer *tracer);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* Its user has seen enough at once */
int __wrap_tracer_open(struct tracer *tracer, const struct cpulist *cpus)
{
	(void)tracer, (void)cpus;
	return raise(SIGTERM) == 0 ? 0 : -errno;
}

int __wrap_tracer_drain(struct tracer *tracer, struct noise *noise)
{
	(void)tracer, (void)noise;
	return 0;
}

int __wrap_tracer_stop(struct tracer *tracer)
{
	(void)tracer;
	return 0;
}

int __wrap_tracer_close(struct tracer *tracer)
{
	(void)tracer;
	return 0;
}

static void make_guest(const struct tree *tree, const char *partition)
{
	tree_file(tree, HOME "/claim.ini",
		  "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
		  "\nstate = running\nowner = 200 2000\nrequired =\n[cpuset]\ncpus = 2-3\n");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	tree_file(tree, "sys/devices/system/cpu/online", "0-3\n");
	tree_file(tree, "proc/200/task/200/comm", "qemu-system-x86\n");
	tree_file(tree, "proc/200/task/201/comm", "CPU 0/KVM\n");
	tree_file(tree, "proc/200/task/201/status", "Name:\tCPU 0/KVM\nCpus_allowed_list:\t2-3\n");
	tree_file(tree, "proc/200/cgroup", "0::/machine.slice/a.scope/libvirt\n");
	tree_file(tree, "sys/fs/cgroup/cpuset.cpus.isolated", "\n");
	tree_file(tree, "sys/fs/cgroup/machine.slice/a.scope/cpuset.cpus.partition", partition);
}

static void how_the_guest_is_kept_apart_is_known_or_missing(void **state)
{
	static const char *const partitions[] = { "root\n", "member\n" };
	const struct tree *tree = *state;
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
		for (int json = 0; json < 2; json++) {
			const struct request request = {
				.root = tree->dir, .guest = "win11", .phase = "1", .json = json
			};

			make_guest(tree, partitions[i]);
			assert_whole(&command_noise, &request, FAULT_READ, EIO, 1);
			assert_whole(&command_noise, &request, FAULT_MEMORY, ENOMEM, 1);
		}
	assert_int_equal(sigwait(&set, &sig), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(how_the_guest_is_kept_apart_is_known_or_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
