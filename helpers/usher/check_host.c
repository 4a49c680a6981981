/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_host.c - usher check: the host's rows */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "../../lib/attr.h"
#include "../../lib/daemon.h"
#include "../../lib/hookdir.h"
#include "../../lib/process.h"
#include "../../lib/step.h"
#include "../../lib/units.h"
#include "check.h"

#define HOOK HOOKDIR_HOOK
/* A process's start is known by the boot's time and ticks since: each rounded to seconds */
#define CLOCK_SLACK 2

/* --- the IOMMU -------------------------------------------------------------------------------------- */

/* "intel_iommu=sm_on,off" */
static bool says_off(const char *arg)
{
	static const char *const names[] = { "intel_iommu=", "amd_iommu=", "iommu=" };
	size_t i = 0, len;

	while (i < ARRAY_SIZE(names) && strncmp(arg, names[i], strlen(names[i])) != 0)
		i++;
	if (i == ARRAY_SIZE(names))
		return false;
	for (arg += strlen(names[i]); *arg; arg += len + (arg[len] == ',')) {
		len = strcspn(arg, ",");
		if (len == strlen("off") && strncmp(arg, "off", len) == 0)
			return true;
	}
	return false;
}

/*
 * switched_off() - a word of the kernel's command line that switches it off
 *
 * ABI: Documentation/admin-guide/kernel-parameters.txt: each of them is a list
 *
 * Return: it, in @line; NULL when there is none
 */
static const char *switched_off(char *line)
{
	char *save = NULL, *arg = strtok_r(line, " ", &save);

	while (arg && !says_off(arg))
		arg = strtok_r(NULL, " ", &save);
	return arg;
}

/*
 * An AMD one is used without being asked for
 * ABI: Documentation/admin-guide/kernel-parameters.txt, intel_iommu, amd_iommu
 */
static const char *unused_cure(bool intel)
{
	if (intel)
		return "add intel_iommu=on to the kernel's command line (/etc/default/grub, then "
		       "update-grub)";
	return "see journalctl -k -b for AMD-Vi, and boot a kernel that is built with "
	       "CONFIG_AMD_IOMMU";
}

static void check_iommu(struct check *check)
{
	enum level level = check->guest.name && !check->has_pci ? LEVEL_WARNING : LEVEL_ERROR;
	_cleanup_strlist_ struct strlist groups = { 0 };
	unsigned int missing = check->missing.nr;
	const char *off;
	char line[ATTR_MAX];
	bool intel, amd;

	if (!check_list(check, "sys/kernel/iommu_groups", &groups) || groups.nr > 0 ||
	    !check_read(check, "proc/cmdline", line, sizeof(line)))
		return;
	off = switched_off(line);
	intel = check_has(check, "sys/firmware/acpi/tables/DMAR");
	amd = check_has(check, "sys/firmware/acpi/tables/IVRS");
	if (check->missing.nr > missing)
		return;
	if (off)
		found(check, level,
		      "the kernel was told %s, so no PCI device can be passed: take it off the "
		      "kernel's command line (/etc/default/grub, then update-grub)",
		      off);
	else if (intel || amd)
		found(check, level, "the firmware has an IOMMU, but the kernel does not use it: %s",
		      unused_cure(intel));
	else
		found(check, level,
		      "the firmware offers no IOMMU, so no PCI device can be passed: switch on "
		      "VT-d (Intel) or AMD-Vi/IOMMU (AMD) in the firmware's set-up");
}

/* --- the hook --------------------------------------------------------------------------------------- */

static void check_file(struct check *check, const char *path)
{
	if (attr_exists(check->rootfd, path) <= 0)
		found(check, LEVEL_ERROR,
		      "/%s leads to nothing: guests start without usher: reinstall usher", path);
	else if (!hookdir_can_run(check->rootfd, path))
		found(check, LEVEL_ERROR,
		      "/%s cannot be executed: guests start without usher: chmod 755 it, then "
		      "systemctl reload %s",
		      path, daemon_name(check->rootfd));
	else if (hookdir_is_other(check->rootfd, path, check->request->dir))
		found(check, LEVEL_WARNING,
		      "/%s is a copy of usher-hook, of another build than the helpers in %s: "
		      "ln -sf %s/usher-hook /%s",
		      path, check->request->dir, check->request->dir, path);
}

