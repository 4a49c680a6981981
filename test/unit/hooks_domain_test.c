/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/unit/hooks_domain_test.c - domain XML, and what follows from it
 *
 * wraps: malloc calloc realloc reallocarray strdup strndup
 * wraps: vasprintf __vasprintf_chk open_memstream poll
 */

#include "tree.h"

#include <arpa/inet.h>
#include <libxml/xmlmemory.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "nomem.h"

#include "hooks/domain.h"
#include "hooks/domain_guard.h"

#define NAME_UUID  "<name>g</name><uuid>1b4e28ba-2fa1-11d2-883f-0016d3cca427</uuid>"
#define XML(body)  "<domain>" NAME_UUID body "</domain>"
#define FIXTURE(n) "test/trees/domains/" n ".xml"

static int read_file(const char *path, struct domain *ret, struct domain_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	assert_true(fd >= 0);
	r = domain_read(fd, ret, err);
	(void)close(fd);
	return r;
}

static void fixture(const char *path, struct domain *ret)
{
	struct domain_error err;

	if (read_file(path, ret, &err) < 0)
		fail_msg("%s: %s", path, err.what);
}

static void parse(const char *xml, struct domain *ret)
{
	struct domain_error err;

	if (domain_parse(xml, strlen(xml), ret, &err) < 0)
		fail_msg("%s: %s", xml, err.what);
}

/* A @what that ends in ": " is a beginning: what follows are libxml2's words */
static void refused(const char *xml, size_t len, int error, const char *what)
{
	struct domain_error err = { "" };
	struct domain domain = { .vcpus_max = 77 };
	size_t n = strlen(what);

	assert_int_equal(domain_parse(xml, len, &domain, &err), error);
	if (strcmp(what + n - 2, ": ") == 0 && strlen(err.what) > n)
		err.what[n] = '\0';
	assert_string_equal(err.what, what);
	assert_int_equal(domain.vcpus_max, 77);
	assert_null(domain.name);
}

static void assert_pci(const struct domain *domain, size_t i, const char *addr, const char *origin,
		       bool managed)
{
	char buf[PCIADDR_STRLEN];

	assert_true(i < domain->nr_pci);
	pciaddr_format(&domain->pci[i].addr, buf);
	assert_string_equal(buf, addr);
	assert_string_equal(domain_pci_origin_name(domain->pci[i].origin), origin);
	assert_int_equal(domain->pci[i].managed, managed);
}

/* "2048 [0] strict 12;" for each need, then "grows;" and "numad;" */
static void needs_text(const struct domain_hugepages *pages, char *buf, size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; i < pages->nr; i++) {
		size_t len = strlen(buf);

		assert_int_equal(path_format(buf + len, size - len, "%llu [%s]%s %llu;",
					     pages->needs[i].size_kib, pages->needs[i].nodes,
					     pages->needs[i].strict ? " strict" : "",
					     pages->needs[i].nr_pages),
				 0);
	}
	(void)strncat(buf, pages->may_grow ? "grows;" : "", size - strlen(buf) - 1);
	(void)strncat(buf, pages->numad ? "numad;" : "", size - strlen(buf) - 1);
}

static void assert_needs(const struct domain *domain, const char *expected)
{
	_cleanup_domain_hugepages_ struct domain_hugepages pages = { 0 };
	char buf[1024];

	assert_int_equal(domain_hugepages(domain, 2048, 4, &pages), 0);
	needs_text(&pages, buf, sizeof(buf));
	assert_string_equal(buf, expected);
}

/* --- Whole domains ----------------------------------------------------------------------------- */

static void a_gpu_guest_gives_its_devices_pins_and_pages(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };
	struct cpulist cpus;
	char list[256];

	(void)state;
	fixture(FIXTURE("win11"), &domain);
	assert_string_equal(domain.name, "win11");
	assert_string_equal(domain.uuid, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
	assert_int_equal(domain.nr_pci, 3);
	assert_pci(&domain, 0, "0000:01:00.0", "hostdev", true);
	assert_pci(&domain, 1, "0000:01:00.1", "hostdev", true);
	assert_pci(&domain, 2, "0000:0c:00.3", "hostdev", false);
	assert_int_equal(domain.vcpus_max, 8);
	assert_int_equal(domain.vcpus_current, 8);
	assert_int_equal(domain.nr_vcpu_pins, 8);
	assert_int_equal(domain.vcpu_pins[3].id, 3);
	assert_string_equal(domain.vcpu_pins[3].cpus, "11");
	assert_string_equal(domain.emulator_cpus, "0,8");
	assert_int_equal(domain.iothreads, 1);
	assert_int_equal(domain.nr_iothread_pins, 1);
	assert_string_equal(domain.iothread_pins[0].cpus, "1,9");
	assert_int_equal(domain_pinned_cpus(&domain, &cpus), 0);
	assert_int_equal(cpulist_format(&cpus, list, sizeof(list)), 0);
	assert_string_equal(list, "2-5,10-13");
	assert_int_equal(domain_all_cpus(&domain, &cpus), 0);
	assert_int_equal(cpulist_format(&cpus, list, sizeof(list)), 0);
	assert_string_equal(list, "0-5,8-13");
	assert_true(domain.hugepages);
	assert_int_equal(domain.nr_pages, 0);
	assert_string_equal(domain.memory_source, "memfd");
	assert_int_equal(domain.memory_kib, 16777216);
	assert_false(domain.memory_balloon);
	assert_string_equal(domain.partition, "/machine");
	assert_string_equal(domain.on_poweroff, "destroy");
	assert_int_equal(domain.nr_disks, 1);
	assert_string_equal(domain.disks[0].path,
			    "/dev/disk/by-id/ata-Example_SSD_870_S5Y1NX0R123456");
	assert_needs(&domain, "2048 [] 8192;");
}

static void cells_and_memory_devices_each_take_whole_pages_where_they_are_bound(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	fixture(FIXTURE("cells"), &domain);
	assert_string_equal(domain.name, "db server");
	assert_int_equal(domain.nr_cells, 4);
	assert_int_equal(domain.cells[1].size_kib, 2621440);
	assert_int_equal(domain.nr_memories, 4);
	assert_string_equal(domain.memories[2].model, "virtio-mem");
	assert_int_equal(domain.memories[2].requested_kib, 1048576);
	assert_int_equal(domain.memories[2].block_kib, 2048);
	assert_int_equal(domain.memories[3].size_kib, 524288);
	assert_int_equal(domain.memories[3].node, 1);
	assert_true(domain.memories[3].file);
	assert_int_equal(domain.vcpus_current, 6);
	assert_string_equal(domain.vcpu_cpus, "0-7,16-23");
	assert_int_equal(domain.nr_memnodes, 2);
	assert_string_equal(domain.on_poweroff, "restart");
	assert_string_equal(domain.partition, "/machine/production");
	/* Node 0: cell 0 of 4097 MiB, a DIMM of 513 MiB, virtio-mem's request */
	assert_needs(&domain, "2048 [0] strict 2818;"
			      "1048576 [1] 3;"
			      "2048 [0-1] strict 1;"
			      "1048576 [1] strict 1;"
			      "grows;");
}

static void nvme_disks_are_found_in_chain_and_mirror_and_their_functions_once(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	fixture(FIXTURE("nvme"), &domain);
	assert_int_equal(domain.nr_pci, 3);
	assert_pci(&domain, 0, "0000:03:00.0", "nvme", true);
	assert_pci(&domain, 1, "0000:04:00.0", "nvme", false);
	assert_pci(&domain, 2, "10000:e1:00.0", "nvme", false);
	assert_int_equal(domain.nr_disks, 4);
	assert_string_equal(domain.disks[0].path, "/dev/vg0/guest");
	assert_string_equal(domain.disks[1].path, "/dev/vg0/base");
	assert_string_equal(domain.disks[2].path, "/dev/sdz");
	assert_string_equal(domain.disks[3].path, "/dev/vg0/data");
}

