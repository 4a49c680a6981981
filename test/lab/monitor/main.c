// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/monitor/main.c - monitors plugged into the lab's PCI devices */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "monitor.h"

/*
 * How it works
 *
 * Each cable is an i2c_adapter whose parent is a PCI device, as with a graphics driver, and with
 * EDID at 0x50 and DDC/CI at 0x37. It is there only while that device has a driver of the host:
 * on vfio-pci or on none the bus is gone, as it is with a real card.
 *
 * /sys/kernel/debug/lab_monitor/
 *	add		write one line: name=desk cable=0000:00:01.0,0x0f cable=0000:01:00.0,0x11
 *			[mfg=USH] [model=Lab_24] [product=0x2401] [serial=A1] [serial_nr=1]
 *			[inputs=0x0f,0x11] [input=0x0f] [slow=ms] [nak=n] [garble=n] [bounce=ms]
 *			[deaf=1] [hang=1] [source=0x51]		("_" is a blank in the texts)
 *	remove		write a name, or * for all
 *	NAME/input	the input shown; writing it is the user at the monitor's buttons
 *	NAME/signal	the input that has a signal, so that the monitor stays on it
 *	NAME/hang	1: transfers sleep, and no signal wakes them; 0 lets them go on
 *	NAME/log	DDC/CI messages received: boot time in ns, input of the cable, bytes
 */

#define ADDR_EDID 0x50
#define ADDR_DDC 0x37
#define QUIET_AGAIN (3 * HZ)	/* then nak and garble start over */

static LIST_HEAD(monitors);
static DEFINE_MUTEX(monitors_lock);
static struct dentry *top;

/* --- The bus --------------------------------------------------------------------------------- */

static int transfer_edid(struct cable *c, struct i2c_msg *msg)
{
	int i;

	if (!(msg->flags & I2C_M_RD)) {
		if (msg->len)
			c->edid_at = msg->buf[0];
		return 0;
	}
	for (i = 0; i < msg->len; i++, c->edid_at++)
		msg->buf[i] = c->edid_at < EDID_SIZE ? c->monitor->edid[c->edid_at] : 0;
	return 0;
}

/* After a pause the monitor is as unwilling as at the first time */
static bool naks_now(struct monitor *m)
{
	if (time_after(jiffies, m->last_transfer + QUIET_AGAIN)) {
		m->naks_left = m->nak;
		m->garbles_left = m->garble;
	}
	m->last_transfer = jiffies;
	if (!m->naks_left)
		return false;
	m->naks_left--;
	return true;
}

static int transfer_ddc(struct cable *c, struct i2c_msg *msg)
{
	struct monitor *m = c->monitor;

	if (m->deaf && m->input != c->input)
		return -ENXIO;
	if (naks_now(m))
		return -ENXIO;
	if (msg->flags & I2C_M_RD)
		return ddc_read(c, msg->buf, msg->len);
	return ddc_write(c, msg->buf, msg->len);
}

static int transfer(struct cable *c, struct i2c_msg *msg)
{
	struct monitor *m = c->monitor;
	int r = -ENXIO;

	if (msg->addr != ADDR_EDID && msg->addr != ADDR_DDC)
		return r;
	wait_event(m->released, !READ_ONCE(m->hang));
	if (m->slow_ms)
		msleep(m->slow_ms);
	mutex_lock(&m->lock);
	r = msg->addr == ADDR_EDID ? transfer_edid(c, msg) : transfer_ddc(c, msg);
	mutex_unlock(&m->lock);
	return r;
}

static int monitor_xfer(struct i2c_adapter *adapter, struct i2c_msg *msgs, int num)
{
	int i, r;

	for (i = 0; i < num; i++) {
		r = transfer(adapter->algo_data, &msgs[i]);
		if (r < 0)
			return r;
	}
	return num;
}

