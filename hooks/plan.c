/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/plan.c - derive the claim: domain + policy + host, once, in prepare */
#include "plan.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/attr.h"
#include "../lib/blockdev.h"
#include "../lib/hugetlbfs.h"
#include "../lib/pcidev.h"
#include "../lib/step.h"
#include "../lib/text.h"
#include "../lib/units.h"

#define CLASS_DISPLAY 0x03

/* Bytes of /proc/self/mounts */
#define MOUNTS_MAX 4194304

/* What every part of the plan works on */
struct plan {
	int rootfd;
	const struct domain *domain;
	const struct policy *policy;
	struct claim *claim;
	struct plan_error *err;
};

_printf_(2, 3) static int refuse(struct plan_error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(err->what, sizeof(err->what), fmt, args);
	va_end(args);
	return -EINVAL;
}

static int add(const struct plan *plan, const char *section, const char *key, const char *value)
{
	return inidoc_add(&plan->claim->doc, section, key, value);
}

/* An empty one is left out */
static int add_list(const struct plan *plan, const char *section, const char *key,
		    const struct cpulist *set)
{
	_cleanup_free_ char *list = NULL;
	int r;

	if (cpulist_empty(set))
		return 0;
	list = malloc(INI_LINE_MAX);
	r = list ? cpulist_format(set, list, INI_LINE_MAX) : -ENOMEM;
	return r < 0 ? r : add(plan, section, key, list);
}

static int add_int(const struct plan *plan, const char *section, const char *key, int value)
{
	return inidoc_addf(&plan->claim->doc, section, key, "%d", value);
}

/* The policy's time, else the step's own */
static int add_timeout(const struct plan *plan, const char *section)
{
	int ms = policy_ms(plan->policy, section, "timeout");

	return ms < 0 ? 0 : add_int(plan, section, "timeout_ms", ms);
}

static int plan_guest(const struct plan *plan)
{
	const char *uuid = policy_value(plan->policy, "guest", "uuid");
	_cleanup_strlist_ struct strlist required = { 0 };
	_cleanup_free_ char *joined = NULL;
	char where[PATH_MAX];
	int r;

	if (strcmp(uuid, "auto") != 0 && strcasecmp(uuid, plan->domain->uuid) != 0) {
		policy_where(plan->policy, "guest", "uuid", where, sizeof(where));
		return refuse(plan->err,
			      "the guest's uuid is %s, but %s says %s: this policy was written for "
			      "another guest of that name; correct or remove 'uuid'",
			      plan->domain->uuid, where, uuid);
	}
	r = policy_words(plan->policy, "guest", "required", &required);
	for (size_t i = 0; r == 0 && i < required.nr; i++) {
		char *longer = NULL;

		if (asprintf(&longer, "%s%s%s", joined ?: "", joined ? " " : "",
			     required.names[i]) < 0)
			return -ENOMEM;
		free(joined);
		joined = longer;
	}
	return r < 0 ? r : add(plan, "claim", "required", joined ?: "");
}

/* --- [vfio] ----------------------------------------------------------------------------------- */

struct planned_device {
	struct pciaddr addr;
	const char *origin;
	bool managed;
};

struct planned_devices {
	struct planned_device *devices;
	size_t nr;
};

static void planned_devices_free(struct planned_devices *list)
{
	free(list->devices);
}

static const struct planned_device *devices_find(const struct planned_devices *list,
						 const struct pciaddr *addr)
{
	for (size_t i = 0; i < list->nr; i++)
		if (pciaddr_cmp(&list->devices[i].addr, addr) == 0)
			return &list->devices[i];
	return NULL;
}

