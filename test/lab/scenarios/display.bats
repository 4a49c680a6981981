#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/display.bats - monitors follow the guest, each with its own whims

load ../guest/lib

setup() {
	debugfs=/sys/kernel/debug/lab_monitor
	since=$(date '+%F %T')
}

teardown() {
	let_go
	common_teardown
}

# Buses that hang, and who is caught in them
let_go() {
	local hang
	for hang in "$debugfs"/*/hang; do
		[[ ! -e $hang ]] || echo 0 >"$hang"
	done
}

bus_of() {
	local name
	name=$(grep -l -x "lab monitor $1 input $2" /sys/bus/i2c/devices/i2c-*/name)
	name=${name%/name}
	echo "${name##*-}"
}

shows() {
	[[ $(monitor_input "$1") == "$2" ]]
}

log() {
	journalctl -t usher --since "$since" --no-pager -o cat
}

# log_has TEXT
log_has() {
	log | grep -q -F -- "$1"
}

# ms_of STEP - how long the hook waited for it, from its own log
ms_of() {
	log | sed -n "s/.*: $1: [a-z]* in \([0-9]*\) ms$/\1/p" | tail -n 1
}

# section NAME MONITOR [LINE...]
section() {
	printf '%s\n' "[display $1]" "monitor = $2" 'guest_input = hdmi1' 'delay = 0' \
		'timeout = 8s' "${@:3}"
}

claim_of() {
	echo "/run/usher/$(guest_uuid "$1")/claim.ini"
}

@test "what usher sets ddcutil reads, what ddcutil sets usher reads, and usher prints what it offers" {
	local bus
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 serial=JK9X \
		inputs=0x0f,0x11,0x1b,0x90
	bus=$(bus_of desk 0x0f)
	run -0 usher-display list
	assert_contains "$output" "DEL:a0c4:JK9X"
	assert_contains "$output" "15 (0x0f); offers dp1 hdmi1 usb-c 0x90"
	ddcutil --bus "$bus" --noverify setvcp 60 0x1b >/dev/null 2>&1
	run -0 usher-display list
	assert_contains "$output" "27 (0x1b); offers"
	host_before
	guest_define show
	policy show "$(section desk DEL:a0c4:JK9X)"
	guest_start show
	wait_for 20 shows desk 0x11
	run -0 ddcutil --bus "$bus" --brief getvcp 60
	assert_equal "${lines[-1]}" "VCP 60 SNC x11"
	guest_destroy show
	wait_for 10 shows desk 0x1b
	host_unchanged
}

@test "a monitor of any character has its outcome, and none keeps the guest waiting" {
	local one ms
	monitor_add name=good "cable=$HOST_GPU,0x0f" mfg=GUD
	monitor_add name=slow "cable=$HOST_GPU,0x0f" mfg=SLO slow=200
	monitor_add name=naks "cable=$HOST_GPU,0x0f" mfg=NAK nak=3
	monitor_add name=garbled "cable=$HOST_GPU,0x0f" mfg=GAR garble=3
	monitor_add name=deaf "cable=$HOST_GPU,0x0f" mfg=DEF deaf=1
	monitor_add name=bounces "cable=$HOST_GPU,0x0f" mfg=BNC bounce=3000
	monitor_add name=twin "cable=$HOST_GPU,0x0f" mfg=TWN serial=A1
	monitor_add name=other "cable=$HOST_GPU,0x0f" mfg=TWN serial=A2
	monitor_add name=nameless "cable=$HOST_GPU,0x0f" mfg=NOS product=0x0007
	monitor_add name=hangs "cable=$HOST_GPU,0x0f" mfg=HNG hang=1
	modprobe -r i2c-dev
	modprobe i2c-dev
	host_before
	guest_define show
	policy show "$(section good GUD:2401 'host_input = dp1')" "$(section slow SLO:2401 'host_input = dp1')" \
		"$(section naks NAK:2401 'host_input = dp1')" "$(section garbled GAR:2401)" \
		"$(section deaf DEF:2401 'host_input = dp1')" "$(section bounces BNC:2401 'host_input = dp1')" \
		"$(section twin TWN:2401:A1 'host_input = dp1')" \
		"$(section nameless NOS:0007 'host_input = dp1')" \
		"$(section hangs HNG:2401 'host_input = dp1')"
	guest_start show
	ms=$(($(ms_of "display check") + $(ms_of "display apply")))
	echo "# the hook waited $ms ms for ten monitors, two starts of a program included" >&3
	# One that waits for a bus that hangs has waited a second; bench/display has the figure
	((ms < 900)) || fail "the start waited $ms ms for the monitors"
	for one in good slow naks garbled deaf twin nameless; do
		wait_for 20 shows "$one" 0x11
	done
	shows other 0x0f
	wait_for 30 log_has "monitor BNC:2401: it has fallen back to input 15: switched again"
	wait_for 30 log_has "monitor BNC:2401: it falls back by itself: the guest's input has no signal"
	wait_for 30 log_has "monitor DEF:2401: it answers on its active input only"
	wait_for 30 log_has "monitor HNG:2401: not switched to input 17: a bus did not return"
	guest_destroy show
	(($(ms_of "display undo") < 3000))
	for one in good slow naks garbled bounces twin nameless; do
		wait_for 10 shows "$one" 0x0f
	done
	# Only its own buttons are left: no cable of its is on a device of the guest's
	wait_for 10 log_has "[display deaf] the monitor on i2c-$(bus_of deaf 0x0f) did not take input 15 back: No such device or address: use its own buttons"
	shows deaf 0x11
	echo 0x0f >"$debugfs/deaf/input"
	let_go
	host_unchanged
}

