/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/guest.c - what QEMU and libvirt do to the host while a guest lives */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/text.h"
#include "../../lib/units.h"
#include "fake.h"

/*
 * How it works
 *
 * .fake/guests/NAME/exec/	laid over the tree when QEMU runs; "@PID@" stands for its pid
 * .fake/guests/NAME/pages	lines "NODE SIZE_KIB PAGES", NODE a number or "any": what it faults in
 * .fake/guests/NAME/devices	lines ADDR: what it opens through vfio
 * .fake/guests/NAME/pid	while it runs
 * .fake/guests/NAME/used	lines "SIZE_KIB PAGES0 PAGES1 ...": the pages it got
 * .fake/guests/NAME/made	lines PATH: what the overlay added, to be removed by guest_cleanup()
 */

#define GUESTS		".fake/guests"
#define CGROUP		"sys/fs/cgroup"
#define DEVICES		"sys/bus/pci/devices"
#define TEXT_MAX	(1024UL * 1024)
#define STAT_START_TIME 22

static void guest_path(char *buf, size_t size, const char *name, const char *file)
{
	tree_format(buf, size, GUESTS "/%s/%s", name, file);
}

static int guest_lines(const char *name, const char *file, struct strlist *ret)
{
	char path[PATH_MAX], text[ATTR_MAX];
	int r;

	guest_path(path, sizeof(path), name, file);
	r = tree_get(path, text, sizeof(text));
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : text_split(text, "\n", ret);
}

/* --- Devices -------------------------------------------------------------------------------------- */

static void driver_of(const char *addr, char *buf, size_t size)
{
	char path[PATH_MAX];

	tree_path(path, DEVICES "/%s/driver", addr);
	(void)__real_attr_link(fake_root(), path, buf, size);
}

static bool is_bridge(const char *addr)
{
	char path[PATH_MAX], class[16];

	tree_path(path, DEVICES "/%s/class", addr);
	return tree_get(path, class, sizeof(class)) >= 0 && strncmp(class, "0x06", 4) == 0;
}

/* Every other device of the group on vfio-pci or without a driver, bridges aside */
static bool group_viable(const char *group)
{
	_cleanup_strlist_ struct strlist members = { 0 };
	char path[PATH_MAX], driver[NAME_MAX];

	tree_path(path, "sys/kernel/iommu_groups/%s/devices", group);
	if (tree_list(path, &members) < 0)
		return false;
	for (size_t i = 0; i < members.nr; i++) {
		driver_of(members.names[i], driver, sizeof(driver));
		if (driver[0] && strcmp(driver, "vfio-pci") != 0 && !is_bridge(members.names[i]))
			return false;
	}
	return true;
}

static int device_open(const char *addr, const char *pid, size_t fd, const char **ret_why)
{
	char path[PATH_MAX], group[NAME_MAX], driver[NAME_MAX], node[PATH_MAX], link[PATH_MAX];
	_cleanup_close_ int dirfd = -1;

	driver_of(addr, driver, sizeof(driver));
	tree_path(path, DEVICES "/%s/iommu_group", addr);
	if (strcmp(driver, "vfio-pci") != 0 ||
	    __real_attr_link(fake_root(), path, group, sizeof(group)) < 0) {
		*ret_why = "a device is not bound to vfio-pci";
		return -ENODEV;
	}
	if (!group_viable(group)) {
		*ret_why = "group is not viable: not all of its devices are bound to vfio-pci";
		return -EPERM;
	}
	tree_path(node, "/dev/vfio/%s", group);
	tree_path(link, "proc/%s/fd", pid);
	(void)tree_mkdirs(link);
	dirfd = __real_attr_open(fake_root(), link, O_RDONLY | O_DIRECTORY);
	tree_path(link, "%zu", fd);
	return symlinkat(node, dirfd, link) < 0 ? -errno : 0;
}

