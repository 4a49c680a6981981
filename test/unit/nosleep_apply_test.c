/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/nosleep_apply_test.c - usher-nosleep against a logind that can go, refuse or stay silent */
/* wraps: process_alive process_identify process_name sysbus_inhibit sysbus_start_service sysbus_stop_unit */
/* wraps: sysbus_sleep_open sysbus_sleep_fd sysbus_sleep_next sysbus_sleep_close */
/* wraps: sysbus_systemd_version sysbus_logind_answers log_line suspended_ms wakeup_open wakeup_clear */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
#include "faults.h"

#include "tree.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "helpers/nosleep/nosleep.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/state.h"
#include "lib/sysbus.h"
#include "lib/watch.h"
#include "real_process.h"

/*
 * The inhibitor is the writing end of a FIFO in the tree, as logind's is; the test holds the
 * reading end. No writer: no inhibitor. What was asked for is written into it as text.
 * The host's sleep is told through another FIFO: '1' begins, '2' ended, and its end is the bus's.
 * How long it has slept is in the file `suspended`; a byte in the FIFO `wakeup` is the timer's.
 * The "service" is a child of the test that runs what systemd would: usher-nosleep hold CLAIM.
 */

#define UUID	"1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define HOME	"run/usher/" UUID
#define CLAIM	HOME "/claim.ini"
#define UNIT	"usher-nosleep-" UUID ".service"
#define LONG_MS 20000

static struct tree *tree;
static int real_root = -1, logind = -1, sleep_bus = -1, wakeups = -1;
static struct process qemu;
static int start_results[4], stop_result;
static unsigned int starts, stops;
static int inhibit_error;
static bool service_is_mute, service_is_killed, service_has_faults, qemu_dies_meanwhile;
static pid_t mute_service;
static int systemd_version, logind_answer;
static char started_description[256], started_argv[1024];

static int run(const char *verb)
{
	char claim[128], arg0[] = "usher-nosleep", root[] = "--root", word[16];
	char *argv[] = { arg0, root, tree->dir, word, claim, NULL };

	(void)snprintf(word, sizeof(word), "%s", verb);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	optind = 0;
	return helper_dispatch(5, argv, &nosleep_helper);
}

/* --- The other side ----------------------------------------------------------------------------- */

static bool holds_open(const char *path)
{
	char target[128];

	for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
		if (fd_path(fd, target, sizeof(target)) == 0 && strcmp(target, path) == 0)
			return true;
	return false;
}

/* One letter each time logind is asked: was there an inhibitor already */
static void note_ask(bool had_one)
{
	_cleanup_close_ int fd = -1;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/asks", tree->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)dprintf(fd, "%s", had_one ? "y" : "n");
}

int __wrap_sysbus_inhibit(const char *what, const char *who, const char *why, const char *mode,
			  int timeout_ms);
int __wrap_sysbus_inhibit(const char *what, const char *who, const char *why, const char *mode,
			  int timeout_ms)
{
	char path[128];
	int fd;

	assert_true(timeout_ms >= 0);
	if (service_is_killed) {
		/* When apply has begun to wait */
		(void)poll(NULL, 0, 200);
		(void)kill(getpid(), SIGKILL);
	}
	if (inhibit_error)
		return inhibit_error;
	(void)snprintf(path, sizeof(path), "%s/inhibit", tree->dir);
	note_ask(holds_open(path));
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	/* Nobody reads: logind is not there */
	if (fd < 0)
		return -EHOSTUNREACH;
	(void)dprintf(fd, "%s|%s|%s|%s\n", what, who, why, mode);
	return fd;
}

int __wrap_sysbus_sleep_open(int timeout_ms, struct sysbus_sleep **ret);
int __wrap_sysbus_sleep_open(int timeout_ms, struct sysbus_sleep **ret)
{
	char path[128];
	struct pollfd p = { .events = POLLIN };
	int *fd;

	assert_true(timeout_ms > 0);
	(void)snprintf(path, sizeof(path), "%s/sleep", tree->dir);
	p.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	/* Nobody writes: there is no bus */
	if (p.fd < 0 || (poll(&p, 1, 0) == 1 && (p.revents & POLLHUP))) {
		(void)close(p.fd);
		return -ENOENT;
	}
	fd = __real_malloc(sizeof(*fd));
	assert_non_null(fd);
	*fd = p.fd;
	*ret = (struct sysbus_sleep *)fd;
	return 0;
}

int __wrap_sysbus_sleep_fd(const struct sysbus_sleep *sleep);
int __wrap_sysbus_sleep_fd(const struct sysbus_sleep *sleep)
{
	return *(const int *)sleep;
}

int __wrap_sysbus_sleep_next(struct sysbus_sleep *sleep);
int __wrap_sysbus_sleep_next(struct sysbus_sleep *sleep)
{
	char event;
	ssize_t n = read(*(int *)sleep, &event, 1);

	if (n < 0)
		return errno == EAGAIN ? SYSBUS_SLEEP_NONE : -errno;
	return n == 0 ? -ENOTCONN : event - '0';
}

void __wrap_sysbus_sleep_close(struct sysbus_sleep *sleep);
void __wrap_sysbus_sleep_close(struct sysbus_sleep *sleep)
{
	if (sleep)
		(void)close(*(int *)sleep);
	free(sleep);
}

int __wrap_sysbus_systemd_version(int timeout_ms);
int __wrap_sysbus_systemd_version(int timeout_ms)
{
	assert_true(timeout_ms > 0);
	return systemd_version;
}

int __wrap_sysbus_logind_answers(int timeout_ms);
int __wrap_sysbus_logind_answers(int timeout_ms)
{
	assert_true(timeout_ms > 0);
	return logind_answer;
}

