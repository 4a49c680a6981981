/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/pci.c - binding PCI drivers: drivers/base/bus.c, dd.c and drivers/vfio, Linux 6.12 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/text.h"
#include "fake.h"

#define DEVICES "sys/bus/pci/devices"
#define DRIVERS "sys/bus/pci/drivers"
#define VFIO	"vfio-pci"
/* What an override reads as while there is none */
#define UNSET "(null)"

/* Bus address of the write, cut at the newline. Return: 0, -ENODEV when there is none such */
static int device_named(const char *value, char *buf, size_t size)
{
	char path[PATH_MAX];

	if (path_format(buf, size, "%.*s", (int)strcspn(value, "\n"), value) < 0 || !buf[0] ||
	    strchr(buf, '/'))
		return -ENODEV;
	tree_path(path, DEVICES "/%s", buf);
	return tree_has(path) ? 0 : -ENODEV;
}

/* "" when there is none */
static void driver_of(const char *addr, char *buf, size_t size)
{
	char path[PATH_MAX];

	tree_path(path, DEVICES "/%s/driver", addr);
	(void)__real_attr_link(fake_root(), path, buf, size);
}

static bool driver_registered(const char *driver)
{
	char path[PATH_MAX];

	tree_path(path, DRIVERS "/%s", driver);
	return tree_is_dir(path);
}

static void override_of(const char *addr, char *buf, size_t size)
{
	char path[PATH_MAX];

	tree_path(path, DEVICES "/%s/driver_override", addr);
	if (tree_get(path, buf, size) < 0 || strcmp(buf, UNSET) == 0)
		buf[0] = '\0';
}

/* driver_match_device(): an override shuts every other driver out, and lets this one in */
static bool matches(const char *addr, const char *driver)
{
	_cleanup_strlist_ struct strlist drivers = { 0 };
	char path[PATH_MAX], text[ATTR_MAX];

	override_of(addr, text, sizeof(text));
	if (text[0])
		return strcmp(text, driver) == 0;
	tree_path(path, ".fake/match/%s", addr);
	return tree_get(path, text, sizeof(text)) >= 0 && text_split(text, " ", &drivers) == 0 &&
	       strlist_has(&drivers, driver);
}

/* --- What a bound driver adds to the tree ---------------------------------------------------- */

void children_move(const char *owner, bool away)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strlist_ struct strlist paths = { 0 };
	char list[PATH_MAX], kept[PATH_MAX];
	size_t len;

	tree_path(list, ".fake/children/%s", owner);
	if (__real_attr_read_all(fake_root(), list, 65536, &text, &len) < 0 ||
	    text_split(text, "\n", &paths) < 0)
		return;
	for (size_t i = 0; i < paths.nr; i++) {
		tree_path(kept, ".fake/stash/%s/%s", owner, paths.names[i]);
		(void)(away ? tree_move(paths.names[i], kept) : tree_move(kept, paths.names[i]));
	}
}

static void driver_children_move(const char *addr, const char *driver, bool away)
{
	char owner[PATH_MAX];

	tree_path(owner, "%s.%s", addr, driver);
	children_move(owner, away);
}

static bool group_of(const char *addr, char *buf, size_t size)
{
	char path[PATH_MAX];

	tree_path(path, DEVICES "/%s/iommu_group", addr);
	return __real_attr_link(fake_root(), path, buf, size) > 0;
}

static bool group_on_vfio(const char *group)
{
	_cleanup_strlist_ struct strlist members = { 0 };
	char path[PATH_MAX], driver[NAME_MAX];

	tree_path(path, "sys/kernel/iommu_groups/%s/devices", group);
	if (tree_list(path, &members) < 0)
		return false;
	for (size_t i = 0; i < members.nr; i++) {
		driver_of(members.names[i], driver, sizeof(driver));
		if (strcmp(driver, VFIO) == 0)
			return true;
	}
	return false;
}

/* /dev/vfio/GROUP is there while any of the group's devices is bound to vfio-pci */
static void vfio_nodes_update(const char *addr)
{
	char group[NAME_MAX], path[PATH_MAX];

	if (!group_of(addr, group, sizeof(group)))
		return;
	tree_path(path, "dev/vfio/%s", group);
	if (group_on_vfio(group))
		(void)(tree_has(path) ? 0 : tree_put(path, ""));
	else
		(void)tree_remove(path);
}

/* The kernel waits in unbind until the last user has closed the group */
static bool vfio_in_use(const char *addr)
{
	char group[NAME_MAX], path[PATH_MAX];
	const char *const paths[] = { path };

	if (!group_of(addr, group, sizeof(group)))
		return false;
	tree_path(path, "/dev/vfio/%s", group);
	return process_find_open(fake_root(), paths, 1) > 0;
}

/* --- Bind and unbind --------------------------------------------------------------------------- */

/* probe(): vfio-pci takes no bridges and needs an IOMMU group */
static int probe(const char *addr, const char *driver)
{
	char path[PATH_MAX], class[16], group[NAME_MAX];

	if (strcmp(driver, VFIO) != 0)
		return 0;
	tree_path(path, DEVICES "/%s/class", addr);
	if (tree_get(path, class, sizeof(class)) >= 0 && strncmp(class, "0x0604", 6) == 0)
		return -EINVAL;
	return group_of(addr, group, sizeof(group)) ? 0 : -EINVAL;
}