static int devices_open(const char *name, const char *pid, const char **ret_why)
{
	_cleanup_strlist_ struct strlist addrs = { 0 };
	int r = guest_lines(name, "devices", &addrs);

	for (size_t i = 0; r == 0 && i < addrs.nr; i++)
		r = device_open(addrs.names[i], pid, 20 + i, ret_why);
	return r;
}

/* --- Huge pages ------------------------------------------------------------------------------------- */

static int used_append(char **used, const struct huge_use *use)
{
	char *grown = NULL;
	int len =
		asprintf(&grown, "%s%s%llu", *used ? *used : "", *used ? "\n" : "", use->size_kib);

	for (size_t i = 0; len >= 0 && i < HUGE_NODES_MAX; i++) {
		char *longer = NULL;

		len = asprintf(&longer, "%s %llu", grown, use->pages[i]);
		free(grown);
		grown = longer;
	}
	free(*used);
	*used = len < 0 ? NULL : grown;
	return len < 0 ? -ENOMEM : 0;
}

static int pages_fault(const char *line, struct huge_use *use)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned long long size, pages;
	unsigned int node;

	if (text_split(line, " ", &words) < 0 || words.nr != 3 ||
	    parse_ull(words.names[1], 10, ~0ULL, &size) < 0 ||
	    parse_ull(words.names[2], 10, ~0ULL, &pages) < 0)
		return -EBADMSG;
	if (parse_uint(words.names[0], 10, HUGE_NODES_MAX - 1, &node) < 0)
		return hugetlb_take(-1, size, pages, use);
	return hugetlb_take((int)node, size, pages, use);
}

static int pages_take(const char *name, const char **ret_why)
{
	_cleanup_strlist_ struct strlist lines = { 0 };
	_cleanup_free_ char *used = NULL;
	char path[PATH_MAX];
	int r = guest_lines(name, "pages", &lines);

	for (size_t i = 0; r == 0 && i < lines.nr; i++) {
		struct huge_use use;

		r = pages_fault(lines.names[i], &use);
		if (r == 0)
			r = used_append(&used, &use);
	}
	if (r == -ENOMEM)
		*ret_why = "unable to map backing store for guest RAM: Cannot allocate memory";
	guest_path(path, sizeof(path), name, "used");
	if (used)
		(void)tree_put(path, used);
	return r;
}

static void pages_give(const char *name)
{
	_cleanup_strlist_ struct strlist lines = { 0 };
	char path[PATH_MAX];

	if (guest_lines(name, "used", &lines) < 0)
		return;
	for (size_t i = 0; i < lines.nr; i++) {
		_cleanup_strlist_ struct strlist words = { 0 };
		struct huge_use use = { 0 };

		if (text_split(lines.names[i], " ", &words) < 0)
			return;
		use.size_kib = strtoull(words.names[0], NULL, 10);
		for (size_t node = 1; node < words.nr && node <= HUGE_NODES_MAX; node++)
			use.pages[node - 1] = strtoull(words.names[node], NULL, 10);
		(void)hugetlb_give(&use);
	}
	guest_path(path, sizeof(path), name, "used");
	(void)tree_remove(path);
}

/* --- The process -------------------------------------------------------------------------------------- */

/* stat with the real start time when there is such a process, else with one made of the pid */
static int process_put(pid_t pid)
{
	_cleanup_close_ int real = __real_root_open("/");
	char path[PATH_MAX], stat[ATTR_MAX];
	struct process process = { .pid = pid, .start_time = (unsigned long long)pid };
	size_t len;
	int r;

	if (real >= 0)
		(void)!__real_process_identify(real, pid, &process);
	len = (size_t)snprintf(stat, sizeof(stat), "%d (qemu-system-x86) S 1", (int)pid);
	for (int field = 5; field < STAT_START_TIME; field++)
		len += (size_t)snprintf(stat + len, sizeof(stat) - len, " 0");
	(void)snprintf(stat + len, sizeof(stat) - len, " %llu 0 0", process.start_time);
	tree_path(path, "proc/%d/stat", (int)pid);
	r = tree_put(path, stat);
	tree_path(path, "proc/%d/comm", (int)pid);
	return r < 0 ? r : tree_put(path, "qemu-system-x86");
}

