/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/groups.c - where the guest's cgroups are, and their files */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/* Is the cpuset controller on this cgroup v2 mount. Return: 1 or 0, else -errno */
static int has_cpuset(const struct cpuset_job *job, const char *mount)
{
	_cleanup_strlist_ struct strlist controllers = { 0 };
	char path[PATH_MAX], buf[ATTR_MAX];
	int r = path_format(path, sizeof(path), "%s/cgroup.controllers", mount);

	if (r == 0)
		r = attr_read(job->ctx->rootfd, path, buf, sizeof(buf));
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = text_split(buf, " ", &controllers);
	return r < 0 ? r : strlist_has(&controllers, "cpuset");
}

/*
 * Where systemd keeps its tree in cgroup v1, a v2 beside it may have the cpuset controller all the
 * same, of which systemd and libvirt know nothing.
 * Seen on: Debian 13, Linux 6.12 without cpusets of v1, systemd.unified_cgroup_hierarchy=0
 */
static bool is_hybrid(const struct cpuset_job *job)
{
	return attr_exists(job->ctx->rootfd, "run/systemd/system") > 0 &&
	       attr_exists(job->ctx->rootfd, CGROUP_MOUNT) > 0 &&
	       attr_exists(job->ctx->rootfd, CGROUP_MOUNT "/cgroup.controllers") == 0;
}

static int no_mount(struct cpuset_job *job, bool mounted)
{
	if (mounted || attr_exists(job->ctx->rootfd, CGROUP_MOUNT "/cpuset") > 0)
		return job_why(job, -EOPNOTSUPP,
			       "the cpuset controller is on cgroup v1: boot with "
			       "systemd.unified_cgroup_hierarchy=1");
	return job_why(job, -EOPNOTSUPP,
		       "no cgroup v2 with a cpuset controller is mounted on /" CGROUP_MOUNT);
}

int groups_mount(struct cpuset_job *job)
{
	char mount[PATH_MAX] = CGROUP_MOUNT;
	bool elsewhere = false;
	int r;

	if (job->mount[0])
		return 0;
	r = has_cpuset(job, mount);
	if (r == 0 && !is_hybrid(job) && hierarchy_is_ours(job->ctx))
		elsewhere = hierarchy_find(mount, sizeof(mount)) == 0;
	if (elsewhere)
		r = has_cpuset(job, mount);
	if (r < 0)
		return job_why(job, r, "cannot look for the cpuset controller: %s", strerror(-r));
	if (r == 0)
		return no_mount(job, elsewhere || is_hybrid(job));
	memcpy(job->mount, mount, sizeof(mount));
	return 0;
}

static char *last_component(char *path)
{
	char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Drops the last component. Return: 0, -EBADMSG when nothing is left */
static int go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		return -EBADMSG;
	*slash = '\0';
	return 0;
}

bool groups_is_name(const char *path)
{
	const char *part = path;

	for (;;) {
		size_t len = strcspn(part, "/");

		if (len == 0 || (len == 1 && part[0] == '.') ||
		    (len == 2 && !memcmp(part, "..", 2)))
			return false;
		if (!part[len])
			return true;
		part += len + 1;
	}
}

int groups_of_base(const char *base, struct guest_groups *ret)
{
	if (!groups_is_name(base) || path_format(ret->base, sizeof(ret->base), "%s", base) < 0)
		return -EBADMSG;
	memcpy(ret->guest, ret->base, sizeof(ret->guest));
	/* Since libvirt 7.1.0 there is a level of its own below the scope */
	return strcmp(last_component(ret->guest), "libvirt") == 0 ? go_up(ret->guest) : 0;
}

/* The line "0::/GROUP". Return: GROUP without its slash, NULL for none; @text is cut */
static char *unified_line(char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "0::/", 4) == 0)
			return line + 4;
	return NULL;
}

