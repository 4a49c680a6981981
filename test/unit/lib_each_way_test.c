/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/lib_each_way_test.c - what fails below is handed up, and leaves nothing half done
 *
 * wraps: syscall read write fstat fdopendir readdir unlinkat mkdirat renameat readlinkat ftruncate flock
 * wraps: malloc calloc realloc reallocarray strdup strndup readlink
 * wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream
 */
#include "tree.h"

#include "each_way.h"
#include "lib/baseline.h"
#include "lib/blockdev.h"
#include "lib/claim.h"
#include "lib/giveback.h"
#include "lib/holder.h"
#include "lib/journal.h"
#include "lib/module.h"
#include "lib/owner.h"
#include "lib/pcidev.h"
#include "lib/process.h"
#include "lib/registry.h"
#include "lib/scripts.h"
#include "lib/session.h"
#include "lib/state.h"
#include "lib/step.h"
#include "lib/text.h"

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
WAY_WRAP(ssize_t, -1, readlink, (const char *path, char *buf, size_t size), (path, buf, size))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

#define UUID "11111111-2222-3333-4444-555555555555"

static const struct process owner = { .pid = 812, .start_time = 53321 };
static const struct pciaddr gpu = { .bus = 1 };
static int statefd;

/*
 * Calls @call with each way failing once. Return: as it does when nothing fails
 *
 * A call that does not say so has done all the same: its answer is the one of a call that goes well
 */
static int each_way(int (*call)(const struct tree *tree), const struct tree *tree)
{
	int good = call(tree);

	assert_true(good >= 0);
	for (enum way_kind kind = WAY_SYSTEM; kind <= WAY_MEMORY; kind++) {
		bool failed;

		do {
			int r;

			way_begin(kind);
			r = call(tree);
			failed = way_end();
			if (r < 0)
				assert_int_equal(r, kind == WAY_SYSTEM ? -EIO : -ENOMEM);
			else
				assert_int_equal(r, good);
		} while (failed);
	}
	assert_int_equal(call(tree), good);
	return good;
}

static void open_state(const struct tree *tree)
{
	statefd = state_open(tree->rootfd, true);
	assert_true(statefd >= 0);
}

/* --- State ------------------------------------------------------------------------------------- */

static int open_and_make(const struct tree *tree)
{
	_cleanup_close_ int fd = state_open(tree->rootfd, true);

	return fd < 0 ? fd : 0;
}

static void a_state_directory_that_cannot_be_made_is_an_error(void **state)
{
	const struct tree *tree = *state;
	int r;

	way_begin(WAY_SYSTEM);
	for (r = -EIO; r == -EIO; way_begin(WAY_SYSTEM))
		r = open_and_make(tree);
	(void)way_end();
	assert_int_equal(r, 0);
	assert_int_equal(each_way(open_and_make, tree), 0);
}

static int replace(const struct tree *tree)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = state_write(statefd, "a", "new", 3);

	ways.paused = true;
	assert_int_equal(state_read(statefd, "a", &text, &len), 0);
	assert_string_equal(text, r < 0 ? "old" : "new");
	assert_int_equal(attr_list(tree->rootfd, "run/usher", &names), 0);
	/* What it was killed over, or could not remove, goes with the next */
	assert_true(names.nr <= 2);
	assert_int_equal(state_write(statefd, "a", "old", 3), 0);
	ways.paused = false;
	return r;
}

static void a_file_is_the_old_or_the_new_one(void **state)
{
	open_state(*state);
	assert_int_equal(state_write(statefd, "a", "old", 3), 0);
	assert_int_equal(each_way(replace, *state), 0);
	(void)close(statefd);
}

static int read_state(const struct tree *tree)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = state_read(statefd, "a", &text, &len);

	(void)tree;
	if (r < 0)
		assert_null(text);
	else
		assert_string_equal(text, "old");
	return r;
}

