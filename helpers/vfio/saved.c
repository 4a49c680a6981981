/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/saved.c - what a device had beside its driver: reset, power, network */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "uses.h"
#include "vfio.h"

/* How long an interface's network manager may take to see it again and begin with it */
#define NETWORK_MS    10000
#define REPORT_MS     500
#define LOOK_AGAIN_MS 100

/* The journal's word, and the attribute for those that are one */
static const struct {
	const char *verb, *attr;
} rows[NR_SAVED] = {
	[SAVED_RESET] = { "reset", "reset_method" },
	[SAVED_D3COLD] = { "d3cold", "d3cold_allowed" },
	[SAVED_POWER] = { "power", "power/control" },
	[SAVED_NETWORK] = { "network", NULL },
	[SAVED_MODULES] = { "modules", NULL },
	[SAVED_SERVICES] = { "services", NULL },
	[SAVED_KEEPER] = { "keeper", NULL },
	[SAVED_BARS] = { "bars", NULL },
	[SAVED_AWAITS] = { "awaits", NULL },
	[SAVED_MODULE] = { "module", NULL },
	[HANDED_RESET] = { "reset-handed", NULL },
	[HANDED_D3COLD] = { "d3cold-handed", NULL },
	[HANDED_POWER] = { "power-handed", NULL },
};

/*
 * How it works
 *
 * The kernel sets power/control anew whenever a driver comes or goes (vfio-pci's says "auto", and
 * "on" when it leaves), so what an attribute is at the end says nothing of who set it. What counts
 * is whether it has changed while the vfio driver had the device: then that was somebody else, and
 * it is that value which the device gets back.
 *
 * ABI: drivers/vfio/pci/vfio_pci_core.c, pm_runtime_allow(), pm_runtime_forbid(); Linux 6.1
 */
static const struct {
	enum saved saved, handed;
} pairs[] = {
	{ SAVED_RESET, HANDED_RESET },
	{ SAVED_D3COLD, HANDED_D3COLD },
	{ SAVED_POWER, HANDED_POWER },
};

int saved_index(const char *verb)
{
	for (int i = 0; i < NR_SAVED; i++)
		if (strcmp(rows[i].verb, verb) == 0)
			return i;
	return -1;
}

const char *saved_verb(enum saved saved)
{
	return rows[saved].verb;
}

/* Return: 0 read, else as attr_read() or -ENAMETOOLONG */
static int read_attr(const struct worker *worker, const struct vfio_job *job, enum saved saved,
		     char buf[static SAVED_MAX])
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/%s", job->name,
			    rows[saved].attr);

	if (r == 0)
		r = attr_read(worker->ctx->rootfd, path, buf, SAVED_MAX);
	return r < 0 ? r : 0;
}

static int write_attr(struct worker *worker, struct vfio_job *job, enum saved saved,
		      const char *value)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/%s", job->name,
			    rows[saved].attr);

	if (r == 0)
		r = worker_step(worker, job, MARK_ATTR, path, value);
	if (r < 0)
		return job_fail(job, r, "cannot set %s of %s to '%s': %s: see dmesg",
				rows[saved].attr, job->name, value, strerror(-r));
	return 0;
}

/* The first interface that somebody configures: one device has rarely more */
static int read_network(const struct worker *worker, struct vfio_job *job)
{
	_cleanup_node_list_ struct node_list nodes = { 0 };
	int rootfd = worker->ctx->rootfd;
	int r = job->has_interface ? nodes_find(rootfd, job->name, &nodes) : 0;

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < nodes.nr; i++) {
		const char *manager;

		if (strcmp(nodes.nodes[i].subsystem, "net") != 0)
			continue;
		manager = net_manager(rootfd, nodes.nodes[i].name);
		if (manager)
			return path_format(job->saved[SAVED_NETWORK], SAVED_MAX, "%s %s", manager,
					   nodes.nodes[i].name);
	}
	return 0;
}

