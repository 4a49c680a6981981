/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/ini.c - every INI file: policy, claim, baseline; inih fed by our own line reader
 *
 * How it works
 *
 * inih as distributions ship it holds a line in 200 bytes, takes the rest of a longer one for
 * another key, joins an indented line to the value above it, cuts section names and keys at 49
 * bytes, and tells its handler no line numbers. So the reader it calls for each line
 * - counts physical lines, and cuts off BOM, CR, blanks at both ends and comments;
 * - refuses, with the line, what inih would drop or cut in silence;
 * - hands over "[section]" or "key=value" where that fits, else "key=" and the value in pieces,
 *   each as a continuation line, for which inih calls the handler again with the same key.
 * A piece stands between two guard bytes, which the handler takes off: without them inih would
 * strip blanks at a cut, and would take a piece that begins with ';' or '#' for a comment.
 */

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ini.h"

/* ABI: MAX_SECTION and MAX_NAME in inih's ini.c, 50 with the NUL; r29 to r62 */
#define NAME_MAX_LEN 49
#define STR(x)	     #x
#define XSTR(x)	     STR(x)
#define GUARD	     '|'

/* A part of the text: not NUL-terminated */
struct span {
	const char *p;
	size_t len;
};

struct reader {
	struct span text; /* still to read */
	struct span rest; /* of a long value, still to hand over */
	bool in_rest;	  /* the line inih has now is a piece of a long value */
	bool in_section;
	unsigned int line;
	size_t value_len; /* of the last entry */
	struct inidoc doc;
	struct ini_error *err;
	int r;
};

/* inih's isspace(), whatever the locale */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span s)
{
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	while (s.len > 0 && is_blank(*s.p)) {
		s.p++;
		s.len--;
	}
	return s;
}

static struct span span_head(struct span s, size_t len)
{
	return (struct span){ s.p, len };
}

static struct span span_behind(struct span s, size_t skip)
{
	return (struct span){ s.p + skip, s.len - skip };
}

/* Index of the first of two @stops or of a comment, else the length. As inih: a ';' begins a
 * comment only behind a blank */
static size_t find_stop(struct span s, const char stops[static 2])
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == stops[0] || s.p[i] == stops[1])
			return i;
		if (s.p[i] == ';' && i > 0 && is_blank(s.p[i - 1]))
			return i;
	}
	return s.len;
}

static bool has_byte(struct span s, char c)
{
	return s.len > 0 && memchr(s.p, c, s.len);
}

static bool has_comment(struct span s)
{
	return find_stop(s, (const char[2]){ '\n', '\n' }) < s.len;
}

static int refuse(struct reader *rd, unsigned int line, const char *what)
{
	*rd->err = (struct ini_error){ .line = line };
	(void)snprintf(rd->err->what, sizeof(rd->err->what), "%s", what);
	rd->r = -EBADMSG;
	return rd->r;
}

static void entry_free(struct inidoc_entry *entry)
{
	free(entry->section);
	free(entry->key);
	free(entry->value);
}

void inidoc_free(struct inidoc *doc)
{
	for (size_t i = 0; i < doc->nr; i++)
		entry_free(&doc->entries[i]);
	free(doc->entries);
	for (size_t i = 0; i < doc->nr_sections; i++)
		free(doc->sections[i].name);
	free(doc->sections);
	*doc = (struct inidoc){ 0 };
}

static int append_entry(struct inidoc *doc, const char *section, const char *key, const char *value,
			unsigned int line)
{
	struct inidoc_entry entry = {
		.section = strdup(section),
		.key = strdup(key),
		.value = strdup(value),
		.line = line,
	};
	struct inidoc_entry *entries = doc->entries;

	/* Doubled whenever it is full, that is at each power of two */
	if ((doc->nr & (doc->nr - 1)) == 0)
		entries = reallocarray(entries, doc->nr ? doc->nr * 2 : 1, sizeof(*entries));
	if (entries)
		doc->entries = entries;
	if (!entries || !entry.section || !entry.key || !entry.value) {
		entry_free(&entry);
		return -ENOMEM;
	}
	doc->entries[doc->nr++] = entry;
	return 0;
}

