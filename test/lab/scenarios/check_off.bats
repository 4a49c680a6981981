#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/check_off.bats - usher check on a host whose IOMMU is off, and which has SMT
# lab: iommu=off

load ../guest/lib

setup() {
	common_setup
}

# A kernel that is locked down takes no write to debugfs
teardown() {
	[[ $(</sys/kernel/security/lockdown) != *"[none]"* ]] || common_teardown
}

xml() {
	guest_xml fit uuid=11111111-2222-3333-4444-666666666666 "$@" >"$BATS_TEST_TMPDIR/fit.xml"
	echo "$BATS_TEST_TMPDIR/fit.xml"
}

@test "iommu: the kernel was told not to use it" {
	run -2 usher check
	assert_contains "$output" "error    iommu: the kernel was told intel_iommu=sm_off,off, so no PCI device can be passed"
	host_unchanged
}

@test "tick: on the CPUs that were booted without one, and on others" {
	policy fit
	run usher check --xml "$(xml vcpus=1 pins=2)"
	assert_contains "$output" "ok       tick: no tick interrupts the guest's CPUs"
	run usher check --xml "$(xml vcpus=2 pins='2 3')"
	assert_contains "$output" "note     tick: the kernel's tick interrupts CPUs 2-3, and cannot be taken away at run time: boot with nohz_full=2-3"
	host_unchanged
}

@test "siblings and topology: half cores, and threads that the guest does not know" {
	policy fit
	run usher check --xml "$(xml vcpus=1 pins=2)"
	assert_contains "$output" "warning  siblings: CPU 3 shares a core with a pinned CPU, and the host uses it"
	run usher check --xml "$(xml vcpus=2 pins='2 3')"
	assert_contains "$output" "warning  topology: vCPUs are pinned to threads of the same core, but the guest does not know"
	sed -i "s|<os>|<cpu><topology sockets='1' dies='1' cores='1' threads='2'/></cpu>&|" "$BATS_TEST_TMPDIR/fit.xml"
	run usher check --xml "$BATS_TEST_TMPDIR/fit.xml"
	assert_contains "$output" "ok       topology:"
	guest_xml fit vcpus=2 pins="1 2" |
		sed "s|<os>|<cpu><topology sockets='1' dies='1' cores='1' threads='2'/></cpu>&|" >"$BATS_TEST_TMPDIR/fit.xml"
	run usher check --xml "$BATS_TEST_TMPDIR/fit.xml"
	assert_contains "$output" "the guest takes vCPU 0 and 1 for threads of one core, but they are pinned to two cores"
	host_unchanged
}

@test "lockdown: as with Secure Boot (there is no way back but a boot)" {
	[[ -w /sys/kernel/security/lockdown ]] || skip "this kernel has no lockdown"
	echo integrity >/sys/kernel/security/lockdown
	run usher check
	assert_contains "$output" "warning  lockdown: the kernel is locked down"
}
