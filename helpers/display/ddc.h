/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/ddc.h - DDC/CI: set and get one VCP feature of a monitor */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../../lib/cleanup.h"

#define DDC_ADDR	 0x37 /* 7 bits; 0x6e on the wire */
#define DDC_SOURCE	 0x51 /* the host's, by the standard; some vendors want another */
#define DDC_INPUT_SOURCE 0x60

#define DDC_SET_LEN   7
#define DDC_GET_LEN   5
#define DDC_REPLY_LEN 11

#define DDC_ASK_CAPS_LEN   6
#define DDC_CAPS_PART	   32 /* bytes of the string in one reply, at most */
#define DDC_CAPS_REPLY_LEN (6 + DDC_CAPS_PART)
/* The longest string that is read: some monitors have 700 bytes, and broken ones never end */
#define DDC_CAPS_MAX 2048

/* Feature values as the reply has them, high and low byte joined */
struct ddc_value {
	uint16_t current;
	uint16_t max;
};

/** ddc_encode_set() - "set VCP feature": source 84 03 FEATURE HI LO CHK */
void ddc_encode_set(uint8_t source, uint8_t feature, uint16_t value,
		    uint8_t packet[static DDC_SET_LEN]);

/** ddc_encode_get() - "get VCP feature": source 82 01 FEATURE CHK */
void ddc_encode_get(uint8_t source, uint8_t feature, uint8_t packet[static DDC_GET_LEN]);

/**
 * ddc_decode_get() - the reply: 6e 88 02 RESULT FEATURE TYPE MAX-HI MAX-LO HI LO CHK
 *
 * Return: 0, -ENOMSG for the null message (6e 80 be: not ready, or the feature is unknown),
 * -EOPNOTSUPP when the monitor says it lacks the feature, -EBADMSG for a wrong checksum, length
 * or opcode, or another feature's reply
 * ABI: VESA DDC/CI 1.1, section 4.3
 */
int ddc_decode_get(const uint8_t *reply, size_t len, uint8_t feature, struct ddc_value *ret)
	_must_check_;

/** ddc_encode_ask_caps() - "capabilities request": source 83 f3 OFFSET-HI OFFSET-LO CHK */
void ddc_encode_ask_caps(uint8_t source, uint16_t offset, uint8_t packet[static DDC_ASK_CAPS_LEN]);

/**
 * ddc_decode_caps() - the reply: 6e LENGTH|80 e3 OFFSET-HI OFFSET-LO text CHK
 * @ret:	points into @reply
 *
 * Return: how many bytes of text, 0 at the string's end; -ENOMSG for the null message, -EBADMSG for
 * a wrong checksum, length or opcode, or another offset's reply
 * ABI: VESA DDC/CI 1.1, section 4.6
 */
int ddc_decode_caps(const uint8_t *reply, size_t len, uint16_t offset, const char **ret)
	_must_check_;

/**
 * ddc_set() - write one feature, then leave the monitor its 50 ms
 *
 * Nothing is read back: monitors do not answer on an input they have just left.
 *
 * Return: 0 when the monitor has acknowledged it, else as i2c_write_at()
 */
int ddc_set(int fd, uint8_t source, uint8_t feature, uint16_t value) _must_check_;

/**
 * ddc_get() - read one feature
 *
 * Takes 40 ms and the transfers.
 *
 * Return: 0, else as ddc_decode_get() or i2c_read_at()
 */
int ddc_get(int fd, uint8_t source, uint8_t feature, struct ddc_value *ret) _must_check_;

/**
 * ddc_get_caps() - read the capabilities string, part by part
 *
 * Takes 100 ms and the transfers for each 32 bytes. A part that does not come is asked for again.
 *
 * Return: its length, DDC_CAPS_MAX when it was cut off, else as ddc_decode_caps() or i2c_read_at()
 */
int ddc_get_caps(int fd, uint8_t source, char text[static DDC_CAPS_MAX]) _must_check_;
