/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_uses_test.c - what the host does with disks and interfaces, and who may have them */
/* wraps: attr_write module_load process_identify process_alive blockdev_claimed aside_run */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

#include "lib/aside.h"
#include "lib/blockdev.h"

#define ADDED_UUID "0b1f2f9e-6c1c-4e0a-9d3e-5d2a3b0a7c11"

/* The disk that the kernel says it keeps for itself, NULL for none */
static const char *claimed;

/* The one that never comes back from being opened, NULL for none */
static const char *hanging;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_blockdev_claimed(int rootfd, const char *name);
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);
int __real_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms);

int __wrap_blockdev_claimed(int rootfd, const char *name)
{
	(void)rootfd;
	while (hanging && strcmp(hanging, name) == 0)
		(void)pause();
	return claimed && strcmp(claimed, name) == 0;
}

/* Who waits for one that hangs has waited long enough */
int __wrap_aside_run(int rootfd, int (*run)(int rootfd, void *shared), void *shared, int step_ms)
{
	return __real_aside_run(rootfd, run, shared, hanging ? step_ms / 6 : step_ms);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int uses_setup(void **state)
{
	claimed = hanging = NULL;
	return host_setup(state);
}

#define uses_test(fn) cmocka_unit_test_setup_teardown(fn, uses_setup, host_teardown)

/* check and apply say this behind the device's name, and nothing is written */
static void assert_refused(const char *claim, const char *text)
{
	write_claim(UUID, claim);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, text));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, text));
	assert_int_equal(kernel->writes, 0);
}

static void assert_passes(const char *claim)
{
	write_claim(UUID, claim);
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
}

/* --- Disks ---------------------------------------------------------------------------------- */

/* sdb with sdb1 and sdb2 behind the USB controller, with nodes, as udev and the kernel have them */
static void add_disk(void)
{
	set_driver(USB, "xhci_hcd");
	add_below(USB, "usb1/host6/block/sdb", "block", "sdb");
	add_below(USB, "usb1/host6/block/sdb/sdb1", "block", "sdb1");
	add_below(USB, "usb1/host6/block/sdb/sdb2", "block", "sdb2");
	tree_link(host, "sys/class/block/sdb",
		  "../../bus/pci/devices/" USB "/usb1/host6/block/sdb");
	tree_link(host, "sys/class/block/sdb1",
		  "../../bus/pci/devices/" USB "/usb1/host6/block/sdb/sdb1");
	tree_link(host, "sys/class/block/sdb2",
		  "../../bus/pci/devices/" USB "/usb1/host6/block/sdb/sdb2");
	tree_file(host, "sys/class/block/sdb/dev", "8:16\n");
	tree_file(host, "sys/class/block/sdb1/dev", "8:17\n");
	tree_file(host, "sys/class/block/sdb1/partition", "1\n");
	tree_file(host, "sys/class/block/sdb2/dev", "8:18\n");
	tree_file(host, "sys/class/block/sdb2/partition", "2\n");
	tree_file(host, "dev/sdb", "");
	tree_file(host, "dev/sdb1", "");
	tree_file(host, "dev/sdb2", "");
	tree_link(host, "dev/disk/by-id/usb-Stick", "../../sdb");
	tree_link(host, "dev/disk/by-id/usb-Stick-part1", "../../sdb1");
}

static void stack_on(const char *disk, const char *above, const char *uuid, const char *name)
{
	char path[128], target[64];

	(void)snprintf(path, sizeof(path), "sys/class/block/%s/holders/%s", disk, above);
	(void)snprintf(target, sizeof(target), "../../%s", above);
	tree_link(host, path, target);
	(void)snprintf(path, sizeof(path), "sys/class/block/%s/dm/uuid", above);
	if (uuid)
		tree_file(host, path, uuid);
	(void)snprintf(path, sizeof(path), "sys/class/block/%s/dm/name", above);
	if (name)
		tree_file(host, path, name);
}

#define WHOLE	 "disk = rw /dev/disk/by-id/usb-Stick\n"
#define PART	 "disk = rw /dev/disk/by-id/usb-Stick-part1\n"
#define USB_DISK "device = " USB " 1033:0194 policy unmanaged\n"
#define KEEPS	 "; give_back = vfio in [vfio] keeps the host from taking it again\n"

static void member_of_a_stopped_stack_is_refused_with_what_takes_it_apart(void **state)
{
	static const struct {
		const char *above, *uuid, *name, *text;
	} rows[] = {
		{ "dm-3", "LVM-abc", "vg--0-my--data",
		  " holds sdb1, part of LVM's vg--0-my--data: vgchange -an vg-0 first" KEEPS },
		{ "dm-4", "CRYPT-LUKS2-1-x", "secret",
		  " holds sdb1, part of the encrypted secret: cryptsetup close secret "
		  "first" KEEPS },
		{ "dm-5", "mpath-1", "mpatha",
		  " holds sdb1, part of multipath's mpatha: multipath -f mpatha first" KEEPS },
		{ "dm-6", "mine", "linear",
		  " holds sdb1, part of device-mapper's linear: dmsetup remove linear "
		  "first" KEEPS },
		{ "md0", NULL, NULL,
		  " holds sdb1, part of md0: mdadm --stop /dev/md0 first" KEEPS },
		{ "bcache0", NULL, NULL, " holds sdb1, part of bcache0: stop that first" KEEPS },
	};

	(void)state;
	add_disk();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[128];

		stack_on("sdb1", rows[i].above, rows[i].uuid, rows[i].name);
		assert_refused(USB_DISK, rows[i].text);
		(void)snprintf(path, sizeof(path), "sys/class/block/sdb1/holders/%s",
			       rows[i].above);
		assert_int_equal(unlinkat(host->rootfd, path, 0), 0);
	}
	assert_passes(USB_DISK);
}

static void back_loop(const char *loop, const char *file)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "sys/class/block/%s/loop/backing_file", loop);
	tree_file(host, path, file);
}

