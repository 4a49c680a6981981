/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/family.c - drivers that are unloaded instead of unbound, with all that is on top */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/drivernodes.h"
#include "../../lib/module.h"
#include "../../lib/pcidev.h"
#include "../../lib/spawn.h"
#include "../../lib/sysbus.h"
#include "vfio.h"

/*
 * How it works
 *
 * Where every device of such a driver is the guest's, its services are stopped and its modules
 * unloaded, the users first; the kernel refuses that while anything is in use, and so is asked
 * nothing that hangs. The override is set before, so what loads the driver meanwhile finds no
 * device. Where another card stays with the host the modules cannot go, and the device is unbound
 * like any other. That hangs while anybody has one of its nodes open, so the driver's keeper is
 * asked to let go of it, and the nodes are looked at once more right before; also with
 * in_use = force.
 *
 * Back, the override is on the driver until all modules are there again: whoever polls the card
 * (nvidia-smi) must not enter the driver beside us. The services come when all cards of the guest's
 * are back. Which modules and services the host had is no one guest's: family_shared.c.
 */

#define SERVICE_MS    5000
#define MODULE_MS     10000
#define IN_USE_MS     3000 /* for users that are about to go */
#define KEEPER_MS     3000
#define LOOK_AGAIN_MS 50

static int append(char list[static SAVED_MAX], const char *word)
{
	size_t len = strlen(list);

	return path_format(list + len, SAVED_MAX - len, "%s%s", len ? " " : "", word);
}

/* What of the family is there, into the job. An older journal knows it already. */
static int look(struct worker *worker, struct vfio_job *job, const struct driver_rule *rule)
{
	int rootfd = worker->ctx->rootfd, r = 0;

	if (*job->saved[SAVED_MODULES])
		return 0;
	for (size_t i = 0; r == 0 && rule->modules[i]; i++)
		if (module_loaded(rootfd, rule->modules[i]) > 0)
			r = append(job->saved[SAVED_MODULES], rule->modules[i]);
	for (size_t i = 0; r == 0 && rule->services && rule->services[i]; i++)
		if (sysbus_unit_active(rule->services[i], SERVICE_MS) > 0)
			r = append(job->saved[SAVED_SERVICES], rule->services[i]);
	return r;
}

static int fail_service(struct vfio_job *job, const char *unit, int error, int ms)
{
	if (error == -ETIMEDOUT)
		return job_fail(job, error,
				"%s needs %s stopped, and it did not stop within %d ms: see "
				"systemctl status %s, and stop it by hand before the start, or "
				"raise timeout in [vfio] of the policy",
				job->name, unit, ms, unit);
	return job_fail(job, error,
			"%s needs %s stopped, and it does not stop: %s: see systemctl status %s",
			job->name, unit, strerror(-error), unit);
}

/* Nothing hangs in the kernel here: we are not to be left behind, but to say what it was */
static int stop_services(struct worker *worker, struct vfio_job *job)
{
	_cleanup_strlist_ struct strlist units = { 0 };
	int r = text_split(job->saved[SAVED_SERVICES], " ", &units);

	for (size_t i = 0; r == 0 && i < units.nr; i++) {
		int ms = worker_left(worker, SERVICE_MS);

		if (helper_would(worker->ctx, "stop unit %s", units.names[i]))
			continue;
		r = worker_mark_named(worker, job, MARK_SERVICE, units.names[i]);
		if (r == 0)
			r = sysbus_stop_unit(units.names[i], ms);
		if (r < 0)
			return fail_service(job, units.names[i], r, ms);
	}
	return r;
}