static int devices_add(struct planned_devices *list, const struct pciaddr *addr, const char *origin,
		       bool managed)
{
	struct planned_device *grown;

	if (devices_find(list, addr))
		return 0;
	grown = reallocarray(list->devices, list->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->devices = grown;
	grown[list->nr++] =
		(struct planned_device){ .addr = *addr, .origin = origin, .managed = managed };
	return 0;
}

static const struct domain_pci *domain_device(const struct domain *domain,
					      const struct pciaddr *addr)
{
	for (size_t i = 0; i < domain->nr_pci; i++)
		if (pciaddr_cmp(&domain->pci[i].addr, addr) == 0)
			return &domain->pci[i];
	return NULL;
}

/* Those the policy lists, else those the domain has */
static int devices_asked(const struct plan *plan, struct planned_devices *ret)
{
	_cleanup_pciaddr_list_ struct pciaddr_list listed = { 0 };
	int r = policy_devices(plan->policy, &listed);

	if (r < 0)
		return r;
	if (r > 0) {
		for (size_t i = 0; i < plan->domain->nr_pci; i++) {
			const struct domain_pci *pci = &plan->domain->pci[i];

			r = devices_add(ret, &pci->addr, domain_pci_origin_name(pci->origin),
					pci->managed);
			if (r < 0)
				return r;
		}
		return 0;
	}
	for (size_t i = 0; r == 0 && i < listed.nr; i++) {
		const struct domain_pci *pci = domain_device(plan->domain, &listed.addrs[i]);

		r = devices_add(ret, &listed.addrs[i],
				pci ? domain_pci_origin_name(pci->origin) : "policy",
				pci && pci->managed);
	}
	return r;
}

/* Other functions of the same slot in the same group go along: the group is usable only whole */
static int devices_add_mates(const struct plan *plan, struct planned_devices *list,
			     const struct pciaddr *addr)
{
	_cleanup_pciaddr_list_ struct pciaddr_list members = { 0 };
	int group = pcidev_group(plan->rootfd, addr);
	int r;

	/* No group, or none readable: usher-vfio check says so */
	if (group < 0 || pcidev_group_members(plan->rootfd, group, &members) < 0)
		return 0;
	for (size_t i = 0; i < members.nr; i++) {
		if (!pciaddr_same_slot(&members.addrs[i], addr) ||
		    pcidev_is_bridge(plan->rootfd, &members.addrs[i]) != 0)
			continue;
		r = devices_add(list, &members.addrs[i], "slot", false);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct policy_expect *expect_find(const struct policy_expects *expects,
					       const struct pciaddr *addr)
{
	for (size_t i = 0; i < expects->nr; i++)
		if (pciaddr_cmp(&expects->expects[i].addr, addr) == 0)
			return &expects->expects[i];
	return NULL;
}

static int device_id(const struct plan *plan, const struct planned_device *device, const char *addr,
		     struct pciid *ret)
{
	int r = pcidev_id(plan->rootfd, &device->addr, ret);

	if (r == -ENODEV)
		return refuse(plan->err,
			      "there is no PCI device %s on this host: plug it in, or correct the "
			      "address in the guest's XML (lspci -D lists the devices)",
			      addr);
	if (r < 0)
		return refuse(plan->err, "cannot read the ids of PCI device %s: %s", addr,
			      strerror(-r));
	return 0;
}

static int device_expected(const struct plan *plan, const struct policy_expect *expect,
			   const struct pciid *id, const char *addr)
{
	char where[PATH_MAX];

	if (!expect || (expect->id.vendor == id->vendor && expect->id.device == id->device))
		return 0;
	policy_where(plan->policy, "vfio", "expect", where, sizeof(where));
	return refuse(plan->err,
		      "%s is %04x:%04x, but %s expects %04x:%04x: the firmware has renumbered the "
		      "devices; correct the address in the guest's XML and in the policy",
		      addr, id->vendor, id->device, where, expect->id.vendor, expect->id.device);
}

static int device_add(const struct plan *plan, const struct planned_device *device,
		      const struct policy_expects *expects)
{
	const struct policy_expect *expect = expect_find(expects, &device->addr);
	_cleanup_free_ char *serial = NULL;
	char addr[PCIADDR_STRLEN];
	struct pciid id;
	int r;

	pciaddr_format(&device->addr, addr);
	r = device_id(plan, device, addr, &id);
	if (r == 0)
		r = device_expected(plan, expect, &id, addr);
	if (r == 0 && expect && expect->serial)
		r = text_encode(expect->serial, &serial);
	if (r < 0)
		return r;
	return inidoc_addf(&plan->claim->doc, "vfio", "device", "%s %04x:%04x %s %s%s%s", addr,
			   id.vendor, id.device, device->origin,
			   device->managed ? "managed" : "unmanaged", serial ? " serial=" : "",
			   serial ?: "");
}

/* An expectation nobody looks at would be a false comfort */
static int expects_used(const struct plan *plan, const struct planned_devices *devices,
			const struct policy_expects *expects)
{
	for (size_t i = 0; i < expects->nr; i++) {
		char addr[PCIADDR_STRLEN], where[PATH_MAX];

		if (devices_find(devices, &expects->expects[i].addr))
			continue;
		pciaddr_format(&expects->expects[i].addr, addr);
		policy_where(plan->policy, "vfio", "expect", where, sizeof(where));
		return refuse(
			plan->err,
			"%s expects a device at %s, but the guest has none there: the firmware "
			"has renumbered the devices, or the XML was changed; correct one of them",
			where, addr);
	}
	return 0;
}

/* Words the helper has a default for itself: only another one is written down */
static int add_words(const struct plan *plan)
{
	static const struct {
		const char *key, *dflt;
	} keys[] = { { "in_use", "refuse" },
		     { "give_back", "host" },
		     { "reset", "auto" },
		     { "bars", "auto" } };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
		const char *value = policy_value(plan->policy, "vfio", keys[i].key);

		if (strcmp(value, keys[i].dflt) != 0 && strcmp(value, "auto") != 0)
			r = add(plan, "vfio", keys[i].key, value);
	}
	return r;
}

/* The kernel's name tells it from another path to the same disk; one that is not there has none */
static int disk_add(const struct plan *plan, const struct domain_disk *disk)
{
	const char *mode = !disk->writes ? "ro" : disk->shareable ? "shared" : "rw";
	_cleanup_free_ char *path = NULL, *name = NULL;
	char kernel[64] = "";
	int r = text_encode(disk->path, &path);

	if (r == 0 && blockdev_name(plan->rootfd, disk->path, kernel, sizeof(kernel)) < 0)
		kernel[0] = '\0';
	if (r == 0)
		r = text_encode(kernel, &name);
	if (r < 0)
		return r;
	return inidoc_addf(&plan->claim->doc, "vfio", "disk", "%s %s%s%s", mode, path,
			   *kernel ? " " : "", *kernel ? name : "");
}

static int vfio_add(const struct plan *plan, const struct planned_devices *devices,
		    const struct policy_expects *expects)
{
	const char *driver = policy_value(plan->policy, "vfio", "driver");
	const struct domain *domain = plan->domain;
	int r = expects_used(plan, devices, expects);

	if (r < 0 || (devices->nr == 0 && domain->nr_disks == 0))
		return r;
	r = add_timeout(plan, "vfio");
	if (r == 0 && devices->nr > 0)
		r = add(plan, "vfio", "driver", driver);
	if (r == 0)
		r = add_words(plan);
	for (size_t i = 0; r == 0 && i < devices->nr; i++)
		r = device_add(plan, &devices->devices[i], expects);
	for (size_t i = 0; r == 0 && i < domain->nr_disks; i++)
		r = disk_add(plan, &domain->disks[i]);
	return r;
}

static int plan_vfio(const struct plan *plan)
{
	_cleanup_(planned_devices_free) struct planned_devices devices = { 0 };
	_cleanup_policy_expects_ struct policy_expects expects = { 0 };
	size_t asked;
	int r;

	r = devices_asked(plan, &devices);
	asked = devices.nr;
	for (size_t i = 0; r == 0 && i < asked; i++) {
		/* A copy: the list moves when it grows */
		const struct pciaddr addr = devices.devices[i].addr;

		r = devices_add_mates(plan, &devices, &addr);
	}
	if (r == 0)
		r = policy_expects(plan->policy, &expects);
	return r < 0 ? r : vfio_add(plan, &devices, &expects);
}

/* --- [seat] ----------------------------------------------------------------------------------- */

static bool is_display(int rootfd, const char *addr)
{
	unsigned long long class = 0;
	char path[PATH_MAX];

	return path_format(path, sizeof(path), "sys/bus/pci/devices/%s/class", addr) == 0 &&
	       attr_read_ull(rootfd, path, &class) == 0 && class >> 16 == CLASS_DISPLAY;
}

/* The card the firmware showed its screen on: what the host's own screen is on too */
static bool shows_host(int rootfd, const char *addr)
{
	unsigned long long boot_vga = 0;
	char path[PATH_MAX];

	if (!is_display(rootfd, addr))
		return false;
	if (path_format(path, sizeof(path), "sys/bus/pci/devices/%s/boot_vga", addr) < 0 ||
	    attr_read_ull(rootfd, path, &boot_vga) < 0)
		return false;
	return boot_vga == 1;
}

/*
 * The planned device at or after entry *@at, and where to go on from. By number: what is added to
 * the claim between two calls moves its entries.
 *
 * Return: 1, 0 when there is no more, -EBADMSG
 */
static int next_device(const struct plan *plan, size_t *at, char addr[static PCIADDR_STRLEN])
{
	const struct inidoc *doc = &plan->claim->doc;
	struct claim_device device;
	int r;

	while (*at < doc->nr && (strcmp(doc->entries[*at].section, "vfio") != 0 ||
				 strcmp(doc->entries[*at].key, "device") != 0))
		++*at;
	if (*at == doc->nr)
		return 0;
	r = claim_device_parse(doc->entries[(*at)++].value, &device);
	if (r < 0)
		return r;
	pciaddr_format(&device.addr, addr);
	return 1;
}

/* With in_use = stop-seat any card's desktop may be ended, that of the host's first one or not */
static int plan_seat(const struct plan *plan)
{
	bool stop = strcmp(policy_value(plan->policy, "vfio", "in_use"), "stop-seat") == 0;
	const char *release = policy_value(plan->policy, "seat", "release");
	char addr[PCIADDR_STRLEN];
	bool first = true;
	size_t at = 0;
	int r;

	while ((r = next_device(plan, &at, addr)) > 0) {
		if (!shows_host(plan->rootfd, addr) && !(stop && is_display(plan->rootfd, addr)))
			continue;
		r = first ? add(plan, "seat", "release", stop ? "yes" : release) : 0;
		first = false;
		if (r == 0)
			r = add(plan, "seat", "device", addr);
		if (r < 0)
			break;
	}
	return r;
}

/* --- [hugepages] ------------------------------------------------------------------------------ */

/* "Hugepagesize:    2048 kB" */
static int default_page_kib(const struct plan *plan, unsigned long long *ret)
{
	_cleanup_free_ char *meminfo = NULL;
	_cleanup_strlist_ struct strlist words = { 0 };
	const char *line;
	size_t len;
	int r;

	r = attr_read_all(plan->rootfd, "proc/meminfo", 65536, &meminfo, &len);
	if (r < 0)
		return refuse(plan->err, "cannot read /proc/meminfo: %s", strerror(-r));
	line = strstr(meminfo, "Hugepagesize:");
	if (!line)
		return refuse(plan->err, "this kernel has no huge pages: remove <hugepages/> from "
					 "the guest's XML, or set [hugepages] pages = none");
	r = text_split(line, " \t\n", &words);
	if (r < 0)
		return r;
	if (words.nr < 2 || parse_ull(words.names[1], 10, ULLONG_MAX, ret) < 0)
		return refuse(plan->err, "cannot read Hugepagesize in /proc/meminfo");
	return 0;
}

/*
 * Of <hugepages/> without a size: that of a mount with the kernel's default size, else of the first
 * mount. Without any it is the helper's to refuse.
 * ABI: libvirt 9.0.0 to 11.3.0, virfile.c virFileGetDefaultHugepage()
 */
static int mounted_page_kib(const struct plan *plan, unsigned long long *kib)
{
	_cleanup_free_ char *mounts = NULL;
	unsigned long long first = 0, mounted;
	char *save = NULL, *dir;
	size_t len;
	int r;

	if (attr_read_all(plan->rootfd, "proc/self/mounts", MOUNTS_MAX, &mounts, &len) < 0)
		return 0;
	for (r = hugetlbfs_next(mounts, &save, &dir, &mounted); r > 0;
	     r = hugetlbfs_next(NULL, &save, &dir, &mounted)) {
		if (mounted == *kib)
			return 0;
		first = first ?: mounted;
	}
	if (r == 0 && first)
		*kib = first;
	return r;
}

#define HUGEPAGES "hugepages"

/*
 * Memory that must be reclaimed, written to disk or compacted first takes its time by the amount.
 * What moves nothing is refused after a tenth of it.
 */
#define HUGEPAGES_MIN_S 30
#define HUGEPAGES_MAX_S (POLICY_TIMEOUT_MAX / 1000)

/* The policy's time, else a second for each GiB */
static int hugepages_add_timeout(const struct plan *plan, unsigned long long kib)
{
	int ms = policy_ms(plan->policy, HUGEPAGES, "timeout");
	unsigned long long s = kib >> 20;

	s = s < HUGEPAGES_MIN_S ? HUGEPAGES_MIN_S : s > HUGEPAGES_MAX_S ? HUGEPAGES_MAX_S : s;
	return add_int(plan, HUGEPAGES, "timeout_ms", ms < 0 ? (int)s * 1000 : ms);
}

/* How the helper may get what is missing of @kib */
static int hugepages_add_ways(const struct plan *plan, unsigned long long kib)
{
	static const char *const words[] = { "compact", "reclaim", "move", "arc" };
	int r = hugepages_add_timeout(plan, kib);
	int reserve_kib = policy_kib(plan->policy, HUGEPAGES, "reserve");

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(words); i++) {
		int yes = policy_bool(plan->policy, HUGEPAGES, words[i]);

		r = add(plan, HUGEPAGES, words[i],
			yes < 0 ? policy_value(plan->policy, HUGEPAGES, words[i])
			: yes	? "yes"
				: "no");
	}
	if (r < 0 || reserve_kib < 0)
		return r;
	return add_int(plan, HUGEPAGES, "reserve_kib", reserve_kib);
}

static int mount_add(const struct plan *plan, unsigned long long size_kib)
{
	return inidoc_addf(&plan->claim->doc, HUGEPAGES, "mount", "%llu", size_kib);
}

/*
 * All but memfd goes through a mounted hugetlbfs. Where the XML says no size libvirt takes that of
 * one of its mounts, for a memfd as well, and refuses the guest when it has none.
 * ABI: libvirt 9.0.0 to 11.3.0, qemu_command.c qemuBuildMemoryBackendProps(),
 * qemuBuildMemoryGetDefaultPagesize()
 */
static int hugepages_add_mounts(const struct plan *plan, const struct domain_hugepages *pages)
{
	const char *source = plan->domain->memory_source;
	int r = 0;

	if (source && strcmp(source, "memfd") == 0)
		return pages->default_kib ? mount_add(plan, pages->default_kib) : 0;
	for (size_t i = 0; r == 0 && i < pages->nr; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= pages->needs[j].size_kib == pages->needs[i].size_kib;
		if (!seen)
			r = mount_add(plan, pages->needs[i].size_kib);
	}
	return r;
}

/* Other nodes will do where these have too few: QEMU takes the pages from them first */
static int need_add(const struct plan *plan, const struct domain_need *need)
{
	struct inidoc *doc = &plan->claim->doc;
	bool bound = need->strict && *need->nodes;
	int r = inidoc_addf(doc, HUGEPAGES, "need", "%llu %s %llu", need->size_kib,
			    bound ? need->nodes : "any", need->nr_pages);

	if (r < 0 || bound || !*need->nodes)
		return r;
	return inidoc_addf(doc, HUGEPAGES, "prefer", "%llu %s %llu", need->size_kib, need->nodes,
			   need->nr_pages);
}

static unsigned long long pages_kib(const struct domain_hugepages *pages)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < pages->nr; i++)
		sum += pages->needs[i].nr_pages * pages->needs[i].size_kib;
	return sum;
}

