/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/programs_tampered_test.c - what a helper gives back is neither another's word nor place */
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/process.h"
#include "lib/self.h"
#include "lib/spawn.h"
#include "lib/text.h"
#include "recorded.h"
#include "tamper.h"

/*
 * How it works
 *
 * The helpers are those over the fake kernel, build/fake/usher-NAME, on the recorded desktop. Each row
 * of replays is state as a start leaves it, and undo changes the host by it: the fake kernel's trace
 * has a line for each change. With the same state tampered with (tamper.h) the trace has none, and
 * stderr names what is not believed and what to do. The rows of escapes are well-formed state of root's
 * that names a place this helper never writes to.
 */

#define UUID  "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define HOME  "run/usher/" UUID
#define CLAIM HOME "/claim.ini"
#define HEADER                                                                                     \
	"[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = ending\nowner = 999999 1\n"

#define TIMEOUT_MS 60000

static char programs[PATH_MAX], dir[128];
static int rootfd;
static char said[8192];

/* --- A tree ---------------------------------------------------------------------------------------- */

static int group_setup(void **state)
{
	(void)umask(022);
	if (self_dir(programs, sizeof(programs) - sizeof("/../fake")) < 0)
		return -1;
	(void)strcat(programs, "/../fake");
	return recorded_setup(state);
}

static void tree_make(void)
{
	(void)snprintf(dir, sizeof(dir), "%s/tree", base);
	sh("cp -a %s/host %s", base, dir);
	rootfd = root_open(dir);
	assert_true(rootfd >= 0);
}

static void tree_drop(void)
{
	(void)close(rootfd);
	sh("rm -rf %s", dir);
}

static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	mode_t mode = strncmp(path, "run/usher", 9) == 0 ? 0700 : 0755;
	int fd;

	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	for (char *p = full + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(full, mode) < 0)
			assert_int_equal(errno, EEXIST);
		*p = '/';
	}
	fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode & 0666);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

/* --- The helper --------------------------------------------------------------------------------------- */

static int run(const char *helper, const char *verb)
{
	char program[PATH_MAX + 32], claim[PATH_MAX];
	const char *const argv[] = { program, "--root", dir, verb, claim, NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = TIMEOUT_MS };

	(void)snprintf(program, sizeof(program), "%s/usher-%s", programs, helper);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, dir);
	assert_true(spawn_run(&job, 1) >= 0);
	assert_false(job.timed_out);
	(void)snprintf(said, sizeof(said), "%s", job.output);
	spawn_job_free(&job);
	return job.status;
}

static bool is_of_host(const char *verb)
{
	static const char *const verbs[] = { "write", "module", "bus", "i2c", "signal" };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	return false;
}

/* Changes to the host, and to files outside of run/usher, that have @word in them; NULL: any */
static size_t changes(const char *word)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strlist_ struct strlist lines = { 0 };
	size_t nr = 0, len;

	if (attr_read_all(rootfd, ".fake/trace", 1UL << 20, &text, &len) < 0)
		return 0;
	assert_int_equal(text_split(text, "\n", &lines), 0);
	for (size_t i = 0; i < lines.nr; i++) {
		char verb[32], path[1024];

		assert_int_equal(sscanf(lines.names[i], "%*s %*s %31s %1023s", verb, path), 2);
		if (is_of_host(verb) || (strncmp(path, "run/usher", 9) != 0 && path[0] == 'r'))
			nr += !word || strstr(lines.names[i], word);
	}
	return nr;
}

/* --- What undo does by what it finds ------------------------------------------------------------------- */

struct file {
	const char *path, *text;
};

#define FILES_MAX 5

#define GUESTS "sys/fs/cgroup/machine.slice/a.scope/libvirt"

