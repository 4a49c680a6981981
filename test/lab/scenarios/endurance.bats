#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/endurance.bats - nothing drifts and nothing grows, however often a guest comes and goes
#
# CYCLES (40) of virsh start and destroy, and HOOK_CYCLES (100) of the hook's own calls with a process
# that stands in for QEMU, which fit the time that one file has in emulation: make bench-endurance
# plays 100 and 1000.

load ../guest/lib

readonly cycles=${CYCLES:-40} hook_cycles=${HOOK_CYCLES:-100}
export BATS_TEST_TIMEOUT=$(((cycles > hook_cycles ? cycles : hook_cycles) * 60 + 600))

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

# unchanged_after N - and nothing has grown since the first
unchanged_after() {
	host_unchanged 30 || return
	sizes >"$BATS_TEST_TMPDIR/now"
	[[ -e $BATS_TEST_TMPDIR/first ]] || cp "$BATS_TEST_TMPDIR/now" "$BATS_TEST_TMPDIR/first"
	diff "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/now" || fail "after $1 cycles"
}

no_errors() {
	[[ $(journalctl -t usher --no-pager -p err | grep -c again) == 0 ]] ||
		fail "$(journalctl -t usher --no-pager -p err | grep again)"
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
		((n != 1 && n % 20)) || unchanged_after "$n"
	done
	unchanged_after "$cycles"
	no_errors
}

# hook OPERATION SUBOPERATION [REASON] - as libvirt calls it
hook() {
	/etc/libvirt/hooks/qemu again "$1" "$2" "${3:--}" <"$BATS_TEST_TMPDIR/guest.xml"
}

@test "the hook's own calls, again and again, leave what they found" {
	local n qemu uuid=11111111-2222-4333-8444-555555555555
	guest_xml again uuid=$uuid device="$GPU" device="$AUDIO" \
		memory=32 pages=2048 >"$BATS_TEST_TMPDIR/guest.xml"
	policy again '[display]' 'monitor = DEL:a0c4:JK9X' 'guest_input = hdmi1' 'host_input = dp1' \
		'delay = 0'
	for ((n = 1; n <= hook_cycles; n++)); do
		hook prepare begin
		assert_equal "$(driver_of "$GPU") $(pool_size 2048)" "vfio-pci 16"
		hook start begin
		perl -e 'sleep 1e6' -- -uuid $uuid &
		qemu=$!
		wait_for 10 grep -qa -- "-uuid.$uuid" "/proc/$qemu/cmdline"
		hook started begin
		assert_equal "$(driver_of "$GPU") $(pool_size 2048)" "vfio-pci 0"
		kill -9 "$qemu"
		wait "$qemu" || true
		hook stopped end
		hook release end destroyed
		((n != 1 && n % 100)) || unchanged_after "$n"
	done
	unchanged_after "$hook_cycles"
	no_errors
}
