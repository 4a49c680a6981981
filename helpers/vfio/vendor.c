/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/vendor.c - cards that only vendor-reset can reset */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/module.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/*
 * How it works
 *
 * AMD's cards of these families do not survive a bus reset once a driver has had them: the next
 * guest finds them dead, until the host is rebooted. vendor-reset, a module from outside of the
 * kernel, does what is right for each. It hooks itself into pci_dev_specific_reset(), which is
 * "device_specific" in reset_method; that is not in the list before it has been written there: the
 * kernel has asked for each method when it found the card, before there was a module.
 *
 * The hook does not know of probing: it resets the card whenever the kernel only asks, which it also
 * does when any other method is written. So reset_method is written while no driver of the host's
 * has the card.
 *
 * Source: github.com/gnif/vendor-reset at 03e525d: README.md, src/hook.c, src/device-db.h
 * ABI: drivers/pci/pci.c, reset_method_store(); since Linux 5.15
 */

#define MODULE	   "vendor_reset"
#define VENDOR_ATI 0x1002

/* Without processors' own graphics, and what it has been tried with since (Navi 23, MI100) */
static const unsigned short models[] = {
	/* Polaris 10, 11, 12 */
	0x67c0, 0x67c1, 0x67c2, 0x67c4, 0x67c7, 0x67c8, 0x67c9, 0x67ca, 0x67cc, 0x67cf, 0x67d0,
	0x67df, 0x6fdf, 0x67e0, 0x67e1, 0x67e3, 0x67e7, 0x67e8, 0x67e9, 0x67eb, 0x67ef, 0x67ff,
	0x6980, 0x6981, 0x6985, 0x6986, 0x6987, 0x6995, 0x6997, 0x699f,
	/* Vega 10, 20 */
	0x6860, 0x6861, 0x6862, 0x6863, 0x6864, 0x6867, 0x6868, 0x6869, 0x686a, 0x686b, 0x686c,
	0x686d, 0x686e, 0x686f, 0x687f, 0x66a0, 0x66a1, 0x66a2, 0x66a3, 0x66a4, 0x66a7, 0x66af,
	/* Navi 10, 12, 14 */
	0x7310, 0x7312, 0x7318, 0x7319, 0x731a, 0x731b, 0x731e, 0x731f, 0x7360, 0x7362, 0x7340,
	0x7341, 0x7347, 0x734f
};

static bool is_model(int rootfd, const struct pciaddr *addr)
{
	struct pciid id;

	if (pcidev_id(rootfd, addr, &id) < 0 || id.vendor != VENDOR_ATI)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		if (models[i] == id.device)
			return true;
	return false;
}

bool vendor_resets(int rootfd, const struct pciaddr *addr)
{
	return is_model(rootfd, addr) && module_loaded(rootfd, MODULE) > 0;
}

/* Return: true when nothing else is left to the kernel */
static bool only_bus_or_pm(const char *text)
{
	const char *method;
	bool any = false;
	size_t len;

	while ((method = text_word(&text, " ", &len))) {
		if (!text_has_word("bus pm", " ", method, len))
			return false;
		any = true;
	}
	return any;
}

void vendor_say(const struct helper_ctx *ctx, const struct vfio_claim *claim)
{
	for (size_t i = 0; i < claim->nr; i++) {
		const struct vfio_device *device = &claim->devices[i];
		char path[PATH_MAX], methods[ATTR_MAX], name[320];

		if (*claim->reset || !is_model(ctx->rootfd, &device->addr) ||
		    module_loaded(ctx->rootfd, MODULE) > 0 ||
		    path_format(path, sizeof(path), "sys/bus/pci/devices/%s/reset_method",
				device->name) < 0 ||
		    attr_read(ctx->rootfd, path, methods, sizeof(methods)) < 0 ||
		    !only_bus_or_pm(methods))
			continue;
		device_describe(ctx->rootfd, &device->addr, &device->id, name, sizeof(name));
		helper_say(ctx,
			   "%s is of a kind that the kernel cannot reset (it has: %s), so after a "
			   "guest it may be dead until the host is rebooted: install vendor-reset "
			   "(github.com/gnif/vendor-reset) and have its module loaded at boot",
			   name, methods);
	}
}
