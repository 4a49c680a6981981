/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/caps.h - capabilities that a process of root's can do without */
#pragma once

#include <linux/capability.h>

/** CAP_BIT() - of CAP_SYS_NICE in a set of them */
#define CAP_BIT(cap) (1ULL << (cap))

#define CAPS_NONE 0ULL
#define CAPS_ALL  (~0ULL)
/* To see what processes of any user have open, and read files in their directories */
#define CAPS_LOOK (CAP_BIT(CAP_SYS_PTRACE) | CAP_BIT(CAP_DAC_READ_SEARCH))

/**
 * caps_keep() - give up all capabilities but @keep, for good
 *
 * Of this thread and of what it starts: also a program that is executed has no more, being root's or
 * not. What root owns stays root's.
 *
 * Return: 0, else -errno of the first that failed: the others have been tried all the same
 * ABI: capabilities(7), "Effect of user ID changes"; PR_CAPBSET_DROP needs CAP_SETPCAP
 */
int caps_keep(unsigned long long keep);
