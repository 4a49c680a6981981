/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/cpuset.h - keep the CPUs of a guest's vCPUs free of everybody else */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "../../lib/baseline.h"
#include "../../lib/cleanup.h"
#include "../../lib/cpulist.h"
#include "../../lib/journal.h"
#include "../../lib/library.h"
#include "../../lib/registry.h"
#include "../../lib/text.h"
#include "../helper.h"

/*
 * How it works
 *
 * Three ways, the best that works on this host is taken:
 *
 *	partition	the guest's own vCPU groups become cpuset partitions: the kernel itself
 *			keeps tasks, kernel threads and unbound work off their CPUs
 *	slices		systemd's AllowedCPUs on system.slice, user.slice and init.scope
 *	plain		cpuset.cpus of the top-level groups but the guests'
 *
 * What belongs to the guest alone (its groups) dies with its scope. What guests share (the
 * cpuset.cpus.exclusive of machine.slice, the slices' AllowedCPUs) is a setting: its value is
 * always computed anew, from the baseline and the shares of the live guests. A guest's shares
 * stand in its journal, written before the setting is touched:
 *
 *	pin GROUP OLD CPUS		a vCPU's group had the cpuset.cpus OLD (pin = auto)
 *	guest GROUP "" LAYOUT		the guest's own groups, GROUP holds emulator and vcpuN
 *	exclusive GROUP "" CPUS		its CPUs are in GROUP's cpuset.cpus.exclusive
 *	slice UNIT "" CPUS		its CPUs are not in UNIT's AllowedCPUs
 *	plain GROUP "" CPUS		its CPUs are not in GROUP's cpuset.cpus
 *	workqueue PATH "" CPUS		nor in the mask of unbound work
 *	irq all "" CPUS			interrupts that can be moved go elsewhere: irq.h
 *	mask PATH "" CPUS		and so do those to come
 *	governor, energy, latency OBJECT "" VALUE	speed.c
 *	sched "TID STARTTIME" OLD NEW	threads.c
 *
 * apply and undo work under the lock of the baseline "cpuset" from the first read to the last
 * write, so that no two guests compute from the same old value. A failed apply is taken back by
 * the same code as undo.
 */

/* Where cgroup v2 is mounted, below the root, when libcgroup is not asked */
#define CGROUP_MOUNT "sys/fs/cgroup"

/* One line for the user: why a way cannot be taken or has failed */
#define WHY_MAX 512

/* How a guest's CPUs can be partitioned */
enum layout {
	LAYOUT_NONE,	 /* not at all */
	LAYOUT_ISOLATED, /* each vCPU its own CPU, each an isolated partition */
	LAYOUT_ROOT,	 /* all in one, balanced inside */
};

/*
 * A group beside the pinned vCPUs': "emulator" and "iothread1" with CPUs of their own, and the "vcpu2"
 * of a vCPU without a pin
 */
struct side_pin {
	char group[24];
	struct cpulist cpus; /* of a vCPU that may run anywhere: empty */
	bool floats;	     /* it is such a vCPU */
};

struct vcpu_pin {
	unsigned int vcpu;
	struct cpulist cpus;
};

struct pins {
	struct cpulist cpus; /* what the guest holds exclusively */
	struct vcpu_pin *vcpus;
	size_t nr_vcpus;
	struct side_pin *sides;
	size_t nr_sides;
	bool automatic; /* pin = auto: chosen by us, and ours to write; no vCPU: not chosen yet */
};

/* What one other guest has announced in its journal */
struct share {
	char *verb;
	char *object;
	char *value;
	struct cpulist cpus; /* empty when the value is no list */
	bool alive;	     /* false: the guest is dead and not yet undone */
};

struct shares {
	struct share *list;
	size_t nr;
};

/* The cgroups of a guest: MOUNT/GUEST is the topmost that is its own */
struct guest_groups {
	char base[PATH_MAX];  /* holds emulator and vcpuN, relative to the mount */
	char guest[PATH_MAX]; /* base itself, or its parent when base is named "libvirt" */
};