static int append_section(struct reader *rd, struct span name)
{
	struct inidoc *doc = &rd->doc;
	struct inidoc_section *sections = doc->sections;
	_cleanup_free_ char *copy = strndup(name.p, name.len);

	/* Doubled as the entries are */
	if ((doc->nr_sections & (doc->nr_sections - 1)) == 0)
		sections = reallocarray(sections, doc->nr_sections ? doc->nr_sections * 2 : 1,
					sizeof(*sections));
	if (sections)
		doc->sections = sections;
	if (!sections || !copy) {
		rd->r = -ENOMEM;
		return rd->r;
	}
	sections[doc->nr_sections++] =
		(struct inidoc_section){ .name = TAKE_PTR(copy), .line = rd->line };
	return 0;
}

/* @piece with both its guards */
static int append_piece(struct reader *rd, const char *piece)
{
	struct inidoc_entry *entry = &rd->doc.entries[rd->doc.nr - 1];
	size_t len = strlen(piece) - 2;
	char *value = realloc(entry->value, rd->value_len + len + 1);

	if (!value)
		return -ENOMEM;
	entry->value = value;
	memcpy(value + rd->value_len, piece + 1, len);
	rd->value_len += len;
	value[rd->value_len] = '\0';
	return 0;
}

/* inih's handler. Return: 1, 0 on an error */
static int handle_entry(void *user, const char *section, const char *key, const char *value)
{
	struct reader *rd = user;

	if (rd->in_rest) {
		rd->r = append_piece(rd, value);
	} else {
		rd->r = append_entry(&rd->doc, section, key, value, rd->line);
		rd->value_len = strlen(value);
	}
	return rd->r == 0;
}

static int put_section(struct reader *rd, char *buf, size_t size, struct span line)
{
	size_t end = find_stop(span_behind(line, 1), (const char[2]){ ']', ']' }) + 1;
	struct span name, behind;

	if (end >= line.len || line.p[end] != ']')
		return refuse(rd, rd->line, "']' is missing behind the name of the section");
	name = trim(span_head(span_behind(line, 1), end - 1));
	behind = trim(span_behind(line, end + 1));
	if (name.len == 0)
		return refuse(rd, rd->line, "the section has no name");
	if (name.len > NAME_MAX_LEN)
		return refuse(rd, rd->line,
			      "name of the section is longer than " XSTR(NAME_MAX_LEN) " bytes");
	if (behind.len > 0 && *behind.p != ';' && *behind.p != '#')
		return refuse(rd, rd->line, "text behind ']': put it on a line of its own");
	rd->in_section = true;
	(void)snprintf(buf, size, "[%.*s]\n", (int)name.len, name.p);
	return append_section(rd, name);
}

static int put_entry(struct reader *rd, char *buf, size_t size, struct span line)
{
	size_t mid = find_stop(line, "=:");
	struct span key, value;

	key = trim(span_head(line, mid));
	if (mid == line.len || line.p[mid] == ';' || key.len == 0)
		return refuse(rd, rd->line, "expected 'key = value' or '[section]'");
	if (key.len > NAME_MAX_LEN)
		return refuse(rd, rd->line, "key is longer than " XSTR(NAME_MAX_LEN) " bytes");
	if (!rd->in_section)
		return refuse(rd, rd->line, "expected a '[section]' before the first key");

	value = span_behind(line, mid + 1);
	value = trim(span_head(value, find_stop(value, (const char[2]){ '\n', '\n' })));
	/* '=', newline and NUL */
	if (key.len + value.len + 3 > size) {
		rd->rest = value;
		value.len = 0;
	}
	(void)snprintf(buf, size, "%.*s=%.*s\n", (int)key.len, key.p, (int)value.len, value.p);
	return 0;
}

static void put_piece(struct reader *rd, char *buf, size_t size)
{
	/* Blank, two guards, newline and NUL */
	size_t len = rd->rest.len < size - 5 ? rd->rest.len : size - 5;

	(void)snprintf(buf, size, " %c%.*s%c\n", GUARD, (int)len, rd->rest.p, GUARD);
	rd->rest = span_behind(rd->rest, len);
}

