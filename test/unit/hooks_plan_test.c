/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hooks_plan_test.c - the claim that domain, policy and host make; conflicts */

#include "tree.h"

#include "hooks/conflict.h"
#include "hooks/domain.h"
#include "hooks/plan.h"
#include "hooks/policy.h"
#include "lib/giveback.h"
#include "lib/state.h"

#define UUID  "11111111-2222-3333-4444-555555555555"
#define OTHER "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

#define DOMAIN(body)                                                                               \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid>"                               \
	"<memory unit='KiB'>4194304</memory><vcpu>4</vcpu>" body "</domain>"
#define MEMORY_DOMAIN                                                                              \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid>"                               \
	"<memory unit='GiB'>%d</memory><vcpu>4</vcpu>%s</domain>"
#define DOMAIN_HEAD                                                                                \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid>"                               \
	"<memory unit='KiB'>4194304</memory><vcpu>4</vcpu><devices>"
#define DOMAIN_TAIL "</devices></domain>"
#define HOSTDEV(bus, function)                                                                     \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source>"                              \
	"<address domain='0x0000' bus='" bus "' slot='0x00' function='" function "'/>"             \
	"</source></hostdev>"
#define DEVICES(list) "<devices>" list "</devices>"
#define PINS                                                                                       \
	"<cputune><vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3'/>"                    \
	"<emulatorpin cpuset='0-1'/></cputune>"

static void device(const struct tree *tree, const char *addr, const char *id, const char *class,
		   int group)
{
	char path[256], target[256];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", addr);
	(void)snprintf(target, sizeof(target), "0x%.4s\n", id);
	tree_file(tree, path, target);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/device", addr);
	(void)snprintf(target, sizeof(target), "0x%.4s\n", id + 5);
	tree_file(tree, path, target);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/class", addr);
	tree_file(tree, path, class);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", addr);
	(void)snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
	tree_link(tree, path, target);
	(void)snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", group, addr);
	(void)snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", addr);
	tree_link(tree, path, target);
}

/* A GPU with audio and a USB-C controller in one group, a NIC, an iGPU that shows the host */
static int host_setup(void **state)
{
	const struct tree *tree;
	int r = tree_setup(state);

	tree = *state;
	device(tree, "0000:00:02.0", "8086:4680", "0x030000\n", 0);
	tree_file(tree, "sys/bus/pci/devices/0000:00:02.0/boot_vga", "1\n");
	device(tree, "0000:01:00.0", "10de:1b80", "0x030000\n", 12);
	tree_file(tree, "sys/bus/pci/devices/0000:01:00.0/boot_vga", "0\n");
	device(tree, "0000:01:00.1", "10de:10f0", "0x040300\n", 12);
	device(tree, "0000:01:00.2", "10de:1ad8", "0x0c0330\n", 12);
	device(tree, "0000:03:00.0", "8086:1539", "0x020000\n", 14);
	tree_file(tree, "proc/meminfo", "MemTotal: 1 kB\nHugepagesize:       2048 kB\n");
	return r;
}

#define host_test(fn) cmocka_unit_test_setup_teardown(fn, host_setup, tree_teardown)

struct planned {
	struct claim claim;
	struct plan_error err;
	int r;
};

static void planned_drop(struct planned *planned)
{
	claim_free(&planned->claim);
}

#define _cleanup_planned_ _cleanup_(planned_drop)

static struct planned plan(const struct tree *tree, const char *xml, const char *policy_text)
{
	const struct process owner = { .pid = 1, .start_time = 1 };
	_cleanup_policy_ struct policy policy = { 0 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct planned planned = { 0 };
	struct policy_error policy_err;
	struct domain_error domain_err;
	char file[128];

	tree_file(tree, "draft.ini", policy_text);
	(void)snprintf(file, sizeof(file), "%s/draft.ini", tree->dir);
	assert_int_equal(policy_load_file(tree->rootfd, file, &policy, &policy_err), 0);
	assert_int_equal(domain_parse(xml, strlen(xml), &domain, &domain_err), 0);
	planned.r =
		plan_claim(tree->rootfd, &domain, &policy, &owner, &planned.claim, &planned.err);
	return planned;
}

static const char *nth(const struct claim *claim, const char *section, const char *key, int n)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&claim->doc, entry, section, key)))
		if (n-- == 0)
			return entry->value;
	return NULL;
}

static void an_empty_policy_takes_what_the_domain_has(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state,
		     DOMAIN("<memoryBacking><hugepages/></memoryBacking>" PINS DEVICES(
			     HOSTDEV("0x01", "0x0") HOSTDEV("0x01", "0x1") HOSTDEV("0x03", "0x0"))),
		     "");
	const struct claim *claim = &planned.claim;

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(claim, "claim", "required", 0), "hugepages vfio seat");
	assert_string_equal(nth(claim, "vfio", "driver", 0), "auto");
	assert_string_equal(nth(claim, "vfio", "device", 0),
			    "0000:01:00.0 10de:1b80 hostdev managed");
	assert_string_equal(nth(claim, "vfio", "device", 1),
			    "0000:01:00.1 10de:10f0 hostdev managed");
	assert_string_equal(nth(claim, "vfio", "device", 2),
			    "0000:03:00.0 8086:1539 hostdev managed");
	assert_string_equal(nth(claim, "hugepages", "need", 0), "2048 any 2048");
	assert_string_equal(nth(claim, "hugepages", "give_back", 0), "started");
	assert_string_equal(nth(claim, "cpuset", "cpus", 0), "2-3");
	assert_string_equal(nth(claim, "cpuset", "vcpu", 1), "1 3");
	assert_string_equal(nth(claim, "cpuset", "emulator", 0), "0-1");
	assert_string_equal(nth(claim, "nosleep", "inhibit", 0), "sleep:handle-lid-switch");
	assert_string_equal(nth(claim, "nosleep", "mode", 0), "block");
	assert_false(inidoc_has_section(&claim->doc, "seat"));
	assert_false(inidoc_has_section(&claim->doc, "display"));
}

static void functions_of_the_same_slot_go_along(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state, DOMAIN(DEVICES(HOSTDEV("0x01", "0x0"))), "");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "vfio", "device", 1),
			    "0000:01:00.1 10de:10f0 slot unmanaged");
	assert_string_equal(nth(&planned.claim, "vfio", "device", 2),
			    "0000:01:00.2 10de:1ad8 slot unmanaged");
	assert_null(nth(&planned.claim, "vfio", "device", 3));
}

static void a_guest_without_anything_gets_an_inhibitor_and_no_more(void **state)
{
	_cleanup_planned_ struct planned planned = plan(*state, DOMAIN(""), "");

	assert_int_equal(planned.r, 0);
	for (size_t i = 0; i < planned.claim.doc.nr; i++) {
		const char *section = planned.claim.doc.entries[i].section;

		assert_true(strcmp(section, "claim") == 0 || strcmp(section, "nosleep") == 0);
	}
}

