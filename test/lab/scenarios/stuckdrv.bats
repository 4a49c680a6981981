#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/stuckdrv.bats - a driver that does not let go hangs neither libvirt nor usher

load ../guest/lib

setup() {
	insmod /lab/build/modules/stuckdrv/lab_stuckdrv.ko 2>/dev/null || true
	parameters=/sys/module/lab_stuckdrv/parameters
	common_setup
	give_to lab_stuckdrv
}

teardown() {
	echo 0 >"$parameters/seconds"
	echo 1 >"$parameters/release"
	wait_for 30 not worker_pid
	give_to ""
	common_teardown
}

# give_to DRIVER - the NIC; "" for its own
give_to() {
	echo "$1" >"/sys/bus/pci/devices/$NIC/driver_override"
	[[ ! -e /sys/bus/pci/devices/$NIC/driver ]] || echo "$NIC" >"/sys/bus/pci/devices/$NIC/driver/unbind"
	echo "$NIC" >/sys/bus/pci/drivers_probe
}

stuck_is() {
	[[ $(cat "$parameters/stuck") == "$1" ]]
}

# In a process of its own, whose state is looked at
unbind_nic() {
	bash -c "echo $NIC >/sys/bus/pci/drivers/lab_stuckdrv/unbind" 3>&- &
	unbinder=$!
}

# worker_pid - of the process that usher has left behind in the kernel, from its mark
worker_pid() {
	cat /run/usher/*/"vfio.worker.$NIC" 2>/dev/null | cut -d ' ' -f 2 | grep .
}

# milliseconds COMMAND... - how long it takes, whatever it says and however it ends
milliseconds() {
	local start=${EPOCHREALTIME/./}
	"$@" >"$BATS_TEST_TMPDIR/said" 2>&1 || true
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

# refusal_ms - what libvirt and the hook take here for a start that is refused at once
refusal_ms() {
	guest_define gone device=0000:09:00.0 memory=32
	policy gone
	milliseconds virsh start gone
	virsh undefine gone >/dev/null
}

# hook_ms SINCE - what all calls of win11's hook have taken since then
hook_ms() {
	journalctl --sync
	journalctl -t usher --since="@$1" --no-pager -o cat |
		sed -n -E 's/^win11: (prepare|stopped|release): .* in ([0-9]+) ms$/\2/p' |
		awk '{ sum += $1 } END { if (NR < 2) exit 1; print sum }'
}

# stuck_guest SECONDS - a guest that wants the NIC, whose driver sleeps so long, is refused in time
stuck_guest() {
	local took base ours since
	host_before
	base=$(refusal_ms)
	guest_define win11 device="$NIC" memory=32
	policy win11 '[vfio]' 'timeout = 4s'
	echo "$1" >"$parameters/seconds"
	since=$EPOCHREALTIME
	took=$(milliseconds virsh start win11)
	stuck_is 1
	ours=$(hook_ms "$since")
	echo "# refused after $took ms, $ours ms in the hook; a refusal at once takes $base ms" >&3
	# The deadline and a second. In a machine that others keep from its CPU libvirt may take as long again
	((ours < 5000)) || fail "the hook took $ours ms of $took ms"
	((took < 5000 + ours)) || fail "virsh start took $took ms, $ours ms in the hook"
	# shellcheck disable=SC2154 # of lib.bash
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" "$hook_error_start"
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" "usher: win11: $NIC is stuck: driver lab_stuckdrv has not let go of it for "
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" " s (process $(worker_pid)): it is given back when the kernel returns; if it never does, only a reboot of the host frees it"
}

held_by_libvirt() {
	find "/proc/$(pidof -s libvirtd)/fd" -lname "$1" | grep -q .
}

# It cannot be killed, and so must hold nothing that another waits for
survivor_holds_nothing() {
	local pid fd target
	pid=$(worker_pid)
	grep -q '^State:.*D' "/proc/$pid/status"
	for fd in "/proc/$pid/fd/"*; do
		target=$(readlink "$fd")
		case ${fd##*/} in
		0 | 1 | 2) assert_equal "$fd $target" "$fd /dev/null" ;;
		esac
		[[ $target != pipe:* && $target != *.lock ]] || fail "process $pid holds $target"
		# Its end of the line to the helper that has given it up: nobody has the other one
		[[ $target != socket:* ]] || not held_by_libvirt "$target" ||
			fail "process $pid holds libvirt's $target"
	done
	! grep -q -w "$pid" /proc/locks || fail "process $pid holds a lock: $(grep -w "$pid" /proc/locks)"
	assert_equal "$(ps -o sid= -p "$pid" | tr -d ' ')" "$pid"
	# And nobody else of usher's is left
	assert_equal "$(pgrep -f '^/usr/sbin/usher-(hook|vfio)' | tr '\n' ' ')" "$pid "
}

