/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/giveback.c - undo: end the switchers, write the host's inputs back */
#include <errno.h>
#include <string.h>

#include "../../lib/watch.h"
#include "display.h"
#include "fanout.h"

/* A switcher that hangs on its bus: what it may still write comes before what we write */
#define END_MS 200
/* Kept back for the journal and the answer */
#define SPARE_MS 100

/* One input to be written, by a process of its own */
struct giveback {
	struct switch_record record;
	uint8_t input;
	int timeout_ms;
	int error;
};

struct giveback_list {
	struct giveback *entries;
	size_t nr;
};

static void giveback_list_free(struct giveback_list *list)
{
	free(list->entries);
}

/* Return: 0, -EBADMSG for a record that is not ours */
static int check_record(const struct journal_record *record)
{
	struct switch_record parsed;
	unsigned long long start;
	struct process process;

	if (strcmp(record->verb, VERB_WANT) == 0)
		return record_parse_want(record, &start);
	if (strcmp(record->verb, VERB_SWITCHER) == 0)
		return record_parse_switcher(record, &process);
	if (strcmp(record->verb, VERB_SWITCH) == 0)
		return record_parse_switch(record, &parsed);
	return -EBADMSG;
}

static int check_journal(const struct journal *journal)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < journal->nr; i++)
		r = check_record(&journal->records[i]);
	return r;
}

static void end_switcher(const struct helper_ctx *ctx, const struct journal_record *record)
{
	struct process process;
	int fd;

	if (record_parse_switcher(record, &process) < 0)
		return;
	fd = watch_open(ctx->rootfd, &process);
	if (fd >= 0 && watch_end(fd, END_MS) < 0)
		helper_say(ctx, "[%s] the process that switches the monitor hangs on its bus",
			   record->object);
	cleanup_close(&fd);
}

/* A switcher that has not yet enrolled finds its section no longer wanted */
static int end_switchers(const struct helper_ctx *ctx, struct journal *journal)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < journal->nr; i++) {
		if (journal->records[i].undone ||
		    strcmp(journal->records[i].verb, VERB_SWITCH) == 0)
			continue;
		if (strcmp(journal->records[i].verb, VERB_SWITCHER) == 0)
			end_switcher(ctx, &journal->records[i]);
		r = journal_undone(journal, i);
	}
	return r;
}

static unsigned long long qemu_start(const struct journal *journal)
{
	unsigned long long start = 0;

	for (size_t i = 0; i < journal->nr; i++)
		if (strcmp(journal->records[i].verb, VERB_WANT) == 0)
			if (record_parse_want(&journal->records[i], &start) < 0)
				start = 0;
	return start;
}

/* The first record of a bus holds what was before us */
static bool is_listed(const struct giveback_list *list, unsigned int bus)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->entries[i].record.bus == bus)
			return true;
	return false;
}

/* Return: 1 with @ret filled, 0 nothing is to be written */
static int decide(const struct helper_ctx *ctx, const struct journal *journal, size_t index,
		  struct giveback *ret)
{
	struct rival rival;
	int r;

	*ret = (struct giveback){ 0 };
	if (record_parse_switch(&journal->records[index], &ret->record) < 0)
		return 0;
	ret->input = ret->record.host_input;
	r = rival_find(ctx, ret->record.bus, qemu_start(journal), &rival);
	if (r > 0 && rival.later)
		return 0;
	if (r > 0)
		ret->input = rival.guest_input;
	return 1;
}

static int plan(const struct helper_ctx *ctx, const struct journal *journal,
		struct giveback_list *ret)
{
	struct switch_record record;

	ret->entries = calloc(journal->nr + 1, sizeof(*ret->entries));
	if (!ret->entries)
		return -ENOMEM;
	for (size_t i = 0; i < journal->nr; i++) {
		if (journal->records[i].undone ||
		    strcmp(journal->records[i].verb, VERB_SWITCH) != 0 ||
		    record_parse_switch(&journal->records[i], &record) < 0 ||
		    is_listed(ret, record.bus))
			continue;
		ret->nr += (size_t)decide(ctx, journal, i, &ret->entries[ret->nr]);
	}
	return 0;
}

