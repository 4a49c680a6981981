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
		"FILE:1: unknown section [vifo]: did you mean [vfio]?"
	refused_for '[hugepages]\ntimeout = soon\n' \
		"FILE:2: [hugepages] timeout: 'soon' is no time like 2s or 1500ms, over 0 and 10 minutes at most"
	refused_for '[hugepages]\ntimeout = 5s\n\ntimeout = 6s\n' \
		"FILE:4: duplicate key 'timeout' in [hugepages]: line 2 has it too"
	refused_for '# a\n[guest]\0\n' "FILE:2: NUL byte: is this a text file saved as UTF-16?"
	refused_for "[vfio]\\ndevices = $(head -c 1000000 /dev/zero | tr '\0' x)\\n" \
		"FILE:2: line is longer than 65536 bytes"
	guest_start other
	guest_destroy other
	host_unchanged
}

@test "a policy that others may write is not believed" {
	guest_define win11 memory=32
	policy win11
	chmod 666 "$policies/win11.ini"
	start_refused win11 "usher: win11: $policies/win11.ini: group or others may write it: chmod go-w $policies/win11.ini"
	chmod 644 "$policies/win11.ini"
	chown nobody "$policies/win11.ini"
	start_refused win11 \
		"usher: win11: $policies/win11.ini: belongs to user $(id -u nobody), not to root: chown root $policies/win11.ini"
	host_unchanged
}

@test "forty addresses on one line are taken whole" {
	local slot list=''
	for slot in {64..102}; do
		printf -v list '%s 0000:%02x:00.0' "$list" "$slot"
	done
	guest_define win11 memory=32
	# The one that is no address is the last
	refused_for "[vfio]\\ndevices =$list 0000:01:00.9\\n" \
		"FILE:2: [vfio] devices: '0000:01:00.9' is no PCI address like 0000:01:00.0"
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
	group=$(basename "$(readlink "/sys/bus/pci/devices/$SHARED_NIC/iommu_group")")
	start_refused_like win11 "usher: win11: $SHARED_AUDIO \(.*\) shares IOMMU group $group with $SHARED_NIC, sits in another slot and is on the host's driver snd_intel8x0, so it cannot simply be passed along: put one of the two into another slot, switch on ACS in the firmware, or pass both to the guest"
	host_unchanged
}

memory_mib() {
	awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo
}

@test "too few huge pages are counted" {
	guest_define win11 memory=8192 pages=2048
	policy win11 '[hugepages]' 'timeout = 5s'
	start_refused win11 "usher: win11: cannot get 8192 MiB of huge pages on this host, which has $(memory_mib) MiB of memory in all: lower the guest's memory"
	guest_define big memory=3584 pages=2048
	policy big '[hugepages]' 'timeout = 5s'
	start_refused_like big "usher: big: cannot get 1792 huge pages of 2 MiB .*[0-9]+ are missing beside [0-9]+ free ones .*: .*"
	host_unchanged 30
}
