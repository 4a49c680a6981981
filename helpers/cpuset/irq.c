/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/irq.c - interrupts that can be moved go to the CPUs no guest holds */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "irq.h"

/*
 * How it works
 *
 * Take and give back are the same work: from the affinities before the first guest, and the CPUs
 * that live guests hold now, follow all affinities. One that neither we nor that beginning have
 * made is somebody else's: who takes starts from it, who gives back leaves it.
 *
 * The vCPUs run already, and interrupts come meanwhile. Who takes narrows the default first, tells
 * irqbalance, and looks once more at what is there before all are moved; who gives back widens the
 * default first (see the order in verbs.c), so that none keeps a narrow one.
 *
 * Managed interrupts (the queues of NVMe and virtio disks) and those of the kernel's own timers
 * refuse a write: they stay, and interrupt a CPU only for what runs there.
 *
 * ABI: kernel/irq/proc.c, write_irq_affinity(); irq_setup_affinity() in kernel/irq/manage.c for
 * what a new interrupt gets
 */

#define VERB   "irq"
#define OBJECT "all"

/* The host as far as affinities go */
struct cpus {
	struct cpulist online, possible;
};

static int read_cpus(struct cpuset_job *job, struct cpus *ret)
{
	int r = job_host_cpus(job, "online", &ret->online);

	if (r == 0)
		r = job_host_cpus(job, "possible", &ret->possible);
	return r < 0 ? job_why(job, r, "cannot read which CPUs there are: %s", strerror(-r)) : 0;
}

/* @base without @held; when no CPU that runs would be left, all that nobody holds */
static struct cpulist target_of(const struct cpus *cpus, const struct cpulist *base,
				const struct cpulist *held)
{
	struct cpulist target = *base;

	cpulist_subtract(&target, held);
	if (cpulist_intersects(&target, &cpus->online) || cpulist_equal(&target, base))
		return target;
	target = cpus->possible;
	cpulist_subtract(&target, held);
	return target;
}

/* What the kernel gives a new interrupt */
static struct cpulist born_with(struct cpuset_job *job, const struct cpus *cpus,
				const struct cpulist *dflt, int node)
{
	struct cpulist mask = *dflt, near;
	char path[64], text[ATTR_MAX];

	cpulist_intersect(&mask, &cpus->online);
	if (node >= 0 &&
	    path_format(path, sizeof(path), "sys/devices/system/node/node%d/cpulist", node) == 0 &&
	    attr_read(job->ctx->rootfd, path, text, sizeof(text)) >= 0 &&
	    cpulist_parse(text, &near) == 0 && cpulist_intersects(&mask, &near))
		cpulist_intersect(&mask, &near);
	return mask;
}

/* Was it given its affinity while guests held CPUs */
static bool is_born_under(struct cpuset_job *job, const struct cpus *cpus, const struct irqs *was,
			  const struct irq *irq)
{
	for (size_t i = 0; i <= was->nr_before; i++) {
		struct cpulist dflt = target_of(cpus, &was->dflt, &was->held[i]);
		struct cpulist born = born_with(job, cpus, &dflt, irq->node);

		if (!cpulist_empty(&was->held[i]) && cpulist_equal(&irq->now, &born))
			return true;
	}
	return false;
}

/*
 * Have we made it what it is, with @held; or the kernel, when the last CPU that we had left it went
 * offline: it gives it to all that are online. Without us it would have been left alone as long as
 * one of its base is online.
 * ABI: migrate_one_irq() in kernel/irq/cpuhotplug.c
 */
static bool is_made(const struct cpus *cpus, const struct irq *irq, const struct cpulist *held)
{
	struct cpulist made = irq->base, target = target_of(cpus, &irq->base, held);

	if (cpulist_equal(&irq->now, &target))
		return true;
	cpulist_subtract(&made, held);
	if (cpulist_empty(&made) || cpulist_intersects(&made, &cpus->online))
		return false;
	return cpulist_equal(&irq->now, &made) || (cpulist_equal(&irq->now, &cpus->online) &&
						   cpulist_intersects(&irq->base, &cpus->online));
}

/* Have we, or the beginning, made it what it is */
static bool is_ours(const struct cpus *cpus, const struct irqs *was, const struct irq *irq)
{
	for (size_t i = 0; i <= was->nr_before; i++)
		if (is_made(cpus, irq, &was->held[i]))
			return true;
	return cpulist_equal(&irq->now, &irq->base);
}

