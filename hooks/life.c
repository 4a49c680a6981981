/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/life.c - what comes after the start: started, stopped, release, reconnect */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/attr.h"
#include "../lib/deadline.h"
#include "../lib/giveback.h"
#include "../lib/log.h"
#include "../lib/registry.h"
#include "../lib/scripts.h"
#include "../lib/spawn.h"
#include "../lib/state.h"
#include "conflict.h"
#include "domain.h"
#include "given.h"
#include "phase.h"

/*
 * How it works
 *
 * All of these work from the claim; the XML on stdin is another one by then (after `stopped` it
 * has lost what libvirt resolved, hot-plugged devices are in it). It is read only when two claims
 * bear the guest's name, to tell them apart by uuid, and in `start` for what libvirt has resolved.
 */

#define LOCK_MS	   2000
#define STOPPED_MS 2000
/* Of it, what the lock may take: the rest is for the undo */
#define STOPPED_LOCK_MS 1000
#define RELEASE_MS	5000
#define RECONNECT_MS	2000
/* How often the process that goes on alone looks whether there still is something to give back */
#define RETURN_LOCK_MS 120000

static struct claim *pick(struct claims *claims, const char *guest, const char *uuid,
			  unsigned int *ret_nr)
{
	struct claim *found = NULL;

	*ret_nr = 0;
	for (size_t i = 0; i < claims->nr; i++) {
		struct claim *claim = &claims->claims[i];

		if (strcmp(claim->guest, guest) != 0 || (uuid && strcmp(claim->uuid, uuid) != 0))
			continue;
		found = claim;
		(*ret_nr)++;
	}
	return found;
}

/* stdin can be read once. Return: true, with the domain filled */
static bool read_xml(struct domain *xml)
{
	struct domain_error err;

	return *xml->uuid || domain_read(STDIN_FILENO, xml, &err) == 0;
}

/* Whose it is cannot be read from it; the guest's own is told from its XML */
static void say_unreadable(const struct event *event, const struct host *host,
			   const struct claims *claims, struct domain *xml)
{
	if (!read_xml(xml) || !strlist_has(&claims->unreadable, xml->uuid))
		return;
	phase_say(host, LOG_ERR, event->guest,
		  "the claim /run/usher/%s/claim.ini cannot be read (%s): nothing of this guest is "
		  "given back: install the usher that wrote it and run usher recover GUEST, or "
		  "reboot",
		  xml->uuid, claims->why);
}

/* Nobody can tell whether this guest has one */
static void say_no_registry(const struct event *event, const struct host *host, int error)
{
	phase_say(
		host, LOG_ERR, event->guest,
		"cannot look for the guest's claim in /run/usher: %s: what it holds is not looked "
		"after: run usher recover GUEST when it has ended",
		strerror(-error));
}

/* Return: 1 found, 0 the guest has no claim, or none that could be read, and said so */
static int find_claim_and_xml(const struct event *event, struct host *host, struct claim *ret,
			      struct domain *xml)
{
	_cleanup_claims_ struct claims claims = { 0 };
	struct claim *found;
	unsigned int nr;
	int r;

	r = host->statefd = state_open(host->rootfd, false);
	if (r >= 0)
		r = registry_load(host->statefd, &claims);
	if (r < 0 && r != -ENOENT)
		say_no_registry(event, host, r);
	if (r < 0)
		return 0;
	if (claims.unreadable.nr)
		say_unreadable(event, host, &claims, xml);
	found = pick(&claims, event->guest, NULL, &nr);
	if (nr > 1) {
		if (!read_xml(xml))
			return 0;
		found = pick(&claims, event->guest, xml->uuid, &nr);
	}
	if (!found)
		return 0;
	*ret = *found;
	*found = (struct claim){ 0 };
	host->ours = true;
	memcpy(host->uuid, ret->uuid, UUID_STRLEN);
	return 1;
}

static int find_claim(const struct event *event, struct host *host, struct claim *ret)
{
	_cleanup_domain_ struct domain xml = { 0 };

	return find_claim_and_xml(event, host, ret, &xml);
}

/* libvirt's pid file, else whoever has the guest's uuid on its command line */
static int find_qemu(const struct event *event, const struct host *host, const struct claim *claim,
		     struct process *ret)
{
	unsigned long long number;
	char path[PATH_MAX];
	pid_t pid;

