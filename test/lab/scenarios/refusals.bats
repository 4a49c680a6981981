#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/refusals.bats - a start that cannot work is refused in one line, and nothing changes

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
}

# refused_for POLICY_TEXT MESSAGE - escapes as printf has them; FILE stands for the policy's path
refused_for() {
	printf '%b' "$1" >"$policies/win11.ini"
	start_refused win11 "usher: win11: ${2//FILE/$policies/win11.ini}"
}

@test "a policy with a fault in it refuses its own guest, with file and line, and no other" {
	guest_define win11 memory=32
	guest_define other memory=32
	policy other
	refused_for '[vfio]\ndevcies = none\n' \
		"FILE:2: unknown key 'devcies' in [vfio]: did you mean 'devices'?"
	refused_for '[vifo]\ndevices = none\n' \
		"FILE:2: unknown section [vifo]: did you mean [vfio]?"
	guest_start other
	guest_destroy other
	host_unchanged
}

@test "a policy that others may write is not believed" {
	guest_define win11 memory=32
	policy win11
	chmod 666 "$policies/win11.ini"
	run virsh start win11
	((status != 0))
	assert_contains "$output" "$policies/win11.ini"
	chmod 644 "$policies/win11.ini"
	chown nobody "$policies/win11.ini"
	run virsh start win11
	((status != 0))
	assert_contains "$output" "$policies/win11.ini"
	host_unchanged
}

@test "a policy saved by a Windows editor is read" {
	guest_define win11 memory=32 pages=2048
	printf '\xef\xbb\xbf[guest]\r\nrequired = hugepages\r\n' >"$policies/win11.ini"
	guest_start win11
	assert_equal "$(pool_size 2048)" 16
	guest_destroy win11
	host_unchanged 30
}

@test "a missing device is named" {
	guest_define win11 device=0000:09:00.0
	policy win11
	start_refused win11 "usher: win11: there is no PCI device 0000:09:00.0 on this host: plug it in, or correct the address in the guest's XML (lspci -D lists the devices)"
	host_unchanged
}

@test "half of an IOMMU group is refused with the other half's name" {
	guest_define win11 device="$SHARED_NIC"
	policy win11
	run virsh start win11
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: win11: "
	assert_contains "$output" "$SHARED_AUDIO"
	host_unchanged
}

@test "too few huge pages are counted" {
	guest_define win11 memory=8192 pages=2048
	policy win11 '[hugepages]' 'timeout = 5s'
	run virsh start win11
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: win11: "
	assert_contains "$output" "2 MiB"
	host_unchanged 30
}
