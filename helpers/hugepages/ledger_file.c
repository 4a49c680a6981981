/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/ledger_file.c - the ledger on disk, and the lock it is read under */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/deadline.h"
#include "../../lib/ini.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "hugepages.h"

/*
 * How it works
 *
 * run/usher/host/hugepages.ini, replaced as a whole by rename, so it is always that of one moment:
 *
 *	[ledger]
 *	own = 2048 0 100		page size KiB, node or "none", pages that are not ours
 *	held = 2048 0 UUID 64		pages added for a guest
 *	owed = 2048 0 32		pages added that no guest answers for any more
 *	promised = UUID			a guest that will take free pages
 *	change = 2048 0 UUID 164 228 0	a write under way: for whom ("owed"), persistent pages
 *					before it and its target, surplus on other nodes
 *	writing = 1048576 0 UUID 1 2 812 77712 0
 *					one that is made without the lock: by whom, pid and start
 *					time, before the surplus
 *
 * A pool has own + all held + owed persistent pages, but for the change under way. Whoever takes
 * the lock and finds one looks how many pages there are now: between before and target, that is
 * how far it came; so with the other as soon as its writer is dead. Of one that an older usher has
 * announced the surplus is left out. Pools of which nothing is held or owed are, too.
 */

#define LEDGER_DIR  "host"
#define LEDGER_FILE "hugepages.ini"
#define LEDGER_LOCK "hugepages.lock"
#define QUEUE_LOCK  "hugepages-queue.lock"
#define SECTION	    "ledger"
#define OWED	    "owed"
#define NO_NODE	    "none"

static int number_parse(const char *word, unsigned long long *ret)
{
	return parse_ull(word, 10, LLONG_MAX, ret) < 0 ? -EBADMSG : 0;
}

static int node_parse(const char *word, int *ret)
{
	unsigned int node;

	if (strcmp(word, NO_NODE) == 0) {
		*ret = POOL_NO_NODE;
		return 0;
	}
	if (parse_uint(word, 10, CPULIST_MAX - 1, &node) < 0)
		return -EBADMSG;
	*ret = (int)node;
	return 0;
}

static int uuid_parse(const char *word, char *ret)
{
	if (!uuid_valid(word))
		return -EBADMSG;
	memcpy(ret, word, UUID_STRLEN);
	return 0;
}

/* The pool that the first two words name */
static int pool_parse(struct ledger *ledger, char **words, struct ledger_pool **ret)
{
	unsigned long long size_kib;
	int node;

	if (number_parse(words[0], &size_kib) < 0 || node_parse(words[1], &node) < 0)
		return -EBADMSG;
	*ret = ledger_pool(ledger, size_kib, node, 0);
	return *ret ? 0 : -ENOMEM;
}

static int own_parse(struct ledger *ledger, char **words)
{
	struct ledger_pool *pool;
	int r = pool_parse(ledger, words, &pool);

	return r < 0 ? r : number_parse(words[2], &pool->own);
}

static int held_parse(struct ledger *ledger, char **words)
{
	unsigned long long nr_pages;
	struct ledger_pool *pool;
	int r = pool_parse(ledger, words, &pool);

	if (r < 0)
		return r;
	if (!uuid_valid(words[2]) || number_parse(words[3], &nr_pages) < 0)
		return -EBADMSG;
	return ledger_credit(pool, words[2], nr_pages);
}

static int owed_parse(struct ledger *ledger, char **words)
{
	struct ledger_pool *pool;
	int r = pool_parse(ledger, words, &pool);

	return r < 0 ? r : number_parse(words[2], &pool->owed);
}

static int promised_parse(struct ledger *ledger, char **words)
{
	return uuid_valid(words[0]) ? ledger_promise(ledger, words[0]) : -EBADMSG;
}

/* @surplus: NULL when it was not noted */
static int change_words(struct ledger_change *change, char **words, const char *surplus)
{
	change->surplus = SURPLUS_UNKNOWN;
	if (number_parse(words[0], &change->size_kib) < 0 ||
	    node_parse(words[1], &change->node) < 0 ||
	    (strcmp(words[2], OWED) != 0 && uuid_parse(words[2], change->uuid) < 0) ||
	    number_parse(words[3], &change->before) < 0 ||
	    number_parse(words[4], &change->target) < 0 ||
	    (surplus && number_parse(surplus, &change->surplus) < 0))
		return -EBADMSG;
	change->open = true;
	return 0;
}

static int change_parse(struct ledger *ledger, char **words)
{
	return change_words(&ledger->change, words, words[5]);
}

static int old_change_parse(struct ledger *ledger, char **words)
{
	return change_words(&ledger->change, words, NULL);
}

static int writing_words(struct ledger *ledger, char **words, const char *surplus)
{
	struct process *writer = &ledger->writing.writer;
	unsigned int pid;

	if (parse_uint(words[5], 10, INT_MAX, &pid) < 0 || pid == 0 ||
	    number_parse(words[6], &writer->start_time) < 0)
		return -EBADMSG;
	writer->pid = (pid_t)pid;
	return change_words(&ledger->writing, words, surplus);
}

static int writing_parse(struct ledger *ledger, char **words)
{
	return writing_words(ledger, words, words[7]);
}

static int old_writing_parse(struct ledger *ledger, char **words)
{
	return writing_words(ledger, words, NULL);
}

