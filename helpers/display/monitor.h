/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/monitor.h - who is on which bus, asked side by side */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../../lib/cleanup.h"
#include "bus.h"
#include "caps.h"
#include "edid.h"

/* What one bus is asked */
struct probe_ask {
	bool edid;
	bool input;
	bool offers;		/* which inputs it has: 100 ms for each 32 bytes of a string */
	uint8_t source_address; /* for both */
};

/* What it answered; -ENODATA for what it was not asked */
struct probe {
	int error; /* of EDID; -ETIMEDOUT when the bus hangs */
	struct edid edid;
	int input_error; /* of reading the input source */
	uint8_t input;
	struct caps_inputs offers; /* empty when it does not say */
};

/** probe_is_heard() - did the monitor answer over DDC/CI, be it nonsense. Return: 1 or 0 */
int probe_is_heard(const struct probe *probe);

/**
 * probe_is_deaf() - did nobody acknowledge the DDC/CI address
 *
 * A bus that hangs, or an address that a driver holds, says nothing of the monitor.
 *
 * Return: 1 or 0
 */
int probe_is_deaf(const struct probe *probe);

/**
 * monitors_ask() - ask several buses at once
 * @list:	buses that do not return in time are marked hung, and those marked are not asked
 * @asks:	one for each bus
 * @probes:	one for each bus; what is not asked stays as it is
 *
 * Return: 0, -ENOMEM
 */
int monitors_ask(int rootfd, struct bus_list *list, const struct probe_ask *asks, int timeout_ms,
		 struct probe *probes) _must_check_;

/**
 * monitors_identify() - monitors_ask() every bus for EDID
 * @ret:	allocated, one for each bus
 *
 * Return: 0, -ENOMEM
 */
int monitors_identify(int rootfd, struct bus_list *list, int timeout_ms, struct probe **ret)
	_must_check_;

/**
 * monitors_look_for() - monitors_identify() until one monitor has been found
 * @here:	as in struct fanout: when a bus is marked hung, go on in a child
 *
 * Where the serial is named, the others get no more than a moment then, to say that it is not the
 * only one: a bus that hangs costs the timeout only where the monitor is not found. Of a model there
 * may well be two, one of them slow: all are waited for. A connector is known without asking.
 *
 * Return: 0, -ENOMEM
 */
int monitors_look_for(int rootfd, struct bus_list *list, const char *monitor, bool here,
		      int timeout_ms, struct probe **ret) _must_check_;

/**
 * monitor_find() - the one bus that a claim's "monitor" means
 * @monitor:	EDID identity or connector
 *
 * A connector need not answer; an identity must.
 *
 * Return: index of the bus, -ENOENT when there is none, -ENOTUNIQ when several answer to it
 */
int monitor_find(const struct bus_list *list, const struct probe *probes, const char *monitor)
	_must_check_;

/** monitor_is_on() - is a bus's monitor the one that is meant. Return: 1 or 0 */
int monitor_is_on(const struct bus *bus, const struct probe *probe, const char *monitor);

/** monitor_is_connector() - "card0-DP-1", not an EDID identity. Return: 1 or 0 */
int monitor_is_connector(const char *monitor);

/** monitor_valid() - is it either. Return: 1 or 0 */
int monitor_valid(const char *monitor);

/**
 * monitor_set_input() - write the input source to a bus, again until it is acknowledged
 * @deadline:	as deadline_in(); tried once at least
 * @qemu:	a pidfd whose end ends the attempts, -1 for none
 *
 * Return: 0, -ECANCELED when @qemu has ended, else the last -errno of i2c_open() or ddc_set()
 */
int monitor_set_input(int rootfd, unsigned int bus, uint8_t source_address, uint8_t input,
		      long long deadline, int qemu) _must_check_;
