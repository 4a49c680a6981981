// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/nvidia/nvidia.c - a stand-in for NVIDIA's driver: its names, nodes and bad manners */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/wait.h>

#include "nvidia.h"

/*
 * How it works
 *
 * The names, and who needs whom, are those that lsmod shows of the real ones (535 to 580):
 *	nvidia_drm -> nvidia_modeset -> nvidia <- nvidia_uvm
 * It takes a device whose driver_override names it. /dev/nvidiactl and /dev/nvidia0 count their
 * users; remove() of a device with users waits in the kernel, and no signal ends that, as the real
 * one does. lab_unbinds in its parameters counts how often remove() was called for an unbind, while
 * the module stays: what nobody must do.
 */

static unsigned int lab_unbinds;
module_param(lab_unbinds, uint, 0444);

static atomic_t users = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(closed);
static struct proc_dir_entry *proc_nvidia, *proc_gpus, *proc_card;
static bool leaving;

int lab_nvidia_needed(void)
{
	return 0;
}
EXPORT_SYMBOL_GPL(lab_nvidia_needed);

static int node_open(struct inode *inode, struct file *file)
{
	atomic_inc(&users);
	return 0;
}

static int node_release(struct inode *inode, struct file *file)
{
	if (atomic_dec_and_test(&users))
		wake_up_all(&closed);
	return 0;
}

static const struct file_operations node_ops = {
	.owner = THIS_MODULE,
	.open = node_open,
	.release = node_release,
};

static struct miscdevice nodes[] = {
	{ .minor = MISC_DYNAMIC_MINOR, .name = "nvidiactl", .fops = &node_ops },
	{ .minor = MISC_DYNAMIC_MINOR, .name = "nvidia0", .fops = &node_ops },
};

static int information_show(struct seq_file *seq, void *data)
{
	seq_puts(seq, "Model: \t\t Lab\nDevice Minor: \t 0\n");
	return 0;
}

static int nvidia_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	proc_card = proc_mkdir(pci_name(dev), proc_gpus);
	proc_create_single("information", 0444, proc_card, information_show);
	return pcim_enable_device(dev);
}

static void nvidia_remove(struct pci_dev *dev)
{
	if (!leaving)
		lab_unbinds++;
	if (atomic_read(&users))
		pci_err(dev, "removed with a non-zero usage count\n");
	wait_event(closed, atomic_read(&users) == 0);
	proc_remove(proc_card);
}

static struct pci_driver nvidia_driver = {
	.name = "nvidia",
	.probe = nvidia_probe,
	.remove = nvidia_remove,
};

static int __init nvidia_init(void)
{
	int r;

	proc_nvidia = proc_mkdir("driver/nvidia", NULL);
	proc_gpus = proc_mkdir("gpus", proc_nvidia);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		r = misc_register(&nodes[i]);
		if (r)
			return r;
	}
	return pci_register_driver(&nvidia_driver);
}

static void __exit nvidia_exit(void)
{
	leaving = true;
	pci_unregister_driver(&nvidia_driver);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		misc_deregister(&nodes[i]);
	proc_remove(proc_nvidia);
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_DESCRIPTION("A stand-in for NVIDIA's driver in usher's lab");
MODULE_LICENSE("GPL");
