/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/display_apply_test.c - usher-display with monitors of every character */
/* wraps: i2c_open i2c_write_at i2c_read_at process_alive process_identify process_name module_load log_line */
/* wraps: switcher_wait */
#include "i2c_tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fake_i2c.h"
#include "helpers/display/switcher.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/module.h"
#include "lib/step.h"
#include "real_process.h"

#define UUID	 "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define UUID2	 "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define UUID3	 "3b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define HOME	 "run/usher/" UUID
#define JOURNAL	 HOME "/display.journal"
#define JOURNAL2 "run/usher/" UUID2 "/display.journal"
#define JOURNAL3 "run/usher/" UUID3 "/display.journal"
#define LONG_MS	 20000

static struct tree *tree;
static struct process qemu;
static struct fake_monitor *monitor;
static const char *required = "";
static pid_t started[32]; /* stand-ins for QEMU */
static size_t nr_started;
static bool impatient; /* looks at a switched monitor every 20 ms, not every 2 s */

/* --- What is wrapped ---------------------------------------------------------------------------- */

int __wrap_module_load(int rootfd, const char *name, int timeout_ms);
int __wrap_module_load(int rootfd, const char *name, int timeout_ms)
{
	(void)rootfd, (void)name, (void)timeout_ms;
	return -ENOENT;
}

/* Those after the switch: the search's do not cross a file */
int __real_switcher_wait(const struct switcher *switcher, int ms);
int __wrap_switcher_wait(const struct switcher *switcher, int ms);
int __wrap_switcher_wait(const struct switcher *switcher, int ms)
{
	return __real_switcher_wait(switcher, impatient ? ms / 100 : ms);
}

void __wrap_log_line(int rootfd, int priority, const char *fmt, ...) _printf_(3, 4);
void __wrap_log_line(int rootfd, int priority, const char *fmt, ...)
{
	_cleanup_close_ int fd =
		openat(rootfd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char line[1024];
	va_list args;
	int len;

	(void)priority;
	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	line[len] = '\n';
	(void)!write(fd, line, (size_t)len + 1);
}

/* --- What the test sees and does ------------------------------------------------------------------ */

static int run_for(const char *uuid, const char *verb, bool dry)
{
	char claim[128], arg0[] = "usher-display", root[] = "--root", dry_word[] = "--dry-run";
	char word[16];
	char *argv[] = { arg0,
			 root,
			 tree->dir,
			 dry ? dry_word : word,
			 dry ? word : claim,
			 dry ? claim : NULL,
			 NULL };

	(void)snprintf(word, sizeof(word), "%s", verb);
	(void)snprintf(claim, sizeof(claim), "%s/run/usher/%s/claim.ini", tree->dir, uuid);
	optind = 0;
	return helper_dispatch(dry ? 6 : 5, argv, &display_helper);
}

static int run(const char *verb)
{
	return run_for(UUID, verb, false);
}

static int run_list(void)
{
	char arg0[] = "usher-display", root[] = "--root", list[] = "list";
	char *argv[] = { arg0, root, tree->dir, list, NULL };

	optind = 0;
	return helper_dispatch(4, argv, &display_helper);
}

static struct process start_qemu(void)
{
	struct process process;
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(nr_started < ARRAY_SIZE(started));
	started[nr_started++] = pid;
	assert_int_equal(process_identify(-1, pid, &process), 0);
	return process;
}

static void write_claim_of(const char *uuid, const char *guest, const char *state,
			   const struct process *owner, const char *display)
{
	char path[128], text[2048];

	(void)snprintf(path, sizeof(path), "run/usher/%s/claim.ini", uuid);
	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = %s\nuuid = %s\nstate = %s\nowner = %d %llu\n"
		       "required = %s\n%s",
		       guest, uuid, state, (int)owner->pid, owner->start_time, required, display);
	tree_file(tree, path, text);
}

static void write_claim(const char *state, const char *display)
{
	write_claim_of(UUID, "win11", state, &qemu, display);
}

#define LEFT                                                                                       \
	"[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\nhost_input = 15\n"             \
	"delay_ms = 0\ntimeout_ms = 5000\n"

static const char *log_text(void)
{
	return attr_exists(tree->rootfd, "log") == 1 ? tree_read(tree, "log") : "";
}

/* The log is the switcher's last word; it may come a moment after the deed */
static bool wait_log(const char *text)
{
	long long deadline = deadline_in(LONG_MS);

	while (!strstr(log_text(), text) && deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	return strstr(log_text(), text) != NULL;
}

static bool wait_input(const struct fake_monitor *which, uint8_t input)
{
	long long deadline = deadline_in(LONG_MS);

	while (__atomic_load_n(&which->input, __ATOMIC_SEQ_CST) != input &&
	       deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	return which->input == input;
}

/* Wait for every detached process of ours: they are our children here */
static void wait_switchers(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) >= 0)
		if (pid == 0)
			(void)poll(NULL, 0, 5);
}

/* The one child that a check in a start leaves behind; QEMU lives on */
static void wait_looker(void)
{
	assert_true(waitpid(-1, NULL, 0) > 0);
}

static bool exists(const char *path)
{
	return attr_exists(tree->rootfd, path) == 1;
}

static char said[4096];

