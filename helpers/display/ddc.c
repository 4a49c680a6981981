/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/ddc.c - DDC/CI: set and get one VCP feature of a monitor */
#include "ddc.h"

#include <errno.h>
#include <poll.h>

#include "i2c.h"

/* ABI: VESA DDC/CI 1.1: after a write, and between a get and its reply */
#define QUIET_MS 50
#define REPLY_MS 40

/* What the checksum begins with: the address the packet is for, as on the wire */
#define TO_MONITOR 0x6e
#define TO_HOST	   0x50

#define OP_GET	     0x01
#define OP_GET_REPLY 0x02
#define OP_SET	     0x03
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