long long __real_suspended_ms(void);
long long __wrap_suspended_ms(void);
long long __wrap_suspended_ms(void)
{
	char path[128], text[32] = "";
	_cleanup_close_ int fd = -1;

	/* A detached process has closed the tree */
	(void)snprintf(path, sizeof(path), "%s/suspended", tree->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return read(fd, text, sizeof(text) - 1) > 0 ? atoll(text) : 0;
}

int __real_wakeup_open(void);
int __wrap_wakeup_open(void);
int __wrap_wakeup_open(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/wakeup", tree->dir);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

int __real_wakeup_clear(int fd);
int __wrap_wakeup_clear(int fd);
int __wrap_wakeup_clear(int fd)
{
	static bool broken;
	char byte;

	if (read(fd, &byte, 1) == 1)
		return 0;
	/* It would be readable for ever */
	if (broken)
		abort();
	broken = true;
	return -EIO;
}

void __wrap_log_line(int rootfd, int priority, const char *fmt, ...) _printf_(3, 4);
void __wrap_log_line(int rootfd, int priority, const char *fmt, ...)
{
	_cleanup_close_ int fd =
		openat(rootfd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	va_list args;

	(void)priority;
	va_start(args, fmt);
	(void)vdprintf(fd, fmt, args);
	va_end(args);
	(void)dprintf(fd, "\n");
}

static void kill_qemu(void)
{
	assert_int_equal(kill(qemu.pid, SIGKILL), 0);
	assert_int_equal(waitpid(qemu.pid, NULL, 0), qemu.pid);
}

static pid_t run_service(void)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* What fails is the process that asks, or the one that holds */
		faults_off = !service_has_faults;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Nothing of ours is systemd's: neither apply's lock nor logind's end */
		(void)close_range(STDERR_FILENO + 1, ~0U, 0);
		if (getppid() != parent)
			_exit(1);
		if (service_is_mute)
			for (;;)
				(void)pause();
		_exit(run("hold"));
	}
	return pid;
}

int __wrap_sysbus_start_service(const char *unit, const char *description, const char *const *argv,
				const char *const *stop_argv, int timeout_ms);
int __wrap_sysbus_start_service(const char *unit, const char *description, const char *const *argv,
				const char *const *stop_argv, int timeout_ms)
{
	int r = start_results[starts++ % ARRAY_SIZE(start_results)];
	size_t len = 0;

	assert_true(timeout_ms > 0);
	assert_string_equal(unit, UNIT);
	/* build/unit/ has no usher beside the test */
	assert_null(stop_argv);
	(void)snprintf(started_description, sizeof(started_description), "%s", description);
	assert_non_null(strstr(argv[0], "/usher-nosleep"));
	for (size_t i = 1; argv[i]; i++)
		len += (size_t)snprintf(started_argv + len, sizeof(started_argv) - len, "%s%s",
					i > 1 ? " " : "", argv[i]);
	if (qemu_dies_meanwhile)
		kill_qemu();
	if (r == 0)
		mute_service = run_service();
	return r;
}

int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms);
int __wrap_sysbus_stop_unit(const char *unit, int timeout_ms)
{
	(void)timeout_ms;
	assert_string_equal(unit, UNIT);
	stops++;
	return stop_result;
}

/* --- What the test sees and does ------------------------------------------------------------------- */

static void start_logind(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/inhibit", tree->dir);
	logind = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(logind >= 0);
}

static void stop_logind(void)
{
	(void)close(logind);
	logind = -1;
}

/* The text written into the FIFO so far; "" when it is held and nothing new was said */
static const char *asked(void)
{
	static char text[512];
	ssize_t n = read(logind, text, sizeof(text) - 1);

	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static bool held(void)
{
	char byte;

	return read(logind, &byte, 1) < 0 && errno == EAGAIN;
}

static bool wait_asked(const char *text)
{
	struct pollfd p = { .fd = logind, .events = POLLIN };

	return poll(&p, 1, LONG_MS) == 1 && strcmp(asked(), text) == 0;
}

/* Wait until every writer has gone */
static void assert_released(void)
{
	struct pollfd p = { .fd = logind, .events = 0 };

	(void)asked();
	if (!held())
		return;
	assert_int_equal(poll(&p, 1, LONG_MS), 1);
	assert_true(p.revents & POLLHUP);
}

static struct process start_qemu(void)
{
	struct process process;
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* It would keep logind and the bus alive, which the test closes to end them */
		(void)close_range(STDERR_FILENO + 1, ~0U, 0);
		if (getppid() != parent)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(__real_process_identify(real_root, pid, &process), 0);
	return process;
}

static void write_claim(const char *state, const char *nosleep)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
		       "\nstate = %s\nowner = %d %llu\nrequired =\n[nosleep]\n%s",
		       state, (int)qemu.pid, qemu.start_time, nosleep);
	tree_file(tree, CLAIM, text);
}

#define SLEEP_BLOCK "inhibit = sleep\nmode = block\n"

