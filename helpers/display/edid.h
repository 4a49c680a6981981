/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/edid.h - who a monitor is: the first EDID block */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../../lib/cleanup.h"

#define EDID_ADDR 0x50
#define EDID_LEN  128
/* Text of a descriptor, and a NUL */
#define EDID_TEXT 14
/* "DEL:a0c4:" and a serial of which each byte may be escaped, and a NUL */
#define EDID_IDENTITY 56

struct edid {
	char manufacturer[4]; /* "DEL" */
	uint16_t product;
	uint32_t number;	/* 0 when it has none */
	char serial[EDID_TEXT]; /* descriptor 0xff, "" when there is none */
	char name[EDID_TEXT];	/* descriptor 0xfc, "" when there is none */
};

/**
 * edid_parse() - the base block, checked
 *
 * Return: 0, -EBADMSG when it is shorter than 128 bytes, or header or checksum are wrong
 * ABI: VESA E-EDID 1.4, section 3
 */
int edid_parse(const uint8_t *data, size_t len, struct edid *ret) _must_check_;

/**
 * edid_read() - read and parse it
 * @fd:		from i2c_open()
 *
 * Return: 0, else as edid_parse() or i2c_read_at()
 */
int edid_read(int fd, struct edid *ret) _must_check_;

/**
 * edid_identity() - what a policy calls this monitor: "DEL:a0c4:JK9X"
 *
 * The serial is the descriptor's text, else the number, else left out with its colon. It is
 * text_encode()d, so it can be pasted into an INI file.
 *
 * Return: 0, -ENOMEM
 */
int edid_identity(const struct edid *edid, char ret[static EDID_IDENTITY]) _must_check_;

/** edid_is() - is it the monitor that edid_identity() has named, all of it. Return: 1 or 0 */
int edid_is(const struct edid *edid, const char *identity);

/**
 * edid_same() - are two EDIDs one monitor's, read over two cables; without a serial none can tell
 *
 * Return: 1 or 0
 */
int edid_same(const struct edid *a, const struct edid *b);

/**
 * edid_matches() - is it the monitor that MANUFACTURER[:PRODUCT[:SERIAL]] names
 *
 * Upper and lower case are the same in the first two. A serial is compared with the descriptor's
 * text, as it is and text_encode()d, and with the number.
 *
 * Return: 1 or 0
 */
int edid_matches(const struct edid *edid, const char *identity);
