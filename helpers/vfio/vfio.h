/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/vfio.h - what the files of usher-vfio share */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../lib/cleanup.h"
#include "../../lib/ending.h"
#include "../../lib/journal.h"
#include "../../lib/pciaddr.h"
#include "../../lib/process.h"
#include "../../lib/text.h"
#include "../helper.h"

/*
 * How it works
 *
 * Each device goes through three writes: its driver_override names the vfio driver, its own driver
 * lets go of it (unbind), the kernel looks for a driver again (drivers_probe); then the driver link
 * must name what was asked for. Giving back is the same with the override aimed at the driver it
 * had, and the override's old value last.
 *
 * Any of these can sleep in the kernel for ever, even the reading of driver_override. So nothing of
 * it is done by the process that libvirt waits for: a worker does it, a child with a session of its
 * own, /dev/null on 0-2 and no lock, but for a driver's modules (family_shared.c). Devices that share
 * a slot, an IOMMU group, or a driver whose modules go as a whole (family.c), have one worker and
 * take their turns, others go side by side (crew.c). Of the last kind all are looked at, and in the
 * journal, before the first is touched: with its modules the others lose their driver, too.
 *
 *	worker				crew, under vfio.lock
 *	mark "vfio.worker.ADDR"
 *	reads driver and override
 *	announces them		->	adds them to the journal
 *	writes, writes, verifies <-	"go on"
 *	reports the end		->	says what is to be said, removes the mark
 *	next device, or exit	<-	"go on"
 *
 * A worker that finds nobody at the other end has been given up: the deadline has passed, or the
 * helper was killed. It stops where it is, gives its device back by itself, takes the lock only for
 * journal and mark, and goes on with what its unit still lacks. Its mark names device, driver, pid
 * and start time and stands as long as it owns the device: a second start finds it and is refused
 * by name, without an attribute of that device being read. A mark whose process is gone means
 * nothing. Only who holds the lock removes a mark, so an undo may take over from a worker that has
 * left the kernel and waits for that lock.
 *
 * The look that comes before has children of another kind do what can hang, with a deadline and
 * without a mark (lib/aside.h): ask whether the device answers at all, open its disks, read the
 * command lines of processes.
 */

#define DRIVER_NAME_MAX 64
#define VFIO_TEXT_MAX	512

/* The lock helper_main() takes for apply and undo */
#define VFIO_LOCK "vfio.lock"

/* One device that sits somewhere below a PCI device */
struct node {
	const char *subsystem; /* "block", "net", "input", ...; NODE_OTHER for one of no interest */
	char name[64];	       /* "nvme0n1p2", "eth0", "card0"; "" for one of another namespace */
	char path[80];	       /* below /dev, "/dev/dri/card0"; "" for one without a node */
	char number[40];       /* "/dev/char/226:0", the same by its number */
	bool waits;	       /* who unbinds the device waits for who has this one open */
};

#define NODE_OTHER ""

struct node_list {
	struct node *nodes;
	size_t nr;
};

void node_list_free(struct node_list *list);
#define _cleanup_node_list_ _cleanup_(node_list_free)

/* --- claim.c: the claim's section --------------------------------------------------------- */

/* To whom a device goes when the guest is gone */
enum give_back {
	GIVE_BACK_HOST,
	GIVE_BACK_VFIO,	  /* it stays with the vfio driver */
	GIVE_BACK_RENDER, /* the host, but no desktop may take it */
};

struct vfio_device {
	struct pciaddr addr;
	char name[PCIADDR_STRLEN];
	struct pciid id;
	char origin[16];
	char *serial;		      /* NVMe: the only serial that will do; NULL for any */
	int group;		      /* IOMMU group, -1 until looked at */
	char driver[DRIVER_NAME_MAX]; /* bound when looked at, "" for none */
	bool seat;		      /* usher-seat sees to it that the host's screen is off it */
	bool on_vfio;		      /* with a vfio driver already when looked at */
	bool delicate;		      /* its driver hangs when it is unbound in use, and is to be */
	bool node_unknown;	      /* the driver does not say which node is its own */
	bool forced;		      /* the nodes are those alone that in_use = force leaves */
	char module[DRIVER_NAME_MAX]; /* of the driver that takes it: "vfio-pci" */
	struct node_list below;	      /* what the host has below it; unless it is on_vfio */
	struct strlist nodes;	      /* files below /dev whose users use the device */
};

