/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_faults_test.c - what cannot be found out about monitors is handed on, and said */
/* wraps: i2c_open i2c_write_at i2c_read_at module_load spawn_detached */
/* wraps: process_identify process_alive process_name */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
#include "faults.h"

#include "i2c_tree.h"
#include "printed.h"

#include "fake_i2c.h"
#include "helpers/display/bus.h"
#include "helpers/display/display.h"
#include "lib/module.h"
#include "lib/spawn.h"

#include "real_process.h"

#define UUID	"1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define CLAIM	"run/usher/" UUID "/claim.ini"
#define JOURNAL "run/usher/" UUID "/display.journal"

static int module_result;
static pid_t spawn_result; /* < 0: no process can be started */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_module_load(int rootfd, const char *name, int timeout_ms);
int __wrap_module_load(int rootfd, const char *name, int timeout_ms)
{
	(void)rootfd, (void)name, (void)timeout_ms;
	return module_result;
}

pid_t __real_spawn_detached(const int *keep, size_t nr_keep);
pid_t __wrap_spawn_detached(const int *keep, size_t nr_keep);
pid_t __wrap_spawn_detached(const int *keep, size_t nr_keep)
{
	return spawn_result < 0 ? spawn_result : __real_spawn_detached(keep, nr_keep);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static struct tree *tree;
static char said[4096], printed_text[4096];

/* Two buses, one with a connector and a monitor */
static int setup(void **state)
{
	if (tree_setup(state) < 0 || fake_i2c_setup() < 0)
		return -1;
	tree = *state;
	module_result = 0;
	spawn_result = 0;
	i2c_tree_gpu(tree, 4, 2);
	i2c_tree_connector(tree, "card0-HDMI-A-1", 5);
	(void)fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");
	return 0;
}

static int teardown(void **state)
{
	return fake_i2c_teardown() < 0 ? -1 : tree_teardown(state);
}

static int run(int argc, const char *const *words)
{
	const char *argv[8] = { "usher-display", "--root", tree->dir };
	struct printed out, err;
	int r;

	for (int i = 0; i < argc; i++)
		argv[3 + i] = words[i];
	optind = 0;
	printed_begin(&out, STDOUT_FILENO);
	printed_begin(&err, STDERR_FILENO);
	r = helper_dispatch(3 + argc, (char **)(uintptr_t)argv, &display_helper);
	(void)printed_end(&err, said, sizeof(said));
	(void)printed_end(&out, printed_text, sizeof(printed_text));
	return r;
}

static int list(void)
{
	return run(1, (const char *const[]){ "list" });
}

static void no_bus_is_left_out_for_want_of_memory(void **state)
{
	int r = -ENOMEM;

	(void)state;
	for (int n = 0; r == -ENOMEM; n++) {
		_cleanup_bus_list_ struct bus_list buses = { 0 };

		faults_begin(FAULT_MEMORY, n, ENOMEM);
		r = buses_find(tree->rootfd, NULL, &buses);
		if (faults_end()) {
			assert_int_equal(r, -ENOMEM);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(buses.nr, 2);
		assert_string_equal(buses.buses[1].connector, "card0-HDMI-A-1");
		assert_true(n > 3);
	}
}

static void list_shows_the_monitor_or_says_why_not(void **state)
{
	bool hit = true;
	int r, told = 0;

	(void)state;
	for (int n = 0; hit; n++) {
		faults_begin(FAULT_MEMORY, n, ENOMEM);
		r = list();
		hit = faults_end();
		told += strstr(said, "usher: cannot look for monitors: Cannot allocate memory: "
				     "see i2cdetect -l, and free -m\n") == said;
		if (r != (strstr(printed_text, "DEL:a0c4:JK9X") ? HELPER_DONE : HELPER_FAILED) ||
		    (r != HELPER_DONE && !*said)) {
			faults_where();
			fail_msg("fault %d: %d, says %s and %s", n, r, printed_text, said);
		}
	}
	assert_true(told > 3);
	assert_int_equal(r, HELPER_DONE);
}

static void buses_that_nobody_could_ask_are_not_empty(void **state)
{
	(void)state;
	spawn_result = -EAGAIN;
	assert_int_equal(list(), HELPER_FAILED);
	assert_string_equal(
		said, "usher: cannot read i2c-4: Resource temporarily unavailable\n"
		      "usher: cannot read i2c-5: Resource temporarily unavailable\n"
		      "usher: not all monitors are shown: see the lines above, and ulimit -u\n");
	assert_string_equal(printed_text, "");
}

static void a_host_without_i2c_dev_is_told_what_to_load(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "sys/class/i2c-dev", AT_REMOVEDIR), 0);
	module_result = -ENOENT;
	assert_int_equal(list(), HELPER_FAILED);
	assert_string_equal(said, "usher: cannot load i2c-dev: this kernel has no such module: "
				  "modprobe i2c-dev, as root, says more\n");
	module_result = -EPERM;
	assert_int_equal(list(), HELPER_FAILED);
	assert_string_equal(said, "usher: cannot load i2c-dev: Operation not permitted: modprobe "
				  "i2c-dev, as root, says more\n");
}

