/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/deaf.h - processes that have not answered, and are not asked again for a while */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "process.h"

/* More of them than that, and the whole host hangs */
#define DEAF_MAX 8

struct deaf {
	struct {
		struct process process;
		long long until; /* then it may be asked again */
	} list[DEAF_MAX];
	size_t nr;
};

/** deaf_forget() - those that have ended, and those that may be asked again */
void deaf_forget(int rootfd, struct deaf *deaf);

/** deaf_full() - too many: nobody is to be asked */
bool deaf_full(const struct deaf *deaf);

/** deaf_has() - is it not to be asked. Of what deaf_forget() has left */
bool deaf_has(const struct deaf *deaf, pid_t pid);

/** deaf_add() - of one that is not full */
void deaf_add(int rootfd, struct deaf *deaf, pid_t pid);
