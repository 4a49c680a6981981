/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/prepare.c - the start: check everything first, then take it, or refuse in one line */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/attr.h"
#include "../lib/deadline.h"
#include "../lib/giveback.h"
#include "../lib/log.h"
#include "../lib/registry.h"
#include "../lib/state.h"
#include "conflict.h"
#include "domain.h"
#include "given.h"
#include "phase.h"
#include "plan.h"
#include "policy.h"
#include "prepare.h"
#include "refuse.h"

/*
 * How it works
 *
 *  1. policy, domain XML		nothing is written yet; any fault refuses the start
 *  2. dead claims are given back	also what is left of this guest's own last run
 *  3. registry lock: plan, look for conflicts, store the claim (state preparing, owner: we)
 *     with pin = auto, usher-cpuset chooses cores under the same lock, and adds them to the claim
 *  4. every step is checked	a required one that could not work: the claim is dropped, but
 *				not what an earlier run has left to be given back
 *  5. the steps are applied	a required one that fails: all is undone in reverse (state
 *				returning), and a device that does not come back in time is left
 *				to its worker
 *  6. state handed, owner: the libvirt daemon, our parent
 */

#define LOCK_MS 5000
/* How long what is being given back right now is waited for, this guest's or another's */
#define RETURNING_MS 30000
/* How long a guest that is none of ours waits for what a dead one has left */
#define UNMANAGED_MS 5000

/* --- reading ---------------------------------------------------------------------------------- */

static int read_domain(const struct event *event, struct domain *ret, struct domain_error *err)
{
	_cleanup_close_ int fd = -1;

	if (!event->xml)
		return domain_read(STDIN_FILENO, ret, err);
	fd = open(event->xml, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		(void)snprintf(err->what, sizeof(err->what), "%s: %s", event->xml, strerror(errno));
		return -EIO;
	}
	return domain_read(fd, ret, err);
}

int prepare_domain(const struct event *event, const struct host *host, struct domain *ret)
{
	struct domain_error err = { 0 };

	if (read_domain(event, ret, &err) < 0) {
		phase_say(host, LOG_ERR, event->guest, "cannot read the guest's XML: %s", err.what);
		return 1;
	}
	/* usher plan takes the name from the XML */
	if (*event->guest && strcmp(event->guest, ret->name) != 0) {
		phase_say(host, LOG_ERR, event->guest, "the XML is of a guest named %s", ret->name);
		return 1;
	}
	return 0;
}

/* Return: true with the claim of its own last run */
static bool find_own(const struct domain *domain, const struct claims *claims, struct conflict *ret)
{
	*ret = (struct conflict){ .what = "what its last run held" };
	for (size_t i = 0; i < claims->nr && !ret->with; i++)
		if (strcmp(claims->claims[i].uuid, domain->uuid) == 0)
			ret->with = &claims->claims[i];
	return ret->with;
}

/* --- guests without a policy ------------------------------------------------------------------ */

/* Return: true when another guest has what this one wants, or a claim of its own is left */
static bool is_held(const struct host *host, const struct domain *domain, struct claims *claims,
		    struct conflict *ret)
{
	claims_free(claims);
	if (registry_load(host->statefd, claims) < 0)
		return false;
	return (find_own(domain, claims, ret) && registry_alive(host->rootfd, ret->with) == 0) ||
	       conflict_find(host, domain, NULL, claims, ret) > 0;
}

/*
 * What gives it back may be scripts, so this guest, too, waits for them, each to its own deadline.
 * Else usher recover would take it back while QEMU is about to have it.
 */
static void give_back_wanted(struct host *host)
{
	_cleanup_step_result_ struct step_result result = { 0 };

	host->leaves_scripts = false;
	host->undo_until = deadline_in(RETURNING_MS);
	(void)giveback_dead(host, NULL, 0, &result);
}

/* A process start and nothing else, unless somebody holds something */
static int prepare_unmanaged(const struct event *event, struct host *host)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;
	struct conflict conflict;
	int alive;

	host->statefd = state_open(host->rootfd, false);
	if (host->statefd < 0)
		return 0;
	host->leaves_scripts = true;
	host->undo_until = deadline_in(UNMANAGED_MS);
	(void)giveback_dead(host, NULL, 0, &result);
	if (registry_load(host->statefd, &claims) < 0 || claims.nr == 0)
		return 0;
	if (domain_read(STDIN_FILENO, &domain, &err) < 0)
		return 0;
	if (!is_held(host, &domain, &claims, &conflict))
		return 0;
	alive = registry_alive(host->rootfd, conflict.with);
	if (alive == 0) {
		give_back_wanted(host);
		if (!is_held(host, &domain, &claims, &conflict))
			return 0;
	}
	return alive < 0 ? 0 : refuse_unmanaged(event, host, &conflict);
}

