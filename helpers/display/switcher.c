/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/switcher.c - the process that switches one monitor, out of the start's way */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "../../lib/log.h"
#include "../../lib/spawn.h"
#include "../../lib/state.h"
#include "../../lib/text.h"
#include "../../lib/watch.h"
#include "switcher.h"

/* apply still holds the helper's lock when we begin; undo holds it for 2 s at most */
#define LOCK_MS	  5000
#define MODULE_MS 5000
/* Between two looks for the monitor, doubled each time */
#define LOOK_MIN_MS 200
#define LOOK_MAX_MS 2000
/* So often a bus that did not return is asked again: each time may leave a process behind */
#define CHANCES 2

static void switcher_close(struct switcher *switcher)
{
	bus_list_free(&switcher->buses);
	cleanup_close(&switcher->qemu);
	free(switcher->guest);
}

void switcher_report(const struct switcher *switcher, int priority, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_line(switcher->ctx->rootfd, priority, "%s: monitor %s: %s", switcher->guest,
		 switcher->display->monitor, text);
}

/*
 * Open the journal under the lock. Nothing is wanted any more when undo was here, or when the
 * claim has gone.
 *
 * Return: the lock with @ret loaded, -ECANCELED, else -errno
 */
static int journal_lock(const struct switcher *switcher, struct journal *ret)
{
	const struct helper_ctx *ctx = switcher->ctx;
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int lock = -1;
	int r;

	if (faccessat(ctx->dirfd, CLAIM_FILE, F_OK, 0) < 0)
		return -ECANCELED;
	lock = state_lock(ctx->dirfd, DISPLAY_NAME ".lock", LOCK_MS);
	if (lock < 0)
		return lock == -ENOENT ? -ECANCELED : lock;
	/* For reading first: undo has removed it, and it must not be made again */
	r = journal_open(ctx->dirfd, DISPLAY_NAME, false, &journal);
	if (r < 0)
		return r;
	if (!record_wanted(&journal, switcher->display->section, ctx->claim.owner.start_time))
		return -ECANCELED;
	r = journal_open(ctx->dirfd, DISPLAY_NAME, true, ret);
	return r < 0 ? r : TAKE_FD(lock);
}

/* From here on undo knows whom to end. Until then it need not: nothing is written before */
static int enroll_in(struct switcher *switcher, struct journal *journal)
{
	struct process self;
	int r = switcher->enrolled ? 0 : process_identify(switcher->ctx->rootfd, getpid(), &self);

	if (r < 0 || switcher->enrolled)
		return r;
	r = record_switcher(journal, switcher->display->section, &self);
	switcher->enrolled = r >= 0;
	return r < 0 ? r : 0;
}

static int enroll(struct switcher *switcher)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int lock = -1;

	if (switcher->enrolled)
		return 0;
	lock = journal_lock(switcher, &journal);
	return lock < 0 ? lock : enroll_in(switcher, &journal);
}

int switcher_wait(const struct switcher *switcher, int ms)
{
	return watch_wait(switcher->qemu, ms) == 0 ? 0 : -ECANCELED;
}

static void name_monitor(struct switcher *switcher, const struct probe *probe)
{
	if (probe->error < 0 || edid_identity(&probe->edid, switcher->identity) < 0)
		switcher->identity[0] = '\0';
}

static bool any_hung(const struct bus_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->buses[i].hung)
			return true;
	return false;
}

/*
 * A thread of ours hangs on its bus, and our process could not be ended: we go on in another, which
 * does not keep that bus open, nor an adapter from going.
 */
static int leave_process(const struct switcher *switcher)
{
	const struct helper_ctx *ctx = switcher->ctx;
	const int keep[] = { ctx->rootfd, ctx->statefd, ctx->dirfd, switcher->qemu };
	pid_t pid = fork();

	if (pid > 0)
		_exit(0);
	return pid < 0 ? -errno : spawn_keep_only(keep, ARRAY_SIZE(keep));
}

/*
 * As long as nobody knows our process it may be left behind, which saves a child for the buses.
 *
 * Return: index into the buses, else as monitor_find()
 */
