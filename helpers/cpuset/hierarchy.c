/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/hierarchy.c - finding and writing cpuset groups through libcgroup */
#include <errno.h>
#include <libcgroup.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/*
 * What libcgroup does right on cgroup v2, and what is not asked of it (2.0.2 of Debian 12, 3.1 and
 * 3.2): mount points of controllers and writing values are right. cgroup_get_current_controller_path()
 * fails on v2's "0::/GROUP" line, an empty value is never written, cgroup_walk_tree_begin() walks
 * the whole tree whatever the depth, and there is no root directory but "/".
 */

#define CPUSET "cpuset"

static void cleanup_cgroup(struct cgroup **cgroup)
{
	cgroup_free(cgroup);
}

/* It prints on stdout by default */
static void be_silent(void *userdata, int level, const char *fmt, va_list args)
{
	(void)userdata, (void)level, (void)fmt, (void)args;
}

/* Reads the mount table, once */
static int start(void)
{
	static bool started;
	int r;

	if (started)
		return 0;
	cgroup_set_logger(be_silent, CGROUP_LOG_ERROR, NULL);
	r = cgroup_init();
	started = r == 0;
	return r == 0 ? 0 : -ENOENT;
}

/* libcgroup's codes: those of the system calls are in its last errno */
static int to_errno(int error)
{
	switch (error) {
	case 0:
		return 0;
	case ECGOTHER:
		return cgroup_get_last_errno() > 0 ? -cgroup_get_last_errno() : -EIO;
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
		r = to_errno(cgroup_get_subsys_mount_point(CPUSET, &mount));
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
	cgroup = cgroup_new_cgroup(name);
	cpuset = cgroup ? cgroup_add_controller(cgroup, CPUSET) : NULL;
	if (!cpuset)
		return -ENOMEM;
	r = cgroup_add_value_string(cpuset, file, value);
	return to_errno(r ?: cgroup_modify_cgroup(cgroup));
}
