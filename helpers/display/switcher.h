/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/switcher.h - the process that switches one monitor, and looks after it */
#pragma once

#include "display.h"

struct switcher {
	struct helper_ctx *ctx;
	const struct display *display;
	char *guest; /* printable */
	int qemu;    /* pidfd */
	bool enrolled;
	char identity[EDID_IDENTITY]; /* of who is on the bus, "" when not known */
	long long deadline;
	struct bus_list buses;
};

/** switcher_report() - one line in the log: "GUEST: monitor MONITOR: ..." */
void switcher_report(const struct switcher *switcher, int priority, const char *fmt, ...)
	_printf_(3, 4);

/** switcher_wait() - Return: 0, -ECANCELED when QEMU has ended meanwhile */
int switcher_wait(const struct switcher *switcher, int ms) _must_check_;

/**
 * switcher_ask() - which input the monitor shows now
 * @index:	into switcher->buses
 *
 * Return: 0 with @ret filled as far as it answers, -ENOMEM
 */
int switcher_ask(struct switcher *switcher, size_t index, struct probe *ret) _must_check_;

/** switcher_write() - the guest's input, until it is acknowledged. Return: as monitor_set_input() */
int switcher_write(const struct switcher *switcher, unsigned int bus) _must_check_;

/**
 * aftermath() - until timeout_ms has passed: has it fallen back, is it deaf now
 * @host:	the host's input
 *
 * What it finds is done and logged; nothing that goes wrong from here on is an error.
 */
void aftermath(struct switcher *switcher, size_t index, int host);