static int lock(const struct tree *tree)
{
	int fd = state_lock(statefd, "a.lock", 0);

	(void)tree;
	state_unlock(&fd);
	return fd < -1 ? fd : 0;
}

static int remove_file(const struct tree *tree)
{
	ways.paused = true;
	tree_file(tree, "run/usher/b", "x");
	ways.paused = false;
	return state_remove(statefd, "b");
}

static int remove_dir(const struct tree *tree)
{
	int r;

	ways.paused = true;
	tree_file(tree, "run/usher/d/x", "x");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher/d", 0700, 0), 0);
	ways.paused = false;
	r = state_remove_dir(statefd, "d");
	if (r == 0)
		assert_int_equal(faccessat(tree->rootfd, "run/usher/d", F_OK, 0), -1);
	return r;
}

static void what_cannot_be_read_locked_or_removed_is_an_error(void **state)
{
	open_state(*state);
	assert_int_equal(state_write(statefd, "a", "old", 3), 0);
	assert_int_equal(each_way(read_state, *state), 0);
	assert_int_equal(each_way(lock, *state), 0);
	assert_int_equal(each_way(remove_file, *state), 0);
	assert_int_equal(each_way(remove_dir, *state), 0);
	(void)close(statefd);
}

/* As it is found by the next helper */
static void assert_records(size_t at_least, size_t at_most)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };

	assert_int_equal(journal_open(statefd, "j", false, &journal), 0);
	assert_in_range(journal.nr, at_least, at_most);
	for (size_t i = 0; i < journal.nr; i++)
		assert_string_equal(journal.records[i].object, "0000:01:00.0");
}

static int keep_journal(const struct tree *tree)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	int done, undone = 0, r = journal_open(statefd, "j", true, &journal);

	(void)tree;
	done = r < 0 ? r : journal_add(&journal, "bind", "0000:01:00.0", "", "vfio-pci");
	if (done >= 0)
		undone = journal_undone(&journal, 0);
	ways.paused = true;
	assert_records(done >= 0, 1);
	r = journal_remove(statefd, "j");
	assert_int_equal(r, 0);
	ways.paused = false;
	return done < 0 ? done : undone;
}

/* The half of a line that a kill has left is cut off */
static int mend_journal(const struct tree *tree)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };

	ways.paused = true;
	tree_file(tree, "run/usher/j.journal", "1 bind 0000:01:00.0 x x\n2 bind 00");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher/j.journal", 0600, 0), 0);
	ways.paused = false;
	return journal_open(statefd, "j", true, &journal);
}

static void a_journal_has_what_it_has_said_to_have(void **state)
{
	open_state(*state);
	assert_int_equal(each_way(keep_journal, *state), 0);
	(void)close(statefd);
}

static void a_journal_that_cannot_be_mended_is_not_written_to(void **state)
{
	open_state(*state);
	assert_int_equal(each_way(mend_journal, *state), 0);
	(void)close(statefd);
}

static void assert_kept(const char *setting, const char *value)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	_cleanup_free_ char *text = NULL;

	assert_int_equal(baseline_open(statefd, "b", BASELINE_READ, &baseline), 0);
	assert_int_equal(baseline_get(&baseline, setting, &text), value != NULL);
	if (value)
		assert_string_equal(text, value);
}

static int renew(const struct tree *tree)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	int r = baseline_open(statefd, "b", 100, &baseline), forgotten = 0;

	(void)tree;
	if (r == 0)
		r = baseline_renew(&baseline, "irq", "0-7");
	ways.paused = true;
	assert_kept("irq", r < 0 ? "0-3" : "0-7");
	ways.paused = false;
	if (r == 0)
		forgotten = baseline_forget(&baseline, "irq");
	baseline_close(&baseline);
	ways.paused = true;
	assert_int_equal(baseline_open(statefd, "b", 100, &baseline), 0);
	assert_int_equal(baseline_renew(&baseline, "irq", "0-3"), 0);
	ways.paused = false;
	return r < 0 ? r : forgotten;
}

