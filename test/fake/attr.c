/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/attr.c - lib/attr.h on the tree: each write goes to who would store it in the kernel */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fake.h"

struct store {
	const char *pattern; /* of the attribute's real path; * also stands for slashes */
	int (*store)(const char *path, const char *value);
};

static const struct store stores[] = {
	{ "sys/devices/pci*/driver_override", pci_store_override },
	{ "sys/bus/pci/drivers/*/bind", pci_store_bind },
	{ "sys/bus/pci/drivers/*/unbind", pci_store_unbind },
	{ "sys/bus/pci/drivers_probe", pci_store_probe },
	{ "sys/devices/system/node/node*/hugepages/*/nr_hugepages", hugetlb_store_node },
	{ "sys/devices/system/node/node*/compact", memory_store_compact_node },
	{ "sys/kernel/mm/hugepages/*/nr_hugepages", hugetlb_store_global },
	{ "sys/kernel/mm/hugepages/*/nr_hugepages_mempolicy", hugetlb_store_mempolicy },
	{ "proc/sys/vm/nr_hugepages", hugetlb_store_sysctl },
	{ "proc/sys/vm/compact_memory", memory_store_compact },
	{ "proc/sys/vm/drop_caches", memory_store_drop_caches },
	{ "sys/fs/cgroup/*/cpuset.cpus", cpuset_store_cpus },
	{ "sys/fs/cgroup/*/cpuset.cpus.exclusive", cpuset_store_exclusive },
	{ "sys/fs/cgroup/*/cpuset.cpus.partition", cpuset_store_partition },
	{ "sys/fs/cgroup/*cgroup.subtree_control", cgroup_store_subtree_control },
	{ "sys/fs/cgroup/*cgroup.procs", cgroup_store_procs },
	{ "sys/fs/cgroup/*cgroup.threads", cgroup_store_procs },
	{ "sys/devices/virtual/workqueue/cpumask", workqueue_store_cpumask },
	{ "proc/irq/*/smp_affinity_list", irq_store_list },
	{ "proc/irq/*/smp_affinity", irq_store_mask },
	{ "proc/irq/default_smp_affinity", irq_store_default },
	{ "sys/devices/system/cpu/*/scaling_governor", governor_store },
	{ "sys/devices/*/uevent", uevent_store },
	{ "sys/bus/platform/drivers/*/bind", platform_store_bind },
	{ "sys/bus/platform/drivers/*/unbind", platform_store_unbind },
};

/* Each write replaces the value: an attribute keeps no bytes of the one before */
int plain_store(const char *path, const char *value)
{
	char line[ATTR_MAX];

	if (path_format(line, sizeof(line), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	return tree_put(path, line);
}

static int store_value(const struct fake_effect *effect, const char *value)
{
	const char *path = effect->arg;

	/* Gone since it was opened: a driver's attribute after unbind */
	if (!tree_has(path))
		return -ENODEV;
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++)
		if (fnmatch(stores[i].pattern, path, 0) == 0)
			return stores[i].store(path, value);
	return plain_store(path, value);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_attr_write(int rootfd, const char *path, const char *val);
int __wrap_attr_open(int rootfd, const char *path, int flags);
int __wrap_attr_read(int rootfd, const char *path, char *buf, size_t size);
int __wrap_attr_read_ull(int rootfd, const char *path, unsigned long long *ret);
int __wrap_attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len);
int __wrap_attr_link(int rootfd, const char *path, char *buf, size_t size);
int __wrap_attr_exists(int rootfd, const char *path);
int __wrap_attr_list(int rootfd, const char *path, struct strlist *ret);
int __wrap_attr_list_dirs(int rootfd, const char *path, struct strlist *ret);

/* What open(2) would say before any store: no such file, a directory, read-only */
static int writable(const char *path, char *real, size_t size)
{
	_cleanup_close_ int fd = __real_attr_open(fake_root(), path, O_PATH);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!(st.st_mode & 0222))
		return -EACCES;
	return fake_path_of(fd, real, size);
}

int __wrap_attr_write(int rootfd, const char *path, const char *val)
{
	char real[PATH_MAX], old[ATTR_MAX];
	struct fake_effect effect = {
		.verb = "write", .path = path, .new_value = val, .run = store_value, .arg = real
	};
	int r;

	if (!fake_is_root(rootfd))
		return -EPERM;
	r = writable(path, real, sizeof(real));
	if (r < 0)
		return r;
	if (tree_get(real, old, sizeof(old)) >= 0)
		effect.old_value = old;
	return fake_effect(&effect);
}

static int read_fault(int rootfd, const char *path)
{
	return fake_is_root(rootfd) ? fake_read_fault(path) : 0;
}

int __wrap_attr_open(int rootfd, const char *path, int flags)
{
	int r = read_fault(rootfd, path);

	return r < 0 ? r : __real_attr_open(rootfd, path, flags);
}

int __wrap_attr_read(int rootfd, const char *path, char *buf, size_t size)
{
	int r = read_fault(rootfd, path);

	if (r < 0 && size > 0)
		buf[0] = '\0';
	return r < 0 ? r : __real_attr_read(rootfd, path, buf, size);
}

int __wrap_attr_read_ull(int rootfd, const char *path, unsigned long long *ret)
{
	int r = read_fault(rootfd, path);

	return r < 0 ? r : __real_attr_read_ull(rootfd, path, ret);
}

int __wrap_attr_read_all(int rootfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	int r = read_fault(rootfd, path);

	return r < 0 ? r : __real_attr_read_all(rootfd, path, max, ret, ret_len);
}

int __wrap_attr_link(int rootfd, const char *path, char *buf, size_t size)
{
	int r = read_fault(rootfd, path);

	if (r < 0 && size > 0)
		buf[0] = '\0';
	return r < 0 ? r : __real_attr_link(rootfd, path, buf, size);
}

int __wrap_attr_exists(int rootfd, const char *path)
{
	int r = read_fault(rootfd, path);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : __real_attr_exists(rootfd, path);
}

int __wrap_attr_list(int rootfd, const char *path, struct strlist *ret)
{
	int r = read_fault(rootfd, path);

	return r < 0 ? r : __real_attr_list(rootfd, path, ret);
}

int __wrap_attr_list_dirs(int rootfd, const char *path, struct strlist *ret)
{
	int r = read_fault(rootfd, path);

	return r < 0 ? r : __real_attr_list_dirs(rootfd, path, ret);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
