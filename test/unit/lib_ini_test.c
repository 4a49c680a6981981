/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_ini_test.c - every INI file */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk open_memstream */

#include "tree.h"

#include "lib/ini.h"
#include "nomem.h"

/* Names as long as inih takes them */
#define X10 "xxxxxxxxxx"
#define X49 X10 X10 X10 X10 "xxxxxxxxx"

/* What a row expects: entries as "section|key|value|line", one a line */
static void assert_doc(const struct inidoc *doc, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < doc->nr; i++) {
		const struct inidoc_entry *e = &doc->entries[i];

		fprintf(f, "%s|%s|%s|%u\n", e->section, e->key, e->value, e->line);
	}
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, expected);
}

static void assert_parse(const char *text, const char *expected)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	struct ini_error err = { 0 };

	assert_int_equal(inidoc_parse(text, strlen(text), &doc, &err), 0);
	assert_doc(&doc, expected);
}

static void assert_refused_len(const char *text, size_t len, unsigned int line, const char *what)
{
	struct inidoc doc = { 0 };
	struct ini_error err = { .line = 99, .what = "old" };

	assert_int_equal(inidoc_parse(text, len, &doc, &err), -EBADMSG);
	assert_string_equal(err.what, what);
	assert_int_equal(err.line, line);
	assert_int_equal(doc.nr, 0);
	assert_null(doc.entries);
}

static void assert_refused(const char *text, unsigned int line, const char *what)
{
	assert_refused_len(text, strlen(text), line, what);
}

/* "[s]\nkey = VALUE\n" */
static char *one_entry(const char *value)
{
	char *text = NULL;

	assert_true(asprintf(&text, "[s]\nkey = %s\n", value) > 0);
	return text;
}

static void assert_value_kept(const char *value)
{
	_cleanup_free_ char *text = one_entry(value);
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	struct ini_error err = { 0 };

	assert_int_equal(inidoc_parse(text, strlen(text), &doc, &err), 0);
	assert_int_equal(doc.nr, 1);
	assert_string_equal(doc.entries[0].value, value);
	assert_int_equal(doc.entries[0].line, 2);
}

static int parse_and_free(const char *text)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	struct ini_error err = { 0 };

	return inidoc_parse(text, strlen(text), &doc, &err);
}

/* --- What is read ----------------------------------------------------------------------------- */
static void plain_files_are_read_with_their_lines(void **state)
{
	(void)state;
	assert_parse("", "");
	assert_parse("[empty]\n", "");
	assert_parse("[display left]\ninput = DP-1\n\n[vfio]\ndevices = 01:00.0, 01:00.1\n",
		     "display left|input|DP-1|2\nvfio|devices|01:00.0, 01:00.1|5\n");
	assert_parse("[a]\nk=1", "a|k|1|2\n");
	assert_parse("[a]\nk: 1\nk =\nk=2=3:4\n", "a|k|1|2\na|k||3\na|k|2=3:4|4\n");
}

static void windows_files_are_read(void **state)
{
	(void)state;
	assert_parse("\xef\xbb\xbf[a]\r\nk = 1\r\n\r\nl = 2\r\n", "a|k|1|2\na|l|2|4\n");
	assert_parse("\xef\xbb\xbf# c\r\n[a]\r\nk = 1", "a|k|1|3\n");
}

static void indented_lines_are_entries_of_their_own(void **state)
{
	(void)state;
	assert_parse("  [a]\n  k = 1\n\tl = 2\n", "a|k|1|2\na|l|2|3\n");
}

static void comments_are_left_out(void **state)
{
	(void)state;
	assert_parse("# c\n; c\n[a] ; c\n  # c\nk = 1 ; c\nl = ; c\nm = 1\t;c\n",
		     "a|k|1|5\na|l||6\na|m|1|7\n");
	assert_parse("[a] # left monitor\n[b];c\nk = 1\n", "b|k|1|3\n");
}

