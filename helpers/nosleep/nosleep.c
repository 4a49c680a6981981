/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/nosleep.c - start the holder of the inhibitor, and end it */
#include "nosleep.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/journal.h"
#include "../../lib/self.h"
#include "../../lib/spawn.h"
#include "../../lib/state.h"
#include "../../lib/sysbus.h"
#include "../../lib/text.h"
#include "../../lib/units.h"
#include "../../lib/watch.h"

/*
 * As the step has it. systemd starts the service and dbus logind, if need be: some 100 ms, but
 * more on a host that is busy starting guests. In stopped the hook waits no longer than 2 s.
 */
#define APPLY_MS 5000
#define UNDO_MS	 1800
/* One that does not listen to SIGTERM is killed after half of it */
#define END_MS 1000

#define RECOVER "usher recover tries again"

/* Journal verbs: "unit NAME - -", "process PID - START" */
#define VERB_UNIT    "unit"
#define VERB_PROCESS "process"

/* What must be there before anything is tried; each made by who provides it */
static const struct {
	const char *path, *what, *cure;
} needs[] = {
	{ "run/dbus/system_bus_socket", "there is no system bus", "start dbus and systemd-logind" },
	{ "run/systemd/inhibit", "there is no logind", "start systemd-logind (or elogind)" },
};

static int check_needs(const struct helper_ctx *ctx)
{
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (attr_exists(ctx->rootfd, needs[i].path) > 0)
			continue;
		helper_say(ctx,
			   "cannot keep the host awake: %s (/%s is missing): %s, or set "
			   "inhibit = none in [nosleep]",
			   needs[i].what, needs[i].path, needs[i].cure);
		return -ENOENT;
	}
	return 0;
}

/* The first systemd in which root cannot pass over a lock that blocks */
#define SYSTEMD_BLOCKS_ROOT 257
#define VERSION_MS	    1000
#define LOGIND_MS	    1000

static void say_who_may(const struct helper_ctx *ctx, char *buf, size_t size)
{
	int version = sysbus_systemd_version(VERSION_MS);
	struct nosleep_wish wish;
	char err[200];

	if (wish_read(&ctx->claim, &wish, err, sizeof(err)) == 0 &&
	    (strcmp(wish.mode, "delay") == 0 || !strstr(wish.what, "sleep")))
		(void)snprintf(buf, size, "anybody (so [nosleep] has it)");
	else if (version > 0 && version < SYSTEMD_BLOCKS_ROOT)
		(void)snprintf(buf, size, "root (systemd %d lets it: systemctl suspend)", version);
	else
		(void)snprintf(buf, size, "root (systemctl suspend -i, or /sys/power/state)");
}

/* By hand alone: it is no news at each start */
static void tell_of_sleep(const struct helper_ctx *ctx)
{
	_cleanup_free_ char *text = NULL;
	struct slept slept;
	char who[80];

	if (slept_load(ctx->dirfd, &slept) == 0 && slept_describe(&ctx->claim, &slept, &text) == 0)
		helper_say(ctx, "%s", text);
	if (!claim_has_devices(&ctx->claim))
		return;
	say_who_may(ctx, who, sizeof(who));
	helper_say(
		ctx,
		"%s can put the host to sleep all the same: the guest's devices would lose their "
		"power without its drivers being told, and most do not work then until the guest "
		"is shut down and started again: shut it down, or suspend it, first",
		who);
}

/*
 * Its directory stays when it goes. Nothing but a clear no is one: a logind that is slow to start
 * has longer in apply, and below another root than the host's own there may be no bus to ask
 */
static int check_logind(const struct helper_ctx *ctx)
{
	int r = sysbus_logind_answers(LOGIND_MS);

	if (r != -EHOSTUNREACH)
		return 0;
	helper_say(ctx,
		   "cannot keep the host awake: logind does not answer and cannot be started: see "
		   "systemctl status systemd-logind, or set inhibit = none in [nosleep]");
	return r;
}

static enum helper_exit check_all(const struct helper_ctx *ctx)
{
	struct nosleep_wish wish;
	enum helper_exit r = wish_load(ctx, &wish);

	if (r == HELPER_DONE && (check_needs(ctx) < 0 || check_logind(ctx) < 0))
		r = HELPER_FAILED;
	return r;
}

/* Nobody tells usher of a holder that systemd has given up, or of a start in which there was none */
static enum helper_exit check_live(const struct helper_ctx *ctx)
{
	int r = process_alive(ctx->rootfd, &ctx->claim.owner);

