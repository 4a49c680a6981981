/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/sound.c - the sound function beside a card, which a sound server keeps open */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pciaddr.h"
#include "../../lib/process.h"
#include "seat.h"

#define CLASS_SOUND 0x0403

static bool is_sound(int rootfd, const char *addr)
{
	unsigned long long class;
	char path[PATH_MAX];

	return path_format(path, sizeof(path), "sys/bus/pci/devices/%s/class", addr) == 0 &&
	       attr_read_ull(rootfd, path, &class) == 0 && class >> 8 == CLASS_SOUND;
}

/* Has anybody one of its nodes open: "controlC1", "pcmC1D3p", "hwC1D0" */
static bool is_open(int rootfd, const char *addr, const char *card)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	_cleanup_strlist_ struct strlist nodes = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/sound/%s", addr, card);

	if (r == 0)
		r = attr_list(rootfd, path, &names);
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		r = path_format(path, sizeof(path), "/dev/snd/%s", names.names[i]);
		if (r == 0)
			r = strlist_add(&nodes, path);
	}
	return r == 0 && nodes.nr > 0 &&
	       process_find_open(rootfd, (const char *const *)nodes.names, nodes.nr) > 0;
}

static int leave_cards(const struct seat_way *way, const char *addr)
{
	_cleanup_strlist_ struct strlist cards = { 0 };
	char path[PATH_MAX], object[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/sound", addr);

	if (r < 0 || attr_list(way->ctx->rootfd, path, &cards) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i < cards.nr; i++) {
		if (strncmp(cards.names[i], "card", 4) != 0 ||
		    !is_open(way->ctx->rootfd, addr, cards.names[i]))
			continue;
		r = path_format(path, sizeof(path), "sys/class/sound/%s/uevent", cards.names[i]);
		if (r == 0)
			r = path_format(object, sizeof(object), "%s/%s", addr, cards.names[i]);
		if (r == 0)
			r = step_announce(way, STEP_SOUND, object, "there");
		/* Who keeps it open all the same is usher-vfio's to name */
		if (r == 0)
			(void)(kernel_write(way->ctx, path, "remove") < 0);
	}
	return r;
}

int sound_leave(const struct seat_way *way)
{
	const struct inidoc_entry *entry = NULL;
	struct pciaddr card;
	int r = pciaddr_parse(way->addr, &card);

	while (r == 0 && (entry = inidoc_next(&way->ctx->claim.doc, entry, "vfio", "device"))) {
		struct claim_device device;
		char addr[PCIADDR_STRLEN];

		if (claim_device_parse(entry->value, &device) < 0 ||
		    !pciaddr_same_slot(&device.addr, &card))
			continue;
		pciaddr_format(&device.addr, addr);
		if (is_sound(way->ctx->rootfd, addr))
			r = leave_cards(way, addr);
	}
	return r < 0;
}