static void comment_signs_inside_a_value_stay(void **state)
{
	(void)state;
	assert_parse("[a]\nk = a;b\nl = #1 # 2\nm =;x\nn = \"a;b\"\n",
		     "a|k|a;b|2\na|l|#1 # 2|3\na|m|;x|4\na|n|\"a;b\"|5\n");
}

static void sections_may_come_back_and_keys_may_repeat(void **state)
{
	(void)state;
	assert_parse("[a]\nk = 1\n[b]\nk = 2\n[a]\nk = 3\nk = 3\n",
		     "a|k|1|2\nb|k|2|4\na|k|3|6\na|k|3|7\n");
}

static void blanks_around_names_are_cut_off(void **state)
{
	(void)state;
	assert_parse("[ display left ]\n  two words \t=\t two words \t\n",
		     "display left|two words|two words|2\n");
	assert_parse("[[a]\nk = [b]\n", "[a|k|[b]|2\n");
}

static void names_of_49_bytes_are_read_whole(void **state)
{
	(void)state;
	assert_parse("[" X49 "]\n" X49 " = 1\n", X49 "|" X49 "|1|2\n");
}

/* --- Long lines ------------------------------------------------------------------------------- */
static void values_of_every_length_around_inihs_buffer_are_kept(void **state)
{
	char value[701];

	(void)state;
	for (size_t len = 1; len < sizeof(value); len++) {
		for (size_t i = 0; i < len; i++)
			value[i] = (char)('a' + i % 26);
		value[len] = '\0';
		assert_value_kept(value);
	}
}

static void long_values_keep_every_byte_at_every_cut(void **state)
{
	static const char *const patterns[] = {
		";",   "#",    "|",	    "=",   ":",	       "[",	  "]",
		"a  ", "a # ", "[a] = b: ", "|; ", "\xc3\xbc", "a\t\t\t", "x" X49 " " X49 "  #",
	};
	char value[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		for (size_t shift = 0; shift < 8; shift++) {
			size_t len = strlen(patterns[i]);

			for (size_t j = 0; j < sizeof(value) - 2; j++)
				value[j] = patterns[i][(j + shift) % len];
			/* What is no part of a value: a blank at an end, a comment */
			for (size_t j = 1; j < sizeof(value) - 2; j++) {
				if (value[j] == ';' && value[j - 1] == ' ')
					value[j] = 'x';
			}
			value[0] = 'A';
			value[sizeof(value) - 2] = 'Z';
			value[sizeof(value) - 1] = '\0';
			assert_value_kept(value);
		}
	}
}

static void long_run_of_blanks_inside_a_value_is_kept(void **state)
{
	char value[600];

	(void)state;
	memset(value, ' ', sizeof(value));
	value[0] = 'a';
	value[sizeof(value) - 2] = 'z';
	value[sizeof(value) - 1] = '\0';
	assert_value_kept(value);
}

static void lines_behind_a_long_one_keep_their_number_and_section(void **state)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	struct ini_error err = { 0 };

	(void)state;
	assert_true(asprintf(&text, "[a]\nk = %0500d ; c\n\nl = 1\n[b]\nm = 2\n", 7) > 0);
	assert_int_equal(inidoc_parse(text, strlen(text), &doc, &err), 0);
	assert_int_equal(doc.nr, 3);
	assert_int_equal(strlen(doc.entries[0].value), 500);
	assert_string_equal(doc.entries[1].key, "l");
	assert_int_equal(doc.entries[1].line, 4);
	assert_string_equal(doc.entries[2].section, "b");
	assert_int_equal(doc.entries[2].line, 6);
}

static void long_comment_lines_are_skipped(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_true(asprintf(&text, "[a]\n# %0500d = x\nk = 1 ; %0500d\n", 7, 7) > 0);
	assert_parse(text, "a|k|1|3\n");
}