static const struct replay {
	const char *helper, *section;
	struct file files[FILES_MAX]; /* the first is tampered with */
	bool applied;		      /* what undo finds beside it is made by a start */
} replays[] = {
	{ "cpuset",
	  "[cpuset]\ncpus = 2\nvcpu = 0 2\n",
	  { { HOME "/cpuset.journal", "1 vmstat vm % 60\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = vmstat%20vm 1\n" },
	    { "proc/sys/vm/stat_interval", "60\n" } },
	  false },
	{ "cpuset",
	  "[cpuset]\ncpus = 2\nvcpu = 0 2\n",
	  { { "run/usher/host/cpuset.ini", "[baseline]\nsetting = vmstat%20vm 1\n" },
	    { HOME "/cpuset.journal", "1 vmstat vm % 60\n" },
	    { "proc/sys/vm/stat_interval", "60\n" } },
	  false },
	{ "cpuset",
	  "[cpuset]\ncpus = 2\nvcpu = 0 2\n",
	  { { "run/usher/host/irq.ini",
	      "[irq]\ndefault = 0-15\nheld = 2\nirq = 16 0-15 i801_smbus\n" },
	    { HOME "/cpuset.journal", "1 irq all % 2\n" },
	    { "proc/irq/16/smp_affinity_list", "0-1,3-15\n" } },
	  false },
	{ "cpuset",
	  "[cpuset]\ncpus = 2\nvcpu = 0 2\n",
	  { { HOME "/cpuset.journal", "1 cursor fbcon % 0\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = cursor%20fbcon 1\n" },
	    { "sys/class/graphics/fbcon/cursor_blink", "0\n" } },
	  false },
	{ "cpuset",
	  "[cpuset]\ncpus = 2\nvcpu = 0 2\npressure = no\n",
	  { { HOME "/cpuset.journal", "1 guest machine.slice/a.scope/libvirt % isolated\n" },
	    { GUESTS "/vcpu0/cgroup.pressure", "0\n" } },
	  false },
	{ "hugepages",
	  "[hugepages]\nneed = 2048 any 8\n",
	  { { "run/usher/host/hugepages.ini",
	      "[ledger]\nown = 2048 0 504\nheld = 2048 0 " UUID " 8\n" } },
	  false },
	{ "hugepages",
	  "[hugepages]\nneed = 2048 any 8\n",
	  { { "run/usher/host/hugepages.ini",
	      "[ledger]\nown = 2048 0 504\nwriting = 2048 0 " UUID " 504 512 999999 1\n" } },
	  false },
	{ "hugepages",
	  "[hugepages]\nthp_kib = 4096\n",
	  { { "run/usher/host/thp.ini",
	      "[baseline]\nsetting = sys/kernel/mm/transparent_hugepage/enabled never\n" },
	    { "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n" } },
	  false },
	{ "hugepages",
	  "[hugepages]\nneed = 2048 any 8\n",
	  { { "run/usher/host/hugepages-arc", "0 8 4\n" },
	    { "sys/module/zfs/parameters/zfs_arc_max", "4\n" } },
	  false },
	{ "vfio",
	  "[vfio]\ndevice = 0000:05:00.0 1b21:2142 hostdev unmanaged\n",
	  { { HOME "/vfio.journal",
	      "1 override 0000:05:00.0 % vfio-pci\n2 driver 0000:05:00.0 xhci_hcd vfio-pci\n" } },
	  true },
	{ "vfio",
	  "[vfio]\ndevice = 0000:05:00.0 1b21:2142 hostdev unmanaged\ngive_back = render\n",
	  { { HOME "/render.journal", "1 rule 0000:01:00.0 none %\n" },
	    { "run/udev/rules.d/72-usher-0000:01:00.0.rules", "\n" } },
	  false },
	{ "seat",
	  "[seat]\nrelease = auto\ndevice = 0000:01:00.0\n",
	  { { HOME "/seat.journal", "1 vtcon vtcon1 bound %\n" },
	    { "sys/class/vtconsole/vtcon1/bind", "0\n" } },
	  false },
	{ "display",
	  "[display left]\nmonitor = DEL:a0c4:JK9X0123\nguest_input = 17\nhost_input = 15\n",
	  { { HOME "/display.journal", "1 switch 3:81:display%20left 15 17\n" },
	    { ".fake/monitor/left/input", "17\n" } },
	  false },
	{ "nosleep",
	  "[nosleep]\ninhibit = sleep\nmode = block\n",
	  { { HOME "/nosleep.journal", "1 unit usher-nosleep-" UUID ".service - -\n" },
	    { ".fake/units/usher-nosleep-" UUID ".service/pid", "0\n" } },
	  false },
};