/* A handler may join or leave the others of a line */
static bool is_same(const struct irq *irq, const struct irq *late)
{
	const char *now = late->who, *name;
	size_t len;

	if (!irq || strcmp(irq->who, now) == 0)
		return irq != NULL;
	while ((name = text_word(&now, ",", &len)))
		if (text_has_word(irq->who, ",", name, len))
			return true;
	return false;
}

/*
 * Its base, where it is known. One whose driver was loaded anew may have the old name and number,
 * and has begun anew.
 */
static void find_base(struct cpuset_job *job, const struct cpus *cpus, struct irqs *was,
		      struct irq *irq)
{
	const struct irq *old = irqs_find(was, irq->number);

	if (is_same(old, irq)) {
		irq->base = old->base;
		irq->fixed = old->fixed;
		if (is_ours(cpus, was, irq))
			return;
	}
	if (is_born_under(job, cpus, was, irq))
		irq->base = born_with(job, cpus, &was->dflt, irq->node);
}

/*
 * The base of what is there now, from the file where that knows it.
 *
 * Return: how many have been moved by somebody else meanwhile
 */
static size_t find_bases(struct cpuset_job *job, const struct cpus *cpus, struct irqs *was,
			 struct irqs *now, bool taking)
{
	size_t nr = 0;

	for (size_t i = 0; i < now->nr; i++) {
		struct irq *irq = &now->list[i];

		find_base(job, cpus, was, irq);
		if (is_ours(cpus, was, irq))
			continue;
		irq->base = irq->now;
		if (taking)
			continue;
		/* Not ours to set: as if it were gone */
		irq->here = false;
		nr++;
	}
	return nr;
}

/* Return: 0, also for one that cannot be moved or has gone; else the error, which is no fault */
static int move(struct cpuset_job *job, const struct irq *irq, const struct cpulist *target)
{
	char path[64], list[ATTR_MAX];
	int r = path_format(path, sizeof(path), "proc/irq/%u/smp_affinity_list", irq->number);

	if (r == 0)
		r = cpulist_format(target, list, sizeof(list));
	return r < 0 ? r : helper_write_sure(job->ctx, path, list);
}

/*
 * One that cannot be moved off the guest's CPUs stays there; one that has been moved must come back
 *
 * Return: whether it is news that it can be moved, or that it cannot
 */
static bool move_one(struct cpuset_job *job, struct irq *irq, const struct cpulist *target)
{
	int r = move(job, irq, target);
	bool news = irq->fixed != (r < 0);
	char list[256];

	irq->fixed = r < 0;
	if (r == 0)
		irq->now = *target;
	if (r == 0 || !cpulist_equal(target, &irq->base))
		return news;
	r = move(job, irq, target);
	if (r == 0) {
		irq->fixed = false;
		irq->now = *target;
	} else
		helper_say(job->ctx,
			   "interrupt %u (%s) does not take its old CPUs back: %s: write %s "
			   "to /proc/irq/%u/smp_affinity_list",
			   irq->number, irq->who, strerror(-r),
			   job_cpus_text(target, list, sizeof(list)), irq->number);
	return news;
}

/* Return: whether there is news of one */
static bool move_all(struct cpuset_job *job, const struct cpus *cpus, struct irqs *irqs)
{
	bool news = false;

	for (size_t i = 0; i < irqs->nr; i++) {
		struct irq *irq = &irqs->list[i];
		struct cpulist target = target_of(cpus, &irq->base, &irqs->held[0]);

		if (irq->here && !cpulist_equal(&irq->now, &target))
			news = move_one(job, irq, &target) || news;
	}
	return news;
}

static int read_default(struct cpuset_job *job, struct cpulist *ret)
{
	char text[ATTR_MAX];
	int r = attr_read(job->ctx->rootfd, IRQ_DEFAULT, text, sizeof(text));

	if (r >= 0)
		r = job_parse_mask(text, ret);
	return r < 0 ? job_why(job, r, "cannot read /" IRQ_DEFAULT ": %s", strerror(-r)) : 0;
}

/* The file's place is taken by what is there now. Return: 0, -errno with why */
static int begin(struct cpuset_job *job, struct irqs *was, struct irqs *now,
		 const struct cpulist *held)
{
	int r = irqs_load(job, was);

	if (r < 0)
		return job_why_state(job, r, "host", "irq.ini");
	if (!was->known && cpulist_empty(held))
		return 0;
	r = irqs_scan(job, was, now);
	if (r < 0)
		return job_why(job, r, "cannot list /proc/irq: %s", strerror(-r));
	now->known = was->known;
	now->dflt = was->dflt;
	now->held[0] = *held;
	memcpy(now->held + 1, was->held + 1, was->nr_before * sizeof(*was->held));
	now->nr_before = was->nr_before;
	irqs_add_before(now, &was->held[0]);
	now->balancer = was->balancer;
	now->banned = was->banned;
	return was->known ? 0 : read_default(job, &now->dflt);
}

