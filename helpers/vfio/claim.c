/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/claim.c - the claim's [vfio] section */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "vfio.h"

#define SERIAL_KEY     "serial="
#define DEFAULT_DRIVER "vfio-pci"

void vfio_claim_free(struct vfio_claim *claim)
{
	for (size_t i = 0; i < claim->nr; i++) {
		free(claim->devices[i].serial);
		strlist_free(&claim->devices[i].nodes);
		node_list_free(&claim->devices[i].below);
	}
	for (size_t i = 0; i < claim->nr_disks; i++) {
		claim_disk_free(&claim->disks[i].of);
		strlist_free(&claim->disks[i].nodes);
	}
	free(claim->devices);
	free(claim->disks);
	*claim = (struct vfio_claim){ 0 };
}

bool driver_name_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_-");

	return len > 0 && len < DRIVER_NAME_MAX && name[len] == '\0';
}

/* The words behind the four that every device has. Return: 0, -EBADMSG, -ENOMEM */
static int parse_extras(const char *value, struct vfio_device *device)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(value, " ", &words);

	for (size_t i = 4; r == 0 && i < words.nr; i++) {
		const char *word = words.names[i];

		if (strncmp(word, SERIAL_KEY, strlen(SERIAL_KEY)) != 0 || device->serial)
			return -EBADMSG;
		r = text_decode(word + strlen(SERIAL_KEY), &device->serial);
	}
	return r;
}

static int parse_device(const char *value, struct vfio_device *ret)
{
	struct vfio_device device = { .group = -1 };
	struct claim_device words;
	int r = claim_device_parse(value, &words);

	if (r == 0)
		r = parse_extras(value, &device);
	if (r < 0) {
		free(device.serial);
		return r;
	}
	device.addr = words.addr;
	device.id = words.id;
	memcpy(device.origin, words.origin, sizeof(device.origin));
	pciaddr_format(&device.addr, device.name);
	*ret = device;
	return 0;
}

/* Is the device among those that usher-seat frees of the host's screen */
static bool is_seat(const struct helper_ctx *ctx, const struct vfio_device *device)
{
	const char *release = inidoc_get(&ctx->claim.doc, "seat", "release");
	const struct inidoc_entry *entry = NULL;

	if (!release || strcmp(release, "no") == 0)
		return false;
	while ((entry = inidoc_next(&ctx->claim.doc, entry, "seat", "device")))
		if (strcmp(entry->value, device->name) == 0)
			return true;
	return false;
}

static bool has_device(const struct vfio_claim *claim, const struct pciaddr *addr)
{
	for (size_t i = 0; i < claim->nr; i++)
		if (pciaddr_cmp(&claim->devices[i].addr, addr) == 0)
			return true;
	return false;
}