static void the_policy_can_turn_everything_off(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state,
		     DOMAIN("<memoryBacking><hugepages/></memoryBacking>" PINS DEVICES(
			     HOSTDEV("0x01", "0x0"))),
		     "[guest]\nrequired = none\n[vfio]\ndevices = none\n[hugepages]\npages = none\n"
		     "[cpuset]\nisolate = no\n[nosleep]\ninhibit = none\n");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "claim", "required", 0), "");
	for (size_t i = 0; i < planned.claim.doc.nr; i++)
		assert_string_equal(planned.claim.doc.entries[i].section, "claim");
}

static void the_card_that_shows_the_host_brings_the_seat_in(void **state)
{
	static const char xml[] = DOMAIN(
		DEVICES("<hostdev mode='subsystem' type='pci'><source>"
			"<address domain='0' bus='0' slot='2' function='0'/></source></hostdev>"));
	_cleanup_planned_ struct planned planned = plan(*state, xml, "[seat]\nrelease = yes\n");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "seat", "release", 0), "yes");
	assert_string_equal(nth(&planned.claim, "seat", "device", 0), "0000:00:02.0");
}

static void words_of_the_policy_are_carried_only_when_they_are_not_the_default(void **state)
{
	static const char xml[] = DOMAIN(DEVICES(HOSTDEV("0x03", "0x0")));
	_cleanup_planned_ struct planned dflt =
		plan(*state, xml,
		     "[vfio]\nin_use = refuse\ngive_back = host\nreset = auto\nbars = auto\n");
	_cleanup_planned_ struct planned other =
		plan(*state, xml,
		     "[vfio]\ngive_back = render\nreset = device_specific\ndriver = vfio-pci\n"
		     "bars = 0:256M, 2:8M\n");

	assert_int_equal(dflt.r, 0);
	assert_int_equal(other.r, 0);
	assert_null(nth(&dflt.claim, "vfio", "in_use", 0));
	assert_null(nth(&dflt.claim, "vfio", "give_back", 0));
	assert_null(nth(&dflt.claim, "vfio", "reset", 0));
	assert_null(nth(&dflt.claim, "vfio", "bars", 0));
	assert_string_equal(nth(&other.claim, "vfio", "bars", 0), "0:256M, 2:8M");
	assert_string_equal(nth(&other.claim, "vfio", "give_back", 0), "render");
	assert_string_equal(nth(&other.claim, "vfio", "reset", 0), "device_specific");
	assert_string_equal(nth(&dflt.claim, "vfio", "driver", 0), "auto");
	assert_string_equal(nth(&other.claim, "vfio", "driver", 0), "vfio-pci");
}

static void stop_seat_brings_any_card_in(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state, DOMAIN(DEVICES(HOSTDEV("0x01", "0x0") HOSTDEV("0x03", "0x0"))),
		     "[vfio]\nin_use = stop-seat\n");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "seat", "release", 0), "yes");
	assert_string_equal(nth(&planned.claim, "seat", "device", 0), "0000:01:00.0");
	assert_null(nth(&planned.claim, "seat", "device", 1));
}

static void monitors_and_times_come_from_the_policy(void **state)
{
	_cleanup_planned_ struct planned planned = plan(
		*state, DOMAIN(DEVICES(HOSTDEV("0x03", "0x0"))),
		"[vfio]\ntimeout = 3s\n[display]\nmonitor = DEL:a0c4\nguest_input = hdmi1\n"
		"host_input = dp1\ndelay = 500ms\n[display left]\nmonitor = card0-DP-1\n"
		"guest_input = 0x90\nshared = no\n[nosleep]\ninhibit = sleep idle\nmode = delay\n");
	const struct claim *claim = &planned.claim;

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(claim, "vfio", "timeout_ms", 0), "3000");
	assert_string_equal(nth(claim, "display", "monitor", 0), "DEL:a0c4");
	assert_string_equal(nth(claim, "display", "guest_input", 0), "17");
	assert_string_equal(nth(claim, "display", "host_input", 0), "15");
	assert_string_equal(nth(claim, "display", "delay_ms", 0), "500");
	assert_string_equal(nth(claim, "display left", "monitor", 0), "card0-DP-1");
	assert_string_equal(nth(claim, "display left", "guest_input", 0), "144");
	assert_string_equal(nth(claim, "display left", "shared", 0), "no");
	assert_null(inidoc_get(&claim->doc, "display", "shared"));
	assert_string_equal(nth(claim, "nosleep", "inhibit", 0), "sleep:idle");
	assert_string_equal(nth(claim, "nosleep", "mode", 0), "delay");
}

/* logind can delay sleep, but only block the lid */
static void sleep_that_is_delayed_leaves_the_lid_alone(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state, DOMAIN(DEVICES(HOSTDEV("0x03", "0x0"))), "[nosleep]\nmode = delay\n");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "nosleep", "inhibit", 0), "sleep");
	assert_string_equal(nth(&planned.claim, "nosleep", "mode", 0), "delay");
}

