#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/cpuset_shared.bats - what guests share of the CPUs' settings comes back exactly
#
# Guests that overlap, an admin's own values, and usher-cpuset killed before each of its writes.

load ../guest/lib
load ../guest/cpuset

readonly workqueue=/sys/devices/virtual/workqueue/cpumask
readonly stat_interval=/proc/sys/vm/stat_interval
readonly cursor=/sys/class/graphics/fbcon/cursor_blink
readonly watchdog=/proc/sys/kernel/watchdog_cpumask

setup() {
	cpuset_setup
}

teardown() {
	echo 1 >/sys/devices/system/cpu/cpu3/online
	cpuset_teardown
}

latency_of() {
	cat "/sys/devices/system/cpu/cpu$1/power/pm_qos_resume_latency_us"
}

# Of the lab's four CPUs those that the masks have without guests
all_cpus=15

# mask_without CPU...
mask_without() {
	local cpu mask=$all_cpus
	for cpu in "$@"; do
		mask=$((mask & ~(1 << cpu)))
	done
	printf '%x\n' $mask
}

# assert_kept CPU... - guests have these for themselves, in all that usher sets
assert_kept() {
	local cpu cpus=$*
	assert_equal "$(comm -12 <(slices_cpus) <(printf '%s\n' "$@") | xargs)" ""
	assert_equal "$(irqs_on "${cpus// /}")" ""
	assert_equal "$(default_irq)" "$(mask_without "$@")"
	assert_equal "$(cat $workqueue)" "$(mask_without "$@")"
	assert_equal "$(cat $stat_interval)" 60
	assert_equal "$(cat $cursor)" 0
	assert_equal "$(comm -12 <(cpus_in "$(<$watchdog)") <(printf '%s\n' "$@") | xargs)" ""
	for cpu in "$@"; do
		assert_equal "cpu$cpu $(latency_of "$cpu")" "cpu$cpu n/a"
	done
}

# overlapping METHOD FIRST-TO-END SECOND-TO-END [METHOD OF TWO]
overlapping() {
	local one=2 two=3 first=$2 second=$3 before
	before=$(latency_of "${!first}")
	pinned one "${everything[@]}" "method = $1" $one
	pinned two "${everything[@]}" "method = ${4-$1}" $two
	guest_start one
	guest_start two
	assert_kept $one $two
	guest_destroy "$first"
	assert_kept "${!second}"
	assert_equal "$(latency_of "${!first}")" "$before"
	guest_destroy "$second"
	host_unchanged
	virsh undefine one
	virsh undefine two
}

@test "two guests, the first to start ends first: each keeps its CPU, and all comes back" {
	overlapping auto one two
}

@test "two guests, the first to start ends last: each keeps its CPU, and all comes back" {
	overlapping auto two one
}

@test "two guests keep their CPUs by slices, whoever ends first, and all comes back" {
	overlapping slices one two
	overlapping slices two one
}

@test "two guests keep their CPUs by the other top-level groups, whoever ends first, and all comes back" {
	overlapping plain one two
	overlapping plain two one
}

@test "two guests keep their CPUs in different ways, whoever starts and ends first, and all comes back" {
	local end
	has_partitions || skip "this kernel has no partitions"
	for end in "one two" "two one"; do
		# shellcheck disable=SC2086 # two words
		overlapping slices $end partition
		# shellcheck disable=SC2086 # two words
		overlapping partition $end slices
	done
}

# isolated_are CPUS
isolated_are() {
	[[ $(cat "$cgroups/cpuset.cpus.isolated") == "$1" ]]
}

@test "a guest comes and goes while another's CPU is offline, and that one is isolated again when it is back" {
	has_partitions || skip "this kernel has no partitions"
	pinned one "${everything[@]}" 3
	pinned two "${everything[@]}" 2
	guest_start one
	echo 0 >/sys/devices/system/cpu/cpu3/online
	guest_start two
	isolated_are 2
	assert_equal "$(vcpu_cpus two 0)" 2
	guest_destroy two
	echo 1 >/sys/devices/system/cpu/cpu3/online
	usher recover
	assert_kept 3
	isolated_are 3
	guest_destroy one
	host_unchanged
}

@test "a guest whose CPU is offline ends beside another, which keeps its own" {
	has_partitions || skip "this kernel has no partitions"
	pinned one "${everything[@]}" 3
	pinned two "${everything[@]}" 2
	guest_start one
	guest_start two
	echo 0 >/sys/devices/system/cpu/cpu3/online
	guest_destroy one
	isolated_are 2
	assert_equal "$(vcpu_cpus two 0)" 2
	echo 1 >/sys/devices/system/cpu/cpu3/online
	assert_kept 2
	guest_destroy two
	host_unchanged
}

@test "an admin's own values come back, whoever ends first" {
	systemctl set-property --runtime system.slice AllowedCPUs=0-2
	echo 7 >/proc/irq/default_smp_affinity
	echo 7 >$workqueue
	echo 9 >$stat_interval
	echo 70 >/sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us
	host_before
	all_cpus=7
	overlapping slices one two
	overlapping slices two one
	echo 0 >/sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us
	echo 1 >$stat_interval
	echo f >$workqueue
	echo f >/proc/irq/default_smp_affinity
	systemctl set-property --runtime system.slice AllowedCPUs=0-3
	systemctl revert system.slice
}

@test "a lasting value that an admin sets under a lone guest stays, and no drop-in of ours" {
	local ours=/run/systemd/system.control/system.slice.d/50-AllowedCPUs.conf
	pinned one '[cpuset]' 'method = slices' "2"
	guest_start one
	[[ -e $ours ]] || fail "nothing to leave behind"
	systemctl set-property system.slice AllowedCPUs=0-2
	guest_destroy one
	wait_for 30 not test -e "$ours"
	assert_equal "$(systemctl show --property AllowedCPUs --value system.slice)" "0-2"
	systemctl set-property system.slice AllowedCPUs=0-3
	systemctl revert system.slice
	host_unchanged
}

# Which interrupt goes where is for irqbalance to say, now and afterwards; it has a group of its own
shared_state() {
	state | grep -v -e '^/proc/irq/[0-9]' -e irqbalance
}

@test "irqbalance leaves alone the CPUs of those that run, whoever ends first" {
	local first second as_before
	as_before=$(shared_state)
	systemctl start irqbalance
	wait_for 30 banned_are 0
	pinned one "2"
	pinned two "3"
	for first in one two; do
		second=$([[ $first == one ]] && echo two || echo one)
		guest_start one
		guest_start two
		wait_for 60 banned_are c
		guest_destroy $first
		wait_for 60 banned_are "$([[ $second == one ]] && echo 4 || echo 8)"
		guest_destroy "$second"
		wait_for 60 banned_are 0
		diff <(echo "$as_before") <(shared_state) || fail "with $first first"
	done
	systemctl stop irqbalance
}

# --- Killed before each write ---------------------------------------------------------------------

# What changes anything: files, their names, the system bus, irqbalance
readonly calls=(write sendmsg sendto renameat unlinkat mkdirat sched_setaffinity sched_setattr)

# All that usher-cpuset writes, in one look: the snapshot of the whole host takes too long to be taken
# a hundred times. A file that was not renamed yet (.NAME.PID) goes with the next of that name, or
# with the guest. What a mask may have been written to stands in any order, beside another guest's.
state() {
	all_state | grep -v '%20written ' | sort
}

all_state() {
	grep -H -s '' /proc/irq/*/smp_affinity_list /proc/irq/default_smp_affinity $workqueue \
		$stat_interval $watchdog /sys/devices/system/cpu/cpu*/power/pm_qos_resume_latency_us
	find "$cgroups" \( -name 'cpuset.cpus*' -o -name cgroup.pressure \) \
		-exec grep -H -s '' {} + | grep -v '[.]effective:'
	find /run/usher /run/systemd/system.control /run/systemd/transient -type f ! -name '*.lock' \
		! -name '.*.[0-9]*' \
		-exec grep -H -s '' {} + 2>/dev/null
	systemctl show -p AllowedCPUs system.slice user.slice init.scope
	grep -h '^Cpus_allowed_list' "/proc/$(pgrep -x 'rcu_(preempt|sched)' | head -n 1)/status"
}

# Not held to a policy's 2 s: strace makes it slow
by_hand() {
	usher-cpuset --timeout 60000 "$1" "$claim"
}

# killing CALL N VERB - usher-cpuset, killed when it is about to make the N-th such call. Not with
# --seccomp-bpf: no signal can be given to a process at such a stop.
killing() {
	strace -f -qq -o /dev/null -e signal=none -e trace="$1" \
		-e inject="$1:signal=KILL:when=$2" usher-cpuset --timeout 60000 "$3" "$claim" \
		>/dev/null 2>&1
}

# kill_each VERB BEFORE - run BEFORE, then VERB killed, then undo: the host is as it was
kill_each() {
	local verb=$1 before=$2 call n status
	for call in "${calls[@]}"; do
		for ((n = 1; ; n++)); do
			$before
			status=0
			killing "$call" $n "$verb" || status=$?
			by_hand undo
			diff <(echo "$as_before") <(state) >"$BATS_TEST_TMPDIR/differs" ||
				fail "$verb, $call $n:" "$(cat "$BATS_TEST_TMPDIR/differs")"
			((status == 137)) || break
			points+=1
		done
		# There are not so many: it has ended by itself
		assert_equal "$verb, $call $n: $status" "$verb, $call $n: 0"
	done
}

whole_apply() {
	by_hand apply
}

# kill_everywhere VERB - of the guest win11, which runs, and whose CPUs are kept for it again and again
kill_everywhere() {
	local -i points=0
	local claim as_before
	claim=/run/usher/$(guest_uuid win11)/claim.ini
	by_hand undo
	as_before=$(state)
	if [[ $1 == undo ]]; then
		kill_each undo whole_apply
	else
		kill_each apply true
	fi
	echo "# $1 killed at $points points" >&3
	((points > 20)) || fail "it was killed at $points points only"
}

# kill_alone VERB POLICY-LINE... - where no other guest runs
kill_alone() {
	pinned win11 "${everything[@]}" "${@:2}" "2 3"
	guest_start win11
	assert_kept 2 3
	kill_everywhere "$1"
	guest_destroy win11
	host_unchanged
}

# kill_beside POLICY-LINE... - where another guest runs, which keeps its CPU all the while
kill_beside() {
	pinned two "${everything[@]}" "$@" 3
	guest_start two
	pinned win11 "${everything[@]}" "$@" 2
	guest_start win11
	assert_kept 2 3
	kill_everywhere apply
	kill_everywhere undo
	assert_kept 3
	guest_destroy win11
	assert_kept 3
	guest_destroy two
	host_unchanged
}

@test "an apply killed before any of its writes leaves nothing that undo does not put back" {
	kill_alone apply
}

@test "an undo killed before any of its writes leaves nothing that undo does not put back" {
	kill_alone undo
}

@test "nor does an apply by slices" {
	kill_alone apply 'method = slices'
}

@test "nor does an undo by slices" {
	kill_alone undo 'method = slices'
}

@test "nor do they by the other top-level groups" {
	pinned win11 "${everything[@]}" 'method = plain' "2 3"
	guest_start win11
	assert_kept 2 3
	kill_everywhere apply
	kill_everywhere undo
	guest_destroy win11
	host_unchanged
}

@test "nor do they where the CPUs are chosen" {
	guest_define win11 vcpus=2
	policy win11 "${everything[@]}" 'pin = auto'
	guest_start win11
	kill_everywhere apply
	kill_everywhere undo
	guest_destroy win11
	host_unchanged
}

@test "nor do they beside a guest that runs, which keeps its CPU" {
	kill_beside
}

@test "nor do they beside one by slices" {
	kill_beside 'method = slices'
}
