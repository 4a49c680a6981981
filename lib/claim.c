/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/claim.c - what one guest holds of the host: run/usher/UUID/claim.ini */
#include "claim.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "state.h"
#include "text.h"
#include "units.h"

static const char *const state_names[] = {
	[CLAIM_PREPARING] = "preparing", [CLAIM_HANDED] = "handed",
	[CLAIM_RUNNING] = "running",	 [CLAIM_ENDING] = "ending",
	[CLAIM_RETURNING] = "returning",
};

void claim_free(struct claim *claim)
{
	free(claim->guest);
	claim->guest = NULL;
	inidoc_free(&claim->doc);
}

int uuid_valid(const char *uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < UUID_STRLEN - 1; i++) {
		if (form[i] == '-' ? uuid[i] != '-'
				   : !strchr("0123456789abcdef", uuid[i]) || !uuid[i])
			return 0;
	}
	return uuid[UUID_STRLEN - 1] == '\0';
}

const char *claim_state_name(enum claim_state state)
{
	return state_names[state];
}

static int state_parse(const char *name, enum claim_state *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
		if (name && strcmp(name, state_names[i]) == 0) {
			*ret = (enum claim_state)i;
			return 0;
		}
	}
	return -EBADMSG;
}

/* What of the struct also stands in the document */
static int header_sync(struct claim *claim)
{
	char owner[64];
	int r;

	(void)snprintf(owner, sizeof(owner), "%d %llu", (int)claim->owner.pid,
		       claim->owner.start_time);
	r = inidoc_set(&claim->doc, "claim", "state", claim_state_name(claim->state));
	if (r == 0)
		r = inidoc_set(&claim->doc, "claim", "owner", owner);
	if (r == 0 && claim->state == CLAIM_RUNNING)
		r = inidoc_set(&claim->doc, "claim", "ran", "yes");
	return r;
}

int claim_init(struct claim *claim, const char *uuid, const char *guest,
	       const struct process *owner)
{
	_cleanup_claim_ struct claim new = { .state = CLAIM_PREPARING, .owner = *owner };
	_cleanup_free_ char *word = NULL;
	int r;

	if (!uuid_valid(uuid))
		return -EINVAL;
	memcpy(new.uuid, uuid, UUID_STRLEN);
	new.guest = strdup(guest);
	if (!new.guest)
		return -ENOMEM;
	r = text_encode(guest, &word);
	if (r < 0)
		return r;
	r = inidoc_addf(&new.doc, "claim", "format", "%d", CLAIM_FORMAT);
	if (r == 0)
		r = inidoc_add(&new.doc, "claim", "guest", word);
	if (r == 0)
		r = inidoc_add(&new.doc, "claim", "uuid", uuid);
	if (r == 0)
		r = header_sync(&new);
	if (r < 0)
		return r;
	*claim = new;
	new = (struct claim){ 0 };
	return 0;
}

static int refuse(struct ini_error *err, const char *what)
{
	*err = (struct ini_error){ 0 };
	(void)snprintf(err->what, sizeof(err->what), "%s", what);
	return -EBADMSG;
}

static int owner_parse(const char *value, struct process *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned int pid;
	int r;

	if (!value)
		return -EBADMSG;
	r = text_split(value, " ", &words);
	if (r < 0)
		return r;
	if (words.nr != 2 || parse_uint(words.names[0], 10, INT_MAX, &pid) < 0 ||
	    parse_ull(words.names[1], 10, ULLONG_MAX, &ret->start_time) < 0)
		return -EBADMSG;
	ret->pid = (pid_t)pid;
	return 0;
}

static int header_parse(struct claim *claim, struct ini_error *err)
{
	const char *format = inidoc_get(&claim->doc, "claim", "format");
	const char *uuid = inidoc_get(&claim->doc, "claim", "uuid");
	const char *guest = inidoc_get(&claim->doc, "claim", "guest");
	unsigned int version = 0;
	int r;

	if (!format || parse_uint(format, 10, INT_MAX, &version) < 0 || version != CLAIM_FORMAT)
		return refuse(err, "this is no claim, or one of a newer usher ('format')");
	if (!uuid || !uuid_valid(uuid))
		return refuse(err, "'uuid' in [claim] is missing or malformed");
	memcpy(claim->uuid, uuid, UUID_STRLEN);
	if (!guest)
		return refuse(err, "'guest' in [claim] is missing");
	r = text_decode(guest, &claim->guest);
	if (r == -EBADMSG)
		return refuse(err, "'guest' in [claim] is malformed");
	if (r < 0)
		return r;
	if (state_parse(inidoc_get(&claim->doc, "claim", "state"), &claim->state) < 0)
		return refuse(err, "'state' in [claim] is missing or unknown");
	r = owner_parse(inidoc_get(&claim->doc, "claim", "owner"), &claim->owner);
	if (r == -EBADMSG)
		return refuse(err, "'owner' in [claim] is missing or malformed");
	return r;
}