/* @places: the first @nr_ushers are usher, the others hooks of the admin's own that call it */
static void check_places(struct check *check, const struct strlist *places, size_t nr_ushers,
			 bool foreign)
{
	if (places->nr > 1)
		found(check, LEVEL_ERROR,
		      "/%s and /%s both are usher%s, so every step runs twice: remove one of them, "
		      "then systemctl reload %s",
		      places->names[0], places->names[1], nr_ushers > 1 ? "" : ", or call it",
		      daemon_name(check->rootfd));
	else if (places->nr > nr_ushers)
		found(check, LEVEL_NOTE,
		      "/%s is a hook of your own that calls usher-hook: see that it hands on all "
		      "its arguments, its standard input and the exit status",
		      places->names[0]);
	else if (places->nr == 0)
		found(check, LEVEL_ERROR,
		      foreign ? "/" HOOK " is another hook, and usher is not beside it: guests "
				"start without usher: run install.sh install"
			      : "there is no /" HOOK ": guests start without usher: run "
				"install.sh install");
	else if (foreign)
		found(check, LEVEL_WARNING,
		      "/" HOOK " is another hook, which libvirt runs first: see that it does not "
		      "do what usher does (drivers, huge pages, CPUs)");
}

/*
 * check_others() - what libvirt runs beside usher
 *
 * ABI: libvirt's docs/hooks.rst: since 6.5 every executable file of that folder, in the order of
 * their names; it waits for each
 */
static void check_others(struct check *check, const struct strlist *places)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (!check_list(check, HOOKDIR_SCRIPTS, &names))
		return;
	for (size_t i = 0; i < names.nr; i++) {
		char path[PATH_MAX];

		/* Folders are of older scripts: see the row of that name */
		if (path_format(path, sizeof(path), HOOKDIR_SCRIPTS "/%s", names.names[i]) == 0 &&
		    hookdir_can_run(check->rootfd, path) && !strlist_has(places, path))
			found(check, LEVEL_NOTE,
			      "/%s is another hook, which libvirt runs besides usher: see that it "
			      "does not do what usher does (drivers, huge pages, CPUs), and that "
			      "it "
			      "ends: libvirt waits for it without limit",
			      path);
	}
}

static void check_hook(struct check *check)
{
	int is = hookdir_is_usher(check->rootfd, HOOK);
	_cleanup_strlist_ struct strlist places = { 0 };
	int r = hookdir_ushers(check->rootfd, &places);
	size_t nr_ushers = places.nr;
	bool foreign = is == 0;

	if (r == 0)
		r = hookdir_callers(check->rootfd, &places);
	if (r == 0 && is < 0 && is != -ENOENT)
		r = is;
	if (check_lacks(check, r, "libvirt's hooks"))
		return;
	for (size_t i = 0; i < nr_ushers; i++)
		check_file(check, places.names[i]);
	check_places(check, &places, nr_ushers, foreign);
	check_others(check, &places);
}

/* --- has the daemon seen it -------------------------------------------------------------------------- */

/* @ret: seconds since the epoch. Return: the daemon's name, NULL when none runs */
static const char *daemon_start(int rootfd, long long *ret)
{
	_cleanup_free_ char *stat = NULL;
	const char *btime, *name = NULL;
	struct process process;
	size_t len;

	if (attr_read_all(rootfd, "proc/stat", 1 << 20, &stat, &len) < 0)
		return NULL;
	btime = strstr(stat, "\nbtime ");
	if (btime && daemon_find(rootfd, &name, &process) > 0)
		*ret = strtoll(btime + 7, NULL, 10) +
		       (long long)process.start_time / sysconf(_SC_CLK_TCK);
	return name;
}

static void journal_free(sd_journal **journal)
{
	sd_journal_close(*journal);
}

/* Has systemd reloaded the unit after this time. No journal: no */
static bool reloaded_since(const char *name, long long seconds)
{
	_cleanup_(journal_free) sd_journal *journal = NULL;
	char match[64];
	uint64_t usec = 0;

	(void)snprintf(match, sizeof(match), "UNIT=%s.service", name);
	if (sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0 ||
	    sd_journal_add_match(journal, match, 0) < 0 ||
	    sd_journal_add_match(journal, "_PID=1", 0) < 0 ||
	    sd_journal_add_match(journal, "JOB_TYPE=reload", 0) < 0 ||
	    sd_journal_add_match(journal, "JOB_RESULT=done", 0) < 0 ||
	    sd_journal_seek_tail(journal) < 0 || sd_journal_previous(journal) <= 0 ||
	    sd_journal_get_realtime_usec(journal, &usec) < 0)
		return false;
	return (long long)(usec / 1000000) >= seconds;
}

