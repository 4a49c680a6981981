/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_stuck_test.c - a kernel that does not return from a write, or from a read */
/* wraps: attr_write module_load process_identify process_alive */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

#include <sys/socket.h>
#include <sys/un.h>

#define APPLY_MS 1000 /* enough for what comes before the hang, on a loaded machine too */

/* GPU and audio function first, the NIC beside them: writes 1 to 6 and 1 to 3, in any order */
#define BOTH  "timeout_ms = 1000\n" GPU_LINE AUDIO_LINE
#define ALONE "timeout_ms = 1000\n" NIC_LINE

static int elapsed_ms;

static int apply_timed(void)
{
	long long start = now_ms();
	int r = apply();

	elapsed_ms = (int)(now_ms() - start);
	return r;
}

static void let_the_kernel_return(void)
{
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(!claim_has("vfio.worker"));
}

static void kernel_that_hangs_in_unbind_is_left_behind_in_time(void **state)
{
	struct mark mark;
	char line[512];

	(void)state;
	write_claim(UUID, ALONE);
	kernel->hang_at = 2;
	assert_int_equal(apply_timed(), HELPER_DIRTY);
	assert_in_range(elapsed_ms, APPLY_MS / 2, APPLY_MS + 1000);
	assert_int_equal(mark_find(host->rootfd, NIC, &mark), 1);
	assert_non_null(strstr(said,
			       "usher: win11: 0000:02:00.0 is stuck: driver e1000e has not let "
			       "go of it for "));
	(void)snprintf(line, sizeof(line),
		       " s (process %d): it is given back when the kernel returns; if it never "
		       "does, only a reboot of the host frees it\n",
		       (int)mark.worker.pid);
	assert_non_null(strstr(said, line));
}

static void late_return_gives_the_device_back_without_anybody(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, ALONE);
	for (int n = 1; n <= 3; n++) {
		kernel->writes = 0;
		kernel->release = 0;
		kernel->hang_at = n;
		assert_int_equal(apply_timed(), HELPER_DIRTY);
		assert_true(claim_has("vfio.worker." NIC));
		let_the_kernel_return();
		assert_string_equal(snapshot(), before);
		assert_false(claim_has("vfio.journal"));
	}
}

static void all_but_the_stuck_device_is_given_back_at_once(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, BOTH);
	/* The audio function's unbind: the GPU is on vfio-pci by then */
	kernel->hang_at = 5;
	assert_int_equal(apply_timed(), HELPER_DIRTY);
	assert_in_range(elapsed_ms, APPLY_MS / 2, APPLY_MS + 1000);
	assert_non_null(strstr(said, "0000:01:00.1 is stuck: driver snd_hda_intel"));
	assert_string_equal(driver_of(GPU), "nvidia");
	assert_string_equal(override_of(GPU), "(null)");
	let_the_kernel_return();
	assert_string_equal(snapshot(), before);
}

static void worker_left_behind_holds_nothing_of_ours(void **state)
{
	_cleanup_strlist_ struct strlist fds = { 0 };
	_cleanup_close_ int real = root_open("/");
	_cleanup_close_ int dirfd = -1, lock = -1;
	struct mark mark;
	char path[128];
	pid_t session;

	(void)state;
	write_claim(UUID, ALONE);
	kernel->hang_at = 2;
	assert_int_equal(apply(), HELPER_DIRTY);
	assert_int_equal(mark_find(host->rootfd, NIC, &mark), 1);
	session = getsid(mark.worker.pid);
	assert_int_equal(session, mark.worker.pid);
	assert_int_not_equal(session, getsid(0));
	(void)snprintf(path, sizeof(path), "proc/%d/fd", (int)mark.worker.pid);
	assert_int_equal(attr_list(real, path, &fds), 0);
	for (size_t i = 0; i < fds.nr; i++) {
		char target[256];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)mark.worker.pid,
			       fds.names[i]);
		n = readlink(path, target, sizeof(target) - 1);
		assert_true(n > 0);
		target[n] = '\0';
		assert_null(strstr(target, "pipe:"));
		assert_null(strstr(target, ".lock"));
		if (strlen(fds.names[i]) == 1 && fds.names[i][0] <= '2')
			assert_string_equal(target, "/dev/null");
	}
	dirfd = openat(host->rootfd, CLAIM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lock = state_lock(dirfd, VFIO_LOCK, 0);
	assert_true(lock >= 0);
}

