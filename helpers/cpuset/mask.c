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
		r = helper_write_sure(job->ctx, object, text);
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

#define WORKQUEUE_VERB "workqueue"

/* What is written is a wish; what the kernel makes of it lies in the other file, since Linux 6.9 */
static int workqueue_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = read_mask(job, object, ret);

	if (r == 0 && attr_exists(job->ctx->rootfd, WORKQUEUE_WANTED) > 0)
		r = read_mask(job, WORKQUEUE_WANTED, ret);
	return r < 0 ? job_why(job, r, "cannot read /%s: %s", object, strerror(-r)) : 0;
}

/*
 * Isolated by whom ever, but for this guest's own and those of isolcpus=. A dead guest's partition is
 * as good as gone, though its groups are there until libvirt gets round to them.
 */
static struct cpulist foreign_isolated(struct cpuset_job *job)
{
	struct cpulist isolated = { 0 }, guests = job->pins.cpus, boot;

	if (groups_mount(job) < 0 ||
	    groups_read_cpus(job, "", "cpuset.cpus.isolated", &isolated) < 0)
		return (struct cpulist){ 0 };
	if (job_host_cpus(job, "isolated", &boot) == 0)
		cpulist_subtract(&isolated, &boot);
	setting_add_shares(job, WORKQUEUE_VERB, WORKQUEUE_MASK, true, &guests);
	cpulist_subtract(&isolated, &guests);
	return isolated;
}

/*
 * The kernel takes isolated CPUs out of the mask when they change, and has exactly what is written
 * from then on ("Not excluding isolated cpus on purpose"). As the kernel does it: unless none would
 * be left.
 * Source: kernel/workqueue.c, workqueue_set_unbound_cpumask() and
 * workqueue_unbound_exclude_cpumask(), Linux 6.12
 */
static void workqueue_add_foreign(struct cpuset_job *job, const struct cpulist *base,
				  struct cpulist *held)
{
	struct cpulist isolated = foreign_isolated(job), left = *base;

	cpulist_subtract(&left, held);
	cpulist_subtract(&left, &isolated);
	if (!cpulist_empty(&left))
		cpulist_union(held, &isolated);
}

/*
 * Writeback's workers are among those that the mask keeps off: their queue is unbound, and one with a
 * mask of its own has what both have, or this one where they have nothing in common.
 * Source: mm/backing-dev.c, default_bdi_init(); kernel/workqueue.c, wqattrs_actualize_cpumask()
 */
static const struct setting_kind setting_workqueue = {
	.verb = WORKQUEUE_VERB,
	.takes = true,
	.add_foreign = workqueue_add_foreign,
	.read = workqueue_read,
	.write = mask_write,
	.reset = mask_reset,
};

int workqueue_announce(struct cpuset_job *job)
{
	int r = job_exists(job, WORKQUEUE_MASK);

	return r <= 0 ? r : setting_announce(job, &setting_workqueue, WORKQUEUE_MASK);
}

int workqueue_take(struct cpuset_job *job)
{
	int r = job_exists(job, WORKQUEUE_MASK);

	return r <= 0 ? r : setting_take(job, &setting_workqueue, WORKQUEUE_MASK);
}

int workqueue_take_isolated(struct cpuset_job *job)
{
	struct cpulist now;
	int r = job_exists(job, WORKQUEUE_MASK);

	if (r <= 0)
		return r;
	r = mask_read(job, WORKQUEUE_MASK, &now);
	if (r < 0 || !cpulist_intersects(&now, &job->pins.cpus))
		return r;
	/* A dry run has isolated nothing: a kernel with the other file would have */
	if (job->ctx->dry_run && attr_exists(job->ctx->rootfd, WORKQUEUE_WANTED) > 0)
		return 0;
	return setting_take(job, &setting_workqueue, WORKQUEUE_MASK);
}

/* After the last guest there is nobody to give back what somebody else has isolated */
static void say_kept_off(struct cpuset_job *job)
{
	struct cpulist foreign = foreign_isolated(job), now;
	char list[256], text[ATTR_MAX];

	if (cpulist_empty(&foreign) || workqueue_read(job, WORKQUEUE_MASK, &now) < 0 ||
	    cpulist_intersects(&now, &foreign))
		return;
	cpulist_union(&now, &foreign);
	if (job_format_mask(&now, text, sizeof(text)) == 0)
		helper_say(job->ctx,
			   "unbound work is kept off CPUs %s, which another partition isolates: "
			   "when it ends, write %s to /" WORKQUEUE_MASK,
			   job_cpus_text(&foreign, list, sizeof(list)), text);
}

int workqueue_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (strcmp(object, WORKQUEUE_MASK) != 0)
		return job_why(job, -EBADMSG, "the journal's mask '%s' is none of ours", object);
	r = setting_give_back(job, &setting_workqueue, object);
	if (r >= 0 && !setting_shared(job, &setting_workqueue, object))
		say_kept_off(job);
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
