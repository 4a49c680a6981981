/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hugepages_kill_test.c - killed between any two side effects, or in one */
/* wraps: aside_run attr_write state_write state_remove mempolicy_prefer mempolicy_default mempolicy_move helper_say process_identify process_alive */
#include "hugetlb.h"

#define KILLED 99

/* At the start of each run: a runs and has settled on node 1, b is to start, c comes later */
struct scene {
	struct guest a, b, c;
	bool half;
	enum kernel_version version;
};

static void scene_open(struct scene *scene)
{
	boot(scene->version, 10, 3);
	node2m(0)->room = 60;
	node2m(0)->scattered = 100;
	guest_make(&scene->a, UUID_A, "a", "started", "2048 1 50");
	guest_make(&scene->b, UUID_B, "b", "started", "2048 0 80;2048 any 30");
	guest_make(&scene->c, UUID_C, "c", "started", "2048 0 20");
	assert_int_equal(apply(&scene->a), HELPER_DONE);
	fault(1, 50);
	assert_int_equal(settle(&scene->a), HELPER_DONE);
	guest_state(&scene->a, CLAIM_RUNNING, DAEMON_PID);
	assert_pool(1, 50, 0, 47);
}

static void scene_close(struct scene *scene)
{
	struct guest *guests[] = { &scene->a, &scene->b, &scene->c };

	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		guest_remove(guests[i]);
		guest_free(guests[i]);
	}
	assert_int_equal(state_remove_dir(host->rootfd, "run/usher/host"), 0);
}

/*
 * Run @verb of @guest in a process that is killed at side effect @n.
 *
 * Return: false when it came to its end before
 */
static bool killed_at(const struct scene *scene, struct guest *guest, int (*verb)(struct guest *),
		      unsigned long long n)
{
	int status = 0;
	pid_t pid;

	kernel->ops = 0;
	kernel->kill_at = n;
	kernel->half = scene->half;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(verb(guest));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	kernel->kill_at = 0;
	kernel->half = false;
	kernel->policy = -1;
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == KILLED)
		return true;
	assert_int_equal(WEXITSTATUS(status), HELPER_DONE);
	return false;
}

static void assert_as_before_b(void)
{
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 50, 0, 47);
}

/* a ends: the pools are what they were before any guest */
static void assert_back_after(struct scene *scene)
{
	exit_with(1, 50);
	assert_int_equal(undo(&scene->a), HELPER_DONE);
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 3, 3, 0);
	assert_no_ledger();
}

static unsigned long long apply_then_undo(enum kernel_version version, bool half)
{
	struct scene scene = { .version = version, .half = half };
	bool more = true;
	unsigned long long n;

	for (n = 1; more; n++) {
		scene_open(&scene);
		more = killed_at(&scene, &scene.b, apply, n);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_as_before_b();
		assert_no_ledger();
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_as_before_b();
		assert_back_after(&scene);
		scene_close(&scene);
	}
	return n;
}

static void a_kill_in_apply_is_undone_exactly(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		assert_true(apply_then_undo((enum kernel_version)version, false) > 10);
		assert_true(apply_then_undo((enum kernel_version)version, true) > 10);
	}
}

static void a_kill_in_apply_is_resolved_by_the_next_guest(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .version = LINUX_6_12, .half = n % 2 };

		scene_open(&scene);
		more = killed_at(&scene, &scene.b, apply, n);
		if (more)
			guest_state(&scene.b, CLAIM_HANDED, DEAD_PID);
		assert_int_equal(apply(&scene.c), HELPER_DONE);
		assert_true(node2m(0)->free >= 20);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_true(node2m(0)->free >= 20);
		fault(0, 20);
		assert_int_equal(settle(&scene.c), HELPER_DONE);
		exit_with(0, 20);
		assert_int_equal(undo(&scene.c), HELPER_DONE);
		assert_as_before_b();
		assert_back_after(&scene);
		scene_close(&scene);
	}
}

static void a_kill_in_apply_is_completed_by_applying_again(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .version = LINUX_6_1, .half = n % 2 };

		scene_open(&scene);
		more = killed_at(&scene, &scene.b, apply, n);
		assert_int_equal(apply(&scene.b), HELPER_DONE);
		assert_true(node2m(0)->free >= 80);
		assert_int_equal(node2m(0)->free + node2m(1)->free, 110);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_as_before_b();
		assert_back_after(&scene);
		scene_close(&scene);
	}
}

