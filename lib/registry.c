/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/registry.c - all claims of this host: the lock, the list, who is alive */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "baseline.h"
#include "daemon.h"
#include "pcidev.h"
#include "state.h"

void claims_free(struct claims *claims)
{
	for (size_t i = 0; i < claims->nr; i++)
		claim_free(&claims->claims[i]);
	free(claims->claims);
	strlist_free(&claims->unreadable);
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

static int add_unreadable(struct claims *claims, const char *uuid, int error,
			  const struct ini_error *err)
{
	if (claims->unreadable.nr == 0)
		(void)snprintf(claims->why, sizeof(claims->why), "%s",
			       error == -EBADMSG ? err->what : strerror(-error));
	return strlist_add(&claims->unreadable, uuid);
}

/* Return: 0, -ENOMEM */
static int load_one(int statefd, const char *uuid, struct claims *claims)
{
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err = { 0 };
	int r = claim_load(statefd, uuid, &claim, &err);

	if (r == 0)
		return claims_push(claims, &claim);
	if (r == -ENOMEM || r == -ENOENT)
		return r == -ENOENT ? 0 : r;
	return add_unreadable(claims, uuid, r, &err);
}

int registry_load(int statefd, struct claims *ret)
{
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_strlist_ struct strlist names = { 0 };
	int r;

	if (statefd < 0)
		return 0;
	r = attr_list(statefd, ".", &names);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.nr; i++) {
		r = uuid_valid(names.names[i]) ? load_one(statefd, names.names[i], &claims) : 0;
		if (r < 0)
			return r;
	}
	*ret = claims;
	claims = (struct claims){ 0 };
	return (int)ret->unreadable.nr;
}

/* The claim itself, a lock, or what state_write() was killed over */
static bool is_passing(const char *name)
{
	static const char lock[] = ".lock";
	size_t len = strlen(name);

	return *name == '.' || strcmp(name, CLAIM_FILE) == 0 ||
	       (len > strlen(lock) && strcmp(name + len - strlen(lock), lock) == 0);
}

bool registry_leftovers(int statefd, const char *uuid)
{
	_cleanup_strlist_ struct strlist names = { 0 };

	if (attr_list(statefd, uuid, &names) < 0)
		return true;
	for (size_t i = 0; i < names.nr; i++)
		if (!is_passing(names.names[i]))
			return true;
	return false;
}

void registry_sweep(int statefd)
{
	_cleanup_close_ int host = state_dir(statefd, BASELINE_DIR, false);
	_cleanup_strlist_ struct strlist names = { 0 };

	if (host >= 0)
		state_sweep(host);
	if (attr_list(statefd, ".", &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		const char *uuid = names.names[i];
		char path[UUID_STRLEN + sizeof("/" CLAIM_FILE)];

		if (uuid_valid(uuid) &&
		    path_format(path, sizeof(path), "%s/" CLAIM_FILE, uuid) == 0 &&
		    attr_exists(statefd, path) == 0 && !registry_leftovers(statefd, uuid))
			(void)state_remove_dir(statefd, uuid);
	}
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
	return status ? daemon_find(rootfd, NULL, NULL) : 0;
}

static int alive_as_read(int rootfd, const struct claim *claim)
{
	_cleanup_strlist_ struct strlist paths = { 0 };
	pid_t pid;
	int r;

	r = kept(rootfd, claim);
	if (r != 0)
		return r;
	pid = process_find_qemu(rootfd, claim->uuid);
	/* A guest that hangs and may be this one: what is in doubt is not taken from it */
	if (pid > 0 || pid == -ETIMEDOUT)
		return 1;
	if (pid < 0)
		return (int)pid;
	r = vfio_nodes(rootfd, claim, &paths);
	if (r < 0 || paths.nr == 0)
		return r;
	pid = process_find_open(rootfd, (const char *const *)paths.names, paths.nr);
	return pid > 0 ? 1 : (int)pid;
}

/* Return: 1 it is another one than @than by now, 0 the same, or gone, else -errno */
static int read_again(int rootfd, const struct claim *than, struct claim *ret)
{
	_cleanup_close_ int statefd = state_open(rootfd, false);
	struct ini_error err;
	int r = statefd < 0 ? statefd : claim_load(statefd, than->uuid, ret, &err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return ret->state != than->state || ret->owner.pid != than->owner.pid ||
	       ret->owner.start_time != than->owner.start_time;
}

/*
 * What a claim said when it was read may be over: a hook that had it in hand has handed it to the
 * daemon since, and ended. One that seems dead is read once more.
 * Seen on: two guests that start together, and the second took the first one's free pages for nobody's
 */
int registry_alive(int rootfd, const struct claim *claim)
{
	_cleanup_claim_ struct claim now = { 0 };
	int r = alive_as_read(rootfd, claim);
	int changed = r == 0 ? read_again(rootfd, claim, &now) : 0;

	if (changed < 0)
		return changed;
	return changed ? alive_as_read(rootfd, &now) : r;
}
