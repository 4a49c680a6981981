#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/races.bats - guests that start, end, die and meet at random, libvirtd dying between
#
# RACE_SEED repeats a run's choices, not its timing. RACE_SECONDS (600) is how long each number of
# guests is at it. All of them want the one monitor and pages, most a card or NIC that another wants
# too, and a CPU; the eight want all CPUs of the host.

load ../guest/lib

readonly race_seconds=${RACE_SECONDS:-600}
export BATS_TEST_TIMEOUT=$((race_seconds + 600))

setup() {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 serial=JK9X
	common_setup
}

teardown() {
	common_teardown
}

# racer NAME DEVICES CPU - 16 pages each
racer() {
	local device words=()
	for device in $2; do
		words+=("device=$device")
	done
	guest_define "$1" "${words[@]}" memory=32 pages=2048 pins="$3" emulator=0-3
	policy "$1" '[display]' 'monitor = DEL:a0c4:JK9X' 'guest_input = hdmi1' 'host_input = dp1' \
		'delay = 0'
	wanted[$1]=$2
	pinned[$1]=$3
}

# racers N - that many of the eight
racers() {
	local n takes=("$GPU $AUDIO" "$GPU $AUDIO" "$NIC" '' "$GPU2 $AUDIO2" "$NIC $USB" "$GPU2 $AUDIO2" "$USB")
	declare -gA wanted=() pinned=()
	for ((n = 0; n < $1; n++)); do
		racer "racer$n" "${takes[n]}" $(((n + 1) % 4))
	done
}