static int redirect_begin(int stream)
{
	int saved = dup(stream), fd;

	(void)fflush(NULL);
	tree_file(tree, "said", "");
	fd = openat(tree->rootfd, "said", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(saved >= 0 && fd >= 0);
	assert_true(dup2(fd, stream) >= 0);
	(void)close(fd);
	return saved;
}

static void redirect_end(int stream, int saved)
{
	(void)fflush(NULL);
	assert_true(dup2(saved, stream) >= 0);
	(void)close(saved);
	(void)snprintf(said, sizeof(said), "%s", tree_read(tree, "said"));
}

/* What is printed while @call runs */
#define RUN_SAYING(stream, call)                                                                   \
	({                                                                                         \
		int saved_ = redirect_begin(stream), r_ = (call);                                  \
		redirect_end(stream, saved_);                                                      \
		r_;                                                                                \
	})

static int setup(void **state)
{
	char path[128];

	if (tree_setup(state) < 0 || fake_i2c_setup() < 0)
		return -1;
	tree = *state;
	impatient = false;
	qemu = start_qemu();
	i2c_tree_gpu(tree, 4, 4);
	i2c_tree_connector(tree, "card0-DP-1", 5);
	monitor = fake_monitor_add(5, "DEL", 0xa0c4, "JK9X");
	write_claim("running", LEFT);
	(void)snprintf(path, sizeof(path), "%s/run/usher", tree->dir);
	return chmod(path, 0700);
}

static int teardown(void **state)
{
	/* Those that a test which failed has left, too */
	for (size_t i = 0; i < nr_started; i++)
		if (waitpid(started[i], NULL, WNOHANG) == 0)
			(void)kill(started[i], SIGKILL);
	nr_started = 0;
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	return fake_i2c_teardown() < 0 ? -1 : tree_teardown(state);
}

/* --- apply ------------------------------------------------------------------------------------------ */

static void a_monitor_follows_the_guest_and_comes_back(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_int_equal(monitor->sets, 2);
	assert_false(exists(JOURNAL));
}

static void apply_returns_at_once_whatever_the_monitor_does(void **state)
{
	long long start = now_ms();

	(void)state;
	monitor->hangs = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(now_ms() - start < 1000);
	kill(qemu.pid, SIGKILL);
}

static void the_journal_names_the_bus_before_the_bytes_are_on_it(void **state)
{
	(void)state;
	/* So that the switch itself cannot succeed */
	write_claim("running", LEFT "source_address = 80\n");
	monitor->source = 81;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17, on i2c-5; the host's is 15"));
	assert_non_null(strstr(tree_read(tree, JOURNAL), "switch 5:80:display%20left 15 17\n"));
}

static void it_waits_until_the_guest_can_show_something(void **state)
{
	long long start = now_ms();

	(void)state;
	write_claim("running", "[display]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 400\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_true(now_ms() - start >= 400);
}

static void apply_twice_switches_once(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	/* What the user has chosen since */
	monitor->input = 3;
	assert_int_equal(run("apply"), HELPER_DONE);
	kill(qemu.pid, SIGKILL);
	wait_switchers();
	assert_int_equal(monitor->input, 3);
	assert_int_equal(monitor->sets, 1);
}

static void a_connector_is_as_good_as_an_identity(void **state)
{
	(void)state;
	write_claim("running", "[display]\nmonitor = card0-DP-1\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 0\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
}

static void several_monitors_are_switched_side_by_side(void **state)
{
	struct fake_monitor *right = fake_monitor_add(6, "DEL", 0xa0c4, "RIGHT");

	(void)state;
	write_claim("running", LEFT "[display right]\nmonitor = DEL:a0c4:RIGHT\nguest_input = 18\n"
				    "host_input = 16\ndelay_ms = 0\n");
	right->input = 16;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_true(wait_input(right, 18));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_int_equal(right->input, 16);
}

static void a_slow_monitor_that_misses_its_first_tries_is_switched(void **state)
{
	(void)state;
	monitor->naks = 5;
	monitor->slow_ms = 60;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
}

static void a_bus_that_hangs_does_not_keep_the_other_from_switching(void **state)
{
	struct fake_monitor *hung = fake_monitor_add(4, "GSM", 1, "HUNG");

	(void)state;
	hung->hangs = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
}

/* The one that waits for its time to switch, as the journal has it */
static pid_t wait_enrolled(void)
{
	static const char verb[] = " switcher display%20left ";
	long long deadline = deadline_in(LONG_MS);
	const char *at = NULL;

	while (!at && deadline_left(deadline) > 0) {
		(void)poll(NULL, 0, 5);
		at = exists(JOURNAL) ? strstr(tree_read(tree, JOURNAL), verb) : NULL;
	}
	assert_non_null(at);
	return (pid_t)strtol(at + strlen(verb), NULL, 10);
}

static size_t count_open(pid_t pid)
{
	_cleanup_strlist_ struct strlist fds = { 0 };
	int root = root_open("/");
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/fd", (int)pid);
	assert_int_equal(attr_list(root, path, &fds), 0);
	(void)close(root);
	return fds.nr;
}

static void a_bus_that_hangs_is_not_kept_open_by_who_goes_on(void **state)
{
	struct fake_monitor *hung = fake_monitor_add(4, "GSM", 1, "HUNG");

	(void)state;
	hung->hangs = true;
	write_claim("running", "[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 60000\ntimeout_ms = 5000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	/* Standard streams, root, claims, claim, QEMU; a journal or lock for the moment */
	assert_in_range(count_open(wait_enrolled()), 7, 9);
	(void)poll(NULL, 0, 100);
	assert_int_equal(count_open(wait_enrolled()), 7);
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void a_bus_that_comes_late_is_looked_at(void **state)
{
	(void)state;
	assert_int_equal(run("undo"), HELPER_DONE);
	write_claim("running", "[display left]\nmonitor = DEL:a0c4:LATE\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 0\ntimeout_ms = 15000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)poll(NULL, 0, 300);
	monitor = fake_monitor_add(9, "DEL", 0xa0c4, "LATE");
	i2c_tree_bus(tree, "pci0000:00/" I2C_GPU, 9, "DPMST\n");
	assert_true(wait_input(monitor, 17));
}

static void a_monitor_without_ddc_is_told_so(void **state)
{
	(void)state;
	monitor->silent = true;
	write_claim("running", "[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 0\ntimeout_ms = 1000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("not switched to input 17: it does not answer to DDC/CI: switch "
			     "DDC/CI on in its menu"));
}

static void a_hang_that_begins_at_the_switch_is_nobody_elses(void **state)
{
	struct fake_monitor *right = fake_monitor_add(6, "DEL", 0xa0c4, "RIGHT");
	long long start;

	(void)state;
	monitor->hangs_at_set = true;
	write_claim("running", LEFT "[display right]\nmonitor = DEL:a0c4:RIGHT\nguest_input = 18\n"
				    "host_input = 15\ndelay_ms = 0\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(right, 18));
	while (!strstr(tree_read(tree, JOURNAL), " switch 5:81:"))
		(void)poll(NULL, 0, 5);
	start = now_ms();
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
	assert_true(now_ms() - start < 2500);
	assert_non_null(strstr(said, "[display left] the monitor on i2c-5 did not take input 15 "
				     "back: Connection timed out"));
	assert_int_equal(right->input, 15);
	assert_true(exists(JOURNAL));
}

static void the_hosts_input_is_read_when_nobody_named_it(void **state)
{
	(void)state;
	monitor->input = 27;
	monitor->garbled = 1;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\ndelay_ms = 0\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 27);
}

static void a_monitor_nobody_could_switch_back_is_not_switched(void **state)
{
	(void)state;
	monitor->unsupported = true;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\ndelay_ms = 0\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("win11: monitor DEL: not switched to input 17: it does not say which "
			     "input the host is on, and nobody could switch it back: set "
			     "host_input\n"));
	assert_int_equal(monitor->sets, 0);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->sets, 0);
}

#define NO_HOST "[display]\nmonitor = DEL\nguest_input = 17\ndelay_ms = 0\n"

static void one_that_shows_the_guests_input_already_is_not_switched(void **state)
{
	(void)state;
	monitor->input = 17;
	write_claim("running", NO_HOST);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: [display] monitor DEL on i2c-5 shows guest_input "
				  "17 already, so nobody knows which input the host is on: set "
				  "host_input\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("not switched to input 17: it shows the guest's input already, so "
			     "nobody knows which one is the host's: set host_input\n"));
	assert_int_equal(monitor->sets, 0);
	/* Once it is named, there is nothing to say */
	write_claim("running", NO_HOST "host_input = 15\n");
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_string_equal(said, "");
}

static void check_while_the_guest_is_shown_knows_the_hosts_input(void **state)
{
	(void)state;
	write_claim("running", NO_HOST);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17, on i2c-5; the host's is 15"));
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_string_equal(said, "");
}

static void two_that_answer_to_one_identity_are_both_left_alone(void **state)
{
	(void)state;
	(void)fake_monitor_add(6, "DEL", 0xa0c4, "JK9X");
	write_claim("running", "[display]\nmonitor = DEL:a0c4\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("several monitors answer to this"));
	assert_int_equal(monitor->sets, 0);
}

static void one_that_is_not_there_is_looked_for_until_the_timeout(void **state)
{
	long long start = now_ms();

	(void)state;
	write_claim("running", "[display]\nmonitor = GSM\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\ntimeout_ms = 600\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("no bus answers with this identity"));
	assert_true(now_ms() - start >= 600);
}

static void one_that_comes_late_is_found(void **state)
{
	(void)state;
	monitor->there = false;
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)poll(NULL, 0, 300);
	assert_int_equal(monitor->sets, 0);
	monitor->there = true;
	assert_true(wait_input(monitor, 17));
}

static void a_ddc_address_a_driver_holds_is_named(void **state)
{
	(void)state;
	monitor->busy = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("a kernel driver holds its DDC address: unload ddcci"));
}

static void the_guests_end_before_the_switch_ends_it(void **state)
{
	(void)state;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 600000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	kill(qemu.pid, SIGKILL);
	wait_switchers();
	assert_int_equal(monitor->sets, 0);
	assert_string_equal(log_text(), "");
}

static void a_claim_that_is_not_running_switches_nothing(void **state)
{
	(void)state;
	write_claim("ending", LEFT);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("apply")), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: no monitor is switched: the claim is ending, not "
				  "running\n");
	assert_false(exists(JOURNAL));
}

