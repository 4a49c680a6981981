/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/display.h - monitors that follow the guest */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../../lib/journal.h"
#include "../../lib/process.h"
#include "../helper.h"
#include "bus.h"
#include "monitor.h"

/*
 * How it works
 *
 * apply, in `started`, only notes what is wanted and forks one switcher for each monitor: a start
 * never waits for a monitor. The switcher
 *
 *	1. finds the monitor's bus, all buses being asked side by side;
 *	2. waits until the guest can show something (delay_ms), QEMU's end ending it;
 *	3. records bus, host's input and guest's input, under the helper's lock, and goes if what
 *	   is wanted is not there any more: undo was faster;
 *	4. switches, again with growing gaps, until timeout_ms has passed;
 *	5. looks now and then, for the rest of that time, whether the monitor has fallen back by
 *	   itself, as those do that find no signal, or is deaf to the host's cable now.
 *
 * Before it waits for anything, and at the latest with 3., it registers in the journal, so that
 * undo can end it.
 *
 * undo ends the switchers, and writes the host's input to every bus that was recorded: blind,
 * because many monitors answer on their active input only. Buses are written side by side, each
 * by a process that can be left behind.
 *
 * Two guests may claim one monitor: the one that started last has it, whichever comes to its
 * switch first. At the end of one it goes to the last of those that still run, and to the host
 * only when there is none. Each reads the other's journal for that; there is no state they share.
 *
 * A bus that is not there any more, or is another monitor's by its connector, has come back under
 * another number: there it is looked for by what is known of the monitor.
 *
 * A monitor that does not take its input back is tried once more at `release`, when the guest's
 * GPU is the host's again: also over that GPU's cable, which is the one that a monitor listens on
 * that answers on its active input only. The monitor there must have the EDID identity that it had
 * on the host's cable: what the policy calls it may be a connector, or a model that there are two
 * of. So it is with a monitor that no other bus leads to. Then it is let go: it has a button, and
 * the guest's next start must not wait for it.
 *
 * The journal:
 *	want SECTION QEMU-START GUEST-INPUT
 *	switcher SECTION PID START
 *	monitor BUS IDENTITY CONNECTOR	who is on it, before the first switch; "-" when not known
 *	switch BUS:SOURCE-ADDRESS:SECTION HOST-INPUT GUEST-INPUT
 *	shown BUS:SOURCE-ADDRESS:SECTION HOST-INPUT GUEST-INPUT	the monitor has taken it
 *	late SECTION HOST-INPUT GUEST-INPUT	no bus of the host's leads to it
 */

#define DISPLAY_NAME "display"

/* One bus that hangs costs no more than this; twice in a start's check (lib/step.c) */
#define PROBE_MS 1500

extern const struct helper display_helper;

/* One [display] or [display NAME] section */
struct display {
	const char *section;
	const char *monitor;
	int guest_input;	/* 0 to 255 */
	int host_input;		/* -1: what the monitor says before the switch */
	uint8_t source_address; /* 0x51 by the standard */
	int delay_ms, timeout_ms;
	bool shared; /* false: not taken from another guest */
};

struct display_list {
	struct display *displays;
	size_t nr;
};

void display_list_free(struct display_list *list);
#define _cleanup_display_list_ _cleanup_(display_list_free)

/* One line without a newline */
struct display_error {
	char what[300];
};

/**
 * displays_read() - the monitors of a claim, checked; texts point into the claim
 *
 * Return: 0, -EINVAL with @err filled, -ENOMEM
 */
int displays_read(const struct claim *claim, struct display_list *ret, struct display_error *err)
	_must_check_;

/* --- record.c: the journal's records --------------------------------------------------------- */

#define VERB_WANT     "want"
#define VERB_SWITCHER "switcher"
#define VERB_MONITOR  "monitor"
#define VERB_SWITCH   "switch"
#define VERB_SHOWN    "shown"
#define VERB_LATE     "late"

struct switch_record {
	unsigned int bus;
	uint8_t source_address;
	uint8_t host_input, guest_input;
	const char *section; /* points into the record */
};

/* Who is on a bus; "" when not known */
struct monitor_record {
	unsigned int bus;
	const char *identity; /* by edid_identity() */
	const char *connector;
};

/** record_monitor() - note who is on a bus. Return: as journal_add() */
int record_monitor(struct journal *journal, const struct monitor_record *record) _must_check_;

/** record_parse_monitor() - Return: 0 with @ret pointing into @record, -EBADMSG */
int record_parse_monitor(const struct journal_record *record, struct monitor_record *ret)
	_must_check_;

/** record_monitor_of() - the last of a bus. Return: all not known when there is none */
struct monitor_record record_monitor_of(const struct journal *journal, unsigned int bus);

/**
 * record_switch() - announce a switch
 *
 * Return: as journal_add()
 */
int record_switch(struct journal *journal, const struct switch_record *record) _must_check_;

/** record_shown() - note that the monitor has taken an announced switch. Return: as journal_add() */
int record_shown(struct journal *journal, const struct switch_record *record) _must_check_;

/** record_parse_switch() - of VERB_SWITCH and VERB_SHOWN. Return: 0, -EBADMSG */
int record_parse_switch(const struct journal_record *record, struct switch_record *ret)
	_must_check_;