static int hugepages_add(const struct plan *plan, const struct domain_hugepages *pages)
{
	int r = hugepages_add_ways(plan, pages_kib(pages));

	if (r == 0)
		r = add(plan, HUGEPAGES, "give_back", pages->may_grow ? "release" : "started");
	if (r == 0 && pages->uneven_kib)
		r = inidoc_addf(&plan->claim->doc, HUGEPAGES, "uneven", "%llu", pages->uneven_kib);
	if (r == 0 && pages->numad)
		r = add(plan, HUGEPAGES, "numad", "yes");
	if (r == 0)
		r = hugepages_add_mounts(plan, pages);
	for (size_t i = 0; r == 0 && i < pages->nr; i++) {
		const struct domain_need *need = &pages->needs[i];

		if (need->size_kib & (need->size_kib - 1))
			return refuse(
				plan->err,
				"the guest's XML asks for huge pages of %llu KiB, a size that "
				"no processor has: x86 has 2048 and 1048576 KiB",
				need->size_kib);
		r = need_add(plan, need);
	}
	return r;
}

/* A memory device may ask for pages of its own without <hugepages/> */
static bool wants_pages(const struct domain *domain)
{
	for (size_t i = 0; i < domain->nr_memories; i++)
		if (domain->memories[i].pagesize_kib)
			return true;
	return domain->hugepages;
}

