/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/host.h - a picture of this host: CPUs with their caches and nodes, PCI devices */
#pragma once

#include "../../lib/cpulist.h"
#include "../../lib/pciaddr.h"
#include "../../lib/pcidev.h"
#include "../../lib/registry.h"
#include "usher.h"

/* --- topology.c: by hwloc ----------------------------------------------------------------------- */

struct host_cpu {
	unsigned int cpu; /* as the kernel counts; the other numbers are hwloc's, from 0 */
	int core, l3, node, package; /* -1: the host does not tell */
	unsigned long long l3_kib;
	int os_node; /* as the kernel counts */
	unsigned long long node_mib;
};

struct topology {
	struct host_cpu *cpus; /* neighbours stand side by side: by package, node, cache, core */
	size_t nr;
};

void topology_free(struct topology *topology);
#define _cleanup_topology_ _cleanup_(topology_free)

/** topology_read() - all CPUs that are online. Return: 0, -ENOMEM, -EIO */
int topology_read(const char *root, struct topology *ret) _must_check_;

/** topology_cpu() - Return: NULL when there is no such CPU */
const struct host_cpu *topology_cpu(const struct topology *topology, unsigned int cpu);

/** topology_siblings() - the CPUs of the same core, itself too */
void topology_siblings(const struct topology *topology, const struct host_cpu *cpu,
		       struct cpulist *ret);

/* --- devices.c ---------------------------------------------------------------------------------- */

struct host_device {
	struct pciaddr addr;
	struct pciid id;
	unsigned int class; /* as lspci -n: 0x0300 */
	int group;	    /* -1: none */
	bool bridge, boot_vga;
	char driver[64]; /* "": none */
	char reset[64];	 /* methods, blank between; "": none */
	char name[260];
	char class_name[64];
};

struct host_devices {
	struct host_device *devices; /* by group, then by address; those without a group last */
	size_t nr;
};

void host_devices_free(struct host_devices *list);
#define _cleanup_host_devices_ _cleanup_(host_devices_free)

/** host_devices_read() - every PCI function. Return: 0, -ENOMEM, else -errno */
int host_devices_read(int rootfd, struct host_devices *ret) _must_check_;

/** host_device_find() - Return: NULL when there is none */
const struct host_device *host_device_find(const struct host_devices *list,
					   const struct pciaddr *addr);

/** host_device_holder() - whose claim has it. Return: the guest's name, NULL when nobody's has */
const char *host_device_holder(const struct claims *claims, const struct pciaddr *addr);

/** host_claims() - all claims there are; none when usher has never run. Return: as registry_load() */
int host_claims(int rootfd, struct claims *ret) _must_check_;

/** host_cpus() - sys/devices/system/cpu/online. Return: 0, else -errno */
int host_cpus(int rootfd, struct cpulist *ret) _must_check_;

/** claim_cpus() - the CPUs a claim keeps for its guest alone; empty when it has none */
void claim_cpus(const struct claim *claim, struct cpulist *ret);
