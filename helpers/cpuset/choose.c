/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/choose.c - which cores a guest without pins gets */
#include "choose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * How it works
 *
 * Whole cores only. Every place (an L3 cache, a node, a package, the machine) is tried with each
 * kind of core (P-cores, E-cores, LP-E-cores), then with neighbouring kinds together, and with the
 * vCPUs spread over cores as the guest's own <topology> has them or packed onto as few as can be;
 * what is found is compared item by item, in the order of enum cost. A place is out when it has too
 * few free cores, or when the host would not keep one whole core.
 */

struct core {
	const struct host_cpu *cpus; /* siblings stand side by side */
	unsigned int nr_cpus;
	unsigned int index;
	bool free;	   /* for this guest */
	bool housekeeping; /* no guest has any of it, and the host may run there */
	bool first;	   /* the one with CPU 0 */
	bool boot_isolated;
	unsigned int nr_near; /* free cores with the same L3 cache, and of the same node: */
	unsigned int nr_node;
};

enum place {
	PLACE_L3,
	PLACE_NODE,
	PLACE_PACKAGE,
	PLACE_MACHINE,
	NR_PLACES,
};

/* The first that differs decides, less is better */
enum cost {
	COST_MEMORY,   /* not on the nodes that the guest's memory is bound to */
	COST_NODES,    /* on several nodes; then on several packages */
	COST_FIRST,    /* the core of CPU 0 is taken */
	COST_PACKED,   /* cores are shared by vCPUs that the guest has for cores */
	COST_DEVICES,  /* not on the nodes of its devices */
	COST_CACHES,   /* no L3 cache in common */
	COST_KIND,     /* slower ones; then several kinds, the fewer the better */
	COST_FRAGMENT, /* free cores that stay beside it */
	COST_INDEX,    /* far from CPU 0 */
	NR_COSTS,
};

/* One way to serve the guest */
struct offer {
	int cost[NR_COSTS];
	const struct core **cores; /* in the order of its vCPUs */
	size_t nr_cores;
	unsigned int per_core; /* vCPUs on one core, at most */
};

struct search {
	const struct topology *topology;
	const struct cores_wanted *wanted;
	struct core *cores;
	size_t nr;
	const struct core **found; /* of the place that is looked at */
	struct offer best;
	int fastest, slowest; /* the kinds there are */
};

/* What is tried */
struct attempt {
	const struct core *at; /* any core of the place */
	enum place place;
	int fastest, slowest; /* the kinds that are looked at */
	bool packed;
};

static void search_free(struct search *search)
{
	free(search->cores);
	free((void *)search->found);
	free((void *)search->best.cores);
}

/* --- The cores -------------------------------------------------------------------------------- */

static bool all_in(const struct core *core, const struct cpulist *set)
{
	for (unsigned int i = 0; i < core->nr_cpus; i++)
		if (!cpulist_has(set, core->cpus[i].cpu))
			return false;
	return true;
}

static bool any_in(const struct core *core, const struct cpulist *set)
{
	for (unsigned int i = 0; i < core->nr_cpus; i++)
		if (cpulist_has(set, core->cpus[i].cpu))
			return true;
	return false;
}

static void core_fill(const struct search *search, struct core *core)
{
	const struct cores_wanted *wanted = search->wanted;
	bool taken = any_in(core, &wanted->taken);

	core->boot_isolated = any_in(core, &wanted->boot_isolated);
	core->housekeeping = !taken && !core->boot_isolated;
	core->free = !taken &&
		     (cpulist_empty(&wanted->allowed) || all_in(core, &wanted->allowed)) &&
		     !any_in(core, &wanted->avoid);
	for (unsigned int i = 0; i < core->nr_cpus; i++)
		core->first |= core->cpus[i].cpu == 0;
}

/* Without an L3 cache a core is a place of its own, as an LP-E-core is: it shares none */
static bool same_l3(const struct core *a, const struct core *b)
{
	return a == b || (a->cpus->l3 >= 0 && a->cpus->l3 == b->cpus->l3);
}