/* The kernel lists no holder, opening the disk exclusively works, and no process has it open */
static void disk_under_a_loop_device_is_refused(void **state)
{
	static const char *const backings[] = { "/dev/sdb1\n", "/dev/disk/by-id/usb-Stick-part1\n",
						"/dev/sdb1 (deleted)\n" };

	(void)state;
	add_disk();
	tree_file(host, "sys/class/block/loop0/dev", "7:0\n");
	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		back_loop("loop0", backings[i]);
		tree_file(host, "proc/self/mountinfo", "22 1 7:0 / /mnt rw - ext4 /dev/loop0 rw\n");
		assert_refused(USB_DISK, " holds loop0, mounted on /mnt: unmount it first" KEEPS);
		assert_refused(WHOLE, " holds loop0, mounted on /mnt: unmount it first: ");
		assert_refused(PART, " holds loop0, mounted on /mnt: unmount it first: ");
		tree_file(host, "proc/self/mountinfo", "");
		assert_refused(USB_DISK "in_use = force\n",
			       " holds sdb1, the backing store of loop0: losetup -d /dev/loop0 "
			       "first" KEEPS);
	}
	/* Of another disk, and of a file */
	back_loop("loop0", "/dev/sdb10\n");
	assert_passes(USB_DISK);
	back_loop("loop0", "/dev/sda (deleted)\n");
	assert_passes(USB_DISK);
	back_loop("loop0", "/srv/dev/sdb1\n");
	assert_passes(USB_DISK);
}

static void partition_on_a_loop_device_on_another_one_is_refused(void **state)
{
	(void)state;
	add_disk();
	tree_file(host, "dev/loop0p1", "");
	tree_file(host, "sys/class/block/loop0/dev", "7:0\n");
	tree_file(host, "sys/class/block/loop0/loop0p1/partition", "1\n");
	tree_file(host, "sys/class/block/loop0p1/dev", "259:0\n");
	tree_file(host, "sys/class/block/loop12/dev", "7:12\n");
	back_loop("loop0", "/dev/sdb\n");
	back_loop("loop12", "/dev/loop0p1\n");
	tree_file(host, "proc/self/mountinfo", "22 1 7:12 / /mnt rw - ext4 /dev/loop12 rw\n");
	assert_refused(USB_DISK, " holds loop12, mounted on /mnt: unmount it first" KEEPS);
	tree_file(host, "proc/self/mountinfo", "22 1 259:0 / /mnt rw - ext4 /dev/loop0p1 rw\n");
	assert_refused(WHOLE, " holds loop0p1, mounted on /mnt: unmount it first: ");
	tree_file(host, "proc/self/mountinfo", "");
	assert_refused(WHOLE, " holds loop0p1, the backing store of loop12: losetup -d /dev/loop12 "
			      "first: both would write to it\n");
}

static void second_device_of_a_mounted_btrfs_is_refused(void **state)
{
	(void)state;
	add_disk();
	tree_file(host, "proc/self/mountinfo", "22 1 0:31 / /home rw - btrfs /dev/sda3 rw\n");
	tree_dir(host, "sys/fs/btrfs/features");
	tree_dir(host, "sys/fs/btrfs/" ADDED_UUID "/devices/sda3");
	tree_dir(host, "sys/fs/btrfs/" ADDED_UUID "/devices/sdb2");
	assert_refused(
		USB_DISK,
		" holds sdb2, a member of the btrfs mounted on /home: unmount it first" KEEPS);
}

static void disk_that_only_the_kernel_knows_of_is_refused(void **state)
{
	(void)state;
	add_disk();
	claimed = "sdb2";
	assert_refused(USB_DISK,
		       " holds sdb2, which the kernel keeps for another use, ZFS perhaps: "
		       "export the pool or stop what has it first (lsblk -f /dev/sdb2)" KEEPS);
	assert_refused(USB_DISK "in_use = force\n", " holds sdb2, which the kernel keeps");
}

/* Its controller is being reset, say */
static void disk_that_cannot_be_opened_in_time_is_refused_by_name(void **state)
{
	(void)state;
	add_disk();
	hanging = "sdb1";
	assert_refused(USB_DISK,
		       " holds sdb1, which does not answer (it was opened to see whether the "
		       "kernel keeps it): see dmesg, and start the guest when it answers again\n");
	assert_refused(USB_DISK "in_use = force\n", " holds sdb1, which does not answer");
	assert_refused(WHOLE, " of the guest's XML holds sdb1, which does not answer");
}

static void disk_that_a_process_has_open_is_refused(void **state)
{
	(void)state;
	add_disk();
	add_process("4242", "qemu-system-x86", "/dev/sdb");
	assert_refused(USB_DISK,
		       "is in use by qemu-system-x86 (pid 4242), which has /dev/sdb open: stop it "
		       "first\n");
}

/* --- Disks without PCI ------------------------------------------------------------------------ */

static void disk_of_the_guest_that_the_host_uses_is_refused(void **state)
{
	(void)state;
	add_disk();
	assert_passes(WHOLE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	tree_file(host, "proc/self/mountinfo", "22 1 8:18 / /mnt rw - ext4 /dev/sdb2 rw\n");
	assert_refused(WHOLE,
		       "usher: win11: disk /dev/disk/by-id/usb-Stick of the guest's XML holds "
		       "sdb2, mounted on /mnt: unmount it first: both would write to it\n");
	/* The partition beside the mounted one is free */
	assert_passes(PART);
	tree_file(host, "proc/swaps",
		  "Filename Type Size Used Priority\n/dev/sdb1 partition 8 0 -2\n");
	assert_refused(PART, " holds sdb1, swap of the host: swapoff /dev/sdb1 first: ");
	tree_file(host, "proc/swaps", "");
	stack_on("sdb", "dm-5", "mpath-1", "mpatha");
	assert_refused(PART, " holds sdb, part of multipath's mpatha: multipath -f mpatha first: "
			     "both would write to it\n");
}

static void disk_of_the_guest_that_only_the_kernel_knows_of_is_refused(void **state)
{
	(void)state;
	add_disk();
	claimed = "sdb1";
	assert_refused(WHOLE, " holds sdb1, which the kernel keeps for another use");
	assert_refused(PART, " holds sdb1, which the kernel keeps for another use");
	claimed = "sdb";
	/* Its whole disk is kept when a partition beside it is mounted: that is no use of this one */
	assert_passes(PART);
}

static void disk_that_another_guest_writes_is_refused(void **state)
{
	static const char *const nodes[] = { "/dev/sdb", "/dev/sdb1" };

	(void)state;
	add_disk();
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		add_process("4242", "qemu-system-x86", nodes[i]);
		assert_refused(WHOLE,
			       "disk /dev/disk/by-id/usb-Stick of the guest's XML is written "
			       "by qemu-system-x86 (pid 4242): both would write to it; end "
			       "that guest or program first\n");
		assert_refused(PART, "is written by qemu-system-x86 (pid 4242)");
		remove_process_fd("4242");
	}
	add_process("4242", "qemu-system-x86", "/dev/sdb2");
	assert_passes(PART);
	/* What others may write too, and what the guest only reads */
	assert_passes("disk = shared /dev/disk/by-id/usb-Stick\n");
	assert_passes("disk = ro /dev/disk/by-id/usb-Stick\n");
	/* In `reconnect` the writer is this guest itself */
	tree_bytes(host, "proc/4242/cmdline", "qemu\0-uuid\0" UUID, sizeof("qemu\0-uuid\0" UUID));
	assert_passes(WHOLE);
}

