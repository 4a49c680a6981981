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

/* @ret: "" when the entry has none. Return: 0, -ENOMEM, else -errno of the journal */
static int field(sd_journal *journal, const char *name, char **ret)
{
	const void *data = NULL;
	size_t len = 0, skip = strlen(name) + 1;
	int r = sd_journal_get_data(journal, name, &data, &len);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret = r < 0 || len < skip ? strdup("") : strndup((const char *)data + skip, len - skip);
	return *ret ? 0 : -ENOMEM;
}

/* Return: 1, 0, else as field() */
static int field_is(sd_journal *journal, const char *name, const char *value)
{
	_cleanup_free_ char *text = NULL;
	int r = field(journal, name, &text);

	return r < 0 ? r : strcmp(text, value) == 0;
}

/* Return: 1, 0, else as field() */
static int is_of(sd_journal *journal, const char *guest)
{
	_cleanup_free_ char *message = NULL, *of = NULL;
	size_t len = strlen(guest);
	int r = field(journal, "USHER_GUEST", &of);

	if (r < 0 || *of)
		return r < 0 ? r : strcmp(of, guest) == 0;
	r = field(journal, "MESSAGE", &message);
	return r < 0 ? r
		     : strncmp(message, guest, len) == 0 && strncmp(message + len, ": ", 2) == 0;
}

/* Return: 1 with how long it took, 0 it is not the line that ends a start of the guest's, else as field() */
static int ends_start(sd_journal *journal, const char *guest, unsigned long long *ret_ms)
{
	_cleanup_free_ char *step = NULL, *ms = NULL;
	int r = is_of(journal, guest);

	if (r > 0)
		r = field_is(journal, "USHER_PHASE", "prepare");
	if (r <= 0)
		return r;
	r = field(journal, "USHER_STEP", &step);
	if (r == 0)
		r = field(journal, "USHER_MSEC", &ms);
	return r < 0 ? r : !*step && parse_ull(ms, 10, UINT32_MAX, ret_ms) == 0;
}

/*
 * find_start() - when its last start began
 * @lost:	set to why an entry could not be read: it is passed over
 *
 * Return: 1, 0 it never started, else -errno
 */
static int find_start(sd_journal *journal, const char *guest, uint64_t *ret_usec, int *lost)
{
	int r = sd_journal_seek_tail(journal);

	while (r >= 0 && (r = sd_journal_previous(journal)) > 0) {
		unsigned long long elapsed = 0;

		r = ends_start(journal, guest, &elapsed);
		if (r < 0) {
			*lost = r;
			r = 0;
		}
		if (r == 0)
			continue;
		r = sd_journal_get_realtime_usec(journal, ret_usec);
		if (r < 0)
			return r;
		/* A little more: the line is written after the time is taken */
		*ret_usec -= (elapsed + 50) * USEC_PER_MSEC;
		return 1;
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

/* Return: 0, else as field() */
static int print_entry(sd_journal *journal, const char *guest, uint64_t usec)
{
	_cleanup_free_ char *message = NULL, *priority = NULL, *printable = NULL;
	size_t len = strlen(guest);
	const char *text;
	char when[64];
	int r = field(journal, "MESSAGE", &message);

	if (r == 0)
		r = field(journal, "PRIORITY", &priority);
	/* What a script has said is logged as it is */
	if (r == 0)
		r = text_printable(message, &printable);
	if (r < 0)
		return r;
	text = printable;
	if (strncmp(text, guest, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		text += len + 2;
	when_text(usec, when, sizeof(when));
	(void)printf("%s  %s%s%s\n", when,
		     strcmp(priority, "3") <= 0	  ? paint(PAINT_ERROR)
		     : strcmp(priority, "4") == 0 ? paint(PAINT_WARNING)
						  : "",
		     text, paint(PAINT_NONE));
	return 0;
}

/* Return: 0, else as field() */
static int json_entry(struct json *json, sd_journal *journal, uint64_t usec)
{
	static const char *const fields[][2] = {
		{ "phase", "USHER_PHASE" },   { "step", "USHER_STEP" }, { "verb", "USHER_VERB" },
		{ "result", "USHER_RESULT" }, { "ms", "USHER_MSEC" },	{ "message", "MESSAGE" },
	};

	int r = 0;

	json_object(json, NULL);
	json_number(json, "usec", (long long)usec);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++) {
		_cleanup_free_ char *text = NULL;
		unsigned long long ms;

		r = field(journal, fields[i][1], &text);
		if (r == 0 && strcmp(fields[i][0], "ms") == 0 &&
		    parse_ull(text, 10, UINT32_MAX, &ms) == 0)
			json_number(json, fields[i][0], (long long)ms);
		else
			json_string(json, fields[i][0], text && *text ? text : NULL);
	}
	json_close(json, '}');
	return r;
}

/* @lost: as with find_start(). Return: 0, else -errno */
static int tell(sd_journal *journal, const char *guest, uint64_t start, struct json *json,
		int *lost)
{
	int r = sd_journal_seek_realtime_usec(journal, start);

	while (r >= 0 && (r = sd_journal_next(journal)) > 0) {
		uint64_t usec = 0;

		r = sd_journal_get_realtime_usec(journal, &usec);
		if (r >= 0 && usec >= start)
			r = is_of(journal, guest);
		if (r > 0)
			r = json ? json_entry(json, journal, usec)
				 : print_entry(journal, guest, usec);
		if (r < 0) {
			*lost = r;
			r = 0;
		}
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
	int lost = 0, r = text_printable(request->guest, &guest);

	if (r == 0)
		r = open_journal(request, &journal);
	if (r >= 0)
		r = find_start(journal, guest, &start, &lost);
	if (r == 0 && !is_readable(journal))
		return say_unreadable("no line of root's is in it");
	if (r == 0 && lost == 0) {
		usher_say("%s: no start is on record: has the guest a policy? (usher check %s)",
			  request->guest, quoted(request->guest));
		return 1;
	}
	if (r > 0 && request->json) {
		json_begin(&json, stdout, "log");
		json_list(&json, "entries");
	}
	if (r > 0)
		r = tell(journal, guest, start, request->json ? &json : NULL, &lost);
	if (start && request->json) {
		json_close(&json, ']');
		json_end(&json);
	}
	if (r < 0 && r != -ENOMEM)
		return say_unreadable(strerror(-r));
	lost = r < 0 ? r : lost;
	if (lost < 0)
		usher_say("not all is shown: lines of the journal cannot be read: %s: see %s",
			  strerror(-lost), lost == -ENOMEM ? "free -m" : "journalctl --verify");
	return lost < 0;
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
