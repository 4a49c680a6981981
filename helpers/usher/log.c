/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/log.c - usher log: what was done in a guest's last start and stop, and how long */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "json.h"
#include "paint.h"
#include "usher.h"

/*
 * How it works
 *
 * Every line of usher in the journal has its fields (lib/log.h); anybody can call himself usher
 * there, but not root. The last one that ends a `prepare`
 * of the guest tells when its last start began; all lines of the guest from then on are the story.
 * Lines of processes that go on alone have no fields: those that begin with the guest's name are
 * taken as well.
 */

#define USEC_PER_MSEC 1000ULL

static void journal_close_(sd_journal **journal)
{
	sd_journal_close(*journal);
}

/* Return: the field's text, "" when the entry has none; "?" for no memory */
static char *field(sd_journal *journal, const char *name)
{
	const void *data;
	size_t len, skip = strlen(name) + 1;
	char *text;

	if (sd_journal_get_data(journal, name, &data, &len) < 0 || len < skip)
		text = strdup("");
	else
		text = strndup((const char *)data + skip, len - skip);
	return text;
}

static bool field_is(sd_journal *journal, const char *name, const char *value)
{
	_cleanup_free_ char *text = field(journal, name);

	return text && strcmp(text, value) == 0;
}

static bool is_of(sd_journal *journal, const char *guest)
{
	_cleanup_free_ char *message = NULL, *of = NULL;
	size_t len = strlen(guest);

	of = field(journal, "USHER_GUEST");
	if (of && *of)
		return strcmp(of, guest) == 0;
	message = field(journal, "MESSAGE");
	return message && strncmp(message, guest, len) == 0 && strncmp(message + len, ": ", 2) == 0;
}

/* Return: 1 with the time its last start began at, 0 it never started, else -errno */
static int find_start(sd_journal *journal, const char *guest, uint64_t *ret_usec)
{
	int r = sd_journal_seek_tail(journal);

	while (r >= 0 && (r = sd_journal_previous(journal)) > 0) {
		_cleanup_free_ char *step = NULL, *ms = NULL;
		unsigned long long elapsed = 0;

		if (!is_of(journal, guest) || !field_is(journal, "USHER_PHASE", "prepare"))
			continue;
		step = field(journal, "USHER_STEP");
		ms = field(journal, "USHER_MSEC");
		if (!step || *step || !ms || parse_ull(ms, 10, UINT32_MAX, &elapsed) < 0)
			continue;
		r = sd_journal_get_realtime_usec(journal, ret_usec);
		/* A little more: the line is written after the time is taken */
		*ret_usec -= (elapsed + 50) * USEC_PER_MSEC;
		return r < 0 ? r : 1;
	}
	return r;
}

static void when_text(uint64_t usec, char *buf, size_t size)
{
	time_t seconds = (time_t)(usec / (1000 * USEC_PER_MSEC));
	struct tm tm;
	size_t len;

	if (!localtime_r(&seconds, &tm)) {
		(void)snprintf(buf, size, "?");
		return;
	}
	len = strftime(buf, size, "%F %T", &tm);
	(void)snprintf(buf + len, size - len, ".%03llu",
		       (unsigned long long)(usec / USEC_PER_MSEC % 1000));
}