	if (ctx->claim.state != CLAIM_RUNNING || r == 0)
		return HELPER_DONE;
	if (r > 0)
		r = holder_holds(ctx->rootfd, ctx->dirfd, &ctx->claim.owner);
	if (r > 0)
		return HELPER_DONE;
	if (r < 0) {
		(void)helper_say_state(ctx, HOLDER_FILE, r, RECOVER);
		return HELPER_FAILED;
	}
	helper_say(
		ctx,
		"the host is not kept awake: no process holds the inhibitor: usher-nosleep apply "
		"/run/usher/%s/" CLAIM_FILE,
		ctx->claim.uuid);
	return HELPER_FAILED;
}

static enum helper_exit check(struct helper_ctx *ctx)
{
	enum helper_exit r = check_all(ctx);

	if (r != HELPER_DONE || helper_in_start(ctx))
		return r;
	tell_of_sleep(ctx);
	return check_live(ctx);
}

/* --- The holder as a service, or as a detached process ---------------------------------------- */

static int unit_name(const struct helper_ctx *ctx, char *buf, size_t size)
{
	return path_format(buf, size, "usher-nosleep-%s.service", ctx->claim.uuid);
}

static int start_unit(const char *unit, const char *description, const char *const *argv,
		      const char *const *stop_argv, long long deadline)
{
	int r = sysbus_start_service(unit, description, argv, stop_argv, deadline_left(deadline));

	if (r != -EEXIST)
		return r;
	/* The last run of this guest has not quite ended */
	r = sysbus_stop_unit(unit, deadline_left(deadline));
	if (r == 0)
		r = sysbus_start_service(unit, description, argv, stop_argv,
					 deadline_left(deadline));
	return r;
}

struct programs {
	char self[PATH_MAX];
	char usher[PATH_MAX]; /* "" when it is not installed */
	char root[PATH_MAX], claim[PATH_MAX];
};

static int programs_find(const struct helper_ctx *ctx, struct programs *ret)
{
	char dir[PATH_MAX];
	int r = self_dir(dir, sizeof(dir));

	ret->usher[0] = '\0';
	if (r == 0)
		r = path_format(ret->self, sizeof(ret->self), "%s/usher-nosleep", dir);
	if (r == 0)
		r = path_format(ret->usher, sizeof(ret->usher), "%s/usher", dir);
	if (r == 0 && access(ret->usher, X_OK) < 0)
		ret->usher[0] = '\0';
	if (r == 0)
		r = fd_path(ctx->rootfd, ret->root, sizeof(ret->root));
	if (r == 0)
		r = fd_path(ctx->dirfd, dir, sizeof(dir));
	if (r == 0)
		r = path_format(ret->claim, sizeof(ret->claim), "%s/%s", dir, CLAIM_FILE);
	return r;
}

static int start_service(struct helper_ctx *ctx, const char *unit)
{
	struct programs p;
	const char *const argv[] = { p.self, "--root", p.root, "hold", p.claim, NULL };
	const char *const stop_argv[] = { p.usher, "--root", p.root, "recover", NULL };
	_cleanup_free_ char *guest = NULL, *description = NULL;
	int r = programs_find(ctx, &p);

	if (r == 0)
		r = text_printable(ctx->claim.guest, &guest);
	if (r < 0)
		return r;
	if (asprintf(&description, "Keep the host awake while guest %s runs", guest) < 0) {
		description = NULL;
		return -ENOMEM;
	}
	return start_unit(unit, description, argv, p.usher[0] ? stop_argv : NULL, ctx->deadline);
}

/* The detached holder ends as the service does: whatever the guest left is given back */
static _Noreturn void hold_detached(struct helper_ctx *ctx)
{
	char option[] = "--root", verb[] = "recover";
	char *const env[] = { NULL };
	struct programs p;
	int r = hold(ctx, CAPS_ALL);

	if (programs_find(ctx, &p) == 0 && p.usher[0]) {
		char *const argv[] = { p.usher, option, p.root, verb, NULL };

		(void)execve(p.usher, argv, env);
	}
	_exit(r);
}

