/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_log_test.c - usher log where there is nothing to tell, over a journal of the test */
/* wraps: sd_journal_open_directory sd_journal_close sd_journal_add_match sd_journal_flush_matches */
/* wraps: sd_journal_seek_tail sd_journal_previous */
#include <systemd/sd-journal.h>

#include "usher_host.h"

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
	return 0;
}

int __wrap_sd_journal_previous(sd_journal *journal)
{
	(void)journal;
	return read_error ?: !ushers_only && lines > 0;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_guest_without_a_start_is_told_from_a_journal_that_cannot_be_read),
		cmocka_unit_test(a_journal_whose_reading_fails_is_told_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
