/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_claim_test.c - claims, the registry, processes and programs with a deadline */

#include "tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/claim.h"
#include "lib/deadline.h"
#include "lib/giveback.h"
#include "lib/process.h"
#include "lib/registry.h"
#include "lib/spawn.h"
#include "lib/state.h"
#include "lib/step.h"

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

/* A process of the tree's own: stat and command line */
static void fake_process(const struct tree *tree, int pid, unsigned long long start,
			 const char *state, const char *cmdline, size_t cmdline_len)
{
	char path[64], stat[256];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	(void)snprintf(stat, sizeof(stat),
		       "%d (a) b (c)) %s 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0 0", pid,
		       state, start);
	tree_file(tree, path, stat);
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	tree_bytes(tree, path, cmdline, cmdline_len);
	(void)snprintf(path, sizeof(path), "proc/%d/comm", pid);
	tree_file(tree, path, "qemu-system-x86\n");
}

static void make_claim(int statefd, const char *uuid, const char *guest, enum claim_state state,
		       pid_t owner, unsigned long long start)
{
	const struct process process = { .pid = owner, .start_time = start };
	_cleanup_claim_ struct claim claim = { 0 };

	assert_int_equal(claim_init(&claim, uuid, guest, &process), 0);
	assert_int_equal(inidoc_add(&claim.doc, "vfio", "device",
				    "0000:01:00.0 10de:1b80 hostdev unmanaged"),
			 0);
	assert_int_equal(claim_set_state(statefd, &claim, state, &process), 0);
}

/* --- claims ----------------------------------------------------------------------------------- */

static void a_claim_comes_back_as_it_was_stored(void **state)
{
	const struct tree *tree = *state;
	const struct process owner = { .pid = 812, .start_time = 53321 };
	_cleanup_close_ int fd = state_open(tree->rootfd, true);
	_cleanup_claim_ struct claim claim = { 0 }, again = { 0 };
	struct ini_error err;

	assert_int_equal(claim_init(&claim, UUID_A, "--help; [x] \xc3\xa9=", &owner), 0);
	assert_int_equal(inidoc_add(&claim.doc, "hugepages", "need", "2048 any 512"), 0);
	assert_int_equal(claim_store(fd, &claim), 0);
	assert_int_equal(claim_load(fd, UUID_A, &again, &err), 0);
	assert_string_equal(again.guest, "--help; [x] \xc3\xa9=");
	assert_string_equal(again.uuid, UUID_A);
	assert_int_equal(again.state, CLAIM_PREPARING);
	assert_int_equal(again.owner.pid, 812);
	assert_int_equal(again.owner.start_time, 53321);
	assert_string_equal(inidoc_get(&again.doc, "hugepages", "need"), "2048 any 512");
}

static void a_claim_knows_that_its_guest_has_run(void **state)
{
	static const enum claim_state states[] = { CLAIM_PREPARING, CLAIM_HANDED, CLAIM_RUNNING,
						   CLAIM_ENDING, CLAIM_RETURNING };
	const struct tree *tree = *state;
	const struct process owner = { .pid = 812, .start_time = 53321 };
	_cleanup_close_ int fd = state_open(tree->rootfd, true);
	_cleanup_claim_ struct claim claim = { 0 };

	assert_int_equal(claim_init(&claim, UUID_A, "g", &owner), 0);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		_cleanup_claim_ struct claim again = { 0 };
		struct ini_error err;

		assert_int_equal(claim_set_state(fd, &claim, states[i], &owner), 0);
		assert_int_equal(claim_load(fd, UUID_A, &again, &err), 0);
		assert_int_equal(claim_has_run(&again), states[i] >= CLAIM_RUNNING);
	}
}

static void a_claim_with_a_guest_name_of_255_bytes_is_kept_whole(void **state)
{
	const struct tree *tree = *state;
	const struct process owner = { .pid = 1, .start_time = 1 };
	_cleanup_close_ int fd = state_open(tree->rootfd, true);
	_cleanup_claim_ struct claim claim = { 0 }, again = { 0 };
	struct ini_error err;
	char name[256];

	for (size_t i = 0; i < 255; i++)
		name[i] = (char)(i % 2 ? 0x01 + i % 31 : 0xc3);
	name[255] = '\0';
	assert_int_equal(claim_init(&claim, UUID_A, name, &owner), 0);
	assert_int_equal(claim_store(fd, &claim), 0);
	assert_int_equal(claim_load(fd, UUID_A, &again, &err), 0);
	assert_string_equal(again.guest, name);
}

static void a_malformed_uuid_makes_no_claim(void **state)
{
	static const char *const bad[] = {
		"",
		"../x",
		UUID_A "0",
		"1111111-12222-3333-4444-555555555555",
		"11111111-2222-3333-4444-55555555555G",
		"11111111-2222-3333-4444-55555555555A",
	};
	const struct process owner = { 0 };
	struct claim claim;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(claim_init(&claim, bad[i], "g", &owner), -EINVAL);
}