/* Undo with pages of a's to be taken back first, see absorb() */
static void a_kill_in_undo_is_completed_by_undoing_again(void **state)
{
	(void)state;
	for (int version = 0; version < NR_KERNELS; version++) {
		bool more = true;

		for (unsigned long long n = 1; more; n++) {
			struct scene scene = { .version = (enum kernel_version)version,
					       .half = n % 2 };

			scene_open(&scene);
			assert_int_equal(apply(&scene.b), HELPER_DONE);
			more = killed_at(&scene, &scene.b, undo, n);
			assert_int_equal(undo(&scene.b), HELPER_DONE);
			assert_as_before_b();
			assert_back_after(&scene);
			scene_close(&scene);
		}
	}
}

static void a_kill_in_settle_is_made_good_at_the_end(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .version = LINUX_6_12, .half = n % 2 };
		unsigned long long on_node1;

		scene_open(&scene);
		assert_int_equal(apply(&scene.b), HELPER_DONE);
		on_node1 = node2m(1)->free;
		fault(0, node2m(0)->free);
		fault(1, on_node1);
		more = killed_at(&scene, &scene.b, settle, n);
		exit_with(0, 110 - on_node1);
		exit_with(1, on_node1);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_as_before_b();
		assert_back_after(&scene);
		scene_close(&scene);
	}
}

static void a_kill_costs_no_other_guest_a_page(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .version = LINUX_6_12, .half = n % 2 };

		scene_open(&scene);
		assert_int_equal(inidoc_set(&scene.c.ctx.claim.doc, HUGEPAGES_SECTION, "give_back",
					    "release"),
				 0);
		guest_state(&scene.c, CLAIM_HANDED, DAEMON_PID);
		assert_int_equal(apply(&scene.c), HELPER_DONE);
		assert_pool(0, 20, 20, 0);
		more = killed_at(&scene, &scene.b, apply, n);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_pool(0, 20, 20, 0);
		assert_int_equal(undo(&scene.c), HELPER_DONE);
		assert_as_before_b();
		assert_back_after(&scene);
		scene_close(&scene);
	}
}

/* A second kill, in the undo after the first */
static void two_kills_are_undone_exactly(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		bool again = true;

		for (unsigned long long m = 1; again; m++) {
			struct scene scene = { .version = LINUX_6_12, .half = (n + m) % 2 };

			scene_open(&scene);
			more = killed_at(&scene, &scene.b, apply, n);
			again = killed_at(&scene, &scene.b, undo, m);
			assert_int_equal(undo(&scene.b), HELPER_DONE);
			assert_as_before_b();
			assert_back_after(&scene);
			scene_close(&scene);
		}
	}
}

/* The claim and its directory may be gone by the time somebody looks */
static void a_kill_is_resolved_without_the_claim(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .version = LINUX_6_12, .half = n % 2 };

		scene_open(&scene);
		more = killed_at(&scene, &scene.b, apply, n);
		guest_remove(&scene.b);
		assert_int_equal(undo(&scene.c), HELPER_DONE);
		assert_as_before_b();
		assert_back_after(&scene);
		scene_close(&scene);
	}
}

/* --- A kernel that brings more than it was asked for ------------------------------------------ */

#define LATE 7

/* It counts what a database takes of node 1 meanwhile as missing on node 0 */
static void miscounted_scene_open(struct scene *scene, unsigned long long on_node0,
				  const char *needs)
{
	boot(LINUX_6_1, on_node0, 3);
	kernel->late = LATE;
	guest_make(&scene->a, UUID_A, "a", "started", "2048 0 20");
	guest_make(&scene->b, UUID_B, "b", "started", needs);
	guest_make(&scene->c, UUID_C, "c", "started", "2048 0 40");
}

/* The database ends, if it ever came */
static void assert_miscounted_back(unsigned long long on_node0, unsigned long long late)
{
	if (kernel->late == 0)
		exit_with(1, late);
	kernel->late = 0;
	assert_int_equal(node2m(0)->nr, on_node0);
	assert_int_equal(node2m(0)->surplus, 0);
	assert_pool(1, 3, 3, 0);
	assert_no_ledger();
}

