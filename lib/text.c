/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/text.c - string lists, one escaping for all state files, nearest known word */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Longest word text_nearest() compares: policy keys are far shorter */
#define WORD_MAX 64

static const char HEX[] = "0123456789ABCDEF";

void strlist_free(struct strlist *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct strlist){ 0 };
}

static int strlist_add_len(struct strlist *list, const char *name, size_t len)
{
	_cleanup_free_ char *copy = strndup(name, len);
	char **names;

	if (!copy)
		return -ENOMEM;
	names = reallocarray(list->names, list->nr + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	list->names = names;
	list->names[list->nr++] = TAKE_PTR(copy);
	return 0;
}

int strlist_add(struct strlist *list, const char *name)
{
	return strlist_add_len(list, name, strlen(name));
}

bool strlist_has(const struct strlist *list, const char *name)
{
	for (size_t i = 0; i < list->nr; i++) {
		if (strcmp(list->names[i], name) == 0)
			return true;
	}
	return false;
}

int text_split(const char *text, const char *separators, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist list = { 0 };
	const char *word;
	size_t len;

	while ((word = text_word(&text, separators, &len))) {
		int r = strlist_add_len(&list, word, len);

		if (r < 0)
			return r;
	}
	*ret = list;
	list = (struct strlist){ 0 };
	return 0;
}

const char *text_word(const char **text, const char *separators, size_t *ret_len)
{
	const char *word = *text + strspn(*text, separators);

	*ret_len = strcspn(word, separators);
	*text = word + *ret_len;
	return *ret_len ? word : NULL;
}

bool text_has_word(const char *text, const char *separators, const char *word, size_t len)
{
	const char *at;
	size_t at_len;

	while ((at = text_word(&text, separators, &at_len)))
		if (at_len == len && strncmp(at, word, len) == 0)
			return true;
	return false;
}

static bool is_plain(unsigned char c)
{
	/* No isalnum(): the locale has no say in a state file */
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._:/+@,-", c));
}

int text_encode(const char *text, char **ret)
{
	char *out = reallocarray(NULL, strlen(text) + 1, strlen("%XX")), *p = out;

	if (!out)
		return -ENOMEM;
	if (!*text)
		*p++ = '%';
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (is_plain(c)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = HEX[c >> 4];
		*p++ = HEX[c & 15];
	}
	*p = '\0';
	*ret = out;
	return 0;
}

static int hex_value(char c)
{
	const char *p = c ? strchr(HEX, c) : NULL;

	return p ? (int)(p - HEX) : -1;
}

/* One "%XX". Return: the byte, -EBADMSG when text_encode() would not have written it */
static int decode_escape(const char *p)
{
	int high = hex_value(p[1]);
	int low = high < 0 ? -1 : hex_value(p[2]);
	int c = high * 16 + low;

	if (high < 0 || low < 0 || c == 0 || is_plain((unsigned char)c))
		return -EBADMSG;
	return c;
}

int text_decode(const char *word, char **ret)
{
	_cleanup_free_ char *out = calloc(strlen(word) + 1, 1);
	char *p = out;

	if (!out)
		return -ENOMEM;
	if (!*word)
		return -EBADMSG;
	if (strcmp(word, "%") == 0)
		word = "";
	while (*word) {
		if (is_plain((unsigned char)*word)) {
			*p++ = *word++;
			continue;
		}
		int c = *word == '%' ? decode_escape(word) : -EBADMSG;

		if (c < 0)
			return c;
		*p++ = (char)c;
		word += 3;
	}
	*ret = TAKE_PTR(out);
	return 0;
}

size_t text_utf8(const char *text, uint32_t *ret)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t min;
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	unsigned char lead = (unsigned char)text[0];
	size_t form = 0;
	uint32_t c;

	while (form < ARRAY_SIZE(forms) && (lead & forms[form].mask) != forms[form].lead)
		form++;
	if (form == ARRAY_SIZE(forms))
		return 0;
	c = lead & (unsigned char)~forms[form].mask;
	for (size_t i = 1; i <= form; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (c < forms[form].min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return form + 1;
}

/* Characters that move the cursor, turn the writing direction or cannot be seen: a guest's name
 * must not rewrite the message it is quoted in */
static bool is_printable_char(uint32_t c)
{
	static const uint32_t hidden[][2] = {
		{ 0x0, 0x1f },	       { 0x7f, 0x9f },	   { 0xad, 0xad },     { 0x61c, 0x61c },
		{ 0x180e, 0x180e },    { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff },    { 0xfff9, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, 0xe007f },
		{ 0xf0000, 0x10ffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		if (c >= hidden[i][0] && c <= hidden[i][1])
			return false;
	}
	return true;
}

/* A byte that is not shown as it is */
#define ESCAPE_LEN strlen("\\xXX")

void text_show(const char *text, char *buf, size_t size)
{
	const char *end = buf + size - 1;

	while (*text) {
		uint32_t c = 0;
		size_t n = text_utf8(text, &c);
		bool plain = n > 0 && is_printable_char(c);

		n = n ? n : 1;
		if ((size_t)(end - buf) < (plain ? n : n * ESCAPE_LEN))
			break;
		if (plain)
			buf = mempcpy(buf, text, n);
		else
			for (size_t i = 0; i < n; i++)
				buf += sprintf(buf, "\\x%02x", (unsigned char)text[i]);
		text += n;
	}
	*buf = '\0';
}

int text_printable(const char *text, char **ret)
{
	size_t len = strlen(text) + 1;
	char *out = reallocarray(NULL, len, ESCAPE_LEN);

	if (!out)
		return -ENOMEM;
	text_show(text, out, len * ESCAPE_LEN);
	*ret = out;
	return 0;
}

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance, two swapped neighbours and the case of letters counted as users see them */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t cost = !same_letter(a[i - 1], b[j - 1]);

			row[j] = min_size(above[j - 1] + cost, min_size(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]))
				row[j] = min_size(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *text_nearest(const char *word, const char *const *known, size_t nr)
{
	size_t word_len = strlen(word), best = SIZE_MAX;
	const char *nearest = NULL;

	if (word_len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < nr; i++) {
		size_t len = strlen(known[i]), distance;

		if (len > WORD_MAX)
			continue;
		distance = edit_distance(word, word_len, known[i], len);
		if (distance * 3 <= len && distance < best) {
			best = distance;
			nearest = known[i];
		}
	}
	return nearest;
}

int text_append(char **text, const char *more)
{
	char *joined = NULL;

	if (asprintf(&joined, "%s%s", *text ?: "", more) < 0)
		return -ENOMEM;
	free(*text);
	*text = joined;
	return 0;
}