static void disk_that_is_not_there_is_libvirts_to_refuse(void **state)
{
	(void)state;
	assert_passes("disk = rw /dev/disk/by-id/gone\n");
	tree_file(host, "dev/plain", "");
	assert_passes("disk = rw /dev/plain\n");
}

static void malformed_disk_lines_are_refused(void **state)
{
	static const char *const lines[] = { "disk = rw\n", "disk = wr /dev/sdb\n",
					     "disk = rw /dev/s%6\n",
					     "disk = rw /dev/sdb sdb more\n",
					     "in_use = perhaps\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		write_claim(UUID, lines[i]);
		assert_int_equal(check(), HELPER_USAGE);
		assert_non_null(strstr(said, ": nothing was touched; start the guest anew\n"));
	}
}

/* --- Network ------------------------------------------------------------------------------------ */

#define ADDRESS_ROUTE                                                                              \
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"                  \
	"eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"

static void add_nic(void)
{
	add_below(NIC, "net/eth0", "net", NULL);
	tree_file(host, "sys/class/net/eth0/ifindex", "3\n");
}

static void nic_with_addresses_that_nobody_manages_is_refused(void **state)
{
	(void)state;
	add_nic();
	assert_passes(NIC_LINE);
	tree_file(host, "proc/net/route", ADDRESS_ROUTE);
	assert_refused(NIC_LINE,
		       " has eth0 up with addresses that nobody would bring back: ip address flush "
		       "dev eth0 first, or have systemd-networkd or NetworkManager manage it\n");
	assert_passes(NIC_LINE "in_use = force\n");
	tree_file(host, "proc/net/route", "");
	tree_file(host, "proc/net/if_inet6",
		  "fe80000000000000505400fffe000001 03 40 20 80     eth0\n");
	assert_passes(NIC_LINE);
	tree_file(host, "proc/net/if_inet6",
		  "20010db8000000000000000000000001 03 40 00 80     eth0\n");
	assert_refused(NIC_LINE, " has eth0 up with addresses");
}

static void nic_in_a_bridge_that_nobody_manages_is_refused(void **state)
{
	(void)state;
	add_nic();
	tree_link(host, "sys/class/net/eth0/upper_br0", "../br0");
	assert_refused(NIC_LINE,
		       " is part of br0 through eth0, and nobody would put it back: take eth0 out "
		       "of it first, or have systemd-networkd or NetworkManager manage it\n");
	assert_passes(NIC_LINE "in_use = force\n");
}

static void nic_of_which_anything_is_set_that_nobody_manages_is_refused(void **state)
{
	static const struct {
		const char *flags, *mtu, *type, *text;
	} rows[] = {
		{ "0x1002\n", "1500\n", "1\n", NULL },
		{ "0x1003\n", "1500\n", "1\n",
		  " has eth0 up, and nobody would bring it and its settings back: ip link set "
		  "eth0 down promisc off allmulticast off first, or have systemd-networkd or "
		  "NetworkManager manage it\n" },
		{ "0x1102\n", "1500\n", "1\n", " has eth0 up, and nobody would bring it" },
		{ "0x1002\n", "9000\n", "1\n",
		  " has eth0 with an MTU of 9000 that nobody would set again: ip link set eth0 "
		  "mtu 1500 first, or have systemd-networkd or NetworkManager manage it\n" },
		/* InfiniBand's own */
		{ "0x1002\n", "2044\n", "32\n", NULL },
	};

	(void)state;
	add_nic();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(host, "sys/class/net/eth0/flags", rows[i].flags);
		tree_file(host, "sys/class/net/eth0/mtu", rows[i].mtu);
		tree_file(host, "sys/class/net/eth0/type", rows[i].type);
		if (rows[i].text)
			assert_refused(NIC_LINE, rows[i].text);
		else
			assert_passes(NIC_LINE);
		assert_passes(NIC_LINE "in_use = force\n");
	}
	tree_file(host, "sys/class/net/eth0/flags", "0x1003\n");
	tree_file(host, "sys/class/net/eth0/mtu", "9000\n");
	tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
	tree_file(host, "proc/300/comm", "systemd-network\n");
	assert_passes(NIC_LINE);
}

/* NetworkManager has it up for the day that there is a cable, or a profile */
static void nic_that_networkmanager_has_up_without_a_profile_passes(void **state)
{
	(void)state;
	add_nic();
	tree_file(host, "sys/class/net/eth0/flags", "0x1003\n");
	tree_file(host, "sys/class/net/eth0/mtu", "1500\n");
	tree_file(host, "sys/class/net/eth0/type", "1\n");
	tree_file(host, "run/NetworkManager/devices/3", "[device]\nmanaged=true\n");
	assert_refused(NIC_LINE, " has eth0 up, and nobody would bring it");
	tree_file(host, "proc/300/comm", "NetworkManager\n");
	assert_passes(NIC_LINE);
	/* What it has not set it does not bring back */
	tree_file(host, "sys/class/net/eth0/mtu", "9000\n");
	assert_refused(NIC_LINE, " has eth0 with an MTU of 9000 that nobody would set again");
	tree_file(host, "sys/class/net/eth0/mtu", "1500\n");
	tree_file(host, "sys/class/net/eth0/flags", "0x1103\n");
	assert_refused(NIC_LINE, " has eth0 up, and nobody would bring it and its settings back");
	tree_file(host, "sys/class/net/eth0/flags", "0x1003\n");
	tree_link(host, "sys/class/net/eth0/upper_br0", "../br0");
	assert_refused(NIC_LINE, " is part of br0 through eth0, and nobody would put it back");
	assert_int_equal(unlinkat(host->rootfd, "sys/class/net/eth0/upper_br0", 0), 0);
	tree_file(host, "proc/net/route", ADDRESS_ROUTE);
	assert_refused(NIC_LINE, " has eth0 up with addresses that nobody would bring back");
	tree_file(host, "proc/net/route", "");
	tree_file(host, "run/NetworkManager/devices/3", "[device]\nmanaged=false\n");
	assert_refused(NIC_LINE, " has eth0 up, and nobody would bring it");
}