static void disks_say_whether_the_guest_writes_to_them(void **state)
{
	static const char xml[] =
		XML("<devices>"
		    "<disk type='block'><source dev='/dev/a'><dataStore type='block'>"
		    "<source dev='/dev/a-data'/></dataStore></source>"
		    "<backingStore type='block'><source dev='/dev/a-base'/><backingStore/>"
		    "</backingStore></disk>"
		    "<disk type='block'><readonly/><source dev='/dev/b'/></disk>"
		    "<disk type='block'><source dev='/dev/c'/><shareable/></disk>"
		    "<disk type='file'><source file='/dev/d'/><mirror type='block'>"
		    "<source dev='/dev/d-copy'/></mirror></disk>"
		    "<disk type='block'><source dev='/dev/b'/></disk>"
		    "<disk type='file'><source file='/srv/e.img'/></disk>"
		    "</devices>");
	static const struct domain_disk wanted[] = {
		{ (char *)(uintptr_t) "/dev/a", true, false },
		{ (char *)(uintptr_t) "/dev/a-data", true, false },
		{ (char *)(uintptr_t) "/dev/a-base", false, false },
		{ (char *)(uintptr_t) "/dev/b", true, false },
		{ (char *)(uintptr_t) "/dev/c", true, true },
		{ (char *)(uintptr_t) "/dev/d", true, false },
		{ (char *)(uintptr_t) "/dev/d-copy", true, false },
	};
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;

	(void)state;
	assert_int_equal(domain_parse(xml, strlen(xml), &domain, &err), 0);
	assert_int_equal(domain.nr_disks, ARRAY_SIZE(wanted));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_string_equal(domain.disks[i].path, wanted[i].path);
		assert_int_equal(domain.disks[i].writes, wanted[i].writes);
		assert_int_equal(domain.disks[i].shareable, wanted[i].shareable);
	}
}

static void an_interface_gives_its_virtual_function_and_no_guest_address(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	fixture(FIXTURE("interfaces"), &domain);
	assert_int_equal(domain.nr_pci, 1);
	assert_pci(&domain, 0, "0000:3b:02.5", "interface", true);
	assert_true(domain.vcpu_auto);
	assert_true(domain.numa_auto);
	assert_int_equal(domain.numa_mode, DOMAIN_NUMA_PREFERRED);
	assert_string_equal(domain.launch_security, "sev");
}

