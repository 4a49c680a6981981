/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/domain_values.c - the grammar of libvirt's attributes and texts */

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "../lib/units.h"
#include "domain_reader.h"

/* As much of a wrong value as a message shows */
#define SHOWN_MAX 48

static int line_number(struct domain_reader *r)
{
	const xmlNode *node = xmlTextReaderCurrentNode(r->xml);

	if (r->line > 0 || !node)
		return r->line;
	return (int)xmlGetLineNo(node);
}

int domain_refuse(struct domain_reader *r, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *printable = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return domain_no_memory(r);
	}
	if (text_printable(text, &printable) < 0)
		return domain_no_memory(r);
	if (r->error < 0)
		return r->error;
	(void)snprintf(r->err->what, sizeof(r->err->what), "line %d: %s", line_number(r),
		       printable);
	r->error = -EBADMSG;
	return r->error;
}

int domain_no_memory(struct domain_reader *r)
{
	if (r->error == 0) {
		(void)snprintf(r->err->what, sizeof(r->err->what), "out of memory");
		r->error = -ENOMEM;
	}
	return r->error;
}

/* Not by xmlTextReaderGetAttribute(): without memory that finds no attribute, and says nothing */
int domain_attr(struct domain_reader *r, const char *name, char **ret)
{
	const xmlNode *node = xmlTextReaderCurrentNode(r->xml);
	const xmlAttr *attr = node ? node->properties : NULL;
	const xmlNode *text;

	while (attr && (attr->ns || strcmp((const char *)attr->name, name) != 0))
		attr = attr->next;
	*ret = NULL;
	if (!attr)
		return 0;
	/* One text: where no entity can be declared, there is no reference to one */
	text = attr->children;
	*ret = strdup(text && text->content ? (const char *)text->content : "");
	return *ret ? 0 : domain_no_memory(r);
}

int domain_attr_is(struct domain_reader *r, const char *name, const char *value)
{
	_cleanup_free_ char *text = NULL;
	int e = domain_attr(r, name, &text);

	if (e < 0)
		return e;
	return text && strcmp(text, value) == 0;
}

static const char *element(struct domain_reader *r)
{
	const xmlChar *name = xmlTextReaderConstLocalName(r->xml);

	return name ? (const char *)name : "";
}

static int refuse_attr(struct domain_reader *r, const char *name, const char *value,
		       const char *wanted)
{
	return domain_refuse(r, "<%s %s='%.*s'> is not %s", element(r), name, SHOWN_MAX, value,
			     wanted);
}

static int refuse_text(struct domain_reader *r, const char *wanted)
{
	return domain_refuse(r, "<%s> '%.*s' is not %s", element(r), SHOWN_MAX, r->text, wanted);
}

int domain_attr_uint(struct domain_reader *r, const char *name, int base, unsigned int max,
		     unsigned int *ret)
{
	_cleanup_free_ char *value = NULL;
	char wanted[48];
	int e = domain_attr(r, name, &value);

	if (e < 0 || !value)
		return e;
	if (parse_uint(value, base, max, ret) == 0)
		return 1;
	(void)snprintf(wanted, sizeof(wanted), "a number from 0 to %u", max);
	return refuse_attr(r, name, value, wanted);
}

int domain_attr_kib(struct domain_reader *r, const char *name, const char *unit,
		    unsigned long long *ret)
{
	_cleanup_free_ char *value = NULL, *unit_name = NULL;
	int e = domain_attr(r, name, &value);

	if (e < 0 || !value)
		return e;
	e = domain_attr(r, unit, &unit_name);
	if (e < 0)
		return e;
	if (parse_memory_kib(value, unit_name, ret) == 0)
		return 1;
	return refuse_attr(r, name, value, "an amount of memory");
}

/* Return: 0, -EBADMSG with no message, -ENOMEM */
static int list_canonical(struct domain_reader *r, const char *text, char **ret)
{
	struct cpulist set;
	char *list;

	if (cpulist_parse(text, &set) < 0 || cpulist_empty(&set))
		return -EBADMSG;
	if (cpulist_format(&set, r->list, DOMAIN_TEXT_MAX) < 0)
		return -EBADMSG;
	list = strdup(r->list);
	if (!list)
		return -ENOMEM;
	free(*ret);
	*ret = list;
	return 0;
}

int domain_attr_list(struct domain_reader *r, const char *name, char **ret)
{
	_cleanup_free_ char *value = NULL;
	int e = domain_attr(r, name, &value);

	if (e < 0 || !value)
		return e;
	e = list_canonical(r, value, ret);
	if (e == -ENOMEM)
		return domain_no_memory(r);
	return e < 0 ? refuse_attr(r, name, value, "a list like 0-3,8") : 1;
}

/* The text without blanks at its ends, as libvirt's number parsers see it */
static const char *trimmed_text(struct domain_reader *r)
{
	static const char blanks[] = " \t\r\n";
	char *start = r->text + strspn(r->text, blanks);
	size_t len = strlen(start);

	while (len > 0 && strchr(blanks, start[len - 1]))
		len--;
	start[len] = '\0';
	return start;
}

int domain_text_uint(struct domain_reader *r, unsigned int max, unsigned int *ret)
{
	if (parse_uint(trimmed_text(r), 10, max, ret) < 0)
		return refuse_text(r, "a number");
	return 0;
}

int domain_text_kib(struct domain_reader *r, unsigned long long *ret)
{
	if (parse_memory_kib(trimmed_text(r), r->draft.unit, ret) < 0)
		return refuse_text(r, "an amount of memory");
	return 0;
}

int domain_text_list(struct domain_reader *r, char **ret)
{
	int e = list_canonical(r, trimmed_text(r), ret);

	if (e == -ENOMEM)
		return domain_no_memory(r);
	return e < 0 ? refuse_text(r, "a list like 0-3,8") : 0;
}

int domain_text_copy(struct domain_reader *r, char **ret)
{
	char *copy = strdup(trimmed_text(r));

	if (!copy)
		return domain_no_memory(r);
	free(*ret);
	*ret = copy;
	return 0;
}

int domain_list_grow(struct domain_reader *r, void *list, size_t *nr, size_t size, size_t max,
		     const char *what)
{
	char *grown;

	if (*nr >= max)
		return domain_refuse(r, "more than %zu %s", max, what);
	/* Copied, because no lvalue of one type can stand for pointers to all types */
	memcpy(&grown, list, sizeof(grown));
	grown = reallocarray(grown, *nr + 1, size);
	if (!grown)
		return domain_no_memory(r);
	memcpy(list, &grown, sizeof(grown));
	memset(grown + *nr * size, 0, size);
	(*nr)++;
	return 0;
}