static struct holder holder_now(void)
{
	_cleanup_close_ int dirfd = openat(tree->rootfd, HOME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct holder holder = { 0 };

	assert_true(dirfd >= 0);
	assert_int_equal(holder_load(dirfd, &holder), 0);
	return holder;
}

static bool wait_held_by(pid_t pid)
{
	long long deadline = deadline_in(LONG_MS);

	while (deadline_left(deadline) > 0) {
		struct holder holder = holder_now();

		if (holder.process.pid == pid && holder.error == 0)
			return true;
		(void)poll(NULL, 0, 5);
	}
	return false;
}

static bool exists(const char *path)
{
	return attr_exists(tree->rootfd, path) == 1;
}

/* What is printed on stderr while @call runs */
static char said[4096];
#define RUN_SAYING(call)                                                                           \
	({                                                                                         \
		int saved_ = say_begin(), r_ = (call);                                             \
		say_end(saved_);                                                                   \
		r_;                                                                                \
	})

static int say_begin(void)
{
	int saved = dup(STDERR_FILENO), fd;

	tree_file(tree, "stderr", "");
	fd = openat(tree->rootfd, "stderr", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(saved >= 0 && fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	(void)close(fd);
	return saved;
}

static void say_end(int saved)
{
	(void)fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)snprintf(said, sizeof(said), "%s", tree_read(tree, "stderr"));
}

static int setup(void **state)
{
	char path[128];

	if (tree_setup(state) < 0)
		return -1;
	tree = *state;
	real_root = root_open("/");
	starts = stops = 0;
	memset(start_results, 0, sizeof(start_results));
	stop_result = inhibit_error = 0;
	systemd_version = 257;
	logind_answer = 0;
	service_is_mute = service_is_killed = service_has_faults = qemu_dies_meanwhile = false;
	(void)snprintf(path, sizeof(path), "%s/inhibit", tree->dir);
	if (mkfifo(path, 0600) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/sleep", tree->dir);
	if (mkfifo(path, 0600) < 0)
		return -1;
	sleep_bus = open(path, O_RDWR | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/wakeup", tree->dir);
	if (mkfifo(path, 0600) < 0)
		return -1;
	wakeups = open(path, O_RDWR | O_CLOEXEC);
	/* It has slept before */
	tree_file(tree, "suspended", "60000");
	start_logind();
	qemu = start_qemu();
	tree_file(tree, "run/dbus/system_bus_socket", "");
	tree_dir(tree, "run/systemd/inhibit");
	tree_dir(tree, "run/systemd/system");
	write_claim("running", SLEEP_BLOCK);
	(void)snprintf(path, sizeof(path), "%s/run/usher", tree->dir);
	return chmod(path, 0700);
}

static int teardown(void **state)
{
	(void)kill(qemu.pid, SIGKILL);
	if (service_is_mute)
		(void)kill(mute_service, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	if (logind >= 0)
		stop_logind();
	(void)close(sleep_bus);
	(void)close(wakeups);
	(void)close(real_root);
	return tree_teardown(state);
}

/* --- Tests ------------------------------------------------------------------------------------------ */

static void the_inhibitor_is_held_when_apply_returns(void **state)
{
	char expected[256];

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(asked(), "sleep|usher|guest win11 is running|block\n");
	assert_true(held());
	assert_string_equal(started_description, "Keep the host awake while guest win11 runs");
	(void)snprintf(expected, sizeof(expected), "--root %s hold %s/" CLAIM, tree->dir,
		       tree->dir);
	assert_string_equal(started_argv, expected);
}

static void it_is_gone_with_qemu_whoever_killed_it(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	kill_qemu();
	assert_released();
}

static void undo_ends_it_while_qemu_still_runs(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_released();
	assert_int_equal(__real_process_alive(real_root, &qemu), 1);
	assert_false(exists(HOME "/nosleep.journal"));
	assert_false(exists(HOME "/" HOLDER_FILE));
	/* The service ends by itself: waiting for its job could wait for ourselves */
	assert_int_equal(stops, 0);
}

static void undo_twice_and_undo_of_nothing_are_fine(void **state)
{
	(void)state;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void apply_twice_keeps_the_one_that_is_held(void **state)
{
	struct holder first;

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	first = holder_now();
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(holder_now().process.pid, first.process.pid);
	assert_int_equal(starts, 1);
}

static pid_t kill_holder(void)
{
	pid_t pid = holder_now().process.pid;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void a_holder_that_was_killed_is_replaced(void **state)
{
	pid_t first;

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	first = kill_holder();
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_not_equal(holder_now().process.pid, first);
	(void)asked();
	assert_true(held());
}

/* As systemd does it */
static void a_holder_that_is_started_again_finds_its_qemu_and_is_the_one(void **state)
{
	pid_t again;

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)kill_holder();
	(void)asked();
	again = run_service();
	assert_true(wait_held_by(again));
	assert_string_equal(asked(), "sleep|usher|guest win11 is running|block\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(holder_now().process.pid, again);
	assert_int_equal(holder_now().qemu.pid, qemu.pid);
	assert_int_equal(starts, 1);
	kill_qemu();
	assert_released();
}

static void a_holder_that_systemd_is_about_to_start_again_is_stopped_by_its_unit(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)kill_holder();
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(stops, 1);
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)kill_holder();
	/* Without its QEMU it would end at once: and the unit may be who waits for us */
	kill_qemu();
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(stops, 1);
}

static void the_holder_of_the_last_run_gives_way_to_the_new_qemus(void **state)
{
	struct process old = qemu;

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	qemu = start_qemu();
	write_claim("running", SLEEP_BLOCK);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(starts, 2);
	assert_int_equal(kill(old.pid, SIGKILL), 0);
	assert_int_equal(holder_now().qemu.pid, qemu.pid);
	(void)asked();
	assert_true(held());
}

static void what_and_mode_come_from_the_claim(void **state)
{
	(void)state;
	write_claim("running", "inhibit = sleep:shutdown\nmode = delay\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(asked(), "sleep:shutdown|usher|guest win11 is running|delay\n");
}

static void a_logind_that_comes_back_is_asked_again(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	stop_logind();
	/* Time for a first attempt that finds nobody */
	(void)poll(NULL, 0, 150);
	start_logind();
	assert_true(wait_asked("sleep|usher|guest win11 is running|block\n"));
	assert_true(held());
	/* The old one was kept while the first new one was asked for: logind may be back already */
	assert_memory_equal(tree_read(tree, "asks"), "ny", 2);
	kill_qemu();
	assert_released();
}

static void qemus_end_is_seen_while_logind_is_away(void **state)
{
	_cleanup_close_ int fd = -1;
	struct holder holder;

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	holder = holder_now();
	fd = watch_open(real_root, &holder.process);
	stop_logind();
	kill_qemu();
	assert_int_equal(watch_wait(fd, LONG_MS), 1);
}

static void without_systemd_a_detached_process_holds_it(void **state)
{
	char path[64], target[64] = "";
	struct holder holder;

	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "run/systemd/system", AT_REMOVEDIR), 0);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(starts, 0);
	assert_string_equal(asked(), "sleep|usher|guest win11 is running|block\n");
	holder = holder_now();
	assert_int_equal(getsid(holder.process.pid), holder.process.pid);
	for (int fd = 0; fd <= 2; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)holder.process.pid, fd);
		assert_int_equal(readlink(path, target, sizeof(target) - 1), strlen("/dev/null"));
		assert_string_equal(target, "/dev/null");
	}
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_released();
}

static void a_detached_holder_ends_with_qemu_too(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "run/systemd/system", AT_REMOVEDIR), 0);
	assert_int_equal(run("apply"), HELPER_DONE);
	kill_qemu();
	assert_released();
}