static void what_a_person_wrote_by_hand_is_read_as_libvirt_reads_it(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	fixture(FIXTURE("handwritten"), &domain);
	assert_string_equal(domain.name, "it's <\"T\xc3\xa4st\"> & -x ../..");
	assert_string_equal(domain.uuid, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
	assert_int_equal(domain.memory_kib, 2 * 1024 * 1024);
	assert_string_equal(domain.vcpu_cpus, "0-2,4-7,9");
	assert_int_equal(domain.vcpus_max, 4);
	assert_int_equal(domain.nr_vcpu_pins, 2);
	assert_int_equal(domain.vcpu_pins[0].id, 0);
	assert_string_equal(domain.vcpu_pins[0].cpus, "2");
	assert_string_equal(domain.vcpu_pins[1].cpus, "4,6");
	assert_int_equal(domain.nr_pci, 2);
	assert_pci(&domain, 0, "0000:0a:08.7", "hostdev", false);
	assert_pci(&domain, 1, "0000:0a:1f.0", "hostdev", true);
	assert_int_equal(domain.memories[0].size_kib, 97657);
	/* 2 GiB less the DIMM's 97657 KiB, 1953 MiB; and the DIMM, 96 MiB */
	assert_needs(&domain, "2048 [] 1025;");
}

static void nothing_in_metadata_or_a_foreign_namespace_is_taken_for_the_domains(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	fixture(FIXTURE("traps"), &domain);
	assert_string_equal(domain.name, "traps");
	assert_string_equal(domain.uuid, "00000000-0000-4000-8000-000000000003");
	assert_int_equal(domain.vcpus_max, 2);
	assert_int_equal(domain.vcpus_current, 2);
	assert_int_equal(domain.nr_vcpu_pins, 0);
	assert_int_equal(domain.nr_pci, 1);
	assert_pci(&domain, 0, "0000:01:00.0", "hostdev", false);
}

static void missing_elements_have_libvirts_defaults(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	parse(XML(""), &domain);
	assert_int_equal(domain.vcpus_max, 1);
	assert_int_equal(domain.vcpus_current, 1);
	assert_true(domain.memory_balloon);
	assert_null(domain.emulator_cpus);
	assert_null(domain.launch_security);
	assert_false(domain.hugepages);
	assert_needs(&domain, "");
}

static void a_uuid_has_libvirts_freedom_and_comes_out_in_one_form(void **state)
{
	static const char *const forms[] = {
		"1b4e28ba-2fa1-11d2-883f-0016d3cca427",
		"1B4E28BA-2FA1-11D2-883F-0016D3CCA427",
		"1b4e28ba2fa111d2883f0016d3cca427",
		"\n\t1b4e28ba 2fa1-11d2--883f 0016d3cca427 ",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_domain_ struct domain domain = { 0 };
		char xml[256];

		(void)snprintf(xml, sizeof(xml), "<domain><name>g</name><uuid>%s</uuid></domain>",
			       forms[i]);
		parse(xml, &domain);
		assert_string_equal(domain.uuid, forms[0]);
	}
}

static void blanks_at_the_ends_of_a_name_belong_to_it(void **state)
{
	static const char xml[] = "<domain><name> a b </name>"
				  "<uuid>1b4e28ba-2fa1-11d2-883f-0016d3cca427</uuid></domain>";
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	parse(xml, &domain);
	assert_string_equal(domain.name, " a b ");
}

static void references_in_attributes_and_texts_are_resolved(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	parse(XML("<devices><disk><source dev='/dev/&lt;a&amp;b&#x43;&#100;&quot;e'/></disk>"
		  "</devices><resource><partition>&#x2f;m&gt;<![CDATA[&lt;]]></partition></"
		  "resource>"),
	      &domain);
	assert_string_equal(domain.disks[0].path, "/dev/<a&bCd\"e");
	assert_string_equal(domain.partition, "/m>&lt;");
}

/* --- Values ------------------------------------------------------------------------------------ */

#define HOSTDEV(address)                                                                           \
	XML("<devices><hostdev mode='subsystem' type='pci'><source><address " address              \
	    "/></source></hostdev></devices>")

static void pci_numbers_are_hexadecimal_octal_or_decimal_by_their_prefix(void **state)
{
	static const struct {
		const char *xml, *addr;
	} cases[] = {
		{ HOSTDEV("domain='0x0000' bus='0x0a' slot='0x1f' function='0x7'"),
		  "0000:0a:1f.7" },
		{ HOSTDEV("domain='0' bus='10' slot='31' function='7'"), "0000:0a:1f.7" },
		{ HOSTDEV("domain='00' bus='012' slot='037' function='07'"), "0000:0a:1f.7" },
		{ HOSTDEV("bus='255'"), "0000:ff:00.0" },
		{ HOSTDEV("domain='0X10000' bus='0'"), "10000:00:00.0" },
		{ HOSTDEV("domain='0xffffffff'"), "ffffffff:00:00.0" },
		{ HOSTDEV("slot='010'"), "0000:00:08.0" },
		{ HOSTDEV("type='pci' slot='2'"), "0000:00:02.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_domain_ struct domain domain = { 0 };

		parse(cases[i].xml, &domain);
		assert_int_equal(domain.nr_pci, 1);
		assert_pci(&domain, 0, cases[i].addr, "hostdev", false);
	}
}

#define CPUTUNE(s) XML("<cputune>" s "</cputune>")
#define NUMA(s)	   XML("<cpu><numa>" s "</numa></cpu>")
#define MEMDEV(s)  XML("<devices><memory model='dimm'>" s "</memory></devices>")
#define DISK(s)	   XML("<devices><disk type='nvme'>" s "</disk></devices>")

static void each_wrong_value_is_refused_with_its_line_and_element(void **state)
{
	static const struct {
		const char *xml, *what;
	} cases[] = {
		{ HOSTDEV("bus='256'"), "<address bus='256'> is not a number from 0 to 255" },
		{ HOSTDEV("slot='0x20'"), "<address slot='0x20'> is not a number from 0 to 31" },
		{ HOSTDEV("slot='08'"), "<address slot='08'> is not a number from 0 to 31" },
		{ HOSTDEV("function='8'"), "<address function='8'> is not a number from 0 to 7" },
		{ HOSTDEV("domain='0x100000000'"),
		  "<address domain='0x100000000'> is not a number from 0 to 4294967295" },
		{ HOSTDEV("bus='-1'"), "<address bus='-1'> is not a number from 0 to 255" },
		{ HOSTDEV("bus=''"), "<address bus=''> is not a number from 0 to 255" },
		{ HOSTDEV("bus=' 1'"), "<address bus=' 1'> is not a number from 0 to 255" },
		{ HOSTDEV("function='1'"), "a host device has the address 0000:00:00.1, which is "
					   "the host bridge's" },
		{ HOSTDEV("type='usb' bus='1'"),
		  "a host device's address is of type 'usb', not pci" },
		{ XML("<devices><hostdev type='pci'/></devices>"),
		  "a host device has no source address" },
		{ XML("<devices><interface type='hostdev'><source/></interface></devices>"),
		  "a host device has no source address" },
		{ DISK("<source type='pci'/>"), "a host device has no source address" },
		{ XML("<vcpu>x</vcpu>"), "<vcpu> 'x' is not a number" },
		{ XML("<vcpu>-1</vcpu>"), "<vcpu> '-1' is not a number" },
		{ XML("<vcpu/>"), "<vcpu> '' is not a number" },
		{ XML("<vcpu current='0x1'>1</vcpu>"),
		  "<vcpu current='0x1'> is not a number from 0 to 4294967295" },
		{ XML("<vcpu cpuset='0-'>1</vcpu>"),
		  "<vcpu cpuset='0-'> is not a list like 0-3,8" },
		{ XML("<iothreads>many</iothreads>"), "<iothreads> 'many' is not a number" },
		{ CPUTUNE("<vcpupin vcpu='0'/>"), "a pin lacks its vcpu or its cpuset" },
		{ CPUTUNE("<vcpupin cpuset='0'/>"), "a pin lacks its vcpu or its cpuset" },
		{ CPUTUNE("<iothreadpin iothread='1'/>"),
		  "a pin lacks its iothread or its cpuset" },
		{ CPUTUNE("<vcpupin vcpu='0' cpuset=''/>"),
		  "<vcpupin cpuset=''> is not a list like 0-3,8" },
		{ CPUTUNE("<vcpupin vcpu='0' cpuset='3,^3'/>"),
		  "<vcpupin cpuset='3,^3'> is not a list like 0-3,8" },
		{ CPUTUNE("<vcpupin vcpu='0' cpuset='16384'/>"),
		  "<vcpupin cpuset='16384'> is not a list like 0-3,8" },
		{ CPUTUNE("<vcpupin vcpu='a' cpuset='1'/>"),
		  "<vcpupin vcpu='a'> is not a number from 0 to 4294967295" },
		{ CPUTUNE("<emulatorpin/>"), "<emulatorpin> lacks its cpuset" },
		{ XML("<memory unit='parsec'>1</memory>"),
		  "<memory> '1' is not an amount of memory" },
		{ XML("<memory unit='kibibyteandmore'>1</memory>"),
		  "<memory> '1' is not an amount of memory" },
		{ XML("<memory unit='EiB'>16</memory>"),
		  "<memory> '16' is not an amount of memory" },
		{ XML("<memory>1.5</memory>"), "<memory> '1.5' is not an amount of memory" },
		{ XML("<memoryBacking><hugepages><page unit='M'/></hugepages></memoryBacking>"),
		  "<page> lacks its size" },
		{ XML("<memoryBacking><hugepages><page size='0'/></hugepages></memoryBacking>"),
		  "<page> lacks its size" },
		{ XML("<memoryBacking><hugepages><page size='2x'/></hugepages></memoryBacking>"),
		  "<page size='2x'> is not an amount of memory" },
		{ XML("<memoryBacking><hugepages><page size='2' nodeset='a'/></hugepages>"
		      "</memoryBacking>"),
		  "<page nodeset='a'> is not a list like 0-3,8" },
		{ XML("<numatune><memory mode='loose'/></numatune>"),
		  "NUMA mode 'loose' is not known" },
		{ XML("<numatune><memory nodeset='x'/></numatune>"),
		  "<memory nodeset='x'> is not a list like 0-3,8" },
		{ XML("<numatune><memnode cellid='0'/></numatune>"),
		  "<memnode> lacks its cellid or its nodeset" },
		{ XML("<numatune><memnode nodeset='0'/></numatune>"),
		  "<memnode> lacks its cellid or its nodeset" },
		{ XML("<numatune><memnode mode='x' cellid='0' nodeset='0'/></numatune>"),
		  "NUMA mode 'x' is not known" },
		{ NUMA("<cell id='-1'/>"), "<cell id='-1'> is not a number from 0 to 2147483647" },
		{ NUMA("<cell memory='lots'/>"),
		  "<cell memory='lots'> is not an amount of memory" },
		{ XML("<devices><memory/></devices>"), "<memory> in <devices> lacks its model" },
		{ MEMDEV("<target><size>x</size></target>"),
		  "<size> 'x' is not an amount of memory" },
		{ MEMDEV("<target><requested>x</requested></target>"),
		  "<requested> 'x' is not an amount of memory" },
		{ MEMDEV("<target><block>x</block></target>"),
		  "<block> 'x' is not an amount of memory" },
		{ MEMDEV("<target><node>x</node></target>"), "<node> 'x' is not a number" },
		{ MEMDEV("<source><pagesize>x</pagesize></source>"),
		  "<pagesize> 'x' is not an amount of memory" },
		{ MEMDEV("<source><nodemask>x</nodemask></source>"),
		  "<nodemask> 'x' is not a list like 0-3,8" },
		{ "<domain><name/></domain>", "<name> is empty" },
		{ "<domain><name>g</name></domain>", "<domain> lacks its <uuid>" },
		{ "<domain/>", "<domain> lacks its <name>" },
		{ "<domain><uuid>1b4e28ba-2fa1-11d2-883f-0016d3cca42</uuid></domain>",
		  "<uuid> '1b4e28ba-2fa1-11d2-883f-0016d3cca42' is no UUID" },
		{ "<domain><uuid>1b4e28ba-2fa1-11d2-883f-0016d3cca4270</uuid></domain>",
		  "<uuid> '1b4e28ba-2fa1-11d2-883f-0016d3cca4270' is no UUID" },
		{ "<domain><uuid>g</uuid></domain>", "<uuid> 'g' is no UUID" },
		{ "<network/>", "the root element is <network>, not libvirt's <domain>" },
		{ "<domain xmlns='http://example.org/'/>",
		  "the root element is <domain>, not libvirt's <domain>" },
		{ CPUTUNE("<vcpupin vcpu='3' cpuset='0'/><vcpupin vcpu='3' cpuset='1'/>"),
		  "vCPU 3 is pinned twice" },
		{ CPUTUNE("<iothreadpin iothread='1' cpuset='0'/>"
			  "<iothreadpin iothread='1' cpuset='1'/>"),
		  "iothread 1 is pinned twice" },
		{ NUMA("<cell id='1'/><cell/>"), "NUMA cell 1 is there twice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char what[256];

		(void)snprintf(what, sizeof(what), "line 1: %s", cases[i].what);
		refused(cases[i].xml, strlen(cases[i].xml), -EBADMSG, what);
	}
}

static void the_line_is_that_of_the_element_and_a_long_value_is_cut(void **state)
{
	static const char text[] = "<domain>\n<vcpu\n>\xc3\xa4\x7f</vcpu></domain>";
	static const char attr[] = "<domain>\n\n<cputune>\n\t<vcpupin vcpu='0' cpuset='0123456789"
				   "012345678901234567890123456789012345678901234567890'/>";
	static const char element[] = "<domain>\n<devices>\n<hostdev type='pci'>\n<source/>\n"
				      "</hostdev>\n\n</devices></domain>";
	static const char broken[] = "<domain>\n<title>\n</titel>";

	(void)state;
	refused(text, strlen(text), -EBADMSG, "line 3: <vcpu> '\xc3\xa4\\x7f' is not a number");
	refused(attr, strlen(attr), -EBADMSG,
		"line 4: <vcpupin cpuset='012345678901234567890123456789012345678901234567'> is "
		"not a list like 0-3,8");
	refused(element, strlen(element), -EBADMSG, "line 3: a host device has no source address");
	refused(broken, strlen(broken), -EBADMSG, "line 3: no well-formed XML: ");
}

static void elements_of_which_libvirt_takes_the_first_are_taken_once(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	parse(XML("<name>second</name><vcpu>2</vcpu><vcpu>junk</vcpu>"
		  "<memory>1024</memory><memory>2048</memory>"
		  "<cputune><emulatorpin cpuset='1'/></cputune>"
		  "<cputune><emulatorpin cpuset='2'/><vcpupin vcpu='0' cpuset='5'/></cputune>"
		  "<devices><memballoon model='none'/><memballoon model='virtio'/></devices>"),
	      &domain);
	assert_string_equal(domain.name, "g");
	assert_int_equal(domain.vcpus_max, 2);
	assert_int_equal(domain.memory_kib, 1024);
	assert_string_equal(domain.emulator_cpus, "1");
	assert_int_equal(domain.nr_vcpu_pins, 1);
	assert_false(domain.memory_balloon);
}

/* --- Hostile documents ------------------------------------------------------------------------- */

static void a_dtd_is_refused_before_libxml2_sees_it(void **state)
{
	static const char *const files[] = { FIXTURE("entity_bomb"), FIXTURE("xxe") };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_domain_ struct domain domain = { 0 };
		struct domain_error err;

		assert_int_equal(read_file(files[i], &domain, &err), -EBADMSG);
		assert_string_equal(err.what, "line 2: a document type definition, which libvirt "
					      "never writes");
	}
}

/* Return: the port */
static unsigned int listen_on_loopback(int fd)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin_port);
}

