/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/claim.h - what one guest holds of the host: run/usher/UUID/claim.ini */
#pragma once

#include <stdbool.h>

#include "cleanup.h"
#include "ini.h"
#include "pciaddr.h"
#include "process.h"

/*
 * How it works
 *
 * The hook derives the claim once, in `prepare`, and writes it before anything is touched; the
 * helpers read their own section of it and nothing else (hooks/plan.c writes them):
 *
 *	[claim]
 *	format = 1
 *	guest = win11			text_encode()d
 *	uuid = 1b4e28ba-...
 *	state = preparing		preparing handed running ending returning
 *	owner = 812 53321		pid, start time: who keeps the claim alive in that state
 *	required = hugepages vfio seat	steps whose failure refuses the start
 *	ran = yes			since it was running; what only a guest's life leaves behind
 *					is taken back as long as it was not
 *
 *	[vfio]				only when there are devices
 *	timeout_ms = 10000
 *	driver = vfio-pci		or auto: the one made for a device's model
 *	device = 0000:01:00.0 10de:1b80 hostdev unmanaged
 *					address, ids, origin (hostdev interface nvme policy slot),
 *					managed | unmanaged as libvirt sees it; repeated
 *	in_use = force			refuse (when missing) stop-seat force
 *	give_back = vfio		host (when missing) vfio render
 *	reset = flr			auto (when missing) flr bus pm device_specific none
 *	bars = 0:256M 2:8M		BARs and their sizes in the guest
 *	disk = rw /dev/disk/by-id/x sdb	ro rw shared, path, the kernel's name when it is there; repeated
 *	[hugepages]			only when the guest has pages
 *	timeout_ms = 30000
 *	compact = yes
 *	reclaim = caches		none memory caches
 *	move = no
 *	arc = keep			keep shrink
 *	reserve_kib = 524288		when the policy says so
 *	mount = 2048			page size that QEMU takes through a hugetlbfs; repeated
 *	thp_kib = 4194304		memory that transparent huge pages are to back
 *	nodes = 0			host nodes its memory is bound to, with:
 *	cpus = 2-3			CPUs its vCPUs are bound to
 *	device = 0000:01:00.0		repeated
 *	need = 2048 any 512		page size KiB, host node list or any, pages; repeated
 *	give_back = started | release	when the pool goes back down
 *	[cpuset]			only when vCPUs are pinned, or are to be
 *	timeout_ms = 2000
 *	method = auto			auto partition slices plain
 *	pin = auto			cpus and vcpu are chosen by usher-cpuset, from:
 *	vcpus = 8			how many run at the start
 *	threads = 2			of a core, as the guest sees it, when there are several
 *	allowed = 2-15			CPUs the XML lets them run on, when it says so
 *	nodes = 0			its memory is bound to, when it is
 *	device = 0000:01:00.0		repeated
 *	cpus = 2-3			the CPUs held exclusively
 *	vcpu = 0 2			vCPU, CPU list; repeated
 *	partition = /machine/gpu	text_encode()d <resource><partition>, when given
 *	emulator = 0-1			when given
 *	iothread = 1 0-1		id, CPU list; repeated
 *	float = 2 0-3			vCPU without a pin beside others that have one, and the CPUs the
 *					XML lets it run on, when it says so; repeated
 *	governor = performance		each of these only when the policy says so
 *	energy_preference = performance
 *	wake_latency_us = 50		0: no latency at all
 *	emulator_sched = fifo:1		as sched_parse()
 *	stat_interval = 60		seconds, at least, for vm.stat_interval; unless quiet = no, as
 *	cursor_blink = 0		nor does the text console's cursor blink
 *	watchdog = no			nor does the watchdog of soft lockups look at its CPUs
 *	pressure = no			the vCPUs' groups count none
 *	[display], [display NAME]	one per monitor
 *	monitor = DEL:a0c4:JK9X		EDID manufacturer:product:serial, later parts may be left
 *					out; or a connector: card0-DP-1
 *	guest_input = 17		VCP 0x60 values, decimal
 *	host_input = 15
 *	source_address = 81		decimal, 0x51 by the standard
 *	delay_ms = 2000
 *	timeout_ms = 15000
 *	shared = no			only when the policy says so
 *	[nosleep]
 *	inhibit = sleep			logind's words, colon-separated
 *	mode = block			block delay
 *	[scripts]			only when they are to be run
 *	run = yes
 *	timeout_ms = 30000		each
 *	[seat]				only when a device the host shows its screen on is claimed
 *	release = auto			auto yes no
 *	device = 0000:01:00.0		repeated
 *
 * Everything in it is checked again on reading: a claim that is not ours, or does not parse,
 * is refused and nothing is touched.
 */

