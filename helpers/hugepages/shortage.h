/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/shortage.h - the parts of the line about a shortage */
#pragma once

#include "hugepages.h"

#define TEXT_MAX 512

/* Once all is given back */
struct scene {
	const struct helper_ctx *ctx;
	const struct needs *needs;
	struct ledger ledger;	     /* not locked any more */
	unsigned long long *lacking; /* pages of each need, beside the free ones */
};

/* What is short */
struct figures {
	size_t index;			/* the need at which it ended */
	struct need need;		/* that one, or all of its page size as one */
	bool whole;			/* all of it */
	unsigned long long lacking;	/* pages, beside the free ones */
	unsigned long long missing;	/* of these could not be made */
	unsigned long long missing_kib; /* of all page sizes */
	bool nodes_full;		/* the nodes have too little, the host has not */
	unsigned long long spare;	/* KiB to be had on them beside the host's part */
};

/** text_wait_ms() - for the ledger: what can be said without it is said in time */
int text_wait_ms(const struct helper_ctx *ctx);

static inline unsigned long long less(unsigned long long a, unsigned long long b)
{
	return a > b ? a - b : 0;
}

/* --- shortage_count.c ------------------------------------------------------------------------- */

void scene_end(struct scene *scene);

/** scene_read() - of @scene->ctx and needs. Return: 0, -ENOMEM */
int scene_read(struct scene *scene) _must_check_;

/** figures_of_memory() - by the memory there is, where that is too little */
void figures_of_memory(const struct scene *scene, struct figures *figures);

/* --- shortage_cure.c: what would help, in words that end with a comma but for the last ---------- */

/**
 * stop_text() - "stop guest web, which holds 64, ": one whose end is enough
 *
 * Where memory is what is missing, that which is no page of a pool counts as well: "which holds 128
 * MiB there, ".
 */
void stop_text(const struct scene *scene, const struct shortage *shortage,
	       const struct figures *figures, char *buf, size_t size);

/** policy_text() - "set move = yes, " for what the policy forbids and would help */
void policy_text(const struct helper_ctx *ctx, const struct shortage *shortage,
		 const struct figures *figures, char *buf, size_t size);

/** boot_text() - "boot with hugepagesz=2048K hugepages=0:512" */
void boot_text(const struct scene *scene, unsigned long long size_kib, char *buf, size_t size);