/*
 * What QEMU has the memory from, where it is not its own: the kernel has other settings for that.
 * ABI: libvirt 9.0.0 to 11.3.0, qemu_command.c qemuBuildMemoryBackendProps()
 */
static const char *memory_backing(const struct domain *domain)
{
	const char *source = domain->memory_source ?: "";

	if (strcmp(source, "memfd") == 0)
		return "memfd";
	return strcmp(source, "file") == 0 || domain->memory_access ? "file" : NULL;
}

static int plan_thp(const struct plan *plan)
{
	const char *backing = memory_backing(plan->domain);
	char where[PATH_MAX];
	int r;

	if (wants_pages(plan->domain)) {
		policy_where(plan->policy, HUGEPAGES, "pages", where, sizeof(where));
		return refuse(plan->err,
			      "%s says pages = thp, but the guest's XML has huge pages of its own: "
			      "remove <hugepages/> from the XML, or that line",
			      where);
	}
	r = hugepages_add_ways(plan, plan->domain->memory_kib);
	if (r == 0 && backing)
		r = add(plan, HUGEPAGES, "thp_backing", backing);
	return r < 0 ? r
		     : inidoc_addf(&plan->claim->doc, HUGEPAGES, "thp_kib", "%llu",
				   plan->domain->memory_kib);
}

