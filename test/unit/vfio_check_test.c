/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_check_test.c - each refusal before anything is touched, word for word */
/* wraps: attr_write module_load process_identify process_alive */
/* wraps: journal_add journal_undone state_write state_remove */
#include "vfio_host.h"

#define KEEPS "; give_back = vfio in [vfio] keeps the host from taking it again\n"

/* As libpci's list of names has them; without the list the ids stand there */
static const char *named(const char *addr, unsigned int vendor, unsigned int device)
{
	static char text[320];
	const struct pciid id = { vendor, device };
	struct pciaddr parsed;

	assert_int_equal(pciaddr_parse(addr, &parsed), 0);
	device_describe(host->rootfd, &parsed, &id, text, sizeof(text));
	return text;
}

/* Both verbs refuse, in the same words and without a write */
static void assert_refused(const char *claim, const char *fmt, const char *a, const char *b)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "usher: win11: ");

	/* The callers' own literals, each with two %s at most */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(line + len, sizeof(line) - (size_t)len, fmt, a, b);
#pragma GCC diagnostic pop
	write_claim(UUID, claim);
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(said, line);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said, line);
	assert_int_equal(kernel->writes, 0);
	assert_false(claim_has("vfio.journal"));
}

static void devices_that_can_be_passed_pass(void **state)
{
	(void)state;
	write_claim(UUID, GPU_LINE AUDIO_LINE NIC_LINE NVME_LINE USB_LINE);
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
}

static void missing_device_is_refused(void **state)
{
	(void)state;
	assert_refused("device = 0000:09:00.0 10de:1b80 hostdev managed\n",
		       "0000:09:00.0 is not there: this host has no PCI device of that address "
		       "(lspci -D lists them): correct it in the domain or the policy\n",
		       "", "");
}

static void wrong_card_is_never_passed(void **state)
{
	char wanted[260];
	const struct pciid id = { 0x10de, 0x1b06 };

	(void)state;
	pci_describe(&id, wanted, sizeof(wanted));
	assert_refused("device = " NIC " 10de:1b06 hostdev managed\n",
		       "%s [8086:10d3] is not the expected %s [10de:1b06]: the firmware has "
		       "renumbered the devices; correct the address in the domain or the policy\n",
		       named(NIC, 0x8086, 0x10d3), wanted);
}

static void disk_with_another_serial_is_refused(void **state)
{
	(void)state;
	tree_file(host, DEVICES NVME "/nvme/nvme0/serial", "S3X9NX0K       \n");
	write_claim(UUID, "device = " NVME " 144d:a808 nvme unmanaged serial=S3X9NX0K\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_refused("device = " NVME " 144d:a808 nvme unmanaged serial=S3X9%20NX1K\n",
		       "%s has serial S3X9NX0K, not the expected S3X9 NX1K: it is another disk of "
		       "the same kind; correct the address or expect in the policy\n",
		       named(NVME, 0x144d, 0xa808), "");
}

