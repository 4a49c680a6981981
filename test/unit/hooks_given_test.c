/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hooks_given_test.c - scripts of an older tree are given what libvirt gave the hook */

#include "tree.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "hooks/domain.h"
#include "hooks/given.h"
#include "lib/state.h"

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define DIR  "etc/libvirt/hooks/qemu.d/win11/prepare/begin"
#define XML                                                                                        \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid>"                               \
	"<memory unit='KiB'>1024</memory></domain>\n"

/* A process of its own, which has stdin to read once. Return: what given_scripts() did */
static int run_given(const struct tree *tree, int stdinfd, bool parsed)
{
	static const char text[] = "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
				   "\nstate = preparing\nowner = 1 1\n[scripts]\nrun = yes\n";
	const struct host host = { .rootfd = tree->rootfd,
				   .statefd = state_open(tree->rootfd, true),
				   .root = tree->dir,
				   .phase = "prepare" };
	const struct event event = { .guest = "win11", .op_name = "prepare", .extra = "-" };
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct domain domain = { 0 };
		struct domain_error err;
		struct claim claim = { 0 };
		char *why = NULL;
		struct ini_error ini;

		(void)dup2(stdinfd, STDIN_FILENO);
		if (parsed && domain_read(STDIN_FILENO, &domain, &err) < 0)
			_exit(99);
		if (claim_parse(text, strlen(text), &claim, &ini) < 0)
			_exit(98);
		if (claim_store(host.statefd, &claim) < 0)
			_exit(97);
		_exit(given_scripts(&event, &host, &claim, &why));
	}
	(void)close(host.statefd);
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Return: the reading end of a pipe with the XML in it */
static int pipe_of(const char *xml, int *ret_end)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], xml, strlen(xml)), strlen(xml));
	*ret_end = fds[1];
	return fds[0];
}

static void make_scripts(const struct tree *tree)
{
	static const char *const names[] = { DIR "/10-a", DIR "/20-b" };
	char text[256];

	(void)snprintf(text, sizeof(text), "#!/bin/sh\ncat >>%s/told\n", tree->dir);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		tree_file(tree, names[i], text);
		assert_int_equal(fchmodat(tree->rootfd, names[i], 0755, 0), 0);
	}
}

static void each_script_is_given_the_xml_that_was_parsed_before(void **state)
{
	const struct tree *tree = *state;
	int end, fd = pipe_of(XML, &end);

	make_scripts(tree);
	(void)close(end);
	assert_int_equal(run_given(tree, fd, true), 0);
	assert_string_equal(tree_read(tree, "told"), XML XML);
	(void)close(fd);
}

static void each_script_is_given_the_xml_that_nobody_has_read(void **state)
{
	const struct tree *tree = *state;
	int end, fd = pipe_of(XML, &end);

	make_scripts(tree);
	(void)close(end);
	assert_int_equal(run_given(tree, fd, false), 0);
	assert_string_equal(tree_read(tree, "told"), XML XML);
	(void)close(fd);
}

/* Nobody waits longer for it than for libvirt to write */
static void a_pipe_that_is_never_closed_does_not_hang_them(void **state)
{
	const struct tree *tree = *state;
	int end, fd = pipe_of("<domain>", &end);

	make_scripts(tree);
	assert_int_equal(run_given(tree, fd, false), 0);
	assert_string_equal(tree_read(tree, "told"), "<domain><domain>");
	(void)close(fd);
	(void)close(end);
}

static void without_an_xml_there_is_nothing_to_read(void **state)
{
	const struct tree *tree = *state;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	make_scripts(tree);
	assert_int_equal(run_given(tree, fd, false), 0);
	assert_string_equal(tree_read(tree, "told"), "");
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(each_script_is_given_the_xml_that_was_parsed_before),
		tree_test(each_script_is_given_the_xml_that_nobody_has_read),
		tree_test(a_pipe_that_is_never_closed_does_not_hang_them),
		tree_test(without_an_xml_there_is_nothing_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
