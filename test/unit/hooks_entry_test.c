/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hooks_entry_test.c - the hook leaves before the C library wakes, but never too early */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hooks/entry.h"
#include "lib/cleanup.h"

#define UUID "c7a5fdbd-edaf-9455-926a-d65c16db1809"

/* A directory for policies, one for claims; both are made by the test that wants them */
static char base[64], policies[96], claims[96];

static int make_base(void **state)
{
	(void)state;
	(void)strcpy(base, "/tmp/entry_test.XXXXXX");
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(policies, sizeof(policies), "%s/conf.d", base);
	(void)snprintf(claims, sizeof(claims), "%s/usher", base);
	return 0;
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command); // NOLINT(cert-env33-c): a folder of our own
}

static void add(const char *dir, const char *name)
{
	char path[512];
	int fd;

	(void)mkdir(dir, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static bool idle(const char *guest)
{
	char *argv[] = { (char[]){ "qemu" },  strdup(guest),   (char[]){ "prepare" },
			 (char[]){ "begin" }, (char[]){ "-" }, NULL };
	bool ret = entry_idle_at(5, argv, policies, claims);

	free(argv[1]);
	return ret;
}

static void a_guest_without_policy_and_nobody_with_a_claim_is_nothing_to_do(void **state)
{
	(void)state;
	assert_true(idle("win11"));
	add(policies, "games.ini");
	add(claims, "registry.lock");
	assert_true(idle("win11"));
	assert_true(idle("--help"));
	assert_true(idle(".."));
}

static void a_guest_with_a_policy_is_looked_after(void **state)
{
	(void)state;
	add(policies, "win11.ini");
	assert_false(idle("win11"));
	assert_true(idle("win1"));
	assert_true(idle("win11.ini"));
}

static void a_policy_that_is_a_dangling_link_is_not_passed_over(void **state)
{
	char path[128];

	(void)state;
	(void)mkdir(policies, 0700);
	(void)snprintf(path, sizeof(path), "%s/win11.ini", policies);
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_false(idle("win11"));
}

static void while_any_guest_has_a_claim_every_start_is_looked_at(void **state)
{
	(void)state;
	/* More entries than one getdents64(2) returns, the claim among the last */
	for (int i = 0; i < 200; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "a-file-with-a-name-of-some-length-%d",
			       i * 1000);
		add(claims, name);
	}
	assert_true(idle("win11"));
	add(claims, UUID);
	assert_false(idle("win11"));
}

static void what_it_cannot_tell_is_left_to_the_hook(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(mkdir(policies, 0700), 0);
	assert_false(idle(name));
	assert_false(idle(""));
	assert_false(idle("a/b"));
	assert_true(idle("win11"));
	add(base, "usher");
	assert_false(idle("win11"));
}

static void a_file_in_place_of_the_policies_is_left_to_the_hook(void **state)
{
	(void)state;
	add(base, "conf.d");
	assert_false(idle("win11"));
}

static void a_very_long_name_does_not_overflow(void **state)
{
	size_t len = 100000;
	_cleanup_free_ char *name = malloc(len + 1);

	(void)state;
	assert_non_null(name);
	memset(name, 'x', len);
	name[len] = '\0';
	assert_false(idle(name));
}

static void other_counts_of_arguments_are_left_to_the_hook(void **state)
{
	char *argv[] = { (char[]){ "qemu" }, (char[]){ "win11" }, NULL };

	(void)state;
	assert_false(entry_idle_at(2, argv, policies, claims));
	assert_false(entry_idle_at(1, argv, policies, claims));
	assert_false(entry_idle_at(0, argv, policies, claims));
	assert_false(entry_idle_at(6, argv, policies, claims));
}

/* A session daemon of an unprivileged user runs the same hook */
static void who_is_not_root_has_no_business_here(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	add(policies, "win11.ini");
	if (geteuid() != 0) {
		assert_true(idle("win11"));
		return;
	}
	pid = fork();
	if (pid == 0)
		_exit(setuid(65534) < 0 ? 2 : !idle("win11"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_without_policy_and_nobody_with_a_claim_is_nothing_to_do),
		TEST(a_guest_with_a_policy_is_looked_after),
		TEST(a_policy_that_is_a_dangling_link_is_not_passed_over),
		TEST(while_any_guest_has_a_claim_every_start_is_looked_at),
		TEST(what_it_cannot_tell_is_left_to_the_hook),
		TEST(a_file_in_place_of_the_policies_is_left_to_the_hook),
		TEST(a_very_long_name_does_not_overflow),
		TEST(other_counts_of_arguments_are_left_to_the_hook),
		TEST(who_is_not_root_has_no_business_here),
	};

#ifndef __x86_64__
	/* There is no way in before the C library: all is left to the hook */
	return 0;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
