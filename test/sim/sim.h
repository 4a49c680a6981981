/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/sim.h - libvirt's hook contract played against the real programs on the fake kernel */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * How it works
 *
 * A case is one line "SEQUENCE | FAULT | CURE". SEQUENCE is what libvirt, QEMU and the daemon do,
 * in order, one word each, ":GUEST" behind (guests are a, b, c; d and e take the card that the host's desktop is on, which is
 * there only for a case that has them; z has no policy):
 *
 *	P S D X C	the hook's prepare, start, started, stopped, reconnect
 *	R		libvirt removes scope and status files, then the hook's release
 *	T M		the hook's restore, migrate: before a start, or beside a guest that runs
 *	E Q L		QEMU is executed; it ends; libvirt removes scope and status files
 *	K U		the daemon is killed; another one starts, with usher-recover.service
 *	W		time goes by: monitors have been switched
 *	+		joins two words: both at once, as libvirt does for two guests
 *
 * A hook that fails has what libvirt does then: QEMU is killed, stopped, release; the rest of that
 * life is left out. So has a daemon that was killed in a call: what it forgot, nobody ends.
 * FAULT is a line of .fake/faults, "PROGRAM@NTH nomem" for its NTH allocation that fails, or "-". CURE is what comes when libvirt has done its part and
 * the host is not as before: "none", "recover", "same" (the first guest starts and ends again),
 * "other" (a guest without a policy starts).
 */

#define GUESTS_MAX 6
/* The sequences that are emitted have the first ones */
#define GUESTS_EMITTED 3

struct guest {
	char name;
	const char *uuid;
	const char *pins; /* a CPU a vCPU */
	unsigned int memory_mib;
	bool huge;
	const char *device, *opens; /* in the XML; what QEMU opens, one a line */
	const char *policy;	    /* NULL: none */
	const char *desktop;	    /* "seat-boot": a recording beside the simulator, NULL: none */
};

extern const struct guest guests[GUESTS_MAX];
const struct guest *guest_find(char name);

enum cure {
	CURE_NONE,
	CURE_RECOVER,
	CURE_SAME,
	CURE_OTHER,
	NR_CURES,
};

struct sim_case {
	char sequence[512];
	char fault[512];
	enum cure cure;
	bool note_reads;   /* the fake kernel writes down what is read */
	bool count_allocs; /* and counts what is allocated */
	bool note_words;   /* "simulator STATE ... WORD" is in the trace before each */
};

/** case_parse() - one line. Return: 0, -EBADMSG */
int case_parse(const char *line, struct sim_case *ret);
void case_print(const struct sim_case *c, FILE *to);

/* --- host.c: the sample host and what it looks like ------------------------------------------ */

/** host_make() - the tree all runs are copied from, in @dir; @trees: test/trees. Return: 0, -errno */
int host_make(const char *dir, const char *trees);
/** host_desktop() - what the guests of a sequence have the host show on their card. Return: 0, -errno */
int host_desktop(const char *sequence);
/** host_copy() - of one tree. Return: 0, -errno */
int host_copy(const char *from, const char *to);
void host_remove(const char *dir);

struct picture {
	char **lines;
	size_t nr;
};

/** picture_take() - every entry of a tree but what may differ. Return: 0, -errno */
int picture_take(const char *root, struct picture *ret);
void picture_free(struct picture *picture);
/** picture_differ() - write down what differs: "is PATH ..." or "was PATH ...". Return: number of entries */
size_t picture_differ(const struct picture *before, const struct picture *after, FILE *to);

/** picture_hash() - one number for all that outlives a run: no pids, no times */
unsigned long long picture_hash(const struct picture *picture);

/* --- daemon.c: a process that calls the hook as libvirtd does --------------------------------- */

struct daemon {
	pid_t pid; /* 0 when there is none */
	int fd;
};

struct hook_call {
	char guest;
	const char *op, *sub, *extra;
	int status; /* of waitpid(2); -1: the daemon died in it */
	int elapsed_ms;
};

struct sim {
	const struct sim_case *c;
	const char *dir, *root; /* of this run; its tree */
	const char *fake;	/* programs */
	FILE *report;
	struct daemon daemon;
	pid_t logger;
	struct life {
		bool refused, status; /* this life was ended by libvirt; it has status files */
		bool prepared, stopped;
		bool ending; /* the daemon has begun to end it */
		pid_t qemu;
	} lives[GUESTS_MAX];
	bool late;    /* a call took longer than it may */
	bool mute;    /* a start was refused, and no line named the guest */
	bool crashed; /* a hook died of a signal other than SIGKILL */
};

int daemon_start(struct sim *sim);
/** daemon_kill() - and reap it */
void daemon_kill(struct sim *sim);
/** daemon_alive() - reaps it when it is not. Return: true while it lives */
bool daemon_alive(struct sim *sim);
/** daemon_call() - hooks side by side; each has its status and time after it */
void daemon_call(struct sim *sim, struct hook_call *calls, size_t nr);
/** program_run() - one of our programs to its end, output to the report's directory */
int program_run(const struct sim *sim, const char *const *argv);

/* --- play.c ------------------------------------------------------------------------------------- */

struct verdict {
	size_t own;   /* entries that differ when libvirt has done its part */
	size_t after; /* and after the cure */
	bool late;    /* a call took too long */
	bool left;    /* a process was left behind */
	bool silent;  /* something was left, or refused, and no line named it or said why */
	bool crashed; /* a program died of a signal that nobody planned */
	bool struck;  /* the fault did strike */
	bool broken;  /* the play itself failed */
};

/** case_play() - in @dir, which must not be there; the report goes to @report */
void case_play(const struct sim_case *c, const char *dir, const char *base, const char *fake,
	       FILE *report, struct verdict *ret);
bool verdict_good(const struct verdict *verdict);

/* --- said.c ------------------------------------------------------------------------------------- */

/**
 * said_names() - does a line name something of what is left, or say why
 * @left:	from picture_differ()
 * @fault:	of the case
 */
bool said_names(const char *line, const char *left, const char *fault);

/* --- shrink.c ------------------------------------------------------------------------------------ */

/**
 * case_shrink() - leave out what a failure does not need
 * @fails:	does this one fail, too
 *
 * Only what leaves a legal sequence is left out: a guest, its lives behind a release, a restart of
 * the daemon, calls that change nothing.
 */
void case_shrink(struct sim_case *c, bool (*fails)(const struct sim_case *c, void *arg), void *arg);

/* --- emit.c --------------------------------------------------------------------------------------- */

struct emitted {
	size_t nr;
	size_t at_once[GUESTS_EMITTED + 1]; /* of them with so many guests running side by side */
};

/**
 * emit_all() - every legal sequence of up to @depth moves of @nr_guests guests, each played to its end
 *
 * What a move is depends on the number of guests: a call, or a whole start.
 *
 * Return: number of sequences given to @each
 */
size_t emit_all(unsigned int nr_guests, unsigned int depth,
		void (*each)(const char *sequence, void *arg), void *arg, struct emitted *ret);
