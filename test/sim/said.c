/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/said.c - does a line tell what was left on the host, or why */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/units.h"
#include "sim.h"

/*
 * How it works
 *
 * That anything was said is not enough: "not everything could be given back" and "release: failed
 * in 12 ms" leave a user where he was. A line counts that has
 *
 *	the text of an error that was planted, or
 *	a name out of a path that is left: a part with a digit or a sign in it (an address, a uuid, a
 *	unit), or the attribute's or file's own; or one out of a journal that is left
 *	the word by which users know what that path is
 */

/* Shorter ones are in too many lines */
#define NAME_MIN 4

/* What they are called; the parts of a path are not words */
static const struct {
	const char *path, *word;
} things[] = {
	{ "hugepages", "huge page" },
	{ ".fake/monitor/", "monitor" },
	{ ".fake/inhibitors/", "sleep" },
	{ ".fake/properties/", "slice" },
	{ "proc/irq/", "interrupt" },
	{ "scaling_governor", "governor" },
	{ "virtual/workqueue/", "unbound work" },
	{ "sys/fs/cgroup/", "CPUs" },
	{ "run/usher/", "claim" },
	{ "run/usher/", "journal:" },
};

/* Errors that are planted under another name than theirs */
static const struct {
	const char *fault, *text;
} reasons[] = {
	{ "short", "Input/output error" },     { "hang", "timed out" },
	{ "hang", "did not end within" },      { "hang", "hangs" },
	{ "hang", "does not return" },	       { "hang", "has not finished" },
	{ "hang", "the time for it ran out" }, { "nomem", "Cannot allocate memory" },
	{ "nomem", "out of memory" },
};

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *hit = strstr(text, word); hit; hit = strstr(hit + 1, word))
		if ((hit == text || strchr(" ;", hit[-1])) && (!hit[len] || strchr(" ;", hit[len])))
			return true;
	return false;
}

static bool tells_why(const char *line, const char *fault)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (has_word(fault, reasons[i].fault) && strstr(line, reasons[i].text))
			return true;
	for (int error = 1; error < 134; error++) {
		const char *name = strerrorname_np(error);

		if (name && has_word(fault, name) && strstr(line, strerror(error)))
			return true;
	}
	return false;
}

/* A part that is one thing's name: not "devices", and no number that may be anything */
static bool is_name(const char *part, bool last)
{
	size_t len = strlen(part);

	return len >= NAME_MIN && strspn(part, "0123456789") < len &&
	       (last || strpbrk(part, "0123456789.:-_"));
}

static bool names_part(const char *line, char *text, const char *separators, bool path)
{
	char *save = NULL;

	for (char *part = strtok_r(text, separators, &save), *next; part; part = next) {
		next = strtok_r(NULL, separators, &save);
		if (is_name(part, path && !next) && strstr(line, part))
			return true;
	}
	return false;
}

static bool names_left(const char *line, char *path, char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		if (strstr(path, things[i].path) && strstr(line, things[i].word))
			return true;
	return (strstr(path, ".journal") && names_part(line, text, " |/%", false)) ||
	       names_part(line, path, "/", true);
}

bool said_names(const char *line, const char *left, const char *fault)
{
	char path[PATH_MAX], text[PATH_MAX];

	if (tells_why(line, fault))
		return true;
	for (; *left; left += strcspn(left, "\n"), left += *left == '\n') {
		text[0] = '\0';
		if (sscanf(left, " %*s %4095s %*s %4095[^\n]", path, text) >= 1 &&
		    names_left(line, path, text))
			return true;
	}
	return false;
}
