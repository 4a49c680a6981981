/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks/domain_guard.c - what of XML is not let through to libxml2
 *
 * How it works
 *
 * xmlTextReader has parsed a document type definition, and begun to follow its entities, before it
 * hands over the first node. So the bytes are looked at on their way in, by an automaton that
 * knows as much of XML as it takes to tell markup from what is in comments, CDATA and attributes.
 * On a document that is well-formed it sees what libxml2 sees; any other libxml2 refuses.
 */

#include "domain_guard.h"

enum state {
	IN_TEXT,
	IN_MARKUP, /* < */
	IN_TAG,	   /* <a, </a */
	IN_DOUBLE_QUOTES,
	IN_SINGLE_QUOTES,
	IN_PI,		  /* <? */
	IN_PI_END,	  /* <? ? */
	IN_BANG,	  /* <! */
	IN_BANG_DASH,	  /* <!- */
	IN_COMMENT,	  /* <!-- */
	IN_COMMENT_DASH,  /* <!-- - */
	IN_COMMENT_END,	  /* <!-- -- */
	IN_CDATA,	  /* <![ */
	IN_CDATA_BRACKET, /* <![ ] */
	IN_CDATA_END,	  /* <![ ]] */
	IN_DTD,		  /* <!D */
	NR_STATES,
};

#define NR_MOVES 3

/* The first move with the byte that was read, else the state's default */
static const struct {
	struct {
		char byte;
		enum state next;
	} moves[NR_MOVES];
	enum state otherwise;
} states[NR_STATES] = {
	[IN_TEXT] = { { { '<', IN_MARKUP } }, IN_TEXT },
	[IN_MARKUP] = { { { '!', IN_BANG }, { '?', IN_PI } }, IN_TAG },
	[IN_TAG] = { { { '>', IN_TEXT }, { '"', IN_DOUBLE_QUOTES }, { '\'', IN_SINGLE_QUOTES } },
		     IN_TAG },
	[IN_DOUBLE_QUOTES] = { { { '"', IN_TAG } }, IN_DOUBLE_QUOTES },
	[IN_SINGLE_QUOTES] = { { { '\'', IN_TAG } }, IN_SINGLE_QUOTES },
	[IN_PI] = { { { '?', IN_PI_END } }, IN_PI },
	[IN_PI_END] = { { { '>', IN_TEXT }, { '?', IN_PI_END } }, IN_PI },
	[IN_BANG] = { { { '-', IN_BANG_DASH }, { '[', IN_CDATA } }, IN_DTD },
	[IN_BANG_DASH] = { { { '-', IN_COMMENT } }, IN_DTD },
	[IN_COMMENT] = { { { '-', IN_COMMENT_DASH } }, IN_COMMENT },
	[IN_COMMENT_DASH] = { { { '-', IN_COMMENT_END } }, IN_COMMENT },
	[IN_COMMENT_END] = { { { '>', IN_TEXT }, { '-', IN_COMMENT_END } }, IN_COMMENT },
	[IN_CDATA] = { { { ']', IN_CDATA_BRACKET } }, IN_CDATA },
	[IN_CDATA_BRACKET] = { { { ']', IN_CDATA_END } }, IN_CDATA },
	[IN_CDATA_END] = { { { '>', IN_TEXT }, { ']', IN_CDATA_END } }, IN_CDATA },
	[IN_DTD] = { { { 0 } }, IN_DTD },
};

static enum state next_state(enum state state, char byte)
{
	for (int i = 0; i < NR_MOVES; i++) {
		if (states[state].moves[i].byte == byte)
			return states[state].moves[i].next;
	}
	return states[state].otherwise;
}

static bool in_tag(enum state state)
{
	return state >= IN_TAG && state <= IN_SINGLE_QUOTES;
}

static bool opens_value(enum state before, enum state now)
{
	return before == IN_TAG && (now == IN_DOUBLE_QUOTES || now == IN_SINGLE_QUOTES);
}

/* Return: what is refused, else NULL */
static const char *measure(struct guard *guard, enum state before, enum state now)
{
	guard->len++;
	guard->nr_attrs += opens_value(before, now);
	if (in_tag(now) && guard->len > GUARD_TAG_MAX)
		return "a tag longer than 128 KiB";
	if (guard->nr_attrs > GUARD_ATTRS_MAX)
		return "an element with more than 512 attributes";
	if (guard->len > GUARD_MARKUP_MAX)
		return "a comment, CDATA section or processing instruction longer than 1 MiB";
	return NULL;
}

/* Counts the open elements: the root's end is the document's */
static void follow(struct guard *guard, enum state before, enum state now, char byte)
{
	if (before == IN_MARKUP && now == IN_TAG) {
		guard->end_tag = byte == '/';
		guard->depth += byte != '/';
	}
	if (before == IN_TAG && now == IN_TEXT && (guard->end_tag || guard->slash)) {
		guard->depth -= guard->depth > 0;
		guard->done = guard->depth == 0;
	}
	guard->slash = now == IN_TAG && byte == '/';
	if (now == IN_TEXT) {
		guard->len = 0;
		guard->nr_attrs = 0;
	}
}

const char *guard_bytes(struct guard *guard, const char *bytes, size_t len, size_t *ret_used)
{
	size_t i;

	for (i = 0; i < len && !guard->done; i++) {
		enum state before = (enum state)guard->state;
		enum state now = next_state(before, bytes[i]);
		const char *why;

		if (bytes[i] == '\0')
			return "a NUL byte";
		guard->line += bytes[i] == '\n';
		guard->state = (int)now;
		if (now == IN_DTD)
			return "a document type definition, which libvirt never writes";
		why = measure(guard, before, now);
		if (why)
			return why;
		follow(guard, before, now, bytes[i]);
	}
	*ret_used = i;
	return NULL;
}
