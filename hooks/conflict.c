/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/conflict.c - guests cannot rob each other of a device, a disk or a CPU */
#include "conflict.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../lib/blockdev.h"
#include "../lib/cpulist.h"
#include "../lib/giveback.h"
#include "../lib/journal.h"
#include "../lib/state.h"

static int device_conflict(const struct claim *other, const struct pciaddr *addr,
			   struct conflict *ret)
{
	char text[PCIADDR_STRLEN];

	if (!claim_has_device(other, addr))
		return 0;
	pciaddr_format(addr, text);
	(void)snprintf(ret->what, sizeof(ret->what), "PCI device %s", text);
	return 1;
}

/* --- Disks ------------------------------------------------------------------------------------ */

/* "sdb1" is on "sdb": the kernel knows, whatever the two are called */
static bool is_part_of(const struct host *host, const char *part, const char *name)
{
	char disk[NAME_MAX + 1];

	return host && *part && blockdev_disk(host->rootfd, part, disk, sizeof(disk)) > 0 &&
	       strcmp(disk, name) == 0;
}

/* Two paths can lead to one disk: the kernel's name tells. One that is not there has none. */
static bool same_disk(const struct host *host, const struct claim_disk *a,
		      const struct claim_disk *b)
{
	if (strcmp(a->path, b->path) == 0 || (*a->name && strcmp(a->name, b->name) == 0))
		return true;
	return is_part_of(host, a->name, b->name) || is_part_of(host, b->name, a->name);
}

static bool disks_clash(const struct host *host, const struct claim_disk *a,
			const struct claim_disk *b)
{
	return (a->writes || b->writes) && !(a->shareable && b->shareable) && same_disk(host, a, b);
}

static int disk_conflict(const struct host *host, const struct claim *other,
			 const struct claim_disk *disk, struct conflict *ret)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&other->doc, entry, "vfio", "disk"))) {
		_cleanup_claim_disk_ struct claim_disk theirs = { 0 };
		_cleanup_free_ char *path = NULL;

		if (claim_disk_parse(entry->value, &theirs) < 0 ||
		    !disks_clash(host, disk, &theirs))
			continue;
		if (text_printable(disk->path, &path) < 0)
			return -ENOMEM;
		(void)snprintf(ret->what, sizeof(ret->what), "disk %s", path);
		return 1;
	}
	return 0;
}

static int disks_conflict(const struct host *host, const struct domain *domain,
			  const struct claim *mine, const struct claim *other, struct conflict *ret)
{
	const struct inidoc_entry *entry = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < domain->nr_disks; i++) {
		struct claim_disk disk = { .path = domain->disks[i].path,
					   .writes = domain->disks[i].writes,
					   .shareable = domain->disks[i].shareable };

		/* To look at any other path could wait for a server */
		if (!host || strncmp(disk.path, "/dev/", 5) != 0 ||
		    blockdev_name(host->rootfd, disk.path, disk.name, sizeof(disk.name)) < 0)
			*disk.name = '\0';
		r = disk_conflict(host, other, &disk, ret);
	}
	while (r == 0 && mine && (entry = inidoc_next(&mine->doc, entry, "vfio", "disk"))) {
		_cleanup_claim_disk_ struct claim_disk disk = { 0 };

		if (claim_disk_parse(entry->value, &disk) == 0)
			r = disk_conflict(host, other, &disk, ret);
	}
	return r;
}

/* --- PCI devices ------------------------------------------------------------------------------ */

/* What the claim has, and what the domain has beside it (a policy may list fewer) */
static int devices_conflict(const struct domain *domain, const struct claim *mine,
			    const struct claim *other, struct conflict *ret)
{
	const struct inidoc_entry *entry = NULL;

	for (size_t i = 0; i < domain->nr_pci; i++)
		if (device_conflict(other, &domain->pci[i].addr, ret))
			return 1;
	while (mine && (entry = inidoc_next(&mine->doc, entry, "vfio", "device"))) {
		struct claim_device device;

		if (claim_device_parse(entry->value, &device) == 0 &&
		    device_conflict(other, &device.addr, ret))
			return 1;
	}
	return 0;
}

static int cpus_found(const struct cpulist *cpus, struct conflict *ret)
{
	char list[256];

	if (cpulist_format(cpus, list, sizeof(list)) < 0)
		(void)snprintf(list, sizeof(list), "of its pins");
	(void)snprintf(ret->what, sizeof(ret->what), "CPU %s", list);
	ret->cpus = true;
	return 1;
}

/* Return: true with the CPUs that the claim wants for itself alone */
static bool wanted_cpus(const struct claim *claim, struct cpulist *ret)
{
	const char *list = claim ? inidoc_get(&claim->doc, "cpuset", "cpus") : NULL;

	return list && cpulist_parse(list, ret) == 0 && !cpulist_empty(ret);
}

/*
 * By usher-cpuset's journal: one of its ways is taken. Not known counts as taken, and so does what a
 * hook of that guest is doing right now.
 */
static bool has_taken(const struct host *host, const struct claim *claim)
{
	static const char *const ways[] = { "guest", "slice", "plain" };
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_close_ int lock = giveback_lock(host, claim->uuid, 0);
	_cleanup_close_ int dirfd = state_dir(host->statefd, claim->uuid, false);

	if (lock < 0 || dirfd < 0 || journal_open(dirfd, "cpuset", false, &journal) < 0)
		return true;
	for (size_t i = 0; i < journal.nr; i++)
		for (size_t way = 0; way < ARRAY_SIZE(ways); way++)
			if (!journal.records[i].undone &&
			    strcmp(journal.records[i].verb, ways[way]) == 0)
				return true;
	return false;
}

