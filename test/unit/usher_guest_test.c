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
	};

	return cmocka_run_group_tests_name("usher/guest", tests, NULL, NULL);
}
