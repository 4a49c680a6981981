/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/process.c - who is alive: pid + start time, command lines, open files */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "aside.h"
#include "attr.h"
#include "deaf.h"
#include "units.h"

/* Longest command line that is searched; QEMU's are some 10 KiB */
#define CMDLINE_MAX ((size_t)1024 * 1024)

/* Who has not shown its command line by then does not, as long as it hangs */
#define CMDLINE_MS 500

/* So many processes are named in one message */
#define NAMED_MAX 3

/* Fields of proc/PID/stat behind the name's ')': state is the first, start time the twentieth */
#define STAT_START_TIME 20

/* The name may hold blanks and ')': the last ')' ends it */
static int stat_parse(char *stat, char *ret_state, unsigned long long *ret_start)
{
	char *end = strrchr(stat, ')');
	char *save = NULL, *word;
	int field = 0;

	if (!end)
		return -EBADMSG;
	for (word = strtok_r(end + 1, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		field++;
		if (field == 1)
			*ret_state = word[0];
		if (field == STAT_START_TIME)
			return parse_ull(word, 10, ULLONG_MAX, ret_start) < 0 ? -EBADMSG : 0;
	}
	return -EBADMSG;
}

int process_identify(int rootfd, pid_t pid, struct process *ret)
{
	char path[64], stat[ATTR_MAX], state = 0;
	unsigned long long start = 0;
	int r;

	r = path_format(path, sizeof(path), "proc/%d/stat", (int)pid);
	if (r < 0)
		return r;
	r = attr_read(rootfd, path, stat, sizeof(stat));
	if (r == -ENOENT || r == -ESRCH)
		return -ESRCH;
	if (r < 0)
		return r;
	r = stat_parse(stat, &state, &start);
	if (r < 0)
		return r;
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	*ret = (struct process){ .pid = pid, .start_time = start };
	return 0;
}

int process_alive(int rootfd, const struct process *process)
{
	struct process now;
	int r;

	if (process->pid <= 0)
		return 0;
	r = process_identify(rootfd, process->pid, &now);
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return r;
	return now.start_time == process->start_time;
}

int process_name(int rootfd, pid_t pid, char *buf, size_t size)
{
	char path[64];
	int r;

	r = path_format(path, sizeof(path), "proc/%d/comm", (int)pid);
	if (r < 0)
		return r;
	r = attr_read(rootfd, path, buf, size);
	if (r == -ENOENT || r == -ESRCH)
		return -ESRCH;
	return r < 0 ? r : 0;
}

void process_describe(int rootfd, pid_t pid, char *buf, size_t size)
{
	char comm[PROCESS_NAME_MAX + 1];

	if (process_name(rootfd, pid, comm, sizeof(comm)) < 0)
		(void)snprintf(buf, size, "process %d", (int)pid);
	else
		(void)snprintf(buf, size, "%s (pid %d)", comm, (int)pid);
}

void process_names_add(struct process_names *names, int rootfd, pid_t pid)
{
	size_t len = strlen(names->text);
	char who[64];

	if (names->nr++ >= NAMED_MAX)
		return;
	process_describe(rootfd, pid, who, sizeof(who));
	(void)snprintf(names->text + len, sizeof(names->text) - len, "%s%s", len ? ", " : "", who);
}

const char *process_names_end(struct process_names *names)
{
	size_t len = strlen(names->text);

	if (names->nr > NAMED_MAX)
		(void)snprintf(names->text + len, sizeof(names->text) - len, " and %zu more",
			       names->nr - NAMED_MAX);
	return names->text;
}

/*
 * The lowest pid for which @match says 1. A process that ends while it is looked at is no error.
 */
static pid_t lowest_pid(int rootfd, int (*match)(int rootfd, pid_t pid, void *what), void *what)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	pid_t found = 0;
	int r;

	r = attr_list(rootfd, "proc", &names);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < names.nr; i++) {
		unsigned int pid;

		if (parse_uint(names.names[i], 10, INT_MAX, &pid) < 0)
			continue;
		if (found && (pid_t)pid > found)
			continue;
		r = match(rootfd, (pid_t)pid, what);
		if (r < 0 && r != -ENOENT && r != -ESRCH)
			return r;
		if (r > 0)
			found = (pid_t)pid;
	}
	return found;
}

/* --- Command lines ---------------------------------------------------------------------------- */

/*
 * The kernel copies a command line from the process's own memory, under its mmap lock. One that
 * hangs with that lock held (in a driver, on a dead disk) holds up who reads: for ever. So it is a
 * child that reads, and one that is late is left behind. Who has not answered one question is not
 * asked the next one for a while: it costs its time once, however many guests are looked for.
 *
 * Source: get_mm_cmdline(), fs/proc/base.c; __access_remote_vm(), mm/memory.c, takes the lock by
 * mmap_read_lock_killable(); Linux 6.1 to 6.12. comm and cgroup are read without it.
 */

