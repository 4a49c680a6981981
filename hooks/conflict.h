/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/conflict.h - guests cannot rob each other of a device, a disk or a CPU */
#pragma once

#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "../lib/registry.h"
#include "../lib/step.h"
#include "domain.h"

struct conflict {
	const struct claim *with; /* whose it is; points into the claims given */
	char what[512];		  /* "device 0000:01:00.0", printable, no newline */
	bool cpus;		  /* it is CPUs, which can be shared */
};

/**
 * conflict_find() - does the guest want what another one holds
 * @host:	for what guests that run have really taken, and which disk a partition is on; NULL:
 *		all that they claim, by its name
 * @domain:	of the guest that is starting
 * @mine:	its claim, NULL when it has no policy
 * @others:	the claims of all guests; that of @domain's own uuid is passed over
 *
 * Devices: a function that another claim has. Disks: one that either writes, unless both say it is
 * shareable; a partition is the disk that it is on, too. CPUs: one that both claims want for themselves
 * alone, or a pin (vCPU, emulator, iothread) all of whose CPUs another guest holds: libvirt would
 * fail it with "Invalid argument". A guest that runs holds none when its CPUs could not be isolated, be
 * it on cgroup v1. Huge pages are usher-hugepages' affair.
 *
 * Return: 1 with @ret filled, 0 none, -ENOMEM
 */
int conflict_find(const struct host *host, const struct domain *domain, const struct claim *mine,
		  const struct claims *others, struct conflict *ret) _must_check_;

/**
 * conflict_find_device() - has another guest a PCI device that is in the domain now
 *
 * Return: as conflict_find()
 */
int conflict_find_device(const struct domain *domain, const struct claims *others,
			 struct conflict *ret) _must_check_;