static int keep(const struct tree *tree)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	int r = baseline_open(statefd, "b", 100, &baseline);

	(void)tree;
	if (r == 0)
		r = baseline_keep(&baseline, "mask", "ff");
	baseline_close(&baseline);
	ways.paused = true;
	assert_kept("mask", r < 0 ? NULL : "ff");
	assert_int_equal(baseline_open(statefd, "b", 100, &baseline), 0);
	assert_int_equal(baseline_forget(&baseline, "mask"), 0);
	ways.paused = false;
	return r;
}

static void a_baseline_keeps_what_it_has_said_to_keep(void **state)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };

	open_state(*state);
	assert_int_equal(baseline_open(statefd, "b", 100, &baseline), 0);
	assert_int_equal(baseline_keep(&baseline, "irq", "0-3"), 1);
	baseline_close(&baseline);
	assert_int_equal(each_way(renew, *state), 0);
	assert_int_equal(each_way(keep, *state), 1);
	(void)close(statefd);
}

/* --- Claims ------------------------------------------------------------------------------------ */

static int store_and_load(const struct tree *tree)
{
	_cleanup_claim_ struct claim claim = { 0 }, again = { 0 };
	struct ini_error err;
	int r = claim_init(&claim, UUID, "win11", &owner);

	(void)tree;
	if (r == 0)
		r = inidoc_add(&claim.doc, "vfio", "device",
			       "0000:01:00.0 10de:1b80 hostdev managed");
	if (r == 0)
		r = claim_set_state(statefd, &claim, CLAIM_RUNNING, &owner);
	if (r == 0)
		r = claim_load(statefd, UUID, &again, &err);
	if (r == 0)
		assert_string_equal(again.guest, "win11");
	return r;
}

static int list_claims(const struct tree *tree)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(statefd, &claims);

	(void)tree;
	/* One that cannot be read is counted */
	if (r >= 0)
		assert_int_equal(claims.nr + (size_t)r, 1);
	return r < 0 ? r : 0;
}

static int parse_disk(const struct tree *tree)
{
	_cleanup_claim_disk_ struct claim_disk disk = { 0 };

	(void)tree;
	return claim_disk_parse("rw /dev/sdb sdb", &disk);
}

static int is_alive(const struct tree *tree)
{
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err;
	int r = claim_load(statefd, UUID, &claim, &err);

	return r < 0 ? r : registry_alive(tree->rootfd, &claim);
}

static void make_process(const struct tree *tree, int pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	tree_file(tree, path, "812 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 53321 0 0\n");
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	tree_bytes(tree, path, "qemu\0-x", sizeof("qemu\0-x"));
	(void)snprintf(path, sizeof(path), "proc/%d/comm", pid);
	tree_file(tree, path, "qemu-system-x86\n");
}

static void a_claim_is_there_as_a_whole_or_an_error(void **state)
{
	open_state(*state);
	assert_int_equal(each_way(store_and_load, *state), 0);
	assert_int_equal(each_way(list_claims, *state), 0);
	assert_int_equal(each_way(parse_disk, *state), 0);
	(void)close(statefd);
}

/* Taken for dead, a guest would lose what it holds */
static void a_guest_of_which_nothing_can_be_read_is_not_dead(void **state)
{
	open_state(*state);
	make_process(*state, 812);
	assert_int_equal(store_and_load(*state), 0);
	assert_int_equal(each_way(is_alive, *state), 1);
	(void)close(statefd);
}

/* Its release will come from the daemon, if one runs */
static void a_guest_is_not_dead_where_its_daemon_cannot_be_looked_for(void **state)
{
	const struct tree *tree = *state;

	open_state(*state);
	make_process(tree, 70);
	tree_file(tree, "run/libvirtd.pid", "70\n");
	tree_file(tree, "run/libvirt/qemu/win11.xml", "<domstatus/>");
	assert_int_equal(store_and_load(*state), 0);
	assert_int_equal(each_way(is_alive, *state), 1);
	(void)close(statefd);
}