/* A disk of the host that the guest gets without PCI: <disk type='block'> */
struct vfio_disk {
	struct claim_disk of;
	struct strlist nodes; /* files below /dev whose writers write to it */
};

enum in_use {
	IN_USE_REFUSE,
	IN_USE_STOP_SEAT, /* usher-seat ends what shows something: for us as refuse */
	IN_USE_FORCE,
};

struct vfio_claim {
	struct vfio_device *devices;
	size_t nr;
	struct vfio_disk *disks;
	size_t nr_disks;
	char driver[DRIVER_NAME_MAX]; /* that takes them: "vfio-pci", or "auto" */
	enum in_use in_use;
	enum give_back give_back;
	char reset[24];		       /* the kernel's word, "none", or "" for as it likes */
	struct pcibar bars[PCIBAR_NR]; /* sizes that the guest shall find */
	size_t nr_bars;
};

void vfio_claim_free(struct vfio_claim *claim);
#define _cleanup_vfio_claim_ _cleanup_(vfio_claim_free)

/**
 * vfio_claim_load() - the devices of the claim's [vfio] section, every word checked
 *
 * Return: HELPER_DONE, HELPER_USAGE a word is malformed, HELPER_FAILED no memory; what is wrong is said
 */
enum helper_exit vfio_claim_load(const struct helper_ctx *ctx, struct vfio_claim *ret) _must_check_;

/** driver_name_valid() - letters, digits, '-' and '_', not longer than the kernel's. Return: 1, 0 */
bool driver_name_valid(const char *name);

/* --- names.c ------------------------------------------------------------------------------ */

/**
 * pci_describe() - a device as people know it, from libpci's list of names
 * @buf:	"NVIDIA Corporation GP104 [GeForce GTX 1080]"; without a name "10de:1b80"
 */
void pci_describe(const struct pciid *id, char *buf, size_t size);

/**
 * device_describe() - address and name: "0000:01:00.0 (NVIDIA ...)"
 * @id:		NULL to ask sysfs
 */
void device_describe(int rootfd, const struct pciaddr *addr, const struct pciid *id, char *buf,
		     size_t size);

/* --- check.c, answers.c ------------------------------------------------------------------- */

/**
 * vfio_look() - look at every claimed device before one is touched
 *
 * Fills in group and driver. The first thing that is not right is said, with its cure.
 * @before_seat:	usher-seat comes between this look and apply: who shows the host's screen on
 *			a device is its affair
 *
 * Return: 0 they can be passed, 1 refused
 */
int vfio_look(const struct helper_ctx *ctx, struct vfio_claim *claim, bool before_seat)
	_must_check_;

/**
 * answers_look() - can the devices be looked at, or would who does so hang in somebody else's unbind
 *
 * Return: 0, 1 refused and said so
 */
int answers_look(const struct helper_ctx *ctx, const struct vfio_claim *claim) _must_check_;

/** look_failed() - say that a device cannot be looked at. Return: 1 */
int look_failed(const struct helper_ctx *ctx, const struct vfio_device *device, int error);

/**
 * module_look() - has the running kernel a driver, loaded or not
 *
 * Only what is certain counts: where there is no list of modules, loading it will tell.
 *
 * Return: 0, 1 refused and said so
 */
int module_look(const struct helper_ctx *ctx, const char *driver) _must_check_;

/* --- openers.c ---------------------------------------------------------------------------- */

/* How a driver that hangs is best kept from a device: boot options, in messages behind a ':' */
#define BOOT_CURE                                                                                  \
	"have it on vfio-pci from boot on (driver_override, or vfio-pci.ids=%04x:%04x on the "     \
	"kernel's command line)"

/**
 * openers_nodes() - what is below a device on its own driver, and the nodes that nobody may have open
 *
 * With in_use = force these are the ones for which an unbind waits; of a driver that hangs when
 * anything is open, all of them.
 *
 * Return: 0, else -errno
 */
int openers_nodes(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		  struct vfio_device *device) _must_check_;

/**
 * openers_look() - has a stranger one of the devices' nodes open
 * @before_seat:	else what usher-seat has ended gets a moment to go
 *
 * What udev runs gets one in either case.
 *
 * Return: 0, 1 refused and said so
 */