static u32 monitor_func(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm monitor_algo = {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	.xfer = monitor_xfer,
#else
	.master_xfer = monitor_xfer,
#endif
	.functionality = monitor_func,
};

/* --- Cables come and go with the host's driver ------------------------------------------------ */

static bool host_drives(struct pci_dev *gpu)
{
	struct device_driver *driver = READ_ONCE(gpu->dev.driver);

	return driver && strcmp(driver->name, "vfio-pci") != 0;
}

static int cable_plug(struct cable *c)
{
	int r;

	if (c->there)
		return 0;
	memset(&c->adapter, 0, sizeof(c->adapter));
	c->adapter.owner = THIS_MODULE;
	c->adapter.algo = &monitor_algo;
	c->adapter.algo_data = c;
	c->adapter.dev.parent = &c->gpu->dev;
	snprintf(c->adapter.name, sizeof(c->adapter.name), "lab monitor %s input 0x%02x",
		 c->monitor->name, c->input);
	r = i2c_add_adapter(&c->adapter);
	c->there = r == 0;
	return r;
}

static void cable_unplug(struct cable *c)
{
	if (c->there)
		i2c_del_adapter(&c->adapter);
	c->there = false;
}

static int driver_changed(struct notifier_block *nb, unsigned long action, void *data)
{
	struct monitor *m;
	int i;

	if (action != BUS_NOTIFY_UNBIND_DRIVER && action != BUS_NOTIFY_BOUND_DRIVER)
		return NOTIFY_DONE;
	mutex_lock(&monitors_lock);
	list_for_each_entry(m, &monitors, list) {
		for (i = 0; i < m->nr_cables; i++) {
			if (&m->cables[i].gpu->dev != data)
				continue;
			if (action == BUS_NOTIFY_BOUND_DRIVER && host_drives(m->cables[i].gpu))
				cable_plug(&m->cables[i]);
			else
				cable_unplug(&m->cables[i]);
		}
	}
	mutex_unlock(&monitors_lock);
	return NOTIFY_OK;
}

static struct notifier_block driver_notifier = { .notifier_call = driver_changed };

/* --- One line describes one monitor ----------------------------------------------------------- */

static int parse_cable(struct monitor *m, char *value)
{
	struct cable *c = &m->cables[m->nr_cables];
	char *input = strchr(value, ',');
	unsigned int domain, bus, slot, func;

	if (m->nr_cables == MAX_CABLES || !input)
		return -EINVAL;
	*input++ = '\0';
	if (sscanf(value, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4 ||
	    kstrtou8(input, 0, &c->input))
		return -EINVAL;
	c->gpu = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, func));
	if (!c->gpu)
		return -ENODEV;
	c->monitor = m;
	m->nr_cables++;
	return 0;
}

static int parse_inputs(struct monitor *m, char *value)
{
	char *one;

	m->nr_inputs = 0;
	while ((one = strsep(&value, ","))) {
		if (m->nr_inputs == MAX_INPUTS || kstrtou8(one, 0, &m->inputs[m->nr_inputs++]))
			return -EINVAL;
	}
	return 0;
}

static int parse_text(char *to, size_t size, const char *value)
{
	if (strscpy(to, value, size) < 0)
		return -EINVAL;
	strreplace(to, '_', ' ');
	return 0;
}

static int parse_pair(struct monitor *m, const char *key, char *value)
{
	const struct { const char *key; unsigned int *to; } counts[] = {
		{ "slow", &m->slow_ms }, { "nak", &m->nak },
		{ "garble", &m->garble }, { "bounce", &m->bounce_ms },
	};
	const struct { const char *key; u8 *to; } bytes[] = {
		{ "input", &m->input }, { "source", &m->source },
	};
	const struct { const char *key; bool *to; } flags[] = {
		{ "deaf", &m->deaf }, { "hang", &m->hang },
	};
	const struct { const char *key; char *to; size_t size; } texts[] = {
		{ "name", m->name, sizeof(m->name) }, { "mfg", m->mfg, sizeof(m->mfg) },
		{ "model", m->model, sizeof(m->model) }, { "serial", m->serial, sizeof(m->serial) },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++)
		if (strcmp(key, counts[i].key) == 0)
			return kstrtouint(value, 0, counts[i].to);
	for (i = 0; i < ARRAY_SIZE(bytes); i++)
		if (strcmp(key, bytes[i].key) == 0)
			return kstrtou8(value, 0, bytes[i].to);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(key, flags[i].key) == 0)
			return kstrtobool(value, flags[i].to);
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (strcmp(key, texts[i].key) == 0)
			return parse_text(texts[i].to, texts[i].size, value);
	if (strcmp(key, "product") == 0)
		return kstrtou16(value, 0, &m->product);
	if (strcmp(key, "serial_nr") == 0)
		return kstrtou32(value, 0, &m->serial_nr);
	if (strcmp(key, "inputs") == 0)
		return parse_inputs(m, value);
	if (strcmp(key, "cable") == 0)
		return parse_cable(m, value);
	return -EINVAL;
}

static int parse_line(struct monitor *m, char *line)
{
	char *pair, *value;
	int r;

	while ((pair = strsep(&line, " \n"))) {
		if (!*pair)
			continue;
		value = strchr(pair, '=');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		r = parse_pair(m, pair, value);
		if (r < 0)
			return r;
	}
	return m->name[0] && m->nr_cables && strlen(m->mfg) == 3 ? 0 : -EINVAL;
}

/* --- debugfs ---------------------------------------------------------------------------------- */

