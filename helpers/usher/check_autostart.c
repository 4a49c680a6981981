/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_autostart.c - usher check: guests that start with the host, all of them */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "check.h"
#include "scratch.h"

/*
 * libvirt starts them in the order of a hash table, which is none. What two of them want has the one
 * that is first; the other is refused, when nobody looks.
 */

#define TOGETHER "which guests cannot start together"
#define CURE	 "virsh autostart --disable one of them"

/* Of guests without a policy, too: libvirt gives a device to one alone. Return: true when it was said */
static bool compare_devices(struct check *check, const struct check *other)
{
	_cleanup_pciaddr_list_ struct pciaddr_list theirs = { 0 };

	if (check_lacks(check, guest_devices(other->guest.xml, &theirs),
			"the devices of guests that start with the host"))
		return false;
	for (size_t i = 0; i < check->passed.nr; i++) {
		char addr[PCIADDR_STRLEN];

		if (!pciaddr_list_has(&theirs, &check->passed.addrs[i]))
			continue;
		pciaddr_format(&check->passed.addrs[i], addr);
		found(check, LEVEL_ERROR,
		      "guest %s starts with the host and has %s too, and which of the two gets it "
		      "is chance: " CURE,
		      shown(other->guest.name), addr);
		return true;
	}
	return false;
}

/*
 * refused_for() - what the hook would refuse a guest for while the other one runs
 *
 * Return: "CPU 2", "disk /dev/sdb", allocated; NULL: nothing, or it cannot be told
 */
static char *refused_for(struct check *check, const struct guest *guest, const char *policy,
			 const struct claim *other)
{
	_cleanup_scratch_ struct scratch scratch = { .dir = "" };
	_cleanup_free_ char *text = NULL, *why = NULL, *none = NULL;
	_cleanup_claim_ struct claim claim = { 0 };
	const struct guest_ask ask = {
		.policy = policy, .beside = scratch.file, .why = &why, .none = &none
	};
	const char *from, *to;
	char *what;
	int r;

	if (!other->guest)
		return NULL;
	r = scratch_write(&scratch, other, &text);
	if (r == 0)
		r = guest_claim(check->request, guest, &ask, &claim);
	if (r != -EINVAL || !why) {
		(void)check_lacks(check, r, TOGETHER);
		return NULL;
	}
	from = strncmp(why, guest->name, strlen(guest->name)) == 0 ? why + strlen(guest->name) + 2
								   : why;
	to = strstr(from, " is held by guest ") ?: strstr(from, " belongs to guest ");
	what = to ? strndup(from, (size_t)(to - from)) : NULL;
	(void)check_lacks(check, to && !what ? -ENOMEM : 0, TOGETHER);
	return what;
}

/* Of the two, either may be the one that comes second */
static void compare_claims(struct check *check, struct check *other)
{
	_cleanup_free_ char *why = NULL, *none = NULL, *what = NULL;
	const struct guest_ask ask = { .beside = GUEST_ASK_EMPTY, .why = &why, .none = &none };

	int r = guest_claim(check->request, &other->guest, &ask, &other->claim);

	/* What is refused by itself is in nobody's way */
	if (r < 0) {
		(void)check_lacks(check, r == -EINVAL ? 0 : r, TOGETHER);
		return;
	}
	what = refused_for(check, &other->guest, NULL, &check->claim);
	if (!what)
		what = refused_for(check, &check->guest, check->request->policy, &other->claim);
	if (what)
		found(check, LEVEL_ERROR,
		      "guest %s starts with the host and wants %s too, and which of the two gets "
		      "it "
		      "is chance, the other is refused: %s" CURE,
		      shown(other->guest.name), what,
		      strncmp(what, "CPU ", 4) == 0 ? "pin one of them to other CPUs, set isolate "
						      "= no in [cpuset] of both "
						      "policies, or "
						    : "");
}

/* KiB that nothing else can use while it runs: libvirt prints <memory> in KiB. 0: it can */
static unsigned long long locked_kib(struct check *check)
{
	if (!guest_has(check, "/domain/memoryBacking/hugepages | /domain/memoryBacking/locked | "
			      "/domain/devices/hostdev[@type='pci'] | "
			      "/domain/devices/interface[@type='hostdev'] | "
			      "/domain/devices/disk[@type='nvme']"))
		return 0;
	return guest_number(check, "normalize-space(/domain/memory)");
}

/* "MemTotal:  24684096 kB" */
static unsigned long long host_kib(struct check *check)
{
	static const char name[] = "MemTotal:";
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	unsigned long long kib = 0;
	const char *line =
		check_read_all(check, "proc/meminfo", 1 << 16, &text) ? strstr(text, name) : NULL;

	if (!line || check_lacks(check, text_split(line + strlen(name), " \n", &words), TOGETHER) ||
	    words.nr == 0 || parse_ull(words.names[0], 10, ULLONG_MAX, &kib) < 0)
		return 0;
	return kib;
}

static void compare_memory(struct check *check, unsigned long long theirs_kib)
{
	unsigned long long ours_kib = locked_kib(check), kib = host_kib(check);

	if (!ours_kib || !theirs_kib || !kib || ours_kib + theirs_kib <= kib)
		return;
	found(check, LEVEL_ERROR,
	      "the guests that start with the host take %llu MiB for themselves alone (huge pages, "
	      "or locked for devices), and it has %llu MiB: the last of them is refused, and which "
	      "that is is chance: lower their memory, or " CURE,
	      (ours_kib + theirs_kib) / 1024, kib / 1024);
}

/* Return: KiB that it locks */
static unsigned long long compare(struct check *check, char *xml)
{
	_cleanup_(check_free) struct check other = { .rootfd = -1, .guest.xml = strdup(xml) };

	int r = other.guest.xml ? check_read_xml(&other) : -ENOMEM;

	if (check_lacks(check, r, TOGETHER) || !other.guest.xml)
		return 0;
	other.guest.xml_len = strlen(other.guest.xml);
	other.guest.name = guest_text(&other, "string(/domain/name)");
	if (other.guest.name && !compare_devices(check, &other))
		compare_claims(check, &other);
	return locked_kib(&other);
}

void check_autostart(struct check *check)
{
	_cleanup_strlist_ struct strlist xmls = { 0 };
	unsigned long long kib = 0;
	int r;

	if (check->request->xml) {
		found(check, LEVEL_NOTE,
		      "not looked at: what starts with the host libvirt tells, which is not asked "
		      "with --xml: usher check %s",
		      quoted(check->guest.name));
		return;
	}
	r = check->guest.autostart ? guest_autostarted(&xmls) : 0;
	if (r < 0)
		found(check, LEVEL_NOTE,
		      "not looked at: libvirt does not tell what starts with the host: %s: try "
		      "again",
		      strerror(-r));
	for (size_t i = 0; i < xmls.nr; i++)
		if (strcmp(xmls.names[i], check->guest.xml) != 0)
			kib += compare(check, xmls.names[i]);
	compare_memory(check, kib);
}
