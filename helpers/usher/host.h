/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/host.h - a picture of this host: CPUs with their caches and nodes, PCI devices */
#pragma once

#include "../../lib/cpulist.h"
#include "../../lib/pciaddr.h"
#include "../../lib/pcidev.h"
#include "../../lib/registry.h"
#include "../../lib/topology.h"
#include "missing.h"
#include "usher.h"

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
	struct missing missing; /* of them */
};

void host_devices_free(struct host_devices *list);
#define _cleanup_host_devices_ _cleanup_(host_devices_free)

/**
 * host_devices_read() - every PCI function
 *
 * Return: 0 (also when some of it could not be read: @ret->missing), -ENOMEM, else -errno
 */
int host_devices_read(int rootfd, struct host_devices *ret) _must_check_;

/** host_device_find() - Return: NULL when there is none */
const struct host_device *host_device_find(const struct host_devices *list,
					   const struct pciaddr *addr);

/** host_device_holder() - whose claim has it. Return: the guest's name, NULL when nobody's has */
const char *host_device_holder(const struct claims *claims, const struct pciaddr *addr);

/** host_claims() - all claims there are; none when usher has never run. Return: as registry_load() */
int host_claims(int rootfd, struct claims *ret) _must_check_;

/** host_claims_missing() - those that cannot be read are missing */
void host_claims_missing(const struct claims *claims, struct missing *missing);

/** host_claim_file() - where it is. Return: the path, allocated, NULL without memory */
char *host_claim_file(const struct request *request, const struct claim *claim) _must_check_;

/**
 * host_claim_of() - what a guest holds now
 * @ret_file:	the claim's file
 *
 * Return: 1, 0 nothing, or its claim alone cannot be read, else as host_claims()
 */
int host_claim_of(const struct request *request, const char *guest, struct claim *ret,
		  char **ret_file) _must_check_;

/** host_cpus() - sys/devices/system/cpu/online. Return: 0, else -errno */
int host_cpus(int rootfd, struct cpulist *ret) _must_check_;

/** claim_cpus() - the CPUs a claim keeps for its guest alone; empty when it has none */
void claim_cpus(const struct claim *claim, struct cpulist *ret);
