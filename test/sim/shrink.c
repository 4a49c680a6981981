/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/shrink.c - the shortest legal case that still fails */
#include <string.h>

#include "../../lib/cleanup.h"
#include "../fake/fake.h"
#include "sim.h"

#define WORDS_MAX 128

struct words {
	char text[sizeof(((struct sim_case *)0)->sequence)];
	const char *word[WORDS_MAX];
	size_t nr;
};

static void split(struct words *words, const char *sequence)
{
	char *save = NULL;

	words->nr = 0;
	tree_path(words->text, "%s", sequence);
	for (char *word = strtok_r(words->text, " ", &save); word && words->nr < WORDS_MAX;
	     word = strtok_r(NULL, " ", &save))
		words->word[words->nr++] = word;
}

/* Without those from @from on, @nr of them, that @drop says may go */
static bool try_without(struct sim_case *c, const struct words *words, const bool *drop,
			bool (*fails)(const struct sim_case *c, void *arg), void *arg)
{
	struct sim_case shorter = *c;
	size_t len = 0;

	shorter.sequence[0] = '\0';
	for (size_t i = 0; i < words->nr; i++) {
		if (drop[i])
			continue;
		tree_format(shorter.sequence + len, sizeof(shorter.sequence) - len, "%s%s",
			    len ? " " : "", words->word[i]);
		len = strlen(shorter.sequence);
	}
	if (!len || strlen(c->sequence) == len || !fails(&shorter, arg))
		return false;
	*c = shorter;
	return true;
}

static bool is_of(const char *word, char guest)
{
	for (const char *colon = strchr(word, ':'); colon; colon = strchr(colon + 1, ':'))
		if (colon[1] == guest && colon[-1] < 'a')
			return true;
	return false;
}

/* A guest's words behind its @nth release, or all for 0; none where one is joined with another's */
static void mark_guest(const struct words *words, char guest, size_t nth, bool *drop)
{
	bool joined = false;
	size_t seen = 0;

	for (size_t i = 0; i < words->nr; i++) {
		bool mine = is_of(words->word[i], guest);

		drop[i] = mine && seen >= nth;
		joined |= drop[i] && strchr(words->word[i], '+');
		seen += mine && strchr(words->word[i], 'R') != NULL;
	}
	for (size_t i = 0; joined && i < words->nr; i++)
		drop[i] = false;
}

/* The daemon's restart and the reconnects it brings */
static void mark_restart(const struct words *words, bool *drop)
{
	for (size_t i = 0; i < words->nr; i++)
		drop[i] = strchr("KUC", words->word[i][0]) != NULL;
}

/* A restore or migrate in front of a start, or beside a guest */
static void mark_calls(const struct words *words, bool *drop)
{
	for (size_t i = 0; i < words->nr; i++)
		drop[i] = strchr("TM", words->word[i][0]) != NULL;
}

static bool shrink_once(struct sim_case *c, bool (*fails)(const struct sim_case *c, void *arg),
			void *arg)
{
	bool drop[WORDS_MAX] = { 0 };
	struct words words;

	split(&words, c->sequence);
	for (size_t nth = 0; nth < 3; nth++) {
		for (size_t i = 0; i < GUESTS_MAX; i++) {
			mark_guest(&words, guests[i].name, nth, drop);
			if (try_without(c, &words, drop, fails, arg))
				return true;
		}
	}
	mark_restart(&words, drop);
	if (try_without(c, &words, drop, fails, arg))
		return true;
	mark_calls(&words, drop);
	return try_without(c, &words, drop, fails, arg);
}

void case_shrink(struct sim_case *c, bool (*fails)(const struct sim_case *c, void *arg), void *arg)
{
	while (shrink_once(c, fails, arg))
		;
}