/* Who is about to close the device gets a moment */
static int unload(struct worker *worker, struct vfio_job *job, const char *module)
{
	long long until = deadline_in(IN_USE_MS);
	int r = worker_mark(worker, job, MARK_UNLOAD);

	if (r < 0 || helper_would(worker->ctx, "rmmod %s", module))
		return r;
	do {
		r = module_unload(worker->ctx->rootfd, module);
		if (r != -EBUSY || deadline_left(until) == 0)
			break;
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	} while (true);
	if (r == 0 && module_loaded(worker->ctx->rootfd, module) > 0)
		r = -EBUSY;
	if (r == -EBUSY)
		return job_fail(job, r,
				"%s cannot be taken from its driver: module %s is in use: end what "
				"uses the card (lsmod | grep %s, fuser -v /dev/%s*)",
				job->name, module, module, worker->mark.driver);
	if (r < 0)
		return job_fail(job, r,
				"%s cannot be taken from its driver: unloading %s: %s: see "
				"dmesg",
				job->name, module, strerror(-r));
	return 0;
}

static int unload_all(struct worker *worker, struct vfio_job *job, const char *driver)
{
	_cleanup_strlist_ struct strlist modules = { 0 };
	char now[DRIVER_NAME_MAX];
	int r = family_keep(worker, job, driver);

	if (r == 0)
		r = stop_services(worker, job);
	if (r == 0)
		r = text_split(job->saved[SAVED_MODULES], " ", &modules);
	for (size_t i = 0; r == 0 && i < modules.nr; i++)
		r = unload(worker, job, modules.names[i]);
	if (r < 0 || worker->ctx->dry_run)
		return r;
	r = pcidev_driver(worker->ctx->rootfd, &job->addr, now, sizeof(now));
	if (r > 0)
		return job_fail(
			job, -EBUSY,
			"%s still has driver %s, though its modules are unloaded: see dmesg",
			job->name, now);
	return r;
}

/* --- One device of several -------------------------------------------------------------------- */

/* Return: 0, 1 the driver does not say which node is its own, -ENOMEM, else -errno */
static int device_nodes(const struct worker *worker, const struct vfio_job *job,
			const struct driver_rule *rule, struct strlist *nodes)
{
	_cleanup_node_list_ struct node_list below = { 0 };
	int rootfd = worker->ctx->rootfd;
	int r = nodes_find(rootfd, job->name, &below);

	if (r == 0)
		r = nodes_paths(rootfd, &below, false, nodes);
	return r < 0 ? r : drivernodes_add(rootfd, rule->driver, job->name, false, nodes);
}

/* Return: the pid > 0 of the keeper, 0 when it has none of the nodes open, else -errno */
static pid_t keeper_of(const struct worker *worker, const struct driver_rule *rule,
		       const struct strlist *nodes)
{
	pid_t pid = nodes_user(worker->ctx->rootfd, nodes);

	while (pid > 0) {
		char comm[PROCESS_NAME_MAX + 1] = "";

		(void)(process_name(worker->ctx->rootfd, pid, comm, sizeof(comm)) < 0);
		if (rule_can_ask(worker->ctx->rootfd, rule->driver, comm))
			break;
		pid = process_find_open_after(worker->ctx->rootfd,
					      (const char *const *)nodes->names, nodes->nr, pid);
	}
	return pid;
}

int family_look_keeper(struct worker *worker, struct vfio_job *job, const char *driver)
{
	const struct driver_rule *rule = rule_family(driver);
	_cleanup_strlist_ struct strlist nodes = { 0 };
	int r = rule ? device_nodes(worker, job, rule, &nodes) : -ENOENT;

	if (!rule)
		return 0;
	if (r >= 0 && keeper_of(worker, rule, &nodes) > 0)
		r = append(job->saved[SAVED_KEEPER], "on");
	return r < 0 ? r : 0;
}

/*
 * Persistence mode: whether the daemon has the card open.
 * ABI: nvidia-smi(1), -pm and -i; with the daemon running it is that which acts on it
 */
static int keeper_set(struct worker *worker, const struct vfio_job *job,
		      const struct driver_rule *rule, const char *mode)
{
	const char *const argv[] = { rule->keeper_tool, "-i", job->name, "-pm", mode, NULL };
	struct spawn_job run = { .argv = argv, .timeout_ms = KEEPER_MS };
	int r;

	if (helper_would(worker->ctx, "run %s -i %s -pm %s", rule->keeper_tool, job->name, mode))
		return 0;
	r = spawn_run(&run, 1);
	spawn_job_free(&run);
	return r;
}

