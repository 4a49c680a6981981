/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_caps_test.c - sets of capabilities of real processes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/caps.h"
#include "lib/cleanup.h"

#define LOOK_AND_NICE (CAPS_LOOK | CAP_BIT(CAP_SYS_NICE))

static unsigned long long set_of(FILE *status, const char *name)
{
	unsigned long long set = 0;
	char line[256];

	rewind(status);
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, name, strlen(name)) == 0)
			set = strtoull(line + strlen(name) + 1, NULL, 16);
	return set;
}

/* Exit codes of the child */
enum { GOOD, CALL_FAILED, TOO_MUCH, TOO_LITTLE, INHERITABLE, BOUNDING, NEW_PRIVS };

static int look(unsigned long long had, unsigned long long bound, unsigned long long keep)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");

	if ((set_of(status, "CapPrm") | set_of(status, "CapEff")) & ~keep)
		return TOO_MUCH;
	if (set_of(status, "CapEff") != (had & keep) || set_of(status, "CapPrm") != (had & keep))
		return TOO_LITTLE;
	if (set_of(status, "CapInh") || set_of(status, "CapAmb"))
		return INHERITABLE;
	/* Who has no CAP_SETPCAP keeps it: no_new_privs makes it worth nothing */
	if ((had & CAP_BIT(CAP_SETPCAP)) && set_of(status, "CapBnd") != (bound & keep))
		return BOUNDING;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? GOOD : NEW_PRIVS;
}

static int child(int (*run)(unsigned long long keep), unsigned long long keep)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run(keep));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int keep_and_look(unsigned long long keep)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	unsigned long long had = set_of(status, "CapPrm"), bound = set_of(status, "CapBnd");

	if (caps_keep(keep) < 0 && (had & CAP_BIT(CAP_SETPCAP)))
		return CALL_FAILED;
	return look(had, bound, keep);
}

static void all_but_those_named_are_given_up(void **state)
{
	(void)state;
	assert_int_equal(child(keep_and_look, CAPS_NONE), GOOD);
	assert_int_equal(child(keep_and_look, CAP_BIT(CAP_SYS_NICE)), GOOD);
	assert_int_equal(child(keep_and_look, LOOK_AND_NICE), GOOD);
	/* The highest ones lie in the second word */
	assert_int_equal(child(keep_and_look, CAP_BIT(CAP_CHECKPOINT_RESTORE)), GOOD);
}

static int keep_twice(unsigned long long keep)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	unsigned long long had = set_of(status, "CapPrm"), bound = set_of(status, "CapBnd");

	(void)(caps_keep(keep) < 0);
	(void)(caps_keep(LOOK_AND_NICE | CAP_BIT(CAP_SYS_MODULE)) < 0);
	return look(had, bound, keep);
}

static void what_was_given_up_does_not_come_back(void **state)
{
	(void)state;
	assert_int_equal(child(keep_twice, CAP_BIT(CAP_SYS_NICE)), GOOD);
	assert_int_equal(child(keep_twice, CAPS_NONE), GOOD);
}

/* The program that is executed has no more than who executed it */
static int keep_and_exec(unsigned long long keep)
{
	char script[200];
	char *const argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, script, NULL };

	(void)(caps_keep(keep) < 0);
	(void)snprintf(script, sizeof(script),
		       "while read -r name value; do [ $name != CapEff: ] || exit $((0x$value & "
		       "~0x%llx ? %d : %d)); done </proc/self/status",
		       keep, TOO_MUCH, GOOD);
	(void)execv("/bin/sh", argv);
	return CALL_FAILED;
}

static void exec_brings_none_back(void **state)
{
	(void)state;
	assert_int_equal(child(keep_and_exec, CAP_BIT(CAP_SYS_MODULE)), GOOD);
	assert_int_equal(child(keep_and_exec, CAPS_NONE), GOOD);
}

static int keep_all(unsigned long long keep)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	unsigned long long had = set_of(status, "CapEff");

	return caps_keep(keep) == 0 && set_of(status, "CapEff") == had &&
			       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0
		       ? GOOD
		       : CALL_FAILED;
}

static void all_of_them_is_nothing_to_do(void **state)
{
	(void)state;
	assert_int_equal(child(keep_all, CAPS_ALL), GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_but_those_named_are_given_up),
		cmocka_unit_test(what_was_given_up_does_not_come_back),
		cmocka_unit_test(exec_brings_none_back),
		cmocka_unit_test(all_of_them_is_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