/* networkd has eth0 only: the VLAN was made by hand */
static void bridge_on_a_managed_nic_must_be_managed_too(void **state)
{
	static const char *const uppers[] = { "br0", "eth0.10" };

	(void)state;
	add_nic();
	tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
	tree_file(host, "proc/300/comm", "systemd-network\n");
	for (size_t i = 0; i < ARRAY_SIZE(uppers); i++) {
		char path[128], line[256];

		(void)snprintf(path, sizeof(path), "sys/class/net/%s/ifindex", uppers[i]);
		tree_file(host, path, "7\n");
		(void)snprintf(path, sizeof(path), "sys/class/net/eth0/upper_%s", uppers[i]);
		tree_link(host, path, "../x");
		(void)snprintf(line, sizeof(line),
			       " is part of %s through eth0, and nobody would put it back: take "
			       "eth0 out of it first, or have systemd-networkd or NetworkManager "
			       "manage %s\n",
			       uppers[i], uppers[i]);
		assert_refused(NIC_LINE, line);
		assert_passes(NIC_LINE "in_use = force\n");
		tree_file(host, "run/systemd/netif/links/7", "NETWORK_FILE=/y\n");
		assert_passes(NIC_LINE);
		assert_int_equal(unlinkat(host->rootfd, "run/systemd/netif/links/7", 0), 0);
		assert_int_equal(unlinkat(host->rootfd, path, 0), 0);
	}
}

static void nic_with_another_guests_macvtap_is_refused_by_force_too(void **state)
{
	static const char *const above[] = { "eth0", "bond0" };

	(void)state;
	add_nic();
	tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
	tree_file(host, "proc/300/comm", "systemd-network\n");
	tree_link(host, "sys/class/net/eth0/upper_bond0", "../bond0");
	tree_file(host, "sys/class/net/macvtap0/ifindex", "9\n");
	tree_dir(host, "sys/class/net/macvtap0/macvtap/tap9");
	for (size_t i = 0; i < ARRAY_SIZE(above); i++) {
		char path[128], line[256];

		(void)snprintf(path, sizeof(path), "sys/class/net/%s/upper_macvtap0", above[i]);
		tree_link(host, path, "../macvtap0");
		(void)snprintf(line, sizeof(line),
			       " carries macvtap0, the network of another guest, on %s: shut that "
			       "guest down first, or give it another interface\n",
			       above[i]);
		assert_refused(NIC_LINE, line);
		add_process("4242", "qemu-system-x86", "/dev/tap9");
		assert_refused(NIC_LINE "in_use = force\n",
			       " carries macvtap0, the network of qemu-system-x86 (pid 4242), on ");
		remove_process_fd("4242");
		assert_int_equal(unlinkat(host->rootfd, path, 0), 0);
	}
}

static void default_route_of_a_pppoe_session_is_the_nics(void **state)
{
	(void)state;
	add_nic();
	tree_file(host, "run/NetworkManager/devices/3", "connection-uuid=1\n");
	tree_file(host, "proc/300/comm", "NetworkManager\n");
	tree_file(host, "sys/class/net/wan/type", "512\n");
	tree_file(host, "proc/net/route",
		  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		  "wan\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n");
	/* The session of another card */
	tree_file(host, "proc/net/pppoe",
		  "Id       Address              Device\n0000A1B2 52:54:00:12:34:56     eth1\n");
	assert_passes(NIC_LINE);
	tree_file(host, "proc/net/pppoe",
		  "Id       Address              Device\n0000A1B2 52:54:00:12:34:56     eth0\n");
	assert_refused(NIC_LINE "in_use = force\n", " carries the host's default route on wan: ");
	/* Over a VLAN, as with most providers */
	tree_link(host, "sys/class/net/eth0/upper_eth0.7", "../eth0.7");
	tree_file(host, "proc/net/pppoe",
		  "Id       Address              Device\n0000A1B2 52:54:00:12:34:56   eth0.7\n");
	assert_refused(NIC_LINE, " carries the host's default route on wan: ");
}

/* Open vSwitch links a bridge's ports to its datapath, but not the internal ones, br0 */
static void default_route_of_an_open_vswitch_bridge_is_the_nics(void **state)
{
	static const char route[] =
		"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		"%s\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
	static const char *const ours[] = { "br0", "br0.7" }, *const others[] = { "eth1", "br1" };
	char text[256];

	(void)state;
	add_nic();
	tree_link(host, "sys/class/net/eth0/upper_ovs-system", "../ovs-system");
	tree_link(host, "sys/class/net/ovs-system/lower_eth0", "../eth0");
	tree_dir(host, "sys/class/net/eth0/device");
	tree_dir(host, "sys/class/net/br0");
	tree_link(host, "sys/class/net/br0.7/lower_br0", "../br0");
	/* The network of another card */
	tree_dir(host, "sys/class/net/eth1/device");
	tree_link(host, "sys/class/net/br1/lower_eth1", "../eth1");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		(void)snprintf(text, sizeof(text), route, others[i]);
		tree_file(host, "proc/net/route", text);
		assert_passes(NIC_LINE "in_use = force\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		char line[128];

		(void)snprintf(text, sizeof(text), route, ours[i]);
		tree_file(host, "proc/net/route", text);
		(void)snprintf(line, sizeof(line),
			       " carries the host's default route on %s: ", ours[i]);
		assert_refused(NIC_LINE "in_use = force\n", line);
	}
	assert_int_equal(unlinkat(host->rootfd, "sys/class/net/eth0/upper_ovs-system", 0), 0);
	assert_passes(NIC_LINE);
}