static void line_may_have_65536_bytes_and_not_one_more(void **state)
{
	_cleanup_free_ char *value = malloc(INI_LINE_MAX), *windows = NULL, *longer = NULL;

	(void)state;
	memset(value, 'v', INI_LINE_MAX);
	value[INI_LINE_MAX - strlen("key = ")] = '\0';
	assert_value_kept(value);
	/* Neither CR nor LF counts */
	assert_true(asprintf(&windows, "[s]\r\nkey = %s\r\n", value) > 0);
	assert_int_equal(parse_and_free(windows), 0);
	assert_true(asprintf(&longer, "[s]\nkey = %sv\n", value) > 0);
	assert_refused(longer, 2, "line is longer than 65536 bytes");
}

/* --- What is refused -------------------------------------------------------------------------- */
static void lines_that_are_neither_are_refused(void **state)
{
	static const char what[] = "expected 'key = value' or '[section]'";

	(void)state;
	assert_refused("[a]\nk = 1\nword\n", 3, what);
	assert_refused("[a]\n= 1\n", 2, what);
	assert_refused("[a]\n : 1\n", 2, what);
	assert_refused("[a]\nword ; k = 1\n", 2, what);
	assert_refused("word", 1, what);
}

static void keys_before_any_section_are_refused(void **state)
{
	(void)state;
	assert_refused("\n\nk = 1\n[a]\n", 3, "expected a '[section]' before the first key");
}

static void broken_section_lines_are_refused(void **state)
{
	(void)state;
	assert_refused("\n[a\n", 2, "']' is missing behind the name of the section");
	assert_refused("[", 1, "']' is missing behind the name of the section");
	assert_refused("[a ; b]\n", 1, "']' is missing behind the name of the section");
	assert_refused("[]\n", 1, "the section has no name");
	assert_refused("[ \t ]\n", 1, "the section has no name");
	assert_refused("[a] k = 1\n", 1, "text behind ']': put it on a line of its own");
}

static void names_inih_would_cut_are_refused(void **state)
{
	(void)state;
	assert_refused("[a]\n[" X49 "x]\n", 2, "name of the section is longer than 49 bytes");
	assert_refused("[a]\n" X49 "x = 1\n", 2, "key is longer than 49 bytes");
}

static void nul_bytes_are_refused_with_their_line(void **state)
{
	static const char text[] = "[a]\nk = 1\nl = \0002\n";

	(void)state;
	assert_refused_len(text, sizeof(text) - 1, 3,
			   "NUL byte: is this a text file saved as UTF-16?");
	/* UTF-16 without a byte order mark, and a NUL in a comment */
	assert_refused_len("[\0a\0]\0\n\0", 8, 1, "NUL byte: is this a text file saved as UTF-16?");
	assert_refused_len("#\0\n", 3, 1, "NUL byte: is this a text file saved as UTF-16?");
}

static void utf16_is_told_by_its_byte_order_mark(void **state)
{
	(void)state;
	assert_refused_len("\xff\xfe[\0", 4, 0, "text is saved as UTF-16: save it as UTF-8");
	assert_refused_len("\xfe\xff\0[", 4, 0, "text is saved as UTF-16: save it as UTF-8");
}

static void files_may_have_1_mib_and_not_one_byte_more(void **state)
{
	_cleanup_free_ char *text = malloc(INI_FILE_MAX + 1);
	struct inidoc doc = { 0 };
	struct ini_error err = { 0 };

	(void)state;
	memset(text, '\n', INI_FILE_MAX + 1);
	assert_int_equal(inidoc_parse(text, INI_FILE_MAX, &doc, &err), 0);
	assert_refused_len(text, INI_FILE_MAX + 1, 0, "file is longer than 1 MiB");
}

static void first_error_of_several_is_told(void **state)
{
	(void)state;
	assert_refused("[a]\nk = 1\none\n[two\n", 3, "expected 'key = value' or '[section]'");
}

