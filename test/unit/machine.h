/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/machine.h - machines with many cores, as trees that hwloc reads
 *
 * From the makers' data sheets and from what Linux shows on such machines: how its CPU numbers lie
 * over packages, caches and threads. A tree has what hwloc's Linux backend reads of
 * sys/devices/system and no more.
 */
#pragma once

#include "lib/cpulist.h"
#include "test/unit/tree.h"

struct machine {
	const char *name;
	unsigned int packages, nodes, l3s, cores; /* all that there are, P, E and LP-E */
	unsigned int threads;	       /* of a core; of a P-core where there are E-cores */
	unsigned int e_first, e_cores; /* of one thread each */
	unsigned int lp_cores;	       /* LP-E-cores: the last ones, of one thread each, in no L3 */
	unsigned int l3_kib;
	bool neighbours; /* the threads of a core have neighbouring numbers */
};

/* 8 cores, 16 MiB L3: ark.intel.com, Core i7-11700K; CPU N and N + 8 are one core */
static const struct machine desktop = { .name = "Core i7-11700K",
					.packages = 1,
					.nodes = 1,
					.l3s = 1,
					.cores = 8,
					.threads = 2,
					.l3_kib = 16384 };
/* 8 cores, two core complexes of 4 with 16 MiB L3 each: AMD's Zen 2 optimization guide, 56305 */
static const struct machine ryzen = { .name = "Ryzen 7 3700X",
				      .packages = 1,
				      .nodes = 1,
				      .l3s = 2,
				      .cores = 8,
				      .threads = 2,
				      .l3_kib = 16384 };
/* 4 P-cores of 2 threads, 8 E-cores, 18 MiB L3: ark.intel.com, Core i7-1260P; P-cores come first */
static const struct machine hybrid = { .name = "Core i7-1260P",
				       .packages = 1,
				       .nodes = 1,
				       .l3s = 1,
				       .cores = 12,
				       .threads = 2,
				       .e_first = 4,
				       .e_cores = 8,
				       .l3_kib = 18432,
				       .neighbours = true };
/*
 * 6 P-cores of 2 threads, 8 E-cores, 2 LP-E-cores on a tile without L3, 24 MiB L3: ark.intel.com,
 * Core Ultra 7 155H, and Intel's data sheet 792044. The first P-core is CPUs 0-1, the others are
 * 10-19, behind the E-cores: nviennot/core-to-core-latency, issue 142
 */
static const struct machine three_kinds = { .name = "Core Ultra 7 155H",
					    .packages = 1,
					    .nodes = 1,
					    .l3s = 1,
					    .cores = 16,
					    .threads = 2,
					    .e_first = 1,
					    .e_cores = 8,
					    .lp_cores = 2,
					    .l3_kib = 24576,
					    .neighbours = true };
/* 2 x 16 cores, 22 MiB L3: ark.intel.com, Xeon Gold 6226R; the second threads are 32-63 */
static const struct machine server = { .name = "2 x Xeon Gold 6226R",
				       .packages = 2,
				       .nodes = 2,
				       .l3s = 2,
				       .cores = 32,
				       .threads = 2,
				       .l3_kib = 22528 };
/* 2 x 16 cores, 8 L3 of 16 MiB in each: AMD EPYC 7302, NPS1 */
static const struct machine epyc = { .name = "2 x EPYC 7302",
				     .packages = 2,
				     .nodes = 2,
				     .l3s = 16,
				     .cores = 32,
				     .threads = 2,
				     .l3_kib = 16384 };

static const struct machine *const machines[] = { &desktop,	&ryzen,	 &hybrid,
						  &three_kinds, &server, &epyc };

enum machine_kind {
	MACHINE_P,
	MACHINE_E,
	MACHINE_LP,
};

static inline enum machine_kind machine_kind(const struct machine *machine, unsigned int core)
{
	if (core >= machine->cores - machine->lp_cores)
		return MACHINE_LP;
	return core >= machine->e_first && core < machine->e_first + machine->e_cores ? MACHINE_E
										      : MACHINE_P;
}

static inline unsigned int machine_threads(const struct machine *machine, unsigned int core)
{
	return machine_kind(machine, core) == MACHINE_P ? machine->threads : 1;
}

/* The kernel's number of one thread of a core */
static inline unsigned int machine_cpu(const struct machine *machine, unsigned int core,
				       unsigned int thread)
{
	unsigned int cpu = thread;

	if (!machine->neighbours)
		return thread * machine->cores + core;
	for (unsigned int before = 0; before < core; before++)
		cpu += machine_threads(machine, before);
	return cpu;
}

/* The CPUs of @nr cores from @first on */
static inline struct cpulist machine_cpus(const struct machine *machine, unsigned int first,
					  unsigned int nr)
{
	struct cpulist set = { 0 };

	for (unsigned int core = first; core < first + nr; core++)
		for (unsigned int thread = 0; thread < machine_threads(machine, core); thread++)
			cpulist_add(&set, machine_cpu(machine, core, thread));
	return set;
}

static inline struct cpulist machine_cpus_of(const struct machine *machine, enum machine_kind kind)
{
	struct cpulist set = { 0 };

	for (unsigned int core = 0; core < machine->cores; core++) {
		struct cpulist cpus = machine_cpus(machine, core, 1);

		if (machine_kind(machine, core) == kind)
			cpulist_union(&set, &cpus);
	}
	return set;
}

/* Of a place that is one of @nr with equally many cores */
static inline struct cpulist machine_part(const struct machine *machine, unsigned int core,
					  unsigned int nr)
{
	unsigned int each = machine->cores / nr;

	return machine_cpus(machine, core / each * each, each);
}