/*
 * first_seen() - when libvirt could have found this hook at the earliest
 *
 * It looks for something that can be executed, and reads it anew at each call: an edit is no news to
 * it. So that is the birth, of a link its own; or the last change when that was not one of the text:
 * a chmod +x, or the way here from elsewhere. (A file made executable and then edited is taken for one
 * that was so from its birth. One that an editor has replaced is as new as it looks.)
 *
 * ABI: libvirt 9.0.0 to 11.3.0, virhook.c virHookCheck(), virFileIsExecutable()
 *
 * Return: seconds since the epoch, 0 when it cannot be looked at
 */
static long long first_seen(const struct check *check, const char *path)
{
	_cleanup_close_ int dirfd = -1;
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct statx st;

	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	dirfd = attr_open(check->rootfd, dir, O_PATH | O_DIRECTORY);
	if (dirfd < 0 || statx(dirfd, slash + 1, AT_SYMLINK_NOFOLLOW,
			       STATX_BTIME | STATX_CTIME | STATX_MTIME, &st) < 0)
		return 0;
	if (!(st.stx_mask & STATX_BTIME) || st.stx_ctime.tv_sec > st.stx_mtime.tv_sec + CLOCK_SLACK)
		return st.stx_ctime.tv_sec;
	return st.stx_btime.tv_sec;
}

/* Whether there is a hook at all is looked up at the daemon's start and reload */
static void check_reload(struct check *check)
{
	_cleanup_strlist_ struct strlist places = { 0 };
	const char *path, *name;
	long long start = 0, hook;

	int r = hookdir_ushers(check->rootfd, &places);

	if (r == 0)
		r = hookdir_callers(check->rootfd, &places);
	if (r == -EACCES) {
		found(check, LEVEL_NOTE, "not looked at: see hook");
		return;
	}
	if (check_lacks(check, r, "libvirt's hooks"))
		return;
	if (places.nr == 0) {
		found(check, LEVEL_NOTE, "not looked at: there is no hook of usher's: see hook");
		return;
	}
	name = daemon_start(check->rootfd, &start);
	if (!name) {
		found(check, LEVEL_NOTE,
		      "no libvirt daemon runs: it looks for the hook when it starts");
		return;
	}
	path = places.names[0];
	hook = first_seen(check, path);
	if (hook <= start + CLOCK_SLACK)
		return;
	if (strcmp(check->request->root, "/") == 0 && reloaded_since(name, hook))
		return;
	found(check, LEVEL_WARNING,
	      "/%s is newer than the start of %s, and no reload since is on record: guests may "
	      "start without usher: systemctl reload %s.service",
	      path, name, name);
}

/* --- what may keep it from working ------------------------------------------------------------------- */

/* Return: 1, 0 also without AppArmor, else -errno */
static int apparmor_enforces(int rootfd)
{
	static const char *const profiles[] = { "libvirtd (enforce)", "virtqemud (enforce)" };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = attr_read_all(rootfd, "sys/kernel/security/apparmor/profiles", 1 << 20, &text,
			      &len);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		if (strstr(text, profiles[i]))
			return 1;
	return 0;
}

static void check_apparmor(struct check *check)
{
	static const char *const allowed[] = { "/usr/sbin", "/usr/bin" };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (strcmp(check->request->dir, allowed[i]) == 0)
			return;
	r = apparmor_enforces(check->rootfd);
	if (r == 0)
		return;
	if (r < 0) {
		found(check, LEVEL_NOTE, "cannot read AppArmor's profiles: %s: run it as root",
		      strerror(-r));
		return;
	}
	found(check, LEVEL_ERROR,
	      "AppArmor enforces libvirt's profile, which lets it run nothing from %s: no guest "
	      "will "
	      "start: install with prefix=/usr",
	      check->request->dir);
}