/* Its class's directory is there, and looks empty from here */
static void nic_in_another_network_namespace_is_refused_but_by_force(void **state)
{
	(void)state;
	set_driver(USB, "xhci_hcd");
	assert_passes(NIC_LINE USB_DISK);
	tree_dir(host, DEVICES NIC "/net");
	assert_refused(NIC_LINE,
		       " has a network interface in another network namespace, a container's "
		       "perhaps: end what uses it there (lsns -t net) or move it back first (ip "
		       "link set IFACE netns 1, from within)\n");
	assert_passes(NIC_LINE "in_use = force\n");
	tree_dir(host, DEVICES USB "/usb1/1-1/1-1:1.0/net");
	assert_refused(USB_DISK, " has a network interface in another network namespace");
	add_below(USB, "usb1/1-1/1-1:1.0/net/eth1", "net", NULL);
	assert_passes(USB_DISK);
}

static void nic_that_a_network_manager_configures_passes(void **state)
{
	static const struct {
		const char *file, *text, *comm;
		bool manages;
	} rows[] = {
		{ "run/systemd/netif/links/3",
		  "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/lan.network\n",
		  "systemd-network", true },
		{ "run/systemd/netif/links/3", "ADMIN_STATE=unmanaged\n", "systemd-network",
		  false },
		{ "run/systemd/netif/links/33", "NETWORK_FILE=/x\n", "systemd-network", false },
		{ "run/NetworkManager/devices/3", "[device]\nmanaged=true\nconnection-uuid=1\n",
		  "NetworkManager", true },
		{ "run/NetworkManager/devices/3", "[device]\nmanaged=false\n", "NetworkManager",
		  false },
		/* Stopped: what it has left says what it did, not what it will do */
		{ "run/systemd/netif/links/3", "NETWORK_FILE=/x\n", "systemd-udevd", false },
		{ "run/NetworkManager/devices/3", "connection-uuid=1\n", "nm-dispatcher", false },
	};

	(void)state;
	add_nic();
	tree_file(host, "proc/net/route", ADDRESS_ROUTE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(host, rows[i].file, rows[i].text);
		tree_file(host, "proc/300/comm", rows[i].comm);
		if (rows[i].manages)
			assert_passes(NIC_LINE);
		else
			assert_refused(NIC_LINE, " has eth0 up with addresses");
		assert_int_equal(unlinkat(host->rootfd, rows[i].file, 0), 0);
	}
}

/* A network manager brings an interface back, but the host is without it meanwhile */
static void default_route_is_refused_whoever_manages_it_and_by_force_too(void **state)
{
	(void)state;
	add_nic();
	tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
	tree_file(host, "proc/net/route",
		  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
	assert_refused(NIC_LINE "in_use = force\n", " carries the host's default route on eth0: ");
}

/* "connected (externally)": NetworkManager only looks on, and has made a profile of what it saw */
static void nic_that_networkmanager_only_looks_at_is_refused(void **state)
{
	static const char *const gone[] = { "nm-generated=true\nvolatile=true\nexternal=true\n",
					    "volatile=true\n" };
	char text[192];

	(void)state;
	add_nic();
	tree_file(host, "proc/300/comm", "NetworkManager\n");
	tree_file(host, "run/NetworkManager/devices/3",
		  "[device]\nmanaged=true\nconnection-uuid=1\n");
	tree_file(host, "run/NetworkManager/devices/7",
		  "[device]\nmanaged=true\nconnection-uuid=2\nnm-owned=false\n");
	tree_file(host, "sys/class/net/br0/ifindex", "7\n");
	/* Another one's, and one that is kept till the next boot: "nmcli connection add save no" */
	tree_file(host, "run/NetworkManager/system-connections/lo.nmconnection",
		  "[connection]\nid=lo\nuuid=11\n[.nmmeta]\nexternal=true\n");
	tree_file(host, "run/NetworkManager/system-connections/eth0.nmconnection",
		  "[connection]\nid=eth0\nuuid=1\n");
	tree_link(host, "sys/class/net/eth0/upper_br0", "../x");
	assert_passes(NIC_LINE);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		(void)snprintf(text, sizeof(text),
			       "[connection]\nid=eth0\nuuid=1\ntype=ethernet\n[.nmmeta]\n%s",
			       gone[i]);
		tree_file(host, "run/NetworkManager/system-connections/eth0.nmconnection", text);
		assert_refused(NIC_LINE,
			       " is part of br0 through eth0, and nobody would put it back");
	}
	assert_int_equal(unlinkat(host->rootfd, "sys/class/net/eth0/upper_br0", 0), 0);
	tree_file(host, "proc/net/route", ADDRESS_ROUTE);
	assert_refused(NIC_LINE, " has eth0 up with addresses that nobody would bring back");
	tree_file(host, "proc/net/route", "");
	tree_file(host, "sys/class/net/eth0/flags", "0x1003\n");
	assert_refused(NIC_LINE, " has eth0 up, and nobody would bring it");
}

/* sriov_numvfs takes the device's lock: here a pipe that nobody writes to */
static void card_with_virtual_functions_is_refused_by_its_links(void **state)
{
	(void)state;
	assert_int_equal(mkfifoat(host->rootfd, DEVICES NIC "/sriov_numvfs", 0644), 0);
	assert_passes(NIC_LINE);
	tree_link(host, DEVICES NIC "/virtfn0", "../0000:02:10.0");
	tree_link(host, DEVICES NIC "/virtfn11", "../0000:02:10.1");
	assert_refused(NIC_LINE,
		       " has 2 virtual functions, which would go with it: echo 0 >/" DEVICES NIC
		       "/sriov_numvfs first\n");
}

static void card_with_a_mediated_device_is_refused(void **state)
{
	(void)state;
	tree_dir(host, DEVICES NIC "/mdev_supported_types");
	assert_passes(NIC_LINE);
	tree_link(host, DEVICES NIC "/" OTHER_UUID "/mdev_type", "../mdev_supported_types/x");
	assert_refused(NIC_LINE "in_use = force\n",
		       " has the mediated device " OTHER_UUID ", which would go with it: end the "
		       "guest that has it, and echo 1 >/" DEVICES NIC "/" OTHER_UUID
		       "/remove first\n");
}

/* --- Nodes ------------------------------------------------------------------------------------- */

