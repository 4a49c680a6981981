// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/nvidia/nvidia_uvm.c - a stand-in that needs another module, and no more */
#include <linux/module.h>

#include "nvidia.h"

static int __init nvidia_uvm_init(void)
{
	return lab_nvidia_needed();
}

static void __exit nvidia_uvm_exit(void)
{
}

module_init(nvidia_uvm_init);
module_exit(nvidia_uvm_exit);
MODULE_DESCRIPTION("A stand-in for NVIDIA's module in usher's lab");
MODULE_LICENSE("GPL");