/* Whether it is the XML that has its pins, or they are chosen */
static void what_the_policy_wants_of_the_cpus_is_in_the_claim(void **state)
{
	static const struct {
		const char *xml, *policy;
	} cases[] = { { DOMAIN(PINS), "[cpuset]\n" }, { DOMAIN(""), "[cpuset]\npin = auto\n" } };
	static const char *const wants[][2] = {
		{ "governor", "performance" }, { "energy_preference", "power" },
		{ "wake_latency_us", "0" },    { "emulator_sched", "fifo:1" },
		{ "stat_interval", "60" },     { "cursor_blink", "0" },
		{ "watchdog", "no" },	       { "pressure", "no" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_planned_ struct planned planned = { 0 };
		char policy[256];

		(void)snprintf(policy, sizeof(policy),
			       "%sgovernor = performance\nenergy_preference = power\n"
			       "wake_latency = 0\nemulator_sched = fifo:1\n",
			       cases[i].policy);
		planned = plan(*state, cases[i].xml, policy);
		assert_int_equal(planned.r, 0);
		for (size_t j = 0; j < ARRAY_SIZE(wants); j++)
			assert_string_equal(nth(&planned.claim, "cpuset", wants[j][0], 0) ?: "",
					    wants[j][1]);
	}
}

static void what_the_policy_leaves_of_the_cpus_is_not_in_the_claim(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state, DOMAIN(PINS), "[cpuset]\ngovernor = none\nquiet = no\n");
	static const char *const keys[] = { "governor",	       "energy_preference",
					    "wake_latency_us", "emulator_sched",
					    "stat_interval",   "cursor_blink",
					    "pressure",	       "watchdog" };

	assert_int_equal(planned.r, 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_null(inidoc_get(&planned.claim.doc, "cpuset", keys[i]));
}

static void what_does_not_fit_is_refused_with_cause_and_cure(void **state)
{
	static const struct {
		const char *xml, *policy, *what;
	} cases[] = {
		{ DOMAIN(DEVICES(HOSTDEV("0x09", "0x0"))), "",
		  "there is no PCI device 0000:09:00.0 on this host: plug it in, or correct the "
		  "address in the guest's XML (lspci -D lists the devices)" },
		{ DOMAIN(DEVICES(HOSTDEV("0x03", "0x0"))),
		  "[vfio]\nexpect = 0000:03:00.0=10de:1b80\n",
		  "0000:03:00.0 is 8086:1539, but %s/draft.ini:2 expects 10de:1b80: the firmware "
		  "has renumbered the devices; correct the address in the guest's XML and in the "
		  "policy" },
		{ DOMAIN(""), "[vfio]\nexpect = 0000:03:00.0=8086:1539\n",
		  "%s/draft.ini:2 expects a device at 0000:03:00.0, but the guest has none there: "
		  "the firmware has renumbered the devices, or the XML was changed; correct one of "
		  "them" },
		{ DOMAIN(""), "[guest]\nuuid = " OTHER "\n",
		  "the guest's uuid is " UUID ", but %s/draft.ini:2 says " OTHER
		  ": this policy was written for another guest of that name; correct or remove "
		  "'uuid'" },
		{ DOMAIN(""), "[cpuset]\nisolate = yes\n",
		  "%s/draft.ini:2 asks for isolated CPUs, but no vCPU is pinned: add <vcpupin> to "
		  "<cputune> or a cpuset= to <vcpu> in the guest's XML, or set pin = auto, or "
		  "isolate = auto" },
		{ "<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid><memory>1</memory>"
		  "<vcpu placement='auto'>4</vcpu></domain>",
		  "[cpuset]\npin = auto\n",
		  "%s/draft.ini:2 says pin = auto, but <vcpu placement='auto'> in the guest's XML "
		  "has numad choose its CPUs: remove one of them" },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_planned_ struct planned planned =
			plan(tree, cases[i].xml, cases[i].policy);
		const char *mark = strstr(cases[i].what, "%s");
		char want[1024];

		if (mark)
			(void)snprintf(want, sizeof(want), "%.*s%s%s", (int)(mark - cases[i].what),
				       cases[i].what, tree->dir, mark + 2);
		else
			(void)snprintf(want, sizeof(want), "%s", cases[i].what);
		assert_int_equal(planned.r, -EINVAL);
		assert_string_equal(planned.err.what, want);
	}
}

static void with_pin_auto_the_claim_says_what_is_wanted(void **state)
{
	static const char xml[] =
		"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid>"
		"<memory>4194304</memory><vcpu current='6' cpuset='2-15'>8</vcpu>"
		"<cpu><topology sockets='1' dies='1' cores='4' threads='2'/></cpu>"
		"<numatune><memory mode='strict' nodeset='1'/></numatune>" DEVICES(
			HOSTDEV("0x03", "0x0")) "</domain>";
	_cleanup_planned_ struct planned planned =
		plan(*state, xml, "[cpuset]\npin = auto\nmethod = partition\n");
	const struct claim *claim = &planned.claim;

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(claim, "cpuset", "pin", 0), "auto");
	assert_string_equal(nth(claim, "cpuset", "method", 0), "partition");
	assert_string_equal(nth(claim, "cpuset", "vcpus", 0), "6");
	assert_string_equal(nth(claim, "cpuset", "online", 0), "0-5");
	assert_string_equal(nth(claim, "cpuset", "threads", 0), "2");
	assert_string_equal(nth(claim, "cpuset", "allowed", 0), "2-15");
	assert_string_equal(nth(claim, "cpuset", "nodes", 0), "1");
	assert_string_equal(nth(claim, "cpuset", "device", 0), "0000:03:00.0");
	assert_null(nth(claim, "cpuset", "cpus", 0));
	assert_null(nth(claim, "cpuset", "vcpu", 0));
}

#define VCPU_DOMAIN(vcpu, body)                                                                    \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid>"                               \
	"<memory unit='KiB'>4194304</memory>" vcpu body "</domain>"

/* As virsh setvcpu GUEST 1 --disable --config leaves it */
#define VCPUS_0_AND_2                                                                              \
	"<vcpus><vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>"                          \
	"<vcpu id='1' enabled='no' hotpluggable='yes'/>"                                           \
	"<vcpu id='2' enabled='yes' hotpluggable='yes' order='2'/></vcpus>"

static void vcpus_that_are_not_there_are_not_counted(void **state)
{
	_cleanup_planned_ struct planned chosen =
		plan(*state, VCPU_DOMAIN("<vcpu current='2'>3</vcpu>", VCPUS_0_AND_2),
		     "[cpuset]\npin = auto\n");
	_cleanup_planned_ struct planned floating =
		plan(*state,
		     VCPU_DOMAIN("<vcpu current='2'>3</vcpu>",
				 VCPUS_0_AND_2 "<cputune><vcpupin vcpu='0' cpuset='2'/></cputune>"),
		     "");

	assert_int_equal(chosen.r, 0);
	assert_string_equal(nth(&chosen.claim, "cpuset", "vcpus", 0), "2");
	assert_string_equal(nth(&chosen.claim, "cpuset", "online", 0), "0,2");
	assert_int_equal(floating.r, 0);
	assert_string_equal(nth(&floating.claim, "cpuset", "float", 0), "2");
	assert_null(nth(&floating.claim, "cpuset", "float", 1));
}

/* As libvirt pins what has no pin of its own */
static void what_runs_beside_the_vcpus_has_the_cpus_of_the_vcpu_element(void **state)
{
	static const char vcpupins[] =
		VCPU_DOMAIN("<vcpu cpuset='2-3'>2</vcpu>",
			    "<iothreads>2</iothreads><cputune><vcpupin vcpu='0' cpuset='2'/>"
			    "<vcpupin vcpu='1' cpuset='3'/><iothreadpin iothread='1' cpuset='0'/>"
			    "</cputune>");
	_cleanup_planned_ struct planned planned = plan(*state, vcpupins, "");
	_cleanup_planned_ struct planned chosen = plan(
		*state, VCPU_DOMAIN("<vcpu cpuset='2-3'>2</vcpu>", ""), "[cpuset]\npin = auto\n");
	const struct claim *claim = &planned.claim;

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(claim, "cpuset", "cpus", 0), "2-3");
	assert_string_equal(nth(claim, "cpuset", "vcpu", 1), "1 3");
	assert_string_equal(nth(claim, "cpuset", "emulator", 0), "2-3");
	assert_string_equal(nth(claim, "cpuset", "iothread", 0), "1 0");
	assert_string_equal(nth(claim, "cpuset", "iothread", 1), "2 2-3");
	assert_null(nth(claim, "cpuset", "iothread", 2));
	assert_int_equal(chosen.r, 0);
	assert_string_equal(nth(&chosen.claim, "cpuset", "emulator", 0), "2-3");
	assert_null(nth(&chosen.claim, "cpuset", "cpus", 0));
}