/* Its attributes are pipes that nobody writes to: opening one would hang the test */
static void stuck_device_is_refused_by_name_without_being_read(void **state)
{
	static const char *const attrs[] = { "vendor", "device", "class", "driver_override" };
	char path[256], dir[256];
	long long start;

	(void)state;
	write_claim(UUID, ALONE);
	kernel->hang_at = 2;
	assert_int_equal(apply(), HELPER_DIRTY);
	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		device_path(path, sizeof(path), NIC, attrs[i]);
		assert_int_equal(unlinkat(host->rootfd, path, 0), 0);
		assert_int_equal(mkfifoat(host->rootfd, path, 0644), 0);
	}
	start = now_ms();
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "0000:02:00.0 is stuck since an earlier start: driver e1000e "
				     "has not let go of it for "));
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, "is stuck since an earlier start"));
	/* Another guest that wants it too: the mark is in a directory that is not its own */
	write_claim(OTHER_UUID, ALONE);
	(void)snprintf(dir, sizeof(dir), "%s/%s", host->dir, CLAIM_DIR);
	(void)snprintf(path, sizeof(path), "%s/run/usher/%s", host->dir, OTHER_UUID);
	assert_int_equal(renameat2(AT_FDCWD, dir, AT_FDCWD, path, RENAME_EXCHANGE), 0);
	write_claim(UUID, ALONE);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is stuck since an earlier start"));
	assert_true(now_ms() - start < 1000);
	assert_int_equal(renameat2(AT_FDCWD, dir, AT_FDCWD, path, RENAME_EXCHANGE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		device_path(path, sizeof(path), NIC, attrs[i]);
		assert_int_equal(unlinkat(host->rootfd, path, 0), 0);
		tree_file(host, path, "");
	}
	let_the_kernel_return();
}

static void mark_of_a_dead_process_means_nothing(void **state)
{
	(void)state;
	write_claim(UUID, ALONE);
	/* pid 1 is alive, but it is not the one that began at that time */
	tree_file(host, CLAIM_DIR "/vfio.worker." NIC, "e1000e 1 987654321987 unbind 1\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_false(claim_has("vfio.worker"));
	assert_int_equal(undo(), HELPER_DONE);
}

static void undo_does_not_wait_for_a_device_that_has_been_stuck_long(void **state)
{
	_cleanup_close_ int dirfd = -1;
	const char *before = snapshot();
	struct mark mark;
	long long start;

	(void)state;
	write_claim(UUID, ALONE);
	kernel->hang_at = 2;
	assert_int_equal(apply(), HELPER_DIRTY);
	assert_int_equal(mark_find(host->rootfd, NIC, &mark), 1);
	mark.since_ms -= 8000;
	dirfd = openat(host->rootfd, CLAIM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mark_write(dirfd, NIC, &mark), 0);
	start = now_ms();
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_true(now_ms() - start < 500);
	assert_non_null(strstr(said, "0000:02:00.0 cannot be given back: driver e1000e has not let "
				     "go of it for 8 s (process "));
	let_the_kernel_return();
	assert_string_equal(snapshot(), before);
	assert_int_equal(undo(), HELPER_DONE);
}

/* It is out of the kernel, and waits for the lock that the undo holds */
static void undo_takes_over_from_a_worker_that_has_returned(void **state)
{
	_cleanup_close_ int dirfd = -1;
	struct mark mark;
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, ALONE);
	for (int n = 1; n <= 3; n++) {
		pid_t pid;

		kernel->writes = 0;
		kernel->release = 0;
		kernel->hang_at = n;
		assert_int_equal(apply(), HELPER_DIRTY);
		/* As if it had begun just now: one that was given up is not waited for */
		assert_int_equal(mark_find(host->rootfd, NIC, &mark), 1);
		mark.since_ms = now_ms();
		cleanup_close(&dirfd);
		dirfd = openat(host->rootfd, CLAIM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(mark_write(dirfd, NIC, &mark), 0);
		pid = fork();
		if (pid == 0) {
			(void)poll(NULL, 0, 100);
			__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
			_exit(0);
		}
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(said, "");
		assert_string_equal(snapshot(), before);
		assert_false(claim_has("vfio.worker"));
		assert_false(claim_has("vfio.journal"));
	}
}

static void kernel_that_hangs_in_undo_finishes_the_whole_unit_later(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, BOTH);
	vfio_helper.undo_timeout_ms = 2000;
	/* Back: override, unbind, probe, override for the audio function, then for the GPU */
	for (int n = 1; n <= 8; n++) {
		kernel->hang_at = 0;
		assert_int_equal(apply(), HELPER_DONE);
		kernel->writes = 0;
		kernel->release = 0;
		kernel->hang_at = n;
		assert_int_equal(undo(), HELPER_DIRTY);
		assert_non_null(strstr(said, n <= 4 ? AUDIO " is stuck" : GPU " is stuck"));
		__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
		wait_until(strcmp(snapshot(), before) == 0);
		wait_until(!claim_has("vfio.worker"));
		assert_false(claim_has("vfio.journal"));
		assert_int_equal(undo(), HELPER_DONE);
	}
}

