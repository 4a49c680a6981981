/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/step.h - the steps of a guest's life, each done by one helper program */
#pragma once

#include <stdbool.h>

#include "claim.h"
#include "cleanup.h"

/*
 * How it works
 *
 * A step belongs to a claim when the claim has its section. Steps of one rank run side by side.
 * Those of `prepare` are applied in the order of regret: huge pages beside the devices nobody
 * looks at; then the seat; then, when a seat is taken, its GPU. A user's session is not ended
 * for a start that then lacks 12 pages. Undo goes through the ranks backwards.
 *
 * In release, and whenever a claim is given back whole, the steps of `started` are undone first,
 * then those of `prepare`, and at the very end those that may need what has come back by then: the
 * way back to a monitor can be a bus of the GPU that the guest had.
 */

enum step_phase {
	STEP_PREPARE, /* applied in prepare, undone in release */
	STEP_STARTED, /* applied in started (the guest's cgroups exist only now), undone in stopped */
};

struct step {
	const char *name; /* "vfio": the claim's section; the program is usher-vfio */
	enum step_phase phase;
	int rank; /* order within the phase */
	int rank_with_seat;
	int apply_ms; /* of check too; when the claim's section has no timeout_ms */
	int undo_ms;
	bool undo_last; /* in release: when the devices are back */
	bool fixed;   /* apply_ms whatever the section says: its timeout_ms is for something else */
	bool goes_on; /* what an undo has no time for is finished by a process left behind */
};

/* steps_order() fills at most this many */
#define STEPS_MAX 16

/* In a start that is refused late: enough for a driver that is well */
#define STEP_UNDO_FLOOR_MS 5000

/* Both phases at once */
#define STEP_BOTH (-1)
/* Both, in the order in which a claim is given back; for undo alone */
#define STEP_RELEASE (-2)

extern const struct step steps[];
extern const size_t nr_steps;

/* Where a run works: the real host, or a tree with programs of its own */
struct host {
	int rootfd;
	int statefd;	     /* run/usher, -1 when there is none */
	const char *root;    /* as given with --root, "/" by default */
	const char *helpers; /* directory of the programs */
	const char *phase;   /* what they are run for, for the log: "prepare", "recover" */
	bool replug;	     /* usher recover --force: see step_replug() */
	bool all_count;	     /* whoever ran it sees the result: any step that fails is a failure */
	bool ours;	     /* the phase is of a guest with a policy or a claim */
	char uuid[UUID_STRLEN]; /* its uuid, "" when not known yet */
	bool leaves_scripts;	/* a dead claim whose scripts are owed stays: their deadlines are
				 * theirs, and a guest that is none of ours does not wait for them */
	long long undo_until;	/* a start waits no longer for an undo that goes on by itself;
				 * 0 for no such bound */
};

/* What came of one run of steps; lines end in '\n' and begin with "usher: " */
struct step_result {
	char *failures; /* of required steps that failed, NULL when none did */
	char *warnings; /* what the others had to say */
	bool dirty;	/* some step left the host not as it was */
};

void step_result_free(struct step_result *result);
#define _cleanup_step_result_ _cleanup_(step_result_free)

/** step_find() - by name. Return: NULL when there is none */
const struct step *step_find(const char *name);

/** step_wanted() - has the claim a section for it */
bool step_wanted(const struct step *step, const struct claim *claim);

/** step_required() - does its failure refuse the start */
bool step_required(const struct step *step, const struct claim *claim);

/**
 * step_start_until() - now and the time that a claim's devices have to be handed over
 *
 * For host->undo_until: libvirt waits for a start, whichever way it goes.
 */
long long step_start_until(const struct claim *claim);

/**
 * steps_order() - the wanted steps of a phase in the order they are run
 * @phase:	a step_phase, STEP_BOTH or STEP_RELEASE
 *
 * Return: how many of @ret were set
 */
size_t steps_order(const struct claim *claim, int phase, bool backwards,
		   const struct step *ret[static STEPS_MAX]);

/** steps_beside() - do two steps of steps_order() run side by side */
bool steps_beside(const struct claim *claim, int phase, const struct step *a, const struct step *b);

/**
 * steps_run() - run one verb of every wanted step of a phase, rank after rank
 * @verb:	"check", "apply", "settle"; "undo" goes backwards through the ranks
 * @phase:	a step_phase, STEP_BOTH for a check, or STEP_RELEASE for an undo
 * @budget_ms:	each step gets its own time but no more than this; 0 for no bound but its own
 *
 * In a start (host->undo_until) an undo that goes on by itself is told to end by then, but has
 * STEP_UNDO_FLOOR_MS at least.
 *
 * "check" and "undo" go through all ranks whatever fails; "apply" stops after the rank in which a
 * required step failed. Each step and its time is logged.
 *
 * Return: 0 nothing failed, 1 a required step failed (for undo: any), -ENOMEM
 */
int steps_run(const struct host *host, const struct claim *claim, const char *verb, int phase,
	      int budget_ms, struct step_result *result);

/** step_settle() - "usher-hugepages settle": the pool goes back down. Return: as steps_run() */
int step_settle(const struct host *host, const struct claim *claim, struct step_result *result);

/**
 * step_replug() - "usher-vfio replug": devices that an undo has left, off the bus and on it again
 *
 * Nothing a hook may do: an undo has to follow.
 *
 * Return: as steps_run()
 */
int step_replug(const struct host *host, const struct claim *claim, struct step_result *result);

/**
 * step_mend() - "usher-cpuset apply" for a guest that runs: a CPU that was offline has lost its
 * partition, and nothing tells usher. Return: as steps_run()
 */
int step_mend(const struct host *host, const struct claim *claim, struct step_result *result);

/**
 * step_choose() - "usher-cpuset choose", for a claim with pin = auto: it writes into the claim
 *
 * Return: as steps_run()
 */
int step_choose(const struct host *host, const struct claim *claim, struct step_result *result);
