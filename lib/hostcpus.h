/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hostcpus.h - the CPUs that this host has, and its cores */
#pragma once

#include "cpulist.h"

/**
 * hostcpus_read() - one of the kernel's own lists
 * @which:	"online", "possible", "isolated" (by isolcpus= at boot), "cpuN/topology/..."
 *
 * Return: 0, -EBADMSG, else as attr_read()
 * ABI: Documentation/admin-guide/cputopology.rst
 */
int hostcpus_read(int rootfd, const char *which, struct cpulist *ret) _must_check_;

/**
 * hostcpus_has_core() - is a core among these CPUs whole, as far as its threads are online
 *
 * Where the kernel does not say which CPUs are of one core, each is one.
 */
bool hostcpus_has_core(int rootfd, const struct cpulist *cpus, const struct cpulist *online);
