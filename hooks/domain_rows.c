/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/domain_rows.c - the elements of a domain that usher looks at: one row each */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "domain_reader.h"

/* The draft's unit: what stands in no list of units is refused with the number */
static int start_unit(struct domain_reader *r)
{
	_cleanup_free_ char *unit = NULL;
	int e = domain_attr(r, "unit", &unit);

	if (e < 0)
		return e;
	(void)snprintf(r->draft.unit, sizeof(r->draft.unit), "%s", unit ? unit : "KiB");
	return 0;
}

/* --- Identity ---------------------------------------------------------------------------------- */

/* Not trimmed: libvirt allows blanks at the ends of a name, and passes them to the hook */
static int end_name(struct domain_reader *r)
{
	r->domain.name = strdup(r->text);
	if (!r->domain.name)
		return domain_no_memory(r);
	if (!*r->domain.name)
		return domain_refuse(r, "<name> is empty");
	return 0;
}

/* libvirt reads hyphens and blanks anywhere, and both cases: virUUIDParse() */
static int end_uuid(struct domain_reader *r)
{
	char *out = r->domain.uuid;
	size_t digits = 0;

	for (const char *p = r->text; *p; p++) {
		if (*p == '-' || isspace((unsigned char)*p))
			continue;
		if (!isxdigit((unsigned char)*p) || digits == 32)
			return domain_refuse(r, "<uuid> '%.48s' is no UUID", r->text);
		if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
			*out++ = '-';
		*out++ = (char)tolower((unsigned char)*p);
		digits++;
	}
	*out = '\0';
	return digits == 32 ? 0 : domain_refuse(r, "<uuid> '%.48s' is no UUID", r->text);
}

static int end_on_poweroff(struct domain_reader *r)
{
	return domain_text_copy(r, &r->domain.on_poweroff);
}

static int end_partition(struct domain_reader *r)
{
	return domain_text_copy(r, &r->domain.partition);
}

static int start_launch_security(struct domain_reader *r)
{
	return domain_attr(r, "type", &r->domain.launch_security);
}

/* --- CPUs -------------------------------------------------------------------------------------- */

static int start_vcpu(struct domain_reader *r)
{
	int automatic = domain_attr_is(r, "placement", "auto");
	int e;

	if (automatic < 0)
		return automatic;
	r->domain.vcpu_auto = automatic;
	e = domain_attr_uint(r, "current", 10, UINT_MAX, &r->domain.vcpus_current);
	if (e < 0)
		return e;
	return domain_attr_list(r, "cpuset", &r->domain.vcpu_cpus);
}

static int end_vcpu(struct domain_reader *r)
{
	return domain_text_uint(r, UINT_MAX, &r->domain.vcpus_max);
}

/* Which of them are online: not the first, when one has been plugged out */
static int start_vcpus_vcpu(struct domain_reader *r)
{
	int enabled = domain_attr_is(r, "enabled", "yes");
	unsigned int id;
	int e = enabled <= 0 ? enabled : domain_attr_uint(r, "id", 10, UINT_MAX, &id);

	if (e > 0 && id < CPULIST_MAX)
		cpulist_add(&r->domain.vcpus_online, id);
	return e < 0 ? e : 0;
}

static int start_topology(struct domain_reader *r)
{
	return domain_attr_uint(r, "threads", 10, UINT_MAX, &r->domain.vcpu_threads);
}

static int end_iothreads(struct domain_reader *r)
{
	return domain_text_uint(r, UINT_MAX, &r->domain.iothreads);
}

static int read_pin(struct domain_reader *r, const char *id, struct domain_pin **pins, size_t *nr)
{
	struct domain_pin *pin;
	int e = domain_list_grow(r, pins, nr, sizeof(*pin), DOMAIN_PINS_MAX, "pins");

	if (e < 0)
		return e;
	pin = &(*pins)[*nr - 1];
	e = domain_attr_uint(r, id, 10, UINT_MAX, &pin->id);
	if (e > 0)
		e = domain_attr_list(r, "cpuset", &pin->cpus);
	if (e == 0)
		e = domain_refuse(r, "a pin lacks its %s or its cpuset", id);
	return e;
}

static int start_vcpupin(struct domain_reader *r)
{
	return read_pin(r, "vcpu", &r->domain.vcpu_pins, &r->domain.nr_vcpu_pins);
}