static void every_kind_of_node_that_a_process_has_open_is_named(void **state)
{
	static const struct {
		const char *below, *subsystem, *node;
		bool waits; /* who unbinds the device waits for who has it open */
	} rows[] = {
		{ "drm/card1", "drm", "dri/card1", false },
		{ "graphics/fb1", "graphics", "fb1", false },
		{ "usb1/1-1/0003:046D:C52B.0001/hidraw/hidraw3", "hidraw", "hidraw3", false },
		{ "usb1/1-2/ttyUSB0", "tty", "ttyUSB0", false },
		{ "usb1/1-3/video4linux/video0", "video4linux", "video0", false },
		{ "sound/card2/pcmC2D0p", "sound", "snd/pcmC2D0p", true },
		{ "sound/card2/dsp1", "sound", "dsp1", true },
		{ "usb1/1-5/sound/card3/pcmC3D0p", "sound", "snd/pcmC3D0p", false },
		{ "nvme/nvme3", "nvme", "nvme3", false },
		{ "accel/accel0", "accel", "accel/accel0", false },
		{ "usb1/1-4", "usb", "bus/usb/001/004", false },
		{ "i2c-5/i2c-dev/i2c-5", "i2c-dev", "i2c-5", true },
		{ "drm/card1/card1-DP-1/i2c-7/i2c-dev/i2c-7", "i2c-dev", "i2c-7", true },
		{ "usb1/1-6/i2c-9/i2c-dev/i2c-9", "i2c-dev", "i2c-9", true },
		{ "dvb/dvb0.frontend0", "dvb", "dvb/adapter0/frontend0", true },
		{ "usb1/1-7/dvb/dvb1.demux0", "dvb", "dvb/adapter1/demux0", true },
		{ "fw1", "firewire", "fw1", true },
		{ "infiniband_verbs/uverbs0", "infiniband_verbs", "infiniband/uverbs0", true },
		{ "infiniband_mad/umad0", "infiniband_mad", "infiniband/umad0", false },
		{ "usb1/host6/6:0:0:0/scsi_generic/sg2", "scsi_generic", "sg2", false },
		{ "usb1/1-8/usbmisc/hiddev0", "usbmisc", "usb/hiddev0", false },
		{ "ptp/ptp0", "ptp", "ptp0", false },
		{ "something/new0", "new", "new/new0", false },
	};
	char line[256], node[64];

	(void)state;
	set_driver(USB, "xhci_hcd");
	tree_file(host, DEVICES USB "/usb1/1-4/busnum", "1\n");
	tree_file(host, DEVICES USB "/usb1/1-4/devnum", "4\n");
	tree_file(host, "proc/77/cgroup", "0::/system.slice/holder.service\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		add_below(USB, rows[i].below, rows[i].subsystem, rows[i].node);
		assert_passes(USB_DISK);
		(void)snprintf(node, sizeof(node), "/dev/%s", rows[i].node);
		add_process("77", "holder", node);
		(void)snprintf(line, sizeof(line),
			       "is in use by holder (pid 77), which has %s open: stop it first\n",
			       node);
		assert_refused(USB_DISK, line);
		assert_refused(USB_DISK "in_use = stop-seat\n", line);
		(void)snprintf(line, sizeof(line),
			       "is in use by holder (pid 77), which has %s open: stop it first; "
			       "its driver would wait for that for ever, so in_use = force does "
			       "not take it\n",
			       node);
		if (rows[i].waits)
			assert_refused(USB_DISK "in_use = force\n", line);
		else
			assert_passes(USB_DISK "in_use = force\n");
		remove_process_fd("77");
	}
}

/* Renamed, or another device's by now: in this machine's own /dev */
static void node_that_is_not_at_its_path_is_sought_by_its_number(void **state)
{
	static const struct {
		const char *path, *number, *found[2];
	} rows[] = {
		{ "/dev/full", "/dev/char/1:7", { "/dev/full" } },
		{ "/dev/full", "/dev/char/1:5", { "/dev/char/1:5" } },
		{ "/dev/full", "/dev/block/1:7", { "/dev/block/1:7" } },
		{ "/dev/gone0", "/dev/char/1:7", { "/dev/gone0", "/dev/char/1:7" } },
		{ "", "/dev/char/1:7", { "/dev/char/1:7" } },
		{ "", "", { NULL } },
	};
	_cleanup_close_ int real = root_open("/");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_strlist_ struct strlist paths = { 0 };
		struct node node = { .subsystem = NODE_OTHER };
		size_t nr = 0;

		(void)snprintf(node.path, sizeof(node.path), "%s", rows[i].path);
		(void)snprintf(node.number, sizeof(node.number), "%s", rows[i].number);
		assert_int_equal(node_paths(real, &node, &paths), 0);
		for (; nr < 2 && rows[i].found[nr]; nr++)
			assert_string_equal(paths.names[nr], rows[i].found[nr]);
		assert_int_equal(paths.nr, nr);
	}
}

/* A desktop has every keyboard open: it loses it, as when it is unplugged */
static void input_that_a_desktop_has_open_passes(void **state)
{
	(void)state;
	set_driver(USB, "xhci_hcd");
	add_below(USB, "usb1/1-1/input/input5/event5", "input", "input/event5");
	add_process("77", "systemd-logind", "/dev/input/event5");
	assert_passes(USB_DISK);
}

/* By force the card is taken from a desktop, but the sound function beside it would hang */
static void sound_card_in_use_is_not_taken_by_force(void **state)
{
	(void)state;
	set_driver(GPU, "amdgpu");
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_below(AUDIO, "sound/card1/controlC1", "sound", "snd/controlC1");
	add_process("77", "kwin_wayland", "/dev/dri/card0");
	assert_passes(GPU_LINE AUDIO_LINE "in_use = force\n");
	add_process("78", "wireplumber", "/dev/snd/controlC1");
	assert_refused(GPU_LINE AUDIO_LINE "in_use = force\n",
		       "is in use by wireplumber (pid 78), which has /dev/snd/controlC1 open: have "
		       "its sound settings leave that card alone (profile Off), or stop it first; "
		       "its driver would wait for that for ever, so in_use = force does not take "
		       "it\n");
}

