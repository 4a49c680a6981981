/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks/domain.c - read what usher needs of a guest's domain XML, streaming
 *
 * How it works
 *
 * libxml2's xmlTextReader hands over one node after the other. Each element is looked up in
 * domain_rows[] under the place its parent has; one without a row, or in a namespace, is skipped
 * with all it holds. So paths are absolute from /domain: what lies in <metadata>, or in
 * <qemu:commandline>, is never taken for the domain's own.
 *
 * The document comes from root's libvirtd, but a saved guest's was editable, and this program
 * decides by it what the host loses. So nothing in it can make the reader open a file, reach the
 * network or grow without bound: a DTD does not get past domain_guard.c, the encoding is UTF-8
 * whatever the document says, and size, depth and all lists have bounds.
 */

#include <errno.h>
#include <libxml/parser.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "../lib/deadline.h"
#include "domain_guard.h"
#include "domain_reader.h"
#include "given.h"

struct input {
	int fd; /* -1: from memory */
	long long deadline;
	const char *mem;
	size_t left; /* of the memory */
	size_t total;
	struct guard guard;
	int error;
	char why[128]; /* with error */
};

/* libxml2 2.12 made its error constant */
#if LIBXML_VERSION >= 21200
#define ERROR_CONST const
#else
#define ERROR_CONST
#endif

struct stream {
	struct domain_reader r;
	int xml_code; /* of libxml2's first fatal error, 0 for none */
	int xml_line;
	char xml_why[160];
	const struct domain_row *rows[DOMAIN_DEPTH_MAX]; /* of the open elements */
	int skip;  /* depth of the element that is skipped whole, -1 for none */
	bool done; /* </domain> was read */
};

static void pins_free(struct domain_pin *pins, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(pins[i].cpus);
	free(pins);
}

static void memory_free(struct domain *domain)
{
	for (size_t i = 0; i < domain->nr_memories; i++) {
		free(domain->memories[i].model);
		free(domain->memories[i].nodes);
	}
	free(domain->memories);
	for (size_t i = 0; i < domain->nr_pages; i++)
		free(domain->pages[i].cells);
	free(domain->pages);
	for (size_t i = 0; i < domain->nr_memnodes; i++)
		free(domain->memnodes[i].nodes);
	free(domain->memnodes);
	free(domain->cells);
	free(domain->memory_source);
	free(domain->numa_nodes);
}

void domain_free(struct domain *domain)
{
	free(domain->name);
	free(domain->pci);
	for (size_t i = 0; i < domain->nr_disks; i++)
		free(domain->disks[i].path);
	free(domain->disks);
	free(domain->vcpu_cpus);
	pins_free(domain->vcpu_pins, domain->nr_vcpu_pins);
	free(domain->emulator_cpus);
	pins_free(domain->iothread_pins, domain->nr_iothread_pins);
	memory_free(domain);
	free(domain->partition);
	free(domain->on_poweroff);
	free(domain->launch_security);
	*domain = (struct domain){ 0 };
}

const char *domain_pci_origin_name(enum domain_pci_origin origin)
{
	static const char *const names[] = {
		[DOMAIN_PCI_HOSTDEV] = "hostdev",
		[DOMAIN_PCI_INTERFACE] = "interface",
		[DOMAIN_PCI_NVME] = "nvme",
	};

	return names[origin];
}

/* --- Reading ----------------------------------------------------------------------------------- */

/* Return: 0 a read will not block, -ETIMEDOUT, else -errno */
static int input_wait(const struct input *in)
{
	struct pollfd fd = { .fd = in->fd, .events = POLLIN };
	int n;

	do
		n = poll(&fd, 1, deadline_left(in->deadline));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ETIMEDOUT;
	return n < 0 ? -errno : 0;
}

static ssize_t input_take(struct input *in, char *buf, size_t len)
{
	ssize_t n;

	if (in->fd < 0) {
		len = len < in->left ? len : in->left;
		memcpy(buf, in->mem, len);
		in->mem += len;
		in->left -= len;
		return (ssize_t)len;
	}
	n = input_wait(in);
	if (n < 0)
		return n;
	do
		n = read(in->fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n > 0 && in->fd == STDIN_FILENO)
		given_keep(buf, (size_t)n);
	return n < 0 ? -errno : n;
}

