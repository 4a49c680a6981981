/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/ask.c - what of a process can be read only while it does not hang */
#include <errno.h>

#include "../../lib/aside.h"
#include "../../lib/log.h"
#include "../../lib/process.h"
#include "hugepages.h"

/*
 * How it works
 *
 * smaps, numa_maps and cmdline are read under the mmap lock of the process. One that hangs with
 * that lock held (in a driver, on a dead disk) holds up who reads, for ever, and we read under the
 * ledger's lock. So a child reads; a process that is late is not asked again by us, so that it costs
 * that time once, however many pools and claims there are.
 *
 * What is not known of a guest's QEMU is taken for the worse: all its claim says counts as promised
 * (promise.c), and what is used of a pool is perhaps a guest's, perhaps another's (others.c).
 * Source: Linux 6.12, fs/proc/task_mmu.c m_start(), mmap_read_lock_killable()
 */

/* Pages of a pool take no time to count; of a process with 100 GiB in small pages it may be more */
#define ASK_MS 500

/* More such processes than that, and the whole host hangs */
#define DEAF_MAX 8

static struct {
	pid_t pids[DEAF_MAX];
	size_t nr;
} deaf;

static bool is_deaf(pid_t pid)
{
	for (size_t i = 0; i < deaf.nr; i++)
		if (deaf.pids[i] == pid)
			return true;
	return deaf.nr == DEAF_MAX;
}

static void note(int rootfd, pid_t pid)
{
	char who[64];

	deaf.pids[deaf.nr++] = pid;
	process_describe(rootfd, pid, who, sizeof(who));
	log_line(rootfd, LOG_WARNING,
		 "%s does not say what memory it has, it hangs in the kernel: if it is a guest all "
		 "its huge pages count as promised: see journalctl -k",
		 who);
}

int ask_process(int rootfd, pid_t pid, int (*run)(int rootfd, void *shared), void *shared)
{
	int r;

	if (is_deaf(pid))
		return -ETIMEDOUT;
	r = aside_run(rootfd, run, shared, ASK_MS);
	if (r == -ETIMEDOUT)
		note(rootfd, pid);
	return r;
}