int openers_look(const struct helper_ctx *ctx, const struct vfio_claim *claim, bool before_seat)
	_must_check_;

/** opener_is_udevs() - is it one that udev runs for a device's event, which goes by itself */
bool opener_is_udevs(int rootfd, pid_t pid);

/** openers_udev_until() - when one of these that still has a device open is refused as any other */
long long openers_udev_until(const struct helper_ctx *ctx);

/** openers_again() - wait a little before another look. Return: false when @until had passed */
bool openers_again(long long until);

/**
 * openers_staying() - before a desktop is ended: who has the card open and would outlive it
 *
 * The start would be refused all the same. Behind look_use(), whose nodes are forgotten then.
 *
 * Return: 0, 1 refused and said so
 */
int openers_staying(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		    struct vfio_device *device) _must_check_;

/**
 * openers_end_with_seat() - is it for usher-seat to end who uses a device
 *
 * A card that the claim names for it; and the sound function beside one on which a desktop is: the
 * sound server ends with the session.
 */
bool openers_end_with_seat(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			   const struct vfio_device *device);

/* --- group.c ------------------------------------------------------------------------------ */

/**
 * group_look() - is the rest of a device's IOMMU group out of the way
 *
 * Every member must be claimed, without a driver, or on a driver that leaves DMA alone.
 *
 * Return: 0, 1 refused and said so
 * ABI: iommu_group_claim_dma_owner(), driver_managed_dma; Linux 5.19. vfio_dev_viable() before
 */
int group_look(const struct helper_ctx *ctx, const struct vfio_claim *claim,
	       const struct vfio_device *device) _must_check_;

/**
 * device_on_vfio() - has a vfio driver the device, also one made for its model
 *
 * Return: 1 yes, 0 no, else -errno
 * ABI: Documentation/ABI/testing/sysfs-devices-vfio-dev, since Linux 6.1
 */
int device_on_vfio(int rootfd, const char *name, const char *driver) _must_check_;

/**
 * nodes_user() - a process that has one of these open
 *
 * Return: its pid > 0, 0 for nobody, else -errno
 */
pid_t nodes_user(int rootfd, const struct strlist *nodes) _must_check_;

/* --- holders.c ---------------------------------------------------------------------------- */

/**
 * holders_find() - what the host itself does with a PCI device, at any depth below it
 * @name:	"0000:01:00.0"
 * @below:	from nodes_find()
 * @force:	leave out what costs the host neither data nor its network
 * @text:	filled when something is found: "holds nvme0n1p2, mounted on /home: unmount it first"
 *
 * What is looked at: the head of holders.c.
 *
 * Return: 1 found, 0 nothing, -ENOMEM, else -errno
 */
int holders_find(int rootfd, const char *name, const struct node_list *below, bool force,
		 char *text, size_t size) _must_check_;

/**
 * holders_find_disk() - what the host does with a disk or partition that a guest is to write
 * @name:	the kernel's, "sdb", "dm-3"
 *
 * Return: as holders_find()
 */
int holders_find_disk(int rootfd, const char *name, char *text, size_t size, struct strlist *nodes)
	_must_check_;

/* --- guestdisks.c ------------------------------------------------------------------------- */

/**
 * guest_disks_look() - may the guest write to the claim's disks
 *
 * Return: 0, 1 refused and said so
 */
int guest_disks_look(const struct helper_ctx *ctx, struct vfio_claim *claim) _must_check_;

/* --- rules.c ------------------------------------------------------------------------------ */

/* What is to be known of one driver of the host's */
struct driver_rule {
	const char *driver;
	const char *const *modules;  /* never unbound while loaded: unloaded, in this order */
	const char *const *services; /* stopped before that, started again after */
	const char *const *comms;    /* their processes: no users of the device */
	const char *keeper;	     /* the one of them that has devices open on purpose */
	const char *keeper_tool;     /* by which it lets go of one: "-i ADDRESS -pm 0" */
	const char *cure;	     /* how one that has a node open is best stopped */
};

/** rule_find() - Return: NULL for a driver with which all is as usual */
const struct driver_rule *rule_find(const char *driver);

/** rule_family() - is it a driver whose modules are unloaded. Return: as rule_find() */
const struct driver_rule *rule_family(const char *driver);

