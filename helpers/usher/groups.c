/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/groups.c - usher groups: IOMMU groups, to look at, to keep and to compare */
#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/units.h"
#include "host.h"
#include "json.h"
#include "paint.h"

/*
 * How it works
 *
 * Firmware updates and new cards renumber buses and groups. A saved picture is XML; compared with
 * the host of today it tells for each device whether it is gone, new, has moved to another
 * address, has another group (told by its mates: the number itself means nothing) or another
 * way to be reset.
 */

/* Of the file. It rises when an older usher would read it wrongly */
#define FORMAT "1"

/* --- out ---------------------------------------------------------------------------------------- */

static void print_device(const struct host_device *device, const char *holder)
{
	char addr[PCIADDR_STRLEN];

	pciaddr_format(&device->addr, addr);
	(void)printf("  %s %s [%04x:%04x]%s\n    %s, driver %s, reset %s", addr, device->name,
		     device->id.vendor, device->id.device,
		     device->boot_vga ? " (the firmware's screen)" : "", device->class_name,
		     *device->driver ? device->driver : "none",
		     *device->reset ? device->reset : "none");
	if (holder)
		(void)printf(", held by %s%s%s", paint(PAINT_GUEST), shown(holder),
			     paint(PAINT_NONE));
	(void)putchar('\n');
}

static void print_text(const struct host_devices *list, const struct claims *claims)
{
	int last = -2;

	for (size_t i = 0; i < list->nr; i++) {
		const struct host_device *device = &list->devices[i];

		if (device->group != last && device->group < 0)
			(void)printf("no group\n");
		else if (device->group != last)
			(void)printf("group %d\n", device->group);
		last = device->group;
		print_device(device, host_device_holder(claims, &device->addr));
	}
}

static void json_device(struct json *json, const struct host_device *device, const char *holder)
{
	char addr[PCIADDR_STRLEN], id[16];

	pciaddr_format(&device->addr, addr);
	(void)snprintf(id, sizeof(id), "%04x:%04x", device->id.vendor, device->id.device);
	json_object(json, NULL);
	json_string(json, "address", addr);
	json_number(json, "group", device->group);
	json_string(json, "id", id);
	json_string(json, "name", device->name);
	json_string(json, "class", device->class_name);
	json_bool(json, "bridge", device->bridge);
	json_bool(json, "boot_vga", device->boot_vga);
	json_string(json, "driver", *device->driver ? device->driver : NULL);
	json_string(json, "reset", *device->reset ? device->reset : NULL);
	json_string(json, "guest", holder);
	json_close(json, '}');
}

static void print_json(const struct host_devices *list, const struct claims *claims)
{
	struct json json;

	json_begin(&json, stdout, "groups");
	json_list(&json, "devices");
	for (size_t i = 0; i < list->nr; i++)
		json_device(&json, &list->devices[i],
			    host_device_holder(claims, &list->devices[i].addr));
	json_close(&json, ']');
	json_end(&json);
}

static int set(xmlNodePtr node, const char *name, const char *value)
{
	return xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)value) ? 0 : -ENOMEM;
}

static int xml_device(xmlNodePtr group, const struct host_device *device)
{
	xmlNodePtr node = xmlNewChild(group, NULL, (const xmlChar *)"device", NULL);
	char addr[PCIADDR_STRLEN], id[16];
	const char *const attributes[][2] = {
		{ "address", addr },
		{ "id", id },
		{ "name", device->name },
		{ "class", device->class_name },
		{ "driver", device->driver },
		{ "reset", device->reset },
		{ "boot_vga", device->boot_vga ? "yes" : "no" },
		{ "bridge", device->bridge ? "yes" : "no" },
	};
	int r = node ? 0 : -ENOMEM;

	pciaddr_format(&device->addr, addr);
	(void)snprintf(id, sizeof(id), "%04x:%04x", device->id.vendor, device->id.device);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(attributes); i++)
		r = set(node, attributes[i][0], attributes[i][1]);
	return r;
}

