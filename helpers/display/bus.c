/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/bus.c - the I2C buses a monitor can be on */
#include "bus.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/module.h"
#include "../../lib/pciaddr.h"
#include "../../lib/units.h"

#define DEVICES "sys/bus/i2c/devices"

/* ABI: PCI Code and ID Assignment, base classes */
#define CLASS_DISPLAY 0x03
#define CLASS_DOCKING 0x0a

/*
 * Beginnings of names of adapters that no monitor is on, whatever their parent.
 * Seen on: ddcutil's list; "AMDGPU SMU" (Navi 21) holds the card's EEPROM, "OEM" its lights
 */
static const char *const foreign_names[] = {
	"SMBus",      "Synopsys DesignWare",   "smu", "mac-io", "u4",
	"AMDGPU SMU", "AMDGPU DM i2c OEM bus",
};

/* Where a bus hangs in the tree of devices */
struct place {
	bool on_pci;
	struct pciaddr addr; /* the nearest PCI device above */
	char connector[CONNECTOR_LEN];
};

void bus_list_free(struct bus_list *list)
{
	free(list->buses);
	*list = (struct bus_list){ 0 };
}

static bool is_connector(const char *name)
{
	size_t len = strlen("card");

	return strncmp(name, "card", len) == 0 && isdigit((unsigned char)name[len]) &&
	       strchr(name, '-') && strlen(name) < CONNECTOR_LEN;
}

