/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_selinux.c - usher check: does SELinux let libvirt run the hook */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "../../lib/attr.h"
#include "../../lib/daemon.h"
#include "../../lib/hookdir.h"
#include "../../lib/step.h"
#include "../../lib/units.h"
#include "check.h"

#define LABEL	  "security.selinux"
#define LABEL_MAX 256
/* Started when it is asked for, virtqemud need not run now */
#define VIRTQEMUD "system_u:system_r:virtqemud_t:s0"
/* ABI: Linux 6.12 security/selinux/include/security.h, AVD_FLAGS_PERMISSIVE */
#define PERMISSIVE 1U

static int label_of(int rootfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, LABEL, buf, size - 1);

	if (n < 0)
		return fd < 0 ? fd : -errno;
	buf[n] = '\0';
	return n > 0 ? 0 : -ENODATA;
}

/* The type in "system_u:object_r:bin_t:s0". Return: false when there is none */
static bool type_of(const char *label, char *buf, size_t size)
{
	_cleanup_strlist_ struct strlist parts = { 0 };

	if (text_split(label, ":", &parts) < 0 || parts.nr < 3)
		return false;
	(void)snprintf(buf, size, "%s", parts.names[2]);
	return true;
}

/* --- what the loaded policy lets the hook do ---------------------------------------------------------- */

/*
 * ask() - one question to the policy that the kernel has loaded
 * @what:	"create": the label of what @source makes; "access": what @source may do
 *
 * ABI: Linux 6.12 security/selinux/selinuxfs.c, sel_write_create(), sel_write_access(): both read
 * "SOURCE TARGET CLASS", the class by its number
 */
static int ask(int rootfd, const char *what, const char *source, const char *target,
	       const char *class, char *buf, size_t size)
{
	char path[128], question[2 * LABEL_MAX + 32];
	unsigned long long nr;
	int r = path_format(path, sizeof(path), "sys/fs/selinux/class/%s/index", class);

	if (r == 0)
		r = attr_read_ull(rootfd, path, &nr);
	if (r == 0)
		r = path_format(question, sizeof(question), "%s %s %llu", source, target, nr);
	if (r == 0)
		r = path_format(path, sizeof(path), "sys/fs/selinux/%s", what);
	return r < 0 ? r : attr_ask(rootfd, path, question, buf, size);
}

/* "ALLOWED DECIDED AUDITALLOW AUDITDENY SEQNO FLAGS", all but the number in hex. Return: 0, -EBADMSG */
static int parse_access(const char *answer, unsigned int *allowed, unsigned int *flags)
{
	_cleanup_strlist_ struct strlist words = { 0 };

	if (text_split(answer, " ", &words) < 0 || words.nr < 6 ||
	    parse_uint(words.names[0], 16, UINT_MAX, allowed) < 0 ||
	    parse_uint(words.names[5], 16, UINT_MAX, flags) < 0)
		return -EBADMSG;
	return 0;
}

/* Return: 1 a process of that label may, or is only reported; 0 it may not, else -errno */
static int may_write(int rootfd, const char *domain, const char *target)
{
	unsigned int allowed, flags;
	unsigned long long bit;
	char answer[128];
	int r = attr_read_ull(rootfd, "sys/fs/selinux/class/file/perms/write", &bit);

	if (r == 0)
		r = ask(rootfd, "access", domain, target, "file", answer, sizeof(answer));
	if (r >= 0)
		r = bit < 1 || bit > 32 ? -EBADMSG : parse_access(answer, &allowed, &flags);
	if (r < 0)
		return r;
	return (flags & PERMISSIVE) || (allowed & 1U << (bit - 1));
}

static int label_of_hook(const struct check *check, char *buf, size_t size)
{
	char program[PATH_MAX];

	if (label_of(check->rootfd, HOOKDIR_HOOK, buf, size) == 0 ||
	    label_of(check->rootfd, HOOKDIR_BESIDE, buf, size) == 0)
		return 0;
	(void)snprintf(program, sizeof(program), "%s/usher-hook", check->request->dir + 1);
	return label_of(check->rootfd, program, buf, size);
}

/*
 * hook_may_write() - may what the daemon runs as its hook change the kernel's settings
 * @daemon:	its label
 * @domain:	set to the hook's
 *
 * A module of the host's own may give the hook a domain of its own: so it is asked for.
 *
 * Return: as may_write()
 */