static int plan_pool(const struct plan *plan)
{
	_cleanup_domain_hugepages_ struct domain_hugepages pages = { 0 };
	unsigned long long default_kib = 0;
	int r;

	if (!wants_pages(plan->domain))
		return 0;
	r = default_page_kib(plan, &default_kib);
	if (r == 0)
		r = mounted_page_kib(plan, &default_kib);
	if (r < 0)
		return r;
	r = domain_hugepages(plan->domain, default_kib,
			     (unsigned long long)sysconf(_SC_PAGESIZE) / 1024, &pages);
	if (r == -EINVAL)
		return refuse(plan->err,
			      "the memory devices in the guest's XML are larger than its "
			      "<memory>: correct <memory>, it is the total");
	if (r < 0)
		return r;
	return pages.nr ? hugepages_add(plan, &pages) : 0;
}

static int join_list(struct cpulist *set, const char *list)
{
	struct cpulist more;

	if (!list)
		return 0;
	if (cpulist_parse(list, &more) < 0)
		return -EINVAL;
	cpulist_union(set, &more);
	return 0;
}

/* Host nodes that the XML names for memory. Where a cell has none of its own, <memory>'s hold */
static int memory_nodes(const struct domain *domain, struct cpulist *ret)
{
	int r = join_list(ret, domain->numa_nodes);

	for (size_t i = 0; r == 0 && i < domain->nr_memnodes; i++)
		r = join_list(ret, domain->memnodes[i].nodes);
	return r;
}

/* Where its threads will run; with pin = auto its vCPUs' are chosen later, into [cpuset] cpus */
static int guest_cpus(const struct plan *plan, struct cpulist *ret)
{
	bool automatic = strcmp(policy_value(plan->policy, "cpuset", "pin"), "auto") == 0;
	const struct domain *domain = plan->domain;
	int r = domain_pinned_cpus(domain, ret);

	if (r == 0 && cpulist_empty(ret) && !automatic)
		r = join_list(ret, domain->vcpu_cpus);
	if (r == 0)
		r = join_list(ret, domain->emulator_cpus);
	for (size_t i = 0; r == 0 && i < domain->nr_iothread_pins; i++)
		r = join_list(ret, domain->iothread_pins[i].cpus);
	return r;
}

/* So that the helper can say what of the guest is far from its memory */
static int plan_numa(const struct plan *plan)
{
	struct cpulist nodes = { 0 }, cpus = { 0 };
	char addr[PCIADDR_STRLEN];
	size_t at = 0;
	int r = memory_nodes(plan->domain, &nodes);

	if (r < 0 || cpulist_empty(&nodes))
		return r;
	r = guest_cpus(plan, &cpus);
	if (r == 0)
		r = add_list(plan, HUGEPAGES, "nodes", &nodes);
	if (r == 0)
		r = add_list(plan, HUGEPAGES, "cpus", &cpus);
	while (r == 0 && (r = next_device(plan, &at, addr)) > 0)
		r = add(plan, HUGEPAGES, "device", addr);
	return r;
}