static void vcpus_that_float_hold_the_cpus_of_the_vcpu_element(void **state)
{
	static const struct {
		const char *vcpu, *policy;
		const char *cpus; /* NULL: nothing is isolated */
	} cases[] = {
		{ "<vcpu current='1' cpuset='2-3'>2</vcpu>", "[cpuset]\nisolate = yes\n", "2-3" },
		{ "<vcpu cpuset='2-3'>2</vcpu>", "[cpuset]\nisolate = no\n", NULL },
		{ "<vcpu placement='auto' cpuset='2-3'>2</vcpu>", "", NULL },
		/* As a rule others share it */
		{ "<vcpu cpuset='2-3'>2</vcpu>", "", NULL },
		/* The check will say what is wrong with it */
		{ "<vcpu cpuset='0-7'>2</vcpu>", "[cpuset]\nisolate = yes\n", "0-7" },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char xml[512];

		(void)snprintf(xml, sizeof(xml), VCPU_DOMAIN("%s", ""), cases[i].vcpu);
		_cleanup_planned_ struct planned planned = plan(tree, xml, cases[i].policy);
		const struct claim *claim = &planned.claim;
		char want[32];

		assert_int_equal(planned.r, 0);
		assert_int_equal(inidoc_has_section(&claim->doc, "cpuset"), cases[i].cpus != NULL);
		if (!cases[i].cpus)
			continue;
		(void)snprintf(want, sizeof(want), "1 %s", cases[i].cpus);
		assert_string_equal(nth(claim, "cpuset", "cpus", 0), cases[i].cpus);
		assert_string_equal(nth(claim, "cpuset", "vcpu", 1), want);
		assert_null(nth(claim, "cpuset", "vcpu", 2));
		assert_string_equal(nth(claim, "cpuset", "emulator", 0), cases[i].cpus);
	}
}

/* vCPU 1 of four is pinned to CPU 2, the fourth is not plugged in */
static void vcpus_without_a_pin_float_beside_those_that_have_one(void **state)
{
	static const struct {
		const char *vcpu, *policy;
		const char *cpus, *vcpus[4], *floats[4];
	} cases[] = {
		{ "<vcpu current='3'>4</vcpu>", "", "2", { "1 2" }, { "0", "2" } },
		{ "<vcpu current='3'>4</vcpu>",
		  "[cpuset]\nisolate = yes\n",
		  "2",
		  { "1 2" },
		  { "0", "2" } },
		{ "<vcpu current='3' cpuset='2-5'>4</vcpu>",
		  "",
		  "2",
		  { "1 2" },
		  { "0 2-5", "2 2-5" } },
		/* Told to keep the guest's CPUs for it: where the others float is its own, too */
		{ "<vcpu current='3' cpuset='4-5'>4</vcpu>",
		  "[cpuset]\nisolate = yes\n",
		  "2,4-5",
		  { "1 2", "0 4-5", "2 4-5" },
		  { NULL } },
	};
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char xml[512];

		(void)snprintf(
			xml, sizeof(xml),
			VCPU_DOMAIN("%s", "<cputune><vcpupin vcpu='1' cpuset='2'/></cputune>"),
			cases[i].vcpu);
		_cleanup_planned_ struct planned planned = plan(tree, xml, cases[i].policy);
		const struct claim *claim = &planned.claim;

		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(claim, "cpuset", "cpus", 0), cases[i].cpus);
		for (unsigned int n = 0; n < ARRAY_SIZE(cases[i].vcpus); n++) {
			const char *vcpu = nth(claim, "cpuset", "vcpu", n);
			const char *floats = nth(claim, "cpuset", "float", n);

			assert_string_equal(vcpu ?: "", cases[i].vcpus[n] ?: "");
			assert_string_equal(floats ?: "", cases[i].floats[n] ?: "");
		}
	}
}

static void the_claim_has_the_partition_of_the_xml(void **state)
{
#define GPU_SLICE "<resource><partition>/machine/gpu 1</partition></resource>"
	_cleanup_planned_ struct planned pinned = plan(*state, DOMAIN(GPU_SLICE PINS), "");
	_cleanup_planned_ struct planned chosen =
		plan(*state, DOMAIN(GPU_SLICE), "[cpuset]\npin = auto\n");

	assert_int_equal(pinned.r, 0);
	assert_string_equal(nth(&pinned.claim, "cpuset", "partition", 0), "/machine/gpu%201");
	assert_int_equal(chosen.r, 0);
	assert_string_equal(nth(&chosen.claim, "cpuset", "partition", 0), "/machine/gpu%201");
}

static void nothing_is_chosen_without_pin_auto_or_beside_pins_of_the_xml(void **state)
{
	_cleanup_planned_ struct planned none = plan(*state, DOMAIN(""), "[cpuset]\npin = none\n");
	_cleanup_planned_ struct planned unset = plan(*state, DOMAIN(""), "");
	_cleanup_planned_ struct planned off =
		plan(*state, DOMAIN(""), "[cpuset]\npin = auto\nisolate = no\n");
	_cleanup_planned_ struct planned pinned =
		plan(*state, DOMAIN(PINS), "[cpuset]\npin = auto\n");
	_cleanup_planned_ struct planned wanted =
		plan(*state, DOMAIN(""), "[cpuset]\npin = auto\nisolate = yes\n");

	assert_int_equal(none.r, 0);
	assert_false(inidoc_has_section(&none.claim.doc, "cpuset"));
	assert_int_equal(unset.r, 0);
	assert_false(inidoc_has_section(&unset.claim.doc, "cpuset"));
	assert_int_equal(off.r, 0);
	assert_false(inidoc_has_section(&off.claim.doc, "cpuset"));
	assert_int_equal(pinned.r, 0);
	assert_string_equal(nth(&pinned.claim, "cpuset", "cpus", 0), "2-3");
	assert_null(nth(&pinned.claim, "cpuset", "pin", 0));
	assert_int_equal(wanted.r, 0);
	assert_string_equal(nth(&wanted.claim, "cpuset", "vcpus", 0), "4");
}

static void a_memory_device_with_pages_of_its_own_is_counted(void **state)
{
	_cleanup_planned_ struct planned planned = plan(
		*state,
		DOMAIN(DEVICES("<memory model='dimm'><source><pagesize unit='KiB'>2048</pagesize>"
			       "</source><target><size unit='MiB'>256</size></target></memory>")),
		"");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "hugepages", "need", 0), "2048 any 128");
}

static void the_time_for_pages_grows_with_the_guest(void **state)
{
	static const struct {
		int gib;
		const char *policy, *ms;
	} cases[] = {
		{ 4, "", "30000" },
		{ 100, "", "100000" },
		{ 1024, "", "600000" },
		{ 100, "[hugepages]\ntimeout = 5s\n", "5000" },
		{ 4, "[hugepages]\ntimeout = 90s\n", "90000" },
		{ 100, "[hugepages]\npages = thp\n", "100000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool thp = strstr(cases[i].policy, "thp") != NULL;
		_cleanup_planned_ struct planned planned = { 0 };
		char xml[512];

		(void)snprintf(xml, sizeof(xml), MEMORY_DOMAIN, cases[i].gib,
			       thp ? "" : "<memoryBacking><hugepages/></memoryBacking>");
		planned = plan(*state, xml, cases[i].policy);
		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(&planned.claim, "hugepages", "timeout_ms", 0), cases[i].ms);
	}
}

