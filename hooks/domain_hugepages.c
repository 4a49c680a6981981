/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks/domain_hugepages.c - the huge pages and CPUs a domain will take, as libvirt and QEMU do it
 *
 * How it works
 *
 * libvirt makes QEMU back each guest cell, each memory device, or without cells all the guest's
 * memory, by one memory object. For each object it looks for a page size and for host nodes; QEMU
 * rounds the object up to whole pages, or since 9.1 refuses one that is not (Seen on: QEMU 10.0.2,
 * "memory size must be multiple of 2 MiB"). This is that walk, on the XML that `prepare` sees,
 * which comes before libvirt has rounded the sizes.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "domain.h"

/* ABI: libvirt 9.0.0 to 11.3.0, qemu_domain.c: qemuDomainGetMemorySizeAlignment() and
 * qemuDomainGetMemoryModuleSizeAlignment() on x86 */
#define MEMORY_ALIGN_KIB 1024
#define DEVICE_ALIGN_KIB 2048

/* What QEMU is told of one memory object */
struct object {
	unsigned long long size_kib;
	unsigned long long pagesize_kib; /* its own; 0 when it has none */
	int cell;			 /* -1 for none */
	const char *nodes;		 /* its own host nodes; NULL when it has none */
};

struct host {
	unsigned long long default_kib;
	unsigned long long base_kib;
};

void domain_hugepages_free(struct domain_hugepages *hugepages)
{
	for (size_t i = 0; i < hugepages->nr; i++)
		free(hugepages->needs[i].nodes);
	free(hugepages->needs);
	*hugepages = (struct domain_hugepages){ 0 };
}

static unsigned long long ceil_div(unsigned long long value, unsigned long long by)
{
	return value / by + (value % by != 0);
}

static bool has_cell(const char *cells, int cell)
{
	struct cpulist set;

	return cell >= 0 && cell < CPULIST_MAX && cpulist_parse(cells, &set) == 0 &&
	       cpulist_has(&set, (unsigned int)cell);
}

/* Without cells libvirt takes nodeset='0' for no nodeset: virDomainDefPostParseMemtune() */
static bool is_general(const struct domain *domain, const struct domain_page *page)
{
	return !page->cells || (domain->nr_cells == 0 && strcmp(page->cells, "0") == 0);
}

/* The <page> for a cell: the first that names it, else the last that names none */
static const struct domain_page *find_page(const struct domain *domain, int cell)
{
	const struct domain_page *general = NULL;

	for (size_t i = 0; i < domain->nr_pages; i++) {
		const struct domain_page *page = &domain->pages[i];

		if (is_general(domain, page))
			general = page;
		else if (has_cell(page->cells, cell))
			return page;
	}
	return general;
}

/* Return: KiB, 0 when the object is not of huge pages. ABI: qemuBuildMemoryGetPagesize() */
static unsigned long long object_pagesize(const struct domain *domain, const struct object *object,
					  const struct host *host)
{
	unsigned long long size_kib = object->pagesize_kib;
	const struct domain_page *page;

	if (size_kib == 0 && domain->hugepages) {
		page = find_page(domain, object->cell);
		size_kib = page ? page->size_kib : domain->nr_pages > 0 ? 0 : host->default_kib;
	}
	return size_kib == host->base_kib ? 0 : size_kib;
}

static const struct domain_memnode *find_memnode(const struct domain *domain, int cell)
{
	for (size_t i = 0; i < domain->nr_memnodes; i++) {
		if (cell >= 0 && domain->memnodes[i].cell == (unsigned int)cell)
			return &domain->memnodes[i];
	}
	return NULL;
}

/* numad's choice is nobody's to know in `prepare`; libvirt asks it for memory where the memory, or
 * the vCPUs and nothing of the memory, are placed automatically */
static bool numad_chooses(const struct domain *domain)
{
	return domain->numa_auto || (domain->vcpu_auto && !domain->numa_nodes);
}

