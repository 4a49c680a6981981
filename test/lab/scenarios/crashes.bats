#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/crashes.bats - hook, helper, libvirtd or QEMU killed at a random moment of a start or an end
#
# CRASH_SEED repeats a run's choices, not its timing. CRASH_ROUNDS (24) is how many there are. What
# `make crash-matrix` does at each side effect on the fake kernel is a sample here, on a real one.

load ../guest/lib

readonly crash_rounds=${CRASH_ROUNDS:-24}
# As far as the kernel keeps a name; libvirt runs the hook by that of its file
readonly -A comms=([hook]="qemu usher-hook" [qemu]=qemu-system-x86 [vfio]=usher-vfio [cpuset]=usher-cpuset
	[hugepages]=usher-hugepages [display]=usher-display [nosleep]=usher-nosleep)
export BATS_TEST_TIMEOUT=$((crash_rounds * 90))

setup() {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" "cable=$GPU,0x11" mfg=DEL product=0xa0c4 serial=JK9X
	common_setup
}

teardown() {
	common_teardown
}

# About as long as each lives, in ms
readonly -A lives=([hook]=800 [qemu]=3000 [vfio]=60 [cpuset]=60 [hugepages]=40 [display]=40 [nosleep]=40)

# shoot WHO MS - in the background: kill -9 who it is, so long after he has begun
shoot() {
	local hits=$BATS_TEST_TMPDIR/hits
	# The daemon is not begun: it dies so long after now
	if [[ $1 == libvirtd ]]; then
		(sleep "$(($2 / 1000)).$(($2 / 100 % 10))" && killall -KILL libvirtd && echo libvirtd >>"$hits") 3>&- &
	else
		# shellcheck disable=SC2086 # names
		"$here/shoot" "$2" "$hits" ${comms[$1]} 3>&- &
	fi
	shooter=$!
}

daemon_lives() {
	virsh list >/dev/null 2>&1 && return
	systemctl reset-failed libvirtd libvirtd.socket 2>/dev/null
	systemctl start libvirtd
	virsh list >/dev/null
}

# Whatever libvirt makes of it is ended, and what it has forgotten is recovered
ended() {
	wait_for 60 daemon_lives || return
	virsh destroy victim >/dev/null 2>&1 || true
	usher recover >/dev/null 2>&1 || true
	guest_off victim && [[ -z $(find /run/usher -name claim.ini) ]]
}

@test "whoever is killed at any moment, the host comes back" {
	local seed=${CRASH_SEED:-$RANDOM} round who ms shooter story
	local at_start=(hook hook vfio cpuset hugepages display nosleep libvirtd qemu)
	local at_end=(hook hook vfio cpuset hugepages libvirtd)
	RANDOM=$seed
	echo "# $crash_rounds rounds, CRASH_SEED=$seed" >&3
	guest_define victim device="$GPU" device="$AUDIO" memory=64 pages=2048 vcpus=2 pins="2 3" emulator=0-1
	policy victim '[display]' 'monitor = DEL:a0c4:JK9X' 'guest_input = hdmi1' 'host_input = dp1' \
		'delay = 0'
	: >"$BATS_TEST_TMPDIR/hits"
	for ((round = 0; round < crash_rounds; round++)); do
		if ((RANDOM % 2)); then
			who=${at_start[RANDOM % ${#at_start[@]}]}
			ms=$((RANDOM % ${lives[$who]-4000}))
			story="round $round, CRASH_SEED=$seed: $who after $ms ms of the start"
			echo "$who" >>"$BATS_TEST_TMPDIR/aims"
			shoot "$who" "$ms"
			virsh start victim >/dev/null 2>&1 || true
		else
			who=${at_end[RANDOM % ${#at_end[@]}]}
			ms=$((RANDOM % ${lives[$who]-4000}))
			story="round $round, CRASH_SEED=$seed: $who after $ms ms of the end"
			guest_start victim || fail "$story"
			echo "$who" >>"$BATS_TEST_TMPDIR/aims"
			shoot "$who" "$ms"
			virsh destroy victim >/dev/null 2>&1 || true
		fi
		wait "$shooter" || true
		wait_for 90 ended || fail "$story: it does not end: $(usher status)"
		host_unchanged 60 || fail "$story"
	done
	echo "# aimed at: $(sort "$BATS_TEST_TMPDIR/aims" | uniq -c | xargs)" >&3
	echo "# killed: $(sort "$BATS_TEST_TMPDIR/hits" | uniq -c | xargs)" >&3
	# A sample that hits nobody shows nothing
	(($(wc -l <"$BATS_TEST_TMPDIR/hits") * 2 >= crash_rounds)) ||
		fail "only $(wc -l <"$BATS_TEST_TMPDIR/hits") of $crash_rounds shots have hit"
}
