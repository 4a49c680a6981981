/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/ini_fuzz.c - INI files as they come, and documents built of three strings */

#include "fuzz.h"

#include "lib/ini.h"

/* The physical line an entry says it is from, NUL-terminated */
static char *line_of(const char *text, size_t len, unsigned int line)
{
	const char *p = text, *end = text + len, *newline;

	while (--line > 0) {
		p = memchr(p, '\n', (size_t)(end - p));
		CHECK(p);
		p++;
	}
	newline = memchr(p, '\n', (size_t)(end - p));
	return fuzz_text((const uint8_t *)p, (size_t)((newline ? newline : end) - p));
}

/* Nothing is cut, joined or made up: each name stands in its own line */
static void check_entries(const struct inidoc *doc, const char *text, size_t len)
{
	struct inidoc copy = { 0 };
	unsigned int last_line = 0;

	for (size_t i = 0; i < doc->nr; i++) {
		const struct inidoc_entry *e = &doc->entries[i];
		_cleanup_free_ char *line = NULL;

		CHECK(e->line > last_line);
		last_line = e->line;
		line = line_of(text, len, e->line);
		CHECK(strstr(line, e->key) && strstr(line, e->value));
		CHECK(strlen(line) >= strlen(e->key) + 1 + strlen(e->value));
		/* What can be read can be written */
		CHECK(inidoc_add(&copy, e->section, e->key, e->value) == 0);
	}
	inidoc_free(&copy);
}

/* The same entries in the same order within each section */
static void check_same(const struct inidoc *a, const struct inidoc *b)
{
	CHECK(a->nr == b->nr);
	for (size_t i = 0; i < a->nr; i++) {
		const char *section = a->entries[i].section;
		const struct inidoc_entry *ea = NULL, *eb = NULL;

		if (inidoc_next(a, NULL, section, NULL) != &a->entries[i])
			continue;
		while ((ea = inidoc_next(a, ea, section, NULL))) {
			eb = inidoc_next(b, eb, section, NULL);
			CHECK(eb && !strcmp(ea->key, eb->key) && !strcmp(ea->value, eb->value));
		}
		CHECK(!inidoc_next(b, eb, section, NULL));
	}
}

static void check_format(const struct inidoc *doc)
{
	_cleanup_inidoc_ struct inidoc back = { 0 };
	_cleanup_free_ char *text = NULL, *again = NULL;
	struct ini_error err = { 0 };
	size_t len, again_len;

	CHECK(inidoc_format(doc, &text, &len) == 0);
	CHECK(strlen(text) == len);
	CHECK(inidoc_parse(text, len, &back, &err) == 0);
	check_same(doc, &back);
	CHECK(inidoc_format(&back, &again, &again_len) == 0);
	CHECK(strcmp(text, again) == 0);
}

static void check_error(const struct ini_error *err, const char *text, size_t len)
{
	unsigned int lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	CHECK(err->line <= lines);
	CHECK(*err->what);
	for (const char *p = err->what; *p; p++)
		CHECK(*p >= ' ' && *p < 0x7f);
}

static void check_file(const uint8_t *data, size_t size)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = fuzz_text(data, size);
	struct ini_error err = { 0 };
	int r = inidoc_parse(text, size, &doc, &err);

	CHECK(r == 0 || r == -EBADMSG);
	if (r < 0) {
		CHECK(doc.nr == 0);
		check_error(&err, text, size);
		return;
	}
	check_entries(&doc, text, size);
	check_format(&doc);
}

/* SECTION NUL KEY NUL VALUE NUL SECTION ... */
static void check_built(const uint8_t *data, size_t size)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = fuzz_text(data, size);
	const char *names[3], *p = text;

	while (p < text + size) {
		int r;

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			names[i] = p;
			p += p < text + size ? strlen(p) + 1 : 0;
			p = p < text + size ? p : text + size;
		}
		r = inidoc_add(&doc, names[0], names[1], names[2]);
		CHECK(r == 0 || r == -EINVAL);
		CHECK(r < 0 || inidoc_get(&doc, names[0], names[1]));
	}
	check_format(&doc);
}

/* The first byte says which: '=' builds a document */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == '=')
		check_built(data + 1, size - 1);
	else
		check_file(data, size);
	return 0;
}