static int look_once(struct switcher *switcher)
{
	_cleanup_free_ struct probe *probes = NULL;
	bool here = !switcher->enrolled;
	int r = monitors_look_for(switcher->ctx->rootfd, &switcher->buses,
				  switcher->display->monitor, here, PROBE_MS, &probes);

	if (r == 0 && here && any_hung(&switcher->buses))
		r = leave_process(switcher);
	if (r == 0)
		r = monitor_find(&switcher->buses, probes, switcher->display->monitor);
	if (r >= 0)
		name_monitor(switcher, &probes[r]);
	return r;
}

/*
 * No bus of the host's leads to it, as far as one can see; then one of the guest's devices may, as
 * soon as they are back. A monitor that is found later has a better way, and this one is not used.
 */
static int note_late(const struct switcher *switcher)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int lock = -1;
	int r;

	if (switcher->display->host_input < 0 ||
	    !inidoc_has_section(&switcher->ctx->claim.doc, "vfio"))
		return 0;
	lock = journal_lock(switcher, &journal);
	if (lock < 0)
		return lock;
	r = record_late(&journal, switcher->display);
	return r < 0 ? r : 0;
}

/* A slow bus that our other switchers ask at the same time looks like one that hangs */
static void give_another_chance(struct bus_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		list->buses[i].hung = false;
}

static bool was_hung(const struct bus_list *list, unsigned int number)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->buses[i].number == number)
			return list->buses[i].hung;
	return false;
}

/* i2c-dev may have to be loaded first. Those of a dock, or behind a hub, come and go */
static int find_buses(struct switcher *switcher)
{
	_cleanup_bus_list_ struct bus_list found = { 0 };
	struct bus_list last = switcher->buses;
	int rootfd = switcher->ctx->rootfd;
	int r = buses_are_ready(rootfd) ? 0 : enroll(switcher);

	if (r == 0)
		r = buses_ready(rootfd, MODULE_MS);
	if (r == -ENOENT)
		r = -ENOPKG;
	/* From here on it looks after its QEMU and the other guests', and no more */
	helper_keep(switcher->ctx, CAP_BIT(CAP_SYS_PTRACE));
	if (r == 0)
		r = buses_find(rootfd, &switcher->ctx->claim, &found);
	if (r < 0)
		return r;
	for (size_t i = 0; i < found.nr; i++)
		found.buses[i].hung = was_hung(&last, found.buses[i].number);
	switcher->buses = found;
	found = last;
	return 0;
}

/* Until it is found: a monitor that sleeps, or has just lost its signal, needs a while */
static int look(struct switcher *switcher)
{
	int gap = LOOK_MIN_MS, chances = CHANCES, left, r;
	bool noted = false;

	r = find_buses(switcher);
	if (r < 0)
		return r;
	while ((r = look_once(switcher)) == -ENOENT) {
		r = enroll(switcher);
		if (r == 0 && !noted)
			r = note_late(switcher);
		noted = true;
		left = deadline_left(switcher->deadline);
		if (r == 0 && left == 0)
			r = -ENODEV;
		if (r == 0)
			r = switcher_wait(switcher, left < gap ? left : gap);
		if (r < 0)
			return r;
		gap = gap * 2 < LOOK_MAX_MS ? gap * 2 : LOOK_MAX_MS;
		if (chances-- > 0)
			give_another_chance(&switcher->buses);
		r = find_buses(switcher);
		if (r < 0)
			return r;
	}
	return r;
}

static int ask(struct switcher *switcher, size_t index, const struct probe_ask *what,
	       struct probe *ret)
{
	_cleanup_free_ struct probe_ask *asks = calloc(switcher->buses.nr, sizeof(*asks));
	_cleanup_free_ struct probe *probes = calloc(switcher->buses.nr, sizeof(*probes));
	int r;

	if (!asks || !probes)
		return -ENOMEM;
	asks[index] = *what;
	/* So it stays for a bus that hangs, and is not asked */
	probes[index].error = probes[index].input_error = -ETIMEDOUT;
	r = monitors_ask(switcher->ctx->rootfd, &switcher->buses, asks, PROBE_MS, probes);
	*ret = probes[index];
	return r;
}

int switcher_ask(struct switcher *switcher, size_t index, struct probe *ret)
{
	const struct probe_ask what = { .input = true,
					.source_address = switcher->display->source_address };

	return ask(switcher, index, &what, ret);
}

