/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/emit.c - every legal sequence of hook calls, as a state machine */
#include <string.h>

#include "../fake/fake.h"
#include "sim.h"

/*
 * How it works
 *
 * Each guest is in one of the states below; a row of moves[] leads to another one and is one step.
 * The daemon dies once at most, in any state, and what it knows then is what it wrote to its
 * status files: a guest before QEMU's fork is forgotten, one after it has a reconnect, or, when
 * its QEMU is gone or it was being ended, stopped (a second time) and release. A guest lives twice
 * at most. A sequence that has as many steps as asked for is brought to its end by tails[].
 * From: libvirt 9.0 and 11.3, qemu_process.c; facts/libvirt-hooks.md, 1
 */

enum state {
	OFF,	  /* no such guest, or forgotten */
	PREPARED, /* after prepare */
	LAUNCHED, /* after start */
	FORKED,	  /* QEMU runs, no started yet */
	RUNNING,
	STOPPED, /* after stopped */
	CLEANED, /* its status file is removed, release not sent */
	NR_STATES,
};

/* '@' stands for the guest */
static const struct move {
	enum state from;
	const char *words;
	enum state to;
} moves[] = {
	{ OFF, "P:@", PREPARED },
	{ OFF, "T:@ P:@", PREPARED },
	{ OFF, "M:@ P:@", PREPARED },
	{ OFF, "M:@", OFF },
	{ PREPARED, "S:@", LAUNCHED },
	{ PREPARED, "X:@ R:@:failed", OFF },
	{ LAUNCHED, "E:@", FORKED },
	{ LAUNCHED, "X:@ R:@:failed", OFF },
	{ FORKED, "D:@", RUNNING },
	{ FORKED, "Q:@ X:@ R:@:failed", OFF },
	{ RUNNING, "T:@", RUNNING },
	{ RUNNING, "Q:@ X:@", STOPPED },
	{ RUNNING, "Q:@ X:@ R:@:from P:@", PREPARED },
	{ STOPPED, "R:@:crashed", OFF },
	{ STOPPED, "L:@", CLEANED },
	{ CLEANED, "R:@:destroyed", OFF },
};

/* What a new daemon does with a guest of the old one's, and how; QEMU gone meanwhile or not */
static const struct {
	enum state from;
	bool gone;
	const char *words;
	enum state to;
} reconnects[] = {
	{ FORKED, false, "C:@", RUNNING },
	{ FORKED, false, "Q:@ X:@ R:@:daemon", OFF },
	{ FORKED, true, "X:@ R:@:unknown", OFF },
	{ RUNNING, false, "C:@", RUNNING },
	{ RUNNING, false, "Q:@ X:@ R:@:daemon", OFF },
	{ RUNNING, true, "X:@ R:@:crashed", OFF },
	{ STOPPED, true, "X:@ R:@:crashed", OFF },
};

static const char *const tails[NR_STATES] = {
	[OFF] = "",
	[PREPARED] = "X:@ R:@:failed",
	[LAUNCHED] = "X:@ R:@:failed",
	[FORKED] = "Q:@ X:@ R:@:failed",
	[RUNNING] = "Q:@ X:@ R:@:shutdown",
	[STOPPED] = "R:@:shutdown",
	[CLEANED] = "R:@:shutdown",
};

#define LIVES_MAX 2

struct machine {
	unsigned int nr_guests, depth;
	struct {
		enum state state;
		unsigned int lives;
		bool gone; /* QEMU ended while there was no daemon */
	} guests[GUESTS_MAX];
	bool died, down;
	char text[512];
	size_t *nr;
	void (*each)(const char *sequence, void *arg);
	void *arg;
};

static void say(struct machine *m, const char *words, size_t guest)
{
	size_t len = strlen(m->text);

	if (len)
		m->text[len++] = ' ';
	for (; *words && len + 1 < sizeof(m->text); words++)
		m->text[len++] = *words == '@' ? (char)('a' + guest) : *words;
	m->text[len] = '\0';
}

static void walk(const struct machine *from, unsigned int steps);

static void up(struct machine m, size_t guest, unsigned int steps)
{
	bool known = false;

	if (guest == m.nr_guests) {
		walk(&m, steps);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(reconnects); i++) {
		struct machine next = m;
		bool gone = m.guests[guest].gone || m.guests[guest].state == STOPPED;

		if (reconnects[i].from != m.guests[guest].state || reconnects[i].gone != gone)
			continue;
		known = true;
		say(&next, reconnects[i].words, guest);
		next.guests[guest].state = reconnects[i].to;
		next.guests[guest].gone = false;
		up(next, guest + 1, steps);
	}
	if (known)
		return;
	m.guests[guest].state = OFF;
	up(m, guest + 1, steps);
}

static void walk_down(const struct machine *m, unsigned int steps)
{
	struct machine next = *m;

	for (size_t i = 0; i < m->nr_guests; i++) {
		enum state state = m->guests[i].state;

		if ((state != FORKED && state != RUNNING) || m->guests[i].gone)
			continue;
		next = *m;
		say(&next, "Q:@", i);
		next.guests[i].gone = true;
		walk(&next, steps + 1);
	}
	next = *m;
	say(&next, "U", 0);
	next.down = false;
	up(next, 0, steps + 1);
}

static bool move_fits(const struct machine *m, size_t guest, const struct move *move)
{
	if (m->guests[guest].state != move->from)
		return false;
	/* What comes to nothing is tried once */
	if (move->from == move->to && strlen(m->text) > 3 &&
	    strncmp(m->text + strlen(m->text) - 3, move->words, 2) == 0)
		return false;
	return !strchr(move->words, 'P') || m->guests[guest].lives < LIVES_MAX;
}

static bool walk_guests(const struct machine *m, unsigned int steps)
{
	bool any = false;

	for (size_t g = 0; g < m->nr_guests; g++) {
		for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
			struct machine next = *m;

			if (!move_fits(m, g, &moves[i]))
				continue;
			any = true;
			say(&next, moves[i].words, g);
			next.guests[g].state = moves[i].to;
			next.guests[g].lives += strchr(moves[i].words, 'P') != NULL;
			walk(&next, steps + 1);
		}
	}
	return any;
}

static void tail(struct machine m)
{
	if (m.down) {
		struct machine next = m;

		say(&next, "U", 0);
		next.down = false;
		next.depth = 0;
		up(next, 0, 1);
		return;
	}
	for (size_t g = 0; g < m.nr_guests; g++)
		if (*tails[m.guests[g].state])
			say(&m, tails[m.guests[g].state], g);
	(*m.nr)++;
	m.each(m.text, m.arg);
}

static void walk(const struct machine *m, unsigned int steps)
{
	struct machine next = *m;
	bool any;

	if (steps >= m->depth) {
		tail(*m);
		return;
	}
	if (m->down) {
		walk_down(m, steps);
		return;
	}
	any = walk_guests(m, steps);
	if (!m->died && steps > 0) {
		say(&next, "K", 0);
		next.died = next.down = true;
		walk(&next, steps + 1);
	} else if (!any) {
		tail(*m);
	}
}

size_t emit_all(unsigned int nr_guests, unsigned int depth,
		void (*each)(const char *sequence, void *arg), void *arg)
{
	size_t nr = 0;
	const struct machine m = {
		.nr_guests = nr_guests, .depth = depth, .nr = &nr, .each = each, .arg = arg
	};

	walk(&m, 0);
	return nr;
}
