/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/domain_reader.h - between the streaming reader and its table of elements */
#pragma once

#include <libxml/xmlreader.h>

#include "domain.h"

/* Longest text of an element that is kept; a cpuset is an attribute and has no such bound */
#define DOMAIN_TEXT_MAX 65536

/* Where an element stands: what its children are looked up under */
enum domain_place {
	PLACE_DOCUMENT,
	PLACE_LEAF, /* nothing in it is looked at */
	PLACE_DOMAIN,
	PLACE_VCPUS,
	PLACE_BACKING,
	PLACE_HUGEPAGES,
	PLACE_NUMATUNE,
	PLACE_CPUTUNE,
	PLACE_CPU,
	PLACE_NUMA,
	PLACE_RESOURCE,
	PLACE_DEVICES,
	PLACE_PCI_DEVICE, /* hostdev or interface */
	PLACE_PCI_SOURCE,
	PLACE_DISK, /* a disk, or one of its chain */
	PLACE_DISK_SOURCE,
	PLACE_MEMORY,
	PLACE_MEMORY_SOURCE,
	PLACE_MEMORY_TARGET,
};

/* What the element being read needs to remember until its end */
struct domain_draft {
	bool pci; /* a PCI function of the host is to come */
	struct domain_pci device;
	struct domain_memory *memory;
	size_t disks_before; /* how many there were when the <disk> began */
	int backing;	     /* in how many <backingStore> we are */
	bool readonly, shareable;
	char unit[16]; /* of the number in the text */
};

struct domain_reader {
	xmlTextReader *xml;
	struct domain domain; /* what was read so far */
	struct domain_error *err;
	int error;  /* first -errno; what follows it is not reported */
	int line;   /* of what is wrong; 0: of the current element */
	bool *seen; /* by row: elements of which libvirt takes the first */
	struct domain_draft draft;
	char *text; /* of the current element, DOMAIN_TEXT_MAX */
	size_t text_len;
	char *list; /* room for one formatted CPU list */
};

struct domain_row {
	const char *name;
	int (*start)(struct domain_reader *r); /* reads attributes; may be NULL */
	int (*end)(struct domain_reader *r);   /* reads the text; may be NULL */
	enum domain_place parent;
	enum domain_place here;
	bool text; /* the text is wanted */
	bool once; /* libvirt takes the first, and so do we */
};

extern const struct domain_row domain_rows[];
extern const size_t domain_nr_rows;

/**
 * domain_refuse() - set the error to "line N: ...", printable
 *
 * Return: -EBADMSG
 */
int domain_refuse(struct domain_reader *r, const char *fmt, ...) _printf_(2, 3);

/** domain_no_memory() - set the error. Return: -ENOMEM */
int domain_no_memory(struct domain_reader *r);

/**
 * domain_attr() - an attribute of no namespace
 *
 * Return: 0, -ENOMEM; *@ret is NULL when the element lacks it
 */
int domain_attr(struct domain_reader *r, const char *name, char **ret) _must_check_;

/** domain_attr_is() - has this attribute that value. Return: 1 or 0, -ENOMEM */
int domain_attr_is(struct domain_reader *r, const char *name, const char *value) _must_check_;

/**
 * domain_attr_uint() - an attribute that is a number
 * @base:	10, or 0 for PCI addresses
 *
 * Return: 1 and *@ret, 0 when the element lacks it (*@ret untouched), -EBADMSG, -ENOMEM
 */
int domain_attr_uint(struct domain_reader *r, const char *name, int base, unsigned int max,
		     unsigned int *ret) _must_check_;

/**
 * domain_attr_kib() - an amount of memory, its unit in the attribute @unit (KiB without)
 *
 * Return: as domain_attr_uint()
 */
int domain_attr_kib(struct domain_reader *r, const char *name, const char *unit,
		    unsigned long long *ret) _must_check_;

/**
 * domain_attr_list() - a set of CPUs or nodes, in the kernel's list form
 *
 * Return: as domain_attr_uint(); -EBADMSG for an empty set too
 */
int domain_attr_list(struct domain_reader *r, const char *name, char **ret) _must_check_;

/** domain_text_uint() - the element's text. Return: 0, -EBADMSG */
int domain_text_uint(struct domain_reader *r, unsigned int max, unsigned int *ret) _must_check_;

/** domain_text_kib() - the element's text in the unit of its draft. Return: 0, -EBADMSG */
int domain_text_kib(struct domain_reader *r, unsigned long long *ret) _must_check_;

/** domain_text_list() - as domain_attr_list(). Return: 0, -EBADMSG, -ENOMEM */
int domain_text_list(struct domain_reader *r, char **ret) _must_check_;

/** domain_text_copy() - the text, blanks at both ends cut off. Return: 0, -ENOMEM */
int domain_text_copy(struct domain_reader *r, char **ret) _must_check_;

/**
 * domain_list_grow() - room for one more element, zeroed
 * @list:	address of the list's pointer
 * @what:	its name in the plural, for the message
 *
 * Return: 0, -EBADMSG at @max, -ENOMEM
 */
int domain_list_grow(struct domain_reader *r, void *list, size_t *nr, size_t size, size_t max,
		     const char *what) _must_check_;