struct cpuset_job {
	struct helper_ctx *ctx;
	struct pins pins;
	struct journal journal;
	struct baseline baseline;
	struct claims claims; /* of all guests, this one's too */
	struct shares others;
	const char *unread; /* uuid of one whose claim cannot be read and who has shares; or NULL */
	bool ahead;	    /* a dry run before the guest runs: groups_foretell() */
	char mount[PATH_MAX]; /* of the cpuset controller's hierarchy, "" until looked up */
	char why[WHY_MAX];
	bool cured; /* why says what to do about it */
};

#define JOB_INIT(helper_ctx_)                                                                      \
	{                                                                                          \
		.ctx = (helper_ctx_), .journal = { .fd = -1 },                                     \
		.baseline = { .lockfd = -1, .dirfd = -1 },                                         \
	}

/* A setting that several guests share */
struct setting_kind {
	const char *verb;
	bool takes; /* the guests' CPUs are taken out of the value, else put in */
	bool top;   /* it is a top-level group, and has no CPU that a partition has */
	/* The value now, empty when not set. Return: 0, -ENOENT when the object is gone */
	int (*read)(struct cpuset_job *job, const char *object, struct cpulist *ret);
	int (*write)(struct cpuset_job *job, const char *object, const struct cpulist *value);
	/* Does the kernel have it so, when the value says so; NULL: of course */
	bool (*holds)(const struct cpuset_job *job, const char *object,
		      const struct cpulist *value);
	/* CPUs of @base that are to be taken out, too, though no guest holds them; NULL: none */
	void (*add_foreign)(struct cpuset_job *job, const struct cpulist *base,
			    struct cpulist *held);
	/* The value is somebody else's from now on; NULL: nothing more to know. Return: 0, -errno */
	int (*adopt)(struct cpuset_job *job, const char *object);
	/* Back to "not set". Return: 0, 1 when it cannot be for now, which was said, else -errno */
	int (*reset)(struct cpuset_job *job, const char *object);
};

extern const struct setting_kind setting_exclusive, setting_slice, setting_plain, setting_mask;

/* --- pins.c: the claim's section --- */

void pins_free(struct pins *pins);
#define _cleanup_pins_ _cleanup_(pins_free)

/**
 * pins_parse() - read the claim's [cpuset] section
 * @why:	filled on -EBADMSG, WHY_MAX bytes
 *
 * With pin = auto there may be no CPUs yet.
 *
 * Return: 0, -EBADMSG for a list or number that does not parse, no CPUs, a vCPU named twice or
 * pinned outside of the CPUs, -ENOMEM
 */
int pins_parse(const struct claim *claim, struct pins *ret, char *why) _must_check_;

/** pins_add_vcpu() - one more, within the CPUs. Return: 0, -EBADMSG, -ENOMEM */
int pins_add_vcpu(struct pins *pins, const struct vcpu_pin *pin) _must_check_;

/** pins_add_side() - one more group beside the vCPUs'. Return: 0, -ENOMEM */
int pins_add_side(struct pins *pins, const struct side_pin *pin) _must_check_;

/**
 * pins_layout() - how these pins can be partitioned
 * @why:	WHY_MAX bytes; what stands in the way of something better, "" when nothing does
 *
 * The kernel refuses an isolated partition whose CPU another group beside it may use, and inside
 * a partition of the whole guest no pin to a CPU outside has an effect.
 *
 * Seen on: Linux 6.12.107, "isolated invalid (Cpu list in cpuset.cpus not exclusive)"
 */
enum layout pins_layout(const struct pins *pins, char *why);

/** layout_name() - what is written to cpuset.cpus.partition: "member", "isolated", "root" */
const char *layout_name(enum layout layout);

/* --- job.c: what apply, undo and check work with --- */

#define _cleanup_job_ _cleanup_(job_close)
void job_close(struct cpuset_job *job);

/**
 * job_open() - lock the shared settings, load the journal and the other guests' shares
 *
 * Who has a claim that cannot be read has shares all the same: its journal tells. In a dry run
 * nothing is locked or made.
 *
 * Return: 0, -ETIMEDOUT when another guest's helper holds the lock too long, else -errno; @job's
 * why is filled
 */
int job_open(struct cpuset_job *job) _must_check_;

/**
 * job_parse() - the claim's section and its method; says what is wrong with it
 *
 * Return: 0, -EBADMSG, -ENOMEM
 */
int job_parse(struct cpuset_job *job, const char **ret_method) _must_check_;