static void an_external_entity_opens_no_connection_wherever_it_stands(void **state)
{
	static const char *const forms[] = {
		"<!DOCTYPE domain SYSTEM \"http://127.0.0.1:%u/\"><domain/>",
		"<!DOCTYPE domain [<!ENTITY %% e SYSTEM \"http://127.0.0.1:%u/\"> %%e;]><domain/>",
		"<!DOCTYPE domain [<!ENTITY e SYSTEM \"http://127.0.0.1:%u/\">]>"
		"<domain><name>&e;</name></domain>",
		"<domain xmlns:xi='http://www.w3.org/2001/XInclude'>"
		"<xi:include href='http://127.0.0.1:%u/'/></domain>",
		"<?xml-stylesheet href='http://127.0.0.1:%u/'?><domain/>",
		"<domain xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
		"xsi:noNamespaceSchemaLocation='http://127.0.0.1:%u/'/>",
	};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unsigned int port = listen_on_loopback(fd);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct domain_error err;
		struct domain domain;
		char xml[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(xml, sizeof(xml), forms[i], port);
#pragma GCC diagnostic pop
		assert_int_equal(domain_parse(xml, strlen(xml), &domain, &err), -EBADMSG);
		assert_int_equal(accept(fd, NULL, NULL), -1);
		assert_int_equal(errno, EAGAIN);
	}
}

static void xml_that_is_not_well_formed_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *xml, *what;
	} cases[] = {
		{ "", "line 1: the XML ends before </domain>" },
		{ XML("") "x", NULL },
		{ "<domain>\n" NAME_UUID, "line 2: the XML ends before </domain>" },
		{ "win11", "line 1: no well-formed XML: " },
		{ "<domain>\n<title>&file;</title></domain>", "line 2: no well-formed XML: " },
		{ "<domain>\n</name></domain>", "line 2: no well-formed XML: " },
		{ "<domain>\n\n<title></domain>\n", "line 3: no well-formed XML: " },
		{ "<domain id='1' id='2'/>", "line 1: no well-formed XML: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_domain_ struct domain domain = { 0 };

		if (cases[i].what)
			refused(cases[i].xml, strlen(cases[i].xml), -EBADMSG, cases[i].what);
		else
			parse(cases[i].xml, &domain);
	}
}

static void the_encoding_is_utf8_whatever_the_document_says(void **state)
{
	static const char utf16[] = "\xff\xfe<\0d\0o\0m\0a\0i\0n\0/\0>\0";
	static const char latin[] = "<?xml version='1.0' encoding='EBCDIC-CP-DE'?><domain><name>"
				    "\xc3\xa4</name><uuid>1b4e28ba-2fa1-11d2-883f-0016d3cca427"
				    "</uuid></domain>";
	static const char bytes[] = "<domain><name>\xe4</name></domain>";
	/* A whole domain that libxml2 would recognise by its first bytes, past the guard */
	static const char ebcdic[] =
		"\x4c\x6f\xa7\x94\x93\x40\xa5\x85\x99\xa2\x89\x96\x95\x7e\x7d\xf1\x4b\xf0"
		"\x7d\x40\x85\x95\x83\x96\x84\x89\x95\x87\x7e\x7d\xc5\xc2\xc3\xc4\xc9\xc3"
		"\x60\xc3\xd7\x60\xe4\xe2\x7d\x6f\x6e\x4c\x84\x96\x94\x81\x89\x95\x6e\x4c"
		"\x95\x81\x94\x85\x6e\x87\x4c\x61\x95\x81\x94\x85\x6e\x4c\xa4\xa4\x89\x84"
		"\x6e\xf1\x82\xf4\x85\xf2\xf8\x82\x81\x60\xf2\x86\x81\xf1\x60\xf1\xf1\x84"
		"\xf2\x60\xf8\xf8\xf3\x86\x60\xf0\xf0\xf1\xf6\x84\xf3\x83\x83\x81\xf4\xf2"
		"\xf7\x4c\x61\xa4\xa4\x89\x84\x6e\x4c\x61\x84\x96\x94\x81\x89\x95\x6e";
	_cleanup_domain_ struct domain domain = { 0 };

	(void)state;
	parse(latin, &domain);
	assert_string_equal(domain.name, "\xc3\xa4");
	refused(utf16, sizeof(utf16) - 1, -EBADMSG, "line 1: a NUL byte");
	refused(XML("\0"), sizeof(XML("\0")) - 1, -EBADMSG, "line 1: a NUL byte");
	refused(bytes, sizeof(bytes) - 1, -EBADMSG, "line 1: no well-formed XML: ");
	refused(ebcdic, sizeof(ebcdic) - 1, -EBADMSG, "line 1: no well-formed XML: ");
}