/* A guest that starts with the host may come before the host's drivers */
static int read_awaits(const struct worker *worker, struct vfio_job *job)
{
	int r = *worker->mark.driver || *job->old_override
			? 0
			: variant_awaits_driver(worker->ctx->rootfd, job->name);

	if (r > 0)
		r = path_format(job->saved[SAVED_AWAITS], SAVED_MAX, "driver");
	return r == -ENOMEM ? r : 0;
}

/* ABI: kernel/params.c module_add_driver(): a link, also of most that are built in; Linux 6.12 */
static void read_module(const struct worker *worker, struct vfio_job *job)
{
	char path[PATH_MAX], *module = job->saved[SAVED_MODULE];

	if (path_format(path, sizeof(path), "sys/bus/pci/drivers/%s/module", worker->mark.driver) <
		    0 ||
	    attr_link(worker->ctx->rootfd, path, module, SAVED_MAX) < 0)
		*module = '\0';
}

int saved_read(struct worker *worker, struct vfio_job *job)
{
	for (enum saved saved = 0; saved < NR_SAVED; saved++)
		if (rows[saved].attr && read_attr(worker, job, saved, job->saved[saved]) < 0)
			job->saved[saved][0] = '\0';
	if (*worker->mark.driver)
		read_module(worker, job);
	return read_awaits(worker, job) < 0 ? -ENOMEM : read_network(worker, job);
}

/* What there was nothing of to be saved has nothing to be compared with */
void saved_handed(struct worker *worker, struct vfio_job *job)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		char *handed = job->saved[pairs[i].handed];

		*handed = '\0';
		if (*job->saved[pairs[i].saved] &&
		    read_attr(worker, job, pairs[i].saved, handed) < 0)
			*handed = '\0';
	}
}

/* --- And back ---------------------------------------------------------------------------------- */

/* An older kernel, or another driver, may have no such attribute now */
static int restore_attr(struct worker *worker, struct vfio_job *job, enum saved saved)
{
	char now[SAVED_MAX];
	int r;

	if (!*job->saved[saved])
		return 0;
	r = read_attr(worker, job, saved, now);
	if (r == -ENOENT || (r == 0 && strcmp(now, job->saved[saved]) == 0))
		return 0;
	return write_attr(worker, job, saved, job->saved[saved]);
}

void saved_meanwhile(struct worker *worker, struct vfio_job *job)
{
	if (!job->journaled || worker_begin(worker, job) < 0 ||
	    strcmp(worker->mark.driver, job->target) != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const char *handed = job->saved[pairs[i].handed];
		char *saved = job->saved[pairs[i].saved], now[SAVED_MAX];

		if (!*handed || read_attr(worker, job, pairs[i].saved, now) < 0 ||
		    strcmp(now, handed) == 0 || strcmp(now, saved) == 0)
			continue;
		(void)job_fail(job, 0, "%s of %s has been set to '%s' meanwhile: left so",
			       rows[pairs[i].saved].attr, job->name, now);
		memcpy(saved, now, sizeof(now));
	}
}

/* The interface that the device has now, which udev may have named otherwise */
static bool is_configured(int rootfd, const struct vfio_job *job)
{
	_cleanup_node_list_ struct node_list nodes = { 0 };

	if (nodes_find(rootfd, job->name, &nodes) < 0)
		return false;
	for (size_t i = 0; i < nodes.nr; i++)
		if (strcmp(nodes.nodes[i].subsystem, "net") == 0 &&
		    net_manager(rootfd, nodes.nodes[i].name))
			return true;
	return false;
}

