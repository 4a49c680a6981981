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
	virt-install --connect qemu:///system --import --name made --memory 64 --vcpus 2 --virt-type qemu \
		--osinfo detect=off,require=off --disk "$(boot_image),format=raw" --graphics none \
		--network none --noautoconsole --hostdev pci_0000_01_00_0,rom.bar=off --hostdev pci_0000_01_00_1,rom.bar=off
	guest_running made
	assert_equal "$(driver_of "$GPU")" vfio-pci
	run -1 usher check made
	assert_contains "$output" "warning  pins: no vCPU is pinned"
	assert_contains "$output" "warning  balloon: the memory balloon is of no use with a passed device"
	# What check says of sockets rests on this
	assert_contains "$(tr '\0' ' ' <"/proc/$(guest_pid made)/cmdline")" "sockets=2,cores=1,threads=1"
	guest_destroy made
	wait_for 20 not test -e "/run/usher/$(guest_uuid made)"

	policy made '[vfio]' 'devcies = none'
	run virt-xml --connect qemu:///system made --edit --vcpus 1 --start
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: made: $policies/made.ini:2: unknown key 'devcies' in [vfio]: did you mean 'devices'?"
	host_unchanged 30
}

# Its own defaults for the guest most people pass a GPU to; only the devices are ours
@test "what virt-install makes of a Windows guest by default is found fault with" {
	local xml=$BATS_TEST_TMPDIR/win.xml
	policy win
	virt-install --connect qemu:///system --import --name win --memory 64 --vcpus 4 --virt-type qemu \
		--osinfo win11 --disk "$(boot_image),format=raw" --network user --dry-run --print-xml \
		--hostdev pci_0000_01_00_0 --hostdev pci_0000_01_00_1 >"$xml"
	run -1 usher check --xml "$xml"
	# There is no UEFI in the lab, which virt-install would take
	assert_contains "$output" "note     machine: the guest boots by BIOS"
	[[ $output != *"old PC"* ]] || fail "$output"
	assert_contains "$output" "warning  pins: no vCPU is pinned"
	assert_contains "$output" "warning  topology: the guest has 4 sockets, of which Windows uses two at most"
	assert_contains "$output" "warning  virtio: a disk is on an emulated controller"
	assert_contains "$output" "warning  virtio: a network card is emulated"
	assert_contains "$output" "warning  video: an emulated video device stands beside the passed GPU"
	assert_contains "$output" "warning  balloon: the memory balloon is of no use with a passed device"
	# With virt-manager's own tool, as told
	virt-xml --edit --cpu topology.sockets=1,topology.dies=1,topology.cores=4,topology.threads=1 <"$xml" >"$xml.new"
	run -1 usher check --xml "$xml.new"
	assert_contains "$output" "ok       topology:"
	host_unchanged
}
