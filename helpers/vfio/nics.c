/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/nics.c - what the host does with a network interface */
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/process.h"
#include "uses.h"
#include "vfio.h"

/* VLAN on bond on bridge ... */
#define STACK_MAX 8

/* Longest state file of a network manager that is read */
#define STATE_MAX ((size_t)64 * 1024)

#define UPPER "upper_"
#define LOWER "lower_"

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

/* proc/net/pppoe: ID ADDRESS DEVICE. ABI: drivers/net/ppp/pppoe.c pppoe_seq_show(); Linux 6.12 */
static bool match_pppoe(const struct strlist *words, struct use_wanted *wanted)
{
	return words->nr >= 3 && strcmp(words->names[2], wanted->name) == 0;
}

static unsigned long long read_number(int rootfd, const char *name, const char *attr)
{
	unsigned long long number;
	char path[PATH_MAX];

	if (path_format(path, sizeof(path), "sys/class/net/%s/%s", name, attr) < 0 ||
	    attr_read_ull(rootfd, path, &number) < 0)
		return 0;
	return number;
}

/* --- Who configures it ------------------------------------------------------------------------ */

/* A text's line that begins so; NULL for none */
static const char *find_line(const char *text, const char *start)
{
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, start, strlen(start)) == 0)
			return at;
	}
	return NULL;
}

/* Return: NULL when it cannot be read; to be freed */
static char *read_state(int rootfd, const char *dir, const char *name)
{
	char path[PATH_MAX], *text = NULL;
	size_t len;

	if (path_format(path, sizeof(path), "%s/%s", dir, name) < 0 ||
	    attr_read_all(rootfd, path, STATE_MAX, &text, &len) < 0)
		return NULL;
	return text;
}

#define NM_DIR	    "run/NetworkManager/devices"
#define NM_PROFILE  "connection-uuid="
#define NM_PROFILES "run/NetworkManager/system-connections"

/*
 * What a network manager writes of an interface. With a profile, or a file, it brings back all that
 * it has set. NetworkManager has one up that it manages without a profile, for want of a cable or
 * of a profile that fits; on it there is nothing of its to bring back.
 * Source: nm_manager_write_device_state(), src/core/nm-manager.c; NetworkManager 1.52
 */
static const struct manager {
	const char *name, *comm, *dir;
	const char *configures, *holds_up; /* lines of its state file; NULL: none */
} managers[] = {
	{ "systemd-networkd", "systemd-network", "run/systemd/netif/links", "NETWORK_FILE=", NULL },
	{ "NetworkManager", "NetworkManager", NM_DIR, NM_PROFILE, "managed=true" },
};

static bool is_lost_profile(const char *profile, const char *uuid)
{
	const char *line = find_line(profile, uuid);

	return line && strchr("\n", line[strlen(uuid)]) &&
	       (find_line(profile, "external=true") || find_line(profile, "volatile=true"));
}

/*
 * looks_on() - does NetworkManager have an interface by a profile that goes when that does
 *
 * It makes one of what others have set up, "connected (externally)", and writes it beside those
 * that the admin wants kept till the next boot only. The state file names the one like the other.
 * Source: get_existing_connection(), src/core/nm-manager.c; _internal_write_connection(),
 * nms-keyfile-writer.c; the same in NetworkManager 1.30, 1.42 and 1.52
 */
static bool looks_on(int rootfd, const char *state)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	const char *line = find_line(state, NM_PROFILE);
	char uuid[64];

	if (!line || attr_list(rootfd, NM_PROFILES, &names) < 0)
		return false;
	line += strlen(NM_PROFILE);
	(void)snprintf(uuid, sizeof(uuid), "uuid=%.*s", (int)strcspn(line, "\n"), line);
	for (size_t i = 0; i < names.nr; i++) {
		_cleanup_free_ char *profile = read_state(rootfd, NM_PROFILES, names.names[i]);

		if (profile && is_lost_profile(profile, uuid))
			return true;
	}
	return false;
}

/* Both leave their state files behind when they are stopped */
static const char *find_manager(int rootfd, const char *name, bool holds_up)
{
	char index[32];

	(void)snprintf(index, sizeof(index), "%llu", read_number(rootfd, name, "ifindex"));
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++) {
		const struct manager *manager = &managers[i];
		const char *line = holds_up ? manager->holds_up : manager->configures;
		_cleanup_free_ char *state = line ? read_state(rootfd, manager->dir, index) : NULL;

		if (state && find_line(state, line) && !looks_on(rootfd, state) &&
		    process_find_name(rootfd, manager->comm) > 0)
			return manager->name;
	}
	return NULL;
}

