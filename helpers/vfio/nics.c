/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/nics.c - what the host does with a network interface */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "uses.h"

/* VLAN on bond on bridge ... */
#define STACK_MAX 8

/* Longest state file of a network manager that is read */
#define STATE_MAX ((size_t)64 * 1024)

#define UPPER "upper_"

/* The unit's limits are those of proc/net/if_inet6: 20 is link-local */
#define SCOPE_LINK "20"

/* proc/net/route: IFACE DESTINATION GATEWAY FLAGS REFCNT USE METRIC MASK ... */
static bool match_route(const struct strlist *words, struct use_wanted *wanted)
{
	return words->nr >= 8 && strcmp(words->names[0], wanted->name) == 0 &&
	       strcmp(words->names[1], "00000000") == 0 && strcmp(words->names[7], "00000000") == 0;
}

/* Any route: an address of an interface that is up has made one */
static bool match_any_route(const struct strlist *words, struct use_wanted *wanted)
{
	return words->nr >= 8 && strcmp(words->names[0], wanted->name) == 0;
}

/* proc/net/ipv6_route: DESTINATION LENGTH SOURCE LENGTH NEXTHOP METRIC REF USE FLAGS IFACE */
static bool match_route6(const struct strlist *words, struct use_wanted *wanted)
{
	return words->nr >= 10 && strcmp(words->names[9], wanted->name) == 0 &&
	       strcmp(words->names[0], "00000000000000000000000000000000") == 0 &&
	       strcmp(words->names[1], "00") == 0;
}

/* proc/net/if_inet6: ADDRESS INDEX PREFIX SCOPE FLAGS IFACE; a link-local one comes by itself */
static bool match_inet6(const struct strlist *words, struct use_wanted *wanted)
{
	return words->nr >= 6 && strcmp(words->names[5], wanted->name) == 0 &&
	       strcmp(words->names[3], SCOPE_LINK) != 0;
}

/* --- Who configures it ------------------------------------------------------------------------ */

/* Has a state file, "run/systemd/netif/links/3", a line that begins so */
static bool state_has(int rootfd, const char *dir, unsigned long long index, const char *line)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;

	if (path_format(path, sizeof(path), "%s/%llu", dir, index) < 0 ||
	    attr_read_all(rootfd, path, STATE_MAX, &text, &len) < 0)
		return false;
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, strlen(line)) == 0)
			return true;
	}
	return false;
}

/* Both leave their state files behind when they are stopped */
const char *net_manager(int rootfd, const char *name)
{
	static const struct {
		const char *manager, *comm, *dir, *line;
	} managers[] = {
		{ "systemd-networkd", "systemd-network", "run/systemd/netif/links",
		  "NETWORK_FILE=" },
		{ "NetworkManager", "NetworkManager", "run/NetworkManager/devices",
		  "connection-uuid=" },
	};
	unsigned long long index;
	char path[PATH_MAX];

	if (path_format(path, sizeof(path), "sys/class/net/%s/ifindex", name) < 0 ||
	    attr_read_ull(rootfd, path, &index) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++)
		if (state_has(rootfd, managers[i].dir, index, managers[i].line) &&
		    process_find_name(rootfd, managers[i].comm) > 0)
			return managers[i].manager;
	return NULL;
}

/* --- The looks -------------------------------------------------------------------------------- */

/* What is stacked on an interface: the first of its links "upper_br0" */
static int net_upper(int rootfd, const char *name, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/net/%s", name);

	/* It may go while we look */
	if (r == 0 && attr_list(rootfd, path, &names) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (strncmp(names.names[i], UPPER, strlen(UPPER)) == 0)
			r = strlist_add(ret, names.names[i] + strlen(UPPER));
	return r;
}

static int default_route(const struct use_look *look, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist upper = { 0 };
	struct use_wanted iface = { .name = name };
	int r = use_table_find(look->tables->route, match_route, &iface);

	if (depth > STACK_MAX)
		return -ELOOP;
	if (r == 0)
		r = use_table_find(look->tables->route6, match_route6, &iface);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "carries the host's default route on %s: the host would lose its "
			       "network; give the host another way out first",
			       name);
	if (r == 0)
		r = net_upper(look->rootfd, name, &upper);
	for (size_t i = 0; r == 0 && i < upper.nr; i++)
		r = default_route(look, upper.names[i], depth + 1);
	return r;
}

/* A driver that lets go of an interface takes all that was set on it along */
static int lost_setting(const struct use_look *look, const char *name)
{
	_cleanup_strlist_ struct strlist upper = { 0 };
	struct use_wanted iface = { .name = name };
	int r = net_upper(look->rootfd, name, &upper);

	if (r < 0)
		return r;
	if (upper.nr > 0) {
		(void)snprintf(look->text, look->size,
			       "is part of %s through %s, and nobody would put it back: take %s "
			       "out of it first, or have systemd-networkd or NetworkManager "
			       "manage it",
			       upper.names[0], name, name);
		return 1;
	}
	r = use_table_find(look->tables->route, match_any_route, &iface);
	if (r == 0)
		r = use_table_find(look->tables->inet6, match_inet6, &iface);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "has %s up with addresses that nobody would bring back: ip address "
			       "flush dev %s first, or have systemd-networkd or NetworkManager "
			       "manage it",
			       name, name);
	return r;
}

int net_use(const struct use_look *look, const char *name)
{
	int r = default_route(look, name, 0);

	if (r != 0 || look->force || net_manager(look->rootfd, name))
		return r;
	return lost_setting(look, name);
}
