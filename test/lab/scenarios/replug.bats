#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/replug.bats - a device that its driver does not take back

load ../guest/lib

setup() {
	insmod /lab/build/modules/stuckdrv/lab_stuckdrv.ko 2>/dev/null || true
	parameters=/sys/module/lab_stuckdrv/parameters
	common_setup
	give_to lab_stuckdrv
}

teardown() {
	echo 0 >"$parameters/dirty"
	# A device that a guest has would not let go
	common_teardown
	give_to ""
}

# give_to DRIVER - the NIC; "" for its own
give_to() {
	echo "$1" >"/sys/bus/pci/devices/$NIC/driver_override"
	[[ ! -e /sys/bus/pci/devices/$NIC/driver ]] || echo "$NIC" >"/sys/bus/pci/devices/$NIC/driver/unbind"
	echo "$NIC" >/sys/bus/pci/drivers_probe
}

without_driver() {
	[[ ! -e /sys/bus/pci/devices/$1/driver ]]
}

@test "a device that its driver does not take back is told, and recover --force has it found anew" {
	host_before
	guest_define win11 device="$NIC" memory=32
	policy win11
	guest_start win11
	echo 1 >"$parameters/dirty"
	guest_destroy win11
	wait_for 20 without_driver "$NIC"
	run -1 usher recover
	assert_contains "$output" "usher: win11: driver lab_stuckdrv did not take $NIC, though the kernel reported no error: see dmesg"
	without_driver "$NIC"
	# The guest itself can have it again as it is, and without force the bus stays as it is
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	wait_for 20 without_driver "$NIC"
	assert_equal "$(journalctl -t usher --since=-10min --no-pager | grep -c 'vfio replug')" 0
	run -0 usher recover --force
	assert_equal "$output" ""
	assert_equal "$(driver_of "$NIC")" lab_stuckdrv
	host_unchanged 30
}