/* The devices are planned before */
static int plan_hugepages(const struct plan *plan)
{
	const char *pages = policy_value(plan->policy, HUGEPAGES, "pages");
	int r = 0;

	if (strcmp(pages, "thp") == 0)
		r = plan_thp(plan);
	else if (strcmp(pages, "none") != 0)
		r = plan_pool(plan);
	return r < 0 ? r : plan_numa(plan);
}

/* --- [cpuset] --------------------------------------------------------------------------------- */

static int pins_add(const struct plan *plan, const char *key, const struct domain_pin *pins,
		    size_t nr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i++)
		r = inidoc_addf(&plan->claim->doc, "cpuset", key, "%u %s", pins[i].id,
				pins[i].cpus);
	return r;
}

/*
 * Seconds. No longer, since the kernel looks at a new value only when the old one has passed: after the
 * guest its counters lag behind for as long.
 */
#define STAT_INTERVAL "60"

/* What the policy wants beside; "none" is not to be touched */
static int cpuset_add_wishes(const struct plan *plan)
{
	static const struct {
		const char *key, *claim_key;
	} wishes[] = {
		{ "governor", "governor" },
		{ "energy_preference", "energy_preference" },
		{ "wake_latency", "wake_latency_us" },
		{ "emulator_sched", "emulator_sched" },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(wishes); i++) {
		const char *value = policy_value(plan->policy, "cpuset", wishes[i].key);

		if (strcmp(value, "none") != 0)
			r = add(plan, "cpuset", wishes[i].claim_key, value);
	}
	if (strcmp(policy_value(plan->policy, "cpuset", "quiet"), "yes") != 0)
		return r;
	if (r == 0)
		r = add(plan, "cpuset", "stat_interval", STAT_INTERVAL);
	if (r == 0)
		r = add(plan, "cpuset", "cursor_blink", "0");
	if (r == 0)
		r = add(plan, "cpuset", "watchdog", "no");
	return r < 0 ? r : add(plan, "cpuset", "pressure", "no");
}

/* Where its groups will lie; libvirt's own is /machine */
static int partition_add(const struct plan *plan)
{
	_cleanup_free_ char *word = NULL;
	int r;

	if (!plan->domain->partition)
		return 0;
	r = text_encode(plan->domain->partition, &word);
	return r < 0 ? r : add(plan, "cpuset", "partition", word);
}

/* Where vCPUs without a pin run. With placement='auto' numad has its own mind */
static const char *float_list(const struct domain *domain)
{
	return domain->vcpu_auto ? NULL : domain->vcpu_cpus;
}

static bool iothread_pinned(const struct domain *domain, unsigned int id)
{
	for (size_t i = 0; i < domain->nr_iothread_pins; i++)
		if (domain->iothread_pins[i].id == id)
			return true;
	return false;
}

/*
 * What runs beside the vCPUs. <vcpu cpuset=> pins that, too, where nothing else does.
 * ABI: qemuProcessSetupPid() in libvirt's qemu/qemu_process.c, 9.0.0 to 11.3.0
 */
static int sides_add(const struct plan *plan)
{
	const struct domain *domain = plan->domain;
	const char *floats = float_list(domain);
	const char *emulator = domain->emulator_cpus ?: floats;
	unsigned int nr = floats ? domain->iothreads : 0;
	int r = emulator ? add(plan, "cpuset", "emulator", emulator) : 0;

	if (r == 0)
		r = pins_add(plan, "iothread", domain->iothread_pins, domain->nr_iothread_pins);
	for (unsigned int id = 1; r == 0 && id <= nr && id < CPULIST_MAX; id++)
		if (!iothread_pinned(domain, id))
			r = inidoc_addf(&plan->claim->doc, "cpuset", "iothread", "%u %s", id,
					floats);
	return r;
}

static bool vcpu_pinned(const struct domain *domain, unsigned int id)
{
	for (size_t i = 0; i < domain->nr_vcpu_pins; i++)
		if (domain->vcpu_pins[i].id == id)
			return true;
	return false;
}

/* The next that is online and has no pin. Return: its number, -1 when there is none */
static int next_floating(const struct domain *domain, unsigned int from)
{
	int id = cpulist_next(&domain->vcpus_online, from);

	while (id >= 0 && vcpu_pinned(domain, (unsigned int)id))
		id = cpulist_next(&domain->vcpus_online, (unsigned int)id + 1);
	return id;
}

/* Are the CPUs of those without a pin among those that the guest is to have for itself alone */
static bool holds_floats(const struct domain *domain, const struct cpulist *cpus)
{
	const char *list = float_list(domain);
	struct cpulist floats;

	return list && cpulist_parse(list, &floats) == 0 && cpulist_contains(cpus, &floats);
}

/* Some have a pin and others none: these float beside them, or in CPUs that the guest has as a whole */
static int floats_add(const struct plan *plan, bool held)
{
	const struct domain *domain = plan->domain;
	const char *list = float_list(domain);
	int r = 0;

	for (int id = next_floating(domain, 0); r == 0 && id >= 0;
	     id = next_floating(domain, (unsigned int)id + 1))
		r = inidoc_addf(&plan->claim->doc, "cpuset", held ? "vcpu" : "float", "%d%s%s", id,
				list ? " " : "", list ?: "");
	return r;
}