static void undo_finds_a_detached_holder_by_the_journal_alone(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "run/systemd/system", AT_REMOVEDIR), 0);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(unlinkat(tree->rootfd, HOME "/" HOLDER_FILE, 0), 0);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_released();
}

static void without_logind_it_says_so_and_starts_nothing(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "run/systemd/inhibit", AT_REMOVEDIR), 0);
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: cannot keep the host awake: there is no logind "
				  "(/run/systemd/inhibit is missing): start systemd-logind (or "
				  "elogind), or set inhibit = none in [nosleep]\n");
	assert_int_equal(starts, 0);
	assert_int_equal(RUN_SAYING(run("check")), HELPER_FAILED);
}

static void without_a_bus_it_says_so(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(tree->rootfd, "run/dbus/system_bus_socket", 0), 0);
	assert_int_equal(RUN_SAYING(run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "there is no system bus"));
}

static void check_asks_logind_itself_and_lets_a_slow_one_pass(void **state)
{
	(void)state;
	write_claim("preparing", SLEEP_BLOCK);
	logind_answer = -EHOSTUNREACH;
	assert_int_equal(RUN_SAYING(run("check")), HELPER_FAILED);
	assert_string_equal(said,
			    "usher: win11: cannot keep the host awake: logind does not answer "
			    "and cannot be started: see systemctl status "
			    "systemd-logind, or set inhibit = none in [nosleep]\n");
	logind_answer = -ETIMEDOUT;
	assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
	logind_answer = -ENOENT;
	assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
	assert_int_equal(starts, 0);
}

static void check_is_content_and_changes_nothing(void **state)
{
	(void)state;
	write_claim("preparing", SLEEP_BLOCK);
	assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(starts, 0);
	assert_false(exists(HOME "/nosleep.journal"));
}

static void a_running_guest_without_a_holder_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
	assert_string_equal(said, "");
	(void)kill_holder();
	assert_int_equal(RUN_SAYING(run("check")), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: the host is not kept awake: no process holds the "
				  "inhibitor: usher-nosleep apply /run/usher/" UUID "/claim.ini\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("check"), HELPER_DONE);
	/* It has ended by itself, as it should */
	kill_qemu();
	assert_int_equal(run("check"), HELPER_DONE);
}

/* Not root's alone, it is not believed; nor does it mean that nobody holds one */
static void a_holder_that_cannot_be_read_is_not_taken_for_none(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(fchmodat(tree->rootfd, HOME "/" HOLDER_FILE, 0666, 0), 0);
	assert_int_equal(RUN_SAYING(run("check")), HELPER_FAILED);
	assert_non_null(strstr(said, "usher: win11: cannot use /run/usher/" UUID "/" HOLDER_FILE
				     ": Operation not permitted: it must be a plain file"));
	assert_null(strstr(said, "not kept awake"));
}

static void a_refusal_is_told_at_once_and_nothing_is_left(void **state)
{
	long long start = now_ms();

	(void)state;
	inhibit_error = -EACCES;
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_true(now_ms() - start < 1500);
	assert_non_null(strstr(said, "logind gave no inhibitor: Permission denied"));
	assert_int_equal(stops, 0);
	assert_false(exists(HOME "/nosleep.journal"));
	assert_false(exists(HOME "/" HOLDER_FILE));
}

#define GUEST_ENDED "usher: win11: nothing to stay awake for: the guest has ended (process "

static void a_guest_that_has_ended_meanwhile_is_not_waited_for(void **state)
{
	long long start = now_ms();

	(void)state;
	qemu_dies_meanwhile = true;
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_true(now_ms() - start < 1500);
	assert_int_equal(starts, 1);
	assert_ptr_equal(strstr(said, GUEST_ENDED), said);
	assert_false(exists(HOME "/nosleep.journal"));
	/* Nothing is started for one that has ended before */
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_int_equal(starts, 1);
	assert_ptr_equal(strstr(said, GUEST_ENDED), said);
}

static void a_holder_that_is_killed_while_it_asks_is_not_waited_for(void **state)
{
	long long start = now_ms();

	(void)state;
	service_is_killed = true;
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_true(now_ms() - start < 1500);
	assert_non_null(strstr(said, "logind gave no inhibitor: the process that asked it was "
				     "killed: it may sleep under the guest"));
	assert_int_equal(stops, 1);
	assert_false(exists(HOME "/nosleep.journal"));
}

static void a_logind_that_cannot_be_started_is_not_waited_for(void **state)
{
	(void)state;
	logind_answer = -EHOSTUNREACH;
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_non_null(strstr(said, "logind does not answer and cannot be started"));
	assert_int_equal(starts, 0);
	logind_answer = -ETIMEDOUT;
	assert_int_equal(run("apply"), HELPER_DONE);
}

static void a_logind_that_stays_away_is_given_up_at_the_deadline(void **state)
{
	long long start = now_ms();

	(void)state;
	write_claim("running", SLEEP_BLOCK "timeout_ms = 1000\n");
	inhibit_error = -EHOSTUNREACH;
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_true(now_ms() - start < 10000);
	assert_false(exists(HOME "/" HOLDER_FILE));
}

static void a_service_that_cannot_start_is_told(void **state)
{
	(void)state;
	start_results[0] = -EIO;
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_non_null(strstr(said, "the process that holds the inhibitor did not start: "
				     "Input/output error"));
	assert_false(exists(HOME "/nosleep.journal"));
}

static void a_unit_left_from_the_last_run_is_stopped_first(void **state)
{
	(void)state;
	start_results[0] = -EEXIST;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(starts, 2);
	assert_int_equal(stops, 1);
	(void)asked();
	assert_true(held());
}

static void a_holder_that_never_registers_is_stopped_by_its_unit(void **state)
{
	(void)state;
	service_is_mute = true;
	write_claim("running", SLEEP_BLOCK "timeout_ms = 500\n");
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_int_equal(stops, 1);
	assert_false(exists(HOME "/nosleep.journal"));
}