/* A connector was found without asking anybody; on the way back it may be another one */
static int learn_identity(struct switcher *switcher, size_t index)
{
	const struct probe_ask what = { .edid = true };
	struct probe probe;
	int r = *switcher->identity ? 0 : ask(switcher, index, &what, &probe);

	if (r == 0 && !*switcher->identity)
		name_monitor(switcher, &probe);
	return r;
}

/*
 * Return: the host's input, -ENODATA when nobody knows it, -EALREADY when what it shows is the
 * guest's
 */
static int host_input(struct switcher *switcher, size_t index)
{
	unsigned int bus = switcher->buses.buses[index].number;
	struct probe probe;
	int input, r;

	if (switcher->display->host_input >= 0)
		return switcher->display->host_input;
	/* What the monitor shows now may be another guest's, or what is left of one */
	r = rival_host_input(switcher->ctx, bus, &input);
	if (r != 0)
		return r < 0 ? r : input;
	r = switcher_ask(switcher, index, &probe);
	if (r < 0)
		return r;
	if (probe.input_error < 0)
		return -ENODATA;
	return probe.input == switcher->display->guest_input ? -EALREADY : probe.input;
}

/* Return: 1 somebody else has it and keeps it, 0 not, else -errno */
static int is_taken(const struct switcher *switcher, unsigned int bus)
{
	struct rival rival;
	int r;

	if (switcher->display->shared)
		return 0;
	r = rival_find(switcher->ctx, bus, switcher->ctx->claim.owner.start_time, &rival);
	if (r > 0)
		switcher_report(switcher, LOG_INFO, "left to guest %s, as shared = no has it",
				rival.guest);
	return r;
}

static int announce(struct switcher *switcher, const struct bus *bus,
		    const struct switch_record *record)
{
	const struct monitor_record monitor = { .bus = bus->number,
						.identity = switcher->identity,
						.connector = bus->connector };
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int lock = journal_lock(switcher, &journal);
	int r;

	if (lock < 0)
		return lock;
	r = enroll_in(switcher, &journal);
	if (r == 0)
		r = record_monitor(&journal, &monitor);
	if (r >= 0)
		r = record_switch(&journal, record);
	return r < 0 ? r : 0;
}

/* Without it our input is merely written once more when another guest ends */
static void confirm(const struct switcher *switcher, const struct switch_record *record)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int lock = journal_lock(switcher, &journal);

	if (lock >= 0)
		(void)!record_shown(&journal, record);
}

/* Return: 1 with @ret filled a guest that started later has it, or is about to; 0, else -errno */
static int find_later(const struct switcher *switcher, unsigned int bus, struct rival *ret)
{
	int r = rival_find(switcher->ctx, bus, switcher->ctx->claim.owner.start_time, ret);

	return r > 0 ? ret->later : r;
}

int switcher_write(const struct switcher *switcher, unsigned int bus)
{
	const struct display *display = switcher->display;

	return monitor_set_input(switcher->ctx->rootfd, bus, display->source_address,
				 (uint8_t)display->guest_input, switcher->deadline, switcher->qemu);
}

static void report_later(const struct switcher *switcher, const struct rival *rival)
{
	switcher_report(switcher, LOG_INFO, "left to guest %s, which started later", rival->guest);
}

/*
 * It has announced itself while we were writing, and may have been heard before us
 *
 * Return: 1, else as monitor_set_input()
 */
static int pass_on(const struct switcher *switcher, unsigned int bus, const struct rival *rival)
{
	int r = monitor_set_input(switcher->ctx->rootfd, bus, rival->source_address,
				  rival->guest_input, switcher->deadline, switcher->qemu);

	if (r < 0)
		return r;
	report_later(switcher, rival);
	return 1;
}

/*
 * Of two guests the later one may be ready first. Both announce, and then look for the other: one
 * of them sees it.
 *
 * Return: 0, 1 it is a later guest's, else -errno
 */