static void a_serial_that_cannot_be_asked_for_is_refused(void **state)
{
	char line[1024];

	(void)state;
	(void)snprintf(
		line, sizeof(line),
		"usher: win11: %s cannot be asked for its serial, which shall be S3X9NX0K: it "
		"is on vfio-pci, and only an NVMe disk on nvme tells: bind it to nvme, or "
		"take the serial out of expect in the policy\n",
		named(NVME, 0x144d, 0xa808));
	set_driver(NVME, "vfio-pci");
	write_claim(UUID, "device = " NVME " 144d:a808 nvme unmanaged serial=S3X9NX0K\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(said, line);
	/* While the guest has it nobody can */
	tree_bytes(host, "proc/4242/cmdline", "qemu\0-uuid\0" UUID, sizeof("qemu\0-uuid\0" UUID));
	tree_file(host, "proc/4242/comm", "qemu");
	assert_int_equal(check(), HELPER_DONE);
}

static void bridge_is_refused(void **state)
{
	(void)state;
	assert_refused("device = 0000:00:01.0 8086:1901 policy unmanaged\n",
		       "%s is a bridge, which no guest can have: take it out of the domain or the "
		       "policy; the device behind it is what to pass\n",
		       named("0000:00:01.0", 0x8086, 0x1901), "");
}

static void iommu_that_is_off_is_refused_with_its_cure(void **state)
{
	(void)state;
	add_device("0000:05:00.0", "8086:10d3", "0x020000", -1);
	assert_refused("device = 0000:05:00.0 8086:10d3 hostdev managed\n",
		       "0000:05:00.0 has no IOMMU group though the IOMMU is on: this device cannot "
		       "be isolated; use another slot, or another device\n",
		       "", "");
	assert_int_equal(renameat(host->rootfd, "sys/kernel/iommu_groups", host->rootfd, "gone"),
			 0);
	assert_refused("device = 0000:05:00.0 8086:10d3 hostdev managed\n",
		       "0000:05:00.0 has no IOMMU group, the IOMMU is off: switch on VT-d (Intel) "
		       "or IOMMU (AMD) in the firmware and boot the host with intel_iommu=on (AMD "
		       "needs no option)\n",
		       "", "");
}

static void group_member_of_the_same_slot_that_is_not_claimed_is_named(void **state)
{
	(void)state;
	assert_refused(GPU_LINE,
		       "%s shares IOMMU group 14 with 0000:01:00.0, of the same slot, and is on "
		       "the host's driver snd_hda_intel: pass it to the guest as well\n",
		       named(AUDIO, 0x10de, 0x10f0), "");
}

static void group_member_of_another_slot_is_named_with_its_cure(void **state)
{
	(void)state;
	add_device("0000:02:01.0", "8086:10d3", "0x020000", 15);
	set_driver("0000:02:01.0", "e1000e");
	assert_refused(NIC_LINE,
		       "%s shares IOMMU group 15 with 0000:02:00.0, sits in another slot and is on "
		       "the host's driver e1000e, so it cannot simply be passed along: put one of "
		       "the two into another slot, switch on ACS in the firmware, or pass both to "
		       "the guest\n",
		       named("0000:02:01.0", 0x8086, 0x10d3), "");
}

/* An LPC bridge is no bridge to another bus: its driver counts */
static void lpc_bridge_with_a_driver_is_in_the_way(void **state)
{
	(void)state;
	add_device("0000:02:00.7", "8086:9d84", "0x060100", 15);
	write_claim(UUID, NIC_LINE);
	assert_int_equal(check(), HELPER_DONE);
	set_driver("0000:02:00.7", "lpc_ich");
	assert_refused(
		NIC_LINE,
		"%s shares IOMMU group 15 with 0000:02:00.0 and is on the host's driver "
		"lpc_ich, and a bridge must stay with the host: put 0000:02:00.0 into another "
		"slot, or switch on ACS in the firmware\n",
		named("0000:02:00.7", 0x8086, 0x9d84), "");
}

/* ABI: driver_managed_dma, Linux 5.19: pcieport has it, shpchp and yenta_cardbus have not */
static void bridge_to_another_bus_is_in_the_way_by_its_driver(void **state)
{
	static const char bridge[] = "0000:02:00.7";
	static const struct {
		const char *class, *driver;
	} rows[] = { { "0x060700", "yenta_cardbus" }, { "0x060400", "shpchp" } };

	(void)state;
	add_device(bridge, "1180:0476", "0x060700", 15);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(host, DEVICES "0000:02:00.7/class", rows[i].class);
		set_driver(bridge, "");
		write_claim(UUID, NIC_LINE);
		assert_int_equal(check(), HELPER_DONE);
		set_driver(bridge, "pcieport");
		assert_int_equal(check(), HELPER_DONE);
		set_driver(bridge, rows[i].driver);
		assert_int_equal(check(), HELPER_FAILED);
		assert_non_null(strstr(said, " shares IOMMU group 15 with 0000:02:00.0 and is on "
					     "driver "));
		assert_non_null(strstr(said, rows[i].driver));
		assert_non_null(strstr(said, "take it from that driver (echo 0000:02:00.7 > "
					     "/sys/bus/pci/drivers/"));
	}
}

static void group_members_that_do_no_dma_are_no_matter(void **state)
{
	static const char *const drivers[] = { "", "vfio-pci", "pci-stub" };

	(void)state;
	write_claim(UUID, GPU_LINE);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		set_driver(AUDIO, drivers[i]);
		assert_int_equal(check(), HELPER_DONE);
	}
	set_driver(AUDIO, "mlx5_vfio_pci");
	assert_int_equal(check(), HELPER_FAILED);
	tree_dir(host, DEVICES AUDIO "/vfio-dev/vfio0");
	assert_int_equal(check(), HELPER_DONE);
}

