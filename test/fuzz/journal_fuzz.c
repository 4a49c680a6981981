/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/journal_fuzz.c - any bytes as a journal: refused, or read and appended to soundly */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal.h"
#include "lib/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int scratch(void)
{
	static char dir[] = "/dev/shm/usher_fuzz_XXXXXX";
	static int fd = -1;

	if (fd < 0)
		fd = open(mkdtemp(dir), O_RDONLY | O_DIRECTORY);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_journal_ struct journal again = { .fd = -1 };
	int dirfd = scratch();
	size_t nr;

	if (state_write(dirfd, "x.journal", (const char *)data, size) < 0)
		abort();
	if (journal_open(dirfd, "x", true, &journal) < 0)
		return 0;
	nr = journal.nr;
	if (journal_add(&journal, "verb", "object", "old", "new") != (int)nr ||
	    journal_undone(&journal, nr) < 0)
		abort();
	/* What was cut off by a kill is gone, what was whole is there */
	if (journal_open(dirfd, "x", false, &again) < 0 || again.nr != nr + 1 ||
	    !again.records[nr].undone)
		abort();
	return 0;
}