static void a_kill_between_a_miscounted_write_and_its_correction_is_undone_exactly(void **state)
{
	unsigned long long n;
	bool more = true;

	(void)state;
	for (n = 1; more; n++) {
		struct scene scene = { 0 };

		for (int half = 0; half < 2; half++) {
			scene.half = half;
			miscounted_scene_open(&scene, 10, "2048 0 80");
			more = killed_at(&scene, &scene.b, apply, n);
			assert_int_equal(undo(&scene.b), HELPER_DONE);
			assert_miscounted_back(10, LATE);
			scene_close(&scene);
		}
	}
	assert_true(n > 8);
}

/* The kernel adds pages where some were to be taken off */
static void a_kill_at_a_miscounted_write_down_is_undone_exactly(void **state)
{
	unsigned long long n;
	bool more = true;

	(void)state;
	for (n = 1; more; n++) {
		struct scene scene = { 0 };

		miscounted_scene_open(&scene, 100, "2048 0 180");
		kernel->late = 0;
		assert_int_equal(apply(&scene.b), HELPER_DONE);
		kernel->late = 90;
		more = killed_at(&scene, &scene.b, undo, n);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_miscounted_back(100, 90);
		scene_close(&scene);
	}
	assert_true(n > 4);
}

static void a_kill_at_a_miscounted_write_is_resolved_by_the_next_guest(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .half = n % 2 };

		miscounted_scene_open(&scene, 10, "2048 0 80");
		more = killed_at(&scene, &scene.b, apply, n);
		guest_remove(&scene.b);
		assert_int_equal(apply(&scene.c), HELPER_DONE);
		assert_true(node2m(0)->free >= 40);
		assert_int_equal(undo(&scene.c), HELPER_DONE);
		assert_miscounted_back(10, LATE);
		scene_close(&scene);
	}
}

/* Whoever looks then sees his number */
static void what_an_admin_has_set_after_a_kill_stays(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { .half = n % 2 };
		unsigned long long set;

		miscounted_scene_open(&scene, 10, "2048 0 80");
		more = killed_at(&scene, &scene.b, apply, n);
		admin_sets(0, 300);
		set = node2m(0)->nr;
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_miscounted_back(set, LATE);
		scene_close(&scene);
	}
}

/* --- A page of 1 GiB, which a child makes ----------------------------------------------------- */

enum victim {
	ONE,	/* who is at it */
	BOTH,	/* and who waits for it */
	WAITER, /* that one alone: the write goes on */
	NR_VICTIMS,
};

/* On a machine under load a page has its time, too, and so has who waits for its end */
static const struct helper patient = {
	.name = HUGEPAGES_SECTION,
	.apply_timeout_ms = 60000,
	.undo_timeout_ms = 60000,
};

static void huge_scene_open(struct scene *scene)
{
	boot(LINUX_6_12, 10, 3);
	size1g()->nodes[0] = (struct fake_node){ .nr = 1, .free = 1, .room = 2 };
	render();
	guest_make(&scene->a, UUID_A, "a", "started", "2048 1 5");
	guest_make(&scene->b, UUID_B, "b", "started", "2048 0 20;1048576 0 3");
	guest_make(&scene->c, UUID_C, "c", "started", "2048 1 20");
	scene->b.ctx.helper = &patient;
	kernel->huge_ms = 20;
}

static int apply_huge(struct guest *guest)
{
	guest->ctx.deadline = deadline_in(60000);
	return (int)hugepages_apply(&guest->ctx);
}

/* Return: false when nobody came so far */
static bool struck(struct guest *guest, int (*verb)(struct guest *), unsigned long long n,
		   enum victim victim)
{
	pid_t pid;

	kernel->ops = 0;
	kernel->kill_at = n;
	kernel->half = n % 2;
	kernel->spare = victim == WAITER;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		kernel->kill_main = victim == ONE ? 0 : getpid();
		_exit(verb(guest));
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	kernel->kill_at = 0;
	kernel->kill_main = 0;
	kernel->half = false;
	return kernel->ops >= n;
}

static void assert_huge_as_before(void)
{
	assert_pool(0, 10, 10, 0);
	assert_pool(1, 3, 3, 0);
	assert_int_equal(size1g()->nodes[0].nr, 1);
	assert_int_equal(size1g()->nodes[0].free, 1);
	assert_int_equal(kernel->met, 0);
	assert_no_ledger();
}

static void huge_pages_are_undone_exactly(int (*verb)(struct guest *), enum victim victim)
{
	bool more = true;
	unsigned long long n;

	for (n = 1; more; n++) {
		struct scene scene = { 0 };

		huge_scene_open(&scene);
		if (verb == undo)
			assert_int_equal(apply_huge(&scene.b), HELPER_DONE);
		more = struck(&scene.b, verb, n, victim);
		scene.b.ctx.deadline = deadline_in(60000);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_huge_as_before();
		scene_close(&scene);
	}
	assert_true(n > 5);
}

