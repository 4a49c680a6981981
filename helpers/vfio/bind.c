/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/bind.c - one device to its vfio driver, and back to the one it had */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/module.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/*
 * How it works
 *
 * driver_override decides alone who may have the device, so it is set before the driver is made to
 * let go: from then on no other driver can come in between, whatever module is loaded meanwhile.
 * Back it aims at the driver the device had, not at "any that fits": of nouveau and nvidia, or of
 * a driver and a vfio-pci with an id list, the kernel would take the first it finds. Its own old
 * value comes last, so a device killed half-way is still aimed home.
 *
 * A device that had no driver gets none again, unless it was too early for one: then the kernel
 * chooses, as it would have done.
 */

#define PROBE_FILE "sys/bus/pci/drivers_probe"

/* Loading the module of the driver a device had may take this long */
#define MODULE_TIMEOUT_MS 10000

static void device_attr(const struct vfio_job *job, const char *attr, char buf[static PATH_MAX])
{
	(void)snprintf(buf, PATH_MAX, "sys/bus/pci/devices/%s/%s", job->name, attr);
}

/*
 * read_override() - the device's driver_override, "" when it is not set
 *
 * Takes the device's lock: it can sleep as long as a driver that is being unbound does.
 *
 * Return: 0, -ENAMETOOLONG, else as attr_read()
 * ABI: drivers/base/driver.c device_show_override(): an unset one reads "(null)"; Linux 6.12
 */
static int read_override(const struct worker *worker, const struct vfio_job *job,
			 char buf[static DRIVER_NAME_MAX])
{
	char path[PATH_MAX], text[ATTR_MAX];
	int r;

	device_attr(job, "driver_override", path);
	r = attr_read(worker->ctx->rootfd, path, text, sizeof(text));
	if (r < 0)
		return r;
	if (strcmp(text, "(null)") == 0)
		text[0] = '\0';
	return path_format(buf, DRIVER_NAME_MAX, "%s", text);
}

int write_override(struct worker *worker, struct vfio_job *job, const char *driver)
{
	char path[PATH_MAX];
	int r;

	device_attr(job, "driver_override", path);
	r = worker_step(worker, job, MARK_OVERRIDE, path, driver);
	if (r < 0)
		return job_fail(job, r,
				"cannot set driver_override of %s to '%s': %s: see dmesg, and "
				"whether lspci -vs %s still answers",
				job->name, driver, strerror(-r), job->name);
	return 0;
}

int unbind(struct worker *worker, struct vfio_job *job, const char *driver)
{
	char path[PATH_MAX];
	int r;

	device_attr(job, "driver/unbind", path);
	r = worker_step(worker, job, MARK_UNBIND, path, job->name);
	if (r == -ENOENT || r == -ENODEV)
		return 0;
	if (r < 0)
		return job_fail(job, r, "cannot take %s from driver %s: %s: see dmesg", job->name,
				driver, strerror(-r));
	return 0;
}

/*
 * probe() - have the kernel find a driver, and read back that it is the one that was asked for
 *
 * The write succeeds also when no driver wanted the device, or another took it.
 *
 * Return: 0, -ENXIO no driver took it, -EBUSY another did, -ECANCELED, else -errno
 */
static int probe(struct worker *worker, struct vfio_job *job, const char *driver)
{
	char now[DRIVER_NAME_MAX];
	int r = worker_step(worker, job, MARK_PROBE, PROBE_FILE, job->name);

	if (r < 0)
		return job_fail(job, r, "cannot bind %s to driver %s: %s: see dmesg", job->name,
				driver, strerror(-r));
	if (worker->ctx->dry_run)
		return 0;
	r = pcidev_driver(worker->ctx->rootfd, &job->addr, now, sizeof(now));
	if (r < 0)
		return job_fail(job, r, "cannot read which driver %s has: %s: see lspci -ks %s",
				job->name, strerror(-r), job->name);
	if (r == 0)
		return job_fail(
			job, -ENXIO,
			"driver %s did not take %s, though the kernel reported no error: see "
			"dmesg",
			driver, job->name);
	if (strcmp(now, driver) != 0)
		return job_fail(
			job, -EBUSY,
			"%s was to have driver %s, but it has %s: see which program binds it "
			"(driverctl, a udev rule)",
			job->name, driver, now);
	return 0;
}

/* The driver's own way of letting go, else as any does */
static int let_go(struct worker *worker, struct vfio_job *job, const char *driver)
{
	int r = family_let_go(worker, job, driver);

	if (r != 0)
		return r < 0 ? r : 0;
	return unbind(worker, job, driver);
}

