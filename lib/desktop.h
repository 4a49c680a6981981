/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/desktop.h - the host's desktop as its files show it: display manager, seats, who keeps nodes */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cleanup.h"
#include "text.h"

#define DISPLAY_MANAGER "display-manager.service"

/**
 * desktop_is_broker() - does a process have cards open for others: systemd-logind
 *
 * It opens a card for the compositor and hands the descriptor over: who shows something is the
 * other one, and the broker's closes when that one's session ends.
 *
 * Return: also false for a process that has gone
 * Seen on: systemd 257 (logind-session-device.c), elogind 255, seatd 0.9
 */
bool desktop_is_broker(int rootfd, pid_t pid);

/**
 * desktop_is_managed() - is a process in the display manager's own unit
 *
 * lightdm and sddm run their X servers there; it ends with the unit.
 *
 * ABI: systemd.unit(5): display-manager.service is an alias, a link in etc/systemd/system
 */
bool desktop_is_managed(int rootfd, pid_t pid);

/**
 * desktop_is_x_server() - an X server of a login session or of the display manager's
 *
 * NVIDIA's has its driver's own nodes open, and none of DRM's. One that runs as a service of its
 * own is there to compute by: it ends with no desktop.
 */
bool desktop_is_x_server(int rootfd, pid_t pid);

/** desktop_has_manager() - is a display manager installed that shows a seat's greeter */
bool desktop_has_manager(int rootfd);

/**
 * desktop_card_seat() - the seat that udev has given a card, "card0"; "seat0" by default
 *
 * ABI: run/udev/data/cMAJ:MIN, lines "E:ID_SEAT=seat1"; sd-device(3) reads them
 */
void desktop_card_seat(int rootfd, const char *card, char *buf, size_t size);

/** desktop_is_card() - "card1", not "card1-DP-1" or "renderD128" */
bool desktop_is_card(const char *name);

/**
 * desktop_has_card() - has a seat a card of the host's beside these devices
 * @without:	"0000:01:00.0"
 *
 * The firmware's frame buffer is none: it is on a card that may be one of these.
 */
bool desktop_has_card(int rootfd, const char *seat, const struct strlist *without);

/**
 * desktop_card_node() - the node of a card that its driver makes, and sysfs does not have below it
 * @driver:	"nvidia"
 * @addr:	"0000:01:00.0"
 * @buf:	"/dev/nvidia0"
 *
 * Return: 1, 0 this driver makes none, -ENOENT it makes one and does not say which, -ENOMEM
 * Seen on: NVIDIA 535 to 580, proc/driver/nvidia/gpus/ADDR/information, "Device Minor: 0"
 */
int desktop_card_node(int rootfd, const char *driver, const char *addr, char *buf, size_t size)
	_must_check_;