# Nothing that asks for the device, or for anything else, waits for it
all_answer_in_time() {
	local took
	took=$(milliseconds virsh list --all)
	((took < 2000)) || fail "virsh list took $took ms"
	took=$(milliseconds virsh nodedev-list)
	((took < 3000)) || fail "virsh nodedev-list took $took ms"
	took=$(milliseconds usher status)
	((took < 3000)) || fail "usher status took $took ms"
	assert_equal "$(usher status --json | jq -c '.guests[].stuck[0] | keys')" \
		'["address","driver","path","pid","seconds"]'
	took=$(milliseconds usher check win11)
	((took < 5000)) || fail "usher check took $took ms"
	virsh dumpxml win11 >"$BATS_TEST_TMPDIR/win11.xml"
	took=$(milliseconds usher plan --xml "$BATS_TEST_TMPDIR/win11.xml")
	((took < 5000)) || fail "usher plan took $took ms"
	took=$(milliseconds usher recover)
	((took < 10000)) || fail "usher recover took $took ms"
}

second_start_is_refused() {
	local took
	took=$(milliseconds virsh start win11)
	((took < 8000)) || fail "the second start took $took ms"
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" "$NIC"
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" "driver lab_stuckdrv has not let go of it for "
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" " s (process $(worker_pid)): "
}

@test "an unbind sleeps for ever, cannot be killed, and ends when it is let go" {
	echo -1 >"$parameters/seconds"
	unbind_nic
	wait_for 10 stuck_is 1
	kill -9 "$unbinder"
	sleep 1
	grep -q '^State:.*D' "/proc/$unbinder/status"
	stuck_is 1
	echo 1 >"$parameters/release"
	wait_for 10 stuck_is 0
	wait_for 10 not test -e "/proc/$unbinder/exe"
	give_to ""
	assert_equal "$(driver_of "$NIC")" e1000e
	host_unchanged
}

@test "an unbind that sleeps two seconds takes two seconds" {
	local start=$SECONDS
	echo 2 >"$parameters/seconds"
	unbind_nic
	wait "$unbinder"
	((SECONDS - start >= 1 && SECONDS - start < 30))
	run -1 driver_of "$NIC"
}

@test "a driver that is slow, and lets go within the deadline, is waited for, and libvirt answers meanwhile" {
	local starting took
	host_before
	guest_define win11 device="$NIC" memory=32
	policy win11 '[vfio]' 'timeout = 20s'
	echo 3 >"$parameters/seconds"
	virsh start win11 >"$BATS_TEST_TMPDIR/start" 2>&1 3>&- &
	starting=$!
	wait_for 30 stuck_is 1
	# Not a list: libvirt has a guest's lock while its hook runs, and a list waits for each guest's
	took=$(milliseconds virsh nodeinfo)
	stuck_is 1 || fail "the answer came when the driver had let go, after $took ms"
	wait "$starting" || fail "$(<"$BATS_TEST_TMPDIR/start")"
	guest_running win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	not worker_pid
	guest_destroy win11
	host_unchanged 30
	assert_equal "$(driver_of "$NIC")" lab_stuckdrv
}

@test "a driver that takes longer than the deadline: refused in time, and the host is whole by itself" {
	stuck_guest 8
	host_unchanged 30
	assert_equal "$(driver_of "$NIC")" lab_stuckdrv
	assert_contains "$(journalctl -t usher --since=-1min --no-pager)" "win11: $NIC has been given back at last"
}

@test "a driver that takes a minute: nothing waits for it, and the host is whole by itself" {
	stuck_guest 60
	survivor_holds_nothing
	all_answer_in_time
	second_start_is_refused
	# Another guest is none of its business
	guest_define other memory=32
	policy other
	guest_start other
	guest_destroy other
	host_unchanged 60
	assert_equal "$(driver_of "$NIC")" lab_stuckdrv
	echo 0 >"$parameters/seconds"
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	host_unchanged 30
}

@test "a driver that never returns: refused by name until somebody frees it" {
	stuck_guest -1
	survivor_holds_nothing
	kill -9 "$(worker_pid)"
	second_start_is_refused
	systemctl restart libvirtd
	second_start_is_refused
	echo 1 >"$parameters/release"
	# The process was killed in the kernel: nobody is there to finish, but the next start does
	wait_for 10 stuck_is 0
	wait_for 30 not test -e "/proc/$(worker_pid)/exe"
	echo 0 >"$parameters/seconds"
	# The unit failed when libvirtd was restarted: it has to succeed to be as before
	systemctl start usher-recover.service
	host_unchanged 30
}
