/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/missing.h - what a listing could not find out, and why */
#pragma once

#include <stdbool.h>

#include "../../lib/cleanup.h"

/* The first of them is told, the others are counted. No memory is needed for it */
struct missing {
	unsigned int nr;
	int error;
	char what[256];
};

/**
 * missing_add() - what was to be shown is not known
 * @error:	why, -errno. What is not there (-ENOENT, -ENODEV, -ENXIO) is known not to be
 * @fmt:	"the driver of 0000:01:00.0"
 *
 * Return: true when it is missing
 */
_printf_(3, 4) bool missing_add(struct missing *missing, int error, const char *fmt, ...);

/** missing_join() - those of another look are missing as well */
void missing_join(struct missing *missing, const struct missing *more);

/** missing_say() - one line on stderr. Return: true when something is missing: the command fails */
bool missing_say(const struct missing *missing);
