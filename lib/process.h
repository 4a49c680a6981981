/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/process.h - who is alive: pid + start time, command lines, open files */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cleanup.h"

/* A pid alone is reused; with its start time it names one process of this boot */
struct process {
	pid_t pid;
	unsigned long long start_time; /* clock ticks since boot, proc/PID/stat field 22 */
};

/**
 * process_identify() - pid and start time of a living process
 *
 * Return: 0, -ESRCH when there is none (a zombie counts as none), -EBADMSG when stat is unreadable
 * ABI: Documentation/filesystems/proc.rst, table 1-4
 */
int process_identify(int rootfd, pid_t pid, struct process *ret) _must_check_;

/** process_alive() - is this very process still there. Return: 1 yes, 0 no, else -errno */
int process_alive(int rootfd, const struct process *process) _must_check_;

/* 15 bytes of a program's, but a kernel worker's has what it does as well: 63, and the newline.
 * Source: proc_task_name(), fs/proc/array.c */
#define PROCESS_NAME_MAX 64

/** process_name() - proc/PID/comm. Return: 0, -ESRCH, -E2BIG, else -errno */
int process_name(int rootfd, pid_t pid, char *buf, size_t size) _must_check_;

/**
 * process_in_unit() - is it in a unit's control group, or in one below that
 * @unit:	"lightdm.service"
 *
 * ABI: cgroups(7), proc/PID/cgroup: "0::/system.slice/lightdm.service"
 */
bool process_in_unit(int rootfd, pid_t pid, const char *unit);

/** process_describe() - for messages: "Xorg (pid 812)" */
void process_describe(int rootfd, pid_t pid, char *buf, size_t size);

/* Several of them in one message: the first three are named */
struct process_names {
	char text[256]; /* "Xorg (pid 812), firefox (pid 900), mpv (pid 901) and 4 more" */
	size_t nr;	/* also of one that the message has named already */
};

/** process_names_add() - in the order they are to be named */
void process_names_add(struct process_names *names, int rootfd, pid_t pid);

/** process_names_end() - when all are there: "and N more". Return: the text */
const char *process_names_end(struct process_names *names);

/**
 * process_find_name() - a process of that name
 * @name:	as in proc/PID/comm, 15 bytes at most
 *
 * Return: the lowest pid > 0, 0 for none, else -errno
 */
pid_t process_find_name(int rootfd, const char *name) _must_check_;

/**
 * process_named_qemu() - has it a QEMU's usual name: "qemu-system-x86", "qemu-kvm", "kvm"
 *
 * An emulator may be called anything, and a process calls itself what it likes.
 */
bool process_named_qemu(int rootfd, pid_t pid);

/**
 * process_find_qemu() - the QEMU of the guest with this uuid
 *
 * libvirt starts it with the words "-uuid", UUID, in a scope of machine.slice or, without cgroups,
 * among its own; what bears the uuid otherwise (virsh start UUID, virt-viewer UUID) or runs in
 * user.slice is somebody else's process.
 *
 * A process that hangs in the kernel cannot be asked: see CMDLINE_MS. It is passed over, unless
 * name or cgroup say that it may be a guest, and not asked again for ten seconds.
 *
 * Return: the lowest such pid > 0, 0 when there is none, -ETIMEDOUT when one that may be it cannot
 * be asked, or too many, else -errno
 */
pid_t process_find_qemu(int rootfd, const char *uuid) _must_check_;

/**
 * process_has_arg() - is @arg one whole word of its command line
 *
 * Return: 1 or 0, -ETIMEDOUT when it hangs in the kernel, else -errno
 */
int process_has_arg(int rootfd, pid_t pid, const char *arg) _must_check_;

/**
 * process_find_open() - a process that holds one of these files open
 * @paths:	absolute, as proc/PID/fd/N shows them: "/dev/vfio/12"; of a device also
 *		"/dev/char/226:1", "/dev/block/8:16", which need not be there
 *
 * One that names a device is found by its number, by whatever path it was opened. Our own process
 * is left out.
 *
 * Return: the lowest such pid > 0, 0 when there is none, else -errno
 */
pid_t process_find_open(int rootfd, const char *const *paths, size_t nr) _must_check_;

/**
 * process_find_writer() - process_find_open(), but only who has one open for writing
 *
 * ABI: proc_pid_fd(5): the owner's write bit of the link tells
 */
pid_t process_find_writer(int rootfd, const char *const *paths, size_t nr) _must_check_;

/** process_find_open_after() - process_find_open() among those with a pid above @pid */
pid_t process_find_open_after(int rootfd, const char *const *paths, size_t nr, pid_t pid)
	_must_check_;
