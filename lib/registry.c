/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/registry.c - all claims of this host: the lock, the list, who is alive */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "pcidev.h"
#include "state.h"

void claims_free(struct claims *claims)
{
	for (size_t i = 0; i < claims->nr; i++)
		claim_free(&claims->claims[i]);
	free(claims->claims);
	*claims = (struct claims){ 0 };
}

int registry_lock(int statefd, int timeout_ms)
{
	return state_lock(statefd, "registry.lock", timeout_ms);
}

static int claims_push(struct claims *claims, struct claim *claim)
{
	struct claim *grown = reallocarray(claims->claims, claims->nr + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	claims->claims = grown;
	grown[claims->nr++] = *claim;
	*claim = (struct claim){ 0 };
	return 0;
}

int registry_load(int statefd, struct claims *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_strlist_ struct strlist names = { 0 };
	int left_out = 0, r;

	if (statefd < 0)
		return 0;
	r = attr_list(statefd, ".", &names);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.nr; i++) {
		_cleanup_claim_ struct claim claim = { 0 };
		struct ini_error err;

		if (!uuid_valid(names.names[i]))
			continue;
		r = claim_load(statefd, names.names[i], &claim, &err);
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			left_out++;
			continue;
		}
		r = claims_push(&claims, &claim);
		if (r < 0)
			return r;
	}
	*ret = claims;
	claims = (struct claims){ 0 };
	return left_out;
}

static int vfio_nodes(int rootfd, const struct claim *claim, struct strlist *paths)
{
	const struct inidoc_entry *entry = NULL;
	int r = 0;

	while (r == 0 && (entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		struct claim_device device;

		if (claim_device_parse(entry->value, &device) == 0)
			r = pcidev_vfio_nodes(rootfd, &device.addr, paths);
	}
	return r;
}

/* libvirt's own record of a domain that has a QEMU: made at its fork, removed before `release` */
static int status_file(int rootfd, const struct claim *claim)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "run/libvirt/qemu/%s.xml", claim->guest);

	return r < 0 ? r : attr_exists(rootfd, path);
}

static int daemon_runs(int rootfd)
{
	static const char *const pid_files[] = { "run/libvirtd.pid", "run/virtqemud.pid" };

	for (size_t i = 0; i < ARRAY_SIZE(pid_files); i++) {
		struct process daemon;
		unsigned long long pid;

		if (attr_read_ull(rootfd, pid_files[i], &pid) == 0 && pid <= INT_MAX &&
		    process_identify(rootfd, (pid_t)pid, &daemon) == 0)
			return 1;
	}
	return 0;
}

/*
 * While a daemon runs and has a status file for the guest, a `release` will come, from a
 * restarted daemon too. An ending claim without that file has lost its release, or is about to get
 * it, and then both do the same.
 * Seen on: libvirt 9.0 and 11.3, qemu_process.c qemuProcessStop, qemuProcessReconnect
 */
static int kept(int rootfd, const struct claim *claim)
{
	int status = status_file(rootfd, claim);
	int r;

	if (status < 0)
		return status;
	r = process_alive(rootfd, &claim->owner);
	if (r < 0 || (r > 0 && (status || claim->state != CLAIM_ENDING)))
		return r;
	return status ? daemon_runs(rootfd) : 0;
}

int registry_alive(int rootfd, const struct claim *claim)
{
	_cleanup_strlist_ struct strlist paths = { 0 };
	pid_t pid;
	int r;

	r = kept(rootfd, claim);
	if (r != 0)
		return r;
	pid = process_find_qemu(rootfd, claim->uuid);
	if (pid != 0)
		return pid > 0 ? 1 : (int)pid;
	r = vfio_nodes(rootfd, claim, &paths);
	if (r < 0 || paths.nr == 0)
		return r;
	pid = process_find_open(rootfd, (const char *const *)paths.names, paths.nr);
	return pid > 0 ? 1 : (int)pid;
}
