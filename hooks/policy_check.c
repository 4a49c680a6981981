/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/policy_check.c - what is wrong with a policy, file and line first */

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "policy_check.h"

#define NAMED "display"

/* One of the two files */
struct source {
	const char *file;
	const struct inidoc *doc;
	bool host;
};

_printf_(4, 0) static int refuse_line(const struct source *source, unsigned int line,
				      struct policy_error *err, const char *fmt, va_list args)
{
	_cleanup_free_ char *text = NULL, *printable = NULL;

	if (vasprintf(&text, fmt, args) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	if (text_printable(text, &printable) < 0)
		return -ENOMEM;
	(void)snprintf(err->what, sizeof(err->what), "%s:%u: %s", source->file, line, printable);
	return -EBADMSG;
}

_printf_(4, 5) static int refuse(const struct source *source, unsigned int line,
				 struct policy_error *err, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = refuse_line(source, line, err, fmt, args);
	va_end(args);
	return r;
}

/* "display left": one blank, one word */
static bool is_named(const char *section)
{
	size_t len = strlen(NAMED);

	if (strncmp(section, NAMED " ", len + 1) != 0)
		return false;
	section += len + 1;
	return *section && !strpbrk(section, " \t");
}

const char *policy_base(const char *section)
{
	if (is_named(section))
		return NAMED;
	for (size_t i = 0; i < policy_nr_keys; i++) {
		if (strcmp(policy_keys[i].section, section) == 0)
			return policy_keys[i].section;
	}
	return NULL;
}

const struct policy_key *policy_row(const char *section, const char *key)
{
	const char *base = policy_base(section);

	for (size_t i = 0; base && i < policy_nr_keys; i++) {
		if (strcmp(policy_keys[i].section, base) == 0 &&
		    strcmp(policy_keys[i].key, key) == 0)
			return &policy_keys[i];
	}
	return NULL;
}

static int refuse_section(const struct source *source, const struct inidoc_section *section,
			  struct policy_error *err)
{
	const char *known[64] = { NULL };
	size_t nr = 0;
	const char *near;

	for (size_t i = 0; i < policy_nr_keys && nr < ARRAY_SIZE(known); i++) {
		if (nr == 0 || strcmp(known[nr - 1], policy_keys[i].section) != 0)
			known[nr++] = policy_keys[i].section;
	}
	near = text_nearest(section->name, known, nr);
	if (near)
		return refuse(source, section->line, err,
			      "unknown section [%s]: did you mean [%s]?", section->name, near);
	return refuse(source, section->line, err,
		      "unknown section [%s]: known are [guest] [vfio] "
		      "[hugepages] [cpuset] [display] [display NAME] [nosleep] [seat] [scripts]",
		      section->name);
}

/* Another section that has this key. Return: NULL when there is none, or more than one */
static const char *other_section(const char *key)
{
	const char *found = NULL;

	for (size_t i = 0; i < policy_nr_keys; i++) {
		if (strcmp(policy_keys[i].key, key) != 0)
			continue;
		if (found)
			return NULL;
		found = policy_keys[i].section;
	}
	return found;
}

static int refuse_key(const struct source *source, const struct inidoc_entry *entry,
		      struct policy_error *err)
{
	const char *base = policy_base(entry->section);
	const char *other = other_section(entry->key);
	const char *known[64] = { NULL };
	const char *near;
	size_t nr = 0;

	for (size_t i = 0; i < policy_nr_keys && nr < ARRAY_SIZE(known); i++) {
		if (strcmp(policy_keys[i].section, base) == 0)
			known[nr++] = policy_keys[i].key;
	}
	near = text_nearest(entry->key, known, nr);
	if (other)
		return refuse(source, entry->line, err,
			      "unknown key '%s' in [%s]: it belongs into [%s]", entry->key,
			      entry->section, other);
	if (near)
		return refuse(source, entry->line, err,
			      "unknown key '%s' in [%s]: did you mean '%s'?", entry->key,
			      entry->section, near);
	return refuse(source, entry->line, err,
		      "unknown key '%s' in [%s]: example.ini has all there are", entry->key,
		      entry->section);
}

static int check_entry(const struct source *source, const struct inidoc_entry *entry,
		       struct policy_error *err)
{
	const struct inidoc_entry *first;
	const struct policy_key *row;
	struct policy_error wrong;
	int r;