/* Where none is pinned, each vCPU that may ever be plugged in floats there */
static int vcpus_add(const struct plan *plan, const struct cpulist *cpus)
{
	const struct domain *domain = plan->domain;
	unsigned int nr = domain->nr_vcpu_pins > 0 ? 0 : domain->vcpus_max;
	int r = pins_add(plan, "vcpu", domain->vcpu_pins, domain->nr_vcpu_pins);

	for (unsigned int id = 0; r == 0 && id < nr && id < CPULIST_MAX; id++)
		r = inidoc_addf(&plan->claim->doc, "cpuset", "vcpu", "%u %s", id,
				float_list(domain));
	if (r < 0 || domain->nr_vcpu_pins == 0)
		return r;
	return floats_add(plan, holds_floats(domain, cpus));
}

static int cpuset_add(const struct plan *plan, const struct cpulist *cpus)
{
	int r = add_timeout(plan, "cpuset");

	if (r == 0)
		r = add(plan, "cpuset", "method", policy_value(plan->policy, "cpuset", "method"));
	if (r == 0)
		r = partition_add(plan);
	if (r == 0)
		r = add_list(plan, "cpuset", "cpus", cpus);
	if (r == 0)
		r = vcpus_add(plan, cpus);
	if (r == 0)
		r = sides_add(plan);
	return r < 0 ? r : cpuset_add_wishes(plan);
}

/* Where the XML has no pins and the policy says so: what usher-cpuset has to know to choose */
static int automatic_add(const struct plan *plan)
{
	const struct domain *domain = plan->domain;
	struct cpulist nodes = { 0 };
	char addr[PCIADDR_STRLEN];
	size_t at = 0;
	int r = add_timeout(plan, "cpuset");

	if (r == 0)
		r = add(plan, "cpuset", "method", policy_value(plan->policy, "cpuset", "method"));
	if (r == 0)
		r = add(plan, "cpuset", "pin", "auto");
	if (r == 0)
		r = partition_add(plan);
	if (r == 0)
		r = inidoc_addf(&plan->claim->doc, "cpuset", "vcpus", "%u", domain->vcpus_current);
	if (r == 0)
		r = add_list(plan, "cpuset", "online", &domain->vcpus_online);
	if (r == 0 && domain->vcpu_threads > 1)
		r = inidoc_addf(&plan->claim->doc, "cpuset", "threads", "%u", domain->vcpu_threads);
	if (r == 0 && domain->vcpu_cpus)
		r = add(plan, "cpuset", "allowed", domain->vcpu_cpus);
	if (r == 0)
		r = memory_nodes(domain, &nodes);
	if (r == 0)
		r = add_list(plan, "cpuset", "nodes", &nodes);
	while (r == 0 && (r = next_device(plan, &at, addr)) > 0)
		r = add(plan, "cpuset", "device", addr);
	if (r == 0)
		r = sides_add(plan);
	return r < 0 ? r : cpuset_add_wishes(plan);
}

static int plan_automatic(const struct plan *plan)
{
	char where[PATH_MAX];

	if (!plan->domain->vcpu_auto)
		return automatic_add(plan);
	policy_where(plan->policy, "cpuset", "pin", where, sizeof(where));
	return refuse(
		plan->err,
		"%s says pin = auto, but <vcpu placement='auto'> in the guest's XML has numad "
		"choose its CPUs: remove one of them",
		where);
}

/* Has it vCPUs without a pin that <vcpu cpuset=> keeps together */
static bool floats(const struct domain *domain)
{
	return float_list(domain) && next_floating(domain, 0) >= 0;
}

static int plan_cpuset(const struct plan *plan)
{
	bool automatic = strcmp(policy_value(plan->policy, "cpuset", "pin"), "auto") == 0;
	const char *isolate = policy_value(plan->policy, "cpuset", "isolate");
	bool wanted = strcmp(isolate, "yes") == 0;
	_cleanup_free_ struct cpulist *cpus = calloc(1, sizeof(*cpus));
	char where[PATH_MAX];
	int r;

	if (!cpus)
		return -ENOMEM;
	if (strcmp(isolate, "no") == 0)
		return 0;
	r = domain_pinned_cpus(plan->domain, cpus);
	/* Several guests have such a list in common more often than not: they share, unless told */
	if (r == 0 && wanted && !automatic && floats(plan->domain))
		r = join_list(cpus, float_list(plan->domain));
	if (r < 0)
		return r;
	if (!cpulist_empty(cpus))
		return cpuset_add(plan, cpus);
	if (automatic)
		return plan_automatic(plan);
	if (!wanted)
		return 0;
	policy_where(plan->policy, "cpuset", "isolate", where, sizeof(where));
	return refuse(
		plan->err,
		"%s asks for isolated CPUs, but no vCPU is pinned: add <vcpupin> to <cputune> "
		"or a cpuset= to <vcpu> in the guest's XML, or set pin = auto, or isolate = auto",
		where);
}

/* --- [display], [nosleep] --------------------------------------------------------------------- */