/** rule_cure() - "stop it", or what is better for this driver */
const char *rule_cure(const char *driver);

/** rule_ignores() - is a process one of the driver's services, which go with its modules */
bool rule_ignores(const char *driver, const char *comm);

/** rule_can_ask() - is a process the driver's keeper, and can it be asked to let go of a device */
bool rule_can_ask(int rootfd, const char *driver, const char *comm);

/** rule_bound() - has the driver any device. Return: 1, 0, else -errno */
int rule_bound(int rootfd, const char *driver) _must_check_;

/* --- variant.c ---------------------------------------------------------------------------- */

/**
 * variant_module() - the vfio driver made for a device's model, from modules.alias
 * @buf:	"mlx5_vfio_pci"; "vfio-pci" when there is none of its own
 *
 * Return: 0, -ENOMEM, else -errno
 * ABI: include/linux/mod_devicetable.h PCI_ID_F_VFIO_DRIVER_OVERRIDE, aliases "vfio_pci:v..."
 * since Linux 5.16
 */
int variant_module(int rootfd, const char *name, char *buf, size_t size) _must_check_;

/**
 * variant_awaits_driver() - has the kernel modules for a device, of which none is loaded
 *
 * One without a driver would get it when such a module comes. Where one is loaded, somebody has
 * taken the device from it, or keeps it off.
 *
 * Return: 1, 0 (also when there is no list of modules), -ENOMEM, else -errno
 */
int variant_awaits_driver(int rootfd, const char *name) _must_check_;

/** variant_driver() - the PCI driver that a loaded module has registered, else its own name */
void variant_driver(int rootfd, const char *module, char *buf, size_t size);

/* --- render.c ----------------------------------------------------------------------------- */

/**
 * render_look() - would the host's display manager be left without a card
 *
 * With give_back = render nobody is the master of a seat that has no other card, and with vfio it
 * has no card at all: the screen stays black when the display manager is started again.
 *
 * Return: 0, 1 refused and said so
 */
int render_look(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		struct vfio_device *device) _must_check_;

/** device_seat() - whose card it is: by udev, or as it was before usher took it; "seat0" */
void device_seat(int rootfd, const char *name, char *buf, size_t size);

/**
 * render_rules() - tell udev before the first handover whose the claimed cards are between guests
 *
 * Return: 0, 1 failed and said so: render_return() is due
 */
int render_rules(const struct helper_ctx *ctx, const struct vfio_claim *claim) _must_check_;

/**
 * render_return() - take that back, unless the guest has run: then it is what the policy wants
 *
 * Before the cards come back: udev looks at them then.
 *
 * Return: 0, 1 failed and said so
 */
int render_return(const struct helper_ctx *ctx) _must_check_;

/* --- keyboard.c --------------------------------------------------------------------------- */

/** keyboards_say() - name those that the host will miss: no reason to refuse; after vfio_look() */
void keyboards_say(const struct helper_ctx *ctx, const struct vfio_claim *claim);

/* --- nodes.c ------------------------------------------------------------------------------ */

/**
 * nodes_find() - what the host can use below a PCI device, whatever is between
 *
 * Network interfaces, and all that has a node in /dev. A disk behind a claimed USB controller is
 * found, so are partitions, and the multipath head of an NVMe disk, which lives elsewhere in sysfs.
 * No attribute is read of a device that has a driver: only these can sleep while somebody else
 * hangs in it.
 *
 * A card and its sound function have some 80 directories: each is walked once.
 *
 * Return: 0, -ENOMEM, -ENOENT when there is no such device, else -errno
 */
int nodes_find(int rootfd, const char *name, struct node_list *ret) _must_check_;

/** node_paths() - add by what names its users are found. Return: 0, -ENOMEM */
int node_paths(int rootfd, const struct node *node, struct strlist *paths) _must_check_;

/**
 * nodes_paths() - node_paths() of all that a program can hold
 * @waiting:	of those alone for which an unbind waits
 *
 * Return: 0, -ENOMEM
 */
int nodes_paths(int rootfd, const struct node_list *list, bool waiting, struct strlist *paths)
	_must_check_;

/** nodes_have() - is there one of that subsystem */
bool nodes_have(const struct node_list *list, const char *subsystem);

/* --- mark.c ------------------------------------------------------------------------------- */

