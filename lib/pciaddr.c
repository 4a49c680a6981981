/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/pciaddr.c - PCI addresses and ids as text */

#include <errno.h>
#include <string.h>

#include "pciaddr.h"
#include "units.h"

#define HEX_DIGITS "0123456789abcdefABCDEF"

/* One hex field up to @end, which is skipped too. Return: 0, -EINVAL, -ERANGE */
static int parse_field(const char **p, char end, unsigned int max, unsigned int *ret)
{
	char digits[16];
	size_t len = strspn(*p, HEX_DIGITS);

	if (len == 0 || (*p)[len] != end)
		return -EINVAL;
	if (len >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, *p, len);
	digits[len] = '\0';
	*p += len + (end != '\0');
	return parse_uint(digits, 16, max, ret);
}

int pciaddr_parse(const char *text, struct pciaddr *ret)
{
	struct pciaddr addr = { 0 };
	const char *colon = strchr(text, ':');
	int r = 0;

	if (colon && strchr(colon + 1, ':'))
		r = parse_field(&text, ':', 0xffffffff, &addr.domain);
	if (r == 0)
		r = parse_field(&text, ':', 0xff, &addr.bus);
	if (r == 0)
		r = parse_field(&text, '.', 0x1f, &addr.slot);
	if (r == 0)
		r = parse_field(&text, '\0', 7, &addr.function);
	if (r == 0)
		*ret = addr;
	return r;
}

void pciaddr_format(const struct pciaddr *addr, char buf[static PCIADDR_STRLEN])
{
	(void)snprintf(buf, PCIADDR_STRLEN, "%04x:%02x:%02x.%x", addr->domain, addr->bus & 0xff,
		       addr->slot & 0x1f, addr->function & 7);
}

int pciaddr_cmp(const struct pciaddr *a, const struct pciaddr *b)
{
	const unsigned int left[] = { a->domain, a->bus, a->slot, a->function };
	const unsigned int right[] = { b->domain, b->bus, b->slot, b->function };

	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	}
	return 0;
}

bool pciaddr_same_slot(const struct pciaddr *a, const struct pciaddr *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot;
}

int pciid_parse(const char *text, struct pciid *ret)
{
	struct pciid id;

	/* Always four digits: "10de:1b8" is a slip of the hand, not device 0x01b8 */
	if (strlen(text) != 9 || text[4] != ':')
		return -EINVAL;
	if (parse_field(&text, ':', 0xffff, &id.vendor) < 0 ||
	    parse_field(&text, '\0', 0xffff, &id.device) < 0)
		return -EINVAL;
	*ret = id;
	return 0;
}

int pcibar_parse(const char *text, struct pcibar *ret)
{
	unsigned long long kib;
	unsigned int size = 0;

	if (*text < '0' || *text >= '0' + PCIBAR_NR || text[1] != ':' ||
	    parse_size_kib(text + 2, &kib) < 0)
		return -EINVAL;
	while (size < 43 && kib > 1024ULL << size)
		size++;
	if (kib != 1024ULL << size)
		return -EINVAL;
	*ret = (struct pcibar){ .bar = (unsigned int)(*text - '0'), .size = size };
	return 0;
}