/* uevent begins with DRIVER= while there is one */
static void uevent_update(const char *addr, const char *driver)
{
	char path[PATH_MAX], text[ATTR_MAX], out[ATTR_MAX + NAME_MAX];
	const char *rest = text;

	tree_path(path, DEVICES "/%s/uevent", addr);
	if (tree_get(path, text, sizeof(text)) < 0)
		return;
	if (strncmp(text, "DRIVER=", 7) == 0) {
		rest = strchrnul(text, '\n');
		rest += *rest == '\n';
	}
	tree_path(out, "%s%s%s%s", driver[0] ? "DRIVER=" : "", driver, driver[0] ? "\n" : "", rest);
	(void)tree_put(path, out);
}

static int bind_device(const char *addr, const char *driver)
{
	char device[PATH_MAX], dir[PATH_MAX], link[PATH_MAX];
	int r;

	r = probe(addr, driver);
	if (r < 0)
		return r;
	tree_path(device, DEVICES "/%s", addr);
	tree_path(dir, DRIVERS "/%s", driver);
	tree_path(link, DEVICES "/%s/driver", addr);
	r = tree_symlink(link, dir);
	tree_path(link, DRIVERS "/%s/%s", driver, addr);
	if (r == 0)
		r = tree_symlink(link, device);
	driver_children_move(addr, driver, false);
	uevent_update(addr, driver);
	vfio_nodes_update(addr);
	return r;
}

static int unbind_device(const char *addr, const char *driver)
{
	char path[PATH_MAX];

	if (strcmp(driver, VFIO) == 0 && vfio_in_use(addr))
		return FAKE_SLEEPS;
	driver_children_move(addr, driver, true);
	uevent_update(addr, "");
	tree_path(path, DRIVERS "/%s/%s", driver, addr);
	(void)tree_remove(path);
	tree_path(path, DEVICES "/%s/driver", addr);
	(void)tree_remove(path);
	vfio_nodes_update(addr);
	return 0;
}

void pci_driver_gone(const char *driver)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX], device[PATH_MAX];

	tree_path(path, DRIVERS "/%s", driver);
	if (tree_list(path, &names) < 0)
		return;
	for (size_t i = 0; i < names.nr; i++) {
		tree_path(device, DEVICES "/%s", names.names[i]);
		if (tree_has(device))
			(void)unbind_device(names.names[i], driver);
	}
	(void)tree_remove(path);
}

/* device_attach(): the first driver that matches and is registered; none is no error */
static void attach(const char *addr)
{
	_cleanup_strlist_ struct strlist drivers = { 0 };
	char path[PATH_MAX], text[ATTR_MAX], driver[NAME_MAX];

	driver_of(addr, driver, sizeof(driver));
	if (driver[0])
		return;
	override_of(addr, text, sizeof(text));
	if (!text[0]) {
		tree_path(path, ".fake/match/%s", addr);
		if (tree_get(path, text, sizeof(text)) < 0)
			return;
	}
	if (text_split(text, " ", &drivers) < 0)
		return;
	for (size_t i = 0; i < drivers.nr; i++)
		if (driver_registered(drivers.names[i]) && bind_device(addr, drivers.names[i]) == 0)
			return;
}

void pci_probe_unbound(void)
{
	_cleanup_strlist_ struct strlist addrs = { 0 };

	if (tree_list(DEVICES, &addrs) < 0)
		return;
	for (size_t i = 0; i < addrs.nr; i++)
		attach(addrs.names[i]);
}

/* --- The attributes ---------------------------------------------------------------------------- */

/* driver_set_override(): one newline, or nothing, takes it away */
int pci_store_override(const char *path, const char *value)
{
	size_t len = strcspn(value, "\n");
	char text[NAME_MAX];

	if (path_format(text, sizeof(text), "%.*s", (int)len, value) < 0)
		return -EINVAL;
	return tree_put(path, len ? text : UNSET);
}

/* "sys/bus/pci/drivers/NAME/bind" -> NAME */
static void driver_in_path(const char *path, char *buf, size_t size)
{
	const char *name = path + strlen(DRIVERS "/");

	(void)snprintf(buf, size, "%.*s", (int)strcspn(name, "/"), name);
}

/* bind_store(): -ENODEV when it does not match, -EBUSY when it has a driver */
int pci_store_bind(const char *path, const char *value)
{
	char addr[NAME_MAX], driver[NAME_MAX], now[NAME_MAX];
	int r;

	r = device_named(value, addr, sizeof(addr));
	if (r < 0)
		return r;
	driver_in_path(path, driver, sizeof(driver));
	if (!matches(addr, driver))
		return -ENODEV;
	driver_of(addr, now, sizeof(now));
	return now[0] ? -EBUSY : bind_device(addr, driver);
}

/* unbind_store(): -ENODEV unless this very driver has it */
int pci_store_unbind(const char *path, const char *value)
{
	char addr[NAME_MAX], driver[NAME_MAX], now[NAME_MAX];
	int r;

	r = device_named(value, addr, sizeof(addr));
	if (r < 0)
		return r;
	driver_in_path(path, driver, sizeof(driver));
	driver_of(addr, now, sizeof(now));
	return strcmp(now, driver) != 0 ? -ENODEV : unbind_device(addr, driver);
}

/* drivers_probe_store(): success also when no driver took the device */
int pci_store_probe(const char *path, const char *value)
{
	char addr[NAME_MAX];
	int r = device_named(value, addr, sizeof(addr));

	(void)path;
	if (r < 0)
		return r;
	attach(addr);
	return 0;
}