static void a_dry_run_prints_and_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(RUN_SAYING(STDOUT_FILENO, run_for(UUID, "apply", true)), HELPER_DONE);
	assert_string_equal(said, "write input 17 to monitor DEL:a0c4:JK9X after 0 ms, and 15 when "
				  "the guest ends\n");
	assert_false(exists(JOURNAL));
	tree_file(tree, JOURNAL, "1 switch 5:81:display%20left 15 17\n");
	assert_int_equal(RUN_SAYING(STDOUT_FILENO, run_for(UUID, "undo", true)), HELPER_DONE);
	assert_string_equal(said, "write input 15 to the monitor on i2c-5\n");
	assert_true(exists(JOURNAL));
	assert_int_equal(monitor->sets, 0);
}

/* --- undo ------------------------------------------------------------------------------------------- */

static void undo_before_the_switch_keeps_it_from_happening(void **state)
{
	(void)state;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 600000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	/* The switcher has ended although the guest has not, enrolled or not */
	assert_int_not_equal(waitpid(-1, NULL, 0), qemu.pid);
	assert_int_equal(process_alive(-1, &qemu), 1);
	assert_int_equal(monitor->sets, 0);
	assert_false(exists(JOURNAL));
}

static void undo_while_the_monitor_is_looked_for_keeps_the_switch_from_happening(void **state)
{
	(void)state;
	monitor->slow_ms = 400;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_null(strstr(tree_read(tree, JOURNAL), " switcher "));
	assert_int_equal(run("undo"), HELPER_DONE);
	/* Nobody could end it; it goes by itself, and leaves nothing */
	assert_int_not_equal(waitpid(-1, NULL, 0), qemu.pid);
	assert_int_equal(monitor->edids, 1);
	assert_int_equal(monitor->sets, 0);
	assert_false(exists(JOURNAL));
}

static void a_switcher_that_waits_is_known_to_undo(void **state)
{
	long long deadline = deadline_in(LONG_MS);

	(void)state;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 600000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	while (!strstr(tree_read(tree, JOURNAL), " switcher ") && deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	assert_int_equal(run("undo"), HELPER_DONE);
	/* It was ended: it would have waited for ten minutes */
	assert_int_not_equal(waitpid(-1, NULL, 0), qemu.pid);
	assert_false(exists(JOURNAL));
}

static void undo_twice_and_undo_of_nothing_are_fine(void **state)
{
	(void)state;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->sets, 2);
}

static void the_way_back_is_written_blind(void **state)
{
	(void)state;
	tree_file(tree, JOURNAL,
		  "1 want display%20left 1 17\n2 switch 5:81:display%20left 15 17\n");
	monitor->edid[0] = 0xaa;
	monitor->input = 17;
	monitor->null_reply = true;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_int_equal(monitor->edids, 0);
	assert_int_equal(monitor->gets, 0);
}

static void the_way_back_has_the_vendors_source_address_too(void **state)
{
	(void)state;
	monitor->source = 80;
	write_claim("running", LEFT "source_address = 80\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
}

static void the_first_record_of_a_bus_has_what_was_before_us(void **state)
{
	(void)state;
	tree_file(tree, JOURNAL,
		  "1 switch 5:81:display%20left 15 17\n2 switch 5:81:display%20left 17 18\n");
	monitor->input = 18;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_int_equal(monitor->sets, 1);
}

static void a_monitor_that_does_not_come_back_is_tried_again_and_then_let_go(void **state)
{
	long long start = now_ms();

	(void)state;
	tree_file(tree, JOURNAL, "1 switch 5:81:display%20left 15 17\n");
	write_claim("ending", LEFT);
	monitor->silent = true;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
	assert_true(now_ms() - start < 2000);
	assert_string_equal(said, "usher: win11: [display left] the monitor on i2c-5 did not take "
				  "input 15 back: No such device or address: it is tried once more "
				  "at release\n");
	assert_true(exists(JOURNAL));
	write_claim("returning", LEFT);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_non_null(strstr(said, "use its own buttons"));
	assert_false(exists(JOURNAL));
}

static void a_bus_that_hangs_does_not_keep_the_others_from_coming_back(void **state)
{
	struct fake_monitor *hung = fake_monitor_add(6, "GSM", 1, "HUNG");
	long long start = now_ms();

	(void)state;
	tree_file(tree, JOURNAL,
		  "1 switch 6:81:display%20hung 15 17\n2 switch 5:81:display%20left 15 17\n"
		  "3 switch 5:81:display%20left 17 18\n");
	monitor->input = 17;
	hung->hangs = true;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
	assert_true(now_ms() - start < 2000);
	assert_int_equal(monitor->input, 15);
	assert_non_null(strstr(said, "[display hung] the monitor on i2c-6 did not take input 15 "
				     "back: Connection timed out"));
	assert_null(strstr(said, "i2c-5"));
	/* The next try is for the one that is left */
	hung->hangs = false;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(hung->sets, 1);
	assert_int_equal(monitor->sets, 1);
}

static void a_number_that_is_another_adapters_by_now_is_not_written_to(void **state)
{
	struct fake_monitor *memory = fake_monitor_add(9, "GSM", 1, "");

	(void)state;
	i2c_tree_pci(tree, "0000:00:1f.4", "0x0c0500\n");
	i2c_tree_bus(tree, "pci0000:00/0000:00:1f.4", 9, "SMBus I801\n");
	tree_file(tree, JOURNAL, "1 switch 9:81:display 15 17\n2 switch 88:81:display 15 17\n");
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
	assert_non_null(strstr(said, "i2c-9 did not take input 15 back: No such device"));
	assert_non_null(strstr(said, "i2c-88 did not take input 15 back: No such device"));
	assert_int_equal(memory->sets, 0);
}

static void a_journal_that_says_something_else_is_not_followed(void **state)
{
	static const char *const lines[] = {
		"1 switch 5:81 15 17\n",	"1 switch 5:256:x 15 17\n",
		"1 switch 5:81:x 256 17\n",	"1 switch 5:81:x 15 x\n",
		"1 switch x:81:x 15 17\n",	"1 switch 55555555555:81:x 15 17\n",
		"1 want display x 17\n",	"1 want display 1 256\n",
		"1 monitor x DEL card0-DP-1\n", "1 monitor 5 dell -\n",
		"1 monitor 5 DEL DP-1\n",	"1 shown 5:81 15 17\n",
		"1 switcher display 0x1 5\n",	"1 driver 0000:01:00.0 nvidia vfio-pci\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		tree_file(tree, JOURNAL, lines[i]);
		assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
		assert_non_null(strstr(said, "no monitor is touched"));
	}
	assert_int_equal(monitor->sets, 0);
}

static void a_process_that_merely_has_the_switchers_pid_is_left_alone(void **state)
{
	char text[128];

	(void)state;
	(void)snprintf(text, sizeof(text), "1 switcher display%%20left %d %llu\n", (int)qemu.pid,
		       qemu.start_time + 1);
	tree_file(tree, JOURNAL, text);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(process_alive(-1, &qemu), 1);
}

static void a_switcher_is_ended_before_the_way_back_is_written(void **state)
{
	char text[128];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "1 switcher display%%20left %d %llu\n2 switch 5:81:display%%20left 15 17\n",
		       (int)qemu.pid, qemu.start_time);
	tree_file(tree, JOURNAL, text);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(waitpid(qemu.pid, NULL, 0), qemu.pid);
	assert_int_equal(monitor->sets, 1);
}