@test "a monitor that answers on its active input only comes back with the guest's GPU, as does one that only this leads to" {
	monitor_add name=deaf "cable=$HOST_GPU,0x0f" "cable=$GPU,0x11" mfg=DEF serial=D1 deaf=1
	monitor_add name=far "cable=$GPU,0x11" mfg=FAR serial=F1
	host_before
	modprobe -r i2c-dev
	guest_define show "device=$GPU" "device=$AUDIO"
	policy show "$(section deaf DEF:2401:D1 'host_input = dp1')" \
		"$(section far FAR:2401:F1 'host_input = dp1')"
	# Before anybody is stuck
	virsh dumpxml show >"$BATS_TEST_TMPDIR/show.xml"
	usher plan --xml "$BATS_TEST_TMPDIR/show.xml" | grep -v '^#' >"$BATS_TEST_TMPDIR/claim.ini"
	chmod 600 "$BATS_TEST_TMPDIR/claim.ini"
	modprobe i2c-dev
	run -1 usher-display check "$BATS_TEST_TMPDIR/claim.ini"
	assert_contains "$output" "[display deaf] monitor DEF:2401:D1 answers on its active input only (i2c-$(bus_of deaf 0x0f), not i2c-$(bus_of deaf 0x11))"
	assert_contains "$output" "[display far] only i2c-$(bus_of far 0x11) leads to monitor FAR:2401:F1, and the guest takes that device"
	modprobe -r i2c-dev
	guest_start show
	wait_for 20 shows deaf 0x11
	[[ -e /dev/i2c-0 ]] || fail "i2c-dev was not loaded"
	run -1 usher-display check "$(claim_of show)"
	assert_contains "$output" "answers on its active input only: since it shows the guest"
	# It finds the guest's signal by itself, or its user does
	echo 0x11 >"$debugfs/far/input"
	guest_destroy show
	wait_for 20 shows deaf 0x0f
	wait_for 10 shows far 0x0f
	log_has "[display deaf] input 15 written back on i2c-$(bus_of deaf 0x11), of the guest's device"
	host_unchanged 30
}

@test "of two guests with one monitor the last has it, then the other, then the host" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 serial=JK9X
	host_before
	guest_define first
	policy first "$(section desk DEL:a0c4:JK9X 'host_input = dp1')"
	guest_define second
	policy second '[display]' 'monitor = DEL:a0c4' 'guest_input = hdmi2' 'delay = 0'
	guest_start first
	wait_for 20 shows desk 0x11
	guest_define third
	policy third '[guest]' 'required = hugepages vfio seat display' '[display]' \
		'monitor = DEL:a0c4' 'guest_input = dp1' 'shared = no'
	start_refused third "usher: third: [display] monitor DEL:a0c4 shows guest first: shut that guest down first, or set shared = yes"
	guest_start second
	wait_for 20 shows desk 0x12
	guest_destroy second
	wait_for 10 shows desk 0x11
	guest_destroy first
	wait_for 10 shows desk 0x0f
	host_unchanged
}

@test "a guest that ends before it can show anything has not switched" {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL
	host_before
	guest_define show
	policy show '[display]' 'monitor = DEL:2401' 'guest_input = hdmi1' 'host_input = dp1' 'delay = 5min'
	guest_start show
	[[ -n $(pgrep usher-display) ]] || fail "nobody waits for the guest's picture"
	kill -9 "$(guest_pid show)"
	wait_for 10 guest_off show
	host_unchanged
	run ! grep -q "51 84 03 60" "$debugfs/desk/log"
}