static int log_show(struct seq_file *s, void *unused)
{
	struct monitor *m = s->private;
	unsigned int i;

	mutex_lock(&m->lock);
	for (i = m->logged > LOG_LINES ? m->logged - LOG_LINES : 0; i < m->logged; i++) {
		const struct log_line *line = &m->log[i % LOG_LINES];

		seq_printf(s, "%llu 0x%02x %*ph\n", line->ns, line->input, line->len, line->bytes);
	}
	mutex_unlock(&m->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(log);

static int hang_get(void *data, u64 *val)
{
	*val = READ_ONCE(((struct monitor *)data)->hang);
	return 0;
}

static int hang_set(void *data, u64 val)
{
	struct monitor *m = data;

	WRITE_ONCE(m->hang, val != 0);
	wake_up_all(&m->released);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(hang_fops, hang_get, hang_set, "%llu\n");

static void monitor_free(struct monitor *m)
{
	int i;

	hang_set(m, 0);
	for (i = 0; i < m->nr_cables; i++) {
		cable_unplug(&m->cables[i]);
		pci_dev_put(m->cables[i].gpu);
	}
	debugfs_remove(m->dir);
	cancel_delayed_work_sync(&m->bounce);
	kfree(m);
}

static struct monitor *monitor_new(void)
{
	struct monitor *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	mutex_init(&m->lock);
	init_waitqueue_head(&m->released);
	INIT_DELAYED_WORK(&m->bounce, ddc_bounce);
	strscpy(m->mfg, "USH", sizeof(m->mfg));
	strscpy(m->model, "Lab 24", sizeof(m->model));
	m->product = 0x2401;
	m->brightness = 50;
	m->inputs[0] = m->input = 0x0f;
	m->inputs[1] = 0x11;
	m->inputs[2] = 0x12;
	m->nr_inputs = 3;
	return m;
}

/* Registers what parse_line() took; the caller frees it when this fails */
static int monitor_add(struct monitor *m)
{
	struct monitor *other;
	int i, r = 0;

	list_for_each_entry(other, &monitors, list)
		if (strcmp(other->name, m->name) == 0)
			return -EEXIST;
	edid_make(m);
	m->input_before = m->input;
	m->last_transfer = jiffies - 2 * QUIET_AGAIN;
	m->dir = debugfs_create_dir(m->name, top);
	debugfs_create_u8("input", 0600, m->dir, &m->input);
	debugfs_create_u8("signal", 0600, m->dir, &m->signal);
	debugfs_create_file("hang", 0600, m->dir, m, &hang_fops);
	debugfs_create_file("log", 0400, m->dir, m, &log_fops);
	for (i = 0; r == 0 && i < m->nr_cables; i++)
		if (host_drives(m->cables[i].gpu))
			r = cable_plug(&m->cables[i]);
	if (r == 0)
		list_add(&m->list, &monitors);
	return r;
}

static ssize_t add_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct monitor *m = monitor_new();
	char *line;
	int r;

	if (!m)
		return -ENOMEM;
	line = memdup_user_nul(buf, min_t(size_t, len, PAGE_SIZE));
	r = IS_ERR(line) ? PTR_ERR(line) : parse_line(m, line);
	if (!IS_ERR(line))
		kfree(line);
	mutex_lock(&monitors_lock);
	if (r == 0)
		r = monitor_add(m);
	mutex_unlock(&monitors_lock);
	if (r < 0)
		monitor_free(m);
	return r < 0 ? r : len;
}

static int monitors_remove(const char *name)
{
	struct monitor *m, *next;
	int found = 0;

	mutex_lock(&monitors_lock);
	list_for_each_entry_safe(m, next, &monitors, list) {
		if (strcmp(name, "*") != 0 && strcmp(name, m->name) != 0)
			continue;
		list_del(&m->list);
		monitor_free(m);
		found++;
	}
	mutex_unlock(&monitors_lock);
	return found || strcmp(name, "*") == 0 ? 0 : -ENOENT;
}

static ssize_t remove_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char *name = memdup_user_nul(buf, min_t(size_t, len, NAME_SIZE));
	int r;

	if (IS_ERR(name))
		return PTR_ERR(name);
	r = monitors_remove(strim(name));
	kfree(name);
	return r < 0 ? r : len;
}

static const struct file_operations add_fops = { .owner = THIS_MODULE, .write = add_write };
static const struct file_operations remove_fops = { .owner = THIS_MODULE, .write = remove_write };

static int __init lab_monitor_init(void)
{
	top = debugfs_create_dir("lab_monitor", NULL);
	debugfs_create_file("add", 0200, top, NULL, &add_fops);
	debugfs_create_file("remove", 0200, top, NULL, &remove_fops);
	return bus_register_notifier(&pci_bus_type, &driver_notifier);
}

static void __exit lab_monitor_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &driver_notifier);
	debugfs_remove(top);
	monitors_remove("*");
}

module_init(lab_monitor_init);
module_exit(lab_monitor_exit);
MODULE_DESCRIPTION("Monitors for usher's lab");
MODULE_LICENSE("GPL");
