// SPDX-License-Identifier: GPL-2.0-or-later
/* test/lab/monitor/edid.c - the 128 bytes a monitor introduces itself with */
#include <linux/string.h>

#include "monitor.h"

/* VESA E-EDID 1.3: 640x480 at 60 Hz, the one timing every display has */
static const u8 timing[18] = {
	0xd6, 0x09, 0x80, 0xa0, 0x20, 0xe0, 0x2d, 0x10, 0x10,
	0x60, 0xa2, 0x00, 0x40, 0xf0, 0x10, 0x00, 0x00, 0x18,
};

static const u8 range_limits[18] = {
	0x00, 0x00, 0x00, 0xfd, 0x00, 0x32, 0x4b, 0x1e, 0x51,
	0x11, 0x00, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
};

/* A display descriptor with text: ended by a line feed, filled with blanks */
static void text_descriptor(u8 *to, u8 tag, const char *text)
{
	size_t len = strnlen(text, EDID_TEXT);

	memset(to, 0, 5);
	to[3] = tag;
	memset(to + 5, ' ', EDID_TEXT);
	memcpy(to + 5, text, len);
	if (len < EDID_TEXT)
		to[5 + len] = '\n';
}

void edid_make(struct monitor *m)
{
	static const u8 header[8] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	u8 *e = m->edid, sum = 0;
	u16 mfg = ((m->mfg[0] & 31) << 10) | ((m->mfg[1] & 31) << 5) | (m->mfg[2] & 31);
	int i;

	memset(e, 0, EDID_SIZE);
	memcpy(e, header, sizeof(header));
	e[8] = mfg >> 8;
	e[9] = mfg & 0xff;
	e[10] = m->product & 0xff;
	e[11] = m->product >> 8;
	for (i = 0; i < 4; i++)
		e[12 + i] = m->serial_nr >> (8 * i);
	e[16] = 1;		/* week 1 */
	e[17] = 2026 - 1990;
	e[18] = 1;		/* EDID 1.3 */
	e[19] = 3;
	e[20] = 0x80;		/* digital */
	e[21] = 52;		/* cm */
	e[22] = 32;
	e[23] = 120;		/* gamma 2.2 */
	e[24] = 0x0a;
	for (i = 38; i < 54; i++)
		e[i] = 1;	/* no standard timing */
	memcpy(e + 54, timing, sizeof(timing));
	text_descriptor(e + 72, 0xfc, m->model);
	memcpy(e + 90, range_limits, sizeof(range_limits));
	text_descriptor(e + 108, m->serial[0] ? 0xff : 0xfe, m->serial);
	for (i = 0; i < EDID_SIZE - 1; i++)
		sum += e[i];
	e[EDID_SIZE - 1] = -sum;
}