static void parse_survives_without_memory(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	/* Two entries of three copies, two growths, and pieces of a value too long for any inih */
	assert_true(asprintf(&text, "[a]\nk = 1\nl = %05000d\n", 7) > 0);
	assert_nomem(parse_and_free(text), 10);
}

/* --- Building documents ----------------------------------------------------------------------- */
static void add_refuses_what_would_not_come_back(void **state)
{
	static const struct {
		const char *section, *key, *value;
	} rows[] = {
		{ "", "k", "v" },      { " a", "k", "v" },   { "a ", "k", "v" },
		{ "a]b", "k", "v" },   { "a\nb", "k", "v" }, { "a ;b", "k", "v" },
		{ X49 "x", "k", "v" }, { "a", "", "v" },     { "a", " k", "v" },
		{ "a", "k ", "v" },    { "a", "k=l", "v" },  { "a", "k:l", "v" },
		{ "a", "k\nl", "v" },  { "a", "k ;l", "v" }, { "a", ";k", "v" },
		{ "a", "#k", "v" },    { "a", "[k", "v" },   { "a", X49 "x", "v" },
		{ "a", "k", " v" },    { "a", "k", "v\t" },  { "a", "k", "v\nw" },
		{ "a", "k", "v ;w" },  { "a", "k", "v\r" },  { "a", "k", "v\v;" },
		{ "a", "k", " " },
	};
	_cleanup_inidoc_ struct inidoc doc = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(inidoc_add(&doc, rows[i].section, rows[i].key, rows[i].value),
				 -EINVAL);
		assert_int_equal(
			inidoc_addf(&doc, rows[i].section, rows[i].key, "%s", rows[i].value),
			-EINVAL);
	}
	assert_int_equal(doc.nr, 0);
}

static void add_refuses_a_line_that_would_be_too_long(void **state)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 }, back = { 0 };
	_cleanup_free_ char *value = malloc(INI_LINE_MAX), *text = NULL;
	struct ini_error err = { 0 };
	size_t len;

	(void)state;
	memset(value, 'v', INI_LINE_MAX);
	value[INI_LINE_MAX - 1] = '\0';
	assert_int_equal(inidoc_add(&doc, "a", "k", value), -EINVAL);
	value[INI_LINE_MAX - 2] = '\0';
	assert_int_equal(inidoc_add(&doc, "a", "k", value), 0);
	assert_int_equal(inidoc_format(&doc, &text, &len), 0);
	assert_int_equal(inidoc_parse(text, len, &back, &err), 0);
	assert_string_equal(back.entries[0].value, value);
}

static void add_and_addf_append_with_no_line(void **state)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };

	(void)state;
	assert_int_equal(inidoc_add(&doc, "a", "k", "v"), 0);
	assert_int_equal(inidoc_addf(&doc, "a", "k", "%d-%s", 7, "x"), 0);
	assert_int_equal(inidoc_add(&doc, "b", "k", ""), 0);
	assert_doc(&doc, "a|k|v|0\na|k|7-x|0\nb|k||0\n");
}

static void set_replaces_the_first_or_appends(void **state)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };

	(void)state;
	assert_int_equal(inidoc_add(&doc, "a", "k", "1"), 0);
	assert_int_equal(inidoc_add(&doc, "a", "k", "2"), 0);
	assert_int_equal(inidoc_set(&doc, "a", "k", "3"), 0);
	assert_int_equal(inidoc_set(&doc, "b", "k", "4"), 0);
	assert_int_equal(inidoc_set(&doc, "a", "k", "x\ny"), -EINVAL);
	assert_int_equal(inidoc_set(&doc, "c", "k", "x\ny"), -EINVAL);
	assert_doc(&doc, "a|k|3|0\na|k|2|0\nb|k|4|0\n");
}

