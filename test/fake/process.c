/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/process.c - the tree's own processes first, else this machine's: the hook is a real one */
#include <limits.h>

#include "fake.h"

static bool in_tree(pid_t pid)
{
	char path[PATH_MAX];

	tree_path(path, "proc/%d/stat", (int)pid);
	return tree_has(path);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret);
int __wrap_process_alive(int rootfd, const struct process *process);
int __wrap_process_name(int rootfd, pid_t pid, char *buf, size_t size);

int __wrap_process_identify(int rootfd, pid_t pid, struct process *ret)
{
	_cleanup_close_ int real = -1;

	if (in_tree(pid))
		return __real_process_identify(rootfd, pid, ret);
	real = __real_root_open("/");
	return real < 0 ? real : __real_process_identify(real, pid, ret);
}

int __wrap_process_alive(int rootfd, const struct process *process)
{
	_cleanup_close_ int real = -1;

	if (process->pid > 0 && in_tree(process->pid))
		return __real_process_alive(rootfd, process);
	real = __real_root_open("/");
	return real < 0 ? real : __real_process_alive(real, process);
}

int __wrap_process_name(int rootfd, pid_t pid, char *buf, size_t size)
{
	_cleanup_close_ int real = -1;

	if (in_tree(pid))
		return __real_process_name(rootfd, pid, buf, size);
	real = __real_root_open("/");
	return real < 0 ? real : __real_process_name(real, pid, buf, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