	if (path_format(path, sizeof(path), "run/libvirt/qemu/%s.pid", event->guest) == 0 &&
	    attr_read_ull(host->rootfd, path, &number) == 0 && number <= INT_MAX &&
	    phase_owner(host, (pid_t)number, ret) == 0)
		return 0;
	pid = process_find_qemu(host->rootfd, claim->uuid);
	if (pid == 0)
		return -ESRCH;
	return pid < 0 ? (int)pid : phase_owner(host, pid, ret);
}

static int make_running(const struct event *event, const struct host *host, struct claim *claim)
{
	struct process qemu;
	int r = find_qemu(event, host, claim, &qemu);

	if (r == 0)
		r = claim_set_state(host->statefd, claim, CLAIM_RUNNING, &qemu);
	if (r < 0)
		phase_say(host, LOG_ERR, event->guest,
			  "cannot find the guest's QEMU process: %s: its CPUs are not isolated",
			  strerror(-r));
	return r;
}

/* The steps that need the running QEMU. Return: 0, 1 a required one failed */
static int apply_started(const struct host *host, const struct claim *claim,
			 struct step_result *result)
{
	int r = step_settle(host, claim, result);

	if (r < 0)
		return r;
	return steps_run(host, claim, "apply", STEP_STARTED, 0, result);
}

/* Those of the operation that may still refuse. Return: 0, 1 one failed (said) */
static int run_scripts(const struct event *event, const struct host *host,
		       const struct claim *claim)
{
	_cleanup_free_ char *why = NULL;
	int r = given_scripts(event, host, claim, &why);

	if (r == 0)
		return 0;
	phase_say(host, LOG_ERR, event->guest, "%s", why ?: "out of memory");
	return 1;
}

/*
 * A function from a network's pool: libvirt chooses it behind prepare, and its XML names it from
 * here on. It binds it and gives it back by itself; so this is about whose it is alone.
 *
 * Return: 0, 1 refused (said)
 * ABI: libvirt 9.0.0 to 11.3.0, domain_conf.c virDomainNetDefFormat(), publicActual
 */
static int look_at_pools(const struct event *event, const struct host *host, struct domain *xml)
{
	_cleanup_claims_ struct claims claims = { 0 };
	struct conflict conflict;

	if (registry_load(host->statefd, &claims) < 0 || claims.nr == 0 || !read_xml(xml) ||
	    conflict_find_device(xml, &claims, &conflict) <= 0 ||
	    registry_alive(host->rootfd, conflict.with) <= 0)
		return 0;
	phase_say(host, LOG_ERR, event->guest,
		  "%s, which libvirt has chosen for this guest, is held by guest %s: take it out "
		  "of the network's pool (virsh net-edit), or shut that guest down first",
		  conflict.what, conflict.with->guest);
	return 1;
}

int phase_start(const struct event *event, struct host *host)
{
	_cleanup_domain_ struct domain xml = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	int found = find_claim_and_xml(event, host, &claim, &xml);

	if (look_at_pools(event, host, &xml) != 0)
		return 1;
	return found ? run_scripts(event, host, &claim) : 0;
}

/* Return: 1 the policy calls a step of `started` required, so without them the guest shall not run */
static int requires_started(const struct claim *claim)
{
	for (size_t i = 0; i < nr_steps; i++)
		if (steps[i].phase == STEP_STARTED && step_wanted(&steps[i], claim) &&
		    step_required(&steps[i], claim))
			return 1;
	return 0;
}

int phase_started(const struct event *event, struct host *host)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_close_ int lock = -1;
	int r;

	if (find_claim(event, host, &claim) == 0)
		return 0;
	lock = giveback_lock(host, claim.uuid, LOCK_MS);
	if (lock < 0)
		phase_say(host, LOG_ERR, event->guest,
			  "cannot lock the claim: %s: its CPUs are not isolated, its monitors not "
			  "switched, the host may sleep",
			  strerror(-lock));
	if (lock < 0 || make_running(event, host, &claim) < 0)
		return requires_started(&claim);
	r = apply_started(host, &claim, &result);
	if (r > 0 && result.failures)
		(void)fputs(result.failures, stderr);
	return r > 0 ? 1 : run_scripts(event, host, &claim);
}

/* Return: the worker's exit code, -ETIMEDOUT when it goes on alone, else -errno */
static int wait_worker(pid_t pid, int timeout_ms)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	long long deadline = deadline_in(timeout_ms);
	int status, n;

	if (pidfd < 0)
		return -errno;
	do
		n = poll(&fd, 1, deadline_left(deadline));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ETIMEDOUT;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/*
 * Run @work in a process that holds nothing of libvirt's, and wait for it no longer than the
 * budget: then it goes on alone.
 */
