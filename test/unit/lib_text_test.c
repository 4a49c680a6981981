/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_text_test.c - string lists, escaping, printable names, nearest word */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk open_memstream */

#include "tree.h"

#include "lib/text.h"
#include "nomem.h"

/* --- Lists ------------------------------------------------------------------------------------ */
static void list_keeps_copies_in_order(void **state)
{
	_cleanup_strlist_ struct strlist list = { 0 };
	char name[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(strlist_add(&list, name), 0);
	}
	assert_int_equal(list.nr, 100);
	assert_string_equal(list.names[0], "n0");
	assert_string_equal(list.names[99], "n99");
	assert_true(strlist_has(&list, "n42"));
	assert_false(strlist_has(&list, "n"));
	assert_false(strlist_has(&list, "n100"));
}

static void list_is_empty_and_usable_after_free(void **state)
{
	struct strlist list = { 0 };

	(void)state;
	strlist_free(&list);
	assert_int_equal(strlist_add(&list, "a"), 0);
	strlist_free(&list);
	assert_int_equal(list.nr, 0);
	assert_null(list.names);
	assert_false(strlist_has(&list, "a"));
}

static int add_one(void)
{
	_cleanup_strlist_ struct strlist list = { 0 };

	return strlist_add(&list, "name");
}

static void list_survives_without_memory(void **state)
{
	(void)state;
	assert_nomem(add_one(), 2);
}

/* --- text_split() ----------------------------------------------------------------------------- */
static void split_takes_runs_of_separators_as_one(void **state)
{
	_cleanup_strlist_ struct strlist list = { 0 };

	(void)state;
	assert_int_equal(text_split(" ,one\t two,,three , ", " \t,", &list), 0);
	assert_int_equal(list.nr, 3);
	assert_string_equal(list.names[0], "one");
	assert_string_equal(list.names[1], "two");
	assert_string_equal(list.names[2], "three");
}

static void split_of_nothing_is_empty(void **state)
{
	static const char *const texts[] = { "", " ", ",,, ,\t" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_strlist_ struct strlist list = { 0 };

		assert_int_equal(text_split(texts[i], " \t,", &list), 0);
		assert_int_equal(list.nr, 0);
	}
}

static int split_and_free(const char *text)
{
	_cleanup_strlist_ struct strlist list = { 0 };

	return text_split(text, " ", &list);
}

static void split_survives_without_memory(void **state)
{
	(void)state;
	assert_nomem(split_and_free("one two three"), 6);
}

/* --- text_encode(), text_decode() ------------------------------------------------------------- */
static void encode_escapes_all_but_the_plain_bytes(void **state)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
		{ "", "%" },
		{ "win11", "win11" },
		{ "aZ09._:/+@,-", "aZ09._:/+@,-" },
		{ "a b", "a%20b" },
		{ "100%", "100%25" },
		{ "k=v;#[]\"'\\", "k%3Dv%3B%23%5B%5D%22%27%5C" },
		{ "\n\t\x7f\x01", "%0A%09%7F%01" },
		{ "gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F" },
		{ "\xff", "%FF" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *word = NULL, *text = NULL;

		assert_int_equal(text_encode(rows[i].text, &word), 0);
		assert_string_equal(word, rows[i].word);
		assert_int_equal(text_decode(word, &text), 0);
		assert_string_equal(text, rows[i].text);
	}
}

static void every_byte_comes_back_from_its_escape(void **state)
{
	_cleanup_free_ char *word = NULL, *back = NULL;
	char text[256];

	(void)state;
	for (int i = 1; i < 256; i++)
		text[i - 1] = (char)i;
	text[255] = '\0';
	assert_int_equal(text_encode(text, &word), 0);
	assert_null(strpbrk(word, " \t\n\"'=;#[]"));
	assert_int_equal(text_decode(word, &back), 0);
	assert_string_equal(back, text);
}

static void decode_refuses_what_encode_does_not_write(void **state)
{
	static const char *const words[] = {
		"",	    "a b", "%0a",  "%3d",  "%00",   "%41",    "%2D",
		"%2",	    "a%",  "%%",   "%G0",  "%0G",   "=",      ";",
		"\xc3\xbc", "a\n", "% 20", "%+20", "%%25a", "plain%", "%-1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char *text = NULL;

		assert_int_equal(text_decode(words[i], &text), -EBADMSG);
		assert_null(text);
	}
}

