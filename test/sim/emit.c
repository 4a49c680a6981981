/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/emit.c - every legal sequence of hook calls, as a state machine */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake.h"
#include "sim.h"

/*
 * How it works
 *
 * Each guest is in one of the states below; a row of moves[] leads to another one and is one move.
 * Guest by guest every call is a move of its own. With two guests, which have to be brought up
 * before one can meet the other, a start is a move, and so are its halves; with three, only whole
 * starts and ends are: so a depth of few moves has all guests running, leaving and coming back in
 * each order. Two guests also move at once, their hooks side by side: pairs[].
 *
 * The daemon dies once at most, in any state, and what it knows then is what it wrote to its
 * status files: a guest before QEMU's fork is forgotten, one after it has a reconnect, or, when
 * its QEMU is gone or it was being ended, stopped (a second time) and release. A guest lives twice
 * at most. A sequence that has as many moves as asked for is brought to its end by tails[].
 * From: libvirt 9.0 and 11.3, qemu_process.c; facts/libvirt-hooks.md, 1
 */

enum state {
	OFF,	  /* no such guest, or forgotten */
	PREPARED, /* after prepare */
	LAUNCHED, /* after start */
	FAILED,	  /* after stopped of a start that failed before QEMU was executed */
	FORKED,	  /* QEMU runs, no started yet */
	RUNNING,
	STOPPED, /* after stopped */
	CLEANED, /* its status file is removed, release not sent */
	NR_STATES,
};

/* With how many guests a row is used */
#define ONE   (1U << 1)
#define TWO   (1U << 2)
#define THREE (1U << 3)

/* '@' stands for the guest */
static const struct move {
	unsigned int with;
	enum state from;
	const char *words;
	enum state to;
} moves[] = {
	{ ONE | TWO, OFF, "P:@", PREPARED },
	{ ONE, OFF, "T:@ P:@", PREPARED },
	{ ONE, OFF, "M:@ P:@", PREPARED },
	{ ONE, OFF, "M:@", OFF },
	{ TWO | THREE, OFF, "P:@ S:@ E:@ D:@", RUNNING },
	{ ONE, PREPARED, "S:@", LAUNCHED },
	{ TWO, PREPARED, "S:@ E:@ D:@", RUNNING },
	{ ONE, PREPARED, "X:@", FAILED },
	{ TWO, PREPARED, "X:@ R:@:failed", OFF },
	{ ONE, LAUNCHED, "E:@", FORKED },
	{ ONE, LAUNCHED, "X:@", FAILED },
	{ ONE, FAILED, "R:@:failed", OFF },
	{ ONE, FORKED, "D:@", RUNNING },
	{ ONE, FORKED, "Q:@ X:@", STOPPED },
	{ ONE, RUNNING, "T:@", RUNNING },
	{ ONE | TWO, RUNNING, "Q:@ X:@", STOPPED },
	{ TWO | THREE, RUNNING, "Q:@ X:@ R:@:shutdown", OFF },
	{ ONE, RUNNING, "Q:@ X:@ R:@:from P:@", PREPARED },
	{ ONE | TWO, STOPPED, "R:@:crashed", OFF },
	{ ONE, STOPPED, "L:@", CLEANED },
	{ ONE, CLEANED, "R:@:destroyed", OFF },
};

/* Two guests at once; '&' stands for the other one */
static const struct pair {
	unsigned int with;
	enum state from[2];
	const char *words;
	enum state to[2];
} pairs[] = {
	{ TWO, { OFF, OFF }, "P:@+P:& S:@+S:& E:@ E:& D:@+D:&", { RUNNING, RUNNING } },
	{ TWO, { RUNNING, RUNNING }, "Q:@ Q:& X:@+X:& R:@+R:&", { OFF, OFF } },
	{ TWO | THREE, { RUNNING, OFF }, "Q:@ X:@+P:& R:@+S:& E:& D:&", { OFF, RUNNING } },
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
	[FAILED] = "R:@:failed",
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
	} guests[GUESTS_EMITTED];
	bool died, down;
	unsigned int at_once; /* so many have run side by side */
	char text[sizeof(((struct sim_case *)0)->sequence)];
	struct emitted *emitted;
	void **known; /* of tsearch(3): two ways may lead to the same words */
	void (*each)(const char *sequence, void *arg);
	void *arg;
};

/* A new daemon sees to each guest in a thread of its own: its reconnects are at once */
static const char *joint(const char *text, const char *words)
{
	const char *last = strrchr(text, ' ');

	if (!*text)
		return "";
	return last && last[1] == 'C' && words[0] == 'C' ? "+" : " ";
}

static char letter(char c, size_t guest, size_t other)
{
	if (c == '@')
		return (char)('a' + guest);
	return c == '&' ? (char)('a' + other) : c;
}