static int start_iothreadpin(struct domain_reader *r)
{
	return read_pin(r, "iothread", &r->domain.iothread_pins, &r->domain.nr_iothread_pins);
}

static int start_emulatorpin(struct domain_reader *r)
{
	int e = domain_attr_list(r, "cpuset", &r->domain.emulator_cpus);

	return e == 0 ? domain_refuse(r, "<emulatorpin> lacks its cpuset") : e;
}

/* --- Memory ------------------------------------------------------------------------------------ */

static int end_memory(struct domain_reader *r)
{
	return domain_text_kib(r, &r->domain.memory_kib);
}

static int start_backing_source(struct domain_reader *r)
{
	return domain_attr(r, "type", &r->domain.memory_source);
}

static int read_access(struct domain_reader *r, const char *name)
{
	_cleanup_free_ char *access = NULL;
	int e = domain_attr(r, name, &access);

	r->domain.memory_access |= access != NULL;
	return e;
}

static int start_backing_access(struct domain_reader *r)
{
	return read_access(r, "mode");
}

static int start_hugepages(struct domain_reader *r)
{
	r->domain.hugepages = true;
	return 0;
}

static int start_page(struct domain_reader *r)
{
	struct domain_page *page;
	int e = domain_list_grow(r, &r->domain.pages, &r->domain.nr_pages, sizeof(*page),
				 DOMAIN_PAGES_MAX, "huge page sizes");

	if (e < 0)
		return e;
	page = &r->domain.pages[r->domain.nr_pages - 1];
	e = domain_attr_kib(r, "size", "unit", &page->size_kib);
	if (e < 0)
		return e;
	if (e == 0 || page->size_kib == 0)
		return domain_refuse(r, "<page> lacks its size");
	return domain_attr_list(r, "nodeset", &page->cells);
}

static int read_numa_mode(struct domain_reader *r, enum domain_numa_mode *ret)
{
	static const char *const modes[] = {
		[DOMAIN_NUMA_STRICT] = "strict",
		[DOMAIN_NUMA_PREFERRED] = "preferred",
		[DOMAIN_NUMA_INTERLEAVE] = "interleave",
		[DOMAIN_NUMA_RESTRICTIVE] = "restrictive",
	};
	_cleanup_free_ char *mode = NULL;
	int e = domain_attr(r, "mode", &mode);

	if (e < 0 || !mode)
		return e;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(mode, modes[i]) == 0) {
			*ret = (enum domain_numa_mode)i;
			return 0;
		}
	}
	return domain_refuse(r, "NUMA mode '%.48s' is not known", mode);
}

static int start_numa_memory(struct domain_reader *r)
{
	int automatic = domain_attr_is(r, "placement", "auto");
	int e;

	if (automatic < 0)
		return automatic;
	r->domain.numa_auto = automatic;
	e = read_numa_mode(r, &r->domain.numa_mode);
	if (e < 0)
		return e;
	return domain_attr_list(r, "nodeset", &r->domain.numa_nodes);
}

static int start_memnode(struct domain_reader *r)
{
	struct domain_memnode *memnode;
	int e = domain_list_grow(r, &r->domain.memnodes, &r->domain.nr_memnodes, sizeof(*memnode),
				 DOMAIN_CELLS_MAX, "memnodes");

	if (e < 0)
		return e;
	memnode = &r->domain.memnodes[r->domain.nr_memnodes - 1];
	e = read_numa_mode(r, &memnode->mode);
	if (e < 0)
		return e;
	e = domain_attr_uint(r, "cellid", 10, UINT_MAX, &memnode->cell);
	if (e > 0)
		e = domain_attr_list(r, "nodeset", &memnode->nodes);
	return e == 0 ? domain_refuse(r, "<memnode> lacks its cellid or its nodeset") : e;
}

/* A cell without an id has its position: libvirt numbers them so */
static int start_cell(struct domain_reader *r)
{
	struct domain_cell *cell;
	int e = domain_list_grow(r, &r->domain.cells, &r->domain.nr_cells, sizeof(*cell),
				 DOMAIN_CELLS_MAX, "NUMA cells");

	if (e < 0)
		return e;
	cell = &r->domain.cells[r->domain.nr_cells - 1];
	cell->id = (unsigned int)r->domain.nr_cells - 1;
	e = domain_attr_uint(r, "id", 10, INT_MAX, &cell->id);
	if (e < 0)
		return e;
	e = read_access(r, "memAccess");
	return e < 0 ? e : domain_attr_kib(r, "memory", "unit", &cell->size_kib);
}

