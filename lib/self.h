/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/self.h - where our own programs are */
#pragma once

#include "cleanup.h"

/**
 * self_dir() - the directory the running program lies in
 *
 * The programs of usher lie side by side, installed or in build/.
 *
 * Return: 0, -ENAMETOOLONG, else -errno of readlink(2)
 */
int self_dir(char *buf, size_t size) _must_check_;
