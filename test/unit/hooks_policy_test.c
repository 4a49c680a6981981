/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/hooks_policy_test.c - the policy's files, its table, its grammar and its values
 *
 * wraps: malloc calloc realloc reallocarray strdup strndup
 * wraps: vasprintf __vasprintf_chk open_memstream
 */

#include "tree.h"

#include <limits.h>
#include <sys/wait.h>

#include "nomem.h"

#include "hooks/policy.h"

#define HOST	  "etc/usher/usher.ini"
#define WIN11	  "etc/usher/conf.d/win11.ini"
#define SERIAL_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define WHERE	  "/etc/usher/conf.d/win11.ini"

/* The line that switches a guest off */
static void assert_off(const struct tree *tree, const char *what)
{
	struct policy policy = { .file = NULL };
	struct policy_error err = { "" };

	assert_int_equal(policy_load(tree->rootfd, "win11", &policy, &err), 1);
	assert_string_equal(err.what, what);
	assert_null(policy.file);
}

static int load(const struct tree *tree, const char *guest, struct policy *ret)
{
	struct policy_error err = { "" };
	int r = policy_load(tree->rootfd, guest, ret, &err);

	if (r < 0)
		fail_msg("%s", err.what);
	return r;
}

/* The policy of win11, of this text */
static void set(const struct tree *tree, const char *text, struct policy *ret)
{
	tree_file(tree, WIN11, text);
	assert_int_equal(load(tree, "win11", ret), 0);
}

static void assert_refused(const struct tree *tree, const char *guest, int error, const char *what)
{
	struct policy policy = { .file = NULL };
	struct policy_error err = { "" };

	assert_int_equal(policy_load(tree->rootfd, guest, &policy, &err), error);
	assert_string_equal(err.what, what);
	assert_null(policy.file);
}

/* --- Files ------------------------------------------------------------------------------------- */

static void an_empty_file_is_a_complete_policy(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	set(tree, "", &policy);
	for (size_t i = 0; i < policy_nr_keys; i++) {
		const struct policy_key *row = &policy_keys[i];

		assert_string_equal(policy_get(&policy, row->section, row->key), "auto");
		assert_string_equal(policy_value(&policy, row->section, row->key), row->dflt);
	}
}

static void a_guest_without_a_file_has_no_policy(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	assert_int_equal(load(tree, "win11", &policy), 1);
	tree_file(tree, "etc/usher/usher.ini", "[vfio]\ndriver = x\n");
	tree_dir(tree, "etc/usher/conf.d");
	assert_int_equal(load(tree, "win11", &policy), 1);
	assert_null(policy.file);
}

static void a_mistake_of_the_host_file_touches_no_guest_without_policy(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	tree_file(tree, HOST, "[vfoi]\ndriver = x\n");
	assert_int_equal(load(tree, "other", &policy), 1);
	tree_file(tree, WIN11, "");
	assert_refused(tree, "win11", -EBADMSG,
		       "/etc/usher/usher.ini:1: unknown section [vfoi]: did you mean [vfio]?");
}

static void a_name_that_can_be_no_files_has_no_policy(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };
	char longest[NAME_MAX + 1] = "", path[NAME_MAX + 32];

	tree_file(tree, "etc/usher/conf.d/sub/x.ini", "");
	tree_file(tree, "etc/usher/conf.d/.ini", "");
	assert_int_equal(load(tree, "sub/x", &policy), 1);
	assert_int_equal(load(tree, "../conf.d/sub/x", &policy), 1);
	assert_int_equal(load(tree, "", &policy), 1);
	memset(longest, 'n', NAME_MAX - 4);
	(void)snprintf(path, sizeof(path), "etc/usher/conf.d/%s.ini", longest);
	tree_file(tree, path, "");
	assert_int_equal(load(tree, longest, &policy), 0);
	memset(longest, 'n', NAME_MAX - 3);
	assert_int_equal(load(tree, longest, &policy), 1);
}

static void any_name_that_can_be_a_files_finds_it(void **state)
{
	static const char *const names[] = {
		" ", "-x", "..", ".", "it's \"odd\"", "[a]*?", "t\xc3\xa4st", "a=b;c", "%s%n",
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_policy_ struct policy policy = { 0 };
		char path[256];

		(void)snprintf(path, sizeof(path), "etc/usher/conf.d/%s.ini", names[i]);
		tree_file(tree, path, "[vfio]\ndriver = found\n");
		assert_int_equal(load(tree, names[i], &policy), 0);
		assert_string_equal(policy_get(&policy, "vfio", "driver"), "found");
	}
}

static void a_name_with_control_bytes_is_printable_in_the_message(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "etc/usher/conf.d/a\033[31m.ini", "x");
	assert_refused(tree, "a\033[31m", -EBADMSG,
		       "/etc/usher/conf.d/a\\x1b[31m.ini:1: expected 'key = value' or '[section]'");
}

static void others_may_not_write_the_file(void **state)
{
	static const mode_t modes[] = { 0664, 0646, 0602, 0666 };
	const struct tree *tree = *state;

	tree_file(tree, WIN11, "");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(fchmodat(tree->rootfd, WIN11, modes[i], 0), 0);
		assert_refused(tree, "win11", -EPERM,
			       WHERE ": group or others may write it: chmod go-w " WHERE);
	}
	assert_int_equal(fchmodat(tree->rootfd, WIN11, 0444, 0), 0);
	_cleanup_policy_ struct policy policy = { 0 };
	assert_int_equal(load(tree, "win11", &policy), 0);
	tree_file(tree, HOST, "");
	assert_int_equal(fchmodat(tree->rootfd, HOST, 0622, 0), 0);
	assert_refused(tree, "win11", -EPERM,
		       "/etc/usher/usher.ini: group or others may write it: chmod go-w "
		       "/etc/usher/usher.ini");
}