static void switchers_that_do_not_end_are_waited_for_once(void **state)
{
	struct process hung[12];
	char text[2048];
	size_t len = 0;
	long long start;

	(void)state;
	(void)signal(SIGTERM, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(hung); i++) {
		hung[i] = start_qemu();
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%zu switcher display%%20%zu %d %llu\n", i + 1, i,
					(int)hung[i].pid, hung[i].start_time);
	}
	(void)signal(SIGTERM, SIG_DFL);
	tree_file(tree, JOURNAL, text);
	start = now_ms();
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_true(now_ms() - start < 1000);
	for (size_t i = 0; i < ARRAY_SIZE(hung); i++)
		assert_int_equal(waitpid(hung[i].pid, NULL, 0), hung[i].pid);
}

/* --- Two guests, one monitor --------------------------------------------------------------------- */

static struct process second;

#define SECOND "[display]\nmonitor = DEL\nguest_input = 18\nhost_input = 15\ndelay_ms = 0\n"

/* The first guest has it already; the second starts */
static void start_second(void)
{
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	/* Start times are told apart by clock ticks */
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second, SECOND);
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
	assert_true(wait_log("input 18"));
	assert_int_equal(monitor->input, 18);
}

static void end_second(void)
{
	(void)kill(second.pid, SIGKILL);
}

static void the_guest_that_started_last_has_the_monitor(void **state)
{
	(void)state;
	start_second();
	/* The first ends: it is the second's and stays so */
	write_claim("ending", LEFT);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 18);
	assert_false(exists(JOURNAL));
	/* The second ends: the host's */
	assert_int_equal(run_for(UUID2, "undo", false), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	end_second();
}

#define SLOW                                                                                       \
	"[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\nhost_input = 15\n"             \
	"delay_ms = 1000\ntimeout_ms = 5000\n"

/* The first guest is still black when the second has the monitor */
static void start_second_while_the_first_waits(void)
{
	write_claim("running", SLOW);
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second, SECOND);
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
}

static void the_last_started_has_it_whatever_the_delays(void **state)
{
	(void)state;
	start_second_while_the_first_waits();
	assert_true(wait_log("left to guest linux, which started later\n"));
	assert_int_equal(monitor->input, 18);
	assert_int_equal(monitor->sets, 1);
	/* The first ends, and leaves it; at the second's end it would have been the first's */
	write_claim("ending", SLOW);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 18);
	assert_int_equal(monitor->sets, 1);
	end_second();
}

static void one_that_was_left_to_a_later_guest_is_had_after_it(void **state)
{
	(void)state;
	start_second_while_the_first_waits();
	assert_true(wait_log("left to guest linux, which started later\n"));
	assert_int_equal(run_for(UUID2, "undo", false), HELPER_DONE);
	assert_int_equal(monitor->input, 17);
	end_second();
}

static void a_write_that_was_heard_after_the_later_guests_is_passed_on(void **state)
{
	long long deadline = deadline_in(LONG_MS);

	(void)state;
	monitor->silent = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	while (!strstr(tree_read(tree, JOURNAL), " switch ") && deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	/* Its gaps have grown by now */
	(void)poll(NULL, 0, 400);
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second, SECOND);
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
	while (!strstr(tree_read(tree, JOURNAL2), " switch ") && deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	monitor->silent = false;
	assert_true(wait_log("left to guest linux, which started later\n"));
	assert_int_equal(monitor->input, 18);
	end_second();
}

static void a_later_guest_that_found_it_silent_gets_it_at_our_end(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	monitor->silent = true;
	write_claim_of(UUID2, "linux", "running", &second, SECOND "timeout_ms = 300\n");
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
	assert_true(wait_log("not switched to input 18"));
	monitor->silent = false;
	write_claim("ending", LEFT);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 18);
	end_second();
}

static void at_the_end_of_the_last_it_goes_to_whoever_still_runs(void **state)
{
	(void)state;
	start_second();
	assert_int_equal(run_for(UUID2, "undo", false), HELPER_DONE);
	assert_int_equal(monitor->input, 17);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	end_second();
}

static void of_several_that_still_run_the_last_started_gets_it(void **state)
{
	struct process first = start_qemu();

	(void)state;
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	tree_file(tree, JOURNAL2, "1 switch 5:81:display 15 18\n");
	tree_file(tree, JOURNAL3, "1 switch 5:81:display 15 19\n");
	/* In whatever order the claims are read */
	for (int i = 0; i < 2; i++) {
		tree_file(tree, JOURNAL,
			  "1 want display%20left 18446744073709551615 17\n"
			  "2 switch 5:81:display%20left 15 17\n");
		write_claim_of(UUID2, "linux", "running", i ? &second : &first, SECOND);
		write_claim_of(UUID3, "bsd", "running", i ? &first : &second, SECOND);
		assert_int_equal(run("undo"), HELPER_DONE);
		assert_int_equal(monitor->input, i ? 18 : 19);
	}
	end_second();
	(void)kill(first.pid, SIGKILL);
}

static void another_guests_input_is_not_taken_for_the_hosts(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second,
		       "[display]\nmonitor = DEL\nguest_input = 18\ndelay_ms = 0\n");
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
	assert_true(wait_log("input 18, on i2c-5; the host's is 15"));
	end_second();
}

static void nor_is_that_of_a_guest_that_ends(void **state)
{
	static const char *const states[] = { "ending", "returning" };

	(void)state;
	second = start_qemu();
	tree_file(tree, JOURNAL2, "1 switch 5:81:display 15 18\n");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		monitor->input = 18;
		write_claim_of(UUID2, "linux", states[i], &second, SECOND);
		write_claim("running", NO_HOST);
		assert_int_equal(run("apply"), HELPER_DONE);
		assert_true(wait_log("input 17, on i2c-5; the host's is 15\n"));
		assert_int_equal(run("undo"), HELPER_DONE);
		assert_int_equal(monitor->input, 15);
		assert_int_equal(unlinkat(tree->rootfd, "log", 0), 0);
	}
	end_second();
}

