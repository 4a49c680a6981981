/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/cpuset_choose_test.c - which cores a guest without pins gets, on real machines */
#include "helpers/cpuset/choose.h"
#include "test/unit/machine.h"

/* One machine with what hwloc says of it, and the choice that was made last */
static struct {
	const struct machine *machine;
	struct topology topology;
	struct pins pins;
	char why[WHY_MAX];
} seen;

static void on(struct tree *tree, const struct machine *machine)
{
	struct cpulist all = machine_cpus(machine, 0, machine->cores);

	topology_free(&seen.topology);
	seen.machine = machine;
	machine_make(tree, machine);
	assert_int_equal(topology_read(tree->dir, &seen.topology), 0);
	assert_int_equal(seen.topology.nr, cpulist_count(&all));
}

static int choose(const struct cores_wanted *wanted)
{
	int r;

	pins_free(&seen.pins);
	seen.why[0] = '\0';
	r = cores_choose(&seen.topology, wanted, &seen.pins, seen.why);
	if (r >= 0)
		assert_int_equal(seen.pins.nr_vcpus, wanted->vcpus);
	return r;
}

static struct cpulist list(const char *text)
{
	struct cpulist set;

	assert_int_equal(cpulist_parse(text, &set), 0);
	return set;
}

/* --- Properties ------------------------------------------------------------------------------- */

static const struct host_cpu *at(unsigned int cpu)
{
	const struct host_cpu *found = topology_cpu(&seen.topology, cpu);

	assert_non_null(found);
	return found;
}

static struct cpulist core_of(unsigned int cpu)
{
	struct cpulist siblings;

	topology_siblings(&seen.topology, at(cpu), &siblings);
	return siblings;
}

/* How many different ones of a property the chosen CPUs have */
static size_t count(int (*of)(const struct host_cpu *cpu))
{
	struct cpulist values = { 0 };
	int cpu = -1;

	while ((cpu = cpulist_next(&seen.pins.cpus, (unsigned int)(cpu + 1))) >= 0)
		cpulist_add(&values, (unsigned int)(of(at((unsigned int)cpu)) + 1));
	return cpulist_count(&values);
}

/* A core without one shares none */
static int l3_of(const struct host_cpu *cpu)
{
	return cpu->l3 >= 0 ? cpu->l3 : 1000 + cpu->core;
}

static int node_of(const struct host_cpu *cpu)
{
	return cpu->node;
}

static int kind_of(const struct host_cpu *cpu)
{
	return cpu->kind;
}

/* How many whole cores of a place (or of all, with @of NULL) are not taken */
static size_t free_cores(const struct cpulist *taken, int (*of)(const struct host_cpu *cpu),
			 int value)
{
	size_t nr = 0;

	for (size_t i = 0; i < seen.topology.nr; i = topology_core_end(&seen.topology, i)) {
		struct cpulist core = core_of(seen.topology.cpus[i].cpu);

		nr += (!of || of(&seen.topology.cpus[i]) == value) &&
		      !cpulist_intersects(&core, taken);
	}
	return nr;
}

static size_t most_free(const struct cpulist *taken, int (*of)(const struct host_cpu *cpu))
{
	size_t most = 0;

	for (size_t i = 0; i < seen.topology.nr; i++) {
		size_t nr = free_cores(taken, of, of(&seen.topology.cpus[i]));

		most = nr > most ? nr : most;
	}
	return most;
}

