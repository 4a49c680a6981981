/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/pciaddr.h - PCI addresses and ids as text */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

/* "10000:ff:1f.7" (VMD domains have more than four digits) and a NUL */
#define PCIADDR_STRLEN 20

struct pciaddr {
	unsigned int domain;   /* 0 to 0xffffffff */
	unsigned int bus;      /* 0 to 0xff */
	unsigned int slot;     /* 0 to 0x1f */
	unsigned int function; /* 0 to 7 */
};

struct pciid {
	unsigned int vendor; /* 0 to 0xffff */
	unsigned int device; /* 0 to 0xffff */
};

/* A device has this many BARs, its ROM aside */
#define PCIBAR_NR 6

/* A size for one of them */
struct pcibar {
	unsigned int bar;  /* 0 to PCIBAR_NR - 1 */
	unsigned int size; /* as the kernel counts: 2 to the power of it, in MiB */
};

/**
 * pciaddr_parse() - "0000:01:00.0", or "01:00.0" for domain 0, as lspci prints them
 *
 * Return: 0, -EINVAL, -ERANGE for a field past its range
 */
int pciaddr_parse(const char *text, struct pciaddr *ret) _must_check_;

/** pciaddr_format() - sysfs's form, "%04x:%02x:%02x.%x" */
void pciaddr_format(const struct pciaddr *addr, char buf[static PCIADDR_STRLEN]);

/** pciaddr_cmp() - order for sorting. Return: < 0, 0, > 0 */
int pciaddr_cmp(const struct pciaddr *a, const struct pciaddr *b);

/** pciaddr_same_slot() - functions of one device: equal but for the function number */
bool pciaddr_same_slot(const struct pciaddr *a, const struct pciaddr *b);

/**
 * pciid_parse() - "10de:1b80", hex without 0x
 *
 * Return: 0, -EINVAL
 */
int pciid_parse(const char *text, struct pciid *ret) _must_check_;

/**
 * pcibar_parse() - "0:256M": a BAR and a size that a resizable BAR can have
 *
 * Return: 0, -EINVAL
 * ABI: PCI Express 6.0 section 7.8.6, sizes of 1 MiB to 8 EiB in powers of two
 */
int pcibar_parse(const char *text, struct pcibar *ret) _must_check_;