static int not_libvirts(struct cpuset_job *job, const char *group)
{
	return job_why(job, -EOPNOTSUPP,
		       "QEMU is in the cgroup /%s and not in one that libvirt made: see "
		       "cgroup_controllers in /etc/libvirt/qemu.conf",
		       group ?: "");
}

static int groups_of_pid(struct cpuset_job *job, pid_t pid, struct guest_groups *ret)
{
	char path[64], text[ATTR_MAX], *group;
	int r = path_format(path, sizeof(path), "proc/%d/cgroup", (int)pid);

	if (r == 0)
		r = attr_read(job->ctx->rootfd, path, text, sizeof(text));
	if (r < 0)
		return job_why(job, r == -ENOENT ? -ESRCH : r, "cannot read /%s: %s", path,
			       strerror(-r));
	group = unified_line(text);
	/* "emulator" holds QEMU's main thread, the vCPUs' groups lie beside it */
	if (!group || strcmp(last_component(group), "emulator") != 0 || go_up(group) < 0)
		return not_libvirts(job, group);
	return groups_of_base(group, ret) < 0 ? not_libvirts(job, group) : 0;
}

/* ABI: virSystemdEscapeName() in libvirt's util/virsystemd.c, 9.0.0 to 11.3.0 */
static int append_escaped(char *name, size_t size, const char *part)
{
	int r = 0;

	for (; r == 0 && *part; part++) {
		size_t len = strlen(name);
		bool plain = isalnum((unsigned char)*part) || strchr(":_.", *part);

		r = path_format(name + len, size - len, plain ? "%c" : "\\x%02x",
				(unsigned char)*part);
	}
	return r;
}

/* "/machine/gpu" is machine.slice/machine-gpu.slice */
static int group_of_partition(const char *partition, char *group, size_t size)
{
	_cleanup_strlist_ struct strlist parts = { 0 };
	char unit[PATH_MAX] = "";
	int r = text_split(partition, "/", &parts);

	*group = '\0';
	for (size_t i = 0; r == 0 && i < parts.nr; i++) {
		size_t len = strlen(group);

		if (i > 0)
			r = path_format(unit + strlen(unit), sizeof(unit) - strlen(unit), "-");
		if (r == 0)
			r = append_escaped(unit, sizeof(unit), parts.names[i]);
		if (r == 0)
			r = path_format(group + len, size - len, "%s%s.slice", i > 0 ? "/" : "",
					unit);
	}
	return r;
}

/* Other managers than systemd have other names for them */
static int group_to_come(const struct cpuset_job *job, char *buf)
{
	const char *word = inidoc_get(&job->ctx->claim.doc, "cpuset", "partition");
	_cleanup_free_ char *partition = NULL;

	if (attr_exists(job->ctx->rootfd, "run/systemd/system") <= 0)
		return -EOPNOTSUPP;
	if (word && text_decode(word, &partition) < 0)
		return -EBADMSG;
	return group_of_partition(partition ?: "/machine", buf, PATH_MAX);
}

int groups_foretell(struct cpuset_job *job)
{
	char group[PATH_MAX];
	int r = group_to_come(job, group);

	job->ahead = r == 0;
	return r;
}

static int groups_to_come(const struct cpuset_job *job, struct guest_groups *ret)
{
	char above[PATH_MAX], base[PATH_MAX];
	int r = group_to_come(job, above);

	/* The level of its own below the scope, see above, is taken for granted */
	if (r == 0)
		r = path_format(base, sizeof(base), "%s/<scope>/libvirt", above);
	return r < 0 ? r : groups_of_base(base, ret);
}

int groups_of_claim(struct cpuset_job *job, const struct claim *claim, struct guest_groups *ret)
{
	int r;

	if (job->ahead && claim == &job->ctx->claim)
		return groups_to_come(job, ret);
	if (claim->state != CLAIM_RUNNING)
		return job_why(job, -ESRCH, "the guest does not run (its claim is in state %s)",
			       claim_state_name(claim->state));
	/* A pid that somebody else has by now would lead to somebody else's groups */
	r = process_alive(job->ctx->rootfd, &claim->owner);
	if (r < 0)
		return job_why(job, r, "cannot read whether its QEMU (pid %d) runs: %s",
			       (int)claim->owner.pid, strerror(-r));
	if (r == 0)
		return job_why(job, -ESRCH, "its QEMU (pid %d) is gone", (int)claim->owner.pid);
	return groups_of_pid(job, claim->owner.pid, ret);
}