static void others_may_not_write_its_folder(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, WIN11, "");
	assert_int_equal(fchmodat(tree->rootfd, "etc/usher/conf.d", 01777, 0), 0);
	assert_refused(tree, "win11", -EPERM,
		       "/etc/usher/conf.d: group or others may write it: chmod go-w "
		       "/etc/usher/conf.d");
	assert_int_equal(fchmodat(tree->rootfd, "etc/usher/conf.d", 0755, 0), 0);
	tree_file(tree, HOST, "");
	assert_int_equal(fchmodat(tree->rootfd, "etc/usher", 0775, 0), 0);
	assert_refused(tree, "win11", -EPERM,
		       "/etc/usher: group or others may write it: chmod go-w /etc/usher");
}

/* Run as root the file is given away, else the process looks at it as another user */
static void the_file_must_be_roots_or_below_another_root_our_own(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, WIN11, "");
	if (geteuid() != 0) {
		_cleanup_policy_ struct policy policy = { 0 };

		assert_int_equal(load(tree, "win11", &policy), 0);
		return;
	}
	assert_int_equal(fchownat(tree->rootfd, WIN11, 12345, 12345, 0), 0);
	assert_refused(tree, "win11", -EPERM,
		       WHERE ": belongs to user 12345, not to root: chown root " WHERE);
	pid_t pid = fork();
	if (pid == 0) {
		struct policy policy = { 0 };
		struct policy_error err;

		_exit(fchmodat(tree->rootfd, ".", 0755, 0) < 0 || seteuid(12345) < 0 ||
		      policy_load(tree->rootfd, "win11", &policy, &err) != 0);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_symlink_is_resolved_inside_the_root_and_its_target_checked(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	tree_file(tree, "srv/policies/gaming.ini", "[vfio]\ndriver = found\n");
	tree_link(tree, WIN11, "/srv/policies/gaming.ini");
	assert_int_equal(load(tree, "win11", &policy), 0);
	assert_string_equal(policy_get(&policy, "vfio", "driver"), "found");
	assert_int_equal(fchmodat(tree->rootfd, "srv/policies/gaming.ini", 0666, 0), 0);
	assert_refused(tree, "win11", -EPERM,
		       WHERE ": group or others may write it: chmod go-w " WHERE);
}

static void what_is_no_file_is_refused_with_the_reason(void **state)
{
	const struct tree *tree = *state;

	tree_dir(tree, WIN11);
	assert_refused(tree, "win11", -EBADMSG, WHERE ": is no regular file");
	tree_link(tree, "etc/usher/conf.d/gone.ini", "/nowhere.ini");
	assert_refused(tree, "gone", -EBADMSG,
		       "/etc/usher/conf.d/gone.ini: is a symbolic link to nothing");
	tree_link(tree, "etc/usher/conf.d/loop.ini", "loop.ini");
	assert_refused(tree, "loop", -ELOOP,
		       "/etc/usher/conf.d/loop.ini: cannot be opened: Too many "
		       "levels of symbolic links");
	/* Nobody writes to it: opening must not wait */
	assert_int_equal(mkfifoat(tree->rootfd, "etc/usher/conf.d/fifo.ini", 0600), 0);
	assert_refused(tree, "fifo", -EBADMSG, "/etc/usher/conf.d/fifo.ini: is no regular file");
}

static void a_draft_may_be_anybodys_and_is_checked_all_the_same(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };
	struct policy_error err;
	char file[128], what[256], where[256];

	(void)snprintf(file, sizeof(file), "%s/draft.ini", tree->dir);
	assert_int_equal(policy_load_file(tree->rootfd, file, &policy, &err), -ENOENT);
	(void)snprintf(what, sizeof(what), "%s: cannot be opened: No such file or directory", file);
	assert_string_equal(err.what, what);
	/* Nothing is mapped at its beginning */
	assert_int_equal(policy_load_file(tree->rootfd, "/proc/self/mem", &policy, &err), -EIO);
	assert_string_equal(err.what, "/proc/self/mem: cannot be read: Input/output error");
	tree_file(tree, "draft.ini", "[vfio]\n\ndevcies = none\n");
	assert_int_equal(fchmodat(tree->rootfd, "draft.ini", 0666, 0), 0);
	assert_int_equal(policy_load_file(tree->rootfd, file, &policy, &err), -EBADMSG);
	(void)snprintf(what, sizeof(what),
		       "%s:3: unknown key 'devcies' in [vfio]: did you mean 'devices'?", file);
	assert_string_equal(err.what, what);
	assert_int_equal(policy_load_file(tree->rootfd, tree->dir, &policy, &err), -EISDIR);
	assert_int_equal(policy_load_file(tree->rootfd, "/dev/null", &policy, &err), 0);
	policy_free(&policy);
	tree_file(tree, "draft.ini", "[vfio]\ndriver = draft\n");
	tree_file(tree, HOST, "[vfio]\ntimeout = 3\n");
	assert_int_equal(policy_load_file(tree->rootfd, file, &policy, &err), 0);
	assert_string_equal(policy_get(&policy, "vfio", "driver"), "draft");
	assert_int_equal(policy_ms(&policy, "vfio", "timeout"), 3000);
	policy_where(&policy, "vfio", "driver", where, sizeof(where));
	(void)snprintf(what, sizeof(what), "%s:2", file);
	assert_string_equal(where, what);
}