static int start_memory_device(struct domain_reader *r)
{
	struct domain_memory *memory;
	int e = domain_list_grow(r, &r->domain.memories, &r->domain.nr_memories, sizeof(*memory),
				 DOMAIN_DEVICES_MAX, "memory devices");

	if (e < 0)
		return e;
	memory = &r->domain.memories[r->domain.nr_memories - 1];
	memory->node = -1;
	r->draft.memory = memory;
	e = domain_attr(r, "model", &memory->model);
	if (e == 0 && !memory->model)
		return domain_refuse(r, "<memory> in <devices> lacks its model");
	return e;
}

static int end_memory_size(struct domain_reader *r)
{
	return domain_text_kib(r, &r->draft.memory->size_kib);
}

static int end_memory_requested(struct domain_reader *r)
{
	return domain_text_kib(r, &r->draft.memory->requested_kib);
}

static int end_memory_block(struct domain_reader *r)
{
	return domain_text_kib(r, &r->draft.memory->block_kib);
}

static int end_memory_node(struct domain_reader *r)
{
	unsigned int node;
	int e = domain_text_uint(r, INT_MAX, &node);

	if (e == 0)
		r->draft.memory->node = (int)node;
	return e;
}

static int end_memory_pagesize(struct domain_reader *r)
{
	return domain_text_kib(r, &r->draft.memory->pagesize_kib);
}

static int end_memory_nodemask(struct domain_reader *r)
{
	return domain_text_list(r, &r->draft.memory->nodes);
}

static int start_memory_path(struct domain_reader *r)
{
	r->draft.memory->file = true;
	return 0;
}

static int start_balloon(struct domain_reader *r)
{
	int none = domain_attr_is(r, "model", "none");

	if (none < 0)
		return none;
	r->domain.memory_balloon = !none;
	return 0;
}

/* --- PCI functions of the host ----------------------------------------------------------------- */

static int expect_pci(struct domain_reader *r, enum domain_pci_origin origin)
{
	int managed = domain_attr_is(r, "managed", "yes");

	if (managed < 0)
		return managed;
	r->draft.pci = true;
	r->draft.device = (struct domain_pci){ .origin = origin, .managed = managed };
	return 0;
}

/* mode may be left out, and is "subsystem" then; "capabilities" has no type pci */
static int start_hostdev(struct domain_reader *r)
{
	int pci = domain_attr_is(r, "type", "pci");

	r->draft.pci = false;
	return pci > 0 ? expect_pci(r, DOMAIN_PCI_HOSTDEV) : pci;
}

static int start_interface(struct domain_reader *r)
{
	int hostdev = domain_attr_is(r, "type", "hostdev");

	r->draft.pci = false;
	return hostdev > 0 ? expect_pci(r, DOMAIN_PCI_INTERFACE) : hostdev;
}

/* Return: 0, -EBADMSG, -ENOMEM. What an address lacks is 0: virPCIDeviceAddressParseXML() */
static int read_address(struct domain_reader *r, struct pciaddr *addr)
{
	const struct {
		const char *name;
		unsigned int max;
		unsigned int *ret;
	} fields[] = {
		{ "domain", UINT_MAX, &addr->domain },
		{ "bus", 0xff, &addr->bus },
		{ "slot", 0x1f, &addr->slot },
		{ "function", 7, &addr->function },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		int e = domain_attr_uint(r, fields[i].name, 0, fields[i].max, fields[i].ret);

		if (e < 0)
			return e;
	}
	if (addr->domain == 0 && addr->bus == 0 && addr->slot == 0)
		return domain_refuse(r,
				     "a host device has the address 0000:00:00.%u, which is "
				     "the host bridge's",
				     addr->function);
	return 0;
}

/* Several NVMe namespaces can share one function: it is held once */
static int add_pci(struct domain_reader *r, const struct domain_pci *device)
{
	struct domain *domain = &r->domain;
	int e;

	for (size_t i = 0; i < domain->nr_pci; i++) {
		if (pciaddr_cmp(&domain->pci[i].addr, &device->addr) == 0) {
			domain->pci[i].managed |= device->managed;
			return 0;
		}
	}
	e = domain_list_grow(r, &domain->pci, &domain->nr_pci, sizeof(*device), DOMAIN_DEVICES_MAX,
			     "host devices");
	if (e == 0)
		domain->pci[domain->nr_pci - 1] = *device;
	return e;
}