static int input_refuse(struct input *in, int error, const char *fmt, ...) _printf_(3, 4);

static int input_refuse(struct input *in, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(in->why, sizeof(in->why), fmt, args);
	va_end(args);
	in->error = error;
	return -1;
}

/* ABI: libxml2's xmlInputReadCallback: bytes, 0 at the end, -1 on error */
static int input_read(void *context, char *buf, int len)
{
	struct input *in = context;
	size_t used;
	const char *why;
	ssize_t n;

	/* Not one more read: whoever holds the other end may never close it */
	if (in->guard.done)
		return 0;
	n = input_take(in, buf, (size_t)len);
	if (n == -ETIMEDOUT)
		return input_refuse(in, (int)n,
				    "line %u: no </domain> within %d s, and stdin is still open",
				    in->guard.line, DOMAIN_READ_MS / 1000);
	if (n < 0)
		return input_refuse(in, (int)n, "cannot be read: %s", strerror((int)-n));
	in->total += (size_t)n;
	if (in->total > DOMAIN_XML_MAX)
		return input_refuse(in, -EFBIG, "larger than %zu MiB", DOMAIN_XML_MAX >> 20);
	why = guard_bytes(&in->guard, buf, (size_t)n, &used);
	if (why)
		return input_refuse(in, -EBADMSG, "line %u: %s", in->guard.line, why);
	return (int)used;
}

static int input_close(void *context)
{
	(void)context;
	return 0;
}

/* --- Elements ---------------------------------------------------------------------------------- */

static const struct domain_row *find_row(enum domain_place parent, const char *name)
{
	for (size_t i = 0; i < domain_nr_rows; i++) {
		if (domain_rows[i].parent == parent && strcmp(domain_rows[i].name, name) == 0)
			return &domain_rows[i];
	}
	return NULL;
}

/* The row of the current element. Return: NULL when it is to be skipped */
static const struct domain_row *wanted_row(struct stream *s, int depth)
{
	const char *name = (const char *)xmlTextReaderConstLocalName(s->r.xml);
	const struct domain_row *row;
	bool *seen;

	if (!name || xmlTextReaderConstNamespaceUri(s->r.xml))
		return NULL;
	row = find_row(depth == 0 ? PLACE_DOCUMENT : s->rows[depth - 1]->here, name);
	if (!row || !row->once)
		return row;
	seen = &s->r.seen[row - domain_rows];
	if (*seen)
		return NULL;
	*seen = true;
	return row;
}

static int end_element(struct stream *s, int depth)
{
	const struct domain_row *row = s->rows[depth];

	if (depth == 0)
		s->done = true;
	return row->end ? row->end(&s->r) : 0;
}

static int on_element(struct stream *s, int depth)
{
	bool empty = xmlTextReaderIsEmptyElement(s->r.xml) == 1;
	const struct domain_row *row;
	int e;

	if (s->skip >= 0)
		return 0;
	row = wanted_row(s, depth);
	if (!row && depth == 0)
		return domain_refuse(&s->r, "the root element is <%.48s>, not libvirt's <domain>",
				     (const char *)xmlTextReaderConstName(s->r.xml));
	if (!row) {
		s->skip = empty ? -1 : depth;
		return 0;
	}
	s->rows[depth] = row;
	s->r.text_len = 0;
	s->r.text[0] = '\0';
	e = row->start ? row->start(&s->r) : 0;
	return e < 0 || !empty ? e : end_element(s, depth);
}

static int on_end_element(struct stream *s, int depth)
{
	if (s->skip < 0)
		return end_element(s, depth);
	if (s->skip == depth)
		s->skip = -1;
	return 0;
}

static int on_text(struct stream *s, int depth)
{
	struct domain_reader *r = &s->r;
	const char *text;
	size_t len;

	if (s->skip >= 0 || depth == 0 || !s->rows[depth - 1]->text)
		return 0;
	text = (const char *)xmlTextReaderConstValue(r->xml);
	if (!text)
		return domain_no_memory(r);
	len = strlen(text);
	if (len >= DOMAIN_TEXT_MAX - r->text_len)
		return domain_refuse(r, "<%s> holds %d bytes or more", s->rows[depth - 1]->name,
				     DOMAIN_TEXT_MAX);
	memcpy(r->text + r->text_len, text, len + 1);
	r->text_len += len;
	return 0;
}

