/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/family_shared.c - what the host had of a driver's family, and whose turn it is */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/baseline.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "vfio.h"

/*
 * How it works
 *
 * Cards of one driver may go to several guests, one after another; its modules and services are
 * unloaded and stopped for the last of them, and the first that returns needs them again. So they
 * are kept in one baseline, run/usher/host/DRIVER.ini, for as long as they are away, and whichever
 * card comes back first has them loaded and started; then the host has what it had, and the baseline
 * goes. Where no card comes back, as with give_back = vfio, it goes with the last that could.
 *
 * Who finds that no card stays with the host, and unloads, must not be met by one that returns:
 * rmmod would take the card away again. So there is a lock of the driver's own. Cards that return
 * share it, and one that hangs holds up no other; who unloads has it alone, and asks again under it.
 * A card that is only unbound needs none: as long as another stays nobody unloads. It is held by a
 * worker, as long as the kernel hangs if need be: then nothing can unload the driver, or use it. So
 * who waits for it does so with a deadline, and then names the card for which it is held: a start is
 * refused, a card on its way back left to usher recover, which the worker runs when it has been
 * given up and returns. It ends with that worker.
 */

#define MODULES	 "modules"
#define SERVICES "services"

/* For the baseline's own lock, under which nothing but its file is written */
#define BASELINE_MS 2000
/* Of the time there is, this part may go by before it is one's turn; for whom nobody waits, of this */
#define TURN_PART 2
#define ALONE_MS  60000

/* --- Whose turn it is ------------------------------------------------------------------------- */

static void lock_name(const char *driver, char buf[static NAME_MAX + 1])
{
	(void)snprintf(buf, NAME_MAX + 1, "%s-family.lock", driver);
}

/* Return: a directory fd, else as state_dir() */
static int open_host(const struct worker *worker)
{
	_cleanup_close_ int statefd = state_open(worker->ctx->rootfd, true);

	return statefd < 0 ? statefd : state_dir(statefd, BASELINE_DIR, true);
}

/* For those who wait. Without it they are told less: nothing to fail for. */
static void sign(const struct worker *worker, const struct vfio_job *job)
{
	_cleanup_free_ char *guest = NULL;

	if (text_encode(worker->ctx->claim.guest, &guest) == 0 &&
	    ftruncate(worker->family_lock, 0) == 0)
		(void)dprintf(worker->family_lock, "%d %llu %s %s\n", (int)worker->mark.worker.pid,
			      worker->mark.worker.start_time, job->name, guest);
}

/* Return: 0 with a text like "0000:01:00.0 of win11 (process 812)", -ENOENT nobody known, -errno */
static int read_signature(int rootfd, int hostfd, const char *lock, char *buf, size_t size)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL, *guest = NULL;
	struct process process = { 0 };
	unsigned int pid;
	size_t len;
	int r = state_read(hostfd, lock, &text, &len);

	if (r == 0)
		r = text_split(text, " \n", &words);
	if (r < 0)
		return r;
	if (words.nr != 4 || parse_uint(words.names[0], 10, INT_MAX, &pid) < 0 ||
	    parse_ull(words.names[1], 10, ULLONG_MAX, &process.start_time) < 0 ||
	    text_decode(words.names[3], &guest) < 0)
		return -ENOENT;
	process.pid = (pid_t)pid;
	/* Somebody else has it by now, and has not signed yet */
	if (process_alive(rootfd, &process) <= 0)
		return -ENOENT;
	return path_format(buf, size, "%s of %s (process %u)", words.names[2], guest, pid);
}

/* What a turn is for */
struct turn {
	int (*lock)(int dirfd, const char *name, int timeout_ms);
	const char *doing, *cure; /* for who waits in vain */
};

