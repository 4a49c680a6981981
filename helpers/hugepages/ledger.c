/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/ledger.c - accounts: what usher has added to the pools, and for whom */
#include <errno.h>
#include <string.h>

#include "../../lib/state.h"
#include "hugepages.h"

void ledger_close(struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->nr; i++)
		free(ledger->pools[i].shares);
	free(ledger->pools);
	strlist_free(&ledger->promised);
	cleanup_close(&ledger->dirfd);
	state_unlock(&ledger->lockfd);
	*ledger = LEDGER_CLOSED;
}

struct ledger_pool *ledger_find(const struct ledger *ledger, unsigned long long size_kib, int node)
{
	for (size_t i = 0; i < ledger->nr; i++)
		if (ledger->pools[i].size_kib == size_kib && ledger->pools[i].node == node)
			return &ledger->pools[i];
	return NULL;
}

struct ledger_pool *ledger_pool(struct ledger *ledger, unsigned long long size_kib, int node,
				unsigned long long own)
{
	struct ledger_pool *found = ledger_find(ledger, size_kib, node);
	struct ledger_pool *grown;

	if (found)
		return found;
	grown = reallocarray(ledger->pools, ledger->nr + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	ledger->pools = grown;
	grown[ledger->nr] = (struct ledger_pool){ .size_kib = size_kib, .node = node, .own = own };
	return &grown[ledger->nr++];
}

static struct ledger_share *share_find(const struct ledger_pool *pool, const char *uuid)
{
	for (size_t i = 0; i < pool->nr_shares; i++)
		if (strcmp(pool->shares[i].uuid, uuid) == 0)
			return &pool->shares[i];
	return NULL;
}

unsigned long long ledger_held(const struct ledger *ledger, unsigned long long size_kib, int node,
			       const char *uuid)
{
	const struct ledger_pool *pool = ledger_find(ledger, size_kib, node);
	const struct ledger_share *share = pool ? share_find(pool, uuid) : NULL;

	return share ? share->nr_pages : 0;
}

unsigned long long ledger_expected(const struct ledger_pool *pool)
{
	unsigned long long sum = pool->own + pool->owed;

	for (size_t i = 0; i < pool->nr_shares; i++)
		sum += pool->shares[i].nr_pages;
	return sum;
}

int ledger_credit(struct ledger_pool *pool, const char *uuid, unsigned long long nr_pages)
{
	struct ledger_share *share, *grown;

	if (*uuid == '\0') {
		pool->owed += nr_pages;
		return 0;
	}
	share = share_find(pool, uuid);
	if (share) {
		share->nr_pages += nr_pages;
		return 0;
	}
	grown = reallocarray(pool->shares, pool->nr_shares + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	pool->shares = grown;
	share = &grown[pool->nr_shares++];
	memcpy(share->uuid, uuid, UUID_STRLEN);
	share->nr_pages = nr_pages;
	return 0;
}

/*
 * Whoever wrote the pool wrote a whole number, with our pages in it: that is what it is to have.
 * Taking off later what we had added before would end below it.
 */
void ledger_adapt(struct ledger_pool *pool, unsigned long long persistent)
{
	pool->own = persistent;
	pool->owed = 0;
	for (size_t i = 0; i < pool->nr_shares; i++)
		pool->shares[i].nr_pages = 0;
}

/* Take up to *@left pages off an account */
static void charge(unsigned long long *account, unsigned long long *left)
{
	unsigned long long part = *account < *left ? *account : *left;

	*account -= part;
	*left -= part;
}

void ledger_lose(struct ledger_pool *pool, unsigned long long nr_pages)
{
	charge(&pool->owed, &nr_pages);
	for (size_t i = 0; i < pool->nr_shares; i++)
		charge(&pool->shares[i].nr_pages, &nr_pages);
	charge(&pool->own, &nr_pages);
}

bool ledger_writing(const struct ledger *ledger, unsigned long long size_kib)
{
	return ledger->writing.open && ledger->writing.size_kib == size_kib;
}

int ledger_promise(struct ledger *ledger, const char *uuid)
{
	return strlist_has(&ledger->promised, uuid) ? 0 : strlist_add(&ledger->promised, uuid);
}

void ledger_unpromise(struct ledger *ledger, const char *uuid)
{
	struct strlist *list = &ledger->promised;

	for (size_t i = 0; i < list->nr; i++) {
		if (strcmp(list->names[i], uuid) != 0)
			continue;
		free(list->names[i]);
		list->names[i] = list->names[--list->nr];
		return;
	}
}

void ledger_release(struct ledger *ledger, const char *uuid)
{
	ledger_unpromise(ledger, uuid);
	for (size_t i = 0; i < ledger->nr; i++) {
		struct ledger_share *share = share_find(&ledger->pools[i], uuid);

		if (!share)
			continue;
		ledger->pools[i].owed += share->nr_pages;
		share->nr_pages = 0;
	}
}