/* Each vCPU has CPUs of its own, and together they are whole cores of nobody else's */
static void assert_whole(const struct cores_wanted *wanted)
{
	struct cpulist all = { 0 };
	int cpu = -1;

	for (size_t i = 0; i < seen.pins.nr_vcpus; i++) {
		const struct vcpu_pin *pin = &seen.pins.vcpus[i];
		struct cpulist core = core_of((unsigned int)cpulist_next(&pin->cpus, 0));

		assert_int_equal(pin->vcpu, i);
		assert_false(cpulist_empty(&pin->cpus));
		assert_false(cpulist_intersects(&all, &pin->cpus));
		assert_true(cpulist_contains(&core, &pin->cpus));
		cpulist_union(&all, &pin->cpus);
	}
	assert_true(cpulist_equal(&all, &seen.pins.cpus));
	while ((cpu = cpulist_next(&all, (unsigned int)(cpu + 1))) >= 0) {
		struct cpulist core = core_of((unsigned int)cpu);

		assert_true(cpulist_contains(&all, &core));
	}
	assert_false(cpulist_intersects(&all, &wanted->taken));
}

/* Is the guest served when it keeps clear of these. Return: as cores_choose() */
static int choose_without(const struct cores_wanted *wanted, const struct cpulist *cpus,
			  struct pins *ret)
{
	struct cores_wanted less = *wanted;
	char why[WHY_MAX];

	cpulist_union(&less.avoid, cpus);
	return cores_choose(&seen.topology, &less, ret, why);
}

/* CPU 0's core is taken only where nothing else fits */
static void assert_first_is_last(const struct cores_wanted *wanted)
{
	struct cpulist first = core_of(0);
	struct pins pins;

	if (cpulist_intersects(&seen.pins.cpus, &first))
		assert_int_equal(choose_without(wanted, &first, &pins), -ENOSPC);
}

/* What one kind could serve as well, within one cache, is served by it or by a faster one */
static void assert_right_kind(const struct cores_wanted *wanted, int r)
{
	for (size_t i = 0; i < seen.topology.nr; i++) {
		int kind = kind_of(&seen.topology.cpus[i]);
		struct cpulist others = core_of(0);
		struct pins chosen = seen.pins;
		bool as_good;
		int other;

		for (size_t j = 0; j < seen.topology.nr; j++)
			if (kind_of(&seen.topology.cpus[j]) != kind)
				cpulist_add(&others, seen.topology.cpus[j].cpu);
		other = choose_without(wanted, &others, &seen.pins);
		as_good = other >= 0 && other <= r && count(l3_of) == 1;

		if (other >= 0)
			pins_free(&seen.pins);
		seen.pins = chosen;
		if (!as_good)
			continue;
		assert_int_equal(count(kind_of), 1);
		assert_true(kind_of(at((unsigned int)cpulist_next(&chosen.cpus, 0))) >= kind);
	}
}

/* The host keeps a whole core */
static void assert_host_keeps(const struct cores_wanted *wanted)
{
	struct cpulist gone = wanted->taken;
	size_t nr_free = free_cores(&wanted->taken, NULL, 0), nr_left;
	char why[WHY_MAX];
	enum layout layout;

	cpulist_union(&gone, &seen.pins.cpus);
	nr_left = free_cores(&gone, NULL, 0);
	assert_in_range(nr_left, 1, nr_free - 1);
	layout = pins_layout(&seen.pins, why);
	assert_int_equal(layout, LAYOUT_ISOLATED);
}

/*
 * In one node, and in one cache of it, that has a core more than they need. They need one each, or
 * as the guest's threads pair them; where the node has not that many they are packed.
 */
static void assert_near(const struct cores_wanted *wanted)
{
	size_t threads = seen.machine->threads;
	bool hybrid_host = seen.machine->e_cores > 0;
	size_t each = hybrid_host ? 1 : wanted->threads;
	size_t nr_cores = (wanted->vcpus + each - 1) / each;

	if (most_free(&wanted->taken, node_of) <= nr_cores) {
		/* How many depends on the kinds that are free */
		if (hybrid_host)
			return;
		nr_cores = (wanted->vcpus + threads - 1) / threads;
	}
	if (most_free(&wanted->taken, node_of) > nr_cores)
		assert_int_equal(count(node_of), 1);
	if (seen.machine->nodes == 1 && most_free(&wanted->taken, l3_of) > nr_cores)
		assert_int_equal(count(l3_of), 1);
}