static void a_unit_that_does_not_stop_leaves_the_host_dirty(void **state)
{
	(void)state;
	tree_file(tree, HOME "/nosleep.journal", "1 unit " UNIT " - -\n");
	stop_result = -ETIMEDOUT;
	assert_int_equal(RUN_SAYING(run("undo")), HELPER_DIRTY);
	assert_non_null(strstr(said, "cannot let the host sleep again"));
	assert_true(exists(HOME "/nosleep.journal"));
	stop_result = 0;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_false(exists(HOME "/nosleep.journal"));
}

static void a_journal_that_names_something_else_is_not_followed(void **state)
{
	static const char *const lines[] = {
		"1 unit sshd.service - -\n",
		"1 process 1 - x\n",
		"1 process -1 - 5\n",
		"1 driver 0000:01:00.0 - vfio-pci\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		tree_file(tree, HOME "/nosleep.journal", lines[i]);
		assert_int_equal(RUN_SAYING(run("undo")), HELPER_DIRTY);
		assert_int_equal(stops, 0);
	}
}

static void a_guest_that_does_not_run_keeps_nobody_awake(void **state)
{
	(void)state;
	write_claim("ending", SLEEP_BLOCK);
	assert_int_equal(RUN_SAYING(run("apply")), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: nothing to stay awake for: the claim is ending, "
				  "not running\n");
	assert_int_equal(RUN_SAYING(run("hold")), HELPER_FAILED);
	assert_false(held());
}

static void a_qemu_that_is_gone_already_ends_hold_at_once(void **state)
{
	(void)state;
	kill_qemu();
	assert_int_equal(run("hold"), HELPER_DONE);
	assert_false(held());
}

static void a_dry_run_starts_nothing(void **state)
{
	char claim[128], arg0[] = "usher-nosleep", root[] = "--root", dry[] = "--dry-run";
	char apply[] = "apply", undo[] = "undo", hold_word[] = "hold";
	char *verbs[] = { apply, undo, hold_word };

	(void)state;
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		char *argv[] = { arg0, root, tree->dir, dry, verbs[i], claim, NULL };

		optind = 0;
		assert_int_equal(helper_dispatch(6, argv, &nosleep_helper), HELPER_DONE);
	}
	assert_int_equal(starts, 0);
	assert_false(held());
	assert_false(exists(HOME "/nosleep.journal"));
}

/* stdout of a dry run of apply */
static const char *printed_by_dry_run(int *ret_status)
{
	char claim[128], arg0[] = "usher-nosleep", root[] = "--root", dry[] = "--dry-run";
	char apply[] = "apply";
	char *argv[] = { arg0, root, tree->dir, dry, apply, claim, NULL };
	int saved = dup(STDOUT_FILENO), fd;

	tree_file(tree, "stdout", "");
	fd = openat(tree->rootfd, "stdout", O_WRONLY | O_APPEND | O_CLOEXEC);
	(void)fflush(stdout);
	assert_true(saved >= 0 && fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, tree->dir);
	optind = 0;
	*ret_status = RUN_SAYING(helper_dispatch(6, argv, &nosleep_helper));
	(void)fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	(void)close(saved);
	(void)close(fd);
	return tree_read(tree, "stdout");
}

/* As usher plan runs it */
static void a_dry_run_before_the_start_tells_what_it_will_start(void **state)
{
	int status;

	(void)state;
	write_claim("preparing", SLEEP_BLOCK);
	assert_string_equal(printed_by_dry_run(&status),
			    "start usher-nosleep-" UUID ".service until QEMU ends\n");
	assert_int_equal(status, HELPER_DONE);
	assert_int_equal(unlinkat(tree->rootfd, "run/dbus/system_bus_socket", 0), 0);
	assert_string_equal(printed_by_dry_run(&status), "");
	assert_int_equal(status, HELPER_FAILED);
	assert_non_null(strstr(said, "there is no system bus"));
	assert_int_equal(starts, 0);
}

static void words_logind_does_not_know_are_refused_by_name(void **state)
{
	static const struct {
		const char *nosleep, *expected;
	} cases[] = {
		{ "inhibit = slep\n", "logind knows no inhibitor for 'slep'" },
		{ "inhibit = sleep:idle\nmode = delay\n",
		  "logind can only block idle, not delay it: set mode = block" },
		{ "inhibit = sleep\nmode = never\n",
		  "mode is 'never': expected block, block-weak or delay" },
		{ "inhibit = :\n", "inhibit is empty" },
	};
	static const char *const verbs[] = { "check", "apply", "hold" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_claim("running", cases[i].nosleep);
		for (size_t j = 0; j < ARRAY_SIZE(verbs); j++) {
			assert_int_equal(RUN_SAYING(run(verbs[j])), HELPER_USAGE);
			assert_non_null(strstr(said, cases[i].expected));
		}
	}
	assert_int_equal(starts, 0);
	assert_false(exists(HOME "/" HOLDER_FILE));
}

static void every_word_of_loginds_is_taken_and_two_can_be_delayed(void **state)
{
	static const struct {
		const char *word;
		enum helper_exit delayed;
	} cases[] = {
		{ "sleep", HELPER_DONE },
		{ "shutdown", HELPER_DONE },
		{ "idle", HELPER_USAGE },
		{ "handle-lid-switch", HELPER_USAGE },
		{ "handle-power-key", HELPER_USAGE },
		{ "handle-suspend-key", HELPER_USAGE },
		{ "handle-hibernate-key", HELPER_USAGE },
		{ "handle-reboot-key", HELPER_USAGE },
	};
	char nosleep[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(nosleep, sizeof(nosleep), "inhibit = %s\n", cases[i].word);
		write_claim("preparing", nosleep);
		assert_int_equal(run("check"), HELPER_DONE);
		(void)snprintf(nosleep, sizeof(nosleep), "inhibit = %s\nmode = delay\n",
			       cases[i].word);
		write_claim("preparing", nosleep);
		assert_int_equal(RUN_SAYING(run("check")), cases[i].delayed);
	}
	write_claim("running", "inhibit = sleep:handle-lid-switch\nmode = block-weak\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(asked(), "sleep:handle-lid-switch|usher|guest win11 is running|"
				     "block-weak\n");
}

