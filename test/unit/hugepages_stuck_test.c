/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_stuck_test.c - a kernel that never answers, and the other guests of that node */
/* wraps: attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say */
#include "hugetlb.h"

/* 40 pages at once, the rest by a lever. @again: somebody hangs still */
static void dead_server(struct guest *guest, const char *hangs, bool again)
{
	pid_t hung = kernel->hung[0];

	boot(LINUX_6_12, 0, 0);
	kernel->hung[0] = hung;
	kernel->nr_hung = again;
	kernel->reclaim_group = true;
	node2m(0)->room = 40;
	(void)snprintf(kernel->hangs, sizeof(kernel->hangs), "%s", hangs);
	guest_make(guest, UUID_A, "a", "started", "2048 0 64");
}

static void allow(struct guest *guest, const char *key, const char *word)
{
	assert_int_equal(inidoc_set(&guest->ctx.claim.doc, HUGEPAGES_SECTION, key, word), 0);
}

/* Return: exit code, -1 when it has not ended two seconds after its time */
static int apply_of_its_own(struct guest *guest)
{
	long long until = deadline_in(6000);
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(apply(guest));
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (deadline_left(until) == 0) {
			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			return -1;
		}
		(void)poll(NULL, 0, 20);
	}
	return WEXITSTATUS(status);
}

/* Migration waits for a page that is being written to a dead server */
static void another_guest_starts_while_a_compaction_hangs(void **state)
{
	_cleanup_guest_ struct guest a, b;

	(void)state;
	dead_server(&a, "/compact", false);
	guest_make(&b, UUID_B, "b", "started", "2048 0 20");
	assert_int_equal(apply_of_its_own(&a), HELPER_FAILED);
	assert_said("/sys/devices/system/node/node0/compact does not return");
	assert_int_equal(node2m(0)->room, 40);
	assert_int_equal(undo(&a), HELPER_DONE);
	guest_remove(&a);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 20, 20, 0);
	unhang();
}

/* It could go to node 1 */
static void put_java(void)
{
	put_process(301);
	put("java\n", "proc/301/comm");
	put("500000 300000 0 0 0 0 0\n", "proc/301/statm");
	put("7f00 default anon=250000 N0=250000 kernelpagesize_kB=4\n", "proc/301/numa_maps");
	put("Name:\tjava\nVmLck:\t0 kB\nMems_allowed_list:\t0-1\n", "proc/301/status");
	put("0::/system.slice/java.service\n", "proc/301/cgroup");
	put("", "proc/301/cmdline");
	put("Node 1 MemTotal: 4194304 kB\nNode 1 MemFree: 4000000 kB\nNode 1 Active(file): 0 kB\n"
	    "Node 1 Inactive(file): 0 kB\nNode 1 SReclaimable: 0 kB\n",
	    "sys/devices/system/node/node1/meminfo");
}

static void what_hangs_is_left_out_said_once_and_not_begun_again(void **state)
{
	static const struct {
		const char *hangs, *reclaim;
		bool group;
		enum helper_exit e;
	} cases[] = {
		{ "node0/compact", "memory", true, HELPER_DONE },
		{ "memory.reclaim", "caches", true, HELPER_DONE },
		{ "drop_caches", "caches", false, HELPER_FAILED },
		{ "migrate_pages", "none", false, HELPER_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		_cleanup_guest_ struct guest a;
		bool again = i % 2;
		const char *said;

		dead_server(&a, cases[i / 2].hangs, again);
		put_java();
		kernel->reclaim_group = cases[i / 2].group;
		allow(&a, "reclaim", cases[i / 2].reclaim);
		allow(&a, "move", "yes");
		node2m(0)->cached = 24;
		assert_int_equal(apply_of_its_own(&a), cases[i / 2].e);
		said = strstr(kernel->said, "does not return");
		assert_non_null(said);
		assert_null(strstr(said + 1, "does not return"));
		assert_true(said - kernel->said > (long)strlen(cases[i / 2].hangs));
		assert_memory_equal(said - 1 - strlen(cases[i / 2].hangs), cases[i / 2].hangs,
				    strlen(cases[i / 2].hangs));
		assert_int_equal(kernel->nr_hung, 1);
		guest_remove(&a);
		if (again)
			unhang();
	}
}

/* SIGKILL ends it, what it has done stays done */
static void one_that_is_slow_is_cut_short_and_not_said_to_hang(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	dead_server(&a, "", false);
	kernel->compact_ms = 1500;
	node2m(0)->cached = 24;
	allow(&a, "reclaim", "memory");
	assert_int_equal(apply_of_its_own(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_null(strstr(kernel->said, "does not return"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(another_guest_starts_while_a_compaction_hangs),
		kernel_test(what_hangs_is_left_out_said_once_and_not_begun_again),
		kernel_test(one_that_is_slow_is_cut_short_and_not_said_to_hang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
