/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/journal.c - each change to what one guest alone owns, written before the change */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"
#include "state.h"
#include "text.h"
#include "units.h"

#define UNDONE "undone"

static void record_free(struct journal_record *record)
{
	free(record->verb);
	free(record->object);
	free(record->old_value);
	free(record->new_value);
}

void journal_close(struct journal *journal)
{
	for (size_t i = 0; i < journal->nr; i++)
		record_free(&journal->records[i]);
	free(journal->records);
	if (journal->fd >= 0)
		(void)close(journal->fd);
	*journal = (struct journal){ .fd = -1 };
}

static int file_name(char *buf, size_t size, const char *name)
{
	return path_format(buf, size, "%s.journal", name);
}

/* For one more record */
static int make_room(struct journal *journal)
{
	struct journal_record *records;

	records = reallocarray(journal->records, journal->nr + 1, sizeof(*records));
	if (!records)
		return -ENOMEM;
	journal->records = records;
	return 0;
}

static int record_push(struct journal *journal, const struct journal_record *record)
{
	int r = make_room(journal);

	if (r == 0)
		journal->records[journal->nr++] = *record;
	return r;
}

/* Takes what it decoded so far back on failure */
static int fields_decode(struct journal_record *record, char *const *words)
{
	char **const fields[] = { &record->verb, &record->object, &record->old_value,
				  &record->new_value };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		int r = text_decode(words[i], fields[i]);

		if (r < 0) {
			record_free(record);
			return r;
		}
	}
	return 0;
}

static int line_undone(struct journal *journal, unsigned int number)
{
	if (number < 1 || number > journal->nr)
		return -EBADMSG;
	journal->records[number - 1].undone = true;
	return 0;
}

static int line_record(struct journal *journal, unsigned int number, char *const *words)
{
	struct journal_record record = { 0 };
	int r;

	if (number != journal->nr + 1)
		return -EBADMSG;
	r = fields_decode(&record, words);
	if (r < 0)
		return r;
	r = record_push(journal, &record);
	if (r < 0)
		record_free(&record);
	return r;
}

static int line_parse(struct journal *journal, const char *line)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned int number;
	int r;

	r = text_split(line, " ", &words);
	if (r < 0)
		return r;
	if (words.nr < 2 || parse_uint(words.names[0], 10, INT_MAX, &number) < 0)
		return -EBADMSG;
	if (words.nr == 2 && strcmp(words.names[1], UNDONE) == 0)
		return line_undone(journal, number);
	return words.nr == 5 ? line_record(journal, number, words.names + 1) : -EBADMSG;
}

/* Return: the length of the whole lines, else -errno. A last line without '\n' is left out. */
static ssize_t lines_parse(struct journal *journal, char *text, size_t len)
{
	char *line = text, *end;

	while ((end = memchr(line, '\n', len - (size_t)(line - text)))) {
		int r;

		*end = '\0';
		if (strlen(line) != (size_t)(end - line))
			return -EBADMSG;
		r = line_parse(journal, line);
		if (r < 0)
			return r;
		line = end + 1;
	}
	return line - text;
}

int journal_open(int dirfd, const char *name, bool write, struct journal *ret)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_free_ char *text = NULL;
	char file[NAME_MAX + 1];
	ssize_t whole = 0;
	size_t len = 0;
	int r;

	r = file_name(file, sizeof(file), name);
	if (r < 0)
		return r;
	r = state_read(dirfd, file, &text, &len);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0)
		whole = lines_parse(&journal, text, len);
	if (whole < 0)
		return (int)whole;
	if (write) {
		journal.fd = state_append(dirfd, file);
		if (journal.fd < 0)
			return journal.fd;
		if ((size_t)whole < len && ftruncate(journal.fd, whole) < 0)
			return -errno;
	}
	*ret = journal;
	journal = (struct journal){ .fd = -1 };
	return 0;
}

/*
 * On a full /run a write can take a part of the line. It must not stay: what came behind it would
 * be one line with it, and the journal be refused as a whole.
 */
static int line_append(struct journal *journal, const char *line, size_t len)
{
	struct stat st;
	ssize_t n;

	if (fstat(journal->fd, &st) < 0)
		return -errno;
	n = write(journal->fd, line, len);
	if (n < 0)
		return -errno;
	if ((size_t)n == len)
		return 0;
	/* The last thing in the file, it is known for what it is */
	if (n > 0 && ftruncate(journal->fd, st.st_size) < 0) {
		(void)close(journal->fd);
		journal->fd = -1;
	}
	return -EIO;
}

static int record_append(struct journal *journal, const struct journal_record *record)
{
	const char *const fields[] = { record->verb, record->object, record->old_value,
				       record->new_value };
	char *words[ARRAY_SIZE(fields)] = { 0 };
	_cleanup_free_ char *line = NULL;
	int len, r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++)
		r = text_encode(fields[i], &words[i]);
	if (r == 0) {
		len = asprintf(&line, "%zu %s %s %s %s\n", journal->nr + 1, words[0], words[1],
			       words[2], words[3]);
		r = len < 0 ? -ENOMEM : line_append(journal, line, (size_t)len);
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		free(words[i]);
	return r;
}

int journal_add(struct journal *journal, const char *verb, const char *object,
		const char *old_value, const char *new_value)
{
	struct journal_record record = { .verb = strdup(verb),
					 .object = strdup(object),
					 .old_value = strdup(old_value),
					 .new_value = strdup(new_value) };
	int r = -ENOMEM;

	/* Room first: a line in the file without its record would give the next one its number */
	if (record.verb && record.object && record.old_value && record.new_value)
		r = make_room(journal);
	if (r == 0)
		r = record_append(journal, &record);
	if (r < 0) {
		record_free(&record);
		return r;
	}
	journal->records[journal->nr++] = record;
	return (int)journal->nr - 1;
}

int journal_undone(struct journal *journal, size_t index)
{
	char line[64];
	int len, r;

	if (index >= journal->nr)
		return -EINVAL;
	if (journal->records[index].undone)
		return 0;
	len = snprintf(line, sizeof(line), "%zu %s\n", index + 1, UNDONE);
	r = line_append(journal, line, (size_t)len);
	if (r == 0)
		journal->records[index].undone = true;
	return r;
}

const struct journal_record *journal_find(const struct journal *journal, const char *verb,
					  const char *object)
{
	for (size_t i = journal->nr; i > 0; i--) {
		const struct journal_record *record = &journal->records[i - 1];

		if (!record->undone && strcmp(record->verb, verb) == 0 &&
		    strcmp(record->object, object) == 0)
			return record;
	}
	return NULL;
}

int journal_remove(int dirfd, const char *name)
{
	char file[NAME_MAX + 1];
	int r = file_name(file, sizeof(file), name);

	return r < 0 ? r : state_remove(dirfd, file);
}