static void preferred_nodes_stand_beside_the_need(void **state)
{
	static const char *const modes[] = { "preferred", "interleave" };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		char xml[512];
		_cleanup_planned_ struct planned planned = { 0 };

		(void)snprintf(xml, sizeof(xml),
			       DOMAIN("<memoryBacking><hugepages/></memoryBacking>"
				      "<numatune><memory mode='%s' nodeset='1'/></numatune>"),
			       modes[i]);
		planned = plan(*state, xml, "");
		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(&planned.claim, "hugepages", "need", 0), "2048 any 2048");
		assert_string_equal(nth(&planned.claim, "hugepages", "prefer", 0), "2048 1 2048");
	}
}

static void what_numad_will_choose_is_in_the_claim(void **state)
{
	static const struct {
		const char *xml, *numad;
	} cases[] = {
		{ DOMAIN("<memoryBacking><hugepages/></memoryBacking>"
			 "<numatune><memory mode='strict' placement='auto'/></numatune>"),
		  "yes" },
		{ DOMAIN("<memoryBacking><hugepages/></memoryBacking>"
			 "<numatune><memory mode='preferred' placement='auto'/></numatune>"),
		  NULL },
		{ DOMAIN("<memoryBacking><hugepages/></memoryBacking>"), NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_planned_ struct planned planned = plan(*state, cases[i].xml, "");
		const char *numad = nth(&planned.claim, "hugepages", "numad", 0);

		assert_int_equal(planned.r, 0);
		assert_string_equal(numad ?: "none", cases[i].numad ?: "none");
	}
}

static void the_policy_says_how_pages_may_be_got(void **state)
{
	static const char xml[] = DOMAIN("<memoryBacking><hugepages/></memoryBacking>");
	_cleanup_planned_ struct planned plain = plan(*state, xml, "");
	_cleanup_planned_ struct planned planned =
		plan(*state, xml,
		     "[hugepages]\ncompact = no\nreclaim = memory\nmove = yes\narc = shrink\n"
		     "reserve = 2G\n");

	assert_int_equal(plain.r, 0);
	assert_string_equal(nth(&plain.claim, "hugepages", "compact", 0), "yes");
	assert_string_equal(nth(&plain.claim, "hugepages", "reclaim", 0), "caches");
	assert_string_equal(nth(&plain.claim, "hugepages", "move", 0), "no");
	assert_string_equal(nth(&plain.claim, "hugepages", "arc", 0), "keep");
	assert_null(nth(&plain.claim, "hugepages", "reserve_kib", 0));
	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "hugepages", "compact", 0), "no");
	assert_string_equal(nth(&planned.claim, "hugepages", "reclaim", 0), "memory");
	assert_string_equal(nth(&planned.claim, "hugepages", "move", 0), "yes");
	assert_string_equal(nth(&planned.claim, "hugepages", "arc", 0), "shrink");
	assert_string_equal(nth(&planned.claim, "hugepages", "reserve_kib", 0), "2097152");
}

static void a_mount_is_needed_for_each_size_but_not_with_memfd_that_says_its_own(void **state)
{
	_cleanup_planned_ struct planned mounted =
		plan(*state,
		     DOMAIN("<memoryBacking><hugepages><page size='1' unit='G'/></hugepages>"
			    "</memoryBacking>" DEVICES(
				    "<memory model='dimm'><source><pagesize unit='KiB'>2048"
				    "</pagesize></source><target><size unit='MiB'>256</size>"
				    "</target></memory>")),
		     "");
	_cleanup_planned_ struct planned memfd =
		plan(*state,
		     DOMAIN("<memoryBacking><hugepages><page size='2048'/></hugepages>"
			    "<source type='memfd'/></memoryBacking>"),
		     "");
	_cleanup_planned_ struct planned unsized = plan(
		*state, DOMAIN("<memoryBacking><hugepages/><source type='memfd'/></memoryBacking>"),
		"");

	assert_int_equal(mounted.r, 0);
	assert_string_equal(nth(&mounted.claim, "hugepages", "mount", 0), "1048576");
	assert_string_equal(nth(&mounted.claim, "hugepages", "mount", 1), "2048");
	assert_null(nth(&mounted.claim, "hugepages", "mount", 2));
	assert_int_equal(memfd.r, 0);
	assert_non_null(nth(&memfd.claim, "hugepages", "need", 0));
	assert_null(nth(&memfd.claim, "hugepages", "mount", 0));
	/* libvirt takes the size from its mounts */
	assert_int_equal(unsized.r, 0);
	assert_string_equal(nth(&unsized.claim, "hugepages", "mount", 0), "2048");
	assert_null(nth(&unsized.claim, "hugepages", "mount", 1));
}

static void pages_without_a_size_are_those_of_the_default_mount(void **state)
{
	static const struct {
		const char *mounts, *need;
	} cases[] = {
		{ "/dev/vda / ext4 rw,relatime 0 0\n", "2048 any 2048" },
		{ "h /dev/huge hugetlbfs rw,relatime,pagesize=1024M 0 0\n", "1048576 any 4" },
		{ "h /dev/huge hugetlbfs rw,relatime,pagesize=1024M 0 0\n"
		  "h /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n",
		  "2048 any 2048" },
		{ "h /odd hugetlbfs rw 0 0\nshort\n", "2048 any 2048" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_planned_ struct planned planned = { 0 };

		tree_file(*state, "proc/self/mounts", cases[i].mounts);
		planned = plan(*state, DOMAIN("<memoryBacking><hugepages/></memoryBacking>"), "");
		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(&planned.claim, "hugepages", "need", 0), cases[i].need);
	}
}

static void transparent_pages_are_for_guests_without_others(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state, DOMAIN(""), "[hugepages]\npages = thp\n");
	_cleanup_planned_ struct planned both =
		plan(*state, DOMAIN("<memoryBacking><hugepages/></memoryBacking>"),
		     "\n[hugepages]\npages = thp\n");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "hugepages", "thp_kib", 0), "4194304");
	assert_null(nth(&planned.claim, "hugepages", "need", 0));
	assert_int_equal(both.r, -EINVAL);
	assert_non_null(strstr(both.err.what,
			       ":3 says pages = thp, but the guest's XML has huge pages of "
			       "its own: remove <hugepages/> from the XML, or that "
			       "line"));
}