static void remember_pid(const char *name, pid_t pid)
{
	char path[PATH_MAX];

	guest_path(path, sizeof(path), name, "pid");
	(void)tree_put_num(path, (unsigned long long)pid);
}

static int overlay(const char *name, const char *pid)
{
	_cleanup_strlist_ struct strlist made = { 0 };
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	FILE *f;
	int r;

	guest_path(path, sizeof(path), name, "exec");
	r = tree_overlay(path, pid, &made);
	f = r < 0 ? NULL : open_memstream(&text, &len);
	if (!f)
		return r < 0 ? r : -ENOMEM;
	for (size_t i = 0; i < made.nr; i++)
		(void)fprintf(f, "%s%s", i ? "\n" : "", made.names[i]);
	if (fclose(f) != 0)
		return -ENOMEM;
	guest_path(path, sizeof(path), name, "made");
	return tree_put(path, text);
}

/* Groups go with the files the kernel has put into them */
static int overlay_remove(const char *name)
{
	_cleanup_strlist_ struct strlist made = { 0 };
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	guest_path(path, sizeof(path), name, "made");
	r = __real_attr_read_all(fake_root(), path, TEXT_MAX, &text, &len);
	if (r == 0)
		r = text_split(text, "\n", &made);
	for (size_t i = made.nr; r == 0 && i > 0; i--)
		r = tree_remove(made.names[i - 1]);
	if (r == 0)
		r = tree_remove(path);
	return r == -ENOENT ? 0 : r;
}

static int exec_locked(const char *name, pid_t pid, const char **ret_why)
{
	char from[PATH_MAX], number[16];
	int r;

	tree_path(number, "%d", (int)pid);
	guest_path(from, sizeof(from), name, "exec");
	if (!tree_is_dir(from)) {
		*ret_why = "the tree has no such guest";
		return -ENOENT;
	}
	*ret_why = "the tree is broken";
	remember_pid(name, pid);
	r = cgroup_enable_cpuset(CGROUP);
	if (r == 0)
		r = cgroup_enable_cpuset(CGROUP "/machine.slice");
	if (r == 0)
		r = overlay(name, number);
	if (r == 0)
		r = process_put(pid);
	if (r == 0)
		r = cpuset_update();
	if (r == 0)
		r = pages_take(name, ret_why);
	return r < 0 ? r : devices_open(name, number, ret_why);
}

int guest_exec(const char *name, pid_t pid, const char **ret_why)
{
	int lock = fake_lock(), r;

	if (lock < 0)
		return lock;
	r = exec_locked(name, pid, ret_why);
	fake_unlock(lock);
	return r;
}

int guest_gone(const char *name)
{
	char path[PATH_MAX];
	unsigned long long pid;
	int lock = fake_lock();

	if (lock < 0)
		return lock;
	guest_path(path, sizeof(path), name, "pid");
	pid = tree_num(path);
	if (pid) {
		tree_path(path, "proc/%llu", pid);
		(void)tree_remove(path);
		pages_give(name);
	}
	fake_unlock(lock);
	return 0;
}

/* systemd switches the cpuset controller off when nobody needs it any more */
int guest_cleanup(const char *name)
{
	char path[PATH_MAX];
	int lock = fake_lock(), r;

	if (lock < 0)
		return lock;
	guest_path(path, sizeof(path), name, "pid");
	(void)tree_remove(path);
	r = overlay_remove(name);
	cgroup_release_cpuset();
	if (r == 0)
		r = cpuset_update();
	fake_unlock(lock);
	return r;
}
