/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/giveback.c - undo: end the switchers, write the host's inputs back */
#include <errno.h>
#include <string.h>

#include "../../lib/log.h"
#include "../../lib/state.h"
#include "../../lib/watch.h"
#include "display.h"
#include "fanout.h"

/*
 * How it works
 *
 * In `stopped`, and whenever it is run by hand, undo writes to the buses that were recorded. What a
 * monitor does not take stays in the journal. Where the bus is gone, the monitor is looked for on
 * the host's others. When the claim is given back, the devices of the guest come before us
 * (lib/step.c): what is left then, and what no bus of the host's leads to, is tried over the buses
 * of those devices too, by the monitor's identity, and after that it is let go.
 */

/* A switcher that hangs on its bus: what it may still write comes before what we write */
#define END_MS 200
/* Kept back for the journal and the answer */
#define SPARE_MS 100

/* In a release: for the recorded buses; the rest is for those of the devices that are back */
#define RECORDED_MS 600

void giveback_list_free(struct giveback_list *list)
{
	free(list->entries);
}

/* Return: 0, -EBADMSG for a record that is not ours */
static int check_record(const struct journal_record *record)
{
	struct monitor_record monitor;
	struct switch_record parsed;
	unsigned long long start;
	struct process process;

	if (strcmp(record->verb, VERB_WANT) == 0)
		return record_parse_want(record, &start);
	if (strcmp(record->verb, VERB_SWITCHER) == 0)
		return record_parse_switcher(record, &process);
	if (strcmp(record->verb, VERB_MONITOR) == 0)
		return record_parse_monitor(record, &monitor);
	if (strcmp(record->verb, VERB_SWITCH) == 0 || strcmp(record->verb, VERB_SHOWN) == 0)
		return record_parse_switch(record, &parsed);
	if (strcmp(record->verb, VERB_LATE) == 0)
		return record_parse_late(record, &parsed);
	return -EBADMSG;
}

static int check_journal(const struct journal *journal)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < journal->nr; i++)
		r = check_record(&journal->records[i]);
	return r;
}

/* Return: a pidfd, negative when there is nobody to be ended */
static int open_switcher(const struct helper_ctx *ctx, const struct journal_record *record)
{
	struct process process;

	if (record->undone || strcmp(record->verb, VERB_SWITCHER) != 0 ||
	    record_parse_switcher(record, &process) < 0)
		return -ESRCH;
	return watch_open_ours(ctx->rootfd, &process);
}

/* All at once: there is one for each monitor, and they may all hang */
static int end_switchers(const struct helper_ctx *ctx, const struct journal *journal)
{
	_cleanup_free_ int *fds = calloc(journal->nr + 1, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; i < journal->nr; i++)
		fds[i] = open_switcher(ctx, &journal->records[i]);
	/* Who is still there is asked of each */
	(void)!watch_end_all(fds, journal->nr, END_MS);
	for (size_t i = 0; i < journal->nr; i++) {
		if (fds[i] >= 0 && watch_wait(fds[i], 0) == 0)
			helper_say(ctx,
				   "[%s] the process that switches the monitor hangs on its bus",
				   journal->records[i].object);
		cleanup_close(&fds[i]);
	}
	return 0;
}

/* Records that say what is now; the others say what is to be given back */
static bool is_of_the_run(const char *verb)
{
	return strcmp(verb, VERB_WANT) == 0 || strcmp(verb, VERB_SWITCHER) == 0 ||
	       strcmp(verb, VERB_SHOWN) == 0;
}

/* A switcher that has not yet enrolled finds its section no longer wanted */
static int end_run(const struct helper_ctx *ctx, struct journal *journal)
{
	int r = end_switchers(ctx, journal);

	for (size_t i = 0; r == 0 && i < journal->nr; i++)
		if (!journal->records[i].undone && is_of_the_run(journal->records[i].verb))
			r = journal_undone(journal, i);
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
		if (!list->entries[i].late && list->entries[i].record.bus == bus)
			return true;
	return false;
}

static bool has_section(const struct giveback_list *list, const char *section)
{
	for (size_t i = 0; i < list->nr; i++)
		if (strcmp(list->entries[i].record.section, section) == 0)
			return true;
	return false;
}

