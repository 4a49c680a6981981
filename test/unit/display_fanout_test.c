/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_fanout_test.c - side by side, and never longer than the deadline */
#include "tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "helpers/display/fanout.h"
#include "lib/deadline.h"

enum behaviour { ANSWER, SLOW, HANG, DIE, DIE_LATER, LOOK_AROUND };

struct answer {
	int value;
	int open_fds;
	pid_t session, pid;
	char filler[3000];
};

static void work(int rootfd, const void *arg, void *result)
{
	const enum behaviour *behaviour = arg;
	struct answer *answer = result;

	switch (*behaviour) {
	case SLOW:
		(void)poll(NULL, 0, 100);
		break;
	case HANG:
		(void)signal(SIGTERM, SIG_IGN);
		for (;;)
			(void)pause();
	case DIE_LATER:
		(void)poll(NULL, 0, 300);
		_exit(3);
	case DIE:
		_exit(3);
	case LOOK_AROUND:
		for (int fd = 3; fd < 256; fd++)
			answer->open_fds += fcntl(fd, F_GETFD) >= 0;
		answer->session = getsid(0);
		answer->pid = getpid();
		break;
	case ANSWER:
		break;
	}
	answer->value = 42 + (fcntl(rootfd, F_GETFD) < 0);
}

static const struct fanout how = { .arg_size = sizeof(enum behaviour),
				   .size = sizeof(struct answer),
				   .work = work };

static void run_where(bool here, const enum behaviour *behaviours, size_t nr,
		      struct answer *answers, struct fanout_job *jobs, int timeout_ms)
{
	struct fanout fanout = how;
	int rootfd = root_open("/");

	fanout.here = here;
	memset(answers, 0, nr * sizeof(*answers));
	for (size_t i = 0; i < nr; i++)
		jobs[i] = (struct fanout_job){ .arg = &behaviours[i], .result = &answers[i] };
	fanout.rootfd = rootfd;
	fanout_run(&fanout, jobs, nr, timeout_ms);
	(void)close(rootfd);
}

static void run(const enum behaviour *behaviours, size_t nr, struct answer *answers,
		struct fanout_job *jobs, int timeout_ms)
{
	run_where(false, behaviours, nr, answers, jobs, timeout_ms);
}

static void every_job_answers(void **state)
{
	static const enum behaviour behaviours[] = { ANSWER, ANSWER, SLOW, ANSWER };
	struct fanout_job jobs[4];
	struct answer answers[4];

	(void)state;
	run(behaviours, 4, answers, jobs, 20000);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(jobs[i].error, 0);
		assert_int_equal(answers[i].value, 42);
	}
	/* Nobody is left to be waited for */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void slow_jobs_run_side_by_side(void **state)
{
	static const enum behaviour behaviours[] = { SLOW, SLOW, SLOW, SLOW, SLOW,
						     SLOW, SLOW, SLOW, SLOW, SLOW };
	struct fanout_job jobs[10];
	struct answer answers[10];
	long long start = now_ms();

	(void)state;
	run(behaviours, 10, answers, jobs, 20000);
	assert_true(now_ms() - start < 900);
	assert_int_equal(answers[9].value, 42);
}

static void one_that_hangs_costs_the_deadline_and_not_the_others_answers(void **state)
{
	static const enum behaviour behaviours[] = { ANSWER, HANG, SLOW };
	struct fanout_job jobs[3];
	struct answer answers[3];
	long long start = now_ms();

	(void)state;
	run(behaviours, 3, answers, jobs, 400);
	assert_true(now_ms() - start >= 400);
	assert_true(now_ms() - start < 5000);
	assert_int_equal(jobs[0].error, 0);
	assert_int_equal(jobs[1].error, -ETIMEDOUT);
	assert_int_equal(jobs[2].error, 0);
	assert_int_equal(answers[1].value, 0);
	/* It was killed: it has gone already, or is about to */
	assert_true(waitpid(-1, NULL, 0) > 0 || errno == ECHILD);
}

static bool any_is_42(const struct fanout_job *jobs, size_t nr, const void *arg)
{
	(void)arg;
	for (size_t i = 0; i < nr; i++)
		if (jobs[i].error == 0 && ((const struct answer *)jobs[i].result)->value == 42)
			return true;
	return false;
}

static void when_there_is_enough_one_that_hangs_costs_a_moment(void **state)
{
	static const enum behaviour behaviours[] = { HANG, ANSWER };
	const struct fanout_patience patience = { .enough = any_is_42, .grace_ms = 100 };
	struct fanout_job jobs[2] = { 0 };
	struct answer answers[2] = { 0 };
	struct fanout fanout = how;
	int rootfd = root_open("/");
	long long start = now_ms();

	(void)state;
	for (int i = 0; i < 2; i++)
		jobs[i] = (struct fanout_job){ .arg = &behaviours[i], .result = &answers[i] };
	fanout.rootfd = rootfd;
	fanout.patience = &patience;
	fanout_run(&fanout, jobs, 2, 20000);
	(void)close(rootfd);
	assert_true(now_ms() - start >= 100);
	assert_true(now_ms() - start < 10000);
	assert_int_equal(jobs[0].error, -ETIMEDOUT);
	assert_int_equal(jobs[1].error, 0);
	assert_true(waitpid(-1, NULL, 0) > 0 || errno == ECHILD);
}

