/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/paint.c - colour, on a terminal only */
#include "paint.h"

#include <stdlib.h>
#include <unistd.h>

const char *paint(enum paint paint)
{
	static const char *const codes[] = {
		[PAINT_NONE] = "\033[0m",     [PAINT_OK] = "\033[32m",
		[PAINT_WARNING] = "\033[33m", [PAINT_ERROR] = "\033[31m",
		[PAINT_GUEST] = "\033[1;36m", [PAINT_DIM] = "\033[2m",
	};

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") ? codes[paint] : "";
}