# running - names of the guests whose QEMU lives
running() {
	local file pid
	for file in /run/libvirt/qemu/racer*.pid; do
		pid=$(cat "$file" 2>/dev/null) || continue
		[[ -e /proc/$pid/exe ]] || continue
		file=${file##*/}
		echo "${file%.pid}"
	done
}

# --- What must be so -----------------------------------------------------------------------------

# At any moment: a device or a CPU in two claims, one open in two QEMUs, two vCPUs on one CPU while
# both are isolated, no CPU for the host
always() {
	local twice status host
	status=$(usher status --json)
	twice=$(jq -r '.guests[].devices[].address' <<<"$status" | sort | uniq -d)
	[[ -z $twice ]] || fail "claimed twice: $twice" || return
	twice=$(jq -r '.guests[].cpus // empty' <<<"$status" | cpus_of | sort | uniq -d)
	[[ -z $twice ]] || fail "CPUs claimed twice: $twice" || return
	twice=$(find /proc/[0-9]*/fd -lname '/dev/vfio/[0-9]*' -printf '%h %l\n' 2>/dev/null |
		sort -u | cut -d ' ' -f 2 | sort | uniq -d)
	[[ -z $twice ]] || fail "open in two processes: $twice" || return
	twice=$(vcpus_cpus | sort | uniq -d)
	[[ -z $twice ]] || fail "two guests' vCPUs may run on CPU $twice" || return
	host=$(jq -r .housekeeping <<<"$status")
	[[ $host == [0-9]* ]] || fail "the host keeps: '$host'" || return
	# There is such a file while CPUs are given away
	[[ ! -e $cgroups/system.slice/cpuset.cpus.effective ||
		-n $(<"$cgroups/system.slice/cpuset.cpus.effective") ]] || fail "the host's services have no CPU"
}

# cpus_of - the CPUs of each list on stdin, one a line
cpus_of() {
	local list range
	while IFS= read -r list; do
		for range in ${list//,/ }; do
			seq "${range%-*}" "${range#*-}"
		done
	done
}

# vcpus_cpus - of each vCPU whose CPUs are its own: each CPU it may run on
vcpus_cpus() {
	local group
	for group in "$cgroups"/machine.slice/*racer*/libvirt/vcpu*; do
		[[ $(cat "$group/cpuset.cpus.partition" 2>/dev/null) == isolated && -s $group/cgroup.threads ]] ||
			continue
		cpus_of <"$group/cpuset.cpus.effective"
	done 2>/dev/null
}

# host_devices RUNNING... - each device is with vfio exactly when a guest that wants it runs
host_devices() {
	local name device driver want
	declare -A taken=()
	for name in "$@"; do
		for device in ${wanted[$name]}; do
			taken[$device]=$name
		done
	done
	for device in "$GPU" "$AUDIO" "$NIC" "$USB" "$GPU2" "$AUDIO2"; do
		driver=$(driver_of "$device") || driver=none
		want=host
		[[ -z ${taken[$device]-} ]] || want=vfio-pci
		[[ $driver == vfio-pci || $driver == none ]] || driver=host
		assert_equal "$device $driver" "$device $want" || return
	done
}

# host_cpus RUNNING... - what is isolated is some of what they are pinned to
host_cpus() {
	local name cpu isolated=/sys/fs/cgroup/cpuset.cpus.isolated pins=' '
	[[ -e $isolated ]] || return 0
	for name in "$@"; do
		pins+="${pinned[$name]} "
	done
	for cpu in $(cpus_of <$isolated); do
		[[ $pins == *" $cpu "* ]] ||
			fail "CPU $cpu is isolated for nobody: $(<$isolated) of$pins" || return
	done
}

# When nothing is under way
settled() {
	local names nr want=0x0f
	mapfile -t names < <(running)
	nr=${#names[@]}
	always || return
	assert_equal "pages $(pool_size 2048)" "pages $((nr * 16))" || return
	assert_equal "claims $(find /run/usher -name claim.ini | wc -l)" "claims $nr" || return
	assert_equal "locks $(systemd-inhibit --list --no-legend --no-pager | grep -c ' guest racer')" \
		"locks $nr" || return
	host_devices "${names[@]}" || return
	host_cpus "${names[@]}" || return
	((nr == 0)) || want=0x11
	assert_equal "monitor $(monitor_input desk)" "monitor $want"
}

# --- What happens --------------------------------------------------------------------------------

# A start may be refused because of another guest, who is named; all else is a fault
start() {
	local said
	said=$(virsh start --domain "$1" 2>&1) && return
	# The daemon went away meanwhile
	[[ ! -e $BATS_TEST_TMPDIR/killed ]] || return 0
	[[ $said == *"usher: $1: "*racer[!${1#racer}]* || $said == *"usher: $1: "*"its last start"* ]] ||
		echo "start $1: $said" >>"$BATS_TEST_TMPDIR/faults"
}

end() {
	local pid
	case $2 in
	kill) ! pid=$(guest_pid "$1" 2>/dev/null) || kill -9 "$pid" 2>/dev/null ;;
	*) virsh destroy --domain "$1" >/dev/null 2>&1 ;;
	esac || true
}

daemon_dies() {
	local pid
	: >"$BATS_TEST_TMPDIR/killed"
	sleep "0.$((RANDOM % 10))"
	pid=$(cat /run/libvirtd.pid 2>/dev/null) && kill -9 "$pid" 2>/dev/null
	sleep 0.2
	systemctl reset-failed libvirtd libvirtd.socket 2>/dev/null
	systemctl start libvirtd
}

# one_round N - up to four of the N do something at once, in one of four the daemon dies under them
one_round() {
	local n nr=$1 name busy=' ' jobs=() now what=''
	rm -f "$BATS_TEST_TMPDIR/killed"
	now=" $(running | tr '\n' ' ')"
	((RANDOM % 4 > 0)) || {
		what='libvirtd dies'
		daemon_dies 3>&- &
		jobs+=($!)
	}
	for ((n = 0; n < 1 + RANDOM % 4; n++)); do
		name=racer$((RANDOM % nr))
		[[ $busy != *" $name "* ]] || continue
		busy+="$name "
		if [[ $now != *" $name "* ]]; then
			what+=" +$name"
			start "$name" 3>&- &
		elif ((RANDOM % 3 == 0)); then
			what+=" x$name"
			end "$name" kill 3>&- &
		else
			what+=" -$name"
			end "$name" destroy 3>&- &
		fi
		jobs+=($!)
	done
	echo "$what" >>"$BATS_TEST_TMPDIR/story"
	until ! kill -0 "${jobs[@]}" 2>/dev/null; do
		always || return
		sleep 0.3
	done
	wait "${jobs[@]}" || true
	[[ ! -e $BATS_TEST_TMPDIR/faults ]] || fail "$(<"$BATS_TEST_TMPDIR/faults")" || return
	# libvirt itself says nothing of a start that died with it
	[[ ! -e $BATS_TEST_TMPDIR/killed ]] || usher recover >/dev/null 2>&1 || true
	wait_for 30 settled || fail "$(settled 2>&1)"
}

# race N - for the time there is
race() {
	local end=$((SECONDS + race_seconds)) rounds=0 seed=${RACE_SEED:-$RANDOM}
	RANDOM=$seed
	racers "$1"
	echo "# $1 guests, RACE_SEED=$seed" >&3
	while ((SECONDS < end)); do
		one_round "$1" || fail "in round $rounds, RACE_SEED=$seed:" "$(tail -n 5 "$BATS_TEST_TMPDIR/story")" || return
		rounds=$((rounds + 1))
	done
	echo "# $rounds rounds: $(grep -o '+' "$BATS_TEST_TMPDIR/story" | wc -l) starts tried," \
		"$(grep -c dies "$BATS_TEST_TMPDIR/story") deaths of libvirtd" >&3
	for name in "${!wanted[@]}"; do
		guest_destroy "$name"
	done
	host_unchanged 30
}

@test "the judge sees a device or CPU claimed twice, a page too many, a driver, a CPU, a monitor and a lock gone wrong" {
	local claim copy lock said
	racers 2
	guest_start racer0
	wait_for 20 settled
	claim=$(dirname "$(find /run/usher -name claim.ini)")
	printf -v copy '%s%x' "${claim%?}" $((0x${claim: -1} ^ 1))
	cp -a "$claim" "$copy"
	sed -i "s/^uuid = .*/uuid = ${copy##*/}/" "$copy/claim.ini"
	said=$(always 2>&1) && fail "a second claim is not seen"
	assert_contains "$said" "claimed twice: $GPU"
	sed -i '/^device/d' "$copy/claim.ini"
	said=$(always 2>&1) && fail "a CPU's second claim is not seen: $(<"$copy/claim.ini")"
	assert_contains "$said" "CPUs claimed twice: 1"
	sed -i 's/^cpus = 1$/cpus = 0,2-3/' "$copy/claim.ini"
	said=$(always 2>&1) && fail "that the host has no CPU is not seen: $(<"$copy/claim.ini")"
	assert_contains "$said" "the host keeps: ''"
	rm -r "$copy"
	always
	echo 17 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
	not settled
	echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
	wait_for 30 settled
	echo "$NIC" >/sys/bus/pci/drivers/e1000e/unbind
	not settled
	echo "$NIC" >/sys/bus/pci/drivers_probe
	wait_for 30 settled
	echo 0x0f >/sys/kernel/debug/lab_monitor/desk/input
	not settled
	echo 0x11 >/sys/kernel/debug/lab_monitor/desk/input
	systemd-inhibit --what=sleep --who=racer --why="guest racer9 is running" sleep 60 3>&- &
	lock=$!
	wait_for 10 not settled
	kill "$lock"
	wait_for 10 settled
	pinned[racer0]=3
	[[ ! -s /sys/fs/cgroup/cpuset.cpus.isolated ]] || not settled
	pinned[racer0]=1
	guest_destroy racer0
	wait_for 20 settled
	host_unchanged
}

@test "two guests at random" {
	race 2
}

@test "eight guests at random" {
	race 8
}
