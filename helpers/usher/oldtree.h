/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/oldtree.h - what an older tree of scripts, in the way of VFIO-Tools, has to tell */
#pragma once

#include <stdio.h>

#include "../../lib/text.h"

struct oldtree {
	struct strlist paths;	     /* below the root, each a script */
	struct strlist devices;	     /* PCI addresses that they name, or libvirt's node devices */
	char guest_input[8];	     /* of the monitor, before the guest runs; "": none named */
	char host_input[8];	     /* when it is gone */
	const char *display_manager; /* the script that stops it, one of paths; NULL: none */
};

void oldtree_free(struct oldtree *tree);
#define _cleanup_oldtree_ _cleanup_(oldtree_free)

/**
 * oldtree_read() - all that lies below etc/libvirt/hooks/qemu.d/GUEST
 *
 * A file that is none to be read, or is root's to read, tells nothing.
 *
 * Return: 0 (also when there is none), -ENOMEM, -EIO
 */
int oldtree_read(int rootfd, const char *guest, struct oldtree *ret) _must_check_;

/**
 * oldtree_put() - the policy's [scripts]: each script, and what it does that usher does too
 *
 * Return: 0, -ENOMEM, -EIO
 */
int oldtree_put(FILE *to, int rootfd, const char *guest, const struct oldtree *tree) _must_check_;
