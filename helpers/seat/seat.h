/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/seat.h - what the files of usher-seat share */
#pragma once

#include <stddef.h>

#include "../../lib/cleanup.h"
#include "../helper.h"

/**
 * screen_use() - what of the host's own screen is on a GPU
 * @addr:	"0000:01:00.0"
 * @text:	filled when there is something: "gnome-shell (pid 812)", "the text console on fb0"
 *
 * Looked at: processes that have its DRM or frame buffer node open; the text console on a frame
 * buffer of its driver, on the firmware's frame buffer (efifb, simpledrm: no child of the GPU, but
 * its memory when it is the boot GPU), or in VGA text mode on the boot GPU.
 *
 * Return: 0 nothing, 1 a process shows something, 2 the text console does, -ENODEV when there is no
 * such device, -ENOMEM, else -errno
 * ABI: Documentation/ABI/testing/sysfs-class-vtconsole, sysfs-bus-pci boot_vga
 */
int screen_use(int rootfd, const char *addr, char *text, size_t size) _must_check_;

enum helper_exit seat_check(struct helper_ctx *ctx);
enum helper_exit seat_apply(struct helper_ctx *ctx);
enum helper_exit seat_undo(struct helper_ctx *ctx);
