#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/privileges.bats - what helpers may do while they run, of all that root may

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
}

# may PID - what it may do, what an exec may bring it, and whether it may gain any
may() {
	awk '/^Cap(Prm|Eff|Bnd):|^NoNewPrivs:/ { v = $2; sub(/^0+/, "", v); print $1 (v == "" ? 0 : v) }' \
		"/proc/$1/status" | xargs
}

# only SET [BOUND] - as may() has it
only() {
	echo "CapPrm:$1 CapEff:$1 CapBnd:${2-$1} NoNewPrivs:1"
}

# may_only PID SET [BOUND]
may_only() {
	[[ $(may "$1") == "$(only "${@:2}")" ]]
}

# waiting HELPER UUID - run it on a guest's claim that another one works on; print what it may do
waiting() {
	local dir=/run/usher/$2 said status=0
	exec 8>>"$dir/$1.lock"
	flock 8
	"usher-$1" --timeout 3000 apply "$dir/claim.ini" 8>&- 2>"$BATS_TEST_TMPDIR/said" &
	# It has opened the lock: all that comes before is behind it
	wait_for 10 opened "$!" "$dir/$1.lock"
	may "$!"
	wait "$!" || status=$?
	exec 8>&-
	said=$(<"$BATS_TEST_TMPDIR/said")
	((status == 1)) || fail "usher-$1 ended with status $status: $said"
	assert_contains "$said" "cannot take the $1 lock"
}

opened() {
	[[ -n $(find "/proc/$1/fd" -lname "$2") ]]
}

@test "each helper has the capabilities that it needs, and the long-lived ones hardly any" {
	local uuid all
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 serial=JK9X
	host_before
	guest_define few "device=$NIC" pages=2048 vcpus=1 pins=3 emulator=0
	policy few '[display]' 'monitor = DEL:a0c4' 'guest_input = hdmi1' 'host_input = dp1' 'delay = 5min' \
		'[nosleep]' 'inhibit = sleep'
	guest_start few
	uuid=$(guest_uuid few)
	wait_for 10 may_only "$(systemctl show --property=MainPID --value "usher-nosleep-$uuid.service")" 0
	# CAP_SYS_PTRACE: to see other users' processes where proc is mounted with hidepid. Its bound is
	# the helper's, who could not lower it twice; no_new_privs keeps an exec from coming up to it
	wait_for 10 may_only "$(pgrep -x usher-display)" 80000 90004
	assert_equal "$(waiting hugepages "$uuid")" "$(only 880004)"
	assert_equal "$(waiting cpuset "$uuid")" "$(only a80006)"
	assert_equal "$(waiting display "$uuid")" "$(only 90004)"
	all=$(may 1)
	all=${all#CapPrm:}
	all=${all%% *}
	assert_equal "$(waiting vfio "$uuid")" "$(only "$all")"
	guest_destroy few
	host_unchanged
}