/* --- The two files together -------------------------------------------------------------------- */

static void the_guests_file_wins_over_the_hosts_and_auto_takes_it_back(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };
	char where[128];

	tree_file(tree, HOST,
		  "[vfio]\ndriver = host-driver\ntimeout = 1\n[cpuset]\nisolate = no\n"
		  "[hugepages]\ncompact = no\n");
	set(tree, "[vfio]\ndriver = guest-driver\n[cpuset]\nisolate = auto\n", &policy);
	assert_string_equal(policy_value(&policy, "vfio", "driver"), "guest-driver");
	assert_int_equal(policy_ms(&policy, "vfio", "timeout"), 1000);
	assert_string_equal(policy_value(&policy, "cpuset", "isolate"), "auto");
	assert_int_equal(policy_bool(&policy, "hugepages", "compact"), 0);
	policy_where(&policy, "vfio", "driver", where, sizeof(where));
	assert_string_equal(where, WHERE ":2");
	policy_where(&policy, "vfio", "timeout", where, sizeof(where));
	assert_string_equal(where, "/etc/usher/usher.ini:3");
	policy_where(&policy, "nosleep", "mode", where, sizeof(where));
	assert_string_equal(where, WHERE);
}

static void a_guest_can_be_switched_off_here_and_on_again_there(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	assert_off(tree, "");
	tree_file(tree, WIN11, "[guest]\nenabled = no\n");
	assert_off(tree, "has enabled = no (" WHERE ":2)");
	tree_file(tree, WIN11, "");
	tree_file(tree, HOST, "[guest]\n\nenabled = off\n");
	assert_off(tree, "has enabled = no (/etc/usher/usher.ini:3)");
	tree_file(tree, WIN11, "[guest]\nenabled = auto\n");
	assert_int_equal(load(tree, "win11", &policy), 0);
}

static void what_is_of_one_guest_is_refused_in_the_hosts_file(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, WIN11, "");
	tree_file(tree, HOST, "[guest]\nuuid = 1b4e28ba-2fa1-11d2-883f-0016d3cca427\n");
	assert_refused(tree, "win11", -EBADMSG,
		       "/etc/usher/usher.ini:2: 'uuid' is of one guest: "
		       "set it in conf.d/GUEST.ini");
}

/* --- What is wrong ----------------------------------------------------------------------------- */

