/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/guest.c - a guest as libvirt has it, and what usher would claim for it */
#include "guest.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/xmlreader.h>
#include <string.h>

#include "capture.h"

/* The hook serves the system's daemon, whatever LIBVIRT_DEFAULT_URI says */
#define URI	"qemu:///system"
#define PLAN_MS 30000
/* It holds a guest's lock while that guest's hook runs, and all who ask of it wait */
#define LIBVIRT_MS 10000
/* A larger domain cannot be defined: REMOTE_STRING_MAX in libvirt's RPC protocol */
#define XML_MAX ((size_t)4 << 20)

void guest_free(struct guest *guest)
{
	free(guest->name);
	free(guest->xml);
	*guest = (struct guest){ 0 };
}

static void connect_close(virConnectPtr *connect)
{
	if (*connect)
		(void)virConnectClose(*connect);
}

static void domain_close(virDomainPtr *domain)
{
	if (*domain)
		(void)virDomainFree(*domain);
}

/* libvirt would print each error itself */
static void be_quiet(void *data, virErrorPtr error)
{
	(void)data, (void)error;
}

static virConnectPtr connect_open(void)
{
	virSetErrorFunc(NULL, be_quiet);
	return virConnectOpenReadOnly(URI);
}

/* Return: -ENOMEM */
static int say_no_memory(const char *of)
{
	usher_say("%s: the host has no memory left to read it: see free -m", of);
	return -ENOMEM;
}

/* Return: the exit code */
static int fail_libvirt(const char *guest, const char *cure)
{
	usher_say("%s: libvirt: %s: %s", guest, virGetLastErrorMessage(), cure);
	return 1;
}

static char *get_xml(virDomainPtr domain)
{
	unsigned int flags = virDomainIsPersistent(domain) > 0 ? VIR_DOMAIN_XML_INACTIVE : 0;

	return virDomainGetXMLDesc(domain, flags);
}

/* In a child. Prints whether the guest starts with the host, and its XML */
static int print_guest(const void *arg)
{
	const char *name = arg;
	_cleanup_(connect_close) virConnectPtr connect = connect_open();
	_cleanup_(domain_close) virDomainPtr domain = NULL;
	_cleanup_free_ char *xml = NULL;
	int autostart = 0;

	if (!connect)
		return fail_libvirt(name, "start libvirtd (or virtqemud), or give the guest's XML "
					  "with --xml FILE");
	domain = virDomainLookupByName(connect, name);
	if (!domain)
		return fail_libvirt(name, "virsh list --all has the guests there are");
	xml = get_xml(domain);
	if (!xml)
		return fail_libvirt(name, "see virsh dumpxml");
	if (virDomainGetAutostart(domain, &autostart) < 0)
		autostart = 0;
	(void)printf("%d%s", autostart != 0, xml);
	return 0;
}

static int from_libvirt(const char *name, struct guest *ret)
{
	_cleanup_capture_ struct capture capture = { 0 };
	int r = capture_call(print_guest, name, LIBVIRT_MS, &capture);

	if (r == -ETIMEDOUT)
		usher_say("%s: libvirt has not answered for %d s, as while the guest's hook runs: "
			  "try again, or ask of its XML as it is on disk: --xml "
			  "/etc/libvirt/qemu/%s.xml",
			  name, LIBVIRT_MS / 1000, name);
	else if (r < 0)
		usher_say("%s: cannot ask libvirt: %s", name, strerror(-r));
	if (r < 0)
		return r;
	(void)fputs(capture.err, stderr);
	if (capture.status != 0 || capture.out_len == 0)
		return -ENOENT;
	ret->autostart = *capture.out == '1';
	ret->xml_len = capture.out_len - 1;
	ret->xml = strdup(capture.out + 1);
	return ret->xml ? 0 : say_no_memory(name);
}

/* Any file that can be read: /dev/stdin too. Of a larger one as much as the hook refuses */
static int read_file(const char *file, char **ret, size_t *ret_len)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	_cleanup_free_ char *text = malloc(XML_MAX + 2);
	size_t len;

	if (!f)
		return -errno;
	if (!text)
		return -ENOMEM;
	errno = EIO;
	len = fread(text, 1, XML_MAX + 1, f);
	if (ferror(f))
		return -errno;
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static int from_file(const char *file, struct guest *ret)
{
	int r = read_file(file, &ret->xml, &ret->xml_len);

	if (r < 0)
		usher_say("%s: %s: --xml wants what virsh dumpxml GUEST prints", file,
			  strerror(-r));
	return r;
}

static void reader_close(xmlTextReaderPtr *reader)
{
	xmlFreeTextReader(*reader);
}

static bool is_name(xmlTextReaderPtr reader)
{
	return xmlTextReaderNodeType(reader) == XML_READER_TYPE_ELEMENT &&
	       xmlTextReaderDepth(reader) == 1 &&
	       xmlStrEqual(xmlTextReaderConstName(reader), (const xmlChar *)"name");
}

/* The text of <domain><name>. Return: 0, -EBADMSG when there is none, -ENOMEM */
static int name_from_xml(struct guest *guest)
{
	_cleanup_(reader_close) xmlTextReaderPtr reader = xmlReaderForMemory(
		guest->xml, (int)guest->xml_len, "guest.xml", "UTF-8",
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC);
	xmlChar *text;

	if (!reader)
		return say_no_memory("its XML");
	while (xmlTextReaderRead(reader) == 1) {
		if (!is_name(reader))
			continue;
		text = xmlTextReaderReadString(reader);
		if (!text)
			return -EBADMSG;
		guest->name = strdup((const char *)text);
		xmlFree(text);
		return guest->name ? 0 : say_no_memory("its XML");
	}
	return -EBADMSG;
}

