/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/caps.h - what a monitor's capabilities string offers */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../../lib/cleanup.h"

/* More than any monitor has; a string that names more is cut off */
#define CAPS_INPUTS_MAX 32

struct caps_inputs {
	uint8_t inputs[CAPS_INPUTS_MAX];
	size_t nr;
};

/**
 * caps_parse_inputs() - the values of VCP feature 0x60 in "(prot(monitor)...vcp(10 60(0F 11)))"
 * @text:	any bytes; monitors cut their strings off, and leave out blanks and brackets
 *
 * Return: 0, -ENODATA when the string has no such feature, or no values for it
 * ABI: VESA DDC/CI 1.1, section 4.6; VESA Access.bus 3.0, section 7 for the string
 */
int caps_parse_inputs(const char *text, size_t len, struct caps_inputs *ret) _must_check_;
