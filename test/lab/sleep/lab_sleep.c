// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/sleep/lab_sleep.c - what a sleep of the host does to processes and CPUs, without the devices */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>

/*
 * How it works
 *
 * A suspend freezes the processes, puts the devices to sleep, takes all CPUs but the first offline and
 * does the same backwards (kernel/power/suspend.c, suspend_prepare() and suspend_enter()). The lab's
 * devices do not all wake up again, the one that commands come by among them; so the devices are left
 * out, and the rest is done by the kernel's own functions, which it does not export to modules.
 * Write the number of milliseconds to sleep to /sys/module/lab_sleep/parameters/sleep_ms.
 */

static int (*do_freeze_processes)(void);
static void (*do_thaw_processes)(void);
static int (*do_freeze_cpus)(int primary);
static void (*do_thaw_cpus)(void);

/* A probe finds the address of any function; one that begins with ENDBR is probed behind that */
static void *find(const char *name)
{
	struct kprobe probe = { .symbol_name = name };
	void *found;

	if (register_kprobe(&probe) < 0)
		return NULL;
	found = (char *)probe.addr - probe.offset;
	unregister_kprobe(&probe);
	return found;
}

static int sleep_set(const char *val, const struct kernel_param *kp)
{
	unsigned int ms;
	int r = kstrtouint(val, 10, &ms);

	if (r == 0)
		r = do_freeze_processes();
	if (r)
		return r;
	r = do_freeze_cpus(0);
	mdelay(ms);
	do_thaw_cpus();
	do_thaw_processes();
	return r;
}

static const struct kernel_param_ops sleep_ops = { .set = sleep_set };
module_param_cb(sleep_ms, &sleep_ops, NULL, 0200);

static int __init sleep_init(void)
{
	do_freeze_processes = find("freeze_processes");
	do_thaw_processes = find("thaw_processes");
	do_freeze_cpus = find("freeze_secondary_cpus");
	do_thaw_cpus = find("thaw_secondary_cpus");
	return do_freeze_processes && do_thaw_processes && do_freeze_cpus && do_thaw_cpus ? 0
											  : -ENOENT;
}
module_init(sleep_init);

static void __exit sleep_exit(void)
{
}
module_exit(sleep_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("the host's processes and CPUs sleep");