/* The next physical line, blanks at both ends cut off. Return: 1, 0 at the end, -EBADMSG */
static int next_line(struct reader *rd, struct span *ret)
{
	struct span line = rd->text;
	const char *newline;

	if (line.len == 0)
		return 0;
	newline = memchr(line.p, '\n', line.len);
	if (newline)
		line.len = (size_t)(newline - line.p);
	rd->text = span_behind(rd->text, line.len + (newline != NULL));
	rd->line++;
	if (has_byte(line, '\0'))
		return refuse(rd, rd->line, "NUL byte: is this a text file saved as UTF-16?");
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (line.len > INI_LINE_MAX)
		return refuse(rd, rd->line, "line is longer than " XSTR(INI_LINE_MAX) " bytes");
	*ret = trim(line);
	return 1;
}

/* inih's reader, in the place of fgets() */
static char *read_line(char *buf, int size, void *stream)
{
	struct reader *rd = stream;
	struct span line;

	rd->in_rest = rd->r == 0 && rd->rest.len > 0;
	if (rd->in_rest) {
		put_piece(rd, buf, (size_t)size);
		return buf;
	}
	while (rd->r == 0 && next_line(rd, &line) > 0) {
		int r;

		if (line.len == 0 || *line.p == ';' || *line.p == '#')
			continue;
		if (*line.p == '[')
			r = put_section(rd, buf, (size_t)size, line);
		else
			r = put_entry(rd, buf, (size_t)size, line);
		return r < 0 ? NULL : buf;
	}
	return NULL;
}

/* What can be said of a file before its first line */
static int check_whole(struct reader *rd)
{
	const char *p = rd->text.p;
	size_t len = rd->text.len;

	if (len > INI_FILE_MAX)
		return refuse(rd, 0, "file is longer than 1 MiB");
	if (len >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0))
		return refuse(rd, 0, "text is saved as UTF-16: save it as UTF-8");
	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		rd->text = span_behind(rd->text, 3);
	return 0;
}

int inidoc_parse(const char *text, size_t len, struct inidoc *ret, struct ini_error *err)
{
	struct reader rd = {
		.text = { text, len },
		.err = err,
	};
	int r;

	r = check_whole(&rd);
	if (r < 0)
		return r;
	r = ini_parse_stream(read_line, &rd, handle_entry, &rd);
	/* An inih built without multi-line values, or one that found no memory for its line */
	if (rd.r == 0 && r > 0)
		(void)refuse(&rd, 0, "inih cannot read it: a value longer than its line buffer?");
	else if (rd.r == 0 && r < 0)
		rd.r = -ENOMEM;
	if (rd.r < 0) {
		inidoc_free(&rd.doc);
		return rd.r;
	}
	*ret = rd.doc;
	return 0;
}

/* Nothing that the reader would cut off or end the text at */
static bool is_plain(struct span s)
{
	return trim(s).len == s.len && !has_byte(s, '\n') && !has_comment(s);
}

static bool entry_fits(const char *section, const char *key, const char *value)
{
	struct span s = { section, strlen(section) };
	struct span k = { key, strlen(key) };
	struct span v = { value, strlen(value) };

	if (s.len == 0 || s.len > NAME_MAX_LEN || !is_plain(s) || has_byte(s, ']'))
		return false;
	if (k.len == 0 || k.len > NAME_MAX_LEN || !is_plain(k) || strpbrk(key, "=:") ||
	    strchr("[;#", *key))
		return false;
	return is_plain(v) && k.len + 1 + v.len <= INI_LINE_MAX;
}

int inidoc_add(struct inidoc *doc, const char *section, const char *key, const char *value)
{
	if (!entry_fits(section, key, value))
		return -EINVAL;
	return append_entry(doc, section, key, value, 0);
}

int inidoc_addf(struct inidoc *doc, const char *section, const char *key, const char *fmt, ...)
{
	_cleanup_free_ char *value = NULL;
	va_list args;
	int r;

	va_start(args, fmt);
	r = vasprintf(&value, fmt, args);
	va_end(args);
	if (r < 0) {
		value = NULL;
		return -ENOMEM;
	}
	return inidoc_add(doc, section, key, value);
}

static bool is_entry(const struct inidoc_entry *entry, const char *section, const char *key)
{
	return strcmp(entry->section, section) == 0 && (!key || strcmp(entry->key, key) == 0);
}