static void check_lockdown(struct check *check)
{
	char text[128];

	if (!check_read(check, "sys/kernel/security/lockdown", text, sizeof(text)) ||
	    !strchr(text, '[') || strstr(text, "[none]"))
		return;
	found(check, LEVEL_WARNING,
	      "the kernel is locked down (%s), as with Secure Boot: it loads signed modules only: "
	      "sign "
	      "the modules you built yourself (mokutil), or switch Secure Boot off",
	      text);
}

/* Known by a process of that name, which the kernel cuts to 15 bytes, or by a file; harmless where
 * there is anything in the folder @unless */
static const struct {
	const char *comm, *file, *unless, *name, *what;
} rivals[] = {
	/* usher-cpuset tells it which CPUs to leave alone, by its socket in there */
	{ "irqbalance", NULL, "run/irqbalance", "irqbalance",
	  "moves interrupts onto the guests' CPUs, and has no socket in /run/irqbalance to be told "
	  "otherwise: stop it, or name those CPUs in IRQBALANCE_BANNED_CPULIST of "
	  "/etc/default/irqbalance" },
	{ "tuned", NULL, NULL, "tuned",
	  "sets governors and CPU masks of its own: choose a profile without isolated_cores, or "
	  "stop it while guests run" },
	{ "numad", NULL, NULL, "numad", "moves guests' memory and threads: stop it" },
	{ "auto-cpufreq", NULL, NULL, "auto-cpufreq", "sets governors while guests run: stop it" },
	{ "power-profiles-", NULL, NULL, "power-profiles-daemon",
	  "slows the CPUs down unless told otherwise: powerprofilesctl set performance while "
	  "guests run" },
	/* It runs at boot and when the power's source changes; a stop takes the file away */
	{ NULL, "run/tlp/last_pwr", NULL, "TLP",
	  "sets governors, and the power of the guest's devices while the host has them: leave "
	  "CPU_SCALING_GOVERNOR_ON_AC empty and name those devices in RUNTIME_PM_DENYLIST of "
	  "/etc/tlp.conf" },
	{ "ananicy-cpp", NULL, NULL, "ananicy-cpp",
	  "moves processes between cgroups: leave QEMU out of its rules" },
	{ "thermald", NULL, NULL, "thermald",
	  "caps the CPUs' clock: a guest may stutter; watch it" },
};

/* In doubt it has */
static bool has_entries(struct check *check, const char *dir)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	return dir && (!check_list(check, dir, &names) || names.nr > 0);
}

static void check_rival(struct check *check, const char *comm)
{
	for (size_t i = 0; i < ARRAY_SIZE(rivals); i++)
		if (rivals[i].comm && strcmp(comm, rivals[i].comm) == 0 &&
		    !has_entries(check, rivals[i].unless))
			found(check, LEVEL_WARNING, "%s runs and %s", rivals[i].name,
			      rivals[i].what);
}

static void check_rivals(struct check *check)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rivals); i++)
		if (rivals[i].file && check_has(check, rivals[i].file))
			found(check, LEVEL_WARNING, "%s is on and %s", rivals[i].name,
			      rivals[i].what);
	if (!check_list(check, "proc", &names))
		return;
	for (size_t i = 0; i < names.nr; i++) {
		unsigned int pid;
		char comm[64];
		int r;

		if (parse_uint(names.names[i], 10, INT_MAX, &pid) < 0)
			continue;
		r = process_name(check->rootfd, (pid_t)pid, comm, sizeof(comm));
		if (r == 0)
			check_rival(check, comm);
		else if (r != -ESRCH)
			(void)check_lacks(check, r, "the names of processes");
	}
}

static void check_programs(struct check *check)
{
	for (size_t i = 0; i < nr_steps; i++) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s/usher-%s", check->request->dir,
			       steps[i].name);
		if (access(path, X_OK) < 0)
			found(check, LEVEL_ERROR, "%s: %s: reinstall usher", path, strerror(errno));
	}
}

static void check_partitions(struct check *check)
{
	char release[128] = "";

	unsigned int missing = check->missing.nr;
	bool has_cgroups;

	if (check_has(check, "sys/fs/cgroup/cpuset.cpus.isolated"))
		return;
	(void)check_read(check, "proc/sys/kernel/osrelease", release, sizeof(release));
	has_cgroups = check_has(check, "sys/fs/cgroup/cgroup.controllers");
	if (check->missing.nr > missing)
		return;
	if (!has_cgroups)
		found(check, LEVEL_WARNING,
		      "cgroup v2 is not mounted at /sys/fs/cgroup: no CPU can be kept for a guest "
		      "alone: take systemd.unified_cgroup_hierarchy=0 off the kernel's command "
		      "line");
	else
		found(check, LEVEL_WARNING,
		      "Linux %s has no remote cpuset partitions (they came with 6.7): pinned CPUs "
		      "are kept free by AllowedCPUs only: use a newer kernel",
		      release);
}