/* No child of the card: one node for all of them */
static void who_computes_on_an_amd_card_is_named(void **state)
{
	(void)state;
	set_driver(GPU, "amdgpu");
	tree_link(host, "sys/bus/pci/drivers/amdgpu/" GPU, "../../devices/" GPU);
	add_process("77", "ollama", "/dev/kfd");
	assert_refused(GPU_LINE AUDIO_LINE,
		       "is in use by ollama (pid 77), which has /dev/kfd open: "
		       "stop it first\n");
	/* With another card it is told by the render node which one is meant */
	tree_link(host, "sys/bus/pci/drivers/amdgpu/0000:00:02.0", "../../devices/0000:00:02.0");
	assert_passes(GPU_LINE AUDIO_LINE);
}

/* By force it would lose its data, as the host would lose that of a mounted disk */
static void what_another_guest_has_open_is_not_taken_by_force(void **state)
{
	static const struct {
		const char *comm, *file;
		bool refused;
	} rows[] = {
		{ "qemu-system-x86", "/dev/sdb1", true },
		{ "qemu-system-x86", "/dev/bus/usb/001/004", true },
		{ "kvm", "/dev/sdb", true },
		{ "smartd", "/dev/sdb", false },
		{ "qemu-system-x86", "/dev/hidraw3", false },
	};

	(void)state;
	add_disk();
	add_below(USB, "usb1/1-4", "usb", "bus/usb/001/004");
	add_below(USB, "usb1/1-4/1-4:1.0", "usb", NULL);
	add_below(USB, "usb1/1-1/hidraw/hidraw3", "hidraw", "hidraw3");
	tree_file(host, DEVICES USB "/usb1/1-4/busnum", "1\n");
	tree_file(host, DEVICES USB "/usb1/1-4/devnum", "4\n");
	add_process("70", "smartd", "/dev/sdb");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char line[256];

		add_process("4242", rows[i].comm, rows[i].file);
		(void)snprintf(line, sizeof(line),
			       " has a disk or USB device that %s (pid 4242) has open: shut that "
			       "guest down first; its data would be lost, so in_use = force does "
			       "not take it\n",
			       rows[i].comm);
		if (rows[i].refused)
			assert_refused(USB_DISK "in_use = force\n", line);
		else
			assert_passes(USB_DISK "in_use = force\n");
		remove_process_fd("4242");
	}
}

/* Its hook is this process */
static void write_claim_of_a_start(const char *vfio)
{
	struct process self;
	char text[1024];

	assert_int_equal(process_identify(-1, getpid(), &self), 0);
	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = preparing\n"
		       "owner = %d %llu\nrequired = vfio\n[vfio]\n%s",
		       (int)self.pid, self.start_time, vfio);
	tree_file(host, CLAIM_DIR "/claim.ini", text);
}

static void keyboard_that_goes_along_is_told_but_not_refused(void **state)
{
	static const struct {
		const char *name, *events, *title;
	} inputs[] = {
		{ "input5", "120013\n", "Lab Keyboard\n" },
		{ "input6", "17\n", "Lab Mouse\n" },
	};
	static const char told[] =
		"usher: win11: with 0000:04:00.0 the keyboard Lab Keyboard goes to the guest, and "
		"is not there for the host\n";

	(void)state;
	set_driver(USB, "xhci_hcd");
	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "usb1/1-1/input/%s", inputs[i].name);
		add_below(USB, path, "input", NULL);
		(void)snprintf(path, sizeof(path), "sys/class/input/%s/capabilities/ev",
			       inputs[i].name);
		tree_file(host, path, inputs[i].events);
		(void)snprintf(path, sizeof(path), "sys/class/input/%s/name", inputs[i].name);
		tree_file(host, path, inputs[i].title);
	}
	write_claim(UUID, USB_DISK);
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, told);
	/* `usher plan` runs both, and so does a start: apply tells */
	assert_int_equal(helper_run("--dry-run", "check"), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(helper_run("--dry-run", "apply"), HELPER_DONE);
	assert_non_null(strstr(said, told));
	write_claim_of_a_start(USB_DISK);
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, told);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, "");
}

/* Sound servers end a little after the desktop that usher-seat has ended */
static void users_of_an_ended_desktop_get_a_moment(void **state)
{
	pid_t pid;

	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_process("812", "Xorg", "/dev/dri/card0");
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n");
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)poll(NULL, 0, 200);
		remove_process_fd("812");
		_exit(0);
	}
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(undo(), HELPER_DONE);
}

/* As udev runs them for a device that has just come: blkid in the worker itself, alsactl beside it */
static void add_udevs_process(const char *pid, const char *comm, const char *open_file)
{
	char path[64];

	add_process(pid, comm, open_file);
	(void)snprintf(path, sizeof(path), "proc/%s/cgroup", pid);
	tree_file(host, path, "0::/system.slice/systemd-udevd.service/udev\n");
}

/* Return: of the process that closes a process's file a little later */
static pid_t goes_soon(const char *pid)
{
	pid_t child;

	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)poll(NULL, 0, 200);
		remove_process_fd(pid);
		_exit(0);
	}
	return child;
}

/* Who has it for the moment after the device is back on its driver: a start right after an end */
static void programs_of_udevs_are_waited_for(void **state)
{
	static const struct {
		const char *comm, *open_file, *claim;
	} rows[] = {
		{ "alsactl", "/dev/snd/controlC1", GPU_LINE AUDIO_LINE },
		{ "(udev-worker)", "/dev/sdb1", USB_DISK },
		{ "mdadm", "/dev/sdb1", PART },
		{ "(udev-worker)", "/dev/dri/renderD129",
		  GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n" },
	};
	static int (*const verbs[])(void) = { check, apply };

	(void)state;
	add_disk();
	add_below(AUDIO, "sound/card1/controlC1", "sound", "snd/controlC1");
	add_below(GPU, "drm/renderD129", "drm", "dri/renderD129");
	for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(verbs); i++) {
		pid_t child;

		add_udevs_process("4242", rows[i / 2].comm, rows[i / 2].open_file);
		write_claim(UUID, rows[i / 2].claim);
		child = goes_soon("4242");
		assert_int_equal(verbs[i % 2](), HELPER_DONE);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(undo(), HELPER_DONE);
	}
}

/*
 * Another guest's monitors are looked for on all buses of the host's, those of a card that this
 * guest is to have too, also after the start of that one: the two are started one after the other
 */