/* libxml2 keeps every name it has met until the document ends */
static int count_names(struct stream *s)
{
	const xmlNode *node = xmlTextReaderCurrentNode(s->r.xml);

	return node && node->doc && node->doc->dict ? xmlDictSize(node->doc->dict) : 0;
}

static int on_node(struct stream *s)
{
	static int (*const handlers[])(struct stream *, int) = {
		[XML_READER_TYPE_ELEMENT] = on_element,
		[XML_READER_TYPE_END_ELEMENT] = on_end_element,
		[XML_READER_TYPE_TEXT] = on_text,
		[XML_READER_TYPE_CDATA] = on_text,
		[XML_READER_TYPE_WHITESPACE] = on_text,
		[XML_READER_TYPE_SIGNIFICANT_WHITESPACE] = on_text,
	};
	int depth = xmlTextReaderDepth(s->r.xml);
	int type = xmlTextReaderNodeType(s->r.xml);

	if (depth < 0 || type < 0)
		return domain_no_memory(&s->r);
	if (depth >= DOMAIN_DEPTH_MAX)
		return domain_refuse(&s->r, "elements nested deeper than %d", DOMAIN_DEPTH_MAX);
	if (count_names(s) > DOMAIN_NAMES_MAX)
		return domain_refuse(&s->r, "more than %d names of elements and attributes",
				     DOMAIN_NAMES_MAX);
	if ((size_t)type >= ARRAY_SIZE(handlers) || !handlers[type])
		return 0;
	return handlers[type](s, depth);
}

/* --- The whole document ------------------------------------------------------------------------ */

static void on_xml_error(void *context, ERROR_CONST xmlError *error)
{
	struct stream *s = context;
	const char *why = error->message ? error->message : "unknown error";

	if (error->level != XML_ERR_FATAL || s->xml_code)
		return;
	s->xml_code = error->code;
	s->xml_line = error->line;
	(void)snprintf(s->xml_why, sizeof(s->xml_why), "%.*s", (int)strcspn(why, "\n"), why);
}

/* Why xmlTextReaderRead() gave up before </domain> */
static int refuse_stream(struct stream *s, const struct input *in)
{
	struct domain_reader *r = &s->r;

	if (in->error < 0) {
		(void)snprintf(r->err->what, sizeof(r->err->what), "%s", in->why);
		return in->error;
	}
	/* Without memory libxml2 2.9 does not always say so, nor that anything is wrong */
	if (s->xml_code == XML_ERR_NO_MEMORY)
		return domain_no_memory(r);
	r->line = s->xml_line > 0 ? s->xml_line : (int)in->guard.line;
	if (in->total == 0 || !s->xml_code || s->xml_code == XML_ERR_DOCUMENT_END ||
	    s->xml_code == XML_ERR_TAG_NOT_FINISHED)
		return domain_refuse(r, "the XML ends before </domain>");
	return domain_refuse(r, "no well-formed XML: %s", s->xml_why);
}

static int read_nodes(struct stream *s, const struct input *in)
{
	while (!s->done) {
		int e;

		if (xmlTextReaderRead(s->r.xml) != 1)
			return refuse_stream(s, in);
		e = on_node(s);
		if (e < 0)
			return e;
	}
	return 0;
}

static int cmp_pci(const void *a, const void *b)
{
	return pciaddr_cmp(&((const struct domain_pci *)a)->addr,
			   &((const struct domain_pci *)b)->addr);
}

static int cmp_uint(unsigned int a, unsigned int b)
{
	return (a > b) - (a < b);
}

static int cmp_pin(const void *a, const void *b)
{
	return cmp_uint(((const struct domain_pin *)a)->id, ((const struct domain_pin *)b)->id);
}

static int cmp_cell(const void *a, const void *b)
{
	return cmp_uint(((const struct domain_cell *)a)->id, ((const struct domain_cell *)b)->id);
}

static void sort(void *list, size_t nr, size_t size, int (*cmp)(const void *, const void *))
{
	if (nr > 0)
		qsort(list, nr, size, cmp);
}

