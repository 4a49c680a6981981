/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_guest.c - usher check: one guest's rows */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/hookdir.h"
#include "check.h"

/* --- what a start would refuse ---------------------------------------------------------------------- */

/* usher init would not write one either where usher.ini says no */
static void check_no_policy(struct check *check)
{
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL, *none = NULL;

	if (guest_claim(check->request, &check->guest, "/dev/null", &claim, &why, &none) > 0)
		found(check, LEVEL_WARNING,
		      "the guest has no policy, and a new one %s: take that line out, then usher "
		      "init %s",
		      none, check->guest.name);
	else
		found(check, LEVEL_WARNING,
		      "the guest has no policy, so usher does nothing for it: usher init %s",
		      check->guest.name);
}

static void check_policy(struct check *check)
{
	if (check->refused)
		found(check, LEVEL_ERROR, "%s", check->refused);
	else if (check->none && strcmp(check->none, GUEST_NO_POLICY) == 0)
		check_no_policy(check);
	else if (check->none)
		found(check, LEVEL_WARNING,
		      "the guest %s, so usher does nothing for it: set enabled = yes in [guest] of "
		      "its policy (usher edit %s)",
		      check->none, check->guest.name);
}

/* --- CPUs ------------------------------------------------------------------------------------------- */

static const char *cpus_text(const struct cpulist *cpus, char *buf, size_t size)
{
	return cpulist_format(cpus, buf, size) < 0 ? "(many)" : buf;
}

static void check_pins(struct check *check)
{
	unsigned int vcpus = guest_number(check, "normalize-space(/domain/vcpu)");
	struct cpulist offline = check->pinned, used = { 0 };
	char list[256];

	cpulist_subtract(&offline, &check->online);
	if (check->nr_pins == 0 && check->has_pci)
		found(check, LEVEL_WARNING,
		      "no vCPU is pinned: vCPUs move between all CPUs of the host, and none is "
		      "kept "
		      "free: add a <vcpupin> for each in <cputune>");
	else if (check->nr_pins > 0 && check->nr_pins < vcpus)
		found(check, LEVEL_WARNING,
		      "%zu of %u vCPUs are pinned: the others run on the host's CPUs: add a "
		      "<vcpupin> for each",
		      check->nr_pins, vcpus);
	if (!cpulist_empty(&offline))
		found(check, LEVEL_ERROR,
		      "vCPUs are pinned to CPU %s, not online: correct <vcpupin>",
		      cpus_text(&offline, list, sizeof(list)));
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
	if (check->topology.nr > 0 || check->nr_pins == 0)
		return true;
	found(check, LEVEL_NOTE,
	      "not looked at: hwloc cannot tell the cores of this host: see lstopo");
	return false;
}

/* A core half of which the host uses is shared after all */
static void check_siblings(struct check *check)
{
	struct cpulist split = { 0 };
	char list[256];

	if (!has_topology(check))
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

static void check_topology(struct check *check)
{
	unsigned int threads;

	if (!has_topology(check))
		return;
	threads = guest_number(check, "string(/domain/cpu/topology/@threads)");
	if (threads > 1)
		check_threads(check, threads);
	else if (pins_share_cores(check))
		found(check, LEVEL_WARNING,
		      "vCPUs are pinned to threads of the same core, but the guest does not know: "
		      "add "
		      "<topology ... threads='2'/> to <cpu>, so that it schedules accordingly");
}

static void check_nodes(struct check *check)
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

/* --- devices ---------------------------------------------------------------------------------------- */

static void check_machine(struct check *check)
{
	_cleanup_free_ char *machine = guest_text(check, "string(/domain/os/type/@machine)");

	if (!check->has_pci || !machine ||
	    (strncmp(machine, "pc-i440fx", 9) != 0 && strcmp(machine, "pc") != 0))
		return;
	found(check, LEVEL_WARNING,
	      "the guest is an old PC (%s), in which a PCI Express device is a plain PCI one: make "
	      "it "
	      "machine='q35'",
	      machine);
}

/* Where udev has the disk by its own identity. Return: a path below dev/disk, NULL when nowhere */
static char *stable_name(int rootfd, const char *node)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	const char *base = strrchr(node, '/') + 1;
	char *name = NULL;

	if (attr_list(rootfd, "dev/disk/by-id", &names) < 0)
		return NULL;
	for (size_t i = 0; i < names.nr && !name; i++) {
		char path[PATH_MAX], target[NAME_MAX + 1];

		if (path_format(path, sizeof(path), "dev/disk/by-id/%s", names.names[i]) == 0 &&
		    attr_link(rootfd, path, target, sizeof(target)) > 0 &&
		    strcmp(target, base) == 0 && asprintf(&name, "/%s", path) < 0)
			return NULL;
	}
	return name;
}

static bool is_unstable(const char *dev)
{
	static const char *const unstable[] = { "/dev/sd", "/dev/nvme", "/dev/vd", "/dev/hd",
						"/dev/mmcblk" };

	for (size_t i = 0; i < ARRAY_SIZE(unstable); i++)
		if (strncmp(dev, unstable[i], strlen(unstable[i])) == 0)
			return true;
	return false;
}

/* An empty drive has no source, so it is none of these */
static void check_disks(struct check *check)
{
	for (unsigned int i = 1; i < 256; i++) {
		_cleanup_free_ char *dev = NULL, *stable = NULL;
		char xpath[96];

		(void)snprintf(xpath, sizeof(xpath),
			       "string((/domain/devices/disk[@type='block']/source/@dev)[%u])", i);
		dev = guest_text(check, xpath);
		if (!dev || !*dev)
			return;
		if (!is_unstable(dev))
			continue;
		stable = stable_name(check->rootfd, dev);
		found(check, LEVEL_WARNING,
		      "disk %s can be another disk after the next boot: name it by its identity, "
		      "%s",
		      dev, stable ?: "as ls -l /dev/disk/by-id shows it");
	}
}

