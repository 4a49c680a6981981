/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/hookdir.h - libvirt's folder of hooks: where usher-hook lies, and older trees of scripts */
#pragma once

#include <stddef.h>

#include "cleanup.h"

#define HOOKDIR_HOOK	"etc/libvirt/hooks/qemu"
#define HOOKDIR_SCRIPTS HOOKDIR_HOOK ".d"

/**
 * hookdir_scripts() - the folder of a guest's own scripts, in the way of VFIO-Tools
 *
 * Return: 0, -EINVAL when no folder can have the guest's name (libvirt defines "." and ".."),
 * -ENAMETOOLONG
 */
int hookdir_scripts(const char *guest, char *buf, size_t size) _must_check_;
