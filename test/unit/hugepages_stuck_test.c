/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_stuck_test.c - a kernel that never answers, and the other guests of that node */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#define KERNEL_HANGS
#include "hugetlb.h"

#include "lib/attr.h"

/* More than any of them needs, on whatever machine: that it ends is asked, not how fast */
#define TIME_MS	 60000
#define GRACE_MS 30000

/* Of that what hangs would have half */
#define PULL_MS 2000

/* As lib/deaf.c has it */
#define DEAF_MS 10000

static unsigned long long late; /* children of this process that were left behind */

static int most_ms = PULL_MS;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);

int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	int r = __real_aside_run(rootfd, run, shared, step_ms < most_ms ? step_ms : most_ms);

	late += r == -ETIMEDOUT;
	return r;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

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

static pid_t apply_begin(struct guest *guest, int time_ms)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	guest->ctx.deadline = deadline_in(time_ms);
	if (pid == 0)
		_exit((int)hugepages_apply(&guest->ctx));
	return pid;
}

/* Return: exit code, -1 when it has not ended long after its time */
static int apply_end(const struct guest *guest, pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (deadline_left(guest->ctx.deadline + GRACE_MS) == 0) {
			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			return -1;
		}
		(void)poll(NULL, 0, 20);
	}
	return WEXITSTATUS(status);
}

static int apply_of_its_own(struct guest *guest)
{
	return apply_end(guest, apply_begin(guest, TIME_MS));
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
	assert_said("/stack and journalctl -k");
	assert_int_equal(node2m(0)->room, 40);
	assert_int_equal(undo(&a), HELPER_DONE);
	guest_remove(&a);
	assert_int_equal(apply(&b), HELPER_DONE);
	assert_pool(0, 20, 20, 0);
	unhang();
}

/* Half of its time, which it would give a compaction, comes after the other's end */
static void leave_time(bool busy, const char *said, const char *unsaid)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pid;

	dead_server(&a, "/compact", false);
	kernel->busy = busy;
	guest_make(&b, UUID_B, "b", "started", "2048 0 20");
	most_ms = INT_MAX;
	pid = apply_begin(&a, 60000);
	for (int i = 0; !kernel->nr_hung && i < 2000; i++)
		(void)poll(NULL, 0, 5);
	assert_int_equal(kernel->nr_hung, 1);
	assert_int_equal(apply_end(&b, apply_begin(&b, 10000)), HELPER_DONE);
	most_ms = PULL_MS;
	assert_int_equal(apply_end(&a, pid), HELPER_FAILED);
	assert_said("another guest waits for pages there, whose time would run out");
	assert_said(said);
	assert_null(strstr(kernel->said, unsaid));
	assert_pool(0, 20, 20, 0);
	assert_int_equal(undo(&b), HELPER_DONE);
	assert_no_ledger();
	unhang();
}

static void one_that_hangs_in_a_compaction_leaves_time_to_one_that_waits(void **state)
{
	(void)state;
	leave_time(false, "does not return", "is at work on it still");
}

static void one_that_works_on_and_is_cut_short_for_another_is_not_said_to_hang(void **state)
{
	(void)state;
	leave_time(true, "is at work on it still", "does not return");
}

/* a fits alone and gets some with each compaction, which takes a while; b could never fit */
static void one_that_gets_some_by_each_compaction_is_not_cut_short_in_one(void **state)
{
	_cleanup_guest_ struct guest a, b;
	pid_t pid;

	(void)state;
	dead_server(&a, "", false);
	guest_free(&a);
	node2m(0)->room = 0;
	node2m(0)->scattered = 400;
	kernel->per_compaction = 10;
	kernel->compact_ms = 150;
	guest_make(&a, UUID_A, "a", "started", "2048 0 360");
	guest_make(&b, UUID_B, "b", "started", "2048 0 1500");
	pid = apply_begin(&a, TIME_MS);
	(void)poll(NULL, 0, 200);
	assert_int_equal(apply_end(&b, apply_begin(&b, 20000)), HELPER_FAILED);
	assert_int_equal(apply_end(&a, pid), HELPER_DONE);
	assert_pool(0, 360, 360, 0);
	assert_int_equal(undo(&a), HELPER_DONE);
	assert_no_ledger();
}

