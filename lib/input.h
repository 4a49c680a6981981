/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/input.h - the names of a monitor's inputs, as policies have them and usher-display prints them */
#pragma once

/** input_value() - VCP 0x60 value of a name. Return: 0 to 255, -ENOENT when it is no name */
int input_value(const char *name);

/** input_name() - "hdmi1". Return: NULL when the value has no name, as vendors' own have none */
const char *input_name(int value);