/* Host nodes of an object, "" for any. ABI: qemuBuildMemoryBackendProps() */
static const char *object_nodes(const struct domain *domain, const struct object *object,
				bool *ret_strict, bool *ret_numad)
{
	const struct domain_memnode *memnode = find_memnode(domain, object->cell);
	enum domain_numa_mode mode = memnode ? memnode->mode : domain->numa_mode;
	const char *nodes = object->nodes;

	*ret_numad = false;
	/* No policy on the object: what holds is the cpuset of the emulator, whose threads fill
	 * the pages, and that has the nodes of <memory> */
	if (mode == DOMAIN_NUMA_RESTRICTIVE)
		nodes = domain->numa_nodes;
	else if (!nodes)
		nodes = memnode ? memnode->nodes : domain->numa_nodes;
	*ret_strict = mode != DOMAIN_NUMA_PREFERRED && mode != DOMAIN_NUMA_INTERLEAVE;
	*ret_numad = !nodes && *ret_strict && numad_chooses(domain);
	*ret_strict &= nodes != NULL;
	return nodes ? nodes : "";
}

static int add_need(struct domain_hugepages *list, unsigned long long size_kib, const char *nodes,
		    bool strict, unsigned long long nr_pages)
{
	struct domain_need *needs;
	char *copy;

	for (size_t i = 0; i < list->nr; i++) {
		struct domain_need *need = &list->needs[i];

		if (need->size_kib == size_kib && need->strict == strict &&
		    strcmp(need->nodes, nodes) == 0)
			return __builtin_add_overflow(need->nr_pages, nr_pages, &need->nr_pages)
				       ? -EINVAL
				       : 0;
	}
	needs = reallocarray(list->needs, list->nr + 1, sizeof(*needs));
	if (!needs)
		return -ENOMEM;
	list->needs = needs;
	copy = strdup(nodes);
	if (!copy)
		return -ENOMEM;
	needs[list->nr++] = (struct domain_need){
		.size_kib = size_kib,
		.nodes = copy,
		.strict = strict,
		.nr_pages = nr_pages,
	};
	return 0;
}

static int add_object(const struct domain *domain, const struct object *object,
		      const struct host *host, struct domain_hugepages *list)
{
	unsigned long long size_kib = object_pagesize(domain, object, host);
	bool strict, numad;
	const char *nodes;

	if (size_kib == 0 || object->size_kib == 0)
		return 0;
	nodes = object_nodes(domain, object, &strict, &numad);
	list->numad |= numad;
	if (object->pagesize_kib == 0 && domain->nr_pages == 0)
		list->default_kib = size_kib;
	if (object->size_kib % size_kib)
		list->uneven_kib = size_kib;
	return add_need(list, size_kib, nodes, strict, ceil_div(object->size_kib, size_kib));
}

static int round_up(unsigned long long *size_kib, unsigned long long align_kib)
{
	return __builtin_mul_overflow(ceil_div(*size_kib, align_kib), align_kib, size_kib) ? -EINVAL
											   : 0;
}

static int add_cells(const struct domain *domain, const struct host *host,
		     struct domain_hugepages *list)
{
	for (size_t i = 0; i < domain->nr_cells; i++) {
		struct object cell = {
			.size_kib = domain->cells[i].size_kib,
			.cell = (int)domain->cells[i].id,
		};
		int e = round_up(&cell.size_kib, MEMORY_ALIGN_KIB);

		if (e == 0)
			e = add_object(domain, &cell, host, list);
		if (e < 0)
			return e;
	}
	return 0;
}

/* <memory> is the total, memory devices included */
static int add_base_memory(const struct domain *domain, const struct host *host,
			   struct domain_hugepages *list)
{
	struct object base = { .size_kib = domain->memory_kib, .cell = -1 };
	int e;

