/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/domain.h - what usher needs of a guest's domain XML, and what follows from it */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "../lib/cpulist.h"
#include "../lib/pciaddr.h"
#include "../lib/text.h"

/* Bounds on what libvirt (or who edited a save image) may send: past them the domain is refused.
 * A larger domain can be neither defined nor dumped: REMOTE_STRING_MAX in libvirt's RPC protocol */
#define DOMAIN_XML_MAX	 ((size_t)4 << 20)
#define DOMAIN_DEPTH_MAX 128
/* Different names of elements and attributes: libvirt's schema has some 900 */
#define DOMAIN_NAMES_MAX 32768
/* libvirt has the whole text before it starts the hook, and waits for it without end */
#define DOMAIN_READ_MS 10000
/* Longest lists that are kept: pins, devices, cells, ... */
#define DOMAIN_PINS_MAX	   4096
#define DOMAIN_DEVICES_MAX 1024
#define DOMAIN_CELLS_MAX   1024
#define DOMAIN_PAGES_MAX   64

enum domain_pci_origin {
	DOMAIN_PCI_HOSTDEV,   /* <hostdev mode='subsystem' type='pci'> */
	DOMAIN_PCI_INTERFACE, /* <interface type='hostdev'> */
	DOMAIN_PCI_NVME,      /* <disk type='nvme'>, its backing chain or mirror */
};

struct domain_pci {
	struct pciaddr addr; /* on the host */
	enum domain_pci_origin origin;
	bool managed;
};

/* A disk of the host without PCI: <disk type='block'>, or a file that is a device node */
struct domain_disk {
	char *path;
	bool writes;	/* no <readonly/>, and no backing store: that is only read */
	bool shareable; /* <shareable/>: others may write too */
};

struct domain_pin {
	unsigned int id; /* vCPU or iothread */
	char *cpus;	 /* kernel list form, never empty */
};

/* <cpu><numa><cell> */
struct domain_cell {
	unsigned int id;
	unsigned long long size_kib;
};

/* <devices><memory> */
struct domain_memory {
	char *model; /* dimm nvdimm virtio-mem virtio-pmem sgx-epc */
	unsigned long long size_kib;
	unsigned long long requested_kib; /* virtio-mem: plugged at start; else 0 */
	unsigned long long block_kib;	  /* virtio-mem; else 0 */
	int node;			  /* guest cell, -1 when none is named */
	unsigned long long pagesize_kib;  /* its own <source><pagesize>; 0 when none */
	char *nodes; /* its own <source><nodemask>: host nodes; NULL when none */
	bool file;   /* backed by a <path> or a host device, not by pages */
};

/* <memoryBacking><hugepages><page> */
struct domain_page {
	unsigned long long size_kib;
	char *cells; /* guest cells, list form; NULL: all that no other names */
};

enum domain_numa_mode {
	DOMAIN_NUMA_STRICT,
	DOMAIN_NUMA_PREFERRED,
	DOMAIN_NUMA_INTERLEAVE,
	DOMAIN_NUMA_RESTRICTIVE,
};

/* <numatune><memnode> */
struct domain_memnode {
	unsigned int cell;
	enum domain_numa_mode mode;
	char *nodes; /* host nodes, list form */
};

/* A text that the XML does not have is NULL. CPU and node lists are in the kernel's list form. */
struct domain {
	char *name;		/* as libvirt gives it, entities decoded */
	char uuid[UUID_STRLEN]; /* lower case */

	struct domain_pci *pci; /* no function twice; sorted by address */
	size_t nr_pci;
	struct domain_disk *disks; /* no path twice; chain and mirror too */
	size_t nr_disks;

	unsigned int vcpus_max;
	unsigned int vcpus_current;   /* online at start */
	struct cpulist vcpus_online;  /* which, of the first CPULIST_MAX */
	unsigned int vcpu_threads;    /* <cpu><topology threads=>; 0 when it is not there */
	bool vcpu_auto;		      /* placement='auto': numad chooses, after prepare */
	char *vcpu_cpus;	      /* <vcpu cpuset=>: where vCPUs without a pin may run */
	struct domain_pin *vcpu_pins; /* sorted by id */
	size_t nr_vcpu_pins;
	char *emulator_cpus;
	unsigned int iothreads;
	struct domain_pin *iothread_pins;
	size_t nr_iothread_pins;

	unsigned long long memory_kib; /* <memory>: the total, memory devices included */
	struct domain_memory *memories;
	size_t nr_memories;
	struct domain_cell *cells; /* guest cells, sorted by id */
	size_t nr_cells;

	bool hugepages;		   /* <hugepages/> is there */
	struct domain_page *pages; /* empty with hugepages: the host's default size */
	size_t nr_pages;
	char *memory_source; /* memfd file anonymous */
	bool memory_access;  /* <access mode=> is given, or a cell's memAccess= */
	bool memory_balloon; /* false only for <memballoon model='none'> */

