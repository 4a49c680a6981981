/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/guest_devices.c - the host's PCI devices that a guest's XML passes */
#include <errno.h>
#include <libxml/xpath.h>
#include <stdint.h>
#include <string.h>

#include "../../lib/units.h"
#include "guest.h"

/* An <address> outside of a <source> is one in the guest */
#define ADDRESSES                                                                                  \
	"/domain/devices/hostdev[@type='pci']/source/address | "                                   \
	"/domain/devices/interface[@type='hostdev']/source/address | "                             \
	"/domain/devices/disk[@type='nvme']/source/address"

static void doc_free(xmlDocPtr *doc)
{
	xmlFreeDoc(*doc);
}

static void context_free(xmlXPathContextPtr *context)
{
	xmlXPathFreeContext(*context);
}

static void object_free(xmlXPathObjectPtr *object)
{
	xmlXPathFreeObject(*object);
}

/* What is left out is 0, as with libvirt. Return: false for what is no such number */
static bool read_part(xmlNodePtr node, const char *name, unsigned int max, unsigned int *ret)
{
	xmlChar *text = xmlGetProp(node, (const xmlChar *)name);
	bool good = !text || parse_uint((const char *)text, 0, max, ret) == 0;

	xmlFree(text);
	return good;
}

static bool read_address(xmlNodePtr node, struct pciaddr *ret)
{
	*ret = (struct pciaddr){ 0 };
	return read_part(node, "domain", UINT32_MAX, &ret->domain) &&
	       read_part(node, "bus", 0xff, &ret->bus) &&
	       read_part(node, "slot", 0x1f, &ret->slot) &&
	       read_part(node, "function", 7, &ret->function);
}

int guest_devices(const char *xml, struct pciaddr_list *ret)
{
	_cleanup_(doc_free) xmlDocPtr doc =
		xmlReadMemory(xml, (int)strlen(xml), "guest.xml", NULL,
			      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	_cleanup_(context_free) xmlXPathContextPtr context = doc ? xmlXPathNewContext(doc) : NULL;
	_cleanup_(object_free) xmlXPathObjectPtr object =
		context ? xmlXPathEvalExpression((const xmlChar *)ADDRESSES, context) : NULL;
	int nr = object && object->nodesetval ? object->nodesetval->nodeNr : 0, r = 0;

	for (int i = 0; r == 0 && i < nr; i++) {
		struct pciaddr addr;

		if (read_address(object->nodesetval->nodeTab[i], &addr) &&
		    !pciaddr_list_has(ret, &addr))
			r = pciaddr_list_add(ret, &addr);
	}
	return r;
}