static int store(struct cpuset_job *job, const struct irqs *irqs)
{
	int r = irqs_store(job, irqs);

	return r < 0 ? job_why(job, r, "cannot write /run/usher/host/irq.ini: %s", strerror(-r))
		     : 0;
}

/* It moves interrupts back within seconds, so it is told before them */
static void tell_balancer(struct cpuset_job *job, const struct irqs *irqs)
{
	if (irqs->balancer && balance_tell(job, irqs) < 0)
		helper_say(job->ctx, "interrupts may come back to its CPUs: %s", job->why);
}

/* It has come since the first look: with the default of before or with the narrow one */
static int add_late(struct cpuset_job *job, const struct cpus *cpus, struct irqs *irqs,
		    struct irq *late)
{
	int r;

	if (is_born_under(job, cpus, irqs, late))
		late->base = born_with(job, cpus, &irqs->dflt, late->node);
	r = irqs_add(irqs, late);
	if (r == 0)
		late->who = NULL;
	return r;
}

/*
 * What has come, and what has been moved, since @irqs were looked at.
 *
 * Return: 1 when there is any, 0, else -errno with why
 */
static int look_again(struct cpuset_job *job, const struct cpus *cpus, struct irqs *irqs)
{
	_cleanup_irqs_ struct irqs seen = { 0 };
	int r = irqs_scan(job, irqs, &seen), news = 0;

	for (size_t i = 0; r == 0 && i < seen.nr; i++) {
		struct irq *late = &seen.list[i], *irq = irqs_find(irqs, late->number);

		if (is_same(irq, late) && cpulist_equal(&irq->now, &late->now))
			continue;
		news = 1;
		if (!is_same(irq, late)) {
			/* Another device has got its number */
			if (irq)
				irq->here = false;
			r = add_late(job, cpus, irqs, late);
			continue;
		}
		irq->now = late->now;
		if (!is_ours(cpus, irqs, irq))
			irq->base = irq->now;
	}
	return r < 0 ? job_why(job, r, "cannot list /proc/irq: %s", strerror(-r)) : news;
}

static void say_may_come(struct cpuset_job *job)
{
	helper_say(job->ctx, "interrupts may come to its CPUs: %s", job->why);
}

/* Is each as it must be, or as it was in the beginning because it cannot be moved */
static bool are_moved(const struct cpus *cpus, const struct irqs *irqs)
{
	for (size_t i = 0; i < irqs->nr; i++) {
		const struct irq *irq = &irqs->list[i];
		struct cpulist target = target_of(cpus, &irq->base, &irqs->held[0]);

		if (irq->here && !cpulist_equal(&irq->now, &target) &&
		    !cpulist_equal(&irq->now, &irq->base))
			return false;
	}
	return true;
}

/*
 * What they were made before is of no interest any more, once all are moved and those to come are
 * born with what @mask, the default, must be
 */
static int move_and_store(struct cpuset_job *job, const struct cpus *cpus, struct irqs *irqs,
			  bool mask)
{
	bool news = move_all(job, cpus, irqs);

	if (mask && irqs->nr_before > 0 && are_moved(cpus, irqs)) {
		irqs->nr_before = 0;
		news = true;
	}
	return news ? store(job, irqs) : 0;
}

/* What is known is stored before each change that it must outlive */
static int take(struct cpuset_job *job, const struct cpulist *held)
{
	_cleanup_irqs_ struct irqs was = { 0 }, now = { 0 };
	struct cpus cpus;
	bool mask;
	int r = read_cpus(job, &cpus);

	if (r == 0)
		r = begin(job, &was, &now, held);
	if (r < 0)
		return r;
	(void)find_bases(job, &cpus, &was, &now, true);
	if (balance_note(job, &now) < 0)
		helper_say(job->ctx, "interrupts may come back to its CPUs: %s", job->why);
	r = store(job, &now);
	if (r < 0)
		return r;
	mask = setting_take(job, &setting_mask, IRQ_DEFAULT) == 0;
	if (!mask)
		say_may_come(job);
	tell_balancer(job, &now);
	r = look_again(job, &cpus, &now);
	if (r > 0)
		r = store(job, &now);
	if (r < 0)
		return r;
	/* Which cannot be moved is for the check */
	return move_and_store(job, &cpus, &now, mask);
}

