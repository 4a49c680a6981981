/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/screen.c - what of the host's own screen is on a GPU */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/desktop.h"
#include "../../lib/drivernodes.h"
#include "../../lib/process.h"
#include "seat.h"

#define VGACON "VGA+"

/* Of an attribute that not every device has. Return: 1 it reads 1, 0 it does not, else -errno */
static int is_set(int rootfd, const char *dir, const char *attr)
{
	unsigned long long value = 0;
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/%s", dir, attr);

	if (r == 0)
		r = attr_read_ull(rootfd, path, &value);
	return r < 0 && r != -ENOENT ? r : value == 1;
}

/* Return: 1 the console is that driver's, and bound, 0 not, else -errno */
static int is_bound(int rootfd, const char *console, const char *driver)
{
	char dir[PATH_MAX], path[PATH_MAX], name[128] = "";
	int r = path_format(dir, sizeof(dir), CLASS_VTCONSOLE "/%s", console);

	if (r == 0)
		r = path_format(path, sizeof(path), "%s/name", dir);
	if (r == 0)
		r = attr_read(rootfd, path, name, sizeof(name));
	if (r < 0 && r != -ENOENT)
		return r;
	return strstr(name, driver) ? is_set(rootfd, dir, "bind") : 0;
}

/* Is a console driver bound: does the host write text through it. Return: 1, 0, else -errno */
static int console_bound(int rootfd, const char *driver)
{
	_cleanup_strlist_ struct strlist consoles = { 0 };
	int r = attr_list(rootfd, CLASS_VTCONSOLE, &consoles);

	for (size_t i = 0; r == 0 && i < consoles.nr; i++)
		r = is_bound(rootfd, consoles.names[i], driver);
	return r == -ENOENT ? 0 : r;
}

/* Entries of a directory whose name begins so, as nodes below /dev. A missing one has none. */
static int add_nodes(int rootfd, const char *dir, const char *prefix, const char *dev,
		     struct strlist *nodes)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(rootfd, dir, &names);

	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		char node[PATH_MAX];
		size_t len = strlen(prefix);

		/* "card0", not its connectors "card0-DP-1" */
		if (strncmp(names.names[i], prefix, len) != 0 || strchr(names.names[i], '-'))
			continue;
		r = path_format(node, sizeof(node), "%s/%s", dev, names.names[i]);
		if (r == 0)
			r = strlist_add(nodes, node);
	}
	return r == -ENOENT ? 0 : r;
}

/*
 * Does a device of a class, "sys/class/graphics/fb0", belong to the firmware and to no GPU
 *
 * Return: 1, 0, else -errno
 */
static int is_firmware(int rootfd, const char *class, const char *node)
{
	char path[PATH_MAX], subsystem[32] = "";
	int r = path_format(path, sizeof(path), "%s/%s/device/subsystem", class,
			    strrchr(node, '/') + 1);

	if (r == 0)
		r = attr_link(rootfd, path, subsystem, sizeof(subsystem));
	return r < 0 && r != -ENOENT ? r : strcmp(subsystem, "platform") == 0;
}

static int add_firmware_nodes(int rootfd, const char *class, const char *prefix, const char *dev,
			      struct strlist *nodes)
{
	_cleanup_strlist_ struct strlist all = { 0 };
	int r = add_nodes(rootfd, class, prefix, dev, &all);

	for (size_t i = 0; r == 0 && i < all.nr; i++) {
		r = is_firmware(rootfd, class, all.names[i]);
		if (r > 0)
			r = strlist_add(nodes, all.names[i]);
	}
	return r;
}

void screen_free(struct screen *screen)
{
	strlist_free(&screen->nodes);
	strlist_free(&screen->cards);
	strlist_free(&screen->fbs);
	strlist_free(&screen->firmware);
	ending_free(&screen->desktop);
}

/* The firmware's frame buffers */
static const char *const drivers[] = { "efi-framebuffer", "vesa-framebuffer",
				       "simple-framebuffer" };

bool screen_is_firmware(const char *name)
{
	const char *device = strchr(name, '/');

	if (!device || !strchr(device, '.') || device[1] == '.' || strchr(device + 1, '/'))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strlen(drivers[i]) == (size_t)(device - name) &&
		    strncmp(drivers[i], name, strlen(drivers[i])) == 0)
			return true;
	return false;
}

/*
 * Devices whose driver is the firmware's frame buffer: "efi-framebuffer.0". They are no children
 * of the GPU, but their memory is the boot GPU's.
 */
