/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/topology.h - a host's CPUs with their cores, caches and nodes, by hwloc */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "cleanup.h"
#include "cpulist.h"

struct host_cpu {
	unsigned int cpu; /* as the kernel counts; the other numbers are hwloc's, from 0 */
	int core, l3, node, package; /* -1: the host does not tell */
	unsigned long long l3_kib;
	int os_node; /* as the kernel counts */
	unsigned long long node_mib;
	int kind; /* higher is faster; the same for all where all are alike */
};

struct topology {
	struct host_cpu *cpus; /* neighbours stand side by side: by package, node, cache, core */
	size_t nr;
};

void topology_free(struct topology *topology);
#define _cleanup_topology_ _cleanup_(topology_free)

/**
 * topology_read() - all CPUs that are online
 * @root:	the host's root directory
 *
 * Return: 0, -EOPNOTSUPP without hwloc's library, -ENOMEM, -EIO
 */
int topology_read(const char *root, struct topology *ret) _must_check_;

/** topology_cpu() - Return: NULL when there is no such CPU */
const struct host_cpu *topology_cpu(const struct topology *topology, unsigned int cpu);

/** topology_siblings() - the CPUs of the same core, itself too */
void topology_siblings(const struct topology *topology, const struct host_cpu *cpu,
		       struct cpulist *ret);

/** topology_core_end() - one past the last CPU of the core that begins with CPU @i */
size_t topology_core_end(const struct topology *topology, size_t i);

/**
 * topology_draw() - one line a core, below its package, node and cache
 * @holder:	whose a CPU is, as it is to be shown; the same text of one core's CPUs stands once
 */
void topology_draw(const struct topology *topology, FILE *to,
		   const char *(*holder)(const void *data, unsigned int cpu), const void *data);
