/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/caps_fuzz.c - capabilities strings of monitors, and the replies they come in */
/* objs: display */

#include "fuzz.h"

#include "helpers/display/caps.h"
#include "helpers/display/ddc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct caps_inputs inputs = { .nr = 77 };
	const char *part = NULL;
	int r = caps_parse_inputs(text, size, &inputs);

	CHECK(r == 0 || r == -ENODATA);
	CHECK(r == 0 ? inputs.nr > 0 && inputs.nr <= CAPS_INPUTS_MAX : inputs.nr == 77);
	r = ddc_decode_caps((const uint8_t *)text, size, 0, &part);
	CHECK(r >= 0 || r == -EBADMSG || r == -ENOMSG);
	/* All of the part lies in the reply */
	CHECK(r < 0 || (part >= text && part + r < text + size));
	free(text);
	return 0;
}
