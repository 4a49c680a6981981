/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/helper.h - the main() all helpers share: apply|undo|check CLAIM */
#pragma once

#include <stdbool.h>

#include "../lib/caps.h"
#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "../lib/deadline.h"

/* Exit codes (design.md section 3) */
enum helper_exit {
	HELPER_DONE = 0,   /* done, or already so */
	HELPER_FAILED = 1, /* failed, the host is as before */
	HELPER_DIRTY = 2,  /* failed, the host is not as before; stderr names what is left */
	HELPER_USAGE = 64, /* wrong usage or claim, nothing touched */
};

struct helper_ctx {
	const struct helper *helper;
	const char *root; /* as given with --root, "/" by default */
	int rootfd;
	int statefd; /* run/usher, else -errno of state_open() */
	int dirfd;   /* the claim's own directory */
	bool dry_run;
	bool quiet;	    /* a dry run of which nothing is printed */
	bool detached;	    /* nobody reads stderr: helper_say() goes to the log */
	int timeout_ms;	    /* as given with --timeout, 0 for none */
	long long deadline; /* the verb must have ended by then: lib/deadline.h */
	struct claim claim;
};

/* A subcommand that is not apply, undo or check: "list", "hold" */
struct helper_command {
	const char *name;
	const char *args; /* "CLAIM", "" */
	const char *help;
	bool wants_claim; /* first argument is a claim: loaded before run() */
	int (*run)(struct helper_ctx *ctx, int argc, char **argv);
};

/* One that is as apply: with its time, under the lock, on a claim of run/usher */
struct helper_verb {
	const char *name; /* "replug" */
	const char *help;
	enum helper_exit (*run)(struct helper_ctx *ctx);
};

struct helper {
	const char *name;     /* "vfio": section of the claim, name of journal and lock */
	const char *help;     /* one line */
	int apply_timeout_ms; /* when the claim's section has no timeout_ms */
	int undo_timeout_ms;
	bool fixed_timeout; /* as struct step's fixed */
	/* CAP_BIT()s that it needs: the others are given up before anything is read */
	unsigned long long caps;
	enum helper_exit (*apply)(struct helper_ctx *ctx);
	enum helper_exit (*undo)(struct helper_ctx *ctx);
	enum helper_exit (*check)(struct helper_ctx *ctx);
	const struct helper_verb *verbs;
	size_t nr_verbs;
	const struct helper_command *commands;
	size_t nr_commands;
};

/**
 * helper_main() - parse the command line, load the claim, take the lock, run the verb
 *
 *	usher-NAME [--root DIR] [--dry-run] [--timeout MS] apply|undo|check CLAIM
 *
 * A claim without the helper's section: nothing to do, 0. apply and undo take NAME.lock in the
 * claim's directory first (waiting for the deadline at most) and need the claim to lie in
 * ROOT/run/usher/UUID; check takes any claim file. --dry-run takes no lock and writes nothing.
 * Sets no_new_privs, umask 077, ignores SIGPIPE, and on the real root keeps only the helper's
 * capabilities. The environment is forgotten first.
 *
 * Return: the exit code
 */
int helper_main(int argc, char **argv, const struct helper *helper);

/** helper_dispatch() - the same of a process that keeps its environment, as a test does */
int helper_dispatch(int argc, char **argv, const struct helper *helper);

/**
 * helper_in_start() - is it a hook that waits for this check
 *
 * By hand there is time to look closely, and somebody who reads notes. A claim that has been
 * printed to be looked at is `preparing` too, but who made it is gone.
 */
bool helper_in_start(const struct helper_ctx *ctx);

/** helper_is_ahead() - is it a dry run of what comes in libvirt's `started`, before that */
bool helper_is_ahead(const struct helper_ctx *ctx);

/**
 * helper_keep() - give up all capabilities but @caps, on the real root
 *
 * What the kernel refuses to take is no reason not to do the work.
 */
void helper_keep(const struct helper_ctx *ctx, unsigned long long caps);

/** helper_say() - one line on stderr, "usher: GUEST: ...", or in the log when detached */
void helper_say(const struct helper_ctx *ctx, const char *fmt, ...) _printf_(2, 3);

/**
 * helper_say_state() - one of the guest's files in run/usher is not used
 * @file:	"seat.journal"
 * @error:	of lib/state.h, lib/journal.h
 * @usual:	what to do about it where nobody has changed it: "see df /run"
 *
 * Return: @error
 */
int helper_say_state(const struct helper_ctx *ctx, const char *file, int error, const char *usual);

/**
 * helper_write() - attr_write(), or in a dry run the line "write PATH VALUE" on stdout
 *
 * Return: as attr_write(); 0 in a dry run
 */
int helper_write(const struct helper_ctx *ctx, const char *path, const char *val) _must_check_;

/**
 * helper_write_sure() - the same of a value that is not there yet, and look whether it has gone
 *
 * What another one has written meanwhile, or the kernel has made of it, is no fault: only what is
 * still as before is written once more, and is -EIO then.
 *
 * Return: as helper_write(), -EIO also when the kernel says yes and does no
 */
int helper_write_sure(const struct helper_ctx *ctx, const char *path, const char *val) _must_check_;

/**
 * helper_would() - for side effects that are no attribute writes
 *
 *	if (helper_would(ctx, "modprobe %s", name))
 *		return 0;
 *
 * Return: true in a dry run, after printing the line on stdout; false when it is to be done
 */
bool helper_would(const struct helper_ctx *ctx, const char *fmt, ...) _printf_(2, 3);

/**
 * helper_recover() - of a process that was left behind and has returned: run usher recover
 *
 * The claim's other steps, and the claim itself, have waited for it. Whoever gave us up may be at
 * work on the claim still, or who came after him: recover passes over what somebody keeps alive, so
 * it is run when that one has ended. A guest that runs keeps its claim. Another tree than the real
 * one has no programs to be run on it.
 *
 * Returns only where nothing is to be run, or nothing can be.
 */
void helper_recover(const struct helper_ctx *ctx);