static bool same_place(const struct core *a, const struct core *b, enum place place)
{
	switch (place) {
	case PLACE_L3:
		return same_l3(a, b) && a->cpus->node == b->cpus->node;
	case PLACE_NODE:
		return a->cpus->node == b->cpus->node;
	case PLACE_PACKAGE:
		return a->cpus->package == b->cpus->package;
	default:
		return true;
	}
}

static void count_neighbours(struct search *search)
{
	for (size_t i = 0; i < search->nr; i++)
		for (size_t j = 0; j < search->nr; j++) {
			struct core *core = &search->cores[i];
			const struct core *other = &search->cores[j];

			core->nr_near += other->free && same_place(core, other, PLACE_L3);
			core->nr_node += other->free && same_place(core, other, PLACE_NODE);
		}
}

static int search_init(struct search *search)
{
	const struct topology *topology = search->topology;

	search->cores = calloc(topology->nr + 1, sizeof(*search->cores));
	search->found = calloc(topology->nr + 1, sizeof(const struct core *));
	search->best.cores = calloc(topology->nr + 1, sizeof(const struct core *));
	if (!search->cores || !search->found || !search->best.cores)
		return -ENOMEM;
	search->fastest = INT_MIN;
	search->slowest = INT_MAX;
	for (size_t i = 0, end; i < topology->nr; i = end) {
		struct core *core = &search->cores[search->nr];

		end = topology_core_end(topology, i);
		*core = (struct core){ .cpus = &topology->cpus[i],
				       .nr_cpus = (unsigned int)(end - i),
				       .index = (unsigned int)search->nr++ };
		core_fill(search, core);
		if (core->cpus->kind > search->fastest)
			search->fastest = core->cpus->kind;
		if (core->cpus->kind < search->slowest)
			search->slowest = core->cpus->kind;
	}
	count_neighbours(search);
	return 0;
}

/* --- One place -------------------------------------------------------------------------------- */

static int compare(int a, int b)
{
	return (a > b) - (a < b);
}

/* Which core of a place is taken first */
static int cmp_preferred(const void *one, const void *other)
{
	const struct core *a = *(const struct core *const *)one;
	const struct core *b = *(const struct core *const *)other;

	return compare(a->first, b->first)			      ?:
	       compare(b->boot_isolated, a->boot_isolated)	      ?:
	       compare(b->cpus->kind, a->cpus->kind)		      ?:
	       compare((int)b->nr_node, (int)a->nr_node)	      ?:
	       compare(b->cpus->node, a->cpus->node)		      ?:
	       compare((int)b->nr_near, (int)a->nr_near)	      ?:
	       compare((int)b->index, (int)a->index);
}

/* In which order the vCPUs go onto those that are taken: neighbours to neighbours, fast ones first */
static int cmp_order(const void *one, const void *other)
{
	const struct core *a = *(const struct core *const *)one;
	const struct core *b = *(const struct core *const *)other;

	return compare(b->cpus->kind, a->cpus->kind) ?: compare((int)a->index, (int)b->index);
}

static bool is_candidate(const struct core *core, const struct attempt *attempt)
{
	int kind = core->cpus->kind;

	return core->free && same_place(core, attempt->at, attempt->place) &&
	       kind <= attempt->fastest && kind >= attempt->slowest;
}

/* The free cores of a place, the preferred ones first. Return: how many */
static size_t find_free(struct search *search, const struct attempt *attempt)
{
	size_t nr = 0;

	for (size_t i = 0; i < search->nr; i++)
		if (is_candidate(&search->cores[i], attempt))
			search->found[nr++] = &search->cores[i];
	qsort((void *)search->found, nr, sizeof(const struct core *), cmp_preferred);
	return nr;
}

static unsigned int room(const struct core *core, unsigned int per_core)
{
	return core->nr_cpus < per_core ? core->nr_cpus : per_core;
}

