#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/pins.bats - a guest whose XML has no pins gets cores of its own

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
}

# automatic NAME [key=value...] - without its CPUs it does not start
automatic() {
	guest_define "$@"
	policy "$1" '[guest]' 'required = cpuset' '[cpuset]' 'pin = auto'
}

held_by() {
	sed -n 's/^cpus = //p' "/run/usher/$(guest_uuid "$1")/claim.ini"
}

@test "with pin = auto a guest without pins has CPUs for itself alone, one for each vCPU, and all is back" {
	automatic a vcpus=2
	guest_start a
	# The second node: CPU 0 is the last to be taken
	assert_alone 2-3
	assert_equal "$(vcpu_cpus a 0) $(vcpu_cpus a 1)" "2 3"
	! has_partitions ||
		assert_equal "$(cat "$(vcpu_group a 0)/cpuset.cpus.partition")" isolated
	run usher-cpuset check "/run/usher/$(guest_uuid a)/claim.ini"
	assert_contains "$output" "CPU 2        vCPU 0"
	guest_destroy a
	host_unchanged
}

@test "the XML's own pins are kept, whatever the policy says" {
	automatic a vcpus=2 pins="3 2"
	guest_start a
	assert_equal "$(vcpu_cpus a 0) $(vcpu_cpus a 1)" "3 2"
	guest_destroy a
	host_unchanged
}

@test "guests that start at once get different cores, and a third is told what is free" {
	local first second
	automatic a vcpus=1
	automatic b vcpus=1
	automatic c vcpus=2
	guest_start a &
	first=$!
	guest_start b &
	second=$!
	wait "$first" || fail "a did not start"
	wait "$second" || fail "b did not start"
	assert_equal "$(printf '%s\n' "$(held_by a)" "$(held_by b)" | sort)" $'2\n3'
	assert_alone 2-3
	start_refused c "usher: c: no cores can be chosen for it: its 2 vCPUs need whole cores that nobody else is pinned to, and one more for the host; free are 2 cores, CPUs 0-1: give the guest fewer <vcpu>, or shut another guest down"
	guest_destroy a
	# What a had is free again, and b keeps its own
	wait_for 10 alone_are "$(held_by b)"
	guest_destroy b
	host_unchanged
}

@test "the CPUs are free again when QEMU is killed" {
	automatic a vcpus=2
	guest_start a
	assert_alone 2-3
	kill -9 "$(guest_pid a)"
	wait_for 60 guest_off a
	wait_for 30 alone_are ""
	host_unchanged
}
