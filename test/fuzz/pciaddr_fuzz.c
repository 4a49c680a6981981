/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/pciaddr_fuzz.c - PCI addresses, ids and BARs */

#include "fuzz.h"

#include "lib/pciaddr.h"

static void check_addr(const char *text)
{
	struct pciaddr addr = { 1, 2, 3, 4 }, back;
	char formatted[PCIADDR_STRLEN];
	int r = pciaddr_parse(text, &addr);

	CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0) {
		CHECK(pciaddr_cmp(&addr, &(struct pciaddr){ 1, 2, 3, 4 }) == 0);
		return;
	}
	CHECK(addr.bus <= 0xff && addr.slot <= 0x1f && addr.function <= 7);
	pciaddr_format(&addr, formatted);
	CHECK(pciaddr_parse(formatted, &back) == 0);
	CHECK(pciaddr_cmp(&addr, &back) == 0);
	CHECK(pciaddr_same_slot(&addr, &back));
}

static void check_id(const char *text)
{
	struct pciid id = { 0, 0 };
	char formatted[16];
	int r = pciid_parse(text, &id);

	CHECK(r == 0 || r == -EINVAL);
	if (r < 0)
		return;
	(void)snprintf(formatted, sizeof(formatted), "%04x:%04x", id.vendor, id.device);
	CHECK(strcasecmp(formatted, text) == 0);
}

static void check_bar(const char *text)
{
	struct pcibar bar = { 9, 99 };
	int r = pcibar_parse(text, &bar);

	CHECK(r == 0 || r == -EINVAL);
	CHECK(r == 0 ? bar.bar < PCIBAR_NR && bar.size <= 43 : bar.bar == 9 && bar.size == 99);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);

	check_addr(text);
	check_id(text);
	check_bar(text);
	return 0;
}
