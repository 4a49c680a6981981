/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/usage.c - what a process has of the pools */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/aside.h"
#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "hugepages.h"

/* QEMU with many devices has some 2000 mappings, each about 700 bytes of text */
#define SMAPS_MAX 16777216

struct mapping {
	unsigned long long page_kib;
	unsigned long long size_kib;
	unsigned long long faulted_kib;
};

static int line_number(const char *text, unsigned long long *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(text, " ", &words);

	if (r < 0)
		return r;
	if (words.nr == 0 || parse_ull(words.names[0], 10, ULLONG_MAX, ret) < 0)
		return -EBADMSG;
	return 0;
}

/* The flags are a mapping's last line. Without a reservation (virtio-mem) only faults count */
static int mapping_end(struct mapping *mapping, const char *text, unsigned long long size_kib,
		       struct usage *usage)
{
	_cleanup_strlist_ struct strlist flags = { 0 };
	int r = text_split(text, " ", &flags);

	if (r == 0 && strlist_has(&flags, "ht") && size_kib && mapping->page_kib == size_kib) {
		usage->faulted += mapping->faulted_kib / size_kib;
		usage->mapped +=
			(strlist_has(&flags, "nr") ? mapping->faulted_kib : mapping->size_kib) /
			size_kib;
	}
	*mapping = (struct mapping){ 0 };
	return r;
}

static int smaps_line(const char *line, struct mapping *mapping, unsigned long long size_kib,
		      struct usage *usage)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "Size:", offsetof(struct mapping, size_kib) },
		{ "KernelPageSize:", offsetof(struct mapping, page_kib) },
		{ "Shared_Hugetlb:", offsetof(struct mapping, faulted_kib) },
		{ "Private_Hugetlb:", offsetof(struct mapping, faulted_kib) },
	};
	unsigned long long number;

	if (strncmp(line, "VmFlags:", 8) == 0)
		return mapping_end(mapping, line + 8, size_kib, usage);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t len = strlen(fields[i].name);
		int r;

		if (strncmp(line, fields[i].name, len) != 0)
			continue;
		r = line_number(line + len, &number);
		if (r < 0)
			return r;
		*(unsigned long long *)((char *)mapping + fields[i].offset) += number;
	}
	return 0;
}

struct question {
	struct aside aside;
	pid_t pid;
	unsigned long long size_kib;
	struct usage usage;
};

static int read_smaps(int rootfd, void *shared)
{
	struct question *question = shared;
	_cleanup_free_ char *text = NULL;
	struct mapping mapping = { 0 };
	char *save = NULL, path[64];
	size_t len;
	int r;

	r = path_format(path, sizeof(path), "proc/%d/smaps", (int)question->pid);
	if (r == 0)
		r = attr_read_all(rootfd, path, SMAPS_MAX, &text, &len);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	for (char *line = strtok_r(text, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		r = smaps_line(line, &mapping, question->size_kib, &question->usage);
	return r;
}

int usage_read(int rootfd, pid_t pid, unsigned long long size_kib, struct usage *ret)
{
	struct question *question = aside_alloc(sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	question->pid = pid;
	question->size_kib = size_kib;
	r = ask_process(rootfd, pid, read_smaps, question);
	if (r == 0)
		*ret = question->usage;
	aside_free(question, sizeof(*question));
	return r;
}