	bool numa_auto; /* <numatune><memory placement='auto'> */
	enum domain_numa_mode numa_mode;
	char *numa_nodes; /* <numatune><memory nodeset=> */
	struct domain_memnode *memnodes;
	size_t nr_memnodes;

	char *partition;       /* <resource><partition>: "/machine/foo" */
	char *on_poweroff;     /* destroy restart preserve rename-restart */
	char *launch_security; /* sev sev-snp tdx s390-pv */
};

void domain_free(struct domain *domain);
#define _cleanup_domain_ _cleanup_(domain_free)

/* One line without a newline, printable: "line 12: hostdev address slot '99' is no number 0 to 31" */
struct domain_error {
	char what[256];
};

/**
 * domain_read() - read a domain XML from libvirt's pipe or a file, up to </domain>
 * @fd:		read from where it stands; not closed
 * @ret:	untouched on error
 *
 * Streaming: memory use follows what is kept, not the document. Elements of foreign namespaces
 * are passed over with all they hold. No DTD, no entity but XML's five, no network. libxml2's
 * messages of this process are switched off.
 *
 * Return: 0, -EBADMSG when it is no domain XML or breaks a bound (DTD, NUL, depth, names, list
 * length, a tag over 128 KiB, a number or list out of libvirt's grammar), -EFBIG past
 * DOMAIN_XML_MAX, -ETIMEDOUT when </domain> has not come within DOMAIN_READ_MS, -ENOMEM, else
 * -errno of read(2). @err is filled on every error.
 */
int domain_read(int fd, struct domain *ret, struct domain_error *err) _must_check_;

/** domain_parse() - domain_read() from memory. Return: as domain_read() */
int domain_parse(const char *xml, size_t len, struct domain *ret, struct domain_error *err)
	_must_check_;

/** domain_pci_origin_name() - "hostdev", "interface", "nvme": the claim's word */
const char *domain_pci_origin_name(enum domain_pci_origin origin);

/**
 * domain_pinned_cpus() - the union of all vCPU pins
 *
 * A pin of a vCPU that is not online counts: it can come online while the guest runs. <vcpu
 * cpuset=> is no pin: vCPUs float in it.
 *
 * Return: 0, -EINVAL when a list is out of grammar (never after domain_read())
 */
int domain_pinned_cpus(const struct domain *domain, struct cpulist *ret) _must_check_;

/**
 * domain_all_cpus() - every CPU libvirt will bind a thread of the guest to
 *
 * All pins (vCPU, emulator, iothread) and <vcpu cpuset=>. A cpuset above the guest that lacks one
 * of them makes the start fail with "Invalid argument".
 *
 * Return: as domain_pinned_cpus()
 */
int domain_all_cpus(const struct domain *domain, struct cpulist *ret) _must_check_;

/* Pages of one size that QEMU will take from one set of host nodes */
struct domain_need {
	unsigned long long size_kib;
	char *nodes; /* host nodes, list form; "" is any */
	bool strict; /* false: other nodes will do (preferred, interleave) */
	unsigned long long nr_pages;
};

struct domain_hugepages {
	struct domain_need *needs; /* one per size, nodes and strict; in order of the objects */
	size_t nr;
	bool may_grow;			/* pages of the needs are faulted in while the guest runs:
					 * virtio-mem, a balloon */
	unsigned long long default_kib; /* of an object for which the XML says no size, 0: none */
	bool numad;			/* some pages must be where numad says, after prepare */
	unsigned long long uneven_kib;	/* page size of a memory object that is no whole number
					* of pages; 0 for none */
};

void domain_hugepages_free(struct domain_hugepages *hugepages);
#define _cleanup_domain_hugepages_ _cleanup_(domain_hugepages_free)

/**
 * domain_hugepages() - the huge pages QEMU will allocate at start
 * @default_kib:	the size of <hugepages/> without one: of libvirt's default mount
 * @base_kib:		the host's base page size: a <page> of it means none
 *
 * Per memory object ceil(size / page size). Objects: each guest cell, rounded up to 1 MiB;
 * without cells one of memory less the memory devices, rounded likewise; each memory device,
 * rounded up to 2 MiB (of virtio-mem what is requested). No huge pages in the XML: no needs.
 *
 * Return: 0, -EINVAL when the memory devices are larger than the memory, or a sum overflows;
 * -ENOMEM
 * ABI: libvirt 9.0.0 to 11.3.0, qemu_domain.c qemuDomainAlignMemorySizes(), qemu_command.c
 * qemuBuildMemoryGetPagesize() and qemuBuildMemoryBackendProps()
 */
int domain_hugepages(const struct domain *domain, unsigned long long default_kib,
		     unsigned long long base_kib, struct domain_hugepages *ret) _must_check_;
