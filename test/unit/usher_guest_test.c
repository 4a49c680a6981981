/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_guest_test.c - a libvirt that tells of a guest, or never answers */
/* wraps: virConnectOpenReadOnly virDomainLookupByName virDomainGetXMLDesc virDomainIsPersistent */
/* wraps: virDomainGetAutostart virConnectListAllDomains virDomainFree virConnectClose capture_call */
/* wraps: kill */

#include "printed.h"

#include <libvirt/libvirt.h>
#include <signal.h>
#include <sys/wait.h>

#include "helpers/usher/capture.h"
#include "helpers/usher/guest.h"
#include "lib/deadline.h"

#define XML "<domain><name>win11</name></domain>"

enum step { NONE, CONNECT, LOOK_UP, LIST };

/* What the daemon is like, and how long it is waited for */
static struct {
	enum step hangs;
	bool unkillable;
	pid_t child;
} libvirt;

static void at(enum step step)
{
	while (libvirt.hangs == step)
		(void)pause();
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __real_capture_call(int (*call)(const void *arg), const void *arg, int timeout_ms,
			struct capture *ret);
int __wrap_capture_call(int (*call)(const void *arg), const void *arg, int timeout_ms,
			struct capture *ret);
int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);

int __wrap_capture_call(int (*call)(const void *arg), const void *arg, int timeout_ms,
			struct capture *ret)
{
	assert_int_equal(timeout_ms, 10000);
	return __real_capture_call(call, arg, libvirt.hangs == NONE ? timeout_ms : 100, ret);
}

int __wrap_kill(pid_t pid, int sig)
{
	libvirt.child = pid;
	return libvirt.unkillable ? 0 : __real_kill(pid, sig);
}

virConnectPtr __wrap_virConnectOpenReadOnly(const char *uri);
virConnectPtr __wrap_virConnectOpenReadOnly(const char *uri)
{
	at(CONNECT);
	return strcmp(uri, "qemu:///system") == 0 ? (virConnectPtr)&libvirt : NULL;
}

int __wrap_virConnectClose(virConnectPtr connect);
int __wrap_virConnectClose(virConnectPtr connect)
{
	return connect ? 0 : -1;
}

virDomainPtr __wrap_virDomainLookupByName(virConnectPtr connect, const char *name);
virDomainPtr __wrap_virDomainLookupByName(virConnectPtr connect, const char *name)
{
	at(LOOK_UP);
	return connect && strcmp(name, "win11") == 0 ? (virDomainPtr)&libvirt : NULL;
}

int __wrap_virDomainIsPersistent(virDomainPtr domain);
int __wrap_virDomainIsPersistent(virDomainPtr domain)
{
	return domain != NULL;
}

char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags);
char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
	return domain && flags == VIR_DOMAIN_XML_INACTIVE ? strdup(XML) : NULL;
}

int __wrap_virDomainGetAutostart(virDomainPtr domain, int *autostart);
int __wrap_virDomainGetAutostart(virDomainPtr domain, int *autostart)
{
	*autostart = 1;
	return domain ? 0 : -1;
}

int __wrap_virDomainFree(virDomainPtr domain);
int __wrap_virDomainFree(virDomainPtr domain)
{
	return domain ? 0 : -1;
}

int __wrap_virConnectListAllDomains(virConnectPtr connect, virDomainPtr **domains,
				    unsigned int flags);
int __wrap_virConnectListAllDomains(virConnectPtr connect, virDomainPtr **domains,
				    unsigned int flags)
{
	at(LIST);
	assert_non_null(connect);
	assert_int_equal(flags, VIR_CONNECT_LIST_DOMAINS_AUTOSTART);
	*domains = calloc(2, sizeof(**domains));
	if (!*domains)
		return -1;
	(*domains)[0] = (*domains)[1] = (virDomainPtr)&libvirt;
	return 2;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static const struct request request = { .root = "/", .guest = "win11", .dir = "/usr/sbin" };

/* What it says on stderr, until the next call */
static const char *said_of(const char *name, struct guest *guest, int *ret)
{
	static char text[1024];
	struct request of = request;
	struct printed printed;

	of.guest = name;
	printed_begin(&printed, STDERR_FILENO);
	*ret = guest_get(&of, guest);
	return printed_end(&printed, text, sizeof(text));
}

static void a_guest_is_as_the_daemon_has_it(void **state)
{
	_cleanup_guest_ struct guest guest = { 0 };
	_cleanup_strlist_ struct strlist xmls = { 0 };
	int r;

	(void)state;
	assert_string_equal(said_of("win11", &guest, &r), "");
	assert_int_equal(r, 0);
	assert_string_equal(guest.name, "win11");
	assert_string_equal(guest.xml, XML);
	assert_int_equal(guest.xml_len, strlen(XML));
	assert_true(guest.autostart);
	assert_int_equal(guest_autostarted(&xmls), 0);
	assert_int_equal(xmls.nr, 2);
	assert_string_equal(xmls.names[1], XML);
}

static void a_guest_that_the_daemon_does_not_know_is_told(void **state)
{
	_cleanup_guest_ struct guest guest = { 0 };
	const char *said;
	int r;

	(void)state;
	said = said_of("win12", &guest, &r);
	assert_int_equal(r, -ENOENT);
	assert_non_null(strstr(said, "usher: win12: libvirt: "));
	assert_non_null(strstr(said, ": virsh list --all has the guests there are\n"));
}

/* As while the guest's own prepare hangs: libvirt holds its lock */
static void a_daemon_that_does_not_answer_is_told_with_the_way_without_it(void **state)
{
	static const enum step steps[] = { CONNECT, LOOK_UP };
	_cleanup_strlist_ struct strlist xmls = { 0 };
	_cleanup_guest_ struct guest guest = { 0 };
	int r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		libvirt.hangs = steps[i];
		assert_string_equal(said_of("win11", &guest, &r),
				    "usher: win11: libvirt has not answered for 10 s, as while the "
				    "guest's hook runs: try again, or ask of its XML as it is on "
				    "disk: --xml /etc/libvirt/qemu/win11.xml\n");
		assert_int_equal(r, -ETIMEDOUT);
	}
	libvirt.hangs = LIST;
	assert_int_equal(guest_autostarted(&xmls), -ETIMEDOUT);
}