static void check_virtio(struct check *check)
{
	if (guest_has(check,
		      "/domain/devices/disk[not(@device) or @device='disk'][target/@bus='ide' "
		      "or target/@bus='sata']"))
		found(check, LEVEL_WARNING,
		      "a disk is on an emulated controller: give it bus='virtio' (install the "
		      "virtio drivers in a Windows guest first)");
	if (guest_has(check, "/domain/devices/interface[@type!='hostdev']"
			     "[not(model/@type='virtio')]"))
		found(check, LEVEL_WARNING,
		      "a network card is emulated: give it <model type='virtio'/> (install the "
		      "virtio drivers in a Windows guest first)");
}

static void check_video(struct check *check)
{
	if (check->has_gpu && guest_has(check, "/domain/devices/video[not(model/@type='none')]"))
		found(check, LEVEL_WARNING,
		      "an emulated video device stands beside the passed GPU: the guest may show "
		      "its "
		      "desktop there: remove Video and Display in virt-manager once the GPU works");
}

static void check_balloon(struct check *check)
{
	if (check->has_pci && guest_has(check, "/domain/devices/memballoon[@model!='none']"))
		found(check, LEVEL_WARNING,
		      "the memory balloon is of no use with a passed device, whose guest's memory "
		      "is "
		      "locked: set <memballoon model='none'/>");
}

static void check_cpu_model(struct check *check)
{
	if (check->has_pci && !guest_has(check, "/domain/cpu[@mode='host-passthrough' or "
						"@mode='maximum']"))
		found(check, LEVEL_WARNING,
		      "the guest does not see the host's CPU: set <cpu mode='host-passthrough'/>");
}

/* --- autostart -------------------------------------------------------------------------------------- */

static void compare_autostart(struct check *check, const char *xml)
{
	_cleanup_pciaddr_list_ struct pciaddr_list theirs = { 0 };

	if (guest_devices(xml, &theirs) < 0)
		return;
	for (size_t i = 0; i < check->passed.nr; i++) {
		char addr[PCIADDR_STRLEN];

		if (!pciaddr_list_has(&theirs, &check->passed.addrs[i]))
			continue;
		pciaddr_format(&check->passed.addrs[i], addr);
		found(check, LEVEL_ERROR,
		      "another guest that starts with the host has %s too, and which one gets it "
		      "is "
		      "chance: virsh autostart --disable one of them",
		      addr);
		return;
	}
}

static void check_autostart(struct check *check)
{
	_cleanup_strlist_ struct strlist xmls = { 0 };

	if (check->request->xml) {
		found(check, LEVEL_NOTE,
		      "not looked at: what starts with the host libvirt tells, which is not asked "
		      "with --xml: usher check %s",
		      check->guest.name);
		return;
	}
	if (!check->guest.autostart || guest_autostarted(&xmls) < 0)
		return;
	for (size_t i = 0; i < xmls.nr; i++)
		if (strcmp(xmls.names[i], check->guest.xml) != 0)
			compare_autostart(check, xmls.names[i]);
}

/* --- an older tree of scripts ------------------------------------------------------------------------ */

static void check_scripts(struct check *check)
{
	bool run = inidoc_has_section(&check->claim.doc, "scripts");
	bool other = hookdir_is_usher(check->rootfd, HOOKDIR_HOOK) == 0;
	char path[PATH_MAX];

	if (hookdir_scripts(check->guest.name, path, sizeof(path)) < 0 ||
	    attr_exists(check->rootfd, path) <= 0 || (run && !other))
		return;
	if (run)
		found(check, LEVEL_WARNING,
		      "/%s may be run twice, by usher and by the hook beside it: remove that hook, "
		      "or run = yes",
		      path);
	else if (other)
		found(check, LEVEL_NOTE,
		      "/%s has scripts, which /" HOOKDIR_HOOK
		      " is left to run: if it does not, set "
		      "run = yes in [scripts] of the policy",
		      path);
	else
		found(check, LEVEL_WARNING,
		      "/%s has scripts that nobody runs: set run = yes in [scripts] of the policy, "
		      "or remove them",
		      path);
}

const struct check_row check_guest_rows[] = {
	{ "policy", "the policy fits the guest and this host", true, check_policy },
	{ "steps", "every step of a start could work now", true, check_steps },
	{ "pins", "nothing is wrong with the pins", true, check_pins },
	{ "tick", "no tick interrupts the guest's CPUs", true, check_tick },
	{ "siblings", "the guest has whole cores", true, check_siblings },
	{ "topology", "the guest's cores are those of the host", true, check_topology },
	{ "nodes", "CPUs and memory are of one NUMA node", true, check_nodes },
	{ "machine", "the machine type suits the devices", true, check_machine },
	{ "disks", "disks have stable names", true, check_disks },
	{ "virtio", "disks and network cards are virtio", true, check_virtio },
	{ "video", "no video device stands beside a GPU", true, check_video },
	{ "balloon", "no balloon stands in a passed device's way", true, check_balloon },
	{ "cpu", "the guest sees the host's CPU", true, check_cpu_model },
	{ "autostart", "no guest of the host's start is in the way", true, check_autostart },
	{ "scripts", "no older scripts are left aside", true, check_scripts },
};
const size_t check_nr_guest_rows = ARRAY_SIZE(check_guest_rows);