static void the_holder_file_is_read_strictly(void **state)
{
	static const char *const texts[] = {
		"", "0 1 2 3\n", "0 1 2 3 4 5\n", "x 1 2 3 4\n", "0 -1 2 3 4\n", "9999 1 2 3 4\n"
	};
	_cleanup_close_ int dirfd = openat(tree->rootfd, HOME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct holder holder = { .error = -EACCES,
				 .process = { .pid = 7, .start_time = 8 },
				 .qemu = { .pid = 9, .start_time = 10 } };
	struct holder back;

	(void)state;
	assert_int_equal(holder_load(dirfd, &back), -ENOENT);
	assert_int_equal(holder_wait(real_root, dirfd, now_ms(), &back), -ETIMEDOUT);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		tree_file(tree, HOME "/" HOLDER_FILE, texts[i]);
		assert_int_equal(holder_load(dirfd, &back), -EBADMSG);
		assert_int_equal(holder_wait(real_root, dirfd, deadline_in(LONG_MS), &back),
				 -EBADMSG);
	}
	assert_int_equal(holder_store(dirfd, &holder), 0);
	assert_int_equal(holder_wait(real_root, dirfd, now_ms(), &back), 0);
	assert_int_equal(back.error, -EACCES);
	assert_int_equal(back.process.pid, 7);
	assert_int_equal(back.process.start_time, 8);
	assert_int_equal(back.qemu.pid, 9);
	assert_int_equal(back.qemu.start_time, 10);
	holder.error = -EINPROGRESS;
	assert_int_equal(holder_store(dirfd, &holder), 0);
	assert_int_equal(holder_wait(real_root, dirfd, deadline_in(LONG_MS), &back), -ECHILD);
	holder.process = qemu;
	assert_int_equal(holder_store(dirfd, &holder), 0);
	assert_int_equal(holder_wait(real_root, dirfd, now_ms(), &back), -ETIMEDOUT);
}

static void a_descriptor_has_a_path(void **state)
{
	char path[512];

	(void)state;
	assert_int_equal(fd_path(tree->rootfd, path, sizeof(path)), 0);
	assert_string_equal(path, tree->dir);
	assert_int_equal(fd_path(tree->rootfd, path, 4), -ENAMETOOLONG);
	assert_int_equal(fd_path(9999, path, sizeof(path)), -ENOENT);
}

/* --- Sleep that comes all the same -------------------------------------------------------------- */

#define SLEPT	HOME "/nosleep.slept"
#define DEVICES "[vfio]\ndriver = vfio-pci\ndevice = 0000:01:00.0 10de:1b80 hostdev unmanaged\n"

static void sleep_event(char event)
{
	assert_int_equal(write(sleep_bus, &event, 1), 1);
}

/* What the clocks tell from now on, nobody else having told yet */
static void host_slept_ms(long long ms)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", __wrap_suspended_ms() + ms);
	tree_file(tree, "suspended", text);
}

static void timer_tells(void)
{
	assert_int_equal(write(wakeups, "", 1), 1);
}

static bool wait_log(const char *text)
{
	long long deadline = deadline_in(LONG_MS);

	while (deadline_left(deadline) > 0) {
		if (exists("log") && strstr(tree_read(tree, "log"), text))
			return true;
		(void)poll(NULL, 0, 5);
	}
	return false;
}

static void sleep_under_the_guest_is_logged_and_said_by_check(void **state)
{
	(void)state;
	write_claim("running", SLEEP_BLOCK DEVICES);
	assert_int_equal(run("apply"), HELPER_DONE);
	sleep_event('1');
	assert_true(wait_log("win11: the host goes to sleep under the running guest\n"));
	assert_false(exists(SLEPT));
	host_slept_ms(3000);
	sleep_event('2');
	assert_true(wait_log("win11: the host slept for 3 s under the running guest, from 20"));
	assert_true(
		wait_log("(1 time): its devices lost their power and its drivers were not told: "
			 "shut the guest down and start it again if they do not work\n"));
	(void)asked();
	assert_true(held());
	assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
	assert_non_null(
		strstr(said, "usher: win11: the host slept for 3 s under the running guest"));
	sleep_event('1');
	host_slept_ms(3000);
	sleep_event('2');
	assert_true(wait_log("(2 times)"));
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_false(exists(SLEPT));
}

static void a_guest_without_devices_only_has_a_late_clock(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	sleep_event('1');
	host_slept_ms(1000);
	sleep_event('2');
	assert_true(wait_log("(1 time): its clock may be late\n"));
}

static void a_sleep_that_failed_is_none(void **state)
{
	(void)state;
	write_claim("running", SLEEP_BLOCK DEVICES);
	assert_int_equal(run("apply"), HELPER_DONE);
	sleep_event('1');
	sleep_event('2');
	assert_true(wait_log("win11: the host did not go to sleep after all\n"));
	assert_null(strstr(tree_read(tree, "log"), "slept"));
	assert_false(exists(SLEPT));
}

static void sleep_of_which_logind_knows_nothing_is_told_by_the_clocks(void **state)
{
	(void)state;
	write_claim("running", SLEEP_BLOCK DEVICES);
	assert_int_equal(run("apply"), HELPER_DONE);
	/* The wall clock was set */
	timer_tells();
	host_slept_ms(7000);
	timer_tells();
	assert_true(wait_log("win11: the host slept for 7 s under the running guest"));
	assert_true(wait_log("(1 time): its devices lost their power"));
	assert_null(strstr(tree_read(tree, "log"), "goes to sleep"));
	host_slept_ms(5000);
	timer_tells();
	assert_true(wait_log("win11: the host slept for 5 s under the running guest"));
	assert_true(wait_log("(2 times)"));
}

