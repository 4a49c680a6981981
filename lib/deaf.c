/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/deaf.c - processes that have not answered, and are not asked again for a while */
#include "deaf.h"

#include "deadline.h"

/* It may only have been busy: a QEMU that fills its memory has its map locked for seconds */
#define DEAF_MS 10000

void deaf_forget(int rootfd, struct deaf *deaf)
{
	size_t kept = 0;

	for (size_t i = 0; i < deaf->nr; i++)
		if (deadline_left(deaf->list[i].until) > 0 &&
		    process_alive(rootfd, &deaf->list[i].process) != 0)
			deaf->list[kept++] = deaf->list[i];
	deaf->nr = kept;
}

bool deaf_full(const struct deaf *deaf)
{
	return deaf->nr == DEAF_MAX;
}

bool deaf_has(const struct deaf *deaf, pid_t pid)
{
	for (size_t i = 0; i < deaf->nr; i++)
		if (deaf->list[i].process.pid == pid)
			return true;
	return deaf_full(deaf);
}

void deaf_add(int rootfd, struct deaf *deaf, pid_t pid)
{
	struct process process = { .pid = pid };

	/* One that has just ended is forgotten at the next look */
	(void)!process_identify(rootfd, pid, &process);
	deaf->list[deaf->nr].process = process;
	deaf->list[deaf->nr++].until = deadline_in(DEAF_MS);
}