struct text {
	char *text;
	size_t len;
};

static void text_free(struct text *text)
{
	free(text->text);
}

/* @head, @nr times @part (with its number for a %zu), @tail */
static struct text repeat(const char *head, const char *part, size_t nr, const char *tail)
{
	struct text ret = { NULL, 0 };
	FILE *f = open_memstream(&ret.text, &ret.len);

	assert_non_null(f);
	(void)fputs(head, f);
	for (size_t i = 0; i < nr; i++) {
		const char *number = strchr(part, '#');

		if (number)
			(void)fprintf(f, "%.*s%zu%s", (int)(number - part), part, i, number + 1);
		else
			(void)fputs(part, f);
	}
	(void)fputs(tail, f);
	assert_int_equal(fclose(f), 0);
	return ret;
}

static void each_bound_holds_to_the_last_and_has_its_own_message(void **state)
{
	static const struct {
		const char *head, *part, *tail;
		size_t max; /* parts that are still accepted */
		int error;
		const char *what;
	} cases[] = {
		{ "<domain>" NAME_UUID "<cputune>", "<vcpupin vcpu='#' cpuset='0'/>",
		  "</cputune></domain>", DOMAIN_PINS_MAX, -EBADMSG, "line 1: more than 4096 pins" },
		{ "<domain>" NAME_UUID "<cputune>", "<iothreadpin iothread='#' cpuset='0'/>",
		  "</cputune></domain>", DOMAIN_PINS_MAX, -EBADMSG, "line 1: more than 4096 pins" },
		{ "<domain>" NAME_UUID "<devices>",
		  "<hostdev type='pci'><source><address domain='#' bus='1'/></source></hostdev>",
		  "</devices></domain>", DOMAIN_DEVICES_MAX, -EBADMSG,
		  "line 1: more than 1024 host devices" },
		{ "<domain>" NAME_UUID "<devices>", "<disk><source dev='/dev/sd#'/></disk>",
		  "</devices></domain>", DOMAIN_DEVICES_MAX, -EBADMSG,
		  "line 1: more than 1024 block devices" },
		{ "<domain>" NAME_UUID "<devices>", "<memory model='dimm'/>", "</devices></domain>",
		  DOMAIN_DEVICES_MAX, -EBADMSG, "line 1: more than 1024 memory devices" },
		{ "<domain>" NAME_UUID "<cpu><numa>", "<cell id='#'/>", "</numa></cpu></domain>",
		  DOMAIN_CELLS_MAX, -EBADMSG, "line 1: more than 1024 NUMA cells" },
		{ "<domain>" NAME_UUID "<numatune>", "<memnode cellid='#' nodeset='0'/>",
		  "</numatune></domain>", DOMAIN_CELLS_MAX, -EBADMSG,
		  "line 1: more than 1024 memnodes" },
		{ "<domain>" NAME_UUID "<memoryBacking><hugepages>", "<page size='#2'/>",
		  "</hugepages></memoryBacking></domain>", DOMAIN_PAGES_MAX, -EBADMSG,
		  "line 1: more than 64 huge page sizes" },
		{ "<domain>" NAME_UUID "<on_poweroff>", "x", "</on_poweroff></domain>", 65535,
		  -EBADMSG, "line 1: <on_poweroff> holds 65536 bytes or more" },
		{ "<domain>" NAME_UUID "<on_poweroff>", "<![CDATA[]]]>", "</on_poweroff></domain>",
		  65535, -EBADMSG, "line 1: <on_poweroff> holds 65536 bytes or more" },
		{ "<domain>" NAME_UUID "<a b='", "x", "'/></domain>", GUARD_TAG_MAX - 8, -EBADMSG,
		  "line 1: a tag longer than 128 KiB" },
		{ "<domain>" NAME_UUID "<a ", "a#='' ", "/></domain>", GUARD_ATTRS_MAX, -EBADMSG,
		  "line 1: an element with more than 512 attributes" },
		{ "<domain>" NAME_UUID "<!--", "x", "--></domain>", GUARD_MARKUP_MAX - 7, -EBADMSG,
		  "line 1: a comment, CDATA section or processing instruction longer than 1 MiB" },
		{ "<domain>" NAME_UUID "<?a ", ">", "?></domain>", 100000, 0, NULL },
		{ "<domain>" NAME_UUID "<![CDATA[", "<!D]>", "]]></domain>", 20000, 0, NULL },
		{ "<domain>" NAME_UUID, "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", "</domain>",
		  (DOMAIN_XML_MAX - 76) / 16, -EFBIG, "larger than 4 MiB" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(text_free) struct text last =
			repeat(cases[i].head, cases[i].part, cases[i].max, cases[i].tail);
		_cleanup_(text_free) struct text over =
			repeat(cases[i].head, cases[i].part, cases[i].max + 1, cases[i].tail);
		_cleanup_domain_ struct domain domain = { 0 };
		struct domain_error err;

		if (domain_parse(last.text, last.len, &domain, &err) < 0)
			fail_msg("%s: %s", cases[i].part, err.what);
		if (cases[i].what)
			refused(over.text, over.len, cases[i].error, cases[i].what);
	}
}

static void elements_may_be_nested_as_deep_as_the_bound_and_no_deeper(void **state)
{
	static const size_t depths[] = { DOMAIN_DEPTH_MAX, 200, 300, 100000 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		_cleanup_(text_free) struct text deep =
			repeat("<domain>" NAME_UUID "<metadata>", "<a>", depths[i] - 1, "");

		refused(deep.text, deep.len, -EBADMSG, "line 1: elements nested deeper than 128");
	}
	_cleanup_(text_free) struct text open =
		repeat("<domain>" NAME_UUID, "<a>", DOMAIN_DEPTH_MAX - 1, "");
	_cleanup_(text_free) struct text whole =
		repeat(open.text, "</a>", DOMAIN_DEPTH_MAX - 1, "</domain>");

	if (domain_parse(whole.text, whole.len, &domain, &err) < 0)
		fail_msg("%s", err.what);
}

static void reading_stops_at_the_end_of_the_domain_though_the_pipe_stays_open(void **state)
{
	static const char xml[] = "<!-- </domain> --><?a </domain> ?>" XML(
		"<title a='/domain>'><![CDATA[</domain>]]><domain/></title>"
		"<devices/>") "\nwhat is behind is not ours";
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], xml, strlen(xml)), strlen(xml));
	/* Were it to read on, it would wait for ever */
	(void)alarm(10);
	assert_int_equal(domain_read(fds[0], &domain, &err), 0);
	(void)alarm(0);
	assert_string_equal(domain.name, "g");
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* With it, a wait for what does not come is over at once */
static bool time_flies;

int __real_poll(struct pollfd *fds, nfds_t nr, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout_ms);

int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout_ms)
{
	assert_in_range(timeout_ms, 0, DOMAIN_READ_MS);
	return __real_poll(fds, nr, time_flies ? 0 : timeout_ms);
}