/* driver_override takes the device's lock, which a hanging unbind of somebody else holds */
static void device_that_somebody_else_hangs_in_is_refused_by_name(void **state)
{
	char path[256];

	(void)state;
	write_claim(UUID, ALONE);
	assert_int_equal(unlinkat(host->rootfd, DEVICES NIC "/driver_override", 0), 0);
	assert_int_equal(mkfifoat(host->rootfd, DEVICES NIC "/driver_override", 0644), 0);
	assert_int_equal(apply_timed(), HELPER_FAILED);
	assert_in_range(elapsed_ms, APPLY_MS / 4, APPLY_MS);
	assert_string_equal(said, "usher: win11: 0000:02:00.0 is stuck: driver e1000e has let "
				  "nobody look at it, somebody else binds or unbinds it (ps -eo "
				  "pid,stat,args: state D): start again when that has "
				  "come back; if it never does, only a reboot of the host frees "
				  "it\n");
	add_process("812", "tee", "/sys/bus/pci/drivers/e1000e/unbind");
	device_path(path, sizeof(path), NIC, "driver");
	assert_int_equal(unlinkat(host->rootfd, path, 0), 0);
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: 0000:02:00.0 is stuck: the kernel has let nobody "
				  "look at it, tee (pid 812) binds or unbinds: start "
				  "again when that has come back; if it never does, only a reboot "
				  "of the host frees it\n");
	assert_false(claim_has("vfio.worker"));
	assert_int_equal(kernel->writes, 0);
	assert_int_equal(undo(), HELPER_DONE);
}

/* When that begins just after the look */
static void device_whose_attributes_hang_is_left_behind_too(void **state)
{
	const char *before;
	int fifo;

	(void)state;
	write_claim(UUID, ALONE);
	tree_dir(host, DEVICES NIC "/power");
	assert_int_equal(mkfifoat(host->rootfd, DEVICES NIC "/power/control", 0644), 0);
	assert_int_equal(apply_timed(), HELPER_DIRTY);
	assert_in_range(elapsed_ms, APPLY_MS / 2, APPLY_MS + 1000);
	assert_non_null(
		strstr(said, "0000:02:00.0 is stuck: driver e1000e has let nobody look at it"));
	/* No record in the journal yet, but the claim must not go while the worker hangs */
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_non_null(strstr(said, "0000:02:00.0 cannot be given back"));
	fifo = openat(host->rootfd, DEVICES NIC "/power/control", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fifo, "on", 2), 2);
	assert_int_equal(close(fifo), 0);
	wait_until(!claim_has("vfio.worker"));
	assert_int_equal(kernel->writes, 0);
	before = snapshot();
	assert_non_null(strstr(before, NIC " e1000e (null)"));
	assert_int_equal(undo(), HELPER_DONE);
}

static void helper_killed_while_the_kernel_hangs_leaves_a_mark(void **state)
{
	char before[512];
	pid_t pid;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 60000\n" NIC_LINE);
	kernel->hang_at = 2;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(helper_start(NULL, "apply"));
	wait_until(__atomic_load_n(&kernel->writes, __ATOMIC_SEQ_CST) == 2);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is stuck since an earlier start"));
	let_the_kernel_return();
	assert_string_equal(snapshot(), before);
}

/* A driver that hung once may hang again: the lock is for those who do not hang */
static void worker_that_hangs_again_on_its_way_back_holds_no_lock(void **state)
{
	_cleanup_close_ int dirfd = -1, lock = -1;
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, ALONE);
	kernel->hang_at = 2;
	assert_int_equal(apply(), HELPER_DIRTY);
	/* Write 3 is the first of the way back: what was hung in counts no more */
	kernel->hang_again_at = 4;
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(__atomic_load_n(&kernel->writes, __ATOMIC_SEQ_CST) == 4);
	dirfd = openat(host->rootfd, CLAIM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lock = state_lock(dirfd, VFIO_LOCK, 0);
	assert_true(lock >= 0);
	assert_true(claim_has("vfio.worker." NIC));
	__atomic_store_n(&kernel->release, 2, __ATOMIC_SEQ_CST);
	/* Out of the kernel it waits for the lock, and only then is done */
	wait_until(strcmp(snapshot(), before) == 0);
	assert_true(claim_has("vfio.journal"));
	cleanup_close(&lock);
	lock = -1;
	wait_until(!claim_has("vfio.worker"));
	assert_false(claim_has("vfio.journal"));
}