static void kernel_without_vfio_pci_is_refused_by_check(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/vfio-pci", AT_REMOVEDIR), 0);
	/* No list of modules: who knows; loading it will tell */
	assert_int_equal(check(), HELPER_DONE);
	tree_file(host, "proc/sys/kernel/osrelease", "6.12.1\n");
	assert_int_equal(check(), HELPER_DONE);
	tree_file(host, "lib/modules/6.12.1/modules.dep", "kernel/net/ipv6/ipv6.ko.xz:\n");
	assert_int_equal(check(), HELPER_DONE);
	tree_file(host, "lib/modules/6.12.1/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: kernel 6.12.1 has no driver vfio-pci: install the "
				  "distribution's full set of modules for it, or boot the kernel "
				  "that is installed\n");
	tree_file(host, "lib/modules/6.12.1/modules.builtin",
		  "kernel/drivers/vfio/pci/vfio-pci.ko\n");
	assert_int_equal(check(), HELPER_DONE);
	tree_file(host, "lib/modules/6.12.1/modules.builtin", "");
	tree_file(host, "lib/modules/6.12.1/modules.dep",
		  "kernel/drivers/vfio/pci/vfio_pci.ko.zst: kernel/drivers/vfio/vfio.ko.zst\n");
	assert_int_equal(check(), HELPER_DONE);
}

static void device_in_another_guests_qemu_is_refused(void **state)
{
	(void)state;
	set_driver(NIC, "vfio-pci");
	add_process("4242", "qemu-system-x86", "/dev/vfio/15");
	assert_refused(NIC_LINE,
		       "%s is in use by qemu-system-x86 (pid 4242), which has /dev/vfio/15 open: "
		       "end that guest first\n",
		       named(NIC, 0x8086, 0x10d3), "");
	/* Not so when it is this guest's own: apply runs in `reconnect` too */
	tree_bytes(host, "proc/4242/cmdline", "qemu\0-uuid\0" UUID, sizeof("qemu\0-uuid\0" UUID));
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
}

/* --- What the host does with it ---------------------------------------------------------------- */

static void add_disk(const char *addr, const char *below, const char *dev)
{
	char path[256];

	add_below(addr, below, "block", NULL);
	(void)snprintf(path, sizeof(path), "sys/class/block/%s/dev", strrchr(below, '/') + 1);
	tree_file(host, path, dev);
}

static void add_nvme(void)
{
	add_disk(NVME, "nvme/nvme0/nvme0n1", "259:0\n");
	add_disk(NVME, "nvme/nvme0/nvme0n1/nvme0n1p2", "259:2\n");
}