static struct deaf deaf;

/* The more there are, the less each is waited for: all together 1.4 s */
static int patience_ms(void)
{
	return CMDLINE_MS / (int)(1 + deaf.nr);
}

/* One that is too long to be a QEMU's counts as empty */
static int cmdline_read(int rootfd, pid_t pid, char **ret, size_t *ret_len)
{
	char path[64];
	int r = path_format(path, sizeof(path), "proc/%d/cmdline", (int)pid);

	if (r == 0)
		r = attr_read_all(rootfd, path, CMDLINE_MAX, ret, ret_len);
	return r == -E2BIG ? 0 : r;
}

struct arg_search {
	struct aside aside;
	pid_t pid;
	const char *arg;
};

static int has_arg(int rootfd, void *shared)
{
	const struct arg_search *search = shared;
	_cleanup_free_ char *cmdline = NULL;
	size_t len = 0;
	int r = cmdline_read(rootfd, search->pid, &cmdline, &len);

	if (r < 0)
		return r;
	for (const char *word = cmdline; word < cmdline + len; word += strlen(word) + 1)
		if (strcmp(word, search->arg) == 0)
			return 1;
	return 0;
}

int process_has_arg(int rootfd, pid_t pid, const char *arg)
{
	struct arg_search *search;
	int r;

	deaf_forget(rootfd, &deaf);
	if (deaf_has(&deaf, pid))
		return -ETIMEDOUT;
	search = aside_alloc(sizeof(*search));
	if (!search)
		return -ENOMEM;
	search->pid = pid;
	search->arg = arg;
	r = aside_run(rootfd, has_arg, search, patience_ms());
	if (r == -ETIMEDOUT)
		deaf_add(rootfd, &deaf, pid);
	aside_free(search, sizeof(*search));
	return r;
}

/* "0::/user.slice/user-1000.slice/session-2.scope", or lines like "1:name=systemd:/user.slice/..." */
static int cgroup_read(int rootfd, pid_t pid, char **ret)
{
	char path[64];
	size_t len;
	int r = path_format(path, sizeof(path), "proc/%d/cgroup", (int)pid);

	return r < 0 ? r : attr_read_all(rootfd, path, CMDLINE_MAX, ret, &len);
}

static int cgroup_has(int rootfd, pid_t pid, const char *part)
{
	_cleanup_free_ char *cgroup = NULL;
	int r = cgroup_read(rootfd, pid, &cgroup);

	if (r < 0 || !cgroup)
		return r == -ENOENT ? 0 : r;
	return strstr(cgroup, part) != NULL;
}

bool process_in_unit(int rootfd, pid_t pid, const char *unit)
{
	_cleanup_free_ char *cgroup = NULL;
	char part[NAME_MAX + 2];
	const char *at;

	if (path_format(part, sizeof(part), "/%s", unit) < 0 ||
	    cgroup_read(rootfd, pid, &cgroup) < 0 || !cgroup)
		return false;
	at = strstr(cgroup, part);
	return at && strchr("/\n", at[strlen(part)]);
}

struct qemu_search {
	struct aside aside;
	const char *uuid;
	pid_t at; /* the process that is being looked at */
};

static int is_qemu(int rootfd, pid_t pid, const char *uuid)
{
	_cleanup_free_ char *cmdline = NULL;
	bool option = false;
	size_t len = 0;
	int r = cmdline_read(rootfd, pid, &cmdline, &len);

	if (r < 0)
		return r;
	for (const char *word = cmdline; word < cmdline + len; word += strlen(word) + 1) {
		if (option && strcmp(word, uuid) == 0) {
			r = cgroup_has(rootfd, pid, ":/user.slice/");
			return r < 0 ? r : !r;
		}
		option = strcmp(word, "-uuid") == 0;
	}
	return 0;
}

static int look_at(int rootfd, pid_t pid, void *what)
{
	struct qemu_search *search = what;

	if (deaf_has(&deaf, pid))
		return 0;
	search->at = pid;
	aside_step(search);
	return is_qemu(rootfd, pid, search->uuid);
}

static int look_for_qemu(int rootfd, void *shared)
{
	return lowest_pid(rootfd, look_at, shared);
}

bool process_named_qemu(int rootfd, pid_t pid)
{
	char comm[PROCESS_NAME_MAX + 1];

	return process_name(rootfd, pid, comm, sizeof(comm)) == 0 &&
	       (strncmp(comm, "qemu", 4) == 0 || strcmp(comm, "kvm") == 0);
}