#define CLAIM_FORMAT 1
#define CLAIM_FILE   "claim.ini"
#define UUID_STRLEN  37

enum claim_state {
	CLAIM_PREPARING, /* owner: the hook */
	CLAIM_HANDED,	 /* owner: the libvirt daemon */
	CLAIM_RUNNING,	 /* owner: QEMU */
	CLAIM_ENDING,	 /* owner: the libvirt daemon */
	CLAIM_RETURNING, /* owner: the process that gives back */
};

struct claim {
	char *guest;
	char uuid[UUID_STRLEN];
	enum claim_state state;
	struct process owner;
	struct inidoc doc;
};

void claim_free(struct claim *claim);
#define _cleanup_claim_ _cleanup_(claim_free)

/** uuid_valid() - 8-4-4-4-12 hex digits, lower case as libvirt prints them. Return: 1 or 0 */
int uuid_valid(const char *uuid);

/** claim_state_name() - "preparing" */
const char *claim_state_name(enum claim_state state);

/**
 * claim_init() - a new claim in state preparing
 *
 * Return: 0, -EINVAL for a malformed uuid, -ENOMEM
 */
int claim_init(struct claim *claim, const char *uuid, const char *guest,
	       const struct process *owner) _must_check_;

/**
 * claim_parse() - from text, checked
 *
 * Return: 0, -EBADMSG with @err filled (also for an unknown format), -ENOMEM
 */
int claim_parse(const char *text, size_t len, struct claim *ret, struct ini_error *err)
	_must_check_;

/**
 * claim_load() - read run/usher/UUID/claim.ini
 * @statefd:	from state_open()
 *
 * Return: 0, -ENOENT, -EPERM when it is not root's alone, -EBADMSG when it does not parse or names
 * another uuid (@err filled), else -errno
 */
int claim_load(int statefd, const char *uuid, struct claim *ret, struct ini_error *err)
	_must_check_;

/**
 * claim_store() - write the claim atomically, its directory made when missing
 *
 * Return: 0, else -errno; the old claim is whole then
 */
int claim_store(int statefd, struct claim *claim) _must_check_;

/** claim_has_run() - has there been a running guest of this claim */
bool claim_has_run(const struct claim *claim);

/** claim_set_state() - claim_store() with a new state and owner. Return: as claim_store() */
int claim_set_state(int statefd, struct claim *claim, enum claim_state state,
		    const struct process *owner);

struct claim_device {
	struct pciaddr addr;
	struct pciid id;
	char origin[16];
	bool managed; /* libvirt binds it itself when it is not on vfio yet */
};

/**
 * claim_device_parse() - one [vfio] device value
 *
 * Return: 0, -EBADMSG
 */
int claim_device_parse(const char *value, struct claim_device *ret) _must_check_;

/** claim_has_device() - is a PCI device among those of its [vfio] */
bool claim_has_device(const struct claim *claim, const struct pciaddr *addr);

/* A disk of the host that the guest gets without PCI */
struct claim_disk {
	char *path;
	char name[64]; /* the kernel's, "" when it was not there */
	bool writes;
	bool shareable; /* others may write too */
};

void claim_disk_free(struct claim_disk *disk);
#define _cleanup_claim_disk_ _cleanup_(claim_disk_free)

/**
 * claim_disk_parse() - one [vfio] disk value
 *
 * Return: 0, -EBADMSG, -ENOMEM
 */
int claim_disk_parse(const char *value, struct claim_disk *ret) _must_check_;

/** claim_int() - a decimal number of a section, @fallback when it is missing or no number */
int claim_int(const struct claim *claim, const char *section, const char *key, int fallback);
