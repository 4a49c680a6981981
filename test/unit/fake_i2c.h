/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/fake_i2c.h - monitors on I2C buses, for the processes of one test
 *
 * The head of a test that includes this wraps: i2c_open i2c_write_at i2c_read_at
 * The monitors lie in memory that forked processes share, because buses are asked by children.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers/display/ddc.h"
#include "helpers/display/edid.h"
#include "helpers/display/i2c.h"

#define FAKE_MONITORS 16
#define FAKE_FDS      64

struct fake_monitor {
	bool there;
	unsigned int bus;
	uint8_t edid[EDID_LEN];
	uint8_t input; /* what it shows */
	uint8_t cable; /* the input this bus is on; with deaf: answers DDC only while shown */
	bool deaf;
	bool silent; /* EDID, but nothing at 0x37 */
	bool hangs;  /* no transfer returns */
	bool hangs_at_set;
	bool null_reply;
	bool unsupported;
	int naks;    /* transactions that are not acknowledged yet, at both addresses */
	int garbled; /* replies whose checksum is still wrong */
	int slow_ms;
	int busy;		    /* a kernel driver holds 0x37 */
	struct fake_monitor *panel; /* another cable's, which shows the same; NULL for itself */
	const char *caps;	    /* its capabilities string */
	int falls_back; /* so many sets last until the input is asked for the second time */
	uint8_t source; /* listens to this source address only; 0 for any */
	/* what happened */
	uint8_t asked; /* feature of the last get */
	bool asked_caps;
	unsigned int caps_offset;
	uint8_t before;
	int gets_since;
	unsigned int sets, gets, edids;
	uint8_t last_set[DDC_SET_LEN];
};

static struct fake_monitor *fake_monitors;
static unsigned int fake_bus_of_fd[FAKE_FDS];