/* What a worker is at, in its mark */
#define MARK_LOOK     "look"
#define MARK_TURN     "turn" /* one of several, looked at: another one is taken first */
#define MARK_OVERRIDE "override"
#define MARK_UNBIND   "unbind"
#define MARK_PROBE    "probe"
#define MARK_UNLOAD   "unload"
#define MARK_LOAD     "load"	/* of a module: worker_mark_named() */
#define MARK_SERVICE  "service" /* of a unit, likewise */
#define MARK_FAMILY   "family"	/* waits for its turn at a driver, likewise */
#define MARK_ATTR     "attr"
#define MARK_REMOVE   "remove"
#define MARK_RESCAN   "rescan"
#define MARK_RETURNED "returned" /* out of the kernel, waits for the lock */

struct mark {
	char driver[DRIVER_NAME_MAX]; /* bound when it began, "" for none or not known yet */
	struct process worker;
	char step[16 + DRIVER_NAME_MAX]; /* "unbind", "load:nvidia_uvm" */
	long long since_ms;		 /* when it began with that step: lib/deadline.h */
};

/**
 * mark_write() - a worker's mark in the claim's directory, replaced atomically
 *
 * Return: 0, else as state_write()
 */
int mark_write(int dirfd, const char *name, const struct mark *mark) _must_check_;

/**
 * mark_read() - the mark of one device in one claim's directory
 *
 * Return: 0, -ENOENT when there is none, -EBADMSG, else as state_read()
 */
int mark_read(int dirfd, const char *name, struct mark *ret) _must_check_;

/** mark_remove() - Return: 0 (also when there is none), else -errno */
int mark_remove(int dirfd, const char *name);

/**
 * mark_find() - a mark of the device, in any claim's directory, whose worker lives
 *
 * Return: 1 with @ret filled, 0 none, else -errno
 */
int mark_find(int rootfd, const char *name, struct mark *ret) _must_check_;

/**
 * mark_devices() - the devices that have a mark in one claim's directory
 * @ret:	addresses, "0000:01:00.0"
 *
 * Return: 0, -ENOMEM, else -errno
 */
int mark_devices(int dirfd, struct strlist *ret) _must_check_;

/** mark_describe() - "driver e1000e has not let go of it for 12 s (process 812)" */
void mark_describe(const struct mark *mark, char *buf, size_t size);

/* --- job.c: one device on its way, there or back -------------------------------------------- */

/* What else the host had, beside driver and override */
enum saved {
	SAVED_RESET, /* attributes of the device: saved.c */
	SAVED_D3COLD,
	SAVED_POWER,
	SAVED_NETWORK,	/* "systemd-networkd eth0": who configures its interface */
	SAVED_MODULES,	/* "nvidia_drm nvidia_modeset nvidia": unloaded, the users first */
	SAVED_SERVICES, /* "nvidia-persistenced.service": stopped */
	SAVED_KEEPER,	/* "on": the driver's keeper had the device open */
	SAVED_BARS, /* "0:14 2:8": BAR and size, as the kernel counts it; of those in the policy */
	SAVED_AWAITS, /* "driver": had none, because none was loaded yet */
	SAVED_MODULE, /* "xhci_pci": of its driver, which may have another name (xhci_hcd) */
	HANDED_RESET, /* the attributes anew, when the vfio driver has the device */
	HANDED_D3COLD,
	HANDED_POWER,
	NR_SAVED,
};

#define SAVED_MAX 128

enum job_state {
	JOB_WAITING,
	JOB_DONE,
	JOB_FAILED,
	JOB_STUCK, /* its worker has not come back from the kernel */
	JOB_LEFT,  /* not begun when the time was up */
};

struct vfio_job {
	struct pciaddr addr;
	char name[PCIADDR_STRLEN];
	char target[DRIVER_NAME_MAX];	    /* the vfio driver */
	char old_driver[DRIVER_NAME_MAX];   /* what the host had, "" for none */
	char old_override[DRIVER_NAME_MAX]; /* "" when it was not set */
	char saved[NR_SAVED][SAVED_MAX];    /* "" for what there was none of */
	char reset[24];			    /* claim.reset */
	bool has_interface;		    /* of the network */
	struct pcibar bars[PCIBAR_NR];	    /* claim.bars */
	size_t nr_bars;
	bool journaled; /* the old values are from the journal */
	size_t unit;	/* jobs of one number take turns */
	enum job_state state;
	char text[VFIO_TEXT_MAX]; /* what is to be said of it, "" for nothing */
};