static int call_and_free(int (*fn)(const char *, char **), const char *text)
{
	_cleanup_free_ char *ret = NULL;

	return fn(text, &ret);
}

static void encode_decode_and_printable_survive_without_memory(void **state)
{
	(void)state;
	assert_nomem(call_and_free(text_encode, "a b"), 1);
	assert_nomem(call_and_free(text_decode, "a%20b"), 1);
	assert_nomem(call_and_free(text_printable, "a\nb"), 1);
}

/* --- text_printable() ------------------------------------------------------------------------- */
static void printable_keeps_what_a_person_can_read(void **state)
{
	static const char *const texts[] = {
		"",
		"win11",
		"a b\\c%d",
		"gr\xc3\xbc\xc3\x9f",
		"\xe6\x97\xa5\xe6\x9c\xac",
		"\xf0\x9f\x90\xa7",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *out = NULL;

		assert_int_equal(text_printable(texts[i], &out), 0);
		assert_string_equal(out, texts[i]);
	}
}

static void printable_escapes_what_could_rewrite_the_line(void **state)
{
	static const struct {
		const char *text, *out;
	} rows[] = {
		{ "a\nb", "a\\x0ab" },
		{ "\x1b[2Jx", "\\x1b[2Jx" },
		{ "\x7f", "\\x7f" },
		/* C1 control U+009B, the one-character CSI */
		{ "\xc2\x9b", "\\xc2\\x9b" },
		/* Right-to-left override, zero width space, line separator, tag letter */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },
		{ "\xe2\x80\x8b", "\\xe2\\x80\\x8b" },
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
		{ "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *out = NULL;

		assert_int_equal(text_printable(rows[i].text, &out), 0);
		assert_string_equal(out, rows[i].out);
	}
}