static int run_apart(const struct event *event, struct host *host, struct claim *claim,
		     int (*work)(const struct event *, struct host *, struct claim *),
		     int budget_ms)
{
	int given = scripts_wanted(claim) ? given_take() : 0;
	const int keep[] = { host->rootfd, host->statefd, given };
	pid_t pid = spawn_detached(keep, ARRAY_SIZE(keep) - (given == 0));

	if (pid == 0)
		_exit(work(event, host, claim));
	/* No process to be had: then in this one, for as long as it takes */
	return pid < 0 ? work(event, host, claim) : wait_worker(pid, budget_ms);
}

static int stopped_work(const struct event *event, struct host *host, struct claim *claim)
{
	_cleanup_close_ int lock = giveback_lock(host, claim->uuid, LOCK_MS);

	if (lock >= 0)
		given_scripts_after(event, host, claim);
	return 0;
}

int phase_stopped(const struct event *event, struct host *host)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_close_ int lock = -1;
	long long deadline = deadline_in(STOPPED_MS);
	struct process daemon;

	if (find_claim(event, host, &claim) == 0)
		return 0;
	lock = giveback_lock(host, claim.uuid, STOPPED_LOCK_MS);
	/* A hook of this guest is still at work: release waits for it, and undoes these too */
	if (lock < 0)
		return 0;
	if (phase_daemon(event, host, &daemon) == 0)
		(void)claim_set_state(host->statefd, &claim, CLAIM_ENDING, &daemon);
	(void)steps_run(host, &claim, "undo", STEP_STARTED, deadline_left(deadline) ?: 1, &result);
	if (!scripts_wanted(&claim))
		return 0;
	/* release waits for its lock when it needs longer */
	cleanup_close(&lock);
	lock = -1;
	(void)run_apart(event, host, &claim, stopped_work, deadline_left(deadline));
	return 0;
}

/*
 * For as long as it takes: whoever holds it, a hook, a helper, or who runs the guest's own scripts,
 * has deadlines of his own (which the policy sets), and a dead one holds nothing. Nobody waits for
 * us, and none but us gives the claim back unasked.
 */
static int lock_to_return(const struct host *host, const struct claim *claim)
{
	int lock;

	do
		lock = giveback_lock(host, claim->uuid, RETURN_LOCK_MS);
	while (lock == -ETIMEDOUT);
	return lock;
}

static int release_work(const struct event *event, struct host *host, struct claim *claim)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_close_ int lock = -1;
	struct process self;
	int r;

	r = phase_owner(host, getpid(), &self);
	if (r == 0)
		r = claim_set_state(host->statefd, claim, CLAIM_RETURNING, &self);
	if (r < 0)
		log_line(host->rootfd, LOG_WARNING, "%s: cannot note who gives back: %s",
			 claim->guest, strerror(-r));
	lock = lock_to_return(host, claim);
	/* Somebody else has given it back meanwhile */
	if (lock == -ENOENT)
		return 0;
	if (lock < 0) {
		log_line(host->rootfd, LOG_ERR,
			 "%s: cannot lock the claim: %s: usher recover tries again", claim->guest,
			 strerror(-lock));
		return 1;
	}
	given_scripts_after(event, host, claim);
	return giveback_claim(host, claim, &result) != 0;
}

int phase_release(const struct event *event, struct host *host)
{
	_cleanup_claim_ struct claim claim = { 0 };
	int r;

	if (find_claim(event, host, &claim) == 0)
		return 0;
	r = run_apart(event, host, &claim, release_work, RELEASE_MS);
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT) {
		log_line(host->rootfd, LOG_INFO, "%s: giving back goes on in the background",
			 claim.guest);
		return 0;
	}
	phase_say(
		host, LOG_ERR, event->guest,
		"not everything could be given back: see journalctl -t usher; usher recover tries "
		"again");
	return 1;
}

static int reconnect_work(const struct event *event, struct host *host, struct claim *claim)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_close_ int lock = giveback_lock(host, claim->uuid, LOCK_MS);

	if (lock >= 0 && make_running(event, host, claim) == 0) {
		(void)apply_started(host, claim, &result);
		given_scripts_after(event, host, claim);
	}
	(void)giveback_dead(host, NULL, 0, &result);
	return 0;
}

int phase_reconnect(const struct event *event, struct host *host)
{
	_cleanup_claim_ struct claim claim = { 0 };

	if (find_claim(event, host, &claim) > 0)
		(void)run_apart(event, host, &claim, reconnect_work, RECONNECT_MS);
	return 0;
}
