/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/choose.h - pins for a guest that has none: which cores, and how they get there */
#pragma once

#include "../../lib/topology.h"
#include "cpuset.h"

/* --- choose.c: the choice, from nothing but what is passed -------------------------------------- */

struct cores_wanted {
	unsigned int vcpus;
	struct cpulist online;	/* their numbers, as far as they are known; else the next ones */
	unsigned int threads;	/* of a core, as the guest sees it; 0 is 1 */
	struct cpulist taken;	/* by other guests */
	struct cpulist avoid;	/* somebody else is pinned there, without having it alone */
	struct cpulist allowed; /* <vcpu cpuset=>; empty: all */
	struct cpulist memory_nodes;  /* the guest's memory is bound to; empty: to none */
	struct cpulist device_nodes;  /* of its devices */
	struct cpulist boot_isolated; /* by isolcpus= */
};

/**
 * cores_choose() - whole cores for a guest, and which vCPU runs where
 * @ret:	untouched unless the return is >= 0
 * @why:	filled on -ENOSPC, WHY_MAX bytes
 *
 * In one node and one L3 cache if they fit, near its memory and devices, of one kind (faster ones
 * before slower ones), the core of CPU 0 where nothing else fits; the host keeps a whole core. A
 * vCPU gets one CPU, or all CPUs of a core whose siblings the guest does not know or need.
 *
 * Return: 0, 1 when vCPUs share cores without the guest knowing it, -ENOSPC, -ENOMEM
 */
int cores_choose(const struct topology *topology, const struct cores_wanted *wanted,
		 struct pins *ret, char *why) _must_check_;

/* --- automatic.c: pin = auto, in the claim and in the guest's groups ---------------------------- */

/**
 * automatic_choose() - fill job->pins, when the claim has none, with what is chosen now
 *
 * The claims are loaded. Nothing is written.
 *
 * Return: 0, 1 as cores_choose(), else -errno with why
 */
int automatic_choose(struct cpuset_job *job) _must_check_;

/** automatic_show() - the choice as a picture of the host, on stdout */
void automatic_show(const struct cpuset_job *job);

/**
 * cpuset_choose() - the verb: choose, and write it into the claim, under the registry's lock
 *
 * Another guest's start looks for conflicts under that lock: it finds this choice, or this choice
 * finds its claim.
 *
 * Return: the exit code
 */
int cpuset_choose(struct helper_ctx *ctx, int argc, char **argv);
