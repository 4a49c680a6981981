/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/irq.h - where interrupts go while guests hold CPUs */
#pragma once

#include "cpuset.h"

/*
 * How it works
 *
 * run/usher/host/irq.ini holds what every interrupt's affinity was before the first guest, and is
 * gone with the last. It is read and written under the lock of the baseline "cpuset".
 *
 *	[irq]
 *	default = 0-7			default_smp_affinity
 *	held = 2-3			the CPUs that the last write keeps free,
 *	before = 4			and those of each since all were moved last: a kill leaves
 *					any of them
 *	balancer = 812 0-1		irqbalance's pid, and the CPUs it left alone before
 *	irq = 24 0-7 virtio0-req.0	number, affinity, who handles it, text_encode()d
 *	fixed = 26 2 nvme0q3		the same of one that the kernel did not let be moved
 *
 * Numbers are reused, and lines are shared, so an interrupt is the same one only when it has a
 * handler it had. The kernel keeps the affinity of one whose handler goes for a while (a network
 * interface that is down) until the next comes: it is the same one as long as nobody handles it.
 * One that came later has got its affinity from what default_smp_affinity was then: that is known,
 * and so is what it would have been given without guests.
 */

struct irq {
	unsigned int number;
	char *who;	     /* names of its handlers, joined by ',' */
	struct cpulist base; /* before the first guest */
	struct cpulist now;
	int node;   /* -1 for none */
	bool here;  /* it is there now */
	bool fixed; /* it could not be moved */
};

/* So many helpers are not killed, one after the other, in the midst of it */
#define IRQS_BEFORE_MAX 8

struct irqs {
	struct irq *list;
	size_t nr;
	struct cpulist dflt;
	struct cpulist held[1 + IRQS_BEFORE_MAX]; /* now, and before; none is empty but the first */
	size_t nr_before;
	struct cpulist banned; /* of the balancer, before the first guest */
	pid_t balancer;	       /* 0 for none */
	bool known;	       /* the file was there */
};

void irqs_free(struct irqs *irqs);
#define _cleanup_irqs_ _cleanup_(irqs_free)

/** irqs_load() - the file. Return: 0 (also when there is none), -EBADMSG, -ENOMEM, else -errno */
int irqs_load(const struct cpuset_job *job, struct irqs *ret) _must_check_;

/** irqs_store() - replace it. Return: 0, -ENOMEM, else as state_write() */
int irqs_store(const struct cpuset_job *job, const struct irqs *irqs) _must_check_;

/** irqs_forget() - remove it. Return: 0, else as state_remove() */
int irqs_forget(const struct cpuset_job *job) _must_check_;

/** irqs_add() - @irq's who becomes the table's. Return: 0, -ENOMEM */
int irqs_add(struct irqs *irqs, const struct irq *irq) _must_check_;

/** irqs_add_before() - affinities may still be what they were made when guests held @held */
void irqs_add_before(struct irqs *irqs, const struct cpulist *held);

/** irqs_find() - Return: NULL when there is none with this number */
struct irq *irqs_find(struct irqs *irqs, unsigned int number);

/**
 * irqs_scan() - the interrupts there are now, with handlers
 * @known:	those in it, also without: they have the names that it has
 *
 * Return: 0 (none where there is no proc/irq), -ENOMEM, else as attr_list()
 * ABI: Documentation/core-api/irq/irq-affinity.rst
 */
int irqs_scan(const struct cpuset_job *job, struct irqs *known, struct irqs *ret) _must_check_;

/* --- balance.c ---------------------------------------------------------------------------------- */

/**
 * balance_take() - irqbalance shall leave the CPUs in @irqs->held alone
 *
 * What it left alone before is noted in @irqs first; the caller stores that, then tells it.
 *
 * Return: 1 it runs and is noted, 0 it does not run, else -errno with why
 */
int balance_note(struct cpuset_job *job, struct irqs *irqs) _must_check_;

/**
 * balance_verify() - is the irqbalance that runs the one that was told
 *
 * Return: 0, also when none runs, -EINVAL with why
 */
int balance_verify(struct cpuset_job *job, const struct irqs *irqs) _must_check_;

/** balance_tell() - the CPUs in @irqs->held, and those it left alone before. Return: 0, -errno with a reason */
int balance_tell(struct cpuset_job *job, const struct irqs *irqs) _must_check_;