static int add_firmware_devices(int rootfd, struct strlist *names)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(drivers); i++) {
		_cleanup_strlist_ struct strlist entries = { 0 };
		char path[PATH_MAX];

		r = path_format(path, sizeof(path), FIRMWARE_DRIVERS "/%s", drivers[i]);
		if (r == 0)
			r = attr_list(rootfd, path, &entries);
		if (r == -ENOENT)
			r = 0;
		for (size_t j = 0; r == 0 && j < entries.nr; j++) {
			/* "efi-framebuffer.0", not "bind", "unbind", "module" or "uevent" */
			if (!strchr(entries.names[j], '.'))
				continue;
			r = path_format(path, sizeof(path), "%s/%s", drivers[i], entries.names[j]);
			if (r == 0)
				r = strlist_add(names, path);
		}
	}
	return r;
}

static int load_nodes(int rootfd, const char *dir, struct screen *screen)
{
	char sub[PATH_MAX];
	int r = path_format(sub, sizeof(sub), "%s/drm", dir);

	if (r == 0)
		r = add_nodes(rootfd, sub, "card", "/dev/dri", &screen->cards);
	if (r == 0)
		r = path_format(sub, sizeof(sub), "%s/graphics", dir);
	return r == 0 ? add_nodes(rootfd, sub, "fb", "/dev", &screen->fbs) : r;
}

/* The firmware's are the boot GPU's */
static int load_firmware(int rootfd, struct screen *screen)
{
	int r = add_firmware_nodes(rootfd, "sys/class/drm", "card", "/dev/dri", &screen->cards);

	if (r == 0)
		r = add_firmware_nodes(rootfd, "sys/class/graphics", "fb", "/dev", &screen->fbs);
	return r == 0 ? add_firmware_devices(rootfd, &screen->firmware) : r;
}

/* Cards and frame buffers come first in the list of all nodes */
static size_t nr_shown(const struct screen *screen)
{
	return screen->cards.nr + screen->fbs.nr;
}

static int add_all(struct strlist *nodes, const struct strlist *more)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < more->nr; i++)
		r = strlist_add(nodes, more->names[i]);
	return r;
}

/* All that who shows something may have open; NVIDIA's X server has the driver's own node alone */
static int list_nodes(int rootfd, const char *dir, const char *addr, struct screen *screen)
{
	char path[PATH_MAX], driver[64], node[64];
	int r = add_all(&screen->nodes, &screen->cards);

	if (r == 0)
		r = add_all(&screen->nodes, &screen->fbs);
	if (r == 0)
		r = path_format(path, sizeof(path), "%s/driver", dir);
	if (r == 0)
		r = attr_link(rootfd, path, driver, sizeof(driver));
	if (r <= 0)
		return r == -ENOENT ? 0 : r;
	r = desktop_card_node(rootfd, driver, addr, node, sizeof(node));
	if (r > 0)
		return strlist_add(&screen->nodes, node);
	return r == -ENOENT ? 0 : r;
}

int screen_load(int rootfd, const char *addr, struct screen *ret)
{
	char dir[PATH_MAX];
	int r = path_format(dir, sizeof(dir), "sys/bus/pci/devices/%s", addr);

	*ret = (struct screen){ 0 };
	if (r == 0)
		r = attr_exists(rootfd, dir);
	if (r <= 0)
		return r < 0 ? r : -ENODEV;
	r = is_set(rootfd, dir, "boot_vga");
	ret->boot_vga = r > 0;
	if (r >= 0)
		r = load_nodes(rootfd, dir, ret);
	if (r == 0 && ret->boot_vga)
		r = load_firmware(rootfd, ret);
	if (r == 0)
		r = list_nodes(rootfd, dir, addr, ret);
	if (r < 0)
		screen_free(ret);
	return r;
}

void screen_seat(int rootfd, const struct screen *screen, char *buf, size_t size)
{
	(void)snprintf(buf, size, "seat0");
	if (screen->cards.nr > 0)
		desktop_card_seat(rootfd, strrchr(screen->cards.names[0], '/') + 1, buf, size);
}

/* Beside those that show something: what else of it a desktop may have open */
static int add_used(const struct helper_ctx *ctx, const char *addr, struct strlist *nodes)
{
	char path[PATH_MAX], driver[64];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/drm", addr);

	if (r == 0)
		r = add_nodes(ctx->rootfd, path, "renderD", "/dev/dri", nodes);
	if (r == 0)
		r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/driver", addr);
	if (r == 0)
		r = attr_link(ctx->rootfd, path, driver, sizeof(driver));
	if (r <= 0)
		return r == -ENOENT ? 0 : r;
	r = drivernodes_alone(ctx->rootfd, &ctx->claim, driver);
	if (r >= 0)
		r = drivernodes_add(ctx->rootfd, driver, addr, r > 0, nodes);
	return r < 0 ? r : 0;
}

