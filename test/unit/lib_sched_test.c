/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_sched_test.c - scheduling classes as text, and of real threads */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/sched.h"

static void a_class_is_read_and_written_the_same(void **state)
{
	static const struct {
		const char *text;
		struct sched sched;
	} rows[] = {
		{ "other:0", { .policy = SCHED_OTHER } },
		{ "other:-20", { .policy = SCHED_OTHER, .nice = -20 } },
		{ "batch:19", { .policy = SCHED_BATCH, .nice = 19 } },
		{ "idle", { .policy = SCHED_IDLE } },
		{ "fifo:1", { .policy = SCHED_FIFO, .priority = 1 } },
		{ "rr:99", { .policy = SCHED_RR, .priority = 99 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[SCHED_TEXT_MAX];
		struct sched sched;

		assert_int_equal(sched_parse(rows[i].text, &sched), 0);
		assert_int_equal(sched.policy, rows[i].sched.policy);
		assert_int_equal(sched.nice, rows[i].sched.nice);
		assert_int_equal(sched.priority, rows[i].sched.priority);
		assert_int_equal(sched_format(&sched, text), 0);
		assert_string_equal(text, rows[i].text);
	}
}

static void what_is_no_class_is_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{ "", -EINVAL },	 { "other", -EINVAL },	   { "idle:0", -EINVAL },
		{ "fifo:", -EINVAL },	 { "fifo:0", -ERANGE },	   { "rr:100", -ERANGE },
		{ "other:20", -ERANGE }, { "other:-21", -ERANGE }, { "other:--1", -EINVAL },
		{ "oth:0", -EINVAL },	 { "fifo:1 ", -EINVAL },   { "deadline", -EINVAL },
	};
	const struct sched deadline = { .policy = 6 };
	char text[SCHED_TEXT_MAX];
	struct sched sched;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(sched_parse(rows[i].text, &sched), rows[i].error);
	assert_int_equal(sched_format(&deadline, text), -EINVAL);
}

/* A class that needs no privilege, of a process of our own */
static void a_thread_gets_the_class_it_is_given(void **state)
{
	const struct sched want = { .policy = SCHED_BATCH, .nice = 7 };
	struct sched got;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			(void)pause();
	assert_int_equal(sched_set(pid, &want), 0);
	assert_int_equal(sched_of(pid, &got), 0);
	assert_int_equal(got.policy, SCHED_BATCH);
	assert_int_equal(got.nice, 7);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(sched_of(pid, &got), -ESRCH);
	assert_int_equal(sched_set(pid, &want), -ESRCH);
}

static void the_cpus_of_a_thread_are_read_and_set(void **state)
{
	struct cpulist before, one = { 0 }, now;
	int rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(rootfd >= 0);
	assert_int_equal(sched_cpus(rootfd, "proc/self", &before), 0);
	cpulist_add(&one, (unsigned int)sched_getcpu());
	assert_int_equal(sched_bind(0, &one), 0);
	assert_int_equal(sched_cpus(rootfd, "proc/thread-self", &now), 0);
	assert_true(cpulist_equal(&now, &one));
	assert_int_equal(sched_bind(0, &before), 0);
	assert_int_equal(sched_bind(INT_MAX, &before), -ESRCH);
	assert_int_equal(sched_cpus(rootfd, "proc/none", &now), -ENOENT);
	assert_int_equal(close(rootfd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_class_is_read_and_written_the_same),
		cmocka_unit_test(what_is_no_class_is_refused),
		cmocka_unit_test(a_thread_gets_the_class_it_is_given),
		cmocka_unit_test(the_cpus_of_a_thread_are_read_and_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
