#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/monitor.bats - the lab's monitors are monitors to the distribution's own tools
#
# What usher-display is measured with has to be right itself: ddcutil and i2c-tools judge it.

load ../guest/lib

setup_file() {
	modprobe i2c-dev
}

setup() {
	debugfs=/sys/kernel/debug/lab_monitor
}

teardown() {
	monitors_remove
}

# bus_of NAME INPUT - the number of the I2C bus that cable is
bus_of() {
	local name
	name=$(grep -l -x "lab monitor $1 input $2" /sys/bus/i2c/devices/i2c-*/name)
	name=${name%/name}
	echo "${name##*-}"
}

# What it says on stderr, and at length on stdout before its answer: no DRM connector has this bus
ddc() {
	ddcutil --bus "$1" "${@:2}" 2>/dev/null
}

@test "ddcutil finds a monitor and reads who made it" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 model=Lab_27 serial=JK9X
	run -0 ddcutil detect
	assert_contains "$output" "Model:                Lab 27"
	assert_contains "$output" "Serial number:        JK9X"
	assert_contains "$output" "DEL"
}

@test "what ddcutil sets the monitor shows, and ddcutil reads it back" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f"
	run -0 ddc "$(bus_of desk 0x0f)" --noverify setvcp 60 0x11
	assert_equal "$(monitor_input desk)" 0x11
	run -0 ddc "$(bus_of desk 0x0f)" --brief getvcp 60
	assert_equal "${lines[-1]}" "VCP 60 SNC x11"
}

@test "ddcutil reads the capabilities with all inputs" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" inputs=0x0f,0x11,0x1b
	run -0 ddc "$(bus_of desk 0x0f)" capabilities
	assert_contains "$output" "Feature: 60 (Input Source)"
	assert_contains "$output" "1b:"
}

@test "the EDID's checksum is right" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" serial=A1
	local byte sum=0
	for byte in $(i2ctransfer -y "$(bus_of desk 0x0f)" w1@0x50 0 r128); do
		sum=$(((sum + byte) & 255))
	done
	assert_equal "$sum" 0
}

@test "an input the monitor does not have is ignored" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f"
	ddc "$(bus_of desk 0x0f)" --noverify setvcp 60 0x33 || true
	assert_equal "$(monitor_input desk)" 0x0f
}

@test "a message with a wrong checksum changes nothing" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f"
	i2ctransfer -y "$(bus_of desk 0x0f)" w7@0x37 0x51 0x84 0x03 0x60 0x00 0x11 0x00
	assert_equal "$(monitor_input desk)" 0x0f
	i2ctransfer -y "$(bus_of desk 0x0f)" w7@0x37 0x51 0x84 0x03 0x60 0x00 0x11 0xc9
	assert_equal "$(monitor_input desk)" 0x11
	assert_contains "$(cat "$debugfs/desk/log")" "51 84 03 60 00 11 c9"
}

@test "a deaf monitor answers only on the cable of the input it shows, its EDID on both" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" "cable=$GPU2,0x11" deaf=1
	run ! i2ctransfer -y "$(bus_of desk 0x11)" w5@0x37 0x51 0x82 0x01 0x60 0xdc
	run -0 i2ctransfer -y "$(bus_of desk 0x0f)" w5@0x37 0x51 0x82 0x01 0x60 0xdc
	run -0 i2ctransfer -y "$(bus_of desk 0x11)" w1@0x50 0 r8
}

@test "a monitor that NAKs does so for its first transfers after a pause" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" nak=2
	run ! i2ctransfer -y "$(bus_of desk 0x0f)" w5@0x37 0x51 0x82 0x01 0x60 0xdc
	run ! i2ctransfer -y "$(bus_of desk 0x0f)" w5@0x37 0x51 0x82 0x01 0x60 0xdc
	run -0 i2ctransfer -y "$(bus_of desk 0x0f)" w5@0x37 0x51 0x82 0x01 0x60 0xdc
}

# The reply's bytes from 0x6e on, with its checksum, add up to nothing when XORed with 0x50
reply_sum() {
	local bus=$1 byte sum=0x50
	i2ctransfer -y "$bus" w5@0x37 0x51 0x82 0x01 0x60 0xdc
	for byte in $(i2ctransfer -y "$bus" r11@0x37); do
		sum=$((sum ^ byte))
	done
	echo "$sum"
}

@test "a garbled reply has a wrong checksum, a good one a right one" {
	monitor_add name=good "cable=$HOST_GPU,0x0f"
	monitor_add name=bad "cable=$HOST_GPU,0x0f" garble=1
	assert_equal "$(reply_sum "$(bus_of good 0x0f)")" 0
	[[ $(reply_sum "$(bus_of bad 0x0f)") != 0 ]]
}

@test "a monitor that bounces goes back where no signal is, and stays where one is" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" bounce=1000
	ddc "$(bus_of desk 0x0f)" --noverify setvcp 60 0x11
	assert_equal "$(monitor_input desk)" 0x11
	input_is() { [[ $(monitor_input desk) == "$1" ]]; }
	wait_for 10 input_is 0x0f
	echo 0x11 >"$debugfs/desk/signal"
	ddc "$(bus_of desk 0x0f)" --noverify setvcp 60 0x11
	sleep 2
	assert_equal "$(monitor_input desk)" 0x11
}

@test "a monitor without a serial number shows none" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f"
	run -0 ddcutil detect
	assert_contains "$output" "Serial number:        
"
}

@test "a transfer on a hanging bus cannot be killed, and ends when the bus lets it go" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" hang=1
	i2ctransfer -y "$(bus_of desk 0x0f)" w1@0x50 0 r8 >"$BATS_TEST_TMPDIR/out" 3>&- &
	local pid=$!
	in_state_d() { grep -q '^State:.*D' /proc/$pid/status; }
	wait_for 10 in_state_d
	kill -9 $pid
	sleep 0.5
	in_state_d
	echo 0 >"$debugfs/desk/hang"
	wait_for 10 not test -e /proc/$pid/exe
}

@test "the bus goes with the host's driver and comes back with it" {
	monitor_add name=desk "cable=$GPU2,0x11"
	[[ -n $(bus_of desk 0x11) ]]
	echo "$GPU2" >/sys/bus/pci/drivers/bochs-drm/unbind
	run ! grep -q -r -x "lab monitor desk input 0x11" /sys/bus/i2c/devices/*/name
	echo "$GPU2" >/sys/bus/pci/drivers_probe
	[[ -n $(bus_of desk 0x11) ]]
}

@test "a monitor that wants another source address does not hear the standard one" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" source=0x50
	ddc "$(bus_of desk 0x0f)" --noverify setvcp 60 0x11 || true
	assert_equal "$(monitor_input desk)" 0x0f
	i2ctransfer -y "$(bus_of desk 0x0f)" w7@0x37 0x50 0x84 0x03 0x60 0x00 0x11 0xc8
	assert_equal "$(monitor_input desk)" 0x11
}