/* The device is back; what its network manager makes of it is not ours to fail for, but to tell */
static void await_network(struct worker *worker, struct vfio_job *job)
{
	long long until = deadline_in(NETWORK_MS);

	if (!*job->saved[SAVED_NETWORK] || worker->ctx->dry_run)
		return;
	/* Before the crew gives us up for it */
	if (worker->peer >= 0 && worker->ctx->deadline - REPORT_MS < until)
		until = worker->ctx->deadline - REPORT_MS;
	while (!is_configured(worker->ctx->rootfd, job)) {
		if (deadline_left(until) == 0) {
			(void)job_fail(job, 0,
				       "%s is back, but not configured yet as it was (%s): see "
				       "networkctl or nmcli",
				       job->name, job->saved[SAVED_NETWORK]);
			return;
		}
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

int saved_restore_reset(struct worker *worker, struct vfio_job *job)
{
	return restore_attr(worker, job, SAVED_RESET) == -ECANCELED ? -ECANCELED : 0;
}

/* The host's driver has the card, and the write would reset it. Return: true when it is said */
static bool leave_reset(const struct worker *worker, struct vfio_job *job)
{
	char now[SAVED_MAX];

	if (!*job->saved[SAVED_RESET] || !vendor_resets(worker->ctx->rootfd, &job->addr))
		return false;
	if (read_attr(worker, job, SAVED_RESET, now) == 0 &&
	    strcmp(now, job->saved[SAVED_RESET]) != 0)
		(void)job_fail(job, 0,
			       "reset_method of %s is left at '%s', and was '%s': its driver has "
			       "it, and vendor-reset would reset it at a change",
			       job->name, now, job->saved[SAVED_RESET]);
	return true;
}

/* @home: the driver that it had has it */
static int restore_attrs(struct worker *worker, struct vfio_job *job, bool home)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].saved != SAVED_RESET || !home || !leave_reset(worker, job))
			r = restore_attr(worker, job, pairs[i].saved);
	return r;
}

/*
 * Without a card of theirs the modules do not load, and the services do not start; a BAR changes
 * its size between drivers only.
 */
int saved_keep(struct worker *worker, struct vfio_job *job)
{
	const char *modules = job->saved[SAVED_MODULES], *services = job->saved[SAVED_SERVICES];
	const char *bars = job->saved[SAVED_BARS];
	int r = restore_attrs(worker, job, false);

	if (r < 0 || (!*modules && !*services && !*bars))
		return r;
	return job_fail(job, 0,
			"%s stays with %s, so these are not back: %s%s%s%s%s%s: see "
			"give_back in usher-vfio(8) for how to have it back",
			job->name, job->target, *modules ? "modules " : "", modules,
			*services ? " units " : "", services, *bars ? " BAR sizes " : "", bars);
}

int saved_restore(struct worker *worker, struct vfio_job *job)
{
	int r = restore_attrs(worker, job, true);

	if (r == 0)
		await_network(worker, job);
	return r;
}

/* --- The policy's reset ------------------------------------------------------------------------ */

#define DEVICE_SPECIFIC "device_specific"

/* Return: what is to be written, NULL for nothing */
static const char *wanted_reset(const struct vfio_job *job, bool vendor)
{
	if (!*job->reset)
		return vendor ? DEVICE_SPECIFIC : NULL;
	return strcmp(job->reset, "none") == 0 ? "" : job->reset;
}

/*
 * A device whose list lacks the method keeps what it has: that of a sound function differs from
 * its card's, and vfio_look() has seen to it that one of the slot has it. vendor-reset's comes into
 * the list by being written.
 *
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, reset_method, since Linux 5.15; "" switches it off
 */
int saved_set_reset(struct worker *worker, struct vfio_job *job)
{
	bool vendor = vendor_resets(worker->ctx->rootfd, &job->addr);
	const char *now = job->saved[SAVED_RESET], *wanted = wanted_reset(job, vendor);
	_cleanup_strlist_ struct strlist methods = { 0 };
	int r;

	if (!wanted || !*now || strcmp(now, wanted) == 0)
		return 0;
	r = text_split(now, " ", &methods);
	if (r < 0)
		return r;
	vendor &= strcmp(wanted, DEVICE_SPECIFIC) == 0;
	if (*wanted && !vendor && !strlist_has(&methods, wanted))
		return 0;
	r = write_attr(worker, job, SAVED_RESET, wanted);
	/* Nobody has asked for it: the kernel goes on with what it has */
	return r < 0 && r != -ECANCELED && !*job->reset ? 0 : r;
}
