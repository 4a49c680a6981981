/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/entry.h - the hook's first instructions: leave at once where it has no business */
#pragma once

#include <stdbool.h>

/**
 * entry_idle_at() - whether a call has plainly nothing to do
 * @argc:	as the kernel hands it over
 * @argv:	as the kernel hands it over
 * @policies:	the directory of the guests' policies
 * @claims:	the directory of the live claims
 *
 * Runs before the C library does: system calls of its own, no errno, no thread pointer.
 *
 * Return: true when it is libvirt's kind of call (four arguments) and either we are not root, or
 * the guest has no policy and no guest has a claim; false also when it cannot tell
 */
bool entry_idle_at(long argc, char *const *argv, const char *policies, const char *claims);
