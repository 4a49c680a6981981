#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/disks.bats - no disk goes to a guest while the host, or another guest, is on it

load ../guest/lib

setup() {
	disk=/dev/nvme0n1
	common_setup
}

teardown() {
	[[ -z ${holder-} ]] || kill "$holder" 2>/dev/null || true
	swapoff "$disk" 2>/dev/null || true
	umount /mnt 2>/dev/null || true
	vgchange -qq -an lab 2>/dev/null || true
	mdadm --quiet --stop /dev/md0 2>/dev/null || true
	[[ -z ${loop-} ]] || losetup -d "$loop" 2>/dev/null || true
	common_teardown
	wait_for 10 test -b "$disk"
	wipefs -qa "$disk" || true
}

# block_xml PATH [MORE] - the host's disk, without PCI
block_xml() {
	printf "<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='%s'/>" "$1"
	printf "<target dev='vdb' bus='virtio'/>%s</disk>\n" "${2-}"
}

# libvirt gives a disk to QEMU's user, and back to root's group
disk_is_the_hosts() {
	chgrp disk "$disk"
}

# refused_with TEXT - the guest win11 is, and that is part of the one line it says
refused_with() {
	run virsh start win11
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: win11: "
	assert_contains "$output" "$1"
}

@test "an NVMe disk is refused while it is mounted, and swap, and goes when it is free" {
	guest_define win11 device="$NVME" memory=32
	policy win11
	mkfs.ext4 -q "$disk"
	mount "$disk" /mnt
	refused_with "$NVME (Red Hat, Inc. QEMU NVM Express Controller) holds nvme0n1, mounted on /mnt: unmount it first"
	umount /mnt
	mkswap -q "$disk"
	swapon "$disk"
	refused_with "holds nvme0n1, swap of the host: swapoff /dev/nvme0n1 first"
	swapoff "$disk"
	wipefs -qa "$disk"
	guest_start win11
	assert_equal "$(driver_of "$NVME")" vfio-pci
	guest_destroy win11
	host_unchanged 30
}

@test "an NVMe disk that libvirt hands over goes and comes back" {
	# libvirt's AppArmor profile has vfio's nodes only with a PCI device beside the disk
	guest_define win11 nvme="$NVME" device="$USB" memory=32
	policy win11
	guest_start win11
	assert_equal "$(driver_of "$NVME")" vfio-pci
	guest_destroy win11
	host_unchanged 30
}

@test "what only the kernel knows of a disk is asked of the kernel" {
	guest_define win11 device="$NVME" memory=32
	policy win11 '[vfio]' 'in_use = force'
	# O_EXCL: as md, ZFS and bcache hold their members
	perl -MFcntl -e "sysopen(D, '$disk', O_RDONLY | O_EXCL) or die; sleep 60" 3>&- &
	holder=$!
	sleep 1
	refused_with "holds nvme0n1, which the kernel keeps for another use"
	policy win11
	refused_with "in use by perl (pid $holder), which has $disk open: stop it first"
	kill "$holder"
	wait "$holder" || true
	host_unchanged
}

@test "a disk without PCI is refused while the host has it mounted, by whatever name" {
	guest_define win11 memory=32 extra="$(block_xml /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_lab-nvme)"
	policy win11
	mkfs.ext4 -q "$disk"
	udevadm settle
	mount "$disk" /mnt
	refused_with "disk /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_lab-nvme of the guest's XML holds nvme0n1, mounted on /mnt: unmount it first: both would write to it"
	umount /mnt
	guest_start win11
	guest_destroy win11
	# Reading does no harm
	mount -o ro "$disk" /mnt
	guest_define win11 memory=32 uuid="$(guest_uuid win11)" extra="$(block_xml "$disk" '<readonly/>')"
	guest_start win11
	guest_destroy win11
	umount /mnt
	disk_is_the_hosts
	host_unchanged 30
}

@test "a disk that another guest writes is refused, whether usher knows that guest or not" {
	guest_define other memory=32 extra="$(block_xml "$disk")"
	guest_define win11 memory=32 extra="$(block_xml /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_lab-nvme)"
	policy win11
	guest_start other
	refused_with "disk /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_lab-nvme of the guest's XML is written by qemu-system-x86 (pid $(guest_pid other))"
	guest_destroy other
	policy other
	guest_start other
	start_refused win11 "usher: win11: disk /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_lab-nvme is held by guest other: shut that guest down first, or take it out of this guest's XML"
	guest_destroy other
	guest_start win11
	guest_destroy win11
	disk_is_the_hosts
	host_unchanged 30
}