static void each_mistake_is_told_with_file_line_and_cure(void **state)
{
	static const struct {
		const char *text, *what;
	} cases[] = {
		{ "[vfio]\n\ndevcies = none\n",
		  ":3: unknown key 'devcies' in [vfio]: did you mean 'devices'?" },
		{ "[Vfio]\ndevices = none\n", ":1: unknown section [Vfio]: did you mean [vfio]?" },
		{ "[vfio]\n\n[hugepage]\n#pages = none\n",
		  ":3: unknown section [hugepage]: did you mean [hugepages]?" },
		{ "[vfio]\nDevices = none\n",
		  ":2: unknown key 'Devices' in [vfio]: did you mean 'devices'?" },
		{ "[vfio]\nisolate = yes\n",
		  ":2: unknown key 'isolate' in [vfio]: it belongs into [cpuset]" },
		{ "[seat]\ntimeout = 1\n",
		  ":2: unknown key 'timeout' in [seat]: example.ini has all there are" },
		{ "[overclock]\nx = 1\n",
		  ":1: unknown section [overclock]: known are [guest] [vfio] [hugepages] [cpuset] "
		  "[display] [display NAME] [nosleep] [seat] [scripts]" },
		{ "[display left right]\nmonitor = none\n",
		  ":1: unknown section [display left right]: known are [guest] [vfio] [hugepages] "
		  "[cpuset] [display] [display NAME] [nosleep] [seat] [scripts]" },
		{ "[displayleft]\nmonitor = none\n",
		  ":1: unknown section [displayleft]: known are [guest] [vfio] [hugepages] "
		  "[cpuset] [display] [display NAME] [nosleep] [seat] [scripts]" },
		{ "[vfio]\ndriver = a\n[seat]\nrelease = no\n[vfio]\ndriver = a\n",
		  ":6: duplicate key 'driver' in [vfio]: line 2 has it too" },
		{ "[display left]\nmonitor = none\nmonitor = none\n",
		  ":3: duplicate key 'monitor' in [display left]: line 2 has it too" },
		{ "[vfio]\nbars = 0:256M 2:3M\n",
		  ":2: [vfio] bars: '2:3M' is no BAR and size like 0:256M, a power of two" },
		{ "[vfio]\nbars = none\n",
		  ":2: [vfio] bars: 'none' is no BAR and size like 0:256M, a power of two" },
		{ "[hugepages]\nreserve = much\n",
		  ":2: [hugepages] reserve: 'much' is no size like 512M or 2G, 1 TiB at most" },
		{ "[hugepages]\nreserve = 2T\n",
		  ":2: [hugepages] reserve: '2T' is no size like 512M or 2G, 1 TiB at most" },
		{ "[vfio]\ndevices =\n",
		  ":2: [vfio] devices: has no value: write 'auto' or leave the line out" },
		{ "[vfio]\ndevices = ,\n",
		  ":2: [vfio] devices: has no value: write 'auto' or leave the line out" },
		{ "[vfio]\ndevices = 0000:01:00.0, 01:00.8\n",
		  ":2: [vfio] devices: '01:00.8' is no PCI address like 0000:01:00.0" },
		{ "[vfio]\ndevices = none 01:00.1\n",
		  ":2: [vfio] devices: 'none' stands alone: put a comment on a line of its own" },
		{ "[vfio]\ndevices = auto # all of them\n",
		  ":2: [vfio] devices: 'auto' stands alone: put a comment on a line of its own" },
		{ "[vfio]\nexpect = 01:00.0=10de:1b80 0000:01:00.0=10de:1b81\n",
		  ":2: [vfio] expect: '0000:01:00.0=10de:1b81' is the second of its address: "
		  "remove one" },
		{ "[vfio]\nexpect = 01:00.0=10de\n",
		  ":2: [vfio] expect: '01:00.0=10de' is not like 0000:01:00.0=10de:1b80 or "
		  "0000:03:00.0=144d:a808/S4EWNX0R" },
		{ "[vfio]\nexpect = 01:00.0=10de:1b80/\n",
		  ":2: [vfio] expect: '01:00.0=10de:1b80/' is not like 0000:01:00.0=10de:1b80 or "
		  "0000:03:00.0=144d:a808/S4EWNX0R" },
		{ "[vfio]\nexpect = 01:00.0=0001:0002/" SERIAL_64 "x\n",
		  ":2: [vfio] expect: '01:00.0=0001:0002/" SERIAL_64 "x' is not like "
		  "0000:01:00.0=10de:1b80 or 0000:03:00.0=144d:a808/S4EWNX0R" },
		{ "[vfio]\nexpect = none\n",
		  ":2: [vfio] expect: 'none' is not like 0000:01:00.0=10de:1b80 or "
		  "0000:03:00.0=144d:a808/S4EWNX0R" },
		{ "[vfio]\ndriver = ../x\n",
		  ":2: [vfio] driver: '../x' is no name of a kernel module" },
		{ "[vfio]\ntimeout = soon\n", ":2: [vfio] timeout: 'soon' is no time like 2s or "
					      "1500ms, over 0 and 10 minutes at "
					      "most" },
		{ "[vfio]\ntimeout = 0\n",
		  ":2: [vfio] timeout: '0' is no time like 2s or 1500ms, over 0 and 10 minutes at "
		  "most" },
		{ "[vfio]\ntimeout = 601\n", ":2: [vfio] timeout: '601' is no time like 2s or "
					     "1500ms, over 0 and 10 minutes at "
					     "most" },
		{ "[display]\ndelay = -1\n",
		  ":2: [display] delay: '-1' is no time like 2s or 1500ms, 10 minutes at most" },
		{ "[guest]\nuuid = win11\n", ":2: [guest] uuid: 'win11' is no UUID like "
					     "1b4e28ba-2fa1-11d2-883f-0016d3cca427" },
		{ "[guest]\nuuid = 1b4e28ba2fa111d2883f0016d3cca427aaaaa\n",
		  ":2: [guest] uuid: '1b4e28ba2fa111d2883f0016d3cca427aaaaa' is no UUID like "
		  "1b4e28ba-2fa1-11d2-883f-0016d3cca427" },
		{ "[guest]\nenabled = perhaps\n",
		  ":2: [guest] enabled: 'perhaps' is neither yes nor no" },
		{ "[guest]\nrequired = vfio hugepage\n",
		  ":2: [guest] required: 'hugepage' is not known: did you mean 'hugepages'?" },
		{ "[guest]\nrequired = vfio none\n",
		  ":2: [guest] required: 'none' stands alone: put a comment on a line of its own" },
		{ "[cpuset]\nmethod = magic\n",
		  ":2: [cpuset] method: 'magic' is none of: auto partition slices plain" },
		{ "[cpuset]\nmethod = partition slices\n",
		  ":2: [cpuset] method: 'partition slices' is none of: auto partition slices "
		  "plain" },
		{ "[cpuset]\nisolate = YES\n",
		  ":2: [cpuset] isolate: 'YES' is not known: did you mean 'yes'?" },
		{ "[cpuset]\ngovernor = performace\n",
		  ":2: [cpuset] governor: 'performace' is not known: did you mean 'performance'?" },
		{ "[cpuset]\nwake_latency = 1000001\n",
		  ":2: [cpuset] wake_latency: '1000001' is no number of microseconds, 1000000 at "
		  "most" },
		{ "[cpuset]\nemulator_sched = fifo:0\n",
		  ":2: [cpuset] emulator_sched: 'fifo:0' is not like other:-5, batch:0, idle, "
		  "fifo:1 or rr:1 (nice -20 to 19, priority 1 to 99)" },
		{ "[nosleep]\ninhibit = sleep:handle-lid-swich\n",
		  ":2: [nosleep] inhibit: 'handle-lid-swich' is not known: did you mean "
		  "'handle-lid-switch'?" },
		{ "[display]\nmonitor = DELL\n",
		  ":2: [display] monitor: 'DELL' is no monitor like DEL:a0c4:JK9X, DEL:a0c4 or "
		  "card0-DP-1" },
		{ "[display]\nmonitor = none\nguest_input = hdmi9\n",
		  ":3: [display] guest_input: 'hdmi9' is no input like dp1, hdmi2 or usb-c, and no "
		  "number from 0 to 255" },
		{ "[display]\nsource_address = 0x100\n",
		  ":2: [display] source_address: '0x100' is no number from 0x00 to 0xff" },
		{ "[display]\nmonitor = DEL:a0c4\nhost_input = dp1\n",
		  ":2: [display] names a monitor, but no guest_input: add the input that the "
		  "guest's "
		  "GPU is wired to" },
		{ "[display left]\nmonitor = DEL:a0c4\n[display]\nmonitor = none\nguest_input = "
		  "1\n",
		  ":2: [display left] names a monitor, but no guest_input: add the input that the "
		  "guest's GPU is wired to" },
		{ "[display]\ndelay = 1\nhost_input = dp1\n",
		  ":3: [display] has a host_input, but no monitor: usher-display list prints what "
		  "to "
		  "set" },
		{ "[vfio]\ndriver = a\033b\n",
		  ":2: [vfio] driver: 'a\\x1bb' is no name of a kernel module" },
		{ "driver = a\n", ":1: expected a '[section]' before the first key" },
		{ "[vfio]\ndriver\n", ":2: expected 'key = value' or '[section]'" },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char what[512];

		(void)snprintf(what, sizeof(what), WHERE "%s", cases[i].what);
		tree_file(tree, WIN11, cases[i].text);
		assert_refused(tree, "win11", -EBADMSG, what);
	}
}