static int hook_may_write(const struct check *check, const char *daemon, char *domain, size_t size)
{
	char hook[LABEL_MAX], target[LABEL_MAX];
	int r = label_of_hook(check, hook, sizeof(hook));

	if (r == 0)
		r = ask(check->rootfd, "create", daemon, hook, "process", domain, size);
	if (r >= 0)
		r = label_of(check->rootfd, "sys/bus/pci", target, sizeof(target));
	return r < 0 ? r : may_write(check->rootfd, domain, target);
}

/* Return: the daemon's name, NULL when none runs */
static const char *daemon_label(int rootfd, char **ret)
{
	struct process process = { 0 };
	const char *name = NULL;
	char path[64];
	size_t len;

	(void)!daemon_find(rootfd, &name, &process);
	(void)snprintf(path, sizeof(path), "proc/%d/attr/current", (int)process.pid);
	if (!name || attr_read_all(rootfd, path, LABEL_MAX, ret, &len) < 0) {
		*ret = strdup(VIRTQEMUD);
		return NULL;
	}
	return name;
}

/*
 * check_domain() - is libvirt's hook confined
 *
 * It stays in virtqemud's domain, which may not write to /sys. libvirtd's is unconfined. The
 * boolean virt_hooks_unconfined is for virtnetworkd's hooks alone.
 * Source: Fedora's selinux-policy fd1d996 (2024-10), virt.te: corecmd_exec_bin(virtqemud_t) and
 * dev_read_sysfs(virtqemud_t), permissive virtqemud_t then; unconfined_domain(virtd_t);
 * domtrans_pattern(virtnetworkd_t, virt_hook_t, virt_hook_unconfined_t)
 */
static void check_domain(struct check *check)
{
	_cleanup_free_ char *daemon = NULL;
	const char *name = daemon_label(check->rootfd, &daemon);
	char domain[LABEL_MAX], type[LABEL_MAX];
	int r = daemon ? hook_may_write(check, daemon, domain, sizeof(domain)) : -ENOMEM;

	if (r > 0)
		return;
	if (r < 0 || !type_of(domain, type, sizeof(type)))
		found(check, LEVEL_WARNING,
		      "SELinux enforces, and its policy cannot be asked (%s): if guests do not "
		      "start under virtqemud: semanage permissive -a virtqemud_t",
		      strerror(r < 0 ? -r : EBADMSG));
	else if (name)
		found(check, LEVEL_ERROR,
		      "SELinux runs %s's hook as %s, which may not write to /sys, so usher can "
		      "change nothing: semanage permissive -a %s",
		      name, type, type);
	else
		found(check, LEVEL_WARNING,
		      "SELinux runs virtqemud's hook as %s, which may not write to /sys: where "
		      "virtqemud is this host's daemon, and not libvirtd: semanage permissive -a "
		      "%s",
		      type, type);
}

/* --- the files' labels ------------------------------------------------------------------------------- */

/*
 * is_restored() - is a file of a type that restorecon would give it
 *
 * Source: Fedora's selinux-policy, corecommands.fc (programs are bin_t), virt.fc (what lies in
 * hooks/ is virt_hook_t). What was moved or copied there with its label is still of its old place:
 * user_home_t, admin_home_t, user_tmp_t.
 */
static bool is_restored(const char *type)
{
	return strcmp(type, "bin_t") == 0 || strcmp(type, "virt_hook_t") == 0;
}

/* Return: true when it was said */
static bool check_label(struct check *check, const char *path)
{
	char label[LABEL_MAX], type[LABEL_MAX];

	if (label_of(check->rootfd, path, label, sizeof(label)) < 0 ||
	    !type_of(label, type, sizeof(type)) || is_restored(type))
		return false;
	found(check, LEVEL_WARNING,
	      "SELinux enforces, and /%s is of type %s, so libvirt may be kept from running it: "
	      "restorecon -Rv /etc/libvirt/hooks %s/usher*",
	      path, type, check->request->dir);
	return true;
}

/* A link is looked at where it leads; the cure for one is that for all */
static void check_labels(struct check *check)
{
	if (check_label(check, HOOKDIR_HOOK) || check_label(check, HOOKDIR_BESIDE))
		return;
	for (size_t i = 0; i < nr_steps; i++) {
		char path[PATH_MAX];

		if (path_format(path, sizeof(path), "%s/usher-%s", check->request->dir + 1,
				steps[i].name) == 0 &&
		    check_label(check, path))
			return;
	}
}

void check_selinux(struct check *check)
{
	unsigned long long enforce = 0;

	if (attr_read_ull(check->rootfd, "sys/fs/selinux/enforce", &enforce) < 0 || !enforce)
		return;
	check_domain(check);
	check_labels(check);
}
