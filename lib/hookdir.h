/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hookdir.h - libvirt's folder of hooks: where usher-hook lies, and older trees of scripts */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"
#include "text.h"

#define HOOKDIR_HOOK	"etc/libvirt/hooks/qemu"
#define HOOKDIR_SCRIPTS HOOKDIR_HOOK ".d"
/* Where install.sh and the package put usher-hook beside another hook */
#define HOOKDIR_BESIDE HOOKDIR_SCRIPTS "/usher"

/* The beginning of usher-hook's help, by which install.sh too knows the program under any name. It
 * goes on with ';' there */
#define HOOKDIR_MARK "usher: this is libvirt's hook for QEMU guests"

/**
 * hookdir_scripts() - the folder of a guest's own scripts, in the way of VFIO-Tools
 *
 * Return: 0, -EINVAL when no folder can have the guest's name (libvirt defines "." and ".."),
 * -ENAMETOOLONG
 */
int hookdir_scripts(const char *guest, char *buf, size_t size) _must_check_;

/**
 * hookdir_is_place() - is this path of a guest's scripts one that usher-hook runs scripts from:
 * OPERATION/SUBOPERATION, a script itself, or with scripts in it
 */
bool hookdir_is_place(const char *guest, const char *path);

/**
 * hookdir_is_usher() - is a file usher-hook: a link of that name, or a copy of whatever version
 *
 * Nothing is run to find out.
 *
 * Return: 1 it is, 0 it is something else, -ENOENT there is nothing, -EACCES that is root's to know,
 * else -errno
 */
int hookdir_is_usher(int rootfd, const char *path) _must_check_;

/**
 * hookdir_is_other() - is a copy of usher-hook another build than the program
 * @dir:	where the program is
 *
 * A copy stays what it is when the helpers that it runs are replaced; a link does not.
 *
 * Return: false also when it cannot be told
 */
bool hookdir_is_other(int rootfd, const char *path, const char *dir);

/** hookdir_can_run() - would libvirt run it: an executable file, or a link to one */
bool hookdir_can_run(int rootfd, const char *path);

/**
 * hookdir_runs_script() - does usher-hook run that file of a guest's own scripts
 * @ret_why:	when it refuses to: the reason and its cure, "others may write it: chmod go-w /etc/...";
 *		allocated, NULL without memory
 *
 * The file and every folder on the way to it must be root's alone to write; those of a link's
 * target too. So nobody else can have another file run between this and execve(2), which takes a
 * path: a script's interpreter opens it anew.
 *
 * Return: 1 it does, 0 it does not (no file, or its owner may not execute it), -EPERM it refuses to:
 * others could write it, or put another in its place; else -errno: who could cannot be told
 */
int hookdir_runs_script(int rootfd, const char *path, char **ret_why) _must_check_;

/**
 * hookdir_ushers() - where usher-hook is libvirt's hook, in the order in which libvirt runs them
 *
 * hooks/qemu and hooks/qemu.d/usher are meant to be, also when they cannot be run.
 *
 * Return: 0, -EACCES libvirt's folder is root's to read, else -errno
 */
int hookdir_ushers(int rootfd, struct strlist *ret) _must_check_;

/**
 * hookdir_callers() - hooks of somebody else's that are scripts with usher-hook in them, to call it
 *
 * Nothing is run to find out. @ret is added to.
 *
 * Return: as hookdir_ushers()
 */
int hookdir_callers(int rootfd, struct strlist *ret) _must_check_;