static void a_kill_at_a_page_of_1_gib_is_undone_exactly(void **state)
{
	(void)state;
	for (int victim = 0; victim < NR_VICTIMS; victim++) {
		huge_pages_are_undone_exactly(apply_huge, (enum victim)victim);
		huge_pages_are_undone_exactly(undo, (enum victim)victim);
	}
}

/* The child that makes it has no ledger to note in what the kernel has miscounted */
static void a_kill_at_a_miscounted_page_of_1_gib_is_undone_exactly(void **state)
{
	(void)state;
	for (int victim = 0; victim < NR_VICTIMS; victim++) {
		bool more = true;

		for (unsigned long long n = 1; more; n++) {
			struct scene scene = { 0 };

			huge_scene_open(&scene);
			kernel->version = LINUX_6_1;
			size1g()->nodes[0].room = 4;
			guest_free(&scene.b);
			guest_make(&scene.b, UUID_B, "b", "started", "1048576 0 2");
			scene.b.ctx.helper = &patient;
			kernel->late = 1;
			more = struck(&scene.b, apply_huge, n, (enum victim)victim);
			scene.b.ctx.deadline = deadline_in(60000);
			assert_int_equal(undo(&scene.b), HELPER_DONE);
			assert_int_equal(size1g()->nodes[1].nr, kernel->late ? 0 : 1);
			assert_huge_as_before();
			scene_close(&scene);
		}
	}
}

/* Whoever writes may be at it still */
static void a_kill_at_a_page_of_1_gib_is_resolved_without_the_claim(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { 0 };
		long long deadline = deadline_in(60000);

		huge_scene_open(&scene);
		more = struck(&scene.b, apply_huge, n, n % 2 ? WAITER : BOTH);
		guest_remove(&scene.b);
		assert_int_equal(undo(&scene.c), HELPER_DONE);
		while (attr_exists(host->rootfd, "run/usher/host/hugepages.ini") > 0 &&
		       deadline_left(deadline)) {
			(void)poll(NULL, 0, 5);
			assert_int_equal(undo(&scene.c), HELPER_DONE);
		}
		assert_huge_as_before();
		scene_close(&scene);
	}
}

static void a_kill_at_a_page_of_1_gib_is_completed_by_applying_again(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long long n = 1; more; n++) {
		struct scene scene = { 0 };

		huge_scene_open(&scene);
		more = struck(&scene.b, apply_huge, n, n % 2 ? WAITER : BOTH);
		assert_int_equal(apply(&scene.c), HELPER_DONE);
		assert_int_equal(apply_huge(&scene.b), HELPER_DONE);
		scene.b.ctx.deadline = deadline_in(60000);
		assert_int_equal(size1g()->nodes[0].free, 3);
		assert_int_equal(undo(&scene.b), HELPER_DONE);
		assert_int_equal(undo(&scene.c), HELPER_DONE);
		assert_huge_as_before();
		scene_close(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(a_kill_in_apply_is_undone_exactly),
		kernel_test(a_kill_in_apply_is_resolved_by_the_next_guest),
		kernel_test(a_kill_in_apply_is_completed_by_applying_again),
		kernel_test(a_kill_in_undo_is_completed_by_undoing_again),
		kernel_test(a_kill_in_settle_is_made_good_at_the_end),
		kernel_test(a_kill_costs_no_other_guest_a_page),
		kernel_test(two_kills_are_undone_exactly),
		kernel_test(a_kill_is_resolved_without_the_claim),
		kernel_test(a_kill_between_a_miscounted_write_and_its_correction_is_undone_exactly),
		kernel_test(a_kill_at_a_miscounted_write_down_is_undone_exactly),
		kernel_test(a_kill_at_a_miscounted_write_is_resolved_by_the_next_guest),
		kernel_test(what_an_admin_has_set_after_a_kill_stays),
		kernel_test(a_kill_at_a_page_of_1_gib_is_undone_exactly),
		kernel_test(a_kill_at_a_miscounted_page_of_1_gib_is_undone_exactly),
		kernel_test(a_kill_at_a_page_of_1_gib_is_resolved_without_the_claim),
		kernel_test(a_kill_at_a_page_of_1_gib_is_completed_by_applying_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