static void make_state(const char *section, const struct file files[FILES_MAX])
{
	_cleanup_free_ char *claim = NULL;

	assert_true(asprintf(&claim, HEADER "%s", section) >= 0);
	put(CLAIM, claim);
	for (size_t i = 0; i < FILES_MAX && files[i].path; i++)
		put(files[i].path, files[i].text);
}

/* The next row's state, in the same tree */
static void clear_state(void)
{
	sh("rm -rf %s/run/usher %s/" ASIDE " %s/.fake/trace", dir, dir, dir);
}

static void start(const struct replay *replay)
{
	if (!replay->applied)
		return;
	make_state(replay->section, (struct file[FILES_MAX]){ 0 });
	if (run(replay->helper, "apply") != 0)
		fail_msg("usher-%s apply: %s", replay->helper, said);
	clear_state();
}

static void what_is_roots_alone_is_given_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replays); i++) {
		tree_make();
		start(&replays[i]);
		make_state(replays[i].section, replays[i].files);
		(void)run(replays[i].helper, "undo");
		if (!changes(NULL))
			fail_msg("usher-%s undo changes nothing by %s: %s", replays[i].helper,
				 replays[i].files[0].path, said);
		tree_drop();
	}
}

/* What has to stand in the line: the file, or the directory */
static void assert_named(const char *helper, const struct tamper *tamper, const char *path)
{
	char target[PATH_MAX];

	tamper_target(tamper, path, target);
	if (!strstr(said, tamper->up == 0 ? strrchr(target, '/') + 1 : target) ||
	    (!strstr(said, "reboot") && !strstr(said, "remove that file")))
		fail_msg("usher-%s names neither %s, which is %s, nor a cure: %s", helper, target,
			 tamper->what, said);
}

static void refuse_one(const struct replay *replay, const char *path, const struct tamper *tamper)
{
	int status;

	make_state(replay->section, replay->files);
	tamper_with(tamper, rootfd, path);
	status = run(replay->helper, "undo");
	if (status == 0 || changes(NULL))
		fail_msg("usher-%s undo: status %d, %zu changes by %s, which is %s: %s",
			 replay->helper, status, changes(NULL), path, tamper->what, said);
	assert_named(replay->helper, tamper, path);
	clear_state();
}

static void what_is_not_is_refused_and_named(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	tree_make();
	for (size_t i = 0; i < ARRAY_SIZE(replays); i++) {
		start(&replays[i]);
		for (size_t j = 0; j < ARRAY_SIZE(tampers); j++) {
			if (!tamper_able(rootfd, &tampers[j]) || tampers[j].writing)
				continue;
			refuse_one(&replays[i], replays[i].files[0].path, &tampers[j]);
			refuse_one(&replays[i], CLAIM, &tampers[j]);
		}
	}
	tree_drop();
}

static int run_recover(void)
{
	char program[PATH_MAX + 32];
	const char *const argv[] = { program, "recover", "--root", dir, NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = TIMEOUT_MS };

	(void)snprintf(program, sizeof(program), "%s/usher", programs);
	assert_true(spawn_run(&job, 1) >= 0);
	(void)snprintf(said, sizeof(said), "%s", job.output);
	spawn_job_free(&job);
	return job.status;
}