/* --- the claim -------------------------------------------------------------------------------- */

/*
 * Is its own last run still being given back, by a process that waits for that run's scripts: it
 * would take a new claim for the old one.
 */
static int is_returning(const struct host *host, const struct domain *domain,
			const struct claims *claims, struct conflict *ret)
{
	return find_own(domain, claims, ret) && refuse_is_passing(host, ret->with);
}

/* Return: 0 the claim is ours and stored, 1 refused, 2 look again, else -errno */
static int claim_try(const struct event *event, const struct host *host,
		     const struct domain *domain, struct claim *claim, long long deadline)
{
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_close_ int lock = registry_lock(host->statefd, LOCK_MS);
	_cleanup_close_ int returner = -1;
	struct conflict conflict;
	int r;

	if (lock < 0)
		return lock;
	r = registry_load(host->statefd, &claims);
	if (r > 0)
		return refuse_unreadable(event, host, &claims);
	if (r == 0)
		r = is_returning(host, domain, &claims, &conflict)
			    ?: conflict_find(host, domain, claim, &claims, &conflict);
	if (r == 0)
		r = claim_store(host->statefd, claim);
	else if (r > 0 && (!deadline_left(deadline) || !refuse_is_passing(host, conflict.with)))
		return refuse_conflict(event, host, &conflict);
	if (r <= 0)
		return r;
	cleanup_close(&lock);
	lock = -1;
	/* Whoever gives back holds this lock until he is done */
	returner = giveback_lock(host, conflict.with->uuid, deadline_left(deadline));
	return returner == -ENOMEM ? returner : 2;
}

/* Return: 0, 1 refused (said) */
static int claim_take(const struct event *event, const struct host *host,
		      const struct domain *domain, struct claim *claim, long long deadline)
{
	int r;

	do
		r = claim_try(event, host, domain, claim, deadline);
	while (r == 2);
	return r < 0 ? refuse_errno(event, host, "write the claim in /run/usher", r) : r;
}

/* What an earlier run of this guest, or a guest nobody keeps alive, has left behind */
static int clear_way(const struct event *event, const struct host *host,
		     const struct domain *domain, long long deadline)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	pid_t pid = process_find_qemu(host->rootfd, domain->uuid);
	int r;

	if (pid > 0) {
		phase_say(
			host, LOG_ERR, event->guest,
			"a QEMU of this guest is still there (pid %d): wait until it has ended, or "
			"kill it",
			(int)pid);
		return 1;
	}
	r = giveback_dead(host, domain->uuid, deadline_left(deadline), &result);
	if (r < 0)
		return refuse_errno(event, host, "look for claims left behind in /run/usher", r);
	return 0;
}

/* --- the steps -------------------------------------------------------------------------------- */

/* Lines of helpers begin with "usher: GUEST: " already, and are in the log */
static int refuse_lines(const struct step_result *result)
{
	if (result->failures)
		(void)fputs(result->failures, stderr);
	return 1;
}

/* Another guest's end goes by it: what it has set together with this one is then its to set back */
static void set_returning(const struct host *host, struct claim *claim)
{
	struct process self;
	int r = phase_owner(host, getpid(), &self);

	if (r == 0)
		r = claim_set_state(host->statefd, claim, CLAIM_RETURNING, &self);
	if (r < 0)
		log_line(host->rootfd, LOG_WARNING, "%s: cannot note that it is given back: %s",
			 claim->guest, strerror(-r));
}

static int undo_prepare(const struct event *event, const struct host *host, struct claim *claim)
{
	_cleanup_step_result_ struct step_result result = { 0 };
	int r;

	set_returning(host, claim);
	r = giveback_claim(host, claim, &result);
	if (r == 0)
		return 1;
	(void)refuse_lines(&result);
	phase_say(host, LOG_ERR, event->guest,
		  "not everything could be given back: usher recover tries again");
	return 1;
}

/* The guest's own scripts come last; as with libvirt, a failed start has its release too */
static int run_scripts(const struct event *event, const struct host *host, struct claim *claim)
{
	_cleanup_free_ char *why = NULL;
	int r = given_scripts(event, host, claim, &why);

	if (r == 0)
		return 0;
	phase_say(host, LOG_ERR, event->guest, "%s", why ?: "out of memory");
	return undo_prepare(event, host, claim);
}

/* Nothing was touched for this claim; what is older than it must not be forgotten with it */
static void drop_claim(const struct host *host, const struct claim *claim)
{
	_cleanup_step_result_ struct step_result result = { 0 };

	if (!registry_leftovers(host->statefd, claim->uuid))
		(void)giveback_forget(host, claim, &result);
	else if (giveback_claim(host, claim, &result) != 0)
		log_line(host->rootfd, LOG_WARNING, "%s: an earlier run is not given back yet",
			 claim->guest);
}