static inline int fake_i2c_setup(void)
{
	fake_monitors = mmap(NULL, FAKE_MONITORS * sizeof(*fake_monitors), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return fake_monitors == MAP_FAILED ? -1 : 0;
}

static inline int fake_i2c_teardown(void)
{
	return munmap(fake_monitors, FAKE_MONITORS * sizeof(*fake_monitors));
}

static inline void fake_edid_text(uint8_t *descriptor, uint8_t tag, const char *text)
{
	size_t len = strlen(text);

	memset(descriptor, 0, 18);
	descriptor[3] = tag;
	memset(descriptor + 5, ' ', 13);
	memcpy(descriptor + 5, text, len);
	if (len < 13)
		descriptor[5 + len] = '\n';
}

static inline void fake_edid_seal(uint8_t edid[static EDID_LEN])
{
	uint8_t sum = 0;

	for (size_t i = 0; i < EDID_LEN - 1; i++)
		sum = (uint8_t)(sum + edid[i]);
	edid[EDID_LEN - 1] = (uint8_t)-sum;
}

/* "DEL", 0xa0c4, a number, and the texts of the two descriptors, "" for none */
static inline void fake_edid(uint8_t edid[static EDID_LEN], const char *manufacturer,
			     unsigned int product, unsigned int number, const char *serial,
			     const char *name)
{
	unsigned int bits = (unsigned int)(manufacturer[0] - 'A' + 1) << 10 |
			    (unsigned int)(manufacturer[1] - 'A' + 1) << 5 |
			    (unsigned int)(manufacturer[2] - 'A' + 1);

	memset(edid, 0, EDID_LEN);
	memset(edid + 1, 0xff, 6);
	edid[8] = (uint8_t)(bits >> 8);
	edid[9] = (uint8_t)bits;
	edid[10] = (uint8_t)product;
	edid[11] = (uint8_t)(product >> 8);
	for (int i = 0; i < 4; i++)
		edid[12 + i] = (uint8_t)(number >> (8 * i));
	/* A detailed timing first, as on every monitor */
	edid[54] = 0x02;
	edid[55] = 0x3a;
	edid[56] = 0x80;
	if (serial[0])
		fake_edid_text(edid + 72, 0xff, serial);
	if (name[0])
		fake_edid_text(edid + 90, 0xfc, name);
	fake_edid_seal(edid);
}

/* A good monitor; the test makes it worse */
static inline struct fake_monitor *fake_monitor_add(unsigned int bus, const char *manufacturer,
						    unsigned int product, const char *serial)
{
	struct fake_monitor *monitor = fake_monitors;

	while (monitor->there)
		monitor++;
	*monitor = (struct fake_monitor){ .there = true, .bus = bus, .input = 15, .cable = 15 };
	fake_edid(monitor->edid, manufacturer, product, 0, serial, "FAKE");
	return monitor;
}

static inline struct fake_monitor *fake_monitor_on(int fd)
{
	for (int i = 0; i < FAKE_MONITORS; i++)
		if (fake_monitors[i].there && fake_monitors[i].bus == fake_bus_of_fd[fd])
			return &fake_monitors[i];
	return NULL;
}

static inline struct fake_monitor *fake_panel(struct fake_monitor *monitor)
{
	return monitor->panel ? monitor->panel : monitor;
}

/* Common to both directions. Return: 0, -errno */
static inline int fake_transfer(struct fake_monitor *monitor, unsigned int addr)
{
	if (!monitor)
		return -ENXIO;
	if (monitor->hangs)
		for (;;)
			(void)pause();
	if (monitor->slow_ms)
		(void)poll(NULL, 0, monitor->slow_ms);
	if (addr == DDC_ADDR && monitor->busy)
		return -EBUSY;
	if (monitor->naks > 0) {
		monitor->naks--;
		return -EREMOTEIO;
	}
	if (addr == DDC_ADDR &&
	    (monitor->silent || (monitor->deaf && fake_panel(monitor)->input != monitor->cable)))
		return -ENXIO;
	return 0;
}

static inline void fake_caps_reply(const struct fake_monitor *monitor, uint8_t *data, size_t len)
{
	uint8_t reply[DDC_CAPS_REPLY_LEN] = { 0x6e, 0x83, 0xe3,
					      (uint8_t)(monitor->caps_offset >> 8),
					      (uint8_t)monitor->caps_offset };
	size_t whole = strlen(monitor->caps), part = 0;
	uint8_t sum = 0x50;

	if (monitor->caps_offset < whole)
		part = whole - monitor->caps_offset;
	if (part > DDC_CAPS_PART)
		part = DDC_CAPS_PART;
	memcpy(reply + 5, monitor->caps + monitor->caps_offset, part);
	reply[1] = (uint8_t)(0x80 | (3 + part));
	for (size_t i = 0; i < 5 + part; i++)
		sum ^= reply[i];
	reply[5 + part] = sum;
	memcpy(data, reply, len < sizeof(reply) ? len : sizeof(reply));
}

/* One that finds no signal shows what it showed before, some time after the switch */
static inline void fake_fall_back(struct fake_monitor *monitor)
{
	struct fake_monitor *panel = fake_panel(monitor);

	if (panel->falls_back == 0 || panel->sets == 0 || ++panel->gets_since < 2)
		return;
	panel->falls_back--;
	panel->input = panel->before;
}

static inline void fake_reply(struct fake_monitor *monitor, uint8_t *data, size_t len)
{
	uint8_t reply[DDC_REPLY_LEN] = { 0x6e, 0x88, 0x02, 0, monitor->asked, 0, 0, 0x12, 0, 0, 0 };
	uint8_t sum = 0x50;

	if (monitor->null_reply) {
		memset(data, 0, len);
		memcpy(data, "\x6e\x80\xbe", 3);
		return;
	}
	reply[3] = monitor->unsupported;
	/* Rubbish in the high byte, as some have it */
	reply[8] = 0x0f;
	fake_fall_back(monitor);
	reply[9] = fake_panel(monitor)->input;
	for (int i = 0; i < DDC_REPLY_LEN - 1; i++)
		sum ^= reply[i];
	reply[10] = sum;
	if (monitor->garbled > 0) {
		monitor->garbled--;
		reply[9] ^= 0x40;
	}
	memcpy(data, reply, len < sizeof(reply) ? len : sizeof(reply));
}

static inline int fake_write_ddc(struct fake_monitor *monitor, const uint8_t *data, size_t len)
{
	uint8_t sum = 0x6e;

	for (size_t i = 0; i < len; i++)
		sum ^= data[i];
	/* A monitor says nothing to a packet it does not understand */
	if (sum != 0 || (monitor->source && data[0] != monitor->source))
		return 0;
	while (len == DDC_SET_LEN && monitor->hangs_at_set)
		(void)pause();
	if (len == DDC_SET_LEN && data[2] == 0x03) {
		memcpy(monitor->last_set, data, len);
		monitor->sets++;
		if (data[3] == DDC_INPUT_SOURCE) {
			fake_panel(monitor)->before = fake_panel(monitor)->input;
			fake_panel(monitor)->gets_since = 0;
			fake_panel(monitor)->input = data[5];
		}
	} else if (len == DDC_GET_LEN && data[2] == 0x01) {
		monitor->gets++;
		monitor->asked = data[3];
		monitor->asked_caps = false;
	} else if (len == DDC_ASK_CAPS_LEN && data[2] == 0xf3) {
		monitor->asked_caps = true;
		monitor->caps_offset = (unsigned int)data[3] << 8 | data[4];
	}
	return 0;
}

int __wrap_i2c_open(int rootfd, unsigned int bus);
int __wrap_i2c_open(int rootfd, unsigned int bus)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)rootfd;
	if (fd >= FAKE_FDS) {
		(void)close(fd);
		return -EMFILE;
	}
	if (fd >= 0)
		fake_bus_of_fd[fd] = bus;
	return fd < 0 ? -errno : fd;
}

int __wrap_i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len);
int __wrap_i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len)
{
	struct fake_monitor *monitor = fake_monitor_on(fd);
	int r = fake_transfer(monitor, addr);

	return r < 0 || addr != DDC_ADDR ? r : fake_write_ddc(monitor, data, len);
}

int __wrap_i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len);
int __wrap_i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len)
{
	struct fake_monitor *monitor = fake_monitor_on(fd);
	int r = fake_transfer(monitor, addr);

	if (r < 0)
		return r;
	if (addr == DDC_ADDR && monitor->asked_caps && monitor->caps) {
		fake_caps_reply(monitor, data, len);
	} else if (addr == DDC_ADDR) {
		fake_reply(monitor, data, len);
	} else {
		monitor->edids++;
		memcpy(data, monitor->edid, len < EDID_LEN ? len : EDID_LEN);
	}
	return 0;
}
