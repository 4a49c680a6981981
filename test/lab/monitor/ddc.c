// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/monitor/ddc.c - the DDC/CI side: VCP features and capabilities (VESA DDC/CI 1.1, MCCS 2.2) */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/string.h>

#include "monitor.h"

#define ADDR_WRITE 0x6e		/* 0x37 as the first byte on the wire */
#define ADDR_HOST 0x50		/* what replies are summed up with */
#define CHUNK 32		/* bytes of the capabilities in one reply */

enum { GET_VCP = 0x01, GET_VCP_REPLY = 0x02, SET_VCP = 0x03, CAPS = 0xf3, CAPS_REPLY = 0xe3 };
enum { BRIGHTNESS = 0x10, INPUT = 0x60, POWER = 0xd6, VCP_VERSION = 0xdf };

static u8 sum(u8 from, const u8 *buf, int len)
{
	while (len--)
		from ^= *buf++;
	return from;
}

/* The length byte, the sum, and the time until it can be fetched */
static void reply(struct cable *c, const u8 *data, int len)
{
	struct monitor *m = c->monitor;

	c->reply[0] = ADDR_WRITE;
	c->reply[1] = 0x80 | len;
	memcpy(c->reply + 2, data, len);
	c->reply[2 + len] = sum(ADDR_HOST, c->reply, 2 + len);
	if (m->garbles_left) {
		m->garbles_left--;
		c->reply[2 + len] ^= 0x5a;
	}
	c->reply_len = 3 + len;
	c->reply_from = jiffies + msecs_to_jiffies(m->slow_ms);
}

static void get_vcp(struct cable *c, u8 feature)
{
	struct monitor *m = c->monitor;
	const struct { u8 code; u16 max, now; } features[] = {
		{ BRIGHTNESS, 100, m->brightness },
		{ INPUT, 0xff, m->input },
		{ POWER, 5, 1 },
		{ VCP_VERSION, 0, 0x0202 },
	};
	u8 data[8] = { GET_VCP_REPLY, 1, feature };	/* 1: unsupported feature */
	int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (features[i].code != feature)
			continue;
		data[1] = 0;
		data[4] = features[i].max >> 8;
		data[5] = features[i].max & 0xff;
		data[6] = features[i].now >> 8;
		data[7] = features[i].now & 0xff;
	}
	reply(c, data, sizeof(data));
}

static bool has_input(const struct monitor *m, u8 input)
{
	return memchr(m->inputs, input, m->nr_inputs);
}

/* A switch to where no signal is does not last on a monitor that bounces */
static void set_input(struct monitor *m, u8 input)
{
	if (!has_input(m, input) || input == m->input)
		return;
	m->input_before = m->input;
	m->input = input;
	if (m->bounce_ms && m->signal != input)
		mod_delayed_work(system_wq, &m->bounce, msecs_to_jiffies(m->bounce_ms));
}

void ddc_bounce(struct work_struct *work)
{
	struct monitor *m = container_of(work, struct monitor, bounce.work);

	mutex_lock(&m->lock);
	if (m->signal != m->input)
		m->input = m->input_before;
	mutex_unlock(&m->lock);
}

static void set_vcp(struct monitor *m, u8 feature, u16 value)
{
	if (feature == INPUT)
		set_input(m, value & 0xff);
	else if (feature == BRIGHTNESS)
		m->brightness = min_t(u16, value, 100);
}

static void capabilities(struct cable *c, u16 at)
{
	struct monitor *m = c->monitor;
	char text[160];
	u8 data[3 + CHUNK] = { CAPS_REPLY, at >> 8, at & 0xff };
	int i, len, part;

	len = scnprintf(text, sizeof(text), "(prot(monitor)type(lcd)model(%s)cmds(01 02 03 07 0C E3 F3)"
			"vcp(10 60(", m->model);
	for (i = 0; i < m->nr_inputs; i++)
		len += scnprintf(text + len, sizeof(text) - len, i ? " %02X" : "%02X", m->inputs[i]);
	len += scnprintf(text + len, sizeof(text) - len, ") D6(01 04) DF)mccs_ver(2.2))");
	part = clamp(len - at, 0, CHUNK);
	memcpy(data + 3, text + at, part);
	reply(c, data, 3 + part);
}

static void log_message(struct cable *c, const u8 *buf, int len)
{
	struct monitor *m = c->monitor;
	struct log_line *line = &m->log[m->logged++ % LOG_LINES];

	line->ns = ktime_get_boottime_ns();
	line->input = c->input;
	line->len = min(len, LOG_BYTES);
	memcpy(line->bytes, buf, line->len);
}

/**
 * ddc_write() - the host sent a message to 0x37
 *
 * What a monitor does not understand it takes without a word: the reply stays away.
 */
int ddc_write(struct cable *c, const u8 *buf, int len)
{
	struct monitor *m = c->monitor;
	int args = len - 3;	/* source, length and sum around them */

	c->reply_len = 0;
	log_message(c, buf, len);
	if (args < 1 || buf[1] != (0x80 | args) || sum(ADDR_WRITE, buf, len) != 0)
		return 0;
	if (m->source && buf[0] != m->source)
		return 0;
	if (buf[2] == GET_VCP && args == 2)
		get_vcp(c, buf[3]);
	else if (buf[2] == SET_VCP && args == 4)
		set_vcp(m, buf[3], (buf[4] << 8) | buf[5]);
	else if (buf[2] == CAPS && args == 3)
		capabilities(c, (buf[3] << 8) | buf[4]);
	return 0;
}

/**
 * ddc_read() - the host fetches the reply; without one a monitor gives the null message
 */
int ddc_read(struct cable *c, u8 *buf, int len)
{
	static const u8 null_message[] = { ADDR_WRITE, 0x80, ADDR_HOST ^ ADDR_WRITE ^ 0x80 };

	memset(buf, 0, len);
	if (c->reply_len && time_after_eq(jiffies, c->reply_from)) {
		memcpy(buf, c->reply, min(len, c->reply_len));
		c->reply_len = 0;
	} else {
		memcpy(buf, null_message, min_t(int, len, sizeof(null_message)));
	}
	return 0;
}
