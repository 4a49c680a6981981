/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check.c - usher check: everything that would make a start fail or run badly */
#include "check.h"

#include <errno.h>
#include <libxml/parser.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/attr.h"
#include "../../lib/text.h"
#include "../../lib/units.h"
#include "json.h"
#include "paint.h"

/*
 * How it works
 *
 * check_host.c and check_guest.c have a table each; a row looks at one thing and reports what it
 * found, or nothing. What only the planner and the helpers can tell is asked of them (rows "policy"
 * and "steps"), so that nothing is judged here by other rules than a start is.
 */

static const char *const level_names[] = { "ok", "note", "warning", "error" };

void found(struct check *check, enum level level, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	struct finding *grown;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	grown = text ? reallocarray(check->findings, check->nr + 1, sizeof(*grown)) : NULL;
	if (grown) {
		check->findings = grown;
		grown[check->nr].level = level;
		grown[check->nr].check = check->name;
	}
	if (grown && text_printable(text, &grown[check->nr].text) == 0)
		check->nr++;
	else
		(void)missing_add(&check->missing, -ENOMEM, "all of '%s'", check->name);
}

bool check_lacks(struct check *check, int r, const char *what)
{
	if (r == -EACCES && geteuid() != 0)
		found(check, LEVEL_NOTE, "cannot look at %s: %s: run it as root", what,
		      strerror(-r));
	else if (r != -ENOTDIR && !missing_add(&check->missing, r, "%s", what))
		return false;
	return r < 0 && r != -ENOTDIR;
}

bool check_has(struct check *check, const char *path)
{
	char what[PATH_MAX];
	int r = attr_exists(check->rootfd, path);

	(void)snprintf(what, sizeof(what), "/%s", path);
	return !check_lacks(check, r, what) && r > 0;
}

bool check_read(struct check *check, const char *path, char *buf, size_t size)
{
	char what[PATH_MAX];
	int r = attr_read(check->rootfd, path, buf, size);

	(void)snprintf(what, sizeof(what), "/%s", path);
	return !check_lacks(check, r, what);
}

bool check_read_all(struct check *check, const char *path, size_t max, char **ret)
{
	char what[PATH_MAX];
	size_t len;
	int r = attr_read_all(check->rootfd, path, max, ret, &len);

	(void)snprintf(what, sizeof(what), "/%s", path);
	return !check_lacks(check, r, what) && r == 0;
}

bool check_list(struct check *check, const char *path, struct strlist *ret)
{
	char what[PATH_MAX];
	int r = attr_list(check->rootfd, path, ret);

	(void)snprintf(what, sizeof(what), "/%s", path);
	return !check_lacks(check, r, what);
}

/* --- the guest's XML ------------------------------------------------------------------------------ */

static xmlXPathObjectPtr eval(const struct check *check, const char *xpath)
{
	return check->xpath ? xmlXPathEvalExpression((const xmlChar *)xpath, check->xpath) : NULL;
}

bool guest_has(const struct check *check, const char *xpath)
{
	xmlXPathObjectPtr object = eval(check, xpath);
	bool has = object && xmlXPathCastToBoolean(object);

	xmlXPathFreeObject(object);
	return has;
}

char *guest_text(struct check *check, const char *xpath)
{
	xmlXPathObjectPtr object = eval(check, xpath);
	xmlChar *text = object ? xmlXPathCastToString(object) : NULL;
	char *copy = strdup(text ? (const char *)text : "");

	(void)missing_add(&check->missing, copy ? 0 : -ENOMEM, "what the XML has at %s", xpath);
	xmlFree(text);
	xmlXPathFreeObject(object);
	return copy;
}

unsigned int guest_number(struct check *check, const char *xpath)
{
	_cleanup_free_ char *text = guest_text(check, xpath);
	unsigned int number = 0;

	if (!text || parse_uint(text, 10, UINT32_MAX, &number) < 0)
		return 0;
	return number;
}

static void read_pins(struct check *check)
{
	unsigned int nr = 0;

	while (guest_has(check, "/domain/cputune/vcpupin") && nr < CPULIST_MAX) {
		char vcpu[64], cpus[64];
		_cleanup_free_ char *list = NULL;
		struct pin pin, *grown;

		nr++;
		(void)snprintf(vcpu, sizeof(vcpu), "/domain/cputune/vcpupin[%u]/@vcpu", nr);
		(void)snprintf(cpus, sizeof(cpus), "/domain/cputune/vcpupin[%u]/@cpuset", nr);
		if (!guest_has(check, vcpu))
			return;
		list = guest_text(check, cpus);
		pin.vcpu = guest_number(check, vcpu);
		if (!list || cpulist_parse(list, &pin.cpus) < 0)
			continue;
		grown = reallocarray(check->pins, check->nr_pins + 1, sizeof(*grown));
		if (!grown) {
			(void)missing_add(&check->missing, -ENOMEM, "the pins of vCPUs");
			return;
		}
		check->pins = grown;
		grown[check->nr_pins++] = pin;
		cpulist_union(&check->pinned, &pin.cpus);
	}
}

/* Where vCPUs without a pin run */
static void read_common_pin(struct check *check)
{
	_cleanup_free_ char *list = guest_text(check, "string(/domain/vcpu/@cpuset)");
	struct cpulist cpus;

	if (check->nr_pins == 0 && list && cpulist_parse(list, &cpus) == 0)
		check->pinned = cpus;
}

