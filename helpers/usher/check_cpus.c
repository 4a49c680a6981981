/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_cpus.c - usher check: a guest's vCPUs, and the host's cores below them */
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "check.h"

static const char *cpus_text(const struct cpulist *cpus, char *buf, size_t size)
{
	return cpulist_format(cpus, buf, size) < 0 ? "(many)" : buf;
}

/* Is a pin, or what vCPUs without one have, not online as a whole: that libvirt cannot set */
static bool is_all_offline(const struct check *check)
{
	if (check->nr_pins == 0)
		return !cpulist_intersects(&check->pinned, &check->online);
	for (size_t i = 0; i < check->nr_pins; i++)
		if (!cpulist_intersects(&check->pins[i].cpus, &check->online))
			return true;
	return false;
}

static void check_online(struct check *check)
{
	struct cpulist offline = check->pinned;
	char list[256];

	cpulist_subtract(&offline, &check->online);
	if (!cpulist_empty(&offline))
		found(check, is_all_offline(check) ? LEVEL_ERROR : LEVEL_WARNING,
		      "vCPUs are pinned to CPU %s, not online: correct <vcpupin>, or the cpuset of "
		      "<vcpu>",
		      cpus_text(&offline, list, sizeof(list)));
}

void check_pins(struct check *check)
{
	unsigned int vcpus = guest_number(check, "normalize-space(/domain/vcpu)");
	const struct inidoc *doc = &check->claim.doc;
	struct cpulist used = { 0 };
	char list[256];

	if (inidoc_get(doc, "cpuset", "pin"))
		found(check, LEVEL_NOTE,
		      "usher pins the vCPUs when the guest starts (pin = auto): usher plan shows "
		      "where");
	else if (check->nr_pins == 0 && check->has_pci && !inidoc_get(doc, "cpuset", "cpus") &&
		 !cpulist_empty(&check->pinned))
		found(check, LEVEL_WARNING,
		      "no vCPU has a CPU of its own: all of them move between CPUs %s, which the "
		      "host uses too: add a <vcpupin> for each in <cputune>, or set isolate = yes "
		      "in "
		      "[cpuset] of the policy",
		      cpus_text(&check->pinned, list, sizeof(list)));
	else if (check->nr_pins == 0 && check->has_pci && !inidoc_get(doc, "cpuset", "cpus"))
		found(check, LEVEL_WARNING,
		      "no vCPU is pinned: vCPUs move between all CPUs of the host, and none is "
		      "kept free: add a <vcpupin> for each in <cputune>, or set pin = auto in "
		      "[cpuset] of the policy");
	else if (check->nr_pins > 0 && check->nr_pins < vcpus)
		found(check, LEVEL_WARNING,
		      "%zu of %u vCPUs are pinned: the others run on the host's CPUs: add a "
		      "<vcpupin> for each",
		      check->nr_pins, vcpus);
	check_online(check);
	for (size_t i = 0; i < check->nr_pins; i++) {
		if (cpulist_count(&check->pins[i].cpus) == 1 &&
		    cpulist_intersects(&used, &check->pins[i].cpus))
			found(check, LEVEL_WARNING,
			      "two vCPUs are pinned to CPU %s: pin each to one of its own",
			      cpus_text(&check->pins[i].cpus, list, sizeof(list)));
		cpulist_union(&used, &check->pins[i].cpus);
	}
}

/* Can the pins be compared with the host's cores and nodes */
static bool has_topology(struct check *check)
{
	if (check->topology.nr > 0 || cpulist_empty(&check->pinned))
		return true;
	found(check, LEVEL_NOTE,
	      "not looked at: hwloc cannot tell the cores of this host: see lstopo");
	return false;
}

/* A core half of which the host uses is shared after all */
void check_siblings(struct check *check)
{
	struct cpulist split = { 0 };
	char list[256];

	/* CPUs that vCPUs without pins share with the host are no cores of the guest's */
	if (!has_topology(check) ||
	    (check->nr_pins == 0 && !inidoc_get(&check->claim.doc, "cpuset", "cpus")))
		return;
	for (size_t i = 0; i < check->topology.nr; i++) {
		const struct host_cpu *cpu = &check->topology.cpus[i];
		struct cpulist siblings;

		if (!cpulist_has(&check->pinned, cpu->cpu))
			continue;
		topology_siblings(&check->topology, cpu, &siblings);
		cpulist_subtract(&siblings, &check->pinned);
		cpulist_union(&split, &siblings);
	}
	if (cpulist_empty(&split))
		return;
	found(check, LEVEL_WARNING,
	      "CPU %s shares a core with a pinned CPU, and the host uses it: pin whole cores "
	      "(usher "
	      "status shows them)",
	      cpus_text(&split, list, sizeof(list)));
}

static const struct pin *find_pin(const struct check *check, unsigned int vcpu)
{
	for (size_t i = 0; i < check->nr_pins; i++)
		if (check->pins[i].vcpu == vcpu && cpulist_count(&check->pins[i].cpus) == 1)
			return &check->pins[i];
	return NULL;
}

static int core_of(const struct check *check, unsigned int vcpu)
{
	const struct pin *pin = find_pin(check, vcpu);
	const struct host_cpu *cpu =
		pin ? topology_cpu(&check->topology, (unsigned int)cpulist_next(&pin->cpus, 0))
		    : NULL;

	return cpu ? cpu->core : -1;
}