/* Who goes by itself gets a moment. Return: the pid > 0 of one that stays, 0, else -errno */
static pid_t wait_quiet(const struct worker *worker, const struct strlist *nodes)
{
	long long until = deadline_in(IN_USE_MS);
	pid_t pid;

	while ((pid = nodes_user(worker->ctx->rootfd, nodes)) > 0 && deadline_left(until) > 0)
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	return pid;
}

static int fail_in_use(const struct worker *worker, struct vfio_job *job, const char *driver,
		       pid_t pid)
{
	struct pciid id = { 0 };
	char who[64];

	(void)(pcidev_id(worker->ctx->rootfd, &job->addr, &id) < 0);
	process_describe(worker->ctx->rootfd, pid, who, sizeof(who));
	return job_fail(job, -EBUSY,
			"%s is not taken from driver %s, which would hang: it is in use by %s: end "
			"that first, or " BOOT_CURE,
			job->name, driver, who, id.vendor, id.device);
}

static int fail_look(struct vfio_job *job, const char *driver, int error)
{
	return job_fail(job, error,
			"cannot look at who uses %s, without which driver %s may hang: %s: see "
			"fuser -v /dev/%s*",
			job->name, driver, strerror(-error), driver);
}

/*
 * Before an unbind that never returns while anything of the device is open: the driver's keeper is
 * asked to let go; whoever else came since the first look refuses it.
 */
static int quiet(struct worker *worker, struct vfio_job *job, const struct driver_rule *rule)
{
	_cleanup_strlist_ struct strlist nodes = { 0 };
	pid_t pid = 0;
	int r = device_nodes(worker, job, rule, &nodes);

	if (r == 0 && *job->saved[SAVED_KEEPER])
		(void)keeper_set(worker, job, rule, "0");
	if (r == 0 && !worker->ctx->dry_run)
		pid = wait_quiet(worker, &nodes);
	if (pid > 0)
		return fail_in_use(worker, job, rule->driver, pid);
	if (r > 0)
		r = -ENODATA;
	if (r == 0)
		r = (int)pid;
	return r < 0 ? fail_look(job, rule->driver, r) : 0;
}

/* Where another card stays there is nothing to wait for */
int family_begin(struct worker *worker, struct vfio_job *job, const char *driver)
{
	if (!rule_family(driver) ||
	    drivernodes_alone(worker->ctx->rootfd, &worker->ctx->claim, driver) == 0)
		return 0;
	return family_take(worker, job, driver);
}

/* Whether no card stays with the host, in our turn: one may have come, or gone, while we waited */
static int ask_alone(struct worker *worker, struct vfio_job *job, const char *driver)
{
	int r = drivernodes_alone(worker->ctx->rootfd, &worker->ctx->claim, driver);

	if (r > 0) {
		r = family_take(worker, job, driver);
		if (r < 0)
			return r;
		r = drivernodes_alone(worker->ctx->rootfd, &worker->ctx->claim, driver);
	}
	return r < 0 ? fail_look(job, driver, r) : r;
}

/* The turn is for unloading alone: an unbind that hangs is to hold up no other card */
int family_let_go(struct worker *worker, struct vfio_job *job, const char *driver)
{
	const struct driver_rule *rule = rule_family(driver);
	int r = rule ? ask_alone(worker, job, driver) : 0;

	if (!rule || r < 0)
		return r;
	if (r == 0) {
		family_release(worker);
		return quiet(worker, job, rule);
	}
	r = look(worker, job, rule);
	if (r < 0)
		return fail_look(job, driver, r);
	if (!*job->saved[SAVED_MODULES])
		return 0;
	r = unload_all(worker, job, driver);
	return r < 0 ? r : 1;
}

/* --- And back ---------------------------------------------------------------------------------- */

