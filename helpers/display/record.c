/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/record.c - the journal's records, checked before anybody acts on them */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "display.h"

/* A section's name from a claim; the journal itself has no limit */
#define OBJECT_MAX 512

/* An empty field is none */
#define UNKNOWN "-"

static int add_numbers(struct journal *journal, const char *verb, const char *object,
		       unsigned long long old_value, unsigned long long new_value)
{
	char old_text[32], new_text[32];
	int r = path_format(old_text, sizeof(old_text), "%llu", old_value);

	if (r == 0)
		r = path_format(new_text, sizeof(new_text), "%llu", new_value);
	return r < 0 ? r : journal_add(journal, verb, object, old_text, new_text);
}

static int parse_numbers(const struct journal_record *record, unsigned long long old_max,
			 unsigned long long new_max, unsigned long long *ret_old,
			 unsigned long long *ret_new)
{
	if (parse_ull(record->old_value, 10, old_max, ret_old) < 0 ||
	    parse_ull(record->new_value, 10, new_max, ret_new) < 0)
		return -EBADMSG;
	return 0;
}

int record_monitor(struct journal *journal, const struct monitor_record *record)
{
	char bus[16];
	int r = path_format(bus, sizeof(bus), "%u", record->bus);

	return r < 0 ? r
		     : journal_add(journal, VERB_MONITOR, bus,
				   *record->identity ? record->identity : UNKNOWN,
				   *record->connector ? record->connector : UNKNOWN);
}

static const char *known(const char *text)
{
	return strcmp(text, UNKNOWN) == 0 ? "" : text;
}

int record_parse_monitor(const struct journal_record *record, struct monitor_record *ret)
{
	const char *identity = known(record->old_value), *connector = known(record->new_value);
	unsigned int bus;

	if (parse_uint(record->object, 10, UINT_MAX, &bus) < 0 ||
	    (*identity && !monitor_valid(identity)) ||
	    (*connector && !monitor_is_connector(connector)))
		return -EBADMSG;
	*ret = (struct monitor_record){ .bus = bus, .identity = identity, .connector = connector };
	return 0;
}

struct monitor_record record_monitor_of(const struct journal *journal, unsigned int bus)
{
	struct monitor_record found = { .bus = bus, .identity = "", .connector = "" }, record;

	for (size_t i = 0; i < journal->nr; i++)
		if (strcmp(journal->records[i].verb, VERB_MONITOR) == 0 &&
		    record_parse_monitor(&journal->records[i], &record) == 0 && record.bus == bus)
			found = record;
	return found;
}

static int add_switch(struct journal *journal, const char *verb, const struct switch_record *record)
{
	char object[OBJECT_MAX];
	int r = path_format(object, sizeof(object), "%u:%u:%s", record->bus, record->source_address,
			    record->section);

	return r < 0 ? r
		     : add_numbers(journal, verb, object, record->host_input, record->guest_input);
}

int record_switch(struct journal *journal, const struct switch_record *record)
{
	return add_switch(journal, VERB_SWITCH, record);
}

int record_shown(struct journal *journal, const struct switch_record *record)
{
	return add_switch(journal, VERB_SHOWN, record);
}

/* "NUMBER:" at the beginning of @text. Return: what is behind it, NULL when it is not that */
static const char *parse_prefix(const char *text, unsigned int max, unsigned int *ret)
{
	size_t len = strcspn(text, ":");
	char number[16];

	if (text[len] != ':' || len >= sizeof(number))
		return NULL;
	memcpy(number, text, len);
	number[len] = '\0';
	return parse_uint(number, 10, max, ret) < 0 ? NULL : text + len + 1;
}

int record_parse_switch(const struct journal_record *record, struct switch_record *ret)
{
	unsigned long long host, guest;
	unsigned int bus, source;
	const char *rest = parse_prefix(record->object, UINT_MAX, &bus);

	if (rest)
		rest = parse_prefix(rest, UINT8_MAX, &source);
	if (!rest || parse_numbers(record, UINT8_MAX, UINT8_MAX, &host, &guest) < 0)
		return -EBADMSG;
	*ret = (struct switch_record){ .bus = bus,
				       .source_address = (uint8_t)source,
				       .host_input = (uint8_t)host,
				       .guest_input = (uint8_t)guest,
				       .section = rest };
	return 0;
}

int record_is_open(const struct journal_record *record, const char *verb, struct switch_record *ret)
{
	return !record->undone && strcmp(record->verb, verb) == 0 &&
	       record_parse_switch(record, ret) == 0;
}

int record_late(struct journal *journal, const struct display *display)
{
	return add_numbers(journal, VERB_LATE, display->section,
			   (unsigned long long)display->host_input,
			   (unsigned long long)display->guest_input);
}

int record_parse_late(const struct journal_record *record, struct switch_record *ret)
{
	unsigned long long host, guest;

	if (parse_numbers(record, UINT8_MAX, UINT8_MAX, &host, &guest) < 0)
		return -EBADMSG;
	*ret = (struct switch_record){ .host_input = (uint8_t)host,
				       .guest_input = (uint8_t)guest,
				       .section = record->object };
	return 0;
}

int record_want(struct journal *journal, const struct display *display,
		unsigned long long qemu_start)
{
	return add_numbers(journal, VERB_WANT, display->section, qemu_start,
			   (unsigned long long)display->guest_input);
}

int record_parse_want(const struct journal_record *record, unsigned long long *ret_start)
{
	unsigned long long input;

	return parse_numbers(record, ULLONG_MAX, UINT8_MAX, ret_start, &input);
}

int record_switcher(struct journal *journal, const char *section, const struct process *process)
{
	return add_numbers(journal, VERB_SWITCHER, section, (unsigned long long)process->pid,
			   process->start_time);
}

int record_parse_switcher(const struct journal_record *record, struct process *ret)
{
	unsigned long long pid, start;

	if (parse_numbers(record, INT_MAX, ULLONG_MAX, &pid, &start) < 0)
		return -EBADMSG;
	*ret = (struct process){ .pid = (pid_t)pid, .start_time = start };
	return 0;
}

int record_wanted(const struct journal *journal, const char *section, unsigned long long qemu_start)
{
	const struct journal_record *record = journal_find(journal, VERB_WANT, section);
	unsigned long long start;

	return record && record_parse_want(record, &start) == 0 && start == qemu_start;
}
