/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hooks_phase_test.c - what a start and an end wait for, and what is seen in `start` only */
/* wraps: state_lock */

#include "tree.h"

#include "hooks/phase.h"
#include "lib/attr.h"
#include "lib/giveback.h"
#include "lib/state.h"

#define UUID  "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define OTHER "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define VF    "0000:3b:02.5"

#define DOMAIN(devices)                                                                            \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid><memory>1048576</memory>"       \
	"<vcpu>1</vcpu><devices>" devices "</devices></domain>"
#define SOURCE(slot, function)                                                                     \
	"<source><address type='pci' domain='0' bus='0x3b' slot='" slot "' function='" function    \
	"'/></source>"

/* As libvirt shows it in `start`: in prepare it was of type network, and had no address */
#define RESOLVED DOMAIN("<interface type='hostdev' managed='yes'>" SOURCE("2", "5") "</interface>")
#define HOSTDEV	 DOMAIN("<hostdev mode='subsystem' type='pci'>" SOURCE("3", "0") "</hostdev>")
#define WANTED	 DOMAIN("<hostdev mode='subsystem' type='pci'>" SOURCE("2", "5") "</hostdev>")

static void add_process(const struct tree *tree, int pid)
{
	char path[64], stat[128];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	(void)snprintf(stat, sizeof(stat), "%d (a) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0",
		       pid);
	tree_file(tree, path, stat);
}

static void add_claim(const struct tree *tree, const char *uuid, const char *guest, int owner)
{
	char path[128], text[512];

	(void)snprintf(path, sizeof(path), "run/usher/%s/claim.ini", uuid);
	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = %s\nuuid = %s\nstate = running\n"
		       "owner = %d 77\n[vfio]\ndevice = " VF " 8086:1520 hostdev unmanaged\n",
		       guest, uuid, owner);
	tree_file(tree, path, text);
}

/* One that writes down how it was called */
static void add_helper(const struct tree *tree, const char *name)
{
	char path[64], text[256];

	(void)snprintf(path, sizeof(path), "bin/usher-%s", name);
	(void)snprintf(text, sizeof(text), "#!/bin/sh\necho \"%s $*\" >>%s/calls\n", name,
		       tree->dir);
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

/* One whose start and end have been as of old, and whose end is still owed */
static void add_scripts(const struct tree *tree)
{
	static const char script[] = "etc/libvirt/hooks/qemu.d/router/release/end/x";
	char text[128];

	tree_file(tree, "run/usher/" OTHER "/claim.ini",
		  "[claim]\nformat = 1\nguest = router\nuuid = " OTHER "\nstate = handed\n"
		  "owner = 813 77\n[vfio]\ndevice = " VF " 8086:1520 hostdev unmanaged\n"
		  "[scripts]\nrun = yes\n");
	tree_file(tree, "run/usher/" OTHER "/scripts.owed", "release");
	(void)snprintf(text, sizeof(text), "#!/bin/sh\necho \"$*\" >>%s/told\n", tree->dir);
	tree_file(tree, script, text);
	assert_int_equal(fchmodat(tree->rootfd, script, 0755, 0), 0);
}

/* --- locks ------------------------------------------------------------------------------------ */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_state_lock(int dirfd, const char *name, int timeout_ms);
int __real_state_lock(int dirfd, const char *name, int timeout_ms);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static struct {
	int busy;	/* so often a claim's lock is not to be had in time */
	int until_gone; /* the time after which a claim that has been waited for is given back */
	int statefd;
} locks;

int __wrap_state_lock(int dirfd, const char *name, int timeout_ms)
{
	if (strcmp(name, "claim.lock") == 0) {
		if (locks.busy > 0 && locks.busy--)
			return -ETIMEDOUT;
		if (locks.until_gone > 0 && --locks.until_gone == 0)
			assert_int_equal(state_remove_dir(locks.statefd, UUID), 0);
	}
	return __real_state_lock(dirfd, name, timeout_ms);
}

static char said[4096];

/* As libvirt calls it: the XML is a pipe on stdin, and stderr is read when it fails */
static int run(const struct tree *tree, int (*phase)(const struct event *, struct host *),
	       const char *op, const char *xml)
{
	struct event event = { .guest = "win11", .op_name = op, .extra = "-", .parent = getppid() };
	char helpers[128];
	struct host host = { .rootfd = tree->rootfd,
			     .statefd = -1,
			     .root = tree->dir,
			     .helpers = helpers,
			     .phase = op };
	int in = dup(STDIN_FILENO), err = dup(STDERR_FILENO), fds[2], r;
	FILE *file = tmpfile();
	size_t len;

	(void)snprintf(helpers, sizeof(helpers), "%s/bin", tree->dir);
	assert_non_null(file);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], xml, strlen(xml)), strlen(xml));
	(void)close(fds[1]);
	(void)dup2(fds[0], STDIN_FILENO);
	(void)dup2(fileno(file), STDERR_FILENO);
	r = phase(&event, &host);
	(void)dup2(in, STDIN_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)close(in);
	(void)close(err);
	(void)close(fds[0]);
	if (host.statefd >= 0)
		(void)close(host.statefd);
	rewind(file);
	len = fread(said, 1, sizeof(said) - 1, file);
	said[len] = '\0';
	(void)fclose(file);
	return r;
}