int screen_widen(const struct helper_ctx *ctx, const char *addr, struct screen *screen)
{
	_cleanup_strlist_ struct strlist used = { 0 };
	_cleanup_ending_ struct ending desktop = { 0 };
	char seat[sizeof(desktop.seat)];
	int r = add_used(ctx, addr, &used);

	screen_seat(ctx->rootfd, screen, seat, sizeof(seat));
	if (r == 0)
		r = ending_load(ctx->rootfd, seat, &screen->nodes, &desktop);
	if (r == 0)
		r = add_all(&screen->nodes, &used);
	if (r < 0)
		return r;
	screen->desktop = desktop;
	desktop = (struct ending){ 0 };
	screen->wide = true;
	return 0;
}

/* The next pid that has one of the first @nr nodes open */
static pid_t opened(int rootfd, const struct screen *screen, size_t nr, pid_t after)
{
	if (nr == 0)
		return 0;
	return process_find_open_after(rootfd, (const char *const *)screen->nodes.names, nr, after);
}

/*
 * Whoever has a card open shows something on it; by the driver's own node only an X server does, and
 * what else of a wide one's is of its desktop
 */
static bool is_holder(int rootfd, const struct screen *screen, pid_t pid)
{
	if (desktop_is_broker(rootfd, pid))
		return false;
	return opened(rootfd, screen, nr_shown(screen), pid - 1) == pid ||
	       desktop_is_x_server(rootfd, pid) ||
	       (screen->wide && ending_goes(rootfd, &screen->desktop, pid));
}

pid_t screen_next_holder(int rootfd, const struct screen *screen, pid_t after)
{
	pid_t pid = after;

	do {
		pid = opened(rootfd, screen, screen->nodes.nr, pid);
	} while (pid > 0 && !is_holder(rootfd, screen, pid));
	return pid;
}

pid_t screen_holder(int rootfd, const struct screen *screen)
{
	pid_t pid = screen_next_holder(rootfd, screen, 0);

	/* logind alone has it for somebody all the same */
	return pid ? pid : opened(rootfd, screen, nr_shown(screen), 0);
}

void screen_holder_names(int rootfd, const struct screen *screen, char *text, size_t size)
{
	struct process_names names = { 0 };
	pid_t pid = 0;

	while ((pid = screen_next_holder(rootfd, screen, pid)) > 0)
		process_names_add(&names, rootfd, pid);
	if (names.nr == 0 && (pid = screen_holder(rootfd, screen)) > 0)
		process_names_add(&names, rootfd, pid);
	(void)snprintf(text, size, "%s", names.nr ? process_names_end(&names) : "no process");
}

const char *screen_cure(int rootfd, const struct screen *screen)
{
	return screen_next_holder(rootfd, screen, 0) == 0
		       ? "end the login session that it keeps the card for (loginctl)"
		       : "stop that program";
}

int screen_console(int rootfd, const struct screen *screen, char *text, size_t size)
{
	int r = screen->fbs.nr ? console_bound(rootfd, CONSOLE_FB) : 0;

	if (r > 0)
		(void)snprintf(text, size, "the text console on %s",
			       strrchr(screen->fbs.names[0], '/') + 1);
	return r;
}

int screen_vga_text(int rootfd, const struct screen *screen)
{
	return screen->boot_vga ? console_bound(rootfd, VGACON) : 0;
}

int screen_consoles(int rootfd, const char *driver, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist consoles = { 0 };
	int r = attr_list(rootfd, CLASS_VTCONSOLE, &consoles);

	for (size_t i = 0; r == 0 && i < consoles.nr; i++) {
		r = is_bound(rootfd, consoles.names[i], driver);
		if (r > 0)
			r = strlist_add(ret, consoles.names[i]);
	}
	return r == -ENOENT ? 0 : r;
}

int screen_other_fbs(int rootfd, const struct screen *screen)
{
	_cleanup_strlist_ struct strlist all = { 0 };
	int r = add_nodes(rootfd, "sys/class/graphics", "fb", "/dev", &all);

	for (size_t i = 0; r == 0 && i < all.nr; i++)
		/* Not "fbcon", which is the console's own */
		if (strncmp(all.names[i], "/dev/fbcon", 10) != 0 &&
		    !strlist_has(&screen->fbs, all.names[i]))
			return 1;
	return r;
}

int screen_firmwares_only(int rootfd, const char *addr, const struct screen *screen)
{
	_cleanup_strlist_ struct strlist own = { 0 };
	char path[PATH_MAX];
	int r;

	if (screen->firmware.nr == 0 || screen->fbs.nr == 0)
		return 0;
	r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/graphics", addr);
	if (r == 0)
		r = add_nodes(rootfd, path, "fb", "/dev", &own);
	if (r < 0 || own.nr > 0)
		return r;
	r = screen_other_fbs(rootfd, screen);
	return r < 0 ? r : r == 0;
}