/* No core is shared behind the guest's back while its node has enough of them */
static void assert_unpacked(const struct cores_wanted *wanted, int r)
{
	size_t each = seen.machine->e_cores > 0 ? 1 : wanted->threads;

	if (most_free(&wanted->taken, node_of) > (wanted->vcpus + each - 1) / each)
		assert_int_equal(r, 0);
}

/* What are siblings in the guest are siblings on the host */
static void assert_paired(const struct cores_wanted *wanted)
{
	for (size_t i = 0; wanted->threads == 2 && i + 1 < seen.pins.nr_vcpus; i += 2) {
		unsigned int one = (unsigned int)cpulist_next(&seen.pins.vcpus[i].cpus, 0);
		unsigned int other = (unsigned int)cpulist_next(&seen.pins.vcpus[i + 1].cpus, 0);
		struct cpulist core = core_of(one);

		if (cpulist_count(&core) == 2)
			assert_true(cpulist_has(&core, other));
	}
}

static void every_choice_is_of_whole_free_cores_near_each_other(void **state)
{
	static const char *const taken[] = { "", "2,3", "1,9,17", "0-3,8-11", "0-7" };

	for (size_t m = 0; m < ARRAY_SIZE(machines); m++) {
		size_t served = 0;

		on(*state, machines[m]);
		for (size_t t = 0; t < ARRAY_SIZE(taken); t++)
			for (unsigned int vcpus = 1; vcpus < 24; vcpus++)
				for (unsigned int threads = 1; threads <= 2; threads++) {
					struct cores_wanted wanted = { .vcpus = vcpus,
								       .threads = threads,
								       .taken = list(taken[t]) };
					int r = choose(&wanted);

					if (r < 0)
						continue;
					served++;
					assert_whole(&wanted);
					assert_host_keeps(&wanted);
					assert_first_is_last(&wanted);
					assert_near(&wanted);
					assert_unpacked(&wanted, r);
					if (seen.machine->nodes == 1)
						assert_right_kind(&wanted, r);
					assert_paired(&wanted);
				}
		assert_in_range(served, 40, 1000);
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
}

static void a_guest_that_fits_is_never_refused(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(machines); m++) {
		unsigned int nr_cpus;

		on(*state, machines[m]);
		nr_cpus = (unsigned int)seen.topology.nr;
		for (unsigned int vcpus = 1; vcpus <= nr_cpus; vcpus++) {
			struct cores_wanted wanted = { .vcpus = vcpus, .threads = 2 };

			/* All but the core of CPU 0 */
			assert_int_equal(choose(&wanted) >= 0,
					 vcpus <= nr_cpus - machines[m]->threads);
		}
		assert_int_equal(tree_teardown(state), 0);
		assert_int_equal(tree_setup(state), 0);
	}
}

/* --- Single cases ----------------------------------------------------------------------------- */

static void two_guests_on_a_two_ccx_ryzen_get_a_ccx_each_when_they_leave_a_core(void **state)
{
	struct cores_wanted wanted = { .vcpus = 8, .threads = 2 };
	struct cpulist first, ccx = machine_cpus(&ryzen, 4, 4);

	on(*state, &ryzen);
	/* Not the one with CPU 0 */
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_equal(&seen.pins.cpus, &ccx));
	first = seen.pins.cpus;
	wanted.taken = first;
	wanted.vcpus = 6;
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(count(l3_of), 1);
	assert_false(cpulist_intersects(&seen.pins.cpus, &first));
	assert_false(cpulist_has(&seen.pins.cpus, 0));
	wanted.vcpus = 8;
	assert_int_equal(choose(&wanted), -ENOSPC);
	assert_string_equal(seen.why,
			    "its 8 vCPUs need whole cores that nobody else is pinned to, and one "
			    "more for the host; free are 4 cores, CPUs 0-3,8-11: give the guest "
			    "fewer <vcpu>, or shut another guest down");
}

