#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/stuckdrv.bats - the lab's driver that does not let go really does not

load ../guest/lib

setup() {
	insmod /lab/build/modules/stuckdrv/lab_stuckdrv.ko 2>/dev/null || true
	parameters=/sys/module/lab_stuckdrv/parameters
	common_setup
	give_to lab_stuckdrv
}

teardown() {
	echo 0 >"$parameters/seconds"
	echo 1 >"$parameters/release"
	give_to ""
	common_teardown
}

# give_to DRIVER - the NIC; "" for its own
give_to() {
	echo "$1" >"/sys/bus/pci/devices/$NIC/driver_override"
	[[ ! -e /sys/bus/pci/devices/$NIC/driver ]] || echo "$NIC" >"/sys/bus/pci/devices/$NIC/driver/unbind"
	echo "$NIC" >/sys/bus/pci/drivers_probe
}

stuck_is() {
	[[ $(cat "$parameters/stuck") == "$1" ]]
}

# In a process of its own, whose state is looked at
unbind_nic() {
	bash -c "echo $NIC >/sys/bus/pci/drivers/lab_stuckdrv/unbind" 3>&- &
	unbinder=$!
}

@test "an unbind sleeps for ever, cannot be killed, and ends when it is let go" {
	echo -1 >"$parameters/seconds"
	unbind_nic
	wait_for 10 stuck_is 1
	kill -9 "$unbinder"
	sleep 1
	grep -q '^State:.*D' "/proc/$unbinder/status"
	stuck_is 1
	echo 1 >"$parameters/release"
	wait_for 10 stuck_is 0
	wait_for 10 not test -e "/proc/$unbinder/exe"
	give_to ""
	assert_equal "$(driver_of "$NIC")" e1000e
	host_unchanged
}

@test "an unbind that sleeps two seconds takes two seconds" {
	local start=$SECONDS
	echo 2 >"$parameters/seconds"
	unbind_nic
	wait "$unbinder"
	((SECONDS - start >= 1 && SECONDS - start < 30))
	run -1 driver_of "$NIC"
}