	row = policy_row(entry->section, entry->key);
	if (!row)
		return refuse_key(source, entry, err);
	first = inidoc_next(source->doc, NULL, entry->section, entry->key);
	if (first != entry)
		return refuse(source, entry->line, err,
			      "duplicate key '%s' in [%s]: line %u has it too", entry->key,
			      entry->section, first->line);
	if (row->guest_only && source->host)
		return refuse(source, entry->line, err,
			      "'%s' is of one guest: set it in conf.d/GUEST.ini", entry->key);
	r = policy_check_value(row, entry->value, &wrong);
	if (r == -EINVAL)
		return refuse(source, entry->line, err, "[%s] %s: %s", entry->section, entry->key,
			      wrong.what);
	return r;
}

/* One without a key is a mistake as well: its keys were meant to be somewhere */
static int check_sections(const struct source *source, struct policy_error *err)
{
	for (size_t i = 0; i < source->doc->nr_sections; i++)
		if (!policy_base(source->doc->sections[i].name))
			return refuse_section(source, &source->doc->sections[i], err);
	return 0;
}

/* A key beyond the last that is looked at: the duplicate check takes the square of their number */
static int check_file(const struct source *source, struct policy_error *err)
{
	int r = check_sections(source, err);

	if (r < 0)
		return r;
	if (source->doc->nr > POLICY_KEYS_MAX)
		return refuse(source, source->doc->entries[POLICY_KEYS_MAX].line, err,
			      "more than %d keys", POLICY_KEYS_MAX);
	for (size_t i = 0; i < source->doc->nr && r == 0; i++)
		r = check_entry(source, &source->doc->entries[i], err);
	return r;
}

/* A monitor without a guest's input cannot be switched, an input without a monitor never is */
static int check_display(const struct policy *policy, const struct source *source,
			 const struct inidoc_entry *entry, struct policy_error *err)
{
	bool is_monitor = strcmp(entry->key, "monitor") == 0;
	const char *monitor = policy_value(policy, entry->section, "monitor");

	if (is_monitor && strcmp(monitor, "none") != 0 &&
	    policy_number(policy, entry->section, "guest_input") < 0)
		return refuse(source, entry->line, err,
			      "[%s] names a monitor, but no guest_input: add "
			      "the input that the guest's GPU is wired to",
			      entry->section);
	if (!is_monitor && policy_row(entry->section, entry->key)->own &&
	    !inidoc_get(&policy->guest, entry->section, "monitor") &&
	    !inidoc_get(&policy->host, entry->section, "monitor"))
		return refuse(source, entry->line, err,
			      "[%s] has a %s, but no monitor: usher-display "
			      "list prints what to set",
			      entry->section, entry->key);
	return 0;
}

static int check_displays(const struct policy *policy, const struct source *source,
			  struct policy_error *err)
{
	int r = 0;

	for (size_t i = 0; i < source->doc->nr && r == 0; i++) {
		const struct inidoc_entry *entry = &source->doc->entries[i];

		if (strcmp(policy_base(entry->section), NAMED) == 0)
			r = check_display(policy, source, entry, err);
	}
	return r;
}

int policy_check(const struct policy *policy, struct policy_error *err)
{
	const struct source sources[] = {
		{ policy->file, &policy->guest, false },
		{ "/" POLICY_HOST_FILE, &policy->host, true },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources) && r == 0; i++)
		r = check_file(&sources[i], err);
	for (size_t i = 0; i < ARRAY_SIZE(sources) && r == 0; i++)
		r = check_displays(policy, &sources[i], err);
	return r;
}