/* a has no turn that it could give up: c waits for b's */
static void room_for_transparent_ones_is_made_whoever_waits_for_his_turn(void **state)
{
	_cleanup_guest_ struct guest a, b, c;
	pid_t growing, waiting;

	(void)state;
	dead_server(&b, "", false);
	guest_make(&a, UUID_C, "a", "started", "");
	assert_int_equal(inidoc_add(&a.ctx.claim.doc, HUGEPAGES_SECTION, "thp_kib", "131072"), 0);
	put_thp("enabled", "madvise");
	put_thp("defrag", "madvise");
	guest_make(&c, UUID_B, "c", "started", "2048 0 10");
	node2m(0)->room = 60;
	kernel->page_ms = 300;
	growing = apply_begin(&b, TIME_MS);
	(void)poll(NULL, 0, 200);
	waiting = apply_begin(&c, 4000);
	(void)poll(NULL, 0, 2000);
	kernel->compact_ms = 400;
	put("Node 0, zone Normal 0 0 0 0 0 0 0 0 0 40 0\n", "proc/buddyinfo");
	assert_int_equal(apply_end(&a, apply_begin(&a, TIME_MS)), HELPER_DONE);
	/* One for each node, and what b may have made */
	assert_true(kernel->compactions >= 2);
	assert_int_equal(kill(growing, SIGKILL) + kill(waiting, SIGKILL), 0);
	(void)apply_end(&b, growing);
	(void)apply_end(&c, waiting);
}

/* Of its last two seconds it waits for one: an undo would have half a minute */
static void giving_back_what_was_got_waits_no_longer_than_there_is_time(void **state)
{
	static const char busy[] = "usher's ledger was busy for ";
	struct helper patient = test_helper;
	_cleanup_close_ int dirfd = -1, lock = -1;
	_cleanup_guest_ struct guest a;
	const char *said;
	pid_t pid;

	(void)state;
	patient.undo_timeout_ms = 60000;
	dead_server(&a, "/compact", false);
	a.ctx.helper = &patient;
	pid = apply_begin(&a, 8000);
	dirfd = state_dir(a.ctx.statefd, "host", true);
	while (attr_exists(dirfd, "hugepages.ini") == 0 && deadline_left(a.ctx.deadline) > 0)
		(void)poll(NULL, 0, 5);
	lock = state_lock(dirfd, "hugepages.lock", 8000);
	assert_true(lock >= 0);
	assert_int_equal(apply_end(&a, pid), HELPER_DIRTY);
	said = strstr(kernel->said, busy);
	assert_non_null(said);
	assert_in_range(strtoul(said + strlen(busy), NULL, 10), 0, 1000);
	cleanup_close(&lock);
	lock = -1;
	assert_int_equal(undo(&a), HELPER_DONE);
	unhang();
}

/* It could go to node 1 */
static void put_java(int pid)
{
	put_process(pid);
	put("java\n", "proc/%d/comm", pid);
	put("500000 300000 0 0 0 0 0\n", "proc/%d/statm", pid);
	put("7f00 default anon=250000 N0=250000 kernelpagesize_kB=4\n", "proc/%d/numa_maps", pid);
	put("Name:\tjava\nVmLck:\t0 kB\nMems_allowed_list:\t0-1\n", "proc/%d/status", pid);
	put("0::/system.slice/java.service\n", "proc/%d/cgroup", pid);
	put("", "proc/%d/cmdline", pid);
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
		put_java(301);
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
	kernel->compact_ms = TIME_MS;
	node2m(0)->cached = 24;
	allow(&a, "reclaim", "memory");
	assert_int_equal(apply_of_its_own(&a), HELPER_DONE);
	assert_pool(0, 64, 64, 0);
	assert_null(strstr(kernel->said, "does not return"));
}

/* And so is one that works on, whom no signal ends: migrate_pages(2) of a large process */
static void one_that_works_on_is_not_said_to_hang(void **state)
{
	_cleanup_guest_ struct guest a;

	(void)state;
	dead_server(&a, "/compact", false);
	kernel->busy = true;
	assert_int_equal(apply_of_its_own(&a), HELPER_FAILED);
	assert_said("/sys/devices/system/node/node0/compact takes longer than there is time");
	assert_null(strstr(kernel->said, "does not return"));
	unhang();
}

/* Its memory map is locked: who opens what is read under that lock waits */
static void hang_process(int pid, const char *const *files, size_t nr)
{
	char path[64];

	for (size_t i = 0; i < nr; i++) {
		(void)snprintf(path, sizeof(path), "proc/%d/%s", pid, files[i]);
		if (unlinkat(host->rootfd, path, 0) < 0)
			assert_int_equal(errno, ENOENT);
		assert_int_equal(mkfifoat(host->rootfd, path, 0600), 0);
	}
}

