/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_aside_test.c - children that do what can sleep in the kernel for ever */
/* wraps: _Fork */

#include "tree.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/aside.h"
#include "lib/deadline.h"

struct shared {
	struct aside aside;
	pid_t pid;
	pid_t group;
	int open; /* descriptors of the child */
	int at;
};

static bool no_process;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
pid_t __wrap__Fork(void);
pid_t __real__Fork(void);

pid_t __wrap__Fork(void)
{
	errno = EAGAIN;
	return no_process ? -1 : __real__Fork();
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int look(int rootfd, void *arg)
{
	struct shared *shared = arg;

	shared->pid = getpid();
	shared->group = getpgid(0);
	for (int fd = 0; fd < 100; fd++)
		shared->open += fcntl(fd, F_GETFD) >= 0;
	return attr_exists(rootfd, "there") ? 7 : -ENOENT;
}

static void result_is_the_childs_which_holds_nothing_of_ours(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));

	assert_non_null(shared);
	tree_file(tree, "there", "");
	assert_int_equal(aside_run(tree->rootfd, look, shared, 5000), 7);
	assert_int_not_equal(shared->pid, getpid());
	assert_int_equal(shared->group, shared->pid);
	/* The root, and /dev/null on 0 to 2 */
	assert_int_equal(shared->open, 4);
	/* It is reaped */
	assert_int_equal(waitpid(shared->pid, NULL, WNOHANG), -1);
	aside_free(shared, sizeof(*shared));
}

static int hang(int rootfd, void *arg)
{
	struct shared *shared = arg;

	(void)rootfd;
	shared->pid = getpid();
	shared->at = 1;
	(void)pause();
	return 0;
}

static void child_that_does_not_return_is_left_behind_in_time(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));
	long long start = now_ms();

	assert_non_null(shared);
	assert_int_equal(aside_run(tree->rootfd, hang, shared, 200), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 150, 2000);
	assert_int_equal(shared->at, 1);
	/* Killed, where it can be */
	(void)waitpid(shared->pid, NULL, 0);
	assert_int_equal(kill(shared->pid, 0), -1);
	aside_free(shared, sizeof(*shared));
}

static int walk(int rootfd, void *arg)
{
	struct shared *shared = arg;

	(void)rootfd;
	for (shared->at = 0; shared->at < 8; shared->at++) {
		aside_step(shared);
		(void)poll(NULL, 0, 100);
	}
	return shared->at;
}

static void each_step_has_its_own_time(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));

	assert_non_null(shared);
	assert_int_equal(aside_run(tree->rootfd, walk, shared, 600), 8);
	aside_free(shared, sizeof(*shared));
}

static void between_its_begin_and_its_end_it_is_there(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));

	assert_non_null(shared);
	assert_int_equal(aside_begin(tree->rootfd, walk, shared), 0);
	assert_int_equal(kill(shared->aside.pid, 0), 0);
	assert_int_equal(aside_end(shared, 60000), 8);
	assert_int_equal(waitpid(shared->aside.pid, NULL, WNOHANG), -1);
	aside_free(shared, sizeof(*shared));
}

/* It uses the CPU for longer than a step may take */
static int toil(int rootfd, void *arg)
{
	long long until = deadline_in(3000);

	(void)rootfd, (void)arg;
	while (deadline_left(until) > 0)
		;
	return 5;
}

static void slow_one_is_waited_for_and_one_that_hangs_is_not(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));
	long long start;

	assert_non_null(shared);
	assert_int_equal(aside_run(tree->rootfd, toil, shared, 2000), -ETIMEDOUT);
	assert_true(shared->aside.busy);
	(void)waitpid(shared->aside.pid, NULL, 0);
	shared->aside.busy_ms = 60000;
	assert_int_equal(aside_run(tree->rootfd, toil, shared, 2000), 5);
	start = now_ms();
	shared->aside.busy_ms = 1500;
	assert_int_equal(aside_run(tree->rootfd, toil, shared, 1000), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 1500, 2950);
	(void)waitpid(shared->aside.pid, NULL, 0);
	assert_int_equal(aside_run(tree->rootfd, hang, shared, 200), -ETIMEDOUT);
	assert_false(shared->aside.busy);
	(void)waitpid(shared->aside.pid, NULL, 0);
	aside_free(shared, sizeof(*shared));
}

#define HOG_MS 600

/* A process that nothing else gets this CPU from, but for the kernel's 50 ms of each second */
static pid_t start_hog(int cpu)
{
	const struct sched_param param = { .sched_priority = 1 };
	pid_t pid = __real__Fork();
	cpu_set_t set;

	if (pid != 0)
		return pid;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0 &&
	    sched_setscheduler(0, SCHED_FIFO, &param) == 0)
		for (long long until = deadline_in(HOG_MS); deadline_left(until) > 0;)
			;
	_exit(0);
}

/* It goes to that CPU, last of all who are there */
static int starve(int rootfd, void *arg)
{
	const struct shared *shared = arg;
	const struct sched_param param = { 0 };
	cpu_set_t set;

	(void)rootfd;
	CPU_ZERO(&set);
	CPU_SET((size_t)shared->at, &set);
	if (sched_setscheduler(0, SCHED_IDLE, &param) < 0 ||
	    sched_setaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	return 9;
}

static void one_that_gets_no_cpu_does_not_hang(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));
	pid_t hog;

	assert_non_null(shared);
	/* We need one ourselves */
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	shared->at = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	hog = start_hog(shared->at);
	(void)poll(NULL, 0, 50);
	assert_int_equal(aside_run(tree->rootfd, starve, shared, 100), 9);
	assert_int_equal(waitpid(hog, NULL, 0), hog);
	aside_free(shared, sizeof(*shared));
}

static int die(int rootfd, void *arg)
{
	(void)rootfd;
	(void)arg;
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static void no_result_is_made_up(void **state)
{
	const struct tree *tree = *state;
	struct shared *shared = aside_alloc(sizeof(*shared));

	assert_non_null(shared);
	assert_int_equal(aside_run(tree->rootfd, walk, shared, 600), 8);
	assert_int_equal(aside_run(tree->rootfd, die, shared, 600), -ECHILD);
	no_process = true;
	assert_int_equal(aside_run(tree->rootfd, walk, shared, 600), -EAGAIN);
	no_process = false;
	aside_free(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(result_is_the_childs_which_holds_nothing_of_ours),
		tree_test(child_that_does_not_return_is_left_behind_in_time),
		tree_test(each_step_has_its_own_time),
		tree_test(between_its_begin_and_its_end_it_is_there),
		tree_test(slow_one_is_waited_for_and_one_that_hangs_is_not),
		tree_test(one_that_gets_no_cpu_does_not_hang),
		tree_test(no_result_is_made_up),
	};

	return cmocka_run_group_tests_name("lib/aside", tests, NULL, NULL);
}
