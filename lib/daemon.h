/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/daemon.h - the libvirt daemon that runs this host's QEMU guests */
#pragma once

#include "process.h"

/**
 * daemon_find() - virtqemud, where libvirt's daemons are modular, or libvirtd
 * @ret:	its process; may be NULL
 *
 * ABI: libvirt's src/rpc and remote: each writes run/NAME.pid, and its unit is NAME.service
 *
 * Return: its name, NULL when none runs
 */
const char *daemon_find(int rootfd, struct process *ret);

/** daemon_name() - for a message: that of the one that runs, else libvirtd */
const char *daemon_name(int rootfd);
