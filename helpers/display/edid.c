/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/edid.c - who a monitor is: the first EDID block */
#include "edid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../../lib/text.h"
#include "i2c.h"

#define MANUFACTURER   8
#define PRODUCT	       10
#define NUMBER	       12
#define DESCRIPTORS    54
#define NR_DESCRIPTORS 4
#define DESCRIPTOR_LEN 18
/* In a descriptor: tag, and text */
#define TAG  3
#define TEXT 5

#define TAG_SERIAL 0xff
#define TAG_NAME   0xfc

static const uint8_t header[] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };

/* Three letters of 5 bits; '?' for what is none */
static void parse_manufacturer(const uint8_t *data, char ret[static 4])
{
	static const char letters[] = "?ABCDEFGHIJKLMNOPQRSTUVWXYZ?????";
	unsigned int bits = (unsigned int)data[MANUFACTURER] << 8 | data[MANUFACTURER + 1];

	for (int i = 0; i < 3; i++)
		ret[i] = letters[bits >> (10 - 5 * i) & 0x1f];
	ret[3] = '\0';
}

/* Ended by a newline and filled with blanks, or all 13 bytes long */
static void parse_text(const uint8_t *descriptor, char ret[static EDID_TEXT])
{
	size_t len = 0;

	while (len < EDID_TEXT - 1 && descriptor[TEXT + len] && descriptor[TEXT + len] != '\n') {
		ret[len] = (char)descriptor[TEXT + len];
		len++;
	}
	while (len > 0 && ret[len - 1] == ' ')
		len--;
	ret[len] = '\0';
}

static void parse_descriptor(const uint8_t *descriptor, struct edid *ret)
{
	/* Anything else is a detailed timing */
	if (descriptor[0] || descriptor[1] || descriptor[2])
		return;
	if (descriptor[TAG] == TAG_SERIAL)
		parse_text(descriptor, ret->serial);
	else if (descriptor[TAG] == TAG_NAME)
		parse_text(descriptor, ret->name);
}

int edid_parse(const uint8_t *data, size_t len, struct edid *ret)
{
	struct edid edid = { 0 };
	uint8_t sum = 0;

	if (len < EDID_LEN || memcmp(data, header, sizeof(header)) != 0)
		return -EBADMSG;
	for (size_t i = 0; i < EDID_LEN; i++)
		sum = (uint8_t)(sum + data[i]);
	if (sum != 0)
		return -EBADMSG;
	parse_manufacturer(data, edid.manufacturer);
	edid.product = (uint16_t)(data[PRODUCT] | data[PRODUCT + 1] << 8);
	edid.number = (uint32_t)data[NUMBER] | (uint32_t)data[NUMBER + 1] << 8 |
		      (uint32_t)data[NUMBER + 2] << 16 | (uint32_t)data[NUMBER + 3] << 24;
	for (size_t i = 0; i < NR_DESCRIPTORS; i++)
		parse_descriptor(data + DESCRIPTORS + i * DESCRIPTOR_LEN, &edid);
	*ret = edid;
	return 0;
}

int edid_read(int fd, struct edid *ret)
{
	static const uint8_t offset = 0;
	uint8_t data[EDID_LEN] = { 0 };
	int r = i2c_write_at(fd, EDID_ADDR, &offset, sizeof(offset));

	if (r == 0)
		r = i2c_read_at(fd, EDID_ADDR, data, sizeof(data));
	return r < 0 ? r : edid_parse(data, sizeof(data), ret);
}

int edid_identity(const struct edid *edid, char ret[static EDID_IDENTITY])
{
	_cleanup_free_ char *serial = NULL;
	int r;

	if (edid->serial[0]) {
		r = text_encode(edid->serial, &serial);
		if (r < 0)
			return r;
	} else if (edid->number && asprintf(&serial, "%u", edid->number) < 0) {
		serial = NULL;
		return -ENOMEM;
	}
	(void)snprintf(ret, EDID_IDENTITY, "%s:%04x%s%s", edid->manufacturer, edid->product,
		       serial ? ":" : "", serial ?: "");
	return 0;
}

int edid_is(const struct edid *edid, const char *identity)
{
	char own[EDID_IDENTITY];

	return edid_identity(edid, own) == 0 && strcmp(own, identity) == 0;
}

int edid_same(const struct edid *a, const struct edid *b)
{
	char identity[EDID_IDENTITY];

	return (a->serial[0] || a->number) && edid_identity(a, identity) == 0 &&
	       edid_is(b, identity);
}

static int serial_matches(const struct edid *edid, const char *serial)
{
	_cleanup_free_ char *encoded = NULL;
	char number[16];

	if (edid->serial[0] && strcmp(edid->serial, serial) == 0)
		return 1;
	if (edid->serial[0] && text_encode(edid->serial, &encoded) == 0 &&
	    strcmp(encoded, serial) == 0)
		return 1;
	(void)snprintf(number, sizeof(number), "%u", edid->number);
	return edid->number && strcmp(number, serial) == 0;
}

int edid_matches(const struct edid *edid, const char *identity)
{
	size_t len = strlen(edid->manufacturer);
	char product[8];

	if (strncasecmp(identity, edid->manufacturer, len) != 0)
		return 0;
	identity += len;
	if (*identity != ':')
		return *identity == '\0';
	identity++;
	(void)snprintf(product, sizeof(product), "%04x", edid->product);
	if (strncasecmp(identity, product, strlen(product)) != 0)
		return 0;
	identity += strlen(product);
	if (*identity != ':')
		return *identity == '\0';
	return serial_matches(edid, identity + 1);
}