void groups_above(struct cpuset_job *job, char *buf)
{
	struct guest_groups groups;
	char why[WHY_MAX];
	int r;

	memcpy(why, job->why, sizeof(why));
	r = groups_of_claim(job, &job->ctx->claim, &groups);
	memcpy(job->why, why, sizeof(why));
	if (r == 0)
		r = go_up(groups.guest) ?: path_format(buf, PATH_MAX, "%s", groups.guest);
	else
		r = group_to_come(job, buf);
	if (r < 0)
		*buf = '\0';
}

int groups_read_bounds(struct cpuset_job *job, struct cpulist *ret)
{
	char group[PATH_MAX];
	int r = groups_mount(job);

	if (r < 0)
		return r;
	groups_above(job, group);
	r = groups_read_cpus(job, group, "cpuset.cpus.effective", ret);
	/* What is not there yet, or is not told CPUs, has those of what lies above it */
	while (r == -ENOENT && *group) {
		if (go_up(group) < 0)
			*group = '\0';
		r = groups_read_cpus(job, group, "cpuset.cpus.effective", ret);
	}
	return r;
}

static int file_path(const struct cpuset_job *job, const char *group, const char *file, char *buf,
		     size_t size)
{
	return path_format(buf, size, "%s/%s%s%s", job->mount, group, *group ? "/" : "", file);
}

int groups_read(const struct cpuset_job *job, const char *group, const char *file, char *buf,
		size_t size)
{
	char path[PATH_MAX];
	int r = file_path(job, group, file, path, sizeof(path));

	return r < 0 ? r : attr_read(job->ctx->rootfd, path, buf, size);
}

int groups_read_cpus(const struct cpuset_job *job, const char *group, const char *file,
		     struct cpulist *ret)
{
	char buf[ATTR_MAX];
	int r = groups_read(job, group, file, buf, sizeof(buf));

	if (r < 0)
		return r;
	return cpulist_parse(buf, ret) < 0 ? -EBADMSG : 0;
}

int groups_read_set(const struct cpuset_job *job, const char *group, const char *file,
		    struct cpulist *ret)
{
	int r = groups_read_cpus(job, group, file, ret);

	/* libvirt enables the controller with its first guest, and systemd makes the slice */
	if (r != -ENOENT || !job->ahead)
		return r;
	*ret = (struct cpulist){ 0 };
	return 0;
}

int groups_write(struct cpuset_job *job, const char *group, const char *file, const char *value)
{
	char path[PATH_MAX];
	int r = file_path(job, group, file, path, sizeof(path));

	if (r == 0)
		r = helper_write(job->ctx, path, value);
	if (r < 0)
		return job_why(job, r, "cannot write '%s' to /%s: %s", value, path, strerror(-r));
	return 0;
}

int groups_write_cpus(struct cpuset_job *job, const char *group, const char *file,
		      const struct cpulist *cpus)
{
	char list[ATTR_MAX];
	int r = cpulist_format(cpus, list, sizeof(list));

	return r < 0 ? job_why(job, r, "too many CPUs for one write to %s", group)
		     : groups_write(job, group, file, list);
}

bool groups_is_side(const char *name)
{
	return strcmp(name, "emulator") == 0 || strncmp(name, "iothread", strlen("iothread")) == 0;
}

size_t groups_next_ancestor(const char *group, size_t prev, char *buf)
{
	const char *slash = strchr(group + prev + (prev > 0), '/');
	size_t len = slash ? (size_t)(slash - group) : 0;

	memcpy(buf, group, len);
	buf[len] = '\0';
	return len;
}
