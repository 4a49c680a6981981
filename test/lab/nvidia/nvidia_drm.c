// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/nvidia/nvidia_drm.c - a stand-in that needs another module, and no more */
#include <linux/module.h>

#include "nvidia.h"

static int __init nvidia_drm_init(void)
{
	return lab_nvidia_modeset_needed();
}

static void __exit nvidia_drm_exit(void)
{
}

module_init(nvidia_drm_init);
module_exit(nvidia_drm_exit);
MODULE_DESCRIPTION("A stand-in for NVIDIA's module in usher's lab");
MODULE_LICENSE("GPL");