static void a_dead_guest_has_no_say(void **state)
{
	(void)state;
	start_second();
	end_second();
	assert_int_equal(waitpid(second.pid, NULL, 0), second.pid);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
}

static void a_monitor_that_is_not_shared_is_left_to_the_guest_that_has_it(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second, SECOND "shared = no\n");
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run_for(UUID2, "check", false)), HELPER_FAILED);
	assert_string_equal(said,
			    "usher: linux: [display] monitor DEL shows guest win11: shut that "
			    "guest down first, or set shared = yes\n");
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
	assert_true(wait_log("linux: monitor DEL: left to guest win11, as shared = no has it\n"));
	assert_int_equal(run_for(UUID2, "undo", false), HELPER_DONE);
	assert_int_equal(monitor->input, 17);
	assert_int_equal(monitor->sets, 1);
	end_second();
}

static void one_that_somebody_gets_meanwhile_is_left_to_him(void **state)
{
	(void)state;
	write_claim("running", "[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 500\ntimeout_ms = 5000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second,
		       "[display]\nmonitor = DEL\nguest_input = 18\nhost_input = 15\n"
		       "delay_ms = 1500\nshared = no\n");
	assert_int_equal(run_for(UUID2, "apply", false), HELPER_DONE);
	assert_true(wait_log("linux: monitor DEL: left to guest win11, as shared = no has it\n"));
	assert_int_equal(monitor->input, 17);
	assert_int_equal(run_for(UUID2, "undo", false), HELPER_DONE);
	assert_int_equal(monitor->input, 17);
	end_second();
}

/* --- After the switch ------------------------------------------------------------------------------ */

static void a_monitor_that_falls_back_is_switched_again(void **state)
{
	(void)state;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\ntimeout_ms = 8500\n");
	monitor->falls_back = 1;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("monitor DEL: it has fallen back to input 15: switched again\n"));
	kill(qemu.pid, SIGKILL);
	wait_switchers();
	assert_int_equal(monitor->sets, 2);
	assert_int_equal(monitor->input, 17);
}

static void three_times_it_is_switched_again_then_the_user_has_the_last_word(void **state)
{
	long long deadline = deadline_in(LONG_MS);
	unsigned int gets;

	(void)state;
	impatient = true;
	monitor->falls_back = 100;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\ntimeout_ms = 20000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	while (__atomic_load_n(&monitor->sets, __ATOMIC_SEQ_CST) < 4 && deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	/* It has looked twice more, at least, and seen the host's input */
	gets = __atomic_load_n(&monitor->gets, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&monitor->gets, __ATOMIC_SEQ_CST) < gets + 5 &&
	       deadline_left(deadline) > 0)
		(void)poll(NULL, 0, 5);
	kill(qemu.pid, SIGKILL);
	wait_switchers();
	assert_int_equal(monitor->sets, 4);
	assert_int_equal(monitor->input, 15);
}

static void one_that_falls_back_is_the_later_guests_to_switch_again(void **state)
{
	(void)state;
	impatient = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	(void)poll(NULL, 0, 30);
	second = start_qemu();
	tree_file(tree, JOURNAL2, "1 switch 5:81:display 15 18\n");
	write_claim_of(UUID2, "linux", "running", &second, SECOND);
	monitor->input = 15;
	/* Our switcher ends, before either guest does */
	assert_int_not_equal(waitpid(-1, NULL, 0), qemu.pid);
	assert_int_equal(process_alive(-1, &qemu), 1);
	assert_int_equal(process_alive(-1, &second), 1);
	assert_int_equal(monitor->sets, 1);
	end_second();
}

static void one_that_falls_back_for_good_is_told_of(void **state)
{
	(void)state;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\ntimeout_ms = 4100\n");
	monitor->falls_back = 100;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(
		wait_log("monitor DEL: it falls back by itself: the guest's input has no signal; "
			 "raise delay, or see that the guest's cable is in input 17\n"));
}

static void a_bus_that_hangs_after_the_switch_is_not_called_deaf(void **state)
{
	(void)state;
	write_claim("running", "[display]\nmonitor = DEL\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\ntimeout_ms = 2000\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	monitor->hangs = true;
	assert_true(wait_log("i2c-5 has not answered since it shows the guest: Connection timed "
			     "out; if its input does not come back, there are its own buttons\n"));
	assert_null(strstr(log_text(), "active input only"));
}

static void what_the_user_chose_after_the_switch_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("input 17"));
	monitor->input = 3;
	while (__atomic_load_n(&monitor->gets, __ATOMIC_SEQ_CST) == 0)
		(void)poll(NULL, 0, 5);
	/* It does not look again */
	while (waitpid(-1, NULL, WNOHANG) == 0)
		(void)poll(NULL, 0, 5);
	assert_int_equal(monitor->input, 3);
	assert_int_equal(monitor->sets, 1);
	assert_null(strstr(log_text(), "fall"));
}

/* --- Over the guest's GPU ------------------------------------------------------------------------- */

#define GUEST_GPU "0000:01:00.0"
#define DEVICES	  "[vfio]\ndriver = vfio-pci\ndevice = " GUEST_GPU " 10de:1b80 hostdev unmanaged\n"

static struct fake_monitor *twin;

/* The same monitor's other cable, on a bus of the guest's GPU, which is still, or again, the host's */
static void add_twin(void)
{
	if (attr_exists(tree->rootfd, "sys/bus/i2c/devices/i2c-9") != 1) {
		i2c_tree_pci(tree, GUEST_GPU, "0x030000\n");
		i2c_tree_bus(tree, "pci0000:00/" GUEST_GPU, 9, "nvkm-0000:01:00.0-bus-0002\n");
	}
	twin = fake_monitor_add(9, "DEL", 0xa0c4, "JK9X");
	twin->cable = 17;
	twin->panel = monitor;
}

static void a_deaf_monitor_comes_back_over_the_guests_gpu(void **state)
{
	(void)state;
	monitor->deaf = true;
	write_claim("running", "[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 0\ntimeout_ms = 2100\n" DEVICES);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_input(monitor, 17));
	assert_true(
		wait_log("it answers on its active input only: since it shows the guest, i2c-5 is "
			 "deaf"));
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "[display left] monitor DEL:a0c4:JK9X answers on its active "
				     "input only: since it shows the guest, i2c-5 is deaf"));
	write_claim("ending", LEFT DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
	assert_int_equal(monitor->input, 17);
	/* The device is not back yet */
	write_claim("returning", LEFT DEVICES);
	tree_file(tree, HOME "/vfio.journal", "");
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DIRTY);
	assert_true(exists(JOURNAL));
	assert_int_equal(unlinkat(tree->rootfd, HOME "/vfio.journal", 0), 0);
	add_twin();
	twin->deaf = true;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(monitor->input, 15);
	assert_int_equal(twin->sets, 1);
	assert_true(
		wait_log("[display left] input 15 written back on i2c-9, of the guest's device"));
	assert_false(exists(JOURNAL));
}

