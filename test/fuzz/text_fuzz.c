/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/text_fuzz.c - escaping, printable names, splitting, nearest word */

#include "fuzz.h"

#include "lib/text.h"

static void check_encode(const char *text)
{
	_cleanup_free_ char *word = NULL, *back = NULL;

	CHECK(text_encode(text, &word) == 0);
	CHECK(*word && !strpbrk(word, " \t\n\r\v\f\"'=;#[]\\"));
	for (const char *p = word; *p; p++)
		CHECK(*p > ' ' && *p < 0x7f);
	CHECK(text_decode(word, &back) == 0);
	CHECK(strcmp(back, text) == 0);
}

static void check_decode(const char *word)
{
	_cleanup_free_ char *text = NULL, *back = NULL;
	int r = text_decode(word, &text);

	CHECK(r == 0 || r == -EBADMSG);
	if (r < 0)
		return;
	CHECK(text_encode(text, &back) == 0);
	CHECK(strcmp(back, word) == 0);
}

static void check_printable(const char *text)
{
	_cleanup_free_ char *out = NULL, *again = NULL;

	CHECK(text_printable(text, &out) == 0);
	CHECK(strlen(out) >= strlen(text));
	for (const char *p = out; *p; p++)
		CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
	/* No lone C1 control, no bidirectional override, no invalid UTF-8: printed as it is */
	CHECK(text_printable(out, &again) == 0);
	CHECK(strcmp(out, again) == 0);
	CHECK(!strstr(out, "\xe2\x80\xae") && !strstr(out, "\xc2\x9b"));
}

static void check_split(const char *text)
{
	static const char separators[] = " ,";
	_cleanup_strlist_ struct strlist list = { 0 };
	size_t len = 0, plain = 0;

	CHECK(text_split(text, separators, &list) == 0);
	for (size_t i = 0; i < list.nr; i++) {
		CHECK(*list.names[i] && !strpbrk(list.names[i], separators));
		CHECK(strlist_has(&list, list.names[i]));
		len += strlen(list.names[i]);
	}
	for (const char *p = text; *p; p++)
		plain += !strchr(separators, *p);
	CHECK(len == plain);
	if (list.nr > 0) {
		const char *const *names = (const char *const *)list.names;
		const char *nearest = text_nearest(names[0], names, list.nr);

		/* Nothing is nearer to a word than itself */
		CHECK(strlen(names[0]) > 64 || (nearest && strcasecmp(nearest, names[0]) == 0));
		(void)text_nearest(names[list.nr - 1], names, list.nr - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);

	check_encode(text);
	check_decode(text);
	check_printable(text);
	check_split(text);
	return 0;
}
