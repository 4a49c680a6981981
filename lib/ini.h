/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/ini.h - every INI file: policy, claim, baseline; inih fed by our own line reader */
#pragma once

#include <stddef.h>

#include "cleanup.h"

struct inidoc_entry {
	char *section; /* "display left" */
	char *key;
	char *value;	   /* blanks at both ends cut off, comment removed */
	unsigned int line; /* physical line in the file, from 1; 0 when added by code */
};

/* A "[section]" line of a file */
struct inidoc_section {
	char *name;
	unsigned int line;
};

struct inidoc {
	struct inidoc_entry *entries;
	size_t nr;
	struct inidoc_section *sections; /* as parsed, those without a key too */
	size_t nr_sections;
};

struct ini_error {
	unsigned int line; /* from 1; 0 when the file as a whole is meant */
	char what[200];	   /* "expected 'key = value'", printable, no newline */
};

/* Longest physical line and longest file */
#define INI_LINE_MAX 65536
#define INI_FILE_MAX (1024UL * 1024)

void inidoc_free(struct inidoc *doc);
#define _cleanup_inidoc_ _cleanup_(inidoc_free)

/**
 * inidoc_parse() - parse a whole file held in memory
 *
 * Accepts a UTF-8 BOM, CRLF, indented lines, '#' and ';' comment lines and " ;" comments behind
 * a value; lines longer than inih's own 199 bytes are kept whole. Refuses NUL bytes, lines over
 * INI_LINE_MAX, files over INI_FILE_MAX, a key before any section, a line that is neither.
 * Duplicate keys are kept, in order: who reads the document decides.
 *
 * Return: 0, -EBADMSG with @err filled, -ENOMEM
 */
int inidoc_parse(const char *text, size_t len, struct inidoc *ret, struct ini_error *err)
	_must_check_;

/**
 * inidoc_add() - append an entry
 * @value:	no newline, no " ;"; use text_encode() for foreign text
 *
 * Return: 0, -EINVAL when the entry could not be read back as it is, -ENOMEM
 */
int inidoc_add(struct inidoc *doc, const char *section, const char *key, const char *value)
	_must_check_;

/** inidoc_addf() - inidoc_add() with a formatted value. Return: as inidoc_add() */
int inidoc_addf(struct inidoc *doc, const char *section, const char *key, const char *fmt, ...)
	_printf_(4, 5) _must_check_;

/** inidoc_set() - replace the first such entry's value, or append. Return: as inidoc_add() */
int inidoc_set(struct inidoc *doc, const char *section, const char *key, const char *value)
	_must_check_;

/** inidoc_get() - the first value. Return: NULL when there is none */
const char *inidoc_get(const struct inidoc *doc, const char *section, const char *key);

/**
 * inidoc_next() - walk the entries of one section and key
 * @prev:	NULL to begin, else what the last call returned
 * @key:	NULL for every key of the section
 *
 * Return: NULL at the end
 */
const struct inidoc_entry *inidoc_next(const struct inidoc *doc, const struct inidoc_entry *prev,
				       const char *section, const char *key);

/** inidoc_has_section() - is there any entry in it. Return: 1 or 0 */
int inidoc_has_section(const struct inidoc *doc, const char *section);

/**
 * inidoc_format() - the text form, sections in order of first appearance
 *
 * Return: 0, -ENOMEM
 */
int inidoc_format(const struct inidoc *doc, char **ret, size_t *ret_len) _must_check_;
