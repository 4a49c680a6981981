#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/cgroup1.bats - a host with the older cgroups: what can be done there is, the rest is said
# lab: cgroup=v1

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
}

@test "check says that no CPU can be kept for a guest alone, and the cure" {
	[[ ! -e /sys/fs/cgroup/cgroup.controllers ]] || fail "this machine has cgroup v2"
	run -1 usher check
	assert_contains "$output" "warning  partitions: cgroup v2 is not mounted at /sys/fs/cgroup: no CPU can be kept for a guest alone: take systemd.unified_cgroup_hierarchy=0 off the kernel's command line"
	host_unchanged
}

@test "a guest with everything starts, its vCPUs are pinned, and the host comes back whole" {
	guest_define old memory=64 pages=2048 vcpus=2 pins="2 3" emulator=0-1 device="$GPU" device="$AUDIO"
	policy old
	guest_start old
	assert_equal "$(driver_of "$GPU")" vfio-pci
	assert_contains "$(awk '/^Cpus_allowed_list:/ { print $2 }' "/proc/$(guest_pid old)"/task/*/status | sort -u | xargs)" "2 3"
	run -0 usher log old
	assert_contains "$output" "the cpuset controller is on cgroup v1: boot with systemd.unified_cgroup_hierarchy=1"
	# What recover could not change is not sent there
	run -1 usher check old
	assert_contains "$output" "its vCPUs are pinned to 2-3, but others may run there: the cpuset controller is on cgroup v1: boot with systemd.unified_cgroup_hierarchy=1"
	[[ $output != *"usher recover"* ]] || fail "$output"
	guest_destroy old
	host_unchanged 30
}

@test "a guest that wants CPUs for itself alone is refused, with the cure" {
	guest_define old memory=32 vcpus=2 pins="2 3" emulator=0-1
	policy old '[guest]' 'required = cpuset'
	start_refused old "usher: old: CPUs 2-3 cannot be kept for it alone: the cpuset controller is on cgroup v1: boot with systemd.unified_cgroup_hierarchy=1"
	host_unchanged
}