/* Return: how many of the @nr found ones the guest needs, 0 when they do not suffice */
static size_t take_cores(const struct search *search, size_t nr, unsigned int per_core)
{
	unsigned int placed = 0;

	for (size_t i = 0; i < nr; i++) {
		placed += room(search->found[i], per_core);
		if (placed >= search->wanted->vcpus)
			return i + 1;
	}
	return 0;
}

/* Without the first @nr found ones, has the host a whole core left */
static bool host_keeps_one(const struct search *search, size_t nr)
{
	size_t left = 0;

	for (size_t i = 0; i < search->nr; i++)
		left += search->cores[i].housekeeping;
	for (size_t i = 0; i < nr; i++)
		left -= search->found[i]->housekeeping;
	return left > 0;
}

static int count_outside(const struct search *search, size_t nr, const struct cpulist *nodes)
{
	int outside = 0;

	for (size_t i = 0; !cpulist_empty(nodes) && i < nr; i++) {
		int node = search->found[i]->cpus->os_node;

		outside += node >= 0 && !cpulist_has(nodes, (unsigned int)node);
	}
	return outside;
}

/* One kind, the faster the better; then two, and so on */
static int rank_kinds(const struct search *search, const struct attempt *attempt)
{
	int nr = search->fastest - search->slowest + 1;

	return (attempt->fastest - attempt->slowest) * nr + search->fastest - attempt->fastest;
}

static void judge(const struct search *search, const struct attempt *attempt, size_t nr_free,
		  struct offer *offer)
{
	const struct cores_wanted *wanted = search->wanted;
	size_t nr = offer->nr_cores;
	int first = 0;

	for (size_t i = 0; i < nr; i++)
		first |= search->found[i]->first;
	offer->cost[COST_MEMORY] = count_outside(search, nr, &wanted->memory_nodes);
	offer->cost[COST_NODES] = attempt->place > PLACE_NODE ? (int)attempt->place : 0;
	offer->cost[COST_DEVICES] = count_outside(search, nr, &wanted->device_nodes);
	offer->cost[COST_CACHES] = attempt->place > PLACE_L3;
	offer->cost[COST_KIND] = rank_kinds(search, attempt);
	offer->cost[COST_PACKED] = attempt->packed;
	offer->cost[COST_FIRST] = first;
	offer->cost[COST_FRAGMENT] = (int)(nr_free - nr);
	offer->cost[COST_INDEX] = -(int)search->found[0]->index;
}

static bool is_better(const struct offer *offer, const struct offer *best)
{
	for (size_t i = 0; best->nr_cores > 0 && i < NR_COSTS; i++)
		if (offer->cost[i] != best->cost[i])
			return offer->cost[i] < best->cost[i];
	return best->nr_cores == 0;
}

static void try_once(struct search *search, const struct attempt *attempt)
{
	unsigned int threads = search->wanted->threads ?: 1;
	struct offer offer = { .per_core = attempt->packed ? UINT_MAX : threads };
	size_t nr = find_free(search, attempt);

	offer.nr_cores = take_cores(search, nr, offer.per_core);
	if (offer.nr_cores == 0 || !host_keeps_one(search, offer.nr_cores))
		return;
	judge(search, attempt, nr, &offer);
	if (!is_better(&offer, &search->best))
		return;
	offer.cores = search->best.cores;
	memcpy((void *)offer.cores, (const void *)search->found,
	       offer.nr_cores * sizeof(const struct core *));
	search->best = offer;
}

/* Is it the first core of its place: each place is tried once */
static bool begins_place(const struct search *search, size_t at, enum place place)
{
	for (size_t i = 0; i < at; i++)
		if (same_place(&search->cores[i], &search->cores[at], place))
			return false;
	return true;
}