static void print_entry(sd_journal *journal, const char *guest, uint64_t usec)
{
	_cleanup_free_ char *message = field(journal, "MESSAGE"), *printable = NULL;
	_cleanup_free_ char *priority = field(journal, "PRIORITY");
	size_t len = strlen(guest);
	const char *text;
	char when[64];

	/* What a script has said is logged as it is */
	if (text_printable(message ?: "", &printable) < 0)
		return;
	text = printable;
	if (strncmp(text, guest, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		text += len + 2;
	when_text(usec, when, sizeof(when));
	(void)printf("%s  %s%s%s\n", when,
		     priority && strcmp(priority, "3") <= 0   ? paint(PAINT_ERROR)
		     : priority && strcmp(priority, "4") == 0 ? paint(PAINT_WARNING)
							      : "",
		     text, paint(PAINT_NONE));
}

static void json_entry(struct json *json, sd_journal *journal, uint64_t usec)
{
	static const char *const fields[][2] = {
		{ "phase", "USHER_PHASE" },   { "step", "USHER_STEP" }, { "verb", "USHER_VERB" },
		{ "result", "USHER_RESULT" }, { "ms", "USHER_MSEC" },	{ "message", "MESSAGE" },
	};

	json_object(json, NULL);
	json_number(json, "usec", (long long)usec);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		_cleanup_free_ char *text = field(journal, fields[i][1]);
		unsigned long long ms;

		if (strcmp(fields[i][0], "ms") == 0 && text &&
		    parse_ull(text, 10, UINT32_MAX, &ms) == 0)
			json_number(json, fields[i][0], (long long)ms);
		else
			json_string(json, fields[i][0], text && *text ? text : NULL);
	}
	json_close(json, '}');
}

static int tell(sd_journal *journal, const char *guest, uint64_t start, struct json *json)
{
	int r = sd_journal_seek_realtime_usec(journal, start);

	while (r >= 0 && (r = sd_journal_next(journal)) > 0) {
		uint64_t usec = 0;

		if (sd_journal_get_realtime_usec(journal, &usec) < 0 || usec < start ||
		    !is_of(journal, guest))
			continue;
		if (json)
			json_entry(json, journal, usec);
		else
			print_entry(journal, guest, usec);
	}
	return r;
}

static int open_journal(const struct request *request, sd_journal **ret)
{
	_cleanup_free_ char *dir = NULL;
	int r;

	if (strcmp(request->root, "/") == 0)
		r = sd_journal_open(ret, SD_JOURNAL_LOCAL_ONLY);
	else if (asprintf(&dir, "%s/var/log/journal", request->root) < 0)
		return -ENOMEM;
	else
		r = sd_journal_open_directory(ret, dir, 0);
	if (r >= 0)
		r = sd_journal_add_match(*ret, "SYSLOG_IDENTIFIER=usher", 0);
	return r < 0 ? r : sd_journal_add_match(*ret, "_UID=0", 0);
}

/*
 * A journal without one line of root's is one that is not there, or not ours to read: the library
 * opens what it can, and says nothing of the rest.
 */
static bool is_readable(sd_journal *journal)
{
	sd_journal_flush_matches(journal);
	return sd_journal_add_match(journal, "_UID=0", 0) >= 0 &&
	       sd_journal_seek_tail(journal) >= 0 && sd_journal_previous(journal) > 0;
}

static int say_unreadable(const char *why)
{
	usher_say("cannot read the journal: %s: run it as root; without journald the lines are in "
		  "syslog's files",
		  why);
	return 1;
}

static int run(const struct request *request)
{
	_cleanup_(journal_close_) sd_journal *journal = NULL;
	_cleanup_free_ char *guest = NULL;
	struct json json;
	uint64_t start = 0;
	int r = text_printable(request->guest, &guest);

	if (r == 0)
		r = open_journal(request, &journal);
	if (r >= 0)
		r = find_start(journal, guest, &start);
	if (r == 0 && !is_readable(journal))
		return say_unreadable("no line of root's is in it");
	if (r == 0) {
		usher_say("%s: no start is on record: has the guest a policy? (usher check %s)",
			  request->guest, quoted(request->guest));
		return 1;
	}
	if (r > 0 && request->json) {
		json_begin(&json, stdout, "log");
		json_list(&json, "entries");
	}
	if (r > 0)
		r = tell(journal, guest, start, request->json ? &json : NULL);
	if (r < 0)
		return say_unreadable(strerror(-r));
	if (request->json) {
		json_close(&json, ']');
		json_end(&json);
	}
	return 0;
}

const struct command command_log = {
	.name = "log",
	.args = "[--json] GUEST",
	.help = "the steps of its last start and stop, with times",
	.options = OPTION_JSON,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
