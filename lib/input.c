/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/input.c - the names of a monitor's inputs, as policies have them and usher-display prints them */
#include "input.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cleanup.h"

/* ABI: VESA MCCS 2.2a, VCP code 0x60. Seen on: USB-C as 0x1b, DELL U-series and LG, 2018 to 2024 */
static const struct {
	const char *name;
	int value;
} inputs[] = {
	{ "vga1", 0x01 }, { "vga2", 0x02 },  { "dvi1", 0x03 },	{ "dvi2", 0x04 },  { "dp1", 0x0f },
	{ "dp2", 0x10 },  { "hdmi1", 0x11 }, { "hdmi2", 0x12 }, { "usb-c", 0x1b },
};

int input_value(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++)
		if (strcmp(inputs[i].name, name) == 0)
			return inputs[i].value;
	return -ENOENT;
}

const char *input_name(int value)
{
	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++)
		if (inputs[i].value == value)
			return inputs[i].name;
	return NULL;
}
