/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/claim_fuzz.c - a claim that is believed stays the same when it is written and read */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct claim *a, const struct claim *b)
{
	if (strcmp(a->guest, b->guest) != 0 || strcmp(a->uuid, b->uuid) != 0 ||
	    a->state != b->state || a->owner.pid != b->owner.pid ||
	    a->owner.start_time != b->owner.start_time || a->doc.nr != b->doc.nr)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_claim_ struct claim claim = { 0 }, again = { 0 };
	_cleanup_free_ char *input = malloc(size + 1), *text = NULL;
	const struct inidoc_entry *entry = NULL;
	struct claim_device device;
	struct ini_error err;
	size_t len;

	memcpy(input, data, size);
	input[size] = '\0';
	if (claim_parse(input, size, &claim, &err) < 0)
		return 0;
	while ((entry = inidoc_next(&claim.doc, entry, "vfio", "device")))
		(void)!claim_device_parse(entry->value, &device);
	while ((entry = inidoc_next(&claim.doc, entry, "vfio", "disk"))) {
		_cleanup_claim_disk_ struct claim_disk disk = { 0 };

		(void)!claim_disk_parse(entry->value, &disk);
	}
	if (inidoc_format(&claim.doc, &text, &len) < 0 || claim_parse(text, len, &again, &err) < 0)
		abort();
	same(&claim, &again);
	return 0;
}