static void disk_that_is_mounted_is_refused(void **state)
{
	(void)state;
	add_nvme();
	tree_file(host, "proc/self/mountinfo",
		  "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		  "30 22 259:2 / /srv/my\\040data rw,noatime shared:7 - xfs /dev/nvme0n1p2 rw\n");
	assert_refused(NVME_LINE,
		       "%s holds nvme0n1p2, mounted on /srv/my\\040data: unmount it first" KEEPS,
		       named(NVME, 0x144d, 0xa808), "");
}

static void disk_that_is_not_mounted_passes(void **state)
{
	(void)state;
	add_nvme();
	tree_file(host, "proc/self/mountinfo", "22 1 259:20 / / rw - ext4 /dev/nvme0n1p20 rw\n");
	tree_file(host, "proc/swaps",
		  "Filename Type Size Used Priority\n"
		  "/dev/nvme0n1p21 partition 8 0 -2\n");
	write_claim(UUID, NVME_LINE);
	assert_int_equal(check(), HELPER_DONE);
}

/* btrfs has a device number of its own: its source tells */
static void btrfs_on_a_disk_is_found_by_its_source(void **state)
{
	(void)state;
	add_nvme();
	tree_file(host, "proc/self/mountinfo",
		  "22 1 0:31 /@home /home rw - btrfs /dev/nvme0n1p2 rw\n");
	assert_refused(NVME_LINE, "%s holds nvme0n1p2, mounted on /home: unmount it first" KEEPS,
		       named(NVME, 0x144d, 0xa808), "");
}

static void swap_on_a_disk_is_refused(void **state)
{
	(void)state;
	add_nvme();
	tree_file(host, "proc/swaps",
		  "Filename Type Size Used Priority\n"
		  "/dev/nvme0n1p2 partition 8388604 0 -2\n");
	assert_refused(NVME_LINE,
		       "%s holds nvme0n1p2, swap of the host: swapoff /dev/nvme0n1p2 first" KEEPS,
		       named(NVME, 0x144d, 0xa808), "");
}

static void mount_on_what_is_stacked_on_a_disk_is_refused(void **state)
{
	(void)state;
	add_nvme();
	tree_link(host, "sys/class/block/nvme0n1p2/holders/md0", "../../md0");
	tree_file(host, "sys/class/block/md0/dev", "9:0\n");
	tree_link(host, "sys/class/block/md0/holders/dm-3", "../../dm-3");
	tree_file(host, "sys/class/block/dm-3/dev", "253:3\n");
	tree_file(host, "proc/self/mountinfo",
		  "22 1 253:3 / /var rw - ext4 /dev/mapper/vg-var rw\n");
	assert_refused(NVME_LINE, "%s holds dm-3, mounted on /var: unmount it first" KEEPS,
		       named(NVME, 0x144d, 0xa808), "");
}

static void disk_behind_multipath_is_found(void **state)
{
	(void)state;
	add_disk(NVME, "nvme/nvme0/nvme0c0n1", "0:0\n");
	tree_link(host, "sys/class/block/nvme0n1/subsystem", "../../../class/block");
	tree_file(host, "sys/class/block/nvme0n1/dev", "259:0\n");
	tree_link(host, "sys/class/block/nvme0n1/nvme0n1p1/subsystem", "../../../../class/block");
	tree_file(host, "sys/class/block/nvme0n1p1/dev", "259:1\n");
	tree_file(host, "proc/self/mountinfo", "22 1 259:1 / /data rw - ext4 /dev/nvme0n1p1 rw\n");
	assert_refused(NVME_LINE, "%s holds nvme0n1p1, mounted on /data: unmount it first" KEEPS,
		       named(NVME, 0x144d, 0xa808), "");
}

static void disk_behind_a_usb_controller_is_found(void **state)
{
	(void)state;
	set_driver(USB, "xhci_hcd");
	add_disk(USB, "usb1/1-1/1-1.2/1-1.2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1",
		 "8:17\n");
	tree_file(host, "proc/self/mountinfo", "22 1 8:17 / /mnt rw - vfat /dev/sdb1 rw\n");
	assert_refused(USB_LINE, "%s holds sdb1, mounted on /mnt: unmount it first" KEEPS,
		       named(USB, 0x1033, 0x0194), "");
}

static void nic_with_the_default_route_is_refused(void **state)
{
	(void)state;
	add_below(NIC, "net/eth0", "net", NULL);
	tree_file(host, "proc/net/route",
		  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		  "eth1\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
	write_claim(UUID, NIC_LINE);
	assert_int_equal(check(), HELPER_DONE);
	tree_file(host, "proc/net/route",
		  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
	assert_refused(NIC_LINE,
		       "%s carries the host's default route on eth0: the host would lose its "
		       "network; give the host another way out first\n",
		       named(NIC, 0x8086, 0x10d3), "");
}

#define ZERO128 "00000000000000000000000000000000"

static void nic_under_a_bridge_with_the_ipv6_default_route_is_refused(void **state)
{
	(void)state;
	add_below(NIC, "net/eth0", "net", NULL);
	tree_link(host, "sys/class/net/eth0/upper_br0", "../br0");
	tree_dir(host, "sys/class/net/br0");
	tree_file(host, "proc/net/ipv6_route",
		  ZERO128 " 00 " ZERO128 " 00 fe800000000000000000000000000001 00000400 00000001 "
			  "00000000 00450003      br0\n");
	assert_refused(NIC_LINE,
		       "%s carries the host's default route on br0: the host would lose its "
		       "network; give the host another way out first\n",
		       named(NIC, 0x8086, 0x10d3), "");
}

static void gpu_that_a_process_has_open_is_refused_with_its_name(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_below(GPU, "drm/renderD128", "drm", "dri/renderD128");
	add_process("812", "Xorg", "/dev/dri/renderD128");
	assert_refused(
		GPU_LINE AUDIO_LINE,
		"%s is in use by Xorg (pid 812), which has /dev/dri/renderD128 open: stop it "
		"first\n",
		named(GPU, 0x10de, 0x1b80), "");
}

static void three_users_of_a_device_are_named_and_the_others_counted(void **state)
{
	static const char *const pids[] = { "1001", "1002", "1003", "1004", "1005", "1006" };

	(void)state;
	add_below(GPU, "drm/renderD128", "drm", "dri/renderD128");
	add_process("812", "Xorg", "/dev/dri/renderD128");
	add_process(pids[0], "firefox", "/dev/dri/renderD128");
	write_claim(UUID, GPU_LINE AUDIO_LINE);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by Xorg (pid 812), which has /dev/dri/renderD128 "
				     "open, and by firefox (pid 1001): stop it first\n"));
	for (size_t i = 1; i < ARRAY_SIZE(pids); i++)
		add_process(pids[i], "mpv", "/dev/dri/renderD128");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "open, and by firefox (pid 1001), mpv (pid 1002) and 4 "
				     "more: stop it first\n"));
}

