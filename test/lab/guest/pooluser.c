/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/lab/guest/pooluser.c - a program with huge pages of its own, as a database or DPDK has them
 *
 * Does what it reads from stdin, a line each, and answers each with "ok" or the error:
 *	map N		a mapping of N pages of 2 MiB: the kernel reserves them
 *	file N PATH	the same of a file on a hugetlbfs
 *	fault N		write to N more of the mappings' pages
 *	free		unmap all
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	     (2UL << 20)
#define MAPPINGS_MAX 16

static struct mapping {
	char *start;
	unsigned long pages, faulted;
} mappings[MAPPINGS_MAX];
static int nr_mappings;

static int map(unsigned long pages, int fd)
{
	int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB : MAP_SHARED;
	char *start;

	if (nr_mappings == MAPPINGS_MAX)
		return -ENOSPC;
	start = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (start == MAP_FAILED)
		return -errno;
	mappings[nr_mappings++] = (struct mapping){ .start = start, .pages = pages };
	return 0;
}

static int map_file(unsigned long pages, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : map(pages, fd);

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int fault(unsigned long pages)
{
	for (int i = 0; i < nr_mappings; i++)
		for (; pages && mappings[i].faulted < mappings[i].pages; pages--)
			mappings[i].start[mappings[i].faulted++ * PAGE] = 1;
	return pages ? -ENOMEM : 0;
}

static int unmap(void)
{
	while (nr_mappings > 0) {
		nr_mappings--;
		if (munmap(mappings[nr_mappings].start, mappings[nr_mappings].pages * PAGE) < 0)
			return -errno;
	}
	return 0;
}

static int obey(const char *line)
{
	unsigned long pages = 0;
	char path[256];

	if (sscanf(line, "map %lu", &pages) == 1)
		return map(pages, -1);
	if (sscanf(line, "file %lu %255s", &pages, path) == 2)
		return map_file(pages, path);
	if (sscanf(line, "fault %lu", &pages) == 1)
		return fault(pages);
	return strcmp(line, "free\n") == 0 ? unmap() : -EINVAL;
}

int main(void)
{
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		int r = obey(line);

		(void)puts(r == 0 ? "ok" : strerror(-r));
		(void)fflush(stdout);
	}
	return 0;
}