static void a_tampered_claim_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *what;
	} bad[] = {
		{ "[claim]\nformat = 2\n", "this is no claim, or one of a newer usher ('format')" },
		{ "[claim]\nformat = 1\n", "'uuid' in [claim] is missing or malformed" },
		{ "[claim]\nformat = 1\nuuid = " UUID_A "\n", "'guest' in [claim] is missing" },
		{ "[claim]\nformat = 1\nuuid = " UUID_A "\nguest = a%2fb\n",
		  "'guest' in [claim] is malformed" },
		{ "[claim]\nformat = 1\nuuid = " UUID_A "\nguest = a\nstate = x\n",
		  "'state' in [claim] is missing or unknown" },
		{ "[claim]\nformat = 1\nuuid = " UUID_A
		  "\nguest = a\nstate = handed\nowner = -1 1\n",
		  "'owner' in [claim] is missing or malformed" },
		{ "[claim]\nformat = 1\nuuid = " UUID_B
		  "\nguest = a\nstate = handed\nowner = 1 1\n",
		  "it names another uuid than its directory" },
	};
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);
	_cleanup_close_ int dir = state_dir(fd, UUID_A, true);
	struct ini_error err;
	struct claim claim;

	assert_int_equal(claim_load(fd, UUID_B, &claim, &err), -ENOENT);
	assert_int_equal(claim_load(fd, "..", &claim, &err), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(state_write(dir, CLAIM_FILE, bad[i].text, strlen(bad[i].text)), 0);
		assert_int_equal(claim_load(fd, UUID_A, &claim, &err), -EBADMSG);
		assert_string_equal(err.what, bad[i].what);
	}
	assert_int_equal(fchmodat(dir, CLAIM_FILE, 0666, 0), 0);
	assert_int_equal(claim_load(fd, UUID_A, &claim, &err), -EPERM);
}

static void a_device_line_is_read_whole_or_not_at_all(void **state)
{
	static const char *const bad[] = {
		"",
		"0000:01:00.0",
		"0000:01:00.0 10de:1b80 hostdev",
		"0000:01:00.8 1:2 hostdev managed",
		"0000:01:00.0 10de hostdev managed",
		"0000:01:00.0 10de:1b80 hostdev perhaps",
		"0000:01:00.0 10de:1b80 a-much-too-long-origin managed",
	};
	struct claim_device device;

	(void)state;
	assert_int_equal(
		claim_device_parse("0000:01:00.1 10de:10f0 slot managed serial=x", &device), 0);
	assert_int_equal(device.addr.function, 1);
	assert_int_equal(device.id.device, 0x10f0);
	assert_string_equal(device.origin, "slot");
	assert_true(device.managed);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(claim_device_parse(bad[i], &device), -EBADMSG);
}

static void a_number_of_a_claim_has_a_fallback(void **state)
{
	const struct process owner = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };

	(void)state;
	assert_int_equal(claim_init(&claim, UUID_A, "g", &owner), 0);
	assert_int_equal(inidoc_add(&claim.doc, "vfio", "timeout_ms", "1500"), 0);
	assert_int_equal(inidoc_add(&claim.doc, "seat", "timeout_ms", "soon"), 0);
	assert_int_equal(claim_int(&claim, "vfio", "timeout_ms", 7), 1500);
	assert_int_equal(claim_int(&claim, "seat", "timeout_ms", 7), 7);
	assert_int_equal(claim_int(&claim, "none", "timeout_ms", 7), 7);
}

/* --- processes -------------------------------------------------------------------------------- */

static void a_process_is_known_by_pid_and_start_time(void **state)
{
	const struct tree *tree = *state;
	struct process process;
	char name[32];

	fake_process(tree, 42, 777, "S", "", 0);
	assert_int_equal(process_identify(tree->rootfd, 42, &process), 0);
	assert_int_equal(process.start_time, 777);
	assert_int_equal(process_alive(tree->rootfd, &process), 1);
	process.start_time = 778;
	assert_int_equal(process_alive(tree->rootfd, &process), 0);
	process.pid = 43;
	assert_int_equal(process_alive(tree->rootfd, &process), 0);
	assert_int_equal(process_identify(tree->rootfd, 43, &process), -ESRCH);
	assert_int_equal(process_name(tree->rootfd, 42, name, sizeof(name)), 0);
	assert_string_equal(name, "qemu-system-x86");
	assert_int_equal(process_name(tree->rootfd, 43, name, sizeof(name)), -ESRCH);
}

static void a_zombie_is_no_process_and_a_broken_stat_no_answer(void **state)
{
	const struct tree *tree = *state;
	struct process process;

	fake_process(tree, 42, 777, "Z", "", 0);
	assert_int_equal(process_identify(tree->rootfd, 42, &process), -ESRCH);
	tree_file(tree, "proc/43/stat", "43 (x S 1 2 3");
	assert_int_equal(process_identify(tree->rootfd, 43, &process), -EBADMSG);
	tree_file(tree, "proc/44/stat", "44 (x) S 1 2 3");
	assert_int_equal(process_identify(tree->rootfd, 44, &process), -EBADMSG);
}