/* Its owner is this process */
static void write_claim(const char *claim_state)
{
	struct process self;
	char text[512];

	assert_int_equal(process_identify(-1, getpid(), &self), 0);
	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
		       "\nstate = %s\nowner = %d %llu\nrequired =\n"
		       "[display]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n",
		       claim_state, (int)self.pid, self.start_time);
	tree_file(tree, CLAIM, text);
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
}

static int check(void)
{
	char claim[128];

	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	return run(2, (const char *const[]){ "check", claim });
}

static void a_start_that_can_look_at_no_monitor_says_why(void **state)
{
	(void)state;
	write_claim("preparing");
	spawn_result = -EAGAIN;
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: cannot look for monitors: Resource temporarily "
				  "unavailable: see ulimit -u\n");
}

static void check_finds_the_monitor_or_says_why_not(void **state)
{
	static const struct {
		enum fault kind;
		int error;
	} kinds[] = { { FAULT_MEMORY, ENOMEM }, { FAULT_READ, EIO } };

	(void)state;
	write_claim("running");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool hit = true;
		int r = HELPER_FAILED;

		for (int n = 0; hit; n++) {
			faults_begin(kinds[i].kind, n, kinds[i].error);
			r = check();
			hit = faults_end();
			if (r == HELPER_DONE || *said)
				continue;
			faults_where();
			fail_msg("fault %d: exit %d, and nothing said", n, r);
		}
		assert_int_equal(r, HELPER_DONE);
	}
}

static int on_claim(const char *verb)
{
	char claim[128];

	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	return run(2, (const char *const[]){ verb, claim });
}

/* What is not as it was to be is said, and the next undo has the host's input again */
static void each_fault_of(const char *verb, enum fault kind, int error)
{
	bool hit = true;

	for (int n = 0; hit; n += faults_every()) {
		int r;

		write_claim("running");
		if (strcmp(verb, "apply") != 0)
			assert_int_equal(on_claim("apply"), HELPER_DONE);
		faults_begin(kind, n, error);
		r = on_claim(verb);
		hit = faults_end();
		if (r != HELPER_DONE && !*said) {
			faults_where();
			fail_msg("%s: fault %d: exit %d, and nothing said", verb, n, r);
		}
		r = on_claim("undo");
		if (r != HELPER_DONE || attr_exists(tree->rootfd, JOURNAL) != 0) {
			faults_where();
			fail_msg("%s: fault %d: then undo: exit %d, says %s", verb, n, r, said);
		}
	}
}

static void each_fault_of_apply_is_said_and_undone(void **state)
{
	(void)state;
	each_fault_of("apply", FAULT_MEMORY, ENOMEM);
	each_fault_of("apply", FAULT_READ, EIO);
}

static void each_fault_of_undo_is_said_and_done_by_the_next(void **state)
{
	(void)state;
	each_fault_of("undo", FAULT_MEMORY, ENOMEM);
	each_fault_of("undo", FAULT_READ, EIO);
}

#define display_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		display_test(no_bus_is_left_out_for_want_of_memory),
		display_test(list_shows_the_monitor_or_says_why_not),
		display_test(buses_that_nobody_could_ask_are_not_empty),
		display_test(a_host_without_i2c_dev_is_told_what_to_load),
		display_test(a_start_that_can_look_at_no_monitor_says_why),
		display_test(each_fault_of_apply_is_said_and_undone),
		display_test(each_fault_of_undo_is_said_and_done_by_the_next),
		display_test(check_finds_the_monitor_or_says_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
