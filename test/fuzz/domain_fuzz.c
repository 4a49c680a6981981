/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/fuzz/domain_fuzz.c - domain XML, held against libxml2's own tree of it
 *
 * objs: hooks
 */

#include "fuzz.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "hooks/domain.h"
#include "hooks/domain_guard.h"

static void check_error(const struct domain_error *err)
{
	CHECK(*err->what && memchr(err->what, 0, sizeof(err->what)));
	for (const char *p = err->what; *p; p++)
		CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
}

/* Canonical: reading and writing it again changes nothing */
static void check_list(const char *list)
{
	static char again[65536];
	struct cpulist set;

	if (!list)
		return;
	CHECK(cpulist_parse(list, &set) == 0 && !cpulist_empty(&set));
	CHECK(cpulist_format(&set, again, sizeof(again)) == 0);
	CHECK(strcmp(list, again) == 0);
}

static void check_pins(const struct domain_pin *pins, size_t nr)
{
	CHECK(nr <= DOMAIN_PINS_MAX);
	for (size_t i = 0; i < nr; i++) {
		CHECK(pins[i].cpus);
		check_list(pins[i].cpus);
		CHECK(i == 0 || pins[i].id > pins[i - 1].id);
	}
}

static void check_devices(const struct domain *domain)
{
	CHECK(domain->nr_pci <= DOMAIN_DEVICES_MAX);
	for (size_t i = 0; i < domain->nr_pci; i++) {
		const struct pciaddr *addr = &domain->pci[i].addr;

		CHECK(addr->bus <= 0xff && addr->slot <= 0x1f && addr->function <= 7);
		CHECK(addr->domain || addr->bus || addr->slot);
		CHECK(i == 0 || pciaddr_cmp(&domain->pci[i - 1].addr, addr) < 0);
	}
	CHECK(domain->nr_memories <= DOMAIN_DEVICES_MAX);
	for (size_t i = 0; i < domain->nr_memories; i++) {
		CHECK(domain->memories[i].model && domain->memories[i].node >= -1);
		check_list(domain->memories[i].nodes);
	}
	CHECK(domain->nr_cells <= DOMAIN_CELLS_MAX && domain->nr_pages <= DOMAIN_PAGES_MAX);
	for (size_t i = 0; i < domain->nr_pages; i++) {
		CHECK(domain->pages[i].size_kib > 0);
		check_list(domain->pages[i].cells);
	}
}

static void check_hugepages(const struct domain *domain)
{
	_cleanup_domain_hugepages_ struct domain_hugepages pages = { 0 };
	int r = domain_hugepages(domain, 2048, 4, &pages);

	CHECK(r == 0 || r == -EINVAL);
	for (size_t i = 0; i < pages.nr; i++) {
		CHECK(pages.needs[i].nr_pages > 0 && pages.needs[i].size_kib > 0);
		CHECK(pages.needs[i].size_kib != 4);
		if (*pages.needs[i].nodes)
			check_list(pages.needs[i].nodes);
		else
			CHECK(!pages.needs[i].strict);
	}
}

static void check_domain(const struct domain *domain)
{
	struct cpulist pinned, all;

	CHECK(domain->name && *domain->name);
	CHECK(uuid_valid(domain->uuid));
	CHECK(domain->vcpus_max > 0 && domain->vcpus_current > 0);
	check_pins(domain->vcpu_pins, domain->nr_vcpu_pins);
	check_pins(domain->iothread_pins, domain->nr_iothread_pins);
	check_list(domain->vcpu_cpus);
	check_list(domain->emulator_cpus);
	check_list(domain->numa_nodes);
	check_devices(domain);
	check_hugepages(domain);
	CHECK(domain_pinned_cpus(domain, &pinned) == 0 && domain_all_cpus(domain, &all) == 0);
	CHECK(cpulist_contains(&all, &pinned));
}

/* The text of <domain>'s own first <name>, without what its children hold */
static char *tree_name(const xmlNode *root)
{
	for (const xmlNode *node = root->children; node; node = node->next) {
		char *text = NULL;
		size_t len;
		FILE *f;

		if (node->type != XML_ELEMENT_NODE || node->ns ||
		    strcmp((char *)node->name, "name"))
			continue;
		f = open_memstream(&text, &len);
		CHECK(f);
		for (const xmlNode *t = node->children; t; t = t->next)
			if ((t->type == XML_TEXT_NODE || t->type == XML_CDATA_SECTION_NODE) &&
			    t->content)
				CHECK(fputs((char *)t->content, f) >= 0);
		CHECK(fclose(f) == 0);
		return text;
	}
	return NULL;
}

static xmlDoc *read_tree(const char *xml, size_t len)
{
	return xmlReadMemory(xml, (int)len, NULL, "UTF-8",
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				     XML_PARSE_IGNORE_ENC | XML_PARSE_HUGE);
}

/* What was refused as not well-formed is so to libxml2, too */
static void check_refusal(const char *xml, size_t len, const struct domain_error *err)
{
	const char *what = strstr(err->what, ": ");
	xmlDoc *doc;

	if (!what || (strncmp(what, ": no well-formed XML: ", 22) != 0 &&
		      strncmp(what, ": the XML ends ", 15) != 0))
		return;
	doc = read_tree(xml, len);
	CHECK(!doc);
}

/* What was accepted is to libxml2 a document without a DTD whose root is <domain> */
static void check_tree(const char *xml, size_t len, const struct domain *domain)
{
	_cleanup_free_ char *name = NULL;
	const xmlNode *root;
	xmlDoc *doc = read_tree(xml, len);

	CHECK(doc);
	CHECK(!doc->intSubset && !doc->extSubset);
	root = xmlDocGetRootElement(doc);
	CHECK(root && !root->ns && !strcmp((const char *)root->name, "domain"));
	name = tree_name(root);
	CHECK(name && !strcmp(name, domain->name));
	xmlFreeDoc(doc);
}

/* In pieces or whole, the guard stops at the same byte for the same reason */
static size_t check_guard(const char *xml, size_t len, bool *ret_done)
{
	struct guard whole = { .line = 1 }, pieces = { .line = 1 };
	size_t used = len, sum = 0;
	const char *why = guard_bytes(&whole, xml, len, &used), *why_piece = NULL;

	while (sum < len && !why_piece && !pieces.done) {
		size_t piece = 1 + sum % 7, n = 0;

		if (piece > len - sum)
			piece = len - sum;
		why_piece = guard_bytes(&pieces, xml + sum, piece, &n);
		sum += n;
	}
	CHECK(why == why_piece);
	CHECK(why || used == sum);
	CHECK(whole.line == pieces.line && whole.done == pieces.done);
	*ret_done = whole.done;
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_free_ char *xml = malloc(size ? size : 1);
	struct domain_error err = { "" };
	size_t used;
	bool done;
	int r;

	CHECK(xml);
	if (size > 0)
		memcpy(xml, data, size);
	used = check_guard(xml, size, &done);
	r = domain_parse(xml, size, &domain, &err);
	CHECK(r == 0 || r == -EBADMSG || r == -EFBIG);
	if (r < 0) {
		CHECK(!domain.name && domain.nr_pci == 0);
		check_error(&err);
		check_refusal(xml, size, &err);
		return 0;
	}
	/* The guard saw the root's end where libxml2 saw it */
	CHECK(done);
	check_domain(&domain);
	check_tree(xml, used, &domain);
	return 0;
}