/* Return: true with the CPUs that it has for itself alone, or will have when it runs */
static bool exclusive_cpus(const struct host *host, const struct claim *claim, struct cpulist *ret)
{
	bool coming = claim->state == CLAIM_PREPARING || claim->state == CLAIM_HANDED;

	return wanted_cpus(claim, ret) && (!host || coming || has_taken(host, claim));
}

/* Both want a CPU for themselves alone */
static int exclusive_conflict(const struct host *host, const struct claim *mine,
			      const struct claim *other, struct conflict *ret)
{
	struct cpulist wanted, theirs;

	if (!wanted_cpus(mine, &wanted) || !exclusive_cpus(host, other, &theirs))
		return 0;
	cpulist_intersect(&wanted, &theirs);
	return cpulist_empty(&wanted) ? 0 : cpus_found(&wanted, ret);
}

/* --- Pins ------------------------------------------------------------------------------------- */

/* What all the others have for themselves alone, and how to tell whose a CPU is */
struct held {
	const struct host *host;
	const struct domain *domain;
	const struct claims *others;
	struct cpulist cpus;
};

static bool is_other(const struct held *held, const struct claim *claim)
{
	return strcmp(claim->uuid, held->domain->uuid) != 0;
}

static void held_fill(struct held *held)
{
	struct cpulist cpus;

	for (size_t i = 0; i < held->others->nr; i++)
		if (is_other(held, &held->others->claims[i]) &&
		    exclusive_cpus(held->host, &held->others->claims[i], &cpus))
			cpulist_union(&held->cpus, &cpus);
}

static const struct claim *holder_of(const struct held *held, const struct cpulist *pin)
{
	struct cpulist cpus;

	for (size_t i = 0; i < held->others->nr; i++)
		if (is_other(held, &held->others->claims[i]) &&
		    exclusive_cpus(held->host, &held->others->claims[i], &cpus) &&
		    cpulist_intersects(&cpus, pin))
			return &held->others->claims[i];
	return NULL;
}

/* A pin that lies within CPUs that others hold, be it several of them, has nowhere to run */
static int pin_conflict(const char *list, const struct held *held, struct conflict *ret)
{
	struct cpulist pin;

	if (!list || cpulist_parse(list, &pin) < 0 || cpulist_empty(&pin) ||
	    !cpulist_contains(&held->cpus, &pin))
		return 0;
	ret->with = holder_of(held, &pin);
	return cpus_found(&pin, ret);
}

/* Does anything of the guest have no pin of its own: that runs where <vcpu cpuset=> says */
static bool has_floating(const struct domain *domain)
{
	struct cpulist pinned = { 0 };

	for (size_t i = 0; i < domain->nr_vcpu_pins; i++)
		cpulist_add(&pinned, domain->vcpu_pins[i].id);
	return !domain->emulator_cpus || domain->nr_iothread_pins < domain->iothreads ||
	       !cpulist_contains(&pinned, &domain->vcpus_online);
}

static int pins_conflict(const struct held *held, struct conflict *ret)
{
	const struct domain *domain = held->domain;
	int r = pin_conflict(domain->emulator_cpus, held, ret);

	if (r == 0 && has_floating(domain))
		r = pin_conflict(domain->vcpu_cpus, held, ret);
	for (size_t i = 0; r == 0 && i < domain->nr_vcpu_pins; i++)
		r = pin_conflict(domain->vcpu_pins[i].cpus, held, ret);
	for (size_t i = 0; r == 0 && i < domain->nr_iothread_pins; i++)
		r = pin_conflict(domain->iothread_pins[i].cpus, held, ret);
	return r;
}

/* ---------------------------------------------------------------------------------------------- */

static int conflict_with(const struct host *host, const struct domain *domain,
			 const struct claim *mine, const struct claim *other, struct conflict *ret)
{
	int r = devices_conflict(domain, mine, other, ret);

	if (r == 0)
		r = disks_conflict(host, domain, mine, other, ret);
	if (r == 0)
		r = exclusive_conflict(host, mine, other, ret);
	if (r > 0)
		ret->with = other;
	return r;
}

int conflict_find(const struct host *host, const struct domain *domain, const struct claim *mine,
		  const struct claims *others, struct conflict *ret)
{
	struct held held = { .host = host, .domain = domain, .others = others };

	*ret = (struct conflict){ 0 };
	for (size_t i = 0; i < others->nr; i++) {
		int r = is_other(&held, &others->claims[i])
				? conflict_with(host, domain, mine, &others->claims[i], ret)
				: 0;

		if (r != 0)
			return r;
	}
	held_fill(&held);
	return pins_conflict(&held, ret);
}

int conflict_find_device(const struct domain *domain, const struct claims *others,
			 struct conflict *ret)
{
	const struct held held = { .domain = domain, .others = others };

	for (size_t i = 0; i < others->nr; i++) {
		const struct claim *other = &others->claims[i];

		if (!is_other(&held, other) || !devices_conflict(domain, NULL, other, ret))
			continue;
		ret->with = other;
		return 1;
	}
	return 0;
}