/* Number keys the policy has set go into the claim; the others are the helper's to default */
static int add_number(const struct plan *plan, const char *section, const char *key)
{
	int value = policy_number(plan->policy, section, key);

	return value < 0 ? 0 : add_int(plan, section, key, value);
}

static int display_add(const struct plan *plan, const char *section)
{
	int delay = policy_ms(plan->policy, section, "delay");
	int r;

	r = add_timeout(plan, section);
	if (r == 0)
		r = add(plan, section, "monitor", policy_value(plan->policy, section, "monitor"));
	if (r == 0)
		r = add_number(plan, section, "guest_input");
	if (r == 0)
		r = add_number(plan, section, "host_input");
	if (r == 0)
		r = add_number(plan, section, "source_address");
	if (r == 0 && delay >= 0)
		r = add_int(plan, section, "delay_ms", delay);
	if (r == 0 && policy_bool(plan->policy, section, "shared") == 0)
		r = add(plan, section, "shared", "no");
	return r;
}

static int plan_display(const struct plan *plan)
{
	_cleanup_strlist_ struct strlist sections = { 0 };
	int r = policy_displays(plan->policy, &sections);

	for (size_t i = 0; r == 0 && i < sections.nr; i++)
		r = display_add(plan, sections.names[i]);
	return r;
}

/*
 * A closed lid is no matter for the lock on sleep (ABI: logind.conf(5), LidSwitchIgnoreInhibited, on
 * by default), so the default names it; but logind can only block it, not delay it
 */
static int inhibits(const struct policy *policy, struct strlist *ret)
{
	bool delays = strcmp(policy_value(policy, "nosleep", "mode"), "delay") == 0;

	if (delays && strcmp(policy_get(policy, "nosleep", "inhibit"), "auto") == 0)
		return strlist_add(ret, "sleep");
	return policy_words(policy, "nosleep", "inhibit", ret);
}

static int plan_nosleep(const struct plan *plan)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *what = NULL;
	int r = inhibits(plan->policy, &words);

	if (r < 0 || words.nr == 0)
		return r;
	for (size_t i = 0; i < words.nr; i++) {
		char *longer = NULL;

		if (asprintf(&longer, "%s%s%s", what ?: "", what ? ":" : "", words.names[i]) < 0)
			return -ENOMEM;
		free(what);
		what = longer;
	}
	r = add(plan, "nosleep", "inhibit", what);
	if (r == 0)
		r = add(plan, "nosleep", "mode", policy_value(plan->policy, "nosleep", "mode"));
	return r;
}

/* --- [scripts] -------------------------------------------------------------------------------- */

static int plan_scripts(const struct plan *plan)
{
	int r;

	if (policy_bool(plan->policy, "scripts", "run") <= 0)
		return 0;
	r = add(plan, "scripts", "run", "yes");
	return r < 0 ? r : add_timeout(plan, "scripts");
}

/* Huge pages and the seat look at the devices planned before them */
static int (*const parts[])(const struct plan *plan) = {
	plan_guest,  plan_vfio,	   plan_hugepages, plan_seat,
	plan_cpuset, plan_display, plan_nosleep,   plan_scripts,
};

int plan_claim(int rootfd, const struct domain *domain, const struct policy *policy,
	       const struct process *owner, struct claim *ret, struct plan_error *err)
{
	_cleanup_claim_ struct claim claim = { 0 };
	const struct plan plan = {
		.rootfd = rootfd, .domain = domain, .policy = policy, .claim = &claim, .err = err
	};
	int r;

	err->what[0] = '\0';
	r = claim_init(&claim, domain->uuid, domain->name, owner);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = parts[i](&plan);
	if (r < 0) {
		if (!err->what[0])
			(void)refuse(err, "cannot make the claim: %s", strerror(-r));
		return r;
	}
	*ret = claim;
	claim = (struct claim){ 0 };
	return 0;
}

static void print_steps(const struct claim *claim, const char *when, int phase, const char *verb)
{
	const struct step *order[STEPS_MAX];
	size_t nr = steps_order(claim, phase, strcmp(verb, "undo") == 0, order);

	for (size_t i = 0; i < nr; i++)
		(void)printf("# %-9s usher-%s %s (%s)\n", when, order[i]->name, verb,
			     step_required(order[i], claim) ? "required" : "best effort");
}

int plan_print(const struct claim *claim)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = inidoc_format(&claim->doc, &text, &len);

	if (r < 0)
		return r;
	(void)printf("%s\n", text);
	if (inidoc_get(&claim->doc, "cpuset", "pin"))
		(void)printf("# %-9s usher-cpuset choose (%s)\n", "prepare:",
			     step_required(step_find("cpuset"), claim) ? "required"
								       : "best effort");
	print_steps(claim, "prepare:", STEP_BOTH, "check");
	print_steps(claim, "prepare:", STEP_PREPARE, "apply");
	if (step_wanted(step_find("hugepages"), claim))
		(void)printf("# %-9s usher-hugepages settle (best effort)\n", "started:");
	print_steps(claim, "started:", STEP_STARTED, "apply");
	print_steps(claim, "stopped:", STEP_STARTED, "undo");
	print_steps(claim, "release:", STEP_PREPARE, "undo");
	return 0;
}
