/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/hierarchy.c - finding and writing cpuset groups through libcgroup */
#include <errno.h>
#include <libcgroup.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/attr.h"
#include "../../lib/library.h"
#include "cpuset.h"

/*
 * What libcgroup does right on cgroup v2, and what is not asked of it (2.0.2 of Debian 12, 3.1 and
 * 3.2): mount points of controllers and writing values are right. cgroup_get_current_controller_path()
 * fails on v2's "0::/GROUP" line, an empty value is never written, cgroup_walk_tree_begin() walks
 * the whole tree whatever the depth, and there is no root directory but "/".
 */

#define CPUSET "cpuset"

/* The same interface in all of them */
static struct library libcgroup = { .sonames = { "libcgroup.so.3", "libcgroup.so.2",
						 "libcgroup.so.1", NULL } };

/* libcgroup's functions that are used here, by their own names */
static struct {
	__typeof__(cgroup_init) *init;
	__typeof__(cgroup_set_logger) *set_logger;
	__typeof__(cgroup_get_last_errno) *get_last_errno;
	__typeof__(cgroup_get_subsys_mount_point) *get_subsys_mount_point;
	__typeof__(cgroup_new_cgroup) *new_cgroup;
	__typeof__(cgroup_free) *free;
	__typeof__(cgroup_add_controller) *add_controller;
	__typeof__(cgroup_add_value_string) *add_value_string;
	__typeof__(cgroup_modify_cgroup) *modify_cgroup;
} cg;

#define SYMBOL(name) (cg.name = (__typeof__(cg.name))library_symbol(&libcgroup, "cgroup_" #name))

static bool load(void)
{
	return SYMBOL(init) && SYMBOL(set_logger) && SYMBOL(get_last_errno) &&
	       SYMBOL(get_subsys_mount_point) && SYMBOL(new_cgroup) && SYMBOL(free) &&
	       SYMBOL(add_controller) && SYMBOL(add_value_string) && SYMBOL(modify_cgroup);
}

static void cleanup_cgroup(struct cgroup **cgroup)
{
	cg.free(cgroup);
}

/* It prints on stdout by default */
static void be_silent(void *userdata, int level, const char *fmt, va_list args)
{
	(void)userdata, (void)level, (void)fmt, (void)args;
}

/* Load it and have it read the mount table, once */
static int start(void)
{
	static bool started;

	if (started)
		return 0;
	if (!load())
		return -EOPNOTSUPP;
	cg.set_logger(be_silent, CGROUP_LOG_ERROR, NULL);
	if (cg.init() != 0)
		return -ENOENT;
	started = true;
	return 0;
}

/* libcgroup's codes: those of the system calls are in its last errno */
static int to_errno(int error)
{
	switch (error) {
	case 0:
		return 0;
	case ECGOTHER:
		return cg.get_last_errno() > 0 ? -cg.get_last_errno() : -EIO;
	case ECGROUPVALUENOTEXIST:
	case ECGROUPNOTEXIST:
	case ECGROUPNOTMOUNTED:
	case ECGROUPSUBSYSNOTMOUNTED:
		return -ENOENT;
	case ECGROUPNOTALLOWED:
		return -EPERM;
	default:
		return -EIO;
	}
}

int hierarchy_is_ours(const struct helper_ctx *ctx)
{
	struct stat ours, real;

	return fstat(ctx->rootfd, &ours) == 0 && stat("/", &real) == 0 &&
	       ours.st_dev == real.st_dev && ours.st_ino == real.st_ino;
}

int hierarchy_find(char *buf, size_t size)
{
	_cleanup_free_ char *mount = NULL;
	int r = start();

	if (r == 0)
		r = to_errno(cg.get_subsys_mount_point(CPUSET, &mount));
	return r < 0 ? r : path_format(buf, size, "%s", mount + strspn(mount, "/"));
}

int hierarchy_store(const char *group, const char *file, const char *value)
{
	_cleanup_(cleanup_cgroup) struct cgroup *cgroup = NULL;
	struct cgroup_controller *cpuset;
	char name[PATH_MAX];
	int r = start();

	/* With its slash the name is taken as it is, whatever systemd's default group may be */
	if (r == 0)
		r = path_format(name, sizeof(name), "/%s", group);
	if (r < 0)
		return r;
	cgroup = cg.new_cgroup(name);
	cpuset = cgroup ? cg.add_controller(cgroup, CPUSET) : NULL;
	if (!cpuset)
		return -ENOMEM;
	r = cg.add_value_string(cpuset, file, value);
	return to_errno(r ?: cg.modify_cgroup(cgroup));
}