static int setup(void **state)
{
	const struct tree *tree;

	if (tree_setup(state) < 0)
		return -1;
	tree = *state;
	locks = (typeof(locks)){ 0 };
	tree_dir(tree, "run/usher");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	add_process(tree, getpid());
	add_process(tree, getppid());
	add_process(tree, 812);
	add_helper(tree, "vfio");
	add_helper(tree, "nosleep");
	return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static void function_of_a_pool_that_another_guest_holds_is_refused_in_start(void **state)
{
	const struct tree *tree = *state;

	add_claim(tree, OTHER, "router", 812);
	assert_int_equal(run(tree, phase_start, "start", RESOLVED), 1);
	assert_string_equal(said,
			    "usher: win11: PCI device " VF ", which libvirt has chosen for this "
			    "guest, is held by guest router: take it out of the network's pool "
			    "(virsh net-edit), or shut that guest down first\n");
	assert_int_equal(run(tree, phase_start, "start", HOSTDEV), 0);
	assert_string_equal(said, "");
}

static void function_of_a_pool_that_nobody_else_holds_passes(void **state)
{
	const struct tree *tree = *state;

	assert_int_equal(run(tree, phase_start, "start", RESOLVED), 0);
	/* The guest's own */
	add_claim(tree, UUID, "win11", 812);
	assert_int_equal(run(tree, phase_start, "start", RESOLVED), 0);
	/* That of a guest which is gone */
	add_claim(tree, OTHER, "router", 813);
	assert_int_equal(run(tree, phase_start, "start", RESOLVED), 0);
	assert_string_equal(said, "");
}

/* --- prepare ---------------------------------------------------------------------------------- */

static void assert_told(const struct tree *tree, int from, int to)
{
	const char *told = strstr(tree_read(tree, "calls"), "--timeout ");
	int ms = 0;

	assert_non_null(told);
	assert_int_equal(sscanf(told, "--timeout %d undo", &ms), 1);
	assert_in_range(ms, from, to);
}

static void guest_without_policy_waits_a_moment_for_what_a_dead_one_has_left(void **state)
{
	const struct tree *tree = *state;

	add_claim(tree, OTHER, "router", 813);
	assert_int_equal(run(tree, phase_prepare, "prepare", HOSTDEV), 0);
	assert_told(tree, 5000, 5000);
}

/* The card of that one, of which only its scripts know how it comes back */
static void guest_without_policy_waits_for_the_scripts_of_a_dead_one_that_has_what_it_wants(
	void **state)
{
	const struct tree *tree = *state;

	add_scripts(tree);
	assert_int_equal(run(tree, phase_prepare, "prepare", HOSTDEV), 0);
	assert_false(attr_exists(tree->rootfd, "told"));
	assert_true(attr_exists(tree->rootfd, "run/usher/" OTHER "/claim.ini"));
	assert_int_equal(run(tree, phase_prepare, "prepare", WANTED), 0);
	assert_string_equal(said, "");
	assert_string_equal(tree_read(tree, "told"), "router release end failed\n");
	assert_false(attr_exists(tree->rootfd, "run/usher/" OTHER));
}

/* Its policy was taken away since */
static void guest_without_policy_waits_for_the_scripts_of_its_own_last_run(void **state)
{
	const struct tree *tree = *state;

	add_scripts(tree);
	assert_int_equal(run(tree, phase_prepare, "prepare",
			     "<domain type='kvm'><name>win11</name><uuid>" OTHER "</uuid>"
			     "<memory>1048576</memory><vcpu>1</vcpu></domain>"),
			 0);
	assert_string_equal(said, "");
	assert_string_equal(tree_read(tree, "told"), "router release end failed\n");
}

static void guest_without_policy_is_refused_what_a_dead_one_cannot_give_back(void **state)
{
	const struct tree *tree = *state;

	add_scripts(tree);
	tree_file(tree, "bin/usher-vfio", "#!/bin/sh\nexit 2\n");
	assert_int_equal(run(tree, phase_prepare, "prepare", WANTED), 1);
	assert_string_equal(said, "usher: win11: PCI device " VF " could not be given back after "
				  "guest router: run usher recover, and see journalctl -t usher "
				  "for what is in its way\n");
	assert_string_equal(tree_read(tree, "told"), "router release end failed\n");
}

#define PINNED                                                                                     \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid><memory>1048576</memory>"       \
	"<vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='2'/></cputune></domain>"

/* One that shares them on purpose reads what it takes */
static void cpus_of_another_guest_are_refused_with_what_lets_them_be_shared(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "run/usher/" OTHER "/claim.ini",
		  "[claim]\nformat = 1\nguest = router\nuuid = " OTHER "\nstate = handed\n"
		  "owner = 812 77\n[cpuset]\ncpus = 2\nvcpu = 0 2\n");
	assert_int_equal(run(tree, phase_prepare, "prepare", PINNED), 1);
	assert_string_equal(said,
			    "usher: win11: CPU 2 belongs to guest router alone while it runs: shut "
			    "that guest down first, pin this one to other CPUs, or have them share "
			    "with isolate = no in [cpuset] of that one's policy\n");
	tree_file(tree, "etc/usher/conf.d/win11.ini", "");
	assert_int_equal(run(tree, phase_prepare, "prepare", PINNED), 1);
	assert_string_equal(said,
			    "usher: win11: CPU 2 is held by guest router: shut that guest down "
			    "first, pin one of the two to other CPUs, or have them share with "
			    "isolate = no in [cpuset] of both policies\n");
}