static void a_sleep_of_which_both_tell_is_one(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	sleep_event('1');
	assert_true(wait_log("goes to sleep"));
	host_slept_ms(3000);
	timer_tells();
	assert_true(wait_log("slept for 3 s"));
	sleep_event('2');
	host_slept_ms(4000);
	timer_tells();
	assert_true(wait_log("slept for 4 s"));
	assert_true(wait_log("(2 times)"));
	assert_null(strstr(tree_read(tree, "log"), "after all"));
}

static void a_timer_that_breaks_is_given_up_and_the_inhibitor_kept(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)close(wakeups);
	wakeups = -1;
	sleep_event('1');
	host_slept_ms(3000);
	sleep_event('2');
	assert_true(wait_log("slept for 3 s"));
	(void)asked();
	assert_true(held());
}

static void a_holder_that_is_started_again_goes_on_counting(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	host_slept_ms(3000);
	timer_tells();
	assert_true(wait_log("slept for 3 s"));
	(void)kill_holder();
	assert_true(wait_held_by(run_service()));
	host_slept_ms(4000);
	timer_tells();
	assert_true(wait_log("slept for 4 s"));
	assert_true(wait_log("(2 times)"));
}

/* This host does not sleep meanwhile; the test is no root's, to set a clock */
static void the_clocks_of_a_host_that_is_awake_stand_still(void **state)
{
	long long first = __real_suspended_ms();
	_cleanup_close_ int fd = __real_wakeup_open();

	(void)state;
	assert_true(first >= -1);
	assert_true(fd >= 0);
	assert_int_equal(watch_wait(fd, 20), 0);
	assert_int_equal(__real_wakeup_clear(fd), 0);
	assert_true(__real_suspended_ms() - first < 5);
	assert_int_equal(__real_wakeup_clear(-1), -EBADF);
}

static void waking_up_without_having_slept_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	sleep_event('2');
	sleep_event('1');
	assert_true(wait_log("goes to sleep"));
	assert_null(strstr(tree_read(tree, "log"), "slept"));
	assert_false(exists(SLEPT));
}

static void the_inhibitor_stays_when_the_bus_goes_and_sleep_is_heard_when_it_is_back(void **state)
{
	char path[128];

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	(void)asked();
	sleep_event('1');
	assert_true(wait_log("goes to sleep"));
	(void)close(sleep_bus);
	(void)poll(NULL, 0, 300);
	assert_true(held());
	(void)snprintf(path, sizeof(path), "%s/sleep", tree->dir);
	sleep_bus = open(path, O_RDWR | O_CLOEXEC);
	sleep_event('2');
	assert_true(wait_log("the host did not go to sleep after all"));
	kill_qemu();
	assert_released();
}

static void check_says_who_may_and_what_it_would_do_to_the_devices(void **state)
{
	static const struct {
		const char *nosleep;
		int version;
		const char *expected;
	} cases[] = {
		{ SLEEP_BLOCK DEVICES, 252,
		  "root (systemd 252 lets it: systemctl suspend) can put the host to sleep all the "
		  "same: the guest's devices would lose their power" },
		{ SLEEP_BLOCK DEVICES, 257,
		  "root (systemctl suspend -i, or /sys/power/state) can put the host to sleep" },
		{ SLEEP_BLOCK DEVICES, -ETIMEDOUT,
		  "root (systemctl suspend -i, or /sys/power/state) can put the host to sleep" },
		{ "inhibit = sleep\nmode = delay\n" DEVICES, 257,
		  "anybody (so [nosleep] has it) can put the host to sleep" },
		{ "inhibit = idle\nmode = block\n" DEVICES, 257,
		  "anybody (so [nosleep] has it) can put the host to sleep" },
	};

	(void)state;
	assert_int_equal(run("apply"), HELPER_DONE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		systemd_version = cases[i].version;
		write_claim("running", cases[i].nosleep);
		assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
		if (!strstr(said, cases[i].expected))
			fail_msg("case %zu: %s", i, said);
	}
	/* A start is no time for it: the owner lives, and is the hook */
	write_claim("preparing", SLEEP_BLOCK DEVICES);
	assert_int_equal(RUN_SAYING(run("check")), HELPER_DONE);
	assert_string_equal(said, "");
}

static void the_note_of_a_sleep_is_read_strictly(void **state)
{
	static const char *const bad[] = {
		"", "1 2", "1 2 x", "1 2 3 4", "-1 2 3", "4294967296 0 0"
	};
	const struct slept slept = { .times = 2, .seconds = 61, .since = 1700000000 };
	_cleanup_close_ int dirfd = openat(tree->rootfd, HOME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct slept now = { 0 };

	(void)state;
	assert_true(dirfd >= 0);
	assert_int_equal(slept_load(dirfd, &now), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_file(tree, SLEPT, bad[i]);
		assert_int_equal(slept_load(dirfd, &now), -EBADMSG);
	}
	assert_int_equal(slept_store(dirfd, &slept), 0);
	assert_int_equal(slept_load(dirfd, &now), 0);
	assert_memory_equal(&now, &slept, sizeof(now));
}

#define nosleep_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* --- Allocations and reads that fail ----------------------------------------------------------------- */

static const struct {
	enum fault kind;
	int error;
} fault_kinds[] = { { FAULT_MEMORY, ENOMEM }, { FAULT_READ, EIO } };

#define assert_here(nth, condition)                                                                \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			faults_where();                                                            \
			fail_msg("fault %d: %s; said: %s", nth, #condition, said);                 \
		}                                                                                  \
	} while (0)

static bool apply_with_fault(size_t kind, int nth)
{
	bool hit;
	int r;

	faults_begin(fault_kinds[kind].kind, nth, fault_kinds[kind].error);
	r = RUN_SAYING(run("apply"));
	hit = faults_end();
	assert_here(nth, r == HELPER_DONE || (hit && *said));
	if (r == HELPER_DONE)
		assert_here(nth, held() || *asked());
	assert_here(nth, run("undo") == HELPER_DONE);
	assert_released();
	return hit;
}