static void over_the_guests_gpu_it_has_the_vendors_source_address_too(void **state)
{
	(void)state;
	add_twin();
	monitor->deaf = twin->deaf = true;
	monitor->input = 17;
	monitor->source = twin->source = 80;
	tree_file(tree, JOURNAL, "1 switch 5:80:display%20left 15 17\n");
	write_claim("returning", LEFT "source_address = 80\n" DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
}

static void one_that_only_the_guests_gpu_leads_to_comes_back_with_it(void **state)
{
	(void)state;
	monitor->there = false;
	write_claim("running", LEFT DEVICES);
	assert_int_equal(run("apply"), HELPER_DONE);
	while (!strstr(tree_read(tree, JOURNAL), "late display%20left 15 17\n"))
		(void)poll(NULL, 0, 5);
	write_claim("ending", LEFT DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_true(exists(JOURNAL));
	write_claim("returning", LEFT DEVICES);
	add_twin();
	monitor->input = 17;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_false(exists(JOURNAL));
}

static void a_way_back_with_the_gpu_is_noted_however_short_the_time(void **state)
{
	struct fake_monitor *hung = fake_monitor_add(4, "GSM", 1, "HUNG");

	(void)state;
	hung->hangs = true;
	monitor->there = false;
	/* It is over when the bus that hangs has been given up */
	write_claim("running", "[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
			       "host_input = 15\ndelay_ms = 0\ntimeout_ms = 1000\n" DEVICES);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_true(wait_log("not switched to input 17: a bus did not return"));
	assert_non_null(strstr(tree_read(tree, JOURNAL), "late display%20left 15 17\n"));
}

static void one_that_another_guest_names_is_not_taken_from_it(void **state)
{
	(void)state;
	tree_file(tree, JOURNAL, "1 want display%20left 1 17\n2 late display%20left 15 17\n");
	tree_file(tree, JOURNAL2, "1 shown 6:81:display 15 18\n");
	write_claim("returning", LEFT DEVICES);
	monitor->there = false;
	add_twin();
	/* Whatever it shows now, that is between the other guest and its user */
	monitor->input = 3;
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second, SECOND);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(twin->sets, 0);
	assert_string_equal(log_text(), "");
	assert_false(exists(JOURNAL));
	end_second();
}

static void one_that_only_we_had_goes_to_the_guest_that_still_names_it(void **state)
{
	(void)state;
	tree_file(tree, JOURNAL, "1 want display%20left 1 17\n2 late display%20left 15 17\n");
	write_claim("returning", LEFT DEVICES);
	monitor->there = false;
	add_twin();
	monitor->input = 17;
	second = start_qemu();
	write_claim_of(UUID2, "linux", "running", &second, SECOND);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 18);
	assert_false(exists(JOURNAL));
	end_second();
}

#define ON_BUS_5 "1 monitor 5 DEL:a0c4:JK9X card0-DP-1\n2 switch 5:81:display 15 17\n"
#define BY_CONNECTOR                                                                               \
	"[display]\nmonitor = card0-DP-1\nguest_input = 17\nhost_input = 15\ndelay_ms = 0\n"

static void the_journal_says_who_was_on_the_bus(void **state)
{
	static const char *const names[] = { "DEL", "card0-DP-1" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(text, sizeof(text),
			       "[display]\nmonitor = %s\nguest_input = 17\nhost_input = 15\n"
			       "delay_ms = 0\n",
			       names[i]);
		write_claim("running", text);
		assert_int_equal(run("apply"), HELPER_DONE);
		assert_true(wait_input(monitor, 17));
		assert_non_null(
			strstr(tree_read(tree, JOURNAL), " monitor 5 DEL:a0c4:JK9X card0-DP-1\n"));
		assert_int_equal(run("undo"), HELPER_DONE);
		assert_int_equal(monitor->input, 15);
	}
}

