/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_log_test.c - usher log where there is nothing to tell, over a journal of the test */
/* wraps: sd_journal_open_directory sd_journal_close sd_journal_add_match sd_journal_flush_matches */
/* wraps: sd_journal_seek_tail sd_journal_previous sd_journal_seek_realtime_usec sd_journal_next */
/* wraps: sd_journal_get_realtime_usec sd_journal_get_data */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
#include "faults.h"

#include <systemd/sd-journal.h>

#include "usher_host.h"
#include "whole.h"

/* usher's own lines, one a second */
static const struct entry {
	const char *fields[8];
} entries[] = {
	{ { "MESSAGE=win11: an older start in 900 ms", "USHER_GUEST=win11", "USHER_PHASE=prepare",
	    "USHER_MSEC=900", "PRIORITY=6" } },
	{ { "MESSAGE=games: vfio done", "USHER_GUEST=games", "PRIORITY=6" } },
	{ { "MESSAGE=win11: vfio done", "USHER_GUEST=win11", "USHER_PHASE=prepare",
	    "USHER_STEP=vfio", "USHER_VERB=apply", "USHER_MSEC=20", "PRIORITY=6" } },
	{ { "MESSAGE=win11: a line without fields", "PRIORITY=4" } },
	{ { "MESSAGE=win11: started in 100 ms", "USHER_GUEST=win11", "USHER_PHASE=prepare",
	    "USHER_MSEC=1100", "PRIORITY=3" } },
	{ { "MESSAGE=win11: no time", "USHER_GUEST=win11", "USHER_PHASE=prepare", "PRIORITY=6" } },
};
static size_t nr_entries, at;
static int data_error; /* of every entry */

/* Lines of root's, none of them usher's */
static size_t lines;
static bool ushers_only;
/* What reading the last one comes to */
static int read_error;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_sd_journal_open_directory(sd_journal **ret, const char *path, int flags);
void __wrap_sd_journal_close(sd_journal *journal);
int __wrap_sd_journal_add_match(sd_journal *journal, const void *data, size_t size);
void __wrap_sd_journal_flush_matches(sd_journal *journal);
int __wrap_sd_journal_seek_tail(sd_journal *journal);
int __wrap_sd_journal_previous(sd_journal *journal);
int __wrap_sd_journal_seek_realtime_usec(sd_journal *journal, uint64_t usec);
int __wrap_sd_journal_next(sd_journal *journal);
int __wrap_sd_journal_get_realtime_usec(sd_journal *journal, uint64_t *ret);
int __wrap_sd_journal_get_data(sd_journal *journal, const char *name, const void **data,
			       size_t *len);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* As the library: it opens what it can, which may be nothing */
int __wrap_sd_journal_open_directory(sd_journal **ret, const char *path, int flags)
{
	(void)path, (void)flags;
	*ret = (sd_journal *)&lines;
	return 0;
}

void __wrap_sd_journal_close(sd_journal *journal)
{
	(void)journal;
}

int __wrap_sd_journal_add_match(sd_journal *journal, const void *data, size_t size)
{
	(void)journal, (void)size;
	ushers_only |= strcmp(data, "SYSLOG_IDENTIFIER=usher") == 0;
	return 0;
}

void __wrap_sd_journal_flush_matches(sd_journal *journal)
{
	(void)journal;
	ushers_only = false;
}

int __wrap_sd_journal_seek_tail(sd_journal *journal)
{
	(void)journal;
	at = nr_entries;
	return 0;
}

int __wrap_sd_journal_previous(sd_journal *journal)
{
	(void)journal;
	if (ushers_only && at > 0) {
		at--;
		return 1;
	}
	return read_error ?: !ushers_only && lines > 0;
}

int __wrap_sd_journal_seek_realtime_usec(sd_journal *journal, uint64_t usec)
{
	(void)journal;
	at = (usec + 999999) / 1000000 - 1;
	return 0;
}

int __wrap_sd_journal_next(sd_journal *journal)
{
	(void)journal;
	return read_error ?: ++at < nr_entries;
}

int __wrap_sd_journal_get_realtime_usec(sd_journal *journal, uint64_t *ret)
{
	(void)journal;
	*ret = at * 1000000;
	return 0;
}

int __wrap_sd_journal_get_data(sd_journal *journal, const char *name, const void **data,
			       size_t *len)
{
	(void)journal;
	if (data_error)
		return data_error;
	for (size_t i = 0; entries[at].fields[i]; i++) {
		const char *text = entries[at].fields[i];

		if (strncmp(text, name, strlen(name)) != 0 || text[strlen(name)] != '=')
			continue;
		*data = text;
		*len = strlen(text);
		return 0;
	}
	return -ENOENT;
}

/* What usher log win11 has on stderr */
static const char *log_says(void)
{
	const struct request request = { .root = "/nowhere", .guest = "win11" };
	static char text[1024];
	FILE *file = tmpfile();
	int old = dup(STDERR_FILENO), status;
	size_t len;

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	(void)said(&command_log, &request, &status);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	(void)close(old);
	assert_int_equal(status, 1);
	rewind(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	(void)fclose(file);
	return text;
}

static void a_guest_without_a_start_is_told_from_a_journal_that_cannot_be_read(void **state)
{
	(void)state;
	lines = 0;
	assert_string_equal(log_says(),
			    "usher: cannot read the journal: no line of root's is in it: run it as "
			    "root; without journald the lines are in syslog's files\n");
	lines = 7;
	assert_string_equal(log_says(), "usher: win11: no start is on record: has the guest a "
					"policy? (usher check win11)\n");
}

static void a_journal_whose_reading_fails_is_told_with_the_reason(void **state)
{
	(void)state;
	read_error = -EBADMSG;
	assert_string_equal(log_says(), "usher: cannot read the journal: Bad message: run it as "
					"root; without journald the lines are in syslog's files\n");
	read_error = 0;
}

static void a_line_that_cannot_be_read_is_missing_and_said(void **state)
{
	const struct request request = { .root = "/nowhere", .guest = "win11" };
	int status;

	(void)state;
	lines = nr_entries = ARRAY_SIZE(entries);
	assert_non_null(strstr(said(&command_log, &request, &status), "  a line without fields\n"));
	assert_int_equal(status, 0);
	assert_null(strstr(said(&command_log, &request, &status), "an older start"));
	data_error = -EBADMSG;
	assert_string_equal(log_says(),
			    "usher: not all is shown: lines of the journal cannot be read: Bad "
			    "message: see journalctl --verify\n");
	data_error = 0;
	nr_entries = 0;
}

static void a_log_without_memory_is_whole_or_says_so(void **state)
{
	(void)state;
	lines = nr_entries = ARRAY_SIZE(entries);
	for (int json = 0; json < 2; json++) {
		const struct request request = { .root = "/nowhere",
						 .guest = "win11",
						 .json = json };

		assert_whole(&command_log, &request, FAULT_MEMORY, ENOMEM, 1);
	}
	nr_entries = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_guest_without_a_start_is_told_from_a_journal_that_cannot_be_read),
		cmocka_unit_test(a_line_that_cannot_be_read_is_missing_and_said),
		cmocka_unit_test(a_log_without_memory_is_whole_or_says_so),
		cmocka_unit_test(a_journal_whose_reading_fails_is_told_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