static void nul_bytes_a_megabyte_on_a_line_and_longer_files_are_refused(void **state)
{
	static char text[INI_FILE_MAX + 1];
	const struct tree *tree = *state;

	tree_bytes(tree, WIN11, "[vfio]\ndriver = a\0b\n", 20);
	assert_refused(tree, "win11", -EBADMSG,
		       WHERE ":2: NUL byte: is this a text file saved as UTF-16?");
	memset(text, 'x', sizeof(text));
	memcpy(text, "[vfio]\ndriver = ", 16);
	tree_bytes(tree, WIN11, text, INI_FILE_MAX);
	assert_refused(tree, "win11", -EBADMSG, WHERE ":2: line is longer than 65536 bytes");
	memset(text, '\n', sizeof(text));
	tree_bytes(tree, WIN11, text, sizeof(text));
	assert_refused(tree, "win11", -EBADMSG, WHERE ": file is longer than 1 MiB");
}

static void more_keys_than_any_policy_has_are_refused(void **state)
{
	_cleanup_free_ char *text = NULL;
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };
	char what[128];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (int i = 0; i < POLICY_KEYS_MAX; i++)
		(void)fprintf(f, "[display n%d]\ndelay = 1\n", i);
	assert_int_equal(fflush(f), 0);
	tree_bytes(tree, WIN11, text, len);
	assert_int_equal(load(tree, "win11", &policy), 0);
	(void)fputs("[seat]\nrelease = no\n", f);
	assert_int_equal(fclose(f), 0);
	tree_bytes(tree, WIN11, text, len);
	(void)snprintf(what, sizeof(what), WHERE ":%d: more than %d keys", 2 * POLICY_KEYS_MAX + 2,
		       POLICY_KEYS_MAX);
	assert_refused(tree, "win11", -EBADMSG, what);
}

static void bom_crlf_indentation_and_comments_are_accepted(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	set(tree,
	    "\xef\xbb\xbf[vfio]\r\n\tdriver = my-driver ; not theirs\r\n\r\n# comment\r\n"
	    "; comment\r\n  timeout=1.5s\r\n",
	    &policy);
	assert_string_equal(policy_value(&policy, "vfio", "driver"), "my-driver");
	assert_int_equal(policy_ms(&policy, "vfio", "timeout"), 1500);
}

/* --- Values ------------------------------------------------------------------------------------ */

static void forty_addresses_on_one_line_are_read_whole_and_sorted(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };
	char text[1024] = "[vfio]\ndevices =";
	char addr[PCIADDR_STRLEN];

	for (int i = 39; i >= 0; i--)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			       "%s%04x:%02x:00.%d", i % 2 ? ", " : "\t", i / 10, i, i % 8);
	(void)strncat(text, " 01:00.1 0000:01:00.1\n", sizeof(text) - strlen(text) - 1);
	assert_true(strlen(text) > 500);
	set(tree, text, &policy);
	assert_int_equal(policy_devices(&policy, &list), 0);
	assert_int_equal(list.nr, 40);
	for (size_t i = 0; i < list.nr; i++) {
		(void)snprintf(text, sizeof(text), "%04zx:%02zx:00.%zu", i / 10, i, i % 8);
		pciaddr_format(&list.addrs[i], addr);
		assert_string_equal(addr, text);
	}
}

static void devices_are_automatic_or_none(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy automatic = { 0 }, none = { 0 };
	struct pciaddr_list list = { .nr = 77 };

	set(tree, "[vfio]\ndevices = auto\n", &automatic);
	assert_int_equal(policy_devices(&automatic, &list), 1);
	assert_int_equal(list.nr, 77);
	set(tree, "[vfio]\ndevices = none,\n", &none);
	assert_int_equal(policy_devices(&none, &list), 0);
	assert_int_equal(list.nr, 0);
	pciaddr_list_free(&list);
}