/* What is to be remembered of the host, from the device itself */
static int remember(struct worker *worker, struct vfio_job *job, const char *driver)
{
	int r = read_override(worker, job, job->old_override);

	if (r < 0)
		return job_fail(job, r, "cannot read driver_override of %s: %s: see lspci -vs %s",
				job->name, strerror(-r), job->name);
	(void)snprintf(job->old_driver, sizeof(job->old_driver), "%s", driver);
	r = saved_read(worker, job);
	if (r == 0)
		r = bars_read(worker, job);
	if (r == 0)
		r = family_look_keeper(worker, job, driver);
	if (r < 0)
		return job_fail(job, r, "cannot look at %s: %s: see lspci -vs %s", job->name,
				strerror(-r), job->name);
	r = worker_announce(worker, job);
	if (r < 0)
		return job_fail(job, r,
				"cannot note in /run/usher what driver %s has: %s: see df /run",
				job->name, strerror(-r));
	job->journaled = true;
	return 0;
}

/* Is there another one in the unit that is on that driver, too */
static bool has_others(const struct worker *worker, const struct vfio_jobs *jobs,
		       const struct vfio_job *job, const char *driver)
{
	for (size_t i = 0; i < jobs->nr; i++) {
		const struct vfio_job *other = &jobs->jobs[i];
		char its[DRIVER_NAME_MAX];

		if (other != job && other->unit == job->unit &&
		    pcidev_driver(worker->ctx->rootfd, &other->addr, its, sizeof(its)) > 0 &&
		    strcmp(its, driver) == 0)
			return true;
	}
	return false;
}

/* One of several that lose their driver together: what it had, while it has it */
static int bind_look(struct worker *worker, const struct vfio_jobs *jobs, struct vfio_job *job)
{
	char driver[DRIVER_NAME_MAX];
	int r = pcidev_driver(worker->ctx->rootfd, &job->addr, driver, sizeof(driver));

	if (r <= 0 || job->journaled || !rule_family(driver) ||
	    !has_others(worker, jobs, job, driver))
		return 0;
	r = worker_begin_said(worker, job);
	if (r == 0)
		r = family_begin(worker, job, driver);
	if (r == 0)
		r = remember(worker, job, worker->mark.driver);
	return r < 0 ? r : worker_mark(worker, job, MARK_TURN);
}

/*
 * bind_act() - from its own driver to the vfio driver
 *
 * Works from any half-done state; what it fails at is left as it is: the crew has it given back.
 *
 * Return: as struct vfio_verb
 */
static int bind_act(struct worker *worker, struct vfio_job *job)
{
	const char *driver = worker->mark.driver;
	int r = worker_begin_said(worker, job);

	if (r < 0)
		return r;
	if (strcmp(driver, job->target) == 0)
		return 0;
	/* Before anything is touched: who waits in vain has nothing to give back */
	r = family_begin(worker, job, driver);
	if (r >= 0 && !job->journaled)
		r = remember(worker, job, driver);
	if (r >= 0)
		r = write_override(worker, job, job->target);
	if (r >= 0 && *driver)
		r = let_go(worker, job, driver);
	if (r >= 0)
		r = saved_set_reset(worker, job);
	if (r >= 0)
		r = bars_set(worker, job);
	return r < 0 ? r : probe(worker, job, job->target);
}

/* Nothing comes behind it that would show it: a device whose override stays follows no other driver */
static int confirm_override(struct worker *worker, struct vfio_job *job)
{
	char now[DRIVER_NAME_MAX];
	int r = worker->ctx->dry_run ? 0 : read_override(worker, job, now);

	if (worker->ctx->dry_run || (r == 0 && strcmp(now, job->old_override) == 0))
		return 0;
	return job_fail(job, r < 0 ? r : -EIO,
			"cannot set driver_override of %s back to '%s': %s: see dmesg, and whether "
			"lspci -vs %s still answers",
			job->name, job->old_override,
			r < 0 ? strerror(-r) : "the kernel took it and did not keep it", job->name);
}

/* An override that is neither ours nor aimed home is somebody else's by now */
static int restore_override(struct worker *worker, struct vfio_job *job)
{
	char now[DRIVER_NAME_MAX];
	int r = read_override(worker, job, now);

	if (r < 0)
		return job_fail(job, r,
				"cannot read driver_override of %s: %s: see lspci -vs %s, then run "
				"usher recover",
				job->name, strerror(-r), job->name);
	if (strcmp(now, job->old_override) == 0)
		return 0;
	if (strcmp(now, job->target) != 0 && strcmp(now, job->old_driver) != 0)
		return 0;
	r = write_override(worker, job, job->old_override);
	return r < 0 ? r : confirm_override(worker, job);
}

/* Back on the driver it had: the rest of what the host had, and the override when all is loaded */
static int restore_rest(struct worker *worker, struct vfio_job *job)
{
	int r = family_load(worker, job);

	if (r >= 0)
		r = saved_restore(worker, job);
	if (r >= 0)
		r = restore_override(worker, job);
	return r < 0 ? r : family_settle(worker, job, true);
}

/* Return: 1 the driver that it had is loaded, 0 not, else -errno */
static int driver_there(const struct worker *worker, const struct vfio_job *job)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/drivers/%s", job->old_driver);

	return r < 0 ? r : attr_exists(worker->ctx->rootfd, path);
}