	for (size_t i = 0; i < domain->nr_memories; i++) {
		if (domain->memories[i].size_kib > base.size_kib)
			return -EINVAL;
		base.size_kib -= domain->memories[i].size_kib;
	}
	e = round_up(&base.size_kib, MEMORY_ALIGN_KIB);
	return e < 0 ? e : add_object(domain, &base, host, list);
}

/* A virtio-mem device takes what is requested as soon as the guest's driver asks for it, and up to
 * its size when the admin does: after start, by hypercall, without libvirt's hooks */
static int add_device(const struct domain *domain, const struct domain_memory *memory,
		      const struct host *host, struct domain_hugepages *list)
{
	bool virtio_mem = memory->model && strcmp(memory->model, "virtio-mem") == 0;
	struct object device = {
		.size_kib = virtio_mem ? memory->requested_kib : memory->size_kib,
		.pagesize_kib = memory->pagesize_kib,
		.cell = memory->node,
		.nodes = memory->nodes,
	};
	int e;

	if (memory->file || (memory->model && strcmp(memory->model, "sgx-epc") == 0))
		return 0;
	if (virtio_mem && object_pagesize(domain, &device, host) > 0)
		list->may_grow = true;
	e = virtio_mem ? 0 : round_up(&device.size_kib, DEVICE_ALIGN_KIB);
	return e < 0 ? e : add_object(domain, &device, host, list);
}

/*
 * A balloon gives whole huge pages back and faults them in again later. With a VFIO device QEMU
 * switches it off: nothing the device may write to can be taken away.
 * ABI: QEMU 7.2 to 10.0, hw/vfio/common.c vfio_ram_block_discard_disable(), hw/virtio/virtio-balloon.c
 * virtio_balloon_inhibited()
 */
static bool has_live_balloon(const struct domain *domain)
{
	return domain->memory_balloon && domain->nr_pci == 0;
}

int domain_hugepages(const struct domain *domain, unsigned long long default_kib,
		     unsigned long long base_kib, struct domain_hugepages *ret)
{
	_cleanup_domain_hugepages_ struct domain_hugepages list = { 0 };
	const struct host host = { default_kib, base_kib };
	int e;

	e = domain->nr_cells ? add_cells(domain, &host, &list)
			     : add_base_memory(domain, &host, &list);
	for (size_t i = 0; i < domain->nr_memories && e == 0; i++)
		e = add_device(domain, &domain->memories[i], &host, &list);
	if (e < 0)
		return e;
	if (list.nr > 0)
		list.may_grow |= has_live_balloon(domain);
	*ret = list;
	list = (struct domain_hugepages){ 0 };
	return 0;
}

/* --- CPUs -------------------------------------------------------------------------------------- */

static int add_list(struct cpulist *set, const char *list)
{
	struct cpulist more;

	if (!list)
		return 0;
	if (cpulist_parse(list, &more) < 0)
		return -EINVAL;
	cpulist_union(set, &more);
	return 0;
}

static int add_pins(struct cpulist *set, const struct domain_pin *pins, size_t nr)
{
	int e = 0;

	for (size_t i = 0; i < nr && e == 0; i++)
		e = add_list(set, pins[i].cpus);
	return e;
}

int domain_pinned_cpus(const struct domain *domain, struct cpulist *ret)
{
	struct cpulist set = { 0 };
	int e = add_pins(&set, domain->vcpu_pins, domain->nr_vcpu_pins);

	if (e == 0)
		*ret = set;
	return e;
}

int domain_all_cpus(const struct domain *domain, struct cpulist *ret)
{
	struct cpulist set;
	int e = domain_pinned_cpus(domain, &set);

	if (e == 0)
		e = add_pins(&set, domain->iothread_pins, domain->nr_iothread_pins);
	if (e == 0)
		e = add_list(&set, domain->emulator_cpus);
	if (e == 0)
		e = add_list(&set, domain->vcpu_cpus);
	if (e == 0)
		*ret = set;
	return e;
}