/* --- Programs that are run --------------------------------------------------------------------- */

/* Each writes who it is into "told" */
static void program(const struct tree *tree, const char *path)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "#!/bin/sh\necho \"${0##*/}\" >>%s/told\n", tree->dir);
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

static bool was_told(const struct tree *tree, const char *name)
{
	bool told = attr_exists(tree->rootfd, "told") > 0 && strstr(tree_read(tree, "told"), name);

	(void)unlinkat(tree->rootfd, "told", 0);
	return told;
}

/* Its statefd is ours, too, to be closed */
static struct host host_in(const struct tree *tree, const char *phase)
{
	statefd = state_open(tree->rootfd, true);
	return (struct host){
		.rootfd = tree->rootfd, .statefd = statefd, .root = tree->dir, .phase = phase
	};
}

static void make_guest(void)
{
	_cleanup_claim_ struct claim claim = { 0 };

	assert_int_equal(claim_init(&claim, UUID, "win11", &owner), 0);
	assert_int_equal(inidoc_add(&claim.doc, "scripts", "run", "yes"), 0);
	assert_int_equal(claim_store(statefd, &claim), 0);
}

static void a_script_has_run_or_it_is_said_that_it_has_not(void **state)
{
	const struct tree *tree = *state;
	const struct host host = host_in(tree, "prepare");

	make_guest();
	program(tree, "etc/libvirt/hooks/qemu.d/win11/prepare/begin/10-a");
	for (enum way_kind kind = WAY_SYSTEM; kind <= WAY_MEMORY; kind++) {
		bool failed;

		do {
			_cleanup_claim_ struct claim claim = { 0 };
			_cleanup_free_ char *why = NULL;
			struct ini_error err;
			int r;

			assert_int_equal(claim_load(statefd, UUID, &claim, &err), 0);
			way_begin(kind);
			r = scripts_run(&host, &claim, "prepare", "-", 0, &why);
			failed = way_end();
			assert_true(was_told(tree, "10-a") || r != 0);
			assert_true(r == -ENOMEM || (r > 0) == (why != NULL));
		} while (failed);
	}
	(void)close(statefd);
}

/* Without libvirt: the note of what is owed goes with the claim, so neither goes before the script */
static void a_script_that_is_owed_has_run_or_its_claim_stays(void **state)
{
	const struct tree *tree = *state;
	const struct host host = host_in(tree, "recover");

	program(tree, "etc/libvirt/hooks/qemu.d/win11/release/end/10-a");
	for (enum way_kind kind = WAY_SYSTEM; kind <= WAY_MEMORY; kind++) {
		bool failed;

		do {
			_cleanup_step_result_ struct step_result result = { 0 };
			_cleanup_claim_ struct claim claim = { 0 };
			_cleanup_free_ char *why = NULL;
			struct ini_error err;
			int r;

			make_guest();
			assert_int_equal(claim_load(statefd, UUID, &claim, &err), 0);
			assert_int_equal(scripts_run(&host, &claim, "prepare", "-", 0, &why), 0);
			way_begin(kind);
			r = giveback_claim(&host, &claim, &result);
			failed = way_end();
			assert_true(was_told(tree, "10-a") || r != 0);
			if (r != 0)
				assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID), 1);
		} while (failed);
	}
	(void)close(statefd);
}

