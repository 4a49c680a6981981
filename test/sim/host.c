/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/host.c - the sample host with the simulator's guests; copies and pictures of it */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/cleanup.h"
#include "../fake/fake.h"
#include "sim.h"

#define FILE_MAX ((size_t)1024 * 1024)

/* Small ones, so that a life takes few effects, and one that takes everything usher can hold */
const struct guest guests[GUESTS_MAX] = {
	{ 'a', "aaaaaaaa-0000-4000-8000-00000000000a", "4 12", 2048, true, "0000:01:00.0",
	  "0000:01:00.0\n0000:01:00.1",
	  "[display]\ndelay = 0s\n[display left]\nmonitor = DEL:a0c4:JK9X0123\n"
	  "guest_input = hdmi1\nhost_input = dp1\n[nosleep]\ninhibit = sleep idle\n",
	  NULL },
	{ 'b', "bbbbbbbb-0000-4000-8000-00000000000b", "5", 256, true, "0000:04:00.0",
	  "0000:04:00.0", "[cpuset]\nmethod = slices\n[nosleep]\ninhibit = none\n", NULL },
	{ 'c', "cccccccc-0000-4000-8000-00000000000c", "6", 256, false, "0000:05:00.0",
	  "0000:05:00.0", "[nosleep]\ninhibit = none\n", NULL },
	{ 'd', "dddddddd-0000-4000-8000-00000000000d", "", 256, false, "0000:01:00.0",
	  "0000:01:00.0\n0000:01:00.1", "[vfio]\nin_use = stop-seat\n[nosleep]\ninhibit = none\n",
	  "seat-boot" },
	{ 'e', "eeeeeeee-0000-4000-8000-00000000000d", "", 256, false, "0000:01:00.0",
	  "0000:01:00.0\n0000:01:00.1", "[vfio]\nin_use = stop-seat\n[nosleep]\ninhibit = none\n",
	  "seat-second" },
	{ 'z', "eeeeeeee-0000-4000-8000-00000000000e", "", 64, false, NULL, NULL, NULL, NULL },
};

const struct guest *guest_find(char name)
{
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (guests[i].name == name)
			return &guests[i];
	return NULL;
}

/* --- Making it ---------------------------------------------------------------------------------- */

