/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/mask.c - the kernel's other form of a CPU set: "ff,0000000f" */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "cpuset.h"

/* 32 CPUs a word, the highest first */
#define WORD_BITS 32

int job_parse_mask(const char *text, struct cpulist *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	struct cpulist set = { 0 };
	int r = text_split(text, ",", &words);

	if (r < 0)
		return r;
	if (words.nr == 0 || words.nr > CPULIST_MAX / WORD_BITS)
		return -EBADMSG;
	for (size_t i = 0; i < words.nr; i++) {
		unsigned int bits, first = (unsigned int)(words.nr - 1 - i) * WORD_BITS;

		if (parse_uint(words.names[i], 16, UINT_MAX, &bits) < 0)
			return -EBADMSG;
		for (unsigned int bit = 0; bit < WORD_BITS; bit++)
			if (bits >> bit & 1)
				cpulist_add(&set, first + bit);
	}
	*ret = set;
	return 0;
}

static unsigned int word_of(const struct cpulist *set, unsigned int word)
{
	unsigned int bits = 0;

	for (unsigned int bit = 0; bit < WORD_BITS; bit++)
		if (cpulist_has(set, word * WORD_BITS + bit))
			bits |= 1U << bit;
	return bits;
}

int job_format_mask(const struct cpulist *set, char *buf, size_t size)
{
	unsigned int word = 0;
	size_t len;
	int cpu = -1;

	while ((cpu = cpulist_next(set, (unsigned int)(cpu + 1))) >= 0)
		word = (unsigned int)cpu / WORD_BITS;
	len = (size_t)snprintf(buf, size, "%x", word_of(set, word));
	while (word > 0 && len < size)
		len += (size_t)snprintf(buf + len, size - len, ",%08x", word_of(set, --word));
	return len < size ? 0 : -ENAMETOOLONG;
}

/* Return: 0, -EBADMSG, else as attr_read() */
static int read_mask(const struct cpuset_job *job, const char *path, struct cpulist *ret)
{
	char text[ATTR_MAX];
	int r = attr_read(job->ctx->rootfd, path, text, sizeof(text));

	return r < 0 ? r : job_parse_mask(text, ret);
}

static int mask_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = read_mask(job, object, ret);

	return r < 0 ? job_why(job, r, "cannot read /%s: %s", object, strerror(-r)) : 0;
}

static int mask_write(struct cpuset_job *job, const char *object, const struct cpulist *value)
{
	char text[ATTR_MAX];
	int r = job_format_mask(value, text, sizeof(text));

	if (r == 0)
		r = helper_write(job->ctx, object, text);
	return r < 0 ? job_why(job, r, "cannot write %s to /%s: %s", text, object, strerror(-r))
		     : 0;
}

/* A mask is never "not set" */
static int mask_reset(struct cpuset_job *job, const char *object)
{
	return job_why(job, -EBADMSG, "/%s cannot be without a CPU", object);
}

const struct setting_kind setting_mask = {
	.verb = "mask",
	.takes = true,
	.read = mask_read,
	.write = mask_write,
	.reset = mask_reset,
};

/* What is written is a wish; what the kernel makes of it lies in the other file, since Linux 6.9 */
static int workqueue_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = read_mask(job, object, ret);

	if (r == 0 && attr_exists(job->ctx->rootfd, WORKQUEUE_WANTED) > 0)
		r = read_mask(job, WORKQUEUE_WANTED, ret);
	return r < 0 ? job_why(job, r, "cannot read /%s: %s", object, strerror(-r)) : 0;
}

static const struct setting_kind setting_workqueue = {
	.verb = "workqueue",
	.takes = true,
	.read = workqueue_read,
	.write = mask_write,
	.reset = mask_reset,
};

int workqueue_take(struct cpuset_job *job)
{
	if (attr_exists(job->ctx->rootfd, WORKQUEUE_MASK) <= 0)
		return 0;
	return setting_take(job, &setting_workqueue, WORKQUEUE_MASK);
}

int workqueue_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (strcmp(object, WORKQUEUE_MASK) != 0)
		return job_why(job, -EBADMSG, "the journal's mask '%s' is none of ours", object);
	r = setting_give_back(job, &setting_workqueue, object);
	return r < 0 ? r : 0;
}

int mask_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (strcmp(object, IRQ_DEFAULT) != 0)
		return job_why(job, -EBADMSG, "the journal's mask '%s' is none of ours", object);
	r = setting_give_back(job, &setting_mask, object);
	return r < 0 ? r : 0;
}