/* Where all has a pin of its own, libvirt looks at <vcpu cpuset=> for nobody */
static void cpus_that_none_of_its_threads_runs_on_are_no_conflict(void **state)
{
#define VCPU_ON_2(rest)                                                                            \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid><memory>1048576</memory>"       \
	"<vcpu cpuset='2'>2</vcpu><iothreads>1</iothreads><cputune>" rest "</cputune></domain>"
#define EMULATOR "<emulatorpin cpuset='0'/>"
#define VCPU_0	 "<vcpupin vcpu='0' cpuset='0'/>"
#define VCPU_1	 "<vcpupin vcpu='1' cpuset='1'/>"
#define IOTHREAD "<iothreadpin iothread='1' cpuset='0'/>"
	static const char *const unpinned[] = { VCPU_ON_2(VCPU_0 VCPU_1 IOTHREAD),
						VCPU_ON_2(EMULATOR VCPU_0 IOTHREAD),
						VCPU_ON_2(EMULATOR VCPU_0 VCPU_1) };
	const struct tree *tree = *state;

	tree_file(tree, "run/usher/" OTHER "/claim.ini",
		  "[claim]\nformat = 1\nguest = router\nuuid = " OTHER "\nstate = handed\n"
		  "owner = 812 77\n[cpuset]\ncpus = 2\nvcpu = 0 2\n");
	for (size_t i = 0; i < ARRAY_SIZE(unpinned); i++)
		assert_int_equal(run(tree, phase_prepare, "prepare", unpinned[i]), 1);
	assert_int_equal(
		run(tree, phase_prepare, "prepare", VCPU_ON_2(EMULATOR VCPU_0 VCPU_1 IOTHREAD)), 0);
	assert_string_equal(said, "");
}

static void add_managed(const struct tree *tree)
{
	tree_file(tree, "etc/usher/conf.d/win11.ini",
		  "[vfio]\ntimeout = 20s\n[scripts]\nrun = yes\n");
	tree_file(tree, "sys/bus/pci/devices/0000:3b:03.0/vendor", "0x8086\n");
	tree_file(tree, "sys/bus/pci/devices/0000:3b:03.0/device", "0x1520\n");
	tree_file(tree, "sys/bus/pci/devices/0000:3b:03.0/class", "0x020000\n");
}

