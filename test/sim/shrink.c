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

/* A guest's words, where none is joined with another's */
static void mark_guest(const struct words *words, char guest, bool *drop)
{
	for (size_t i = 0; i < words->nr; i++)
		drop[i] = words->word[i][1] == ':' && words->word[i][2] == guest &&
			  !strchr(words->word[i], '+');
}

/* All behind the @nth release */
static void mark_rest(const struct words *words, size_t nth, bool *drop)
{
	size_t seen = 0;

	for (size_t i = 0; i < words->nr; i++) {
		drop[i] = seen > nth;
		seen += words->word[i][0] == 'R';
	}
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
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		mark_guest(&words, guests[i].name, drop);
		if (try_without(c, &words, drop, fails, arg))
			return true;
	}
	for (size_t nth = 0; nth < 3; nth++) {
		mark_rest(&words, nth, drop);
		if (try_without(c, &words, drop, fails, arg))
			return true;
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