static int add_device(const struct helper_ctx *ctx, struct vfio_claim *claim, const char *value)
{
	struct vfio_device *grown;
	struct vfio_device device;
	int r;

	grown = reallocarray(claim->devices, claim->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	claim->devices = grown;
	r = parse_device(value, &device);
	if (r == 0 && has_device(claim, &device.addr)) {
		free(device.serial);
		r = -EBADMSG;
	}
	if (r < 0)
		return r;
	device.seat = is_seat(ctx, &device);
	grown[claim->nr++] = device;
	return 0;
}

static int add_disk(struct vfio_claim *claim, const char *value)
{
	struct vfio_disk *grown = reallocarray(claim->disks, claim->nr_disks + 1, sizeof(*grown));
	int r;

	if (!grown)
		return -ENOMEM;
	claim->disks = grown;
	grown[claim->nr_disks] = (struct vfio_disk){ 0 };
	r = claim_disk_parse(value, &grown[claim->nr_disks].of);
	claim->nr_disks += r == 0;
	return r;
}

static int load_disks(const struct helper_ctx *ctx, struct vfio_claim *claim)
{
	const struct inidoc_entry *entry = NULL;
	int r = 0;

	while (r == 0 && (entry = inidoc_next(&ctx->claim.doc, entry, "vfio", "disk"))) {
		r = add_disk(claim, entry->value);
		if (r == -EBADMSG)
			helper_say(
				ctx,
				"the claim's line 'disk = %s' is malformed: nothing was touched; "
				"start the guest anew",
				entry->value);
	}
	return r;
}

/* Index of a word among those that the claim may have there, the first by default */
static int load_word(const struct helper_ctx *ctx, const char *key, const char *const *words,
		     size_t nr)
{
	const char *value = inidoc_get(&ctx->claim.doc, "vfio", key) ?: words[0];

	for (size_t i = 0; i < nr; i++)
		if (strcmp(value, words[i]) == 0)
			return (int)i;
	helper_say(ctx,
		   "the claim's %s = %s in [vfio] is no word of that key: nothing was touched; "
		   "start the guest anew",
		   key, value);
	return -EBADMSG;
}

static int load_words(const struct helper_ctx *ctx, struct vfio_claim *claim)
{
	static const char *const in_use[] = { [IN_USE_REFUSE] = "refuse",
					      [IN_USE_STOP_SEAT] = "stop-seat",
					      [IN_USE_FORCE] = "force" };
	static const char *const give_back[] = {
		[GIVE_BACK_HOST] = "host", [GIVE_BACK_VFIO] = "vfio", [GIVE_BACK_RENDER] = "render"
	};
	static const char *const reset[] = { "", "flr", "bus", "pm", "device_specific", "none" };
	int r = load_word(ctx, "in_use", in_use, ARRAY_SIZE(in_use));

	if (r < 0)
		return r;
	claim->in_use = (enum in_use)r;
	r = load_word(ctx, "give_back", give_back, ARRAY_SIZE(give_back));
	if (r < 0)
		return r;
	claim->give_back = (enum give_back)r;
	r = load_word(ctx, "reset", reset, ARRAY_SIZE(reset));
	return r < 0 ? r : path_format(claim->reset, sizeof(claim->reset), "%s", reset[r]);
}

/* Return: 0, -EBADMSG a word is malformed or a BAR named twice, -ENOMEM */
static int parse_bars(const char *value, struct vfio_claim *claim)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(value, " \t,", &words);

	if (r == 0 && words.nr > PCIBAR_NR)
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && i < words.nr; i++) {
		if (pcibar_parse(words.names[i], &claim->bars[i]) < 0)
			return -EBADMSG;
		for (size_t j = 0; j < i; j++)
			if (claim->bars[j].bar == claim->bars[i].bar)
				return -EBADMSG;
		claim->nr_bars = i + 1;
	}
	return r;
}

static int load_bars(const struct helper_ctx *ctx, struct vfio_claim *claim)
{
	const char *value = inidoc_get(&ctx->claim.doc, "vfio", "bars") ?: "";
	int r = parse_bars(value, claim);

	if (r == -EBADMSG)
		helper_say(ctx,
			   "the claim's bars = %s is malformed or names a BAR twice: nothing was "
			   "touched; correct bars in [vfio] of the policy",
			   value);
	return r;
}

static int load_driver(const struct helper_ctx *ctx, struct vfio_claim *claim)
{
	const char *driver = inidoc_get(&ctx->claim.doc, "vfio", "driver") ?: DEFAULT_DRIVER;

	if (driver_name_valid(driver))
		return path_format(claim->driver, sizeof(claim->driver), "%s", driver);
	helper_say(ctx,
		   "the claim's driver '%s' is no driver name: nothing was touched; start the "
		   "guest anew",
		   driver);
	return -EBADMSG;
}

static int load(const struct helper_ctx *ctx, struct vfio_claim *claim)
{
	const struct inidoc_entry *entry = NULL;
	int r = load_driver(ctx, claim);

	if (r == 0)
		r = load_words(ctx, claim);
	if (r == 0)
		r = load_bars(ctx, claim);
	if (r == 0)
		r = load_disks(ctx, claim);
	while (r == 0 && (entry = inidoc_next(&ctx->claim.doc, entry, "vfio", "device"))) {
		r = add_device(ctx, claim, entry->value);
		if (r == -EBADMSG)
			helper_say(ctx,
				   "the claim's line 'device = %s' is malformed or names a "
				   "device twice: nothing was touched; start the guest anew",
				   entry->value);
	}
	return r;
}

enum helper_exit vfio_claim_load(const struct helper_ctx *ctx, struct vfio_claim *ret)
{
	_cleanup_vfio_claim_ struct vfio_claim claim = { 0 };
	int r = load(ctx, &claim);

	if (r == -ENOMEM)
		helper_say(ctx,
			   "there is no memory left on the host to read the claim: nothing was "
			   "touched; see free -m");
	if (r < 0)
		return r == -ENOMEM ? HELPER_FAILED : HELPER_USAGE;
	*ret = claim;
	claim = (struct vfio_claim){ 0 };
	return HELPER_DONE;
}