static int switch_over(struct switcher *switcher, size_t index, int host)
{
	unsigned int bus = switcher->buses.buses[index].number;
	const struct switch_record record = {
		.bus = bus,
		.source_address = switcher->display->source_address,
		.host_input = (uint8_t)host,
		.guest_input = (uint8_t)switcher->display->guest_input,
		.section = switcher->display->section,
	};
	struct rival rival;
	int r = announce(switcher, &switcher->buses.buses[index], &record);

	if (r == 0)
		r = find_later(switcher, bus, &rival);
	if (r > 0)
		report_later(switcher, &rival);
	if (r == 0)
		r = switcher_write(switcher, bus);
	if (r != 0)
		return r;
	r = find_later(switcher, bus, &rival);
	if (r != 0)
		return r < 0 ? r : pass_on(switcher, bus, &rival);
	switcher_report(switcher, LOG_INFO, "input %u, on i2c-%u; the host's is %d",
			record.guest_input, bus, host);
	confirm(switcher, &record);
	return 0;
}

#define NO_DDC "it does not answer to DDC/CI: switch DDC/CI on in its menu"

static void complain(const struct switcher *switcher, int error)
{
	static const struct {
		int error;
		const char *what;
	} causes[] = {
		{ -ENODEV,
		  "no bus answers with this identity: usher-display list shows what does" },
		{ -ENOTUNIQ,
		  "several monitors answer to this: add the serial, or name the connector"
		  " (usher-display list prints both)" },
		{ -ENODATA,
		  "it does not say which input the host is on, and nobody could switch it "
		  "back: set host_input" },
		{ -EALREADY,
		  "it shows the guest's input already, so nobody knows which one is the host's: "
		  "set host_input" },
		{ -EBUSY, "a kernel driver holds its DDC address: unload ddcci" },
		{ -ENOPKG, "this kernel cannot load i2c-dev: install that module" },
		{ -ENXIO, NO_DDC },
		{ -EREMOTEIO, NO_DDC },
		{ -EIO, NO_DDC },
	};
	const char *what = strerror(-error);

	for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
		if (causes[i].error == error)
			what = causes[i].what;
	if (error == -ENODEV && any_hung(&switcher->buses))
		what = "a bus did not return, and no other one answers with this identity: unplug "
		       "the monitor there and plug it in again";
	switcher_report(switcher, LOG_WARNING, "not switched to input %d: %s",
			switcher->display->guest_input, what);
}

/* While the guest is still black; undo must not have to wait as long */
static int wait_until(struct switcher *switcher, long long due)
{
	int r = deadline_left(due) > 0 ? enroll(switcher) : 0;

	return r < 0 ? r : switcher_wait(switcher, deadline_left(due));
}

static int work(struct switcher *switcher)
{
	const struct display *display = switcher->display;
	long long due = deadline_in(display->delay_ms);
	int index, host, r;

	switcher->deadline = due + display->timeout_ms;
	index = look(switcher);
	if (index < 0)
		return index;
	r = is_taken(switcher, switcher->buses.buses[index].number);
	if (r == 0)
		r = learn_identity(switcher, (size_t)index);
	if (r != 0)
		return r;
	host = host_input(switcher, (size_t)index);
	if (host < 0)
		return host;
	r = wait_until(switcher, due);
	/* Somebody else may have got it meanwhile */
	if (r == 0)
		r = is_taken(switcher, switcher->buses.buses[index].number);
	if (r == 0)
		r = switch_over(switcher, (size_t)index, host);
	if (r == 0)
		aftermath(switcher, (size_t)index, host);
	return r;
}

static _Noreturn void switcher_main(struct helper_ctx *ctx, const struct display *display)
{
	_cleanup_(switcher_close) struct switcher switcher = { .ctx = ctx,
							       .display = display,
							       .qemu = -1 };
	int r = text_printable(ctx->claim.guest, &switcher.guest);

	if (r == 0) {
		r = watch_open(ctx->rootfd, &ctx->claim.owner);
		switcher.qemu = r;
	}
	if (r >= 0)
		r = work(&switcher);
	/* The guest has ended, or undo was faster */
	if (r < 0 && r != -ECANCELED && r != -ESRCH)
		complain(&switcher, r);
	_exit(0);
}

int switcher_start(struct helper_ctx *ctx, const struct display *display)
{
	const int keep[] = { ctx->rootfd, ctx->statefd, ctx->dirfd };
	pid_t pid = spawn_detached(keep, ARRAY_SIZE(keep));

	if (pid == 0)
		switcher_main(ctx, display);
	return pid < 0 ? pid : 0;
}