#define STOP_SEAT                                                                                  \
	"set in_use = stop-seat in [vfio] of the policy, which ends that desktop, or end it "      \
	"yourself first\n"

/* To stop a compositor is no cure: what has it started would start it again */
static void desktop_on_a_second_card_is_refused_with_what_ends_it(void **state)
{
	static const struct {
		const char *comm, *cgroup, *more;
		bool desktop;
	} rows[] = {
		{ "kwin_wayland",
		  "0::/user.slice/user-1000.slice/user@1000.service/session.slice/kwin.service\n",
		  "", true },
		{ "sway", "0::/user.slice/user-1000.slice/session-2.scope\n", "", true },
		{ "Xorg", "0::/system.slice/lightdm.service\n", "", true },
		{ "plymouthd", "0::/system.slice/plymouth-start.service\n", "", false },
		/* Stopped as it is, and still there */
		{ "sway", "0::/user.slice/user-1000.slice/session-2.scope\n",
		  "in_use = stop-seat\n", false },
	};

	(void)state;
	tree_link(host, "etc/systemd/system/display-manager.service",
		  "/usr/lib/systemd/system/lightdm.service");
	add_below(GPU, "drm/card1", "drm", "dri/card1");
	add_below(GPU, "drm/renderD129", "drm", "dri/renderD129");
	/* Who computes for the desktop comes first */
	add_process("700", "mpv", "/dev/dri/renderD129");
	tree_file(host, "proc/700/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char claim[256], line[256];

		add_process("2100", rows[i].comm, "/dev/dri/card1");
		tree_file(host, "proc/2100/cgroup", rows[i].cgroup);
		(void)snprintf(claim, sizeof(claim), GPU_LINE AUDIO_LINE "%s", rows[i].more);
		(void)snprintf(line, sizeof(line),
			       " is in use by mpv (pid 700), which has /dev/dri/renderD129 open, "
			       "and by %s (pid 2100): %s",
			       rows[i].comm, rows[i].desktop ? STOP_SEAT : "stop it first\n");
		write_claim(UUID, claim);
		assert_int_equal(check(), HELPER_FAILED);
		assert_non_null(strstr(said, line));
		remove_process_fd("2100");
	}
}

/* It has the card open for the compositor: that is who uses it */
static void logind_is_named_only_where_it_is_alone(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_process("612", "systemd-logind", "/dev/dri/card0");
	add_process("2100", "gnome-shell", "/dev/dri/card0");
	write_claim(UUID, GPU_LINE AUDIO_LINE);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by gnome-shell (pid 2100), which has "
				     "/dev/dri/card0 open: " STOP_SEAT));
	remove_process_fd("2100");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by systemd-logind (pid 612), which has "
				     "/dev/dri/card0 open: end the login session that it keeps "
				     "that for (loginctl) first\n"));
}

/* One line for the user, from the one that knows what to do about it */
static void screen_on_a_gpu_is_left_to_usher_seat_in_check_only(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_process("812", "Xorg", "/dev/dri/card0");
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = auto\ndevice = " GPU "\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by Xorg (pid 812)"));
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = no\ndevice = " GPU "\n");
	assert_int_equal(check(), HELPER_FAILED);
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = auto\ndevice = " NIC "\n");
	assert_int_equal(check(), HELPER_FAILED);
}