/** job_load_claims() - the claims alone, for a check. Return: 0, else -errno with why */
int job_load_claims(struct cpuset_job *job) _must_check_;

/** job_claim_holds() - is it another live guest's, with CPUs of its own: then @ret has them */
bool job_claim_holds(const struct cpuset_job *job, const struct claim *claim, struct cpulist *ret);

/** job_why() - fill why. Return: @error, so that a caller can return it */
int job_why(struct cpuset_job *job, int error, const char *fmt, ...) _printf_(3, 4);

/**
 * job_why_state() - the same of state that is not used, with the cure where somebody has changed it
 * @dir:	below run/usher, "host" or a uuid
 *
 * Return: @error
 */
int job_why_state(struct cpuset_job *job, int error, const char *dir, const char *file);

/** job_left() - ms until the verb must have ended */
int job_left(const struct cpuset_job *job);

/**
 * job_announce() - one journal record of this verb and object, before anything is written
 *
 * Return: 1 announced now, 0 it was already (by an apply that did not end), else -errno with why
 */
int job_announce(struct cpuset_job *job, const char *verb, const char *object, const char *value)
	_must_check_;

/** job_announce_old() - the same with the value before. Return: as job_announce() */
int job_announce_old(struct cpuset_job *job, const char *verb, const char *object,
		     const char *old_value, const char *value) _must_check_;

/**
 * job_write_aside() - write what may sleep in the kernel, by a child that is left behind then
 *
 * Return: as helper_write(), -ETIMEDOUT after @ms, -ENOMEM, else -errno of fork(2)
 */
int job_write_aside(const struct cpuset_job *job, const char *path, const char *value, int ms)
	_must_check_;

/**
 * job_read_aside() - read what waits for the lock of such a write, by a child, too
 *
 * Return: 0, -ETIMEDOUT after @ms, -ENOMEM, -ENAMETOOLONG, else as attr_read() or -errno of fork(2)
 */
int job_read_aside(const struct cpuset_job *job, const char *path, char *buf, size_t size, int ms)
	_must_check_;

/** job_ask_aside() - write, and read what it has become, by one child. Return: as those two */
int job_ask_aside(const struct cpuset_job *job, const char *path, const char *value, char *buf,
		  size_t size, int ms) _must_check_;

/** job_cpus_text() - a CPU list for a message or a write; "?" when it does not fit */
const char *job_cpus_text(const struct cpulist *cpus, char *buf, size_t size);

/** job_exists() - is there such a file. Return: 1, 0, else -errno; why is filled */
int job_exists(struct cpuset_job *job, const char *path) _must_check_;

/**
 * job_host_cpus() - the kernel's own lists
 * @which:	"online", "possible", "isolated" (by isolcpus= at boot)
 *
 * Return: 0, -EBADMSG, else as attr_read()
 * ABI: Documentation/admin-guide/cputopology.rst
 */
int job_host_cpus(const struct cpuset_job *job, const char *which, struct cpulist *ret)
	_must_check_;

/* --- setting.c: settings that several guests share --- */