static void get_finds_the_first_value(void **state)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };

	(void)state;
	assert_null(inidoc_get(&doc, "a", "k"));
	assert_int_equal(inidoc_add(&doc, "b", "k", "0"), 0);
	assert_int_equal(inidoc_add(&doc, "a", "k", "1"), 0);
	assert_int_equal(inidoc_add(&doc, "a", "k", "2"), 0);
	assert_string_equal(inidoc_get(&doc, "a", "k"), "1");
	assert_null(inidoc_get(&doc, "a", "l"));
	assert_null(inidoc_get(&doc, "c", "k"));
	assert_int_equal(inidoc_has_section(&doc, "a"), 1);
	assert_int_equal(inidoc_has_section(&doc, "c"), 0);
}

static void next_walks_one_section_and_key(void **state)
{
	static const char *const keys[] = { "k", "l", "k" };
	const struct inidoc_entry *e = NULL;
	_cleanup_inidoc_ struct inidoc doc = { 0 };

	(void)state;
	assert_null(inidoc_next(&doc, NULL, "a", NULL));
	assert_int_equal(inidoc_add(&doc, "a", "k", "1"), 0);
	assert_int_equal(inidoc_add(&doc, "a", "l", "2"), 0);
	assert_int_equal(inidoc_add(&doc, "b", "k", "3"), 0);
	assert_int_equal(inidoc_add(&doc, "a", "k", "4"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		e = inidoc_next(&doc, e, "a", NULL);
		assert_non_null(e);
		assert_string_equal(e->key, keys[i]);
	}
	assert_null(inidoc_next(&doc, e, "a", NULL));
	e = inidoc_next(&doc, NULL, "a", "k");
	assert_string_equal(e->value, "1");
	e = inidoc_next(&doc, e, "a", "k");
	assert_string_equal(e->value, "4");
	assert_null(inidoc_next(&doc, e, "a", "k"));
}

/* --- inidoc_format() -------------------------------------------------------------------------- */
static void format_groups_sections_in_order_of_first_appearance(void **state)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = NULL, *nothing = NULL;
	size_t len;

	(void)state;
	assert_int_equal(inidoc_format(&doc, &nothing, &len), 0);
	assert_string_equal(nothing, "");
	assert_int_equal(len, 0);
	assert_int_equal(inidoc_add(&doc, "z", "k", "1"), 0);
	assert_int_equal(inidoc_add(&doc, "a", "l", ""), 0);
	assert_int_equal(inidoc_add(&doc, "z", "a", ";x"), 0);
	assert_int_equal(inidoc_add(&doc, "z", "k", "2"), 0);
	assert_int_equal(inidoc_format(&doc, &text, &len), 0);
	assert_string_equal(text, "[z]\nk = 1\na=;x\nk = 2\n\n[a]\nl =\n");
	assert_int_equal(len, strlen(text));
}

static void format_comes_back_as_the_same_document(void **state)
{
	static const char text[] = "[z]\nk = 1  2\nm =;\n[a]\nl = #;\ne =\n";
	_cleanup_inidoc_ struct inidoc doc = { 0 }, back = { 0 };
	_cleanup_free_ char *formatted = NULL;
	struct ini_error err = { 0 };
	size_t len;

	(void)state;
	assert_int_equal(inidoc_parse(text, strlen(text), &doc, &err), 0);
	assert_int_equal(inidoc_addf(&doc, "a", "long", "%0700d # |", 3), 0);
	assert_int_equal(inidoc_format(&doc, &formatted, &len), 0);
	assert_int_equal(inidoc_parse(formatted, len, &back, &err), 0);
	assert_int_equal(back.nr, doc.nr);
	for (size_t i = 0; i < doc.nr; i++) {
		assert_string_equal(back.entries[i].section, doc.entries[i].section);
		assert_string_equal(back.entries[i].key, doc.entries[i].key);
		assert_string_equal(back.entries[i].value, doc.entries[i].value);
	}
}

