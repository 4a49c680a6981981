/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/recorded.h - the recorded desktop, unpacked once; each test works on a copy */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"

static char base[64]; /* the recording lies in its "host" */

static void sh(const char *fmt, ...) _printf_(1, 2);
static void sh(const char *fmt, ...)
{
	char *command;
	va_list args;

	va_start(args, fmt);
	assert_true(vasprintf(&command, fmt, args) > 0);
	va_end(args);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c,concurrency-mt-unsafe) */
	free(command);
}

static int recorded_setup(void **state)
{
	(void)state;
	/* In memory a tree of two thousand small files is made ten times faster */
	(void)snprintf(base, sizeof(base), "%s/usher-recorded-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(base));
	sh("test/trees/unpack %s/host test/trees/desktop.tree", base);
	return 0;
}

static int recorded_teardown(void **state)
{
	(void)state;
	sh("rm -rf %s", base);
	return 0;
}