/* By what can be read of a process that hangs: is it perhaps a guest of libvirt's. In doubt it is */
static bool may_be_guest(int rootfd, pid_t pid)
{
	/* "machine-qemu\x2d1\x2dwin11.scope", "machine/qemu-1-win11.libvirt-qemu" */
	int r = cgroup_has(rootfd, pid, "qemu");

	return process_named_qemu(rootfd, pid) || (r != 0 && r != -ESRCH);
}

/* Without those that have not answered. Return: 0, -ETIMEDOUT one of them may be it */
static int none_is_deaf(int rootfd)
{
	for (size_t i = 0; i < deaf.nr; i++)
		if (may_be_guest(rootfd, deaf.list[i].process.pid))
			return -ETIMEDOUT;
	return 0;
}

pid_t process_find_qemu(int rootfd, const char *uuid)
{
	struct qemu_search *search = aside_alloc(sizeof(*search));
	int r = -ETIMEDOUT;

	if (!search)
		return -ENOMEM;
	search->uuid = uuid;
	deaf_forget(rootfd, &deaf);
	while (r == -ETIMEDOUT && !deaf_full(&deaf)) {
		search->at = 0;
		r = aside_run(rootfd, look_for_qemu, search, patience_ms());
		if (r == -ETIMEDOUT)
			deaf_add(rootfd, &deaf, search->at);
	}
	if (r == 0)
		r = none_is_deaf(rootfd);
	aside_free(search, sizeof(*search));
	return r;
}

static int is_named(int rootfd, pid_t pid, void *what)
{
	const char *const *name = what;
	char comm[PROCESS_NAME_MAX + 1];
	int r = process_name(rootfd, pid, comm, sizeof(comm));

	return r < 0 ? r : strcmp(comm, *name) == 0;
}

pid_t process_find_name(int rootfd, const char *name)
{
	return lowest_pid(rootfd, is_named, &name);
}

/* --- Open files ------------------------------------------------------------------------------- */

/* Which device a path names */
struct device {
	mode_t type; /* S_IFCHR, S_IFBLK; 0 for one that names none: the path itself counts */
	dev_t number;
};

struct open_search {
	const char *const *paths;
	const struct device *devices; /* of each path */
	size_t nr;
	bool for_writing;
	pid_t after, self;
	int procfd;
	bool counted;	/* the size of PID/fd is the number of its entries */
	bool by_number; /* one of the paths names a device */
};

/* proc shows how a file was opened in the mode of its link */
static bool fd_writes(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IWUSR);
}

/*
 * device_of() - what device an open file is, 0 for none or when it does not matter
 *
 * The path that proc shows is the one by which it was opened: another one in a chroot or container,
 * or before a rename. The number is the same everywhere. Only where the path has a /dev/ in it do
 * we ask: stat(2) on a file of a network that is gone would not return, so that is told to make do
 * with what the kernel knows.
 *
 * Nothing is opened by it.
 * Source: proc_pid_get_link(), fs/proc/base.c; AT_STATX_DONT_SYNC in nfs_getattr(),
 * fuse_update_get_attr(); Linux 6.12
 */
static struct device device_of(int dirfd, const char *name, const char *target)
{
	struct statx stx;

	/* Not even what a network that is gone answers is a device */
	if (!strstr(target, "/dev/") ||
	    statx(dirfd, name, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0 ||
	    !(S_ISCHR(stx.stx_mode) || S_ISBLK(stx.stx_mode)))
		return (struct device){ 0 };
	return (struct device){ stx.stx_mode & S_IFMT,
				makedev(stx.stx_rdev_major, stx.stx_rdev_minor) };
}

static bool is_sought(const struct open_search *search, const char *target,
		      const struct device *device)
{
	for (size_t i = 0; i < search->nr; i++) {
		const struct device *wanted = &search->devices[i];

		if (wanted->type ? wanted->type == device->type && wanted->number == device->number
				 : strcmp(target, search->paths[i]) == 0)
			return true;
	}
	return false;
}

/* Return: 1, 0 also when it has been closed meanwhile, or is not ours to see, else -errno */
static int fd_matches(int dirfd, const char *name, const struct open_search *search)
{
	struct device device = { 0 };
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < 0)
		return errno == ENOENT || errno == EACCES || errno == EINVAL ? 0 : -errno;
	target[n] = '\0';
	if (search->by_number)
		device = device_of(dirfd, name, target);
	return is_sought(search, target, &device) &&
	       (!search->for_writing || fd_writes(dirfd, name));
}

/* Return: as fd_matches() */
static int entries_match(int dirfd, const char *entries, size_t len,
			 const struct open_search *search)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		const struct dirent64 *entry = (const void *)(entries + at);

		if (entry->d_name[0] != '.')
			r = fd_matches(dirfd, entry->d_name, search);
		at += entry->d_reclen;
	}
	return r;
}

