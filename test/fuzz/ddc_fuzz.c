/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/ddc_fuzz.c - replies of monitors */
/* objs: display */

#include "fuzz.h"

#include "helpers/display/ddc.h"

/* The first byte is the feature that was asked for, the rest the reply */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ddc_value value = { .current = 0xdead, .max = 0xbeef };
	uint8_t sealed[DDC_REPLY_LEN], sum = 0x50;
	uint8_t *reply;
	int r;

	if (size < 1)
		return 0;
	reply = (uint8_t *)fuzz_text(data + 1, size - 1);
	r = ddc_decode_get(reply, size - 1, data[0], &value);
	CHECK(r == 0 || r == -EBADMSG || r == -ENOMSG || r == -EOPNOTSUPP);
	CHECK(r == 0 || (value.current == 0xdead && value.max == 0xbeef));
	free(reply);
	if (size - 1 < DDC_REPLY_LEN)
		return 0;
	memcpy(sealed, data + 1, sizeof(sealed));
	for (size_t i = 0; i < sizeof(sealed) - 1; i++)
		sum ^= sealed[i];
	sealed[sizeof(sealed) - 1] = sum;
	r = ddc_decode_get(sealed, sizeof(sealed), data[0], &value);
	/* Only an answer to the question is one */
	CHECK(r != 0 || (sealed[0] == 0x6e && sealed[1] == 0x88 && sealed[2] == 0x02 &&
			 sealed[3] == 0 && sealed[4] == data[0]));
	CHECK(r != 0 || value.current == (sealed[8] << 8 | sealed[9]));
	return 0;
}