static void format_of_a_file_that_was_full_can_be_read(void **state)
{
	_cleanup_free_ char *text = malloc(INI_FILE_MAX), *formatted = NULL;
	_cleanup_inidoc_ struct inidoc doc = { 0 }, back = { 0 };
	struct ini_error err = { 0 };
	size_t len;

	(void)state;
	for (size_t i = 0; i < INI_FILE_MAX; i += 4)
		memcpy(text + i, i ? "k=1\n" : "[a]\n", 4);
	assert_int_equal(inidoc_parse(text, INI_FILE_MAX, &doc, &err), 0);
	assert_int_equal(inidoc_format(&doc, &formatted, &len), 0);
	assert_int_equal(inidoc_parse(formatted, len, &back, &err), 0);
	assert_int_equal(back.nr, INI_FILE_MAX / 4 - 1);
}

static int build_and_free(void)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = inidoc_add(&doc, "a", "k", "1");
	if (r == 0)
		r = inidoc_addf(&doc, "a", "l", "%d", 2);
	if (r == 0)
		r = inidoc_set(&doc, "a", "k", "3");
	if (r == 0)
		r = inidoc_set(&doc, "b", "k", "3");
	if (r == 0)
		r = inidoc_format(&doc, &text, &len);
	return r;
}

static void building_survives_without_memory(void **state)
{
	(void)state;
	/* Three entries of three copies, two growths, vasprintf, a set value, two for the text */
	assert_nomem(build_and_free(), 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_files_are_read_with_their_lines),
		cmocka_unit_test(windows_files_are_read),
		cmocka_unit_test(indented_lines_are_entries_of_their_own),
		cmocka_unit_test(comments_are_left_out),
		cmocka_unit_test(comment_signs_inside_a_value_stay),
		cmocka_unit_test(sections_may_come_back_and_keys_may_repeat),
		cmocka_unit_test(blanks_around_names_are_cut_off),
		cmocka_unit_test(names_of_49_bytes_are_read_whole),
		cmocka_unit_test(values_of_every_length_around_inihs_buffer_are_kept),
		cmocka_unit_test(long_values_keep_every_byte_at_every_cut),
		cmocka_unit_test(long_run_of_blanks_inside_a_value_is_kept),
		cmocka_unit_test(lines_behind_a_long_one_keep_their_number_and_section),
		cmocka_unit_test(long_comment_lines_are_skipped),
		cmocka_unit_test(line_may_have_65536_bytes_and_not_one_more),
		cmocka_unit_test(lines_that_are_neither_are_refused),
		cmocka_unit_test(keys_before_any_section_are_refused),
		cmocka_unit_test(broken_section_lines_are_refused),
		cmocka_unit_test(names_inih_would_cut_are_refused),
		cmocka_unit_test(nul_bytes_are_refused_with_their_line),
		cmocka_unit_test(utf16_is_told_by_its_byte_order_mark),
		cmocka_unit_test(files_may_have_1_mib_and_not_one_byte_more),
		cmocka_unit_test(first_error_of_several_is_told),
		cmocka_unit_test(parse_survives_without_memory),
		cmocka_unit_test(add_refuses_what_would_not_come_back),
		cmocka_unit_test(add_refuses_a_line_that_would_be_too_long),
		cmocka_unit_test(add_and_addf_append_with_no_line),
		cmocka_unit_test(set_replaces_the_first_or_appends),
		cmocka_unit_test(get_finds_the_first_value),
		cmocka_unit_test(next_walks_one_section_and_key),
		cmocka_unit_test(format_groups_sections_in_order_of_first_appearance),
		cmocka_unit_test(format_comes_back_as_the_same_document),
		cmocka_unit_test(format_of_a_file_that_was_full_can_be_read),
		cmocka_unit_test(building_survives_without_memory),
	};

	return cmocka_run_group_tests_name("lib/ini", tests, NULL, NULL);
}