static void recover_refuses_and_names_a_claim_that_is_not_roots_alone(void **state)
{
	const struct replay *replay = &replays[ARRAY_SIZE(replays) - 1];

	(void)state;
	if (geteuid() != 0)
		skip();
	tree_make();
	for (size_t i = 0; i < ARRAY_SIZE(tampers); i++) {
		if (!tamper_able(rootfd, &tampers[i]) || tampers[i].writing)
			continue;
		make_state(replay->section, replay->files);
		tamper_with(&tampers[i], rootfd, CLAIM);
		assert_int_not_equal(run_recover(), 0);
		assert_int_equal(changes(NULL), 0);
		assert_named("recover", &tampers[i], CLAIM);
		clear_state();
	}
	tree_drop();
}

/* --- Places that a helper never writes to ----------------------------------------------------------------- */

#define CPUS   "[cpuset]\ncpus = 2\nvcpu = 0 2\n"
#define CARD   "0000:05:00.0"
#define DEVICE "[vfio]\ndevice = " CARD " 1b21:2142 hostdev unmanaged\n"
#define SEAT   "[seat]\nrelease = auto\ndevice = 0000:01:00.0\n"
#define LEFT   "[display left]\nmonitor = DEL:a0c4:JK9X0123\nguest_input = 17\nhost_input = 15\n"
#define AWAKE  "[nosleep]\ninhibit = sleep\nmode = block\n"
#define OUT    "../../../etc/escape"
#define OTHER  "sys/bus/platform/drivers/other/bind"
#define LOADED                                                                                     \
	{ "sys/module/nvidia/refcnt", "0\n" },                                                     \
	{                                                                                          \
		"sys/bus/pci/drivers/nvidia/bind", "\n"                                            \
	}
#define NVIDIA "2 override " CARD " % vfio-pci\n3 driver " CARD " nvidia vfio-pci\n"