static void a_deaf_one_that_a_connector_names_comes_back_too(void **state)
{
	(void)state;
	add_twin();
	monitor->deaf = twin->deaf = true;
	monitor->input = 17;
	tree_file(tree, JOURNAL, ON_BUS_5);
	write_claim("returning", BY_CONNECTOR DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(monitor->input, 15);
}

/* One more monitor of the same model, which has no cable to the host */
static struct fake_monitor *add_guests_own(const char *serial)
{
	struct fake_monitor *own;

	i2c_tree_bus(tree, "pci0000:00/" GUEST_GPU, 10, "nvkm-0000:01:00.0-bus-0003\n");
	own = fake_monitor_add(10, "DEL", 0xa0c4, serial);
	own->input = 17;
	return own;
}

#define BY_MODEL "[display]\nmonitor = DEL:a0c4\nguest_input = 17\nhost_input = 15\n"

static void another_of_its_model_on_the_guests_gpu_is_left_alone(void **state)
{
	struct fake_monitor *own;

	(void)state;
	add_twin();
	own = add_guests_own("OWN1");
	monitor->deaf = twin->deaf = true;
	monitor->input = 17;
	tree_file(tree, JOURNAL, ON_BUS_5);
	write_claim("returning", BY_MODEL DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_int_equal(own->sets, 0);
}

static void two_that_only_a_serial_would_tell_apart_are_left_to_their_buttons(void **state)
{
	struct fake_monitor *own;

	(void)state;
	add_twin();
	own = add_guests_own("");
	memcpy(monitor->edid, own->edid, EDID_LEN);
	memcpy(twin->edid, own->edid, EDID_LEN);
	monitor->deaf = twin->deaf = true;
	monitor->input = 17;
	tree_file(tree, JOURNAL, "1 monitor 5 DEL:a0c4 card0-DP-1\n2 switch 5:81:display 15 17\n");
	write_claim("returning", BY_MODEL DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_string_equal(said, "usher: win11: [display] more than one monitor may be the one "
				  "that gets input 15 back, and none has a serial: use its own "
				  "buttons\n");
	assert_int_equal(own->sets + twin->sets, 0);
}

static void a_number_that_is_the_guests_gpus_by_now_is_not_written_to(void **state)
{
	struct fake_monitor *own;

	(void)state;
	i2c_tree_pci(tree, GUEST_GPU, "0x030000\n");
	own = add_guests_own("OWN1");
	tree_file(tree, JOURNAL, "1 monitor 10 DEL:a0c4:JK9X -\n2 switch 10:81:display 15 17\n");
	monitor->input = 17;
	write_claim("returning", BY_MODEL DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_int_equal(own->sets, 0);
	/* It is on another bus of the host's now */
	assert_int_equal(monitor->input, 15);
}

static void a_number_that_is_another_connectors_by_now_is_not_written_to(void **state)
{
	struct fake_monitor *other = fake_monitor_add(6, "GSM", 1, "OTHER");

	(void)state;
	i2c_tree_connector(tree, "card0-DP-2", 6);
	monitor->input = other->input = 17;
	tree_file(tree, JOURNAL,
		  "1 monitor 6 DEL:a0c4:JK9X card0-DP-1\n2 switch 6:81:display 15 17\n");
	write_claim("ending", BY_CONNECTOR);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_int_equal(other->sets, 0);
	assert_int_equal(monitor->input, 15);
}

static void a_bus_that_came_back_under_another_number_is_found(void **state)
{
	(void)state;
	monitor->input = 17;
	tree_file(tree, JOURNAL,
		  "1 monitor 77 DEL:a0c4:JK9X -\n2 switch 77:81:display%20left 15 17\n");
	write_claim("ending", LEFT);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(monitor->input, 15);
	assert_non_null(strstr(log_text(), "[display left] input 15 written back on i2c-5, where "
					   "the monitor is now\n"));
	assert_false(exists(JOURNAL));
}

static void one_that_is_nowhere_is_let_go(void **state)
{
	(void)state;
	tree_file(tree, JOURNAL, "1 late display%20left 15 17\n");
	write_claim("returning", LEFT DEVICES);
	monitor->there = false;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("undo")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_non_null(
		strstr(log_text(), "no bus leads to the monitor, to give it input 15 back"));
	assert_false(exists(JOURNAL));
}

static void a_host_bus_that_takes_it_needs_no_detour(void **state)
{
	(void)state;
	tree_file(tree, JOURNAL,
		  "1 late display%20left 15 17\n2 switch 5:81:display%20left 15 17\n");
	write_claim("returning", LEFT DEVICES);
	add_twin();
	monitor->input = 17;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(monitor->input, 15);
	assert_int_equal(monitor->sets, 1);
	assert_int_equal(twin->edids, 0);
	assert_false(exists(JOURNAL));
}

static void check_tells_from_both_cables_who_answers_on_the_active_input_only(void **state)
{
	(void)state;
	add_twin();
	/* As somebody has printed it: who made it is gone */
	write_claim_of(UUID, "win11", "preparing",
		       &(struct process){ .pid = qemu.pid, .start_time = 1 }, LEFT DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_string_equal(said, "");
	monitor->deaf = twin->deaf = true;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_string_equal(
		said, "usher: win11: [display left] monitor DEL:a0c4:JK9X answers on its active "
		      "input only (i2c-5, not i2c-9): once it shows the guest, it hears the host "
		      "no more; usher switches it back when the guest's GPU is back, until then "
		      "there are its own buttons\n");
	monitor->input = 17;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "answers on its active input only (i2c-9, not i2c-5)"));
	monitor->there = false;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_non_null(strstr(said,
			       "[display left] only i2c-9 leads to monitor DEL:a0c4:JK9X, and the "
			       "guest takes that device"));
}

static void a_twin_that_a_driver_holds_is_not_called_deaf(void **state)
{
	(void)state;
	add_twin();
	twin->busy = true;
	write_claim_of(UUID, "win11", "preparing",
		       &(struct process){ .pid = qemu.pid, .start_time = 1 }, LEFT DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_string_equal(said, "");
}

static void a_start_never_opens_the_buses_of_the_devices_it_takes(void **state)
{
	(void)state;
	add_twin();
	write_claim("preparing", LEFT DEVICES);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	wait_looker();
	/* Nor when the step is required, and the start waits for it */
	required = "display";
	write_claim("preparing", LEFT DEVICES);
	required = "";
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_int_equal(monitor->edids, 2);
	assert_int_equal(twin->edids, 0);
}

/* --- check and list -------------------------------------------------------------------------------- */

static void check_is_content_with_a_monitor_that_answers(void **state)
{
	(void)state;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(monitor->sets, 0);
}

static void a_claim_with_wrong_values_touches_nothing(void **state)
{
	static const struct {
		const char *display, *expected;
	} cases[] = {
		{ "[display]\nguest_input = 17\n", "[display] names no monitor" },
		{ "[display]\nmonitor = dell\nguest_input = 17\n", "monitor is 'dell': expected" },
		{ "[display]\nmonitor = DEL\n", "[display] has no guest_input" },
		{ "[display]\nmonitor = DEL\nguest_input = 256\n",
		  "[display] guest_input is '256': expected a number up to 255" },
		{ "[display]\nmonitor = DEL\nguest_input = 17\nsource_address = x\n",
		  "[display] source_address is 'x'" },
		{ "[display]\nmonitor = DEL\nguest_input = 17\nshared = perhaps\n",
		  "[display] shared is 'perhaps'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_claim("running", cases[i].display);
		assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_USAGE);
		assert_non_null(strstr(said, cases[i].expected));
		assert_int_equal(RUN_SAYING(STDERR_FILENO, run("apply")), HELPER_USAGE);
		assert_non_null(strstr(said, cases[i].expected));
	}
	assert_false(exists(JOURNAL));
	assert_int_equal(monitor->edids, 0);
}

static void check_names_what_is_wrong_and_the_cure(void **state)
{
	static const struct {
		const char *display, *expected;
	} cases[] = {
		{ "[display]\nmonitor = GSM\nguest_input = 17\n",
		  "[display] no monitor GSM on any of 4 buses: plug it in and switch it on, or set "
		  "monitor to what usher-display list prints" },
		{ "[display]\nmonitor = DEL\nguest_input = 17\n",
		  "[display] monitor DEL on i2c-5 does not say which input the host is on: No such "
		  "device or address: set host_input" },
		{ LEFT, "has an EDID but does not answer to DDC/CI: No such device or address: "
			"switch DDC/CI on in its menu" },
	};

	(void)state;
	monitor->silent = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_claim("running", cases[i].display);
		assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
		assert_non_null(strstr(said, cases[i].expected));
	}
	monitor->silent = false;
	monitor->busy = true;
	write_claim("running", LEFT);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "unload ddcci"));
	(void)fake_monitor_add(7, "DEL", 0xa0c4, "JK9X");
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "several monitors answer to DEL:a0c4:JK9X"));
}

static void a_start_does_not_wait_for_check_and_the_log_has_what_it_finds(void **state)
{
	struct fake_monitor *hung = fake_monitor_add(4, "GSM", 1, "HUNG");
	long long start;

	(void)state;
	hung->hangs = true;
	monitor->there = false;
	write_claim("preparing", LEFT);
	start = now_ms();
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_true(now_ms() - start < 1000);
	assert_string_equal(said, "");
	assert_true(
		wait_log("win11: [display left] monitor DEL:a0c4:JK9X is on no bus that answers, "
			 "and i2c-4 did not return within 1500 ms: unplug the monitor there"));
	wait_looker();
	/* By hand it looks until it knows */
	write_claim("running", LEFT);
	start = now_ms();
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_true(now_ms() - start >= 1000);
}

static void a_start_that_requires_the_monitor_waits_and_is_told(void **state)
{
	(void)state;
	monitor->there = false;
	required = "display";
	write_claim("preparing", LEFT);
	required = "";
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "[display left] no monitor DEL:a0c4:JK9X on any of 4 buses"));
	assert_string_equal(log_text(), "");
}

/* Each of the two rounds may wait for a bus that hangs */
static void a_required_check_ends_before_its_step_is_killed(void **state)
{
	struct fake_monitor *hung = fake_monitor_add(4, "GSM", 1, "HUNG");
	long long start;

	(void)state;
	hung->hangs = true;
	monitor->slow_ms = 200;
	monitor->garbled = 1;
	required = "display";
	write_claim("preparing", "[display left]\nmonitor = DEL:a0c4:JK9X\nguest_input = 17\n"
				 "host_input = 15\n");
	required = "";
	start = now_ms();
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_true(now_ms() - start < step_find("display")->apply_ms);
	assert_true(2 * PROBE_MS < step_find("display")->apply_ms);
}

static void check_loads_no_module(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "sys/class/i2c-dev", AT_REMOVEDIR), 0);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run("check")), HELPER_DONE);
	assert_non_null(strstr(said, "modprobe i2c-dev"));
	assert_int_equal(monitor->edids, 0);
}

