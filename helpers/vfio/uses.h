/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/uses.h - what the host does with disks and network interfaces */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/text.h"

/* proc's tables that a look needs, each read once */
struct use_tables {
	char *mounts, *swaps, *route, *route6, *inet6, *pppoe;
};

void use_tables_free(struct use_tables *tables);
#define _cleanup_use_tables_ _cleanup_(use_tables_free)

/** use_tables_read() - Return: 0, -ENOMEM, else as attr_read_all() */
int use_tables_read(int rootfd, struct use_tables *tables) _must_check_;

/* What one look works on, and fills in */
struct use_look {
	int rootfd;
	const struct use_tables *tables;
	bool force;	   /* uses that cost the host no data and no network are passed over */
	const char *keeps; /* what ends a disk's text: how a device given back is not taken anew */
	char *text;	   /* "holds sdb1, mounted on /home: unmount it first" */
	size_t size;
};

/* What a line of a table is looked for by, and what it says of it */
struct use_wanted {
	const char *name;   /* kernel name: "nvme0n1p2", "eth0" */
	const char *number; /* of a disk: "259:2" */
	char use[256];	    /* "/home" */
};

/**
 * use_table_find() - the first line of a table that a match accepts
 * @match:	gets the line's words, and fills in the use
 *
 * Return: 1, 0 no line, -ENOMEM
 */
int use_table_find(const char *table,
		   bool (*match)(const struct strlist *words, struct use_wanted *wanted),
		   struct use_wanted *wanted) _must_check_;

/**
 * disk_use() - what the host does with a disk or partition, and with what is stacked on it
 *
 * Mounted; swap; member of a btrfs file system of several devices; part of md, LVM, dm-crypt,
 * multipath, bcache; under a loop device. Whole disks' partitions are not looked at.
 *
 * Return: 1 with the text filled, 0 nothing, -ELOOP, -ENOMEM, else -errno
 */
int disk_use(const struct use_look *look, const char *name) _must_check_;

/**
 * disks_use_by_kernel() - what only the kernel knows: ZFS, and whatever claims a disk for itself
 * @names:	the kernel's, partitions before their disks
 *
 * Asked last, when disk_use() has found nothing on the disks and their partitions: they are opened
 * for it. One that does not come back from that is said to be in use, too.
 *
 * Return: as disk_use()
 */
int disks_use_by_kernel(const struct use_look *look, const struct strlist *names) _must_check_;

/**
 * net_use() - what the host does with a network interface, and with what is stacked on it
 * @name:	"" for one of another network namespace
 *
 * A default route, that of a PPPoE session or of an Open vSwitch bridge too, and a guest's macvtap:
 * always. Another namespace's: not by force. Membership in a bridge, a bond or the like: not when a
 * network manager has both. Addresses, being up, another MTU: not when a network manager brings them
 * back (net_manager()), being up also when one has every interface up that it manages.
 *
 * Return: 1 with the text filled, 0 nothing, -ELOOP, -ENOMEM, else -errno
 */
int net_use(const struct use_look *look, const char *name) _must_check_;

/**
 * net_manager() - who configures an interface: "systemd-networkd", "NetworkManager"
 *
 * One that does not run brings nothing back.
 *
 * Return: NULL when nobody does
 * Seen on: systemd 252 to 257, run/systemd/netif/links; NetworkManager 1.42, run/NetworkManager
 */
const char *net_manager(int rootfd, const char *name);
