#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/lab.bats - the lab's machine is the host it claims to be

load ../guest/lib

setup() {
	:
}

teardown() {
	common_teardown
}

iommu_group() {
	local link
	link=$(readlink "/sys/bus/pci/devices/$1/iommu_group") && echo "${link##*/}"
}

@test "AppArmor enforces the daemon's profile, and the daemon runs in it" {
	local profile
	profile=$(cat "/proc/$(cat /run/libvirtd.pid)/attr/current")
	assert_contains "$profile" "(enforce)"
	run -0 aa-status --enforced
	((output > 0))
}

@test "the GPU shares its group with its audio function alone, and two devices of other slots share one" {
	assert_equal "$(iommu_group "$GPU")" "$(iommu_group "$AUDIO")"
	assert_equal "$(iommu_group "$SHARED_NIC")" "$(iommu_group "$SHARED_AUDIO")"
	[[ $(iommu_group "$GPU") != $(iommu_group "$NIC") ]]
}

@test "each device has its driver of the host" {
	assert_equal "$(driver_of "$HOST_GPU")" bochs-drm
	assert_equal "$(driver_of "$GPU")" bochs-drm
	assert_equal "$(driver_of "$AUDIO")" snd_hda_intel
	assert_equal "$(driver_of "$NIC")" e1000e
	assert_equal "$(driver_of "$USB")" xhci_hcd
	assert_equal "$(driver_of "$NVME")" nvme
}

@test "the installed hook is what libvirt runs" {
	[[ -x /etc/libvirt/hooks/qemu ]]
	assert_equal "$(readlink -f /etc/libvirt/hooks/qemu)" /usr/sbin/usher-hook
}

@test "a guest that usher has no policy for starts, ends from inside, and leaves the host alone" {
	host_before
	guest_define plain "boot=$(boot_image)"
	guest_start plain
	guest_running plain
	guest_power_off plain
	host_unchanged
}
