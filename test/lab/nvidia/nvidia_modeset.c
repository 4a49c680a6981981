// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/nvidia/nvidia_modeset.c - a stand-in that needs another module, and no more */
#include <linux/module.h>

#include "nvidia.h"

int lab_nvidia_modeset_needed(void)
{
	return 0;
}
EXPORT_SYMBOL_GPL(lab_nvidia_modeset_needed);

static int __init nvidia_modeset_init(void)
{
	return lab_nvidia_needed();
}

static void __exit nvidia_modeset_exit(void)
{
}

module_init(nvidia_modeset_init);
module_exit(nvidia_modeset_exit);
MODULE_DESCRIPTION("A stand-in for NVIDIA's module in usher's lab");
MODULE_LICENSE("GPL");
