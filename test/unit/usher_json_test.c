/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_json_test.c - what programs read is JSON, whatever a guest is called */

#include "tree.h"

#include "helpers/usher/json.h"

static char text[4096];

static FILE *begin(struct json *json)
{
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	json_begin(json, file, "test");
	return file;
}

static void a_document_has_its_format_and_command(void **state)
{
	struct json json;
	FILE *file = begin(&json);

	(void)state;
	json_list(&json, "guests");
	json_object(&json, NULL);
	json_number(&json, "pid", -1);
	json_bool(&json, "alive", true);
	json_string(&json, "cpus", NULL);
	json_close(&json, '}');
	json_close(&json, ']');
	json_list(&json, "none");
	json_close(&json, ']');
	json_end(&json);
	(void)fclose(file);
	assert_string_equal(text, "{\n  \"format\": 1,\n  \"command\": \"test\",\n"
				  "  \"guests\": [\n    {\n      \"pid\": -1,\n"
				  "      \"alive\": true,\n      \"cpus\": null\n    }\n  ],\n"
				  "  \"none\": []\n}\n");
}

static void every_text_comes_out_as_one_string(void **state)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
		{ "win11", "\"win11\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "a\nb\x1b", "\"a\\u000ab\\u001b\"" },
		{ "gäst", "\"gäst\"" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\"" },
		{ "\xff"
		  "a\xc3",
		  "\"\\ufffda\\ufffd\"" },
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },
		/* Overlong, a surrogate, past the last one */
		{ "\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "", "\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json json;
		FILE *file = begin(&json);

		json_string(&json, "v", rows[i].value);
		json_end(&json);
		(void)fclose(file);
		if (!strstr(text, rows[i].want))
			fail_msg("%s is not in %s", rows[i].want, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_has_its_format_and_command),
		cmocka_unit_test(every_text_comes_out_as_one_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