static int start_pci_address(struct domain_reader *r)
{
	_cleanup_free_ char *type = NULL;
	int e;

	if (!r->draft.pci)
		return 0;
	e = domain_attr(r, "type", &type);
	if (e < 0)
		return e;
	if (type && strcmp(type, "pci") != 0)
		return domain_refuse(r, "a host device's address is of type '%.48s', not pci",
				     type);
	e = read_address(r, &r->draft.device.addr);
	if (e < 0)
		return e;
	r->draft.pci = false;
	return add_pci(r, &r->draft.device);
}

static int end_pci_device(struct domain_reader *r)
{
	return r->draft.pci ? domain_refuse(r, "a host device has no source address") : 0;
}

/* --- Disks ------------------------------------------------------------------------------------- */

static int start_disk(struct domain_reader *r)
{
	r->draft.disks_before = r->domain.nr_disks;
	r->draft.backing = 0;
	return 0;
}

static int start_backing_store(struct domain_reader *r)
{
	r->draft.backing++;
	return 0;
}

static int end_backing_store(struct domain_reader *r)
{
	r->draft.backing--;
	return 0;
}

/* It may stand before the source and behind it: said of all that the disk has */
static int end_disk(struct domain_reader *r)
{
	for (size_t i = r->draft.disks_before; i < r->domain.nr_disks; i++) {
		r->domain.disks[i].writes &= !r->draft.readonly;
		r->domain.disks[i].shareable |= r->draft.shareable;
	}
	r->draft.readonly = r->draft.shareable = false;
	return 0;
}

static int start_readonly(struct domain_reader *r)
{
	r->draft.readonly |= r->draft.backing == 0;
	return 0;
}

static int start_shareable(struct domain_reader *r)
{
	r->draft.shareable |= r->draft.backing == 0;
	return 0;
}

static int add_disk(struct domain_reader *r, char *path)
{
	struct domain *domain = &r->domain;
	bool writes = r->draft.backing == 0;
	int e;

	for (size_t i = 0; i < domain->nr_disks; i++) {
		if (strcmp(domain->disks[i].path, path) == 0) {
			domain->disks[i].writes |= writes;
			free(path);
			return 0;
		}
	}
	e = domain_list_grow(r, &domain->disks, &domain->nr_disks, sizeof(*domain->disks),
			     DOMAIN_DEVICES_MAX, "block devices");
	if (e < 0) {
		free(path);
		return e;
	}
	domain->disks[domain->nr_disks - 1] =
		(struct domain_disk){ .path = path, .writes = writes };
	return 0;
}

/* A file that is a device node is as good as type='block' */
static int start_disk_source(struct domain_reader *r)
{
	_cleanup_free_ char *dev = NULL, *file = NULL;
	int pci = domain_attr_is(r, "type", "pci");
	int e = pci < 0 ? pci : domain_attr(r, "dev", &dev);

	if (e == 0)
		e = domain_attr(r, "file", &file);
	if (e < 0)
		return e;
	if (!dev && file && strncmp(file, "/dev/", 5) == 0)
		dev = TAKE_PTR(file);
	r->draft.pci = false;
	if (pci)
		return expect_pci(r, DOMAIN_PCI_NVME);
	return dev ? add_disk(r, TAKE_PTR(dev)) : 0;
}

/* --- The table --------------------------------------------------------------------------------- */

#define ROW(up, element, place, ...)                                                               \
	{                                                                                          \
		.parent = PLACE_##up, .name = element, .here = PLACE_##place, __VA_ARGS__          \
	}
#define START(function) .start = function
#define END(function)	.end = function
#define TEXT		.text = true
#define ONCE		.once = true

