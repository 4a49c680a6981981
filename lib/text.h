/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/text.h - string lists, one escaping for all state files, nearest known word */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

struct strlist {
	char **names;
	size_t nr;
};

void strlist_free(struct strlist *list);
#define _cleanup_strlist_ _cleanup_(strlist_free)

/**
 * strlist_add() - append a copy of @name
 *
 * Return: 0, -ENOMEM
 */
int strlist_add(struct strlist *list, const char *name) _must_check_;

bool strlist_has(const struct strlist *list, const char *name);

/**
 * text_split() - the words of a text
 * @separators:	any of these bytes ends a word, runs of them count as one: " \t,"
 *
 * Return: 0, -ENOMEM
 */
int text_split(const char *text, const char *separators, struct strlist *ret) _must_check_;

/**
 * text_encode() - a name or value as one word of plain ASCII
 *
 * Bytes outside [A-Za-z0-9._:/+@,-] become %XX (upper case); "" becomes "%".
 * The result has no blank, quote, '=', ';', '#', '[' or control byte, so it is safe as an INI
 * value, a journal field, a unit name part or a log word.
 *
 * Return: 0, -ENOMEM
 */
int text_encode(const char *text, char **ret) _must_check_;

/**
 * text_decode() - the exact inverse of text_encode()
 *
 * Return: 0, -EBADMSG for anything text_encode() would not have written (lower-case hex, a bare
 * byte it escapes, %00), -ENOMEM
 */
int text_decode(const char *word, char **ret) _must_check_;

/**
 * text_utf8() - one character of UTF-8
 * @ret:	its number
 *
 * Return: its bytes, 0 when this is none (overlong, a surrogate, past U+10FFFF, cut)
 */
size_t text_utf8(const char *text, uint32_t *ret) _must_check_;

/**
 * text_printable() - a text for one line of a message: control bytes and invalid UTF-8 as \xNN
 *
 * Return: 0, -ENOMEM
 */
int text_printable(const char *text, char **ret) _must_check_;

/** text_show() - the same into @buf, as many whole characters as there is room for */
void text_show(const char *text, char *buf, size_t size);

/**
 * text_word() - the next word, without memory: "a b" has two, with a blank as separator
 * @text:	moves behind it
 *
 * Return: where it begins, NULL when there is no more
 */
const char *text_word(const char **text, const char *separators, size_t *ret_len);

/** text_has_word() - is @word, of so many bytes, one of the words of @text */
bool text_has_word(const char *text, const char *separators, const char *word, size_t len);

/**
 * text_nearest() - the known word most like @word, for "did you mean"
 *
 * Return: an element of @known, NULL when none is within an edit distance of a third of its length
 */
const char *text_nearest(const char *word, const char *const *known, size_t nr);

/**
 * text_append() - make one text longer
 * @text:	on the heap, or NULL for none yet
 *
 * Return: 0, -ENOMEM with the text as it was
 */
int text_append(char **text, const char *more) _must_check_;