static void p_cores_are_preferred_and_kinds_are_not_mixed_while_one_fits(void **state)
{
	struct cores_wanted wanted = { .vcpus = 8, .threads = 2 };
	struct cpulist p_cores = machine_cpus(&hybrid, 0, 4);
	struct cpulist e_cores = machine_cpus(&hybrid, 4, 8);

	on(*state, &hybrid);
	wanted.vcpus = 6;
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_contains(&p_cores, &seen.pins.cpus));
	assert_false(cpulist_has(&seen.pins.cpus, 0));
	/* A P-core is taken: what fits into the P-cores no more goes to the E-cores */
	wanted.taken = list("6-7");
	wanted.vcpus = 8;
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_contains(&e_cores, &seen.pins.cpus));
	wanted.vcpus = 9;
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(count(kind_of), 2);
}

static void each_of_three_kinds_is_known_and_the_slowest_has_no_cache(void **state)
{
	on(*state, &three_kinds);
	for (unsigned int core = 0; core < three_kinds.cores; core++) {
		unsigned int cpu = machine_cpu(&three_kinds, core, 0);
		enum machine_kind kind = machine_kind(&three_kinds, core);

		assert_int_equal(at(cpu)->kind, MACHINE_LP - kind);
		assert_int_equal(at(cpu)->l3, kind == MACHINE_LP ? -1 : 0);
	}
	assert_int_equal(machine_cpu(&three_kinds, 1, 0), 2);
	assert_int_equal(machine_cpu(&three_kinds, 9, 1), 11);
	assert_int_equal(machine_cpu(&three_kinds, 15, 0), 21);
}

static void e_cores_with_a_cache_come_before_slower_ones_without(void **state)
{
	struct cpulist e_cores = machine_cpus_of(&three_kinds, MACHINE_E);
	struct cpulist lp_cores = machine_cpus_of(&three_kinds, MACHINE_LP);
	struct cores_wanted wanted = { .threads = 1,
				       .taken = machine_cpus_of(&three_kinds, MACHINE_P) };

	on(*state, &three_kinds);
	for (wanted.vcpus = 1; wanted.vcpus <= 8; wanted.vcpus++) {
		assert_int_equal(choose(&wanted), 0);
		assert_true(cpulist_contains(&e_cores, &seen.pins.cpus));
	}
	cpulist_union(&wanted.taken, &e_cores);
	wanted.vcpus = 1;
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_contains(&lp_cores, &seen.pins.cpus));
	/* They share none with each other: two kinds in one cache come before */
	wanted.taken = list("2-8,10-17");
	wanted.vcpus = 2;
	assert_int_equal(choose(&wanted), 0);
	wanted.taken = list("9,18-19");
	assert_true(cpulist_equal(&seen.pins.cpus, &wanted.taken));
}

/* 2 P-cores of 2 threads: nviennot/core-to-core-latency, issue 131 */
static const struct machine small = { .name = "Core Ultra 7 155U",
				      .packages = 1,
				      .nodes = 1,
				      .l3s = 1,
				      .cores = 12,
				      .threads = 2,
				      .e_first = 1,
				      .e_cores = 8,
				      .lp_cores = 2,
				      .l3_kib = 12288,
				      .neighbours = true };

static void the_core_of_cpu_0_comes_after_slower_ones(void **state)
{
	struct cpulist e_cores = machine_cpus_of(&small, MACHINE_E);
	struct cores_wanted wanted = { .threads = 1, .taken = list("10-11") };

	on(*state, &small);
	for (wanted.vcpus = 1; wanted.vcpus <= 8; wanted.vcpus++) {
		assert_int_equal(choose(&wanted), 0);
		assert_true(cpulist_contains(&e_cores, &seen.pins.cpus));
	}
	/* With slower ones, too, before it */
	wanted.vcpus = 10;
	assert_int_equal(choose(&wanted), 0);
	assert_false(cpulist_has(&seen.pins.cpus, 0));
	wanted.taken = list("2-11,20");
	wanted.vcpus = 1;
	assert_int_equal(choose(&wanted), 0);
	assert_false(cpulist_has(&seen.pins.cpus, 0));
	wanted.allowed = list("0-1");
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_has(&seen.pins.cpus, 0));
}