const char *net_manager(int rootfd, const char *name)
{
	return find_manager(rootfd, name, false);
}

/* --- The looks -------------------------------------------------------------------------------- */

/* What is stacked on an interface, its links "upper_br0", or what it rests on */
static int net_linked(int rootfd, const char *name, const char *kind, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/class/net/%s", name);

	/* It may go while we look */
	if (r == 0 && attr_list(rootfd, path, &names) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (strncmp(names.names[i], kind, strlen(kind)) == 0)
			r = strlist_add(ret, names.names[i] + strlen(kind));
	return r;
}

static int default_route(const struct use_look *look, const char *name, int depth);

/* Which session an interface of PPP has is nowhere to be read: any of them may be this one's */
static int route_over_ppp(const struct use_look *look, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	struct use_wanted iface = { .name = name };
	int r = use_table_find(look->tables->pppoe, match_pppoe, &iface);

	if (r <= 0 || attr_list(look->rootfd, "sys/class/net", &names) < 0)
		return r < 0 ? r : 0;
	r = 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (read_number(look->rootfd, names.names[i], "type") == ARPHRD_PPP)
			r = default_route(look, names.names[i], depth + 1);
	return r;
}

static int own_default_route(const struct use_look *look, const char *name)
{
	struct use_wanted iface = { .name = name };
	int r = use_table_find(look->tables->route, match_route, &iface);

	if (r == 0)
		r = use_table_find(look->tables->route6, match_route6, &iface);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "carries the host's default route on %s: the host would lose its "
			       "network; give the host another way out first",
			       name);
	return r;
}

/* Is an interface a card's, or does it rest on one's */
static bool is_on_card(int rootfd, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist lower = { 0 };
	char path[PATH_MAX];
	bool card = depth > STACK_MAX || net_linked(rootfd, name, LOWER, &lower) < 0 ||
		    path_format(path, sizeof(path), "sys/class/net/%s/device", name) < 0 ||
		    attr_exists(rootfd, path) != 0;

	for (size_t i = 0; !card && i < lower.nr; i++)
		card = is_on_card(rootfd, lower.names[i], depth + 1);
	return card;
}

/*
 * Open vSwitch's bridges have internal ports, and their addresses and routes. Which card's packets
 * these see is in its flows only: any that rests on no card of its own may be this one's.
 * Source: ovs_netdev_link(), net/openvswitch/vport-netdev.c; internal ports are not linked; Linux 6.12
 */
static int route_over_switch(const struct use_look *look, const char *name)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = 0;

	if (strcmp(name, "ovs-system") != 0 || attr_list(look->rootfd, "sys/class/net", &names) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		if (!is_on_card(look->rootfd, names.names[i], 0))
			r = own_default_route(look, names.names[i]);
	return r;
}

static int default_route(const struct use_look *look, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist upper = { 0 };
	int r = own_default_route(look, name);

	if (depth > STACK_MAX)
		return -ELOOP;
	if (r == 0)
		r = route_over_ppp(look, name, depth);
	if (r == 0)
		r = route_over_switch(look, name);
	if (r == 0)
		r = net_linked(look->rootfd, name, UPPER, &upper);
	for (size_t i = 0; r == 0 && i < upper.nr; i++)
		r = default_route(look, upper.names[i], depth + 1);
	return r;
}

/*
 * is_tap() - has an interface a node for a guest's QEMU
 *
 * ABI: drivers/net/macvtap.c, drivers/net/ipvlan/ipvtap.c: a class of their own; Linux 6.12
 */