struct vfio_jobs {
	struct vfio_job *jobs;
	size_t nr;
};

void vfio_jobs_free(struct vfio_jobs *jobs);
#define _cleanup_vfio_jobs_ _cleanup_(vfio_jobs_free)

/** jobs_add() - append a waiting job. Return: the new job, NULL without memory */
struct vfio_job *jobs_add(struct vfio_jobs *jobs, const struct pciaddr *addr) _must_check_;

/** jobs_find() - by address. Return: NULL for none */
struct vfio_job *jobs_find(const struct vfio_jobs *jobs, const char *name);

/** jobs_group() - number the units: devices of one slot, IOMMU group or family are one */
void jobs_group(int rootfd, struct vfio_jobs *jobs);

/**
 * jobs_from_journal() - what is to be given back, the last device first
 *
 * Return: 0, -EBADMSG when a record is none of ours, -ENOMEM
 */
int jobs_from_journal(const struct journal *journal, struct vfio_jobs *ret) _must_check_;

/** job_announce() - journal the job's old values. Return: 0, else as journal_add() */
int job_announce(struct journal *journal, const struct vfio_job *job) _must_check_;

/** job_handed() - journal what attributes it has on the vfio driver. Return: 0, else -errno */
int job_handed(struct journal *journal, const struct vfio_job *job) _must_check_;

/** job_undone() - note in the journal that the device is back. Return: 0, else -errno */
int job_undone(struct journal *journal, const struct vfio_job *job) _must_check_;

/* --- worker.c, bind.c ----------------------------------------------------------------------- */

struct vfio_verb;

struct worker {
	const struct helper_ctx *ctx;
	const struct vfio_verb *verb;
	const struct vfio_jobs *jobs; /* of all units, as this process knows them */
	int peer;	    /* socket to the crew; -1 when nobody waits: dry run, or given up */
	long long deadline; /* the crew's */
	struct mark mark;
	int family_lock; /* -1, or what keeps others off a driver: family_shared.c */
};

struct vfio_verb {
	/* What has to be known before another job of the unit is begun, or NULL. As act */
	int (*look)(struct worker *worker, const struct vfio_jobs *jobs, struct vfio_job *job);
	/* Return: 0, -ECANCELED when given up, else -errno with the job's text filled */
	int (*act)(struct worker *worker, struct vfio_job *job);
	bool stops; /* when given up: what was begun is not finished but taken back */
	bool ends;  /* after it the device is done with: the journal says so */
};

extern const struct vfio_verb verb_bind;
extern const struct vfio_verb verb_give_back;
extern const struct vfio_verb verb_keep;   /* undo.c */
extern const struct vfio_verb verb_replug; /* replug.c */

struct worker_msg {
	enum { MSG_ANNOUNCE, MSG_END } kind;
	char name[PCIADDR_STRLEN];
	int result;
	char driver[DRIVER_NAME_MAX];
	char override[DRIVER_NAME_MAX];
	char saved[NR_SAVED][SAVED_MAX];
	char text[VFIO_TEXT_MAX];
};

/**
 * worker_run() - do the waiting jobs of one unit in turn; in the child, or in place in a dry run
 *
 * When given up, give back and finish alone: see "How it works".
 */
void worker_run(struct worker *worker, struct vfio_jobs *jobs, size_t unit);

/**
 * worker_begin() - read which driver the device has, into the mark, and set the mark
 *
 * Return: 0, -ENODEV when the device has gone, else -errno
 */
int worker_begin(struct worker *worker, const struct vfio_job *job) _must_check_;