static void a_qemu_is_known_by_its_uuid_option(void **state)
{
	static const char qemu[] = "qemu\0-uuid\0" UUID_A;
	static const char helper[] = "usher-vfio\0/run/usher/" UUID_B "/claim.ini";
	static const char virsh[] = "virsh\0start\0" UUID_B;
	static const char viewer[] = "virt-viewer\0-uuid=" UUID_B "\0" UUID_B "\0-uuid";
	const struct tree *tree = *state;

	fake_process(tree, 91, 1, "S", virsh, sizeof(virsh));
	fake_process(tree, 92, 1, "S", viewer, sizeof(viewer));

	assert_int_equal(process_find_qemu(tree->rootfd, UUID_A), 0);
	fake_process(tree, 900, 1, "S", qemu, sizeof(qemu));
	fake_process(tree, 90, 1, "S", helper, sizeof(helper));
	fake_process(tree, 1000, 1, "S", qemu, sizeof(qemu));
	tree_file(tree, "proc/meminfo", "x");
	assert_int_equal(process_find_qemu(tree->rootfd, UUID_A), 900);
	assert_int_equal(process_find_qemu(tree->rootfd, UUID_B), 0);
}

static void a_process_is_found_by_its_whole_name(void **state)
{
	const struct tree *tree = *state;

	assert_int_equal(process_find_name(tree->rootfd, "qemu-system-x86"), 0);
	fake_process(tree, 900, 1, "S", "", 0);
	fake_process(tree, 90, 1, "S", "", 0);
	/* What a kernel worker is doing belongs to its name: longer than any program's */
	tree_file(tree, "proc/10/comm",
		  "kworker/u18:2-kvfree_rcu_reclaim_and_all_that_fits_in_63_bytes_\n");
	assert_int_equal(process_find_name(tree->rootfd, "qemu-system-x86"), 90);
	assert_int_equal(process_find_name(tree->rootfd, "qemu-system"), 0);
	tree_file(tree, "proc/90/comm", "systemd-network\n");
	assert_int_equal(process_find_name(tree->rootfd, "qemu-system-x86"), 900);
}

