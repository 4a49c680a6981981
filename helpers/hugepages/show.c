/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/show.c - what there is now, for a person */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hugepages.h"

static int show_need(const struct helper_ctx *ctx, const struct needs *needs, size_t index,
		     const struct promises *promises)
{
	const struct need *need = &needs->needs[index];
	_cleanup_pools_ struct pools pools = { 0 };
	char where[NEED_WHERE_MAX], name[SIZE_NAME_MAX];
	int r = pools_read(ctx->rootfd, need->size_kib, &pools);

	if (r < 0)
		return r;
	need_where(need, where, sizeof(where));
	size_name(need->size_kib, name, sizeof(name));
	(void)printf("%s %s: need %llu, free %llu, missing %llu\n", name, where, need->nr_pages,
		     pools_free_of(&pools, need), needs_missing(needs, index, &pools, promises));
	return 0;
}

/* The pieces of free memory, node by node */
static int show_rooms(int rootfd)
{
	const struct need anywhere = { .any = true };
	struct cpulist nodes = { 0 }, all = { 0 };
	int r = need_nodes(rootfd, &anywhere, &nodes, &all);

	for (int node = cpulist_next(&nodes, 0); r == 0 && node >= 0;
	     node = cpulist_next(&nodes, (unsigned int)node + 1)) {
		struct cpulist one = { 0 };
		char pieces[ROOM_SAY_MAX];
		struct room room;

		cpulist_add(&one, (unsigned int)node);
		r = room_read(rootfd, &one, &room);
		if (r < 0)
			break;
		room_say(&room, pieces, sizeof(pieces));
		(void)printf("node %d: %llu MiB free: %s\n", node, room_free(&room) / 1024, pieces);
		if (room.blocks)
			(void)printf("node %d: %llu of %llu blocks are the kernel's own and cannot "
				     "be moved\n",
				     node, room.unmovable, room.blocks);
	}
	return r == -ENOENT ? 0 : r;
}

static void show_holders(int rootfd)
{
	struct holders holders;
	char text[2048];

	holders_read(rootfd, NULL, &holders);
	holders_say(&holders, HOLDERS_SHOWN, text, sizeof(text));
	if (*text)
		(void)printf("held by: %s\n", text);
}

int hugepages_show(struct helper_ctx *ctx, int argc, char **argv)
{
	_cleanup_ledger_ struct ledger ledger = LEDGER_CLOSED;
	_cleanup_promises_ struct promises promises = { 0 };
	_cleanup_needs_ struct needs needs = { 0 };
	enum helper_exit e = needs_read(ctx, &needs);
	int r;

	(void)argc, (void)argv;
	if (e == HELPER_DONE)
		e = needs_check(ctx, &needs);
	if (e != HELPER_DONE)
		return (int)e;
	/* It only looks, so it does not wait for the lock either */
	ctx->dry_run = true;
	r = ledger_open(ctx, 0, true, &ledger);
	if (r == 0)
		r = promises_load(ctx, &ledger, ctx->claim.uuid, &promises);
	for (size_t i = 0; r == 0 && i < needs.nr; i++)
		r = show_need(ctx, &needs, i, &promises);
	if (r == 0)
		r = show_rooms(ctx->rootfd);
	if (r == 0)
		show_holders(ctx->rootfd);
	if (r < 0)
		helper_say(ctx, "cannot read the pools of huge pages: %s", strerror(-r));
	return r < 0 ? HELPER_FAILED : HELPER_DONE;
}
