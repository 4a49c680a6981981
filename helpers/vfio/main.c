/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/main.c - usher-vfio: PCI devices to vfio-pci and back */
#include "vfio.h"

static const struct helper_verb verbs[] = {
	{ "replug", "what undo could not give back, off the bus and on it", vfio_replug },
};

static const struct helper vfio = {
	.name = "vfio",
	.help = "hand PCI devices over to a guest and take them back",
	.apply_timeout_ms = 10000,
	.undo_timeout_ms = 60000,
	/* It loads modules, runs what modprobe.d and a driver's tools say, and may become usher recover */
	.caps = CAPS_ALL,
	.apply = vfio_apply,
	.undo = vfio_undo,
	.check = vfio_check,
	.verbs = verbs,
	.nr_verbs = ARRAY_SIZE(verbs),
};

int main(int argc, char **argv)
{
	return helper_main(argc, argv, &vfio);
}
