// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/nvidia/nvidia.c - a stand-in for NVIDIA's driver: its names, nodes and bad manners */
#include <linux/delay.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "nvidia.h"

/*
 * How it works
 *
 * The names, and who needs whom, are those that lsmod shows of the real ones (535 to 580):
 *	nvidia_drm -> nvidia_modeset -> nvidia <- nvidia_uvm
 * as "rmmod: ERROR: Module nvidia is in use by: nvidia_uvm nvidia_modeset" has it (open-gpu-kernel-
 * modules, pull request 20 of tinygrad's copy). Whoever has a node open counts beside these: "nvidia
 * 34136064 83 nvidia_modeset" (Bumblebee, issue 1075).
 *
 * It takes the devices whose driver_override names it. /dev/nvidiaN counts its card's users as well:
 * remove() of a card with users waits in the kernel, and no signal ends that.
 *
 * Parameters: lab_unbinds counts how often remove() was called for an unbind, while the module
 * stays: what nobody must do to a card alone. While lab_users is not 0 every card has a user that
 * no process shows, as the real one's list of openers proves nothing.
 */

#define CARDS_MAX 4

static unsigned int lab_unbinds;
module_param(lab_unbinds, uint, 0444);
static unsigned int lab_users;
module_param(lab_users, uint, 0644);

struct card {
	struct miscdevice node;
	struct proc_dir_entry *proc;
	char name[16];
	atomic_t users;
	bool taken;
};

static struct card cards[CARDS_MAX];
static DEFINE_MUTEX(cards_lock);
static struct proc_dir_entry *proc_nvidia, *proc_gpus;
static bool leaving;

int lab_nvidia_needed(void)
{
	return 0;
}
EXPORT_SYMBOL_GPL(lab_nvidia_needed);

/* misc_open() has put the node there */
static struct card *card_of(struct file *file)
{
	return container_of(file->private_data, struct card, node);
}

static int card_open(struct inode *inode, struct file *file)
{
	atomic_inc(&card_of(file)->users);
	return 0;
}

static int card_release(struct inode *inode, struct file *file)
{
	atomic_dec(&card_of(file)->users);
	return 0;
}

static const struct file_operations card_ops = {
	.owner = THIS_MODULE,
	.open = card_open,
	.release = card_release,
};

static const struct file_operations ctl_ops = {
	.owner = THIS_MODULE,
};

static struct miscdevice ctl = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "nvidiactl",
	.fops = &ctl_ops,
};

static int information_show(struct seq_file *seq, void *data)
{
	const struct card *card = seq->private;

	seq_printf(seq, "Model: \t\t Lab\nDevice Minor: \t %d\n", (int)(card - cards));
	return 0;
}

/* The lowest minor that is free, as the real one numbers its cards */
static struct card *card_take(void)
{
	struct card *card = NULL;

	mutex_lock(&cards_lock);
	for (size_t i = 0; i < ARRAY_SIZE(cards) && !card; i++)
		if (!cards[i].taken)
			card = &cards[i];
	if (card)
		card->taken = true;
	mutex_unlock(&cards_lock);
	return card;
}

static int nvidia_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	struct card *card = card_take();
	int r;

	if (!card)
		return -ENOSPC;
	snprintf(card->name, sizeof(card->name), "nvidia%d", (int)(card - cards));
	card->node = (struct miscdevice){ .minor = MISC_DYNAMIC_MINOR,
					  .name = card->name,
					  .fops = &card_ops };
	r = misc_register(&card->node);
	if (r) {
		card->taken = false;
		return r;
	}
	card->proc = proc_mkdir(pci_name(dev), proc_gpus);
	proc_create_single_data("information", 0444, card->proc, information_show, card);
	pci_set_drvdata(dev, card);
	return pcim_enable_device(dev);
}

static void nvidia_remove(struct pci_dev *dev)
{
	struct card *card = pci_get_drvdata(dev);

	if (!leaving)
		lab_unbinds++;
	if (atomic_read(&card->users) || READ_ONCE(lab_users))
		pci_err(dev, "removed with a non-zero usage count\n");
	while (atomic_read(&card->users) || READ_ONCE(lab_users))
		msleep(50);
	proc_remove(card->proc);
	misc_deregister(&card->node);
	card->taken = false;
}

static struct pci_driver nvidia_driver = {
	.name = "nvidia",
	.probe = nvidia_probe,
	.remove = nvidia_remove,
};

static int __init nvidia_init(void)
{
	int r = misc_register(&ctl);

	if (r)
		return r;
	proc_nvidia = proc_mkdir("driver/nvidia", NULL);
	proc_gpus = proc_mkdir("gpus", proc_nvidia);
	return pci_register_driver(&nvidia_driver);
}

static void __exit nvidia_exit(void)
{
	leaving = true;
	pci_unregister_driver(&nvidia_driver);
	misc_deregister(&ctl);
	proc_remove(proc_nvidia);
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_DESCRIPTION("A stand-in for NVIDIA's driver in usher's lab");
MODULE_LICENSE("GPL");