/* Does any core of the host run two vCPUs */
static bool pins_share_cores(const struct check *check)
{
	for (size_t i = 0; i < check->nr_pins; i++)
		for (size_t j = 0; j < i; j++) {
			int core = core_of(check, check->pins[i].vcpu);

			if (core >= 0 && core == core_of(check, check->pins[j].vcpu))
				return true;
		}
	return false;
}

/* Threads of one core of the guest are neighbours: vCPU 2n and 2n+1 with two threads */
static void check_threads(struct check *check, unsigned int threads)
{
	for (unsigned int vcpu = 0; find_pin(check, vcpu); vcpu++) {
		int core = core_of(check, vcpu), first = core_of(check, vcpu - vcpu % threads);

		if (core < 0 || first < 0 || core == first)
			continue;
		found(check, LEVEL_WARNING,
		      "the guest takes vCPU %u and %u for threads of one core, but they are pinned "
		      "to "
		      "two cores: pin them to siblings, or set threads='1' in <topology>",
		      vcpu - vcpu % threads, vcpu);
		return;
	}
}

/*
 * is_windows_client() - by what virt-install and virt-manager have noted in the XML
 *
 * Source: osinfo-db: http://microsoft.com/win/11; of a server it is 2k22 and the like
 */
static bool is_windows_client(struct check *check)
{
	static const char vendor[] = "http://microsoft.com/win/";
	_cleanup_free_ char *id =
		guest_text(check, "string(/domain/metadata//*[local-name()='os']/@id)");

	return id && strncmp(id, vendor, strlen(vendor)) == 0 &&
	       strncmp(id + strlen(vendor), "2k", 2) != 0;
}

/*
 * check_sockets() - vCPUs that a Windows guest leaves idle
 *
 * Without a <topology> libvirt makes a socket of each vCPU, and virt-install writes none. How many
 * Windows uses is its licence's business.
 * Seen on: libvirt 9.0 and 11.3, -smp 4,sockets=4,cores=1,threads=1
 */
static void check_sockets(struct check *check, unsigned int threads)
{
	unsigned int vcpus = guest_number(check, "normalize-space(/domain/vcpu)");
	unsigned int sockets = guest_number(check, "string(/domain/cpu/topology/@sockets)");

	sockets = sockets ?: vcpus;
	if (sockets < 2 || !is_windows_client(check))
		return;
	found(check, sockets > 2 ? LEVEL_WARNING : LEVEL_NOTE,
	      "the guest has %u sockets, of which Windows uses two at most, and its Home edition "
	      "one: other vCPUs stay idle: set <topology sockets='1' dies='1' cores='%u' "
	      "threads='%u'/> in <cpu>",
	      sockets, vcpus / threads, threads);
}

static bool host_is_amd(struct check *check)
{
	_cleanup_free_ char *text = NULL;

	return check_read_all(check, "proc/cpuinfo", 1 << 24, &text) &&
	       (strstr(text, "AuthenticAMD") || strstr(text, "HygonGenuine"));
}

/* Source: QEMU's target/i386/cpu.c, no_autoenable_flags = CPUID_EXT3_TOPOEXT; since 3.0 */
static void check_topoext(struct check *check, unsigned int threads)
{
	if (threads < 2 ||
	    !guest_has(check, "/domain/cpu[@mode='host-passthrough' or @mode='maximum']") ||
	    guest_has(check, "/domain/cpu/feature[@name='topoext'][@policy='require' or "
			     "@policy='force']") ||
	    !host_is_amd(check))
		return;
	found(check, LEVEL_WARNING,
	      "an AMD CPU shows the guest no threads, whatever <topology> has, without topoext: "
	      "add <feature policy='require' name='topoext'/> to <cpu>");
}

void check_topology(struct check *check)
{
	unsigned int threads = guest_number(check, "string(/domain/cpu/topology/@threads)");

	check_sockets(check, threads ?: 1);
	check_topoext(check, threads);
	if (!has_topology(check))
		return;
	if (threads > 1)
		check_threads(check, threads);
	else if (pins_share_cores(check))
		found(check, LEVEL_WARNING,
		      "vCPUs are pinned to threads of the same core, but the guest does not know: "
		      "add "
		      "<topology ... threads='2'/> to <cpu>, so that it schedules accordingly");
}

void check_nodes(struct check *check)
{
	struct cpulist nodes = { 0 }, all = { 0 };
	char list[256];

	if (!has_topology(check))
		return;
	for (size_t i = 0; i < check->topology.nr; i++) {
		const struct host_cpu *cpu = &check->topology.cpus[i];

		if (cpu->os_node < 0)
			continue;
		cpulist_add(&all, (unsigned int)cpu->os_node);
		if (cpulist_has(&check->pinned, cpu->cpu))
			cpulist_add(&nodes, (unsigned int)cpu->os_node);
	}
	if (cpulist_count(&all) < 2 || cpulist_empty(&nodes))
		return;
	(void)cpus_text(&nodes, list, sizeof(list));
	if (cpulist_count(&nodes) > 1 && !guest_has(check, "/domain/cpu/numa/cell"))
		found(check, LEVEL_WARNING,
		      "vCPUs are pinned across the NUMA nodes %s, which the guest does not know: "
		      "pin "
		      "them to one node, or give the guest <numa> cells",
		      list);
	else if (cpulist_count(&nodes) == 1 &&
		 !guest_has(check, "/domain/numatune/memory/@nodeset | /domain/numatune/memnode"))
		found(check, LEVEL_WARNING,
		      "vCPUs are pinned to NUMA node %s, but the memory may come from any: add "
		      "<numatune><memory mode='strict' nodeset='%s'/></numatune>",
		      list, list);
}