static void a_users_own_process_is_no_guest_of_the_hosts(void **state)
{
	static const char qemu[] = "qemu\0-uuid\0" UUID_A;
	const struct tree *tree = *state;

	fake_process(tree, 900, 1, "S", qemu, sizeof(qemu));
	tree_file(tree, "proc/900/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	assert_int_equal(process_find_qemu(tree->rootfd, UUID_A), 0);
	tree_file(tree, "proc/900/cgroup",
		  "0::/machine.slice/machine-qemu\\x2d1\\x2da.scope/libvirt/emulator\n");
	assert_int_equal(process_find_qemu(tree->rootfd, UUID_A), 900);
}

/* Its command line is a pipe that nobody writes to: opening that never returns */
static void make_deaf(const struct tree *tree, int pid, const char *comm)
{
	char path[64];

	fake_process(tree, pid, 1, "D", "", 0);
	(void)snprintf(path, sizeof(path), "proc/%d/comm", pid);
	tree_file(tree, path, comm);
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	assert_int_equal(unlinkat(tree->rootfd, path, 0), 0);
	assert_int_equal(mkfifoat(tree->rootfd, path, 0644), 0);
}

/* What is asked by a process that may hang. Return: the answer, -EDEADLK when there is none */
static int answer_in_time(const struct tree *tree, pid_t (*ask)(int rootfd, const char *uuid),
			  int timeout_ms)
{
	long long until = deadline_in(timeout_ms);
	int ends[2], answer = -EDEADLK;
	struct pollfd fd;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		answer = ask(tree->rootfd, UUID_A);
		_exit(write(ends[1], &answer, sizeof(answer)) != sizeof(answer));
	}
	fd = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	if (poll(&fd, 1, deadline_left(until)) > 0)
		assert_int_equal(read(ends[0], &answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return answer;
}

static void process_whose_command_line_hangs_holds_nobody_up(void **state)
{
	static const char qemu[] = "qemu\0-uuid\0" UUID_A;
	const struct tree *tree = *state;

	make_deaf(tree, 50, "tee\n");
	assert_int_equal(answer_in_time(tree, process_find_qemu, 5000), 0);
	make_deaf(tree, 51, "backup\n");
	/* Whatever its name is */
	fake_process(tree, 900, 1, "S", qemu, sizeof(qemu));
	tree_file(tree, "proc/900/comm", "my-emulator\n");
	assert_int_equal(answer_in_time(tree, process_find_qemu, 5000), 900);
}

/* That it is none is not known: who takes a guest for dead would take its devices */
static void qemu_whose_command_line_hangs_may_be_anybodys(void **state)
{
	const struct tree *tree = *state;

	make_deaf(tree, 50, "qemu-system-x86\n");
	assert_int_equal(answer_in_time(tree, process_find_qemu, 5000), -ETIMEDOUT);
	tree_file(tree, "proc/50/comm", "my-emulator\n");
	assert_int_equal(answer_in_time(tree, process_find_qemu, 5000), 0);
	tree_file(tree, "proc/50/cgroup", "0::/machine.slice/machine-qemu\\x2d1\\x2da.scope\n");
	assert_int_equal(answer_in_time(tree, process_find_qemu, 5000), -ETIMEDOUT);
}

static void host_full_of_hanging_processes_is_given_up(void **state)
{
	const struct tree *tree = *state;

	for (int pid = 50; pid < 70; pid++)
		make_deaf(tree, pid, "tee\n");
	assert_int_equal(answer_in_time(tree, process_find_qemu, 10000), -ETIMEDOUT);
}

static const struct tree *reused;

/* Once it has ended, somebody else may have its pid */
static pid_t find_in_its_place(int rootfd, const char *uuid)
{
	static const char qemu[] = "qemu\0-uuid\0" UUID_A;

	if (process_find_qemu(rootfd, uuid) != 0)
		return -EBADMSG;
	assert_int_equal(unlinkat(rootfd, "proc/50/cmdline", 0), 0);
	fake_process(reused, 50, 1, "S", qemu, sizeof(qemu));
	/* The same one: not asked again so soon, and by its name it may be a guest */
	if (process_find_qemu(rootfd, uuid) != -ETIMEDOUT)
		return -EALREADY;
	fake_process(reused, 50, 2, "S", qemu, sizeof(qemu));
	return process_find_qemu(rootfd, uuid);
}

static void who_has_not_answered_is_not_asked_again_but_who_has_its_pid_is(void **state)
{
	reused = *state;
	make_deaf(reused, 50, "tee\n");
	assert_int_equal(answer_in_time(reused, find_in_its_place, 60000), 50);
}

static pid_t has_uuid(int rootfd, const char *uuid)
{
	return process_has_arg(rootfd, 50, uuid);
}

static void word_of_a_command_line_that_hangs_is_not_waited_for(void **state)
{
	const struct tree *tree = *state;
	static const char qemu[] = "qemu\0-uuid\0" UUID_A;

	fake_process(tree, 50, 1, "S", qemu, sizeof(qemu));
	assert_int_equal(answer_in_time(tree, has_uuid, 5000), 1);
	make_deaf(tree, 50, "tee\n");
	assert_int_equal(answer_in_time(tree, has_uuid, 5000), -ETIMEDOUT);
}

static void who_holds_a_file_open_is_found(void **state)
{
	static const char *const nodes[] = { "/dev/vfio/11", "/dev/vfio/12" };
	const struct tree *tree = *state;

	assert_int_equal(process_find_open(tree->rootfd, nodes, 2), 0);
	tree_link(tree, "proc/77/fd/3", "/dev/vfio/1");
	assert_int_equal(process_find_open(tree->rootfd, nodes, 2), 0);
	tree_link(tree, "proc/78/fd/9", "/dev/vfio/12");
	assert_int_equal(process_find_open(tree->rootfd, nodes, 2), 78);
}

/* --- who is alive ----------------------------------------------------------------------------- */

static void claims_are_listed_and_broken_ones_counted(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);
	_cleanup_close_ int dir = state_dir(fd, "99999999-2222-3333-4444-555555555555", true);
	_cleanup_claims_ struct claims claims = { 0 };

	make_claim(fd, UUID_B, "b", CLAIM_RUNNING, 1, 1);
	make_claim(fd, UUID_A, "a", CLAIM_RUNNING, 1, 1);
	assert_int_equal(state_write(dir, CLAIM_FILE, "x", 1), 0);
	assert_int_equal(registry_load(fd, &claims), 1);
	assert_int_equal(claims.nr, 2);
	assert_string_equal(claims.claims[0].guest, "a");
	assert_string_equal(claims.claims[1].guest, "b");
}

static int alive(const struct tree *tree, int fd)
{
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err;

	assert_int_equal(claim_load(fd, UUID_A, &claim, &err), 0);
	return registry_alive(tree->rootfd, &claim);
}

static void a_claim_lives_as_long_as_its_owner(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	fake_process(tree, 50, 5, "S", "libvirtd", 9);
	make_claim(fd, UUID_A, "g", CLAIM_HANDED, 50, 5);
	assert_int_equal(alive(tree, fd), 1);
	make_claim(fd, UUID_A, "g", CLAIM_HANDED, 50, 6);
	assert_int_equal(alive(tree, fd), 0);
}

/* Its hook has ended since, and the daemon has it: no moment between the two is without an owner */
static void a_claim_that_was_handed_over_since_it_was_read_is_alive(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);
	_cleanup_claim_ struct claim before = { 0 };
	struct ini_error err;

	fake_process(tree, 50, 5, "S", "libvirtd", 9);
	make_claim(fd, UUID_A, "g", CLAIM_PREPARING, 40, 4);
	assert_int_equal(claim_load(fd, UUID_A, &before, &err), 0);
	assert_int_equal(registry_alive(tree->rootfd, &before), 0);
	make_claim(fd, UUID_A, "g", CLAIM_HANDED, 50, 5);
	assert_int_equal(registry_alive(tree->rootfd, &before), 1);
	/* Nor is the dead one that was read a living one's */
	make_claim(fd, UUID_A, "g", CLAIM_HANDED, 50, 6);
	assert_int_equal(registry_alive(tree->rootfd, &before), 0);
	assert_int_equal(state_remove_dir(fd, UUID_A), 0);
	assert_int_equal(registry_alive(tree->rootfd, &before), 0);
}