/** worker_begin_said() - likewise, with the job's text filled. Return: as struct vfio_verb */
int worker_begin_said(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * worker_left() - for a wait outside the kernel: what there is of the crew's time, to report in it
 * @alone_ms:	when nobody waits
 *
 * Return: ms >= 0
 */
int worker_left(const struct worker *worker, int alone_ms);

/**
 * worker_announce() - have the job's old values journaled
 *
 * Return: 0, -ECANCELED when given up, -EIO when the journal cannot be written
 */
int worker_announce(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * worker_step() - one kernel write, announced in the mark
 * @step:	MARK_...
 *
 * Return: 0, -ECANCELED when given up and the verb stops then, else as attr_write()
 */
int worker_step(struct worker *worker, struct vfio_job *job, const char *step, const char *path,
		const char *val) _must_check_;

/**
 * worker_mark() - announce in the mark what comes next, where it is no attribute write
 *
 * Return: 0, -ECANCELED when given up and the verb stops then
 */
int worker_mark(struct worker *worker, const struct vfio_job *job, const char *step) _must_check_;

/** worker_mark_named() - worker_mark() with what it is that the step is done with */
int worker_mark_named(struct worker *worker, const struct vfio_job *job, const char *step,
		      const char *name) _must_check_;

/** job_fail() - fill in the job's text, unless given up. Return: @error */
int job_fail(struct vfio_job *job, int error, const char *fmt, ...) _printf_(3, 4);

/** write_override() - to a driver's name, or "" for none. Return: as struct vfio_verb */
int write_override(struct worker *worker, struct vfio_job *job, const char *driver) _must_check_;

/**
 * unbind() - make the driver that is bound now let go
 *
 * One that has gone by itself meanwhile is as good.
 *
 * Return: as struct vfio_verb
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, unbind: -ENODEV when it is not bound to it
 */
int unbind(struct worker *worker, struct vfio_job *job, const char *driver) _must_check_;

/* --- saved.c -------------------------------------------------------------------------------- */

/** saved_index() - by the journal's word. Return: a enum saved, -1 for none */
int saved_index(const char *verb);

/** saved_verb() - the journal's word */
const char *saved_verb(enum saved saved);

/**
 * saved_read() - what the host has, before anything is written
 *
 * Return: 0, -ENOMEM
 */
int saved_read(struct worker *worker, struct vfio_job *job) _must_check_;

/** saved_handed() - what the attributes are when the vfio driver has the device, into the job */
void saved_handed(struct worker *worker, struct vfio_job *job);

/**
 * saved_meanwhile() - before the device leaves the vfio driver: attributes that somebody has set
 *
 * They are not what they were when it came there: they stay, and that is the job's text.
 */
void saved_meanwhile(struct worker *worker, struct vfio_job *job);

/**
 * saved_keep() - on the vfio driver, where it stays: the attributes
 *
 * The job's text tells what does not come back with the device on that driver.
 *
 * Return: 0, else -errno with the job's text filled
 */
int saved_keep(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * saved_restore() - back on the driver it had: write what is another value now
 *
 * Waits for an interface's network manager, and says when that does not come.
 *
 * Return: 0, else -errno with the job's text filled
 */
int saved_restore(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * saved_set_reset() - choose the reset method that the policy wants, while no driver has the device
 *
 * Return: as struct vfio_verb
 */
int saved_set_reset(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * saved_restore_reset() - between the vfio driver and the one it had
 *
 * Return: 0, also when it is not restored: that is in the job's text; -ECANCELED
 */
int saved_restore_reset(struct worker *worker, struct vfio_job *job) _must_check_;

/* --- family.c: drivers that are unloaded ----------------------------------------------------- */

/**
 * family_look_keeper() - has the driver's keeper the device open
 *
 * Return: 0, also with another driver, else -errno
 */
int family_look_keeper(struct worker *worker, struct vfio_job *job, const char *driver)
	_must_check_;

/**
 * family_begin() - a card is to be taken from a driver: family_take() where its modules will go
 *
 * Return: as family_take()
 */
int family_begin(struct worker *worker, struct vfio_job *job, const char *driver) _must_check_;

/**
 * family_let_go() - a driver that hangs when a device is taken from it in use
 *
 * Where no card stays with the host its modules are unloaded, else it is seen to that nobody has
 * this one open. Behind family_begin(), whose turn ends where nothing is unloaded.
 *
 * Return: 1 the device has no driver now, 0 it can be unbound, or the driver is none of those; else
 * as struct vfio_verb
 */
int family_let_go(struct worker *worker, struct vfio_job *job, const char *driver) _must_check_;

/** family_load() - of a device that is back: have the driver's modules, too. As struct vfio_verb */
int family_load(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * family_settle() - a device is done with: the services, when it is the claim's last
 * @home:	it is back on its driver; else another one may be there, or come later
 *
 * Return: as struct vfio_verb
 */
int family_settle(struct worker *worker, struct vfio_job *job, bool home) _must_check_;

/* --- family_shared.c: what several guests share of it ----------------------------------------- */

/**
 * family_take() - a driver's modules are to go: no other guest's card has it or goes back to it
 *
 * Until family_release(). Once is enough. Nothing is done with other drivers.
 *
 * Return: as struct vfio_verb, -ETIMEDOUT with the text naming for whom
 */
int family_take(struct worker *worker, struct vfio_job *job, const char *driver) _must_check_;

/**
 * family_join() - a card is to go back to the driver that it had: nobody unloads that
 *
 * Return: as family_take()
 */
int family_join(struct worker *worker, struct vfio_job *job) _must_check_;

/** family_release() - the end of either; also where there is nothing to end */
void family_release(struct worker *worker);

/**
 * family_keep() - before they go: the job's modules and services are what the host has
 *
 * Unless some are kept already: these are what it had.
 *
 * Return: as struct vfio_verb
 */
int family_keep(struct worker *worker, struct vfio_job *job, const char *driver) _must_check_;

/** family_recall() - what is kept, into the job; "" for nothing. Return: as struct vfio_verb */
int family_recall(struct worker *worker, struct vfio_job *job) _must_check_;

/** family_forget() - the host has it all back. Return: as struct vfio_verb */
int family_forget(struct worker *worker, struct vfio_job *job) _must_check_;

/** family_has_next() - is there another device of the claim's that is still to go back to it */
bool family_has_next(const struct worker *worker, const struct vfio_job *job);

/** family_awaited() - likewise, of any guest's, also one that has failed to */
bool family_awaited(const struct worker *worker, const struct vfio_job *job);

/* --- vendor.c -------------------------------------------------------------------------------- */

/** vendor_resets() - has vendor-reset been loaded, for a card that nothing else can reset */
bool vendor_resets(int rootfd, const struct pciaddr *addr);

/** vendor_say() - name cards that want vendor-reset, and have it not: no reason to refuse */
void vendor_say(const struct helper_ctx *ctx, const struct vfio_claim *claim);

/* --- bars.c ---------------------------------------------------------------------------------- */

/** bars_can_be() - is there a device whose BAR can have that size. Return: 1, 0, -ENOMEM */
int bars_can_be(int rootfd, const struct vfio_claim *claim, const struct pcibar *bar) _must_check_;

/**
 * bars_read() - the sizes of those BARs that the policy wants otherwise and the device can resize
 *
 * Return: 0, -ENAMETOOLONG
 */
int bars_read(struct worker *worker, struct vfio_job *job) _must_check_;

/** bars_set() - while no driver has the device: the policy's sizes. Return: as struct vfio_verb */
int bars_set(struct worker *worker, struct vfio_job *job) _must_check_;

/**
 * bars_restore() - while no driver has the device: the sizes it had
 *
 * Return: 0, also when one could not be restored: that is in the job's text; -ECANCELED, -ENOMEM
 */
int bars_restore(struct worker *worker, struct vfio_job *job) _must_check_;

/* --- crew.c --------------------------------------------------------------------------------- */

/**
 * crew_run() - do all waiting jobs, a worker for each unit, until the deadline
 * @journal:	opened for writing, unless in a dry run
 *
 * Each job ends in another state than JOB_WAITING; its text has been said.
 */
void crew_run(const struct helper_ctx *ctx, struct journal *journal, struct vfio_jobs *jobs,
	      const struct vfio_verb *verb, long long deadline);

/* --- apply.c, undo.c, replug.c ------------------------------------------------------------------------ */

enum helper_exit vfio_check(struct helper_ctx *ctx);
enum helper_exit vfio_apply(struct helper_ctx *ctx);
enum helper_exit vfio_undo(struct helper_ctx *ctx);

/** vfio_replug() - "replug CLAIM": what undo could not give back, off the bus and on it again */
enum helper_exit vfio_replug(struct helper_ctx *ctx);

/**
 * undo_jobs() - do devices in turn, waiting for who still holds them
 * @verb:	verb_give_back or verb_replug
 *
 * Return: the number of devices with which it is not done, each said by name
 */
size_t undo_jobs(const struct helper_ctx *ctx, struct journal *journal, struct vfio_jobs *jobs,
		 const struct vfio_verb *verb) _must_check_;