/* All of what libvirt has not given back: what does not end with 0 is said, and the claim is there */
static void a_dead_claim_is_given_back_with_its_scripts_or_stays(void **state)
{
	const struct tree *tree = *state;
	const struct host host = host_in(tree, "recover");

	program(tree, "etc/libvirt/hooks/qemu.d/win11/stopped/end/10-stopped");
	program(tree, "etc/libvirt/hooks/qemu.d/win11/release/end/10-release");
	for (enum way_kind kind = WAY_SYSTEM; kind <= WAY_MEMORY; kind++) {
		bool failed;

		do {
			_cleanup_step_result_ struct step_result result = { 0 };
			_cleanup_claim_ struct claim claim = { 0 };
			_cleanup_free_ char *why = NULL;
			bool stopped, gone;
			struct ini_error err;
			int r;

			make_guest();
			assert_int_equal(claim_load(statefd, UUID, &claim, &err), 0);
			assert_int_equal(scripts_run(&host, &claim, "started", "-", 0, &why), 0);
			way_begin(kind);
			r = giveback_dead(&host, NULL, 0, &result);
			failed = way_end();
			gone = attr_exists(tree->rootfd, "run/usher/" UUID) == 0;
			stopped = attr_exists(tree->rootfd, "told") > 0 &&
				  strstr(tree_read(tree, "told"), "10-stopped");
			assert_true(!gone || (was_told(tree, "10-release") && stopped));
			assert_true(r == 0 || r < 0 || result.failures || kind == WAY_MEMORY);
			assert_int_equal(gone, r == 0);
			(void)unlinkat(tree->rootfd, "told", 0);
		} while (failed);
	}
	(void)close(statefd);
}

/* --- What the kernel shows --------------------------------------------------------------------- */

static int disk_of(const struct tree *tree)
{
	char name[64];
	int r = blockdev_name(tree->rootfd, "/dev/disk/by-id/x", name, sizeof(name));

	return r < 0 ? r : blockdev_disk(tree->rootfd, name, name, sizeof(name));
}

static int partitions_of(const struct tree *tree)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = blockdev_partitions(tree->rootfd, "sdb", &names);

	return r;
}

static void a_disk_that_cannot_be_found_is_an_error(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "sys/devices/x/block/sdb/sdb1/partition", "1\n");
	tree_link(tree, "sys/class/block/sdb", "../../devices/x/block/sdb");
	tree_link(tree, "sys/class/block/sdb1", "../../devices/x/block/sdb/sdb1");
	tree_file(tree, "dev/sdb1", "");
	tree_link(tree, "dev/disk/by-id/x", "../../sdb1");
	assert_int_equal(each_way(disk_of, tree), 1);
	assert_int_equal(each_way(partitions_of, tree), 0);
}

static int walk(const struct tree *tree)
{
	struct owner_way way;

	return owner_walk(tree->rootfd, "/etc/link/file", &way);
}

static void whose_a_file_is_is_known_or_an_error(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "etc/dir/file", "x");
	tree_link(tree, "etc/link", "dir");
	assert_int_equal(fchmodat(tree->rootfd, "etc", 0755, 0), 0);
	assert_int_equal(each_way(walk, tree), OWNER_ROOT);
}

static int group_of(const struct tree *tree)
{
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };
	int group = pcidev_group(tree->rootfd, &gpu);
	int r = group < 0 ? group : pcidev_group_members(tree->rootfd, group, &list);

	return r < 0 ? r : group;
}

static void a_device_whose_group_cannot_be_read_is_in_no_other(void **state)
{
	const struct tree *tree = *state;

	tree_dir(tree, "sys/kernel/iommu_groups/14/devices/0000:01:00.0");
	tree_link(tree, "sys/bus/pci/devices/0000:01:00.0/iommu_group",
		  "../../../../kernel/iommu_groups/14");
	assert_int_equal(each_way(group_of, tree), 14);
}

static const char *const nodes[] = { "/dev/vfio/12" };

static int who_holds(const struct tree *tree)
{
	return process_find_open(tree->rootfd, nodes, ARRAY_SIZE(nodes));
}

static int who_is_called(const struct tree *tree)
{
	return process_find_name(tree->rootfd, "qemu-system-x86");
}

static int which_qemu(const struct tree *tree)
{
	return process_find_qemu(tree->rootfd, UUID);
}

static int has_word(const struct tree *tree)
{
	return process_has_arg(tree->rootfd, 812, UUID);
}

