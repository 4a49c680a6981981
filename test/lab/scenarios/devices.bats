#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/devices.bats - devices that not every host has: virtual functions, a keyboard behind a controller
# lab: devices=more

load ../guest/lib

setup() {
	many=0000:08:00.0
	variant=/lib/modules/$(uname -r)/updates/lab_variant.ko
	common_setup
}

teardown() {
	virsh net-destroy many >/dev/null 2>&1 || true
	virsh net-undefine many >/dev/null 2>&1 || true
	common_teardown
	echo 0 >"/sys/bus/pci/devices/$many/sriov_numvfs"
	if [[ -e $variant ]]; then
		rm "$variant"
		rmmod lab_variant 2>/dev/null || true
		depmod -a
	fi
}

# functions_on N - the NIC has so many virtual functions, each with the host's driver
functions_on() {
	local link
	echo "$1" >"/sys/bus/pci/devices/$many/sriov_numvfs"
	udevadm settle
	functions=()
	for link in "/sys/bus/pci/devices/$many"/virtfn*; do
		functions+=("$(basename "$(readlink "$link")")")
		wait_for 10 driver_is "${functions[-1]}" igbvf
	done
	assert_equal "${#functions[@]}" "$1"
}

# pool_define - a network of these functions, of which libvirt gives one to each guest that asks
pool_define() {
	local iface=("/sys/bus/pci/devices/$many/net/"*)
	cat >"$BATS_TEST_TMPDIR/net.xml" <<-EOT
		<network><name>many</name>
		<forward mode='hostdev' managed='yes'><pf dev='${iface[0]##*/}'/></forward>
		</network>
	EOT
	virsh net-define "$BATS_TEST_TMPDIR/net.xml" >/dev/null
	virsh net-start many >/dev/null
}

said_in_log() {
	journalctl -t usher -o cat --since "$1" | grep -qF -- "$2"
}

@test "a virtual function goes and comes back, and the card's others stay" {
	functions_on 2
	host_before
	guest_define pfsense device="${functions[0]}" memory=32
	policy pfsense
	guest_start pfsense
	assert_equal "$(driver_of "${functions[0]}") $(driver_of "${functions[1]}") $(driver_of "$many")" "vfio-pci igbvf igb"
	guest_destroy pfsense
	host_unchanged 30
}

@test "a function of a network's pool is libvirt's to bind, and is not taken from who has it" {
	functions_on 2
	pool_define
	host_before
	guest_define pool memory=32 extra="<interface type='network'><source network='many'/></interface>"
	policy pool
	guest_define pfsense device="${functions[0]}" memory=32
	policy pfsense
	guest_start pfsense
	# libvirt takes the first that no network has given away
	run virsh start pool
	((status != 0)) || fail "two guests have ${functions[0]}"
	assert_contains "$output" "usher: pool: "
	assert_contains "$output" "which libvirt has chosen for this guest, is held by guest pfsense: take it out of the network's pool (virsh net-edit), or shut that guest down first"
	assert_equal "$(driver_of "${functions[0]}")" vfio-pci
	guest_destroy pfsense
	wait_for 30 driver_is "${functions[0]}" igbvf
	guest_start pool
	assert_equal "$(driver_of "${functions[0]}") $(driver_of "${functions[1]}")" "vfio-pci igbvf"
	# And who wants that one by its address is refused before anything is touched
	run virsh start pfsense
	((status != 0)) || fail "two guests have ${functions[0]}"
	assert_contains "$output" "usher: pfsense: "
	guest_destroy pool
	host_unchanged 30
}

@test "a keyboard that goes with its controller is told" {
	local since
	since=$(date '+%F %T')
	guest_define win11 device="$USB" memory=32
	policy win11
	run usher check win11
	assert_contains "$output" "with $USB the keyboard QEMU QEMU USB Keyboard goes to the guest, and is not there for the host"
	guest_start win11
	assert_equal "$(driver_of "$USB")" vfio-pci
	said_in_log "$since" "with $USB the keyboard QEMU QEMU USB Keyboard goes to the guest, and is not there for the host" ||
		fail "nobody said it: $(journalctl -t usher -o cat --since "$since")"
	guest_destroy win11
	host_unchanged 30
}

@test "a device goes to the vfio driver that is made for its model, unless the policy names another" {
	mkdir -p "$(dirname "$variant")"
	cp /lab/build/modules/variant/lab_variant.ko "$variant"
	depmod -a
	guest_define win11 device="$NIC" memory=32
	policy win11
	guest_start win11
	assert_equal "$(driver_of "$NIC")" lab_variant
	guest_destroy win11
	wait_for 30 driver_is "$NIC" e1000e
	policy win11 '[vfio]' 'driver = vfio-pci'
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	wait_for 30 driver_is "$NIC" e1000e
	rmmod lab_variant
	host_unchanged 30
}
