/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/keyboard.c - keyboards that go to the guest with their controller */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "vfio.h"

/* Keys that repeat: what a mouse or a power button has not */
#define EV_REP_BIT (1ULL << 20)

/* ABI: Documentation/input/event-codes.rst; capabilities/ev in hex, without 0x */
static bool is_keyboard(int rootfd, const char *name)
{
	unsigned long long events;
	char path[PATH_MAX], text[32];

	return path_format(path, sizeof(path), "sys/class/input/%s/capabilities/ev", name) == 0 &&
	       attr_read(rootfd, path, text, sizeof(text)) > 0 &&
	       parse_ull(text, 16, ULLONG_MAX, &events) == 0 && (events & EV_REP_BIT);
}

static void say_keyboard(const struct helper_ctx *ctx, const struct vfio_device *device,
			 const char *name)
{
	_cleanup_free_ char *title = NULL;
	char path[PATH_MAX], text[128];

	if (path_format(path, sizeof(path), "sys/class/input/%s/name", name) < 0 ||
	    attr_read(ctx->rootfd, path, text, sizeof(text)) <= 0 ||
	    text_printable(text, &title) < 0)
		return;
	helper_say(ctx, "with %s the keyboard %s goes to the guest, and is not there for the host",
		   device->name, title);
}

void keyboards_say(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	for (size_t i = 0; i < claim->nr; i++) {
		const struct vfio_device *device = &claim->devices[i];
		const struct node_list *below = &device->below;

		for (size_t j = 0; j < below->nr; j++)
			if (strcmp(below->nodes[j].subsystem, "input") == 0 &&
			    is_keyboard(ctx->rootfd, below->nodes[j].name))
				say_keyboard(ctx, device, below->nodes[j].name);
	}
}
