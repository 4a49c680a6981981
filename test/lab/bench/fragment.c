/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/lab/bench/fragment.c - memory in pieces, and how many huge pages could be made of it
 *
 *	fragment fill KIB PIPES	hold KIB of memory of which every second page has been given back (a
 *				checkerboard, see given_back()), with that many pipes' buffers and files
 *				(slab) in between, until a signal
 *	fragment blocks		print how many blocks of 2 MiB hold nothing that cannot be moved
 *
 * "blocks" goes through /proc/kpageflags: a block counts when each of its pages is free, on an LRU
 * list (movable: anonymous memory, page cache) or a huge page already. Pages that lie free in a
 * CPU's own list look like the kernel's own: compact first, that empties those lists.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE	    4096UL
#define BLOCK_PAGES 512UL
/* Between two pages that cannot be moved */
#define STRIDE (64 * PAGE)
/* Files to a pipe: some 300 bytes of slab each */
#define FILES_PER_PIPE 16

static void unmovable(void)
{
	static char page[PAGE];
	int fds[2];

	if (pipe2(fds, O_NONBLOCK) < 0 || write(fds[1], page, PAGE) != (ssize_t)PAGE)
		err(1, "pipe");
	for (int i = 0; i < FILES_PER_PIPE; i++)
		if (eventfd(0, 0) < 0)
			err(1, "eventfd");
}

/*
 * given_back() - the squares of one colour; which colour changes with every stretch
 *
 * Of one colour throughout, memory often comes out with each free page at an odd frame number, and
 * then nobody gets anything of it: compaction that has found no free page in a block looks at every
 * second, fourth, up to every 32nd frame of the next ones, and never hits an odd one.
 * Source: mm/compaction.c isolate_freepages(), stride (since Linux 5.1); Seen on: Linux 6.12, 800
 * blocks exactly half full of movable pages, tracepoint mm_compaction_isolate_freepages
 */
static bool given_back(size_t at)
{
	return at / PAGE % 2 == at / STRIDE % 2;
}

static void fill(unsigned long kib, unsigned long pipes)
{
	struct rlimit files = { 1048576, 1048576 };
	size_t size = kib * 1024;
	char *memory;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	(void)madvise(memory, size, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < size; at += PAGE) {
		memory[at] = 1;
		if (at % STRIDE == 0 && pipes) {
			unmovable();
			pipes--;
		}
	}
	for (size_t at = 0; at < size; at += PAGE)
		if (given_back(at))
			(void)madvise(memory + at, PAGE, MADV_DONTNEED);
	(void)puts("filled");
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

static bool movable(uint64_t flags)
{
	const uint64_t usable =
		1ULL << KPF_BUDDY | 1ULL << KPF_LRU | 1ULL << KPF_THP | 1ULL << KPF_HUGE;

	return (flags & usable) && !(flags & (1ULL << KPF_SLAB | 1ULL << KPF_HWPOISON));
}

static void blocks(void)
{
	static uint64_t flags[BLOCK_PAGES];
	unsigned long nr = 0;
	int fd = open("/proc/kpageflags", O_RDONLY);

	if (fd < 0)
		err(1, "/proc/kpageflags");
	while (read(fd, flags, sizeof(flags)) == (ssize_t)sizeof(flags)) {
		size_t i = 0;

		while (i < BLOCK_PAGES && movable(flags[i]))
			i++;
		nr += i == BLOCK_PAGES;
	}
	(void)close(fd);
	(void)printf("%lu\n", nr);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "fill") == 0)
		fill(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	else if (argc == 2 && strcmp(argv[1], "blocks") == 0)
		blocks();
	else
		return 64;
	return 0;
}