/*
 * A guest that started later has the monitor, or may have found it silent: then what we leave
 * behind is an input without a signal.
 *
 * Return: 1 with @ret filled, 0 nothing is to be written
 */
static int decide(const struct helper_ctx *ctx, unsigned long long start,
		  const struct switch_record *record, struct giveback *ret)
{
	struct rival rival;
	int r = rival_find(ctx, record->bus, start, &rival);

	*ret = (struct giveback){ .record = *record, .input = record->host_input };
	if (r > 0 && rival.later && rival.shown)
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
	ret->qemu_start = qemu_start(journal);
	for (size_t i = 0; i < journal->nr; i++) {
		struct giveback *entry = &ret->entries[ret->nr];

		if (!record_is_open(&journal->records[i], VERB_SWITCH, &record) ||
		    is_listed(ret, record.bus) || decide(ctx, ret->qemu_start, &record, entry) == 0)
			continue;
		entry->monitor = record_monitor_of(journal, record.bus);
		ret->nr++;
	}
	return 0;
}

/* The claim is given back, and nothing of its devices is left with the guest */
static bool devices_are_back(const struct helper_ctx *ctx)
{
	return ctx->claim.state == CLAIM_RETURNING &&
	       faccessat(ctx->dirfd, "vfio.journal", F_OK, 0) < 0;
}

/* After plan(): a monitor that was found on a bus after all is not on the list twice */
static void plan_late(const struct journal *journal, struct giveback_list *list)
{
	struct switch_record record;

	for (size_t i = 0; i < journal->nr; i++) {
		if (journal->records[i].undone ||
		    strcmp(journal->records[i].verb, VERB_LATE) != 0 ||
		    record_parse_late(&journal->records[i], &record) < 0 ||
		    has_section(list, record.section))
			continue;
		list->entries[list->nr++] =
			(struct giveback){ .record = record,
					   .monitor = { .identity = "", .connector = "" },
					   .late = true,
					   .input = record.host_input,
					   .error = -ENODEV };
	}
}

/* Its number may be another adapter's by now. Return: 0, -ENODEV, else as bus_look() */
static int look_whose(int rootfd, const struct giveback *entry)
{
	const char *connector = entry->monitor.connector;
	struct bus bus;
	int r = bus_look(rootfd, entry->claim, entry->claimed, entry->record.bus, &bus);

	if (r <= 0)
		return r < 0 ? r : -ENODEV;
	return *connector && *bus.connector && strcmp(connector, bus.connector) != 0 ? -ENODEV : 0;
}

/* Runs in a process of its own: see fanout.h */
static void write_back(int rootfd, const void *arg, void *result)
{
	const struct giveback *entry = arg;
	int *error = result;

	*error = look_whose(rootfd, entry);
	if (*error < 0)
		return;
	*error = monitor_set_input(rootfd, entry->record.bus, entry->record.source_address,
				   entry->input, deadline_in(entry->timeout_ms), -1);
}

int giveback_write(const struct helper_ctx *ctx, struct giveback_list *list, int timeout_ms)
{
	_cleanup_free_ struct fanout_job *jobs = calloc(list->nr + 1, sizeof(*jobs));
	const struct fanout fanout = { .arg_size = sizeof(struct giveback),
				       .size = sizeof(int),
				       .rootfd = ctx->rootfd,
				       .work = write_back };
	size_t nr = 0;

	if (!jobs)
		return -ENOMEM;
	for (size_t i = 0; i < list->nr; i++) {
		struct giveback *entry = &list->entries[i];

		if (entry->late)
			continue;
		/* So that its last answer is in before it is given up */
		entry->timeout_ms = timeout_ms / 2;
		entry->claim = &ctx->claim;
		jobs[nr++] = (struct fanout_job){ .arg = entry, .result = &entry->error };
	}
	fanout_run(&fanout, jobs, nr, timeout_ms);
	for (size_t i = 0, job = 0; i < list->nr; i++) {
		if (list->entries[i].late)
			continue;
		if (jobs[job].error < 0)
			list->entries[i].error = jobs[job].error;
		job++;
	}
	return 0;
}

static bool all_written(const struct giveback_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->entries[i].error < 0)
			return false;
	return true;
}

