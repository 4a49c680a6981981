/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/policy_check.h - between the policy's files, its table and its grammar */
#pragma once

#include "policy.h"

#define POLICY_BLANKS	 " \t,"
#define POLICY_WORD_ENDS " \t,:"

/**
 * policy_base() - "display" for "display left", else the section itself
 *
 * Return: NULL for a section no row has, or a name that is not one word
 */
const char *policy_base(const char *section);

/** policy_row() - the row of a key. Return: NULL when there is none */
const struct policy_key *policy_row(const char *section, const char *key);

/**
 * policy_check_value() - is this value in the key's grammar ("auto" always is)
 * @err:	becomes what is wrong: "'foo' is no PCI address like 0000:01:00.0"
 *
 * Return: 0, -EINVAL with @err filled, -ENOMEM
 */
int policy_check_value(const struct policy_key *row, const char *value, struct policy_error *err)
	_must_check_;

/**
 * policy_check() - everything that is wrong with two files that parse
 *
 * Return: 0, -EBADMSG with @err filled, -ENOMEM
 */
int policy_check(const struct policy *policy, struct policy_error *err) _must_check_;

/** policy_expect_parse() - ADDR=VENDOR:DEVICE[/SERIAL]. Return: 0, -EINVAL, -ENOMEM */
int policy_expect_parse(const char *text, struct policy_expect *ret) _must_check_;

/** policy_byte() - 0 to 255, decimal or 0x hex. Return: the number, -EINVAL */
int policy_byte(const char *text);
