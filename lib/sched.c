/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sched.c - scheduling classes, and CPUs */
#include "sched.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attr.h"
#include "units.h"

#define NICE_MIN     20
#define NICE_MAX     19
#define PRIORITY_MAX 99

/* What follows the name */
enum argument {
	ARGUMENT_NONE,
	ARGUMENT_NICE,
	ARGUMENT_PRIORITY,
};

static const struct class
{
	const char *name;
	int policy;
	enum argument argument;
} classes[] = {
	{ "other", SCHED_OTHER, ARGUMENT_NICE }, { "batch", SCHED_BATCH, ARGUMENT_NICE },
	{ "idle", SCHED_IDLE, ARGUMENT_NONE },	 { "fifo", SCHED_FIFO, ARGUMENT_PRIORITY },
	{ "rr", SCHED_RR, ARGUMENT_PRIORITY },
};

static int parse_nice(const char *text, int *ret)
{
	unsigned int number;
	bool below = *text == '-';
	int r = parse_uint(text + below, 10, below ? NICE_MIN : NICE_MAX, &number);

	if (r == 0)
		*ret = below ? -(int)number : (int)number;
	return r;
}

static int parse_argument(const struct class *class, const char *colon, struct sched *sched)
{
	int r;

	if (class->argument == ARGUMENT_NONE)
		return colon ? -EINVAL : 0;
	if (!colon)
		return -EINVAL;
	if (class->argument == ARGUMENT_NICE)
		return parse_nice(colon + 1, &sched->nice);
	r = parse_uint(colon + 1, 10, PRIORITY_MAX, &sched->priority);
	return r == 0 && sched->priority == 0 ? -ERANGE : r;
}

int sched_parse(const char *text, struct sched *ret)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		struct sched sched = { .policy = classes[i].policy };
		int r;

		if (strlen(classes[i].name) != len || strncmp(text, classes[i].name, len) != 0)
			continue;
		r = parse_argument(&classes[i], colon, &sched);
		if (r == 0)
			*ret = sched;
		return r;
	}
	return -EINVAL;
}

int sched_format(const struct sched *sched, char buf[static SCHED_TEXT_MAX])
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (classes[i].policy != sched->policy)
			continue;
		if (classes[i].argument == ARGUMENT_NONE)
			return path_format(buf, SCHED_TEXT_MAX, "%s", classes[i].name);
		if (classes[i].argument == ARGUMENT_NICE)
			return path_format(buf, SCHED_TEXT_MAX, "%s:%d", classes[i].name,
					   sched->nice);
		return path_format(buf, SCHED_TEXT_MAX, "%s:%u", classes[i].name, sched->priority);
	}
	return -EINVAL;
}

/* The C library has no wrapper before 2.41. ABI: sched_setattr(2), version 0 */
struct attr {
	uint32_t size;
	uint32_t sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime;
	uint64_t sched_deadline;
	uint64_t sched_period;
};

int sched_of(pid_t tid, struct sched *ret)
{
	struct attr attr = { 0 };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0) < 0)
		return -errno;
	*ret = (struct sched){ .policy = (int)attr.sched_policy,
			       .nice = attr.sched_nice,
			       .priority = attr.sched_priority };
	return 0;
}

int sched_set(pid_t tid, const struct sched *sched)
{
	const struct attr attr = { .size = sizeof(attr),
				   .sched_policy = (uint32_t)sched->policy,
				   .sched_nice = sched->nice,
				   .sched_priority = sched->priority };

	return syscall(SYS_sched_setattr, tid, &attr, 0) < 0 ? -errno : 0;
}

int sched_cpus(int rootfd, const char *dir, struct cpulist *ret)
{
	static const char key[] = "\nCpus_allowed_list:\t";
	char path[PATH_MAX], text[ATTR_MAX], *list;
	int r = path_format(path, sizeof(path), "%s/status", dir);

	if (r == 0)
		r = attr_read(rootfd, path, text, sizeof(text));
	if (r < 0)
		return r;
	list = strstr(text, key);
	if (!list)
		return -EBADMSG;
	list += strlen(key);
	list[strcspn(list, "\n")] = '\0';
	return cpulist_parse(list, ret) < 0 ? -EBADMSG : 0;
}

int sched_bind(pid_t tid, const struct cpulist *cpus)
{
	return sched_setaffinity(tid, sizeof(cpus->bits), (const cpu_set_t *)cpus->bits) < 0
		       ? -errno
		       : 0;
}