static void when_the_process_dies_what_is_not_answered_is_eio_at_once(void **state)
{
	static const enum behaviour behaviours[] = { DIE, HANG };
	struct fanout_job jobs[2];
	struct answer answers[2];
	long long start = now_ms();

	(void)state;
	run(behaviours, 2, answers, jobs, 20000);
	assert_true(now_ms() - start < 10000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(jobs[i].error, -EIO);
		assert_int_equal(answers[i].value, 0);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void what_was_answered_before_the_process_dies_is_kept(void **state)
{
	static const enum behaviour behaviours[] = { ANSWER, DIE_LATER };
	struct fanout_job jobs[2];
	struct answer answers[2];

	(void)state;
	run(behaviours, 2, answers, jobs, 20000);
	assert_int_equal(jobs[0].error, 0);
	assert_int_equal(answers[0].value, 42);
	assert_int_equal(jobs[1].error, -EIO);
}

static void a_child_has_a_session_of_its_own_and_nothing_of_ours(void **state)
{
	static const enum behaviour behaviours[] = { ANSWER, LOOK_AROUND };
	struct fanout_job jobs[2];
	struct answer answers[2];
	int secret = open("/dev/null", O_RDONLY);

	(void)state;
	run(behaviours, 2, answers, jobs, 20000);
	assert_int_equal(jobs[1].error, 0);
	/* The root and its own end of the pipe */
	assert_int_equal(answers[1].open_fds, 2);
	assert_int_equal(answers[1].session, answers[1].pid);
	(void)close(secret);
}

static void in_our_own_process_they_answer_side_by_side(void **state)
{
	static const enum behaviour behaviours[] = { LOOK_AROUND, SLOW, ANSWER, SLOW };
	struct fanout_job jobs[4];
	struct answer answers[4];

	(void)state;
	run_where(true, behaviours, 4, answers, jobs, 20000);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(jobs[i].error, 0);
		assert_int_equal(answers[i].value, 42);
	}
	assert_int_equal(answers[0].pid, getpid());
}

static int gate[2];

/* Behind a bus that returns at last: what it was asked must still be there */
static void work_behind_gate(int rootfd, const void *arg, void *result)
{
	const enum behaviour *behaviour = arg;
	char byte;

	if (*behaviour == HANG) {
		assert_int_equal(read(gate[0], &byte, 1), 0);
		if (*behaviour != HANG)
			_exit(1);
	}
	((struct answer *)result)->value = 42 + (fcntl(rootfd, F_GETFD) < 0);
}

static _Noreturn void hang_here_and_let_go(void)
{
	enum behaviour *behaviours = calloc(2, sizeof(*behaviours));
	struct answer *answers = calloc(2, sizeof(*answers));
	struct fanout_job jobs[2];
	struct fanout fanout = how;
	bool good;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!behaviours || !answers || pipe2(gate, O_CLOEXEC) < 0)
		_exit(2);
	behaviours[1] = HANG;
	for (int i = 0; i < 2; i++)
		jobs[i] = (struct fanout_job){ .arg = &behaviours[i], .result = &answers[i] };
	fanout.here = true;
	fanout.rootfd = root_open("/");
	fanout.work = work_behind_gate;
	fanout_run(&fanout, jobs, 2, 300);
	good = jobs[0].error == 0 && answers[0].value == 42 && jobs[1].error == -ETIMEDOUT &&
	       answers[1].value == 0;
	memset(behaviours, 0xff, 2 * sizeof(*behaviours));
	free(behaviours);
	free(answers);
	(void)close(gate[1]);
	(void)poll(NULL, 0, 100);
	_exit(good ? 0 : 3);
}

static void one_that_hangs_in_our_own_process_has_all_it_needs_when_it_returns(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		hang_here_and_let_go();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void no_jobs_at_all_are_fine(void **state)
{
	const struct fanout fanout = { .work = work };

	(void)state;
	fanout_run(&fanout, NULL, 0, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_answers),
		cmocka_unit_test(slow_jobs_run_side_by_side),
		cmocka_unit_test(one_that_hangs_costs_the_deadline_and_not_the_others_answers),
		cmocka_unit_test(when_there_is_enough_one_that_hangs_costs_a_moment),
		cmocka_unit_test(when_the_process_dies_what_is_not_answered_is_eio_at_once),
		cmocka_unit_test(what_was_answered_before_the_process_dies_is_kept),
		cmocka_unit_test(a_child_has_a_session_of_its_own_and_nothing_of_ours),
		cmocka_unit_test(in_our_own_process_they_answer_side_by_side),
		cmocka_unit_test(
			one_that_hangs_in_our_own_process_has_all_it_needs_when_it_returns),
		cmocka_unit_test(no_jobs_at_all_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