static void start_that_fails_late_has_an_end_with_its_undo(void **state)
{
	const struct tree *tree = *state;

	add_managed(tree);
	tree_file(tree, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/x", "#!/bin/sh\nexit 1\n");
	assert_int_equal(
		fchmodat(tree->rootfd, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/x", 0755, 0),
		0);
	assert_int_equal(run(tree, phase_prepare, "prepare", HOSTDEV), 1);
	assert_told(tree, 10000, 20000);
}

/* Others go by it: what is set for the last guest of some stays as long as this one is to start */
static void while_a_refused_start_is_undone_its_claim_is_returning(void **state)
{
	const struct tree *tree = *state;
	char text[512], owner[32];

	add_managed(tree);
	(void)snprintf(text, sizeof(text),
		       "#!/bin/sh\ncase \"$*\" in *apply*) exit 1 ;; *undo*) cat %s/run/usher/" UUID
		       "/claim.ini >%s/seen ;; esac\n",
		       tree->dir, tree->dir);
	tree_file(tree, "bin/usher-vfio", text);
	assert_int_equal(run(tree, phase_prepare, "prepare", HOSTDEV), 1);
	(void)snprintf(owner, sizeof(owner), "owner = %d 77\n", (int)getpid());
	assert_non_null(strstr(tree_read(tree, "seen"), "state = returning\n"));
	assert_non_null(strstr(tree_read(tree, "seen"), owner));
	assert_null(strstr(tree_read(tree, "seen"), "ran = "));
	assert_false(attr_exists(tree->rootfd, "run/usher/" UUID));
}

static void add_ended(const struct tree *tree, const char *state)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = %s\n"
		       "owner = 812 77\n[vfio]\ndevice = " VF " 8086:1520 hostdev unmanaged\n",
		       state);
	tree_file(tree, "run/usher/" UUID "/claim.ini", text);
}

/* That process has left the lock to the scripts of `stopped`, and does not have it yet */
static void start_waits_for_whoever_still_waits_to_give_back_the_last_run(void **state)
{
	const struct tree *tree = *state;

	add_managed(tree);
	add_ended(tree, "returning");
	locks.statefd = state_open(tree->rootfd, false);
	locks.until_gone = 2;
	assert_int_equal(run(tree, phase_prepare, "prepare", HOSTDEV), 0);
	assert_string_equal(said, "");
	assert_non_null(strstr(tree_read(tree, "run/usher/" UUID "/claim.ini"), "handed"));
	(void)close(locks.statefd);
}

/* --- release, recover ------------------------------------------------------------------------- */

static void release_waits_for_scripts_however_long_they_may_take(void **state)
{
	const struct tree *tree = *state;

	add_ended(tree, "ending");
	locks.busy = 5;
	assert_int_equal(run(tree, phase_release, "release", ""), 0);
	assert_non_null(strstr(tree_read(tree, "calls"), " undo "));
	assert_false(attr_exists(tree->rootfd, "run/usher/" UUID));
}

static void recover_says_that_somebody_is_still_at_work_on_it(void **state)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	const struct tree *tree = *state;
	const struct host host = { .rootfd = tree->rootfd,
				   .statefd = state_open(tree->rootfd, false),
				   .root = tree->dir };

	add_ended(tree, "ending");
	locks.busy = 1;
	assert_int_equal(giveback_dead(&host, UUID, 0, &result), 1);
	assert_string_equal(result.failures,
			    "usher: win11: not given back: another process, or a script of the "
			    "guest's own, is still at work on it: run usher recover win11 when "
			    "that has ended\n");
	(void)close(host.statefd);
}

#define phase_test(fn) cmocka_unit_test_setup_teardown(fn, setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		phase_test(function_of_a_pool_that_another_guest_holds_is_refused_in_start),
		phase_test(function_of_a_pool_that_nobody_else_holds_passes),
		phase_test(guest_without_policy_waits_a_moment_for_what_a_dead_one_has_left),
		phase_test(
			guest_without_policy_waits_for_the_scripts_of_a_dead_one_that_has_what_it_wants),
		phase_test(guest_without_policy_waits_for_the_scripts_of_its_own_last_run),
		phase_test(guest_without_policy_is_refused_what_a_dead_one_cannot_give_back),
		phase_test(cpus_of_another_guest_are_refused_with_what_lets_them_be_shared),
		phase_test(cpus_that_none_of_its_threads_runs_on_are_no_conflict),
		phase_test(start_that_fails_late_has_an_end_with_its_undo),
		phase_test(while_a_refused_start_is_undone_its_claim_is_returning),
		phase_test(start_waits_for_whoever_still_waits_to_give_back_the_last_run),
		phase_test(release_waits_for_scripts_however_long_they_may_take),
		phase_test(recover_says_that_somebody_is_still_at_work_on_it),
	};

	return cmocka_run_group_tests_name("hooks/phase", tests, NULL, NULL);
}