static void a_claim_whose_qemu_still_bears_the_uuid_is_alive(void **state)
{
	static const char qemu[] = "qemu\0-uuid\0" UUID_A;
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	make_claim(fd, UUID_A, "g", CLAIM_HANDED, 50, 6);
	fake_process(tree, 60, 9, "S", qemu, sizeof(qemu));
	assert_int_equal(alive(tree, fd), 1);
}

static void a_claim_whose_qemu_may_be_one_that_hangs_is_alive(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	make_claim(fd, UUID_A, "g", CLAIM_HANDED, 50, 6);
	make_deaf(tree, 60, "tee\n");
	assert_int_equal(alive(tree, fd), 0);
	tree_file(tree, "proc/60/comm", "qemu-system-x86\n");
	assert_int_equal(alive(tree, fd), 1);
}

static void a_claim_whose_vfio_group_is_held_open_is_alive(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	make_claim(fd, UUID_A, "g", CLAIM_RETURNING, 50, 6);
	tree_dir(tree, "sys/bus/pci/devices/0000:01:00.0");
	tree_link(tree, "sys/bus/pci/devices/0000:01:00.0/iommu_group",
		  "../../../../kernel/iommu_groups/12");
	tree_link(tree, "proc/60/fd/4", "/dev/vfio/12");
	assert_int_equal(alive(tree, fd), 1);
	assert_int_equal(unlinkat(tree->rootfd, "proc/60/fd/4", 0), 0);
	assert_int_equal(alive(tree, fd), 0);
	tree_dir(tree, "sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio3");
	tree_link(tree, "proc/60/fd/5", "/dev/vfio/devices/vfio3");
	assert_int_equal(alive(tree, fd), 1);
}

static void a_guest_on_the_books_of_a_running_daemon_is_alive(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	make_claim(fd, UUID_A, "g", CLAIM_RUNNING, 50, 6);
	tree_file(tree, "run/libvirt/qemu/g.xml", "<domstatus/>");
	assert_int_equal(alive(tree, fd), 0);
	tree_file(tree, "run/libvirtd.pid", "70\n");
	assert_int_equal(alive(tree, fd), 0);
	fake_process(tree, 70, 5, "S", "libvirtd", 9);
	assert_int_equal(alive(tree, fd), 1);
}

static void an_ending_claim_that_lost_its_release_is_dead(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	fake_process(tree, 50, 5, "S", "libvirtd", 9);
	make_claim(fd, UUID_A, "g", CLAIM_ENDING, 50, 5);
	assert_int_equal(alive(tree, fd), 0);
	tree_file(tree, "run/libvirt/qemu/g.xml", "<domstatus/>");
	assert_int_equal(alive(tree, fd), 1);
}

/* --- programs --------------------------------------------------------------------------------- */

static void programs_run_side_by_side_and_their_words_are_kept(void **state)
{
	static const char *const a[] = { "/bin/sh", "-c", "sleep 0.2; echo one >&2; exit 3", NULL };
	static const char *const b[] = { "/bin/sh", "-c", "sleep 0.2; echo two; env >&2", NULL };
	struct spawn_job jobs[] = { { .argv = a, .timeout_ms = 5000 },
				    { .argv = b, .timeout_ms = 5000 } };

	(void)state;
	assert_int_equal(spawn_run(jobs, 2), 1);
	assert_int_equal(jobs[0].status, 3);
	assert_string_equal(jobs[0].output, "one\n");
	assert_int_equal(jobs[1].status, 0);
	assert_non_null(strstr(jobs[1].output, "two\n"));
	assert_non_null(strstr(jobs[1].output, "LC_ALL=C\n"));
	assert_null(strstr(jobs[1].output, "HOME="));
	spawn_job_free(&jobs[0]);
	spawn_job_free(&jobs[1]);
}

static void a_program_past_its_deadline_is_killed_with_what_it_started(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-c", "sleep 60 & echo $!; sleep 60", NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = 100 };
	_cleanup_close_ int rootfd = root_open("/");
	long long start = now_ms();
	struct process process;
	pid_t grandchild;

	(void)state;
	assert_int_equal(spawn_run(&job, 1), 1);
	assert_true(job.timed_out);
	assert_int_equal(job.status, 128 + SIGKILL);
	assert_true(now_ms() - start < 5000);
	grandchild = atoi(job.output);
	assert_true(grandchild > 0);
	/* Whoever is its parent now may be slow to reap it: a zombie counts as none */
	for (start = now_ms();
	     process_identify(rootfd, grandchild, &process) == 0 && now_ms() - start < 5000;)
		(void)usleep(1000);
	assert_int_equal(process_identify(rootfd, grandchild, &process), -ESRCH);
	spawn_job_free(&job);
}

static void a_program_that_is_missing_is_an_error_of_its_own(void **state)
{
	static const char *const argv[] = { "/nonexistent/usher-x", NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = 1000 };

	(void)state;
	assert_int_equal(spawn_run(&job, 1), 1);
	assert_int_equal(job.error, -ENOENT);
	spawn_job_free(&job);
}

static void a_grandchild_that_keeps_the_pipe_does_not_hold_us(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-c", "setsid sleep 30 & echo done", NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = 10000 };
	long long start = now_ms();

	(void)state;
	assert_int_equal(spawn_run(&job, 1), 0);
	assert_true(now_ms() - start < 5000);
	assert_string_equal(job.output, "done\n");
	spawn_job_free(&job);
}

