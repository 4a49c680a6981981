/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_selinux.c - usher check: does SELinux let libvirt run the hook */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "../../lib/attr.h"
#include "../../lib/hookdir.h"
#include "../../lib/step.h"
#include "check.h"

#define LABEL "security.selinux"

static void check_boolean(struct check *check)
{
	char boolean[32];

	if (attr_read(check->rootfd, "sys/fs/selinux/booleans/virt_hooks_unconfined", boolean,
		      sizeof(boolean)) < 0)
		found(check, LEVEL_WARNING,
		      "SELinux enforces and its policy has no virt_hooks_unconfined: if a guest "
		      "does not start, see ausearch -m avc -c rpc-virtqemud");
	else if (*boolean != '1')
		found(check, LEVEL_ERROR,
		      "SELinux keeps libvirt's hooks confined, so usher can change nothing: "
		      "setsebool -P virt_hooks_unconfined on");
}

/*
 * may_run() - is a file of this type one that libvirt's daemons may execute
 *
 * Source: Fedora's selinux-policy, corecommands.fc (programs are bin_t), virt.fc (what lies in
 * hooks/ is virt_hook_t) and virt.te (virtqemud_t may execute bin_t). What was moved or copied
 * there with its label is still of its old place: user_home_t, admin_home_t, user_tmp_t.
 */
static bool may_run(const char *type)
{
	return strcmp(type, "bin_t") == 0 || strcmp(type, "virt_hook_t") == 0;
}

/* "system_u:object_r:bin_t:s0". Return: false for a file that is not there, or has no label */
static bool type_of(int rootfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, path, O_RDONLY | O_NONBLOCK);
	_cleanup_strlist_ struct strlist parts = { 0 };
	char label[256];
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, LABEL, label, sizeof(label) - 1);

	if (n <= 0)
		return false;
	label[n] = '\0';
	if (text_split(label, ":", &parts) < 0 || parts.nr < 3)
		return false;
	(void)snprintf(buf, size, "%s", parts.names[2]);
	return true;
}

/* Return: true when it was said that libvirt may not run it */
static bool check_label(struct check *check, const char *path)
{
	char type[64];

	if (!type_of(check->rootfd, path, type, sizeof(type)) || may_run(type))
		return false;
	found(check, LEVEL_WARNING,
	      "SELinux enforces, and /%s is of type %s, which libvirt may not run: restorecon -Rv "
	      "/etc/libvirt/hooks %s/usher*",
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
	check_boolean(check);
	check_labels(check);
}