/* State that is root's alone and well-formed. What has @word in it is not done */
static const struct escape {
	const char *helper, *section, *word;
	struct file files[FILES_MAX];
	bool applied; /* over a start of this guest's */
} escapes[] = {
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 plain " OUT " % 2\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = plain%20" OUT " 0-3\n" },
	    { "etc/escape/cpuset.cpus", "0-1\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 plain system.slice/escape % 2\n" },
	    { "run/usher/host/cpuset.ini",
	      "[baseline]\nsetting = plain%20system.slice/escape 0-3\n" },
	    { "sys/fs/cgroup/system.slice/escape/cpuset.cpus", "0-1\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 exclusive " OUT " % 2\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = exclusive%20" OUT " %\n" },
	    { "etc/escape/cpuset.cpus.exclusive", "2\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 guest " OUT " % isolated\n" },
	    { "etc/escape/cpuset.cpus.partition", "isolated\n" },
	    { "etc/escape/cpuset.cpus.exclusive", "2\n" },
	    { "etc/escape/vcpu0/cpuset.cpus.partition", "isolated\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 pin " OUT " 0-3 2\n" },
	    { "etc/escape/cpuset.cpus", "2\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 governor policy0/../../../../../../etc/escape % x\n" },
	    { "run/usher/host/cpuset.ini",
	      "[baseline]\nsetting = governor%20policy0/../../../../../../etc/escape y\n" },
	    { "etc/escape/scaling_governor", "x\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 energy policy0/../../../../../../etc/escape % x\n" },
	    { "run/usher/host/cpuset.ini",
	      "[baseline]\nsetting = energy%20policy0/../../../../../../etc/escape y\n" },
	    { "etc/escape/energy_performance_preference", "x\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 latency cpu0/../../../../../etc/escape % 1\n" },
	    { "run/usher/host/cpuset.ini",
	      "[baseline]\nsetting = latency%20cpu0/../../../../../etc/escape 0\n" },
	    { "etc/escape/power/pm_qos_resume_latency_us", "1\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 vmstat ../../etc/escape % 60\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = vmstat%20../../etc/escape 1\n" },
	    { "etc/escape/stat_interval", "60\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 cursor " OUT " % 0\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = cursor%20" OUT " 1\n" },
	    { "etc/escape/cursor_blink", "0\n" } },
	  false },
	{ "cpuset",
	  CPUS "pressure = no\n",
	  "escape",
	  { { HOME "/cpuset.journal", "1 guest " OUT " % isolated\n" },
	    { "etc/escape/cgroup.pressure", "0\n" },
	    { "etc/escape/vcpu0/cgroup.pressure", "0\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "smp_affinity",
	  { { HOME "/cpuset.journal", "1 irq escape % 2\n" },
	    { "run/usher/host/irq.ini",
	      "[irq]\ndefault = 0-15\nheld = 2\nirq = 16 0-15 i801_smbus\n" },
	    { "proc/irq/16/smp_affinity_list", "0-1,3-15\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 mask etc/escape % 2\n2 workqueue etc/escape % 2\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = mask%20etc/escape 0-3\nsetting = "
					   "workqueue%20etc/escape 0-3\n" },
	    { "etc/escape", "3\n" } },
	  false },
	{ "cpuset",
	  CPUS,
	  "escape",
	  { { HOME "/cpuset.journal", "1 slice escape.slice % 2\n" },
	    { "run/usher/host/cpuset.ini", "[baseline]\nsetting = slice%20escape.slice 0-3\n" } },
	  false },
	{ "hugepages",
	  "[hugepages]\nneed = 2048 any 8\n",
	  "escape",
	  { { "run/usher/host/hugepages.ini",
	      "[ledger]\nown = 2048 0/../../../../../etc/escape 504\nheld = 2048 "
	      "0/../../../../../etc/escape " UUID " 8\n" } },
	  false },
	{ "hugepages",
	  "[hugepages]\nthp_kib = 4096\n",
	  "escape",
	  { { "run/usher/host/thp.ini", "[baseline]\nsetting = etc/escape never\n" },
	    { "etc/escape", "always [madvise] never\n" } },
	  false },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/vfio.journal", "1 driver " CARD " ../../../../etc/escape vfio-pci\n" },
	    { "etc/escape/bind", "\n" } },
	  true },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/vfio.journal", "1 power ../../../../etc/escape on %\n2 driver "
				    "../../../../etc/escape e1000e vfio-pci\n" },
	    { "etc/escape/power/control", "auto\n" } },
	  true },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/vfio.journal", "1 modules " CARD " escape %\n" NVIDIA }, LOADED },
	  true },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/vfio.journal", NVIDIA },
	    { "run/usher/host/nvidia.ini", "[baseline]\nsetting = modules escape\n" },
	    LOADED },
	  true },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/vfio.journal", NVIDIA },
	    { "run/usher/host/nvidia.ini",
	      "[baseline]\nsetting = modules nvidia\nsetting = services escape.service\n" },
	    LOADED },
	  true },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/vfio.journal",
	      "1 module " CARD " -r%20escape %\n2 driver " CARD " xhci_hcd vfio-pci\n" } },
	  true },
	{ "vfio",
	  DEVICE,
	  "escape",
	  { { HOME "/render.journal", "1 rule ../../../etc/escape none %\n" },
	    { "etc/escape", "as before\n" } },
	  false },
	{ "seat",
	  SEAT,
	  "escape",
	  { { HOME "/seat.journal", "1 vtcon ../../../etc/escape bound %\n" },
	    { "etc/escape/bind", "0\n" } },
	  false },
	{ "seat",
	  SEAT,
	  "other",
	  { { HOME "/seat.journal", "1 firmware other/efi-framebuffer.0 bound %\n" },
	    { OTHER, "\n" } },
	  false },
	{ "seat",
	  SEAT,
	  "escape",
	  { { HOME "/seat.journal", "1 firmware efi-framebuffer/../../escape.0 bound %\n" },
	    { "sys/bus/platform/drivers/efi-framebuffer/bind", "\n" } },
	  false },
	{ "seat",
	  SEAT,
	  "escape",
	  { { HOME "/seat.journal", "1 unit escape.service active %\n" } },
	  false },
	{ "seat",
	  SEAT,
	  "escape",
	  { { HOME "/seat.journal",
	      "1 remove 0000:01:00.0/../../../../../../etc/escape there %\n" },
	    { "etc/escape/uevent", "\n" } },
	  false },
	{ "seat",
	  SEAT,
	  "escape",
	  { { HOME "/seat.journal", "1 sound 0000:01:00.1/../../../../../../etc/escape there %\n" },
	    { "etc/escape/uevent", "\n" } },
	  false },
	{ "display",
	  LEFT,
	  "escape",
	  { { HOME "/display.journal", "1 switch ../escape:81:display%20left 15 17\n" } },
	  false },
	{ "nosleep",
	  AWAKE,
	  "escape",
	  { { HOME "/nosleep.journal", "1 unit escape.service - -\n" } },
	  false },
};