/* The whole link: ../../../devices/pci0000:00/0000:00:02.0/drm/card0/card0-DP-1/i2c-7 */
static int read_link(int rootfd, unsigned int number, char *buf, size_t size)
{
	_cleanup_close_ int fd = attr_open(rootfd, DEVICES, O_PATH | O_DIRECTORY);
	char name[32];
	ssize_t n;

	if (fd < 0)
		return fd;
	(void)snprintf(name, sizeof(name), "i2c-%u", number);
	n = readlinkat(fd, name, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return 0;
}

static int bus_place(int rootfd, unsigned int number, struct place *ret)
{
	char link[PATH_MAX], *save = NULL;
	int r = read_link(rootfd, number, link, sizeof(link));

	if (r < 0)
		return r;
	*ret = (struct place){ 0 };
	for (char *part = strtok_r(link, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (pciaddr_parse(part, &ret->addr) == 0)
			ret->on_pci = true;
		else if (is_connector(part))
			(void)snprintf(ret->connector, sizeof(ret->connector), "%s", part);
	}
	return 0;
}

static bool has_foreign_name(int rootfd, unsigned int number)
{
	char path[64], name[ATTR_MAX];

	if (path_format(path, sizeof(path), DEVICES "/i2c-%u/name", number) < 0 ||
	    attr_read(rootfd, path, name, sizeof(name)) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(foreign_names); i++)
		if (strncmp(name, foreign_names[i], strlen(foreign_names[i])) == 0)
			return true;
	return false;
}

static bool is_display_device(int rootfd, const struct pciaddr *addr)
{
	char path[64], text[PCIADDR_STRLEN];
	unsigned long long class;

	pciaddr_format(addr, text);
	if (path_format(path, sizeof(path), "sys/bus/pci/devices/%s/class", text) < 0 ||
	    attr_read_ull(rootfd, path, &class) < 0)
		return false;
	return class >> 16 == CLASS_DISPLAY || class >> 16 == CLASS_DOCKING;
}

/* A connector and the bus its ddc link leads to: HDMI and DVI, where the bus is the GPU's child */
struct ddc_link {
	char connector[CONNECTOR_LEN];
	unsigned int bus;
};

/* Read once for all buses, when the first one needs them */
struct ddc_links {
	bool read;
	struct ddc_link *links;
	size_t nr;
};

static void ddc_links_free(struct ddc_links *links)
{
	free(links->links);
}
#define _cleanup_ddc_links_ _cleanup_(ddc_links_free)

/* Return: 1 with @ret filled, 0 it has none */
static int read_ddc_link(int rootfd, const char *connector, struct ddc_link *ret)
{
	char path[128], target[64];

	if (!is_connector(connector) ||
	    path_format(path, sizeof(path), "sys/class/drm/%s/ddc", connector) < 0 ||
	    attr_link(rootfd, path, target, sizeof(target)) < 0 ||
	    strncmp(target, "i2c-", 4) != 0 || parse_uint(target + 4, 10, UINT_MAX, &ret->bus) < 0)
		return 0;
	(void)snprintf(ret->connector, sizeof(ret->connector), "%s", connector);
	return 1;
}

static int read_ddc_links(int rootfd, struct ddc_links *links)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(rootfd, "sys/class/drm", &names);

	if (r < 0 && r != -ENOENT)
		return r;
	links->links = calloc(names.nr + 1, sizeof(*links->links));
	if (!links->links)
		return -ENOMEM;
	for (size_t i = 0; i < names.nr; i++)
		links->nr +=
			(size_t)read_ddc_link(rootfd, names.names[i], &links->links[links->nr]);
	links->read = true;
	return 0;
}

static int find_connector(int rootfd, struct ddc_links *links, unsigned int number,
			  char ret[static CONNECTOR_LEN])
{
	int r = links->read ? 0 : read_ddc_links(rootfd, links);

	for (size_t i = 0; r == 0 && i < links->nr; i++) {
		if (links->links[i].bus != number)
			continue;
		memcpy(ret, links->links[i].connector, CONNECTOR_LEN);
		break;
	}
	return r;
}

static bool is_claimed(const struct claim *claim, const struct pciaddr *addr)
{
	const struct inidoc_entry *entry = NULL;
	struct claim_device device;

	while (claim && (entry = inidoc_next(&claim->doc, entry, "vfio", "device")))
		if (claim_device_parse(entry->value, &device) == 0 &&
		    pciaddr_cmp(&device.addr, addr) == 0)
			return true;
	return false;
}

/* Return: 1 with @ret filled, 0 no bus for a monitor, else -errno */
static int look_at(int rootfd, const struct claim *claim, bool claimed, struct ddc_links *links,
		   unsigned int number, struct bus *ret)
{
	struct place place;
	int r = bus_place(rootfd, number, &place);

	if (r < 0)
		return r == -ENOENT || r == -EINVAL ? 0 : r;
	if (has_foreign_name(rootfd, number) ||
	    (place.on_pci && is_claimed(claim, &place.addr)) != claimed)
		return 0;
	*ret = (struct bus){ .number = number };
	memcpy(ret->connector, place.connector, sizeof(ret->connector));
	if (!ret->connector[0])
		r = find_connector(rootfd, links, number, ret->connector);
	if (r < 0)
		return r;
	return ret->connector[0] || (place.on_pci && is_display_device(rootfd, &place.addr));
}

int bus_look(int rootfd, const struct claim *claim, bool claimed, unsigned int number,
	     struct bus *ret)
{
	_cleanup_ddc_links_ struct ddc_links links = { 0 };

	return look_at(rootfd, claim, claimed, &links, number, ret);
}

static int compare_buses(const void *a, const void *b)
{
	const struct bus *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int find(int rootfd, const struct claim *claim, bool claimed, struct bus_list *ret)
{
	_cleanup_bus_list_ struct bus_list list = { 0 };
	_cleanup_ddc_links_ struct ddc_links links = { 0 };
	_cleanup_strlist_ struct strlist names = { 0 };
	unsigned int number;
	int r = attr_list(rootfd, DEVICES, &names);

	if (r < 0 && r != -ENOENT)
		return r;
	list.buses = calloc(names.nr + 1, sizeof(*list.buses));
	if (!list.buses)
		return -ENOMEM;
	for (size_t i = 0; i < names.nr; i++) {
		/* Devices on a bus ("3-0050") lie beside the buses */
		if (strncmp(names.names[i], "i2c-", 4) != 0 ||
		    parse_uint(names.names[i] + 4, 10, UINT_MAX, &number) < 0)
			continue;
		r = look_at(rootfd, claim, claimed, &links, number, &list.buses[list.nr]);
		if (r < 0)
			return r;
		list.nr += (size_t)r;
	}
	qsort(list.buses, list.nr, sizeof(*list.buses), compare_buses);
	ret->nr = list.nr;
	ret->buses = TAKE_PTR(list.buses);
	return 0;
}

int buses_find(int rootfd, const struct claim *claim, struct bus_list *ret)
{
	return find(rootfd, claim, false, ret);
}

int buses_find_claimed(int rootfd, const struct claim *claim, struct bus_list *ret)
{
	return find(rootfd, claim, true, ret);
}

int buses_are_ready(int rootfd)
{
	return attr_exists(rootfd, "sys/class/i2c-dev") > 0;
}

int buses_ready(int rootfd, int timeout_ms)
{
	return buses_are_ready(rootfd) ? 0 : module_load(rootfd, "i2c-dev", timeout_ms);
}