int irqs_take(struct cpuset_job *job)
{
	struct cpulist held = job->pins.cpus;
	char list[ATTR_MAX];
	int r = job_exists(job, IRQ_DEFAULT);

	if (r <= 0)
		return r;
	r = job_announce(job, VERB, OBJECT, job_cpus_text(&job->pins.cpus, list, sizeof(list)));
	if (r < 0)
		return r;
	setting_add_shares(job, VERB, OBJECT, false, &held);
	return take(job, &held);
}

/* Return: 0, -EINVAL when new ones come to the guest's CPUs, with why */
static int verify_default(struct cpuset_job *job)
{
	struct cpulist now;
	char list[ATTR_MAX];
	int r = read_default(job, &now);

	if (r < 0)
		return r;
	cpulist_intersect(&now, &job->pins.cpus);
	return cpulist_empty(&now)
		       ? 0
		       : job_why(job, -EINVAL, "/" IRQ_DEFAULT " lets new interrupts come to %s",
				 job_cpus_text(&now, list, sizeof(list)));
}

static int verify_moved(struct cpuset_job *job, struct irqs *was)
{
	_cleanup_irqs_ struct irqs now = { 0 };
	char list[ATTR_MAX];
	int r = irqs_scan(job, was, &now);

	if (r < 0)
		return job_why(job, r, "cannot list /proc/irq: %s", strerror(-r));
	for (size_t i = 0; i < now.nr; i++) {
		const struct irq *irq = &now.list[i], *old = irqs_find(was, irq->number);
		struct cpulist meets = irq->now;

		cpulist_intersect(&meets, &job->pins.cpus);
		if (cpulist_empty(&meets) || (is_same(old, irq) && old->fixed))
			continue;
		return job_why(job, -EINVAL, "interrupt %u (%s) may come to %s", irq->number,
			       irq->who, job_cpus_text(&meets, list, sizeof(list)));
	}
	return 0;
}

int irqs_verify(struct cpuset_job *job)
{
	_cleanup_irqs_ struct irqs was = { 0 };
	int r;

	if (!journal_find(&job->journal, VERB, OBJECT))
		return 0;
	r = irqs_load(job, &was);
	if (r < 0)
		return job_why_state(job, r, "host", "irq.ini");
	r = verify_default(job);
	if (r == 0)
		r = verify_moved(job, &was);
	return r < 0 ? r : balance_verify(job, &was);
}

/* irqbalance moves them as it likes, and will do so again */
static void say_foreign(struct cpuset_job *job, const struct irqs *irqs, size_t nr)
{
	if (nr > 0 && !irqs->balancer)
		helper_say(job->ctx,
			   "%zu interrupts have been moved by somebody else meanwhile: "
			   "left so",
			   nr);
}

/* The other guests' stay as they are. Return: 0, -errno with why */
static int give_back(struct cpuset_job *job, const struct cpus *cpus, struct irqs *irqs)
{
	int r = move_and_store(job, cpus, irqs, true);

	tell_balancer(job, irqs);
	return r;
}

/* Those that were moved, and could not be moved back; each has been said */
static size_t count_away(const struct irqs *irqs)
{
	size_t nr = 0;

	for (size_t i = 0; i < irqs->nr; i++) {
		const struct irq *irq = &irqs->list[i];

		nr += irq->here && irq->fixed && !cpulist_equal(&irq->now, &irq->base);
	}
	return nr;
}

int irqs_undo(struct cpuset_job *job, const char *object)
{
	_cleanup_irqs_ struct irqs was = { 0 }, now = { 0 };
	struct cpulist held = { 0 };
	struct cpus cpus;
	int r = read_cpus(job, &cpus);
	size_t nr;

	if (strcmp(object, OBJECT) != 0)
		return job_why(job, -EBADMSG, "the journal's interrupts '%s' are none", object);
	setting_add_shares(job, VERB, OBJECT, false, &held);
	if (r == 0)
		r = begin(job, &was, &now, &held);
	/* Announced and never touched, or given back already */
	if (r < 0 || !was.known)
		return r;
	say_foreign(job, &now, find_bases(job, &cpus, &was, &now, false));
	r = store(job, &now);
	if (r < 0)
		return r;
	if (!cpulist_empty(&held))
		return give_back(job, &cpus, &now);
	(void)move_all(job, &cpus, &now);
	tell_balancer(job, &now);
	nr = count_away(&now);
	if (nr)
		return job_why(job, -EIO, "%zu interrupts do not take their old CPUs back", nr);
	r = irqs_forget(job);
	return r < 0 ? job_why(job, r, "cannot remove /run/usher/host/irq.ini: %s", strerror(-r))
		     : 0;
}