static void a_chatty_program_neither_blocks_nor_fills_memory(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-c", "yes | head -c 1000000", NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = 10000 };

	(void)state;
	assert_int_equal(spawn_run(&job, 1), 0);
	assert_int_equal(strlen(job.output), SPAWN_OUTPUT_MAX);
	spawn_job_free(&job);
}

static void a_detached_process_holds_only_what_it_was_told_to(void **state)
{
	const struct tree *tree = *state;
	int keep[2], other[2];
	char answer[8] = "";
	pid_t pid;

	assert_int_equal(pipe(keep), 0);
	assert_int_equal(pipe(other), 0);
	pid = spawn_detached(&keep[1], 1);
	assert_true(pid >= 0);
	if (pid == 0) {
		struct stat null, in, out;
		bool right = stat("/dev/null", &null) == 0 && fstat(0, &in) == 0 &&
			     fstat(2, &out) == 0 && in.st_rdev == null.st_rdev &&
			     out.st_rdev == null.st_rdev && fcntl(other[0], F_GETFD) < 0 &&
			     fcntl(tree->rootfd, F_GETFD) < 0 && getsid(0) == getpid();

		_exit(write(keep[1], right ? "right" : "wrong", 5) != 5);
	}
	assert_int_equal(read(keep[0], answer, 5), 5);
	assert_string_equal(answer, "right");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 2; i++) {
		(void)close(keep[i]);
		(void)close(other[i]);
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

/* A helper program that writes down how it was called and does as it is told */
static void fake_helper(const struct tree *tree, const char *name, const char *body)
{
	char path[64], text[1024];

	(void)snprintf(path, sizeof(path), "bin/usher-%s", name);
	(void)snprintf(text, sizeof(text), "#!/bin/sh\necho \"%s $3\" >>%s/calls\n%s\n", name,
		       tree->dir, body);
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

struct rig {
	struct host host;
	struct claim claim;
	char helpers[128];
};

static void rig_make(const struct tree *tree, struct rig *rig)
{
	static const char *const sections[] = { "hugepages", "vfio", "seat", "cpuset",
						"display left" };
	const struct process owner = { .pid = 1, .start_time = 1 };

	*rig = (struct rig){ 0 };
	(void)snprintf(rig->helpers, sizeof(rig->helpers), "%s/bin", tree->dir);
	rig->host = (struct host){ .rootfd = tree->rootfd,
				   .statefd = state_open(tree->rootfd, true),
				   .root = tree->dir,
				   .helpers = rig->helpers };
	assert_int_equal(claim_init(&rig->claim, UUID_A, "g", &owner), 0);
	assert_int_equal(inidoc_add(&rig->claim.doc, "claim", "required", "hugepages vfio seat"),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		assert_int_equal(inidoc_add(&rig->claim.doc, sections[i], "x", "y"), 0);
	assert_int_equal(claim_store(rig->host.statefd, &rig->claim), 0);
	for (size_t i = 0; i < nr_steps; i++)
		fake_helper(tree, steps[i].name, "exit 0");
}

static void rig_drop(struct rig *rig)
{
	claim_free(&rig->claim);
	(void)close(rig->host.statefd);
}

static void steps_go_in_the_order_of_regret_and_back_in_reverse(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	assert_int_equal(steps_run(&rig.host, &rig.claim, "apply", STEP_PREPARE, 0, &result), 0);
	assert_string_equal(tree_read(tree, "calls"), "hugepages apply\nseat apply\nvfio apply\n");
	assert_int_equal(unlinkat(tree->rootfd, "calls", 0), 0);
	assert_int_equal(steps_run(&rig.host, &rig.claim, "undo", STEP_PREPARE, 0, &result), 0);
	assert_string_equal(tree_read(tree, "calls"), "vfio undo\nseat undo\nhugepages undo\n");
	assert_null(result.failures);
}

static void a_required_step_that_fails_stops_the_rest(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	fake_helper(tree, "seat", "echo 'usher: g: the seat is taken' >&2; exit 1");
	assert_int_equal(steps_run(&rig.host, &rig.claim, "apply", STEP_PREPARE, 0, &result), 1);
	assert_string_equal(tree_read(tree, "calls"), "hugepages apply\nseat apply\n");
	assert_string_equal(result.failures, "usher: g: the seat is taken\n");
	assert_false(result.dirty);
}

static void a_best_effort_step_that_fails_is_a_warning(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	fake_helper(tree, "cpuset", "echo 'usher: g: no cgroups' >&2; exit 2");
	assert_int_equal(steps_run(&rig.host, &rig.claim, "apply", STEP_STARTED, 0, &result), 0);
	assert_null(result.failures);
	assert_string_equal(result.warnings, "usher: g: no cgroups\n");
	assert_true(result.dirty);
}

static void a_step_that_says_nothing_is_described(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	fake_helper(tree, "hugepages", "exit 9");
	assert_int_equal(steps_run(&rig.host, &rig.claim, "check", STEP_PREPARE, 0, &result), 1);
	assert_string_equal(result.failures,
			    "usher: g: usher-hugepages check failed with status 9: "
			    "see journalctl -t usher\n");
}

static void a_helper_that_hangs_is_killed_and_named(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	fake_helper(tree, "vfio", "sleep 60");
	assert_int_equal(steps_run(&rig.host, &rig.claim, "apply", STEP_PREPARE, 300, &result), 1);
	assert_non_null(strstr(result.failures, "usher-vfio apply did not end within 300 ms"));
	assert_true(result.dirty);
}

static void how_long_a_monitor_is_tried_is_not_how_long_its_step_may_take(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	assert_int_equal(inidoc_add(&rig.claim.doc, "display", "timeout_ms", "10"), 0);
	fake_helper(tree, "display", "sleep 1.5");
	assert_int_equal(steps_run(&rig.host, &rig.claim, "check", STEP_STARTED, 0, &result), 0);
	assert_null(result.warnings);
}

/* --- giving back ------------------------------------------------------------------------------ */

static void all_that_is_given_back_is_forgotten(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A), 0);
}

/* The steps are all done then, so theirs are no lines that could be looked at */
static void a_claim_that_cannot_be_removed_is_named_with_the_reason(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	assert_int_equal(mkdirat(rig.host.statefd, UUID_A "/kept", 0700), 0);
	assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), -ENOTEMPTY);
	assert_string_equal(result.failures,
			    "usher: g: cannot remove the claim /run/usher/" UUID_A
			    ": Directory not empty: all it held is given back: see that /run can "
			    "be written, then run usher recover\n");
}