static int add_claimed(const struct claim *claim, struct pciaddr_list *list)
{
	const struct inidoc_entry *entry = NULL;
	int r = 0;

	while (r == 0 && (entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		struct claim_device claimed;

		if (claim_device_parse(entry->value, &claimed) == 0 &&
		    !pciaddr_list_has(list, &claimed.addr))
			r = pciaddr_list_add(list, &claimed.addr);
	}
	return r;
}

int check_read_xml(struct check *check)
{
	check->doc = xmlReadMemory(check->guest.xml, (int)strlen(check->guest.xml), "guest.xml",
				   NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	check->xpath = check->doc ? xmlXPathNewContext(check->doc) : NULL;
	if (!check->xpath)
		return -EBADMSG;
	read_pins(check);
	read_common_pin(check);
	return 0;
}

/* There is no claim before the first usher init; libvirt passes what the XML has all the same */
static int read_passed(struct check *check)
{
	int r = guest_devices(check->guest.xml, &check->passed);

	check->has_pci = check->passed.nr > 0;
	if (r == 0)
		r = add_claimed(&check->claim, &check->passed);
	for (size_t i = 0; i < check->passed.nr; i++) {
		const struct host_device *device =
			host_device_find(&check->devices, &check->passed.addrs[i]);

		check->has_gpu |= device && device->class >> 8 == 0x03;
	}
	return r;
}

/* Return: 0, else -errno (said) */
static int read_guest(struct check *check)
{
	const struct request *request = check->request;
	const struct guest_ask ask = { .policy = request->policy,
				       .why = &check->refused,
				       .none = &check->none };
	int r = guest_get(request, &check->guest);

	if (r < 0)
		return r;
	if (check_read_xml(check) < 0) {
		usher_say("%s: its XML cannot be read: see virsh dumpxml", check->guest.name);
		return -EBADMSG;
	}
	r = guest_claim(request, &check->guest, &ask, &check->claim);
	if (r < 0 && r != -EINVAL)
		return r;
	r = read_passed(check);
	if (r < 0)
		usher_say("%s: %s", check->guest.name, strerror(-r));
	return r;
}

/* --- running, and telling ------------------------------------------------------------------------- */

static void run_rows(struct check *check, const struct check_row *rows, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		size_t before = check->nr;
		unsigned int missing = check->missing.nr;

		if (rows[i].guest && !check->guest.name)
			continue;
		check->name = rows[i].name;
		rows[i].run(check);
		if (check->nr == before && check->missing.nr == missing)
			found(check, LEVEL_OK, "%s", rows[i].good);
	}
}

static enum level worst(const struct check *check)
{
	enum level level = LEVEL_OK;

	for (size_t i = 0; i < check->nr; i++)
		if (check->findings[i].level > level)
			level = check->findings[i].level;
	return level;
}

static int exit_code(enum level level)
{
	return level == LEVEL_ERROR ? 2 : level == LEVEL_WARNING;
}

static void print_text(const struct check *check)
{
	static const enum paint colours[] = { PAINT_OK, PAINT_GUEST, PAINT_WARNING, PAINT_ERROR };

	for (size_t i = 0; i < check->nr; i++) {
		const struct finding *finding = &check->findings[i];

		(void)printf("%s%-7s%s  %s: %s\n", paint(colours[finding->level]),
			     level_names[finding->level], paint(PAINT_NONE), finding->check,
			     finding->text);
	}
}

static void print_json(const struct check *check)
{
	struct json json;

	json_begin(&json, stdout, "check");
	json_string(&json, "guest", check->guest.name);
	json_string(&json, "worst", level_names[worst(check)]);
	json_list(&json, "findings");
	for (size_t i = 0; i < check->nr; i++) {
		json_object(&json, NULL);
		json_string(&json, "level", level_names[check->findings[i].level]);
		json_string(&json, "check", check->findings[i].check);
		json_string(&json, "text", check->findings[i].text);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_end(&json);
}

void check_free(struct check *check)
{
	for (size_t i = 0; i < check->nr; i++)
		free(check->findings[i].text);
	free(check->findings);
	free(check->pins);
	free(check->refused);
	free(check->none);
	xmlXPathFreeContext(check->xpath);
	xmlFreeDoc(check->doc);
	guest_free(&check->guest);
	claim_free(&check->claim);
	pciaddr_list_free(&check->passed);
	topology_free(&check->topology);
	host_devices_free(&check->devices);
	cleanup_close(&check->rootfd);
}

static int run(const struct request *request)
{
	_cleanup_(check_free) struct check check = { .request = request,
						     .rootfd = usher_root(request) };

	if (check.rootfd < 0)
		return exit_code(LEVEL_ERROR);
	/* Rows that want one say so */
	if (topology_read(request->root, &check.topology) < 0)
		check.topology = (struct topology){ 0 };
	if (host_devices_read(check.rootfd, &check.devices) < 0 ||
	    host_cpus(check.rootfd, &check.online) < 0) {
		usher_say("cannot read this host's CPUs and devices below %s%ssys", request->root,
			  strcmp(request->root, "/") == 0 ? "" : "/");
		return exit_code(LEVEL_ERROR);
	}
	missing_join(&check.missing, &check.devices.missing);
	if ((request->guest || request->xml) && read_guest(&check) < 0)
		return exit_code(LEVEL_ERROR);
	run_rows(&check, check_host_rows, check_nr_host_rows);
	run_rows(&check, check_guest_rows, check_nr_guest_rows);
	(request->json ? print_json : print_text)(&check);
	return missing_say(&check.missing) ? exit_code(LEVEL_ERROR) : exit_code(worst(&check));
}

const struct command command_check = {
	.name = "check",
	.args = "[--json] [--xml FILE] [--policy FILE] [GUEST]",
	.help = "what would make a start fail or run badly, and the cure",
	.options = OPTION_JSON | OPTION_XML | OPTION_POLICY,
	.of_guest = OPTION_POLICY,
	.max_args = 1,
	.run = run,
};