static void what_backs_memory_for_transparent_pages_is_in_the_claim(void **state)
{
#define BACKING(s) DOMAIN("<memoryBacking>" s "</memoryBacking>")
	static const struct {
		const char *xml, *backing;
	} cases[] = {
		{ DOMAIN(""), "own" },
		{ BACKING("<source type='anonymous'/>"), "own" },
		{ BACKING("<source type='memfd'/><access mode='shared'/>"), "memfd" },
		{ BACKING("<access mode='shared'/>"), "file" },
		{ BACKING("<source type='file'/>"), "file" },
		{ DOMAIN("<cpu><numa><cell memory='4194304' memAccess='shared'/></numa></cpu>"),
		  "file" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_planned_ struct planned planned =
			plan(*state, cases[i].xml, "[hugepages]\npages = thp\n");
		const char *backing = nth(&planned.claim, "hugepages", "thp_backing", 0);

		assert_int_equal(planned.r, 0);
		assert_string_equal(backing ?: "own", cases[i].backing);
	}
}

static void what_may_be_far_from_the_memory_is_in_the_claim(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state,
		     DOMAIN("<numatune><memory mode='strict' nodeset='1'/></numatune>" PINS DEVICES(
			     HOSTDEV("0x01", "0x0") HOSTDEV("0x01", "0x1") HOSTDEV("0x03", "0x0"))),
		     "");

	assert_int_equal(planned.r, 0);
	assert_string_equal(nth(&planned.claim, "hugepages", "nodes", 0), "1");
	assert_string_equal(nth(&planned.claim, "hugepages", "cpus", 0), "0-3");
	assert_string_equal(nth(&planned.claim, "hugepages", "device", 0), "0000:01:00.0");
	assert_string_equal(nth(&planned.claim, "hugepages", "device", 2), "0000:03:00.0");
	assert_null(nth(&planned.claim, "hugepages", "need", 0));
}

static void so_it_is_with_other_pages_or_none(void **state)
{
	static const char *const policies[] = { "[hugepages]\npages = none\n",
						"[hugepages]\npages = thp\n" };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		_cleanup_planned_ struct planned planned = plan(
			*state,
			DOMAIN("<numatune><memory mode='strict' nodeset='1'/></numatune>" PINS),
			policies[i]);

		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(&planned.claim, "hugepages", "nodes", 0), "1");
		assert_string_equal(nth(&planned.claim, "hugepages", "cpus", 0), "0-3");
		assert_null(nth(&planned.claim, "hugepages", "need", 0));
	}
}

static void so_are_the_cpus_of_all_its_threads(void **state)
{
#define NODE_0 "<numatune><memory mode='strict' nodeset='0'/></numatune>"
#define NUMA_DOMAIN(vcpu, rest)                                                                    \
	"<domain type='kvm'><name>win11</name><uuid>" UUID "</uuid><memory>4194304</memory>" vcpu  \
	"<iothreads>1</iothreads>" NODE_0 rest "</domain>"
	static const struct {
		const char *xml, *policy, *cpus;
	} cases[] = {
		{ NUMA_DOMAIN("<vcpu>2</vcpu>",
			      "<cputune><vcpupin vcpu='0' cpuset='2'/><emulatorpin cpuset='4'/>"
			      "<iothreadpin iothread='1' cpuset='6'/></cputune>"),
		  "", "2,4,6" },
		{ NUMA_DOMAIN("<vcpu cpuset='0-3'>2</vcpu>",
			      "<cputune><emulatorpin cpuset='4'/></cputune>"),
		  "", "0-4" },
		{ NUMA_DOMAIN("<vcpu cpuset='0-3'>2</vcpu>",
			      "<cputune><emulatorpin cpuset='4'/></cputune>"),
		  "[cpuset]\npin = auto\n", "4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_planned_ struct planned planned =
			plan(*state, cases[i].xml, cases[i].policy);

		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(&planned.claim, "hugepages", "cpus", 0), cases[i].cpus);
	}
}

static void a_page_size_that_no_processor_has_is_refused_as_such(void **state)
{
	_cleanup_planned_ struct planned planned =
		plan(*state,
		     DOMAIN("<memoryBacking><hugepages><page size='2' unit='MB'/></hugepages>"
			    "</memoryBacking>"),
		     "");

	assert_int_equal(planned.r, -EINVAL);
	assert_string_equal(planned.err.what,
			    "the guest's XML asks for huge pages of 1954 KiB, a size that no "
			    "processor has: x86 has 2048 and 1048576 KiB");
}

static void a_kernel_without_huge_pages_is_named(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "proc/meminfo", "MemTotal: 1 kB\n");
	{
		_cleanup_planned_ struct planned planned =
			plan(tree, DOMAIN("<memoryBacking><hugepages/></memoryBacking>"), "");

		assert_int_equal(planned.r, -EINVAL);
		assert_non_null(strstr(planned.err.what, "this kernel has no huge pages"));
	}
	assert_int_equal(unlinkat(tree->rootfd, "proc/meminfo", 0), 0);
	{
		_cleanup_planned_ struct planned planned =
			plan(tree, DOMAIN("<memoryBacking><hugepages/></memoryBacking>"), "");

		assert_int_equal(planned.r, -EINVAL);
		assert_non_null(strstr(planned.err.what, "cannot read /proc/meminfo"));
	}
}

/* --- conflicts -------------------------------------------------------------------------------- */