/* It would outlive the desktop: that is not ended for a start that is refused all the same */
static void service_that_computes_on_the_card_is_refused_before_the_seat_is_ended(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_below(GPU, "drm/renderD128", "drm", "dri/renderD128");
	add_process("812", "Xorg", "/dev/dri/card0");
	tree_file(host, "proc/812/cgroup", "0::/system.slice/lightdm.service\n");
	tree_link(host, "proc/812/fd/8", "/dev/dri/renderD128");
	add_process("900", "firefox", "/dev/dri/renderD128");
	tree_file(host, "proc/900/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	add_process("950", "ollama", "/dev/dri/renderD128");
	tree_file(host, "proc/950/cgroup", "0::/system.slice/ollama.service\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said,
			       " is in use by ollama (pid 950), which has /dev/dri/renderD128 "
			       "open: stop it first\n"));
}

static void add_session(const char *id, const char *uid, const char *rest)
{
	char path[64], text[256];

	(void)snprintf(path, sizeof(path), "run/systemd/sessions/%s", id);
	(void)snprintf(text, sizeof(text), "UID=%s\n%s", uid, rest);
	tree_file(host, path, text);
}

#define DESKTOP	   "TYPE=wayland\nCLASS=user\nSEAT=seat0\nSERVICE=gdm-password\n"
#define SSH_LOGIN  "TYPE=tty\nCLASS=user\nSERVICE=sshd\n"
#define TEXT_LOGIN "TYPE=tty\nCLASS=user\nSEAT=seat0\nSERVICE=login\n"

/* Who computes on the card, in the slice or scope, beside the desktop of session 2 */
static void who_outlives_the_desktop_is_refused_before_it_is_ended(void **state)
{
	static const struct {
		const char *cgroup;
		bool stays;
	} rows[] = {
		{ "user.slice/user-1001.slice/session-5.scope", true },
		{ "user.slice/user-1000.slice/session-7.scope", true },
		{ "user.slice/user-1000.slice/session-8.scope", true },
		{ "user.slice/user-1001.slice/user@1001.service/app.slice/x.service", true },
		{ "user.slice/user-1002.slice/user@1002.service/app.slice/x.service", true },
		{ "machine.slice/machine-qemu-2-other.scope", true },
		{ "lxc.payload.media/system.slice/ollama.service", true },
		{ "lxc.payload.media/user.slice/user-1000.slice/session-2.scope", true },
		{ "kubepods.slice/kubepods-besteffort.slice/cri-containerd-1.scope", true },
		{ "docker/0123456789abcdef", true },
		/* systemd itself, which keeps what logind has open, and who is in no group */
		{ "init.scope", false },
		{ "", false },
		{ "user.slice/user-1000.slice/session-2.scope", false },
		{ "user.slice/user-1000.slice/user@1000.service/session.slice/x.service", false },
		{ "user.slice/user-120.slice/session-c1.scope", false },
		{ "user.slice/user-1003.slice/session-9.scope", false },
		{ "user.slice/x.scope", false },
	};

	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_below(GPU, "drm/renderD128", "drm", "dri/renderD128");
	add_session("2", "1000", DESKTOP);
	add_session("5", "1001", SSH_LOGIN);
	add_session("7", "1000", TEXT_LOGIN);
	add_session("8", "1000", "TYPE=wayland\nCLASS=user\nSEAT=seat1\n");
	add_session("9", "1003", TEXT_LOGIN);
	add_session("c1", "120", "TYPE=wayland\nCLASS=greeter\nSEAT=seat0\n");
	add_process("812", "gnome-shell", "/dev/dri/card0");
	tree_file(host, "proc/812/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	/* A compositor that was started from a text login ends with that one's session */
	add_process("813", "sway", "/dev/dri/card0");
	tree_file(host, "proc/813/cgroup", "0::/user.slice/user-1003.slice/session-9.scope\n");
	add_process("950", "python3", "/dev/dri/renderD128");
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "0::/%s\n", rows[i].cgroup);
		tree_file(host, "proc/950/cgroup", text);
		assert_int_equal(check(), rows[i].stays ? HELPER_FAILED : HELPER_DONE);
		if (rows[i].stays)
			assert_non_null(strstr(said, " is in use by python3 (pid 950), which has "
						     "/dev/dri/renderD128 open: stop it first\n"));
	}
}