static bool is_tap(int rootfd, const char *name)
{
	static const char *const classes[] = { "macvtap", "ipvtap" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (path_format(path, sizeof(path), "sys/class/net/%s/%s", name, classes[i]) == 0 &&
		    attr_exists(rootfd, path) > 0)
			return true;
	return false;
}

/* "macvtap0, the network of qemu-system-x86 (pid 812)" */
static void describe_tap(int rootfd, const char *name, char *buf, size_t size)
{
	unsigned long long index = read_number(rootfd, name, "ifindex");
	char path[64], who[64];
	const char *const paths[] = { path };
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/dev/tap%llu", index);
	pid = index ? process_find_open(rootfd, paths, 1) : 0;
	if (pid > 0)
		process_describe(rootfd, pid, who, sizeof(who));
	(void)snprintf(buf, size, "%s, the network of %s", name, pid > 0 ? who : "another guest");
}

/* Nobody gives a guest that runs its interface back, whoever manages the one below it */
static int guest_on_it(const struct use_look *look, const char *name, int depth)
{
	_cleanup_strlist_ struct strlist upper = { 0 };
	int r = net_linked(look->rootfd, name, UPPER, &upper);

	if (depth > STACK_MAX)
		return -ELOOP;
	for (size_t i = 0; r == 0 && i < upper.nr; i++) {
		char tap[160];

		if (!is_tap(look->rootfd, upper.names[i])) {
			r = guest_on_it(look, upper.names[i], depth + 1);
			continue;
		}
		describe_tap(look->rootfd, upper.names[i], tap, sizeof(tap));
		(void)snprintf(look->text, look->size,
			       "carries %s, on %s: shut that guest down first, or give it another "
			       "interface",
			       tap, name);
		return 1;
	}
	return r;
}

/* A bridge, bond or VLAN comes back when who manages the interface knows of it, too */
static int lost_upper(const struct use_look *look, const char *name, bool managed)
{
	_cleanup_strlist_ struct strlist upper = { 0 };
	int r = net_linked(look->rootfd, name, UPPER, &upper);

	for (size_t i = 0; r == 0 && i < upper.nr; i++) {
		const char *above = upper.names[i];

		if (managed && net_manager(look->rootfd, above))
			continue;
		(void)snprintf(look->text, look->size,
			       "is part of %s through %s, and nobody would put it back: take %s "
			       "out of it first, or have systemd-networkd or NetworkManager "
			       "manage %s",
			       above, name, name, managed ? above : "it");
		return 1;
	}
	return r;
}

/* Who has nobody set up is down, and as its driver has made it */
static int lost_setting(const struct use_look *look, const char *name)
{
	unsigned long long flags = read_number(look->rootfd, name, "flags");
	unsigned long long mtu = read_number(look->rootfd, name, "mtu");

	if (flags & IFF_UP && find_manager(look->rootfd, name, true))
		flags &= ~(unsigned long long)IFF_UP;
	if (flags & (IFF_UP | IFF_PROMISC | IFF_ALLMULTI)) {
		(void)snprintf(look->text, look->size,
			       "has %s up, and nobody would bring it and its settings back: ip "
			       "link set %s down promisc off allmulticast off first, or have "
			       "systemd-networkd or NetworkManager manage it",
			       name, name);
		return 1;
	}
	if (!mtu || mtu == ETH_DATA_LEN || read_number(look->rootfd, name, "type") != ARPHRD_ETHER)
		return 0;
	(void)snprintf(look->text, look->size,
		       "has %s with an MTU of %llu that nobody would set again: ip link set %s mtu "
		       "%d first, or have systemd-networkd or NetworkManager manage it",
		       name, mtu, name, ETH_DATA_LEN);
	return 1;
}

/* A driver that lets go of an interface takes all that was set on it along */
static int lost_configuration(const struct use_look *look, const char *name)
{
	struct use_wanted iface = { .name = name };
	int r = use_table_find(look->tables->route, match_any_route, &iface);

	if (r == 0)
		r = use_table_find(look->tables->inet6, match_inet6, &iface);
	if (r > 0)
		(void)snprintf(look->text, look->size,
			       "has %s up with addresses that nobody would bring back: ip address "
			       "flush dev %s first, or have systemd-networkd or NetworkManager "
			       "manage it",
			       name, name);
	return r == 0 ? lost_setting(look, name) : r;
}

/* Its name, its addresses and who uses it can be seen from within only */
static int hidden_use(const struct use_look *look)
{
	if (look->force)
		return 0;
	(void)snprintf(look->text, look->size,
		       "has a network interface in another network namespace, a container's "
		       "perhaps: end what uses it there (lsns -t net) or move it back first (ip "
		       "link set IFACE netns 1, from within)");
	return 1;
}

int net_use(const struct use_look *look, const char *name)
{
	bool managed = net_manager(look->rootfd, name) != NULL;
	int r;

	if (!*name)
		return hidden_use(look);
	r = default_route(look, name, 0);
	if (r == 0)
		r = guest_on_it(look, name, 0);
	if (r != 0 || look->force)
		return r;
	r = lost_upper(look, name, managed);
	return r == 0 && !managed ? lost_configuration(look, name) : r;
}