static int sort_pins(struct domain_reader *r, struct domain_pin *pins, size_t nr, const char *what)
{
	sort(pins, nr, sizeof(*pins), cmp_pin);
	for (size_t i = 1; i < nr; i++) {
		if (pins[i].id == pins[i - 1].id)
			return domain_refuse(r, "%s %u is pinned twice", what, pins[i].id);
	}
	return 0;
}

static int sort_cells(struct domain_reader *r)
{
	struct domain *domain = &r->domain;

	sort(domain->cells, domain->nr_cells, sizeof(*domain->cells), cmp_cell);
	for (size_t i = 1; i < domain->nr_cells; i++) {
		if (domain->cells[i].id == domain->cells[i - 1].id)
			return domain_refuse(r, "NUMA cell %u is there twice", domain->cells[i].id);
	}
	return 0;
}

/* Without <vcpus> they are the first ones */
static void finish_vcpus(struct domain *domain)
{
	if (domain->vcpus_max == 0)
		domain->vcpus_max = 1;
	if (domain->vcpus_current == 0)
		domain->vcpus_current = domain->vcpus_max;
	if (!cpulist_empty(&domain->vcpus_online)) {
		domain->vcpus_current = (unsigned int)cpulist_count(&domain->vcpus_online);
		return;
	}
	for (unsigned int id = 0; id < domain->vcpus_current && id < CPULIST_MAX; id++)
		cpulist_add(&domain->vcpus_online, id);
}

/* What only the whole document shows, and what its missing elements mean */
static int finish(struct domain_reader *r)
{
	struct domain *domain = &r->domain;
	int e;

	if (!domain->name || !*domain->uuid)
		return domain_refuse(r, "<domain> lacks its <%s>", domain->name ? "uuid" : "name");
	finish_vcpus(domain);
	sort(domain->pci, domain->nr_pci, sizeof(*domain->pci), cmp_pci);
	e = sort_pins(r, domain->vcpu_pins, domain->nr_vcpu_pins, "vCPU");
	if (e == 0)
		e = sort_pins(r, domain->iothread_pins, domain->nr_iothread_pins, "iothread");
	return e < 0 ? e : sort_cells(r);
}

static void stream_free(struct stream *s)
{
	xmlFreeTextReader(s->r.xml);
	domain_free(&s->r.domain);
	free(s->r.seen);
	free(s->r.text);
	free(s->r.list);
}

static void say_nothing(void *context, const char *fmt, ...) _printf_(2, 3);

static void say_nothing(void *context, const char *fmt, ...)
{
	(void)context;
	(void)fmt;
}

static int stream_open(struct stream *s, struct input *in)
{
	struct domain_reader *r = &s->r;

	/* Our stderr is one line for the user */
	xmlSetGenericErrorFunc(NULL, say_nothing);
	r->seen = calloc(domain_nr_rows, sizeof(*r->seen));
	r->text = malloc(DOMAIN_TEXT_MAX);
	r->list = malloc(DOMAIN_TEXT_MAX);
	if (!r->seen || !r->text || !r->list)
		return domain_no_memory(r);
	/* A converter for any other encoding would be loaded from the disk */
	r->xml = xmlReaderForIO(input_read, input_close, in, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC);
	if (!r->xml)
		return domain_no_memory(r);
	xmlTextReaderSetStructuredErrorHandler(r->xml, on_xml_error, s);
	return 0;
}

static int read_domain(struct input *in, struct domain *ret, struct domain_error *err)
{
	_cleanup_(stream_free) struct stream s = {
		.r = { .err = err, .domain = { .memory_balloon = true } },
		.skip = -1,
	};
	int e;

	err->what[0] = '\0';
	e = stream_open(&s, in);
	if (e == 0)
		e = read_nodes(&s, in);
	if (e == 0)
		e = finish(&s.r);
	if (e < 0)
		return e;
	*ret = s.r.domain;
	s.r.domain = (struct domain){ 0 };
	return 0;
}

int domain_read(int fd, struct domain *ret, struct domain_error *err)
{
	struct input in = { .fd = fd,
			    .deadline = deadline_in(DOMAIN_READ_MS),
			    .guard = { .line = 1 } };

	return read_domain(&in, ret, err);
}

int domain_parse(const char *xml, size_t len, struct domain *ret, struct domain_error *err)
{
	struct input in = { .fd = -1, .mem = xml, .left = len, .guard = { .line = 1 } };

	return read_domain(&in, ret, err);
}
