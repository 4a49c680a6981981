/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/domain_guard.h - what of XML is not let through to libxml2 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../lib/cleanup.h"

/* Bounds, because libxml2 2.9's time is the square of each of them. A cpuset of every second CPU has
 * 48 KiB; libvirt's largest tag has some 20 attributes */
#define GUARD_TAG_MAX	 ((size_t)128 << 10)
#define GUARD_ATTRS_MAX	 512
#define GUARD_MARKUP_MAX ((size_t)1 << 20) /* comment, CDATA, processing instruction */

struct guard {
	int state;	   /* begin with 0 */
	unsigned int line; /* begin with 1; then the line of the last byte */
	size_t len;	   /* of the tag, comment, ... that is open */
	size_t nr_attrs;   /* of the tag that is open */
	bool end_tag;	   /* the tag that is open is </a> */
	bool slash;	   /* the last byte of a tag was '/' */
	size_t depth;	   /* elements that are open */
	bool done;	   /* the root element has ended */
};

/**
 * guard_bytes() - look at the next bytes of the document
 * @ret_used:	bytes up to the end of the root element, else all: the rest is none of the document
 *
 * Return: NULL, or what is refused, for "line N: ...": a document type definition (with it go
 * entities, external ones too), a NUL byte (with it goes UTF-16), a bound exceeded
 */
const char *guard_bytes(struct guard *guard, const char *bytes, size_t len, size_t *ret_used)
	_must_check_;
