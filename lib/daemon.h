/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/daemon.h - the libvirt daemon that runs this host's QEMU guests */
#pragma once

#include "process.h"

/**
 * daemon_find() - virtqemud, where libvirt's daemons are modular, or libvirtd
 * @ret_name, @ret:	its name and its process; left as they are when none runs; may be NULL
 *
 * ABI: libvirt's src/rpc and remote: each writes run/NAME.pid, and its unit is NAME.service
 *
 * Return: 1, 0 when none runs, else as attr_read_ull() or process_identify(): it is not known
 */
int daemon_find(int rootfd, const char **ret_name, struct process *ret) _must_check_;

/** daemon_name() - for a message: that of the one that runs, else libvirtd */
const char *daemon_name(int rootfd);