static struct inidoc_entry *find_entry(const struct inidoc *doc, size_t from, const char *section,
				       const char *key)
{
	for (size_t i = from; i < doc->nr; i++) {
		if (is_entry(&doc->entries[i], section, key))
			return &doc->entries[i];
	}
	return NULL;
}

int inidoc_set(struct inidoc *doc, const char *section, const char *key, const char *value)
{
	struct inidoc_entry *entry = find_entry(doc, 0, section, key);
	char *copy;

	if (!entry)
		return inidoc_add(doc, section, key, value);
	if (!entry_fits(section, key, value))
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(entry->value);
	entry->value = copy;
	return 0;
}

const char *inidoc_get(const struct inidoc *doc, const char *section, const char *key)
{
	const struct inidoc_entry *entry = find_entry(doc, 0, section, key);

	return entry ? entry->value : NULL;
}

const struct inidoc_entry *inidoc_next(const struct inidoc *doc, const struct inidoc_entry *prev,
				       const char *section, const char *key)
{
	size_t from = prev ? (size_t)(prev - doc->entries) + 1 : 0;

	return find_entry(doc, from, section, key);
}

int inidoc_has_section(const struct inidoc *doc, const char *section)
{
	return find_entry(doc, 0, section, NULL) != NULL;
}

/* An entry on its way to its section */
struct placed {
	const struct inidoc_entry *entry; /* in the document: its address is its order */
	const struct inidoc_entry *first; /* the first entry of the same section */
};

static int cmp_address(const struct inidoc_entry *a, const struct inidoc_entry *b)
{
	return a == b ? 0 : a < b ? -1 : 1;
}

static int cmp_section(const void *a, const void *b)
{
	const struct placed *left = a, *right = b;
	int order = strcmp(left->entry->section, right->entry->section);

	return order ? order : cmp_address(left->entry, right->entry);
}

static int cmp_place(const void *a, const void *b)
{
	const struct placed *left = a, *right = b;
	int order = cmp_address(left->first, right->first);

	return order ? order : cmp_address(left->entry, right->entry);
}

static void place_entries(const struct inidoc *doc, struct placed *placed)
{
	for (size_t i = 0; i < doc->nr; i++)
		placed[i].entry = &doc->entries[i];
	qsort(placed, doc->nr, sizeof(*placed), cmp_section);
	for (size_t i = 0; i < doc->nr; i++) {
		bool same = i > 0 && is_entry(placed[i].entry, placed[i - 1].entry->section, NULL);

		placed[i].first = same ? placed[i - 1].first : placed[i].entry;
	}
	qsort(placed, doc->nr, sizeof(*placed), cmp_place);
}

static void print_entry(FILE *f, const struct inidoc_entry *entry, bool compact)
{
	bool too_long = strlen(entry->key) + 3 + strlen(entry->value) > INI_LINE_MAX;

	/* Behind a blank a ';' would begin a comment */
	if (compact || too_long || *entry->value == ';')
		fprintf(f, "%s=%s\n", entry->key, entry->value);
	else
		fprintf(f, "%s =%s%s\n", entry->key, *entry->value ? " " : "", entry->value);
}

static int print_doc(const struct placed *placed, size_t nr, bool compact, char **ret,
		     size_t *ret_len)
{
	FILE *f = open_memstream(ret, ret_len);
	bool failed;

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const struct inidoc_entry *entry = placed[i].entry;

		if (placed[i].first == entry)
			fprintf(f, "%s[%s]\n", i > 0 && !compact ? "\n" : "", entry->section);
		print_entry(f, entry, compact);
	}
	failed = ferror(f);
	if (fclose(f) != 0 || failed) {
		free(*ret);
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

int inidoc_format(const struct inidoc *doc, char **ret, size_t *ret_len)
{
	_cleanup_free_ struct placed *placed = calloc(doc->nr + 1, sizeof(*placed));
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	if (!placed)
		return -ENOMEM;
	place_entries(doc, placed);
	r = print_doc(placed, doc->nr, false, &text, &len);
	/* A file that was read must not grow past what can be read */
	if (r == 0 && len > INI_FILE_MAX) {
		free(TAKE_PTR(text));
		r = print_doc(placed, doc->nr, true, &text, &len);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}
