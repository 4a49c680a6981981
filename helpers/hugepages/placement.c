/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/placement.c - on which nodes a process has its memory, and whether by choice */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "hugepages.h"

/* A line for each mapping, as in smaps */
#define NUMA_MAPS_MAX 16777216

/* "N0=512": of pages on @nodes */
static void add_node(const char *word, const struct cpulist *nodes, unsigned long long *pages)
{
	char node_text[16];
	const char *equal = strchr(word, '=');
	unsigned long long number;
	unsigned int node;
	size_t len;

	if (*word != 'N' || !equal)
		return;
	len = (size_t)(equal - word) - 1;
	if (len == 0 || len >= sizeof(node_text))
		return;
	memcpy(node_text, word + 1, len);
	node_text[len] = '\0';
	if (parse_uint(node_text, 10, CPULIST_MAX - 1, &node) == 0 && cpulist_has(nodes, node) &&
	    parse_ull(equal + 1, 10, LLONG_MAX, &number) == 0)
		*pages += number;
}

/* Of a file on a disk the pages stay, and are no less available while they are mapped. The memory of
 * a memfd or in /dev/shm goes with its last user */
static bool goes_with_process(const struct strlist *words)
{
	static const char file[] = "file=";

	for (size_t i = 2; i < words->nr; i++) {
		const char *word = words->names[i];

		if (strncmp(word, file, strlen(file)) == 0)
			return strncmp(word + strlen(file), "/memfd:", 7) == 0 ||
			       strncmp(word + strlen(file), "/dev/shm/", 9) == 0;
	}
	return true;
}

/* "7f3d1c000000 bind:1 anon=512 dirty=512 N1=512 kernelpagesize_kB=4" */
static int add_mapping(const char *line, const struct cpulist *nodes, unsigned long long size_kib,
		       struct placement *ret)
{
	static const char page_size[] = "kernelpagesize_kB=";
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned long long pages = 0, page_kib = 0;
	int r = text_split(line, " ", &words);

	if (r < 0 || words.nr < 2)
		return r;
	/* A process's own policy is shown for the mappings that have none */
	if (strcmp(words.names[1], "default") != 0 && strcmp(words.names[1], "local") != 0)
		ret->chosen = true;
	for (size_t i = 2; i < words.nr; i++) {
		add_node(words.names[i], nodes, &pages);
		if (strncmp(words.names[i], page_size, strlen(page_size)) == 0 &&
		    parse_ull(words.names[i] + strlen(page_size), 10, LLONG_MAX, &page_kib) < 0)
			return -EBADMSG;
	}
	if (strlist_has(&words, "huge")) {
		if (size_kib == 0 || size_kib == page_kib)
			ret->pooled_kib += pages * page_kib;
		return 0;
	}
	ret->kib += pages * page_kib;
	if (goes_with_process(&words))
		ret->freed_kib += pages * page_kib;
	return 0;
}

struct question {
	struct aside aside;
	pid_t pid;
	struct cpulist nodes;
	unsigned long long size_kib;
	struct placement placement;
};

static int read_numa_maps(int rootfd, void *shared)
{
	struct question *question = shared;
	_cleanup_free_ char *text = NULL;
	char *save = NULL, path[64];
	size_t len;
	int r;

	r = path_format(path, sizeof(path), "proc/%d/numa_maps", (int)question->pid);
	if (r == 0)
		r = attr_read_all(rootfd, path, NUMA_MAPS_MAX, &text, &len);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		r = add_mapping(line, &question->nodes, question->size_kib, &question->placement);
	return r;
}

int placement_read(int rootfd, pid_t pid, const struct cpulist *nodes, unsigned long long size_kib,
		   struct placement *ret)
{
	struct question *question = aside_alloc(sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	question->pid = pid;
	question->nodes = *nodes;
	question->size_kib = size_kib;
	r = ask_process(rootfd, pid, read_numa_maps, question);
	if (r == 0)
		*ret = question->placement;
	aside_free(question, sizeof(*question));
	return r;
}
