/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_foretell_test.c - what settle will write, told before the guest runs */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"
#include "printed.h"

#include "lib/deadline.h"

#define NODE2M(node)                                                                               \
	"write /sys/devices/system/node/node" #node "/hugepages/hugepages-2048kB/nr_hugepages "
#define BY_POLICY "write /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages_mempolicy "

#define PID_A 201
#define PID_B 202

/* Pages of 2 MiB that its QEMU has on the two nodes */
static void put_qemu_of(const struct guest *guest, int pid, unsigned long long on_node0,
			unsigned long long on_node1)
{
	char maps[128];

	put_qemu(pid, guest->ctx.claim.uuid, on_node0 + on_node1, on_node0 + on_node1);
	(void)snprintf(maps, sizeof(maps),
		       "7f00 default file=/dev/hugepages/ram huge N0=%llu N1=%llu "
		       "kernelpagesize_kB=2048\n",
		       on_node0, on_node1);
	put(maps, "proc/%d/numa_maps", pid);
}

static void starts(struct guest *guest)
{
	assert_int_equal(apply(guest), HELPER_DONE);
	guest_state(guest, CLAIM_HANDED, DAEMON_PID);
}

static void runs(struct guest *guest, int pid, unsigned long long on_node0,
		 unsigned long long on_node1)
{
	fault(0, on_node0);
	fault(1, on_node1);
	put_qemu_of(guest, pid, on_node0, on_node1);
	guest_state(guest, CLAIM_RUNNING, pid);
}

static void ends(struct guest *guest, int pid, unsigned long long on_node0,
		 unsigned long long on_node1)
{
	exit_with(0, on_node0);
	exit_with(1, on_node1);
	remove_process(pid);
	guest_state(guest, CLAIM_ENDING, DAEMON_PID);
	assert_int_equal(undo(guest), HELPER_DONE);
	guest_remove(guest);
}

/* What is said beside */
static char note[4096];

static const char *foretold(struct guest *guest, char *buf, size_t size)
{
	struct fake_kernel before = *kernel;
	struct printed printed;

	kernel->said[0] = '\0';
	guest->ctx.deadline = deadline_in(4000);
	guest->ctx.dry_run = true;
	printed_begin(&printed, STDOUT_FILENO);
	assert_int_equal(settle(guest), HELPER_DONE);
	(void)printed_end(&printed, buf, size);
	guest->ctx.dry_run = false;
	(void)snprintf(note, sizeof(note), "%s", kernel->said);
	assert_int_equal(kernel->ops, before.ops);
	return buf;
}

/* Nothing of it is in run/usher, as of the claim that usher plan derives */
static const char *foretold_of_a_plan(struct guest *guest, char *buf, size_t size)
{
	guest_remove(guest);
	(void)foretold(guest, buf, size);
	assert_int_equal(claim_store(guest->ctx.statefd, &guest->ctx.claim), 0);
	return buf;
}

/*
 * Before the start and after its prepare the same lines are told that it writes at last, when its
 * QEMU has taken so many pages on the two nodes
 */
static void assert_foretold(struct guest *guest, unsigned long long on_node0,
			    unsigned long long on_node1, const char *lines)
{
	char planned[1024], handed[1024];

	(void)foretold_of_a_plan(guest, planned, sizeof(planned));
	assert_string_equal(note, "");
	starts(guest);
	(void)foretold(guest, handed, sizeof(handed));
	assert_string_equal(note, "");
	runs(guest, PID_A, on_node0, on_node1);
	kernel->written[0] = '\0';
	assert_int_equal(settle(guest), HELPER_DONE);
	assert_string_equal(kernel->written, lines);
	assert_string_equal(planned, lines);
	assert_string_equal(handed, lines);
}

static void each_pool_goes_back_to_what_it_had(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a, b, c;

		boot((enum kernel_version)version, 10, 0);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_foretold(&a, 64, 0, NODE2M(0) "10\n");
		ends(&a, PID_A, 64, 0);
		/* Surplus on another node: the number is the host's */
		boot((enum kernel_version)version, 10, 7);
		guest_make(&b, UUID_B, "b", "started", "2048 0 64;2048 1 32");
		assert_foretold(&b, 64, 32, NODE2M(1) "7\n" BY_POLICY "17\n");
		ends(&b, PID_A, 64, 32);
		boot((enum kernel_version)version, 0, 0);
		guest_make(&c, UUID_C, "c", "started", "2048 any 64");
		assert_foretold(&c, 32, 32, NODE2M(1) "0\n" BY_POLICY "0\n");
		ends(&c, PID_A, 32, 32);
	}
}

static void pages_that_were_there_are_not_written_for(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 70, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_foretold(&a, 64, 0, "");
}