static void try_place(struct search *search, const struct core *at, enum place place)
{
	struct attempt attempt = { .at = at, .place = place };
	int most = search->fastest - search->slowest;

	for (int more = 0; more <= most; more++)
		for (int below = 0; below + more <= most; below++) {
			attempt.fastest = search->fastest - below;
			attempt.slowest = attempt.fastest - more;
			attempt.packed = false;
			try_once(search, &attempt);
			attempt.packed = true;
			try_once(search, &attempt);
		}
}

static void try_all(struct search *search)
{
	for (size_t i = 0; i < search->nr; i++)
		for (int place = 0; place < NR_PLACES; place++)
			if (begins_place(search, i, (enum place)place))
				try_place(search, &search->cores[i], (enum place)place);
}

/* --- The pins --------------------------------------------------------------------------------- */

/* The number of the vCPU behind those that have a pin */
static unsigned int next_vcpu(const struct cores_wanted *wanted, const struct pins *pins)
{
	unsigned int from = pins->nr_vcpus ? pins->vcpus[pins->nr_vcpus - 1].vcpu + 1 : 0;
	int vcpu = cpulist_next(&wanted->online, from);

	return vcpu < 0 ? from : (unsigned int)vcpu;
}

/* The vCPUs of one core, each a CPU; the last has all that are left, so that the core is whole */
static int pin_core(const struct cores_wanted *wanted, const struct core *core,
		    unsigned int nr_vcpus, struct pins *pins)
{
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		struct vcpu_pin pin = { .vcpu = next_vcpu(wanted, pins) };
		unsigned int end = i + 1 == nr_vcpus ? core->nr_cpus : i + 1;
		int r;

		for (unsigned int j = i; j < end; j++)
			cpulist_add(&pin.cpus, core->cpus[j].cpu);
		cpulist_union(&pins->cpus, &pin.cpus);
		r = pins_add_vcpu(pins, &pin);
		if (r < 0)
			return r;
	}
	return 0;
}

static int pin_all(const struct search *search, struct pins *pins)
{
	const struct offer *offer = &search->best;
	unsigned int left = search->wanted->vcpus;
	int r = 0;

	qsort((void *)offer->cores, offer->nr_cores, sizeof(const struct core *), cmp_order);
	for (size_t i = 0; r == 0 && i < offer->nr_cores; i++) {
		unsigned int nr = room(offer->cores[i], offer->per_core);

		nr = nr < left ? nr : left;
		r = pin_core(search->wanted, offer->cores[i], nr, pins);
		left -= nr;
	}
	return r;
}

static int say_full(const struct search *search, char *why)
{
	struct cpulist free_cpus = { 0 };
	unsigned int nr = 0;
	char list[256];

	for (size_t i = 0; i < search->nr; i++) {
		const struct core *core = &search->cores[i];

		nr += core->free;
		for (unsigned int j = 0; core->free && j < core->nr_cpus; j++)
			cpulist_add(&free_cpus, core->cpus[j].cpu);
	}
	(void)snprintf(
		why, WHY_MAX,
		"its %u vCPUs need whole cores that nobody else is pinned to, and one more for "
		"the host; free are %u cores, CPUs %s: give the guest fewer <vcpu>, or shut "
		"another guest down",
		search->wanted->vcpus, nr,
		cpulist_empty(&free_cpus) ? "none" : job_cpus_text(&free_cpus, list, sizeof(list)));
	return -ENOSPC;
}

int cores_choose(const struct topology *topology, const struct cores_wanted *wanted,
		 struct pins *ret, char *why)
{
	_cleanup_(search_free) struct search search = { .topology = topology, .wanted = wanted };
	_cleanup_pins_ struct pins pins = { .automatic = true };
	int r = search_init(&search);

	if (r < 0)
		return r;
	try_all(&search);
	if (search.best.nr_cores == 0)
		return say_full(&search, why);
	r = pin_all(&search, &pins);
	if (r < 0)
		return r;
	*ret = pins;
	pins = (struct pins){ 0 };
	return search.best.cost[COST_PACKED];
}