static void list_prints_what_to_paste(void **state)
{
	struct fake_monitor *right = fake_monitor_add(6, "GSM", 0x5bd3, "A B");
	struct fake_monitor *hung = fake_monitor_add(7, "AOC", 1, "HUNG");

	(void)state;
	right->silent = true;
	hung->hangs = true;
	monitor->caps = "(prot(monitor)vcp(10 60(0F 11 1B 90)))";
	/* Who is on the one that hangs is missing */
	assert_int_equal(RUN_SAYING(STDOUT_FILENO, run_list()), HELPER_FAILED);
	assert_string_equal(
		said,
		"BUS      CONNECTOR        MONITOR                    NAME           INPUT\n"
		"i2c-5    card0-DP-1       DEL:a0c4:JK9X              FAKE           15 (0x0f); "
		"offers dp1 hdmi1 usb-c 0x90\n"
		"i2c-6                     GSM:5bd3:A%20B             FAKE           no DDC/CI: No "
		"such device or address\n");
}

static void list_says_when_nobody_answers(void **state)
{
	(void)state;
	monitor->there = false;
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run_list()), HELPER_FAILED);
	assert_string_equal(said, "usher: no monitor answers on any of 4 buses\n");
	assert_int_equal(unlinkat(tree->rootfd, "sys/class/i2c-dev", AT_REMOVEDIR), 0);
	assert_int_equal(RUN_SAYING(STDERR_FILENO, run_list()), HELPER_FAILED);
	assert_non_null(strstr(said, "cannot load i2c-dev: this kernel has no such module"));
}

#define display_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		display_test(a_monitor_follows_the_guest_and_comes_back),
		display_test(apply_returns_at_once_whatever_the_monitor_does),
		display_test(the_journal_names_the_bus_before_the_bytes_are_on_it),
		display_test(it_waits_until_the_guest_can_show_something),
		display_test(apply_twice_switches_once),
		display_test(a_connector_is_as_good_as_an_identity),
		display_test(several_monitors_are_switched_side_by_side),
		display_test(a_slow_monitor_that_misses_its_first_tries_is_switched),
		display_test(a_bus_that_hangs_does_not_keep_the_other_from_switching),
		display_test(a_bus_that_hangs_is_not_kept_open_by_who_goes_on),
		display_test(a_hang_that_begins_at_the_switch_is_nobody_elses),
		display_test(the_hosts_input_is_read_when_nobody_named_it),
		display_test(a_monitor_nobody_could_switch_back_is_not_switched),
		display_test(one_that_shows_the_guests_input_already_is_not_switched),
		display_test(check_while_the_guest_is_shown_knows_the_hosts_input),
		display_test(two_that_answer_to_one_identity_are_both_left_alone),
		display_test(one_that_is_not_there_is_looked_for_until_the_timeout),
		display_test(one_that_comes_late_is_found),
		display_test(a_bus_that_comes_late_is_looked_at),
		display_test(a_ddc_address_a_driver_holds_is_named),
		display_test(a_monitor_without_ddc_is_told_so),
		display_test(the_guests_end_before_the_switch_ends_it),
		display_test(a_claim_that_is_not_running_switches_nothing),
		display_test(a_dry_run_prints_and_does_nothing),
		display_test(undo_before_the_switch_keeps_it_from_happening),
		display_test(undo_while_the_monitor_is_looked_for_keeps_the_switch_from_happening),
		display_test(a_switcher_that_waits_is_known_to_undo),
		display_test(undo_twice_and_undo_of_nothing_are_fine),
		display_test(the_way_back_is_written_blind),
		display_test(the_way_back_has_the_vendors_source_address_too),
		display_test(the_first_record_of_a_bus_has_what_was_before_us),
		display_test(a_monitor_that_does_not_come_back_is_tried_again_and_then_let_go),
		display_test(a_bus_that_hangs_does_not_keep_the_others_from_coming_back),
		display_test(a_number_that_is_another_adapters_by_now_is_not_written_to),
		display_test(a_journal_that_says_something_else_is_not_followed),
		display_test(a_process_that_merely_has_the_switchers_pid_is_left_alone),
		display_test(a_switcher_is_ended_before_the_way_back_is_written),
		display_test(switchers_that_do_not_end_are_waited_for_once),
		display_test(the_guest_that_started_last_has_the_monitor),
		display_test(the_last_started_has_it_whatever_the_delays),
		display_test(one_that_was_left_to_a_later_guest_is_had_after_it),
		display_test(a_write_that_was_heard_after_the_later_guests_is_passed_on),
		display_test(a_later_guest_that_found_it_silent_gets_it_at_our_end),
		display_test(at_the_end_of_the_last_it_goes_to_whoever_still_runs),
		display_test(of_several_that_still_run_the_last_started_gets_it),
		display_test(another_guests_input_is_not_taken_for_the_hosts),
		display_test(nor_is_that_of_a_guest_that_ends),
		display_test(a_dead_guest_has_no_say),
		display_test(a_monitor_that_is_not_shared_is_left_to_the_guest_that_has_it),
		display_test(one_that_somebody_gets_meanwhile_is_left_to_him),
		display_test(a_monitor_that_falls_back_is_switched_again),
		display_test(three_times_it_is_switched_again_then_the_user_has_the_last_word),
		display_test(one_that_falls_back_is_the_later_guests_to_switch_again),
		display_test(one_that_falls_back_for_good_is_told_of),
		display_test(a_bus_that_hangs_after_the_switch_is_not_called_deaf),
		display_test(what_the_user_chose_after_the_switch_is_left_alone),
		display_test(a_deaf_monitor_comes_back_over_the_guests_gpu),
		display_test(over_the_guests_gpu_it_has_the_vendors_source_address_too),
		display_test(one_that_only_the_guests_gpu_leads_to_comes_back_with_it),
		display_test(a_way_back_with_the_gpu_is_noted_however_short_the_time),
		display_test(one_that_another_guest_names_is_not_taken_from_it),
		display_test(one_that_only_we_had_goes_to_the_guest_that_still_names_it),
		display_test(the_journal_says_who_was_on_the_bus),
		display_test(a_deaf_one_that_a_connector_names_comes_back_too),
		display_test(another_of_its_model_on_the_guests_gpu_is_left_alone),
		display_test(two_that_only_a_serial_would_tell_apart_are_left_to_their_buttons),
		display_test(a_number_that_is_the_guests_gpus_by_now_is_not_written_to),
		display_test(a_number_that_is_another_connectors_by_now_is_not_written_to),
		display_test(a_bus_that_came_back_under_another_number_is_found),
		display_test(one_that_is_nowhere_is_let_go),
		display_test(a_host_bus_that_takes_it_needs_no_detour),
		display_test(check_tells_from_both_cables_who_answers_on_the_active_input_only),
		display_test(a_twin_that_a_driver_holds_is_not_called_deaf),
		display_test(a_start_never_opens_the_buses_of_the_devices_it_takes),
		display_test(check_is_content_with_a_monitor_that_answers),
		display_test(a_claim_with_wrong_values_touches_nothing),
		display_test(check_names_what_is_wrong_and_the_cure),
		display_test(a_start_does_not_wait_for_check_and_the_log_has_what_it_finds),
		display_test(a_start_that_requires_the_monitor_waits_and_is_told),
		display_test(a_required_check_ends_before_its_step_is_killed),
		display_test(check_loads_no_module),
		display_test(list_prints_what_to_paste),
		display_test(list_says_when_nobody_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