/* Runs in a process of its own: see fanout.h */
static void write_back(int rootfd, const void *arg, void *result)
{
	const struct giveback *entry = arg;
	int *error = result;
	int r = bus_is_display(rootfd, entry->record.bus);

	/* Its number may be another adapter's by now */
	if (r <= 0) {
		*error = r < 0 ? r : -ENODEV;
		return;
	}
	*error = monitor_set_input(rootfd, entry->record.bus, entry->record.source_address,
				   entry->input, deadline_in(entry->timeout_ms), -1);
}

static int write_all(const struct helper_ctx *ctx, struct giveback_list *list)
{
	_cleanup_free_ struct fanout_job *jobs = calloc(list->nr + 1, sizeof(*jobs));
	int left = deadline_left(ctx->deadline) - SPARE_MS;

	if (!jobs)
		return -ENOMEM;
	if (left < SPARE_MS)
		left = SPARE_MS;
	for (size_t i = 0; i < list->nr; i++) {
		/* So that its last answer is in before it is given up */
		list->entries[i].timeout_ms = left / 2;
		jobs[i] = (struct fanout_job){ .arg = &list->entries[i],
					       .result = &list->entries[i].error };
	}
	fanout_run(jobs, list->nr, sizeof(int), ctx->rootfd, write_back, left);
	for (size_t i = 0; i < list->nr; i++)
		if (jobs[i].error < 0)
			list->entries[i].error = jobs[i].error;
	return 0;
}

/* All its records: a run before this one may have left some */
static int forget_bus(struct journal *journal, unsigned int bus)
{
	struct switch_record record;
	int r = 0;

	for (size_t i = 0; r == 0 && i < journal->nr; i++)
		if (!journal->records[i].undone &&
		    strcmp(journal->records[i].verb, VERB_SWITCH) == 0 &&
		    record_parse_switch(&journal->records[i], &record) == 0 && record.bus == bus)
			r = journal_undone(journal, i);
	return r;
}

/* Return: 1 when the record stays for another try, 0 not, else -errno */
static int settle(const struct helper_ctx *ctx, struct journal *journal,
		  const struct giveback *entry)
{
	bool last_try = ctx->claim.state == CLAIM_RETURNING;

	if (entry->error < 0)
		helper_say(ctx, "[%s] the monitor on i2c-%u did not take input %u back: %s: %s",
			   entry->record.section, entry->record.bus, entry->input,
			   strerror(-entry->error),
			   last_try ? "use its own buttons" : "it is tried once more at release");
	if (entry->error < 0 && !last_try)
		return 1;
	return forget_bus(journal, entry->record.bus);
}

static int give_back(struct helper_ctx *ctx, struct journal *journal)
{
	_cleanup_(giveback_list_free) struct giveback_list list = { 0 };
	int kept = 0, r = end_switchers(ctx, journal);

	if (r == 0)
		r = plan(ctx, journal, &list);
	if (r == 0)
		r = write_all(ctx, &list);
	for (size_t i = 0; r >= 0 && i < list.nr; i++) {
		r = settle(ctx, journal, &list.entries[i]);
		kept += r > 0;
	}
	if (r < 0 || kept > 0)
		return r < 0 ? r : 1;
	return journal_remove(ctx->dirfd, DISPLAY_NAME);
}

static void print_plan(const struct helper_ctx *ctx, const struct journal *journal)
{
	_cleanup_(giveback_list_free) struct giveback_list list = { 0 };

	if (plan(ctx, journal, &list) < 0)
		return;
	for (size_t i = 0; i < list.nr; i++)
		(void)helper_would(ctx, "write input %u to the monitor on i2c-%u",
				   list.entries[i].input, list.entries[i].record.bus);
}

enum helper_exit display_undo(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int r = journal_open(ctx->dirfd, DISPLAY_NAME, !ctx->dry_run, &journal);

	if (r == 0)
		r = check_journal(&journal);
	if (r < 0) {
		helper_say(ctx,
			   "cannot use run/usher/%s/display.journal: %s: no monitor is touched",
			   ctx->claim.uuid, strerror(-r));
		return HELPER_DIRTY;
	}
	if (ctx->dry_run) {
		print_plan(ctx, &journal);
		return HELPER_DONE;
	}
	r = give_back(ctx, &journal);
	if (r < 0)
		helper_say(ctx, "cannot give the monitors back: %s", strerror(-r));
	return r == 0 ? HELPER_DONE : HELPER_DIRTY;
}
