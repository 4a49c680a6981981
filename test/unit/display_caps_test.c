/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_caps_test.c - the inputs in a capabilities string */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "helpers/display/caps.h"

/* "0f 11", or what went wrong as a number */
static const char *inputs_of(const char *text)
{
	static char said[CAPS_INPUTS_MAX * 3 + 1];
	struct caps_inputs inputs = { 0 };
	int r = caps_parse_inputs(text, strlen(text), &inputs);

	said[0] = '\0';
	if (r < 0) {
		assert_int_equal(r, -ENODATA);
		assert_int_equal(inputs.nr, 0);
		return "none";
	}
	for (size_t i = 0; i < inputs.nr; i++)
		(void)snprintf(said + strlen(said), sizeof(said) - strlen(said), i ? " %02x" : "%02x",
			       inputs.inputs[i]);
	return said;
}

static void inputs_are_read_from_strings_as_monitors_have_them(void **state)
{
	static const struct {
		const char *text, *inputs;
	} cases[] = {
		{ "(prot(monitor)type(lcd)model(Lab 24)cmds(01 02 03 07 0C E3 F3)vcp(10 60(0F 11 12) "
		  "D6(01 04) DF)mccs_ver(2.2))",
		  "0f 11 12" },
		/* Without blanks, without the outer brackets, in lower case */
		{ "prot(monitor)vcp(1060(0f1112)d6(0104))", "0f 11 12" },
		{ "(VCP ( 02 04 60 ( 0F 1B 90 ) 62 ))", "0f 1b 90" },
		/* Values of others that look like it */
		{ "(vcp(14(60 05) 60(01 03) 60(11)))", "01 03" },
		{ "(vcp(14(60(05)) 60(0F)))", "0f" },
		{ "(vcpname(60(05))vcp(60(11)))", "11" },
		{ "(type(vcp)vcp(60(11)))", "11" },
		/* Cut off */
		{ "(vcp(10 60(0F 11", "0f 11" },
		{ "(vcp(10 60(0F 1", "0f" },
		/* None */
		{ "(vcp(10 60 62))", "none" },
		{ "(vcp(10 60() 62))", "none" },
		{ "(vcp(10 62))", "none" },
		{ "(myvcp(60(11)))", "none" },
		{ "(cmds(60(11)))", "none" },
		{ "(vcp", "none" },
		{ "", "none" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(inputs_of(cases[i].text), cases[i].inputs);
}

static void more_inputs_than_any_monitor_has_are_cut_off(void **state)
{
	char text[16 + CAPS_INPUTS_MAX * 4] = "vcp(60(";
	struct caps_inputs inputs = { 0 };

	(void)state;
	for (int i = 0; i < CAPS_INPUTS_MAX + 2; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%02x ", i);
	assert_int_equal(caps_parse_inputs(text, strlen(text), &inputs), 0);
	assert_int_equal(inputs.nr, CAPS_INPUTS_MAX);
	assert_int_equal(inputs.inputs[CAPS_INPUTS_MAX - 1], CAPS_INPUTS_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inputs_are_read_from_strings_as_monitors_have_them),
		cmocka_unit_test(more_inputs_than_any_monitor_has_are_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
