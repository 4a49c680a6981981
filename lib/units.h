/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/units.h - the one number parser; sizes in KiB, durations in ms */
#pragma once

#include "cleanup.h"

/**
 * parse_ull() - a whole string as one unsigned number
 * @base:	10, 16, or 0 for C's prefixes (0x hex, 0 octal) as libvirt reads PCI attributes
 * @max:	largest accepted value
 *
 * No sign, no blank, no trailing text.
 *
 * Return: 0, -EINVAL when it is not such a number, -ERANGE past @max
 */
int parse_ull(const char *text, int base, unsigned long long max, unsigned long long *ret)
	_must_check_;

/** parse_uint() - parse_ull() for unsigned int. Return: as parse_ull() */
int parse_uint(const char *text, int base, unsigned int max, unsigned int *ret) _must_check_;

/**
 * parse_memory_kib() - an amount of memory with libvirt's unit names, rounded up to KiB
 * @number:	decimal digits
 * @unit:	b, bytes, k, KiB, KB, M, MiB, MB, ... E; any case; NULL or "" means KiB
 *
 * k/KiB/M/MiB/... are powers of 1024, KB/MB/... powers of 1000, as libvirt's virScaleInteger.
 *
 * Return: 0, -EINVAL for an unknown unit or number, -ERANGE past 2^64 - 1 bytes
 */
int parse_memory_kib(const char *number, const char *unit, unsigned long long *ret_kib)
	_must_check_;

/**
 * parse_size_kib() - "2M", "1 GiB", "512": number and unit in one string, as the policy has it
 *
 * Return: as parse_memory_kib()
 */
int parse_size_kib(const char *text, unsigned long long *ret_kib) _must_check_;

/**
 * parse_duration_ms() - "1500ms", "2s", "1.5s", "2min"; a bare number is seconds
 *
 * Return: 0, -EINVAL, -ERANGE past one day
 */
int parse_duration_ms(const char *text, int *ret_ms) _must_check_;

/**
 * parse_bool() - yes/no, on/off, true/false, 1/0 in any case
 *
 * Return: 1 or 0, -EINVAL
 */
int parse_bool(const char *text) _must_check_;