const struct domain_row domain_rows[] = {
	ROW(DOCUMENT, "domain", DOMAIN),

	ROW(DOMAIN, "name", LEAF, END(end_name), TEXT, ONCE),
	ROW(DOMAIN, "uuid", LEAF, END(end_uuid), TEXT, ONCE),
	ROW(DOMAIN, "vcpu", LEAF, START(start_vcpu), END(end_vcpu), TEXT, ONCE),
	ROW(DOMAIN, "vcpus", VCPUS),
	ROW(DOMAIN, "iothreads", LEAF, END(end_iothreads), TEXT, ONCE),
	ROW(DOMAIN, "memory", LEAF, START(start_unit), END(end_memory), TEXT, ONCE),
	ROW(DOMAIN, "on_poweroff", LEAF, END(end_on_poweroff), TEXT, ONCE),
	ROW(DOMAIN, "launchSecurity", LEAF, START(start_launch_security), ONCE),
	ROW(DOMAIN, "memoryBacking", BACKING),
	ROW(DOMAIN, "numatune", NUMATUNE),
	ROW(DOMAIN, "cputune", CPUTUNE),
	ROW(DOMAIN, "cpu", CPU),
	ROW(DOMAIN, "resource", RESOURCE),
	ROW(DOMAIN, "devices", DEVICES),

	ROW(VCPUS, "vcpu", LEAF, START(start_vcpus_vcpu)),

	ROW(BACKING, "hugepages", HUGEPAGES, START(start_hugepages)),
	ROW(BACKING, "source", LEAF, START(start_backing_source), ONCE),
	ROW(BACKING, "access", LEAF, START(start_backing_access), ONCE),
	ROW(HUGEPAGES, "page", LEAF, START(start_page)),

	ROW(NUMATUNE, "memory", LEAF, START(start_numa_memory), ONCE),
	ROW(NUMATUNE, "memnode", LEAF, START(start_memnode)),

	ROW(CPUTUNE, "vcpupin", LEAF, START(start_vcpupin)),
	ROW(CPUTUNE, "emulatorpin", LEAF, START(start_emulatorpin), ONCE),
	ROW(CPUTUNE, "iothreadpin", LEAF, START(start_iothreadpin)),

	ROW(CPU, "topology", LEAF, START(start_topology), ONCE),
	ROW(CPU, "numa", NUMA),
	ROW(NUMA, "cell", LEAF, START(start_cell)),

	ROW(RESOURCE, "partition", LEAF, END(end_partition), TEXT, ONCE),

	ROW(DEVICES, "hostdev", PCI_DEVICE, START(start_hostdev), END(end_pci_device)),
	ROW(DEVICES, "interface", PCI_DEVICE, START(start_interface), END(end_pci_device)),
	ROW(PCI_DEVICE, "source", PCI_SOURCE),
	ROW(PCI_SOURCE, "address", LEAF, START(start_pci_address)),

	ROW(DEVICES, "disk", DISK, START(start_disk), END(end_disk)),
	ROW(DISK, "readonly", LEAF, START(start_readonly)),
	ROW(DISK, "shareable", LEAF, START(start_shareable)),
	ROW(DISK, "backingStore", DISK, START(start_backing_store), END(end_backing_store)),
	ROW(DISK, "mirror", DISK),
	ROW(DISK, "source", DISK_SOURCE, START(start_disk_source), END(end_pci_device)),
	ROW(DISK_SOURCE, "address", LEAF, START(start_pci_address)),
	ROW(DISK_SOURCE, "dataStore", DISK),

	ROW(DEVICES, "memory", MEMORY, START(start_memory_device)),
	ROW(MEMORY, "source", MEMORY_SOURCE),
	ROW(MEMORY_SOURCE, "pagesize", LEAF, START(start_unit), END(end_memory_pagesize), TEXT),
	ROW(MEMORY_SOURCE, "nodemask", LEAF, END(end_memory_nodemask), TEXT),
	ROW(MEMORY_SOURCE, "path", LEAF, START(start_memory_path)),
	ROW(MEMORY, "target", MEMORY_TARGET),
	ROW(MEMORY_TARGET, "size", LEAF, START(start_unit), END(end_memory_size), TEXT),
	ROW(MEMORY_TARGET, "requested", LEAF, START(start_unit), END(end_memory_requested), TEXT),
	ROW(MEMORY_TARGET, "block", LEAF, START(start_unit), END(end_memory_block), TEXT),
	ROW(MEMORY_TARGET, "node", LEAF, END(end_memory_node), TEXT),

	ROW(DEVICES, "memballoon", LEAF, START(start_balloon), ONCE),
};
const size_t domain_nr_rows = ARRAY_SIZE(domain_rows);
