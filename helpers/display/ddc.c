/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/ddc.c - DDC/CI: set and get one VCP feature of a monitor */
#include "ddc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "i2c.h"

/* ABI: VESA DDC/CI 1.1: after a write, and between a get and its reply */
#define QUIET_MS 50
#define REPLY_MS 40
/* Before a part of the capabilities, and how often a part is asked for */
#define CAPS_MS	   50
#define CAPS_TRIES 3

/* What the checksum begins with: the address the packet is for, as on the wire */
#define TO_MONITOR 0x6e
#define TO_HOST	   0x50

#define OP_GET	      0x01
#define OP_GET_REPLY  0x02
#define OP_SET	      0x03
#define OP_CAPS	      0xf3
#define OP_CAPS_REPLY 0xe3
/* In the length byte, always set */
#define LENGTH 0x80

#define RESULT_UNSUPPORTED 0x01

static uint8_t checksum(uint8_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum ^= data[i];
	return sum;
}

void ddc_encode_set(uint8_t source, uint8_t feature, uint16_t value,
		    uint8_t packet[static DDC_SET_LEN])
{
	packet[0] = source;
	packet[1] = LENGTH | 4;
	packet[2] = OP_SET;
	packet[3] = feature;
	packet[4] = (uint8_t)(value >> 8);
	packet[5] = (uint8_t)value;
	packet[6] = checksum(TO_MONITOR, packet, DDC_SET_LEN - 1);
}

void ddc_encode_get(uint8_t source, uint8_t feature, uint8_t packet[static DDC_GET_LEN])
{
	packet[0] = source;
	packet[1] = LENGTH | 2;
	packet[2] = OP_GET;
	packet[3] = feature;
	packet[4] = checksum(TO_MONITOR, packet, DDC_GET_LEN - 1);
}

void ddc_encode_ask_caps(uint8_t source, uint16_t offset, uint8_t packet[static DDC_ASK_CAPS_LEN])
{
	packet[0] = source;
	packet[1] = LENGTH | 3;
	packet[2] = OP_CAPS;
	packet[3] = (uint8_t)(offset >> 8);
	packet[4] = (uint8_t)offset;
	packet[5] = checksum(TO_MONITOR, packet, DDC_ASK_CAPS_LEN - 1);
}

int ddc_decode_caps(const uint8_t *reply, size_t len, uint16_t offset, const char **ret)
{
	size_t body;

	if (len < 3 || reply[0] != TO_MONITOR || !(reply[1] & LENGTH))
		return -EBADMSG;
	body = reply[1] & ~LENGTH & 0xff;
	if (body > len - 3 || checksum(TO_HOST, reply, body + 3) != 0)
		return -EBADMSG;
	if (body == 0)
		return -ENOMSG;
	if (body < 3 || reply[2] != OP_CAPS_REPLY || (reply[3] << 8 | reply[4]) != offset)
		return -EBADMSG;
	*ret = (const char *)reply + 5;
	return (int)body - 3;
}

int ddc_decode_get(const uint8_t *reply, size_t len, uint8_t feature, struct ddc_value *ret)
{
	if (len < 3 || reply[0] != TO_MONITOR)
		return -EBADMSG;
	if (reply[1] == LENGTH)
		return checksum(TO_HOST, reply, 3) == 0 ? -ENOMSG : -EBADMSG;
	if (len < DDC_REPLY_LEN || reply[1] != (LENGTH | 8) ||
	    checksum(TO_HOST, reply, DDC_REPLY_LEN) != 0)
		return -EBADMSG;
	if (reply[2] != OP_GET_REPLY || reply[4] != feature)
		return -EBADMSG;
	if (reply[3] == RESULT_UNSUPPORTED)
		return -EOPNOTSUPP;
	if (reply[3] != 0)
		return -EBADMSG;
	ret->max = (uint16_t)(reply[6] << 8 | reply[7]);
	ret->current = (uint16_t)(reply[8] << 8 | reply[9]);
	return 0;
}

/* The standard's pauses: there is no event to wait for */
static void quiet(int ms)
{
	(void)poll(NULL, 0, ms);
}

int ddc_set(int fd, uint8_t source, uint8_t feature, uint16_t value)
{
	uint8_t packet[DDC_SET_LEN];
	int r;

	ddc_encode_set(source, feature, value, packet);
	r = i2c_write_at(fd, DDC_ADDR, packet, sizeof(packet));
	quiet(QUIET_MS);
	return r;
}

int ddc_get(int fd, uint8_t source, uint8_t feature, struct ddc_value *ret)
{
	uint8_t packet[DDC_GET_LEN], reply[DDC_REPLY_LEN];
	int r;

	ddc_encode_get(source, feature, packet);
	r = i2c_write_at(fd, DDC_ADDR, packet, sizeof(packet));
	if (r < 0)
		return r;
	quiet(REPLY_MS);
	r = i2c_read_at(fd, DDC_ADDR, reply, sizeof(reply));
	return r < 0 ? r : ddc_decode_get(reply, sizeof(reply), feature, ret);
}

static int get_part(int fd, uint8_t source, uint16_t offset,
		    uint8_t reply[static DDC_CAPS_REPLY_LEN], const char **ret)
{
	uint8_t packet[DDC_ASK_CAPS_LEN];
	int r;

	ddc_encode_ask_caps(source, offset, packet);
	r = i2c_write_at(fd, DDC_ADDR, packet, sizeof(packet));
	quiet(CAPS_MS);
	if (r == 0)
		r = i2c_read_at(fd, DDC_ADDR, reply, DDC_CAPS_REPLY_LEN);
	return r < 0 ? r : ddc_decode_caps(reply, DDC_CAPS_REPLY_LEN, offset, ret);
}

int ddc_get_caps(int fd, uint8_t source, char text[static DDC_CAPS_MAX])
{
	uint8_t reply[DDC_CAPS_REPLY_LEN] = { 0 };
	const char *part = NULL;
	size_t len = 0;
	int r = 1;

	while (r > 0 && len < DDC_CAPS_MAX) {
		r = -EBADMSG;
		for (int i = 0; r < 0 && i < CAPS_TRIES; i++) {
			r = get_part(fd, source, (uint16_t)len, reply, &part);
			quiet(QUIET_MS);
		}
		if (r > 0 && (size_t)r > DDC_CAPS_MAX - len)
			r = (int)(DDC_CAPS_MAX - len);
		if (r > 0)
			memcpy(text + len, part, (size_t)r);
		len += r > 0 ? (size_t)r : 0;
	}
	return r < 0 ? r : (int)len;
}