static void vcpus_that_are_no_threads_share_no_core_while_others_are_free(void **state)
{
	struct cpulist e_cores = machine_cpus_of(&small, MACHINE_E);
	struct cores_wanted wanted = { .vcpus = 2, .threads = 1 };

	on(*state, &small);
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_contains(&e_cores, &seen.pins.cpus));
	/* As threads they are one core's */
	wanted.threads = 2;
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(cpulist_next(&seen.pins.cpus, 0), 10);
	/* Not for one cache either */
	wanted = (struct cores_wanted){ .vcpus = 6, .threads = 1 };
	assert_int_equal(tree_teardown(state), 0);
	assert_int_equal(tree_setup(state), 0);
	on(*state, &ryzen);
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(count(l3_of), 2);
}

static void guests_that_come_one_by_one_have_the_fastest_cores_that_are_left(void **state)
{
	static const enum machine_kind kinds[] = { MACHINE_P, MACHINE_P, MACHINE_E, MACHINE_E,
						   MACHINE_E, MACHINE_E, MACHINE_LP };
	struct cores_wanted wanted = { .vcpus = 2, .threads = 1 };

	on(*state, &three_kinds);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct cpulist cpus = machine_cpus_of(&three_kinds, kinds[i]);

		assert_int_equal(choose(&wanted), 0);
		assert_whole(&wanted);
		assert_true(cpulist_contains(&cpus, &seen.pins.cpus));
		cpulist_union(&wanted.taken, &seen.pins.cpus);
	}
	/* The last core beside the host's */
	assert_int_equal(choose(&wanted), 1);
	assert_whole(&wanted);
	assert_false(cpulist_has(&seen.pins.cpus, 0));
	cpulist_union(&wanted.taken, &seen.pins.cpus);
	assert_int_equal(choose(&wanted), -ENOSPC);
}

static void where_no_cache_is_known_the_cores_are_as_good(void **state)
{
	struct cores_wanted wanted = { .vcpus = 2, .threads = 1 };

	on(*state, &desktop);
	for (size_t i = 0; i < seen.topology.nr; i++)
		seen.topology.cpus[i].l3 = -1;
	for (; wanted.vcpus <= 7; wanted.vcpus++) {
		assert_int_equal(choose(&wanted), 0);
		assert_whole(&wanted);
		assert_false(cpulist_has(&seen.pins.cpus, 0));
	}
}

static void the_node_of_the_guests_devices_is_preferred(void **state)
{
	for (unsigned int node = 0; node < 2; node++) {
		struct cores_wanted wanted = { .vcpus = 16, .threads = 2 };

		cpulist_add(&wanted.device_nodes, node);
		on(*state, &server);
		assert_int_equal(choose(&wanted), 0);
		assert_int_equal(count(node_of), 1);
		assert_int_equal(at((unsigned int)cpulist_next(&seen.pins.cpus, 0))->os_node, node);
		/* Not at any price: split over both it would be worse */
		wanted.taken = machine_cpus(&server, node * 16, 14);
		assert_int_equal(choose(&wanted), 0);
		assert_int_equal(count(node_of), 1);
		assert_int_not_equal(at((unsigned int)cpulist_next(&seen.pins.cpus, 0))->os_node,
				     node);
	}
}

static void memory_that_is_bound_outweighs_the_devices(void **state)
{
	struct cores_wanted wanted = { .vcpus = 8, .threads = 2 };

	cpulist_add(&wanted.device_nodes, 1);
	cpulist_add(&wanted.memory_nodes, 0);
	on(*state, &server);
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(at((unsigned int)cpulist_next(&seen.pins.cpus, 0))->os_node, 0);
}