static bool undo_with_fault(size_t kind, int nth)
{
	bool hit;
	int r;

	assert_int_equal(run("apply"), HELPER_DONE);
	faults_begin(fault_kinds[kind].kind, nth, fault_kinds[kind].error);
	r = RUN_SAYING(run("undo"));
	hit = faults_end();
	assert_here(nth, r == HELPER_DONE || (hit && *said));
	if (r == HELPER_DONE)
		assert_released();
	assert_here(nth, run("undo") == HELPER_DONE);
	assert_released();
	return hit;
}

/* Who cannot hold it ends, and has said so, also to apply; it does not stay and hold nothing */
static bool hold_with_fault(size_t kind, int nth)
{
	struct pollfd p = { .fd = logind, .events = POLLIN };
	int saved = say_begin(), status = 0;
	pid_t pid;

	service_has_faults = true;
	faults_begin(fault_kinds[kind].kind, nth, fault_kinds[kind].error);
	pid = run_service();
	while (poll(&p, 1, 5) == 0 || !(p.revents & POLLIN))
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	say_end(saved);
	if (p.revents & POLLIN) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		assert_released();
	} else {
		assert_here(nth, WIFEXITED(status) && WEXITSTATUS(status) != HELPER_DONE && *said);
	}
	return faults_end();
}

static void over_all_faults(bool (*each)(size_t kind, int nth))
{
	for (size_t kind = 0; kind < ARRAY_SIZE(fault_kinds); kind++)
		for (int n = 0; each(kind, n); n++)
			;
}

static void each_fault_of_apply_is_said_and_leaves_nobody_awake(void **state)
{
	(void)state;
	over_all_faults(apply_with_fault);
}

static void each_fault_of_undo_is_said_and_the_next_undo_ends_it(void **state)
{
	(void)state;
	over_all_faults(undo_with_fault);
}

static void each_fault_of_a_holder_is_said_or_it_holds(void **state)
{
	(void)state;
	over_all_faults(hold_with_fault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		nosleep_test(the_inhibitor_is_held_when_apply_returns),
		nosleep_test(it_is_gone_with_qemu_whoever_killed_it),
		nosleep_test(undo_ends_it_while_qemu_still_runs),
		nosleep_test(undo_twice_and_undo_of_nothing_are_fine),
		nosleep_test(apply_twice_keeps_the_one_that_is_held),
		nosleep_test(a_holder_that_was_killed_is_replaced),
		nosleep_test(a_holder_that_is_started_again_finds_its_qemu_and_is_the_one),
		nosleep_test(a_holder_that_systemd_is_about_to_start_again_is_stopped_by_its_unit),
		nosleep_test(the_holder_of_the_last_run_gives_way_to_the_new_qemus),
		nosleep_test(what_and_mode_come_from_the_claim),
		nosleep_test(a_logind_that_comes_back_is_asked_again),
		nosleep_test(qemus_end_is_seen_while_logind_is_away),
		nosleep_test(without_systemd_a_detached_process_holds_it),
		nosleep_test(a_detached_holder_ends_with_qemu_too),
		nosleep_test(undo_finds_a_detached_holder_by_the_journal_alone),
		nosleep_test(without_logind_it_says_so_and_starts_nothing),
		nosleep_test(without_a_bus_it_says_so),
		nosleep_test(check_asks_logind_itself_and_lets_a_slow_one_pass),
		nosleep_test(check_is_content_and_changes_nothing),
		nosleep_test(a_running_guest_without_a_holder_is_noticed),
		nosleep_test(a_holder_that_cannot_be_read_is_not_taken_for_none),
		nosleep_test(a_refusal_is_told_at_once_and_nothing_is_left),
		nosleep_test(a_guest_that_has_ended_meanwhile_is_not_waited_for),
		nosleep_test(a_holder_that_is_killed_while_it_asks_is_not_waited_for),
		nosleep_test(a_logind_that_cannot_be_started_is_not_waited_for),
		nosleep_test(a_logind_that_stays_away_is_given_up_at_the_deadline),
		nosleep_test(a_service_that_cannot_start_is_told),
		nosleep_test(a_unit_left_from_the_last_run_is_stopped_first),
		nosleep_test(a_holder_that_never_registers_is_stopped_by_its_unit),
		nosleep_test(a_unit_that_does_not_stop_leaves_the_host_dirty),
		nosleep_test(a_journal_that_names_something_else_is_not_followed),
		nosleep_test(a_guest_that_does_not_run_keeps_nobody_awake),
		nosleep_test(a_qemu_that_is_gone_already_ends_hold_at_once),
		nosleep_test(a_dry_run_starts_nothing),
		nosleep_test(a_dry_run_before_the_start_tells_what_it_will_start),
		nosleep_test(words_logind_does_not_know_are_refused_by_name),
		nosleep_test(every_word_of_loginds_is_taken_and_two_can_be_delayed),
		nosleep_test(the_holder_file_is_read_strictly),
		nosleep_test(a_descriptor_has_a_path),
		nosleep_test(sleep_under_the_guest_is_logged_and_said_by_check),
		nosleep_test(a_guest_without_devices_only_has_a_late_clock),
		nosleep_test(a_sleep_that_failed_is_none),
		nosleep_test(sleep_of_which_logind_knows_nothing_is_told_by_the_clocks),
		nosleep_test(a_sleep_of_which_both_tell_is_one),
		nosleep_test(a_timer_that_breaks_is_given_up_and_the_inhibitor_kept),
		nosleep_test(a_holder_that_is_started_again_goes_on_counting),
		nosleep_test(the_clocks_of_a_host_that_is_awake_stand_still),
		nosleep_test(waking_up_without_having_slept_is_nothing),
		nosleep_test(
			the_inhibitor_stays_when_the_bus_goes_and_sleep_is_heard_when_it_is_back),
		nosleep_test(check_says_who_may_and_what_it_would_do_to_the_devices),
		nosleep_test(the_note_of_a_sleep_is_read_strictly),
		nosleep_test(each_fault_of_apply_is_said_and_leaves_nobody_awake),
		nosleep_test(each_fault_of_undo_is_said_and_the_next_undo_ends_it),
		nosleep_test(each_fault_of_a_holder_is_said_or_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
