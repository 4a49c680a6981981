/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/desktop.c - the host's desktop as its files show it: display manager, seats, who keeps nodes */
#include "desktop.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "process.h"
#include "text.h"
#include "units.h"

/* Longest file of udev's, of proc's or of one card that is read */
#define FILE_MAX ((size_t)64 * 1024)

static bool has_name(int rootfd, pid_t pid, const char *const *names, size_t nr)
{
	char comm[PROCESS_NAME_MAX + 1];

	if (process_name(rootfd, pid, comm, sizeof(comm)) < 0)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (strcmp(comm, names[i]) == 0)
			return true;
	return false;
}

bool desktop_is_broker(int rootfd, pid_t pid)
{
	static const char *const brokers[] = { "systemd-logind", "elogind-daemon", "seatd" };

	return has_name(rootfd, pid, brokers, ARRAY_SIZE(brokers));
}

/* "lightdm.service". Return: true there is one, and it is not masked */
static bool manager_unit(int rootfd, char *buf, size_t size)
{
	static const char *const dirs[] = { "etc/systemd/system", "run/systemd/system",
					    "usr/lib/systemd/system" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s/" DISPLAY_MANAGER, dirs[i]);
		if (attr_link(rootfd, path, buf, size) > 0)
			return strcmp(buf, "null") != 0;
	}
	return false;
}

bool desktop_has_manager(int rootfd)
{
	char unit[NAME_MAX + 1];

	return manager_unit(rootfd, unit, sizeof(unit));
}

/* Return: NULL when it cannot be read; to be freed */
static char *cgroup_of(int rootfd, pid_t pid)
{
	char path[64], *text = NULL;
	size_t len;

	(void)snprintf(path, sizeof(path), "proc/%d/cgroup", (int)pid);
	return attr_read_all(rootfd, path, FILE_MAX, &text, &len) < 0 ? NULL : text;
}

bool desktop_is_managed(int rootfd, pid_t pid)
{
	char unit[NAME_MAX + 1];

	return manager_unit(rootfd, unit, sizeof(unit)) && process_in_unit(rootfd, pid, unit);
}

bool desktop_is_x_server(int rootfd, pid_t pid)
{
	static const char *const servers[] = { "Xorg", "Xorg.bin", "X" };
	_cleanup_free_ char *cgroup = NULL;

	if (!has_name(rootfd, pid, servers, ARRAY_SIZE(servers)))
		return false;
	cgroup = cgroup_of(rootfd, pid);
	return (cgroup && strstr(cgroup, "/session-")) || desktop_is_managed(rootfd, pid);
}

void desktop_card_seat(int rootfd, const char *card, char *buf, size_t size)
{
	static const char key[] = "E:ID_SEAT=";
	char path[PATH_MAX], number[32];
	_cleanup_free_ char *text = NULL;
	const char *at;
	size_t len;

	(void)snprintf(buf, size, "seat0");
	if (path_format(path, sizeof(path), "sys/class/drm/%s/dev", card) < 0 ||
	    attr_read(rootfd, path, number, sizeof(number)) < 0 ||
	    path_format(path, sizeof(path), "run/udev/data/c%s", number) < 0 ||
	    attr_read_all(rootfd, path, FILE_MAX, &text, &len) < 0 || !text)
		return;
	at = strstr(text, key);
	len = at ? strcspn(at + strlen(key), "\n") : 0;
	if (len > 0)
		(void)snprintf(buf, size, "%.*s", (int)len, at + strlen(key));
}

bool desktop_is_card(const char *name)
{
	return strncmp(name, "card", 4) == 0 && !strchr(name, '-');
}

static bool is_of_a_bus(int rootfd, const char *card)
{
	char path[PATH_MAX], bus[32];

	return path_format(path, sizeof(path), "sys/class/drm/%s/device/subsystem", card) == 0 &&
	       attr_link(rootfd, path, bus, sizeof(bus)) > 0 && strcmp(bus, "platform") != 0;
}

bool desktop_has_card(int rootfd, const char *seat, const struct strlist *without)
{
	_cleanup_strlist_ struct strlist cards = { 0 };

	if (attr_list(rootfd, "sys/class/drm", &cards) < 0)
		return false;
	for (size_t i = 0; i < cards.nr; i++) {
		const char *card = cards.names[i];
		char path[PATH_MAX], name[64], its[64];

		if (!desktop_is_card(card) || !is_of_a_bus(rootfd, card) ||
		    path_format(path, sizeof(path), "sys/class/drm/%s/device", card) < 0 ||
		    attr_link(rootfd, path, name, sizeof(name)) <= 0 || strlist_has(without, name))
			continue;
		desktop_card_seat(rootfd, card, its, sizeof(its));
		if (strcmp(its, seat) == 0)
			return true;
	}
	return false;
}

/* "Device Minor: \t 0". Return: 0, -ENOENT, -ENOMEM */
static int nvidia_minor(int rootfd, const char *addr, unsigned int *ret)
{
	static const char key[] = "Device Minor:";
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	const char *line;
	size_t len;
	int r = path_format(path, sizeof(path), "proc/driver/nvidia/gpus/%s/information", addr);

	if (r == 0)
		r = attr_read_all(rootfd, path, FILE_MAX, &text, &len);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	line = text ? strstr(text, key) : NULL;
	r = line ? text_split(line + strlen(key), " \t\n", &words) : -ENOENT;
	if (r < 0)
		return r;
	if (words.nr == 0 || parse_uint(words.names[0], 10, INT_MAX, ret) < 0)
		return -ENOENT;
	return 0;
}

int desktop_card_node(int rootfd, const char *driver, const char *addr, char *buf, size_t size)
{
	unsigned int minor;
	int r;

	if (strcmp(driver, "nvidia") != 0)
		return 0;
	r = nvidia_minor(rootfd, addr, &minor);
	if (r < 0)
		return r;
	(void)snprintf(buf, size, "/dev/nvidia%u", minor);
	return 1;
}