static void what_fits_into_no_cache_takes_few_of_them_in_one_node(void **state)
{
	struct cores_wanted wanted = { .vcpus = 12, .threads = 2 };

	on(*state, &epyc);
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(count(node_of), 1);
	assert_int_equal(count(l3_of), 3);
	/* Caches of which a core is taken come last */
	cpulist_add(&wanted.device_nodes, 1);
	for (unsigned int core = 26; core < 32; core += 2) {
		struct cpulist cpus = machine_cpus(&epyc, core, 1);

		cpulist_union(&wanted.taken, &cpus);
	}
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(count(node_of), 1);
	assert_int_equal(count(l3_of), 3);
	wanted.vcpus = 4;
	assert_int_equal(choose(&wanted), 0);
	assert_int_equal(count(l3_of), 1);
}

static void without_threads_in_the_guest_each_vcpu_has_a_core_while_they_suffice(void **state)
{
	struct cores_wanted wanted = { .vcpus = 4, .threads = 1 };

	on(*state, &desktop);
	assert_int_equal(choose(&wanted), 0);
	for (size_t i = 0; i < seen.pins.nr_vcpus; i++)
		assert_int_equal(cpulist_count(&seen.pins.vcpus[i].cpus), 2);
	wanted.vcpus = 8;
	assert_int_equal(choose(&wanted), 1);
	assert_int_equal(cpulist_count(&seen.pins.cpus), 8);
}

static void only_cpus_that_the_xml_allows_are_taken(void **state)
{
	struct cores_wanted wanted = { .vcpus = 4, .threads = 2, .allowed = list("1-3,9-11") };

	on(*state, &desktop);
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_contains(&wanted.allowed, &seen.pins.cpus));
	wanted.allowed = list("1-3,9-10");
	wanted.vcpus = 6;
	assert_int_equal(choose(&wanted), -ENOSPC);
}

static void cores_isolated_at_boot_are_taken_first_and_are_no_core_for_the_host(void **state)
{
	struct cores_wanted wanted = { .vcpus = 4,
				       .threads = 2,
				       .boot_isolated = list("2-3,10-11") };

	on(*state, &desktop);
	assert_int_equal(choose(&wanted), 0);
	assert_true(cpulist_equal(&seen.pins.cpus, &wanted.boot_isolated));
	wanted.boot_isolated = list("1-7,9-15");
	wanted.vcpus = 14;
	assert_int_equal(choose(&wanted), 0);
	wanted.vcpus = 15;
	assert_int_equal(choose(&wanted), -ENOSPC);
}

static int group_teardown(void **state)
{
	(void)state;
	topology_free(&seen.topology);
	pins_free(&seen.pins);
	return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(every_choice_is_of_whole_free_cores_near_each_other),
		T(a_guest_that_fits_is_never_refused),
		T(two_guests_on_a_two_ccx_ryzen_get_a_ccx_each_when_they_leave_a_core),
		T(p_cores_are_preferred_and_kinds_are_not_mixed_while_one_fits),
		T(each_of_three_kinds_is_known_and_the_slowest_has_no_cache),
		T(e_cores_with_a_cache_come_before_slower_ones_without),
		T(the_core_of_cpu_0_comes_after_slower_ones),
		T(vcpus_that_are_no_threads_share_no_core_while_others_are_free),
		T(guests_that_come_one_by_one_have_the_fastest_cores_that_are_left),
		T(where_no_cache_is_known_the_cores_are_as_good),
		T(the_node_of_the_guests_devices_is_preferred),
		T(memory_that_is_bound_outweighs_the_devices),
		T(what_fits_into_no_cache_takes_few_of_them_in_one_node),
		T(without_threads_in_the_guest_each_vcpu_has_a_core_while_they_suffice),
		T(only_cpus_that_the_xml_allows_are_taken),
		T(cores_isolated_at_boot_are_taken_first_and_are_no_core_for_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, group_teardown);
}
