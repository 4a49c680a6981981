#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/check_none.bats - usher check on a machine whose firmware has no IOMMU
# lab: iommu=none

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
}

@test "iommu: the firmware offers none, which is a fault for a guest with a device, and a warning for others" {
	policy fit
	guest_xml fit uuid=11111111-2222-3333-4444-666666666666 device="$NIC" >"$BATS_TEST_TMPDIR/fit.xml"
	run -2 usher check --xml "$BATS_TEST_TMPDIR/fit.xml"
	assert_contains "$output" "error    iommu: the firmware offers no IOMMU, so no PCI device can be passed"
	guest_define fit device="$NIC"
	start_refused_like fit "usher: fit: .*IOMMU.*"
	virsh undefine fit >/dev/null
	guest_define fit memory=32
	run usher check fit
	assert_contains "$output" "warning  iommu: the firmware offers no IOMMU"
	host_unchanged
}