static int load_modules(struct worker *worker, struct vfio_job *job)
{
	_cleanup_strlist_ struct strlist modules = { 0 };
	int r = text_split(job->saved[SAVED_MODULES], " ", &modules);

	/* What was unloaded last comes first */
	for (size_t i = modules.nr; r == 0 && i > 0; i--) {
		const char *module = modules.names[i - 1];

		if (helper_would(worker->ctx, "modprobe %s", module) ||
		    module_loaded(worker->ctx->rootfd, module) > 0)
			continue;
		r = worker_mark_named(worker, job, MARK_LOAD, module);
		if (r == 0)
			r = module_load(worker->ctx->rootfd, module, MODULE_MS);
		if (r < 0)
			return job_fail(job, r,
					"module %s cannot be loaded again for %s: %s: see "
					"modprobe -v %s, and dmesg",
					module, job->name, strerror(-r), module);
	}
	return r;
}

/* One that is not installed any more is told, and no reason to try again */
static int fail_start(struct vfio_job *job, const char *unit, int error)
{
	(void)job_fail(job, 0, "%s is back, but %s does not start: %s: see systemctl status %s%s",
		       job->name, unit, strerror(-error), unit,
		       error == -ENOENT ? "" : ", then run usher recover");
	return error == -ENOENT ? 0 : error;
}

static int start_service(struct worker *worker, struct vfio_job *job, const char *unit)
{
	int r, ms = worker_left(worker, SERVICE_MS);

	if (helper_would(worker->ctx, "start unit %s", unit))
		return 0;
	r = worker_mark_named(worker, job, MARK_SERVICE, unit);
	if (r < 0)
		return r;
	r = sysbus_start_unit(unit, ms < SERVICE_MS ? ms : SERVICE_MS);
	/* The host goes down: nothing is started any more */
	return r < 0 && r != -ESHUTDOWN ? fail_start(job, unit, r) : 0;
}

/* In reverse, and all of them, whatever one comes to */
static int start_services(struct worker *worker, struct vfio_job *job)
{
	_cleanup_strlist_ struct strlist units = { 0 };
	int r = text_split(job->saved[SAVED_SERVICES], " ", &units);

	for (size_t i = units.nr; r != -ECANCELED && i > 0; i--) {
		int one = start_service(worker, job, units.names[i - 1]);

		r = r < 0 ? r : one;
	}
	return r;
}

/* Without the tool nobody can give it back, and to try again would not help */
static int return_to_keeper(struct worker *worker, struct vfio_job *job,
			    const struct driver_rule *rule)
{
	if (!*job->saved[SAVED_KEEPER] || keeper_set(worker, job, rule, "1") == 0)
		return 0;
	return job_fail(job,
			rule_can_ask(worker->ctx->rootfd, rule->driver, rule->keeper) ? -EIO : 0,
			"%s is back, but not in persistence mode as it was: try nvidia-smi -i %s "
			"-pm 1, then run usher recover",
			job->name, job->name);
}

int family_load(struct worker *worker, struct vfio_job *job)
{
	int r;

	if (!rule_family(job->old_driver))
		return 0;
	r = family_join(worker, job);
	if (r == 0)
		r = family_recall(worker, job);
	return r < 0 ? r : load_modules(worker, job);
}

/* What the last card that comes back has to see to */
static int start_all(struct worker *worker, struct vfio_job *job, const struct driver_rule *rule,
		     bool home)
{
	int r = home ? 0 : load_modules(worker, job);

	if (r < 0 || family_has_next(worker, job))
		return r;
	r = start_services(worker, job);
	if (r == 0)
		r = family_forget(worker, job);
	return r == 0 && home ? return_to_keeper(worker, job, rule) : r;
}

int family_settle(struct worker *worker, struct vfio_job *job, bool home)
{
	const struct driver_rule *rule = rule_family(job->old_driver);
	int r;

	if (!rule)
		return 0;
	r = family_join(worker, job);
	if (r == 0)
		r = family_recall(worker, job);
	if (r < 0)
		return r;
	if (home || rule_bound(worker->ctx->rootfd, rule->driver) > 0)
		return start_all(worker, job, rule, home);
	/* Without a card nothing of the driver's loads: that is left to the next one, if there is one */
	return family_awaited(worker, job) ? 0 : family_forget(worker, job);
}