/* Of several hierarchies systemd's own counts; without systemd nobody can tell */
static void groups_of_an_older_or_another_init_are_told_apart(void **state)
{
	static const struct {
		const char *cgroup;
		bool systemd, stays;
	} rows[] = {
		{ "12:pids:/docker/0\n1:name=systemd:/docker/0\n", true, true },
		{ "12:pids:/user.slice/x\n11:cpuset:/\n"
		  "1:name=systemd:/user.slice/user-1000.slice/session-2.scope\n0::/x\n",
		  true, false },
		{ "4:cpuset:/docker/0\n1:name=systemd:/system.slice/ollama.service\n0::/\n", true,
		  true },
		{ "0::/openrc.xdm\n", false, false },
	};

	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_below(GPU, "drm/renderD128", "drm", "dri/renderD128");
	add_process("812", "gnome-shell", "/dev/dri/card0");
	tree_file(host, "proc/812/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	add_session("2", "1000", DESKTOP);
	add_process("950", "python3", "/dev/dri/renderD128");
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(host, "proc/950/cgroup", rows[i].cgroup);
		if (!rows[i].systemd)
			assert_int_equal(unlinkat(host->rootfd, "run/systemd/system", AT_REMOVEDIR),
					 0);
		assert_int_equal(check(), rows[i].stays ? HELPER_FAILED : HELPER_DONE);
	}
}

/* What no desktop's end would change */
static void seats_card_that_cannot_go_is_refused_before_the_desktop_is_ended(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_process("812", "gnome-shell", "/dev/dri/card0");
	tree_file(host, "proc/812/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	write_claim(UUID, GPU_LINE AUDIO_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n");
	assert_int_equal(check(), HELPER_DONE);
	tree_link(host, DEVICES GPU "/virtfn0", "../0000:01:10.0");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, " has 1 virtual functions, which would go with it: "));
	assert_int_equal(unlinkat(host->rootfd, DEVICES GPU "/virtfn0", 0), 0);
	/* Another guest's, by vfio, is nobody's desktop */
	set_driver(GPU, "vfio-pci");
	add_process("900", "qemu-system-x86", "/dev/vfio/14");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, " is in use by qemu-system-x86 (pid 900), which has "
				     "/dev/vfio/14 open: end that guest first\n"));
}

/* The sound server ends with the session: only a service of the host's outlives it */
static void sound_beside_a_desktop_that_is_to_end_is_left_to_it(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_below(AUDIO, "sound/card1/controlC1", "sound", "snd/controlC1");
	add_process("1200", "wireplumber", "/dev/snd/controlC1");
	tree_file(host, "proc/1200/cgroup",
		  "0::/user.slice/user-1000.slice/user@1000.service/session.slice/"
		  "wireplumber.service\n");
	add_session("2", "1000", DESKTOP);
	write_claim(UUID, AUDIO_LINE GPU_LINE "[seat]\nrelease = yes\ndevice = " GPU "\n");
	/* No desktop on the card, none that ends */
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by wireplumber (pid 1200)"));
	add_process("812", "gnome-shell", "/dev/dri/card0");
	tree_file(host, "proc/812/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(apply(), HELPER_FAILED);
	add_process("900", "mpd", "/dev/snd/controlC1");
	tree_file(host, "proc/900/cgroup", "0::/system.slice/mpd.service\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by mpd (pid 900), which has /dev/snd/controlC1 "
				     "open: "));
	remove_process_fd("900");
	/* Nor where the seat is to be left alone */
	write_claim(UUID, AUDIO_LINE GPU_LINE "[seat]\nrelease = no\ndevice = " GPU "\n");
	assert_int_equal(check(), HELPER_FAILED);
}

static void sound_function_that_a_process_has_open_is_refused(void **state)
{
	(void)state;
	add_below(AUDIO, "sound/card1/controlC1", "sound", "snd/controlC1");
	add_process("1200", "pipewire", "/dev/snd/controlC1");
	assert_refused(GPU_LINE AUDIO_LINE,
		       "%s is in use by pipewire (pid 1200), which has /dev/snd/controlC1 open: "
		       "have its sound settings leave that card alone (profile Off), or stop it "
		       "first\n",
		       named(AUDIO, 0x10de, 0x10f0), "");
}

static void stack_without_an_end_is_refused_not_followed(void **state)
{
	_cleanup_node_list_ struct node_list below = { 0 };
	char use[256];

	(void)state;
	add_nvme();
	tree_link(host, "sys/class/block/nvme0n1/holders/nvme0n1", "../../nvme0n1");
	assert_int_equal(nodes_find(host->rootfd, NVME, &below), 0);
	assert_int_equal(holders_find(host->rootfd, NVME, &below, false, use, sizeof(use)), -ELOOP);
	write_claim(UUID, NVME_LINE);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "cannot look at 0000:03:00.0: Too many levels"));
}