/* What nobody has open, and no QEMU has, is given to somebody else */
static void who_uses_it_is_known_or_an_error(void **state)
{
	static const char cmdline[] = "qemu\0-uuid\0" UUID;
	const struct tree *tree = *state;

	make_process(tree, 812);
	tree_bytes(tree, "proc/812/cmdline", cmdline, sizeof(cmdline));
	tree_file(tree, "proc/812/cgroup", "0::/machine.slice/a.scope\n");
	tree_link(tree, "proc/812/fd/3", nodes[0]);

	assert_int_equal(each_way(who_holds, tree), 812);
	assert_int_equal(each_way(who_is_called, tree), 812);
	assert_int_equal(each_way(which_qemu, tree), 812);
	assert_int_equal(each_way(has_word, tree), 1);
}

static int append(const struct tree *tree)
{
	_cleanup_free_ char *text = NULL;
	int r = text_append(&text, "a\n");

	(void)tree;
	if (r == 0)
		r = text_append(&text, "b\n");
	if (r == 0)
		assert_string_equal(text, "a\nb\n");
	return r;
}

static int split_and_encode(const struct tree *tree)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *word = NULL, *text = NULL, *shown = NULL;
	int r = text_split("a b", " ", &words);

	(void)tree;
	if (r == 0)
		r = text_encode(words.names[1], &word);
	if (r == 0)
		r = text_decode(word, &text);
	if (r == 0)
		r = text_printable(text, &shown);
	if (r == 0)
		assert_string_equal(shown, "b");
	return r;
}

static void a_text_is_whole_or_an_error(void **state)
{
	assert_int_equal(each_way(append, *state), 0);
	assert_int_equal(each_way(split_and_encode, *state), 0);
}

static int list_sessions(const struct tree *tree)
{
	_cleanup_session_list_ struct session_list list = { 0 };

	return session_list(tree->rootfd, &list);
}

static int holder_back(const struct tree *tree)
{
	const struct holder holder = { .process = owner, .qemu = owner };
	struct holder again;
	int r = holder_store(statefd, &holder);

	(void)tree;
	return r < 0 ? r : holder_load(statefd, &again);
}

static void who_is_there_is_known_or_an_error(void **state)
{
	const struct tree *tree = *state;

	open_state(tree);
	tree_file(tree, "run/systemd/sessions/2", "UID=1000\nUSER=u\nCLASS=user\nTYPE=x11\n");
	assert_int_equal(each_way(list_sessions, tree), 0);
	assert_int_equal(each_way(holder_back, tree), 0);
	(void)close(statefd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_state_directory_that_cannot_be_made_is_an_error),
		tree_test(a_file_is_the_old_or_the_new_one),
		tree_test(what_cannot_be_read_locked_or_removed_is_an_error),
		tree_test(a_journal_has_what_it_has_said_to_have),
		tree_test(a_journal_that_cannot_be_mended_is_not_written_to),
		tree_test(a_baseline_keeps_what_it_has_said_to_keep),
		tree_test(a_claim_is_there_as_a_whole_or_an_error),
		tree_test(a_guest_of_which_nothing_can_be_read_is_not_dead),
		tree_test(a_guest_is_not_dead_where_its_daemon_cannot_be_looked_for),
		tree_test(a_script_has_run_or_it_is_said_that_it_has_not),
		tree_test(a_script_that_is_owed_has_run_or_its_claim_stays),
		tree_test(a_dead_claim_is_given_back_with_its_scripts_or_stays),
		tree_test(a_disk_that_cannot_be_found_is_an_error),
		tree_test(whose_a_file_is_is_known_or_an_error),
		tree_test(a_device_whose_group_cannot_be_read_is_in_no_other),
		tree_test(who_is_there_is_known_or_an_error),
		tree_test(who_uses_it_is_known_or_an_error),
		tree_test(a_text_is_whole_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