# forced_too TEXT - refused, and so it is with in_use = force
forced_too() {
	refused_with "$1"
	policy win11 '[vfio]' 'in_use = force'
	refused_with "$1"
	policy win11
}

@test "a disk in LVM is refused by its volume, and once it has come back, too: LVM has taken it again" {
	local part="holds nvme0n1, part of LVM's lab-data: vgchange -an lab first"
	guest_define win11 device="$NVME" memory=32
	guest_define other memory=32 extra="$(block_xml "$disk")"
	policy win11
	policy other
	vgcreate -qq lab "$disk"
	lvcreate -qq -y -l 1 -n data lab
	forced_too "$NVME (Red Hat, Inc. QEMU NVM Express Controller) $part"
	assert_contains "$(start_fails other)" "disk $disk of the guest's XML $part: both would write to it"
	vgchange -qq -an lab
	udevadm settle
	guest_start win11
	assert_equal "$(driver_of "$NVME")" vfio-pci
	guest_destroy win11
	wait_for 60 test -e /dev/lab/data
	refused_with "$part; give_back = vfio in [vfio] keeps the host from taking it again"
	vgchange -qq -an lab
	vgremove -qq -f lab
	pvremove -qq "$disk"
	host_unchanged 30
}

@test "a disk in an md array, and one of several of a btrfs, is refused by its name" {
	truncate -s 64M "$BATS_TEST_TMPDIR/first"
	modprobe -a raid1 loop btrfs
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/first")
	# What the kernel loads with the first mount stays
	mkfs.btrfs -q -M "$loop"
	mount "$loop" /mnt
	umount /mnt
	host_before
	guest_define win11 device="$NVME" memory=32
	policy win11
	mdadm --quiet --create /dev/md0 --run --metadata=1.2 --level=1 --raid-devices=2 "$disk" missing
	forced_too "holds nvme0n1, part of md0: mdadm --stop /dev/md0 first"
	mkfs.ext4 -q /dev/md0
	mount /dev/md0 /mnt
	forced_too "holds md0, mounted on /mnt: unmount it first"
	umount /mnt
	mdadm --quiet --stop /dev/md0
	mdadm --zero-superblock "$disk"
	wipefs -qa "$disk"
	# Who watches arrays has nobody to write to
	systemctl stop mdmonitor.service 2>/dev/null || true
	systemctl reset-failed mdmonitor.service 2>/dev/null || true
	# The mount names the first
	mkfs.btrfs -q -f -M -m single -d single "$loop" "$disk"
	btrfs device scan "$loop" "$disk"
	mount "$loop" /mnt
	forced_too "holds nvme0n1, a member of the btrfs mounted on /mnt: unmount it first"
	umount /mnt
	wipefs -qa "$disk"
	guest_start win11
	guest_destroy win11
	host_unchanged 30
}

@test "a disk under a loop device is refused while that is set up, and by what is mounted of it" {
	modprobe loop
	host_before
	guest_define win11 device="$NVME" memory=32
	guest_define other memory=32 extra="$(block_xml "$disk")"
	policy win11
	policy other
	mkfs.ext4 -q "$disk"
	loop=$(losetup -f --show "$disk")
	mount "$loop" /mnt
	forced_too "holds ${loop#/dev/}, mounted on /mnt: unmount it first"
	assert_contains "$(start_fails other)" "disk $disk of the guest's XML holds ${loop#/dev/}, mounted on /mnt: unmount it first: both would write to it"
	umount /mnt
	forced_too "holds nvme0n1, the backing store of ${loop#/dev/}: losetup -d $loop first"
	losetup -d "$loop"
	wait_for 10 test ! -e "/sys/block/${loop#/dev/}/loop/backing_file"
	wipefs -qa "$disk"
	guest_start win11
	assert_equal "$(driver_of "$NVME")" vfio-pci
	guest_destroy win11
	host_unchanged 30
}