static void a_monitor_comes_back_when_the_devices_are_back(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), 0);
	assert_string_equal(tree_read(tree, "calls"),
			    "cpuset undo\nvfio undo\nseat undo\nhugepages undo\ndisplay undo\n");
}

/* Only with --force, and never by a hook: nobody else sets it */
static void what_an_undo_leaves_is_replugged_when_it_is_asked_for(void **state)
{
	static const char body[] = "test \"$3\" = replug && touch %s/replugged\n"
				   "test -e %s/replugged && exit 0\n"
				   "echo 'usher: g: it does not go home'; exit 2";
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;
	char text[512];

	rig_make(tree, &rig);
	(void)snprintf(text, sizeof(text), body, tree->dir, tree->dir);
	fake_helper(tree, "vfio", text);
	assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), 1);
	assert_string_equal(result.failures, "usher: g: it does not go home\n");
	assert_null(strstr(tree_read(tree, "calls"), "replug"));
	assert_int_equal(unlinkat(tree->rootfd, "calls", 0), 0);
	rig.host.replug = true;
	assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), 0);
	assert_string_equal(tree_read(tree, "calls"),
			    "cpuset undo\nvfio undo\nseat undo\nhugepages undo\ndisplay undo\n"
			    "vfio replug\n"
			    "cpuset undo\nvfio undo\nseat undo\nhugepages undo\ndisplay undo\n");
	assert_null(result.failures);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A), 0);
}

static void device_that_is_lost_by_it_counts_as_not_given_back(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;
	char text[512];

	rig_make(tree, &rig);
	(void)snprintf(text, sizeof(text),
		       "test -e %s/gone && exit 0\ntest \"$3\" = replug && touch %s/gone\n"
		       "echo \"usher: g: $3 failed\"; exit 2",
		       tree->dir, tree->dir);
	fake_helper(tree, "vfio", text);
	rig.host.replug = true;
	assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), 1);
	assert_string_equal(result.failures, "usher: g: replug failed\n");
}

static void what_could_not_be_given_back_is_tried_again(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	fake_process(tree, getpid(), 7, "S", "test", 5);
	fake_helper(tree, "vfio", "echo 'usher: g: stuck' >&2; exit 2");
	assert_int_equal(giveback_dead(&rig.host, NULL, 0, &result), 1);
	assert_string_equal(result.failures, "usher: g: stuck\n");
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A "/claim.ini"), 1);
	fake_helper(tree, "vfio", "exit 0");
	/* The owner it has now is ourselves: as if we had died and our pid were another's */
	fake_process(tree, getpid(), 8, "S", "test", 5);
	assert_int_equal(giveback_dead(&rig.host, NULL, 0, &result), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A), 0);
}

static void a_living_claim_is_left_alone_unless_it_is_named(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	fake_process(tree, 1, 1, "S", "init", 5);
	fake_process(tree, getpid(), 1, "S", "test", 5);
	assert_int_equal(giveback_dead(&rig.host, NULL, 0, &result), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A "/claim.ini"), 1);
	assert_int_equal(giveback_dead(&rig.host, UUID_A, 0, &result), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A), 0);
}

static void a_claim_somebody_works_on_is_left_to_him(void **state)
{
	const struct tree *tree = *state;
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_close_ int lock = -1;
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	lock = giveback_lock(&rig.host, UUID_A, 0);
	assert_true(lock >= 0);
	assert_int_equal(giveback_dead(&rig.host, NULL, 0, &result), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID_A "/claim.ini"), 1);
	assert_int_equal(giveback_lock(&rig.host, UUID_B, 0), -ENOENT);
}