static int xml_groups(xmlNodePtr root, const struct host_devices *list)
{
	xmlNodePtr group = NULL;
	int r = set(root, "format", FORMAT);

	for (size_t i = 0; r == 0 && i < list->nr; i++) {
		const struct host_device *device = &list->devices[i];
		char number[16];

		if (!group || device->group != list->devices[i - 1].group) {
			(void)snprintf(number, sizeof(number), "%d", device->group);
			group = xmlNewChild(root, NULL, (const xmlChar *)"group", NULL);
			r = group ? set(group, "number", number) : -ENOMEM;
		}
		if (r == 0)
			r = xml_device(group, device);
	}
	return r;
}

static void doc_close(xmlDocPtr *doc)
{
	xmlFreeDoc(*doc);
}

static void text_free(xmlChar **text)
{
	xmlFree(*text);
}

/* By ourselves: libxml2 says what went wrong, and does not tell. stdout is looked at by main() */
static int write_doc(const char *file, xmlDocPtr doc)
{
	_cleanup_(text_free) xmlChar *text = NULL;
	bool out = strcmp(file, "-") == 0;
	FILE *to;
	int len, r;

	xmlDocDumpFormatMemoryEnc(doc, &text, &len, "UTF-8", 1);
	if (!text)
		return -ENOMEM;
	to = out ? stdout : fopen(file, "we");
	if (!to)
		return -errno;
	errno = EIO;
	r = fwrite(text, 1, (size_t)len, to) == (size_t)len ? 0 : -errno;
	if (!out && fclose(to) != 0 && r == 0)
		r = -errno;
	return out ? 0 : r;
}

static int save(const char *file, const struct host_devices *list)
{
	_cleanup_(doc_close) xmlDocPtr doc = xmlNewDoc((const xmlChar *)"1.0");
	xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"usher-groups");
	int r = doc && root ? 0 : -ENOMEM;

	if (r == 0) {
		(void)xmlDocSetRootElement(doc, root);
		r = xml_groups(root, list);
	}
	if (r == 0)
		r = write_doc(file, doc);
	if (r < 0)
		usher_say("cannot write %s: %s: --save wants a file that can be made, or -", file,
			  strerror(-r));
	return r;
}

/* --- in ----------------------------------------------------------------------------------------- */

static void get(xmlNodePtr node, const char *name, char *buf, size_t size)
{
	xmlChar *value = xmlGetProp(node, (const xmlChar *)name);

	(void)snprintf(buf, size, "%s", value ? (const char *)value : "");
	xmlFree(value);
}

static int load_device(xmlNodePtr node, int group, struct host_devices *list)
{
	struct host_device device = { .group = group }, *grown;
	char addr[PCIADDR_STRLEN], id[16];

	get(node, "address", addr, sizeof(addr));
	get(node, "id", id, sizeof(id));
	get(node, "name", device.name, sizeof(device.name));
	get(node, "reset", device.reset, sizeof(device.reset));
	if (pciaddr_parse(addr, &device.addr) < 0 || pciid_parse(id, &device.id) < 0)
		return -EBADMSG;
	grown = reallocarray(list->devices, list->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->devices = grown;
	grown[list->nr++] = device;
	return 0;
}

static int load_group(xmlNodePtr group, struct host_devices *list)
{
	char text[16];
	unsigned int number = 0;
	int r = 0;

	get(group, "number", text, sizeof(text));
	if (strcmp(text, "-1") != 0 && parse_uint(text, 10, 1000000, &number) < 0)
		return -EBADMSG;
	for (xmlNodePtr node = group->children; r == 0 && node; node = node->next)
		if (node->type == XML_ELEMENT_NODE)
			r = load_device(node, *text == '-' ? -1 : (int)number, list);
	return r;
}

/* Return: 0, -EBADMSG it is something else, -EPROTO of another format (said) */
static int check_root(xmlNodePtr root, const char *file)
{
	char format[16] = "";

	if (root && xmlStrEqual(root->name, (const xmlChar *)"usher-groups"))
		get(root, "format", format, sizeof(format));
	if (!*format)
		return -EBADMSG;
	if (strcmp(format, FORMAT) == 0)
		return 0;
	usher_say("%s has format '%s', and this usher reads " FORMAT ": save the groups anew", file,
		  format);
	return -EPROTO;
}

/* Return: the descriptor, else -errno. A folder is opened, and cannot be read */
static int open_saved(const char *file)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : TAKE_FD(fd);
}