/* Masks are in words of 32 bits, the highest first */
static inline void machine_mask(const struct tree *tree, const char *path,
				const struct cpulist *set)
{
	char text[64];
	unsigned int words[2] = { 0 };

	for (unsigned int cpu = 0; cpu < 64; cpu++)
		words[cpu / 32] |= (unsigned int)cpulist_has(set, cpu) << cpu % 32;
	assert_int_equal(path_format(text, sizeof(text), "%08x,%08x", words[1], words[0]), 0);
	tree_file(tree, path, text);
}

_printf_(3, 4) static inline void machine_put(const struct tree *tree, const char *text,
					      const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	tree_file(tree, path, text);
}

static inline void machine_put_set(const struct tree *tree, const char *dir, const char *file,
				   const struct cpulist *set)
{
	char path[PATH_MAX];

	assert_int_equal(path_format(path, sizeof(path), "%s/%s", dir, file), 0);
	machine_mask(tree, path, set);
}

static inline void machine_number(const struct tree *tree, const char *dir, const char *file,
				  unsigned int value)
{
	char text[32];

	assert_int_equal(path_format(text, sizeof(text), "%u", value), 0);
	machine_put(tree, text, "%s/%s", dir, file);
}

static inline void machine_cache(const struct tree *tree, const struct machine *machine,
				 const char *dir, const struct cpulist *l3)
{
	char cache[PATH_MAX], size[32];

	assert_int_equal(path_format(cache, sizeof(cache), "%s/cache/index3", dir), 0);
	assert_int_equal(path_format(size, sizeof(size), "%uK", machine->l3_kib), 0);
	machine_put(tree, "3", "%s/level", cache);
	machine_put(tree, "Unified", "%s/type", cache);
	machine_put(tree, size, "%s/size", cache);
	machine_put_set(tree, cache, "shared_cpu_map", l3);
}

/* As the makers' data sheets have it, about */
static const unsigned int machine_khz[] = {
	[MACHINE_P] = 4700000, [MACHINE_E] = 3600000, [MACHINE_LP] = 2500000
};

static inline void machine_make_core(const struct tree *tree, const struct machine *machine,
				     unsigned int core)
{
	struct cpulist siblings = machine_cpus(machine, core, 1);
	struct cpulist package = machine_part(machine, core, machine->packages);
	struct cpulist l3 = machine_part(machine, core, machine->l3s);
	struct cpulist outside = machine_cpus_of(machine, MACHINE_LP);
	enum machine_kind kind = machine_kind(machine, core);

	cpulist_subtract(&l3, &outside);
	for (unsigned int thread = 0; thread < machine_threads(machine, core); thread++) {
		char dir[128], topology[160], freq[160];

		assert_int_equal(path_format(dir, sizeof(dir), "sys/devices/system/cpu/cpu%u",
					     machine_cpu(machine, core, thread)),
				 0);
		assert_int_equal(path_format(topology, sizeof(topology), "%s/topology", dir), 0);
		assert_int_equal(path_format(freq, sizeof(freq), "%s/cpufreq", dir), 0);
		machine_number(tree, topology, "core_id", core);
		machine_number(tree, topology, "physical_package_id",
			       core / (machine->cores / machine->packages));
		machine_put_set(tree, topology, "core_cpus", &siblings);
		machine_put_set(tree, topology, "thread_siblings", &siblings);
		machine_put_set(tree, topology, "package_cpus", &package);
		machine_put_set(tree, topology, "core_siblings", &package);
		machine_number(tree, freq, "cpuinfo_max_freq", machine_khz[kind]);
		if (kind != MACHINE_LP)
			machine_cache(tree, machine, dir, &l3);
	}
}

static inline void machine_make_node(const struct tree *tree, const struct machine *machine,
				     unsigned int node)
{
	unsigned int each = machine->cores / machine->nodes;
	struct cpulist cpus = machine_cpus(machine, node * each, each);
	char dir[128], text[256];

	assert_int_equal(path_format(dir, sizeof(dir), "sys/devices/system/node/node%u", node), 0);
	machine_put_set(tree, dir, "cpumap", &cpus);
	assert_int_equal(path_format(text, sizeof(text), "Node %u MemTotal: 16777216 kB\n", node),
			 0);
	machine_put(tree, text, "%s/meminfo", dir);
}

static inline void machine_make(const struct tree *tree, const struct machine *machine)
{
	struct cpulist all = machine_cpus(machine, 0, machine->cores);
	struct cpulist fast = machine_cpus_of(machine, MACHINE_P), slow = all;
	char list[64];

	assert_int_equal(cpulist_format(&all, list, sizeof(list)), 0);
	tree_file(tree, "sys/devices/system/cpu/online", list);
	tree_file(tree, "sys/devices/system/cpu/possible", list);
	tree_file(tree, "sys/devices/system/cpu/present", list);
	tree_file(tree, "sys/devices/system/cpu/isolated", "");
	tree_file(tree, "sys/devices/system/node/online", machine->nodes > 1 ? "0-1" : "0");
	tree_file(tree, "proc/meminfo", "MemTotal: 33554432 kB\n");
	tree_file(tree, "proc/cpuinfo", "");
	for (unsigned int core = 0; core < machine->cores; core++)
		machine_make_core(tree, machine, core);
	for (unsigned int node = 0; node < machine->nodes; node++)
		machine_make_node(tree, machine, node);
	if (machine->e_cores == 0)
		return;
	/* The kernel has LP-E-cores for E-cores: only their speed tells them apart */
	cpulist_subtract(&slow, &fast);
	assert_int_equal(cpulist_format(&slow, list, sizeof(list)), 0);
	tree_file(tree, "sys/devices/cpu_atom/cpus", list);
	assert_int_equal(cpulist_format(&fast, list, sizeof(list)), 0);
	tree_file(tree, "sys/devices/cpu_core/cpus", list);
}