/*
 * Threads of the kernel, most of all processes of a quiet host, have nothing open.
 * ABI: Documentation/filesystems/proc.rst, 3.8: the size of /proc/PID/fd, since Linux 6.2; 0 before
 */
static bool holds_nothing(const struct open_search *search, const char *path)
{
	struct stat st;

	return search->counted && fstatat(search->procfd, path, &st, 0) == 0 && st.st_size == 0;
}

/*
 * This is most of what a handover does beside its writes: 145 processes of which none matters. So
 * the directory is read without readdir(3), which asks twice as much of the kernel for each.
 */
static int holds_open(int rootfd, pid_t pid, void *what)
{
	const struct open_search *search = what;
	_Alignas(struct dirent64) char entries[8192];
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;
	int r;

	(void)rootfd;
	if (pid == search->self || pid <= search->after)
		return 0;
	r = path_format(path, sizeof(path), "%d/fd", (int)pid);
	if (r < 0 || holds_nothing(search, path))
		return r;
	fd = openat(search->procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = getdents64(fd, entries, sizeof(entries))) > 0) {
		r = entries_match(fd, entries, (size_t)n, search);
		if (r != 0)
			return r;
	}
	return n < 0 ? -errno : 0;
}

/* "226:1" */
static bool number_parse(const char *text, dev_t *ret)
{
	const char *colon = strchr(text, ':');
	unsigned int major, minor;
	char copy[16];

	if (!colon || path_format(copy, sizeof(copy), "%.*s", (int)(colon - text), text) < 0 ||
	    parse_uint(copy, 10, UINT_MAX, &major) < 0 ||
	    parse_uint(colon + 1, 10, UINT_MAX, &minor) < 0)
		return false;
	*ret = makedev(major, minor);
	return true;
}

/* "/dev/char/226:1", as udev names it too */
static bool numbered_parse(const char *path, struct device *ret)
{
	static const struct {
		const char *dir;
		mode_t type;
	} dirs[] = { { "/dev/char/", S_IFCHR }, { "/dev/block/", S_IFBLK } };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		size_t len = strlen(dirs[i].dir);

		if (strncmp(path, dirs[i].dir, len) != 0)
			continue;
		ret->type = dirs[i].type;
		return number_parse(path + len, &ret->number);
	}
	return false;
}

/* Return: 0, also when the path names none, else -errno */
static int device_named(int rootfd, const char *path, struct device *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (numbered_parse(path, ret))
		return 0;
	*ret = (struct device){ 0 };
	fd = attr_open(rootfd, path, O_PATH);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		*ret = (struct device){ st.st_mode & S_IFMT, st.st_rdev };
	return 0;
}

/* In a recorded tree, a link of PID/fd leads to this machine's devices: there the paths count */
static bool is_procfs(int procfd)
{
	struct statfs fs;

	return fstatfs(procfd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static pid_t find_open(int rootfd, struct open_search *search)
{
	_cleanup_close_ int procfd = attr_open(rootfd, "proc", O_PATH | O_DIRECTORY);
	_cleanup_free_ struct device *devices = calloc(search->nr + 1, sizeof(*devices));
	size_t nr_numbers = 0;
	char self[64];
	struct stat st;

	if (procfd < 0)
		return procfd == -ENOENT ? 0 : procfd;
	if (!devices)
		return -ENOMEM;
	if (is_procfs(procfd))
		nr_numbers = search->nr;
	for (size_t i = 0; i < nr_numbers; i++) {
		int r = device_named(rootfd, search->paths[i], &devices[i]);

		if (r < 0)
			return r;
		search->by_number |= devices[i].type != 0;
	}
	search->devices = devices;
	search->procfd = procfd;
	search->self = getpid();
	/* We have open what we read */
	search->counted = path_format(self, sizeof(self), "%d/fd", (int)search->self) == 0 &&
			  fstatat(procfd, self, &st, 0) == 0 && st.st_size > 0;
	return lowest_pid(rootfd, holds_open, search);
}

pid_t process_find_open(int rootfd, const char *const *paths, size_t nr)
{
	struct open_search search = { .paths = paths, .nr = nr };

	return find_open(rootfd, &search);
}

pid_t process_find_writer(int rootfd, const char *const *paths, size_t nr)
{
	struct open_search search = { .paths = paths, .nr = nr, .for_writing = true };

	return find_open(rootfd, &search);
}

pid_t process_find_open_after(int rootfd, const char *const *paths, size_t nr, pid_t pid)
{
	struct open_search search = { .paths = paths, .nr = nr, .after = pid };

	return find_open(rootfd, &search);
}