static void expectations_have_ids_and_a_serial_or_none(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 }, empty = { 0 };
	_cleanup_policy_expects_ struct policy_expects list = { 0 }, none = { 0 };

	set(tree,
	    "[vfio]\nexpect = 01:00.0=10de:1b80,0000:03:00.0=144d:a808/S4EW=NX0/R1 "
	    "02:00.0=0001:0002/" SERIAL_64 "\n",
	    &policy);
	assert_int_equal(policy_expects(&policy, &list), 0);
	assert_int_equal(list.nr, 3);
	assert_string_equal(list.expects[2].serial, SERIAL_64);
	assert_int_equal(list.expects[0].addr.bus, 1);
	assert_int_equal(list.expects[0].id.vendor, 0x10de);
	assert_int_equal(list.expects[0].id.device, 0x1b80);
	assert_null(list.expects[0].serial);
	assert_int_equal(list.expects[1].addr.bus, 3);
	assert_int_equal(list.expects[1].id.device, 0xa808);
	assert_string_equal(list.expects[1].serial, "S4EW=NX0/R1");
	set(tree, "", &empty);
	assert_int_equal(policy_expects(&empty, &none), 0);
	assert_int_equal(none.nr, 0);
}

static void words_have_any_separator_and_none_is_there_twice(void **state)
{
	static const struct {
		const char *text;
		size_t nr;
		const char *last;
	} cases[] = {
		{ "", 2, "handle-lid-switch" },
		{ "[nosleep]\ninhibit = none\n", 0, NULL },
		{ "[nosleep]\ninhibit = ,none:\n", 0, NULL },
		{ "[nosleep]\ninhibit = sleep:idle\n", 2, "idle" },
		{ "[nosleep]\ninhibit = idle, sleep idle,shutdown\n", 3, "shutdown" },
		{ "[nosleep]\ninhibit = handle-lid-switch:handle-power-key:handle-suspend-key:"
		  "handle-hibernate-key\n",
		  4, "handle-hibernate-key" },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_policy_ struct policy policy = { 0 };
		_cleanup_strlist_ struct strlist words = { 0 };

		set(tree, cases[i].text, &policy);
		assert_int_equal(policy_words(&policy, "nosleep", "inhibit", &words), 0);
		assert_int_equal(words.nr, cases[i].nr);
		if (words.nr > 0)
			assert_string_equal(words.names[words.nr - 1], cases[i].last);
	}
}

static void values_have_their_types_and_auto_the_rows_default(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };

	set(tree,
	    "[display]\nmonitor = card0-DP-1\nguest_input = hdmi1\nsource_address = 0x50\n"
	    "delay = 0\n[hugepages]\ncompact = off\ntimeout = auto\n",
	    &policy);
	assert_int_equal(policy_number(&policy, "display", "guest_input"), 0x11);
	assert_int_equal(policy_number(&policy, "display", "host_input"), -EINVAL);
	assert_int_equal(policy_number(&policy, "display", "source_address"), 0x50);
	assert_int_equal(policy_ms(&policy, "display", "delay"), 0);
	assert_int_equal(policy_ms(&policy, "display", "timeout"), 15000);
	assert_int_equal(policy_ms(&policy, "hugepages", "timeout"), -EINVAL);
	assert_int_equal(policy_ms(&policy, "vfio", "devices"), -EINVAL);
	assert_int_equal(policy_bool(&policy, "hugepages", "compact"), 0);
	assert_int_equal(policy_bool(&policy, "guest", "enabled"), 1);
	assert_int_equal(policy_bool(&policy, "cpuset", "isolate"), -EINVAL);
	assert_string_equal(policy_get(&policy, "no", "such"), "auto");
	assert_string_equal(policy_value(&policy, "vfio", "such"), "auto");
}

