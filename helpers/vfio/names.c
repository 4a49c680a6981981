/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/names.c - devices and processes as people know them */
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "../../lib/library.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

/* A name is wanted only when something is to be said */
static struct library libpci = { .sonames = { "libpci.so.3", NULL } };

static struct {
	__typeof__(pci_alloc) *alloc;
	__typeof__(pci_cleanup) *cleanup;
	__typeof__(pci_lookup_name) *lookup_name;
} pci;

/* The list alone: no cache in a home directory, no udev, no question to the network */
#define LOOKUP_FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)

/* libpci calls this for a list that is damaged, and must not be returned to */
static jmp_buf damaged;

/* NOLINTBEGIN(readability-non-const-parameter): libpci's prototypes */

_printf_(1, 2) __attribute__((noreturn)) static void list_damaged(char *fmt, ...)
{
	(void)fmt;
	longjmp(damaged, 1);
}

_printf_(1, 2) static void be_quiet(char *fmt, ...)
{
	(void)fmt;
}
/* NOLINTEND(readability-non-const-parameter) */

#define SYMBOL(name) (pci.name = (__typeof__(pci.name))library_symbol(&libpci, "pci_" #name))

/*
 * pci_init() and pci_scan_bus() are left out on purpose: they would look at the real /sys, also
 * when the root is another tree.
 *
 * Return: NULL without libpci
 */
static struct pci_access *list_open(void)
{
	struct pci_access *list;

	if (!SYMBOL(alloc) || !SYMBOL(cleanup) || !SYMBOL(lookup_name))
		return NULL;
	list = pci.alloc();
	list->error = list_damaged;
	list->warning = be_quiet;
	list->debug = be_quiet;
	list->id_lookup_mode = 0;
	return list;
}

static void describe(struct pci_access *list, const struct pciid *id, char *buf, size_t size)
{
	char vendor[128], device[128];
	const char *v, *d;

	if (setjmp(damaged))
		return;
	v = pci.lookup_name(list, vendor, sizeof(vendor), LOOKUP_FLAGS | PCI_LOOKUP_VENDOR,
			    id->vendor);
	d = pci.lookup_name(list, device, sizeof(device), LOOKUP_FLAGS | PCI_LOOKUP_DEVICE,
			    id->vendor, id->device);
	if (v && d)
		(void)snprintf(buf, size, "%s %s", v, d);
	else if (v)
		(void)snprintf(buf, size, "%s %04x:%04x", v, id->vendor, id->device);
}

void pci_describe(const struct pciid *id, char *buf, size_t size)
{
	struct pci_access *list = list_open();

	(void)snprintf(buf, size, "%04x:%04x", id->vendor, id->device);
	if (!list)
		return;
	describe(list, id, buf, size);
	pci.cleanup(list);
}

void device_describe(int rootfd, const struct pciaddr *addr, const struct pciid *id, char *buf,
		     size_t size)
{
	char name[PCIADDR_STRLEN], text[260];
	struct pciid now;

	pciaddr_format(addr, name);
	if (!id && pcidev_id(rootfd, addr, &now) == 0)
		id = &now;
	if (!id) {
		(void)snprintf(buf, size, "%s", name);
		return;
	}
	pci_describe(id, text, sizeof(text));
	(void)snprintf(buf, size, "%s (%s)", name, text);
}

pid_t nodes_user(int rootfd, const struct strlist *nodes)
{
	if (nodes->nr == 0)
		return 0;
	return process_find_open(rootfd, (const char *const *)nodes->names, nodes->nr);
}