static bool any_gone(const struct giveback_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		if (!list->entries[i].late && list->entries[i].error == -ENODEV)
			return true;
	return false;
}

static int time_left(const struct helper_ctx *ctx)
{
	int left = deadline_left(ctx->deadline) - SPARE_MS;

	return left < SPARE_MS ? SPARE_MS : left;
}

static int write_back_all(const struct helper_ctx *ctx, struct giveback_list *list, bool back)
{
	int left = time_left(ctx);
	int r = giveback_write(ctx, list, back && left > RECORDED_MS ? RECORDED_MS : left);

	if (r == 0 && any_gone(list))
		r = detour_write(ctx, list, false, back ? time_left(ctx) / 2 : time_left(ctx));
	if (r == 0 && back && !all_written(list))
		r = detour_write(ctx, list, true, time_left(ctx));
	return r;
}

/* All its records: a run before this one may have left some */
static int forget_bus(struct journal *journal, unsigned int bus)
{
	struct switch_record record;
	int r = 0;

	for (size_t i = 0; r == 0 && i < journal->nr; i++)
		if (record_is_open(&journal->records[i], VERB_SWITCH, &record) && record.bus == bus)
			r = journal_undone(journal, i);
	return r;
}

static int forget_late(struct journal *journal, const char *section)
{
	const struct journal_record *record;
	int r = 0;

	while (r == 0 && (record = journal_find(journal, VERB_LATE, section)))
		r = journal_undone(journal, (size_t)(record - journal->records));
	return r;
}

static int forget(struct journal *journal, const struct giveback *entry)
{
	int r = entry->late ? 0 : forget_bus(journal, entry->record.bus);

	return r < 0 ? r : forget_late(journal, entry->record.section);
}

static void complain(const struct helper_ctx *ctx, const struct giveback *entry, bool last)
{
	if (entry->error == -ENOTUNIQ)
		helper_say(ctx,
			   "[%s] more than one monitor may be the one that gets input %u back, and "
			   "none has a serial: use its own buttons",
			   entry->record.section, entry->input);
	/* Nor did we switch it; whether it is there at all, nobody knows */
	else if (entry->late)
		log_line(ctx->rootfd, LOG_INFO,
			 "%s: [%s] no bus leads to the monitor, to give it input %u back",
			 ctx->claim.guest, entry->record.section, entry->input);
	else
		helper_say(ctx, "[%s] the monitor on i2c-%u did not take input %u back: %s: %s",
			   entry->record.section, entry->record.bus, entry->input,
			   strerror(-entry->error),
			   last ? "use its own buttons" : "it is tried once more at release");
}

/* Return: 1 when the record stays for another try, 0 not, else -errno */
static int settle(const struct helper_ctx *ctx, struct journal *journal,
		  const struct giveback *entry, bool last)
{
	if (entry->error < 0)
		complain(ctx, entry, last);
	if (entry->error < 0 && !last)
		return 1;
	return forget(journal, entry);
}

/* Those that wait for the guest's devices are no failure. Return: 1 or 0 */
static int any_late(const struct journal *journal)
{
	for (size_t i = 0; i < journal->nr; i++)
		if (!journal->records[i].undone && strcmp(journal->records[i].verb, VERB_LATE) == 0)
			return 1;
	return 0;
}

static int give_back(struct helper_ctx *ctx, struct journal *journal)
{
	_cleanup_(giveback_list_free) struct giveback_list list = { 0 };
	bool back = devices_are_back(ctx);
	int kept = 0, r = end_run(ctx, journal);

	if (r == 0)
		r = plan(ctx, journal, &list);
	if (r == 0 && back)
		plan_late(journal, &list);
	if (r == 0)
		r = write_back_all(ctx, &list, back);
	for (size_t i = 0; r >= 0 && i < list.nr; i++) {
		r = settle(ctx, journal, &list.entries[i], back);
		kept += r > 0;
	}
	if (r < 0 || kept > 0)
		return r < 0 ? r : 1;
	return any_late(journal) ? 0 : journal_remove(ctx->dirfd, DISPLAY_NAME);
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
		helper_say(
			ctx,
			"cannot use /run/usher/%s/display.journal: %s: no monitor is touched: %s",
			ctx->claim.uuid, strerror(-r), state_cure(r, "switch them back by hand"));
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