static void inputs_have_names_and_numbers(void **state)
{
	static const struct {
		const char *text;
		int value;
	} cases[] = {
		{ "vga1", 0x01 },  { "vga2", 0x02 },   { "dvi1", 0x03 },   { "dvi2", 0x04 },
		{ "dp1", 0x0f },   { "dp2", 0x10 },    { "hdmi1", 0x11 },  { "hdmi2", 0x12 },
		{ "usb-c", 0x1b }, { "0x1B", 0x1b },   { "27", 27 },	   { "010", 10 },
		{ "0", 0 },	   { "255", 255 },     { "256", -EINVAL }, { "0x", -EINVAL },
		{ "", -EINVAL },   { "DP1", -EINVAL }, { "dp", -EINVAL },  { "-1", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(policy_input(cases[i].text), cases[i].value);
}

static void monitors_are_named_by_edid_or_connector(void **state)
{
	static const struct {
		const char *monitor;
		int r;
	} cases[] = {
		{ "DEL:a0c4", 0 },
		{ "del:A0C4:JK9X 12:3", 0 },
		{ "???:0000:1", 0 },
		{ "DEL:a0c4:%41%41%41%41%41%41%41%41%41%41%41%41%41", 0 },
		{ "DEL:a0c4:%41%41%41%41%41%41%41%41%41%41%41%41%41x", -EBADMSG },
		{ "card10-HDMI-A-1", 0 },
		{ "none", 0 },
		{ "DEL", -EBADMSG },
		{ "DEL:a0c", -EBADMSG },
		{ "DEL:a0c4:", -EBADMSG },
		{ "DEL:a0c4x", -EBADMSG },
		{ "D L:a0c4", -EBADMSG },
		{ "card-DP-1", -EBADMSG },
		{ "card0", -EBADMSG },
		{ "card0-", -EBADMSG },
		{ "card0-DP/1", -EBADMSG },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_policy_ struct policy policy = { 0 };
		struct policy_error err;
		char text[256];

		(void)snprintf(text, sizeof(text), "[display]\nmonitor = %s\nguest_input = dp1\n",
			       cases[i].monitor);
		tree_file(tree, WIN11, text);
		assert_int_equal(policy_load(tree->rootfd, "win11", &policy, &err), cases[i].r);
	}
}

static void each_named_monitor_takes_the_rest_from_the_unnamed_section(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy policy = { 0 };
	_cleanup_strlist_ struct strlist displays = { 0 };

	tree_file(tree, HOST,
		  "[display]\ndelay = 9\ntimeout = 8\n"
		  "[display wall]\nmonitor = card0-DP-9\nguest_input = 3\n"
		  "[display off]\nmonitor = card0-DP-8\nguest_input = 3\n");
	set(tree,
	    "[display]\nsource_address = 0x50\n"
	    "[display left]\nmonitor = DEL:a0c4\nguest_input = dp1\nhost_input = dp2\n"
	    "timeout = 1\n"
	    "[display right]\nmonitor = DEL:a0c5\nguest_input = 7\n"
	    "[display off]\nmonitor = none\n",
	    &policy);
	assert_int_equal(policy_displays(&policy, &displays), 0);
	assert_int_equal(displays.nr, 3);
	assert_string_equal(displays.names[0], "display left");
	assert_string_equal(displays.names[1], "display right");
	assert_string_equal(displays.names[2], "display wall");
	assert_int_equal(policy_ms(&policy, "display left", "timeout"), 1000);
	assert_int_equal(policy_ms(&policy, "display right", "timeout"), 8000);
	assert_int_equal(policy_ms(&policy, "display right", "delay"), 9000);
	assert_int_equal(policy_number(&policy, "display right", "source_address"), 0x50);
	assert_int_equal(policy_number(&policy, "display right", "host_input"), -EINVAL);
	assert_string_equal(policy_get(&policy, "display right", "monitor"), "DEL:a0c5");
	assert_string_equal(policy_value(&policy, "display", "monitor"), "none");
}

/* --- The table --------------------------------------------------------------------------------- */

static void every_row_is_whole_and_its_default_in_its_own_grammar(void **state)
{
	const struct tree *tree = *state;

	for (size_t i = 0; i < policy_nr_keys; i++) {
		const struct policy_key *row = &policy_keys[i];
		_cleanup_policy_ struct policy policy = { 0 };
		char text[512];

		assert_true(*row->section && *row->key && *row->dflt && *row->unit && *row->help);
		assert_true(!!row->words ==
			    (row->type == POLICY_WORD || row->type == POLICY_WORDS));
		for (size_t j = 0; j < i; j++)
			assert_false(!strcmp(policy_keys[j].section, row->section) &&
				     !strcmp(policy_keys[j].key, row->key));
		(void)snprintf(text, sizeof(text), "[%s]\n%s = %s\n%s", row->section, row->key,
			       row->dflt,
			       strcmp(row->section, "display") == 0 && strcmp(row->key, "monitor")
				       ? "monitor = none\n"
				       : "");
		set(tree, text, &policy);
		assert_string_equal(policy_get(&policy, row->section, row->key), row->dflt);
	}
}

static char *read_whole(const char *file)
{
	static char text[16384];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0 && n < (ssize_t)sizeof(text) - 1);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

/* A file of ours: each row is there in its section, and nothing else looks like a key */
static void assert_example(const char *file, bool host)
{
	const char *section = "", *text = read_whole(file);
	size_t expected = 0, found = 0;
	char block[1024];

	for (size_t i = 0; i < policy_nr_keys; i++) {
		const struct policy_key *row = &policy_keys[i];
		const char *at, *in;

		if (host && row->guest_only)
			continue;
		expected++;
		section = row->section;
		(void)snprintf(block, sizeof(block),
			       "\n# %s\n# Value: %s\n# Default: %s\n#%s = %s\n", row->help,
			       row->unit, row->dflt, row->key, row->dflt);
		(void)snprintf(block + strlen(block) + 1, sizeof(block) - strlen(block) - 1,
			       "\n[%s]\n", section);
		in = strstr(text, block + strlen(block) + 1);
		if (!in)
			fail_msg("%s lacks [%s]", file, section);
		at = strstr(in, block);
		if (!at || (strstr(in + 1, "\n[") && strstr(in + 1, "\n[") < at))
			fail_msg("%s lacks in [%s]:%s", file, section, block);
	}
	for (const char *p = text; (p = strstr(p, "\n#")); p++)
		found += p[2] != ' ' && p[2] != '\n';
	assert_int_equal(found, expected);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		assert_true(p[1] == '#' || p[1] == '[' || p[1] == '\n' || p[1] == '\0');
}

static void the_installed_examples_have_every_key_and_no_other(void **state)
{
	(void)state;
	assert_example("conf.d/example.ini", false);
	assert_example("conf.d/usher.ini", true);
}

static void the_manual_has_every_key(void **state)
{
	const char *text = read_whole("conf.d/usher.ini.5");
	char block[1024];

	(void)state;
	for (size_t i = 0; i < policy_nr_keys; i++) {
		const struct policy_key *row = &policy_keys[i];
		const char *in, *at;

		(void)snprintf(block, sizeof(block), "\n.Ss [%s]\n", row->section);
		in = strstr(text, block);
		if (!in)
			fail_msg("usher.ini(5) lacks [%s]: run conf.d/page", row->section);
		(void)snprintf(block, sizeof(block),
			       "\n.It Sy %s\n%s\n.br\nValue: %s.\nDefault: %s.\n", row->key,
			       row->help, row->unit, row->dflt);
		at = strstr(in, block);
		if (!at || (strstr(in + 1, "\n.Ss ") && strstr(in + 1, "\n.Ss ") < at))
			fail_msg("usher.ini(5) lacks in [%s]:%s: run conf.d/page", row->section,
				 block);
	}
}

static void the_examples_are_policies_and_with_every_key_set_too(void **state)
{
	const struct tree *tree = *state;
	_cleanup_policy_ struct policy as_is = { 0 }, uncommented = { 0 };
	char *text = read_whole("conf.d/example.ini");

	set(tree, text, &as_is);
	assert_int_equal(as_is.guest.nr, 0);
	for (char *p = text; (p = strstr(p, "\n#")); p++)
		if (p[2] != ' ' && p[2] != '\n')
			p[1] = ' ';
	set(tree, text, &uncommented);
	assert_int_equal(uncommented.guest.nr, policy_nr_keys);
	tree_file(tree, HOST, read_whole("conf.d/usher.ini"));
	policy_free(&as_is);
	assert_int_equal(load(tree, "win11", &as_is), 0);
}

/* --- No memory --------------------------------------------------------------------------------- */

static const struct tree *nomem_tree;
static struct policy nomem_policy;
static struct policy_error nomem_err;
static char nomem_file[128];

static int load_again(void)
{
	policy_free(&nomem_policy);
	return policy_load(nomem_tree->rootfd, "win11", &nomem_policy, &nomem_err);
}

static int load_file_again(void)
{
	policy_free(&nomem_policy);
	return policy_load_file(nomem_tree->rootfd, nomem_file, &nomem_policy, &nomem_err);
}

static int load_wrong(void)
{
	int r = policy_load(nomem_tree->rootfd, "wrong", &nomem_policy, &nomem_err);

	return r == -EBADMSG ? 0 : r;
}

static int all_lists(void)
{
	_cleanup_pciaddr_list_ struct pciaddr_list devices = { 0 };
	_cleanup_policy_expects_ struct policy_expects expects = { 0 };
	_cleanup_strlist_ struct strlist words = { 0 }, displays = { 0 };
	int r = policy_devices(&nomem_policy, &devices);

	if (r == 0)
		r = policy_expects(&nomem_policy, &expects);
	if (r == 0)
		r = policy_words(&nomem_policy, "nosleep", "inhibit", &words);
	return r < 0 ? r : policy_displays(&nomem_policy, &displays);
}

static void without_memory_each_function_says_so_and_leaks_nothing(void **state)
{
	static const char text[] = "[vfio]\ndevices = 01:00.0 01:00.1\nexpect = "
				   "01:00.0=10de:1b80/S1,01:00.1=10de:1b81\n[nosleep]\n"
				   "inhibit = sleep:idle\n[display x]\nmonitor = card0-DP-1\n"
				   "guest_input = dp1\n";

	nomem_tree = *state;
	tree_file(nomem_tree, WIN11, text);
	tree_file(nomem_tree, HOST, "[seat]\nrelease = no\n");
	tree_file(nomem_tree, "etc/usher/conf.d/wrong.ini", "[nosleep]\ninhibit = slep\n");
	(void)snprintf(nomem_file, sizeof(nomem_file), "%s/%s", nomem_tree->dir, WIN11);
	assert_nomem(load_again(), 30);
	assert_nomem(all_lists(), 12);
	assert_nomem(load_file_again(), 30);
	assert_nomem(load_wrong(), 8);
	policy_free(&nomem_policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(an_empty_file_is_a_complete_policy),
		tree_test(a_guest_without_a_file_has_no_policy),
		tree_test(a_mistake_of_the_host_file_touches_no_guest_without_policy),
		tree_test(a_name_that_can_be_no_files_has_no_policy),
		tree_test(any_name_that_can_be_a_files_finds_it),
		tree_test(a_name_with_control_bytes_is_printable_in_the_message),
		tree_test(others_may_not_write_the_file),
		tree_test(others_may_not_write_its_folder),
		tree_test(the_file_must_be_roots_or_below_another_root_our_own),
		tree_test(a_symlink_is_resolved_inside_the_root_and_its_target_checked),
		tree_test(what_is_no_file_is_refused_with_the_reason),
		tree_test(a_draft_may_be_anybodys_and_is_checked_all_the_same),
		tree_test(the_guests_file_wins_over_the_hosts_and_auto_takes_it_back),
		tree_test(a_guest_can_be_switched_off_here_and_on_again_there),
		tree_test(what_is_of_one_guest_is_refused_in_the_hosts_file),
		tree_test(each_mistake_is_told_with_file_line_and_cure),
		tree_test(nul_bytes_a_megabyte_on_a_line_and_longer_files_are_refused),
		tree_test(more_keys_than_any_policy_has_are_refused),
		tree_test(bom_crlf_indentation_and_comments_are_accepted),
		tree_test(forty_addresses_on_one_line_are_read_whole_and_sorted),
		tree_test(devices_are_automatic_or_none),
		tree_test(expectations_have_ids_and_a_serial_or_none),
		tree_test(words_have_any_separator_and_none_is_there_twice),
		tree_test(values_have_their_types_and_auto_the_rows_default),
		cmocka_unit_test(inputs_have_names_and_numbers),
		tree_test(monitors_are_named_by_edid_or_connector),
		tree_test(each_named_monitor_takes_the_rest_from_the_unnamed_section),
		tree_test(every_row_is_whole_and_its_default_in_its_own_grammar),
		cmocka_unit_test(the_installed_examples_have_every_key_and_no_other),
		cmocka_unit_test(the_manual_has_every_key),
		tree_test(the_examples_are_policies_and_with_every_key_set_too),
		tree_test(without_memory_each_function_says_so_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