static int fail_turn(const struct worker *worker, struct vfio_job *job, const struct turn *turn,
		     const char *driver, int hostfd, int error)
{
	char lock[NAME_MAX + 1], who[256];

	if (error != -ETIMEDOUT)
		return job_fail(job, error,
				"cannot lock driver %s in /run/usher/host for %s: %s: see df /run",
				driver, job->name, strerror(-error));
	lock_name(driver, lock);
	if (read_signature(worker->ctx->rootfd, hostfd, lock, who, sizeof(who)) < 0)
		(void)snprintf(who, sizeof(who), "another guest's card");
	return job_fail(job, error,
			"%s cannot %s driver %s while that is at work on %s: %s when that is done "
			"(usher status shows what is stuck)",
			job->name, turn->doing, driver, who, turn->cure);
}

/* The mark is for those who see us wait */
static int take_turn(struct worker *worker, struct vfio_job *job, const struct turn *turn,
		     const char *driver)
{
	_cleanup_close_ int hostfd = -1;
	char name[NAME_MAX + 1];
	int r;

	if (worker->ctx->dry_run || worker->family_lock >= 0 || !rule_family(driver))
		return 0;
	lock_name(driver, name);
	hostfd = open_host(worker);
	r = hostfd < 0 ? hostfd : turn->lock(hostfd, name, 0);
	if (r == -ETIMEDOUT) {
		int ms = worker_left(worker, ALONE_MS) / TURN_PART;

		r = worker_mark_named(worker, job, MARK_FAMILY, driver);
		r = r < 0 ? r : turn->lock(hostfd, name, ms);
	}
	if (r < 0)
		return fail_turn(worker, job, turn, driver, hostfd, r);
	worker->family_lock = r;
	sign(worker, job);
	return 0;
}

int family_take(struct worker *worker, struct vfio_job *job, const char *driver)
{
	static const struct turn take = { state_lock, "be taken from", "start again" };

	return take_turn(worker, job, &take, driver);
}

int family_join(struct worker *worker, struct vfio_job *job)
{
	static const struct turn join = { state_lock_shared, "go back to", "run usher recover" };

	return take_turn(worker, job, &join, job->old_driver);
}

void family_release(struct worker *worker)
{
	cleanup_close(&worker->family_lock);
	worker->family_lock = -1;
}

/* --- What the host had ------------------------------------------------------------------------ */

static int baseline_of(const struct worker *worker, const char *driver, struct baseline *ret)
{
	bool dry = worker->ctx->dry_run;
	_cleanup_close_ int statefd = state_open(worker->ctx->rootfd, !dry);

	if (statefd < 0)
		return statefd;
	return baseline_open(statefd, driver, dry ? BASELINE_READ : BASELINE_MS, ret);
}

static int keep(struct baseline *baseline, const char *setting, const char *value)
{
	return *value ? baseline_keep(baseline, setting, value) : 0;
}

int family_keep(struct worker *worker, struct vfio_job *job, const char *driver)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	int r = 0;

	if (worker->ctx->dry_run)
		return 0;
	r = baseline_of(worker, driver, &baseline);
	if (r == 0)
		r = keep(&baseline, MODULES, job->saved[SAVED_MODULES]);
	if (r >= 0)
		r = keep(&baseline, SERVICES, job->saved[SAVED_SERVICES]);
	if (r < 0)
		return job_fail(job, r,
				"cannot note in /run/usher/host what of driver %s is unloaded for "
				"%s: %s: see df /run",
				driver, job->name, strerror(-r));
	return 0;
}

static int recall(const struct baseline *baseline, const char *setting, char buf[static SAVED_MAX])
{
	_cleanup_free_ char *value = NULL;
	int r = baseline_get(baseline, setting, &value);

	return r < 0 ? r : path_format(buf, SAVED_MAX, "%s", r > 0 ? value : "");
}

static bool are_of(const char *words, const char *const *list)
{
	const char *name;
	size_t len, i;

	while ((name = text_word(&words, " ", &len))) {
		for (i = 0; list && list[i] && !text_has_word(list[i], " ", name, len); i++)
			;
		if (!list || !list[i])
			return false;
	}
	return true;
}

