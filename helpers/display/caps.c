/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/caps.c - what a monitor's capabilities string offers */
#include "caps.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ddc.h"

struct cursor {
	const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && isspace((unsigned char)*cursor->at))
		cursor->at++;
}

static bool skip_char(struct cursor *cursor, char c)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* To behind the ')' that belongs to a '(' that was just read */
static void skip_brackets(struct cursor *cursor)
{
	int depth = 1;

	for (; cursor->at < cursor->end && depth > 0; cursor->at++)
		depth += (*cursor->at == '(') - (*cursor->at == ')');
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* Two digits, with or without a blank behind. Return: 0 to 255, -1 when they are not there */
static int next_byte(struct cursor *cursor)
{
	int high, low;

	skip_blanks(cursor);
	if (cursor->end - cursor->at < 2)
		return -1;
	high = digit(cursor->at[0]);
	low = digit(cursor->at[1]);
	if (high < 0 || low < 0)
		return -1;
	cursor->at += 2;
	return high << 4 | low;
}

/* "vcp" and its bracket; also "VCP", but not the end of another word */
static bool find_features(struct cursor *cursor)
{
	static const char word[] = "vcp";
	const size_t len = sizeof(word) - 1;

	for (char before = '('; cursor->end - cursor->at > (ptrdiff_t)len; before = *cursor->at++) {
		struct cursor behind = { cursor->at + len, cursor->end };

		if (isalnum((unsigned char)before) || before == '_' ||
		    strncasecmp(cursor->at, word, len) != 0 || !skip_char(&behind, '('))
			continue;
		*cursor = behind;
		return true;
	}
	return false;
}

static void read_values(struct cursor *cursor, struct caps_inputs *inputs)
{
	int value;

	while (inputs->nr < CAPS_INPUTS_MAX && (value = next_byte(cursor)) >= 0)
		inputs->inputs[inputs->nr++] = (uint8_t)value;
}

int caps_parse_inputs(const char *text, size_t len, struct caps_inputs *ret)
{
	struct cursor cursor = { text, text + len };
	struct caps_inputs inputs = { 0 };
	int feature;

	if (!find_features(&cursor))
		return -ENODATA;
	while ((feature = next_byte(&cursor)) >= 0) {
		bool has_values = skip_char(&cursor, '(');

		if (feature == DDC_INPUT_SOURCE && has_values)
			read_values(&cursor, &inputs);
		if (feature == DDC_INPUT_SOURCE)
			break;
		if (has_values)
			skip_brackets(&cursor);
	}
	if (inputs.nr == 0)
		return -ENODATA;
	*ret = inputs;
	return 0;
}
