/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/library.h - shared libraries that are loaded when they are first needed */
#pragma once

/* One shared library; the first of its names that can be loaded is taken */
struct library {
	const char *sonames[4]; /* NULL at the end */
	void *handle;
};

/**
 * library_symbol() - a function of a library that is loaded when it is first asked for
 *
 * Return: NULL when there is no such library, or none with that name in it
 */
void *library_symbol(struct library *library, const char *name);