/* In the first case all but its command line, which was read before */
static void a_qemu_that_hangs_holds_up_no_other_guest(void **state)
{
	static const char *const files[] = { "smaps", "numa_maps", "cmdline" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		_cleanup_guest_ struct guest a, b;
		long long before;

		boot(LINUX_6_12, 0, 0);
		guest_make(&a, UUID_A, "a", "started", "2048 0 64");
		assert_int_equal(apply(&a), HELPER_DONE);
		put_qemu(201 + i, UUID_A, 64, 64);
		put("qemu-system-x86\n", "proc/%d/comm", 201 + i);
		fault(0, 64);
		guest_state(&a, CLAIM_RUNNING, 201 + i);
		assert_int_equal(settle(&a), HELPER_DONE);
		guest_make(&b, UUID_B, "b", "started", "2048 1 64");
		assert_int_equal(apply(&b), HELPER_DONE);
		hang_process(201 + i, files, 2 + (size_t)i);
		before = now_ms();
		b.ctx.deadline = deadline_in(TIME_MS);
		assert_int_equal(undo(&b), HELPER_DONE);
		assert_in_range(now_ms() - before, 500 - 50, TIME_MS);
		assert_pool(1, 0, 0, 0);
		assert_int_equal(node2m(0)->nr, 64);
		guest_remove(&b);
		/* SIGKILL has come through in the end */
		remove_process(201 + i);
		exit_with(0, 64);
		assert_int_equal(undo(&a), HELPER_DONE);
		assert_pool(0, 0, 0, 0);
		assert_no_ledger();
		guest_remove(&a);
	}
}

/* A refusal has to be said within its time */
static void who_hangs_is_named_with_all_it_has_where_memory_is_short(void **state)
{
	static const char *const files[] = { "smaps", "numa_maps" };
	_cleanup_guest_ struct guest a;
	long long before;

	(void)state;
	dead_server(&a, "", false);
	for (int pid = 301; pid <= 305; pid++) {
		put_java(pid);
		hang_process(pid, files, ARRAY_SIZE(files));
	}
	before = now_ms();
	assert_int_equal(apply_of_its_own(&a), HELPER_FAILED);
	assert_in_range(now_ms() - before, 500, TIME_MS);
	assert_said("most memory is held by java (pid 301) 1171 MiB, java (pid 302) 1171 MiB");
	for (int pid = 301; pid <= 305; pid++)
		remove_process(pid);
}

/* They may grow, so each of them is looked for at each look */
static void balloon_guest(struct guest *guest, const char *uuid, int pid)
{
	guest_make(guest, uuid, "balloon", "release", "2048 0 64");
	assert_int_equal(apply(guest), HELPER_DONE);
	put_qemu(pid, uuid, 64, 64);
	fault(0, 64);
	guest_state(guest, CLAIM_RUNNING, pid);
	assert_int_equal(settle(guest), HELPER_DONE);
}

/* A backup hangs with its map locked, and is nobody's guest */
static void one_that_hangs_costs_its_time_once_however_often_guests_are_looked_for(void **state)
{
	static const char *const files[] = { "smaps", "numa_maps", "cmdline" };
	_cleanup_guest_ struct guest a, b, c;
	long long begun;

	(void)state;
	boot(LINUX_6_12, 0, 0);
	balloon_guest(&a, UUID_A, 211);
	balloon_guest(&b, UUID_B, 212);
	put_process(50);
	put("backup\n", "proc/50/comm");
	put("0::/system.slice/backup.service\n", "proc/50/cgroup");
	hang_process(50, files, ARRAY_SIZE(files));
	late = 0;
	begun = now_ms();
	guest_make(&c, UUID_C, "c", "started", "2048 1 800");
	c.ctx.deadline = deadline_in(TIME_MS);
	assert_int_equal((int)hugepages_apply(&c.ctx), HELPER_DONE);
	c.ctx.deadline = deadline_in(TIME_MS);
	assert_int_equal(undo(&c), HELPER_DONE);
	assert_in_range(late, 1, 1 + (now_ms() - begun) / DEAF_MS);
	assert_pool(1, 0, 0, 0);
	remove_process(50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(another_guest_starts_while_a_compaction_hangs),
		kernel_test(one_that_hangs_in_a_compaction_leaves_time_to_one_that_waits),
		kernel_test(one_that_works_on_and_is_cut_short_for_another_is_not_said_to_hang),
		kernel_test(one_that_gets_some_by_each_compaction_is_not_cut_short_in_one),
		kernel_test(room_for_transparent_ones_is_made_whoever_waits_for_his_turn),
		kernel_test(giving_back_what_was_got_waits_no_longer_than_there_is_time),
		kernel_test(what_hangs_is_left_out_said_once_and_not_begun_again),
		kernel_test(a_qemu_that_hangs_holds_up_no_other_guest),
		kernel_test(who_hangs_is_named_with_all_it_has_where_memory_is_short),
		kernel_test(one_that_is_slow_is_cut_short_and_not_said_to_hang),
		kernel_test(one_that_works_on_is_not_said_to_hang),
		kernel_test(one_that_hangs_costs_its_time_once_however_often_guests_are_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
