#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/cpuset_boot.bats - a host whose CPUs were isolated at boot already
# lab: isolated=2-3

load ../guest/lib
load ../guest/cpuset

setup() {
	cpuset_setup
	[[ $(cat /sys/devices/system/cpu/isolated) == 2-3 ]] || fail "the kernel was not booted with isolcpus=2-3"
}

teardown() {
	cpuset_teardown
}

# Each vCPU is where its pin says, and nobody moves it
assert_in_place() {
	assert_equal "$(vcpu_cpus win11 0) $(vcpu_cpus win11 1)" "2 3"
	assert_equal "$(irqs_on 23)" ""
}

@test "a guest pinned to such CPUs has them, and they are as at boot after it" {
	pinned win11 '[guest]' 'required = cpuset' "2 3"
	guest_start win11
	assert_in_place
	run usher check win11
	assert_contains "$output" "ok       tick: no tick interrupts the guest's CPUs"
	assert_contains "$output" "ok       steps: what the running guest was given is as it was given"
	! has_partitions || assert_equal "$(cat /sys/fs/cgroup/cpuset.cpus.isolated)" 2-3
	guest_destroy win11
	assert_equal "$(cat /sys/devices/system/cpu/isolated)" 2-3
	host_unchanged
}

@test "it is the same after its QEMU was killed" {
	pinned win11 "2 3"
	guest_start win11
	assert_in_place
	kill -9 "$(guest_pid win11)"
	wait_for 60 guest_off win11
	host_unchanged
}

# The kernel has no balanced partition of such CPUs, and moves no thread from one to the other
@test "vCPUs that share such CPUs are said to, and refused where each is to be alone" {
	has_partitions || skip "this kernel has no partitions"
	guest_define win11 vcpus=2 pins="2-3 2-3"
	policy win11 '[guest]' 'required = cpuset' '[cpuset]' 'method = partition'
	start_refused_like win11 "usher: win11: CPUs 2-3 cannot be kept for it alone: CPUs 2-3 are isolated by isolcpus= at boot, and the vCPUs share theirs: pin each vCPU to one CPU of its own"
	policy win11
	run usher check win11
	assert_contains "$output" "CPUs 2-3 will not be isolated one by one: CPUs 2-3 are isolated by isolcpus= at boot, and the vCPUs share theirs: pin each vCPU to one CPU of its own"
	guest_start win11
	guest_destroy win11
	host_unchanged
}

@test "the whole of what was not isolated is the host's, and no guest may have it" {
	guest_define win11 vcpus=2 pins="0 1"
	policy win11 '[guest]' 'required = cpuset'
	start_refused_like win11 "usher: win11: CPUs 0-1 cannot be kept for it alone: .* at least one core must stay free: pin fewer, .*"
	host_unchanged
}

@test "pin = auto takes the CPUs that were isolated for it" {
	guest_define win11 vcpus=2
	policy win11 '[cpuset]' 'pin = auto'
	guest_start win11
	assert_in_place
	guest_destroy win11
	host_unchanged
}
