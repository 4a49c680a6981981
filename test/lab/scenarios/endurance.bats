#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/endurance.bats - nothing drifts and nothing grows, however often a guest comes and goes
#
# CYCLES (40) of virsh start and destroy, which fit the time that one file has in emulation; set in the
# machine (test/lab/vm exec) for more.

load ../guest/lib

readonly cycles=${CYCLES:-40}
export BATS_TEST_TIMEOUT=$((cycles * 60 + 600))

setup() {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 serial=JK9X
	common_setup
}

teardown() {
	common_teardown
}

# What grows when something is forgotten, a line each
sizes() {
	local pid
	pid=$(cat /run/libvirtd.pid)
	echo "files below /run/usher: $(find /run/usher | wc -l)"
	echo "units: $(systemctl list-units --all --plain --no-legend 'usher*' 'machine-qemu*' | wc -l)"
	echo "inhibitors: $(systemd-inhibit --list --no-legend --no-pager | wc -l)"
	echo "processes: $(pgrep -c '^(usher|qemu-system)')"
	echo "cgroups below machine.slice: $(find /sys/fs/cgroup/machine.slice -mindepth 1 -type d 2>/dev/null | wc -l)"
	echo "libvirtd's descriptors: $(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
	echo "temporary files: $(find /tmp /run/usher -name '*usher*' -newer "$BATS_TEST_TMPDIR/before" | wc -l)"
}

@test "a guest that comes and goes again and again leaves the host as it was after the first" {
	local n
	guest_define again device="$GPU" device="$AUDIO" device="$NIC" memory=32 pages=2048 \
		vcpus=2 pins="2 3" emulator=0-1
	policy again '[display]' 'monitor = DEL:a0c4:JK9X' 'guest_input = hdmi1' 'host_input = dp1' \
		'delay = 0'
	for ((n = 1; n <= cycles; n++)); do
		guest_start again >/dev/null
		((n % 10)) || assert_equal "$(cat /sys/fs/cgroup/cpuset.cpus.isolated 2>/dev/null)" 2-3
		guest_destroy again
		if ((n == 1)); then
			host_unchanged 30
			sizes >"$BATS_TEST_TMPDIR/first"
		elif ((n % 20 == 0)); then
			host_unchanged 30
		fi
	done
	host_unchanged 30
	sizes >"$BATS_TEST_TMPDIR/last"
	diff "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/last" || fail "after $cycles cycles"
	[[ $(journalctl -t usher --no-pager -p err | grep -c again) == 0 ]] ||
		fail "$(journalctl -t usher --no-pager -p err | grep again)"
}
