/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/lab/monitor/monitor.h - a monitor that only the lab's machine has */
#pragma once

#include <linux/i2c.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define NAME_SIZE 24
#define MAX_CABLES 4
#define MAX_INPUTS 8
#define EDID_SIZE 128
#define EDID_TEXT 13
#define DDC_REPLY_SIZE 40
#define LOG_LINES 64
#define LOG_BYTES 12

struct monitor;

/* One cable: an I2C bus of one PCI device, plugged into one input of the monitor */
struct cable {
	struct monitor *monitor;
	struct pci_dev *gpu;
	u8 input;
	bool there;			/* the adapter is registered */
	u8 edid_at;			/* EDID offset of the next read */
	u8 reply[DDC_REPLY_SIZE];
	int reply_len;
	unsigned long reply_from;	/* jiffies: not ready before */
	struct i2c_adapter adapter;
};

struct log_line {
	u64 ns;				/* CLOCK_BOOTTIME, when the last byte was there */
	u8 input;			/* of the cable it came through */
	u8 len;
	u8 bytes[LOG_BYTES];
};

struct monitor {
	struct list_head list;
	char name[NAME_SIZE];
	struct dentry *dir;
	struct mutex lock;		/* all below; never held while hanging */

	char mfg[4];
	char model[EDID_TEXT + 1];
	char serial[EDID_TEXT + 1];	/* "": none, as cheap monitors have it */
	u16 product;
	u32 serial_nr;
	u8 edid[EDID_SIZE];

	u8 inputs[MAX_INPUTS];
	unsigned int nr_inputs;
	u8 input;			/* the one shown, VCP feature 0x60 */
	u8 input_before;
	u8 signal;			/* the input that has a signal; 0: judge none */
	u8 brightness;

	/* Its character; all 0 is a good one */
	unsigned int slow_ms;		/* each transfer takes so long, and a reply as long again */
	unsigned int nak;		/* so many transfers fail after 3 s of quiet */
	unsigned int garble;		/* so many replies have a wrong checksum after the same */
	unsigned int bounce_ms;		/* falls back so long after a switch without signal */
	bool deaf;			/* DDC/CI only on the cable of the input shown */
	bool hang;			/* transfers do not return until this is cleared */
	u8 source;			/* answers to this source address alone; 0: to any */

	unsigned int naks_left, garbles_left;
	unsigned long last_transfer;
	wait_queue_head_t released;
	struct delayed_work bounce;

	struct log_line log[LOG_LINES];	/* ring of DDC/CI messages received */
	unsigned int logged;
	struct cable cables[MAX_CABLES];
	unsigned int nr_cables;
};

/* edid.c */
void edid_make(struct monitor *m);

/* ddc.c */
int ddc_write(struct cable *c, const u8 *buf, int len);
int ddc_read(struct cable *c, u8 *buf, int len);
void ddc_bounce(struct work_struct *work);
