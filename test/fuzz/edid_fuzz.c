/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/edid_fuzz.c - what a monitor says of itself, and what a policy calls it */
/* objs: display */

#include "fuzz.h"

#include "helpers/display/edid.h"
#include "helpers/display/monitor.h"

/* A checksum that is right: else hardly any input gets past it */
static void seal(uint8_t *data)
{
	uint8_t sum = 0;

	data[0] = data[7] = 0;
	memset(data + 1, 0xff, 6);
	for (size_t i = 0; i < EDID_LEN - 1; i++)
		sum = (uint8_t)(sum + data[i]);
	data[EDID_LEN - 1] = (uint8_t)-sum;
}

static void check(const struct edid *edid)
{
	char identity[EDID_IDENTITY];

	CHECK(strlen(edid->manufacturer) == 3);
	CHECK(memchr(edid->serial, '\0', sizeof(edid->serial)));
	CHECK(memchr(edid->name, '\0', sizeof(edid->name)));
	CHECK(edid_identity(edid, identity) == 0);
	/* It can be pasted, and means this monitor */
	CHECK(monitor_valid(identity));
	CHECK(!strpbrk(identity, " \t\n;#=[]"));
	CHECK(edid_matches(edid, identity));
	/* Every later part may be left out */
	identity[strlen("DEL:a0c4")] = '\0';
	CHECK(edid_matches(edid, identity));
	identity[strlen("DEL")] = '\0';
	CHECK(edid_matches(edid, identity));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t block[EDID_LEN];
	struct edid edid;
	char *text;

	/* As it comes: a heap copy of exactly this length */
	text = fuzz_text(data, size);
	if (edid_parse((const uint8_t *)text, size, &edid) == 0)
		check(&edid);
	CHECK(size >= EDID_LEN || edid_parse((const uint8_t *)text, size, &edid) == -EBADMSG);
	if (size >= EDID_LEN) {
		memcpy(block, data, EDID_LEN);
		seal(block);
		CHECK(edid_parse(block, EDID_LEN, &edid) == 0);
		check(&edid);
		(void)edid_matches(&edid, text);
	}
	(void)monitor_valid(text);
	free(text);
	return 0;
}