int claim_parse(const char *text, size_t len, struct claim *ret, struct ini_error *err)
{
	_cleanup_claim_ struct claim claim = { 0 };
	int r;

	r = inidoc_parse(text, len, &claim.doc, err);
	if (r < 0)
		return r;
	r = header_parse(&claim, err);
	if (r < 0)
		return r;
	*ret = claim;
	claim = (struct claim){ 0 };
	return 0;
}

int claim_load(int statefd, const char *uuid, struct claim *ret, struct ini_error *err)
{
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dirfd = -1;
	size_t len;
	int r;

	if (!uuid_valid(uuid))
		return refuse(err, "not a uuid");
	dirfd = state_dir(statefd, uuid, false);
	if (dirfd < 0)
		return dirfd;
	r = state_read(dirfd, CLAIM_FILE, &text, &len);
	if (r < 0)
		return r;
	r = claim_parse(text, len, &claim, err);
	if (r < 0)
		return r;
	if (strcmp(claim.uuid, uuid) != 0)
		return refuse(err, "it names another uuid than its directory");
	*ret = claim;
	claim = (struct claim){ 0 };
	return 0;
}

int claim_store(int statefd, struct claim *claim)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dirfd = -1;
	size_t len;
	int r;

	r = header_sync(claim);
	if (r < 0)
		return r;
	r = inidoc_format(&claim->doc, &text, &len);
	if (r < 0)
		return r;
	dirfd = state_dir(statefd, claim->uuid, true);
	if (dirfd < 0)
		return dirfd;
	return state_write(dirfd, CLAIM_FILE, text, len);
}

bool claim_has_run(const struct claim *claim)
{
	return inidoc_get(&claim->doc, "claim", "ran") != NULL;
}

int claim_set_state(int statefd, struct claim *claim, enum claim_state state,
		    const struct process *owner)
{
	claim->state = state;
	claim->owner = *owner;
	return claim_store(statefd, claim);
}

/* Return: what is behind the word, NULL when there is none, or one that @buf does not hold */
static const char *take_word(const char *text, char *buf, size_t size)
{
	size_t len;

	text += strspn(text, " ");
	len = strcspn(text, " ");
	if (len == 0 || len >= size)
		return NULL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return text + len;
}

/*
 * "ADDR VENDOR:DEVICE ORIGIN managed|unmanaged", then words of the helper's own. Without memory: a
 * device that another guest has is not to be taken for nobody's for want of it.
 */
int claim_device_parse(const char *value, struct claim_device *ret)
{
	struct claim_device device = { 0 };
	char addr[PCIADDR_STRLEN], id[sizeof("10de:1b80")], managed[sizeof("unmanaged")];

	value = take_word(value, addr, sizeof(addr));
	if (value)
		value = take_word(value, id, sizeof(id));
	if (value)
		value = take_word(value, device.origin, sizeof(device.origin));
	if (value)
		value = take_word(value, managed, sizeof(managed));
	if (!value || pciaddr_parse(addr, &device.addr) < 0 || pciid_parse(id, &device.id) < 0)
		return -EBADMSG;
	device.managed = strcmp(managed, "managed") == 0;
	if (!device.managed && strcmp(managed, "unmanaged") != 0)
		return -EBADMSG;
	*ret = device;
	return 0;
}

int claim_int(const struct claim *claim, const char *section, const char *key, int fallback)
{
	const char *value = inidoc_get(&claim->doc, section, key);
	unsigned int number;

	if (!value || parse_uint(value, 10, INT_MAX, &number) < 0)
		return fallback;
	return (int)number;
}

void claim_disk_free(struct claim_disk *disk)
{
	free(disk->path);
	*disk = (struct claim_disk){ 0 };
}

static const struct {
	const char *word;
	bool writes, shareable;
} disk_modes[] = {
	{ "rw", true, false },
	{ "ro", false, false },
	{ "shared", true, true },
};

static int disk_mode(const char *word, struct claim_disk *disk)
{
	for (size_t i = 0; i < ARRAY_SIZE(disk_modes); i++) {
		if (strcmp(word, disk_modes[i].word) != 0)
			continue;
		disk->writes = disk_modes[i].writes;
		disk->shareable = disk_modes[i].shareable;
		return 0;
	}
	return -EBADMSG;
}

int claim_disk_parse(const char *value, struct claim_disk *ret)
{
	_cleanup_claim_disk_ struct claim_disk disk = { 0 };
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *name = NULL;
	int r = text_split(value, " ", &words);

	if (r < 0)
		return r;
	if (words.nr < 2 || words.nr > 3)
		return -EBADMSG;
	r = disk_mode(words.names[0], &disk);
	if (r == 0)
		r = text_decode(words.names[1], &disk.path);
	if (r == 0 && words.nr == 3)
		r = text_decode(words.names[2], &name);
	if (r == 0 && name && path_format(disk.name, sizeof(disk.name), "%s", name) < 0)
		r = -EBADMSG;
	if (r < 0)
		return r;
	*ret = disk;
	disk = (struct claim_disk){ 0 };
	return 0;
}

bool claim_has_device(const struct claim *claim, const struct pciaddr *addr)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		struct claim_device device;

		if (claim_device_parse(entry->value, &device) == 0 &&
		    pciaddr_cmp(&device.addr, addr) == 0)
			return true;
	}
	return false;
}