static void preferred_nodes_are_taken_from_first(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 30, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 64");
	assert_int_equal(inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "prefer", "2048 1 64"), 0);
	assert_foretold(&a, 0, 64, NODE2M(1) "0\n");
}

/* Surplus of one that runs is taken back when the pool grows, and becomes surplus again */
static void beside_a_guest_that_runs_its_surplus_comes_back(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		_cleanup_guest_ struct guest a, b;

		boot((enum kernel_version)version, 0, 0);
		guest_make(&b, UUID_B, "b", "started", "2048 0 40");
		starts(&b);
		runs(&b, PID_B, 40, 0);
		assert_int_equal(settle(&b), HELPER_DONE);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_foretold(&a, 64, 0, NODE2M(0) "0\n");
		assert_pool(0, 104, 0, 104);
		ends(&b, PID_B, 40, 0);
		ends(&a, PID_A, 64, 0);
		assert_no_ledger();
	}
}

/* What another one has been promised stays, and what is owed for that is paid later */
static void beside_a_guest_that_starts_its_pages_stay(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&b, UUID_B, "b", "started", "2048 0 40");
	starts(&b);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64;2048 1 5");
	assert_foretold(&a, 64, 5, NODE2M(1) "0\n");
	assert_pool(0, 104, 40, 0);
}

static void beside_a_database_nothing_is_told_and_nothing_written(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	fault(0, 10);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64");
	assert_foretold(&a, 64, 0, "");
}

/* Also where the pool is of its own alone: it may give pages back, and take others */
static void of_a_guest_that_keeps_its_pages_no_write_is_told_but_why(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[512];

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "release", "2048 0 64");
	assert_string_equal(foretold_of_a_plan(&a, text, sizeof(text)), "");
	assert_non_null(strstr(note, "only when it is released"));
	starts(&a);
	assert_string_equal(foretold(&a, text, sizeof(text)), "");
	assert_non_null(strstr(note, "only when it is released"));
	runs(&a, PID_A, 64, 0);
	kernel->said[0] = '\0';
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_string_equal(kernel->said, note);
}

static void of_one_without_pages_of_a_pool_nothing_is_told(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "");
	assert_foretold(&a, 0, 0, "");
}

/* That it will fail is said by apply */
static void of_a_start_that_will_fail_nothing_is_told(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[512];

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 3500");
	assert_string_equal(foretold_of_a_plan(&a, text, sizeof(text)), "");
	assert_string_equal(note, "");
}

/* There are pages for its needs wherever the wider ones take theirs. What is left over goes first */
static void what_it_does_not_take_goes_before_surplus(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 any 60;2048 0 40;2048 1 40");
	assert_foretold(&a, 100, 40, NODE2M(1) "40\n" NODE2M(1) "0\n" BY_POLICY "0\n");
	ends(&a, PID_A, 100, 40);
	assert_no_ledger();
}

static void each_page_size_has_its_writes(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[512];

	(void)state;
	boot(LINUX_6_12, 10, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0 64;1048576 1 1");
	(void)foretold_of_a_plan(&a, text, sizeof(text));
	starts(&a);
	fault(0, 64);
	size1g()->nodes[1].free--;
	render();
	kernel->written[0] = '\0';
	assert_int_equal(settle(&a), HELPER_DONE);
	assert_string_equal(kernel->written, text);
	assert_non_null(strstr(text, NODE2M(0) "10\n"));
	assert_non_null(strstr(text, "node1/hugepages/hugepages-1048576kB/nr_hugepages 0\n"));
}

/* QEMU is there: what it has taken is known */
static void once_qemu_is_there_its_own_pages_count(void **state)
{
	_cleanup_guest_ struct guest a;
	char text[512];

	(void)state;
	boot(LINUX_6_12, 0, 0);
	guest_make(&a, UUID_A, "a", "started", "2048 0,1 64");
	starts(&a);
	fault(0, 32);
	put_qemu_of(&a, PID_A, 32, 0);
	assert_string_equal(foretold(&a, text, sizeof(text)), NODE2M(1) "0\n" NODE2M(0) "0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(each_pool_goes_back_to_what_it_had),
		kernel_test(pages_that_were_there_are_not_written_for),
		kernel_test(preferred_nodes_are_taken_from_first),
		kernel_test(beside_a_guest_that_runs_its_surplus_comes_back),
		kernel_test(beside_a_guest_that_starts_its_pages_stay),
		kernel_test(beside_a_database_nothing_is_told_and_nothing_written),
		kernel_test(of_a_guest_that_keeps_its_pages_no_write_is_told_but_why),
		kernel_test(of_one_without_pages_of_a_pool_nothing_is_told),
		kernel_test(of_a_start_that_will_fail_nothing_is_told),
		kernel_test(what_it_does_not_take_goes_before_surplus),
		kernel_test(each_page_size_has_its_writes),
		kernel_test(once_qemu_is_there_its_own_pages_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