static int start_process(struct helper_ctx *ctx, struct journal *journal)
{
	const int keep[] = { ctx->rootfd, ctx->statefd, ctx->dirfd };
	char pid_text[16], start_text[32];
	struct process process;
	pid_t pid = spawn_detached(keep, ARRAY_SIZE(keep));
	int r;

	if (pid == 0)
		hold_detached(ctx);
	if (pid < 0)
		return pid;
	r = process_identify(ctx->rootfd, pid, &process);
	/* It has failed already, and said so in its file */
	if (r == -ESRCH)
		return 0;
	if (r == 0)
		r = path_format(pid_text, sizeof(pid_text), "%d", (int)pid);
	if (r == 0)
		r = path_format(start_text, sizeof(start_text), "%llu", process.start_time);
	if (r == 0)
		r = journal_add(journal, VERB_PROCESS, pid_text, "-", start_text);
	return r < 0 ? r : 0;
}

static int start_holder(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	char unit[NAME_MAX];
	int r = journal_open(ctx->dirfd, NOSLEEP_NAME, true, &journal);

	if (r == 0)
		r = unit_name(ctx, unit, sizeof(unit));
	if (r < 0)
		return r;
	/* ABI: sd_booted(3) */
	if (attr_exists(ctx->rootfd, "run/systemd/system") <= 0)
		return start_process(ctx, &journal);
	r = journal_add(&journal, VERB_UNIT, unit, "-", "-");
	return r < 0 ? r : start_service(ctx, unit);
}

/* --- apply -------------------------------------------------------------------------------------- */

/* Return: 0 it has ended, -ESRCH it had ended before, else -errno */
static int end_process(const struct helper_ctx *ctx, const struct process *process)
{
	_cleanup_close_ int fd = watch_open_ours(ctx->rootfd, process);
	int left = deadline_left(ctx->deadline);

	return fd < 0 ? fd : watch_end(fd, left < END_MS ? left : END_MS);
}

/* Return: 1 it has ended for good, 0 it may be there, or be started again by its unit, else -errno */
static int end_registered(const struct helper_ctx *ctx)
{
	struct holder holder;
	int r = holder_load(ctx->dirfd, &holder);

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG
			       ? 0
			       : helper_say_state(ctx, HOLDER_FILE, r, RECOVER);
	r = end_process(ctx, &holder.process);
	if (r != -ESRCH)
		return r < 0 ? r : 1;
	/* It has exited with its answer; one that was killed comes back while its QEMU lives */
	if (holder.error < 0 && holder.error != -EINPROGRESS)
		return 1;
	return process_alive(ctx->rootfd, &holder.qemu) != 1;
}

/* Return: 0, -EBADMSG for a record that is not ours, else -errno */
static int end_recorded(const struct helper_ctx *ctx, const struct journal_record *record,
			bool ended)
{
	struct process process;
	unsigned long long start;
	unsigned int pid;
	int r;

	if (strcmp(record->verb, VERB_UNIT) == 0) {
		char unit[NAME_MAX];

		r = unit_name(ctx, unit, sizeof(unit));
		if (r < 0 || strcmp(record->object, unit) != 0)
			return r < 0 ? r : -EBADMSG;
		/*
		 * A holder that has registered is ended by its pid. Its unit's job is not waited
		 * for: it ends with `usher recover`, which may be who is waiting for us.
		 */
		return ended ? 0 : sysbus_stop_unit(unit, deadline_left(ctx->deadline));
	}
	if (strcmp(record->verb, VERB_PROCESS) != 0 ||
	    parse_uint(record->object, 10, INT_MAX, &pid) < 0 ||
	    parse_ull(record->new_value, 10, ULLONG_MAX, &start) < 0)
		return -EBADMSG;
	process = (struct process){ .pid = (pid_t)pid, .start_time = start };
	r = end_process(ctx, &process);
	return r == -ESRCH ? 0 : r;
}

static int end_holder(struct helper_ctx *ctx)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int r = end_registered(ctx);
	bool ended = r > 0;

	if (r < 0)
		return r;
	r = journal_open(ctx->dirfd, NOSLEEP_NAME, false, &journal);
	if (r < 0)
		return helper_say_state(ctx, NOSLEEP_NAME ".journal", r, RECOVER);
	for (size_t i = 0; r == 0 && i < journal.nr; i++)
		if (!journal.records[i].undone)
			r = end_recorded(ctx, &journal.records[i], ended);
	if (r == 0)
		r = state_remove(ctx->dirfd, HOLDER_FILE);
	if (r == 0)
		r = state_remove(ctx->dirfd, SLEPT_FILE);
	if (r == 0)
		r = journal_remove(ctx->dirfd, NOSLEEP_NAME);
	return r;
}

static void say_guest_ended(const struct helper_ctx *ctx)
{
	helper_say(ctx, "nothing to stay awake for: the guest has ended (process %d)",
		   (int)ctx->claim.owner.pid);
}