/** record_is_open() - a record of @verb that parses and is not undone. Return: 1 with @ret filled, 0 */
int record_is_open(const struct journal_record *record, const char *verb,
		   struct switch_record *ret);

/** record_late() - announce a way back over the guest's GPU alone. Return: as journal_add() */
int record_late(struct journal *journal, const struct display *display) _must_check_;

/** record_parse_late() - Return: 0 with the inputs and the section filled, -EBADMSG */
int record_parse_late(const struct journal_record *record, struct switch_record *ret) _must_check_;

/** record_want() - announce that a section's monitor is to be switched. Return: as journal_add() */
int record_want(struct journal *journal, const struct display *display,
		unsigned long long qemu_start) _must_check_;

/** record_parse_want() - Return: 0 with QEMU's start time, -EBADMSG */
int record_parse_want(const struct journal_record *record, unsigned long long *ret_start)
	_must_check_;

/** record_switcher() - register a switcher's process. Return: as journal_add() */
int record_switcher(struct journal *journal, const char *section, const struct process *process)
	_must_check_;

/** record_parse_switcher() - Return: 0, -EBADMSG */
int record_parse_switcher(const struct journal_record *record, struct process *ret) _must_check_;

/**
 * record_wanted() - is this section's monitor still wanted for this run of QEMU
 *
 * Return: 1 or 0
 */
int record_wanted(const struct journal *journal, const char *section,
		  unsigned long long qemu_start);

/* --- rival.c: other guests with the same monitor ------------------------------------------------- */

struct rival {
	uint8_t host_input; /* as its record has it */
	uint8_t guest_input;
	uint8_t source_address;
	bool later; /* it started after us */
	bool shown; /* the monitor has taken its input */
	char guest[64];
};

/**
 * rival_find() - the last started of the other running guests that have switched this bus
 * @qemu_start:	when our own QEMU started
 *
 * Return: 1 with @ret filled, 0 there is none, else -errno of reading the claims
 */
int rival_find(const struct helper_ctx *ctx, unsigned int bus, unsigned long long qemu_start,
	       struct rival *ret) _must_check_;

/**
 * rival_host_input() - the host's input, when a guest has been switched to from it
 *
 * Of any claim, our own too, until its record is undone: a guest that ends shows until then.
 *
 * Return: 1 with @ret filled, 0 no record has it, else -errno of reading the claims
 */
int rival_host_input(const struct helper_ctx *ctx, unsigned int bus, int *ret) _must_check_;

/**
 * rival_find_named() - the last started of the other running guests whose claims name this monitor
 *
 * Its host_input is not filled.
 *
 * Return: as rival_find()
 */
int rival_find_named(const struct helper_ctx *ctx, const struct edid *edid,
		     unsigned long long qemu_start, struct rival *ret) _must_check_;

/* --- survey.c: a look at all buses ----------------------------------------------------------------- */

struct survey {
	struct bus_list list;
	struct probe *probes;
	struct probe_ask *asks; /* for a second round: room for one each, none asked */
};

void survey_free(struct survey *survey);

/**
 * survey_take() - find buses and ask who is there
 * @claimed:	those of the claim's devices alone, else all but those
 *
 * Return: 0, else as buses_find() or monitors_identify()
 */
int survey_take(const struct helper_ctx *ctx, bool claimed, int timeout_ms, struct survey *ret)
	_must_check_;

/* --- detour.c: over other buses than the recorded one --------------------------------------------- */

/* One input to be written, by a process of its own */
struct giveback {
	struct switch_record record;
	struct monitor_record monitor;
	const struct claim *claim;
	bool claimed; /* the bus is one of the claim's devices' */
	bool late;    /* no bus was recorded */
	uint8_t input;
	int timeout_ms;
	int error; /* -ENODEV when the bus is gone */
};

struct giveback_list {
	struct giveback *entries;
	size_t nr;
	unsigned long long qemu_start; /* our own */
};

void giveback_list_free(struct giveback_list *list);

/** giveback_write() - to all recorded buses at once; errors are each entry's. Return: 0, -ENOMEM */
int giveback_write(const struct helper_ctx *ctx, struct giveback_list *list, int timeout_ms)
	_must_check_;

/**
 * detour_write() - what was not taken so far, over the buses its monitor is found on
 * @claimed:	those of the claim's devices, which are back; else those of the host's, for the
 *		entries whose bus is gone
 *
 * Return: 0, the entries that were taken without error now; else as buses_find()
 */
int detour_write(const struct helper_ctx *ctx, struct giveback_list *list, bool claimed,
		 int timeout_ms) _must_check_;

/* --- switcher.c, giveback.c, list.c, check.c ------------------------------------------------------------- */

/** switcher_start() - fork it. Return: 0, else -errno of fork(2) */
int switcher_start(struct helper_ctx *ctx, const struct display *display) _must_check_;

/** display_undo() - the helper's undo */
enum helper_exit display_undo(struct helper_ctx *ctx);

/** display_list() - print every monitor found: bus, connector, identity, name, input, inputs */
int display_list(struct helper_ctx *ctx, int argc, char **argv);

/** display_check() - the helper's check: does each configured monitor answer */
enum helper_exit display_check(struct helper_ctx *ctx);