static int load(const char *file, struct host_devices *ret)
{
	_cleanup_close_ int fd = open_saved(file);
	_cleanup_(doc_close) xmlDocPtr doc =
		fd < 0 ? NULL
		       : xmlReadFd(fd, file, NULL,
				   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
	int r = fd < 0 ? fd : check_root(root, file);

	for (xmlNodePtr node = r == 0 ? root->children : NULL; r == 0 && node; node = node->next)
		if (node->type == XML_ELEMENT_NODE)
			r = load_group(node, ret);
	if (fd < 0)
		usher_say("cannot read %s: %s: --xml wants what usher groups --save has written",
			  file, strerror(-r));
	else if (r < 0 && r != -EPROTO)
		usher_say("%s is not what usher groups --save writes: %s", file, strerror(-r));
	return r;
}

/* --- compared ----------------------------------------------------------------------------------- */

/* The addresses of the same group, blank between */
static void mates(const struct host_devices *list, const struct host_device *device, char *buf,
		  size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; device->group >= 0 && i < list->nr; i++) {
		const struct host_device *mate = &list->devices[i];
		char addr[PCIADDR_STRLEN];
		int n;

		if (mate->group != device->group || mate == device)
			continue;
		pciaddr_format(&mate->addr, addr);
		n = snprintf(buf + len, size - len, "%s%s", len ? " " : "", addr);
		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

static bool same_id(const struct host_device *a, const struct host_device *b)
{
	return a->id.vendor == b->id.vendor && a->id.device == b->id.device;
}

/* Where a device that is not at its address any more may have gone: the only one of its kind */
static const struct host_device *find_moved(const struct host_devices *old,
					    const struct host_devices *now,
					    const struct host_device *device)
{
	const struct host_device *found = NULL;

	for (size_t i = 0; i < now->nr; i++) {
		const struct host_device *other = &now->devices[i], *before;

		before = host_device_find(old, &other->addr);
		if (!same_id(other, device) || (before && same_id(before, other)))
			continue;
		if (found)
			return NULL;
		found = other;
	}
	return found;
}

struct change {
	const char *kind; /* gone new moved group reset */
	const struct host_device *device;
	char text[1024];
};

typedef void report_fn(void *data, const struct change *change);

_printf_(5, 6) static int report(report_fn *each, void *data, const char *kind,
				 const struct host_device *device, const char *fmt, ...)
{
	struct change change = { .kind = kind, .device = device };
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(change.text, sizeof(change.text), fmt, args);
	va_end(args);
	each(data, &change);
	return 1;
}

static int compare_old(const struct host_devices *old, const struct host_devices *now,
		       const struct host_device *device, report_fn *each, void *data)
{
	const struct host_device *here = host_device_find(now, &device->addr);
	const struct host_device *there;
	char before[512], after[512], addr[PCIADDR_STRLEN];
	int nr = 0;

	if (!here || !same_id(here, device)) {
		there = find_moved(old, now, device);
		if (!there)
			return report(each, data, "gone", device, "is gone");
		pciaddr_format(&there->addr, addr);
		return report(each, data, "moved", device,
			      "is now at %s: correct the address in the XML of its guest", addr);
	}
	mates(old, device, before, sizeof(before));
	mates(now, here, after, sizeof(after));
	if (strcmp(before, after) != 0)
		nr += report(each, data, "group", device,
			     "shares its IOMMU group with %s, not with %s any more",
			     *after ? after : "nothing", *before ? before : "nothing");
	if (strcmp(here->reset, device->reset) != 0)
		nr += report(each, data, "reset", device, "is reset by %s, not by %s any more",
			     *here->reset ? here->reset : "nothing",
			     *device->reset ? device->reset : "nothing");
	return nr;
}

/* Return: the number of changes */
static int compare(const struct host_devices *old, const struct host_devices *now, report_fn *each,
		   void *data)
{
	int nr = 0;

	for (size_t i = 0; i < old->nr; i++)
		nr += compare_old(old, now, &old->devices[i], each, data);
	for (size_t i = 0; i < now->nr; i++) {
		const struct host_device *device = &now->devices[i];
		const struct host_device *before = host_device_find(old, &device->addr);

		if ((!before || !same_id(before, device)) && !find_moved(now, old, device))
			nr += report(each, data, "new", device, "is new");
	}
	return nr;
}

static void say_change(void *data, const struct change *change)
{
	char addr[PCIADDR_STRLEN];

	(void)data;
	pciaddr_format(&change->device->addr, addr);
	(void)printf("%s %s: %s\n", addr, change->device->name, change->text);
}

static void json_change(void *data, const struct change *change)
{
	char addr[PCIADDR_STRLEN];
	struct json *json = data;

	pciaddr_format(&change->device->addr, addr);
	json_object(json, NULL);
	json_string(json, "kind", change->kind);
	json_string(json, "address", addr);
	json_string(json, "name", change->device->name);
	json_string(json, "text", change->text);
	json_close(json, '}');
}

static int run_compare(const struct request *request, const struct host_devices *now)
{
	_cleanup_host_devices_ struct host_devices old = { 0 };
	struct json json;
	int nr;

	if (load(request->xml, &old) < 0)
		return 2;
	if (!request->json) {
		nr = compare(&old, now, say_change, NULL);
		if (nr == 0)
			(void)puts("no device has changed");
		return nr > 0;
	}
	json_begin(&json, stdout, "groups");
	json_list(&json, "changes");
	nr = compare(&old, now, json_change, &json);
	json_close(&json, ']');
	json_end(&json);
	return nr > 0;
}

static int run(const struct request *request)
{
	_cleanup_host_devices_ struct host_devices devices = { 0 };
	_cleanup_claims_ struct claims claims = { 0 };
	_cleanup_close_ int rootfd = usher_root(request);
	int r;

	if (rootfd < 0)
		return 2;
	r = host_devices_read(rootfd, &devices);
	if (r < 0) {
		usher_say("cannot read the PCI devices: %s: see lspci -D", strerror(-r));
		return 2;
	}
	/* Half of it would count as changed, now or when it is compared with */
	if ((request->xml || request->save) && missing_say(&devices.missing))
		return 2;
	if (request->xml)
		return run_compare(request, &devices);
	if (request->save)
		return save(request->save, &devices) < 0 ? 2 : 0;
	r = host_claims(rootfd, &claims);
	/* Who holds what is root's to see; the groups are anybody's */
	if (r != -EACCES || geteuid() == 0)
		(void)missing_add(&devices.missing, r, "who holds them, in /run/usher");
	if (r > 0)
		host_claims_missing(&claims, &devices.missing);
	(request->json ? print_json : print_text)(&devices, &claims);
	return missing_say(&devices.missing) ? 2 : 0;
}

const struct command command_groups = {
	.name = "groups",
	.args = "[--json] [--xml FILE] | --save FILE",
	.help = "IOMMU groups; save them as XML, compare with such a file",
	.options = OPTION_JSON | OPTION_SAVE | OPTION_XML,
	.alone = OPTION_SAVE,
	.run = run,
};