/*
 * A kernel that cannot do it has no such file; one that was not told to says "(null)"
 *
 * Return: false: check_read()
 */
static bool without_tick(struct check *check, struct cpulist *ret)
{
	char text[ATTR_MAX];

	if (!check_read(check, "sys/devices/system/cpu/nohz_full", text, sizeof(text)))
		return false;
	if (cpulist_parse(text, ret) < 0)
		*ret = (struct cpulist){ 0 };
	return true;
}

/* With pin = auto its CPUs are not known before it starts */
static void check_tick_of_none(struct check *check, const struct cpulist *without)
{
	if (!inidoc_get(&check->claim.doc, "cpuset", "pin"))
		found(check, LEVEL_NOTE, "not looked at: no CPU is the guest's alone: see pins");
	else if (cpulist_empty(without))
		found(check, LEVEL_NOTE,
		      "the kernel's tick interrupts the CPUs that are chosen for it, and cannot be "
		      "taken away at run time: boot with nohz_full=CPUS if it disturbs (usher "
		      "noise "
		      "tells)");
}

/* What no helper can take away while the host runs; asked for only where a guest has CPUs alone */
void check_tick(struct check *check)
{
	struct cpulist cpus = { 0 }, without;
	char list[256];

	if (!check->claim.guest)
		return;
	claim_cpus(&check->claim, &cpus);
	if (!without_tick(check, &without))
		return;
	if (cpulist_empty(&cpus)) {
		check_tick_of_none(check, &without);
		return;
	}
	if (cpulist_contains(&without, &cpus) || cpulist_format(&cpus, list, sizeof(list)) < 0)
		return;
	found(check, LEVEL_NOTE,
	      "the kernel's tick interrupts CPUs %s, and cannot be taken away at run time: boot "
	      "with "
	      "nohz_full=%s if it disturbs (usher noise tells)",
	      list, list);
}

static void check_left(struct check *check)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int unreadable = host_claims(check->rootfd, &claims);

	if (unreadable == -ENOMEM)
		(void)check_lacks(check, unreadable, "/run/usher");
	else if (unreadable < 0 && geteuid() == 0)
		found(check, LEVEL_ERROR,
		      "cannot read /run/usher: %s: no guest will start: look who made it, then "
		      "remove it, or chown root and chmod 700 it",
		      strerror(-unreadable));
	else if (unreadable < 0)
		found(check, LEVEL_NOTE, "cannot read /run/usher: %s: run it as root",
		      strerror(-unreadable));
	if (unreadable > 0)
		found(check, LEVEL_WARNING,
		      "%d claims in /run/usher cannot be read: what they hold stays taken: see "
		      "journalctl -t usher",
		      unreadable);
	for (size_t i = 0; i < claims.nr; i++) {
		int r = registry_alive(check->rootfd, &claims.claims[i]);

		if (!check_lacks(check, r, "whether all guests are alive") && r == 0)
			found(check, LEVEL_WARNING,
			      "guest %s is gone, but what it held is not given back: usher recover",
			      claims.claims[i].guest);
	}
}

const struct check_row check_host_rows[] = {
	{ "iommu", "the IOMMU is on", false, check_iommu },
	{ "hook", "libvirt's hook is usher", false, check_hook },
	{ "reload", "the daemon knows of the hook", false, check_reload },
	{ "programs", "all of usher's programs are there", false, check_programs },
	{ "apparmor", "AppArmor lets libvirt run them", false, check_apparmor },
	{ "selinux", "SELinux is not in the way", false, check_selinux },
	{ "lockdown", "the kernel is not locked down", false, check_lockdown },
	{ "rivals", "no other program tunes CPUs or interrupts", false, check_rivals },
	{ "partitions", "the kernel can keep CPUs for a guest alone", false, check_partitions },
	{ "left", "nothing is left of guests that are gone", false, check_left },
};
const size_t check_nr_host_rows = ARRAY_SIZE(check_host_rows);
