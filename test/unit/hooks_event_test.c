/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hooks_event_test.c - what the hook makes of its command line */

#include "tree.h"

#include <getopt.h>

#include "hooks/event.h"

/* As libvirt calls it; @line is copied because getopt_long(3) wants char * and may reorder */
static int parse(const char *const *line, struct event *ret)
{
	static char words[16][64];
	char *argv[17] = { 0 };
	int argc = 0;

	for (; line[argc]; argc++) {
		assert_in_range(strlen(line[argc]), 0, sizeof(words[0]) - 1);
		argv[argc] = strcpy(words[argc], line[argc]);
	}
	/* glibc: start getopt_long() anew */
	optind = 0;
	return event_parse(argc, argv, ret);
}

static void every_operation_of_libvirts_is_known(void **state)
{
	static const struct {
		const char *op, *sub;
		enum event_op want;
	} operations[] = {
		{ "prepare", "begin", EVENT_PREPARE },
		{ "start", "begin", EVENT_START },
		{ "started", "begin", EVENT_STARTED },
		{ "stopped", "end", EVENT_STOPPED },
		{ "release", "end", EVENT_RELEASE },
		{ "reconnect", "begin", EVENT_RECONNECT },
		{ "restore", "begin", EVENT_IGNORE },
		{ "migrate", "begin", EVENT_IGNORE },
		{ "attach", "begin", EVENT_IGNORE },
		{ "prepare", "end", EVENT_IGNORE },
		{ "something-new", "begin", EVENT_IGNORE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		const char *const line[] = { "hook", "g", operations[i].op, operations[i].sub,
					     "-",    NULL };
		struct event event;

		assert_int_equal(parse(line, &event), 0);
		assert_int_equal(event.op, operations[i].want);
	}
}

static void a_guest_may_be_named_like_an_option(void **state)
{
	static const char *const names[] = { "--help", "--plan", "--root", "-x", "--", "..", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *const line[] = { "hook", names[i], "prepare", "begin", "-", NULL };
		struct event event;

		assert_int_equal(parse(line, &event), 0);
		assert_string_equal(event.guest, names[i]);
		assert_int_equal(event.op, EVENT_PREPARE);
		assert_false(event.by_hand);
		assert_false(event.plan);
		assert_string_equal(event.root, "/");
	}
}

static void the_reason_with_a_blank_in_it_is_one_word(void **state)
{
	static const char *const line[] = { "hook", "g", "release", "end", "from snapshot", NULL };
	struct event event;

	(void)state;
	assert_int_equal(parse(line, &event), 0);
	assert_string_equal(event.extra, "from snapshot");
	assert_int_equal(event.op, EVENT_RELEASE);
}

static void options_stand_before_the_four_words_by_hand(void **state)
{
	static const char *const line[] = { "hook",	 "--root", "/tree",    "--plan",
					    "--xml",	 "f.xml",  "--policy", "p.ini",
					    "--helpers", "/bin",   "--",       "--odd",
					    "prepare",	 "begin",  "-",	       NULL };
	struct event event;

	(void)state;
	assert_int_equal(parse(line, &event), 0);
	assert_true(event.by_hand && event.plan);
	assert_string_equal(event.root, "/tree");
	assert_string_equal(event.xml, "f.xml");
	assert_string_equal(event.policy, "p.ini");
	assert_string_equal(event.helpers, "/bin");
	assert_string_equal(event.guest, "--odd");
	assert_int_equal(event.op, EVENT_PREPARE);
}

static void a_wrong_command_line_by_hand_is_refused(void **state)
{
	static const char *const few[] = { "hook", "g", "prepare", "begin", NULL };
	static const char *const many[] = { "hook", "g", "prepare", "begin", "-", "more", NULL };
	static const char *const unknown[] = { "hook",	"--no-such", "g", "prepare",
					       "begin", "-",	     NULL };
	static const char *const *const lines[] = { few, many, unknown };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct event event;

		assert_int_equal(parse(lines[i], &event), -EINVAL);
	}
	assert_non_null(strstr(event_usage(), "by hand"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_of_libvirts_is_known),
		cmocka_unit_test(a_guest_may_be_named_like_an_option),
		cmocka_unit_test(the_reason_with_a_blank_in_it_is_one_word),
		cmocka_unit_test(options_stand_before_the_four_words_by_hand),
		cmocka_unit_test(a_wrong_command_line_by_hand_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