static void say(struct machine *m, const char *words, size_t guest, size_t other)
{
	size_t len = strlen(m->text);

	len += strlen(strcpy(m->text + len, joint(m->text, words)));
	if (len + strlen(words) >= sizeof(m->text))
		abort();
	for (; *words; words++)
		m->text[len++] = letter(*words, guest, other);
	m->text[len] = '\0';
}

static void enter(struct machine *m, size_t guest, enum state state)
{
	unsigned int running = 0;

	m->guests[guest].state = state;
	for (size_t i = 0; i < m->nr_guests; i++)
		running += m->guests[i].state == RUNNING && !m->guests[i].gone;
	if (running > m->at_once)
		m->at_once = running;
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
		say(&next, reconnects[i].words, guest, guest);
		next.guests[guest].gone = false;
		enter(&next, guest, reconnects[i].to);
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
		say(&next, "Q:@", i, i);
		next.guests[i].gone = true;
		walk(&next, steps + 1);
	}
	next = *m;
	say(&next, "U", 0, 0);
	next.down = false;
	up(next, 0, steps + 1);
}

/* One more life for each guest that is prepared in these words */
static bool may_live(const struct machine *m, size_t guest, const char *words)
{
	return !strchr(words, 'P') || m->guests[guest].lives < LIVES_MAX;
}

static bool move_fits(const struct machine *m, size_t guest, const struct move *move)
{
	if (!(move->with & 1U << m->nr_guests) || m->guests[guest].state != move->from)
		return false;
	/* What comes to nothing is tried once */
	if (move->from == move->to && strlen(m->text) > 3 &&
	    strncmp(m->text + strlen(m->text) - 3, move->words, 2) == 0)
		return false;
	return may_live(m, guest, move->words);
}

static bool walk_guest(const struct machine *m, size_t guest, unsigned int steps)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		struct machine next = *m;

		if (!move_fits(m, guest, &moves[i]))
			continue;
		any = true;
		say(&next, moves[i].words, guest, guest);
		next.guests[guest].lives += strchr(moves[i].words, 'P') != NULL;
		enter(&next, guest, moves[i].to);
		walk(&next, steps + 1);
	}
	return any;
}

static bool pair_fits(const struct machine *m, size_t guest, size_t other, const struct pair *pair)
{
	bool alike = pair->from[0] == pair->from[1];

	/* Which of the two is named first makes no difference where they do the same */
	if (guest == other || (alike && guest > other) || !(pair->with & 1U << m->nr_guests))
		return false;
	return m->guests[guest].state == pair->from[0] && m->guests[other].state == pair->from[1] &&
	       (pair->from[0] != OFF || may_live(m, guest, pair->words)) &&
	       (pair->from[1] != OFF || may_live(m, other, pair->words));
}

static void walk_pair(const struct machine *m, size_t guest, size_t other, unsigned int steps)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct machine next = *m;

		if (!pair_fits(m, guest, other, &pairs[i]))
			continue;
		say(&next, pairs[i].words, guest, other);
		next.guests[guest].lives += pairs[i].from[0] == OFF;
		next.guests[other].lives += pairs[i].from[1] == OFF;
		enter(&next, guest, pairs[i].to[0]);
		enter(&next, other, pairs[i].to[1]);
		walk(&next, steps + 1);
	}
}

static bool walk_guests(const struct machine *m, unsigned int steps)
{
	bool any = false;

	for (size_t g = 0; g < m->nr_guests; g++) {
		any |= walk_guest(m, g, steps);
		for (size_t other = 0; other < m->nr_guests; other++)
			walk_pair(m, g, other, steps);
	}
	return any;
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool is_new(const struct machine *m)
{
	char *text = strdup(m->text);
	char *const *found = text ? tsearch(text, m->known, text_cmp) : NULL;

	if (!found)
		abort();
	if (*found == text)
		return true;
	free(text);
	return false;
}

static void tail(struct machine m)
{
	if (m.down) {
		struct machine next = m;

		say(&next, "U", 0, 0);
		next.down = false;
		next.depth = 0;
		up(next, 0, 1);
		return;
	}
	for (size_t g = 0; g < m.nr_guests; g++)
		if (*tails[m.guests[g].state])
			say(&m, tails[m.guests[g].state], g, g);
	if (!is_new(&m))
		return;
	m.emitted->nr++;
	m.emitted->at_once[m.at_once]++;
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
		say(&next, "K", 0, 0);
		next.died = next.down = true;
		walk(&next, steps + 1);
	} else if (!any) {
		tail(*m);
	}
}

size_t emit_all(unsigned int nr_guests, unsigned int depth,
		void (*each)(const char *sequence, void *arg), void *arg, struct emitted *ret)
{
	void *known = NULL;
	const struct machine m = { .nr_guests = nr_guests,
				   .depth = depth,
				   .emitted = ret,
				   .known = &known,
				   .each = each,
				   .arg = arg };

	*ret = (struct emitted){ 0 };
	walk(&m, 0);
	tdestroy(known, free);
	return ret->nr;
}