static void a_pipe_that_nobody_closes_is_not_waited_for_without_end(void **state)
{
	static const char *const begins[] = { "", "<domain>\n<name>g</name>" };
	static const char *const whats[] = {
		"line 1: no </domain> within 10 s, and stdin is still open",
		"line 2: no </domain> within 10 s, and stdin is still open",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
		struct domain domain = { .vcpus_max = 77 };
		struct domain_error err = { "" };
		int fds[2], r;

		assert_int_equal(pipe(fds), 0);
		assert_int_equal(write(fds[1], begins[i], strlen(begins[i])), strlen(begins[i]));
		(void)alarm(60);
		time_flies = true;
		r = domain_read(fds[0], &domain, &err);
		time_flies = false;
		(void)alarm(0);
		assert_int_equal(r, -ETIMEDOUT);
		assert_string_equal(err.what, whats[i]);
		assert_int_equal(domain.vcpus_max, 77);
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
}

static void a_document_in_small_pieces_is_the_same_document(void **state)
{
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;
	int fds[2], fd;
	pid_t pid;
	char c;

	(void)state;
	fd = open(FIXTURE("handwritten"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		while (read(fd, &c, 1) == 1)
			if (write(fds[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	(void)close(fds[1]);
	assert_int_equal(domain_read(fds[0], &domain, &err), 0);
	assert_string_equal(domain.vcpu_cpus, "0-2,4-7,9");
	(void)close(fds[0]);
	(void)close(fd);
}

static void a_descriptor_that_cannot_be_read_says_why(void **state)
{
	struct domain_error err;
	struct domain domain;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(domain_read(fd, &domain, &err), -EISDIR);
	assert_string_equal(err.what, "cannot be read: Is a directory");
	(void)close(fd);
	assert_int_equal(domain_read(fd, &domain, &err), -EBADF);
	assert_string_equal(err.what, "cannot be read: Bad file descriptor");
}

/* --- Memory ------------------------------------------------------------------------------------ */

static size_t held, peak;

static void *count(void *p)
{
	held += p ? malloc_usable_size(p) : 0;
	peak = held > peak ? held : peak;
	return p;
}

static void counting_free(void *p)
{
	held -= p ? malloc_usable_size(p) : 0;
	free(p);
}

static void *counting_malloc(size_t size)
{
	return count(malloc(size));
}

static void *counting_realloc(void *p, size_t size)
{
	held -= p ? malloc_usable_size(p) : 0;
	return count(realloc(p, size));
}

static char *counting_strdup(const char *s)
{
	return count(strdup(s));
}

static void a_megabyte_of_xml_is_read_in_a_fraction_of_that(void **state)
{
	static const char disk[] =
		"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
		"<source file='/srv/#.img'/><target dev='vda' bus='virtio'/>"
		"<address type='pci' domain='0x0000' bus='0x04' slot='0x00' "
		"function='0x0'/></disk>";
	_cleanup_(text_free) struct text xml =
		repeat("<domain>" NAME_UUID "<devices>", disk, (1 << 20) / sizeof(disk) + 1,
		       "</devices></domain>");
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;
	xmlReallocFunc old_realloc;
	xmlStrdupFunc old_strdup;
	xmlMallocFunc old_malloc;
	xmlFreeFunc old_free;
	int r;

	(void)state;
	assert_true(xml.len > 1 << 20);
	held = peak = 0;
	assert_int_equal(xmlMemGet(&old_free, &old_malloc, &old_realloc, &old_strdup), 0);
	assert_int_equal(
		xmlMemSetup(counting_free, counting_malloc, counting_realloc, counting_strdup), 0);
	r = domain_parse(xml.text, xml.len, &domain, &err);
	assert_int_equal(xmlMemSetup(old_free, old_malloc, old_realloc, old_strdup), 0);
	assert_int_equal(r, 0);
	assert_true(peak > 0);
	assert_true(peak < 256 * 1024);
}

static void names_without_end_are_refused_before_they_take_the_memory(void **state)
{
	_cleanup_(text_free) struct text fits =
		repeat("<domain>" NAME_UUID, "<a#/>", DOMAIN_NAMES_MAX - 100, "</domain>");
	_cleanup_(text_free) struct text elements =
		repeat("<domain>" NAME_UUID, "<a#/>", 200000, "</domain>");
	_cleanup_(text_free) struct text attributes =
		repeat("<domain>" NAME_UUID, "<a b#=''/>", 200000, "</domain>");
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;

	(void)state;
	if (domain_parse(fits.text, fits.len, &domain, &err) < 0)
		fail_msg("%s", err.what);
	refused(elements.text, elements.len, -EBADMSG,
		"line 1: more than 32768 names of elements and attributes");
	refused(attributes.text, attributes.len, -EBADMSG,
		"line 1: more than 32768 names of elements and attributes");
}

static struct domain nomem_domain;
static struct domain_error nomem_err;

static int read_cells(void)
{
	domain_free(&nomem_domain);
	return read_file(FIXTURE("cells"), &nomem_domain, &nomem_err);
}

static int read_nvme(void)
{
	domain_free(&nomem_domain);
	return read_file(FIXTURE("nvme"), &nomem_domain, &nomem_err);
}

static int read_bad(void)
{
	int r = domain_parse("<network/>", 10, &nomem_domain, &nomem_err);

	return r == -EBADMSG ? 0 : r;
}

static struct domain_hugepages nomem_pages;

static int count_pages(void)
{
	domain_hugepages_free(&nomem_pages);
	return domain_hugepages(&nomem_domain, 2048, 4, &nomem_pages);
}

static void without_memory_each_function_says_so_and_leaks_nothing(void **state)
{
	(void)state;
	assert_nomem(read_cells(), 25);
	assert_string_equal(nomem_err.what, "");
	assert_nomem(count_pages(), 8);
	domain_hugepages_free(&nomem_pages);
	assert_nomem(read_nvme(), 10);
	domain_free(&nomem_domain);
	assert_nomem(read_bad(), 4);
	nomem_after = 0;
	assert_int_equal(domain_parse("<domain/>", 9, &nomem_domain, &nomem_err), -ENOMEM);
	nomem_after = -1;
	assert_string_equal(nomem_err.what, "out of memory");
}

/* --- Huge pages -------------------------------------------------------------------------------- */

#define HUGE_(pages) "<memoryBacking><hugepages>" pages "</hugepages></memoryBacking>"
#define GIB(n)	     "<memory unit='GiB'>" n "</memory>"
#define NOBALLOON    "<devices><memballoon model='none'/></devices>"
#define CELLS                                                                                      \
	"<cpu><numa><cell id='0' memory='1048576'/><cell id='1' memory='1048576'/></numa></cpu>"
#define DEVICE(model, source, size)                                                                \
	"<devices><memory model='" model "'><source>" source "</source><target>"                   \
	"<size unit='MiB'>" size "</size><node>1</node></target></memory>"                         \
	"<memballoon model='none'/></devices>"

struct pages_case {
	const char *xml, *needs;
};

static void assert_cases(const struct pages_case *cases, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		_cleanup_domain_ struct domain domain = { 0 };

		parse(cases[i].xml, &domain);
		assert_needs(&domain, cases[i].needs);
	}
}

static void the_page_size_is_found_as_libvirt_finds_it(void **state)
{
	static const struct pages_case cases[] = {
		{ XML(GIB("1") HUGE_("") NOBALLOON), "2048 [] 512;" },
		{ XML(GIB("1") NOBALLOON), "" },
		{ XML(GIB("3") HUGE_("<page size='1' unit='G'/>") NOBALLOON), "1048576 [] 3;" },
		{ XML(GIB("1") HUGE_("<page size='4' unit='KiB'/>") NOBALLOON), "" },
		{ XML(GIB("1") HUGE_("<page size='2048' nodeset='0'/>") NOBALLOON),
		  "2048 [] 512;" },
		{ XML(GIB("1") HUGE_("<page size='2048' nodeset='1'/>") NOBALLOON), "" },
		{ XML(GIB("1") HUGE_("<page size='1048576'/><page size='2048'/>") NOBALLOON),
		  "2048 [] 512;" },
		{ XML(GIB("2") HUGE_("<page size='2048' nodeset='0'/>") CELLS NOBALLOON),
		  "2048 [] 512;" },
		{ XML(GIB("2") HUGE_("<page size='2048' nodeset='0,9'/>"
				     "<page size='1048576' nodeset='0-1'/>") CELLS NOBALLOON),
		  "2048 [] 512;1048576 [] 1;" },
		{ XML(GIB("2") HUGE_("<page size='1048576' nodeset='1'/><page size='2048'/>")
			      CELLS NOBALLOON),
		  "2048 [] 512;1048576 [] 1;" },
		{ XML(GIB("2") HUGE_("<page size='4' nodeset='1'/><page size='2048'/>")
			      CELLS NOBALLOON),
		  "2048 [] 512;" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

static void each_memory_object_is_rounded_up_to_whole_pages_on_its_own(void **state)
{
	static const struct pages_case cases[] = {
		{ XML("<memory>1</memory>" HUGE_("") NOBALLOON), "2048 [] 1;" },
		{ XML("<memory>1048577</memory>" HUGE_("") NOBALLOON), "2048 [] 513;" },
		{ XML("<memory>2097153</memory>" HUGE_("<page size='64' unit='KiB'/>") NOBALLOON),
		  "64 [] 32784;" },
		{ XML(GIB("1") HUGE_(
			  "<page size='1' unit='G'/>") "<cpu><numa><cell memory='512' "
						       "unit='MiB'/><cell memory='512' unit='MiB'/>"
						       "</numa></cpu>" NOBALLOON),
		  "1048576 [] 2;" },
		{ XML(GIB("2") HUGE_("") "<cpu><numa><cell id='1' memory='1025'/>"
					 "<cell id='0' memory='1'/></numa></cpu>" NOBALLOON),
		  "2048 [] 2;" },
		{ XML("<memory>0</memory>" HUGE_("") NOBALLOON), "" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

static void memory_devices_are_part_of_the_total_and_have_their_own_pages(void **state)
{
	static const struct pages_case cases[] = {
		{ XML(GIB("2") HUGE_("") DEVICE("dimm", "", "1024")), "2048 [] 1024;" },
		{ XML(GIB("2") HUGE_("") DEVICE("dimm", "", "1023")), "2048 [] 1025;" },
		{ XML(GIB("2") HUGE_("") CELLS DEVICE("dimm", "", "3")), "2048 [] 1026;" },
		{ XML(GIB("2") CELLS DEVICE("dimm", "<pagesize>64</pagesize>", "3")), "64 [] 64;" },
		{ XML(GIB("2") HUGE_("<page size='2048' nodeset='0'/>") CELLS
		      "<devices><memory model='dimm'><target><size>2048</size></target>"
		      "</memory><memballoon model='none'/></devices>"),
		  "2048 [] 512;" },
		{ XML(GIB("2") DEVICE("dimm",
				      "<pagesize unit='G'>1</pagesize>"
				      "<nodemask>0-1,3</nodemask>",
				      "1024")),
		  "1048576 [0-1,3] strict 1;" },
		{ XML(GIB("2") CELLS DEVICE("dimm", "<pagesize>4</pagesize>", "1024")), "" },
		{ XML(GIB("2") HUGE_("<page size='4' nodeset='1'/><page size='2048'/>")
			      CELLS DEVICE("dimm", "", "64")),
		  "2048 [] 512;" },
		{ XML(GIB("2") HUGE_("") CELLS DEVICE("nvdimm", "<path>/x</path>", "64")),
		  "2048 [] 1024;" },
		{ XML(GIB("2") HUGE_("") CELLS DEVICE("virtio-pmem", "<path>/x</path>", "64")),
		  "2048 [] 1024;" },
		{ XML(GIB("2") HUGE_("") CELLS DEVICE("sgx-epc", "<nodemask>0</nodemask>", "64")),
		  "2048 [] 1024;" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

static void virtio_mem_takes_what_is_requested_and_more_later(void **state)
{
	static const struct pages_case cases[] = {
		{ XML(GIB("4") HUGE_("") CELLS
		      "<devices><memory model='virtio-mem'><target>"
		      "<size unit='GiB'>2</size><requested unit='MiB'>3</requested><node>1</node>"
		      "</target></memory><memballoon model='none'/></devices>"),
		  "2048 [] 1026;grows;" },
		{ XML(GIB("4") CELLS
		      "<devices><memory model='virtio-mem'><source><pagesize>64</pagesize></source>"
		      "<target><size unit='GiB'>2</size><requested unit='MiB'>3</requested>"
		      "<node>1</node></target></memory><memballoon model='none'/></devices>"),
		  "64 [] 48;grows;" },
		{ XML(GIB("4") HUGE_("<page size='2048' nodeset='0'/>") CELLS
		      "<devices><memory model='virtio-mem'><target><size unit='GiB'>2</size>"
		      "<requested>0</requested><node>1</node></target></memory>"
		      "<memballoon model='none'/></devices>"),
		  "2048 [] 512;" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

static void a_balloon_can_fault_pages_in_again_unless_vfio_switches_it_off(void **state)
{
	static const struct pages_case cases[] = {
		{ XML(GIB("1") HUGE_("") "<devices><memballoon model='virtio'/></devices>"),
		  "2048 [] 512;grows;" },
		{ XML(GIB("1") HUGE_("")), "2048 [] 512;grows;" },
		{ XML(GIB("1")), "" },
		{ XML(GIB("1") HUGE_(
			  "") "<devices><hostdev type='pci'><source><address bus='1'/>"
			      "</source></hostdev><memballoon model='virtio'/></devices>"),
		  "2048 [] 512;" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

#define NUMATUNE(s) "<numatune>" s "</numatune>"

static void host_nodes_are_memnodes_then_numatunes_then_any(void **state)
{
	static const struct pages_case cases[] = {
		{ XML(GIB("1") HUGE_("") NUMATUNE("<memory mode='strict' nodeset='1'/>") NOBALLOON),
		  "2048 [1] strict 512;" },
		{ XML(GIB("1") HUGE_("") NUMATUNE("<memory nodeset='0-1'/>") NOBALLOON),
		  "2048 [0-1] strict 512;" },
		{ XML(GIB("1") HUGE_("") NUMATUNE("<memory mode='preferred' nodeset='1'/>")
			      NOBALLOON),
		  "2048 [1] 512;" },
		{ XML(GIB("1") HUGE_("") NUMATUNE("<memory mode='interleave' nodeset='0,2'/>")
			      NOBALLOON),
		  "2048 [0,2] 512;" },
		{ XML(GIB("1") HUGE_("") NUMATUNE("<memory mode='restrictive' nodeset='1'/>")
			      NOBALLOON),
		  "2048 [1] strict 512;" },
		{ XML(GIB("2") HUGE_("") CELLS NUMATUNE(
			  "<memory mode='strict' nodeset='0-1'/>"
			  "<memnode cellid='1' mode='strict' nodeset='1'/>") NOBALLOON),
		  "2048 [0-1] strict 512;2048 [1] strict 512;" },
		{ XML(GIB("2") HUGE_("") CELLS NUMATUNE(
			  "<memnode cellid='0' nodeset='0'/>"
			  "<memnode cellid='1' mode='interleave' nodeset='0'/>") NOBALLOON),
		  "2048 [0] strict 512;2048 [0] 512;" },
		/* QEMU gets no policy: what binds is the cpuset, and that has <memory>'s nodes */
		{ XML(GIB("2") HUGE_("") CELLS NUMATUNE(
			  "<memory mode='restrictive' nodeset='0-1'/>"
			  "<memnode cellid='0' mode='restrictive' nodeset='0'/>") NOBALLOON),
		  "2048 [0-1] strict 1024;" },
		{ XML(GIB("2") HUGE_("") CELLS NUMATUNE(
			  "<memnode cellid='0' mode='restrictive' nodeset='0'/>") NOBALLOON),
		  "2048 [] 1024;" },
		/* A device's own nodes win over those of its cell */
		{ XML(GIB("2") HUGE_("<page size='2048' nodeset='1'/>")
			      CELLS NUMATUNE("<memnode cellid='1' nodeset='1'/>")
				      DEVICE("dimm", "<nodemask>0</nodemask>", "2")),
		  "2048 [1] strict 512;2048 [0] strict 1;" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

/* QEMU since 9.1 refuses such an object */
static void memory_that_is_no_whole_number_of_pages_is_told_by_their_size(void **state)
{
	static const struct {
		const char *xml;
		unsigned long long uneven_kib;
	} cases[] = {
		{ XML("<memory unit='MiB'>1110</memory>" HUGE_("") NOBALLOON), 0 },
		{ XML("<memory unit='MiB'>1111</memory>" HUGE_("") NOBALLOON), 2048 },
		{ XML("<memory unit='MiB'>1111</memory>" NOBALLOON), 0 },
		{ XML("<memory unit='MiB'>1536</memory>" HUGE_("<page size='1' unit='G'/>")
			      NOBALLOON),
		  1048576 },
		{ XML(GIB("2") HUGE_("") "<cpu><numa><cell id='0' memory='1047552'/>"
					 "<cell id='1' memory='1049600'/></numa></cpu>" NOBALLOON),
		  2048 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_domain_hugepages_ struct domain_hugepages pages = { 0 };
		_cleanup_domain_ struct domain domain = { 0 };

		parse(cases[i].xml, &domain);
		assert_int_equal(domain_hugepages(&domain, 2048, 4, &pages), 0);
		assert_int_equal(pages.uneven_kib, cases[i].uneven_kib);
	}
}

static void what_numad_will_choose_is_said_to_be_unknown(void **state)
{
	static const struct pages_case cases[] = {
		{ XML(GIB("1") HUGE_("") NUMATUNE("<memory mode='strict' placement='auto'/>")
			      NOBALLOON),
		  "2048 [] 512;numad;" },
		{ XML(GIB("1") HUGE_("") "<vcpu placement='auto'>2</vcpu>" NOBALLOON),
		  "2048 [] 512;numad;" },
		{ XML(GIB("1") HUGE_("") "<vcpu placement='auto'>2</vcpu>" NUMATUNE(
			  "<memory nodeset='1'/>") NOBALLOON),
		  "2048 [1] strict 512;" },
		{ XML(GIB("1") "<vcpu placement='auto'>2</vcpu>" NOBALLOON), "" },
	};

	(void)state;
	assert_cases(cases, ARRAY_SIZE(cases));
}

static void sums_that_cannot_be_are_refused(void **state)
{
	struct domain_memory memory = { .size_kib = 2048, .node = -1 };
	struct domain_cell cells[2] = { { 0, ULLONG_MAX }, { 1, ULLONG_MAX } };
	struct domain domain = {
		.hugepages = true, .memory_kib = 1024, .memories = &memory, .nr_memories = 1
	};
	struct domain_hugepages pages = { .nr = 77 };

	(void)state;
	assert_int_equal(domain_hugepages(&domain, 2048, 4, &pages), -EINVAL);
	domain.cells = cells;
	domain.nr_cells = 1;
	assert_int_equal(domain_hugepages(&domain, 2048, 4, &pages), -EINVAL);
	cells[0].size_kib = cells[1].size_kib = ULLONG_MAX - 2047;
	domain.nr_cells = 2;
	assert_int_equal(domain_hugepages(&domain, 1, 4, &pages), -EINVAL);
	assert_int_equal(pages.nr, 77);
}

static void a_list_out_of_grammar_is_no_set_of_cpus(void **state)
{
	char wrong[] = "3-1";
	struct domain_pin pin = { 0, wrong };
	struct domain domain = { .vcpu_pins = &pin, .nr_vcpu_pins = 1 };
	struct cpulist set;

	(void)state;
	assert_int_equal(domain_pinned_cpus(&domain, &set), -EINVAL);
	assert_int_equal(domain_all_cpus(&domain, &set), -EINVAL);
	domain.nr_vcpu_pins = 0;
	domain.emulator_cpus = wrong;
	assert_int_equal(domain_all_cpus(&domain, &set), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gpu_guest_gives_its_devices_pins_and_pages),
		cmocka_unit_test(
			cells_and_memory_devices_each_take_whole_pages_where_they_are_bound),
		cmocka_unit_test(nvme_disks_are_found_in_chain_and_mirror_and_their_functions_once),
		cmocka_unit_test(disks_say_whether_the_guest_writes_to_them),
		cmocka_unit_test(an_interface_gives_its_virtual_function_and_no_guest_address),
		cmocka_unit_test(what_a_person_wrote_by_hand_is_read_as_libvirt_reads_it),
		cmocka_unit_test(
			nothing_in_metadata_or_a_foreign_namespace_is_taken_for_the_domains),
		cmocka_unit_test(missing_elements_have_libvirts_defaults),
		cmocka_unit_test(a_uuid_has_libvirts_freedom_and_comes_out_in_one_form),
		cmocka_unit_test(blanks_at_the_ends_of_a_name_belong_to_it),
		cmocka_unit_test(references_in_attributes_and_texts_are_resolved),
		cmocka_unit_test(pci_numbers_are_hexadecimal_octal_or_decimal_by_their_prefix),
		cmocka_unit_test(each_wrong_value_is_refused_with_its_line_and_element),
		cmocka_unit_test(the_line_is_that_of_the_element_and_a_long_value_is_cut),
		cmocka_unit_test(elements_of_which_libvirt_takes_the_first_are_taken_once),
		cmocka_unit_test(a_dtd_is_refused_before_libxml2_sees_it),
		cmocka_unit_test(an_external_entity_opens_no_connection_wherever_it_stands),
		cmocka_unit_test(xml_that_is_not_well_formed_is_refused_with_its_line),
		cmocka_unit_test(the_encoding_is_utf8_whatever_the_document_says),
		cmocka_unit_test(each_bound_holds_to_the_last_and_has_its_own_message),
		cmocka_unit_test(elements_may_be_nested_as_deep_as_the_bound_and_no_deeper),
		cmocka_unit_test(reading_stops_at_the_end_of_the_domain_though_the_pipe_stays_open),
		cmocka_unit_test(a_pipe_that_nobody_closes_is_not_waited_for_without_end),
		cmocka_unit_test(a_document_in_small_pieces_is_the_same_document),
		cmocka_unit_test(a_descriptor_that_cannot_be_read_says_why),
		cmocka_unit_test(a_megabyte_of_xml_is_read_in_a_fraction_of_that),
		cmocka_unit_test(names_without_end_are_refused_before_they_take_the_memory),
		cmocka_unit_test(without_memory_each_function_says_so_and_leaks_nothing),
		cmocka_unit_test(the_page_size_is_found_as_libvirt_finds_it),
		cmocka_unit_test(each_memory_object_is_rounded_up_to_whole_pages_on_its_own),
		cmocka_unit_test(memory_devices_are_part_of_the_total_and_have_their_own_pages),
		cmocka_unit_test(virtio_mem_takes_what_is_requested_and_more_later),
		cmocka_unit_test(a_balloon_can_fault_pages_in_again_unless_vfio_switches_it_off),
		cmocka_unit_test(host_nodes_are_memnodes_then_numatunes_then_any),
		cmocka_unit_test(memory_that_is_no_whole_number_of_pages_is_told_by_their_size),
		cmocka_unit_test(what_numad_will_choose_is_said_to_be_unknown),
		cmocka_unit_test(sums_that_cannot_be_are_refused),
		cmocka_unit_test(a_list_out_of_grammar_is_no_set_of_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