/* Bound to dev/log of the tree: what nobody waits for is said there alone */
static int listen_to_log(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	tree_dir(host, "dev");
	assert_true(snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dev/log", host->dir) <
		    (int)sizeof(addr.sun_path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void assert_logged(int fd, const char *text)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char line[1024];

	assert_int_equal(poll(&in, 1, 10000), 1);
	ssize_t len = recv(fd, line, sizeof(line) - 1, 0);
	assert_true(len > 0);
	line[len] = '\0';
	if (!strstr(line, text))
		fail_msg("not logged: '%s', but: %s", text, line);
}

static void worker_whose_lock_cannot_be_had_leaves_the_device_with_a_word(void **state)
{
	_cleanup_close_ int log = listen_to_log();
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, ALONE);
	kernel->hang_at = 2;
	assert_int_equal(apply(), HELPER_DIRTY);
	assert_int_equal(unlinkat(host->rootfd, CLAIM_DIR "/" VFIO_LOCK, 0), 0);
	tree_dir(host, CLAIM_DIR "/" VFIO_LOCK);
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	assert_logged(log, "win11: 0000:02:00.0 is left as it is: Is a directory: see df /run, "
			   "usher recover tries again");
	assert_true(claim_has("vfio.journal"));
	assert_int_equal(unlinkat(host->rootfd, CLAIM_DIR "/" VFIO_LOCK, AT_REMOVEDIR), 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio.worker"));
	assert_false(claim_has("vfio.journal"));
}

/* What a start that is refused late does: the probe of the host's driver hangs */
static void undo_that_is_told_its_time_leaves_the_device_to_its_worker(void **state)
{
	char before[512];
	long long start;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, ALONE);
	vfio_helper.undo_timeout_ms = 60000;
	assert_int_equal(apply(), HELPER_DONE);
	kernel->writes = 0;
	kernel->hang_at = 3;
	start = now_ms();
	assert_int_equal(helper_run("--timeout=1000", "undo"), HELPER_DIRTY);
	assert_in_range(now_ms() - start, 900, 2000);
	assert_non_null(strstr(said, "0000:02:00.0 is stuck: it has left driver vfio-pci, but the "
				     "kernel has not finished giving it another for "));
	assert_non_null(strstr(said, ": it is given back when the kernel returns; "));
	let_the_kernel_return();
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio.journal"));
}

static void malformed_timeout_is_wrong_usage(void **state)
{
	(void)state;
	assert_int_equal(helper_run("--timeout=0", "undo"), HELPER_USAGE);
	assert_int_equal(helper_run("--timeout=1s", "undo"), HELPER_USAGE);
	assert_int_equal(helper_run("--timeout=99999999", "undo"), HELPER_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(kernel_that_hangs_in_unbind_is_left_behind_in_time),
		host_test(undo_that_is_told_its_time_leaves_the_device_to_its_worker),
		host_test(malformed_timeout_is_wrong_usage),
		host_test(late_return_gives_the_device_back_without_anybody),
		host_test(all_but_the_stuck_device_is_given_back_at_once),
		host_test(worker_left_behind_holds_nothing_of_ours),
		host_test(stuck_device_is_refused_by_name_without_being_read),
		host_test(mark_of_a_dead_process_means_nothing),
		host_test(undo_does_not_wait_for_a_device_that_has_been_stuck_long),
		host_test(undo_takes_over_from_a_worker_that_has_returned),
		host_test(kernel_that_hangs_in_undo_finishes_the_whole_unit_later),
		host_test(device_that_somebody_else_hangs_in_is_refused_by_name),
		host_test(device_whose_attributes_hang_is_left_behind_too),
		host_test(helper_killed_while_the_kernel_hangs_leaves_a_mark),
		host_test(worker_that_hangs_again_on_its_way_back_holds_no_lock),
		host_test(worker_whose_lock_cannot_be_had_leaves_the_device_with_a_word),
	};

	return cmocka_run_group_tests_name("vfio/stuck", tests, NULL, NULL);
}