/* Return: 0, else as module_load() */
static int load_module(struct worker *worker, const struct vfio_job *job, const char *module)
{
	int r;

	if (helper_would(worker->ctx, "modprobe %s", module))
		return 0;
	r = worker_mark_named(worker, job, MARK_LOAD, module);
	return r < 0 ? r : module_load(worker->ctx->rootfd, module, MODULE_TIMEOUT_MS);
}

/*
 * An older journal does not know the module. Where none of the driver's name brings it, the device
 * does: that is what udev loads. It comes second, since a device's modules may be several.
 */
static int load_unknown(struct worker *worker, const struct vfio_job *job)
{
	char path[PATH_MAX], modalias[SAVED_MAX];
	int r = load_module(worker, job, job->old_driver), there;

	if (worker->ctx->dry_run || (r < 0 && r != -ENOENT))
		return r;
	there = driver_there(worker, job);
	if (there != 0)
		return there < 0 ? there : 0;
	device_attr(job, "modalias", path);
	if (attr_read(worker->ctx->rootfd, path, modalias, sizeof(modalias)) < 0)
		return r < 0 ? r : -ENOENT;
	return load_module(worker, job, modalias);
}

/* Its module may have been unloaded while it had no device */
static int load_driver(struct worker *worker, struct vfio_job *job)
{
	const char *module = job->saved[SAVED_MODULE];
	int r = driver_there(worker, job);

	if (r != 0)
		return r < 0 ? r : 0;
	r = *module ? load_module(worker, job, module) : load_unknown(worker, job);
	if (r < 0)
		return job_fail(job, r,
				"%s cannot go back to driver %s, which is not loaded: %s: see "
				"modprobe -v %s, and dmesg, then run usher recover",
				job->name, job->old_driver, strerror(-r),
				*module ? module : job->old_driver);
	return 0;
}

/* The cure that an admin has for a driver which refuses what was its own */
static void say_replug(struct vfio_job *job)
{
	size_t len = strlen(job->text);

	(void)snprintf(job->text + len, sizeof(job->text) - len,
		       ", then try usher recover --force");
}

/* Too early for a driver of the host's: without our override the kernel finds one, if there is one */
static int choose(struct worker *worker, struct vfio_job *job)
{
	int r = restore_override(worker, job);

	if (r >= 0)
		r = worker_step(worker, job, MARK_PROBE, PROBE_FILE, job->name);
	if (r < 0 && !*job->text)
		return job_fail(job, r,
				"cannot have the kernel find a driver for %s: %s: see dmesg",
				job->name, strerror(-r));
	return r;
}

/* On our vfio driver, or on none: to the driver it had */
static int send_home(struct worker *worker, struct vfio_job *job, const char *driver)
{
	int r = 0;

	if (*job->old_driver)
		r = write_override(worker, job, job->old_driver);
	if (r >= 0 && *driver)
		r = unbind(worker, job, driver);
	if (r >= 0)
		r = saved_restore_reset(worker, job);
	if (r >= 0)
		r = bars_restore(worker, job);
	if (r >= 0)
		r = family_join(worker, job);
	if (r >= 0 && *job->old_driver)
		r = load_driver(worker, job);
	if (r >= 0 && *job->old_driver)
		r = probe(worker, job, job->old_driver);
	if (r >= 0 && *job->saved[SAVED_AWAITS])
		r = choose(worker, job);
	if (r == -ENXIO)
		say_replug(job);
	return r;
}

/* One that had no driver, because it was too early for one, is not where it was by having none */
static bool is_home(const struct vfio_job *job, const char *driver)
{
	return strcmp(driver, job->old_driver) == 0 && (*driver || !*job->saved[SAVED_AWAITS]);
}

/*
 * give_back_act() - to what the journal says it had
 *
 * On the vfio driver or on none it goes back; where somebody has taken it, it stays; where it is
 * back already, only the override is looked after.
 *
 * Return: as struct vfio_verb
 */
static int give_back_act(struct worker *worker, struct vfio_job *job)
{
	const char *driver = worker->mark.driver;
	int r = worker_begin_said(worker, job);

	if (r == -ENODEV) {
		(void)job_fail(job, 0, "%s is not there any more: nothing to give back", job->name);
		return family_settle(worker, job, false);
	}
	if (r < 0)
		return r;
	if (is_home(job, driver))
		return restore_rest(worker, job);
	if (*driver && strcmp(driver, job->target) != 0) {
		(void)job_fail(job, 0, "%s has been taken by driver %s meanwhile: left to it",
			       job->name, driver);
		r = restore_override(worker, job);
		return r < 0 ? r : family_settle(worker, job, false);
	}
	r = send_home(worker, job, driver);
	return r < 0 ? r : restore_rest(worker, job);
}

const struct vfio_verb verb_bind = { .look = bind_look, .act = bind_act, .stops = true };
const struct vfio_verb verb_give_back = { .act = give_back_act, .ends = true };
