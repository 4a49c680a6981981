/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check.h - what would make a start fail or run badly */
#pragma once

#include <libxml/xpath.h>
#include <stdbool.h>

#include "../../lib/claim.h"
#include "../../lib/cpulist.h"
#include "guest.h"
#include "host.h"
#include "usher.h"

enum level {
	LEVEL_OK,
	LEVEL_NOTE, /* worth to be known; no fault */
	LEVEL_WARNING,
	LEVEL_ERROR,
};

struct finding {
	enum level level;
	const char *check; /* name of the row */
	char *text;	   /* cause, then behind ": " the cure */
};

/* One <vcpupin> */
struct pin {
	unsigned int vcpu;
	struct cpulist cpus;
};

struct check {
	const struct request *request;
	int rootfd;
	const char *name; /* of the row at work */
	struct finding *findings;
	size_t nr;
	struct missing missing; /* what a row could not look at, or not tell */

	struct host_devices devices;
	struct topology topology;
	struct cpulist online;

	/* Only for a guest: guest.name is NULL without one */
	struct guest guest;
	xmlDocPtr doc;
	xmlXPathContextPtr xpath;
	struct claim claim; /* guest is NULL without a policy, or when it is refused */
	char *refused;	    /* the line a start would be refused with */
	char *none;	    /* why there is no claim: see guest_claim() */
	struct pin *pins;
	size_t nr_pins;
	struct cpulist pinned;	    /* their union; without any <vcpu cpuset=>, if there is one */
	struct pciaddr_list passed; /* host devices: the XML's, and what a claim has beside them */
	bool has_pci;		    /* the XML passes some */
	bool has_gpu;
};

struct check_row {
	const char *name;
	const char *good; /* what is so when nothing was found */
	bool guest;	  /* needs one */
	void (*run)(struct check *check);
};

extern const struct check_row check_host_rows[];
extern const size_t check_nr_host_rows;
extern const struct check_row check_guest_rows[];
extern const size_t check_nr_guest_rows;

/** check_NAME() - the row of that name */
void check_autostart(struct check *check);
void check_nodes(struct check *check);
void check_pins(struct check *check);
void check_selinux(struct check *check);
void check_siblings(struct check *check);
void check_steps(struct check *check);
void check_tick(struct check *check);
void check_topology(struct check *check);

/** found() - one finding of the row at work: "CAUSE: CURE" */
void found(struct check *check, enum level level, const char *fmt, ...) _printf_(3, 4);

/**
 * check_lacks() - could something not be looked at: what is there counts as looked at, or is not there
 * @r:		what reading it returned
 * @what:	"/proc/cmdline"
 *
 * What is root's alone to see is a note to others; else the whole check fails.
 */
bool check_lacks(struct check *check, int r, const char *what);

/** check_has() - is there such a file or folder. False also when that cannot be told: check_lacks() */
bool check_has(struct check *check, const char *path);

/** check_read() - attr_read() into @buf, "" when there is none. Return: false: check_lacks() */
bool check_read(struct check *check, const char *path, char *buf, size_t size);

/** check_read_all() - attr_read_all(). Return: false when there is none, or check_lacks() */
bool check_read_all(struct check *check, const char *path, size_t max, char **ret);

/** check_list() - attr_list(), of what is not there nothing. Return: false: check_lacks() */
bool check_list(struct check *check, const char *path, struct strlist *ret);

/**
 * check_read_xml() - parse @check->guest.xml, for what is below, and read its pins
 *
 * Return: 0, -EBADMSG
 */
int check_read_xml(struct check *check) _must_check_;

void check_free(struct check *check);

/** guest_has() - an XPath below /domain that is true, or selects something */
bool guest_has(const struct check *check, const char *xpath);

/** guest_text() - the first such node's text, "" when there is none. Return: NULL for no memory */
char *guest_text(struct check *check, const char *xpath);

/** guest_number() - 0 when it is none */
unsigned int guest_number(struct check *check, const char *xpath);