/* Does a guest with @xml run into one that holds the GPU and CPUs 2-3? */
static int clash(const struct tree *tree, const char *xml, const char *policy, bool managed,
		 char *what, size_t size)
{
	static const char holder_xml[] = "<domain><name>first</name><uuid>" OTHER
					 "</uuid><memory>1024</memory><vcpu>2</vcpu>" PINS DEVICES(
						 HOSTDEV("0x01", "0x0")) "</domain>";
	_cleanup_planned_ struct planned holder = plan(tree, holder_xml, "");
	_cleanup_planned_ struct planned mine = plan(tree, xml, policy);
	struct claims claims = { .claims = &holder.claim, .nr = 1 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;
	struct conflict conflict = { 0 };
	int r;

	assert_int_equal(domain_parse(xml, strlen(xml), &domain, &err), 0);
	r = conflict_find(NULL, &domain, managed ? &mine.claim : NULL, &claims, &conflict);
	if (r > 0)
		assert_string_equal(conflict.with->guest, "first");
	(void)snprintf(what, size, "%s", conflict.what);
	return r;
}

static void what_another_guest_holds_is_a_conflict(void **state)
{
	static const struct {
		const char *xml, *policy;
		bool managed;
		const char *what; /* NULL: no conflict */
	} cases[] = {
		{ DOMAIN(DEVICES(HOSTDEV("0x03", "0x0"))), "", true, NULL },
		{ DOMAIN(DEVICES(HOSTDEV("0x01", "0x1"))), "", true, "PCI device 0000:01:00.1" },
		{ DOMAIN(DEVICES(HOSTDEV("0x01", "0x1"))), "", false, "PCI device 0000:01:00.1" },
		/* The policy leaves it out, but libvirt would take it all the same */
		{ DOMAIN(DEVICES(HOSTDEV("0x01", "0x0"))), "[vfio]\ndevices = none\n", true,
		  "PCI device 0000:01:00.0" },
		{ DOMAIN(""), "[vfio]\ndevices = 0000:01:00.0\n", true, "PCI device 0000:01:00.0" },
		{ DOMAIN("<cputune><vcpupin vcpu='0' cpuset='3,5'/></cputune>"), "", true,
		  "CPU 3" },
		/* Beside CPU 3 there is CPU 5 to run on */
		{ DOMAIN("<cputune><vcpupin vcpu='0' cpuset='3,5'/></cputune>"), "", false, NULL },
		{ DOMAIN("<cputune><vcpupin vcpu='0' cpuset='3'/></cputune>"), "", false, "CPU 3" },
		{ DOMAIN("<cputune><emulatorpin cpuset='2-3'/></cputune>"), "", true, "CPU 2-3" },
		{ DOMAIN("<iothreads>1</iothreads><cputune><iothreadpin iothread='1' "
			 "cpuset='2'/></cputune>"),
		  "", false, "CPU 2" },
		{ DOMAIN("<cputune><vcpupin vcpu='0' cpuset='4'/></cputune>"), "", true, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char what[512];
		int r = clash(*state, cases[i].xml, cases[i].policy, cases[i].managed, what,
			      sizeof(what));

		assert_int_equal(r, cases[i].what ? 1 : 0);
		if (cases[i].what)
			assert_string_equal(what, cases[i].what);
	}
}

/* Each holds but a part of the pin; together they hold it whole */
static void a_pin_within_what_several_guests_hold_is_a_conflict(void **state)
{
#define HOLDER(uuid, name, cpu)                                                                    \
	"<domain><name>" name "</name><uuid>" uuid "</uuid><memory>1024</memory><vcpu>1</vcpu>"    \
	"<cputune><vcpupin vcpu='0' cpuset='" cpu "'/></cputune></domain>"
	static const char floating[] =
		DOMAIN("<cputune><vcpupin vcpu='0' cpuset='2-3'/></cputune>");
	_cleanup_planned_ struct planned two = plan(*state, HOLDER(OTHER, "two", "2"), "");
	_cleanup_planned_ struct planned three =
		plan(*state, HOLDER("bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee", "three", "3"), "");
	struct claim both[] = { two.claim, three.claim };
	struct claims claims = { .claims = both, .nr = 2 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct domain_error err;
	struct conflict conflict = { 0 };

	assert_int_equal(domain_parse(floating, strlen(floating), &domain, &err), 0);
	assert_int_equal(conflict_find(NULL, &domain, NULL, &claims, &conflict), 1);
	assert_string_equal(conflict.what, "CPU 2-3");
	assert_string_equal(conflict.with->guest, "two");
	claims.nr = 1;
	assert_int_equal(conflict_find(NULL, &domain, NULL, &claims, &conflict), 0);
}

static void put_journal(const struct tree *tree, const char *text)
{
	const char *const path = "run/usher/" OTHER "/cpuset.journal";

	tree_dir(tree, "run/usher/" OTHER);
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	assert_int_equal(fchmodat(tree->rootfd, "run/usher/" OTHER, 0700, 0), 0);
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0600, 0), 0);
}

/* cgroup v1, an apply that has failed, and what does not keep anybody off */
static void a_guest_that_runs_holds_the_cpus_that_it_has_really_taken(void **state)
{
	static const struct {
		enum claim_state state;
		const char *journal;
		int r;
	} cases[] = {
		{ CLAIM_PREPARING, "", 1 },
		{ CLAIM_HANDED, "", 1 },
		{ CLAIM_RUNNING, "", 0 },
		{ CLAIM_RUNNING, "1 pin vcpu0 % 2\n", 0 },
		{ CLAIM_RUNNING, "1 guest g % isolated\n", 1 },
		{ CLAIM_RUNNING, "1 guest g % isolated\n1 undone\n", 0 },
		{ CLAIM_RUNNING, "1 slice system.slice % 2-3\n", 1 },
		{ CLAIM_RUNNING, "1 plain system.slice % 2-3\n", 1 },
		{ CLAIM_RUNNING, "no journal\n", 1 },
		{ CLAIM_ENDING, "", 0 },
		{ CLAIM_ENDING, "1 guest g % isolated\n", 1 },
	};
	static const char holder_xml[] =
		"<domain><name>first</name><uuid>" OTHER
		"</uuid><memory>1024</memory><vcpu>2</vcpu>" PINS "</domain>";
	static const char xml[] = DOMAIN(PINS);
	_cleanup_planned_ struct planned holder = plan(*state, holder_xml, "");
	_cleanup_planned_ struct planned mine = plan(*state, xml, "");
	struct claims claims = { .claims = &holder.claim, .nr = 1 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct host host = { .statefd = -1 };
	struct conflict conflict;
	struct domain_error err;
	int lock;

	assert_int_equal(domain_parse(xml, strlen(xml), &domain, &err), 0);
	put_journal(*state, "");
	host.statefd = state_open(((const struct tree *)*state)->rootfd, false);
	assert_true(host.statefd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_journal(*state, cases[i].journal);
		holder.claim.state = cases[i].state;
		assert_int_equal(conflict_find(&host, &domain, NULL, &claims, &conflict),
				 cases[i].r);
		assert_int_equal(conflict_find(&host, &domain, &mine.claim, &claims, &conflict),
				 cases[i].r);
		assert_int_equal(conflict.cpus, cases[i].r);
	}
	/* A hook is about to take them */
	put_journal(*state, "");
	holder.claim.state = CLAIM_RUNNING;
	lock = giveback_lock(&host, OTHER, 0);
	assert_true(lock >= 0);
	assert_int_equal(conflict_find(&host, &domain, NULL, &claims, &conflict), 1);
	assert_int_equal(close(lock), 0);
	assert_int_equal(conflict_find(&host, &domain, NULL, &claims, &conflict), 0);
	assert_int_equal(close(host.statefd), 0);
}

#define BLOCK(dev, more) "<disk type='block'><source dev='" dev "'/>" more "</disk>"

static void disks_are_claimed_by_path_and_by_the_kernels_name(void **state)
{
	const struct tree *tree = *state;

	tree_file(tree, "dev/sdb", "");
	tree_dir(tree, "sys/class/block/sdb");
	tree_link(tree, "dev/disk/by-id/x y", "../../sdb");
	{
		_cleanup_planned_ struct planned planned =
			plan(tree,
			     DOMAIN(DEVICES(BLOCK("/dev/disk/by-id/x y", "") BLOCK(
				     "/dev/gone", "<readonly/>") BLOCK("/dev/s", "<shareable/>"))),
			     "[vfio]\nin_use = force\n");

		assert_int_equal(planned.r, 0);
		assert_string_equal(nth(&planned.claim, "vfio", "disk", 0),
				    "rw /dev/disk/by-id/x%20y sdb");
		assert_string_equal(nth(&planned.claim, "vfio", "disk", 1), "ro /dev/gone");
		assert_string_equal(nth(&planned.claim, "vfio", "disk", 2), "shared /dev/s");
		assert_string_equal(nth(&planned.claim, "vfio", "in_use", 0), "force");
		assert_null(nth(&planned.claim, "vfio", "driver", 0));
	}
}

static void disk_that_another_guest_writes_is_a_conflict(void **state)
{
	const struct tree *tree = *state;
	static const struct {
		const char *mine, *theirs, *what;
	} cases[] = {
		{ BLOCK("/dev/sdb", ""), BLOCK("/dev/sdb", ""), "disk /dev/sdb" },
		{ BLOCK("/dev/disk/by-id/x", ""), BLOCK("/dev/sdb", ""), "disk /dev/disk/by-id/x" },
		{ BLOCK("/dev/sdb", "<readonly/>"), BLOCK("/dev/sdb", ""), "disk /dev/sdb" },
		{ BLOCK("/dev/sdb", "<readonly/>"), BLOCK("/dev/sdb", "<readonly/>"), NULL },
		{ BLOCK("/dev/sdb", "<shareable/>"), BLOCK("/dev/sdb", "<shareable/>"), NULL },
		{ BLOCK("/dev/sdb", "<shareable/>"), BLOCK("/dev/sdb", ""), "disk /dev/sdb" },
		{ BLOCK("/dev/sdc", ""), BLOCK("/dev/sdb", ""), NULL },
		{ BLOCK("/dev/sdb1", ""), BLOCK("/dev/sdb", ""), "disk /dev/sdb1" },
		{ BLOCK("/dev/disk/by-id/x", ""), BLOCK("/dev/sdb1", ""),
		  "disk /dev/disk/by-id/x" },
		{ BLOCK("/dev/sdb1", ""), BLOCK("/dev/sdb2", ""), NULL },
		{ BLOCK("/dev/sdb1", "<readonly/>"), BLOCK("/dev/sdb", "<readonly/>"), NULL },
		{ BLOCK("/dev/gone1", ""), BLOCK("/dev/gone", ""), NULL },
	};
	const struct host host = { .rootfd = tree->rootfd, .statefd = -1 };

	tree_file(tree, "dev/sdb", "");
	tree_file(tree, "dev/sdb1", "");
	tree_file(tree, "dev/sdb2", "");
	tree_file(tree, "sys/class/block/sdb/sdb1/partition", "1\n");
	tree_file(tree, "sys/class/block/sdb/sdb2/partition", "2\n");
	tree_link(tree, "sys/class/block/sdb1", "sdb/sdb1");
	tree_link(tree, "sys/class/block/sdb2", "sdb/sdb2");
	tree_link(tree, "dev/disk/by-id/x", "../../sdb");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char mine[1024], theirs[1024];
		_cleanup_planned_ struct planned a = { 0 }, b = { 0 };
		_cleanup_domain_ struct domain domain = { 0 };
		struct conflict conflict = { 0 };
		struct claims claims;
		struct domain_error err;

		(void)snprintf(mine, sizeof(mine), "%s%s%s", DOMAIN_HEAD, cases[i].mine,
			       DOMAIN_TAIL);
		(void)snprintf(theirs, sizeof(theirs), "%s%s%s", DOMAIN_HEAD, cases[i].theirs,
			       DOMAIN_TAIL);
		a = plan(tree, mine, "");
		b = plan(tree, theirs, "");
		(void)snprintf(b.claim.uuid, sizeof(b.claim.uuid), "%s", OTHER);
		claims = (struct claims){ .claims = &b.claim, .nr = 1 };
		assert_int_equal(domain_parse(mine, strlen(mine), &domain, &err), 0);
		assert_int_equal(conflict_find(&host, &domain, &a.claim, &claims, &conflict),
				 cases[i].what ? 1 : 0);
		if (cases[i].what)
			assert_string_equal(conflict.what, cases[i].what);
		/* A guest without a policy has no claim */
		assert_int_equal(conflict_find(&host, &domain, NULL, &claims, &conflict),
				 cases[i].what ? 1 : 0);
	}
}

static void a_guests_own_claim_is_no_conflict(void **state)
{
	static const char xml[] = DOMAIN(DEVICES(HOSTDEV("0x01", "0x0")));
	_cleanup_planned_ struct planned mine = plan(*state, xml, "");
	struct claims claims = { .claims = &mine.claim, .nr = 1 };
	_cleanup_domain_ struct domain domain = { 0 };
	struct conflict conflict;
	struct domain_error err;

	assert_int_equal(domain_parse(xml, strlen(xml), &domain, &err), 0);
	assert_int_equal(conflict_find(NULL, &domain, &mine.claim, &claims, &conflict), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(an_empty_policy_takes_what_the_domain_has),
		host_test(functions_of_the_same_slot_go_along),
		host_test(a_guest_without_anything_gets_an_inhibitor_and_no_more),
		host_test(the_policy_can_turn_everything_off),
		host_test(the_card_that_shows_the_host_brings_the_seat_in),
		host_test(words_of_the_policy_are_carried_only_when_they_are_not_the_default),
		host_test(stop_seat_brings_any_card_in),
		host_test(monitors_and_times_come_from_the_policy),
		host_test(sleep_that_is_delayed_leaves_the_lid_alone),
		host_test(what_the_policy_wants_of_the_cpus_is_in_the_claim),
		host_test(what_the_policy_leaves_of_the_cpus_is_not_in_the_claim),
		host_test(what_does_not_fit_is_refused_with_cause_and_cure),
		host_test(with_pin_auto_the_claim_says_what_is_wanted),
		host_test(vcpus_that_are_not_there_are_not_counted),
		host_test(vcpus_without_a_pin_float_beside_those_that_have_one),
		host_test(the_claim_has_the_partition_of_the_xml),
		host_test(what_runs_beside_the_vcpus_has_the_cpus_of_the_vcpu_element),
		host_test(vcpus_that_float_hold_the_cpus_of_the_vcpu_element),
		host_test(nothing_is_chosen_without_pin_auto_or_beside_pins_of_the_xml),
		host_test(a_memory_device_with_pages_of_its_own_is_counted),
		host_test(the_time_for_pages_grows_with_the_guest),
		host_test(preferred_nodes_stand_beside_the_need),
		host_test(what_numad_will_choose_is_in_the_claim),
		host_test(the_policy_says_how_pages_may_be_got),
		host_test(a_mount_is_needed_for_each_size_but_not_with_memfd_that_says_its_own),
		host_test(pages_without_a_size_are_those_of_the_default_mount),
		host_test(transparent_pages_are_for_guests_without_others),
		host_test(what_backs_memory_for_transparent_pages_is_in_the_claim),
		host_test(what_may_be_far_from_the_memory_is_in_the_claim),
		host_test(so_it_is_with_other_pages_or_none),
		host_test(a_kernel_without_huge_pages_is_named),
		host_test(so_are_the_cpus_of_all_its_threads),
		host_test(a_page_size_that_no_processor_has_is_refused_as_such),
		host_test(what_another_guest_holds_is_a_conflict),
		host_test(a_pin_within_what_several_guests_hold_is_a_conflict),
		host_test(a_guest_that_runs_holds_the_cpus_that_it_has_really_taken),
		host_test(disks_are_claimed_by_path_and_by_the_kernels_name),
		host_test(disk_that_another_guest_writes_is_a_conflict),
		host_test(a_guests_own_claim_is_no_conflict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