_printf_(3, 4) static void put(const char *dir, const char *path, const char *fmt, ...)
{
	char full[PATH_MAX];
	va_list args;
	FILE *f;

	tree_path(full, "%s/%s", dir, path);
	for (char *slash = strchr(full + strlen(dir) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "we");
	if (!f)
		abort();
	va_start(args, fmt);
	(void)vfprintf(f, fmt, args);
	va_end(args);
	if (fclose(f) != 0)
		abort();
}

static size_t vcpus(const struct guest *guest, unsigned int pins[static 16])
{
	const char *word = guest->pins;
	size_t nr = 0;

	while (*word && nr < 16) {
		char *end;

		pins[nr++] = (unsigned int)strtoul(word, &end, 10);
		word = end + (*end == ' ');
	}
	return nr;
}

static void put_device(FILE *f, const char *addr)
{
	(void)fprintf(
		f,
		"<hostdev mode='subsystem' type='pci' managed='no'><source><address "
		"domain='0x%.4s' bus='0x%.2s' slot='0x%.2s' function='0x%s'/></source></hostdev>",
		addr, addr + 5, addr + 8, addr + 11);
}

static void put_xml(const char *dir, const struct guest *guest)
{
	_cleanup_free_ char *text = NULL;
	unsigned int pins[16];
	size_t nr = vcpus(guest, pins), len;
	char path[64];
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	(void)fprintf(f,
		      "<domain type='kvm'><name>%c</name><uuid>%s</uuid>"
		      "<memory unit='MiB'>%u</memory><vcpu>%zu</vcpu>",
		      guest->name, guest->uuid, guest->memory_mib, nr ? nr : 1);
	if (guest->huge)
		(void)fputs("<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages>"
			    "</memoryBacking>",
			    f);
	if (nr)
		(void)fputs("<cputune>", f);
	for (size_t i = 0; i < nr; i++)
		(void)fprintf(f, "<vcpupin vcpu='%zu' cpuset='%u'/>", i, pins[i]);
	if (nr)
		(void)fputs("<emulatorpin cpuset='0-1'/></cputune>", f);
	(void)fputs("<devices>", f);
	if (guest->device)
		put_device(f, guest->device);
	(void)fputs("</devices></domain>", f);
	if (fclose(f) != 0)
		abort();
	tree_path(path, ".fake/xml/%c", guest->name);
	put(dir, path, "%s\n", text);
}

static void put_group(const char *dir, const char *group, const char *cpus, const char *type)
{
	static const char *const files[][2] = {
		{ "cgroup.controllers", "cpuset cpu io memory pids" },
		{ "cgroup.subtree_control", "" },
		{ "cgroup.procs", "" },
		{ "cgroup.threads", "" },
		{ "cpuset.cpus.effective", "" },
		{ "cpuset.cpus.exclusive", "" },
		{ "cpuset.cpus.exclusive.effective", "" },
		{ "cpuset.cpus.partition", "member" },
		{ "cpuset.mems", "" },
		{ "cpuset.mems.effective", "0" },
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		tree_path(path, "%s/%s", group, files[i][0]);
		put(dir, path, "%s\n", files[i][1]);
	}
	tree_path(path, "%s/cgroup.type", group);
	put(dir, path, "%s\n", type);
	tree_path(path, "%s/cpuset.cpus", group);
	put(dir, path, "%s\n", cpus);
	if (strstr(type, "threaded") && strcmp(type, "threaded") == 0)
		return;
	tree_path(path, "%s/cgroup.subtree_control", group);
	put(dir, path, "cpuset cpu pids\n");
}

static void put_groups(const char *dir, const struct guest *guest)
{
	char scope[PATH_MAX], group[PATH_MAX], cpus[16];
	unsigned int pins[16];
	size_t nr = vcpus(guest, pins);

	tree_path(
		scope,
		".fake/guests/%c/exec/sys/fs/cgroup/machine.slice/machine-qemu\\x2d%d\\x2d%c.scope",
		guest->name, guest->name - 'a' + 1, guest->name);
	put_group(dir, scope, "", "domain");
	tree_path(group, "%s/libvirt", scope);
	put_group(dir, group, "", "domain threaded");
	tree_path(group, "%s/libvirt/emulator", scope);
	put_group(dir, group, nr ? "0-1" : "", "threaded");
	for (size_t i = 0; i < nr; i++) {
		tree_path(group, "%s/libvirt/vcpu%zu", scope, i);
		tree_path(cpus, "%u", pins[i]);
		put_group(dir, group, cpus, "threaded");
	}
}

static void put_cmdline(const char *dir, const struct guest *guest)
{
	char path[PATH_MAX];
	FILE *f;

	tree_path(path, ".fake/guests/%c/exec/proc/@PID@/cgroup", guest->name);
	put(dir, path, "0::/machine.slice/machine-qemu\\x2d%d\\x2d%c.scope/libvirt/emulator\n",
	    guest->name - 'a' + 1, guest->name);
	tree_path(path, "%s/.fake/guests/%c/exec/proc/@PID@/cmdline", dir, guest->name);
	f = fopen(path, "we");
	if (!f)
		abort();
	(void)fprintf(f, "/usr/bin/qemu-system-x86_64%c-uuid%c%s%c", 0, 0, guest->uuid, 0);
	(void)fclose(f);
}

static void put_guest(const char *dir, const struct guest *guest)
{
	char path[PATH_MAX];

	put_xml(dir, guest);
	put_groups(dir, guest);
	put_cmdline(dir, guest);
	tree_path(path, ".fake/guests/%c/exec/run/libvirt/qemu/%c.pid", guest->name, guest->name);
	put(dir, path, "@PID@\n");
	tree_path(path, ".fake/guests/%c/exec/run/libvirt/qemu/%c.xml", guest->name, guest->name);
	put(dir, path, "<domstatus state='running' pid='@PID@'/>\n");
	tree_path(path, ".fake/guests/%c/pages", guest->name);
	if (guest->huge)
		put(dir, path, "any 2048 %u\n", guest->memory_mib / 2);
	tree_path(path, ".fake/guests/%c/devices", guest->name);
	if (guest->opens)
		put(dir, path, "%s\n", guest->opens);
	tree_path(path, "etc/usher/conf.d/%c.ini", guest->name);
	if (guest->policy)
		put(dir, path, "%s", guest->policy);
}

static int run_unpack(const char *dir, const char *trees, const char *name)
{
	char unpack[PATH_MAX], tree[PATH_MAX];
	int status;
	pid_t pid;

	tree_path(unpack, "%s/unpack", trees);
	tree_path(tree, "%s/%s.tree", trees, name);
	pid = fork();
	if (pid == 0) {
		(void)execl(unpack, unpack, dir, tree, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status == 0 ? 0 : -EIO;
}

int host_make(const char *dir, const char *trees)
{
	int r = run_unpack(dir, trees, "desktop");

	for (size_t i = 0; r == 0 && i < GUESTS_MAX; i++) {
		char desktop[PATH_MAX], name[64];

		put_guest(dir, &guests[i]);
		if (!guests[i].desktop)
			continue;
		tree_path(desktop, "%s/.fake/desktops/%s", dir, guests[i].desktop);
		tree_path(name, "../sim/%s", guests[i].desktop);
		put(dir, ".fake/desktops/README", "laid over the tree by host_desktop()\n");
		r = run_unpack(desktop, trees, name);
	}
	return r;
}

int host_desktop(const char *sequence)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < GUESTS_MAX; i++) {
		const char word[] = { ':', guests[i].name, '\0' };
		char from[PATH_MAX];

		if (!guests[i].desktop || !strstr(sequence, word))
			continue;
		tree_path(from, ".fake/desktops/%s", guests[i].desktop);
		r = tree_overlay(from, NULL, NULL);
	}
	return r;
}

/* --- Copies ---------------------------------------------------------------------------------------- */

/* The fake kernel replaces files, it never writes into one: but the lock, all can be shared */
static int copy_file(int from, int to, const char *name)
{
	if (strcmp(name, "lock") != 0)
		return linkat(from, name, to, name, 0) < 0 ? -errno : 0;
	return close(openat(to, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0 ? -errno : 0;
}

static int copy_dir(int from, int to);

static int copy_one(int from, int to, const char *name)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(from, name, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		return symlinkat(target, to, name) < 0 ? -errno : 0;
	}
	if (!S_ISDIR(st.st_mode))
		return copy_file(from, to, name);
	if (__real_mkdirat(to, name, st.st_mode & 07777) < 0)
		return -errno;
	from = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return copy_dir(from, to);
}

/* Takes both descriptors */
static int copy_dir(int from, int to)
{
	_cleanup_close_ int to_fd = to;
	_cleanup_closedir_ DIR *dir = from < 0 ? NULL : fdopendir(from);
	const struct dirent *entry;
	int r = 0;

	if (!dir || to_fd < 0)
		return -errno;
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = copy_one(dirfd(dir), to_fd, entry->d_name);
	return r;
}

int host_copy(const char *from, const char *to)
{
	if (mkdir(to, 0755) < 0)
		return -errno;
	return copy_dir(open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void remove_dir(int fd)
{
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    __real_unlinkat(dirfd(dir), name, 0) == 0)
			continue;
		remove_dir(
			openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		(void)__real_unlinkat(dirfd(dir), name, AT_REMOVEDIR);
	}
}

void host_remove(const char *dir)
{
	remove_dir(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	(void)rmdir(dir);
}

/* --- Pictures --------------------------------------------------------------------------------------- */

/*
 * The kernel frees an interrupt with its driver, and gives the next one what the default is then:
 * those of the guests' devices (.fake/children in desktop.tree) are nobody's to give back.
 */
static bool goes_with_driver(const char *path)
{
	static const unsigned int numbers[] = { 127, 128, 133, 134, 138, 147, 148 };
	unsigned int number;

	if (sscanf(path, "proc/irq/%u/", &number) != 1 || !strstr(path, "affinity"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/*
 * What may be another after a guest than before: usher's own directories, which are empty then,
 * and locks in them. Of .fake only what stands for the world outside of the tree is looked at.
 */
static bool ignored(const char *path, bool is_dir)
{
	static const char *const outside[] = { ".fake/monitor", ".fake/inhibitors",
					       ".fake/properties", ".fake/installed",
					       ".fake/units" };
	const char *name = strrchr(path, '/');

	if (strcmp(path, "run/usher") == 0 || strcmp(path, "run/usher/host") == 0 ||
	    strcmp(path, "dev/log") == 0 || strcmp(path, "run/libvirtd.pid") == 0 ||
	    goes_with_driver(path))
		return true;
	/* A session that was ended does not come back; that of the sample host is never looked at */
	if (strncmp(path, "run/systemd/sessions", 20) == 0 || strncmp(path, "proc/901", 8) == 0)
		return true;
	if (strncmp(path, "run/usher/", 10) == 0 && strstr(name, ".lock") &&
	    (name == path + 9 || strncmp(path, "run/usher/host/", 15) == 0))
		return true;
	if (strncmp(path, ".fake/", 6) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		if (strncmp(path, outside[i], strlen(outside[i])) == 0)
			return is_dir;
	return true;
}

static int add_line(struct picture *picture, char *line)
{
	if (picture->nr % 256 == 0) {
		char **grown = reallocarray(picture->lines, picture->nr + 256, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		picture->lines = grown;
	}
	picture->lines[picture->nr++] = line;
	return 0;
}

/* A file's text on one line; what cannot be read is as good as empty */
static char *text_of(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	static char buf[FILE_MAX];
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);

	for (ssize_t i = 0; i < n; i++)
		if (buf[i] == '\n' || buf[i] == '\0')
			buf[i] = buf[i] ? '|' : '^';
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static int look_dir(int fd, const char *path, struct picture *ret);

static int look_one(int dir, const char *name, const char *path, struct picture *ret)
{
	char target[PATH_MAX] = "", *line = NULL;
	const char *text = target;
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.st_mode))
		target[readlinkat(dir, name, target, sizeof(target) - 1)] = '\0';
	else if (S_ISREG(st.st_mode) && !ignored(path, false))
		text = text_of(dir, name);
	if (!ignored(path, S_ISDIR(st.st_mode))) {
		r = asprintf(&line, "%s %o %s", path, st.st_mode, text);
		if (r < 0 || add_line(ret, line) < 0)
			return -ENOMEM;
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	return look_dir(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path,
			ret);
}

static int look_dir(int fd, const char *path, struct picture *ret)
{
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char below[PATH_MAX];
	int r = 0;

	while (r == 0 && dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		tree_path(below, "%s%s%s", path, *path ? "/" : "", entry->d_name);
		r = look_one(dirfd(dir), entry->d_name, below, ret);
	}
	return r;
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int picture_take(const char *root, struct picture *ret)
{
	int r;

	*ret = (struct picture){ 0 };
	r = look_dir(open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", ret);
	if (r == 0 && ret->nr)
		qsort(ret->lines, ret->nr, sizeof(*ret->lines), line_cmp);
	return r;
}

void picture_free(struct picture *picture)
{
	for (size_t i = 0; i < picture->nr; i++)
		free(picture->lines[i]);
	free(picture->lines);
	*picture = (struct picture){ 0 };
}

size_t picture_differ(const struct picture *before, const struct picture *after, FILE *to)
{
	size_t i = 0, j = 0, nr = 0;

	while (i < before->nr || j < after->nr) {
		int c = i == before->nr	 ? 1
			: j == after->nr ? -1
					 : strcmp(before->lines[i], after->lines[j]);

		if (c != 0)
			(void)fprintf(to, "  %s %s\n", c < 0 ? "was" : "is ",
				      c < 0 ? before->lines[i] : after->lines[j]);
		nr += c != 0;
		i += c <= 0;
		j += c >= 0;
	}
	return nr;
}

#define HASH_BASE  0xcbf29ce484222325ULL
#define HASH_PRIME 0x100000001b3ULL

/* Pids and times have so many digits; what usher sets has fewer, or none is hashed twice alike */
#define LONG_NUMBER 4

/* A line of what a process leaves, QEMU's and its cgroups': the next run has other numbers */
static bool is_of_process(const char *line)
{
	return (strncmp(line, "proc/", 5) == 0 && line[5] >= '0' && line[5] <= '9') ||
	       strncmp(line, "run/libvirt/", 12) == 0 || strstr(line, "/cgroup.procs ") ||
	       strstr(line, "/cgroup.threads ");
}

static unsigned long long hash_line(unsigned long long hash, const char *line)
{
	for (const char *c = line; *c;) {
		size_t digits = strspn(c, "0123456789");

		hash = (hash ^ (unsigned char)(digits >= LONG_NUMBER ? '#' : *c)) * HASH_PRIME;
		c += digits >= LONG_NUMBER ? digits : 1;
	}
	return (hash ^ '\n') * HASH_PRIME;
}

unsigned long long picture_hash(const struct picture *picture)
{
	unsigned long long hash = HASH_BASE;

	for (size_t i = 0; i < picture->nr; i++)
		if (!is_of_process(picture->lines[i]))
			hash = hash_line(hash, picture->lines[i]);
	return hash;
}
