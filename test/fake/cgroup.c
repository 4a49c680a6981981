/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/cgroup.c - groups come and go, controllers are switched on, processes move */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/text.h"
#include "fake.h"

#define CGROUP "sys/fs/cgroup"

/* What the cpuset controller adds to a group that is not the root */
static const char *const cpuset_files[][2] = {
	{ "cpuset.cpus", "" },
	{ "cpuset.cpus.effective", "" },
	{ "cpuset.cpus.partition", "member" },
	{ "cpuset.mems", "" },
	{ "cpuset.mems.effective", "" },
};
/* Since Linux 6.7 */
static const char *const exclusive_files[][2] = {
	{ "cpuset.cpus.exclusive", "" },
	{ "cpuset.cpus.exclusive.effective", "" },
};

static void dir_of(const char *path, char *buf, size_t size)
{
	tree_format(buf, size, "%.*s", (int)(strrchr(path, '/') - path), path);
}

static void put_below(const char *dir, const char *name, const char *value)
{
	char path[PATH_MAX];

	tree_path(path, "%s/%s", dir, name);
	if (!tree_has(path))
		(void)tree_put(path, value);
}

static void remove_below(const char *dir, const char *name)
{
	char path[PATH_MAX];

	tree_path(path, "%s/%s", dir, name);
	(void)tree_remove(path);
}

static bool has_word(const char *path, const char *word)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	char text[ATTR_MAX];

	return tree_get(path, text, sizeof(text)) >= 0 && text_split(text, " ", &words) == 0 &&
	       strlist_has(&words, word);
}

/* Controllers are listed in one order: cpuset is the first */
static int control_change(const char *path, const char *word, bool on)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	char text[ATTR_MAX], out[ATTR_MAX] = "";
	size_t len = 0;

	if (tree_get(path, text, sizeof(text)) < 0 || text_split(text, " ", &words) < 0)
		return -ENOMEM;
	if (on)
		len = (size_t)snprintf(out, sizeof(out), "%s", word);
	for (size_t i = 0; i < words.nr && len < sizeof(out); i++)
		if (strcmp(words.names[i], word) != 0)
			len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s",
						len ? " " : "", words.names[i]);
	return tree_put(path, out);
}

static void cpuset_add(const char *dir)
{
	char mems[ATTR_MAX] = "0", path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cpuset_files); i++)
		put_below(dir, cpuset_files[i][0], cpuset_files[i][1]);
	if (tree_has(CGROUP "/cpuset.cpus.isolated"))
		for (size_t i = 0; i < ARRAY_SIZE(exclusive_files); i++)
			put_below(dir, exclusive_files[i][0], exclusive_files[i][1]);
	(void)!tree_get(CGROUP "/cpuset.mems.effective", mems, sizeof(mems));
	remove_below(dir, "cpuset.mems.effective");
	put_below(dir, "cpuset.mems.effective", mems);
	tree_path(path, "%s/cgroup.controllers", dir);
	(void)control_change(path, "cpuset", true);
}

static void cpuset_drop(const char *dir)
{
	char path[PATH_MAX];

	tree_path(path, "%s/cgroup.controllers", dir);
	(void)control_change(path, "cpuset", false);
	for (size_t i = 0; i < ARRAY_SIZE(cpuset_files); i++)
		remove_below(dir, cpuset_files[i][0]);
	for (size_t i = 0; i < ARRAY_SIZE(exclusive_files); i++)
		remove_below(dir, exclusive_files[i][0]);
}

/* Every child directory of a group */
static int each_child(const char *dir, void (*each)(const char *dir))
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = tree_list(dir, &names);

	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		tree_path(path, "%s/%s", dir, names.names[i]);
		if (tree_is_dir(path))
			each(path);
	}
	return r;
}

static bool child_uses_cpuset;

static void note_use(const char *dir)
{
	char path[PATH_MAX];

	tree_path(path, "%s/cgroup.subtree_control", dir);
	child_uses_cpuset |= has_word(path, "cpuset");
}

/* cgroup_subtree_control_write(): -ENOENT when the group lacks it, -EBUSY while a child uses it */
static int control_word(const char *path, const char *word)
{
	bool on = word[0] == '+';
	char dir[PATH_MAX], controllers[PATH_MAX];
	int r;

	if (!on && word[0] != '-')
		return -EINVAL;
	dir_of(path, dir, sizeof(dir));
	tree_path(controllers, "%s/cgroup.controllers", dir);
	if (!has_word(controllers, word + 1))
		return -ENOENT;
	if (strcmp(word + 1, "cpuset") != 0)
		return control_change(path, word + 1, on);
	child_uses_cpuset = false;
	(void)each_child(dir, note_use);
	if (!on && child_uses_cpuset)
		return -EBUSY;
	r = control_change(path, word + 1, on);
	if (r == 0)
		r = each_child(dir, on ? cpuset_add : cpuset_drop);
	return r < 0 ? r : cpuset_update();
}