/* What is loaded and started is what could have been unloaded and stopped */
static int are_its_own(struct vfio_job *job, const struct driver_rule *rule)
{
	if (are_of(job->saved[SAVED_MODULES], rule->modules) &&
	    are_of(job->saved[SAVED_SERVICES], rule->services))
		return 0;
	return job_fail(job, -EBADMSG,
			"what /run/usher/host/%s.ini, or the journal, has of driver %s is none of "
			"its modules and units: nothing of it is loaded for %s: %s",
			rule->driver, rule->driver, job->name, state_cure(-EBADMSG, ""));
}

int family_recall(struct worker *worker, struct vfio_job *job)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	const struct driver_rule *rule = rule_family(job->old_driver);
	int r;

	if (!rule)
		return 0;
	/* A journal of an older version's has them, and no baseline does */
	if (*job->saved[SAVED_MODULES]) {
		r = are_its_own(job, rule);
		if (r == 0)
			r = family_keep(worker, job, job->old_driver);
		if (r < 0)
			return r;
	}
	r = baseline_of(worker, job->old_driver, &baseline);
	if (r == 0)
		r = recall(&baseline, MODULES, job->saved[SAVED_MODULES]);
	if (r == 0)
		r = recall(&baseline, SERVICES, job->saved[SAVED_SERVICES]);
	/* A dry run, where usher has never run */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return job_fail(job, r,
				"cannot read in /run/usher/host/%s.ini what of driver %s the host "
				"had: %s: %s",
				job->old_driver, job->old_driver, strerror(-r),
				state_cure(r, "see lsmod, and dmesg"));
	return are_its_own(job, rule);
}

int family_forget(struct worker *worker, struct vfio_job *job)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	int r;

	if (worker->ctx->dry_run)
		return 0;
	r = baseline_of(worker, job->old_driver, &baseline);
	/* Services last: as long as one is due, so is the rest of this */
	if (r == 0)
		r = baseline_forget(&baseline, MODULES);
	if (r == 0)
		r = baseline_forget(&baseline, SERVICES);
	if (r < 0)
		return job_fail(job, r,
				"driver %s is back, but /run/usher/host/%s.ini cannot be changed: "
				"%s: see df /run, then run usher recover",
				job->old_driver, job->old_driver, strerror(-r));
	return 0;
}

/* --- Who else comes back to it ---------------------------------------------------------------- */

static bool has_failed(const struct worker *worker, const char *name)
{
	const struct vfio_job *job = worker->jobs ? jobs_find(worker->jobs, name) : NULL;

	return job && job->state == JOB_FAILED;
}

/* Return: 1 a device of this claim's, other than the job's, is still to go back, 0, else -errno */
static int claim_awaits(const struct worker *worker, const struct vfio_job *job, int dirfd,
			bool in_this_run)
{
	_cleanup_journal_ struct journal journal = { .fd = -1 };
	_cleanup_vfio_jobs_ struct vfio_jobs open = { 0 };
	int r = journal_open(dirfd, "vfio", false, &journal);

	if (r == 0)
		r = jobs_from_journal(&journal, &open);
	for (size_t i = 0; r == 0 && i < open.nr; i++) {
		const struct vfio_job *other = &open.jobs[i];

		if (strcmp(other->name, job->name) != 0 &&
		    strcmp(other->old_driver, job->old_driver) == 0 &&
		    !(in_this_run && has_failed(worker, other->name)))
			return 1;
	}
	return r;
}

bool family_has_next(const struct worker *worker, const struct vfio_job *job)
{
	return claim_awaits(worker, job, worker->ctx->dirfd, true) > 0;
}

/* A journal that cannot be read may have one */
bool family_awaited(const struct worker *worker, const struct vfio_job *job)
{
	_cleanup_close_ int statefd = state_open(worker->ctx->rootfd, false);
	_cleanup_strlist_ struct strlist uuids = { 0 };

	if (statefd < 0 || attr_list(statefd, ".", &uuids) < 0)
		return true;
	for (size_t i = 0; i < uuids.nr; i++) {
		_cleanup_close_ int dirfd = -1;

		if (!uuid_valid(uuids.names[i]))
			continue;
		dirfd = state_dir(statefd, uuids.names[i], false);
		if (dirfd >= 0 && claim_awaits(worker, job, dirfd, false) != 0)
			return true;
	}
	return false;
}
