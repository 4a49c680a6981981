#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/devices.bats - devices that not every host has: virtual functions, a keyboard behind a controller
# lab: devices=more

load ../guest/lib

readonly rules=/etc/apparmor.d/abstractions/libvirt-qemu.d

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
	echo 1 >"/sys/bus/pci/devices/$many/sriov_drivers_autoprobe"
	ip link set "$(interface)" down
	rm -f "$rules/lab-pool"
	if [[ -e $variant ]]; then
		rm "$variant"
		rmmod lab_variant 2>/dev/null || true
		depmod -a
	fi
}

# functions_on N - the NIC is up and has so many virtual functions, without a driver of the host's, as
# on a host that has them for guests: each time its driver takes one it is given another address
functions_on() {
	local link
	ip link set "$(interface)" up
	echo 0 >"/sys/bus/pci/devices/$many/sriov_drivers_autoprobe"
	echo "$1" >"/sys/bus/pci/devices/$many/sriov_numvfs"
	udevadm settle
	functions=()
	for link in "/sys/bus/pci/devices/$many"/virtfn*; do
		functions+=("$(basename "$(readlink "$link")")")
	done
	assert_equal "${#functions[@]}" "$1"
}

interface() {
	ls "/sys/bus/pci/devices/$many/net"
}

# pool_define - a network of these functions, of which libvirt gives one to each guest that asks
pool_define() {
	cat >"$BATS_TEST_TMPDIR/net.xml" <<-EOT
		<network><name>many</name>
		<forward mode='hostdev' managed='yes'><pf dev='$(interface)'/></forward>
		</network>
	EOT
	virsh net-define "$BATS_TEST_TMPDIR/net.xml" >/dev/null
	virsh net-start many >/dev/null
}

said_in_log() {
	journalctl -t usher -o cat --since "$1" | grep -qF -- "$2"
}

# without_driver ADDRESS
without_driver() {
	[[ ! -e /sys/bus/pci/devices/$1/driver ]]
}

@test "a virtual function goes and comes back, and the card's others stay" {
	functions_on 2
	host_before
	guest_define pfsense device="${functions[0]}" memory=32
	policy pfsense
	guest_start pfsense
	assert_equal "$(driver_of "${functions[0]}") $(driver_of "$many")" "vfio-pci igb"
	without_driver "${functions[1]}"
	guest_destroy pfsense
	host_unchanged 30
}

@test "a function of a network's pool is libvirt's to bind, and is not taken from who has it" {
	# For a pool's function libvirt's AppArmor profile has no rule
	mkdir -p "$rules"
	echo '/dev/vfio/* rw,' >"$rules/lab-pool"
	functions_on 2
	pool_define
	host_before
	guest_define pool memory=32 extra="<interface type='network'><source network='many'/></interface>"
	policy pool
	guest_define pfsense device="${functions[0]}" memory=32
	policy pfsense
	guest_start pfsense
	# libvirt takes the first that no network has given away, and finds it in use by itself
	run virsh start pool
	((status != 0)) || fail "two guests have ${functions[0]}"
	guest_running pfsense
	assert_equal "$(driver_of "${functions[0]}")" vfio-pci
	guest_destroy pfsense
	wait_for 30 without_driver "${functions[0]}"
	guest_start pool
	assert_equal "$(driver_of "${functions[0]}")" vfio-pci
	without_driver "${functions[1]}"
	# And who wants that one by its address is refused before anything is touched
	run virsh start pfsense
	((status != 0)) || fail "two guests have ${functions[0]}"
	assert_contains "$output" "usher: pfsense: "
	guest_destroy pool
	# libvirt leaves one that had no driver with vfio. Seen on: libvirt 11.3.0, without a policy too
	echo >"/sys/bus/pci/devices/${functions[0]}/driver_override"
	echo "${functions[0]}" >/sys/bus/pci/drivers/vfio-pci/unbind
	echo on >"/sys/bus/pci/devices/${functions[0]}/power/control"
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
