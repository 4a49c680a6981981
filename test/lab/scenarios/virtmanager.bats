#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/virtmanager.bats - virt-manager's own library defines, starts and is refused

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
}

@test "virt-install imports and starts a guest with a device; check tells what its defaults get wrong; a refusal arrives whole" {
	boot_image >/dev/null
	policy made
	virt-install --connect qemu:///system --import --name made --memory 64 --vcpus 1 --virt-type qemu \
		--osinfo detect=off,require=off --disk "$(boot_image),format=raw" --graphics none \
		--network none --noautoconsole --hostdev pci_0000_01_00_0,rom.bar=off --hostdev pci_0000_01_00_1,rom.bar=off
	guest_running made
	assert_equal "$(driver_of "$GPU")" vfio-pci
	run -1 usher check made
	assert_contains "$output" "warning  pins: no vCPU is pinned"
	assert_contains "$output" "warning  balloon: the memory balloon is of no use with a passed device"
	guest_destroy made
	wait_for 20 not test -e "/run/usher/$(guest_uuid made)"

	policy made '[vfio]' 'devcies = none'
	run virt-xml --connect qemu:///system made --edit --vcpus 2 --start
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: made: $policies/made.ini:2: unknown key 'devcies' in [vfio]: did you mean 'devices'?"
	host_unchanged 30
}