/** setting_announce() - write the share into the journal. Return: 0, else as job_announce() */
int setting_announce(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
	_must_check_;

/**
 * setting_check() - would setting_take() leave a CPU in it when guests hold @held; writes nothing
 *
 * Return: 0, -ENOSPC, else -errno; why is filled
 */
int setting_check(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		  const struct cpulist *held) _must_check_;

/**
 * setting_take() - make this guest's share part of a setting
 *
 * Return: 0, -ENOENT when there is no such object, -ENOSPC when no CPU would be left in it, else
 * -errno; why is filled
 */
int setting_take(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
	_must_check_;

/** setting_take_from() - the same of what has just been read. Return: as setting_take() */
int setting_take_from(struct cpuset_job *job, const struct setting_kind *kind, const char *object,
		      const struct cpulist *now) _must_check_;

/**
 * setting_give_back() - compute a setting anew without this guest's share
 *
 * With the last share the setting gets its baseline back and the baseline is forgotten. A value
 * that none of us has written stays, and is said.
 *
 * Return: 0, also when the object is gone, 1 when somebody else's value stays, else -errno; why
 * is filled
 */
int setting_give_back(struct cpuset_job *job, const struct setting_kind *kind, const char *object)
	_must_check_;

/** setting_shared() - does any live guest but this one have a share in it */
bool setting_shared(const struct cpuset_job *job, const struct setting_kind *kind,
		    const char *object);

/**
 * setting_refuse_beside() - has any live guest but this one taken a way that this one's would undo
 * @verb:	that way's
 * @method:	its name
 *
 * Return: 0, -EOPNOTSUPP with why
 */
int setting_refuse_beside(struct cpuset_job *job, const char *verb, const char *method)
	_must_check_;

/** setting_add_shares() - the other live guests' CPUs; @dead: also of those nobody has undone yet */
void setting_add_shares(const struct cpuset_job *job, const char *verb, const char *object,
			bool dead, struct cpulist *set);

/* --- mask.c: sets of CPUs in hexadecimal --- */

#define IRQ_DEFAULT	 "proc/irq/default_smp_affinity"
#define WORKQUEUE_MASK	 "sys/devices/virtual/workqueue/cpumask"
#define WORKQUEUE_WANTED "sys/devices/virtual/workqueue/cpumask_requested"

/** job_parse_mask() - "ff,0000000f". Return: 0, -EBADMSG, -ENOMEM */
int job_parse_mask(const char *text, struct cpulist *ret) _must_check_;

/** job_format_mask() - the same, no more words than it takes. Return: 0, -ENAMETOOLONG */
int job_format_mask(const struct cpulist *set, char *buf, size_t size) _must_check_;

/**
 * workqueue_take() - work that is bound to no CPU does not run on the guest's
 *
 * Return: 0, also on a kernel without the mask, else as setting_take()
 * ABI: Documentation/core-api/workqueue.rst, "Affinity Scopes"
 */
int workqueue_take(struct cpuset_job *job) _must_check_;

/**
 * workqueue_announce() - the share of CPUs that are to be isolated, before they are
 *
 * The kernel itself keeps them out of the mask. The share makes every later write of another guest's
 * helper leave them out, and the last end put them in again.
 *
 * Return: 0, also on a kernel without the mask, else as setting_announce()
 */
int workqueue_announce(struct cpuset_job *job) _must_check_;

/**
 * workqueue_take_isolated() - as workqueue_take(), of CPUs that have been announced and isolated
 *
 * The mask is written only when it has them all the same.
 *
 * Return: as workqueue_take()
 */
int workqueue_take_isolated(struct cpuset_job *job) _must_check_;

/* --- watchdog.c: the kernel's watchdog of soft lockups --- */

/** watchdog_take() - with watchdog = no in the claim it leaves the guest's CPUs; a failure is said */
void watchdog_take(struct cpuset_job *job);

/** watchdog_cpus() - those it sees to; @object: as the journal has it. Return: as job_read_aside() */
int watchdog_cpus(const struct cpuset_job *job, const char *object, struct cpulist *ret)
	_must_check_;

/* --- rcu.c: the kernel's RCU thread --- */

/** rcu_take() - it leaves the guest's CPUs; a failure is said */
void rcu_take(struct cpuset_job *job);

/** rcu_cpus() - of the thread that the journal names. Return: 0, -ENOENT, else as sched_cpus() */
int rcu_cpus(const struct cpuset_job *job, const char *object, struct cpulist *ret) _must_check_;

/* --- irq.c: interrupts --- */

/**
 * irqs_take() - interrupts that can be moved leave the guest's CPUs, and those to come keep off
 *
 * Return: 0, also when some cannot be moved; else -errno with why
 */
int irqs_take(struct cpuset_job *job) _must_check_;

/**
 * irqs_verify() - is what irqs_take() has made of them still so; the journal is open
 *
 * Return: 0, -EINVAL when interrupts may come to the guest's CPUs, else -errno; why is filled
 */
int irqs_verify(struct cpuset_job *job) _must_check_;

/* --- groups.c: cgroups --- */

/**
 * groups_mount() - find where the cpuset controller of cgroup v2 is mounted, into job->mount
 *
 * Return: 0, -EOPNOTSUPP on a host with cgroup v1 or without cpuset; why is filled
 */
int groups_mount(struct cpuset_job *job) _must_check_;

/**
 * groups_of_claim() - the groups of the claim's QEMU, from its /proc/PID/cgroup
 *
 * Never from the guest's name: libvirt filters and cuts it, and `<resource><partition>` moves it.
 *
 * Return: 0, -ESRCH when the guest does not run, -EOPNOTSUPP when its groups are not libvirt's;
 * why is filled
 * ABI: Documentation/admin-guide/cgroup-v2.rst, "/proc/PID/cgroup"
 */
int groups_of_claim(struct cpuset_job *job, const struct claim *claim, struct guest_groups *ret)
	_must_check_;

/**
 * groups_foretell() - from here on this guest's groups are those to come, in a dry run before it runs
 *
 * A scope has the domain's id in its name: it is "<scope>" until then.
 *
 * Return: 0, -EOPNOTSUPP where it is not systemd that makes them, else -errno
 */
int groups_foretell(struct cpuset_job *job) _must_check_;

/** groups_is_name() - is this the path of a group: not empty, none of its parts "", "." or ".." */
bool groups_is_name(const char *path);

/** groups_of_base() - the same from the base alone, as the journal has it. Return: 0, -EBADMSG */
int groups_of_base(const char *base, struct guest_groups *ret) _must_check_;

/**
 * groups_above() - the group in which the guest's lie: that of its QEMU, else the one to come
 * @buf:	PATH_MAX bytes; "" when it is not known, or the root group
 */
void groups_above(struct cpuset_job *job, char *buf);

/**
 * groups_read_bounds() - the CPUs that the groups above the guest have
 *
 * Return: 0, -EOPNOTSUPP as groups_mount(), else as groups_read_cpus()
 */
int groups_read_bounds(struct cpuset_job *job, struct cpulist *ret) _must_check_;

/** groups_read() - one file of a group below job->mount. Return: as attr_read() */
int groups_read(const struct cpuset_job *job, const char *group, const char *file, char *buf,
		size_t size) _must_check_;

/** groups_read_cpus() - a CPU list. Return: 0, -EBADMSG, else as attr_read() */
int groups_read_cpus(const struct cpuset_job *job, const char *group, const char *file,
		     struct cpulist *ret) _must_check_;

/** groups_read_set() - the same; what is only to come with the guest is empty. Return: the same */
int groups_read_set(const struct cpuset_job *job, const char *group, const char *file,
		    struct cpulist *ret) _must_check_;

/** groups_write() - helper_write() to a file of a group. Return: as attr_write(), why is filled */
int groups_write(struct cpuset_job *job, const char *group, const char *file, const char *value)
	_must_check_;

/** groups_write_cpus() - groups_write() of a CPU list. Return: as groups_write() */
int groups_write_cpus(struct cpuset_job *job, const char *group, const char *file,
		      const struct cpulist *cpus) _must_check_;

/** groups_is_side() - is this the name of a group beside the vCPUs': "emulator", "iothread1" */
bool groups_is_side(const char *name);

/**
 * groups_next_ancestor() - the groups above @group from the top down, without the root group
 * @prev:	how much of @group the last call returned, 0 to begin
 * @buf:	PATH_MAX bytes
 *
 * Return: the length of what @buf holds, 0 at the end
 */
size_t groups_next_ancestor(const char *group, size_t prev, char *buf);

/* --- hierarchy.c: libcgroup, which knows only the real root directory --- */

/** hierarchy_is_ours() - is the root directory "/". Return: 1 or 0 */
int hierarchy_is_ours(const struct helper_ctx *ctx);

/**
 * hierarchy_find() - where the cpuset controller is mounted, below the root: "sys/fs/cgroup"
 *
 * Return: 0, -ENOENT when it is mounted nowhere, -EOPNOTSUPP without libcgroup, -ENAMETOOLONG, else
 * -errno
 */
int hierarchy_find(char *buf, size_t size) _must_check_;

/**
 * hierarchy_store() - write one value of one group
 * @group:	relative to the mount
 * @value:	not empty: libcgroup 2.0.2 leaves an empty line out
 *
 * Return: 0, -ENOENT when there is no such group or file, -EOPNOTSUPP without libcgroup, -ENOMEM, else
 * -errno of write(2)
 */
int hierarchy_store(const char *group, const char *file, const char *value) _must_check_;

/* --- The ways --- */

/*
 * Return: 0 done, -EOPNOTSUPP this host or guest is not made for it and nothing was touched,
 * else -errno: failed half-way, the caller takes it back; why is filled
 */
int partition_apply(struct cpuset_job *job) _must_check_;
int slices_apply(struct cpuset_job *job) _must_check_;
int plain_apply(struct cpuset_job *job) _must_check_;

/**
 * partition_check_kernel() - has it partitions: the root group tells, also before there is a guest
 *
 * Return: 0, -EOPNOTSUPP, else as attr_exists(); why is filled
 */
int partition_check_kernel(struct cpuset_job *job) _must_check_;

/**
 * partition_check_boot() - may these CPUs be a balanced partition
 *
 * CPUs that isolcpus= took at boot can only be in an isolated one.
 *
 * Return: 0, -EOPNOTSUPP with why
 */
int partition_check_boot(struct cpuset_job *job) _must_check_;

/**
 * partition_verify() - are the partitions of a running guest still what apply has made
 *
 * Return: 0, also when it has none, -EINVAL when the kernel has them otherwise, with why
 */
int partition_verify(struct cpuset_job *job) _must_check_;

/** slices_able() - does systemd run this host. Return: 0, -EOPNOTSUPP with why; see sd_booted(3) */
int slices_able(struct cpuset_job *job) _must_check_;

/** slices_check() - would each keep a CPU when guests hold @held. Return: as setting_check() */
int slices_check(struct cpuset_job *job, const struct cpulist *held) _must_check_;

/**
 * partition_undo() - the guest's own groups are plain members again, as far as they still exist
 * @base:	as the journal has it
 *
 * Return: 0, -EBADMSG for a name that is no group's, else -errno of the first write that failed;
 * why is filled
 */
int partition_undo(struct cpuset_job *job, const char *base) _must_check_;

/**
 * automatic_place() - with pin = auto, each vCPU onto the CPUs that were chosen for it
 *
 * As libvirt does for <vcpupin>: cpuset.cpus of its group, and its thread's affinity.
 *
 * Return: 0, also when the XML has pins, -ESRCH when the guest does not run, else -errno; why is
 * filled
 */
int automatic_place(struct cpuset_job *job) _must_check_;

/**
 * automatic_undo() - a vCPU's group as it was, unless somebody else has pinned it since
 *
 * Return: 0, also when it is gone, -EBADMSG for a name that is no group's, else -errno with why
 */
int automatic_undo(struct cpuset_job *job, const char *object) _must_check_;

/**
 * exclusive_undo(), slices_undo(), plain_undo() - give a share back
 * @object:	as the journal has it
 *
 * Return: 0, -EBADMSG for an object that is none, else as setting_give_back()
 */
int exclusive_undo(struct cpuset_job *job, const char *object) _must_check_;
int slices_undo(struct cpuset_job *job, const char *object) _must_check_;
int plain_undo(struct cpuset_job *job, const char *object) _must_check_;

/**
 * workqueue_undo(), irqs_undo(), mask_undo(), watchdog_undo(), rcu_undo() - the same
 *
 * Return: 0, -EBADMSG, else -errno
 */
int workqueue_undo(struct cpuset_job *job, const char *object) _must_check_;
int watchdog_undo(struct cpuset_job *job, const char *object) _must_check_;
int rcu_undo(struct cpuset_job *job, const char *object) _must_check_;
int irqs_undo(struct cpuset_job *job, const char *object) _must_check_;
int mask_undo(struct cpuset_job *job, const char *object) _must_check_;

/* --- speed.c: governor, energy preference, wake latency of the guest's CPUs --- */

/** speed_take() - what the policy wants of them; what cannot be had is said */
void speed_take(struct cpuset_job *job);

/**
 * governor_undo(), energy_undo(), latency_undo(), vmstat_undo(), cursor_undo()
 *
 * Return: 0, -EBADMSG, else -errno
 */
int governor_undo(struct cpuset_job *job, const char *object) _must_check_;
int energy_undo(struct cpuset_job *job, const char *object) _must_check_;
int latency_undo(struct cpuset_job *job, const char *object) _must_check_;
int vmstat_undo(struct cpuset_job *job, const char *object) _must_check_;
int cursor_undo(struct cpuset_job *job, const char *object) _must_check_;

/* --- cursor.c: the text console's cursor, behind a lock that a driver may never give back --- */

/* What the kernel says of it */
#define CURSOR_BLINKS "1"
#define CURSOR_STILL  "0"
#define CURSOR_NONE   "-1" /* no text console is shown */

/**
 * cursor_read() - does it blink, as the kernel says
 * @before:	it is to be still: what is not shown is
 *
 * Return: 0, -ETIMEDOUT, else as attr_read()
 */
int cursor_read(const struct cpuset_job *job, const char *path, bool before, char *buf, size_t size)
	_must_check_;

/** cursor_write() - Return: 0 (also in a dry run), -ETIMEDOUT, else as attr_write() */
int cursor_write(const struct cpuset_job *job, const char *path, const char *value) _must_check_;

/* --- threads.c: the scheduling class of emulator and I/O threads --- */

/** threads_take() - as the policy's emulator_sched has it; what cannot be had is said */
void threads_take(struct cpuset_job *job);

/** sched_undo() - Return: 0 (also when the thread has ended), -EBADMSG, else -errno with why */
int sched_undo(struct cpuset_job *job, const char *object) _must_check_;

/* --- live.c: what has been changed while the guest runs --- */

/**
 * live_verify_pins() - may each vCPU run where the claim has it, and nowhere else
 *
 * Return: 0, also when the guest has no groups, -EINVAL with why, its cure in it
 */
int live_verify_pins(struct cpuset_job *job) _must_check_;

/**
 * live_verify_cores() - with pin = auto, has each vCPU a core, also one plugged in later
 *
 * Return: 0, also when the guest has no groups, -EINVAL with why, its cure in it
 */
int live_verify_cores(struct cpuset_job *job) _must_check_;

/** live_is_kept() - does the journal have anything that keeps others off the guest's CPUs */
bool live_is_kept(const struct cpuset_job *job);

/* Of a guest that nothing else is done for: its CPUs, and why */
#define PINNED_ONLY "its vCPUs are pinned to %s, but others may run there: %s"

/**
 * live_verify_any() - does anything keep others off the guest's CPUs: an apply may have failed since
 *
 * The claims are loaded.
 *
 * Return: 0, also for a guest without pins, -EINVAL with why, its cure in it
 */
int live_verify_any(struct cpuset_job *job) _must_check_;

/**
 * live_verify_shares() - is what the journal says to have lost the guest's CPUs still without them
 *
 * Of slices, top-level groups and the mask of unbound work.
 *
 * Return: 0, -EINVAL with why
 */
int live_verify_shares(struct cpuset_job *job) _must_check_;

/* --- conflict.c: groups of others with cpuset.cpus on the guest's CPUs --- */

/* In ascending order of weight */
enum conflict_kind {
	CONFLICT_NONE,
	CONFLICT_MOVED, /* it runs elsewhere meanwhile: refused where the policy requires cpuset */
	CONFLICT_REFUSED, /* the kernel refuses the partition, or another guest would lose */
};

struct conflict {
	enum conflict_kind kind;
	char group[PATH_MAX];
	struct cpulist cpus;
	bool shared;	/* other guests have some of them */
	bool exclusive; /* they are its cpuset.cpus.exclusive */
};

/**
 * conflict_find() - the heaviest there is
 *
 * Return: 0, -EOPNOTSUPP as groups_mount(), -ENOMEM, else -errno where the guest's own groups cannot
 * be found; why is filled
 */
int conflict_find(struct cpuset_job *job, struct conflict *ret) _must_check_;

/** conflict_why() - who is in the way, as @job's why. Return: @error */
int conflict_why(struct cpuset_job *job, int error, const struct conflict *conflict);

/** conflict_name() - when there is one that the kernel refuses, add it to why */
void conflict_name(struct cpuset_job *job);

/* --- verbs.c --- */

extern const struct helper cpuset_helper;

/* --- check.c: what can be known before the guest runs --- */

enum helper_exit cpuset_check(struct helper_ctx *ctx);

/**
 * housekeeping_check() - is a whole core left to the host beside what guests hold; claims are loaded
 *
 * Return: 0, -ENOSPC with why, which says what is free
 */
int housekeeping_check(struct cpuset_job *job, const struct cpulist *online) _must_check_;