/* Return: 0, 1 refused (said) and all is back */
static int run_steps(const struct event *event, const struct host *host, struct claim *claim)
{
	_cleanup_step_result_ struct step_result checked = { 0 };
	_cleanup_step_result_ struct step_result applied = { 0 };
	int r;

	r = steps_run(host, claim, "check", STEP_BOTH, 0, &checked);
	if (r != 0) {
		(void)refuse_lines(&checked);
		drop_claim(host, claim);
		return r < 0 ? refuse_errno(event, host, "run the checks", r) : 1;
	}
	r = steps_run(host, claim, "apply", STEP_PREPARE, 0, &applied);
	if (r == 0)
		return run_scripts(event, host, claim);
	(void)refuse_lines(&applied);
	if (r < 0)
		(void)refuse_errno(event, host, "run the steps", r);
	return undo_prepare(event, host, claim);
}

/* Return: 0, 1 refused (said) and the claim is dropped */
static int choose_cpus(const struct event *event, const struct host *host, struct claim *claim)
{
	_cleanup_step_result_ struct step_result chosen = { 0 };
	_cleanup_claim_ struct claim with = { 0 };
	struct ini_error err;
	int r = step_choose(host, claim, &chosen);

	if (r == 0 && inidoc_get(&claim->doc, "cpuset", "pin"))
		r = claim_load(host->statefd, claim->uuid, &with, &err);
	if (r != 0) {
		(void)refuse_lines(&chosen);
		drop_claim(host, claim);
		return r < 0 ? refuse_errno(event, host, "have its CPUs chosen", r) : 1;
	}
	if (with.guest) {
		claim_free(claim);
		*claim = with;
		with = (struct claim){ 0 };
	}
	return 0;
}

/* Return: 0 the daemon owns the claim now, 1 refused */
static int hand_over(const struct event *event, const struct host *host, struct claim *claim)
{
	struct process owner;
	int r = phase_daemon(event, host, &owner);

	if (r == 0)
		r = claim_set_state(host->statefd, claim, CLAIM_HANDED, &owner);
	if (r == 0)
		return 0;
	(void)refuse_errno(event, host, "hand the claim to the libvirt daemon", r);
	return undo_prepare(event, host, claim);
}

static int take(const struct event *event, struct host *host, const struct domain *domain,
		struct claim *claim, long long deadline)
{
	_cleanup_close_ int lock = -1;
	int r = claim_take(event, host, domain, claim, deadline);

	if (r != 0)
		return r;
	lock = giveback_lock(host, claim->uuid, LOCK_MS);
	if (lock < 0)
		return refuse_errno(event, host, "lock the claim in /run/usher", lock);
	host->undo_until = step_start_until(claim);
	r = choose_cpus(event, host, claim);
	if (r == 0)
		r = run_steps(event, host, claim);
	return r != 0 ? r : hand_over(event, host, claim);
}

int prepare_claim(const struct event *event, const struct host *host, const struct policy *policy,
		  const struct domain *domain, struct claim *ret)
{
	struct plan_error err;
	struct process self = { 0 };
	/* A plan may be for another host's tree, where we are no process */
	int r = event->plan ? 0 : phase_owner(host, getpid(), &self);

	if (r < 0)
		return refuse_errno(event, host, "find ourselves in /proc", r);
	r = plan_claim(host->rootfd, domain, policy, &self, ret, &err);
	return r < 0 ? refuse(event, host, err.what) : 0;
}

static int prepare_managed(const struct event *event, struct host *host,
			   const struct policy *policy)
{
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	long long deadline;

	if (prepare_domain(event, host, &domain))
		return 1;
	memcpy(host->uuid, domain.uuid, UUID_STRLEN);
	if (prepare_claim(event, host, policy, &domain, &claim))
		return 1;
	host->statefd = state_open(host->rootfd, true);
	if (host->statefd == -EPERM || host->statefd == -ELOOP || host->statefd == -ENOTDIR)
		return refuse(event, host,
			      "/run/usher is not a directory that is root's alone: look who made "
			      "it, then remove it, or chown root and chmod 700 it");
	if (host->statefd < 0)
		return refuse_errno(event, host, "use /run/usher", host->statefd);
	host->undo_until = step_start_until(&claim);
	deadline = deadline_in(RETURNING_MS);
	if (clear_way(event, host, &domain, deadline))
		return 1;
	return take(event, host, &domain, &claim, deadline);
}

int phase_prepare(const struct event *event, struct host *host)
{
	_cleanup_policy_ struct policy policy = { 0 };
	struct policy_error err;
	int r;

	r = policy_load(host->rootfd, event->guest, &policy, &err);
	if (r == 1)
		return prepare_unmanaged(event, host);
	host->ours = true;
	return r < 0 ? refuse(event, host, err.what) : prepare_managed(event, host, &policy);
}
