#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/hugepages_move.bats - a node that others have filled is cleared for a guest
#
# Emulation takes a minute to move a node's memory.

load ../guest/lib

teardown() {
	[[ -z ${eater-} ]] || kill "$eater" 2>/dev/null || true
	common_teardown
}

meminfo_of() {
	awk -v name="$2:" '$3 == name { print $4 }' "/sys/devices/system/node/node$1/meminfo"
}

@test "memory of others is moved off the node when the policy says so" {
	local room=$BATS_TEST_TMPDIR/room mib pipe
	host_before
	mib=$(($(meminfo_of 1 MemFree) / 1024 - 200))
	mkfifo "$room"
	exec {pipe}<>"$room"
	# It has read all of it, and nobody takes it off its hands
	# On that node because it runs there, not by a memory policy
	numactl --cpunodebind=1 dd if=/dev/zero of="$room" bs="${mib}M" count=1 2>/dev/null 3>&- &
	eater=$!
	wait_for 60 eater_is_full "$eater" "$mib"
	guest_define mover memory=300 pages=2048 nodes=1
	policy mover
	run virsh start mover
	((status != 0)) || fail "it was started"
	assert_contains "$output" "set move = yes"
	policy mover '[hugepages]' 'move = yes'
	guest_start mover
	assert_pools 0 150
	kill -0 "$eater"
	guest_destroy mover
	wait_for 10 pools_are 0 0
	kill "$eater"
	exec {pipe}>&-
	host_unchanged
}