static void assert_untouched(const struct escape *escape)
{
	for (size_t i = 0; i < FILES_MAX && escape->files[i].path; i++) {
		const struct file *file = &escape->files[i];
		char text[ATTR_MAX];

		if (strncmp(file->path, "run/usher", 9) == 0)
			continue;
		assert_true(attr_read(rootfd, file->path, text, sizeof(text)) >= 0);
		if (strncmp(text, file->text, strlen(text)) != 0)
			fail_msg("usher-%s has written '%s' to %s", escape->helper, text,
				 file->path);
	}
}

static void a_place_that_is_none_of_the_helpers_is_not_written_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
		const struct escape *escape = &escapes[i];
		int status;

		tree_make();
		make_state(escape->section, (struct file[FILES_MAX]){ 0 });
		if (escape->applied && run(escape->helper, "apply") != 0)
			fail_msg("usher-%s apply: %s", escape->helper, said);
		make_state(escape->section, escape->files);
		(void)unlinkat(rootfd, ".fake/trace", 0);
		status = run(escape->helper, "undo");
		if (changes(escape->word) || (status == 0 && *said))
			fail_msg("usher-%s undo, status %d, follows row %zu: %s", escape->helper,
				 status, i, said);
		assert_untouched(escape);
		tree_drop();
	}
}

/* --- Processes that are none of the helper's ------------------------------------------------------------- */

static const struct {
	const char *helper, *section, *path, *format; /* of pid and start time */
} endings[] = {
	{ "nosleep", AWAKE, HOME "/nosleep.journal", "1 process %d - %llu\n" },
	{ "nosleep", AWAKE, HOME "/nosleep.holder", "0 %d %llu 999999 1\n" },
	{ "display", LEFT, HOME "/display.journal", "1 switcher display%%20left %d %llu\n" },
	{ "hugepages", "[hugepages]\nneed = 2048 any 8\n", "run/usher/host/hugepages.ini",
	  "[ledger]\nown = 2048 0 504\nwriting = 2048 0 " UUID " 504 512 %d %llu\n" },
};

static void a_process_that_is_none_of_the_helpers_lives_on(void **state)
{
	_cleanup_close_ int host = root_open("/");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		_cleanup_free_ char *text = NULL;
		struct process process;
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				(void)pause();
		tree_make();
		assert_int_equal(process_identify(host, pid, &process), 0);
/* The rows' own literals */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		assert_true(asprintf(&text, endings[i].format, (int)pid, process.start_time) > 0);
#pragma GCC diagnostic pop
		make_state(endings[i].section,
			   (struct file[FILES_MAX]){ { endings[i].path, text } });
		(void)run(endings[i].helper, "undo");
		if (waitpid(pid, NULL, WNOHANG) != 0)
			fail_msg("usher-%s has ended a process of another's by %s: %s",
				 endings[i].helper, endings[i].path, said);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		tree_drop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_roots_alone_is_given_back),
		cmocka_unit_test(what_is_not_is_refused_and_named),
		cmocka_unit_test(recover_refuses_and_names_a_claim_that_is_not_roots_alone),
		cmocka_unit_test(a_place_that_is_none_of_the_helpers_is_not_written_to),
		cmocka_unit_test(a_process_that_is_none_of_the_helpers_lives_on),
	};

	return cmocka_run_group_tests(tests, group_setup, recorded_teardown);
}
