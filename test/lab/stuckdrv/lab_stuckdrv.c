// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/stuckdrv/lab_stuckdrv.c - a PCI driver that does not let go of its device */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/wait.h>

/*
 * How it works
 *
 * It takes any device whose driver_override names it. Its remove() sleeps inside the kernel, and
 * no signal wakes it, as a graphics driver does whose users are still there. Parameters, to be
 * written at any time:
 *	seconds		how long remove() sleeps; -1: until it is let go, 0: not at all
 *	release		write 1 to let go all that sleep in remove()
 *	stuck		read: how many do
 *	dirty		1: a device that it has let go of is refused, as by a driver whose card has not
 *			been reset, until the kernel has found it anew
 */

static int seconds;
module_param(seconds, int, 0644);

static atomic_t stuck = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(released);
static unsigned int releases;

static int release_set(const char *val, const struct kernel_param *kp)
{
	WRITE_ONCE(releases, releases + 1);
	wake_up_all(&released);
	return 0;
}

static int stuck_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&stuck));
}

static const struct kernel_param_ops release_ops = { .set = release_set };
static const struct kernel_param_ops stuck_ops = { .get = stuck_get };
module_param_cb(release, &release_ops, NULL, 0200);
module_param_cb(stuck, &stuck_ops, NULL, 0444);

static bool dirty;
module_param(dirty, bool, 0644);

/* The last it has let go of; held, so that no other can take its place in memory */
static struct pci_dev *used;

static int stuck_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	if (dirty && dev == used)
		return -EIO;
	pci_info(dev, "held by lab_stuckdrv\n");
	return pcim_enable_device(dev);
}

static void stuck_remove(struct pci_dev *dev)
{
	unsigned int now = READ_ONCE(releases);

	atomic_inc(&stuck);
	if (seconds < 0)
		wait_event(released, READ_ONCE(releases) != now);
	else if (seconds > 0)
		wait_event_timeout(released, READ_ONCE(releases) != now,
				   (unsigned long)seconds * HZ);
	atomic_dec(&stuck);
	pci_dev_put(used);
	used = pci_dev_get(dev);
}

static struct pci_driver stuck_driver = {
	.name = "lab_stuckdrv",
	.probe = stuck_probe,
	.remove = stuck_remove,
};

static int __init stuck_init(void)
{
	return pci_register_driver(&stuck_driver);
}

static void __exit stuck_exit(void)
{
	pci_unregister_driver(&stuck_driver);
	pci_dev_put(used);
}

module_init(stuck_init);
module_exit(stuck_exit);
MODULE_DESCRIPTION("A PCI driver for usher's lab that does not let go");
MODULE_LICENSE("GPL");