static int entry_parse(struct ledger *ledger, const struct inidoc_entry *entry)
{
	static const struct {
		const char *key;
		size_t nr_words;
		int (*parse)(struct ledger *ledger, char **words);
	} keys[] = {
		{ "own", 3, own_parse },	   { "held", 4, held_parse },
		{ "owed", 3, owed_parse },	   { "promised", 1, promised_parse },
		{ "change", 6, change_parse },	   { "writing", 8, writing_parse },
		{ "change", 5, old_change_parse }, { "writing", 7, old_writing_parse },
	};
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(entry->value, " ", &words);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(entry->section, SECTION) == 0 && strcmp(entry->key, keys[i].key) == 0 &&
		    words.nr == keys[i].nr_words)
			return keys[i].parse(ledger, words.names);
	return -EBADMSG;
}

static int load(struct ledger *ledger)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = NULL;
	struct ini_error err;
	size_t len;
	int r;

	r = state_read(ledger->dirfd, LEDGER_FILE, &text, &len);
	if (r == 0)
		r = inidoc_parse(text, len, &doc, &err);
	for (size_t i = 0; r == 0 && i < doc.nr; i++)
		r = entry_parse(ledger, &doc.entries[i]);
	return r;
}

/*
 * Who waits has the queue, so that who has just let go of the ledger, and wants it for the next step
 * at once, comes after.
 */
static int lock(const struct helper_ctx *ctx, int timeout_ms, bool create, struct ledger *ledger)
{
	long long deadline = deadline_in(timeout_ms);
	_cleanup_close_ int queue = -1;

	if (ctx->statefd < 0)
		return -ENOENT;
	ledger->dirfd = state_dir(ctx->statefd, LEDGER_DIR, create);
	if (ledger->dirfd < 0)
		return ledger->dirfd;
	queue = state_lock(ledger->dirfd, QUEUE_LOCK, timeout_ms);
	if (queue < 0)
		return queue;
	ledger->lockfd = state_lock(ledger->dirfd, LEDGER_LOCK, deadline_left(deadline));
	return ledger->lockfd < 0 ? ledger->lockfd : 0;
}

int ledger_open(const struct helper_ctx *ctx, int timeout_ms, bool create, struct ledger *ret)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	int r = -ENOENT;

	if (ctx->dry_run && ctx->statefd >= 0) {
		ledger.dirfd = state_dir(ctx->statefd, LEDGER_DIR, false);
		r = ledger.dirfd < 0 ? ledger.dirfd : 0;
	} else if (!ctx->dry_run) {
		r = lock(ctx, timeout_ms, create, &ledger);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = load(&ledger);
	if (r < 0 && (r != -ENOENT || !create))
		return r;
	*ret = ledger;
	ledger = LEDGER_CLOSED;
	return 0;
}

static void node_format(int node, char *buf, size_t size)
{
	if (node == POOL_NO_NODE)
		(void)snprintf(buf, size, NO_NODE);
	else
		(void)snprintf(buf, size, "%d", node);
}

static bool pool_idle(const struct ledger_pool *pool)
{
	return ledger_expected(pool) == pool->own;
}

static int pool_format(const struct ledger_pool *pool, struct inidoc *doc)
{
	char node[16];
	int r;

	node_format(pool->node, node, sizeof(node));
	r = inidoc_addf(doc, SECTION, "own", "%llu %s %llu", pool->size_kib, node, pool->own);
	for (size_t i = 0; r == 0 && i < pool->nr_shares; i++)
		if (pool->shares[i].nr_pages)
			r = inidoc_addf(doc, SECTION, "held", "%llu %s %s %llu", pool->size_kib,
					node, pool->shares[i].uuid, pool->shares[i].nr_pages);
	if (r == 0 && pool->owed)
		r = inidoc_addf(doc, SECTION, OWED, "%llu %s %llu", pool->size_kib, node,
				pool->owed);
	return r;
}

static int change_format(const struct ledger_change *change, struct inidoc *doc)
{
	const struct process *writer = &change->writer;
	char node[16], by[48] = "", surplus[24] = "";

	node_format(change->node, node, sizeof(node));
	if (writer->pid)
		(void)snprintf(by, sizeof(by), " %d %llu", (int)writer->pid, writer->start_time);
	if (change->surplus != SURPLUS_UNKNOWN)
		(void)snprintf(surplus, sizeof(surplus), " %llu", change->surplus);
	return inidoc_addf(doc, SECTION, writer->pid ? "writing" : "change",
			   "%llu %s %s %llu %llu%s%s", change->size_kib, node,
			   *change->uuid ? change->uuid : OWED, change->before, change->target, by,
			   surplus);
}

static bool is_of(const struct ledger_change *change, const struct ledger_pool *pool)
{
	return change->open && change->size_kib == pool->size_kib && change->node == pool->node;
}

/* A pool is kept while there is something on it, or about to be */
static bool pool_kept(const struct ledger *ledger, const struct ledger_pool *pool)
{
	return !pool_idle(pool) || is_of(&ledger->change, pool) || is_of(&ledger->writing, pool);
}

static int format(const struct ledger *ledger, struct inidoc *doc)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ledger->nr; i++)
		if (pool_kept(ledger, &ledger->pools[i]))
			r = pool_format(&ledger->pools[i], doc);
	for (size_t i = 0; r == 0 && i < ledger->promised.nr; i++)
		r = inidoc_add(doc, SECTION, "promised", ledger->promised.names[i]);
	if (r == 0 && ledger->change.open)
		r = change_format(&ledger->change, doc);
	if (r == 0 && ledger->writing.open)
		r = change_format(&ledger->writing, doc);
	return r;
}

int ledger_store(struct ledger *ledger)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = format(ledger, &doc);
	if (r < 0)
		return r;
	if (doc.nr == 0)
		return state_remove(ledger->dirfd, LEDGER_FILE);
	r = inidoc_format(&doc, &text, &len);
	return r < 0 ? r : state_write(ledger->dirfd, LEDGER_FILE, text, len);
}