int cgroup_store_subtree_control(const char *path, const char *value)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(value, " \n", &words);

	for (size_t i = 0; r == 0 && i < words.nr; i++)
		r = control_word(path, words.names[i]);
	return r;
}

int cgroup_enable_cpuset(const char *dir)
{
	char path[PATH_MAX];

	tree_path(path, "%s/cgroup.subtree_control", dir);
	return has_word(path, "cpuset") ? 0 : control_word(path, "+cpuset");
}

/* Scopes in machine.slice, and units with AllowedCPUs, need cpuset; without them systemd drops it */
void cgroup_release_cpuset(void)
{
	_cleanup_strlist_ struct strlist names = { 0 }, units = { 0 };

	(void)!tree_list(CGROUP "/machine.slice", &names);
	for (size_t i = 0; i < names.nr; i++)
		if (strstr(names.names[i], ".scope"))
			return;
	(void)!control_word(CGROUP "/machine.slice/cgroup.subtree_control", "-cpuset");
	(void)!tree_list(".fake/properties", &units);
	for (size_t i = 0; i < units.nr; i++) {
		char path[PATH_MAX];

		tree_path(path, ".fake/properties/%s/AllowedCPUs", units.names[i]);
		if (tree_has(path))
			return;
	}
	(void)!control_word(CGROUP "/cgroup.subtree_control", "-cpuset");
}

/* --- Processes -------------------------------------------------------------------------------------- */

/* Takes @pid out of every group's file of this name */
static void leave(const char *dir, const char *name, const char *pid)
{
	_cleanup_strlist_ struct strlist names = { 0 }, pids = { 0 };
	char path[PATH_MAX], text[ATTR_MAX], out[ATTR_MAX] = "";
	size_t len = 0;

	tree_path(path, "%s/%s", dir, name);
	if (tree_get(path, text, sizeof(text)) > 0 && text_split(text, "\n", &pids) == 0 &&
	    strlist_has(&pids, pid)) {
		for (size_t i = 0; i < pids.nr && len < sizeof(out); i++)
			if (strcmp(pids.names[i], pid) != 0)
				len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s",
							len ? "\n" : "", pids.names[i]);
		(void)tree_put(path, out);
	}
	if (tree_list(dir, &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		tree_path(path, "%s/%s", dir, names.names[i]);
		if (tree_is_dir(path))
			leave(path, name, pid);
	}
}

int cgroup_store_procs(const char *path, const char *value)
{
	char pid[32], text[ATTR_MAX], joined[2 * ATTR_MAX];
	const char *name = strrchr(path, '/') + 1;

	if (path_format(pid, sizeof(pid), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	if (!pid[0] || strspn(pid, "0123456789") != strlen(pid))
		return -EINVAL;
	leave(CGROUP, name, pid);
	if (tree_get(path, text, sizeof(text)) < 0)
		return -ENODEV;
	tree_path(joined, "%s%s%s", text, text[0] ? "\n" : "", pid);
	return tree_put(path, joined);
}

/* --- Groups come and go ------------------------------------------------------------------------------- */

int cgroup_created(const char *path)
{
	char parent[PATH_MAX], file[PATH_MAX], text[ATTR_MAX] = "";

	dir_of(path, parent, sizeof(parent));
	tree_path(file, "%s/cgroup.subtree_control", parent);
	(void)!tree_get(file, text, sizeof(text));
	put_below(path, "cgroup.controllers", text);
	put_below(path, "cgroup.subtree_control", "");
	put_below(path, "cgroup.procs", "");
	put_below(path, "cgroup.threads", "");
	put_below(path, "cgroup.type", "domain");
	if (has_word(file, "cpuset"))
		cpuset_add(path);
	return cpuset_update();
}

/* rmdir(2): the group's own files are no obstacle, its children and processes are */
int cgroup_remove(const char *path)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char below[PATH_MAX], text[ATTR_MAX];
	int r = tree_list(path, &names);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.nr; i++) {
		tree_path(below, "%s/%s", path, names.names[i]);
		if (tree_is_dir(below))
			return -EBUSY;
	}
	tree_path(below, "%s/cgroup.procs", path);
	if (tree_get(below, text, sizeof(text)) > 0)
		return -EBUSY;
	r = tree_remove(path);
	return r < 0 ? r : cpuset_update();
}
