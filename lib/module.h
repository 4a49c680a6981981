/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/module.h - kernel modules */
#pragma once

#include "cleanup.h"

/**
 * module_loaded() - is a module there, loaded or built in
 * @name:	"vfio-pci"; '-' and '_' are the same
 *
 * Return: 1 yes, 0 no (a built-in module without parameters may read as no), else -errno
 */
int module_loaded(int rootfd, const char *name) _must_check_;

/**
 * module_load() - modprobe it unless it is there
 *
 * Runs /sbin/modprobe with the deadline; it is killed past it, which does not
 * free a modprobe that hangs inside the kernel.
 *
 * Return: 0, -ETIMEDOUT, -ENOENT when modprobe knows no such module or is missing itself, -EPERM
 * when the kernel refuses it (lockdown, signature), -EIO for any other failure
 */
int module_load(int rootfd, const char *name, int timeout_ms) _must_check_;

/**
 * module_unload() - take one module out of the kernel, unless somebody uses it
 *
 * Made by the caller itself: the module's exit can sleep in the kernel for ever.
 *
 * Return: 0 (also when it is not loaded), -EBUSY while it is in use, else -errno
 * ABI: delete_module(2) with O_NONBLOCK
 */
int module_unload(int rootfd, const char *name) _must_check_;
