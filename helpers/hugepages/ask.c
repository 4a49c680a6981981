/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/ask.c - what of a process can be read only while it does not hang */
#include <errno.h>

#include "../../lib/aside.h"
#include "../../lib/deadline.h"
#include "../../lib/deaf.h"
#include "../../lib/log.h"
#include "hugepages.h"

/*
 * How it works
 *
 * smaps, numa_maps and cmdline are read under the mmap lock of the process. One that hangs with
 * that lock held (in a driver, on a dead disk) holds up who reads, for ever, and we read under the
 * ledger's lock. So a child reads; a process that is late is not asked again for a while, so that it
 * costs that time once, however many pools and claims there are.
 *
 * Late alone is not hung: the kernel walks all of a process's memory, about 9 ms of CPU per GiB in
 * small pages. As long as the child uses the CPU it may go on.
 *
 * What is not known of a guest's QEMU is taken for the worse: all its claim says counts as promised
 * (promise.c), and what is used of a pool is perhaps a guest's, perhaps another's (others.c).
 * Source: Linux 6.12, fs/proc/task_mmu.c m_start(), mmap_read_lock_killable()
 */

/* Pages of a pool take no time to count */
#define ASK_MS	    500
#define ASK_BUSY_MS 3000

/* Who has it ready needs no more, though the time be over */
#define ASK_LEAST_MS 50

static struct deaf deaf;
static long long ask_deadline;

void ask_until(long long deadline)
{
	ask_deadline = deadline;
}

static int of_what_is_left(int ms)
{
	int share = ask_deadline ? deadline_left(ask_deadline) / 4 : ms;

	share = share > ASK_LEAST_MS ? share : ASK_LEAST_MS;
	return share < ms ? share : ms;
}

static void note(int rootfd, pid_t pid, int ms, bool busy)
{
	char who[64];

	deaf_add(rootfd, &deaf, pid);
	process_describe(rootfd, pid, who, sizeof(who));
	log_line(rootfd, LOG_WARNING,
		 "%s has not said for %d ms what memory it has, %s: if it is a guest all its huge "
		 "pages count as promised: see ps -o stat,wchan %d",
		 who, ms, busy ? "of which the kernel counts much still" : "as one that hangs",
		 (int)pid);
}

int ask_process(int rootfd, pid_t pid, int (*run)(int rootfd, void *shared), void *shared)
{
	struct aside *aside = shared;
	int r, ms = of_what_is_left(ASK_MS);

	deaf_forget(rootfd, &deaf);
	if (deaf_has(&deaf, pid))
		return -ETIMEDOUT;
	aside->busy_ms = of_what_is_left(ASK_BUSY_MS);
	r = aside_run(rootfd, run, shared, ms);
	if (r == -ETIMEDOUT)
		note(rootfd, pid, aside->busy ? aside->busy_ms : ms, aside->busy);
	return r;
}