static enum helper_exit give_up(struct helper_ctx *ctx, const char *what, int error)
{
	int r;

	if (error == -ESRCH)
		say_guest_ended(ctx);
	else
		helper_say(ctx,
			   "cannot keep the host awake: %s: %s: it may sleep under the guest; see "
			   "journalctl -u usher-nosleep-%s, or set inhibit = none in [nosleep]",
			   what,
			   error == -ECHILD ? "the process that asked it was killed"
					    : strerror(-error),
			   ctx->claim.uuid);
	/* Past the deadline or not, what was begun is ended */
	ctx->deadline = deadline_in(END_MS);
	r = end_holder(ctx);
	if (r == 0)
		return HELPER_FAILED;
	helper_say(ctx, "cannot end usher-nosleep-%s.service: %s: it ends with the guest",
		   ctx->claim.uuid, strerror(-r));
	return HELPER_DIRTY;
}

/* Start one, and wait for what logind says */
static enum helper_exit replace_holder(struct helper_ctx *ctx)
{
	struct holder holder;
	int r;

	/* One that was killed, or that watches the last run's QEMU */
	r = end_holder(ctx);
	if (r < 0)
		return give_up(ctx, "the last run's inhibitor does not end", r);
	r = start_holder(ctx);
	if (r < 0)
		return give_up(ctx, "the process that holds the inhibitor did not start", r);
	r = holder_wait(ctx->rootfd, ctx->dirfd, ctx->deadline, &holder);
	if (r == 0)
		r = holder.error;
	if (r < 0)
		return give_up(ctx, "logind gave no inhibitor", r);
	return HELPER_DONE;
}

/* Of a start to come: there is no QEMU yet */
static enum helper_exit tell_start(struct helper_ctx *ctx)
{
	enum helper_exit r = check_all(ctx);

	if (r == HELPER_DONE)
		(void)helper_would(ctx, "start usher-nosleep-%s.service until QEMU ends",
				   ctx->claim.uuid);
	return r;
}

static enum helper_exit apply(struct helper_ctx *ctx)
{
	enum helper_exit r;

	if (ctx->dry_run && ctx->claim.state == CLAIM_PREPARING)
		return tell_start(ctx);
	if (ctx->claim.state != CLAIM_RUNNING) {
		helper_say(ctx, "nothing to stay awake for: the claim is %s, not running",
			   claim_state_name(ctx->claim.state));
		return HELPER_FAILED;
	}
	if (process_alive(ctx->rootfd, &ctx->claim.owner) == 0) {
		say_guest_ended(ctx);
		return HELPER_FAILED;
	}
	/* Where it cannot be told, the end of the last one says why */
	if (holder_holds(ctx->rootfd, ctx->dirfd, &ctx->claim.owner) > 0)
		return HELPER_DONE;
	r = check_all(ctx);
	if (r != HELPER_DONE)
		return r;
	if (helper_would(ctx, "start usher-nosleep-%s.service until process %d ends",
			 ctx->claim.uuid, (int)ctx->claim.owner.pid))
		return HELPER_DONE;
	return replace_holder(ctx);
}

static enum helper_exit undo(struct helper_ctx *ctx)
{
	int r;

	if (helper_would(ctx, "end usher-nosleep-%s.service", ctx->claim.uuid))
		return HELPER_DONE;
	r = end_holder(ctx);
	if (r == 0)
		return HELPER_DONE;
	helper_say(ctx,
		   "cannot let the host sleep again: ending usher-nosleep-%s.service failed: %s: "
		   "systemctl stop it",
		   ctx->claim.uuid, strerror(-r));
	return HELPER_DIRTY;
}

static int hold_command(struct helper_ctx *ctx, int argc, char **argv)
{
	(void)argc, (void)argv;
	return hold(ctx, CAPS_NONE);
}

static const struct helper_command commands[] = {
	{ "hold", "CLAIM", "hold the inhibitor until the guest ends, in the foreground", true,
	  hold_command },
};

const struct helper nosleep_helper = {
	.name = NOSLEEP_NAME,
	.help = "keep the host awake while the guest runs",
	.apply_timeout_ms = APPLY_MS,
	.undo_timeout_ms = UNDO_MS,
	/* Without systemd its holder becomes usher recover, which needs what the helpers need */
	.caps = CAPS_ALL,
	.apply = apply,
	.undo = undo,
	.check = check,
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
};