static void another_guests_look_for_monitors_is_waited_for(void **state)
{
	static const char *const claims[] = {
		GPU_LINE AUDIO_LINE,
		GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n",
		GPU_LINE AUDIO_LINE "in_use = force\n",
	};
	static int (*const verbs[])(void) = { check, apply };

	(void)state;
	add_below(GPU, "i2c-4/i2c-dev/i2c-4", "i2c-dev", "i2c-4");
	for (size_t i = 0; i < ARRAY_SIZE(claims) * ARRAY_SIZE(verbs); i++) {
		pid_t child;

		add_process("4242", "usher-display", "/dev/i2c-4");
		tree_file(host, "proc/4242/cgroup", "0::/system.slice/libvirtd.service\n");
		write_claim(UUID, claims[i / 2]);
		child = goes_soon("4242");
		assert_int_equal(verbs[i % 2](), HELPER_DONE);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(undo(), HELPER_DONE);
	}
}

static void look_for_monitors_that_hangs_is_refused_with_its_cure(void **state)
{
	(void)state;
	add_below(GPU, "i2c-4/i2c-dev/i2c-4", "i2c-dev", "i2c-4");
	add_process("4242", "usher-display", "/dev/i2c-4");
	tree_file(host, "proc/4242/cgroup", "0::/system.slice/libvirtd.service\n");
	assert_refused(GPU_LINE AUDIO_LINE,
		       "is in use by usher-display (pid 4242), which has /dev/i2c-4 open: start "
		       "the guest again in a moment; if that process stays, its monitor does not "
		       "answer: unplug it and plug it in again first");
}

/* Found with the device open, and not there any more to say whose it was */
static void program_that_ends_while_it_is_looked_at_is_in_nobodys_way(void **state)
{
	pid_t child;

	(void)state;
	add_disk();
	add_udevs_process("4242", "sleep", "/dev/sdb1");
	assert_int_equal(unlinkat(host->rootfd, "proc/4242/comm", 0), 0);
	assert_int_equal(unlinkat(host->rootfd, "proc/4242/cgroup", 0), 0);
	write_claim(UUID, USB_DISK);
	child = goes_soon("4242");
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void program_of_udevs_that_does_not_go_is_refused_in_time(void **state)
{
	static const char *const claims[] = { USB_DISK, USB_DISK
					      "[seat]\nrelease = yes\ndevice = " USB "\n" };
	long long start;

	(void)state;
	add_disk();
	add_udevs_process("4242", "(udev-worker)", "/dev/sdb1");
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		start = now_ms();
		assert_refused(claims[i],
			       "is in use by (udev-worker) (pid 4242), which has /dev/sdb1 open: "
			       "wait until udev is done with it (udevadm settle), or stop it "
			       "first\n");
		/* A third of the time there is, each */
		assert_in_range(now_ms() - start, 1900, 6000);
	}
	assert_refused(PART, "is written by (udev-worker) (pid 4242): both would write to it; ");
	/* Beside one who stays there is nothing to wait for */
	add_process("4243", "mpv", "/dev/sdb1");
	start = now_ms();
	write_claim(UUID, USB_DISK "timeout_ms = 30000\n");
	assert_int_equal(apply(), HELPER_FAILED);
	assert_true(now_ms() - start < 2000);
	assert_non_null(strstr(said, "is in use by (udev-worker) (pid 4242), which has /dev/sdb1 "
				     "open, and by mpv (pid 4243): stop it first\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		uses_test(member_of_a_stopped_stack_is_refused_with_what_takes_it_apart),
		uses_test(disk_under_a_loop_device_is_refused),
		uses_test(partition_on_a_loop_device_on_another_one_is_refused),
		uses_test(second_device_of_a_mounted_btrfs_is_refused),
		uses_test(disk_that_only_the_kernel_knows_of_is_refused),
		uses_test(disk_that_cannot_be_opened_in_time_is_refused_by_name),
		uses_test(disk_that_a_process_has_open_is_refused),
		uses_test(disk_of_the_guest_that_the_host_uses_is_refused),
		uses_test(disk_of_the_guest_that_only_the_kernel_knows_of_is_refused),
		uses_test(disk_that_another_guest_writes_is_refused),
		uses_test(disk_that_is_not_there_is_libvirts_to_refuse),
		uses_test(malformed_disk_lines_are_refused),
		uses_test(nic_with_addresses_that_nobody_manages_is_refused),
		uses_test(nic_in_a_bridge_that_nobody_manages_is_refused),
		uses_test(nic_of_which_anything_is_set_that_nobody_manages_is_refused),
		uses_test(nic_that_networkmanager_has_up_without_a_profile_passes),
		uses_test(bridge_on_a_managed_nic_must_be_managed_too),
		uses_test(nic_with_another_guests_macvtap_is_refused_by_force_too),
		uses_test(default_route_of_a_pppoe_session_is_the_nics),
		uses_test(default_route_of_an_open_vswitch_bridge_is_the_nics),
		uses_test(nic_in_another_network_namespace_is_refused_but_by_force),
		uses_test(nic_that_a_network_manager_configures_passes),
		uses_test(default_route_is_refused_whoever_manages_it_and_by_force_too),
		uses_test(nic_that_networkmanager_only_looks_at_is_refused),
		uses_test(card_with_virtual_functions_is_refused_by_its_links),
		uses_test(card_with_a_mediated_device_is_refused),
		uses_test(what_another_guest_has_open_is_not_taken_by_force),
		uses_test(keyboard_that_goes_along_is_told_but_not_refused),
		uses_test(users_of_an_ended_desktop_get_a_moment),
		uses_test(programs_of_udevs_are_waited_for),
		uses_test(another_guests_look_for_monitors_is_waited_for),
		uses_test(look_for_monitors_that_hangs_is_refused_with_its_cure),
		uses_test(program_that_ends_while_it_is_looked_at_is_in_nobodys_way),
		uses_test(program_of_udevs_that_does_not_go_is_refused_in_time),
		uses_test(every_kind_of_node_that_a_process_has_open_is_named),
		uses_test(node_that_is_not_at_its_path_is_sought_by_its_number),
		uses_test(input_that_a_desktop_has_open_passes),
		uses_test(sound_card_in_use_is_not_taken_by_force),
		uses_test(who_computes_on_an_amd_card_is_named),
	};

	return cmocka_run_group_tests_name("vfio/uses", tests, NULL, NULL);
}
