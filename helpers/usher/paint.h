/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/paint.h - colour, on a terminal only */
#pragma once

enum paint {
	PAINT_NONE,
	PAINT_OK,
	PAINT_WARNING,
	PAINT_ERROR,
	PAINT_GUEST,
	PAINT_DIM,
};

/** paint() - what switches stdout to it; "" when stdout is no terminal, or NO_COLOR is set */
const char *paint(enum paint paint);
