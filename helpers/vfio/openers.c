/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/openers.c - which processes have a device's nodes open */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/* This part of the time may be spent on programs that are about to go */
#define GOING_PART    3
#define LOOK_AGAIN_MS 100

int openers_nodes(const struct helper_ctx *ctx, struct vfio_device *device)
{
	const struct driver_rule *rule = rule_find(device->driver);
	int r = rule ? rule_alone(ctx, device->driver) : 0;

	if (rule && r >= 0)
		r = rule_nodes(ctx->rootfd, rule, device->name, r > 0, &device->nodes);
	return r < 0 ? r : 1;
}

static void say_opened(const struct helper_ctx *ctx, const struct vfio_device *device, pid_t pid)
{
	const char *what = device->nodes.names[0];
	char name[320], who[64];

	for (size_t i = 1; i < device->nodes.nr; i++) {
		const char *const path[] = { device->nodes.names[i] };

		if (process_find_open_after(ctx->rootfd, path, 1, pid - 1) == pid)
			what = device->nodes.names[i];
	}
	device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
	process_describe(ctx->rootfd, pid, who, sizeof(who));
	helper_say(ctx, "%s is in use by %s, which has %s open: %s first", name, who, what,
		   device->on_vfio ? "end that guest" : rule_cure(device->driver));
}

/* A user that is none of the services which go before the driver does */
static pid_t nodes_stranger(int rootfd, const struct vfio_device *device)
{
	const char *const *nodes = (const char *const *)device->nodes.names;
	pid_t pid = nodes_user(rootfd, &device->nodes);
	char comm[32];

	while (pid > 0 && process_name(rootfd, pid, comm, sizeof(comm)) == 0 &&
	       rule_ignores(device->driver, comm))
		pid = process_find_open_after(rootfd, nodes, device->nodes.nr, pid);
	return pid;
}

/* Of a device with vfio already, this guest's own QEMU is no stranger: apply runs in `reconnect` */
static int look_opener(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		       const struct vfio_device *device)
{
	pid_t pid = 0;

	if (device->on_vfio || claim->in_use != IN_USE_FORCE)
		pid = nodes_stranger(ctx->rootfd, device);
	if (pid < 0)
		return look_failed(ctx, device, (int)pid);
	if (pid == 0)
		return 0;
	if (device->on_vfio && process_find_qemu(ctx->rootfd, ctx->claim.uuid) == pid)
		return 0;
	say_opened(ctx, device, pid);
	return 1;
}

/* Of a desktop that usher-seat has just ended, sound and helper programs go a little later */
static pid_t wait_for_openers(const struct helper_ctx *ctx, const struct vfio_claim *claim,
			      const struct strlist *nodes)
{
	long long until = deadline_in(deadline_left(ctx->deadline) / GOING_PART);
	pid_t pid = nodes_user(ctx->rootfd, nodes);
	bool seat = false;

	for (size_t i = 0; i < claim->nr; i++)
		seat |= claim->devices[i].seat;
	while (pid > 0 && seat && deadline_left(until) > 0) {
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
		pid = nodes_user(ctx->rootfd, nodes);
	}
	return pid;
}

/* One go through the processes is dear enough: device by device only when somebody is found */
int openers_look(const struct helper_ctx *ctx, const struct vfio_claim *claim, bool before_seat)
{
	_cleanup_strlist_ struct strlist all = { 0 };
	pid_t pid;
	int r = 0;

	for (size_t i = 0; i < claim->nr; i++)
		for (size_t j = 0; r == 0 && j < claim->devices[i].nodes.nr; j++)
			r = strlist_add(&all, claim->devices[i].nodes.names[j]);
	pid = before_seat ? nodes_user(ctx->rootfd, &all) : wait_for_openers(ctx, claim, &all);
	if (r == 0 && pid == 0)
		return 0;
	for (size_t i = 0; i < claim->nr; i++)
		if (look_opener(ctx, claim, &claim->devices[i]) != 0)
			return 1;
	return 0;
}

/* Is it a service of the host's, "0::/system.slice/ollama.service" */
static bool is_service(int rootfd, pid_t pid)
{
	char path[64], cgroup[ATTR_MAX];

	(void)snprintf(path, sizeof(path), "proc/%d/cgroup", (int)pid);
	return attr_read(rootfd, path, cgroup, sizeof(cgroup)) > 0 &&
	       strstr(cgroup, ":/system.slice/");
}

/* Has a process a node open by which something is shown: a display server's, not a computing one's */
static bool shows(int rootfd, pid_t pid, const struct strlist *nodes)
{
	for (size_t i = 0; i < nodes->nr; i++) {
		const char *const path[] = { nodes->names[i] };

		if ((strncmp(path[0], "/dev/dri/card", 13) == 0 ||
		     strncmp(path[0], "/dev/fb", 7) == 0) &&
		    process_find_open_after(rootfd, path, 1, pid - 1) == pid)
			return true;
	}
	return false;
}

int openers_computing(const struct helper_ctx *ctx, const struct vfio_claim *claim,
		      struct vfio_device *device)
{
	_cleanup_node_list_ struct node_list below = { 0 };
	char use[400];
	pid_t pid = 0;
	int r = pcidev_driver(ctx->rootfd, &device->addr, device->driver, sizeof(device->driver));

	strlist_free(&device->nodes);
	if (r > 0 && claim->in_use != IN_USE_FORCE)
		r = openers_nodes(ctx, device);
	if (r > 0)
		r = nodes_find(ctx->rootfd, device->name, &below);
	if (r == 0)
		r = holders_find(ctx->rootfd, device->name, &below, true, use, sizeof(use),
				 &device->nodes);
	if (r < 0)
		return look_failed(ctx, device, r);
	while ((pid = process_find_open_after(ctx->rootfd, (const char *const *)device->nodes.names,
					      device->nodes.nr, pid)) > 0) {
		char comm[32] = "";

		if (process_name(ctx->rootfd, pid, comm, sizeof(comm)) < 0 ||
		    rule_ignores(device->driver, comm) || !is_service(ctx->rootfd, pid) ||
		    shows(ctx->rootfd, pid, &device->nodes))
			continue;
		say_opened(ctx, device, pid);
		break;
	}
	/* Who shows something on it is usher-seat's affair now */
	strlist_free(&device->nodes);
	return pid > 0;
}