static void device_that_is_not_there_has_nothing_below_it(void **state)
{
	_cleanup_node_list_ struct node_list below = { 0 };

	(void)state;
	assert_int_equal(nodes_find(host->rootfd, "0000:09:00.0", &below), -ENOENT);
}

/* --- Names ---------------------------------------------------------------------------------------- */

static void device_nobody_knows_is_called_by_its_ids(void **state)
{
	const struct pciid id = { 0xabab, 0x1234 }, of_nvidia = { 0x10de, 0xfffe };
	char text[260];

	(void)state;
	pci_describe(&id, text, sizeof(text));
	assert_string_equal(text, "abab:1234");
	pci_describe(&of_nvidia, text, sizeof(text));
	assert_string_equal(text, "NVIDIA Corporation 10de:fffe");
}

static void device_in_the_list_is_called_by_its_name(void **state)
{
	const struct pciid id = { 0x10de, 0x1b80 };
	char text[260];

	(void)state;
	pci_describe(&id, text, sizeof(text));
	assert_string_equal(text, "NVIDIA Corporation GP104 [GeForce GTX 1080]");
}

static void device_that_is_gone_is_called_by_its_address(void **state)
{
	const struct pciaddr addr = { 0, 9, 0, 0 };
	char text[260];

	(void)state;
	device_describe(host->rootfd, &addr, NULL, text, sizeof(text));
	assert_string_equal(text, "0000:09:00.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(devices_that_can_be_passed_pass),
		host_test(missing_device_is_refused),
		host_test(wrong_card_is_never_passed),
		host_test(disk_with_another_serial_is_refused),
		host_test(a_serial_that_cannot_be_asked_for_is_refused),
		host_test(bridge_is_refused),
		host_test(iommu_that_is_off_is_refused_with_its_cure),
		host_test(group_member_of_the_same_slot_that_is_not_claimed_is_named),
		host_test(group_member_of_another_slot_is_named_with_its_cure),
		host_test(lpc_bridge_with_a_driver_is_in_the_way),
		host_test(bridge_to_another_bus_is_in_the_way_by_its_driver),
		host_test(group_members_that_do_no_dma_are_no_matter),
		host_test(kernel_without_vfio_pci_is_refused_by_check),
		host_test(device_in_another_guests_qemu_is_refused),
		host_test(disk_that_is_mounted_is_refused),
		host_test(disk_that_is_not_mounted_passes),
		host_test(btrfs_on_a_disk_is_found_by_its_source),
		host_test(swap_on_a_disk_is_refused),
		host_test(mount_on_what_is_stacked_on_a_disk_is_refused),
		host_test(disk_behind_multipath_is_found),
		host_test(disk_behind_a_usb_controller_is_found),
		host_test(nic_with_the_default_route_is_refused),
		host_test(nic_under_a_bridge_with_the_ipv6_default_route_is_refused),
		host_test(gpu_that_a_process_has_open_is_refused_with_its_name),
		host_test(three_users_of_a_device_are_named_and_the_others_counted),
		host_test(desktop_on_a_second_card_is_refused_with_what_ends_it),
		host_test(logind_is_named_only_where_it_is_alone),
		host_test(screen_on_a_gpu_is_left_to_usher_seat_in_check_only),
		host_test(service_that_computes_on_the_card_is_refused_before_the_seat_is_ended),
		host_test(who_outlives_the_desktop_is_refused_before_it_is_ended),
		host_test(groups_of_an_older_or_another_init_are_told_apart),
		host_test(seats_card_that_cannot_go_is_refused_before_the_desktop_is_ended),
		host_test(sound_beside_a_desktop_that_is_to_end_is_left_to_it),
		host_test(sound_function_that_a_process_has_open_is_refused),
		host_test(stack_without_an_end_is_refused_not_followed),
		host_test(device_that_is_not_there_has_nothing_below_it),
		host_test(device_nobody_knows_is_called_by_its_ids),
		host_test(device_in_the_list_is_called_by_its_name),
		host_test(device_that_is_gone_is_called_by_its_address),
	};

	return cmocka_run_group_tests_name("vfio/check", tests, NULL, NULL);
}