/* What is wrong with an XML that has no name, in the hook's words: they have the line */
static int refuse_xml(const struct request *request, struct guest *guest)
{
	_cleanup_claim_ struct claim claim = { 0 };

	guest->name = strdup("");
	if (!guest->name)
		return say_no_memory("its XML");
	if (guest_claim(request, guest, &(struct guest_ask){ 0 }, &claim) >= 0)
		usher_say("this is no domain XML with a <name>: --xml wants what virsh dumpxml "
			  "GUEST prints");
	return -EBADMSG;
}

int guest_get(const struct request *request, struct guest *ret)
{
	_cleanup_guest_ struct guest guest = { 0 };
	int r;

	r = request->xml ? from_file(request->xml, &guest) : from_libvirt(request->guest, &guest);
	if (r == 0)
		r = name_from_xml(&guest);
	if (r == -EBADMSG)
		r = refuse_xml(request, &guest);
	if (r < 0)
		return r;
	if (request->guest && guest.name && strcmp(request->guest, guest.name) != 0) {
		usher_say("%s: the XML is of a guest named %s", request->guest, guest.name);
		return -EINVAL;
	}
	*ret = guest;
	guest = (struct guest){ 0 };
	return 0;
}

/* In a child. Prints each XML with a NUL byte behind it */
static int print_autostarted(const void *arg)
{
	_cleanup_(connect_close) virConnectPtr connect = connect_open();
	virDomainPtr *domains = NULL;
	int nr = connect ? virConnectListAllDomains(connect, &domains,
						    VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
			 : 0;

	(void)arg;
	for (int i = 0; i < nr; i++) {
		_cleanup_free_ char *xml = get_xml(domains[i]);

		if (xml)
			(void)printf("%s%c", xml, '\0');
		(void)virDomainFree(domains[i]);
	}
	free(domains);
	return 0;
}

int guest_autostarted(struct strlist *ret)
{
	_cleanup_capture_ struct capture capture = { 0 };
	int r = capture_call(print_autostarted, NULL, LIBVIRT_MS, &capture);

	if (r < 0)
		return r;
	for (const char *xml = capture.out; r == 0 && xml < capture.out + capture.out_len;
	     xml += strlen(xml) + 1)
		r = strlist_add(ret, xml);
	return r;
}

/* --- the hook's own plan ------------------------------------------------------------------------ */

static int refused(const struct capture *capture, char **why)
{
	char *newline = strchr(capture->err, '\n');

	if (!why) {
		(void)fputs(capture->err, stderr);
		return -EINVAL;
	}
	if (newline)
		*newline = '\0';
	*why = strdup(strncmp(capture->err, "usher: ", 7) == 0 ? capture->err + 7 : capture->err);
	return *why ? -EINVAL : say_no_memory("the hook's plan");
}

/* "# guest NAME has no policy: none of usher's business", as the hook prints it */
static int parse_none(const struct capture *capture, const struct guest *guest, char **none)
{
	static const char head[] = "# guest ", tail[] = ": none of usher's business\n";
	size_t before = strlen(head) + strlen(guest->name) + 1, len = strlen(capture->out);

	if (!none)
		return 1;
	if (len < before + strlen(tail)) {
		usher_say("cannot read the hook's plan: reinstall usher");
		return -EBADMSG;
	}
	*none = strndup(capture->out + before, len - before - strlen(tail));
	return *none ? 1 : say_no_memory("the hook's plan");
}

static int parse_plan(const struct capture *capture, const struct guest *guest, struct claim *ret,
		      char **none)
{
	struct ini_error err = { 0 };
	int r;

	if (*capture->out == '#')
		return parse_none(capture, guest, none);
	r = claim_parse(capture->out, strlen(capture->out), ret, &err);
	if (r == -ENOMEM)
		return say_no_memory("the hook's plan");
	if (r < 0)
		usher_say("cannot read the hook's plan: %s: reinstall usher", err.what);
	return r;
}

int guest_claim(const struct request *request, const struct guest *guest,
		const struct guest_ask *ask, struct claim *ret)
{
	_cleanup_close_ int xml = capture_memfd(guest->xml, guest->xml_len);
	_cleanup_capture_ struct capture capture = { 0 };
	_cleanup_free_ char *hook = NULL;
	const char *argv[16] = { NULL };
	size_t n = 0;
	int r;

	if (asprintf(&hook, "%s/usher-hook", request->dir) < 0) {
		hook = NULL;
		return say_no_memory(guest->name);
	}
	argv[n++] = hook;
	argv[n++] = "--plan";
	argv[n++] = "--root";
	argv[n++] = request->root;
	if (ask->policy) {
		argv[n++] = "--policy";
		argv[n++] = ask->policy;
	}
	if (ask->beside) {
		argv[n++] = "--beside";
		argv[n++] = ask->beside;
	}
	argv[n++] = "--";
	argv[n++] = guest->name;
	argv[n++] = "prepare";
	argv[n++] = "begin";
	argv[n++] = "-";
	r = xml < 0 ? xml : capture_run(argv, xml, PLAN_MS, &capture);
	if (r < 0) {
		usher_say("%s: cannot ask %s: %s", guest->name, hook, strerror(-r));
		return r;
	}
	return capture.status ? refused(&capture, ask->why)
			      : parse_plan(&capture, guest, ret, ask->none);
}