static void printable_escapes_invalid_utf8_byte_by_byte(void **state)
{
	static const struct {
		const char *text, *out;
	} rows[] = {
		{ "\xff", "\\xff" },
		/* Continuation alone, cut short at the end, cut short by ASCII */
		{ "\x80z", "\\x80z" },
		{ "\xe6\x97", "\\xe6\\x97" },
		{ "\xc3z", "\\xc3z" },
		/* Overlong '/', UTF-16 surrogate, past U+10FFFF */
		{ "\xc0\xaf", "\\xc0\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *out = NULL;

		assert_int_equal(text_printable(rows[i].text, &out), 0);
		assert_string_equal(out, rows[i].out);
	}
}

/* --- text_nearest() --------------------------------------------------------------------------- */
static void nearest_finds_the_slip_of_the_hand(void **state)
{
	static const char *const known[] = { "devices", "driver", "give_back", "in_use", "cpus" };
	static const struct {
		const char *word, *nearest;
	} rows[] = {
		{ "devices", "devices" }, { "device", "devices" },	{ "Devices", "devices" },
		{ "dirver", "driver" },	  { "givebak", "give_back" },	{ "inuse", "in_use" },
		{ "cpu", "cpus" },	  { "GIVE_BACK", "give_back" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(text_nearest(rows[i].word, known, ARRAY_SIZE(known)),
				    rows[i].nearest);
}

static void nearest_takes_swapped_neighbours_as_one_slip(void **state)
{
	static const char *const known[] = { "cpus" };

	(void)state;
	assert_string_equal(text_nearest("cpsu", known, 1), "cpus");
	assert_null(text_nearest("cuxp", known, 1));
}

static void nearest_prefers_fewer_slips_then_the_first_known(void **state)
{
	static const char *const known[] = { "driven", "driver", "drivel" };

	(void)state;
	assert_ptr_equal(text_nearest("driver", known, ARRAY_SIZE(known)), known[1]);
	assert_ptr_equal(text_nearest("drives", known, ARRAY_SIZE(known)), known[0]);
}

static void nearest_does_not_guess(void **state)
{
	static const char *const known[] = { "devices", "cpus", "on" };
	char long_word[200];

	(void)state;
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	assert_null(text_nearest("monitors", known, ARRAY_SIZE(known)));
	assert_null(text_nearest("", known, ARRAY_SIZE(known)));
	assert_null(text_nearest("cp", known, ARRAY_SIZE(known)));
	assert_null(text_nearest("an", known, ARRAY_SIZE(known)));
	assert_null(text_nearest(long_word, known, ARRAY_SIZE(known)));
	assert_null(text_nearest("cpus", known, 0));
}

static void nearest_takes_a_third_of_the_length_and_not_more(void **state)
{
	static const char *const known[] = { "abcdef" };

	(void)state;
	assert_non_null(text_nearest("abcdxx", known, 1));
	assert_null(text_nearest("abcxxx", known, 1));
}

static void nearest_leaves_out_known_words_too_long_to_compare(void **state)
{
	char long_word[200];
	const char *known[] = { long_word, "cpus" };

	(void)state;
	memset(long_word, 'c', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	assert_ptr_equal(text_nearest("cpu", known, ARRAY_SIZE(known)), known[1]);
}

static void a_word_is_found_as_a_whole_and_without_memory(void **state)
{
	static const struct {
		const char *text, *word;
		bool has;
	} rows[] = {
		{ "vfio cpuset", "cpuset", true },
		{ "vfio cpuset", "vfio", true },
		{ "vfio cpuset", "cpu", false },
		{ "  vfio  ", "vfio", true },
		{ "vfio-x", "vfio", false },
		{ "", "vfio", false },
		{ "a b c", "b", true },
	};

	(void)state;
	nomem_after = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(
			text_has_word(rows[i].text, " ", rows[i].word, strlen(rows[i].word)),
			rows[i].has);
	nomem_after = -1;
}

static void what_has_no_room_is_cut_at_a_character(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *shown;
	} rows[] = {
		{ "win11", 6, "win11" },
		{ "win11", 5, "win1" },
		{ "win11", 1, "" },
		{ "gr\303\274n", 4, "gr" },
		{ "gr\303\274n", 5, "gr\303\274" },
		{ "a\nb", 5, "a" },
		{ "a\nb", 6, "a\\x0a" },
		{ "\342\200\256", 12, "" },
		{ "\342\200\256", 13, "\\xe2\\x80\\xae" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char buf[16];

		text_show(rows[i].text, buf, rows[i].size);
		assert_string_equal(buf, rows[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_keeps_copies_in_order),
		cmocka_unit_test(list_is_empty_and_usable_after_free),
		cmocka_unit_test(list_survives_without_memory),
		cmocka_unit_test(split_takes_runs_of_separators_as_one),
		cmocka_unit_test(split_of_nothing_is_empty),
		cmocka_unit_test(split_survives_without_memory),
		cmocka_unit_test(encode_escapes_all_but_the_plain_bytes),
		cmocka_unit_test(every_byte_comes_back_from_its_escape),
		cmocka_unit_test(decode_refuses_what_encode_does_not_write),
		cmocka_unit_test(encode_decode_and_printable_survive_without_memory),
		cmocka_unit_test(printable_keeps_what_a_person_can_read),
		cmocka_unit_test(printable_escapes_what_could_rewrite_the_line),
		cmocka_unit_test(printable_escapes_invalid_utf8_byte_by_byte),
		cmocka_unit_test(nearest_finds_the_slip_of_the_hand),
		cmocka_unit_test(nearest_takes_swapped_neighbours_as_one_slip),
		cmocka_unit_test(nearest_prefers_fewer_slips_then_the_first_known),
		cmocka_unit_test(nearest_does_not_guess),
		cmocka_unit_test(nearest_takes_a_third_of_the_length_and_not_more),
		cmocka_unit_test(nearest_leaves_out_known_words_too_long_to_compare),
		cmocka_unit_test(a_word_is_found_as_a_whole_and_without_memory),
		cmocka_unit_test(what_has_no_room_is_cut_at_a_character),
	};

	return cmocka_run_group_tests_name("lib/text", tests, NULL, NULL);
}