/* libvirt waits for it: what needs longer is finished by the process that is left behind */
static void in_a_start_an_undo_is_told_how_long_it_may_take(void **state)
{
	static const struct {
		int left_ms, from, to;
	} rows[] = { { 20000, 15000, 20000 }, { -1000, STEP_UNDO_FLOOR_MS, STEP_UNDO_FLOOR_MS } };
	const struct tree *tree = *state;
	char body[256];
	int ms;

	(void)snprintf(body, sizeof(body), "echo \"$*\" >%s/told", tree->dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_step_result_ struct step_result result = { 0 };
		_cleanup_(rig_drop) struct rig rig;
		const char *told;

		rig_make(tree, &rig);
		fake_helper(tree, "vfio", body);
		rig.host.undo_until = deadline_in(rows[i].left_ms);
		assert_int_equal(giveback_claim(&rig.host, &rig.claim, &result), 0);
		told = strstr(tree_read(tree, "told"), "--timeout ");
		assert_non_null(told);
		assert_int_equal(sscanf(told, "--timeout %d undo", &ms), 1);
		assert_in_range(ms, rows[i].from, rows[i].to);
		/* A seat that is left half done is a black screen */
		assert_non_null(strstr(tree_read(tree, "calls"), "seat undo\n"));
	}
}

static void a_start_lasts_as_long_as_devices_may_take_to_be_handed_over(void **state)
{
	const struct tree *tree = *state;
	_cleanup_(rig_drop) struct rig rig;

	rig_make(tree, &rig);
	assert_in_range(deadline_left(step_start_until(&rig.claim)), 9000, 10000);
	assert_int_equal(inidoc_add(&rig.claim.doc, "vfio", "timeout_ms", "30000"), 0);
	assert_in_range(deadline_left(step_start_until(&rig.claim)), 29000, 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_claim_comes_back_as_it_was_stored),
		tree_test(a_claim_knows_that_its_guest_has_run),
		tree_test(a_claim_with_a_guest_name_of_255_bytes_is_kept_whole),
		tree_test(a_malformed_uuid_makes_no_claim),
		tree_test(a_tampered_claim_is_refused_with_the_reason),
		tree_test(a_device_line_is_read_whole_or_not_at_all),
		tree_test(a_number_of_a_claim_has_a_fallback),
		tree_test(a_process_is_known_by_pid_and_start_time),
		tree_test(a_zombie_is_no_process_and_a_broken_stat_no_answer),
		tree_test(a_qemu_is_known_by_its_uuid_option),
		tree_test(a_process_is_found_by_its_whole_name),
		tree_test(a_users_own_process_is_no_guest_of_the_hosts),
		tree_test(process_whose_command_line_hangs_holds_nobody_up),
		tree_test(qemu_whose_command_line_hangs_may_be_anybodys),
		tree_test(host_full_of_hanging_processes_is_given_up),
		tree_test(who_has_not_answered_is_not_asked_again_but_who_has_its_pid_is),
		tree_test(word_of_a_command_line_that_hangs_is_not_waited_for),
		tree_test(who_holds_a_file_open_is_found),
		tree_test(claims_are_listed_and_broken_ones_counted),
		tree_test(a_claim_lives_as_long_as_its_owner),
		tree_test(a_claim_that_was_handed_over_since_it_was_read_is_alive),
		tree_test(a_claim_whose_qemu_still_bears_the_uuid_is_alive),
		tree_test(a_claim_whose_qemu_may_be_one_that_hangs_is_alive),
		tree_test(a_claim_whose_vfio_group_is_held_open_is_alive),
		tree_test(a_guest_on_the_books_of_a_running_daemon_is_alive),
		tree_test(an_ending_claim_that_lost_its_release_is_dead),
		tree_test(programs_run_side_by_side_and_their_words_are_kept),
		tree_test(a_program_past_its_deadline_is_killed_with_what_it_started),
		tree_test(a_program_that_is_missing_is_an_error_of_its_own),
		tree_test(a_grandchild_that_keeps_the_pipe_does_not_hold_us),
		tree_test(a_chatty_program_neither_blocks_nor_fills_memory),
		tree_test(a_detached_process_holds_only_what_it_was_told_to),
		tree_test(steps_go_in_the_order_of_regret_and_back_in_reverse),
		tree_test(a_required_step_that_fails_stops_the_rest),
		tree_test(a_best_effort_step_that_fails_is_a_warning),
		tree_test(a_step_that_says_nothing_is_described),
		tree_test(a_helper_that_hangs_is_killed_and_named),
		tree_test(how_long_a_monitor_is_tried_is_not_how_long_its_step_may_take),
		tree_test(all_that_is_given_back_is_forgotten),
		tree_test(a_claim_that_cannot_be_removed_is_named_with_the_reason),
		tree_test(a_monitor_comes_back_when_the_devices_are_back),
		tree_test(what_an_undo_leaves_is_replugged_when_it_is_asked_for),
		tree_test(device_that_is_lost_by_it_counts_as_not_given_back),
		tree_test(what_could_not_be_given_back_is_tried_again),
		tree_test(a_living_claim_is_left_alone_unless_it_is_named),
		tree_test(a_claim_somebody_works_on_is_left_to_him),
		tree_test(in_a_start_an_undo_is_told_how_long_it_may_take),
		tree_test(a_start_lasts_as_long_as_devices_may_take_to_be_handed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
