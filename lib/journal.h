/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/journal.h - each change to what one guest alone owns, written before the change */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

/*
 * How it works
 *
 * run/usher/UUID/HELPER.journal, one line a record, appended by one write(2):
 *
 *	NUMBER VERB OBJECT OLD NEW\n	fields text_encode()d, numbers from 1
 *	NUMBER undone\n			record NUMBER has been taken back
 *
 * A line without its newline was cut off by a kill before the change it announces: ignored, and
 * cut away when the next record is added. Undo goes backwards over the records that are not
 * undone. What a verb means, and which objects it may name, is the helper's: it checks every
 * field before it writes anywhere.
 */

struct journal_record {
	char *verb;   /* "driver", "override", "pool" */
	char *object; /* "0000:01:00.0" */
	char *old_value;
	char *new_value;
	bool undone;
};

struct journal {
	int fd; /* O_APPEND, -1 when opened for reading only */
	struct journal_record *records;
	size_t nr;
};

void journal_close(struct journal *journal);
#define _cleanup_journal_ _cleanup_(journal_close)

/**
 * journal_open() - load a journal, and make it when @write
 * @dirfd:	the claim's directory
 * @name:	the helper's name; the file is NAME.journal
 *
 * Return: 0 (also when there is none yet: no records), -EBADMSG for a line that is no record,
 * -EPERM when the file is not ours alone, -ELOOP for a symlink, -ENOMEM, else -errno
 */
int journal_open(int dirfd, const char *name, bool write, struct journal *ret) _must_check_;

/**
 * journal_add() - announce a change; call it before the change is made
 *
 * Return: the record's index >= 0, -EIO on a short write, -ENOMEM, else -errno of write(2)
 */
int journal_add(struct journal *journal, const char *verb, const char *object,
		const char *old_value, const char *new_value) _must_check_;

/** journal_undone() - note that a record has been taken back. Return: 0, else as journal_add() */
int journal_undone(struct journal *journal, size_t index) _must_check_;

/** journal_find() - the last record not undone of this verb and object. Return: NULL for none */
const struct journal_record *journal_find(const struct journal *journal, const char *verb,
					  const char *object);

/** journal_remove() - all is undone: drop the file. Return: 0 (also when missing), else -errno */
int journal_remove(int dirfd, const char *name) _must_check_;