/* In the kernel, where no signal ends it */
static void a_child_that_cannot_be_killed_is_left_behind(void **state)
{
	_cleanup_strlist_ struct strlist xmls = { 0 };
	long long start = now_ms();

	(void)state;
	libvirt.hangs = LIST;
	libvirt.unkillable = true;
	assert_int_equal(guest_autostarted(&xmls), -ETIMEDOUT);
	assert_true(now_ms() - start < 5000);
	assert_int_equal(__real_kill(libvirt.child, SIGKILL), 0);
	assert_int_equal(waitpid(libvirt.child, NULL, 0), libvirt.child);
}

/* --- From a file, and the hook's plan -------------------------------------------------------- */

#define PLAN                                                                                       \
	"#!/bin/sh\nprintf '[claim]\\nformat = 1\\nguest = x\\nuuid = "                            \
	"1b4e28ba-2fa1-11d2-883f-0016d3cca427\\nstate = preparing\\nowner = 1 1\\nrequired "       \
	"=\\n'\n"

static void write_hook(const struct tree *tree, const char *script)
{
	tree_file(tree, "usher-hook", script);
	assert_int_equal(fchmodat(tree->rootfd, "usher-hook", 0755, 0), 0);
}

/* What guest_get() says of an XML file that is not used, and nothing else */
static void assert_file_refused(const struct tree *tree, const char *guest_name, int error,
				const char *text)
{
	_cleanup_guest_ struct guest guest = { 0 };
	char file[128], said[1024], want[1024];
	struct request of = { .root = tree->dir, .dir = tree->dir, .guest = guest_name };
	struct printed printed;
	int r;

	(void)snprintf(file, sizeof(file), "%s/guest.xml", tree->dir);
	(void)snprintf(want, sizeof(want), "usher: %s%s\n", *text == ':' ? file : "", text);
	of.xml = file;
	printed_begin(&printed, STDERR_FILENO);
	r = guest_get(&of, &guest);
	assert_string_equal(printed_end(&printed, said, sizeof(said)), want);
	assert_int_equal(r, error);
	assert_null(guest.xml);
}

static void an_xml_that_is_not_the_guests_is_refused_with_the_reason(void **state)
{
	const struct tree *tree = *state;

	write_hook(tree, PLAN);
	assert_file_refused(tree, NULL, -ENOENT,
			    ": No such file or directory: --xml wants what virsh dumpxml GUEST "
			    "prints");
	tree_dir(tree, "guest.xml");
	assert_file_refused(tree, NULL, -EISDIR,
			    ": Is a directory: --xml wants what virsh dumpxml GUEST prints");
	assert_int_equal(unlinkat(tree->rootfd, "guest.xml", AT_REMOVEDIR), 0);
	tree_file(tree, "guest.xml", XML);
	assert_file_refused(tree, "win12", -EINVAL, "win12: the XML is of a guest named win11");
	tree_file(tree, "guest.xml", "<domain><title/></domain>");
	assert_file_refused(tree, NULL, -EBADMSG,
			    "this is no domain XML with a <name>: --xml wants what virsh dumpxml "
			    "GUEST prints");
}

/* Of another version, or broken */
static void a_plan_of_the_hook_that_cannot_be_read_is_said(void **state)
{
	static const struct {
		const char *script, *text;
	} rows[] = {
		{ "#!/bin/sh\necho '# x'\n",
		  "usher: cannot read the hook's plan: reinstall usher\n" },
		{ "#!/bin/sh\necho garbage\n", "usher: cannot read the hook's plan: " },
		{ "#!/nowhere/sh\n", "/usher-hook: No such file or directory: reinstall usher\n" },
	};
	const struct tree *tree = *state;
	const struct request of = { .root = tree->dir, .dir = tree->dir };
	char name[] = "win11", xml[] = XML;
	const struct guest guest = { .name = name, .xml = xml, .xml_len = strlen(XML) };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_claim_ struct claim claim = { 0 };
		_cleanup_free_ char *none = NULL;
		const struct guest_ask ask = { .none = &none };
		struct printed printed;
		char said[1024];
		int r;

		write_hook(tree, rows[i].script);
		printed_begin(&printed, STDERR_FILENO);
		r = guest_claim(&of, &guest, &ask, &claim);
		assert_non_null(strstr(printed_end(&printed, said, sizeof(said)), rows[i].text));
		assert_non_null(strstr(said, "reinstall usher\n"));
		assert_true(r < 0);
	}
}

static int teardown(void **state)
{
	(void)state;
	memset(&libvirt, 0, sizeof(libvirt));
	return 0;
}

#define guest_test(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_guest_is_as_the_daemon_has_it),
		guest_test(a_guest_that_the_daemon_does_not_know_is_told),
		guest_test(a_daemon_that_does_not_answer_is_told_with_the_way_without_it),
		guest_test(a_child_that_cannot_be_killed_is_left_behind),
		tree_test(an_xml_that_is_not_the_guests_is_refused_with_the_reason),
		tree_test(a_plan_of_the_hook_that_cannot_be_read_is_said),
	};

	return cmocka_run_group_tests_name("usher/guest", tests, NULL, NULL);
}
